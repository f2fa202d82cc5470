"""An answer's score by its question's checks. A check that cannot run or decide leaves its criterion unscored, never 0."""

from __future__ import annotations

from dataclasses import dataclass

from scripts.lib.check_types import Outcome
from scripts.lib.prompt_types import Check, Criterion, Question
from scripts.lib.rubric import CriterionScore, QuestionScore
from scripts.lib.scoring.answer_text import without_echo, written
from scripts.lib.scoring.checks import CHECKS

# Raised when a check decides differently: reviews are then made again, no inference is.
SCORER_VERSION = 3
# These see what the model wrote as it is: an instruction may be to repeat the prompt, and code may begin indented.
_AS_WRITTEN = frozenset(("ifeval", "code"))


@dataclass(frozen=True, slots=True)
class Examined:
    """A criterion and what each of its checks said of the answer."""

    criterion: Criterion
    outcomes: tuple[tuple[Check, Outcome], ...]

    @property
    def score(self) -> CriterionScore:
        """All checks must pass; one that fails decides, one that could not decide leaves the rest unscored."""
        name, weight = self.criterion.criterion, self.criterion.weight
        if not self.outcomes:
            return CriterionScore(name, weight, None, "no check")
        outcomes = [outcome for _, outcome in self.outcomes]
        failed = next((outcome for outcome in outcomes if outcome.passed is False), None)
        if failed is not None:
            return CriterionScore(name, weight, 0.0, failed.reason)
        unable = next((outcome for outcome in outcomes if outcome.passed is None), None)
        if unable is not None:
            return CriterionScore(name, weight, None, unable.reason)
        return CriterionScore(name, weight, 1.0, outcomes[0].reason)


@dataclass(frozen=True, slots=True)
class Examination:
    """What scoring saw: the answer proper, each criterion's checks, and the score."""

    answer: str
    criteria: tuple[Examined, ...]
    score: QuestionScore


def _run(check: Check, proper: str, as_written: str) -> Outcome:
    try:
        return CHECKS[check.type](as_written if check.type in _AS_WRITTEN else proper, check.params)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        return Outcome(None, f"{check.type} check could not run: {error}")


def examine(question: Question, answer: str, finish_reason: str) -> Examination:
    """Run every check of a question on an answer; thinking, chat markers and an echo of the prompt are taken off first.

    A truncated answer (`finish_reason` length or timeout) is scored as far as it goes, and noted.
    """
    as_written = written(answer)
    text = without_echo(as_written, question.prompt_text())
    criteria = tuple(
        Examined(c, tuple((check, _run(check, text, as_written)) for check in c.checks)) for c in question.scoring
    )
    notes = [note for note, so in (("truncated", finish_reason in ("length", "timeout")), ("empty", not text)) if so]
    return Examination(text, criteria, QuestionScore(tuple(e.score for e in criteria), ", ".join(notes)))


def score_answer(question: Question, answer: str, finish_reason: str) -> QuestionScore:
    """The score alone."""
    return examine(question, answer, finish_reason).score
