"""Untrusted YAML -> plain values with line numbers. Refuses what a registry or a suite never needs.

PyYAML's composer gives nodes with their lines; the values are made here, so that a duplicate key, an alias bomb, a `!!python`
tag or a value that YAML 1.1 would twist (`no`, `12:30:45`) is a named problem and never a surprise.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from scripts.lib.errors import InputErrors, Problem

try:
    from yaml import CSafeLoader as _Loader
except ImportError:  # pragma: no cover - PyYAML built without libyaml is slower, not different
    from yaml import SafeLoader as _Loader  # type: ignore[assignment]

MOST_ALIASES = 200
MOST_NODES = 2_000_000
MOST_DEPTH = 60
_PLAIN_TAGS = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:value")
_INT = re.compile(r"[-+]?\d+")
_FLOAT = re.compile(r"[-+]?(\d+\.\d*|\.\d+|\d+)([eE][-+]?\d+)?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_CONSTANTS: dict[str, Any] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


@dataclass
class Source:
    """A parsed YAML file: its plain value, and the line of every key path (`roles.frontdoor.model.path`)."""

    file: str
    value: Any
    lines: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def line(self, path: str) -> int | None:
        """The line of a key path, or of the nearest one above it."""
        while path:
            if path in self.lines:
                return self.lines[path]
            path = path.rpartition(".")[0]
        return None

    def problem(self, path: str, message: str) -> Problem:
        """A problem at a key path, with its line where it is known."""
        line = self.line(path)
        return Problem(f"{self.file}:{line}" if line else self.file, path, message)


class _Reader:
    def __init__(self, source: Source, as_text: bool = False):
        self.source, self.as_text = source, as_text
        self.nodes = 0
        self.seen: dict[int, int] = {}
        self.stack: set[int] = set()
        self.stopped = False

    def _problem(self, node: yaml.Node, path: str, message: str) -> None:
        self.source.problems.append(Problem(f"{self.source.file}:{node.start_mark.line + 1}", path, message))

    def convert(self, node: yaml.Node, path: str, depth: int = 0) -> Any:
        self.nodes += 1
        if self.stopped:
            return None
        if self.nodes > MOST_NODES or depth > MOST_DEPTH:
            self.stopped = True
            self._problem(node, path, f"too large or too deep (over {MOST_NODES} values or {MOST_DEPTH} levels)")
            return None
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if id(node) in self.stack:
            self._problem(node, path, "an alias refers to itself")
            return None
        self.seen[id(node)] = self.seen.get(id(node), 0) + 1
        if self.seen[id(node)] > MOST_ALIASES:
            self.stopped = True
            self._problem(node, path, f"an anchor is used more than {MOST_ALIASES} times")
            return None
        self.stack.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
                return [self.convert(item, f"{path}[{i}]", depth + 1) for i, item in enumerate(node.value)]
            if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
                return self._mapping(node, path, depth)
        finally:
            self.stack.discard(id(node))
        self._problem(node, path, f"tag {node.tag!r} is not allowed")
        return None

    def _mapping(self, node: yaml.MappingNode, path: str, depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._problem(key_node, path, "a key must be plain text")
                continue
            key = str(key_node.value)
            place = f"{path}.{key}" if path else key
            if key in made:
                first = self.source.lines.get(place)
                self._problem(key_node, place, f"duplicate key (first on line {first})")
                continue
            self.source.lines.setdefault(place, key_node.start_mark.line + 1)
            made[key] = self.convert(value_node, place, depth + 1)
        return made

    def _scalar(self, node: yaml.ScalarNode, path: str) -> Any:
        text = str(node.value)
        if "\0" in text:
            self._problem(node, path, "holds a NUL character")
            return None
        explicit = node.tag not in _PLAIN_TAGS and not node.tag.startswith("tag:yaml.org,2002:")
        if explicit or node.tag.startswith("tag:yaml.org,2002:python"):
            self._problem(node, path, f"tag {node.tag!r} is not allowed")
            return None
        return text if self.as_text or node.style in ("'", '"', "|", ">") else plain_value(text)


def plain_value(text: str) -> Any:
    """An unquoted scalar by the YAML 1.2 core rules, and ISO dates: `no` and `12:30:45` stay text."""
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


def read_yaml(path: Path) -> Source:
    """Parse a YAML file whose top is a mapping. Raises InputErrors when it cannot be parsed or read at all.

    Problems that leave the rest readable (a duplicate key) are in `Source.problems`, for the caller to report with its own.
    """
    file = str(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputErrors([Problem(file, "", "no such file")]) from None
    except IsADirectoryError:
        raise InputErrors([Problem(file, "", "expected a file, found a folder")]) from None
    except UnicodeDecodeError as error:
        raise InputErrors([Problem(file, "", f"not UTF-8 (byte {error.start})")]) from None
    source = Source(file, {})
    node = _composed(text, file)
    if node is None:
        return source
    source.value = _Reader(source).convert(node, "")
    if not isinstance(source.value, dict):
        found = type(source.value).__name__
        raise InputErrors([*source.problems, Problem(file, "", f"expected a mapping at the top, found {found}")])
    return source


def _composed(text: str, file: str) -> yaml.Node | None:
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=_Loader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{file}:{mark.line + 1}" if mark is not None else file
        what = getattr(error, "problem", None) or " ".join(str(error).split())[:200]
        raise InputErrors([Problem(place, "", f"not YAML: {what}")]) from None
    return node


def read_whole(path: Path) -> Source:
    """Like `read_yaml`, with every problem an error, the duplicate keys too. Raises InputErrors."""
    source = read_yaml(path)
    if source.problems:
        raise InputErrors(source.problems)
    return source


def read_argument(name: str, text: str, file: str) -> Source:
    """The value of `NAME=TEXT` on a command line: mappings and lists as in a file, every scalar left as text, nothing null.

    What is no YAML (`*`) is text as a whole. Problems are in `Source.problems`.
    """
    source = Source(file, {name: text}, {name: 0})
    try:
        node = _composed(text, file)
    except InputErrors:
        return source
    source.value = {name: None if node is None else _Reader(source, as_text=True).convert(node, name)}
    # One line, that nobody numbers.
    source.lines = dict.fromkeys(source.lines, 0)
    source.problems = [Problem(file, p.place, p.message.partition(" (first on")[0]) for p in source.problems]
    return source
