"""A comparison as text, Markdown or CSV: first the numbers, then what else changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import astuple

from scripts.lib.base.estimates import Comparison, median
from scripts.lib.base.markdown import DASH, number
from scripts.lib.base.output_forms import Form, form
from scripts.lib.base.untrusted_text import csv_text
from scripts.lib.compare.gates import effect_text
from scripts.lib.compare.pairing import KEY_COLUMNS, METRICS, QUALITY, Compared, Row

SIGNIFICANT = 0.05
MOST_CHANGES = 30
HEADERS = ("setup", "cells", "decode t/s", "decode", "TTFT", "passes", "failures")
CSV_COLUMNS = (
    *(*KEY_COLUMNS, "metric", "n", "a", "b", "effect", "effect_low", "effect_high"),
    *("p_value", "p_value_holm", "failures_a", "failures_b"),
)


def _medians(row: Row, metric: str) -> tuple[float | None, float | None]:
    before, after = (median(values) for values in row.pairing.values(metric))
    return (before.value if before else None, after.value if after else None)


def _effect(row: Row, metric: str, unit: str) -> str:
    """The effect as text, with a star if it is significant; a dash if there is none."""
    effect = row.effects[metric]
    if effect is None:
        return DASH
    star = "*" if row.adjusted[metric] < SIGNIFICANT else ""
    return effect_text(unit, effect.estimate) + star


def _passes(row: Row) -> str:
    if row.effects[QUALITY] is None:
        return "unscored"
    before, after = row.passes
    return f"{100 * before:.0f} -> {100 * after:.0f} %: {_effect(row, QUALITY, 'pt')}"


def _cells(row: Row) -> list[str]:
    before, after = _medians(row, "decode_tokens_per_s")
    failures = row.pairing.failures()
    return [
        str(len(row.pairing.pairs)),
        f"{number(before)} -> {number(after)}",
        _effect(row, "decode_tokens_per_s", "%"),
        _effect(row, "ttft_s", "%"),
        _passes(row),
        f"{failures[0]} -> {failures[1]}" if any(failures) else DASH,
    ]


def _listed(changes: Counter[str], shown: Form) -> Iterator[str]:
    for change, cells in changes.most_common(MOST_CHANGES):
        yield f"- {shown.text(change)} ({cells} cells)"
    if len(changes) > MOST_CHANGES:
        yield f"- and {len(changes) - MOST_CHANGES} more"
    if not changes:
        yield "- nothing"


def _unpaired(compared: Compared, shown: Form) -> Iterator[str]:
    """The setups that only one side has, by name."""
    for side, keys in zip("AB", compared.unpaired, strict=True):
        names = ", ".join(map(shown.name, keys[:MOST_CHANGES]))
        more = f" and {len(keys) - MOST_CHANGES} more" if len(keys) > MOST_CHANGES else ""
        if keys:
            yield f"only in {side}, so not compared: {names}{more}"


def _divergences(compared: Compared, shown: Form) -> Iterator[str]:
    """The table of divergences from references, if A has any."""
    if compared.divergences:
        rows = (
            (shown.name(key), DASH if effect is None else effect_text("%", effect.estimate))
            for key, effect in compared.divergences
        )
        yield ""
        yield shown.table(rows, ("configuration", "KL from its reference"))


def report(compared: Compared, markdown: bool) -> str:
    """The whole comparison as text."""
    shown = form(markdown)
    shared, (only_a, only_b) = sum(len(p.pairs) for p in compared.pairings), compared.alone
    lines = [
        *(
            f"{side}: {shown.text(found.name)} ({len(found.items)} cells)"
            for side, found in (("A", compared.a), ("B", compared.b))
        ),
        f"{shared} cells are in both; {only_a} only in A, {only_b} only in B",
        *_unpaired(compared, shown),
        *([f"passes as scored by {compared.scorer.name}"] if compared.scorer is not None else []),
        "",
        shown.table(([shown.name(row.key), *_cells(row)] for row in compared.rows), HEADERS),
        *_divergences(compared, shown),
        "",
        "Effects are B against A on the same questions, with 95 % intervals. A star marks a p-value"
        " below 0.05 after Holm's adjustment over all rows.",
        "",
        "What changed in the specs:",
        *_listed(compared.spec_changes, shown),
        "",
        "What changed in the environments:",
        *_listed(compared.environment_changes, shown),
    ]
    return "\n".join(lines)


def _csv_row(row: Row, metric: str, effect: Comparison) -> tuple[object, ...]:
    values = row.passes if metric == QUALITY else _medians(row, metric)
    e = effect.estimate
    return (
        *(*astuple(row.key), metric, e.clusters, *values, e.value, e.low, e.high),
        *(effect.p_value, row.adjusted[metric], *row.pairing.failures()),
    )


def report_csv(compared: Compared) -> str:
    """One line per setup and metric; effects are ratios B / A, for quality B - A."""
    return csv_text(
        CSV_COLUMNS,
        (
            _csv_row(row, metric, effect)
            for row in compared.rows
            for metric in METRICS
            if (effect := row.effects[metric]) is not None
        ),
    )
