"""The rows of published files, and the questions that adapters make of them."""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.lib.base.errors import BenchError, shown, suggest

# Difficulty -> tier.
LEVELS = {"easy": 1, "medium": 2, "hard": 3}


class LayoutError(BenchError):
    """A file is not as published: file, line, what was expected and what was found."""


@dataclass(frozen=True, slots=True)
class Item:
    """One question on its way into a suite file.

    `origin` names it in the source, `body` has the suite format's keys. `cases`: those of its code
    check, if they go into a file beside the suite. The benchmark's reader sets `suite`.
    """

    id: str
    origin: str
    tier: int
    body: Mapping[str, Any] = field(hash=False)
    cases: Sequence[Mapping[str, str]] = field(default=(), hash=False)
    suite: str = ""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A question that cannot be asked or scored here. Similar questions share a reason."""

    origin: str
    reason: str


Adapter = Callable[[Path], Iterator[Item | LeftOut]]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark: its files and their keys (for error messages), how they are read, its licence.

    `has_cases`: the cases of its questions go into files of their own.
    """

    layout: str
    read: Adapter
    provenance: str
    has_cases: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One object or line of a published file. `place` names it in messages (`file:line`)."""

    place: str
    raw: Mapping[str, Any]
    file: Path = Path()

    def value(self, key: str) -> Any:
        """The value of a key that every row has. Raises LayoutError with the keys of the row."""
        if key not in self.raw:
            found = ", ".join(map(str, self.raw)) or "none"
            near = suggest(key, self.raw) if len(self.raw) > 1 else ""
            tail = near if "did you mean" in near else ""
            raise LayoutError(
                f"{self.place}: expected the key '{key}', found the keys {found}{tail}"
            )
        return self.raw[key]

    def text(self, key: str) -> str:
        """A text that is not blank. Raises LayoutError."""
        value = self.value(key)
        if not isinstance(value, str) or not value.strip():
            raise self.problem(key, "a text")
        return value

    def listed(self, key: str) -> list[Any]:
        """A list of anything. Raises LayoutError."""
        if not isinstance(self.value(key), list):
            raise self.problem(key, "a list")
        return list(self.raw[key])

    def texts(self, key: str) -> list[str]:
        """A list of texts. Raises LayoutError."""
        if not all(isinstance(item, str) for item in self.listed(key)):
            raise self.problem(key, "a list of texts")
        return self.listed(key)

    def number(self, key: str, least: int, most: int) -> int:
        """A whole number, or a text of one (publications differ). Raises LayoutError."""
        value = self.value(key)
        is_number = not isinstance(value, bool) and re.fullmatch(
            r"-?[0-9]{1,9}", str(value).strip()
        )
        if not is_number or not least <= int(value) <= most:
            raise self.problem(key, f"a whole number from {least} to {most}")
        return int(value)

    def one_of(self, key: str, values: Mapping[str, int]) -> int:
        """The number of a known word. Raises LayoutError."""
        word = self.text(key)
        if word not in values:
            raise self.problem(key, f"one of {', '.join(values)}")
        return values[word]

    def parsed(self, key: str, parse: Callable[[str], Any], expected: str) -> Any:
        """The value, parsed if it is a text. Raises LayoutError."""
        value = self.value(key)
        try:
            return parse(value) if isinstance(value, str) else value
        except (ValueError, SyntaxError, RecursionError) as error:
            raise self.problem(key, f"{expected} ({error})") from error

    def problem(self, key: str, expected: str) -> LayoutError:
        """The error for a value that is not as published."""
        found = shown(self.raw.get(key))
        return LayoutError(f"{self.place}: {key}: expected {expected}, found {found}")


# --- readers --------------------------------------------------------------------------------------


def files_of(path: Path, pattern: str) -> list[Path]:
    """The file itself, or a folder's files of this pattern, sorted. Raises LayoutError if none."""
    files = sorted(path.rglob(pattern)) if path.is_dir() else [path]
    if not files:
        raise LayoutError(f"{path}: expected {pattern} files, found none")
    return files


def _read(file: Path) -> str:
    data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    return data.decode("utf-8-sig")


def _lines(file: Path) -> Iterator[bytes]:
    """Line by line, since some files are larger than the memory."""
    # Not str.splitlines: it also ends a line at characters that a text may have, such as U+2028.
    with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
        yield from stream


def _row(file: Path, place: str, value: Any) -> Row:
    if not isinstance(value, dict):
        raise LayoutError(f"{place}: expected a JSON object, found {shown(value)}")
    return Row(place, value, file)


def json_lines(path: Path, pattern: str = "*.jsonl") -> Iterator[Row]:
    """The objects of a JSON-lines file (may be gzipped) or of a folder's. Raises LayoutError."""
    for file in files_of(path, pattern):
        for number, line in enumerate(_lines(file), 1):
            if not line.strip():
                continue
            try:
                value = json.loads(line.decode("utf-8-sig"))
            except (ValueError, RecursionError) as error:
                found = line[:60].decode("utf-8", "replace").rstrip("\n")
                place = f"{file}:{number}"
                raise LayoutError(f"{place}: expected a JSON object, found {found!r}") from error
            yield _row(file, f"{file}:{number}", value)


def json_of(file: Path, expected: str) -> Any:
    """A file's JSON. Raises LayoutError."""
    try:
        return json.loads(_read(file))
    except json.JSONDecodeError as error:
        place = f"{file}:{error.lineno}"
        raise LayoutError(f"{place}: expected {expected}, found no JSON: {error.msg}") from error


def json_list(path: Path, pattern: str = "*.json") -> Iterator[Row]:
    """The objects of one JSON list; `place` is `file[3]`, counted from 0. Raises LayoutError."""
    for file in files_of(path, pattern):
        value = json_of(file, "a JSON list")
        if not isinstance(value, list):
            raise LayoutError(f"{file}: expected a JSON list of objects, found {shown(value)}")
        for index, item in enumerate(value):
            yield _row(file, f"{file}[{index}]", item)


def json_rows(path: Path, pattern: str) -> Iterator[Row]:
    """The objects of files that are one JSON list or JSON lines. Raises LayoutError."""
    for file in files_of(path, pattern):
        first = next((line for line in _lines(file) if line.strip()), b"")
        is_list = first.strip().removeprefix(b"\xef\xbb\xbf").startswith(b"[")
        yield from json_list(file) if is_list else json_lines(file)


def csv_lines(file: Path) -> Iterator[tuple[str, list[str]]]:
    """The place (`file:line`, its first line) and the cells of each record of a CSV file."""
    with file.open(encoding="utf-8-sig", newline="") as stream:
        reader, begun = csv.reader(stream), 1
        for cells in reader:
            if cells:
                yield f"{file}:{begun}", cells
            begun = reader.line_num + 1


def csv_rows(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    """The records of CSV files whose header has at least `columns`. Raises LayoutError."""
    for file in files_of(path, "*.csv"):
        lines = csv_lines(file)
        place, header = next(lines, (f"{file}:1", []))
        if absent := [name for name in columns if name not in header]:
            wanted, found = ", ".join(absent), ", ".join(header) or "nothing"
            raise LayoutError(f"{place}: expected the columns {wanted}, found {found:.200}")
        for place, cells in lines:
            if len(cells) != len(header):
                found = f"{len(cells)}: {shown(cells)}"
                raise LayoutError(f"{place}: expected {len(header)} cells, found {found}")
            yield Row(place, dict(zip(header, cells, strict=True)), file)


# --- what bodies are made of ----------------------------------------------------------------------


def identifier(text: object) -> str:
    """A text as a question's id: letters and digits, with one `_` instead of anything else."""
    return re.sub(r"[^A-Za-z0-9]+", "_", str(text)).strip("_")[:90] or "q"


def question(
    prompt: str, expected: str, criterion: str, check: Mapping[str, Any], reference: str = ""
) -> dict[str, Any]:
    """The body of a question that a single check decides."""
    known = {"reference_answer": reference} if reference else {}
    scoring = [{"criterion": criterion, "weight": 100, "checks": [dict(check)]}]
    return {"prompt": prompt, "expected": expected, **known, "scoring": scoring}
