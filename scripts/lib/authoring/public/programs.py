"""Public benchmarks of programs, and of methods that are run as programs: LiveCodeBench, USACO."""

from __future__ import annotations

import base64
import binascii
import json
import pickletools
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.lib.authoring.public.code import as_module, fenced
from scripts.lib.authoring.public.rows import (
    LEVELS,
    Item,
    LayoutError,
    LeftOut,
    Row,
    files_of,
    identifier,
    json_lines,
    json_of,
    question,
)

Case = Mapping[str, str]
_ASK_PROGRAM = (
    "Solve this problem with a Python program that reads standard input and writes standard "
    "output. Answer with one code block: the whole program."
)
_ASK_METHOD = (
    "Solve this problem in Python. Begin with the code below, and answer with one code block that "
    "holds all of it."
)
# LiveCodeBench imports these modules for every answer: solutions on LeetCode do not import them.
_NAMED = (
    *("string", "re", "datetime", "collections", "heapq", "bisect", "copy", "math", "random"),
    *("statistics", "itertools", "functools", "operator", "io", "sys", "json"),
)
_STARRED = (*_NAMED, "builtins", "typing")
_IMPORTS = "".join(
    [*(f"from {name} import *\n" for name in _STARRED), *(f"import {name}\n" for name in _NAMED)]
)
_SETUP = f"{_IMPORTS}sys.setrecursionlimit(50000)\n"
# Each line of the input is an argument as JSON; the output is JSON, too.
_CALL = """
import json, sys
given = [json.loads(line) for line in sys.stdin if line.strip()]
made = (Solution() if "Solution" in globals() else sys.modules["__main__"]).{name}(*given)
print()
print(json.dumps(made))
"""
# The sandbox sends a case's output as one message, and holds all cases in memory.
MOST_OUTPUT, MOST_CHARACTERS = 2 << 20, 64 << 20
_TOO_LARGE = (
    "their cases are too large for the sandbox "
    f"(at most {MOST_OUTPUT >> 20} MiB for an output, {MOST_CHARACTERS >> 20} MiB for all)"
)


def method_check(name: str) -> dict[str, Any]:
    """A code check without cases: it calls a method of the answer's `Solution`, or a function."""
    setup = f"{_SETUP}{as_module('answer')}"
    return {"type": "code", "setup": setup, "driver": _CALL.format(name=name), "compare": "json"}


def _fits(cases: Sequence[Case]) -> bool:
    outputs = [len(case["stdout"]) for case in cases]
    characters = sum(outputs) + sum(len(case["stdin"]) for case in cases)
    return max(outputs) <= MOST_OUTPUT and characters <= MOST_CHARACTERS


# --- LiveCodeBench --------------------------------------------------------------------------------

_TEXT_OPCODES = frozenset(("UNICODE", "BINUNICODE", "BINUNICODE8", "SHORT_BINUNICODE"))
_HARMLESS = frozenset(("PROTO", "FRAME", "MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT", "STOP"))
_MOST_UNPACKED = 1 << 29


class TooLargeError(Exception):
    """Test cases that unpack to more than is read."""


def pickled_text(data: bytes) -> str:
    """The text in a pickle. Nothing is unpickled: only the pickle's operations are read.

    Raises ValueError if it holds anything but a single text.
    """
    operations = [(operation.name, argument) for operation, argument, _ in pickletools.genops(data)]
    found = [argument for name, argument in operations if name in _TEXT_OPCODES]
    if len(found) != 1 or any(name not in _TEXT_OPCODES | _HARMLESS for name, _ in operations):
        raise ValueError("a pickle that is not a single text")
    return str(found[0])


def _unpacked(text: str) -> str:
    """What base64 of zlib of a pickled text holds. Raises ValueError, TooLargeError."""
    try:
        unpacking = zlib.decompressobj()
        data = unpacking.decompress(base64.b64decode(text, validate=True), _MOST_UNPACKED)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(str(error)) from error
    if unpacking.unconsumed_tail:
        raise TooLargeError
    if not unpacking.eof:
        raise ValueError("cut short")
    return pickled_text(data)


def _tests(row: Row, key: str) -> list[Case]:
    """Test cases: a list, its JSON, or its JSON packed. Raises LayoutError."""
    expected = "JSON of a list of {input, output, testtype}, or base64 of zlib of its pickled text"
    # JSON begins with a bracket, which base64 does not have.
    value = row.parsed(
        key,
        lambda text: json.loads(text if text.lstrip().startswith("[") else _unpacked(text)),
        expected,
    )
    if not isinstance(value, list) or not all(isinstance(test, dict) for test in value):
        raise row.problem(key, expected)
    for test in value:
        if not isinstance(test.get("input"), str) or not isinstance(test.get("output"), str):
            raise row.problem(key, expected)
    return [{"stdin": test["input"], "stdout": test["output"]} for test in value]


def _function(row: Row) -> str:
    """The method's name in `metadata`, which is JSON; empty for a program. Raises LayoutError."""
    expected = "JSON of an object, its func_name a name"
    metadata = row.parsed("metadata", json.loads, expected)
    name = metadata.get("func_name") or "" if isinstance(metadata, dict) else None
    if not isinstance(name, str) or (name and not name.isidentifier()):
        raise row.problem("metadata", expected)
    return name


def read_livecodebench(path: Path) -> Iterator[Item | LeftOut]:
    """The tier is `difficulty`. All test cases count, public and private."""
    for row in json_lines(path):
        number, name = str(row.value("question_id")), _function(row)
        try:
            cases = [*_tests(row, "public_test_cases"), *_tests(row, "private_test_cases")]
        except TooLargeError:
            yield LeftOut(number, _TOO_LARGE)
            continue
        if not cases:
            raise row.problem("private_test_cases", "at least one test case, private or public")
        if not _fits(cases):
            yield LeftOut(number, _TOO_LARGE)
            continue
        content = row.text("question_content").strip()
        if name:
            prompt = f"{_ASK_METHOD}\n\n{content}\n\n{fenced(row.text('starter_code'))}"
            check = method_check(name)
        else:
            prompt = f"{_ASK_PROGRAM}\n\n{content}"
            check = {"type": "code", "setup": _SETUP, "compare": "lines"}
        body = question(
            prompt=prompt,
            expected=row.text("question_title"),
            criterion="passes the test cases",
            check={**check, "timeout_s": 6},
        )
        tier = row.one_of("difficulty", LEVELS)
        yield Item(identifier(number), f"question_id {number}", tier, body, cases)


# --- USACO ----------------------------------------------------------------------------------------

_DIVISIONS = {"bronze": 1, "silver": 2, "gold": 3, "platinum": 3}
_PAPERS_QUESTIONS = "usaco_subset307_dict.json"
_LIMIT_MEMORY = """import resource
_, most = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (min({memory}, most), most))
"""


def _problems(path: Path) -> tuple[Path, dict[str, Any]]:
    """The file of problems, and what is in it. Raises LayoutError."""
    files = files_of(path, "*_dict.json")
    file = next((each for each in files if each.name == _PAPERS_QUESTIONS), files[0])
    problems = json_of(file, "a JSON object of problems")
    if not isinstance(problems, dict) or not all(isinstance(p, dict) for p in problems.values()):
        raise LayoutError(f"{file}: expected a JSON object: problem_id to problem")
    return file, problems


def _seconds(row: Row, key: str) -> float:
    value = row.value(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 1000:
        raise row.problem(key, "a number of seconds")
    return value


def _tests_folder(file: Path) -> Path:
    """The folder `tests` beside the problems, or in a folder beside them. Raises LayoutError."""
    for folder in (file.parent / "tests", *sorted(file.parent.glob("*/tests"))):
        if folder.is_dir():
            return folder
    raise LayoutError(
        f"{file.parent}: expected a folder tests (or */tests) beside {file.name}, found none"
    )


def _usaco_cases(folder: Path, count: int) -> list[Case]:
    """The cases of a problem, in order; fewer than `count` if files are missing.

    The files have either naming: 1.in and 1.out, or I.1 and O.1.
    """
    cases: list[Case] = []
    for number in range(1, count + 1):
        for names in ((f"{number}.in", f"{number}.out"), (f"I.{number}", f"O.{number}")):
            given, gives = (folder / name for name in names)
            if given.is_file() and gives.is_file():
                texts = (file.read_text(encoding="utf-8") for file in (given, gives))
                cases.append(dict(zip(("stdin", "stdout"), texts, strict=True)))
                break
    return cases


def read_usaco(path: Path) -> Iterator[Item | LeftOut]:
    """The tier follows the division: bronze, silver, others.

    `runtime_limit` is in seconds per test, `memory_limit` in MB. `solution_python3` is optional.
    """
    file, problems = _problems(path)
    tests = _tests_folder(file)
    for key, problem in problems.items():
        row = Row(f"{file}: {key}", problem)
        if Path(key).name != key:
            raise LayoutError(f"{file}: expected problem_id to be a folder's name, found {key!r}")
        count = row.number("num_tests", 1, 10_000)
        cases = _usaco_cases(tests / key, count)
        if len(cases) < count:
            reason = f"some of their test files are not in {tests}"
            yield LeftOut(f"{key} ({len(cases)} of {count})", reason)
            continue
        if not _fits(cases):
            yield LeftOut(key, _TOO_LARGE)
            continue
        memory = row.number("memory_limit", 1, 1_000_000) * 1_000_000
        setup, limit = _LIMIT_MEMORY.format(memory=memory), _seconds(row, "runtime_limit")
        solution = problem.get("solution_python3")
        is_solved = isinstance(solution, str) and solution.strip()
        body = question(
            prompt=f"{_ASK_PROGRAM}\n\n{row.text('description').strip()}",
            expected=row.text("name"),
            reference=fenced(solution) if is_solved else "",
            criterion="passes the tests",
            check={"type": "code", "setup": setup, "timeout_s": limit},
        )
        tier = row.one_of("problem_level", _DIVISIONS)
        yield Item(identifier(key), f"problem {key}", tier, body, cases)
