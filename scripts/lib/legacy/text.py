"""Reads text of unknown encoding, and JSON that may be damaged, as far as it can be read."""

from __future__ import annotations

import codecs
import json
import re
from typing import Any

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_BEYOND_ASCII = re.compile("[^\x00-\x7f�]")
_CLOSING = {"{": "}", "[": "]"}


def decode(data: bytes) -> tuple[str, str]:
    """(text, a remark on its encoding; empty for UTF-8). Every byte sequence is accepted.

    Broken UTF-8 is read as cp1252 if it has no valid sequence of several bytes. Otherwise U+FFFD
    replaces what is broken.
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
    """A cut JSON text up to the end of its last object, open brackets closed; None without one."""
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

    # Raw control characters in strings are accepted; NaN and infinity become None.
    return json.loads(
        text,
        strict=False,
        object_pairs_hook=pairs,
        parse_int=whole,
        parse_constant=lambda _: None,
    )


def read_json(text: str) -> tuple[Any, str, str]:
    """(value, damage, remarks).

    `damage`: the place where the text stops being JSON. The value is then what comes before it, or
    None.
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
        try:
            value = _read(_complete(text[: error.pos]) or "", repeated, long)
        except (json.JSONDecodeError, RecursionError):
            value = None
    keys = ", ".join(dict.fromkeys(repeated[:5]))
    remarks = [f"repeated keys, the last one is used: {keys}"] if repeated else []
    remarks += [f"integers too long to read, left empty: {len(long[0])} digits"] if long else []
    return value, damage, "; ".join(remarks)
