"""Run the missing cells of one shard (a model in one decoding mode).

Each cell is stored as soon as it is finished. `snakemake results` runs this command for each shard.

for example:
  python -m scripts.infer --model smollm2_135m_q4_1
  python -m scripts.infer --model smollm2_135m_q4_1 --mode lookup_n3 --question math/t1_q1_apples
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import psutil

from scripts.lib.base.command import Parser, run_job
from scripts.lib.base.errors import BenchError, suggest
from scripts.lib.base.layout import ENVIRONMENTS, LOGS, RUNS
from scripts.lib.base.locks import locked
from scripts.lib.base.progress import without_monitor
from scripts.lib.base.stored_json import Damaged, believed
from scripts.lib.engines.factory import EngineSettings, make_engine
from scripts.lib.engines.protocol import Engine, Loaded
from scripts.lib.execution.run_display import ShardDisplay
from scripts.lib.execution.run_plan import RunPlan, make_run_plan, read_run_plan, shard_plan
from scripts.lib.execution.run_record import RunEnd, RunRecord, current_run_id, read_rows, summarise
from scripts.lib.execution.run_view import stored_cell
from scripts.lib.executor import Job, finish, missing, restore, run
from scripts.lib.llama_build.build import engine_facts, server_binary
from scripts.lib.machine.environment_record import environment, store_environment
from scripts.lib.machine.pinning import pin
from scripts.lib.machine.preflight import Preflight, enforce, once_an_invocation
from scripts.lib.machine.process import alone_on_machine
from scripts.lib.planning.cell_spec import loaded_projector
from scripts.lib.planning.disk import LOCK_FILE, for_model, load_planner
from scripts.lib.planning.memory import shard_bytes
from scripts.lib.planning.plan import Cell, Planner, Shard, find_shard, make_plan
from scripts.lib.planning.prediction import read_measured, shard_times
from scripts.lib.planning.weights_guard import WeightsGuard
from scripts.lib.results.review import drop_reviews
from scripts.lib.settings.run_config import Config, load_config
from scripts.lib.weights.facts import WeightsLock

READY_TIMEOUT_S = 600.0


def _only(shard: Shard, questions: frozenset[str], digests: frozenset[str]) -> frozenset[str]:
    """The names that narrow the shard's cells. Raises BenchError for one that is not planned."""
    names = {f"{cell.id.suite}/{cell.id.question}" for cell in shard.cells}
    planned = {cell.digest for cell in shard.cells}
    if unknown := sorted(questions - names):
        raise BenchError(
            f"{shard.name}: no question {', '.join(unknown)}; planned: {sorted(names)}"
        )
    if unknown := sorted(digests - planned):
        near = suggest(unknown[0], planned)
        raise BenchError(f"{shard.name}: no cell {', '.join(unknown)} in the plan{near}")
    return questions | digests


def _engine_settings(planner: Planner, log: Path) -> EngineSettings:
    timeout_s = planner.registry.defaults.server_startup_timeout_s or READY_TIMEOUT_S
    return EngineSettings(planner.engine.binary or server_binary(), log, timeout_s)


def _preflight(config: Config, shard: Shard) -> Preflight:
    """The checks of the machine before this shard.

    Raises BenchError if the machine is not quiet and the configuration refuses that.
    """
    seen = once_an_invocation(current_run_id(), shard.hardware, config.preflight)
    seen = seen.with_memory(shard_bytes(shard), psutil.virtual_memory().available)
    if seen.findings:
        print(f"preflight: {'; '.join(map(str, seen.findings))}", file=sys.stderr)
    enforce(seen, config.preflight)
    return seen


def _job(planner: Planner, shard: Shard, root: Path) -> Job:
    config, run_id = planner.config, current_run_id()
    recorder = RunRecord(root, run_id, config.to_json())
    return Job(shard, root, run_id, lambda _: "", recorder, WeightsGuard(shard))


def _described(job: Job, planner: Planner, preflight: Preflight) -> Job:
    """The job, with the machine's state added to its cells' environment and to the run's record."""

    def describe(loaded: Loaded) -> str:
        # Called after every load: an engine that is started again must be the same one.
        facts = {
            "system_info": str(loaded.effective.get("system_info", "")),
            **engine_facts(planner.engine),
        }
        record = environment(job.shard.hardware, planner.engine, facts, preflight.record())
        return store_environment(record, job.root / ENVIRONMENTS)

    recorder = RunRecord(
        job.root, job.run_id, planner.config.to_json() | {"preflight": preflight.figures()}
    )
    return replace(job, describe_environment=describe, recorder=recorder)


def _display(job: Job, cells: Sequence[Cell], log: Path, is_beside: bool) -> ShardDisplay:
    """Shows these cells of the job, beside the others of the run that Snakemake has planned."""
    own = shard_plan(job.shard, shard_times(job.shard, cells, read_measured()))
    plan = make_run_plan(job.run_id, [own])
    planned = None if is_beside else _planned_run(job.run_id)
    if planned is not None and own.name in (shard.name for shard in planned.shards):
        shards = (own if shard.name == own.name else shard for shard in planned.shards)
        plan = replace(planned, shards=tuple(shards))
    # Damaged rows are named in the run's summary.
    found = believed(read_rows(job.root / RUNS / job.run_id).rows, stored_cell, [])
    return ShardDisplay(
        job.recorder, plan, own, (row for row in found if row.shard != own.name), log
    )


def _planned_run(run_id: str) -> RunPlan | None:
    """The plan of the run that this shard belongs to; None if there is none to be read."""
    try:
        plan = read_run_plan()
    except (FileNotFoundError, Damaged):
        return None
    return plan if plan.run_id == run_id else None


def _run(job: Job, engine: Engine, cells: Sequence[Cell]) -> None:
    end, remark = RunEnd.CUT_OFF, ""
    try:
        failed = run(job, engine, cells)
        end, remark = RunEnd.FINISHED, f", {failed} cells failed" if failed else ""
    except KeyboardInterrupt:
        end = RunEnd.INTERRUPTED
        raise
    finally:
        summarise(job.root / RUNS / job.run_id, end, remark)


def _remember_weights(planner: Planner, shard: Shard) -> None:
    """Put the measured weights into the lock; cells can then be planned without the files."""
    draft = planner.registry.models.get(shard.mode.draft or "")
    measured = (
        (shard.model.path, shard.weights),
        (draft.path if draft is not None else None, shard.draft),
        (shard.model.mmproj_path, loaded_projector(shard.weights, shard.engine)),
    )
    with locked(Path(".cache/weights.lock")):
        lock = WeightsLock.load(LOCK_FILE)
        for name, weights in measured:
            if name and weights is not None and weights.facts is not None:
                lock = lock.updated(name, weights.facts)
        lock.save()


def main(arguments: argparse.Namespace) -> None:
    """Measure what is missing, alone on the machine."""
    without_monitor()
    planner = load_planner(load_config(tuple(arguments.configfile)))
    planner = for_model(planner, arguments.model, arguments.engine)
    plan = make_plan(planner)
    shard = find_shard(plan, arguments.model, arguments.mode)
    only = _only(shard, frozenset(arguments.question), frozenset(arguments.cell))
    pin(shard.hardware)
    job = _job(planner, shard, arguments.beside or Path())
    with alone_on_machine(f"{Path.cwd().name}: {shard.name}"):
        restore(job)
        cells = missing(job, only)
        if cells:
            # The plan was made before the wait for the lock, which can take hours. If weights or
            # engine have changed since then, this fails.
            job.guard.check()
            engine_facts(planner.engine)
            job = _described(job, planner, _preflight(planner.config, shard))
            if not arguments.beside:
                # Before the first cell is stored: a cell whose weights are unknown cannot be
                # planned, so it would be pruned.
                _remember_weights(planner, shard)
                drop_reviews(plan, shard)
            log = arguments.log or LOGS / f"infer/{shard.name}.log"
            engine = make_engine(shard.engine, _engine_settings(planner, log))
            with _display(job, cells, log, bool(arguments.beside)) as display:
                _run(replace(job, recorder=display), engine, cells)
    if arguments.beside or not missing(job):
        finish(job)


def parser() -> Parser:
    """The command line."""
    parser = Parser("scripts.infer", __doc__, main)
    parser.add_model_and_mode()
    parser.add_engine()
    for name, metavar, words in (
        ("question", "SUITE/ID", "only this question; repeatable"),
        ("cell", "DIGEST", "only the cell with this digest; repeatable"),
    ):
        parser.add_argument(f"--{name}", action="append", default=[], metavar=metavar, help=words)
    words = "file for the engine's own output (default: below benchmarks/results/logs/)"
    parser.add_argument("--log", type=Path, metavar="FILE", help=words)
    words = "measure into another results tree; nothing changes here"
    parser.add_argument("--beside", type=Path, metavar="FOLDER", help=words)
    parser.add_configfile()
    return parser


if __name__ == "__main__":
    run_job(parser())
