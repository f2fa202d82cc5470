"""Fidelity cells through Snakemake: references first, nothing twice, and nothing orphaned."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.lib.fidelity.record import read_fidelity
from scripts.lib.settings.run_config import merged, read_layers
from scripts.lib.workflow.targets import Workflow, load_workflow
from tests.factories.tiny_project import Project, make_project

pytestmark = [pytest.mark.slow, pytest.mark.serial]

REFERENCE = "    description: second\n    fidelity: {reference: tiny_a}\n"


def workflow() -> Workflow:
    """The workflow of the project's config.yaml, in its folder."""
    return load_workflow(merged(read_layers(())))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = make_project(tmp_path_factory.mktemp("fidelity"))
    made.edit(made.registry, "    description: second\n", REFERENCE)
    made.edit("config/config.yaml", "  measure: false\n", "  measure: true\n")
    made.edit("config/config.yaml", "  - lookup_n3\n", "")
    made.made("results_tiny_b")
    return made


def files(project: Project, ending: str) -> dict[str, bytes]:
    below = project.folder / "benchmarks/results/fidelity"
    return {str(f.relative_to(below)): f.read_bytes() for f in below.glob(f"*/*/*/*/*{ending}")}


def test_the_reference_is_made_first_and_each_block_is_compared(project: Project) -> None:
    assert len(files(project, ".ref")) == len(files(project, ".json")) == 4
    assert all("/tiny_a/" in name for name in files(project, ".ref"))
    with project.inside():
        for name in files(project, ".json"):
            record = read_fidelity(Path("benchmarks/results/fidelity", name))
            assert record.measured is not None, record.error
            assert sum(record.measured.kl) > 0 and record.cell.model == "tiny_b"
    assert not list(project.folder.rglob("fidelity/**/.partial*")), "it was complete"


def test_an_edited_question_leaves_its_own_block_to_be_measured(project: Project) -> None:
    suite = "benchmarks/prompts/v1/one.yaml"
    with project.inside():
        plan = workflow().fidelity
        assert [len(one.pending()) for one in plan.configurations] == [0, 0]
    project.edit(suite, "prompt: Is water wet?", "prompt: Is water wet today?")
    try:
        with project.inside():
            found = workflow()
            todo = {one.key[0]: one.pending() for one in found.fidelities}
            assert {key: len(cells) for key, cells in todo.items()} == {"tiny_a": 1, "tiny_b": 1}
            target = found.fidelity_targets["tiny/tiny_b/baseline"]
            assert target == todo["tiny_b"][0].file
            assert todo["tiny_a"][0].file in found.fidelity_inputs(found.fidelities[1])
    finally:
        project.edit(suite, "prompt: Is water wet today?", "prompt: Is water wet?")


def test_nothing_is_an_orphan_before_a_question_is_gone(project: Project) -> None:
    shown = project.call("scripts.cells", "orphans")
    assert "fidelity" not in shown.stdout, shown.stdout
    project.edit("benchmarks/prompts/v1/one.yaml", "prompt: Is water wet?", "prompt: Is it?")
    try:
        shown = project.call("scripts.cells", "orphans")
    finally:
        project.edit("benchmarks/prompts/v1/one.yaml", "prompt: Is it?", "prompt: Is water wet?")
    orphaned = [line for line in shown.stdout.splitlines() if "/fidelity/" in line]
    assert sorted(Path(line).suffix for line in orphaned) == [".json", ".ref"]


def test_the_preview_tells_what_is_there_and_what_is_left_out(project: Project) -> None:
    shown = project.call("scripts.cells", "preview").stdout
    assert "tiny_a/baseline" in shown
    line = next(line for line in shown.splitlines() if line.startswith("tiny_b"))
    assert line


def test_the_whole_tree_is_verified(project: Project) -> None:
    assert project.call("scripts.verify").returncode == 0
    file = next((project.folder / "benchmarks/results/fidelity").glob("*/tiny_a/*/*/*.ref"))
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    try:
        shown = project.call("scripts.verify")
    finally:
        file.write_bytes(content)
    assert shown.returncode == 1 and file.name in shown.stdout + shown.stderr
