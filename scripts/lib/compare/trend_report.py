"""Trends as text for the terminal, as Markdown, and as CSV."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple

from scripts.lib.base.markdown import DASH
from scripts.lib.base.output_forms import form
from scripts.lib.base.untrusted_text import csv_text
from scripts.lib.compare.gates import Gate, effect_text
from scripts.lib.compare.pairing import KEY_COLUMNS, QUALITY, Key
from scripts.lib.compare.trends import CHANGES, Point

BARS = "▁▂▃▄▅▆▇█"
MOST_CHANGES = 5
CSV_COLUMNS = (
    *(*KEY_COLUMNS, "run_id", "metric", "n", "value", "value_low", "value_high"),
    *("effect", "effect_low", "effect_high", "effect_n", "mark", "changed"),
)


def by_key(points: Iterable[Point]) -> dict[Key, list[Point]]:
    """Setup -> its points, oldest first."""
    found: dict[Key, list[Point]] = {}
    for point in points:
        found.setdefault(point.key, []).append(point)
    return found


def sparkline(values: Sequence[float]) -> str:
    """The values as bars from the least to the greatest; a flat line if they are equal."""
    low, high = min(values), max(values)
    if high == low:
        return BARS[len(BARS) // 2] * len(values)
    return "".join(BARS[round((value - low) / (high - low) * (len(BARS) - 1))] for value in values)


def _number(gate: Gate, value: float) -> str:
    if gate.metric == QUALITY:
        return f"{100 * value:.0f} %"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def _effect(gate: Gate, point: Point) -> str:
    return DASH if point.effect is None else effect_text(gate.unit, point.effect)


def overview(points: Sequence[Point], gate: Gate, markdown: bool) -> str:
    """One line per setup: runs, first and last value, the trend, and how often it changed."""
    shown = form(markdown)
    rows = []
    for key, found in by_key(points).items():
        marks = [sum(point.mark is mark for point in found) or DASH for mark in CHANGES]
        ends = f"{_number(gate, found[0].value.value)} -> {_number(gate, found[-1].value.value)}"
        trend = sparkline([point.value.value for point in found])
        rows.append([shown.name(key), len(found), ends, trend, *marks])
    headers = ("setup", "runs", gate.metric, "trend", "regressions", "improvements")
    return shown.table(rows, headers)


def every_run(points: Sequence[Point], gate: Gate, markdown: bool) -> str:
    """One line per setup and run."""
    shown = form(markdown)
    rows = []
    for p in points:
        value = _number(gate, p.value.value)
        names = shown.name(p.key), shown.name(p.run_id)
        rows.append([*names, p.value.clusters, value, _effect(gate, p), p.mark or DASH])
    return shown.table(rows, ("setup", "run", "n", gate.metric, "against the runs before", ""))


def change_lines(points: Sequence[Point], gate: Gate, markdown: bool) -> list[str]:
    """Each change point: which run, by how much, and what else changed in that run."""
    text = form(markdown).text
    lines = []
    for point in points:
        if point.mark not in CHANGES:
            continue
        where = f"{text(point.key)} in run {text(point.run_id)}"
        lines.append(f"- {point.mark}: {where}: {gate.metric} {_effect(gate, point)}")
        for change, cells in point.changed[:MOST_CHANGES]:
            lines.append(f"  - {text(change)} ({cells} cells)")
        if len(point.changed) > MOST_CHANGES:
            lines.append(f"  - and {len(point.changed) - MOST_CHANGES} more changes")
        if not point.changed:
            lines.append("  - no change in spec or environment")
    return lines or ["- none"]


def trends_csv(points: Sequence[Point], gate: Gate) -> str:
    """One line per setup and run; effects are ratios, or differences of the pass rate."""
    return csv_text(CSV_COLUMNS, (_csv_row(point, gate) for point in points))


def _csv_row(p: Point, gate: Gate) -> tuple[object, ...]:
    v, e = p.value, p.effect
    effect = (None,) * 4 if e is None else (e.value, e.low, e.high, e.clusters)
    changed = "; ".join(change for change, _ in p.changed)
    return (
        *(*astuple(p.key), p.run_id, gate.metric, v.clusters, v.value, v.low, v.high),
        *(*effect, p.mark.value, changed),
    )
