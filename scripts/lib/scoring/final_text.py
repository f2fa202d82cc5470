"""The text, or the list, that an answer commits to, by the order of evidence of `evidence.py`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from scripts.lib.scoring.courtesy import without_courtesy
from scripts.lib.scoring.evidence import STATED, Reading, Statement, Undecided, settle, statements, tail
from scripts.lib.scoring.words import fold, same, words

_STYLE = re.compile(
    r"\\(?:text(?:bf|it|rm)?|math(?:rm|bf|it|sf)|operatorname|boxed|fbox|mbox|emph|bf|rm)\s*\{([^{}]*)\}"
)
_LEAD = re.compile(
    r"^[\s>*_`#~•]*(?:(?:so|therefore|thus|hence)\b,?\s+)?(?:(?:the|my)\s+)?(?:final\s+)?answer(?:\s+is)?\b\s*[:=]?[\s*_`]*",
    re.I,
)
_END_OF_PHRASE = re.compile(
    r"[.!?](?=\s|$)|;\s|\s[-–—(]|,?\s(?:because|since|as|which|who|where|given|due)\b|,\s(?:with|so|but|after|before|when|meaning|in|at)\b|\s\("
)
_BULLET = re.compile(r"[ \t]*(?:[-*•+]|\(?\d{1,3}[.)])[ \t]+(?=\S)")


def spoken(text: str) -> str:
    """A piece of an answer without Markdown emphasis and LaTeX commands, as it would be read out."""
    for _ in range(3):
        text = _STYLE.sub(r" \1 ", text)
    text = re.sub(r"\^\s*\{?\s*\\circ\s*\}?|\\degree\b", "°", text.replace("\\_", "_").replace("\\%", "%"))
    text = re.sub(r"\\[()\[\],;! ]|\$", " ", text)
    text = re.sub(r"[*`]{1,3}|(?<!\w)_{1,2}(?=\S)|(?<=\S)_{1,2}(?!\w)|~~", "", text)
    return " ".join(text.split())


def final_line(answer: str) -> str:
    """The last line that holds anything; polite sentences apart."""
    lines = [line.strip() for line in without_courtesy(tail(answer)).splitlines() if line.strip().strip("`*_-~ ")]
    return lines[-1] if lines else ""


def _phrases(text: str) -> Iterator[str]:
    """A statement's text and its shorter forms: up to the end of the sentence, of the phrase; without a lead ending in a colon."""
    plain = spoken(text)
    yield plain
    stop = re.search(r"[.!?](?=\s|$)", plain)
    sentence = plain[: stop.start()] if stop else plain
    yield sentence
    phrase = _END_OF_PHRASE.search(plain)
    if phrase is not None and phrase.start():
        yield plain[: phrase.start()]


def _equals(phrases: Iterable[str], wanted: Sequence[str]) -> bool:
    # Marks and blanks can make a text longer than its words, but not by so much.
    return any(same(phrase, value) for phrase in phrases for value in wanted if len(phrase) < 4 * len(value) + 200)


def read_text(answer: str, wanted: Sequence[str]) -> Reading[bool] | Undecided[bool]:
    """Whether an answer commits to one of the wanted texts, and where it says so."""
    text = tail(answer)
    if not text.strip():
        return Reading(False, "the whole", "")
    if _equals([answer, without_courtesy(answer)], wanted):
        return Reading(True, "the whole", answer.strip())
    settled = settle(text, statements(text), lambda statement: _equals(_phrases(statement.text), wanted))
    if settled is not None:
        return settled
    line = final_line(answer)
    plain = spoken(line)
    phrases = [plain, _LEAD.sub("", plain), _NAME.sub("", plain)]
    if (told := _TOLD.search(plain)) is not None and not _OPEN_ENDED.search(told["phrase"]):
        phrases.append(told["phrase"])
    return Reading(_equals(phrases, wanted), "the last line", line)


# "A hundred days from Tuesday is Thursday.": what the last sentence ends on.
_TOLD = re.compile(r"(?:^|[.!?:,;]\s)[^.!?:;]*\b(?:is|are|was|be|it's|=)\s+(?P<phrase>[^,;:!?]{1,80}?)[.!]?$")
# "Day: Saturday": a label of a word or two of its own.
_NAME = re.compile(r"^[^\W\d_]\w*(?: \w+)?:\s+(?=[^:]+$)")
_OPEN_ENDED = re.compile(r"\b(?:not|never|or|either|neither|than|if)\b", re.IGNORECASE)

# --- lists -----------------------------------------------------------------------------------------------------------

_ARROWS = re.compile(r"\s*(?:-+>|=+>|→|⇒|➜|➔|\\(?:right)?arrow|\\to\b|>(?!=)|&gt;|<(?![=/\w]))\s*")
_SEPARATORS = (
    re.compile(r"\s*[;|\n]\s*|\s+/\s+"),
    re.compile(r"\s*,(?!\d{3}(?!\d))\s*|\s*[，、]\s*"),
    re.compile(r"\s*,\s*"),
)
_JOINED = re.compile(
    r",?\s+(?:and|und|et|y|then|&)\s+(?:then\s+|finally\s+|lastly\s+)?|^(?:and|then|finally)\s+|\s+-+\s+", re.I
)
_STEP = re.compile(r"^\s*(?:step|item|no\.?|number)\s+\d+\s*[:.)-]\s*", re.IGNORECASE)
_DESCRIPTION = re.compile(r"\s+[-–—]\s+.*|:\s+.*|\s*\([^()]*\)\s*$")


def list_items(text: str, whole: bool = False) -> list[str]:
    """The items of a list on one line, or of bullets, each in a comparable form. `whole`: the text is one item."""
    if whole:
        return [_item(text)]
    return [item for item in map(_item, _split(spoken_lines(text))) if item]


def spoken_lines(text: str) -> str:
    """The text read out line by line."""
    return "\n".join(filter(None, map(spoken, text.split("\n"))))


def _item(text: str) -> str:
    """An item's words; a number in one form, whatever its thousands separators and trailing zeros; `x = -5` is `-5`."""
    text = re.sub(r"^\s*[^\W\d]\w?\s*=\s*", "", text)
    found = words(text.strip().strip("\"'“”‘’"))
    kept = [word for word in found if word not in ("a", "an", "the")] or list(found)
    if len(kept) == 1 and re.fullmatch(r"-?\d+\.\d*0", kept[0]):
        kept = [kept[0].rstrip("0").rstrip(".")]
    return " ".join(kept) or fold(text).strip(" .\"'`*[](){}")


def _split(text: str, commas: int = 1) -> list[str]:
    text = text.strip().strip("[](){}").rstrip(".")
    text = re.sub(r"[\"“”]", "", text)
    if "\n" in text:
        lines = [_STEP.sub("", _BULLET.sub("", line)) for line in text.split("\n") if line.strip()]
        return [_DESCRIPTION.sub("", line) for line in lines]
    parts = _ARROWS.split(text)
    for pattern in (_SEPARATORS[0], _SEPARATORS[commas], _JOINED):
        if pattern is _SEPARATORS[commas] and len(parts) > 1:
            continue
        parts = [piece for part in parts for piece in pattern.split(part)]
    return [part for part in parts if part.strip()]


_BEFORE_LIST = re.compile(
    r"^.*\b(?:are|is|be|by|of|includes?|namely|as|lists?)\b:?\s*(?=\S)|^[^:\n]{2,80}:\s+(?=\S)",
    re.IGNORECASE,
)
_SENTENCE_GAP = re.compile(r"(?<=[^.\d][.!?])\s|(?<=\d[.!?])\s(?=[^\W\d_])|(?<=\)\.)\s")


def _readings(text: str, last: bool = False) -> Iterator[list[str]]:
    """The lists that a text may be: whole, or its first (or last) sentence, or what stands behind a colon or a verb there."""
    plain = spoken_lines(text)
    plain = re.sub(r"(?<=[.!])\s*\([^()]*\)\s*$", "", plain)
    sentences = [s for s in _SENTENCE_GAP.split(plain) if s.strip()] if "\n" not in plain or not last else []
    sentences = sentences or [plain]
    sentence = sentences[-1 if last else 0]
    pieces = dict.fromkeys(
        (
            plain,
            sentence,
            sentence.split("\n")[0],
            _BEFORE_LIST.sub("", sentence),
            _BEFORE_LIST.sub("", _BEFORE_LIST.sub("", sentence)),
        )
    )
    if last and len(sentences) > 1:
        del pieces[plain]
    for piece in pieces:
        for commas in (1, 2):
            items = [item for item in map(_item, _split(piece, commas)) if item]
            yield items
            yield [_MEASURED.sub(r"\1", item) for item in items]


_MEASURED = re.compile(r"^(-?\d[\d.]*) [^\W\d_]{1,12}$")


def _last_bullets(text: str) -> str:
    """The bulleted or numbered lines at the end, or else the last line."""
    lines = [line for line in without_courtesy(text).splitlines() if line.strip().strip("`*_-~ ")]
    kept: list[str] = []
    while lines and _BULLET.match(lines[-1]):
        kept.insert(0, lines.pop())
    return "\n".join(kept) if len(kept) > 1 else ""


def _last_lines(text: str) -> str:
    """The last paragraph where it is nothing but short lines without a sentence."""
    paragraph = re.split(r"\n[ \t]*\n", without_courtesy(text).strip())[-1]
    lines = [line for line in paragraph.split("\n") if line.strip()]
    short = all(len(words(line)) <= 6 and not re.search(r"[.,;:!?]\s*$", line) for line in lines)
    return "\n".join(lines) if len(lines) > 1 and short else ""


def _behind_label(text: str, statement: Statement) -> str:
    """A label's bulleted lines where its line holds the first of them, else its line."""
    if statement.value_start < 0 or not _BULLET.match(text[text.rfind("\n", 0, statement.value_start) + 1 :]):
        return statement.text
    lines = text[text.rfind("\n", 0, statement.value_start) + 1 :].split("\n")
    count = next((i for i, line in enumerate(lines) if not _BULLET.match(line)), len(lines))
    return "\n".join(lines[:count]) if count > 1 else statement.text


def read_list(answer: str, same_list: Callable[[list[str]], bool]) -> Reading[bool] | Undecided[bool]:
    """Whether an answer commits to the list that `same_list` accepts, and where it gives its list."""
    text = tail(answer)

    def read(statement: Statement) -> bool | None:
        readings = list(_readings(_behind_label(text, statement)))
        if any(map(same_list, readings)):
            return True
        # A statement in prose of one thing, such as "the answer is below", gives no list.
        return None if statement.rank >= STATED and max(map(len, readings)) < 2 else False

    settled = settle(text, statements(text), read)
    if settled is not None:
        return settled
    bullets, lines, line = _last_bullets(text), _last_lines(text), final_line(answer)
    for form, piece in (("the last lines", bullets), ("the last lines", lines)):
        if piece and any(map(same_list, _readings(piece, last=True))):
            return Reading(True, form, piece)
    if bullets:
        return Reading(False, "the last lines", bullets)
    return Reading(any(map(same_list, _readings(line, last=True))), "the last line", line)
