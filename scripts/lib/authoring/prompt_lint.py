"""Checks the questions: references pass, damaged answers fail, contexts hold their needles."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from scripts.lib.authoring.prompt_manifest import compare
from scripts.lib.base.errors import Problem
from scripts.lib.prompts.check_types import SANDBOXED
from scripts.lib.prompts.contexts.generator import generate
from scripts.lib.prompts.types import Question, Suite, lost_images
from scripts.lib.scoring.score import score_answer

REFUSAL = "I am sorry, but I cannot help with that."
_RANDOM = (
    "Seven lanterns drift over copper hills while the seventh drum forgets its own 1089 reasons."
)
# Answers that know nothing of the question: no suite may give them points.
CONTROLS: Mapping[str, Callable[[Question], str]] = {
    "constant": lambda question: "The answer is 42.",
    "yes": lambda question: "Yes.",
    "random": lambda question: _RANDOM,
    "refusal": lambda question: REFUSAL,
    "echo": lambda question: question.prompt_text(),
}


class Level(StrEnum):
    """An error makes a question unfit; a warning leaves it usable."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class LintFinding:
    """One error or warning."""

    level: Level
    problem: Problem


def checked_weight(question: Question) -> int:
    """The weight of the criteria with machine checks, 0 to 100; 100 if checks decide everything."""
    return question.checked_weight


def uses_code(question: Question) -> bool:
    """True if a check of the question runs code."""
    return any(check.type in SANDBOXED for check in question.checks)


def wrong_reference(question: Question) -> str:
    """The reference with other numbers, as code that returns None, or cut in half."""
    reference = question.reference_answer
    if uses_code(question):
        wrong = re.sub(r"^(\s*)return .+$", r"\1return None", reference, flags=re.M)
    else:
        wrong = re.sub(r"\d", lambda m: str((int(m[0]) + 1) % 10), reference)
    return wrong if wrong != reference else reference[: len(reference) // 2]


def damaged(question: Question, others: Iterable[Question]) -> dict[str, str]:
    """Damaged versions of the reference: wrong, empty, an echo, a refusal, another's answer."""
    other = next((q for q in others if q.suite != question.suite and q.tier == question.tier), None)
    answers = {
        "wrong": wrong_reference(question),
        "empty": "",
        "echo": question.prompt_text(),
        "refusal": REFUSAL,
    }
    return answers | ({"another's": other.reference_answer} if other is not None else {})


def _whole(question: Question) -> Iterator[tuple[Level, str]]:
    if not question.scoring:
        yield Level.ERROR, "has no scoring: no answer can be judged"
    if not question.reference_answer:
        yield Level.WARNING, "has no reference_answer"
    if question.scoring and not question.checks:
        yield Level.WARNING, "no criterion has a machine check"
    if any(check.type == "substring" and not check.params["text"] for check in question.checks):
        yield Level.WARNING, "looks for an empty text: any answer passes"
    for image in lost_images(question):
        yield Level.ERROR, f"no image {image}"


def _context(question: Question) -> Iterator[tuple[Level, str]]:
    if question.context is None:
        return
    text = generate(question.context)
    for needle in question.context.needles:
        fixed = needle.text.replace("{time}", "").strip()
        if (count := text.count(fixed)) != 1:
            said = f"the needle '{fixed[:60]}' is {count} times in the context, expected once"
            yield Level.ERROR, said


def _scored(question: Question, others: list[Question]) -> Iterator[tuple[Level, str]]:
    if not question.reference_answer or not checked_weight(question):
        return
    score = score_answer(question, question.reference_answer, "stop")
    if score.fraction is None:
        yield Level.WARNING, f"the reference could not be scored: {score.reason}"
    elif score.fraction < 1.0:
        yield Level.ERROR, f"the reference fails its own checks: {score.reason}"
    for kind, answer in damaged(question, others).items():
        found = score_answer(question, answer, "stop")
        if found.passed:
            yield Level.ERROR, f"a damaged answer ({kind}) passes: {found.reason}"


def lint(folder: Path, suites: Mapping[str, Suite], run_code: bool = True) -> Iterator[LintFinding]:
    """Every problem with the suites of a folder, by question, and then those of the manifest."""
    questions = [question for suite in suites.values() for question in suite.questions]
    checked = [q for q in questions if q.reference_answer and checked_weight(q)]
    for question in questions:
        place = question.name_in_full
        found = [*_whole(question), *_context(question)]
        if not any(level is Level.ERROR for level, _ in found) and (
            run_code or not uses_code(question)
        ):
            found += _scored(question, checked)
        for level, message in found:
            yield LintFinding(level, Problem(str(folder), place, message))
    for suite in suites.values():
        if carried := sorted({key for question in suite.questions for key, _ in question.carried}):
            said = f"keys without effect: {', '.join(carried)}"
            yield LintFinding(Level.WARNING, Problem(str(folder), suite.name, said))
    for problem in compare(folder, suites):
        yield LintFinding(Level.ERROR, problem)


def control_rate(suite: Suite, control: str) -> float | None:
    """The share of scorable questions that a control passes; None if none can be scored."""
    answer = CONTROLS[control]
    scores = (score_answer(question, answer(question), "stop") for question in suite.questions)
    known = [score.passed for score in scores if score.passed is not None]
    return sum(known) / len(known) if known else None
