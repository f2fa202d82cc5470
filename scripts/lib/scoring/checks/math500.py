"""Check of MATH-500: the published grader's rules, with its computer algebra replaced.

The published grader passes the model's text to sympy's `parse_expr`, which runs it as Python. Here
the worker of `equality.py` compares expressions without running them.
"""

from __future__ import annotations

import re

from scripts.lib.prompts.check_types import CheckOutcome
from scripts.lib.scoring.checks.common import Params, compared
from scripts.lib.scoring.extract.evidence import Undecided, boxed, tail
from scripts.lib.scoring.extract.expressions import tidy

_WHOLE_TEXT = re.compile(r"^\\(?:text|mbox|textbf|mathrm|mathbf|textit)\{(.+?)\}$")
# `,\!` groups digits, and so does a comma, or `{,}`, before three of them.
_GROUPED = re.compile(r",\\! *|(?<=\d)(?:,|\{,\})(?=\d\d\d(?:$|\D))")
# Between solutions "and" and "or" are commas.
_AND = re.compile(r"\s*\\text\{ *(?:and|or) *\}\s*|\s+(?:and|or)\s+")
_MIXED = re.compile(r"^(-?\d+) +(\d+)/(\d+)$")
_SIGN = re.compile(r"^\+\s*")
_DROPPED = re.compile(
    r"\\!|\\left(?![a-z])|\\right(?![a-z])|\\?[$%]|\^ *\{?\\circ\}?|\\text\{ [^{}]*\}(?:\^\d)?$"
)
_UNITS = (
    "degree|centimeter|cm|meter|mile|second|minute|hour|day|week|month|year|foot|feet|inch|yard"
)
_UNIT = re.compile(rf"(?:{_UNITS})(?:es)?s? *(?:\^[0-9]+)?")
# `k =`, `x=`: at most two characters before the sign.
_NAMED = re.compile(r"^[^=]{1,2}=(?=[^=]+$)")
_INTEGER = re.compile(r"-?\d+(?:\.0*)?")
_FRACTION = re.compile(r"-?\d+/0*[1-9]\d*")
_PART = r"(\{[^{}]*\}|\\[a-z]+|[^{}\\])"
_SHORT_FRACTION = re.compile(rf"\\frac{_PART}{_PART}")
# Not after a digit: `3\frac{1}{2}` is not 31/2.
_OF_NUMBERS = re.compile(r"(?<![\w}])\\frac\{(-?\d+)\}\{(\d+)\}")
_SHORT_ROOT = re.compile(r"\\sqrt([^{\[])")
# For the grader, an expression with more letters than this is text.
_MOST_LETTERS = 2
_COMMANDS = re.compile(r"\\[a-zA-Z]+|(?:sqrt|pi|infty)")


def _plain(text: str) -> str:
    """LaTeX without what the grader ignores.

    That is separators of digit groups, units, currency signs and a name before `=`.
    """
    text = text.strip()
    if whole := _WHOLE_TEXT.match(text):
        text = whole[1].strip()
    text = _DROPPED.sub("", _GROUPED.sub("", _AND.sub(", ", text)))
    text = _SIGN.sub("", _NAMED.sub("", _UNIT.sub("", text).strip()).strip())
    return _MIXED.sub(r"\1\\frac{\2}{\3}", text)


def _form(text: str) -> str:
    r"""One spelling of LaTeX: no blanks, `1/2`, `\sqrt{3}`, lower case."""
    text = re.sub(r"\s", "", re.sub(r"\\[dt]frac", r"\\frac", text))
    text = _SHORT_FRACTION.sub(
        lambda m: rf"\frac{{{m[1].strip('{}')}}}{{{m[2].strip('{}')}}}", text
    )
    text = _OF_NUMBERS.sub(r"\1/\2", _SHORT_ROOT.sub(r"\\sqrt{\1}", text))
    return re.sub(r"(?<!\d)\.(?=\d)", "0.", text).lower()


def _is_text(text: str) -> bool:
    """Whether a text has more different letters than a formula."""
    return len({letter for letter in _COMMANDS.sub("", text) if letter.isalpha()}) > _MOST_LETTERS


def _brackets(text: str) -> str:
    """The brackets of a point or an interval; empty for a set and for other expressions."""
    ends = f"{text[:1]}{text[-1:]}"
    return ends if "," in text and set(ends) <= set("()[]") else ""


def check_math500(answer: str, params: Params) -> CheckOutcome:
    r"""The last `\boxed{…}` is `value`, by the grader's spelling rules or as an expression.

    A whole number must be given as one, and a fraction must be reduced as in `value`.
    """
    from scripts.lib.scoring.equality import equal

    value, boxes = str(params["value"]), list(boxed(tail(answer)))
    if not boxes:
        return CheckOutcome(False, "no \\boxed{…}")
    given = boxes[-1].text
    shown = f"\\boxed{{{given[:100]}}}"

    def decided(same: bool) -> CheckOutcome:
        return compared(same, shown, value[:100], given[:200], shown)

    wanted_form, given_form = _form(_plain(value)), _form(_plain(given))
    if wanted_form == given_form:
        return decided(True)
    if (
        _is_text(wanted_form)
        or bool(_INTEGER.fullmatch(wanted_form)) != bool(_INTEGER.fullmatch(given_form))
        or (_FRACTION.fullmatch(wanted_form) and _FRACTION.fullmatch(given_form))
    ):
        return decided(False)
    wanted, found = (tidy(_plain(text), keep_equation=True).strip() for text in (value, given))
    if _brackets(wanted) != _brackets(found) or (":" in value) != (":" in given):
        return decided(False)
    try:
        return decided(bool(equal(wanted, found)))
    except Undecided as error:
        return CheckOutcome(None, str(error), given[:200], shown)
