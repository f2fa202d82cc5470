"""Texts compared by their words.

Case, punctuation and Markdown make no difference; signs, decimal points and digits do.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from scripts.lib.scoring.extract.phrases import any_of

_ARTICLES = frozenset(("a", "an", "the"))
# Minus signs, hyphens and dashes are written in many ways; `fold` makes them one.
_DASH = re.compile("[\u2010-\u2013\u2212\ufe63\uff0d]")
_APOSTROPHE = re.compile("[\u2018\u2019]")
_SUPERSCRIPT = re.compile("[⁰¹²³⁴-⁹]+")
# Japanese and Chinese put no blanks between words: each of their characters is a word.
_CHARACTERS = r"\u3040-\u30ff\u4e00-\u9fff"
_CURRENCY = re.compile("[$€£¥]")
_PER_CENT = re.compile(r"\s?\bper\s?cent\b")
_MINUS = re.compile(r"\b(?:minus|negative)\s+(?=\d)")
_OPERATORS = frozenset(("<", ">", "=", "<=", ">=", "!=", "≤", "≥", "≠", "+", "*", "/", "^"))
_TOKEN = re.compile(
    r"(?P<abbreviation>(?<![\w.])(?:[^\W\d_]\.){2,}(?:[^\W\d_](?!\w))?)"
    r"|(?P<number>(?<![\w.)])-?(?:\d[\d.,:]*|\.\d[\d.,:]*)(?![\w]))"
    # Between two words an operation, before a name a sign; a hyphen between letters is neither.
    r"|(?P<operator>(?<=[\w)])[<>=≤≥≠+*/^]=?(?=[\w(-])|(?<=\d)-(?=\d)|(?<![\w)])-(?=[^\W\d]))"
    rf"|(?P<word>[{_CHARACTERS}]|[^\W{_CHARACTERS}]+[+#]*|%|[@&](?=\w))"
    r"|(?P<stop>[。！？；]|[.!?;…](?=[\"'*_)\]]|$))"
)
_THOUSANDS = re.compile(r"(-?\d{1,3}(?:,\d{3})+)(\.\d+)?")
# A sentence that begins so is not stated: "I don't think it is Paris".
_DOUBTED = (
    *(
        ("not", "think"),
        ("not", "believe"),
        ("i", "doubt"),
        ("we", "doubt"),
        ("false", "that"),
        ("wrong", "that"),
    ),
    *(("nobody", "says"), ("some", "say")),
)
# Words that may come between a denial and the phrase: "not in Paris", "no longer Paris".
_PREPOSITIONS = frozenset(
    ("in", "at", "on", "by", "from", "to", "with", "of", "as", "for", "into", "longer", "be")
)
# Reach of the search for the other half of "either … or …", in words.
_NEAR = 8
_VERBS = frozenset(
    ("do", "does", "did", "is", "was", "are", "were", "can", "could", "would", "will")
)
# Words that take back the sentence before them.
_RETRACTION = re.compile(
    r"(?<=[.!?\n])\s*(?:wait|oops|sorry|no|hold\s+on|actually|hmm)?[,.:!\s…-]*"
    + any_of(
        r"(?:that|this)(?:['’]s| (?:is|was)) (?:wrong|incorrect|not (?:right|correct|true))",
        r"scratch that\b|correction\b|i was wrong\b",
    ),
    re.IGNORECASE,
)
# A phrase right after one of these is denied, not stated.
_DENIED_AFTER = (
    *(("not",), ("不", "是"), ("never",), ("nor",), ("neither",), ("than",)),
    *(("instead", "of"), ("without",)),
)
# So is a phrase right before one of these.
_REJECTED = (
    ("wrong",),
    ("incorrect",),
    ("false",),
    ("not", "correct"),
    ("not", "right"),
    ("not", "answer"),
    ("never",),
)
_DENIED_BEFORE = tuple(
    (verb, *judgement) for verb in ("is", "was", "are", "were") for judgement in _REJECTED
)


def fold(text: str) -> str:
    """The text in lower case, with one form (NFKC) for each character, dash and apostrophe.

    `n't` becomes the word `not`, and a genitive's `'s` is removed.
    """
    folded = text.lower()
    if not text.isascii():
        powers = _SUPERSCRIPT.sub(lambda found: "^" + unicodedata.normalize("NFKC", found[0]), text)
        folded = _APOSTROPHE.sub(
            "'", _DASH.sub("-", unicodedata.normalize("NFKC", powers).casefold())
        )
    folded = _PER_CENT.sub("%", _MINUS.sub("-", _CURRENCY.sub("", folded)))
    if "'" in folded:
        folded = re.sub(r"(?<=\w)'s\b", "", folded.replace("n't", " not"))
    return folded


@dataclass(frozen=True, slots=True)
class Words:
    """A text's words in order.

    `begins` and `asked` say for each word whether it begins a sentence, and whether it is in a
    question.
    """

    words: tuple[str, ...]
    begins: tuple[bool, ...]
    asked: tuple[bool, ...]


def _number(token: str) -> str:
    """A number in one form: `1,000` is `1000`, `.5` is `0.5`."""
    token = token.rstrip(".,:")
    thousands = _THOUSANDS.fullmatch(token)
    if thousands is not None:
        token = thousands[1].replace(",", "") + (thousands[2] or "")
    token = token.replace(".", "0.", 1) if token.startswith((".", "-.")) else token
    return re.sub(r"\.0+$", "", token) if token.count(".") == 1 else token


def read(text: str) -> Words:
    """The words of a text: `1,000` is `1000`, `U.S.` is `us`; `-5`, `3.14`, `C++` are one word."""
    sentences: list[tuple[list[str], bool]] = [([], False)]
    for paragraph in re.split(r"\n[ \t]*\n", fold(text)):
        for chunk in paragraph.split():
            # Most of a text is plain words, perhaps with a mark after them. These need no pattern.
            if chunk in _OPERATORS or (
                chunk == "-" and sentences[-1][0] and sentences[-1][0][-1].isdecimal()
            ):
                # `x > 5` is not `x < 5`; at the beginning it is a bullet or a quotation mark of
                # Markdown.
                if sentences[-1][0]:
                    sentences[-1][0].append(chunk)
                continue
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
    all_words: list[str] = []
    begins: list[bool] = []
    asked: list[bool] = []
    for found, is_question in sentences:
        all_words += found
        begins += [place == 0 for place in range(len(found))]
        asked += [is_question] * len(found)
    return Words(tuple(all_words), tuple(begins), tuple(asked))


def _end(sentences: list[tuple[list[str], bool]], mark: str) -> None:
    """End the last sentence with a mark, and begin the next one."""
    sentences[-1] = (sentences[-1][0], mark == "?")
    sentences.append(([], False))


def _canonical(token: re.Match[str]) -> str:
    """The form in which a token is compared."""
    if token.lastgroup == "abbreviation":
        return token[0].replace(".", "")
    return _number(token[0]) if token.lastgroup == "number" else token[0]


@lru_cache(maxsize=2048)
def _words_of_phrase(text: str) -> tuple[str, ...]:
    return read(text).words


def words(text: str) -> tuple[str, ...]:
    """Only the words of a text. They are cached: the same phrases are compared with each answer."""
    return _words_of_phrase(text) if len(text) < 500 else read(text).words


def content(found: Sequence[str]) -> tuple[str, ...]:
    """The words without articles; all of them if there is nothing else."""
    return tuple(word for word in found if word not in _ARTICLES) or tuple(found)


def same(given: str, wanted: str) -> bool:
    """Whether two texts have the same words, articles apart.

    A text without words equals only the same characters.
    """
    mine, theirs = words(given), words(wanted)
    if not mine or not theirs:
        return bool(given.strip()) and given.strip() == wanted.strip()
    return content(mine) == content(theirs)


def _without_articles(text: Words) -> Words:
    if _ARTICLES.isdisjoint(text.words):
        return text
    kept = [i for i, word in enumerate(text.words) if word not in _ARTICLES]
    # Where an article began a sentence, the word after it does now.
    begins = [
        text.begins[i] or (text.words[i - 1] in _ARTICLES and text.begins[i - 1]) for i in kept
    ]
    return Words(
        tuple(text.words[i] for i in kept), tuple(begins), tuple(text.asked[i] for i in kept)
    )


@lru_cache(maxsize=64)
def looked_at(text: str) -> Text:
    """A text made ready for phrases.

    The last ones are cached: the checks of one question look at the same answer.
    """
    return Text(text)


class Text:
    """A text in which phrases are looked for as whole words."""

    def __init__(self, text: str):
        self._raw = text
        self._all = read(text)
        self._content = _without_articles(self._all)

    @property
    def word_count(self) -> int:
        """The number of words, articles included."""
        return len(self._all.words)

    @cached_property
    def _corrected(self) -> Text | None:
        """The text after the last words that take something back; None if little follows."""
        retractions = list(_RETRACTION.finditer(self._raw))
        if not retractions:
            return None
        rest = Text(self._raw[retractions[-1].end() :])
        return rest if rest.word_count > 2 else None

    def _places(self, phrase: str) -> tuple[Words, list[tuple[int, int]]]:
        """The words in which the phrase was looked for, and (start, end) of each place in them."""
        wanted = words(phrase)
        without_articles = tuple(word for word in wanted if word not in _ARTICLES)
        # Articles count only if the phrase is nothing else: `forbidden_words: [the]`.
        text = self._all
        if without_articles:
            text, wanted = self._content, without_articles
        size = len(wanted)
        if not size:
            return text, []
        starts = [i for i, word in enumerate(text.words) if word == wanted[0]]
        return text, [(i, i + size) for i in starts if text.words[i : i + size] == wanted]

    def count(self, phrase: str) -> int:
        """How often the phrase occurs in the text, denied or not."""
        if not words(phrase):
            return self._raw.count(phrase.strip()) if phrase.strip() else 0
        return len(self._places(phrase)[1])

    def states(self, phrase: str, as_subject: bool = False) -> bool:
        """Whether the text states the phrase: it is neither denied nor in a question.

        A denial ends with its sentence. With `as_subject`, a sentence that denies something about
        the phrase ("K9 does not open it") does not state it either.
        """
        if not words(phrase):
            return self.count(phrase) > 0
        text, places = self._places(phrase)
        if (
            places
            and self._corrected is not None
            and not self._corrected.states(phrase, as_subject)
        ):
            return False
        if as_subject:
            places = [place for place in places if not _negated_after(text, place[1])]
        return any(not text.asked[start] and not _denied(text, start, end) for start, end in places)


def _denied(text: Words, start: int, end: int) -> bool:
    """Whether the phrase at a place is denied, or is only one of two alternatives."""
    if _denied_before(text, start) or _denied_after(text, end):
        return True
    return _is_doubted(text, start) or _is_alternative(text, start, end)


def _is_doubted(text: Words, start: int) -> bool:
    """Whether the sentence of a place begins as doubt or hearsay: "I don't think …"."""
    first = start
    while first > 0 and not text.begins[first] and start - first < 12:
        first -= 1
    before = text.words[first:start]
    return any(
        before[i : i + len(doubt)] == doubt for doubt in _DOUBTED for i in range(len(before))
    )


def _denied_before(text: Words, start: int) -> bool:
    """Whether a denial is right before a place, or with one preposition between."""
    for first in (start, start - 1):
        if first < start and (
            first < 0 or text.begins[start] or text.words[first] not in _PREPOSITIONS
        ):
            break
        for denial in _DENIED_AFTER:
            begin = first - len(denial)
            if begin < 0 or text.words[begin:first] != denial:
                continue
            if not any(text.begins[begin + 1 : first + 1]):
                return True
    return False


def _denied_after(text: Words, end: int) -> bool:
    """Whether a denial begins at a place: "… is wrong"."""
    for denial in _DENIED_BEFORE:
        last = end + len(denial)
        if text.words[end:last] == denial and not any(text.begins[end:last]):
            return True
    return False


def _negated_after(text: Words, end: int) -> bool:
    """Whether a negated verb begins at a place: "… does not"."""
    verb, negation = text.words[end : end + 1], text.words[end + 1 : end + 2]
    return (
        verb != ()
        and verb[0] in _VERBS
        and negation == ("not",)
        and not any(text.begins[end : end + 2])
    )


def _is_alternative(text: Words, start: int, end: int) -> bool:
    """Whether a phrase is one of two: `either Paris or Lyon`."""
    sentence = start
    while sentence > 0 and not text.begins[sentence] and start - sentence < _NEAR:
        sentence -= 1
    limit = min(len(text.words), end + _NEAR)
    stop = next((place for place in range(end, limit) if text.begins[place]), limit)
    before, after = text.words[sentence:start], text.words[end:stop]
    return "either" in before and ("or" in after or before[-1:] == ("or",))
