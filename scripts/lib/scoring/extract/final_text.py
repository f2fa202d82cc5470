"""The text, or the list, that an answer commits to, by the order of evidence of `evidence.py`."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from scripts.lib.scoring.extract.courtesy import without_courtesy
from scripts.lib.scoring.extract.evidence import (
    STATED,
    Reading,
    Statement,
    corrects,
    settle,
    statements,
    tail,
)
from scripts.lib.scoring.extract.words import content, fold, same, words

_STYLE = re.compile(
    r"\\(?:text(?:bf|it|rm)?|math(?:rm|bf|it|sf)|operatorname|boxed|fbox|mbox|emph|bf"
    r"|rm)\s*\{([^{}]*)\}"
)
_DEGREE = re.compile(r"\^\s*\{?\s*\\circ\s*\}?|\\degree\b")
_LATEX_MARK = re.compile(r"\\[()\[\],;! ]|\$")
_EMPHASIS = re.compile(r"[*`]{1,3}|(?<!\w)_{1,2}(?=\S)|(?<=\S)_{1,2}(?!\w)|~~")
# "So the answer is": what may come before the answer in the last line.
_LEAD = re.compile(
    r"^[\s>*_`#~•]*(?:(?:so|therefore|thus|hence)\b,?\s+)?(?:(?:the"
    r"|my)\s+)?(?:final\s+)?answer(?:\s+is)?\b"
    r"\s*[:=]?[\s*_`]*",
    re.I,
)
# "A hundred days from Tuesday is Thursday.": what the last sentence ends on.
_AFTER_VERB = re.compile(
    r"(?:^|[.!?:,;]\s)[^.!?:;]*\b(?:is|are|was|be|it's|=)\s+(?P<phrase>[^;:!?]{1,80}?)[.!]?$",
    re.IGNORECASE,
)
_OPEN_ENDED = re.compile(
    r"\b(?:not|never|or|either|neither|than|if|doubt|false|wrong|nobody|no\s+one|some\s+(?:say"
    r"|people)|may|might|could)\b|n['’]t\b|\?",
    re.IGNORECASE,
)
# "Paris is the capital of France."
_SUBJECT = re.compile(
    r"^\W*(?P<phrase>.{1,60}?)\s+(?:is|was|are|were)\s+(?:the|a|an|its|their|his|her)\s",
    re.IGNORECASE,
)
_ITEM_MARK = re.compile(r"^(?:\d{1,2}[.)]|[-•])\s+(?=\D)")
# "Day: Saturday": a label of a word or two of its own.
_OWN_LABEL = re.compile(r"^[^\W\d_]\w*(?: \w+)?:\s+(?=[^:]+$)")
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)")
_END_OF_PHRASE = re.compile(
    r"[.!?](?=\s|$)|;\s|\s[-–—(]|,?\s(?:because|since|as|which|who|where|given|due)\b"
    r"|,\s(?:with|so|but|after|before|when|meaning|in|at|of\s+course)\b|\s\("
)
# Signs of a line that holds nothing else.
_DECORATION = "`*_-~ "


def spoken(text: str) -> str:
    """A text as it would be read aloud: one line without Markdown emphasis and LaTeX commands."""
    # Styles can be nested.
    for _ in range(3):
        text = _STYLE.sub(r" \1 ", text)
    text = _DEGREE.sub("°", text.replace("\\_", "_").replace("\\%", "%"))
    text = _EMPHASIS.sub("", _LATEX_MARK.sub(" ", text))
    return " ".join(text.split())


def final_line(answer: str) -> str:
    """The last line with text, apart from polite sentences; empty if there is none."""
    return _last_of(_filled_lines(without_courtesy(tail(answer))))


def _last_of(lines: Sequence[str]) -> str:
    return lines[-1].strip() if lines else ""


def _filled_lines(text: str) -> list[str]:
    """The lines of a text that hold more than decoration."""
    return [line for line in text.splitlines() if line.strip().strip(_DECORATION)]


def _first_sentence(text: str) -> str:
    """A text up to the end of its first sentence."""
    stop = _SENTENCE_END.search(text)
    return text[: stop.start()] if stop else text


def _phrases(text: str) -> Iterator[str]:
    """A statement's text and its shorter forms: to the end of the sentence, and of the phrase."""
    plain = spoken(text)
    yield plain
    yield _first_sentence(plain)
    phrase = _END_OF_PHRASE.search(plain)
    if phrase is not None and phrase.start():
        yield plain[: phrase.start()]


def _equals(phrases: Iterable[str], wanted: Sequence[str]) -> bool:
    """Whether one of the phrases has the words of one of the wanted texts."""
    pairs = ((phrase, value) for phrase in phrases for value in wanted)
    return any(_near_in_length(phrase, value) and same(phrase, value) for phrase, value in pairs)


def _near_in_length(phrase: str, value: str) -> bool:
    """Whether a phrase can be equal: marks and blanks add some length to its words."""
    return len(phrase) < 4 * len(value) + 200


def read_text(answer: str, wanted: Sequence[str]) -> Reading[bool]:
    """Whether an answer commits to one of the wanted texts, and where it says so."""
    text = tail(answer)
    if not text.strip():
        return Reading(False, "the whole", "")
    if _equals([answer, without_courtesy(answer)], wanted):
        return Reading(True, "the whole", answer.strip())
    settled = settle(
        text, statements(text), lambda statement: _equals(_phrases(statement.text), wanted)
    )
    if settled is not None and not _is_corrected(text, settled):
        return settled
    line = final_line(answer)
    return Reading(_equals(_line_phrases(line), wanted), "the last line", line)


def _is_corrected(text: str, settled: Reading[bool]) -> bool:
    """Whether words after the statement take it back: "The answer is Lyon. Wait, it is Paris."."""
    first = _first_sentence(settled.text)
    place = text.rfind(first)
    return place >= 0 and corrects(text, place + len(first), len(text))


def _line_phrases(line: str) -> Iterator[str]:
    """What a last line may give: all of it, or without a label, or what its last sentence says."""
    plain = _ITEM_MARK.sub("", spoken(line))
    yield from (
        plain,
        _LEAD.sub("", plain),
        _OWN_LABEL.sub("", plain),
        re.sub(r"\s\([^()]*\)\W*$", "", plain),
    )
    sentence = re.split(r"(?<=[^.\s]{2}[.!?])\s+", re.sub(r"\s\([^()]*\)(?=\W*$)", "", plain))[-1]
    if _OPEN_ENDED.search(sentence):
        return
    ending = _AFTER_VERB.search(sentence)
    if ending is not None:
        yield from _phrases(ending["phrase"])
    subject = _SUBJECT.match(sentence)
    if subject is not None:
        yield subject["phrase"]


# --- lists ----------------------------------------------------------------------------------------

_BULLET = re.compile(r"[ \t]*(?:[-*•+]|\(?\d{1,3}[.)])[ \t]+(?=\S)")
_ARROWS = re.compile(r"\s*(?:-+>|=+>|→|⇒|➜|➔|\\(?:right)?arrow|\\to\b|>(?!=)|&gt;|<(?![=/\w]))\s*")
_SEPARATORS = re.compile(r"\s*[;|\n]\s*|\s+/\s+")
_COMMAS = re.compile(r"\s*,(?!\d{3}(?!\d))\s*|\s*[，、]\s*")
# Also those that may separate thousands.
_ALL_COMMAS = re.compile(r"\s*,\s*")
_JOINED = re.compile(
    r",?\s+(?:and|und|et|y|then|&)\s+(?:then\s+|finally\s+|lastly\s+)?|^(?:and|then|finally)\s+"
    r"|\s+-+\s+",
    re.IGNORECASE,
)
_STEP = re.compile(r"^\s*(?:step|item|no\.?|number)\s+\d+\s*[:.)-]\s*", re.IGNORECASE)
_DESCRIPTION = re.compile(r"\s+[-–—]\s+.*|:\s+.*|\s*\([^()]*\)\s*$")
# `x = -5`: a name before the item's value.
_ITEM_NAME = re.compile(r"^\s*[^\W\d]\w?\s*=\s*")
_TRAILING_ZERO = re.compile(r"-?\d+\.\d*0")
# `5 kg`: a number with a unit.
_MEASURED = re.compile(r"^(-?\d[\d.]*) [^\W\d_]{1,12}$")
# "The primes are …", "In order: …": what comes before the list.
_BEFORE_LIST = re.compile(
    r"^.*\b(?:are|is|be|by|of|includes?|namely|as|lists?)\b:?\s*(?=\S)|^[^:\n]{2,80}:\s+(?=\S)",
    re.IGNORECASE,
)
_LIST_SENTENCE_GAP = re.compile(r"(?<=[^.\d][.!?])\s|(?<=\d[.!?])\s(?=[^\W\d_])|(?<=\)\.)\s")
_ASIDE_AT_END = re.compile(r"(?<=[.!])\s*\([^()]*\)\s*$")
_BLANK_LINE = re.compile(r"\n[ \t]*\n")
_ENDS_SENTENCE = re.compile(r"[.,;:!?]\s*$")


def list_items(text: str, whole: bool = False) -> list[str]:
    """The items of a list on one line, or of bullets, each in a comparable form.

    `whole`: the text is one item.
    """
    if whole:
        return [_item(text)]
    return _items(_spoken_lines(text))


def _items(text: str, by_commas: re.Pattern[str] | None = None) -> list[str]:
    """The items of a text that has been read out, in a comparable form."""
    return [item for item in map(_item, _split(text, by_commas or _COMMAS)) if item]


def _spoken_lines(text: str) -> str:
    """The text as it would be read out, line by line."""
    return "\n".join(filter(None, map(spoken, text.split("\n"))))


def _item(text: str) -> str:
    """An item's words in a comparable form.

    A number loses its thousands separators and trailing zeros; `x = -5` is `-5`.
    """
    text = _ITEM_NAME.sub("", text)
    found = words(text.strip().strip("\"'“”‘’"))
    kept = content(found)
    if len(kept) == 1 and _TRAILING_ZERO.fullmatch(kept[0]):
        kept = (kept[0].rstrip("0").rstrip("."),)
    return " ".join(kept) or fold(text).strip(" .\"'`*[](){}")


def _split(text: str, by_commas: re.Pattern[str]) -> list[str]:
    """The parts of a list: of lines, else of arrows, else of other separators, commas and `and`."""
    text = text.strip().strip("[](){}").rstrip(".")
    text = re.sub(r"[\"“”]", "", text)
    if "\n" in text:
        lines = [_STEP.sub("", _BULLET.sub("", line)) for line in text.split("\n") if line.strip()]
        return [_DESCRIPTION.sub("", line) for line in lines]
    parts = _split_each(_ARROWS.split(text), _SEPARATORS)
    # Commas inside the parts of another list belong to them.
    if len(parts) == 1:
        parts = _split_each(parts, by_commas)
    return [part for part in _split_each(parts, _JOINED) if part.strip()]


def _split_each(parts: Iterable[str], pattern: re.Pattern[str]) -> list[str]:
    return [piece for part in parts for piece in pattern.split(part)]


def _readings(text: str, last: bool = False) -> Iterator[list[str]]:
    """The lists that a text may be.

    They are the whole text, its first (or `last`) sentence, or what follows a colon or verb there.
    Each is also given without units.
    """
    plain = _ASIDE_AT_END.sub("", _spoken_lines(text))
    sentences = [plain]
    if not last or "\n" not in plain:
        sentences = [
            sentence for sentence in _LIST_SENTENCE_GAP.split(plain) if sentence.strip()
        ] or [plain]
    sentence = sentences[-1 if last else 0]
    list_only = _BEFORE_LIST.sub("", sentence)
    pieces = [plain, sentence, sentence.split("\n")[0], list_only, _BEFORE_LIST.sub("", list_only)]
    # Where there are several sentences, only the last one is what the text ends on.
    unwanted = plain if last and len(sentences) > 1 else None
    for piece in dict.fromkeys(pieces):
        if piece == unwanted:
            continue
        for by_commas in (_COMMAS, _ALL_COMMAS):
            items = _items(piece, by_commas)
            yield items
            yield [_MEASURED.sub(r"\1", item) for item in items]


def _last_bullets(lines: Sequence[str]) -> str:
    """The bulleted or numbered lines at the end; empty if there are fewer than two."""
    bullets = list(itertools.takewhile(_BULLET.match, reversed(lines)))
    return "\n".join(reversed(bullets)) if len(bullets) > 1 else ""


def _last_lines(text: str) -> str:
    """The lines of the last paragraph, if all are short and none is a sentence; else empty."""
    paragraph = _BLANK_LINE.split(text.strip())[-1]
    lines = [line for line in paragraph.split("\n") if line.strip()]
    all_short = all(len(words(line)) <= 6 and not _ENDS_SENTENCE.search(line) for line in lines)
    return "\n".join(lines) if len(lines) > 1 and all_short else ""


def _after_label(text: str, statement: Statement) -> str:
    """The bulleted lines of a statement whose text begins with the first of them, else its text."""
    if statement.value_start < 0:
        return statement.text
    lines = text[text.rfind("\n", 0, statement.value_start) + 1 :].split("\n")
    bullets = list(itertools.takewhile(_BULLET.match, lines))
    return "\n".join(bullets) if len(bullets) > 1 else statement.text


def read_list(answer: str, same_list: Callable[[list[str]], bool]) -> Reading[bool]:
    """Whether an answer commits to a list that `same_list` accepts, and where it gives its list."""
    text = tail(answer)

    def read(statement: Statement) -> bool | None:
        readings = list(_readings(_after_label(text, statement)))
        if any(map(same_list, readings)):
            return True
        # A statement in prose of one thing, such as "the answer is below", gives no list.
        gives_list = statement.rank < STATED or max(map(len, readings)) > 1
        return False if gives_list else None

    settled = settle(text, statements(text), read)
    if settled is not None:
        return settled
    ending = without_courtesy(text)
    filled = _filled_lines(ending)
    bullets, line = _last_bullets(filled), _last_of(filled)
    for lines in (bullets, _last_lines(ending)):
        if lines and any(map(same_list, _readings(lines, last=True))):
            return Reading(True, "the last lines", lines)
    if bullets:
        return Reading(False, "the last lines", bullets)
    return Reading(any(map(same_list, _readings(line, last=True))), "the last line", line)
