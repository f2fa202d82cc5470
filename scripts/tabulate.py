"""Reviews -> summary.csv (the predecessor's columns), instrument.csv, and the tidy tables of benchmarks/results/tables/."""

from __future__ import annotations

if __name__ == "__main__" and not __package__:
    from _as_module import go_on

    go_on(__file__)

import argparse
from pathlib import Path

from scripts.lib.base.errors import run_cli
from scripts.lib.base.layout import INSTRUMENT, SUMMARY, TABLES
from scripts.lib.base.process_lifetime import die_with_starter
from scripts.lib.base.results_tree import drop
from scripts.lib.base.safe_files import write_atomic
from scripts.lib.judging.instrument import instrument_csv, series_reports
from scripts.lib.settings.run_config import load_config
from scripts.lib.tables.load import load_parts
from scripts.lib.tables.summary import summary_csv
from scripts.lib.tables.tidy import TIDY, tidy_csv


def main() -> int:
    die_with_starter()
    parser = argparse.ArgumentParser(prog="python -m scripts.tabulate", description=__doc__)
    parser.add_argument(
        "--stamp", type=Path, help="file to leave as the mark of this plan; older ones are removed"
    )
    arguments = parser.parse_args()
    parts = load_parts(load_config())
    write_atomic(SUMMARY, summary_csv([c for part in parts for c in part.setups]))
    write_atomic(INSTRUMENT, instrument_csv(series_reports()))
    for name in TIDY:
        write_atomic(TABLES / f"{name}.csv", tidy_csv(name, parts))
    if arguments.stamp is not None:
        for old in arguments.stamp.parent.glob("plan.*.json"):
            drop(old)
        write_atomic(arguments.stamp, "{}\n")
    return 0


if __name__ == "__main__":
    run_cli(main)
