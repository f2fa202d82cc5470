"""The number that an answer commits to, by the order of evidence of `evidence.py`."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from scripts.lib.scoring.extract.endings import (
    clauses,
    concludes,
    is_beside,
    lines_from_end,
    paragraphs,
    sentences,
)
from scripts.lib.scoring.extract.evidence import (
    Reading,
    Statement,
    settle,
    statements,
    tail,
)
from scripts.lib.scoring.extract.number_words import named_numbers
from scripts.lib.scoring.extract.phrases import any_of
from scripts.lib.scoring.extract.quantities import Number, numbers, plain

Find = Callable[[str], Sequence[Number]]
# Words and marks that may come between "the answer is" and the number.
_FILLER = re.compile(
    r"^(?:[\s*_`~\"'“”‘’$(\[{:=≈≃→>|]|\\\(|\\\[|\\boxed|\b"
    + any_of(
        r"that|approximately|approx\.?|about|around|roughly|exactly|precisely|simply|just|only",
        r"equal to|equals?|thus|therefore|indeed|now|then|hence|is|are|a total of|the number",
        r"[A-Za-z]\w{0,12}\s*(?==(?!=))",
    )
    + r"(?!\w)){0,20}",
    re.IGNORECASE,
)
_OPERATION = re.compile(r"\s*(?:[+*×÷·]|[-/](?=\s*\d)|\\cdot|\\times)\s*\(?\s*\d|\s+[-/]\s+\d|\(\d")
# What is between two numbers that are alternatives: "14 or 15", "14-15".
_ALTERNATIVE = re.compile(
    r"[^\w\n]{0,4}(?:\w{1,15}[^\w\n]{1,2})?\(?(?:or|and/or|and|to|through)\s+"
    r"(?:maybe|perhaps|possibly|even|about)?\s*[$(]?\s*|\s*[-–—/]\s*",
    re.IGNORECASE,
)
# The number right after one of these is what its sentence says.
_VERB = re.compile(
    r"(?:\b"
    + any_of(
        r"is|are|was|were|be|has|have|had|costs?|equals?|gives?|makes?|leaves?|left with|gets?"
        r"|becomes?",
        r"takes?|needs?|totals?|ends? up with|pays?|earns?|gains?|contains?|weighs?|owns?"
        r"|requires?|yields?|remains?",
        r"spends?|spent|travels?|lasts?|comes? (?:out )?to",
        r"(?:total|remainder|sum|difference|product|result|value|price|cost|distance|speed|length"
        r"|area",
        r"probability|rest) of",
        r"amounts? to|adds? up to|sums? to|reach(?:es)?|obtain|find|get|at|total of|answer|result",
    )
    + r"\b|[=:≈→])[\s*_$(\[{:=≈~\\]*(?:"
    + any_of(
        r"now|then|still|exactly|only|about|approximately|around|roughly|just|equal to|a total of",
        r"therefore|thus|also|simply",
    )
    + r"[\s*_$:]*)*$",
    re.IGNORECASE,
)
_ROUNDED = re.compile(
    r"(?:\b(?:about|approximately|approx\.?|roughly|around|environ|circa|ca\.|rund|etwa)"
    r"|~)\s*[$(*]*$",
    re.IGNORECASE,
)
# The number after one of these is a detail.
_DETAIL = re.compile(
    r"\b(?:in|of|from|than|per|with|for|after|before|by|at|within|since|over|among|between|every"
    r"|each|on"
    r"|during|until)\s+"
    r"(?:(?:the|an?|his|her|its|their|all|about|only|those|these|first|last|other)\s+){0,2}[$(*]*$",
    re.IGNORECASE,
)
_NAMED_VALUE = re.compile(r"(?:^|[\s$(])[A-Za-z]\w?\s*=\s*[^=]*$")
_EQUATION_GAP = re.compile(
    r",\s+(?:and\s+|or\s+|the\s+)?(?=[^,=]{0,40}=)|\s+(?:and|or)\s+(?=[^,=]{0,20}=)"
)
# Brackets that hold a word or a unit: they do not give the answer.
_ASIDE = re.compile(
    r"\((?!\s*or\b)(?=[^()]*[^\W\d_]{2})[^()\n]{0,200}\)"
    r"|\[(?=[^\[\]]*[^\W\d_]{2})[^\[\]\n]{0,200}\]"
)
_UNIT_OF_TWO_WORDS = re.compile(r"[\s*_`$.!)\]}]*(?:[^\W\d]+[\s*_`$.!)\]}]*){0,2}")
_NUMBERED_HEADING = re.compile(r"\d+[.):]\s")
_BOLD = re.compile(r"(?:\*\*|__)\s*([^*\n]{1,80}?)\s*(?:\*\*|__)")


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """A number as an answer gives it: its possible values (`15%` is 15 or 0.15), and `others`.

    With `doubt`, any of the numbers may be the one that is meant. Without it, the others are
    alternatives ("14 or 15"). Two are equal if they share a value and have the same others.
    """

    values: tuple[Fraction, ...]
    others: tuple[Fraction, ...] = ()
    doubt: bool = False

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Said):
            return False
        return not set(self.values).isdisjoint(other.values) and self.others == other.others

    # Equality is not transitive: no hash fits it.
    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        return " or ".join(shown(value) for value in (self.values[0], *self.others))


def shown(value: Fraction) -> str:
    """A number as a reason shows it: whole ones exactly, others to ten digits."""
    return str(value) if value.denominator == 1 and abs(value) < 10**15 else f"{float(value):.10g}"


def _candidates(text: str, find: Find) -> list[Number]:
    """The numbers that may be meant.

    Labels of steps, lists and names are left out, and so are coefficients and roundings of another
    number.
    """
    found = [n for n in _without_operands(text, find(text)) if not n.coefficient and not n.label]
    found = [n for n in found if not _is_denied(text, n)]
    exact = [n for n in found if not _ROUNDED.search(text, max(0, n.start - 20), n.start)]
    return exact or found


# Between two numbers of a sum without its result.
_OPERATOR = re.compile(
    r"\s*(?:[+*×÷·]|\\cdot|\\times)\s*\(?\s*|\s+(?:[-–]|plus|minus|times)\s+|\(|\s*\)\s*\(\s*",
    re.IGNORECASE,
)
_UP_TO_DIGIT = re.compile(r"[^\d.]*")
_NOT_BEFORE = re.compile(
    r"\b(?:not|never)\s+(?:\w+\s+){0,3}[$*(]*$|n['’]t\s+(?:\w+\s+){0,3}[$*(]*$", re.IGNORECASE
)
_NOT_AFTER = re.compile(
    r"[\s*$)]*(?:\w+\s+)?(?:is|was)\s+(?:wrong|incorrect|not\s+(?:right|correct|the\s+answer))\b",
    re.IGNORECASE,
)


def _without_operands(text: str, found: Sequence[Number]) -> list[Number]:
    """The numbers that are not operands: of `14 (12 - 3 + 5)` the first."""
    operands: set[int] = set()
    # Up to the next digit: a sign with a blank after it counts as part of its number.
    gaps = [_UP_TO_DIGIT.match(text, a.end, b.end)[0] for a, b in itertools.pairwise(found)]  # type: ignore[index]
    for i, gap in enumerate(gaps):
        if _OPERATOR.fullmatch(gap):
            operands |= {i, i + 1}
    # "12-3+5": a hyphen is a minus if its neighbour is an operand; alone it is a range.
    for i, gap in enumerate(gaps):
        if gap in ("-", "–", "/") and not operands.isdisjoint((i, i + 1)):
            operands |= {i, i + 1}
    return [number for i, number in enumerate(found) if i not in operands]


def _is_denied(text: str, number: Number) -> bool:
    before = _NOT_BEFORE.search(text, max(0, number.start - 40), number.start)
    return before is not None or _NOT_AFTER.match(text, number.end) is not None


def _with_alternatives(text: str, number: Number, found: Sequence[Number]) -> Said:
    """A number, with the one right before or after it if the two are alternatives."""
    place = found.index(number)
    for other in found[max(0, place - 1) : place + 2]:
        first, second = sorted((number, other), key=lambda n: n.start)
        differ = set(other.values).isdisjoint(number.values)
        if differ and _ALTERNATIVE.fullmatch(text, first.end, second.start):
            return Said(number.values, (other.value,))
    return Said(number.values)


def _leading(text: str, find: Find) -> Said | None:
    """The number that a text begins with, apart from words such as `about`.

    None for a sum without its result.
    """
    filler = _FILLER.match(text)
    begin = filler.end() if filler else 0
    found = [n for n in find(text) if n.end > begin]
    if not found or text[begin : found[0].start].strip() or _OPERATION.match(text, found[0].end):
        return None
    if found[0].coefficient or _is_denied(text, found[0]):
        return None
    return _with_alternatives(text, found[0], found)


def _after_equals(text: str, find: Find) -> Said | None:
    """The number after the last equals sign; of `= 10/7 ≈ 1.43` both values."""
    exact, _, rounded = text.partition("≈")
    if "=" not in exact or "!=" in exact:
        return None
    if (said := _of_two_equations(exact, find)) is not None:
        return said
    said, approximate = _leading(f"= {exact.rpartition('=')[2]}", find), _leading(rounded, find)
    if said is None or approximate is None:
        return said
    return Said((*said.values, *approximate.values))


def _of_two_equations(text: str, find: Find) -> Said | None:
    """The values of "x = 5 and y = 3": either may be meant.

    None if there are no two equations that differ.
    """
    parts = _EQUATION_GAP.split(text)[-2:]
    if len(parts) < 2 or not all(map(_NAMED_VALUE.search, parts)):
        return None
    first, second = (_leading(f"= {part.rpartition('=')[2]}", find) for part in parts)
    if first is None or second is None or first == second:
        return None
    return Said(second.values, first.values[:1], doubt=True)


def _of_sentence(text: str, find: Find) -> Said | None:
    """The number that a sentence gives: after `=`, else after its verb, else the last one.

    In doubt if these differ.
    """
    if (said := _after_equals(text, find)) is not None:
        return said
    found = _candidates(text, find)
    after_verb = [n for n in found if _VERB.search(text, max(0, n.start - 60), n.start)]
    # "3 times in the 10 letters": what follows a preposition is a detail, unless there is nothing
    # else.
    main = [
        n
        for n in found
        if n in after_verb or not _DETAIL.search(text, max(0, n.start - 30), n.start)
    ]
    if not main:
        if len({n.value for n in found}) > 1:
            return Said(found[-1].values, (found[0].value,), doubt=True)
        return _last(text, found, found)
    if not after_verb or main[-1] in after_verb:
        return _last(text, main, found)
    if len({n.value for n in after_verb}) == 1:
        return _last(text, after_verb, found)
    return Said(after_verb[-1].values, (main[-1].value,), doubt=True)


def _last(text: str, chosen: Sequence[Number], found: Sequence[Number]) -> Said | None:
    """The last of the chosen numbers, with its alternatives among all that were found."""
    return _with_alternatives(text, chosen[-1], found) if chosen else None


def _listed(text: str) -> Said | None:
    """The numbers of a box that holds several: they are alternatives."""
    values = list(dict.fromkeys(number.value for number in numbers(text))) if "," in text else []
    return Said((values[0],), tuple(values[1:2])) if len(values) > 1 else None


def _of_statement(statement: Statement) -> Said | None:
    """The number that a statement gives: the one that it begins with, else its only one."""
    text = plain(statement.text)
    sentence = next(iter(sentences(text)), text)
    if statement.form == "boxed" and (listed := _listed(text)) is not None:
        return listed
    for find in (numbers, named_numbers):
        said = _after_equals(sentence, find) or _leading(sentence, find)
        if said is not None:
            return said
    if statement.form == "####":
        # A heading, such as "#### Step 2: add".
        return None
    found = _candidates(sentence, numbers)
    return Said(found[0].values) if len({n.value for n in found}) == 1 else None


def _of_line(line: str, find: Find, everything: bool) -> Said | None:
    """The number of a line: the bold one, else the one of its concluding or last sentence.

    Remarks and hypotheses count only with `everything`.
    """
    bold = [said for piece in _BOLD.findall(line) if (said := _of_bold(piece, find)) is not None]
    if bold:
        return bold[-1]
    chosen = [sentence for sentence in sentences(line) if everything or not is_beside(sentence)]
    found = [
        (sentence, said) for sentence in chosen if (said := _of_clauses(sentence, find)) is not None
    ]
    concluding = [(sentence, said) for sentence, said in found if concludes(sentence)]
    return (concluding or found)[-1][1] if found else None


def _of_clauses(sentence: str, find: Find) -> Said | None:
    """The number of a sentence: of its main clauses from the last one, else of the whole.

    A conclusion without digits may name its number in words.
    """
    bare = _ASIDE.sub(" ", sentence)
    for clause in dict.fromkeys((*clauses(bare), bare, sentence)):
        if find is numbers and concludes(clause) and not find(clause):
            named = _of_sentence(clause, named_numbers)
            if named is not None:
                return named
        if (said := _of_sentence(clause, find)) is not None:
            return said
    return None


def _of_bold(piece: str, find: Find) -> Said | None:
    """A bold number; None for a bold heading such as **Step 1** or **2. Solve**."""
    if _NUMBERED_HEADING.match(piece):
        return None
    return _after_equals(piece, find) or _leading(piece, find)


def _alone(paragraph: str) -> Said | None:
    """The number of a paragraph that has nothing else, apart from a unit of one or two words."""
    text = plain(paragraph).strip()
    if len(text) > 60 or "\n" in text:
        return None
    said, found = _leading(text, numbers), numbers(text)
    if said is None or len(found) != 1:
        return None
    return said if _UNIT_OF_TWO_WORDS.fullmatch(text[found[0].end :]) else None


def _headline(found: Sequence[str]) -> Reading[Said] | None:
    """The number of the first paragraph, if it has nothing else and explanations follow."""
    said = _alone(found[0]) if len(found) > 1 else None
    return None if said is None else Reading(said, "the first line", found[0].strip())


def _ending(text: str) -> Reading[Said] | None:
    """The number of a headline at the beginning, else of the last line that has one.

    Verifications and remarks, numbers in words and labels count only without other numbers.
    """
    found = paragraphs(text)
    headline = _headline(found)
    if headline is not None:
        return headline
    for everything in (False, True):
        for find in (numbers, named_numbers, _numbers_and_labels):
            for line in map(plain, lines_from_end(found)):
                if (said := _of_line(line, find, everything)) is not None:
                    return Reading(said, "the end", line.strip())
    return None


def _numbers_and_labels(text: str) -> list[Number]:
    """All numbers of a text; those that would otherwise be labels count as well."""
    return [replace(number, label=False) for number in numbers(text)]


def read_number(answer: str) -> Reading[Said] | None:
    """The number that an answer commits to; None if it has none."""
    text = tail(answer)
    return settle(text, statements(text), _of_statement) or _ending(text)
