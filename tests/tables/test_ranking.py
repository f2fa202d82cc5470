"""What a role should run: quality first, then speed; only proved modes, nothing half-scored."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scripts.lib.base.estimates import NonInferiority
from scripts.lib.pages.sections.quality import _why_best
from scripts.lib.planning.modes import Mode
from scripts.lib.tables.ranking import MARGIN, fastest_way, rank, rank_roles, reductions, unrankable
from tests.factories.table_rows import LOOKUP, QUESTIONS, answers, row, way

SPEC = Mode("spec_d_k8", draft="d", k=8)


def test_the_highest_pass_rate_is_first_and_ties_are_told() -> None:
    best, near, far = row("best", 30), row("near", 28, 25.0), row("far", 5, 90.0)
    found = rank("coder", [far, near, best], {})
    assert [c.row.model.key for c in found.candidates] == ["best", "near", "far"]
    assert [c.row.model.key for c in found.tied] == ["near"]
    assert (
        found.candidates[2].versus_best is not None
        and found.candidates[2].versus_best.p_value < 0.001
    )
    assert found.fastest_tied is not None and found.fastest_tied[0].row is near
    assert found.fastest_tied[1].estimate.value == pytest.approx(2.5)


def test_what_shares_no_question_is_not_called_worse() -> None:
    best, far = row("best", 30), row("far", 5)
    apart = row("apart", 20)
    apart = replace(
        apart, rows=tuple(replace(r, question_id=f"other {r.question_id}") for r in apart.rows)
    )
    near = row("near", 28)
    for others, said in (
        ([far], "highest of 2, significantly above all of the others"),
        ([apart], "highest of 2, not comparable with 1 (no shared question)"),
        (
            [apart, far],
            "highest of 3, significantly above 1 of the others, "
            "not comparable with 1 (no shared question)",
        ),
        ([apart, near], "highest of 3, but not significantly above `near` `baseline` "),
    ):
        words = _why_best(rank("coder", [best, *others], {}))
        assert words.startswith(said) and ("not comparable with 1" in words) == (apart in others)


def test_p_values_are_adjusted_for_all_candidates() -> None:
    best, one = row("best", 30), row("one", 22)
    alone = rank("coder", [best, one], {}).candidates[1].versus_best
    many = (
        rank("coder", [best, one, *(row(f"m{n}", 21) for n in range(6))], {})
        .candidates[1]
        .versus_best
    )
    assert alone is not None and many is not None
    assert many.estimate == alone.estimate and many.p_value > alone.p_value


def test_a_tied_row_that_is_not_faster_beyond_chance_is_not_offered() -> None:
    assert rank("coder", [row("best", 30), row("near", 29, 10.0)], {}).fastest_tied is None


def test_equal_pass_rates_are_ordered_by_speed() -> None:
    found = rank("coder", [row("slow", 30, 10.0), row("fast", 30, 20.0)], {})
    assert [c.row.model.key for c in found.candidates] == ["fast", "slow"]


def test_the_way_is_the_fastest_that_was_proved() -> None:
    base = row("m", 30)
    honest, lossy = way(base, LOOKUP, 15.0), way(base, SPEC, 18.0, certificate="lossy")
    unknown = way(base, replace(SPEC, name="spec_d_k4", k=4), 17.0, certificate="unknown")
    wild = way(base, replace(SPEC, name="spec_d_k16", k=16), 510.0)
    broken = way(base, replace(SPEC, name="spec_d_k24", k=24), 20.0)
    broken = replace(broken, rows=(replace(broken.rows[0], status="error"), *broken.rows[1:]))
    everything = [base, honest, lossy, unknown, wild, broken]
    assert wild.struck_out and not lossy.inherits_quality and broken.breaks == 1
    assert fastest_way(base, everything) is honest
    assert rank("coder", everything, {}).candidates[0].way is honest


def test_a_way_whose_gain_may_be_chance_is_not_taken() -> None:
    base = row("m", 30)
    slow, same = way(base, LOOKUP, 8.0), way(base, SPEC, 10.0)
    assert fastest_way(base, [base, slow, same]) is base
    few = replace(way(base, LOOKUP, 20.0), rows=way(base, LOOKUP, 20.0).rows[:5])
    assert few.speed_up is not None and few.speed_up.estimate.low is None
    assert fastest_way(base, [base, few]) is base


def test_physics_and_missing_scores_are_never_ranked() -> None:
    wild = row("wild", 40, 900.0, weights_bytes=10**9, bandwidth_gb_per_s=100.0)
    partial = row("partial", 38, planned=QUESTIONS + 1)
    unscored = row("unscored", 38)
    unscored = replace(
        unscored, rows=(replace(unscored.rows[0], score=None, passed=None), *unscored.rows[1:])
    )
    found = rank("coder", [wild, partial, unscored, row("honest", 3)], {})
    assert [c.row.model.key for c in found.candidates] == ["honest"]
    reasons = {c.model.key: why for c, why in found.unranked}
    assert reasons["wild"].startswith("struck out by physics: 9")
    assert reasons["partial"] == "1 of 41 answers have no score (limit: 2 %)"
    assert reasons["unscored"] == "1 of 40 answers have no score (limit: 2 %)"
    assert unrankable(row("m", 3, planned=QUESTIONS)) == ""


def test_a_failed_answer_is_a_failed_question_and_keeps_the_row_ranked() -> None:
    failing = row("m", 30)
    failing = replace(
        failing,
        rows=(replace(failing.rows[0], status="error", score=None, passed=None), *failing.rows[1:]),
    )
    (candidate,) = rank("coder", [failing], {}).candidates
    assert candidate.quality.value == pytest.approx(29 / 40)


def test_architects_keep_all_experts_and_run_the_recommended_mode() -> None:
    base = row("m", 30, roles=("architect",))
    spec, lookup = way(base, SPEC, 12.0), way(base, LOOKUP, 15.0)
    reduced = replace(base, mode=Mode("moe4", experts=4), rows=answers(38, 20.0))
    everything = [base, reduced, spec, lookup]
    found = rank("architect", everything, {"m": SPEC.name})
    assert [c.way for c in found.candidates] == [spec]
    assert [(c.mode.name, why) for c, why in found.unranked] == [
        ("moe4", "architects keep all experts: quality before speed")
    ]
    lossy = [
        base,
        replace(spec, rows=tuple(replace(r, certificate="lossy") for r in spec.rows)),
        lookup,
    ]
    assert rank("architect", lossy, {"m": SPEC.name}).candidates[0].way is lookup
    assert rank("coder", everything, {"m": SPEC.name}).candidates == ()


def test_a_role_is_judged_on_its_own_suites() -> None:
    one = row("m", 30, roles=("math",))
    assert rank("math", [one], {}).unranked == (
        (one, "no answer in the role's suites (math, thinking, general)"),
    )
    roles = [
        ranking.role for ranking in rank_roles([one, row("n", 3, roles=("coder", "math"))], {})
    ]
    assert roles == ["math", "coder"]


def test_fewer_experts_are_compared_with_all_of_the_same_model() -> None:
    full = row("m", 30)
    same = replace(full, mode=Mode("moe6", experts=6))
    worse = replace(full, mode=Mode("moe4", experts=4), rows=answers(10, 14.0))
    (kept, lost) = reductions([full, same, worse, row("other", 1)])
    assert (kept.full, kept.row, kept.difference.estimate.value) == (full, same, 0)
    assert kept.verdict is NonInferiority.SHOWN and kept.difference.estimate.low is not None
    assert kept.difference.estimate.low > -MARGIN
    assert (
        lost.verdict is NonInferiority.INFERIOR
        and lost.difference.estimate.value == pytest.approx(-0.5)
    )
    assert lost.speed is not None and lost.speed.estimate.value == pytest.approx(1.4)
