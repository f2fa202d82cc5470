"""Show the run that goes on in this checkout: each shard's progress, failures, hours left.

It reads the run's records, so it can be called in another terminal, on another machine that shares
the folder, or for jobs on a cluster. It changes nothing. Ctrl-C ends the watching, not the run.

for example:
  python -m scripts.watch
  python -m scripts.watch --once
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections import Counter
from collections.abc import Sequence

from tabulate import tabulate

from scripts.lib.base.command import Parser, run_command
from scripts.lib.base.errors import BenchError, Problem
from scripts.lib.base.layout import RUN_PLAN, RUNS
from scripts.lib.base.stored_json import believed
from scripts.lib.execution.run_plan import RunPlan, read_run_plan
from scripts.lib.execution.run_record import SUMMARY, RowReader
from scripts.lib.execution.run_view import (
    Phase,
    RunView,
    ShardView,
    StoredCell,
    begun_shards,
    failure_text,
    log_of,
    now,
    run_view,
    stored_cell,
    total_text,
)
from scripts.lib.planning.prediction import hours_text

HEADERS = (
    "",
    "model",
    "mode",
    "engine",
    "cells",
    "decode t/s",
    "guard",
    "failed",
    "elapsed",
    "left",
)
# In this order, so that what matters stays where not all shards fit.
ORDER = (Phase.STOPPED, Phase.RUNNING, Phase.LOADING, Phase.WAITING, Phase.DONE)
# Lines of a terminal that are not rows; the rows where there is no terminal; the shown failures.
OTHER_LINES, MOST_ROWS, MOST_FAILURES = 12, 1_000, 3
# Clears a terminal and goes to its first line.
CLEAR = "\x1b[H\x1b[2J"


def _row(view: ShardView) -> tuple[str, ...]:
    plan, speed = view.plan, view.decode_tokens_per_s
    return (
        view.phase.value,
        plan.model,
        plan.mode,
        plan.engine,
        f"{plan.cells - plan.missing + view.done}/{plan.cells}",
        f"{speed:.1f}" if speed is not None else "",
        view.guard,
        str(view.failed or ""),
        hours_text(view.elapsed_s) if view.done else "",
        hours_text(view.rest_s) if view.phase not in (Phase.DONE, Phase.STOPPED) else "",
    )


def table(view: RunView, most_rows: int = MOST_ROWS) -> str:
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


class _Watched:
    """The run, read again and again."""

    def __init__(self, plan: RunPlan):
        self.plan = plan
        self._reader = RowReader(RUNS / plan.run_id)
        self._rows: list[StoredCell] = []
        self._damaged: list[Problem] = []

    def text(self, most_rows: int) -> str:
        """What there is to see now."""
        found = self._reader.new()
        self._damaged += found.damaged
        self._rows += believed(found.rows, stored_cell, self._damaged)
        view = run_view(self.plan, self._rows, now(), begun_shards(self.plan))
        lines = [f"run {self.plan.run_id} on {self.plan.machine}", "", table(view, most_rows)]
        lines += failures(self._rows)
        lines += [str(problem) for problem in self._damaged]
        if self.is_over(view):
            lines.append(f"the run has ended; its record: {RUNS / self.plan.run_id / SUMMARY}")
        self._last = view
        return "\n".join(lines)

    def is_over(self, view: RunView | None = None) -> bool:
        """True if the run's process is gone; of another machine's, if all cells are there."""
        ended, view = self.plan.has_ended(), view or self._last
        return ended if ended is not None else view.done >= view.cells


def main(arguments: argparse.Namespace) -> None:
    """Show the run until it ends. Raises BenchError if there was none."""
    try:
        watched = _Watched(read_run_plan())
    except FileNotFoundError:
        raise BenchError(
            f"{RUN_PLAN}: no such file: no run was started here; start one: snakemake -j8 results"
        ) from None
    is_drawn = sys.stdout.isatty() and not arguments.once
    while True:
        most = shutil.get_terminal_size().lines - OTHER_LINES if is_drawn else MOST_ROWS
        text = watched.text(max(most, 1))
        print(f"{CLEAR}{text}" if is_drawn else text, flush=True)
        if arguments.once or watched.is_over():
            return
        time.sleep(arguments.every)


def parser() -> Parser:
    """The command line."""
    parser = Parser("scripts.watch", __doc__, main)
    parser.add_argument("--once", action="store_true", help="print the present state and end")
    words = (
        "seconds between two looks (default: 30; a look costs some milliseconds of a CPU beside "
        "what is measured on this machine)"
    )
    parser.add_argument("--every", type=_positive, default=30.0, metavar="SECONDS", help=words)
    return parser


def _positive(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < 1e6:
        raise argparse.ArgumentTypeError(f"expected a number above 0, found {text}")
    return seconds


if __name__ == "__main__":
    run_command(parser())
