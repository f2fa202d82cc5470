"""Numbers in digits, as people and models write them, read exactly.

They have signs, thousands separators, fractions, LaTeX, units and powers of ten.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from scripts.lib.scoring.extract.phrases import any_of

# Larger powers are not computed.
_MOST_EXPONENT = 400
_MOST_POWER = 64
_MOST_BASE = 10_000

# --- typography -----------------------------------------------------------------------------------

_VULGAR = re.compile("[¼-¾⅐-⅞]")
_SUPERSCRIPT = re.compile("⁻?[⁰¹²³⁴-⁹]+")
_COMMAND_SPACE = re.compile(r"\\(?:left|right|displaystyle|big|Big|bigl|bigr)(?![A-Za-z])|\\[!]")
_THIN_SPACE = re.compile(r"\\,|\\;|\\:|\\ |~|\\q?quad(?![A-Za-z])")
_STYLE = re.compile(
    r"\\(?:text|mathrm|textbf|textit|mathbf|mathit|mathsf|operatorname|rm|bf|mbox"
    r"|emph)\s*\{([^{}]*)\}",
)
_FRACTION = re.compile(
    r"(?P<whole>\d)?\s*\\[dtc]?frac\s*"
    r"(?:\{\s*(?P<a>[-+−]?[\d.,]+)\s*\}\s*\{\s*(?P<b>[-+−]?[\d.,]+)\s*\}|(?P<c>\d)\s*(?P<d>\d))"
)
_DASH_SIGN = re.compile(
    r"(?:(?<=^)|(?<=[\s(=:$\[{,*]))[−–‒‑‐﹣－](?=\s?[$€£¥]?\.?\d)", re.MULTILINE
)
_SMALL_FRACTION = re.compile("(?P<above>[⁰¹²³⁴-⁹]+)[/⁄](?P<below>[₀-₉]+|[0-9]+)")
# Emphasis, as in `_14_`; an underscore between digits separates thousands.
_UNDERSCORES = re.compile(r"(?<!\w)_{1,3}(?=[-+$€£.\d])|(?<=[\d%])_{1,3}(?!\w)")
_LATEX_THOUSANDS = re.compile(r"(?<=\d)(?:\\,|\\ |\\;|~)(?=\d{3}(?!\d))")
_NARROW_THOUSANDS = re.compile("(?<=\\d)[\u00a0\u202f\u2009](?=\\d{3}(?!\\d))")
_TIMES = re.compile(r"\\(?:times|cdot)(?![A-Za-z])")
_DEGREE = re.compile(r"\^\s*\{?\s*\\circ\s*\}?|\\degree(?![A-Za-z])")
_APPROXIMATELY = re.compile(r"\\(?:approx|simeq|sim)(?![A-Za-z])")
_MATH_DELIMITER = re.compile(r"\\[()\[\]]")
_MINUS = str.maketrans(dict.fromkeys("−﹣－", "-"))


def plain(text: str) -> str:
    r"""A text with LaTeX and typography reduced to plain signs.

    `\tfrac{7}{2}` is `7/2`, `3½` is `3 1/2`, `10⁶` is `10^6`, and every minus sign is `-`.
    """
    if "\\" in text:
        text = _without_latex(text)
    text = _SMALL_FRACTION.sub(_small_fraction, _UNDERSCORES.sub("", text.replace("{,}", ",")))
    text = _VULGAR.sub(
        lambda m: " " + unicodedata.normalize("NFKC", m[0]).replace("\u2044", "/"), text
    )
    text = _SUPERSCRIPT.sub(
        lambda m: "^" + unicodedata.normalize("NFKC", m[0]).replace("\u2212", "-"), text
    )
    text = _NARROW_THOUSANDS.sub("", text)
    if not text.isascii():
        # Full-width and other digits become ASCII digits; `²` is a superscript and is gone already.
        text = "".join(
            str(unicodedata.digit(c)) if c.isdigit() and not c.isascii() else c for c in text
        )
    return _DASH_SIGN.sub("-", text).translate(_MINUS)


def _without_latex(text: str) -> str:
    """A text with the commands of LaTeX replaced by plain signs."""
    text = _COMMAND_SPACE.sub("", text).replace("\\$", "$").replace("\\%", "%")
    text = _LATEX_THOUSANDS.sub("", text)
    text = _FRACTION.sub(_as_ratio, _THIN_SPACE.sub(" ", _STYLE.sub(r" \1 ", text)))
    text = _TIMES.sub("×", text)
    text = _DEGREE.sub("°", text)
    text = _APPROXIMATELY.sub("≈", text)
    return _MATH_DELIMITER.sub(" ", text)


def _small_fraction(match: re.Match[str]) -> str:
    """`³/₄` as ` 3/4`."""
    above, below = (
        unicodedata.normalize("NFKC", part) for part in (match["above"], match["below"])
    )
    return f" {above}/{below}"


def _as_ratio(match: re.Match[str]) -> str:
    r"""`3\frac{1}{2}` as `3 1/2`."""
    whole = f"{match['whole']} " if match["whole"] else ""
    return f"{whole}{match['a'] or match['c']}/{match['b'] or match['d']}"


# --- numbers in digits ----------------------------------------------------------------------------

_NUMBER = re.compile(
    r"""
    (?P<other>                                     # dates, times, versions, addresses
        (?<![\w.])\d{1,4}(?P<mark>[/-])\d{1,2}(?P=mark)\d{1,4}(?![\w])
      | (?<![\w.])\d{1,2}:\d{2}(?::\d{2})?(?!\w)
      | (?<![\w.])\d+(?:\.\d+){2,}(?<!(?:\.\d{3}){2})(?![\w])
      | (?<![\w.])0[xX][0-9a-fA-F]+
    )
  | (?P<words>\b(?:minus|negative)\s+)?
    (?P<sign>(?<![\w)\]}%°])[-+]\s?)?
    (?P<currency>(?:(?<![A-Za-z])(?:US|AU|CA|A|C))?[$€£¥₹]\s?)?
    (?P<sign2>(?<=[$€£¥₹])[-+])?
    (?<![A-Za-z0-9_\u00C0-\u024F^\\])(?<![A-Za-z]\*\*)(?<![A-Za-z]-)(?<!\d[.,])(?<!\^\{)(?<!\^-)(?<!\^\{-)
    (?P<digits>
        \d{1,3}(?:\.\d{3})+,\d{1,2}(?!\d)          # 1.234,50
      | \d{1,3}(?:\.\d{3}){2,}(?!\d)               # 1.234.567
      | [1-9]\d{0,2}(?:,\d{3})+(?!\d)(?:\.\d+)?    # 1,234.50
      | [1-9]\d{0,2}(?:['’_]\d{3})+(?!\d)(?:\.\d+)?
      | [1-9]\d{0,2}(?:[ ]\d{3}){2,}(?!\d)
      | \d+,\d{1,2}(?![\d]|,\d)                    # 74,80
      | \d+(?:\.\d+)?
      | (?<!\d)\.\d+
    )
    (?P<exponent>[eE][-+]?\d+(?![\w.]))?
    (?P<ten>\s?(?:[×xX*·])\s?10\s?(?:\^\s?\{?\s?(?P<tens>[-+]?\d+)\s?\}?|\*\*\s?(?P<tens2>-?\d+)))?
    (?P<power>\s?(?:\^\s?\{?\s?|\*\*\s?(?=-?\d))(?P<to>-?\d+)\s?\}?)?
    (?P<ratio>\s?[/⁄]\s?(?P<divisor>\d+(?:\.\d+)?)(?![\d/]|\.\d))?
    (?P<mixed>(?:[ ]{1,2}|-|\sand\s)(?P<upper>\d+)[/⁄](?P<lower>\d+)(?![\d/]))?
    (?P<unit>(?:[cdkm]?m|ft|in)[23](?!\w)|\s?%|\s?(?:percent|per\ cent|pct)\b
      |[A-Za-zµΩ°]+(?![A-Za-z]*\d))?
    (?P<glued>[A-Za-z0-9_\u00C0-\u024F]*)
    (?P<outof>(?:\sout\sof|(?<=\b1)\sin)\s(?P<of>\d+)(?![\d.,]\d))?
    (?P<scale>\s(?:thousand|million|billion|trillion|bn|mn|mio|k)\b)?
    (?P<below>(?:\s?°\s?[CF]?|\s?degrees?)?(?:\s(?:Celsius|Fahrenheit))?\sbelow\s(?:zero|freezing)\b)?
    """,
    re.VERBOSE,
)
_SCALES = {
    "thousand": 3,
    "million": 6,
    "billion": 9,
    "trillion": 12,
    "bn": 9,
    "mn": 6,
    "mio": 6,
    "k": 3,
}
_GLUED_SCALES = {"k": 3, "K": 3, "M": 6, "bn": 9, "B": 9}
# A number after one of these words is a label: "Step 2", "#3".
_LABEL = re.compile(
    r"\b"
    + any_of(
        r"steps?|questions?|problems?|parts?|cases?|examples?|fig(?:ure)?s?|tables?"
        r"|eq(?:uation)?s?|options?",
        r"statements?|sections?|chapters?|exercises?|methods?|pages?|notes?|rules?|phases?"
        r"|rounds?|stages?",
        r"rows?|lines?|items?|nr|attempt|approach|footnote|lemma|theorem|version",
    )
    + r"\.?\s*[#(]?\s*$|#\s?$",
    re.IGNORECASE,
)
# A number after a name inside a sentence belongs to the name: `with Apollo 11`. So does a day
# beside a month.
_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
_NAMED_AFTER = re.compile(
    rf"[a-z,;:)’'\d–—-]\s+(?!(?:{_MONTHS}|Answer|Total|Result|Sum|Value|Equals|Is|Euro|Dollar"
    rf"|Rs)\b)"
    r"[A-Z][a-z]+\s$",
)
_BEFORE_MONTH = re.compile(rf"\s?(?:st|nd|rd|th)?\.?\s(?:of\s)?(?:{_MONTHS})\b")
_AFTER_MONTH = re.compile(rf"\b(?:{_MONTHS})\s$")
# `2 hours and 30 minutes` is one quantity: (first unit, second unit, how many of the second make
# one of the first).
_COMPOUND_UNITS = tuple(
    (re.compile(rf"(?:{first})\.?,?\s?(?:and\s)?$"), re.compile(rf"\s?(?:{second})\b"), count)
    for first, second, count in (
        (r"hours?|hrs?|h", r"minutes?|mins?|m", 60),
        (r"minutes?|mins?", r"seconds?|secs?|s", 60),
        (r"euros?|dollars?|pounds?", r"cents?|pence|p", 100),
        (r"feet|foot|ft", r"inch(?:es)?|in", 12),
    )
)
# Words of languages that write a decimal comma. Two different ones show that a text is in such a
# language.
_CONTINENTAL = re.compile(
    r"\b(?:der|die|das|dem|den|ist|sind|und|nicht|auf|nach|mit|von|zwei|insgesamt|beträgt"
    r"|gerundet|sich|ein"
    r"|eine|la|le|les|est|des|une|donc|el|los|es|una|il|che|della|het|een|jest)\b",
    re.I,
)
_DECIMAL_COMMA = re.compile(r"\d{1,3}(?:\.\d{3})+,\d{1,2}|\d+,\d{1,2}")
# In a language with decimal commas these are decided otherwise: `1.234` and `0,125`.
_CONTINENTAL_NUMBER = re.compile(r"\d{1,3}\.\d{3}|\d+,\d+")
_THOUSANDS_POINTS = re.compile(r"\d{1,3}(?:\.\d{3}){2,}")
_SEPARATORS = re.compile(r"[,'’_ ]")
_BEFORE_SPACED_SIGN = re.compile(r"[=≈(:{\[<>]$|\b(?:is|be|equals|are|of|to|value)$")


@dataclass(frozen=True, slots=True)
class Number:
    """One number of a text: its possible values (`15%` is 15 or 0.15) and its place.

    `label`: it only numbers a step, a list item or a name. `coefficient`: it is before a
    variable.
    """

    values: tuple[Fraction, ...]
    start: int
    end: int
    label: bool = False
    coefficient: bool = False

    @property
    def value(self) -> Fraction:
        """The value as written."""
        return self.values[0]


def _digits(digits: str, continental: bool) -> Fraction:
    """The value of digits with points, commas and other separators."""
    if _DECIMAL_COMMA.fullmatch(digits) or (continental and _CONTINENTAL_NUMBER.fullmatch(digits)):
        return Fraction(digits.replace(".", "").replace(",", "."))
    if _THOUSANDS_POINTS.fullmatch(digits):
        return Fraction(digits.replace(".", ""))
    return Fraction(_SEPARATORS.sub("", digits))


def _values(match: re.Match[str], continental: bool) -> tuple[Fraction, ...]:
    """The possible values of a match; empty if it is too large or not a number.

    Raises ZeroDivisionError.
    """
    value = _magnitude(match, continental)
    if value is None:
        return ()
    if match["scale"]:
        value *= 10 ** _SCALES[match["scale"].strip().lower()]
    signs = (match["sign"] or "") + (match["sign2"] or "")
    if "-" in signs or match["words"] or match["below"]:
        value = -value
    if match["of"]:
        share = value / int(match["of"]) if int(match["of"]) else value
        return (value, share) if match["outof"].strip().startswith("out") else (share,)
    unit = (match["unit"] or "").strip()
    if unit in ("%", "percent", "per cent", "pct"):
        return value, value / 100
    if unit in _GLUED_SCALES:
        return (value * 10 ** _GLUED_SCALES[unit],)
    return (value,)


def _magnitude(match: re.Match[str], continental: bool) -> Fraction | None:
    """The value of digits, powers and fractions, without sign and unit.

    None if it is too large or not a number. Raises ZeroDivisionError.
    """
    value = _digits(match["digits"], continental)
    exponents = [
        int(e) for e in ((match["exponent"] or "")[1:], match["tens"], match["tens2"]) if e
    ]
    if any(abs(exponent) > _MOST_EXPONENT for exponent in exponents):
        return None
    for exponent in exponents:
        value *= Fraction(10) ** exponent
    if match["to"]:
        power = int(match["to"])
        if abs(power) > _MOST_POWER or abs(value) > _MOST_BASE:
            return None
        value = value**power
    if match["divisor"]:
        if "." in match["digits"] or "." in match["divisor"]:
            # A division that is left as it is.
            return None
        value /= Fraction(match["divisor"])
    if match["mixed"] and not match["ratio"]:
        upper, lower = int(match["upper"]), int(match["lower"])
        if upper >= lower:
            return None
        value += Fraction(upper, lower)
    return value


@lru_cache(maxsize=64)
def numbers(text: str) -> tuple[Number, ...]:
    """The numbers of a text, in order. The text must be one that `plain` has returned."""
    found: list[Number] = []
    continental = len({word.lower() for word in _CONTINENTAL.findall(text[:2000])}) > 1
    for match in _NUMBER.finditer(text):
        if match["other"] or match["glued"]:
            continue
        try:
            values = _values(match, continental)
        except (ZeroDivisionError, OverflowError, ValueError):
            continue
        if not values:
            continue
        start, end = match.span()
        values = _with_right_sign(text, match, values)
        is_label = _is_label(text, start, end, values[0])
        number = Number(values, start, end, is_label, _is_coefficient(text, match))
        found[-1:] = _together(text, found[-1], number) if found else [number]
    return tuple(found)


def _with_right_sign(
    text: str, match: re.Match[str], values: tuple[Fraction, ...]
) -> tuple[Fraction, ...]:
    """The values without a minus that is not theirs, and with the one that brackets mean."""
    sign = match["sign"] or ""
    if sign == "- " and not _is_spaced_sign(text, match):
        values = tuple(map(abs, values))
    start, end = match.span()
    before = text[max(0, start - 5) : start].rstrip()
    if (
        match["currency"]
        and before.endswith("(")
        and before[:-1].rstrip().endswith("=")
        and text.startswith(")", end)
    ):
        # Accountants write a loss in brackets.
        return values[0], -values[0]
    return values


def _is_spaced_sign(text: str, match: re.Match[str]) -> bool:
    """Whether a sign with a blank after it belongs to its number: after `=`, `is` and the like.

    Elsewhere it is a bullet, or a minus between two numbers.
    """
    before = text[max(0, match.start("sign") - 12) : match.start("sign")].rstrip(" ")
    return _BEFORE_SPACED_SIGN.search(before) is not None


def _is_label(text: str, start: int, end: int, value: Fraction) -> bool:
    """Whether a number only numbers something: a list item, a step, a name, a day of a month."""
    line = text[text.rfind("\n", 0, start) + 1 : start]
    after = text[end : end + 2]
    if after[:1] in (".", ")") and after[1:2] in (" ", "\t", "*") and not line.strip(" \t*_#>-"):
        return True
    before = text[max(0, start - 24) : start]
    if _LABEL.search(before) or _NAMED_AFTER.search(before):
        return True
    return value <= 31 and bool(_BEFORE_MONTH.match(text, end) or _AFTER_MONTH.search(before))


# What makes a number part of something larger: a function or a bound before it, a factor after it.
_ARGUMENT = re.compile(
    r"(?:√|\\sqrt(?:\[\d\])?\{|\b(?:ln|log|sin|cos|tan|exp)\s*\(?|±|\\pm|[<>≤≥≠]|!=|\\(?:le|ge"
    r"|ne)q?(?![a-z])"
    r"|\b(?:more|less|fewer|greater|smaller|higher|lower)\s+than|\bat\s+(?:least|most))\s*[$]?$",
    re.IGNORECASE,
)
_WORD_AFTER = re.compile(r"\s[a-z]{3}")
_FACTOR = re.compile(r"\s?(?:·|×|\*)?\s?(?:√|π|\\sqrt|\\pi)|\s(?:dozen|hundred)\b")


def _is_coefficient(text: str, match: re.Match[str]) -> bool:
    """Whether a number is only part of what is said: `2x + 1`, `72π`, `√14`, "more than 14"."""
    start, end = match.span()
    if _ARGUMENT.search(text, max(0, start - 14), start) or _FACTOR.match(
        text, match.end("digits")
    ):
        return True
    unit = match["unit"] or ""
    if len(unit) != 1 or not unit.isalpha():
        return False
    following = text[end : end + 3].lstrip()[:1]
    if unit in "xyzi":
        # "4x faster" is a number of times.
        return _WORD_AFTER.match(text, end) is None
    return following in ("+", "-", "=", "^", "*")


def _together(text: str, first: Number, second: Number) -> list[Number]:
    """Two numbers, or the one that they make: `74 euros and 80 cents`."""
    between = text[max(0, first.end - 12) : second.start]
    for unit, part, count in _COMPOUND_UNITS:
        if (
            second.start - first.start < 24
            and unit.search(between)
            and part.match(text, second.end)
        ):
            return [
                Number((first.value + second.value / count,), first.start, second.end, first.label)
            ]
    return [first, second]
