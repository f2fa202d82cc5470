"""Listing and deleting in the results tree. Nothing behind a link is ever deleted."""

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

# The folders that are written to. A killed process may leave temporary files there.
WRITTEN = (RESULTS, Path("docs"), Path("orchestration"), Path(".cache"))
# Writing a file takes moments: a temporary file this old was left behind, on whichever machine.
LEFT_BEHIND_AFTER_S = 24 * 3600.0


def files_at(folder: Path, depth: int, suffix: str, root: Path = RESULTS) -> Iterator[Path]:
    """The files with this ending, `depth` folders below this one. A linked folder has none."""
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
    """Every link to a folder in the tree. What is behind it is read, but never deleted."""
    for folder, inner, _ in os.walk(root):
        yield from (Path(folder, name) for name in sorted(inner) if Path(folder, name).is_symlink())


def linked_folder(path: Path, root: Path = RESULTS) -> Path | None:
    """The first folder between the tree's root and this path that is a link; None without any."""
    above = [
        folder
        for folder in reversed(path.parents)
        if folder.is_relative_to(root) and folder != root
    ]
    return next((folder for folder in above if folder.is_symlink()), None)


def drop(path: Path, root: Path = RESULTS) -> None:
    """Delete a file of the tree, if it exists; if it is a link, only the link.

    Raises BenchError if a folder above it is a link, or if it is a folder itself.
    """
    link = linked_folder(path, root)
    if link is not None and path.exists():
        raise BenchError(
            f"{path}: {link} is a link, and nothing behind a link is deleted: replace the link by "
            "the folder itself, or delete the file by hand"
        )
    if path.is_dir() and not path.is_symlink():
        raise BenchError(
            f"{path}: expected a file, found a folder: look at it, and remove it by hand"
        )
    if link is None:
        path.unlink(missing_ok=True)


def drop_folder(path: Path, root: Path = RESULTS) -> None:
    """Delete a folder of the tree, as far as that is possible; nothing at or behind a link."""
    if linked_folder(path / "content", root) is None:
        shutil.rmtree(path, ignore_errors=True)


def _is_left_behind(path: Path) -> bool:
    """True for the temporary file of a process that has ended.

    For processes of other machines only the file's age decides.
    """
    machine, _, rest = path.name.removeprefix(TEMPORARY).rpartition("-")[0].rpartition("-")
    if machine == platform.node() and rest.isdecimal() and not psutil.pid_exists(int(rest)):
        return True
    return time.time() - path.lstat().st_mtime > LEFT_BEHIND_AFTER_S


def sweep(folders: Iterable[Path] = WRITTEN) -> int:
    """Delete the temporary files of killed processes; returns how many. Links are not followed."""
    swept = 0
    for top in folders:
        for folder, _, names in os.walk(top):
            for path in (Path(folder, name) for name in names if name.startswith(TEMPORARY)):
                # It may be gone already, or belong to another user: the next start tries again.
                with contextlib.suppress(OSError):
                    if _is_left_behind(path):
                        path.unlink()
                        swept += 1
    return swept
