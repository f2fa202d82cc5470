"""Ctrl-C between two cells, and the lock that lets one timed shard run at a time on a machine."""

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
# The same file whatever TMPDIR is set to. Every user of every Linux may write to /tmp, but not to
# /run/lock.
LOCK_FILE = Path("/tmp/epyc-inference-bench.lock")


class StopRequest:
    """Handles Ctrl-C and SIGTERM while cells are run.

    The first one asks to stop after the cell in flight, the second stops at once. A third ends the
    process, whatever the second is waiting for. A signal that the process was started to ignore
    (nohup, a background job of a shell) stays ignored.
    """

    def __init__(self) -> None:
        self.asked = False
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
        print(
            "\nstopping after the cell in flight; once more stops at once",
            file=sys.stderr,
            flush=True,
        )


Handler = Callable[[int, FrameType | None], object]


def _in_thread(handler: Handler) -> Handler:
    """The same handler, called in a thread of its own.

    Python interrupts the main thread to call a handler. Snakemake's handler takes a lock that the
    main thread may hold at that moment (while a job is chosen or finished): it would wait for ever.
    """
    # A SimpleQueue's `put` may be interrupted by itself: it takes no lock.
    arrived: SimpleQueue[tuple[int, FrameType | None]] = SimpleQueue()

    def serve() -> None:
        while True:
            handler(*arrived.get())

    threading.Thread(target=serve, name="signals", daemon=True).start()
    return lambda number, frame: arrived.put((number, frame))


def stop_gently(is_local: bool) -> None:
    """Set how Snakemake handles signals while jobs run; it has set its own SIGTERM handler by now.

    That handler lets Snakemake end after the running jobs. Here it is called in a thread, so that
    it cannot wait for itself. In a local run the first Ctrl-C does the same. The terminal sends
    each Ctrl-C to the jobs, too: the second one is for them alone, and the third ends Snakemake. On
    a cluster Ctrl-C is left to Snakemake, which then cancels the jobs.
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
    """The machine-wide lock, for all checkouts and users; EPYC_BENCH_LOCK names another file."""
    return Path(os.environ.get(LOCK_VARIABLE) or LOCK_FILE)


def _create_lock(path: Path) -> int | None:
    """Make the lock file, for all users whatever the umask; None where it exists by now."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        return None
    os.fchmod(handle, 0o666)
    return handle


def _existing_lock(path: Path) -> int | None:
    """Open the lock file, read-only where it may not be written; None where there is none.

    Without O_CREAT: in a sticky folder the kernel refuses that for another user's file
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
    """The open lock file, made where there is none. Raises BenchError where that fails."""
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
        # With a second name, another file of this user would be overwritten.
        raise BenchError(
            f"lock {path}: not a file with one name; remove it, or name another in {LOCK_VARIABLE}"
        )
    return handle


def _write_owner(handle: int, text: str) -> None:
    # For the message to those that wait. The lock holds without it, as on another user's file that
    # may only be read.
    with contextlib.suppress(OSError):
        os.ftruncate(handle, 0)
        os.pwrite(handle, text.encode(), 0)


def _take_lock(path: Path) -> int:
    """The open lock file, locked. One that was removed meanwhile (/tmp is cleaned) is made anew."""
    while True:
        handle = _open_lock(path)
        _acquire(handle, path)
        if os.fstat(handle).st_nlink:
            return handle
        os.close(handle)


@contextlib.contextmanager
def alone_on_machine(owner: str) -> Iterator[None]:
    """Hold the machine-wide measuring lock. Waits for another holder and prints who that is.

    Raises BenchError where the lock file cannot be opened.
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
    """Hold a checkout's lock. Raises BenchError where another process holds it.

    Snakemake's own lock is a file: a kill -9 leaves it behind, and the next run is refused. This
    one belongs to the kernel and is gone with its process.
    """
    return hold(
        path,
        lambda holder: BenchError(
            f"another run is going on in this checkout (process {holder}): wait for it, or end it"
        ),
    )
