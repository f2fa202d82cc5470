"""The figures of a judge against statsmodels, and against what is known of them."""

from __future__ import annotations

import random

import pytest
from statsmodels.stats.proportion import proportion_confint

from scripts.lib.judging.instrument import (
    CONFIDENCE,
    LEAST_FOR_INTERVAL,
    Measure,
    agreement,
    corrected_pass_rate,
    proportion,
    same_pass,
)


@pytest.mark.parametrize(("count", "n"), [(0, 7), (3, 7), (7, 7), (57, 60)])
def test_a_shares_interval_is_wilsons(count: int, n: int) -> None:
    found = proportion("share", count, n)
    assert found is not None and (found.value, found.n) == (count / n, n)
    wanted = proportion_confint(count, n, 1 - CONFIDENCE, "wilson")
    assert (found.low, found.high) == pytest.approx(wanted, abs=1e-12)


def test_a_share_of_nothing_is_none() -> None:
    assert proportion("share", 0, 0) is None


def test_fewer_than_six_values_have_no_interval() -> None:
    few = [(3, 3), (0, 0), (3, 0), (1, 2), (2, 2)]
    assert len(few) == LEAST_FOR_INTERVAL - 1
    for measure in (*agreement("a", few), *same_pass("a", few)):
        assert (measure.low, measure.high) == (None, None), measure
    assert all(m.low is not None for m in agreement("a", [*few, (0, 1)]))


def test_scores_that_mean_the_same_agree_in_pass_and_fail() -> None:
    """The checks give a wrong answer a 0, a judge gives a reasonable attempt a 1."""
    found = {m.name: m.value for m in same_pass("with", [(0, 1)] * 10 + [(3, 2)] * 5)}
    assert found == {"with_same_pass": 1.0, "with_pass_kappa": 1.0}


def share(name: str, value: float, n: int) -> Measure:
    found = proportion(name, round(value * n), n)
    assert found is not None
    return found


def test_the_corrected_pass_rate_is_rogan_and_gladens() -> None:
    # 23 of 150 by a test of sensitivity 0.96 and specificity 0.89: 5.1 % (the example of epiR).
    found = corrected_pass_rate(23, 150, share("se", 0.96, 100), share("sp", 0.89, 100))
    assert found is not None and found.value == pytest.approx(0.05098, abs=1e-5)
    assert found.low == 0.0 and 0.1 < (found.high or 0) < 0.2
    perfect = corrected_pass_rate(30, 150, share("se", 1, 1000), share("sp", 1, 1000))
    assert perfect is not None and perfect.value == pytest.approx(0.2)
    assert (perfect.low, perfect.high) == pytest.approx((0.14, 0.27), abs=0.01)


def test_a_judge_that_tells_nothing_apart_has_no_corrected_rate() -> None:
    assert corrected_pass_rate(50, 100, share("se", 0.5, 40), share("sp", 0.5, 40)) is None
    assert corrected_pass_rate(0, 0, share("se", 0.9, 40), share("sp", 0.9, 40)) is None


def test_the_corrected_rates_interval_covers_the_true_rate() -> None:
    chance, covered, runs = random.Random(3), 0, 300
    true, se, sp, n, known = 0.19, 0.9, 0.85, 90, 40

    def count(probability: float, of: int) -> int:
        return sum(chance.random() < probability for _ in range(of))

    for _ in range(runs):
        found = corrected_pass_rate(
            count(true * se + (1 - true) * (1 - sp), n),
            n,
            share("se", count(se, known) / known, known),
            share("sp", count(sp, known) / known, known),
        )
        assert found is not None and found.low is not None and found.high is not None
        covered += found.low <= true <= found.high
    assert covered / runs >= 0.93
