"""An answer as a program: it runs once per case, and cannot reach the comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scripts.lib.prompts.check_types import CheckOutcome, mistakes
from scripts.lib.scoring.cases import read_cases, write_cases
from scripts.lib.scoring.checks import CHECKS
from scripts.lib.scoring.sandbox import CaseVerdict, CodeTests, run_tests

pytestmark = pytest.mark.slow

ADD = "a, b = map(int, input().split())\nprint(a + b)"
SUMS = [{"stdin": "1 2\n", "stdout": "3\n"}, {"stdin": "5 6", "stdout": "11"}]


def run(
    code: str, stdin: str, stdout: str, compare: str = "stripped", timeout_s: float = 5
) -> CaseVerdict:
    return run_tests(
        code, CodeTests(cases=[{"stdin": stdin, "stdout": stdout}], compare=compare), timeout_s
    )


def check(answer: str, **params: Any) -> CheckOutcome:
    return CHECKS["code"](answer, {"type": "code", "cases": SUMS, **params})


def test_every_case_must_have_its_output() -> None:
    assert run_tests(ADD, CodeTests(cases=SUMS), 5) == (True, "2 cases pass")
    other = [*SUMS, {"stdin": "1 1", "stdout": "3"}]
    assert run_tests(ADD, CodeTests(cases=other), 5) == (False, "case 3: '2', expected '3'")


@pytest.mark.parametrize(
    "code",
    [
        "import sys\nprint(sum(map(int, sys.stdin.read().split())))",
        "print(sum(map(int, open(0).readline().split())))",
        "import os\nos.write(1, b'3')",
        "if __name__ == '__main__':\n    print(3)\n    exit()",
        "import threading\nthreading.Thread(target=lambda: print(sum(map(int, "
        "input().split())))).start()",
        "import sys\nprint(3)\nprint('noise', file=sys.stderr)\nsys.exit(0)",
        "print('\\r\\n 3 ')",
    ],
)
def test_programs_read_and_write_as_they_like(code: str) -> None:
    assert run(code, "1 2\n", "3") == (True, "1 cases pass")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("print(4)", "case 1: '4', expected '3'"),
        ("print(1 // 0)", "case 1: ZeroDivisionError: integer division or modulo by zero"),
        ("print(3)\nexit(2)", "case 1: ended with 2"),
        ("print(3", "case 1: SyntaxError: '(' was never closed"),
        ("while True: pass", "case 1: no end within 1 s"),
        ("import time\ntime.sleep(100)", "case 1: no end within 1 s: it waits"),
        (
            "import os, time\nprint(3, flush=True)\nos.fork() or time.sleep(100)",
            "case 1: no end within 1 s: it waits",
        ),
        ("print('x' * (5 << 20))", "case 1: reported more than 4194304 bytes"),
        ("import os\nos.kill(os.getppid(), 9)", "case 1: ended before the tests did"),
        ("input(); input()", "case 1: EOFError: EOF when reading a line"),
    ],
)
def test_what_is_no_answer_fails_with_its_reason(code: str, reason: str) -> None:
    assert run(code, "1 2\n", "3", timeout_s=1) == (False, reason)


def test_output_without_end_fails() -> None:
    assert run("while True: print('x' * 100000)", "", "3")[0] is False


def test_cases_share_nothing() -> None:
    code = "import os\nprint(os.path.exists('/tmp/left'))\nopen('answer.py', 'w').write('print(1)')"
    assert run_tests(code, CodeTests(cases=[{"stdin": "", "stdout": "False"}] * 2), 5)[0] is True


def test_an_input_may_be_larger_than_a_message_of_the_answers() -> None:
    assert run("print(len(input()))", "x" * (6 << 20), str(6 << 20))[0] is True


def test_a_limit_is_each_cases_own() -> None:
    code = "import time\nwhile time.process_time() < 0.7: pass\nprint(1)"
    assert run_tests(code, CodeTests(cases=[{"stdin": "", "stdout": "1"}] * 3), 1) == (
        True,
        "3 cases pass",
    )


@pytest.mark.parametrize(
    ("compare", "output", "wanted", "passes"),
    [
        ("stripped", "1\n 2 \n\n", "\n1\n 2", True),
        ("stripped", "1 \n2", "1\n2", False),
        ("lines", " 1 \n2  ", "1\n2\n", True),
        ("lines", "1.50 2", "1.5   2.0", True),
        ("lines", "50000000000000000", "50000000000000001", False),
        ("lines", "1.5 yes", "1.50 yes", False),
        ("lines", "1\n2\n3", "1\n2", False),
        ("lines", "1\n\n2", "1\n2", False),
        ("json", "hello\n[1, 2.0]", "[1,2]", True),
        ("json", "[1, 2]\nhello", "[1,2]", False),
        ("json", "[2, 1]", "[1,2]", False),
        ("json", "", "[1,2]", False),
    ],
)
def test_how_outputs_are_compared(compare: str, output: str, wanted: str, passes: bool) -> None:
    assert run(f"print({output!r})", "", wanted, compare)[0] is passes


def test_the_check_takes_the_answers_code_with_what_stands_around_it() -> None:
    assert check(f"Here:\n```python\n{ADD}\n```\nDone.").passed is True
    assert check("```python\nprint(4)\n```").passed is False
    assert check("I do not know.").passed is False
    # Two programs: both at once print twice, the last one alone is right.
    assert (
        check(f"First try:\n```python\nprint(0)\n```\nBetter:\n```python\n{ADD}\n```").passed
        is True
    )
    given = {"cases": [{"stdin": "[3, 4]", "stdout": "7"}], "compare": "json"}
    driver = "import json\nprint(json.dumps(total(json.loads(input()))))"
    answer = "```python\ndef total(x):\n    return reduce(lambda a, b: a + b, x)\n```"
    assert (
        check(answer, **given, driver=driver, setup="from functools import reduce").passed is True
    )
    assert check(answer, **given, driver=driver).passed is False


def test_cases_may_stand_in_a_file_that_is_named_by_its_digest(tmp_path: Path) -> None:
    named = write_cases(tmp_path / "suite.cases/q1.jsonl.gz", SUMS)
    assert read_cases(named) == SUMS == read_cases(SUMS) and read_cases(None) == []
    assert write_cases(tmp_path / "again.gz", SUMS)["sha256"] == named["sha256"]
    assert check(ADD, cases=named).passed is True
    write_cases(Path(named["file"]), SUMS[:1])
    found = check(ADD, cases=named)
    assert found.passed is None and "not the cases that the question names" in found.reason
    Path(named["file"]).unlink()
    found = check(ADD, cases=named)
    assert found.passed is None and "q1.jsonl.gz: the cases cannot be read" in found.reason


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({}, "a code check without parameters checks nothing"),
        ({"setup": "x = 1"}, "a code check needs 'tests' or 'cases'"),
        (
            {"cases": SUMS, "tests": "assert f()"},
            "cannot be combined with 'tests': a code check has one of them",
        ),
        ({"cases": SUMS, "entry_point": "f"}, "can only be used with tests"),
        ({"cases": SUMS, "forbidden": ["eval"]}, "can only be used with tests"),
        ({"tests": "assert f()", "compare": "lines"}, "can only be used with cases"),
        ({"tests": "assert f()", "driver": "f()"}, "can only be used with cases"),
        ({"cases": []}, "expected a list of {stdin: …, stdout: …}, found []"),
        ({"cases": [{"stdin": "1"}]}, "expected {stdin: …, stdout: …}, found {'stdin': '1'}"),
        ({"cases": [{"stdin": "1", "stdout": 2}]}, "expected texts in a case, found 2"),
        ({"cases": [{"stdin": None, "stdout": "2"}]}, "expected texts in a case, found None"),
        ({"cases": {"file": "x"}}, "expected {file: …, sha256: …}, found {'file': 'x'}"),
        (
            {"cases": SUMS, "compare": "exact"},
            "expected stripped or lines or json, found 'exact'",
        ),
    ],
)
def test_a_check_with_a_mistake_is_told(params: dict[str, Any], said: str) -> None:
    assert said in [message for _, message in mistakes("code", params)]
    assert (
        list(mistakes("code", {"cases": SUMS, "compare": "lines", "driver": "f()", "timeout_s": 2}))
        == []
    )
