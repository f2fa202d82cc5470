"""Which setup should a role run: best by quality first, then the fastest way of decoding the same answers.

A number that physics forbids is never ranked, nor a row of which more than 2 % of the answers have
no score. A way of decoding is taken only when its answers were proved to be the row's, and its
speed-up's interval lies above 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from scripts.lib.base.estimates import (
    LEVEL,
    Comparison,
    Estimate,
    NonInferiority,
    holm,
    non_inferiority,
    paired_difference,
    paired_ratio,
    pass_rate,
)
from scripts.lib.prompts.loader import suites_for_roles
from scripts.lib.results.review import ReviewRow
from scripts.lib.tables.setups import Setup, outcomes, quality_rows, ways_of

UNSCORED_LIMIT = 0.02
# How much of the pass rate a reduced number of experts may cost and still be called as good: 5
# points.
MARGIN = 0.05
ARCHITECT = "architect"


@dataclass(frozen=True, slots=True)
class RankedSetup:
    """A ranked row: its quality on the role's questions, its fastest proved way, and how it compares with the best one.

    `versus_best` is None for the best itself and where no question is shared; its p-value is
    adjusted for all candidates.
    """

    row: Setup
    quality: Estimate
    way: Setup
    versus_best: Comparison | None = None

    @property
    def is_tied(self) -> bool:
        """True when it cannot be told from the best."""
        return self.versus_best is not None and self.versus_best.p_value > 1 - LEVEL


@dataclass(frozen=True, slots=True)
class RoleRanking:
    """A role's candidates from best to worst, and the rows that are not ranked, with the reason."""

    role: str
    suites: tuple[str, ...]
    candidates: tuple[RankedSetup, ...]
    unranked: tuple[tuple[Setup, str], ...]

    @property
    def tied(self) -> tuple[RankedSetup, ...]:
        return tuple(candidate for candidate in self.candidates if candidate.is_tied)

    @property
    def fastest_tied(self) -> tuple[RankedSetup, Comparison] | None:
        """Of those that cannot be told from the best the fastest, with its speed over the best's; None where none is faster."""
        compared = (
            (c, paired_ratio(c.way.decode_speeds, self.candidates[0].way.decode_speeds))
            for c in self.tied
        )
        faster = [(c, ratio) for c, ratio in compared if ratio is not None and is_above_1(ratio)]
        return max(faster, key=lambda found: found[1].estimate.value, default=None)


@dataclass(frozen=True, slots=True)
class Reduction:
    """An expert reduction against full experts of the same model: difference in pass rate, verdict, speed ratio."""

    row: Setup
    full: Setup
    difference: Comparison
    verdict: NonInferiority
    speed: Comparison | None


def unrankable(row: Setup) -> str:
    """Why a quality row is not ranked (empty: it is)."""
    if row.struck_out:
        return f"struck out by physics: {row.struck_out}"
    if row.unscored_share > UNSCORED_LIMIT:
        missing = row.planned - row.passes.scored
        return f"{missing} of {row.planned} answers have no score (at most {100 * UNSCORED_LIMIT:.0f} % may)"
    if row.decode is None:
        return "no speed was measured"
    return ""


def is_proved(way: Setup) -> bool:
    """True for a way of decoding that may stand for its row: same answers, no failures of its own, a possible speed."""
    return way.inherits_quality and not way.breaks and not way.struck_out and way.decode is not None


def is_above_1(ratio: Comparison | None) -> bool:
    """True when the interval of a ratio lies above 1."""
    return ratio is not None and (ratio.estimate.low or 0.0) > 1


def fastest_way(row: Setup, setups: Iterable[Setup], preferred: str | None = None) -> Setup:
    """The proved way with the greatest speed-up, the row itself where none is faster; `preferred` (a mode) wins if proved."""
    proved = [way for way in ways_of(row, setups) if is_proved(way)]
    wanted = [way for way in proved if way.mode.name == preferred]
    if wanted:
        return wanted[0]
    faster = [way for way in proved if is_above_1(way.speed_up)]
    return max(
        faster, key=lambda way: way.speed_up.estimate.value if way.speed_up else 0.0, default=row
    )


def _speed(candidate: RankedSetup) -> float:
    return candidate.way.decode.value if candidate.way.decode is not None else 0.0


def _of_suites(row: Setup, suites: Sequence[str]) -> tuple[ReviewRow, ...]:
    return tuple(answer for suite in suites for answer in row.by_suite.get(suite, ()))


def _why_not(row: Setup, role: str, recommended: Mapping[str, str]) -> str:
    if role == ARCHITECT and row.model.key in recommended and row.mode.name != "baseline":
        return "architects keep all experts: quality before speed"
    return unrankable(row)


def rank(role: str, setups: Sequence[Setup], recommended: Mapping[str, str]) -> RoleRanking:
    """Rank the quality rows of the models that are candidates for a role, on the role's suites.

    `recommended`: model -> the mode that the registry's rules prefer for architects (full experts
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
    found.sort(
        key=lambda candidate: (-candidate.quality.value, -_speed(candidate), candidate.row.name)
    )
    return RoleRanking(role, suites, _compared(found, suites), tuple(unranked))


def _compared(candidates: Sequence[RankedSetup], suites: Sequence[str]) -> tuple[RankedSetup, ...]:
    """Each candidate with its comparison against the first, p-values adjusted by Holm's method."""
    if not candidates:
        return ()
    best = outcomes(_of_suites(candidates[0].row, suites))
    made = [paired_difference(outcomes(_of_suites(c.row, suites)), best) for c in candidates[1:]]
    adjusted = iter(holm([comparison.p_value for comparison in made if comparison is not None]))
    told = [Comparison(c.estimate, next(adjusted)) if c is not None else None for c in made]
    others = [
        RankedSetup(c.row, c.quality, c.way, versus)
        for c, versus in zip(candidates[1:], told, strict=True)
    ]
    return (candidates[0], *others)


def rank_roles(setups: Sequence[Setup], recommended: Mapping[str, str]) -> tuple[RoleRanking, ...]:
    """A ranking of every role that a measured model is a candidate for, in the order of the registry."""
    roles = dict.fromkeys(role for c in setups for role in c.model.candidate_roles)
    return tuple(rank(role, setups, recommended) for role in roles)


def reductions(setups: Sequence[Setup]) -> Iterator[Reduction]:
    """Every reduced number of experts against the same model's baseline, on the questions of both."""
    rows = quality_rows(setups)
    full = {row.model.key: row for row in rows if row.mode.name == "baseline"}
    for row in rows:
        base = full.get(row.model.key)
        if row.mode.experts is None or base is None:
            continue
        difference = paired_difference(outcomes(row.rows), outcomes(base.rows))
        if difference is not None:
            speed = paired_ratio(row.decode_speeds, base.decode_speeds)
            yield Reduction(
                row, base, difference, non_inferiority(difference.estimate, MARGIN), speed
            )
