"""The losslessness verdict: identical, a numeric tie with its evidence, or a loss."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scripts.lib.planning.cell_record import CellRecord
from scripts.lib.results.certificate import Certificate, Exactness, certify, first_divergence, worst
from tests.factories.cells import CELL, MEASURED


def record(
    tokens: tuple[int, ...], calls: tuple[tuple[int, float], ...] = (), **changes: object
) -> CellRecord:
    spec = {"sampling": {"temperature": changes.pop("temperature", 0.0)}}
    measured = replace(MEASURED, token_ids=tokens, close_calls=calls)
    return replace(CELL, spec=spec, measurement=measured, **changes)  # type: ignore[arg-type]


BASE = record((5, 6, 7, 8), calls=((1, 0.03), (2, 0.9)))


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ((5, 6, 7, 8), Certificate(Exactness.EXACT)),
        ((5, 9, 7, 8), Certificate(Exactness.NUMERIC_TIE, 1, 0.03)),
        ((5, 6, 9), Certificate(Exactness.LOSSY, 2, 0.9)),
        ((9, 6, 7, 8), Certificate(Exactness.LOSSY, 0, None)),
        ((5, 6, 7), Certificate(Exactness.LOSSY, 3, None)),
    ],
)
def test_verdicts(tokens: tuple[int, ...], expected: Certificate) -> None:
    assert certify(BASE, record(tokens)) == expected


def test_nothing_to_compare_is_unknown() -> None:
    unknown = Certificate(Exactness.UNKNOWN)
    assert certify(None, BASE) == unknown
    assert certify(replace(BASE, status="error", measurement=None), BASE) == unknown
    assert certify(BASE, replace(BASE, status="timeout")) == unknown


def test_a_sampled_answer_is_exact_or_differs_whatever_the_gap() -> None:
    sampled = record((5, 6, 7, 8), calls=((1, 0.03),), temperature=0.7)
    assert certify(sampled, record((5, 6, 7, 8), temperature=0.7)) == Certificate(Exactness.EXACT)
    other = certify(sampled, record((5, 9, 7, 8), temperature=0.7))
    assert other == Certificate(Exactness.DIFFERS, 1) and str(other) == "differs (token 1)"


def test_the_shards_verdict_is_its_worst() -> None:
    assert worst(["exact", "numeric tie", "exact"]) is Exactness.NUMERIC_TIE
    assert worst(["exact", "lossy", "numeric tie"]) is Exactness.LOSSY
    assert worst(["numeric tie", "differs", "exact"]) is Exactness.DIFFERS
    assert worst(["differs", "lossy"]) is Exactness.LOSSY
    assert worst(["exact", "unknown"]) is Exactness.EXACT
    assert worst([]) is Exactness.UNKNOWN


def test_divergence_and_text() -> None:
    assert first_divergence((1, 2), (1, 2)) is None
    assert first_divergence((1, 2), (1, 2, 3)) == 2
    assert (
        str(Certificate(Exactness.NUMERIC_TIE, 12, 0.0148)) == "numeric tie (token 12, gap 0.015)"
    )
    assert str(Certificate(Exactness.LOSSY, 0)) == "lossy (token 0, gap >= 1)"
    assert str(Certificate(Exactness.EXACT)) == "exact"
