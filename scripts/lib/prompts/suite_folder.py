"""Finds the suites in a folder, and names the files that are not read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from scripts.lib.base.errors import InputErrors, Problem, in_short
from scripts.lib.base.yaml_fields import is_misspelt
from scripts.lib.base.yaml_file import read_file

MANIFEST = "MANIFEST.yaml"
# A suite has its questions under one of these keys.
QUESTION_LISTS = ("prompts", "questions")

_SUITE_NAME = re.compile(r"^suite:[ \t]*['\"]?([\w.-]+)", re.MULTILINE)
_QUESTIONS = re.compile(rf"^({'|'.join(QUESTION_LISTS)}):", re.MULTILINE)
MOST_COUNTED = 1000
_IMAGES = frozenset((".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp"))


def suite_files(folder: Path) -> list[Path]:
    """The YAML files of a folder, sorted, without its manifest."""
    return sorted(path for path in folder.glob("*.yaml") if path.name != MANIFEST)


def lacks(top: object, wanted: tuple[str, ...]) -> bool:
    """True for a mapping of another format: it has none of these keys, not even misspelt."""
    if not isinstance(top, Mapping) or not top:
        return False
    return not any(key in wanted or is_misspelt(key, wanted) for key in top)


def foreign_keys(top: Any, known: tuple[str, ...]) -> list[str]:
    """The keys of a file without questions, which is not a suite. Empty for a suite."""
    return [key for key in top if not is_misspelt(key, known)] if lacks(top, QUESTION_LISTS) else []


def not_read(folder: Path) -> Iterator[Problem]:
    """Notices about the rest of a folder: sub-folders, other files, another project's manifest.

    Hidden files and folders of images are skipped.
    """
    others = []
    for path in sorted(path for path in folder.iterdir() if not path.name.startswith(".")):
        if path.is_dir():
            suites, files = _held(path)
            if suites:
                advice = f"use them with `prompts: {path}`"
                yield Problem(
                    str(path), "", f"not read: {suites} suites in a folder of their own; {advice}"
                )
            elif files:
                others.append(f"{path.name}/ ({_counted(files)})")
        elif path.name == MANIFEST:
            if not _has_questions(path):
                yield Problem(
                    str(path),
                    "",
                    "not read: not a manifest of this project, which would have `questions:`",
                )
        elif path.suffix != ".yaml":
            others.append(path.name)
    if others:
        yield Problem(str(folder), "", f"not read, since no suites: {in_short(others)}")


def _held(folder: Path) -> tuple[int, int]:
    """The numbers of suites and of all files in a sub-folder; zeros if all are images.

    At most MOST_COUNTED files are counted, since every plan does this.
    """
    seen = (path for path in folder.rglob("*") if not path.name.startswith(".") and path.is_file())
    files = list(islice(seen, MOST_COUNTED))
    if all(path.suffix.lower() in _IMAGES for path in files):
        return 0, 0
    return sum(map(_has_questions, suite_files(folder))), len(files)


def _counted(files: int) -> str:
    if files == MOST_COUNTED:
        return f"{files} files or more"
    return "1 file" if files == 1 else f"{files} files"


def _text(file: Path) -> str:
    """A file's text, however damaged; empty if it cannot be read."""
    try:
        return read_file(file).decode("utf-8", "replace")
    except InputErrors:
        return ""


def _has_questions(file: Path) -> bool:
    return _QUESTIONS.search(_text(file)) is not None


def name_at_a_glance(file: Path) -> str:
    """A suite's name, however damaged its file is."""
    named = _SUITE_NAME.search(_text(file))
    return named[1] if named else file.stem
