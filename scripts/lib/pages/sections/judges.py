"""RESULTS.md on the scorers: how many answers each scored, agreement, the judges' errors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from scripts.lib.base.estimates import Estimate, pass_rate
from scripts.lib.base.markdown import DASH, code, number, rate, table, text
from scripts.lib.judging.instrument import Measure, SeriesReport, agreement, proportion, report_of
from scripts.lib.registry.types import plain_name
from scripts.lib.results.review_rows import ReviewRow
from scripts.lib.scoring.rubric import PASS_SCORE
from scripts.lib.scoring.scorers import ONLY_CHECKS, Scorer
from scripts.lib.scoring.series import Series
from scripts.lib.settings.judge_config import CHECKS
from scripts.lib.tables.profile_part import ProfilePart
from scripts.lib.tables.setups import by_question, quality_rows

# Marks a judge of the judged model's family.
SAME_FAMILY = "†"
(CHECKED,) = ONLY_CHECKS
# Column of a review with a scorer's own score.
_COLUMN = "{name}_score"
# Measure -> its description, and whether it is a share.
_WORDS = {
    "retest_exact": ("asked twice: same score", True),
    "retest_quadratic_kappa": ("asked twice: quadratic kappa", False),
    "retest_mean_shift": ("asked twice: mean shift, points of 100", False),
    "known_0_below_pass": ("known 0: not passed", True),
    "known_3_right": ("reference answers: scored 3", True),
    "cut_reference_below_3": ("reference answers cut short: scored below 3", True),
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
    rows = []
    for c in quality_rows(part.setups):
        cells = [code(c.name)]
        for scorer in scorers:
            own = scorer.series is not None and is_same_family(scorer.series, c.model.name)
            cells.append(rate(_rate(c.rows, scorer.name)) + (f" {SAME_FAMILY}" if own else ""))
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
    """The share of its answers that each scorer scored, and its agreement with the leading one."""
    rows = [row for c in part.setups for row in c.rows if row.status != "error"]
    leading = part.plan.scorers[0].name
    cells = (cell for shard in part.plan.shards for cell in shard.cells)
    questions = {(cell.id.suite, cell.id.question): cell.question for cell in cells}
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
        found = {} if scorer.name == leading else _agreement(rows, leading, scorer.name)
        lines.append(
            [
                scorer_name(scorer),
                _figure(scored, True),
                _figure(found.get("with_exact"), True),
                _figure(found.get("with_quadratic_kappa"), False),
            ]
        )
    headers = ("scorer", "answers scored", "same score as the leading scorer")
    return table(lines, (*headers, "quadratic kappa with it"))


def _agreement(rows: Sequence[ReviewRow], one: str, other: str) -> dict[str, Measure]:
    """Measures of the agreement of two scorers, over the answers that both scored."""
    pairs = []
    for row in rows:
        a, b = _score(row, one), _score(row, other)
        if a is not None and b is not None:
            pairs.append((a, b))
    return {measure.name: measure for measure in agreement("with", pairs)}


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
        ["batches accepted", *(str(report.accepted) for report in reports)],
        ["batches quarantined", *(str(len(report.quarantined)) for report in reports)],
        ["cost, US dollars", *(number(report.usd, 2) for report in reports)],
    ]
    return table(rows, ("figure", *(code(report.series) for report in reports)))


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
