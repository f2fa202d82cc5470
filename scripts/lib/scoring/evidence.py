"""What an answer states, in one order of evidence for every check that extracts something.

1. an explicit final form: "final answer: …", `#### …`, `<answer>…</answer>`, `{"answer": …}`, and after these `\\boxed{…}`, which
   models also put around intermediate results
2. a labelled line: `Answer: …`
3. a statement in prose: "the answer is …"; "would be" only where nothing is stated
4. what the answer ends on; each check reads that in its own way

A mention is no statement: neither is a denial ("is not 9"), a condition ("if the answer is 9") nor a question. A statement of a
higher kind replaces an earlier one of a lower kind. Two that contradict each other otherwise are *undecided*, unless words
between them say that the later one corrects the earlier.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

# Extraction looks at the end of an answer: conclusions stand there.
TAIL_CHARACTERS = 20_000
# A statement's text; what follows is explanation.
MOST_STATEMENT = 400
FINAL, BOXED, LABELLED, STATED, SUPPOSED = range(5)
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Statement:
    """A place that states the answer: its form and rank, from where to where, and the text that begins with the value."""

    form: str
    rank: int
    start: int
    end: int
    text: str
    value_start: int = -1


@dataclass(frozen=True, slots=True)
class Reading(Generic[Value]):
    """What an answer says: the value, the form of evidence it was read from, and that text."""

    value: Value
    form: str
    text: str


@dataclass(frozen=True, slots=True)
class Undecided(Generic[Value]):
    """Why an answer cannot be read in one way, and the values between which it leaves the choice."""

    reason: str
    values: tuple[Value, ...] = ()


_MARKUP = r"[\s*_`~>#]*"
_FINAL = re.compile(
    r"\b(?:final|definitive)\s+(?:answer|result|choice|value|solution|numerical\s+answer)\b"
    r"(?P<middle>(?:\s+(?:to|for|of)\b[^\n:=]{0,60})?)"
    r"[*_`\s]{0,8}(?::|=|\bis\b|\bare\b|\n|[-–—]\s)",
    re.IGNORECASE,
)
_HASHES = re.compile(r"^[ \t]*####[ \t]+(?P<value>\S[^\n]*)$", re.MULTILINE)
_TAGGED = re.compile(
    r"<(?P<tag>answer|final_answer|final|result|solution|ans)>\s*(?P<value>.{1,2000}?)\s*</(?P=tag)>", re.I | re.S
)
_KEYED = re.compile(
    r"[\"'](?:final_?answer|answer|choice|result|option|final|solution|correct_?(?:answer|option|choice))[\"']\s*:\s*"
    r"(?P<value>\"(?:[^\"\\\n]|\\.){0,500}\"|-?\d[\d.]*(?:[eE][-+]?\d+)?)\s*(?=[,}\n])",
    re.IGNORECASE,
)
_LABEL = re.compile(
    r"^[ \t>*_#`~\-•]{0,12}+(?:\d{1,3}[.)][ \t]*)?[*_]{0,4}"
    r"(?:(?:the|my|our|correct|right|so|therefore|thus|hence|short|direct|your|best)\b,?[ \t]+){0,3}"
    r"(?:answer|ans|lösung|antwort|réponse|respuesta|risposta|resposta|ответ|答案|答え|回答)[ \t]*"
    r"[*_`]{0,6}[ \t]*(?:[:：=]|[-–—](?=[ \t])|\.(?=\s)|\n)",
    re.IGNORECASE | re.MULTILINE,
)
_ANSWERS = ("answer", "solution", "antwort", "réponse", "respuesta", "risposta", "resposta")
_STATED = re.compile(
    rf"\b(?:{'|'.join(_ANSWERS)})\b[*_`\"”]{{0,6}}(?:\s+(?:correct[aeo]?|corretta|richtige))?"
    r"(?:,?\s+(?:therefore|then|thus|so|hence|finally|here|again|in\s+(?:this|that)\s+case|after\s+all),?)?"
    r"(?:\s+(?:to|for|of)\s+(?:the|this|your|our|my)\s+(?!(?:first|second|third|next|previous|sub|other|part)\b)[^.:;!?\n=]{1,80}?"
    r"|\s+(?:in|as)\s+[^.:;!?\n=]{1,40}?)?"
    r"\s*(?P<verb>\bis\b|\bare\b|\bwas\b|=|:|\bequals\b|\b(?:would|will|should|must|has\s+to|ought\s+to)\s+be\b|\bcomes\s+(?:out\s+)?(?:to|as)\b|\bbecomes\b|\bremains\b|['’]s\b|\b(?:ist|lautet|est|es|è|é)\b)",
    re.IGNORECASE,
)
# What makes a statement a condition, a question or somebody else's opinion: looked for in its own sentence, before it.
_UNMEANT = re.compile(
    r"\b(?:if|whether|unless|suppose|assum\w+|(?-i:might|may)|could|tempting|naive\w*|wrongly|incorrect|wrong|mistaken\w*|would\s+(?:say|think)|thought|think\s+that\s+the"
    r"|not\s+(?:say|sure)|what|check\s+that|verify\s+that|expect\w*|guess\w*|claim\w*|seems?|says?|said)\b"
    r"|n['’]t\s+(?:say|think|sure)|\b(?:initial|first|previous|earlier|old|original|partial|intermediate)\s+$",
    re.IGNORECASE,
)
_DENIED = re.compile(r"^[\s*_]*(?:(?:is|are|was)?\s*n['’]t|not|never|neither|no\s+longer)\b", re.IGNORECASE)
_INSTEAD = re.compile(r"\b(?:but(?:\s+rather|\s+instead)?|rather|instead|it\s+is|it['’]s)\b[\s,:]*", re.IGNORECASE)
_CORRECTION = re.compile(
    r"\b(?:wait|correction|correcting|actually|sorry|apolog\w+|mistake\w*|mis(?:read|counted|calculated|stated|take)\w*|let\s+me\s+(?:re|correct|fix|redo|double|check)\w*|correct\s+(?:this|that|myself|it)\b"
    r"|on\s+second\s+thoughts?|scratch\s+that|was\s+wrong|is\s+wrong|wasn['’]t\s+right|not\s+(?:right|correct)|incorrect|oops|hold\s+on|re-?check\w*|reconsider\w*|revis\w+"
    r"|instead|error|should\s+(?:have\s+been|be)|updated?|corrected|hmm+|strike\s+that|i\s+meant|rather)\b|(?:^|[.!?\n]\s*)no[,.!:—-]",
    re.IGNORECASE,
)
# A sentence that says that there is no answer.
REFUSAL = re.compile(
    r"\b(?:i|we)\s+(?:can(?:not|['’]t)|could\s*n[o'’]t|am\s+(?:not\s+able|unable)|(?:do|did)(?:\s+not|n['’]t)\s+know|will\s+not|won['’]t)\b"
    r"|\b(?:cannot|can\s*not|impossible\s+to)\s+(?:be\s+)?(?:determine|say|tell|answer|know|calculat|comput)\w*\b|\bnot\s+enough\s+information\b|\b(?:is|was)\s+not\s+(?:stated|given|mentioned|specified|provided|known)\b",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)|\n")


def tail(answer: str) -> str:
    """The part of an answer that extraction looks at."""
    return answer[-TAIL_CHARACTERS:]


def balanced(text: str, start: int) -> str | None:
    """What stands between the brace at `start` and its partner; None where that is missing."""
    depth = 0
    for place in range(start, min(len(text), start + 2000)):
        if text[place] == "\\":
            continue
        if text[place] == "{" and text[place - 1 : place] != "\\":
            depth += 1
        elif text[place] == "}" and text[place - 1 : place] != "\\":
            depth -= 1
            if depth == 0:
                return text[start + 1 : place]
    return None


def _rest(text: str, place: int) -> tuple[str, int]:
    """(what follows a label, where it begins): the rest of the line, else the next line that holds something."""
    for _ in range(4):
        end = text.find("\n", place)
        end = len(text) if end < 0 else end
        line = text[place:end]
        if line.strip(" \t*_`>#:~-=$[]\\"):
            return line.strip()[:MOST_STATEMENT], place + len(line) - len(line.lstrip())
        if end >= len(text):
            break
        place = end + 1
    return "", place


def _beginning(pattern: re.Pattern[str], words: Iterable[str], text: str) -> Iterator[re.Match[str]]:
    """The matches of a pattern that begins with one of some words: finding the words first is many times faster."""
    lower = text.lower()
    if len(lower) != len(text):
        # A letter that changes its length with its case: places in the copy are none in the text.
        yield from pattern.finditer(text)
        return
    for word in words:
        place = lower.find(word)
        while place >= 0:
            match = pattern.match(text, place)
            if match is not None:
                yield match
            place = lower.find(word, place + len(word))


def _boxed(text: str) -> Iterator[Statement]:
    for match in re.finditer(r"\\(?:boxed|fbox)\s*(?=\{)", text):
        inner = balanced(text, match.end())
        if inner is not None and inner.strip():
            yield Statement("boxed", BOXED, match.start(), match.end() + len(inner) + 2, inner.strip(), match.end() + 1)


def _explicit(text: str) -> Iterator[Statement]:
    yield from _boxed(text)
    for match in _HASHES.finditer(text):
        yield Statement("####", FINAL, match.start(), match.end(), match["value"].strip())
    for match in _TAGGED.finditer(text):
        yield Statement(f"<{match['tag'].lower()}>", FINAL, match.start(), match.end(), match["value"])
    for match in _KEYED.finditer(text):
        value = match["value"]
        if value.startswith('"'):
            try:
                value = str(json.loads(value))
            except ValueError:
                continue
        yield Statement("a JSON key", FINAL, match.start(), match.end(), value)
    for match in _beginning(_FINAL, ("final", "definitive"), text):
        if not is_unmeant(text, match.start()):
            yield from _statement("final answer", FINAL, text, match)


def _statement(form: str, rank: int, text: str, match: re.Match[str]) -> Iterator[Statement]:
    """The statement that a label or a verb begins; nothing where it is denied or empty."""
    value, place = _rest(text, match.end())
    if _is_question(text, place):
        return
    if _DENIED.match(value):
        instead = _INSTEAD.search(value)
        value = value[instead.end() :] if instead else ""
    value = re.sub(r"^(?:\*{1,3}|_{1,3})\s+", "", value)
    if value:
        stop = _SENTENCE_END.search(value)
        yield Statement(form, rank, match.start(), place + (stop.start() if stop else len(value)), value, place)


def sentence_start(text: str, place: int) -> int:
    """Where the sentence of a place begins; at most 200 characters back."""
    ends = [match.end() for match in _SENTENCE_END.finditer(text, max(0, place - 200), place)]
    return ends[-1] if ends else max(0, place - 200)


_CLAUSE_START = re.compile(r"[;:]\s|\bbut\b")


def is_unmeant(text: str, place: int) -> bool:
    """Whether a statement is a condition, a question or an opinion of somebody else's, by the words before it in its sentence."""
    start = sentence_start(text, place)
    clauses = [match.end() for match in _CLAUSE_START.finditer(text, start, place)]
    return _UNMEANT.search(text, clauses[-1] if clauses else start, place) is not None


def _is_question(text: str, end: int) -> bool:
    stop = re.compile(r"[.!?](?=[\s*_\"')]|$)|\n").search(text, end)
    return stop is not None and stop[0] == "?"


def statements(text: str) -> list[Statement]:
    """Every statement of a text, in order of place."""
    found = list(_explicit(text))
    for match in _LABEL.finditer(text):
        found += _statement("Answer:", LABELLED, text, match)
    for match in _beginning(_STATED, _ANSWERS, text):
        # A key of JSON has been read as such.
        if not is_unmeant(text, match.start()) and text[match.start() - 1 : match.start()] not in ('"', "_"):
            supposed = match["verb"].lower().startswith(("would", "should"))
            found += _statement("the answer is", SUPPOSED if supposed else STATED, text, match)
    return in_order(found)


def in_order(found: Iterable[Statement]) -> list[Statement]:
    """Statements by place; of several that give the same text only the one of the highest kind."""
    best: dict[int, Statement] = {}
    for statement in sorted(found, key=lambda s: (s.rank, s.start)):
        best.setdefault(statement.value_start if statement.value_start >= 0 else statement.start, statement)
    return sorted(best.values(), key=lambda s: s.start)


def corrects(text: str, earlier: int, later: int) -> bool:
    """Whether words between two places (or in the later one's own sentence) say that the earlier one was wrong."""
    return _CORRECTION.search(text, earlier, later) is not None


def settle(
    text: str, found: Iterable[Statement], read: Callable[[Statement], Value | None]
) -> Reading[Value] | Undecided[Value] | None:
    """The value that the statements of a text agree on; None where none can be read."""
    current: tuple[Statement, Value] | None = None
    for statement in found:
        value = read(statement)
        if value is None:
            continue
        if current is None or statement.rank < current[0].rank:
            current = statement, value
        elif value == current[1]:
            current = (current[0] if current[0].rank < statement.rank else statement), value
        elif current[0].rank == SUPPOSED or corrects(text, current[0].end, statement.start):
            current = statement, value
        else:
            said = f"states both {short(current[0].text)} and {short(statement.text)}"
            return Undecided(said, (current[1], value))
    return None if current is None else Reading(current[1], current[0].form, current[0].text)


def short(text: str, most: int = 40) -> str:
    """A piece of an answer on one line, for a reason."""
    line = " ".join(text.split())
    return repr(line if len(line) <= most else line[: most - 1] + "…")
