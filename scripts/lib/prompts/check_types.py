"""The check types, their parameters, and the allowed values. `scoring/checks` runs the checks."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from scripts.lib.base.errors import shown, suggest
from scripts.lib.base.yaml_fields import is_number


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """Passed, failed, or (None) undecided or not run; with a short reason.

    `extracted` is the part of the output that the check took as the answer; `evidence` is the form
    and the text from which it was taken.
    """

    passed: bool | None
    reason: str
    extracted: str = ""
    evidence: str = ""


def outcome(
    passed: bool, yes: str, no: str, extracted: str = "", evidence: str = ""
) -> CheckOutcome:
    """An outcome with one of the two reasons."""
    return CheckOutcome(passed, yes if passed else no, extracted, evidence)


def texts(value: Any) -> list[str]:
    """A text, or a list of texts, as a list; empty for None."""
    if value is None:
        return []
    return [str(item) for item in value] if isinstance(value, (list, tuple)) else [str(value)]


# --- kinds of parameters: value -> what is wrong with it (empty: nothing) ---

Kind = Callable[[Any], str]


def _expect(expected: str, fits: Callable[[Any], bool]) -> Kind:
    return lambda value: "" if fits(value) else f"expected {expected}, found {shown(value)}"


def _is_number(value: Any) -> bool:
    return is_number(value) and abs(value) < INFINITY


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_text(value: Any) -> bool:
    return (isinstance(value, str) and bool(value.strip())) or _is_number(value)


INFINITY = float("inf")
_number = _expect("a number", _is_number)
_from_zero = _expect("a number of at least 0", lambda value: _is_number(value) and value >= 0)
_above_zero = _expect("a number above 0", lambda value: _is_number(value) and value > 0)
_share = _expect("a number from 0 to 1", lambda value: _is_number(value) and 0 <= value <= 1)
_integer = _expect("a whole number from 0", _is_integer)
_flag = _expect("true or false", lambda value: isinstance(value, bool))
_text = _expect("a text", _is_text)
_any_text = _expect("a text, which may be empty", lambda value: isinstance(value, str))
_name = _expect("a name", lambda value: isinstance(value, str) and value.strip() != "")
_mapping = _expect("a mapping", lambda value: isinstance(value, dict))


def _one_of(known: tuple[str, ...]) -> Kind:
    return _expect(" or ".join(known), lambda value: value in known)


def _mapping_to(kind: Kind, expected: str) -> Kind:
    """A mapping that is not empty, with values of one kind."""

    def wrong(value: Any) -> str:
        if not isinstance(value, dict) or not value:
            return f"expected a mapping {expected}, found {shown(value)}"
        return next(filter(None, map(kind, value.values())), "")

    return wrong


_counts = _mapping_to(_integer, "from words to counts")
_choices = _mapping_to(_text, "from letters to texts")


def _texts(value: Any) -> str:
    items = value if isinstance(value, list) else [value]
    return next(filter(None, map(_text, items)), "" if items else "expected at least one text")


def _pattern(value: Any) -> str:
    for item in value if isinstance(value, list) else [value]:
        if not isinstance(item, str) or not item:
            return f"expected a regular expression, found {shown(item)}"
        try:
            re.compile(item, re.M)
        except (re.error, RecursionError, OverflowError) as error:
            return f"not a regular expression: {error}"
    return ""


def _schema(value: Any) -> str:
    if not isinstance(value, (dict, bool)):
        return f"expected a JSON schema, found {shown(value)}"
    # Imported here, since few suites hold a schema.
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    try:
        Draft202012Validator.check_schema(value)
    except SchemaError as error:
        return f"not a JSON schema: {error.json_path}: {error.message[:120]}"
    return ""


def _code(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        return f"expected Python code, found {shown(value)}"
    try:
        with warnings.catch_warnings(action="ignore"):
            ast.parse(value)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return f"not Python: {error}"
    return ""


def _cases(value: Any) -> str:
    """Inputs and outputs of a program: a list, or a file with its sha256."""
    if isinstance(value, dict):
        fits = set(value) == {"file", "sha256"} and all(
            isinstance(part, str) and part for part in value.values()
        )
        return "" if fits else f"expected {{file: …, sha256: …}}, found {shown(value)}"
    if not isinstance(value, list) or not value:
        return f"expected a list of {{stdin: …, stdout: …}}, found {shown(value)}"
    for case in value:
        if not isinstance(case, dict) or set(case) != {"stdin", "stdout"}:
            return f"expected {{stdin: …, stdout: …}}, found {shown(case)}"
        if others := [part for part in case.values() if not isinstance(part, str)]:
            return f"expected texts in a case, found {shown(others[0])}"
    return ""


def _lists(value: Any) -> str:
    """Argument -> the values to accept."""
    if not isinstance(value, dict):
        return f"expected a mapping from arguments to lists of values, found {shown(value)}"
    for name, accepted in value.items():
        if not isinstance(accepted, list) or not accepted:
            return f"expected a list of values for '{name}', found {shown(accepted)}"
    return ""


def _patterns(value: Any) -> str:
    """Argument -> a regular expression."""
    if not isinstance(value, dict):
        return f"expected a mapping from arguments to regular expressions, found {shown(value)}"
    for name, pattern in value.items():
        if said := (
            _pattern(pattern)
            if isinstance(pattern, str)
            else f"expected a text, found {shown(pattern)}"
        ):
            return f"'{name}': {said}"
    return ""


def _calls(value: Any) -> str:
    if not isinstance(value, list) or not value:
        return "expected a list of calls"
    for call in value:
        if not isinstance(call, dict) or "name" not in call:
            return f"expected a call with a name, found {shown(call)}"
        for key, part in call.items():
            if key not in CALL_FORMS:
                return f"unknown key '{key}' of a call{suggest(key, CALL_FORMS)}"
            if said := CALL_FORMS[key](part):
                return f"{key} of a call: {said}"
    return ""


def _arguments(value: Any) -> str:
    """The arguments of a Python call, as between its parentheses; there may be none."""
    return (
        _code(f"f({value})") if isinstance(value, str) else f"expected a text, found {shown(value)}"
    )


def _instruction(value: Any) -> str:
    if isinstance(value, str) and value in INSTRUCTIONS:
        return ""
    near = suggest(value, INSTRUCTIONS) if isinstance(value, str) else ""
    return f"unknown instruction {value!r}{near}"


# IFEval's instructions; scoring.checks.ifeval decides each.
INSTRUCTIONS = (
    "keywords:existence",
    "keywords:frequency",
    "keywords:forbidden_words",
    "keywords:letter_frequency",
    "length_constraints:number_sentences",
    "length_constraints:number_paragraphs",
    "punctuation:no_comma",
    "length_constraints:number_words",
    "length_constraints:nth_paragraph_first_word",
    "detectable_content:number_placeholders",
    "detectable_content:postscript",
    "detectable_format:number_bullet_lists",
    "detectable_format:constrained_response",
    "detectable_format:number_highlighted_sections",
    "detectable_format:multiple_sections",
    "detectable_format:json_format",
    "detectable_format:title",
    "combination:two_responses",
    "combination:repeat_prompt",
    "language:response_language",
    "startend:end_checker",
    "startend:quotation",
    "change_case:capital_word_frequency",
    "change_case:english_capital",
    "change_case:english_lowercase",
)
# How a program's output is compared by scoring.harness: without spaces at its ends, line by line
# with numbers as numbers, or its last line as JSON.
COMPARISONS = ("stripped", "lines", "json")
# The part of an answer in which a pattern searches.
PLACES = ("answer", "last_line")
# Which code blocks of an answer are run.
BLOCKS = ("all", "first")
# The names of counts that people write as words.
COUNT_NAMES = (
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
)
# The parts of a tool call.
CALL_FORMS: Mapping[str, Kind] = MappingProxyType(
    {
        "name": _name,
        "arguments": _mapping,
        "accept": _lists,
        "patterns": _patterns,
        "optional": _texts,
    }
)
_COUNTED = (
    "words",
    "lines",
    "sentences",
    "bullets",
    "numbered",
    "paragraphs",
    "headings",
    "placeholders",
    "highlights",
    "digits",
    "capital_words",
    "code_blocks",
    "questions",
    "characters",
)
COUNTED = frozenset(_COUNTED)
_FORM: dict[str, Kind] = {
    **{f"{name}{bound}": _integer for name in _COUNTED for bound in ("", "_min", "_max")},
    **dict.fromkeys(
        ("all_lowercase", "all_uppercase", "no_commas", "title", "json", "quoted"), _flag
    ),
    **dict.fromkeys(("starts_with", "ends_with", "acrostic", "separator", "postscript"), _text),
    **dict.fromkeys(
        ("keywords", "keywords_min", "keywords_max", "letters_min", "letters_max"), _counts
    ),
    **dict.fromkeys(("line_words", "line_words_max", "line_words_min", "parts"), _integer),
    **dict.fromkeys(("forbidden_words", "lines_start_with"), _texts),
}
# The rules of `plain_text`; scoring.checks.plain decides each.
PLAIN_RULES: Mapping[str, Kind] = MappingProxyType(
    {
        **dict.fromkeys(
            ("words", "words_min", "words_max", "items", "paragraphs", "sentences_min"), _integer
        ),
        **dict.fromkeys(("one_of", "holds", "lacks", "forbidden_words", "labels"), _texts),
        **dict.fromkeys(("starts_with", "ends_with"), _text),
        **dict.fromkeys(
            ("all_uppercase", "all_lowercase", "alphabetical", "no_punctuation"), _flag
        ),
        **dict.fromkeys(
            ("json_object", "holds_json", "bullet_list", "numbered_list", "comma_separated"), _flag
        ),
        "line_pattern": _pattern,
    }
)

# Check type -> parameters; those marked '!' are required.
CHECK_PARAMETERS: Mapping[str, Mapping[str, Kind]] = MappingProxyType(
    {
        "number": {"value!": _number, "tolerance": _from_zero},
        "math": {"value!": _text},
        "exact": {"value!": _text, "any_of": _texts},
        "normalized": {"value!": _text, "any_of": _texts},
        "items": {"value!": _texts, "ordered": _flag},
        "multiple_choice": {"value!": _text, "choices": _choices, "last": _flag},
        "regex": {"required": _pattern, "forbidden": _pattern, "on": _one_of(PLACES)},
        "contains": {"all": _texts, "any": _texts, "none": _texts},
        "json_schema": {"schema!": _schema, "only": _flag},
        "tool_call": {
            **CALL_FORMS,
            **{"calls": _calls, "ordered": _flag, "none": _flag, "only": _flag},
        },
        "constraints": _FORM,
        "f1": {"value!": _text, "any_of": _texts, "least": _share},
        "em": {"value!": _text, "any_of": _texts},
        "code": {
            **{
                "entry_point": _name,
                "tests": _code,
                "setup": _code,
                "timeout_s": _above_zero,
                "forbidden": _texts,
            },
            **{"cases": _cases, "compare": _one_of(COMPARISONS), "driver": _code},
            "block": _one_of(BLOCKS),
        },
        "needle": {"value!": _texts},
        "ifeval": {"instruction!": _instruction, "kwargs": _mapping},
        "plain_text": {
            **PLAIN_RULES,
            "may_be_empty": _flag,
            "first_lines": _integer,
            "skip_lines": _texts,
        },
        "extracted": {"value!": _text, "any_of": _texts, "pattern": _pattern, "normalize": _flag},
        "substring": {"text!": _any_text, "case_sensitive": _flag},
        "word_overlap": {"value!": _text, "any_of": _texts, "pattern": _pattern, "least": _share},
        "cruxeval": {
            "code!": _code,
            "predict!": _one_of(("input", "output")),
            "input!": _arguments,
            "output!": _code,
        },
        "gsm8k": {"value!": _text},
        "mmlu": {"value!": _text},
        "gpqa": {"value!": _text},
        "math500": {"value!": _text},
        "hotpot": {"value!": _text, "least": _share},
        "gaia": {"value!": _text},
    }
)
# These run what a model wrote, and so need the sandbox.
SANDBOXED = frozenset(("code", "cruxeval"))


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
    else:
        yield from _mistakes_together(kind, params)


# Check type -> parameters of which it needs one.
_ONE_OF: Mapping[str, tuple[str, ...]] = {
    "code": ("tests", "cases"),
    "tool_call": ("name", "calls", "none"),
    "regex": ("required", "forbidden"),
    "contains": ("all", "any", "none"),
    "plain_text": tuple(PLAIN_RULES),
}


# Parameters of a code check that need `cases`, and those that need `tests`.
_OF_CASES, _OF_TESTS = ("compare", "driver"), ("entry_point", "forbidden")


def _mistakes_together(kind: str, params: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    wanted = _ONE_OF.get(kind, ())
    given = [name for name in wanted if params.get(name)]
    if wanted and not given:
        yield "", f"a {kind} check needs {', '.join(map(repr, wanted[:-1]))} or {wanted[-1]!r}"
    if kind in ("tool_call", "code") and len(given) > 1:
        yield given[1], f"cannot be combined with '{given[0]}': a {kind} check has one of them"
    if kind == "code":
        for name in (*_OF_CASES, *_OF_TESTS):
            if name in params and (name in _OF_CASES) != ("cases" in params):
                yield name, f"can only be used with {'cases' if name in _OF_CASES else 'tests'}"
    if kind == "constraints" and ("parts" in params) != ("separator" in params):
        yield "", "'parts' and 'separator' go together"
    if kind == "multiple_choice" and isinstance(params.get("choices"), dict):
        letters = [str(letter).strip().upper() for letter in params["choices"]]
        value = str(params.get("value")).strip().strip("().").upper()
        if value not in letters:
            yield "value", f"is none of the choices{suggest(value, letters)}"
