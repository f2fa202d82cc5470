"""Values as the report holds them."""

from __future__ import annotations

import json

from scripts.lib.base.estimates import Estimate
from scripts.lib.pages.compact import compact_column, compact_estimate, packed, unpacked
from tests.factories.hostile import HOSTILE


def test_a_columns_shortest_form_is_kept() -> None:
    assert compact_column(["same"] * 3) == "same" and compact_column([None]) is None
    assert compact_column([]) == [] and compact_column([1, 2]) == [1, 2]
    coded = compact_column(["numeric tie", "exact"] * 20)
    assert coded == {"names": ["numeric tie", "exact"], "at": [0, 1] * 20}
    assert json.dumps(compact_column([1, True])) == "[1, true]", "they are two values"


def test_an_estimate_is_rounded_and_its_missing_ends_stay_missing() -> None:
    assert compact_estimate(Estimate(0.123456, None, None, 9, 3)) == [0.1235, None, None, 3]
    assert compact_estimate(None) is None


def test_packed_texts_come_back_and_cannot_close_an_element() -> None:
    texts = list(HOSTILE.values())
    text = packed(texts)
    assert unpacked(text) == json.loads(json.dumps(texts)) == texts
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")
    assert packed(texts) == text, "the same bytes every time"
