"""What must not matter does not, and what must matter does: politeness, emphasis and white space against the value itself."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.harness.answers_corpus import RIGHT, Labelled, answers, judge, questions
from scripts.lib.scoring.checks import CHECKS
from scripts.lib.scoring.score import examine

POLITE = (
    *(
        "I hope this helps!",
        "Let me know if you have any questions.",
        "Feel free to ask if anything is unclear.",
        "Thank you!",
    ),
    *(
        "Is there anything else I can help you with?",
        "If you need more details, just ask!",
        "Have a great day! 😊",
        "Happy to help!",
    ),
    *(
        "Please let me know if you'd like another example.",
        "*I hope that helps.*",
        "Would you like me to explain a step?",
        "You're welcome!",
    ),
    *(
        "If you have further questions, feel free to reach out.",
        "I'm happy to go through it again.",
        "Good luck!",
        "Hope this clarifies things.",
    ),
)
BLANKS = (" ", "\n", "\n\n\n", " \t\n", "\r\n")
# Where the place of the answer is found in the text: form checks rightly see every added word.
EXTRACTED = ("number", "multiple_choice", "normalized", "items", "contains", "needle", "math")
# An answer that a question's own words end on ("...") or that is cut off cannot be followed by anything.
RIGHT_ANSWERS = [item for kind in EXTRACTED for item in answers(kind) if item.verdict == RIGHT]


def scored(item: Labelled, answer: str) -> str:
    return judge(examine(questions()[item.question], answer, "stop"))


PASSING = [
    item
    for item in RIGHT_ANSWERS
    if scored(item, item.answer) == RIGHT and not item.answer.rstrip().endswith((">", "}"))
]


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(PASSING), st.sampled_from(POLITE), st.sampled_from((" ", "\n", "\n\n")))
def test_a_polite_sentence_changes_nothing(item: Labelled, sentence: str, gap: str) -> None:
    answer = item.answer.rstrip()
    gap = gap if answer.endswith((".", "!", "?")) else "\n\n"
    assert scored(item, f"{answer}{gap}{sentence}") == RIGHT


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(PASSING), st.lists(st.sampled_from(BLANKS), max_size=3).map("".join))
def test_white_space_at_the_end_changes_nothing(item: Labelled, blanks: str) -> None:
    assert scored(item, item.answer + blanks) == RIGHT


NUMBERS = st.one_of(
    st.integers(-(10**9), 10**9), st.decimals(-9999, 9999, places=2).map(lambda d: d.normalize()), st.integers(-99, 99)
)
FORMS = (
    *(
        "{}",
        "The answer is {}.",
        "**{}**",
        r"\boxed{{{}}}",
        "So the result is {}.",
        "#### {}",
        "Final answer: {}",
        "x = {}",
        "Answer: **{}**",
    ),
    *(
        "12 - 3 = 9 and then some more steps.\n\nThe answer is {}.",
        r"Therefore, $x = {}$.",
        "<answer>{}</answer>",
        '{{"answer": {}}}',
    ),
    *(
        "First 17, then 25.\n\nTherefore the total is {}",
        "`{}`",
        "_{}_",
        "The final answer is **{}**",
        "### Answer\n\n{}",
        r"\(\boxed{{{}}}\)",
    ),
)
EMPHASIS = ("{}", "**{}**", "*{}*", "`{}`", "***{}***")


def plain(value: object) -> str:
    return (
        format(Fraction(str(value)).limit_denominator(10**6), "")
        if isinstance(value, Fraction)
        else f"{value:f}"
        if hasattr(value, "normalize")
        else str(value)
    )


@settings(max_examples=600, deadline=None)
@given(NUMBERS, NUMBERS, st.sampled_from(FORMS), st.sampled_from((*POLITE, "")))
def test_a_number_passes_in_every_form_and_no_other_does(value: object, other: object, form: str, polite: str) -> None:
    answer = f"{form.format(plain(value))}\n\n{polite}"
    assert CHECKS["number"](answer, {"value": str(value)}).passed is True, answer
    if Fraction(str(value)) != Fraction(str(other)):
        assert CHECKS["number"](answer, {"value": str(other)}).passed is False, answer


CHOICE_FORMS = (
    *(
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
    ),
    *(
        "So the answer must be ({}).",
        "Final answer: {}",
        "<answer>{}</answer>",
        "I would choose {}.",
        "Option {} is the right one.",
    ),
    *("A is too small and E too large.\n\nThe answer is {}.", "**Answer: {}**", r"The answer is $\text{{{}}}$."),
)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from("ABCDE"), st.sampled_from("ABCDE"), st.sampled_from(CHOICE_FORMS), st.sampled_from((*POLITE, ""))
)
def test_a_letter_passes_in_every_form_and_no_other_does(letter: str, other: str, form: str, polite: str) -> None:
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
