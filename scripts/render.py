"""Make RESULTS.md, MODELS.md, QUIRKS.md, report.html and the pictures.

They are made from the reviews, the registry and the outcomes of the probes.

for example:
  python -m scripts.render docs/reference/benchmarks/RESULTS.md
"""

from __future__ import annotations

import argparse
from pathlib import Path

from scripts.lib.base.command import Parser, run_job
from scripts.lib.base.errors import BenchError, suggest
from scripts.lib.base.safe_files import write_atomic
from scripts.lib.pages.all_pages import pages
from scripts.lib.planning.disk import registry_of
from scripts.lib.settings.run_config import load_config
from scripts.lib.tables.load import load_parts


def main(arguments: argparse.Namespace) -> None:
    """Write the pages. Raises BenchError for an unknown page, before anything is written."""
    config = load_config()
    known = pages(registry_of(config), load_parts(config))
    for unknown in (page for page in arguments.page if page not in known):
        raise BenchError(f"no page '{unknown}'{suggest(unknown, known)}")
    for page in arguments.page or known:
        write_atomic(Path(page), known[page]())


def parser() -> Parser:
    """The command line."""
    parser = Parser("scripts.render", __doc__, main)
    words = "make only these files (default: all)"
    parser.add_argument("page", nargs="*", metavar="FILE", help=words)
    return parser


if __name__ == "__main__":
    run_job(parser())
