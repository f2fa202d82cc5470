"""Where the archive's own summary.csv says something else than the one made again here, column by column, with the evidence."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from scripts.lib.legacy.rows import LegacyRow
from scripts.lib.tables.setups import SUMMARY_COLUMNS

_SPEED, _VL = SUMMARY_COLUMNS.index("avg_tps"), SUMMARY_COLUMNS.index("vl")


@dataclass(frozen=True, slots=True)
class Difference:
    """One row's two lines as they stand in the files (empty: there is none), the columns that differ, and what ours rest on."""

    model: str
    archive: str
    reproduced: str
    columns: str
    evidence: str


def _lines(summary: str) -> dict[str, str]:
    """Model -> its line, without the header."""
    lines = (line for line in summary.replace("\r\n", "\n").split("\n")[1:] if line.strip())
    return {line.split(",", 1)[0]: line for line in lines}


# Lines that were edited by hand have a remark behind the last column.
_REMARK = "remark"


def _fields(line: str) -> Mapping[str, str]:
    """A line's fields by column, and what stands behind the last. Most lines have no field for `vl`."""
    try:
        fields = next(csv.reader([line]))
    except csv.Error:
        fields = line.split(",")
    if len(fields) == len(SUMMARY_COLUMNS) - 1:
        fields.insert(_VL, "")
    beyond = fields[len(SUMMARY_COLUMNS) :]
    return dict(zip(SUMMARY_COLUMNS, fields, strict=False)) | (
        {_REMARK: ",".join(beyond)} if beyond else {}
    )


def _differing(archive: str, reproduced: str) -> list[str]:
    theirs, ours = _fields(archive), _fields(reproduced)
    differ = [name for name in SUMMARY_COLUMNS if theirs.get(name, "") != ours.get(name, "")]
    return [*differ, *([_REMARK] if _REMARK in theirs else [])]


def _evidence(row: LegacyRow, columns: Sequence[str]) -> Iterator[str]:
    places = [SUMMARY_COLUMNS.index(name) for name in columns if name != _REMARK]
    if any(place < _SPEED for place in places):
        yield (
            f"scores: {row.review.source}"
            if row.review is not None
            else "scores: no review found its run"
        )
    if _SPEED in places:
        yield f"speed: {row.struck or (row.base.source if row.base is not None else 'no run of questions')}"
    if any(place > _SPEED for place in places):
        struck = [
            f"{way.run.config} is struck out ({way.struck})" for way in row.ways if way.struck
        ]
        yield f"modes: {'; '.join(struck)}" if struck else "modes: the latest run of each"
    if _REMARK in columns:
        yield f"{_REMARK}: the archive's line has a field more than there are columns"


def differences(own: str, archives: str, rows: Iterable[LegacyRow]) -> list[Difference]:
    """Every row that is not the same in both. `rows` are those that `own` was made of."""
    before, after, by_label = _lines(archives), _lines(own), {row.label: row for row in rows}
    found = []
    for name in [*after, *(name for name in before if name not in after)]:
        theirs, ours = before.get(name, ""), after.get(name, "")
        if not theirs:
            found.append(Difference(name, "", ours, "", "the archive's summary has no such row"))
        elif not ours:
            found.append(
                Difference(name, theirs, "", "", "no run of questions or speeds here has that name")
            )
        elif theirs != ours:
            columns = _differing(theirs, ours)
            row = by_label.get(name)
            evidence = "; ".join(_evidence(row, columns)) if row is not None else ""
            found.append(Difference(name, theirs, ours, ", ".join(columns), evidence))
    return found
