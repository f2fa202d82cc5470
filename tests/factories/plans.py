"""Registry entries, planners and suites for tests of plans."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from scripts.lib.llama_build.identity import engine_identity
from scripts.lib.machine.profiles import load_hardware
from scripts.lib.planning.cell_spec import Weights
from scripts.lib.planning.modes import Mode
from scripts.lib.planning.plan import Plan, Planner, Shard
from scripts.lib.prompts.loader import load_suites
from scripts.lib.registry.types import Registry, RuntimeDefaults
from scripts.lib.registry_loader import Model, Quirk, load_registry
from scripts.lib.settings.run_config import Config, load_config
from scripts.lib.settings.variants import Variant
from scripts.lib.weights.facts import WeightsFacts, facts
from tests.factories.tiny_models import write_model


def model(key: str = "m", **changes: object) -> Model:
    base = Model(
        key=key,
        tier="B",
        name="Big-7B-Instruct",
        path="m.gguf",
        quant="Q4_K_M",
        size_gb=4.0,
        architecture="dense",
    )
    return replace(base, **changes)  # type: ignore[arg-type]


DRAFT = model("d", tier="D", name="Small-1B", compatible_targets=("big_7b",))


FULL = load_config((Path("config/full.yaml"),))
REGISTRY = load_registry(Path("orchestration/model_registry.yaml"))
# Frozen, and read once: it takes longer than most tests.
SUITES = load_suites(Path("benchmarks/prompts/v1"))


def planner(config: Config = FULL, **changes: object) -> Planner:
    weights = {
        key: Weights(
            WeightsFacts.assumed(model) if model.path else None,
            REGISTRY.weights_path(model),
            True,
            False,
        )
        for key, model in REGISTRY.models.items()
    }
    hardware = load_hardware("epyc-9655")
    made = Planner(
        REGISTRY,
        SUITES,
        config,
        hardware,
        weights,
        engine_identity("server"),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


VARIANTS = {
    "kv_q8": Variant("kv_q8", ("*",), ("*",), {"kv_type_k": "q8_0"}, {}, {}),
    "t2": Variant("t2", ("*",), ("*",), {}, {"threads": 2}, {}),
}


def plan_of_shards(*shards: tuple[str, str, str, Mode]) -> Plan:
    """A plan without cells: a shard for each (key, model's name, quantisation, mode)."""
    hardware, made = load_hardware("epyc-9655"), []
    for key, name, quant, mode in shards:
        entry = model(key, name=name, quant=quant, size_gb=float(quant[1]))
        weights = Weights(WeightsFacts.assumed(entry), Path(entry.path), True, False)
        made.append(Shard(hardware, entry, mode, (), weights, variant=VARIANTS.get(mode.variant)))
    return Plan(hardware, engine_identity("server"), tuple(made), ())


COMMA = 300


def tiny_planner(folder: Path, *quirks: Quirk, draft_bos: int = 1) -> Planner:
    files = {
        "plain": write_model(folder / "plain.gguf"),
        "coder": write_model(folder / "coder.gguf", bos=COMMA),
        "draft": write_model(folder / "draft.gguf", "draft", bos=draft_bos),
    }
    names = {"plain": "Plain-7B", "coder": "Coder-30B", "draft": "Draft-1B"}
    models = {
        key: model(
            key,
            name=names[key],
            path=str(file),
            quant="F32",
            candidate_roles=("general",),
            tier="C",
        )
        for key, file in files.items()
    }
    models["absent"] = model("absent", path=str(folder / "absent.gguf"))
    weights = {key: Weights(facts(file), file, True, False) for key, file in files.items()}
    weights["absent"] = Weights(None, folder / "absent.gguf", False, False)
    registry = Registry(folder / "registry.yaml", RuntimeDefaults(), models, quirks=quirks)
    config = replace(load_config(), models=("*",), tiers=(1,))
    hardware = replace(load_hardware("epyc-9655"), threads=2, batch_threads=2, cpus=None, numa=None)
    return Planner(registry, SUITES, config, hardware, weights, engine_identity("server"))
