"""Where a run is: a function of its plan and its stored cells, and the texts that show it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from statistics import median
from typing import Any

from tabulate import tabulate

from scripts.lib.base.layout import LOGS
from scripts.lib.base.stored_json import Damaged
from scripts.lib.base.untrusted_text import printable
from scripts.lib.execution.run_plan import RunPlan, ShardPlan
from scripts.lib.planning.cell_record import Failure
from scripts.lib.planning.prediction import hours_text

# Rows have times in whole seconds: cells that took less than this in all scale no prediction.
LEAST_SPAN_S = 10.0
# Seconds between two lines where there is no terminal.
LINES_EVERY_S = 30.0
# The most rows of a table that is not drawn on a terminal, and the failures below it.
MOST_ROWS, MOST_FAILURES = 1_000, 3
# The most characters of an engine's words on the terminal. The cell has all of them.
WORDS_SHOWN = 1_000


class Phase(StrEnum):
    """What a shard is doing."""

    WAITING = "waiting"
    LOADING = "loading"
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"  # before its last cell


HEADERS = (
    "",
    "model",
    "mode",
    "engine",
    "cells",
    "decode t/s",
    "J/token",
    "guard",
    "failed",
    "elapsed",
    "left",
)
# In this order, so that what matters stays where not all shards fit.
ORDER = (Phase.STOPPED, Phase.RUNNING, Phase.LOADING, Phase.WAITING, Phase.DONE)


@dataclass(frozen=True, slots=True)
class StoredCell:
    """What a view needs of a row of output.jsonl. Times are in seconds since the epoch.

    `title` is `suite/question`. `stored_s` is None in rows of older versions.
    """

    shard: str
    title: str
    status: str
    error: str
    is_guard: bool
    decode_tokens_per_s: float | None
    joules_per_token: float | None
    started_s: float
    stored_s: float | None
    load_s: float


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def stored_cell(row: Mapping[str, Any]) -> StoredCell:
    """The part of a row that a view needs. Raises Damaged if the row has another form."""
    try:
        engine = row["engine"]["name"]
        stored = row.get("stored_utc")
        return StoredCell(
            shard=f"{row['hardware']}/{row['model']}/{row['mode']}/{engine}",
            title=f"{row['suite']}/{row['question_id']}",
            status=row["status"],
            error=row["error"] or "",
            is_guard=row.get("failure") == Failure.GUARD,
            decode_tokens_per_s=row.get("decode_tokens_per_s"),
            joules_per_token=row.get("joules_per_token"),
            started_s=_seconds(row["started_utc"]),
            stored_s=_seconds(stored) if stored else None,
            load_s=float(row["load_s"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Damaged("output.jsonl", f"not a cell's row ({error!r})") from error


def log_of(shard: str) -> Path:
    """The file of the engine's own output for a shard of that name."""
    return LOGS / "infer" / f"{shard}.log"


@dataclass(frozen=True, slots=True)
class ShardView:
    """A shard's progress in this run.

    `done`: cells stored by this run, of `plan.missing`. `not_active`: cells whose guard failed.
    `decode_tokens_per_s`, `joules_per_token`: the medians so far; None if there is none. `rest_s`:
    predicted seconds of what is left. `is_measured`: as in `RunView`.
    """

    plan: ShardPlan
    phase: Phase
    done: int
    failed: int
    not_active: int
    decode_tokens_per_s: float | None
    joules_per_token: float | None
    elapsed_s: float
    rest_s: float
    is_measured: bool

    @property
    def guard(self) -> str:
        """Whether the mode and the pins were proved: the guards check each answer."""
        if self.not_active:
            return f"{self.not_active} not active"
        return "active" if self.done > self.failed else ""


@dataclass(frozen=True, slots=True)
class RunView:
    """A run's progress. `is_measured`: the rest is scaled by this run; else it is at most that."""

    shards: tuple[ShardView, ...]
    cells: int
    done: int
    failed: int
    elapsed_s: float
    rest_s: float
    is_measured: bool

    def shard(self, name: str) -> ShardView:
        """The shard of that name."""
        return next(view for view in self.shards if view.plan.name == name)


def _span_s(rows: Sequence[StoredCell]) -> float:
    """The seconds that these cells took, without the load before the first one."""
    ends = [row.stored_s for row in rows if row.stored_s is not None]
    return max(ends) - rows[0].started_s if ends else 0.0


def _predicted_s(plan: ShardPlan, rows: Sequence[StoredCell]) -> float:
    return sum(plan.cell_s[: len(rows)])


def _scale(spans_s: float, predicted_s: float) -> float | None:
    """How much longer than predicted the cells took (usually below 1); None: too short to say."""
    return spans_s / predicted_s if predicted_s > 0 and spans_s >= LEAST_SPAN_S else None


def run_view(
    plan: RunPlan,
    rows: Iterable[StoredCell],
    now_s: float,
    loading: frozenset[str] = frozenset(),
    has_ended: bool = False,
) -> RunView:
    """The view of a run with these stored cells at that time (seconds since the epoch).

    `loading`: names of shards that have begun, as far as that is known. `has_ended`: the run's
    process is gone.
    """
    by_shard: dict[str, list[StoredCell]] = {}
    for row in rows:
        by_shard.setdefault(row.shard, []).append(row)
    known = [(shard, by_shard[shard.name]) for shard in plan.shards if shard.name in by_shard]
    spans_s = sum(_span_s(found) for _, found in known)
    scale = _scale(spans_s, sum(_predicted_s(shard, found) for shard, found in known))
    latest = max(known, key=lambda pair: pair[1][0].started_s)[0].name if known else ""
    views = []
    for shard in plan.shards:
        found = by_shard.get(shard.name, [])
        phase = _phase(shard, len(found), shard.name in loading)
        is_left = has_ended or (plan.is_local and shard.name != latest and bool(found))
        if is_left and phase in (Phase.RUNNING, Phase.LOADING):
            phase = Phase.STOPPED
        views.append(_shard_view(shard, found, phase, now_s, scale))
    return RunView(
        shards=tuple(views),
        cells=sum(shard.missing for shard in plan.shards),
        done=sum(view.done for view in views),
        failed=sum(view.failed for view in views),
        elapsed_s=max(now_s - _seconds(plan.started_utc), 0.0),
        rest_s=sum(view.rest_s for view in views if view.phase is not Phase.STOPPED),
        is_measured=scale is not None,
    )


def _phase(shard: ShardPlan, done: int, is_loading: bool) -> Phase:
    if done >= shard.missing:
        return Phase.DONE
    if done:
        return Phase.RUNNING
    return Phase.LOADING if is_loading else Phase.WAITING


def _shard_view(
    shard: ShardPlan, rows: Sequence[StoredCell], phase: Phase, now_s: float, scale: float | None
) -> ShardView:
    speeds = [row.decode_tokens_per_s for row in rows if row.decode_tokens_per_s]
    joules = [row.joules_per_token for row in rows if row.joules_per_token]
    elapsed_s, rest_s = 0.0, (shard.start_s + sum(shard.cell_s)) * (scale or 1.0)
    if rows:
        begin_s = rows[0].started_s - rows[0].load_s
        end_s = now_s if phase is Phase.RUNNING else rows[0].started_s + _span_s(rows)
        elapsed_s = max(end_s - begin_s, 0.0)
        scale = _scale(_span_s(rows), _predicted_s(shard, rows)) or scale
        rest_s = (scale or 1.0) * sum(shard.cell_s[len(rows) :])
    return ShardView(
        plan=shard,
        phase=phase,
        done=len(rows),
        failed=sum(row.status != "ok" for row in rows),
        not_active=sum(row.is_guard for row in rows),
        decode_tokens_per_s=median(speeds) if speeds else None,
        joules_per_token=median(joules) if joules else None,
        elapsed_s=elapsed_s,
        rest_s=rest_s,
        is_measured=scale is not None,
    )


def begun_shards(plan: RunPlan) -> frozenset[str]:
    """The shards whose engine has written its log since the run began."""
    since_s = _seconds(plan.started_utc)
    found = set()
    for shard in plan.shards:
        log = log_of(shard.name)
        if log.is_file() and log.stat().st_mtime >= since_s:
            found.add(shard.name)
    return frozenset(found)


# --- texts ---


def percent(part: int, whole: int) -> str:
    """A share, such as `1.7 %`."""
    return f"{100 * part / whole:.1f} %" if whole else "0 %"


def left_text(seconds: float, is_measured: bool) -> str:
    """The predicted rest: `about 12 min left`; before the first cell, `at most 12 min left`."""
    return f"{'about' if is_measured else 'at most'} {hours_text(seconds)} left"


def shard_text(view: ShardView) -> str:
    """A shard's line."""
    plan = view.plan
    parts = [f"{plan.cells - plan.missing + view.done}/{plan.cells} cells"]
    if view.decode_tokens_per_s is not None:
        parts.append(f"{view.decode_tokens_per_s:.1f} t/s")
    if view.joules_per_token is not None:
        parts.append(f"{view.joules_per_token:.3g} J/token")
    if view.guard:
        parts.append(f"guard: {view.guard}")
    if view.failed:
        parts.append(f"{view.failed} failed")
    if view.done:
        parts.append(f"{hours_text(view.elapsed_s)} elapsed")
    if view.phase is Phase.RUNNING:
        parts.append(left_text(view.rest_s, view.is_measured))
    elif view.phase is not Phase.DONE:
        parts.append(view.phase.value)
    return f"{plan.model} {plan.mode}: {', '.join(parts)}"


def total_text(view: RunView) -> str:
    """The line of the whole run."""
    rest = left_text(view.rest_s, view.is_measured) if view.done < view.cells else "all done"
    return (
        f"total: {view.done}/{view.cells} cells, {percent(view.failed, view.done)} failed, "
        f"{hours_text(view.elapsed_s)} elapsed, {rest}"
    )


def failure_text(row: StoredCell, log: Path) -> str:
    """A failed cell: which one, the engine's words, and the path of its log."""
    words = printable(row.error or row.status, keep="\n\t")
    if len(words) > WORDS_SHOWN:
        words = words[:WORDS_SHOWN] + "…"
    return f"failed: {row.shard} {row.title}: {words}\n  log: {log}"


def _row(view: ShardView) -> tuple[str, ...]:
    plan, speed, joules = view.plan, view.decode_tokens_per_s, view.joules_per_token
    return (
        view.phase.value,
        plan.model,
        plan.mode,
        plan.engine,
        f"{plan.cells - plan.missing + view.done}/{plan.cells}",
        f"{speed:.1f}" if speed is not None else "",
        f"{joules:.3g}" if joules is not None else "–",
        view.guard,
        str(view.failed or ""),
        hours_text(view.elapsed_s) if view.done else "",
        hours_text(view.rest_s) if view.phase not in (Phase.DONE, Phase.STOPPED) else "",
    )


def run_table(view: RunView, most_rows: int = MOST_ROWS) -> str:
    """A row for each shard, and the total; of many shards, those that are done come last."""
    ordered = sorted(view.shards, key=lambda shard: (ORDER.index(shard.phase), not shard.failed))
    shown, rest = ordered[:most_rows], ordered[most_rows:]
    lines = [tabulate(map(_row, shown), HEADERS, tablefmt="simple", disable_numparse=True)]
    if rest:
        phases = Counter(shard.phase.value for shard in rest)
        more = ", ".join(f"{number} {phase}" for phase, number in phases.items())
        lines.append(f"… and {len(rest)} more shards: {more}")
    return "\n".join([*lines, "", total_text(view)])


def failures(rows: Sequence[StoredCell]) -> list[str]:
    """The last failures, each error once."""
    last = {row.error: row for row in rows if row.status != "ok"}
    return [failure_text(row, log_of(row.shard)) for row in [*last.values()][-MOST_FAILURES:]]


def now() -> float:
    """The time as views count it."""
    return time.time()
