"""Checks of JSON: a schema, and tool calls in the notations that models use."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from scripts.lib.answers import fenced_blocks
from scripts.lib.check_types import Outcome, outcome, texts
from scripts.lib.patterns import PatternTimeout, found

# A scan for JSON values in prose tries this many brackets at most.
_MOST_STARTS = 100


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


def find_json(answer: str) -> Any:
    """The answer's JSON: the whole answer, its last fenced block, or from the first bracket to the last. Raises ValueError."""
    blocks = [body for language, body in fenced_blocks(answer) if language in ("", "json", "jsonc")]
    start = min((p for p in (answer.find("{"), answer.find("[")) if p >= 0), default=-1)
    candidates = [answer, *blocks[-1:]]
    if start >= 0:
        candidates.append(answer[start : max(answer.rfind("}"), answer.rfind("]")) + 1])
    problem: Exception = ValueError("no JSON found")
    for candidate in candidates:
        try:
            return parse_json(candidate)
        except ValueError as error:
            problem = error
    raise ValueError(str(problem))


def _only_json(answer: str) -> bool:
    try:
        parse_json(answer)
    except ValueError:
        return False
    return True


def check_json_schema(answer: str, params: Mapping[str, Any]) -> Outcome:
    """The answer's JSON is valid against `schema`; with `only`, the answer is nothing but this JSON."""
    from jsonschema import Draft202012Validator

    if params.get("only") and not _only_json(answer):
        return Outcome(False, "not JSON alone")
    try:
        value = find_json(answer)
    except ValueError as error:
        return Outcome(False, f"not JSON: {str(error)[:80]}")
    problem = next(iter(Draft202012Validator(params["schema"]).iter_errors(value)), None)
    return outcome(problem is None, "valid JSON", f"JSON: {problem.message[:100]}" if problem else "")


# --- tool calls ------------------------------------------------------------------------------------------------------


def _values(text: str) -> Iterator[Any]:
    """The JSON values that stand in a text, outermost only. Raises ValueError for one that is broken."""
    place = 0
    for _ in range(_MOST_STARTS):
        match = re.compile(r"[\[{]").search(text, place)
        if match is None:
            return
        try:
            value, place = _DECODER.raw_decode(text, match.start())
        except RecursionError:
            raise ValueError("nested too deeply") from None
        except json.JSONDecodeError:
            # A bracket of the prose, unless an object begins here.
            if match[0] == "{":
                raise
            place = match.end()
            continue
        yield value


def _is_call(value: Any) -> bool:
    return isinstance(value, dict) and bool({"name", "tool", "function", "tool_name"} & set(value))


def _flat(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, list):
        return [call for item in value for call in _flat(item)]
    if isinstance(value, dict) and not _is_call(value):
        for key in ("tool_calls", "calls", "tool_call"):
            if key in value:
                return _flat(value[key])
    return [value] if _is_call(value) else []


def find_calls(answer: str) -> list[tuple[str, Any]]:
    """(name, arguments) of every tool call of an answer. Raises ValueError for broken JSON."""
    calls = []
    for raw in (call for value in _values(answer) for call in _flat(value)):
        nested = raw.get("function")
        call = nested if isinstance(nested, dict) else raw
        name = next(
            (call[key] for key in ("name", "tool", "tool_name", "function") if isinstance(call.get(key), str)), ""
        )
        arguments: Any = next((call[key] for key in ("arguments", "parameters", "args", "input") if key in call), {})
        calls.append((name, parse_json(arguments) if isinstance(arguments, str) else arguments))
    return calls


def _same(have: Any, wanted: Any) -> bool:
    if isinstance(wanted, str) and isinstance(have, str):
        return " ".join(have.split()).casefold() == " ".join(wanted.split()).casefold()
    if isinstance(wanted, dict) and isinstance(have, dict):
        return set(have) == set(wanted) and all(_same(have[key], wanted[key]) for key in wanted)
    if isinstance(wanted, (list, tuple)) and isinstance(have, list):
        return len(have) == len(wanted) and all(map(_same, have, wanted))
    return bool(have == wanted) and isinstance(have, bool) == isinstance(wanted, bool)


def _wrong(call: tuple[str, Any], wanted: Mapping[str, Any]) -> str:
    """What is wrong with a call ('' for nothing)."""
    name, arguments = call
    if name != wanted["name"]:
        return f"called {name[:40]!r}, expected {wanted['name']!r}"
    if not isinstance(arguments, dict):
        return "arguments are no object"
    exact, accept, patterns = (wanted.get(key) or {} for key in ("arguments", "accept", "patterns"))
    for key in (*exact, *accept, *patterns):
        if key not in arguments:
            return f"lacks {key}"
        have = arguments[key]
        if key in exact and not _same(have, exact[key]):
            return f"{key} is {str(have)[:40]!r}, expected {str(exact[key])[:40]!r}"
        if key in accept and not any(_same(have, value) for value in accept[key]):
            return f"{key} is {str(have)[:40]!r}"
        if key in patterns and not (isinstance(have, str) and found(patterns[key], have)):
            return f"{key} is {str(have)[:40]!r}"
    extra = sorted(set(arguments) - {*exact, *accept, *patterns, *texts(wanted.get("optional"))})
    return f"unasked {', '.join(extra)[:60]}" if extra else ""


def check_tool_call(answer: str, params: Mapping[str, Any]) -> Outcome:
    """Exactly the wanted call (`name`, `arguments`) or `calls` (in order where `ordered`), or with `none` no call at all.

    `accept` lists alternatives per argument, `patterns` regular expressions, `optional` arguments that may be there.
    """
    if params.get("only") and not _only_json(re.sub(r"</?tool_call>", "", answer)):
        return Outcome(False, "not JSON alone")
    try:
        calls = find_calls(answer)
    except ValueError as error:
        calls, broken = [], str(error)[:60]
        if not params.get("none"):
            return Outcome(False, f"no tool call: {broken}")
    if params.get("none"):
        return outcome(
            not calls and bool(answer.strip()), "no call", "empty answer" if not calls else f"called {calls[0][0]}"
        )
    wanted = list(params.get("calls") or [params])
    if len(calls) != len(wanted):
        return Outcome(False, f"{len(calls)} tool calls, expected {len(wanted)}")
    try:
        return _match(calls, wanted, bool(params.get("ordered")))
    except PatternTimeout:
        return Outcome(False, "gave up on a pattern")


def _match(calls: list[tuple[str, Any]], wanted: list[Mapping[str, Any]], ordered: bool) -> Outcome:
    left = list(calls)
    for want in wanted:
        candidates = left[:1] if ordered else left
        fitting = next((call for call in candidates if not _wrong(call, want)), None)
        if fitting is None:
            same_name = next((call for call in candidates if call[0] == want["name"]), candidates[0])
            return Outcome(False, _wrong(same_name, want))
        left.remove(fitting)
    return Outcome(True, "right call" if len(wanted) == 1 else "right calls")
