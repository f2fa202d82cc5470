"""Copies of this checkout's code for projects of the tests."""

from __future__ import annotations

import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PARTS = (
    *("Snakefile", "rules", "scripts", "plugins", "profiles", "config", "envs"),
    "docs/templates",
)


def copy_checkout(folder: Path) -> None:
    """Copy the code, its configuration and the compiled modules, which processes then share."""
    for part in PARTS:
        source, target = ROOT / part, folder / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy2(source, target)
