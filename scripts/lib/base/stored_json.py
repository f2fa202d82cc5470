"""Stored JSON: canonical text, digests, seals, and reading it back with its seal checked.

A cell is one JSON file of raw evidence; every table is derived from cells later. Nothing
half-written is ever read: files appear under their name only when complete (temporary file, fsync,
hard link or rename). Every stored record has a seal, the sha256 of its content, which is checked
whenever the record is read: if it was changed, it is not used. A seal is not a signature: whoever
can write a file can seal it. Git knows who committed it.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from scripts.lib.base.errors import BenchError, Problem

T = TypeVar("T")
R = TypeVar("R")
# The key of a record's seal.
SEAL = "sha256"
DIGEST_CHARACTERS = 12


def now_utc(timespec: str = "seconds") -> str:
    """The time in UTC as records hold it: ISO 8601; `timespec` as for `datetime.isoformat`."""
    return datetime.now(UTC).isoformat(timespec=timespec)


def canonical_json(value: object) -> str:
    """The one text of a value: sorted keys, no spaces, no NaN. Digests are made of this text."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def _sha256(value: object) -> str:
    # Text of a damaged file may contain half a surrogate pair, which UTF-8 cannot encode.
    return hashlib.sha256(canonical_json(value).encode("utf-8", "surrogatepass")).hexdigest()


def digest(value: object, characters: int = DIGEST_CHARACTERS) -> str:
    """First hex characters (12 by default) of the sha256 of the canonical JSON."""
    return _sha256(value)[:characters]


class Damaged(BenchError):
    """A stored record differs from what was written. It counts as missing."""

    def __init__(self, file: str, message: str, place: str = ""):
        self.problem = Problem(file, place, f"damaged: {message}")
        super().__init__(str(self.problem))


def seal_of(body: Mapping[str, Any]) -> str:
    """The sha256 of a record's content without the seal itself."""
    return _sha256({key: value for key, value in body.items() if key != SEAL})


def sealed(body: Mapping[str, Any]) -> dict[str, Any]:
    """The record with its seal."""
    return {**body, SEAL: seal_of(body)}


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(
            f"the key {next(key for key in keys if keys.count(key) > 1)!r} is there twice"
        )
    return found


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text} is more than a number can hold")
    return value


def strict_json(text: str, file: str, place: str = "") -> dict[str, Any]:
    """A JSON object without NaN, infinite numbers, and duplicate keys. Raises Damaged."""
    try:
        found = json.loads(
            text, object_pairs_hook=_no_key_twice, parse_constant=_no_constant, parse_float=_finite
        )
    except (ValueError, RecursionError) as error:
        raise Damaged(file, f"expected JSON ({error})", place) from error
    if not isinstance(found, dict):
        raise Damaged(file, f"expected a JSON object, found {type(found).__name__}", place)
    return found


def read_sealed(text: str, file: str, place: str = "") -> dict[str, Any]:
    """A record whose seal fits. Raises Damaged if the content is not what was sealed."""
    found = strict_json(text, file, place)
    if SEAL not in found:
        raise Damaged(
            file, f"no {SEAL}: it was written before records had one, or was edited", place
        )
    if seal_of(found) != found[SEAL]:
        raise Damaged(
            file, f"its content does not have its {SEAL}: changed since it was written", place
        )
    return found


def stored_text(content: bytes, file: str, place: str = "") -> str:
    """The text of a stored file's bytes. Raises Damaged if they are not UTF-8."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Damaged(file, str(error), place) from error


def stored_bytes(file: Path) -> bytes:
    """The content of a stored file.

    Raises Damaged if it cannot be read, and FileNotFoundError if it is missing.
    """
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Damaged(str(file), error.strerror or str(error)) from error


def read_stored(file: Path) -> str:
    """The text of a stored file. Raises as `stored_bytes`, and Damaged if it is not UTF-8."""
    return stored_text(stored_bytes(file), str(file))


def believed(items: Iterable[T], read: Callable[[T], R], damaged: list[Problem]) -> Iterator[R]:
    """What `read` makes of each item. A damaged item is left out and added to `damaged`."""
    for item in items:
        try:
            yield read(item)
        except Damaged as damage:
            damaged.append(damage.problem)
