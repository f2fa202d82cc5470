"""A model's own turn of a chat, without the markers around it and turns that it invented."""

from __future__ import annotations

import re

from scripts.lib.scoring.answer.literal import Literal

# Where a turn of the chat ends, and where another speaker's or the model's own turn begins.
_BAR = r"(?:\||｜)"
_TURN_END = (
    rf"<{_BAR}(?:im_end|endoftext|end_of_text|eot_id|eom_id|end|return|end_of_turn|eos|call"
    rf"|END_OF_TURN_TOKEN"
    rf"|END_RESPONSE|end_of_solution|end▁of▁sentence){_BAR}>"
    r"|<end_of_turn>|<turn\|>|</s>|<eos>|<pad>|\[EOS\]"
)
_OTHER_TURN = (
    rf"<{_BAR}im_start{_BAR}>\s*(?:user|system|tool)\b"
    rf"|<{_BAR}start_header_id{_BAR}>\s*(?:user|system|tool|ipython)\b"
    r"|<start_of_turn>\s*user\b"
    rf"|<{_BAR}start{_BAR}>\s*(?:user|system|developer)\b"
    rf"|<{_BAR}(?:user|system|User){_BAR}>"
    r"|\[INST\]|^### (?:Instruction|Human|User):"
)
# The line's end and blank lines, without the indentation of the text after them: it may be code.
_LINE_END = r"(?:[ \t]*\n)*"
_OWN_TURN = (
    rf"<{_BAR}im_start{_BAR}>(?:\s*assistant\b)?{_LINE_END}"
    rf"|<{_BAR}start_header_id{_BAR}>\s*assistant\s*<{_BAR}end_header_id{_BAR}>"
    rf"|<start_of_turn>\s*model\b{_LINE_END}"
    rf"|(?:<{_BAR}start{_BAR}>\s*assistant\s*)?"
    rf"<{_BAR}channel{_BAR}>(?:final|commentary)\s*<{_BAR}message{_BAR}>"
    rf"|<{_BAR}start{_BAR}>\s*assistant\b"
    rf"|<{_BAR}(?:assistant|Assistant|begin_of_solution|begin_of_text|START_RESPONSE"
    rf"|begin▁of▁sentence){_BAR}>"
    r"|\[/INST\]"
)
_MARKER = re.compile(
    # The look-ahead makes the search faster.
    rf"(?=[<\[#])(?:(?P<end>{_TURN_END})|(?P<other>{_OTHER_TURN})|(?P<own>{_OWN_TURN}))",
    re.MULTILINE,
)
_FIRST_TOKEN = re.compile(r"\s*(?:<s>\s*)+")
# Another speaker's turn and the reply to it, if the special tokens were lost.
_BARE_TURN = re.compile(r"\n[ \t]*\n(?:Human|User):|\nuser[ \t]*\n(?=[^\n]*\S[ \t]+\S)")
_BARE_REPLY = re.compile(r"^(?:(?:Assistant|AI):|assistant[ \t]*$)", re.MULTILINE)
_BARE_SPEAKER = re.compile(r"^(?:(?:Human|User):|user[ \t]*$)", re.MULTILINE)


def own_turn(text: str) -> str:
    """The model's own turn, without the markers before it.

    What follows its end belongs to another speaker.
    """
    first_token = _FIRST_TOKEN.match(text)
    if first_token is not None and _begins_sequence(text, first_token.end()):
        text = text[first_token.end() :]
    literal = Literal(text)
    struck_out = text.find("<s>")
    kept: list[str] = []
    place, has_text = 0, False
    for mark in _MARKER.finditer(text):
        if literal.holds(mark, open_fences=False) or (
            mark[0] == "</s>" and 0 <= struck_out < mark.start()
        ):
            continue
        piece = text[place : mark.start()]
        kept.append(piece)
        place, has_text = mark.end(), has_text or bool(piece.strip())
        if has_text and mark["own"] is None:
            return "".join(kept)
    return "".join((*kept, text[place:]))


def _begins_sequence(text: str, place: int) -> bool:
    """Whether `<s>` is a special token: `</s>` inside a line would mark struck-out text."""
    end = text.find("</s>", place)
    return end < 0 or not text[end + len("</s>") :].split("\n", 1)[0].strip(" \t")


def without_bare_turns(text: str) -> str:
    """The text without another speaker's turn and the reply to it, which no special tokens mark.

    A dialogue that is the answer itself stays: it begins with a speaker, or follows a colon.
    """
    turn = _BARE_TURN.search(text)
    if turn is None:
        return text
    before = text[: turn.start()].rstrip()
    if not before.strip() or before.endswith((":", ":**")) or _BARE_SPEAKER.search(before):
        return text
    if _BARE_REPLY.search(text, turn.end()) is None or Literal(text).holds(turn, open_fences=True):
        return text
    return before
