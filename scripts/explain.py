"""`python -m scripts.explain CELL_OR_PATTERN` is `python -m scripts.cells explain CELL_OR_PATTERN`."""

from __future__ import annotations

import sys

from scripts.cells import main
from scripts.lib.errors import run_cli

if __name__ == "__main__":
    sys.argv.insert(1, "explain")
    run_cli(main)
