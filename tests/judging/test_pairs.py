"""Pairs: two setups' answers side by side, in both orders, by honest and by flawed judges."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import binomtest

from scripts.lib.base.errors import BenchError
from scripts.lib.judging import pairs as judging_pairs
from scripts.lib.judging.batch import BatchFile, Known, Mix, make_batch
from scripts.lib.judging.canaries import near_miss, right_answer
from scripts.lib.judging.pair_checks import (
    LEAST_PAIR_CANARIES,
    NEAR_MISS,
    PAIR_CHECKS,
    SAME_TWICE,
    all_reports,
    make_pair_canaries,
    pair_findings,
)
from scripts.lib.judging.pairs import (
    Duel,
    SetupPair,
    check_compared,
    decision,
    duel_items,
    pair_result,
    pairs_csv,
    setup_pairs,
)
from scripts.lib.judging.protocol import Journal, Keep
from scripts.lib.judging.run import JudgeRun
from scripts.lib.planning.modes import Mode
from scripts.lib.scoring.judge_prompt import Malformed, material
from scripts.lib.scoring.pair_prompt import (
    FIRST_BETTER,
    SECOND_BETTER,
    TIE,
    answer_pair,
)
from scripts.lib.scoring.score import score_answer
from scripts.lib.scoring.series import Item, Reply, Role, make_series
from scripts.lib.scoring.verdict_store import VerdictStore
from tests.factories.judge_server import (
    MODEL,
    Grader,
    Prompt,
    better,
    by_checks,
    take_apart,
)
from tests.factories.judging import ASKED, QUESTIONS
from tests.factories.plans import plan_of_shards

SERIES = make_series("claude", MODEL, 1024, 0, compares=True)
MIX = Mix(40, 0.1, 0.05)
WITH_NEAR_MISS = [q for q in QUESTIONS if near_miss(q) is not None and right_answer(q) is not None]


@pytest.fixture
def store(tmp_path: Path) -> VerdictStore:
    return VerdictStore(SERIES, tmp_path / "verdicts")


class FakeJudge:
    batches_at_once = 1
    series = SERIES

    def __init__(self, grader: Grader):
        self._grader, self.asked = grader, 0

    async def ask(self, items: Sequence[Item], journal: Journal, keep: Keep) -> None:
        for item in items:
            self.asked += 1
            content = self._grader(take_apart(item.shown.user_prompt(item.digest)))
            await keep(item, Reply(content, raw=content, usd=0.001))

    async def close(self) -> None: ...


def duel(number: int, first: str, second: str, repeat: int = 0) -> Duel:
    question = WITH_NEAR_MISS[number]
    shown = [material(question, answer, "stop") for answer in (first, second)]
    return Duel(question, (question.suite, question.id, repeat), *shown, ("a.csv", "b.csv"))


def right_and_wrong(count: int, start: int = 0) -> list[Duel]:
    """Duels that the first answer wins."""
    found = WITH_NEAR_MISS[start : start + count]
    return [
        duel(start + n, question.reference_answer, near_miss(question) or "")
        for n, question in enumerate(found)
    ]


def judge(store: VerdictStore, grader: Grader, duels: Sequence[Duel]) -> FakeJudge:
    items = {i.digest: i for d in duels if not d.is_equal for i in duel_items(SERIES, d)}
    fake = FakeJudge(grader)
    run = JudgeRun(fake, store, checks=PAIR_CHECKS)
    asyncio.run(run.pairs(list(items.values()), Known(QUESTIONS), MIX))
    return fake


HONEST = by_checks(QUESTIONS)

# --- the prompt and the decision ---


def test_both_orders_must_agree_for_a_win() -> None:
    assert decision(FIRST_BETTER, SECOND_BETTER) == 1
    assert decision(SECOND_BETTER, FIRST_BETTER) == -1
    for forth, back in ((2, 2), (0, 0), (2, 1), (1, 0), (1, 1), (0, 1), (1, 2)):
        assert decision(forth, back) == 0
    assert decision(None, 0) is None and decision(2, None) is None


def _reply(pair: Any, *verdicts: str, quote: str | None = None) -> str:
    quoted = pair.first[:30] if quote is None else quote
    criteria = [
        {"number": n, "better": v, "reason": "r", "evidence_quote": "" if v == "equal" else quoted}
        for n, v in enumerate(verdicts, 1)
    ]
    return json.dumps({"criteria": criteria, "summary": "s"})


def test_code_adds_up_the_criteria_and_names_the_winner() -> None:
    question = next(q for q in QUESTIONS if len(q.scoring) == 2)
    weights = [criterion.weight for criterion in question.scoring]
    pair = answer_pair(
        material(question, "The first answer, which is long.", "stop"),
        material(question, "The second one.", "length"),
    )
    heavy, light = ("first", "second") if weights[0] > weights[1] else ("second", "first")
    assert pair.score(_reply(pair, "first", "equal")).score == FIRST_BETTER
    assert pair.score(_reply(pair, "equal", "second")).score == SECOND_BETTER
    assert pair.score(_reply(pair, "equal", "equal")).score == TIE
    if weights[0] != weights[1]:
        wanted = FIRST_BETTER if heavy == "first" else SECOND_BETTER
        assert pair.score(_reply(pair, "first", "second")).score == wanted
    assert "second answer was cut off" in pair.user_prompt("d") and light
    invented = pair.score(_reply(pair, "first", "equal", quote="nowhere at all"))
    assert invented.score is None and "evidence is not in the answer" in invented.unscored
    with pytest.raises(Malformed, match="verdicts on criteria"):
        pair.score(_reply(pair, "first"))


def test_equal_answers_are_ties_that_cost_nothing(store: VerdictStore) -> None:
    fake = judge(store, HONEST, [duel(0, "The same.", "The same.")])
    assert fake.asked == 0


# --- which setups are compared ---


def test_quantisations_expert_counts_and_kv_types_are_compared_by_default() -> None:
    plan = plan_of_shards(
        ("big_q8", "Big", "Q8_0", Mode("baseline")),
        ("big_q4", "big", "Q4_K_M", Mode("baseline")),
        ("big_q4", "big", "Q4_K_M", Mode("lookup_n3", lookup_n=3)),
        ("other", "Other", "Q4_K_M", Mode("baseline")),
        ("other", "Other", "Q4_K_M", Mode("moe4", experts=4)),
        ("other", "Other", "Q4_K_M", Mode("moe8", experts=8, full_experts=True)),
        ("other", "Other", "Q4_K_M", Mode("baseline").in_variant("kv_q8")),
        ("other", "Other", "Q4_K_M", Mode("baseline").in_variant("t2")),
    )
    found = {
        (p.kind, judging_pairs.setup_name(p.first), judging_pairs.setup_name(p.second))
        for p in setup_pairs([plan])
    }
    assert found == {
        ("quantisation", "big_q8/baseline", "big_q4/baseline"),
        ("experts", "other/baseline", "other/moe4"),
        ("KV types", "other/baseline", "other/baseline@kv_q8"),
    }
    given = replace(plan, compared=(("big_q4/baseline", "other/moe4"),))
    (pair,) = setup_pairs([given])
    assert (pair.first.model.key, pair.second.mode.name) == ("big_q4", "moe4")
    with pytest.raises(BenchError, match=r"no setup 'othr/moe4'; did you mean 'other/moe4'"):
        check_compared([replace(plan, compared=(("big_q4/baseline", "othr/moe4"),))])


# --- canaries and checks ---


def test_canaries_are_near_misses_in_both_orders_and_ties() -> None:
    made = list(make_pair_canaries(SERIES, "b", (), Known(QUESTIONS), 0.0, True))
    assert len(made) >= LEAST_PAIR_CANARIES and len({item.digest for item in made}) == len(made)
    near = [item for item in made if item.kind == NEAR_MISS]
    assert sum(item.expected == FIRST_BETTER for item in near) == len(near) / 2 >= 8
    for item in near:
        question, right = ASKED[item.label], item.expected == FIRST_BETTER
        good, bad = (item.shown.first, item.shown.second)[:: 1 if right else -1]
        assert good != bad
        assert score_answer(question, good, "stop").passed
        assert not score_answer(question, bad, "stop").passed
    same = [item for item in made if item.kind == SAME_TWICE]
    assert same and all(i.shown.first == i.shown.second and i.expected == TIE for i in same)


def _position(which: str) -> Grader:
    return lambda prompt: better(prompt, which, f"{which} {prompt.answer[:20]}")


def _longer(prompt: Prompt) -> str:
    assert prompt.second is not None
    one, other = len(prompt.answer), len(prompt.second)
    return better(prompt, "equal" if one == other else "first" if one > other else "second", "size")


@pytest.mark.parametrize(
    ("grader", "said"),
    [
        (_position("first"), "near miss"),
        (_position("second"), "itself"),
        (_position("equal"), "near miss"),
        (by_checks(QUESTIONS, right=0.0, seed=1), "near miss"),
        (_longer, "near miss"),
        (lambda prompt: "The first one.", "could not be used"),
    ],
    ids=["first", "second", "tie", "always wrong", "longer", "prose"],
)
def test_a_bad_judge_of_pairs_is_quarantined(
    store: VerdictStore, grader: Grader, said: str
) -> None:
    judge(store, grader, right_and_wrong(12))
    (record,) = store.batches.values()
    assert record.status == "quarantined" and said in "; ".join(record.findings), record.findings


@pytest.mark.parametrize("right", [1.0, 0.95])
def test_an_honest_judge_of_pairs_is_accepted(store: VerdictStore, right: float) -> None:
    judge(store, by_checks(QUESTIONS, right, seed=3), right_and_wrong(12))
    (record,) = store.batches.values()
    assert record.status == "accepted", record.findings
    roles = [item.role for item in record.items]
    assert roles.count(Role.PAIR) == 24 and Role.RETEST in roles
    (report,) = all_reports(store.folder.parent)
    found = {m.name: m for m in report.measures}
    assert found["near_miss_right"].value >= 0.8 and found["first_shown_preferred"].n > 20


def test_a_batch_whose_canaries_were_not_answered_is_not_believed() -> None:
    assert any("no canary could be checked" in said for said in pair_findings((), {}).findings)


def test_a_batch_of_pairs_comes_back_from_its_file(tmp_path: Path) -> None:
    items = [item for duel in right_and_wrong(3) for item in duel_items(SERIES, duel)]
    batch = make_batch(SERIES, items, Known(QUESTIONS), MIX, canaries=make_pair_canaries)
    file = BatchFile(tmp_path / "open.json")
    file.create(batch)
    assert file.load() == batch


# --- results ---


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> Callable[[Sequence[Duel]], SetupPair]:
    """A pair of setups with these duels."""

    def make(found: Sequence[Duel]) -> SetupPair:
        monkeypatch.setattr(judging_pairs, "duels", lambda pair: iter(found))
        plan = plan_of_shards(
            ("a", "A", "Q8_0", Mode("baseline")), ("b", "A", "Q4_0", Mode("baseline"))
        )
        (pair,) = setup_pairs([plan])
        return pair

    return make


def test_wins_ties_and_losses_with_the_sign_test_and_the_price(
    store: VerdictStore, compared: Callable[[Sequence[Duel]], SetupPair]
) -> None:
    wins, equal = right_and_wrong(9), duel(20, "The same.", "The same.")
    lost = [replace(d, first=d.second, second=d.first) for d in right_and_wrong(2, start=9)]
    found = [*wins, *lost, equal]
    judge(store, HONEST, found)
    result = pair_result(store, compared(found))
    assert (result.wins, result.ties, result.losses, result.equal) == (9, 1, 2, 1)
    assert result.comparison is not None and result.waiting == 0
    assert result.comparison.estimate.value == pytest.approx(7 / 12)
    assert result.comparison.p_value == pytest.approx(binomtest(2, 11).pvalue)
    assert result.asked == 11 and result.usd == pytest.approx(0.022)
    assert result.usd_per_decision == pytest.approx(0.002)
    (row,) = csv.DictReader(io.StringIO(pairs_csv([result])))
    assert (row["first"], row["second"], row["kind"]) == (
        "a/baseline",
        "b/baseline",
        "quantisation",
    )
    assert (row["first_better"], row["equal_answers"], row["undecided"]) == ("9", "1", "0")


def test_a_pair_without_both_orders_is_undecided_and_no_tie(
    store: VerdictStore, compared: Callable[[Sequence[Duel]], SetupPair]
) -> None:
    found = right_and_wrong(6)
    judge(store, HONEST, found)
    store.path(duel_items(SERIES, found[0])[1].digest).unlink()
    result = pair_result(VerdictStore(SERIES, store.folder.parent), compared(found))
    assert (result.wins, result.ties, result.waiting) == (5, 0, 1)


def test_pairs_that_were_judged_are_not_paid_again(store: VerdictStore) -> None:
    found = right_and_wrong(6)
    judge(store, HONEST, found)
    todo = [i for d in found for i in duel_items(SERIES, d) if store.usable(i.shown.pair) is None]
    assert not todo
