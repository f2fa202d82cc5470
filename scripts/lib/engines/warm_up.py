"""The untimed first requests of every shard: texts in which every speculator can draft."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from scripts.lib.engines.protocol import Request
from scripts.lib.planning.cell_record import Count, Counts, Measurement

SHORT_TOKENS, LONG_TOKENS, LONGEST_TOKENS = 12, 96, 384
_LINE = "one two three four five six seven eight nine ten"
WARM_UP = Request(
    user=f"Repeat this line many times: {_LINE} one two three four five six",
    system="",
    thinking=False,
    temperature=0.0,
    top_p=1.0,
    seed=0,
    max_tokens=SHORT_TOKENS,
    stop=(),
    timeout_s=600.0,
)
# If n-grams draft all of a repeated line, a head or a draft model is never asked: hence prose.
_PROSE = replace(WARM_UP, user="Describe a harbour in the morning.")
# n-grams draft if a text repeats itself: ngram-mod after 24 tokens that it knows, if it also knows
# the next 48. A model that thinks first does not repeat anything, so the engine forces the text.
_REPEATED = replace(
    WARM_UP,
    user=" ".join([WARM_UP.user, _LINE, _LINE]),
    max_tokens=LONG_TOKENS,
    forced=" ".join([_LINE] * 40),
)
_FURTHER = (_PROSE, _REPEATED, replace(_REPEATED, max_tokens=LONGEST_TOKENS))


def warm_up(generate: Callable[[Request], Measurement], speculators: Iterable[str]) -> Counts:
    """Run the whole path once, then again until every speculator has drafted; at most four times.

    Returns what each of `speculators` did.
    """
    counts = dict.fromkeys(speculators, Count())
    for request in (WARM_UP, *_FURTHER):
        measured = generate(request)
        for name in counts:
            counts[name] = counts[name].plus(measured.speculators.get(name, Count()))
        if all(count.drafts for count in counts.values()):
            break
    return counts
