"""Mathematical equality in a process of its own: sympy can be made to compute for ever, in C, where no signal reaches.

The scoring process starts one worker when the first `math` check comes, talks to it in JSON lines, and kills it when an answer
takes too long; the next check starts another. So importing sympy costs nothing where no mathematics is checked.

The worker reads LaTeX by a grammar of its own, in exact numbers: math-verify's takes 10 to 160 ms an expression, reads `2(3)(4)` as 9
and `1/2x` as `1/(2x)` only. Where a reference lies outside the grammar, math-verify reads and compares. Values are sympy's. Two that
sympy does not make the same are evaluated to more digits than an expression can hold, at several points where they have symbols:
what differs is unequal, and so is every rounding. What would be too large to work out is seen before it is evaluated.
"""

from __future__ import annotations

import atexit
import functools
import itertools
import json
import os
import re
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import psutil

MOST_CHARACTERS = 300
# Of the worker's own processor time: a loaded machine makes no difference. The clock counts only against a worker that sleeps.
SECONDS = 6.0
CLOCK_SECONDS = 120.0
START_SECONDS = 120.0
MEMORY_BYTES = 2 << 30
_REPLY_BYTES = 10_000
_PROJECT = Path(__file__).resolve().parents[3]


class MathUnavailable(Exception):
    """The check could not decide; the message says why."""


class _Worker:
    """The process and the conversation with it. One question at a time."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.process: subprocess.Popen[bytes] | None = None
        self.owner = 0
        self.asked = 0

    def close(self) -> None:
        """End the worker. One that was started before a fork belongs to the other process and goes on."""
        process, self.process = self.process, None
        if process is None or self.owner != os.getpid():
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()

    def _start(self) -> subprocess.Popen[bytes]:
        if self.process is not None and self.owner == os.getpid() and self.process.poll() is None:
            return self.process
        self.close()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "scripts.lib.scoring.math_worker"],
            cwd=_PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.owner = os.getpid()
        if self._line(self.process, START_SECONDS, START_SECONDS) != b"ready":
            self.close()
            raise MathUnavailable("the worker could not be started (are sympy and math-verify installed?)")
        return self.process

    def _line(self, process: subprocess.Popen[bytes], seconds: float, clock_seconds: float) -> bytes:
        """The worker's next line; empty where it ends, says too much, or takes too long."""
        stream: IO[bytes] | None = process.stdout
        assert stream is not None
        begun, used, said = time.monotonic(), _processor_seconds(process.pid), b""
        with selectors.DefaultSelector() as selector:
            selector.register(stream, selectors.EVENT_READ)
            while not said.endswith(b"\n") and len(said) < _REPLY_BYTES:
                if selector.select(0.2):
                    piece = os.read(stream.fileno(), _REPLY_BYTES)
                    if not piece:
                        return b""
                    said += piece
                elif _processor_seconds(process.pid) - used > seconds or time.monotonic() - begun > clock_seconds:
                    return b""
        return said[:-1] if said.count(b"\n") == 1 and said.endswith(b"\n") else b""

    def ask(self, gold: str, answer: str) -> tuple[bool | None, str]:
        """(whether they are equal, why that cannot be decided). Raises MathUnavailable where the worker fails."""
        with self.lock:
            process = self._start()
            assert process.stdin is not None
            self.asked += 1
            try:
                process.stdin.write(json.dumps([self.asked, gold, answer]).encode() + b"\n")
                process.stdin.flush()
                said = self._line(process, SECONDS, CLOCK_SECONDS)
            except BrokenPipeError:
                said = b""
            reply = _reply(said, self.asked)
            if reply is None:
                ended = process.poll() is not None
                self.close()
                raise MathUnavailable("the worker broke down" if ended or said else f"no decision within {SECONDS:g} s")
            return reply


def _processor_seconds(pid: int) -> float:
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def _reply(said: bytes, asked: int) -> tuple[bool | None, str] | None:
    """The worker's reply, checked: it must be one to this question; None for anything else."""
    try:
        reply = json.loads(said)
    except ValueError:
        return None
    if not isinstance(reply, list) or len(reply) != 3 or reply[0] != asked:
        return None
    _, equal, why = reply
    return (equal, why) if (equal is None or isinstance(equal, bool)) and isinstance(why, str) else None


_WORKER = _Worker()
atexit.register(_WORKER.close)


@functools.lru_cache(maxsize=4096)
def _asked(gold: str, answer: str) -> tuple[bool | None, str]:
    return _WORKER.ask(gold, answer)


def equal(gold: str, answer: str) -> bool | None:
    """Whether an expression equals `gold` (both LaTeX, tidy); None where it is no expression. Raises MathUnavailable in doubt."""
    verdict, why = _asked(gold, answer)
    if why:
        raise MathUnavailable(why)
    return verdict


# --- the grammar ------------------------------------------------------------------------------------------------------


class Unreadable(Exception):
    """A text is no expression of the grammar."""


class Undecidable(Exception):
    """The check cannot decide; the message says why."""


@dataclass(frozen=True, slots=True)
class Node:
    """A part of an expression: what it is, its own parts, and its name, number or brackets."""

    kind: str
    parts: tuple[Node, ...] = ()
    text: str = ""


@dataclass(frozen=True, slots=True)
class Style:
    """How to read what can be read in two ways.

    `tight`: `1/2x` is 1/(2x). `commas`: `1,000` and `0,5` are one number. `percent`: `50%` is 0.5 (else 50). `powers`: `2e-3` is 0.002.
    """

    tight: bool = False
    commas: bool = False
    percent: bool = True
    powers: bool = False


_FUNCTIONS = (
    *("arcsinh", "arccosh", "arctanh", "arsinh", "arcosh", "artanh", "arcsin", "arccos", "arctan", "arccot", "asinh", "acosh", "atanh"),
    *("asin", "acos", "atan", "sinh", "cosh", "tanh", "coth", "sin", "cos", "tan", "cot", "sec", "csc", "log10", "log2", "log", "ln"),
    *("lg", "exp", "abs", "floor", "ceil"),
)
_INVERSE = {"sin": "asin", "cos": "acos", "tan": "atan", "cot": "acot", "sinh": "asinh", "cosh": "acosh", "tanh": "atanh"}
_NAMES = "|".join(sorted((*_FUNCTIONS, "sqrt", "cbrt", "pi", "binom"), key=len, reverse=True))
_PLAIN_NUMBER = r"\d+(?:\.\d+|\.(?=\s*\\(?:overline|dot|bar)\b))?|\.\d+"
_COMMA_NUMBER = r"\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+,\d+(?![\d,])"


@functools.lru_cache(maxsize=8)
def _token_pattern(commas: bool, powers: bool) -> re.Pattern[str]:
    number = f"{_COMMA_NUMBER}|{_PLAIN_NUMBER}" if commas else _PLAIN_NUMBER
    if powers:
        number = rf"(?:{number})[eE][-+]?\d+|{number}"
    return re.compile(
        r"\\(?:begin|end)\{[A-Za-z]+\*?\}(?:\{[lcr| ]*\})?|\\text\{(?:or|and)\}|\\mathbb\{[A-Z]\}|\\[A-Za-z]+|\\[\\{}|%]"
        rf"|(?:{_NAMES})(?![A-Za-z])|(?:{number})|[A-Za-z]'*|[-+*/^_=<>()\[\]{{}}|!%,;&:]|(?P<space>\s+)|(?P<strange>.)",
        re.DOTALL,
    )


_SAME = {
    **dict.fromkeys((r"\cdot", r"\times", r"\ast"), "*"),
    **{r"\div": "/", ":": "/", r"\lbrace": r"\{", r"\rbrace": r"\}", r"\lbrack": "[", r"\rbrack": "]", r"\%": "%"},
    **dict.fromkeys((r"\vert", r"\lvert", r"\rvert", r"\mid"), "|"),
    **dict.fromkeys((r"\le", r"\leq", r"\leqslant"), "<="),
    **dict.fromkeys((r"\ge", r"\geq", r"\geqslant"), ">="),
    **dict.fromkeys((r"\ne", r"\neq"), "!="),
    **{r"\lt": "<", r"\gt": ">"},
    **dict.fromkeys((r"\approx", r"\simeq", r"\sim", r"\cong", r"\doteq"), "~"),
    **dict.fromkeys((r"\to", r"\rightarrow", r"\Rightarrow", r"\implies", r"\iff", r"\Leftrightarrow", r"\mapsto"), "="),
    **dict.fromkeys((r"\in", r"\colon"), "="),
    r"\equiv": "==",
    **dict.fromkeys((r"\varnothing",), r"\emptyset"),
    **{r"\langle": "(", r"\rangle": ")", r"\varphi": r"\phi", r"\varepsilon": r"\epsilon", r"\imath": "i"},
    **{r"\text{or}": "or", r"\text{and}": "and", r"\lor": "or", r"\land": "and", r"\vee": "or", r"\wedge": "and"},
    **dict.fromkeys((r"\setminus", r"\smallsetminus", r"\backslash"), r"\setminus"),
}
_OPENING = {"(": ")", "[": "]", "{": "}", r"\{": r"\}", r"\lfloor": r"\rfloor", r"\lceil": r"\rceil"}
_CLOSING = frozenset(_OPENING.values())
_RELATIONS = frozenset(("=", "~", "<", ">", "<=", ">=", "!="))
_UNEQUAL = frozenset(("<", ">", "<=", ">=", "!="))
_JOINTS = frozenset((",", ";", "or", "and"))
_MOST_DEPTH = 40


def _tokens(text: str, style: Style) -> list[str]:
    """The tokens of a text, each sign in one spelling. Outward brackets of intervals (`]0, 1[`) become round ones."""
    found: list[str] = []
    for match in _token_pattern(style.commas, style.powers).finditer(text):
        if match["strange"]:
            raise Unreadable(f"a strange sign: {match[0]!r}")
        if not match["space"]:
            bare = match[0].removeprefix("\\")
            found.append(bare if bare in _BARE else _SAME.get(match[0], match[0]))
    depth = 0
    for place, token in enumerate(found):
        if token == "]" and not depth:
            found[place] = "("
        elif token == "[" and depth and _ends_interval(found, place):
            found[place] = ")"
        depth += _deeper(found[place])
        if depth > _MOST_DEPTH:
            raise Undecidable("brackets too deep to be read")
    return found


def _deeper(token: str) -> int:
    """1 for an opening bracket, -1 for a closing one."""
    if token in _OPENING or token.startswith(r"\begin"):
        return 1
    return -1 if token in _CLOSING or token.startswith(r"\end") else 0


def _ends_interval(tokens: Sequence[str], place: int) -> bool:
    """Whether a square bracket that opens to the right closes an interval: behind a value, and nothing goes on."""
    after = tokens[place + 1] if place + 1 < len(tokens) else ""
    behind_value = re.fullmatch(r"[\w.]+|[)}]|\\infty", tokens[place - 1]) is not None
    return behind_value and (after in ("", r"\cup") or after in _JOINTS or after in _RELATIONS)


_BARE = frozenset((*_FUNCTIONS, "sqrt", "cbrt", "pi", "binom"))
# Units behind a value, their letters apart as tokens stand; a letter that the reference uses is no unit.
_UNIT_NAMES = (
    *("kPa", "MPa", "kHz", "MHz", "rad", "min", "mol", "cm", "mm", "km", "dm", "nm", "kg", "mg", "lb", "ft", "hr", "ml", "mL", "kJ", "kW", "Pa"),
    *("mph", "kph", "lbs", "sec", "Hz", "eV", "in", "sq", "deg", "m", "s", "g", "h", "l", "L", "N", "J", "W", "V", "A", "K", "C", "F", "u"),
)
_UNIT = "(?:" + "|".join(" ".join(name) for name in _UNIT_NAMES) + r")(?: \^ (?:\{ )?(?:- )?\d(?: \})?)?"
_UNITS = re.compile(rf"(?<=[\w)}}\]%]) {_UNIT}(?:(?: [/*])? {_UNIT})*$")


def _without_units(tokens: Sequence[str], known: frozenset[str]) -> list[str]:
    """Tokens without the units at their end."""
    line = " ".join(tokens)
    match = _UNITS.search(line)
    if match is None or set(re.findall("[A-Za-z]", match[0])) & known or line[: match.start()].endswith(("^", "_")):
        return list(tokens)
    return line[: match.start()].split(" ")


class _Parser:
    """A recursive descent over tokens."""

    def __init__(self, tokens: Sequence[str], style: Style) -> None:
        self.tokens = list(tokens)
        self.style = style
        self.place = 0
        self.bars = 0

    def peek(self) -> str:
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def take(self) -> str:
        token = self.peek()
        if not token:
            raise Unreadable("ends too early")
        self.place += 1
        return token

    def expect(self, token: str) -> None:
        if self.take() != token:
            raise Unreadable(f"no {token}")

    def whole(self) -> Node:
        """The one expression that the tokens are."""
        node = self.sets()
        if self.peek():
            raise Unreadable(f"{self.peek()} is left over")
        return node

    def sets(self) -> Node:
        node = self.sum()
        while self.peek() in (r"\cup", r"\setminus"):
            kind = "union" if self.take() == r"\cup" else "minus"
            node = Node(kind, (node, self.sum()))
        return node

    def sum(self) -> Node:
        node = self.product()
        while self.peek() in ("+", "-", r"\pm", r"\mp"):
            sign = self.take()
            term = self.product()
            node = Node("add", (node, _signed(sign, term)))
        return node

    def product(self) -> Node:
        node = self.unary()
        while True:
            token = self.peek()
            if token == "*":
                self.take()
                node = Node("mul", (node, self.unary()))
            elif token == "/":
                self.take()
                node = Node("div", (node, self.divisor()))
            elif self.begins_factor():
                node = Node("mul", (node, self.power()))
            else:
                return node

    def divisor(self) -> Node:
        node = self.unary()
        while self.style.tight and self.begins_factor():
            node = Node("mul", (node, self.power()))
        return node

    def begins_factor(self) -> bool:
        token = self.peek()
        if token == "|":
            return not self.bars
        if token in _OPENING or token in _BARE or token.startswith(r"\begin"):
            return True
        return re.fullmatch(r"[A-Za-z]'*|\\[A-Za-z]{2,}(?:\{[A-Z]\})?", token) is not None and token not in _NOT_A_FACTOR

    def unary(self) -> Node:
        if self.peek() in ("+", "-", r"\pm", r"\mp"):
            sign = self.take()
            return _signed(sign, self.unary())
        return self.power()

    def power(self) -> Node:
        node = self.marks(self.atom())
        if self.peek() == "^":
            self.take()
            node = self.marks(Node("pow", (node, self.exponent())))
        return node

    def exponent(self) -> Node:
        if self.peek() == "{":
            node = self.group()
        elif self.peek() in ("-", "+"):
            sign = self.take()
            return _signed(sign, self.exponent())
        else:
            node = self.marks(self.atom())
        if self.peek() == "^":
            self.take()
            node = Node("pow", (node, self.exponent()))
        return node

    def marks(self, node: Node) -> Node:
        """A value with the signs behind it: factorials and percents."""
        while self.peek() in ("!", "%"):
            if self.take() == "!":
                node = Node("call", (node,), "factorial")
            elif self.style.percent:
                node = Node("div", (node, Node("num", text="100")))
        return node

    def atom(self) -> Node:
        token = self.take()
        if token[0].isdigit() or token[0] == ".":
            return self.number(token)
        if token in _OPENING or token == "|":
            self.place -= 1
            return self.group()
        special = getattr(self, f"_read_{token.removeprefix(chr(92))}", None) if token in _SPECIAL else None
        if special is not None:
            node: Node = special()
            return node
        if token in _FUNCTIONS:
            return self.call(token)
        if token.startswith(r"\begin"):
            return self.matrix(token)
        if re.fullmatch(r"[A-Za-z]'*|\\[A-Za-z]{2,}(?:\{[A-Z]\})?", token) and token not in _NOT_A_FACTOR:
            return self.symbol(token)
        raise Unreadable(f"{token} is no value")

    def number(self, digits: str) -> Node:
        """A number; with a subscript in that base, with a line over digits repeating, before a proper fraction mixed."""
        if "," in digits:
            thousands = re.fullmatch(r"[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?", digits)
            digits = digits.replace(",", "" if thousands else ".")
        node = Node("num", text=digits)
        if self.peek() in (r"\overline", r"\dot", r"\bar") and "." in digits:
            self.take()
            repeated = "".join(self.inner())
            if not repeated.isdigit():
                raise Unreadable("a line over no digits")
            places = len(digits.partition(".")[2])
            value = Fraction(digits + "0") + Fraction(int(repeated), (10 ** len(repeated) - 1) * 10**places)
            return Node("num", text=str(value))
        if self.peek() == "_" and digits.isdigit():
            self.take()
            base = "".join(self.inner())
            try:
                return Node("num", text=str(int(digits, int(base))))
            except ValueError as error:
                raise Unreadable("no number of that base") from error
        if self.peek() == r"\frac" and digits.isdigit():
            return self.mixed(node)
        return node

    def mixed(self, whole: Node) -> Node:
        begin = self.place
        self.take()
        fraction = self._read_frac()
        upper, lower = fraction.parts
        if upper.kind == lower.kind == "num" and Fraction(upper.text) < Fraction(lower.text):
            return Node("add", (whole, fraction))
        self.place = begin
        return whole

    def inner(self) -> list[str]:
        """The tokens of a group in braces, or the one token that stands there."""
        if self.peek() != "{":
            return [self.take()]
        self.take()
        found = []
        while self.peek() != "}":
            found.append(self.take())
        self.take()
        return found

    def symbol(self, token: str) -> Node:
        name = token
        if token.isupper() and self.peek() == "(":
            # `P(2, 3)` is a point.
            begin = self.place
            if (point := self.group()).kind == "seq":
                return point
            self.place = begin
        if token == "e":
            return Node("const", text="e")
        if token in (r"\infty", r"\emptyset") or token == "i":
            return Node("seq", text="{}") if token == r"\emptyset" else Node("const", text=token.removeprefix("\\"))
        if self.peek() == "_":
            self.take()
            name += "_" + "".join(self.inner())
        if token.rstrip("'") in ("f", "g", "h") and self.peek() == "(":
            begin = self.place
            self.group()
            name += "".join(self.tokens[begin : self.place])
        return Node("sym", text=name)

    def group(self) -> Node:
        """What stands in brackets: a value, or a sequence with its brackets."""
        opening = self.take()
        if opening == "|":
            self.bars += 1
            node = self.sum()
            self.expect("|")
            self.bars -= 1
            return Node("call", (node,), "abs")
        bars, self.bars = self.bars, 0
        items = [] if self.peek() == _OPENING[opening] else [self.item()]
        while self.peek() in (",", ";"):
            self.take()
            items.append(self.item())
        closing = self.take()
        self.bars = bars
        if opening in (r"\lfloor", r"\lceil"):
            self.place -= 1
            self.expect(_OPENING[opening])
            return Node("call", tuple(items), "floor" if opening == r"\lfloor" else "ceil")
        return _grouped(opening, closing, items)

    def item(self) -> Node:
        node = self.sets()
        if self.peek() == "=" and node.kind == "sym":
            self.take()
            node = self.sets()
        return node

    def argument(self) -> Node:
        """The argument of a command: a group, else one sign (of a number its first digit where `digit` commands take one)."""
        if self.peek() == "{":
            return self.group()
        token = self.peek()
        if token.isdigit() and len(token) > 1:
            self.tokens[self.place : self.place + 1] = [token[0], token[1:]]
            return Node("num", text=self.take())
        return self.atom()

    def _read_frac(self) -> Node:
        upper = self.argument()
        return Node("div", (upper, self.argument()))

    def _read_binom(self) -> Node:
        upper = self.argument()
        return Node("call", (upper, self.argument()), "binomial")

    def _read_sqrt(self) -> Node:
        index = Node("num", text="2")
        if self.peek() == "[":
            index = self.group()
        node = self.group() if self.peek() in ("{", "(") else self.atom()
        return Node("pow", (node, Node("div", (Node("num", text="1"), index))))

    def _read_cbrt(self) -> Node:
        return Node("pow", (self.group(), Node("div", (Node("num", text="1"), Node("num", text="3")))))

    def _read_pi(self) -> Node:
        return Node("const", text="pi")

    def _read_overline(self) -> Node:
        return Node("sym", text="".join(self.inner()) + "-")

    def call(self, name: str) -> Node:
        """A function's value: `\\sin^2 x`, `\\log_2 8`, `ln(2)`; without brackets its argument goes up to the next sign."""
        power: Node | None = None
        base: Node | None = None
        while self.peek() in ("^", "_"):
            if self.take() == "^":
                power = self.exponent()
            else:
                base = self.argument() if self.peek() == "{" else self.atom()
        argument = self.group() if self.peek() in ("(", "{", "[") else self.run()
        if name == "log" and argument.kind == "seq" and len(argument.parts) == 2:
            argument, base = argument.parts
        if power is not None and power == _signed("-", Node("num", text="1")) and name in _INVERSE:
            name, power = _INVERSE[name], None
        node = Node("call", (argument,) if base is None else (argument, base), name)
        return node if power is None else Node("pow", (node, power))

    def run(self) -> Node:
        node = self.unary()
        while self.begins_factor() and self.peek() not in _FUNCTIONS:
            node = Node("mul", (node, self.power()))
        return node

    def matrix(self, begin: str) -> Node:
        kind = begin[7:].partition("}")[0]
        if kind.rstrip("*") not in ("pmatrix", "bmatrix", "matrix", "Bmatrix", "vmatrix", "smallmatrix", "array"):
            raise Unreadable(f"{kind} is no matrix")
        rows: list[list[Node]] = [[]]
        while not self.peek().startswith(r"\end"):
            if self.peek() == r"\\":
                self.take()
                if not self.peek().startswith(r"\end"):
                    rows.append([])
                continue
            if rows[-1]:
                self.expect("&")
            rows[-1].append(self.sum())
        self.take()
        if not rows[0] or len({len(row) for row in rows}) != 1:
            raise Unreadable("rows of different lengths")
        node = Node("matrix", tuple(Node("row", tuple(row)) for row in rows))
        return Node("call", (node,), "det") if kind == "vmatrix" else node


_SPECIAL = frozenset((r"\frac", "binom", "sqrt", "cbrt", "pi", r"\overline"))
_NOT_A_FACTOR = frozenset(
    (r"\cup", r"\cap", r"\setminus", r"\pm", r"\mp", "or", "and", r"\rfloor", r"\rceil", r"\int", r"\sum", r"\prod", r"\lim", r"\partial")
    + (r"\iint", r"\oint", r"\nabla", r"\dots", r"\ldots", r"\cdots", r"\vdots", r"\overline", r"\dot", r"\bar", r"\prime", r"\text")
)


def _signed(sign: str, node: Node) -> Node:
    if sign == "+":
        return node
    return Node("neg", (node,)) if sign == "-" else Node("either", (node,), sign)


def _grouped(opening: str, closing: str, items: list[Node]) -> Node:
    if opening == r"\{":
        if closing != r"\}":
            raise Unreadable("braces that do not close")
        return Node("seq", tuple(items), "{}")
    if opening == "{":
        if closing != "}":
            raise Unreadable("braces that do not close")
        if len(items) == 1:
            return items[0]
        return Node("seq", tuple(items), "{}")
    if closing not in (")", "]"):
        raise Unreadable("brackets that do not close")
    if len(items) == 1 and (closing == _OPENING[opening]):
        return items[0]
    if len(items) < 2:
        raise Unreadable("nothing in brackets")
    return Node("seq", tuple(items), opening + closing)


def _read(tokens: Sequence[str], style: Style) -> Node | None:
    """The expression that tokens are; None where they are none."""
    try:
        return _Parser(tokens, style).whole()
    except Unreadable:
        return None


# --- claims: `x = 1 or x = 2`, `0 <= x < 1`, `a = b ≈ c` ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Claim:
    """A chain of relations, or one value: the tokens of each link, and the relations between them."""

    links: tuple[tuple[str, ...], ...]
    relations: tuple[str, ...]

    @property
    def is_unequal(self) -> bool:
        """Whether it is an inequality."""
        return any(relation in _UNEQUAL for relation in self.relations)


def _split(tokens: Sequence[str], at: frozenset[str]) -> tuple[list[list[str]], list[str]]:
    """(the pieces between some tokens outside of brackets, those tokens)."""
    pieces: list[list[str]] = [[]]
    found: list[str] = []
    depth = 0
    for token in tokens:
        depth += _deeper(token)
        if depth == 0 and token in at:
            pieces.append([])
            found.append(token)
        else:
            pieces[-1].append(token)
    return pieces, found


def _claims(tokens: Sequence[str]) -> tuple[list[Claim], list[str]]:
    """(the claims of a text, how they are joined). Of what is said in other words (`==`) the last one counts, a rounding apart."""
    same, _ = _split(tokens, frozenset(("==",)))
    rounded = len(same) > 1 and _DECIMAL.fullmatch(" ".join(same[-1])) and not _DECIMAL.fullmatch(" ".join(same[-2]))
    pieces, joints = _split(same[-2 if rounded else -1], _JOINTS)
    claims = []
    for piece in pieces:
        links, relations = _split(piece, _RELATIONS)
        claims.append(Claim(tuple(map(tuple, links)), tuple(relations)))
    kept = [(claim, joint) for claim, joint in zip(claims, ["", *joints], strict=True) if any(claim.links)]
    return [claim for claim, _ in kept], [joint for _, joint in kept[1:]]


def _is_name(tokens: Sequence[str]) -> bool:
    """Whether tokens only name what follows: `x`, `f'(x)`, `A^2`, `(x, y)`, `P()`."""
    line = " ".join(tokens)
    letter = r"(?:[A-Za-z]'*|\\[A-Za-z]+)(?: _ (?:\w+|\{[^{}]*\}))?"
    listed = rf"\( {letter}(?: , {letter})* \)"
    return re.fullmatch(rf"(?:{letter}|{listed})(?: \^ (?:\{{ )?\S+(?: \}})?)?(?: \( .*\))?", line) is not None


def _value_of(claim: Claim) -> tuple[str, ...]:
    """The tokens of the link that a chain of equations ends on; a rounding of it is left out."""
    last = len(claim.links) - 1
    while last > 0 and (claim.relations[last - 1] == "~" or not claim.links[last]):
        if claim.links[last] and all(_is_name(link) or not link for link in claim.links[:last]):
            break
        last -= 1
    return claim.links[last]


_DECIMAL = re.compile(r"(?:- )?(?:\d+\.\d+(?: %)?|\d+ %)")


def _name_of(claim: Claim) -> str:
    """The name that a claim gives a value; empty where it gives none."""
    return "".join(claim.links[0]) if len(claim.links) > 1 and _is_name(claim.links[0]) else ""


# --- values -----------------------------------------------------------------------------------------------------------

_MOST_DIGITS = 20_000
_DIGITS = 400
_POINT_DIGITS = 60
_REAL_POINTS = tuple(map(Fraction, ("7/3", "-5/7", "3/11", "-13/4", "19/17", "41/6", "-2/9", "1/13")))
_WHOLE_POINTS = tuple(map(Fraction, (3, 1, 7, 2, 12, 5, 9, 4)))
_Points = Mapping[str, Fraction]


def _symbols(node: Node) -> frozenset[str]:
    own = frozenset((node.text,)) if node.kind == "sym" else frozenset()
    return own.union(*map(_symbols, node.parts)) if node.parts else own


def _has(node: Node, kind: str, text: str = "") -> bool:
    return (node.kind == kind and text in ("", node.text)) or any(_has(part, kind, text) for part in node.parts)


def _variants(node: Node) -> list[Node]:
    """An expression with ± as the two that it means."""
    return [_with_sign(node, 1), _with_sign(node, -1)] if _has(node, "either") else [node]


def _with_sign(node: Node, sign: int) -> Node:
    parts = tuple(_with_sign(part, sign) for part in node.parts)
    if node.kind == "either":
        return parts[0] if (sign > 0) == (node.text == r"\pm") else Node("neg", parts)
    return replace(node, parts=parts)


def _in_names_of(node: Node, known: frozenset[str]) -> Node:
    """An expression in the reference's spelling of symbols: N for n, E for e."""
    if node.kind == "sym" and node.text not in known:
        if node.text == "E":
            return Node("const", text="e")
        if node.text.swapcase() in known:
            return replace(node, text=node.text.swapcase())
    return replace(node, parts=tuple(_in_names_of(part, known) for part in node.parts)) if node.parts else node


def _size(node: Node, at: _Points) -> Any:
    """About the value of an expression (mpmath's), None where it depends on symbols. Raises Undecidable for what is too large."""
    from mpmath import mp

    parts = [_size(part, at) for part in node.parts]
    if node.kind == "num" or (node.kind == "sym" and node.text in at):
        value = Fraction(node.text) if node.kind == "num" else at[node.text]
        return mp.mpf(value.numerator) / value.denominator
    if node.kind == "const":
        return {"pi": mp.pi(), "e": mp.e(), "i": mp.mpc(0, 1), "infty": None}[node.text]
    _refuse_growth(node, parts)
    if None in parts or node.kind not in _ROUGHLY:
        return None
    try:
        return _ROUGHLY[node.kind](node.text, parts)
    except (ZeroDivisionError, ValueError, OverflowError, NotImplementedError, TypeError):
        return None


def _refuse_growth(node: Node, parts: Sequence[Any]) -> None:
    from mpmath import mp

    def most(value: Any, bound: float) -> None:
        if value is not None and abs(value) > bound:
            raise Undecidable("a value too large to work out")

    if node.kind == "pow":
        base, exponent = parts
        most(exponent, 10_000 if base is None else 1_000_000)
        if base is not None and exponent is not None and base:
            most(mp.log10(abs(base)) * exponent, _MOST_DIGITS)
    elif node.kind == "call" and node.text in ("factorial", "binomial"):
        most(parts[0], 3000)
        most(parts[-1], 3000)
    elif node.kind == "call":
        most(parts[0], 10_000 if node.text in ("exp", "sinh", "cosh") else 10**300)


def _roughly_call(name: str, parts: Sequence[Any]) -> Any:
    from mpmath import mp

    if name in ("log", "ln", "lg", "log10", "log2"):
        return mp.log(parts[0])
    if name in ("abs", "floor", "ceil"):
        return abs(parts[0])
    function = getattr(mp, _SYMPY.get(name, name), None)
    return None if function is None else function(*parts)


_ROUGHLY: dict[str, Callable[[str, Sequence[Any]], Any]] = {
    "neg": lambda _, parts: -parts[0],
    "add": lambda _, parts: parts[0] + parts[1],
    "mul": lambda _, parts: parts[0] * parts[1],
    "div": lambda _, parts: parts[0] / parts[1],
    "pow": lambda _, parts: parts[0] ** parts[1],
    "call": _roughly_call,
}
_SYMPY = {
    **{"arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh", "arsinh": "asinh", "arcosh": "acosh", "artanh": "atanh"},
    **{"arcsin": "asin", "arccos": "acos", "arctan": "atan", "arccot": "acot", "ceil": "ceiling", "abs": "Abs", "ln": "log"},
}


def _build(node: Node, at: _Points) -> Any:
    """An expression as sympy's value. Raises Unreadable for what is none, such as a sum of a set."""
    import sympy

    if node.kind == "num" or (node.kind == "sym" and node.text in at):
        value = Fraction(node.text) if node.kind == "num" else at[node.text]
        return sympy.Rational(value.numerator, value.denominator)
    if node.kind == "sym":
        return sympy.Symbol(node.text)
    if node.kind == "const":
        return {"pi": sympy.pi, "e": sympy.E, "i": sympy.I, "infty": sympy.oo}[node.text]
    if node.kind == "matrix":
        return sympy.ImmutableMatrix([[_build(cell, at) for cell in row.parts] for row in node.parts])
    if node.kind not in ("neg", "add", "mul", "div", "pow", "call"):
        raise Unreadable(f"a {node.kind} is no number")
    parts = [_build(part, at) for part in node.parts]
    try:
        return _call(node.text, parts) if node.kind == "call" else _ROUGHLY[node.kind]("", parts)
    except (TypeError, ValueError, AttributeError, NotImplementedError) as error:
        # A matrix plus a number, for instance.
        raise Unreadable(str(error)[:80]) from error


def _call(name: str, parts: Sequence[Any]) -> Any:
    import sympy

    if name in ("lg", "log10", "log2"):
        return sympy.log(parts[0], 2 if name == "log2" else 10)
    if name == "det":
        return parts[0].det()
    if name == "cot" or name == "acot":
        return getattr(sympy, name)(parts[0])
    return getattr(sympy, _SYMPY.get(name, name))(*parts)


def _value(node: Node, at: _Points) -> Any:
    _size(node, at)
    return _build(node, at)


def _same(gold: Node, answer: Node) -> bool:
    """Exact equality of two expressions that are no sequences; of symbols' functions wherever the reference is real."""
    if gold == answer:
        return True
    one, other = _value(gold, {}), _value(answer, {})
    if _is_matrix(one) or _is_matrix(other):
        if not (_is_matrix(one) and _is_matrix(other)) or one.shape != other.shape:
            return False
        return all(_same_value(a, b, _DIGITS) for a, b in zip(one, other, strict=True)) if not one.free_symbols else bool(one == other)
    if one == other:
        return True
    names = sorted(_symbols(gold) | _symbols(answer))
    if not names:
        return _same_value(one, other, _DIGITS)
    return _same_at_points(gold, answer, names)


def _is_matrix(value: Any) -> bool:
    return bool(getattr(value, "is_Matrix", False))


def _same_value(one: Any, other: Any, digits: int) -> bool:
    """Equality of two numbers: of rational ones exactly, of others to many digits."""
    import sympy

    if one == other:
        return True
    if one.is_Rational and other.is_Rational or not (one.is_finite is not False and other.is_finite is not False):
        return False
    difference = one - other
    if difference.is_Rational:
        return bool(difference == 0)
    a, b = (sympy.N(value, digits) for value in (one, other))
    if not (a.is_number and b.is_number):
        raise Undecidable("a value that cannot be evaluated")
    scale = max(abs(a), abs(b), key=lambda value: value)
    return bool(abs(a - b) <= scale * sympy.Float(10, digits) ** (20 - digits))


def _points(names: Sequence[str]) -> Iterator[dict[str, Fraction]]:
    """Values for symbols; those named like counters are whole."""
    for turn in range(len(_REAL_POINTS)):
        yield {
            name: (_WHOLE_POINTS if name[0] in "nkmNKM" else _REAL_POINTS)[(turn + 3 * place) % len(_REAL_POINTS)]
            for place, name in enumerate(names)
        }


def _same_at_points(gold: Node, answer: Node, names: Sequence[str]) -> bool:
    imaginary = _has(gold, "const", "i")
    verdicts: dict[bool, list[bool]] = {True: [], False: []}
    for at in _points(names):
        try:
            one, other = _value(gold, at), _value(answer, at)
        except Undecidable:
            continue
        if one.is_finite is False or one.has(*_undefined()):
            continue
        same = not other.has(*_undefined()) and _same_value(one, other, _POINT_DIGITS)
        real = imaginary or one.is_real is not False
        if real and not same:
            return False
        verdicts[real].append(same)
    decided = verdicts[True] or verdicts[False]
    if not decided:
        raise Undecidable("no value of the symbols at which the expressions can be compared")
    return all(decided)


@functools.cache
def _undefined() -> tuple[Any, ...]:
    import sympy

    return sympy.nan, sympy.zoo


def _is_rounding(node: Node, exact: Node) -> bool:
    """Whether a decimal number is a rounding (or a cutting off) of an exact value: `33.3%` of 1/3."""
    percent = node.kind == "div" and node.parts[0].kind == "num" and node.parts[1] == Node("num", text="100")
    number = node.parts[0] if percent else node
    if number.kind != "num" or "/" in number.text or not (percent or "." in number.text) or _symbols(exact):
        return False
    unit = Fraction(1, 10 ** len(number.text.partition(".")[2])) / (100 if percent else 1)
    value = Fraction(number.text) / (100 if percent else 1)
    distance = abs(_value(exact, {}) - _value(Node("num", text=str(value)), {}))
    return bool(distance.is_number and distance < _value(Node("num", text=str(unit)), {}))


# --- comparison with a reference --------------------------------------------------------------------------------------

_Bound = tuple[Node, bool]
_MINUS_INFINITY, _INFINITY = Node("neg", (Node("const", text="infty"),)), Node("const", text="infty")
_NUMBER_SETS = frozenset(rf"\mathbb{{{letter}}}" for letter in "RNZQC")


@dataclass(frozen=True, slots=True)
class Said:
    """What a text says under one reading: its claims, the value of each (None where unreadable) and how they are joined."""

    claims: tuple[Claim, ...]
    values: tuple[Node | None, ...]
    joints: tuple[str, ...]
    style: Style


def _styles(text: str) -> list[Style]:
    """The ways in which a text can be read; the usual one first."""
    tight = (False, True) if re.search(r"/\s*(?:\d+|[A-Za-z])\s*[A-Za-z(\\]", text) else (False,)
    commas = (False, True) if re.search(r"\d,\d", text) and not re.search(r"[(\[{][^()\[\]{}]*\d,\d", text) else (False,)
    percent = (True, False) if "%" in text else (True,)
    powers = (False, True) if re.search(r"\d[eE][-+]?\d", text) else (False,)
    return [Style(*choice) for choice in itertools.product(tight, commas, percent, powers)]


def _said(text: str, style: Style, known: frozenset[str]) -> Said:
    claims, joints = _claims(_tokens(text, style))
    values = []
    for claim in claims:
        tokens = _value_of(claim)
        if len(tokens) > MOST_CHARACTERS or sum(map(len, tokens)) > MOST_CHARACTERS:
            raise Undecidable(f"an expression of more than {MOST_CHARACTERS} characters")
        node = _read(_without_units(tokens, known), style) or _read(tokens, style)
        values.append(None if node is None else _in_names_of(node, known) if known else node)
    return Said(tuple(claims), tuple(values), tuple(joints), style)


@dataclass(frozen=True, slots=True)
class Gold:
    """A reference: what it says, and the letters that it uses."""

    said: Said
    known: frozenset[str]

    @property
    def is_region(self) -> bool:
        """Whether it is an inequality."""
        return any(claim.is_unequal for claim in self.said.claims)


@functools.lru_cache(maxsize=512)
def _golds(text: str) -> tuple[Gold, ...]:
    """The readings of a reference that the grammar can read; none where it lies outside."""
    found = []
    for style in _styles(text):
        try:
            said = _said(text, style, frozenset())
        except Unreadable:
            continue
        if said.claims and None not in said.values:
            letters = frozenset().union(*(_symbols(value) for value in said.values if value is not None))
            names = frozenset(letter for claim in said.claims for link in claim.links for letter in link if letter.isalpha())
            found.append(Gold(said, letters | (names if len(said.claims[0].links) > 1 else frozenset())))
    return tuple(found)


def _matches(gold: Gold, said: Said) -> bool | None:
    """Whether what an answer says is what the reference says; None where it says nothing that can be read."""
    if gold.is_region:
        return _same_region(gold.said, said)
    wanted = [value for value in gold.said.values if value is not None]
    if len(gold.said.claims[0].links) > 1 and len(wanted) == 1 and _is_equation(gold.said.claims[0], wanted[0]):
        return _same_equation(gold, said)
    variants = [variant for value in wanted for variant in _variants(value)]
    if len(variants) > 1:
        return _matches_set(variants, said)
    return _matches_one(variants[0], gold, said)


def _without_conditions(said: Said) -> Said:
    """Claims without conditions on them: `x > 0`, `n \\in \\mathbb{N}`."""
    kept = [
        place
        for place, claim in enumerate(said.claims)
        if not claim.is_unequal and not (len(claim.links) > 1 and "".join(claim.links[-1]) in _NUMBER_SETS)
    ]
    if not kept or len(kept) == len(said.claims):
        return said
    joints = tuple(said.joints[place - 1] for place in kept[1:])
    return Said(tuple(said.claims[k] for k in kept), tuple(said.values[k] for k in kept), joints, said.style)


def _matches_one(wanted: Node, gold: Gold, said: Said) -> bool | None:
    if wanted.kind in ("union", "minus") or wanted.text in _NUMBER_SETS:
        return _same_region(gold.said, said)
    if wanted.kind == "seq" and wanted.text == "{}":
        return _matches_set(list(wanted.parts), said)
    if wanted.kind == "seq" and any(claim.is_unequal for claim in said.claims):
        return _same_region(gold.said, said)
    said = _without_conditions(said)
    if said.claims[-1].is_unequal:
        return False
    values = [variant for value in said.values if value is not None for variant in _variants(value)]
    if not values or said.values[-1] is None:
        return None
    if wanted.kind in ("seq", "matrix"):
        return _same_ordered(wanted, said, values)
    return _matches_scalar(wanted, said, values)


def _matches_scalar(wanted: Node, said: Said, values: Sequence[Node]) -> bool:
    names = [_name_of(claim) for claim in said.claims]
    if len(said.claims) > 1 and len(set(names)) == len(names) and "" not in names and "or" not in said.joints:
        # Several quantities, such as `n = 4, P = 1/2`: the last one is the answer.
        values = _variants(values[-1])
    exact = [_equal_scalar(wanted, value) for value in values]
    if not any(exact):
        return False
    return all(fits or _is_rounding(value, wanted) for fits, value in zip(exact, values, strict=True))


def _equal_scalar(wanted: Node, value: Node) -> bool:
    if value.kind == "seq":
        return value.text == "{}" and len(value.parts) == 1 and _equal_scalar(wanted, value.parts[0])
    try:
        return _same(wanted, value)
    except Unreadable:
        return False


def _matches_set(wanted: Sequence[Node], said: Said) -> bool | None:
    """A set, which a text may also give as a list of its elements."""
    said = _without_conditions(said)
    if None in said.values or not said.values:
        return None
    values = [variant for value in said.values if value is not None for variant in _variants(value)]
    if len(said.values) == 1:
        parts = _elements(values[0])
        values = [variant for part in (values if parts is None else parts) for variant in _variants(part)]
    every = all(any(_equal_element(item, value) for value in values) for item in wanted)
    return every and all(any(_equal_element(item, value) for item in wanted) for value in values)


def _elements(node: Node) -> list[Node] | None:
    """The elements of a set, or of a union of sets; None for anything else."""
    if node.kind == "union":
        parts = [_elements(part) for part in node.parts]
        return None if None in parts else [item for part in parts if part is not None for item in part]
    return list(node.parts) if node.kind == "seq" and node.text == "{}" else None


def _equal_element(one: Node, other: Node) -> bool:
    if one.kind == "seq" or other.kind == "seq":
        if one.kind != other.kind or one.text != other.text or len(one.parts) != len(other.parts):
            return False
        return all(map(_equal_element, one.parts, other.parts))
    return _equal_scalar(one, other)


def _same_ordered(wanted: Node, said: Said, values: Sequence[Node]) -> bool:
    """A point, vector, interval or matrix; also as `x = 2, y = 3`, and a matrix as a list of rows."""
    if len(values) == 1:
        return _equal_ordered(wanted, values[0])
    names = [_name_of(claim) for claim in said.claims]
    if wanted.text == "()" and "" not in names and len(set(names)) == len(names) == len(values) and "or" not in said.joints:
        ordered = [value for _, value in sorted(zip(names, values, strict=True), key=lambda pair: pair[0])]
        return len(ordered) == len(wanted.parts) and all(map(_equal_scalar, wanted.parts, ordered))
    if wanted.kind == "matrix" and "or" not in said.joints:
        return _equal_ordered(wanted, Node("seq", tuple(values), "[]"))
    return all(_equal_ordered(wanted, value) for value in values)


def _equal_ordered(wanted: Node, value: Node) -> bool:
    one, other = _rows(wanted), _rows(value)
    if wanted.kind == "seq" == value.kind:
        same = wanted.text == value.text and len(wanted.parts) == len(value.parts)
        return same and all(map(_equal_element, wanted.parts, value.parts))
    if one is None or other is None:
        return _equal_scalar(wanted, value) if wanted.kind == "matrix" and value.kind not in ("seq", "matrix") else False
    if wanted.kind == "seq" and wanted.text == "()" and len(other[0]) == 1:
        # A point and a column.
        other = [[row[0] for row in other]]
    if [len(row) for row in one] != [len(row) for row in other]:
        return False
    return all(_equal_scalar(a, b) for row, line in zip(one, other, strict=True) for a, b in zip(row, line, strict=True))


def _rows(node: Node) -> list[list[Node]] | None:
    """The rows of a matrix, of nested sequences, or of one sequence."""
    if node.kind == "matrix":
        return [list(row.parts) for row in node.parts]
    if node.kind != "seq" or node.text not in ("()", "[]"):
        return None
    if all(part.kind == "seq" for part in node.parts):
        return [list(part.parts) for part in node.parts]
    return [list(node.parts)]


def _is_equation(claim: Claim, value: Node) -> bool:
    """Whether a reference is an equation between symbols (`y = 2x`, `x^2 + y^2 = 1`), no value with a name (`x = 3`)."""
    return set(claim.relations) == {"="} and (not _is_name(claim.links[0]) or bool(_symbols(value)))


def _difference(claim: Claim, style: Style) -> Node | None:
    sides = [_read(claim.links[place], style) for place in (0, -1)]
    if len(claim.links) < 2 or sides[0] is None or sides[1] is None:
        return None
    return Node("add", (sides[0], Node("neg", (sides[1],))))


def _same_equation(gold: Gold, said: Said) -> bool | None:
    """An equation that holds for the same values; the bare right side will do where the left one is a name."""
    claim, value = gold.said.claims[0], gold.said.values[0]
    if value is not None and _is_name(claim.links[0]):
        bare = _matches_one(value, gold, said)
        if bare is not False:
            return bare
    wanted, found = _difference(claim, gold.said.style), _difference(said.claims[-1], said.style) if said.claims else None
    if wanted is None or found is None:
        return False if said.values and said.values[-1] is not None else None
    names = sorted(_symbols(wanted) | _symbols(found))
    ratios = []
    for at in _points(names):
        one, other = _value(wanted, at), _value(found, at)
        if one != 0 and one.is_finite is not False and not other.has(*_undefined()):
            ratios.append(other / one)
    return bool(ratios) and ratios[0] != 0 and all(_same_value(ratios[0], ratio, _POINT_DIGITS) for ratio in ratios)


# --- regions of the real line -----------------------------------------------------------------------------------------

_Piece = tuple[_Bound, _Bound]
_TURNED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}


def _order(node: Node) -> Any:
    return _value(node, {})


def _below(one: Node, other: Node) -> bool:
    return bool(_order(one) < _order(other))


def _pieces(node: Node) -> list[_Piece]:
    """A set of real numbers as intervals. Raises Unreadable for another one."""
    if node.kind == "union":
        return [piece for part in node.parts for piece in _pieces(part)]
    if node.text == r"\mathbb{R}":
        return [((_MINUS_INFINITY, False), (_INFINITY, False))]
    if node.kind == "minus" and node.parts[1].text == "{}":
        return _punctured(_pieces(node.parts[0]), node.parts[1].parts)
    if node.kind == "seq" and node.text == "{}":
        return [((part, True), (part, True)) for part in node.parts]
    if node.kind == "seq" and len(node.parts) == 2:
        low, high = node.parts
        return [((low, node.text[0] == "["), (high, node.text[1] == "]"))]
    raise Unreadable("no set of real numbers")


def _punctured(pieces: list[_Piece], points: Sequence[Node]) -> list[_Piece]:
    for point in points:
        split: list[_Piece] = []
        for low, high in pieces:
            inside = _below(low[0], point) and _below(point, high[0])
            split += [(low, (point, False)), ((point, False), high)] if inside else [(low, high)]
        pieces = split
    return pieces


def _of_inequality(claim: Claim, style: Style, known: frozenset[str]) -> list[_Piece]:
    """`0 <= x < 1`, `x > 2`, `x != 1` as intervals."""
    nodes = [_read(link, style) for link in claim.links]
    place = next((k for k, node in enumerate(nodes) if node is not None and node.kind == "sym"), None)
    if place is None or len(nodes) > 3 or None in nodes:
        raise Unreadable("no inequality in one symbol")
    low, high = (_MINUS_INFINITY, False), (_INFINITY, False)
    for k, relation in enumerate(claim.relations):
        bound = nodes[k + 1] if k == place else nodes[k]
        if bound is None or place not in (k, k + 1):
            raise Unreadable("no inequality in one symbol")
        relation = relation if k == place else _TURNED.get(relation, relation)
        if relation == "!=":
            return _punctured([(low, high)], [bound])
        if relation in ("<", "<="):
            high = (bound, relation == "<=")
        elif relation in (">", ">="):
            low = (bound, relation == ">=")
    return [(low, high)]


def _region(said: Said) -> list[_Piece]:
    """The real numbers that claims allow: joined by `or` all of them, else what they have in common."""
    found: list[_Piece] = []
    for place, (claim, value) in enumerate(zip(said.claims, said.values, strict=True)):
        if claim.is_unequal:
            pieces = _of_inequality(claim, said.style, frozenset())
        elif value is not None:
            pieces = _pieces(value)
        else:
            raise Unreadable("no set of real numbers")
        joined = place == 0 or said.joints[place - 1] == "or" or not claim.is_unequal
        found = found + pieces if joined else _common(found, pieces)
    return found


def _common(one: list[_Piece], other: list[_Piece]) -> list[_Piece]:
    pieces = []
    for (low, high), (low2, high2) in itertools.product(one, other):
        lowest = low if _below(low2[0], low[0]) or (not low[1] and not _below(low[0], low2[0])) else low2
        highest = high if _below(high[0], high2[0]) or (not high[1] and not _below(high2[0], high[0])) else high2
        pieces.append((lowest, highest))
    return pieces


def _ordered(pieces: list[_Piece]) -> list[_Piece]:
    """Intervals in order, those that touch made one."""
    import sympy

    if any(_symbols(bound[0]) for piece in pieces for bound in piece):
        raise Unreadable("bounds with symbols")
    merged: list[_Piece] = []
    for low, high in sorted(pieces, key=lambda piece: (sympy.N(_order(piece[0][0]), 30), not piece[0][1])):
        if merged:
            before = merged[-1][1]
            meets = _below(low[0], before[0]) or (_same(low[0], before[0]) and (low[1] or before[1]))
            if meets:
                further = _below(before[0], high[0]) or (high[1] and _same(before[0], high[0]))
                merged[-1] = (merged[-1][0], high if further else before)
                continue
        merged.append((low, high))
    return merged


def _same_region(gold: Said, said: Said) -> bool | None:
    try:
        wanted = _ordered(_region(gold))
    except (Unreadable, TypeError) as error:
        raise Undecidable("a reference that is no set of real numbers") from error
    try:
        found = _ordered(_region(said))
    except (Unreadable, TypeError):
        return None if None in said.values else False
    if len(wanted) != len(found):
        return False
    bounds = [(a, b) for one, other in zip(wanted, found, strict=True) for a, b in zip(one, other, strict=True)]
    return all(a[1] == b[1] and _same(a[0], b[0]) for a, b in bounds)


# --- the worker's side ------------------------------------------------------------------------------------------------

_WORD = re.compile(r"(?<![\\A-Za-z{])[A-Za-z]{4,}")
_TOWER = re.compile(r"\^\s*\{?\s*\w+\s*\}?\s*\^|\^\s*\{[^{}]*\^|\d{4,}\s*!|!\s*!|\^\s*\{?\s*\d{5}|binom")


def decide(gold: str, answer: str) -> bool | None:
    """Whether an answer's expression equals the reference; None where it is none. Raises Undecidable where that stays open."""
    golds = _golds(gold)
    if not golds:
        return _by_math_verify(gold, answer)
    verdicts: list[bool | None] = []
    letters = frozenset().union(*(reference.known for reference in golds))
    if any(word not in _BARE and not set(word) <= letters for word in _WORD.findall(answer)):
        return None
    for style in _styles(answer):
        for reference in golds:
            try:
                said = _said(answer, style, reference.known or frozenset("?"))
                verdicts.append(_matches(reference, said) if said.claims else None)
            except Unreadable:
                verdicts.append(None)
            if verdicts[-1]:
                return True
    return False if False in verdicts else None


def _by_math_verify(gold: str, answer: str) -> bool | None:
    """The comparison of math-verify, for a reference that this grammar cannot read. Decimal numbers are exact here, too."""
    import sympy
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify

    if len(answer) > MOST_CHARACTERS or _TOWER.search(answer):
        raise Undecidable("an expression too large for math-verify")
    kinds = (LatexExtractionConfig(), ExprExtractionConfig())

    def value(text: str) -> Any:
        found = [item for item in parse(f"${text}$", extraction_config=kinds, parsing_timeout=None) if not isinstance(item, str)]
        floats = found[0].atoms(sympy.Float) if found and hasattr(found[0], "atoms") else ()
        return found[0].xreplace({item: sympy.Rational(str(item)) for item in floats}) if found else None

    wanted, found = value(gold), value(answer)
    if wanted is None:
        raise Undecidable(f"cannot read the reference {gold!r}")
    return None if found is None else bool(verify([wanted], [found], timeout_seconds=None))


def _answered(gold: str, answer: str) -> tuple[bool | None, str]:
    try:
        return decide(gold, answer), ""
    except Undecidable as error:
        return None, str(error)
    except MemoryError:
        return None, "not enough memory to compare the expressions"
    except RecursionError:
        return None, "an expression too deep to be compared"
    except Exception as error:
        return None, f"sympy failed on the expression ({type(error).__name__})"


def _serve() -> None:
    import resource

    import sympy  # noqa: F401  loaded before the first question, so that none has to wait for it

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    # What a library prints must not end up between the replies.
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    sys.stdout = sys.stderr
    print("ready", file=replies, flush=True)
    for line in sys.stdin:
        asked, gold, answer = json.loads(line)
        print(json.dumps([asked, *_answered(gold, answer)]), file=replies, flush=True)


if __name__ == "__main__":
    _serve()
