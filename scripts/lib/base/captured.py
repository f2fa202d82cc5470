"""Runs a program to its end and keeps what it prints."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence


def run_captured(
    argv: Sequence[str], timeout_s: float | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """The exit code and both outputs as text, in which invalid UTF-8 is replaced.

    Raises OSError if the program cannot be started, subprocess.TimeoutExpired after `timeout_s`.
    """
    return subprocess.run(
        argv,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=timeout_s,
        env=env,
        check=False,
    )
