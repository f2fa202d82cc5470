"""Environment variables of an engine. llama.cpp's own are removed, since no spec contains them."""

from __future__ import annotations

import os
import re

LIBRARY_VARIABLE = "LLAMA_CPP_LIB_PATH"
# LLAMA_ARG_… are llama-server's flags, LLAMA_API_KEY is its key, GGML_… and MTMD_… change its
# computations.
ENGINE_NAME = re.compile(r"(LLAMA|GGML|MTMD)_\w+")


def engine_environment() -> dict[str, str]:
    """The process's variables without those that llama.cpp reads, except the libraries' path."""
    return {
        n: text
        for n, text in os.environ.items()
        if n == LIBRARY_VARIABLE or not ENGINE_NAME.fullmatch(n)
    }
