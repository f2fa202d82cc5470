"""The kernel shows the pinning that a profile asks for, or the cells are errors."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts.lib.llama_build.build import server_binary
from scripts.lib.machine.pinning import (
    Thread,
    compute_threads,
    huge_pages_mode,
    ran_enough,
    violations,
)
from scripts.lib.machine.profiles import Hardware
from tests.factories.tiny_models import write_model
from tests.factories.tiny_project import Project, records

ENGINES = ("embedded", "server")
TWO, ONE = frozenset({0, 1}), frozenset({0})


def thread(tid: int, ran_ns: int | None, cpus: frozenset[int] = TWO, nice: int = 0) -> Thread:
    return Thread(tid, cpus, nice, ran_ns)


def test_threads_that_only_serve_are_no_compute_threads() -> None:
    before = {1: thread(1, 5_000_000), 2: thread(2, 7_000_000)}
    after = {1: thread(1, 105_000_000), 2: thread(2, 8_000_000), 3: thread(3, 90_000_000)}
    assert [t.tid for t in compute_threads(before, after)] == [1, 3]
    untold = {1: thread(1, None), 2: thread(2, None)}
    assert len(compute_threads({}, untold)) == 2 and ran_enough({}, untold)
    assert ran_enough(before, after) and not ran_enough(before, before), (
        "100 ms of the busiest thread"
    )


def test_each_violation_names_both_values() -> None:
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
    calm = Hardware("x", 1, 1, None, None, huge_pages="never")
    assert tuple(violations(calm, (), (thread(1, 1),), None, True)) == (
        "huge_pages never asked for, the process may have them",
    )
    good = Hardware("x", 2, 2, "0-1", "membind=0", strict=True, nice=3)
    assert tuple(violations(good, fine, fine, "bind:0")) == ()


def profile(project: Project, text: str) -> None:
    (project.folder / "config/hardware/pinned.yaml").write_text(text)


def infer(
    project: Project,
    *options: str,
    before: tuple[str, ...] = (),
    binary: Path | None = None,
    fault: str = "",
    **extra: str,
) -> subprocess.CompletedProcess[str]:
    """Run one shard as Snakemake's job does, which sets OMP_NUM_THREADS to the rule's threads.

    Without that numpy's BLAS starts a second thread, which runs for a moment.
    """
    extra = {"OMP_NUM_THREADS": "1", **extra}
    wanted = {"hardware": "pinned"} | ({"server_binary": str(binary)} if binary else {})
    (project.folder / "mine.yaml").write_text(json.dumps(wanted))
    argv = (*before, sys.executable, "-m", "scripts.infer", "--model", "tiny_a", *options)
    return project.run(*argv, "--configfile", "mine.yaml", fault=fault, **extra)


def errors(project: Project, engine: str, **how: Any) -> set[str]:
    done = infer(project, "--engine", engine, **how)
    assert done.returncode == 0, done.stdout + done.stderr
    return {str(cell["error"]) for cell in records(project)}


@pytest.mark.serial  # its threads have a CPU each, and wait for each other without sleeping
@pytest.mark.parametrize("engine", ENGINES)
def test_every_pin_is_applied_and_read_back(project: Project, engine: str) -> None:
    profile(
        project,
        "threads: 2\ncpus: 0-1\nstrict: true\nnice: 2\nnuma: interleave=all\nhuge_pages: never\n"
        "openmp: {OMP_WAIT_POLICY: active}\n",
    )
    assert errors(project, engine, OMP_THREAD_LIMIT="1") == {"None"}, (
        "the shell's OpenMP is not inherited"
    )
    for cell in records(project):
        pinning = cell["effective"]["pinning"]  # type: ignore[index]
        assert (
            pinning["threads"] == 2 and pinning["cpus"] == "0-1" and pinning["own_cpu_each"] is True
        )
        assert pinning["nice"] == [2] and pinning["memory_policy"].startswith("interleave")
        nodes = cell["effective"]["memory_nodes"]  # type: ignore[index]
        assert nodes["other_memory"]["mib"] > 0 and sum(
            nodes["weights_files"]["shares"].values()
        ) == pytest.approx(1)
        assert cell["spec"]["hardware"]["openmp"] == {"OMP_WAIT_POLICY": "active"}  # type: ignore[index]


@pytest.mark.parametrize("engine", ENGINES)
def test_fewer_threads_than_asked_for_is_an_error_cell(project: Project, engine: str) -> None:
    profile(project, "threads: 2\nopenmp: {OMP_THREAD_LIMIT: 1}\n")
    assert errors(project, engine) == {
        "hardware pinned was not active: 2 threads asked for, 1 computed"
    }


def test_a_server_that_leaves_the_cpu_set_is_an_error_cell(project: Project) -> None:
    """A wrapper that gives the server both CPUs again, where the profile has one."""
    profile(project, "threads: 1\ncpus: 1\n")
    wrapper = project.folder / "wide-server"
    wrapper.write_text(f'#!/bin/sh\nexec taskset --cpu-list 0-1 {server_binary()} "$@"\n')
    wrapper.chmod(wrapper.stat().st_mode | stat.S_IXUSR)
    found = errors(project, "server", binary=wrapper)
    assert found == {"hardware pinned was not active: a thread may run on CPUs 0-1, outside of 1"}


def test_a_server_that_is_started_again_is_read_back_again(project: Project) -> None:
    """It crashes after two cells, and its second start leaves the CPU set: it stores errors."""
    profile(project, "threads: 1\ncpus: 1\n")
    wrapper, mark = project.folder / "later-wide-server", project.folder / "started"
    wrapper.write_text(
        "#!/bin/sh\ncpus=1\n"
        f'if [ "$1" = --model ]; then [ -e {mark} ] && cpus=0-1; touch {mark}; fi\n'
        f'exec taskset --cpu-list $cpus {server_binary()} "$@"\n'
    )
    wrapper.chmod(wrapper.stat().st_mode | stat.S_IXUSR)
    errors(project, "server", binary=wrapper, fault="crash:2")
    found = sorted(str(cell["error"]) for cell in records(project))
    assert (
        found
        == ["None"] * 2
        + ["hardware pinned was not active: a thread may run on CPUs 0-1, outside of 1"] * 2
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_the_shells_llama_variables_are_not_inherited(project: Project, engine: str) -> None:
    """Each would lock the server, cut every answer, or slow decoding by a third."""
    profile(project, "threads: 1\n")
    found = errors(
        project, engine,
        LLAMA_API_KEY="secret", LLAMA_ARG_N_PREDICT="1", LLAMA_GRAPH_REUSE_DISABLE="1",
    )  # fmt: skip
    logs = list((project.folder / "benchmarks/results/logs/infer").rglob("*.log"))
    text = "".join(log.read_text(errors="replace") for log in logs)
    assert found == {"None"} and "llama_context" in text and "graph reuse disabled" not in text


_MOVED = """
import os
from pathlib import Path
from scripts.lib.machine.profiles import Hardware
from scripts.lib.machine.pinning import pin
class Shard: hardware = Hardware("moved", 1, 1, "1", None)
pin(Shard.hardware)  # before numpy, which starts threads
from tests.factories.engines import settings, BASELINE
from scripts.lib.engines.factory import EngineSettings, make_engine
from scripts.lib.executor import guard_pins, read_threads
engine = make_engine("embedded", EngineSettings(Path("unused"), Path(r"{folder}") / "log", 60))
engine.load(settings(Path(r"{folder}"), "dense", BASELINE, hardware=Shard.hardware))
before = read_threads(engine.pid())
engine.warm_up()
print(guard_pins(Shard, engine, before)["cpus"])
os.sched_setaffinity(0, {{0}})
guard_pins(Shard, engine, before)
"""


def test_an_embedded_thread_that_was_moved_is_found(tmp_path: Path) -> None:
    """Somebody's `taskset -p` on the running process: the kernel shows it."""
    write_model(tmp_path / "dense.gguf")
    done = subprocess.run(
        [sys.executable, "-c", _MOVED.format(folder=tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "1\n", done.stderr
    assert "hardware moved was not active: a thread may run on CPUs 0, outside of 1" in done.stderr


def test_huge_pages_that_the_machine_does_not_have_are_refused(project: Project) -> None:
    wanted = "madvise" if huge_pages_mode() != "madvise" else "always"
    profile(project, f"threads: 1\nhuge_pages: {wanted}\n")
    done = infer(project)
    output = done.stdout + done.stderr
    assert done.returncode == 1 and project.cells() == {} and "Traceback" not in output
    assert (
        f"hardware pinned: huge_pages {wanted}: on this machine they are" in output
        and "as root: echo" in output
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="gives up root")
def test_a_priority_that_is_not_allowed_is_one_clear_error(project: Project) -> None:
    profile(project, "threads: 1\nnice: -3\n")
    without = ("setpriv", "--bounding-set", "-sys_nice", "--inh-caps", "-sys_nice")
    done = infer(project, before=without)
    output = done.stdout + done.stderr
    assert done.returncode == 1 and "hardware pinned: nice -3: not allowed from nice 0" in output
    assert "Traceback" not in output
