"""Below benchmarks/results nothing is deleted that is not there itself: a link in the tree is never gone through."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil

from scripts.lib.base.errors import BenchError
from scripts.lib.base.layout import RESULTS
from scripts.lib.base.safe_files import TEMPORARY

# Where files are written whole or not at all, and a killed process may leave its temporary ones.
WRITTEN = (RESULTS, Path("docs"), Path("orchestration"), Path(".cache"))
# A file takes moments to write: whatever is this old is nobody's, on whichever machine it was
# begun.
NOBODYS_AFTER_S = 24 * 3600.0


def files_at(folder: Path, depth: int, suffix: str, root: Path = RESULTS) -> Iterator[Path]:
    """The files with this ending so many folders below this one, links to files or folders among them; none behind a link."""
    if linked_folder(folder / "content", root) is None:
        yield from _files_at(folder, depth, suffix)


def _files_at(folder: Path, depth: int, suffix: str) -> Iterator[Path]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        is_folder = entry.is_dir(follow_symlinks=False)
        if depth == 0 and not is_folder and entry.name.endswith(suffix):
            yield Path(entry.path)
        elif depth > 0 and is_folder:
            yield from _files_at(Path(entry.path), depth - 1, suffix)


def linked_folders(root: Path = RESULTS) -> Iterator[Path]:
    """Every link to a folder in the tree: what is behind it is read as if it were there, and left alone."""
    for folder, inner, _ in os.walk(root):
        yield from (Path(folder, name) for name in sorted(inner) if Path(folder, name).is_symlink())


def linked_folder(path: Path, root: Path = RESULTS) -> Path | None:
    """The first folder on the way from the tree's root down to this path that is a link; None: there is none."""
    above = [
        folder
        for folder in reversed(path.parents)
        if folder.is_relative_to(root) and folder != root
    ]
    return next((folder for folder in above if folder.is_symlink()), None)


def drop(path: Path, root: Path = RESULTS) -> None:
    """Delete a file of the tree, where it is there; of a link the link.

    Raises BenchError where a folder above it is a link, or it is a folder itself.
    """
    link = linked_folder(path, root)
    if link is not None and path.exists():
        raise BenchError(
            f"{path}: {link} is a link, and nothing is deleted behind one: put the folder itself there, or delete by hand"
        )
    if path.is_dir() and not path.is_symlink():
        raise BenchError(
            f"{path}: a folder stands where a file should: look at it, and remove it by hand"
        )
    if link is None:
        path.unlink(missing_ok=True)


def drop_folder(path: Path, root: Path = RESULTS) -> None:
    """Delete a folder of the tree with what is in it, as far as that can be done; nothing where it is, or is behind, a link."""
    if linked_folder(path / "content", root) is None:
        shutil.rmtree(path, ignore_errors=True)


def _is_left_behind(path: Path) -> bool:
    """True for the temporary file of a process that is gone. Of another machine's processes only the age tells."""
    machine, _, rest = path.name.removeprefix(TEMPORARY).rpartition("-")[0].rpartition("-")
    if machine == platform.node() and rest.isdecimal() and not psutil.pid_exists(int(rest)):
        return True
    return time.time() - path.lstat().st_mtime > NOBODYS_AFTER_S


def sweep(folders: Iterable[Path] = WRITTEN) -> int:
    """Delete the temporary files that killed processes have left in these folders; gives their number. Follows no link."""
    swept = 0
    for top in folders:
        for folder, _, names in os.walk(top):
            for path in (Path(folder, name) for name in names if name.startswith(TEMPORARY)):
                # Gone meanwhile, or not ours to delete: the next start looks again.
                with contextlib.suppress(OSError):
                    if _is_left_behind(path):
                        path.unlink()
                        swept += 1
    return swept
