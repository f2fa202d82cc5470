"""Percentiles, overlap and SLO of levels whose times are known."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.lib.load.figures import LEAST_QUESTIONS, Slo, figures, overlap, percentile
from scripts.lib.load.generator import Arrivals, Level, Served


def served(
    question: str, sent_s: float, end_s: float, *token_s: float, due_s: float | None = None
) -> Served:
    error = "" if token_s else "none"
    return Served(question, sent_s if due_s is None else due_s, sent_s, end_s, token_s, error=error)


def level(*requests: Served, concurrency: int | None = 2) -> Level:
    return Level(Arrivals(concurrency), requests, 0.01)


def test_latency_counts_from_when_a_request_was_due() -> None:
    late = served("a", 5.0, 7.0, 6.0, 6.5, 7.0, due_s=1.0)
    assert late.ttft_s == 5.0
    assert late.inter_token_s == (0.5, 0.5) and late.decode_tokens_per_s == 2.0


def test_the_servers_count_of_tokens_is_used_where_it_gives_one() -> None:
    """A piece of the stream may hold several tokens."""
    counted = Served("a", 0.0, 0.0, 2.0, (1.0, 2.0), tokens=9)
    assert counted.completion_tokens == 9 and counted.decode_tokens_per_s == 8.0


def test_the_share_of_time_with_as_many_in_flight_as_wanted() -> None:
    # Two in flight from 0 to 4, one from 4 to 6; the last one is sent at 6.
    found = level(served("a", 0, 4, 1), served("b", 0, 9, 1), served("c", 6, 9, 7))
    assert overlap(found) == pytest.approx(4 / 6)
    assert overlap(level(served("a", 0, 1, 1), served("b", 1, 2, 2))) == 0.0
    assert overlap(level(served("a", 0, 1, 1), served("b", 0, 2, 2))) == 1.0
    assert overlap(level(served("a", 0, 1, 1), concurrency=None)) is None


def test_an_slo_counts_requests_without_an_answer_as_not_met() -> None:
    good, slow = served("a", 0, 2, 0.5, 1.0), served("b", 0, 2, 1.5, 2.0)
    failed = served("c", 0, 2)
    found = figures(level(good, slow, failed), Slo(ttft_s=1.0))
    assert found.slo_share == pytest.approx(1 / 3) and found.goodput_per_s == pytest.approx(0.5)
    nobody = figures(level(good, slow, failed), Slo(inter_token_s=0.1))
    assert (nobody.slo_share, nobody.goodput_per_s) == (0.0, 0.0)
    assert figures(level(good)).slo_share is None


def test_a_percentile_needs_values_beyond_it_and_an_interval_needs_questions() -> None:
    some = [served(f"q{i}", 0, 2, 1.0) for i in range(19)]
    values = lambda one: [one.ttft_s]  # noqa: E731
    assert percentile(some, values, 95) is None
    twenty = percentile([*some, served("q", 0, 2, 3.0)], values, 95)
    assert twenty is not None and twenty.low is None and twenty.n == 20
    few = [served(f"q{i % (LEAST_QUESTIONS - 1)}", 0, 2, 1.0) for i in range(200)]
    one = percentile(few, values, 95)
    assert one is not None and one.low is None and one.clusters == LEAST_QUESTIONS - 1


def test_intervals_are_taken_over_questions() -> None:
    """Requests of one question resemble each other: their number makes no interval narrow.

    90 % of 60 simulated levels or more have the true median of 1 in the interval.
    """
    chance, held = np.random.default_rng(1), 0
    for _ in range(60):
        requests = []
        for question in range(24):
            own = chance.lognormal(0.0, 0.3)
            requests += [
                served(f"q{question}", 0, 9, own * chance.lognormal(0.0, 0.02)) for _ in range(8)
            ]
        found = percentile(requests, lambda one: [one.ttft_s or 0.0], 50)
        assert found is not None and found.low is not None and found.high is not None
        held += found.low <= 1.0 <= found.high
    assert held >= 54
