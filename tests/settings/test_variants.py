"""Variants of the configuration: what they may change, and the variants of a list."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml

from scripts.lib.base.errors import InputErrors
from scripts.lib.settings.run_config import CONFIG_FILE, parse_config
from scripts.lib.settings.variants import Variant

GOOD = yaml.safe_load(CONFIG_FILE.read_text())


def parsed(variants: Any) -> tuple[Variant, ...]:
    return parse_config(copy.deepcopy(GOOD) | {"variants": variants}).variants


def test_a_variant_holds_what_it_changes_and_nothing_else() -> None:
    (found,) = parsed(
        {"kv": {"context": {"kv_type_k": "q8_0"}, "numa": "interleave=all", "mmap": False}}
    )
    assert found.context == {"kv_type_k": "q8_0"}
    assert found.hardware == {"numa": "interleave=all"}
    assert found.loading == {"mmap": False}
    assert (found.modes, found.models) == (("baseline",), ("*",))
    assert found.shown_changes == "kv_type_k q8_0, numa interleave=all, mmap false"


def test_a_list_of_threads_is_one_variant_of_each() -> None:
    found = parsed({"t": {"threads": [1, 8], "modes": ["lookup_n*"]}})
    assert [(v.name, v.hardware, v.sweep, v.swept) for v in found] == [
        ("t1", {"threads": 1}, "t", "threads"),
        ("t8", {"threads": 8}, "t", "threads"),
    ]
    assert {v.modes for v in found} == {("lookup_n*",)}


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        ({"a/b": {"threads": 1}}, "variants.a/b: expected letters, digits, '_', '.' and '-'"),
        ({"a@b": {"threads": 1}}, "variants.a@b: expected letters"),
        ({"a": {"thread": 1}}, "variants.a.thread: unknown key; did you mean 'threads'?"),
        ({"a": {}}, "variants.a: changes nothing"),
        ({"a": {"modes": ["baseline"], "repack": True}}, "variants.a: changes nothing"),
        ({"a": {"context": {"kv_type": "q8_0"}}}, "variants.a.context.kv_type: unknown key"),
        ({"a": {"context": {"kv_type_k": "q9"}}}, "unknown value 'q9'"),
        ({"a": {"mmap": "no"}}, "variants.a.mmap: expected true or false, found 'no'"),
        ({"a": {"threads": []}}, "variants.a.threads: expected whole numbers, found []"),
        ({"a": {"threads": [1, "two"]}}, "variants.a.threads: expected whole numbers"),
        (
            {"a": {"threads": [1], "batch_threads": [2]}},
            "variants.a: expected one list, found threads and batch_threads",
        ),
        ({"t": {"threads": [1]}, "t1": {"threads": 1}}, "gives a second variant 't1'"),
        ([1], "variants: expected a mapping, found [1]"),
    ],
)
def test_mistakes_are_named(variants: Any, message: str) -> None:
    with pytest.raises(InputErrors) as caught:
        parsed(variants)
    assert message in str(caught.value)
