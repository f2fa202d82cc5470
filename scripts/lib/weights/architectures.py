"""Architectures with recurrent layers or experts, by llama.cpp's names and a GGUF header's keys.

After a rejected draft, the state of a recurrent layer must be rolled back. Whether llama.cpp can do
that decides how a model may be decoded, whatever its name is. The registry calls most of these
models `ssm_moe_hybrid`, with or without experts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum

HYBRID, DENSE, MOE_WORD, NEXT = "ssm_moe_hybrid", "dense", "moe", "qwen3next"
# llama.cpp's names, then names that llama.cpp or a fork used.
_RECURRENT_MOE = ("qwen3next", "qwen35moe", "lfm2moe", "nemotron_h_moe", "kimi-linear")
_RECURRENT_OTHER = (
    "mamba", "mamba2", "rwkv6", "rwkv6qwen2", "rwkv7", "arwkv7", "jamba", "falcon-h1", "plamo2",
    "granitehybrid", "lfm2", "nemotron_h", "qwen35", "bamba", "falcon-mamba", "codestral-mamba",
    "zamba", "zamba2", "hymba", "samba", "rwkv", "rwkv4", "rwkv5", "recurrentgemma", "griffin",
    "retnet", "xlstm", "minimax-text-01", "bailing-linear", "ring-linear", "kimi-k3", "qwen4exp",
    "deepseek4", "glm5-next", "bailingmoe3", "minimax-01",
)  # fmt: skip
# llm_arch_supports_rs_rollback in llama.cpp's src/llama-arch.cpp.
_ROLLS_BACK = (
    "kimi-k3", "qwen35", "qwen35moe", "qwen4exp", "deepseek4", "glm5-next", "nemotron_h",
    "nemotron_h_moe", "lfm2", "lfm2moe", "bailingmoe3",
)  # fmt: skip
# Mixtures whose names have no "moe".
_OTHER_MOE = (
    "mixtral", "deepseek", "deepseek2", "deepseek2-ocr", "dbrx", "grok", "arctic", "gpt-oss",
    "llama4", "minimax-m2", "dots1", "step35", "mimo2",
)  # fmt: skip
# Part of a model's name -> llama.cpp's architecture, without and with experts. Used if the file is
# not known and the registry only says `dense` or `moe`.
_BY_NAME = (
    (re.compile(r"qwen-?3[._-]?5", re.I), ("qwen35", "qwen35moe")),
    (re.compile(r"qwen-?3-?next", re.I), ("qwen3next", "qwen3next")),
)
# How keys below `{architecture}.` begin: state spaces, RWKV, delta networks, convolutions, linear
# attention.
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
ROLLS_BACK = _both(_ROLLS_BACK)
OTHER_MOE = _both(_OTHER_MOE)


class Recurrence(StrEnum):
    """What llama-server does with a model's recurrent state after a rejected draft."""

    NONE = "no recurrent layers"
    ROLLBACK = "rolls its state back"
    CHECKPOINTS = "saves and restores its whole state"


def recurrence(architecture: str, recurrent_key: str = "") -> Recurrence:
    """From llama.cpp's name of the architecture. `recurrent_key`: a header's (see gguf_header)."""
    name = architecture.lower()
    if name in ROLLS_BACK:
        return Recurrence.ROLLBACK
    return Recurrence.CHECKPOINTS if recurrent_key or name in RECURRENT_NAMES else Recurrence.NONE


def says_moe(word: str) -> bool:
    """True for the registry's word for mixtures of experts, and for the name of one."""
    name = word.lower()
    named = "moe" in re.split(r"[^a-z]+", name) or name.endswith("moe")
    return word != HYBRID and (named or name in OTHER_MOE)


def architecture_by_name(name: str, word: str) -> str:
    """llama.cpp's architecture from a model's name, if `word` is only `dense` or `moe`."""
    if word in (DENSE, MOE_WORD):
        for pattern, (dense, moe) in _BY_NAME:
            if pattern.search(name):
                return moe if word == MOE_WORD else dense
    return word


def says_recurrent(word: str) -> bool:
    """True for the registry's word for hybrids, and for the name of a recurrent architecture."""
    return word == HYBRID or word.lower() in RECURRENT_NAMES


def recurrent_keys(
    architecture: str, raw: Mapping[str, object], kv_heads: tuple[int, ...]
) -> Iterator[str]:
    """The metadata keys of recurrent layers. `kv_heads`: layer by layer, if they are listed."""
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
    """The registry's word for an architecture: it decides the decoding modes.

    For a hybrid that rolls back, it is llama.cpp's own name: `ssm_moe_hybrid` never speculates.
    """
    if recurrent_key or architecture.lower() in RECURRENT_NAMES:
        rolls_back = recurrence(architecture, recurrent_key) is Recurrence.ROLLBACK
        return architecture if rolls_back or architecture == NEXT else HYBRID
    if experts:
        return MOE_WORD
    return architecture if architecture == "bert" else DENSE
