"""Check of tool calls, in the notations that models use; a broken attempt at a call is told from no call."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from scripts.lib.check_types import Outcome, outcome, texts
from scripts.lib.patterns import PatternTimeout, found
from scripts.lib.scoring.checks.json_values import only_json, parse_json, scan_json
from scripts.lib.scoring.evidence import corrects, tail

_NAME_KEYS = ("name", "tool", "tool_name", "function", "function_name")
_ARGUMENT_KEYS = ("arguments", "parameters", "args", "input", "params")
_LIST_KEYS = ("tool_calls", "calls", "tool_call", "function_call")
_TAGS = re.compile(
    r"</?(?:\w+:)?(?:tool_calls?|function_calls?)>|\[/?TOOL_CALLS\]|<\|python_tag\|>|```(?:json|tool_call|xml)?",
    re.IGNORECASE,
)
# Qwen3-Coder's and Anthropic's forms.
_FUNCTION = re.compile(r"<function=(?P<name>[\w.-]+)>(?P<body>.*?)</function>", re.DOTALL)
_PARAMETER = re.compile(r"<parameter=(?P<key>[\w.-]+)>\s*(?P<value>.*?)\s*</parameter>", re.DOTALL)
_INVOKE = re.compile(r"<(?:\w+:)?invoke name=\"(?P<name>[\w.-]+)\">(?P<body>.*?)</(?:\w+:)?invoke>", re.DOTALL)
_INVOKED = re.compile(
    r"<(?:\w+:)?parameter name=\"(?P<key>[\w.-]+)\"[^>]*>\s*(?P<value>.*?)\s*</(?:\w+:)?parameter>", re.DOTALL
)
# A name before its JSON: gpt-oss (`to=functions.get … <|message|>{…}`), Mistral (`get[ARGS]{…}`), Kimi (`functions.get:0 … {…}`).
_ADDRESSED = re.compile(
    r"(?:to=functions\.|\bfunctions\.)(?P<name>[\w-]+)(?::\d+)?[^{\n]{0,80}(?=\{)|(?<![\w.-])(?P<mistral>[\w.-]{1,64}+)\[ARGS\]\s*(?=\{)"
)
# What shows that a call was meant, whatever became of it.
_ATTEMPT = re.compile(
    r"<(?:\w+:)?(?:tool_call|function_call|function=|invoke\b)|\[TOOL_CALLS\]|<\|python_tag\|>|[\"']tool_calls[\"']\s*:"
    r"|\{\s*[\"']?(?:name|tool|tool_name|function)[\"']?\s*:\s*(?:[\"'][\w.-]+[\"']|\{)\s*,?\s*[\"']?(?:arguments|parameters|args|input|name|params)\b"
    r"|[\"'](?:arguments|parameters)[\"']\s*:\s*\{",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Call:
    """A call: its name and arguments, and where it stands. `typed`: the notation tells numbers from texts."""

    name: str
    arguments: Any
    start: int
    end: int
    typed: bool = True


def _is_call(value: Any) -> bool:
    """An object with a name and arguments; `{"name": "Bob"}` is data."""
    if not isinstance(value, dict):
        return False
    if isinstance(value.get("function"), dict):
        return isinstance(value["function"].get("name"), str)
    named = any(isinstance(value.get(key), str) for key in _NAME_KEYS)
    return named and (
        any(key in value for key in _ARGUMENT_KEYS)
        or not {"tool", "tool_name", "function", "function_name"}.isdisjoint(value)
    )


def _flat(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        for item in value:
            yield from _flat(item)
    elif _is_call(value):
        yield value
    elif isinstance(value, dict):
        for key in _LIST_KEYS:
            yield from _flat(value.get(key))


def _from_json(raw: Mapping[str, Any], start: int, end: int) -> Call:
    nested = raw.get("function")
    call = nested if isinstance(nested, dict) else raw
    name = next((call[key] for key in _NAME_KEYS if isinstance(call.get(key), str)), "")
    arguments: Any = next((call[key] for key in _ARGUMENT_KEYS if key in call), {})
    return Call(name, parse_json(arguments) if isinstance(arguments, str) else arguments, start, end)


def _marked_up(text: str) -> Iterator[Call]:
    """Calls in the forms of XML; their values are texts."""
    for whole, part in ((_FUNCTION, _PARAMETER), (_INVOKE, _INVOKED)):
        for match in whole.finditer(text):
            arguments = {item["key"]: item["value"] for item in part.finditer(match["body"])}
            yield Call(match["name"], arguments, *match.span(), typed=False)


def _pythonic(text: str) -> Iterator[Call]:
    """Calls as Llama 4 writes them: nothing but `[get_weather(city="Oslo"), …]`, every argument by name."""
    text = text.strip()
    if not re.match(r"\[\s*[\w.]+\(", text) or not text.endswith("]"):
        return
    try:
        listed = ast.parse(text, mode="eval").body
        for node in listed.elts if isinstance(listed, ast.List) else ():
            if isinstance(node, ast.Call) and not node.args and all(word.arg for word in node.keywords):
                arguments = {str(word.arg): ast.literal_eval(word.value) for word in node.keywords}
                yield Call(ast.unparse(node.func), arguments, 0, len(text))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return


def find_calls(answer: str, names: frozenset[str] = frozenset()) -> list[Call]:
    """Every tool call of an answer in order. `names`: wanted tools, whose calls may lack arguments.

    Raises ValueError for arguments that are broken JSON in a text.
    """
    calls = [*_marked_up(answer), *_pythonic(answer)]
    addressed = {match.end(): match["name"] or match["mistral"] for match in _ADDRESSED.finditer(answer)}
    for item in scan_json(answer):
        if any(call.start <= item.start < call.end for call in calls):
            continue
        if item.start in addressed and isinstance(item.value, dict):
            calls.append(Call(addressed[item.start], item.value, item.start, item.end))
            continue
        found_here = list(_flat(item.value))
        bare = item.value if isinstance(item.value, dict) else {}
        if not found_here and set(bare) == {"name"} and bare["name"] in names:
            found_here = [bare]
        calls += [_from_json(raw, item.start, item.end) for raw in found_here]
    return sorted(calls, key=lambda call: call.start)


def _same(have: Any, wanted: Any, typed: bool = True) -> bool:
    if not typed and isinstance(have, str) and not isinstance(wanted, str):
        try:
            have = json.loads(have)
        except ValueError:
            # Python's spelling of a truth value is usual in these forms.
            have = {"true": True, "false": False}.get(have.strip().lower(), have)
    if isinstance(wanted, str) and isinstance(have, str):
        # Of a text of several lines, such as code, the blanks are part.
        if "\n" in wanted.strip():
            return have.strip() == wanted.strip()
        return " ".join(have.split()).casefold() == " ".join(wanted.split()).casefold()
    if isinstance(wanted, dict) and isinstance(have, dict):
        return set(have) == set(wanted) and all(_same(have[key], wanted[key]) for key in wanted)
    if isinstance(wanted, (list, tuple)) and isinstance(have, list):
        return len(have) == len(wanted) and all(map(_same, have, wanted))
    return bool(have == wanted) and isinstance(have, bool) == isinstance(wanted, bool)


def _wrong_argument(key: str, have: Any, wanted: Mapping[str, Any], typed: bool) -> str:
    accepted = list((wanted.get("accept") or {}).get(key) or ())
    exact = wanted.get("arguments") or {}
    if key in exact:
        accepted.insert(0, exact[key])
    if accepted and not any(_same(have, value, typed) for value in accepted):
        return f"{key} is {str(have)[:40]!r}, expected {str(accepted[0])[:40]!r}"
    pattern = (wanted.get("patterns") or {}).get(key)
    if pattern is not None and not (isinstance(have, str) and found(pattern, have)):
        return f"{key} is {str(have)[:40]!r}"
    return ""


def _wrong(call: Call, wanted: Mapping[str, Any]) -> str:
    """What is wrong with a call ('' for nothing)."""
    if call.name != wanted["name"]:
        return f"called {call.name[:40]!r}, expected {wanted['name']!r}"
    if not isinstance(call.arguments, dict):
        return "arguments are no object"
    optional = texts(wanted.get("optional"))
    keys = {key: None for part in ("arguments", "accept", "patterns") for key in wanted.get(part) or {}}
    for key in keys:
        if key not in call.arguments:
            if key not in optional:
                return f"lacks {key}"
        elif said := _wrong_argument(key, call.arguments[key], wanted, call.typed):
            return said
    extra = sorted(set(call.arguments) - {*keys, *optional})
    return f"unasked {', '.join(extra)[:60]}" if extra else ""


def _no_call(answer: str) -> Outcome:
    if not answer.strip():
        return Outcome(False, "empty answer")
    try:
        calls = find_calls(answer)
    except ValueError as error:
        return Outcome(False, f"attempted a call: {str(error)[:60]}")
    if calls:
        return Outcome(False, f"called {calls[0].name}", calls[0].name)
    attempt = _ATTEMPT.search(answer)
    return outcome(attempt is None, "no call", f"attempted a call: {attempt[0][:60]}" if attempt else "")


def check_tool_call(answer: str, params: Mapping[str, Any]) -> Outcome:
    """Exactly the wanted call (`name`, `arguments`) or `calls` (in order where `ordered`), or with `none` no call at all.

    `accept` lists alternatives per argument, `patterns` regular expressions, `optional` arguments that may be there; with `only`
    nothing stands beside the call. A call that words take back ("Correction: …") does not count.
    """
    answer = tail(answer)
    if params.get("none"):
        return _no_call(answer)
    if params.get("only") and not only_json(re.sub(r"</?tool_call>", "", answer)):
        return Outcome(False, "not JSON alone")
    wanted = list(params.get("calls") or [params])
    try:
        calls = find_calls(answer, frozenset(str(want["name"]) for want in wanted))
    except ValueError as error:
        return Outcome(False, f"no tool call: {str(error)[:60]}")
    if len(calls) > len(wanted):
        calls = _not_taken_back(answer, calls)
    given = "; ".join(f"{call.name}({json.dumps(call.arguments, ensure_ascii=False)})" for call in calls)[:200]
    if len(calls) != len(wanted):
        attempt = "a broken call" if not calls and _ATTEMPT.search(answer) else f"{len(calls)} tool calls"
        return Outcome(False, f"{attempt}, expected {len(wanted)}", given)
    try:
        said = _mismatch(calls, wanted, bool(params.get("ordered")))
    except PatternTimeout:
        return Outcome(None, "gave up on a pattern", given)
    return outcome(not said, "right call" if len(wanted) == 1 else "right calls", said, given)


def _not_taken_back(answer: str, calls: list[Call]) -> list[Call]:
    """The calls without those that words after them take back."""
    return [
        call for call, later in zip(calls, [*calls[1:], None], strict=True)
        if later is None or not corrects(answer, call.end, later.start)
    ]  # fmt: skip


def _mismatch(calls: list[Call], wanted: list[Mapping[str, Any]], ordered: bool) -> str:
    left = list(calls)
    for want in wanted:
        candidates = left[:1] if ordered else left
        fitting = next((call for call in candidates if not _wrong(call, want)), None)
        if fitting is None:
            same_name = next((call for call in candidates if call.name == want["name"]), candidates[0])
            return _wrong(same_name, want)
        left.remove(fitting)
    return ""
