"""What judging costs: prices, a hard limit that is checked before a request is sent, and the estimate shown beforehand."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from scripts.lib.judging.protocol import Stopped
from scripts.lib.scoring.judge_prompt import SYSTEM
from scripts.lib.scoring.series import Usage
from scripts.lib.settings.judge_config import Prices

MILLION = 1_000_000
# For estimates: characters a token (low, so that tokens are not underestimated), and the output
# tokens of a reply: a frame and so many a criterion.
CHARACTERS_PER_TOKEN = 3.2
REPLY_TOKENS, REPLY_TOKENS_PER_CRITERION = 90, 110


def usd_of(prices: Prices, usage: Usage, batched: bool = False) -> float:
    """The price of one reply."""
    tokens = (
        usage.input_tokens * prices.input
        + usage.output_tokens * prices.output
        + usage.cache_write_tokens * prices.cache_write
        + usage.cache_read_tokens * prices.cache_read
    )
    return tokens / MILLION * (prices.batch_factor if batched else 1.0)


def prompt_tokens(user: str | int) -> int:
    """Estimated input tokens of a request with that user text (or that many characters of it), the system prompt included."""
    characters = user if isinstance(user, int) else len(user)
    return round((len(SYSTEM) + characters) / CHARACTERS_PER_TOKEN)


def at_most_usd(prices: Prices, user: str | int, max_tokens: int, batched: bool) -> float:
    """What a request can cost at most: a token per byte, nothing cached, the prompt written to the cache, a full reply."""
    dearest = max(prices.input, prices.cache_write)
    most = user if isinstance(user, int) else len(user.encode())
    tokens = (len(SYSTEM.encode()) + most) * dearest + max_tokens * prices.output
    return tokens / MILLION * (prices.batch_factor if batched else 1.0)


def expected_usd(prices: Prices, requests: Iterable[tuple[int, int]], batched: bool) -> float:
    """What requests of (characters of the user text, criteria) are likely to cost, nothing cached."""
    total = 0.0
    for characters, criteria in requests:
        reply = REPLY_TOKENS + REPLY_TOKENS_PER_CRITERION * criteria
        total += usd_of(prices, Usage(prompt_tokens(characters), reply), batched)
    return total


class Budget:
    """A hard limit in US dollars: a request is sent only when the most that it can cost still fits."""

    def __init__(self, max_usd: float):
        self.max_usd = max_usd
        self.spent_usd = 0.0
        self._reserved_usd = 0.0
        self._settled = asyncio.Event()

    async def reserve(self, usd: float) -> None:
        """Set so much aside, once what others set aside is settled and leaves enough. Raises Stopped where it cannot."""
        while self.spent_usd + self._reserved_usd + usd > self.max_usd:
            if self.spent_usd + usd > self.max_usd:
                raise Stopped(
                    f"max_usd: ${self.spent_usd:.2f} of ${self.max_usd:g} are spent, and what is next could cost "
                    f"${usd:.3f}; raise judge.claude.max_usd and run again"
                )
            self._settled.clear()
            await self._settled.wait()
        self._reserved_usd += usd

    def settle(self, reserved_usd: float, paid_usd: float) -> None:
        """What was set aside has become a payment (0 where nothing was answered)."""
        self._reserved_usd -= reserved_usd
        self.spent_usd += paid_usd
        self._settled.set()
