"""Locks held by the kernel: they end with the process that took them, however it ends."""

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

    Raises BlockingIOError if another process holds the lock and `wait` is False. Raises
    BenchError if the file system has no locks. (The mere existence of a file is no substitute for a
    lock: the file outlives its process.)
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        raise BenchError(
            f"lock {path}: its file system has no locks ({error.strerror}): put the checkout on "
            "another one (a network file system may need its lock service, or the mount option for "
            f"local locks); {LOCK_VARIABLE} names another file for the machine's lock"
        ) from error


@contextlib.contextmanager
def locked(path: Path, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold a lock file. Calls `on_wait` before it waits for another holder.

    Jobs on several machines that share a file system exclude each other, too.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        try:
            flock(handle.fileno(), path, wait=False)
        except BlockingIOError:
            on_wait()
            flock(handle.fileno(), path)
        yield


def holder_of(handle: int) -> str:
    """What the holder of a lock wrote into the open file."""
    return os.pread(handle, 400, 0).decode("utf-8", "replace").strip()


def hold(path: Path, held: Callable[[str], Exception]) -> int:
    """Lock a file until the returned open file is closed, or the process ends.

    If another process holds the lock, raises `held(its process number)`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        flock(handle, path, wait=False)
    except BlockingIOError:
        holder = holder_of(handle)
        os.close(handle)
        raise held(holder) from None
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
    return handle
