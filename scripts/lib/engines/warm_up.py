"""The untimed first request of every shard, so repetitive that every speculation can draft."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from scripts.lib.engines.protocol import Request
from scripts.lib.planning.cell_record import Measurement

SHORT_TOKENS, LONG_TOKENS = 12, 96
WARM_UP = Request(
    user="Repeat this line five times: "
    "one two three four five six seven eight nine ten one two three four five six",
    system="",
    thinking=False,
    temperature=0.0,
    top_p=1.0,
    seed=0,
    max_tokens=SHORT_TOKENS,
    stop=(),
    timeout_s=600.0,
)


def warm_up(generate: Callable[[Request], Measurement], speculative: bool) -> int:
    """Run the whole path once; returns the tokens drafted.

    A speculative mode that drafted nothing tries again with a longer answer.
    """
    drafted = generate(WARM_UP).drafted_tokens
    if speculative and not drafted:
        drafted = generate(replace(WARM_UP, max_tokens=LONG_TOKENS)).drafted_tokens
    return drafted
