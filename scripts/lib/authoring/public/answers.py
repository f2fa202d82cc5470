"""Public benchmarks whose answers are numbers or short texts: GSM8K, MATH-500, SimpleQA, HotpotQA."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scripts.lib.authoring.public.rows import (
    Benchmark,
    Item,
    Row,
    csv_rows,
    identifier,
    json_lines,
    json_list,
    one,
)
from scripts.lib.scoring.checks.published import gsm8k_number

_ASK_NUMBER = 'Show the steps and end with a last line "#### N", N being the number alone.'
_ASK_BOXED = "Reason step by step, and end with the final answer in \\boxed{}."
_ASK_SHORT = (
    'End with a last line "Answer: …": the answer alone, in as few words as possible '
    "(a name, a date, a number, yes or no)."
)
# SimpleQA's three grades: both met is CORRECT, only the second NOT_ATTEMPTED, none INCORRECT. The
# weights let nothing but a correct answer pass, not even one that meets the first in part.
_SIMPLEQA = (
    (
        85,
        "CORRECT: the answer has everything that the question asks for of the reference, and nothing that contradicts the "
        "reference. Meaning counts; wording, order, typing slips in names and hedges around a right answer do not. What the "
        "question implies may be left out. A number has to be right to the reference's last digit. Only a part of it, several "
        "guesses of which one is right, or a vague range: unmet. Never partly.",
    ),
    (
        15,
        "NOT INCORRECT: no statement of the answer contradicts the reference, hedged ones included. An answer that declines, "
        "asks back or says less than was asked meets this: quote the words that do so. Never partly.",
    ),
)
# Share of words in common from which on HotpotQA's F1 earns a part of the points.
_LEAST_F1 = 0.5


def read_gsm8k(path: Path) -> Iterator[Item]:
    """`question`, `answer` whose last line is `#### NUMBER`; the tier by the number of steps."""
    for number, row in enumerate(json_lines(path)):
        answer = row.text("answer")
        steps, value = answer.rpartition("####")[0].strip(), gsm8k_number(answer)
        if value is None:
            raise row.problem("answer", "a last line '#### NUMBER'")
        written = answer.rpartition("####")[2].strip()
        count = len(steps.splitlines())
        body = {
            "prompt": f"{row.text('question').strip()}\n{_ASK_NUMBER}",
            "expected": written,
            "reference_answer": f"{re.sub(r'<<[^>]*>>', '', steps)}\n#### {written}",
            "scoring": one("ends on the number", {"type": "gsm8k", "value": value}),
        }
        tier = 1 if count <= 2 else 2 if count <= 4 else 3
        yield Item("gsm8k", f"q{number:04d}", f"question {number + 1}", tier, body)


def read_math500(path: Path) -> Iterator[Item]:
    """`problem`, `solution`, `answer`, `level` (1-5), `unique_id`; the tier by the level: 1-2, 3-4, 5."""
    for row in json_lines(path):
        answer, level = row.text("answer").strip(), row.number("level", 1, 5)
        body = {
            "prompt": f"{row.text('problem').strip()}\n\n{_ASK_BOXED}",
            "expected": answer,
            "reference_answer": f"{row.text('solution').strip()}\n\n$\\boxed{{{answer}}}$",
            "scoring": one("ends on the answer", {"type": "math500", "value": answer}),
        }
        yield Item(
            "math500",
            identifier(row.text("unique_id")),
            row.text("unique_id"),
            (level + 1) // 2,
            body,
        )


def read_simpleqa(path: Path) -> Iterator[Item]:
    """`problem`, `answer`; the criteria are a judge's, all of tier 2."""
    for number, row in enumerate(csv_rows(path, ("problem", "answer"))):
        body = {
            "prompt": row.text("problem").strip(),
            "expected": row.text("answer").strip(),
            "reference_answer": row.text("answer").strip(),
            "scoring": [{"criterion": words, "weight": weight} for weight, words in _SIMPLEQA],
        }
        yield Item("simpleqa", f"q{number:04d}", row.place, 2, body)


def _paragraph(row: Row, raw: Any) -> str:
    """A paragraph of HotpotQA, `[title, [sentence, …]]`, as text."""
    match raw:
        case [str(title), [*sentences]] if all(isinstance(sentence, str) for sentence in sentences):
            return f"{title}\n{''.join(sentences).strip()}"
    raise row.problem("context", "a list of [title, [sentence, …]]")


def read_hotpotqa(path: Path) -> Iterator[Item]:
    """`_id`, `question`, `answer`, `context`, `level`; the paragraphs stand before the question, the tier is the level."""
    tiers = {"easy": 1, "medium": 2, "hard": 3}
    for row in json_list(path):
        answer = row.text("answer").strip()
        level = row.raw.get("level", "hard")
        if level not in tiers:
            raise row.problem("level", " or ".join(tiers))
        paragraphs = [_paragraph(row, raw) for raw in row.listed("context")]
        question = f"Question: {row.text('question').strip()}\n{_ASK_SHORT}"
        exact = {"type": "hotpot", "value": answer}
        body = {
            "prompt": "\n\n".join((*paragraphs, question)),
            "expected": answer,
            "reference_answer": f"Answer: {answer}",
            "scoring": [
                {"criterion": "exact match", "weight": 60, "checks": [exact]},
                {
                    "criterion": f"F1 of at least {_LEAST_F1}",
                    "weight": 40,
                    "checks": [{**exact, "least": _LEAST_F1}],
                },
            ],
        }
        yield Item("hotpotqa", identifier(row.text("_id")), row.place, tiers[level], body)


ROWS: Mapping[str, Benchmark] = {
    "gsm8k": Benchmark(
        "test.jsonl: question, answer ending in '#### NUMBER'", read_gsm8k, "GSM8K, MIT"
    ),
    "math500": Benchmark(
        "test.jsonl: problem, solution, answer, level (1-5), unique_id",
        read_math500,
        "MATH-500 (MATH, PRM800K), MIT",
    ),
    "simpleqa": Benchmark(
        "simple_qa_test_set.csv: problem, answer", read_simpleqa, "SimpleQA, MIT"
    ),
    "hotpotqa": Benchmark(
        "hotpot_dev_distractor_v1.json or hotpot_dev_fullwiki_v1.json: a list of _id, question, answer, context, level",
        read_hotpotqa,
        "HotpotQA, CC BY-SA 4.0",
    ),
}
