"""The judge as an instrument: tests of each batch and of the series, and its error rates.

A batch is tested by its own known answers, the series by those of all its accepted batches and by a
chart that shows a change. Every limit is a test: a judge is refused if its errors are significantly
more frequent than allowed, not for a single miss. `python -m benchmarks.harness.judge_gates`
simulates how often judges are refused that deserve it, and that do not.
"""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import special

from scripts.lib.base.layout import VERDICTS
from scripts.lib.base.output_forms import TERMINAL
from scripts.lib.judging.canaries import CHECKED, STYLES, Group, group_of
from scripts.lib.scoring.rubric import MOST_SCORE, PASS_SCORE
from scripts.lib.scoring.series import Role, Series
from scripts.lib.scoring.verdict_store import (
    ACCEPTED,
    QUARANTINED,
    BatchRecord,
    ItemOutcome,
    JudgeVerdict,
    VerdictStore,
)

# The share of wrong verdicts that a judge may have, and the level of the test that it has more.
MOST_WRONG, LEVEL = 0.10, 0.02
# The checks err, too. Of a strong model's answers that they fail, a good part may be right, so one
# side alone has a wider limit.
MOST_OF_ONE_SIDE = 0.20
# Asked twice, a judge with 5 % random errors gives another verdict in 10 % of the cases.
MOST_CHANGED, MOST_OTHER_SCORE = 0.15, 0.20
MOST_UNSCORED = 0.20
# A judge that gives one reason to this many answers, and to this share of them, does not read them.
SAME_REASON_TIMES, SAME_REASON_SHARE = 5, 0.10
LEAST_FOR_CONSTANT = 8
# The chart: a sum of log likelihood ratios of the error rates after and before a change. It ends
# the series at this height, which a judge with 5 % errors reaches once in some 30,000 answers.
RATE_BEFORE, RATE_AFTER, CHART_LIMIT = 0.05, 0.30, 8.0
CONFIDENCE = 0.95
# Fewer values give no interval: it would cover almost everything.
LEAST_FOR_INTERVAL = 6


# --- known answers --------------------------------------------------------------------------------


def known(items: Iterable[ItemOutcome]) -> Iterator[ItemOutcome]:
    """The scored items with a known result, retests left out."""
    for item in items:
        if item.score is not None and item.expected is not None and item.role is not Role.RETEST:
            yield item


def items_of(records: Iterable[BatchRecord]) -> list[ItemOutcome]:
    """The items of these batches, in their order."""
    return [item for record in records for item in record.items]


def real_answers(records: Iterable[BatchRecord]) -> Iterator[ItemOutcome]:
    """The models' answers in accepted batches: pairs, and real answers among the canaries."""
    accepted = (record for record in records if record.status == ACCEPTED)
    return (i for i in items_of(accepted) if i.role is Role.PAIR or i.kind == CHECKED)


def deserves_pass(item: ItemOutcome) -> bool:
    """True for a known answer that deserves a pass."""
    return (item.expected or 0) >= PASS_SCORE


def is_wrong(item: ItemOutcome) -> bool:
    """True if the judge passed a known answer that deserves a fail, or failed one that does not.

    Checks and judges are compared by pass and fail. Their scores from 0 to 3 do not mean the same:
    a judge gives a wrong but reasonable attempt a 1, the checks a 0.
    """
    return ((item.score or 0) >= PASS_SCORE) != deserves_pass(item)


def _group(item: ItemOutcome) -> Group | None:
    return group_of(item.kind, item.expected)


def _is_real(item: ItemOutcome) -> bool:
    return _group(item) is Group.CHECKED


def _is_attempt(item: ItemOutcome) -> bool:
    return _group(item) is not Group.WORTHLESS


# --- tests ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Gate:
    """A limit for one mistake: `wrong` of an item is None if the gate is not about it."""

    said: str
    wrong: Callable[[ItemOutcome], bool | None]
    most: float = MOST_WRONG
    level: float = LEVEL


def _known(said: str, picks: Callable[[ItemOutcome], bool], most: float = MOST_WRONG) -> Gate:
    return Gate(
        said,
        lambda item: is_wrong(item) if next(known([item]), None) and picks(item) else None,
        most,
    )


def _styled(kind: str) -> Gate:
    gate = _known(f"wrong answers passed ({kind})", lambda item: item.kind == kind)
    # A style has few answers, of which a test would often find three wrong by chance.
    return replace(gate, level=LEVEL / len(STYLES))


def _twice(said: str, most: float, changed: Callable[[int, int], bool]) -> Gate:
    def wrong(item: ItemOutcome) -> bool | None:
        if item.role is not Role.RETEST or item.first is None or item.score is None:
            return None
        return changed(item.first, item.score)

    return Gate(said, wrong, most)


GATES = (
    _known("worthless answers passed", lambda item: _group(item) is Group.WORTHLESS),
    _known("near misses passed", lambda item: _group(item) is Group.NEAR_MISS),
    *map(_styled, STYLES),
    _known("right answers failed", lambda item: _group(item) is Group.RIGHT),
    _known("real answers judged otherwise than known", _is_real),
    _known(
        "real answers that deserve a fail passed",
        lambda item: _is_real(item) and not deserves_pass(item),
        MOST_OF_ONE_SIDE,
    ),
    _known(
        "real answers that deserve a pass failed",
        lambda item: _is_real(item) and deserves_pass(item),
        MOST_OF_ONE_SIDE,
    ),
    _known("wrong attempts passed", lambda item: _is_attempt(item) and not deserves_pass(item)),
    _known("right attempts failed", deserves_pass),
    _twice(
        "answers that were asked twice passed only once",
        MOST_CHANGED,
        lambda first, again: (first >= PASS_SCORE) != (again >= PASS_SCORE),
    ),
    _twice(
        "answers that were asked twice got another score",
        MOST_OTHER_SCORE,
        lambda first, again: first != again,
    ),
)


def _tested(gate: Gate, items: Iterable[ItemOutcome]) -> Iterator[str]:
    results = [wrong for item in items if (wrong := gate.wrong(item)) is not None]
    count = sum(results)
    # The chance of so many errors or more, if the judge's rate is the limit.
    if results and special.bdtrc(count - 1, len(results), gate.most) < gate.level:
        yield f"{count} of {len(results)} {gate.said} (limit {100 * gate.most:.0f} %)"


def _by_source(items: Sequence[ItemOutcome]) -> Iterator[str]:
    """A judge that prefers a model: its errors on one model's answers, if there are several."""
    real = [item for item in known(items) if _is_real(item)]
    sources = sorted({item.source for item in real})
    if len(sources) < 2:
        return
    for source in sources:
        own = [item for item in real if item.source == source]
        for gate in (
            _known(f"answers of {source} judged otherwise than known", _is_real),
            _known(
                f"wrong answers of {source} passed",
                lambda item: not deserves_pass(item),
                MOST_OF_ONE_SIDE,
            ),
        ):
            yield from _tested(replace(gate, level=LEVEL / len(sources)), own)


def gate_findings(items: Sequence[ItemOutcome]) -> Iterator[str]:
    """What the binomial tests of all limits found in these items."""
    for gate in GATES:
        yield from _tested(gate, items)
    yield from _by_source(items)


def _lazy(items: Sequence[ItemOutcome], verdicts: Mapping[str, JudgeVerdict]) -> Iterator[str]:
    judged = [item for item in items if item.score is not None]
    scores = Counter(item.score for item in judged)
    if len(judged) >= LEAST_FOR_CONSTANT and len(scores) == 1:
        yield f"all {len(judged)} scores are {judged[0].score}"
    # The answers to each reason, as a set: a retest may well get the same reason again.
    answers: dict[str, set[str]] = {}
    for item in judged:
        if item.digest in verdicts and _group(item) is not Group.WORTHLESS:
            reason = " ".join(verdicts[item.digest].scored.summary.split()).casefold()
            answers.setdefault(reason, set()).add(item.pair)
    reason = max(answers, key=lambda text: len(answers[text]), default="")
    times = len(answers.get(reason, ()))
    if times >= SAME_REASON_TIMES and times > SAME_REASON_SHARE * len(judged):
        yield f"one reason was given for {times} different answers: {reason[:80]!r}"


def first_replies(
    items: Iterable[ItemOutcome], verdicts: Mapping[str, JudgeVerdict]
) -> list[ItemOutcome]:
    """The answered items that were not asked for again because a reply was useless."""

    def times(item: ItemOutcome) -> int:
        return verdicts[item.digest].times if item.digest in verdicts else 1

    return [item for item in items if item.answered and times(item) == 1]


def _malformed(items: Sequence[ItemOutcome], verdicts: Mapping[str, JudgeVerdict]) -> Iterator[str]:
    answered = first_replies(items, verdicts)
    unscored = [item for item in answered if item.score is None]
    if len(unscored) > MOST_UNSCORED * len(answered):
        first = Counter(item.unscored[:60] for item in unscored).most_common(1)[0][0]
        yield (
            f"{len(unscored)} of {len(answered)} replies could not be scored (most often: {first})"
        )


def findings(items: Sequence[ItemOutcome], verdicts: Mapping[str, JudgeVerdict]) -> tuple[str, ...]:
    """What the tests of a batch found wrong with the judge; empty if its verdicts may be used.

    `verdicts`: digest -> verdict.
    """
    return (*gate_findings(items), *_lazy(items, verdicts), *_malformed(items, verdicts))


# --- the series -----------------------------------------------------------------------------------


def once(items: Iterable[ItemOutcome]) -> Iterator[ItemOutcome]:
    """Each answer's first known result: anchors and checked answers are asked again and again.

    Retests are all kept.
    """
    seen = set[str]()
    for item in items:
        if item.role is Role.RETEST:
            yield item
        elif item.pair not in seen and next(known([item]), None) is not None:
            seen.add(item.pair)
            yield item


def chart(items: Iterable[ItemOutcome]) -> list[float]:
    """A CUSUM of the errors on canaries that are attempts, in the order in which they were asked.

    An answer that was asked before is an anchor. It counts as an error only if the judge was right
    the first time: the chart shows changes, not constant errors. Real answers are not in it: from
    one batch to the next, they may be of another model.
    """
    up = math.log(RATE_AFTER / RATE_BEFORE)
    down = math.log((1 - RATE_AFTER) / (1 - RATE_BEFORE))
    levels, was_wrong = [0.0], dict[str, bool]()
    for item in known(items):
        if _group(item) in (Group.NEAR_MISS, Group.RIGHT):
            wrong = is_wrong(item)
            is_error = wrong and not was_wrong.get(item.pair, False)
            was_wrong.setdefault(item.pair, wrong)
            levels.append(max(0.0, levels[-1] + (up if is_error else down)))
    return levels


def series_findings(
    earlier: Sequence[ItemOutcome], items: Sequence[ItemOutcome]
) -> tuple[str, ...]:
    """What the tests of a whole series found, with a new batch; empty if it may go on.

    `earlier`: the items of its accepted batches, the oldest first.
    """
    every = [*earlier, *items]
    found = [f"over all batches: {said}" for said in gate_findings(list(once(every)))]
    for passes, said in ((False, "passes wrong"), (True, "fails right")):
        highest = max(chart(item for item in every if deserves_pass(item) is passes))
        if highest >= CHART_LIMIT:
            found.append(
                f"the judge drifts: more and more often it {said} answers "
                f"(chart {highest:.1f}, limit {CHART_LIMIT:.0f})"
            )
    return tuple(found)


# --- measures -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure of a judge, its 95 % interval (None: the sample is too small), and its n."""

    name: str
    value: float
    low: float | None
    high: float | None
    n: int


def proportion(name: str, count: int, n: int) -> Measure | None:
    """A share with Wilson's interval, without one for fewer than six; None if `n` is 0."""
    if not n:
        return None
    if n < LEAST_FOR_INTERVAL:
        return Measure(name, count / n, None, None, n)
    # Imported here, as below: it takes a third of a second, and most results trees have no judge.
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(count, n, 1 - CONFIDENCE, "wilson")
    return Measure(name, count / n, float(low), float(high), n)


def retests(items: Iterable[ItemOutcome]) -> list[tuple[int, int]]:
    """(first score, second score) of the answers that a judge was asked about twice."""
    return [
        (item.first, item.score)
        for item in items
        if item.role is Role.RETEST and item.first is not None and item.score is not None
    ]


def kappa(name: str, pairs: Sequence[tuple[int, int]]) -> Measure | None:
    """Quadratic kappa of two scorings; of pass and fail (0 and 1), it is Cohen's kappa.

    None if one side gave the same score to all. No interval for fewer than six pairs.
    """
    if not pairs or any(len(set(scores)) == 1 for scores in zip(*pairs, strict=True)):
        return None
    from statsmodels.stats.inter_rater import cohens_kappa

    table = np.zeros((MOST_SCORE + 1, MOST_SCORE + 1))
    for first, second in pairs:
        table[first, second] += 1
    with np.errstate(invalid="ignore"):
        found = cohens_kappa(table, wt="quadratic")
    if len(pairs) < LEAST_FOR_INTERVAL or not math.isfinite(found.kappa_low + found.kappa_upp):
        return Measure(name, float(found.kappa), None, None, len(pairs))
    low, high = max(float(found.kappa_low), -1.0), min(float(found.kappa_upp), 1.0)
    return Measure(name, float(found.kappa), low, high, len(pairs))


def same_pass(prefix: str, pairs: Iterable[tuple[int, int]]) -> Iterator[Measure]:
    """Agreement of two scorings in pass and fail: the share of equal ones, and Cohen's kappa."""
    passed = [(int(a >= PASS_SCORE), int(b >= PASS_SCORE)) for a, b in pairs]
    share = proportion(f"{prefix}_same_pass", sum(a == b for a, b in passed), len(passed))
    yield from (m for m in (share, kappa(f"{prefix}_pass_kappa", passed)) if m is not None)


def agreement(prefix: str, pairs: Sequence[tuple[int, int]]) -> Iterator[Measure]:
    """Agreement of two scorings: exact share, quadratic kappa, and mean shift in points of 100."""
    exact = proportion(f"{prefix}_exact", sum(a == b for a, b in pairs), len(pairs))
    if exact is None:
        return
    yield exact
    quadratic = kappa(f"{prefix}_quadratic_kappa", pairs)
    if quadratic is not None:
        yield quadratic
    shifts = np.array([100 * (b - a) / MOST_SCORE for a, b in pairs])
    mean, low, high = float(shifts.mean()), None, None
    if len(pairs) >= LEAST_FOR_INTERVAL:
        error = shifts.std(ddof=1) / math.sqrt(len(pairs))
        half = float(special.stdtrit(len(pairs) - 1, 0.5 + CONFIDENCE / 2) * error)
        low, high = mean - half, mean + half
    yield Measure(f"{prefix}_mean_shift", mean, low, high, len(pairs))


def _right(
    name: str, items: Iterable[ItemOutcome], picks: Callable[[ItemOutcome], bool]
) -> Measure | None:
    """The share of these known answers that the judge is right about."""
    found = [not is_wrong(item) for item in items if picks(item)]
    return proportion(name, sum(found), len(found))


# Figure -> the known answers of which it is the share that the judge gets right.
SHARES: Mapping[str, Callable[[ItemOutcome], bool]] = {
    "sensitivity": lambda item: _is_attempt(item) and deserves_pass(item),
    "specificity": lambda item: _is_attempt(item) and not deserves_pass(item),
    "worthless_failed": lambda item: _group(item) is Group.WORTHLESS,
    "near_miss_failed": lambda item: _group(item) is Group.NEAR_MISS,
    "near_miss_long_failed": lambda item: item.kind == STYLES[0],
    "near_miss_markdown_failed": lambda item: item.kind == STYLES[1],
    "near_miss_plea_failed": lambda item: item.kind == STYLES[2],
    "right_passed": lambda item: _group(item) is Group.RIGHT,
}


def measures(records: Iterable[BatchRecord]) -> tuple[Measure, ...]:
    """The figures of one judge over its closed batches, quarantined ones included.

    Each distinct answer counts once.
    """
    items = items_of(records)
    daily = [item for item in items if item.role is not Role.CALIBRATION]
    distinct = [item for item in once(daily) if item.role is not Role.RETEST]
    unscored = [i.score is None for i in daily if i.role in (Role.PAIR, Role.RETEST)]
    calibration = [item for item in items if item.role is Role.CALIBRATION]
    found = (
        *(_right(name, distinct, picks) for name, picks in SHARES.items()),
        *same_pass("checks", _scores(i for i in distinct if _is_real(i))),
        *same_pass("retest", retests(daily)),
        *agreement("retest", retests(daily)),
        proportion("unscored", sum(unscored), len(unscored)),
        *calibration_agreement(calibration),
    )
    return tuple(measure for measure in found if measure is not None)


def calibration_agreement(items: Sequence[ItemOutcome]) -> Iterator[Measure]:
    """Agreement with the known scores of a calibration; of probes only pass or fail is known."""
    yield from same_pass("calibration", _scores(items))
    yield from agreement("calibration", _scores(item for item in items if not item.kind))


def _scores(items: Iterable[ItemOutcome]) -> list[tuple[int, int]]:
    """(known score, the judge's score) of the scored items with a known score."""
    return [
        (item.expected, item.score)
        for item in items
        if item.expected is not None and item.score is not None
    ]


def corrected_pass_rate(
    passed: float, n: int, sensitivity: Measure, specificity: Measure
) -> Measure | None:
    """The pass rate without the judge's known errors, with a 95 % interval.

    `passed`: how many of `n` answers the judge passed. The estimate is Rogan and Gladen's (1978),
    the interval Lang and Reiczigel's (2014), which includes the errors of sensitivity and
    specificity. None for a judge that does not tell right from wrong.
    """
    z = float(special.ndtri(0.5 + CONFIDENCE / 2))
    if not n or sensitivity.value + specificity.value <= 1:
        return None

    def clipped(value: float) -> float:
        return min(max(value, 0.0), 1.0)

    def rate(raw: float, se: float, sp: float) -> float:
        return (raw + sp - 1) / (se + sp - 1)

    value = clipped(rate(passed / n, sensitivity.value, specificity.value))
    if min(n, sensitivity.n, specificity.n) < LEAST_FOR_INTERVAL:
        return Measure("corrected_pass_rate", value, None, None, n)
    # Each share is moved towards one half: by z² answers, or by two known ones.
    raw, raw_n = (passed + z * z / 2) / (n + z * z), n + z * z
    (se, se_n), (sp, sp_n) = (
        ((m.value * m.n + 1) / (m.n + 2), m.n + 2) for m in (sensitivity, specificity)
    )
    if se + sp <= 1:
        return Measure("corrected_pass_rate", value, None, None, n)
    of_se, of_sp = se * (1 - se) / se_n, sp * (1 - sp) / sp_n
    middle = rate(raw, se, sp)
    shift = 2 * z * z * (middle * of_se - (1 - middle) * of_sp)
    variance = raw * (1 - raw) / raw_n + middle**2 * of_se + (1 - middle) ** 2 * of_sp
    half = z * math.sqrt(variance) / (se + sp - 1)
    low, high = clipped(middle + shift - half), clipped(middle + shift + half)
    return Measure("corrected_pass_rate", value, min(low, value), max(high, value), n)


def figures(measures: Iterable[Measure]) -> str:
    """Measures as a table for the terminal."""
    rows = []
    for m in measures:
        interval = "" if m.low is None or m.high is None else f"{m.low:.2f} to {m.high:.2f}"
        rows.append([m.name, f"{m.value:.2f}", interval, m.n])
    return TERMINAL.table(rows, ["figure", "value", "95 % interval", "n"])


COLUMNS = ("series", "scorer", "model", "measure", "value", "low", "high", "n")


@dataclass(frozen=True, slots=True)
class SeriesReport:
    """One judge's closed batches and figures. `standing`: why its scores are not ranked."""

    series: str
    scorer: str
    model: str
    records: tuple[BatchRecord, ...]
    standing: str = ""

    @property
    def accepted(self) -> int:
        """How many batches were accepted."""
        return sum(record.status == ACCEPTED for record in self.records)

    @property
    def quarantined(self) -> tuple[BatchRecord, ...]:
        """The batches that failed their checks, with the findings."""
        return tuple(record for record in self.records if record.status == QUARANTINED)

    @property
    def usd(self) -> float:
        """What the batches cost in US dollars."""
        return sum(record.usd for record in self.records)

    @property
    def measures(self) -> tuple[Measure, ...]:
        """The judge's figures over these batches."""
        return measures(self.records)


def report_of(series: Series, root: Path = VERDICTS) -> SeriesReport:
    """The report for one judge."""
    store = VerdictStore(series, root)
    batches = tuple(store.in_order)
    return SeriesReport(series.name, series.scorer, series.model, batches, store.standing)


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def instrument_csv(reports: Iterable[SeriesReport]) -> str:
    """One row per judge and figure, tidy."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for report in reports:
        batches = len(report.records)
        rows: list[tuple[object, ...]] = [
            ("not_ranked_because", report.standing, "", "", batches),
            ("batches_accepted", report.accepted, "", "", batches),
            ("batches_quarantined", len(report.quarantined), "", "", batches),
            ("usd", _shown(report.usd), "", "", batches),
        ]
        for m in report.measures:
            rows.append((m.name, _shown(m.value), _shown(m.low), _shown(m.high), m.n))
        writer.writerows((report.series, report.scorer, report.model, *row) for row in rows)
    return out.getvalue()
