"""`snakemake reproduce` on real engines: beside the stored cells, never over them; and per-suite targets."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.workflow.conftest import CELLS, Project


def reports(project: Project) -> list[Path]:
    return sorted((project.folder / "benchmarks/results/reproductions").glob("*/*"))


def test_a_sample_is_measured_again_beside_the_stored_cells(finished: Project) -> None:
    before, reviews = finished.cells(), sorted((finished.folder / "benchmarks/results/reviews").rglob("*.csv"))
    done = finished.snakemake("reproduce", "--config", "sample=7")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (
        finished.cells() == before
        and sorted((finished.folder / "benchmarks/results/reviews").rglob("*.csv")) == reviews
    )
    (folder,) = reports(finished)
    made = json.loads((folder / "report.json").read_text())
    assert made["cells"] == 7 and made["answers"]["exact"] == 7, "greedy answers of F32 weights repeat"
    drift = made["drift"]["decode_tokens_per_s"]
    assert drift["n"] == 7 and drift["low"] <= drift["value"] <= drift["high"]
    assert made["environment_differs"] == {}
    assert len((folder / "pairs.csv").read_text().splitlines()) == 8
    assert "| exact | 7 |" in (folder / "report.md").read_text() and "| exact | 7 |" in done.stdout
    assert "7 cells in" in done.stderr and "at most" in done.stderr
    again = finished.snakemake("reproduce", "--config", "sample=7")
    assert again.returncode == 0 and len(reports(finished)) == 2
    first, second = (re.findall("^[^,]+", (f / "pairs.csv").read_text(), re.M) for f in reports(finished))
    assert first == second, "the sample is seeded"


def test_an_answer_that_is_another_is_found(finished: Project) -> None:
    for file in (finished.folder / "benchmarks/results/cells").glob("*/tiny_a/baseline/*/*.json"):
        record = json.loads(file.read_text())
        ids = record["measurement"]["token_ids"].split()
        record["measurement"] |= {"token_ids": " ".join([*ids[:3], "7", *ids[4:]]), "close_calls": ""}
        file.write_text(json.dumps(record))
    done = finished.snakemake("reproduce", "--config", f"sample={CELLS}")
    assert done.returncode == 0, done.stderr
    made = json.loads((reports(finished)[0] / "report.json").read_text())
    assert made["answers"]["different"] == 4 and made["answers"]["exact"] == CELLS - 4
    assert "/tiny_a/baseline/one/q1` | different | 3 | >= 1 |" in done.stdout


def test_nothing_to_reproduce_is_said(project: Project) -> None:
    done = project.snakemake("reproduce")
    assert done.returncode == 1 and "no valid cell of this configuration can be run here" in done.stderr + done.stdout
    wrong = project.snakemake("-n", "reproduce", "--config", "sample=0")
    assert wrong.returncode == 1 and "sample: expected a number of at least 1, found 0" in wrong.stderr


def test_one_suites_target_plans_and_runs_that_suite_only(project: Project) -> None:
    done = project.snakemake("results_suite_two")
    assert done.returncode == 0, done.stderr
    assert "plan: 4 shards, 8 cells" in done.stderr
    assert {json.loads(text)["cell"]["suite"] for text in project.cells().values()} == {"two"}
    assert "Nothing to be done" in project.snakemake("results_suite_two").stderr
    one_model = project.snakemake("results_tiny_a")
    assert one_model.returncode == 0 and len(project.cells()) == 12
    unknown = project.snakemake("-n", "results_suite_tow")
    assert unknown.returncode == 1 and "suites: 'tow' names nothing; did you mean 'two'" in unknown.stderr


def test_every_documented_target_is_listed_with_what_it_does(project: Project) -> None:
    listed = project.snakemake("--list-target-rules").stdout
    for target in (
        *(
            "results",
            "results_so_far",
            "retry_failed",
            "weights",
            "preview",
            "orphans",
            "prune",
            "reproduce",
            "tabulate",
        ),
        *("render", "results_tiny_a", "results_suite_one"),
    ):
        assert re.search(rf"^{target} \(\S.+\)$", listed, re.M), target
