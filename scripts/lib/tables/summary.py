"""The predecessor's summary.csv: one line per quality row, with its possible speculative speeds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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


def _speed(c: Setup) -> float:
    return c.decode.value if c.decode is not None else 0.0


def best_and_all(speeds: Sequence[tuple[str, float]]) -> tuple[str, str]:
    """Best speed, and all of them as `k4:11.4,k8:14.4`, in the predecessor's way."""
    if not speeds:
        return "", ""
    best = max(speed for _, speed in speeds)
    return f"{best:.1f}", ",".join(f"{name}:{speed:.1f}" for name, speed in speeds)


def combination(mode: Mode) -> str:
    """`draft_k8_n3`: the predecessor's name of a draft model and prompt lookup together."""
    return f"{mode.draft}_k{mode.k}" + (f"_n{mode.lookup_n}" if mode.lookup_n else "")


def _named(ways: Iterable[Setup], name: Callable[[Mode], str]) -> tuple[str, str]:
    return best_and_all([(name(way.mode), _speed(way)) for way in ways])


def _of_fastest_draft(ways: Sequence[Setup]) -> tuple[str, list[Setup]]:
    """The draft model of the fastest way, and the ways that use it: a sweep has one draft model."""
    if not ways:
        return "", []
    draft = max(ways, key=_speed).mode.draft
    return draft or "", [way for way in ways if way.mode.draft == draft]


def summary_row(row: Setup, ways: Iterable[Setup]) -> dict[str, str]:
    """One line; `ways` are the row's speculative and lookup modes. The total is over SUITES."""
    total = passes([answer for answer in row.rows if answer.suite in SUITES])
    timed = [way for way in ways if way.decode is not None and not way.struck_out]
    with_draft = [way for way in timed if way.mode.draft]
    lookup = [way for way in timed if way.mode.draft is None]
    both = [way for way in with_draft if way.mode.lookup_n is not None]
    draft, drafted = _of_fastest_draft([way for way in with_draft if way.mode.lookup_n is None])
    name = without_part(Path(row.model.path).stem)
    values = {"model": name if row.mode.name == "baseline" else f"{name}_{row.mode.name}"}
    for suite in SUITES:
        found = passes(row.by_suite.get(suite, ()))
        values[suite] = f"{found.passed}/{found.scored}" if found.scored else "-"
    values["total"] = f"{total.passed}/{total.scored}"
    values["pct_str"] = f"{100 * total.rate:.0f}%" if total.rate is not None else ""
    values["avg_tps"] = f"{_speed(row):.1f}" if row.decode and not row.struck_out else ""
    values["spec_draft"] = draft
    values["spec_best_tps"], values["spec_k_results"] = _named(drafted, lambda mode: f"k{mode.k}")
    values["lookup_best_tps"], values["lookup_n_results"] = _named(
        lookup, lambda mode: f"n{mode.lookup_n}"
    )
    both.sort(key=lambda way: combination(way.mode))
    values["spec_lookup_best_tps"], values["spec_lookup_results"] = _named(both, combination)
    return values | {"hardware": row.hardware, "engine": row.engine}


def summary_csv(setups: Sequence[Setup]) -> str:
    """The predecessor's summary.csv, with hardware profile and engine as two more columns."""
    rows = (summary_row(row, ways_of(row, setups)) for row in quality_rows(setups))
    return csv_text(COLUMNS, ([row[name] for name in COLUMNS] for row in rows))
