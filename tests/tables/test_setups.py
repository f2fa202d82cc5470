"""Setups from reviews: pass rates with coverage, paired speed-ups, and impossible speeds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scripts.lib.base.estimates import Estimate
from scripts.lib.base.markdown import share
from scripts.lib.base.speed_limits import bandwidth_efficiency
from scripts.lib.pages.sections.speed import efficiency
from scripts.lib.planning.modes import Mode
from scripts.lib.results.review_rows import ReviewRow
from scripts.lib.tables.setups import (
    Setup,
    by_question,
    passes,
    quality_rows,
    ways_of,
)
from scripts.lib.tables.summary import summary_csv, summary_row
from tests.factories.plans import model
from tests.factories.table_rows import LOOKUP, ROW


def setup(mode: Mode, *rows: ReviewRow, **changes: object) -> Setup:
    made = Setup("h", "embedded", model("m", path="dir/Big-7B-Q4.gguf"), mode, rows, len(rows))
    return replace(made, **changes)  # type: ignore[arg-type]


def timed(*speeds: float, **changes: object) -> tuple[ReviewRow, ...]:
    return tuple(
        replace(ROW, question_id=f"q{i}", decode_tokens_per_s=speed, **changes)  # type: ignore[arg-type]
        for i, speed in enumerate(speeds)
    )


BASE = setup(Mode("baseline"), *timed(10, 20, 40))


def test_passes_count_errors_as_asked_and_unscored_not_at_all() -> None:
    rows = [
        ROW,
        replace(ROW, score=1, passed=False),
        replace(ROW, score=None, passed=None, coverage=0.2),
        replace(ROW, status="error", score=None, passed=None, coverage=0.0),
    ]
    found = passes(rows)
    assert (found.passed, found.scored, found.asked) == (1, 3, 4)
    assert found.coverage == pytest.approx(0.55)
    assert passes([]).rate is None
    row = setup(Mode("baseline"), *rows, planned=5)
    assert row.quality is not None and row.quality.value == pytest.approx(1 / 3)
    assert row.unscored_share == pytest.approx(2 / 5)


def test_repeats_of_a_question_stand_together() -> None:
    rows = [ROW, replace(ROW, repeat=1, ttft_s=0.3), replace(ROW, question_id="q2", ttft_s=None)]
    assert by_question(rows, lambda row: row.ttft_s) == {("math", "q1"): [0.1, 0.3]}


def test_speed_ups_are_medians_of_paired_ratios() -> None:
    fast = setup(LOOKUP, *timed(20, 30, 40), base=BASE)
    assert fast.speed_up is not None and fast.speed_up.estimate == Estimate(1.5, None, None, 3, 3)
    only = replace(fast, rows=timed(20))
    assert only.speed_up is not None and only.speed_up.estimate.clusters == 1
    assert BASE.speed_up is None and replace(fast, base=None).speed_up is None


def test_ways_belong_to_their_own_row() -> None:
    other = setup(Mode("baseline"), *timed(10, 20, 40), engine="server")
    way = setup(LOOKUP, *timed(20), base=BASE)
    assert ways_of(BASE, [BASE, other, way]) == [way] and ways_of(other, [BASE, other, way]) == []
    assert quality_rows([way, other]) == [other]


def test_impossible_speeds_are_struck_out() -> None:
    counted = {
        "drafted_tokens": 30,
        "accepted_tokens": 10,
        "verify_steps": 10,
        "certificate": "exact",
    }
    honest = setup(Mode("spec_d_k4", draft="d", k=4), *timed(15, 30, 60, **counted), base=BASE)
    wild = setup(Mode("spec_d_k16", draft="d", k=16), *timed(510, 1020, 2040, **counted), base=BASE)
    assert wild.struck_out.startswith("51.00x passes K + 1 = 17") and honest.struck_out == ""
    quick = setup(Mode("baseline"), *timed(300), weights_bytes=98_000_000, bandwidth_gb_per_s=21.0)
    assert "more than the memory's 21 GB/s" in quick.struck_out
    assert setup(LOOKUP, *timed(310), base=quick).struck_out == "its base baseline is struck out"


def test_one_long_answer_decides_no_acceptance() -> None:
    """Nine answers that keep half of four drafted tokens, a loop that keeps all, one undrafted."""
    usual = timed(*[20] * 9, drafted_tokens=40, accepted_tokens=20, verify_steps=10)
    loop = replace(
        ROW, question_id="loop", drafted_tokens=4000, accepted_tokens=4000, verify_steps=1000
    )
    way = setup(LOOKUP, *usual, loop, replace(ROW, question_id="none"), base=BASE)
    assert way.acceptance == Estimate(0.5, 0.5, 0.5, 10, 10) and way.accepted_length == Estimate(
        2, 2, 2, 10, 10
    )
    assert (way.drafted, way.accepted) == (4360, 4180)
    assert BASE.acceptance is None and BASE.accepted_length is None
    few = replace(way, rows=usual[:3])
    assert (
        share(few.acceptance, with_n=True) == "50 % (n=3)"
        and share(way.acceptance) == "50 % (50–50)"
    )


def test_the_rooflines_share_has_the_speeds_interval() -> None:
    row = setup(
        Mode("baseline"), *timed(*range(10, 20)), weights_bytes=10**9, bandwidth_gb_per_s=100.0
    )
    assert row.decode is not None and row.decode.low is not None
    found = efficiency(row, row.decode)
    assert found is not None and found.value == bandwidth_efficiency(row.decode.value, 1e9, 1e11)
    assert (found.low, found.n) == (pytest.approx(row.decode.low / 100), 10)
    assert efficiency(replace(row, bandwidth_gb_per_s=None), row.decode) is None


@pytest.mark.parametrize(
    ("verdict", "inherited"),
    [("exact", True), ("numeric tie", True), ("lossy", False), ("unknown", False), ("", False)],
)
def test_only_answers_that_were_proved_the_same_inherit_quality(
    verdict: str, inherited: bool
) -> None:
    way = setup(LOOKUP, *timed(20, 30, certificate="exact"), ROW, base=BASE)
    way = replace(way, rows=(*timed(20, certificate=verdict), *timed(30, certificate=verdict)))
    assert way.inherits_quality is inherited and BASE.inherits_quality


def test_a_mode_breaks_what_fails_in_it_alone() -> None:
    failed = replace(ROW, question_id="q1", status="error")
    way = setup(LOOKUP, failed, replace(failed, question_id="q2"), base=BASE)
    assert way.breaks == 2
    assert replace(way, base=replace(BASE, rows=(failed,))).breaks == 1


def test_a_speed_that_stands_apart_is_told() -> None:
    row = setup(Mode("baseline"), *timed(100, 101, 99, 100.5, 40))
    assert [answer.question_id for answer in row.slow_or_fast] == ["q4"]


def test_the_predecessors_summary_row() -> None:
    base = setup(Mode("baseline"), *timed(9, 10))
    counted = {"accepted_tokens": 9, "verify_steps": 3}
    ways = [
        setup(Mode(f"spec_{draft}_k{k}", draft=draft, k=k), *timed(speed, **counted), base=base)
        for draft, k, speed in (("d", 4, 11.4), ("d", 8, 14.4), ("slow", 4, 9.9), ("d", 16, 900))
    ]
    lookup = setup(LOOKUP, *timed(10.6, **counted), base=base)
    row = summary_row(base, [*ways, lookup])
    shown = tuple(row[name] for name in ("model", "math", "vl", "total", "pct_str"))
    assert shown == ("Big-7B-Q4", "2/2", "-", "2/2", "100%")
    assert (row["avg_tps"], row["spec_draft"], row["spec_best_tps"]) == ("9.5", "d", "14.4")
    assert (row["spec_k_results"], row["lookup_n_results"]) == ("k4:11.4,k8:14.4", "n3:10.6")
    assert summary_csv([base, *ways, lookup]).splitlines()[1].startswith("Big-7B-Q4,-,-,2/2,")


def test_the_predecessors_summary_counts_its_own_suites_and_names_as_it_did() -> None:
    tools = replace(ROW, suite="tool_compliance", score=0, passed=False)
    weights = model("m", path="dir/Big-7B-Q4-00001-of-00005.gguf")
    base = setup(Mode("moe4", experts=4), *timed(9, 10), tools, model=weights)
    ways = [
        setup(Mode("x", draft=draft, k=k, lookup_n=3), *timed(speed), base=base)
        for draft, k, speed in (("slow", 8, 9.9), ("d", 8, 11.4), ("d", 16, 14.4))
    ]
    row = summary_row(base, ways)
    assert (row["model"], row["math"], row["total"], row["pct_str"]) == (
        "Big-7B-Q4_moe4",
        "2/2",
        "2/2",
        "100%",
    )
    assert row["spec_lookup_best_tps"] == "14.4"
    assert row["spec_lookup_results"] == "d_k16_n3:14.4,d_k8_n3:11.4,slow_k8_n3:9.9"
