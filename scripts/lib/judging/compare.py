"""Compares two judges, or two rounds of one, on the same answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scripts.lib.base.errors import BenchError, suggest
from scripts.lib.base.layout import VERDICTS
from scripts.lib.judging.answers import Answer
from scripts.lib.judging.instrument import Measure, agreement, same_pass
from scripts.lib.scoring.score import score_answer
from scripts.lib.scoring.verdict_store import VerdictStore, all_series
from scripts.lib.settings.judge_config import CHECKS


@dataclass(frozen=True, slots=True)
class Judged:
    """One scorer's score of a pair, with the question and the scorer's reason."""

    label: str
    score: int
    reason: str


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A pair that two scorers score differently."""

    pair: str
    first: Judged
    second: Judged

    @property
    def distance(self) -> int:
        """The difference of the scores."""
        return abs(self.first.score - self.second.score)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Agreement on the answers that both scored, and the disagreements, greatest first."""

    both: int
    only_first: int
    only_second: int
    measures: tuple[Measure, ...]
    disagreements: tuple[Disagreement, ...]


def scores_of(name: str, answers: Iterable[Answer]) -> dict[str, Judged]:
    """Pair -> score, by a series in the tree or by `checks` on the stored answers.

    Raises BenchError for an unknown series.
    """
    if name == CHECKS:
        scored = ((a, score_answer(a.question, a.shown.answer, _finish(a))) for a in answers)
        return {
            a.shown.pair: Judged(a.label, s.score, s.reason)
            for a, s in scored
            if s.score is not None
        }
    series = {series.name: series for series in all_series(VERDICTS) if not series.compares}
    if name not in series:
        raise BenchError(f"no series '{name}' below {VERDICTS}{suggest(name, [*series, CHECKS])}")
    verdicts = VerdictStore(series[name]).all()
    return {
        v.pair: Judged(v.label, v.score, v.scored.reason) for v in verdicts if v.score is not None
    }


def _finish(answer: Answer) -> str:
    return "length" if answer.shown.truncated else "stop"


def compare(first: Mapping[str, Judged], second: Mapping[str, Judged]) -> Comparison:
    """Compare two scorings pair by pair."""
    both = sorted(first.keys() & second.keys())
    differ = [
        Disagreement(p, first[p], second[p]) for p in both if first[p].score != second[p].score
    ]
    scores = [(first[p].score, second[p].score) for p in both]
    return Comparison(
        len(both),
        len(first.keys() - second.keys()),
        len(second.keys() - first.keys()),
        (*same_pass("agreement", scores), *agreement("agreement", scores)),
        tuple(sorted(differ, key=lambda d: (-d.distance, d.first.label, d.pair))),
    )
