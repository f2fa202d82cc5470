"""Answers that were scored wrong, kind by kind: each stays right.

The kinds are those of public bug reports of other harnesses.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from scripts.lib.prompts.types import Check, Criterion, Question
from scripts.lib.results.symptoms import is_garbage
from scripts.lib.scoring.answer.cleaning import clean
from scripts.lib.scoring.checks import CHECKS
from scripts.lib.scoring.score import examine

Row = tuple[str, Any, str, bool | None]


def number(value: float, answer: str, passed: bool | None = True) -> Row:
    return "number", {"value": value}, answer, passed


def choice(value: str, answer: str, passed: bool | None = True) -> Row:
    return (
        "multiple_choice",
        {"value": value, "choices": {"A": "silver", "B": "gold", "C": "copper"}},
        answer,
        passed,
    )


def normal(value: str, answer: str, passed: bool | None = True) -> Row:
    return "normalized", {"value": value}, answer, passed


def contains(phrase: str, answer: str, passed: bool | None = True) -> Row:
    return "contains", {"any": [phrase]}, answer, passed


SCHEMA = {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}


def valid_json(answer: str, passed: bool = True) -> Row:
    return "json_schema", {"schema": SCHEMA}, answer, passed


def no_call(answer: str, passed: bool) -> Row:
    return "tool_call", {"none": True}, answer, passed


def code(tests: str, answer: str, passed: bool) -> Row:
    return "code", {"tests": tests}, answer, passed


def math(value: str, answer: str, passed: bool | None = True) -> Row:
    return "math", {"value": value}, answer, passed


KINDS: dict[str, list[Row]] = {
    "signs and points are part of a number": [
        number(-5, "The answer is -5"),
        number(5, "The answer is -5", False),
        number(-5, "The answer is −5."),
        number(-5, "-5"),
        number(-5, "Final answer: **-5**"),
        number(0.5, "The answer is .5"),
        number(5, "The answer is .5", False),
        number(-0.5, "the result is -.5"),
        number(-5, "x = - 5"),
        number(5, "- 5"),
        number(-5, r"\boxed{-5}"),
        number(-1234, "#### -1,234"),
        number(-1234, "Her balance is now -€1,234."),
        ("items", {"value": ["-5", "3"]}, "-5, 3", True),
        ("items", {"value": ["5", "3"]}, "-5, 3", False),
        ("gsm8k", {"value": "-1,234"}, "#### -1,234", True),
        normal("-5", "The answer is -5."),
        normal("-5", "5", False),
    ],
    "part of a token is no number": [
        number(12.9, "It is 12.9mph"),
        number(12, "It is 12.9mph", False),
        number(74.8, "74.80euros"),
        number(74.8, "It costs 74,80 EUR now."),
        number(14, "14apples"),
        number(72, "= 72 cm^2"),
        number(72, "The area is 72 cm²."),
        number(72, r"$= 72\ \text{cm}^2$"),
        number(3.5, r"\tfrac{7}{2}"),
        number(3.5, "3 1/2"),
        number(3.5, "3½"),
        number(3.5, r"3\frac{1}{2} hours"),
        number(1_000_000, "10^6"),
        number(1_000_000, "The answer is 1 million."),
        number(1234, "v1234x", False),
        number(5, "2026-11-05", False),
    ],
    "a cue word does not beat the ending": [
        number(14, "As a result, he has 9 left. Then he buys 5 more, so he has 14"),
        number(14, "To answer this, start with 12 apples. 12 - 3 = 9. 9 + 5 = 14"),
        number(14, "Answer to question 1: first 12 - 3 = 9, then 9 + 5 = 14"),
        number(12, "To answer this, start with 12 apples. 12 - 3 = 9. 9 + 5 = 14", False),
        number(14, "So Tom has 14 apples left after eating 3."),
        number(14, "The answer is 14, not 12."),
        number(14, "If the answer were 12, he would have eaten none. So he has 14."),
    ],
    "contradiction, correction, hedge": [
        number(14, "The answer is 9.\n\nThe answer is 14.", None),
        number(14, "The answer is 9. Wait, that is wrong. The answer is 14."),
        number(9, "The answer is 9. Wait, that is wrong. The answer is 14.", False),
        number(14, "The answer is 14 or 15.", False),
        number(8, "The answer is 9.\n\nThe answer is 14.", False),
        choice("B", "The answer is A.\n\nThe answer is B.", None),
        choice("B", "The answer is A. No, that is wrong: the answer is B."),
        choice("B", "The answer is A or B.", False),
    ],
    "a mention is no statement": [
        choice("B", "The answer is B. Option A is incorrect since it tarnishes."),
        choice("A", "The answer is B. Option A is incorrect since it tarnishes.", False),
        choice("B", "A is wrong. C is wrong as well. So the answer is B."),
        choice("B", "Option A would be silver, option C copper. Therefore, B."),
        choice("A", "The answer is a tricky one.", False),
        choice("B", "A) silver\nB) gold\nC) copper", False),
    ],
    "a wrapped letter is a choice": [
        choice("B", answer)
        for answer in (
            *(
                "`B`",
                '"B"',
                "'B'",
                "“B”",
                "$B$",
                "[B]",
                r"\mathrm{B}",
                r"$\mathrm{B}$",
                r"\boxed{\text{B}}",
            ),
            *(
                "**B**",
                "<answer>B</answer>",
                '{"answer":"B"}',
                "B is correct.",
                "(b)",
                "b)",
                "Answer: (B)",
            ),
            *("The answer is **(B) gold**.", "Answer:\n\nB", "The correct option is `B`."),
            *(r"The answer is \(B\).", "I would choose B.", "```\nB\n```"),
        )
    ],
    "articles and punctuation do not normalise to nothing": [
        normal("A", "", False),
        normal("A", "the", False),
        normal("A", "!!!", False),
        normal("A", "A"),
        normal("The Hague", "Hague."),
        ("constraints", {"forbidden_words": ["the"]}, "In the end it works", False),
        ("constraints", {"forbidden_words": ["the"]}, "In theory it works", True),
        normal("1,000", "1000"),
        normal("U.S.", "US"),
        normal("U.S.", "The answer is U.S."),
        normal("3.14", "3 14", False),
        normal("C++", "C", False),
        ("em", {"value": "The U.S."}, "us", True),
        ("em", {"value": "a"}, "", False),
        ("f1", {"value": "the"}, "the", False),
    ],
    "a denial ends with its sentence": [
        contains("Paris", "Is it Lyon? No, it is not. Paris it is."),
        contains("Paris", "It is not Paris.", False),
        contains("Paris", "It isn't Paris but Lyon.", False),
        contains("Paris", "It is either Paris or Lyon.", False),
        contains("Paris", "The capital is not Lyon; it is Paris."),
    ],
    "fences as CommonMark has them": [
        code(
            "assert f() == 1",
            "1. Like this:\n\n   ```python\n   def f():\n       return 1\n   ```\n",
            True,
        ),
        code("assert f() == 1", "````\n```python\ndef f():\n    return 1\n```\n````", True),
        code("assert f() == 1", "~~~python\ndef f():\n    return 1\n~~~", True),
        code("assert f() == 1", "```python\ndef f():\n    return 1", True),
        code("assert f() == 1", "```python\ndef f():\n    return 2\n```", False),
    ],
    "JSON among prose": [
        valid_json('As [the docs](x) say: {"a": 1}'),
        valid_json('{"a": 1}\n\nSee [the docs](x) and item[3].'),
        valid_json('Use {foo} as in item[3]: {"a": 1} and [1].'),
        valid_json('{"a": 1,}', False),
        valid_json("{'a': 1}", False),
        valid_json('{"a": 1', False),
        valid_json('```json\n{"a": 1}\n```\nExample input:\n```json\n{"text": "x"}\n```'),
        valid_json('Input: {"text": "a much longer text"} Output: {"a": 1}'),
        valid_json('The format is {"a": ...}. So:\n{"a": 1}'),
        valid_json('{"a": 1} in the format {"a": ...}', False),
        valid_json('{"b": {"a": 1},}', False),
        valid_json('```json\n{"b": {"a": 1}}\n```', False),
        valid_json('{"a": 1}\nWait, correction: {"b": 1}', False),
        valid_json('{"a": NaN}', False),
        valid_json('So: {"a": 2, "a": 1}', False),
        (
            "tool_call",
            {"name": "get", "arguments": {"city": "Oslo"}},
            'See [the docs](x), item[3]: {"name": "get", "arguments": {"city": "Oslo"}}',
            True,
        ),
    ],
    "a broken call is an attempt, data is no call": [
        no_call('{"name": "get", "arguments": {"city": "Os', False),
        no_call('{"name": "get", "arguments": {"city": "Oslo",}}', False),
        no_call("{'name': 'get', 'arguments': {'city': 'Oslo'}}", False),
        no_call(
            "<tool_call><function=get><parameter=city>Oslo</parameter></function></tool_call>",
            False,
        ),
        no_call('<invoke name="get"><parameter name="city">Oslo</parameter></invoke>', False),
        no_call('{"name": "get_weather"', False),
        no_call('{"name": "get_weather", "argume', False),
        no_call('{"name": "Bob", "ag', True),
        no_call("{name: get_weather, arguments: {city: Oslo}}", False),
        no_call('get_weather(city="Oslo")', False),
        no_call('```python\nget_weather(city="Oslo")\n```', False),
        no_call('```tool_code\nprint(get_weather(city="Oslo"))\n```', False),
        no_call('The function get_weather(city="Oslo") would tell, but I have none.', True),
        no_call("get(Oslo)", True),
        no_call("Action: get_weather\nAction Input: Oslo", False),
        no_call('{"action": "get_weather", "action_input": {"city": "Oslo"}}', False),
        no_call('{"action": "Final Answer", "action_input": "Oslo"}', True),
        no_call('name: get_weather\narguments: {"city": "Oslo"}', False),
        no_call("name: Bob\nage: 5", True),
        no_call("<|tool_call_begin|>functions.get_weather:0", False),
        no_call("<｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather", False),
        no_call("<|tool▁calls▁begin|>", False),
        no_call("{“name”: “get_weather”, “arguments”: {“city”: “Oslo”}}", False),
        no_call('{"tool_calls": []}', True),
        *(
            ("tool_call", {"name": "get_weather", "arguments": {"city": "Oslo"}}, answer, True)
            for answer in (
                '<｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```json\n{"city":"Oslo"}\n'
                "```<｜tool▁call▁end｜>",
                '<｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city":"Oslo"}<｜tool▁call▁end｜>',
                "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Oslo</arg_value>\n"
                "</tool_call>",
                '<function=get_weather>{"city": "Oslo"}</function>',
                '{"tool": "get_weather", "tool_input": {"city": "Oslo"}}',
                '{"recipient_name": "functions.get_weather", "parameters": {"city": "Oslo"}}',
                '{"action": "get_weather", "action_input": {"city": "Oslo"}}',
            )
        ),
        no_call('{"name":"Bob"}', True),
        no_call('{"name": "Bob", "age": 5}', True),
        no_call("No tool can do that.", True),
        no_call("", False),
    ],
    "mathematics is exact": [
        math("1/2^{98}", r"\boxed{1/2^{99}}", False),
        math("1/2^{99}", r"\boxed{1/2^{99}}"),
        math("e - 2", r"\boxed{\mathrm{e}-2}"),
        math("e - 2", r"\boxed{e - 2 \approx 0.718}"),
        math("e - 2", r"\boxed{0.71828}", False),
        math(r"\frac{1}{2}", "0.5"),
        math(r"\frac{1}{3}", "0.333", False),
    ],
    "values of the sandbox compare as Python compares them": [
        code(
            "assert f() == 0.5",
            "from fractions import Fraction\ndef f(): return Fraction(1, 2)",
            True,
        ),
        code("assert f() == 2", "from decimal import Decimal\ndef f(): return Decimal('2')", True),
        code(
            "assert f() == 0.5",
            "from fractions import Fraction\ndef f(): return Fraction(1, 3)",
            False,
        ),
        code("assert f() is True", "def f(): return 1", False),
        code("assert f() is True", "def f(): return True", True),
        code("assert f() is None", "def f(): pass", True),
        code("assert f() == 1", "def f(): return True", True),
    ],
    "operands, factors, bounds and denials are no answers": [
        number(7, "6 × 7", False),
        number(5, "The answer is not 5.", False),
        number(5, "It is more than 5.", False),
        normal("x > 5", "x < 5", False),
        normal("-x", "x", False),
        ("tool_call", {"name": "f", "arguments": {}}, '{"name": ["f"]}', False),
        normal("-$5", "$-5"),
        normal("1/2", "1 2", False),
        normal("10-20", "10 20", False),
        normal("25%", "25", False),
        contains("Paris", "I don't think it is Paris.", False),
        contains("Paris", "No, Paris."),
        contains("Paris", "There is no doubt that it is Paris."),
        math("5", ".5", False),
        math("2", r"\text{ln}(2)", False),
        math("2", r"$x \neq 2$", False),
        math("2", "sinh(2)", False),
        math("e - 2", r"\(e - 2\)"),
        math("(1, 2)", "(1, 2)"),
        math(r"\frac{1}{2}", r"$\frac12$ or $\frac13$", False),
    ],
    "a short answer chooses, a denied letter does not": [
        choice("B", "B"),
        choice("B", "(B)"),
        choice("B", "B, not A"),
        choice("A", "Not A. B.", False),
        choice("A", "It is not A.", False),
    ],
}
ROWS = [(kind, *row) for kind, rows in KINDS.items() for row in rows]


@pytest.mark.parametrize(
    ("kind", "check", "params", "answer", "passed"),
    ROWS,
    ids=[f"{i}-{row[1]}" for i, row in enumerate(ROWS)],
)
def test_it_is_scored_as_a_reader_would(
    kind: str, check: str, params: Any, answer: str, passed: bool | None
) -> None:
    found = CHECKS[check](answer, params)
    assert found.passed is passed, f"{kind}: {found.reason}"


PROBLEM = (
    "A shop sells pencils at 3 for one euro and pens at two euros each. Anna buys twelve pencils "
    "and five "
    "pens, and her brother Ben buys nine pencils and no pen at all. They pay together with a "
    "note of fifty "
    "euros. How much money do they get back?"
)


@pytest.mark.parametrize(
    ("raw", "proper"),
    [
        ("<think>x</think>Paris</think>", "Paris"),
        (
            "<think>x</think>Paris. The tag `</think>` ends a thought.",
            "Paris. The tag `</think>` ends a thought.",
        ),
        ("<reason>Lyon?</reason>Paris", "Paris"),
        (
            "<|begin_of_thought|>Lyon<|end_of_thought|><|begin_of_solution|>Paris<|end_of_solution|>",
            "Paris",
        ),
        ("<|START_THINKING|>Lyon<|END_THINKING|><|START_RESPONSE|>Paris<|END_RESPONSE|>", "Paris"),
        (
            "<|channel|>analysis<|message|>Lyon?<|end|><|start|>assistant<|channel|>final<|message|>Paris<|return|>",
            "Paris",
        ),
        ("Lyon? No.\n</think>\n\nParis", "Paris"),
        ("<think>İİİİİİ</think>Paris", "Paris"),
        ("İstanbul? <think>İİİ</think>Paris", "İstanbul?\nParis"),
        ('{"tag": "<think>", "end": "</think>"}', '{"tag": "<think>", "end": "</think>"}'),
        ("<think>never closed, Paris", ""),
        ("<THINK>Lyon</THINK>Paris", "Paris"),
        (
            "text = '<user>'\nif x: print('<start>', '<end>')",
            "text = '<user>'\nif x: print('<start>', '<end>')",
        ),
        (
            "Paris<|im_end|>\n<|im_start|>user\nAnd Italy?<|im_end|>\n<|im_start|>assistant\nRome",
            "Paris",
        ),
        ("Paris<end_of_turn>\n<start_of_turn>user\nAnd Italy?", "Paris"),
        ("<|im_start|>assistant\nParis<|im_end|>", "Paris"),
        ("`<|im_end|>` ends a turn.", "`<|im_end|>` ends a turn."),
        (PROBLEM.rsplit(". ", 1)[0] + ". They get back 33 euros.", "They get back 33 euros."),
        (PROBLEM + " 33", "33"),
        (PROBLEM[:250], ""),
        ("<think>9</thinking>14", "14"),
        ("<thinking>9</think>14", "14"),
        ("<think>a <think> b</think> the answer is 9 </think>14", "14"),
        ("<think>\n<think>9</think>14", "14"),
        ("<|think|>9<|/think|>14", "14"),
        ("<inner_thoughts>9</inner_thoughts>14", "14"),
        ("The answer is 14.\n</think>", ""),
        *(
            (text, text)
            for text in (
                'Here: {"name":"see </think>","age":3}',
                'import re\ntext = re.sub(r"<think>.*?</think>", "", text)',
                "# strip </think> tags\ntext = text.strip()",
                's = "x<|im_end|>y"',
                '["a</s>b", "[INST] x"]',
                "Here is a dialogue:\n\nUser: Hi\nAssistant: Hello",
                "system\nuser\nassistant",
            )
        ),
        ("Paris<eos><pad><pad>", "Paris"),
        ("Paris[EOS]", "Paris"),
        ("<s> Paris </s>", "Paris"),
        ("Paris.\n\nHuman: And Italy?\n\nAssistant: Rome.", "Paris."),
        ("Paris\nuser\nAnd Italy?\nassistant\nRome", "Paris"),
        (f"Question: {PROBLEM}\nAnswer: 33", "Answer: 33"),
        (f"> {PROBLEM}\n\n33", "33"),
        (f"**{PROBLEM}**\n\n33", "33"),
    ],
)
def test_what_is_the_answer_proper(raw: str, proper: str) -> None:
    assert clean(raw, PROBLEM) == proper


def test_the_right_function_alone_passes_where_the_question_gives_its_helpers() -> None:
    setup = (
        "from typing import List\n\ndef helper(x):\n    return x + 1\n\n"
        'def f(x: List[int]) -> int:\n    """Sum."""\n'
    )
    check = Check("code", {"entry_point": "f", "setup": setup, "tests": "assert f([1, 2]) == 4"})
    question = Question(
        "s", "q", 1, "n", "Complete it.", scoring=(Criterion("passes", 100, (check,)),)
    )
    for answer, passes in (
        ("```python\ndef f(x: List[int]) -> int:\n    return helper(sum(x))\n```", True),
        ("    return helper(sum(x))", True),
        ("    return helper(sum(x))\n\nprint(f([1]))\n```", True),
        ("    return sum(x)", False),
        ("It cannot be done.", False),
    ):
        assert examine(question, answer, "stop").score.passed is passes, answer


@pytest.mark.parametrize(
    ("answer", "broken"),
    [
        ("fine \U0001fae8 \U0001fadf \U0001faea", False),
        ("naïve caf\ufffd", False),
        ("caf\ufffd \x00\x07" * 3, True),
        ("\ufdd0" * 5, True),
        ("naïve caf\ufffd\ufffd\ufffd \n", False),
        ("\ufffd" * 50, True),
        ("\ufffd", True),
    ],
)
def test_broken_text(answer: str, broken: bool) -> None:
    assert is_garbage(answer) is broken


def test_of_several_mistakes_in_json_the_first_is_named() -> None:
    names = [f"key_{number:02}" for number in range(20)]
    schema = {
        "type": "object",
        "properties": {name: {"type": "boolean"} for name in reversed(names)},
    }
    found = CHECKS["json_schema"](
        json.dumps({name: name for name in reversed(names)}), {"schema": schema}
    )
    assert found.passed is False and found.reason == "JSON: 'key_00' is not of type 'boolean'"
