"""RESULTS.md on pairs: which of two setups' answers a judge finds better."""

from __future__ import annotations

from collections.abc import Sequence

from scripts.lib.base.markdown import DASH, code, number, p_value, points, table
from scripts.lib.judging.pair_checks import pair_report
from scripts.lib.judging.pairs import PairResult, pair_results, setup_name
from scripts.lib.pages.sections.judges import SAME_FAMILY, is_same_family
from scripts.lib.tables.profile_part import ProfilePart


def results(part: ProfilePart) -> tuple[PairResult, ...]:
    """The pairs of setups that a judge has compared."""
    return pair_results([part.plan])


def _row(result: PairResult) -> list[str]:
    pair, compared = result.pair, result.comparison
    price = result.usd_per_decision
    mark = SAME_FAMILY if is_same_family(result.series, pair.first.model.name) else ""
    return [
        code(setup_name(pair.first)),
        code(setup_name(pair.second)),
        pair.kind,
        f"{result.wins} / {result.ties} / {result.losses}",
        str(result.equal),
        DASH if compared is None else points(compared.estimate),
        DASH if compared is None else p_value(compared.p_value),
        f"{code(result.series.model)}{mark}",
        DASH if price is None else f"${number(price, 4)}",
    ]


def pairs_table(found: Sequence[PairResult]) -> str:
    """Wins, ties and losses of the first setup, with the sign test."""
    headers = (
        "first",
        "second",
        "differ in",
        "first better / tie / second better",
        "equal answers",
    )
    more = ("first minus second", "sign test", "judge", "per decision")
    return table(map(_row, found), (*headers, *more))


def judges_lines(found: Sequence[PairResult]) -> list[str]:
    """Each judge with its own errors and its cost in all, over all batches."""
    lines = []
    for series in {result.series.name: result.series for result in found}.values():
        report = pair_report(series)
        shares = {m.name: f"{100 * m.value:.0f} % (n={m.n})" for m in report.measures}
        lines.append(
            f"{code(series.name)}: near misses found in {shares.get('near_miss_right', DASH)}, an "
            f"answer against itself a tie in {shares.get('same_answer_tie', DASH)}, the answer "
            f"shown first preferred in {shares.get('first_shown_preferred', DASH)}; "
            f"{report.accepted} batches accepted, {len(report.quarantined)} quarantined, "
            f"${report.usd:.2f} with canaries and retests"
        )
    return lines
