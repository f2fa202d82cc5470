"""Run the missing cells of one shard (model x decoding mode) and store each as it is finished."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from scripts.lib.cell_spec import loaded_projector
from scripts.lib.config import load_config
from scripts.lib.engine_build import server_binary
from scripts.lib.engines import Engine, EngineSettings, Loaded, make_engine
from scripts.lib.errors import BenchError, run_cli
from scripts.lib.executor import Job, finish, missing, restore, run
from scripts.lib.machine import alone_on_machine, die_with_parent
from scripts.lib.pinning import pin
from scripts.lib.plan import Cell, Planner, Shard, find_shard, make_plan
from scripts.lib.plan_files import LOCK_FILE, for_model, load_planner
from scripts.lib.provenance import environment, store_environment
from scripts.lib.review import drop_reviews
from scripts.lib.run_record import INTERRUPTED, RUN_VARIABLE, RunRecord, current_run_id
from scripts.lib.weights import WeightsLock

LOGS = Path("benchmarks/results/logs/infer")
READY_TIMEOUT_S = 600.0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scripts.infer", description=__doc__)
    parser.add_argument("--model", required=True, help="a key under roles: in the registry")
    parser.add_argument("--mode", default="baseline", help="a decoding mode (python -m scripts.plan lists them)")
    parser.add_argument("--engine", choices=("embedded", "server"), help="default: the configuration's first")
    parser.add_argument(
        "--question", action="append", default=[], metavar="SUITE/ID", help="only this cell; repeatable"
    )
    parser.add_argument("--log", type=Path, help="where the engine's own output goes")
    parser.add_argument("--configfile", action="append", default=[], type=Path, help="laid over config/config.yaml")
    return parser.parse_args()


def _check_questions(shard: Shard, names: frozenset[str]) -> None:
    planned = {f"{cell.id.suite}/{cell.id.question}" for cell in shard.cells}
    if names - planned:
        raise BenchError(f"{shard.name}: no question {', '.join(sorted(names - planned))}; planned: {sorted(planned)}")


def _engine_settings(planner: Planner, log: Path) -> EngineSettings:
    timeout_s = planner.registry.defaults.server_startup_timeout_s or READY_TIMEOUT_S
    return EngineSettings(planner.engine.binary or server_binary(), log, timeout_s)


def _job(planner: Planner, shard: Shard) -> Job:
    def describe(loaded: Loaded) -> str:
        facts = {"system_info": str(loaded.effective.get("system_info", "")), **loaded.build}
        return store_environment(environment(shard.hardware, planner.engine, facts))

    config, run_id = planner.config, current_run_id()
    recorder = RunRecord(Path(), run_id, config.to_json())
    return Job(shard, Path(), config.cell_timeout_s, run_id, describe, recorder)


def _run(job: Job, engine: Engine, cells: Sequence[Cell]) -> None:
    outcome = INTERRUPTED
    try:
        failed = run(job, engine, cells)
        outcome = f"finished, {failed} cells failed" if failed else "finished"
    finally:
        job.recorder.summarise(outcome)


def _remember_weights(planner: Planner, shard: Shard) -> None:
    """Put the weights that were measured into the lock, so that the cells can be planned where the files are not."""
    lock, draft = WeightsLock.load(LOCK_FILE), planner.registry.models.get(shard.mode.draft or "")
    measured = (
        (shard.model.path, shard.weights),
        (draft.path if draft is not None else None, shard.draft),
        (shard.model.mmproj_path, loaded_projector(shard.weights, shard.engine)),
    )
    for name, weights in measured:
        if name and weights is not None and weights.facts is not None:
            lock = lock.updated(name, weights.facts)
    lock.save()


def main() -> int:
    arguments = _arguments()
    if os.environ.get(RUN_VARIABLE):
        die_with_parent()
    planner = load_planner(load_config(tuple(arguments.configfile)))
    planner = for_model(planner, arguments.model, arguments.engine)
    plan = make_plan(planner)
    shard = find_shard(plan, arguments.model, arguments.mode)
    only = frozenset(arguments.question)
    _check_questions(shard, only)
    pin(shard.hardware)
    job = _job(planner, shard)
    with alone_on_machine(f"{Path.cwd().name}: {shard.name}"):
        restore(job)
        cells = missing(job, only)
        if cells:
            drop_reviews(plan, shard)
            log = arguments.log or LOGS / f"{shard.name}.log"
            _run(job, make_engine(shard.engine, _engine_settings(planner, log)), cells)
    if not missing(job):
        finish(job)
        _remember_weights(planner, shard)
    return 0


if __name__ == "__main__":
    run_cli(main)
