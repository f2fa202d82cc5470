"""Choices from a seed, and templates filled by them: the same on any machine and Python."""

from __future__ import annotations

import random
from collections.abc import Mapping


class Dice:
    """Choices from a seed. They use one primitive: others of `Random` differ between Pythons."""

    def __init__(self, seed: str):
        self._random = random.Random(seed).random

    def below(self, most: int) -> int:
        """A whole number from 0 to `most` - 1."""
        return int(self._random() * most)

    def pick(self, items: tuple[str, ...]) -> str:
        """One of the items."""
        return items[int(self._random() * len(items))]

    def pick_some(self, items: tuple[str, ...], count: int) -> list[str]:
        """`count` different items, in the order they are drawn."""
        left = list(items)
        return [left.pop(self.below(len(left))) for _ in range(count)]


def filled(template: str, dice: Dice, slots: Mapping[str, tuple[str, ...]]) -> str:
    """The template with every `|slot|` filled."""
    parts = template.split("|")
    return "".join(dice.pick(slots[part]) if part in slots else part for part in parts)


def capitalised(text: str) -> str:
    """With its first letter large, the others as they are."""
    return text[0].upper() + text[1:]
