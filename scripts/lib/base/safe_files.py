"""Files that are whole or absent: written under a temporary name, synced, then renamed."""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import tempfile
from collections.abc import Iterator
from pathlib import Path

# A killed process leaves `.tmp-{machine}-{process}-{random}`: the name says whose it was.
TEMPORARY = ".tmp-"


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Make every OSError name this file; the one of a failed write (disk full) names none."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


@contextlib.contextmanager
def _temporary(folder: Path, content: bytes) -> Iterator[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(
        prefix=f"{TEMPORARY}{platform.node()}-{os.getpid()}-", dir=folder
    )
    path = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        # mkstemp makes files private; results are shared like any other file.
        umask = os.umask(0)
        os.umask(umask)
        path.chmod(0o666 & ~umask)
        yield path
    finally:
        path.unlink(missing_ok=True)


def write_atomic(path: Path, text: str) -> None:
    """Write `text` so that a reader sees either the old file or the whole new one."""
    write_atomic_bytes(path, text.encode())


def write_atomic_bytes(path: Path, content: bytes) -> None:
    """The same for a file that is not text."""
    with naming(path), _temporary(path.parent, content) as temporary:
        temporary.replace(path)


def link_into_place(source: Path, target: Path) -> None:
    """Give a complete file a second name; if hard links cannot be made, a copy."""
    with naming(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            target.hardlink_to(source)
        except FileExistsError:
            if target.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)) from None
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK):
                raise
            write_atomic_bytes(target, source.read_bytes())
