"""The letter that an answer to a multiple-choice question commits to. A letter that is only mentioned chooses nothing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from scripts.lib.scoring.courtesy import without_courtesy
from scripts.lib.scoring.evidence import (
    LABELLED,
    STATED,
    Reading,
    Statement,
    Undecided,
    corrects,
    in_order,
    is_unmeant,
    settle,
    statements,
    tail,
)
from scripts.lib.scoring.words import looked_at, same, words

LETTERS = "ABCDEFGHIJ"
NONE = "none of them"
_ASIDE = re.compile(r"(?<=\s)\([^()\n]{3,200}\)")
_CONCLUDES = re.compile(r"\W*(?:so|therefore|thus|hence|in\s+conclusion)\b", re.IGNORECASE)
# What may stand around a letter: quotes, brackets, Markdown, LaTeX.
_OPEN = r"(?:[\s*_`~\"'“”‘’$(\[{<]|\\(?:text(?:bf|it|rm)?|math(?:rm|bf|sf)|boxed|fbox|operatorname|bf|rm)\s*\{?|\\[(\[]){0,10}+"
_CLOSE = r"(?:[*_`~\"'“”‘’$)\]}>]|\\[)\]]){0,10}"
_FILLER = (
    r"(?:(?:the\s+)?(?:letter|option|choice|answer|alternative|statement)\b\s*:?\s*|(?:la|le|die|der|das)\s+|(?:definitely|clearly|probably|likely|most\s+likely|indeed|therefore|thus|hence|simply|just|obviously|certainly"
    r"|surely|then|actually|really|most\s+certainly|correctly|again)\b,?\s*|\b(?:is|be|are)\b:?\s*|[:=→>-]\s{0,4}){0,6}+"
)
_CHOSEN = re.compile(
    rf"{_OPEN}{_FILLER}{_OPEN}(?P<letter>[A-Ja-j])(?P<close>{_CLOSE})(?![\w'’])(?P<after>[.):,;!?]?)(?P<rest>[^\n]{{0,80}})",
    re.DOTALL,
)
_OTHER = re.compile(
    rf"\s*(?:or|and|/|&|,|nor|und|oder)\s*(?:maybe|perhaps|possibly)?\s*(?:option\s+|choice\s+)?{_OPEN}(?P<letter>[A-J])(?![\w'’])(?!\s+(?:is|are|was|does|would|can)\b)"
)
_RIGHT = r"(?:(?:clearly|definitely|indeed|actually|therefore|thus|obviously|the|our|my|only|one|most|best|answer|option|choice)\s+)*(?:correct|right|true|best|accurate|appropriate|answer|valid|solution)\b(?!\s+(?:only\s+)?(?:if|when|in\s+part))"
_IS_RIGHT = re.compile(
    rf"(?<![\w'’])(?P<letter>[A-J]){_CLOSE}[):]?,?(?P<text>(?:(?!(?<![\w'’])[A-J](?![\w'’]))[^.\n:;,]){{0,80}}?)\s+(?:is|must\s+be|would\s+be|seems(?:\s+to\s+be)?|has\s+to\s+be)\s+{_OPEN}{_RIGHT}"
)
_I_CHOOSE = re.compile(
    rf"\b(?:I|we)(?:['’](?:d|ll|m|ve)|\s+(?:would|will|must|should|can|am|have))?\s+(?:therefore\s+|thus\s+|then\s+)?(?:choose|chose|chosen|pick(?:ed)?|select(?:ed)?|go(?:ing)?\s+(?:with|for)|say|vote\s+for|opt\s+for|conclude|answer)\s+{_FILLER}{_OPEN}(?P<letter>[A-J]){_CLOSE}(?![\w'’])",
    re.IGNORECASE,
)
_LEAVES = re.compile(
    rf"(?:\b(?:so|therefore|thus|hence|leaves?(?:\s+us)?(?:\s+with)?(?:\s+only)?|leaving(?:\s+us)?(?:\s+with)?(?:\s+only)?|it(?:['’]s|\s+is|\s+must\s+be|\s+has\s+to\s+be)|must\s+be|remains?|only|choose|go\s+with|select|pick|correct(?:\s+one)?\s+is|=>|→)[,:]?\s+)"
    rf"(?:only\s+)?{_FILLER}{_OPEN}(?P<letter>[A-J]){_CLOSE}(?:[.:,;!](?=\s|$)|\s*$)",
    re.IGNORECASE | re.MULTILINE,
)
_REMAINS = re.compile(
    rf"(?<![\w'’])(?P<letter>[A-J]){_CLOSE}\s+(?:remains|is\s+left|is\s+the\s+only\s+one(?:\s+left)?|fits|it\s+is|alone\s+\w+)\b"
)
_NOUN_IS = re.compile(
    rf"\b(?:option|choice|letter|alternative|selection)\b(?:\s+(?:here|of\s+the\s+(?:right|correct)\s+\w+))?\s+(?:is|would\s+be|must\s+be)\s+{_FILLER}{_OPEN}(?P<letter>[A-Ja-j]){_CLOSE}(?![\w'’])"
)
# Chinese: `答案是B`, `故选B`, `正确选项：B`.
_CHINESE = re.compile(
    rf"(?:答案|选项|故选|应选|选择|选)\s*(?:是|为)?\s*[:：]?\s*{_OPEN}(?P<letter>[A-J])(?![A-Za-z'’])"
)
_ORDINAL = re.compile(
    r"\b(?P<place>first|second|third|fourth|fifth|last)\s+(?:option|choice|answer|one|statement|alternative)\s+(?:is|must\s+be)\s+(?:the\s+)?(?:only\s+)?(?:correct|right|true|answer|best)\b",
    re.IGNORECASE,
)
# The last sentence ends on the letter: "The only prime is D.", "This is choice D.", "which gives (c)."
_ENDS = re.compile(
    rf"(?:\b(?:is|be|gives?|means|matches|to|with|yields|choose|namely|remains)\b|[:=→])\s+{_FILLER}{_OPEN}(?P<letter>[A-Ja-j])(?P<close>{_CLOSE})[.!]?[*_`\s]*\Z"
)
# A line of its own: `B`, `(b)`, `B) gold`, `**B. gold**`.
_LINE = re.compile(
    rf"^[ \t>#*_`\-•|]{{0,12}}+{_OPEN}(?P<letter>[A-Ja-j])(?P<close>{_CLOSE})(?P<mark>[.):\]]|\s[-–—|]|$)(?P<rest>[^\n]*)$",
    re.MULTILINE,
)
_VERDICT_YES = re.compile(r"\b(?:correct|right|true)\b|[✓✔✅☑]", re.IGNORECASE)
_VERDICT_NO = re.compile(r"\b(?:incorrect|not|wrong|false|isn['’]t|un\w+)\b|[✗✘❌✖]", re.IGNORECASE)
_BOLD = re.compile(r"(?:\*\*|__)\(?([A-J])\)?(?:[.):]?|[.):]\s[^*\n]{0,80})(?:\*\*|__)")
_CLAUSE = re.compile(r"[;:]\s+|\s[-–—]\s|,?\s(?=\b(?:because|since|unlike|whereas|while|although|though|but|not|so)\b)")
_REASON = re.compile(r"(?:because|since|unlike|whereas|while|although|though|not)\b", re.IGNORECASE)
_UNSURE = re.compile(
    r"\bI\s+(?:can(?:not|['’]t)\s+(?:say|tell|decide|answer)|do(?:\s+not|n['’]t)\s+know|am\s+not\s+sure)\b"
)
_NEGATED = re.compile(r"\b(?:not|n['’]t|never|hardly|than)\b")
_PROSE = re.compile(r"\s+(?:is|are|was|were|would|could|can|might|may|has|have|does|fails|holds|applies|seems)\b")
_AFTER_ARTICLE = re.compile(
    r"\s+(?!(?:is|was|because|since|as|and|or|with|which|would|will|for|due|given|meaning|by|in|from|from)\b)[a-z]"
)


@dataclass(frozen=True, slots=True)
class Choice:
    """The letter chosen; `others` where the same statement names more. `doubt`: the letter has the text of another choice."""

    letter: str
    others: tuple[str, ...] = ()
    doubt: bool = False


def _letter(text: str, allowed: str) -> Choice | None:
    """The letter that a text begins with, wrapped in whatever. `a` and `I` as words of a sentence are none."""
    match = _CHOSEN.match(text)
    if match is None:
        return None
    letter, rest = match["letter"], match["after"] + match["rest"]
    if letter.upper() not in allowed:
        return None
    wrapped = bool(match["close"]) or match["after"] in (")", ".", ":")
    if letter.islower() and not wrapped and rest.strip():
        return None
    if letter in "AIa" and not wrapped and _AFTER_ARTICLE.match(rest):
        return None
    return _with_others(letter.upper(), rest, allowed)


def _with_others(letter: str, rest: str, allowed: str) -> Choice:
    other = _OTHER.match(rest)
    if (
        other is not None
        and other["letter"] in allowed
        and other["letter"] != letter
        and not rest.startswith((".", "!"))
    ):
        return Choice(letter, (other["letter"],))
    return Choice(letter)


_CANDIDATE = re.compile(r"(?<![A-Za-z0-9_'’])[A-Ja-j](?![A-Za-z0-9_'’])")
_DENIED = re.compile(r"\b(?:not|nor|neither|n['’]t)\s+(?:\w+\s+)?$", re.IGNORECASE)


def _windows(text: str) -> Iterator[tuple[int, int]]:
    """The stretches of lines around single letters: nothing else can choose one."""
    begin, end = 0, -1
    for match in _CANDIDATE.finditer(text):
        if match.start() < end:
            end = match.end() + 120
            continue
        if end >= 0:
            yield begin, _line_end(text, end)
        begin, end = max(_line_end(text, end) if end >= 0 else 0, match.start() - 120), match.end() + 120
    if end >= 0:
        yield begin, _line_end(text, end)


def _line_end(text: str, place: int) -> int:
    end = text.find("\n", place)
    return len(text) if end < 0 else end


def _prose(text: str) -> Iterator[Statement]:
    """Sentences that choose a letter: "B is correct", "I choose B", "so B."."""
    for begin, end in _windows(text):
        for pattern in (_IS_RIGHT, _I_CHOOSE, _LEAVES, _REMAINS, _NOUN_IS, _CHINESE):
            for match in pattern.finditer(text, begin, end):
                if not (pattern is _IS_RIGHT and _NEGATED.search(match["text"])):
                    yield from _sentence(text, match)
    if (match := _ENDS.search(text, max(0, len(text) - 200))) is not None:
        yield from _sentence(text, match)


def _sentence(text: str, match: re.Match[str]) -> Iterator[Statement]:
    if _DENIED.search(text, max(0, match.start() - 30), match.start()) or is_unmeant(text, match.start()):
        return
    place = match.start("letter")
    yield Statement("a sentence", STATED, match.start(), match.end(), text[place : place + 100].split("\n")[0], place)


def _lines(text: str, allowed: str) -> Iterator[Statement]:
    """Lines that are a letter, or begin with the one that is chosen; a list of the options is none."""
    found = [
        m
        for m in _LINE.finditer(text)
        if m["letter"].upper() in allowed and (m["close"] or m["mark"] or not m["rest"].strip())
    ]
    found = [
        m for m in found if not (m["letter"].islower() and m["mark"] not in (")", ".", ":", "]") and m["rest"].strip())
    ]
    found = [m for m in found if not _PROSE.match(m["rest"])]
    approved = [m for m in found if _VERDICT_YES.search(m["rest"]) and not _VERDICT_NO.search(m["rest"])]
    letters = {m["letter"].upper() for m in found}
    if len(letters) > 1:
        alone = [m for m in found if not m["rest"].strip()]
        last = [m for m in found[-1:] if _is_apart(text, m)]
        found = approved if len(approved) == 1 else last or (alone if len(alone) == 1 else [])
    for match in found:
        if len(letters) == 1 and _VERDICT_NO.search(match["rest"]) and not approved:
            continue
        rank = STATED if match["rest"].strip() else LABELLED
        yield Statement(
            "a line",
            rank,
            match.start(),
            match.end(),
            match["letter"].upper() + match["mark"] + match["rest"],
            match.start("letter"),
        )


def _is_apart(text: str, match: re.Match[str]) -> bool:
    """Whether a line is the last one, after a blank line: no part of a list."""
    return not text[match.end() :].strip() and re.search(r"\n\s*\n\s*\Z", text[: match.start("letter")]) is not None


# A choice of one of these words is meant where a clause begins with it: "there is no exception" says nothing.
_SHORT = frozenset(("yes", "no", "true", "false", "none"))


def _named(text: str, choices: Mapping[str, str]) -> list[str]:
    """The letters of the choices whose texts are stated; `white gold` names no `gold`."""
    first = words(text[:40])[:1]
    named = [
        letter
        for letter, choice in choices.items()
        if (
            words(choice) == first
            if choice.lower().strip(".") in _SHORT
            else looked_at(text).states(choice, as_subject=True)
        )
    ]
    return [a for a in named if not any(a != b and looked_at(choices[b]).states(choices[a]) for b in named)]


def _by_place(text: str, choices: Mapping[str, str]) -> Iterator[Statement]:
    """Statements such as "the last option is the right one"."""
    letters = list(choices)
    for match in _ORDINAL.finditer(text):
        place = {"first": 0, "second": 1, "third": 2, "fourth": 3, "fifth": 4, "last": -1}[match["place"].lower()]
        if letters and place < len(letters):
            yield Statement("a sentence", STATED, match.start(), match.end(), letters[place], match.start())


def _own_words(choices: Mapping[str, str]) -> dict[str, str]:
    """Word -> letter, of the longer words that only one choice has."""
    counted = Counter(word for text in choices.values() for word in set(words(text)))
    return {w: letter for letter, text in choices.items() for w in words(text) if counted[w] == 1 and len(w) > 3}


def _by_text(text: str, choices: Mapping[str, str]) -> str | None:
    """The letter of the one choice whose text is stated: as the first sentence, else in the last clause that states just one."""
    sentences = [piece for piece in re.split(r"\n+|(?<=[.!?])\s+", _ASIDE.sub(" ", text)) if piece.strip()]
    if sentences and not corrects(text, 0, len(text)):
        for letter, choice in choices.items():
            if same(sentences[0], choice):
                return letter
    sentences.sort(key=lambda sentence: _CONCLUDES.match(sentence) is not None)
    clauses = [clause for sentence in sentences for clause in _CLAUSE.split(sentence) if not _REASON.match(clause)]
    for piece in (*reversed(clauses), *reversed(sentences)):
        named = _named(piece, choices)
        if len(named) == 1:
            return named[0]
    if any(looked_at(text).count(choice) for choice in choices.values()):
        return None
    own = _own_words(choices)
    letters = {own[word] for word in words(text) if word in own}
    return letters.pop() if len(letters) == 1 else None


def read_choice(answer: str, value: str, choices: Mapping[str, str]) -> Reading[Choice] | Undecided[Choice] | None:
    """The choice of an answer; None where it makes none."""
    allowed = "".join(str(letter).strip().upper() for letter in choices) or LETTERS
    allowed += value if value not in allowed else ""
    text = without_courtesy(tail(answer))

    def read(statement: Statement) -> Choice | None:
        found = _letter(statement.text, allowed)
        sentence = re.split(r"(?<=[^\W\d_]{3}[.!?])\s", statement.text)[0]
        if found is None:
            if not choices or statement.form in ("a line", "a sentence"):
                return None
            phrase = _ASIDE.sub(" ", sentence)
            named = _named(phrase, choices)
            if not named and statement.rank <= LABELLED and 0 < len(words(phrase)) <= 3:
                # "Answer: none": an answer of its own, and none of the choices.
                return Choice(NONE)
            return Choice(named[0]) if len(named) == 1 else None
        phrase = re.split(r"[.,;!\n]|\b(?:because|since|as)\b", re.sub(r"^\W*\w\W*", "", statement.text))[0]
        other = next((letter for letter, choice in choices.items() if same(phrase, choice)), found.letter)
        return found if other == found.letter else Choice(found.letter, (other,), doubt=True)

    found = [*statements(text), *_prose(text), *_lines(text, allowed), *_by_place(text, choices)]
    settled = settle(text, in_order(found), read)
    if settled is not None:
        return settled
    bold = {m[1] for m in _BOLD.finditer(text) if m[1] in allowed}
    if len(bold) == 1:
        letter = bold.pop()
        return Reading(Choice(letter), "bold", letter)
    if _UNSURE.search(text):
        return None
    named = _by_text(text, choices)
    return Reading(Choice(named), "the choice's text", str(choices[named])) if named else None
