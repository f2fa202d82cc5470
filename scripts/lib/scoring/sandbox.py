"""Runs untrusted Python against tests inside bubblewrap: no network, read-only system, limits, killed whole.

The verdict is reached outside. Each `assert` of the tests is rewritten to *report* its value; the expected values never enter
the sandbox and are compared here, so an answer cannot pass by leaving early, printing PASS, patching builtins, returning
objects that equal everything, or searching the harness for a token. Without bubblewrap nothing is run.
"""

from __future__ import annotations

import ast
import json
import os
import selectors
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

MEMORY_BYTES = 1 << 29
OUTPUT_BYTES = 1 << 20
MOST_PROCESSES = 48
_NOBODY = 65534
# -I -S: no environment, no user site: the code finds the standard library only. The real stdout is kept under another
# number for reports; what the code prints goes nowhere.
_HARNESS = """
import json, os, resource, sys, types
report = os.dup(1)
payload = json.load(sys.stdin)
null = os.open(os.devnull, os.O_RDWR)
for number in (0, 1, 2):
    os.dup2(null, number)
for limit, most in payload["limits"].items():
    resource.setrlimit(getattr(resource, limit), (most, most))
if os.getuid() == 0:
    try:
        os.setgroups([]); os.setgid(%(nobody)d); os.setuid(%(nobody)d)
    except OSError:
        pass
sys.setrecursionlimit(5000)

def encode(value, depth=0):
    if depth > 40:
        return ["o", "value nested over 40 levels"]
    if value is None:
        return ["n"]
    if isinstance(value, bool):
        return ["b", bool(value)]
    if isinstance(value, int):
        return ["i", hex(value)]
    if isinstance(value, float):
        return ["f", float(value).hex()]
    if type(value).__module__ in ("fractions", "decimal", "_decimal", "_pydecimal") and hasattr(value, "as_integer_ratio"):
        try:
            above, below = value.as_integer_ratio()
            return ["q", hex(above), hex(below)]
        except (ValueError, OverflowError):
            return ["o", type(value).__name__]
    if isinstance(value, complex):
        return ["c", value.real.hex(), value.imag.hex()]
    if isinstance(value, str):
        return ["s", str(value)]
    if isinstance(value, (bytes, bytearray)):
        return ["y", bytes(value).hex()]
    for kind, mark in ((list, "l"), (tuple, "t"), ((set, frozenset), "S")):
        if isinstance(value, kind):
            return [mark, [encode(item, depth + 1) for item in value]]
    if isinstance(value, dict):
        return ["d", [[encode(k, depth + 1), encode(v, depth + 1)] for k, v in value.items()]]
    return ["o", type(value).__name__]

def send(message):
    data = (json.dumps(message) + chr(10)).encode()
    while data:
        data = data[os.write(report, data):]

module = types.ModuleType("answer")
sys.modules["answer"] = module
space = module.__dict__
space["__emit"] = lambda number, value: send({"number": number, "value": encode(value)})
stage = "code"
try:
    exec(compile(payload["code"], "answer.py", "exec"), space)
    stage = "tests"
    exec(compile(payload["tests"], "tests.py", "exec"), space)
    send({"end": True})
except BaseException as error:
    send({"error": stage + ": " + type(error).__name__ + " " + str(error)[:100]})
os._exit(0)
""" % {"nobody": _NOBODY}  # noqa: UP031 - braces of the harness itself


class Verdict(NamedTuple):
    """`passed` is None where the sandbox cannot run; the reason in a few words."""

    passed: bool | None
    reason: str


# --- what runs where -------------------------------------------------------------------------------------------------


def _bwrap(binary: str, unprivileged: bool) -> list[str]:
    argv = [binary, "--die-with-parent", "--new-session", "--clearenv", "--hostname", "sandbox", "--unshare-uts"]
    if unprivileged:
        argv += ["--unshare-all", "--cap-drop", "ALL"]
    else:
        # As root without a user namespace: the harness then becomes nobody, which makes the process limit count (for root
        # it does not) and drops every capability.
        argv += ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-cgroup-try", "--cap-drop", "ALL"]
        argv += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    # Only what Python needs to run: homes, the project and its keys are not in the sandbox at all.
    for folder in ("/usr", "/lib", "/lib64", "/bin", "/etc/alternatives"):
        argv += ["--ro-bind-try", folder, folder]
    prefix = Path(sys.base_prefix).resolve()
    if not prefix.is_relative_to("/usr"):
        # Folders above it by name, or bubblewrap makes them for root's eyes only.
        for parent in [*prefix.parents][-2::-1]:
            argv += ["--perms", "0755", "--dir", str(parent)]
        argv += ["--ro-bind", str(prefix), str(prefix)]
    argv += ["--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--size", str(1 << 24), "--tmpfs", "/tmp"]
    return [*argv, "--chdir", "/tmp", "--remount-ro", "/"]


def _python() -> str:
    return str(Path(sys.base_prefix).resolve() / "bin" / f"python3.{sys.version_info.minor}")


@lru_cache(maxsize=1)
def _sandbox() -> tuple[tuple[str, ...], str]:
    """(the command that works here, why none does)."""
    binary = shutil.which("bwrap")
    if binary is None:
        return (), "no sandbox: bubblewrap is not installed (apt install bubblewrap)"
    said = ""
    for unprivileged in (False, True) if os.geteuid() == 0 else (True,):
        argv = _bwrap(binary, unprivileged)
        probe = subprocess.run([*argv, _python(), "-I", "-S", "-c", "0"], capture_output=True, text=True, check=False)
        if probe.returncode == 0:
            return tuple(argv), ""
        said = probe.stderr.strip()[:100]
    return (), f"no sandbox: bubblewrap does not work here: {said}"


def unavailable() -> str:
    """Why no sandbox can be used here (empty: it can)."""
    return _sandbox()[1]


# --- the tests, rewritten --------------------------------------------------------------------------------------------


class _Unlike:
    """A reported value of a kind that no literal equals."""

    def __init__(self, name: str):
        self.name = name

    def __repr__(self) -> str:
        return f"a {self.name}"


class _Constant:
    """What `is` asks for: `assert f() is True` is not met by 1."""

    def __init__(self, value: object):
        self.value = value

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self.value) and other == self.value

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self.value)


@dataclass
class Program:
    """Tests made to report: the source to run inside, and what each report must be (by number)."""

    source: str
    expected: list[Any] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    required: set[int] = field(default_factory=set)


class _Reporter(ast.NodeTransformer):
    """`assert f(2) == 4` becomes `__emit(0, f(2))`; what is no comparison with a literal reports its truth."""

    def __init__(self, program: Program):
        self.program = program
        self.conditional = 0

    def generic_visit(self, node: ast.AST) -> ast.AST:
        inside = isinstance(node, (ast.If, ast.For, ast.While, ast.Try, ast.ClassDef, ast.FunctionDef, ast.Lambda))
        # HumanEval's asserts stand in a function `check` that its last line calls: those must all be reached.
        inside = inside and not (isinstance(node, ast.FunctionDef) and node.name == "check")
        self.conditional += inside
        super().generic_visit(node)
        self.conditional -= inside
        return node

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        value, expected = self._split(node.test)
        number = len(self.program.expected)
        self.program.expected.append(expected)
        self.program.lines.append(node.lineno)
        if not self.conditional:
            self.program.required.add(number)
        call = ast.Call(ast.Name("__emit", ast.Load()), [ast.Constant(number), value], [])
        return ast.copy_location(ast.Expr(call), node)

    def _split(self, test: ast.expr) -> tuple[ast.expr, Any]:
        if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], (ast.Eq, ast.Is)):
            for literal, other in ((test.comparators[0], test.left), (test.left, test.comparators[0])):
                try:
                    value = ast.literal_eval(literal)
                except (ValueError, TypeError, SyntaxError):
                    continue
                return other, _Constant(value) if isinstance(test.ops[0], ast.Is) else value
        return ast.Call(ast.Name("bool", ast.Load()), [test], []), True


@lru_cache(maxsize=256)
def program(tests: str) -> Program:
    """The reporting form of tests. Raises SyntaxError where they are not Python (a mistake of the question's author)."""
    made = Program("")
    tree = _Reporter(made).visit(ast.parse(tests))
    made.source = ast.unparse(ast.fix_missing_locations(tree))
    return made


def _decode(coded: list[Any]) -> Any:
    mark, *rest = coded
    if mark == "n":
        return None
    if mark == "b":
        return bool(rest[0])
    if mark == "i":
        return int(rest[0], 16)
    if mark == "s":
        return str(rest[0])
    if mark == "f":
        return float.fromhex(rest[0])
    if mark == "q":
        return Fraction(int(rest[0], 16), int(rest[1], 16))
    if mark == "c":
        return complex(float.fromhex(rest[0]), float.fromhex(rest[1]))
    if mark == "y":
        return bytes.fromhex(rest[0])
    if mark == "d":
        return {_decode(key): _decode(value) for key, value in rest[0]}
    if mark in ("l", "t", "S"):
        items = [_decode(item) for item in rest[0]]
        return items if mark == "l" else tuple(items) if mark == "t" else set(items)
    return _Unlike(str(rest[0])[:60] if rest else "thing")


# --- running ---------------------------------------------------------------------------------------------------------


def _output(argv: list[str], payload: bytes, timeout_s: float) -> tuple[bytes, str]:
    """(what the sandbox reported, why it was cut off). Never more than OUTPUT_BYTES, never longer than timeout_s."""
    said, deadline = bytearray(), time.monotonic() + timeout_s
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        assert process.stdin and process.stdout
        try:
            process.stdin.write(payload)
            process.stdin.close()
        except BrokenPipeError:
            pass
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            why = ""
            while not why:
                left = deadline - time.monotonic()
                if left <= 0 or not selector.select(left):
                    why = f"no end within {timeout_s:g} s"
                    break
                data = os.read(process.stdout.fileno(), 65536)
                said += data
                if not data:
                    break
                if len(said) > OUTPUT_BYTES:
                    why = f"reported more than {OUTPUT_BYTES} bytes"
        # Killing bubblewrap ends its PID namespace, and with it every process of the code's.
        process.kill()
    return bytes(said), why


def run_tests(code: str, tests: str, timeout_s: float) -> Verdict:
    """Run code, then tests on it. `passed` is None where no sandbox works here. Raises nothing for whatever the code does."""
    reason = unavailable()
    if reason:
        return Verdict(None, reason)
    if "\0" in code:
        return Verdict(False, "code holds NUL")
    wanted = program(tests)
    limits = {
        "RLIMIT_AS": MEMORY_BYTES,
        "RLIMIT_FSIZE": 1 << 20,
        "RLIMIT_CPU": int(timeout_s) + 1,
        "RLIMIT_NPROC": MOST_PROCESSES,
        "RLIMIT_CORE": 0,
    }
    payload = json.dumps({"code": code.encode("utf-8", "replace").decode(), "tests": wanted.source, "limits": limits})
    said, cut = _output([*_sandbox()[0], _python(), "-I", "-S", "-c", _HARNESS], payload.encode(), timeout_s)
    if cut:
        return Verdict(False, cut)
    try:
        return _judge(wanted, [json.loads(line) for line in said.splitlines()])
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError, OverflowError):
        return Verdict(False, "the reports are not the harness's")


def _judge(wanted: Program, reports: list[dict[str, Any]]) -> Verdict:
    seen: set[int] = set()
    for report in reports:
        if "error" in report:
            return Verdict(False, str(report["error"])[:120])
        if "end" in report:
            continue
        number = int(report["number"])
        found, expected = _decode(report["value"]), wanted.expected[number]
        seen.add(number)
        # A real comparison of plain values: what the answer returned cannot bring its own __eq__ here.
        if found != expected:
            line = wanted.lines[number]
            return Verdict(False, f"tests line {line}: {repr(found)[:60]}, expected {repr(expected)[:60]}")
    if not reports or "end" not in reports[-1]:
        return Verdict(False, "ended before the tests did")
    if wanted.required - seen:
        return Verdict(False, "ended before the tests did")
    return Verdict(True, "tests pass")
