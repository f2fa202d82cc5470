"""Prompt suites: `benchmarks/prompts/v1/*.yaml` read into frozen values, every mistake collected with its line.

Two formats load: the project's (and predecessor's) `prompts: {id: …}`, and the deterministic `questions: [{id, …}]`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from scripts.lib.check_types import CHECK_PARAMETERS, mistakes
from scripts.lib.context_generator import KIND_NAMES, ContextSpec, Needle
from scripts.lib.errors import BenchError, InputErrors, Problem, suggest
from scripts.lib.prompt_types import Check, Criterion, Question, Suite
from scripts.lib.role_table import SUITES_FILE, role_table
from scripts.lib.yaml_source import Source, read_yaml

__all__ = ["Check", "Criterion", "Question", "Suite", "is_role_suite", "load_suite", "load_suites", "suites_for_roles"]

_SUITE_NAME = re.compile(r"^suite:[ \t]*['\"]?([\w.-]+)", re.MULTILINE)
SUITE_KEYS = (
    *("version", "domain", "description", "created", "updated", "note", "notes", "prompts", "suite", "scoring_default"),
    *("questions", "inference_params"),
)
QUESTION_KEYS = (
    *("tier", "name", "prompt", "expected", "reference_answer", "scoring", "auto_score", "context_tokens"),
    *(
        "context_type",
        "context_seed",
        "needle",
        "needle_position",
        "needles",
        "distractors",
        "image_path",
        "images",
        "max_tokens",
        "stop",
    ),
    *("system", "temperature", "timeout_s", "description", "notes"),
)
CRITERION_KEYS = ("criterion", "weight", "checks")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_LEGACY_METHODS = {
    "exact_match": "normalized",
    "multiple_choice": "multiple_choice",
    "substring": "contains",
    "f1": "f1",
}


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
    params = {key: value for key, value in raw.items() if key != "type"}
    for name, said in mistakes(kind, params):
        entry.problem(f"{path}.{name}" if name else path, said)
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


_DEPTHS = {"beginning": 0.1, "start": 0.1, "early": 0.25, "middle": 0.5, "late": 0.75, "end": 0.9}


def _depth(entry: _Entry, key: str, raw: Any) -> float:
    position = _DEPTHS.get(raw, raw) if isinstance(raw, str) else raw
    if isinstance(position, bool) or not isinstance(position, (int, float)) or not 0 <= position <= 1:
        entry.problem(key, f"expected a depth from 0 to 1 (or {', '.join(_DEPTHS)}), found {raw!r}")
        return 0.5
    return float(position)


def _needles(entry: _Entry) -> tuple[Needle, ...]:
    made = []
    if text := entry.text("needle"):
        made.append(Needle(text.rstrip("\n"), _depth(entry, "needle_position", entry.raw.get("needle_position", 0.5))))
    listed = entry.raw.get("needles") or []
    for index, item in enumerate(listed if isinstance(listed, list) else [listed]):
        place = f"needles[{index}]"
        if not isinstance(item, dict) or set(item) != {"text", "position"} or not isinstance(item["text"], str):
            entry.problem(place, "expected {text: …, position: …}")
            continue
        made.append(Needle(item["text"].rstrip("\n"), _depth(entry, f"{place}.position", item["position"])))
    return tuple(made)


def _context_spec(entry: _Entry) -> ContextSpec | None:
    tokens = entry.integer("context_tokens", 1, 2_000_000)
    if tokens is None:
        return None
    kind = entry.text("context_type") or "document"
    if kind not in KIND_NAMES:
        entry.problem("context_type", f"unknown kind '{kind}'{suggest(kind, KIND_NAMES)}")
        return None
    seed = entry.integer("context_seed", 0, 2**31) or 0
    return ContextSpec(kind, tokens, seed, _needles(entry), entry.texts("distractors"))


def _images(entry: _Entry) -> tuple[str, ...]:
    """Image files: beside the suite's file where they are there, else as written (lint tells what is missing)."""
    folder, made = Path(entry.source.file).parent, []
    for name in (*entry.texts("images"), *entry.texts("image_path")):
        made.append(name if not (folder / name).exists() and Path(name).exists() else str(folder / name))
    return tuple(made)


def _question(source: Source, suite: str, qid: str, path: str, raw: Any) -> Question | None:
    if not isinstance(raw, dict):
        source.problems.append(source.problem(path, "expected a mapping"))
        return None
    entry = _Entry(source, path, raw)
    entry.known(QUESTION_KEYS)
    if not _ID.fullmatch(qid):
        entry.problem("", "an id may hold letters, digits, '_', '.' and '-', at most 100 of them")
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
        images=_images(entry),
        temperature=entry.number("temperature", 0, 5),
        timeout_s=entry.number("timeout_s", 0.001, 1e7),
        context=_context_spec(entry),
    )


def _legacy_check(entry: _Entry, method: str) -> tuple[Check, ...]:
    expected, config = entry.text("expected"), entry.raw.get("scoring_config") or {}
    if method == "code_execution":
        tests = config.get("test_code") or config.get("tests") or ""
        params: dict[str, Any] = {"tests": str(tests)}
        if config.get("entry_point"):
            params["entry_point"] = str(config["entry_point"])
        return (Check("code", MappingProxyType(params)),) if tests else ()
    if method in _LEGACY_METHODS:
        kind = _LEGACY_METHODS[method]
        params = {"any": [expected]} if kind == "contains" else {"value": expected}
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
            reference = question.reference_answer or question.expected
            made.append(replace(question, scoring=scoring, reference_answer=reference))
    return made


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


def suite_names(folder: Path) -> frozenset[str]:
    """The names of the suites in a folder, at a glance: nothing of them is checked."""
    found = set[str]()
    for file in folder.glob("*.yaml"):
        named = _SUITE_NAME.search(file.read_text(encoding="utf-8", errors="replace"))
        found.add(named[1] if named else file.stem)
    return frozenset(found - {"MANIFEST"})


def is_role_suite(name: str, file: Path = SUITES_FILE) -> bool:
    """True when the table of roles speaks of the suite; another one is asked where the configuration names it."""
    return name in role_table(file).known_suites


def roles_of_suite(name: str, file: Path = SUITES_FILE) -> tuple[str, ...]:
    """The roles that answer a suite, those first whose business it is most: by its place in their lists."""
    table = role_table(file)
    roles = [
        (suites.index(name), role)
        for part in (table.only, table.roles)
        for role, suites in part.items()
        if name in suites
    ]
    return tuple(role for _, role in sorted(roles, key=lambda pair: pair[0]))


def suites_for_roles(candidate_roles: tuple[str, ...], key: str, file: Path = SUITES_FILE) -> tuple[str, ...]:
    """The suites a model answers: the union over its roles, by the table in config/suites.yaml."""
    table = role_table(file)
    roles = candidate_roles or tuple(role for role in (*table.only, *table.roles) if key.startswith(f"{role}_"))
    for role in roles:
        if role in table.only:
            return table.only[role]
    found = [suite for role in roles for suite in table.roles.get(role, ())]
    return tuple(dict.fromkeys(found)) or ("general",)
