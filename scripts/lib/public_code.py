"""Public benchmarks of code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from scripts.lib.public_rows import Benchmark, Item, identifier, json_lines, one

_ASK_CODE = "Complete this Python function. Answer with one code block: the whole function and its imports."


def read_humaneval(path: Path) -> Iterator[Item]:
    """`task_id`, `prompt`, `entry_point`, `canonical_solution`, `test`; the tier by the solution's length.

    The prompt's code runs before the answer's: it has the imports and helpers that an answer may rely on, and
    the head of the function, which an answer may only continue.
    """
    for row in json_lines(path):
        prompt, solution, name = row.text("prompt"), row.text("canonical_solution").rstrip(), row.text("entry_point")
        lines = len([line for line in solution.splitlines() if line.strip()])
        tests = f"{row.text('test').rstrip()}\n\ncheck({name})\n"
        code = {"entry_point": name, "setup": prompt, "tests": tests, "timeout_s": 20}
        body = {
            "prompt": f"{_ASK_CODE}\n\n```python\n{prompt.rstrip()}\n```",
            "expected": name,
            "reference_answer": f"```python\n{prompt.rstrip()}\n{solution}\n```",
            "scoring": one("passes the tests", {"type": "code", **code}),
        }
        tier = 1 if lines <= 3 else 2 if lines <= 8 else 3
        yield Item("humaneval", identifier(row.text("task_id")), row.text("task_id"), tier, body)


ROWS: Mapping[str, Benchmark] = {
    "humaneval": Benchmark(
        "HumanEval.jsonl or .jsonl.gz: task_id, prompt, entry_point, canonical_solution, test",
        read_humaneval,
        "HumanEval, MIT",
    ),
}
