"""One timed shard at a time on a machine, on the cores it was given, and gone when its parent is gone."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from scripts.lib.errors import BenchError
from scripts.lib.hardware import Hardware, parse_cpus

PR_SET_PDEATHSIG = 1
LOCK_VARIABLE = "EPYC_BENCH_LOCK"
NUMA_VARIABLE = "EPYC_BENCH_NUMA"


def die_with_parent() -> None:
    """Ask the kernel to kill this process when the one that started it dies (kill -9 of the scheduler included)."""
    parent = os.getppid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise BenchError(f"prctl(PR_SET_PDEATHSIG) failed: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:
        raise BenchError("the process that started this one is already gone")


def lock_file() -> Path:
    """The machine-wide lock: one for all checkouts and users."""
    return Path(os.environ.get(LOCK_VARIABLE) or Path(tempfile.gettempdir()) / "epyc-inference-bench.lock")


@contextlib.contextmanager
def alone_on_machine(owner: str) -> Iterator[None]:
    """Hold the machine-wide measuring lock; waits for another holder and says who that is."""
    path = lock_file()
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _acquire(handle, path)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{owner} (pid {os.getpid()})\n".encode(), 0)
        yield
        os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def _acquire(handle: int, path: Path) -> None:
    told = 0.0
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() - told > 60:
                told = time.monotonic()
                holder = os.pread(handle, 400, 0).decode("utf-8", "replace").strip() or "another process"
                print(f"waiting: {holder} is measuring on this machine (lock {path})", file=sys.stderr, flush=True)
            time.sleep(0.2)


def alone_in_checkout(path: Path) -> int:
    """Hold a checkout's lock until this process ends, however it ends; gives the open file. Raises BenchError if held.

    Snakemake's own lock is a file that a kill -9 leaves behind, and the next run is then refused; this one is the
    kernel's, and is gone with its process.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(handle, 100, 0).decode("utf-8", "replace").strip()
        os.close(handle)
        raise BenchError(
            f"another run is going on in this checkout (process {holder}): wait for it, or end it"
        ) from None
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
    return handle


def pin(hardware: Hardware) -> None:
    """Put this process on the profile's CPUs and NUMA policy; refuses to run more threads than CPUs."""
    if hardware.numa and os.environ.get(NUMA_VARIABLE) != hardware.numa:
        numactl = shutil.which("numactl")
        if numactl is None:
            raise BenchError(f"hardware {hardware.name}: numa {hardware.numa} needs numactl: apt install numactl")
        os.environ[NUMA_VARIABLE] = hardware.numa
        sys.stdout.flush()
        os.execv(numactl, [numactl, f"--{hardware.numa}", sys.executable, *sys.orig_argv[1:]])
    if hardware.cpus:
        wanted = parse_cpus(hardware.cpus)
        absent = wanted - os.sched_getaffinity(0)
        if absent:
            raise BenchError(
                f"hardware {hardware.name}: cpus {hardware.cpus}: this machine or container has no CPU {min(absent)}"
            )
        os.sched_setaffinity(0, wanted)
    usable = len(os.sched_getaffinity(0))
    most = max(hardware.threads, hardware.batch_threads)
    if most > usable:
        raise BenchError(
            f"hardware {hardware.name}: {most} threads on {usable} usable CPUs: oversubscribed threads run many times "
            "slower; choose a profile of this machine (hardware: auto)"
        )
