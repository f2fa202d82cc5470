"""Pairs two sets of observations by question: changes in numbers, specs and environments.

The answers of both sides are scored by today's leading scorer, so that a changed check does not
look like a changed model. If a question's text has changed since, its answer is unscored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from statistics import fmean
from typing import Any

from tqdm import tqdm

from scripts.lib.base.estimates import Comparison, holm, paired_difference, paired_ratio
from scripts.lib.compare.divergences import Divergence
from scripts.lib.compare.observations import Observation, Observations, latest
from scripts.lib.compare.rescoring import Rescorer
from scripts.lib.planning.cell_record import TIMINGS
from scripts.lib.results.states import changes

Values = dict[Hashable, list[float]]
# Rates and times of a measurement that are compared as ratios.
RATIO_METRICS = TIMINGS
QUALITY = "quality"
KL = "kl"
METRICS = (*RATIO_METRICS, QUALITY)
# Fields of a spec that only request a new measurement of the same thing.
_NO_CHANGE = ("measurement_epoch",)


@dataclass(frozen=True, slots=True)
class Key:
    """One model in one mode. Hardware and engine are empty if each side has only one."""

    hardware: str
    engine: str
    model: str
    mode: str

    def __str__(self) -> str:
        return "/".join(
            part for part in (self.hardware, self.engine, self.model, self.mode) if part
        )


KEY_COLUMNS = tuple(f.name for f in fields(Key))


def spec_changes(before: Observation, after: Observation) -> list[str]:
    """The changed fields of the specs of two observations, as text."""
    if before.digest == after.digest:
        return []
    if not (before.spec and after.spec):
        return ["the spec (a cell file is missing, so its fields are not known)"]
    found = changes(before.spec, after.spec)
    return [str(change) for change in found if change.field not in _NO_CHANGE]


def environment_changes(
    before: str, after: str, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None
) -> list[str]:
    """The changed fields of two environments, as text; without a record, only the digests."""
    if before == after:
        return []
    if old is None or new is None:
        return [f"environment {before} -> {after} (a record is missing)"]
    return [str(change) for change in changes(old, new)]


@dataclass(frozen=True)
class Pairing:
    """The shared questions of one key, as pairs (of A, of B)."""

    key: Key
    pairs: tuple[tuple[Observation, Observation], ...]

    def values(self, metric: str) -> tuple[Values, Values]:
        """(A's, B's) values above 0 by question."""
        found = Values(), Values()
        for pair in self.pairs:
            for values, item in zip(found, pair, strict=True):
                if value := item.value(metric):
                    values.setdefault(item.question_name, []).append(value)
        return found

    def ratio(self, metric: str) -> Comparison | None:
        """B's value divided by A's; None without a shared question."""
        before, after = self.values(metric)
        return paired_ratio(after, before)

    def failures(self) -> tuple[int, int]:
        """Cells of (A, B) that are not `ok`."""
        a, b = (sum(pair[side].status != "ok" for pair in self.pairs) for side in (0, 1))
        return a, b


@dataclass(frozen=True)
class Row:
    """One key compared: the effect on each metric, as ratio B / A, or B - A for quality.

    `passes`: pass rates of (A, B) on the questions that are scored on both sides. `adjusted`: the
    p-values of the effects, adjusted by Holm's method over all rows of a metric.
    """

    pairing: Pairing
    effects: Mapping[str, Comparison | None]
    passes: tuple[float, float]
    adjusted: dict[str, float] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        """What is compared."""
        return self.pairing.key


@dataclass(frozen=True)
class Compared:
    """Two named sets compared.

    `alone`: the numbers of cells that only A has, and only B. `unpaired`: keys without a shared
    cell, of A and of B.
    """

    a: Observations
    b: Observations
    pairings: tuple[Pairing, ...]
    alone: tuple[int, int]
    unpaired: tuple[tuple[Key, ...], tuple[Key, ...]]
    scorer: Rescorer | None = None

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """The comparison of each pairing."""
        rows = [self._row(pairing) for pairing in tqdm(self.pairings, desc="compare", disable=None)]
        for metric in METRICS:
            estimated = [
                (row, effect.p_value) for row in rows if (effect := row.effects[metric]) is not None
            ]
            adjusted = holm([p_value for _, p_value in estimated])
            for (row, _), p_value in zip(estimated, adjusted, strict=True):
                row.adjusted[metric] = p_value
        return tuple(rows)

    def _row(self, pairing: Pairing) -> Row:
        before, after = self._scores(pairing)
        ratios = {metric: pairing.ratio(metric) for metric in RATIO_METRICS}
        effects = {**ratios, QUALITY: paired_difference(after, before)}
        return Row(pairing, effects, (_mean_of_means(before), _mean_of_means(after)))

    def _scores(self, pairing: Pairing) -> tuple[Values, Values]:
        """(A's, B's) scores by question, of the pairs that are scored on both sides."""
        before, after = Values(), Values()
        if self.scorer is None:
            return before, after
        for a, b in pairing.pairs:
            old, new = self.scorer(a), self.scorer(b)
            if old is not None and new is not None:
                before.setdefault(a.question_name, []).append(old)
                after.setdefault(a.question_name, []).append(new)
        return before, after

    @cached_property
    def divergences(self) -> list[tuple[Key, Comparison | None]]:
        """The divergence from the reference, B / A, of each configuration of A that has one.

        None if B lacks it, or if no question's divergence is above 0 on both sides.
        """
        return _divergence_effects(self.a.divergences, self.b.divergences)

    @cached_property
    def spec_changes(self) -> Counter[str]:
        """Changed fields of the specs, with the number of cells that each concerns."""
        pairs = (pair for pairing in self.pairings for pair in pairing.pairs)
        return Counter(change for pair in pairs for change in spec_changes(*pair))

    @cached_property
    def environment_changes(self) -> Counter[str]:
        """Changed fields of the environments, with the number of cells that each concerns."""
        pairs = Counter((a.environment, b.environment) for p in self.pairings for a, b in p.pairs)
        found: Counter[str] = Counter()
        for (before, after), cells in pairs.items():
            old, new = self.a.environments.get(before), self.b.environments.get(after)
            for change in environment_changes(before, after, old, new):
                found[change] += cells
        return found


def _divergences_by_key(
    items: Iterable[Divergence], with_hardware: bool
) -> dict[Key, dict[str, Divergence]]:
    """Key -> question -> the latest divergence."""
    found: dict[Key, dict[str, Divergence]] = {}
    for item in items:
        key = Key(item.hardware if with_hardware else "", "", item.model, item.mode)
        known = found.setdefault(key, {}).setdefault(item.question, item)
        if item.started_utc > known.started_utc:
            found[key][item.question] = item
    return found


def _above_0(found: dict[str, Divergence]) -> dict[Hashable, list[float]]:
    return {question: [item.kl] for question, item in found.items() if item.kl > 0}


def _divergence_effects(
    a: Iterable[Divergence], b: Iterable[Divergence]
) -> list[tuple[Key, Comparison | None]]:
    """The ratio B / A for each configuration of A; None if B lacks it, or shares no question."""
    sides = list(a), list(b)
    with_hardware = any(len({item.hardware for item in side}) != 1 for side in sides)
    before, after = (_divergences_by_key(side, with_hardware) for side in sides)
    return [
        (key, paired_ratio(_above_0(after.get(key, {})), _above_0(before[key])))
        for key in sorted(before, key=str)
    ]


def _mean_of_means(values: Values) -> float:
    return fmean(map(fmean, values.values())) if values else 0.0


def _keyed(
    items: Iterable[Observation], with_hardware: bool, with_engine: bool
) -> dict[Key, dict[str, Observation]]:
    found: dict[Key, dict[str, Observation]] = {}
    for item in items:
        hardware = item.cell.hardware if with_hardware else ""
        key = Key(hardware, item.engine if with_engine else "", item.cell.model, item.cell.mode)
        found.setdefault(key, {})[item.question] = item
    return found


def pair(a: Observations, b: Observations, scorer: Rescorer | None = None) -> Compared:
    """Pair two sets by model, mode, question and repeat.

    Hardware and engine must be equal, too. But if each side has only one, these may differ: then
    they are compared. If a cell was measured more than once, the latest measurement counts.
    """
    sides = latest(a.items), latest(b.items)
    with_hardware = any(len({item.cell.hardware for item in side}) != 1 for side in sides)
    with_engine = any(len({item.engine for item in side}) != 1 for side in sides)
    before, after = (_keyed(side, with_hardware, with_engine) for side in sides)
    pairings = []
    for key in sorted(before.keys() & after.keys(), key=str):
        shared = sorted(before[key].keys() & after[key].keys())
        if shared:
            pairings.append(Pairing(key, tuple((before[key][q], after[key][q]) for q in shared)))
    paired, keys = sum(len(p.pairs) for p in pairings), {p.key for p in pairings}
    only_a, only_b = (tuple(sorted(side.keys() - keys, key=str)) for side in (before, after))
    alone = len(sides[0]) - paired, len(sides[1]) - paired
    return Compared(a, b, tuple(pairings), alone, (only_a, only_b), scorer)
