"""Each setup's values over the runs, and the runs in which they changed.

Each run is compared, question by question, with the runs since the last change point; a question's
values in those runs are taken together. A run is a change point if the difference is shown to be
beyond the threshold. As in `gates`, intervals are widened by run-to-run noise, and p-values are
adjusted for the number of setups in the run. Later runs are compared with the values of the change
point and of the runs after it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from scripts.lib.base.estimates import Estimate, median, paired_difference, paired_ratio, pass_rate
from scripts.lib.compare.gates import Gate, GateOutcome, Judgement, Noise, judge
from scripts.lib.compare.observations import Observation, Observations
from scripts.lib.compare.pairing import (
    QUALITY,
    Key,
    Values,
    environment_changes,
    spec_changes,
)
from scripts.lib.compare.rescoring import Rescorer


class Mark(StrEnum):
    """What a run changed for a setup. `first`: none of its questions was measured before."""

    FIRST = "first"
    STEADY = ""
    REGRESSION = "REGRESSION"
    IMPROVEMENT = "improvement"
    UNKNOWN = "cannot be judged"


CHANGES = (Mark.REGRESSION, Mark.IMPROVEMENT)


@dataclass(frozen=True, slots=True)
class Point:
    """One setup in one run: its value (a median or a pass rate), and the effect since earlier runs.

    `changed`: fields of spec and environment that differ from the last measurement of the same
    questions, with the number of cells.
    """

    key: Key
    run_id: str
    value: Estimate
    effect: Estimate | None
    mark: Mark
    changed: tuple[tuple[str, int], ...] = ()


def gather(runs: Iterable[Observations], tree: Observations) -> dict[str, list[Observation]]:
    """Run -> its observations, from the runs' records; without a record, from the tree's cells."""
    found = {run.name: list(run.items) for run in runs}
    recorded = set(found)
    for item in tree.items:
        if item.run_id not in recorded:
            found.setdefault(item.run_id, []).append(item)
    return dict(sorted(found.items()))


def key_of(item: Observation) -> Key:
    """The setup of an observation, hardware and engine included."""
    return Key(item.cell.hardware, item.engine, item.cell.model, item.cell.mode)


def _values(items: Iterable[Observation], metric: str, scorer: Rescorer | None) -> Values:
    found: Values = {}
    for item in items:
        value: float | None = None
        if metric != QUALITY:
            value = item.value(metric)
        elif scorer is not None:
            value = scorer(item)
        if value is not None:
            found.setdefault(item.question_name, []).append(value)
    return found


@dataclass(slots=True)
class _State:
    """One setup: its values since the last change point, and each question's last observation."""

    reference: Values = field(default_factory=dict)
    last: dict[str, Observation] = field(default_factory=dict)

    def learn(self, items: Iterable[Observation], values: Values, mark: Mark) -> None:
        """Add a run's values to the reference; at a change point they replace it."""
        if mark in CHANGES:
            self.reference = {}
        for question, found in values.items():
            self.reference.setdefault(question, []).extend(found)
        self.last.update({item.question: item for item in items})


def _changed(
    items: Sequence[Observation], state: _State, environments: Mapping[str, Mapping[str, object]]
) -> tuple[tuple[str, int], ...]:
    found: Counter[str] = Counter()
    for item in items:
        before = state.last.get(item.question)
        if before is not None:
            digests = before.environment, item.environment
            records = map(environments.get, digests)
            found.update(spec_changes(before, item))
            found.update(environment_changes(*digests, *records))
    return tuple(found.most_common())


def _mark(worse: Judgement, better: Judgement) -> Mark:
    if worse.outcome is GateOutcome.TRIPPED:
        return Mark.REGRESSION
    if better.outcome is GateOutcome.TRIPPED:
        return Mark.IMPROVEMENT
    if worse.effect is None:
        return Mark.FIRST
    return Mark.UNKNOWN if worse.outcome is GateOutcome.NOT_JUDGED else Mark.STEADY


def _marks(
    values: Mapping[Key, Values],
    states: Mapping[Key, _State],
    gate: Gate,
    noise: Mapping[str, Noise],
) -> dict[Key, tuple[Mark, Estimate | None]]:
    """(mark, effect) of each setup in a run that was measured in earlier runs, too."""
    compare = paired_difference if gate.metric == QUALITY else paired_ratio
    effects = [
        (key, compare(found, states[key].reference))
        for key, found in values.items()
        if key in states
    ]
    better_gate = replace(gate, sign=-gate.sign)
    sides = zip(judge(gate, effects, noise), judge(better_gate, effects, noise), strict=True)
    return {worse.key: (_mark(worse, better), worse.effect) for worse, better in sides}


def trends(
    runs: Mapping[str, Sequence[Observation]],
    gate: Gate,
    noise: Mapping[str, Noise],
    environments: Mapping[str, Mapping[str, object]],
    scorer: Rescorer | None = None,
) -> tuple[Point, ...]:
    """Every setup in every run that measured it, oldest first.

    `gate` is the threshold in the worse direction.
    """
    level = pass_rate if gate.metric == QUALITY else median
    states: dict[Key, _State] = {}
    points: list[Point] = []
    for run_id, observations in runs.items():
        items: dict[Key, list[Observation]] = {}
        for item in observations:
            items.setdefault(key_of(item), []).append(item)
        values = {
            key: found
            for key, of_key in items.items()
            if (found := _values(of_key, gate.metric, scorer))
        }
        marks = _marks(values, states, gate, noise)
        for key, found in values.items():
            state = states.setdefault(key, _State())
            mark, effect = marks.get(key, (Mark.FIRST, None))
            value = level(found)
            assert value is not None
            changed = _changed(items[key], state, environments)
            points.append(Point(key, run_id, value, effect, mark, changed))
            state.learn(items[key], found, mark)
    return tuple(sorted(points, key=lambda point: (str(point.key), point.run_id)))
