"""The registry: the shipped one is sound, and what is wrong in any other is named with its line."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scripts.lib.base.errors import BenchError, InputErrors
from scripts.lib.base.yaml_file import read_yaml
from scripts.lib.planning.modes import expand_modes
from scripts.lib.registry_loader import load_registry, models_dir
from tests.factories.registries import GOOD, SHIPPED

ROLES = (
    *(
        "frontdoor",
        "coder_escalation",
        "architect_general",
        "architect_coding",
        "ingest_long_context",
    ),
    *("worker_general", "worker_vision", "worker_math"),
)


def load(tmp_path: Path, text: str):  # type: ignore[no-untyped-def]
    file = tmp_path / "registry.yaml"
    file.write_text(text)
    return load_registry(file)


def problems(tmp_path: Path, text: str) -> str:
    with pytest.raises(InputErrors) as caught:
        load(tmp_path, text)
    return str(caught.value)


def left_out(tmp_path: Path, text: str, key: str = "a") -> str:
    """Why that entry is left out; the other one is there."""
    registry = load(tmp_path, text)
    assert set(registry.left_out) == {key} and set(registry.models) == {"a", "d"} - {key}
    return "\n".join(map(str, registry.left_out[key]))


def test_the_shipped_registry_has_the_whole_catalogue() -> None:
    registry = load_registry(SHIPPED)
    assert {"smollm2_135m_q4_1", "smollm2_135m_q8_0", *ROLES} <= set(registry.models)
    assert sum(not m.deprecated for m in registry.models.values() if m.source is None) == 86
    for role in ROLES:
        model = registry.models[role]
        named = model.acceleration.draft_role
        assert named is None or registry.models[named].tier == "D"
    assert registry.models["ingest_long_context"].architecture == "ssm_moe_hybrid"


def test_the_shipped_registry_loads_and_expands_fast() -> None:
    start = time.process_time()
    registry = load_registry(SHIPPED)
    for model in registry.models.values():
        expand_modes(model, registry.models)
    assert time.process_time() - start < 1.0


def test_known_impossible_speed_ups_are_warned_of_with_their_line() -> None:
    registry = load_registry(SHIPPED)
    found = [str(w) for w in registry.warnings if "passes K + 1" in str(w)]
    assert any(
        "architect_qwen2_5_72b.performance.speedup: is impossible: 76.20x passes K + 1" in text
        for text in found
    )
    assert all(text.split(":")[1].isdigit() for text in found)


def test_what_an_entry_says_of_speculation(tmp_path: Path) -> None:
    drafted = "{type: speculative_decoding, draft_role: d, k: 16}"
    text = GOOD.replace(
        f"architecture: dense}}\n    acceleration: {drafted}",
        "architecture: qwen3next, nextn_predict_layers: 1}\n"
        "    acceleration: {type: mtp, k: 3, alternative: {type: mtp, k: 6}}\n"
        "    constraints: {allow: [speculative_decoding], reason: tried on build 7}",
    )
    registry = load(tmp_path, text)
    a = registry.models["a"]
    assert (a.nextn_predict_layers, a.acceleration.type, a.acceleration.k) == (1, "mtp", 3)
    assert (a.allow, a.constraint_reason) == ({"speculative_decoding"}, "tried on build 7")
    found = expand_modes(a, registry.models)
    assert {"moe8_mtp_k3", "moe8_mtp_k6", "moe8_mtp_k4"} <= {mode.name for mode in found.modes}
    assert found.warnings == (
        "speculates though it is recurrent: the registry allows it (tried on build 7)",
    )
    closed = load(tmp_path, text.replace("allow: [speculative_decoding], ", ""))
    found = expand_modes(closed.models["a"], closed.models)
    assert not [mode.name for mode in found.modes if mode.speculative]
    reasons = {item.mode: item.reason for item in found.left_out}
    for mode in ("moe8_mtp_k3", "moe8_mtp_k6", "mtp_*"):
        assert "never speculate, unless the entry has constraints.allow" in reasons[mode]


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("constraints: {allow: [speculation]}", "roles.a.constraints.allow: unknown value 'specul"),
        ("constraints: {allow: [prompt_lookup]}", "roles.a.constraints.allow: unknown value 'prom"),
        ("acceleration: {type: mpt}", "roles.a.acceleration.type: unknown value 'mpt'; did you me"),
        ("acceleration: {type: mtp, k: 0}", "roles.a.acceleration.k: expected a whole number of a"),
    ],
)
def test_a_mistake_about_speculation_is_named(tmp_path: Path, written: str, told: str) -> None:
    text = GOOD.replace("acceleration: {type: speculative_decoding, draft_role: d, k: 16}", written)
    assert told in left_out(tmp_path, text)


def test_values_are_typed(tmp_path: Path) -> None:
    registry = load(tmp_path, GOOD)
    a, d = registry.models["a"], registry.models["d"]
    assert (a.size_gb, a.temperature, a.acceleration.k, a.candidate_roles) == (
        4.0,
        0.3,
        16,
        ("coder",),
    )
    assert (a.line, registry.defaults.temperature) == (3, 0.2)
    assert registry.weights_path(a) == Path("/models/a.gguf")
    assert registry.weights_path(d) == Path("/elsewhere/d.gguf")


def test_environment_variables_move_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = load(tmp_path, GOOD)
    monkeypatch.setenv("ORCHESTRATOR_PATHS_MODEL_BASE", "/other")
    assert registry.weights_path(registry.models["a"]) == Path("/other/a.gguf")
    monkeypatch.setenv("EPYC_BENCH_MODELS", "/made")
    assert models_dir() == Path("/made")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("tier: B", "teir: B", "registry.yaml:4: roles.a.teir: unknown key; did you mean 'tier'?"),
        (
            "k: 16",
            "experst: 16",
            "roles.a.acceleration.experst: unknown key; did you mean 'experts'?",
        ),
        (
            "quant: Q4_K_M",
            "qunat: Q4_K_M",
            "registry.yaml:7: roles.a.model.qunat: unknown key; did you mean 'quant'?",
        ),
        (
            "    model: {name: A",
            "    modle: {name: A",
            "registry.yaml:7: roles.a.modle: unknown key; did you mean 'model'?",
        ),
        (
            "temperature: 0.3",
            "temperatur: 0.3",
            "roles.a.generation_defaults.temperatur: unknown key",
        ),
        (
            "temperature: 0.2",
            "temprature: 0.2",
            "registry.yaml:1: runtime_defaults.temprature: unknown key",
        ),
        ("name: A-7B", "name: 12:30:45", None),
        ("quant: Q4_K_M", "quant: no", None),
        (
            "description: first",
            "description: first\n    description: again",
            "duplicate key (first on line 5)",
        ),
        (
            "description: first",
            "description: !!python/object/apply:os.system [ls]",
            "is not allowed",
        ),
        ("  a:\n", '  "a\\0b":\n', "registry.yaml"),
        (
            "server_mode:",
            "runtime_quirk:",
            "runtime_quirk: unknown key; did you mean 'runtime_quirks'?",
        ),
        ("roles:\n", "roles: []\nold:\n", "roles: expected a mapping of at least one entry"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, old: str, new: str, message: str | None) -> None:
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    if message is None:
        load(tmp_path, text)
    else:
        assert message in problems(tmp_path, text)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("tier: B", "tier: E", "roles.a.tier: unknown value 'E'; known: A, B, C, D, X"),
        ("    tier: B\n", "", "roles.a.tier: is missing"),
        (
            "size_gb: 4",
            "size_gb: true",
            "roles.a.model.size_gb: expected a number of at least 0, found True",
        ),
        ("size_gb: 4", "size_gb: -1", "size_gb: expected a number of at least 0, found -1"),
        (
            "k: 16",
            "k: 0",
            "registry.yaml:8: roles.a.acceleration.k: expected a whole number of at least 1, "
            "found 0",
        ),
        ("k: 16", "k: 1e3", "acceleration.k: expected a whole number of at least 1, found 1000.0"),
        (
            "path: a.gguf",
            r'path: "a\nb.gguf"',
            "roles.a.model.path: has control characters, or more than 1000 characters",
        ),
        ("type: speculative_decoding", "type: speculative", "did you mean 'speculative_decoding'?"),
        (
            "candidate_roles: [coder]",
            "candidate_roles: {coder: 1}",
            "expected a list of texts, found {'coder': 1}",
        ),
    ],
)
def test_an_entry_with_a_defect_leaves_itself_out(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in GOOD
    assert message in left_out(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(BenchError, match=r"roles\.a"):
        load(tmp_path, GOOD.replace(old, new, 1)).entry("a")


@pytest.mark.parametrize("key", ["../x", "a" * 300, '"a\\nb"'])
def test_a_key_that_is_no_file_name_leaves_its_entry_out(tmp_path: Path, key: str) -> None:
    registry = load(tmp_path, GOOD.replace("  a:\n", f"  {key}:\n", 1))
    ((problem,),) = registry.left_out.values()
    assert set(registry.models) == {"d"} and "a key may hold letters" in str(problem)


def test_what_is_made_of_an_entry_that_is_left_out_is_left_out_too(tmp_path: Path) -> None:
    made = GOOD.replace("path: /elsewhere/d.gguf", "path: d.gguf, source: {requantize: a}")
    with pytest.raises(InputErrors, match=r"roles\.d\.model\.source\.requantize: 'a' is left out"):
        load(tmp_path, made.replace("k: 16", "k: 0"))
    nowhere = left_out(tmp_path, made.replace("requantize: a", "requantize: b"), "d")
    assert "roles.d.model.source.requantize: no entry 'b'" in nowhere


def test_a_draft_that_is_left_out_is_said_so(tmp_path: Path) -> None:
    registry = load(tmp_path, GOOD.replace("size_gb: 1.0", "size_gb: small"))
    assert "roles.a.acceleration.draft_role: 'd' is left out" in "\n".join(
        map(str, registry.warnings)
    )


def test_a_file_that_is_made_stays_below_the_folder_of_made_weights(tmp_path: Path) -> None:
    made = GOOD.replace("path: /elsewhere/d.gguf", "path: ../d.gguf, source: {requantize: a}")
    assert "'../d.gguf' is outside of the folder of weights that rules make" in left_out(
        tmp_path, made, "d"
    )


def test_five_mistakes_are_five_problems(tmp_path: Path) -> None:
    text = (
        GOOD.replace("tier: B", "tier: E")
        .replace("k: 16", "k: many")
        .replace("quant: Q8_0", "qant: Q8_0")
    )
    text = text.replace("temperature: 0.3", "temperature: hot")
    with pytest.raises(InputErrors) as caught:
        load(tmp_path, text)
    assert (
        len(caught.value.problems) == 5
    )  # the misspelt quant is unknown, and the right one missing


def test_alias_bombs_are_refused(tmp_path: Path) -> None:
    bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    for name, old in zip("bcdefgh", "abcdefg", strict=True):
        bomb += f"{name}: &{name} [" + ", ".join([f"*{old}"] * 10) + "]\n"
    assert "too large or too deep (over 1000000 values, aliases included" in problems(
        tmp_path, bomb
    )
    assert "refers to itself" in problems(tmp_path, "roles: &r {a: *r}\n")


@pytest.mark.parametrize(
    "text", ["", "[]", "{", "\t", "roles: {a: [}", "\x00", "- 1", "roles:\n  a: 5\n", "&a"]
)
def test_nonsense_is_refused_without_a_traceback(tmp_path: Path, text: str) -> None:
    assert "registry.yaml" in problems(tmp_path, text)


def test_warnings_leave_the_entry_usable(tmp_path: Path) -> None:
    text = GOOD.replace(
        "draft_role: d", "draft_role: dd, override_key: qwen3moe.expert_used_count, experts: 2"
    )
    found = [str(w) for w in load(tmp_path, text).warnings]
    assert any(
        "no entry 'dd'; did you mean 'd'?" in w or "no entry 'dd'; known: a, d" in w for w in found
    )
    assert any("does not fit the architecture 'dense'" in w for w in found)
    assert any("fewer than 4" in w for w in found)


def test_a_predecessor_sized_registry_loads_fast(tmp_path: Path) -> None:
    raw = yaml.safe_load(SHIPPED.read_text())
    raw["escalation_chains"] = {
        f"chain_{i}": {"steps": [f"role_{j}" for j in range(20)]} for i in range(100)
    }
    file = tmp_path / "registry.yaml"
    file.write_text(yaml.safe_dump(raw, sort_keys=False))
    assert len(file.read_text().splitlines()) > 4000
    start = time.process_time()
    assert len(load_registry(file).models) == len(raw["roles"])
    assert time.process_time() - start < 0.5


_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.floats(allow_nan=True),
    st.text(max_size=5),
    st.lists(st.none(), max_size=2),
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(st.integers(0, 10**6), _VALUES), max_size=4))
def test_random_edits_give_a_registry_or_named_errors(
    tmp_path: Path, edits: list[tuple[int, object]]
) -> None:
    raw = yaml.safe_load(GOOD)
    for where, value in edits:
        place, key = raw, None
        while isinstance(place, dict) and place:
            key = sorted(place, key=str)[where % len(place)]
            if not isinstance(place[key], dict) or where % 7 == 0:
                break
            place = place[key]
        if isinstance(place, dict) and key is not None:
            place[key] = value
    file = tmp_path / "registry.yaml"
    file.write_text(yaml.safe_dump(raw, allow_unicode=True))
    try:
        assert load_registry(file).models
    except BenchError as error:
        assert "registry.yaml" in str(error)


def test_mappings_are_merged_as_pyyaml_does(tmp_path: Path) -> None:
    text = (
        "x: &one {k: 1, draft_role: d}\ny: &two {k: 2, experts: 4}\n"
        "a: {<<: *one, k: 16}\nb: {<<: [*one, *two], lookup: true}\n"
        "c: {'<<': {k: 1}}\nd:\n  <<: 5\n"
    )
    file = tmp_path / "any.yaml"
    file.write_text(text)
    found = read_yaml(file)
    mine = found.value
    assert found.problems == [] and mine["c"] == {"<<": {"k": 1}} and mine["d"] == {"<<": 5}
    theirs = yaml.safe_load(text.partition("c:")[0])
    assert mine["a"] == theirs["a"] == {"k": 16, "draft_role": "d"} and mine["b"] == theirs["b"]
    shared = "shared: &s {type: speculative_decoding, draft_role: d, k: 8}\n"
    merging = GOOD.replace("{type: speculative_decoding, draft_role: d, k: 16}", "{<<: *s, k: 12}")
    registry = load(tmp_path, shared + merging)
    acceleration = registry.models["a"].acceleration
    assert (acceleration.type, acceleration.draft_role, acceleration.k) == (
        "speculative_decoding",
        "d",
        12,
    )


def test_an_empty_list_is_an_empty_mapping(tmp_path: Path) -> None:
    text = GOOD.replace(
        "    generation_defaults: {temperature: 0.3}",
        "    constraints: []\n    thinking_quirks: ''",
    )
    registry = load(tmp_path, text)
    assert set(registry.models) == {"a", "d"} and not registry.models["a"].forbid


def test_what_is_no_quirk_is_left_out_and_stops_nothing(tmp_path: Path) -> None:
    quirks = "runtime_quirks:\n  g: {quirks: [BOS mismatch, {workaround: none}, 5]}\n"
    quirks += "  h: {quirks: {x: y}}\n  i: [a]\n"
    registry = load(tmp_path, GOOD + quirks)
    assert [(quirk.id, quirk.issue) for quirk in registry.quirks] == [("g_1", "BOS mismatch")]
    told = [str(warning) for warning in registry.warnings]
    for place in (
        "g.quirks[1]: expected a mapping with an issue",
        "g.quirks[2]",
        "h.quirks: expected a list",
        "i: expected a",
    ):
        assert any(f"runtime_quirks.{place}" in text for text in told), (place, told)
