"""The predecessor's suites: each rule of `auto_score` and each method of `questions:`, on answers decided by hand."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.lib.prompt_loader import Question, load_suite
from scripts.lib.scoring.score import examine

DATA = Path("tests/data/predecessor")
VERDICTS: dict[str, bool | None] = {"passed": True, "failed": False, "unscored": None}
# (question, criterion or '', answer, verdict, why)
Case = tuple[str, str, str, str, str]


@cache
def questions() -> dict[str, Question]:
    found = {}
    for file in sorted((DATA / "suites").rglob("*.yaml")):
        suite, problems = load_suite(file)
        assert not problems, problems
        found |= {question.name_in_full: question for question in suite.questions}
    return found


def answers() -> Iterator[Case]:
    for item in yaml.safe_load((DATA / "answers.yaml").read_text(encoding="utf-8")):
        parts: list[dict[str, Any]] = [item, *item.get("criteria", ())]
        for part in parts:
            for verdict in VERDICTS:
                for answer, why in part.get(verdict, ()):
                    yield item["question"], part.get("criterion", ""), answer, verdict, why


ANSWERS = list(answers())


def test_there_are_enough_answers_and_every_question_has_some() -> None:
    assert len(ANSWERS) >= 200 and len(set(ANSWERS)) == len(ANSWERS)
    assert {case[0] for case in ANSWERS} == set(questions())


@pytest.mark.parametrize("case", ANSWERS, ids=[f"{n}-{case[0]}-{case[3]}" for n, case in enumerate(ANSWERS)])
def test_an_answer_is_decided_as_the_predecessor_decided_it(case: Case) -> None:
    name, criterion, answer, verdict, why = case
    found = examine(questions()[name], answer, "stop")
    if criterion:
        points = next(each.score.points for each in found.criteria if each.criterion.criterion == criterion)
        passed = None if points is None else points == 1.0
    else:
        passed = found.score.passed
    assert passed is VERDICTS[verdict], f"{answer!r} ({why}): {found.score.reason}"
