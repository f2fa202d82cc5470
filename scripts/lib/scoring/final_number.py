"""The number that an answer commits to, by the order of evidence of `evidence.py`; what it ends on comes last."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from scripts.lib.scoring.courtesy import without_courtesy
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
_SENTENCE_GAP = re.compile(
    r"(?<=[^\d\s][.!?])(?<!\b(?:sq|ca|vs|eq|no|st|mr|dr)\.)(?<!approx\.)(?<!e\.g\.)(?<!i\.e\.)[\"')\]*_]*\s+(?=\S)|(?<=\d[.!?])[\"')\]*_]*\s+(?=[A-Z(*\"“])|(?<=[.!?]\*\*)\s+(?=\S)",
    re.IGNORECASE,
)
# The number right after one of these is what its sentence says; one after `from`, `of` or `per` is a detail.
_VERB = re.compile(
    r"(?:\b(?:is|are|was|were|be|has|have|had|costs?|equals?|gives?|makes?|leaves?|left\s+with|gets?|becomes?|takes?|needs?|totals?"
    r"|pays?|earns?|gains?|contains?|weighs?|owns?|requires?|yields?|remains?|spends?|spent|travels?|lasts?|comes?\s+(?:out\s+)?to"
    r"|amounts?\s+to|adds?\s+up\s+to|sums?\s+to|reach(?:es)?|obtain|find|get|at|total\s+of|answer|result)\b|[=:≈→])"
    r"[\s*_$(\[{:=≈~\\]*(?:(?:now|then|still|exactly|only|about|approximately|around|roughly|just|equal\s+to|a\s+total\s+of|therefore|thus"
    r"|also|simply)[\s*_$:]*)*$",
    re.IGNORECASE,
)
_ROUNDED = re.compile(
    r"(?:\b(?:about|approximately|approx\.?|roughly|around|environ|circa|ca\.|rund|etwa)|~)\s*[$(*]*$", re.IGNORECASE
)
_ASIDE = re.compile(r"\([^()\n]{0,200}\)|\[[^\[\]\n]{0,200}\]")
_AFTERWARDS = re.compile(
    r"\W*(?:check|verification|verify(?:ing)?|proof|explanation|note|sanity\s+check|remark|reason(?:ing)?|steps?)\b",
    re.IGNORECASE,
)
_CONCLUDES = re.compile(
    r"(?:^\W*|[,;:]\s+)(?:and\s+)?(?:so|therefore|thus|hence|in\s+total|altogether|finally|in\s+conclusion|consequently|overall)\b",
    re.IGNORECASE,
)
# Sentences and clauses beside the answer: what would be otherwise, what others believe, remarks.
_BESIDE = re.compile(
    r"\bwould\s+(?:be|have|get|need|cost|make|give|become|then)\b|\bif\b|\b(?:could|might)\b|\bfor\s+comparison\b|\b(?:tip|note|hint|remark|fun\s+fact)\s*:"
    r"|\bother\s+units\b|\bin\s+other\s+words,\s+it\s+is\s+not\b|\b(?:many|some|most)\s+(?:people|students|sources)\b|\bpeople\s+(?:believe|think|say)\b"
    r"|\b(?:worth|important)\s+(?:noting|mentioning)\b|\bby\s+the\s+way\b|\binterestingly\b|\bincidentally\b|\bnot\s+(?:count|includ)\w+\b",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r";\s+|,\s+(?=but\b)|,?\s*(?=\b(?:because|since|as\s+the|weil|denn|puisque|porque)\b|因为)")
_REASON = re.compile(r"\s*(?:because|since|as\s+the|weil|denn|puisque|porque)\b|\s*因为", re.IGNORECASE)
_REFUSES = re.compile(
    r"\b(?:i|we)\s+(?:can(?:not|['’]t)|could\s*n[o'’]t|am\s+(?:not\s+able|unable)|(?:do|did)(?:\s+not|n['’]t)\s+know|will\s+not|won['’]t)\b"
    r"|\b(?:cannot|can\s*not|impossible\s+to)\s+(?:be\s+)?(?:determine|say|tell|answer|know|calculat|comput)\w*\b|\bnot\s+enough\s+information\b",
    re.IGNORECASE,
)
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
    said, nearly = _leading(f"= {exact.rpartition('=')[2]}", find), _leading(rounded, find)
    if said is None or nearly is None:
        return said
    return Said((*said.values, *nearly.values))


def _sentences(text: str) -> list[str]:
    return [sentence for sentence in _SENTENCE_GAP.split(text) if sentence.strip()]


def _of_sentence(text: str, find: Find) -> Said | None:
    """The number that a sentence gives: behind `=`, else after its verb, else the last one. In doubt, where these differ."""
    if (said := _after_equals(text, find)) is not None:
        return said
    found = _candidates(text, find)
    if not found:
        return None
    told = [n for n in found if _VERB.search(text, max(0, n.start - 60), n.start)]
    if not told or found[-1] in told:
        return _with_alternatives(text, found[-1], found)
    if len({n.value for n in told}) == 1:
        return _with_alternatives(text, told[-1], found)
    return Said(told[-1].values, (found[-1].value,), doubt=True)


def _of_statement(statement: Statement) -> Said | None:
    text = plain(statement.text)
    sentence = next(iter(_sentences(text)), text)
    for find in (numbers, named_numbers):
        said = _after_equals(sentence, find) or _leading(sentence, find)
        if said is not None:
            return said
    if statement.form == "####":
        # Another heading, such as "#### Step 2: add".
        return None
    found = _candidates(sentence, numbers)
    return Said(found[0].values) if len({n.value for n in found}) == 1 else None


def _of_line(line: str, find: Find) -> Said | None:
    """The number of a line: the bold one, else that of its concluding sentence, else of its last one that has any."""
    bold = [said for piece in _BOLD.findall(line) if (said := _of_bold(piece, find)) is not None]
    if bold:
        return bold[-1]
    told = [(sentence, said) for sentence in _sentences(line) if (said := _of_clauses(sentence, find)) is not None]
    told = [pair for pair in told if not _is_beside(pair[0])] or told
    concluding = [pair for pair in told if _CONCLUDES.search(pair[0])]
    return (concluding or told)[-1][1] if told else None


def _is_beside(sentence: str) -> bool:
    whole_aside = re.fullmatch(r"\W*\([^()]*\)\W*", sentence) is not None
    return whole_aside or (_BESIDE.search(sentence) is not None and not _CONCLUDES.search(sentence))


def _of_clauses(sentence: str, find: Find) -> Said | None:
    """The number of a sentence's main clause: reasons and what would be otherwise are looked at last."""
    bare = _ASIDE.sub(" ", sentence)
    clauses = [clause for clause in _CLAUSE.split(bare) if clause.strip()]
    main = [clause for clause in clauses if not _BESIDE.search(clause) and not _REASON.match(clause)]
    for clause in (*reversed(main), bare, sentence):
        if find is numbers and _CONCLUDES.match(clause) and not find(clause):
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
    body = without_courtesy(text)
    paragraphs = [p for p in re.split(r"\n\s*\n", body) if p.strip()]
    if not paragraphs or _REFUSES.search(_sentences(paragraphs[-1])[-1]):
        return None
    if (headline := _headline(paragraphs)) is not None:
        return headline
    telling = [p for p in paragraphs if not _AFTERWARDS.match(p)]
    for find in (numbers, named_numbers, _all_numbers):
        for candidates in (telling, paragraphs):
            for skip in (_is_beside, lambda _line: False):
                for line in _lines_from_end(candidates):
                    if not skip(line) and (said := _of_line(line, find)) is not None:
                        return Reading(said, "the end", line.strip())
    return None


def _lines_from_end(paragraphs: Sequence[str]) -> Iterator[str]:
    for paragraph in reversed(paragraphs):
        yield from reversed(plain(paragraph).split("\n"))


def _all_numbers(text: str) -> list[Number]:
    """Numbers that would otherwise count as labels, for answers that have no others."""
    return [replace(number, label=False) for number in numbers(text)]


def read_number(answer: str) -> Reading[Said] | Undecided[Said] | None:
    """The number that an answer commits to; None where it has none."""
    text = tail(answer)
    return settle(text, statements(text), _of_statement) or _ending(text)
