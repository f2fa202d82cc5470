"""The answer proper: a model's output without thinking, chat markers, terminal escapes and an echo of the prompt."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

# A longer answer is garbage by any measure. Checks look at this much of it, so that no answer can stall them.
MOST_CHARACTERS = 200_000
# A shorter common beginning of prompt and answer may be chance.
ECHO_CHARACTERS = 200
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07\x1b]{0,1000}(?:\x07|\x1b\\)")
# Direction overrides, zero-width characters and controls: what a reader cannot see decides nothing.
_INVISIBLE = re.compile("[\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\x00-\x08\x0b\x0c\x0e-\x1f]")

# How models mark their thinking: (opening, closing).
_THINKING = (
    *((f"<{name}>", f"</{name}>") for name in ("think", "thinking", "thought", "thoughts", "reasoning", "reason")),
    *((f"<{name}>", f"</{name}>") for name in ("scratchpad", "inner_monologue", "seed:think")),
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
# An answer of more blocks is garbage: what is left of it stays as it is.
_MOST_BLOCKS = 20
# Harmony's channels where the tokens' marks were lost: `analysis…assistantfinalThe answer`.
_BARE_CHANNELS = re.compile(r"\Aanalysis.*?\bassistant\s?final(?=[\W\dA-Z])", re.DOTALL)
_HARMONY_CLOSING = re.compile(r"<\|end\|>|(?=<\|channel\|>final<\|message\|>)")
_HARMONY = len(_THINKING) - 1

# Where a turn of the chat ends, and where one of somebody else's begins.
_BAR = r"(?:\||｜)"
_TURN_END = (
    rf"<{_BAR}(?:im_end|endoftext|end_of_text|eot_id|eom_id|end|return|end_of_turn|eos|call|END_OF_TURN_TOKEN|END_RESPONSE"
    rf"|end_of_solution|end▁of▁sentence){_BAR}>|<end_of_turn>|<turn\|>|</s>"
)
_OTHER_TURN = (
    rf"<{_BAR}im_start{_BAR}>\s*(?:user|system|tool)\b|<{_BAR}start_header_id{_BAR}>\s*(?:user|system|tool|ipython)\b|<start_of_turn>\s*user\b"
    rf"|<{_BAR}start{_BAR}>\s*(?:user|system|developer)\b|<{_BAR}(?:user|system|User){_BAR}>|\[INST\]|^### (?:Instruction|Human|User):"
)
_OWN_TURN = (
    rf"<{_BAR}im_start{_BAR}>\s*(?:assistant\b\s*)?|<{_BAR}start_header_id{_BAR}>\s*assistant\s*<{_BAR}end_header_id{_BAR}>|<start_of_turn>\s*model\b\s*"
    rf"|(?:<{_BAR}start{_BAR}>\s*assistant\s*)?<{_BAR}channel{_BAR}>(?:final|commentary)\s*<{_BAR}message{_BAR}>|<{_BAR}start{_BAR}>\s*assistant\b"
    rf"|<{_BAR}(?:assistant|Assistant|begin_of_solution|begin_of_text|START_RESPONSE|begin▁of▁sentence){_BAR}>|\[/INST\]"
)
_MARKER = re.compile(rf"(?=[<\[#])(?:(?P<end>{_TURN_END})|(?P<other>{_OTHER_TURN})|(?P<own>{_OWN_TURN}))", re.MULTILINE)
_FENCE = re.compile(r"^[ \t]*(?:[-*+>]|\d+[.)])?[ \t]*(?P<fence>`{3,}|~{3,})", re.MULTILINE)
_CODE_SPAN = re.compile(r"(?<!`)(`{1,2})(?!`)[^`\n]+\1(?!`)")
_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "«": "»", "`": "`"}


def _fences(text: str) -> Iterator[tuple[int, int, bool]]:
    """(start, end, closed) of each fenced block: enough to tell code from prose; the code itself is read by a parser."""
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
    """Tells places of a text where a tag is spoken of (in code, in quotes) from those where it is one."""

    def __init__(self, text: str):
        self._text = text
        self._fences = list(_fences(text)) if "```" in text or "~~~" in text else []
        self._spans = [match.span() for match in _CODE_SPAN.finditer(text)] if "`" in text else []

    def holds(self, match: re.Match[str], open_fences: bool) -> bool:
        start, end = match.span()
        if any(a < start < b and (closed or open_fences) for a, b, closed in self._fences):
            return True
        if any(a < start and end < b for a, b in self._spans):
            return True
        closing = _QUOTES.get(self._text[start - 1 : start])
        if closing is not None and self._text.startswith(closing, end):
            return True
        # In a string of JSON: behind `"key": "`, before the quote that ends it.
        line = self._text[max(self._text.rfind("\n", 0, start) + 1, start - 500) : start]
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
    """The mark that ends a thinking block; what stands in the block (code, quotes) makes no difference."""
    if kind == _HARMONY:
        return _HARMONY_CLOSING.search(text, place)
    return next((mark for mark in _TAG.finditer(text, place) if _CLOSING.get(mark[0].lower()) == kind), None)


def _begins_line(text: str, place: int) -> bool:
    return not text[text.rfind("\n", 0, place) + 1 : place].strip()


def without_thinking(text: str) -> str:
    """The text without its thinking blocks.

    A block that is never closed takes the rest of the text with it. A first closing mark without an opening one ends a block
    that the chat template opened; later ones are stray and only they go. Marks in code, in quotes and in JSON are text.
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
            kept = [*kept, before] if seen_block else []
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
    """The first mark of thinking that is one. An opening mark inside a line counts only where its block is closed."""
    marks = list(_TAG.finditer(text))
    if not marks:
        return None
    literal = _Literal(text)
    last = {_CLOSING.get(mark[0].lower()): mark.start() for mark in marks}
    for mark in marks:
        kind = _OPENING.get(mark[0].lower())
        if mark[0] == "<|end|>" or literal.holds(mark, open_fences=kind is not None):
            continue
        closed = kind is not None and last.get(kind, -1) > mark.start()
        if kind is None or closed or kind == _HARMONY or _begins_line(text, mark.start()):
            return mark
    return None


def _one_turn(text: str) -> str:
    """The model's own turn: marks before it are taken off, and what follows its end belongs to somebody else."""
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
    """The model's own turn as it wrote it: without thinking, chat markers and what cannot be seen; an echo stays.

    At most MOST_CHARACTERS of the output are looked at.
    """
    return _one_turn(without_thinking(_INVISIBLE.sub("", _ANSI.sub("", answer[:MOST_CHARACTERS]))))


def clean(answer: str, prompt: str) -> str:
    """The answer proper: what the model wrote, without an echo of the prompt."""
    return without_echo(written(answer), prompt)


_WORD = re.compile(r"\S+")


def without_echo(text: str, prompt: str) -> str:
    """What a model wrote without the prompt's beginning, if it begins with that: an echo is no answer, what follows it is.

    79 % of the answers of one archive began with the prompt.
    """
    text, prompt = text.strip(), _INVISIBLE.sub("", prompt).strip()
    if not prompt or not text:
        return text
    if text.startswith(prompt):
        return text[len(prompt) :].strip()
    if text[:20].split()[:1] != prompt[:20].split()[:1]:
        return text
    given, asked = list(_WORD.finditer(text)), list(_WORD.finditer(prompt))
    pairs = zip(given, asked, strict=False)
    common = next((i for i, (mine, theirs) in enumerate(pairs) if mine[0] != theirs[0]), min(len(given), len(asked)))
    end = given[common - 1].end() if common else 0
    if end < ECHO_CHARACTERS:
        return text
    # Cut off inside the prompt, perhaps inside a word of it.
    if common == len(given) or (
        common == len(given) - 1 < len(asked) and asked[common][0].startswith(given[common][0])
    ):
        return ""
    # The last words of the echo may be the answer's first ones: back to the last whole sentence of the prompt.
    while common > 1 and not re.search(r"[.?!:\"')\]}`|]$", given[common - 1][0]):
        common -= 1
    return text[given[common - 1].end() if common > 1 else end :].strip()
