"""The answer itself: a model's output without what surrounds it.

Thinking, chat markers, terminal escapes and an echo of the prompt are removed.
"""

from __future__ import annotations

import re

from scripts.lib.scoring.answer.echo import after_prompt
from scripts.lib.scoring.answer.thinking import without_thinking
from scripts.lib.scoring.answer.turns import own_turn, without_bare_turns

# Checks read no more of an answer, so that none can stall them. A longer answer is garbage.
MOST_CHARACTERS = 200_000
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07\x1b]{0,1000}(?:\x07|\x1b\\)")
# Direction overrides, zero-width characters and controls: a reader cannot see them.
_INVISIBLE = re.compile(
    "[\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\x00-\x08\x0b\x0c\x0e-\x1f]",
)


def written(answer: str) -> str:
    """The model's own turn without thinking, chat markers and invisible characters.

    An echo of the prompt stays. Only the first MOST_CHARACTERS of the output are read.
    """
    visible = _INVISIBLE.sub("", _ANSI.sub("", answer[:MOST_CHARACTERS]))
    return without_bare_turns(own_turn(without_thinking(visible)))


def without_echo(text: str, prompt: str) -> str:
    """A text without the prompt at its beginning: only what follows such an echo is the answer."""
    return after_prompt(text, _INVISIBLE.sub("", prompt))


def clean(answer: str, prompt: str) -> str:
    """The answer itself: what the model wrote, without an echo of the prompt."""
    return without_echo(written(answer), prompt)
