"""The rubric: the points of all criteria give a score from 0 to 3, the same way for all scorers.

3 is correct with good reasoning; 2 partially correct or truncated; 1 wrong but a reasonable
attempt; 0 wrong, empty or garbage. An answer passes with a score of at least 2. What could not be
scored is None, never 0.
"""

from __future__ import annotations

from dataclasses import dataclass

PASS_SCORE = 2
# An answer passes with at least this share of the points.
LEAST_PASSING_FRACTION = 0.6
MOST_SCORE = 3
LEAST_COVERAGE = 0.5
# The reason of a criterion that only a judge can score.
NO_CHECK = "no check"
# Answers that ended this way were cut off.
TRUNCATED = ("length", "timeout")


@dataclass(frozen=True, slots=True)
class CriterionScore:
    """One criterion's points from 0 to 1, or None (unscored). `evidence` is a judge's quotation."""

    criterion: str
    weight: int
    points: float | None
    reason: str
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class QuestionScore:
    """An answer's score by one scorer, computed from its criteria.

    `whole` is the result of the checks of the whole answer, if there are any: it passes or fails,
    whatever the criteria say. `unscored` says why there is no score. `least` and `most` bound the
    score: a reasonable attempt is a 1, and a judge gives a truncated answer at most a 2. `summary`
    is the scorer's own reason; without it the criteria's reasons are joined.
    """

    criteria: tuple[CriterionScore, ...]
    note: str = ""
    unscored: str = ""
    summary: str = ""
    least: int = 0
    most: int = MOST_SCORE
    whole: CriterionScore | None = None

    @property
    def coverage(self) -> float:
        """Share of the criteria's weight that was scored, 0 to 1.

        A verdict on the whole answer covers all of them.
        """
        if self.whole is not None:
            return 0.0 if self.whole.points is None else 1.0
        total = sum(c.weight for c in self.criteria)
        return (
            sum(c.weight for c in self.criteria if c.points is not None) / total if total else 0.0
        )

    @property
    def fraction(self) -> float | None:
        """Points over the scored weight; None if nothing is scored.

        An answer that fails as a whole has 0. One that passes as a whole gets all the points of the
        criteria that are not scored.
        """
        if self.whole is not None and not self.whole.points:
            return self.whole.points
        remaining = None if self.whole is None else self.whole.points
        points = [(c.weight, remaining if c.points is None else c.points) for c in self.criteria]
        scored = [(w, p) for w, p in points if p is not None]
        return sum(w * p for w, p in scored) / sum(w for w, _ in scored) if scored else None

    @property
    def score(self) -> int | None:
        """0-3 on the rubric; None if less than half of the weight could be scored."""
        if self.unscored or self.fraction is None or self.coverage < LEAST_COVERAGE:
            return None
        return min(max(_by_fraction(self.fraction), self.least), self.most)

    @property
    def passed(self) -> bool | None:
        """Whether the score is a pass; None if there is no score."""
        return None if self.score is None else self.score >= PASS_SCORE

    @property
    def reason(self) -> str:
        """Why the score is what it is, in one line."""
        if self.unscored:
            return f"unscored: {self.unscored}"
        parts = [self.note] if self.note else []
        said = self.criteria if self.whole is None else (*self.criteria, self.whole)
        decided = [f"{c.reason} ({c.weight})" for c in said if c.points is not None]
        parts += [self.summary] if self.summary else decided
        # A criterion without a check is for a judge; this is not mentioned.
        undecided = [
            f"{c.reason} ({c.weight})" for c in said if c.points is None and c.reason != NO_CHECK
        ]
        if undecided:
            parts.append(f"unscored: {', '.join(undecided)}")
        return "; ".join(parts) or "no check scores this question"


def _by_fraction(fraction: float) -> int:
    if fraction >= 0.9:
        return 3
    if fraction >= LEAST_PASSING_FRACTION:
        return 2
    return 1 if fraction > 0 else 0
