"""Next-token distributions, cut to their most probable tokens, and the divergence from them.

A reference's distribution is kept as its `TOP` most probable tokens and the mass of all others (the
tail). Another model's distribution is compared on the same parts: those tokens, and the rest as
one. The KL divergence of two distributions that were coarsened in this way is never greater than
that of the whole ones (data-processing inequality). The divergence within the tail is what is
missing. It is told twice:

- `missing`: an estimate from `SAMPLES` tokens that were drawn from the reference's tail. With p_t
  and q_t the masses of the tail, and r = (q_s / q_t) / (p_s / p_t) of a drawn token, it is the mean
  of r - 1 - log r, times p_t. As r is 1 on average, its expectation is what is missing; it is never
  negative.
- `bound`: the most that can be missing, whatever the tail's distribution is. With p_m the least
  probability of the top and q_min the least of all of the other model, it is
  p_t (log(p_m / q_min) - log(p_t / q_t)): no token of the tail is more probable than p_m.

Probabilities are stored as their square roots on a grid of 1 / `GRID`: a rounding error then
matters equally everywhere. Where the other model's probability has the same place on the grid, it
counts as the same: so a model compared with itself has a divergence of exactly 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

TOP = 64
SAMPLES = 2
GRID = 8_191
# The least probability that is told from 0, so that logarithms are finite.
_LEAST = 2.0**-53

Floats = npt.NDArray[np.float64]
Logits = npt.NDArray[np.float32]


class NotFinite(Exception):
    """Logits that are infinite or not numbers: damaged weights, or an overflow."""


@dataclass(frozen=True, slots=True)
class Distributions:
    """The reference's distributions at n places of a text, each cut to k tokens.

    `tokens` (n, k): the most probable tokens, ascending by number. `roots` (n, k), `tail` (n,): the
    square roots of their probabilities and of the tail's mass on the grid. `first` (n,): the most
    probable token. `logprob` (n,): of the token that follows in the text. `samples`,
    `sample_logprob` (n, SAMPLES): tokens drawn from the tail. Logarithms are natural.
    """

    tokens: npt.NDArray[np.uint32]
    roots: npt.NDArray[np.uint16]
    tail: npt.NDArray[np.uint16]
    first: npt.NDArray[np.uint32]
    logprob: npt.NDArray[np.float32]
    samples: npt.NDArray[np.uint32]
    sample_logprob: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.tail)

    def part(self, start: int, end: int) -> Distributions:
        """The places from `start` to before `end`."""
        return Distributions(*(getattr(self, f.name)[start:end] for f in fields(self)))

    @staticmethod
    def joined(parts: Iterable[Distributions]) -> Distributions:
        """The places of several parts, one after another. At least one part."""
        found = list(parts)
        return Distributions(
            *(np.concatenate([getattr(part, f.name) for part in found]) for f in fields(found[0]))
        )


@dataclass(frozen=True, slots=True)
class Divergence:
    """How far another model's distributions are from the reference's, at n places of a text.

    `coarse` (n,): of the coarsened distributions, in nats, at least 0. `bound`, `missing` (n,): see
    the module; `missing` is from 0 to `bound`. `same_first` (n,): the most probable token is the
    same. `logprob` (n,): of the token that follows in the text.
    """

    coarse: Floats
    bound: Floats
    missing: Floats
    same_first: npt.NDArray[np.bool_]
    logprob: npt.NDArray[np.float32]

    @property
    def kl(self) -> Floats:
        """The estimate of the whole divergence, in nats, shape (n,)."""
        return self.coarse + self.missing

    @staticmethod
    def joined(parts: Iterable[Divergence]) -> Divergence:
        """The places of several parts, one after another. At least one part."""
        found = list(parts)
        return Divergence(
            *(np.concatenate([getattr(part, f.name) for part in found]) for f in fields(found[0]))
        )


class _Row:
    """One row of logits with its normaliser: log p(token) = logit - log_sum."""

    __slots__ = ("best", "exps", "least", "log_sum", "logits", "sum")

    def __init__(self, logits: Logits, buffer: Logits):
        self.logits = logits
        self.best = int(logits.argmax())
        top = logits[self.best]
        self.least = float(logits.min())
        # argmax finds a NaN, if there is one; infinity below would hide in the sum.
        if not (np.isfinite(top) and np.isfinite(self.least)):
            raise NotFinite(f"the model's logits are not finite numbers (best is {top})")
        np.subtract(logits, top, out=buffer)
        self.exps = np.exp(buffer, out=buffer)
        self.sum = float(self.exps.sum(dtype=np.float64))
        self.log_sum = float(top) + float(np.log(self.sum))

    def logprob(self, tokens: npt.NDArray[np.uint32]) -> Floats:
        return self.logits[tokens].astype(np.float64) - self.log_sum

    def without(self, tokens: npt.NDArray[np.uint32]) -> float:
        """The mass of all other tokens; theirs is 0 in `exps` from then on."""
        self.exps[tokens] = 0
        return float(self.exps.sum(dtype=np.float64)) / self.sum

    def logprob_of(self, token: int) -> np.float32:
        return np.float32(float(self.logits[token]) - self.log_sum)


def _on_grid(probabilities: Floats) -> npt.NDArray[np.uint16]:
    roots: Floats = np.rint(np.sqrt(probabilities) * GRID)
    return roots.astype(np.uint16)


def _off_grid(roots: npt.NDArray[np.uint16]) -> Floats:
    return np.square(roots.astype(np.float64) / GRID)


def cut(
    logits: Logits, following: npt.NDArray[np.uint32], draws: Floats, top: int = TOP
) -> Distributions:
    """The distributions of `logits` (n, vocabulary), cut to the `top` most probable tokens.

    `following` (n,): the token after each place. `draws` (n, SAMPLES): numbers from 0 to 1, which
    choose the tail's samples. Raises NotFinite.
    """
    n, vocabulary = logits.shape
    k = min(top, vocabulary)
    made = Distributions(
        np.empty((n, k), np.uint32), np.empty((n, k), np.uint16), np.empty(n, np.uint16),
        np.empty(n, np.uint32), np.empty(n, np.float32),
        np.zeros((n, draws.shape[1]), np.uint32), np.zeros((n, draws.shape[1]), np.float32),
    )  # fmt: skip
    buffer = np.empty(vocabulary, np.float32)
    for place in range(n):
        row = _Row(logits[place], buffer)
        best = np.argpartition(row.logits, vocabulary - k)[vocabulary - k :]
        chosen = np.sort(best).astype(np.uint32)
        probabilities = np.exp(row.logprob(chosen))
        made.tokens[place], made.roots[place] = chosen, _on_grid(probabilities)
        made.first[place] = row.best
        made.logprob[place] = row.logprob_of(int(following[place]))
        made.tail[place] = _on_grid(np.array([row.without(chosen)]))[0]
        below = np.cumsum(row.exps, dtype=np.float64)
        if below[-1] > 0:
            drawn = np.searchsorted(below, draws[place] * below[-1], side="right")
            drawn = np.minimum(drawn, vocabulary - 1).astype(np.uint32)
            made.samples[place] = drawn
            made.sample_logprob[place] = row.logprob(drawn)
    return made


def compare(
    logits: Logits, following: npt.NDArray[np.uint32], reference: Distributions
) -> Divergence:
    """The divergence of `logits` (n, vocabulary) from the reference at the same n places.

    `following` as for `cut`. Raises NotFinite.
    """
    n, vocabulary = logits.shape
    log_sum, tail, least = (np.empty((n, 1)) for _ in range(3))
    first, buffer = np.empty(n, np.uint32), np.empty(vocabulary, np.float32)
    for place in range(n):
        # Only what needs the whole vocabulary is done row by row, in memory that stays in a cache.
        row = _Row(logits[place], buffer)
        log_sum[place], least[place], first[place] = row.log_sum, row.least, row.best
        tail[place] = row.without(reference.tokens[place])

    def logprob(tokens: npt.NDArray[np.uint32]) -> Floats:
        found = np.take_along_axis(logits, tokens.astype(np.int64), 1)
        return found.astype(np.float64) - log_sum

    own = logprob(following[:, None])[:, 0].astype(np.float32)
    coarse, tail_ratio = _coarse(reference, logprob(reference.tokens), tail)
    sampled = logprob(reference.samples).astype(np.float32)
    missing, bound = _missing(reference, tail_ratio, sampled, least - log_sum)
    return Divergence(coarse, bound, missing, first == reference.first, own)


def _probabilities(reference: Distributions) -> Floats:
    """(n, k + 1): the probabilities of the top tokens, and the tail's mass; their sum is near 1."""
    return _off_grid(np.column_stack([reference.roots, reference.tail]))


def _coarse(reference: Distributions, top: Floats, tail: Floats) -> tuple[Floats, Floats]:
    """The divergence of the coarsened distributions, and log(p_t / q_t); shapes (n,).

    `top` (n, k): the other model's log probabilities of the reference's top tokens; `tail` (n, 1):
    its mass of all others.
    """
    p, tail = _probabilities(reference), np.maximum(tail, _LEAST)
    q, log_q = np.hstack([np.exp(top), tail]), np.hstack([top, np.log(tail)])
    same = _on_grid(np.minimum(q, 1.0)) == _on_grid(p)
    held = p > 0
    log_p = np.log(p, out=np.zeros_like(p), where=held)
    q, log_q = np.where(same, p, q), np.where(same & held, log_p, log_q)
    whole = p.sum(1, keepdims=True)
    ratio = (log_p - np.log(whole)) - (log_q - np.log(q.sum(1, keepdims=True)))
    coarse = np.where(held, p * ratio, 0.0).sum(1) / whole[:, 0]
    return np.maximum(coarse, 0.0), log_p[:, -1] - log_q[:, -1]


def _missing(
    reference: Distributions, tail_ratio: Floats, sampled: Logits, log_q_min: Floats
) -> tuple[Floats, Floats]:
    """The estimate of what is missing, and its bound; both are 0 without a tail; shapes (n,)."""
    p = _probabilities(reference)
    tail = p[:, -1] / p.sum(1)
    # Rounding may have made the least one of the top smaller than it was.
    least = np.square((reference.roots.min(1) + 1.0) / GRID)
    most = np.log(np.clip(np.minimum(least, tail), _LEAST, None)) - log_q_min[:, 0] - tail_ratio
    bound = np.maximum(tail * most, 0.0)
    drawn = (reference.sample_logprob - sampled).astype(np.float64) - tail_ratio[:, None]
    missing = tail * (np.expm1(-drawn) + drawn).mean(1)
    return np.where(tail > 0, np.clip(missing, 0.0, bound), 0.0), bound
