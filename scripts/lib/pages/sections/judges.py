"""RESULTS.md on the scorers: how many answers each scored, agreement, the judges' errors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from scripts.lib.base.estimates import Estimate, pass_rate
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
from scripts.lib.pages.sections.quality import UNPROVED_MARK
from scripts.lib.registry.types import plain_name
from scripts.lib.results.review_rows import ReviewRow
from scripts.lib.scoring.rubric import PASS_SCORE
from scripts.lib.scoring.scorers import ONLY_CHECKS, Scorer
from scripts.lib.scoring.series import Series
from scripts.lib.scoring.verdict_store import VerdictStore
from scripts.lib.settings.judge_config import CHECKS
from scripts.lib.tables.profile_part import ProfilePart
from scripts.lib.tables.setups import by_question, outcomes, passes, quality_rows

# Marks a judge of the judged model's family.
SAME_FAMILY = "†"
(CHECKED,) = ONLY_CHECKS
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
    leading = part.plan.scorers[0]
    if leading.series is None or not leading.uses_checks:
        return scorer_name(leading)
    return f"{scorer_name(leading)}, and from {scorer_name(CHECKED)} where they score it fully"


def is_same_family(judge: Series, model_name: str) -> bool:
    """True if the judge's family (the first word of its name) is in the model's name."""
    words = [re.findall(r"[a-z]+", plain_name(name)) for name in (judge.model, model_name)]
    return bool(words[0]) and words[0][0] in words[1]


def rates_table(part: ProfilePart) -> str:
    """The pass rates of each setup by each scorer; empty with less than two scorers."""
    scorers = part.plan.scorers
    if len(scorers) < 2:
        return ""
    unproved = {s.name: s.series is not None and VerdictStore(s.series).standing for s in scorers}
    rows = []
    for c in quality_rows(part.setups):
        cells = [code(c.name)]
        for scorer in scorers:
            found = _rate(c.rows, scorer.name)
            own = scorer.series is not None and is_same_family(scorer.series, c.model.name)
            marks = UNPROVED_MARK * bool(unproved[scorer.name]) + SAME_FAMILY * own
            cells.append(rate(found) + (f" {marks}" if marks and found is not None else ""))
        rows.append(cells)
    return table(rows, ("setup", *(scorer_name(scorer) for scorer in scorers)))


def _rate(rows: Sequence[ReviewRow], name: str) -> Estimate | None:
    """The pass rate over the answers that a scorer gave a score."""

    def passed(row: ReviewRow) -> float | None:
        score = _score(row, name)
        return None if score is None else float(score >= PASS_SCORE)

    return pass_rate(by_question(rows, passed))


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
    """The share of its answers that each scorer scored, and its agreement with the leading one.

    Agreement is in pass and fail, over the distinct answers that both scored.
    """
    rows = [row for c in part.setups for row in c.rows if row.status != "error"]
    leading = part.plan.scorers[0]
    cells = (cell for shard in part.plan.shards for cell in shard.cells)
    questions = {(cell.id.suite, cell.id.question): cell.question for cell in cells}
    scores = _scores(part)
    lines = []
    for scorer in part.plan.scorers:
        asked = [
            row
            for row in rows
            if (question := questions.get((row.suite, row.question_id))) is None
            or not scorer.why_not_asked(question)
        ]
        count = sum(_score(row, scorer.name) is not None for row in asked)
        scored = proportion("scored", count, len(asked))
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
    """Each pass rate by a judge, and without the judge's measured errors; empty for the checks.

    Over the answers that the judge scored, not those that the checks scored in its place.
    """
    leading = part.plan.scorers[0]
    if leading.series is None:
        return ""
    measured = {m.name: m for m in report_of(leading.series).measures}
    sensitivity, specificity = measured.get("sensitivity"), measured.get("specificity")
    if sensitivity is None or specificity is None:
        return ""
    lines = []
    for row in part.rows:
        own = [r for r in row.rows_of_quality if r.scorer != CHECKS and r.status != "error"]
        found = passes(own)
        if not found.scored:
            continue
        corrected = corrected_pass_rate(found.passed, found.scored, sensitivity, specificity)
        lines.append(
            [
                code(row.model.key),
                code(row.mode.name),
                f"{found.passed}/{found.scored}: {rate(pass_rate(outcomes(own)))}",
                _figure(corrected, True),
            ]
        )
    return table(lines, ("model", "mode", "passes by the judge", "corrected"))


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
