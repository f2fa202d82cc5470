"""`judge.scope`: which answers a judge is asked about, and how reviews show those it is not."""

from __future__ import annotations

import itertools
import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scripts.lib.base.errors import InputErrors
from scripts.lib.judging.answers import (
    Answer,
    Beside,
    Work,
    asked_answers,
    beside_answers,
    estimate,
    sort_asked,
    with_known_scores,
)
from scripts.lib.judging.batch import Batch, Known, Mix, make_batch
from scripts.lib.judging.canaries import CHECKED as CHECKED_ANSWER
from scripts.lib.judging.canaries import LEAST_CHECKED, is_provable
from scripts.lib.judging.cost import size_of
from scripts.lib.judging.pair_checks import make_pair_canaries, pair_canary_count
from scripts.lib.planning.plan import Cell
from scripts.lib.prompts.types import Question
from scripts.lib.results.review import Evidence, review_cell
from scripts.lib.results.review_rows import ReviewRow
from scripts.lib.scoring.judge_prompt import material
from scripts.lib.scoring.pair_prompt import answer_pair
from scripts.lib.scoring.scorers import SCORER_VERSION, Scoring, scorers_of
from scripts.lib.scoring.series import Item, Role, verdict_digest
from scripts.lib.scoring.verdict_store import VerdictStore
from scripts.lib.settings.judge_config import ALL, PAIRS, UNCHECKED, JudgeConfig
from scripts.lib.settings.run_config import load_config
from tests.factories.judging import QUESTIONS, SERIES
from tests.factories.results_trees import cell

CHECKED = next(q for q in QUESTIONS if q.fully_checked)
OPEN = next(q for q in QUESTIONS if not q.fully_checked)


def config(scope: str, *scorers: str) -> JudgeConfig:
    return replace(load_config().judge, scope=scope, scorers=scorers)


def row(question: Question, scope: str, *scorers: str) -> ReviewRow:
    """The review of the question's reference as an answer."""
    record = cell(question.id, 1.0, answer=question.reference_answer)
    place = replace(record.cell, suite=question.suite)
    planned = Cell(place, question, record.spec, record.digest)
    scoring = Scoring(scorers_of(config(scope, *scorers), ""))
    return review_cell(Evidence(planned, record, "cell.json"), scoring)


def test_most_shipped_questions_are_fully_checked() -> None:
    from tests.factories.plans import SUITES

    questions = [q for suite in SUITES.values() for q in suite.questions if not q.workload]
    assert sum(q.fully_checked for q in questions) >= 0.9 * len(questions)


@pytest.mark.parametrize(
    ("scope", "asked"), [(UNCHECKED, (OPEN,)), (ALL, (OPEN, CHECKED)), (PAIRS, ())]
)
def test_the_scope_decides_which_answers_are_asked_about(
    scope: str, asked: tuple[Question, ...]
) -> None:
    answers = [Answer(q, material(q, "An answer.", "stop"), "r.csv") for q in (OPEN, CHECKED)]
    found = asked_answers(SERIES, answers, scope)
    assert {one.item.label for one in found} == {f"{q.suite}/{q.id}" for q in asked}


def stored(repeats: int = 4) -> list[Answer]:
    """Several answers to every question, in a random order."""
    made = [
        Answer(q, material(q, f"Number {n}, more or less.", "stop"), "r.csv", f"model {n}")
        for n in range(repeats)
        for q in QUESTIONS
    ]
    return random.Random(0).sample(made, len(made))


def batches(work: Work, mix: Mix) -> list[Batch]:
    """The batches of a run in a new series."""
    known = Known(QUESTIONS, work.judged, work.checked)
    parts = [work.pending[n : n + mix.pairs] for n in range(0, len(work.pending), mix.pairs)]
    return [make_batch(SERIES, part, known, mix, n == 0) for n, part in enumerate(parts)]


def test_answers_that_are_not_asked_about_measure_the_judge(tmp_path: Path) -> None:
    answers = stored()
    work = sort_asked(VerdictStore(SERIES, tmp_path), asked_answers(SERIES, answers, UNCHECKED))
    assert {item.label for item in work.pending} <= {
        q.name_in_full for q in QUESTIONS if not q.fully_checked
    }
    (batch,) = batches(with_known_scores(SERIES, work, answers), Mix(100, 0.1, 0.05))
    checked = [item for item in batch.items if item.kind == CHECKED_ANSWER]
    assert len(checked) == LEAST_CHECKED
    for item in checked:
        question = next(q for q in QUESTIONS if q.name_in_full == item.label)
        assert is_provable(question) and item.expected is not None
        assert item.role is Role.CANARY and item.source.startswith("model ")


@pytest.mark.parametrize("scope", [UNCHECKED, ALL])
@pytest.mark.parametrize("size", [4, 60, 100])
def test_an_estimate_counts_what_the_batches_have(
    scope: str, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = itertools.count(1)
    monkeypatch.setattr("scripts.lib.judging.batch.time.time_ns", lambda: next(ticks))
    answers, mix = stored(), Mix(size, 0.1, 0.05)
    work = sort_asked(VerdictStore(SERIES, tmp_path), asked_answers(SERIES, answers, scope))
    pending = {item.shown.pair for item in work.pending}
    beside = beside_answers(
        (a.question for a in answers if a.shown.pair in pending),
        (a.question for a in answers if a.shown.pair not in pending),
        first=True,
        judged=0,
    )
    found = estimate(map(size_of, work.pending), load_config().judge.claude, mix, None, beside)
    made = sum(len(b.items) for b in batches(with_known_scores(SERIES, work, answers), mix))
    # A canary that is drawn twice is left out; the share of known answers differs by batch.
    assert 0.98 * made <= found.requests <= 1.12 * made


def test_an_estimate_of_pairs_counts_their_canaries() -> None:
    items = [
        Item(verdict_digest(SERIES, shown.pair), Role.PAIR, q.name_in_full, shown)
        for q in QUESTIONS[:12]
        for shown in (answer_pair(material(q, "One.", "stop"), material(q, "Two.", "stop")),)
    ]
    mix = Mix(100, 0.1, 0.05)
    batch = make_batch(SERIES, items, Known(QUESTIONS), mix, canaries=make_pair_canaries)
    beside = Beside(pair_canary_count)
    found = estimate(map(size_of, items), load_config().judge.claude, mix, None, beside)
    assert found.requests == len(batch.items)


@pytest.mark.parametrize("scorers", [("claude", "checks"), ("claude",)])
def test_a_fully_checked_answer_has_the_checks_score_and_says_why_the_judge_has_none(
    scorers: tuple[str, ...],
) -> None:
    found = row(CHECKED, UNCHECKED, *scorers)
    assert (found.scorer, found.score, found.checks_score) == ("checks", 3, 3)
    assert found.claude_score is None and found.series == f"checks-{SCORER_VERSION}"
    assert "claude: not asked, since the checks score this answer fully" in found.score_reason


def test_an_answer_that_the_checks_do_not_see_is_the_judges_alone() -> None:
    found = row(OPEN, UNCHECKED, "claude", "checks")
    assert (found.scorer, found.score, found.claude_score) == ("claude", None, None)
    assert "not judged yet" in found.score_reason


def test_with_scope_all_the_judge_is_asked_about_everything() -> None:
    found = row(CHECKED, ALL, "claude", "checks")
    assert (found.scorer, found.score, found.checks_score) == ("claude", None, 3)


def test_scope_pairs_scores_no_answer_by_a_judge() -> None:
    assert row(CHECKED, PAIRS, "claude", "checks").score == 3
    found = row(OPEN, PAIRS, "claude")
    assert found.score is None and "judge.scope is pairs" in found.score_reason


def test_each_scope_names_its_own_reviews() -> None:
    names = {
        scorers_of(config(scope, "claude"), "")[0].identity for scope in (ALL, UNCHECKED, PAIRS)
    }
    assert len(names) == 3
    assert len({scorers_of(config(s, "checks"), "")[0].identity for s in (ALL, PAIRS)}) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"effort": "hihg"}, "judge.claude.effort: unknown value 'hihg'; did you mean 'high'?"),
        ({"thinking": 100}, "judge.claude.thinking: expected disabled, adaptive, or a number"),
        ({"thinking": 4096, "max_tokens": 4096}, "judge.claude.thinking"),
        ({"thinking": "on"}, "judge.claude.thinking"),
        ({"thinking": True}, "judge.claude.thinking"),
    ],
)
def test_mistakes_in_effort_and_thinking_are_named(
    changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    (tmp_path / "judge.yaml").write_text(json.dumps({"judge": {"claude": changes}}))
    with pytest.raises(InputErrors) as raised:
        load_config((tmp_path / "judge.yaml",))
    assert said in str(raised.value)
