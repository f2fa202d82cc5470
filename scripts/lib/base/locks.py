"""Locks that the kernel holds: gone with the process that took them, however it ends."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from scripts.lib.base.errors import BenchError

LOCK_VARIABLE = "EPYC_BENCH_LOCK"


NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)


def flock(handle: int, path: Path, wait: bool = True) -> None:
    """Lock an open file until it is closed.

    Raises BlockingIOError where another process has the lock and `wait` is false.

    Raises BenchError where its file system has no locks: nothing else is as safe, a file that means
    "locked" outlives its process.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        raise BenchError(
            f"lock {path}: its file system has no locks ({error.strerror}). Put the checkout on "
            "another "
            "one (a network file system may need its lock service, or the mount option for local "
            f"locks). The machine's lock: {LOCK_VARIABLE}"
        ) from error


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file for a moment. It also works between machines that share a file system."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        flock(handle.fileno(), path)
        yield


def hold(path: Path, held: Callable[[str], Exception]) -> int:
    """Take a lock file and give the open file. Closing it, or the process's end, frees the lock.

    Raises what `held` makes of the holder's process number where another one has it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        flock(handle, path, wait=False)
    except BlockingIOError:
        holder = os.pread(handle, 100, 0).decode("utf-8", "replace").strip()
        os.close(handle)
        raise held(holder) from None
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
    return handle
