"""The calibration set: answers with known scores, written for this project, to test any scorer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.lib.base.errors import BenchError, InputErrors, suggest
from scripts.lib.base.yaml_file import read_yaml
from scripts.lib.judging.instrument import Measure, agreement, proportion
from scripts.lib.prompts.types import Question, Suite
from scripts.lib.scoring.judge_prompt import Material, material
from scripts.lib.scoring.rubric import MOST_SCORE
from scripts.lib.scoring.score import score_answer

CALIBRATION_FILE = Path("benchmarks/prompts/calibration.yaml")
KEYS = ("question", "score", "why", "answer", "finish_reason")
# The limits for agreement with the known scores are those for agreement with itself.
LEAST_SCORED, LEAST_EXACT, LEAST_KAPPA, MOST_SHIFT = 0.95, 0.80, 0.85, 3.0


@dataclass(frozen=True, slots=True)
class KnownAnswer:
    """An answer with its known score on the rubric, and the reason for it."""

    question: Question
    answer: str
    score: int
    why: str
    finish_reason: str

    @property
    def shown(self) -> Material:
        """The answer as it is shown to a judge."""
        return material(self.question, self.answer, self.finish_reason)


def load_calibration(
    suites: Mapping[str, Suite], file: Path = CALIBRATION_FILE
) -> tuple[KnownAnswer, ...]:
    """Read the set. Raises InputErrors with every mistake and its line."""
    source = read_yaml(file)
    questions = {q.name_in_full: q for suite in suites.values() for q in suite.questions}
    found = []

    def wrong(place: str, said: str) -> None:
        source.problems.append(source.problem(place, said))

    entries = source.value.get("answers")
    if not isinstance(entries, list) or not entries:
        raise BenchError(f"{file}: expected a list 'answers'")
    for index, raw in enumerate(entries):
        place = f"answers[{index}]"
        if not isinstance(raw, dict) or not {"question", "score", "why", "answer"} <= set(raw):
            first = f"{place}.{next(iter(raw))}" if isinstance(raw, dict) and raw else place
            wrong(first, "expected question, score, why and answer")
            continue
        for key in set(raw) - set(KEYS):
            wrong(f"{place}.{key}", f"unknown key{suggest(key, KEYS)}")
        name, score = raw["question"], raw["score"]
        if name not in questions:
            wrong(f"{place}.question", f"no question '{name}'{suggest(name, questions)}")
        elif score not in range(MOST_SCORE + 1) or isinstance(score, bool):
            wrong(f"{place}.score", f"expected 0 to {MOST_SCORE}, found {score!r}")
        else:
            answer, why = str(raw["answer"]), str(raw["why"])
            reason = str(raw.get("finish_reason", "stop"))
            found.append(KnownAnswer(questions[name], answer, score, why, reason))
    if source.problems:
        raise InputErrors(source.problems)
    return tuple(found)


def scored_by_checks(answers: Iterable[KnownAnswer]) -> list[tuple[KnownAnswer, int | None, str]]:
    """Each answer with the score that the deterministic checks give it, and the reason."""
    scored = []
    for known in answers:
        score = score_answer(known.question, known.answer, known.finish_reason)
        scored.append((known, score.score, score.reason))
    return scored


def calibration_measures(
    scored: Iterable[tuple[KnownAnswer, int | None, str]],
) -> tuple[Measure, ...]:
    """A scorer's agreement with the known scores, and the share of answers that it scored."""
    rows = list(scored)
    pairs = [(known.score, score) for known, score, _ in rows if score is not None]
    share = proportion("scored", len(pairs), len(rows))
    return tuple(m for m in (share, *agreement("calibration", pairs)) if m is not None)


def is_fit(measures: Iterable[Measure]) -> bool:
    """True if a scorer meets all limits.

    They concern the share scored, exact agreement, quadratic kappa, and mean shift (points of 100).
    """
    values = {m.name: m.value for m in measures}
    return (
        values.get("scored", 0.0) >= LEAST_SCORED
        and values.get("calibration_exact", 0.0) >= LEAST_EXACT
        and values.get("calibration_quadratic_kappa", 0.0) >= LEAST_KAPPA
        and abs(values.get("calibration_mean_shift", 100.0)) <= MOST_SHIFT
    )
