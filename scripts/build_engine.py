"""Compile llama.cpp once for this CPU (libraries, llama-server, llama-bench) and install llama-cpp-python against it.

The build is kept in ${EPYC_BENCH_CACHE:-~/.cache/epyc-inference-bench}, keyed by the source's sha256 and the CPU; a second call
finds it and returns at once.
"""

from __future__ import annotations

import argparse

from scripts.lib.engine_build import ensure_engine
from scripts.lib.errors import run_cli


def main() -> int:
    argparse.ArgumentParser(prog="python -m scripts.build_engine", description=__doc__).parse_args()
    print(f"engine: {ensure_engine()}")
    return 0


if __name__ == "__main__":
    run_cli(main)
