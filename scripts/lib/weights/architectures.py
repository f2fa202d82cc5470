"""Architectures with recurrent layers, by llama.cpp's names and by the keys of a GGUF header.

The state of a recurrent layer cannot be rolled back. That decides how a model may be decoded,
whatever its name. The registry calls all of them but qwen3next `ssm_moe_hybrid`, with experts or
without.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

HYBRID, DENSE, MOE_WORD, NEXT = "ssm_moe_hybrid", "dense", "moe", "qwen3next"
# llama.cpp's names, then names that llama.cpp or a fork used.
_RECURRENT_MOE = ("qwen3next", "qwen35moe", "lfm2moe", "nemotron_h_moe", "kimi-linear")
_RECURRENT_OTHER = (
    "mamba", "mamba2", "rwkv6", "rwkv6qwen2", "rwkv7", "arwkv7", "jamba", "falcon-h1", "plamo2",
    "granitehybrid", "lfm2", "nemotron_h", "qwen35", "bamba", "falcon-mamba", "codestral-mamba",
    "zamba", "zamba2", "hymba", "samba", "rwkv", "rwkv4", "rwkv5", "recurrentgemma", "griffin",
    "retnet", "xlstm", "minimax-text-01", "bailing-linear", "ring-linear",
)  # fmt: skip
# Beginnings of keys below `{architecture}.`: state spaces, RWKV, delta networks, convolutions,
# linear attention.
_KEYS = (
    "ssm.", "wkv.", "kda.", "shortconv.", "lru.", "time_mix_", "time_decay_", "token_shift_",
    "rwkv",
    "linear_attention", "attention.linear", "recurrent", "attention.recurrent",
)  # fmt: skip
# Every n-th layer has attention; for n above 1 the others are recurrent.
_INTERVAL = "full_attention_interval"
_KV_HEADS = "attention.head_count_kv"
# Models with layers without attention that are not recurrent (Nemotron's pruned Llamas).
_ATTENTION_PRUNED = ("deci",)


def _both(names: tuple[str, ...]) -> frozenset[str]:
    """The names with `-` and with `_`."""
    return frozenset(
        spelt for name in names for spelt in (name, name.replace("_", "-"), name.replace("-", "_"))
    )


RECURRENT_MOE = _both(_RECURRENT_MOE)
RECURRENT_NAMES = RECURRENT_MOE | _both(_RECURRENT_OTHER)


def says_recurrent(word: str) -> bool:
    """True for the registry's word for hybrids, and for the name of a recurrent architecture."""
    return word == HYBRID or word.lower() in RECURRENT_NAMES


def recurrent_keys(
    architecture: str, raw: Mapping[str, object], kv_heads: tuple[int, ...]
) -> Iterator[str]:
    """The metadata keys of recurrent layers. `kv_heads`: layer by layer, where they are listed."""
    prefix = f"{architecture}."
    for key, value in raw.items():
        name = key.removeprefix(prefix)
        if key.startswith(prefix) and (
            (name.startswith(_KEYS) and value) or (name == _INTERVAL and _above_one(value))
        ):
            yield key
    if 0 in kv_heads and architecture not in _ATTENTION_PRUNED:
        yield prefix + _KV_HEADS


def _above_one(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 1


def family(architecture: str, recurrent_key: str, experts: int | None) -> str:
    """The registry's word for an architecture: it decides the decoding modes."""
    if recurrent_key or architecture.lower() in RECURRENT_NAMES:
        return NEXT if architecture == NEXT else HYBRID
    if experts:
        return MOE_WORD
    return architecture if architecture == "bert" else DENSE
