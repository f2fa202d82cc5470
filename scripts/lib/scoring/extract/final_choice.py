"""The letter that an answer to a multiple-choice question commits to.

A mention of a letter is not a choice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from scripts.lib.scoring.extract.choice_texts import ASIDE, by_text, named
from scripts.lib.scoring.extract.courtesy import without_courtesy
from scripts.lib.scoring.extract.evidence import (
    LABELLED,
    STATED,
    Reading,
    Statement,
    in_order,
    is_unmeant,
    settle,
    statements,
    tail,
)
from scripts.lib.scoring.extract.phrases import any_of
from scripts.lib.scoring.extract.words import same, words

# A match of _LINE.
Line = re.Match[str]
LETTERS = "ABCDEFGHIJ"
NONE = "none of them"
_FULL_WIDTH = str.maketrans({chr(0xFEE0 + ord(letter)): letter for letter in LETTERS})

# --- parts of the patterns ------------------------------------------------------------------------

# What may surround a letter: quotes, brackets, Markdown, LaTeX.
_LATEX_STYLE = r"\\(?:text(?:bf|it|rm)?|math(?:rm|bf|sf)|boxed|fbox|operatorname|bf|rm)\s*\{?"
_OPEN = (
    r"(?:[\s*_`~\"'“”‘’«【「$(\[{<]|<(?:b|i|strong|em|choice|option)>"
    rf"|{_LATEX_STYLE}|\\[(\[]){{0,10}}+"
)
_CLOSE = r"(?:</(?:b|i|strong|em|choice|option)>|[*_`~\"'“”‘’»】」$)\]}>]|\\[)\]]){0,10}"
# Words and marks that may come between "the answer is" and the letter.
_ADVERB = any_of(
    "definitely|clearly|probably|likely|most likely|indeed|therefore|thus|hence|simply|just"
    "|obviously",
    "certainly|surely|then|actually|really|most certainly|correctly|again",
)
_FILLER = (
    r"(?:(?:the\s+)?(?:letter|option|choice|answer|alternative|statement)\b\s*:?\s*|(?:la|le|die"
    r"|der|das)\s+"
    rf"|{_ADVERB}\b,?\s*|\b(?:is|be|are)\b:?\s*|[:=→>-]\s{{0,4}}){{0,6}}+"
)
_LETTER_HERE = rf"{_FILLER}{_OPEN}(?P<letter>[A-J])"
_ANY_LETTER_HERE = rf"{_FILLER}{_OPEN}(?P<letter>[A-Ja-j])"
_NOT_IN_WORD = r"(?<![\w'’])"
_WORD_ENDS = r"(?![\w'’])"
_RIGHT = (
    r"(?:(?:clearly|definitely|indeed|actually|therefore|thus|obviously|the|our|my|only|one|most"
    r"|best|answer"
    r"|option|choice)\s+)*(?:correct|right|true|best|accurate|appropriate|answer|valid|solution)\b"
    r"(?!\s+(?:only\s+)?(?:if|when|in\s+part))"
)

# --- statements -----------------------------------------------------------------------------------

# A statement's text that begins with a letter.
_CHOSEN = re.compile(
    rf"{_OPEN}{_ANY_LETTER_HERE}(?P<close>{_CLOSE}){_WORD_ENDS}(?P<after>[.):,;!?]?)(?P<rest>[^\n]{{0,80}})",
    re.DOTALL,
)
# Another letter after it: "B or C".
_OTHER = re.compile(
    r"\s*(?:or|and|/|&|,|nor|und|oder)\s*(?:maybe|perhaps|possibly)?\s*(?:option\s+|choice\s+)?"
    rf"{_OPEN}(?P<letter>[A-J]){_WORD_ENDS}(?!\s+(?:is|are|was|does|would|can)\b)"
)
# "B is correct", "B, gold, must be the answer".
_NO_OTHER_LETTER = rf"(?:(?!{_NOT_IN_WORD}[A-J]{_WORD_ENDS})[^.\n:;,]){{0,80}}?"
_IS_RIGHT = re.compile(
    rf"{_NOT_IN_WORD}(?P<letter>[A-J]){_CLOSE}[):]?,?(?P<text>{_NO_OTHER_LETTER})"
    rf"\s+{any_of('is|must be|would be|seems(?: to be)?|has to be')}\s+{_OPEN}{_RIGHT}"
)
_CHOOSE = any_of(
    "choose|chose|chosen|pick(?:ed)?|select(?:ed)?|go(?:ing)? (?:with|for)",
    "say|vote for|opt for|conclude|answer",
)
_I_CHOOSE = re.compile(
    r"\b(?:I|we)(?:['’](?:d|ll|m|ve)|\s+(?:would|will|must|should|can|am|have))?\s+"
    rf"(?:therefore\s+|thus\s+|then\s+)?{_CHOOSE}\s+{_LETTER_HERE}{_CLOSE}{_WORD_ENDS}",
    re.IGNORECASE,
)
# "so B.", "which leaves only B.", "it must be B."
_LEADS_TO = any_of(
    r"\b(?:so|therefore|thus|hence|leaves?(?: us)?(?: with)?(?: only)?|leaving(?: us)?(?: "
    r"with)?(?: only)?"
    r"|it(?:['’]s| is| must be| has to be)|must be|remains?|only|choose|go with|select|pick"
    r"|correct(?: one)? is|=>|→)[,:]? "
)
_LEAVES = re.compile(
    rf"{_LEADS_TO}(?:only\s+)?{_LETTER_HERE}{_CLOSE}(?:[.:,;!](?=\s|$)|\s*$)",
    re.IGNORECASE | re.MULTILINE,
)
_REMAINS = re.compile(
    rf"{_NOT_IN_WORD}(?P<letter>[A-J]){_CLOSE}\s+"
    + any_of(r"remains|is left|is the only one(?: left)?|fits|it is|alone \w+")
    + r"\b"
)
# "The correct option is B."
_NOUN_IS = re.compile(
    r"\b(?:option|choice|letter|alternative|selection)\b(?:\s+(?:here|of\s+the\s+(?:right"
    r"|correct)\s+\w+))?"
    rf"\s+(?:is|would\s+be|must\s+be)\s+{_ANY_LETTER_HERE}{_CLOSE}{_WORD_ENDS}"
)
# Chinese: `答案是B`, `故选B`, `正确选项：B`.
_CHINESE = re.compile(
    rf"(?:答案|选项|故选|应选|选择|选)\s*(?:是|为)?\s*[:：]?\s*{_OPEN}(?P<letter>[A-J])(?![A-Za-z'’])"
)
_PROSE_FORMS = (_IS_RIGHT, _I_CHOOSE, _LEAVES, _REMAINS, _NOUN_IS, _CHINESE)
_ORDINAL = re.compile(
    r"\b(?P<place>first|second|third|fourth|fifth|last)\s+"
    r"(?:option|choice|answer|one|statement|alternative)\s+(?:is|must\s+be)\s+"
    r"(?:the\s+)?(?:only\s+)?(?:correct|right|true|answer|best)\b",
    re.IGNORECASE,
)
_PLACES = {"first": 0, "second": 1, "third": 2, "fourth": 3, "fifth": 4, "last": -1}
# The answer ends on the letter: "The only prime is D.", "This is choice D.", "which gives (c)."
_ENDS = re.compile(
    r"(?:\b(?:is|be|gives?|means|matches|to|with|yields|choose|namely|remains)\b|[:=→])\s+"
    rf"{_ANY_LETTER_HERE}(?P<close>{_CLOSE})[.!]?[*_`\s]*\Z"
)
# A short answer of its own: "Option B", "B!", "I think B", "B because A is Ag", "B (gold)".
_TERSE = re.compile(
    r"^[ \t>#*_`✅☑✓-]{0,8}(?:(?:i\s+(?:think|believe|guess|would\s+say|['’]d\s+say)"
    r"|my\s+(?:best\s+)?guess|probably|definitely|yes|in\s+summary"
    r"|(?:the\s+)?(?:answer|antwort|option|choice|letter))\b(?:\s+(?:is|it\s+is"
    r"|it['’]s))?[,:]?\s*){0,3}"
    rf"{_OPEN}(?P<letter>[A-J]){_CLOSE}(?P<rest>[\s!.,;:…✅☑✓*]*|,\s+(?:not|definitely|since"
    rf"|because)\b[^\n]*"
    r"|\s+(?:because|since|as|i\s+think|i\s+believe)\b[^\n]*|\s+\([^()\n]*\)[.\s]*)$",
    re.IGNORECASE,
)
# A line that begins with a letter: `B`, `(b)`, `B) gold`, `**B. gold**`.
_LINE = re.compile(
    rf"^[ \t>#*_`\-•|]{{0,12}}+{_OPEN}(?P<letter>[A-Ja-j])(?P<close>{_CLOSE})"
    r"(?P<mark>[.):\]]|\s[-–—|]|$)(?P<rest>[^\n]*)$",
    re.MULTILINE,
)
_BOLD = re.compile(r"(?:\*\*|__)\(?([A-J])\)?(?:[.):]?|[.):]\s[^*\n]{0,80})(?:\*\*|__)")

# --- what surrounds them --------------------------------------------------------------------------

_VERDICT_YES = re.compile(r"\b(?:correct|right|true)\b|[✓✔✅☑]", re.IGNORECASE)
_VERDICT_NO = re.compile(r"\b(?:incorrect|not|wrong|false|isn['’]t|un\w+)\b|[✗✘❌✖]", re.IGNORECASE)
_UNSURE = re.compile(
    any_of(
        r"\bI (?:can(?:not|['’]t) (?:say|tell|decide|answer)|do(?: not|n['’]t) know|am not sure)\b"
    )
)
_ASKED = re.compile(r"[^.!\n]{0,40}\?")
_NEGATED = re.compile(r"\b(?:not|n['’]t|never|hardly|than)\b")
_DENIED = re.compile(r"(?:\b(?:not|nor|neither|never)|n['’]t)\s+(?:\w+\s+)?$", re.IGNORECASE)
# After a letter at the beginning of a line: the line is a sentence about it.
_PROSE = re.compile(
    r"\s+(?:is|are|was|were|would|could|can|might|may|has|have|does|fails|holds|applies|seems)\b",
)
# After `A` or `I`: these are words of a sentence.
_AFTER_ARTICLE = re.compile(
    r"\s+(?!(?:is|was|because|since|as|and|or|with|which|would|will|for|due|given|meaning|by|in"
    r"|from)\b)"
    r"[a-z]"
)
# A letter on its own, whatever its meaning.
_CANDIDATE = re.compile(r"(?<![A-Za-z0-9_'’])[A-Ja-j](?![A-Za-z0-9_'’])")
# Inside a statement, the sign must follow a word: "B. Gold is dense." is one sentence.
_FIRST_SENTENCE_GAP = re.compile(r"(?<=[^\W\d_]{3}[.!?])\s")
_PHRASE_GAP = re.compile(r"[.,;!\n]|\b(?:because|since|as)\b")
_LEADING_LETTER = re.compile(r"^\W*\w\W*")
_BLANK_LINE_AT_END = re.compile(r"\n\s*\n\s*\Z")


@dataclass(frozen=True, slots=True)
class Choice:
    """The letter chosen, and `others` that the same statement names.

    `doubt`: the letter comes with the text of another choice.
    """

    letter: str
    others: tuple[str, ...] = ()
    doubt: bool = False


def _letter(text: str, allowed: str) -> Choice | None:
    """The letter that a text begins with, with or without marks around it.

    None if there is none, or if `a`, `A` or `I` is a word.
    """
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
    return _with_other(letter.upper(), rest, allowed)


def _with_other(letter: str, rest: str, allowed: str) -> Choice:
    """A letter, with the other one that is named right after it in the same sentence."""
    other = _OTHER.match(rest)
    if other is None or rest.startswith((".", "!")):
        return Choice(letter)
    if other["letter"] == letter or other["letter"] not in allowed:
        return Choice(letter)
    return Choice(letter, (other["letter"],))


def _windows(text: str) -> Iterator[tuple[int, int]]:
    """(start, end) of the parts of a text around single letters: a choice can only be there."""
    begin, end = 0, -1
    for match in _CANDIDATE.finditer(text):
        if match.start() >= end:
            if end >= 0:
                yield begin, _line_end(text, end)
            begin = max(_line_end(text, end) if end >= 0 else 0, match.start() - 120)
        end = match.end() + 120
    if end >= 0:
        yield begin, _line_end(text, end)


def _line_end(text: str, place: int) -> int:
    """Where the line of a place ends."""
    end = text.find("\n", place)
    return len(text) if end < 0 else end


def _prose(text: str) -> Iterator[Statement]:
    """The sentences that choose a letter: "B is correct", "I choose B", "so B."."""
    for begin, end in _windows(text):
        for pattern in _PROSE_FORMS:
            for match in pattern.finditer(text, begin, end):
                if not (pattern is _IS_RIGHT and _NEGATED.search(match["text"])):
                    yield from _sentence(text, match)
    ending = _ENDS.search(text, max(0, len(text) - 200))
    if ending is not None:
        yield from _sentence(text, ending)


def _terse(text: str) -> Iterator[Statement]:
    """The statement of an answer whose first or last line is little more than a letter."""
    lines = [line for line in text.split("\n") if line.strip()]
    for line in dict.fromkeys((*lines[:1], *lines[-1:])):
        match = _TERSE.match(line) if len(line) <= 120 else None
        if match is not None and match["letter"].isupper():
            start = text.find(line) + match.start("letter")
            yield Statement(
                "a line", STATED, start, start + 1, match["letter"] + match["rest"], start
            )


def _sentence(text: str, match: re.Match[str]) -> Iterator[Statement]:
    """The statement of a sentence; none if it is denied, a condition or a question."""
    if _ASKED.match(text, match.end()):
        return
    if _DENIED.search(text, max(0, match.start() - 30), match.start()) or is_unmeant(
        text, match.start()
    ):
        return
    place = match.start("letter")
    said = text[place : place + 100].split("\n")[0]
    yield Statement("a sentence", STATED, match.start(), match.end(), said, place)


def _lines(text: str, allowed: str) -> Iterator[Statement]:
    """The lines that are a letter, or begin with the one that is chosen.

    A list of the options chooses none.
    """
    found = [line for line in _LINE.finditer(text) if _is_choice_line(line, allowed)]
    approved = [
        m for m in found if _VERDICT_YES.search(m["rest"]) and not _VERDICT_NO.search(m["rest"])
    ]
    several = len({line["letter"].upper() for line in found}) > 1
    if several:
        found = _chosen_lines(text, found, approved)
    for line in found:
        if not several and not approved and _VERDICT_NO.search(line["rest"]):
            continue
        rank = STATED if line["rest"].strip() else LABELLED
        said = line["letter"].upper() + line["mark"] + line["rest"]
        yield Statement("a line", rank, line.start(), line.end(), said, line.start("letter"))


def _is_choice_line(line: Line, allowed: str) -> bool:
    """Whether a line has the form of a choice.

    That is a letter, alone or with a mark, which does not begin a sentence.
    """
    letter, mark, rest = line["letter"], line["mark"], line["rest"]
    if letter.upper() not in allowed or _PROSE.match(rest):
        return False
    if rest.strip() and not (line["close"] or mark):
        return False
    # "a - b" is not a choice, "a) gold" is one.
    return letter.isupper() or mark in (")", ".", ":", "]") or not rest.strip()


def _chosen_lines(text: str, found: list[Line], approved: list[Line]) -> list[Line]:
    """The chosen one of lines with several letters.

    It is called right, set apart at the end, or alone on its line.
    """
    if len(approved) == 1:
        return approved
    if _is_apart(text, found[-1]):
        return found[-1:]
    alone = [line for line in found if not line["rest"].strip()]
    return alone if len(alone) == 1 else []


def _is_apart(text: str, line: Line) -> bool:
    """Whether a line is the last one, after a blank line: then it is not part of a list."""
    if text[line.end() :].strip():
        return False
    return _BLANK_LINE_AT_END.search(text[: line.start("letter")]) is not None


def _by_place(text: str, choices: Mapping[str, str]) -> Iterator[Statement]:
    """Statements such as "the last option is the right one"."""
    letters = list(choices)
    for match in _ORDINAL.finditer(text):
        place = _PLACES[match["place"].lower()]
        if letters and place < len(letters):
            yield Statement(
                "a sentence", STATED, match.start(), match.end(), letters[place], match.start()
            )


def _choice_of(statement: Statement, allowed: str, choices: Mapping[str, str]) -> Choice | None:
    """The choice that a statement makes, by letter or by text; None if it makes none."""
    found = _letter(statement.text, allowed)
    if found is None:
        return _choice_by_text(statement, choices)
    phrase = _PHRASE_GAP.split(_LEADING_LETTER.sub("", statement.text))[0]
    other = next(
        (letter for letter, choice in choices.items() if same(phrase, choice)), found.letter
    )
    return found if other == found.letter else Choice(found.letter, (other,), doubt=True)


def _choice_by_text(statement: Statement, choices: Mapping[str, str]) -> Choice | None:
    """The choice whose text a statement gives.

    It is NONE for a short answer of its own, such as "Answer: neither".
    """
    if not choices or statement.form in ("a line", "a sentence"):
        return None
    phrase = ASIDE.sub(" ", _FIRST_SENTENCE_GAP.split(statement.text)[0])
    found = named(phrase, choices)
    if not found and statement.rank <= LABELLED and 0 < len(words(phrase)) <= 3:
        return Choice(NONE)
    return Choice(found[0]) if len(found) == 1 else None


def read_choice(
    answer: str,
    value: str,
    choices: Mapping[str, str],
) -> Reading[Choice] | None:
    """The choice of an answer; None if it makes none.

    `value` is the letter that is expected; `choices` maps letters to texts, and may be empty.
    """
    allowed = "".join(str(letter).strip().upper() for letter in choices) or LETTERS
    allowed += value if value not in allowed else ""
    text = without_courtesy(tail(answer)).translate(_FULL_WIDTH)
    found = [
        *statements(text),
        *_prose(text),
        *_lines(text, allowed),
        *_terse(text),
        *_by_place(text, choices),
    ]
    settled = settle(
        text, in_order(found), lambda statement: _choice_of(statement, allowed, choices)
    )
    if settled is not None:
        return settled
    bold = {match[1] for match in _BOLD.finditer(text) if match[1] in allowed}
    if len(bold) == 1:
        letter = bold.pop()
        return Reading(Choice(letter), "bold", letter)
    if _UNSURE.search(text):
        return None
    stated = by_text(text, choices)
    return Reading(Choice(stated), "the choice's text", str(choices[stated])) if stated else None
