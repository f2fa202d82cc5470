"""Show where the run of this checkout is, shard by shard.

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

from scripts.lib.base.command import Parser, positive, run_command
from scripts.lib.base.errors import BenchError, Problem
from scripts.lib.base.layout import RUN_PLAN, RUNS
from scripts.lib.base.stored_json import believed
from scripts.lib.execution.run_plan import RunPlan, read_run_plan
from scripts.lib.execution.run_record import SUMMARY, RowReader
from scripts.lib.execution.run_view import (
    MOST_ROWS,
    RunView,
    StoredCell,
    begun_shards,
    failures,
    now,
    run_table,
    run_view,
    stored_cell,
)

# Lines of a terminal that are not rows.
OTHER_LINES = 12
# Clears a terminal and goes to its first line.
CLEAR = "\x1b[H\x1b[2J"


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
        ended = bool(self.plan.has_ended())
        view = run_view(self.plan, self._rows, now(), begun_shards(self.plan), ended)
        lines = [f"run {self.plan.run_id} on {self.plan.machine}", "", run_table(view, most_rows)]
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
    seconds = positive(float, below=1e6)
    parser.add_argument("--every", type=seconds, default=30.0, metavar="SECONDS", help=words)
    return parser


if __name__ == "__main__":
    run_command(parser())
