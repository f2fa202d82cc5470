"""A variant added, renamed and dropped, through the real workflow."""

from __future__ import annotations

import json
from typing import Any

import yaml

from tests.factories.tiny_project import BASELINE, Project


def set_variants(project: Project, **variants: dict[str, Any]) -> None:
    file = project.folder / "config/config.yaml"
    config = yaml.safe_load(file.read_text())
    config["variants"] = variants
    file.write_text(yaml.safe_dump(config, sort_keys=False))


USUAL = ("results", "--config", BASELINE)


def planned_to_run(project: Project, *asked: str) -> set[str]:
    """The cells, as `model/mode/suite/question`, that a dry run of Snakemake would make."""
    done = project.snakemake("-n", "--verbose", *(asked or USUAL))
    assert done.returncode == 0, done.stdout + done.stderr
    found, marker = set[str](), "benchmarks/results/cells/tiny/"
    for line in done.stdout.splitlines():
        if line.strip().startswith("output:"):
            for file in line.partition("output:")[2].split(", "):
                if marker in file:
                    found.add(file.partition(marker)[2].rsplit(".", 2)[0])
    return found


def cells_of(mode: str, model: str = "tiny_a") -> set[str]:
    return {f"{model}/{mode}/{suite}/{q}" for suite in ("one", "two") for q in ("q1", "q2")}


def test_a_variant_added_renamed_and_dropped_names_exactly_its_cells(project: Project) -> None:
    small = {"context": {"micro_batch_tokens": 64}, "models": ["tiny_a"]}
    project.results("--config", BASELINE)
    before = project.cells()

    set_variants(project, small=small)
    assert planned_to_run(project) == cells_of("baseline@small")
    project.results("--config", BASELINE)
    after = project.cells()
    assert {file: after[file] for file in before} == before
    added = [json.loads(text) for file, text in after.items() if file not in before]
    assert {record["cell"]["mode"] for record in added} == {"baseline@small"}
    assert {record["status"] for record in added} == {"ok"}
    assert {record["spec"]["context"]["micro_batch_tokens"] for record in added} == {64}
    page = project.report
    assert "### Runtime variants" in page and "| `small` " in page
    table = project.folder / "benchmarks/results/tables/variants.csv"
    (line,) = table.read_text().splitlines()[1:]
    assert line.startswith("tiny,embedded,tiny_a,baseline@small,small,micro_batch_tokens 64,")

    set_variants(project, smaller=small)
    assert planned_to_run(project) == cells_of("baseline@smaller")

    set_variants(project)
    assert planned_to_run(project) == set()
    project.made("results_so_far")
    assert "### Runtime variants" not in project.report


def test_the_sweep_over_threads_is_a_target(project: Project) -> None:
    sweep = (
        "suites: [one]\ndecoding: {modes: [baseline]}\nvariants: {t: {threads: [1, 2, 99999]}}\n"
    )
    (project.folder / "config/threads.yaml").write_text(sweep)
    found = planned_to_run(project, "results_threads", "--config", 'models=["tiny_a"]')
    assert found == {
        f"tiny_a/{mode}/one/{q}" for mode in ("baseline", "baseline@t2") for q in ("q1", "q2")
    }
