"""Hashes whole files, several at a time, and detects whether a file has changed since then."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from scripts.lib.base.errors import BenchError

CHUNK_BYTES = 4 << 20
MOST_AT_ONCE = 8
# Hashing this much takes so long that a message is printed.
LARGE_BYTES = 10**9
# File systems take times from a clock that ticks every 1 to 10 ms. If two writes are within one
# tick, the second one does not change the file's time.
TICK_S = 0.02
# The memory nodes, such as `0-1`.
NODES_WITH_MEMORY = Path("/sys/devices/system/node/has_memory")


@dataclass(frozen=True, slots=True)
class FileState:
    """What changes when a file is replaced or written to. No program can set `ctime_ns` back."""

    device: int
    inode: int
    ctime_ns: int
    size_bytes: int
    mtime_ns: int

    @classmethod
    def of(cls, file: Path) -> FileState:
        """The file's state now.

        The file is opened, since a network file system may answer a mere `stat` from its cache.
        """
        with file.open("rb") as stream:
            return cls.of_open(stream.fileno())

    @classmethod
    def of_open(cls, handle: int) -> FileState:
        """The state of an open file."""
        found = os.fstat(handle)
        return cls(found.st_dev, found.st_ino, found.st_ctime_ns, found.st_size, found.st_mtime_ns)

    @property
    def key(self) -> str:
        """The state as one text, for a cache's key."""
        return f"{self.device}:{self.inode}:{self.ctime_ns}:{self.size_bytes}:{self.mtime_ns}"


def wait_for_tick(state: FileState) -> None:
    """Wait before a new file is read, so that any later write changes the file's time."""
    if time.time() - state.ctime_ns / 1e9 < TICK_S:
        time.sleep(TICK_S)


def sha256_of(path: Path) -> str:
    """The whole file's sha256."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@dataclass(frozen=True, slots=True)
class Hashed:
    """A file's sha256, and the state in which it was read."""

    state: FileState
    sha256: str


def hash_files(files: Sequence[Path]) -> Iterator[tuple[Path, Hashed | Exception]]:
    """Each file with its sha256, or with the error, as soon as it is known.

    If the caller stops early (Ctrl-C), hashing stops at the next chunk of each file. The results
    given until then are valid.
    """
    stop, size = threading.Event(), sum(map(_size, files))
    with (
        _progress(size) as advance,
        ThreadPoolExecutor(min(len(files) or 1, os.cpu_count() or 1, MOST_AT_ONCE)) as pool,
    ):
        try:
            running = {pool.submit(_hash, file, advance, stop): file for file in files}
            for done in as_completed(running):
                error = done.exception()
                yield (
                    running[done],
                    error if isinstance(error, BenchError | OSError) else done.result(),
                )
        finally:
            stop.set()


def _size(file: Path) -> int:
    with contextlib.suppress(OSError):
        return file.stat().st_size
    return 0


@contextlib.contextmanager
def _progress(size: int) -> Iterator[Callable[[int], None]]:
    """A progress bar in bytes on stderr, for large sizes; yields the function that advances it."""
    large, lock = size >= LARGE_BYTES, threading.Lock()
    if large:
        print(
            f"hashing {size / 1e9:.1f} GB of weights, once for each file",
            file=sys.stderr,
            flush=True,
        )
    disable = None if large else True
    with tqdm(
        total=size, desc="hashing", unit="B", unit_scale=True, leave=False, disable=disable
    ) as bar:

        def advance(count: int) -> None:
            with lock:
                bar.update(count)

        yield advance


def _hash(file: Path, advance: Callable[[int], None], stop: threading.Event) -> Hashed:
    """Raises BenchError if the file changes while it is read."""
    total, buffer = hashlib.sha256(), memoryview(bytearray(CHUNK_BYTES))
    with file.open("rb", buffering=0) as stream:
        before = FileState.of_open(stream.fileno())
        wait_for_tick(before)
        while count := stream.readinto(buffer):
            if stop.is_set():
                raise BenchError(f"{file}: hashing was stopped")
            total.update(buffer[:count])
            advance(count)
        if FileState.of_open(stream.fileno()) != before:
            raise BenchError(
                f"{file}: changed while it was read (a download?): run again when it is complete"
            )
        if _has_several_nodes():
            _drop_from_page_cache(stream.fileno())
    return Hashed(before, total.hexdigest())


def _has_several_nodes() -> bool:
    with contextlib.suppress(OSError):
        return not NODES_WITH_MEMORY.read_text("utf-8").strip().isdecimal()
    return False


def _drop_from_page_cache(handle: int) -> None:
    """Drop an open file's pages, unless another process has them mapped.

    They lie on the memory nodes of the threads that hashed. The engine would use them as they are,
    whatever policy it was started with; now its own reading decides where they lie.
    """
    with contextlib.suppress(OSError):
        os.fdatasync(handle)  # pages that were not written yet cannot be dropped
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
