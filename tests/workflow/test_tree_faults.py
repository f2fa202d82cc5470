"""The results tree and its processes, through Snakemake: damage, links, clocks, signals, kills."""

from __future__ import annotations

import os
import platform
import signal
import time
from pathlib import Path

import psutil

from benchmarks.harness.kills import run_kills
from scripts.lib.base.safe_files import TEMPORARY
from tests.factories.tiny_project import (
    BASELINE,
    CELLS,
    FAULTS,
    NO_TABLES,
    SHARD,
    Project,
    engines_of,
    make_project,
    output,
    started,
    wait_for_cells,
)

MODES = "benchmarks/results/tables/modes.csv"


def reviews(project: Project) -> list[Path]:
    return list((project.folder / "benchmarks/results/reviews").glob("*/*/*.csv"))


def test_a_merge_conflict_in_a_table_stops_no_command_and_is_mended_by_the_next_run(
    finished: Project,
) -> None:
    table = finished.folder / MODES
    whole = table.read_text()
    table.write_text(f"<<<<<<< HEAD\n{whole}=======\n{whole}>>>>>>> theirs\n")
    for arguments in (("-n", "results_tiny_a"), ("preview",)):
        done = finished.snakemake(*arguments)
        assert done.returncode == 0, done.stderr
        assert f"{MODES}: damaged (" in done.stderr and "Traceback" not in done.stderr
    finished.results()
    assert table.read_text() == whole


def test_prune_leaves_what_is_behind_a_link(finished: Project, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in ("q9.000000000000.json", "notes.json"):
        (outside / name).write_text("precious")
    shard = next((finished.folder / "benchmarks/results/cells").glob("*/tiny_a/baseline"))
    (shard / "three").symlink_to(outside)
    orphan = shard / "one/q9.000000000000.json"
    orphan.symlink_to(outside / "notes.json")
    done = finished.snakemake("prune")
    assert done.returncode == 0, done.stderr
    assert not orphan.is_symlink() and (shard / "three").is_symlink()
    assert [file.read_text() for file in outside.iterdir()] == ["precious", "precious"]
    listed = finished.call("scripts.cells", "orphans")
    assert (
        f"left alone: {(shard / 'three').relative_to(finished.folder)}: is a link" in listed.stderr
    )
    assert len(finished.cells()) == CELLS + 2, "what is behind a link is read"


def test_cells_from_the_future_fail_no_job(finished: Project) -> None:
    tomorrow = time.time() + 86_400
    for file in (finished.folder / "benchmarks/results").rglob("*.*"):
        os.utime(file, (tomorrow, tomorrow))
    for review in reviews(finished):
        review.unlink()
    finished.results()
    assert len(reviews(finished)) == 4
    assert "Nothing to be done" in finished.snakemake("results").stderr


def test_a_folder_at_a_cells_name_is_told_in_one_message(finished: Project) -> None:
    project = finished
    name = next(name for name in project.cells() if "tiny_a/baseline" in name)
    cell = project.folder / "benchmarks/results/cells" / name
    cell.unlink()
    cell.mkdir()
    for review in reviews(project):
        review.unlink()
    done = project.snakemake("tabulate", "--config", 'models=["tiny_a"]', BASELINE)
    told = done.stdout + done.stderr
    assert done.returncode == 1 and "Traceback" not in told
    assert f"{cell.relative_to(project.folder)}: damaged: Is a directory" in told
    refused = project.snakemake("retry_failed", "--config", 'models=["tiny_a"]', BASELINE)
    assert refused.returncode == 1 and "expected a file, found a folder" in refused.stderr
    cell.rmdir()
    project.made(SHARD)


def test_sigterm_to_the_group_ends_a_run_whenever_it_comes(finished: Project) -> None:
    """Eight jobs start and end here; Snakemake once waited for its own lock at such a signal."""
    for delay_s in (0.0, 0.35, 0.7):
        for review in reviews(finished):
            review.unlink()
        process = started(finished, "snakemake", "-j8", "results", "--printshellcmds")
        deadline = time.monotonic() + 90
        while "rule review_" not in output(finished):
            assert time.monotonic() < deadline and process.poll() is None, output(finished)
            time.sleep(0.02)
        time.sleep(delay_s)
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=60)
        assert "Traceback" not in output(finished)
    finished.made("results", *NO_TABLES)


def test_three_ctrl_c_end_at_once_without_a_traceback_and_keep_what_is_stored(
    project: Project,
) -> None:
    process = started(
        project, "snakemake", "-j8", SHARD,
        EPYC_TEST_FAULT="hang:3", PYTHONPATH=str(FAULTS),
    )  # fmt: skip
    wait_for_cells(project, process, 3)
    engines = engines_of(process)
    for _ in range(3):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.1)
    assert process.wait(timeout=10) in (1, -signal.SIGINT)
    assert not psutil.wait_procs(engines, timeout=5)[1], "an engine outlived the run"
    assert "Traceback" not in output(project)
    before = project.cells()
    assert len(before) == 2
    project.made(SHARD)
    after = project.cells()
    assert len(after) == 4 and {name: after[name] for name in before} == before


def test_the_next_run_sweeps_what_a_killed_one_left(finished: Project) -> None:
    gone = f"{TEMPORARY}{platform.node()}-{2**22 + 1}-abc"
    left = [
        finished.folder / folder / gone
        for folder in ("benchmarks/results/cells", "docs/reference", "orchestration")
    ]
    for file in left:
        file.write_text("half")
    assert finished.snakemake("-n", "results").returncode == 0
    assert all(file.exists() for file in left), "a dry run deletes nothing"
    finished.results()
    assert not any(file.exists() for file in left)


def test_a_checkout_at_an_odd_path_works(tmp_path: Path) -> None:
    project = make_project(tmp_path / "a $HOME b it's" / 'say "so"' / "project")
    project.results(
        "--config", 'models=["tiny_a"]', 'suites=["one"]', 'decoding={"modes":["baseline"]}'
    )
    assert len(project.cells()) == 2


def test_braces_in_the_checkouts_path_are_told(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    odd = Project(tmp_path / "a{b}c")
    project.folder.rename(odd.folder)
    done = odd.snakemake("-n", "results")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"error: {odd.folder}: Snakemake reads braces in a path as wildcards" in done.stderr


def test_kills_at_random_instants_lose_nothing_and_leave_no_process(tmp_path: Path) -> None:
    made = run_kills(tmp_path / "project", kills=2, minutes=3, seed=4)
    assert made.faults == [] and made.done.total() > 0
