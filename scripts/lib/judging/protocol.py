"""The protocol that every judge implements; there is one module per judge.

A batch mixes the answers to be judged with canaries (answers whose score is known) and retests, so
that each batch also measures the judge. A judge only turns items into replies. Scoring and storing
them, and the decision on the batch, happen elsewhere.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from scripts.lib.scoring.series import Item, Reply, Series


class Journal(Protocol):
    """A batch's memory across crashes, for a judge whose requests outlive the process."""

    def read(self) -> dict[str, Any]:
        """What was written last; empty at first."""
        ...

    def write(self, value: Mapping[str, Any]) -> None:
        """Replace the journal."""
        ...


class Stopped(Exception):
    """The reason to ask the judge nothing more in this run: no key, no money left, out of reach."""


# Called with each item and its reply; when it returns, the reply is on disk.
Keep = Callable[[Item, Reply], Awaitable[None]]


class Judge(Protocol):
    """Turns items into replies, in any order. `batches_at_once`: how many batches may be open."""

    series: Series
    batches_at_once: int

    async def ask(self, items: Sequence[Item], journal: Journal, keep: Keep) -> None:
        """Ask for every item once, and `keep` each reply as it comes in.

        Raises Stopped (the replies so far are kept), or BenchError for what only the user can
        correct, such as a refused key.
        """
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...
