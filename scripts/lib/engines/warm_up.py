"""The untimed first request of every shard: repetitive, so that every kind of speculation has something to draft."""

from __future__ import annotations

from scripts.lib.engines import Request

WARM_UP = Request(
    user="Repeat this line five times: one two three four five six seven eight nine ten one two three four five six",
    system="",
    thinking=False,
    temperature=0.0,
    top_p=1.0,
    seed=0,
    max_tokens=48,
    stop=(),
    timeout_s=600.0,
)
