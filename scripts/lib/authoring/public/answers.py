"""Public benchmarks with numbers or short texts as answers: GSM8K, MATH-500, SimpleQA, HotpotQA."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.lib.authoring.public.rows import (
    LEVELS,
    Item,
    Row,
    csv_rows,
    identifier,
    json_lines,
    json_list,
    question,
)
from scripts.lib.scoring.checks.published import gsm8k_number

_ASK_NUMBER = 'Show the steps and end with a last line "#### N", N being the number alone.'
_ASK_BOXED = "Reason step by step, and end with the final answer in \\boxed{}."
_ASK_SHORT = (
    'End with a last line "Answer: …": the answer alone, in as few words as possible '
    "(a name, a date, a number, yes or no)."
)
# SimpleQA's three grades: both met is CORRECT, only the second is NOT_ATTEMPTED, none is INCORRECT.
# With these weights only a correct answer passes, not one that meets the first criterion in part.
_SIMPLEQA = {
    "CORRECT: the answer has everything that the question asks for of the reference, and nothing "
    "that contradicts the reference. Meaning counts; wording, order, typing slips in names and "
    "hedges around a right answer do not. What the question implies may be left out. A number has "
    "to be right to the reference's last digit. Only a part of it, several guesses of which one is "
    "right, or a vague range: unmet. Never partly.": 85,
    "NOT INCORRECT: no statement of the answer contradicts the reference, hedged ones included. An "
    "answer that declines, asks back or says less than was asked meets this: quote the words that "
    "do so. Never partly.": 15,
}
# HotpotQA's F1 gives part of the points from this share of common words on.
_LEAST_F1 = 0.5


def read_gsm8k(path: Path) -> Iterator[Item]:
    """The tier follows the number of steps: up to 2, up to 4, more."""
    for number, row in enumerate(json_lines(path)):
        answer = row.text("answer")
        steps, _, written = (part.strip() for part in answer.rpartition("####"))
        value, count = gsm8k_number(answer), len(steps.splitlines())
        if value is None:
            raise row.problem("answer", "a last line '#### NUMBER'")
        body = question(
            prompt=f"{row.text('question').strip()}\n{_ASK_NUMBER}",
            expected=written,
            reference=f"{re.sub(r'<<[^>]*>>', '', steps)}\n#### {written}",
            criterion="ends on the number",
            check={"type": "gsm8k", "value": value},
        )
        tier = 1 if count <= 2 else 2 if count <= 4 else 3
        yield Item(f"q{number:04d}", f"question {number + 1}", tier, body)


def read_math500(path: Path) -> Iterator[Item]:
    """The tier follows the level: 1-2, 3-4, 5."""
    for row in json_lines(path):
        answer, level = row.text("answer").strip(), row.number("level", 1, 5)
        body = question(
            prompt=f"{row.text('problem').strip()}\n\n{_ASK_BOXED}",
            expected=answer,
            reference=f"{row.text('solution').strip()}\n\n$\\boxed{{{answer}}}$",
            criterion="ends on the answer",
            check={"type": "math500", "value": answer},
        )
        name = row.text("unique_id")
        yield Item(identifier(name), name, (level + 1) // 2, body)


def read_simpleqa(path: Path) -> Iterator[Item]:
    """A judge decides the criteria; all questions are of tier 2."""
    for number, row in enumerate(csv_rows(path, ("problem", "answer"))):
        body = {
            "prompt": row.text("problem").strip(),
            "expected": row.text("answer").strip(),
            "reference_answer": row.text("answer").strip(),
            "scoring": [{"criterion": text, "weight": n} for text, n in _SIMPLEQA.items()],
        }
        yield Item(f"q{number:04d}", row.place, 2, body)


def _paragraph(row: Row, raw: Any) -> str:
    """A paragraph of HotpotQA, `[title, [sentence, …]]`, as text."""
    match raw:
        case [str(title), [*sentences]] if all(isinstance(sentence, str) for sentence in sentences):
            return f"{title}\n{''.join(sentences).strip()}"
    raise row.problem("context", "a list of [title, [sentence, …]]")


def read_hotpotqa(path: Path) -> Iterator[Item]:
    """The paragraphs come before the question; the tier is the level, hard if none is given."""
    for row in json_list(path):
        answer = row.text("answer").strip()
        tier = row.one_of("level", LEVELS) if "level" in row.raw else 3
        paragraphs = [_paragraph(row, raw) for raw in row.listed("context")]
        asked = f"Question: {row.text('question').strip()}\n{_ASK_SHORT}"
        exact = {"type": "hotpot", "value": answer}
        f1 = {**exact, "least": _LEAST_F1}
        body = {
            "prompt": "\n\n".join((*paragraphs, asked)),
            "expected": answer,
            "reference_answer": f"Answer: {answer}",
            "scoring": [
                {"criterion": "exact match", "weight": 60, "checks": [exact]},
                {"criterion": f"F1 of at least {_LEAST_F1}", "weight": 40, "checks": [f1]},
            ],
        }
        yield Item(identifier(row.text("_id")), row.place, tier, body)
