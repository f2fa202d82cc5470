"""ggml's thread pool with one CPU per compute thread, like llama-server's --cpu-strict.

llama-cpp-python has no binding for it. The layout of the parameters is that of
`struct ggml_threadpool_params` in ggml.h.
"""

from __future__ import annotations

import ctypes
from typing import Any

from scripts.lib.engines.protocol import EngineFailure
from scripts.lib.llama_build.build import installed_build
from scripts.lib.machine.profiles import Hardware, parse_cpus

MOST_CPUS = 512  # GGML_MAX_N_THREADS


class _Parameters(ctypes.Structure):
    _fields_ = (
        ("cpumask", ctypes.c_bool * MOST_CPUS),
        ("n_threads", ctypes.c_int),
        ("prio", ctypes.c_int),
        ("poll", ctypes.c_uint32),
        ("strict_cpu", ctypes.c_bool),
        ("paused", ctypes.c_bool),
    )


class ThreadPool:
    """One pool for a profile's CPUs. The contexts attached to it compute one after the other."""

    def __init__(self, hardware: Hardware):
        assert hardware.cpus is not None
        folder = installed_build().bin_dir
        self._cpu, self._llama = (
            ctypes.CDLL(str(folder / name)) for name in ("libggml-cpu.so", "libllama.so")
        )
        make_default = ctypes.CDLL(str(folder / "libggml-base.so")).ggml_threadpool_params_default
        make_default.restype = _Parameters
        parameters = make_default(ctypes.c_int(max(hardware.threads, hardware.batch_threads)))
        for cpu in parse_cpus(hardware.cpus):
            if cpu >= MOST_CPUS:
                raise EngineFailure(
                    f"strict: CPU {cpu}: llama.cpp knows CPUs below {MOST_CPUS} only"
                )
            parameters.cpumask[cpu] = True
        parameters.strict_cpu = True
        self._cpu.ggml_threadpool_new.restype = ctypes.c_void_p
        self._handle: int | None = self._cpu.ggml_threadpool_new(ctypes.byref(parameters))
        if not self._handle:
            raise EngineFailure("llama.cpp could not make a thread pool")

    def attach(self, context: Any) -> None:
        """Let a llama_context use this pool, for prompts and for single tokens."""
        pool = ctypes.c_void_p(self._handle)
        self._llama.llama_attach_threadpool(ctypes.cast(context, ctypes.c_void_p), pool, pool)

    def close(self) -> None:
        """Free the pool; the contexts must be freed first."""
        if self._handle:
            self._cpu.ggml_threadpool_free(ctypes.c_void_p(self._handle))
            self._handle = None
