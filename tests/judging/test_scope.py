"""`judge.scope`: which answers a judge is asked about, and how reviews show those it is not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scripts.lib.base.errors import InputErrors
from scripts.lib.judging.answers import Answer, asked_answers
from scripts.lib.planning.plan import Cell
from scripts.lib.prompts.types import Question
from scripts.lib.results.review import Evidence, review_cell
from scripts.lib.results.review_rows import ReviewRow
from scripts.lib.scoring.judge_prompt import material
from scripts.lib.scoring.scorers import SCORER_VERSION, Scoring, scorers_of
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
