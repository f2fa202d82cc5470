"""Speculation: the sources of draft tokens, and exact counts of drafted and accepted ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(slots=True)
class SpeculationCount:
    """Counts of one answer: tokens drafted, tokens accepted, batches that verified a draft."""

    drafted: int = 0
    accepted: int = 0
    verify_steps: int = 0

    def add(self, drafted: int, accepted: int) -> None:
        """Count one batch; an empty draft does not count."""
        if drafted:
            self.drafted += drafted
            self.accepted += accepted
            self.verify_steps += 1


class Drafter(Protocol):
    """Proposes tokens that may follow a text."""

    def reset(self) -> None:
        """Forget the last text: a new answer begins."""
        ...

    def propose(self, history: Sequence[int], limit: int) -> list[int]:
        """At most `limit` tokens after `history`: the prompt and the answer so far."""
        ...


class LookupDrafter:
    """Prompt lookup: drafts what followed the latest earlier occurrence of the last `n` tokens.

    The same choice as llama.cpp's `ngram-simple` (common/ngram-map.cpp, common_ngram_simple_draft):
    n is fixed, without shorter n-grams as a fallback; the latest match wins; position 0 never
    matches; histories of at most n + most + 1 tokens are too short; a continuation of fewer than n
    tokens gives no draft. An index makes a step cost the same at any length.
    """

    def __init__(self, n: int, most: int):
        self.n, self.most = n, most
        self.reset()

    def reset(self) -> None:
        """Forget the indexed text."""
        self._latest: dict[tuple[int, ...], int] = {}
        self._next_start = 1

    def propose(self, history: Sequence[int], limit: int) -> list[int]:
        """At most `limit` tokens that followed the match."""
        # llama.cpp counts its history without the token sampled last; here it is included.
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
    """Asks each drafter until one proposes; without drafters, the baseline.

    As in llama.cpp, lookup comes before the draft model.
    """

    def __init__(self, drafters: Sequence[Drafter]):
        self.drafters = tuple(drafters)

    def reset(self) -> None:
        """Reset every drafter."""
        for drafter in self.drafters:
            drafter.reset()

    def propose(self, history: Sequence[int], limit: int) -> list[int]:
        """The first proposal that is not empty."""
        for drafter in self.drafters:
            draft = drafter.propose(history, limit)
            if draft:
                return draft
        return []
