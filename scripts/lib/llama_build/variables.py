"""The variables that an engine is started with: of llama.cpp's own none from the shell, since no spec knows of them."""

from __future__ import annotations

import re
from collections.abc import Mapping

LIBRARY_VARIABLE = "LLAMA_CPP_LIB_PATH"
# LLAMA_ARG_… are llama-server's flags, LLAMA_API_KEY shuts it, GGML_… and MTMD_… change how it
# computes.
ENGINE_NAME = re.compile(r"(LLAMA|GGML|MTMD)_\w+")


def engine_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables without those that llama.cpp reads; the one that names its library stays. Pure."""
    return {
        n: text
        for n, text in variables.items()
        if n == LIBRARY_VARIABLE or not ENGINE_NAME.fullmatch(n)
    }
