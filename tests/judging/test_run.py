"""Batches, the store and the checks, with honest, lazy, random, credulous and broken judges."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from scripts.lib.authoring.prompt_lint import checked_weight
from scripts.lib.base.errors import BenchError
from scripts.lib.judging.answers import pair_item
from scripts.lib.judging.batch import (
    LEAST_RETESTS,
    Batch,
    BatchFile,
    Known,
    Mix,
    make_batch,
    retest_count,
)
from scripts.lib.judging.canaries import (
    CHECKED,
    INJECTIONS,
    KINDS,
    LEAST_CHECKED,
    PLAIN,
    STYLES,
    Group,
    canary_count,
    is_provable,
    make_canaries,
    score_by_checks,
)
from scripts.lib.judging.instrument import (
    CHART_LIMIT,
    chart,
    findings,
    instrument_csv,
    measures,
    series_findings,
)
from scripts.lib.judging.pair_checks import all_reports
from scripts.lib.judging.protocol import Journal, Keep, Stopped
from scripts.lib.judging.run import JudgeRun, RunResult
from scripts.lib.prompts.types import Question
from scripts.lib.scoring.judge_prompt import material, user_prompt
from scripts.lib.scoring.score import score_answer
from scripts.lib.scoring.series import Item, Reply, Role, Series, make_series
from scripts.lib.scoring.verdict_store import MOST_TIMES, BatchRecord, ItemOutcome, VerdictStore
from tests.factories.judge_server import (
    Grader,
    always_3,
    at_random,
    copies_the_claim,
    honest,
    take_apart,
    verdicts,
)
from tests.factories.judging import ASKED, QUESTIONS, SERIES, pairs
from tests.factories.judging import store as store

MIX = Mix(40, 0.1, 0.05)


class FakeJudge:
    """Grades in this process. `spoil` may replace the n-th reply, or raise."""

    batches_at_once = 1

    def __init__(
        self,
        grader: Grader,
        series: Series = SERIES,
        spoil: Callable[[int, Item], Reply | None] | None = None,
    ):
        self.series, self._grader, self._spoil = series, grader, spoil
        self.asked: list[str] = []

    async def ask(self, items: Sequence[Item], journal: Journal, keep: Keep) -> None:
        for item in items:
            self.asked.append(item.digest)
            spoilt = self._spoil(len(self.asked), item) if self._spoil else None
            content = self._grader(take_apart(item.shown.user_prompt(item.digest)))
            await keep(item, spoilt or Reply(content, raw=content, usd=0.001))

    async def close(self) -> None: ...


def judge(
    store: VerdictStore,
    fake: FakeJudge,
    items: Sequence[Item],
    mix: Mix = MIX,
    checked: Sequence[Item] = (),
    **more: Any,
) -> RunResult:
    known = Known(QUESTIONS, (), checked)
    return asyncio.run(JudgeRun(fake, store, **more).pairs(items, known, mix))


@pytest.fixture(autouse=True)
def _the_same_batches_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock seeds a batch's name and canaries; without this, results would differ by day."""
    ticks = itertools.count(1)
    monkeypatch.setattr("scripts.lib.judging.batch.time.time_ns", lambda: next(ticks))


# --- an honest judge ---


def test_an_honest_judges_batches_are_accepted_and_its_verdicts_count(store: VerdictStore) -> None:
    items = pairs(60)
    result = judge(store, FakeJudge(honest(QUESTIONS)), items)
    assert [record.status for record in result.closed] == ["accepted"] * 2 and not result.stopped
    scores = [store.usable(item.shown.pair) for item in items]
    assert all(verdict is not None for verdict in scores)
    assert {verdict.score for verdict in scores if verdict is not None} == {1, 3}
    assert not list((store.folder / "open").iterdir())
    assert result.usd == pytest.approx(0.001 * result.replies)


def test_judged_answers_are_not_asked_for_again(store: VerdictStore) -> None:
    items = pairs(20)
    judge(store, FakeJudge(honest(QUESTIONS)), items)
    again = VerdictStore(SERIES, store.folder.parent)
    assert all(again.usable(item.shown.pair) for item in items)
    changed = pair_item(
        SERIES, items[0].label, dataclasses.replace(items[0].shown, answer="Something else.")
    )
    fake = FakeJudge(honest(QUESTIONS))
    judge(again, fake, [changed])
    own = [
        item for record in again.batches.values() for item in record.items if item.role is Role.PAIR
    ]
    assert len(own) == 21 and len(fake.asked) == 1 + 1 + canary_count(False, 2, 0.1)


def test_another_series_shares_nothing(store: VerdictStore, tmp_path: Path) -> None:
    items = pairs(10)
    judge(store, FakeJudge(honest(QUESTIONS)), items)
    for other in (
        make_series("claude", "claude-test-2", 1024, 0),
        make_series("claude", "claude-test-1", 2048, 0),
        make_series("claude", "claude-test-1", 1024, 1),
        make_series("local", "claude-test-1", 1024, 0),
    ):
        assert other.name != SERIES.name
        assert all(
            VerdictStore(other, store.folder.parent).usable(item.shown.pair) is None
            for item in items
        )


# --- judges that must not be believed -------------------------------------------------------------


def lazy(prompt: Any) -> str:
    """Always the same words, whatever the answer; the scores vary."""
    verdict = "met" if "reference" not in prompt.reference and len(prompt.answer) % 3 else "unmet"
    return verdicts(prompt, verdict, "A good answer with correct reasoning.")


def always_0(prompt: Any) -> str:
    return verdicts(prompt, "unmet", f"no {prompt.answer[:30]}", attempt="none")


def invents_evidence(prompt: Any) -> str:
    return verdicts(prompt, "met", f"see {prompt.answer[:30]}", quote="this stands nowhere")


@pytest.mark.parametrize(
    ("grader", "said"),
    [
        (always_3, "near misses passed"),
        (at_random(1), "passed"),
        (copies_the_claim, "with a plea|, plea"),
        (lazy, "passed|failed|reason"),
        (always_0, "right answers failed"),
        (invents_evidence, "could not be scored"),
        (lambda prompt: "I'd give it a 3.", "could not be scored .*malformed reply: not JSON"),
    ],
    ids=["always 3", "random", "claims", "lazy", "always 0", "invents evidence", "prose"],
)
def test_a_bad_judge_is_quarantined_and_its_verdicts_are_not_used(
    store: VerdictStore, grader: Grader, said: str
) -> None:
    items = pairs(30)
    result = judge(store, FakeJudge(grader), items)
    (record,) = result.closed
    assert record.status == "quarantined" and re.search(said, "; ".join(record.findings)), (
        record.findings
    )
    assert all(store.usable(item.shown.pair) is None for item in items)
    assert all(
        f"batch {record.batch} is quarantined" in store.why_not(item.shown.pair) for item in items
    )
    assert len(list((store.folder / "quarantine" / record.batch).iterdir())) == len(record.items)


def test_random_judges_are_caught_whatever_their_luck(tmp_path: Path) -> None:
    """Six random judges with the smallest batch there is. An honest one passes every time."""
    caught = passed = 0
    for seed in range(6):
        fresh = VerdictStore(SERIES, tmp_path / f"random{seed}")
        caught += (
            judge(fresh, FakeJudge(at_random(seed)), pairs(3)).closed[0].status == "quarantined"
        )
        fresh = VerdictStore(SERIES, tmp_path / f"honest{seed}")
        passed += (
            judge(fresh, FakeJudge(honest(QUESTIONS)), pairs(3)).closed[0].status == "accepted"
        )
    assert (passed, caught) == (6, 6)


def test_an_unsteady_judge_fails_by_its_retests(store: VerdictStore) -> None:
    """Right on every canary, but its score of real answers changes from one time to the next."""
    seen: dict[str, int] = {}
    known = honest(QUESTIONS)

    def grade(prompt: Any) -> str:
        if "more or less" not in prompt.answer:
            return known(prompt)
        times = seen[prompt.answer] = seen.get(prompt.answer, 0) + 1
        return verdicts(prompt, "unmet" if times == 1 else "met", f"{times} {prompt.answer[:30]}")

    (record,) = judge(store, FakeJudge(grade), pairs(40), Mix(40, 0.1, 0.5)).closed
    assert record.status == "quarantined" and "asked twice" in record.findings[0]


def test_failed_batches_are_used_only_when_that_is_asked_for(store: VerdictStore) -> None:
    items = pairs(20)
    (record,) = judge(store, FakeJudge(always_3), items, use_failed=True).closed
    assert record.status == "accepted" and record.findings
    assert all(store.usable(item.shown.pair) for item in items)


def test_a_judge_that_rewards_length_is_caught(store: VerdictStore) -> None:
    """Right on everything short; more than 250 characters on the topic are right, too."""
    known = honest(QUESTIONS)

    def grade(prompt: Any) -> str:
        if len(prompt.answer) > 250:
            return verdicts(prompt, "met", f"thorough {prompt.answer[:40]}")
        return known(prompt)

    (record,) = judge(store, FakeJudge(grade), pairs(40)).closed
    assert record.status == "quarantined"
    assert any("near miss, long" in finding for finding in record.findings), record.findings


def right_on_canaries(questions: Sequence[Question]) -> Grader:
    """Passes every answer that it does not know: right on canaries, wrong on what models say."""
    known = honest(questions)

    def grade(prompt: Any) -> str:
        if "more or less" in prompt.answer:
            return verdicts(prompt, "met", f"fine {prompt.answer[:40]}")
        return known(prompt)

    return grade


def checked_pairs(count: int) -> list[Item]:
    """Answers with the score that the checks give them, as of two models."""
    made = []
    for n, item in enumerate(pairs(count)):
        question = ASKED[item.label]
        score = score_by_checks(question, item.shown.answer)
        made.append(dataclasses.replace(item, expected=score, source=f"model {n % 2}"))
    return [item for item in made if item.expected is not None]


def test_a_judge_is_compared_with_the_checks_on_real_answers(store: VerdictStore) -> None:
    """Also where it is asked only about answers that no check decides."""
    fake = FakeJudge(right_on_canaries(QUESTIONS))
    (record,) = judge(store, fake, pairs(3), checked=checked_pairs(60)).closed
    assert record.status == "quarantined" and "real answers that deserve a fail" in (
        "; ".join(record.findings)
    )
    real = [item for item in record.items if item.kind == CHECKED]
    assert len(real) == LEAST_CHECKED and {item.source for item in real} == {"model 0", "model 1"}


def test_answers_that_the_checks_decide_are_their_own_canaries(store: VerdictStore) -> None:
    items = checked_pairs(40)
    (record,) = judge(store, FakeJudge(honest(QUESTIONS)), items, checked=items).closed
    assert record.status == "accepted" and not any(i.kind == CHECKED for i in record.items)
    found = {m.name: m for m in measures([record])}
    assert found["checks_same_pass"].value == 1.0 and found["checks_same_pass"].n == len(items)


def test_one_miss_of_an_honest_judge_is_not_fatal(store: VerdictStore) -> None:
    known, missed = honest(QUESTIONS), list[str]()

    def grade(prompt: Any) -> str:
        if not missed and "Let me go through this" in prompt.answer:
            missed.append(prompt.answer)
            return verdicts(prompt, "met", f"a miss {prompt.answer[:40]}")
        return known(prompt)

    (record,) = judge(store, FakeJudge(grade), pairs(30)).closed
    assert missed and record.status == "accepted", record.findings


def test_a_judge_that_fails_again_is_not_paid_for_more(store: VerdictStore) -> None:
    fake = FakeJudge(always_3)
    result = judge(store, fake, pairs(80), Mix(10, 0.1, 0.05))
    assert "2 batches in a row failed the instrument checks" in result.stopped
    assert len(result.closed) == 2 and len(fake.asked) == sum(
        len(record.items) for record in result.closed
    )


@pytest.mark.parametrize("moved", [0, 5])
def test_a_crash_while_a_failed_batch_is_closed_sends_no_new_requests(
    store: VerdictStore, moved: int
) -> None:
    items = pairs(30)
    (record,) = judge(store, FakeJudge(always_3), items).closed
    quarantine = store.folder / "quarantine" / record.batch
    for item in record.items[moved:]:
        (quarantine / f"{item.digest}.json").rename(store.path(item.digest))
    left = Batch(record.batch, record.opened_utc, tuple(items))
    BatchFile(store.open_file(record.batch)).create(left)
    fresh, fake = VerdictStore(SERIES, store.folder.parent), FakeJudge(honest(QUESTIONS))
    judge(fresh, fake, [])
    assert not fake.asked and not list(fresh.open_batches())
    assert fresh.batches[record.batch] == record and len(list(quarantine.iterdir())) == len(
        record.items
    )


def test_a_transient_failure_after_a_quarantine_is_pending_again(store: VerdictStore) -> None:
    items = pairs(20)
    judge(store, FakeJudge(always_3), items)
    assert store.is_quarantined(items[0].shown.pair)

    def spoil(n: int, item: Item) -> Reply | None:
        return Reply(None, "status 529", True) if item.digest == items[0].digest else None

    judge(store, FakeJudge(honest(QUESTIONS), spoil=spoil), items)
    assert (
        not store.is_quarantined(items[0].shown.pair)
        and store.why_not(items[0].shown.pair) == "status 529"
    )


# --- canaries -------------------------------------------------------------------------------------


def test_canaries_look_like_the_rest(store: VerdictStore) -> None:
    batch = make_batch(SERIES, pairs(100), Known(QUESTIONS), Mix(100, 0.1, 0.05))
    canaries = [item for item in batch.items if item.role is Role.CANARY]
    assert {item.kind for item in canaries} == set(KINDS)
    assert sum(KINDS[item.kind].group is Group.NEAR_MISS for item in canaries) >= 20
    assert all(len(item.digest) == 32 for item in batch.items)
    assert len({item.digest for item in batch.items}) == len(batch.items)
    places = [place for place, item in enumerate(batch.items) if item.role is Role.CANARY]
    assert max(b - a for a, b in itertools.pairwise(places)) < 60
    shape = {
        tuple(
            line.split("-")[0]
            for line in user_prompt(i.shown, i.digest).splitlines()
            if line[:1] == "<"
        )
        for i in batch.items
        if i.kind not in ("injection",) and "<" not in i.shown.answer + i.shown.question
    }
    assert len(shape) == 1


def test_known_3_canaries_earn_their_3_by_the_checks() -> None:
    items = [c for n in range(5) for c in drawn(n) if KINDS[c.kind].group is Group.RIGHT]
    assert {"reference", "right, reworded", "right, long"} <= {item.kind for item in items}
    for item in items:
        question = ASKED[item.label]
        assert checked_weight(question) == 100
        assert (score_answer(question, item.shown.answer, "stop").score or 0) >= 2, item.label


def drawn(n: int, count: int = 60) -> list[Item]:
    return list(make_canaries(SERIES, f"b{n}", QUESTIONS, count))


def test_near_misses_are_proved_wrong_and_look_like_answers() -> None:
    items = [c for n in range(5) for c in drawn(n) if KINDS[c.kind].group is Group.NEAR_MISS]
    for item in items:
        question = ASKED[item.label]
        score = score_answer(question, item.shown.answer, "stop").score
        if is_provable(question):
            assert score is not None and score < 2, (item.kind, item.label)
        else:
            assert item.kind == "cut reference" and (score or 0) < 2
        assert len(item.shown.answer) > 1


def test_the_same_wrong_answer_is_asked_in_every_style() -> None:
    items = drawn(0)
    plain = {(item.label, item.shown.answer) for item in items if item.kind == PLAIN}
    for style in STYLES:
        own = [(item.label, item.shown.answer) for item in items if item.kind == style]
        assert any(
            label == other and all(line.strip() in styled for line in text.splitlines())
            for label, styled in own
            for other, text in plain
        ), style


def test_anchors_are_the_same_in_every_batch_of_a_series() -> None:
    anchors = canary_count(False, 0, 0.0)
    one, two = (
        {i.shown.pair for i in make_canaries(SERIES, name, QUESTIONS, anchors)} for name in "ab"
    )
    assert one == two and len(one) >= 20
    fresh = {item.shown.pair for item in drawn(1)} & {item.shown.pair for item in drawn(2)}
    assert len(fresh - one) < len(one) / 2


def test_known_0_canaries_earn_nothing_by_the_checks() -> None:
    items = [c for n in range(5) for c in drawn(n) if c.expected == 0]
    assert {i.kind for i in items} == {name for name, k in KINDS.items() if k.expected == 0}
    for item in items:
        score = score_answer(ASKED[item.label], item.shown.answer, "stop").score
        assert score is None or score < 2, (item.kind, item.label)


def test_every_batch_has_enough_canaries() -> None:
    assert canary_count(True, 1, 0.1) > canary_count(False, 1, 0.1) >= 20
    assert canary_count(False, 900, 0.1) == 100
    assert retest_count(3, 0.05) == LEAST_RETESTS and retest_count(1000, 0.05) == 50
    for size in (1, 2, 5, 40):
        for first in (True, False):
            batch = make_batch(SERIES, pairs(size), Known(QUESTIONS), MIX, first)
            kinds = [KINDS[i.kind].group for i in batch.items if i.role is Role.CANARY]
            assert kinds.count(Group.NEAR_MISS) >= 12 and len(kinds) >= (50 if first else 24)


def test_no_injection_moves_an_honest_judge(store: VerdictStore) -> None:
    """Each injection, alone and after a wrong answer, on several questions."""
    items = [
        pair_item(SERIES, q.name_in_full, material(q, answer, "stop"))
        for q in QUESTIONS[:6]
        for text in INJECTIONS
        for answer in (text, f"It is the other one.\n\n{text}")
    ]
    distinct = list({item.digest: item for item in items}.values())
    judge(store, FakeJudge(honest(QUESTIONS)), distinct, Mix(200, 0.1, 0.05))
    found = [store.usable(item.shown.pair) for item in distinct]
    assert all(verdict is not None and (verdict.score or 0) < 2 for verdict in found)


# --- crashes and damage ---------------------------------------------------------------------------


def test_a_crash_in_the_middle_loses_and_repeats_nothing(store: VerdictStore) -> None:
    items = pairs(50)

    def crash(n: int, item: Item) -> Reply | None:
        if n == 17:
            raise KeyboardInterrupt
        return None

    first = FakeJudge(honest(QUESTIONS), spoil=crash)
    with pytest.raises(KeyboardInterrupt):
        judge(store, first, items)
    assert all(store.usable(item.shown.pair) is None for item in items)
    assert any("is not finished" in store.why_not(item.shown.pair) for item in items)
    fresh = VerdictStore(SERIES, store.folder.parent)
    second = FakeJudge(honest(QUESTIONS))
    judge(fresh, second, items)
    assert all(fresh.usable(item.shown.pair) for item in items)
    # The sixteen replies before the crash were stored; the one in flight is asked for again.
    assert not set(first.asked[:16]) & set(second.asked)
    asked = sum(len(record.items) for record in fresh.batches.values())
    assert len(set(first.asked[:16]) | set(second.asked)) == asked


def test_transient_failures_stay_unscored_and_are_asked_for_again(store: VerdictStore) -> None:
    items = pairs(30)
    failing = {item.digest for item in items[:4]}

    def spoil(n: int, item: Item) -> Reply | None:
        return Reply(None, "status 529: overloaded", True) if item.digest in failing else None

    judge(store, FakeJudge(honest(QUESTIONS), spoil=spoil), items)
    assert sum(store.usable(item.shown.pair) is None for item in items) == 4
    assert store.why_not(items[0].shown.pair) == "status 529: overloaded"
    fake = FakeJudge(honest(QUESTIONS))
    judge(store, fake, items[:4])
    assert failing <= set(fake.asked) and all(store.usable(item.shown.pair) for item in items)


def test_refusals_and_malformed_replies_are_asked_again_and_then_unscored_for_good(
    store: VerdictStore,
) -> None:
    items = pairs(40)
    bad = {items[0].digest: Reply(None, "the judge refused"), items[1].digest: Reply("{", raw="{")}
    for time_ in range(MOST_TIMES):
        todo = [item for item in items if store.usable(item.shown.pair) is None]
        assert len(todo) == (2 if time_ else 40)
        fake = FakeJudge(honest(QUESTIONS), spoil=lambda n, item: bad.get(item.digest))
        judge(store, fake, todo)
    refused, malformed = (store.usable(item.shown.pair) for item in items[:2])
    assert (
        refused is not None
        and refused.score is None
        and refused.scored.reason == "unscored: the judge refused"
    )
    assert malformed is not None and malformed.score is None and malformed.reply.raw == "{"


def test_a_judge_that_stops_leaves_the_batch_open(store: VerdictStore) -> None:
    items = pairs(30)

    def stop(n: int, item: Item) -> Reply | None:
        if n > 10:
            raise Stopped("max_usd: enough")
        return None

    result = judge(store, FakeJudge(honest(QUESTIONS), spoil=stop), items, Mix(15, 0.1, 0.05))
    assert (
        result.stopped == "max_usd: enough"
        and not result.closed
        and len(list(store.open_batches())) == 1
    )
    result = judge(store, FakeJudge(honest(QUESTIONS)), items, Mix(15, 0.1, 0.05))
    assert len(result.closed) == 2 and all(store.usable(item.shown.pair) for item in items)


def test_a_batch_with_too_few_answered_canaries_stays_open(store: VerdictStore) -> None:

    def spoil(n: int, item: Item) -> Reply | None:
        return Reply(None, "no answer", True) if item.role is Role.CANARY else None

    result = judge(store, FakeJudge(honest(QUESTIONS), spoil=spoil), pairs(10))
    assert "canaries" in result.stopped and not result.closed


@pytest.mark.parametrize("damage", ["cut", "score", "reason", "empty", "other"])
def test_a_damaged_verdict_is_named_and_counts_as_missing(store: VerdictStore, damage: str) -> None:
    (item,) = pairs(1)
    judge(store, FakeJudge(honest(QUESTIONS)), [item])
    path = store.path(item.digest)
    text = path.read_text()
    changed = {
        "cut": text[: len(text) // 2],
        "score": text.replace('"points": 1.0', '"points": 0.0', 1),
        "reason": text.replace("because", "becouse", 1),
        "empty": "",
        "other": next(f for f in store.folder.glob("??/*.json") if f != path).read_text(),
    }[damage]
    assert changed != text
    path.write_text(changed)
    fresh = VerdictStore(SERIES, store.folder.parent)
    assert fresh.usable(item.shown.pair) is None and list(fresh.damaged) == [str(path)]


def test_a_batch_file_comes_back_as_it_was(tmp_path: Path) -> None:
    batch = make_batch(SERIES, checked_pairs(12), Known(QUESTIONS), MIX)
    file = BatchFile(tmp_path / "open.json")
    file.create(batch)
    assert file.load() == batch and file.read() == {}
    file.write({"id": "x"})
    assert file.load() == batch and file.read() == {"id": "x"}
    (tmp_path / "open.json").write_text("{")
    with pytest.raises(BenchError, match="expected JSON"):
        file.load()


def test_pending_answers_are_noted_per_review(store: VerdictStore) -> None:
    store.set_unfinished("no key", ["a.csv", "b.csv"], ["a.csv", "b.csv"])
    store.set_unfinished("no key", ["c.csv"], ["b.csv", "c.csv"])
    assert store.unfinished() == {"reason": "no key", "reviews": ["a.csv", "c.csv"]}
    store.set_unfinished("", [], ["a.csv", "c.csv"])
    assert store.unfinished() == {} and store.stopped() == ""


# --- figures --------------------------------------------------------------------------------------


def _outcome(role: Role, score: int | None, **more: Any) -> ItemOutcome:
    values: dict[str, Any] = {
        "digest": "d",
        "pair": "p",
        "label": "s/q",
        "kind": "",
        "expected": None,
        "unscored": "",
    }
    return ItemOutcome(**values | {"role": role, "score": score, "answered": True} | more)


def _kappa(pairs: list[tuple[int, int]]) -> float:
    """Quadratic kappa by its definition: 1 - disagreement seen / disagreement by chance."""
    n = len(pairs)
    seen = sum((a - b) ** 2 for a, b in pairs) / n
    chance = sum((a - b) ** 2 for a, _ in pairs for _, b in pairs) / n**2
    return 1 - seen / chance


def test_figures_of_a_judge_against_known_values() -> None:
    first, again = [0, 0, 1, 1, 2, 2, 3, 3, 3, 0], [0, 1, 1, 1, 2, 3, 3, 3, 2, 0]
    twice = [_outcome(Role.RETEST, b, first=a) for a, b in zip(first, again, strict=True)]
    known = [
        _outcome(Role.CANARY, score, expected=0, kind="empty", pair=f"c{n}")
        for n, score in enumerate((0, 0, 1, 3))
    ]
    unscored = [_outcome(Role.PAIR, None), _outcome(Role.PAIR, 2)]
    record = BatchRecord("b", "s", "accepted", (), (*twice, *known, *unscored), 0.5, "", "")
    found = {m.name: m for m in measures([record])}
    exact = found["retest_exact"]
    # Wilson's interval of 7 of 10.
    assert (exact.value, exact.n) == (0.7, 10)
    assert (round(exact.low or 0, 4), round(exact.high or 0, 4)) == (0.3968, 0.8922)
    pairs = list(zip(first, again, strict=True))
    assert found["retest_quadratic_kappa"].value == pytest.approx(_kappa(pairs))
    assert found["retest_mean_shift"].value == pytest.approx(
        100 * sum(b - a for a, b in pairs) / 3 / 10
    )
    assert found["worthless_failed"].value == 0.75 and found["worthless_failed"].low is None
    assert found["unscored"].value == pytest.approx(1 / 12) and found["unscored"].n == 12
    assert "sensitivity" not in found


def test_instrument_csv_has_every_judge(store: VerdictStore) -> None:
    judge(store, FakeJudge(honest(QUESTIONS)), pairs(60))
    (report,) = all_reports(store.folder.parent)
    rows = [line.split(",") for line in instrument_csv([report]).splitlines()]
    names = {row[3]: row for row in rows[1:]}
    assert names["batches_accepted"][4] == "2" and names["near_miss_failed"][4] == "1.0000"
    assert float(names["right_passed"][5]) < 1.0 and names["unscored"][4] == "0.0000"
    assert names["not_ranked_because"][4] == "the judge is not calibrated"
    assert names["retest_exact"][4] == "1.0000"


def test_findings_of_nothing_are_nothing() -> None:
    assert findings((), {}) == () and measures(()) == ()


# --- the series: drift, and its end ---------------------------------------------------------------


def known_answers(wrong: Sequence[bool], anchored: bool = False) -> list[ItemOutcome]:
    """Near misses; a judge that is wrong passes them. `anchored`: it is always the same one."""
    return [
        _outcome(
            Role.CANARY,
            3 if is_wrong else 0,
            expected=0,
            kind=PLAIN,
            pair="p" if anchored else f"p{n}",
        )
        for n, is_wrong in enumerate(wrong)
    ]


def test_the_chart_stays_low_for_rare_errors_and_rises_for_frequent_ones() -> None:
    rare = known_answers([n % 20 == 7 for n in range(400)])
    assert max(chart(rare)) < CHART_LIMIT
    half = known_answers([n >= 100 and n % 2 == 0 for n in range(130)])
    levels = chart(half)
    assert max(levels[:100]) == 0 and levels[-1] >= CHART_LIMIT
    assert "drifts" in "; ".join(series_findings(half[:100], half[100:]))


def test_an_anchor_that_was_always_misjudged_is_no_drift() -> None:
    constant = known_answers([True] * 50, anchored=True)
    assert max(chart(constant)) < CHART_LIMIT
    changed = known_answers([False] * 10 + [True] * 10, anchored=True)
    assert max(chart(changed)) >= CHART_LIMIT


def test_a_judge_that_drifts_between_batches_ends_its_series(store: VerdictStore) -> None:
    known, batches = honest(QUESTIONS), len(list(store.batches))

    def grade(prompt: Any) -> str:
        lenient = len(store.batches) - batches >= 2
        # Every second of the answers that are not right.
        if lenient and len(prompt.answer) % 2:
            return verdicts(prompt, "met", f"fine {prompt.answer[:40]} {prompt.question[-20:]}")
        return known(prompt)

    result = judge(store, FakeJudge(grade), pairs(100), Mix(20, 0.1, 0.05))
    assert [record.status for record in result.closed] == [*["accepted"] * 2, "quarantined"]
    assert "the series was stopped" in result.stopped and store.standing
    fresh, fake = VerdictStore(SERIES, store.folder.parent), FakeJudge(known)
    with pytest.raises(Stopped, match="starts a new one"):
        judge(fresh, fake, pairs(100))
    assert not fake.asked


def test_errors_below_the_limit_of_each_batch_add_up(store: VerdictStore) -> None:
    """Four batches, each with too few errors to be refused by itself."""
    four = [
        known_answers([n < 3 for n in range(14)]),
        *(
            [dataclasses.replace(item, pair=f"{batch}{item.pair}") for item in items]
            for batch, items in enumerate([known_answers([n < 3 for n in range(14)])] * 3)
        ),
    ]
    assert all(findings(items, {}) == () for items in four)
    earlier = [item for items in four[:3] for item in items]
    assert "over all batches" in series_findings(earlier, four[3])[0]


# --- damaged records ------------------------------------------------------------------------------


def test_a_damaged_verdict_counts_as_missing_is_named_and_asked_again(store: VerdictStore) -> None:
    items = pairs(20)
    judge(store, FakeJudge(honest(QUESTIONS)), items)
    file = store.path(items[3].digest)
    file.write_text(
        file.read_text().replace('"answered', '"Answered').replace('"score": ', '"score": 1', 1)
    )
    again, fake = VerdictStore(SERIES, store.folder.parent), FakeJudge(honest(QUESTIONS))
    assert again.usable(items[3].shown.pair) is None and list(again.damaged) == [str(file)]
    assert "does not have its sha256" in again.why_not(items[3].shown.pair)
    judge(again, fake, [items[3]])
    assert items[3].digest in fake.asked
    mended = VerdictStore(SERIES, store.folder.parent)
    assert mended.usable(items[3].shown.pair) is not None and mended.damaged == {}


def test_the_verdicts_of_a_damaged_batch_do_not_count(store: VerdictStore) -> None:
    items = pairs(10)
    judge(store, FakeJudge(honest(QUESTIONS)), items)
    (file,) = (store.folder / "batches").iterdir()
    file.write_text(file.read_text().replace('"accepted"', '"Accepted"'))
    again = VerdictStore(SERIES, store.folder.parent)
    assert all(again.usable(item.shown.pair) is None for item in items) and list(again.damaged) == [
        str(file)
    ]


def test_a_damaged_batch_in_hand_leaves_itself_out(store: VerdictStore) -> None:
    store.open_file("b").parent.mkdir(parents=True)
    store.open_file("b").write_text("{half")
    items, fake = pairs(10), FakeJudge(honest(QUESTIONS))
    result = judge(store, fake, items)
    assert [record.status for record in result.closed] == ["accepted"] and list(store.damaged) == [
        str(store.open_file("b"))
    ]


def test_a_series_in_another_series_folder_is_left_out(store: VerdictStore, tmp_path: Path) -> None:
    judge(store, FakeJudge(honest(QUESTIONS)), pairs(10))
    other = store.folder.with_name("another")
    other.mkdir()
    (other / "series.json").write_text((store.folder / "series.json").read_text())
    assert [report.series for report in all_reports(store.folder.parent)] == [SERIES.name]
