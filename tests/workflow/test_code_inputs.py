"""An edit of any module that tables or pages are made by makes them again, and runs no model."""

from __future__ import annotations

import re
from pathlib import Path

import grimp
import pytest

from scripts.lib.workflow.targets import TABLE_PACKAGES, code_of
from tests.factories.checkout import ROOT
from tests.factories.tiny_project import Project


@pytest.mark.parametrize(
    ("script", "packages"), [("tabulate", TABLE_PACKAGES), ("render", (*TABLE_PACKAGES, "pages"))]
)
def test_every_module_that_a_step_imports_is_an_input_of_its_rule(
    script: str, packages: tuple[str, ...]
) -> None:
    """Imports inside functions count, too: the graph is read from the source."""
    graph = grimp.build_graph("scripts", cache_dir=None)
    modules = {f"scripts.{script}", *graph.find_upstream_modules(f"scripts.{script}")}
    wanted = {f"{module.replace('.', '/')}.py" for module in modules}
    folders = {
        module.replace(".", "/") for module in modules if (ROOT / module.replace(".", "/")).is_dir()
    }
    files = {file for file in wanted if (ROOT / file).is_file()}
    assert len(files) > 50 and len(files) + len(folders) >= len(wanted)
    assert files <= set(code_of(f"scripts/{script}.py", *packages))


def test_an_edited_module_makes_the_tables_and_pages_again_and_nothing_else(
    finished: Project,
) -> None:
    for file, rules in (
        ("scripts/lib/engines/server.py", set()),
        ("scripts/lib/pages/sections/speed.py", {"render"}),
        ("scripts/lib/scoring/extract/final_number.py", {"tabulate", "render"}),
    ):
        path = finished.folder / file
        # A file that is only touched has the checksum that Snakemake knows.
        path.write_text(f"{path.read_text()}# edited\n")
        done = finished.snakemake("-n", "results", "--verbose")
        assert done.returncode == 0, done.stderr
        shown = done.stdout + done.stderr
        assert {
            rule for rule in ("tabulate", "render") if re.search(rf"^{rule} +1$", shown, re.M)
        } == rules, shown
        assert not re.search(r"^(infer|review)_", shown, re.M)
        assert rules or "Nothing to be done" in shown


def test_the_script_itself_is_an_input() -> None:
    assert Path(code_of("scripts/render.py", "pages")[0]).is_file()
