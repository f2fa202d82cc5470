"""Coverage of the intervals of scripts/lib/base/estimates.py and of the bootstrap; 95 % is right.

Each number is a mean over true values: rates of 2-98 %, differences of 0-45 points, six
distributions of a speed. The repeats of a question are correlated (0, 0.3 or 0.7). Prints a table
of mean divergences, one of rates, differences and medians, and one of workloads, in about half an
hour:
    python -m benchmarks.harness.coverage [--simulations 200] [--questions 6 10 24 80]
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import numpy as np
from tabulate import tabulate
from tqdm import tqdm

from scripts.lib.base.estimates import (
    LEAST_FOR_MEAN,
    Clustered,
    Estimate,
    mean,
    median,
    paired_difference,
    pass_rate,
)

RATES = tuple(np.linspace(0.02, 0.98, 25))
CORRELATIONS = (0.0, 0.3, 0.7)
_CHANGED = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.45)
# (share of questions that got better, that got worse); most stay as they are.
CHANGES = tuple(
    (up, down) for up, down in itertools.product(_CHANGED, repeat=2) if up + down <= 0.75
)
BOOTSTRAP_DRAWS = 1000

Interval = tuple[float, float]
Draw = tuple[tuple[float, ...], ...]


def _known(found: Estimate | None) -> Interval:
    assert found is not None and found.low is not None and found.high is not None
    return found.low, found.high


def _clustered(draw: Draw) -> Clustered:
    return dict(enumerate(draw))


@lru_cache(maxsize=100_000)
def our_rate(draw: Draw) -> Interval:
    """The interval of a pass rate."""
    return _known(pass_rate(_clustered(draw)))


@lru_cache(maxsize=100_000)
def our_difference(draw: Draw) -> Interval:
    """The interval of a paired difference; `draw` has the difference of each question."""
    new = {k: [max(v[0], 0)] for k, v in enumerate(draw)}
    base = {k: [max(-v[0], 0)] for k, v in enumerate(draw)}
    found = paired_difference(new, base)
    return _known(found.estimate if found is not None else None)


def our_median(draw: Draw) -> Interval:
    """The interval of a median."""
    return _known(median(_clustered(draw)))


@lru_cache(maxsize=100_000)
def bootstrapped(draw: Draw, of: Callable[..., np.ndarray] = np.mean) -> Interval:
    """The plain percentile bootstrap over questions."""
    values = np.array([np.mean(values) for values in draw])
    drawn = np.random.default_rng(0).integers(0, len(values), (BOOTSTRAP_DRAWS, len(values)))
    low, high = np.quantile(of(values[drawn], axis=1), (0.025, 0.975))
    return float(low), float(high)


def bootstrapped_median(draw: Draw) -> Interval:
    """The plain percentile bootstrap of a median."""
    return bootstrapped(draw, np.median)


def _share(draws: Iterator[Draw], truth: float, interval: Callable[[Draw], Interval]) -> float:
    held = [low <= truth <= high for low, high in map(interval, draws)]
    return sum(held) / len(held)


def _difficulties(
    rng: np.random.Generator, rate: float, correlation: float, questions: int
) -> np.ndarray:
    """Each question's own rate of passing, so that two repeats of one correlate as wanted."""
    if correlation == 0:
        return np.full(questions, rate)
    concentration = (1 - correlation) / correlation
    return rng.beta(rate * concentration, (1 - rate) * concentration, questions)


def rate_coverage(
    questions: int, repeats: int, simulations: int, interval: Callable[[Draw], Interval] = our_rate
) -> float:
    """Mean coverage of a pass rate's interval."""
    rng = np.random.default_rng(questions * 100 + repeats)

    def draws(rate: float, correlation: float) -> Iterator[Draw]:
        for _ in range(simulations):
            passed = rng.binomial(repeats, _difficulties(rng, rate, correlation, questions))
            yield tuple((1.0,) * k + (0.0,) * (repeats - k) for k in sorted(passed.tolist()))

    cases = itertools.product(RATES, CORRELATIONS if repeats > 1 else (0.0,))
    return float(np.mean([_share(draws(*case), case[0], interval) for case in cases]))


def difference_coverage(
    questions: int,
    repeats: int,
    simulations: int,
    interval: Callable[[Draw], Interval] = our_difference,
) -> float:
    """Mean coverage of a paired difference's interval.

    The repeats of an unchanged question differ by chance.
    """
    rng = np.random.default_rng(questions * 100 + repeats)

    def draws(up: float, down: float) -> Iterator[Draw]:
        for _ in range(simulations):
            change = rng.choice([1, -1, 0], questions, p=[up, down, 1 - up - down])
            by_chance = (
                rng.binomial(repeats, 0.7, questions) - rng.binomial(repeats, 0.7, questions)
            ) / repeats
            seen = np.where(change == 0, by_chance if repeats > 1 else 0, change)
            yield tuple((float(value),) for value in np.sort(seen))

    return float(np.mean([_share(draws(*case), case[0] - case[1], interval) for case in CHANGES]))


def _two_humps(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.where(rng.random(n) < 0.5, rng.normal(0, 1, n), rng.normal(4, 1, n))


SPEEDS: dict[str, tuple[Callable[[np.random.Generator, int], np.ndarray], float]] = {
    "normal": (lambda rng, n: rng.normal(100, 10, n), 100),
    "log-normal": (lambda rng, n: rng.lognormal(0, 0.6, n), 1),
    "exponential": (lambda rng, n: rng.exponential(1, n), np.log(2)),
    "uniform": (lambda rng, n: rng.random(n), 0.5),
    "heavy tails (t, 3 degrees of freedom)": (lambda rng, n: rng.standard_t(3, n), 0),
    "two humps": (_two_humps, 2),
}


def median_coverage(
    questions: int, simulations: int, interval: Callable[[Draw], Interval] = our_median
) -> float:
    """Mean coverage of a median's interval over the distributions of SPEEDS."""
    rng = np.random.default_rng(questions)

    def draws(values: Callable[[np.random.Generator, int], np.ndarray]) -> Iterator[Draw]:
        for _ in range(simulations):
            yield tuple((value,) for value in values(rng, questions).tolist())

    return float(
        np.mean([_share(draws(values), truth, interval) for values, truth in SPEEDS.values()])
    )


# Questions of each workload.
SIZES = ((4,) * 8, (2,) * 8, (4, 4, 4, 4, 4, 4, 4, 1), (8, 4, 4, 2, 2, 2, 1, 1))
FEW = (2, 3, 4, 5)


def few_coverage(questions: int, simulations: int) -> float:
    """Mean coverage of the interval of few values, whose logarithms are distributed as SPEEDS."""
    rng = np.random.default_rng(questions)

    def interval(draw: Draw) -> Interval:
        return _known(median(_clustered(draw), few=True))

    def draws(values: Callable[[np.random.Generator, int], np.ndarray]) -> Iterator[Draw]:
        for _ in range(simulations):
            yield tuple((value,) for value in np.exp(values(rng, questions) / 100).tolist())

    return float(
        np.mean(
            [
                _share(draws(values), float(np.exp(truth / 100)), interval)
                for values, truth in SPEEDS.values()
            ]
        )
    )


def workload_coverage(sizes: tuple[int, ...], apart: float, simulations: int) -> float:
    """Mean coverage of the median over workloads of these sizes.

    Their own medians are `apart` standard deviations from one to the next. The true value is that
    of a great sample with equally many questions of each.
    """
    groups = dict(enumerate(g for g, size in enumerate(sizes) for _ in range(size)))
    centres = apart * np.arange(len(sizes))
    shifts = centres[list(groups.values())]

    def interval(draw: Draw) -> Interval:
        return _known(median(_clustered(draw), groups))

    def held(values: Callable[[np.random.Generator, int], np.ndarray]) -> float:
        rng = np.random.default_rng(sum(sizes))
        many = np.reshape(values(rng, 100_000 * len(sizes)), (len(sizes), -1))
        scale = float(np.std(many))
        truth = float(np.median(many / scale + centres[:, None]))
        drawn = (values(rng, len(groups)) / scale + shifts for _ in range(simulations))
        draws = (tuple((value,) for value in one.tolist()) for one in drawn)
        return _share(draws, truth, interval)

    return float(np.mean([held(values) for values, _ in SPEEDS.values()]))


def workload_rows(simulations: int) -> Iterator[list[object]]:
    """One row per kind of interval: what it is of, its mean coverage."""
    for questions in FEW:
        yield [f"one workload, {questions} questions", few_coverage(questions, simulations)]
    for sizes, apart in itertools.product(SIZES, (0.0, 1.0)):
        what = f"all, of {' + '.join(map(str, sizes))} questions, {apart:g} apart"
        yield [what, workload_coverage(sizes, apart, simulations)]


# A divergence is at least 0; those of a model's questions are about log-normal, with 0.3 to 0.7.
DIVERGENCES: dict[str, tuple[Callable[[np.random.Generator, int], np.ndarray], float]] = {
    "log-normal, 0.3": (lambda rng, n: rng.lognormal(0, 0.3, n), np.exp(0.045)),
    "log-normal, 0.5": (lambda rng, n: rng.lognormal(0, 0.5, n), np.exp(0.125)),
    "log-normal, 0.7": (lambda rng, n: rng.lognormal(0, 0.7, n), np.exp(0.245)),
    "gamma, 4": (lambda rng, n: rng.gamma(4, 1, n), 4.0),
    "exponential": (lambda rng, n: rng.exponential(1, n), 1.0),
}


def our_mean(draw: Draw) -> Interval:
    """The interval of a mean."""
    return _known(mean(_clustered(draw)))


def divergence_rows(questions: Sequence[int], simulations: int) -> Iterator[list[object]]:
    """One row per distribution of divergences: the coverage of the mean's interval."""
    for name, (values, truth) in DIVERGENCES.items():
        row: list[object] = [name]
        for count in questions:
            rng = np.random.default_rng(count)
            drawn = (values(rng, count).tolist() for _ in range(simulations))
            draws = (tuple((value,) for value in one) for one in drawn)
            row.append(_share(draws, truth, our_mean))
        yield row


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.harness.coverage", description=__doc__
    )
    parser.add_argument(
        "--simulations", type=int, default=200, help="samples per true value (default: %(default)s)"
    )
    parser.add_argument(
        "--questions", type=int, nargs="+", default=[6, 10, 24, 80], help="questions in a sample"
    )
    words = "only the table of mean divergences (seconds)"
    parser.add_argument("--divergences", action="store_true", help=words)
    arguments = parser.parse_args()
    asked = [count for count in arguments.questions if count >= LEAST_FOR_MEAN]
    of_means = divergence_rows(asked, 10 * arguments.simulations)
    heads = ["mean of", *(f"{count} questions" for count in asked)]
    print(tabulate(of_means, heads, tablefmt="pipe", floatfmt=".3f"))
    if arguments.divergences:
        return 0
    cases = list(itertools.product(arguments.questions, (1, 3)))
    rows = []
    for questions, repeats in tqdm(cases, unit="case", disable=None):
        count = arguments.simulations
        rows.append(
            [
                *(questions, repeats),
                rate_coverage(questions, repeats, count, our_rate),
                rate_coverage(questions, repeats, count, bootstrapped),
                difference_coverage(questions, repeats, count, our_difference),
                difference_coverage(questions, repeats, count, bootstrapped),
                median_coverage(questions, 10 * count, our_median),
                median_coverage(questions, count, bootstrapped_median),
            ]
        )
    heads = [
        f"{what}: {how}"
        for what in ("rate", "difference", "median")
        for how in ("ours", "bootstrap")
    ]
    print(tabulate(rows, ["questions", "repeats", *heads], tablefmt="pipe", floatfmt=".3f"))
    of_workloads = workload_rows(10 * arguments.simulations)
    print(tabulate(of_workloads, ["median of", "covered"], tablefmt="pipe", floatfmt=".3f"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
