"""Texts compared by their words: case, punctuation and Markdown make no difference; signs, points and digits do."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

_ARTICLES = frozenset(("a", "an", "the"))
# Minus signs, hyphens and dashes are written in many ways; after folding there is one.
_DASH = re.compile("[\u2010-\u2013\u2212\ufe63\uff0d]")
_APOSTROPHE = re.compile("[\u2018\u2019]")
_SUPERSCRIPT = re.compile("[⁰¹²³⁴-⁹]+")
_TOKEN = re.compile(
    r"(?P<abbreviation>(?<![\w.])(?:[^\W\d_]\.){2,}(?:[^\W\d_](?!\w))?)"
    r"|(?P<number>(?<![\w.)])-?(?:\d[\d.,:]*|\.\d[\d.,:]*)(?![\w]))"
    r"|(?P<word>[\u3040-\u30ff\u4e00-\u9fff]|[^\W\u3040-\u30ff\u4e00-\u9fff]+[+#]*|%|[@&](?=\w))"
    r"|(?P<stop>[。！？；]|[.!?;…](?=[\"'*_)\]]|$))"
)
_THOUSANDS = re.compile(r"(-?\d{1,3}(?:,\d{3})+)(\.\d+)?")
# Words that may stand between a denial and the phrase: "not in Paris".
_BETWEEN = frozenset(("in", "at", "on", "by", "from", "to", "with", "of", "as", "for", "into", "longer"))
_VERBS = frozenset(("do", "does", "did", "is", "was", "are", "were", "can", "could", "would", "will"))
# What takes back the sentence before it.
_RETRACTION = re.compile(
    r"(?<=[.!?\n])\s*(?:wait|oops|sorry|no|hold\s+on|actually|hmm)?[,.:!\s…-]*(?:(?:that|this)(?:['’]s|\s+(?:is|was))\s+(?:wrong|incorrect|not\s+(?:right|correct|true))|scratch\s+that\b|correction\b|i\s+was\s+wrong\b)",
    re.IGNORECASE,
)
# A phrase right after one of these is denied, not stated; so is one right before one of the others.
_DENIED_AFTER = (
    ("not",),
    ("no",),
    ("不", "是"),
    ("never",),
    ("nor",),
    ("neither",),
    ("than",),
    ("instead", "of"),
    ("without",),
)
_DENIED_BEFORE = tuple(
    (verb, *words)
    for verb in ("is", "was", "are", "were")
    for words in (("wrong",), ("incorrect",), ("false",), ("not", "correct"), ("not", "right"), ("not", "answer"))
)


def fold(text: str) -> str:
    """Lower case, one form for each character (NFKC), one kind of dash and apostrophe, `n't` as a word of its own."""
    folded = text.lower()
    if not text.isascii():
        powers = _SUPERSCRIPT.sub(lambda found: "^" + unicodedata.normalize("NFKC", found[0]), text)
        folded = _APOSTROPHE.sub("'", _DASH.sub("-", unicodedata.normalize("NFKC", powers).casefold()))
    if "'" in folded:
        folded = re.sub(r"(?<=\w)'s\b", "", folded.replace("n't", " not"))
    return folded


@dataclass(frozen=True, slots=True)
class Words:
    """A text's words in order, which of them begin a sentence, and which stand in a question."""

    words: tuple[str, ...]
    begins: tuple[bool, ...]
    asked: tuple[bool, ...]


def _number(token: str) -> str:
    token = token.rstrip(".,:")
    thousands = _THOUSANDS.fullmatch(token)
    token = thousands[1].replace(",", "") + (thousands[2] or "") if thousands else token
    return token.replace(".", "0.", 1) if token.startswith((".", "-.")) else token


def read(text: str) -> Words:
    """The words of a text. `1,000` is `1000`, `U.S.` is `us`; `-5`, `3.14` and `C++` are one word each."""
    sentences: list[tuple[list[str], bool]] = [([], False)]
    for paragraph in re.split(r"\n[ \t]*\n", fold(text)):
        for chunk in paragraph.split():
            # Most of a text is words, perhaps with a comma or a point: these need no pattern.
            bare, mark = (chunk[:-1], chunk[-1]) if chunk[-1] in ",.;?!" else (chunk, "")
            if bare.isalpha() and bare.isascii():
                sentences[-1][0].append(bare)
                if mark not in ("", ","):
                    _end(sentences, mark)
                continue
            for token in _TOKEN.finditer(chunk):
                if token.lastgroup == "stop":
                    _end(sentences, token[0])
                else:
                    sentences[-1][0].append(_canonical(token))
        _end(sentences, "")
    begins = (i == 0 for found, _ in sentences for i in range(len(found)))
    asked = (question for found, question in sentences for _ in found)
    return Words(tuple(word for found, _ in sentences for word in found), tuple(begins), tuple(asked))


def _end(sentences: list[tuple[list[str], bool]], mark: str) -> None:
    """End the last sentence with a mark, and begin another one."""
    sentences[-1] = (sentences[-1][0], mark == "?")
    sentences.append(([], False))


def _canonical(token: re.Match[str]) -> str:
    if token.lastgroup == "abbreviation":
        return token[0].replace(".", "")
    return _number(token[0]) if token.lastgroup == "number" else token[0]


@lru_cache(maxsize=2048)
def _of_phrase(text: str) -> tuple[str, ...]:
    return read(text).words


def words(text: str) -> tuple[str, ...]:
    """The words of a text alone; those of phrases are kept, since they are asked for again and again."""
    return _of_phrase(text) if len(text) < 500 else read(text).words


def _content(found: Sequence[str]) -> tuple[str, ...]:
    """Words without articles, unless there is nothing else."""
    return tuple(word for word in found if word not in _ARTICLES) or tuple(found)


def same(given: str, wanted: str) -> bool:
    """Whether two texts have the same words, articles apart. A text without words equals its own characters only."""
    mine, theirs = words(given), words(wanted)
    if not mine or not theirs:
        return bool(given.strip()) and given.strip() == wanted.strip()
    return _content(mine) == _content(theirs)


def _without_articles(text: Words) -> Words:
    if _ARTICLES.isdisjoint(text.words):
        return text
    kept = [i for i, word in enumerate(text.words) if word not in _ARTICLES]
    # A word after an article that begins a sentence begins it in its place.
    begins = [text.begins[i] or (text.words[i - 1] in _ARTICLES and text.begins[i - 1]) for i in kept]
    return Words(tuple(text.words[i] for i in kept), tuple(begins), tuple(text.asked[i] for i in kept))


@lru_cache(maxsize=64)
def looked_at(text: str) -> Text:
    """A text made ready for phrases; the last ones are kept, since a question's checks look at one answer several times."""
    return Text(text)


class Text:
    """A text in which phrases are looked for as whole words."""

    def __init__(self, text: str):
        self._raw = text
        self._all = read(text)
        self._plain = _without_articles(self._all)

    @cached_property
    def _corrected(self) -> Text | None:
        """What follows the last words that take something back: the sentence before them is not stated."""
        retractions = list(_RETRACTION.finditer(self._raw))
        rest = Text(self._raw[retractions[-1].end() :]) if retractions else None
        return rest if rest is not None and len(rest._all.words) > 2 else None

    def _places(self, phrase: str) -> tuple[Words, list[tuple[int, int]]]:
        wanted = words(phrase)
        plain = tuple(word for word in wanted if word not in _ARTICLES)
        # Articles are looked for only where the phrase is made of them: `forbidden_words: [the]`.
        text, wanted = (self._plain, plain) if plain else (self._all, wanted)
        size = len(wanted)
        if not size:
            return text, []
        starts = [i for i, word in enumerate(text.words) if word == wanted[0]]
        return text, [(i, i + size) for i in starts if text.words[i : i + size] == wanted]

    def count(self, phrase: str) -> int:
        """How often the phrase stands in the text, denied or not."""
        if not words(phrase):
            return self._raw.count(phrase.strip()) if phrase.strip() else 0
        return len(self._places(phrase)[1])

    def states(self, phrase: str, as_subject: bool = False) -> bool:
        """Whether the phrase stands in the text, not denied and not in a question. A denial ends with its sentence.

        With `as_subject` a sentence that denies something of the phrase ("K9 does not open it") does not state it either.
        """
        if not words(phrase):
            return self.count(phrase) > 0
        text, places = self._places(phrase)
        if places and self._corrected is not None and not self._corrected.states(phrase, as_subject):
            return False
        if as_subject:
            places = [place for place in places if not _negated_after(text, place[1])]
        return any(not text.asked[start] and not self._denied(text, start, end) for start, end in places)

    @staticmethod
    def _denied(text: Words, start: int, end: int) -> bool:
        for first in (start, start - 1):
            if first < start and (first < 0 or text.begins[start] or text.words[first] not in _BETWEEN):
                break
            for denial in _DENIED_AFTER:
                begin = first - len(denial)
                if begin >= 0 and text.words[begin:first] == denial and not any(text.begins[begin + 1 : first + 1]):
                    return True
        for denial in _DENIED_BEFORE:
            last = end + len(denial)
            if text.words[end:last] == denial and not any(text.begins[end:last]):
                return True
        return _is_alternative(text, start, end)


def _negated_after(text: Words, end: int) -> bool:
    verb, negation = text.words[end : end + 1], text.words[end + 1 : end + 2]
    return verb != () and verb[0] in _VERBS and negation == ("not",) and not any(text.begins[end : end + 2])


def _is_alternative(text: Words, start: int, end: int) -> bool:
    """Whether a phrase is one of two: `either Paris or Lyon`."""
    sentence = start
    while sentence > 0 and not text.begins[sentence] and start - sentence < 8:
        sentence -= 1
    stop = next((i for i in range(end, min(len(text.words), end + 8)) if text.begins[i]), min(len(text.words), end + 8))
    before, after = text.words[sentence:start], text.words[end:stop]
    return "either" in before and ("or" in after or before[-1:] == ("or",))
