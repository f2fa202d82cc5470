"""The mathematical expression that an answer commits to, as LaTeX.

`evidence.py` gives the order of evidence.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator

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

# Each question to the worker takes milliseconds, and the last statements are what counts.
_MOST_ASKED = 6
# Whether an expression is equal to the reference; None if it is not an expression.
Equals = Callable[[str], bool | None]
_SPAN = re.compile(
    r"\$\$(.+?)\$\$|\$([^$\n]+?)\$|\\\((.+?)\\\)|\\\[(.+?)\\\]|`([^`\n]+)`", re.DOTALL
)
_NAMES = (
    "sqrt|pi|ln|log|sin|cos|tan|exp|arctan|arcsin|arccos|sinh|cosh|tanh|arcsinh|erf|Gamma"
    "|infty|infinity"
)
_WORD = re.compile(rf"(?<![\\\w])(?!(?:{_NAMES})(?![A-Za-z]))[^\W\d_π]{{2,}}")
# "x = 4 or x = -3", "x₁ = 1, x₂ = 2": a name and its value. In LaTeX the index is `_1`.
_NAME = r"[a-zA-Z](?:_\{?\d\}?)?"
_SOLUTION = re.compile(
    rf"(?<![\w\\])({_NAME})\s*=\s*([^=,;]+?)\$?"
    rf"(?=,?\s*(?:\\text\{{)?\s*(?:or|and|,)?\s*\}}?\s*\$?{_NAME}\s*=|[\s.$]*$)"
)
_JOINED = re.compile(r",?\s+(?:and|or|und)\s+")
# Brackets or an equation in a list: then it is not a plain list of solutions.
_NOT_A_LIST = re.compile(r"[(\[{=]")
_POINT = re.compile(r"\([^()]*,[^()]*\)")
_POINT_OF_NUMBERS = re.compile(r"\([^()=]*\d[^()=]*,[^()]*\d[^()]*\)")
# "either 1/2 or 1/3", "between 0 and 1".
_ALTERNATIVES = re.compile(
    r"\beither\b|\bbetween\b.*\band\b|[\d}$)]\s+or\s+(?!about|approximately|roughly)[$\\(\d√π-]",
)
# A formula after one of these words is a detail: a condition, a comparison, what the answer is not.
_DETAIL = re.compile(
    r"\b(?:for|where|when|if|with|than|of|times|twice|from|not|between|as)\s*$",
    re.IGNORECASE,
)
# What comes after one of these says the same in other words.
_REMARK = re.compile(r",?\s+(?:i\.e\.|namely|in\s+other\s+words)[,\s]|,\s+that\s+is[,\s]|\s\(\s*$")
_MATHEMATICS = re.compile(r"[\dπ√∞½]|\\[a-z]|^\W*[a-zA-Z](?:\W|$)")
# Mathematics before a formula: then the formula is not the whole expression.
_BEFORE_FORMULA = re.compile(r"\d|[=+^]")
# The mathematics after a word in the middle of a clause, up to the next word.
_INNER = re.compile(rf"{_WORD.pattern}\s+([^\s]*[\d√π\\][^,;:]*?)(?=\s{_WORD.pattern}|[,;:]|$)")
_CLAUSE_END = re.compile(r"[\s.,:]+$")
_DISPLAY = re.compile(r"\\\[(.{1,1000}?)\\\]|\$\$(.{1,1000}?)\$\$", re.DOTALL)
# `**` that is emphasis; in `x**3` it is a power.
_BOLD_MARK = re.compile(r"(?<![\w)])\*\*|\*\*(?![\w(-])")
_CONDITION = re.compile(r",?\s+(?:for|where|when|provided|with|if)\s")
_ROUNDED = re.compile(
    r"\\approx|\\simeq|\\sim(?![a-z])|≈|≃"
    r"|,?\s(?:or|which\s+is|i\.e\.,?)?\s*(?:about|approximately|roughly)\s",
    re.IGNORECASE,
)
# Commands for spaces and sizes, but not the `\\` that ends a row of a matrix.
_FORMAT = re.compile(
    r"\\(?:left|right|displaystyle|limits|[bB]igg?[lr]?)(?![A-Za-z])|(?<!\\)\\[,;:! ]"
    r"|\\q?quad(?![A-Za-z])|~"
)
_STYLED = re.compile(
    r"\\(?:math(?:rm|bf|it|sf)|text(?:rm|bf|it)?|operatorname|mbox|boldsymbol|boxed|rm)"
    r"\s*\{([^{}]*)\}(\s*\^\s*\{?\d\}?)?"
)
# `\mathrm e` and `{\rm e}`: a style without braces of its own.
_BARE_STYLE = re.compile(r"\\(?:mathrm|text|rm)\s+([a-zA-Z])(?![a-zA-Z])")
# Patterns would take seconds on a run of thousands of blanks.
_BLANKS = re.compile(r"[ \t]{2,}")
# What is not the value itself: `\neq 2`, `\pm 2`.
_NOT_EQUAL = re.compile(r"\\neq?(?![a-z])|≠|!=|\\pm(?![a-z])|±")
_ONLY_NAME = re.compile(_NAMES)
_TWO_LETTERS = re.compile(r"[^\W\d_]{2}")
_FRACTION_STYLE = re.compile(r"\\[dtc]frac")
_EQUALS = re.compile(r"(?<![<>!\\])=")
_WHITE_SPACE = re.compile(r"\s+")
# `x \\in` before a set or an interval.
_MEMBERSHIP = re.compile(r"^\s*[a-zA-Z]\s*(?:\\in(?![a-z])|∈)\s*")
_TRAILING_MARKS = re.compile(r"[.,;:!?*_`$\s✅✓☑]+$")
_VULGAR = re.compile("[¼-¾⅐-⅞]")
_POWER = re.compile("[⁰¹²³⁴-⁹⁻⁺]+")
_INDEX = re.compile("[₀-₉]+")
_SIGNS = {
    **{"−": "-", "–": "-", "⁄": "/", "∕": "/", "·": r" \cdot ", "×": r" \times ", "÷": "/"},
    **{"π": r"\pi ", "∞": r"\infty ", "∪": r" \cup ", "≤": r"\le ", "≥": r"\ge "},
}
_ROOT_SIGN = re.compile(r"√\s*(?:\(([^()]*)\)|\{?(\d+|[A-Za-z])\}?)")
_SQRT_CALL = re.compile(r"(?<!\\)\bsqrt\s*\(((?:[^()]|\([^()]*\))*)\)")
_EXP_CALL = re.compile(r"\\?\bexp\s*\(([^()]*)\)")
_PLAIN_NAME = re.compile(
    r"(?<![\\A-Za-z])(pi|ln|log|sin|cos|tan|arctan|arcsin|arccos|infty)(?![A-Za-z])"
)
_PLAIN_POWER = re.compile(r"\^\s*\(([^()]*)\)|\^\s*(-?\d+(?:\.\d+)?)")
_THOUSANDS = re.compile(r"(?<![\d.,])[1-9]\d{0,2}(?:,\d{3})+(?!\d)")
_SET_BRACES = re.compile(r"(?<!\\)\{(?=[^{}]*,[^{}]*\}$)|(?<!\\)(?<=[\d\w])\}$")


def _styled(match: re.Match[str]) -> str:
    r"""What stays of a styled text: `\mathrm{e}` is e, `\text{ln}` is \ln.

    Units and other words are removed, with their power.
    """
    inner, power = match[1].strip().removeprefix("\\"), match[2] or ""
    if _ONLY_NAME.fullmatch(inner):
        return rf"\{inner} "
    is_word = _TWO_LETTERS.search(inner) is not None
    is_unit = bool(power) and inner.isalpha() and len(inner) > 1
    return " " if is_word or is_unit else inner + power


def _vulgar_fraction(match: re.Match[str]) -> str:
    r"""`½` as `\frac{1}{2}`."""
    above, below = unicodedata.normalize("NFKC", match[0]).split("\u2044")
    return rf"\frac{{{above}}}{{{below}}}"


def latex(text: str) -> str:
    """Typography and plain text as LaTeX: `½`, `x²`, `sqrt(3)*2`, `pi/4`, `2**3`, `π⁄4`."""
    text = _VULGAR.sub(_vulgar_fraction, text)
    text = _POWER.sub(lambda m: f"^{{{unicodedata.normalize('NFKC', m[0])}}}", text).replace(
        "\u2212", "-"
    )
    for sign, meaning in _SIGNS.items():
        text = text.replace(sign, meaning)
    text = _ROOT_SIGN.sub(lambda m: rf"\sqrt{{{m[1] or m[2]}}}", text)
    text = _SQRT_CALL.sub(r"\\sqrt{\1}", text.replace("**", "^"))
    text = _EXP_CALL.sub(r"e^{\1}", text)
    text = _PLAIN_NAME.sub(r"\\\1 ", text)
    text = _PLAIN_POWER.sub(lambda m: f"^{{{m[1] or m[2]}}}", text)
    text = _THOUSANDS.sub(lambda m: m[0].replace(",", ""), text)
    text = _INDEX.sub(lambda m: "_" + unicodedata.normalize("NFKC", m[0]), text)
    if text.startswith("{"):
        # Plain braces around a list are a set's.
        return _SET_BRACES.sub(lambda m: "\\" + m[0], text)
    return text.replace("*", r" \cdot ")


def tidy(expression: str, keep_equation: bool = False) -> str:
    """An expression without styles, words, units and roundings.

    Of `x = 3` it is the part after the last equals sign.
    """
    text = _WHITE_SPACE.sub(" ", _ROUNDED.split(expression)[0])
    text = _BARE_STYLE.sub(r"\1", text)
    # Styles can be nested.
    for _ in range(3):
        text = _STYLED.sub(_styled, text)
    text = latex(_FORMAT.sub(" ", _FRACTION_STYLE.sub(r"\\frac", text)))
    text = _MEMBERSHIP.sub("", text)
    if not keep_equation and "=" in text:
        text = _EQUALS.split(text)[-1]
    return _TRAILING_MARKS.sub("", text.strip().lstrip("*_`$ "))


def _without_bold(text: str) -> str:
    """The text without bold marks; `x**3` stays a power."""
    return _BOLD_MARK.sub("", text)


def _run(text: str, from_end: bool) -> str:
    """The mathematics that a text begins with, up to the first word.

    With `from_end`, it is the part after the last word.
    """
    words = list(_WORD.finditer(text))
    if from_end:
        return text[words[-1].end() :] if words else text
    return text[: words[0].start()] if words else text


def _inside(formula: re.Match[str]) -> str:
    """The text between the marks of a formula."""
    return next(text for text in formula.groups() if text)


def _of_statement(text: str) -> str:
    """The expression that a statement's text begins with."""
    formula = _SPAN.search(text)
    if formula is not None and not _BEFORE_FORMULA.search(text[: formula.start()]):
        return _inside(formula)
    sentence = _without_bold(next(iter(sentences(text)), text))
    clause = next(iter(reversed(clauses(sentence))), sentence)
    beginning = _run(clause, from_end=False)
    return (
        beginning if _MATHEMATICS.search(beginning) else _run(clause.rstrip(" .!"), from_end=True)
    )


def _formulas(text: str) -> list[str]:
    """The formulas of a text from the last one on; those that give a detail come after the others.

    Formulas that round what comes before them are left out.
    """
    main: list[str] = []
    details: list[str] = []
    for formula in _SPAN.finditer(text):
        inner, before = _inside(formula), max(0, formula.start() - 16)
        if not _MATHEMATICS.search(inner) or _ROUNDED.search(text, before, formula.start()):
            continue
        is_detail = _DETAIL.search(text, before, formula.start()) is not None
        (details if is_detail else main).append(inner)
    return [*reversed(main), *reversed(details)]


def _solutions(text: str, kind: str) -> str:
    """The solutions that a text gives, as one expression: a "set" or a "point", as `kind` says.

    Empty if there are none. A set is given by "x = 1 or x = 2" or "1 and 2", a point by "x = 2,
    y = 3".
    """
    plain = latex(_FORMAT.sub(" ", _without_bold(text)))
    named = _SOLUTION.findall(plain)
    if kind == "point":
        names = {name for name, _ in named}
        ordered = [value for _, value in sorted(named)]
        return f"({', '.join(ordered)})" if len(names) == len(named) > 1 else ""
    if len(named) > 1:
        return rf"\{{{', '.join(value for _, value in named)}\}}"
    with_commas = _JOINED.sub(", ", plain.rstrip(" .!").replace("$", ""))
    listed = _run(with_commas, from_end=True).strip(" :")
    is_list = "," in listed and not _NOT_A_LIST.search(listed)
    return rf"\{{{listed}\}}" if is_list else ""


def _expressions(clause: str, kind: str) -> Iterator[str]:
    """The possible expressions of a clause, best first: solutions, formulas, else among words."""
    if kind and (solutions := _solutions(clause, kind)):
        yield solutions
    formulas = _formulas(clause)
    yield from formulas or _among_words(clause)


def _among_words(clause: str) -> Iterator[str]:
    """The mathematics among the words of a clause: at its end, at its beginning, then inside it."""
    exact = _ROUNDED.split(_without_bold(clause))[0]
    plain = _CLAUSE_END.sub("", latex(_REMARK.split(exact)[0]))
    for text in (_CONDITION.split(plain)[0], plain):
        for piece in dict.fromkeys((text.rpartition("=")[2], text)):
            for from_end in (True, False):
                yield _run(piece, from_end).lstrip(" ,:;").rstrip(" .,:;")
    yield from reversed(_INNER.findall(plain))


def _ending(text: str) -> Iterator[tuple[str, bool]]:
    """(clause, whether its sentence names alternatives) from the end of an answer.

    In each line, concluding sentences come before the others.
    """
    for line in lines_from_end(paragraphs(_closed(text))):
        from_end = [sentence for sentence in reversed(sentences(line)) if not is_beside(sentence)]
        from_end.sort(key=lambda sentence: not concludes(sentence))
        for sentence in from_end:
            alternatives = _ALTERNATIVES.search(sentence) is not None
            for clause in clauses(sentence):
                yield clause, alternatives


def _closed(text: str) -> str:
    """The text with each display on one line, and without one that was cut off."""
    text = _DISPLAY.sub(lambda m: f"$${' '.join((m[1] or m[2]).split())}$$", text)
    cut = max(text.rfind("\\["), text.rfind("$$") if text.count("$$") % 2 else -1)
    return text if cut < 0 else text[:cut]


def read_expression(answer: str, equals: Equals, gold: str) -> Reading[bool] | None:
    """Whether `equals` accepts the expression that an answer commits to; None without one.

    `gold` is the reference: an equation or a set there means that one is wanted.
    """
    text, keep_equation = _BLANKS.sub(" ", tail(answer)), "=" in gold
    kind = _kind(gold, text)

    def verdict(raw: str) -> bool | None:
        found = tidy(raw, keep_equation)
        if (
            not found
            or not _MATHEMATICS.search(found)
            or (_NOT_EQUAL.search(found) and not _NOT_EQUAL.search(gold))
        ):
            return None
        return equals(found)

    def read(statement: Statement) -> bool | None:
        sentence = next(iter(sentences(statement.text)), statement.text)
        if kind and (solutions := _solutions(sentence, kind)) and verdict(solutions):
            return True
        if statement.form == "boxed":
            return verdict(statement.text)
        if not kind and _ALTERNATIVES.search(sentence):
            return False
        return verdict(_of_statement(statement.text))

    settled = settle(text, statements(text)[-_MOST_ASKED:], read)
    if settled is not None:
        return settled
    asked = 0
    for clause, alternatives in _ending(text):
        for raw in _expressions(clause, kind):
            equal = verdict(raw)
            if equal is not None:
                commits = bool(kind) or not alternatives
                return Reading(equal and commits, "the end", tidy(raw, keep_equation))
            asked += 1
        if asked > _MOST_ASKED:
            break
    return None


def _kind(gold: str, text: str) -> str:
    """Whether solutions make a "set" or a "point"; empty if the reference is neither.

    "x = 2, y = 3" may mean a point if an answer gives none.
    """
    if _POINT.fullmatch(gold) and not _POINT_OF_NUMBERS.search(text):
        return "point"
    return "set" if gold.startswith("\\{") else ""
