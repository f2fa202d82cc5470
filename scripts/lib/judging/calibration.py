"""The calibration: answers with known scores, which decide whether a scorer's scores are ranked.

The set was written for this project. Beside it there are probes: the same answers short and long,
plain and in Markdown, with and without a plea for points, made from the questions' references.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.lib.base.errors import BenchError, InputErrors, suggest
from scripts.lib.base.yaml_file import read_yaml
from scripts.lib.judging.canaries import KINDS, style_families
from scripts.lib.judging.instrument import (
    Measure,
    calibration_agreement,
    gate_findings,
    proportion,
)
from scripts.lib.prompts.types import Question, Suite
from scripts.lib.scoring.judge_prompt import Material, material
from scripts.lib.scoring.rubric import MOST_SCORE
from scripts.lib.scoring.score import score_answer
from scripts.lib.scoring.series import Role
from scripts.lib.scoring.verdict_store import ItemOutcome

CALIBRATION_FILE = Path("benchmarks/prompts/calibration.yaml")
KEYS = ("question", "score", "why", "answer", "finish_reason")
# Wrong answers that are asked in every style, and half as many right ones.
PROBES = 8
# A scorer that leaves more of the answers unscored is not fit.
LEAST_SCORED = 0.95


@dataclass(frozen=True, slots=True)
class KnownAnswer:
    """An answer with its known score on the rubric, and the reason for it.

    `kind`: what a probe tests; empty for an answer of the set. Of a probe's score only pass or fail
    is known.
    """

    question: Question
    answer: str
    score: int
    why: str
    finish_reason: str
    kind: str = ""

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


def probes(suites: Mapping[str, Suite]) -> Iterator[KnownAnswer]:
    """The same answers in every style, from the questions of the suites."""
    questions = [q for suite in suites.values() for q in suite.questions if not q.workload]
    for kind, question, answer in style_families(questions, PROBES):
        yield KnownAnswer(question, answer, KINDS[kind].expected, f"a probe: {kind}", "stop", kind)


def scored_by_checks(answers: Iterable[KnownAnswer]) -> list[tuple[KnownAnswer, int | None, str]]:
    """Each answer with the score that the deterministic checks give it, and the reason."""
    scored = []
    for known in answers:
        score = score_answer(known.question, known.answer, known.finish_reason)
        scored.append((known, score.score, score.reason))
    return scored


def outcomes(rows: Iterable[tuple[KnownAnswer, int | None, str]]) -> list[ItemOutcome]:
    """Scored answers in the form of a judge's, for `calibration_findings`."""
    return [
        ItemOutcome(
            digest="",
            pair=known.shown.pair,
            role=Role.CALIBRATION,
            label=known.question.name_in_full,
            kind=known.kind,
            expected=known.score,
            score=score,
            unscored="" if score is not None else reason,
            answered=True,
        )
        for known, score, reason in rows
    ]


def calibration_measures(items: Sequence[ItemOutcome]) -> tuple[Measure, ...]:
    """A scorer's agreement with the known scores, and the share of answers that it scored."""
    share = proportion("scored", sum(item.score is not None for item in items), len(items))
    return tuple(m for m in (share, *calibration_agreement(items)) if m is not None)


def calibration_findings(items: Sequence[ItemOutcome]) -> Iterator[str]:
    """Why a scorer is not fit to judge; nothing if it is.

    The tests are those of a batch: pass and fail decide, not the exact score.
    """
    share = next((m for m in calibration_measures(items) if m.name == "scored"), None)
    least = f"limit {100 * LEAST_SCORED:.0f} %"
    if share is None or share.value < LEAST_SCORED:
        yield f"{100 * (share.value if share else 0):.0f} % of the answers were scored, {least}"
    yield from gate_findings(items)
