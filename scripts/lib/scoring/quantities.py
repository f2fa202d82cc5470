"""Numbers as people and models write them, read exactly: signs, thousands, fractions, LaTeX, units, powers of ten."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction

_MOST_EXPONENT = 400
_VULGAR = re.compile("[¼-¾⅐-⅞]")
_SUPERSCRIPT = re.compile("⁻?[⁰¹²³⁴-⁹]+")
_COMMAND_SPACE = re.compile(r"\\(?:left|right|displaystyle|big|Big|bigl|bigr)(?![A-Za-z])|\\[!]")
_THIN_SPACE = re.compile(r"\\,|\\;|\\:|\\ |~|\\q?quad(?![A-Za-z])")
_STYLE = re.compile(r"\\(?:text|mathrm|textbf|textit|mathbf|mathit|mathsf|operatorname|rm|bf|mbox|emph)\s*\{([^{}]*)\}")
_FRACTION = re.compile(
    r"(?P<whole>\d)?\s*\\[dtc]?frac\s*(?:\{\s*(?P<a>[-+−]?[\d.,]+)\s*\}\s*\{\s*(?P<b>[-+−]?[\d.,]+)\s*\}|(?P<c>\d)\s*(?P<d>\d))"
)
_DASH_SIGN = re.compile(r"(?:(?<=^)|(?<=[\s(=:$\[{,*]))[−–‒﹣－](?=\s?[$€£¥]?\.?\d)", re.MULTILINE)
_SMALL_FRACTION = re.compile("(?P<above>[⁰¹²³⁴-⁹]+)[/⁄](?P<below>[₀-₉]+|[0-9]+)")
# Emphasis, as in `_14_`; an underscore between digits separates thousands.
_UNDERSCORES = re.compile(r"(?<!\w)_{1,3}(?=[-+$€£.\d])|(?<=[\d%])_{1,3}(?!\w)")
_MINUS = str.maketrans(dict.fromkeys("−﹣－", "-"))


def plain(text: str) -> str:
    """LaTeX and typography reduced to plain signs: `\\tfrac{7}{2}` is `7/2`, `3½` is `3 1/2`, `10⁶` is `10^6`, a minus is `-`."""
    if "\\" in text:
        text = _COMMAND_SPACE.sub("", text).replace("\\$", "$").replace("\\%", "%")
        text = re.sub(r"(?<=\d)(?:\\,|\\ |\\;|~)(?=\d{3}(?!\d))", "", text)
        text = _FRACTION.sub(_as_ratio, _THIN_SPACE.sub(" ", _STYLE.sub(r" \1 ", text)))
        text = re.sub(r"\\(?:times|cdot)(?![A-Za-z])", "×", text)
        text = re.sub(r"\^\s*\{?\s*\\circ\s*\}?|\\degree(?![A-Za-z])", "°", text)
        text = re.sub(r"\\(?:approx|simeq|sim)(?![A-Za-z])", "≈", text)
        text = re.sub(r"\\[()\[\]]", " ", text)
    text = _SMALL_FRACTION.sub(_small_fraction, _UNDERSCORES.sub("", text.replace("{,}", ",")))
    text = _VULGAR.sub(lambda m: " " + unicodedata.normalize("NFKC", m[0]).replace("\u2044", "/"), text)
    text = _SUPERSCRIPT.sub(lambda m: "^" + unicodedata.normalize("NFKC", m[0]).replace("\u2212", "-"), text)
    text = re.sub("(?<=\\d)[\u00a0\u202f\u2009](?=\\d{3}(?!\\d))", "", text)
    # Full-width and other digits become ASCII digits; `²` is a superscript and is gone already.
    text = (
        "".join(str(unicodedata.digit(c)) if c.isdigit() and not c.isascii() else c for c in text)
        if not text.isascii()
        else text
    )
    return _DASH_SIGN.sub("-", text).translate(_MINUS)


def _small_fraction(match: re.Match[str]) -> str:
    above, below = (unicodedata.normalize("NFKC", part) for part in (match["above"], match["below"]))
    return f" {above}/{below}"


def _as_ratio(match: re.Match[str]) -> str:
    whole = f"{match['whole']} " if match["whole"] else ""
    return f"{whole}{match['a'] or match['c']}/{match['b'] or match['d']}"


_NUMBER = re.compile(
    r"""
    (?P<other>                                     # dates, times, versions, addresses: no numbers of the answer's
        (?<![\w.])\d{1,4}(?P<mark>[/-])\d{1,2}(?P=mark)\d{1,4}(?![\w])
      | (?<![\w.])\d{1,2}:\d{2}(?::\d{2})?(?!\w)
      | (?<![\w.])\d+(?:\.\d+){2,}(?<!(?:\.\d{3}){2})(?![\w])
      | (?<![\w.])0[xX][0-9a-fA-F]+
    )
  | (?P<words>\b(?:minus|negative)\s+)?
    (?P<sign>(?<![\w)\]}%°])[-+]\s?)?
    (?P<currency>(?:(?<![A-Za-z])(?:US|AU|CA|A|C))?[$€£¥₹]\s?)?
    (?P<sign2>(?<=[$€£¥₹])[-+])?
    (?<![\w^\\])(?<![A-Za-z]-)(?<!\d[.,])(?<!\^\{)(?<!\^-)(?<!\^\{-)
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
    (?P<mixed>(?:[ -]|\sand\s)(?P<upper>\d+)[/⁄](?P<lower>\d+)(?![\d/]))?
    (?P<unit>\s?%|\s?(?:percent|per\ cent|pct)\b|[A-Za-zµΩ°]+(?![A-Za-z]*\d))?
    (?P<glued>\w*)
    (?P<outof>(?:\sout\sof|(?<=\b1)\sin)\s(?P<of>\d+)(?![\d.,]\d))?
    (?P<scale>\s(?:thousand|million|billion|trillion|bn|mn|mio|k)\b)?
    (?P<below>(?:\s?°\s?[CF]?|\s?degrees?)?(?:\s(?:Celsius|Fahrenheit))?\sbelow\s(?:zero|freezing)\b)?
    """,
    re.VERBOSE,
)
_SCALES = {"thousand": 3, "million": 6, "billion": 9, "trillion": 12, "bn": 9, "mn": 6, "mio": 6, "k": 3}
_GLUED_SCALES = {"k": 3, "K": 3, "M": 6, "m": 6, "bn": 9, "B": 9}
_LABEL = re.compile(
    r"\b(?:steps?|questions?|problems?|parts?|cases?|examples?|fig(?:ure)?s?|tables?|eq(?:uation)?s?|options?|statements?|sections?|chapters?|exercises?|methods?"
    r"|pages?|notes?|rules?|phases?|rounds?|stages?|rows?|lines?|items?|nr|attempt|approach|footnote|lemma|theorem|version)\.?\s*[#(]?\s*$|#\s?$",
    re.IGNORECASE,
)
# A number after a name inside a sentence belongs to the name: `with Apollo 11`, `on July 20`; so does a day before a month.
_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
_NAMED_AFTER = re.compile(
    rf"[a-z,;:)’'\d–—-]\s+(?!(?:{_MONTHS}|Answer|Total|Result|Sum|Value|Equals|Is|Euro|Dollar|Rs)\b)[A-Z][a-z]+\s$"
)
_BEFORE_MONTH = re.compile(rf"\s?(?:st|nd|rd|th)?\.?\s(?:of\s)?(?:{_MONTHS})\b")
_AFTER_MONTH = re.compile(rf"\b(?:{_MONTHS})\s$")
# `2 hours and 30 minutes` is one quantity; the second unit is this many to the first.
_PARTS = (
    (re.compile(r"(?:hours?|hrs?|h)\.?,?\s?(?:and\s)?$"), re.compile(r"\s?(?:minutes?|mins?|m)\b"), 60),
    (re.compile(r"(?:minutes?|mins?)\.?,?\s?(?:and\s)?$"), re.compile(r"\s?(?:seconds?|secs?|s)\b"), 60),
    (re.compile(r"(?:euros?|dollars?|pounds?)\.?,?\s?(?:and\s)?$"), re.compile(r"\s?(?:cents?|pence|p)\b"), 100),
    (re.compile(r"(?:feet|foot|ft)\.?,?\s?(?:and\s)?$"), re.compile(r"\s?(?:inch(?:es)?|in)\b"), 12),
)
# Languages that write a decimal comma; two of their words tell.
_CONTINENTAL = re.compile(
    r"\b(?:der|die|das|dem|den|ist|sind|und|nicht|auf|nach|mit|von|zwei|insgesamt|beträgt|gerundet|sich|ein|eine|la|le|les|est|des|une|donc|el|los|es|una|il|che|della|het|een|jest)\b",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Number:
    """One number of a text: its possible values (`15%` is 15 or 0.15), its place, and whether it only labels a step or a list."""

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
    if continental and re.fullmatch(r"\d{1,3}\.\d{3}|\d+,\d+", digits):
        return Fraction(digits.replace(".", "").replace(",", "."))
    if re.fullmatch(r"\d{1,3}(?:\.\d{3})+,\d{1,2}|\d+,\d{1,2}", digits):
        return Fraction(digits.replace(".", "").replace(",", "."))
    if re.fullmatch(r"\d{1,3}(?:\.\d{3}){2,}", digits):
        return Fraction(digits.replace(".", ""))
    return Fraction(re.sub(r"[,'’_ ]", "", digits))


def _value(match: re.Match[str], continental: bool) -> tuple[Fraction, ...]:
    """The possible values of a match; none where it is too large or no number. Raises ZeroDivisionError."""
    value = _digits(match["digits"], continental)
    exponents = [int(e) for e in ((match["exponent"] or "")[1:], match["tens"], match["tens2"]) if e]
    if any(abs(e) > _MOST_EXPONENT for e in exponents):
        return ()
    for exponent in exponents:
        value *= Fraction(10) ** exponent
    if match["to"]:
        power = int(match["to"])
        if abs(power) > 64 or abs(value) > 10_000:
            return ()
        value = value**power
    if match["divisor"]:
        if "." in match["digits"] or "." in match["divisor"]:
            # A division that is not worked out.
            return ()
        value /= Fraction(match["divisor"])
    if match["mixed"] and not match["ratio"]:
        upper, lower = int(match["upper"]), int(match["lower"])
        if not upper < lower:
            return ()
        value += Fraction(upper, lower)
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
        return value, value * 10 ** _GLUED_SCALES[unit]
    return (value,)


def _spaced_sign(text: str, match: re.Match[str]) -> bool:
    """Whether a sign with a blank after it belongs to the number: after `=`, `is` and the like, not as a bullet or a minus between."""
    before = text[max(0, match.start("sign") - 12) : match.start("sign")].rstrip(" ")
    return bool(re.search(r"[=≈(:{\[<>]$|\b(?:is|be|equals|are|of|to|value)$", before))


def numbers(text: str) -> list[Number]:
    """The numbers of a text made plain, in order."""
    found: list[Number] = []
    continental = len({m.lower() for m in _CONTINENTAL.findall(text[:2000])}) > 1
    for match in _NUMBER.finditer(text):
        if match["other"] or (match["glued"] and not match["unit"]) or match["glued"]:
            continue
        try:
            values = _value(match, continental)
        except (ZeroDivisionError, OverflowError, ValueError):
            continue
        if not values:
            continue
        sign = match["sign"] or ""
        if sign.endswith(" ") and not _spaced_sign(text, match):
            values = tuple(abs(v) if "-" in sign else v for v in values)
        start, end = match.span()
        line = text[text.rfind("\n", 0, start) + 1 : start]
        after = text[end : end + 2]
        marker = not line.strip(" \t*_#>-") and after[:1] in (".", ")") and after[1:2] in (" ", "\t", "*")
        unit = match["unit"] or ""
        rest = text[end : end + 3].lstrip()
        coefficient = (
            len(unit) == 1
            and unit.isalpha()
            and (rest[:1] in ("+", "-", "=", "^", "*") or (unit in "xyz" and rest[:1] not in ("", ".")))
        )
        if match["currency"] and text[start - 1 : start] == "(" and text[end : end + 1] == ")":
            # Accountants write a loss in brackets.
            values = (values[0], -values[0])
        before = text[max(0, start - 24) : start]
        day = values[0] <= 31 and bool(_BEFORE_MONTH.match(text, end) or _AFTER_MONTH.search(before))
        label = marker or bool(_LABEL.search(before) or _NAMED_AFTER.search(before) or day)
        number = Number(values, start, end, label, coefficient)
        found[-1:] = _together(text, found[-1], number) if found else [number]
    return found


def _together(text: str, first: Number, second: Number) -> list[Number]:
    """Two numbers, or the one that they make: `74 euros and 80 cents`."""
    between = text[first.end - 12 if first.end > 12 else 0 : second.start]
    for unit, part, count in _PARTS:
        if second.start - first.start < 24 and unit.search(between) and part.match(text, second.end):
            return [Number((first.value + second.value / count,), first.start, second.end, first.label)]
    return [first, second]


_UNITS = {
    word: value
    for value, word in enumerate(
        (
            *(
                "zero",
                "one",
                "two",
                "three",
                "four",
                "five",
                "six",
                "seven",
                "eight",
                "nine",
                "ten",
                "eleven",
                "twelve",
                "thirteen",
            ),
            *("fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
        )
    )
}
_TENS = {
    word: 10 * value
    for value, word in enumerate(("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"), 2)
}
_LARGE = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
_PARTS_OF_ONE = (
    "half",
    "third",
    "quarter",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
)
_PIECES = {
    **{name + plural: size for size, name in enumerate(_PARTS_OF_ONE, 2) for plural in ("", "s")},
    **{"halves": 2, "fourth": 4, "fourths": 4, "hundredth": 100, "hundredths": 100},
}
_NAME = "|".join([*_UNITS, *_TENS, *_LARGE])
_NAMED = re.compile(
    rf"\b(?P<sign>(?:minus|negative)\s+)?(?:(?P<one>(?:a|one)\s+(?:half|quarter|third)|one\s+in\s+(?P<size>{_NAME}))"
    rf"|(?P<name>(?:{_NAME})(?:(?:\s+and\s+|[\s-]+)(?:{_NAME}))*)"
    rf"(?:(?P<half>\s+and\s+a\s+half)|[\s-]+(?P<piece>{'|'.join(_PIECES)}))?)\b"
    r"|\b(?P<none>no\s+(?:\w+\s+){1,2}(?:left|remain(?:ing|s)?)|none\s+(?:\w+\s+){0,3}(?:left|remain(?:ing|s)?))\b",
    re.IGNORECASE,
)


def _spelt(name: str) -> int:
    total = current = 0
    for word in re.findall(r"[a-z]+", name.lower()):
        if word == "hundred":
            current = max(current, 1) * 100
        elif word in _LARGE:
            total, current = total + max(current, 1) * _LARGE[word], 0
        else:
            current += _UNITS.get(word, 0) + _TENS.get(word, 0)
    return total + current


def named_numbers(text: str) -> list[Number]:
    """Numbers written as English words: `fourteen`, `minus five`, `two and a half`, `one third`; `no apples left` is 0."""
    found = []
    for match in _NAMED.finditer(text):
        if match["none"]:
            value = Fraction(0)
        elif match["one"]:
            size = _spelt(match["size"]) if match["size"] else _PIECES[match["one"].split()[-1].lower()]
            value = Fraction(1, max(size, 1))
        else:
            value = Fraction(_spelt(match["name"])) + (Fraction(1, 2) if match["half"] else 0)
            value /= _PIECES[match["piece"].lower()] if match["piece"] else 1
        found.append(Number((-value if match["sign"] else value,), *match.span()))
    return found
