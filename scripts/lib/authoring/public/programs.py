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
    Benchmark,
    Item,
    LayoutError,
    LeftOut,
    Row,
    files_of,
    identifier,
    json_lines,
    one,
)

Case = Mapping[str, str]
_ASK_PROGRAM = (
    "Solve this problem with a Python program that reads standard input and writes standard output. "
    "Answer with one code block: the whole program."
)
_ASK_METHOD = "Solve this problem in Python. Begin with the code below, and answer with one code block that holds all of it."
LEVELS = {"easy": 1, "medium": 2, "hard": 3}
# What solutions on LeetCode find there without importing it; LiveCodeBench gives all of it to every
# answer.
_STARRED = (
    *(
        "string",
        "re",
        "datetime",
        "collections",
        "heapq",
        "bisect",
        "copy",
        "math",
        "random",
        "statistics",
    ),
    *("itertools", "functools", "operator", "io", "sys", "json", "builtins", "typing"),
)
_NAMED = tuple(name for name in _STARRED if name not in ("builtins", "typing"))
_IMPORTS = "".join(
    [*(f"from {name} import *\n" for name in _STARRED), *(f"import {name}\n" for name in _NAMED)]
)
_SETUP = f"{_IMPORTS}sys.setrecursionlimit(50000)\n"
# Each line of the input is an argument, as JSON; so is the output.
_CALL = """
import json, sys
given = [json.loads(line) for line in sys.stdin if line.strip()]
made = (Solution() if "Solution" in globals() else sys.modules["__main__"]).{name}(*given)
print()
print(json.dumps(made))
"""
# A case's output comes as one message of the sandbox's, and all cases are in its memory.
MOST_OUTPUT, MOST_CHARACTERS = 2 << 20, 64 << 20
_TOO_LARGE = (
    "their cases are too large for the sandbox "
    f"(at most {MOST_OUTPUT >> 20} MiB for an output, {MOST_CHARACTERS >> 20} MiB for all)"
)


def method_check(name: str) -> dict[str, Any]:
    """A code check, but for its cases, that calls a method of the answer's `Solution` (else its function of that name)."""
    setup = f"{_SETUP}{as_module('answer')}"
    return {"type": "code", "setup": setup, "driver": _CALL.format(name=name), "compare": "json"}


def _fits(cases: Sequence[Case]) -> bool:
    outputs = [len(case["stdout"]) for case in cases]
    return (
        max(outputs) <= MOST_OUTPUT
        and sum(outputs) + sum(len(case["stdin"]) for case in cases) <= MOST_CHARACTERS
    )


def level_of(row: Row, key: str, levels: Mapping[str, int]) -> int:
    if row.text(key) not in levels:
        raise row.problem(key, f"one of {', '.join(levels)}")
    return levels[row.text(key)]


# --- LiveCodeBench ----------------------------------------------------------------------------------------------------

_TEXT_OPCODES = frozenset(("UNICODE", "BINUNICODE", "BINUNICODE8", "SHORT_BINUNICODE"))
_HARMLESS = frozenset(("PROTO", "FRAME", "MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT", "STOP"))
_MOST_UNPACKED = 1 << 29


class TooLargeError(Exception):
    """Test cases that unpack to more than is read."""


def pickled_text(data: bytes) -> str:
    """The text that a pickle holds. Nothing is unpickled: its operations are read, and any but those of a single text
    are a ValueError.
    """
    operations = [(operation.name, argument) for operation, argument, _ in pickletools.genops(data)]
    found = [argument for name, argument in operations if name in _TEXT_OPCODES]
    if len(found) != 1 or any(name not in _TEXT_OPCODES | _HARMLESS for name, _ in operations):
        raise ValueError("a pickle of something else than a text")
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
    """Test cases: a list, or JSON of it, or that packed. Raises LayoutError."""
    value, expected = (
        row.value(key),
        "JSON of a list of {input, output, testtype}, or base64 of zlib of its pickled text",
    )
    try:
        if isinstance(value, str):
            # JSON begins with a bracket, which base64 does not have.
            value = json.loads(value if value.lstrip().startswith("[") else _unpacked(value))
    except (ValueError, RecursionError) as error:
        raise row.problem(key, f"{expected} ({error})") from error
    if not isinstance(value, list) or not all(isinstance(test, dict) for test in value):
        raise row.problem(key, expected)
    pairs = [(test.get("input"), test.get("output")) for test in value]
    if any(not isinstance(part, str) for pair in pairs for part in pair):
        raise row.problem(key, expected)
    return [{"stdin": given, "stdout": gives} for given, gives in pairs]


def _function(row: Row) -> str:
    """The method's name by `metadata`, which is JSON; empty for a program. Raises LayoutError."""
    metadata: Any = row.value("metadata")
    try:
        metadata = json.loads(metadata) if isinstance(metadata, str) else metadata
    except (ValueError, RecursionError):
        metadata = None
    name = metadata.get("func_name") or "" if isinstance(metadata, dict) else None
    if not isinstance(name, str) or (name and not name.isidentifier()):
        raise row.problem("metadata", "JSON of an object, its func_name a name")
    return name


def read_livecodebench(path: Path) -> Iterator[Item | LeftOut]:
    """`question_id`, `question_title`, `question_content`, `starter_code`, `difficulty`, `public_test_cases`,
    `private_test_cases`, `metadata`; the tier by `difficulty`. All test cases count, public and
    private.
    """
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
            prompt, check = (
                f"{_ASK_PROGRAM}\n\n{content}",
                {"type": "code", "setup": _SETUP, "compare": "lines"},
            )
        body = {
            "prompt": prompt,
            "expected": row.text("question_title"),
            "scoring": one("passes the test cases", {**check, "timeout_s": 6}),
        }
        tier = level_of(row, "difficulty", LEVELS)
        yield Item("livecodebench", identifier(number), f"question_id {number}", tier, body, cases)


# --- USACO ------------------------------------------------------------------------------------------------------------

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
    try:
        problems = json.loads(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise LayoutError(
            f"{file}:{error.lineno}: expected a JSON object of problems, found no JSON: {error.msg}"
        ) from error
    if not isinstance(problems, dict) or not all(
        isinstance(problem, dict) for problem in problems.values()
    ):
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


def _case_files(folder: Path, number: int) -> Iterator[Path]:
    """The input's and the output's file by either naming; none where they are not there."""
    for names in ((f"{number}.in", f"{number}.out"), (f"I.{number}", f"O.{number}")):
        pair = [folder / name for name in names]
        if all(file.is_file() for file in pair):
            yield from pair
            return


def _usaco_cases(folder: Path, count: int) -> list[Case]:
    """The cases of a problem, in their order; fewer than `count` where files are missing."""
    pairs = [
        [file.read_text(encoding="utf-8") for file in _case_files(folder, n)]
        for n in range(1, count + 1)
    ]
    return [dict(zip(("stdin", "stdout"), pair, strict=True)) for pair in pairs if pair]


def read_usaco(path: Path) -> Iterator[Item | LeftOut]:
    """A `*_dict.json` with tests beside it. Of each problem: `name`, `problem_level`, `description`, `num_tests`,
    `runtime_limit` in seconds for each test, `memory_limit` in MB, and `solution_python3` where
    there is one. The tier by the division: bronze, silver, others.
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
            yield LeftOut(
                f"{key} ({len(cases)} of {count})", f"their test files are not all in {tests}"
            )
            continue
        if not _fits(cases):
            yield LeftOut(key, _TOO_LARGE)
            continue
        memory = row.number("memory_limit", 1, 1_000_000) * 1_000_000
        setup = _LIMIT_MEMORY.format(memory=memory)
        solution = problem.get("solution_python3")
        body = {
            "prompt": f"{_ASK_PROGRAM}\n\n{row.text('description').strip()}",
            "expected": row.text("name"),
            **(
                {"reference_answer": fenced(solution)}
                if isinstance(solution, str) and solution.strip()
                else {}
            ),
            "scoring": one(
                "passes the tests",
                {"type": "code", "setup": setup, "timeout_s": _seconds(row, "runtime_limit")},
            ),
        }
        tier = level_of(row, "problem_level", _DIVISIONS)
        yield Item("usaco", identifier(key), f"problem {key}", tier, body, cases)


ROWS: Mapping[str, Benchmark] = {
    "livecodebench": Benchmark(
        "test*.jsonl: question_id, question_title, question_content, starter_code, difficulty, public_test_cases, "
        "private_test_cases, metadata",
        read_livecodebench,
        "LiveCodeBench, MIT (statements: their contests')",
        has_cases=True,
    ),
    "usaco": Benchmark(
        "a folder with usaco_subset307_dict.json (name, problem_level, description, num_tests, runtime_limit, memory_limit) "
        "and tests/PROBLEM/1.in, 1.out, … (or I.1, O.1)",
        read_usaco,
        "USACO benchmark (statements and tests: USACO)",
        has_cases=True,
    ),
}
