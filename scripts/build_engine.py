"""Compile llama.cpp once for this CPU (libraries, llama-server, llama-bench) and install llama-cpp-python against it.

The build is kept in ${EPYC_BENCH_CACHE:-~/.cache/epyc-inference-bench}, keyed by the source's
sha256 and the CPU; a second call finds it, checks that it is whole and the lock's, and returns at
once.
"""

from __future__ import annotations

if __name__ == "__main__" and not __package__:
    from _as_module import go_on

    go_on(__file__)

import argparse
import contextlib
import sys
from pathlib import Path
from typing import TextIO

from scripts.lib.base.errors import run_cli
from scripts.lib.llama_build.compile import ensure_engine


def _progress(held: contextlib.ExitStack) -> TextIO:
    """The terminal, where there is one: Snakemake shows nothing of a post-deploy script's own output before it has failed."""
    try:
        return held.enter_context(Path("/dev/tty").open("w", encoding="utf-8"))
    except OSError:
        return sys.stderr


def main() -> int:
    argparse.ArgumentParser(prog="python -m scripts.build_engine", description=__doc__).parse_args()
    with contextlib.ExitStack() as held:
        print(f"engine: {ensure_engine(_progress(held))}")
    return 0


if __name__ == "__main__":
    run_cli(main)
