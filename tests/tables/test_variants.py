"""Tables of variants: effects are paired by question, a sweep has a knee."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scripts.lib.machine.profiles import load_hardware
from scripts.lib.planning.modes import make_mode
from scripts.lib.settings.variants import Variant
from scripts.lib.tables.ranking import rank, reductions
from scripts.lib.tables.setups import Setup
from scripts.lib.tables.variants import sweeps, variant_effects
from tests.factories.table_rows import row


def in_variant(setup: Setup, name: str, **changes: object) -> Setup:
    parts = {"modes": ("*",), "models": ("*",), "context": {}, "hardware": {}, "loading": {}}
    made = Variant(name, **parts | changes)  # type: ignore[arg-type]
    return replace(setup, mode=setup.mode.in_variant(name), variant=made)


def swept(setup: Setup, threads: int) -> Setup:
    hardware = {"threads": threads}
    return in_variant(setup, f"t{threads}", hardware=hardware, sweep="t", swept="threads")


def test_an_effect_is_the_ratio_and_the_difference_to_the_usual_setup() -> None:
    usual = row("m", passed=30, speed=10.0)
    kv = in_variant(row("m", passed=20, speed=11.0), "kv", context={"kv_type_k": "q8_0"})
    (effect,) = variant_effects([usual, kv, row("other", passed=1)])
    assert (effect.setup, effect.without) == (kv, usual)
    assert effect.decode is not None and effect.quality is not None
    assert effect.decode.estimate.value == pytest.approx(1.1)
    assert effect.quality.estimate.value == pytest.approx(-10 / 40)
    assert effect.quality.p_value < 0.05


def test_the_knee_is_the_smallest_value_that_is_nearly_the_best() -> None:
    usual = row("m", passed=30, speed=97.0)
    at = [swept(row("m", passed=30, speed=speed), n) for n, speed in ((1, 40.0), (4, 100.0))]
    hardware = replace(load_hardware("reference-vm-2c"), threads=2)
    (sweep,) = sweeps([usual, *at], hardware)
    assert [(p.value, p.is_default) for p in sweep.points] == [(1, False), (2, True), (4, False)]
    assert sweep.knee is not None and sweep.knee.value == 2


def test_a_variant_is_ranked_and_fewer_experts_are_compared_within_it() -> None:
    usual = row("m", passed=30, speed=10.0)
    fast = in_variant(row("m", passed=30, speed=20.0), "kv")
    ranking = rank("coder", [usual, fast], {})
    assert ranking.candidates[0].row is fast
    fewer = replace(row("m", passed=29, speed=30.0), mode=make_mode(4, full=8))
    found = list(reductions([usual, fast, fewer, in_variant(fewer, "kv")]))
    assert [(r.row.mode.name, r.full.mode.name) for r in found] == [
        ("moe4", "baseline"),
        ("moe4@kv", "baseline@kv"),
    ]
