"""The simulation of judges: an honest one is accepted, one that likes the topic is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.harness.judge_gates import JUDGES, SCENARIOS, Tally, simulate, verdicts_for

BY_NAME = {judge.name: judge for judge in JUDGES}
TIER_1 = SCENARIOS[0]


@pytest.mark.parametrize(
    ("name", "refused"),
    [("perfect", 0), ("honest, 5 % of all answers", 0), ("on topic is right", 1)],
)
def test_a_simulated_run_is_refused_or_not(name: str, refused: int, tmp_path: Path) -> None:
    tally = Tally()
    simulate(BY_NAME[name], TIER_1, 0, tmp_path, tally)
    assert (tally.runs, tally.refused) == (1, refused)
    assert (name != "perfect") or tally.errors == [0.0]


def test_verdicts_are_found_for_every_score_that_the_criteria_allow() -> None:
    assert verdicts_for((60, 40), 3) == ["met", "met"]
    assert verdicts_for((60, 40), 0) == ["unmet", "unmet"]
    assert verdicts_for((60, 40), 2)[0] == "met"
    # A single criterion cannot give a 2: the nearest score that passes is a 3.
    assert verdicts_for((100,), 2) == ["met"]
