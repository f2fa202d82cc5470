"""The number that an answer commits to, by the order of evidence of `evidence.py`; what it ends on comes last."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from scripts.lib.scoring.endings import clauses, concludes, is_beside, lines_from_end, paragraphs, sentences
from scripts.lib.scoring.evidence import Reading, Statement, Undecided, settle, statements, tail
from scripts.lib.scoring.quantities import Number, named_numbers, numbers, plain

Find = Callable[[str], list[Number]]
# Words and marks between "the answer is" and the number.
_FILLER = re.compile(
    r"^(?:[\s*_`~\"'“”‘’$(\[{:=≈≃→>|]|\\\(|\\\[|\\boxed"
    r"|\b(?:that|approximately|approx\.?|about|around|roughly|exactly|precisely|simply|just|only|equal\s+to|equals?|thus|therefore"
    r"|indeed|now|then|hence|is|are|a\s+total\s+of|the\s+number|[A-Za-z]\w{0,12}\s*(?==(?!=)))(?!\w)){0,20}",
    re.IGNORECASE,
)
_OPERATION = re.compile(r"\s*(?:[+*×÷·]|[-/](?=\s*\d))\s*\(?\s*\d|\s+[-/]\s+\d")
_ALTERNATIVE = re.compile(
    r"[^\w\n]{0,4}(?:\w{1,15}[^\w\n]{1,2})?(?:or|and/or|and|to|through)\s+(?:maybe|perhaps|possibly|even|about)?\s*[$(]?\s*|\s*[-–—/]\s*",
    re.IGNORECASE,
)
# The number right after one of these is what its sentence says; one after `from`, `of` or `per` is a detail.
_VERB = re.compile(
    r"(?:\b(?:is|are|was|were|be|has|have|had|costs?|equals?|gives?|makes?|leaves?|left\s+with|gets?|becomes?|takes?|needs?|totals?"
    r"|pays?|earns?|gains?|contains?|weighs?|owns?|requires?|yields?|remains?|spends?|spent|travels?|lasts?|comes?\s+(?:out\s+)?to"
    r"|(?:total|remainder|sum|difference|product|result|value|price|cost|distance|speed|length|area|probability|rest)\s+of|amounts?\s+to|adds?\s+up\s+to|sums?\s+to|reach(?:es)?|obtain|find|get|at|total\s+of|answer|result)\b|[=:≈→])"
    r"[\s*_$(\[{:=≈~\\]*(?:(?:now|then|still|exactly|only|about|approximately|around|roughly|just|equal\s+to|a\s+total\s+of|therefore|thus"
    r"|also|simply)[\s*_$:]*)*$",
    re.IGNORECASE,
)
_ROUNDED = re.compile(
    r"(?:\b(?:about|approximately|approx\.?|roughly|around|environ|circa|ca\.|rund|etwa)|~)\s*[$(*]*$", re.IGNORECASE
)
_DETAIL = re.compile(
    r"\b(?:in|of|from|than|per|with|for|after|before|by|at|within|since|over|among|between|every|each|on|during|until)"
    r"\s+(?:(?:the|an?|his|her|its|their|all|about|only|those|these|first|last|other)\s+){0,2}[$(*]*$",
    re.IGNORECASE,
)
_NAMED_VALUE = re.compile(r"(?:^|[\s$(])[A-Za-z]\w?\s*=\s*[^=]*$")
_EQUATION_GAP = re.compile(r",\s+(?:and\s+|or\s+|the\s+)?(?=[^,=]{0,40}=)|\s+(?:and|or)\s+(?=[^,=]{0,20}=)")
# What stands in brackets with a word or a unit is no answer.
_ASIDE = re.compile(r"\((?=[^()]*[^\W\d_]{2})[^()\n]{0,200}\)|\[(?=[^\[\]]*[^\W\d_]{2})[^\[\]\n]{0,200}\]")
_BOLD = re.compile(r"(?:\*\*|__)\s*([^*\n]{1,80}?)\s*(?:\*\*|__)")


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """A number as an answer gives it: its possible values (`15%` is 15 or 0.15), and others that stand beside it.

    `doubt`: it cannot be told which of the numbers is meant. Without doubt the others are alternatives ("14 or 15").
    """

    values: tuple[Fraction, ...]
    others: tuple[Fraction, ...] = ()
    doubt: bool = False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Said) and bool({*self.values} & {*other.values}) and self.others == other.others

    def __str__(self) -> str:
        return " or ".join(shown(value) for value in (self.values[0], *self.others))


def shown(value: Fraction) -> str:
    """A number for a reason: whole ones exactly, others to ten digits."""
    return str(value) if value.denominator == 1 and abs(value) < 10**15 else f"{float(value):.10g}"


def _candidates(text: str, find: Find) -> list[Number]:
    """The numbers that may be meant: no labels of steps, lists and names, no coefficients, no rounding of another number."""
    found = [n for n in find(text) if not n.coefficient and not n.label]
    exact = [n for n in found if not _ROUNDED.search(text, max(0, n.start - 20), n.start)]
    return exact or found


def _with_alternatives(text: str, number: Number, found: Sequence[Number]) -> Said:
    place = found.index(number)
    for other in found[max(0, place - 1) : place + 2]:
        first, second = sorted((number, other), key=lambda n: n.start)
        if not {*other.values} & {*number.values} and _ALTERNATIVE.fullmatch(text, first.end, second.start):
            return Said(number.values, (other.value,))
    return Said(number.values)


def _leading(text: str, find: Find) -> Said | None:
    """The number that a text begins with, words such as `about` apart; None for a sum that is not worked out."""
    filler = _FILLER.match(text)
    begin = filler.end() if filler else 0
    found = [n for n in find(text) if n.end > begin]
    if not found or text[begin : found[0].start].strip() or _OPERATION.match(text, found[0].end):
        return None
    return _with_alternatives(text, found[0], found)


def _after_equals(text: str, find: Find) -> Said | None:
    """The number behind the last equals sign; of `= 10/7 ≈ 1.43` both values."""
    exact, _, rounded = text.partition("≈")
    if "=" not in exact:
        return None
    if len(parts := _EQUATION_GAP.split(exact)) > 1 and all(map(_NAMED_VALUE.search, parts[-2:])):
        # "x = 5 and y = 3": which one is meant?
        values = [_leading(f"= {part.rpartition('=')[2]}", find) for part in parts[-2:]]
        if values[0] is not None and values[1] is not None and values[0] != values[1]:
            return Said(values[1].values, values[0].values[:1], doubt=True)
    said, nearly = _leading(f"= {exact.rpartition('=')[2]}", find), _leading(rounded, find)
    if said is None or nearly is None:
        return said
    return Said((*said.values, *nearly.values))


def _of_sentence(text: str, find: Find) -> Said | None:
    """The number that a sentence gives: behind `=`, else after its verb, else the last one. In doubt, where these differ."""
    if (said := _after_equals(text, find)) is not None:
        return said
    found = _candidates(text, find)
    told = [n for n in found if _VERB.search(text, max(0, n.start - 60), n.start)]
    # "3 times in the 10 letters": what follows a preposition is a detail, unless there is nothing else.
    main = [n for n in found if n in told or not _DETAIL.search(text, max(0, n.start - 30), n.start)]
    if not main:
        different = len({n.value for n in found}) > 1
        return Said(found[-1].values, (found[0].value,), doubt=True) if different else _last(text, found, found)
    if not told or main[-1] in told:
        return _last(text, main, found)
    if len({n.value for n in told}) == 1:
        return _last(text, told, found)
    return Said(told[-1].values, (main[-1].value,), doubt=True)


def _last(text: str, chosen: Sequence[Number], found: Sequence[Number]) -> Said | None:
    return _with_alternatives(text, chosen[-1], found) if chosen else None


def _of_statement(statement: Statement) -> Said | None:
    text = plain(statement.text)
    sentence = next(iter(sentences(text)), text)
    for find in (numbers, named_numbers):
        said = _after_equals(sentence, find) or _leading(sentence, find)
        if said is not None:
            return said
    if statement.form == "####":
        # Another heading, such as "#### Step 2: add".
        return None
    found = _candidates(sentence, numbers)
    return Said(found[0].values) if len({n.value for n in found}) == 1 else None


def _of_line(line: str, find: Find, everything: bool) -> Said | None:
    """The number of a line: the bold one, else that of its concluding sentence, else of its last one that has any.

    What stands beside the answer (remarks, hypotheses) is looked at only for `everything`.
    """
    bold = [said for piece in _BOLD.findall(line) if (said := _of_bold(piece, find)) is not None]
    if bold:
        return bold[-1]
    told = [s for s in sentences(line) if everything or not is_beside(s)]
    found = [(s, said) for s in told if (said := _of_clauses(s, find)) is not None]
    concluding = [pair for pair in found if concludes(pair[0])]
    return (concluding or found)[-1][1] if found else None


def _of_clauses(sentence: str, find: Find) -> Said | None:
    """The number of a sentence's main clause; its other clauses are looked at last."""
    bare = _ASIDE.sub(" ", sentence)
    for clause in (*clauses(bare), bare, sentence):
        if find is numbers and concludes(clause) and not find(clause):
            named = _of_sentence(clause, named_numbers)
            if named is not None:
                return named
        if (said := _of_sentence(clause, find)) is not None:
            return said
    return None


def _of_bold(piece: str, find: Find) -> Said | None:
    """A bold number; not a bold heading such as **Step 1** or **2. Solve**."""
    if re.match(r"\d+[.):]\s", piece):
        return None
    return _after_equals(piece, find) or _leading(piece, find)


def _alone(paragraph: str) -> Said | None:
    """The number that a paragraph is nothing but, with a unit of a word or two."""
    text = plain(paragraph).strip()
    if len(text) > 60 or "\n" in text:
        return None
    said = _leading(text, numbers)
    last = numbers(text)
    if said is None or len(last) != 1:
        return None
    return said if re.fullmatch(r"[\s*_`$.!)\]}]*(?:[^\W\d]+[\s*_`$.!)\]}]*){0,2}", text[last[0].end :]) else None


def _headline(paragraphs: Sequence[str]) -> Reading[Said] | None:
    """The number that an answer opens with, before explanations: a first paragraph that is nothing else."""
    said = _alone(paragraphs[0]) if len(paragraphs) > 1 else None
    return None if said is None else Reading(said, "the first line", paragraphs[0].strip())


def _ending(text: str) -> Reading[Said] | None:
    """The number that an answer ends on: of the last line that has one; verifications and remarks come after the answer."""
    found = paragraphs(text)
    if found and (headline := _headline(found)) is not None:
        return headline
    for everything in (False, True):
        for find in (numbers, named_numbers, _all_numbers):
            for line in map(plain, lines_from_end(found)):
                if (said := _of_line(line, find, everything)) is not None:
                    return Reading(said, "the end", line.strip())
    return None


def _all_numbers(text: str) -> list[Number]:
    """Numbers that would otherwise count as labels, for answers that have no others."""
    return [replace(number, label=False) for number in numbers(text)]


def read_number(answer: str) -> Reading[Said] | Undecided[Said] | None:
    """The number that an answer commits to; None where it has none."""
    text = tail(answer)
    return settle(text, statements(text), _of_statement) or _ending(text)
