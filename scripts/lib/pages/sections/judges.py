"""RESULTS.md on who scored: what each scorer could tell, how far they agree, and the judges' own errors."""

from __future__ import annotations

from collections.abc import Iterator

from scripts.lib.base.markdown import DASH, code, number, table, text
from scripts.lib.judging.instrument import Measure, SeriesReport, agreement, proportion, report_of
from scripts.lib.results.review_rows import ReviewRow
from scripts.lib.scoring.scorers import Scorer
from scripts.lib.settings.judge_config import CHECKS
from scripts.lib.tables.profile_part import ProfilePart

# Column of a review with a scorer's own score.
_COLUMN = "{name}_score"
# Measure -> its words and whether it is a share.
_WORDS = {
    "retest_exact": ("asked twice: same score", True),
    "retest_quadratic_kappa": ("asked twice: quadratic kappa", False),
    "retest_mean_shift": ("asked twice: mean shift, points of 100", False),
    "known_0_below_pass": ("answers that deserve 0: not passed", True),
    "known_3_right": ("references: 3", True),
    "cut_reference_below_3": ("references cut short: less than 3", True),
    "unscored": ("answers left unscored", True),
    "calibration_exact": ("calibration: known score", True),
    "calibration_quadratic_kappa": ("calibration: quadratic kappa", False),
    "calibration_mean_shift": ("calibration: mean shift, points of 100", False),
}


def scorer_name(scorer: Scorer) -> str:
    """A scorer with what pins it: the checks' version, or the judge's model and series."""
    if scorer.series is None:
        return f"deterministic checks ({code(scorer.identity)})"
    return f"{scorer.name}: {code(scorer.series.model)} (series {code(scorer.series.name)})"


def leading_scorer(part: ProfilePart) -> str:
    """Who gave the numbers of this part."""
    return scorer_name(part.plan.scorers[0])


def _score(row: ReviewRow, name: str) -> int | None:
    value: int | None = getattr(row, _COLUMN.format(name=name))
    return value


def _figure(measure: Measure, is_share: bool) -> str:
    factor, digits, unit = (100.0, 0, " %") if is_share else (1.0, 2, "")
    inside = [f"n={measure.n}"]
    if measure.low is not None and measure.high is not None:
        inside.insert(0, f"{measure.low * factor:.{digits}f}–{measure.high * factor:.{digits}f}")
    return f"{measure.value * factor:.{digits}f}{unit} ({', '.join(inside)})"


def scorers_table(part: ProfilePart) -> str:
    """Each scorer: how many of the answers it scored, and its agreement with the leading one on the same answers."""
    rows = [row for c in part.setups for row in c.rows if row.status != "error"]
    leading, lines = part.plan.scorers[0].name, []
    for scorer in part.plan.scorers:
        scored = proportion(
            "scored", sum(_score(row, scorer.name) is not None for row in rows), len(rows)
        )
        pairs = [
            (a, b)
            for r in rows
            if (a := _score(r, leading)) is not None and (b := _score(r, scorer.name)) is not None
        ]
        found = {m.name: m for m in agreement("with", pairs)} if scorer.name != leading else {}
        lines.append(
            [
                scorer_name(scorer),
                _figure(scored, True) if scored is not None else DASH,
                _figure(found["with_exact"], True) if "with_exact" in found else DASH,
                _figure(found["with_quadratic_kappa"], False)
                if "with_quadratic_kappa" in found
                else DASH,
            ]
        )
    return table(
        lines,
        ("scorer", "answers scored", "same score as the first", "quadratic kappa with the first"),
    )


def _reports(part: ProfilePart) -> Iterator[SeriesReport]:
    for scorer in part.plan.scorers:
        if scorer.series is not None:
            yield report_of(scorer.series)


def instrument_table(part: ProfilePart) -> str:
    """The judges' figures as instruments, over all their batches; empty where no judge is among the scorers."""
    reports = [report for report in _reports(part) if report.records]
    measures = [{m.name: m for m in report.measures} for report in reports]
    rows = [
        [words, *(_figure(found[name], is_share) if name in found else DASH for found in measures)]
        for name, (words, is_share) in _WORDS.items()
        if any(name in found for found in measures)
    ]
    rows += [
        ["batches accepted", *(str(report.accepted) for report in reports)],
        ["batches quarantined", *(str(len(report.quarantined)) for report in reports)],
        ["cost, US dollars", *(number(report.usd, 2) for report in reports)],
    ]
    return table(rows, ("figure", *(code(report.series) for report in reports))) if reports else ""


def quarantined(part: ProfilePart) -> list[str]:
    """The batches whose verdicts are not used, with what they were failed for."""
    return [
        f"{code(record.batch)} of {code(report.series)}: {text('; '.join(record.findings))}"
        for report in _reports(part)
        for record in report.quarantined
    ]


def has_judge(part: ProfilePart) -> bool:
    return any(scorer.name != CHECKS for scorer in part.plan.scorers)
