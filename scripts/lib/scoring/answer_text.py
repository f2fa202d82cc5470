"""The answer itself: a model's output without what surrounds it.

Thinking, chat markers, terminal escapes and an echo of the prompt are taken off.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

# Checks read at most this much of an answer, so that none can stall them. A longer one is garbage by any
# measure.
MOST_CHARACTERS = 200_000
# A shorter common beginning of prompt and answer may be chance.
ECHO_CHARACTERS = 200
# Whole sentences of the prompt before a blank line are an echo from this length on.
SENTENCE_ECHO_CHARACTERS = 40
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07\x1b]{0,1000}(?:\x07|\x1b\\)")
# Direction overrides, zero-width characters and controls. A reader cannot see them, so they decide nothing.
_INVISIBLE = re.compile(
    "[\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\x00-\x08\x0b\x0c\x0e-\x1f]",
)

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
    # The look-ahead is there for speed alone.
    rf"(?=[<\[◁])(?:{'|'.join(re.escape(tag) for pair in _THINKING for tag in pair)})",
    re.IGNORECASE | re.ASCII,
)
# An answer of more blocks is garbage; the rest of it stays as it is.
_MOST_BLOCKS = 20
# Blocks inside a block are counted over this many marks at most.
_MOST_NESTED_MARKS = 200
# Harmony's channels where the marks of the special tokens were lost: `analysis…assistantfinalThe answer`.
_BARE_CHANNELS = re.compile(r"\Aanalysis.*?\bassistant\s?final(?=[\W\dA-Z])", re.DOTALL)
_HARMONY_CLOSING = re.compile(r"<\|end\|>|(?=<\|channel\|>final<\|message\|>)")
_HARMONY = len(_THINKING) - 1

# Where a turn of the chat ends, and where another speaker's or the model's own turn begins.
_BAR = r"(?:\||｜)"
_TURN_END = (
    rf"<{_BAR}(?:im_end|endoftext|end_of_text|eot_id|eom_id|end|return|end_of_turn|eos|call|END_OF_TURN_TOKEN"
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
    # The look-ahead is there for speed alone.
    rf"(?=[<\[#])(?:(?P<end>{_TURN_END})|(?P<other>{_OTHER_TURN})|(?P<own>{_OWN_TURN}))",
    re.MULTILINE,
)
_FIRST_TOKEN = re.compile(r"\s*(?:<s>\s*)+")
# Another speaker's turn where the special tokens were lost, and the reply to it.
_BARE_TURN = re.compile(r"\n[ \t]*\n(?:Human|User):|\nuser[ \t]*\n(?=[^\n]*\S[ \t]+\S)")
_BARE_REPLY = re.compile(r"^(?:(?:Assistant|AI):|assistant[ \t]*$)", re.MULTILINE)
_BARE_SPEAKER = re.compile(r"^(?:(?:Human|User):|user[ \t]*$)", re.MULTILINE)
_FENCE = re.compile(r"^[ \t]*(?:[-*+>]|\d+[.)])?[ \t]*(?P<fence>`{3,}|~{3,})", re.MULTILINE)
_CODE_SPAN = re.compile(r"(?<!`)(`{1,2})(?!`)[^`\n]+\1(?!`)")
# A string of code or JSON, or a quotation, in one line. One that is not closed takes the rest of the line.
_STRING = re.compile(
    r'"(?:[^"\\\n]|\\.)*(?P<double>")?'
    r"|(?<!\w)[rbfuRBFU]{0,2}'(?:[^'\\\n]|\\.|'(?=\w))*(?P<single>')?"
)
_JSON_STRING = re.compile(r'":\s*"')
_CODE_LINE = re.compile(
    r"[ \t]*(?:(?:def|class|import|from|return|async|await)\b.*\S|@\w|(?:if|for|while|with|else|try)\b.*:"
    r"|[A-Za-z_][\w.\[\]]*\s*[-+*/|&]?=[^=]|[A-Za-z_][\w.]*\(.*\)\s*$)",
    re.MULTILINE,
)
# A mark is looked for in code and quotes this far back in its line.
_LINE_CHARACTERS = 500
_WORD = re.compile(r"\S+")
_SENTENCE_END = re.compile(r"[.?!][\"')\]*_]*$")
_BLANK_LINE = re.compile(r"[ \t*_]*\n[ \t]*\n")
# What may stand before an echo: `Question: `, `> `, `**`.
_ECHO_PREFIX = re.compile(r"(?:\s*(?:>|\*\*|__|#{1,6} |(?:Question|Problem|Prompt|Q):))+\s*")
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

    @cached_property
    def _fences(self) -> list[tuple[int, int, bool]]:
        return list(_fences(self._text)) if "```" in self._text or "~~~" in self._text else []

    @cached_property
    def _spans(self) -> list[tuple[int, int]]:
        return [match.span() for match in _CODE_SPAN.finditer(self._text)] if "`" in self._text else []

    @cached_property
    def _strings(self) -> list[tuple[int, int]]:
        closed = (match for match in _STRING.finditer(self._text) if match["double"] or match["single"])
        return [match.span() for match in closed]

    def holds(self, tag: re.Match[str], open_fences: bool, offset: int = 0) -> bool:
        """Whether a tag is only written about.

        A fence that is never closed counts where `open_fences` is set. The tag's places are counted from
        `offset` characters before this text.
        """
        start, end = tag.start() - offset, tag.end() - offset
        number = bisect_left(self._fences, (start,)) - 1
        if number >= 0:
            _, last, closed = self._fences[number]
            if start < last and (closed or open_fences):
                return True
        if _inside(self._spans, start, end) or _inside(self._strings, start, end):
            return True
        closing_quote = _QUOTES.get(self._text[start - 1 : start]) if start else None
        if closing_quote is not None and self._text.startswith(closing_quote, end):
            return True
        first = max(0, start - _LINE_CHARACTERS)
        before = self._text[max(first, self._text.rfind("\n", first, start) + 1) : start]
        return _in_json_string(before) or self._in_comment(before, end)

    def _in_comment(self, before: str, end: int) -> bool:
        """Whether a tag stands in a comment: after `#`, in a line of code or right above one."""
        if "#" not in before:
            return False
        code, _, _ = before.partition("#")
        if code.strip():
            return _CODE_LINE.match(code) is not None
        next_line = self._text.find("\n", end, end + _LINE_CHARACTERS) + 1
        return bool(self._text[end:next_line].strip() and _CODE_LINE.match(self._text, next_line))


def _inside(spans: Sequence[tuple[int, int]], start: int, end: int) -> bool:
    """Whether one of the spans, which are in order, holds a place and something around it."""
    number = bisect_left(spans, (start,)) - 1
    return number >= 0 and end < spans[number][1]


def _in_json_string(before: str) -> bool:
    """Whether a line's beginning ends after `"key": "` and before the quote that ends the string."""
    if before.replace('\\"', "").count('"') % 2 == 0:
        return False
    return _JSON_STRING.search(before) is not None


def _is_json(text: str) -> bool:
    if text.strip()[:1] not in ("{", "["):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _family(kind: int | None) -> int | None:
    """The kinds of mark that may end each other's blocks, as in `<think>…</thinking>`, by one number."""
    return 0 if kind is not None and kind < len(_THINKING_TAGS) else kind


def _kinds(mark: re.Match[str]) -> tuple[int | None, int | None]:
    """The kind that a mark opens, and the kind that it closes."""
    name = mark[0].lower()
    return _OPENING.get(name), _CLOSING.get(name)


def _block_end(text: str, marks: Sequence[re.Match[str]], number: int, literal: _Literal, offset: int) -> int:
    """Where the block ends that a mark opens: the text's end where its closing mark is missing.

    Blocks inside it are part of it. A closing mark in code or quotes counts too. Where there are too few for
    all the blocks, the first that fits ends it.
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
    before = text[max(0, place - _LINE_CHARACTERS) : place].rstrip(" \t")
    return not before or before.endswith("\n")


def without_thinking(text: str) -> str:
    """The text without its thinking blocks.

    A block that is never closed takes the rest of the text with it. If the first mark is a closing one, the
    chat template opened its block, and all before it goes. Later closing marks without a block are stray:
    only they go. Marks in code, in quotes and in JSON are text.
    """
    text = _BARE_CHANNELS.sub("", text)
    marks = list(_TAG.finditer(text))
    if not marks or _is_json(text):
        return text
    last_closing = {_family(_kinds(mark)[1]): mark.start() for mark in marks}
    kept: list[str] = []
    place, number, seen_block = 0, 0, False
    for _ in range(_MOST_BLOCKS):
        # Code and quotes are looked for in the rest alone: a fence in a block does not reach out of it.
        literal = _Literal(text[place:])
        found = _first_tag(text, marks, number, literal, place, last_closing)
        if found is None:
            break
        opens = _kinds(marks[found])[0] is not None
        if opens or seen_block:
            kept.append(text[place : marks[found].start()])
        place = _block_end(text, marks, found, literal, place) if opens else marks[found].end()
        number = next((n for n in range(found, len(marks)) if marks[n].start() >= place), len(marks))
        seen_block = True
    if not seen_block:
        return text
    return "\n".join(piece.rstrip() for piece in (*kept, text[place:]) if piece.strip())


def _first_tag(
    text: str,
    marks: Sequence[re.Match[str]],
    number: int,
    literal: _Literal,
    place: int,
    last_closing: Mapping[int | None, int],
) -> int | None:
    """The number of the first mark, from `number` on, that is not only written about.

    An opening mark inside a line counts only where its block is closed.
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


def _one_turn(text: str) -> str:
    """The model's own turn, without the marks before it. What follows its end belongs to another speaker."""
    first_token = _FIRST_TOKEN.match(text)
    if first_token is not None and _begins_sequence(text, first_token.end()):
        text = text[first_token.end() :]
    literal = _Literal(text)
    struck_out = text.find("<s>")
    kept: list[str] = []
    place, has_text = 0, False
    for mark in _MARKER.finditer(text):
        if literal.holds(mark, open_fences=False) or (mark[0] == "</s>" and 0 <= struck_out < mark.start()):
            continue
        piece = text[place : mark.start()]
        kept.append(piece)
        place, has_text = mark.end(), has_text or bool(piece.strip())
        if has_text and mark["own"] is None:
            return "".join(kept)
    return "".join((*kept, text[place:]))


def _begins_sequence(text: str, place: int) -> bool:
    """Whether `<s>` before a place is a special token: no `</s>` inside a line ends struck-out text."""
    end = text.find("</s>", place)
    return end < 0 or not text[end + len("</s>") :].split("\n", 1)[0].strip(" \t")


def _without_bare_turns(text: str) -> str:
    """The text without another speaker's turn and the reply to it, where no special tokens mark them.

    A dialogue that is the answer itself stays: it begins with a speaker, or is announced by a colon.
    """
    turn = _BARE_TURN.search(text)
    if turn is None:
        return text
    before = text[: turn.start()].rstrip()
    if not before.strip() or before.endswith((":", ":**")) or _BARE_SPEAKER.search(before):
        return text
    if _BARE_REPLY.search(text, turn.end()) is None or _Literal(text).holds(turn, open_fences=True):
        return text
    return before


def written(answer: str) -> str:
    """The model's own turn without thinking, chat markers and what cannot be seen.

    An echo of the prompt stays. Only the first MOST_CHARACTERS of the output are read.
    """
    visible = _INVISIBLE.sub("", _ANSI.sub("", answer[:MOST_CHARACTERS]))
    return _without_bare_turns(_one_turn(without_thinking(visible)))


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
    answer = _after_echo(text, prompt)
    if answer is None and _ECHO_PREFIX.match(text) is not None:
        answer = _after_echo(_without_prefix(text), _without_prefix(prompt))
    return text if answer is None else answer


def _without_prefix(text: str) -> str:
    """A text without `Question: `, `> ` or `**` before its first paragraph, and without their ends."""
    prefix = _ECHO_PREFIX.match(text)
    if prefix is None:
        return text
    rest = text[prefix.end() :]
    if ">" in prefix[0]:
        lines = rest.split("\n")
        quoted = next((n for n, line in enumerate(lines) if n and not line.startswith(">")), len(lines))
        rest = "\n".join((*(line.removeprefix(">") for line in lines[:quoted]), *lines[quoted:]))
    for bold in ("**", "__"):
        # `**Question:** …` closes it before the echo.
        if prefix[0].count(bold) % 2 == 1:
            rest = rest.replace(bold, "", 1)
    return rest.strip()


def _after_echo(text: str, prompt: str) -> str | None:
    """What follows the prompt, or the part of it, that a text begins with; None where it is no echo."""
    if text.startswith(prompt):
        return text[len(prompt) :].strip()
    # Most answers differ from the prompt in their first word already.
    if text[:20].split()[:1] != prompt[:20].split()[:1]:
        return None
    given, asked = list(_WORD.finditer(text)), list(_WORD.finditer(prompt))
    common = _common_words(given, asked)
    end = given[common - 1].end() if common else 0
    if end < ECHO_CHARACTERS:
        return _after_sentences(text, given[:common], asked)
    if common == len(given) or _is_cut_off(given, asked, common):
        return ""
    # The echo's last words may be the answer's first ones: go back to the last whole sentence of the prompt.
    while common > 1 and not _PHRASE_END.search(given[common - 1][0]):
        common -= 1
    return text[given[common - 1].end() if common > 1 else end :].strip()


def _after_sentences(text: str, shared: Sequence[re.Match[str]], asked: Sequence[re.Match[str]]) -> str | None:
    """What follows whole sentences of the prompt and a blank line.

    Nothing may follow them only where they are all but the prompt's last sentence.
    """
    count = len(shared)
    while count and not _SENTENCE_END.search(shared[count - 1][0]):
        count -= 1
    end = shared[count - 1].end() if count else 0
    if end < SENTENCE_ECHO_CHARACTERS:
        return None
    rest = text[end:]
    if not rest.strip():
        left = asked[count:]
        return "" if not any(_SENTENCE_END.search(word[0]) for word in left[:-1]) else None
    return rest.strip() if _BLANK_LINE.match(rest) else None


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
