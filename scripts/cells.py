"""Look after the results tree: preview what would run and why, explain cells, list and delete orphans, drop failures."""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from tabulate import tabulate

from scripts.lib.cell_state import CellState, State, cell_states, drop_failed, orphans, why_stale
from scripts.lib.config import Config, load_config
from scripts.lib.errors import BenchError, run_cli
from scripts.lib.plan import make_plan
from scripts.lib.plan_files import load_planner, planners
from scripts.lib.prediction import hours_text, predict, read_measured, shard_seconds
from scripts.lib.records import read_cell

MOST_CHANGES = 20


def _states(config: Config) -> list[CellState]:
    return list(cell_states(make_plan(planner) for planner in planners(load_planner(config))))


def _preview(config: Config, arguments: argparse.Namespace) -> int:
    """Cells per model and mode by state, the time that the missing ones take, and which changes made cells stale."""
    states, measured = _states(config), read_measured()
    rows, total_s, changed = [], 0.0, Counter[str]()
    by_shard: dict[str, list[CellState]] = defaultdict(list)
    for state in states:
        by_shard[state.shard.name].append(state)
    for of_shard in by_shard.values():
        shard, counts = of_shard[0].shard, Counter(state.state for state in of_shard)
        missing = [state.cell for state in of_shard if state.state in (State.NEW, State.STALE)]
        seconds = shard_seconds(shard, missing, measured) if shard.runnable else 0.0
        total_s += seconds
        how = predict(shard, measured).basis.value if missing and shard.runnable else ""
        time = hours_text(seconds) if missing and shard.runnable else "cannot run here" if missing else ""
        rows.append([shard.engine, shard.model.key, shard.mode.name, *(counts[s] or "" for s in State), time, how])
        for state in of_shard:
            changed.update(str(change) for change in why_stale(state))
    headers = ["engine", "model", "mode", *(state.value for state in State), "at most", "by the speed"]
    print(tabulate(rows, headers, tablefmt="simple"))
    counts = Counter(state.state for state in states)
    print(f"\n{', '.join(f'{counts[s]} {s.value}' for s in State)}; to run: at most {hours_text(total_s)}")
    for change, number in changed.most_common(MOST_CHANGES):
        print(f"stale by {change} ({number} cells)")
    lost = orphans(config)
    if lost:
        print(f"{len(lost)} orphaned files: snakemake orphans lists them")
    return 0


def _explain(config: Config, arguments: argparse.Namespace) -> int:
    """Each cell that fits the pattern: its state, its file, and what changed."""
    pattern, found = arguments.pattern, 0
    for state in _states(config):
        name = str(state.cell.id)
        short = name.partition("/")[2]
        fits = any(fnmatchcase(text, pattern) or fnmatchcase(text, f"*{pattern}*") for text in (name, short))
        if not fits and pattern not in (state.cell.digest, f"{state.shard.folder}/{state.cell.file_name}"):
            continue
        found += 1
        print(f"{name} ({state.shard.engine}): {state.state}")
        print(f"  file: {state.shard.folder}/{state.cell.file_name}")
        for change in why_stale(state):
            print(f"  {change}")
        if state.state is State.STALE:
            print(f"  the cell of before: {state.file}")
        if state.file is not None and state.state in (State.VALID, State.FAILED):
            record = read_cell(state.file)
            said = f": {record.error}" if record.error else ""
            print(f"  measured {record.started_utc}, run {record.run_id}, {record.status}{said}")
    if not found:
        raise BenchError(
            f"no planned cell fits '{pattern}'; a cell is HARDWARE/MODEL/MODE/SUITE/QUESTION, * is allowed"
        )
    return 0


def _orphans(config: Config, arguments: argparse.Namespace) -> int:
    found = orphans(config)
    for path in found:
        print(path)
    print(f"{len(found)} orphaned files", file=sys.stderr)
    return 0


def _prune(config: Config, arguments: argparse.Namespace) -> int:
    found = orphans(config)
    for path in found:
        print(f"{'deleted' if arguments.yes else 'would delete'}: {path}")
        if arguments.yes:
            path.unlink()
    hint = "" if arguments.yes or not found else "; nothing is deleted yet: add --yes"
    print(f"{len(found)} orphaned files{hint}", file=sys.stderr)
    return 0


def _drop_failed(config: Config, arguments: argparse.Namespace) -> int:
    """Delete the cells whose status is not `ok`, and the reviews that show them, so that the next run measures again."""
    dropped = drop_failed((make_plan(planner) for planner in planners(load_planner(config))), arguments.yes)
    for file in dropped:
        print(f"{'dropped' if arguments.yes else 'would drop'}: {file}")
    print(f"{len(dropped)} failed cells", file=sys.stderr)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scripts.cells", description=__doc__)
    parser.add_argument("--configfile", action="append", default=[], type=Path, help="laid over config/config.yaml")
    parser.add_argument("--hardware", help="another hardware profile")
    commands = parser.add_subparsers(required=True)
    commands.add_parser("preview", help="cells by state, hours, and what made cells stale").set_defaults(run=_preview)
    explain = commands.add_parser("explain", help="the state of the cells that fit a pattern, and why")
    explain.add_argument("pattern", help="HARDWARE/MODEL/MODE/SUITE/QUESTION or a part of it, * allowed; or a digest")
    explain.set_defaults(run=_explain)
    commands.add_parser("orphans", help="files that no configuration names").set_defaults(run=_orphans)
    for name, run, words in (
        ("prune", _prune, "delete the orphans"),
        ("drop_failed", _drop_failed, "delete the cells that failed"),
    ):
        command = commands.add_parser(name, help=words)
        command.add_argument("--yes", action="store_true", help="really")
        command.set_defaults(run=run)
    return parser.parse_args()


def main() -> int:
    arguments = _arguments()
    config = load_config(tuple(arguments.configfile))
    if arguments.hardware:
        config = replace(config, hardware=arguments.hardware)
    code: int = arguments.run(config, arguments)
    return code


if __name__ == "__main__":
    run_cli(main)
