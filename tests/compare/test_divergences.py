"""The gate `kl`: divergences from references on two sides, paired by question."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from scripts.lib.base.errors import BenchError
from scripts.lib.compare.divergences import of_fidelity
from scripts.lib.compare.gates import GateOutcome, judge, parse_gate
from scripts.lib.compare.observations import Observations, from_tree
from scripts.lib.compare.pairing import pair
from scripts.lib.fidelity.record import FidelityId, FidelityRecord
from tests.fidelity.test_record import MEASURED, RECORD

QUESTIONS = 12


def record(number: int, kl: float, mode: str = "baseline", **changes: object) -> FidelityRecord:
    cell = FidelityId("box", "m", mode, "math", f"q{number}")
    measured = replace(MEASURED, kl=(kl,) * 4)
    return replace(RECORD, cell=cell, measured=measured, **changes)  # type: ignore[arg-type]


def side(name: str, factor: float, mode: str = "baseline", **changes: object) -> Observations:
    kls = [factor * (1 + number / 100) for number in range(QUESTIONS)]
    found = (of_fidelity(record(n, kl, mode, **changes)) for n, kl in enumerate(kls))
    return Observations(name, (), divergences=tuple(one for one in found if one is not None))


def outcomes(a: Observations, b: Observations) -> dict[str, GateOutcome]:
    judged = judge(parse_gate("kl +10%"), pair(a, b).divergences, {})
    return {str(one.key): one.outcome for one in judged}


@pytest.mark.parametrize(
    ("factor", "outcome"),
    [(1.0, GateOutcome.PASSED), (1.05, GateOutcome.PASSED), (1.3, GateOutcome.TRIPPED),
     (0.5, GateOutcome.PASSED)],
)  # fmt: skip
def test_the_gate_trips_on_a_greater_divergence(factor: float, outcome: GateOutcome) -> None:
    assert outcomes(side("a", 0.01), side("b", 0.01 * factor)) == {"m/baseline": outcome}


def test_a_configuration_that_b_lacks_cannot_be_judged() -> None:
    found = outcomes(side("a", 0.01, "moe4"), side("b", 0.01))
    assert found == {"m/moe4": GateOutcome.NOT_JUDGED}


def test_a_divergence_of_0_is_no_basis_for_a_ratio() -> None:
    assert outcomes(side("a", 0.0), side("b", 0.01)) == {"m/baseline": GateOutcome.NOT_JUDGED}


def test_the_latest_measurement_of_a_block_counts() -> None:
    old, new = (
        side("a", kl, started_utc=f"2026-01-0{day}T00:00:00+00:00")
        for kl, day in ((0.05, 1), (0.01, 2))
    )
    both = replace(new, divergences=(*new.divergences, *old.divergences))
    assert outcomes(both, side("b", 0.01)) == {"m/baseline": GateOutcome.PASSED}
    assert outcomes(side("a", 0.01), replace(both, name="b")) == {"m/baseline": GateOutcome.PASSED}


def test_the_threshold_has_the_sign_of_worse() -> None:
    with pytest.raises(BenchError, match="a higher kl is worse"):
        parse_gate("kl -10%")


def test_divergences_are_read_from_a_results_tree(tmp_path: Path) -> None:
    (tmp_path / "cells").mkdir()
    kept = record(1, 0.01)
    failed = record(2, 0.01, status="error", error="no", digest=RECORD.digest)
    for one, text in (
        (kept, kept.to_json()),
        (failed, replace(failed, measured=None).to_json()),
        (record(3, 0.01), kept.to_json().replace("0.01", "0.02")),
    ):
        file = tmp_path / "fidelity" / one.place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    found = from_tree("x", tmp_path)
    assert [one.question for one in found.divergences] == ["math/q1"]
    assert len(found.damaged) == 1 and "math/q3" in found.damaged[0].file
