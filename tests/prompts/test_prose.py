"""The prose before questions at a depth: the same everywhere, and it repeats nothing."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from scripts.lib.prompts.contexts.prose import JOINT, prose, with_prose

# About 65,536 tokens.
LONG = prose(280_000)


def test_a_shorter_text_is_the_beginning_of_a_longer_one_and_ends_with_a_word() -> None:
    for characters in (1, 40, 16_383, 16_384, 16_385, 100_000):
        short = prose(characters)
        assert LONG.startswith(short) and characters - 20 < len(short) <= characters
        assert not short or not LONG[len(short)].isalnum()


def test_the_question_comes_last() -> None:
    assert with_prose(500, "Why?") == f"{prose(500)}{JOINT}Why?"


def test_it_is_the_same_text_on_every_machine() -> None:
    assert LONG.startswith(
        "What Walak restored by pleasant smoke was every feeble razor among the open market: "
    )


def test_no_sentence_comes_twice() -> None:
    sentences = Counter(re.split(r"(?<=[.\"])\s+", LONG))
    assert len(sentences) > 2000 and max(sentences.values()) == 1


@pytest.mark.parametrize(("words", "most"), [(4, 0.03), (6, 0.001), (8, 0.0)])
def test_phrases_hardly_ever_come_twice(words: int, most: float) -> None:
    """A speculator that looks for n-grams finds no continuation of what it has just seen."""
    found = LONG.split()
    phrases = Counter(tuple(found[at : at + words]) for at in range(len(found) - words + 1))
    repeated = sum(count - 1 for count in phrases.values()) / len(found)
    assert repeated <= most
