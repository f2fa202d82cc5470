"""What judging costs: prices, estimates, and a hard limit that is checked before each request."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from scripts.lib.judging.protocol import Stopped
from scripts.lib.scoring.judge_prompt import SYSTEM
from scripts.lib.scoring.series import Usage
from scripts.lib.settings.judge_config import Prices

MILLION = 1_000_000
# For estimates: characters per token (low, so that tokens are not underestimated), and the output
# tokens of a reply: a fixed number, and a number per criterion.
CHARACTERS_PER_TOKEN = 3.2
REPLY_TOKENS, REPLY_TOKENS_PER_CRITERION = 90, 110


def usd_of(prices: Prices, usage: Usage, batched: bool = False) -> float:
    """The price of one reply in US dollars."""
    tokens = (
        usage.input_tokens * prices.input
        + usage.output_tokens * prices.output
        + usage.cache_write_tokens * prices.cache_write
        + usage.cache_read_tokens * prices.cache_read
    )
    return tokens / MILLION * (prices.batch_factor if batched else 1.0)


def prompt_tokens(user: str | int) -> int:
    """Estimated input tokens of a request, system prompt included.

    `user`: the user text, or its number of characters.
    """
    characters = user if isinstance(user, int) else len(user)
    return round((len(SYSTEM) + characters) / CHARACTERS_PER_TOKEN)


def at_most_usd(prices: Prices, user: str | int, max_tokens: int, batched: bool) -> float:
    """The most that a request can cost, in US dollars.

    It assumes one token per byte, the dearer of the prices for new and for cache-written input, and
    a reply of `max_tokens`. `user`: the user text, or its size in bytes.
    """
    dearest = max(prices.input, prices.cache_write)
    most = user if isinstance(user, int) else len(user.encode())
    tokens = (len(SYSTEM.encode()) + most) * dearest + max_tokens * prices.output
    return tokens / MILLION * (prices.batch_factor if batched else 1.0)


def expected_usd(prices: Prices, requests: Iterable[tuple[int, int]], batched: bool) -> float:
    """What requests are likely to cost in US dollars if nothing is cached.

    `requests`: (characters of the user text, number of criteria) of each.
    """
    total = 0.0
    for characters, criteria in requests:
        reply = REPLY_TOKENS + REPLY_TOKENS_PER_CRITERION * criteria
        total += usd_of(prices, Usage(prompt_tokens(characters), reply), batched)
    return total


class Budget:
    """A hard limit in US dollars: a request is sent only if the most it can cost still fits."""

    def __init__(self, max_usd: float):
        self.max_usd = max_usd
        self.spent_usd = 0.0
        self._reserved_usd = 0.0
        self._settled = asyncio.Event()

    async def reserve(self, usd: float) -> None:
        """Reserve a sum. If needed, wait until other reservations are settled.

        Raises Stopped if the sum does not fit beside what is already spent.
        """
        while self.spent_usd + self._reserved_usd + usd > self.max_usd:
            if self.spent_usd + usd > self.max_usd:
                raise Stopped(
                    f"max_usd: ${self.spent_usd:.2f} of ${self.max_usd:g} are spent, and the next "
                    f"request could cost ${usd:.3f}; raise judge.claude.max_usd and run again"
                )
            self._settled.clear()
            await self._settled.wait()
        self._reserved_usd += usd

    def settle(self, reserved_usd: float, paid_usd: float) -> None:
        """Turn a reservation into a payment, of 0 if there certainly was no answer."""
        self._reserved_usd -= reserved_usd
        self.spent_usd += paid_usd
        self._settled.set()
