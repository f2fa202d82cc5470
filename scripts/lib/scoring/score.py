"""An answer's score by its question's checks.

A check that cannot run or decide leaves its criterion unscored, never 0.
"""

from __future__ import annotations

from dataclasses import dataclass

from scripts.lib.base.untrusted_text import valid_text
from scripts.lib.prompts.check_types import CheckOutcome
from scripts.lib.prompts.types import Check, Criterion, Question
from scripts.lib.scoring.answer.cleaning import without_echo, written
from scripts.lib.scoring.checks import CHECKS
from scripts.lib.scoring.rubric import (
    MOST_SCORE,
    NO_CHECK,
    PASS_SCORE,
    TRUNCATED,
    CriterionScore,
    QuestionScore,
)

# The criterion of the checks that decide on the answer as a whole.
WHOLE_ANSWER = "the whole answer"
# These checks see the text as the model wrote it: IFEval may ask for the prompt to be repeated, and
# code may begin with indentation.
_AS_WRITTEN = frozenset(("ifeval", "code"))


@dataclass(frozen=True, slots=True)
class Examined:
    """A criterion and the outcome of each of its checks."""

    criterion: Criterion
    outcomes: tuple[tuple[Check, CheckOutcome], ...]

    @property
    def score(self) -> CriterionScore:
        """The criterion's score: all checks must pass.

        A check that fails decides. Without one, a check that cannot decide leaves it unscored.
        """
        name, weight = self.criterion.criterion, self.criterion.weight
        if not self.outcomes:
            return CriterionScore(name, weight, None, NO_CHECK)
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
    """The result of scoring: the answer itself, the outcomes of each criterion, and the score."""

    answer: str
    criteria: tuple[Examined, ...]
    score: QuestionScore


def _run(check: Check, answer: str, as_written: str) -> CheckOutcome:
    """The outcome of a check, undecided if it cannot run.

    Its texts are made valid: an answer can contain characters that no file can hold.
    """
    try:
        found = CHECKS[check.type](
            as_written if check.type in _AS_WRITTEN else answer, check.params
        )
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        found = CheckOutcome(None, f"{check.type} check could not run: {error}")
    return CheckOutcome(
        found.passed, *map(valid_text, (found.reason, found.extracted, found.evidence))
    )


def examine(question: Question, answer: str, finish_reason: str) -> Examination:
    """The result of every check of a question.

    Thinking, chat markers and an echo of the prompt are removed first. A truncated answer
    (`finish_reason` length or timeout) is scored as far as it goes, and noted.
    """
    as_written = written(answer)
    text = without_echo(as_written, question.prompt_text())

    def examined(criterion: Criterion) -> Examined:
        return Examined(
            criterion, tuple((check, _run(check, text, as_written)) for check in criterion.checks)
        )

    criteria = tuple(map(examined, question.scoring))
    whole = examined(Criterion(WHOLE_ANSWER, 100, question.whole)) if question.whole else None
    notes = []
    if finish_reason in TRUNCATED:
        notes.append("truncated")
    if not text:
        notes.append("empty")
    every = criteria if whole is None else (*criteria, whole)
    broken = question.all_must_pass and any(each.score.points == 0 for each in every)
    score = QuestionScore(
        tuple(each.score for each in criteria),
        ", ".join(notes),
        most=PASS_SCORE - 1 if broken else MOST_SCORE,
        whole=whole.score if whole is not None else None,
    )
    return Examination(text, every, score)


def score_answer(question: Question, answer: str, finish_reason: str) -> QuestionScore:
    """The score of an answer, without the outcomes of the single checks."""
    return examine(question, answer, finish_reason).score
