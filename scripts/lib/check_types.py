"""The check types: their parameters and what each may hold. Read by the prompt loader; carried out by `scoring/checks`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from scripts.lib.errors import suggest


@dataclass(frozen=True, slots=True)
class Outcome:
    """Passed, failed, or (None) undecided or not run; with the reason in a few words.

    `extracted` is what a check took for the answer, `evidence` the form and the text that it was taken from.
    """

    passed: bool | None
    reason: str
    extracted: str = ""
    evidence: str = ""


def outcome(passed: bool, yes: str, no: str, extracted: str = "", evidence: str = "") -> Outcome:
    """An outcome with the reason that fits it."""
    return Outcome(passed, yes if passed else no, extracted, evidence)


def texts(value: Any) -> list[str]:
    """A text or a list of them as a list; none for None."""
    if value is None:
        return []
    return [str(item) for item in value] if isinstance(value, (list, tuple)) else [str(value)]


# --- kinds of parameters: value -> what is wrong with it ('' for nothing) -----------------------------------------------


def _number(value: Any) -> str:
    real = (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and abs(value) != float("inf")
        and value == value
    )
    return "" if real else f"expected a number, found {value!r}"


def _integer(value: Any) -> str:
    whole = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return "" if whole else f"expected a whole number from 0, found {value!r}"


def _flag(value: Any) -> str:
    return "" if isinstance(value, bool) else f"expected true or false, found {value!r}"


def _text(value: Any) -> str:
    fits = isinstance(value, (str, int, float)) and not isinstance(value, bool) and str(value).strip()
    return "" if fits else f"expected a text, found {value!r}"


def _texts(value: Any) -> str:
    items = value if isinstance(value, list) else [value]
    return next(filter(None, map(_text, items)), "" if items else "expected at least one text")


def _pattern(value: Any) -> str:
    for item in value if isinstance(value, list) else [value]:
        if not isinstance(item, str) or not item:
            return f"expected a regular expression, found {item!r}"
        try:
            re.compile(item, re.M)
        except (re.error, RecursionError, OverflowError) as error:
            return f"not a regular expression: {error}"
    return ""


def _mapping(value: Any) -> str:
    return "" if isinstance(value, dict) else f"expected a mapping, found {value!r}"


def _counts(value: Any) -> str:
    if not isinstance(value, dict) or not value:
        return f"expected a mapping from words to counts, found {value!r}"
    return next(filter(None, map(_integer, value.values())), "")


def _schema(value: Any) -> str:
    if not isinstance(value, (dict, bool)):
        return f"expected a JSON schema, found {value!r}"
    return ""


def _code(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        return f"expected Python code, found {value!r}"
    return ""


def _place(value: Any) -> str:
    return "" if value in PLACES else f"expected {' or '.join(PLACES)}, found {value!r}{suggest(str(value), PLACES)}"


def _calls(value: Any) -> str:
    if not isinstance(value, list) or not value:
        return "expected a list of calls"
    for call in value:
        if not isinstance(call, dict) or not isinstance(call.get("name"), str):
            return f"expected a call with a name, found {call!r}"
        for key in call:
            if key not in CALL_KEYS:
                return f"unknown key '{key}' of a call{suggest(key, CALL_KEYS)}"
    return ""


def _instruction(value: Any) -> str:
    if isinstance(value, str) and value in INSTRUCTIONS:
        return ""
    return f"unknown instruction {value!r}{suggest(value, INSTRUCTIONS) if isinstance(value, str) else ''}"


# IFEval's instructions; scoring.checks.ifeval decides each.
INSTRUCTIONS = (
    *("keywords:existence", "keywords:frequency", "keywords:forbidden_words", "keywords:letter_frequency"),
    *("length_constraints:number_sentences", "length_constraints:number_paragraphs", "punctuation:no_comma"),
    *("length_constraints:number_words", "length_constraints:nth_paragraph_first_word"),
    *("detectable_content:number_placeholders", "detectable_content:postscript"),
    *("detectable_format:number_bullet_lists", "detectable_format:constrained_response"),
    *("detectable_format:number_highlighted_sections", "detectable_format:multiple_sections"),
    *("detectable_format:json_format", "detectable_format:title", "combination:two_responses"),
    *("combination:repeat_prompt", "language:response_language", "startend:end_checker", "startend:quotation"),
    *("change_case:capital_word_frequency", "change_case:english_capital", "change_case:english_lowercase"),
)
# What of an answer a pattern sees.
PLACES = ("answer", "last_line")
CALL_KEYS = ("name", "arguments", "accept", "patterns", "optional")
Kind = Callable[[Any], str]
_COUNTED = (
    *("words", "lines", "sentences", "bullets", "numbered", "paragraphs", "headings", "placeholders", "highlights"),
    *("digits", "capital_words", "code_blocks", "questions", "characters"),
)
COUNTED = frozenset(_COUNTED)
_FORM: dict[str, Kind] = {
    **{f"{name}{bound}": _integer for name in _COUNTED for bound in ("", "_min", "_max")},
    **dict.fromkeys(("all_lowercase", "all_uppercase", "no_commas", "title", "json", "quoted"), _flag),
    **dict.fromkeys(("starts_with", "ends_with", "acrostic", "separator", "postscript"), _text),
    **dict.fromkeys(("keywords", "keywords_min", "keywords_max", "letters_min", "letters_max"), _counts),
    **dict.fromkeys(("line_words", "line_words_max", "line_words_min", "parts"), _integer),
    **dict.fromkeys(("forbidden_words", "lines_start_with"), _texts),
}

# Check type -> parameters; those marked '!' are required.
CHECK_PARAMETERS: Mapping[str, Mapping[str, Kind]] = MappingProxyType(
    {
        "number": {"value!": _number, "tolerance": _number},
        "math": {"value!": _text},
        "exact": {"value!": _text, "any_of": _texts},
        "normalized": {"value!": _text, "any_of": _texts},
        "items": {"value!": _texts, "ordered": _flag},
        "multiple_choice": {"value!": _text, "choices": _mapping},
        "regex": {"required": _pattern, "forbidden": _pattern, "on": _place},
        "contains": {"all": _texts, "any": _texts, "none": _texts},
        "json_schema": {"schema!": _schema, "only": _flag},
        "tool_call": {
            **{"name": _text, "arguments": _mapping, "accept": _mapping, "patterns": _mapping, "optional": _texts},
            **{"calls": _calls, "ordered": _flag, "none": _flag, "only": _flag},
        },
        "constraints": _FORM,
        "f1": {"value!": _text, "any_of": _texts, "least": _number},
        "em": {"value!": _text, "any_of": _texts},
        "code": {"entry_point": _text, "tests!": _code, "setup": _code, "timeout_s": _number, "forbidden": _texts},
        "needle": {"value!": _texts},
        "ifeval": {"instruction!": _instruction, "kwargs": _mapping},
        "gsm8k": {"value!": _text},
        "mmlu": {"value!": _text},
    }
)


def mistakes(kind: str, params: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(parameter or '', what is wrong) for each mistake in a check's parameters."""
    known = {name.removesuffix("!"): check for name, check in CHECK_PARAMETERS[kind].items()}
    for name, value in params.items():
        if name not in known:
            yield name, f"unknown parameter of {kind}{suggest(name, known)}"
        elif said := known[name](value):
            yield name, said
    for name in CHECK_PARAMETERS[kind]:
        if name.endswith("!") and name[:-1] not in params:
            yield "", f"a {kind} check needs '{name[:-1]}'"
    if not params:
        yield "", f"a {kind} check without parameters checks nothing"
    if kind == "tool_call" and params and not {"name", "calls", "none"} & set(params):
        yield "", "a tool_call check needs 'name', 'calls' or 'none'"
    if kind == "constraints" and ("parts" in params) != ("separator" in params):
        yield "", "'parts' and 'separator' go together"
