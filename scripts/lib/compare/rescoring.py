"""Scores observations as today's reviews do, by the leading scorer.

A judge is not asked anything new: its stored verdicts are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

from scripts.lib.compare.observations import Observation
from scripts.lib.planning.cell_spec import turns_spec
from scripts.lib.planning.disk import load_planner
from scripts.lib.prompts.loader import Question, Suite, read_suites
from scripts.lib.scoring.scorers import Scoring, scorers_of
from scripts.lib.settings.judge_config import LOCAL
from scripts.lib.settings.run_config import Config


class Rescorer:
    """Scores an observation: 1.0 for a pass, 0.0 for a fail or an error, None for unscored.

    Equal answers to one question are scored once.
    """

    def __init__(self, suites: Mapping[str, Suite], scoring: Scoring):
        self._questions = {q.name_in_full: q for suite in suites.values() for q in suite.questions}
        self._scoring = scoring
        self._known: dict[tuple[str, str, str], float | None] = {}

    @property
    def name(self) -> str:
        """The leading scorer."""
        return self._scoring.leading

    def __call__(self, item: Observation) -> float | None:
        """Score an observation. A question that no longer exists, or has changed, is unscored."""
        question = self._questions.get(item.question_name)
        if question is None or not _is_asked(question, item):
            return None
        if item.status == "error" or item.measurement is None:
            return 0.0
        answer, reason = item.measurement.answer, item.measurement.finish_reason
        key = question.name_in_full, answer, reason
        if key not in self._known:
            passed = self._scoring.of(question, answer, reason)[0].score.passed
            self._known[key] = None if passed is None else float(passed)
        return self._known[key]


def load_rescorer(config: Config) -> Rescorer:
    """The leading scorer of a configuration, over its suites."""
    # Only a local judge needs the facts of its weights.
    named = LOCAL in config.judge.scorers
    scorers = load_planner(config).scorers if named else scorers_of(config.judge, "")
    return Rescorer(read_suites(config.prompts).sound, Scoring(scorers[:1]))


def _is_asked(question: Question, item: Observation) -> bool:
    """True if the observation's prompt is today's text of the question."""
    sent = item.spec.get("prompt", {})
    text = question.prompt_text()
    if sent.get("turns", []) != turns_spec(question):
        return False
    if "user" in sent:
        return bool(sent["user"] == text)
    return bool(sent.get("user_sha256") == sha256(text.encode()).hexdigest())
