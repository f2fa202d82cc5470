"""Predicted hours: from measured speeds, else of other modes, else reported, else bandwidth."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from pathlib import Path

import pytest

from scripts.lib.planning.plan import find_shard, make_plan
from scripts.lib.planning.prediction import (
    Basis,
    Speed,
    cell_seconds,
    hours_text,
    predict,
    read_measured,
    shard_seconds,
)
from scripts.lib.prompts.types import Depth
from scripts.lib.weights.kv_cache import KvCache
from tests.factories.plans import FULL, planner

SHARD = find_shard(
    make_plan(planner(replace(FULL, models=("worker_math",)))), "worker_math", "baseline"
)
MODEL = (SHARD.hardware.name, SHARD.engine, "worker_math")
BY_THE_OTHER = (SHARD.hardware.name, "embedded", "worker_math")


def measured(decode: float) -> Speed:
    return Speed(decode, 10 * decode, 2.0, Basis.MEASURED)


def test_what_a_prediction_rests_on() -> None:
    exact = {(*MODEL, "baseline"): measured(20.0), (*MODEL, "lookup_n3"): measured(9.0)}
    assert predict(SHARD, exact) == measured(20.0)
    near = predict(SHARD, {(*MODEL, "lookup_n3"): measured(30.0), (*MODEL, "x"): measured(9.0)})
    assert (near.decode_tokens_per_s, near.basis) == (9.0, Basis.NEAREST)
    assert (
        predict(SHARD, {("other", *MODEL[1:], "baseline"): measured(1.0)}).basis is Basis.REPORTED
    )
    silent = replace(SHARD, model=replace(SHARD.model, performance={}))
    assert predict(silent, {}).basis is Basis.BANDWIDTH
    elsewhere = replace(SHARD, hardware=replace(SHARD.hardware, name="laptop"))
    assert predict(elsewhere, {}).basis is Basis.BANDWIDTH


def test_an_engines_own_speeds_come_before_the_other_engines() -> None:
    assert SHARD.engine == "server"
    other = {
        (*BY_THE_OTHER, "baseline"): measured(5.0),
        (*BY_THE_OTHER, "lookup_n3"): measured(4.0),
    }
    own = {(*MODEL, "lookup_n3"): measured(9.0), (*MODEL, "lookup_n4"): measured(30.0)}
    assert predict(SHARD, other | {(*MODEL, "baseline"): measured(20.0)}) == measured(20.0)
    found = [
        (s.decode_tokens_per_s, s.basis)
        for s in (predict(SHARD, other | own), predict(SHARD, other))
    ]
    assert found == [(9.0, Basis.NEAREST), (4.0, Basis.OTHER_ENGINE)]


def test_both_engines_rows_of_the_table_are_read(tmp_path: Path) -> None:
    head = (
        "hardware,engine,model,mode,decode_tokens_per_s_median,prefill_tokens_per_s_median,load_s"
    )
    lines = [
        "box,embedded,m,baseline,20,200,1.5",
        "box,server,m,baseline,10,100,",
        "box,server,m,lookup_n3,,,",
    ]
    file = tmp_path / "modes.csv"
    file.write_text("\n".join([head, *lines]) + "\n")
    assert read_measured(file) == {
        ("box", "embedded", "m", "baseline"): Speed(20.0, 200.0, 1.5, Basis.MEASURED),
        ("box", "server", "m", "baseline"): Speed(10.0, 100.0, 0.0, Basis.MEASURED),
    }
    assert read_measured(tmp_path / "none.csv") == {}


def test_the_server_answers_twice_for_close_calls_and_each_answer_is_cut_off_in_time() -> None:
    certifying = next(cell for cell in SHARD.cells if cell.certifies)
    plain = replace(certifying, certifies=False)
    sampled = replace(
        certifying,
        spec=certifying.spec | {"sampling": certifying.spec["sampling"] | {"temperature": 0.5}},
    )
    embedded = replace(SHARD, engine="embedded")
    once = cell_seconds(SHARD, plain, measured(20.0))
    assert 0 < once < plain.timeout_s
    assert cell_seconds(SHARD, certifying, measured(20.0)) == 2 * once
    assert (
        cell_seconds(SHARD, sampled, measured(20.0))
        == cell_seconds(embedded, certifying, measured(20.0))
        == once
    )
    slow = [cell_seconds(SHARD, cell, measured(0.001)) for cell in (plain, certifying)]
    assert slow == [plain.timeout_s, 2 * plain.timeout_s]


def test_seconds_grow_with_the_cells_and_none_cost_nothing() -> None:
    speeds = {(*MODEL, "baseline"): measured(20.0)}
    one, all_of_them = (shard_seconds(SHARD, SHARD.cells[:n], speeds) for n in (1, None))
    assert shard_seconds(SHARD, (), speeds) == 0.0 < one < all_of_them
    tokens = SHARD.cells[0].spec["sampling"]["max_tokens"]
    assert one > tokens / 20.0 + 2.0


def test_a_speculator_that_keeps_a_state_loads_the_model_for_each_answer() -> None:
    speeds = {(*MODEL, "ngram_mod"): measured(20.0)}
    keeps = replace(SHARD, mode=replace(SHARD.mode, name="ngram_mod", ngram="ngram_mod"))
    answers = sum(cell_seconds(keeps, cell, measured(20.0)) for cell in SHARD.cells)
    loads = (1 + len(SHARD.cells)) * 2.0
    assert shard_seconds(keeps, SHARD.cells, speeds) == pytest.approx(1.0 + loads + answers)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(40, "40 s"), (89, "89 s"), (600, "10 min"), (9000, "2.5 h"), (10 * 86400, "10.0 days")],
)
def test_durations_for_people(seconds: float, text: str) -> None:
    assert hours_text(seconds) == text


def test_a_deep_answer_takes_longer_by_the_bytes_that_are_read_for_it() -> None:
    (cell, *_) = SHARD.cells
    weights = SHARD.weights
    assert weights.facts is not None
    header = replace(weights.facts.header, kv=KvCache(key_elements=500_000))
    known = replace(SHARD, weights=replace(weights, facts=replace(weights.facts, header=header)))
    size_bytes = SHARD.model.size_gb * 1e9
    deep = replace(cell, question=cell.question.at_depth(Depth(10_000, 40_000)), timeout_s=inf)
    speed = Speed(10.0, 1e12, 0.0, Basis.MEASURED)
    shallow_s, deep_s = (
        cell_seconds(known, c, speed) for c in (replace(cell, timeout_s=inf), deep)
    )
    assert deep_s / shallow_s == pytest.approx(1 + 500_000 * 2 * 10_000 / size_bytes, rel=1e-6)
    assert cell_seconds(SHARD, deep, speed) == pytest.approx(shallow_s)
