"""Reads from git; changes nothing in the checkout."""

from __future__ import annotations

import subprocess

from scripts.lib.base.errors import BenchError


def git(*arguments: str) -> str | None:
    """What a git command prints; None if it fails. Raises BenchError if git is missing."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, check=False)
    except OSError as error:
        raise BenchError("git is not installed, so revisions cannot be read") from error
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None
