"""Scoring without a sandbox, on a busy machine, killed, or on bad text.

No answer is scored wrong for that, and the page says why.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import psutil
import pytest
import yaml

from scripts.lib.base.errors import BenchError
from scripts.lib.base.process_lifetime import STARTER_VARIABLE
from scripts.lib.base.safe_files import write_atomic
from scripts.lib.pages.all_pages import pages
from scripts.lib.planning.disk import load_plans, registry_of
from scripts.lib.planning.plan import Plan, seen_from_elsewhere
from scripts.lib.prompts.types import Check, Criterion, Question
from scripts.lib.results.review import Review, plan_review, review_shard
from scripts.lib.results.review_rows import read_review, to_csv
from scripts.lib.scoring import equality, sandbox, scorers
from scripts.lib.scoring.checks import CHECKS
from scripts.lib.scoring.scorers import ONLY_CHECKS, check_libraries, scoring_tools
from scripts.lib.settings.run_config import load_config
from scripts.lib.tables.load import load_parts
from tests.factories.sample_project import make_project, measure

RESULTS = "docs/reference/benchmarks/RESULTS.md"
WHY = "no sandbox: bubblewrap is not installed"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small project with measured cells; one of its questions has a check of code."""
    make_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EPYC_BENCH_SO_FAR", "1")
    file = tmp_path / "benchmarks/prompts/v1/coder.yaml"
    suite = yaml.safe_load(file.read_text())
    check = {"type": "code", "tests": "assert f(1) == 2"}
    suite["prompts"]["q00"]["scoring"] = [{"criterion": "runs", "weight": 100, "checks": [check]}]
    file.write_text(yaml.safe_dump(suite))
    config = yaml.safe_load((tmp_path / "config/config.yaml").read_text())
    (tmp_path / "config/config.yaml").write_text(yaml.safe_dump({**config, "models": ["small"]}))
    return tmp_path


def the_plan() -> Plan:
    (plan,) = load_plans(load_config())
    return seen_from_elsewhere(plan)


def review_of(mode: str) -> Review:
    plan = the_plan()
    return plan_review(plan, next(shard for shard in plan.shards if shard.mode.name == mode))


@contextlib.contextmanager
def no_sandbox() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sandbox, "_sandbox", lambda: ((), WHY))
        yield


def results_page() -> str:
    config = load_config()
    return pages(registry_of(config), load_parts(config))[RESULTS]()


def scores(file: str) -> dict[str, int | None]:
    return {row.question_id: row.score for row in read_review(Path(file)) if row.suite == "coder"}


@pytest.mark.usefixtures("project")
def test_answers_left_unscored_for_want_of_a_sandbox_are_scored_once_there_is_one() -> None:
    with no_sandbox():
        measure()
        poor = review_of("baseline")
        assert scores(poor.file)["q00"] is None
        assert f"{WHY} (100)" in results_page(), "the page says why"
    better = review_of("baseline")
    assert better.file != poor.file and not Path(better.file).exists(), (
        "there is something to be made again"
    )
    write_atomic(Path(better.file), to_csv(review_shard(better)))
    assert scores(better.file)["q00"] == 0
    assert WHY not in results_page()
    with no_sandbox():
        assert review_of("baseline").file == better.file, (
            "without a sandbox the better review is kept"
        )


def test_mathematics_that_takes_too_long_is_undecided_and_not_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(equality, "PROCESSOR_SECONDS", 0.0)
    worker = equality.Worker()
    monkeypatch.setattr(equality, "_WORKER", worker)
    slow = r"\sum_{k=1}^{100} \frac{\sin(k x)^{30}}{k^{7} + \pi}"
    found = CHECKS["math"](rf"\boxed{{{slow}}}", {"value": r"\int_0^1 \sin(x^{3}) dx + x^{30}"})
    assert found.passed is None and "no decision within 0 s of computing" in found.reason
    worker.close()


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_worker_that_the_machine_stops_is_asked_again(
    signal_number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = equality.Worker()
    worker.clock_s = 15.0
    monkeypatch.setattr(equality, "_WORKER", worker)
    equality.equal.cache_clear()
    assert CHECKS["math"](r"\boxed{\frac{1}{2}}", {"value": "0.5"}).passed is True
    assert worker.process is not None
    first = worker.process.pid
    worker.process.send_signal(signal_number)
    assert CHECKS["math"](r"\boxed{\frac{1}{4}}", {"value": "0.25"}).passed is True
    assert worker.process.pid != first
    worker.close()


def test_a_worker_that_always_ends_leaves_the_answer_undecided(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(equality.sys, "executable", "/bin/false")
    worker = equality.Worker()
    monkeypatch.setattr(equality, "_WORKER", worker)
    found = CHECKS["math"](r"\boxed{\frac{3}{8}}", {"value": "0.375"})
    assert found.passed is None and "could not be started" in found.reason


# --- killed ---------------------------------------------------------------------------------------

BUSY = {
    "mathematics": (
        "from scripts.lib.scoring import equality\n"
        "equality.PROCESSOR_SECONDS = 1e9\n"
        "equality.equal(r'\\prod_{k=1}^{40} (x + k)^{9}', r'\\prod_{k=1}^{40} (x + k)^{9} + "
        "\\sin(x)^{99}')\n"
        "while True: equality.equal(str(__import__('random').random()), '1')"
    ),
    "code": (
        "from scripts.lib.scoring.sandbox import *\n"
        "code = 'import os\\nfor _ in range(3): os.fork()\\nwhile True: pass'\n"
        "while True: run_tests(code, CodeTests('assert f()'), 60)"
    ),
}


def descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def wait_until_gone(processes: list[psutil.Process], limit_s: float) -> list[psutil.Process]:
    """Those that are left after so long."""
    _, left = psutil.wait_procs(processes, limit_s)
    return [process for process in left if process.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize("kind", BUSY)
def test_a_killed_scorer_leaves_no_process(kind: str) -> None:
    moments = Random(kind)
    for _ in range(4):
        with subprocess.Popen([sys.executable, "-c", BUSY[kind]]) as scorer:
            deadline = time.monotonic() + 30
            while not descendants(scorer.pid):
                assert time.monotonic() < deadline and scorer.poll() is None
                time.sleep(0.01)
            time.sleep(moments.random())
            # Stopped first, so that it starts nothing between the look and the kill.
            scorer.send_signal(signal.SIGSTOP)
            started = descendants(scorer.pid)
            scorer.kill()
            assert not wait_until_gone(started, 2)


def test_a_workers_computing_ends_without_its_parent() -> None:
    asked = json.dumps(
        [
            r"\int_0^1 \sin(x^{3}) dx + x^{30}",
            r"\sum_{k=1}^{100} \frac{\sin(k x)^{30}}{k^{7} + \pi}",
        ]
    )
    code = (
        "import os, sys\nfrom scripts.lib.scoring import equality\n"
        "equality._reply = lambda *a: [None for _ in iter(int, 1)]\n"
        "equality._serve(os.getppid(), 0.4)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as made:
        assert made.stdin is not None
        made.stdin.write(asked + "\n")
        made.stdin.flush()
        assert made.wait(60) == -signal.SIGXCPU


def test_a_process_whose_starter_is_gone_does_not_begin() -> None:
    code = (
        "from scripts.lib.base.process_lifetime import die_with_starter\n"
        "from scripts.lib.base.errors import run_cli\n"
        "run_cli(die_with_starter)"
    )
    for starter, exit_code in (("", 0), (str(os.getpid()), 0), (str(os.getppid()), 1)):
        environment = {**os.environ, STARTER_VARIABLE: starter}
        made = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert made.returncode == exit_code, made.stderr
        assert "Traceback" not in made.stderr


def test_a_review_is_not_made_with_another_version_than_its_name_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    check = Check("math", {"value": "1"})
    asked = Question("s", "q", 1, "n", "?", scoring=(Criterion("c", 100, (check,)),))
    assert any(
        tool.startswith("math-verify 0.")
        for tool in scoring_tools(ONLY_CHECKS, [asked], sandboxed=True)
    )
    check_libraries(ONLY_CHECKS, [asked])
    monkeypatch.setattr(scorers, "_installed", lambda name: "9.9")
    with pytest.raises(BenchError, match=r"expected version .*, found 9\.9"):
        check_libraries(ONLY_CHECKS, [asked])
    check_libraries((), [asked])
    check_libraries(ONLY_CHECKS, [])
