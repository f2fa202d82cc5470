"""A copy of a model in another quantisation, by llama.cpp's own quantiser."""

from __future__ import annotations

import ctypes
from pathlib import Path

from scripts.lib.base.errors import BenchError, suggest
from scripts.lib.llama_build.build import activate

# llama.cpp's file types (include/llama.h, enum llama_ftype).
FILE_TYPES = {
    "F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8, "Q5_1": 9, "Q2_K": 10,
    "Q3_K_S": 11, "Q3_K_M": 12, "Q3_K_L": 13, "Q4_K_S": 14, "Q4_K_M": 15, "Q5_K_S": 16,
    "Q5_K_M": 17, "Q6_K": 18,
}  # fmt: skip


def requantize(original: Path, made: Path, quant: str) -> None:
    """Write `original` as `quant`. Raises BenchError for unknown types and llama.cpp's failures."""
    if quant not in FILE_TYPES:
        raise BenchError(f"requantize: unknown type '{quant}'{suggest(quant, FILE_TYPES)}")
    activate()
    import llama_cpp

    from scripts.lib.llama_build.log import EngineLog

    log = EngineLog()
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = FILE_TYPES[quant]
    params.allow_requantize = True
    params.nthread = 0
    status = llama_cpp.llama_model_quantize(
        str(original).encode(), str(made).encode(), ctypes.byref(params)
    )
    if status != 0:
        raise BenchError(
            f"requantising {original} to {quant} failed with status {status}: {log.last_words(3)}"
        )
