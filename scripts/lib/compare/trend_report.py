"""Trends for the terminal, as Markdown, and as CSV."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tabulate import tabulate

from scripts.lib.base.markdown import DASH, code
from scripts.lib.base.markdown import text as markdown_text
from scripts.lib.base.untrusted_text import csv_text, one_line
from scripts.lib.compare.gates import Gate, effect_text
from scripts.lib.compare.pairing import QUALITY, Key
from scripts.lib.compare.trends import Mark, Point

BARS = "▁▂▃▄▅▆▇█"
MOST_CHANGES = 5
CHANGES = (Mark.REGRESSION, Mark.IMPROVEMENT)
CSV_COLUMNS = (
    *(
        "hardware",
        "engine",
        "model",
        "mode",
        "run_id",
        "metric",
        "n",
        "value",
        "value_low",
        "value_high",
    ),
    *("effect", "effect_low", "effect_high", "effect_n", "mark", "changed"),
)


def by_key(points: Iterable[Point]) -> dict[Key, list[Point]]:
    """Setup -> its points, oldest first."""
    found: dict[Key, list[Point]] = {}
    for point in points:
        found.setdefault(point.key, []).append(point)
    return found


def sparkline(values: Sequence[float]) -> str:
    """The values as bars between the least and the greatest; a flat line where they are equal."""
    low, high = min(values), max(values)
    if high == low:
        return BARS[len(BARS) // 2] * len(values)
    return "".join(BARS[round((value - low) / (high - low) * (len(BARS) - 1))] for value in values)


def _number(gate: Gate, value: float) -> str:
    return (
        f"{100 * value:.0f} %"
        if gate.metric == QUALITY
        else f"{value:.2f}"
        if value < 10
        else f"{value:.1f}"
    )


def _effect(gate: Gate, point: Point) -> str:
    return DASH if point.effect is None else effect_text(gate.unit, point.effect)


def overview(points: Sequence[Point], gate: Gate, markdown: bool) -> str:
    """One line per setup: runs, first and last value, the trend, and how often it changed."""
    rows = []
    for key, found in by_key(points).items():
        marks = [sum(point.mark is mark for point in found) or DASH for mark in CHANGES]
        ends = f"{_number(gate, found[0].value.value)} -> {_number(gate, found[-1].value.value)}"
        trend = sparkline([point.value.value for point in found])
        rows.append([code(key) if markdown else one_line(key), len(found), ends, trend, *marks])
    headers = ("setup", "runs", gate.metric, "trend", "regressions", "improvements")
    return tabulate(rows, headers, tablefmt="pipe" if markdown else "simple", disable_numparse=True)


def every_run(points: Sequence[Point], gate: Gate, markdown: bool) -> str:
    """One line per setup and run."""
    show = code if markdown else one_line
    rows = [
        [
            show(p.key),
            show(p.run_id),
            p.value.clusters,
            _number(gate, p.value.value),
            _effect(gate, p),
            p.mark or DASH,
        ]
        for p in points
    ]
    headers = ("setup", "run", "n", gate.metric, "against the runs before", "")
    return tabulate(rows, headers, tablefmt="pipe" if markdown else "simple", disable_numparse=True)


def change_lines(points: Sequence[Point], gate: Gate, markdown: bool) -> list[str]:
    """Each change point: the run that brought it, by how much, and what else changed in that run."""
    show = markdown_text if markdown else one_line
    lines = []
    for point in points:
        if point.mark in CHANGES:
            lines.append(
                f"- {point.mark}: {show(point.key)} in run {show(point.run_id)}: {gate.metric} {_effect(gate, point)}"
            )
            lines += [
                f"  - {show(change)} ({cells} cells)"
                for change, cells in point.changed[:MOST_CHANGES]
            ]
            if len(point.changed) > MOST_CHANGES:
                lines.append(f"  - and {len(point.changed) - MOST_CHANGES} more changes")
            if not point.changed:
                lines.append("  - nothing changed in spec and environment")
    return lines or ["- none"]


def trends_csv(points: Sequence[Point], gate: Gate) -> str:
    """One line per setup and run; effects are ratios to the runs before, or differences of the pass rate."""
    return csv_text(CSV_COLUMNS, (_csv_row(point, gate) for point in points))


def _csv_row(p: Point, gate: Gate) -> tuple[object, ...]:
    effect = (
        (p.effect.value, p.effect.low, p.effect.high, p.effect.clusters)
        if p.effect is not None
        else (None,) * 4
    )
    changed = "; ".join(change for change, _ in p.changed)
    return (
        p.key.hardware, p.key.engine, p.key.model, p.key.mode, p.run_id, gate.metric, p.value.clusters,
        p.value.value, p.value.low, p.value.high, *effect, p.mark.value, changed,
    )  # fmt: skip
