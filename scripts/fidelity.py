"""Compare next-token distributions with those of a reference.

Each block of text is stored as soon as it is finished. `snakemake results_fidelity` runs this
command for each configuration, references first.

for example:
  python -m scripts.fidelity --model smollm2_135m_q8_0 --configfile config/fidelity.yaml
"""

from __future__ import annotations

import argparse
from pathlib import Path

from scripts.lib.base.command import Parser, run_job
from scripts.lib.base.layout import ENVIRONMENTS, LOGS
from scripts.lib.engines.protocol import Loaded
from scripts.lib.execution.run_record import current_run_id
from scripts.lib.fidelity.plan import Configuration, fidelity_plan
from scripts.lib.llama_build.build import engine_facts
from scripts.lib.llama_build.identity import engine_identity
from scripts.lib.machine.environment_record import environment, store_environment
from scripts.lib.machine.pinning import pin
from scripts.lib.machine.preflight import Preflight
from scripts.lib.machine.process import alone_on_machine
from scripts.lib.planning.disk import load_planner
from scripts.lib.planning.weights_guard import WeightsGuard
from scripts.lib.settings.run_config import load_config


def _environment(one: Configuration, loaded: Loaded) -> str:
    """Store the state of machine and software; returns its digest.

    Nothing is timed, so the machine need not be quiet and is not checked.
    """
    identity = engine_identity(one.shard.engine)
    info = {"system_info": str(loaded.effective.get("system_info", ""))}
    facts = {**info, **engine_facts(identity)}
    record = environment(one.shard.hardware, identity, facts, Preflight(looked=False).record())
    return store_environment(record, ENVIRONMENTS)


def main(arguments: argparse.Namespace) -> None:
    """Measure what is missing, alone on the machine."""
    config = load_config(tuple(arguments.configfile))
    plan = fidelity_plan(load_planner(config))
    one = plan.find(arguments.model, arguments.mode)
    # After the plan: it loads llama.cpp's libraries.
    from scripts.lib.engines.embedded import EmbeddedEngine
    from scripts.lib.fidelity.run import FidelityJob, finish, report_failures, restore, run

    pin(one.shard.hardware)
    guard = WeightsGuard(one.shard)
    job = FidelityJob(
        one, Path(), current_run_id(), lambda loaded: _environment(one, loaded), guard
    )
    with alone_on_machine(f"{Path.cwd().name}: fidelity {one.name}"):
        restore(job)
        missing = one.pending()
        if missing:
            engine_facts(engine_identity(one.shard.engine))
            log = arguments.log or LOGS / f"fidelity/{one.name}.log"
            engine = EmbeddedEngine(log, every_token=True)
            report_failures(one.name, run(job, engine, missing))
    if not one.pending():
        finish(job)


def parser() -> Parser:
    """The command line."""
    parser = Parser("scripts.fidelity", __doc__, main)
    parser.add_model_and_mode()
    words = "file for the engine's own output (default: below benchmarks/results/logs/)"
    parser.add_argument("--log", type=Path, metavar="FILE", help=words)
    parser.add_configfile()
    return parser


if __name__ == "__main__":
    run_job(parser())
