"""Keeps the predecessor's files byte for byte and read-only, and replaces a history at once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts.lib.base.errors import BenchError
from scripts.lib.base.layout import RESULTS
from scripts.lib.base.safe_files import naming

SOURCES, SUPERSEDED = "sources", "superseded"
READ_ONLY = 0o444


@dataclass(frozen=True, slots=True)
class Taken:
    """How many files an import found, and how many are new or changed since the last import.

    `skipped`: (file, reason) of those that were not copied.
    """

    found: int
    new: int
    changed: int
    skipped: tuple[tuple[str, str], ...] = ()


def archive_root(folder: Path) -> Path:
    """The folder with `runs/` and `reviews/`: the given one, or `benchmarks/results` below it."""
    if not folder.is_dir():
        raise BenchError(f"{folder}: no such folder")
    for root in (folder, folder / RESULTS):
        if (root / "runs").is_dir() or (root / "reviews").is_dir():
            return root
    if any(folder.rglob("*.json")) or any(folder.rglob("*.csv")):
        return folder
    raise BenchError(
        f"{folder}: expected a folder with runs/ and reviews/ (or {RESULTS}/ below it), "
        "found no JSON or CSV file"
    )


def _files(root: Path) -> Iterator[tuple[Path, str]]:
    """(file, why it is skipped, or empty) below a folder. A hidden folder gives one line."""
    for path in sorted(root.rglob("*")):
        *folders, name = path.relative_to(root).parts
        if any(part.startswith(".") for part in folders):
            continue
        if path.is_symlink():
            yield path, "a symbolic link is not followed"
        elif name.startswith("."):
            count = sum(1 for p in path.rglob("*") if p.is_file())
            yield path, f"hidden: a folder of {count} files" if path.is_dir() else "hidden"
        elif not os.access(path, os.R_OK):
            yield path, "cannot be read"
        elif path.is_file():
            yield path, ""


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _beside(history: Path, what: str) -> Path:
    return history.with_name(f".{history.name}.{what}")


def stage(history: Path, root: Path | None) -> tuple[Path, Taken]:
    """Copy the history to a folder beside it, and add the files of an archive.

    The older bytes of a changed file are kept. The history itself stays as it is until `replace`.
    """
    staged, backup = _beside(history, "importing"), _beside(history, "old")
    for path in (history, staged, backup):
        if path.is_symlink():
            raise BenchError(
                f"{path}: is a link; an import replaces the whole folder, so put a folder there"
            )
    if backup.exists() and not history.exists():
        backup.rename(history)
    shutil.rmtree(staged, ignore_errors=True)
    for part in (SOURCES, SUPERSEDED):
        if (history / part).is_dir():
            shutil.copytree(history / part, staged / part, copy_function=_link_or_copy)
    (staged / SOURCES).mkdir(parents=True, exist_ok=True)
    found = new = changed = 0
    skipped: list[tuple[str, str]] = []
    for path, why in _files(root) if root is not None else ():
        name = path.relative_to(root or path)
        if why:
            skipped.append((str(name), why))
            continue
        found += 1
        target, data = staged / SOURCES / name, path.read_bytes()
        if not target.is_file():
            new += 1
        elif target.read_bytes() == data:
            continue
        else:
            changed += 1
            _keep_older(target, staged / SUPERSEDED / name)
        with naming(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            target.chmod(READ_ONLY)
    return staged, Taken(found, new, changed, tuple(skipped))


def _keep_older(current: Path, kept: Path) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    number = 1 + sum(1 for _ in kept.parent.glob(f"{kept.name}.*"))
    current.rename(kept.with_name(f"{kept.name}.{number}"))


def replace(history: Path, staged: Path) -> None:
    """Put the staged history in the place of the old one; `stage` repairs an interrupted call."""
    backup = _beside(history, "old")
    os.sync()
    shutil.rmtree(backup, ignore_errors=True)
    if history.exists():
        history.rename(backup)
    staged.rename(history)
    shutil.rmtree(backup, ignore_errors=True)
