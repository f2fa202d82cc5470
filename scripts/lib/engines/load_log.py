"""Reads what llama.cpp logs when it loads a model."""

from __future__ import annotations

import re

# ik_llama.cpp has the older names, of the function and of the file type.
_PRINTER = r"(?:print_info|llm_load_print_meta)"
_MODEL = re.compile(_PRINTER + r": (?:file )?format\b")
_PRINTED = re.compile(
    _PRINTER + r": (n_expert_used|n_expert|arch|file type|model ftype|n_ctx_train)\s*=\s*(.+?)\s*$",
    re.M,
)
_NAMES = {"file type": "file_type", "model ftype": "file_type"}


def model_logs(log: str) -> list[str]:
    """The part of the log about each loaded model: first the target, then a draft."""
    return _MODEL.split(log)[1:]


def effective_settings(log: str) -> dict[str, str]:
    """The settings of the loaded model: active experts, architecture, file type, context."""
    return {_NAMES.get(key, key): value for key, value in _PRINTED.findall(log)}
