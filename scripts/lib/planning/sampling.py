"""A seeded sample of questions, spread over the tiers, and over the workloads where it matters."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any, Protocol, TypeVar


class Tiered(Protocol):
    """A question, as far as the sample looks at it."""

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


def _tier(question: Tiered) -> Any:
    return question.tier


def sample_questions(
    questions: tuple[T, ...], count: int, seed: int, group: Callable[[T], Any] = _tier
) -> tuple[T, ...]:
    """At most `count` questions, in their order. The groups take turns; a hash orders each group.

    A group's name can be sorted. The groups are the tiers, where nothing else is asked for.
    """

    def order(question: T) -> str:
        return sha256(f"{seed}/{question.suite}/{question.id}".encode()).hexdigest()

    groups: dict[Any, list[T]] = {group(question): [] for question in questions}
    for question in sorted(questions, key=order):
        groups[group(question)].append(question)
    chosen: list[T] = []
    for place in range(len(questions)):
        chosen += [each[place] for _, each in sorted(groups.items()) if place < len(each)]
    names = {question.id for question in chosen[:count]}
    return tuple(question for question in questions if question.id in names)
