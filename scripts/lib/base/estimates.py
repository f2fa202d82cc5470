"""Statistics over questions: pass rates, medians, paired comparisons, with 95 % intervals.

The unit is the question. Its repeats are first reduced to one value (their mean, or median), since
they are not independent evidence. Values come as `{question: its values}`. Everything is
deterministic: random draws use a fixed seed.

How the intervals were chosen: `python -m benchmarks.harness.coverage` simulates how often each
contains the true value.

- Rates and their differences: the Bayesian bootstrap over questions (Rubin 1981) with one more
  question, spread evenly over the possible outcomes (Perks 1947): half a pass and half a failure,
  or a third each of better, equal and worse. Without repeats a rate's interval is the Jeffreys
  interval (Brown, Cai, DasGupta 2001). Unlike the plain bootstrap (coverage 73 % at 5 questions,
  90 % at 24), it does not shrink to a point if every answer passes, or if two setups agree on every
  question. Averaged over the true rates, its coverage is 94-96 % from 8 questions on. No interval
  of a discrete value has exactly 95 % at each single rate.
- Medians: order statistics with the interpolation of Hettmansperger and Sheather (1986): 94-95 %
  from 6 values on, whatever the distribution. The bootstrap of a median gives the same limits in
  large samples, and 85-93 % in small ones.
- Medians over groups of questions (workloads) that count equally, however many questions each has:
  a question's weight is one over the questions of its group. Where the groups have equally many
  questions, this is the plain median and its interval. Else the limits lie where they would in an
  equally weighted sample of Kish's effective size (1965), which is that with the same variance of
  the weighted share below the median.
- Means of values without an upper limit (divergences): Student's t after Hall's transformation
  (1992), which removes the skewness: 94-95 % from 24 values on for moderate skewness, where the
  plain t interval has 91-95 %. None below 8 values.
- Medians of two to five values, only where asked for: Student's interval of the mean logarithm. It
  assumes that the logarithms are distributed evenly around the median, and always contains it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from statistics import fmean
from statistics import median as middle
from types import MappingProxyType

import numpy as np

# Not scipy.stats, which takes a second to import: tables and pages are commands of their own.
from scipy import special

LEVEL = 0.95
TAIL = (1 - LEVEL) / 2
SEED = 20_251_125
DRAWS = 20_000
LEAST_FOR_MEAN = 8
# A modified z-score beyond this marks an outlier (Iglewicz and Hoaglin 1993).
OUTLIER_Z = 3.5

Clustered = Mapping[Hashable, Sequence[float]]
# Question -> the group that it belongs to; questions that are not in it are one group.
Groups = Mapping[Hashable, Hashable]
ONE_GROUP: Groups = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its interval of level `LEVEL`, from `n` values of `clusters` questions.

    `low` and `high` are None if there are too few questions for an interval.
    """

    value: float
    low: float | None
    high: float | None
    n: int
    clusters: int

    def scaled(self, factor: float) -> Estimate:
        """The estimate multiplied by `factor` (above 0)."""
        low, high = (None if end is None else factor * end for end in (self.low, self.high))
        return replace(self, value=factor * self.value, low=low, high=high)

    def holds(self, value: float) -> bool:
        """True unless the interval excludes `value`."""
        return self.low is None or self.high is None or self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two setups on the same questions: the estimate, and the p-value of "no difference"."""

    estimate: Estimate
    p_value: float


class NonInferiority(StrEnum):
    """Whether a quality is at most a margin lower than another's."""

    SHOWN = "non-inferior"
    NOT_SHOWN = "not shown"
    INFERIOR = "inferior"


def _kept(values: Clustered) -> dict[Hashable, Sequence[float]]:
    return {key: found for key, found in values.items() if len(found)}


def _interval_of_mean(values: np.ndarray, outcomes: Sequence[float]) -> tuple[float, float]:
    """The Bayesian bootstrap's interval of the mean, with one more value (see the module's text).

    The added value is spread evenly over the possible `outcomes`, which are in ascending order.

    The weights of equal values add up to one gamma variable, so one weight is drawn for each
    distinct value.
    """
    points, counts = np.unique(np.append(values, outcomes), return_counts=True)
    weights = counts - np.isin(points, outcomes) * (1 - 1 / len(outcomes))
    if len(points) == 2:
        low, high = special.betaincinv(weights[1], weights[0], (TAIL, 1 - TAIL))
    else:
        drawn = np.random.default_rng(SEED).standard_gamma(weights, (DRAWS, len(weights)))
        low, high = np.quantile(drawn @ points / drawn.sum(1), (TAIL, 1 - TAIL))
    # If all values are at one end of the range, the interval includes that end: the usual
    # correction of the Jeffreys interval.
    low = outcomes[0] if values.mean() == outcomes[0] else low
    high = outcomes[-1] if values.mean() == outcomes[-1] else high
    return float(low), float(high)


def pass_rate(outcomes: Clustered) -> Estimate | None:
    """The share of passes, each question counting once; `outcomes` are 0 or 1. None without any.

    Tested against the Jeffreys interval of statsmodels (`proportion_confint`).
    """
    found = _kept(outcomes)
    if not found:
        return None
    means = np.array([fmean(values) for values in found.values()])
    low, high = _interval_of_mean(means, (0, 1))
    return Estimate(float(means.mean()), low, high, sum(map(len, found.values())), len(found))


@lru_cache
def _median_depth(n: int) -> tuple[int, float] | None:
    """(d, share): how far a limit lies from the d-th value, counted from its end, to the next one.

    None below 6 values.
    """
    depths = np.arange(1, n // 2 + 1)
    coverage = 1 - 2 * special.bdtr(depths - 1, n, 0.5)
    if n < 2 or coverage[0] < LEVEL:
        return None
    d = int(depths[coverage >= LEVEL][-1])
    inner = 1 - 2 * special.bdtr(d, n, 0.5)
    step = (coverage[d - 1] - LEVEL) / (coverage[d - 1] - inner)
    return d, float((n - d) * step / (d + (n - 2 * d) * step))


def _weights(questions: Iterable[Hashable], groups: Groups) -> np.ndarray:
    """What part of the whole each question is: groups are equal, as are the questions of one."""
    found = [groups.get(question) for question in questions]
    sizes = Counter(found)
    return np.array([1 / (len(sizes) * sizes[group]) for group in found])


def _median_of(values: Sequence[float], n: int, weights: np.ndarray) -> Estimate:
    """The weighted median of one value per question, with its interval."""
    if np.ptp(weights) > 0:
        return _weighted_median_of(values, n, weights)
    ordered, depth = sorted(map(float, values)), _median_depth(len(values))
    if depth is None:
        return Estimate(middle(ordered), None, None, n, len(ordered))
    d, share = depth
    low = (1 - share) * ordered[d - 1] + share * ordered[d]
    high = (1 - share) * ordered[-d] + share * ordered[-d - 1]
    return Estimate(middle(ordered), low, high, n, len(ordered))


def _weighted_median_of(values: Sequence[float], n: int, weights: np.ndarray) -> Estimate:
    """The same for unequal weights, whose sum is 1.

    A value stands in the middle of its weight, between those of the smaller and of the greater
    values. With equal weights these places are those of the unweighted median and its limits.
    """
    order = np.argsort(values, kind="stable")
    places = np.cumsum(weights[order]) - weights[order] / 2

    def value_at(place: float) -> float:
        return float(np.interp(place, places, np.asarray(values, float)[order]))

    # A sum of squares such as 1/6 may be a little too great in binary.
    effective = int(1 / np.square(weights).sum() + 1e-9)
    depth = _median_depth(effective)
    if depth is None:
        return Estimate(value_at(0.5), None, None, n, len(order))
    place = (depth[0] - 0.5 + depth[1]) / effective
    return Estimate(value_at(0.5), value_at(place), value_at(1 - place), n, len(order))


def _with_few(found: Estimate, values: Sequence[float]) -> Estimate:
    """The estimate with Student's interval of the mean logarithm, where it has none.

    The distance of a median from the mean is at most one standard deviation, and that of the limits
    is more for up to five values: the interval holds the median.
    """
    if found.low is not None or len(values) < 2 or min(values) <= 0:
        return found
    logarithms = np.log(values)
    error = float(np.std(logarithms, ddof=1)) / len(values) ** 0.5
    reach = float(special.stdtrit(len(values) - 1, 1 - TAIL)) * error
    centre = float(np.mean(logarithms))
    return replace(found, low=float(np.exp(centre - reach)), high=float(np.exp(centre + reach)))


def median(values: Clustered, groups: Groups = ONE_GROUP, few: bool = False) -> Estimate | None:
    """The median over questions of each question's median. None without any value.

    `groups` count equally. `few`: two to five questions have an interval, too (values above 0).
    """
    found = _kept(values)
    if not found:
        return None
    ones = [middle(of_one) for of_one in found.values()]
    made = _median_of(ones, sum(map(len, found.values())), _weights(found, groups))
    return _with_few(made, ones) if few else made


def mean(values: Clustered) -> Estimate | None:
    """The mean over questions of each question's mean, for values of any range. None without any.

    The interval is Student's after Hall's transformation: it is not symmetric where the values are
    skewed. Fewer than `LEAST_FOR_MEAN` questions have none.
    """
    found = _kept(values)
    if not found:
        return None
    ones = np.array([fmean(of_one) for of_one in found.values()])
    n, middle_of = sum(map(len, found.values())), float(ones.mean())
    if len(ones) < LEAST_FOR_MEAN:
        return Estimate(middle_of, None, None, n, len(ones))
    low, high = _hall(ones)
    return Estimate(middle_of, low, high, n, len(ones))


def _hall(values: np.ndarray) -> tuple[float, float]:
    """Hall's (1992) interval: his cubic transformation of the t statistic is inverted."""
    count, centre, spread = len(values), values.mean(), values.std()
    if spread == 0:
        return float(centre), float(centre)
    skewness = float(((values - centre) ** 3).mean() / spread**3)
    limit = float(special.stdtrit(count - 1, 1 - TAIL)) / count**0.5

    def back(at: float) -> float:
        if abs(skewness) < 1e-9:
            return at
        third = skewness / 3
        return float((np.cbrt(1 + 3 * third * (at - skewness / (6 * count))) - 1) / third)

    scale = float(values.std(ddof=1))
    return float(centre - scale * back(limit)), float(centre - scale * back(-limit))


def _shared(
    new: Clustered, base: Clustered
) -> dict[Hashable, tuple[Sequence[float], Sequence[float]]]:
    left, right = _kept(new), _kept(base)
    return {key: (values, right[key]) for key, values in left.items() if key in right}


def paired_ratio(
    new: Clustered, base: Clustered, groups: Groups = ONE_GROUP, few: bool = False
) -> Comparison | None:
    """How many times `new` is `base`: the median ratio over the questions that both have.

    Values above 0; `groups` and `few` as for `median`. The p-value is the sign test's, with the
    questions' weights; its acceptance region is the interval of six or more questions of equal
    weight. None without a shared question.
    """
    pairs = _shared(new, base)
    if not pairs:
        return None
    ratios = [middle(a) / middle(b) for a, b in pairs.values()]
    weights = _weights(pairs, groups)
    p_value = _sign_flip(weights * np.sign(np.array(ratios) - 1))
    n = sum(min(len(a), len(b)) for a, b in pairs.values())
    made = _median_of(ratios, n, weights)
    return Comparison(_with_few(made, ratios) if few else made, p_value)


def paired_difference(new: Clustered, base: Clustered) -> Comparison | None:
    """Quality of `new` minus that of `base`, over the questions that both have. Values are 0 to 1.

    None without a shared question.

    The p-value is that of flipping the differences' signs; without repeats this is McNemar's exact
    test.
    """
    pairs = _shared(new, base)
    if not pairs:
        return None
    differences = np.array([fmean(a) - fmean(b) for a, b in pairs.values()])
    low, high = _interval_of_mean(differences, (-1, 0, 1))
    n = sum(min(len(a), len(b)) for a, b in pairs.values())
    return Comparison(
        Estimate(float(differences.mean()), low, high, n, len(pairs)), _sign_flip(differences)
    )


def _sign_test(up: int, n: int) -> float:
    """P-value of `up` of `n` fair coins, on both sides."""
    return min(1.0, 2 * float(special.bdtr(min(up, n - up), n, 0.5)))


def _sign_flip(differences: np.ndarray) -> float:
    """The p-value of the mean of `differences`, if each sign could as well be the other one."""
    unequal = differences[differences != 0]
    if not len(unequal):
        return 1.0
    if np.ptp(np.abs(unequal)) == 0:
        return _sign_test(int((unequal > 0).sum()), len(unequal))
    # Imported here: it takes a second, and only repeats need it.
    from scipy import stats

    options = {"permutation_type": "samples", "vectorized": True, "n_resamples": DRAWS}
    flipped = stats.permutation_test(
        (unequal,), np.mean, rng=np.random.default_rng(SEED), **options
    )
    return float(flipped.pvalue)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """P-values adjusted for multiple comparisons (Holm 1979), in the given order."""
    # A single p-value needs no adjustment. Each call of statsmodels runs the garbage collector,
    # which takes tenths of a second.
    if len(p_values) < 2:
        return tuple(map(float, p_values))
    # Imported here: it takes a third of a second, and planning needs no p-value.
    from statsmodels.stats.multitest import multipletests

    return tuple(float(p) for p in multipletests(p_values, method="holm")[1])


def non_inferiority(difference: Estimate, margin: float) -> NonInferiority:
    """Whether the whole interval of a difference (new minus base) is above or below -`margin`."""
    if difference.low is None or difference.high is None:
        return NonInferiority.NOT_SHOWN
    if difference.low > -margin:
        return NonInferiority.SHOWN
    return NonInferiority.INFERIOR if difference.high < -margin else NonInferiority.NOT_SHOWN


def outliers(values: Sequence[float]) -> tuple[bool, ...]:
    """Which values are outliers: those with a modified z-score above 3.5.

    The score is 0.67 times a value's distance from the median, divided by the median of all such
    distances. Outliers are shown, never left out. If more than half of the values are equal, none
    is marked.
    """
    found = np.asarray(values, float)
    if not len(found):
        return ()
    distance = np.abs(found - np.median(found))
    scale = np.median(distance)
    if scale == 0:
        return (False,) * len(found)
    return tuple(bool(far) for far in special.ndtri(0.75) * distance / scale > OUTLIER_Z)
