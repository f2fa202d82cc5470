"""The calibration set: answers with known scores, written for this project, that any judge can be run over."""

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
# A judge that is to be believed agrees with the known scores as well as it has to agree with
# itself.
LEAST_SCORED, LEAST_EXACT, LEAST_KAPPA, MOST_SHIFT = 0.95, 0.80, 0.85, 3.0


@dataclass(frozen=True, slots=True)
class KnownAnswer:
    """An answer whose score on the rubric is known, and why."""

    question: Question
    answer: str
    score: int
    why: str
    finish_reason: str

    @property
    def shown(self) -> Material:
        return material(self.question, self.answer, self.finish_reason)


def load_calibration(
    suites: Mapping[str, Suite], file: Path = CALIBRATION_FILE
) -> tuple[KnownAnswer, ...]:
    """Read the set. Raises InputErrors with every mistake and its line."""
    source = read_yaml(file)
    questions = {f"{q.suite}/{q.id}": q for suite in suites.values() for q in suite.questions}
    found = []
    entries = source.value.get("answers")
    if not isinstance(entries, list) or not entries:
        raise BenchError(f"{file}: expected a list 'answers'")
    for index, raw in enumerate(entries):
        place = f"answers[{index}]"
        if not isinstance(raw, dict) or not {"question", "score", "why", "answer"} <= set(raw):
            first = f"{place}.{next(iter(raw))}" if isinstance(raw, dict) and raw else place
            source.problems.append(
                source.problem(first, "expected question, score, why and answer")
            )
            continue
        for key in set(raw) - set(KEYS):
            source.problems.append(
                source.problem(f"{place}.{key}", f"unknown key{suggest(key, KEYS)}")
            )
        if raw["question"] not in questions:
            said = f"no question '{raw['question']}'{suggest(raw['question'], questions)}"
            source.problems.append(source.problem(f"{place}.question", said))
        elif raw["score"] not in range(MOST_SCORE + 1) or isinstance(raw["score"], bool):
            source.problems.append(
                source.problem(f"{place}.score", f"expected 0 to 3, found {raw['score']!r}")
            )
        else:
            known = questions[raw["question"]]
            reason = str(raw.get("finish_reason", "stop"))
            found.append(
                KnownAnswer(known, str(raw["answer"]), raw["score"], str(raw["why"]), reason)
            )
    if source.problems:
        raise InputErrors(source.problems)
    return tuple(found)


def scored_by_checks(answers: Iterable[KnownAnswer]) -> list[tuple[KnownAnswer, int | None, str]]:
    """Each answer with the score that the deterministic checks give it, and the reason."""
    scored = [
        (known, score_answer(known.question, known.answer, known.finish_reason))
        for known in answers
    ]
    return [(known, score.score, score.reason) for known, score in scored]


def calibration_measures(
    scored: Iterable[tuple[KnownAnswer, int | None, str]],
) -> tuple[Measure, ...]:
    """Agreement of a scorer with the known scores, and the share that it could score."""
    rows = list(scored)
    pairs = [(known.score, score) for known, score, _ in rows if score is not None]
    share = proportion("scored", len(pairs), len(rows))
    return tuple(m for m in (share, *agreement("calibration", pairs)) if m is not None)


def is_fit(measures: Iterable[Measure]) -> bool:
    """True when a scorer meets the bars: share scored, exact agreement, quadratic kappa, mean shift (points of a hundred)."""
    values = {m.name: m.value for m in measures}
    return (
        values.get("scored", 0.0) >= LEAST_SCORED
        and values.get("calibration_exact", 0.0) >= LEAST_EXACT
        and values.get("calibration_quadratic_kappa", 0.0) >= LEAST_KAPPA
        and abs(values.get("calibration_mean_shift", 100.0)) <= MOST_SHIFT
    )
