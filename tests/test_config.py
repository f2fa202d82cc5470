"""The configuration is closed: what is misspelt, of the wrong type or out of range is named with its place."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.lib.config import CONFIG_FILE, load_config, matches, merge, parse_config, typed_like
from scripts.lib.errors import BenchError, InputErrors

GOOD = yaml.safe_load(CONFIG_FILE.read_text())


def changed(**changes: Any) -> dict[str, Any]:
    raw = copy.deepcopy(GOOD)
    for key, value in changes.items():
        *path, last = key.split("__")
        place = raw
        for part in path:
            place = place[part]
        place[last] = value
    return raw


def test_the_shipped_files_are_valid() -> None:
    quick, full = load_config(), load_config((Path("config/full.yaml"),))
    assert (quick.tiers, quick.sampling.max_tokens) == ((1,), 128)
    assert (full.tiers, full.sampling.max_tokens, full.decoding.modes) == ((1, 2, 3), None, ("*",))
    assert quick.sampling.temperature is None, "greedy unless the registry says otherwise"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modles": ["*"]}, "modles: unknown key; did you mean 'models'?"),
        ({"sampling__max_tokens": -5}, "sampling.max_tokens: expected a number of at least 1, found -5"),
        ({"sampling__sede": 3}, "sampling.sede: unknown key; did you mean 'seed'?"),
        ({"engine": "embeded"}, "engine: unknown value 'embeded'; did you mean 'embedded'?"),
        ({"tiers": []}, "tiers: expected a list of at least this many entries: 1, found []"),
        ({"repeats": "two"}, "repeats: expected a value of type integer, found 'two'"),
        ({"hardware": "../x"}, "hardware: expected a name that fits"),
    ],
)
def test_mistakes_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputErrors) as caught:
        parse_config(changed(**changes))
    assert message in str(caught.value)


def test_all_mistakes_are_reported_at_once() -> None:
    raw = changed(modles=1, engine="x", sampling__seed=-1, context__length_tokens="long")
    with pytest.raises(InputErrors) as caught:
        parse_config(raw)
    assert len(caught.value.problems) == 4


def test_merging_is_by_key_and_lists_are_replaced() -> None:
    assert merge({"a": {"b": 1, "c": 2}, "l": [1]}, {"a": {"c": 3}, "l": [2]}) == {"a": {"b": 1, "c": 3}, "l": [2]}


def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("- models\n")
    with pytest.raises(BenchError, match="expected a mapping"):
        load_config((file,))
    file.write_text("a: [1\n")
    with pytest.raises(BenchError, match="not YAML"):
        load_config((file,))


def test_patterns_fit_whole_names() -> None:
    assert matches("lookup_n3", ("lookup_*",)) and not matches("moe4_lookup_n3", ("lookup_*",))


def test_numbers_inside_a_mapping_of_the_command_line_are_numbers() -> None:
    given = {"sampling": {"top_p": "0.9", "seed": "7", "temperature": "null"}, "tiers": ["2", "3"], "models": ["123"]}
    over = typed_like(GOOD, given)
    assert over["sampling"] == {"top_p": 0.9, "seed": 7, "temperature": None}
    assert over["tiers"] == [2, 3] and over["models"] == ["123"]
    assert parse_config(merge(GOOD, over)).sampling.top_p == 0.9
