"""Public benchmarks whose answers are numbers or short texts: GSM8K."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from scripts.lib.public_rows import Benchmark, Item, json_lines, one
from scripts.lib.scoring.checks.published import gsm8k_number

_ASK_NUMBER = 'Show the steps and end with a last line "#### N", N being the number alone.'


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


ROWS: Mapping[str, Benchmark] = {
    "gsm8k": Benchmark("test.jsonl: question, answer ending in '#### NUMBER'", read_gsm8k, "GSM8K, MIT"),
}
