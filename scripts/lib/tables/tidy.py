"""Tidy tables for pandas: answers, setups, workloads, positions in drafts, suites, roles, ….

Rates in tokens per second, times in seconds, shares 0-1; empty if nothing was measured. The
columns are explained in `docs/reference/tables.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

from scripts.lib.base.estimates import Comparison, Estimate, pass_rate
from scripts.lib.base.untrusted_text import csv_text
from scripts.lib.planning.cell_record import Count
from scripts.lib.prompts.types import depth_of
from scripts.lib.results.review_check import Damage
from scripts.lib.results.review_rows import COLUMNS, ReviewRow
from scripts.lib.tables.depths import AtDepth
from scripts.lib.tables.fidelity import Fidelity, FidelityPair
from scripts.lib.tables.profile_part import ProfilePart
from scripts.lib.tables.ranking import RankedSetup, Reduction, unrankable
from scripts.lib.tables.setups import Position, Setup, outcomes, passes
from scripts.lib.tables.variants import VariantEffect

DIGITS = 6

T = TypeVar("T")
# Column name -> its value in a row made of T.
Columns = Mapping[str, Callable[[T], object]]


def _number(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS)


def _estimate(
    name: str, of: Callable[[T], Estimate | None], point: str = ""
) -> dict[str, Callable[[T], object]]:
    """The columns `name` + `point`, `name_low`, `name_high` and `name_n` (number of questions)."""

    def part(attribute: str) -> Callable[[T], object]:
        def value(item: T) -> object:
            found = of(item)
            return None if found is None else _number(getattr(found, attribute))

        return value

    ends = {
        f"{name}{point}": "value",
        f"{name}_low": "low",
        f"{name}_high": "high",
        f"{name}_n": "clusters",
    }
    return {column: part(attribute) for column, attribute in ends.items()}


def _comparison(
    name: str, of: Callable[[T], Comparison | None], point: str = ""
) -> dict[str, Callable[[T], object]]:
    """The columns of an estimate, and `name_p`."""

    def estimate(item: T) -> Estimate | None:
        found = of(item)
        return found.estimate if found is not None else None

    def p_value(item: T) -> object:
        found = of(item)
        return None if found is None else _number(found.p_value)

    return {**_estimate(name, estimate, point), f"{name}_p": p_value}


def _identity(setup: Callable[[T], Setup]) -> dict[str, Callable[[T], object]]:
    return {
        "hardware": lambda item: setup(item).hardware,
        "engine": lambda item: setup(item).engine,
        "model": lambda item: setup(item).model.key,
        "mode": lambda item: setup(item).mode.name,
    }


def _of_answer(column: str) -> Callable[[tuple[Setup, ReviewRow]], object]:
    return lambda item: getattr(item[1], column)


def _text_of_answer(column: str) -> Callable[[tuple[Setup, ReviewRow]], object]:
    """A value of several parts, as text in the form of the review."""
    return lambda item: COLUMNS[column].write(getattr(item[1], column))


LISTS = ("symptoms", "accepted_by_position", "speculators")
CELLS: Columns[tuple[Setup, ReviewRow]] = {
    **_identity(lambda item: item[0]),
    **{column: _of_answer(column) for column in COLUMNS},
    **{column: _text_of_answer(column) for column in LISTS},
    "depth_tokens": lambda item: depth_of(item[1].question_id)[1],
    "workload": lambda item: item[0].workload_of(item[1]),
    "speculates_by_leave": lambda item: item[0].leave,
    "unproved": lambda item: item[0].unproved,
}

MODES: Columns[Setup] = {
    **_identity(lambda c: c),
    "quality_row": lambda c: c.mode.quality_row,
    "cells": lambda c: len(c.rows),
    "planned": lambda c: c.planned,
    "ok": lambda c: len(c.answered),
    "failed": lambda c: len(c.rows) - len(c.answered),
    "passed": lambda c: c.passes.passed,
    "scored": lambda c: c.passes.scored,
    "coverage": lambda c: _number(c.passes.coverage),
    **_estimate("pass_rate", lambda c: c.quality),
    **_estimate("decode_tokens_per_s", lambda c: c.decode, "_median"),
    **_estimate("prefill_tokens_per_s", lambda c: c.prefill, "_median"),
    **_estimate("ttft_s", lambda c: c.ttft, "_median"),
    **_comparison("speed_up", lambda c: c.speed_up, "_median"),
    "drafted_tokens": lambda c: c.drafted,
    "accepted_tokens": lambda c: c.accepted,
    **_estimate("acceptance", lambda c: c.acceptance, "_median"),
    **_estimate("accepted_length", lambda c: c.accepted_length, "_median"),
    "certificate": lambda c: c.certificate.value if c.mode.speculative else "",
    "struck_out": lambda c: c.struck_out,
    "speculates_by_leave": lambda c: c.leave,
    "not_ranked": lambda c: "" if c.mode.speculative else unrankable(c),
    "weights_bytes": lambda c: c.weights_bytes,
    "bytes_per_token": lambda c: round(c.bytes_per_token),
    "memory_gb_per_s": lambda c: c.memory_gb_per_s,
    "peak_rss_bytes": lambda c: c.peak_rss_bytes,
    "load_s": lambda c: c.load_s,
    "warm_up_s": lambda c: c.warm_up_s,
}


# A setup with its answers to one workload alone.
WORKLOADS: Columns[Setup] = {
    **_identity(lambda c: c),
    "speculates_by_leave": lambda c: c.leave,
    "workload": lambda c: c.workload,
    "cells": lambda c: len(c.rows),
    "ok": lambda c: len(c.answered),
    "ended_early": lambda c: c.ended_early,
    "passed": lambda c: c.passes.passed,
    "scored": lambda c: c.passes.scored,
    **_estimate("pass_rate", lambda c: c.quality),
    **_estimate("decode_tokens_per_s", lambda c: c.decode, "_median"),
    **_estimate("prefill_tokens_per_s", lambda c: c.prefill, "_median"),
    **_estimate("ttft_s", lambda c: c.ttft, "_median"),
    **_estimate("speed_up", lambda c: c.speed_up.estimate if c.speed_up else None, "_median"),
    **_estimate("acceptance", lambda c: c.acceptance, "_median"),
    **_estimate("accepted_length", lambda c: c.accepted_length, "_median"),
    "certificate": lambda c: c.certificate.value if c.mode.speculative else "",
    "struck_out": lambda c: c.struck_out,
    "unproved": lambda c: c.unproved,
}

ACCEPTANCE: Columns[Position] = {
    **_identity(lambda p: p.setup),
    "speculates_by_leave": lambda p: p.setup.leave,
    "position": lambda p: p.place,
    "accepted": lambda p: p.accepted,
    "verify_steps": lambda p: p.verify_steps,
    **_estimate("share", lambda p: p.share, "_median"),
}


@dataclass(frozen=True, slots=True)
class SpeculatorRow:
    """What one speculator did in a setup."""

    setup: Setup
    name: str
    count: Count


SPECULATORS: Columns[SpeculatorRow] = {
    **_identity(lambda s: s.setup),
    "speculates_by_leave": lambda s: s.setup.leave,
    "speculator": lambda s: s.name,
    "asked": lambda s: s.count.asked,
    "drafts": lambda s: s.count.drafts,
    "drafted_tokens": lambda s: s.count.drafted_tokens,
    "accepted_tokens": lambda s: s.count.accepted_tokens,
}


@dataclass(frozen=True, slots=True)
class SuiteRow:
    """A quality row's answers in one suite."""

    row: Setup
    suite: str
    answers: tuple[ReviewRow, ...]


SUITES: Columns[SuiteRow] = {
    **_identity(lambda s: s.row),
    "suite": lambda s: s.suite,
    "asked": lambda s: passes(s.answers).asked,
    "scored": lambda s: passes(s.answers).scored,
    "passed": lambda s: passes(s.answers).passed,
    "coverage": lambda s: _number(passes(s.answers).coverage),
    **_estimate("pass_rate", lambda s: pass_rate(outcomes(s.answers))),
    "unproved": lambda s: s.row.unproved,
}


@dataclass(frozen=True, slots=True)
class RoleRow:
    """One candidate of a role: its rank from 1, or why it is not ranked."""

    role: str
    row: Setup
    rank: int | None = None
    found: RankedSetup | None = None
    not_ranked: str = ""


ROLES: Columns[RoleRow] = {
    "role": lambda r: r.role,
    "rank": lambda r: r.rank,
    **_identity(lambda r: r.row),
    "way": lambda r: r.found.way.mode.name if r.found else "",
    "way_speculates_by_leave": lambda r: r.found.way.leave if r.found else "",
    **_estimate("pass_rate", lambda r: r.found.quality if r.found else None),
    **_comparison("versus_best", lambda r: r.found.versus_best if r.found else None),
    **_estimate(
        "way_decode_tokens_per_s", lambda r: r.found.way.decode if r.found else None, "_median"
    ),
    "not_ranked": lambda r: r.not_ranked,
}

REDUCTIONS: Columns[Reduction] = {
    **_identity(lambda r: r.row),
    **_comparison("difference", lambda r: r.difference),
    "verdict": lambda r: r.verdict.value,
    **_comparison("speed_ratio", lambda r: r.speed, "_median"),
    "unproved": lambda r: r.row.unproved,
}

VARIANTS: Columns[VariantEffect] = {
    **_identity(lambda e: e.setup),
    "variant": lambda e: e.setup.mode.variant,
    "changes": lambda e: e.setup.variant.shown_changes if e.setup.variant else "",
    **_comparison("decode_ratio", lambda e: e.decode, "_median"),
    **_comparison("prefill_ratio", lambda e: e.prefill, "_median"),
    **_comparison("quality_difference", lambda e: e.quality),
    "unproved": lambda e: e.setup.unproved,
}

DEPTHS: Columns[AtDepth] = {
    **_identity(lambda d: d.setup),
    "depth_tokens": lambda d: d.depth_tokens,
    "context_tokens": lambda d: round(d.setup.context_tokens),
    "cells": lambda d: len(d.setup.rows),
    "ok": lambda d: len(d.setup.answered),
    **_estimate("decode_tokens_per_s", lambda d: d.setup.decode, "_median"),
    **_comparison("decode_ratio", lambda d: d.ratio, "_median"),
    "predicted_ratio": lambda d: _number(d.predicted_ratio),
    **_estimate("prefill_tokens_per_s", lambda d: d.setup.prefill, "_median"),
    **_estimate("ttft_s", lambda d: d.setup.ttft, "_median"),
    **_comparison("speed_up", lambda d: d.setup.speed_up, "_median"),
    "bytes_per_token": lambda d: round(d.setup.bytes_per_token),
    **_estimate("peak_rss_bytes", lambda d: d.peak_rss_bytes, "_median"),
    "struck_out": lambda d: d.setup.struck_out,
    "speculates_by_leave": lambda d: d.setup.leave,
}


FIDELITY: Columns[Fidelity] = {
    "hardware": lambda f: f.hardware,
    "engine": lambda f: f.engine,
    "model": lambda f: f.model.key,
    "mode": lambda f: f.mode.name,
    "quant": lambda f: f.model.quant,
    "reference": lambda f: f.reference,
    "reference_mode": lambda f: f.reference_mode,
    "weights_bytes": lambda f: f.weights_bytes,
    "blocks": lambda f: f.planned,
    "ok": lambda f: len(f.found),
    "failed": lambda f: len(f.failed),
    "tokens": lambda f: f.tokens,
    **_estimate("kl", lambda f: f.kl, "_mean"),
    **_estimate("kl_of_answers", lambda f: f.kl_of_answers, "_mean"),
    **_estimate("kl_p95", lambda f: f.kl_upper, "_median"),
    "kl_p99": lambda f: _number(f.kl_far_upper),
    "kl_coarse": lambda f: _number(f.coarse),
    "kl_missing": lambda f: _number(f.missing),
    "kl_missing_bound": lambda f: _number(f.bound),
    **_estimate("same_first", lambda f: f.same_first, "_mean"),
    **_estimate("perplexity_ratio", lambda f: f.perplexity_ratio, "_mean"),
    "kl_verdict": lambda f: f.verdict.value,
    "verdict": lambda f: f.together,
    **_estimate("pass_rate", lambda f: f.setup.quality if f.setup else None),
    **_estimate("decode_tokens_per_s", lambda f: f.setup.decode if f.setup else None, "_median"),
}

FIDELITY_PAIRS: Columns[FidelityPair] = {
    "hardware": lambda p: p.new.hardware,
    "engine": lambda p: p.new.engine,
    "reference": lambda p: p.new.reference,
    "reference_mode": lambda p: p.new.reference_mode,
    "model": lambda p: p.new.model.key,
    "mode": lambda p: p.new.mode.name,
    "versus_model": lambda p: p.old.model.key,
    "versus_mode": lambda p: p.old.mode.name,
    **_comparison("kl_ratio", lambda p: p.ratio, "_median"),
}

DAMAGED: Columns[Damage] = {
    "file": lambda d: d.problem.file,
    "place": lambda d: d.problem.place,
    "problem": lambda d: d.problem.message,
    "review": lambda d: d.review,
}


def _speculators(part: ProfilePart) -> Iterator[SpeculatorRow]:
    for c in part.setups:
        yield from (SpeculatorRow(c, name, count) for name, count in c.counts.items())


def _suites(part: ProfilePart) -> Iterator[SuiteRow]:
    for row in part.rows:
        yield from (SuiteRow(row, suite, answers) for suite, answers in row.by_suite.items())


def _roles(part: ProfilePart) -> Iterator[RoleRow]:
    for ranking in part.rankings:
        for rank, found in enumerate(ranking.candidates, start=1):
            yield RoleRow(ranking.role, found.row, rank, found)
        yield from (RoleRow(ranking.role, row, not_ranked=why) for row, why in ranking.unranked)


# Table -> its columns, and its rows on one profile. The names are layout.TABLE_NAMES.
TIDY: Mapping[str, tuple[Columns[Any], Callable[[ProfilePart], Iterable[Any]]]] = MappingProxyType(
    {
        "cells": (CELLS, lambda part: ((c, row) for c in part.setups for row in c.all_rows)),
        "modes": (MODES, lambda part: part.setups),
        "workloads": (
            WORKLOADS,
            lambda part: (on for c in part.setups for on in c.by_workload.values()),
        ),
        "acceptance": (ACCEPTANCE, lambda part: (p for c in part.setups for p in c.positions)),
        "speculators": (SPECULATORS, _speculators),
        "suites": (SUITES, _suites),
        "roles": (ROLES, _roles),
        "reductions": (REDUCTIONS, lambda part: part.reductions),
        "variants": (VARIANTS, lambda part: part.variant_effects),
        "depths": (DEPTHS, lambda part: part.depths),
        "fidelity": (FIDELITY, lambda part: part.fidelities),
        "fidelity_pairs": (FIDELITY_PAIRS, lambda part: part.fidelity_pairs),
        "damaged": (DAMAGED, lambda part: part.damaged),
    }
)


def tidy_csv(name: str, parts: Sequence[ProfilePart]) -> str:
    """One of the tables as CSV text, the parts one after another."""
    columns, rows = TIDY[name]
    items = (item for part in parts for item in rows(part))
    return csv_text(list(columns), ([value(item) for value in columns.values()] for item in items))
