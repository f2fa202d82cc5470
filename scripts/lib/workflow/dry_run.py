"""What a dry run shows instead of the files of every job: a row for each shard, and why it runs."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from tabulate import tabulate

from scripts.lib.base.untrusted_text import TERMINAL_KEEPS, printable
from scripts.lib.planning.modes import VARIANT_MARK
from scripts.lib.planning.plan import Shard
from scripts.lib.planning.prediction import hours_text, shard_times
from scripts.lib.results.states import MissingCells, why_missing
from scripts.lib.workflow.run_log import RUN_INFO
from scripts.lib.workflow.targets import Workflow, infer_rule

HEADERS = ("model", "mode", "variant", "engine", "missing", "why", "at most")
# Cells of an older spec whose changed fields are looked up: a quarter of a millisecond each.
MOST_READ = 200
# The most changed fields that a row names.
MOST_FIELDS = 4
NOTHING = "Nothing to be done"
# Rules that only name targets; `results…` are others.
TARGETS = ("retry_failed", "weights", "total")


def why_text(missing: MissingCells, failed: int) -> str:
    """Why cells are missing: `4 new`, `3 changed: sampling.seed`, `2 failed`."""
    fields = ", ".join(missing.changed[:MOST_FIELDS])
    if len(missing.changed) > MOST_FIELDS:
        fields += f" and {len(missing.changed) - MOST_FIELDS} more fields"
    parts = [f"{missing.new} new"] if missing.new else []
    if missing.stale:
        parts.append(f"{missing.stale} changed: {fields}")
    if missing.unread:
        parts.append(f"{missing.unread} new or changed")
    if failed:
        parts.append(f"{failed} failed")
    return "; ".join(parts)


def _failed_cells(workflow: Workflow, failed: Iterable[Path]) -> Mapping[str, int]:
    """Shard name -> its cells among the files that `retry_failed` would drop."""
    files = set(map(str, failed))
    if not files:
        return {}
    return Counter(
        shard.name for shard in workflow.shards for file in shard.cell_files if file in files
    )


def _seconds(workflow: Workflow, shard: Shard, failed: frozenset[str]) -> float:
    """Predicted seconds of the missing cells, and of those that failed."""
    if not failed:
        return workflow.times[shard.name].total_s
    missing = {cell.digest for cell in workflow.missing[shard.name]}
    cells = [
        cell
        for cell, file in zip(shard.cells, shard.cell_files, strict=True)
        if cell.digest in missing or file in failed
    ]
    return shard_times(shard, cells, workflow.measured).total_s


def table(workflow: Workflow, rules: Iterable[str], failed: Iterable[Path] = ()) -> str:
    """The shards among `rules` with cells to run, and their total; empty if there is none.

    `failed`: cells that `retry_failed` would drop. Their shards are shown, too: to Snakemake, they
    are complete.
    """
    named, files = set(rules), frozenset(map(str, failed))
    counts = _failed_cells(workflow, failed)
    shards = [s for s in workflow.shards if infer_rule(s) in named or counts.get(s.name)]
    why = {
        found.shard.name: found
        for found in why_missing(shards, workflow.missing, most_read=MOST_READ)
    }
    rows, cells, total_s = list[tuple[str, ...]](), 0, 0.0
    for shard in shards:
        missing = why.get(shard.name, MissingCells(shard, 0, 0))
        of_failed = counts.get(shard.name, 0)
        count = missing.count + of_failed
        if not count:
            continue
        seconds = _seconds(workflow, shard, files if of_failed else frozenset())
        cells, total_s = cells + count, total_s + seconds
        mode, _, variant = shard.mode.name.partition(VARIANT_MARK)
        setup = (shard.model.key, mode, variant, shard.engine)
        reasons = why_text(missing, of_failed)
        rows.append((*setup, f"{count} of {len(shard.cells)}", reasons, hours_text(seconds)))
    if not rows:
        return ""
    rows.append(("total", "", "", "", str(cells), "", hours_text(total_s)))
    columns = [
        place
        for place, name in enumerate(HEADERS)
        if name not in ("variant", "engine") or len({row[place] for row in rows[:-1]}) > 1
    ]
    shown = [[row[place] for place in columns] for row in rows]
    headers = [HEADERS[place] for place in columns]
    return tabulate(shown, headers, tablefmt="simple", disable_numparse=True)


def other_steps(rules: Mapping[str, int], shard_rules: frozenset[str]) -> str:
    """The jobs that are no shards, such as `4 reviews, tabulate, render`."""
    reviews = sum(count for rule, count in rules.items() if rule.startswith("review_"))
    parts = [f"{reviews} reviews"] if reviews else []
    left_out = {*shard_rules, *TARGETS}
    parts += [
        rule
        for rule in rules
        if rule not in left_out and not rule.startswith(("review_", "results"))
    ]
    return ", ".join(parts)


class DryRun:
    """Takes Snakemake's log records of a dry run, and prints one table."""

    def __init__(self, workflow: Workflow, failed: Iterable[Path] = ()):
        self._workflow, self._failed = workflow, tuple(failed)
        self._is_shown = False

    def take(
        self, record: logging.LogRecord, formatted: Callable[[logging.LogRecord], str]
    ) -> None:
        """Print the table when the jobs are known; warnings and errors as they come."""
        if getattr(record, "event", None) == RUN_INFO and not self._is_shown:
            self._is_shown = True
            rules: Mapping[str, int] = getattr(record, "stats", {})
            self._print(rules)
        elif record.levelno >= logging.WARNING or record.getMessage().startswith(NOTHING):
            print(printable(formatted(record), keep=TERMINAL_KEEPS), flush=True)

    def _print(self, rules: Mapping[str, int]) -> None:
        shard_rules = frozenset(map(infer_rule, self._workflow.shards))
        steps = other_steps(rules, shard_rules)
        found = table(self._workflow, rules, self._failed)
        if found:
            print(f"\n{found}\n")
        if steps:
            print(f"{'then' if found else 'to make'}: {steps}")
        print("nothing was run (dry run); --verbose lists the files of every job", flush=True)

    def close(self) -> None:
        """Nothing is left to do."""
