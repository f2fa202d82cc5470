"""JSON in answers: read strictly, and found in prose."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from scripts.lib.scoring.extract.evidence import corrects
from scripts.lib.scoring.extract.fences import fenced_blocks

# A scan for JSON values in prose tries this many brackets at most.
_MOST_STARTS = 2000
_KEY = re.compile(r"\{\s*[\"'][^\"'\n]{1,60}[\"']\s*:")
_LANGUAGES = ("", "json", "jsonc", "json5", "javascript", "js")
_START = re.compile(r"[\[{]")
# Tokens for matching brackets: the brackets, and whole texts, whose brackets do not count.
_TOKEN = re.compile(r"\"(?:[^\"\\\n]|\\.)*\"|[\[\]{}]")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("duplicate keys")
    return dict(pairs)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_no_duplicates, parse_constant=_no_constant)


def parse_json(text: str) -> Any:
    """The value of strict JSON. Raises ValueError for anything else, also NaN and repeated keys."""
    try:
        return _DECODER.decode(text.strip())
    except RecursionError:
        raise ValueError("nested too deeply") from None


@dataclass(frozen=True, slots=True)
class Found:
    """A JSON value of a text, and its place. `fenced`: it is a whole fenced block."""

    value: Any
    start: int
    end: int
    fenced: bool = False


def scan_json(text: str) -> Iterator[Found]:
    """The outermost JSON objects and lists of a text in order. Other brackets are prose."""
    place = 0
    for _ in range(_MOST_STARTS):
        match = _START.search(text, place)
        if match is None:
            return
        try:
            value, place = _DECODER.raw_decode(text, match.start())
        except (ValueError, RecursionError):
            place = match.end()
            continue
        yield Found(value, match.start(), place)


def _closing(text: str, start: int) -> int:
    """If the bracket at `start` is closed again; the end of the text if it is not."""
    depth = 0
    for token in _TOKEN.finditer(text, start):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(token[0], 0)
        if depth == 0:
            return token.end()
    return len(text)


def _in_prose(text: str) -> tuple[list[Found], int]:
    """The values in prose, and where the last broken object ends (0 without one).

    No part of a broken object counts.
    """
    found, place, broken_end = list(scan_json(text)), 0, 0
    while match := _KEY.search(text, place):
        around = next((item for item in found if item.start <= match.start() < item.end), None)
        if around:
            place = around.end
            continue
        place = broken_end = _closing(text, match.start())
        found = [item for item in found if not match.start() <= item.start < broken_end]
    return found, broken_end


def _in_fences(text: str) -> tuple[list[Found], int]:
    """The values that are whole fenced blocks, and where the last broken block ends, else 0."""
    found, place, broken_end = [], 0, 0
    for language, body in fenced_blocks(text):
        if language not in _LANGUAGES or not body.strip().startswith(("{", "[")):
            continue
        # Line by line, since the lines of a block in a list or a quotation are indented.
        start = -1
        for line in filter(None, map(str.strip, body.splitlines())):
            at = max(text.find(line, place), place)
            start, place = (at if start < 0 else start), at + len(line)
        try:
            found.append(Found(parse_json(body), start, place, fenced=True))
        except ValueError:
            broken_end = place
    return found, broken_end


def _candidates(text: str) -> list[Found]:
    """The JSON values of a text in order. Values before a broken object are not the answer.

    A fenced value also counts after a broken value in prose.
    """
    fenced, broken_fence = _in_fences(text)
    prose, broken_prose = _in_prose(text)
    last_broken = max(broken_fence, broken_prose)
    prose = [
        item
        for item in prose
        if item.start >= last_broken
        and not any(block.start <= item.start < block.end for block in fenced)
    ]
    fenced = [item for item in fenced if item.start >= broken_fence]
    return sorted([*fenced, *prose], key=lambda item: item.start)


def json_values(answer: str, kind: type | None = None) -> list[list[Any]]:
    """The JSON values that an answer may give, the likeliest first.

    Each comes with the values that contradict it: objects of the same keys.

    The likeliest is the whole answer, else its last fenced block, else the one in its prose. In
    prose an object comes before a list, unless a list is wanted (`kind`), and the longest value
    comes first: people also write `[3]` and `{}`. The other values are objects of other keys, such
    as an example of the input beside the output. Raises ValueError if there is no value, or a
    broken one.
    """
    try:
        return [[parse_json(answer)]]
    except ValueError as error:
        problem = error
    candidates = _candidates(answer)
    if not candidates:
        raise problem
    first = _likeliest(answer, candidates, kind)
    # Words of correction take back every value before them.
    kept = candidates
    for place, (earlier, later) in enumerate(itertools.pairwise(candidates), 1):
        if corrects(answer, earlier.end, later.start):
            kept = candidates[place:]
    others: dict[frozenset[str] | None, list[Found]] = {}
    for item in kept:
        # A list in prose, such as a footnote, is not an answer beside an object.
        if item.value and (item.fenced or isinstance(item.value, dict)):
            others.setdefault(_keys(item.value), []).append(item)
    others.pop(_keys(first[0]), None)
    return [first, *(_likeliest(answer, group, kind) for group in others.values())]


def _keys(value: Any) -> frozenset[str] | None:
    """The keys of an object; None for a list."""
    return frozenset(value) if isinstance(value, dict) else None


def _likeliest(answer: str, candidates: list[Found], kind: type | None) -> list[Any]:
    """The value that an answer gives, and those that contradict it."""
    fenced = [item for item in candidates if item.fenced]
    if fenced:
        return [fenced[-1].value]
    of_kind = [item for item in candidates if isinstance(item.value, kind or dict) and item.value]
    wanted = of_kind or [item for item in candidates if item.value] or candidates
    if any(
        corrects(answer, earlier.end, later.start) for earlier, later in itertools.pairwise(wanted)
    ):
        return [wanted[-1].value]
    longest = max(wanted, key=lambda item: (item.end - item.start, item.start)).value
    return [longest, *(item.value for item in wanted if _contradicts(item.value, longest))]


def _contradicts(value: Any, longest: Any) -> bool:
    """Whether a value is another object with the same keys."""
    return value != longest and isinstance(longest, dict) and _keys(value) == _keys(longest)


def only_json(answer: str) -> bool:
    """Whether an answer is JSON and nothing else."""
    try:
        parse_json(answer)
    except ValueError:
        return False
    return True
