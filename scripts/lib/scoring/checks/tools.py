"""Check of tool calls, in the notations that models use.

A broken call is not the same as no call.
"""

from __future__ import annotations

import ast
import builtins
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from scripts.lib.base.timed_regex import found
from scripts.lib.prompts.check_types import CheckOutcome, outcome, texts
from scripts.lib.scoring.checks.common import Params
from scripts.lib.scoring.extract.evidence import corrects, tail
from scripts.lib.scoring.extract.fences import fenced_blocks
from scripts.lib.scoring.extract.json_values import only_json, parse_json, scan_json

_TOOL_KEYS = ("tool", "tool_name", "function", "function_name", "recipient_name")
# `action` is the one of LangChain.
_NAME_KEYS = ("name", *_TOOL_KEYS, "action")
_ARGUMENT_KEYS = (
    "arguments",
    "parameters",
    "args",
    "input",
    "params",
    "tool_input",
    "action_input",
)
_LIST_KEYS = ("tool_calls", "tool_uses", "calls", "tool_call", "function_call")
# The form of Qwen3-Coder, and after it the one of Anthropic.
_FUNCTION = re.compile(r"<function=(?P<name>[\w.-]+)>(?P<body>.*?)</function>", re.DOTALL)
_PARAMETER = re.compile(r"<parameter=(?P<key>[\w.-]+)>(?P<value>.*?)</parameter>", re.DOTALL)
_INVOKE = re.compile(
    r"<(?:\w+:)?invoke name=\"(?P<name>[\w.-]+)\">(?P<body>.*?)</(?:\w+:)?invoke>",
    re.DOTALL,
)
_INVOKED = re.compile(
    r"<(?:\w+:)?parameter name=\"(?P<key>[\w.-]+)\"[^>]*>(?P<value>.*?)</(?:\w+:)?parameter>",
    re.DOTALL,
)
# A name before its JSON object: gpt-oss (`to=functions.get … <|message|>{…}`), Kimi
# (`functions.get:0 … {…}`), Mistral (`get[ARGS]{…}`).
_ADDRESSED = re.compile(
    r"(?:to=functions\.|\bfunctions\.)(?P<name>[\w-]+)(?::\d+)?[^{\n]{0,80}(?=\{)"
    r"|(?<![\w.-])(?P<mistral>[\w.-]{1,64}+)\[ARGS\]\s*(?=\{)"
)
# GLM: `<tool_call>get\n<arg_key>city</arg_key>\n<arg_value>Oslo</arg_value>\n</tool_call>`.
_GLM = re.compile(
    r"<tool_call>\s*(?P<name>[\w.-]+)\s*(?P<body>(?:<arg_key>.*?)?)</tool_call>", re.DOTALL
)
_GLM_ARGUMENT = re.compile(
    r"<arg_key>\s*(?P<key>[\w.-]+)\s*</arg_key>\s*<arg_value>(?P<value>.*?)</arg_value>", re.DOTALL
)
# DeepSeek's marks have wide bars and a block character for a blank; some programs print ASCII.
_DEEPSEEK = re.compile(
    r"<[|｜]tool[▁_ ]call[▁_ ]begin[|｜]>(?:\s*function<[|｜]tool[▁_ ]sep["
    r"|｜]>)?\s*(?P<name>[\w.-]+)\s*"
    r"(?:<[|｜]tool[▁_ ]sep[|｜]>|```(?:json)?)(?P<arguments>.*?)"
    r"<[|｜]tool[▁_ ]call[▁_ ]end[|｜]>",
    re.DOTALL,
)
_QUOTE = "[\"'“”]"
_NAMES = "(?:name|tool|tool_name|function|action|recipient_name)"
_ARGUMENTS = f"(?:{'|'.join(_ARGUMENT_KEYS)})"
# Signs that a call was meant, even if it cannot be read.
_ATTEMPT = re.compile(
    r"<(?:\w+:)?(?:tool_call|function_call|function=|invoke\b)|<\|python_tag\|>"
    r"|<[|｜]tool[▁_ ]calls?[▁_ ](?:section[▁_ ])?begin[|｜]>|^[ \t]*```tool_code\b"
    # An empty list of calls is not a call.
    r"|\[TOOL_CALLS\](?!\s*\[\s*\])"
    rf"|{_QUOTE}tool_calls{_QUOTE}\s*:(?!\s*(?:\[\s*\]|null\b))"
    rf"|\{{\s*{_QUOTE}?{_NAMES}{_QUOTE}?\s*:\s*(?:{_QUOTE}[\w.-]+{_QUOTE}|\{{)(?:\s*,)?\s*"
    rf"{_QUOTE}?(?:{_ARGUMENTS}|name)\b"
    # Without quotation marks: `{name: get, arguments: …`.
    rf"|\{{\s*{_NAMES}\s*:\s*[\w.-]+\s*,\s*{_ARGUMENTS}\s*:"
    rf"|{_QUOTE}(?:arguments|parameters){_QUOTE}\s*:\s*\{{"
    # On lines: `Action: get` and `Action Input: …`, or YAML.
    r"|^[ \t*_]{0,8}action[ \t*_]{0,8}:[ \t*_`]{0,8}(?!none\b|n/a\b|final\b)[\w.-]{1,64}+"
    r"[ \t*_`]{0,8}\n\s*[*_]*action[ _]input\b"
    rf"|^[ \t-]*{_NAMES}[ \t]*:[ \t]*[\w.-]+[ \t]*\n[ \t]*{_ARGUMENTS}[ \t]*:[ \t]*(?:\{{|\n[ "
    rf"\t]+\w+:)",
    re.IGNORECASE | re.MULTILINE,
)
# An object that is cut off after its name: `{"name": "get", "argume`.
_CUT = re.compile(
    rf"\{{\s*{_QUOTE}{_NAMES}{_QUOTE}\s*:\s*{_QUOTE}[\w.-]+"
    rf"(?:{_QUOTE}(?:\s*,\s*(?:{_QUOTE}(?P<key>\w*))?)?)?\Z"
)
_CALL_TAG = re.compile(r"</?tool_call>")
_KEYWORD_CALL = re.compile(r"\w+\(\s*\w+\s*=")
_LIST_OF_CALLS = re.compile(r"\[\s*[\w.]+\(")


@dataclass(frozen=True, slots=True)
class Call:
    """A call: its name, its arguments and its place.

    `typed`: its notation distinguishes numbers from texts.
    """

    name: str
    arguments: Any
    start: int
    end: int
    typed: bool = True

    def __str__(self) -> str:
        return f"{self.name}({json.dumps(self.arguments, ensure_ascii=False)})"


def _is_call(value: Any) -> bool:
    """Whether a JSON value is a call: it has a name and arguments. `{"name": "Bob"}` is data."""
    if not isinstance(value, dict):
        return False
    if isinstance(value.get("function"), dict):
        return isinstance(value["function"].get("name"), str)
    if isinstance(value.get("action"), str) and "action_input" in value:
        # LangChain gives its answer in the form of a call.
        return str(value["action"]).casefold() != "final answer"
    if not any(isinstance(value.get(key), str) for key in ("name", *_TOOL_KEYS)):
        return False
    # Every key for a name but `name` itself is enough: it says that a tool is meant.
    return not value.keys().isdisjoint((*_ARGUMENT_KEYS, *_TOOL_KEYS))


def _flat(value: Any) -> Iterator[dict[str, Any]]:
    """The calls of a JSON value, also those in lists and under keys such as `tool_calls`."""
    if isinstance(value, list):
        for item in value:
            yield from _flat(item)
    elif _is_call(value):
        yield value
    elif isinstance(value, dict):
        for key in _LIST_KEYS:
            yield from _flat(value.get(key))


def _from_json(raw: Mapping[str, Any], start: int, end: int) -> Call:
    """A JSON object as a call. Raises ValueError for arguments in a text that is broken JSON."""
    nested = raw.get("function")
    call = nested if isinstance(nested, dict) else raw
    name = next((call[key] for key in _NAME_KEYS if isinstance(call.get(key), str)), "")
    arguments: Any = next((call[key] for key in _ARGUMENT_KEYS if key in call), {})
    if "recipient_name" in call:
        name = name.removeprefix("functions.")
    return Call(
        name, parse_json(arguments) if isinstance(arguments, str) else arguments, start, end
    )


def _marked_up(text: str) -> Iterator[Call]:
    """The calls in notations like XML. Their values are texts, unless the arguments are JSON.

    Raises ValueError for arguments that are broken JSON.
    """
    for whole, part in ((_FUNCTION, _PARAMETER), (_INVOKE, _INVOKED), (_GLM, _GLM_ARGUMENT)):
        for match in whole.finditer(text):
            if match["body"].lstrip().startswith("{"):
                # Llama 3.1: `<function=get>{"city": "Oslo"}</function>`.
                yield Call(match["name"], parse_json(match["body"]), *match.span())
                continue
            arguments = {
                item["key"]: item["value"].strip() for item in part.finditer(match["body"])
            }
            yield Call(match["name"], arguments, *match.span(), typed=False)
    for match in _DEEPSEEK.finditer(text):
        yield Call(match["name"], parse_json(match["arguments"].rstrip("`\n ")), *match.span())


def _keyword_arguments(node: ast.expr) -> dict[str, Any] | None:
    """The arguments of a Python call whose arguments all have names; None for any other expression.

    Raises ValueError and others for a value that is not a literal.
    """
    if not isinstance(node, ast.Call) or node.args or not all(word.arg for word in node.keywords):
        return None
    return {str(word.arg): ast.literal_eval(word.value) for word in node.keywords}


def _pythonic(text: str) -> Iterator[Call]:
    """The calls of a text that is `[get_weather(city="Oslo"), …]` alone, as Llama 4 writes them.

    Every argument must have a name.
    """
    text = text.strip()
    if not _LIST_OF_CALLS.match(text) or not text.endswith("]"):
        return
    try:
        expression = ast.parse(text, mode="eval").body
        for node in expression.elts if isinstance(expression, ast.List) else ():
            arguments = _keyword_arguments(node)
            if isinstance(node, ast.Call) and arguments is not None:
                yield Call(ast.unparse(node.func), arguments, 0, len(text))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return


def _json_calls(value: Any, names: frozenset[str]) -> list[dict[str, Any]]:
    """The calls of a JSON value; `{"name": …}` alone is one if it names one of the tools."""
    if calls := list(_flat(value)):
        return calls
    is_bare = isinstance(value, dict) and set(value) == {"name"}
    return [value] if is_bare and value["name"] in tuple(names) else []


def find_calls(answer: str, names: frozenset[str] = frozenset()) -> list[Call]:
    """Every tool call of an answer in order. A call of a tool in `names` may lack its arguments.

    Raises ValueError for arguments that are broken JSON in a text.
    """
    calls = [*_marked_up(answer), *_pythonic(answer)]
    addressed = {
        match.end(): match["name"] or match["mistral"] for match in _ADDRESSED.finditer(answer)
    }
    for item in scan_json(answer):
        if any(call.start <= item.start < call.end for call in calls):
            continue
        if item.start in addressed and isinstance(item.value, dict):
            calls.append(Call(addressed[item.start], item.value, item.start, item.end))
            continue
        calls += [_from_json(raw, item.start, item.end) for raw in _json_calls(item.value, names)]
    return sorted(calls, key=lambda call: call.start)


def _same(have: Any, wanted: Any, typed: bool = True) -> bool:
    """Whether an argument has the wanted value.

    Case and white space of a text on one line make no difference.
    """
    if not typed and isinstance(have, str) and not isinstance(wanted, str):
        have = _value_of_text(have)
    if isinstance(wanted, str) and isinstance(have, str):
        if "\n" in wanted.strip():
            # Blanks are part of a text of several lines, such as code.
            return have.strip() == wanted.strip()
        return " ".join(have.split()).casefold() == " ".join(wanted.split()).casefold()
    if isinstance(wanted, dict) and isinstance(have, dict):
        return set(have) == set(wanted) and all(_same(have[key], wanted[key]) for key in wanted)
    if isinstance(wanted, (list, tuple)) and isinstance(have, list):
        return len(have) == len(wanted) and all(map(_same, have, wanted))
    return bool(have == wanted) and isinstance(have, bool) == isinstance(wanted, bool)


def _value_of_text(text: str) -> Any:
    """The value that a text means in a notation without types; else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        # Python's spelling of truth values is common in these notations.
        return {"true": True, "false": False}.get(text.strip().lower(), text)


def _wrong_argument(key: str, have: Any, wanted: Mapping[str, Any], typed: bool) -> str:
    """What is wrong with an argument; empty if nothing is."""
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
    """What is wrong with a call; empty if nothing is."""
    if call.name != wanted["name"]:
        return f"called {call.name[:40]!r}, expected {wanted['name']!r}"
    if not isinstance(call.arguments, dict):
        return "the arguments are not an object"
    optional = texts(wanted.get("optional"))
    # Each key once, in the order of the question.
    parts = [wanted.get(part) or {} for part in ("arguments", "accept", "patterns")]
    keys = dict.fromkeys(key for part in parts for key in part)
    for key in keys:
        if key not in call.arguments:
            if key not in optional:
                return f"lacks {key}"
        elif problem := _wrong_argument(key, call.arguments[key], wanted, call.typed):
            return problem
    extra = sorted(set(call.arguments) - {*keys, *optional})
    return f"unasked {', '.join(extra)[:60]}" if extra else ""


def _is_keyword_call(text: str) -> bool:
    """Whether a text is `get_weather(city="Oslo")` alone. `get(Oslo)` is not such a call."""
    text = text.strip(" \n`")
    if not _KEYWORD_CALL.match(text) or not text.endswith(")"):
        return False
    try:
        node = ast.parse(text, mode="eval").body
        arguments = _keyword_arguments(node)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return False
    if not arguments or not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        return False
    # A builtin function, such as `dict(a=1)`, is not a tool.
    return not hasattr(builtins, node.func.id)


def _attempt(answer: str) -> str:
    """The text that shows that a call was meant, even if it cannot be read; else empty."""
    if match := _ATTEMPT.search(answer):
        return match[0]
    cut = _CUT.search(answer.rstrip())
    # Inside another object, as in `{"person": {"name": "Bob"`, it is data.
    if cut and not answer[: cut.start()].rstrip("[ \n").endswith(('":', "},")):
        key = (cut["key"] or "").casefold()
        if any(argument.startswith(key) for argument in _ARGUMENT_KEYS):
            return cut[0]
    fenced = [body for language, body in fenced_blocks(answer) if language in ("", "python", "py")]
    return next((text.strip() for text in (answer, *fenced) if _is_keyword_call(text)), "")


def _no_call(answer: str) -> CheckOutcome:
    """The answer neither calls a tool nor attempts to."""
    if not answer.strip():
        return CheckOutcome(False, "empty answer")
    try:
        calls = find_calls(answer)
    except ValueError as error:
        return CheckOutcome(False, f"attempted a call: {str(error)[:60]}")
    if calls:
        return CheckOutcome(False, f"called {calls[0].name}", calls[0].name)
    attempt = _attempt(answer)
    return outcome(not attempt, "no call", f"attempted a call: {attempt[:60]}" if attempt else "")


def check_tool_call(answer: str, params: Params) -> CheckOutcome:
    """The answer makes exactly the wanted call (`name`, `arguments`), or `calls`.

    With `ordered`, the order of calls counts. With `none` the answer makes no call. `accept` lists
    alternatives per argument, `patterns` regular expressions, `optional` arguments that may be left
    out. With `only`, the answer is the call alone. A call that later words take back
    ("Correction: …") does not count.
    """
    answer = tail(answer)
    if params.get("none"):
        return _no_call(answer)
    if params.get("only") and not only_json(_CALL_TAG.sub("", answer)):
        return CheckOutcome(False, "not JSON alone")
    wanted = list(params.get("calls") or [params])
    try:
        calls = find_calls(answer, frozenset(str(want["name"]) for want in wanted))
    except ValueError as error:
        return CheckOutcome(False, f"no tool call: {str(error)[:60]}")
    if len(calls) > len(wanted):
        calls = _not_taken_back(answer, calls)
    given = "; ".join(map(str, calls))[:200]
    if len(calls) != len(wanted):
        attempt = "a broken call" if not calls and _attempt(answer) else f"{len(calls)} tool calls"
        return CheckOutcome(False, f"{attempt}, expected {len(wanted)}", given)
    mismatch = _mismatch(calls, wanted, bool(params.get("ordered")))
    return outcome(
        not mismatch, "right call" if len(wanted) == 1 else "right calls", mismatch, given
    )


def _not_taken_back(answer: str, calls: list[Call]) -> list[Call]:
    """The calls, without those that words between them and the next call take back."""
    kept = [
        call
        for call, later in itertools.pairwise(calls)
        if not corrects(answer, call.end, later.start)
    ]
    return [*kept, calls[-1]]


def _mismatch(calls: list[Call], wanted: list[Mapping[str, Any]], ordered: bool) -> str:
    """What is wrong with the call for the first wanted one without a match; empty if all match."""
    left = list(calls)
    for want in wanted:
        candidates = left[:1] if ordered else left
        fitting = next((call for call in candidates if not _wrong(call, want)), None)
        if fitting is None:
            closest = next(
                (call for call in candidates if call.name == want["name"]), candidates[0]
            )
            return _wrong(closest, want)
        left.remove(fitting)
    return ""
