"""What llama-server logs of its speculators, after each answer.

    draft acceptance = 0.57576 (  171 accepted /   297 generated), mean len =  3.21
         acc per pos = (0.812, 0.610, …)
    statistics       draft-mtp: #calls(b,g,a) = 1 12 9, #gen drafts = 9, …, #acc tokens = 17

The first two lines are of the answer. The statistics, one line for each speculator, are totals over
the server's life. Source: print_timings in llama.cpp's tools/server/server-context.cpp, and
common_speculative_print_stats in common/speculative.cpp. ik_llama.cpp writes `ngram_mod`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from scripts.lib.planning.cell_record import Count

_STATISTICS = re.compile(
    r"statistics\s+([\w-]+): #calls\(b,g,a\) =\s*\d+\s+(\d+)\s+(\d+), #gen drafts =\s*(\d+), "
    r"#acc drafts =\s*\d+, #gen tokens =\s*(\d+), #acc tokens =\s*(\d+)"
)
_MEAN_LENGTH = re.compile(r"draft acceptance = .*?mean len =\s*([0-9.]+)")
_BY_POSITION = re.compile(r"acc per pos = \(([0-9., ]*)\)")
# What llama-server says when it goes on without speculation.
_GIVEN_UP = re.compile(
    r"(failed to initialize speculative decoding context: .*"
    r"|speculative decoding not supported by this context)"
)


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
    """Tokens per verified batch of the last answer, its own token included; None: not logged."""
    found = _MEAN_LENGTH.findall(log)
    return float(found[-1]) if found else None


def accepted_by_position(log: str, verify_steps: int) -> tuple[int, ...]:
    """In how many batches of the last answer the draft's first, second, … token was accepted."""
    found = _BY_POSITION.findall(log)
    shares = [part.strip() for part in found[-1].split(",")] if found else []
    counts = [round(float(share) * verify_steps) for share in shares if share]
    while counts and not counts[-1]:
        counts.pop()
    return tuple(counts)


def given_up(log: str) -> str:
    """Why llama-server goes on without speculation, in its own words; empty: it does not say so."""
    found = _GIVEN_UP.search(log)
    return found[1].strip() if found else ""
