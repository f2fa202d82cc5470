"""Speculation: where draft tokens come from, and the exact count of what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(slots=True)
class SpeculationCount:
    """Exact counts of one answer: tokens drafted, drafted tokens accepted, batches that verified a draft."""

    drafted: int = 0
    accepted: int = 0
    verify_steps: int = 0

    def add(self, drafted: int, accepted: int) -> None:
        if drafted:
            self.drafted += drafted
            self.accepted += accepted
            self.verify_steps += 1


class Drafter(Protocol):
    """Proposes the tokens that may follow `history` (prompt and answer so far, the last sampled token included)."""

    def reset(self) -> None:
        """A new answer begins: forget the last one's text."""
        ...

    def propose(self, history: Sequence[int], limit: int) -> list[int]: ...


class NoDrafter:
    """Baseline: never proposes."""

    def reset(self) -> None:
        pass

    def propose(self, history: Sequence[int], limit: int) -> list[int]:
        return []


def lookup_draft(history: Sequence[int], n: int, most: int) -> list[int]:
    """What followed the latest earlier occurrence of the last `n` tokens, at most `most` tokens, or nothing.

    The same choice as llama.cpp's `ngram-simple` (common/ngram-map.cpp, common_ngram_simple_draft):
    a fixed n with no fall-back to shorter n-grams, the latest match wins, position 0 is never
    matched, histories of no more than n + most + 1 tokens are too short, and a continuation of
    fewer than n tokens is not worth a batch.
    """
    # llama.cpp counts its history without the token sampled last; ours holds it.
    length = len(history) - 1
    if length <= n + most + 1:
        return []
    pattern = list(history[-n:])
    last = pattern[-1]
    for start in range(length - n - 1, 0, -1):
        if history[start + n - 1] == last and list(history[start : start + n]) == pattern:
            count = min(most, length - (start + n))
            return list(history[start + n : start + n + count]) if count >= n else []
    return []


class LookupDrafter:
    """Prompt lookup: `lookup_draft` with an index of the n-grams seen, so that a step costs the same at any length."""

    def __init__(self, n: int, most: int):
        self.n, self.most = n, most
        self.reset()

    def reset(self) -> None:
        self._latest: dict[tuple[int, ...], int] = {}
        self._next_start = 1

    def propose(self, history: Sequence[int], limit: int) -> list[int]:
        n, length = self.n, len(history) - 1
        for start in range(self._next_start, length - n):
            self._latest[tuple(history[start : start + n])] = start
        self._next_start = max(self._next_start, length - n)
        if length <= n + self.most + 1:
            return []
        start = self._latest.get(tuple(history[-n:]), 0)
        count = min(self.most, length - (start + n))
        if start == 0 or count < n:
            return []
        return list(history[start + n : start + n + count])[:limit]


class FirstOf:
    """Asks one drafter after the other (lookup before the draft model, as llama.cpp does) until one proposes."""

    def __init__(self, drafters: Sequence[Drafter]):
        self.drafters = tuple(drafters)

    def reset(self) -> None:
        for drafter in self.drafters:
            drafter.reset()

    def propose(self, history: Sequence[int], limit: int) -> list[int]:
        for drafter in self.drafters:
            draft = drafter.propose(history, limit)
            if draft:
                return draft
        return []
