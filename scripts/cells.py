"""Preview what would run, list and delete orphans, drop failures.

for example:
  python -m scripts.cells preview
  python -m scripts.cells --configfile config/full.yaml preview
  python -m scripts.cells orphans
  python -m scripts.cells prune --yes
  python -m scripts.cells drop_failed
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tabulate import tabulate

from scripts.lib.base.command import Parser, run_job
from scripts.lib.base.errors import BenchError
from scripts.lib.base.layout import CELLS, FIDELITY
from scripts.lib.base.results_tree import drop, linked_folders
from scripts.lib.execution.run_record import RUN_VARIABLE
from scripts.lib.fidelity.plan import fidelity_plan, seconds
from scripts.lib.fidelity.tree import (
    drop_failed_cells,
    drop_fidelity,
    orphaned,
    states_by_configuration,
)
from scripts.lib.machine.process import alone_in_checkout
from scripts.lib.machine.profiles import load_hardware
from scripts.lib.planning.disk import drop_cell, load_planner, load_plans
from scripts.lib.planning.plan import Shard
from scripts.lib.planning.prediction import (
    Measured,
    hours_text,
    predict,
    read_measured,
    shard_seconds,
    table_damage,
)
from scripts.lib.results.states import (
    CellState,
    State,
    cell_states,
    drop_failed,
    orphans,
    why_stale,
)
from scripts.lib.settings.run_config import Config, load_config

MOST_CHANGES = 20
FIDELITY_STATES = (State.VALID, State.FAILED, State.DAMAGED, State.NEW)
# (profile, model, mode): a folder of cells, which both engines share.
Folder = tuple[str, str, str]


def planned_states(config: Config) -> list[CellState]:
    """The state of every planned cell."""
    return list(cell_states(load_plans(config)))


def _by_folder(paths: Iterable[Path]) -> Counter[Folder]:
    """The number of cells among these files, by folder."""
    parts = (path.relative_to(CELLS).parts for path in paths if path.is_relative_to(CELLS))
    return Counter((profile, model, mode) for profile, model, mode, *_ in parts)


def _time(shard: Shard, missing: Sequence[CellState], measured: Measured) -> tuple[float, str, str]:
    """How long a shard's missing cells take: seconds, as text, and the basis of the estimate."""
    if not missing or not shard.runnable:
        return 0.0, "cannot run here" if missing else "", ""
    seconds = shard_seconds(shard, [state.cell for state in missing], measured)
    return seconds, hours_text(seconds), predict(shard, measured).basis.value


def _unplanned_rows(lost: Counter[Folder], here: str) -> Iterator[list[object]]:
    """Rows of folders in which nothing is planned; a profile other than `here` is named."""
    for (profile, model, mode), number in sorted(lost.items()):
        name = model if profile == here else f"{model} ({profile})"
        yield ["", name, mode, *("" for _ in State), number, "", ""]


def _preview_table(
    states: list[CellState], orphaned: Iterable[Path], here: str
) -> tuple[str, float]:
    """The table of shards, and the seconds that all missing cells take."""
    measured, lost = read_measured(), _by_folder(orphaned)
    by_shard: dict[str, list[CellState]] = defaultdict(list)
    for state in states:
        by_shard[state.shard.name].append(state)
    rows, total_s = list[list[object]](), 0.0
    for of_shard in by_shard.values():
        shard, counts = of_shard[0].shard, Counter(state.state for state in of_shard)
        missing = [state for state in of_shard if state.state in (State.NEW, State.STALE)]
        seconds, *time = _time(shard, missing, measured)
        total_s += seconds
        # Both engines share a folder: its orphans are counted in its first row only.
        number = lost.pop((shard.hardware.name, shard.model.key, shard.mode.name), "")
        by_state = (counts[state] or "" for state in State)
        rows.append([shard.engine, shard.model.key, shard.mode.name, *by_state, number, *time])
    rows += _unplanned_rows(lost, here)
    names = [state.value for state in State]
    headers = ["engine", "model", "mode", *names, "orphaned", "at most", "by the speed"]
    return tabulate(rows, headers, tablefmt="simple"), total_s


def _preview(arguments: argparse.Namespace) -> None:
    config = config_of(arguments)
    states, orphaned = planned_states(config), _all_orphans(config)
    table, total_s = _preview_table(states, orphaned, load_hardware(config.hardware).name)
    print(table)
    compared_s = _preview_fidelity(config)
    for problem in table_damage():
        print(problem, file=sys.stderr)
    counts = Counter(state.state for state in states)
    by_state = ", ".join(f"{counts[state]} {state.value}" for state in State)
    print(f"\n{by_state}; to run: at most {hours_text(total_s + compared_s)}")
    if counts[State.DAMAGED]:
        print(
            "damaged cells: list them with: python -m scripts.verify; "
            "measure them again with: snakemake -j8 retry_failed"
        )
    changed = Counter(str(change) for state in states for change in why_stale(state))
    for change, times in changed.most_common(MOST_CHANGES):
        print(f"stale by {change} ({times} cells)")
    if orphaned:
        cells = _by_folder(orphaned).total()
        print(
            f"{len(orphaned)} orphaned files ({cells} of them cells): snakemake orphans lists them"
        )


def _preview_fidelity(config: Config) -> float:
    """Print the table of comparisons of distributions; returns the seconds of the missing ones."""
    if not config.fidelity.measure:
        return 0.0
    plan, measured, total_s = fidelity_plan(load_planner(config)), read_measured(), 0.0
    runnable = {one.name: one for one in plan.runnable}
    rows = list[list[object]]()
    for one, counts in states_by_configuration(plan):
        time = "cannot run here" if counts[State.NEW] else ""
        if one.name in runnable:
            needed_s = seconds(one, runnable[one.name].pending(), measured)
            total_s += needed_s
            time = hours_text(needed_s) if needed_s else ""
        above = "/".join(one.reference.key) if one.reference is not None else ""
        rows.append([*one.key, above, *(counts[state] or "" for state in FIDELITY_STATES), time])
    names = [state.value for state in FIDELITY_STATES]
    print(f"\n{tabulate(rows, ['model', 'mode', 'reference', *names, 'at most'], 'simple')}")
    for item in plan.left_out:
        print(f"no fidelity: {item.model} {item.mode}: {item.reason}")
    return total_s


def _all_orphans(config: Config) -> tuple[Path, ...]:
    return (*orphans(config), *orphaned(config))


def _orphans(arguments: argparse.Namespace) -> None:
    found = _all_orphans(config_of(arguments))
    for path in found:
        print(path)
    _name_links()
    print(f"{len(found)} orphaned files", file=sys.stderr)


def _name_links() -> None:
    for link in linked_folders():
        print(f"left alone: {link}: is a link; nothing behind it is ever deleted", file=sys.stderr)


def _prune(arguments: argparse.Namespace) -> None:
    _alone(arguments)
    found = _all_orphans(config_of(arguments))
    for path in found:
        if not arguments.yes:
            print(f"would delete: {path}")
            continue
        try:
            _drop_of(path)(path)
            print(f"deleted: {path}")
        except BenchError as error:
            print(f"left alone: {error}", file=sys.stderr)
    _name_links()
    hint = "" if arguments.yes or not found else "; nothing is deleted yet: add --yes"
    print(f"{len(found)} orphaned files{hint}", file=sys.stderr)


def _drop_of(path: Path) -> Callable[[Path], None]:
    """How a file of that folder is deleted."""
    if path.is_relative_to(FIDELITY):
        return drop_fidelity
    return drop_cell if path.is_relative_to(CELLS) else drop


def _drop_failed(arguments: argparse.Namespace) -> None:
    """Delete failed and damaged cells, and the reviews that show them."""
    _alone(arguments)
    config = config_of(arguments)
    dropped = drop_failed(load_plans(config), arguments.yes)
    dropped += drop_failed_cells(fidelity_plan(load_planner(config)), arguments.yes)
    for file in dropped:
        print(f"{'dropped' if arguments.yes else 'would drop'}: {file}")
    print(f"{len(dropped)} failed or damaged cells", file=sys.stderr)


def _alone(arguments: argparse.Namespace) -> None:
    """Refuse to delete while a run is active: it may just have made the file.

    If a rule calls the command, the checkout is locked by that rule's own run.
    """
    if arguments.yes and not os.environ.get(RUN_VARIABLE):
        alone_in_checkout()


def add_options(parser: Parser) -> None:
    """Add the options that choose which cells are planned."""
    parser.add_configfile()
    words = "a profile of config/hardware/ (default: the configuration's)"
    parser.add_argument("--hardware", metavar="NAME", help=words)


def config_of(arguments: argparse.Namespace) -> Config:
    """The configuration that these options name. Raises BenchError if it is not valid."""
    config = load_config(tuple(arguments.configfile))
    return replace(config, hardware=arguments.hardware) if arguments.hardware else config


def parser() -> Parser:
    """The command line."""
    parser = Parser("scripts.cells", __doc__)
    add_options(parser)
    words = "count cells by state, predict their time, and show what made cells stale"
    parser.add_subcommand("preview", _preview, words)
    words = "list the files that no configuration plans"
    parser.add_subcommand("orphans", _orphans, words)
    for name, run, words in (
        ("prune", _prune, "delete the orphans"),
        ("drop_failed", _drop_failed, "delete the cells that failed or are damaged"),
    ):
        command = parser.add_subcommand(name, run, words)
        words = "delete the files (default: only list them)"
        command.add_argument("--yes", action="store_true", help=words)
    return parser


if __name__ == "__main__":
    run_job(parser())
