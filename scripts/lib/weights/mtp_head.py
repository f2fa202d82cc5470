"""Adds a head for multi-token prediction to a dense llama model, to show it on real text.

The head is made of the model's own parts, without training: the next token's embedding, with a
little of the hidden state before it, goes through a copy of the model's first layer. So it
sometimes guesses a token right: for SmolLM2, about one in seventeen. Every draft is verified, so
the answers are those of the original model. With quantised weights they may differ if two tokens
are almost equally likely, since some sums have another order. It is a test piece, not a faster
model.

The architecture is mimo2: llama.cpp's simplest graph with such a head. Its rotary embedding rotates
the halves of an attention head against each other; that of a llama file rotates neighbours. So the
rows of Q and K are put in the other order. Rows of quantised tensors are moved whole.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from scripts.lib.weights.gguf_copy import copy_metadata, open_dense_llama, write

ARCHITECTURE = "mimo2"
# The best of all layers and sizes that were tried, on 357 tokens of six answers of SmolLM2. Sizes
# of the normalised embedding and hidden state, in root mean squares of the model's embeddings.
COPIED_LAYER, EMBEDDING_SIZE, HIDDEN_SIZE = 0, 0.6, 0.1
Array = np.ndarray[Any, Any]


def halves(heads: int, width: int) -> Array:
    """The order of rows with the first row of every pair of neighbours before all second ones.

    For each of `heads` heads of `width` rows.
    """
    order = np.concatenate([np.arange(0, width, 2), np.arange(1, width, 2)])
    return np.concatenate([head * width + order for head in range(heads)])


class _Original:
    """The tensors of a dense llama, with the rows of Q and K in mimo2's order."""

    def __init__(self, reader: Any):
        self._tensors = {tensor.name: tensor for tensor in reader.tensors}
        self._fields = reader.fields
        heads = self.number("attention.head_count")
        self._orders = {
            part: halves(count, self.number("embedding_length") // heads)
            for part, count in (
                ("attn_q", heads),
                ("attn_k", self.number("attention.head_count_kv")),
            )
        }

    def number(self, key: str) -> Any:
        return self._fields[f"llama.{key}"].contents()

    def get(self, key: str, default: Any) -> Any:
        field = self._fields.get(f"llama.{key}")
        return default if field is None else field.contents()

    def names(self) -> list[str]:
        return list(self._tensors)

    def tensor(self, name: str) -> tuple[Array, Any]:
        """Its rows and their type."""
        found = self._tensors[name]
        order = self._orders.get(name.split(".")[-2])
        return (found.data if order is None else found.data[order]), found.tensor_type

    def values(self, name: str) -> Array:
        """Its values as floats."""
        from gguf.quants import dequantize

        return np.asarray(dequantize(*self.tensor(name)), np.float32)


def _add_fused(original: _Original, writer: Any, source: str, block: str) -> None:
    """Q, K and V of `source` as one tensor of `block`; unchanged if their types are the same."""
    names = [f"{source}.attn_{part}.weight" for part in "qkv"]
    parts = [original.tensor(name) for name in names]
    name = f"{block}.attn_qkv.weight"
    if len({kind for _, kind in parts}) == 1:
        rows = np.concatenate([rows for rows, _ in parts])
        writer.add_tensor(name, rows, raw_dtype=parts[0][1])
    else:
        values = np.concatenate([original.values(part) for part in names])
        writer.add_tensor(name, values.astype(np.float16))


def _add_head(original: _Original, writer: Any, block: str) -> None:
    source = f"blk.{COPIED_LAYER}"
    _add_fused(original, writer, source, block)
    for part in ("attn_norm", "attn_output", "ffn_norm", "ffn_gate", "ffn_up", "ffn_down"):
        rows, kind = original.tensor(f"{source}.{part}.weight")
        writer.add_tensor(f"{block}.{part}.weight", rows, raw_dtype=kind)
    embeddings = original.values("token_embd.weight").astype(np.float64)
    width = embeddings.shape[1]
    usual = np.sqrt(np.mean(embeddings**2))
    for norm, size in (("enorm", EMBEDDING_SIZE), ("hnorm", HIDDEN_SIZE)):
        weights = np.full(width, size * usual, np.float32)
        writer.add_tensor(f"{block}.nextn.{norm}.weight", weights)
    both = np.concatenate([np.eye(width), np.eye(width)], axis=1)
    writer.add_tensor(f"{block}.nextn.eh_proj.weight", both.astype(np.float16))


def add_head(original: Path, made: Path) -> None:
    """Write the model with a head. Raises BenchError for any model but a dense llama."""
    from gguf import GGUFWriter

    reader = open_dense_llama(original, "adding a head")
    source, writer = _Original(reader), GGUFWriter(made, ARCHITECTURE)
    layers, context = source.number("block_count"), source.number("context_length")
    copy_metadata(reader, writer, ARCHITECTURE, ("block_count",))
    writer.add_block_count(layers + 1)
    writer.add_uint32(f"{ARCHITECTURE}.nextn_predict_layers", 1)
    # The graph needs an experts' width and a sliding window: the first is never used, and the
    # second is as long as the context.
    writer.add_expert_feed_forward_length(source.number("feed_forward_length"))
    writer.add_sliding_window(context)
    writer.add_sliding_window_pattern([False] * layers + [True])
    writer.add_float32(f"{ARCHITECTURE}.rope.freq_base_swa", source.get("rope.freq_base", 10000.0))
    for name in source.names():
        rows, kind = source.tensor(name)
        writer.add_tensor(name, rows, raw_dtype=kind)
    if "output.weight" not in source.names():
        rows, kind = source.tensor("token_embd.weight")
        writer.add_tensor("output.weight", rows, raw_dtype=kind)
    _add_head(source, writer, f"blk.{layers}")
    write(writer)
