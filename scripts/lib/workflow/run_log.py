"""What a run shows instead of Snakemake's own messages: finished shards, errors, other steps.

The plugin in `plugins/` passes Snakemake's log records on. A shard's progress is drawn by the
process that measures it (`execution.run_display`); here, nothing wakes up between two records.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from tqdm import tqdm

from scripts.lib.base.layout import RUNS
from scripts.lib.base.stored_json import believed
from scripts.lib.base.untrusted_text import TERMINAL_KEEPS, printable
from scripts.lib.execution.run_plan import RunPlan, make_run_plan, shard_plan
from scripts.lib.execution.run_record import SUMMARY, RowReader, was_interrupted
from scripts.lib.execution.run_view import (
    LINES_EVERY_S,
    RunView,
    StoredCell,
    now,
    run_view,
    shard_text,
    stored_cell,
    total_text,
)
from scripts.lib.planning.disk import partial_folder, partial_name
from scripts.lib.planning.prediction import Times
from scripts.lib.workflow.targets import Workflow, infer_rule

# How messages begin that tell what Snakemake does. All others are shown.
HIDDEN = (
    "Assuming unrestricted shared filesystem usage",
    "Config file ",
    "Building DAG of jobs",
    "Using shell:",
    "Conda environments: ignored",
    "Singularity containers: ignored",
    "Select jobs to execute",
    "Shutting down, this might take some time",
    "Complete log",
    "Elapsed time:",
    "--keep-incomplete mode is set",
    "Exiting because a job execution failed",
    "At least one job did not complete successfully",
    "WorkflowError:\nAt least one job did not complete successfully",
    # A failed job is an event of its own. Snakemake keeps no copies of a shard's cells: they stay.
    "RuleException:\nCalledProcessError in file",
    "Cannot restore ",
)
# The names of Snakemake's events; its `LogEvent` is an enum of these texts.
RUN_INFO = "run_info"
HIDDEN_EVENTS = frozenset(
    ("workflow_started", "resources_info", RUN_INFO, "job_started", "group_info", "rulegraph")
)
# Lines and bytes of the end of a failed job's log that are shown and read. A shard has said itself
# why it failed, if it could; its log is the engine's.
LAST_LINES, LAST_LINES_OF_ENGINE, LAST_BYTES = 10, 3, 64 * 1024

Format = Callable[[logging.LogRecord], str]
Take = Callable[["RunLog", logging.LogRecord], None]


class Display(Protocol):
    """Shows Snakemake's log records; see the plugin."""

    def take(self, record: logging.LogRecord, formatted: Format) -> None:
        """Show a record, or not."""

    def close(self) -> None:
        """Called when Snakemake ends."""


def attach(handlers: Iterable[object], display: Display) -> None:
    """Show Snakemake's records with this display, if the plugin is installed and on."""
    for handler in handlers:
        if getattr(handler, "is_on", False):
            handler.attach(display)  # type: ignore[attr-defined]


def plan_of_run(workflow: Workflow, run_id: str, rules: Collection[str], is_local: bool) -> RunPlan:
    """The plan of a run of these rules: their shards and missing cells."""
    shards = []
    for shard in workflow.shards:
        if infer_rule(shard) not in rules:
            continue
        # Cells that a shard kept when it was cut off are not measured again.
        kept = partial_folder(Path(shard.folder), shard.engine)
        kept_names = {file.name for file in kept.glob("*.json")} if kept.is_dir() else set()
        times = workflow.times[shard.name]
        cell_s = tuple(
            seconds
            for cell, seconds in zip(workflow.missing[shard.name], times.cell_s, strict=True)
            if partial_name(cell.file_name) not in kept_names
        )
        if cell_s:
            shards.append(shard_plan(shard, Times(times.start_s, cell_s)))
    return make_run_plan(run_id, shards, is_local)


def last_words(log: Path, most: int = LAST_LINES) -> list[str]:
    """The last lines of a job's log, safe for a terminal; none if there is no such file."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(log.stat().st_size - LAST_BYTES, 0))
            text = stream.read().decode("utf-8", "replace")
    except OSError:
        return []
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return [printable(line, keep=TERMINAL_KEEPS) for line in lines[-most:]]


class RunLog:
    """Takes Snakemake's log records of one run, and prints what a person wants to know.

    `shards`: rule -> the name of its shard.
    """

    def __init__(self, run_id: str, shards: Mapping[str, str]):
        self._plan, self._shards = make_run_plan(run_id, ()), shards
        self._reader = RowReader(RUNS / run_id)
        self._rows: list[StoredCell] = []
        self._rules: dict[int, str] = {}
        self._begun: set[str] = set()
        self._steps: tqdm[Any] | None = None
        self._next_s = 0.0
        self._finished, self._is_closed = 0, False
        self._drawn_by: set[str] = set()
        self._later: list[str] = []
        self._said: set[str] = set()
        self._last_rule = ""

    def begin(self, plan: RunPlan) -> None:
        """Take up the plan, which is known when the jobs are."""
        self._plan = plan

    def take(self, record: logging.LogRecord, formatted: Format) -> None:
        """Show a record, if it says something. `formatted` gives Snakemake's own text of it."""
        event = getattr(record, "event", None)
        if event in TAKEN:
            TAKEN[event](self, record)
        elif event not in HIDDEN_EVENTS:
            text = formatted(record)
            is_said = text in self._said
            if text and text != "None" and not text.startswith(HIDDEN) and not is_said:
                self._said.add(text)
                self._say(printable(text, keep=TERMINAL_KEEPS))

    def close(self) -> None:
        """Print what the run has made, once: Snakemake and Python's logging both call this."""
        self._drawn_by.clear()
        self._end_steps()
        finished, is_closed, self._is_closed = self._finished, self._is_closed, True
        # A single job, such as `preview`, has said what there was to say.
        if not is_closed and (finished > 1 or self._plan.shards):
            view = self._view()
            cells = f"; {total_text(view)}" if view.cells else ""
            self._say(f"{finished} step{'s' if finished != 1 else ''} done{cells}")
            if view.done:
                self._say(f"the run's record: {RUNS / self._plan.run_id / SUMMARY}")
        self._say_later()

    def _say(self, text: str) -> None:
        """Print a message; while a shard draws on the terminal, after that."""
        self._later.append(text)
        if not (self._drawn_by and sys.stderr.isatty()):
            self._say_later()

    def _say_later(self) -> None:
        self._end_steps()
        for text in self._later:
            print(text, file=sys.stderr, flush=True)
        self._later.clear()

    def _view(self) -> RunView:
        # Damaged rows are named in the run's summary.
        self._rows += believed(self._reader.new().rows, stored_cell, [])
        return run_view(self._plan, self._rows, now(), frozenset(self._begun))

    def _job(self, record: logging.LogRecord) -> None:
        """A job begins. A shard draws on the terminal itself."""
        rule = str(getattr(record, "rule_name", ""))
        self._rules[int(getattr(record, "jobid", -1))] = rule
        if rule in self._shards:
            self._begun.add(self._shards[rule])
            self._end_steps()
            if self._plan.is_local:
                self._drawn_by.add(rule)

    def _job_finished(self, record: logging.LogRecord) -> None:
        self._finished += 1
        self._last_rule = rule = self._rules.pop(int(getattr(record, "job_id", -1)), "")
        self._drawn_by.discard(rule)
        name = self._shards.get(rule, "")
        if any(shard.name == name for shard in self._plan.shards):
            self._say(f"done: {shard_text(self._view().shard(name))}")

    def _job_failed(self, record: logging.LogRecord) -> None:
        rule = str(getattr(record, "rule_name", ""))
        self._drawn_by.discard(rule)
        what = f"shard {self._shards[rule]}" if rule in self._shards else f"rule {rule}"
        if rule in self._shards and was_interrupted(RUNS / self._plan.run_id):
            self._say(f"stopped: {what}; its finished cells are kept")
            return
        lines = [f"failed: {what}"]
        most = LAST_LINES_OF_ENGINE if rule in self._shards else LAST_LINES
        for log in getattr(record, "log", ()):
            lines += [f"  log: {log}", *(f"  | {line}" for line in last_words(Path(log), most))]
        self._say("\n".join(lines))

    def _progress(self, record: logging.LogRecord) -> None:
        """Steps that are no shards: drawn on a terminal, else a line every 30 s."""
        if self._last_rule in self._shards:
            return
        done, total = int(getattr(record, "done", 0)), int(getattr(record, "total", 0))
        if sys.stderr.isatty():
            if self._steps is None:
                form = "{n_fmt}/{total_fmt} steps |{bar:20}|"
                self._steps = tqdm(total=total, bar_format=form, leave=False, file=sys.stderr)
            self._steps.n, self._steps.total = done, total
            self._steps.refresh()
        elif time.monotonic() >= self._next_s:
            self._next_s = time.monotonic() + LINES_EVERY_S
            self._say(f"{done}/{total} steps")

    def _end_steps(self) -> None:
        if self._steps is not None:
            self._steps.close()
            self._steps = None


TAKEN: Mapping[object, Take] = {
    "job_info": RunLog._job,
    "job_finished": RunLog._job_finished,
    "job_error": RunLog._job_failed,
    "progress": RunLog._progress,
}
