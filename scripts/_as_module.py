"""Lets a command be called by its file: `python scripts/plan.py` goes on as `python -m scripts.plan`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[1]


def go_on(file: str) -> NoReturn:
    """Put the module of this file, with the same arguments, in the place of this process, in the checkout's folder.

    Its modules, config/ and results are found from there, and so are the files that arguments name:
    called from elsewhere it says so.
    """
    module = ".".join(Path(file).resolve().relative_to(ROOT).with_suffix("").parts)
    if Path.cwd() != ROOT:
        print(f"files are looked for from {ROOT}", file=sys.stderr, flush=True)
        os.chdir(ROOT)
    python_options = sys.orig_argv[1 : -len(sys.argv)]
    os.execv(sys.executable, [sys.executable, *python_options, "-m", module, *sys.argv[1:]])
