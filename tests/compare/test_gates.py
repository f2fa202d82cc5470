"""A gate trips where the paired effect's interval is beyond its threshold, and not on noise."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks.harness.gate_calibration import evaluate, noise_of, slowed
from scripts.lib.base.errors import BenchError
from scripts.lib.base.estimates import Comparison, Estimate, holm
from scripts.lib.compare.gates import GateOutcome, Noise, judge, parse_gate, read_noise, widened
from scripts.lib.compare.observations import Observations, of_record
from scripts.lib.compare.pairing import Key, pair
from tests.factories.results_trees import cells

SPEED = parse_gate("decode_tokens_per_s -3%")
QUALITY = parse_gate("quality -2pt")


@pytest.mark.parametrize(
    ("text", "metric", "threshold"),
    [
        ("decode_tokens_per_s -3%", "decode_tokens_per_s", math.log(0.97)),
        ("  ttft_s+10 % ", "ttft_s", math.log(1.1)),
        ("quality -2.5pt", "quality", -0.025),
        ("prefill_tokens_per_s −1%", "prefill_tokens_per_s", math.log(0.99)),
        ("quality -0pt", "quality", 0.0),
    ],
)
def test_gates_are_read(text: str, metric: str, threshold: float) -> None:
    gate = parse_gate(text)
    assert (gate.metric, gate.threshold) == (metric, pytest.approx(threshold))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected a metric and a signed threshold"),
        ("decode_tokens_per_s 3%", "expected a metric and a signed threshold"),
        ("decode_tokens_per_s -3", "expected a metric and a signed threshold"),
        ("decode_tokens_per_s -x%", "expected a metric and a signed threshold"),
        (
            "decode_token_per_s -3%",
            "no metric 'decode_token_per_s'; did you mean 'decode_tokens_per_s'",
        ),
        (
            "decode_tokens_per_s +3%",
            "a lower decode_tokens_per_s is worse, so the threshold must start with '-'",
        ),
        ("ttft_s -3%", "a higher ttft_s is worse, so the threshold must start with '+'"),
        ("quality -2%", "expected a threshold of quality in pt, found %"),
        (
            "decode_tokens_per_s -3pt",
            "expected a threshold of decode_tokens_per_s in %, found pt",
        ),
        ("decode_tokens_per_s -100%", "nothing can drop by 100 %"),
    ],
)
def test_mistakes_are_named(text: str, said: str) -> None:
    with pytest.raises(BenchError) as caught:
        parse_gate(text)
    assert said in str(caught.value) and str(caught.value).startswith(f"--gate '{text}'")


Effect = tuple[Key, Comparison | None]


def effect(value: float, low: float | None, high: float | None) -> Effect:
    return Key("", "", "m", "baseline"), Comparison(Estimate(value, low, high, 24, 24), 0.5)


def outcomes(gate_text: str, *effects: Effect, noise: Noise | None = None) -> list[GateOutcome]:
    gate = parse_gate(gate_text)
    return [j.outcome for j in judge(gate, effects, {gate.metric: noise} if noise else {})]


def word(a: Observations, b: Observations, noise: dict[str, Noise]) -> GateOutcome:
    """The result of the gate on decode speed for the only setup of two runs."""
    (pairing,) = pair(a, b).pairings
    return judge(SPEED, [(pairing.key, pairing.ratio(SPEED.metric))], noise)[0].outcome


@pytest.mark.parametrize(
    ("value", "low", "high", "outcome"),
    [
        (0.90, 0.88, 0.92, GateOutcome.TRIPPED),
        (0.94, 0.90, 0.965, GateOutcome.TRIPPED),
        (0.94, 0.90, 0.975, GateOutcome.PASSED),  # the interval reaches over the threshold
        (0.97, 0.96, 0.98, GateOutcome.PASSED),
        (0.80, 0.60, 1.05, GateOutcome.PASSED),
        (1.50, 1.40, 1.60, GateOutcome.PASSED),
        (0.90, None, None, GateOutcome.NOT_JUDGED),
    ],
)
def test_it_trips_where_the_interval_lies_beyond(
    value: float, low: float | None, high: float | None, outcome: GateOutcome
) -> None:
    assert outcomes("decode_tokens_per_s -3%", effect(value, low, high)) == [outcome]


def test_direction_and_unit_are_the_metrics() -> None:
    more = effect(1.2, 1.15, 1.25)
    assert outcomes("ttft_s +10%", more) == [GateOutcome.TRIPPED] and outcomes(
        "ttft_s +16%", more
    ) == [GateOutcome.PASSED]
    assert outcomes("quality -2pt", effect(-0.10, -0.15, -0.05)) == [GateOutcome.TRIPPED]
    assert outcomes("quality -2pt", effect(-0.10, -0.20, 0.0)) == [GateOutcome.PASSED]
    assert outcomes("quality -2pt", (more[0], None)) == [GateOutcome.NOT_JUDGED]


def test_the_noise_of_whole_runs_widens_the_interval() -> None:
    noise = Noise(0.02, 6)
    assert noise.half_width == pytest.approx(math.sqrt(2) * 0.02 * 2.5706, rel=1e-3)
    wide = widened(SPEED, Estimate(0.93, 0.92, 0.94, 24, 24), noise)
    assert wide.low is not None and wide.high is not None and wide.low < 0.87 and wide.high > 0.99
    assert outcomes("decode_tokens_per_s -3%", effect(0.93, 0.92, 0.94)) == [GateOutcome.TRIPPED]
    assert outcomes("decode_tokens_per_s -3%", effect(0.93, 0.92, 0.94), noise=noise) == [
        GateOutcome.PASSED
    ]
    assert outcomes("decode_tokens_per_s -3%", effect(0.80, 0.79, 0.81), noise=noise) == [
        GateOutcome.TRIPPED
    ]


def test_many_configurations_are_adjusted_for() -> None:
    """One of forty at the edge trips no gate; one far beyond it does."""
    edge, far, fine = effect(0.94, 0.92, 0.965), effect(0.80, 0.78, 0.82), effect(1.0, 0.98, 1.02)
    assert outcomes("decode_tokens_per_s -3%", edge) == [GateOutcome.TRIPPED]
    assert outcomes("decode_tokens_per_s -3%", edge, *[fine] * 39) == [GateOutcome.PASSED] * 40
    assert outcomes("decode_tokens_per_s -3%", far, *[fine] * 39)[0] is GateOutcome.TRIPPED
    assert holm([0.01] * 2) == (0.02, 0.02)


def runs(
    rng: np.random.Generator, number: int, run_sd: float, question_sd: float, n: int = 24
) -> list[Observations]:
    """A/A runs: each question has its own speed; each measurement and each whole run has noise."""
    base = rng.uniform(50, 150, n)
    found = []
    for index in range(number):
        speeds = base * np.exp(rng.normal(0, run_sd) + rng.normal(0, question_sd, n))
        found.append(
            Observations(
                f"run{index}", tuple(of_record(c) for c in cells([float(s) for s in speeds]))
            )
        )
    return found


def test_noise_trips_no_gate_and_a_tenth_slower_does() -> None:
    """False alarms and detections over 200 simulated pairs, with the noise of six other runs."""
    rng = np.random.default_rng(1)
    alarms, found, uncalibrated = 0, 0, 0
    for _ in range(200):
        *others, a, b = runs(rng, 8, run_sd=0.015, question_sd=0.03)
        noise = {SPEED.metric: noise_of(others, SPEED.metric)}
        alarms += word(a, b, noise) is GateOutcome.TRIPPED
        uncalibrated += word(a, b, {}) is GateOutcome.TRIPPED
        found += word(a, slowed(b, 0.9), noise) is GateOutcome.TRIPPED
    assert alarms <= 1 and uncalibrated > alarms and found > 120


def test_at_the_threshold_itself_alarms_are_as_rare_as_promised() -> None:
    rng = np.random.default_rng(2)
    alarms = 0
    for _ in range(400):
        *others, a, b = runs(rng, 8, run_sd=0.02, question_sd=0.02, n=12)
        alarms += (
            word(a, slowed(b, 0.97), {SPEED.metric: noise_of(others, SPEED.metric)})
            is GateOutcome.TRIPPED
        )
    assert alarms <= 0.05 * 400


def test_the_noise_of_runs_is_what_was_put_in() -> None:
    found = noise_of(
        runs(np.random.default_rng(3), 40, run_sd=0.05, question_sd=0.01), SPEED.metric
    )
    assert found.run_sd == pytest.approx(0.05, rel=0.3) and found.runs == 40


def test_the_calibrations_evaluation_counts_pairs() -> None:
    (found,) = evaluate(runs(np.random.default_rng(4), 5, run_sd=0.005, question_sd=0.01), [SPEED])
    assert found["gate"] == "decode_tokens_per_s -3%"
    assert (
        found["false alarms, calibrated"] == "0 of 20"
        and found["of 10% slower found, not calibrated"] == "20 of 20"
    )


def test_a_calibration_is_read_for_the_profiles_at_hand(tmp_path: Path) -> None:
    for name, sd in (("a", 0.01), ("b", 0.03)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "gate.json").write_text(
            json.dumps({"noise": {"ttft_s": {"run_sd": sd, "runs": 6}}})
        )
    assert read_noise(["a"], tmp_path)["ttft_s"].run_sd == 0.01
    assert (
        read_noise(["a", "b", "c"], tmp_path)["ttft_s"].run_sd == 0.03
        and read_noise(["c"], tmp_path) == {}
    )
    (tmp_path / "a/gate.json").write_text("{}")
    with pytest.raises(BenchError, match=r"gate.json: not a calibration"):
        read_noise(["a"], tmp_path)
