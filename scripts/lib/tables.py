"""Reviews -> tables: one row per configuration (hardware, model, mode) and the predecessor's summary.csv.

Medians of per-cell values; a speed-up is the median of ratios paired by question, never a ratio of means.
"""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from scripts.lib.certificate import Verdict, worst
from scripts.lib.modes import Mode
from scripts.lib.physics import bandwidth_violation, bytes_per_token, speed_up_violation
from scripts.lib.registry_loader import Model
from scripts.lib.review import COLUMNS, ReviewRow, row_texts

SUITE_ORDER = (
    "thinking",
    "general",
    "math",
    "agentic",
    "coder",
    "instruction_precision",
    "long_context",
    "vl",
    "tool_compliance",
)
SUMMARY_COLUMNS = (
    "model",
    *SUITE_ORDER[:8],
    "total",
    "pct_str",
    "avg_tps",
    "spec_draft",
    "spec_best_tps",
    "spec_k_results",
    "lookup_best_tps",
    "lookup_n_results",
    "spec_lookup_best_tps",
    "spec_lookup_results",
)


@dataclass(frozen=True, slots=True)
class Passes:
    """Passed and scored answers (a pass is a score of 2 or 3), answers asked for, and the scored share of weight."""

    passed: int
    scored: int
    asked: int
    coverage: float

    @property
    def rate(self) -> float | None:
        """Share of the scored answers that passed."""
        return self.passed / self.scored if self.scored else None


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, least and greatest of n values."""

    n: int
    median: float
    low: float
    high: float


def spread(values: Iterable[float | None]) -> Spread | None:
    """Median and range of the values that are there; None when none is."""
    found = [value for value in values if value is not None]
    return Spread(len(found), statistics.median(found), min(found), max(found)) if found else None


def passes(rows: Sequence[ReviewRow]) -> Passes:
    """Count passes. A cell whose answer is an error counts as asked and not passed; an unscored one is not counted."""
    scored = [row for row in rows if row.score is not None or row.status == "error"]
    coverage = statistics.fmean(row.coverage for row in rows) if rows else 0.0
    return Passes(sum(row.passed is True for row in rows), len(scored), len(rows), coverage)


@dataclass(frozen=True)
class Configuration:
    """One model in one mode on one hardware profile by one engine, with its reviewed cells.

    The rest is for the physics gate: size of the weights in bytes, experts (all, active), lookup's draft length, and the
    memory's bandwidth in GB/s (None: unknown).
    """

    hardware: str
    engine: str
    model: Model
    mode: Mode
    rows: tuple[ReviewRow, ...]
    planned: int
    weights_bytes: int = 0
    experts: int | None = None
    experts_used: int | None = None
    lookup_draft_tokens: int | None = None
    bandwidth_gb_per_s: float | None = None

    @cached_property
    def answered(self) -> tuple[ReviewRow, ...]:
        return tuple(row for row in self.rows if row.status == "ok")

    @cached_property
    def by_suite(self) -> Mapping[str, tuple[ReviewRow, ...]]:
        names = sorted({row.suite for row in self.rows}, key=_suite_place)
        return {name: tuple(row for row in self.rows if row.suite == name) for name in names}

    @cached_property
    def decode(self) -> Spread | None:
        return spread(row.decode_tokens_per_s for row in self.answered)

    @cached_property
    def ttft(self) -> Spread | None:
        return spread(row.ttft_s for row in self.answered)

    @cached_property
    def prefill(self) -> Spread | None:
        return spread(row.prefill_tokens_per_s for row in self.answered)

    @property
    def certificate(self) -> Verdict:
        """The losslessness verdict of a speculative mode: that of its worst answer."""
        return worst(row.certificate for row in self.rows)

    @property
    def most_drafted(self) -> int | None:
        """The most tokens one step can draft."""
        return max((n for n in (self.mode.k, self.lookup_draft_tokens) if n is not None), default=None)

    @property
    def acceptance(self) -> float | None:
        """Accepted over drafted tokens, over all answers; None when nothing was drafted."""
        drafted = sum(row.drafted_tokens for row in self.answered)
        return sum(row.accepted_tokens for row in self.answered) / drafted if drafted else None

    @property
    def accepted_length(self) -> float | None:
        """Mean number of drafted tokens accepted per verified batch."""
        steps = sum(row.verify_steps for row in self.answered)
        return sum(row.accepted_tokens for row in self.answered) / steps if steps else None


def _suite_place(name: str) -> tuple[int, str]:
    return (SUITE_ORDER.index(name) if name in SUITE_ORDER else len(SUITE_ORDER), name)


def speed_up(mode: Configuration, base: Configuration | None) -> Spread | None:
    """Decode speed against the base mode, as ratios paired by question and repeat."""
    if base is None:
        return None
    speeds = {(r.suite, r.question_id, r.repeat): r.decode_tokens_per_s for r in base.answered}
    ratios = []
    for row in mode.answered:
        reference = speeds.get((row.suite, row.question_id, row.repeat))
        if reference and row.decode_tokens_per_s:
            ratios.append(row.decode_tokens_per_s / reference)
    return spread(ratios)


def struck_out(mode: Configuration, base: Configuration | None) -> str:
    """Why physics forbids this configuration's speed (empty: it does not). Such a number is shown, never ranked."""
    if not mode.mode.speculative:
        if mode.decode is None or mode.bandwidth_gb_per_s is None:
            return ""
        read = bytes_per_token(mode.weights_bytes, mode.experts, mode.experts_used)
        return bandwidth_violation(mode.decode.median, read, mode.bandwidth_gb_per_s * 1e9)
    ratio = speed_up(mode, base)
    return speed_up_violation(ratio.median if ratio else None, mode.most_drafted, mode.accepted_length)


def base_of(mode: Configuration, all_modes: Iterable[Configuration]) -> Configuration | None:
    """The configuration whose answers, and speed, this mode is compared with."""
    for other in all_modes:
        same = (other.hardware, other.engine, other.model.key) == (mode.hardware, mode.engine, mode.model.key)
        if same and other.mode.name == mode.mode.quality_row:
            return other
    return None


def quality_rows(configurations: Iterable[Configuration]) -> list[Configuration]:
    """The rows of the master table: modes that decide what the model answers."""
    return [c for c in configurations if not c.mode.speculative]


def speed_rows(configurations: Iterable[Configuration]) -> list[Configuration]:
    """The speculative and lookup modes: speed columns of their base row."""
    return [c for c in configurations if c.mode.speculative]


def fastest(modes: Iterable[Configuration], base: Configuration | None = None) -> Configuration | None:
    """The mode with the highest median decode speed, of those that physics allows and that are not lossy."""
    timed = [
        mode
        for mode in modes
        if mode.decode is not None and not struck_out(mode, base) and mode.certificate is not Verdict.LOSSY
    ]
    return max(timed, key=lambda mode: mode.decode.median if mode.decode else 0.0, default=None)


def _results(modes: Sequence[Configuration], label: str) -> tuple[str, str]:
    """Best speed, and `k4:11.4,k8:14.4` in the predecessor's way."""
    timed = [(getattr(m.mode, label), m.decode.median) for m in modes if m.decode is not None]
    if not timed:
        return "", ""
    letter = "k" if label == "k" else "n"
    return f"{max(v for _, v in timed):.1f}", ",".join(f"{letter}{at}:{value:.1f}" for at, value in timed)


def summary_row(row: Configuration, speeds: Sequence[Configuration]) -> dict[str, str]:
    """One row of summary.csv, in the predecessor's columns."""
    total = passes(row.rows)
    spec = [m for m in speeds if m.mode.draft and m.mode.lookup_n is None]
    combined = [m for m in speeds if m.mode.draft and m.mode.lookup_n is not None]
    lookup = [m for m in speeds if m.mode.draft is None]
    best = fastest(spec, row)
    values = {"model": Path(row.model.path).stem + ("" if row.mode.name == "baseline" else f" ({row.mode.name})")}
    for suite in SUITE_ORDER[:8]:
        found = passes(row.by_suite.get(suite, ()))
        values[suite] = f"{found.passed}/{found.scored}" if found.scored else "-"
    values["total"] = f"{total.passed}/{total.scored}"
    values["pct_str"] = f"{100 * total.rate:.0f}%" if total.rate is not None else ""
    values["avg_tps"] = f"{row.decode.median:.1f}" if row.decode else ""
    values["spec_draft"] = (best.mode.draft or "") if best else ""
    values["spec_best_tps"], values["spec_k_results"] = _results(spec, "k")
    values["lookup_best_tps"], values["lookup_n_results"] = _results(lookup, "lookup_n")
    values["spec_lookup_best_tps"], values["spec_lookup_results"] = _results(combined, "k")
    return values


def summary_csv(configurations: Sequence[Configuration]) -> str:
    """The predecessor's summary.csv with two columns of ours at the end: hardware profile and engine."""
    out = io.StringIO()
    writer = csv.DictWriter(out, (*SUMMARY_COLUMNS, "hardware", "engine"), lineterminator="\n")
    writer.writeheader()
    for row in quality_rows(configurations):
        speeds = [m for m in speed_rows(configurations) if base_of(m, [row]) is row]
        writer.writerow(summary_row(row, speeds) | {"hardware": row.hardware, "engine": row.engine})
    return out.getvalue()


def mode_row(c: Configuration, base: Configuration | None) -> dict[str, object]:
    """One configuration as a tidy row (rates in tokens per second, times in seconds); empty where nothing was measured."""
    ratio, total = speed_up(c, base), passes(c.rows)
    return {
        "hardware": c.hardware,
        "engine": c.engine,
        "model": c.model.key,
        "mode": c.mode.name,
        "quality_row": c.mode.quality_row,
        "cells": len(c.rows),
        "planned": c.planned,
        "ok": len(c.answered),
        "failed": sum(row.status != "ok" for row in c.rows),
        "passed": total.passed,
        "scored": total.scored,
        "coverage": _number(total.coverage),
        "decode_tokens_per_s_median": _part(c.decode, "median"),
        "decode_tokens_per_s_low": _part(c.decode, "low"),
        "decode_tokens_per_s_high": _part(c.decode, "high"),
        "prefill_tokens_per_s_median": _part(c.prefill, "median"),
        "ttft_s_median": _part(c.ttft, "median"),
        "speed_up_median": _part(ratio, "median") if c.mode.speculative else "",
        "speed_up_n": ratio.n if ratio is not None and c.mode.speculative else 0,
        "drafted_tokens": sum(row.drafted_tokens for row in c.rows),
        "accepted_tokens": sum(row.accepted_tokens for row in c.rows),
        "acceptance": _number(c.acceptance),
        "accepted_length": _number(c.accepted_length),
        "certificate": c.certificate.value if c.mode.speculative else "",
        "struck_out": struck_out(c, base),
        "peak_rss_bytes": max((row.peak_rss_bytes for row in c.rows), default=0),
        "load_s": max((row.load_s for row in c.rows), default=0.0),
    }


def modes_csv(configurations: Sequence[Configuration]) -> str:
    """Every configuration as one tidy row, for pandas."""
    rows = [mode_row(c, base_of(c, configurations)) for c in configurations]
    out = io.StringIO()
    if rows:
        writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return out.getvalue()


def cells_csv(configurations: Sequence[Configuration]) -> str:
    """Every reviewed cell as one tidy row: the reviews joined, with hardware, model and mode."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("hardware", "engine", "model", "mode", *COLUMNS))
    for c in configurations:
        writer.writerows((c.hardware, c.engine, c.model.key, c.mode.name, *row_texts(row)) for row in c.rows)
    return out.getvalue()


def _part(value: Spread | None, part: str) -> str:
    return "" if value is None else f"{getattr(value, part):.4f}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
