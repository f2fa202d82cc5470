"""How each setup did over the runs, and which run brought a change: a change point, found by the paired statistics.

A run is compared with the runs before it, question by question: with those since the last change
point, each question's values in them taken together. Where the difference is shown to be beyond the
threshold (see `gates`: the interval is widened by what is known of the noise of whole runs, and
adjusted for the setups of the run), the run is a change point, and later runs are compared
with what it brought.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from scripts.lib.base.estimates import Estimate, median, paired_difference, paired_ratio, pass_rate
from scripts.lib.compare.gates import Gate, GateOutcome, Judgement, Noise, judge
from scripts.lib.compare.observations import Observation, Observations
from scripts.lib.compare.pairing import QUALITY, Key, Values, is_change
from scripts.lib.compare.rescoring import Rescorer
from scripts.lib.results.states import changes


class Mark(StrEnum):
    """What a run brought to a setup. `first`: none of its questions was measured before."""

    FIRST = "first"
    STEADY = ""
    REGRESSION = "REGRESSION"
    IMPROVEMENT = "improvement"
    UNKNOWN = "cannot be judged"


@dataclass(frozen=True, slots=True)
class Point:
    """One setup in one run: its value (a median, or a pass rate), the effect against the runs before, what it brought.

    `changed`: fields of spec and environment that differ from the last measurement of the same
    questions, with the cells.
    """

    key: Key
    run_id: str
    value: Estimate
    effect: Estimate | None
    mark: Mark
    changed: tuple[tuple[str, int], ...] = ()


def gather(runs: Iterable[Observations], tree: Observations) -> dict[str, list[Observation]]:
    """Run -> its observations: of the runs' records, and of the tree's cells whose run has left no record here."""
    found = {run.name: list(run.items) for run in runs}
    recorded = set(found)
    for item in tree.items:
        if item.run_id not in recorded:
            found.setdefault(item.run_id, []).append(item)
    return dict(sorted(found.items()))


def key_of(item: Observation) -> Key:
    return Key(item.cell.hardware, item.engine, item.cell.model, item.cell.mode)


def _values(items: Iterable[Observation], metric: str, scorer: Rescorer | None) -> Values:
    found: Values = {}
    for item in items:
        if metric == QUALITY:
            value = scorer(item) if scorer is not None else None
        else:
            value = (
                getattr(item.measurement, metric)
                if item.status == "ok" and item.measurement is not None
                else None
            )
            value = value or None
        if value is not None:
            found.setdefault(f"{item.cell.suite}/{item.cell.question}", []).append(value)
    return found


def _mirrored(gate: Gate) -> Gate:
    """The same threshold in the better direction."""
    return replace(gate, sign=-gate.sign)


@dataclass(slots=True)
class _State:
    """Of one setup: the values since its last change point, and the last observation of each question."""

    reference: dict[Hashable, list[float]]
    last: dict[str, Observation]


def _changed(
    items: Sequence[Observation], state: _State, environments: Mapping[str, Mapping[str, object]]
) -> tuple[tuple[str, int], ...]:
    found: Counter[str] = Counter()
    for item in items:
        before = state.last.get(item.question)
        if before is None:
            continue
        if before.digest != item.digest and before.spec and item.spec:
            found.update(
                str(change) for change in changes(before.spec, item.spec) if is_change(change)
            )
        elif before.digest != item.digest:
            found["the spec (its fields are in no file any more)"] += 1
        if before.environment != item.environment:
            old, new = environments.get(before.environment), environments.get(item.environment)
            known = changes(old, new) if old is not None and new is not None else ()
            found.update(
                [str(c) for c in known]
                or [f"environment {before.environment} -> {item.environment}"]
            )
    return tuple(found.most_common())


def _mark(worse: Judgement, better: Judgement) -> Mark:
    if worse.outcome is GateOutcome.TRIPPED:
        return Mark.REGRESSION
    if better.outcome is GateOutcome.TRIPPED:
        return Mark.IMPROVEMENT
    if worse.effect is None:
        return Mark.FIRST
    return Mark.UNKNOWN if worse.outcome is GateOutcome.NOT_JUDGED else Mark.STEADY


def _learn(state: _State, values: Values, mark: Mark) -> None:
    """Take a run's values to the others, or alone where it is a change point."""
    if mark in (Mark.REGRESSION, Mark.IMPROVEMENT):
        state.reference = {question: list(found) for question, found in values.items()}
    else:
        for question, found in values.items():
            state.reference.setdefault(question, []).extend(found)


@dataclass(frozen=True, slots=True)
class _Run:
    """One run: its observations and values by setup, those without a value left out."""

    run_id: str
    items: Mapping[Key, Sequence[Observation]]
    values: Mapping[Key, Values]


def _run(run_id: str, items: Iterable[Observation], metric: str, scorer: Rescorer | None) -> _Run:
    by_key: dict[Key, list[Observation]] = {}
    for item in items:
        by_key.setdefault(key_of(item), []).append(item)
    values = {key: _values(found, metric, scorer) for key, found in by_key.items()}
    return _Run(run_id, by_key, {key: found for key, found in values.items() if found})


def _judged(
    run: _Run, states: Mapping[Key, _State], gate: Gate, noise: Mapping[str, Noise]
) -> dict[Key, tuple[Judgement, Judgement]]:
    """(worse, better) of each setup that was measured before."""
    compare = paired_difference if gate.metric == QUALITY else paired_ratio
    effects = [
        (key, compare(found, states[key].reference))
        for key, found in run.values.items()
        if key in states
    ]
    sides = judge(gate, effects, noise), judge(_mirrored(gate), effects, noise)
    return {worse.key: (worse, better) for worse, better in zip(*sides, strict=True)}


def trends(
    runs: Mapping[str, Sequence[Observation]], gate: Gate, noise: Mapping[str, Noise],
    environments: Mapping[str, Mapping[str, object]], scorer: Rescorer | None = None,
) -> tuple[Point, ...]:  # fmt: skip
    """Every setup in every run that measured it, oldest first. `gate` is the threshold in the worse direction."""
    level = pass_rate if gate.metric == QUALITY else median
    states: dict[Key, _State] = {}
    points: list[Point] = []
    for run in (_run(run_id, items, gate.metric, scorer) for run_id, items in runs.items()):
        judged = _judged(run, states, gate, noise)
        for key, values in run.values.items():
            state = states.setdefault(key, _State({}, {}))
            mark = _mark(*judged[key]) if key in judged else Mark.FIRST
            effect = judged[key][0].effect if key in judged else None
            value = level(values)
            assert value is not None
            changed = _changed(run.items[key], state, environments)
            points.append(Point(key, run.run_id, value, effect, mark, changed))
            _learn(state, values, mark)
            state.last.update({item.question: item for item in run.items[key]})
    return tuple(sorted(points, key=lambda point: (str(point.key), point.run_id)))
