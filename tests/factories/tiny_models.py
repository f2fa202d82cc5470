"""Tiny seeded GGUF models for tests: a few hundred KB, F32 (greedy output is then exact).

They answer in printable ASCII and practically never end by themselves: an answer is as long as it
was allowed to be.

Kinds of models: `dense` (llama), `other_vocab` (dense, one token text changed), `moe` (qwen3moe, 8
experts of which 4 are used), `mamba2` (recurrent: whole checkpoints), `lfm2` (recurrent, rolls
back). With a head for multi-token prediction: `mtp` (mimo2, dense), `mtp_moe` (glm4moe: experts and
a shared expert, in the head too), `hybrid` (qwen35: a delta network that rolls back).

Kinds of drafts: `draft` (the dense model's first layers; its answers are often, not always, the
same), `mtp_file` (the head of `mtp` in a file of its own), and for `dense` as target `eagle3`,
`dflash` and `dspark`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np

EMBEDDING, HEADS, LAYERS, FEED_FORWARD, CONTEXT = 64, 4, 4, 128, 2048
HEAD = EMBEDDING // HEADS
EXPERTS, EXPERTS_USED, EXPERT_FEED_FORWARD = 8, 4, 64
KINDS = (
    "dense", "draft", "other_vocab", "moe", "mamba2", "lfm2",
    "mtp", "mtp_moe", "hybrid", "mtp_file", "eagle3", "dflash", "dspark",
)  # fmt: skip
WITH_HEAD = ("mtp", "mtp_moe", "hybrid", "mtp_file")
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_NORMAL, _UNKNOWN, _CONTROL, _BYTE = 1, 2, 3, 6
_ARCHITECTURES = {
    "moe": "qwen3moe", "mamba2": "mamba2", "lfm2": "lfm2",
    "mtp": "mimo2", "mtp_file": "mimo2", "mtp_moe": "glm4moe", "hybrid": "qwen35",
    "eagle3": "eagle3", "dflash": "dflash", "dspark": "dflash",
}  # fmt: skip
_MIXTURES = ("moe", "mtp_moe")
# Layers of the target whose inputs an eagle3 or dflash draft reads; the most tokens of a block.
_TARGET_LAYERS, BLOCK = (1, 2, 3), 8


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
    """Adds seeded tensors. Each name has its own generator: a draft shares its target's layers.

    `copied`: (block, block whose values it gets): a head gets the values of the trunk's first one.
    """

    def __init__(self, path: Path, arch: str, seed: int):
        self.gguf = gguf.GGUFWriter(path, arch)
        self.arch, self.seed = arch, seed
        self.copied = ("", "")

    def values(self, name: str, *shape: int, scale: float = 1.0) -> np.ndarray[Any, Any]:
        """Normal values of a tensor of that name."""
        rng = np.random.default_rng([self.seed, *name.replace(*self.copied).encode()])
        return np.asarray(rng.standard_normal(shape) * scale / np.sqrt(shape[-1]))

    def add(self, name: str, values: np.ndarray[Any, Any]) -> None:
        self.gguf.add_tensor(name, np.ascontiguousarray(values, np.float32))

    def random(self, name: str, *shape: int, scale: float = 1.0, silent: int = 0) -> None:
        """Normal values; the first `silent` rows are zero (tokens that are never the likeliest)."""
        values = self.values(name, *shape, scale=scale)
        values[:silent] = 0.0
        self.add(name, values)

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


def _experts(w: _Writer, block: str, residual: float) -> None:
    w.random(f"{block}.ffn_gate_inp.weight", EXPERTS, EMBEDDING)
    w.random(f"{block}.ffn_gate_exps.weight", EXPERTS, EXPERT_FEED_FORWARD, EMBEDDING)
    w.random(f"{block}.ffn_up_exps.weight", EXPERTS, EXPERT_FEED_FORWARD, EMBEDDING)
    w.random(
        f"{block}.ffn_down_exps.weight", EXPERTS, EMBEDDING, EXPERT_FEED_FORWARD, scale=3 * residual
    )


def _moe_block(w: _Writer, block: str, residual: float) -> None:
    _attention(w, block, residual, norms=True)
    w.ones(f"{block}.ffn_norm.weight", EMBEDDING)
    _experts(w, block, residual)


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


def _fused_block(w: _Writer, block: str, residual: float) -> None:
    """As a dense block, with one tensor for Q, K and V."""
    parts = [w.values(f"{block}.attn_{part}.weight", EMBEDDING, EMBEDDING) for part in "qkv"]
    w.add(f"{block}.attn_qkv.weight", np.concatenate(parts))
    w.random(f"{block}.attn_output.weight", EMBEDDING, EMBEDDING, scale=residual)
    _feed_forward(w, block, residual)


def _shared_expert_block(w: _Writer, block: str, residual: float) -> None:
    _attention(w, block, residual, norms=False)
    w.ones(f"{block}.post_attention_norm.weight", EMBEDDING)
    _experts(w, block, residual)
    w.full(f"{block}.exp_probs_b.bias", 0.0, EXPERTS)
    w.random(f"{block}.ffn_gate_shexp.weight", EXPERT_FEED_FORWARD, EMBEDDING)
    w.random(f"{block}.ffn_up_shexp.weight", EXPERT_FEED_FORWARD, EMBEDDING)
    w.random(f"{block}.ffn_down_shexp.weight", EMBEDDING, EXPERT_FEED_FORWARD, scale=residual)


# Of the delta network: heads of keys and of values, and the width of both.
_KEY_HEADS, _VALUE_HEADS, _DELTA = 2, 4, 16


def _hybrid_block(w: _Writer, block: str, residual: float) -> None:
    layer = int(block.split(".")[1])
    if layer % 2 or layer == LAYERS:
        w.random(f"{block}.attn_q.weight", 2 * EMBEDDING, EMBEDDING)  # the second half: a gate
        w.random(f"{block}.attn_k.weight", EMBEDDING, EMBEDDING)
        w.random(f"{block}.attn_v.weight", EMBEDDING, EMBEDDING)
        w.random(f"{block}.attn_output.weight", EMBEDDING, EMBEDDING, scale=residual)
        w.ones(f"{block}.attn_q_norm.weight", HEAD)
        w.ones(f"{block}.attn_k_norm.weight", HEAD)
    else:
        inner = _VALUE_HEADS * _DELTA
        wide = 2 * _KEY_HEADS * _DELTA + inner
        w.random(f"{block}.attn_qkv.weight", wide, EMBEDDING)
        w.random(f"{block}.attn_gate.weight", inner, EMBEDDING)
        w.random(f"{block}.ssm_conv1d.weight", wide, _CONV)
        w.full(f"{block}.ssm_dt.bias", 0.1, _VALUE_HEADS)
        w.full(f"{block}.ssm_a", -1.0, _VALUE_HEADS)
        w.random(f"{block}.ssm_beta.weight", _VALUE_HEADS, EMBEDDING)
        w.random(f"{block}.ssm_alpha.weight", _VALUE_HEADS, EMBEDDING)
        w.ones(f"{block}.ssm_norm.weight", _DELTA)
        w.random(f"{block}.ssm_out.weight", EMBEDDING, inner, scale=residual)
    w.ones(f"{block}.post_attention_norm.weight", EMBEDDING)
    w.random(f"{block}.ffn_gate.weight", FEED_FORWARD, EMBEDDING)
    w.random(f"{block}.ffn_up.weight", FEED_FORWARD, EMBEDDING)
    w.random(f"{block}.ffn_down.weight", EMBEDDING, FEED_FORWARD, scale=residual)


def _eagle3_block(w: _Writer, block: str, residual: float) -> None:
    """Every token attends to itself: so its embedding comes into the stream, which has only g."""
    w.ones(f"{block}.attn_norm_2.weight", EMBEDDING)
    token = np.concatenate([np.eye(EMBEDDING), np.zeros((EMBEDDING, EMBEDDING))], axis=1)
    for part, scale in (("q", 2.0), ("k", 2.0), ("v", 1.0)):
        w.add(f"{block}.attn_{part}.weight", scale * token)
    w.add(f"{block}.attn_output.weight", np.eye(EMBEDDING))
    _feed_forward(w, block, residual)


def _dflash_block(w: _Writer, block: str, residual: float) -> None:
    _attention(w, block, residual, norms=True)
    _feed_forward(w, block, residual)


_BLOCKS = {
    "moe": _moe_block, "mamba2": _mamba_block, "lfm2": _lfm_block,
    "mtp": _fused_block, "mtp_file": _fused_block, "mtp_moe": _shared_expert_block,
    "hybrid": _hybrid_block,
    "eagle3": _eagle3_block, "dflash": _dflash_block, "dspark": _dflash_block,
}  # fmt: skip


def _head(w: _Writer, kind: str, residual: float) -> None:
    """A head for multi-token prediction: the trunk's first block, on the next token's embedding.

    The hidden state of the token before is mixed in.
    """
    block = f"blk.{LAYERS}"
    w.copied = (block, "blk.1" if kind == "hybrid" else "blk.0")
    hidden = 0.2 * np.eye(EMBEDDING)
    w.add(f"{block}.nextn.eh_proj.weight", np.concatenate([np.eye(EMBEDDING), hidden], axis=1))
    for norm in ("attn_norm", "nextn.enorm", "nextn.hnorm"):
        w.ones(f"{block}.{norm}.weight", EMBEDDING)
    _BLOCKS[kind](w, block, residual)
    w.copied = ("", "")


def _draft_parts(w: _Writer, kind: str, texts: int, sharpness: float) -> None:
    """What drafts that read their target's layers have beside their blocks."""
    w.random("fc.weight", EMBEDDING, len(_TARGET_LAYERS) * EMBEDDING, scale=0.2)
    if kind != "eagle3":
        w.ones("enc.output_norm.weight", EMBEDDING)
    if kind == "dspark":  # the next token by the one before it alone
        w.add("markov_w1.weight", w.values("token_embd.weight", texts, EMBEDDING, scale=8.0))
        w.random("markov_w2.weight", texts, EMBEDDING, scale=2 * sharpness, silent=texts - 95)


def _special_metadata(w: _Writer, kind: str, layers: int) -> None:
    """The keys that only this kind has."""
    out, arch = w.gguf, w.arch
    if kind in _MIXTURES:
        out.add_expert_count(EXPERTS)
        out.add_expert_used_count(EXPERTS_USED)
        out.add_expert_feed_forward_length(EXPERT_FEED_FORWARD)
    if kind == "mtp_moe":
        out.add_expert_shared_count(1)
    if kind in WITH_HEAD:
        out.add_uint32(f"{arch}.nextn_predict_layers", 1)
    if arch == "mimo2":  # it must have a sliding window: one that is never full; experts it has not
        out.add_expert_feed_forward_length(EXPERT_FEED_FORWARD)
        out.add_sliding_window(CONTEXT)
        out.add_sliding_window_pattern([layer % 2 == 0 for layer in range(layers)])
    if kind == "lfm2":
        out.add_uint32("lfm2.shortconv.l_cache", 3)
    if kind == "hybrid":
        out.add_uint32(f"{arch}.full_attention_interval", 2)
        out.add_rope_dimension_sections([HEAD // 4, HEAD // 8, HEAD // 8, 0])
        out.add_ssm_conv_kernel(_CONV)
        out.add_ssm_inner_size(_VALUE_HEADS * _DELTA)
        out.add_ssm_state_size(_DELTA)
        out.add_ssm_time_step_rank(_VALUE_HEADS)
        out.add_ssm_group_count(_KEY_HEADS)
    if arch in ("eagle3", "dflash"):
        out.add_array(f"{arch}.target_layers", list(_TARGET_LAYERS))
        out.add_uint32(f"{arch}.target_hidden_size", EMBEDDING)
    if arch == "dflash":
        out.add_uint32(f"{arch}.block_size", BLOCK)
        out.add_mask_token_id(0)


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
    _special_metadata(w, kind, layers)


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


_LAYERS = {"draft": 2, "eagle3": 1, "dflash": 1, "dspark": 1}


def write_model(
    path: Path,
    kind: str = "dense",
    seed: int = 0,
    *,
    residual: float = 0.3,
    bos: int = 1,
    template: str | None = TEMPLATE,
    split: tuple[int, int] | None = None,
    sharpness: float = 1.0,
) -> Path:
    """Write a model of that kind; equal arguments give equal bytes. `bos` sets the BOS token id.

    `split`: (number from 0, count), what the header says of a split model's file; it holds all
    tensors nevertheless. `sharpness`: a factor of all logits; a sampled answer of the default model
    is nearly random text.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    layers = _LAYERS.get(kind, LAYERS)
    writer = _Writer(path, _ARCHITECTURES.get(kind, "llama"), seed)
    texts, types = vocabulary(changed=kind == "other_vocab")
    _metadata(writer, kind, layers + (kind in WITH_HEAD), f"tiny-{kind}")
    if split is not None:
        writer.gguf.add_uint16("split.no", split[0])
        writer.gguf.add_uint16("split.count", split[1])
    _tokenizer(writer, texts, types, bos, template)
    writer.random("token_embd.weight", len(texts), EMBEDDING, scale=8.0)
    writer.ones("token_embd_norm.weight" if kind == "lfm2" else "output_norm.weight", EMBEDDING)
    silent = len(texts) - 95
    writer.random("output.weight", len(texts), EMBEDDING, scale=sharpness, silent=silent)
    make_block: Any = _BLOCKS.get(kind, _dense_block)
    for layer in range(0 if kind == "mtp_file" else layers):
        writer.ones(f"blk.{layer}.attn_norm.weight", EMBEDDING)
        make_block(writer, f"blk.{layer}", residual)
    if kind in WITH_HEAD:
        _head(writer, kind, residual)
    if writer.arch in ("eagle3", "dflash"):
        _draft_parts(writer, kind, len(texts), sharpness)
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
