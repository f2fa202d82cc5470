"""The configuration is closed: a misspelt key, a wrong type or range is reported with its place."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.lib.base.errors import BenchError, InputErrors
from scripts.lib.base.globs import matches
from scripts.lib.base.yaml_file import read_whole
from scripts.lib.planning.plan import make_plan
from scripts.lib.settings.run_config import (
    CONFIG_FILE,
    CONFIG_VARIABLE,
    load_config,
    merge,
    merged,
    parse_config,
    read_layers,
    typed_like,
)
from scripts.lib.settings.speculators import SETTINGS
from scripts.lib.workflow.invocation import read_invocation
from scripts.lib.workflow.targets import SHIPPED, configuration_layers
from tests.factories.commands import call
from tests.factories.plans import planner

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


@pytest.mark.parametrize(("target", "file"), SHIPPED.items())
def test_a_target_with_a_configuration_of_its_own_asks_for_what_exists(
    target: str, file: Path
) -> None:
    layers = configuration_layers(read_invocation(["-n", target]), (), {})
    config = parse_config(merged(layers), sources=layers)
    assert [layer.file for layer in layers] == [str(CONFIG_FILE), str(file)]
    plan = make_plan(planner(config))
    assert plan.shards, target


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modles": ["*"]}, "modles: unknown key; did you mean 'models'?"),
        ({"depths": [0, -1]}, "depths: expected a list of tokens from 0 to 10,000,000, found"),
        ({"depths": [4096]}, "depths: expected 0 among them, to compare with, found [4096]"),
        ({"depths": [0, 64, 64]}, "depths: expected each depth once, found [0, 64, 64]"),
        ({"depth_sample": 0}, "depth_sample: expected a whole number of at least 1, found 0"),
        (
            {"sampling__max_tokens": -5},
            "sampling.max_tokens: expected a whole number of at least 1, found -5",
        ),
        ({"sampling__sede": 3}, "sampling.sede: unknown key; did you mean 'seed'?"),
        ({"engine": "embeded"}, "engine: unknown value 'embeded'; did you mean 'embedded'?"),
        ({"tiers": []}, "tiers: is empty"),
        ({"repeats": "two"}, "repeats: expected a whole number from 1 to 1000, found 'two'"),
        ({"hardware": "../x"}, "hardware: expected letters, digits, "),
        ({"models": "*"}, "models: expected a list of texts, none of them empty, found '*'"),
        ({"suites": "math"}, "suites: expected a list of texts, none of them empty, found 'math'"),
        ({"questions": "*"}, "questions: expected a list of texts, none of them empty, found '*'"),
        ({"decoding__modes": "*"}, "decoding.modes: expected a list of texts, none of them empty"),
        ({"judge__scorers": "checks"}, "judge.scorers: expected a list of texts, found 'checks'"),
        ({"context__kv_type_k": ""}, "context.kv_type_k: is empty"),
        (
            {"judge__scope": "uncheckd"},
            "judge.scope: unknown value 'uncheckd'; did you mean 'unchecked'?",
        ),
        ({"judge__pairs": [["a"]]}, "judge.pairs[0]: expected two setups such as [KEY, KEY/MODE]"),
        ({"judge__pairs": "a"}, "judge.pairs[0]: expected two setups"),
        (
            {"judge__pairs": [["a", "a/baseline"]]},
            "judge.pairs[0]: expected two different setups, found a/baseline twice",
        ),
    ],
)
def test_mistakes_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputErrors) as caught:
        parse_config(changed(**changes))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ("sampling", "temperature"),
        ("sampling", "max_tokens"),
        ("context", "length_tokens"),
        ("context", "flash_attention"),
        ("context", "kv_type_v"),
        ("timeouts", "cell_s"),
    ],
)
def test_a_key_that_may_be_null_must_be_there(section: str, key: str) -> None:
    raw = changed()
    raw[section][key] = None
    parse_config(raw)
    del raw[section][key]
    with pytest.raises(InputErrors, match=rf"{section}\.{key}: is missing"):
        parse_config(raw)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"ngram_mod__n_mach": 24},
            "decoding.speculators.ngram_mod.n_mach: unknown key; did you mean 'n_match'?",
        ),
        (
            {"ngram_modd": {"n_max": 3}},
            "decoding.speculators.ngram_modd: unknown key; did you mean 'ngram_mod'?",
        ),
        (
            {"ngram_mod__n_max": 1025},
            "decoding.speculators.ngram_mod.n_max: expected a whole number from 1 to 1024, "
            "found 1025",
        ),
        (
            {"ngram_map_k__size_n": 2.5},
            "decoding.speculators.ngram_map_k.size_n: expected a whole number from 1 to 1024, "
            "found 2.5",
        ),
        (
            {"drafting__p_min": 1.5},
            "decoding.speculators.drafting.p_min: expected a number from 0 to 1, found 1.5",
        ),
        (
            {"drafting__n_min": "two"},
            "decoding.speculators.drafting.n_min: expected a whole number from 0 to 512, "
            "found 'two'",
        ),
        ({"ngram_cache": {}}, "decoding.speculators.ngram_cache: unknown key"),
        ({"drafting": None}, "decoding.speculators.drafting: "),
    ],
)
def test_a_mistake_in_a_speculators_settings_is_named(
    changes: dict[str, Any], message: str
) -> None:
    raw = changed(**{f"decoding__speculators__{key}": value for key, value in changes.items()})
    with pytest.raises(InputErrors) as caught:
        parse_config(raw)
    assert message in str(caught.value) and len(caught.value.problems) == 1


@pytest.mark.parametrize("section", ["ngram_map_k", "ngram_mod", "drafting"])
def test_a_speculators_section_and_each_of_its_settings_must_be_there(section: str) -> None:
    for key in GOOD["decoding"]["speculators"][section]:
        raw = changed()
        del raw["decoding"]["speculators"][section][key]
        with pytest.raises(
            InputErrors, match=rf"decoding\.speculators\.{section}\.{key}: is missing"
        ):
            parse_config(raw)
    raw = changed()
    del raw["decoding"]["speculators"][section]
    with pytest.raises(InputErrors, match=rf"decoding\.speculators\.{section}: is missing"):
        parse_config(raw)


def test_the_shipped_settings_are_the_tables_defaults() -> None:
    assert load_config().decoding.speculators == {
        name: {key: knob.default for key, knob in knobs.items()} for name, knobs in SETTINGS.items()
    }


def test_all_mistakes_are_reported_at_once() -> None:
    raw = changed(modles=1, engine="x", sampling__seed=-1, context__length_tokens="long")
    with pytest.raises(InputErrors) as caught:
        parse_config(raw)
    assert len(caught.value.problems) == 4


def test_merging_is_by_key_and_lists_are_replaced() -> None:
    assert merge({"a": {"b": 1, "c": 2}, "l": [1]}, {"a": {"c": 3}, "l": [2]}) == {
        "a": {"b": 1, "c": 3},
        "l": [2],
    }


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
    given = {
        "sampling": {"top_p": "0.9", "seed": "7", "temperature": "null"},
        "tiers": ["2", "3"],
        "models": ["123"],
    }
    over = typed_like(GOOD, given)
    assert over["sampling"] == {"top_p": 0.9, "seed": 7, "temperature": None}
    assert over["tiers"] == [2, 3] and over["models"] == ["123"]
    assert parse_config(merge(GOOD, over)).sampling.top_p == 0.9


# --- YAML 1.2, and nothing said twice ---


def over(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    return file


def test_the_shipped_files_mean_the_same_in_both_versions_of_yaml() -> None:
    for file in sorted(Path("config").glob("*.yaml")):
        assert read_whole(file).value == yaml.safe_load(file.read_text()), file


def test_a_config_file_is_yaml_1_2(tmp_path: Path) -> None:
    config = load_config(
        (over(tmp_path, "sampling: {seed: 010}\npreflight: off\ntimeouts: {cell_s: 1e3}\n"),)
    )
    assert (config.sampling.seed, config.preflight, config.cell_timeout_s) == (10, "off", 1000.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "timeouts:\n  cell_s: 10:00\n",
            ":2: timeouts.cell_s: expected a number above 0, found '10:00'",
        ),
        ("sample: 1_000\n", ":1: sample: expected a whole number of at least 1, found '1_000'"),
        ("sample: 0x10\n", ":1: sample: expected a whole number of at least 1, found '0x10'"),
        (
            "context: {flash_attention: on}\n",
            ":1: context.flash_attention: expected true, false or auto, found 'on'",
        ),
        ("preflight: no\n", ":1: preflight: unknown value 'no'; known: off, refuse, tag"),
        (
            "sampling:\n  seed: 1\n  sede: 2\n",
            ":3: sampling.sede: unknown key; did you mean 'seed'?",
        ),
        (
            "tiers: [1]\nmodels:\n  - 7\n",
            ":2: models: expected a list of texts, none of them empty, found [7]",
        ),
    ],
)
def test_a_mistake_has_its_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    file = over(tmp_path, text)
    with pytest.raises(InputErrors) as caught:
        load_config((file,))
    assert str(caught.value) == f"{file}{message}"


def test_a_mistake_is_told_of_the_file_that_says_it(tmp_path: Path) -> None:
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("sampling:\n  seed: -1\n  top_p: 7\n")
    second.write_text("repeats: 0\nsampling: {top_p: 1}\n")
    with pytest.raises(InputErrors) as caught:
        load_config((first, second))
    assert [problem.file for problem in caught.value.problems] == [f"{first}:2", f"{second}:1"]


@pytest.mark.parametrize(
    ("text", "place", "line", "first"),
    [
        ("sampling: {seed: 1}\nrepeats: 2\nsampling: {top_p: 0.5}\n", "sampling", 3, 1),
        ("decoding:\n  speed_sample: 1\n  speed_sample: 2\n", "decoding.speed_sample", 3, 2),
        ("judge:\n  claude:\n    max_usd: 1\n    max_usd: 900\n", "judge.claude.max_usd", 4, 3),
        ('{"sample": 1,\n "sample": 2}\n', "sample", 2, 1),
    ],
)
def test_a_key_said_twice_is_an_error(
    tmp_path: Path, text: str, place: str, line: int, first: int
) -> None:
    file = over(tmp_path, text)
    with pytest.raises(InputErrors) as caught:
        load_config((file,))
    assert str(caught.value) == f"{file}:{line}: {place}: duplicate key (first on line {first})"


def test_a_key_said_twice_ends_a_command_with_one_message(tmp_path: Path) -> None:
    file = over(tmp_path, "sampling: {seed: 1}\nsampling: {top_p: 0.5}\n")
    done = call("scripts.plan", "--configfile", file)
    assert (done.returncode, done.stderr) == (
        1,
        f"error: {file}:2: sampling: duplicate key (first on line 1)\n",
    )


def _numbers(raw: dict[str, Any], path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for key, value in raw.items():
        if isinstance(value, dict):
            found += _numbers(value, (*path, key))
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            found.append((*path, key))
    return found


@pytest.mark.parametrize("path", [*_numbers(GOOD), ("sampling", "temperature")], ids=".".join)
def test_no_number_is_nan_or_without_end(tmp_path: Path, path: tuple[str, ...]) -> None:
    place = ".".join(path)
    for number in (float("nan"), float("inf"), -float("inf")):
        raw = changed(**{"__".join(path): number})
        with pytest.raises(InputErrors) as caught:
            parse_config(raw)
        said = str(caught.value)
        assert said.startswith(f"config/config.yaml: {place}: expected a")
        assert said.endswith(f"found {number}")
    for text in (".nan", ".inf", "-.inf", "nan", "1e999"):
        nested: Any = text
        for key in reversed(path):
            nested = f"{{{key}: {nested}}}" if key != path[0] else f"{key}: {nested}\n"
        file = over(tmp_path, nested)
        with pytest.raises(
            InputErrors, match=rf"{file}:1: {place}: expected .* found '?(-?\.?(nan|inf))'?$"
        ):
            load_config((file,))


def test_a_handed_down_nan_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CONFIG_VARIABLE, json.dumps(changed(judge__claude__max_usd=float("nan"))))
    with pytest.raises(
        InputErrors, match=r"judge\.claude\.max_usd: expected a number of at least 0, found nan"
    ):
        load_config()


def given(tmp_path: Path, *arguments: str) -> dict[str, Any]:
    """The configuration of a call of Snakemake, as the Snakefile sees it."""
    from snakemake.cli import parse_args
    from snakemake.cli import parse_config as snakemakes

    _, asked = parse_args(["-n", *arguments])
    files = [file.absolute() for file in asked.configfile]
    layers = configuration_layers(
        read_invocation(["-n", *arguments]), files, snakemakes(asked.config)
    )
    parse_config(merged(layers), sources=layers)
    return merged(layers)


@pytest.mark.parametrize(
    ("setting", "place", "value"),
    [
        ("sample=010", "sample", 10),
        ("preflight=off", "preflight", "off"),
        ("sampling={seed: 010, temperature: null}", "sampling.seed", 10),
        ("sampling={'seed': '7'}", "sampling.seed", 7),
        ("timeouts={cell_s: 1e3}", "timeouts.cell_s", 1000.0),
        ("hardware=123", "hardware", "123"),
        ("models=[123, '*']", "models", ["123", "*"]),
        ("tiers=[1, 02]", "tiers", [1, 2]),
        ("server_binary=10:00", "server_binary", "10:00"),
        ("judge={claude: {max_usd: 010}}", "judge.claude.max_usd", 10),
    ],
)
def test_a_setting_of_the_command_line_means_what_it_means_in_a_file(
    tmp_path: Path, setting: str, place: str, value: object
) -> None:
    found: Any = given(tmp_path, "--config", setting)
    for key in place.split("."):
        found = found[key]
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("sample=1_000", "--config: sample: expected a whole number of at least 1, found '1_000'"),
        ("sample=10:00", "--config: sample: expected a whole number of at least 1, found '10:00'"),
        (
            "timeouts={cell_s: nan}",
            "--config: timeouts.cell_s: expected a number above 0, found 'nan'",
        ),
        (
            "judge={claude: {max_usd: .nan}}",
            "--config: judge.claude.max_usd: expected a number of at least 0, found '.nan'",
        ),
        (
            "judge={claude: {max_usd: 1e999}}",
            "--config: judge.claude.max_usd: expected a number of at least 0, found inf",
        ),
        ("preflight=False", "--config: preflight: unknown value 'False'; known: off, refuse, tag"),
        ("sampling={seed: 1, seed: 2}", "--config: sampling.seed: duplicate key"),
        ("sampling=[1", "--config: sampling: expected a mapping, found '[1'"),
        ("modles=[x]", "--config: modles: unknown key; did you mean 'models'?"),
    ],
)
def test_a_mistake_on_the_command_line_is_told_of_it(
    tmp_path: Path, setting: str, message: str
) -> None:
    with pytest.raises(InputErrors) as caught:
        given(tmp_path, "--config", setting)
    assert str(caught.value) == message


def test_snakemakes_reading_of_a_file_is_not_taken(tmp_path: Path) -> None:
    file = over(tmp_path, "sampling: {seed: 010}\npreflight: off\nsample: 7\n")
    found = given(tmp_path, "--configfile", str(file), "--config", "sample=9")
    assert (found["sampling"]["seed"], found["preflight"], found["sample"]) == (10, "off", 9)
    file.write_text("sampling: {seed: 1}\nsampling: {top_p: 0.5}\n")
    with pytest.raises(
        InputErrors, match=r"mine\.yaml:2: sampling: duplicate key \(first on line 1\)"
    ):
        given(tmp_path, "--configfile", str(file))


def test_settings_that_are_not_on_our_command_line_are_taken_as_snakemake_has_them() -> None:
    layers = configuration_layers(
        read_invocation(["-n"]), [], {"sample": 5, "sampling": {"seed": "7"}}
    )
    assert merged(layers)["sample"] == 5 and merged(layers)["sampling"]["seed"] == 7
    assert re.fullmatch(r"[^:]+", layers[-1].file) and len(read_layers(())) == 1
