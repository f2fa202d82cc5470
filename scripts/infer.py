"""Run the missing cells of one shard (model x decoding mode) and store each as it is finished."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from scripts.lib.config import load_config
from scripts.lib.engine_build import server_binary
from scripts.lib.engines import EngineSettings, Loaded, make_engine
from scripts.lib.errors import BenchError, run_cli
from scripts.lib.executor import Job, drop_reviews, finish, missing, restore, run
from scripts.lib.machine import alone_on_machine, die_with_parent, pin
from scripts.lib.plan import Planner, Shard, find_shard, for_model, load_planner, make_plan
from scripts.lib.provenance import environment, store_environment
from scripts.lib.review import REVIEWS
from scripts.lib.run_record import RUN_VARIABLE, RunRecord, current_run_id

LOGS = Path("benchmarks/results/logs/infer")
READY_TIMEOUT_S = 600.0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scripts.infer", description=__doc__)
    parser.add_argument("--model", required=True, help="a key under roles: in the registry")
    parser.add_argument("--mode", default="baseline", help="a decoding mode (python -m scripts.plan lists them)")
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


def engine_settings(planner: Planner, log: Path) -> EngineSettings:
    """Log, llama-server and loading time of this shard's engine."""
    defaults = planner.registry.defaults
    return EngineSettings(server_binary(), log, float(defaults.server_defaults.get("startup_timeout", READY_TIMEOUT_S)))


def main() -> int:
    arguments = _arguments()
    if os.environ.get(RUN_VARIABLE):
        die_with_parent()
    config = load_config(tuple(arguments.configfile))
    planner = for_model(load_planner(config), arguments.model)
    shard = find_shard(make_plan(planner), arguments.model, arguments.mode)
    only = frozenset(arguments.question)
    _check_questions(shard, only)
    pin(shard.hardware)

    def describe(loaded: Loaded) -> str:
        facts = {"system_info": str(loaded.effective.get("system_info", "")), **loaded.build}
        return store_environment(environment(shard.hardware, planner.engine, facts))

    run_id = current_run_id()
    recorder = RunRecord(Path(), run_id, config.to_json())
    job = Job(shard, Path(), config.cell_timeout_s, run_id, describe, recorder)
    with alone_on_machine(f"{Path.cwd().name}: {shard.name}"):
        restore(job)
        cells = missing(job, only)
        if cells:
            drop_reviews(job, REVIEWS)
            outcome = "interrupted"
            try:
                failed = run(
                    job,
                    make_engine(config.engine, engine_settings(planner, arguments.log or LOGS / f"{shard.name}.log")),
                    cells,
                )
                outcome = f"finished, {failed} cells failed" if failed else "finished"
            finally:
                recorder.summarise(outcome)
    if not missing(job):
        finish(job)
    return 0


if __name__ == "__main__":
    run_cli(main)
