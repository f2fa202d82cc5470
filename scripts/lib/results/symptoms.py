"""What is wrong with an answer besides being wrong: loops, echo, nothing at all, broken text, a mode that was not on."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from scripts.lib.base.untrusted_text import REPLACEMENT
from scripts.lib.planning.cell_record import CellRecord, Failure

LOOP, ECHO, EMPTY, GARBAGE, GUARD, CRASH = (
    "repetition loop",
    "prompt echo",
    "empty answer",
    "broken text",
    "guard",
    "crash",
)
# What an answer shows that a model was driven too far: it is no longer language about the question.
DEGENERATE = (LOOP, GARBAGE, EMPTY)
# A loop: the answer's end is one piece, at most this many tokens long, at least so many times and
# tokens in a row.
LONGEST_PIECE_TOKENS, LEAST_REPEATS, LEAST_LOOP_TOKENS = 100, 5, 32
# The prompt's beginning, as long as this, found in the answer is an echo.
ECHO_CHARACTERS = 200
# Replacement and control characters above this share of the text.
GARBAGE_SHARE = 0.02
# The last token may cut one character in two. What is left of it is at most three replacement
# characters.
_CUT_OFF = re.compile(rf"{REPLACEMENT}{{1,3}}\Z")


def ends_in_loop(tokens: Sequence[int]) -> bool:
    """True when the last tokens are the same piece over and over."""
    for piece in range(1, LONGEST_PIECE_TOKENS + 1):
        length = max(LEAST_REPEATS * piece, LEAST_LOOP_TOKENS)
        if length > len(tokens):
            return False
        tail = tokens[-length:]
        if tail[piece:] == tail[:-piece]:
            return True
    return False


def is_echo(answer: str, prompt: str) -> bool:
    """True when the answer holds the beginning of the prompt; a shorter prompt is too easily quoted."""
    start = " ".join(prompt.split())[:ECHO_CHARACTERS]
    return len(start) == ECHO_CHARACTERS and start in " ".join(answer.split())


def _is_broken(character: str) -> bool:
    category = unicodedata.category(character)
    if category == "Cn":
        # Unicode keeps these blocks for pictographs: emoji newer than this Python's tables are no
        # garbage.
        return not (
            "\U0001f000" <= character <= "\U0001faff" or "\U0001fc00" <= character <= "\U0001fffd"
        )
    return character == REPLACEMENT or (
        character not in "\n\r\t" and category in ("Cc", "Co", "Cs")
    )


def is_garbage(answer: str) -> bool:
    """True when more than a few of the characters are replacement, control, unassigned or private ones.

    Up to three replacement characters after other text, at the very end, are forgiven.
    """
    text = answer.rstrip(" \t\r\n")
    text = _CUT_OFF.sub("", text) or text
    return sum(map(_is_broken, text)) > GARBAGE_SHARE * max(len(text), 1)


def symptoms(record: CellRecord, prompt: str) -> tuple[str, ...]:
    """The symptoms that a stored cell shows, in a fixed order; none for a healthy one."""
    if record.status == "error":
        return (GUARD,) if record.failure is Failure.GUARD else (CRASH,)
    measured = record.measurement
    if measured is None:
        return ()
    found = [EMPTY] if not measured.answer.strip() else []
    found += [LOOP] if ends_in_loop(measured.token_ids) else []
    found += [ECHO] if is_echo(measured.answer, prompt) else []
    found += [GARBAGE] if is_garbage(measured.answer) else []
    return tuple(found)
