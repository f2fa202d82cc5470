"""The predecessor's values: numbers with and without their unit, text that can be written, names of suites; its rounding."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Any

from scripts.lib.tables.setups import SUITE_ORDER

# What is larger measures nothing, and the sum of a few such is no finite number.
_LARGEST = 1e300
_SPEED = re.compile(
    r"~?\s*(?P<number>\d+(?:\.\d+)?)\s*(?:t/s|tok/s|tokens/s|tps|tokens per second)", re.IGNORECASE
)
# Digits that a sum of decimal fractions is exact to: beyond them stands what binary fractions
# leave.
_EXACT_DIGITS = 9


def number(value: Any) -> float | None:
    """A number from 0 to 1e300, also where it is written as text; else None."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if 0 <= found <= _LARGEST else None


def speed(value: Any) -> float | None:
    """Tokens per second, also where the unit stands behind them (`12.3 t/s`); None for what is no speed."""
    named = _SPEED.fullmatch(value.strip()) if isinstance(value, str) else None
    return number(named["number"] if named is not None else value)


def whole(value: Any) -> int | None:
    """A number without its fraction; None for what is no number."""
    found = number(value)
    return None if found is None else int(found)


def text(value: Any) -> str:
    """Any value as text that can be written: lone surrogates, which JSON may hold, are replaced."""
    return "" if value is None else str(value).encode("utf-8", "replace").decode("utf-8")


def suite_name(name: str) -> str:
    """A suite's name in its one spelling (`Instruction Precision` is `instruction_precision`); an unknown one as it is."""
    plain = re.sub(r"[\s-]+", "_", name.strip().lower())
    return plain if plain in SUITE_ORDER else name.strip()


def half_up(value: float, digits: int) -> str:
    """A figure with so many digits behind the point, halves rounded up: 9.35 is 9.4, though as a binary fraction it is less."""
    with localcontext(rounding=ROUND_HALF_UP):
        return format(Decimal(repr(round(value, _EXACT_DIGITS))), f".{digits}f")
