"""JSON in answers: read strictly, found in prose, checked against a schema."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from scripts.lib.check_types import Outcome
from scripts.lib.scoring.evidence import corrects, tail
from scripts.lib.scoring.fences import fenced_blocks

# A scan for JSON values in prose tries this many brackets at most.
_MOST_STARTS = 2000
_KEY = re.compile(r"\{\s*[\"'][^\"'\n]{1,60}[\"']\s*:")
_LANGUAGES = ("", "json", "jsonc", "json5", "javascript", "js")
_START = re.compile(r"[\[{]")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("duplicate keys")
    return dict(pairs)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_no_duplicates, parse_constant=_no_constant)


def parse_json(text: str) -> Any:
    """The value of strict JSON. Raises ValueError for anything else, such as NaN and duplicate keys."""
    try:
        return _DECODER.decode(text.strip())
    except RecursionError:
        raise ValueError("nested too deeply") from None


@dataclass(frozen=True, slots=True)
class Found:
    """A JSON value of a text, and where it stands."""

    value: Any
    start: int
    end: int


def scan_json(text: str) -> Iterator[Found]:
    """The JSON objects and lists of a text in order, each as a whole. Brackets that begin none are prose."""
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


def _broken_beside(text: str, found: list[Found]) -> bool:
    """Whether an object with a key begins outside the values found, and so must be broken."""
    starts = [item.start for item in found] + [len(text)]
    ends = [0] + [item.end for item in found]
    return any(_KEY.search(text[end:start]) for end, start in zip(ends, starts, strict=True))


def json_values(answer: str, kind: type | None = None) -> list[Any]:
    """The JSON value that an answer gives, or several that contradict each other (objects of the same keys).

    It is the whole answer, else its last fenced block, else the one in its prose. In prose an object counts
    before a list, unless a list is wanted (`kind`), and the longest value before the others: people also
    write `[3]` and `{}`. Raises ValueError where there is no value, or a broken one.
    """
    try:
        return [parse_json(answer)]
    except ValueError as error:
        problem = error
    for language, body in reversed(fenced_blocks(answer)):
        if language in _LANGUAGES and body.strip().startswith(("{", "[")):
            return [parse_json(body)]
    found = list(scan_json(answer))
    if _broken_beside(answer, found):
        raise problem
    of_kind = [item for item in found if isinstance(item.value, kind or dict) and item.value]
    wanted = of_kind or [item for item in found if item.value] or found
    if not wanted:
        raise ValueError("no JSON found")
    if any(corrects(answer, earlier.end, later.start) for earlier, later in itertools.pairwise(wanted)):
        return [wanted[-1].value]
    longest = max(wanted, key=lambda item: (item.end - item.start, item.start)).value
    return [longest, *(item.value for item in wanted if _contradicts(item.value, longest))]


def _contradicts(value: Any, longest: Any) -> bool:
    """Whether a value is another object with the same keys."""
    return value != longest and isinstance(longest, dict) and set(value) == set(longest)


def only_json(answer: str) -> bool:
    """Whether an answer is JSON and nothing else."""
    try:
        parse_json(answer)
    except ValueError:
        return False
    return True


_KINDS: Mapping[Any, type] = {"object": dict, "array": list}


def check_json_schema(answer: str, params: Mapping[str, Any]) -> Outcome:
    """The answer's JSON is valid against `schema`; with `only`, the answer is this JSON and nothing else."""
    from jsonschema import Draft202012Validator

    schema = params["schema"]
    if params.get("only") and not only_json(answer):
        return Outcome(False, "not JSON alone")
    kind = _KINDS.get(schema.get("type")) if isinstance(schema, dict) else None
    try:
        values = json_values(tail(answer), kind)
    except ValueError as error:
        return Outcome(False, f"not JSON: {str(error)[:80]}")
    validator = Draft202012Validator(schema)
    problems = [next(iter(validator.iter_errors(value)), None) for value in values]
    given = json.dumps(values[0], ensure_ascii=False)[:200]
    if None in problems and any(problems):
        return Outcome(None, "two JSON objects of the same keys, one valid and one not", given, "JSON")
    problem = problems[0]
    if problem is None:
        return Outcome(True, "valid JSON", given, "JSON")
    return Outcome(False, f"JSON: {problem.message[:100]}", given, "JSON")
