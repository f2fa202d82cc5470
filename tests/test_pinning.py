"""What a profile asks for is what the kernel shows of the engine's threads, or the cells are errors saying what was found."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from scripts.lib.engine_build import server_binary
from scripts.lib.pinning import Thread, compute_threads, huge_pages_mode, violations
from tests.workflow.conftest import FAULTS, Project, project  # noqa: F401 - the fixture
from tests.workflow.test_engines_and_modes import records

ENGINES = ("embedded", "server")
ONE_SHARD = ('models=["tiny_a"]', 'decoding={"modes":["baseline"]}')
TWO, ONE = frozenset({0, 1}), frozenset({0})


def thread(tid: int, ran_ns: int | None, cpus: frozenset[int] = TWO, nice: int = 0) -> Thread:
    return Thread(tid, cpus, nice, ran_ns)


def test_threads_that_only_serve_are_no_compute_threads() -> None:
    before = {1: thread(1, 5_000), 2: thread(2, 7_000)}
    after = {1: thread(1, 105_000), 2: thread(2, 8_000), 3: thread(3, 90_000)}
    assert [t.tid for t in compute_threads(before, after)] == [1, 3]
    untold = {1: thread(1, None), 2: thread(2, None)}
    assert len(compute_threads({}, untold)) == 2


def test_each_violation_names_both_values() -> None:
    from scripts.lib.hardware import Hardware

    wanted = Hardware("x", 2, 2, "0", "membind=0", strict=True, nice=3)
    found = tuple(violations(wanted, [thread(1, 1), thread(2, 1, ONE)], (thread(1, 1),), "default"))
    assert found == (
        "2 threads asked for, 1 computed",
        "a thread may run on CPUs 0-1, outside of 0",
        "nice 3 asked for, a thread has 0",
        "strict: 2 threads on CPUs of their own asked for, found 0-1",
        "memory policy membind=0 asked for, found default",
    )
    fine = (thread(1, 1, ONE, 3), thread(2, 1, frozenset({1}), 3))
    good = Hardware("x", 2, 2, "0-1", "membind=0", strict=True, nice=3)
    assert tuple(violations(good, fine, fine, "bind:0")) == ()


def profile(project: Project, text: str) -> None:
    (project.folder / "config/hardware/pinned.yaml").write_text(text)


def errors(project: Project, *config: str, **extra: str) -> set[str]:
    done = project.snakemake("results", "--config", "hardware=pinned", *ONE_SHARD, *config, **extra)
    assert done.returncode == 0, done.stdout + done.stderr
    return {str(cell["error"]) for cell in records(project)}


@pytest.mark.parametrize("engine", ENGINES)
def test_every_pin_is_applied_and_read_back(project: Project, engine: str) -> None:
    profile(
        project,
        "threads: 2\ncpus: 0-1\nstrict: true\nnice: 2\nnuma: interleave=all\nhuge_pages: never\n"
        "openmp: {OMP_WAIT_POLICY: active}\n",
    )
    assert errors(project, f"engine={engine}", OMP_THREAD_LIMIT="1") == {"None"}, "the shell's OpenMP is not inherited"
    for cell in records(project):
        pinning = cell["effective"]["pinning"]  # type: ignore[index]
        assert pinning["threads"] == 2 and pinning["cpus"] == "0-1" and pinning["own_cpu_each"] is True
        assert pinning["nice"] == [2] and pinning["memory_policy"].startswith("interleave")
        assert cell["spec"]["hardware"]["openmp"] == {"OMP_WAIT_POLICY": "active"}  # type: ignore[index]


@pytest.mark.parametrize("engine", ENGINES)
def test_fewer_threads_than_asked_for_is_an_error_cell(project: Project, engine: str) -> None:
    profile(project, "threads: 2\nopenmp: {OMP_THREAD_LIMIT: 1}\n")
    assert errors(project, f"engine={engine}") == {
        "hardware pinned was not active: 2 threads asked for, 1 computed"
    }


def test_a_server_that_leaves_the_cpu_set_is_an_error_cell(project: Project) -> None:
    """A wrapper that gives the server both CPUs again, where the profile has one."""
    profile(project, "threads: 1\ncpus: 1\n")
    wrapper = project.folder / "wide-server"
    wrapper.write_text(f'#!/bin/sh\nexec taskset --cpu-list 0-1 {server_binary()} "$@"\n')
    wrapper.chmod(wrapper.stat().st_mode | stat.S_IXUSR)
    found = errors(project, "engine=server", f"server_binary={wrapper}")
    assert found == {"hardware pinned was not active: a thread may run on CPUs 0-1, outside of 1"}


def test_an_embedded_thread_outside_of_the_cpu_set_is_an_error_cell(project: Project) -> None:
    """OpenMP places are stronger than the process's CPUs: a profile that contradicts itself."""
    profile(project, "threads: 1\ncpus: 1\nopenmp: {OMP_PROC_BIND: true, OMP_PLACES: '{0}'}\n")
    (found,) = errors(project)
    assert found.startswith("hardware pinned was not active: a thread may run on CPUs 0") or "None" not in found


def test_huge_pages_that_the_machine_does_not_have_are_refused(project: Project) -> None:
    wanted = "madvise" if huge_pages_mode() != "madvise" else "always"
    profile(project, f"threads: 1\nhuge_pages: {wanted}\n")
    done = project.snakemake("results", "--config", "hardware=pinned", *ONE_SHARD)
    output = done.stdout + done.stderr
    assert done.returncode == 1 and project.cells() == {} and "Traceback" not in output
    assert f"hardware pinned: huge_pages {wanted}: this machine's are" in output and "as root: echo" in output


@pytest.mark.skipif(os.geteuid() != 0, reason="gives up root")
def test_a_priority_that_is_not_allowed_is_one_clear_error(project: Project) -> None:
    profile(project, "threads: 1\nnice: -3\n")
    argv = ["setpriv", "--bounding-set", "-sys_nice", "--inh-caps", "-sys_nice", "snakemake", "-j8", "results"]
    done = project.run(*argv, "--config", "hardware=pinned", *ONE_SHARD)
    output = done.stdout + done.stderr
    assert done.returncode == 1 and "hardware pinned: nice -3: not allowed from nice 0" in output
    assert "Traceback" not in output
