"""Deterministic checks: does an answer meet a criterion? A check that cannot run leaves the criterion unscored, never 0.

Each check type of prompt_loader.CHECK_PARAMETERS has one function here: (answer, parameters) -> Outcome.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from scripts.lib.answers import clean, fenced_blocks, normalize
from scripts.lib.prompt_loader import Check, Criterion, Question

# Raised when a check decides differently: reviews are then made again, no inference is.
SCORER_VERSION = 1
PASS_SCORE = 2
LEAST_COVERAGE = 0.5
# Checks with backtracking patterns see no more than this of an answer.
PATTERN_CHARACTERS = 20_000

_NUMBER = re.compile(r"(?<![\w.])[-+−]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w])")


@dataclass(frozen=True, slots=True)
class Outcome:
    """Passed, failed, or (None) could not be run; with the reason in a few words."""

    passed: bool | None
    reason: str


def _outcome(passed: bool, yes: str, no: str) -> Outcome:
    return Outcome(passed, yes if passed else no)


def _numbers(text: str) -> list[float]:
    found = []
    for match in _NUMBER.finditer(text[-PATTERN_CHARACTERS:]):
        value = float(match[0].replace(",", "").replace("−", "-"))
        if math.isfinite(value):
            found.append(value)
    return found


def _final_number(text: str) -> float | None:
    """The number an answer ends on: in \\boxed{}, after the last 'answer is', bold, else the last one in the text."""
    tail = text[-PATTERN_CHARACTERS:]
    for pattern in (r"\\boxed\{([^{}]*)\}", r"answer(?: is|:)\s*\**\s*([^\n]*)", r"\*\*([^*\n]*)\*\*"):
        groups = re.findall(pattern, tail, re.I)
        if groups and _numbers(groups[-1]):
            return _numbers(groups[-1])[0]
    found = _numbers(tail)
    return found[-1] if found else None


def check_number(answer: str, params: Mapping[str, Any]) -> Outcome:
    """The final number equals `value` within `tolerance` (absolute, default 1e-6 relative)."""
    value = float(params["value"])
    found = _final_number(answer)
    if found is None:
        return Outcome(False, f"no number, expected {value:g}")
    near = abs(found - value) <= float(params.get("tolerance") or 1e-6 * max(1.0, abs(value)))
    return _outcome(near, f"number {found:g}", f"number {found:g}, expected {value:g}")


def check_math(answer: str, params: Mapping[str, Any]) -> Outcome:
    """The answer's final expression is mathematically equal to `value` (math-verify)."""
    try:
        from math_verify import parse, verify

        gold = parse(f"${params['value']}$", parsing_timeout=5)
        found = parse(answer[-PATTERN_CHARACTERS:], parsing_timeout=5)
        equal = bool(found) and bool(verify(gold, found, timeout_seconds=5))
    except Exception as error:
        # math-verify raises what sympy and antlr raise, and refuses to run outside a main thread.
        return Outcome(None, f"math check could not run: {type(error).__name__}")
    return _outcome(equal, "equal expression", f"not equal to {params['value']}")


def check_exact(answer: str, params: Mapping[str, Any]) -> Outcome:
    """The whole answer is `value`, but for white space at its ends."""
    return _outcome(answer.strip() == str(params["value"]).strip(), "exact match", "not the exact text")


def check_normalized(answer: str, params: Mapping[str, Any]) -> Outcome:
    """The whole answer, or its last line, is `value` (or one of `any_of`) after normalisation."""
    wanted = {normalize(str(value)) for value in (params["value"], *(params.get("any_of") or ()))}
    lines = [line for line in answer.splitlines() if line.strip()]
    found = {normalize(answer), normalize(lines[-1]) if lines else ""}
    return _outcome(bool(found & wanted), "match", f"no match with {params['value']}")


_CHOICE_PATTERNS = (
    r"\\boxed\{\s*\(?([A-J])\)?\s*\}",
    r"(?:answer|choice|option)\s*(?:is|:)?\s*\**\s*\(?([A-J])\)?(?![\w'])",
    r"^\W*\(?([A-J])\)?\s*(?:[.):]|$)",
    r"\*\*\(?([A-J])\)?[.):]?\*\*",
)


def check_multiple_choice(answer: str, params: Mapping[str, Any]) -> Outcome:
    """The chosen letter, by the first strategy that finds exactly one: boxed, 'answer is', a line's own, bold, text."""
    wanted = str(params["value"]).strip().upper().strip("().")
    tail = answer[-PATTERN_CHARACTERS:]
    for pattern in _CHOICE_PATTERNS:
        letters = {letter.upper() for letter in re.findall(pattern, tail, re.I | re.M)}
        if len(letters) == 1:
            letter = letters.pop()
            return _outcome(letter == wanted, f"chose {letter}", f"chose {letter}, expected {wanted}")
    choices = params.get("choices") or {}
    named = [letter for letter, text in choices.items() if normalize(str(text)) in normalize(tail)]
    if len(named) == 1:
        return _outcome(named[0] == wanted, f"named {named[0]}", f"named {named[0]}, expected {wanted}")
    return Outcome(False, "no single choice found")


def check_regex(answer: str, params: Mapping[str, Any]) -> Outcome:
    """`required` is found and `forbidden` is not (searched in the first 20,000 characters)."""
    text = answer[:PATTERN_CHARACTERS]
    required, forbidden = params.get("required"), params.get("forbidden")
    if required and not re.search(required, text, re.M):
        return Outcome(False, f"pattern not found: {required}")
    if forbidden and re.search(forbidden, text, re.M):
        return Outcome(False, f"forbidden pattern found: {forbidden}")
    # Nothing to forbid in nothing: an empty answer passes no check.
    return _outcome(bool(text.strip()), "patterns hold", "empty answer")


def _listed(value: Any) -> list[str]:
    return [str(item) for item in (value if isinstance(value, list) else [value])] if value is not None else []


def _holds(text: str, phrase: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(normalize(phrase))}(?!\w)", text) is not None


def check_contains(answer: str, params: Mapping[str, Any]) -> Outcome:
    """Holds `all` phrases, at least one of `any`, none of `none` (whole words, normalised)."""
    text = normalize(answer)
    absent = [phrase for phrase in _listed(params.get("all")) if not _holds(text, phrase)]
    if absent:
        return Outcome(False, f"lacks {', '.join(absent)}")
    wanted = _listed(params.get("any"))
    if wanted and not any(_holds(text, phrase) for phrase in wanted):
        return Outcome(False, f"has none of {', '.join(wanted)}")
    banned = [phrase for phrase in _listed(params.get("none")) if _holds(text, phrase)]
    if banned:
        return Outcome(False, f"has {', '.join(banned)}")
    return _outcome(bool(text), "phrases hold", "empty answer")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("duplicate keys")
    return dict(pairs)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def parse_json(text: str) -> Any:
    """Strict JSON: no NaN, no duplicate keys. Raises ValueError."""
    try:
        return json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def find_json(answer: str) -> Any:
    """The answer's JSON: the whole answer, its only fenced block, or from the first bracket. Raises ValueError."""
    blocks = [body for language, body in fenced_blocks(answer) if language in ("", "json", "jsonc")]
    start = min((p for p in (answer.find("{"), answer.find("[")) if p >= 0), default=-1)
    candidates = [answer.strip(), *blocks]
    if start >= 0:
        end = max(answer.rfind("}"), answer.rfind("]")) + 1
        candidates.append(answer[start:end])
    problem: Exception = ValueError("no JSON found")
    for candidate in candidates:
        try:
            return parse_json(candidate)
        except ValueError as error:
            problem = error
    raise ValueError(str(problem))


def check_json_schema(answer: str, params: Mapping[str, Any]) -> Outcome:
    """The answer's JSON is valid against `schema`."""
    from jsonschema import Draft202012Validator

    try:
        value = find_json(answer)
    except ValueError as error:
        return Outcome(False, f"not JSON: {str(error)[:80]}")
    errors = list(Draft202012Validator(params["schema"]).iter_errors(value))
    return _outcome(not errors, "valid JSON", f"JSON: {errors[0].message[:100]}" if errors else "")


def check_tool_call(answer: str, params: Mapping[str, Any]) -> Outcome:
    """Exactly one tool call as JSON, with this name and these arguments (texts compared without case)."""
    try:
        value = find_json(answer)
    except ValueError as error:
        return Outcome(False, f"no tool call: {str(error)[:80]}")
    if isinstance(value, list):
        if len(value) != 1:
            return Outcome(False, f"{len(value)} tool calls, expected 1")
        value = value[0]
    if not isinstance(value, dict):
        return Outcome(False, "no tool call: not an object")
    nested = value.get("function")
    call: dict[str, Any] = nested if isinstance(nested, dict) else value
    name = call.get("name") or call.get("tool") or call.get("function")
    if name != params["name"]:
        return Outcome(False, f"called {name!r}, expected {params['name']!r}")
    arguments = call.get("arguments", call.get("parameters", call.get("args", {})))
    if isinstance(arguments, str):
        try:
            arguments = parse_json(arguments)
        except ValueError:
            return Outcome(False, "arguments are not JSON")
    wrong = _wrong_arguments(arguments, params.get("arguments") or {})
    return _outcome(not wrong, "right call", f"arguments: {wrong}")


def _wrong_arguments(found: Any, wanted: Mapping[str, Any]) -> str:
    if not isinstance(found, dict):
        return "not an object"
    for key, value in wanted.items():
        have = found.get(key)
        same = have == value and isinstance(have, bool) == isinstance(value, bool)
        if isinstance(value, str) and isinstance(have, str):
            same = have.strip().casefold() == value.strip().casefold()
        if not same:
            return f"{key} is {have!r}, expected {value!r}"
    extra = sorted(set(found) - set(wanted)) if wanted else []
    return f"unasked {', '.join(extra)}" if extra else ""


def _sentences(text: str) -> int:
    return len([s for s in re.split(r"(?<=[.!?])[\"')\]]*\s+", text.strip()) if re.search(r"\w", s)])


def _constraint_facts(text: str) -> dict[str, int]:
    lines = [line for line in text.splitlines() if line.strip()]
    return {
        "words": len(text.split()),
        "lines": len(lines),
        "sentences": _sentences(text),
        "bullets": sum(bool(re.match(r"\s*(?:[-*•]|\d+[.)])\s+\S", line)) for line in lines),
        "paragraphs": len([p for p in re.split(r"\n\s*\n", text.strip()) if p.strip()]),
    }


def check_constraints(answer: str, params: Mapping[str, Any]) -> Outcome:
    """Form: counts of words, lines, sentences, bullets, paragraphs; case; commas; beginning and end (IFEval's kind)."""
    text = answer.strip()
    if not text:
        return Outcome(False, "empty answer")
    facts = _constraint_facts(text)
    for name, wanted in params.items():
        base, _, bound = name.rpartition("_")
        if bound in ("min", "max") and base in facts:
            fits = facts[base] >= wanted if bound == "min" else facts[base] <= wanted
            found: object = facts[base]
        elif name in facts:
            fits, found = facts[name] == wanted, facts[name]
        else:
            fits, found = _fits_form(text, name, wanted), "not so"
        if not fits:
            return Outcome(False, f"{name} {wanted}: {found}")
    return Outcome(True, "form holds")


def _fits_form(text: str, name: str, wanted: Any) -> bool:
    forms: dict[str, bool] = {
        "all_lowercase": text == text.lower(),
        "all_uppercase": text == text.upper() and text != text.lower(),
        "no_commas": "," not in text,
    }
    if name == "starts_with":
        return text.startswith(str(wanted))
    if name == "ends_with":
        return text.endswith(str(wanted))
    return forms[name] == bool(wanted)


def f1(answer: str, value: str) -> float:
    """Token F1 of two normalised texts (SQuAD)."""
    found, wanted = normalize(answer).split(), normalize(value).split()
    common = sum((Counter(found) & Counter(wanted)).values())
    if not common:
        return 0.0
    precision, recall = common / len(found), common / len(wanted)
    return 2 * precision * recall / (precision + recall)


def check_f1(answer: str, params: Mapping[str, Any]) -> Outcome:
    """Token F1 with `value` is at least `least` (default 0.5)."""
    score = f1(answer, str(params["value"]))
    return _outcome(score >= float(params.get("least") or 0.5), f"F1 {score:.2f}", f"F1 {score:.2f}")


def check_needle(answer: str, params: Mapping[str, Any]) -> Outcome:
    """The hidden fact is in the answer."""
    return _outcome(_holds(normalize(answer), str(params["value"])), "needle found", "needle not found")


def check_code(answer: str, params: Mapping[str, Any]) -> Outcome:
    """The answer's Python passes `tests` in a sandbox; without a sandbox it cannot run."""
    from scripts.lib.sandbox import run_tests

    blocks = [body for language, body in fenced_blocks(answer) if language in ("python", "py", "python3", "")]
    entry = params.get("entry_point")
    code = "\n\n".join(blocks) if blocks else answer
    if not code.strip():
        return Outcome(False, "no code")
    if entry and not re.search(rf"^\s*(?:async\s+)?(?:def|class)\s+{re.escape(str(entry))}\b", code, re.M):
        return Outcome(False, f"defines no {entry}")
    return Outcome(*run_tests(code, str(params["tests"]), float(params.get("timeout_s") or 10)))


CHECKS: dict[str, Callable[[str, Mapping[str, Any]], Outcome]] = {
    "number": check_number,
    "math": check_math,
    "exact": check_exact,
    "normalized": check_normalized,
    "multiple_choice": check_multiple_choice,
    "regex": check_regex,
    "contains": check_contains,
    "json_schema": check_json_schema,
    "tool_call": check_tool_call,
    "constraints": check_constraints,
    "f1": check_f1,
    "code": check_code,
    "needle": check_needle,
}


@dataclass(frozen=True, slots=True)
class CriterionScore:
    """One criterion's points from 0 to 1; None where it is unscored."""

    criterion: str
    weight: int
    points: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class QuestionScore:
    """An answer's score by deterministic checks, computed from its criteria."""

    criteria: tuple[CriterionScore, ...]
    note: str = ""

    @property
    def coverage(self) -> float:
        """Share of the criteria's weight that was scored, 0 to 1."""
        total = sum(c.weight for c in self.criteria)
        return sum(c.weight for c in self.criteria if c.points is not None) / total if total else 0.0

    @property
    def fraction(self) -> float | None:
        """Points over the scored weight; None where nothing is scored."""
        scored = [(c.weight, c.points) for c in self.criteria if c.points is not None]
        return sum(w * p for w, p in scored) / sum(w for w, _ in scored) if scored else None

    @property
    def score(self) -> int | None:
        """0-3 on the rubric; None where less than half of the weight could be scored."""
        if self.fraction is None or self.coverage < LEAST_COVERAGE:
            return None
        if self.fraction >= 0.9:
            return 3
        if self.fraction >= 0.6:
            return 2
        return 1 if self.fraction > 0 else 0

    @property
    def passed(self) -> bool | None:
        return None if self.score is None else self.score >= PASS_SCORE

    @property
    def reason(self) -> str:
        parts = [f"{c.reason} ({c.weight})" for c in self.criteria if c.points is not None]
        return "; ".join(([self.note] if self.note else []) + parts) or "no check scores this question"


def _run(check: Check, answer: str) -> Outcome:
    try:
        return CHECKS[check.type](answer, check.params)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        return Outcome(None, f"{check.type} check could not run: {error}")


def _score_criterion(criterion: Criterion, answer: str) -> CriterionScore:
    if not criterion.checks:
        return CriterionScore(criterion.criterion, criterion.weight, None, "no check")
    outcomes = [_run(check, answer) for check in criterion.checks]
    failed = next((outcome for outcome in outcomes if outcome.passed is False), None)
    if failed is not None:
        return CriterionScore(criterion.criterion, criterion.weight, 0.0, failed.reason)
    unable = next((outcome for outcome in outcomes if outcome.passed is None), None)
    if unable is not None:
        return CriterionScore(criterion.criterion, criterion.weight, None, unable.reason)
    return CriterionScore(criterion.criterion, criterion.weight, 1.0, outcomes[0].reason)


def score_answer(question: Question, answer: str, finish_reason: str) -> QuestionScore:
    """Score one answer: thinking and echo taken off first; a truncated answer is scored as far as it goes, and noted."""
    text = clean(answer, question.prompt_text())
    notes = [note for note, so in (("truncated", finish_reason in ("length", "timeout")), ("empty", not text)) if so]
    return QuestionScore(tuple(_score_criterion(c, text) for c in question.scoring), ", ".join(notes))
