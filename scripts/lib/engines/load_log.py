"""What llama.cpp logs of a model that it loads."""

from __future__ import annotations

import re

_PRINTED = re.compile(
    r"print_info: (n_expert_used|n_expert|arch|file type|n_ctx_train)\s*=\s*(.+?)\s*$", re.M
)


def effective_settings(log: str) -> dict[str, str]:
    """The settings of the loaded model: active experts, architecture, file type, context."""
    return {key.replace(" ", "_"): value for key, value in _PRINTED.findall(log)}
