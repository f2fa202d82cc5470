"""`snakemake reproduce` on real engines, beside the stored cells; and per-suite targets."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

from scripts.lib.base.stored_json import sealed
from scripts.lib.compare.reproduction import choose
from scripts.lib.planning.cell_record import CellId
from scripts.lib.planning.disk import load_plans
from scripts.lib.results.states import cell_states
from scripts.lib.settings.run_config import load_config
from tests.factories.tiny_project import BASELINE, CELLS, FAULTS, Project, output, started


def reports(project: Project) -> list[Path]:
    return sorted((project.folder / "benchmarks/results/reproductions").glob("*/*"))


def test_a_sample_is_measured_again_beside_the_stored_cells(finished: Project) -> None:
    before, reviews = (
        finished.cells(),
        sorted((finished.folder / "benchmarks/results/reviews").rglob("*.csv")),
    )
    done = finished.snakemake("reproduce", "--config", "sample=7")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (
        finished.cells() == before
        and sorted((finished.folder / "benchmarks/results/reviews").rglob("*.csv")) == reviews
    )
    (folder,) = reports(finished)
    made = json.loads((folder / "report.json").read_text())
    assert made["cells"] == 7 and made["answers"]["exact"] == 7, (
        "greedy answers of F32 weights repeat"
    )
    drift = made["drift"]["decode_tokens_per_s"]
    assert drift["n"] == 7 and drift["low"] <= drift["value"] <= drift["high"]
    assert made["environment_differs"] == {}
    assert len((folder / "pairs.csv").read_text().splitlines()) == 8
    assert "| exact | 7 |" in (folder / "report.md").read_text() and "| exact | 7 |" in done.stdout
    assert "7 cells in" in done.stderr and "at most" in done.stderr
    with finished.inside():
        config = load_config()
        chosen = choose(cell_states(load_plans(config)), 7, config.sampling.seed)
    names = re.findall("^[^,]+", (folder / "pairs.csv").read_text(), re.M)[1:]
    assert sorted(names) == sorted(str(state.cell.id) for state in chosen), "the sample is seeded"


def test_an_answer_that_is_another_is_found(finished: Project) -> None:
    for file in (finished.folder / "benchmarks/results/cells").glob("*/tiny_a/baseline/*/*.json"):
        record = json.loads(file.read_text())
        ids = record["measurement"]["token_ids"].split()
        record["measurement"] |= {
            "token_ids": " ".join([*ids[:3], "7", *ids[4:]]),
            "close_calls": "",
        }
        file.write_text(json.dumps(sealed(record)))
    done = finished.snakemake("reproduce", "--config", f"sample={CELLS}")
    assert done.returncode == 0, done.stderr
    made = json.loads((reports(finished)[0] / "report.json").read_text())
    assert made["answers"]["different"] == 4 and made["answers"]["exact"] == CELLS - 4
    assert "/tiny_a/baseline/one/q1` | different | 3 | >= 1 |" in done.stdout


def new_cells(project: Project, suite: str = "[!.]*") -> list[Path]:
    """The cells that were measured beside the stored ones."""
    below = project.folder / "benchmarks/results/reproductions"
    return sorted(below.glob(f"*/*/benchmarks/results/cells/*/*/*/{suite}/*.json"))


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (("snakemake", "reproduce", "--config", f"sample={CELLS}"), 1),
        ((sys.executable, "-m", "scripts.reproduce", "--sample", str(CELLS)), 130),
    ],
    ids=["snakemake", "by hand"],
)
def test_cells_that_ctrl_c_came_before_are_not_failed_ones(
    finished: Project, argv: tuple[str, ...], code: int
) -> None:
    """The pause is at the first shard's second cell: two of its cells and three shards are left."""
    process = started(finished, *argv, EPYC_TEST_FAULT="pause:2", PYTHONPATH=str(FAULTS))
    deadline = time.monotonic() + 60
    while len(new_cells(finished, ".partial-*")) < 2:
        assert time.monotonic() < deadline and process.poll() is None, output(finished)
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=60) == code, output(finished)
    assert len(new_cells(finished)) == 2 and "Traceback" not in output(finished)
    made = json.loads((reports(finished)[0] / "report.json").read_text())
    assert made["answers"] == {
        "exact": 2,
        "numeric tie": 0,
        "different": 0,
        "failed": 0,
        "not reached": CELLS - 2,
    }
    assert f"interrupted: {CELLS - 2} cells were not reached" in output(finished)
    assert "could not be measured" not in output(finished)


def test_cells_of_a_job_that_failed_by_itself_are_failed_ones(finished: Project) -> None:
    done = finished.snakemake("reproduce", "--config", f"sample={CELLS}", fault="exit:3")
    assert done.returncode == 1 and "error: 4 shards could not be measured" in done.stderr
    made = json.loads((reports(finished)[0] / "report.json").read_text())
    assert (
        made["answers"]["exact"],
        made["answers"]["failed"],
        made["answers"]["not reached"],
    ) == (8, 8, 0)


def test_of_a_repeated_question_only_the_sampled_repeats_are_measured_again(
    project: Project,
) -> None:
    (project.folder / "three.yaml").write_text("repeats: 3\nmodels: [tiny_a]\n")
    stored = project.run(
        sys.executable, "-m", "scripts.infer", "--model", "tiny_a", "--configfile", "three.yaml"
    )
    assert stored.returncode == 0 and len(project.cells()) == 12, stored.stderr
    done = project.run(
        sys.executable, "-m", "scripts.reproduce", "--sample", "4", "--configfile", "three.yaml"
    )
    assert done.returncode == 0, done.stderr
    sampled = re.findall("^[^,]+", (reports(project)[0] / "pairs.csv").read_text(), re.M)[1:]
    measured = [str(CellId(**json.loads(file.read_text())["cell"])) for file in new_cells(project)]
    assert len(sampled) == 4 and sorted(measured) == sorted(sampled)


def test_one_cell_by_its_digest(project: Project) -> None:
    infer = (sys.executable, "-m", "scripts.infer", "--model", "tiny_a")
    assert project.run(*infer).returncode == 0
    digests = [json.loads(text)["digest"] for _, text in sorted(project.cells().items())]
    shutil.rmtree(project.folder / "benchmarks/results/cells")
    assert project.run(*infer, "--cell", digests[1]).returncode == 0
    assert [json.loads(text)["digest"] for text in project.cells().values()] == [digests[1]]
    both = project.run(*infer, "--cell", digests[0], "--question", "two/q1")
    assert both.returncode == 0 and len(project.cells()) == 3, both.stderr


def test_nothing_to_reproduce_is_said(project: Project) -> None:
    done = project.snakemake("reproduce")
    assert (
        done.returncode == 1
        and "no valid cell of this configuration can be run here" in done.stderr + done.stdout
    )
    said = project.refusal("reproduce", "sample=0")
    assert "sample: expected a whole number of at least 1, found 0" in said


def test_one_suites_or_models_target_plans_and_runs_no_other(project: Project) -> None:
    done = project.snakemake("results_suite_two", "--config", BASELINE)
    assert done.returncode == 0, done.stderr
    assert "plan: 2 shards, 4 cells" in done.stderr
    suites = project.cells()
    assert {json.loads(text)["cell"]["suite"] for text in suites.values()} == {"two"}
    assert len(suites) == 4
    again = project.snakemake("results_suite_two", "--config", BASELINE)
    assert "Nothing to be done" in again.stderr
    one_model = project.snakemake("results_tiny_a", "--config", BASELINE)
    assert one_model.returncode == 0, one_model.stderr
    assert "plan: 1 shards, 4 cells" in one_model.stderr
    new = {name: text for name, text in project.cells().items() if name not in suites}
    assert {json.loads(text)["cell"]["model"] for text in new.values()} == {"tiny_a"}
    assert len(new) == 2
    for target, said in (
        ("results_suite_tow", "suites: 'tow' names nothing; did you mean 'two'"),
        ("results_tiny_z", "models: 'tiny_z' names nothing; did you mean"),
    ):
        assert said in project.refusal(target)


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
