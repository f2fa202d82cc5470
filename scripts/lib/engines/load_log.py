"""Reads what llama.cpp logs when it loads a model."""

from __future__ import annotations

import re
from collections.abc import Mapping

# ik_llama.cpp has the older names, of the function and of the file type.
_PRINTER = r"(?:print_info|llm_load_print_meta)"
_MODEL = re.compile(_PRINTER + r": (?:file )?format\b")
_PRINTED = re.compile(
    _PRINTER + r": (n_expert_used|n_expert|arch|file type|model ftype|n_ctx_train)\s*=\s*(.+?)\s*$",
    re.M,
)
_BUFFER = re.compile(r"load_tensors:\s+(\S+) model buffer size =\s+([\d.]+) MiB")
_KV_TYPES = re.compile(r"\bK \((\w+)\):.*\bV \((\w+)\):")
_FLASH_ATTENTION = re.compile(r": flash_attn\s*=\s*(\w+)")
# `Flash Attention enabled`, `Flash Attention not supported, set to disabled`; before that
# `Flash Attention was auto, set to enabled`.
_FLASH_RESOLVED = re.compile(r"Flash Attention (?:[\w ]+, set to )?(\w+)$", re.M)
_SWITCH = {"enabled": True, "disabled": False, "1": True, "0": False}
_NAMES = {"file type": "file_type", "model ftype": "file_type"}


def model_logs(log: str) -> list[str]:
    """The part of the log about each loaded model: first the target, then a draft."""
    return _MODEL.split(log)[1:]


def effective_settings(log: str) -> dict[str, str]:
    """The settings of the loaded model: active experts, architecture, file type, context."""
    return {_NAMES.get(key, key): value for key, value in _PRINTED.findall(log)}


def weights_buffers(log: str) -> dict[str, float]:
    """MiB of the buffers for weights, of all models, by kind: `CPU_Mapped`, `CPU_REPACK`, `CPU`."""
    sizes: dict[str, float] = {}
    for name, size in _BUFFER.findall(log):
        sizes[name] = round(sizes.get(name, 0.0) + float(size), 2)
    return sizes


def kv_types(log: str) -> dict[str, str]:
    """The types of the first context's KV cache; nothing where the log does not name them."""
    found = _KV_TYPES.search(log)
    return {"kv_type_k": found[1], "kv_type_v": found[2]} if found is not None else {}


def unlike(loading: Mapping[str, bool], buffers: Mapping[str, float]) -> str:
    """How the buffers for weights differ from `repack` and `mmap` where those are False."""
    unwanted = {"repack": "_REPACK", "mmap": "_Mapped"}
    for key in loading:
        named = [name for name in buffers if name.endswith(unwanted[key])]
        if named or not buffers:
            return f"{key} false: the engine has {', '.join(named) or 'not named its buffers'}"
    return ""


def copied_bytes(buffers: Mapping[str, float]) -> int:
    """Bytes of weights that llama.cpp copied: repacked, or read without mmap."""
    return int(sum(s for name, s in buffers.items() if not name.endswith("_Mapped")) * (1 << 20))


def flash_attention(log: str) -> bool | None:
    """Whether the first context has flash attention; None where the log does not say.

    A context logs what it was asked for, and where that is `auto`, what became of it.
    """
    asked = _FLASH_ATTENTION.search(log)
    if asked is None:
        return None
    if asked[1] == "auto":
        asked = _FLASH_RESOLVED.search(log, asked.end())
    return _SWITCH.get(asked[1]) if asked is not None else None
