"""The mathematical expression that an answer commits to, as LaTeX, by the order of evidence of `evidence.py`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator

from scripts.lib.scoring.endings import clauses, concludes, is_beside, lines_from_end, paragraphs, sentences
from scripts.lib.scoring.evidence import Reading, Statement, Undecided, settle, statements, tail

# Each question to the worker takes milliseconds; what an answer commits to stands among its last statements.
_MOST_ASKED = 6
Equals = Callable[[str], bool | None]
_SPAN = re.compile(r"\$\$(.+?)\$\$|\$([^$\n]+?)\$|\\\((.+?)\\\)|\\\[(.+?)\\\]|`([^`\n]+)`", re.DOTALL)
_NAMES = "sqrt|pi|ln|log|sin|cos|tan|exp|arctan|arcsin|arccos|infty|infinity"
_WORD = re.compile(rf"(?<![\\A-Za-z])(?!(?:{_NAMES})(?![A-Za-z]))[^\W\d_π]{{2,}}")
# "x = 4 or x = -3" gives a set of solutions.
_NAME = r"[a-zA-Z](?:_\{?\d\}?)?"
_SOLUTIONS = re.compile(
    rf"(?<![\w\\])({_NAME})\s*=\s*([^=,;]+?)\$?(?=,?\s*(?:\\text\{{)?\s*(?:or|and|,)?\s*\}}?\s*\$?{_NAME}\s*=|[\s.$]*$)"
)
_REMARK = re.compile(r",?\s+(?:i\.e\.|namely|in\s+other\s+words)[,\s]|,\s+that\s+is[,\s]|\s\(\s*$")
_CONDITION = re.compile(r",?\s+(?:for|where|when|provided|with|if)\s")
_ROUNDED = re.compile(
    r"\\approx|\\simeq|\\sim(?![a-z])|≈|≃|,?\s(?:or|which\s+is|i\.e\.,?)?\s*(?:about|approximately|roughly)\s",
    re.IGNORECASE,
)
# Spaces and sizes; not the `\\` that ends a row of a matrix.
_FORMAT = re.compile(
    r"\\(?:left|right|displaystyle|limits|[bB]igg?[lr]?)(?![A-Za-z])|(?<!\\)\\[,;:! ]|\\q?quad(?![A-Za-z])|~"
)
_STYLED = re.compile(
    r"\\(?:math(?:rm|bf|it|sf)|text(?:rm|bf|it)?|operatorname|mbox|boldsymbol|boxed|rm)\s*\{([^{}]*)\}(\s*\^\s*\{?\d\}?)?"
)
_VULGAR = re.compile("[¼-¾⅐-⅞]")
_POWER = re.compile("[⁰¹²³⁴-⁹⁻⁺]+")
_INDEX = re.compile("[₀-₉]+")
_SIGNS = {
    "−": "-",
    "–": "-",
    "⁄": "/",
    "∕": "/",
    "·": r" \cdot ",
    "×": r" \times ",
    "÷": "/",
    "π": r"\pi ",
    "∞": r"\infty ",
    "∪": r" \cup ",
    "≤": r"\le ",
    "≥": r"\ge ",
}


def _styled(match: re.Match[str]) -> str:
    """`\\mathrm{e}` is e, `\\text{ln}` is \\ln; units and other words go, with their power."""
    inner = match[1].strip()
    if re.fullmatch(_NAMES, inner):
        return rf"\{inner} "
    return (
        " "
        if re.search(r"[^\W\d_]{2}", inner) or (match[2] and inner.isalpha() and len(inner) > 1)
        else inner + (match[2] or "")
    )


def latex(text: str) -> str:
    """Typography and plain text as LaTeX: `½`, `x²`, `sqrt(3)*2`, `pi/4`, `2**3`, `π⁄4`."""
    text = _VULGAR.sub(lambda m: r"\frac{%s}{%s}" % tuple(unicodedata.normalize("NFKC", m[0]).split("\u2044")), text)
    text = _POWER.sub(lambda m: f"^{{{unicodedata.normalize('NFKC', m[0])}}}", text).replace("\u2212", "-")
    for sign, meant in _SIGNS.items():
        text = text.replace(sign, meant)
    text = re.sub(r"√\s*(?:\(([^()]*)\)|\{?(\d+|[A-Za-z])\}?)", lambda m: rf"\sqrt{{{m[1] or m[2]}}}", text)
    text = re.sub(r"(?<!\\)\bsqrt\s*\(((?:[^()]|\([^()]*\))*)\)", r"\\sqrt{\1}", text.replace("**", "^"))
    text = re.sub(r"\\?\bexp\s*\(([^()]*)\)", r"e^{\1}", text)
    text = re.sub(r"(?<![\\A-Za-z])(pi|ln|log|sin|cos|tan|arctan|arcsin|arccos|infty)(?![A-Za-z])", r"\\\1 ", text)
    text = re.sub(r"\^\s*\(([^()]*)\)|\^\s*(-?\d+)", lambda m: f"^{{{m[1] or m[2]}}}", text)
    text = re.sub(r"(?<![\d.,])[1-9]\d{0,2}(?:,\d{3})+(?!\d)", lambda m: m[0].replace(",", ""), text)
    text = _INDEX.sub(lambda m: "_" + unicodedata.normalize("NFKC", m[0]), text)
    return (
        re.sub(r"(?<!\\)\{(?=[^{}]*,[^{}]*\}$)|(?<!\\)(?<=[\d\w])\}$", lambda m: "\\" + m[0], text)
        if text.startswith("{")
        else text.replace("*", r" \cdot ")
    )


def tidy(expression: str, keep_equation: bool = False) -> str:
    """An expression without styles, words, units and roundings; of `x = 3` what stands behind the last equals sign."""
    text = re.sub(r"\s+", " ", _ROUNDED.split(expression)[0])
    for _ in range(3):
        text = _STYLED.sub(_styled, text)
    text = latex(_FORMAT.sub(" ", re.sub(r"\\[dtc]frac", r"\\frac", text)))
    text = re.sub(r"^\s*[a-zA-Z]\s*(?:\\in(?![a-z])|∈)\s*", "", text)
    if not keep_equation and "=" in text:
        text = re.split(r"(?<![<>!\\])=", text)[-1]
    return re.sub(r"[.,;:!?*_`$\s✅✓☑]+$", "", text.strip().lstrip("*_`$ "))


def _without_bold(text: str) -> str:
    """Bold marks taken off; `x**3` stays a power."""
    return re.sub(r"(?<![\w)])\*\*|\*\*(?![\w(-])", "", text)


def _run(text: str, from_end: bool) -> str:
    """The mathematics that a text begins (or ends) with: up to the first word."""
    words = list(_WORD.finditer(text))
    if from_end:
        return text[words[-1].end() :] if words else text
    return text[: words[0].start()] if words else text


def _is_mathematics(text: str) -> bool:
    return re.search(r"[\dπ√∞½]|\\[a-z]|^\W*[a-zA-Z](?:\W|$)", text) is not None


def _of_statement(text: str) -> str:
    """The expression that a statement's text begins with."""
    span = _SPAN.search(text)
    if span is not None and not re.search(r"\d|[=+^]", text[: span.start()]):
        return next(filter(None, span.groups()))
    sentence = _without_bold(next(iter(sentences(text)), text))
    clause = next(iter(reversed(clauses(sentence))), sentence)
    begin = _run(clause, from_end=False)
    return begin if _is_mathematics(begin) else _run(clause.rstrip(" .!"), from_end=True)


# What a formula behind one of these says is a detail: a condition, a comparison, what it is not.
_DETAIL = re.compile(r"\b(?:for|where|when|if|with|than|of|times|twice|from|not|between|as)\s*$", re.IGNORECASE)


def _formulas(text: str) -> list[str]:
    """The formulas of a text, the last first: no roundings of what stands before them, details after the others."""
    found: list[tuple[bool, str]] = []
    for match in _SPAN.finditer(text):
        inner = next(filter(None, match.groups()))
        if _is_mathematics(inner) and not _ROUNDED.search(text, max(0, match.start() - 16), match.start()):
            found.append((_DETAIL.search(text, max(0, match.start() - 16), match.start()) is not None, inner))
    return [inner for detail in (False, True) for behind, inner in reversed(found) if behind is detail]


def _solutions(text: str, kind: str) -> str:
    """"x = 1 or x = 2", "x₁ = 1, x₂ = 2" or "1 and 2" as a set; "x = 2, y = 3" as a point. Empty where there is none."""
    plain = latex(_FORMAT.sub(" ", _without_bold(text)))
    named = _SOLUTIONS.findall(plain)
    if kind == "point":
        ordered = [value for _, value in sorted(named)]
        return f"({', '.join(ordered)})" if len({name for name, _ in named}) == len(named) > 1 else ""
    if len(named) > 1:
        return rf"\{{{', '.join(value for _, value in named)}\}}"
    listed = _run(re.sub(r",?\s+(?:and|or|und)\s+", ", ", plain.rstrip(" .!").replace("$", "")), from_end=True).strip(" :")
    return rf"\{{{listed}\}}" if "," in listed and not re.search(r"[(\[{=]", listed) else ""


def _expressions(clause: str, kind: str) -> Iterator[str]:
    """What a clause may give, best first: its formulas from the last on, else the mathematics in its plain words."""
    if kind and (solutions := _solutions(clause, kind)):
        yield solutions
    if formulas := _formulas(clause):
        yield from formulas
        return
    plain = re.sub(r"[\s.,:]+$", "", latex(_REMARK.split(_ROUNDED.split(_without_bold(clause))[0])[0]))
    for text in (_CONDITION.split(plain)[0], plain):
        for piece in dict.fromkeys((text.rpartition("=")[2], text)):
            for from_end in (True, False):
                yield _run(piece, from_end).strip(" .,:;")
    inner = re.findall(rf"{_WORD.pattern}\s+([^\s]*[\d√π\\][^,;:]*?)(?=\s{_WORD.pattern}|[,;:]|$)", plain)
    yield from reversed(inner)


def _hedges(text: str) -> bool:
    """Whether a text leaves the choice between expressions: "either 1/2 or 1/3", "between 0 and 1"."""
    either = re.search(r"\beither\b|\bbetween\b.*\band\b", text)
    return either is not None or re.search(r"[\d}$)]\s+or\s+(?!about|approximately|roughly)[$\\(\d√π-]", text) is not None


def _ending(text: str) -> Iterator[tuple[str, bool]]:
    """(clause, whether it names alternatives) from the end of an answer: concluding sentences of a line before its others."""
    found = paragraphs(_closed(text))
    for line in lines_from_end(found):
        told = [s for s in sentences(line) if not is_beside(s)]
        for sentence in sorted(reversed(told), key=lambda s: not concludes(s)):
            for clause in clauses(sentence):
                yield clause, _hedges(sentence)


def _closed(text: str) -> str:
    """The text with displays on one line each, and without one that was cut off."""
    text = re.sub(
        r"\\\[(.{1,1000}?)\\\]|\$\$(.{1,1000}?)\$\$", lambda m: f"$${' '.join((m[1] or m[2]).split())}$$", text, flags=re.DOTALL
    )
    cut = max(text.rfind("\\["), text.rfind("$$") if text.count("$$") % 2 else -1)
    return text if cut < 0 else text[:cut]


def read_expression(answer: str, equals: Equals, gold: str) -> Reading[bool] | Undecided[bool] | None:
    """Whether the expression that an answer commits to is the one that `equals` accepts (None: it is no expression)."""
    text = tail(answer)
    keep_equation = "=" in gold
    kind = "set" if gold.startswith("\\{") else ""
    if re.fullmatch(r"\([^()]*,[^()]*\)", gold) and not re.search(r"\([^()=]*\d[^()=]*,[^()]*\d[^()]*\)", text):
        # No pair is given; "x = 2, y = 3" may stand for one.
        kind = "point"

    def value(raw: str) -> bool | None:
        found = tidy(raw, keep_equation)
        return equals(found) if found and _is_mathematics(found) else None

    def read(statement: Statement) -> bool | None:
        sentence = next(iter(sentences(statement.text)), statement.text)
        if kind and (solutions := _solutions(sentence, kind)) and value(solutions):
            return True
        if statement.form != "boxed" and not kind and _hedges(sentence):
            return False
        return value(statement.text if statement.form == "boxed" else _of_statement(statement.text))

    settled = settle(text, statements(text)[-_MOST_ASKED:], read)
    if settled is not None:
        return settled
    asked = 0
    for clause, hedge in _ending(text):
        for raw in _expressions(clause, kind):
            verdict = value(raw)
            if verdict is not None:
                return Reading(verdict and (bool(kind) or not hedge), "the end", tidy(raw, keep_equation))
            asked += 1
        if asked > _MOST_ASKED:
            break
    return None
