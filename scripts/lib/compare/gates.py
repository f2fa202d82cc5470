"""Gates for continuous integration: `decode_tokens_per_s -3%` trips where a speed is shown to have dropped by more than 3 %.

Shown means: the interval of the paired effect lies beyond the threshold. A whole run can be slower
than another for no reason that its questions show, so the interval of a speed is widened by how
much runs of the same thing differ on this machine (`python -m benchmarks.harness.gate_calibration`
measures it). Over several setups Holm's adjustment keeps the chance of a false alarm at 2.5
% a gate.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from scipy import stats

from scripts.lib.base.errors import BenchError, suggest
from scripts.lib.base.estimates import TAIL, Comparison, Estimate, holm
from scripts.lib.base.layout import CALIBRATION
from scripts.lib.compare.pairing import QUALITY, Key

TRIPPED_EXIT_CODE = 3
_GATE = re.compile(r"\s*([A-Za-z_]+)\s*([+−–-])\s*([0-9]+(?:\.[0-9]+)?)\s*(%|pt)\s*")
# Metric -> (unit, the sign of the worse direction).
METRICS: Mapping[str, tuple[str, int]] = {
    "decode_tokens_per_s": ("%", -1),
    "prefill_tokens_per_s": ("%", -1),
    "ttft_s": ("%", 1),
    QUALITY: ("pt", -1),
}
EXAMPLES = '"decode_tokens_per_s -3%", "ttft_s +10%" or "quality -2pt"'


@dataclass(frozen=True, slots=True)
class Gate:
    """One threshold: `size` in per cent of A's value, or in points of the pass rate (`pt`); `sign` of the worse direction."""

    metric: str
    sign: int
    size: float
    unit: str

    def __str__(self) -> str:
        return f"{self.metric} {'-' if self.sign < 0 else '+'}{self.size:g}{self.unit}"

    @property
    def threshold(self) -> float:
        """On the scale that effects are added on: the logarithm of a ratio, or a difference of rates."""
        if self.unit == "pt":
            return self.sign * self.size / 100
        return math.log(1 + self.sign * self.size / 100)


def parse_gate(text: str) -> Gate:
    """A gate out of its text. Raises BenchError saying what is wrong with it."""
    found = _GATE.fullmatch(text)
    if found is None:
        raise BenchError(
            f"--gate '{text}': expected METRIC and a signed threshold, such as {EXAMPLES}"
        )
    metric, sign_text, size, unit = found.groups()
    if metric not in METRICS:
        raise BenchError(f"--gate '{text}': no metric '{metric}'{suggest(metric, METRICS)}")
    expected_unit, worse = METRICS[metric]
    if unit != expected_unit:
        raise BenchError(
            f"--gate '{text}': a threshold of {metric} is in {expected_unit}, found {unit}"
        )
    sign = 1 if sign_text == "+" else -1
    if sign != worse:
        rule = "less is worse: it begins with -" if worse < 0 else "more is worse: it begins with +"
        raise BenchError(f"--gate '{text}': of {metric} {rule}")
    if sign < 0 and float(size) >= 100:
        raise BenchError(
            f"--gate '{text}': nothing can drop by {size} {unit}: expected less than 100"
        )
    return Gate(metric, sign, float(size), unit)


@dataclass(frozen=True, slots=True)
class Noise:
    """How much whole runs of one thing differ: the standard deviation of their speeds' logarithms, from `runs` runs."""

    run_sd: float
    runs: int

    @property
    def half_width(self) -> float:
        """Half the 95 % interval of the difference of two runs, from that alone, on the log scale."""
        return math.sqrt(2) * self.run_sd * float(stats.t.ppf(1 - TAIL, self.runs - 1))


def read_noise(hardware: Iterable[str], folder: Path = CALIBRATION) -> dict[str, Noise]:
    """Metric -> the noise measured on these profiles, the greatest of several; nothing where none was calibrated."""
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
                f"{file}: not a calibration ({error!r}); make it again: python -m benchmarks.harness.gate_calibration"
            ) from error
        for metric, measured in noise.items():
            known = found.get(metric)
            found[metric] = (
                measured if known is None or measured.half_width > known.half_width else known
            )
    return found


class GateOutcome(StrEnum):
    """What a gate says of one setup."""

    PASSED = "passed"
    TRIPPED = "TRIPPED"
    NOT_JUDGED = "cannot be judged"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A gate's word on one setup: the effect, its interval widened where there is a calibration, Holm's p-value."""

    gate: Gate
    key: Key
    outcome: GateOutcome
    effect: Estimate | None
    p_value: float = 1.0

    def __str__(self) -> str:
        if self.effect is None:
            return f"{self.gate}: {self.key}: {self.outcome}: no question that both sides measured"
        if self.outcome is GateOutcome.NOT_JUDGED:
            return f"{self.gate}: {self.key}: {self.outcome}: {self.effect.clusters} questions carry no interval"
        return (
            f"{self.gate}: {self.key}: {self.outcome}: {effect_text(self.gate.unit, self.effect)}"
        )


def effect_text(unit: str, effect: Estimate) -> str:
    """`-4.1 % (-6.0 to -2.2), n = 24`."""
    parts = [effect.value, effect.low, effect.high]
    shown = [f"{100 * (part - (unit == '%')):+.1f}" for part in parts if part is not None]
    span = f" ({shown[1]} to {shown[2]})" if len(shown) == 3 else ""
    return f"{shown[0]} {unit}{span}, n = {effect.clusters}"


def _on_scale(gate: Gate, value: float) -> float:
    return value if gate.unit == "pt" else math.log(value)


def _off_scale(gate: Gate, value: float) -> float:
    return value if gate.unit == "pt" else math.exp(value)


def widened(gate: Gate, effect: Estimate, noise: Noise | None) -> Estimate:
    """The effect with its interval widened by the noise of whole runs (none: as it is)."""
    if effect.low is None or effect.high is None or noise is None:
        return effect
    middle = _on_scale(gate, effect.value)
    low, high = (
        middle + sign * math.hypot(_on_scale(gate, limit) - middle, noise.half_width)
        for sign, limit in ((-1, effect.low), (1, effect.high))
    )
    return Estimate(
        effect.value, _off_scale(gate, low), _off_scale(gate, high), effect.n, effect.clusters
    )


def _p_value(gate: Gate, effect: Estimate) -> float:
    """One-sided p-value of "not beyond the threshold", out of the interval's limit on the threshold's side."""
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
    """The gate's word on the effect of every setup; None is an effect that nothing could be told of."""
    wide = [
        widened(gate, e.estimate, noise.get(gate.metric)) if e is not None else None
        for _, e in effects
    ]
    able = [i for i, e in enumerate(wide) if e is not None and e.low is not None]
    adjusted = dict(
        zip(
            able, holm([_p_value(gate, e) for i in able if (e := wide[i]) is not None]), strict=True
        )
    )
    made = []
    for i, (key, _) in enumerate(effects):
        if i in adjusted:
            outcome = GateOutcome.TRIPPED if adjusted[i] < TAIL else GateOutcome.PASSED
            made.append(Judgement(gate, key, outcome, wide[i], adjusted[i]))
        else:
            made.append(Judgement(gate, key, GateOutcome.NOT_JUDGED, wide[i]))
    return tuple(made)
