"""Bytes of unknown history -> text and JSON: encodings guessed and told, damaged JSON read as far as it goes."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable
from typing import Any

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_BEYOND_ASCII = re.compile("[^\x00-\x7f�]")
_CLOSING = {"{": "}", "[": "]"}


def decode(data: bytes) -> tuple[str, str]:
    """(text, what was odd about its encoding; empty for UTF-8). No byte sequence is refused.

    Broken UTF-8 is taken for cp1252 where nothing else in it looks like UTF-8, and otherwise read
    with U+FFFD in place of what is broken.
    """
    if data.startswith(_UTF16):
        return data.decode("utf-16", errors="replace").removeprefix("\ufeff"), "UTF-16"
    marked = "byte order mark" if data.startswith(codecs.BOM_UTF8) else ""
    try:
        return data.decode("utf-8-sig"), marked
    except UnicodeDecodeError as error:
        place = f"byte {error.start}"
    text = data.decode("utf-8-sig", errors="replace")
    if not _BEYOND_ASCII.search(text):
        try:
            return data.decode("cp1252"), f"not UTF-8 (from {place} on): read as cp1252"
        except UnicodeDecodeError:
            pass
    return text, f"not UTF-8 (from {place} on): {text.count('�')} characters replaced"


def _complete(text: str) -> str | None:
    """The longest beginning of a cut JSON text that ends after an object, what is open closed; None without one."""
    open_marks: list[str] = []
    kept: tuple[int, str] | None = None
    quoted = escaped = False
    for place, mark in enumerate(text):
        if quoted:
            quoted = escaped or mark != '"'
            escaped = not escaped and mark == "\\"
        elif mark == '"':
            quoted = True
        elif mark in _CLOSING:
            open_marks.append(mark)
        elif mark in "}]" and open_marks:
            open_marks.pop()
            if mark == "}":
                kept = place + 1, "".join(_CLOSING[m] for m in reversed(open_marks))
    return None if kept is None else text[: kept[0]] + kept[1]


def _read(text: str, repeated: list[str], long: list[str]) -> Any:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in items:
            if key in found:
                repeated.append(key)
            found[key] = value
        return found

    def whole(digits: str) -> int | None:
        try:
            return int(digits)
        except ValueError:  # more digits than Python converts
            long.append(digits)
            return None

    # Raw control characters in strings are let pass; NaN and infinity become None.
    nothing: Callable[[str], None] = lambda _: None  # noqa: E731
    return json.loads(
        text, strict=False, object_pairs_hook=pairs, parse_int=whole, parse_constant=nothing
    )


def read_json(text: str) -> tuple[Any, str, str]:
    """(value, damage, remarks). `damage` names the place where the text stops being JSON; the value then is what stands
    before it, None where nothing does.
    """
    repeated: list[str] = []
    long: list[str] = []
    damage = ""
    try:
        value = _read(text, repeated, long)
    except RecursionError:
        return None, "nested too deeply", ""
    except json.JSONDecodeError as error:
        damage = f"line {error.lineno}, column {error.colno}: {error.msg}"
        rest = _complete(text[: error.pos])
        try:
            value = _read(rest, repeated, long) if rest is not None else None
        except (json.JSONDecodeError, RecursionError):
            value = None
    keys = ", ".join(dict.fromkeys(repeated[:5]))
    remarks = [f"repeated keys, the last one counts: {keys}"] if repeated else []
    remarks += [f"integers too long to read, left empty: of {len(long[0])} digits"] if long else []
    return value, damage, "; ".join(remarks)
