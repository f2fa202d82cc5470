"""How an answer without a statement ends: the paragraphs, sentences and clauses of the result.

Remarks, hypotheses, verifications and reasons are left out where that is possible.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from scripts.lib.scoring.extract.courtesy import without_courtesy
from scripts.lib.scoring.extract.evidence import REFUSAL
from scripts.lib.scoring.extract.phrases import any_of

# A word of three letters. Brackets that hold one are an aside; `(x + 1)` and `(\\ln x)` are
# mathematics.
_WORD = r"(?<![\\A-Za-z])(?!(?:sin|cos|tan|log|exp|sqrt|arctan)\b)[^\W\d_]{3}"
_ASIDE = re.compile(
    rf"(?:(?<=\s)|(?<=\.))\((?=[^()]*{_WORD})[^()\n]{{0,200}}\)"
    rf"|(?<=\s)\[(?=[^\[\]]*{_WORD})[^\[\]\n]{{0,200}}\]"
)
_ABBREVIATIONS = r"(?<!\b(?:sq|ca|vs|eq|no|st|mr|dr)\.)(?<!approx\.)(?<!e\.g\.)(?<!i\.e\.)"
_CLOSING_MARKS = r"[\"')\]*_]*"
_SENTENCE_GAP = re.compile(
    rf"(?<=[^\d\s][.!?]){_ABBREVIATIONS}{_CLOSING_MARKS}\s+(?=\S)"
    # After a digit the next word must look like the start of a sentence.
    rf"|(?<=\d[.!?]){_CLOSING_MARKS}\s+(?=[A-Z(*\"“])"
    r"|(?<=[.!?]\*\*)\s+(?=\S)",
    re.IGNORECASE,
)
# How paragraphs begin that come after the answer.
_AFTERWARDS = re.compile(
    r"\W*"
    + any_of(
        r"(?:as an? )?(?:(?:quick|further|final|side|sanity|additional) )?"
        r"(?:check|verification|proof|explanation|note)\b",
        r"(?:as an? )?(?:remark|tip|reasoning|reason)\b|verify(?:ing)?\b|steps?\b",
        r"a (?:side note|tip|remark|note)\b|for (?:reference|comparison|fun)\b|another way\b"
        r"|alternatively\b",
        r"by the way\b|incidentally\b|in python\b|why\b|you (?:can|could|may|might)\b",
        r"to (?:check|verify|confirm|be sure)\b|interestingly\b|fun fact\b|don['’]t forget\b"
        r"|background\b",
        r"it(?:['’]s| is) (?:worth|important|interesting)\b|(?:please )?note\b|i hope\b|if you\b",
        r"of course\b|keep in mind\b|remember\b|double[- ]?check|let (?:me|us) (?:verify|check)"
        r"|we can (?:verify|check)",
        r"here(?:['’]s| is) (?:the |a |my )?(?:breakdown|calculation|explanation|reasoning)"
        r"|calculation\b|breakdown\b|how\b",
    ),
    re.IGNORECASE,
)
_CONCLUDES = re.compile(
    any_of(
        r"\b(?:thus|therefore|hence|altogether)\b",
        r"(?:^\W*|[,;:] )(?:and )?(?:so|in total|finally|in conclusion|consequently|overall)\b",
    ),
    re.IGNORECASE,
)
# Sentences and clauses beside the answer: what would be otherwise, what others believe, remarks.
_BESIDE = re.compile(
    any_of(
        r"\bwould (?:be|have|get|need|cost|make|give|become|then)\b|\bif\b|\b(?:could|might)\b",
        r"\bnot (?:count|includ)\w+\b|\b(?:tip|note|hint|remark|fun fact)\s*:",
        r"\bfor (?:comparison|reference|instance|example)\b|\bother units\b",
        r"\b(?:many|some|most) (?:people|students|sources)\b|\bpeople (?:believe|think|say)\b"
        r"|\bby the way\b",
        r"\b(?:worth|important) (?:noting|mentioning)\b|\binterestingly\b|\bincidentally\b",
        r"\bcompare (?:that|this|it)\b",
        r"\byou (?:can|could|may|might) (?:also )?(?:check|verify|have|try|see)\b",
        r"^\W*(?:double[- ]?)?(?:check|verification|proof)\s*:|^\W*indeed\b|\bdouble[- ]check",
        r"\b(?:let me|let['’]s|we can|we could|to) (?:verify|check|double|confirm)\w*"
        r"|\?[\s*\"')]*$",
        r"\b(?:he|she|they|it|we|i|you) (?:had|started|began|ate|bought|originally)\b"
        r"|\b(?:initially|originally|at first)\b",
        r"\bthis is because\b|\bthat is \d+ (?:more|less|fewer)\b",
    ),
    re.IGNORECASE,
)
_IN_BRACKETS = re.compile(r"\W*\([^()]*[^\W\d_]{3}[^()]*\)\W*")
_REASON_WORDS = (
    any_of(
        "because|since|as the|not|rather than|instead of|while|whereas",
        "weil|denn|puisque|porque",
    )
    + r"\b"
)
_REASON = re.compile(rf"\s*{_REASON_WORDS}|\s*因为", re.IGNORECASE)
_LEADING_REASON = re.compile(r"^\W*(?:since|because|as)\b.*?,\s+(?=[a-z])", re.IGNORECASE)
_CLAUSE_GAP = re.compile(
    rf"(?<!\\);\s+|\s[—–]\s(?=[^\W\d])|[,–—-]\s+(?=but\b)|,?\s*(?=\b{_REASON_WORDS}|因为)"
)
_EXPLAINED = re.compile(r":\s+(?=[a-z]{2,}\s)")
_GIVES_A_VALUE = re.compile(r"\d|\\|[=√π]")
_BLANK_LINE = re.compile(r"\n\s*\n")


def sentences(line: str) -> list[str]:
    """The sentences of a line."""
    return [sentence for sentence in _SENTENCE_GAP.split(line) if sentence.strip()]


def concludes(sentence: str) -> bool:
    """Whether a sentence draws a conclusion: `so`, `therefore`, `in total`."""
    return _CONCLUDES.search(sentence) is not None


def is_beside(sentence: str) -> bool:
    """Whether a sentence is a remark, a hypothesis or an aside in brackets, not the answer."""
    if _IN_BRACKETS.fullmatch(sentence):
        return True
    return _BESIDE.search(sentence) is not None and not concludes(sentence)


def clauses(sentence: str) -> list[str]:
    """The main clauses of a sentence, the last one first, without asides, reasons and hypotheses.

    Words after a colon explain what comes before it; they are left out if that contains a sign
    or a digit.
    """
    bare = _LEADING_REASON.sub("", _ASIDE.sub(" ", sentence))
    head = _EXPLAINED.split(bare)[0]
    if head != bare and _GIVES_A_VALUE.search(head):
        bare = head
    pieces = [clause for clause in _CLAUSE_GAP.split(bare) if clause.strip()]
    return [
        clause
        for clause in reversed(pieces)
        if not _BESIDE.search(clause) and not _REASON.match(clause)
    ]


def paragraphs(text: str) -> list[str]:
    """The paragraphs of an answer without polite ones at the end.

    The list is empty if the last sentence says that there is no answer.
    """
    found = [
        paragraph for paragraph in _BLANK_LINE.split(without_courtesy(text)) if paragraph.strip()
    ]
    return [] if found and REFUSAL.search(sentences(found[-1])[-1]) else found


def lines_from_end(found: list[str]) -> Iterator[str]:
    """The lines of paragraphs from the last one on.

    The lines of the paragraphs that give the answer come first, then the lines of all paragraphs.
    """
    answering = [paragraph for paragraph in found if not _AFTERWARDS.match(paragraph)]
    for chosen in (answering, found):
        for paragraph in reversed(chosen):
            yield from reversed(paragraph.split("\n"))
