"""What judging costs: prices, estimates, and a hard limit that is checked before each request."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from statistics import median
from typing import NamedTuple

from scripts.lib.judging.protocol import Stopped
from scripts.lib.scoring.series import Item, Usage
from scripts.lib.scoring.verdict_store import VerdictStore
from scripts.lib.settings.judge_config import ClaudeConfig, Prices

MILLION = 1_000_000
# For estimates before anything is measured: bytes per token (low, so that tokens are not
# underestimated), and the output tokens of a reply: a fixed number, and a number per criterion.
BYTES_PER_TOKEN = 3.2
REPLY_TOKENS, REPLY_TOKENS_PER_CRITERION = 90, 110
# An estimate uses medians of at least this many replies, and reads at most that many.
LEAST_MEASURED, MOST_MEASURED = 20, 200


def usd_of(prices: Prices, usage: Usage, batched: bool = False) -> float:
    """The price of one reply in US dollars."""
    tokens = (
        usage.input_tokens * prices.input
        + usage.output_tokens * prices.output
        + usage.cache_write_tokens * prices.cache_write
        + usage.cache_read_tokens * prices.cache_read
    )
    return tokens / MILLION * (prices.batch_factor if batched else 1.0)


class RequestSize(NamedTuple):
    """What a request's price follows from: bytes of instructions and user text, and criteria."""

    system_bytes: int
    user_bytes: int
    criteria: int


def size_of(item: Item) -> RequestSize:
    """The size of an item's request."""
    shown = item.shown
    user = len(shown.user_prompt(item.digest).encode())
    return RequestSize(len(shown.system.encode()), user, len(shown.criteria))


def total_input(usage: Usage) -> int:
    """Input tokens, whether or not they went through the cache."""
    return usage.input_tokens + usage.cache_write_tokens + usage.cache_read_tokens


@dataclass(frozen=True, slots=True)
class Measured:
    """Tokens of a series' stored replies: medians, and the least input of one request."""

    replies: int
    input_tokens: float
    output_tokens: float
    least_input_tokens: int


def measured(store: VerdictStore) -> Measured | None:
    """What the series' replies took, by a sample of them; None if there are too few."""
    found = islice(store.sample(), MOST_MEASURED)
    used = [v.reply.usage for v in found if v.reply.usage.output_tokens]
    if len(used) < LEAST_MEASURED:
        return None
    inputs, outputs = [total_input(u) for u in used], [u.output_tokens for u in used]
    return Measured(len(used), median(inputs), median(outputs), min(inputs))


def least_input(known: int | None, usage: Usage) -> int | None:
    """The least input tokens after one more reply; a reply without a count says nothing."""
    total = total_input(usage)
    return min(total, known or total) if total else known


def prompt_tokens(size: RequestSize) -> int:
    """Input tokens of a request, estimated from its bytes."""
    return round((size.system_bytes + size.user_bytes) / BYTES_PER_TOKEN)


def at_most_usd(size: RequestSize, settings: ClaudeConfig, least_input: int | None = None) -> float:
    """The most that a request can cost, in US dollars.

    It assumes one token per byte, the dearer of the prices for new and for cache-written input, and
    a reply of `max_tokens`, which include thinking. `least_input`: the least input tokens of any
    reply of the series. The instructions, which all requests share, cannot have more.
    """
    prices = settings.usd_per_million_tokens
    shared = size.system_bytes if least_input is None else min(size.system_bytes, least_input)
    tokens = (shared + size.user_bytes) * max(prices.input, prices.cache_write)
    tokens += settings.max_tokens * prices.output
    return tokens / MILLION * (prices.batch_factor if settings.batched else 1.0)


def expected_usd(
    sizes: Iterable[RequestSize], settings: ClaudeConfig, known: Measured | None
) -> float:
    """What requests are likely to cost in US dollars if nothing is cached.

    By the medians of stored replies; without them, from the sizes and the thinking budget.
    """
    prices, total = settings.usd_per_million_tokens, 0.0
    thinking = settings.thinking if isinstance(settings.thinking, int) else 0
    for size in sizes:
        usage = Usage(
            prompt_tokens(size),
            REPLY_TOKENS + REPLY_TOKENS_PER_CRITERION * size.criteria + thinking,
        )
        if known is not None:
            usage = Usage(round(known.input_tokens), round(known.output_tokens))
        total += usd_of(prices, usage, settings.batched)
    return total


class Budget:
    """A hard limit in US dollars: a request is sent only if the most it can cost still fits.

    `spent_usd` includes replies that were lost and may have to be paid for. `open_usd`: the most
    that message batches without known results can cost.
    """

    def __init__(self, max_usd: float):
        self.max_usd = max_usd
        self.spent_usd = self.open_usd = 0.0
        self._reserved_usd = 0.0
        self._settled = asyncio.Event()

    async def reserve(self, usd: float, what: str = "request", advice: str = "") -> None:
        """Reserve a sum for a `what`. If needed, wait until other reservations are settled.

        Raises Stopped if the sum does not fit beside what is already spent.
        """
        while self.spent_usd + self.open_usd + self._reserved_usd + usd > self.max_usd:
            gone = self.spent_usd + self.open_usd
            if gone + usd > self.max_usd:
                raise Stopped(
                    f"max_usd: ${gone:.2f} of ${self.max_usd:g} are spent or bound, and the next "
                    f"{what} could cost ${usd:.3f}; raise judge.claude.max_usd{advice}"
                )
            self._settled.clear()
            await self._settled.wait()
        self._reserved_usd += usd

    def settle(self, reserved_usd: float, paid_usd: float, open_usd: float = 0.0) -> None:
        """Turn a reservation into a payment, of 0 if there certainly was no answer.

        `open_usd`: what a batch that a later run will read can still cost.
        """
        self._reserved_usd -= reserved_usd
        self.spent_usd += paid_usd
        self.open_usd += open_usd
        self._settled.set()
