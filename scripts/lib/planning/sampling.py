"""A seeded sample of questions, spread over the tiers."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Protocol, TypeVar

from scripts.lib.prompts.types import Question


class Tiered(Protocol):
    """The parts of a question that the sample needs."""

    @property
    def suite(self) -> str:
        """The suite's name."""
        ...

    @property
    def id(self) -> str:
        """The question's name in its suite."""
        ...

    @property
    def tier(self) -> int:
        """How hard it is, from 1."""
        ...


T = TypeVar("T", bound=Tiered)


def sample_questions(questions: tuple[T, ...], count: int, seed: int) -> tuple[T, ...]:
    """At most `count` questions, in their order, from each tier in turn; a hash orders a tier."""

    def order(question: T) -> str:
        return sha256(f"{seed}/{question.suite}/{question.id}".encode()).hexdigest()

    tiers: dict[int, list[T]] = {question.tier: [] for question in questions}
    for question in sorted(questions, key=order):
        tiers[question.tier].append(question)
    chosen: list[T] = []
    for place in range(len(questions)):
        chosen += [group[place] for _, group in sorted(tiers.items()) if place < len(group)]
    names = {question.id for question in chosen[:count]}
    return tuple(question for question in questions if question.id in names)


def sample_by_workload(
    questions: Iterable[Question], count: int, seed: int
) -> tuple[Question, ...]:
    """At most `count` questions of each suite; of a suite with workloads, of each workload."""
    groups: dict[tuple[str, str], list[Question]] = {}
    for question in questions:
        groups.setdefault((question.suite, question.workload), []).append(question)
    return tuple(
        question
        for group in groups.values()
        for question in sample_questions(tuple(group), count, seed)
    )
