"""The figures of a level: speeds, latencies at percentiles with intervals, and what held.

Requests of one question resemble each other, so intervals come from a bootstrap over questions:
questions are drawn with replacement, each with all its requests.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from scripts.lib.base.estimates import Estimate
from scripts.lib.load.generator import Level, Served

PERCENTILES = (50, 95, 99)
DRAWS, CONFIDENCE = 2000, 0.95
# With fewer questions an interval means nothing.
LEAST_QUESTIONS = 6
# A percentile is shown if so many values lie beyond it, and has an interval with more of them.
LEAST_BEYOND, LEAST_BEYOND_FOR_INTERVAL = 1, 5


@dataclass(frozen=True, slots=True)
class Slo:
    """What a request has to meet (None: nothing): time to first token, mean time between tokens."""

    ttft_s: float | None = None
    inter_token_s: float | None = None

    def met(self, served: Served) -> bool:
        """True if a request has an answer that meets it."""
        if served.error or served.ttft_s is None:
            return False
        gaps = served.inter_token_s
        mean = sum(gaps) / len(gaps) if gaps else 0.0
        return (self.ttft_s is None or served.ttft_s <= self.ttft_s) and (
            self.inter_token_s is None or mean <= self.inter_token_s
        )


@dataclass(frozen=True, slots=True)
class Figures:
    """One level's figures; None where there are too few values.

    `output_tokens_per_s`: all tokens over the time from the first request to the end of the last.
    `overlap`: see the function; None under Poisson arrivals, which want no number in flight.
    `goodput_per_s`: requests per second that meet the SLO.
    """

    level: Level
    output_tokens_per_s: float
    decode_tokens_per_s: Estimate | None
    ttft_s: tuple[Estimate | None, ...]
    inter_token_s: tuple[Estimate | None, ...]
    overlap: float | None
    slo_share: float | None
    goodput_per_s: float | None


def percentile(
    served: Sequence[Served], values_of: Callable[[Served], Iterable[float]], percent: int
) -> Estimate | None:
    """A percentile over the values of all requests, with its interval over questions."""
    by_question: dict[str, list[float]] = {}
    for one in served:
        by_question.setdefault(one.question, []).extend(values_of(one))
    groups = [np.array(values) for values in by_question.values() if values]
    count = sum(len(group) for group in groups)
    # The small addition: 100 values times 1 % is one value, not a little less.
    beyond = math.floor(count * (1 - percent / 100) + 1e-9)
    if beyond < LEAST_BEYOND:
        return None
    value = float(np.percentile(np.concatenate(groups), percent))
    if len(groups) < LEAST_QUESTIONS or beyond < LEAST_BEYOND_FOR_INTERVAL:
        return Estimate(value, None, None, count, len(groups))
    chance = np.random.default_rng(0)
    drawn = [
        np.percentile(np.concatenate([groups[i] for i in places]), percent)
        for places in chance.integers(0, len(groups), (DRAWS, len(groups)))
    ]
    half = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(drawn, [half, 100 - half])
    return Estimate(value, float(low), float(high), count, len(groups))


def overlap(level: Level) -> float | None:
    """The share of the time in which the wanted number of requests was in flight.

    Counted from the first request until the last one was sent: then none waits any more.
    """
    wanted = level.arrivals.concurrency
    if wanted is None:
        return None
    first = min(one.sent_s for one in level.served)
    last = max(one.sent_s for one in level.served)
    changes = sorted(
        [(one.sent_s, 1) for one in level.served] + [(one.end_s, -1) for one in level.served]
    )
    full, flying, before = 0.0, 0, first
    for time_s, change in changes:
        now = min(time_s, last)
        if flying >= wanted:
            full += now - before
        flying, before = flying + change, now
    return full / (last - first) if last > first else float(len(level.served) >= wanted)


def figures(level: Level, slo: Slo | None = None) -> Figures:
    """The figures of a level with at least one answer."""
    answered = level.answered
    took = max(one.end_s for one in level.served) - min(one.due_s for one in level.served)
    met = None if slo is None else sum(map(slo.met, level.served))
    speeds = percentile(
        answered, lambda s: [s.decode_tokens_per_s] if s.decode_tokens_per_s else [], 50
    )
    return Figures(
        level,
        sum(one.completion_tokens for one in answered) / took,
        speeds,
        tuple(
            percentile(answered, lambda s: [] if s.ttft_s is None else [s.ttft_s], p)
            for p in PERCENTILES
        ),
        tuple(percentile(answered, lambda s: s.inter_token_s, p) for p in PERCENTILES),
        overlap(level),
        None if met is None else met / len(level.served),
        None if met is None else met / took,
    )
