"""Statistics against textbook values, scipy and statsmodels, and what happens at the edges."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.stats import binomtest
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from benchmarks.harness.coverage import (
    SIZES,
    difference_coverage,
    divergence_rows,
    few_coverage,
    median_coverage,
    rate_coverage,
    workload_coverage,
)
from scripts.lib.base import estimates
from scripts.lib.base.estimates import (
    Estimate,
    NonInferiority,
    holm,
    mean,
    median,
    non_inferiority,
    outliers,
    paired_difference,
    paired_ratio,
    pass_rate,
)


def of_questions(*values: float) -> dict[str, list[float]]:
    return {f"q{number}": [value] for number, value in enumerate(values)}


def outcomes(passed: int, asked: int) -> dict[str, list[float]]:
    return of_questions(*[1] * passed, *[0] * (asked - passed))


@pytest.mark.parametrize(("passed", "asked"), [(1, 3), (5, 24), (12, 13), (40, 80)])
def test_a_rate_without_repeats_has_the_jeffreys_interval(passed: int, asked: int) -> None:
    found = pass_rate(outcomes(passed, asked))
    assert found is not None and (found.n, found.clusters) == (asked, asked)
    assert found.value == pytest.approx(passed / asked)
    assert (found.low, found.high) == pytest.approx(
        proportion_confint(passed, asked, method="jeffreys")
    )


def test_none_and_all_passed_reach_the_end_of_the_range() -> None:
    none, every = pass_rate(outcomes(0, 10)), pass_rate(outcomes(10, 10))
    assert (
        none is not None
        and (none.value, none.low) == (0, 0)
        and none.high == pytest.approx(0.2172, abs=1e-4)
    )
    assert (
        every is not None
        and (every.value, every.high) == (1, 1)
        and every.low == pytest.approx(1 - 0.2172, abs=1e-4)
    )
    one = pass_rate(outcomes(1, 1))
    assert one is not None and one.low is not None and one.low < 0.2
    assert pass_rate({}) is None and pass_rate({"q": []}) is None


def test_repeats_of_a_question_are_no_more_questions() -> None:
    once = pass_rate(outcomes(5, 24))
    thrice = pass_rate({question: values * 3 for question, values in outcomes(5, 24).items()})
    assert once is not None and thrice is not None
    assert (thrice.n, thrice.clusters) == (72, 24)
    assert (thrice.low, thrice.high) == (once.low, once.high)
    mixed = pass_rate({"a": [1, 1, 0], "b": [0], "c": [1, 0, 0]})
    assert mixed is not None and mixed.value == pytest.approx((2 / 3 + 0 + 1 / 3) / 3)


def test_medians_have_the_published_interpolated_interval() -> None:
    # Hettmansperger and Sheather's rule worked by hand for n = 10: depths 2 and 3 cover 97.85 % and
    # 89.06 %.
    step = (0.978515625 - 0.95) / (0.978515625 - 0.890625)
    share = 8 * step / (2 + 6 * step)
    found = median(of_questions(*range(1, 11)))
    assert found is not None and found.value == 5.5
    assert (found.low, found.high) == pytest.approx((2 + share, 9 - share))


def test_a_median_of_few_values_has_no_interval() -> None:
    assert median(of_questions(3, 1, 2, 5, 4)) == Estimate(3, None, None, 5, 5)
    assert median(of_questions(7)) == Estimate(7, None, None, 1, 1)
    assert median({}) is None
    six = median(of_questions(1, 2, 3, 4, 5, 6))
    assert six is not None and six.low is not None and 1 < six.low < 2
    repeats = median({"a": [1, 100, 3], "b": [5, 5]})
    assert repeats is not None and (repeats.value, repeats.n, repeats.clusters) == (4, 5, 2)


def grouped(**groups: list[float]) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Each group's values as questions, and the groups of these questions."""
    named = {f"{g}{n}": (g, value) for g, found in groups.items() for n, value in enumerate(found)}
    return {q: [value] for q, (_, value) in named.items()}, {q: g for q, (g, _) in named.items()}


def test_groups_of_equal_size_have_the_plain_median_and_interval() -> None:
    values, groups = grouped(a=[1, 2, 3, 4], b=[5, 6, 7, 8], c=[9, 10, 11, 12])
    assert median(values, groups) == median(values)
    assert paired_ratio(values, values, groups) == paired_ratio(values, values)


def test_a_group_counts_as_much_as_any_other_however_many_questions_it_has() -> None:
    few, groups = grouped(a=[1, 1, 1, 1, 1, 1, 1, 1], b=[5.0], c=[9.0])
    found = median(few, groups)
    assert found is not None and found.value == pytest.approx(5), "and not 1"
    assert (found.n, found.clusters, found.low) == (10, 10, None)
    # The effective size is 4: fewer than six questions of equal weight.
    plain = median(few)
    assert plain is not None and (plain.value, plain.low) == (1, 1)


def test_unequal_groups_have_an_interval_between_those_of_fewer_and_of_all_questions() -> None:
    values, groups = grouped(a=[*range(1, 9)], b=[*range(11, 19)], c=[3, 13])
    made, plain = median(values, groups), median(values)
    assert made is not None and made.low is not None and made.high is not None
    assert plain is not None and plain.low is not None and plain.high is not None
    assert made.low < made.value < made.high
    # Kish's size is 12, of 18 questions.
    assert made.high - made.low > plain.high - plain.low


def test_the_sign_test_of_unequal_groups_flips_weighted_signs() -> None:
    new, groups = grouped(a=[2, 2, 2, 2], b=[0.5])
    base = {question: [1.0] for question in new}
    found = paired_ratio(new, base, groups)
    assert found is not None
    # Four of weight 1/8 against one of 1/2: a sum of 0 is the least extreme one.
    assert found.p_value == 1
    # 0.5 stands at 1/4, the first 2 at 9/16.
    assert found.estimate.value == pytest.approx(0.5 + 1.5 * 0.8)


def test_few_values_have_students_interval_of_the_mean_logarithm_where_it_is_asked_for() -> None:
    logarithms = np.log([1.5, 1.9, 2.0, 2.4])
    found = median(of_questions(1.5, 1.9, 2.0, 2.4), few=True)
    low, high = np.exp(stats.t.interval(0.95, 3, np.mean(logarithms), stats.sem(logarithms)))
    assert found is not None and found.value == pytest.approx(1.95)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert median(of_questions(7), few=True) == Estimate(7, None, None, 1, 1)
    assert median(of_questions(0, 1, 2), few=True) == median(of_questions(0, 1, 2))
    many = of_questions(*range(1, 11))
    assert median(many, few=True) == median(many)
    ratio = paired_ratio(of_questions(2, 3), of_questions(1, 1), few=True)
    assert ratio is not None and ratio.estimate.holds(2.5) and ratio.estimate.low is not None


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_the_interval_of_few_values_holds_their_median(count: int) -> None:
    rng = np.random.default_rng(count)
    for values in rng.lognormal(0, 2, (500, count)):
        found = median(of_questions(*values), few=True)
        assert found is not None and found.low is not None and found.holds(found.value)


def test_speed_ups_are_medians_of_ratios_paired_by_question() -> None:
    base, new = of_questions(10, 20, 40), of_questions(20, 30, 40)
    found = paired_ratio(new, base)
    assert found is not None and found.estimate == Estimate(1.5, None, None, 3, 3)
    assert found.p_value == pytest.approx(0.5)  # two up of two: the sign test
    assert paired_ratio(new, {"other": [1.0]}) is None
    seven = paired_ratio(of_questions(*range(11, 19)), of_questions(*[10] * 8))
    assert (
        seven is not None
        and seven.p_value == pytest.approx(2 / 2**8)
        and not seven.estimate.holds(1)
    )
    same = paired_ratio(base, base)
    assert same is not None and (same.estimate.value, same.p_value) == (1, 1)


@pytest.mark.parametrize(("better", "worse", "both"), [(9, 2, 20), (1, 0, 5), (6, 6, 0), (0, 0, 8)])
def test_a_difference_without_repeats_is_tested_as_mcnemar_does(
    better: int, worse: int, both: int
) -> None:
    new = of_questions(*[1] * better, *[0] * worse, *[1] * both)
    base = of_questions(*[0] * better, *[1] * worse, *[1] * both)
    found = paired_difference(new, base)
    assert found is not None
    assert found.estimate.value == pytest.approx((better - worse) / (better + worse + both))
    assert found.p_value == pytest.approx(mcnemar([[both, better], [worse, 0]], exact=True).pvalue)
    assert found.estimate.holds(found.estimate.value)
    assert (
        found.estimate.low is not None
        and found.estimate.low > -1
        and found.estimate.low < found.estimate.high
    )


def test_a_difference_with_repeats_is_tested_by_flipping_signs() -> None:
    new = {"a": [1, 1, 1], "b": [1, 1, 0], "c": [1, 0, 0], "d": [0, 0, 0], "only": [1]}
    base = {"a": [0, 0, 0], "b": [0, 0, 0], "c": [0, 0, 0], "d": [1, 0, 0]}
    found = paired_difference(new, base)
    assert found is not None and found.estimate.clusters == 4
    differences = [1, 2 / 3, 1 / 3, -1 / 3]
    signs = np.array(np.meshgrid(*[[-1, 1]] * 4)).reshape(4, -1)
    exact = np.mean(np.abs(differences @ signs) >= sum(differences) - 1e-9)
    assert found.p_value == pytest.approx(exact)


def test_where_two_agree_on_everything_the_interval_still_has_a_width() -> None:
    found = paired_difference(outcomes(20, 24), outcomes(20, 24))
    assert found is not None and found.estimate.value == 0 and found.p_value == 1
    assert found.estimate.low == pytest.approx(
        -0.07, abs=0.01
    ) and found.estimate.high == pytest.approx(0.07, abs=0.01)


def test_holm_is_that_of_statsmodels_and_of_the_textbook() -> None:
    p_values = [0.01, 0.04, 0.03, 0.005]
    assert holm(p_values) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])
    assert holm([]) == () and holm([0.9, 0.8]) == (1, 1)
    many = np.random.default_rng(0).random(30) ** 6
    assert holm(many) == pytest.approx(multipletests(many, method="holm")[1])


@pytest.mark.parametrize("n", [1, 8, 9])
def test_the_sign_test_is_scipys(n: int) -> None:
    for up in range(n + 1):
        faster = {i: [2.0 if i < up else 0.5] for i in range(n)}
        found = paired_ratio(faster, {i: [1.0] for i in range(n)})
        assert found is not None and found.p_value == pytest.approx(binomtest(up, n).pvalue)


def test_non_inferiority_asks_where_the_interval_lies() -> None:
    def verdict(low: float | None, high: float | None) -> NonInferiority:
        return non_inferiority(Estimate(0, low, high, 9, 9), margin=0.05)

    assert verdict(-0.04, 0.02) is NonInferiority.SHOWN
    assert verdict(-0.06, 0.02) is NonInferiority.NOT_SHOWN
    assert verdict(-0.20, -0.06) is NonInferiority.INFERIOR
    assert verdict(None, None) is NonInferiority.NOT_SHOWN


def test_a_multiple_of_an_estimate_has_the_multiple_of_its_interval() -> None:
    assert Estimate(10, 8, 13, 9, 7).scaled(0.5) == Estimate(5, 4, 6.5, 9, 7)
    assert Estimate(10, None, None, 3, 3).scaled(2) == Estimate(20, None, None, 3, 3)


def test_outliers_are_far_from_the_median_by_the_medians_measure() -> None:
    assert outliers([10, 11, 9, 10.5, 40]) == (False, False, False, False, True)
    assert outliers([5, 5, 5, 5, 9]) == (False,) * 5
    assert outliers([]) == () and outliers([1, 2]) == (False, False)


def test_everything_is_deterministic() -> None:
    new, base = {"a": [1, 0], "b": [1, 1], "c": [0, 1]}, {"a": [0, 0], "b": [1, 0], "c": [1, 1]}
    assert paired_difference(new, base) == paired_difference(new, base)


# Repeats are drawn for, which takes three times as long with 24 questions as with 8.
@pytest.mark.parametrize(("questions", "repeats"), [(8, 1), (24, 1), (8, 3)])
def test_rates_are_covered(questions: int, repeats: int) -> None:
    assert 0.94 <= rate_coverage(questions, repeats, simulations=60) <= 0.96


@pytest.mark.parametrize(
    ("questions", "repeats", "simulations"), [(8, 1, 150), (24, 1, 150), (8, 3, 40)]
)
def test_differences_are_covered(
    questions: int, repeats: int, simulations: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The p-value is no part of the interval, and with repeats takes nine tenths of the time.
    monkeypatch.setattr(estimates, "_sign_flip", lambda differences: 1.0)
    assert 0.94 <= difference_coverage(questions, repeats, simulations) <= 0.96


@pytest.mark.parametrize("questions", [6, 10, 24])
def test_medians_are_covered(questions: int) -> None:
    assert 0.94 <= median_coverage(questions, simulations=3000) <= 0.96


@pytest.mark.parametrize("questions", [3, 4, 5])
def test_medians_of_few_values_are_covered(questions: int) -> None:
    assert 0.90 <= few_coverage(questions, simulations=1000) <= 0.97


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("apart", [0.0, 1.0])
def test_medians_over_workloads_are_covered(sizes: tuple[int, ...], apart: float) -> None:
    """Wider than necessary where workloads are apart, never narrower."""
    assert workload_coverage(sizes, apart, simulations=1000) >= 0.94


def test_a_mean_of_few_or_equal_values_has_no_interval_or_no_width() -> None:
    assert mean({}) is None
    few = mean(of_questions(*range(7)))
    assert few is not None and few.value == 3 and few.low is few.high is None
    equal = mean(of_questions(*[0.25] * 9))
    assert equal is not None and (equal.value, equal.low, equal.high) == (0.25, 0.25, 0.25)


def test_the_interval_of_a_mean_is_student_s_where_nothing_is_skewed() -> None:
    values = [-3.0, -2.0, -1.0, -0.5, 0.5, 1.0, 2.0, 3.0]
    found = mean(of_questions(*values))
    limits = stats.t.interval(0.95, len(values) - 1, 0, stats.sem(values))
    assert found is not None and (found.low, found.high) == pytest.approx(limits)


def test_the_interval_of_a_skewed_mean_reaches_further_to_the_long_side() -> None:
    found = mean(of_questions(*np.random.default_rng(0).lognormal(0, 0.7, 40)))
    assert found is not None and found.low is not None and found.high is not None
    assert found.high - found.value > 1.1 * (found.value - found.low) > 0


def test_intervals_of_mean_divergences_hold_the_true_value() -> None:
    covered = np.array([row[1:] for row in divergence_rows([24, 96], 400)], float)
    assert (np.abs(covered.mean(0) - 0.95) < 0.01).all() and covered.min() > 0.91
