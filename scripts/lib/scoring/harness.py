"""The program that runs in both sandboxes of a code check: one has the tests, the other the answer.

They talk in lines of JSON over a socket. Plain values (numbers, texts, lists, dates, …) travel as
they are. Any other object stays in its process; the other side gets a `Remote` that forwards each
operation on it. So the tests compare plain values in their own process, with their own builtins,
and what an answer redefines, patches, searches or ends is only its own. Between an object of the
answer and a plain value only the object's plain value decides.

The text of this file is given to the sandbox's Python: it imports the standard library only.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import json
import operator
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import traceback
import types
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

TESTS, ANSWER = "tests", "answer"
MESSAGE_BYTES = 4 << 20
DEEPEST = 40
NOT_STARTED = "the answer's sandbox did not start"
FORGED = "the reports are not the harness's"
# A program may call exit() and quit(), which come from Python's site module.
PROGRAM = (
    "import site; site.setquit(); "
    "exec(compile(open('answer.py', encoding='utf-8').read(), 'answer.py', 'exec'))"
)


class Gone(BaseException):
    """The other side ended, or sent no valid message. A test's `except Exception` misses it."""


class AnswerExit(SystemExit):
    """The answer called exit(). SystemExit of the tests is another class."""


# --- plain values ---------------------------------------------------------------------------------

# type -> (how it is written in JSON, how it is read)
SCALARS: dict[type, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    type(None): (lambda value: None, lambda coded: None),
    bool: (bool, bool),
    int: (hex, lambda coded: int(coded, 16)),
    float: (float.hex, float.fromhex),
    complex: (
        lambda value: [value.real.hex(), value.imag.hex()],
        lambda coded: complex(float.fromhex(coded[0]), float.fromhex(coded[1])),
    ),
    # Byte by byte: JSON would join the two halves of a surrogate pair.
    str: (
        lambda value: value.encode("utf-8", "surrogatepass").decode("latin-1"),
        lambda coded: coded.encode("latin-1").decode("utf-8", "surrogatepass"),
    ),
    bytes: (bytes.hex, bytes.fromhex),
    bytearray: (bytearray.hex, bytearray.fromhex),
    range: (lambda value: [value.start, value.stop, value.step], lambda coded: range(*coded)),
    Decimal: (str, Decimal),
    Fraction: (str, Fraction),
    date: (date.isoformat, date.fromisoformat),
    datetime: (datetime.isoformat, datetime.fromisoformat),
    time: (time.isoformat, time.fromisoformat),
    timedelta: (
        lambda value: [value.days, value.seconds, value.microseconds],
        lambda coded: timedelta(*coded),
    ),
}
SEQUENCES = (list, tuple, set, frozenset, deque)
MAPPINGS = (dict, OrderedDict, Counter)
MUTABLE = (list, set, deque, bytearray, *MAPPINGS)
BY_NAME: dict[str, Any] = {kind.__name__: kind for kind in (*SCALARS, *SEQUENCES, *MAPPINGS)}
# The plain types from which a class may derive.
BASES = (int, float, complex, str, bytes, tuple, list, dict, set, frozenset)


def plain_form(value: Any) -> tuple[bool, Any]:
    """(whether an object derives from a plain type, its value of that type)."""
    base = next((base for base in BASES if issubclass(type(value), base)), None)
    return (False, None) if base is None else (True, base(value))


# --- what is forwarded ----------------------------------------------------------------------------

_BINARY = (
    "add",
    "sub",
    "mul",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "matmul",
    "and",
    "or",
    "xor",
    "lshift",
    "rshift",
)
_ARITHMETIC = {f"__{name}__": getattr(operator, f"__{name}__") for name in _BINARY}
_COMPARISONS = {
    f"__{name}__": getattr(operator, name) for name in ("eq", "ne", "lt", "le", "gt", "ge")
}
_UNARY = {
    f"__{name}__": getattr(operator, name) for name in ("neg", "pos", "abs", "invert", "index")
}


def _reflected(operation: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda mine, other: operation(other, mine)


_REFLECTED = {f"__r{name}__": _reflected(_ARITHMETIC[f"__{name}__"]) for name in _BINARY}
# Operations that involve a plain value.
_DECISIVE = {
    **_ARITHMETIC,
    **_REFLECTED,
    **_COMPARISONS,
    **_UNARY,
    "__int__": int,
    "__float__": float,
    "__round__": round,
}
SPECIAL: dict[str, Callable[..., Any]] = {
    **_DECISIVE,
    "__call__": lambda called, *args, **kwargs: called(*args, **kwargs),
    "__len__": len,
    "__iter__": iter,
    "__next__": next,
    "__bool__": bool,
    "__str__": str,
    "__repr__": repr,
    "__hash__": hash,
    "__reversed__": reversed,
    "__contains__": operator.contains,
    "__getitem__": operator.getitem,
    "__setitem__": operator.setitem,
    "__delitem__": operator.delitem,
    "__enter__": lambda manager: type(manager).__enter__(manager),
    "__exit__": lambda manager, *error: type(manager).__exit__(manager, *error),
    "__instancecheck__": lambda kind, value: isinstance(value, kind),
    "__subclasscheck__": lambda kind, other: issubclass(other, kind),
}
# The answer gets no attributes of these: they lead to the tests' source and to this process.
_CLOSED = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.ModuleType,
    types.GeneratorType,
    types.CoroutineType,
    types.AsyncGeneratorType,
    types.FrameType,
    types.CodeType,
    types.TracebackType,
)


def _refuse(action: str, target: list[Any], subject: Any, values: list[Any]) -> None:
    """Raise if the answer asks for objects or attributes of the tests that are closed to it."""
    if target[0] != "yours":
        raise TypeError("not an object of the tests")
    if action.endswith("attr") and (isinstance(subject, _CLOSED) or str(values[0]).startswith("_")):
        raise AttributeError(f"{type(subject).__name__} of the tests")


class Remote:
    """An object in the other side's process."""

    __slots__ = ("remote_number__", "remote_peer__")
    remote_number__: int
    remote_peer__: Peer

    def __getattr__(self, name: str) -> Any:
        return self.remote_peer__.ask("getattr", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self.remote_peer__.ask("setattr", self, name, value)

    def __delattr__(self, name: str) -> None:
        self.remote_peer__.ask("delattr", self, name)


def _is_remote(value: Any) -> bool:
    return issubclass(type(value), Remote)


def _forwarding(name: str) -> Callable[..., Any]:
    def method(self: Remote, *args: Any, **kwargs: Any) -> Any:
        return self.remote_peer__.ask(name, self, *args, **kwargs)

    return method


def _wary(name: str) -> Callable[..., Any]:
    """A method of an answer's object in the tests; it does not decide how it equals a plain value.

    Between two objects of the answer its own method decides. Beside a plain value the object's
    plain form counts. Without one it equals nothing, and what it computes must be an object again.
    """

    def method(self: Remote, *others: Any) -> Any:
        if others and all(map(_is_remote, others)):
            return self.remote_peer__.ask(name, self, *others)
        has_plain, plain = self.remote_peer__.ask("plain", self)
        if has_plain:
            return SPECIAL[name](plain, *others)
        if name in ("__eq__", "__ne__"):
            return name == "__ne__"
        result = (
            NotImplemented if name in _COMPARISONS else self.remote_peer__.ask(name, self, *others)
        )
        if result is not NotImplemented and not _is_remote(result):
            raise TypeError(f"{name} of an object of the answer's with a plain value")
        return result

    return method


def _wary_hash(self: Remote) -> int:
    has_plain, plain = self.remote_peer__.ask("plain", self)
    return hash(plain) if has_plain else int(self.remote_peer__.ask("__hash__", self))


# --- one side of the conversation -----------------------------------------------------------------


def _run_coroutine(coroutine: Any) -> Any:
    # Imported here: asyncio is a third of the time to start, and few answers use it.
    import asyncio

    return asyncio.run(coroutine)


class Peer:
    """One end of the socket: it asks the other side, and meanwhile serves that side's questions."""

    def __init__(self, descriptor: int, side: str):
        self.side = side
        self.socket = socket.socket(fileno=descriptor)
        self.lines = self.socket.makefile("rb")
        self.lock = threading.RLock()
        self.objects: list[Any] = []
        self.numbers: dict[int, int] = {}
        self.errors: dict[str, type[BaseException]] = {}
        self.kinds: dict[tuple[str, ...], type[Remote]] = {}
        self.remotes: dict[int, Remote] = {}
        self.services: dict[str, Callable[..., Any]] = {
            **SPECIAL,
            "getattr": getattr,
            "setattr": setattr,
            "delattr": delattr,
            "plain": plain_form,
            "await": _run_coroutine,
        }
        self.gone = ""

    # messages

    def send(self, message: list[Any]) -> None:
        """Send a message. Raises Gone."""
        try:
            self.socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError as error:
            raise self._lost() from error

    def receive(self) -> list[Any]:
        """The next message: its kind, and what that kind carries. Raises Gone."""
        # A case's input may be long. The answer's messages have a limit.
        line = self.lines.readline(MESSAGE_BYTES if self.side == TESTS else -1)
        if not line.endswith(b"\n"):
            raise self._lost(
                f"reported more than {MESSAGE_BYTES} bytes" if len(line) == MESSAGE_BYTES else ""
            )
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, list) or not message:
            raise self._lost(FORGED)
        return message

    def _lost(self, why: str = "") -> Gone:
        self.gone = self.gone or why or "ended before the tests did"
        return Gone(self.gone)

    def ask(self, action: str, target: Any, *args: Any, **kwargs: Any) -> Any:
        """Have the other side do something with an object; return the result or raise its error."""
        with self.lock:
            given = {name: self.encode(value) for name, value in kwargs.items()}
            self.send(["ask", action, self.encode(target), list(map(self.encode, args)), given])
            while True:
                kind, *rest = self.receive()
                try:
                    if kind == "ask":
                        self.serve(*rest)
                    elif kind == "error":
                        raised = self._error(*rest)
                        break
                    else:
                        value, changes = rest
                        self._take_changes([*args, *kwargs.values()], changes)
                        return self.decode(value)
                except (
                    ValueError,
                    TypeError,
                    KeyError,
                    IndexError,
                    AttributeError,
                    ArithmeticError,
                ) as error:
                    raise self._lost(FORGED) from error
            raise raised

    def serve(self, action: str, target: Any, args: list[Any], kwargs: dict[str, Any]) -> None:
        """Do what the other side asks for, and reply."""
        try:
            subject = self.decode(target)
            values = [self.decode(coded) for coded in (*args, *kwargs.values())]
            if self.side == TESTS:
                _refuse(action, target, subject, values)
            named = dict(zip(kwargs, values[len(args) :], strict=True))
            before = {
                place: self.encode(value)
                for place, value in enumerate(values)
                if type(value) in MUTABLE
            }
            result = self.services[action](subject, *values[: len(args)], **named)
            now = {place: self.encode(values[place]) for place in before}
            changes = [[place, value] for place, value in now.items() if value != before[place]]
            reply = ["value", self.encode(result), changes]
        except Gone:
            raise
        except BaseException as error:
            reply = self._told(error)
        self.send(reply)

    def _take_changes(self, given: list[Any], changes: list[Any]) -> None:
        """Apply changes that the other side made in place."""
        for place, coded in changes:
            mine, value = given[place], self.decode(coded)
            mine.clear()
            mine.update(value) if isinstance(mine, (set, dict)) else mine.extend(value)

    # values

    def encode(self, value: Any, depth: int = 0) -> list[Any]:
        """A value as a message holds it: [its type or form, …]."""
        kind, deeper = type(value), depth + 1
        if kind in SCALARS:
            return [kind.__name__, SCALARS[kind][0](value)]
        if kind in SEQUENCES and depth < DEEPEST:
            return [kind.__name__, [self.encode(item, deeper) for item in value]]
        if kind in MAPPINGS and depth < DEEPEST:
            pairs = [[self.encode(part, deeper) for part in pair] for pair in value.items()]
            return [kind.__name__, pairs]
        if issubclass(kind, Remote):
            return ["yours", value.remote_number__]
        if isinstance(value, types.ModuleType) and value.__name__ in sys.stdlib_module_names:
            return ["module", value.__name__]
        return self._class(value) if isinstance(value, type) else self._object(value)

    def _class(self, value: type) -> list[Any]:
        if issubclass(value, BaseException):
            return ["exception", [each.__name__ for each in value.__mro__]]
        name = value.__name__
        return ["type", name] if vars(builtins).get(name) is value else self._object(value)

    def _object(self, value: Any) -> list[Any]:
        """An object that stays here, with the special methods that its type defines."""
        number = self.numbers.setdefault(id(value), len(self.objects))
        if number == len(self.objects):
            # Never dropped, so that no other object gets its id.
            self.objects.append(value)
        if inspect.iscoroutine(value):
            return ["coroutine", number]
        defined = {
            name for each in type(value).__mro__ if each is not object for name in vars(each)
        }
        base = next((base.__name__ for base in BASES if issubclass(type(value), base)), "")
        return ["object", number, base, *(name for name in SPECIAL if name in defined)]

    def decode(self, coded: list[Any]) -> Any:
        """The value of an encoded form."""
        mark, *rest = coded
        if mark == "yours":
            return self.objects[rest[0]]
        if mark == "object":
            return self._remote(rest[0], tuple(rest[1:]))
        if mark == "coroutine":
            return self._awaited(self._remote(rest[0], ("",)))
        if mark == "module":
            return importlib.import_module(rest[0]) if rest[0] in sys.stdlib_module_names else None
        if mark == "exception":
            return self._exception(rest[0])
        if mark == "type":
            kind = getattr(builtins, rest[0])
            return kind if isinstance(kind, type) else None
        kind = BY_NAME[mark]
        if kind in SCALARS:
            return SCALARS[kind][1](rest[0])
        if kind in MAPPINGS:
            return kind({self.decode(key): self.decode(item) for key, item in rest[0]})
        return kind([self.decode(item) for item in rest[0]])

    def _remote(self, number: int, form: tuple[str, ...]) -> Remote:
        """The same `Remote` each time for an object, so that `is` works as there."""
        if number not in self.remotes:
            if form not in self.kinds:
                self.kinds[form] = self._kind(*form)
            made = self.remotes[number] = self.kinds[form]()
            object.__setattr__(made, "remote_number__", int(number))
            object.__setattr__(made, "remote_peer__", self)
        return self.remotes[number]

    def _kind(self, base: str, *special: str) -> type[Remote]:
        """The class for objects of the other side that have these special methods."""
        methods: dict[str, Any] = {"__slots__": ()}
        methods.update({name: _forwarding(name) for name in special if name in SPECIAL})
        if self.side == TESTS:
            methods.update(
                {name: _wary(name) for name in (*special, "__eq__", "__ne__") if name in _DECISIVE}
            )
            methods["__hash__"] = _wary_hash
            if "__iter__" in special:
                # `in` then compares the items here.
                methods.pop("__contains__", None)
        elif "__eq__" in special and "__hash__" not in special:
            methods["__hash__"] = None
        if base:
            methods["__class__"] = property(lambda self: BY_NAME[base])
        return type("Remote", (Remote,), methods)

    async def _awaited(self, coroutine: Remote) -> Any:
        return self.ask("await", coroutine)

    # errors

    def _told(self, error: BaseException) -> list[Any]:
        names = [each.__name__ for each in type(error).__mro__]
        try:
            args, fields = self.encode(error.args), self.encode(vars(error))
            return ["error", names, str(error)[:200], args, fields]
        except Exception:
            return ["error", names, "", self.encode(()), self.encode({})]

    def _exception(self, names: list[str]) -> type[BaseException]:
        """The class for an exception class of the other side.

        It has its name, and derives from the nearest class of Python's.
        """
        known = (getattr(builtins, name, None) for name in names)
        base = next(
            (k for k in known if isinstance(k, type) and issubclass(k, BaseException)), Exception
        )
        if base.__name__ == names[0]:
            return AnswerExit if base is SystemExit and self.side == TESTS else base
        return self.errors.setdefault(names[0], type(names[0], (base,), {}))

    def _error(
        self, names: list[str], text: str, args: list[Any], fields: list[Any]
    ) -> BaseException:
        kind, values = self._exception(names), self.decode(args)
        try:
            made = kind(*values)
            vars(made).update(self.decode(fields))
        except Exception:
            made = Exception(f"{names[0]} {text}")
        return made


# --- the answer's side ----------------------------------------------------------------------------


def _wants_to_compute(pid: int) -> bool:
    """Whether a process or one of its threads runs, or waits for a processor or the disk."""
    stats = [stat.read_text(errors="replace") for stat in Path(f"/proc/{pid}/task").glob("*/stat")]
    return any(stat.rpartition(")")[2].split()[0] in "RD" for stat in stats)


def _finished(
    process: subprocess.Popen[bytes], stdin: bytes, clock_s: float
) -> tuple[bytes, bytes]:
    """A program's outputs.

    Raises TimeoutExpired for a program that only waits: computing has a limit of its own.
    """
    given: bytes | None = stdin
    while True:
        try:
            return process.communicate(given, timeout=clock_s)
        except subprocess.TimeoutExpired:
            if not _wants_to_compute(process.pid):
                raise
            given = None


def run_program(code: str, stdin: str, cpu_s: int, clock_s: float) -> list[Any]:
    """Run code as a program in a process of its own.

    Returns [its standard output, why it failed ('' if it did not)].
    """
    Path("answer.py").write_text(code, encoding="utf-8")
    argv = [sys.executable, "-s", "-S", "-P", "-c", PROGRAM]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        argv, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
    ) as process:
        # The hard limit is a second later: the signal of the soft one says why it ended.
        resource.prlimit(process.pid, resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
        try:
            output, errors = _finished(process, stdin.encode("utf-8", "surrogatepass"), clock_s)
        except subprocess.TimeoutExpired:
            return ["", f"no end within {cpu_s} s: it waits"]
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        return ["", f"no end within {cpu_s} s"]
    if process.returncode:
        said = errors.decode("utf-8", "replace").strip().rpartition("\n")[2]
        return ["", said[:100] or f"ended with {process.returncode}"]
    return [output.decode("utf-8", "replace"), ""]


def _uses(value: Any, name: str) -> bool:
    return name in (getattr(value, "__name__", ""), getattr(value, "__module__", ""))


def serve_answer(peer: Peer, code: str, forbidden: list[str], cpu_s: int, clock_s: float) -> None:
    """Do what the tests ask for.

    They load the answer's code, or run it as a program; then they use its objects.
    """
    module = types.ModuleType("answer")
    sys.modules["answer"] = module
    space = module.__dict__

    def load(_: None, words: list[str]) -> list[Any]:
        exec(compile(code, "answer.py", "exec"), space)
        for name in forbidden:
            if hasattr(builtins, name):
                space[name] = None
            else:
                sys.modules[name] = None  # type: ignore[assignment]
            if any(_uses(value, name) for value in list(space.values())):
                raise ImportError(f"uses {name}, which is forbidden")
        return [module, [[name, space[name]] for name in words if name in space]]

    peer.services |= {"load": load, "bind": lambda value, name: space.update({name: value})}
    peer.services["run"] = lambda _, stdin: run_program(code, stdin, cpu_s, clock_s)
    peer.send(["ready"])
    while True:
        kind, *rest = peer.receive()
        if kind == "ask":
            peer.serve(*rest)


# --- the tests' side ------------------------------------------------------------------------------


class _Telling(ast.NodeTransformer):
    """A failed `assert f(2) == 4` without a message of its own reports both values."""

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        test = node.test
        compares = (
            isinstance(test, ast.Compare)
            and len(test.ops) == 1
            and isinstance(test.ops[0], (ast.Eq, ast.Is))
        )
        if isinstance(test, ast.Compare) and compares and node.msg is None:
            test.left = ast.NamedExpr(ast.Name("found__", ast.Store()), test.left)
            test.comparators = [
                ast.NamedExpr(ast.Name("wanted__", ast.Store()), test.comparators[0])
            ]
            values: list[ast.expr] = [
                ast.Name(name, ast.Load()) for name in ("found__", "wanted__")
            ]
            node.msg = ast.Call(ast.Name("told__", ast.Load()), values, [])
        return ast.fix_missing_locations(node)


def _shown(value: Any) -> str:
    try:
        return repr(value)[:60]
    except Exception as error:
        return type(error).__name__


def _place(error: BaseException) -> str:
    """The last line of the tests in an error's traceback."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == "tests.py"
    ]
    return f"tests line {lines[-1]}" if lines else "tests"


def _own_names(setup: str, entry: str) -> dict[str, Any]:
    """The names that the question itself gives beside the entry point. Classes are the answer's."""
    space: dict[str, Any] = {}
    try:
        exec(compile(setup, "setup.py", "exec"), space)
    except Exception:
        # It may end inside a function that the answer continues.
        return {}
    return {
        name: value
        for name, value in space.items()
        if name != entry and not isinstance(value, type)
    }


def _names(peer: Peer, tests: str, setup: str, entry: str) -> dict[str, Any]:
    """The names for the tests. A builtin's name means the builtin, not what the answer defines."""
    words = sorted(
        {word for word in re.findall(r"\w+", tests) if word == entry or not hasattr(builtins, word)}
    )
    module, found = peer.ask("load", None, words)
    sys.modules["answer"] = module
    names = {name: value for name, value in found if not name.startswith("__")}
    return {**names, **_own_names(setup, entry)} if entry else names


def _run_statements(peer: Peer, tests: str, space: dict[str, Any]) -> None:
    tree = _Telling().visit(ast.parse(tests))
    for statement in tree.body:
        exec(compile(ast.Module([statement], []), "tests.py", "exec"), space)
        if isinstance(statement, ast.ClassDef):
            # The answer's code may use the classes of its arguments.
            peer.ask("bind", space[statement.name], statement.name)


def judge(peer: Peer, tests: str, setup: str, entry: str) -> tuple[bool, str]:
    """(whether the answer passes, why)."""
    main = types.ModuleType("__main__")
    sys.modules["__main__"], sys.argv, space = main, ["tests"], main.__dict__
    space["told__"] = lambda found, wanted: f"{_shown(found)}, expected {_shown(wanted)}"
    stage = "code"
    try:
        space.update(_names(peer, tests, setup, entry))
        stage = "tests"
        _run_statements(peer, tests, space)
    except Gone:
        pass
    except AnswerExit:
        return False, f"{stage}: SystemExit"
    except SystemExit as error:
        # unittest.main() exits so.
        if error.code or stage == "code":
            return False, "tests: the unit tests fail"
    except AssertionError as error:
        if stage == "code":
            return False, "code: AssertionError"
        return False, f"{_place(error)}: {error}"[:200]
    except BaseException as error:
        return False, f"{stage}: {type(error).__name__} {str(error)[:100]}"
    return (False, peer.gone) if peer.gone else (True, "tests pass")


def _numbers(line: str) -> list[Decimal] | None:
    """A line's words as exact numbers; None if one of them is not a number."""
    try:
        return [Decimal(word) for word in line.split()]
    except ArithmeticError:
        return None


def _same_line(mine: str, wanted: str) -> bool:
    numbers = _numbers(mine)
    return mine.strip() == wanted.strip() or (numbers is not None and numbers == _numbers(wanted))


def _same_lines(mine: str, wanted: str) -> bool:
    lines, others = mine.strip().split("\n"), wanted.strip().split("\n")
    return len(lines) == len(others) and all(map(_same_line, lines, others))


def _same_json(mine: str, wanted: str) -> bool:
    """Whether the last line is the expected JSON; the answer may print other lines before it."""
    try:
        return bool(json.loads(mine.strip().rpartition("\n")[2]) == json.loads(wanted))
    except (ValueError, RecursionError):
        return False


# How a program's output is compared with the expected one.
COMPARED: dict[str, Callable[[str, str], bool]] = {
    "stripped": lambda mine, wanted: mine.strip() == wanted.strip(),
    "lines": _same_lines,
    "json": _same_json,
}


def judge_cases(peer: Peer, cases: list[dict[str, str]], compare: str) -> tuple[bool, str]:
    """(whether the answer, as a program, gives the output of each case, why)."""
    for number, case in enumerate(cases, 1):
        try:
            output, wrong = peer.ask("run", None, case["stdin"])
            if not wrong and not COMPARED[compare](output, case["stdout"]):
                wrong = f"{_shown(output.strip())}, expected {_shown(case['stdout'].strip())}"
        except Gone:
            return False, f"case {number}: {peer.gone}"
        except Exception as error:
            wrong = f"{type(error).__name__} {str(error)[:100]}"
        if wrong:
            return False, f"case {number}: {wrong}"
    return True, f"{len(cases)} cases pass"


# --- both -----------------------------------------------------------------------------------------


def _confine(limits: Mapping[str, int], user: int, clock_s: int) -> None:
    """Set limits, and take a user number of this sandbox's own if it was started by root.

    The kernel counts processes by user, so those of other answers do not count; and root's have no
    limit.
    """
    for limit, most in limits.items():
        resource.setrlimit(getattr(resource, limit), (most, most))
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    sys.setrecursionlimit(5000)
    # The sandbox dies with its starter, and with this process. The alarm is for the moment before
    # that is set up.
    signal.alarm(clock_s)


def _silence() -> int:
    """Send what the code prints nowhere; returns the real standard output under another number."""
    kept, null = os.dup(1), os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    return kept


def _verdict(peer: Peer, payload: Mapping[str, Any]) -> tuple[bool | None, str]:
    """(whether the answer passes, why). None if its sandbox did not start."""
    try:
        peer.receive()
    except Gone:
        return None, NOT_STARTED
    if payload["cases"]:
        return judge_cases(peer, payload["cases"], payload["compare"])
    return judge(peer, payload["tests"], payload["setup"], payload["entry"])


def main(arguments: Iterable[str]) -> None:
    """Run the side named by the first argument, over the socket of the second."""
    side, descriptor = arguments
    payload = json.load(sys.stdin)
    output = _silence()
    _confine(payload["limits"], payload["user"], payload["clock_s"])
    peer = Peer(int(descriptor), side)
    try:
        if side == ANSWER:
            os.close(output)
            limits = payload["case_cpu_s"], payload["case_clock_s"]
            serve_answer(peer, payload["code"], payload["forbidden"], *limits)
        else:
            passed, reason = _verdict(peer, payload)
            os.write(output, json.dumps({"passed": passed, "reason": reason}).encode())
    except Gone:
        pass
    # Do not wait for threads and exit handlers of the code.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
