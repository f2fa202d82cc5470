"""Processes that end with the process that started them, however that one ends."""

from __future__ import annotations

import ctypes
import os
import signal

from scripts.lib.base.errors import BenchError

PR_SET_PDEATHSIG = 1
# The process number of the Snakemake that starts jobs; the Snakefile sets it. A script that starts
# other scripts sets it to its own.
STARTER_VARIABLE = "EPYC_BENCH_STARTER"


def die_with_parent(parent: int | None = None) -> None:
    """Ask the kernel to kill this process when the one that started it dies (kill -9 included).

    `parent` is the process number of that one, if known. Raises BenchError if that process has
    already ended, since the kernel would then never kill this one.
    """
    expected = os.getppid() if parent is None else parent
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise BenchError(f"prctl(PR_SET_PDEATHSIG) failed: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != expected:
        raise BenchError("the process that started this one is already gone")


def die_with_starter() -> None:
    """Make a job die with the Snakemake that started it, if one did."""
    starter = os.environ.get(STARTER_VARIABLE)
    if starter:
        die_with_parent(int(starter))


def starter_of_others() -> dict[str, str]:
    """The environment for a script that this process starts, so that it dies with this one."""
    return {**os.environ, STARTER_VARIABLE: str(os.getpid())}
