"""The header shows recurrent layers, whatever the architecture is called: never dense."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from gguf.constants import MODEL_ARCH_NAMES, MODEL_TENSORS

from scripts.lib.authoring.registry_check import contradictions
from scripts.lib.authoring.registry_edit import propose_entry
from scripts.lib.planning.disk import load_planner
from scripts.lib.planning.modes import expand_modes, needs_server
from scripts.lib.planning.plan import make_plan
from scripts.lib.planning.traits import by_registry, traits_of
from scripts.lib.registry_loader import load_registry
from scripts.lib.settings.run_config import load_config
from scripts.lib.weights.architectures import RECURRENT_NAMES, ROLLS_BACK
from scripts.lib.weights.facts import WeightsFacts, facts
from tests.factories.commands import call
from tests.factories.plans import DRAFT, REGISTRY, model


def write(folder: Path, arch: str, **keys: Any) -> tuple[Path, WeightsFacts]:
    path = folder / "model.gguf"
    writer = gguf.GGUFWriter(path, arch)
    writer.add_name(f"Some {arch}")
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    for key, value in keys.items():
        name = f"{arch}.{key.replace('__', '.')}"
        if isinstance(value, list):
            writer.add_array(name, value)
        else:
            writer.add_uint32(name, value)
    writer.add_tensor("token_embd.weight", np.zeros((4, 4), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path, facts(path, folder / "cache.json")


def proposed(path: Path, found: WeightsFacts) -> str:
    return str(propose_entry(REGISTRY, path, found)["model"]["architecture"])


NAMES = (
    *(
        "rwkv6",
        "rwkv6qwen2",
        "rwkv7",
        "arwkv7",
        "mamba",
        "mamba2",
        "jamba",
        "falcon-h1",
        "plamo2",
        "granitehybrid",
    ),
    *(
        "lfm2",
        "lfm2moe",
        "nemotron_h",
        "nemotron_h_moe",
        "kimi-linear",
        "qwen35",
        "qwen35moe",
        "bamba",
    ),
)


@pytest.mark.parametrize("arch", NAMES)
@pytest.mark.parametrize("experts", [0, 32])
def test_a_recurrent_architecture_is_known_by_its_name(
    tmp_path: Path, arch: str, experts: int
) -> None:
    path, found = write(tmp_path, arch, **({"expert_count": experts} if experts else {}))
    # `ssm_moe_hybrid` means never to speculate: one that rolls back is proposed by its own name.
    assert proposed(path, found) == (arch if arch in ROLLS_BACK else "ssm_moe_hybrid")
    for said in ("dense", "moe", "bert", "llama"):
        denied = {
            f.fact: f.file for f in contradictions(model(architecture=said, quant="F32"), found)
        }
        assert denied["architecture"] == f"{arch} (recurrent)", said
    for said in ("ssm_moe_hybrid", arch):
        facts_denied = [
            f.fact for f in contradictions(model(architecture=said, quant="F32"), found)
        ]
        assert "architecture" not in facts_denied, said


@pytest.mark.parametrize(
    "keys",
    [
        {"ssm__conv_kernel": 4},
        {"ssm__state_size": 16},
        {"wkv__head_size": 64},
        {"kda__head_dim": 128},
        {"shortconv__l_cache": 3},
        {"token_shift_count": 2},
        {"full_attention_interval": 4},
        {"attention__head_count": 8, "block_count": 4, "attention__head_count_kv": [0, 0, 2, 0]},
    ],
)
def test_a_new_architecture_is_known_by_its_keys(tmp_path: Path, keys: dict[str, Any]) -> None:
    path, found = write(tmp_path, "brandnew", **keys)
    key = found.header.recurrent_key
    assert key.startswith("brandnew.") and key.removeprefix("brandnew.").replace(".", "__") in keys
    assert proposed(path, found) == "ssm_moe_hybrid"
    # Its own name would have it planned like a dense model.
    for said in ("dense", "brandnew"):
        (denied,) = (
            f
            for f in contradictions(model(architecture=said, quant="F32"), found)
            if f.fact == "architecture"
        )
        assert denied.file == f"brandnew (recurrent: {key})"


@pytest.mark.parametrize(
    ("arch", "keys", "word"),
    [
        ("llama", {}, "dense"),
        ("llama", {"ssm__conv_kernel": 0, "full_attention_interval": 1}, "dense"),
        (
            "deci",
            {"attention__head_count": 8, "block_count": 2, "attention__head_count_kv": [0, 2]},
            "dense",
        ),
        ("openelm", {"attention__head_count_kv": [1, 2, 3]}, "dense"),
        ("glm4moe", {"expert_count": 128}, "moe"),
        ("qwen3next", {"expert_count": 512, "ssm__conv_kernel": 4}, "qwen3next"),
        ("bert", {}, "bert"),
    ],
)
def test_what_is_not_recurrent_stays_what_it_is(
    tmp_path: Path, arch: str, keys: dict[str, Any], word: str
) -> None:
    path, found = write(tmp_path, arch, **keys)
    assert proposed(path, found) == word
    assert "architecture" not in [
        f.fact for f in contradictions(model(architecture=word, quant="F32"), found)
    ]


def test_the_table_has_all_that_the_gguf_package_knows() -> None:
    parts = ("SSM_", "TIME_MIX_W", "SHORTCONV_")
    recurrent = {
        MODEL_ARCH_NAMES[arch]
        for arch, tensors in MODEL_TENSORS.items()
        if any(tensor.name.startswith(parts) for tensor in tensors)
    }
    assert len(recurrent) > 15 and recurrent <= RECURRENT_NAMES


@pytest.mark.parametrize("arch", sorted(set(NAMES) - ROLLS_BACK))
def test_an_entry_with_llama_cpps_name_never_speculates(arch: str) -> None:
    found = expand_modes(model(architecture=arch), {"d": DRAFT})
    assert {mode.name for mode in found.modes} <= {"baseline", "moe4", "moe6"}
    assert "never speculate" in {item.mode: item.reason for item in found.left_out}["spec_*"]


@pytest.mark.parametrize("arch", sorted(set(NAMES) & ROLLS_BACK))
def test_an_entry_whose_state_rolls_back_speculates_on_the_server_only(arch: str) -> None:
    entry = model(architecture=arch)
    modes = {mode.name: mode for mode in expand_modes(entry, {"d": DRAFT}).modes}
    lookup = next(mode for name, mode in modes.items() if name.endswith("lookup_n3"))
    assert "engine server only" in needs_server(lookup, by_registry(entry))
    assert not needs_server(modes["baseline"], by_registry(entry))


def test_a_hybrid_without_experts_is_planned_without_reductions(tmp_path: Path) -> None:
    path, _ = write(tmp_path, "qwen35", ssm__conv_kernel=4, context_length=4096)
    registry = tmp_path / "registry.yaml"
    registry.write_text(
        "roles:\n  h:\n    tier: C\n    description: x\n    candidate_roles: [general]\n"
        f"    model: {{name: H, path: {path}, "
        "quant: F32, size_gb: 0.1, architecture: ssm_moe_hybrid}\n"
    )
    config = replace(
        load_config(), registry=registry, hardware="epyc-9655", models=("*",)
    ).with_modes(("*",))
    plan = make_plan(load_planner(config))
    assert [shard.mode.name for shard in plan.shards] == ["baseline"]
    assert "no experts to reduce" in {item.mode: item.reason for item in plan.left_out}["moe*"]


def test_what_is_proposed_for_a_hybrid_is_planned_as_its_file_is(tmp_path: Path) -> None:
    for arch, may in (("qwen35moe", True), ("jamba", False), ("qwen3next", False)):
        path, found = write(tmp_path, arch, ssm__conv_kernel=4, expert_count=32)
        entry = model(architecture=proposed(path, found))
        for traits in (by_registry(entry), traits_of(entry, found)):
            speculative = [m for m in expand_modes(entry, {"d": DRAFT}, traits).modes if m.drafting]
            assert bool(speculative) is may, arch


def test_add_and_validate_tell_a_hybrid(tmp_path: Path) -> None:
    path, _ = write(tmp_path, "rwkv7", wkv__head_size=64)
    registry, config = tmp_path / "registry.yaml", tmp_path / "mine.yaml"
    registry.write_text(
        "roles:\n  said:\n    tier: C\n    description: x\n"
        f"    model: {{name: R, path: {path}, quant: F32, "
        "size_gb: 0.0001, architecture: dense}\n"
    )
    config.write_text(f"registry: {registry}\n")
    added = call("scripts.registry", "--configfile", config, "add", path, "--key", "new", "--yes")
    assert added.returncode == 0, added.stderr
    assert load_registry(registry).models["new"].architecture == "ssm_moe_hybrid"
    done = call("scripts.validate", "--registry", registry, "--strict", "--model", "said")
    assert done.returncode == 1
    assert "rwkv7 (recurrent: rwkv7.wkv.head_size)" in done.stdout and "contradicts" in done.stdout
