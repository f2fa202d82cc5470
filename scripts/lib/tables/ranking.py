"""Which setup should a role run: the best quality, then the fastest way to decode the same answers.

An impossible number is never ranked, nor a row of which more than 2 % of the answers have no score,
nor one whose scores are from a judge without a passed calibration.
A way of decoding is used only if its answers are proved to be the row's and the interval of its
speed-up lies above 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from scripts.lib.base.estimates import (
    LEVEL,
    Comparison,
    Estimate,
    NonInferiority,
    holm,
    non_inferiority,
    paired_difference,
    pass_rate,
)
from scripts.lib.planning.modes import BASELINE
from scripts.lib.registry.role_table import suites_for_roles
from scripts.lib.results.review_rows import ReviewRow
from scripts.lib.tables.setups import Setup, outcomes, quality_rows, speed_ratio, ways_of

UNSCORED_LIMIT = 0.02
# A reduced number of experts is non-inferior if it costs less than this of the pass rate: 5 points.
MARGIN = 0.05
ARCHITECT = "architect"


@dataclass(frozen=True, slots=True)
class RankedSetup:
    """A ranked row: its quality on the role's suites, its fastest proved way, its gap to the best.

    `versus_best` is None for the best itself and without a shared question. Its p-value is adjusted
    for all candidates.
    """

    row: Setup
    quality: Estimate
    way: Setup
    versus_best: Comparison | None = None

    @property
    def is_tied(self) -> bool:
        """True when it is not significantly worse than the best."""
        return self.versus_best is not None and self.versus_best.p_value > 1 - LEVEL


@dataclass(frozen=True, slots=True)
class RoleRanking:
    """A role's candidates from best to worst, and the unranked rows, each with the reason."""

    role: str
    suites: tuple[str, ...]
    candidates: tuple[RankedSetup, ...]
    unranked: tuple[tuple[Setup, str], ...]

    @property
    def tied(self) -> tuple[RankedSetup, ...]:
        """The candidates that are not significantly worse than the best."""
        return tuple(candidate for candidate in self.candidates if candidate.is_tied)

    @property
    def fastest_tied(self) -> tuple[RankedSetup, Comparison] | None:
        """The fastest of `tied`, with its speed over the best's; None where none is faster."""
        faster = []
        for candidate in self.tied:
            best = self.candidates[0].way
            ratio = speed_ratio(candidate.way, best)
            if ratio is not None and is_above_1(ratio):
                faster.append((candidate, ratio))
        return max(faster, key=lambda found: found[1].estimate.value, default=None)


@dataclass(frozen=True, slots=True)
class Reduction:
    """A row with fewer experts, compared with all experts of the same model."""

    row: Setup
    full: Setup
    difference: Comparison
    verdict: NonInferiority
    speed: Comparison | None


def unrankable(row: Setup) -> str:
    """Why a quality row is not ranked (empty: it is)."""
    if row.unproved:
        return row.unproved
    if row.struck_out:
        return f"struck out by physics: {row.struck_out}"
    if row.unscored_share > UNSCORED_LIMIT:
        planned, limit = row.planned_of_quality, f"{100 * UNSCORED_LIMIT:.0f} %"
        missing = planned - row.passes.scored
        return f"{missing} of {planned} answers have no score (limit: {limit})"
    if row.decode is None:
        return "no speed was measured"
    return ""


def is_proved(way: Setup) -> bool:
    """True for a way with its row's answers, no failures of its own, and a possible speed."""
    return way.inherits_quality and not way.breaks and not way.struck_out and way.decode is not None


def is_above_1(ratio: Comparison) -> bool:
    """True when the interval of a ratio lies above 1."""
    return (ratio.estimate.low or 0.0) > 1


def fastest_way(row: Setup, setups: Iterable[Setup], preferred: str | None = None) -> Setup:
    """The proved way with the greatest speed-up; the row itself where none is faster.

    The mode `preferred` is taken wherever it is proved.
    """
    proved = [way for way in ways_of(row, setups) if is_proved(way)]
    for way in proved:
        if way.mode.name == preferred:
            return way
    faster = [(way.speed_up, way) for way in proved if way.speed_up and is_above_1(way.speed_up)]
    return max(faster, key=lambda pair: pair[0].estimate.value, default=(None, row))[1]


def _speed(candidate: RankedSetup) -> float:
    return candidate.way.decode.value if candidate.way.decode is not None else 0.0


def _of_suites(row: Setup, suites: Sequence[str]) -> tuple[ReviewRow, ...]:
    return tuple(answer for suite in suites for answer in row.by_suite.get(suite, ()))


def _why_not(row: Setup, role: str, recommended: Mapping[str, str]) -> str:
    reduced = row.mode.plain_name != BASELINE
    if role == ARCHITECT and row.model.key in recommended and reduced:
        return "architects keep all experts: quality before speed"
    return unrankable(row)


def rank(role: str, setups: Sequence[Setup], recommended: Mapping[str, str]) -> RoleRanking:
    """Rank the quality rows of a role's candidate models on the role's suites.

    `recommended`: model -> the mode that the registry's rules prefer for architects (all experts
    and speculation).
    """
    suites = suites_for_roles((role,), role)
    found, unranked = [], []
    for row in quality_rows(setups):
        if role not in row.model.candidate_roles:
            continue
        why = _why_not(row, role, recommended)
        quality = pass_rate(outcomes(_of_suites(row, suites)))
        if why or quality is None:
            unranked.append((row, why or f"no answer in the role's suites ({', '.join(suites)})"))
            continue
        preferred = recommended.get(row.model.key) if role == ARCHITECT else None
        found.append(RankedSetup(row, quality, fastest_way(row, setups, preferred)))
    found.sort(key=lambda c: (-c.quality.value, -_speed(c), c.row.name))
    return RoleRanking(role, suites, _compared(found, suites), tuple(unranked))


def _compared(candidates: Sequence[RankedSetup], suites: Sequence[str]) -> tuple[RankedSetup, ...]:
    """Each candidate compared with the first, p-values adjusted by Holm's method."""
    if not candidates:
        return ()
    best = outcomes(_of_suites(candidates[0].row, suites))
    made = [paired_difference(outcomes(_of_suites(c.row, suites)), best) for c in candidates[1:]]
    adjusted = iter(holm([comparison.p_value for comparison in made if comparison is not None]))
    ranked = [candidates[0]]
    for candidate, versus in zip(candidates[1:], made, strict=True):
        if versus is not None:
            candidate = replace(candidate, versus_best=replace(versus, p_value=next(adjusted)))
        ranked.append(candidate)
    return tuple(ranked)


def rank_roles(setups: Sequence[Setup], recommended: Mapping[str, str]) -> tuple[RoleRanking, ...]:
    """A ranking of every role that has a measured candidate, in the order of the registry."""
    roles = dict.fromkeys(role for c in setups for role in c.model.candidate_roles)
    return tuple(rank(role, setups, recommended) for role in roles)


def reductions(setups: Sequence[Setup]) -> Iterator[Reduction]:
    """Each reduced number of experts, compared with all experts on shared questions.

    Both are in the same variant, or in none.
    """
    rows = quality_rows(setups)
    full = {(r.model.key, r.mode.variant): r for r in rows if r.mode.plain_name == BASELINE}
    for row in rows:
        base = full.get((row.model.key, row.mode.variant))
        if row.mode.experts is None or base is None:
            continue
        difference = paired_difference(row.outcomes, base.outcomes)
        if difference is not None:
            verdict = non_inferiority(difference.estimate, MARGIN)
            yield Reduction(row, base, difference, verdict, speed_ratio(row, base))
