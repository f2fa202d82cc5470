"""Import the predecessor's results: runs, single answers and reviews.

Reads run JSONs, logs of single answers and review CSVs, and keeps the files byte for byte. Writes
benchmarks/results/legacy/PROFILE/ and docs/reference/benchmarks/LEGACY.md. The folder holds the
files themselves (sources/), tidy tables, the predecessor's summary.csv made again, and a list of
everything that could not be placed, with file, place and reason. Importing the same folder again
changes nothing. Without a folder, the tables and the page are made again from what was imported.

for example:
  python -m scripts.benchmark.import_legacy_runs ~/benchmarks/results
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from scripts.lib.base.command import Parser, run_command
from scripts.lib.base.errors import BenchError
from scripts.lib.base.layout import LEGACY, LEGACY_PAGE, LEGACY_TEMPLATE
from scripts.lib.base.safe_files import write_atomic
from scripts.lib.base.templates import render
from scripts.lib.legacy import PROFILE
from scripts.lib.legacy.history import Unplaced, read_history
from scripts.lib.legacy.page import LegacyPage
from scripts.lib.legacy.store import SOURCES, SUPERSEDED, Taken, archive_root, replace, stage
from scripts.lib.legacy.tables import Imported, history_tables
from scripts.lib.machine.profiles import load_hardware
from scripts.lib.planning.disk import registry_of
from scripts.lib.registry_loader import Registry
from scripts.lib.settings.run_config import load_config


def _page(
    profile: str, folder: Path, registry: Registry, skipped: tuple[tuple[str, str], ...] = ()
) -> LegacyPage:
    hardware = load_hardware(profile)
    bandwidth = hardware.bandwidth_gb_per_s * 1e9 if hardware.bandwidth_gb_per_s else None
    history = read_history(folder / SOURCES, folder / SUPERSEDED)
    left = tuple(Unplaced(file, "", why) for file, why in skipped)
    return LegacyPage(hardware, Imported(history, registry, bandwidth, left))


def _write_page(registry: Registry) -> None:
    """Write the page with every imported history."""
    names = sorted(p.name for p in LEGACY.iterdir() if not p.name.startswith("."))
    pages = [_page(n, LEGACY / n, registry) for n in names if (LEGACY / n / SOURCES).is_dir()]
    write_atomic(Path(LEGACY_PAGE), render(Path(LEGACY_TEMPLATE), pages=pages))


def _summary(page: LegacyPage, taken: Taken, history: Path) -> Iterator[str]:
    """The lines that an import prints."""
    imported, counts = page.imported, page.imported.counts
    yield f"{taken.found} files, {taken.new} of them new, {taken.changed} changed: {history}"
    yield (
        f"{len(imported.runs)} runs with {counts['answers']} answers, {counts['review']} reviews, "
        f"{counts['duplicate']} duplicates"
    )
    for words, rescored in (("first", False), ("second", True)):
        reviews = [r for r in imported.history.reviews if r.rescored == rescored]
        matched = sum(bool(review.run) for review in reviews)
        yield f"{len(reviews)} reviews of the {words} round, {matched} matched to their runs"
    yield (
        f"{len(list(page.struck()))} speeds struck out; "
        f"{len(imported.unplaced)} things not placed: {history}/unplaced.csv"
    )
    if imported.history.summary:
        yield (
            f"the archive's own summary differs in {len(imported.differences)} lines: "
            f"{history}/summary_differences.csv"
        )
    yield f"page: {LEGACY_PAGE}"


def parser() -> Parser:
    """The command line."""
    parser = Parser("scripts.benchmark.import_legacy_runs", __doc__, main)
    parser.add_argument(
        "folder", nargs="?", type=Path, metavar="DIR", help="a folder with runs/ and reviews/"
    )
    words = f"a profile of config/hardware/ (default: {PROFILE})"
    parser.add_argument("--profile", default=PROFILE, metavar="NAME", help=words)
    return parser


def main(arguments: argparse.Namespace) -> int:
    """Import a folder, or make the tables and the page again."""
    load_hardware(arguments.profile)
    history, registry = LEGACY / arguments.profile, registry_of(load_config())
    if arguments.folder is None and not history.is_dir():
        raise BenchError(
            f"nothing was imported as '{arguments.profile}' yet: name the predecessor's folder"
        )
    root = archive_root(arguments.folder) if arguments.folder is not None else None
    staged, taken = stage(history, root)
    page = _page(arguments.profile, staged, registry, taken.skipped)
    for name, content in history_tables(page.imported).items():
        write_atomic(staged / name, content)
    replace(history, staged)
    _write_page(registry)
    print("\n".join(_summary(page, taken, history)))
    return 0


if __name__ == "__main__":
    run_command(parser())
