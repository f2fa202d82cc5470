"""Show each setup's trend over the runs, and where it regressed.

Reads the records of the runs (benchmarks/results/runs/), and the cells of runs that left no record.
Each run is compared with the runs before it, on the same questions. A run is a change point if the
difference is shown to exceed the threshold. The list also names what changed in spec and
environment since the same questions were last measured.

for example:
  python -m scripts.history
  python -m scripts.history --model 'smollm2_*' --metric ttft_s --threshold 10 --all
  python -m scripts.history --format csv > history.csv
  python -m scripts.history --figure history.svg
"""

from __future__ import annotations

import argparse
from pathlib import Path

from scripts.lib.base.command import Parser, run_command
from scripts.lib.base.errors import BenchError, suggest, tell_left_out
from scripts.lib.base.globs import matches
from scripts.lib.base.layout import RESULTS
from scripts.lib.base.safe_files import write_atomic
from scripts.lib.compare.gates import METRICS, Gate, read_noise
from scripts.lib.compare.observations import Observation, from_run, from_tree, run_ids
from scripts.lib.compare.pairing import QUALITY
from scripts.lib.compare.rescoring import load_rescorer
from scripts.lib.compare.trend_report import change_lines, every_run, overview, trends_csv
from scripts.lib.compare.trends import gather, trends
from scripts.lib.settings.run_config import load_config


def _wanted(item: Observation, arguments: argparse.Namespace) -> bool:
    cell = item.cell
    pairs = (
        (cell.model, arguments.model),
        (cell.mode, arguments.mode),
        (cell.hardware, arguments.hardware),
    )
    return all(matches(name, tuple(patterns or ["*"])) for name, patterns in pairs)


def _check(arguments: argparse.Namespace) -> None:
    """Raise BenchError for an option whose value is not valid."""
    if arguments.metric not in METRICS:
        near = suggest(arguments.metric, METRICS)
        raise BenchError(f"--metric: no metric '{arguments.metric}'{near}")
    if not 0 <= arguments.threshold < 100:
        raise BenchError(
            f"--threshold: expected 0 or more and less than 100, found {arguments.threshold:g}"
        )
    if arguments.figure is not None and arguments.figure.suffix != ".svg":
        raise BenchError(f"--figure: expected a name that ends in .svg, found '{arguments.figure}'")


def main(arguments: argparse.Namespace) -> int:
    """Print the trends; the exit code is 1 if damaged records were left out."""
    _check(arguments)
    unit, worse = METRICS[arguments.metric]
    gate = Gate(arguments.metric, worse, arguments.threshold, unit)
    tree = from_tree("tree", RESULTS)
    recorded = [from_run(name, RESULTS) for name in run_ids(RESULTS)]
    incomplete = tell_left_out(p for observed in (tree, *recorded) for p in observed.damaged)
    kept = {
        name: [item for item in items if _wanted(item, arguments)]
        for name, items in gather(recorded, tree).items()
    }
    noise = read_noise({item.cell.hardware for items in kept.values() for item in items})
    scorer = load_rescorer(load_config()) if gate.metric == QUALITY else None
    points = trends(kept, gate, noise, tree.environments, scorer)
    if not points:
        raise BenchError(f"{RESULTS}: no run measured {gate.metric} of the setups asked for")
    if arguments.format == "csv":
        print(trends_csv(points, gate), end="")
    else:
        markdown = arguments.format == "markdown"
        print((every_run if arguments.all else overview)(points, gate, markdown))
        print(
            f"\nChanges of more than {gate.size:g} {gate.unit}:",
            *change_lines(points, gate, markdown),
            sep="\n",
        )
    if arguments.figure is not None:
        # Imported here, since Matplotlib takes a second to load.
        from scripts.lib.compare.trend_picture import picture

        write_atomic(arguments.figure, picture(points, gate))
    return incomplete


def parser() -> Parser:
    """The command line."""
    parser = Parser("scripts.history", __doc__, main)
    metric = "decode_tokens_per_s"
    words = f"one of {', '.join(METRICS)} (default: {metric})"
    parser.add_argument("--metric", default=metric, metavar="NAME", help=words)
    words = "what counts as a change: percent, or points for quality (default: 3)"
    parser.add_argument("--threshold", type=float, default=3.0, metavar="X", help=words)
    for name in ("model", "mode", "hardware"):
        words = f"only this {name}; a pattern, repeatable"
        parser.add_argument(f"--{name}", action="append", metavar="PATTERN", help=words)
    parser.add_argument("--all", action="store_true", help="list every run, not only an overview")
    parser.add_format("table", "markdown", "csv")
    parser.add_argument("--figure", type=Path, metavar="FILE", help="also draw an SVG picture")
    return parser


if __name__ == "__main__":
    run_command(parser())
