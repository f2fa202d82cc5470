"""RESULTS.md on the scorers: how many answers each scored, agreement, the judges' errors."""

from __future__ import annotations

from collections.abc import Iterator

from scripts.lib.base.markdown import DASH, code, number, rate, table, text
from scripts.lib.judging.instrument import (
    Measure,
    SeriesReport,
    corrected_pass_rate,
    proportion,
    real_answers,
    report_of,
    same_pass,
)
from scripts.lib.results.review_rows import ReviewRow
from scripts.lib.scoring.scorers import Scorer
from scripts.lib.scoring.verdict_store import VerdictStore
from scripts.lib.settings.judge_config import CHECKS
from scripts.lib.tables.profile_part import ProfilePart

# Column of a review with a scorer's own score.
_COLUMN = "{name}_score"
# Measure -> its description, and whether it is a share.
_WORDS = {
    "sensitivity": ("right attempts: passed (sensitivity)", True),
    "specificity": ("wrong attempts: failed (specificity)", True),
    "checks_same_pass": ("real answers: same pass or fail as the checks", True),
    "checks_pass_kappa": ("real answers: kappa with the checks, of pass and fail", False),
    "near_miss_failed": ("near misses: failed", True),
    "near_miss_long_failed": ("the same, long: failed", True),
    "near_miss_markdown_failed": ("the same, in Markdown: failed", True),
    "near_miss_plea_failed": ("the same, with a plea: failed", True),
    "right_passed": ("references and rewordings: passed", True),
    "worthless_failed": ("worthless answers: failed", True),
    "retest_same_pass": ("asked twice: same pass or fail", True),
    "retest_exact": ("asked twice: same score", True),
    "retest_quadratic_kappa": ("asked twice: quadratic kappa", False),
    "retest_mean_shift": ("asked twice: mean shift, points of 100", False),
    "unscored": ("answers left unscored", True),
    "calibration_same_pass": ("calibration: same pass or fail", True),
    "calibration_exact": ("calibration: known score", True),
    "calibration_quadratic_kappa": ("calibration: quadratic kappa", False),
    "calibration_mean_shift": ("calibration: mean shift, points of 100", False),
}


def scorer_name(scorer: Scorer) -> str:
    """A scorer with what pins it: the checks' version, or the judge's model and series."""
    if scorer.series is None:
        return f"deterministic checks ({code(scorer.identity)})"
    why = VerdictStore(scorer.series).standing
    mark = f", **not ranked: {text(why)}**" if why else ""
    return f"{scorer.name}: {code(scorer.series.model)} (series {code(scorer.series.name)}{mark})"


def leading_scorer(part: ProfilePart) -> str:
    """The scorer whose scores this part shows."""
    return scorer_name(part.plan.scorers[0])


def _score(row: ReviewRow, name: str) -> int | None:
    value: int | None = getattr(row, _COLUMN.format(name=name))
    return value


def _figure(measure: Measure | None, is_share: bool) -> str:
    if measure is None:
        return DASH
    factor, digits, unit = (100.0, 0, " %") if is_share else (1.0, 2, "")
    inside = [f"n={measure.n}"]
    if measure.low is not None and measure.high is not None:
        inside.insert(0, f"{measure.low * factor:.{digits}f}–{measure.high * factor:.{digits}f}")
    return f"{measure.value * factor:.{digits}f}{unit} ({', '.join(inside)})"


def scorers_table(part: ProfilePart) -> str:
    """How many answers each scorer scored, and how far it agrees with the leading one.

    Agreement is in pass and fail, over the distinct answers that both scored.
    """
    rows = [row for c in part.setups for row in c.rows if row.status != "error"]
    leading = part.plan.scorers[0]
    scores = _scores(part)
    lines = []
    for scorer in part.plan.scorers:
        count = sum(_score(row, scorer.name) is not None for row in rows)
        scored = proportion("scored", count, len(rows))
        found = {}
        if scorer.name != leading.name:
            one, other = scores[leading.name], scores[scorer.name]
            both = [(one[pair], other[pair]) for pair in sorted(one.keys() & other.keys())]
            found = {measure.name: measure for measure in same_pass("with", both)}
        lines.append(
            [
                scorer_name(scorer),
                _figure(scored, True),
                _figure(found.get("with_same_pass"), True),
                _figure(found.get("with_pass_kappa"), False),
            ]
        )
    headers = ("scorer", "answers scored", "same pass or fail as the leading scorer")
    return table(lines, (*headers, "kappa with it"))


def _scores(part: ProfilePart) -> dict[str, dict[str, int]]:
    """Scorer -> {distinct answer: score}, out of the judges' accepted batches.

    The checks' scores are those of answers that they decide completely.
    """
    found: dict[str, dict[str, int]] = {scorer.name: {} for scorer in part.plan.scorers}
    for report in _reports(part):
        for item in real_answers(report.records):
            if item.score is not None:
                found[report.scorer].setdefault(item.pair, item.score)
            if item.expected is not None and CHECKS in found:
                found[CHECKS][item.pair] = item.expected
    return found


def corrected_table(part: ProfilePart) -> str:
    """Each pass rate by a judge, and without the judge's measured errors; empty for the checks."""
    leading = part.plan.scorers[0]
    if leading.series is None:
        return ""
    measured = {m.name: m for m in report_of(leading.series).measures}
    sensitivity, specificity = measured.get("sensitivity"), measured.get("specificity")
    if sensitivity is None or specificity is None:
        return ""
    lines = []
    for row in part.rows:
        found = row.passes
        if not found.scored:
            continue
        corrected = corrected_pass_rate(found.passed, found.scored, sensitivity, specificity)
        lines.append(
            [
                code(row.model.key),
                code(row.mode.name),
                f"{found.passed}/{found.scored}: {rate(row.quality)}",
                _figure(corrected, True),
            ]
        )
    return table(lines, ("model", "mode", "passes", "corrected"))


def _reports(part: ProfilePart) -> Iterator[SeriesReport]:
    for scorer in part.plan.scorers:
        if scorer.series is not None:
            yield report_of(scorer.series)


def instrument_table(part: ProfilePart) -> str:
    """The judges' own errors and cost, over all their batches; empty without a judge."""
    reports = [report for report in _reports(part) if report.records]
    if not reports:
        return ""
    measures = [{m.name: m for m in report.measures} for report in reports]
    rows = []
    for name, (words, is_share) in _WORDS.items():
        found = [of_report.get(name) for of_report in measures]
        if any(found):
            rows.append([words, *(_figure(measure, is_share) for measure in found)])
    rows += [
        ["ranked", *(text(_ranked(report)) for report in reports)],
        ["batches accepted", *(str(report.accepted) for report in reports)],
        ["batches quarantined", *(str(len(report.quarantined)) for report in reports)],
        ["cost, US dollars", *(number(report.usd, 2) for report in reports)],
    ]
    return table(rows, ("figure", *(code(report.series) for report in reports)))


def _ranked(report: SeriesReport) -> str:
    return f"no: {report.standing}" if report.standing else "yes"


def quarantined(part: ProfilePart) -> list[str]:
    """The batches whose verdicts are not used, each with what it failed."""
    lines = []
    for report in _reports(part):
        for record in report.quarantined:
            findings = text("; ".join(record.findings))
            lines.append(f"{code(record.batch)} of {code(report.series)}: {findings}")
    return lines


def has_judge(part: ProfilePart) -> bool:
    """True if a judge is among the scorers."""
    return any(scorer.name != CHECKS for scorer in part.plan.scorers)
