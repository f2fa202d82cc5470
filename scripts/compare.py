"""Compare two sets of results on the same questions: what changed in the numbers, in the specs and in the environments.

A and B are each a run (its folder's name in benchmarks/results/runs/), a hardware profile, a folder
with a results tree, an engine version, or a git revision (read without touching the checkout);
`run:`, `hardware:`, `folder:`, `engine:` or `git:` in front says which. Effects are B against A, so
a negative one means that B is less.

  python -m scripts.compare v1.2 HEAD python -m scripts.compare 2026-11-24_120000 2026-11-25_120000
  --gate "decode_tokens_per_s -3%" --gate "quality -2pt"

Exit code: 0 when every gate passed on every setup of A, 3 when one tripped, 1 when none did
but one could not be judged (a setup that B lacks, that failed there, or with too few shared
questions; --model and --mode narrow both sides), nothing could be compared, or stored records are
damaged and left out, 2 for a command line that was not understood.
"""

from __future__ import annotations

from scripts.lib.base.layout import RESULTS

if __name__ == "__main__" and not __package__:
    from _as_module import go_on

    go_on(__file__)

import argparse
import sys
from collections import Counter
from dataclasses import replace

from scripts.lib.base.errors import BenchError, run_cli, tell_left_out
from scripts.lib.base.estimates import Comparison
from scripts.lib.base.globs import matches
from scripts.lib.compare.gates import (
    METRICS,
    TRIPPED_EXIT_CODE,
    Gate,
    Outcome,
    judge,
    parse_gate,
    read_noise,
)
from scripts.lib.compare.observations import Observations, resolve
from scripts.lib.compare.pairing import Compared, Key, pair
from scripts.lib.compare.report import report, report_csv
from scripts.lib.compare.rescoring import load_rescorer
from scripts.lib.settings.run_config import load_config


def _narrowed(side: Observations, arguments: argparse.Namespace) -> Observations:
    items = tuple(
        i
        for i in side.items
        if matches(i.cell.model, arguments.model) and matches(i.cell.mode, arguments.mode)
    )
    return replace(side, items=items)


def _effects(compared: Compared, gate: Gate) -> list[tuple[Key, Comparison | None]]:
    """The effect on each setup; None for one of A that B does not have: silence about it is no pass."""
    return [
        *((row.key, row.effects[gate.metric]) for row in compared.rows),
        *((key, None) for key in compared.unpaired[0]),
    ]


def _gated(compared: Compared, gates: list[Gate]) -> int:
    """Judge every gate, tell what each says, and give the exit code. Raises BenchError where one could not judge."""
    hardware = {item.cell.hardware for side in (compared.a, compared.b) for item in side.items}
    noise = read_noise(hardware)
    if gates and not noise:
        print(f"gates: not calibrated on {', '.join(sorted(hardware))}: whole runs may differ by more than their questions "
              "show; measure it: python -m benchmarks.harness.gate_calibration", file=sys.stderr)  # fmt: skip
    judged = [
        judgement for gate in gates for judgement in judge(gate, _effects(compared, gate), noise)
    ]
    for judgement in judged:
        print(judgement, file=sys.stderr if judgement.outcome is Outcome.NOT_JUDGED else sys.stdout)
    outcomes = Counter(judgement.outcome for judgement in judged)
    if outcomes[Outcome.TRIPPED]:
        return TRIPPED_EXIT_CODE
    if outcomes[Outcome.NOT_JUDGED]:
        raise BenchError(
            f"{outcomes[Outcome.NOT_JUDGED]} of {len(judged)} judgements could not be made: too few questions that both sides "
            "measured (narrow both sides by --model and --mode where that is meant)"
        )
    return 0


def _arguments() -> argparse.Namespace:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m scripts.compare", description=__doc__, formatter_class=form
    )
    parser.add_argument("a", metavar="A", help="what was before")
    parser.add_argument("b", metavar="B", help="what is compared with it")
    words = f"trip where the effect is shown to be beyond a threshold; metrics: {', '.join(METRICS)}; repeatable"
    parser.add_argument("--gate", action="append", default=[], metavar='"METRIC -X%"', help=words)
    parser.add_argument("--model", action="append", help="only these models (patterns; repeatable)")
    parser.add_argument("--mode", action="append", help="only these modes (patterns; repeatable)")
    parser.add_argument("--no-quality", action="store_true", help="score no answers: speeds only")
    parser.add_argument("--format", choices=("table", "markdown", "csv"), default="table")
    arguments = parser.parse_args()
    arguments.model, arguments.mode = (
        tuple(arguments.model or ["*"]),
        tuple(arguments.mode or ["*"]),
    )
    return arguments


def main() -> int:
    arguments = _arguments()
    gates = [parse_gate(text) for text in arguments.gate]
    if arguments.no_quality and any(gate.metric == "quality" for gate in gates):
        raise BenchError("--no-quality: a gate on quality needs scored answers")
    scorer = None if arguments.no_quality else load_rescorer(load_config())
    sides = [_narrowed(resolve(name, RESULTS), arguments) for name in (arguments.a, arguments.b)]
    incomplete = tell_left_out(problem for side in sides for problem in side.damaged)
    compared = pair(sides[0], sides[1], scorer)
    if not compared.pairings:
        raise BenchError(
            f"nothing to compare: no model, mode and question is in both '{arguments.a}' ({len(sides[0].items)} cells) and "
            f"'{arguments.b}' ({len(sides[1].items)} cells)"
        )
    print(
        report_csv(compared)
        if arguments.format == "csv"
        else report(compared, arguments.format == "markdown")
    )
    return _gated(compared, gates) or incomplete


if __name__ == "__main__":
    run_cli(main)
