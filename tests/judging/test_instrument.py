"""The figures of a judge against statsmodels."""

from __future__ import annotations

import pytest
from statsmodels.stats.proportion import proportion_confint

from scripts.lib.judging.instrument import CONFIDENCE, proportion


@pytest.mark.parametrize(("count", "n"), [(0, 1), (1, 1), (0, 7), (3, 7), (7, 7), (57, 60)])
def test_a_shares_interval_is_wilsons(count: int, n: int) -> None:
    found = proportion("share", count, n)
    assert found is not None and (found.value, found.n) == (count / n, n)
    wanted = proportion_confint(count, n, 1 - CONFIDENCE, "wilson")
    assert (found.low, found.high) == pytest.approx(wanted, abs=1e-12)


def test_a_share_of_nothing_is_none() -> None:
    assert proportion("share", 0, 0) is None
