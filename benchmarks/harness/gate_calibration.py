"""Measures this machine's noise between runs, and how well the gates of `scripts.compare` work.

The same cells are measured several times (A/A runs, which differ only in `measurement_epoch`) in a
scratch checkout. The noise is written to benchmarks/results/calibration/{hardware}/gate.json;
`scripts.compare` widens its intervals by it. Then every pair of runs is compared: as they are (a
gate that trips is a false alarm), and with one of them slowed down by a known share (a gate that
does not trip has missed it). The noise for a pair is measured on the other runs. Use a quiet
machine:

    python -m benchmarks.harness.gate_calibration [--runs 6] [--model KEY] [--modes MODE ...]
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import statistics
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from tabulate import tabulate

from benchmarks.harness.checkout import scratch_checkout
from scripts.lib.base.layout import CALIBRATION, RESULTS
from scripts.lib.base.safe_files import write_atomic
from scripts.lib.compare.gates import METRICS, Gate, GateOutcome, Noise, judge, parse_gate
from scripts.lib.compare.observations import Observation, Observations, from_run, run_ids
from scripts.lib.compare.pairing import RATIO_METRICS, pair
from scripts.lib.machine.profiles import cpu_model

# Two runs are left out when a pair is judged; the noise is measured on the others.
FEWEST_RUNS = 4
SLOWER = 0.9


def measure(
    folder: Path, runs: int, models: Sequence[str], modes: Sequence[str]
) -> list[Observations]:
    """Measure the same cells with the pipeline, run after run."""
    targets = [f"results_{model}" for model in models]
    decoding = json.dumps({"modes": list(modes)})
    for epoch in range(runs):
        print(f"run {epoch + 1} of {runs}", file=sys.stderr)
        settings = [f"measurement_epoch={epoch}", f"decoding={decoding}"]
        subprocess.run(
            ["snakemake", "-j8", *targets, "--quiet", "all", "--config", *settings],
            cwd=folder,
            check=True,
        )
    return [from_run(name, folder / RESULTS) for name in run_ids(folder / RESULTS)]


def _logarithms(run: Observations, metric: str) -> dict[tuple[str, str, str], float]:
    """(model, mode, question) -> logarithm of the metric."""
    return {
        (item.cell.model, item.cell.mode, item.question): math.log(value)
        for item in run.items
        if (value := item.value(metric))
    }


def noise_of(runs: Sequence[Observations], metric: str) -> Noise:
    """The spread of whole runs on the log scale.

    A run's effect: for each question its distance from the question's median over the runs; of
    these, the median. Setups are pooled: the result is the root of their mean variance.
    """
    logs = [_logarithms(run, metric) for run in runs]
    shared = set.intersection(*(set(log) for log in logs))
    middles = {key: statistics.median(log[key] for log in logs) for key in shared}
    variances = []
    for setup in {key[:2] for key in shared}:
        keys = [key for key in shared if key[:2] == setup]
        effects = [statistics.median(log[key] - middles[key] for key in keys) for log in logs]
        variances.append(statistics.variance(effects))
    return Noise(math.sqrt(statistics.fmean(variances)), len(runs))


def slowed(run: Observations, share: float) -> Observations:
    """A run with its speeds reduced to `share`."""

    def slow(item: Observation) -> Observation:
        m = item.measurement
        if m is None or not m.decode_tokens_per_s or not m.prefill_tokens_per_s:
            return item
        measurement = replace(
            m,
            decode_tokens_per_s=m.decode_tokens_per_s * share,
            prefill_tokens_per_s=m.prefill_tokens_per_s * share,
            ttft_s=m.ttft_s / share,
        )
        return replace(item, measurement=measurement)

    return replace(run, items=tuple(map(slow, run.items)))


def tripped(
    gate: Gate, runs: Sequence[Observations], share: float, calibrated: bool
) -> tuple[int, int]:
    """(gates that tripped, gates judged) over all ordered pairs of runs.

    The second run of each pair is slowed down to `share`.
    """
    hits = judgements = 0
    for i, j in itertools.permutations(range(len(runs)), 2):
        others = [run for place, run in enumerate(runs) if place not in (i, j)]
        noise = {gate.metric: noise_of(others, gate.metric)} if calibrated else {}
        pairings = pair(runs[i], slowed(runs[j], share)).pairings
        judged = judge(gate, [(p.key, p.ratio(gate.metric)) for p in pairings], noise)
        hits += sum(j.outcome is GateOutcome.TRIPPED for j in judged)
        judgements += sum(j.outcome is not GateOutcome.NOT_JUDGED for j in judged)
    return hits, judgements


def evaluate(runs: Sequence[Observations], gates: Iterable[Gate]) -> list[dict[str, object]]:
    """Each gate's false alarms and detections, with and without the calibration."""
    rows: list[dict[str, object]] = []
    for gate in gates:
        row: dict[str, object] = {"gate": str(gate)}
        shares = {"false alarms": 1.0, f"of {1 - SLOWER:.0%} slower found": SLOWER}
        for name, calibrated in (("calibrated", True), ("not calibrated", False)):
            for what, share in shares.items():
                hits, judged = tripped(gate, runs, share, calibrated)
                row[f"{what}, {name}"] = f"{hits} of {judged}"
        rows.append(row)
    return rows


def main() -> int:
    """Measure, evaluate, and write the calibration."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.harness.gate_calibration",
        description=__doc__,
        formatter_class=form,
    )
    parser.add_argument(
        "--runs", type=int, default=6, help=f"A/A runs (default 6, at least {FEWEST_RUNS})"
    )
    parser.add_argument("--model", action="append", help="default: smollm2_135m_q4_1; repeatable")
    parser.add_argument(
        "--modes", nargs="+", default=["baseline"], help="decoding modes (default: baseline)"
    )
    arguments = parser.parse_args()
    if arguments.runs < FEWEST_RUNS:
        sys.exit(f"--runs: expected at least {FEWEST_RUNS}, found {arguments.runs}")
    with scratch_checkout() as folder:
        runs = measure(
            folder, arguments.runs, arguments.model or ["smollm2_135m_q4_1"], arguments.modes
        )
    (hardware,) = {item.cell.hardware for run in runs for item in run.items}
    noise = {metric: noise_of(runs, metric) for metric in RATIO_METRICS}
    gates = [
        parse_gate(f"{metric} {'-' if METRICS[metric][1] < 0 else '+'}3%")
        for metric in RATIO_METRICS
    ]
    rows = evaluate(runs, gates)
    record = {
        "noise": {metric: asdict(found) for metric, found in noise.items()},
        "measured_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": cpu_model(),
        "models": sorted({item.cell.model for run in runs for item in run.items}),
        "modes": sorted({item.cell.mode for run in runs for item in run.items}),
        "cells_per_run": [len(run.items) for run in runs],
        "gates": rows,
    }
    write_atomic(
        CALIBRATION / hardware / "gate.json", json.dumps(record, indent=2, sort_keys=True) + "\n"
    )
    for metric, found in noise.items():
        down, up = (100 * math.expm1(sign * found.half_width) for sign in (-1, 1))
        print(
            f"{metric}: runs differ by {100 * found.run_sd:.1f} % (standard deviation of "
            f"{found.runs} runs); the interval of a pair is at least {down:+.1f} to {up:+.1f} %"
        )
    print(tabulate(rows, headers="keys", tablefmt="pipe"))
    print(f"written: {CALIBRATION / hardware / 'gate.json'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
