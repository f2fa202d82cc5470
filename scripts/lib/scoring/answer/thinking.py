"""A model's output without its thinking."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from scripts.lib.scoring.answer.literal import LINE_CHARACTERS, Literal

_THINKING_TAGS = (
    *("think", "thinking", "thought", "thoughts", "reasoning", "reason"),
    *("scratchpad", "inner_monologue", "inner_thoughts", "analysis", "reflection", "seed:think"),
)
# How models mark their thinking: (opening, closing).
_THINKING = (
    *((f"<{name}>", f"</{name}>") for name in _THINKING_TAGS),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|thinking|>", "<|/thinking|>"),
    ("<|think|>", "<|/think|>"),
    ("<unused94>thought", "<unused95>"),
    ("<|channel>thought", "<channel|>"),
    ("<|channel|>analysis<|message|>", "<|end|>"),
)
_OPENING = {opening.lower(): kind for kind, (opening, _) in enumerate(_THINKING)}
_CLOSING = {closing.lower(): kind for kind, (_, closing) in enumerate(_THINKING)}
_TAG = re.compile(
    # The look-ahead makes the search faster.
    rf"(?=[<\[◁])(?:{'|'.join(re.escape(tag) for pair in _THINKING for tag in pair)})",
    re.IGNORECASE | re.ASCII,
)
# An answer of more blocks is garbage; the rest of it stays as it is.
_MOST_BLOCKS = 20
# Blocks inside a block are counted over at most this many marks.
_MOST_NESTED_MARKS = 200
# Harmony's channels if the special tokens were lost: `analysis…assistantfinalThe answer`.
_BARE_CHANNELS = re.compile(r"\Aanalysis.*?\bassistant\s?final(?=[\W\dA-Z])", re.DOTALL)
_HARMONY_CLOSING = re.compile(r"<\|end\|>|(?=<\|channel\|>final<\|message\|>)")
_HARMONY = len(_THINKING) - 1


def _is_json(text: str) -> bool:
    if text.strip()[:1] not in ("{", "["):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _family(kind: int | None) -> int | None:
    """One number for the kinds whose marks may end each other, as in `<think>…</thinking>`."""
    return 0 if kind is not None and kind < len(_THINKING_TAGS) else kind


def _kinds(mark: re.Match[str]) -> tuple[int | None, int | None]:
    """The kind that a mark opens, and the kind that it closes."""
    name = mark[0].lower()
    return _OPENING.get(name), _CLOSING.get(name)


def _block_end(
    text: str, marks: Sequence[re.Match[str]], number: int, literal: Literal, offset: int
) -> int:
    """Where the block of an opening mark ends: without a closing mark, at the text's end.

    Blocks inside it are part of it. A closing mark in code or quotes counts, too. If there are too
    few closing marks for all blocks, the first one that fits ends this block.
    """
    kind, after = _kinds(marks[number])[0], marks[number].end()
    if kind == _HARMONY:
        harmony = _HARMONY_CLOSING.search(text, after)
        return harmony.end() if harmony is not None else len(text)
    depth, previous = 1, marks[number]
    for mark in marks[number + 1 : number + 1 + _MOST_NESTED_MARKS]:
        opened, closed = map(_family, _kinds(mark))
        if opened == _family(kind) and not literal.holds(mark, open_fences=True, offset=offset):
            # An opening mark right after another one is the same one again.
            depth += bool(text[previous.end() : mark.start()].strip())
            previous = mark
        elif closed == _family(kind):
            depth -= 1
            previous = mark
        if depth == 0:
            return mark.end()
    following = [mark for mark in marks[number + 1 :] if _family(_kinds(mark)[1]) == _family(kind)]
    own = (mark for mark in following if _kinds(mark)[1] == kind)
    first = next(own, following[0] if following else None)
    return first.end() if first is not None else len(text)


def _begins_line(text: str, place: int) -> bool:
    before = text[max(0, place - LINE_CHARACTERS) : place].rstrip(" \t")
    return not before or before.endswith("\n")


def without_thinking(text: str) -> str:
    """The text without its thinking blocks.

    A block that is never closed takes the rest of the text. If the first mark is a closing one, the
    chat template opened the block, and all before the mark is removed. A later closing mark without
    a block is removed alone. Marks in code, in quotes and in JSON are text.
    """
    text = _BARE_CHANNELS.sub("", text)
    marks = list(_TAG.finditer(text))
    if not marks or _is_json(text):
        return text
    last_closing = {_family(_kinds(mark)[1]): mark.start() for mark in marks}
    kept: list[str] = []
    place, number, seen_block = 0, 0, False
    for _ in range(_MOST_BLOCKS):
        # Code and quotes are searched only in the rest: a fence in a block ends with the block.
        literal = Literal(text[place:])
        found = _first_tag(text, marks, number, literal, place, last_closing)
        if found is None:
            break
        opens = _kinds(marks[found])[0] is not None
        if opens or seen_block:
            kept.append(text[place : marks[found].start()])
        place = _block_end(text, marks, found, literal, place) if opens else marks[found].end()
        number = next(
            (n for n in range(found, len(marks)) if marks[n].start() >= place), len(marks)
        )
        seen_block = True
    if not seen_block:
        return text
    return "\n".join(piece.rstrip() for piece in (*kept, text[place:]) if piece.strip())


def _first_tag(
    text: str,
    marks: Sequence[re.Match[str]],
    number: int,
    literal: Literal,
    place: int,
    last_closing: Mapping[int | None, int],
) -> int | None:
    """The number of the first mark, from `number` on, that is not only quoted.

    An opening mark inside a line counts only if its block is closed.
    """
    for found in range(number, len(marks)):
        mark = marks[found]
        kind = _kinds(mark)[0]
        if mark[0] == "<|end|>" or literal.holds(mark, open_fences=kind is not None, offset=place):
            continue
        closed = kind is not None and last_closing.get(_family(kind), -1) > mark.start()
        begins = not text[place : mark.start()].strip() if found == number else False
        if kind is None or closed or kind == _HARMONY or begins or _begins_line(text, mark.start()):
            return found
    return None
