"""The stored distributions of a reference: what is written is read back, and damage is found."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from scripts.lib.base.stored_json import Damaged, digest
from scripts.lib.fidelity.distributions import SAMPLES, Distributions, cut
from scripts.lib.fidelity.store import (
    Reference,
    parse_reference,
    read_reference,
    reference_bytes,
    write_reference,
)

SPEC = {"weights": "w", "block": "b"}
VOCABULARY = 70_000


def distributions(places: int = 40) -> Distributions:
    rng = np.random.default_rng(0)
    logits = (rng.standard_normal((places, VOCABULARY)) * 2).astype(np.float32)
    logits[:, :10] += 8
    return cut(logits, np.zeros(places, np.uint32), rng.random((places, SAMPLES)))


def reference(**changes: object) -> Reference:
    made = Reference(
        "h/m/baseline/math/q1", digest(SPEC), SPEC, "ok", None, "t", 3, VOCABULARY, distributions(),
        "e", "2026-01-01T00:00:00+00:00", "run",
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    file, stored = tmp_path / "a/q1.ref", reference()
    write_reference(file, stored)
    found = read_reference(file)
    assert replace(found, distributions=None) == replace(stored, distributions=None)
    assert found.distributions is not None and stored.distributions is not None
    for field in fields(Distributions):
        before, after = (getattr(r.distributions, field.name) for r in (stored, found))
        assert before.dtype == after.dtype and (before == after).all(), field.name


def test_a_reference_that_failed_has_a_file_without_numbers(tmp_path: Path) -> None:
    failed = reference(status="error", error="out of memory", distributions=None)
    write_reference(tmp_path / "q.ref", failed)
    assert read_reference(tmp_path / "q.ref") == failed


def test_a_flipped_bit_is_found_wherever_it_is() -> None:
    content = reference_bytes(reference(distributions=distributions(3)))
    rng = np.random.default_rng(1)
    for place in [0, 1, content.index(b"\n"), len(content) - 1, *rng.integers(0, len(content), 60)]:
        damaged = bytearray(content)
        damaged[place] ^= 4
        with pytest.raises(Damaged, match="damaged"):
            parse_reference(bytes(damaged), "x")


@pytest.mark.parametrize("cut_at", [0, 10, 600, -1])
def test_a_file_that_was_cut_off_is_damaged(cut_at: int) -> None:
    with pytest.raises(Damaged):
        parse_reference(reference_bytes(reference())[:cut_at], "x")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"spec": {"weights": "another"}}, "its spec does not have the digest"),
        ({"vocabulary": 50}, "expected ascending numbers below 50"),
        ({"answer_at": 41}, "answer_at 41"),
    ],
)
def test_a_record_that_contradicts_itself_is_refused(changes: dict, message: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(Damaged, match=message):
        parse_reference(reference_bytes(reference(**changes)), "x")


def test_a_missing_file_is_no_damage(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_reference(tmp_path / "q.ref")
