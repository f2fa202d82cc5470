"""The answer itself: a model's output without what surrounds it.

Thinking, chat markers, terminal escapes and an echo of the prompt are taken off.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

# Checks read at most this much of an answer, so that none can stall them. A longer one is garbage by any
# measure.
MOST_CHARACTERS = 200_000
# A shorter common beginning of prompt and answer may be chance.
ECHO_CHARACTERS = 200
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07\x1b]{0,1000}(?:\x07|\x1b\\)")
# Direction overrides, zero-width characters and controls. A reader cannot see them, so they decide nothing.
_INVISIBLE = re.compile(
    "[\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\x00-\x08\x0b\x0c\x0e-\x1f]",
)

_THINKING_TAGS = (
    *("think", "thinking", "thought", "thoughts", "reasoning", "reason"),
    *("scratchpad", "inner_monologue", "seed:think"),
)
# How models mark their thinking: (opening, closing).
_THINKING = (
    *((f"<{name}>", f"</{name}>") for name in _THINKING_TAGS),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|thinking|>", "<|/thinking|>"),
    ("<unused94>thought", "<unused95>"),
    ("<|channel>thought", "<channel|>"),
    ("<|channel|>analysis<|message|>", "<|end|>"),
)
_OPENING = {opening.lower(): kind for kind, (opening, _) in enumerate(_THINKING)}
_CLOSING = {closing.lower(): kind for kind, (_, closing) in enumerate(_THINKING)}
_TAG = re.compile("|".join(re.escape(tag) for pair in _THINKING for tag in pair), re.IGNORECASE | re.ASCII)
# An answer of more blocks is garbage; the rest of it stays as it is.
_MOST_BLOCKS = 20
# Harmony's channels where the marks of the special tokens were lost: `analysis…assistantfinalThe answer`.
_BARE_CHANNELS = re.compile(r"\Aanalysis.*?\bassistant\s?final(?=[\W\dA-Z])", re.DOTALL)
_HARMONY_CLOSING = re.compile(r"<\|end\|>|(?=<\|channel\|>final<\|message\|>)")
_HARMONY = len(_THINKING) - 1

# Where a turn of the chat ends, and where another speaker's or the model's own turn begins.
_BAR = r"(?:\||｜)"
_TURN_END = (
    rf"<{_BAR}(?:im_end|endoftext|end_of_text|eot_id|eom_id|end|return|end_of_turn|eos|call|END_OF_TURN_TOKEN"
    rf"|END_RESPONSE|end_of_solution|end▁of▁sentence){_BAR}>"
    r"|<end_of_turn>|<turn\|>|</s>"
)
_OTHER_TURN = (
    rf"<{_BAR}im_start{_BAR}>\s*(?:user|system|tool)\b"
    rf"|<{_BAR}start_header_id{_BAR}>\s*(?:user|system|tool|ipython)\b"
    r"|<start_of_turn>\s*user\b"
    rf"|<{_BAR}start{_BAR}>\s*(?:user|system|developer)\b"
    rf"|<{_BAR}(?:user|system|User){_BAR}>"
    r"|\[INST\]|^### (?:Instruction|Human|User):"
)
_OWN_TURN = (
    rf"<{_BAR}im_start{_BAR}>\s*(?:assistant\b\s*)?"
    rf"|<{_BAR}start_header_id{_BAR}>\s*assistant\s*<{_BAR}end_header_id{_BAR}>"
    r"|<start_of_turn>\s*model\b\s*"
    rf"|(?:<{_BAR}start{_BAR}>\s*assistant\s*)?"
    rf"<{_BAR}channel{_BAR}>(?:final|commentary)\s*<{_BAR}message{_BAR}>"
    rf"|<{_BAR}start{_BAR}>\s*assistant\b"
    rf"|<{_BAR}(?:assistant|Assistant|begin_of_solution|begin_of_text|START_RESPONSE"
    rf"|begin▁of▁sentence){_BAR}>"
    r"|\[/INST\]"
)
_MARKER = re.compile(
    # The look-ahead is there for speed alone.
    rf"(?=[<\[#])(?:(?P<end>{_TURN_END})|(?P<other>{_OTHER_TURN})|(?P<own>{_OWN_TURN}))",
    re.MULTILINE,
)
_FENCE = re.compile(r"^[ \t]*(?:[-*+>]|\d+[.)])?[ \t]*(?P<fence>`{3,}|~{3,})", re.MULTILINE)
_CODE_SPAN = re.compile(r"(?<!`)(`{1,2})(?!`)[^`\n]+\1(?!`)")
_WORD = re.compile(r"\S+")
_PHRASE_END = re.compile(r"[.?!:\"')\]}`|]$")
_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "«": "»", "`": "`"}


def _fences(text: str) -> Iterator[tuple[int, int, bool]]:
    """(start, end, closed) of each fenced block.

    This is enough to tell code from prose; `fences.py` reads the code itself.
    """
    opening: re.Match[str] | None = None
    for mark in _FENCE.finditer(text):
        fence = mark["fence"]
        if opening is None:
            opening = mark
        elif fence[0] == opening["fence"][0] and len(fence) >= len(opening["fence"]):
            yield opening.start(), mark.end(), True
            opening = None
    if opening is not None:
        yield opening.start(), len(text), False


class _Literal:
    """The places of a text where a tag is only written about: in code, in quotes, in a JSON string."""

    def __init__(self, text: str):
        self._text = text
        self._fences = list(_fences(text)) if "```" in text or "~~~" in text else []
        self._spans = [match.span() for match in _CODE_SPAN.finditer(text)] if "`" in text else []

    def holds(self, tag: re.Match[str], open_fences: bool) -> bool:
        """Whether a tag is only written about.

        A fence that is never closed counts where `open_fences` is set.
        """
        start, end = tag.span()
        if any(first < start < last and (closed or open_fences) for first, last, closed in self._fences):
            return True
        if any(first < start and end < last for first, last in self._spans):
            return True
        closing_quote = _QUOTES.get(self._text[start - 1 : start])
        if closing_quote is not None and self._text.startswith(closing_quote, end):
            return True
        return self._in_json_string(start)

    def _in_json_string(self, place: int) -> bool:
        """Whether a place stands after `"key": "` and before the quote that ends the string."""
        line = self._text[max(self._text.rfind("\n", 0, place) + 1, place - 500) : place]
        return '": "' in line and line.replace('\\"', "").count('"') % 2 == 1


def _is_json(text: str) -> bool:
    if text.strip()[:1] not in ("{", "["):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _closing(text: str, kind: int, place: int) -> re.Match[str] | None:
    """The mark that ends a thinking block; None where it is missing. A mark in code or quotes counts too."""
    if kind == _HARMONY:
        return _HARMONY_CLOSING.search(text, place)
    return next((mark for mark in _TAG.finditer(text, place) if _CLOSING.get(mark[0].lower()) == kind), None)


def _begins_line(text: str, place: int) -> bool:
    return not text[text.rfind("\n", 0, place) + 1 : place].strip()


def without_thinking(text: str) -> str:
    """The text without its thinking blocks.

    A block that is never closed takes the rest of the text with it. If the first mark is a closing one, the
    chat template opened its block, and all before it goes. Later closing marks without a block are stray:
    only they go. Marks in code, in quotes and in JSON are text.
    """
    text = _BARE_CHANNELS.sub("", text)
    if not _TAG.search(text) or _is_json(text):
        return text
    kept: list[str] = []
    seen_block = False
    for _ in range(_MOST_BLOCKS):
        mark = _first_tag(text)
        if mark is None:
            break
        kind, before = _OPENING.get(mark[0].lower()), text[: mark.start()]
        if kind is None:
            if seen_block:
                kept.append(before)
            text = text[mark.end() :]
        else:
            closing = _closing(text, kind, mark.end())
            kept.append(before)
            text = text[closing.end() :] if closing is not None else ""
        seen_block = True
    if not seen_block:
        return text
    return "\n".join(piece.rstrip() for piece in (*kept, text) if piece.strip())


def _first_tag(text: str) -> re.Match[str] | None:
    """The first mark of thinking that is not only written about.

    An opening mark inside a line counts only where its block is closed.
    """
    marks = list(_TAG.finditer(text))
    if not marks:
        return None
    literal = _Literal(text)
    last_closing = {_CLOSING.get(mark[0].lower()): mark.start() for mark in marks}
    for mark in marks:
        kind = _OPENING.get(mark[0].lower())
        if mark[0] == "<|end|>" or literal.holds(mark, open_fences=kind is not None):
            continue
        closed = kind is not None and last_closing.get(kind, -1) > mark.start()
        if kind is None or closed or kind == _HARMONY or _begins_line(text, mark.start()):
            return mark
    return None


def _one_turn(text: str) -> str:
    """The model's own turn, without the marks before it. What follows its end belongs to another speaker."""
    literal: _Literal | None = None
    kept, place = "", 0
    for mark in _MARKER.finditer(text):
        literal = literal or _Literal(text)
        if literal.holds(mark, open_fences=False) or (mark[0] == "</s>" and "<s>" in text):
            continue
        kept += text[place : mark.start()]
        place = mark.end()
        if kept.strip() and mark["own"] is None:
            return kept
    return kept + text[place:]


def written(answer: str) -> str:
    """The model's own turn without thinking, chat markers and what cannot be seen.

    An echo of the prompt stays. Only the first MOST_CHARACTERS of the output are read.
    """
    visible = _INVISIBLE.sub("", _ANSI.sub("", answer[:MOST_CHARACTERS]))
    return _one_turn(without_thinking(visible))


def clean(answer: str, prompt: str) -> str:
    """The answer itself: what the model wrote, without an echo of the prompt."""
    return without_echo(written(answer), prompt)


def without_echo(text: str, prompt: str) -> str:
    """A text without the prompt that it begins with. Only what follows such an echo is the answer.

    Echoes are common: 79 % of the answers of one archive began with the prompt.
    """
    text, prompt = text.strip(), _INVISIBLE.sub("", prompt).strip()
    if not prompt or not text:
        return text
    if text.startswith(prompt):
        return text[len(prompt) :].strip()
    # Most answers differ from the prompt in their first word already.
    if text[:20].split()[:1] != prompt[:20].split()[:1]:
        return text
    given, asked = list(_WORD.finditer(text)), list(_WORD.finditer(prompt))
    common = _common_words(given, asked)
    end = given[common - 1].end() if common else 0
    if end < ECHO_CHARACTERS:
        return text
    if common == len(given) or _is_cut_off(given, asked, common):
        return ""
    # The echo's last words may be the answer's first ones: go back to the last whole sentence of the prompt.
    while common > 1 and not _PHRASE_END.search(given[common - 1][0]):
        common -= 1
    return text[given[common - 1].end() if common > 1 else end :].strip()


def _common_words(given: Sequence[re.Match[str]], asked: Sequence[re.Match[str]]) -> int:
    """The number of words at the beginning of two texts that are the same."""
    count = 0
    for mine, theirs in zip(given, asked, strict=False):
        if mine[0] != theirs[0]:
            break
        count += 1
    return count


def _is_cut_off(given: Sequence[re.Match[str]], asked: Sequence[re.Match[str]], common: int) -> bool:
    """Whether a text ends inside the first word of the prompt that it does not share."""
    if common != len(given) - 1 or common >= len(asked):
        return False
    return asked[common][0].startswith(given[common][0])
