"""What an answer ends on where it states nothing: which paragraphs, sentences and clauses give the answer, and which stand beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from scripts.lib.scoring.courtesy import without_courtesy
from scripts.lib.scoring.evidence import REFUSAL


def _any(*patterns: str) -> re.Pattern[str]:
    """A pattern for any of these, in any case; a blank in one stands for any white space."""
    return re.compile("|".join(pattern.replace(" ", r"\s+") for pattern in patterns), re.IGNORECASE)


# Brackets with words in them; `(x + 1)` and `(\\ln x)` are mathematics.
_WORDS = r"(?<![\\A-Za-z])(?!(?:sin|cos|tan|log|exp|sqrt|arctan)\b)[^\W\d_]{3}"
ASIDE = re.compile(
    rf"(?:(?<=\s)|(?<=\.))\((?=[^()]*{_WORDS})[^()\n]{{0,200}}\)|(?<=\s)\[(?=[^\[\]]*{_WORDS})[^\[\]\n]{{0,200}}\]"
)
_SENTENCE_GAP = re.compile(
    r"(?<=[^\d\s][.!?])(?<!\b(?:sq|ca|vs|eq|no|st|mr|dr)\.)(?<!approx\.)(?<!e\.g\.)(?<!i\.e\.)[\"')\]*_]*\s+(?=\S)"
    r"|(?<=\d[.!?])[\"')\]*_]*\s+(?=[A-Z(*\"“])|(?<=[.!?]\*\*)\s+(?=\S)",
    re.IGNORECASE,
)
# Paragraphs that come after the answer.
_AFTERWARDS = re.compile(
    r"\W*(?:"
    + _any(
        r"(?:as an? )?(?:(?:quick|further|final|side|sanity|additional) )?(?:check|verification|proof|explanation|note)\b",
        r"(?:as an? )?(?:remark|tip|reasoning|reason)\b|verify(?:ing)?\b|steps?\b|a (?:side note|tip|remark|note)\b",
        r"for (?:reference|comparison|fun)\b|another way\b|alternatively\b|by the way\b|incidentally\b|in python\b|why\b",
        r"you (?:can|could|may|might)\b|to (?:check|verify|confirm|be sure)\b|interestingly\b|fun fact\b|don['’]t forget\b",
        r"background\b|it(?:['’]s| is) (?:worth|important|interesting)\b|(?:please )?note\b|i hope\b|if you\b|of course\b",
        r"keep in mind\b|remember\b",
    ).pattern
    + ")",
    re.IGNORECASE,
)
_CONCLUDES = _any(
    r"\b(?:thus|therefore|hence|altogether)\b",
    r"(?:^\W*|[,;:] )(?:and )?(?:so|in total|finally|in conclusion|consequently|overall)\b",
)
# Sentences and clauses beside the answer: what would be otherwise, what others believe, remarks.
_BESIDE = _any(
    r"\bwould (?:be|have|get|need|cost|make|give|become|then)\b|\bif\b|\b(?:could|might)\b|\bnot (?:count|includ)\w+\b",
    r"\b(?:tip|note|hint|remark|fun fact) ?:|\bfor (?:comparison|reference|instance|example)\b|\bother units\b",
    r"\b(?:many|some|most) (?:people|students|sources)\b|\bpeople (?:believe|think|say)\b|\bby the way\b",
    r"\b(?:worth|important) (?:noting|mentioning)\b|\binterestingly\b|\bincidentally\b|\bcompare (?:that|this|it)\b",
    r"^\W*(?:check|verification|proof) ?:|^\W*indeed\b",
    r"\byou (?:can|could|may|might) (?:also )?(?:check|verify|have|try|see)\b",
)
_REASON_WORDS = r"(?:because|since|as\s+the|not|rather\s+than|instead\s+of|while|whereas|weil|denn|puisque|porque)\b"
_CLAUSE_GAP = re.compile(rf"(?<!\\);\s+|\s[—–]\s(?=[^\W\d])|[,–—-]\s+(?=but\b)|,?\s*(?=\b{_REASON_WORDS}|因为)")
_REASON = re.compile(rf"\s*{_REASON_WORDS}|\s*因为", re.IGNORECASE)


_LEADING_REASON = re.compile(r"^\W*(?:since|because|as)\b.*?,\s+(?=[a-z])", re.IGNORECASE)
_EXPLAINED = re.compile(r":\s+(?=[a-z]{2,}\s)")


def sentences(line: str) -> list[str]:
    """The sentences of a line."""
    return [sentence for sentence in _SENTENCE_GAP.split(line) if sentence.strip()]


def concludes(sentence: str) -> bool:
    """Whether a sentence draws a conclusion: `so`, `therefore`, `in total`."""
    return _CONCLUDES.search(sentence) is not None


def is_beside(sentence: str) -> bool:
    """Whether a sentence stands beside the answer: in brackets as a whole, a hypothesis, a remark."""
    if re.fullmatch(r"\W*\([^()]*[^\W\d_]{3}[^()]*\)\W*", sentence):
        return True
    return _BESIDE.search(sentence) is not None and not concludes(sentence)


def clauses(sentence: str) -> list[str]:
    """The main clauses of a sentence, the last first, without asides; reasons and hypotheses are left out.

    What follows a colon explains what stands before it, and is left out too where that holds a sign or a digit.
    """
    bare = _LEADING_REASON.sub("", ASIDE.sub(" ", sentence))
    head = _EXPLAINED.split(bare)[0]
    if head != bare and re.search(r"\d|\\|[=√π]", head):
        bare = head
    pieces = [clause for clause in _CLAUSE_GAP.split(bare) if clause.strip()]
    return [clause for clause in reversed(pieces) if not _BESIDE.search(clause) and not _REASON.match(clause)]


def paragraphs(text: str) -> list[str]:
    """The paragraphs of an answer without polite ones at the end; none where it ends by saying that it has no answer."""
    found = [p for p in re.split(r"\n\s*\n", without_courtesy(text)) if p.strip()]
    return [] if found and REFUSAL.search(sentences(found[-1])[-1]) else found


def lines_from_end(found: list[str]) -> Iterator[str]:
    """The lines of paragraphs from the last one on: first those of paragraphs that give the answer, then of all."""
    for chosen in ([p for p in found if not _AFTERWARDS.match(p)], found):
        for paragraph in reversed(chosen):
            yield from reversed(paragraph.split("\n"))
