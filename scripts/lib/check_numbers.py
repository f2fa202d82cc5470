"""Checks of numbers and mathematical expressions."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from scripts.lib.check_types import Outcome, outcome

TAIL_CHARACTERS = 20_000
_UNIT = r"(?:kg|km|cm|mm|ms|min|ml|kWh|kW|MB|GB|TB|KB|th|st|nd|rd|[gmshlWxk])"
_NUMBER = re.compile(
    rf"(?<![\w.])([-+−]?)\s?[$€£]?((?:\d{{1,3}}(?:,\d{{3}})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?|\.\d+)(?:\s?/\s?(\d+(?:\.\d+)?))?{_UNIT}?(?![\w])"
)
_FRACTION = re.compile(r"\\d?frac\s*\{\s*([-+]?[\d.]+)\s*\}\s*\{\s*([\d.]+)\s*\}")
_BOXED = re.compile(r"\\boxed\s*\{((?:[^{}]|\{[^{}]*\}){0,200})\}")
_STATED = re.compile(r"\b(?:final answer|answer|result)\b\W{0,5}(?:is|=|:)?\W{0,6}([^\n]{0,200})", re.I)
_BOLD = re.compile(r"\*\*\s*([^*\n]{1,60}?)\s*\*\*")


def numbers(text: str) -> list[float]:
    """The numbers of a text in order; `3/4` and \\frac{3}{4} are one number, thousands separators are understood."""
    plain = _FRACTION.sub(r"\1/\2", text[-TAIL_CHARACTERS:]).replace("\\,", "").replace("{,}", ",").replace("\\$", "$")
    values = []
    for sign, digits, divisor in _NUMBER.findall(plain):
        try:
            value = float(digits.replace(",", "")) / (float(divisor) if divisor else 1)
        except (ValueError, ZeroDivisionError, OverflowError):
            continue
        if math.isfinite(value):
            values.append(-value if sign in ("-", "−") else value)
    return values


def _stated(segment: str) -> float | None:
    """The number a phrase states: after its last '=' where there is one, else its first."""
    found = numbers(segment.rpartition("=")[2]) or numbers(segment)
    return found[0] if found else None


def final_number(text: str) -> float | None:
    """The number an answer ends on: boxed, else after the last 'answer', else bold in the last paragraph, else the last one."""
    tail = text[-TAIL_CHARACTERS:]
    for pattern in (_BOXED, _STATED):
        for segment in reversed(pattern.findall(tail)):
            value = _stated(segment)
            if value is not None:
                return value
    last = tail.strip().rpartition("\n\n")[2]
    # A bold number, but not a bold heading such as **Step 1** or **2. Solve**.
    bold = [b for b in _BOLD.findall(last) if re.match(r"[-+−$€£\d.]", b) and not re.match(r"\d+[.):]\s", b)]
    if bold and numbers(bold[-1]):
        return numbers(bold[-1])[-1]
    found = numbers(tail)
    return found[-1] if found else None


def check_number(answer: str, params: Mapping[str, Any]) -> Outcome:
    """The final number equals `value` within `tolerance` (absolute; default: 1e-6 of the value)."""
    value = float(params["value"])
    found = final_number(answer)
    if found is None:
        return Outcome(False, f"no number, expected {value:g}")
    near = abs(found - value) <= float(params.get("tolerance") or 1e-6 * max(1.0, abs(value)))
    return outcome(near, f"number {found:.10g}", f"number {found:.10g}, expected {value:.10g}")


def check_math(answer: str, params: Mapping[str, Any]) -> Outcome:
    """The answer's final expression is mathematically equal to `value` (LaTeX; math-verify)."""
    from scripts.lib.math_worker import MathUnavailable, equal

    tail = answer[-TAIL_CHARACTERS:]
    boxed, stated = _BOXED.findall(tail), re.findall(r"\b(?:answer|result)\b[^\n]{0,300}", tail, re.I)
    segment = f"\\boxed{{{boxed[-1]}}}" if boxed else stated[-1] if stated else tail
    try:
        same = equal(str(params["value"]), segment)
    except MathUnavailable as error:
        return Outcome(None, f"math check could not run: {error}")
    return outcome(same, "equal expression", f"not equal to {params['value']}")
