"""Which route should a suite take: the same sample of questions put to a frontdoor, a specialist and an architect.

The questions are drawn per suite, spread over the tiers, the same ones for the same seed. The pipeline runs what is missing
(cells and reviews as Snakemake's targets, one entry after the other); a finished sample costs nothing when it is asked for
again. In benchmarks/results/routing/HARDWARE/SAMPLE/ stand success per question and action, P(success | action, suite) with its
interval, the cost-aware reward, and the recommended route per suite.

  python -m scripts.benchmark.seed_specialist_routing --3way --suites math coder --sample-size 10 --seed 0 --dry-run
  python -m scripts.benchmark.seed_specialist_routing --3way --suites all --sample-size 10
  python -m scripts.benchmark.seed_specialist_routing --stats
"""

from __future__ import annotations

if __name__ == "__main__" and not __package__:
    import runpy
    from pathlib import Path

    runpy.run_path(str(Path(__file__).resolve().parents[1] / "_as_module.py"))["go_on"](__file__)

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from scripts.lib.config import merged, parse_config, read_layers
from scripts.lib.errors import BenchError, run_cli
from scripts.lib.hardware import load_hardware
from scripts.lib.plan_files import load_planner
from scripts.lib.prediction import hours_text, read_measured, shard_seconds
from scripts.lib.records import now_utc, write_atomic
from scripts.lib.routing import ACTIONS, EVERY_SUITE, HOW_TO_CHOOSE, Sample, draw_sample, wanted_suites
from scripts.lib.routing_report import outcome_lines, routes_csv, routes_of, routes_table, summary_page
from scripts.lib.routing_session import (
    OUTCOMES,
    ROUTING,
    Part,
    outcomes_csv,
    outcomes_of,
    parts_of,
    read_outcomes,
    run_part,
)


def _overrides(arguments: argparse.Namespace) -> dict[str, dict[str, str]]:
    """KEY or SUITE=KEY of each action's option, by action and suite."""
    found: dict[str, dict[str, str]] = {}
    for action in ACTIONS:
        for text in getattr(arguments, action):
            suite, _, key = text.rpartition("=")
            found.setdefault(action, {})[suite or EVERY_SUITE] = key
    return found


def _print_sample(sample: Sample) -> None:
    for suite, actions in sample.routes.items():
        entries = ", ".join(f"{action} {model.key}" for action, model in actions.items())
        print(f"{suite}: {len(sample.questions[suite])} questions: {entries}")
        print("  " + " ".join(f"{q.id} (tier {q.tier})" for q in sample.questions[suite]))
    for item in sample.absent:
        print(f"{item.suite}: no {item.action}: {item.reason}", file=sys.stderr)
    if sample.absent:
        print(HOW_TO_CHOOSE, file=sys.stderr)


def _dry_run(parts: Sequence[Part], verbose: bool) -> int:
    """What the pipeline would run, entry by entry, and for how long at most."""
    measured = read_measured()
    for part in parts:
        todo = part.pending()
        time = f", at most {hours_text(shard_seconds(part.shard, todo, measured))}" if todo else ""
        print(f"{part.key}: {len(todo)} of {len(part.shard.cells)} cells are to be run{time}")
        if verbose:
            with tempfile.TemporaryDirectory() as scratch:
                run_part(part, Path(scratch), dry_run=True, verbose=True)
    return 0


def _run(raw: dict[str, Any], arguments: argparse.Namespace) -> int:
    config = parse_config(raw)
    planner = load_planner(replace(config, tiers=(1, 2, 3), suites=("*",), questions=("*",)))
    suites = wanted_suites(planner, arguments.suites)
    sample = draw_sample(planner, suites, arguments.sample_size, arguments.seed, _overrides(arguments))
    _print_sample(sample)
    parts = parts_of(sample, raw)
    if arguments.dry_run:
        return _dry_run(parts, arguments.debug)
    folder = ROUTING / planner.hardware.name / sample.name
    whole = [run_part(part, folder, dry_run=False, verbose=arguments.debug) for part in parts]
    for part in (part for part, done in zip(parts, whole, strict=True) if not done):
        print(f"{part.key}: not everything was run; what is missing gives no reward", file=sys.stderr)
    outcomes = outcomes_of(sample, parts)
    routes = routes_of(outcomes)
    write_atomic(folder / OUTCOMES, outcomes_csv(outcomes, now_utc("microseconds")))
    write_atomic(folder / "routes.csv", routes_csv(routes))
    write_atomic(folder / "summary.md", summary_page(sample.name, planner.hardware.name, routes))
    if arguments.debug:
        print("\n".join(outcome_lines(outcomes)))
    print(routes_table(routes))
    print(f"written: {folder}")
    return 0 if all(whole) else 1


def _stats(hardware: str) -> None:
    """All samples of the profile together, each frontdoor of a suite by itself."""
    folder = ROUTING / hardware
    groups = read_outcomes(folder)
    if not groups:
        raise BenchError(f"{folder}: no sample was run on this profile yet; run one: --3way --suites … --sample-size …")
    print(routes_table(route for outcomes in groups for route in routes_of(outcomes)))


def _arguments() -> argparse.Namespace:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m scripts.benchmark.seed_specialist_routing", description=__doc__, formatter_class=form
    )
    parser.add_argument(
        "--3way", dest="three_way", action="store_true", help="compare frontdoor, specialist and architect"
    )
    parser.add_argument("--suites", nargs="+", default=["all"], metavar="S", help="suites, or all (the default)")
    parser.add_argument("--sample-size", type=int, default=10, metavar="N", help="questions per suite (default: 10)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the sample (default: 0)")
    parser.add_argument("--dry-run", action="store_true", help="show the sample and what would run; nothing is run")
    parser.add_argument("--debug", action="store_true", help="show every outcome, and all that Snakemake says")
    parser.add_argument(
        "--stats", action="store_true", help="show what all samples say together; runs nothing by itself"
    )
    for action in ACTIONS:
        words = f"the entry that is the {action}; KEY, or SUITE=KEY; repeatable (default: by candidate_roles)"
        parser.add_argument(f"--{action}", action="append", default=[], metavar="KEY", help=words)
    parser.add_argument("--hardware", help="another hardware profile")
    parser.add_argument("--configfile", action="append", default=[], type=Path, help="laid over config/config.yaml")
    return parser.parse_args()


def main() -> int:
    arguments = _arguments()
    if not (arguments.three_way or arguments.stats):
        raise BenchError("say what to do: --3way (run a sample) or --stats (show what the samples say)")
    if arguments.sample_size < 1:
        raise BenchError(f"--sample-size: expected at least 1 question per suite, found {arguments.sample_size}")
    layers = read_layers(arguments.configfile)
    raw = merged(layers)
    parse_config(raw, sources=layers)
    if arguments.hardware:
        raw["hardware"] = arguments.hardware
    code = _run(raw, arguments) if arguments.three_way else 0
    if arguments.stats and not arguments.dry_run:
        _stats(load_hardware(parse_config(raw).hardware).name)
    return code


if __name__ == "__main__":
    run_cli(main)
