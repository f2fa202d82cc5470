"""The memory that a shard needs, and how much of its weights the page cache already holds."""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from scripts.lib.planning.cell_spec import Weights, loaded_projector
from scripts.lib.planning.plan import Shard
from scripts.lib.weights.kv_cache import KvCache

# The KV cache as a share of the weights, where no header gives its size.
UNKNOWN_KV_SHARE = 0.1
SAMPLES, SAMPLE_BYTES = 64, 4 << 20
WARM, COLD = 0.99, 0.01
_PROT_READ, _MAP_SHARED = 1, 1


def _needed(weights: Weights | None, context: Mapping[str, Any]) -> float:
    if weights is None or weights.facts is None:
        return 0.0
    size, header = weights.facts.size_bytes, weights.facts.header
    # A lock of before there were parts has only the sum.
    kv = header.kv or KvCache(key_elements=header.kv_elements)
    length, types = context["length_tokens"], (context["kv_type_k"], context["kv_type_v"])
    held = kv.bytes_held(length, *types)
    return size + held if held else size * (1 + UNKNOWN_KV_SHARE)


def shard_bytes(shard: Shard) -> int:
    """Bytes of weights and KV caches: model, draft and projector, without compute buffers."""
    context = shard.cells[0].spec["context"]
    parts = (shard.weights, shard.draft, loaded_projector(shard.weights, shard.engine))
    return int(sum(_needed(part, context) for part in parts))


def _cached_pages(file: Path) -> tuple[int, int]:
    """(pages in the page cache, pages sampled) of a file; (0, 0) if they are not known."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    libc.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]
    size, resident, seen = file.stat().st_size, 0, 0
    step = max(size // SAMPLES // mmap.PAGESIZE * mmap.PAGESIZE, SAMPLE_BYTES)
    handle = os.open(file, os.O_RDONLY)
    try:
        for start in range(0, size, step):
            length = min(SAMPLE_BYTES, size - start)
            address = libc.mmap(None, length, _PROT_READ, _MAP_SHARED, handle, start)
            if address in (None, ctypes.c_void_p(-1).value):
                return 0, 0
            pages = ctypes.create_string_buffer(-(-length // mmap.PAGESIZE))
            if libc.mincore(address, length, pages) == 0:
                # Only the lowest bit of each byte counts; the others are reserved (mincore(2)).
                resident += sum(byte & 1 for byte in pages.raw[: -(-length // mmap.PAGESIZE)])
                seen += -(-length // mmap.PAGESIZE)
            libc.munmap(address, length)
    finally:
        os.close(handle)
    return resident, seen


def page_cache(files: Iterable[Path]) -> str | None:
    """`warm`, `partly` or `cold`: how much of the files is in memory. It decides the load time."""
    counts = [_cached_pages(file) for file in files]
    seen = sum(pages for _, pages in counts)
    if not seen:
        return None
    share = sum(resident for resident, _ in counts) / seen
    return "warm" if share >= WARM else "cold" if share <= COLD else "partly"
