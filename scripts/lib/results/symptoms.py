"""Symptoms of an answer, apart from being wrong: loops, echo, broken text, an early end, …."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from enum import StrEnum

from scripts.lib.base.untrusted_text import REPLACEMENT
from scripts.lib.planning.cell_record import CellRecord, Failure


class Symptom(StrEnum):
    """A defect of an answer, apart from being wrong."""

    LOOP = "repetition loop"
    ECHO = "prompt echo"
    EMPTY = "empty answer"
    GARBAGE = "broken text"
    SHORT = "ended early"
    GUARD = "guard"
    CRASH = "crash"


# Symptoms of a model that no longer writes meaningful language.
DEGENERATE = (Symptom.LOOP, Symptom.GARBAGE, Symptom.EMPTY)
# A loop: the answer ends in repeats of one piece. The piece has at most LONGEST_PIECE_TOKENS; there
# are at least LEAST_REPEATS, and LEAST_LOOP_TOKENS in all.
LONGEST_PIECE_TOKENS, LEAST_REPEATS, LEAST_LOOP_TOKENS = 100, 5, 32
# An answer that contains this many characters of the prompt's beginning is an echo.
ECHO_CHARACTERS = 200
# The share of replacement and control characters above which a text is broken.
GARBAGE_SHARE = 0.02
# The last token may cut a character, which leaves at most three replacement characters.
_CUT_OFF = re.compile(rf"{REPLACEMENT}{{1,3}}\Z")


def ends_in_loop(tokens: Sequence[int]) -> bool:
    """True if the answer's end repeats the same piece over and over."""
    for piece in range(1, LONGEST_PIECE_TOKENS + 1):
        length = max(LEAST_REPEATS * piece, LEAST_LOOP_TOKENS)
        if length > len(tokens):
            return False
        tail = tokens[-length:]
        if tail[piece:] == tail[:-piece]:
            return True
    return False


def is_echo(answer: str, prompt: str) -> bool:
    """True if the answer contains the prompt's beginning. With a short prompt, always False."""
    start = " ".join(prompt.split())[:ECHO_CHARACTERS]
    return len(start) == ECHO_CHARACTERS and start in " ".join(answer.split())


def _is_broken(character: str) -> bool:
    category = unicodedata.category(character)
    if category == "Cn":
        # Unicode keeps these blocks for pictographs, so emoji newer than this Python's tables are
        # not garbage.
        return not (
            "\U0001f000" <= character <= "\U0001faff" or "\U0001fc00" <= character <= "\U0001fffd"
        )
    return character == REPLACEMENT or (
        character not in "\n\r\t" and category in ("Cc", "Co", "Cs")
    )


def is_garbage(answer: str) -> bool:
    """True if more than GARBAGE_SHARE of the characters are broken (replacement, control, …).

    Up to three replacement characters at the end of other text do not count.
    """
    text = answer.rstrip(" \t\r\n")
    text = _CUT_OFF.sub("", text) or text
    return sum(map(_is_broken, text)) > GARBAGE_SHARE * max(len(text), 1)


def is_short(record: CellRecord) -> bool:
    """True if the model ended its answer with fewer tokens than the spec's `min_tokens`."""
    measured, least = record.measurement, record.spec.get("sampling", {}).get("min_tokens")
    if measured is None or least is None or measured.finish_reason != "stop":
        return False
    return measured.completion_tokens < int(least)


def symptoms(record: CellRecord, prompt: str) -> tuple[Symptom, ...]:
    """The symptoms of a stored cell, in a fixed order; none for a healthy one."""
    if record.status == "error":
        return (Symptom.GUARD if record.failure is Failure.GUARD else Symptom.CRASH,)
    measured = record.measurement
    if measured is None:
        return ()
    shown = {
        Symptom.EMPTY: not measured.answer.strip(),
        Symptom.LOOP: ends_in_loop(measured.token_ids),
        Symptom.ECHO: is_echo(measured.answer, prompt),
        Symptom.GARBAGE: is_garbage(measured.answer),
        Symptom.SHORT: is_short(record),
    }
    return tuple(symptom for symptom, is_shown in shown.items() if is_shown)
