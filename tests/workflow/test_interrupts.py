"""Ctrl-C: the cell in flight is stored, the run record says so, and no engine is left running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.factories.tiny_project import (
    CELLS,
    FAULTS,
    Project,
    engines_of,
    output,
    partial_cells,
    started,
    wait_for_cells,
)

# Two shards: one is interrupted, the other one is not begun.
RUN = ("snakemake", "-j8", "results_tiny_a", "--config")


def run_summary(project: Project) -> str:
    (run,) = (project.folder / "benchmarks/results/runs").iterdir()
    return (run / "summary.md").read_text()


@pytest.mark.parametrize("engine", ["embedded", "server"])
def test_ctrl_c_of_snakemake_finishes_the_cell_in_flight_and_stops(
    project: Project, engine: str
) -> None:
    """The pause is after the second cell's link: the signal comes while that cell is stored."""
    process = started(
        project, *RUN, f"engine={engine}",
        EPYC_TEST_FAULT="pause:2", PYTHONPATH=str(FAULTS),
    )  # fmt: skip
    wait_for_cells(project, process, 2)
    engines = engines_of(process)
    assert len(engines) == (2 if engine == "server" else 1)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=60) == 1
    assert len(project.cells()) == 2, output(project)
    assert "stopping after the current cell" in output(project) and "Traceback" not in output(
        project
    )
    assert "Outcome: interrupted; its finished cells are kept. Cells run: 2." in run_summary(
        project
    )
    assert not psutil.wait_procs(engines, timeout=5)[1], "an engine outlived the run"
    before = project.cells()
    project.made("results_tiny_a", "--config", f"engine={engine}")
    after = project.cells()
    assert len(after) == CELLS // 2 and {name: after[name] for name in before} == before


@pytest.mark.parametrize("engine", ["embedded", "server"])
def test_a_second_ctrl_c_stops_at_once_and_loses_no_finished_cell(
    project: Project, engine: str
) -> None:
    process = started(
        project, *RUN, f"engine={engine}",
        EPYC_TEST_FAULT="hang:3", PYTHONPATH=str(FAULTS),
    )  # fmt: skip
    wait_for_cells(project, process, 3)
    engines = engines_of(process)
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None, "the first one waits for the cell, which hangs here"
    os.killpg(process.pid, signal.SIGINT)
    process.wait(timeout=30)
    assert not psutil.wait_procs(engines, timeout=5)[1]
    assert len(project.cells()) == 2 and len(partial_cells(project)) == 3
    assert "Outcome: interrupted" in run_summary(project)
    project.made("results_tiny_a", "--config", f"engine={engine}")
    assert len(project.cells()) == CELLS // 2


def test_ctrl_c_of_one_shard_typed_by_hand(project: Project) -> None:
    argv = (sys.executable, "-m", "scripts.infer", "--model", "tiny_a")
    process = started(project, *argv, EPYC_TEST_FAULT="pause:2", PYTHONPATH=str(FAULTS))
    wait_for_cells(project, process, 2)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=60) == 130
    assert len(project.cells()) == 2 and "Traceback" not in output(project)
    assert "Outcome: interrupted. Cells run: 2." in run_summary(project)
    assert project.run(*argv).returncode == 0 and len(project.cells()) == 4


def test_kill_9_of_the_scheduler_leaves_no_llama_server(project: Project) -> None:
    process = started(
        project, *RUN, "engine=server",
        EPYC_TEST_FAULT="hang:2", PYTHONPATH=str(FAULTS),
    )  # fmt: skip
    wait_for_cells(project, process, 2)
    engines = engines_of(process)
    assert sorted("llama-server" in p.name() for p in engines) == [False, True]
    process.kill()
    process.wait()
    assert not psutil.wait_procs(engines, timeout=5)[1]


def test_two_checkouts_never_measure_at_once_and_the_holder_is_named(
    project: Project, tmp_path: Path
) -> None:
    other = Project(tmp_path / "other")
    project_copy = subprocess.run(["cp", "-r", str(project.folder), str(other.folder)], check=True)
    assert project_copy.returncode == 0
    lock = str(project.folder / "lock")
    first = started(
        project, sys.executable, "-m", "scripts.infer", "--model", "tiny_a",
        EPYC_TEST_FAULT="hang:2", PYTHONPATH=str(FAULTS),
    )  # fmt: skip
    wait_for_cells(project, first, 2)
    second = started(
        other, sys.executable, "-m", "scripts.infer", "--model", "tiny_b", EPYC_BENCH_LOCK=lock
    )
    deadline = time.monotonic() + 60
    while "waiting" not in output(other):
        assert time.monotonic() < deadline and second.poll() is None, output(other)
        time.sleep(0.05)
    assert f"(pid {first.pid}) is measuring on this machine" in output(
        other
    ) and "project: " in output(other)
    assert other.cells() == {} and partial_cells(other) == []
    first.kill()
    first.wait()
    assert second.wait(timeout=60) == 0 and len(other.cells()) == 4
