"""On which workloads a way of decoding is faster than its base, and on which it is slower."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from scripts.lib.tables.ranking import is_above_1, is_proved
from scripts.lib.tables.setups import Setup, ways_of


@dataclass(frozen=True, slots=True)
class Gains:
    """A way of decoding, and its setups by workload: faster, not shown to differ, and slower."""

    way: Setup
    wins: tuple[Setup, ...]
    undecided: tuple[Setup, ...]
    losses: tuple[Setup, ...]


def wins(on_workload: Setup) -> bool:
    """True when the interval of the speed-up on a workload lies above 1 and is possible."""
    up = on_workload.speed_up
    return up is not None and is_above_1(up) and not on_workload.struck_out


def loses(on_workload: Setup) -> bool:
    """True when the interval of the speed-up on a workload lies below 1."""
    up = on_workload.speed_up
    return up is not None and up.estimate.high is not None and up.estimate.high < 1


def gains(way: Setup) -> Gains:
    """Where a way wins and loses. An impossible speed-up is neither."""
    compared = [on for on in way.by_workload.values() if on.speed_up and not on.struck_out]
    return Gains(
        way,
        tuple(filter(wins, compared)),
        tuple(on for on in compared if not wins(on) and not loses(on)),
        tuple(filter(loses, compared)),
    )


def _ratio(on_workload: Setup) -> float:
    return on_workload.speed_up.estimate.value if on_workload.speed_up is not None else 0.0


def fastest_by_workload(row: Setup, setups: Iterable[Setup]) -> tuple[Gains, ...]:
    """The proved ways that win a workload by the greatest speed-up; most such workloads first."""
    found = [gains(way) for way in ways_of(row, setups) if is_proved(way)]
    best: dict[str, tuple[float, int]] = {}
    for place, one in enumerate(found):
        for on in one.wins:
            best[on.workload] = max(best.get(on.workload, (0.0, 0)), (_ratio(on), -place))
    places = [-place for _, place in best.values()]
    return tuple(found[place] for place in sorted(set(places), key=lambda p: (-places.count(p), p)))
