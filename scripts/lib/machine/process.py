"""Handles Ctrl-C between two cells, and has the lock that allows one timed shard per machine."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from types import FrameType
from typing import Any, Self

from scripts.lib.base.errors import BenchError
from scripts.lib.base.locks import LOCK_VARIABLE, flock, hold, holder_of

CHECKOUT_LOCK = Path(".snakemake/run.lock")
# Always this file, whatever TMPDIR is. On any Linux every user may write to /tmp, but not to
# /run/lock.
LOCK_FILE = Path("/tmp/epyc-inference-bench.lock")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class StopRequest:
    """Handles Ctrl-C and SIGTERM while cells are run.

    The first signal asks to stop after the current cell, the second one stops at once. A third one
    ends the process, whatever the second one is waiting for. A signal that was ignored when the
    process started (nohup, a background job of a shell) stays ignored. `say` prints what happens.
    """

    def __init__(self, say: Callable[[str], None] = lambda text: _say(f"\n{text}")) -> None:
        self.asked = False
        self._say = say
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _take(self, number: int, frame: object) -> None:
        if self.asked:
            for heeded in self._before:
                signal.signal(heeded, signal.SIG_DFL)
            raise KeyboardInterrupt
        self.asked = True
        self._say("stopping after the current cell; press Ctrl-C again to stop at once")


Handler = Callable[[int, FrameType | None], object]


def _in_thread(handler: Handler) -> Handler:
    """The same handler, called in a thread of its own.

    Python interrupts the main thread to call a handler. Snakemake's handler takes a lock that the
    main thread may hold at that moment (while a job is chosen or finished): it would wait forever.
    """
    # SimpleQueue.put takes no lock, so a signal may arrive while it runs.
    arrived: SimpleQueue[tuple[int, FrameType | None]] = SimpleQueue()

    def serve() -> None:
        while True:
            handler(*arrived.get())

    threading.Thread(target=serve, name="signals", daemon=True).start()
    return lambda number, frame: arrived.put((number, frame))


def stop_gently(is_local: bool) -> None:
    """Set how Snakemake handles signals while jobs run, after it has set its own SIGTERM handler.

    That handler lets Snakemake end after the running jobs. Here it is called in a thread, so that
    it cannot wait for itself. In a local run, the first Ctrl-C does the same. The terminal sends
    each Ctrl-C to the jobs, too: the second one is only for them, and the third one ends Snakemake.
    On a cluster, Snakemake's own handler of Ctrl-C cancels the jobs.
    """
    own = signal.getsignal(signal.SIGTERM)
    if not callable(own):
        return
    gently = _in_thread(own)

    def second(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    def first(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, second)
        gently(number, frame)

    signal.signal(signal.SIGTERM, gently)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, first if is_local else signal.default_int_handler)


def lock_file() -> Path:
    """The lock file of the machine, for all checkouts and users; EPYC_BENCH_LOCK names another."""
    return Path(os.environ.get(LOCK_VARIABLE) or LOCK_FILE)


def _create_lock(path: Path) -> int | None:
    """Make the lock file, writable for all users whatever the umask; None if it already exists."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        return None
    os.fchmod(handle, 0o666)
    return handle


def _existing_lock(path: Path) -> int | None:
    """Open the lock file, read-only if it is not writable; None if there is none.

    Without O_CREAT: in a sticky folder, the kernel refuses that flag for another user's file
    (fs.protected_regular).
    """
    try:
        try:
            return os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        except PermissionError:
            return os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None


def _open_lock(path: Path) -> int:
    """The open lock file, made if there is none. Raises BenchError if that fails."""
    try:
        handle = None
        while handle is None:
            handle = _existing_lock(path)
            if handle is None:
                handle = _create_lock(path)
    except OSError as error:
        raise BenchError(
            f"lock {path}: {error.strerror}; {LOCK_VARIABLE} names another file"
        ) from error
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        os.close(handle)
        # If it has a second name, another file of this user would be overwritten.
        raise BenchError(
            f"lock {path}: expected a file with one name (no other hard link); remove it, or name "
            f"another one in {LOCK_VARIABLE}"
        )
    return handle


def _write_owner(handle: int, text: str) -> None:
    # For the message of processes that wait. Another user's file may be read-only; the lock holds
    # without this text.
    with contextlib.suppress(OSError):
        os.ftruncate(handle, 0)
        os.pwrite(handle, text.encode(), 0)


def _take_lock(path: Path) -> int:
    """The open lock file, locked. If it was removed meanwhile (/tmp is cleaned), a new one."""
    while True:
        handle = _open_lock(path)
        _acquire(handle, path)
        if os.fstat(handle).st_nlink:
            return handle
        os.close(handle)


@contextlib.contextmanager
def alone_on_machine(owner: str) -> Iterator[None]:
    """Hold the lock of the machine. If another process holds it, print which one, and wait.

    Raises BenchError if the lock file cannot be opened.
    """
    handle = _take_lock(lock_file())
    try:
        _write_owner(handle, f"{owner} (pid {os.getpid()})\n")
        yield
        _write_owner(handle, "")
    finally:
        os.close(handle)


def _acquire(handle: int, path: Path) -> None:
    last_message = 0.0
    while True:
        try:
            flock(handle, path, wait=False)
            return
        except BlockingIOError:
            if time.monotonic() - last_message > 60:
                last_message = time.monotonic()
                holder = holder_of(handle) or "another process"
                print(
                    f"waiting: {holder} is measuring on this machine (lock {path})",
                    file=sys.stderr,
                    flush=True,
                )
            time.sleep(0.2)


def alone_in_checkout(path: Path = CHECKOUT_LOCK) -> int:
    """Hold a checkout's lock. Raises BenchError if another process holds it.

    Snakemake's own lock is a file: a kill -9 leaves it behind, and the next run is refused. The
    kernel removes this lock when its process ends.
    """
    return hold(
        path,
        lambda holder: BenchError(
            f"another run is going on in this checkout (process {holder}): wait for it, or end it"
        ),
    )
