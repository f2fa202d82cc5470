"""The shipped questions: references pass their own checks, damaged answers do not, generated contexts are stable."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.lib.checks import score_answer
from scripts.lib.context_generator import ContextSpec, estimated_tokens, generate
from scripts.lib.prompt_loader import Question, load_suites, suites_for_roles

SUITES = load_suites(Path("benchmarks/prompts/v1"))
QUESTIONS = [question for suite in SUITES.values() for question in suite.questions]
CHECKED = [question for question in QUESTIONS if any(c.checks for c in question.scoring)]
REFUSAL = "I am sorry, but I cannot help with that."


def named(question: Question) -> str:
    return f"{question.suite}-{question.id}"


def test_seven_suites_with_a_question_per_tier() -> None:
    for name in ("thinking", "coder", "math", "general", "agentic", "instruction_precision", "long_context"):
        assert {question.tier for question in SUITES[name].questions} == {1, 2, 3}, name


@pytest.mark.parametrize("question", QUESTIONS, ids=named)
def test_every_question_is_whole(question: Question) -> None:
    assert question.reference_answer and question.expected
    assert sum(criterion.weight for criterion in question.scoring) == 100
    assert any(criterion.checks for criterion in question.scoring)


@pytest.mark.parametrize("question", CHECKED, ids=named)
def test_the_reference_passes_its_own_checks(question: Question) -> None:
    score = score_answer(question, question.reference_answer, "stop")
    assert score.fraction == 1.0, score.reason


def damaged(question: Question) -> dict[str, str]:
    other = next(q for q in CHECKED if q.suite != question.suite and q.tier == question.tier)
    wrong = re.sub(r"\d", lambda m: str((int(m[0]) + 1) % 10), question.reference_answer)
    answers = {"empty": "", "echo": question.prompt_text(), "refusal": REFUSAL, "another": other.reference_answer}
    # A reference without a digit has no wrong number; cutting it in half damages any.
    half = question.reference_answer[: len(question.reference_answer) // 2]
    return answers | {"wrong": wrong if wrong != question.reference_answer else half}


@pytest.mark.parametrize("question", CHECKED, ids=named)
def test_damaged_answers_do_not_pass(question: Question) -> None:
    for kind, answer in damaged(question).items():
        score = score_answer(question, answer, "stop")
        assert score.passed is not True, f"{kind}: {score.reason}"
        assert score.fraction is not None and score.fraction < 1.0, kind


def test_contexts_are_the_same_bytes_and_hold_each_needle_once() -> None:
    for question in QUESTIONS:
        if question.context is not None:
            text = generate(question.context)
            assert text == generate(question.context)
            assert abs(estimated_tokens(text, question.context.kind) - question.context.tokens) < 100
            for needle in question.context.needles:
                if "{time}" not in needle.text:
                    assert text.count(needle.text) == 1, needle
                    assert abs(text.index(needle.text) / len(text) - needle.position) < 0.08, needle


def test_another_seed_is_another_context() -> None:
    assert generate(ContextSpec("log", 500, 1)) != generate(ContextSpec("log", 500, 2))


@pytest.mark.parametrize(
    ("roles", "key", "suites"),
    [
        (("worker",), "x", ("general", "thinking", "agentic")),
        (("vision", "general"), "x", ("vl",)),
        (("coder", "worker"), "x", ("coder", "thinking", "general", "agentic", "instruction_precision")),
        ((), "math_qwen", ("math", "thinking", "general")),
        ((), "unknown", ("general",)),
        (("no_such_role",), "x", ("general",)),
    ],
)
def test_suites_by_role(roles: tuple[str, ...], key: str, suites: tuple[str, ...]) -> None:
    assert suites_for_roles(roles, key) == suites
