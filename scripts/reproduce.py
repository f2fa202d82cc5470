"""Measure a sample of stored cells again, and compare answers and times.

The sample is drawn with a seed from the valid cells that can run here. The new cells and the report
are written to benchmarks/results/reproductions/; the stored cells stay as they are.

for example:
  python -m scripts.reproduce --sample 20 --seed 1
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.lib.base.command import Parser, run_job
from scripts.lib.base.errors import INTERRUPTED_EXIT, BenchError
from scripts.lib.base.layout import ENVIRONMENTS, REPRODUCTIONS
from scripts.lib.base.process_lifetime import starter_of_others
from scripts.lib.base.safe_files import write_atomic
from scripts.lib.compare.reproduction import Equality, Pair, choose, to_csv, to_json, to_markdown
from scripts.lib.execution.run_record import current_run_id
from scripts.lib.machine.environment_record import read_environment
from scripts.lib.machine.process import StopRequest
from scripts.lib.planning.cell_record import read_cell
from scripts.lib.planning.disk import load_plans
from scripts.lib.planning.prediction import hours_text, read_measured, shard_seconds
from scripts.lib.results.states import CellState, Change, cell_states, changes
from scripts.lib.settings.run_config import Config, load_config


def _sample(config: Config, count: int, seed: int) -> dict[str, list[CellState]]:
    """Shard -> its sampled cells. Raises BenchError if no cell can be measured again."""
    states = cell_states(load_plans(config))
    by_shard: dict[str, list[CellState]] = {}
    for state in choose(states, count, seed):
        by_shard.setdefault(state.shard.name, []).append(state)
    if not by_shard:
        raise BenchError(
            "reproduce: no valid cell of this configuration can be run here; "
            "snakemake preview lists the cells by state"
        )
    return by_shard


def _argv(cells: Sequence[CellState], folder: Path, arguments: argparse.Namespace) -> list[str]:
    shard = cells[0].shard
    argv = [sys.executable, "-m", "scripts.infer", "--engine", shard.engine]
    argv += ["--model", shard.model.key, "--mode", shard.mode.name, "--beside", str(folder)]
    argv += ["--log", str(arguments.log)] if arguments.log else []
    argv += [part for file in arguments.configfile for part in ("--configfile", str(file))]
    return [*argv, *(part for state in cells for part in ("--cell", state.cell.digest))]


def _pair(state: CellState, folder: Path, stopped: bool) -> Pair:
    stored = f"{state.shard.folder}/{state.cell.file_name}"
    new = folder / stored
    return Pair(read_cell(Path(stored)), read_cell(new) if new.is_file() else None, stopped)


def _differences(pairs: Sequence[Pair], folder: Path) -> list[Change]:
    """How the new environment differs from that of the stored cells; each change once.

    Stored cells without an environment record are left out.
    """
    found: dict[str, Change] = {}
    digests = {(p.old.environment, p.new.environment) for p in pairs if p.new is not None}
    for old, new in digests:
        if (ENVIRONMENTS / f"{old}.json").is_file():
            _, before = read_environment(old)
            _, after = read_environment(new, folder / ENVIRONMENTS)
            found |= {str(change): change for change in changes(before, after)}
    return list(found.values())


def _measure(
    by_shard: Mapping[str, Sequence[CellState]], folder: Path, arguments: argparse.Namespace
) -> tuple[list[str], list[str]]:
    """Measure shard by shard, each in a process of its own, until a stop is requested.

    Returns the shards whose job failed, and those whose job was stopped or never started.
    """
    failed, stopped = [], []
    with StopRequest() as stop:
        for name, cells in by_shard.items():
            argv = _argv(cells, folder, arguments)
            code = None if stop.asked else subprocess.Popen(argv, env=starter_of_others()).wait()
            if code is None or (code != 0 and stop.asked):
                stopped.append(name)
            elif code != 0:
                failed.append(name)
    return failed, stopped


def _write(folder: Path, title: str, pairs: Sequence[Pair], differences: Sequence[Change]) -> None:
    report = to_markdown(title, pairs, differences)
    write_atomic(folder / "report.md", report)
    write_atomic(folder / "pairs.csv", to_csv(pairs))
    write_atomic(folder / "report.json", json.dumps(to_json(pairs, differences), indent=2) + "\n")
    print(report)
    print(f"{folder}/report.md, report.json, pairs.csv", file=sys.stderr)


def main(arguments: argparse.Namespace) -> int:
    """Measure the sample and write the report; the exit code is 130 after an interrupt."""
    config = load_config(tuple(arguments.configfile))
    count = arguments.sample if arguments.sample is not None else config.sample
    seed = arguments.seed if arguments.seed is not None else config.sampling.seed
    by_shard = _sample(config, count, seed)
    shards, measured = [cells[0].shard for cells in by_shard.values()], read_measured()
    seconds = sum(shard_seconds(s, [c.cell for c in by_shard[s.name]], measured) for s in shards)
    cells = [state for states in by_shard.values() for state in states]
    print(
        f"reproduce: {len(cells)} cells in {len(by_shard)} shards, at most {hours_text(seconds)}",
        file=sys.stderr,
    )
    hardware = shards[0].hardware.name
    folder = REPRODUCTIONS / hardware / current_run_id()
    failed, stopped = _measure(by_shard, folder, arguments)
    pairs = [_pair(state, folder, state.shard.name in stopped) for state in cells]
    title = f"{folder.name} on {hardware}, sample {count}, seed {seed}"
    _write(folder, title, pairs, _differences(pairs, folder))
    if failed:
        names = ", ".join(failed)
        print(f"error: {len(failed)} shards could not be measured: {names}", file=sys.stderr)
        return 1
    not_reached = sum(pair.equality is Equality.NOT_REACHED for pair in pairs)
    if not_reached:
        print(f"interrupted: {not_reached} cells were not reached", file=sys.stderr)
        return INTERRUPTED_EXIT
    return 0


def parser() -> Parser:
    """The command line."""
    parser = Parser("scripts.reproduce", __doc__, main)
    words = "the number of cells (default: `sample` of the configuration)"
    parser.add_argument("--sample", type=int, metavar="N", help=words)
    words = "the seed of the sample (default: sampling.seed of the configuration)"
    parser.add_argument("--seed", type=int, metavar="N", help=words)
    words = "file for the engines' own output"
    parser.add_argument("--log", type=Path, metavar="FILE", help=words)
    parser.add_configfile()
    return parser


if __name__ == "__main__":
    run_job(parser())
