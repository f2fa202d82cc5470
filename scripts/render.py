"""Render the pages (RESULTS.md, MODELS.md, QUIRKS.md) from the reviews, the registry and the probes, each by its template."""

from __future__ import annotations

import argparse
from pathlib import Path

from scripts.lib.config import load_config
from scripts.lib.errors import BenchError, run_cli, suggest
from scripts.lib.model_pages import ModelsPage, QuirksPage
from scripts.lib.probes import read_outcomes
from scripts.lib.records import write_atomic
from scripts.lib.registry_loader import load_registry
from scripts.lib.render import render
from scripts.lib.results import load_parts
from scripts.lib.results_page import results_page
from scripts.lib.workflow import PAGES, RESULTS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.render", description=__doc__)
    parser.add_argument("page", nargs="*", help=f"only these (default: all): {', '.join(PAGES)}")
    wanted = parser.parse_args().page or list(PAGES)
    for unknown in (page for page in wanted if page not in PAGES):
        raise BenchError(f"no page '{unknown}'{suggest(unknown, PAGES)}")
    config = load_config()
    registry, parts = load_registry(config.registry), load_parts(config)
    context = {"models": ModelsPage(registry), "quirks": QuirksPage(registry, read_outcomes(registry), parts)}
    for page in wanted:
        template = Path(PAGES[page])
        made = results_page(template, parts) if page == RESULTS else render(template, **context)
        write_atomic(Path(page), made)
    return 0


if __name__ == "__main__":
    run_cli(main)
