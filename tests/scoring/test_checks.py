"""Deterministic checks: golden tables of answers, and the arithmetic from criteria to a score."""

from __future__ import annotations

import time
from typing import Any

import pytest

from scripts.lib.prompts.check_types import CHECK_PARAMETERS, SANDBOXED
from scripts.lib.prompts.loader import Check, Criterion, Question
from scripts.lib.scoring import sandbox
from scripts.lib.scoring.answer.cleaning import clean
from scripts.lib.scoring.checks import CHECKS
from scripts.lib.scoring.score import score_answer

SCHEMA = {
    "type": "object",
    "required": ["a"],
    "properties": {"a": {"type": "integer"}},
    "additionalProperties": False,
}
GOLDEN: list[tuple[str, dict[str, Any], list[str], list[str]]] = [
    (
        "number",
        {"value": 1234},
        [
            "1234",
            "The answer is 1,234.",
            "12 + 1222 = 1234",
            r"\boxed{1234} is 1 answer of 7",
            "**1234** (see step 2)",
            "1.234e3",
        ],
        ["", "1235", "none", "v1234x", "12,34"],
    ),
    ("number", {"value": -3, "tolerance": 0.1}, ["-3.05", "−3"], ["3", "-3.2"]),
    ("math", {"value": r"\frac{1}{2}"}, ["$0.5$", r"The result is $\frac{2}{4}$."], ["$0.4$", ""]),
    ("exact", {"value": "yes"}, ["yes", " yes\n"], ["Yes", "yes.", ""]),
    (
        "normalized",
        {"value": "The Hague", "any_of": ["Den Haag"]},
        ["the hague.", "Thinking…\nDen Haag"],
        ["Hague city", "", "not The Hague"],
    ),
    (
        "multiple_choice",
        {"value": "B", "choices": {"A": "silver", "B": "gold"}},
        ["B", "(B)", "The answer is **B**.", "b) gold", r"\boxed{B}", "It must be gold."],
        ["A", "A or B", "", "The answer is A, not B", "silver and gold"],
    ),
    (
        "regex",
        {"required": "(?i)carl", "forbidden": "(?i)anna"},
        ["Carl", "it is carl"],
        ["Carl or Anna", "Bob", ""],
    ),
    (
        "contains",
        {"any": ["Paris"], "none": ["Lyon"]},
        ["paris!", "It's Paris."],
        ["Parisian", "Paris and Lyon", "", "is not it"],
    ),
    ("contains", {"all": ["red", "blue"]}, ["Red, then BLUE"], ["red", "redblue"]),
    (
        "json_schema",
        {"schema": SCHEMA},
        ['{"a": 1}', '```json\n{"a": 2}\n```', 'Sure: {"a": 3} as asked'],
        [
            '{"a": 1.5}',
            '{"a": NaN}',
            '{"a": 1, "a": 2}',
            '{"b": 1}',
            "",
            "a: 1",
            '{"a": 1, "b": 2}',
            "[" * 5000,
        ],
    ),
    (
        "tool_call",
        {"name": "get", "arguments": {"city": "Oslo", "days": 1}},
        [
            '{"name": "get", "arguments": {"city": "oslo", "days": 1}}',
            '[{"function": {"name": "get", "arguments": "{\\"city\\": \\"Oslo\\", \\"days\\": '
            '1}"}}]',
            '{"tool": "get", "parameters": {"city": " Oslo ", "days": 1}}',
        ],
        [
            '{"name": "set", "arguments": {"city": "Oslo", "days": 1}}',
            '{"name": "get", "arguments": {"city": "Oslo", "days": true}}',
            '{"name": "get", "arguments": {"city": "Oslo"}}',
            '{"name": "get", "arguments": {"city": "Oslo", "days": 1, "unit": "C"}}',
            '[{"name": "get", "arguments": {}}, {"name": "get", "arguments": {}}]',
            "get(Oslo)",
            "",
        ],
    ),
    (
        "constraints",
        {"words_min": 3, "words_max": 5, "all_lowercase": True, "no_commas": True},
        ["three small words", "one two three four five"],
        ["two words", "Three small words", "one, two three", "a b c d e f", ""],
    ),
    (
        "constraints",
        {"bullets": 2, "lines": 2},
        ["- a\n- b", "* a\n* b"],
        ["- a", "- a\n- b\n- c", "a\nb", "1. a\n2) b"],
    ),
    (
        "constraints",
        {"sentences_max": 2, "ends_with": "."},
        ["One. Two."],
        ["One. Two. Three.", "One"],
    ),
    (
        "f1",
        {"value": "the quick brown fox", "least": 0.6},
        ["quick brown fox", "A quick, brown fox!"],
        ["fox", "", "slow red dog"],
    ),
    (
        "em",
        {"value": "Den Haag", "any_of": ["The Hague"]},
        ["the hague", "Den Haag."],
        ["It is Den Haag", ""],
    ),
    (
        "items",
        {"value": ["red", "dark blue", "green"]},
        [
            "red, dark blue and green",
            "Reasoning…\nAnswer: green, red, dark blue",
            "[red; green; dark blue]",
        ],
        ["red, green", "red, green, dark blue, white", "red, red, green, dark blue", ""],
    ),
    (
        "items",
        {"value": ["a1", "b2"], "ordered": True},
        ["a1 -> b2", "a1, then b2", "a1 → b2"],
        ["b2, a1", "a1 b2"],
    ),
    (
        "gsm8k",
        {"value": "1234"},
        ["12 + 1222\n#### 1,234", "#### 1234"],
        ["1234", "#### 1234.0", "####1234", ""],
    ),
    (
        "mmlu",
        {"value": "B"},
        ["Answer: B", "**Answer:** B"],
        ["B", "The answer is B.", "Answer: A", ""],
    ),
    (
        "gpqa",
        {"value": "B"},
        ["Answer: B", "so\nanswer:$B$"],
        ["**Answer:** B", "Answer: b", "Answer: A\nAnswer: B", ""],
    ),
    (
        "math500",
        {"value": r"\frac{1}{2}"},
        [r"\boxed{1/2}", r"\boxed{2} \boxed{\frac12}"],
        ["1/2", r"\boxed{2/4}", ""],
    ),
    (
        "hotpot",
        {"value": "yes"},
        ["Yes.", "Both are.\nAnswer: yes"],
        ["yes, both", "Answer: no", ""],
    ),
    (
        "hotpot",
        {"value": "old red lamp", "least": 0.5},
        ["the red lamp", "Answer: lamp, red"],
        ["yes", "lamp of Orrel", ""],
    ),
    (
        "gaia",
        {"value": "3, Red"},
        ["FINAL ANSWER: 3; red", "**FINAL ANSWER:** 3,red"],
        ["3, red", "FINAL ANSWER: red, 3", ""],
    ),
    (
        "ifeval",
        {"instruction": "punctuation:no_comma", "kwargs": {}},
        ["No comma here."],
        ["Yes, one.", ""],
    ),
    ("needle", {"value": "delta-9"}, ["on Delta-9."], ["delta-90", "delta", ""]),
    (
        "plain_text",
        {
            "words_min": 2,
            "words_max": 3,
            "forbidden_words": ["store"],
            "ends_with": "Data",
            "first_lines": 2,
        },
        ["big data", "Stored BIG data!", "many\ndata\nthat nobody counts"],
        ["data", "store big data", "big date", "one two three data", ""],
    ),
    (
        "plain_text",
        {"forbidden_words": "a", "may_be_empty": True, "skip_lines": "log"},
        ["", "log: a", "b"],
        ["A", "- a."],
    ),
    (
        "extracted",
        {"value": "1234"},
        ["so\n#### 1,234\nbye", "is\n1234.", "Sum: 1,234"],
        ["1235", "1234 apples", ""],
    ),
    (
        "extracted",
        {"value": "Oslo", "any_of": "Christiania", "pattern": "city: (\\w+)", "normalize": False},
        ["City: Oslo, or city: Rome", "Oslo", "it was\nChristiania"],
        ["city: oslo", "City: Rome, not city: Oslo", 'It says "Oslo"', ""],
    ),
    ("substring", {"text": "Os"}, ["oslo", "cosmos"], ["o s", ""]),
    ("substring", {"text": "Os", "case_sensitive": True}, ["Oslo"], ["cosmos"]),
    (
        "word_overlap",
        {"value": "the quick brown fox", "least": 0.8},
        ["#### dog\n#### Quick fox!\nDone", "Well\nbrown quick quick quick"],
        ["brown fox jumps high", "", "#### quick fox\n#### dog"],
    ),
    (
        "code",
        {"block": "first", "tests": "assert f(2) == 4", "setup": "from typing import List"},
        [
            "```\nx\n```\n```python\ndef f(x: List) -> List:\n    return x * 2\n```\n```python\n"
            "f = 5\n```",
            "Well:\ndef f(x):\n    return 4",
        ],
        [
            "```python\nf = 5\n```\n```python\ndef f(x):\n    return 4\n```",
            "def f(x):\n    return 4\nThat is it.",
            "",
        ],
    ),
    (
        "code",
        {"entry_point": "f", "tests": "assert f(2) == 4"},
        [
            "```python\ndef f(x):\n    return x * 2\n```",
            "def f(x): return x ** 2",
            "```\ndef f(x):\n    return 4\n",
        ],
        [
            "```python\ndef g(x):\n    return 4\n```",
            "def f(x): return 5",
            "",
            "def f(x: return",
            "I cannot",
        ],
    ),
    (
        "code",
        {"cases": [{"stdin": "2", "stdout": "4"}]},
        ["```python\nprint(int(input()) * 2)\n```", "print(4)"],
        ["```python\nprint(5)\n```", "", "I cannot", "def f(x): return 4"],
    ),
    (
        "cruxeval",
        {"code": "def f(x):\n    return x * 2", "predict": "output", "input": "2", "output": "4"},
        ["[ANSWER]assert f(2) == 4[/ANSWER]", "Doubled:\n4", "[ANSWER]4[/ANSWER]"],
        [
            "[ANSWER]assert f(2) == 5[/ANSWER]",
            "[ANSWER]f(2)[/ANSWER]",
            "",
            "It is 4.",
            "-" * 50_000 + "1",
            "~" * 900 + "1",
        ],
    ),
]


def question(*criteria: Criterion, prompt: str = "What?") -> Question:
    return Question("s", "q", 1, "n", prompt, scoring=criteria)


@pytest.mark.parametrize(
    ("kind", "params", "accepted", "rejected"),
    GOLDEN,
    ids=[f"{g[0]}-{i}" for i, g in enumerate(GOLDEN)],
)
def test_golden(
    kind: str, params: dict[str, Any], accepted: list[str], rejected: list[str]
) -> None:
    for answer in accepted:
        assert CHECKS[kind](answer, params).passed is True, answer
    for answer in rejected:
        assert CHECKS[kind](answer, params).passed is False, answer


def test_every_check_type_is_there_and_has_a_golden_table() -> None:
    assert set(CHECKS) == set(CHECK_PARAMETERS) == {golden[0] for golden in GOLDEN}


def test_answers_are_cleaned() -> None:
    prompt = "Say it. " * 60
    assert clean("<think>it is 5</think> 7", prompt) == "7"
    assert clean("<think>never closed 5", prompt) == ""
    assert clean(f"{prompt}\nAnswer: 7", prompt) == "Answer: 7"
    assert clean(prompt.strip() + " 7", prompt) == "7"
    assert clean(prompt[:250], prompt) == ""
    assert clean("\x1b[31mred\x1b[0m", prompt) == "red"


def _criterion(weight: int, *, passes: bool | None) -> Criterion:
    listed = () if passes is None else (Check("exact", {"value": "ok" if passes else "other"}),)
    return Criterion(f"{weight} {passes}", weight, listed)


@pytest.mark.parametrize(
    ("weights", "score", "coverage"),
    [
        ([(100, True)], 3, 1.0),
        ([(60, True), (40, False)], 2, 1.0),
        ([(30, True), (70, False)], 1, 1.0),
        ([(100, False)], 0, 1.0),
        ([(50, True), (50, None)], 3, 0.5),
        ([(40, True), (60, None)], None, 0.4),
        ([(100, None)], None, 0.0),
    ],
)
def test_from_criteria_to_score(
    weights: list[tuple[int, bool | None]], score: int | None, coverage: float
) -> None:
    found = score_answer(question(*(_criterion(w, passes=p) for w, p in weights)), "ok", "stop")
    assert (found.score, found.coverage) == (score, pytest.approx(coverage))
    assert found.passed == (None if score is None else score >= 2)


def test_truncation_is_noted() -> None:
    asked = question(_criterion(100, passes=True))
    assert score_answer(asked, "ok", "length").reason.startswith("truncated; ")
    assert score_answer(asked, "ok", "stop").reason == "exact match (100)"


def test_a_check_that_cannot_run_is_unscored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "unavailable", lambda: "no sandbox: bubblewrap is not installed")
    asked = question(Criterion("runs", 100, (Check("code", {"tests": "assert True"}),)))
    found = score_answer(asked, "def f(): pass", "stop")
    assert (found.score, found.coverage, found.criteria[0].points) == (None, 0.0, None)
    assert "bubblewrap is not installed" in found.criteria[0].reason


def test_a_check_with_senseless_parameters_is_unscored() -> None:
    found = score_answer(
        question(Criterion("x", 100, (Check("number", {"value": "many"}),))), "5", "stop"
    )
    assert found.score is None and "could not run" in found.criteria[0].reason


HOSTILE = {
    "long": "7 " * 5_000_000,
    "ansi": "\x1b[" + "9;" * 100_000,
    "rtl": "\u202e" * 100_000 + "7",
    "brackets": "(" * 200_000,
    "word": "a" * 500_000 + "!",
    "json": "[{" * 100_000,
    "quotes": "\"'`*_" * 40_000,
    "equations": "= " * 100_000,
    "boxes": r"\boxed{" * 30_000,
    "stars": "*" * 200_000,
    "digits": "1" * 200_000,
    "commas": "1," * 100_000,
    "thoughts": "<think>a</think>" * 10_000,
    "open thoughts": "a <think>" * 20_000,
    "answers": "answer is " * 20_000,
    "hashes": "#### 5\n" * 20_000,
    "fences": "```\n" * 50_000,
    "letters": "A. B) (C) " * 20_000,
    "fractions": r"\frac{" * 30_000,
    "markers": "<|im_start|>" * 15_000,
    "calls": '{"name": "get", "arguments": ' * 7_000,
}


@pytest.mark.slow
@pytest.mark.parametrize("answer", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_answers_end_in_bounded_time(answer: str) -> None:
    start = time.process_time()
    text = clean(answer, "What?")
    assert time.process_time() - start < 2
    for kind, params, _, _ in GOLDEN:
        if kind not in SANDBOXED:
            # Mathematics is decided in another process.
            clock, most_s = (time.perf_counter, 60) if kind == "math" else (time.process_time, 10)
            began = clock()
            CHECKS[kind](text, params)
            assert clock() - began < most_s, kind
