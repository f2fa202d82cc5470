"""Judging: what is sent to a judge and what comes back. One protocol, one module per judge.

A batch mixes the answers to be judged with canaries (answers whose score is known) and retests, so
that the judge is measured while it measures. A judge only turns items into replies; scoring,
storing and the decision on the batch are not its business.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from scripts.lib.scoring.series import Item, Reply, Series


class Journal(Protocol):
    """A batch's memory across crashes, for a judge whose requests outlive the process."""

    def read(self) -> dict[str, Any]: ...

    def write(self, value: Mapping[str, Any]) -> None: ...


class Stopped(Exception):
    """The judge is not to be asked any further in this run (no key, no money left, out of reach): the reason."""


# Called with every item and its reply; the reply is on disk when it returns.
Keep = Callable[[Item, Reply], Awaitable[None]]


class Judge(Protocol):
    """Turns items into replies, in any order. `batches_at_once`: how many batches it wants to have in hand."""

    series: Series
    batches_at_once: int

    async def ask(self, items: Sequence[Item], journal: Journal, keep: Keep) -> None:
        """Have every item answered, each once, and keep its reply before the next one is asked.

        Raises Stopped, with the replies that came kept; BenchError for what only a person can mend
        (a refused key).
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
