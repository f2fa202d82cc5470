"""The names of a split model's files: `NAME-00001-of-00003.gguf` and so on.

The target of a link may have another name: in a Hugging Face cache, only the links in `snapshots/…`
have the parts' names.
"""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TypeVar

_PART = re.compile(r"-(\d{5})-of-(\d{5})$")

P = TypeVar("P", bound=PurePath)


def without_part(stem: str) -> str:
    """The stem of a weights file's name, without the part's number of a split model."""
    return _PART.sub("", stem)


def part_of(path: PurePath) -> tuple[int, int] | None:
    """(number, count) of a split model's part; None for a whole model."""
    found = _PART.search(path.stem)
    return (int(found[1]), int(found[2])) if found and path.suffix == ".gguf" else None


def part_name(path: P, number: int) -> P:
    """The name of another part of the same model."""
    found = _PART.search(path.stem)
    if found is None:
        return path
    return path.with_name(f"{path.stem[: found.start()]}-{number:05d}-of-{found[2]}{path.suffix}")
