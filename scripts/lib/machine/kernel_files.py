"""Reads the small text files of /proc and /sys."""

from __future__ import annotations

from pathlib import Path


def kernel_text(path: str | Path) -> str | None:
    """The file's text without the spaces around it; None if it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
