"""DebugBench: code with a bug, to be corrected; decided by the examples of the statement."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.lib.authoring.public.code import fenced
from scripts.lib.authoring.public.programs import LEVELS, level_of, method_check
from scripts.lib.authoring.public.rows import (
    Benchmark,
    Item,
    LeftOut,
    Row,
    files_of,
    identifier,
    json_rows,
    one,
)

_ASK_DEBUG = "This Python code has a bug. Answer with one code block: the whole code, corrected."
_EXAMPLE = re.compile(r"Input:\s*(.*?)\s*Output:\s*(.*?)\s*(?:\n\s*Explanation|\Z)", re.DOTALL)
_ARGUMENT = re.compile(r"\s*(\w+)\s*=\s*")
_SEVERAL = re.compile(
    r"\bany (?:order|valid|of (?:them|the)|one\b)|multiple (?:valid )?(?:answers|solutions)|\breturn any\b|10\^?-5",
    re.I,
)
_NODES = re.compile(r"\b(?:ListNode|TreeNode|Node)\b")
_NOT_PYTHON = "only LeetCode's judge runs their language"
_ELSEWHERE = "only LeetCode's judge can decide them (linked nodes, several right outputs, or examples that are no values)"


def _arguments(text: str) -> dict[str, Any]:
    """`name = value, name = value` with values in JSON: the values by name. Raises ValueError."""
    made: dict[str, Any] = {}
    place, decoder = 0, json.JSONDecoder()
    while match := _ARGUMENT.match(text, place):
        made[match[1]], end = decoder.raw_decode(text, match.end())
        place = end + 1 if text[end : end + 1] == "," else end
    if not made or text[place:].strip():
        raise ValueError("no arguments")
    return made


def _method(solution: str, names: set[str]) -> tuple[str, list[ast.arg]]:
    """The method of `class Solution` with parameters of these names, and these in their order. Raises ValueError."""
    for node in ast.parse(solution).body:
        for method in (
            node.body if isinstance(node, ast.ClassDef) and node.name == "Solution" else ()
        ):
            if isinstance(method, ast.FunctionDef) and not method.name.startswith("_"):
                parameters = method.args.args[1:]
                changes_in_place = (
                    isinstance(method.returns, ast.Constant) and method.returns.value is None
                )
                if {each.arg for each in parameters} == names and not changes_in_place:
                    return method.name, parameters
    raise ValueError("no such method")


def _argument(parameter: ast.arg, value: Any) -> str:
    """A value as JSON of one line: LeetCode gives a number as a float where the parameter is one."""
    is_float = isinstance(parameter.annotation, ast.Name) and parameter.annotation.id == "float"
    return json.dumps(float(value) if is_float and isinstance(value, int) else value)


def _example_cases(examples: Sequence[str], solution: str) -> tuple[str, list[Mapping[str, str]]]:
    """The method's name, and the examples of the statement as cases. Raises ValueError where one is no such case."""
    found = [match.groups() for example in examples if (match := _EXAMPLE.search(example))]
    if not found or len(found) != len(examples):
        raise ValueError("no examples")
    read = [(_arguments(given), gives) for given, gives in found]
    name, order = _method(solution, set(read[0][0]))
    cases: list[Mapping[str, str]] = []
    for arguments, gives in read:
        json.loads(gives)
        cases.append(
            {
                "stdin": "\n".join(_argument(each, arguments[each.arg]) for each in order),
                "stdout": gives,
            }
        )
    return name, cases


def _first(row: Row, *keys: str) -> str:
    """The text under the first of these keys that a row has: the two publications name them differently."""
    return row.text(next((key for key in keys if key in row.raw), keys[0]))


def _debugbench_item(row: Row, key: str, origin: str) -> Item | LeftOut:
    slug, solution, buggy = (
        row.text("slug"),
        _first(row, "solution", "oracle_code"),
        row.text("buggy_code"),
    )
    question, examples = _first(row, "question", "description"), row.texts("examples")
    try:
        if _NODES.search(solution) or _SEVERAL.search(question):
            raise ValueError
        name, cases = _example_cases(examples, solution)
    except (ValueError, SyntaxError, KeyError, RecursionError):
        return LeftOut(origin, _ELSEWHERE)
    given = "\n".join(f"Example {number}:\n{example}" for number, example in enumerate(examples, 1))
    body = {
        "prompt": f"{_ASK_DEBUG}\n\nWhat it should do: {question.strip()}\n\n{given}\n\n{fenced(buggy)}",
        "expected": slug,
        "reference_answer": fenced(solution),
        "scoring": one(
            "passes the statement's examples (not LeetCode's tests)",
            {**method_check(name), "cases": cases},
        ),
    }
    return Item("debugbench", identifier(key), origin, level_of(row, "level", LEVELS), body)


def read_debugbench(path: Path) -> Iterator[Item | LeftOut]:
    """Shards `LANGUAGE_BUG.json`: `slug`, `description`, `examples`, `oracle_code`, `buggy_code`, `level`; or eval.json, which
    has `language`, `question` and `solution` in place of the shard's name, `description` and
    `oracle_code`.

    Decided by the statement's examples: LeetCode's judge, which decides in the paper, is not to be
    had.
    """
    for file in files_of(path, "*.json"):
        for index, row in enumerate(json_rows(file, "*.json")):
            language = (
                row.text("language") if "language" in row.raw else file.stem.partition("_")[0]
            )
            if language not in ("cpp", "java", "python3"):
                raise row.problem(
                    "language", "cpp, java or python3 (or a shard named python3_BUG.json)"
                )
            bug = row.raw.get("subtype") or file.stem.partition("_")[2] or file.stem
            slug = row.text("slug")
            origin = f"{file.name}[{index}] {slug}"
            if language == "python3":
                yield _debugbench_item(row, f"{bug}_{index}_{slug}", origin)
            else:
                yield LeftOut(origin, _NOT_PYTHON)


ROWS: Mapping[str, Benchmark] = {
    "debugbench": Benchmark(
        "python3_BUG.json: slug, description, examples, oracle_code, buggy_code, level; "
        "or eval.json: slug, language, question, examples, solution, buggy_code, level",
        read_debugbench,
        "DebugBench, Apache-2.0, decided by the statements' examples and not by LeetCode's judge",
    ),
}
