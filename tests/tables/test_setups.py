"""Setups from reviews: pass rates with coverage, paired speed-ups, and impossible speeds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scripts.lib.base.estimates import Estimate
from scripts.lib.base.markdown import share
from scripts.lib.base.speed_limits import bandwidth_efficiency
from scripts.lib.engines.speculation_log import ALL
from scripts.lib.pages.sections.speed import efficiency
from scripts.lib.planning.cell_record import Count
from scripts.lib.planning.modes import Mode
from scripts.lib.results.review_rows import ReviewRow
from scripts.lib.results.symptoms import Symptom
from scripts.lib.settings.speculators import speculations
from scripts.lib.tables.setups import (
    Setup,
    by_question,
    passes,
    quality_rows,
    speed_ratio,
    ways_of,
    workload_place,
)
from scripts.lib.tables.summary import summary_csv, summary_row
from tests.factories.engines import engine_mode_spec
from tests.factories.plans import model
from tests.factories.table_rows import LOOKUP, ROW, on_workloads


def setup(mode: Mode, *rows: ReviewRow, **changes: object) -> Setup:
    made = Setup("h", "embedded", model("m", path="dir/Big-7B-Q4.gguf"), mode, rows, len(rows))
    speculated = {"speculations": speculations(engine_mode_spec(mode))}
    return replace(made, **(speculated | changes))  # type: ignore[arg-type]


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
    [
        *(("exact", True), ("numeric tie", True), ("lossy", False), ("differs", False)),
        *(("unknown", False), ("", False)),
    ],
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


def accepted(*by_position: int, steps: int = 10, **changes: object) -> dict[str, object]:
    """The counts of an answer whose drafts were accepted so far."""
    counted = {"accepted_tokens": sum(by_position), "accepted_by_position": by_position}
    return {"drafted_tokens": 40, "verify_steps": steps, **counted, **changes}


def test_acceptance_by_position_is_a_median_over_questions_and_a_total() -> None:
    """Three questions keep 8, 6 and 4 of 10 first tokens; an endless answer keeps all."""
    rows = [
        replace(ROW, question_id=f"q{kept}", **accepted(kept, kept // 2))  # type: ignore[arg-type]
        for kept in (8, 6, 4)
    ]
    endless = replace(ROW, question_id="loop", **accepted(1000, 1000, steps=1000))  # type: ignore[arg-type]
    way = setup(Mode("mtp_k2", k=2, mtp=True), *rows, endless, base=BASE)
    first, second = way.positions
    assert (first.place, first.accepted, first.verify_steps) == (1, 1018, 1030)
    assert first.share is not None and first.share.value == pytest.approx(0.7)
    assert second.share is not None and second.share.value == pytest.approx(0.35)
    assert way.position(2) == second and way.position(3) is None, "no draft is that long"


def test_a_position_that_was_never_accepted_is_zero_and_an_old_cell_is_none() -> None:
    named = {"mtp": Count(10, 10, 20)}
    nothing = replace(ROW, **accepted(speculators=named))  # type: ignore[arg-type]
    way = setup(Mode("mtp_k2", k=2, mtp=True), nothing, base=BASE)
    (only,) = way.positions
    assert only.share is not None and (only.share.value, only.accepted, only.place) == (0, 0, 1)
    older = [
        replace(nothing, question_id=f"old{kept}", accepted_tokens=kept, speculators={})
        for kept in (12, 0)
    ]
    # Of those that accepted nothing alone, a share would be 0.
    not_told_apart = replace(nothing, speculators={ALL: Count(10, 10, 20)})
    # A server that names its speculators, and not the positions.
    no_list = replace(nothing, question_id="q2", accepted_tokens=12)
    for rows in (older, older[1:], [not_told_apart], [nothing, no_list]):
        unknown = replace(way, rows=tuple(rows))
        assert unknown.positions == () and unknown.position(1) is None
    assert replace(way, rows=(*older, nothing)).verified == (nothing,)


def test_counts_of_speculators_are_summed_in_the_order_in_which_they_are_asked() -> None:
    rows = [
        replace(ROW, speculators={"mtp": Count(5, 5, 20, 9), "lookup": Count(9, 4, 30, 8)}),
        replace(ROW, question_id="q2", speculators={"lookup": Count(1, 1, 2, 2)}),
        replace(ROW, question_id="q3", status="error", speculators={"mtp": Count(100)}),
    ]
    way = setup(Mode("mtp_k4_lookup", k=4, mtp=True, lookup_n=3), *rows, base=BASE)
    assert list(way.counts.items()) == [
        ("lookup", Count(10, 5, 32, 10)),
        ("mtp", Count(5, 5, 20, 9)),
    ]


@pytest.mark.parametrize(
    ("mode", "most"),
    [
        (Mode("spec_d_k4", draft="d", k=4), 4),
        (Mode("mtp_k4", mtp=True, k=4), 4),
        (LOOKUP, 16),
        (Mode("ngram_map_k", ngram="ngram_map_k"), 48),
        (Mode("ngram_mod", ngram="ngram_mod"), 64),
        (Mode("ngram_cache", ngram="ngram_cache"), 8),
        (Mode("mtp_k4_ngram_mod", mtp=True, k=4, ngram="ngram_mod"), 64),
        (Mode("baseline"), None),
    ],
)
def test_the_limit_of_a_speed_up_is_what_the_speculator_can_draft(
    mode: Mode, most: int | None
) -> None:
    assert setup(mode).most_drafted == most
    if most is not None:
        fast = setup(mode, *timed(*(1.1 * speed * (most + 1) for speed in (10, 20, 40))), base=BASE)
        assert f"passes K + 1 = {most + 1}" in fast.struck_out
        close = setup(mode, *timed(*(speed * (most + 1) for speed in (10, 20, 40))), base=BASE)
        assert close.struck_out == ""


def test_heads_and_n_gram_speculators_have_no_column_of_the_predecessors() -> None:
    ways = [
        setup(mode, *timed(50), base=BASE)
        for mode in (
            Mode("mtp_k4", mtp=True, k=4),
            Mode("mtp_k4_lookup", mtp=True, k=4, lookup_n=3),
            Mode("ngram_mod", ngram="ngram_mod"),
        )
    ]
    shown = summary_row(BASE, [*ways, setup(LOOKUP, *timed(20), base=BASE)])
    assert (shown["spec_best_tps"], shown["spec_lookup_best_tps"]) == ("", "")
    assert shown["lookup_n_results"] == "n3:20.0"


EDITS, PROSE = [10.0, 11.0, 12.0], [8.0]
ON_WORKLOADS = on_workloads(BASE, {"prose": PROSE, "code_editing": EDITS})


def lookup_on(speeds: dict[str, list[float]], **changes: object) -> Setup:
    return on_workloads(setup(LOOKUP, *timed(10, 20, 40)), speeds, ON_WORKLOADS, **changes)


def test_speeds_are_those_of_the_workloads_and_each_counts_equally() -> None:
    assert BASE.decode == Estimate(20, None, None, 3, 3), "without a workload: all questions"
    assert ON_WORKLOADS.decode is not None and ON_WORKLOADS.decode.clusters == 4
    # Prose has half of the weight: 8 stands at 1/4, 10 at 7/12.
    assert ON_WORKLOADS.decode.value == pytest.approx(8 + 2 * 0.75)
    assert ON_WORKLOADS.ttft is not None and ON_WORKLOADS.ttft.clusters == 4
    failed = tuple(replace(row, status="error") for row in ON_WORKLOADS.rows if row.suite != "math")
    only_quality = replace(ON_WORKLOADS, rows=(*BASE.rows, *failed))
    assert only_quality.decode == BASE.decode, "no answer with a workload is left"


def test_a_speed_up_is_paired_on_the_workloads_that_both_answered() -> None:
    way = lookup_on({"code_editing": [20.0, 22.0, 24.0], "prose": [6.0]})
    assert way.speed_up is not None and way.speed_up.estimate.clusters == 4
    by = {name: on.speed_up for name, on in way.by_workload.items()}
    assert list(by) == ["code_editing", "prose"], "in the suite's order"
    edits, prose = by["code_editing"], by["prose"]
    assert edits is not None and edits.estimate.value == pytest.approx(2)
    assert edits.estimate.low == pytest.approx(2), "three questions with the same ratio"
    assert prose is not None and prose.estimate == Estimate(0.75, None, None, 1, 1)
    # A base that answered the other questions only is compared on these.
    other = replace(way, base=BASE)
    assert other.speed_up is not None and other.speed_up.estimate == Estimate(1, None, None, 3, 3)
    assert speed_ratio(way, setup(Mode("baseline"))) is None


def test_few_questions_of_a_workload_have_an_interval_and_shares_of_drafts_have_none() -> None:
    counted = {"drafted_tokens": 40, "accepted_tokens": 20, "verify_steps": 10}
    way = lookup_on({"code_editing": [20.0, 23.0, 24.0], "prose": [6.0]}, **counted)
    on = way.by_workload["code_editing"]
    assert on.decode is not None and on.decode.low is not None and on.decode.low < 20
    assert on.speed_up is not None and on.speed_up.estimate.low is not None
    assert on.acceptance == Estimate(0.5, None, None, 3, 3)
    assert way.acceptance == Estimate(0.5, None, None, 4, 4), "not of the undrafted answers"


def test_a_workload_alone_can_be_impossible() -> None:
    counted = {"drafted_tokens": 160, "accepted_tokens": 10, "verify_steps": 10}
    way = lookup_on({"code_editing": [11.0, 12.0, 13.0], "prose": [80.0]}, **counted)
    assert way.by_workload["prose"].struck_out == "10.00x passes the accepted length + 1 = 2.00"
    assert way.by_workload["code_editing"].struck_out == ""


def test_workloads_are_in_no_pass_rate_and_their_passes_stand_apart() -> None:
    wrong = on_workloads(BASE, {"prose": PROSE, "chat": [9.0, 9.0]}, score=0, passed=False)
    assert wrong.quality == BASE.quality and wrong.passes == BASE.passes
    assert (wrong.planned, wrong.planned_of_quality, wrong.unscored_share) == (6, 3, 0)
    unscored = on_workloads(BASE, {"prose": PROSE}, score=None, passed=None)
    assert unscored.unscored_share == 0
    chat = wrong.by_workload["chat"]
    assert (chat.passes.passed, chat.passes.scored, chat.planned) == (0, 2, 2)
    # Without `apart`, a suite with workloads counts like any other.
    assert replace(wrong, apart=frozenset()).passes.scored == 6


def test_answers_that_ended_early_are_counted() -> None:
    short = on_workloads(BASE, {"prose": PROSE, "chat": [9.0]}, symptoms=(Symptom.SHORT,))
    assert short.ended_early == 2 and short.by_workload["chat"].ended_early == 1
    assert ON_WORKLOADS.ended_early == 0


def test_workloads_of_the_suite_come_first_in_its_order() -> None:
    names = ["poems", "chat", "code_editing", "ads", "prose"]
    ordered = ["code_editing", "prose", "chat", "ads", "poems"]
    assert sorted(names, key=workload_place) == ordered
