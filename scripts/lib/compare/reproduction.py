"""Is it reproducible? Stored cells measured again: are the answers the same, and how far did the times drift?

Drift is the median of ratios new / stored, paired by cell, with the interval of `statistics` (order
statistics: simulated to hold 94-95 % from 6 cells on, where a bootstrap of a median holds 85-93 %).
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any

from scripts.lib.base.estimates import Estimate, paired_ratio, pass_rate
from scripts.lib.planning.cell_record import CellRecord, Measurement
from scripts.lib.results.certificate import TIE_LOGITS, first_divergence
from scripts.lib.results.states import CellState, Change, State

# Field of a measurement -> what more of it means.
TIMINGS = ("decode_tokens_per_s", "prefill_tokens_per_s", "ttft_s")
COLUMNS = (
    "cell",
    "engine",
    "equality",
    "token",
    "gap_logits",
    *(f"{n}_{s}" for n in TIMINGS for s in ("old", "new")),
)


class Equality(StrEnum):
    """From best to worst; the last says nothing of a cell: the run was stopped before it."""

    EXACT = "exact"
    NUMERIC_TIE = "numeric tie"
    DIFFERENT = "different"
    FAILED = "failed"
    NOT_REACHED = "not reached"


@dataclass(frozen=True, slots=True)
class Pair:
    """A stored cell and the one measured beside it (None: that never came). `old` is a finished one.

    `stopped`: the shard's job was stopped from outside, or never started, so that a cell that is
    missing is not a failed one.
    """

    old: CellRecord
    new: CellRecord | None
    stopped: bool = False

    def _measured(self) -> tuple[Measurement, Measurement] | None:
        if (
            self.old.measurement is None
            or self.new is None
            or self.new.status != "ok"
            or self.new.measurement is None
        ):
            return None
        return self.old.measurement, self.new.measurement

    @property
    def divergence(self) -> tuple[int, float | None] | None:
        """(index of the first other token, the stored answer's gap between its two best tokens there)."""
        both = self._measured()
        token = first_divergence(both[0].token_ids, both[1].token_ids) if both else None
        return (
            None if both is None or token is None else (token, dict(both[0].close_calls).get(token))
        )

    @property
    def equality(self) -> Equality:
        if self._measured() is None:
            return Equality.NOT_REACHED if self.new is None and self.stopped else Equality.FAILED
        if self.divergence is None:
            return Equality.EXACT
        gap = self.divergence[1]
        return Equality.NUMERIC_TIE if gap is not None and gap <= TIE_LOGITS else Equality.DIFFERENT

    def timings(self, name: str) -> tuple[float, float] | None:
        """(stored, new) of a timing, where both have it."""
        both = self._measured()
        old, new = (getattr(both[0], name), getattr(both[1], name)) if both else (None, None)
        return (float(old), float(new)) if old and new else None

    def row(self) -> dict[str, Any]:
        token, gap = self.divergence or (None, None)
        engine = self.old.spec["engine"]["name"]
        row = dict.fromkeys(COLUMNS, None) | {
            "cell": str(self.old.cell),
            "engine": engine,
            "token": token,
        }
        row |= {"equality": self.equality.value, "gap_logits": gap}
        for name in TIMINGS:
            for side, value in zip(("old", "new"), self.timings(name) or (None, None), strict=True):
                row[f"{name}_{side}"] = value
        return row


def choose(states: Iterable[CellState], count: int, seed: int) -> tuple[CellState, ...]:
    """A seeded sample of the valid cells that can be run here; the order is by hash, so it is stable when cells are added."""

    def order(state: CellState) -> str:
        return sha256(f"{seed}/{state.shard.name}/{state.cell.digest}".encode()).hexdigest()

    valid = [state for state in states if state.state is State.VALID and state.shard.runnable]
    return tuple(sorted(valid, key=order)[:count])


@dataclass(frozen=True, slots=True)
class Summary:
    """The claim as numbers: answers by equality, the share of exact ones, and the drift of each timing."""

    counts: Mapping[Equality, int]
    exact: Estimate | None
    drift: Mapping[str, Estimate]


def summarise(pairs: Sequence[Pair]) -> Summary:
    """Summarise the pairs; a cell is the unit, told by its name and its digest, since two engines share a name."""
    compared = [
        pair for pair in pairs if pair.equality not in (Equality.FAILED, Equality.NOT_REACHED)
    ]
    exact = pass_rate(
        {(str(p.old.cell), p.old.digest): [float(p.equality is Equality.EXACT)] for p in compared}
    )
    drift: dict[str, Estimate] = {}
    for name in TIMINGS:
        both: dict[Hashable, tuple[float, float]] = {
            (str(pair.old.cell), pair.old.digest): found
            for pair in compared
            if (found := pair.timings(name)) is not None
        }
        ratio = paired_ratio(
            {key: [new] for key, (_, new) in both.items()},
            {key: [old] for key, (old, _) in both.items()},
        )
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
        f"{len(pairs) - not_reached} of {len(pairs)} stored cells were measured again: the run was stopped before the other "
        f"{not_reached}, which count neither as failed nor in any share or ratio."
    )


def _environment(pairs: Sequence[Pair], differences: Sequence[Change]) -> str:
    if all(pair.new is None for pair in pairs):
        return "not seen, since no cell was measured."
    return f"{len(differences)} fields differ." if differences else "the same."


def to_markdown(title: str, pairs: Sequence[Pair], differences: Sequence[Change]) -> str:
    """The report for people."""
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
        lines += ["", "| cell | answer | first other token | gap there |", "|---|---|---|---|"]
        for pair in other:
            token, gap = pair.divergence or ("–", None)
            shown = (
                "–" if pair.equality is Equality.FAILED else ">= 1" if gap is None else f"{gap:.3f}"
            )
            lines.append(f"| `{pair.old.cell}` | {pair.equality.value} | {token} | {shown} |")
    lines += ["", f"Environment: {_environment(pairs, differences)}"]
    lines += [f"- `{change.field}`: {change.old} → {change.new}" for change in differences]
    return "\n".join(lines) + "\n"


def to_csv(pairs: Sequence[Pair]) -> str:
    """One line a pair."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(pair.row() for pair in pairs)
    return out.getvalue()


def to_json(pairs: Sequence[Pair], differences: Sequence[Change]) -> dict[str, Any]:
    """The numbers of the report."""

    def values(found: Estimate | None) -> dict[str, Any] | None:
        return (
            None
            if found is None
            else {"value": found.value, "low": found.low, "high": found.high, "n": found.n}
        )

    summary = summarise(pairs)
    return {
        "cells": len(pairs),
        "answers": {kind.value: summary.counts.get(kind, 0) for kind in Equality},
        "exact": values(summary.exact),
        "drift": {name: values(summary.drift.get(name)) for name in TIMINGS},
        "environment_differs": {change.field: [change.old, change.new] for change in differences},
    }
