"""Certificates: whether a speculative mode gives the same answers as its base, token by token.

Greedy answers of quantised models are not bit-identical between batch sizes: if the gap between the
two best tokens is at most `TIE_LOGITS`, either one may win. A divergence at such a place is a
numeric tie; at a larger gap it is a loss. A sampled answer is drawn with the same seed in both
modes, with one random number per token, so equal probabilities give equal answers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from scripts.lib.planning.cell_record import CLOSE_CALL_LOGITS, CellRecord

# Tokens with gaps of 0.01-0.2 were seen to change places between batch sizes. The limit is twice
# that. A divergence below it does not prove another distribution.
TIE_LOGITS = 0.4


class Exactness(StrEnum):
    """From best to worst; `unknown` if there is nothing to compare (no base answer).

    `differs`: a sampled answer is different. Whether by a tie or by a loss is not known: the gap of
    the two best tokens decides this only for a greedy answer.
    """

    EXACT = "exact"
    NUMERIC_TIE = "numeric tie"
    DIFFERS = "differs"
    LOSSY = "lossy"
    UNKNOWN = "unknown"


# The verdicts on an answer that differs from the base's, the worst one first.
DIVERGENT = (Exactness.LOSSY, Exactness.DIFFERS, Exactness.NUMERIC_TIE)


@dataclass(frozen=True, slots=True)
class Certificate:
    """The verdict, the first divergent token's index, and the base's gap there.

    `gap_logits` is None without a divergence, and for a gap of `CLOSE_CALL_LOGITS` or more, which
    is not stored.
    """

    verdict: Exactness
    token: int | None = None
    gap_logits: float | None = None

    def __str__(self) -> str:
        if self.token is None:
            return self.verdict.value
        if self.verdict is Exactness.DIFFERS:
            return f"{self.verdict.value} (token {self.token})"
        gap = (
            f"{self.gap_logits:.3f}" if self.gap_logits is not None else f">= {CLOSE_CALL_LOGITS:g}"
        )
        return f"{self.verdict.value} (token {self.token}, gap {gap})"


def first_divergence(base: tuple[int, ...], other: tuple[int, ...]) -> int | None:
    """The index of the first token that differs; None for equal answers.

    If one answer is a prefix of the other, it is the length of the shorter one.
    """
    for index, (left, right) in enumerate(zip(base, other, strict=False)):
        if left != right:
            return index
    return None if len(base) == len(other) else min(len(base), len(other))


def certify(base: CellRecord | None, other: CellRecord) -> Certificate:
    """Compare one answer with the base mode's answer to the same question."""
    if base is None or base.measurement is None or other.measurement is None:
        return Certificate(Exactness.UNKNOWN)
    if base.status != "ok" or other.status != "ok":
        return Certificate(Exactness.UNKNOWN)
    token = first_divergence(base.measurement.token_ids, other.measurement.token_ids)
    if token is None:
        return Certificate(Exactness.EXACT)
    if other.spec["sampling"]["temperature"] > 0:
        return Certificate(Exactness.DIFFERS, token)
    gap = dict(base.measurement.close_calls).get(token)
    tie = gap is not None and gap <= TIE_LOGITS
    return Certificate(Exactness.NUMERIC_TIE if tie else Exactness.LOSSY, token, gap)


def worst(verdicts: Iterable[str]) -> Exactness:
    """The verdict on a shard: that of its worst answer. `unknown` only if all are unknown."""
    found = set(verdicts)
    for verdict in (*DIVERGENT, Exactness.EXACT):
        if verdict in found:
            return verdict
    return Exactness.UNKNOWN
