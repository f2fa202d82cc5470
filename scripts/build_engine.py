"""Compile llama.cpp for this CPU, and install llama-cpp-python with it.

Builds the libraries, llama-server and llama-bench once. The build is kept in
${EPYC_BENCH_CACHE:-~/.cache/epyc-inference-bench}, under a name made of the source's sha256 and the
CPU. A second call only checks that the build is complete and matches envs/engine.lock.

for example:
  python -m scripts.build_engine
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path
from typing import TextIO

from scripts.lib.base.command import Parser, run_command
from scripts.lib.llama_build.compile import ensure_engine


def _progress(held: contextlib.ExitStack) -> TextIO:
    """The terminal, if there is one, else stderr.

    Snakemake shows the output of a post-deploy script only if the script fails.
    """
    try:
        return held.enter_context(Path("/dev/tty").open("w", encoding="utf-8"))
    except OSError:
        return sys.stderr


def main(arguments: argparse.Namespace) -> None:
    """Build what is missing and print where the build is."""
    with contextlib.ExitStack() as held:
        print(f"engine: {ensure_engine(_progress(held))}")


def parser() -> Parser:
    """The command line; it has no options."""
    return Parser("scripts.build_engine", __doc__, main)


if __name__ == "__main__":
    run_command(parser())
