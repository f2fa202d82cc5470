"""Setups at depths: speed and memory against the tokens of text before a question.

Every depth has the same questions, so that two depths are compared question by question.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from scripts.lib.base.estimates import Comparison, Estimate, median, paired_ratio
from scripts.lib.tables.setups import Setup, by_question


@dataclass(frozen=True)
class AtDepth:
    """A setup with its answers at one depth, and with those at depth 0."""

    depth_tokens: int
    setup: Setup
    shallow: Setup

    @cached_property
    def ratio(self) -> Comparison | None:
        """The decode speed over that at depth 0, on the same questions; None at depth 0."""
        if not self.depth_tokens:
            return None
        return paired_ratio(self.setup.decode_speeds, self.shallow.decode_speeds)

    @cached_property
    def predicted_ratio(self) -> float | None:
        """The bytes read per token at depth 0 over those at this depth; None: not known.

        Decoding that is limited by the memory slows down so. A verified draft reads the weights
        once for several tokens, so nothing is predicted of speculative modes.
        """
        here, there = self.setup, self.shallow
        if here.mode.speculative or here.kv is None or not here.weights_bytes:
            return None
        if not here.context_tokens or not there.context_tokens:
            return None
        return there.bytes_per_token / here.bytes_per_token

    @cached_property
    def peak_rss_bytes(self) -> Estimate | None:
        """The peak of the engine's resident memory since it was loaded, as each answer saw it.

        Questions are asked from the least depth to the greatest.
        """
        return median(by_question(self.setup.answered, lambda row: row.peak_rss_bytes))

    @cached_property
    def predicted(self) -> Estimate | None:
        """The decode speed at depth 0, slowed down by `predicted_ratio`."""
        if self.predicted_ratio is None or self.shallow.decode is None:
            return None
        return self.shallow.decode.scaled(self.predicted_ratio)


def at_depths(setups: Iterable[Setup]) -> Iterator[AtDepth]:
    """Each setup that was asked at a depth: at depth 0, then at its other depths, ascending."""
    for setup in setups:
        if not setup.deep:
            continue
        shallow = setup.at_depth(0)
        yield AtDepth(0, shallow, shallow)
        for tokens in sorted(setup.deep):
            yield AtDepth(tokens, setup.at_depth(tokens), shallow)


def by_setup(found: Sequence[AtDepth]) -> list[tuple[Setup, list[AtDepth]]]:
    """The depths of each setup, in order."""
    lines: dict[str, list[AtDepth]] = {}
    for at in found:
        lines.setdefault(at.setup.name, []).append(at)
    return [(depths[0].setup, depths) for depths in lines.values()]
