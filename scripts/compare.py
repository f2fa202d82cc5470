"""Compare two sets of results: numbers, specs and environments.

Only questions that both sides measured are compared. A and B are each a run (the name of a folder
in benchmarks/results/runs/), a hardware profile, a folder with a results tree, an engine version,
or a git revision (the checkout stays as it is). If a name is ambiguous, put `run:`, `hardware:`,
`folder:`, `engine:` or `git:` in front. Effects are changes from A to B: a negative one means that
B has the lower value.

for example:
  python -m scripts.compare v1.2 HEAD
  python -m scripts.compare 2026-11-24_120000 2026-11-25_120000 --model 'smollm2_*'
  python -m scripts.compare HEAD~5 HEAD --gate "decode_tokens_per_s -3%" --gate "quality -2pt"

exit codes:
  0  every gate passed on every setup of A
  1  a gate could not be judged: B lacks the setup, it failed there, or too few questions are
     shared (--model and --mode narrow both sides); or nothing could be compared; or stored
     records are damaged and left out
  2  the command line was not understood
  3  a gate tripped
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import replace

from scripts.lib.base.command import Parser, run_command
from scripts.lib.base.errors import BenchError, tell_left_out
from scripts.lib.base.estimates import Comparison
from scripts.lib.base.globs import matches
from scripts.lib.base.layout import RESULTS
from scripts.lib.compare.gates import (
    METRICS,
    TRIPPED_EXIT_CODE,
    Gate,
    GateOutcome,
    judge,
    parse_gate,
    read_noise,
)
from scripts.lib.compare.observations import Observations, resolve
from scripts.lib.compare.pairing import KL, Compared, Key, pair
from scripts.lib.compare.report import report, report_csv
from scripts.lib.compare.rescoring import load_rescorer
from scripts.lib.settings.run_config import load_config


def _narrowed(side: Observations, arguments: argparse.Namespace) -> Observations:
    models, modes = (tuple(p or ["*"]) for p in (arguments.model, arguments.mode))
    items = (i for i in side.items if matches(i.cell.model, models) and matches(i.cell.mode, modes))
    divergences = (
        one for one in side.divergences if matches(one.model, models) and matches(one.mode, modes)
    )
    return replace(side, items=tuple(items), divergences=tuple(divergences))


def _effects(compared: Compared, gate: Gate) -> list[tuple[Key, Comparison | None]]:
    """The effect on each setup of A; None, with which no gate passes, if B lacks the setup."""
    if gate.metric == KL:
        return compared.divergences
    return [
        *((row.key, row.effects[gate.metric]) for row in compared.rows),
        *((key, None) for key in compared.unpaired[0]),
    ]


def _gated(compared: Compared, gates: list[Gate]) -> int:
    """Judge every gate, print the judgements, and return the exit code.

    Raises BenchError if a gate could not be judged and none tripped.
    """
    hardware = {item.cell.hardware for side in (compared.a, compared.b) for item in side.items}
    noise = read_noise(hardware)
    if gates and not noise:
        print(
            f"gates: not calibrated on {', '.join(sorted(hardware))}: whole runs may differ by "
            "more than their questions show; measure it with: "
            "python -m benchmarks.harness.gate_calibration",
            file=sys.stderr,
        )
    judged = [
        judgement for gate in gates for judgement in judge(gate, _effects(compared, gate), noise)
    ]
    for judgement in judged:
        print(
            judgement,
            file=sys.stderr if judgement.outcome is GateOutcome.NOT_JUDGED else sys.stdout,
        )
    outcomes = Counter(judgement.outcome for judgement in judged)
    if outcomes[GateOutcome.TRIPPED]:
        return TRIPPED_EXIT_CODE
    if outcomes[GateOutcome.NOT_JUDGED]:
        missed = outcomes[GateOutcome.NOT_JUDGED]
        raise BenchError(
            f"{missed} of {len(judged)} judgements could not be made: too few "
            "questions that both sides measured (--model and --mode narrow both sides)"
        )
    return 0


def main(arguments: argparse.Namespace) -> int:
    """Print the comparison and judge the gates."""
    gates = [parse_gate(text) for text in arguments.gate]
    if arguments.no_quality and any(gate.metric == "quality" for gate in gates):
        raise BenchError("--no-quality: a gate on quality needs scored answers")
    scorer = None if arguments.no_quality else load_rescorer(load_config())
    a, b = (_narrowed(resolve(name, RESULTS), arguments) for name in (arguments.a, arguments.b))
    incomplete = tell_left_out([*a.damaged, *b.damaged])
    compared = pair(a, b, scorer)
    if any(gate.metric == KL for gate in gates) and not a.divergences:
        raise BenchError(
            f"a gate on kl needs divergences from a reference, and '{arguments.a}' has none "
            "(snakemake -j8 results_fidelity measures them)"
        )
    if not compared.pairings and not compared.divergences:
        raise BenchError(
            "nothing to compare: no model, mode and question is in both "
            f"'{arguments.a}' ({len(a.items)} cells) and '{arguments.b}' ({len(b.items)} cells)"
        )
    if arguments.format == "csv":
        print(report_csv(compared))
    else:
        print(report(compared, arguments.format == "markdown"))
    return _gated(compared, gates) or incomplete


def parser() -> Parser:
    """The command line."""
    parser = Parser("scripts.compare", __doc__, main)
    parser.add_argument("a", metavar="A", help="the results to compare with")
    parser.add_argument("b", metavar="B", help="the results that are compared with A")
    words = (
        "trip if B is shown to be worse than A by more than the threshold; repeatable; "
        f"metrics: {', '.join(METRICS)}"
    )
    parser.add_argument("--gate", action="append", default=[], metavar='"METRIC -X%"', help=words)
    for name in ("model", "mode"):
        words = f"only {name}s that match this pattern; repeatable"
        parser.add_argument(f"--{name}", action="append", metavar="PATTERN", help=words)
    words = "compare speeds only; no answer is scored"
    parser.add_argument("--no-quality", action="store_true", help=words)
    parser.add_format("table", "markdown", "csv")
    return parser


if __name__ == "__main__":
    run_command(parser())
