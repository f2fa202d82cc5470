"""Where a mode wins and loses: by the intervals of its speed-ups on each workload."""

from __future__ import annotations

from dataclasses import replace

from scripts.lib.planning.modes import Mode
from scripts.lib.tables.gains import Gains, fastest_by_workload, gains
from scripts.lib.tables.setups import Setup
from tests.factories.table_rows import LOOKUP, on_workloads, row, way

NAMES = ("code_editing", "reasoning", "prose", "chat")
BASE = on_workloads(row("m", 30), {name: [10.0, 10.0, 10.0] for name in NAMES})
POOL = Mode("ngram_mod", ngram="ngram_mod")
# Speeds of three questions: surely faster, not shown to differ, surely slower.
FAST, SAME, SLOW = [20.0, 20.5, 21.0], [9.0, 10.0, 11.0], [7.0, 7.1, 7.2]


def on(mode: Mode, *speeds: list[float], **changes: object) -> Setup:
    by_name = dict(zip(NAMES, speeds, strict=False))
    return on_workloads(way(row("m", 30), mode, 12.0, **changes), by_name, BASE)


def named(setups: tuple[Setup, ...]) -> list[str]:
    return [setup.workload for setup in setups]


def test_a_mode_wins_loses_or_shows_nothing_on_a_workload() -> None:
    found = gains(on(LOOKUP, FAST, SLOW, SAME, [20.0]))
    assert named(found.wins) == ["code_editing"] and named(found.losses) == ["reasoning"]
    assert named(found.undecided) == ["prose", "chat"], "one question decides nothing"


def test_an_impossible_speed_up_is_neither_a_gain_nor_a_loss() -> None:
    found = gains(on(LOOKUP, FAST, [900.0, 910.0, 920.0]))
    assert named(found.wins) == ["code_editing"]
    assert found.undecided == found.losses == ()


def test_workloads_that_the_base_did_not_answer_are_left_out() -> None:
    found = gains(replace(on(LOOKUP, FAST, SAME), base=row("m", 30)))
    assert found == Gains(found.way, (), (), ())


def test_the_fastest_modes_by_workload_come_by_the_number_of_their_workloads() -> None:
    lookup = on(LOOKUP, FAST, SAME, SAME, [13.0, 13.1, 13.2])
    pool = on(POOL, [15.0, 15.1, 15.2], [11.0, 11.1, 11.2], [12.0, 12.1, 12.2], SAME)
    never = on(replace(LOOKUP, name="lookup_n4", lookup_n=4), [19.0, 19.1, 19.2], SLOW)
    lossy = on(Mode("spec_d_k8", draft="d", k=8), *[[30.0, 30.1, 30.2]] * 4, certificate="lossy")
    setups = [BASE, lookup, pool, never, lossy]
    setups = [BASE, *(replace(c, base=BASE) for c in setups[1:])]
    found = fastest_by_workload(BASE, setups)
    assert [one.way.mode.name for one in found] == ["lookup_n3", "ngram_mod"]
    assert named(found[1].wins) == ["code_editing", "reasoning", "prose"], "all that it wins"
    assert fastest_by_workload(BASE, [BASE]) == ()
