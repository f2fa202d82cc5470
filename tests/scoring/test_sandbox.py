"""Hostile code neither passes nor escapes, and honest code runs unharmed.

It leaves no process and no file, and reaches neither the network nor the environment.
"""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path

import psutil
import pytest

from scripts.lib.scoring import sandbox
from scripts.lib.scoring.sandbox import CodeTests, run_tests, unavailable

pytestmark = pytest.mark.slow

TESTS = CodeTests("assert f() == 1")
HOSTILE = {
    "infinite loop": "def f():\n    while True: pass",
    "leaves early": "import os\nos._exit(0)",
    "leaves early by exit": "import sys\nsys.exit(0)",
    "prints PASS": "print('PASS')\nprint('passed')\ndef f(): return 0",
    "raises": "raise KeyboardInterrupt",
    "kills its parent": "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\n"
    "def f(): return 1",
    "eats memory": "x = bytearray(8 << 30)\ndef f(): return 1",
    "closes everything": "import os\nos.closerange(0, 100)\nos._exit(0)",
    "no return": "def f(): pass",
    "waits": "import time\ntime.sleep(100)",
    "leaves when it is called": "import os\ndef f(): os._exit(0)",
    "exits when it is called": "import sys\ndef f(): sys.exit(0)",
    "prints a verdict when it is called": """
import os
def f():
    for number in range(64):
        try:
            os.write(number, b'{"passed": true, "reason": "tests pass"}')
        except OSError:
            pass
    os._exit(0)
""",
    "says no message": """
import os
def f():
    for number in range(64):
        try:
            os.write(number, b'[["value"]]\\n[]\\n7\\n["value", ["int"], [[9, 9]]]\\n')
        except OSError:
            pass
""",
    "says too much": "def f(): return 'x' * (5 << 20)",
    "nests without end": "def f():\n    x = []\n    x.append(x)\n    return x",
}
# What tests use, redefined, and then patched for the whole process.
FORGED = """
import builtins, sys
class Any:
    def __getattr__(self, name): return lambda *a: True
    __eq__ = __lt__ = __le__ = __gt__ = __ge__ = __contains__ = lambda *a: True
    __ne__ = lambda *a: False
    __sub__ = __rsub__ = __abs__ = __round__ = __float__ = lambda *a: 0.0
    __bool__ = lambda self: True
    __hash__ = lambda self: 0
    __iter__ = lambda self: iter(())
class Text(str): __eq__ = lambda *a: True; __hash__ = lambda self: 0
class Pair(tuple): __eq__ = lambda *a: True; __hash__ = lambda self: 0
class Metal(type):
    __eq__ = __instancecheck__ = __subclasscheck__ = lambda *a: True
    __hash__ = lambda self: 0
class Kind(metaclass=Metal): pass
def true(*a, **k): return True
bool = all = any = isinstance = issubclass = hasattr = print = repr = true
abs = len = round = sum = lambda *a: 0
list = tuple = set = sorted = lambda *a: Any()
AssertionError = ValueError = Exception
math = unittest = Any()
isclose = same = check = __emit = told__ = found__ = wanted__ = true
"""
PATCHED = """
for name in ("bool", "all", "isinstance", "abs", "len", "repr"):
    setattr(builtins, name, globals()[name])
for module in list(sys.modules.values()):
    for name in ("judge", "_wary", "loads", "dumps", "told__"):
        if name in getattr(module, "__dict__", {}):
            try: setattr(module, name, true)
            except Exception: pass
"""
FORMS = (
    "assert f(2) == 4",
    "assert 4 == f(2)",
    "assert f(2) is None",
    "assert f(2) in (3, 4)",
    "assert 4 in f(2)",
    "wanted = 4\nassert f(2) == wanted",
    "assert abs(f(2) - 4.0) < 1e-6",
    "assert not f(2) != 4",
    "assert f(2) > 3",
    "assert len(f(2)) == 4",
    "assert isinstance(f(2), int)",
    "assert all(f(x) == 2 * x for x in (1, 2))",
    "import math\nassert math.isclose(f(2), 4)",
    "assert sorted(f(2)) == [3, 4]",
    "assert {1: f(2)} == {1: 4}",
    "def check(c):\n    assert c(2) == 4\ncheck(f)",
    "def same(a, b):\n    if a != b: raise AssertionError\nsame(f(2), 4)",
    "try:\n    f(-1)\nexcept ValueError:\n    pass\nelse:\n    raise AssertionError",
    "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(f(2), "
    "4)\nunittest.main()",
)
RETURNS = (
    "Any()",
    "Text()",
    "Pair()",
    "Kind",
    "Kind()",
    "true",
    "[Any()]",
    "{1: Any()}",
    "sys",
    "AssertionError",
)

HONEST = {
    "changes its argument": ("def f(x): x.sort()", "x = [3, 1]\nf(x)\nassert x == [1, 3]"),
    "changes within": (
        "def f(m):\n    m[0][1] = 9\n    m.append([])",
        "m = [[1, 2]]\nf(m)\nassert m == [[1, 9], []]",
    ),
    "generates": (
        "def f(n):\n    yield from range(n)",
        "assert list(f(3)) == [0, 1, 2]\nassert next(f(1)) == 0",
    ),
    "takes a generator": ("def f(x): return sum(x)", "assert f(i for i in range(4)) == 6"),
    "takes a function": ("def f(g): return g(g(2))", "assert f(lambda x: x * x) == 16"),
    "gives a function": ("def f(n): return lambda x: x + n", "assert f(2)(3) == 5"),
    "decorates": (
        "def f(g):\n    return lambda *a: [g(*a)]",
        "@f\ndef g(x): return x\nassert g(2) == [2]",
    ),
    "raises": (
        "def f(): raise KeyError('k')",
        "try:\n    f()\nexcept LookupError as e:\n    assert e.args == ('k',)",
    ),
    "raises its own": (
        "class Bad(ValueError):\n    def __init__(self, n): super().__init__(n); self.n = n\n"
        "def f(): raise Bad(3)",
        "try:\n    f()\nexcept Bad as e:\n    assert e.n == 3 and isinstance(e, ValueError)\n"
        "else: assert 0",
    ),
    "waits for": ("async def f(x): return x + 1", "import asyncio\nassert asyncio.run(f(1)) == 2"),
    "names a tuple": (
        "from collections import namedtuple\nP = namedtuple('P', 'x y')\ndef f(): return P(1, 2)",
        "p = f()\nassert p == (1, 2) and p.x == 1 and isinstance(p, tuple) and [p] == [(1, 2)] "
        "and len({p, (1, 2)}) == 1",
    ),
    "counts": (
        "from collections import Counter\ndef f(t): return Counter(t)",
        "assert f('aab').most_common(1) == [('a', 2)]",
    ),
    "computes exactly": (
        "from decimal import Decimal\nfrom fractions import Fraction\n"
        "def f(): return Decimal('1.5'), Fraction(1, 3)",
        "from decimal import Decimal\na, b = f()\nassert a == Decimal('1.5') == 1.5 and b * 3 == 1",
    ),
    "knows days": (
        "from datetime import *\ndef f(d): return d + timedelta(days=1)",
        "from datetime import date\nassert f(date(2024, 2, 28)) == date(2024, 2, 29)",
    ),
    "has operators": (
        "class f:\n    def __init__(s, x): s.x = x\n    def __add__(s, o): return f(s.x + o.x)\n"
        "    def __mul__(s, n):"
        " return f(s.x * n)\n    def __eq__(s, o): return s.x == o.x\n"
        "    def __lt__(s, o): return s.x < o.x",
        "assert f(1) + f(2) == f(3) and f(2) * 3 == f(6) and f(1) < f(2) and f(1) != f(2) and "
        "max(f(1), f(5)).x == 5",
    ),
    "is a container": (
        "class f:\n    def __init__(s): s.d = {}\n    def __setitem__(s, k, v): s.d[k] = v\n"
        "    def __getitem__(s, k): return s.d[k]\n    def __len__(s): return len(s.d)\n"
        "    def __contains__(s, k): return k in s.d",
        "c = f()\nc['a'] = 1\nassert c['a'] == 1 and len(c) == 1 and 'a' in c and 'b' not in c "
        "and hasattr(c, '__len__')",
    ),
    "manages": (
        "class f:\n    def __enter__(s): return 7\n    def __exit__(s, *e): return True",
        "with f() as x:\n    assert x == 7\n    raise ValueError",
    ),
    "enumerates": (
        "import enum\nclass f(enum.IntEnum):\n    A = 1",
        "assert f.A == 1 and f(1) is f.A and f.A.name == 'A'",
    ),
    "derives": (
        "import abc\nclass S(abc.ABC):\n    @abc.abstractmethod\n    def a(self): ...\n"
        "class f(S):\n    def a(self): return 2",
        "assert isinstance(f(), S) and issubclass(f, S) and f().a() == 2",
    ),
    "knows the tests' classes": (
        "def f(n):\n    return 0 if n is None else n.v + f(n.next)\n"
        "def g(n): return isinstance(n, N) and N(n.v + 1)",
        "class N:\n    def __init__(s, v, next=None): s.v, s.next = v, next\n"
        "assert f(N(1, N(2))) == 3\nm = g(N(4))\nassert isinstance(m, N) and m.v == 5",
    ),
    "changes the tests' objects": (
        "def f(n): n.v = 3",
        "class N: pass\nn = N()\nf(n)\nassert n.v == 3",
    ),
    "has values": ("LIMIT = 5\ndef f(): pass", "assert LIMIT == 5 and f() is None"),
    "is a module": (
        "def f(): return 1",
        "import answer\nfrom answer import f as g\nassert answer.f() == g() == 1",
    ),
    "is tried by unittest": (
        "def f(x):\n    if x < 0: raise ValueError\n    return x",
        "import unittest\nclass T(unittest.TestCase):\n    def test(self):\n"
        "        self.assertEqual(f(2), 2)\n"
        "        with self.assertRaises(ValueError): f(-1)\nunittest.main()",
    ),
    "counts far": ("def f(): return 10 ** 5000", "assert f() == 10 ** 5000"),
    "holds half a pair": (
        "def f(x): return x + '\\udc80'",
        "assert f('\\ud800') == '\\ud800\\udc80'",
    ),
    "defines a builtin's name": ("def sum(x): return 42", "assert sum([1]) == 42"),
}


def test_the_sandbox_is_here() -> None:
    assert unavailable() == "", "install bubblewrap: apt install bubblewrap"


def test_honest_code_passes() -> None:
    assert run_tests("def f(): return 1", TESTS, 10) == (True, "tests pass")
    assert run_tests("import math, json, collections\ndef f(): return 1", TESTS, 10)[0] is True


@pytest.mark.parametrize("code", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_code_does_not_pass(code: str) -> None:
    passed, reason = run_tests(code, TESTS, 1)
    assert passed is False and reason


@pytest.mark.parametrize("returned", RETURNS)
def test_no_form_of_test_is_passed_by_forging_what_it_uses(returned: str) -> None:
    # All forms at once: that none is passed is what these tests ask for.
    tests = f"""
passed = []
for form in {FORMS!r}:
    try:
        exec(form, globals())
    except SystemExit as error:
        passed += [] if error.code else [form]
    except Exception:
        pass
    else:
        passed.append(form)
assert passed == []
"""
    code = f"{FORGED}def f(*a): return {returned}"
    assert run_tests(code, CodeTests(tests), 10) == (True, "tests pass")
    for form in FORMS[:2]:
        assert (
            run_tests(f"{FORGED}{PATCHED}def f(*a): return {returned}", CodeTests(form), 10)[0]
            is False
        )


@pytest.mark.parametrize(("code", "tests"), HONEST.values(), ids=HONEST.keys())
def test_what_honest_code_does_is_seen_as_python_has_it(code: str, tests: str) -> None:
    entry = "sum" if "def sum" in code else "f"
    assert run_tests(code, CodeTests(tests, entry=entry), 10) == (True, "tests pass")


@pytest.mark.parametrize(
    "kind", ["is tried by unittest", "raises its own", "defines a builtin's name"]
)
def test_a_test_that_fails_is_seen_whatever_honest_code_does(kind: str) -> None:
    code, tests = HONEST[kind]
    entry = "sum" if "def sum" in code else "f"
    passed, reason = run_tests(code, CodeTests(f"assert 1 == 2\n{tests}", entry=entry), 10)
    assert passed is False, reason


def test_the_answer_does_not_reach_the_tests() -> None:
    reach = """
def f(g, box):
    tried = [lambda: g.__globals__, lambda: g.__code__, lambda: g.__self__,
             lambda: box.__class__.__init__.__globals__,
             lambda: box.method.__func__, lambda: box.__dict__,
             lambda: g.__call__.__self__.__globals__,
             lambda: "{0.__globals__}".format(g), lambda: type(g).__mro__[0].ask,
             lambda: g.remote_peer__.ask("__call__", eval, "1"),
             lambda: g.remote_peer__.ask("load", None, []),
             lambda: g.remote_peer__.ask("getattr", "{0.__globals__}", "format"),
             lambda: g.remote_peer__.ask("getattr", __import__("os"), "getpid")]
    found = []
    for attempt in tried:
        try:
            found.append(str(attempt()))
        except Exception as error:
            found.append("")
    return [text for text in found if "canary" in text or "built-in" in text]
"""
    tests = (
        "secret = 'canary'\nclass Box:\n    def method(self): return secret\n"
        "assert f(lambda: secret, Box()) == []"
    )
    assert run_tests(reach, CodeTests(tests), 10) == (True, "tests pass")


def test_setups_helpers_are_the_questions_own() -> None:
    setup = "import math\ndef twice(x):\n    return 2 * x\ndef f(x):\n    pass\n"
    tests = CodeTests("assert twice(f(2)) == 6 and math.floor(2.5) == 2", setup, "f")
    assert run_tests(f"{setup}def f(x): return x + 1", tests, 10)[0] is True
    assert run_tests(f"{setup}def f(x): return x\ndef twice(x): return 6", tests, 10)[0] is False


def test_forbidden_names_are_not_to_be_had() -> None:
    tests = CodeTests("assert f('2') == 2", forbidden=("eval", "ast"))
    for code, passes in (
        ("def f(x): return int(x)", True),
        ("def f(x): return eval(x)", False),
        ("import ast\ndef f(x): return ast.literal_eval(x)", False),
        ("from ast import literal_eval as f", False),
        ("def f(x):\n    import ast\n    return ast.literal_eval(x)", False),
        ("import dataclasses\ndef f(x): return int(x)", True),
    ):
        assert run_tests(code, tests, 10)[0] is passes, code


def test_an_honest_answer_passes_beside_others_sleepers() -> None:
    sleepers = (
        "import os, time\nfor _ in range(30):\n    if not os.fork(): time.sleep(60)\n"
        "def f(): time.sleep(60)"
    )
    honest = """
import threading
def f():
    for thread in [threading.Thread(target=int) for _ in range(8)]:
        thread.start()
    return 1
"""
    others = [threading.Thread(target=run_tests, args=(sleepers, TESTS, 1)) for _ in range(3)]
    for other in others:
        other.start()
    time.sleep(0.5)
    for _ in range(3):
        assert run_tests(honest, TESTS, 20) == (True, "tests pass")
    for other in others:
        other.join()


def test_shared_memory_is_small_and_the_answers_own() -> None:
    code = """
import os
def f(folder):
    written = 0
    for number in range(100):
        try:
            with open(f"{folder}/left_{number}", "wb") as file:
                file.write(bytes(1 << 20))
            written += 1
        except OSError:
            pass
    return written
"""
    tests = (
        "for folder in ('/tmp', '/dev/shm'):\n    assert 10 <= f(folder) <= 16\n"
        "assert f('/dev') == 0 == f('/')"
    )
    assert run_tests(code, CodeTests(tests), 10) == (True, "tests pass")
    assert not list(Path("/dev/shm").glob("left_*"))


def test_memory_of_all_an_answers_processes_counts() -> None:
    code = """
import os, time
for _ in range(8):
    if not os.fork():
        held = bytearray(b'1') * (200 << 20)
        time.sleep(60)
def f(): time.sleep(60)
"""
    passed, reason = run_tests(code, TESTS, 10)
    assert passed is False and "memory" in reason


def test_a_limit_is_of_processor_time_and_a_busy_machine_leaves_it_undecided(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code = "import time\ndef f():\n    time.sleep(2)\n    return 1"
    assert run_tests(code, TESTS, 1) == (True, "tests pass")
    assert run_tests("while True: pass", TESTS, 1) == (False, "no end within 1 s")
    # As if the machine gave it hardly any time.
    monkeypatch.setattr(sandbox, "CLOCK_FACTOR", 0.01)
    passed, reason = run_tests("while True: pass", TESTS, 50)
    assert passed is None and "the machine was too busy" in reason


def test_a_sandbox_that_does_not_start_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    assert unavailable() == ""
    monkeypatch.setattr(sandbox, "_sandbox", lambda: (("/bin/false",), ""))
    assert run_tests("def f(): return 1", TESTS, 5)[0] is None
    monkeypatch.setattr(sandbox, "_sandbox", lambda: (("/no/such/program",), ""))
    assert run_tests("def f(): return 1", TESTS, 5)[0] is None


def sandboxed(before: set[int]) -> list[psutil.Process]:
    """Processes newer than `before` that are the sandbox, or run what it was given."""
    found = [p for p in psutil.process_iter(["cmdline"]) if p.pid not in before]
    return [
        p
        for p in found
        if any(
            mark in " ".join(p.info["cmdline"] or ())
            for mark in ("bwrap", "The program that runs in both sandboxes")
        )
    ]


def test_a_fork_bomb_leaves_no_process() -> None:
    before = {p.pid for p in psutil.process_iter()}
    forks = "for _ in range(20):\n    try:\n        os.fork()\n    except OSError:\n        pass\n"
    code = f"import os, time\n{forks}time.sleep(100)"
    seen, over = [0], threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            seen.append(len(sandboxed(before)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert run_tests(code, TESTS, 3)[0] is False
    over.set()
    watcher.join()
    assert max(seen) > 10, "the bomb was there while it ran"
    deadline = time.monotonic() + 5
    while left := sandboxed(before):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def test_the_sandbox_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    code = "open('/tmp/left_by_the_answer', 'w').write('x')\ndef f(): return 1"
    assert run_tests(code, TESTS, 10)[0] is True
    assert list(tmp_path.iterdir()) == [] and not Path("/tmp/left_by_the_answer").exists()


def test_nothing_of_the_machine_is_in_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "canary-key")
    secret = tmp_path / "secret"
    secret.write_text("canary")
    code = f"""
import os, socket
def f():
    assert "ANTHROPIC_API_KEY" not in os.environ, "environment"
    assert not os.path.exists({str(secret)!r}), "files"
    assert not os.path.exists({str(Path.cwd())!r}), "project"
    for place in ("/usr/x", "/etc/x", {str(tmp_path)!r} + "/x"):
        try:
            open(place, "w")
        except OSError:
            continue
        raise AssertionError("wrote " + place)
    try:
        socket.create_connection(("127.0.0.1", 22), timeout=1)
    except OSError:
        pass
    else:
        raise AssertionError("network")
    assert os.listdir("/sys/class/net") == ["lo"] if os.path.exists("/sys/class/net") else True
    return 1
"""
    assert run_tests(code, TESTS, 10) == (True, "tests pass")
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]
