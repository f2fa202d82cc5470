"""envs/engine.lock names another engine than the built one: nothing is measured or recorded."""

from __future__ import annotations

import sys

import pytest

from tests.factories.tiny_engine import lock_text
from tests.factories.tiny_project import SHARD, Project

REFUSED = "envs/engine.lock has 9.9.9 (sha256 dddddddddddd); run on this machine: make engine"


def with_another_lock(project: Project) -> Project:
    (project.folder / "envs/engine.lock").write_text(lock_text("9.9.9", "d" * 64))
    return project


INFER = (sys.executable, "-m", "scripts.infer", "--model", "tiny_a")


@pytest.mark.parametrize(
    "argv",
    [("snakemake", "-j8", SHARD), (*INFER, "--engine", "server")],
    ids=["embedded", "server, by hand"],
)
def test_no_cell_is_measured_with_another_engine_than_the_locks(
    project: Project, argv: tuple[str, ...]
) -> None:
    done = with_another_lock(project).run(*argv)
    said = done.stdout + done.stderr
    assert done.returncode == 1 and REFUSED in said and "Traceback" not in said
    assert not project.cells() and not list(
        project.folder.glob("benchmarks/results/environments/*")
    )


def test_the_plan_needs_no_build_and_names_the_locks_engine(project: Project) -> None:
    before, after = (dict(p.pending()) for p in (project, with_another_lock(project)))
    assert before == after and before
    done = project.snakemake("-n", "results")
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_was_measured_stays_and_is_not_taken_for_the_other_engines(finished: Project) -> None:
    cells = finished.cells()
    done = with_another_lock(finished).run(*INFER)
    assert done.returncode == 1 and REFUSED in done.stdout + done.stderr
    assert finished.cells() == cells


def test_a_local_judge_of_ours_is_not_started_with_another_engine(finished: Project) -> None:
    local = "{model: tiny_a, context_tokens: 1024, max_tokens: 256, deadline_s: 20}"
    judge = f"judge={{scorers: [local], scope: all, local: {local}}}"
    done = with_another_lock(finished).snakemake("judge", "--config", judge)
    assert REFUSED in done.stdout + done.stderr
    assert not (finished.folder / "benchmarks/results/logs/judge/server.log").exists()
