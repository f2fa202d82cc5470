"""The untimed first requests of every shard: texts in which every speculator can draft."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from scripts.lib.engines.protocol import Request
from scripts.lib.planning.cell_record import Count, Counts, Measurement

SHORT_TOKENS, LONG_TOKENS, LONGEST_TOKENS = 12, 96, 384
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
# Where n-grams draft all of a repeated line, a head or a draft model is never asked.
PROSE = replace(WARM_UP, user="Describe a harbour in the morning.", max_tokens=SHORT_TOKENS)
# n-grams match once the answer repeats itself: ngram-mod after 24 tokens, and it drafts 48.
_FURTHER = (
    PROSE,
    replace(WARM_UP, max_tokens=LONG_TOKENS),
    replace(WARM_UP, user=WARM_UP.user.replace("five", "thirty", 1), max_tokens=LONGEST_TOKENS),
)


def warm_up(generate: Callable[[Request], Measurement], speculators: Iterable[str]) -> Counts:
    """Run the whole path once, and then again until every speculator has drafted.

    Returns what each of `speculators` did. There are at most four requests.
    """
    counts = dict.fromkeys(speculators, Count())
    for request in (WARM_UP, *_FURTHER):
        measured = generate(request)
        for name in counts:
            counts[name] = counts[name].plus(measured.speculators.get(name, Count()))
        if all(count.drafts for count in counts.values()):
            break
    return counts
