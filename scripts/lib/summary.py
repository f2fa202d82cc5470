"""The predecessor's summary.csv: one line per quality row with its speculative speeds, without what physics forbids."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from scripts.lib.foreign_text import csv_text
from scripts.lib.tables import SUITE_ORDER, SUMMARY_COLUMNS, Configuration, passes, quality_rows, ways_of

COLUMNS = (*SUMMARY_COLUMNS, "hardware", "engine")


def _speed(c: Configuration) -> float:
    return c.decode.value if c.decode is not None else 0.0


def _timed(ways: Iterable[Configuration]) -> list[Configuration]:
    return [way for way in ways if way.decode is not None and not way.struck_out]


def _best_and_all(ways: Sequence[Configuration], label: str) -> tuple[str, str]:
    """Best speed, and `k4:11.4,k8:14.4` in the predecessor's way."""
    if not ways:
        return "", ""
    letter = "k" if label == "k" else "n"
    shown = ",".join(f"{letter}{getattr(way.mode, label)}:{_speed(way):.1f}" for way in ways)
    return f"{max(map(_speed, ways)):.1f}", shown


def _of_fastest_draft(ways: Sequence[Configuration]) -> tuple[str, list[Configuration]]:
    """The draft model of the fastest way, and the ways that use it: one sweep is one draft's."""
    if not ways:
        return "", []
    draft = max(ways, key=_speed).mode.draft
    return draft or "", [way for way in ways if way.mode.draft == draft]


def summary_row(row: Configuration, ways: Iterable[Configuration]) -> dict[str, str]:
    """One line; `ways` are the row's speculative and lookup modes."""
    timed, total = _timed(ways), row.passes
    draft, drafted = _of_fastest_draft([m for m in timed if m.mode.draft and m.mode.lookup_n is None])
    _, combined = _of_fastest_draft([m for m in timed if m.mode.draft and m.mode.lookup_n is not None])
    lookup = [m for m in timed if m.mode.draft is None]
    values = {"model": Path(row.model.path).stem + ("" if row.mode.name == "baseline" else f" ({row.mode.name})")}
    for suite in SUITE_ORDER[:8]:
        found = passes(row.by_suite.get(suite, ()))
        values[suite] = f"{found.passed}/{found.scored}" if found.scored else "-"
    values["total"] = f"{total.passed}/{total.scored}"
    values["pct_str"] = f"{100 * total.rate:.0f}%" if total.rate is not None else ""
    values["avg_tps"] = f"{_speed(row):.1f}" if row.decode is not None and not row.struck_out else ""
    values["spec_draft"] = draft
    values["spec_best_tps"], values["spec_k_results"] = _best_and_all(drafted, "k")
    values["lookup_best_tps"], values["lookup_n_results"] = _best_and_all(lookup, "lookup_n")
    values["spec_lookup_best_tps"], values["spec_lookup_results"] = _best_and_all(combined, "k")
    return values | {"hardware": row.hardware, "engine": row.engine}


def summary_csv(configurations: Sequence[Configuration]) -> str:
    """The predecessor's summary.csv with two columns of ours at the end: hardware profile and engine."""
    rows = (summary_row(row, ways_of(row, configurations)) for row in quality_rows(configurations))
    return csv_text(COLUMNS, ([row[name] for name in COLUMNS] for row in rows))
