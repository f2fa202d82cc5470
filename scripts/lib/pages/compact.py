"""Values as the report's JSON holds them: rounded, and a column of equal values stored once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scripts.lib.base.estimates import Estimate

# [value, low, high, number of questions]; an end is None where there are too few for an interval.
CompactEstimate = list[float | int | None]


def compact_estimate(value: Estimate | None, digits: int = 4) -> CompactEstimate | None:
    """An estimate rounded to that many decimal places."""
    if value is None:
        return None
    low, high = (end if end is None else round(end, digits) for end in (value.low, value.high))
    return [round(value.value, digits), low, high, value.clusters]


def compact_column(values: Sequence[Any]) -> Any:
    """A column of cells; if all have the same value, it is stored once."""
    return values[0] if values and all(value == values[0] for value in values) else list(values)
