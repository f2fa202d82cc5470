"""The record of a comparison: what is written is read back, and impossible figures are refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.lib.base.stored_json import Damaged, digest, sealed
from scripts.lib.fidelity.record import (
    FidelityId,
    FidelityRecord,
    Measured,
    parse_fidelity,
    read_fidelity,
)

SPEC = {"weights": "w"}
MEASURED = Measured(
    (0.0, 0.0123, 1.5e-7, 2.0), (True, True, False, True), 2, 0.4, 0.1, 0.7, -1.5, -1.4, 0.25
)
RECORD = FidelityRecord(
    FidelityId("h", "m", "moe4", "math", "q1"), digest(SPEC), SPEC, "ok", None, MEASURED,
    {"n_expert_used": "4"}, "e", "2026-01-01T00:00:00+00:00", "run",
)  # fmt: skip


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    file = tmp_path / RECORD.place
    file.parent.mkdir(parents=True)
    file.write_text(RECORD.to_json())
    assert read_fidelity(file) == RECORD


def test_a_failure_has_a_reason_and_no_figures() -> None:
    failed = replace(RECORD, status="error", error="llama_decode failed", measured=None)
    assert parse_fidelity(failed.to_json(), "x") == failed


def test_a_renamed_file_is_damaged(tmp_path: Path) -> None:
    file = tmp_path / RECORD.place.replace("moe4", "baseline")
    file.parent.mkdir(parents=True)
    file.write_text(RECORD.to_json())
    with pytest.raises(Damaged, match="copied or renamed"):
        read_fidelity(file)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("kl", "0 0.01 -0.5 2", "at least 0"),
        ("kl", "0 0.01 inf 2", "at least 0"),
        ("kl", "0 0.01 nan 2", "at least 0"),
        ("kl", "0 0.01", "2 divergences, 4 first choices"),
        ("same_first", "1x01", "expected 0 and 1"),
        ("answer_at", 5, "answer_at 5 of 4 places"),
        ("logprob", 0.5, "at most 0"),
        ("bound", -1, "at least 0"),
    ],
)
def test_impossible_figures_are_damage_even_if_sealed(
    place: str, value: object, message: str
) -> None:
    raw = json.loads(RECORD.to_json())
    raw["measured"][place] = value
    with pytest.raises(Damaged, match=message):
        parse_fidelity(json.dumps(sealed(raw)), "x")


def test_an_edited_record_is_damaged() -> None:
    with pytest.raises(Damaged, match="changed since it was written"):
        parse_fidelity(RECORD.to_json().replace("0.0123", "0.0023"), "x")


def test_a_status_without_its_figures_is_damaged() -> None:
    raw = json.loads(RECORD.to_json()) | {"measured": None}
    with pytest.raises(Damaged, match="does not fit"):
        parse_fidelity(json.dumps(sealed(raw)), "x")
