"""Speculation: what drafts tokens, and exact counts of the drafted and the accepted ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from scripts.lib.planning.cell_record import Count


@dataclass(slots=True)
class SpeculationCount:
    """Counts of one answer: what each drafter did, and the batches that verified a draft.

    `by_position`: in how many of those batches the draft's first, second, … token was accepted.
    """

    drafters: dict[str, Count] = field(default_factory=dict)
    verify_steps: int = 0
    by_position: list[int] = field(default_factory=list)
    _last: str = ""

    def asked(self, drafter: str, drafted: int) -> None:
        """A drafter was asked, and gave that many tokens."""
        more = Count(1, int(drafted > 0), drafted)
        self.drafters[drafter] = self.drafters.get(drafter, Count()).plus(more)
        self._last = drafter

    def verified(self, accepted: int) -> None:
        """The draft of the drafter that was asked last was verified."""
        self.verify_steps += 1
        more = Count(accepted_tokens=accepted)
        self.drafters[self._last] = self.drafters[self._last].plus(more)
        self.by_position += [0] * (accepted - len(self.by_position))
        for position in range(accepted):
            self.by_position[position] += 1

    @property
    def drafted(self) -> int:
        """Tokens drafted by all drafters."""
        return sum(count.drafted_tokens for count in self.drafters.values())

    @property
    def accepted(self) -> int:
        """Accepted tokens of all drafts."""
        return sum(count.accepted_tokens for count in self.drafters.values())


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

    The rules are those of llama.cpp's `ngram-simple` (common/ngram-map.cpp,
    common_ngram_simple_draft): n is fixed, without shorter n-grams as a fallback; the latest match
    wins; position 0 never matches; histories of at most n + most + 1 tokens are too short; a
    continuation of fewer than n tokens gives no draft. Because of the index, a step takes the same
    time at any length.
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
        # llama.cpp's history ends before the token that was sampled last; here it is included.
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
    """Asks one drafter after the other until one proposes. The baseline has no drafters.

    As in llama.cpp, lookup comes before the draft model.
    """

    def __init__(self, drafters: Mapping[str, Drafter]):
        self.drafters = dict(drafters)

    def reset(self) -> None:
        """Reset every drafter."""
        for drafter in self.drafters.values():
            drafter.reset()

    def propose(self, history: Sequence[int], limit: int, counts: SpeculationCount) -> list[int]:
        """The first proposal that is not empty. Counts which drafters were asked."""
        for name, drafter in self.drafters.items():
            draft = drafter.propose(history, limit)
            counts.asked(name, len(draft))
            if draft:
                return draft
        return []
