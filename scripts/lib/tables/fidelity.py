"""Fidelity of the setups: how far each configuration's distributions are from its reference's.

The unit is the question, as everywhere: a question's value is the mean over the tokens of its
block. Configurations with the same reference are compared on the questions that both have.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from itertools import combinations
from pathlib import Path

import numpy as np

from scripts.lib.base.errors import Problem
from scripts.lib.base.estimates import (
    Clustered,
    Comparison,
    Estimate,
    NonInferiority,
    holm,
    mean,
    median,
    paired_ratio,
)
from scripts.lib.base.stored_json import Damaged
from scripts.lib.fidelity.plan import Configuration, FidelityPlan, Kind
from scripts.lib.fidelity.record import Measured, read_fidelity
from scripts.lib.planning.modes import Mode
from scripts.lib.registry_loader import Model
from scripts.lib.tables.ranking import MARGIN, Reduction
from scripts.lib.tables.setups import Setup

# The most that a configuration may diverge to count as its reference's equal, in nats per token. By
# Pinsker's inequality the probability of any event of the next token then differs by at most
# sqrt(KL / 2) = MARGIN on average: 5 points, as for the pass rate.
KL_BOUND = 2 * MARGIN**2
UPPER, FAR_UPPER = 0.95, 0.99


class KlVerdict(StrEnum):
    """Whether a divergence is shown to be below or above `KL_BOUND`."""

    WITHIN = "within the bound"
    BEYOND = "beyond the bound"
    NOT_SHOWN = "not shown"


Value = Callable[[Measured], float]


@dataclass(frozen=True)
class Fidelity:
    """A configuration compared with its reference.

    A reference that is compared with nothing has a row, too, without figures; its `reference` is
    empty. `found`: question -> what was measured. `failed`: question -> the error. `setup`: the
    same configuration's answers (None: none are reviewed). `reduction`: its comparison with all
    experts by tasks, if it has fewer.
    """

    hardware: str
    engine: str
    model: Model
    mode: Mode
    reference: str
    reference_mode: str
    weights_bytes: int
    planned: int
    found: Mapping[Hashable, Measured]
    failed: Mapping[str, str]
    setup: Setup | None = None
    reduction: Reduction | None = None

    @property
    def name(self) -> str:
        """`model/mode`."""
        return f"{self.model.key}/{self.mode.name}"

    @property
    def reference_name(self) -> str:
        """`model/mode` of the reference; empty if it is only a reference itself."""
        return f"{self.reference}/{self.reference_mode}" if self.reference else ""

    def _by_question(self, value: Value) -> Clustered:
        return {question: [value(one)] for question, one in self.found.items()}

    @property
    def tokens(self) -> int:
        """The tokens whose predictions were compared."""
        return sum(len(one.kl) for one in self.found.values())

    @cached_property
    def kl_by_question(self) -> Clustered:
        """The mean divergence of each question's block."""
        return self._by_question(lambda one: float(np.mean(one.kl)))

    @cached_property
    def kl(self) -> Estimate | None:
        """The mean divergence in nats per token."""
        return _within(mean(self.kl_by_question))

    @cached_property
    def kl_of_answers(self) -> Estimate | None:
        """The same over the reference answers' tokens alone."""
        parts = {q: _answer(one) for q, one in self.found.items()}
        return _within(mean({q: [float(np.mean(part))] for q, part in parts.items() if part}))

    @cached_property
    def kl_upper(self) -> Estimate | None:
        """The median over questions of the block's 95 % quantile."""
        return median(self._by_question(lambda one: float(np.quantile(one.kl, UPPER))))

    @cached_property
    def kl_far_upper(self) -> float | None:
        """The 99 % quantile over all tokens."""
        every = [value for one in self.found.values() for value in one.kl]
        return float(np.quantile(every, FAR_UPPER)) if every else None

    @cached_property
    def same_first(self) -> Estimate | None:
        """The share of tokens at which both have the same first choice."""
        found = mean(self._by_question(lambda one: float(np.mean(one.same_first))))
        return _within(found, most=1.0)

    @cached_property
    def log_perplexity_ratio(self) -> Estimate | None:
        """The mean loss of log probability of the text's tokens, against the reference."""
        return mean(self._by_question(lambda one: one.reference_logprob - one.logprob))

    @cached_property
    def perplexity_ratio(self) -> Estimate | None:
        """The text's perplexity over that with the reference (geometric mean over questions)."""
        found = self.log_perplexity_ratio
        if found is None:
            return None
        low, high = (None if end is None else float(np.exp(end)) for end in (found.low, found.high))
        return replace(found, value=float(np.exp(found.value)), low=low, high=high)

    def _mean(self, value: Value) -> float | None:
        every = [value(one) for one in self.found.values()]
        return float(np.mean(every)) if every else None

    @property
    def coarse(self) -> float | None:
        """The part of `kl` that is certain: of the distributions cut to the top tokens."""
        return self._mean(lambda one: one.coarse)

    @property
    def missing(self) -> float | None:
        """The part of `kl` that is estimated from samples of the tail."""
        return self._mean(lambda one: one.missing)

    @property
    def bound(self) -> float | None:
        """The most that could be missing beside `coarse`."""
        return self._mean(lambda one: one.bound)

    @property
    def verdict(self) -> KlVerdict:
        """Whether the whole interval is within `KL_BOUND`, or beyond it."""
        if self.kl is None or self.kl.low is None or self.kl.high is None:
            return KlVerdict.NOT_SHOWN
        if self.kl.high <= KL_BOUND:
            return KlVerdict.WITHIN
        return KlVerdict.BEYOND if self.kl.low > KL_BOUND else KlVerdict.NOT_SHOWN

    @property
    def together(self) -> str:
        """The verdict on fewer experts by tasks and by divergence; empty for any other change."""
        if self.reduction is None:
            return ""
        return both_verdicts(self.reduction.verdict, self.verdict)


def both_verdicts(tasks: NonInferiority, by_kl: KlVerdict) -> str:
    """Non-inferior by one of both is enough. Where they contradict, both are named."""
    is_shown, is_within = tasks is NonInferiority.SHOWN, by_kl is KlVerdict.WITHIN
    contradicted = is_shown and by_kl is KlVerdict.BEYOND
    if contradicted or (tasks is NonInferiority.INFERIOR and is_within):
        return f"they disagree: {tasks.value} by tasks, {by_kl.value} by KL"
    ways = [name for name, holds in (("tasks", is_shown), ("KL", is_within)) if holds]
    return f"non-inferior by {' and '.join(ways)}" if ways else tasks.value


def _within(found: Estimate | None, most: float = np.inf) -> Estimate | None:
    """The estimate with its interval cut to what is possible: from 0 to `most`."""
    if found is None or found.low is None or found.high is None:
        return found
    return replace(found, low=max(found.low, 0.0), high=min(found.high, most))


def _answer(one: Measured) -> tuple[float, ...]:
    return one.kl[one.answer_at :]


@dataclass(frozen=True, slots=True)
class FidelityPair:
    """Two configurations with the same reference, compared on shared questions.

    `ratio`: the divergence of `new` over that of `old`: above 1, `new` is the worse one. Its
    p-value is adjusted over the pairs of a reference.
    """

    new: Fidelity
    old: Fidelity
    ratio: Comparison


def read_fidelities(
    plan: FidelityPlan,
    engine: str,
    setups: Sequence[Setup],
    reductions: Iterable[Reduction],
    damaged: list[Problem],
) -> tuple[Fidelity, ...]:
    """The stored comparisons of a profile, in plan order. Damaged records go to `damaged`."""
    by_name = {c.name: c for c in setups}
    reduced = {r.row.name: r for r in reductions}
    found = [_read(one, engine, damaged) for one in plan.configurations]
    used = {one.reference_name for one in found if one.found or one.failed}
    return tuple(
        replace(one, setup=by_name.get(one.name), reduction=reduced.get(one.name))
        for one in found
        if one.found or one.failed or one.name in used
    )


def _read(one: Configuration, engine: str, damaged: list[Problem]) -> Fidelity:
    measured, failed = dict[Hashable, Measured](), dict[str, str]()
    cells = one.of_kind(Kind.COMPARISON)
    for cell in cells:
        try:
            record = read_fidelity(Path(cell.file))
        except FileNotFoundError:
            continue
        except Damaged as damage:
            damaged.append(damage.problem)
            continue
        name = cell.block.question.name_in_full
        if record.measured is not None:
            measured[name] = record.measured
        else:
            failed[name] = record.error or ""
    facts = one.shard.weights.facts
    above = one.reference.key if one.reference is not None else ("", "")
    return Fidelity(
        hardware=one.shard.hardware.name,
        engine=engine,
        model=one.shard.model,
        mode=one.shard.mode,
        reference=above[0],
        reference_mode=above[1],
        weights_bytes=facts.size_bytes if facts is not None else 0,
        planned=len(cells),
        found=measured,
        failed=failed,
    )


def pairs(found: Sequence[Fidelity]) -> Iterator[FidelityPair]:
    """Every two configurations with the same reference; p-values adjusted within a reference."""
    families: dict[str, list[Fidelity]] = {}
    for one in found:
        families.setdefault(one.reference_name, []).append(one)
    for family in families.values():
        made = []
        for old, new in combinations(family, 2):
            ratio = _ratio(new, old)
            if ratio is not None:
                made.append(FidelityPair(new, old, ratio))
        adjusted = holm([pair.ratio.p_value for pair in made])
        for pair, p_value in zip(made, adjusted, strict=True):
            yield replace(pair, ratio=replace(pair.ratio, p_value=p_value))


def _ratio(new: Fidelity, old: Fidelity) -> Comparison | None:
    """The paired ratio; None where a divergence is 0, as that of a copy of the reference is."""
    above_0 = [
        {q: values for q, values in one.kl_by_question.items() if values[0] > 0}
        for one in (new, old)
    ]
    return paired_ratio(above_0[0], above_0[1])
