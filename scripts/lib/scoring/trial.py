"""One answer tried on one question: what each check says, what it took for the answer, and from which place."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from scripts.lib.errors import BenchError, suggest
from scripts.lib.foreign_text import one_line, printable
from scripts.lib.prompt_loader import load_suites
from scripts.lib.prompt_types import Question
from scripts.lib.scoring.score import Examination

_VERDICT = {True: "passed", False: "failed", None: "unscored"}


def find_question(folder: Path, name: str) -> Question:
    """The question `SUITE/ID` of a folder of suites. Raises BenchError with the nearest known name."""
    if not folder.is_dir():
        raise BenchError(f"{folder}: expected a folder of suites (*.yaml)")
    known = {q.name_in_full: q for suite in load_suites(folder).values() for q in suite.questions}
    if name not in known:
        raise BenchError(f"{folder}: no question '{name}'{suggest(name, known)}")
    return known[name]


def read_answer(source: str) -> str:
    """An answer out of a file, or standard input for `-`. Raises BenchError for what is no UTF-8 text."""
    try:
        data = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    except OSError as error:
        raise BenchError(f"{source}: cannot be read: {error.strerror}") from error
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BenchError(
            f"{source}: expected UTF-8 text, found byte {data[error.start]:#04x} at {error.start}"
        ) from error


def as_json(question: Question, examination: Examination) -> dict[str, Any]:
    """The trial as a mapping: `score` 0 to 3 (null: unscored), `passed`, and per criterion its checks."""
    score = examination.score
    return {
        "question": question.name_in_full,
        "answer": examination.answer,
        "score": score.score,
        "passed": score.passed,
        "coverage": round(score.coverage, 4),
        "note": score.note,
        "reason": score.reason,
        "criteria": [
            {
                "criterion": examined.criterion.criterion,
                "weight": examined.criterion.weight,
                "points": examined.score.points,
                "reason": examined.score.reason,
                "checks": [
                    {
                        "type": check.type,
                        "verdict": _VERDICT[outcome.passed],
                        "reason": outcome.reason,
                        "extracted": outcome.extracted,
                        "evidence": outcome.evidence,
                    }
                    for check, outcome in examined.outcomes
                ],
            }
            for examined in examination.criteria
        ],
    }


def as_text(question: Question, examination: Examination) -> str:
    """The trial for a terminal."""
    score = examination.score
    told = "unscored" if score.score is None else f"{score.score} of 3, {'a pass' if score.passed else 'no pass'}"
    lines = [f"{question.name_in_full}: {told}" + (f" ({score.note})" if score.note else "")]
    for examined in examination.criteria:
        points = examined.score.points
        shown = (
            "unscored" if points is None else f"{points * examined.criterion.weight:g} of {examined.criterion.weight}"
        )
        lines.append(f"\n{one_line(examined.criterion.criterion)}: {shown}")
        if not examined.outcomes:
            lines.append("  no check: a judge's business")
        for check, outcome in examined.outcomes:
            lines.append(f"  {check.type} {_VERDICT[outcome.passed]}: {one_line(outcome.reason)}")
            if outcome.extracted:
                lines.append(f"    extracted: {one_line(outcome.extracted)}")
            if outcome.evidence:
                lines.append(f"    from {one_line(outcome.evidence)[:160]}")
    lines.append(f"\nthe answer as it was scored ({len(examination.answer)} characters):")
    lines.append(printable(examination.answer[:2000], keep="\n\t") or "(nothing)")
    return "\n".join(lines)
