"""Reads what llama-server logs about its speculators after each answer.

    draft acceptance = 0.57576 (  171 accepted /   297 generated), mean len =  3.21
         acc per pos = (0.812, 0.610, …)
    statistics       draft-mtp: #calls(b,g,a) = 1 12 9, #gen drafts = 9, …, #acc tokens = 17

The first two lines are about the answer. The statistics, one line for each speculator, are totals
over the server's life. Source: print_timings in llama.cpp's tools/server/server-context.cpp, and
common_speculative_print_stats in common/speculative.cpp.

ik_llama.cpp writes neither mean length nor positions, and has underscores in the names:

    draft acceptance rate = 0.57576 (  171 accepted /   297 generated)
    statistics ngram_mod: #calls(b,g,a) = 6 1690 26, #gen drafts = 26, …, dur(b,g,a) = 2.234, …
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from scripts.lib.planning.cell_record import Count, Counts

_STATISTICS = re.compile(
    r"statistics\s+([\w-]+): #calls\(b,g,a\) =\s*\d+\s+(\d+)\s+(\d+), #gen drafts =\s*(\d+), "
    r"#acc drafts =\s*\d+, #gen tokens =\s*(\d+), #acc tokens =\s*(\d+)"
)
_MEAN_LENGTH = re.compile(r"draft acceptance = .*?mean len =\s*([0-9.]+)")
_BY_POSITION = re.compile(r"acc per pos = \(([0-9., ]*)\)")
# What llama-server logs if it goes on without speculation.
_GIVEN_UP = re.compile(
    r"(failed to initialize speculative decoding context: .*"
    r"|speculative decoding not supported by this context"
    # of ik_llama.cpp, for a model that reads images
    r"|speculative decoding is not supported by multimodal.*)"
)

# The lines are written just after the stream's last event.
POLL_S, STATISTICS_WAIT_S, MEAN_LENGTH_WAIT_S = 0.002, 2.0, 0.04
# The name under which all speculators are counted if the log has no statistics of each.
ALL = "speculation"


@dataclass(frozen=True, slots=True)
class Total:
    """A speculator's totals: what it did, and how many of its drafts were verified."""

    count: Count = field(default_factory=Count)
    verified: int = 0


def totals(log: str) -> Mapping[str, Total]:
    """The last totals of each speculator, by llama-server's word for it."""
    found = {}
    for name, asked, verified, drafts, drafted, accepted in _STATISTICS.findall(log):
        count = Count(int(asked), int(drafts), int(drafted), int(accepted))
        found[name.replace("_", "-")] = Total(count, int(verified))
    return found


def mean_length(log: str) -> float | None:
    """Tokens per verified batch of the last answer, the model's own included; None: not logged."""
    found = _MEAN_LENGTH.findall(log)
    return float(found[-1]) if found else None


def accepted_by_position(log: str, verify_steps: int) -> tuple[int, ...]:
    """In how many batches of the last answer the draft's first, second, … token was accepted."""
    found = _BY_POSITION.findall(log)
    shares = [part.strip() for part in found[-1].split(",")] if found else []
    return to_last_accepted(round(float(share) * verify_steps) for share in shares if share)


def to_last_accepted(counts: Iterable[int]) -> tuple[int, ...]:
    """The counts without the zeros at their end: a record ends at the last accepted position."""
    kept = list(counts)
    while kept and not kept[-1]:
        kept.pop()
    return tuple(kept)


def given_up(log: str) -> str:
    """Why llama-server goes on without speculation, in its own words; empty if it does not."""
    found = _GIVEN_UP.search(log)
    return found[1].strip() if found else ""


class NoStatistics(Exception):
    """The log does not have the statistics of these speculators."""

    def __init__(self, absent: list[str]):
        super().__init__(f"llama-server's log has no statistics of {', '.join(absent)}")


@dataclass(frozen=True, slots=True)
class Spoken:
    """What the log says of one answer. For the fields see `Measurement`."""

    counts: Counts = field(default_factory=dict)
    verify_steps: int = 0
    by_position: tuple[int, ...] = ()


class SpeculationLog:
    """Reads from a server's log what its speculators did, answer by answer.

    `words`: the server's name of each speculator -> our name, in the order in which they are asked;
    None if the server writes no statistics.
    """

    def __init__(self, file: Path, words: Mapping[str, str] | None):
        self._file, self._words = file, words
        self._totals: Mapping[str, Total] = {}

    @property
    def speculators(self) -> tuple[str, ...]:
        """The names of the speculators in the counts of an answer."""
        return (ALL,) if self._words is None else tuple(self._words.values())

    def position(self) -> int:
        """The end of the log: what follows is about the next answer."""
        return self._file.stat().st_size

    def _wait(self, position: int, is_whole: Callable[[str], bool], wait_s: float) -> str:
        """The log from `position` on, as soon as it is whole, or after `wait_s` seconds."""
        deadline = time.monotonic() + wait_s
        while True:
            with self._file.open("rb") as log:
                log.seek(position)
                text = log.read().decode("utf-8", "replace")
            if is_whole(text) or time.monotonic() > deadline:
                return text
            time.sleep(POLL_S)

    def catch_up(self, position: int) -> str:
        """Read the totals that were written since `position`; returns that part of the log.

        Raises NoStatistics.
        """
        words = self._words or {}
        text = self._wait(
            position, lambda part: words.keys() <= totals(part).keys(), STATISTICS_WAIT_S
        )
        found = totals(text)
        absent = [word for word in words if word not in found]
        if absent:
            raise NoStatistics(absent)
        self._totals = found
        return text

    def answer(self, position: int, drafted: int, accepted: int, answered: int) -> Spoken:
        """What the speculators did for the answer whose lines begin at `position`.

        Without statistics, all speculators are counted as one, and the number of batches is
        computed from the mean length. Raises NoStatistics.
        """
        if self._words is None:
            if not drafted:
                return Spoken()
            text = self._wait(
                position, lambda part: mean_length(part) is not None, MEAN_LENGTH_WAIT_S
            )
            mean = mean_length(text) or 0.0
            steps = round(accepted / (mean - 1)) if mean > 1 else max(answered - 1 - accepted, 1)
            return Spoken({ALL: Count(answered - 1, steps, drafted, accepted)}, steps)
        if not self._words:
            return Spoken()
        before = self._totals
        text = self.catch_up(position)
        counts, steps = {}, 0
        for word, name in self._words.items():
            now, earlier = self._totals[word], before.get(word, Total())
            counts[name] = now.count.since(earlier.count)
            steps += now.verified - earlier.verified
        if len(counts) == 1:
            # A model that restores its whole state computes the accepted tokens again, with the
            # token after them. The statistics count that token, too; the answer's figures do not.
            (name,) = counts
            counts[name] = replace(counts[name], accepted_tokens=accepted)
        return Spoken(counts, steps, accepted_by_position(text, steps))
