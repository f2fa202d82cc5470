"""Public benchmarks of functions: HumanEval, MBPP, CRUXEval, BigCodeBench."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from scripts.lib.authoring.public.rows import (
    Benchmark,
    Item,
    LeftOut,
    Row,
    identifier,
    json_lines,
    json_rows,
    one,
)

_ASK_CODE = (
    "Complete this Python function. Answer with one code block: the whole function and its imports."
)
_ASK_FUNCTION = (
    "Write this Python function. Answer with one code block: the whole function and its imports."
)
_ASK_OUTPUT = "What does this Python function give for this input? Work it out step by step, then end with the assertion"
_ASK_INPUT = "For which input does this Python function give this output? Any such input will do. Work it out step by step"
_ASK_TASK = (
    "Solve this task in Python. Answer with one code block that holds everything, imports too."
)
# MBPP's questions for evaluation; the others are for prompts and training.
_MBPP_TEST = range(11, 511)


def fenced(code: str) -> str:
    """Code as a block of Markdown."""
    return f"```python\n{code.strip(chr(10)).rstrip()}\n```"


def as_module(name: str) -> str:
    """Code before an answer's that is to be a module of this name, and not a program: what it does as one is left undone."""
    return f'__name__ = "{name}"\nimport sys\nsys.modules[__name__] = sys.modules["__main__"]\n'


def _tier(code: str, medium: int, hard: int) -> int:
    """1 to 3, by a solution's number of lines that are not blank."""
    lines = len([line for line in code.splitlines() if line.strip()])
    return 1 if lines <= medium else 2 if lines <= hard else 3


# --- HumanEval --------------------------------------------------------------------------------------------------------


def read_humaneval(path: Path) -> Iterator[Item]:
    """`task_id`, `prompt`, `entry_point`, `canonical_solution`, `test`; the tier by the solution's length.

    The prompt's code runs before the answer's: it has the imports and helpers that an answer may
    rely on, and the head of the function, which an answer may only continue.
    """
    for row in json_lines(path):
        prompt, solution, name = (
            row.text("prompt"),
            row.text("canonical_solution").rstrip(),
            row.text("entry_point"),
        )
        tests = f"{row.text('test').rstrip()}\n\ncheck({name})\n"
        code = {"entry_point": name, "setup": prompt, "tests": tests, "timeout_s": 20}
        body = {
            "prompt": f"{_ASK_CODE}\n\n```python\n{prompt.rstrip()}\n```",
            "expected": name,
            "reference_answer": f"```python\n{prompt.rstrip()}\n{solution}\n```",
            "scoring": one("passes the tests", {"type": "code", **code}),
        }
        yield Item(
            "humaneval",
            identifier(row.text("task_id")),
            row.text("task_id"),
            _tier(solution, 3, 8),
            body,
        )


# --- MBPP -------------------------------------------------------------------------------------------------------------


def _called(code: str, tests: str) -> str:
    """The function of `code` that the tests call first; empty where there is none."""
    try:
        defined = {
            node.name for node in ast.walk(ast.parse(code)) if isinstance(node, ast.FunctionDef)
        }
        called = [node.func for node in ast.walk(ast.parse(tests)) if isinstance(node, ast.Call)]
    except (SyntaxError, ValueError, RecursionError):
        return ""
    return next(
        (each.id for each in called if isinstance(each, ast.Name) and each.id in defined), ""
    )


def _mbpp_item(row: Row, number: int) -> Item:
    sanitized = "prompt" in row.raw
    task, code, tests = (
        row.text("prompt" if sanitized else "text"),
        row.text("code"),
        row.texts("test_list"),
    )
    if not tests:
        raise row.problem("test_list", "at least one test")
    # After the answer's code, since it may use the answer's classes.
    before = row.texts("test_imports") if sanitized else [str(row.value("test_setup_code") or "")]
    source, name = "\n".join([*before, *tests]), _called(code, "\n".join(tests))
    entry = {"entry_point": name} if name else {}
    body = {
        "prompt": f"{task.strip()}\n\n{_ASK_FUNCTION} It should pass these tests:\n\n{fenced(chr(10).join(tests))}",
        "expected": name or tests[0],
        "reference_answer": fenced(code.replace("\r\n", "\n")),
        "scoring": one("passes the tests", {"type": "code", **entry, "tests": source.strip("\n")}),
    }
    return Item(
        "mbpp", f"mbpp_{number}", f"task_id {number} ({row.place})", _tier(code, 3, 8), body
    )


def read_mbpp(path: Path) -> Iterator[Item | LeftOut]:
    """mbpp.jsonl: `task_id`, `text`, `code`, `test_list`, `test_setup_code`; sanitized-mbpp.json has `prompt` and
    `test_imports` in place of `text` and `test_setup_code`. The tier by the solution's length.

    Of a file that holds questions for evaluation (`task_id` 11 to 510) the others are left out.
    """
    rows = [(row, row.number("task_id", 1, 100_000)) for row in json_rows(path, "*mbpp*.json*")]
    evaluated = any(number in _MBPP_TEST for _, number in rows)
    for row, number in rows:
        if evaluated and number not in _MBPP_TEST:
            yield LeftOut(
                f"task_id {number}", "MBPP has them for prompts and training, not for evaluation"
            )
        else:
            yield _mbpp_item(row, number)


# --- CRUXEval ---------------------------------------------------------------------------------------------------------


def _cruxeval_item(row: Row, suite: str, predict: str) -> Item:
    code, given, gives = row.text("code"), row.value("input"), row.text("output")
    if not isinstance(given, str):
        raise row.problem("input", "a text")
    whole = f"assert f({given}) == {gives}"
    if predict == "output":
        asked, open_part, end = (
            _ASK_OUTPUT,
            f"assert f({given}) == ??",
            "with a literal in place of ??",
        )
    else:
        asked, open_part, end = (
            f"{_ASK_INPUT}, then end with the assertion",
            f"assert f(??) == {gives}",
            "with an input in place of ??",
        )
    check = {"type": "cruxeval", "predict": predict, "code": code, "input": given, "output": gives}
    body = {
        "prompt": f"{asked} {end}, written as [ANSWER]assert …[/ANSWER].\n\n{fenced(f'{code}{chr(10)}{chr(10)}{open_part}')}",
        "expected": gives if predict == "output" else f"f({given})",
        "reference_answer": f"[ANSWER]{whole}[/ANSWER]",
        "scoring": one(f"predicts the {predict}", check),
    }
    name = str(row.value("id"))
    return Item(
        suite, identifier(f"{name}_{predict}"), f"{name} ({predict})", _tier(code, 5, 9), body
    )


def read_cruxeval(path: Path, suite: str, predicted: Sequence[str]) -> Iterator[Item]:
    """cruxeval.jsonl: `code`, `input`, `output`, `id`; of each row a question per prediction. The tier by the code's length."""
    for row in json_lines(path):
        for predict in predicted:
            yield _cruxeval_item(row, suite, predict)


# --- BigCodeBench -----------------------------------------------------------------------------------------------------

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
    """Whether the sandbox's Python can import a library: it has the standard library alone."""
    return library in sys.stdlib_module_names and find_spec(library) is not None


def _imported(row: Row, *keys: str) -> set[str]:
    """The libraries that a row's code imports, by their first names."""
    try:
        nodes = [node for key in keys for node in ast.walk(ast.parse(row.text(key)))]
    except (SyntaxError, ValueError, RecursionError) as error:
        raise row.problem(" or ".join(keys), f"Python code ({error})") from error
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {
        node.module
        for node in nodes
        if isinstance(node, ast.ImportFrom) and node.module and not node.level
    }
    return {name.partition(".")[0] for name in names}


def _libraries(row: Row) -> list[str]:
    """A row's `libs`: a list, or the text of one. Raises LayoutError."""
    listed: Any = row.value("libs")
    try:
        listed = ast.literal_eval(listed) if isinstance(listed, str) else listed
    except (ValueError, SyntaxError, RecursionError):
        listed = None
    if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
        raise row.problem("libs", "a list of libraries, or its text")
    return listed


def read_bigcodebench(path: Path, suite: str, prompt: str) -> Iterator[Item | LeftOut]:
    """`task_id`, `complete_prompt`, `instruct_prompt`, `canonical_solution`, `code_prompt`, `test`, `entry_point`, `libs`.

    `prompt` is the key of the text that is asked. The tier by the solution's length. Questions
    whose libraries the sandbox has not are left out.
    """
    for row in json_lines(path):
        task, name, solution = (
            row.text("task_id"),
            row.text("entry_point"),
            row.text("canonical_solution"),
        )
        needed = {*_libraries(row), *_imported(row, "test")} - {_MODULE}
        if absent := sorted(
            library for library in needed if not _in_sandbox(library.partition(".")[0])
        ):
            yield LeftOut(
                f"{task} ({', '.join(absent)})",
                "the sandbox's Python has the standard library alone",
            )
            continue
        head, asked = row.text("code_prompt").rstrip(), row.text(prompt)
        text = asked.strip() if prompt == "instruct_prompt" else f"{_ASK_CODE}\n\n{fenced(asked)}"
        check = {
            **{"type": "code", "setup": f"{as_module(_MODULE)}{head}\n    pass\n"},
            **{"driver": f"{row.text('test').rstrip()}\n{_RUN_TESTS}", "compare": "json"},
            **{"cases": [{"stdin": "", "stdout": '"pass"'}], "timeout_s": _BIGCODEBENCH_S},
        }
        body = {
            "prompt": text if prompt != "instruct_prompt" else f"{_ASK_TASK}\n\n{text}",
            "expected": name,
            "reference_answer": fenced(f"{row.text('complete_prompt').rstrip()}\n{solution}"),
            "scoring": one("passes the tests", check),
        }
        yield Item(suite, identifier(task), task, _tier(solution, 8, 16), body)


# --- rows -------------------------------------------------------------------------------------------------------------

_CRUXEVAL = "cruxeval.jsonl: code, input, output, id"
_BIGCODEBENCH = (
    "BigCodeBench's *.jsonl: task_id, complete_prompt, instruct_prompt, canonical_solution, code_prompt, test, "
    "entry_point, libs"
)


def _cruxeval(suite: str, *predicted: str) -> Benchmark:
    read = partial(read_cruxeval, suite=suite, predicted=predicted)
    return Benchmark(_CRUXEVAL, read, "CRUXEval, MIT")


def _bigcodebench(suite: str, prompt: str) -> Benchmark:
    return Benchmark(
        _BIGCODEBENCH,
        partial(read_bigcodebench, suite=suite, prompt=prompt),
        "BigCodeBench, Apache-2.0",
    )


ROWS: Mapping[str, Benchmark] = {
    "humaneval": Benchmark(
        "HumanEval.jsonl or .jsonl.gz: task_id, prompt, entry_point, canonical_solution, test",
        read_humaneval,
        "HumanEval, MIT",
    ),
    "mbpp": Benchmark(
        "mbpp.jsonl: task_id, text, code, test_list, test_setup_code; "
        "or sanitized-mbpp.json: task_id, prompt, code, test_list, test_imports",
        read_mbpp,
        "MBPP, CC BY 4.0",
    ),
    "cruxeval": _cruxeval("cruxeval", "input", "output"),
    "cruxeval_input": _cruxeval("cruxeval_input", "input"),
    "cruxeval_output": _cruxeval("cruxeval_output", "output"),
    "bigcodebench": _bigcodebench("bigcodebench", "instruct_prompt"),
    "bigcodebench_complete": _bigcodebench("bigcodebench_complete", "complete_prompt"),
}
