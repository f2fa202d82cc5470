"""The routing harness runs the pipeline: its cells are ordinary ones, and no other file changes."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from tests.factories.tiny_project import CELLS, Project

ENTRIES = ("--frontdoor", "tiny_a", "--specialist", "tiny_b")


def harness(project: Project, *arguments: str) -> str:
    """The command, called by its path."""
    done = project.run(sys.executable, "scripts/benchmark/seed_specialist_routing.py", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rows(project: Project, name: str) -> list[dict[str, str]]:
    (file,) = (project.folder / "benchmarks/results/routing").glob(f"*/*/{name}")
    return list(csv.DictReader(file.open()))


def made(project: Project) -> set[Path]:
    return {
        f
        for part in ("docs", "benchmarks")
        for f in (project.folder / part).rglob("*")
        if f.is_file()
    }


def test_a_sample_is_run_by_the_pipeline_and_costs_nothing_again(project: Project) -> None:
    before = made(project)
    shown = harness(
        project, "--3way", "--suites", "one", "two", "--sample-size", "1", "--dry-run", *ENTRIES
    )
    assert "tiny_a: 2 of 2 cells to run" in shown and made(project) == before
    first = harness(project, "--3way", "--suites", "one", "two", "--sample-size", "1", *ENTRIES)
    assert "take (no other is significantly better)" in first
    cells = project.cells()
    assert len(cells) == 4 and {name.split("/")[1] for name in cells} == {"tiny_a", "tiny_b"}
    assert not (project.folder / "docs/reference/benchmarks/RESULTS.md").exists()
    outcomes = rows(project, "outcomes.csv")
    assert {(o["suite"], o["action"]) for o in outcomes} == {
        (s, a) for s in ("one", "two") for a in ("frontdoor", "specialist")
    }
    assert all(
        o["success"] in ("True", "False") and (project.folder / o["cell_file"]).is_file()
        for o in outcomes
    )
    again = harness(project, "--3way", "--suites", "one", "two", "--sample-size", "1", *ENTRIES)
    assert again == first and project.cells() == cells
    assert harness(project, "--stats").strip() in first
    # They are cells like any other: a whole run measures the others only.
    project.made("results_tiny_a")
    assert len(project.cells()) == CELLS // 2 + 2 and cells.items() <= project.cells().items()


def test_finished_cells_are_reused_and_pages_left_alone(finished: Project) -> None:
    before, cells = finished.report, finished.cells()
    shown = harness(
        finished, "--3way", "--suites", "all", "--sample-size", "5", "--debug", *ENTRIES
    )
    assert finished.cells() == cells and finished.report == before
    assert sum(" frontdoor tiny_a: " in line for line in shown.splitlines()) == 4


def test_modes_are_run_by_the_pipeline_and_a_sample_is_gone_on_with(project: Project) -> None:
    asked = (
        "--roles",
        "tiny_a",
        "tiny_b",
        "--modes",
        "baseline",
        "lookup_n3",
        "--question-ids",
        "one/q1",
    )
    first = harness(project, *asked)
    cells = project.cells()
    assert {name.split("/")[2] for name in cells} == {"baseline", "lookup_n3"} and len(cells) == 4
    for file in (project.folder / "benchmarks/results/cells").glob("*/tiny_a/lookup_n3/one/*.json"):
        file.unlink()
    again = harness(project, "--resume")
    assert project.cells().keys() == cells.keys() and again.count("lookup_n3") == first.count(
        "lookup_n3"
    )
    assert {(o["entry"], o["mode"]) for o in rows(project, "outcomes.csv")} == {
        (entry, mode) for entry in ("tiny_a", "tiny_b") for mode in ("baseline", "lookup_n3")
    }


def test_an_engine_that_fails_gives_no_reward(project: Project) -> None:
    broken = project.folder / "weights/b.gguf"
    broken.write_bytes(broken.read_bytes().replace(b"output_norm.weight", b"outlut_norm.weight"))
    harness(project, "--3way", "--suites", "one", "--sample-size", "2", *ENTRIES)
    rewards = {o["action"]: [] for o in rows(project, "outcomes.csv")}  # type: dict[str, list[str]]
    for o in rows(project, "outcomes.csv"):
        rewards[o["action"]].append(o["reward"])
    assert rewards["specialist"] == ["", ""] and "" not in rewards["frontdoor"]
    routes = {r["action"]: r for r in rows(project, "routes.csv")}
    assert (
        routes["specialist"]["infrastructure_errors"] == "2"
        and routes["specialist"]["p_success"] == ""
    )
    assert routes["frontdoor"]["recommended"] == "True"


def test_mistakes_are_one_message(project: Project) -> None:
    for arguments, said in (
        ((), "choose --3way"),
        (("--stats",), "no sample was run on this profile yet"),
        (("--3way", "--sample-size", "0"), "--sample-size: expected at least 1"),
        (("--3way", "--suites", "onee"), "no suite 'onee'; did you mean 'one'"),
        (("--3way",), "--frontdoor KEY --specialist KEY"),
    ):
        done = project.call("scripts.benchmark.seed_specialist_routing", *arguments)
        assert done.returncode == 1 and said in done.stderr and "Traceback" not in done.stderr, (
            done.stderr
        )


def test_questions_narrow_the_plan_and_a_misspelt_one_is_named(finished: Project) -> None:
    dry = finished.snakemake("-n", "results", "--config", 'questions=["one/q2", "two/*"]')
    assert "plan: 4 shards, 12 cells" in dry.stderr and "; 0 cells in 0 shards" in dry.stderr
    said = finished.refusal("results", 'questions=["one/q7"]')
    assert "questions: 'one/q7' names nothing; did you mean 'one/q" in said
