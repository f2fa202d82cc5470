"""Prompt suites: `benchmarks/prompts/v1/*.yaml` read into frozen values, every mistake collected with its line.

Two formats load: the project's (and predecessor's) `prompts: {id: …}`, and the deterministic `questions: [{id, …}]`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from scripts.lib.context_generator import KINDS, ContextSpec, generate
from scripts.lib.errors import BenchError, InputErrors, Problem, suggest
from scripts.lib.yaml_source import Source, read_yaml

SUITES_FILE = Path("config/suites.yaml")
SUITE_KEYS = (
    *("version", "domain", "description", "created", "updated", "note", "notes", "prompts", "suite", "scoring_default"),
    *("questions", "inference_params"),
)
QUESTION_KEYS = (
    *("tier", "name", "prompt", "expected", "reference_answer", "scoring", "auto_score", "context_tokens"),
    *("context_type", "context_seed", "needle", "needle_position", "image_path", "images", "max_tokens", "stop"),
    *("system", "temperature", "timeout_s", "description", "notes"),
)
CRITERION_KEYS = ("criterion", "weight", "checks")
# Check type -> its parameters, the required ones first and marked with '!'. checks.py implements each by name.
CHECK_PARAMETERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "number": ("value!", "tolerance"),
        "math": ("value!",),
        "exact": ("value!",),
        "normalized": ("value!", "any_of"),
        "multiple_choice": ("value!", "choices"),
        "regex": ("required", "forbidden"),
        "contains": ("all", "any", "none"),
        "json_schema": ("schema!",),
        "tool_call": ("name!", "arguments"),
        "constraints": (
            *("words_min", "words_max", "lines", "lines_min", "lines_max", "sentences_min", "sentences_max"),
            *("bullets", "paragraphs", "all_lowercase", "all_uppercase", "no_commas", "starts_with", "ends_with"),
        ),
        "f1": ("value!", "least"),
        "code": ("entry_point", "tests!", "timeout_s"),
        "needle": ("value!",),
    }
)
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_LEGACY_METHODS = {
    "exact_match": "normalized",
    "multiple_choice": "multiple_choice",
    "substring": "contains",
    "f1": "f1",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One machine check: its type and parameters."""

    type: str
    params: Mapping[str, Any]

    def __hash__(self) -> int:
        return hash((self.type, repr(sorted(self.params.items()))))


@dataclass(frozen=True, slots=True)
class Criterion:
    """One weighted criterion (weights add up to 100). All its checks must pass; without checks it is unscored."""

    criterion: str
    weight: int
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """One question. `tier` 1-3; `max_tokens` in new tokens; `context` makes the text that goes before the prompt."""

    suite: str
    id: str
    tier: int
    name: str
    prompt: str
    expected: str = ""
    reference_answer: str = ""
    scoring: tuple[Criterion, ...] = ()
    system: str | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    temperature: float | None = None
    timeout_s: float | None = None
    context: ContextSpec | None = None

    def prompt_text(self) -> str:
        """The prompt exactly as sent: generated context first, then the question."""
        if self.context is None:
            return self.prompt
        return f"{_context(self.context)}\n\n{self.prompt}"


@lru_cache(maxsize=64)
def _context(spec: ContextSpec) -> str:
    return generate(spec)


@dataclass(frozen=True, slots=True)
class Suite:
    """One file of questions."""

    name: str
    version: str
    domain: str
    description: str
    questions: tuple[Question, ...]


class _Entry:
    """Typed reading of one question's mapping."""

    def __init__(self, source: Source, path: str, raw: Mapping[str, Any]):
        self.source, self.path, self.raw = source, path, raw

    def problem(self, key: str, message: str) -> None:
        place = f"{self.path}.{key}" if key else self.path
        self.source.problems.append(self.source.problem(place, message))

    def known(self, keys: Iterable[str]) -> None:
        for key in self.raw:
            if key not in keys:
                self.problem(key, f"unknown key{suggest(key, keys)}")

    def text(self, key: str, required: bool = False) -> str:
        value = self.raw.get(key)
        if value is None:
            if required:
                self.problem(key, "is missing")
            return ""
        if isinstance(value, (dict, list)):
            self.problem(key, f"expected text, found a {type(value).__name__}")
            return ""
        return str(value)

    def integer(self, key: str, least: int, most: int) -> int | None:
        value = self.raw.get(key)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            self.problem(key, f"expected a whole number from {least} to {most}, found {value!r}")
            return None
        return value

    def number(self, key: str, least: float, most: float) -> float | None:
        value = self.raw.get(key)
        if value is None:
            return None
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not least <= value <= most:
            self.problem(key, f"expected a number from {least:g} to {most:g}, found {value!r}")
            return None
        return float(value)

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.raw.get(key)
        if value is None:
            return ()
        if isinstance(value, str):
            return (value,)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.problem(key, "expected a list of texts")
            return ()
        return tuple(value)


def _check(entry: _Entry, path: str, raw: Any) -> Check | None:
    if not isinstance(raw, dict) or not isinstance(raw.get("type"), str):
        entry.problem(path, f"expected a mapping with a type, found {raw!r}")
        return None
    kind = raw["type"]
    if kind not in CHECK_PARAMETERS:
        entry.problem(f"{path}.type", f"unknown check '{kind}'{suggest(kind, CHECK_PARAMETERS)}")
        return None
    names = [name.removesuffix("!") for name in CHECK_PARAMETERS[kind]]
    params = {key: value for key, value in raw.items() if key != "type"}
    for key in params:
        if key not in names:
            entry.problem(f"{path}.{key}", f"unknown parameter of {kind}{suggest(key, names)}")
    for name in CHECK_PARAMETERS[kind]:
        if name.endswith("!") and name[:-1] not in params:
            entry.problem(path, f"a {kind} check needs '{name[:-1]}'")
    if not params:
        entry.problem(path, f"a {kind} check without parameters checks nothing")
    for pattern in (params.get("required"), params.get("forbidden")) if kind == "regex" else ():
        try:
            re.compile(pattern or "")
        except (re.error, TypeError) as error:
            entry.problem(path, f"not a regular expression: {error}")
    return Check(kind, MappingProxyType(params))


def _criteria(entry: _Entry, auto: tuple[Check, ...]) -> tuple[Criterion, ...]:
    raw = entry.raw.get("scoring") or []
    if not isinstance(raw, list):
        entry.problem("scoring", "expected a list of criteria")
        return ()
    made = []
    for index, item in enumerate(raw):
        place = f"scoring[{index}]"
        if not isinstance(item, dict) or not isinstance(item.get("criterion"), str):
            entry.problem(place, "expected a mapping with a criterion and a weight")
            continue
        for key in item:
            if key not in CRITERION_KEYS:
                entry.problem(f"{place}.{key}", f"unknown key{suggest(key, CRITERION_KEYS)}")
        weight = item.get("weight")
        if not isinstance(weight, int) or isinstance(weight, bool) or not 0 < weight <= 100:
            entry.problem(f"{place}.weight", f"expected a whole number from 1 to 100, found {weight!r}")
            continue
        listed = item.get("checks") or []
        checks = [
            _check(entry, f"{place}.checks[{i}]", c) for i, c in enumerate(listed if isinstance(listed, list) else [])
        ]
        made.append(Criterion(item["criterion"], weight, tuple(c for c in checks if c is not None) or auto))
    total = sum(criterion.weight for criterion in made)
    if made and total != 100:
        entry.problem("scoring", f"the weights add up to {total}, expected 100")
    if not made and auto:
        made.append(Criterion("passes its automatic checks", 100, auto))
    return tuple(made)


def _auto_score(entry: _Entry) -> tuple[Check, ...]:
    """The predecessor's `contains_pattern:…;forbidden_pattern:…` as regex checks."""
    checks = []
    for part in (p.strip() for p in entry.text("auto_score").split(";")):
        name, _, pattern = part.partition(":")
        if name in ("contains_pattern", "forbidden_pattern"):
            key = "required" if name == "contains_pattern" else "forbidden"
            checks.append(Check("regex", MappingProxyType({key: f"(?i){pattern.strip()}"})))
        elif part:
            entry.problem("auto_score", f"unknown rule '{name}'; known: contains_pattern, forbidden_pattern")
    return tuple(checks)


def _context_spec(entry: _Entry) -> ContextSpec | None:
    tokens = entry.integer("context_tokens", 1, 10_000_000)
    if tokens is None:
        return None
    kind = entry.text("context_type") or "document"
    if kind not in KINDS:
        entry.problem("context_type", f"unknown kind '{kind}'{suggest(kind, KINDS)}")
        return None
    raw = entry.raw.get("needle_position", 0.5)
    words = {"beginning": 0.1, "start": 0.1, "early": 0.25, "middle": 0.5, "late": 0.75, "end": 0.9}
    position = words.get(raw, 0.5) if isinstance(raw, str) else raw
    if not isinstance(position, (int, float)) or not 0 <= position <= 1:
        entry.problem("needle_position", f"expected a depth from 0 to 1, found {raw!r}")
        position = 0.5
    return ContextSpec(
        kind, tokens, entry.integer("context_seed", 0, 2**31) or 0, entry.text("needle"), float(position)
    )


def _question(source: Source, suite: str, qid: str, path: str, raw: Any) -> Question | None:
    if not isinstance(raw, dict):
        source.problems.append(source.problem(path, "expected a mapping"))
        return None
    entry = _Entry(source, path, raw)
    entry.known(QUESTION_KEYS)
    if not _ID.fullmatch(qid):
        entry.problem("", "an id may hold letters, digits, '_', '.' and '-', at most 100 of them")
    images = entry.texts("images") + ((entry.text("image_path"),) if raw.get("image_path") else ())
    return Question(
        suite=suite,
        id=qid,
        tier=entry.integer("tier", 1, 3) or 1,
        name=entry.text("name") or qid,
        prompt=entry.text("prompt", required=True).rstrip("\n"),
        expected=entry.text("expected"),
        reference_answer=entry.text("reference_answer").rstrip("\n"),
        scoring=_criteria(entry, _auto_score(entry)),
        system=entry.text("system") or None,
        max_tokens=entry.integer("max_tokens", 1, 1_000_000),
        stop=entry.texts("stop"),
        images=images,
        temperature=entry.number("temperature", 0, 5),
        timeout_s=entry.number("timeout_s", 0.001, 1e7),
        context=_context_spec(entry),
    )


def _legacy_check(entry: _Entry, method: str) -> tuple[Check, ...]:
    expected, config = entry.text("expected"), entry.raw.get("scoring_config") or {}
    if method == "code_execution":
        tests = config.get("test_code") or config.get("tests") or ""
        return (Check("code", MappingProxyType({"tests": str(tests), "entry_point": config.get("entry_point")})),)
    if method in _LEGACY_METHODS:
        kind = _LEGACY_METHODS[method]
        params: dict[str, Any] = {"any": [expected]} if kind == "contains" else {"value": expected}
        return (Check(kind, MappingProxyType(params)),)
    if method != "programmatic":
        known = (*_LEGACY_METHODS, "code_execution", "programmatic")
        entry.problem("scoring_method", f"unknown method '{method}'{suggest(method, known)}")
    return ()


def _deterministic(source: Source, suite: str, raw: list[Any]) -> list[Question]:
    """The second format: `questions: [{id, tier, prompt, expected, scoring_method, scoring_config}]`."""
    made = []
    for index, item in enumerate(raw):
        path = f"questions[{index}]"
        entry = _Entry(source, path, item if isinstance(item, dict) else {})
        method = entry.text("scoring_method") or str(source.value.get("scoring_default") or "exact_match")
        checks = _legacy_check(entry, method)
        plain = {key: value for key, value in entry.raw.items() if key in QUESTION_KEYS}
        question = _question(source, suite, entry.text("id", required=True), path, plain)
        if question is not None:
            scoring = (Criterion(f"{method} against the expected answer", 100, checks),)
            made.append(_replace_scoring(question, scoring))
    return made


def _replace_scoring(question: Question, scoring: tuple[Criterion, ...]) -> Question:
    from dataclasses import replace

    return replace(question, scoring=scoring, reference_answer=question.reference_answer or question.expected)


def load_suite(path: Path) -> tuple[Suite, list[Problem]]:
    """Read one suite file; gives what could be read and every problem."""
    source = read_yaml(path)
    entry = _Entry(source, "", source.value)
    for key in source.value:
        if key not in SUITE_KEYS:
            source.problems.append(source.problem(key, f"unknown key{suggest(key, SUITE_KEYS)}"))
    name = str(source.value.get("suite") or path.stem)
    prompts, questions = source.value.get("prompts"), source.value.get("questions")
    made: list[Question] = []
    if isinstance(prompts, dict) and prompts:
        for qid, raw in prompts.items():
            question = _question(source, name, qid, f"prompts.{qid}", raw)
            made += [question] if question is not None else []
    elif isinstance(questions, list) and questions:
        made = _deterministic(source, name, questions)
    else:
        source.problems.append(source.problem("prompts", "expected at least one question"))
    suite = Suite(name, entry.text("version"), entry.text("domain"), entry.text("description"), tuple(made))
    return suite, source.problems


def load_suites(folder: Path) -> Mapping[str, Suite]:
    """Every suite of a folder by name, sorted. Raises InputErrors with all problems of all files."""
    files = sorted(path for path in folder.glob("*.yaml") if path.stem != "MANIFEST")
    if not files:
        raise BenchError(f"{folder}: expected suite files (*.yaml), found none")
    suites: dict[str, Suite] = {}
    problems: list[Problem] = []
    for file in files:
        try:
            suite, found = load_suite(file)
        except InputErrors as error:
            problems += error.problems
            continue
        problems += found
        if suite.name in suites:
            problems.append(Problem(str(file), "suite", f"'{suite.name}' is the name of another file's suite"))
        suites[suite.name] = suite
    if problems:
        raise InputErrors(problems)
    return MappingProxyType(dict(sorted(suites.items())))


@lru_cache(maxsize=4)
def _role_table(file: Path) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    raw = yaml.safe_load(file.read_text(encoding="utf-8"))
    return raw["only"], raw["roles"]


def suites_for_roles(candidate_roles: tuple[str, ...], key: str, file: Path = SUITES_FILE) -> tuple[str, ...]:
    """The suites a model answers: the union over its roles, by the table in config/suites.yaml."""
    only, table = _role_table(file)
    roles = candidate_roles or tuple(role for role in (*only, *table) if key.startswith(f"{role}_"))
    for role in roles:
        if role in only:
            return tuple(only[role])
    found = [suite for role in roles for suite in table.get(role, ())]
    return tuple(dict.fromkeys(found)) or ("general",)
