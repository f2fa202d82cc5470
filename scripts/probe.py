"""Run the probes of known quirks that have no outcome for this engine version yet."""

from __future__ import annotations

from scripts.lib.base.layout import LOGS

if __name__ == "__main__" and not __package__:
    from _as_module import go_on

    go_on(__file__)

import argparse
from pathlib import Path

from tqdm import tqdm

from scripts.lib.base.errors import run_cli
from scripts.lib.base.process_lifetime import die_with_starter
from scripts.lib.execution.probes import planned_probes, run_probe
from scripts.lib.llama_build.build import server_binary
from scripts.lib.machine.process import alone_on_machine
from scripts.lib.planning.disk import load_planner
from scripts.lib.results.probe_outcomes import store_outcome
from scripts.lib.settings.run_config import load_config

LOG = LOGS / "probes/server.log"


def main() -> int:
    die_with_starter()
    parser = argparse.ArgumentParser(prog="python -m scripts.probe", description=__doc__)
    parser.add_argument("--again", action="store_true", help="also those that have an outcome")
    arguments = parser.parse_args()
    planner = load_planner(load_config())
    todo = {
        file: q
        for file, q in planned_probes(planner).items()
        if arguments.again or not Path(file).is_file()
    }
    with alone_on_machine(f"{Path.cwd().name}: probes"):
        for file, quirk in tqdm(todo.items(), desc="probes", unit="probe", disable=None):
            store_outcome(Path(file), run_probe(quirk, planner, server_binary(), LOG))
    return 0


if __name__ == "__main__":
    run_cli(main)
