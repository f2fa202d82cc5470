"""Check which known quirks this engine version still has.

A probe checks whether a quirk of the registry is still there. Probes without an outcome for this
version are run; QUIRKS.md shows the outcomes.

for example:
  python -m scripts.probe --again
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tqdm import tqdm

from scripts.lib.base.command import Parser, run_job
from scripts.lib.base.layout import LOGS
from scripts.lib.execution.probes import planned_probes, run_probe
from scripts.lib.llama_build.build import server_binary
from scripts.lib.machine.process import alone_on_machine
from scripts.lib.planning.disk import load_planner
from scripts.lib.results.probe_outcomes import store_outcome
from scripts.lib.settings.run_config import load_config

LOG = LOGS / "probes/server.log"


def main(arguments: argparse.Namespace) -> None:
    """Run the probes one after the other and store each outcome."""
    planner = load_planner(load_config())
    planned = {Path(file): quirk for file, quirk in planned_probes(planner).items()}
    todo = {f: quirk for f, quirk in planned.items() if arguments.again or not f.is_file()}
    with alone_on_machine(f"{Path.cwd().name}: probes"):
        for file, quirk in tqdm(todo.items(), desc="probes", unit="probe", disable=None):
            store_outcome(file, run_probe(quirk, planner, server_binary(), LOG))


def parser() -> Parser:
    """The command line."""
    parser = Parser("scripts.probe", __doc__, main)
    words = "also run the probes that already have an outcome"
    parser.add_argument("--again", action="store_true", help=words)
    return parser


if __name__ == "__main__":
    run_job(parser())
