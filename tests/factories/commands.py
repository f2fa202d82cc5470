"""Calls a command of the project in this process: same output, same exit code, no start."""

from __future__ import annotations

import contextlib
import io
import runpy
import signal
import subprocess
import sys
from pathlib import Path
from unittest import mock

from scripts.lib.registry.role_table import role_table


def call(module: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """`python -m module arguments…`, in this checkout's folder."""
    argv = [f"{module.replace('.', '/')}.py", *map(str, arguments)]
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    interrupt = signal.getsignal(signal.SIGINT)
    role_table.cache_clear()  # its file may be another folder's
    code: object = 0
    try:
        with (
            mock.patch.object(sys, "argv", argv),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        code = ended.code
    finally:
        signal.signal(signal.SIGINT, interrupt)
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())  # type: ignore[attr-defined]
    return subprocess.CompletedProcess(argv, int(str(code or 0)), *texts)
