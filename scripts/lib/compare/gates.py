"""Gates for continuous integration: `decode_tokens_per_s -3%` trips on a drop of more than 3 %.

A gate trips only if the whole interval of the paired effect lies beyond the threshold. Two runs of
the same setup can differ by more than their questions show. The interval of a speed is therefore
widened by the run-to-run noise of the machine, which
`python -m benchmarks.harness.gate_calibration` measures. Holm's adjustment over the setups limits
the chance of a false alarm to 2.5 % per gate.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from scipy import stats

from scripts.lib.base.errors import BenchError, suggest
from scripts.lib.base.estimates import TAIL, Comparison, Estimate, holm
from scripts.lib.base.layout import CALIBRATION
from scripts.lib.compare.pairing import KL, QUALITY, Key

TRIPPED_EXIT_CODE = 3
_GATE = re.compile(r"\s*([A-Za-z_]+)\s*([+−–-])\s*([0-9]+(?:\.[0-9]+)?)\s*(%|pt)\s*")
# Metric -> (unit, the sign of the worse direction).
METRICS: Mapping[str, tuple[str, int]] = {
    "decode_tokens_per_s": ("%", -1),
    "prefill_tokens_per_s": ("%", -1),
    "ttft_s": ("%", 1),
    QUALITY: ("pt", -1),
    KL: ("%", 1),
}
EXAMPLES = '"decode_tokens_per_s -3%", "ttft_s +10%", "kl +10%" or "quality -2pt"'


@dataclass(frozen=True, slots=True)
class Gate:
    """One threshold: `size` in per cent of A's value, or in points of the pass rate (`pt`).

    `sign`: the direction in which the metric gets worse.
    """

    metric: str
    sign: int
    size: float
    unit: str

    def __str__(self) -> str:
        return f"{self.metric} {'-' if self.sign < 0 else '+'}{self.size:g}{self.unit}"

    @property
    def threshold(self) -> float:
        """The threshold as the logarithm of a ratio, or as a difference of rates."""
        if self.unit == "pt":
            return self.sign * self.size / 100
        return math.log(1 + self.sign * self.size / 100)


def parse_gate(text: str) -> Gate:
    """Parse a gate. Raises BenchError, which says what is wrong with the text."""
    found = _GATE.fullmatch(text)
    if found is None:
        raise BenchError(
            f"--gate '{text}': expected a metric and a signed threshold, such as {EXAMPLES}"
        )
    metric, sign_text, size, unit = found.groups()
    if metric not in METRICS:
        raise BenchError(f"--gate '{text}': no metric '{metric}'{suggest(metric, METRICS)}")
    expected_unit, worse = METRICS[metric]
    if unit != expected_unit:
        raise BenchError(
            f"--gate '{text}': expected a threshold of {metric} in {expected_unit}, found {unit}"
        )
    sign = 1 if sign_text == "+" else -1
    if sign != worse:
        level, start = ("lower", "-") if worse < 0 else ("higher", "+")
        raise BenchError(
            f"--gate '{text}': a {level} {metric} is worse, so the threshold must start with "
            f"'{start}'"
        )
    if sign < 0 and float(size) >= 100:
        raise BenchError(
            f"--gate '{text}': nothing can drop by {size} {unit}; expected less than 100"
        )
    return Gate(metric, sign, float(size), unit)


@dataclass(frozen=True, slots=True)
class Noise:
    """Run-to-run noise: the standard deviation of the logarithm of the speed over `runs` runs."""

    run_sd: float
    runs: int

    @property
    def half_width(self) -> float:
        """Half the 95 % interval of the difference of two runs, on the log scale."""
        return math.sqrt(2) * self.run_sd * float(stats.t.ppf(1 - TAIL, self.runs - 1))


def read_noise(hardware: Iterable[str], folder: Path = CALIBRATION) -> dict[str, Noise]:
    """Metric -> the greatest noise measured on these profiles; empty without a calibration.

    Raises BenchError for a file that cannot be read.
    """
    found: dict[str, Noise] = {}
    for name in hardware:
        file = folder / name / "gate.json"
        if not file.is_file():
            continue
        try:
            raw = json.loads(file.read_text(encoding="utf-8"))["noise"]
            noise = {metric: Noise(float(n["run_sd"]), int(n["runs"])) for metric, n in raw.items()}
        except (ValueError, KeyError, TypeError) as error:
            raise BenchError(
                f"{file}: not a calibration ({error!r}); make it again: "
                "python -m benchmarks.harness.gate_calibration"
            ) from error
        for metric, measured in noise.items():
            known = found.setdefault(metric, measured)
            found[metric] = max(known, measured, key=lambda one: one.half_width)
    return found


class GateOutcome(StrEnum):
    """The result of a gate on one setup."""

    PASSED = "passed"
    TRIPPED = "TRIPPED"
    NOT_JUDGED = "cannot be judged"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A gate's result on one setup. The effect's interval is widened; the p-value is adjusted."""

    gate: Gate
    key: Key
    outcome: GateOutcome
    effect: Estimate | None
    p_value: float = 1.0

    def __str__(self) -> str:
        if self.effect is None:
            detail = "no question was measured on both sides"
        elif self.outcome is GateOutcome.NOT_JUDGED:
            detail = f"{self.effect.clusters} questions are too few for an interval"
        else:
            detail = effect_text(self.gate.unit, self.effect)
        return f"{self.gate}: {self.key}: {self.outcome}: {detail}"


def effect_text(unit: str, effect: Estimate) -> str:
    """An effect as text: `-4.1 % (-6.0 to -2.2), n = 24`."""
    parts = [effect.value, effect.low, effect.high]
    shown = [f"{100 * (part - (unit == '%')):+.1f}" for part in parts if part is not None]
    span = f" ({shown[1]} to {shown[2]})" if len(shown) == 3 else ""
    return f"{shown[0]} {unit}{span}, n = {effect.clusters}"


def _on_scale(gate: Gate, value: float) -> float:
    return value if gate.unit == "pt" else math.log(value)


def _off_scale(gate: Gate, value: float) -> float:
    return value if gate.unit == "pt" else math.exp(value)


def widened(gate: Gate, effect: Estimate, noise: Noise | None) -> Estimate:
    """Widen an effect's interval by the run-to-run noise, if there is a calibration."""
    if effect.low is None or effect.high is None or noise is None:
        return effect
    middle = _on_scale(gate, effect.value)
    low, high = (
        middle + sign * math.hypot(_on_scale(gate, limit) - middle, noise.half_width)
        for sign, limit in ((-1, effect.low), (1, effect.high))
    )
    return replace(effect, low=_off_scale(gate, low), high=_off_scale(gate, high))


def _p_value(gate: Gate, effect: Estimate) -> float:
    """One-sided p-value of "not beyond the threshold", from the limit on the threshold's side."""
    assert effect.low is not None and effect.high is not None
    middle = _on_scale(gate, effect.value)
    limit = _on_scale(gate, effect.high if gate.sign < 0 else effect.low)
    beyond = gate.sign * (middle - gate.threshold)
    sd = abs(limit - middle) / float(stats.norm.ppf(1 - TAIL))
    if sd == 0:
        return 0.0 if beyond > 0 else 1.0
    return float(stats.norm.sf(beyond / sd))


def judge(
    gate: Gate, effects: Sequence[tuple[Key, Comparison | None]], noise: Mapping[str, Noise]
) -> tuple[Judgement, ...]:
    """Judge each effect; None if it could not be estimated.

    P-values are adjusted over the setups whose effect has an interval.
    """
    estimates = [
        None if effect is None else widened(gate, effect.estimate, noise.get(gate.metric))
        for _, effect in effects
    ]
    p_values = {
        place: _p_value(gate, estimate)
        for place, estimate in enumerate(estimates)
        if estimate is not None and estimate.low is not None
    }
    adjusted = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    judged = []
    for place, (key, _) in enumerate(effects):
        p_value = adjusted.get(place, 1.0)
        outcome = GateOutcome.TRIPPED if p_value < TAIL else GateOutcome.PASSED
        if place not in adjusted:
            outcome = GateOutcome.NOT_JUDGED
        judged.append(Judgement(gate, key, outcome, estimates[place], p_value))
    return tuple(judged)
