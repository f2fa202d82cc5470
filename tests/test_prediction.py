"""Predicted hours: measured speeds first, then the same model's other modes, then reported ones, then the bandwidth."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scripts.lib.plan import find_shard, make_plan
from scripts.lib.prediction import Basis, Speed, hours_text, predict, shard_seconds
from tests.test_plan import planner

SHARD = find_shard(make_plan(planner()), "worker_math", "baseline")
HERE = SHARD.hardware.name


def measured(decode: float) -> Speed:
    return Speed(decode, 10 * decode, 2.0, Basis.MEASURED)


def test_what_a_prediction_rests_on() -> None:
    exact = {(HERE, "worker_math", "baseline"): measured(20.0), (HERE, "worker_math", "lookup_n3"): measured(9.0)}
    assert predict(SHARD, exact) == measured(20.0)
    near = predict(
        SHARD, {(HERE, "worker_math", "lookup_n3"): measured(30.0), (HERE, "worker_math", "x"): measured(9.0)}
    )
    assert (near.decode_tokens_per_s, near.basis) == (9.0, Basis.NEAREST)
    assert predict(SHARD, {("other", "worker_math", "baseline"): measured(1.0)}).basis is Basis.REPORTED
    silent = replace(SHARD, model=replace(SHARD.model, performance={}))
    assert predict(silent, {}).basis is Basis.BANDWIDTH
    elsewhere = replace(SHARD, hardware=replace(SHARD.hardware, name="laptop"))
    assert predict(elsewhere, {}).basis is Basis.BANDWIDTH


def test_seconds_grow_with_the_cells_and_none_cost_nothing() -> None:
    speeds = {(HERE, "worker_math", "baseline"): measured(20.0)}
    one, all_of_them = (shard_seconds(SHARD, SHARD.cells[:n], speeds) for n in (1, None))
    assert shard_seconds(SHARD, (), speeds) == 0.0 < one < all_of_them
    tokens = SHARD.cells[0].spec["sampling"]["max_tokens"]
    assert one > tokens / 20.0 + 2.0


@pytest.mark.parametrize(
    ("seconds", "text"), [(40, "40 s"), (89, "89 s"), (600, "10 min"), (9000, "2.5 h"), (10 * 86400, "10.0 days")]
)
def test_durations_for_people(seconds: float, text: str) -> None:
    assert hours_text(seconds) == text
