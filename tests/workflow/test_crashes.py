"""No result is lost by a crash, and nothing half-written is ever read."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import psutil

from tests.factories.tiny_project import (
    BASELINE,
    FAULTS,
    SHARD,
    Project,
    engines_of,
    partial_cells,
    started,
    wait_for_cells,
)

INFER = (sys.executable, "-m", "scripts.infer", "--model", "tiny_a")


def test_a_shard_that_dies_keeps_every_finished_cell(project: Project) -> None:
    failed = project.snakemake(SHARD, fault="kill:3")
    assert failed.returncode == 1
    assert len(project.cells()) == 2, failed.stderr
    assert len(partial_cells(project)) == 3, "the third was complete, only its name was missing"
    before = project.cells()
    runs = list((project.folder / "benchmarks/results/runs").iterdir())
    assert "failed; its finished cells are kept" in (runs[0] / "summary.md").read_text()
    project.made(SHARD)
    after = project.cells()
    assert len(after) == 4 and not partial_cells(project)
    assert {name: after[name] for name in before} == before, "finished cells were not run again"
    rows = [
        line
        for run in (project.folder / "benchmarks/results/runs").iterdir()
        for line in _lines(run)
    ]
    assert len(rows) == 3, (
        "two before the crash and one after: the third cell's record was lost with its process"
    )


def _lines(run: Path) -> list[str]:
    return (run / "output.jsonl").read_text().splitlines()


def test_cells_survive_also_where_the_profile_is_overridden(project: Project) -> None:
    """Without keep-incomplete, Snakemake deletes a failed job's outputs: .partial restores them."""
    (project.folder / "profiles/default/config.yaml").write_text(
        "cores: 8\nrerun-triggers: mtime\n"
    )
    project.snakemake(SHARD, fault="exit:3")
    assert len(partial_cells(project)) == 3
    project.made(SHARD)
    assert len(project.cells()) == 4
    assert (
        sum(len(_lines(run)) for run in (project.folder / "benchmarks/results/runs").iterdir()) == 3
    )


def test_a_full_disk_is_one_clear_error_and_loses_nothing(project: Project) -> None:
    failed = project.snakemake(SHARD, fault="full:3")
    output = failed.stdout + failed.stderr
    assert failed.returncode == 1
    assert "No space left on device" in output and "Traceback" not in output
    assert len(project.cells()) == 2
    assert project.run(*INFER).returncode == 0
    assert len(project.cells()) == 4


def test_a_really_full_disk(project: Project) -> None:
    """The results folder on a tmpfs of 32 KB, in a mount namespace of its own."""
    unshare = (
        ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    )
    (project.folder / "benchmarks/results").mkdir(parents=True)
    script = f"mount -t tmpfs -o size=32k tmpfs benchmarks/results && exec snakemake -j8 {SHARD}"
    failed = project.run(*unshare, "sh", "-c", script)
    output = failed.stdout + failed.stderr
    assert failed.returncode == 1, output
    assert "No space left on device" in output and "Traceback" not in output


def test_kill_9_of_the_scheduler_leaves_no_engine_and_only_the_missing_cells_run(
    project: Project,
) -> None:
    scheduler = started(
        project,
        "snakemake",
        "-j8",
        SHARD,
        EPYC_TEST_FAULT="hang:3",
        PYTHONPATH=str(FAULTS),
    )
    wait_for_cells(project, scheduler, 3)
    engines = engines_of(scheduler)
    assert len(engines) == 1
    scheduler.send_signal(signal.SIGKILL)
    scheduler.wait()
    gone, alive = psutil.wait_procs(engines, timeout=5)
    assert gone and not alive, "the engine outlived its scheduler"
    before = project.cells()
    assert len(before) == 2
    project.made(SHARD)
    after = project.cells()
    assert len(after) == 4
    assert {name: after[name] for name in before} == before


def test_a_half_written_cell_is_named_and_never_used(finished: Project) -> None:
    project = finished
    victim = next(name for name in project.cells() if "tiny_a/baseline" in name)
    path = project.folder / "benchmarks/results/cells" / victim
    path.write_text(path.read_text()[:100])
    for review in (project.folder / "benchmarks/results/reviews").glob("*/*/*.csv"):
        review.unlink()
    failed = project.snakemake("tabulate", "--config", 'models=["tiny_a"]', BASELINE)
    output = failed.stdout + failed.stderr
    assert failed.returncode == 1
    assert victim in output and "retry_failed" in output and "Traceback" not in output
    path.unlink()
    assert project.run(*INFER).returncode == 0 and victim in project.cells()


def test_a_second_run_in_the_same_checkout_is_refused_and_changes_nothing(project: Project) -> None:
    first = started(
        project,
        "snakemake",
        "-j8",
        SHARD,
        EPYC_TEST_FAULT="hang:2",
        PYTHONPATH=str(FAULTS),
    )
    wait_for_cells(project, first, 2)
    second = project.snakemake("retry_failed")
    output = second.stdout + second.stderr
    assert second.returncode == 1 and "Traceback" not in output
    assert "retry_failed: " not in output, "nothing is dropped before the checkout is held"
    assert f"another run is going on in this checkout (process {first.pid})" in output
    pruned = project.run("python", "-m", "scripts.cells", "prune", "--yes")
    assert pruned.returncode == 1 and "another run is going on in this checkout" in pruned.stderr
    assert project.snakemake("-n", "results").returncode == 0, "a dry run may look on"
    first.kill()
    first.wait()
    assert project.run(*INFER).returncode == 0
    assert len(project.cells()) == 4
