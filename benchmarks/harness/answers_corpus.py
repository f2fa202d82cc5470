"""The labelled answers of tests/data/answers, and the verdicts of the checks on them.

Each answer was labelled twice: by its writer, and by a reader who saw neither that label nor the
checks' code. If the two labels differed, one was chosen, with a note. `right`: the answer deserves
a pass. `undecidable`: two fair readers would differ, or two final statements contradict each other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from scripts.lib.prompts.loader import load_suites
from scripts.lib.prompts.types import Question
from scripts.lib.scoring.rubric import LEAST_PASSING_FRACTION
from scripts.lib.scoring.score import Examination, examine

FOLDER = Path("tests/data/answers")
BUILT_IN = "builtin"
RIGHT, WRONG, UNDECIDABLE = "right", "wrong", "undecidable"


@dataclass(frozen=True, slots=True)
class Labelled:
    """One answer with its label, `verdict`.

    `kind` is a check type, or `builtin` for the project's own suites.
    """

    kind: str
    id: str
    question: str
    shape: str
    answer: str
    verdict: str


def kinds(folder: Path = FOLDER) -> list[str]:
    """The kinds of answers in a corpus, sorted: check types, and `builtin`."""
    return sorted(file.stem for file in folder.glob("*.jsonl"))


def answers(kind: str, folder: Path = FOLDER) -> Iterator[Labelled]:
    """The answers of one kind, in the file's order."""
    for line in (folder / f"{kind}.jsonl").read_text(encoding="utf-8").split("\n"):
        if line:
            row: Mapping[str, Any] = json.loads(line)
            yield Labelled(
                kind, *(row[key] for key in ("id", "question", "shape", "answer", "verdict"))
            )


@cache
def questions(folder: Path = FOLDER) -> Mapping[str, Question]:
    """The questions that were answered, by name (`number/apples`)."""
    suites = [
        *load_suites(folder / "suites").values(),
        *load_suites(Path("benchmarks/prompts/v1")).values(),
    ]
    return {question.name_in_full: question for suite in suites for question in suite.questions}


def judge(examination: Examination) -> str:
    """The verdict on a scored answer, as a label.

    Only criteria with checks count, even with a small weight.
    """
    undecided = any(c.score.points is None and c.outcomes for c in examination.criteria)
    fraction = examination.score.fraction
    if fraction is None or undecided:
        return UNDECIDABLE
    # Weights are whole per cents: rounding removes the error of binary fractions.
    return RIGHT if round(fraction, 6) >= LEAST_PASSING_FRACTION else WRONG


def verdict(item: Labelled, folder: Path = FOLDER) -> str:
    """The verdict of the checks on an answer: right, wrong, or undecidable (unscored)."""
    return judge(examine(questions(folder)[item.question], item.answer, "stop"))
