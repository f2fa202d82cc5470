"""Equal answers and drifting times, from pairs of stored and new cells."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scripts.lib.compare.reproduction import Equality, Pair, summarise, to_csv, to_json, to_markdown
from scripts.lib.planning.cell_record import CellId, CellRecord, Measurement


def measured(
    tokens: tuple[int, ...], speed: float, calls: tuple[tuple[int, float], ...] = ()
) -> Measurement:
    return Measurement(
        "x", "stop", 10, len(tokens), 0.1, 0.05, 200.0, 1.0, speed, 0, 0, 0, tokens, calls
    )


def cell(question: str, measurement: Measurement | None, status: str = "ok") -> CellRecord:
    spec = {"engine": {"name": "embedded"}}
    identity = CellId("hw", "m", "baseline", "s", question)
    return CellRecord(
        identity, question, spec, status, None, measurement, 1.0, 1.0, 1, {}, "e", "2026", "r"
    )


def pair(question: str, old: Measurement, new: Measurement | None, status: str = "ok") -> Pair:
    return Pair(cell(question, old), cell(question, new, status))


EXACT = pair("a", measured((1, 2, 3), 100.0), measured((1, 2, 3), 90.0))
TIE = pair("b", measured((1, 2, 3), 100.0, ((1, 0.2),)), measured((1, 9, 3), 90.0))
CLEAR = pair("c", measured((1, 2, 3), 100.0, ((1, 0.9),)), measured((1, 9, 3), 90.0))
UNSTORED = pair("d", measured((1, 2, 3), 100.0), measured((1, 2), 90.0))
FAILED = pair("e", measured((1,), 100.0), None, "error")
GONE = Pair(cell("f", measured((1,), 100.0)), None)
NOT_REACHED = replace(GONE, stopped=True)


def test_equality() -> None:
    found = [p.equality for p in (EXACT, TIE, CLEAR, UNSTORED, FAILED, GONE)]
    assert found == [
        Equality.EXACT, Equality.NUMERIC_TIE, Equality.DIFFERENT, Equality.DIFFERENT,
        Equality.FAILED, Equality.FAILED,
    ]  # fmt: skip
    assert TIE.divergence == (1, 0.2) and UNSTORED.divergence == (2, None)


def test_a_stopped_jobs_missing_cells_are_not_reached_and_its_others_keep_their_result() -> None:
    assert NOT_REACHED.equality is Equality.NOT_REACHED
    assert replace(FAILED, stopped=True).equality is Equality.FAILED
    assert replace(EXACT, stopped=True).equality is Equality.EXACT
    found = summarise([EXACT, NOT_REACHED, FAILED])
    assert found.counts == {Equality.EXACT: 1, Equality.NOT_REACHED: 1, Equality.FAILED: 1}
    assert found.exact is not None and (found.exact.value, found.exact.n) == (1.0, 1)
    text = to_markdown("x", [EXACT, NOT_REACHED, FAILED], ())
    assert "2 of 3 stored cells were measured again: the run was stopped before the other 1" in text
    assert (
        "| failed | 1 |" in text
        and "| not reached | 1 |" in text
        and "`hw/m/baseline/s/f`" not in text
    )
    assert "hw/m/baseline/s/f,embedded,not reached,,," in to_csv([NOT_REACHED])
    assert "Environment: not known, since no cell was measured." in to_markdown(
        "x", [NOT_REACHED, GONE], ()
    )
    assert "1 stored cells were measured again." in to_markdown("x", [EXACT], ())


def test_drift_is_the_median_of_paired_ratios_with_an_interval() -> None:
    pairs = [
        pair(
            f"q{n}", measured((1, 2), 100.0 + n), measured((1, 2), (100.0 + n) * (0.90 + 0.01 * n))
        )
        for n in range(9)
    ]
    found = summarise(pairs)
    assert found.counts == {Equality.EXACT: 9}
    drift = found.drift["decode_tokens_per_s"]
    assert drift.value == pytest.approx(0.94) and drift.n == 9
    assert (
        drift.low is not None
        and drift.high is not None
        and 0.90 <= drift.low < 0.94 < drift.high <= 0.98
    )
    assert found.drift["ttft_s"].value == pytest.approx(1.0)
    assert (
        found.exact is not None
        and found.exact.value == 1.0
        and found.exact.low is not None
        and found.exact.low < 0.9
    )


def test_the_report_names_what_is_not_exact_and_claims_nothing_of_failures() -> None:
    pairs = [EXACT, TIE, CLEAR, FAILED]
    text = to_markdown("of a test", pairs, ())
    assert "| exact | 1 |" in text and "| failed | 1 |" in text and "Environment: the same." in text
    assert "| `hw/m/baseline/s/b` | numeric tie | 1 | 0.200 |" in text
    assert "| `hw/m/baseline/s/e` | failed | – | – |" in text and "too few for an interval" in text
    assert (
        to_csv(pairs)
        .splitlines()[2]
        .startswith("hw/m/baseline/s/b,embedded,numeric tie,1,0.2,100.0,90.0")
    )
    made = to_json(pairs, ())
    assert made["answers"] == {
        "exact": 1,
        "numeric tie": 1,
        "different": 1,
        "failed": 1,
        "not reached": 0,
    }
    assert made["exact"]["n"] == 3
    nothing = to_json([FAILED], ())
    assert nothing["exact"] is None and nothing["drift"]["ttft_s"] is None
    assert "nothing to compare" in to_markdown("x", [FAILED], ())


def test_repeats_and_engines_of_a_question_are_cells_of_their_own() -> None:
    other = Pair(replace(CLEAR.old, cell=EXACT.old.cell, digest="other"), CLEAR.new)
    found = summarise([EXACT, other])
    assert found.drift["decode_tokens_per_s"].n == 2
    assert found.exact is not None and (found.exact.value, found.exact.n, found.exact.clusters) == (
        0.5,
        2,
        2,
    )
