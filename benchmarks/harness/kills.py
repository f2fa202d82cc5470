"""Kill the parts of a small real workflow at random times, and check that nothing is lost.

    python -m benchmarks.harness.kills --kills 100 --minutes 30

A random process gets SIGKILL: scheduler, shard, llama-server or judge. The next start is the rerun,
and is killed, too; every fifth one runs to its end. Checked: cells and verdicts that were complete
before a kill keep their bytes; no process outlives its run; a complete rerun succeeds, has every
cell, and leaves no temporary file.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import psutil
from tqdm import tqdm

from scripts.lib.planning.disk import PARTIAL
from scripts.lib.prompts.loader import load_suites
from tests.factories.judge_server import JudgeServer, honest
from tests.factories.tiny_project import Project, make_project

MARK = "EPYC_KILLS_MARK"
CONFIG = ("engine=server", 'models=["tiny_a"]', "judge={scorers: [claude, checks]}")
CELLS = 8
RESULTS = "benchmarks/results"
# The longest time from the start of a process to its kill; the judge's also counts for others.
LONGEST_S: Mapping[str, float] = {
    "scheduler": 15.0,
    "shard": 3.0,
    "llama-server": 1.5,
    "judge": 2.0,
}
WAIT_S, LINGER_S, WHOLE_EVERY = 180.0, 5.0, 5


def kind_of(process: psutil.Process) -> str:
    """The kind of a process of the run; empty if it is not one that is killed."""
    line = process.cmdline()
    if "scripts.infer" in line:
        return "shard"
    if "scripts.judge" in line:
        return "judge"
    return "llama-server" if "llama-server" in process.name() else ""


def marked(mark: str) -> list[psutil.Process]:
    """The living processes of the run with this mark in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def stored(project: Project) -> dict[str, bytes]:
    """What may never be lost: cells, and the verdicts that were paid for.

    A cell that its shard has not linked to its name yet counts under that name: a restart links
    it.
    """
    below, found = project.folder / RESULTS, {}
    for file in below.glob("cells/*/*/*/*/*.json"):
        folder, name = file.parent, file.name
        if folder.name.startswith(PARTIAL):
            folder, name = folder.parent, name.replace("__", "/", 1)
        found[str(folder.relative_to(below) / name)] = file.read_bytes()
    for file in below.glob("reviews/verdicts/*/??/*.json"):
        found[str(file.relative_to(below))] = file.read_bytes()
    return found


def _left(mark: str) -> list[psutil.Process]:
    """The processes of a run that still live LINGER_S after it, without zombies."""
    end = time.monotonic() + LINGER_S
    while (alive := marked(mark)) and time.monotonic() < end:
        time.sleep(0.1)
    return alive


class Kills:
    """One project, its runs, and the faults found."""

    def __init__(self, project: Project, environment: Mapping[str, str], seed: int):
        self._project, self._environment = project, environment
        self._chance = random.Random(seed)
        self._before: dict[str, bytes] = {}
        self.done: Counter[str] = Counter()
        self.faults: list[str] = []

    def _start(self, mark: str) -> subprocess.Popen[bytes]:
        variables = self._project.environment(**self._environment, **{MARK: mark})
        with (self._project.folder / "out.txt").open("wb") as log:
            return subprocess.Popen(
                ["snakemake", "-j8", "results", "--config", *CONFIG],
                cwd=self._project.folder,
                env=variables,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
            )

    def _victim(self, kind: str, mark: str, run: subprocess.Popen[bytes]) -> psutil.Process | None:
        if kind == "scheduler":
            return psutil.Process(run.pid)
        while run.poll() is None:
            for process in marked(mark):
                try:
                    if kind_of(process) == kind:
                        return process
                except psutil.Error:
                    continue
            time.sleep(0.1)  # without a pause, reading every process would take a whole core
        return None

    def kill(self, mark: str) -> None:
        """Start the run, kill one process of it, and check."""
        kind = self._chance.choice(list(LONGEST_S))
        run = self._start(mark)
        victim = self._victim(kind, mark, run)
        time.sleep(self._chance.random() * LONGEST_S[kind])
        if victim is not None and run.poll() is None and victim.is_running():
            self._before |= stored(self._project)
            victim.kill()
            self.done[kind] += 1
        self._wait(run, f"kill {self.done.total()} ({kind})", mark)

    def whole(self, mark: str) -> None:
        """Run to the end: everything missing must be made. The next kill starts from nothing."""
        name = f"rerun after kill {self.done.total()}"
        code = self._wait(run := self._start(mark), name, mark)
        if code != 0:
            self.faults.append(f"{name}: exit code {run.returncode}: {self._output()}")
        cells = [file for file in stored(self._project) if file.startswith("cells/")]
        if len(cells) != CELLS:
            self.faults.append(f"{name}: {len(cells)} cells of {CELLS}")
        for file in self._project.folder.rglob(".tmp-*"):
            self.faults.append(f"{name}: {file.relative_to(self._project.folder)} is left")
        self._before = {}
        shutil.rmtree(self._project.folder / RESULTS)

    def _wait(self, run: subprocess.Popen[bytes], name: str, mark: str) -> int | None:
        try:
            run.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            self.faults.append(f"{name}: no end within {WAIT_S:g} s: {self._output()}")
            run.kill()
            run.wait()
        for process in _left(mark):
            with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended
                self.faults.append(
                    f"{name}: process {process.pid} is left: {' '.join(process.cmdline())[:200]}"
                )
                process.kill()
        if "Traceback" in (text := self._output()):
            self.faults.append(f"{name}: {text}")
        self._compare(name)
        return run.returncode

    def _compare(self, name: str) -> None:
        now = stored(self._project)
        for file, content in self._before.items():
            if now.get(file) != content:
                self.faults.append(f"{name}: {file} is {'another one' if file in now else 'lost'}")

    def _output(self) -> str:
        return (self._project.folder / "out.txt").read_text(errors="replace")[-3000:]


def run_kills(folder: Path, kills: int, minutes: float, seed: int) -> Kills:
    """Do the kills, fewer if time runs out; the last run is a complete one."""
    project = make_project(folder)
    suites = load_suites(folder / "benchmarks/prompts/v1").values()
    end = time.monotonic() + 60 * minutes
    questions = [question for suite in suites for question in suite.questions]
    with (
        JudgeServer(honest(questions)) as server,
        tqdm(total=kills, desc="kills", unit="kill") as progress,
    ):
        made = Kills(project, server.environment, seed)
        for number in range(1, 10 * kills):
            made.kill(f"{os.getpid()}-{number}")
            progress.update(made.done.total() - progress.n)
            over = made.done.total() >= kills or time.monotonic() > end
            if over or number % WHOLE_EVERY == 0:
                made.whole(f"{os.getpid()}-{number}-whole")
            if over:
                break
    return made


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.harness.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=100, help="default: 100")
    parser.add_argument(
        "--minutes",
        type=float,
        default=60.0,
        help="no new kill after this many minutes (default: 60)",
    )
    parser.add_argument("--seed", type=int, default=1, help="default: 1")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="epyc-kills-") as folder:
        made = run_kills(
            Path(folder) / "project", arguments.kills, arguments.minutes, arguments.seed
        )
    print("\n".join(made.faults))
    shown = ", ".join(f"{count} of {kind}" for kind, count in sorted(made.done.items()))
    print(f"{made.done.total()} kills ({shown}), {len(made.faults)} faults")
    return 1 if made.faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
