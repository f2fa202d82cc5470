"""The divergence of distributions that are cut to the top tokens, against the whole one."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.lib.fidelity.distributions import (
    SAMPLES,
    TOP,
    Distributions,
    Divergence,
    NotFinite,
    compare,
    cut,
)

PLACES, VOCABULARY = 200, 2000


def made_logits(seed: int, vocabulary: int = VOCABULARY) -> np.ndarray:
    """Logits of a language model's kind: a few probable tokens, and a long tail."""
    rng = np.random.default_rng(seed)
    logits = rng.standard_normal((PLACES, vocabulary)) * 2
    sharp = rng.uniform(2, 12, (PLACES, 1))
    logits[:, :30] += sharp + rng.standard_normal((PLACES, min(30, vocabulary))) * 3
    return logits.astype(np.float32)


def moved(logits: np.ndarray, by: float, seed: int = 7) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(logits.shape) * by
    return (logits + noise).astype(np.float32)


def following(vocabulary: int = VOCABULARY) -> np.ndarray:
    return np.random.default_rng(3).integers(0, vocabulary, PLACES).astype(np.uint32)


def draws() -> np.ndarray:
    return np.random.default_rng(4).random((PLACES, SAMPLES))


def whole(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """The KL divergence over the whole vocabulary, in float64."""
    logs = []
    for logits in (p, q):
        x = logits.astype(float) - logits.max(1, keepdims=True)
        logs.append(x - np.log(np.exp(x).sum(1, keepdims=True)))
    a, b = logs
    return (np.exp(a) * (a - b)).sum(1)


def divergence(p: np.ndarray, q: np.ndarray) -> Divergence:
    after = following(p.shape[1])
    return compare(q, after, cut(p, after, draws()))


@pytest.mark.parametrize("vocabulary", [40, TOP, TOP + 1, VOCABULARY])
def test_a_model_compared_with_itself_has_a_divergence_of_exactly_0(vocabulary: int) -> None:
    found = divergence(*[made_logits(1, vocabulary)] * 2)
    assert (found.coarse == 0).all() and (found.missing == 0).all() and (found.kl == 0).all()
    assert found.same_first.all()


@pytest.mark.parametrize("by", [0.02, 0.3, 2.0])
def test_the_whole_divergence_lies_between_the_certain_part_and_the_bound(by: float) -> None:
    p = made_logits(1)
    q = moved(p, by)
    found, true = divergence(p, q), whole(p, q)
    # What rounding to the grid can do to one token.
    rounding = 8e-4 * (1 + by)
    assert (true >= found.coarse - rounding).all()
    assert (true <= found.coarse + found.bound + rounding).all()
    assert (np.abs(true - found.kl) <= found.bound + rounding).all()


@pytest.mark.parametrize("by", [0.1, 0.5])
def test_the_estimate_from_samples_of_the_tail_closes_the_gap_on_average(by: float) -> None:
    p = np.concatenate([made_logits(seed) for seed in range(5)])
    p[:, :30] -= 5  # a third of the mass is in the tail
    q = moved(p, by)
    after = np.zeros(len(p), np.uint32)
    reference = cut(p, after, np.random.default_rng(4).random((len(p), SAMPLES)))
    found, true = compare(q, after, reference), whole(p, q)
    assert found.coarse.mean() < 0.95 * true.mean(), "else there is nothing to estimate"
    error = (found.kl - true).std() / len(p) ** 0.5
    assert abs(found.kl.mean() - true.mean()) < 4 * error < 0.1 * true.mean()


def test_a_small_vocabulary_has_no_tail() -> None:
    p = made_logits(1, 50)
    q = moved(p, 0.3)
    found = divergence(p, q)
    assert (found.bound == 0).all() and (found.missing == 0).all()
    assert np.abs(found.kl - whole(p, q)).max() < 8e-4


def test_the_text_s_own_probability_and_the_first_choice_are_those_of_the_logits() -> None:
    p, after = made_logits(1), following()
    q = moved(p, 1.0)
    reference = cut(p, after, draws())
    found = compare(q, after, reference)
    for logits, logprob in ((p, reference.logprob), (q, found.logprob)):
        exact = logits.astype(float)
        exact -= np.log(np.exp(exact).sum(1, keepdims=True))
        assert np.abs(exact[np.arange(PLACES), after] - logprob).max() < 1e-5
    assert (found.same_first == (p.argmax(1) == q.argmax(1))).all()
    assert 0.1 < found.same_first.mean() < 0.99


def test_the_top_tokens_are_the_most_probable_ones() -> None:
    p = made_logits(1)
    reference = cut(p, following(), draws())
    for place in (0, 17, PLACES - 1):
        assert set(reference.tokens[place]) == set(np.argsort(p[place])[-TOP:])
        assert not set(reference.samples[place]) & set(reference.tokens[place])


def test_parts_compared_one_after_another_are_the_whole() -> None:
    p, after = made_logits(1), following()
    q, chosen = moved(p, 0.3), draws()
    at_once = compare(q, after, cut(p, after, chosen))
    halves = [slice(0, 77), slice(77, PLACES)]
    reference = Distributions.joined(cut(p[s], after[s], chosen[s]) for s in halves)
    parts = [compare(q[s], after[s], reference.part(s.start, s.stop)) for s in halves]
    assert (Divergence.joined(parts).kl == at_once.kl).all()


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_logits_that_are_no_numbers_are_refused(wrong: float) -> None:
    p, after = made_logits(1), following()
    reference = cut(p, after, draws())
    p[5, 1234] = wrong
    with pytest.raises(NotFinite, match="not finite"):
        cut(p, after, draws())
    with pytest.raises(NotFinite, match="not finite"):
        compare(p, after, reference)
