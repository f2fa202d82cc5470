"""Symptoms of a sick answer: each is seen, and healthy answers show none."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from scripts.lib.planning.cell_record import Failure
from scripts.lib.results.symptoms import Symptom, ends_in_loop, symptoms

PROMPT = "Explain, in the order in which they happen, the steps of a TLS handshake. " * 4
COUNTING = list(range(200))


def record(
    answer: str = "fine",
    tokens: list[int] | None = None,
    status: str = "ok",
    failure: Failure | None = None,
    least: int | None = None,
    reason: str = "stop",
) -> object:
    ids = tokens or [1, 2, 3]
    measured = SimpleNamespace(
        answer=answer, token_ids=ids, completion_tokens=len(ids), finish_reason=reason
    )
    return SimpleNamespace(
        status=status,
        failure=failure,
        measurement=None if status == "error" else measured,
        spec={"sampling": {} if least is None else {"min_tokens": least}},
    )


@pytest.mark.parametrize(
    ("tokens", "loops"),
    [
        ([7] * 32, True),
        ([7] * 31, False),
        (COUNTING, False),
        (COUNTING + [1, 2, 3] * 11, True),
        (COUNTING + [1, 2, 3] * 11 + [1, 2], True),
        (COUNTING + [1, 2, 3] * 11 + [9], False),
        (list(range(100)) * 5, True),
        (list(range(100)) * 4, False),
        ([], False),
    ],
)
def test_loops(tokens: list[int], loops: bool) -> None:
    assert ends_in_loop(tokens) is loops


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (record(), ()),
        (record("  \n"), (Symptom.EMPTY,)),
        (record("So: " + PROMPT), (Symptom.ECHO,)),
        (record(PROMPT[:150]), ()),
        (record("caf� \x00\x07" * 3), (Symptom.GARBAGE,)),
        (record("naïve café — 你好\n\tcode"), ()),
        (record(tokens=[5] * 40), (Symptom.LOOP,)),
        (record(status="error", failure=Failure.GUARD), (Symptom.GUARD,)),
        (record(status="error", failure=Failure.ENGINE), (Symptom.CRASH,)),
        (record(" ", [5] * 40, "timeout"), (Symptom.EMPTY, Symptom.LOOP)),
        (record(tokens=COUNTING, least=201), (Symptom.SHORT,)),
        (record(tokens=COUNTING, least=200), ()),
        (record(tokens=COUNTING, least=201, reason="length"), ()),
        (record(" ", least=256), (Symptom.EMPTY, Symptom.SHORT)),
        (record(status="error", failure=Failure.ENGINE, least=256), (Symptom.CRASH,)),
    ],
)
def test_symptoms(given: object, found: tuple[str, ...]) -> None:
    assert symptoms(given, PROMPT) == found  # type: ignore[arg-type]
