"""The predecessor's summary.csv: one line per quality row, without impossible speeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from scripts.lib.base.part_names import without_part
from scripts.lib.base.untrusted_text import csv_text
from scripts.lib.planning.modes import Mode
from scripts.lib.tables.setups import (
    SUMMARY_COLUMNS,
    Setup,
    passes,
    quality_rows,
    ways_of,
)

SUITES = SUMMARY_COLUMNS[1:9]
COLUMNS = (*SUMMARY_COLUMNS, "hardware", "engine")


def _combination(mode: Mode) -> str:
    """`draft_k8_n3`: the predecessor's name for a draft model together with prompt lookup."""
    return f"{mode.draft}_k{mode.k}" + (f"_n{mode.lookup_n}" if mode.lookup_n else "")


def _best_and_all(named: Iterable[tuple[str, float]]) -> tuple[str, str]:
    """The best speed, and all of them as `k4:11.4,k8:14.4`."""
    speeds = list(named)
    if not speeds:
        return "", ""
    shown = ",".join(f"{name}:{speed:.1f}" for name, speed in speeds)
    return f"{max(speed for _, speed in speeds):.1f}", shown


def speculation_columns(timed: Iterable[tuple[Mode, float]]) -> tuple[str, ...]:
    """The columns from `spec_draft` on, from tokens per second by mode.

    A sweep over K has one draft model: that of the fastest mode. The predecessor had no heads, and
    no n-gram speculators except prompt lookup, so there are no columns for them.
    """
    ways = [way for way in timed if not way[0].mtp and not way[0].ngram]
    drafted = [way for way in ways if way[0].draft and way[0].lookup_n is None]
    draft = max(drafted, key=lambda way: way[1])[0].draft or "" if drafted else ""
    both = [
        (_combination(mode), speed)
        for mode, speed in ways
        if mode.draft and mode.lookup_n is not None
    ]
    return (
        draft,
        *_best_and_all((f"k{mode.k}", speed) for mode, speed in drafted if mode.draft == draft),
        *_best_and_all((f"n{mode.lookup_n}", speed) for mode, speed in ways if mode.draft is None),
        *_best_and_all(sorted(both, key=lambda named: named[0])),
    )


def _speed(c: Setup) -> float:
    return c.decode.value if c.decode is not None else 0.0


def summary_row(row: Setup, ways: Iterable[Setup]) -> dict[str, str]:
    """One line; `ways` are the row's speculative and lookup modes.

    The total is over the suites that have a column.
    """
    timed = [way for way in ways if way.decode is not None and not way.struck_out]
    total = passes([answer for answer in row.rows if answer.suite in SUITES])
    name = without_part(Path(row.model.path).stem)
    values = {"model": name if row.mode.name == "baseline" else f"{name}_{row.mode.name}"}
    for suite in SUITES:
        found = passes(row.by_suite.get(suite, ()))
        values[suite] = f"{found.passed}/{found.scored}" if found.scored else "-"
    values["total"] = f"{total.passed}/{total.scored}"
    values["pct_str"] = f"{100 * total.rate:.0f}%" if total.rate is not None else ""
    values["avg_tps"] = (
        f"{_speed(row):.1f}" if row.decode is not None and not row.struck_out else ""
    )
    speculation = speculation_columns((way.mode, _speed(way)) for way in timed)
    values |= zip(SUMMARY_COLUMNS[-len(speculation) :], speculation, strict=True)
    return values | {"hardware": row.hardware, "engine": row.engine}


def summary_csv(setups: Sequence[Setup]) -> str:
    """The predecessor's summary.csv and two more columns: hardware profile and engine."""
    rows = (summary_row(row, ways_of(row, setups)) for row in quality_rows(setups))
    return csv_text(COLUMNS, ([row[name] for name in COLUMNS] for row in rows))
