"""The shipped catalogue's modes, planned as if all weights were here.

`catalogue_modes.json`: the modes that were planned for engine `server` before there were other
speculators than drafts and prompt lookup.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from scripts.lib.llama_build.identity import engine_identity
from scripts.lib.planning.modes import SERVER_ONLY
from scripts.lib.planning.plan import Plan, make_plan
from scripts.lib.registry_loader import Model
from scripts.lib.settings.speculators import NGRAMS
from tests.factories.plans import FULL, REGISTRY, planner

EARLIER = json.loads(Path("tests/data/catalogue_modes.json").read_text())
# What a mode's spec had before: a cell keeps its digest only while it has nothing else.
EARLIER_KEYS = {"experts", "override_key", "draft", "k", "lookup_n", "lookup_draft_tokens"}


@cache
def plan(engine: str) -> Plan:
    config = replace(FULL, models=("*",), engines=(engine,))
    return make_plan(planner(config, engine=engine_identity(engine)))


def modes(engine: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for shard in plan(engine).shards:
        found.setdefault(shard.model.key, set()).add(shard.mode.name)
    return found


def is_qwen35(model: Model) -> bool:
    return "qwen3.5" in model.name.lower()


def test_qwen35_speculates_on_the_server_only_and_the_reason_is_told() -> None:
    embedded = [s for s in plan("embedded").shards if is_qwen35(s.model)]
    assert embedded and not [s.mode.name for s in embedded if s.mode.speculative]
    server = [s for s in plan("server").shards if is_qwen35(s.model) and s.model.tier != "D"]
    assert len({s.model.key for s in server}) == 18
    assert len(server) >= 264
    left = {
        (item.model, item.mode): item.reason
        for item in plan("embedded").left_out
        if item.model in REGISTRY.models and is_qwen35(REGISTRY.models[item.model])
    }
    for shard in server:
        if shard.mode.speculative:
            assert SERVER_ONLY in left[shard.model.key, shard.mode.name], shard.name


def test_every_mode_that_was_planned_earlier_is_still_planned() -> None:
    found = modes("server")
    earlier = {
        key: set(group["modes"].split()) for group in EARLIER for key in group["models"].split()
    }
    assert sum(map(len, earlier.values())) == 1273
    gone = {
        f"{key} {mode}"
        for key, names in earlier.items()
        if key in REGISTRY.models
        for mode in names - found.get(key, set())
    }
    assert not gone


def test_the_embedded_engine_lacks_only_what_it_cannot_run() -> None:
    """Its modes are the server's without other speculators and without recurrent speculation."""
    other = re.compile(rf"(moe\d+_)?({'|'.join(NGRAMS)}|mtp_k.*)")
    for key, names in modes("server").items():
        lacks = names - modes("embedded")[key]
        assert all(map(other.fullmatch, lacks)) or is_qwen35(REGISTRY.models[key]), key


def test_earlier_modes_keep_their_specs() -> None:
    earlier = {
        f"{key} {mode}"
        for group in EARLIER
        for key in group["models"].split()
        for mode in group["modes"].split()
    }
    for shard in plan("server").shards:
        if f"{shard.model.key} {shard.mode.name}" in earlier:
            assert shard.cells[0].spec["mode"].keys() <= EARLIER_KEYS, shard.name


def test_a_mixture_is_known_by_its_architectures_name() -> None:
    config = replace(FULL, models=("glm_47_reap",), engines=("server",))
    found = {shard.mode.name for shard in make_plan(planner(config)).shards}
    assert {"baseline", "moe4", "moe6"} <= found
    assert {"moe4_lookup_n3", "moe8_lookup_n3"}.isdisjoint(found), "it has 125 GB"


SSM: tuple[Callable[[Model], bool], ...] = (
    lambda model: "next" in model.name.lower(),
    lambda model: model.architecture == "ssm_moe_hybrid",
)


@pytest.mark.parametrize("engine", ["embedded", "server"])
@pytest.mark.parametrize("is_ssm", SSM, ids=["Qwen3-Next", "ssm_moe_hybrid"])
def test_ssm_models_never_speculate(engine: str, is_ssm: Callable[[Model], bool]) -> None:
    shards = [shard for shard in plan(engine).shards if is_ssm(shard.model)]
    assert shards and not [shard.name for shard in shards if shard.mode.speculative]
