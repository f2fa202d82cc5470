"""Stored cells that were measured again: how equal the answers are, and how far times drifted.

Drift is the median of the ratios new / stored, paired by cell. Its interval comes from order
statistics (see `estimates`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any

from scripts.lib.base.estimates import Estimate, paired_ratio, pass_rate
from scripts.lib.base.markdown import DASH
from scripts.lib.base.untrusted_text import csv_text
from scripts.lib.planning.cell_record import TIMINGS, CellRecord, Measurement
from scripts.lib.results.certificate import TIE_LOGITS, first_divergence
from scripts.lib.results.states import CellState, Change, State

COLUMNS = (
    "cell",
    "engine",
    "equality",
    "token",
    "gap_logits",
    *(f"{n}_{s}" for n in TIMINGS for s in ("old", "new")),
)


class Equality(StrEnum):
    """How equal two answers are, from best to worst. NOT_REACHED: the run was stopped before."""

    EXACT = "exact"
    NUMERIC_TIE = "numeric tie"
    DIFFERENT = "different"
    FAILED = "failed"
    NOT_REACHED = "not reached"


@dataclass(frozen=True, slots=True)
class Pair:
    """A stored, finished cell and its new measurement (None: there is no new cell).

    `stopped`: the shard's job was stopped from outside or never started. A missing new cell is then
    "not reached", not "failed".
    """

    old: CellRecord
    new: CellRecord | None
    stopped: bool = False

    def _measured(self) -> tuple[Measurement, Measurement] | None:
        old = self.old.measurement
        new = self.new.measurement if self.new is not None and self.new.status == "ok" else None
        return None if old is None or new is None else (old, new)

    @property
    def divergence(self) -> tuple[int, float | None] | None:
        """(index of the first token that differs, gap of the stored answer's two best tokens)."""
        both = self._measured()
        if both is None:
            return None
        token = first_divergence(both[0].token_ids, both[1].token_ids)
        return None if token is None else (token, dict(both[0].close_calls).get(token))

    @property
    def equality(self) -> Equality:
        """How equal the two answers are."""
        if self._measured() is None:
            return Equality.NOT_REACHED if self.new is None and self.stopped else Equality.FAILED
        if self.divergence is None:
            return Equality.EXACT
        gap = self.divergence[1]
        return Equality.NUMERIC_TIE if gap is not None and gap <= TIE_LOGITS else Equality.DIFFERENT

    def timings(self, name: str) -> tuple[float, float] | None:
        """(stored, new) of a timing; None unless both have it."""
        both = self._measured()
        old, new = (getattr(side, name) for side in both) if both else (None, None)
        return (float(old), float(new)) if old and new else None

    def row(self) -> list[object]:
        """The values of COLUMNS."""
        engine = self.old.spec["engine"]["name"]
        row = [str(self.old.cell), engine, self.equality.value, *(self.divergence or (None, None))]
        for name in TIMINGS:
            row += self.timings(name) or (None, None)
        return row


def choose(states: Iterable[CellState], count: int, seed: int) -> tuple[CellState, ...]:
    """A seeded sample of the valid cells that can be run here.

    The order is by hash, so new cells do not change the order of the others.
    """

    def order(state: CellState) -> str:
        return sha256(f"{seed}/{state.shard.name}/{state.cell.digest}".encode()).hexdigest()

    valid = [state for state in states if state.state is State.VALID and state.shard.runnable]
    return tuple(sorted(valid, key=order)[:count])


@dataclass(frozen=True, slots=True)
class Summary:
    """Cells by equality, the share of exact answers, and the drift of each timing."""

    counts: Mapping[Equality, int]
    exact: Estimate | None
    drift: Mapping[str, Estimate]


def summarise(pairs: Sequence[Pair]) -> Summary:
    """Summarise the pairs; the cell is the unit of the statistics."""
    # Cells of two engines share a name, so the digest is part of the key.
    compared: dict[Hashable, Pair] = {
        (str(pair.old.cell), pair.old.digest): pair
        for pair in pairs
        if pair.equality not in (Equality.FAILED, Equality.NOT_REACHED)
    }
    exact = pass_rate({k: [float(p.equality is Equality.EXACT)] for k, p in compared.items()})
    drift: dict[str, Estimate] = {}
    for name in TIMINGS:
        stored: dict[Hashable, list[float]] = {}
        measured: dict[Hashable, list[float]] = {}
        for key, pair in compared.items():
            if both := pair.timings(name):
                stored[key], measured[key] = [both[0]], [both[1]]
        ratio = paired_ratio(measured, stored)
        if ratio is not None:
            drift[name] = ratio.estimate
    return Summary(Counter(pair.equality for pair in pairs), exact, drift)


def _interval(found: Estimate | None, form: str) -> str:
    if found is None:
        return "nothing to compare"
    shown = f"{found.value:{form}}"
    if found.low is None or found.high is None:
        return f"{shown} (n={found.n}: too few for an interval)"
    return f"{shown} ({found.low:{form}}–{found.high:{form}}, n={found.n})"


def _reached(pairs: Sequence[Pair], not_reached: int) -> str:
    """How much of the sample was measured again."""
    if not not_reached:
        return f"{len(pairs)} stored cells were measured again."
    return (
        f"{len(pairs) - not_reached} of {len(pairs)} stored cells were measured again: the run was "
        f"stopped before the other {not_reached}. They do not count as failed, nor in any share or "
        "ratio."
    )


def _environment(pairs: Sequence[Pair], differences: Sequence[Change]) -> str:
    if all(pair.new is None for pair in pairs):
        return "not known, since no cell was measured."
    return f"{len(differences)} fields differ." if differences else "the same."


def to_markdown(title: str, pairs: Sequence[Pair], differences: Sequence[Change]) -> str:
    """The report as a Markdown page."""
    summary = summarise(pairs)
    reached = _reached(pairs, summary.counts.get(Equality.NOT_REACHED, 0))
    lines = [f"# Reproduction {title}", "", reached, ""]
    lines += ["| answers | cells |", "|---|---|"]
    lines += [f"| {kind.value} | {summary.counts.get(kind, 0)} |" for kind in Equality]
    lines += ["", f"Exact: {_interval(summary.exact, '.0%')}.", ""]
    lines += ["| new / stored | median ratio (95 %) |", "|---|---|"]
    lines += [f"| {name} | {_interval(summary.drift.get(name), '.3f')} |" for name in TIMINGS]
    other = [pair for pair in pairs if pair.equality not in (Equality.EXACT, Equality.NOT_REACHED)]
    if other:
        lines += ["", "| cell | answer | first differing token | gap |", "|---|---|---|---|"]
        for pair in other:
            token, gap = pair.divergence or (DASH, None)
            shown = ">= 1" if gap is None else f"{gap:.3f}"
            if pair.equality is Equality.FAILED:
                shown = DASH
            lines.append(f"| `{pair.old.cell}` | {pair.equality.value} | {token} | {shown} |")
    lines += ["", f"Environment: {_environment(pairs, differences)}"]
    lines += [f"- `{change.field}`: {change.old} → {change.new}" for change in differences]
    return "\n".join(lines) + "\n"


def to_csv(pairs: Sequence[Pair]) -> str:
    """One line per pair."""
    return csv_text(COLUMNS, (pair.row() for pair in pairs))


def to_json(pairs: Sequence[Pair], differences: Sequence[Change]) -> dict[str, Any]:
    """The numbers of the report."""

    def values(found: Estimate | None) -> dict[str, Any] | None:
        if found is None:
            return None
        return {"value": found.value, "low": found.low, "high": found.high, "n": found.n}

    summary = summarise(pairs)
    return {
        "cells": len(pairs),
        "answers": {kind.value: summary.counts.get(kind, 0) for kind in Equality},
        "exact": values(summary.exact),
        "drift": {name: values(summary.drift.get(name)) for name in TIMINGS},
        "environment_differs": {change.field: [change.old, change.new] for change in differences},
    }
