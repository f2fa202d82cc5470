"""The KV cache's size out of a header, whatever way a model tells its heads; a shard's memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from scripts.lib.planning.memory import shard_bytes
from scripts.lib.planning.plan import find_shard, make_plan
from scripts.lib.weights.gguf_header import read_header
from scripts.lib.weights.kv_cache import KvCache
from tests.factories.plans import FULL, planner
from tests.factories.tiny_models import EMBEDDING, HEAD, HEADS, LAYERS, write_model


@pytest.mark.parametrize(
    ("kind", "elements"),
    [
        ("dense", LAYERS * HEADS * 2 * HEAD),
        ("moe", LAYERS * HEADS * 2 * HEAD),
        (
            "lfm2",
            LAYERS // 2 * HEADS * 2 * HEAD,
        ),  # every second layer attends: the heads are a list
        ("mamba2", 0),
    ],
)
def test_kv_elements_per_token(tmp_path: Path, kind: str, elements: int) -> None:
    assert HEADS * HEAD == EMBEDDING
    assert read_header(write_model(tmp_path / "m.gguf", kind)).kv_elements == elements


def test_a_shard_needs_memory_for_its_model_and_its_draft_with_their_caches() -> None:
    plan = make_plan(planner(replace(FULL, models=("worker_math",))))
    shard = find_shard(plan, "worker_math", "spec_draft_qwen2_5_coder_1_5b_q2_k_k8")
    length = shard.cells[0].spec["context"]["length_tokens"]
    needed, parts = 0, []
    # Two bytes for each element of an F16 cache.
    for weights, size, elements in ((shard.weights, 10**9, 100), (shard.draft, 10**8, 10)):
        assert weights is not None and weights.facts is not None
        header = replace(weights.facts.header, kv=KvCache(key_elements=elements))
        parts.append(replace(weights, facts=replace(weights.facts, size_bytes=size, header=header)))
        needed += size + 2 * elements * length
    assert shard_bytes(replace(shard, weights=parts[0], draft=parts[1])) == needed
