"""Sparse upcycling: makes an MoE from a dense llama model, to show expert reduction on real text.

Each expert is a copy of the dense feed-forward block, with its quantised blocks unchanged. A small
random router chooses experts. Their weights add up to one and the experts are equal. So the answers
are those of the dense model for any number of experts; only the speed changes. It is a test piece,
not a better model.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from scripts.lib.base.errors import BenchError

ROUTER_SCALE = 0.02
SEED = 135
_PARTS = ("ffn_gate", "ffn_up", "ffn_down")


def _copy_metadata(reader: Any, writer: Any, experts: int, experts_used: int) -> None:
    from gguf.constants import GGUFValueType, Keys

    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name == Keys.General.ARCHITECTURE:
            continue
        kind = field.types[0]
        inner = field.types[-1] if kind == GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, field.contents(), kind, sub_type=inner)
    writer.add_expert_count(experts)
    writer.add_expert_used_count(experts_used)


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
    from gguf import GGUFReader, GGUFWriter

    reader = GGUFReader(original)
    arch = reader.fields["general.architecture"].contents()
    if arch != "llama" or "llama.expert_count" in reader.fields:
        raise BenchError(
            f"{original}: upcycling expects a dense model of architecture llama, found '{arch}'"
        )
    layers = int(reader.fields["llama.block_count"].contents())
    width = int(reader.fields["llama.embedding_length"].contents())
    writer = GGUFWriter(made, "llama")
    _copy_metadata(reader, writer, experts, experts_used)
    rng = np.random.default_rng(SEED)
    for tensor in reader.tensors:
        _copy_tensor(writer, tensor, experts)
    for layer in range(layers):
        router = rng.standard_normal((experts, width)) * ROUTER_SCALE
        writer.add_tensor(f"blk.{layer}.ffn_gate_inp.weight", router.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
