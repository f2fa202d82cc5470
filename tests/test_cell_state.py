"""Why a cell is stale: the fields of its spec that differ, from what to what."""

from __future__ import annotations

import pytest

from scripts.lib.cell_state import changes

OLD = {"sampling": {"temperature": 0.0, "stop": []}, "mode": {}, "weights": {"quant": "Q4_0"}}


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (OLD, []),
        ({**OLD, "weights": {"quant": "Q8_0"}}, ['weights.quant: "Q4_0" -> "Q8_0"']),
        (
            {**OLD, "sampling": {"temperature": 0.5, "stop": ["."]}},
            ["sampling.temperature: 0.0 -> 0.5", 'sampling.stop: [] -> ["."]'],
        ),
        ({**OLD, "mode": {"lookup_n": 3}}, ["mode.lookup_n: (not there) -> 3", "mode: {} -> (not there)"]),
        ({"sampling": OLD["sampling"], "mode": {}}, ['weights.quant: "Q4_0" -> (not there)']),
    ],
)
def test_changes_name_the_field_and_both_values(new: dict[str, object], said: list[str]) -> None:
    assert [str(change) for change in changes(OLD, new)] == said


def test_long_values_are_cut() -> None:
    (change,) = changes({"prompt": "a" * 500}, {"prompt": "b" * 500})
    assert len(change.old) < 70 and change.old.endswith("…")
