"""What a runtime variant changes: each setup in a variant against the same one without it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scripts.lib.base.estimates import Comparison, paired_difference, paired_ratio
from scripts.lib.machine.profiles import Hardware
from scripts.lib.tables.setups import Setup, speed_ratio

# The knee of a sweep: the fewest threads that reach this share of the best median speed.
KNEE_SHARE = 0.95


@dataclass(frozen=True, slots=True)
class VariantEffect:
    """A setup in a variant and the one without, compared on the questions that both answered.

    A comparison is None where no question can be compared.
    """

    setup: Setup
    without: Setup

    @property
    def decode(self) -> Comparison | None:
        """The ratio of the decode speeds."""
        return speed_ratio(self.setup, self.without)

    @property
    def prefill(self) -> Comparison | None:
        """The ratio of the speeds of prompt evaluation."""
        setup, without = self.setup, self.without
        return paired_ratio(setup.prefill_speeds, without.prefill_speeds, setup.workloads)

    @property
    def quality(self) -> Comparison | None:
        """The difference of the pass rates."""
        return paired_difference(self.setup.outcomes, self.without.outcomes)


@dataclass(frozen=True, slots=True)
class SweepPoint:
    """One number of a sweep. `is_default`: it is the setting without a variant."""

    setup: Setup
    value: int
    is_default: bool


@dataclass(frozen=True, slots=True)
class Sweep:
    """The setups of one model and mode over a setting such as `threads`, by rising value."""

    setting: str
    points: tuple[SweepPoint, ...]

    @property
    def knee(self) -> SweepPoint | None:
        """The smallest value whose median decode speed is `KNEE_SHARE` of the best."""
        speeds = [(p, p.setup.decode.value) for p in self.points if p.setup.decode is not None]
        best = max((speed for _, speed in speeds), default=0.0)
        return next((point for point, speed in speeds if speed >= KNEE_SHARE * best), None)


def _usual(setups: Sequence[Setup]) -> dict[tuple[str, str], Setup]:
    """(model, mode) -> the setup without a variant."""
    return {(c.model.key, c.mode.name): c for c in setups if c.variant is None}


def variant_effects(setups: Sequence[Setup]) -> Iterator[VariantEffect]:
    """Each setup in a variant, with the same model and mode without it."""
    usual = _usual(setups)
    for c in setups:
        base = usual.get((c.model.key, c.mode.plain_name))
        if c.variant is not None and base is not None:
            yield VariantEffect(c, base)


def sweeps(setups: Sequence[Setup], hardware: Hardware) -> Iterator[Sweep]:
    """Each sweep of each model and mode. The setting without a variant is one of its points."""
    found: dict[tuple[str, str, str, str], list[SweepPoint]] = {}
    for c in setups:
        if c.variant is not None and c.variant.swept:
            key = (c.model.key, c.mode.plain_name, c.variant.sweep, c.variant.swept)
            value = c.variant.hardware[c.variant.swept]
            found.setdefault(key, []).append(SweepPoint(c, value, False))
    usual = _usual(setups)
    for (model, mode, _, setting), points in found.items():
        if (model, mode) in usual:
            points.append(SweepPoint(usual[model, mode], getattr(hardware, setting), True))
        yield Sweep(setting, tuple(sorted(points, key=lambda point: point.value)))
