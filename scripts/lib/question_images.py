"""A question's images: where their files are."""

from __future__ import annotations

import os
from pathlib import Path

from scripts.lib.entry import Entry


def written_images(entry: Entry) -> tuple[str, ...]:
    """Image files: beside the suite's file where they are there, else as written (lint tells what is missing)."""
    folder, made = Path(entry.source.file).parent, []
    for name in (*entry.texts("images"), *entry.texts("image_path")):
        is_beside = os.access(folder / name, os.F_OK)
        made.append(name if not is_beside and os.access(name, os.F_OK) else str(folder / name))
    return tuple(made)
