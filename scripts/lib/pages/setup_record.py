"""What report.html says of a setup's record: its settings, what the engine reported, its guards."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.lib.base.errors import BenchError
from scripts.lib.results.symptoms import Symptom
from scripts.lib.tables.setups import Setup

# Parts of a spec that are about the question, which its answer shows.
_OF_THE_QUESTION = ("prompt", "repeat")
VARIES = "differs between its cells"


@dataclass
class LinePool:
    """Lines of records, [name, value]: each stored once and named by its index."""

    lines: list[list[str]] = field(default_factory=list)
    _places: dict[tuple[str, str], int] = field(default_factory=dict)

    def add(self, name: str, value: str) -> int:
        """The index of a line."""
        if (name, value) not in self._places:
            self._places[name, value] = len(self.lines)
            self.lines.append([name, value])
        return self._places[name, value]


def read_cell_file(file: str) -> Mapping[str, Any]:
    """A stored cell as JSON. Its seal was checked when its review was read.

    Raises BenchError for a cell that cannot be read or lacks a part that the report shows.
    """
    try:
        cell: dict[str, Any] = json.loads(Path(file).read_bytes())
        if cell["measurement"] is not None:
            _ = cell["measurement"]["answer"]
        if not all(isinstance(cell[part], dict) for part in ("spec", "effective")):
            raise ValueError("expected a mapping in spec and effective")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BenchError(f"{file}: cannot be read ({error}); run: snakemake -j8 results") from error
    return cell


def setup_record(
    c: Setup, cells: Sequence[Mapping[str, Any]], pool: LinePool
) -> dict[str, list[int]]:
    """The setup's lines by section, as indices in the pool. A value that differs is named so."""
    settings = [
        {key: value for key, value in cell["spec"].items() if key not in _OF_THE_QUESTION}
        for cell in cells
    ]
    return {
        "guards": [pool.add(*line) for line in _guards(c)],
        "settings": [pool.add(*line) for line in _common(settings)],
        "effective": [pool.add(*line) for line in _common([cell["effective"] for cell in cells])],
    }


def _common(records: Sequence[Mapping[str, Any]], prefix: str = "") -> Iterator[tuple[str, str]]:
    """(name, value) of each value in nested mappings, the names joined by dots."""
    for key in sorted({key for record in records for key in record}):
        values = [record.get(key) for record in records]
        name = f"{prefix}{key}"
        if all(value == values[0] for value in values[1:]):
            if isinstance(values[0], Mapping) and values[0]:
                yield from _common([values[0]], f"{name}.")
            else:
                yield name, _shown(values[0])
        elif all(isinstance(value, Mapping) for value in values):
            yield from _common([value for value in values if value], f"{name}.")
        else:
            yield name, VARIES


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _guards(c: Setup) -> Iterator[tuple[str, str]]:
    """What was checked of the setup, and what came out."""
    count = len(c.rows)
    failed = [row for row in c.rows if Symptom.GUARD in row.symptoms]
    crashed = sum(Symptom.CRASH in row.symptoms for row in c.rows)
    proved = f"yes, in all of {count} cells"
    if failed:
        proved = f"no, in {len(failed)} of {count} cells: {failed[0].error}"
    yield "the engine ran as mode and profile ask", proved
    yield "errors of the engine", f"{crashed} of {count} cells"
    yield "the speed is possible", f"no: {c.struck_out}" if c.struck_out else "yes"
    if c.mode.speculative:
        yield "its answers against its base's", c.certificate.value or "not compared"
        yield "questions that fail only in this mode", str(c.breaks)
    if c.leave:
        yield "speculates because the registry allows it", c.leave
