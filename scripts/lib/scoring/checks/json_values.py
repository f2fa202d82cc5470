"""JSON in answers: read strictly, found in prose, checked against a schema."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from scripts.lib.check_types import Outcome, outcome
from scripts.lib.scoring.evidence import corrects, tail
from scripts.lib.scoring.fences import fenced_blocks

# A scan for JSON values in prose tries this many brackets at most.
_MOST_STARTS = 2000
_START = re.compile(r"[\[{]")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("duplicate keys")
    return dict(pairs)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_no_duplicates, parse_constant=_no_constant)


def parse_json(text: str) -> Any:
    """Strict JSON: no NaN, no duplicate keys. Raises ValueError."""
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
    """The JSON objects and lists of a text in order, each as large as it goes. Brackets that begin none are prose."""
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
    """Whether something that looks like an object begins outside the values found and is broken."""
    rest, place = [], 0
    for item in found:
        rest.append(text[place : item.start])
        place = item.end
    return any(re.search(r"\{\s*[\"'][^\"'\n]{1,60}[\"']\s*:", piece) for piece in (*rest, text[place:]))


def json_values(answer: str, kind: type | None = None) -> list[Any]:
    """The JSON value that an answer gives, or several that contradict each other (objects of the same keys).

    It is the whole answer, its last fenced block, or the one in its prose. There an object counts before a list, unless a list
    is wanted (`kind`), and the longest before the others: `[3]` and `{}` are also how people write. Raises ValueError where
    there is none, or a broken one.
    """
    try:
        return [parse_json(answer)]
    except ValueError as error:
        problem = error
    for language, body in reversed(fenced_blocks(answer)):
        if language in ("", "json", "jsonc", "json5", "javascript", "js") and body.strip().startswith(("{", "[")):
            return [parse_json(body)]
    found = list(scan_json(answer))
    if _broken_beside(answer, found):
        raise problem
    wanted = (
        [f for f in found if isinstance(f.value, kind or dict) and f.value] or [f for f in found if f.value] or found
    )
    if not wanted:
        raise ValueError("no JSON found")
    if any(corrects(answer, a.end, b.start) for a, b in zip(wanted, wanted[1:], strict=False)):
        return [wanted[-1].value]
    longest = max(wanted, key=lambda f: (f.end - f.start, f.start)).value
    return [
        longest,
        *(f.value for f in wanted if f.value != longest and isinstance(longest, dict) and set(f.value) == set(longest)),
    ]


def only_json(answer: str) -> bool:
    """Whether an answer is nothing but JSON."""
    try:
        parse_json(answer)
    except ValueError:
        return False
    return True


_KINDS: Mapping[Any, type] = {"object": dict, "array": list}


def check_json_schema(answer: str, params: Mapping[str, Any]) -> Outcome:
    """The answer's JSON is valid against `schema`; with `only`, the answer is nothing but this JSON."""
    from jsonschema import Draft202012Validator

    schema = params["schema"]
    if params.get("only") and not only_json(answer):
        return Outcome(False, "not JSON alone")
    try:
        values = json_values(tail(answer), _KINDS.get(schema.get("type")) if isinstance(schema, dict) else None)
    except ValueError as error:
        return Outcome(False, f"not JSON: {str(error)[:80]}")
    validator = Draft202012Validator(schema)
    problems = [next(iter(validator.iter_errors(value)), None) for value in values]
    given = json.dumps(values[0], ensure_ascii=False)[:200]
    if None in problems and any(problems):
        return Outcome(None, "two JSON objects of the same keys, one valid and one not", given, "JSON")
    problem = problems[0]
    return outcome(problem is None, "valid JSON", f"JSON: {problem.message[:100]}" if problem else "", given, "JSON")
