"""Make the tables of benchmarks/results/ from the reviews.

These are summary.csv (the predecessor's columns), instrument.csv (the judges as instruments),
pairs.csv (setups that judges compared) and the tidy tables in benchmarks/results/tables/.

for example:
  python -m scripts.tabulate
"""

from __future__ import annotations

import argparse
from pathlib import Path

from scripts.lib.base.command import Parser, run_job
from scripts.lib.base.layout import INSTRUMENT, PAIRS_TABLE, SUMMARY, TABLES
from scripts.lib.base.results_tree import drop
from scripts.lib.base.safe_files import write_atomic
from scripts.lib.judging.instrument import instrument_csv
from scripts.lib.judging.pair_checks import all_reports
from scripts.lib.judging.pairs import pair_results, pairs_csv
from scripts.lib.settings.run_config import load_config
from scripts.lib.tables.load import load_parts
from scripts.lib.tables.summary import summary_csv
from scripts.lib.tables.tidy import TIDY, tidy_csv


def main(arguments: argparse.Namespace) -> None:
    """Write every table, then the stamp of the plan that they were made for."""
    parts = load_parts(load_config())
    write_atomic(SUMMARY, summary_csv([c for part in parts for c in part.setups]))
    write_atomic(INSTRUMENT, instrument_csv(all_reports()))
    results = pair_results([part.plan for part in parts])
    write_atomic(PAIRS_TABLE, pairs_csv(results))
    for name in TIDY:
        write_atomic(TABLES / f"{name}.csv", tidy_csv(name, parts))
    if arguments.stamp is not None:
        for old in arguments.stamp.parent.glob("plan.*.json"):
            drop(old)
        write_atomic(arguments.stamp, "{}\n")


def parser() -> Parser:
    """The command line."""
    parser = Parser("scripts.tabulate", __doc__, main)
    words = "also write this empty file, named by the plan's digest; older ones are deleted"
    parser.add_argument("--stamp", type=Path, metavar="FILE", help=words)
    return parser


if __name__ == "__main__":
    run_job(parser())
