"""The trend of each setup over the runs, with regressions marked at the run that brought them.

Reads the runs' records (benchmarks/results/runs/) and the cells of runs that left none. A run is
compared with the runs before it on the same questions; it is a change point where the difference is
shown to be beyond the threshold. Beside it stands what changed in spec and environment since the
same questions were measured before.

  python -m scripts.history
  python -m scripts.history --model 'smollm2_*' --metric ttft_s --threshold 10 --all
  python -m scripts.history --format csv > history.csv
  python -m scripts.history --figure history.svg
"""

from __future__ import annotations

from scripts.lib.base.layout import RESULTS

if __name__ == "__main__" and not __package__:
    from _as_module import go_on

    go_on(__file__)

import argparse
from pathlib import Path

from scripts.lib.base.errors import BenchError, run_cli, suggest, tell_left_out
from scripts.lib.base.globs import matches
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


def _arguments() -> argparse.Namespace:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m scripts.history", description=__doc__, formatter_class=form
    )
    parser.add_argument(
        "--metric", default="decode_tokens_per_s", help=f"one of {', '.join(METRICS)}"
    )
    words = "how much counts as a change: per cent, of quality points (default: 3)"
    parser.add_argument("--threshold", type=float, default=3.0, metavar="X", help=words)
    for name in ("model", "mode", "hardware"):
        parser.add_argument(
            f"--{name}", action="append", help=f"only this {name} (pattern; repeatable)"
        )
    parser.add_argument("--all", action="store_true", help="every run, and not only an overview")
    parser.add_argument("--format", choices=("table", "markdown", "csv"), default="table")
    parser.add_argument("--figure", type=Path, metavar="FILE", help="draw it too (.svg)")
    return parser.parse_args()


def main() -> int:
    arguments = _arguments()
    if arguments.metric not in METRICS:
        raise BenchError(
            f"--metric: no metric '{arguments.metric}'{suggest(arguments.metric, METRICS)}"
        )
    if not 0 <= arguments.threshold < 100:
        raise BenchError(
            f"--threshold: expected 0 or more and less than 100, found {arguments.threshold:g}"
        )
    if arguments.figure is not None and arguments.figure.suffix != ".svg":
        raise BenchError(f"--figure: expected a name that ends in .svg, found '{arguments.figure}'")
    unit, worse = METRICS[arguments.metric]
    gate = Gate(arguments.metric, worse, arguments.threshold, unit)
    tree = from_tree("tree", RESULTS)
    recorded = [from_run(name, RESULTS) for name in run_ids(RESULTS)]
    incomplete = tell_left_out(
        problem for observed in (tree, *recorded) for problem in observed.damaged
    )
    runs = gather(recorded, tree)
    kept = {
        name: [item for item in items if _wanted(item, arguments)] for name, items in runs.items()
    }
    noise = read_noise({item.cell.hardware for items in kept.values() for item in items})
    scorer = load_rescorer(load_config()) if gate.metric == QUALITY else None
    points = trends(kept, gate, noise, tree.environments, scorer)
    if not points:
        raise BenchError(f"{RESULTS}: no run measured {gate.metric} of what is asked for")
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
        # Matplotlib takes a second to load: only where a picture is wanted.
        from scripts.lib.compare.trend_picture import picture

        write_atomic(arguments.figure, picture(points, gate))
    return incomplete


if __name__ == "__main__":
    run_cli(main)
