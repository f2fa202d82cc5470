"""Shows a shard's progress while it is measured.

The measuring process itself draws, after a cell is stored and before the next one begins. No
thread, timer or other process wakes up beside a timed answer.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from tqdm import tqdm

from scripts.lib.base.progress import without_monitor
from scripts.lib.execution.run_plan import RunPlan, ShardPlan
from scripts.lib.execution.run_record import output_line
from scripts.lib.execution.run_view import (
    LINES_EVERY_S,
    RunView,
    ShardView,
    StoredCell,
    failure_text,
    left_text,
    now,
    percent,
    run_view,
    shard_text,
    stored_cell,
    total_text,
)
from scripts.lib.executor import Recorder
from scripts.lib.planning.cell_record import CellRecord


class Screen(Protocol):
    """Where progress is shown."""

    def show(self, shard: ShardView, run: RunView) -> None:
        """Show the present state."""

    def say(self, text: str) -> None:
        """Print a lasting message."""

    def close(self) -> None:
        """Leave nothing but the lasting messages."""


class Terminal:
    """Two lines that are drawn over: the shard's, and a bar for the whole run."""

    def __init__(self) -> None:
        without_monitor()
        self._shard = tqdm(total=0, bar_format="{desc}", leave=False, file=sys.stderr)
        self._run = tqdm(
            total=0,
            bar_format="{desc} |{bar:20}| {n_fmt}/{total_fmt} cells{postfix}",
            leave=False,
            file=sys.stderr,
            position=1,
            dynamic_ncols=True,
        )

    def show(self, shard: ShardView, run: RunView) -> None:
        """Draw both lines."""
        columns = shutil.get_terminal_size().columns - 1
        self._shard.set_description_str(shard_text(shard)[:columns], refresh=False)
        self._shard.refresh()
        self._run.total, self._run.n = run.cells, run.done
        failed = f"{percent(run.failed, run.done)} failed"
        rest = left_text(run.rest_s, run.is_measured)
        self._run.set_description_str("total", refresh=False)
        self._run.set_postfix_str(f"{failed}, {rest}", refresh=False)
        self._run.refresh()

    def say(self, text: str) -> None:
        """Print a message above the two lines."""
        tqdm.write(text, file=sys.stderr)

    def close(self) -> None:
        """Take the two lines away."""
        self._run.close()
        self._shard.close()


class Lines:
    """A line of each after the first cell, then at most every 30 s, always at the end of a cell."""

    def __init__(self) -> None:
        self._next_s = 0.0

    def show(self, shard: ShardView, run: RunView) -> None:
        """Print the state if 30 s have passed since it was last printed."""
        if not shard.done or time.monotonic() < self._next_s:
            return
        self._next_s = time.monotonic() + LINES_EVERY_S
        self.say(f"{shard_text(shard)}; {total_text(run)}")

    def say(self, text: str) -> None:
        """Print a message."""
        print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Nothing is left to do."""


def screen() -> Screen:
    """The terminal, or lines where stderr is none."""
    return Terminal() if sys.stderr.isatty() else Lines()


class ShardDisplay:
    """Passes each stored cell on to a recorder, and shows the shard and the run.

    An error is printed at once; one that several cells have in common, once.
    """

    def __init__(
        self,
        recorder: Recorder,
        plan: RunPlan,
        shard: ShardPlan,
        stored: Iterable[StoredCell],
        log: Path,
    ):
        self._recorder, self._plan, self._shard, self._log = recorder, plan, shard, log
        self._rows = list(stored)
        self._errors: dict[str, int] = {}

    def __enter__(self) -> Self:
        self._screen = screen()
        self._show()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._screen.close()
        for text, times in self._errors.items():
            if times > 1:
                self._screen.say(f"the same error in {times - 1} more cells: {text[:100]}")

    def _show(self) -> None:
        view = run_view(self._plan, self._rows, now(), frozenset([self._shard.name]))
        self._screen.show(view.shard(self._shard.name), view)

    def add(self, record: CellRecord) -> None:
        """Record a stored cell, then show it."""
        self._recorder.add(record)
        row = stored_cell(output_line(record))
        self._rows.append(row)
        if row.status != "ok":
            times = self._errors[row.error] = self._errors.get(row.error, 0) + 1
            if times == 1:
                self._screen.say(failure_text(row, self._log))
        self._show()
