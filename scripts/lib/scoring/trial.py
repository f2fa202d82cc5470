"""Tries one answer on one question: what each check decides and extracts, and from which place."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from scripts.lib.base.errors import BenchError, suggest
from scripts.lib.base.untrusted_text import one_line, printable
from scripts.lib.prompts.loader import load_suites
from scripts.lib.prompts.types import Question
from scripts.lib.scoring.rubric import MOST_SCORE
from scripts.lib.scoring.score import Examination, Examined

_VERDICT = {True: "passed", False: "failed", None: "unscored"}


def find_question(folder: Path, name: str) -> Question:
    """The question `SUITE/ID` of a folder of suites.

    Raises BenchError, which names the nearest known question.
    """
    if not folder.is_dir():
        raise BenchError(f"{folder}: expected a folder of suites (*.yaml)")
    known = {q.name_in_full: q for suite in load_suites(folder).values() for q in suite.questions}
    if name not in known:
        raise BenchError(f"{folder}: no question '{name}'{suggest(name, known)}")
    return known[name]


def read_answer(source: str) -> str:
    """The answer in a file, or on standard input for `-`.

    Raises BenchError for what cannot be read or is not UTF-8.
    """
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
    """The trial as a mapping: `score` from 0 to 3 (null: unscored), `passed`, and the checks."""
    score = examination.score
    return {
        "question": question.name_in_full,
        "answer": examination.answer,
        "carried": dict(question.carried),
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


def _criterion_lines(examined: Examined) -> list[str]:
    """A criterion and its checks, line by line."""
    criterion, points = examined.criterion, examined.score.points
    result = (
        "unscored" if points is None else f"{points * criterion.weight:g} of {criterion.weight}"
    )
    lines = [f"\n{one_line(criterion.criterion)}: {result}"]
    if not examined.outcomes:
        lines.append("  no check: a judge scores it")
    for check, outcome in examined.outcomes:
        lines.append(f"  {check.type} {_VERDICT[outcome.passed]}: {one_line(outcome.reason)}")
        if outcome.extracted:
            lines.append(f"    extracted: {one_line(outcome.extracted)}")
        if outcome.evidence:
            lines.append(f"    from {one_line(outcome.evidence)[:160]}")
    return lines


def as_text(question: Question, examination: Examination) -> str:
    """The trial as text for a terminal."""
    score = examination.score
    result = "unscored"
    if score.score is not None:
        result = f"{score.score} of {MOST_SCORE}, {'passed' if score.passed else 'failed'}"
    lines = [f"{question.name_in_full}: {result}" + (f" ({score.note})" if score.note else "")]
    for examined in examination.criteria:
        lines += _criterion_lines(examined)
    lines.append(f"\nthe answer as it was scored ({len(examination.answer)} characters):")
    lines.append(printable(examination.answer[:2000], keep="\n\t") or "(nothing)")
    return "\n".join(lines)
