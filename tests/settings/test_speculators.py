"""The table of speculators: what a spec says of each, as flags and as a limit."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.lib.settings.speculators import (
    BY_NAME,
    SETTINGS,
    SPECULATORS,
    Needs,
    knobs_of,
    speculations,
)

DEFAULTS: dict[str, dict[str, int | float]] = {name: {} for name in SETTINGS}


@pytest.mark.parametrize(
    ("spec", "most"),
    [
        ({"lookup_n": 3, "lookup_draft_tokens": 16}, [16]),
        ({"ngram_map_k": knobs_of("ngram_map_k", DEFAULTS)}, [48]),
        ({"ngram_map_k4v": {"size_n": 8, "size_m": 5, "min_hits": 1}}, [5]),
        ({"ngram_mod": {"n_match": 8, "n_min": 4, "n_max": 32}}, [32]),
        ({"ngram_cache": {}}, [8]),
        ({"mtp": {"k": 4}}, [4]),
        ({"draft": "f", "k": 6, "draft_kind": "eagle3"}, [6]),
        ({"mtp": {"k": 2}, "ngram_mod": {}}, [64, 2]),
    ],
)
def test_the_longest_draft_follows_from_the_spec(spec: dict[str, Any], most: list[int]) -> None:
    assert [speculation.most_drafted for speculation in speculations(spec)] == most


@pytest.mark.parametrize("row", SPECULATORS, ids=lambda row: row.name)
def test_every_row_limits_its_draft_by_a_setting_that_it_has(row: Any) -> None:
    assert BY_NAME[row.name] is row
    assert isinstance(row.longest, int) or row.longest in {**row.named, **row.knobs}
    assert row.is_ngram is (row.needs is Needs.NOTHING)
