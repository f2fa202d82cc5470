"""Values as the report holds them: rounded, equal columns once, long texts packed."""

from __future__ import annotations

import base64
import gzip
import json
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
    """A column of cells: one value if all are equal, else whichever of two forms is shorter.

    These are the list itself, and `{"names": different values, "at": their indices}`.
    """
    texts = [json.dumps(value) for value in values]
    different = dict.fromkeys(texts)
    if len(different) == 1:
        return values[0]
    places = {text: place for place, text in enumerate(different)}
    coded = {"names": [json.loads(text) for text in different], "at": [places[t] for t in texts]}
    return min(list(values), coded, key=lambda form: len(json.dumps(form)))


def packed(value: Any) -> str:
    """A value as base64 of gzip of JSON: letters that no element of a page is closed by.

    The bytes depend on the version of zlib; what they hold does not.
    """
    text = json.dumps(value, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode("ascii"), mtime=0)).decode("ascii")


def unpacked(text: str) -> Any:
    """The value that `packed` was given."""
    return json.loads(gzip.decompress(base64.b64decode(text)))
