"""Tiny seeded GGUF models for tests: a few hundred KB, F32 (greedy output is then exact).

They answer in printable ASCII and practically never end by themselves: an answer is as long as it
was allowed to be.

Kinds: `dense` (llama), `draft` (the dense model's first layers; its answers are often, not always,
the same), `other_vocab` (dense, one token text changed), `moe` (qwen3moe, 8 experts of which 4 are
used), `mamba2` and `lfm2` (recurrent).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np

EMBEDDING, HEADS, LAYERS, FEED_FORWARD, CONTEXT = 64, 4, 4, 128, 2048
HEAD = EMBEDDING // HEADS
EXPERTS, EXPERTS_USED, EXPERT_FEED_FORWARD = 8, 4, 64
KINDS = ("dense", "draft", "other_vocab", "moe", "mamba2", "lfm2")
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_NORMAL, _UNKNOWN, _CONTROL, _BYTE = 1, 2, 3, 6
_ARCHITECTURES = {"moe": "qwen3moe", "mamba2": "mamba2", "lfm2": "lfm2"}


def vocabulary(changed: bool = False) -> tuple[list[str], list[int]]:
    """Token texts and types: specials, the 256 bytes, a space, each printable ASCII character."""
    specials = ["<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"]
    texts = [
        *specials,
        *(f"<0x{byte:02X}>" for byte in range(256)),
        "▁",
        *(chr(code) for code in range(33, 127)),
    ]
    types = [_UNKNOWN, *[_CONTROL] * 4, *[_BYTE] * 256, *[_NORMAL] * 95]
    if changed:
        texts[-1] = "¤"
    return texts, types


class _Writer:
    """Adds seeded tensors. Each name has its own generator: a draft shares its target's layers."""

    def __init__(self, path: Path, arch: str, seed: int):
        self.gguf = gguf.GGUFWriter(path, arch)
        self.arch, self.seed = arch, seed

    def random(self, name: str, *shape: int, scale: float = 1.0, silent: int = 0) -> None:
        """Normal values; the first `silent` rows are zero (tokens that are never the likeliest)."""
        rng = np.random.default_rng([self.seed, *name.encode()])
        values = rng.standard_normal(shape) * scale / np.sqrt(shape[-1])
        values[:silent] = 0.0
        self.gguf.add_tensor(name, values.astype(np.float32))

    def ones(self, name: str, *shape: int) -> None:
        self.gguf.add_tensor(name, np.ones(shape, np.float32))

    def full(self, name: str, value: float, *shape: int) -> None:
        self.gguf.add_tensor(name, np.full(shape, value, np.float32))


def _attention(w: _Writer, block: str, residual: float, norms: bool) -> None:
    for part in ("q", "k", "v"):
        w.random(f"{block}.attn_{part}.weight", EMBEDDING, EMBEDDING)
    w.random(f"{block}.attn_output.weight", EMBEDDING, EMBEDDING, scale=residual)
    if norms:
        w.ones(f"{block}.attn_q_norm.weight", HEAD)
        w.ones(f"{block}.attn_k_norm.weight", HEAD)


def _feed_forward(w: _Writer, block: str, residual: float) -> None:
    w.ones(f"{block}.ffn_norm.weight", EMBEDDING)
    w.random(f"{block}.ffn_gate.weight", FEED_FORWARD, EMBEDDING)
    w.random(f"{block}.ffn_up.weight", FEED_FORWARD, EMBEDDING)
    w.random(f"{block}.ffn_down.weight", EMBEDDING, FEED_FORWARD, scale=residual)


def _dense_block(w: _Writer, block: str, residual: float) -> None:
    _attention(w, block, residual, norms=False)
    _feed_forward(w, block, residual)


def _moe_block(w: _Writer, block: str, residual: float) -> None:
    _attention(w, block, residual, norms=True)
    w.ones(f"{block}.ffn_norm.weight", EMBEDDING)
    w.random(f"{block}.ffn_gate_inp.weight", EXPERTS, EMBEDDING)
    w.random(f"{block}.ffn_gate_exps.weight", EXPERTS, EXPERT_FEED_FORWARD, EMBEDDING)
    w.random(f"{block}.ffn_up_exps.weight", EXPERTS, EXPERT_FEED_FORWARD, EMBEDDING)
    w.random(
        f"{block}.ffn_down_exps.weight", EXPERTS, EMBEDDING, EXPERT_FEED_FORWARD, scale=3 * residual
    )


_INNER, _STATE, _RANK, _CONV = 128, 16, 8, 4


def _mamba_block(w: _Writer, block: str, residual: float) -> None:
    wide = _INNER + 2 * _STATE
    w.random(f"{block}.ssm_in.weight", _INNER + wide + _RANK, EMBEDDING)
    w.random(f"{block}.ssm_conv1d.weight", wide, _CONV)
    w.full(f"{block}.ssm_conv1d.bias", 0.0, wide)
    w.full(f"{block}.ssm_dt.bias", 0.1, _RANK)
    w.full(f"{block}.ssm_a", -1.0, _RANK, 1)
    w.full(f"{block}.ssm_d", 1.0, _RANK, 1)
    w.ones(f"{block}.ssm_norm.weight", 1, _INNER)
    w.random(f"{block}.ssm_out.weight", EMBEDDING, _INNER, scale=residual)


def _lfm_block(w: _Writer, block: str, residual: float) -> None:
    if int(block.split(".")[1]) % 2:
        _attention(w, block, residual, norms=True)
    else:
        w.random(f"{block}.shortconv.conv.weight", EMBEDDING, 3)
        w.random(f"{block}.shortconv.in_proj.weight", 3 * EMBEDDING, EMBEDDING)
        w.random(f"{block}.shortconv.out_proj.weight", EMBEDDING, EMBEDDING, scale=residual)
    _feed_forward(w, block, residual)


_BLOCKS = {"moe": _moe_block, "mamba2": _mamba_block, "lfm2": _lfm_block}


def _metadata(w: _Writer, kind: str, layers: int, name: str) -> None:
    out = w.gguf
    out.add_name(name)
    out.add_file_type(gguf.LlamaFileType.ALL_F32)
    out.add_context_length(CONTEXT)
    out.add_embedding_length(EMBEDDING)
    out.add_block_count(layers)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_feed_forward_length(0 if kind == "mamba2" else FEED_FORWARD)
    if kind != "mamba2":
        out.add_head_count(HEADS)
        out.add_head_count_kv(
            [HEADS if i % 2 else 0 for i in range(layers)] if kind == "lfm2" else HEADS
        )
        out.add_rope_dimension_count(HEAD)
        out.add_key_length(HEAD)
        out.add_value_length(HEAD)
    else:
        out.add_head_count(0)
        out.add_ssm_conv_kernel(_CONV)
        out.add_ssm_inner_size(_INNER)
        out.add_ssm_state_size(_STATE)
        out.add_ssm_time_step_rank(_RANK)
        out.add_ssm_group_count(1)
    if kind == "moe":
        out.add_expert_count(EXPERTS)
        out.add_expert_used_count(EXPERTS_USED)
        out.add_expert_feed_forward_length(EXPERT_FEED_FORWARD)
    if kind == "lfm2":
        out.add_uint32("lfm2.shortconv.l_cache", 3)


def _tokenizer(
    w: _Writer, texts: list[str], types: list[int], bos: int, template: str | None
) -> None:
    out = w.gguf
    out.add_tokenizer_model("llama")
    out.add_token_list(texts)
    out.add_token_scores([0.0 if kind != _NORMAL else -1.0 for kind in types])
    out.add_token_types(types)
    out.add_bos_token_id(bos)
    out.add_eos_token_id(2)
    out.add_eot_token_id(4)
    out.add_unk_token_id(0)
    out.add_add_bos_token(True)
    out.add_add_space_prefix(False)
    if template is not None:
        out.add_chat_template(template)


def write_model(
    path: Path,
    kind: str = "dense",
    seed: int = 0,
    *,
    residual: float = 0.3,
    bos: int = 1,
    template: str | None = TEMPLATE,
    split: tuple[int, int] | None = None,
) -> Path:
    """Write a model of that kind; equal arguments give equal bytes. `bos` sets the BOS token id.

    `split`: (number from 0, count), what the header says of a split model's file; it holds all
    tensors nevertheless.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    layers = 2 if kind == "draft" else LAYERS
    writer = _Writer(path, _ARCHITECTURES.get(kind, "llama"), seed)
    texts, types = vocabulary(changed=kind == "other_vocab")
    _metadata(writer, kind, layers, f"tiny-{kind}")
    if split is not None:
        writer.gguf.add_uint16("split.no", split[0])
        writer.gguf.add_uint16("split.count", split[1])
    _tokenizer(writer, texts, types, bos, template)
    writer.random("token_embd.weight", len(texts), EMBEDDING, scale=8.0)
    writer.ones("token_embd_norm.weight" if kind == "lfm2" else "output_norm.weight", EMBEDDING)
    writer.random("output.weight", len(texts), EMBEDDING, silent=len(texts) - 95)
    make_block: Any = _BLOCKS.get(kind, _dense_block)
    for layer in range(layers):
        writer.ones(f"blk.{layer}.attn_norm.weight", EMBEDDING)
        make_block(writer, f"blk.{layer}", residual)
    writer.gguf.write_header_to_file()
    writer.gguf.write_kv_data_to_file()
    writer.gguf.write_tensors_to_file()
    writer.gguf.close()
    return path


IMAGE, PATCH, VISION_LAYERS = 32, 8, 2
IMAGE_TOKENS = (IMAGE // PATCH) ** 2


def write_projector(path: Path, seed: int = 0) -> Path:
    """Write a tiny LLaVA projector (mmproj) for the dense model; an image has `IMAGE_TOKENS`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = _Writer(path, "clip", seed)
    out = writer.gguf
    out.add_bool("clip.has_vision_encoder", True)
    out.add_string("clip.projector_type", "mlp")
    out.add_bool("clip.use_gelu", True)
    for key, value in {
        "image_size": IMAGE, "patch_size": PATCH, "embedding_length": EMBEDDING,
        "feed_forward_length": FEED_FORWARD,
        "projection_dim": EMBEDDING, "block_count": VISION_LAYERS, "attention.head_count": HEADS,
    }.items():  # fmt: skip
        out.add_uint32(f"clip.vision.{key}", value)
    out.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-5)
    out.add_array("clip.vision.image_mean", [0.5, 0.5, 0.5])
    out.add_array("clip.vision.image_std", [0.5, 0.5, 0.5])
    writer.random("v.patch_embd.weight", EMBEDDING, 3, PATCH, PATCH)
    writer.random("v.position_embd.weight", IMAGE_TOKENS, EMBEDDING)
    for layer in range(VISION_LAYERS):
        block = f"v.blk.{layer}"
        for part in ("attn_q", "attn_k", "attn_v", "attn_out"):
            writer.random(f"{block}.{part}.weight", EMBEDDING, EMBEDDING)
            writer.full(f"{block}.{part}.bias", 0.0, EMBEDDING)
        for norm in ("ln1", "ln2"):
            writer.ones(f"{block}.{norm}.weight", EMBEDDING)
            writer.full(f"{block}.{norm}.bias", 0.0, EMBEDDING)
        writer.random(f"{block}.ffn_up.weight", FEED_FORWARD, EMBEDDING)
        writer.full(f"{block}.ffn_up.bias", 0.0, FEED_FORWARD)
        writer.random(f"{block}.ffn_down.weight", EMBEDDING, FEED_FORWARD)
        writer.full(f"{block}.ffn_down.bias", 0.0, EMBEDDING)
    for index in (0, 2):
        writer.random(f"mm.{index}.weight", EMBEDDING, EMBEDDING)
        writer.full(f"mm.{index}.bias", 0.0, EMBEDDING)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
    return path
