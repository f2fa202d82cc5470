"""Look after the results tree: preview what would run and why, explain cells, list and delete orphans, drop failures."""

from __future__ import annotations

if __name__ == "__main__" and not __package__:
    from _as_module import go_on

    go_on(__file__)

import argparse
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from tabulate import tabulate

from scripts.lib.base.errors import BenchError, run_cli
from scripts.lib.base.layout import CELLS
from scripts.lib.base.process_lifetime import die_with_starter
from scripts.lib.base.results_tree import drop, linked_folders
from scripts.lib.base.stored_json import Damaged
from scripts.lib.execution.run_record import RUN_VARIABLE
from scripts.lib.machine.process import alone_in_checkout
from scripts.lib.machine.profiles import load_hardware
from scripts.lib.planning.cell_record import read_cell
from scripts.lib.planning.disk import drop_cell, load_planner, planners
from scripts.lib.planning.plan import Shard, make_plan
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
PATTERN_HELP = (
    "HARDWARE/MODEL/MODE/SUITE/QUESTION or a part of it, * allowed; a digest; or a cell's file"
)


def _states(config: Config) -> list[CellState]:
    return list(cell_states(make_plan(planner) for planner in planners(load_planner(config))))


# (profile, model, mode): a folder of cells, which both engines share.
Folder = tuple[str, str, str]


def _by_folder(paths: Iterable[Path]) -> Counter[Folder]:
    """How many cells there are among these files, by folder."""
    parts = (path.relative_to(CELLS).parts for path in paths if path.is_relative_to(CELLS))
    return Counter((profile, model, mode) for profile, model, mode, *_ in parts)


def _time(shard: Shard, missing: Sequence[CellState], measured: Measured) -> tuple[float, str, str]:
    """What the missing cells of a shard take: seconds, the same for people, and what it rests on."""
    if not missing or not shard.runnable:
        return 0.0, "cannot run here" if missing else "", ""
    seconds = shard_seconds(shard, [state.cell for state in missing], measured)
    return seconds, hours_text(seconds), predict(shard, measured).basis.value


def _lost_rows(lost: Counter[Folder], here: str) -> Iterator[list[object]]:
    """The rows of folders that nothing is planned in; those of another profile than `here` name it."""
    for (profile, model, mode), number in sorted(lost.items()):
        name = model if profile == here else f"{model} ({profile})"
        yield ["", name, mode, *("" for _ in State), number, "", ""]


def _preview(config: Config, arguments: argparse.Namespace) -> int:
    """Cells per model and mode by state, the time that the missing ones take, and which changes made cells stale."""
    states, measured, orphaned = _states(config), read_measured(), orphans(config)
    lost = _by_folder(orphaned)
    orphaned_cells = lost.total()
    rows, total_s = list[list[object]](), 0.0
    by_shard: dict[str, list[CellState]] = defaultdict(list)
    for state in states:
        by_shard[state.shard.name].append(state)
    for of_shard in by_shard.values():
        shard, counts = of_shard[0].shard, Counter(state.state for state in of_shard)
        missing = [state for state in of_shard if state.state in (State.NEW, State.STALE)]
        seconds, *time = _time(shard, missing, measured)
        total_s += seconds
        # Both engines' cells are in one folder: its orphans stand in the first row of it.
        number = lost.pop((shard.hardware.name, shard.model.key, shard.mode.name), "")
        by_state = (counts[state] or "" for state in State)
        rows.append([shard.engine, shard.model.key, shard.mode.name, *by_state, number, *time])
    rows += _lost_rows(lost, load_hardware(config.hardware).name)
    headers = [
        "engine",
        "model",
        "mode",
        *(state.value for state in State),
        "orphaned",
        "at most",
        "by the speed",
    ]
    print(tabulate(rows, headers, tablefmt="simple"))
    for problem in table_damage():
        print(problem, file=sys.stderr)
    counts = Counter(state.state for state in states)
    print(
        f"\n{', '.join(f'{counts[s]} {s.value}' for s in State)}; to run: at most {hours_text(total_s)}"
    )
    if counts[State.DAMAGED]:
        print(
            "damaged cells are named by: python -m scripts verify; measured again by: snakemake -j8 retry_failed"
        )
    changed = Counter(str(change) for state in states for change in why_stale(state))
    for change, times in changed.most_common(MOST_CHANGES):
        print(f"stale by {change} ({times} cells)")
    if orphaned:
        print(
            f"{len(orphaned)} orphaned files ({orphaned_cells} of them cells): snakemake orphans lists them"
        )
    return 0


def _what_it_says(file: Path) -> str:
    """When a cell was measured and how it ended, or why it cannot be read."""
    try:
        record = read_cell(file)
    except Damaged as damage:
        return damage.problem.message
    said = f": {record.error}" if record.error else ""
    return f"measured {record.started_utc}, run {record.run_id}, {record.status}{said}"


def explain(config: Config, arguments: argparse.Namespace) -> int:
    """Each cell that fits the pattern: its state, its file, and what changed."""
    pattern, found = arguments.pattern, 0
    for state in _states(config):
        name = str(state.cell.id)
        short = name.partition("/")[2]
        fits = any(
            fnmatchcase(text, pattern) or fnmatchcase(text, f"*{pattern}*")
            for text in (name, short)
        )
        if not fits and pattern not in (
            state.cell.digest,
            f"{state.shard.folder}/{state.cell.file_name}",
        ):
            continue
        found += 1
        print(f"{name} ({state.shard.engine}): {state.state}")
        print(f"  file: {state.shard.folder}/{state.cell.file_name}")
        for change in why_stale(state):
            print(f"  {change}")
        if state.state is State.STALE:
            print(f"  the cell of before: {state.file}")
        if state.file is not None and state.state is not State.STALE:
            print(f"  {_what_it_says(state.file)}")
    if not found:
        raise BenchError(
            f"no planned cell fits '{pattern}'; a cell is HARDWARE/MODEL/MODE/SUITE/QUESTION, * is allowed"
        )
    return 0


def _orphans(config: Config, arguments: argparse.Namespace) -> int:
    found = orphans(config)
    for path in found:
        print(path)
    _tell_links()
    print(f"{len(found)} orphaned files", file=sys.stderr)
    return 0


def _tell_links() -> None:
    for link in linked_folders():
        print(f"left alone: {link}: is a link; what is behind it is never deleted", file=sys.stderr)


def _delete(path: Path) -> None:
    if path.is_relative_to(CELLS):
        drop_cell(path)
    else:
        drop(path)
    print(f"deleted: {path}")


def _prune(config: Config, arguments: argparse.Namespace) -> int:
    found = orphans(config)
    for path in found:
        if not arguments.yes:
            print(f"would delete: {path}")
            continue
        try:
            _delete(path)
        except BenchError as error:
            print(f"left alone: {error}", file=sys.stderr)
    _tell_links()
    hint = "" if arguments.yes or not found else "; nothing is deleted yet: add --yes"
    print(f"{len(found)} orphaned files{hint}", file=sys.stderr)
    return 0


def _drop_failed(config: Config, arguments: argparse.Namespace) -> int:
    """Delete the failed and damaged cells, and the reviews that show them, so that the next run measures again."""
    dropped = drop_failed(
        (make_plan(planner) for planner in planners(load_planner(config))), arguments.yes
    )
    for file in dropped:
        print(f"{'dropped' if arguments.yes else 'would drop'}: {file}")
    print(f"{len(dropped)} failed or damaged cells", file=sys.stderr)
    return 0


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that tell which cells are asked for."""
    parser.add_argument(
        "--configfile", action="append", default=[], type=Path, help="laid over config/config.yaml"
    )
    parser.add_argument("--hardware", help="another hardware profile")


def config_of(arguments: argparse.Namespace) -> Config:
    """The configuration that these options tell. Raises BenchError where it is none."""
    config = load_config(tuple(arguments.configfile))
    return replace(config, hardware=arguments.hardware) if arguments.hardware else config


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scripts.cells", description=__doc__)
    add_options(parser)
    commands = parser.add_subparsers(required=True)
    commands.add_parser(
        "preview", help="cells by state, hours, and what made cells stale"
    ).set_defaults(run=_preview)
    command = commands.add_parser(
        "explain", help="the state of the cells that fit a pattern, and why"
    )
    command.add_argument("pattern", help=PATTERN_HELP)
    command.set_defaults(run=explain)
    commands.add_parser("orphans", help="files that no configuration names").set_defaults(
        run=_orphans
    )
    for name, run, words in (
        ("prune", _prune, "delete the orphans"),
        ("drop_failed", _drop_failed, "delete the cells that failed or are damaged"),
    ):
        command = commands.add_parser(name, help=words)
        command.add_argument("--yes", action="store_true", help="really")
        command.set_defaults(run=run)
    return parser.parse_args()


def main() -> int:
    die_with_starter()
    arguments = _arguments()
    # By hand, beside a run, it could delete what a job has just made; where a rule calls it, its
    # run holds the checkout.
    if getattr(arguments, "yes", False) and not os.environ.get(RUN_VARIABLE):
        alone_in_checkout()
    code: int = arguments.run(config_of(arguments), arguments)
    return code


if __name__ == "__main__":
    run_cli(main)
