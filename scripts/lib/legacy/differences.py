"""Compares the archive's own summary.csv with the one made here, column by column."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from scripts.lib.legacy.rows import LegacyRow
from scripts.lib.tables.setups import SUMMARY_COLUMNS

_SPEED, _VL = SUMMARY_COLUMNS.index("avg_tps"), SUMMARY_COLUMNS.index("vl")
# Lines that were edited by hand have a remark behind the last column.
_REMARK = "remark"


@dataclass(frozen=True, slots=True)
class Difference:
    """One row in both files (empty: not there), the columns that differ, and the evidence."""

    model: str
    archive: str
    reproduced: str
    columns: str
    evidence: str


def _lines(summary: str) -> dict[str, str]:
    """Model -> its line, without the header."""
    lines = (line for line in summary.replace("\r\n", "\n").split("\n")[1:] if line.strip())
    return {line.split(",", 1)[0]: line for line in lines}


def _fields(line: str) -> Mapping[str, str]:
    """A line's fields by column, and the remark behind them. Most lines have no field for `vl`."""
    try:
        fields = next(csv.reader([line]))
    except csv.Error:
        fields = line.split(",")
    if len(fields) == len(SUMMARY_COLUMNS) - 1:
        fields.insert(_VL, "")
    beyond = fields[len(SUMMARY_COLUMNS) :]
    remark = {_REMARK: ",".join(beyond)} if beyond else {}
    return dict(zip(SUMMARY_COLUMNS, fields, strict=False)) | remark


def _differing(archive: str, reproduced: str) -> list[str]:
    theirs, ours = _fields(archive), _fields(reproduced)
    differ = [name for name in SUMMARY_COLUMNS if theirs.get(name, "") != ours.get(name, "")]
    return [*differ, *([_REMARK] if _REMARK in theirs else [])]


def _evidence(row: LegacyRow, columns: Sequence[str]) -> Iterator[str]:
    places = [SUMMARY_COLUMNS.index(name) for name in columns if name != _REMARK]
    if any(place < _SPEED for place in places):
        found = row.review.source if row.review is not None else "no review of its run was found"
        yield f"scores: {found}"
    if _SPEED in places:
        source = row.base.source if row.base is not None else "no run with questions"
        yield f"speed: {row.struck or source}"
    if any(place > _SPEED for place in places):
        struck = [f"{w.run.config} is struck out ({w.struck})" for w in row.ways if w.struck]
        yield f"modes: {'; '.join(struck) or 'the latest run of each'}"
    if _REMARK in columns:
        yield f"{_REMARK}: the archive's line has more fields than there are columns"


def differences(own: str, archives: str, rows: Iterable[LegacyRow]) -> list[Difference]:
    """Every row that is not the same in both tables. `own` was made of `rows`."""
    before, after, by_label = _lines(archives), _lines(own), {row.label: row for row in rows}
    found = []
    for name in after | before:
        theirs, ours = before.get(name, ""), after.get(name, "")
        if theirs == ours:
            continue
        columns = []
        if not theirs:
            evidence = "the archive's summary has no such row"
        elif not ours:
            evidence = "no run in the archive has that name"
        else:
            columns = _differing(theirs, ours)
            evidence = "; ".join(_evidence(by_label[name], columns)) if name in by_label else ""
        found.append(Difference(name, theirs, ours, ", ".join(columns), evidence))
    return found
