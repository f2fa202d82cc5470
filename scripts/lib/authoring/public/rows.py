"""Public benchmarks: rows of published files as adapters read them, and the questions that they make of them."""

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


class LayoutError(BenchError):
    """A file is not as it was published: file, line, what was expected and what was found."""


@dataclass(frozen=True, slots=True)
class Item:
    """One question on its way into a suite file.

    `origin` names it in the source, `body` has the suite format's keys. `cases` are those of its
    code check where they are too many for the suite: they go into a file beside it.
    """

    suite: str
    id: str
    origin: str
    tier: int
    body: Mapping[str, Any] = field(hash=False)
    cases: Sequence[Mapping[str, str]] = field(default=(), hash=False)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A published question that cannot be asked or scored here. `reason` is the same for all of a kind."""

    origin: str
    reason: str


Adapter = Callable[[Path], Iterator[Item | LeftOut]]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark: what its files look like (for the error message), how they are read, and its licence.

    `has_cases`: its questions' cases go into files of their own.
    """

    layout: str
    read: Adapter
    provenance: str
    has_cases: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One object or line of a published file: its values by key, its file, and the place to name in a message (`file:line`)."""

    place: str
    raw: Mapping[str, Any]
    file: Path = Path()

    def value(self, key: str) -> Any:
        """The value of a key that every row has. Raises LayoutError naming the keys that are there."""
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
        """A whole number, or a text of one: publications differ in that. Raises LayoutError."""
        value = self.value(key)
        is_number = not isinstance(value, bool) and re.fullmatch(
            r"-?[0-9]{1,9}", str(value).strip()
        )
        if not is_number or not least <= int(value) <= most:
            raise self.problem(key, f"a whole number from {least} to {most}")
        return int(value)

    def problem(self, key: str, expected: str) -> LayoutError:
        """What to raise where a value is not as published."""
        return LayoutError(
            f"{self.place}: {key}: expected {expected}, found {shown(self.raw.get(key))}"
        )


# --- readers ----------------------------------------------------------------------------------------------------------


def files_of(path: Path, pattern: str) -> list[Path]:
    """The file itself, or a folder's files of this name, sorted. Raises LayoutError where there is none."""
    files = sorted(path.rglob(pattern)) if path.is_dir() else [path]
    if not files:
        raise LayoutError(f"{path}: expected {pattern} files, found none")
    return files


def _read(file: Path) -> str:
    data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    return data.decode("utf-8-sig")


def _lines(file: Path) -> Iterator[bytes]:
    """One line after the other: some files are larger than the memory."""
    # Not str.splitlines: a text may hold other marks that it takes for the end of a line, such as
    # U+2028.
    with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
        yield from stream


def _row(file: Path, place: str, value: Any) -> Row:
    if not isinstance(value, dict):
        raise LayoutError(f"{place}: expected a JSON object, found {shown(value)}")
    return Row(place, value, file)


def json_lines(path: Path, pattern: str = "*.jsonl") -> Iterator[Row]:
    """The objects of a JSON-lines file (it may be gzipped), or of a folder's files of the pattern. Raises LayoutError."""
    for file in files_of(path, pattern):
        for number, line in enumerate(_lines(file), 1):
            if not line.strip():
                continue
            try:
                value = json.loads(line.decode("utf-8-sig"))
            except (ValueError, RecursionError) as error:
                found = line[:60].decode("utf-8", "replace").rstrip("\n")
                raise LayoutError(
                    f"{file}:{number}: expected a JSON object, found {found!r}"
                ) from error
            yield _row(file, f"{file}:{number}", value)


def json_list(path: Path, pattern: str = "*.json") -> Iterator[Row]:
    """The objects of a file that is one JSON list; places are `file[3]`, counted from 0. Raises LayoutError."""
    for file in files_of(path, pattern):
        try:
            value = json.loads(_read(file))
        except json.JSONDecodeError as error:
            raise LayoutError(
                f"{file}:{error.lineno}: expected a JSON list, found no JSON: {error.msg}"
            ) from error
        if not isinstance(value, list):
            raise LayoutError(f"{file}: expected a JSON list of objects, found {shown(value)}")
        for index, item in enumerate(value):
            yield _row(file, f"{file}[{index}]", item)


def json_rows(path: Path, pattern: str) -> Iterator[Row]:
    """The objects of files that are one JSON list or JSON lines: a list begins with its bracket. Raises LayoutError."""
    for file in files_of(path, pattern):
        begun = next((line.strip() for line in _lines(file) if line.strip()), b"").removeprefix(
            b"\xef\xbb\xbf"
        )
        yield from json_list(file) if begun.startswith(b"[") else json_lines(file)


def csv_lines(file: Path) -> Iterator[tuple[str, list[str]]]:
    """Place and cells of each record of a CSV file; the place is the line that it begins on."""
    with file.open(encoding="utf-8-sig", newline="") as stream:
        reader, begun = csv.reader(stream), 1
        for cells in reader:
            if cells:
                yield f"{file}:{begun}", cells
            begun = reader.line_num + 1


def csv_rows(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    """The records of a CSV file (or of a folder's) whose first line names at least `columns`. Raises LayoutError."""
    for file in files_of(path, "*.csv"):
        lines = csv_lines(file)
        place, header = next(lines, (f"{file}:1", []))
        if absent := [name for name in columns if name not in header]:
            found = ", ".join(header) or "nothing"
            raise LayoutError(
                f"{place}: expected the columns {', '.join(absent)}, found {found:.200}"
            )
        for place, cells in lines:
            if len(cells) != len(header):
                raise LayoutError(
                    f"{place}: expected {len(header)} cells, found {len(cells)}: {shown(cells)}"
                )
            yield Row(place, dict(zip(header, cells, strict=True)), file)


# --- what bodies are made of ------------------------------------------------------------------------------------------


def identifier(text: object) -> str:
    """A text as a question's id: its letters and digits, runs of anything else as one '_'."""
    return re.sub(r"[^A-Za-z0-9]+", "_", str(text)).strip("_")[:90] or "q"


def one(criterion: str, check: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The scoring of a question that a single check decides."""
    return [{"criterion": criterion, "weight": 100, "checks": [dict(check)]}]
