"""Politeness, emphasis and white space do not matter to a score; the value itself does."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.harness.answers_corpus import RIGHT, Labelled, answers, judge, questions
from scripts.lib.scoring.checks import CHECKS
from scripts.lib.scoring.checks.numbers import RELATIVE_TOLERANCE
from scripts.lib.scoring.score import examine

POLITE = (
    "I hope this helps!",
    "Let me know if you have any questions.",
    "Feel free to ask if anything is unclear.",
    "Thank you!",
    "Is there anything else I can help you with?",
    "If you need more details, just ask!",
    "Have a great day! 😊",
    "Happy to help!",
    "Please let me know if you'd like another example.",
    "*I hope that helps.*",
    "Would you like me to explain a step?",
    "You're welcome!",
    "If you have further questions, feel free to reach out.",
    "I'm happy to go through it again.",
    "Good luck!",
    "Hope this clarifies things.",
)
POLITE_OR_NOT = st.sampled_from((*POLITE, ""))
BLANKS = (" ", "\n", "\n\n\n", " \t\n", "\r\n")
# The checks that find the answer's place in the text. Checks of form rightly see every added word.
EXTRACTED = ("number", "multiple_choice", "normalized", "items", "contains", "needle", "math")
RIGHT_ANSWERS = [item for kind in EXTRACTED for item in answers(kind) if item.verdict == RIGHT]


def scored(item: Labelled, answer: str) -> str:
    """The verdict on an answer to an item's question."""
    return judge(examine(questions()[item.question], answer, "stop"))


def passing() -> list[Labelled]:
    """Nothing can follow an answer that ends on a tag or a brace: it may be cut off."""
    return [
        item
        for item in RIGHT_ANSWERS
        if scored(item, item.answer) == RIGHT and not item.answer.rstrip().endswith((">", "}"))
    ]


# Scored when a test draws one, and not when the tests are collected.
PASSING = st.deferred(lambda: st.sampled_from(passing()))


@settings(max_examples=400, deadline=None)
@given(PASSING, st.sampled_from(POLITE), st.sampled_from((" ", "\n", "\n\n")))
def test_a_polite_sentence_changes_nothing(item: Labelled, sentence: str, gap: str) -> None:
    answer = item.answer.rstrip()
    gap = gap if answer.endswith((".", "!", "?")) else "\n\n"
    assert scored(item, f"{answer}{gap}{sentence}") == RIGHT


@settings(max_examples=200, deadline=None)
@given(PASSING, st.lists(st.sampled_from(BLANKS), max_size=3).map("".join))
def test_white_space_at_the_end_changes_nothing(item: Labelled, blanks: str) -> None:
    assert scored(item, item.answer + blanks) == RIGHT


NUMBERS = st.one_of(
    st.integers(-(10**9), 10**9),
    st.decimals(-9999, 9999, places=2).map(Decimal.normalize),
    st.integers(-99, 99),
)
FORMS = (
    "{}",
    "The answer is {}.",
    "**{}**",
    r"\boxed{{{}}}",
    "So the result is {}.",
    "#### {}",
    "Final answer: {}",
    "x = {}",
    "Answer: **{}**",
    "12 - 3 = 9 and then some more steps.\n\nThe answer is {}.",
    r"Therefore, $x = {}$.",
    "<answer>{}</answer>",
    '{{"answer": {}}}',
    "First 17, then 25.\n\nTherefore the total is {}",
    "`{}`",
    "_{}_",
    "The final answer is **{}**",
    "### Answer\n\n{}",
    r"\(\boxed{{{}}}\)",
)
EMPHASIS = ("{}", "**{}**", "*{}*", "`{}`", "***{}***")


def plain(value: int | Decimal) -> str:
    """A number in digits, without an exponent."""
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


@settings(max_examples=600, deadline=None)
@given(NUMBERS, NUMBERS, st.sampled_from(FORMS), POLITE_OR_NOT)
def test_a_number_passes_in_every_form_and_no_other_does(
    value: int | Decimal,
    other: int | Decimal,
    form: str,
    polite: str,
) -> None:
    answer = f"{form.format(plain(value))}\n\n{polite}"
    assert CHECKS["number"](answer, {"value": str(value)}).passed is True, answer
    if abs(Fraction(other) - Fraction(value)) > RELATIVE_TOLERANCE * abs(Fraction(value)):
        assert CHECKS["number"](answer, {"value": str(other)}).passed is False, answer


CHOICE_FORMS = (
    "{}",
    "({})",
    "{}.",
    "The answer is {}.",
    "Answer: {}",
    "**{}**",
    r"\boxed{{{}}}",
    "`{}`",
    "The correct option is {}.",
    "{} is correct.",
    "So the answer must be ({}).",
    "Final answer: {}",
    "<answer>{}</answer>",
    "I would choose {}.",
    "Option {} is the right one.",
    "A is too small and E too large.\n\nThe answer is {}.",
    "**Answer: {}**",
    r"The answer is $\text{{{}}}$.",
)
LETTERS = st.sampled_from("ABCDE")


@settings(max_examples=300, deadline=None)
@given(LETTERS, LETTERS, st.sampled_from(CHOICE_FORMS), POLITE_OR_NOT)
def test_a_letter_passes_in_every_form_and_no_other_does(
    letter: str,
    other: str,
    form: str,
    polite: str,
) -> None:
    answer = f"{form.format(letter)}\n\n{polite}"
    assert CHECKS["multiple_choice"](answer, {"value": letter}).passed is True, answer
    if other != letter:
        assert CHECKS["multiple_choice"](answer, {"value": other}).passed is False, answer


TEXT_FORMS = (
    "{}",
    "The answer is {}.",
    "Answer: {}",
    "**{}**",
    r"\boxed{{\text{{{}}}}}",
    "Final answer: **{}**",
    "Some thoughts first.\n\n{}",
)
WORDS = (
    "Paris",
    "The Hague",
    "New York",
    "delta-9",
    "U.S.",
    "C++",
    "15:30",
    "carbon dioxide",
    "1,000",
    "-5",
    "3.14",
    "São Paulo",
)


@pytest.mark.parametrize("emphasis", EMPHASIS)
@pytest.mark.parametrize("form", TEXT_FORMS)
def test_a_text_passes_in_every_form_and_no_other_does(form: str, emphasis: str) -> None:
    for word in WORDS:
        for polite in (*POLITE[:4], ""):
            answer = f"{form.format(emphasis.format(word))}\n\n{polite}"
            for wanted in WORDS:
                found = CHECKS["normalized"](answer, {"value": wanted}).passed
                assert found is (wanted == word), (answer, wanted)
