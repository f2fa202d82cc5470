"""Reads untrusted YAML: plain values with line numbers. What no input file needs is an error.

PyYAML's parser gives events with their lines; the values are made here. So a duplicate key, an
alias bomb or a `!!python` tag is a problem with its place, and values that YAML 1.1 would change
(`no`, `12:30:45`) stay text. Limits are checked while reading: bytes of the file, number of values
(an alias counts each time it is used), depth.
"""

from __future__ import annotations

import datetime
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from scripts.lib.base.errors import InputErrors, Problem

try:
    from yaml import CSafeLoader as _Loader
except ImportError:  # pragma: no cover - PyYAML built without libyaml is slower, not different
    from yaml import SafeLoader as _Loader  # type: ignore[assignment]

MOST_BYTES = 32_000_000
MOST_NODES = 1_000_000
MOST_DEPTH = 60
# Tags that change nothing; `!` alone means: text as written.
_TEXT_TAGS = ("!", "tag:yaml.org,2002:str")
_SEQUENCE_TAGS, _MAPPING_TAGS = ("!", "tag:yaml.org,2002:seq"), ("!", "tag:yaml.org,2002:map")
# The key of YAML 1.1 that merges other mappings (an alias, or a list of them) into its own.
MERGE = "<<"
# Characters that cannot be sent to a model or written to a file.
_UNSENDABLE = re.compile("[\0\ud800-\udfff]")
_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)([eE][-+]?[0-9]+)?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CONSTANTS: dict[str, Any] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_BOOLEANS = {
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}


@dataclass(frozen=True, slots=True)
class Carried:
    """A key that nothing here acts on.

    `section` is the mapping's place in the format (`roles.<key>.model`), `path` the key's in the
    file. `known`: the format describes the key.
    """

    section: str
    key: str
    path: str
    line: int | None
    value: Any
    known: bool = False


@dataclass
class Source:
    """A parsed YAML file: its plain value, and the line of every path.

    A path is `roles.frontdoor.tier` or `prompts.q1.scoring[0]`.
    """

    file: str
    value: Any
    lines: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    carried: list[Carried] = field(default_factory=list)

    def forget(self, path: str) -> None:
        """Drop the lines of a key and of everything below it, before the key is read again."""
        inner = tuple(place for place in self.lines if place.startswith((f"{path}.", f"{path}[")))
        for place in (path, *inner):
            del self.lines[place]

    def line(self, path: str) -> int | None:
        """The line of a key path, or of the nearest one above it."""
        while path:
            if path in self.lines:
                return self.lines[path]
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return None

    def problem(self, path: str, message: str) -> Problem:
        """A problem at a key path, with its line if it is known."""
        line = self.line(path)
        return Problem(f"{self.file}:{line}" if line else self.file, path, message)


@dataclass(frozen=True, slots=True)
class _Anchored:
    """An anchor's value, how many values that is, and how many levels."""

    value: Any
    nodes: int
    levels: int


class _Reader:
    """Makes values of the parser's events. An alias counts each time it is used."""

    def __init__(
        self,
        source: Source,
        events: Iterator[Any],
        as_text: bool = False,
        last_counts: str | None = None,
    ):
        self.source, self.events = source, events
        self.as_text, self.last_counts = as_text, last_counts
        self.nodes = self.deepest = 0
        # None while the anchor's own value is being read.
        self.anchors: dict[str, _Anchored | None] = {}

    def _problem(self, event: Any, path: str, message: str) -> None:
        self.source.problems.append(Problem(f"{self.source.file}:{_line(event)}", path, message))

    def _count(self, event: Any, path: str, nodes: int, depth: int) -> None:
        """Raise InputErrors if there are too many values or levels."""
        self.nodes += nodes
        self.deepest = max(self.deepest, depth)
        if self.nodes > MOST_NODES or depth > MOST_DEPTH:
            limits = f"over {MOST_NODES} values, aliases included, or {MOST_DEPTH} levels"
            self._problem(event, path, f"too large or too deep ({limits})")
            raise InputErrors(self.source.problems)

    def document(self, name: str = "") -> Any:
        """The value of the only document; None if there is none. Raises InputErrors."""
        event = next(self.events)
        while isinstance(event, yaml.StreamStartEvent):
            event = next(self.events)
        if isinstance(event, yaml.StreamEndEvent):
            return None
        value = self.value(next(self.events), name)
        next(self.events)
        after = next(self.events)
        if not isinstance(after, yaml.StreamEndEvent):
            self._problem(after, "", "expected one YAML document, found another after it")
        return value

    def value(self, event: Any, path: str, depth: int = 0) -> Any:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, path, depth)
        if event.anchor is None:
            return self._own_value(event, path, depth)
        self.anchors[event.anchor] = None
        nodes, deepest, self.deepest = self.nodes, self.deepest, depth
        made = self._own_value(event, path, depth)
        self.anchors[event.anchor] = _Anchored(made, self.nodes - nodes, self.deepest - depth)
        self.deepest = max(deepest, self.deepest)
        return made

    def _own_value(self, event: Any, path: str, depth: int) -> Any:
        self._count(event, path, 1, depth)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(event, path, depth)
        return self._mapping(event, path, depth)

    def _alias(self, event: Any, path: str, depth: int) -> Any:
        if event.anchor not in self.anchors:
            self._problem(event, path, f"no anchor &{event.anchor} before its alias")
            return None
        found = self.anchors[event.anchor]
        if found is None:
            self._problem(event, path, "an alias refers to itself")
            return None
        self._count(event, path, found.nodes, depth + found.levels)
        return found.value

    def _check_tag(self, event: Any, path: str, plain: tuple[str, ...]) -> None:
        if event.tag is not None and event.tag not in plain:
            self._problem(event, path, f"tag {event.tag!r} is not allowed")

    def _sequence(self, event: Any, path: str, depth: int) -> list[Any]:
        self._check_tag(event, path, _SEQUENCE_TAGS)
        made: list[Any] = []
        while not isinstance(item := next(self.events), yaml.SequenceEndEvent):
            place = f"{path}[{len(made)}]"
            self.source.lines.setdefault(place, _line(item))
            made.append(self.value(item, place, depth + 1))
        return made

    def _mapping(self, event: Any, path: str, depth: int) -> dict[str, Any]:
        self._check_tag(event, path, _MAPPING_TAGS)
        made: dict[str, Any] = {}
        merged: list[dict[str, Any]] = []
        while not isinstance(key_event := next(self.events), yaml.MappingEndEvent):
            key = self._key(key_event, path, depth)
            place = f"{path}.{key}" if path else str(key)
            is_new = key is not None and key not in made
            if key is not None and not is_new:
                is_new = self._said_again(key_event, path, place)
            if is_new:
                self.source.lines.setdefault(place, _line(key_event))
            value = self.value(next(self.events), place if is_new else path, depth + 1)
            others = value if isinstance(value, list) else [value]
            if (
                key == MERGE
                and not key_event.style
                and others
                and all(isinstance(other, dict) for other in others)
            ):
                merged += others
            elif is_new:
                made[str(key)] = value
        # The mapping's own keys override those that are merged into it, and the first merged
        # mapping overrides the next.
        for other in merged:
            made = {**other, **made}
        return made

    def _said_again(self, event: Any, path: str, place: str) -> bool:
        """Note a key that is there twice: a problem, or a warning if the last one counts.

        True if the last one counts.
        """
        first = self.source.lines.get(place)
        if path != self.last_counts:
            self._problem(event, place, f"duplicate key (first on line {first})")
            return False
        message = f"is there twice, on lines {first} and {_line(event)}: the last one counts"
        self.source.warnings.append(Problem(f"{self.source.file}:{_line(event)}", place, message))
        self.source.forget(place)
        return True

    def _key(self, event: Any, path: str, depth: int) -> str | None:
        """A key's text as written; None, and a problem, for anything else."""
        self.value(event, path, depth + 1)
        if isinstance(event, yaml.ScalarEvent):
            return str(event.value)
        self._problem(event, path, "a key must be plain text")
        return None

    def _scalar(self, event: Any, path: str) -> Any:
        text = str(event.value)
        if _UNSENDABLE.search(text):
            self._problem(event, path, "holds a NUL character or half a surrogate pair")
            return None
        self._check_tag(event, path, _TEXT_TAGS)
        is_text = self.as_text or event.tag is not None or event.style in ("'", '"', "|", ">")
        return text if is_text else plain_value(text)


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def plain_value(text: str) -> Any:
    """An unquoted scalar by the YAML 1.2 core rules, and ISO dates."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INT.fullmatch(text) and len(text) < 20:
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _DATE.fullmatch(text):
        try:
            return datetime.date.fromisoformat(text)
        except ValueError:
            return text
    return text


def read_file(path: Path) -> bytes:
    """The bytes of an input file. Raises InputErrors if it cannot be read or is too large."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            found = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe or a device"
            raise InputErrors([Problem(str(path), "", f"expected a file, found {found}")])
        if status.st_size > MOST_BYTES:
            size = f"{status.st_size / 1e6:.0f} MB, at most {MOST_BYTES / 1e6:.0f} are read"
            raise InputErrors([Problem(str(path), "", f"too large: {size}")])
        return path.read_bytes()
    except FileNotFoundError:
        raise InputErrors([Problem(str(path), "", "no such file")]) from None
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else error
        raise InputErrors([Problem(str(path), "", f"cannot be read: {said}")]) from None


def read_text(path: Path) -> str:
    """The text of an input file: UTF-8, with or without a byte order mark. Raises InputErrors."""
    data = read_file(path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found = "; it looks like UTF-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else ""
        raise InputErrors(
            [Problem(str(path), "", f"not UTF-8 (byte {error.start}){found}")]
        ) from None


def read_yaml(path: Path, last_counts: str | None = None) -> Source:
    """Parse a YAML file whose top is a mapping. Raises InputErrors when it cannot be read.

    Problems that leave the rest readable (a duplicate key) are in `Source.problems`, for the caller
    to report with its own. In the mapping at the path `last_counts`, a duplicate key is only a
    warning, and its last value counts.
    """
    source = Source(str(path), {})
    value = _parsed(read_text(path), source, last_counts=last_counts)
    if value is None and not source.problems:
        return source
    source.value = value
    if not isinstance(source.value, dict):
        found = type(source.value).__name__
        raise InputErrors(
            [
                *source.problems,
                Problem(source.file, "", f"expected a mapping at the top, found {found}"),
            ]
        )
    return source


def _parsed(
    text: str, source: Source, name: str = "", as_text: bool = False, last_counts: str | None = None
) -> Any:
    """The value of a YAML text at the key `name`. Raises InputErrors if it is not YAML."""
    try:
        return _Reader(source, yaml.parse(text, Loader=_Loader), as_text, last_counts).document(
            name
        )
    except (yaml.YAMLError, UnicodeError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{source.file}:{mark.line + 1}" if mark is not None else source.file
        what = getattr(error, "problem", None) or " ".join(str(error).split())[:200]
        raise InputErrors([Problem(place, "", f"not YAML: {what}")]) from None


def read_whole(path: Path) -> Source:
    """Like `read_yaml`, but duplicate keys are errors, too. Raises InputErrors."""
    source = read_yaml(path)
    if source.problems:
        raise InputErrors(source.problems)
    return source


def read_argument(name: str, text: str, file: str) -> Source:
    """The value of `NAME=TEXT` on a command line, with every scalar left as text.

    Text that is not YAML (`*`) is taken as it is. Problems are in `Source.problems`.
    """
    source = Source(file, {name: text}, {name: 0})
    try:
        source.value = {name: _parsed(text, source, name, as_text=True)}
    except InputErrors:
        return Source(file, {name: text}, {name: 0})
    # A command line has no line numbers.
    source.lines = dict.fromkeys(source.lines, 0)
    source.problems = [
        Problem(file, p.place, p.message.partition(" (first on")[0]) for p in source.problems
    ]
    return source
