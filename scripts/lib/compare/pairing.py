"""Two sets of observations, question by question: what changed in the numbers, and what changed in spec and environment.

Both sides' answers are scored by today's leading scorer, so that a check that decides differently
now is no difference of models; an answer to a question whose text is another today is unscored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from tqdm import tqdm

from scripts.lib.base.estimates import Comparison, holm, paired_difference, paired_ratio
from scripts.lib.compare.observations import Observation, Observations, latest
from scripts.lib.compare.rescoring import Rescorer
from scripts.lib.results.states import Change, changes

Values = dict[Hashable, list[float]]
# Rates and times of a measurement that can be compared as ratios.
RATIO_METRICS = ("decode_tokens_per_s", "prefill_tokens_per_s", "ttft_s")
QUALITY = "quality"
# Fields of a spec that say which time it is measured, and not what.
_NO_CHANGE = ("measurement_epoch",)


def is_change(change: Change) -> bool:
    """True for a field whose change is one of what is measured."""
    return change.field not in _NO_CHANGE


@dataclass(frozen=True, slots=True)
class Key:
    """What is compared with itself: one model in one mode; hardware and engine where both sides could have several."""

    hardware: str
    engine: str
    model: str
    mode: str

    def __str__(self) -> str:
        return "/".join(
            part for part in (self.hardware, self.engine, self.model, self.mode) if part
        )


@dataclass(frozen=True)
class Pairing:
    """The shared questions of one key, as pairs (of A, of B)."""

    key: Key
    pairs: tuple[tuple[Observation, Observation], ...]

    def _values(self, side: int, metric: str) -> Values:
        found: Values = {}
        for pair in self.pairs:
            item = pair[side]
            value = (
                getattr(item.measurement, metric)
                if item.status == "ok" and item.measurement is not None
                else None
            )
            if value:
                found.setdefault(f"{item.cell.suite}/{item.cell.question}", []).append(value)
        return found

    def values(self, metric: str) -> tuple[Values, Values]:
        """(A's, B's) values above 0 by question."""
        return self._values(0, metric), self._values(1, metric)

    def ratio(self, metric: str) -> Comparison | None:
        """How many times A's value B's is."""
        before, after = self.values(metric)
        return paired_ratio(after, before)

    def failures(self) -> tuple[int, int]:
        """Cells of (A, B) that are not `ok`."""
        return sum(a.status != "ok" for a, _ in self.pairs), sum(
            b.status != "ok" for _, b in self.pairs
        )

    def changes(self) -> Counter[str]:
        """Changed fields of the specs, with the number of questions that each concerns."""
        found: Counter[str] = Counter()
        for a, b in self.pairs:
            if a.digest != b.digest and not (a.spec and b.spec):
                found["the spec (its fields are in no file any more)"] += 1
            elif a.digest != b.digest:
                found.update(str(c) for c in changes(a.spec, b.spec) if is_change(c))
        return found


@dataclass(frozen=True)
class Row:
    """One key compared. `ratios` by metric, B over A; `quality` is the difference of the pass rates, B minus A.

    `passes`: (of A, of B, questions scored on both sides); `adjusted` p-values are Holm's over all
    rows, per metric.
    """

    pairing: Pairing
    ratios: Mapping[str, Comparison | None]
    quality: Comparison | None
    passes: tuple[float, float, int]
    adjusted: Mapping[str, float]

    @property
    def key(self) -> Key:
        return self.pairing.key

    def effect(self, metric: str) -> Comparison | None:
        return self.quality if metric == QUALITY else self.ratios.get(metric)


@dataclass(frozen=True)
class Compared:
    """Two named sets compared: rows by key, and what either side has alone: how many cells, and keys without a shared one."""

    a: Observations
    b: Observations
    pairings: tuple[Pairing, ...]
    alone: tuple[int, int]
    unpaired: tuple[tuple[Key, ...], tuple[Key, ...]]
    scorer: Rescorer | None = None

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        plain = [
            self._row(pairing) for pairing in tqdm(self.pairings, desc="comparing", disable=None)
        ]
        adjusted: list[dict[str, float]] = [{} for _ in plain]
        for metric in (*RATIO_METRICS, QUALITY):
            told = [
                (i, e.p_value)
                for i, row in enumerate(plain)
                if (e := row.effect(metric)) is not None
            ]
            for (i, _), p in zip(told, holm([p for _, p in told]), strict=True):
                adjusted[i][metric] = p
        return tuple(
            Row(r.pairing, r.ratios, r.quality, r.passes, p)
            for r, p in zip(plain, adjusted, strict=True)
        )

    def _row(self, pairing: Pairing) -> Row:
        quality, passes = self._quality(pairing)
        return Row(
            pairing,
            {metric: pairing.ratio(metric) for metric in RATIO_METRICS},
            quality,
            passes,
            {},
        )

    def _quality(self, pairing: Pairing) -> tuple[Comparison | None, tuple[float, float, int]]:
        before, after = Values(), Values()
        for a, b in pairing.pairs if self.scorer is not None else ():
            assert self.scorer is not None
            scores = self.scorer(a), self.scorer(b)
            if scores[0] is not None and scores[1] is not None:
                name = f"{a.cell.suite}/{a.cell.question}"
                before.setdefault(name, []).append(scores[0])
                after.setdefault(name, []).append(scores[1])
        compared = paired_difference(after, before)
        rates = [_mean_of_means(values) for values in (before, after)]
        return compared, (rates[0], rates[1], len(before))

    @cached_property
    def environment_changes(self) -> Counter[str]:
        """Changed fields of the environments, with the number of cells that each concerns."""
        pairs = Counter((a.environment, b.environment) for p in self.pairings for a, b in p.pairs)
        found: Counter[str] = Counter()
        for (before, after), cells in pairs.items():
            old, new = self.a.environments.get(before), self.b.environments.get(after)
            if before != after and (old is None or new is None):
                found[f"environment {before} -> {after} (its record is not there)"] += cells
            elif before != after:
                for change in changes(old or {}, new or {}):
                    found[str(change)] += cells
        return found


def _mean_of_means(values: Values) -> float:
    means = [sum(v) / len(v) for v in values.values()]
    return sum(means) / len(means) if means else 0.0


def _sole(a: Sequence[Observation], b: Sequence[Observation], part: str) -> bool:
    """True when each side has one value of `hardware` or `engine` only: then it is what is compared, not what is kept apart."""
    sides = [
        {getattr(item.cell, part) if part == "hardware" else item.engine for item in items}
        for items in (a, b)
    ]
    return all(len(side) == 1 for side in sides)


def _keyed(
    items: Iterable[Observation], no_hardware: bool, no_engine: bool
) -> dict[Key, dict[str, Observation]]:
    found: dict[Key, dict[str, Observation]] = {}
    for item in items:
        hardware = "" if no_hardware else item.cell.hardware
        key = Key(hardware, "" if no_engine else item.engine, item.cell.model, item.cell.mode)
        found.setdefault(key, {})[item.question] = item
    return found


def pair(a: Observations, b: Observations, scorer: Rescorer | None = None) -> Compared:
    """Pair two sets by model, mode, question and repeat (hardware and engine too, unless each side has a single one).

    Of a cell that a side has more than once the latest counts.
    """
    left, right = latest(a.items), latest(b.items)
    sole = _sole(left, right, "hardware"), _sole(left, right, "engine")
    before, after = _keyed(left, *sole), _keyed(right, *sole)
    pairings = []
    for key, questions in before.items():
        shared = [q for q in questions if q in after.get(key, {})]
        if shared:
            pairings.append(
                Pairing(key, tuple((questions[q], after[key][q]) for q in sorted(shared)))
            )
    paired = sum(len(p.pairs) for p in pairings)
    pairings.sort(key=lambda p: str(p.key))
    alone = len(left) - paired, len(right) - paired
    keys = {p.key for p in pairings}
    unpaired = (
        tuple(sorted(before.keys() - keys, key=str)),
        tuple(sorted(after.keys() - keys, key=str)),
    )
    return Compared(a, b, tuple(pairings), alone, unpaired, scorer)
