"""Every page that is made from cells, registry and probes: file -> a function that makes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path

from scripts.lib.base.layout import PAGES, REPORT, REPORT_TEMPLATE, RESULTS_PAGE, picture_file
from scripts.lib.base.templates import render
from scripts.lib.pages.model_pages import ModelsPage, QuirksPage
from scripts.lib.pages.pictures import PICTURES, draw
from scripts.lib.pages.report import report
from scripts.lib.pages.results_page import results_page
from scripts.lib.registry_loader import Registry
from scripts.lib.results.probe_outcomes import read_outcomes
from scripts.lib.tables.profile_part import ProfilePart


def pages(registry: Registry, parts: Sequence[ProfilePart]) -> Mapping[str, Callable[[], str]]:
    """RESULTS.md, the pages about models, the report, and the pictures of each part with cells."""
    about_models = {
        "models": ModelsPage(registry),
        "quirks": QuirksPage(registry, read_outcomes(registry), parts),
    }
    made: dict[str, Callable[[], str]] = {
        page: partial(render, Path(PAGES[page]), **about_models) for page in PAGES
    }
    made[RESULTS_PAGE] = partial(results_page, Path(PAGES[RESULTS_PAGE]), parts)
    by_slug = {part.slug: part for part in parts if part.setups}

    @cache
    def drawn(name: str, slug: str) -> str:
        # Each picture is used twice: in a file and in the report.
        return draw(name, by_slug[slug])

    for slug in by_slug:
        made |= {picture_file(slug, name): partial(drawn, name, slug) for name in PICTURES}
    made[REPORT] = partial(
        report, Path(REPORT_TEMPLATE), parts, lambda name, part: drawn(name, part.slug)
    )
    return made
