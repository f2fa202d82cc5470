"""RESULTS.md on judges: what they agree on, what is not proved, pass rates without their errors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from scripts.lib.judging.canaries import PLAIN
from scripts.lib.pages.sections import judges, quality
from scripts.lib.scoring.scorers import Scorer
from scripts.lib.scoring.series import Role, make_series
from scripts.lib.scoring.verdict_store import (
    ACCEPTED,
    CALIBRATION,
    BatchRecord,
    ItemOutcome,
    VerdictStore,
)
from scripts.lib.tables.load import why_unproved
from scripts.lib.tables.profile_part import ProfilePart
from scripts.lib.tables.ranking import unrankable
from tests.factories.table_rows import part, row

SERIES = make_series("claude", "claude-test-1", 1024, 0)


def item(pair: str, expected: int | None, score: int, **more: object) -> ItemOutcome:
    made = ItemOutcome("d", pair, Role.PAIR, "s/q", "", expected, score, "", True)
    return replace(made, **more)  # type: ignore[arg-type]


def closed(name: str, *items: ItemOutcome, **more: str) -> None:
    record = BatchRecord(name, SERIES.name, ACCEPTED, (), items, 0.1, "", f"2026-11-{name}")
    store = VerdictStore(SERIES)
    (store.folder / "batches").mkdir(parents=True, exist_ok=True)
    store.write_closed(replace(record, **more))  # type: ignore[arg-type]


@pytest.fixture
def judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ProfilePart:
    """A profile whose leading scorer is a judge with one accepted batch."""
    made = part(row("m", 20))
    assert made.rankings  # reads config/suites.yaml
    monkeypatch.chdir(tmp_path)
    closed(
        "01",
        *(item(f"right{n}", 3, 3 if n else 0) for n in range(10)),
        *(item(f"wrong{n}", 0, 1) for n in range(20)),
        # The same answer once more: it counts once.
        item("right1", 3, 0, role=Role.CANARY, kind="checked answer"),
        *(item(f"near{n}", 0, 3 * (n == 0), role=Role.CANARY, kind=PLAIN) for n in range(10)),
        item("unchecked", None, 3),
    )
    plan = replace(made.plan, scorers=(Scorer("claude", SERIES), Scorer("checks")))
    why = why_unproved(plan)
    rows = tuple(replace(r, scorer="claude") for r in made.setups[0].rows)
    return replace(made, plan=plan, setups=(replace(made.setups[0], rows=rows, unproved=why),))


def test_scores_of_an_uncalibrated_judge_are_marked_and_not_ranked(judged: ProfilePart) -> None:
    (setup,) = judged.setups
    assert unrankable(setup) == "the judge is not calibrated"
    assert quality.passed(setup).endswith(quality.UNPROVED_MARK)
    assert "the judge is not calibrated" in quality.unproved_note(judged)
    assert "not ranked: the judge is not calibrated" in judges.leading_scorer(judged)
    assert "no: the judge is not calibrated" in judges.instrument_table(judged)
    assert not judged.rankings[0].candidates


def test_the_newest_calibration_counts(judged: ProfilePart) -> None:
    closed("02", status=CALIBRATION)
    assert why_unproved(judged.plan) == "" and "ranked | yes" in judges.instrument_table(judged)
    closed("03", status=CALIBRATION, findings=("8 of 9 near misses passed",))  # type: ignore[arg-type]
    assert why_unproved(judged.plan) == (
        "the judge failed its calibration: 8 of 9 near misses passed"
    )
    closed("04", status=CALIBRATION)
    closed("05", stops="the judge drifts")
    assert why_unproved(judged.plan) == "the judge was stopped: the judge drifts"


def test_agreement_with_the_checks_is_over_distinct_answers(judged: ProfilePart) -> None:
    table = judges.scorers_table(judged)
    # 29 of 30: the judge's 1 for a wrong attempt is a fail like the checks' 0.
    assert "n=30" in table.splitlines()[-1] and "97 %" in table.splitlines()[-1]
    assert "same pass or fail as the checks" in judges.instrument_table(judged)


def test_the_corrected_rate_stands_beside_the_raw_one(judged: ProfilePart) -> None:
    # Sensitivity 9/10, specificity 29/30; 20 of 40 passed.
    line = judges.corrected_table(judged).splitlines()[-1]
    assert "20/40: 50 %" in line and "54 % (" in line


def test_pass_rates_by_the_checks_are_not_corrected() -> None:
    made = part(row("m", 20))
    assert judges.corrected_table(made) == "" and quality.unproved_note(made) == ""
    assert not quality.passed(made.setups[0]).endswith(quality.UNPROVED_MARK)
