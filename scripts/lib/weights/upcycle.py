"""Sparse upcycling: makes an MoE from a dense llama model, to show expert reduction on real text.

Each expert is a copy of the dense feed-forward block, with its quantised blocks unchanged. A small
random router chooses experts. All experts are equal, and their weights add up to one. So the
answers are those of the dense model for any number of experts; only the speed changes. It is a test
piece, not a better model.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from scripts.lib.weights.gguf_copy import copy_metadata, open_dense_llama, write

ROUTER_SCALE = 0.02
SEED = 135
_PARTS = ("ffn_gate", "ffn_up", "ffn_down")


def _copy_tensor(writer: Any, tensor: Any, experts: int) -> None:
    block, _, name = tensor.name.partition(".ffn_")
    part = f"ffn_{name.removesuffix('.weight')}"
    if part not in _PARTS:
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
        return
    stacked = np.stack([tensor.data] * experts)
    writer.add_tensor(f"{block}.{part}_exps.weight", stacked, raw_dtype=tensor.tensor_type)


def upcycle(original: Path, made: Path, experts: int, experts_used: int) -> None:
    """Write the MoE. Raises BenchError for any model but a dense llama."""
    from gguf import GGUFWriter

    reader = open_dense_llama(original, "upcycling")
    layers = int(reader.fields["llama.block_count"].contents())
    width = int(reader.fields["llama.embedding_length"].contents())
    writer = GGUFWriter(made, "llama")
    copy_metadata(reader, writer, "llama", ())
    writer.add_expert_count(experts)
    writer.add_expert_used_count(experts_used)
    rng = np.random.default_rng(SEED)
    for tensor in reader.tensors:
        _copy_tensor(writer, tensor, experts)
    for layer in range(layers):
        router = rng.standard_normal((experts, width)) * ROUTER_SCALE
        writer.add_tensor(f"blk.{layer}.ffn_gate_inp.weight", router.astype(np.float32))
    write(writer)
