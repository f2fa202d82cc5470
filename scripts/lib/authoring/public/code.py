"""Public benchmarks of functions: HumanEval, MBPP, CRUXEval, BigCodeBench."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from scripts.lib.authoring.public.rows import (
    Item,
    LeftOut,
    Row,
    identifier,
    json_lines,
    json_rows,
    question,
)

_ASK_CODE = (
    "Complete this Python function. Answer with one code block: the whole function and its imports."
)
_ASK_FUNCTION = (
    "Write this Python function. Answer with one code block: the whole function and its imports."
)
_ASK_OUTPUT = (
    "What does this Python function give for this input? Work it out step by step, then end with "
    "the assertion with a literal in place of ??"
)
_ASK_INPUT = (
    "For which input does this Python function give this output? Any such input will do. Work it "
    "out step by step, then end with the assertion with an input in place of ??"
)
_ASK_TASK = (
    "Solve this task in Python. Answer with one code block that holds everything, imports too."
)
# MBPP's questions for evaluation; the others are for prompts and training.
_MBPP_TEST = range(11, 511)


def fenced(code: str) -> str:
    """Code as a block of Markdown."""
    return f"```python\n{code.strip(chr(10)).rstrip()}\n```"


def as_module(name: str) -> str:
    """Code that runs before an answer's code, and makes it a module of this name.

    What the answer does only as a main program is then not done.
    """
    return f'__name__ = "{name}"\nimport sys\nsys.modules[__name__] = sys.modules["__main__"]\n'


def _tier(code: str, medium: int, hard: int) -> int:
    """1 to 3, from the number of a solution's lines that are not blank."""
    lines = len([line for line in code.splitlines() if line.strip()])
    return 1 if lines <= medium else 2 if lines <= hard else 3


# --- HumanEval ------------------------------------------------------------------------------------


def read_humaneval(path: Path) -> Iterator[Item]:
    """The tier follows the solution's length.

    The prompt's code runs before the answer's: it has the imports and helpers that an answer may
    use, and the head of the function, which an answer may just continue.
    """
    for row in json_lines(path):
        prompt, name, task = row.text("prompt"), row.text("entry_point"), row.text("task_id")
        solution, head = row.text("canonical_solution").rstrip(), prompt.rstrip()
        tests = f"{row.text('test').rstrip()}\n\ncheck({name})\n"
        code = {"entry_point": name, "setup": prompt, "tests": tests, "timeout_s": 20}
        body = question(
            prompt=f"{_ASK_CODE}\n\n```python\n{head}\n```",
            expected=name,
            reference=f"```python\n{head}\n{solution}\n```",
            criterion="passes the tests",
            check={"type": "code", **code},
        )
        yield Item(identifier(task), task, _tier(solution, 3, 8), body)


# --- MBPP -----------------------------------------------------------------------------------------


def _called(code: str, tests: str) -> str:
    """The function of `code` that the tests call first; empty if they call none."""
    try:
        nodes, calls = ast.walk(ast.parse(code)), ast.walk(ast.parse(tests))
        defined = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
        called = [node.func for node in calls if isinstance(node, ast.Call)]
    except (SyntaxError, ValueError, RecursionError):
        return ""
    names = (each.id for each in called if isinstance(each, ast.Name))
    return next((name for name in names if name in defined), "")


def _mbpp_item(row: Row, number: int) -> Item:
    sanitized = "prompt" in row.raw
    task, code = row.text("prompt" if sanitized else "text"), row.text("code")
    tests = row.texts("test_list")
    if not tests:
        raise row.problem("test_list", "at least one test")
    # After the answer's code, since it may use the answer's classes.
    before = row.texts("test_imports") if sanitized else [str(row.value("test_setup_code") or "")]
    name = _called(code, "\n".join(tests))
    entry = {"entry_point": name} if name else {}
    source = "\n".join([*before, *tests]).strip("\n")
    shown = fenced("\n".join(tests))
    body = question(
        prompt=f"{task.strip()}\n\n{_ASK_FUNCTION} It should pass these tests:\n\n{shown}",
        expected=name or tests[0],
        reference=fenced(code.replace("\r\n", "\n")),
        criterion="passes the tests",
        check={"type": "code", **entry, "tests": source},
    )
    return Item(f"mbpp_{number}", f"task_id {number} ({row.place})", _tier(code, 3, 8), body)


def read_mbpp(path: Path) -> Iterator[Item | LeftOut]:
    """The tier follows the solution's length.

    mbpp.jsonl has `text` and `test_setup_code`, sanitized-mbpp.json has `prompt` and
    `test_imports`. If a file has questions for evaluation (`task_id` 11 to 510), the others are
    left out.
    """
    rows = [(row, row.number("task_id", 1, 100_000)) for row in json_rows(path, "*mbpp*.json*")]
    evaluated = any(number in _MBPP_TEST for _, number in rows)
    for row, number in rows:
        if evaluated and number not in _MBPP_TEST:
            reason = "MBPP has them for prompts and training, not for evaluation"
            yield LeftOut(f"task_id {number}", reason)
        else:
            yield _mbpp_item(row, number)


# --- CRUXEval -------------------------------------------------------------------------------------


def _cruxeval_item(row: Row, predict: str) -> Item:
    code, given, gives = row.text("code"), row.value("input"), row.text("output")
    name = str(row.value("id"))
    if not isinstance(given, str):
        raise row.problem("input", "a text")
    if predict == "output":
        asked, open_part, expected = _ASK_OUTPUT, f"assert f({given}) == ??", gives
    else:
        asked, open_part, expected = _ASK_INPUT, f"assert f(??) == {gives}", f"f({given})"
    shown = fenced(f"{code}\n\n{open_part}")
    case = {"predict": predict, "code": code, "input": given, "output": gives}
    body = question(
        prompt=f"{asked}, written as [ANSWER]assert …[/ANSWER].\n\n{shown}",
        expected=expected,
        reference=f"[ANSWER]assert f({given}) == {gives}[/ANSWER]",
        criterion=f"predicts the {predict}",
        check={"type": "cruxeval", **case},
    )
    return Item(identifier(f"{name}_{predict}"), f"{name} ({predict})", _tier(code, 5, 9), body)


def read_cruxeval(path: Path, predicted: Sequence[str]) -> Iterator[Item]:
    """A question per row and prediction (`input`, `output`). The tier follows the code's length."""
    for row in json_lines(path):
        for predict in predicted:
            yield _cruxeval_item(row, predict)


# --- BigCodeBench ---------------------------------------------------------------------------------

# The published harness runs answer and tests in one module of this name; tests patch what the
# answer uses.
_MODULE = "__test__"
_RUN_TESTS = """
import json, sys, unittest
found = unittest.TestResult()
unittest.defaultTestLoader.loadTestsFromTestCase(TestCases).run(found)
for test, trace in found.failures + found.errors:
    sys.exit(test.id().rpartition(".")[2] + ": " + trace.strip().rpartition("\\n")[2])
if not found.testsRun:
    sys.exit("no test was run")
print()
print(json.dumps("pass"))
"""
_BIGCODEBENCH_S = 60


@lru_cache(maxsize=1024)
def _in_sandbox(library: str) -> bool:
    """Whether the sandbox's Python can import a library: it has only the standard library."""
    return library in sys.stdlib_module_names and find_spec(library) is not None


def _imported(row: Row, key: str) -> set[str]:
    """The libraries that a row's code imports."""
    row.text(key)
    names = set()
    for node in ast.walk(row.parsed(key, ast.parse, "Python code")):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return {name.partition(".")[0] for name in names}


def _libraries(row: Row) -> list[str]:
    """A row's `libs`: a list, or the text of one. Raises LayoutError."""
    listed = row.value("libs")
    try:
        listed = ast.literal_eval(listed) if isinstance(listed, str) else listed
    except (ValueError, SyntaxError, RecursionError):
        listed = None
    if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
        raise row.problem("libs", "a list of libraries, or its text")
    return listed


def read_bigcodebench(path: Path, prompt: str) -> Iterator[Item | LeftOut]:
    """`prompt` is the key of the text that is asked. The tier follows the solution's length.

    Questions that need libraries that the sandbox does not have are left out.
    """
    for row in json_lines(path):
        task, name = row.text("task_id"), row.text("entry_point")
        solution = row.text("canonical_solution")
        needed = {*_libraries(row), *_imported(row, "test")} - {_MODULE}
        absent = sorted(each for each in needed if not _in_sandbox(each.partition(".")[0]))
        if absent:
            reason = "the sandbox's Python has the standard library alone"
            yield LeftOut(f"{task} ({', '.join(absent)})", reason)
            continue
        head, asked = row.text("code_prompt").rstrip(), row.text(prompt)
        check = {
            "type": "code",
            "setup": f"{as_module(_MODULE)}{head}\n    pass\n",
            "driver": f"{row.text('test').rstrip()}\n{_RUN_TESTS}",
            "compare": "json",
            "cases": [{"stdin": "", "stdout": '"pass"'}],
            "timeout_s": _BIGCODEBENCH_S,
        }
        is_task = prompt == "instruct_prompt"
        body = question(
            prompt="\n\n".join(
                (_ASK_TASK, asked.strip()) if is_task else (_ASK_CODE, fenced(asked))
            ),
            expected=name,
            reference=fenced(f"{row.text('complete_prompt').rstrip()}\n{solution}"),
            criterion="passes the tests",
            check=check,
        )
        yield Item(identifier(task), task, _tier(solution, 8, 16), body)
