r"""What an answer states, in one order of evidence for every check that extracts something.

1. An explicit final form: "final answer: …", `#### …`, `<answer>…</answer>`, `{"answer": …}`.
Next comes `\boxed{…}`: models also put it around intermediate results.
2. A labelled line: `Answer: …`.
3. A statement in prose: "the answer is …". "The answer would be …" counts only without another
statement.
4. The end of the answer. Each check reads that in its own way.

A mention is not a statement. Nor is a denial ("is not 9"), a condition ("if the answer is 9") or a
question. A statement of a stronger kind replaces an earlier one of a weaker kind. Two statements
that otherwise contradict each other are *undecided*, unless words between them say that the later
one corrects the earlier one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from scripts.lib.scoring.extract.phrases import any_of

# Extraction reads only the end of an answer: conclusions are there.
TAIL_CHARACTERS = 20_000
# A statement's text is at most this long: what follows is explanation.
MOST_STATEMENT = 400
# Of an answer that repeats itself, at most this many statements are read.
MOST_STATEMENTS = 60
# The ranks of evidence, the strongest first.
FINAL, BOXED, LABELLED, STATED, SUPPOSED = range(5)
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Statement:
    """A place that states the answer: its form, rank, start, end, and the text from the value on.

    `value_start` is where that text begins, or -1 if this is not known.
    """

    form: str
    rank: int
    start: int
    end: int
    text: str
    value_start: int = -1


@dataclass(frozen=True, slots=True)
class Reading(Generic[Value]):
    """The value of an answer, with the form and the text of the evidence for it."""

    value: Value
    form: str
    text: str

    @property
    def place(self) -> str:
        """The evidence as an outcome shows it."""
        return f"{self.form}: {self.text}"


class Undecided(Exception):
    """A check cannot decide; the message says why. `values`: what an answer may mean."""

    def __init__(self, reason: str, values: tuple[Any, ...] = ()):
        super().__init__(reason)
        self.values = values


_FINAL = re.compile(
    r"\b(?:final|definitive)\s+(?:answer|result|choice|value|solution|numerical\s+answer)\b"
    r"(?P<middle>(?:\s+(?:to|for|of)\b[^\n:=]{0,60})?)"
    r"[*_`\s]{0,8}(?::|=|\bis\b|\bare\b|\n|[-–—]\s)",
    re.IGNORECASE,
)
_HASHES = re.compile(r"^[ \t]*####[ \t]+(?P<value>\S[^\n]*)$", re.MULTILINE)
_TAGGED = re.compile(
    r"<(?P<tag>answer|final_answer|final|result|solution"
    r"|ans)>\s*(?P<value>.{1,2000}?)\s*</(?P=tag)>",
    re.IGNORECASE | re.DOTALL,
)
_KEYED = re.compile(
    r"[\"'](?:final_?answer|answer|choice|result|option|final|solution|correct_?(?:answer|option"
    r"|choice))"
    r"[\"']\s*:\s*(?P<value>\"(?:[^\"\\\n]|\\.){0,500}\"|-?\d[\d.]*(?:[eE][-+]?\d+)?)\s*(?=[,}\n])",
    re.IGNORECASE,
)
_LABEL = re.compile(
    r"^[ \t>*_#`~\-•]{0,12}+(?:\d{1,3}[.)][ \t]*)?[*_]{0,4}"
    r"(?:(?:the|my|our|correct|right|so|therefore|thus|hence|short|direct|your|best)\b,?[ "
    r"\t]+){0,3}"
    r"(?:answer|ans|lösung|antwort|réponse|respuesta|risposta|resposta|ответ|答案|答え|回答)[ \t]*"
    r"[*_`]{0,6}[ \t]*(?:[:：=]|[-–—](?=[ \t])|\.(?=\s)|\n)",
    re.IGNORECASE | re.MULTILINE,
)
_ANSWERS = ("answer", "solution", "antwort", "réponse", "respuesta", "risposta", "resposta")
_CONCLUDING = any_of(
    "therefore|then|thus|so|hence|finally|here|again|in (?:this|that) case|after all"
)
_NOT_A_PART = r"(?!(?:first|second|third|next|previous|sub|other|part)\b)"
_VERB = (
    r"\bis\b|\bare\b|\bwas\b|=|:|\bequals\b|\b(?:would|will|should|must|has\s+to|ought\s+to)\s+be\b"
    r"|\bcomes\s+(?:out\s+)?(?:to|as)\b|\bbecomes\b|\bremains\b|['’]s\b|\b(?:ist|lautet|est|es|è"
    r"|é)\b"
)
# "The answer to this question is …".
_STATED = re.compile(
    rf"\b(?:{'|'.join(_ANSWERS)})\b[*_`\"”]{{0,6}}(?:\s+(?:correct[aeo]?|corretta|richtige))?"
    rf"(?:,?\s+{_CONCLUDING},?)?"
    rf"(?:\s+(?:to|for|of)\s+(?:the|this|your|our|my)\s+{_NOT_A_PART}[^.:;!?\n=]{{1,80}}?"
    r"|\s+(?:in|as)\s+[^.:;!?\n=]{1,40}?)?"
    rf"\s*(?P<verb>{_VERB})",
    re.IGNORECASE,
)
# Words before a statement that make it a condition, a question or somebody else's opinion.
_UNMEANT = re.compile(
    any_of(
        r"\b(?:if|whether|unless|suppose|assum\w+|(?-i:might|may)|could|tempting|naive\w*|wrongly"
        r"|incorrect|wrong|mistaken\w*|would (?:say|think)|thought|think that the|not (?:say"
        r"|sure)|what"
        r"|check that|verify that|expect\w*|claim\w*|says?|said|least likely|second[- ]best"
        r"|worst)\b",
        r"n['’]t (?:say|think|sure)",
        r"\b(?:initial|first|previous|earlier|old|original|partial|intermediate) $",
    ),
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"^[\s*_]*(?:(?:is|are|was)?\s*n['’]t|not|never|neither|no\s+longer)\b", re.IGNORECASE
)
_INSTEAD = re.compile(
    any_of(r"\b(?:but(?: rather| instead)?|rather|instead|it is|it['’]s)\b") + r"[\s,:]*",
    re.IGNORECASE,
)
_CORRECTION = re.compile(
    any_of(
        r"\b(?:wait|correction|correcting|actually|sorry|apolog\w+|mistake\w*"
        r"|mis(?:read|counted|calculated|stated|take)\w*|let me (?:re|correct|fix|redo|double"
        r"|check)\w*"
        r"|correct (?:this|that|myself|it)\b|on second thoughts?|scratch that|was wrong|is wrong"
        r"|wasn['’]t right|not (?:right|correct)|incorrect|oops|hold on|re-?check\w*"
        r"|reconsider\w*|revis\w+"
        r"|instead|error|should (?:have been|be)|updated?|corrected|hmm+|strike that|i meant"
        r"|rather)\b",
        r"(?:^|[.!?\n]\s*)no[,.!:—-]",
    ),
    re.IGNORECASE,
)
# A sentence that refuses an answer.
REFUSAL = re.compile(
    any_of(
        r"\b(?:i|we) (?:can(?:not|['’]t)|could\s*n[o'’]t|am (?:not able|unable)"
        r"|(?:do|did)(?: not|n['’]t) know|will not|won['’]t)\b",
        r"\b(?:cannot|can\s*not|impossible to) (?:be )?"
        r"(?:determine|say|tell|answer|know|calculat|comput)\w*\b",
        r"\bnot enough information\b",
        r"\b(?:is|was) not (?:stated|given|mentioned|specified|provided|known)\b",
    ),
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)|\n")
# Marks may follow the sign here: "Is the answer 9?**".
_QUESTION_END = re.compile(r"[.!?](?=[\s*_\"')]|$)|\n")
_CLAUSE_START = re.compile(r"[;:,]\s|\bbut\b")
_EMPHASIS = re.compile(r"^(?:\*{1,3}|_{1,3})\s+")
_BOX = re.compile(r"\\(?:boxed|fbox)\s*(?=\{)")
_BRACE = re.compile(r"(?<!\\)[{}]")


def tail(answer: str) -> str:
    """The end of an answer, which is what extraction reads."""
    return answer[-TAIL_CHARACTERS:]


def _balanced(text: str, start: int) -> str | None:
    """The text between the brace at `start` and its partner; None if there is none nearby."""
    depth = 0
    for brace in _BRACE.finditer(text, start, start + 2000):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return text[start + 1 : brace.start()]
    return None


def _rest(text: str, place: int) -> tuple[str, int]:
    """(text, start) of what follows a label: the rest of its line, else the next line with text."""
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


def _beginning(
    pattern: re.Pattern[str], words: Iterable[str], text: str
) -> Iterator[re.Match[str]]:
    """The matches of a pattern whose matches begin with one of the words.

    To find the words first is many times faster.
    """
    lower = text.lower()
    if len(lower) != len(text):
        # A letter changes its length with its case: places in the copy differ from the text's.
        yield from pattern.finditer(text)
        return
    for word in words:
        place = lower.find(word)
        while place >= 0:
            match = pattern.match(text, place)
            if match is not None:
                yield match
            place = lower.find(word, place + len(word))


def boxed(text: str) -> Iterator[Statement]:
    r"""Every `\boxed{…}` that is closed and not empty, in order."""
    for match in _BOX.finditer(text):
        inner = _balanced(text, match.end())
        if inner is not None and inner.strip():
            end = match.end() + len(inner) + 2
            yield Statement("boxed", BOXED, match.start(), end, inner.strip(), match.end() + 1)


def _explicit(text: str) -> Iterator[Statement]:
    """The statements in an explicit final form."""
    yield from boxed(text)
    for match in _HASHES.finditer(text):
        yield Statement("####", FINAL, match.start(), match.end(), match["value"].strip())
    for match in _TAGGED.finditer(text):
        yield Statement(
            f"<{match['tag'].lower()}>", FINAL, match.start(), match.end(), match["value"]
        )
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
    """The statement after a label or a verb; none if it is denied, empty or a question."""
    value, place = _rest(text, match.end())
    if _is_question(text, place):
        return
    if _DENIED.match(value):
        instead = _INSTEAD.search(value)
        value = value[instead.end() :] if instead else ""
    value = _EMPHASIS.sub("", value)
    if value:
        stop = _SENTENCE_END.search(value)
        end = place + (stop.start() if stop else len(value))
        yield Statement(form, rank, match.start(), end, value, place)


def _sentence_start(text: str, place: int) -> int:
    """Where the sentence around a place begins; at most 200 characters back."""
    ends = [match.end() for match in _SENTENCE_END.finditer(text, max(0, place - 200), place)]
    return ends[-1] if ends else max(0, place - 200)


def is_unmeant(text: str, place: int) -> bool:
    """Whether the statement at a place is a condition, a question or somebody else's opinion.

    The words before it in its clause decide.
    """
    start = _sentence_start(text, place)
    clauses = [match.end() for match in _CLAUSE_START.finditer(text, start, place)]
    return _UNMEANT.search(text, clauses[-1] if clauses else start, place) is not None


def _is_question(text: str, end: int) -> bool:
    stop = _QUESTION_END.search(text, end)
    return stop is not None and stop[0] == "?"


def statements(text: str) -> list[Statement]:
    """Every statement of a text, in the order of their places."""
    found = list(_explicit(text))
    for match in _LABEL.finditer(text):
        found += _statement("Answer:", LABELLED, text, match)
    for match in _beginning(_STATED, _ANSWERS, text):
        # `"answer": …` and `final_answer: …` are keys, which are read above.
        is_key = text[match.start() - 1 : match.start()] in ('"', "_")
        if not is_key and not is_unmeant(text, match.start()):
            supposed = match["verb"].lower().startswith(("would", "should"))
            found += _statement("the answer is", SUPPOSED if supposed else STATED, text, match)
    return in_order(found)


def in_order(found: Iterable[Statement]) -> list[Statement]:
    """Statements in the order of their places, at most the last MOST_STATEMENTS.

    Of several that give the same text only the strongest is kept.
    """
    best: dict[int, Statement] = {}
    for statement in sorted(found, key=lambda s: (s.rank, s.start)):
        place = statement.value_start if statement.value_start >= 0 else statement.start
        best.setdefault(place, statement)
    return sorted(best.values(), key=lambda s: s.start)[-MOST_STATEMENTS:]


def corrects(text: str, earlier: int, later: int) -> bool:
    """Whether words between two places take back what is at the earlier one."""
    return _CORRECTION.search(text, earlier, later) is not None


def settle(
    text: str, found: Iterable[Statement], read: Callable[[Statement], Value | None]
) -> Reading[Value] | None:
    """The value that a text's statements agree on; None if `read` finds no value in them.

    Raises Undecided if two statements contradict each other.
    """
    current: tuple[Statement, Value] | None = None
    for statement in found:
        value = read(statement)
        if value is None:
            continue
        if current is None:
            current = statement, value
            continue
        earlier, settled = current
        if statement.rank < earlier.rank:
            current = statement, value
        elif value == settled:
            current = (earlier if earlier.rank < statement.rank else statement), value
        elif earlier.rank == SUPPOSED or corrects(text, earlier.end, statement.start):
            current = statement, value
        else:
            reason = f"states both {_short(earlier.text)} and {_short(statement.text)}"
            raise Undecided(reason, (settled, value))
    if current is None:
        return None
    statement, value = current
    return Reading(value, statement.form, statement.text)


def _short(text: str, most: int = 40) -> str:
    """A piece of an answer on one line, to be quoted in a reason."""
    line = " ".join(text.split())
    return repr(line if len(line) <= most else line[: most - 1] + "…")
