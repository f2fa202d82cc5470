"""The second format's scoring: `scoring_method` and `scoring_config` as typed checks.

A question without its own scoring uses the file's: `scoring_default: {method, config}`, or
`scoring_method` and `scoring_config` at the top of the file.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from scripts.lib.base.errors import shown, suggest
from scripts.lib.base.yaml_fields import Fields, is_misspelt
from scripts.lib.base.yaml_sections import Section, keys

DEFAULT_METHOD = "exact_match"
# Keys of a question that nothing acts on. They are carried through, like unknown keys.
CARRIED_KEYS = (
    "alt_answers",
    "mode_advantage",
    "skill",
    "domain",
    "category",
    "source_dataset",
    "source_index",
)
SCORING_KEYS = ("scoring_method", "scoring_config")
_DEFAULT = Section(
    "scoring_default",
    "scoring_default",
    "How the file's questions are scored.",
    keys("method", "config"),
)
# Names that code of the predecessor's questions may use without importing them.
PREAMBLE = """\
import bisect, functools, heapq, itertools, math
from collections import Counter, defaultdict, deque
from typing import Any, Dict, List, Optional, Set, Tuple
"""
_CASES = re.compile(r"\s*TEST_CASES\b[^=\n]*=")

# (place of a mistake, check type, parameters)
Made = tuple[str, str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Scored:
    """The input of a method: the expected answer, the configuration, and where mistakes go."""

    expected: str
    config: Mapping[str, Any]
    problem: Callable[[str, str], None]

    def params(self, **keys: str) -> dict[str, Any]:
        """Parameters of a check from the configuration, if it has the key: parameter=key."""
        return {
            name: self.config[key] for name, key in keys.items() if self.config.get(key) is not None
        }


def _exact_match(asked: Scored) -> Iterator[Made]:
    params = asked.params(pattern="extract_pattern", normalize="normalize")
    yield "expected", "extracted", {"value": asked.expected, **params}


def _multiple_choice(asked: Scored) -> Iterator[Made]:
    yield "expected", "multiple_choice", {"value": asked.expected, "last": True}


def _substring(asked: Scored) -> Iterator[Made]:
    text = asked.expected or asked.config.get("substring") or ""
    yield "expected", "substring", {"text": text, **asked.params(case_sensitive="case_sensitive")}


def _f1(asked: Scored) -> Iterator[Made]:
    params = asked.params(pattern="extract_pattern", least="threshold")
    yield "expected", "word_overlap", {"value": asked.expected, **params}


def _calls_itself(tests: str) -> bool:
    """Whether test code with a list of cases runs them itself: it asserts and reads no stdin."""
    try:
        return "stdin" not in tests and any(
            isinstance(node, ast.Assert) for node in ast.walk(ast.parse(tests))
        )
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def _stdin_cases(tests: str) -> list[dict[str, str]]:
    """The cases of code that begins `TEST_CASES = [(stdin, stdout), …]`. Raises ValueError."""
    try:
        pairs = ast.literal_eval(ast.parse(tests).body[0].value)  # type: ignore[attr-defined]
        cases = [{"stdin": str(given), "stdout": str(wanted)} for given, wanted in pairs]
    except (SyntaxError, TypeError, IndexError, RecursionError, MemoryError) as error:
        raise ValueError(str(error)) from None
    return cases


def _code_execution(asked: Scored) -> Iterator[Made]:
    tests = asked.config.get("test_code") or asked.config.get("tests")
    params = asked.params(timeout_s="timeout")
    if isinstance(tests, str) and _CASES.match(tests) and not _calls_itself(tests):
        # The answer is run once for each case, with the case's standard input.
        try:
            params["cases"] = _stdin_cases(tests)
        except ValueError as error:
            asked.problem(
                "scoring_config.test_code",
                f"expected TEST_CASES = [(stdin, stdout), …]: {str(error)[:80]}",
            )
            return
    elif tests is not None:
        params |= {"tests": tests, **asked.params(entry_point="entry_point")}
    yield "scoring_config", "code", {"block": "first", "setup": PREAMBLE, **params}


# --- verifiers ---

# Verifier -> {its parameter: the parameter of plain_text}. Without parameters, it is a flag of
# plain_text.
VERIFIERS: Mapping[str, Mapping[str, str]] = {
    "word_count_range": {"min_val": "words_min", "max_val": "words_max"},
    "word_count_min": {"threshold": "words_min"},
    "word_count_max": {"threshold": "words_max"},
    "contains_keyword": {"keyword": "holds"},
    "no_keyword": {"keyword": "lacks"},
    "starts_with": {"text": "starts_with"},
    "ends_with": {"text": "ends_with"},
    "paragraph_count": {"threshold": "paragraphs"},
    "sentence_count_min": {"threshold": "sentences_min"},
    "json_valid": {},
    "all_uppercase": {},
    "all_lowercase": {},
    "bullet_list": {},
    "numbered_list": {},
    "comma_separated": {},
}
_FLAGS = {"json_valid": "holds_json"}
_WITHOUT_BOUND = {"words_min": 1, "words_max": -1}
_NAME_KEYS = ("verifier", "name", "type", "check", "function")
_PARAMETER_KEYS = ("params", "parameters", "kwargs", "args", "config")
_PARAMETERS = tuple(dict.fromkeys(key for parameters in VERIFIERS.values() for key in parameters))


def _names_one(item: Mapping[str, Any]) -> bool:
    return any(item.get(key) in VERIFIERS for key in _NAME_KEYS if isinstance(item.get(key), str))


def _listed_verifiers(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """(place, verifier) of each; it is under `verifier`, under `verifiers`, or under its name."""
    listed = config.get("verifiers")
    if isinstance(listed, dict) and not _names_one(listed):
        yield from (
            (f"verifiers.{name}", {"verifier": name, "params": params})
            for name, params in listed.items()
        )
    elif listed is not None:
        items = listed if isinstance(listed, list) else [listed]
        yield from ((f"verifiers[{index}]", item) for index, item in enumerate(items))
    if isinstance(config.get("verifier"), str):
        yield "verifier", {key: value for key, value in config.items() if key != "verifiers"}
    elif config.get("verifier") is not None:
        yield "verifier", config["verifier"]
    elif _names_one(config):
        yield "", config
    for name in config:
        if name in VERIFIERS:
            yield name, {"verifier": name, "params": config[name]}


def _named(item: Any) -> tuple[str, dict[str, Any]]:
    """A verifier's name and parameters; the name is empty if the form is unknown."""
    if isinstance(item, str):
        return item, {}
    if not isinstance(item, dict):
        return "", {}
    key = next((key for key in _NAME_KEYS if isinstance(item.get(key), str)), None)
    if key is None and len(item) == 1:
        # {word_count_min: {threshold: 5}}
        return _named({"verifier": next(iter(item)), "params": next(iter(item.values()))})
    name, params = (
        (item[key], {k: v for k, v in item.items() if k != key}) if key is not None else ("", {})
    )
    for inside in _PARAMETER_KEYS:
        given = params.pop(inside, None)
        if isinstance(given, dict):
            params |= given
        elif (
            given is not None and not isinstance(given, bool) and len(VERIFIERS.get(name, ())) == 1
        ):
            # The only parameter, without its name.
            params[next(iter(VERIFIERS[name]))] = given
    return name, params


def _no_verifiers(asked: Scored) -> None:
    known = ("verifier", "verifiers", *VERIFIERS)
    near = next((key for key in asked.config if is_misspelt(key, known)), "")
    hint = suggest(near, known[1:]) if near else f"; known: {', '.join(VERIFIERS)}"
    asked.problem("scoring_config", f"a programmatic question needs 'verifiers'{hint}")


def _look_for_slips(asked: Scored, place: str, name: str, given: Mapping[str, Any]) -> None:
    """Note misspelt parameters. If the verifier has none, compare with those of all verifiers."""
    known = tuple(VERIFIERS[name]) or _PARAMETERS
    for key in given:
        if key not in VERIFIERS[name] and is_misspelt(key, known):
            message = f"unknown parameter '{key}' of {name}{suggest(key, known)}"
            asked.problem(place, message)


def _plain_text_params(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of the `plain_text` check for a verifier."""
    params = {
        ours: given[theirs]
        for theirs, ours in VERIFIERS[name].items()
        if given.get(theirs) is not None
    }
    if given.get("inclusive") is not False:
        return params
    # The bounds do not belong to the range.
    return {
        key: bound + _WITHOUT_BOUND.get(key, 0)
        for key, bound in params.items()
        if isinstance(bound, int)
    }


def _programmatic(asked: Scored) -> Iterator[Made]:
    found = list(_listed_verifiers(asked.config))
    if not found:
        _no_verifiers(asked)
    for where, item in found:
        place = f"scoring_config.{where}" if where else "scoring_config"
        name, given = _named(item)
        if name not in VERIFIERS:
            message = f"unknown verifier {shown(name or item)}{suggest(name, VERIFIERS)}"
            asked.problem(place, message)
            continue
        _look_for_slips(asked, place, name, given)
        params = _plain_text_params(name, given)
        if VERIFIERS[name] and not params:
            asked.problem(place, f"{name} needs {' or '.join(VERIFIERS[name])}")
            continue
        yield place, "plain_text", params or {_FLAGS.get(name, name): True}


# --- methods ---


@dataclass(frozen=True, slots=True)
class Method:
    """How a method's questions are checked, and the keys of `scoring_config` that it uses.

    `compares`: the expected answer itself passes.
    """

    checks: Callable[[Scored], Iterator[Made]]
    keys: tuple[str, ...] = ()
    compares: bool = True


METHODS: Mapping[str, Method] = {
    "exact_match": Method(_exact_match, ("extract_pattern", "normalize")),
    "multiple_choice": Method(_multiple_choice),
    "substring": Method(_substring, ("substring", "case_sensitive")),
    "f1": Method(_f1, ("extract_pattern", "threshold")),
    "code_execution": Method(
        _code_execution, ("test_code", "tests", "entry_point", "timeout"), compares=False
    ),
    "programmatic": Method(
        _programmatic, ("verifier", "verifiers", *_PARAMETERS, *VERIFIERS), compares=False
    ),
}


@dataclass(frozen=True, slots=True)
class Defaults:
    """The file's scoring method and configuration, for questions without their own.

    The method is empty if it is unknown.
    """

    method: str
    config: Mapping[str, Any]


# Method -> the keys of its `scoring_config`.
_CONFIGS = {
    name: Section(name, "scoring_config", "", keys(*method.keys))
    for name, method in METHODS.items()
}


def file_defaults(suite: Fields) -> Defaults:
    """The scoring of the file for all its questions. `scoring_default` may be just the method."""
    default, own = suite.raw.get("scoring_default"), suite.scalar("scoring_method")
    is_mapping = isinstance(default, dict)
    part = Fields(suite.file, default if is_mapping else {}, "scoring_default", _DEFAULT)
    of_default = part.scalar("method") if is_mapping else suite.scalar("scoring_default")
    method = own or of_default or DEFAULT_METHOD
    if method not in METHODS:
        suite.problem("scoring_method" if own else "scoring_default", _unknown(method))
        return Defaults("", {})
    if suite.raw.get("scoring_config") is None:
        return Defaults(method, _config(part, "config", method))
    return Defaults(method, _config(suite, "scoring_config", method))


def _unknown(method: str) -> str:
    return f"unknown method '{method}'{suggest(method, METHODS)}"


def _config(entry: Fields, key: str, method: str) -> Mapping[str, Any]:
    return entry.part(key, _CONFIGS[method]).raw


@dataclass(frozen=True, slots=True)
class Listed:
    """How a question of the list is scored. `compares`: the expected answer itself passes."""

    criterion: str
    checks: tuple[Made, ...] = ()
    compares: bool = False


def listed_checks(entry: Fields, defaults: Defaults) -> Listed:
    """A question's scoring; without checks, and with a problem, if its method is unknown."""
    method = entry.scalar("scoring_method") or defaults.method
    if method and method not in METHODS:
        entry.problem("scoring_method", _unknown(method))
    if method not in METHODS:
        return Listed(method)
    has_own = entry.raw.get("scoring_config") is not None
    config = _config(entry, "scoring_config", method) if has_own else defaults.config
    compares = METHODS[method].compares
    asked = Scored(entry.scalar("expected").strip(), config, entry.problem)
    return Listed(
        f"{method}{' against the expected answer' if compares else ' passes'}",
        tuple(METHODS[method].checks(asked)),
        compares,
    )
