"""The judge as an instrument: checks of each batch, and the judge's error rates with intervals."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from scripts.lib.base.layout import VERDICTS
from scripts.lib.base.output_forms import TERMINAL
from scripts.lib.scoring.rubric import MOST_SCORE, PASS_SCORE
from scripts.lib.scoring.series import Role, Series
from scripts.lib.scoring.verdict_store import (
    ACCEPTED,
    QUARANTINED,
    BatchRecord,
    ItemOutcome,
    JudgeVerdict,
    VerdictStore,
    all_series,
)

# Limits for a batch. A strict judge may fail a few known-3 answers; a known-0 one may never pass.
MOST_KNOWN_3_FAILED = 0.10
LEAST_EXACT_RETEST = 0.80
MOST_UNSCORED = 0.20
# The known score of a reference that was cut in half.
CUT_SCORE = 1
# A judge that gives one reason to this many answers, and to this share of them, does not read them.
SAME_REASON_TIMES, SAME_REASON_SHARE = 5, 0.10
LEAST_FOR_CONSTANT = 8
CONFIDENCE = 0.95


def _canaries(items: Iterable[ItemOutcome], expected: int) -> list[tuple[ItemOutcome, int]]:
    """(item, score) of the scored canaries with this known score."""
    return [
        (item, item.score)
        for item in items
        if item.role is Role.CANARY and item.expected == expected and item.score is not None
    ]


def _known_0(items: Sequence[ItemOutcome]) -> Iterator[str]:
    passed = [item for item, score in _canaries(items, 0) if score >= PASS_SCORE]
    if passed:
        kinds = ", ".join(sorted({item.kind for item in passed}))
        yield f"{len(passed)} answers that deserve 0 got {PASS_SCORE} or more ({kinds})"


def _known_3(items: Sequence[ItemOutcome]) -> Iterator[str]:
    scores = [score for _, score in _canaries(items, MOST_SCORE)]
    failed = [score for score in scores if score != MOST_SCORE]
    # A strict judge may fail a single reference, unless it gives it a 0.
    if len(failed) > MOST_KNOWN_3_FAILED * len(scores) and (len(failed) > 1 or failed[0] == 0):
        yield f"{len(failed)} of {len(scores)} references got less than {MOST_SCORE}"


def _cut(items: Sequence[ItemOutcome]) -> Iterator[str]:
    full = sum(score == MOST_SCORE for _, score in _canaries(items, CUT_SCORE))
    if full:
        yield f"{full} references cut in half, which deserve {CUT_SCORE} at most, got {MOST_SCORE}"


def _lazy(items: Sequence[ItemOutcome], verdicts: Mapping[str, JudgeVerdict]) -> Iterator[str]:
    judged = [item for item in items if item.score is not None]
    scores = Counter(item.score for item in judged)
    if len(judged) >= LEAST_FOR_CONSTANT and len(scores) == 1:
        yield f"all {len(judged)} scores are {judged[0].score}"
    # The answers to each reason, as a set: a retest may well get the same reason again.
    answers: dict[str, set[str]] = {}
    for item in judged:
        if item.digest in verdicts and item.kind not in ("empty", "colon", "echo"):
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


def _retest(items: Sequence[ItemOutcome]) -> Iterator[str]:
    pairs = retests(items)
    same = sum(first == again for first, again in pairs)
    # Significantly below the limit: a few retests alone are too few to fail a judge.
    if pairs and stats.binom.cdf(same, len(pairs), LEAST_EXACT_RETEST) < 1 - CONFIDENCE:
        yield f"only {same} of {len(pairs)} answers that were asked twice got the same score"


def findings(items: Sequence[ItemOutcome], verdicts: Mapping[str, JudgeVerdict]) -> tuple[str, ...]:
    """What the checks of a batch found wrong with the judge; empty if its verdicts may be used.

    `verdicts`: digest -> verdict.
    """
    return (
        *_known_0(items),
        *_known_3(items),
        *_cut(items),
        *_lazy(items, verdicts),
        *_malformed(items, verdicts),
        *_retest(items),
    )


def _both(pairs: Iterable[tuple[int | None, int | None]]) -> list[tuple[int, int]]:
    """The pairs in which both scores are known."""
    return [(a, b) for a, b in pairs if a is not None and b is not None]


def retests(items: Iterable[ItemOutcome]) -> list[tuple[int, int]]:
    """(first score, second score) of the answers that a judge was asked about twice."""
    return _both((item.first, item.score) for item in items if item.role is Role.RETEST)


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
    """A share with Wilson's interval; None if `n` is 0."""
    if not n:
        return None
    # Imported here, as below: it takes a third of a second, and most results trees have no judge.
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(count, n, 1 - CONFIDENCE, "wilson")
    return Measure(name, count / n, float(low), float(high), n)


def agreement(prefix: str, pairs: Sequence[tuple[int, int]]) -> Iterator[Measure]:
    """Agreement of two scorings: exact share, quadratic kappa, and mean shift in points of 100."""
    exact = proportion(f"{prefix}_exact", sum(a == b for a, b in pairs), len(pairs))
    if exact is None:
        return
    yield exact
    low: float | None
    high: float | None
    # Kappa is not defined if one side gave the same score to all.
    if all(len(set(scores)) > 1 for scores in zip(*pairs, strict=True)):
        from statsmodels.stats.inter_rater import cohens_kappa

        table = np.zeros((MOST_SCORE + 1, MOST_SCORE + 1))
        for first, second in pairs:
            table[first, second] += 1
        with np.errstate(invalid="ignore"):
            kappa = cohens_kappa(table, wt="quadratic")
        low, high = max(float(kappa.kappa_low), -1.0), min(float(kappa.kappa_upp), 1.0)
        if not (math.isfinite(kappa.kappa_low) and math.isfinite(kappa.kappa_upp)):
            low, high = None, None
        yield Measure(f"{prefix}_quadratic_kappa", float(kappa.kappa), low, high, len(pairs))
    shifts = np.array([100 * (b - a) / MOST_SCORE for a, b in pairs])
    mean, low, high = float(shifts.mean()), None, None
    if len(pairs) > 1:
        half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, len(pairs) - 1) * stats.sem(shifts))
        low, high = mean - half, mean + half
    yield Measure(f"{prefix}_mean_shift", mean, low, high, len(pairs))


def measures(records: Iterable[BatchRecord]) -> tuple[Measure, ...]:
    """The figures of one judge over its closed batches, quarantined ones included."""
    items = [item for record in records for item in record.items]

    def known(name: str, expected: int, is_right: Callable[[int], bool]) -> Measure | None:
        """The share of the canaries of one known score that the judge gets right."""
        right = [is_right(score) for _, score in _canaries(items, expected)]
        return proportion(name, sum(right), len(right))

    unscored = [i.score is None for i in items if i.role in (Role.PAIR, Role.RETEST)]
    calibration = _both((i.expected, i.score) for i in items if i.role is Role.CALIBRATION)
    found = (
        *agreement("retest", retests(items)),
        known("known_0_below_pass", 0, lambda score: score < PASS_SCORE),
        known("known_3_right", MOST_SCORE, lambda score: score == MOST_SCORE),
        known("cut_reference_below_3", CUT_SCORE, lambda score: score < MOST_SCORE),
        proportion("unscored", sum(unscored), len(unscored)),
        *agreement("calibration", calibration),
    )
    return tuple(measure for measure in found if measure is not None)


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
    """One judge's closed batches and figures."""

    series: str
    scorer: str
    model: str
    records: tuple[BatchRecord, ...]

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


def series_reports(root: Path = VERDICTS) -> tuple[SeriesReport, ...]:
    """A report for each judge of answers that has verdicts in the tree."""
    return tuple(report_of(series, root) for series in all_series(root) if not series.compares)


def report_of(series: Series, root: Path = VERDICTS) -> SeriesReport:
    """The report for one judge."""
    batches = VerdictStore(series, root).batches.values()
    return SeriesReport(series.name, series.scorer, series.model, tuple(batches))


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
            ("batches_accepted", report.accepted, "", "", batches),
            ("batches_quarantined", len(report.quarantined), "", "", batches),
            ("usd", _shown(report.usd), "", "", batches),
        ]
        for m in report.measures:
            rows.append((m.name, _shown(m.value), _shown(m.low), _shown(m.high), m.n))
        writer.writerows((report.series, report.scorer, report.model, *row) for row in rows)
    return out.getvalue()
