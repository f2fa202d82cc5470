"""Make RESULTS.md, MODELS.md, QUIRKS.md, report.html and the pictures, of the reviews, the registry and the probes."""

from __future__ import annotations

if __name__ == "__main__" and not __package__:
    from _as_module import go_on

    go_on(__file__)

import argparse
from pathlib import Path

from scripts.lib.base.errors import BenchError, run_cli, suggest
from scripts.lib.base.process_lifetime import die_with_starter
from scripts.lib.base.safe_files import write_atomic
from scripts.lib.pages.all_pages import pages
from scripts.lib.planning.disk import registry_of
from scripts.lib.settings.run_config import load_config
from scripts.lib.tables.load import load_parts


def main() -> int:
    die_with_starter()
    parser = argparse.ArgumentParser(prog="python -m scripts.render", description=__doc__)
    parser.add_argument(
        "page",
        nargs="*",
        help="only these files (default: all), such as docs/reference/benchmarks/RESULTS.md",
    )
    wanted = parser.parse_args().page
    config = load_config()
    known = pages(registry_of(config), load_parts(config))
    for unknown in (page for page in wanted if page not in known):
        raise BenchError(f"no page '{unknown}'{suggest(unknown, known)}")
    for page in wanted or known:
        write_atomic(Path(page), known[page]())
    return 0


if __name__ == "__main__":
    run_cli(main)
