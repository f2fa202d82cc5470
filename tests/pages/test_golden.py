"""The made-up project's pages and tables are the stored ones, byte for byte, every time."""

from __future__ import annotations

import difflib
import shutil
from pathlib import Path

import pytest

from scripts.lib.base.layout import PAGES, PICTURE_NAMES, TABLE_NAMES
from tests.factories.commands import call
from tests.golden import FILES, comparable, run, stored

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("file", FILES)
def test_pages_and_tables_are_the_stored_ones(sample: Path, file: str) -> None:
    made, kept = (
        comparable(sample, file).splitlines(),
        stored(file).read_text(encoding="utf-8").splitlines(),
    )
    changes = [
        line[:300] for line in difflib.unified_diff(kept, made, "stored", "made", lineterm="", n=0)
    ]
    assert not changes, "\n".join(
        [*changes[:20], "meant? python -m tests.golden && git diff tests/golden"]
    )


def test_made_again_everything_has_the_same_bytes(sample: Path, tmp_path: Path) -> None:
    folder = tmp_path / "again"
    shutil.copytree(sample, folder)
    made = [
        *(sample / "docs/reference").rglob("*.*"),
        *(sample / "benchmarks/results/tables").glob("*.csv"),
    ]
    assert len(made) == len(PAGES) + 1 + len(PICTURE_NAMES) + len(TABLE_NAMES)
    assert {file.suffix for file in made} == {".md", ".html", ".svg", ".csv"}
    for file in made:
        (folder / file.relative_to(sample)).unlink()
    run(folder, "-m", "scripts.tabulate")
    run(folder, "-m", "scripts.render")
    assert [
        file.name
        for file in made
        if (folder / file.relative_to(sample)).read_bytes() != file.read_bytes()
    ] == []


def test_one_page_can_be_made_alone_and_an_unknown_one_is_named(
    sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "one"
    shutil.copytree(sample, folder)
    page, other = (
        folder / "docs/reference/benchmarks/RESULTS.md",
        folder / "docs/reference/models/MODELS.md",
    )
    page.unlink()
    other.write_text("left alone")
    monkeypatch.chdir(folder)
    made = call("scripts.render", "docs/reference/benchmarks/RESULTS.md")
    assert made.returncode == 0 and page.is_file() and other.read_text() == "left alone"
    wrong = call("scripts.render", "docs/RESULTS.md")
    known = "no page 'docs/RESULTS.md'; known: docs/reference/benchmarks/RESULTS.md, "
    assert wrong.returncode == 1 and known in wrong.stderr
