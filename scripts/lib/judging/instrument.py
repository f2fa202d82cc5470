"""The judge as an instrument: what a batch's canaries, retests and replies say of it, and its errors with their intervals."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats
from statsmodels.stats.inter_rater import cohens_kappa
from statsmodels.stats.proportion import proportion_confint
from tabulate import tabulate

from scripts.lib.base.layout import VERDICTS
from scripts.lib.scoring.rubric import MOST_SCORE, PASS_SCORE
from scripts.lib.scoring.series import Role, Series
from scripts.lib.scoring.verdict_store import (
    ACCEPTED,
    QUARANTINED,
    BatchRecord,
    ItemOutcome,
    Verdict,
    VerdictStore,
    all_series,
)

# Bars of a batch. Known-3 answers may fail now and then (a strict reading); a known-0 answer may
# never pass.
MOST_KNOWN_3_FAILED = 0.10
LEAST_EXACT_RETEST = 0.80
MOST_UNSCORED = 0.20
# A reason in the same words for so many different answers, and for such a share of them, was not
# written for any of them.
SAME_REASON_TIMES, SAME_REASON_SHARE = 5, 0.10
LEAST_FOR_CONSTANT = 8
CONFIDENCE = 0.95


def _known_0(items: Sequence[ItemOutcome]) -> Iterator[str]:
    passed = [
        i
        for i in items
        if i.role is Role.CANARY and i.expected == 0 and (i.score or 0) >= PASS_SCORE
    ]
    if passed:
        kinds = ", ".join(sorted({item.kind for item in passed}))
        yield f"{len(passed)} answers that deserve 0 got {PASS_SCORE} or more ({kinds})"


def _known_3(items: Sequence[ItemOutcome]) -> Iterator[str]:
    known = [
        i
        for i in items
        if i.role is Role.CANARY and i.expected == MOST_SCORE and i.score is not None
    ]
    failed = [item for item in known if item.score != MOST_SCORE]
    # One of a handful is within a strict judge's right, unless it calls the reference worthless.
    if len(failed) > MOST_KNOWN_3_FAILED * len(known) and (len(failed) > 1 or failed[0].score == 0):
        yield f"{len(failed)} of {len(known)} references got less than {MOST_SCORE}"


def _cut(items: Sequence[ItemOutcome]) -> Iterator[str]:
    believed = [
        i for i in items if i.role is Role.CANARY and i.expected == 1 and i.score == MOST_SCORE
    ]
    if believed:
        yield f"{len(believed)} references cut in half, which deserve 1 at most, got {MOST_SCORE}"


def _lazy(items: Sequence[ItemOutcome], verdicts: Mapping[str, Verdict]) -> Iterator[str]:
    judged = [item for item in items if item.score is not None]
    scores = Counter(item.score for item in judged)
    if len(judged) >= LEAST_FOR_CONSTANT and len(scores) == 1:
        yield f"all {len(judged)} scores are {judged[0].score}"
    # Different answers with one reason; an answer that was asked twice may well get the same one.
    reasons = Counter(
        summary
        for summary, _ in {
            (" ".join(verdicts[item.digest].scored.summary.split()).casefold(), item.pair)
            for item in judged
            if item.digest in verdicts and item.kind not in ("empty", "colon", "echo")
        }
    )
    text, times = reasons.most_common(1)[0] if reasons else ("", 0)
    if times >= SAME_REASON_TIMES and times > SAME_REASON_SHARE * len(judged):
        yield f"one reason was given for {times} different answers: {text[:80]!r}"


def _malformed(items: Sequence[ItemOutcome]) -> Iterator[str]:
    answered = [item for item in items if item.answered]
    unscored = [item for item in answered if item.score is None]
    if len(unscored) > MOST_UNSCORED * len(answered):
        first = Counter(item.unscored[:60] for item in unscored).most_common(1)[0][0]
        yield f"{len(unscored)} of {len(answered)} replies could not be scored (most often: {first})"


def _retest(items: Sequence[ItemOutcome]) -> Iterator[str]:
    pairs = retests(items)
    same = sum(first == again for first, again in pairs)
    # Below the bar beyond chance: a handful of retests alone condemns nobody.
    if pairs and stats.binom.cdf(same, len(pairs), LEAST_EXACT_RETEST) < 1 - CONFIDENCE:
        yield f"only {same} of {len(pairs)} answers that were asked twice got the same score"


def findings(items: Sequence[ItemOutcome], verdicts: Mapping[str, Verdict]) -> tuple[str, ...]:
    """What is wrong with the judge of a batch; nothing for one whose verdicts may be used. `verdicts` by digest."""
    checks = (
        _known_0(items),
        _known_3(items),
        _cut(items),
        _lazy(items, verdicts),
        _malformed(items),
        _retest(items),
    )
    return tuple(finding for check in checks for finding in check)


def retests(items: Iterable[ItemOutcome]) -> list[tuple[int, int]]:
    """(first score, score when asked again) of the answers that a judge was asked twice."""
    twice = (item for item in items if item.role is Role.RETEST)
    return [(i.first, i.score) for i in twice if i.first is not None and i.score is not None]


# --- measures -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure of a judge with its 95 % interval (None: the sample cannot carry one) and its n."""

    name: str
    value: float
    low: float | None
    high: float | None
    n: int


def proportion(name: str, count: int, n: int) -> Measure | None:
    """A share with Wilson's interval."""
    if not n:
        return None
    low, high = proportion_confint(count, n, 1 - CONFIDENCE, "wilson")
    return Measure(name, count / n, float(low), float(high), n)


def agreement(prefix: str, pairs: Sequence[tuple[int, int]]) -> Iterator[Measure]:
    """Exact agreement, quadratic kappa and mean shift (in points of a hundred) of two scorings of the same answers."""
    exact = proportion(f"{prefix}_exact", sum(a == b for a, b in pairs), len(pairs))
    if exact is None:
        return
    yield exact
    table = np.zeros((MOST_SCORE + 1, MOST_SCORE + 1))
    for first, second in pairs:
        table[first, second] += 1
    # Kappa says nothing where one side has a single score.
    if min(np.count_nonzero(table.sum(axis=axis)) for axis in (0, 1)) > 1:
        with np.errstate(invalid="ignore"):
            kappa = cohens_kappa(table, wt="quadratic")
        low, high = (float(kappa.kappa_low), float(kappa.kappa_upp))
        known = math.isfinite(low) and math.isfinite(high)
        yield Measure(
            f"{prefix}_quadratic_kappa",
            float(kappa.kappa),
            max(low, -1.0) if known else None,
            min(high, 1.0) if known else None,
            len(pairs),
        )
    shifts = np.array([100 * (b - a) / MOST_SCORE for a, b in pairs])
    half = (
        float(stats.t.ppf(0.5 + CONFIDENCE / 2, len(pairs) - 1) * stats.sem(shifts))
        if len(pairs) > 1
        else None
    )
    mean = float(shifts.mean())
    yield Measure(
        f"{prefix}_mean_shift",
        mean,
        None if half is None else mean - half,
        None if half is None else mean + half,
        len(pairs),
    )


def measures(records: Iterable[BatchRecord]) -> tuple[Measure, ...]:
    """The figures of one judge over its closed batches: those of quarantined ones count, they are the instrument's too."""
    items = [item for record in records for item in record.items]
    known = [item for item in items if item.role is Role.CANARY and item.score is not None]
    zero = [item for item in known if item.expected == 0]
    three = [item for item in known if item.expected == MOST_SCORE]
    cut = [item for item in known if item.expected not in (0, MOST_SCORE)]
    asked = [item for item in items if item.role in (Role.PAIR, Role.RETEST)]
    calibration = [(i.expected, i.score) for i in items if i.role is Role.CALIBRATION]
    found = [
        *agreement("retest", retests(items)),
        proportion("known_0_below_pass", sum((i.score or 0) < PASS_SCORE for i in zero), len(zero)),
        proportion("known_3_right", sum(i.score == MOST_SCORE for i in three), len(three)),
        proportion(
            "cut_reference_below_3", sum((i.score or 0) < MOST_SCORE for i in cut), len(cut)
        ),
        proportion("unscored", sum(i.score is None for i in asked), len(asked)),
        *agreement(
            "calibration", [(a, b) for a, b in calibration if a is not None and b is not None]
        ),
    ]
    return tuple(measure for measure in found if measure is not None)


def figures(measures: Iterable[Measure]) -> str:
    """Measures as a table for the terminal."""
    rows = [
        [
            m.name,
            f"{m.value:.2f}",
            "" if m.low is None or m.high is None else f"{m.low:.2f} to {m.high:.2f}",
            m.n,
        ]
        for m in measures
    ]
    return tabulate(
        rows, ["figure", "value", "95 % interval", "n"], tablefmt="simple", disable_numparse=True
    )


COLUMNS = ("series", "scorer", "model", "measure", "value", "low", "high", "n")


@dataclass(frozen=True, slots=True)
class SeriesReport:
    """What is known of one judge: its closed batches, its figures, and what the failed batches were failed for."""

    series: str
    scorer: str
    model: str
    records: tuple[BatchRecord, ...]

    @property
    def accepted(self) -> int:
        return sum(record.status == ACCEPTED for record in self.records)

    @property
    def quarantined(self) -> tuple[BatchRecord, ...]:
        return tuple(record for record in self.records if record.status == QUARANTINED)

    @property
    def usd(self) -> float:
        return sum(record.usd for record in self.records)

    @property
    def measures(self) -> tuple[Measure, ...]:
        return measures(self.records)


def series_reports(root: Path = VERDICTS) -> tuple[SeriesReport, ...]:
    """A report per judge that has verdicts in the tree."""
    return tuple(report_of(series, root) for series in all_series(root))


def report_of(series: Series, root: Path = VERDICTS) -> SeriesReport:
    """What is known of one judge."""
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
        head = (report.series, report.scorer, report.model)
        writer.writerow((*head, "batches_accepted", report.accepted, "", "", len(report.records)))
        writer.writerow(
            (*head, "batches_quarantined", len(report.quarantined), "", "", len(report.records))
        )
        writer.writerow((*head, "usd", _shown(report.usd), "", "", len(report.records)))
        for m in report.measures:
            writer.writerow((*head, m.name, _shown(m.value), _shown(m.low), _shown(m.high), m.n))
    return out.getvalue()
