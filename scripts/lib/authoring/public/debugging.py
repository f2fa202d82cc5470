"""DebugBench: code with a bug to correct. The examples of the problem statement decide."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.lib.authoring.public.code import fenced
from scripts.lib.authoring.public.programs import method_check
from scripts.lib.authoring.public.rows import (
    LEVELS,
    Item,
    LeftOut,
    Row,
    files_of,
    identifier,
    json_rows,
    question,
)

_ASK_DEBUG = "This Python code has a bug. Answer with one code block: the whole code, corrected."
_EXAMPLE = re.compile(r"Input:\s*(.*?)\s*Output:\s*(.*?)\s*(?:\n\s*Explanation|\Z)", re.DOTALL)
_ARGUMENT = re.compile(r"\s*(\w+)\s*=\s*")
_SEVERAL = re.compile(
    r"\bany (?:order|valid|of (?:them|the)|one\b)|multiple (?:valid )?(?:answers|solutions)"
    r"|\breturn any\b|10\^?-5",
    re.I,
)
_NODES = re.compile(r"\b(?:ListNode|TreeNode|Node)\b")
_LANGUAGES = ("cpp", "java", "python3")
_NOT_PYTHON = "only LeetCode's judge runs their language"
_ELSEWHERE = (
    "only LeetCode's judge can decide them "
    "(linked nodes, several right outputs, or examples that are not values)"
)


def _arguments(text: str) -> dict[str, Any]:
    """The values by name of `name = value, name = value`, values in JSON. Raises ValueError."""
    made: dict[str, Any] = {}
    place, decoder = 0, json.JSONDecoder()
    while match := _ARGUMENT.match(text, place):
        made[match[1]], end = decoder.raw_decode(text, match.end())
        place = end + 1 if text[end : end + 1] == "," else end
    if not made or text[place:].strip():
        raise ValueError("no arguments")
    return made


def _method(solution: str, names: set[str]) -> tuple[str, list[ast.arg]]:
    """The method of `class Solution` with these parameters, in order. Raises ValueError."""
    classes = (node for node in ast.parse(solution).body if isinstance(node, ast.ClassDef))
    methods = (method for each in classes if each.name == "Solution" for method in each.body)
    for method in methods:
        if isinstance(method, ast.FunctionDef) and not method.name.startswith("_"):
            parameters, returns = method.args.args[1:], method.returns
            changes_in_place = isinstance(returns, ast.Constant) and returns.value is None
            if {each.arg for each in parameters} == names and not changes_in_place:
                return method.name, parameters
    raise ValueError("no such method")


def _argument(parameter: ast.arg, value: Any) -> str:
    """A value as one line of JSON. LeetCode gives a number as a float if the parameter is one."""
    is_float = isinstance(parameter.annotation, ast.Name) and parameter.annotation.id == "float"
    return json.dumps(float(value) if is_float and isinstance(value, int) else value)


def _example_cases(examples: Sequence[str], solution: str) -> tuple[str, list[Mapping[str, str]]]:
    """The method's name, and the examples of the statement as cases. Raises ValueError."""
    found = [match.groups() for example in examples if (match := _EXAMPLE.search(example))]
    if not found or len(found) != len(examples):
        raise ValueError("no examples")
    read = [(_arguments(given), gives) for given, gives in found]
    name, order = _method(solution, set(read[0][0]))
    cases: list[Mapping[str, str]] = []
    for arguments, gives in read:
        json.loads(gives)
        given = "\n".join(_argument(each, arguments[each.arg]) for each in order)
        cases.append({"stdin": given, "stdout": gives})
    return name, cases


def _item(row: Row, key: str, origin: str) -> Item | LeftOut:
    # The two publications name these keys differently.
    solution = row.text("solution" if "solution" in row.raw else "oracle_code")
    statement = row.text("question" if "question" in row.raw else "description")
    slug, buggy, examples = row.text("slug"), row.text("buggy_code"), row.texts("examples")
    try:
        if _NODES.search(solution) or _SEVERAL.search(statement):
            raise ValueError
        name, cases = _example_cases(examples, solution)
    except (ValueError, SyntaxError, KeyError, RecursionError):
        return LeftOut(origin, _ELSEWHERE)
    listed = (f"Example {number}:\n{example}" for number, example in enumerate(examples, 1))
    asked = f"{_ASK_DEBUG}\n\nWhat it should do: {statement.strip()}"
    body = question(
        prompt="\n\n".join((asked, "\n".join(listed), fenced(buggy))),
        expected=slug,
        reference=fenced(solution),
        criterion="passes the statement's examples (not LeetCode's tests)",
        check={**method_check(name), "cases": cases},
    )
    return Item(identifier(key), origin, row.one_of("level", LEVELS), body)


def read_debugbench(path: Path) -> Iterator[Item | LeftOut]:
    """The tier is the level.

    Shards are named `LANGUAGE_BUG.json`. eval.json has `language`, `question` and `solution`
    instead of the shard's name, `description` and `oracle_code`. The statement's examples decide:
    LeetCode's judge, which the paper uses, is not available.
    """
    for file in files_of(path, "*.json"):
        shard, _, shard_bug = file.stem.partition("_")
        for index, row in enumerate(json_rows(file, "*.json")):
            language = row.text("language") if "language" in row.raw else shard
            if language not in _LANGUAGES:
                expected = "cpp, java or python3 (or a shard named python3_BUG.json)"
                raise row.problem("language", expected)
            bug = row.raw.get("subtype") or shard_bug or file.stem
            slug = row.text("slug")
            origin = f"{file.name}[{index}] {slug}"
            if language == "python3":
                yield _item(row, f"{bug}_{index}_{slug}", origin)
            else:
                yield LeftOut(origin, _NOT_PYTHON)
