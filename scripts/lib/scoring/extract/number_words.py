"""Numbers in English words."""

from __future__ import annotations

import re
from fractions import Fraction

from scripts.lib.prompts.check_types import COUNT_NAMES
from scripts.lib.scoring.extract.quantities import Number

# Zero to nineteen; the tens are names of their own.
_UNITS = {word: value for value, word in enumerate(COUNT_NAMES[:20])}
_NAMES_OF_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_TENS = {word: 10 * value for value, word in enumerate(_NAMES_OF_TENS, 2)}
_LARGE = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
_PARTS_OF_ONE = (
    *("half", "third", "quarter", "fifth", "sixth", "seventh"),
    *("eighth", "ninth", "tenth", "eleventh", "twelfth"),
)
_PIECES = {
    **{name + plural: size for size, name in enumerate(_PARTS_OF_ONE, 2) for plural in ("", "s")},
    **{"halves": 2, "fourth": 4, "fourths": 4, "hundredth": 100, "hundredths": 100},
}
_NAME = "|".join([*_UNITS, *_TENS, *_LARGE])
_LEFT = r"(?:left|remain(?:ing|s)?)"
_NAMED = re.compile(
    r"\b(?P<sign>(?:minus|negative)\s+)?"
    rf"(?:(?P<one>(?:a|one)\s+(?:half|quarter|third)|one\s+in\s+(?P<size>{_NAME}))"
    rf"|(?P<name>(?:{_NAME})(?:(?:,?\s+and\s+|,\s+|[\s-]+)(?:{_NAME}))*)"
    rf"(?:(?P<half>\s+and\s+a\s+half)|[\s-]+(?P<piece>{'|'.join(_PIECES)}))?)\b"
    rf"|\b(?P<none>no\s+(?:\w+\s+){{1,2}}{_LEFT}|none\s+(?:\w+\s+){{0,3}}{_LEFT})\b",
    re.IGNORECASE,
)


def _spelt(name: str) -> int:
    """The value of a number in words, such as `two hundred and five`."""
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
    """The numbers written as English words, in order.

    They are such as `fourteen`, `minus five`, `two and a half`, `one third`; `no apples left` is 0.
    """
    found: list[Number] = []
    for match in _NAMED.finditer(text):
        if match["none"]:
            value = Fraction(0)
        elif match["one"]:
            size = (
                _spelt(match["size"])
                if match["size"]
                else _PIECES[match["one"].split()[-1].lower()]
            )
            value = Fraction(1, max(size, 1))
        else:
            value = Fraction(_spelt(match["name"])) + (Fraction(1, 2) if match["half"] else 0)
            value /= _PIECES[match["piece"].lower()] if match["piece"] else 1
        found.append(Number((-value if match["sign"] else value,), *match.span()))
    return found
