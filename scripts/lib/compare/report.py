"""A comparison as a table for the terminal, Markdown or CSV: numbers first, then what changed beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from tabulate import tabulate

from scripts.lib.base.estimates import Comparison, median
from scripts.lib.base.markdown import DASH, code, number
from scripts.lib.base.markdown import text as markdown_text
from scripts.lib.base.untrusted_text import csv_text, one_line
from scripts.lib.compare.gates import effect_text
from scripts.lib.compare.pairing import QUALITY, RATIO_METRICS, Compared, Row

SIGNIFICANT = 0.05
MOST_CHANGES = 30
CSV_COLUMNS = (
    *(
        "hardware",
        "engine",
        "model",
        "mode",
        "metric",
        "n",
        "a",
        "b",
        "effect",
        "effect_low",
        "effect_high",
    ),
    *("p_value", "p_value_holm", "failures_a", "failures_b"),
)


def _medians(row: Row, metric: str) -> tuple[float | None, float | None]:
    before, after = (median(values) for values in row.pairing.values(metric))
    return (before.value if before else None, after.value if after else None)


def _ratio_text(row: Row, metric: str) -> str:
    effect = row.ratios[metric]
    if effect is None:
        return DASH
    star = "*" if row.adjusted.get(metric, 1.0) < SIGNIFICANT else ""
    return effect_text("%", effect.estimate) + star


def _quality_text(row: Row) -> str:
    if row.quality is None:
        return "unscored"
    before, after, _ = row.passes
    star = "*" if row.adjusted.get(QUALITY, 1.0) < SIGNIFICANT else ""
    return f"{100 * before:.0f} -> {100 * after:.0f} %: {effect_text('pt', row.quality.estimate)}{star}"


def _cells(row: Row) -> list[str]:
    before, after = _medians(row, "decode_tokens_per_s")
    failures = row.pairing.failures()
    return [
        str(len(row.pairing.pairs)),
        f"{number(before)} -> {number(after)}",
        _ratio_text(row, "decode_tokens_per_s"),
        _ratio_text(row, "ttft_s"),
        _quality_text(row),
        f"{failures[0]} -> {failures[1]}" if any(failures) else DASH,
    ]


HEADERS = ("setup", "cells", "decode t/s", "decode", "TTFT", "passes", "failures")


def spec_changes(compared: Compared) -> Counter[str]:
    """Changed fields of the specs over all rows, with the number of cells."""
    found: Counter[str] = Counter()
    for pairing in compared.pairings:
        found.update(pairing.changes())
    return found


def _listed(changes: Counter[str], show: Callable[[object], str]) -> Iterator[str]:
    for change, cells in changes.most_common(MOST_CHANGES):
        yield f"- {show(change)} ({cells} cells)"
    if len(changes) > MOST_CHANGES:
        yield f"- and {len(changes) - MOST_CHANGES} more"
    if not changes:
        yield "- nothing"


def _unpaired(compared: Compared, show: Callable[[object], str]) -> Iterator[str]:
    """The setups that only one side has, by name."""
    for side, keys in zip("AB", compared.unpaired, strict=True):
        more = f" and {len(keys) - MOST_CHANGES} more" if len(keys) > MOST_CHANGES else ""
        if keys:
            yield f"not compared, without a cell in both, of {side}: {', '.join(map(show, keys[:MOST_CHANGES]))}{more}"


def report(compared: Compared, markdown: bool) -> str:
    """The whole comparison as text."""
    show = markdown_text if markdown else one_line
    rows = [
        [code(row.key) if markdown else one_line(row.key), *_cells(row)] for row in compared.rows
    ]
    form = "pipe" if markdown else "simple"
    shared, (only_a, only_b) = sum(len(p.pairs) for p in compared.pairings), compared.alone
    lines = [
        *(
            f"{side}: {show(found.name)} ({len(found.items)} cells)"
            for side, found in (("A", compared.a), ("B", compared.b))
        ),
        f"{shared} cells are in both; {only_a} only in A, {only_b} only in B",
        *_unpaired(compared, code if markdown else one_line),
        *([f"passes by {compared.scorer.name}"] if compared.scorer is not None else []),
        "",
        tabulate(rows, HEADERS, tablefmt=form, disable_numparse=True),
        "",
        "Effects are B against A on the same questions, with 95 % intervals; * where Holm's p-value over all rows is < 0.05.",
        "",
        "What changed in the specs:",
        *_listed(spec_changes(compared), show),
        "",
        "What changed in the environments:",
        *_listed(compared.environment_changes, show),
    ]
    return "\n".join(lines)


def _csv_row(
    row: Row, metric: str, effect: Comparison, values: tuple[float | None, float | None]
) -> tuple[object, ...]:
    e, key = effect.estimate, row.key
    return (
        key.hardware, key.engine, key.model, key.mode, metric, e.clusters, *values, e.value, e.low, e.high,
        effect.p_value, row.adjusted.get(metric), *row.pairing.failures(),
    )  # fmt: skip


def report_csv(compared: Compared) -> str:
    """One line per setup and metric; ratios are B over A, quality is B minus A."""
    lines = []
    for row in compared.rows:
        for metric in (*RATIO_METRICS, QUALITY):
            effect = row.effect(metric)
            if effect is not None:
                values = row.passes[:2] if metric == QUALITY else _medians(row, metric)
                lines.append(_csv_row(row, metric, effect, values))
    return csv_text(CSV_COLUMNS, lines)
