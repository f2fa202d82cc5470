"""One timed shard at a time on a machine, ended by Ctrl-C between two cells."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from types import FrameType
from typing import Any, Self

from scripts.lib.base.errors import BenchError
from scripts.lib.base.locks import LOCK_VARIABLE, flock, hold

# A shell's exit code for a command that Ctrl-C has ended.
INTERRUPTED_EXIT = 130
# The Ctrl-C at which a job stops at once; one more ends whatever is left.
STOPS_AT_ONCE = 2
CHECKOUT_LOCK = Path(".snakemake/run.lock")
# One file whatever TMPDIR says, in the folder that every user of every Linux may write to
# (/run/lock is not, on some).
LOCK_FILE = Path("/tmp/epyc-inference-bench.lock")


class StopRequest:
    """Ctrl-C or SIGTERM while cells are run: the first asks to stop after the cell in flight, the second stops at once.

    Whatever the second has to wait for, a third ends the process. A signal that the process was
    started to ignore (nohup, a shell's background job) stays ignored.
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


def _end_at_once(number: int, frame: FrameType | None) -> None:
    os.write(2, b"interrupted\n")  # a print may be what was interrupted, and cannot be begun twice
    os._exit(INTERRUPTED_EXIT)


def end_at_interrupt() -> None:
    """While Snakemake plans nothing runs yet: Ctrl-C ends it at once, without a traceback."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end_at_once)


def _in_thread(handler: Handler) -> Handler:
    """The same handler, called in a thread of its own.

    Python calls a handler in the main thread, wherever that is. Snakemake's own then waits for a
    lock that the main thread itself may hold, while a job is finished or chosen: for ever. Another
    thread waits until it is free.
    """
    # Its `put` may be interrupted by itself: nothing here waits.
    arrived: SimpleQueue[tuple[int, FrameType | None]] = SimpleQueue()

    def serve() -> None:
        while True:
            handler(*arrived.get())

    threading.Thread(target=serve, name="signals", daemon=True).start()
    return lambda number, frame: arrived.put((number, frame))


def stop_gently(is_local: bool) -> None:
    """How Snakemake heeds signals while jobs run; called when it has put its own handler of SIGTERM into place.

    That handler lets it end after the running jobs, and is called so that it cannot wait for
    itself. In a local run Ctrl-C does the same: the terminal sends it to the jobs, too, so the
    second one is theirs alone; the third ends Snakemake at once. On a cluster it is Snakemake's,
    which then cancels the jobs.
    """
    own = signal.getsignal(signal.SIGTERM)
    if not callable(own):
        return
    gently, interrupts = _in_thread(own), count(1)

    def interrupt(number: int, frame: FrameType | None) -> None:
        seen = next(interrupts)
        if seen == 1:
            gently(number, frame)
        elif seen > STOPS_AT_ONCE:
            _end_at_once(number, frame)

    signal.signal(signal.SIGTERM, gently)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, interrupt if is_local else signal.default_int_handler)


def lock_file() -> Path:
    """The machine-wide lock: one for all checkouts and users; EPYC_BENCH_LOCK names another."""
    return Path(os.environ.get(LOCK_VARIABLE) or LOCK_FILE)


def _create_lock(path: Path) -> int | None:
    """Make the lock file, for all users whatever this one's umask; None where another process was faster."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        return None
    os.fchmod(handle, 0o666)
    return handle


def _existing_lock(path: Path) -> int | None:
    """Open the lock file that is there, read-only where it may not be written; None: there is none.

    Never with O_CREAT: in a sticky folder the kernel refuses that for another user's file
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
    """The open lock file, made where there is none. Raises BenchError where it is not to be had."""
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
        # A second name would have another file of this user's written over.
        raise BenchError(
            f"lock {path}: not a file with one name; remove it, or name another in {LOCK_VARIABLE}"
        )
    return handle


def _write_owner(handle: int, text: str) -> None:
    # Only said to those that wait: the lock holds without it, as on another user's file that may
    # only be read.
    with contextlib.suppress(OSError):
        os.ftruncate(handle, 0)
        os.pwrite(handle, text.encode(), 0)


def _take_lock(path: Path) -> int:
    """The open lock file, locked; a file that was removed meanwhile is none: /tmp gets cleaned, and others make a new one."""
    while True:
        handle = _open_lock(path)
        _acquire(handle, path)
        if os.fstat(handle).st_nlink:
            return handle
        os.close(handle)


@contextlib.contextmanager
def alone_on_machine(owner: str) -> Iterator[None]:
    """Hold the machine-wide measuring lock; waits for another holder and says who that is.

    Raises BenchError where the lock file is not to be had.
    """
    handle = _take_lock(lock_file())
    try:
        _write_owner(handle, f"{owner} (pid {os.getpid()})\n")
        yield
        _write_owner(handle, "")
    finally:
        os.close(handle)


def _acquire(handle: int, path: Path) -> None:
    told = 0.0
    while True:
        try:
            flock(handle, path, wait=False)
            return
        except BlockingIOError:
            if time.monotonic() - told > 60:
                told = time.monotonic()
                holder = (
                    os.pread(handle, 400, 0).decode("utf-8", "replace").strip() or "another process"
                )
                print(
                    f"waiting: {holder} is measuring on this machine (lock {path})",
                    file=sys.stderr,
                    flush=True,
                )
            time.sleep(0.2)


def alone_in_checkout(path: Path = CHECKOUT_LOCK) -> int:
    """Hold a checkout's lock. Raises BenchError if held.

    Snakemake's own lock is a file that a kill -9 leaves behind, and the next run is then refused;
    this one is the kernel's, and is gone with its process.
    """
    return hold(
        path,
        lambda holder: BenchError(
            f"another run is going on in this checkout (process {holder}): wait for it, or end it"
        ),
    )
