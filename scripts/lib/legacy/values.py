"""The predecessor's values: numbers with or without a unit, text, suite names, and rounding."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Any

from scripts.lib.tables.setups import SUITE_ORDER

# A larger number cannot be a measurement, and the sum of a few of them is not finite.
_LARGEST = 1e300
_SPEED = re.compile(
    r"~?\s*(?P<number>\d+(?:\.\d+)?)\s*(?:t/s|tok/s|tokens/s|tps|tokens per second)", re.IGNORECASE
)
# A sum of decimal fractions is exact to this many digits; the digits behind them are binary noise.
_EXACT_DIGITS = 9


def number(value: Any) -> float | None:
    """A number from 0 to 1e300, also one written as text; else None."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if 0 <= found <= _LARGEST else None


def speed(value: Any) -> float | None:
    """Tokens per second, also with a unit (`12.3 t/s`); None if the value is not a speed."""
    with_unit = _SPEED.fullmatch(value.strip()) if isinstance(value, str) else None
    return number(with_unit["number"] if with_unit is not None else value)


def whole(value: Any) -> int | None:
    """A number without its fraction; None if the value is not a number."""
    found = number(value)
    return None if found is None else int(found)


def text(value: Any) -> str:
    """Any value as text that UTF-8 can encode; the lone surrogates of JSON are replaced."""
    return "" if value is None else str(value).encode("utf-8", "replace").decode("utf-8")


def suite_name(name: str) -> str:
    """`Instruction Precision` as `instruction_precision`; the name of an unknown suite is kept."""
    plain = re.sub(r"[\s-]+", "_", name.strip().lower())
    return plain if plain in SUITE_ORDER else name.strip()


def half_up(value: float, digits: int) -> str:
    """Format with halves rounded up: 9.35 gives 9.4, although its binary fraction is below 9.35."""
    with localcontext(rounding=ROUND_HALF_UP):
        return format(Decimal(repr(round(value, _EXACT_DIGITS))), f".{digits}f")
