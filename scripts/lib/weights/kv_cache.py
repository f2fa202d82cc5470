"""The size of a model's KV cache and recurrent state, out of the metadata of its GGUF header.

It follows llama.cpp: src/llama-hparams.cpp, src/llama-kv-cache.cpp and the architectures in
src/models. Where a header does not tell, the size is the smaller one: a limit of speed that is made
from it must never be too strict.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

# Bytes per element of the cache; of quantised types with the block's scale.
TYPE_BYTES = {"f32": 4.0, "f16": 2.0, "bf16": 2.0, "q8_0": 34 / 32, "q4_0": 18 / 32}
# llama.cpp keeps recurrent state in this type, whatever the types of the cache are.
STATE_BYTES = TYPE_BYTES["f32"]
# LLAMA_MAX_LAYERS: llama.cpp loads no model with more.
_MOST_LAYERS = 512
# Architectures whose headers need not list which layers have a sliding window: of so many layers
# one attends to everything, the last one or (True) the first one. 0: none does.
_PATTERNS = {
    "gemma2": (2, False), "gemma3": (6, False), "gemma3n": (5, False),
    "gemma-embedding": (6, False), "gpt-oss": (2, False), "cohere2": (4, False),
    "cohere2moe": (4, True), "exaone4": (4, False), "exaone-moe": (4, False), "afmoe": (4, False),
    "laguna": (4, True), "llama4": (4, False), "mellum": (4, False), "modern-bert": (3, True),
    "muse-glimmer": (4, False), "olmo2": (4, False), "plamo3": (8, False),
    "smallthinker": (4, True), "lfm2": (0, False), "lfm2moe": (0, False), "deepseek4": (0, False),
}  # fmt: skip
# The window that llama.cpp sets itself.
_OWN_WINDOW = {"llama4": 8192}
# Of so many layers the last one has attention, and the others are recurrent.
_INTERVALS = {"qwen3next": 4, "qwen35": 4, "qwen35moe": 4, "qwen4exp": 4, "minimax-01": 8}
_ONLY_RECURRENT = ("mamba", "mamba2", "rwkv6", "rwkv6qwen2", "rwkv7", "arwkv7")
# Every layer has both, attention and recurrent state.
_BOTH = ("falcon-h1",)
# The layers after the first ones use the cache of an earlier layer.
_FIRST_KV_LAYERS = {"gemma3n": 20}


class Metadata(Protocol):
    """Values of a header. One that is not there, or has another type, is 0 or empty."""

    def single(self, key: str) -> int:
        """A whole number of at least 0."""
        ...

    def listed(self, key: str) -> tuple[int, ...]:
        """An array of whole numbers or truth values."""
        ...


@dataclass(frozen=True, slots=True)
class KvCache:
    """What a model keeps of its context, over all layers.

    `key_elements`, `value_elements`: of each token, in layers that attend to every token;
    `window_…_elements`: in layers that attend to the last `window_tokens` tokens only.
    `state_bytes`: of the recurrent layers, whatever the length of the context.
    """

    key_elements: int = 0
    value_elements: int = 0
    window_tokens: int = 0
    window_key_elements: int = 0
    window_value_elements: int = 0
    state_bytes: int = 0

    @property
    def elements(self) -> int:
        """Elements of one token in all layers."""
        windows = self.window_key_elements + self.window_value_elements
        return self.key_elements + self.value_elements + windows

    def bytes_read(self, depth_tokens: float, type_k: str, type_v: str) -> float:
        """Bytes that are read for one more token after `depth_tokens` tokens."""
        seen = min(depth_tokens, self.window_tokens)
        keys = self.key_elements * depth_tokens + self.window_key_elements * seen
        values = self.value_elements * depth_tokens + self.window_value_elements * seen
        return keys * TYPE_BYTES[type_k] + values * TYPE_BYTES[type_v] + self.state_bytes

    def bytes_held(self, length_tokens: int, type_k: str, type_v: str) -> float:
        """Bytes of a context of that length, at most.

        Only llama-server cuts windows off; the in-process engine keeps all tokens of every layer.
        """
        keys = self.key_elements + self.window_key_elements
        values = self.value_elements + self.window_value_elements
        per_token = keys * TYPE_BYTES[type_k] + values * TYPE_BYTES[type_v]
        return per_token * length_tokens + self.state_bytes


@dataclass(frozen=True, slots=True)
class _Model:
    """The metadata of one architecture; `layers` without those that only draft."""

    arch: str
    values: Metadata
    layers: int

    def single(self, name: str) -> int:
        return self.values.single(f"{self.arch}.{name}")

    def listed(self, name: str) -> tuple[int, ...]:
        return self.values.listed(f"{self.arch}.{name}")

    def per_layer(self, name: str) -> tuple[int, ...]:
        """A value of each layer, given as a list or once for all; empty where it is not given."""
        listed = self.listed(name)
        if listed:
            return (listed + (0,) * self.layers)[: self.layers]
        one = self.single(name)
        return (one,) * self.layers if one else ()


def _has_attention(model: _Model, kv_heads: tuple[int, ...]) -> tuple[bool, ...]:
    """Which layers have a KV cache."""
    if model.arch in _ONLY_RECURRENT:
        return (False,) * model.layers
    interval = model.single("full_attention_interval") or _INTERVALS.get(model.arch, 0)
    recurrent = model.listed("attention.recurrent_layers")
    if recurrent:
        # Of a list that is too short, the other layers have attention.
        padded = recurrent + (0,) * model.layers
        return tuple(not padded[layer] for layer in range(model.layers))
    if interval > 1:
        return tuple((layer + 1) % interval == 0 for layer in range(model.layers))
    return tuple(heads > 0 for heads in kv_heads) or (False,) * model.layers


def _has_window(model: _Model) -> tuple[bool, ...]:
    """Which layers attend to a window only."""
    name = "attention.sliding_window_pattern"
    if listed := model.listed(name):
        padded = listed + (0,) * model.layers
        return tuple(bool(padded[layer]) for layer in range(model.layers))
    if model.arch not in _PATTERNS:
        return (False,) * model.layers
    period, dense_first = _PATTERNS[model.arch]
    period = model.single(name) or period
    full = 0 if dense_first else period - 1
    return tuple(not period or layer % period != full for layer in range(model.layers))


def _state_elements(model: _Model) -> int:
    """Elements of one layer's recurrent state: n_embd_r and n_embd_s of llama.cpp."""
    width, heads = (
        model.single("embedding_length"),
        (*model.per_layer("attention.head_count"), 0)[0],
    )
    convolved = max(model.single("ssm.conv_kernel") - 1, 0)
    if head := model.single("wkv.head_size"):
        return width * (model.single("token_shift_count") + head)
    if cache := model.single("shortconv.l_cache"):
        return width * (cache - 1)
    if head := model.single("kda.head_dim"):
        return heads * head * (3 * (convolved or 3) + head)
    if model.arch == "minimax-01":
        return heads * model.single("attention.key_length") ** 2
    inner, state = model.single("ssm.inner_size"), model.single("ssm.state_size")
    return convolved * (inner + 2 * model.single("ssm.group_count") * state) + state * inner


def _recurrent_layers(model: _Model, attends: tuple[bool, ...]) -> int:
    if model.arch in _BOTH:
        return model.layers
    forward = model.listed("feed_forward_length") or (0,) * model.layers
    # A layer of Nemotron-H is one of three kinds: attention, recurrent or a feed-forward network.
    is_plain = model.arch.startswith("nemotron_h")
    return sum(
        not has and not (is_plain and size) for has, size in zip(attends, forward, strict=False)
    )


def _widths(model: _Model, heads: tuple[int, ...]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Elements of a head's key and value: in layers that attend to everything, and to a window."""
    plain = model.single("embedding_length") // heads[0] if heads and heads[0] else 0
    key = model.single("attention.key_length") or plain
    value = model.single("attention.value_length") or plain
    window_key = model.single("attention.key_length_swa") or key
    window_value = model.single("attention.value_length_swa") or value
    if model.single("attention.key_length_mla") and model.single("attention.value_length_mla"):
        # Latent attention: the values are a part of the keys.
        value = window_value = 0
    return (key, value), (window_key, window_value)


def kv_cache(arch: str, values: Metadata) -> KvCache:
    """The cache of a model; nothing where its header has no, or impossible, numbers."""
    blocks = values.single(f"{arch}.block_count")
    layers = blocks - values.single(f"{arch}.nextn_predict_layers")
    if not 0 < layers <= blocks <= _MOST_LAYERS:
        return KvCache()
    model = _Model(arch, values, layers)
    heads = model.per_layer("attention.head_count")
    kv_heads = model.per_layer("attention.head_count_kv") or heads
    attends = _has_attention(model, kv_heads)
    window = _OWN_WINDOW.get(arch) or model.single("attention.sliding_window")
    windowed = _has_window(model) if window else (False,) * layers
    # Sparse attention reads the tokens that its indexer chooses, as many as a window would have.
    if chosen := model.single("attention.indexer.top_k"):
        window, windowed = chosen, (True,) * layers
    own = max(layers - model.single("attention.shared_kv_layers"), 0)
    own = min(own, _FIRST_KV_LAYERS.get(arch, layers))
    stored = [n if has else 0 for n, has in zip(kv_heads, attends, strict=False)][:own]
    full = sum(n for n, is_part in zip(stored, windowed, strict=False) if not is_part)
    part = sum(stored) - full
    (key, value), (window_key, window_value) = _widths(model, heads)
    states = _recurrent_layers(model, attends) * _state_elements(model)
    return KvCache(
        key_elements=full * key,
        value_elements=full * value,
        window_tokens=window if part else 0,
        window_key_elements=part * window_key,
        window_value_elements=part * window_value,
        state_bytes=int(states * STATE_BYTES),
    )
