"""The size of KV caches and recurrent states, by the keys that headers have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from scripts.lib.weights.facts import facts_from_json
from scripts.lib.weights.gguf_header import read_header
from scripts.lib.weights.kv_cache import KvCache, kv_cache
from tests.factories.tiny_models import write_model


@dataclass(frozen=True)
class Given:
    """The metadata of a header, without the architecture before each key."""

    keys: Mapping[str, Any]

    def single(self, key: str) -> int:
        found = self.keys.get(key.partition(".")[2], 0)
        return found if isinstance(found, int) else 0

    def listed(self, key: str) -> tuple[int, ...]:
        found = self.keys.get(key.partition(".")[2], ())
        return tuple(found) if isinstance(found, list) else ()


def cache(arch: str, **keys: Any) -> KvCache:
    named = {key.replace("__", "."): value for key, value in keys.items()}
    return kv_cache(arch, Given(named))


# 30 layers of 9 heads of 64, of which 3 have keys and values.
SMOLLM2 = {
    "block_count": 30, "embedding_length": 576, "attention__head_count": 9,
    "attention__head_count_kv": 3,
}  # fmt: skip


def test_grouped_heads() -> None:
    found = cache("llama", **SMOLLM2)
    assert found == KvCache(30 * 3 * 64, 30 * 3 * 64)
    assert found.elements == 11_520
    assert found.bytes_read(1000, "f16", "f16") == 11_520 * 2 * 1000
    assert found.bytes_read(1000, "q8_0", "f16") == 5760 * 1000 * (34 / 32 + 2)


def test_without_groups_every_head_has_keys_and_values() -> None:
    assert cache("llama", **SMOLLM2 | {"attention__head_count_kv": 0}).key_elements == 30 * 576


def test_heads_that_are_listed_by_layer_and_own_widths() -> None:
    found = cache(
        "deci",
        block_count=4,
        embedding_length=64,
        attention__head_count=[8, 8, 0, 8],
        attention__head_count_kv=[2, 4, 0, 1],
        attention__key_length=16,
        attention__value_length=32,
    )
    assert found == KvCache(7 * 16, 7 * 32)


def test_layers_that_only_draft_are_not_counted() -> None:
    more = SMOLLM2 | {"block_count": 31, "nextn_predict_layers": 1}
    assert cache("llama", **more) == cache("llama", **SMOLLM2)


def test_a_sliding_window_by_the_architectures_pattern() -> None:
    gemma = {
        "block_count": 26, "embedding_length": 1152, "attention__head_count": 4,
        "attention__head_count_kv": 1, "attention__key_length": 256,
        "attention__value_length": 256, "attention__sliding_window": 512,
    }  # fmt: skip
    found = cache("gemma3", **gemma)
    # Every sixth layer attends to everything: 4 of 26.
    assert found == KvCache(4 * 256, 4 * 256, 512, 22 * 256, 22 * 256)
    assert found.bytes_read(100, "f16", "f16") == 26 * 512 * 2 * 100
    assert found.bytes_read(2000, "f16", "f16") == 512 * 2 * (4 * 2000 + 22 * 512)
    # In process no window is cut off.
    assert found.bytes_held(2000, "f16", "f16") == 512 * 2 * 26 * 2000
    assert cache("gemma3", **gemma | {"attention__sliding_window": 0}).window_tokens == 0


@pytest.mark.parametrize(
    ("arch", "pattern", "windowed"),
    [
        ("gpt-oss", 0, 2),
        ("gpt-oss", 4, 3),
        ("smallthinker", 0, 3),
        ("gemma4", [1, 1, 1, 0], 3),
        ("mimo2", [0, 1, 0, 0], 1),
        # Phi's window is not used by llama.cpp, and Mistral's not even read.
        ("phi3", 0, 0),
        ("llama", 0, 0),
    ],
)
def test_which_layers_have_a_window(arch: str, pattern: int | list[int], windowed: int) -> None:
    found = cache(
        arch,
        block_count=4,
        embedding_length=8,
        attention__head_count=1,
        attention__sliding_window=128,
        attention__sliding_window_pattern=pattern,
    )
    assert found.window_key_elements == windowed * 8
    assert found.key_elements == (4 - windowed) * 8


def test_a_window_of_other_widths_and_shared_layers() -> None:
    found = cache(
        "gemma4",
        block_count=6,
        embedding_length=64,
        attention__head_count=4,
        attention__head_count_kv=1,
        attention__key_length=32,
        attention__value_length=32,
        attention__key_length_swa=16,
        attention__value_length_swa=16,
        attention__sliding_window=512,
        attention__sliding_window_pattern=[1, 0, 1, 0, 1, 0],
        attention__shared_kv_layers=2,
    )
    assert found == KvCache(2 * 32, 2 * 32, 512, 2 * 16, 2 * 16)


def test_latent_attention_has_keys_only() -> None:
    found = cache(
        "deepseek2",
        block_count=61,
        embedding_length=7168,
        attention__head_count=128,
        attention__head_count_kv=1,
        attention__key_length=576,
        attention__value_length=512,
        attention__key_length_mla=192,
        attention__value_length_mla=128,
    )
    assert found == KvCache(61 * 576, 0)


def test_recurrent_layers_between_attention() -> None:
    found = cache(
        "qwen3next",
        block_count=48,
        embedding_length=2048,
        attention__head_count=16,
        attention__head_count_kv=2,
        attention__key_length=256,
        attention__value_length=256,
        ssm__conv_kernel=4,
        ssm__inner_size=4096,
        ssm__state_size=128,
        ssm__group_count=16,
    )
    state = 3 * (4096 + 2 * 16 * 128) + 128 * 4096
    assert found == KvCache(12 * 512, 12 * 512, state_bytes=36 * state * 4)
    # The state is read whatever the depth.
    assert found.bytes_read(0, "f16", "f16") == 36 * state * 4


def test_a_mixture_of_three_kinds_of_layers() -> None:
    found = cache(
        "nemotron_h",
        block_count=4,
        embedding_length=64,
        attention__head_count=[0, 0, 8, 0],
        attention__head_count_kv=[0, 0, 2, 0],
        attention__key_length=16,
        attention__value_length=16,
        feed_forward_length=[0, 128, 0, 128],
        ssm__conv_kernel=4,
        ssm__inner_size=128,
        ssm__state_size=16,
        ssm__group_count=1,
    )
    state = 3 * (128 + 2 * 16) + 16 * 128
    assert found == KvCache(32, 32, state_bytes=state * 4)


@pytest.mark.parametrize(
    ("arch", "keys", "state", "attends"),
    [
        ("mamba", {"ssm__conv_kernel": 4, "ssm__inner_size": 16, "ssm__state_size": 8}, 176, False),
        ("rwkv7", {"wkv__head_size": 64, "token_shift_count": 2}, 8 * 66, False),
        ("lfm2", {"shortconv__l_cache": 3, "attention__head_count_kv": [0, 0]}, 16, False),
        ("falcon-h1", {"ssm__inner_size": 16, "ssm__state_size": 8}, 128, True),
    ],
)
def test_states_of_constant_size(
    arch: str, keys: dict[str, Any], state: int, attends: bool
) -> None:
    heads = 0 if arch in ("mamba", "rwkv7") else 2
    found = cache(arch, block_count=2, embedding_length=8, attention__head_count=heads, **keys)
    assert found.state_bytes == 2 * state * 4
    assert bool(found.elements) is attends


@pytest.mark.parametrize("layers", [0, 513, 2**63])
def test_a_number_of_layers_that_no_model_has_gives_nothing(layers: int) -> None:
    assert cache("llama", **SMOLLM2 | {"block_count": layers}) == KvCache()
    assert cache("llama", **SMOLLM2 | {"nextn_predict_layers": layers or 30}) == KvCache()


def test_a_lists_of_truth_values_is_read_from_a_file(tmp_path: Path) -> None:
    header = read_header(write_model(tmp_path / "m.gguf", "lfm2"))
    assert header.kv is not None and header.kv.state_bytes > 0
    assert header.kv_elements == header.kv.elements


def test_facts_keep_the_parts_and_older_ones_have_none(tmp_path: Path) -> None:
    header = asdict(read_header(write_model(tmp_path / "m.gguf")))
    raw = {"fingerprint": "f", "sha256": ["s"], "size_bytes": 1, "header": header}
    found = facts_from_json(raw).header
    assert isinstance(found.kv, KvCache) and found.kv.elements == found.kv_elements
    older = facts_from_json({**raw, "header": {k: v for k, v in header.items() if k != "kv"}})
    assert older.header.kv is None and older.header.kv_elements == found.kv_elements
