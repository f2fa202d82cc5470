"""Lets you call a command by its file: `python scripts/plan.py` runs `python -m scripts.plan`.

Python puts the folder of the called file on its search path, not the checkout. So the first
`import scripts…` of the command finds this file instead of the package.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def run_as_module() -> None:
    """Replace this process by the called file's module, with the same arguments, in the checkout.

    The command looks for all files there, also for those that arguments name. If the current folder
    is another one, a line on stderr says so.
    """
    file = Path(sys.argv[0]).resolve()
    checkout = next(folder for folder in file.parents if (folder / "Snakefile").is_file())
    module = ".".join(file.relative_to(checkout).with_suffix("").parts)
    if Path.cwd() != checkout:
        print(f"files are looked for from {checkout}", file=sys.stderr, flush=True)
        os.chdir(checkout)
    python_options = sys.orig_argv[1 : -len(sys.argv)]
    os.execv(sys.executable, [sys.executable, *python_options, "-m", module, *sys.argv[1:]])


if __name__ == "scripts":
    run_as_module()
