"""Prompt lookup drafts as llama.cpp's ngram-simple."""

from __future__ import annotations

import random

import pytest

from scripts.lib.engines.drafting import FirstOf, LookupDrafter, SpeculationCount
from scripts.lib.planning.cell_record import Count


def reference(history: list[int], n: int, most: int) -> list[int]:
    """llama.cpp's common_ngram_simple_draft. `tokens`: the history without the sampled token."""
    tokens, sampled = history[:-1], history[-1]
    length = len(tokens)
    if length <= n + most + 1:
        return []
    pattern = [*tokens[length - n + 1 :], sampled]
    match = 0
    for j in range(length - n - 1, 0, -1):
        if tokens[j : j + n] == pattern:
            match = j
            break
    if match == 0:
        return []
    copy = min(most, length - (match + n))
    return [] if copy < n else tokens[match + n : match + n + copy]


@pytest.mark.parametrize("seed", range(40))
def test_lookup_equals_llama_cpp(seed: int) -> None:
    rng = random.Random(seed)
    n, most = rng.choice([3, 4, 5]), rng.choice([4, 8, 16])
    history = [rng.randrange(4) for _ in range(rng.randrange(1, 40))]
    drafter = LookupDrafter(n, most)
    found = 0
    for _ in range(60):
        expected = reference(history, n, most)
        assert drafter.propose(history, 100) == expected
        found += bool(expected)
        history.append(rng.randrange(4))
    assert found or len(history) < n + most + 4 or n == 5


def test_n_is_fixed_and_position_zero_never_matches() -> None:
    assert LookupDrafter(3, 4).propose([1, 2, 3, *range(10, 30), 9, 2, 3], 99) == []
    drafter = LookupDrafter(3, 3)
    assert drafter.propose([1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3], 99) == []
    drafter.reset()
    assert drafter.propose([0, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3], 99) == [4, 5, 6]


def test_the_latest_match_wins_and_the_limit_cuts() -> None:
    history = [0, 1, 2, 3, 7, 7, 7, 0, 1, 2, 3, 8, 8, 8, 5, 1, 2, 3]
    assert LookupDrafter(3, 4).propose(history, 99) == [8, 8, 8, 5]
    assert LookupDrafter(3, 4).propose(history, 2) == [8, 8]


def test_a_new_answer_forgets_the_old_text() -> None:
    drafter = LookupDrafter(3, 4)
    first = [0, 1, 2, 3, 8, 8, 8, 5, 6, 6, 6, 1, 2, 3]
    assert drafter.propose(first, 9) == [8, 8, 8, 5]
    drafter.reset()
    assert drafter.propose([0, *range(20, 32), 1, 2, 3], 9) == []


def test_first_of_asks_in_order() -> None:
    history = [0, 1, 2, 3, 8, 8, 8, 5, 6, 6, 6, 1, 2, 3]
    silent, drafts = LookupDrafter(5, 4), LookupDrafter(3, 4)
    counts = SpeculationCount()
    asked = FirstOf({"silent": silent, "drafts": drafts})
    assert asked.propose(history, 9, counts) == [8, 8, 8, 5]
    assert counts.drafters == {"silent": Count(1), "drafts": Count(1, 1, 4)}
    assert FirstOf({}).propose(history, 9, counts) == []


def test_each_drafter_and_each_position_is_counted() -> None:
    count = SpeculationCount()
    for drafter, drafted, accepted in (("a", 0, 0), ("b", 4, 2), ("a", 3, 3)):
        count.asked(drafter, drafted)
        if drafted:
            count.verified(accepted)
    assert (count.drafted, count.accepted, count.verify_steps) == (7, 5, 2)
    assert count.drafters == {"a": Count(2, 1, 3, 3), "b": Count(1, 1, 4, 2)}
    assert count.by_position == [2, 2, 1]
