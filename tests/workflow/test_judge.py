"""The judge through Snakemake: all answers are judged once and paid once; no key loses nothing."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from scripts.lib.prompts.loader import load_suites
from tests.factories.judge_server import (
    BATCHES,
    CANARY_KEY,
    MESSAGES,
    JudgeServer,
    always_3,
    by_checks,
    honest,
)
from tests.factories.tiny_project import CELLS, NO_TABLES, Project

CLAUDE = ("--config", "judge={scorers: [claude, checks], scope: all}")


@pytest.fixture
def server(finished: Project) -> Iterator[JudgeServer]:
    suites = load_suites(finished.folder / "benchmarks/prompts/v1").values()
    with JudgeServer(honest([q for suite in suites for q in suite.questions])) as made:
        yield made


def judged(
    project: Project, server: JudgeServer, *targets: str
) -> subprocess.CompletedProcess[str]:
    done = project.snakemake(*targets, *CLAUDE, **server.environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def rows(project: Project, model: str = "*") -> list[dict[str, str]]:
    """The rows of the newest review of each shard."""
    found: dict[str, Path] = {}
    reviews = (project.folder / "benchmarks/results/reviews").glob(f"tiny/{model}/*.csv")
    for file in sorted(reviews, key=lambda file: file.stat().st_mtime):
        found[f"{file.parent}/{file.name.split('.')[0]}"] = file
    return [row for file in found.values() for row in csv.DictReader(file.open())]


def batches(project: Project) -> dict[str, frozenset[str]]:
    """Closed batch -> the questions of its answers, canaries and retests left out."""
    files = (project.folder / "benchmarks/results/reviews/verdicts").glob("*/batches/*.json")
    found = {}
    for record in (json.loads(file.read_text()) for file in files):
        asked = (item["label"] for item in record["items"] if item["role"] == "pair")
        found[record["batch"]] = frozenset(asked)
    return found


def answers(project: Project) -> int:
    """Distinct (question, answer) pairs of the project's cells."""
    found = set()
    for cell in map(json.loads, project.cells().values()):
        place, measured = cell["cell"], cell["measurement"]
        found.add(
            (place["suite"], place["question"], measured["answer"], measured["finish_reason"])
        )
    return len(found)


def test_answers_are_judged_once_and_scores_stand_side_by_side(
    finished: Project, server: JudgeServer
) -> None:
    judged(finished, server, "results")
    found = rows(finished)
    assert len(found) == CELLS and {row["scorer"] for row in found} == {"claude"}
    assert all(
        row["claude_score"] == row["score"] != "" and row["checks_score"] != "" for row in found
    )
    assert all(
        row["series"].startswith("claude-claude-sonnet-5-5-") and len(row["verdict"]) == 32
        for row in found
    )
    own = [user for user, count in server.judged.items() if count == 1]
    assert len(own) == server.counts[MESSAGES]
    asked = server.counts[MESSAGES]
    again = judged(finished, server, "results")
    assert "Nothing to be done" in again.stdout + again.stderr and server.counts[MESSAGES] == asked
    instrument = (finished.folder / "benchmarks/results/reviews/instrument.csv").read_text()
    assert "batches_accepted,1" in instrument and "worthless_failed,1.0000" in instrument
    # Speculative answers equal their base's: each question and answer is judged once.
    verdicts = list((finished.folder / "benchmarks/results/reviews/verdicts").glob("*/??/*.json"))
    pairs = [file for file in verdicts if '"role": "pair"' in file.read_text()]
    assert 0 < len(pairs) <= answers(finished) < CELLS


def test_one_edited_criterion_is_one_questions_pairs(
    finished: Project, server: JudgeServer
) -> None:
    judged(finished, server, "judge")
    before = batches(finished)
    finished.edit(
        "benchmarks/prompts/v1/two.yaml", "criterion: says yes", "criterion: agrees with it"
    )
    judged(finished, server, "judge")
    ((_, new),) = batches(finished).items() - before.items()
    # Canaries and retests of a new batch are asked anew; of the answers only those of the edited
    # question.
    assert len(new) == 1
    finished.edit(
        "benchmarks/prompts/v1/two.yaml", "criterion: agrees with it", "criterion: says yes"
    )
    count = server.counts[MESSAGES]
    judged(finished, server, "judge")
    assert server.counts[MESSAGES] == count


def test_without_a_key_everything_else_works_and_a_key_is_taken_up(
    finished: Project, server: JudgeServer
) -> None:
    offline = finished.snakemake("results_tiny_a", *CLAUDE)
    assert offline.returncode == 0, offline.stdout + offline.stderr
    assert "no ANTHROPIC_API_KEY in the environment" in offline.stderr
    found = rows(finished, "tiny_a")
    assert all(row["scorer"] == "claude" and row["score"] == "" for row in found)
    assert {row["score_reason"] for row in found} == {
        "unscored: no ANTHROPIC_API_KEY in the environment"
    }
    assert all(row["checks_score"] != "" for row in found)
    again = finished.snakemake("results_tiny_a", *CLAUDE)
    assert "Nothing to be done" in again.stdout + again.stderr
    judged(finished, server, "results_tiny_a")
    assert all(row["score"] != "" for row in rows(finished, "tiny_a"))


def test_what_is_judged_by_hand_reaches_the_results(finished: Project, server: JudgeServer) -> None:
    finished.snakemake("results_tiny_a", *CLAUDE)
    (finished.folder / "judge.yaml").write_text("judge: {scorers: [claude, checks], scope: all}\n")
    done = finished.call("scripts.judge", "--configfile", "judge.yaml", "run", **server.environment)
    assert done.returncode == 0 and " reviews are out of date" in done.stdout, (
        done.stdout + done.stderr
    )
    asked = server.counts[MESSAGES]
    assert finished.snakemake("results_tiny_a", *CLAUDE).returncode == 0
    assert (
        all(row["score"] != "" for row in rows(finished, "tiny_a"))
        and server.counts[MESSAGES] == asked
    )


def test_a_second_process_does_not_pay_for_the_same_batches(
    finished: Project, server: JudgeServer
) -> None:
    (finished.folder / "judge.yaml").write_text("judge: {scorers: [claude, checks], scope: all}\n")
    argv = [sys.executable, "-m", "scripts.judge", "--configfile", "judge.yaml", "run"]
    # Long enough for the second process to start.
    server.latency_s = 1.5
    first = subprocess.Popen(
        argv, cwd=finished.folder, env=finished.environment(**server.environment)
    )
    server.wait_for(MESSAGES, 1)
    second = finished.call(*argv[2:], **server.environment)
    told = f"process {first.pid} is judging in this series; wait for it to end"
    assert second.returncode == 0 and told in second.stdout, second.stderr
    assert first.wait(60) == 0 and set(server.judged.values()) == {1}


def test_a_calibration_that_was_killed_goes_on(finished: Project, server: JudgeServer) -> None:
    known, suites = (
        Path("benchmarks/prompts/calibration.yaml").resolve(),
        Path("benchmarks/prompts/v1"),
    )
    shutil.copytree(suites, finished.folder / suites, dirs_exist_ok=True)
    server.grader = honest([q for suite in load_suites(suites).values() for q in suite.questions])
    argv = ("scripts.judge", "calibrate", "--scorer", "claude", "--file", str(known))
    server.latency_s = 0.05
    child = subprocess.Popen(
        [sys.executable, "-m", *argv],
        cwd=finished.folder,
        env=finished.environment(**server.environment),
    )
    server.wait_for(MESSAGES, 30)
    child.kill()
    child.wait()
    server.wait_until_idle()
    done = finished.call(*argv, "--verbose", **server.environment)
    assert "calibration_exact" in done.stdout, done.stdout + done.stderr
    # The sixty answers of the set, and the probes.
    assert len(server.judged) == 104 and sum(server.judged.values()) <= 104 + 8


def test_a_dry_run_tells_the_price_and_asks_nobody(finished: Project, server: JudgeServer) -> None:
    dry = finished.snakemake("-n", "results", *CLAUDE, **server.environment)
    assert (
        f"at most {CELLS} answers in 4 reviews, at most $" in dry.stderr
        and "max_usd 5" in dry.stderr
    )
    (finished.folder / "judge.yaml").write_text("judge: {scorers: [claude, checks], scope: all}\n")
    estimate = finished.call(
        "scripts.review", "--estimate", "--configfile", "judge.yaml", **server.environment
    )
    assert estimate.returncode == 0, estimate.stderr
    assert (
        re.search(rf"^all +{answers(finished)} .*\$", estimate.stdout, re.M)
        and "requests include canaries, checked answers and retests" in estimate.stdout
    ), estimate.stdout
    assert (
        "the API counts" in estimate.stdout and server.counts["POST /v1/messages/count_tokens"] > 0
    )
    assert server.counts[MESSAGES] == 0
    free = finished.call("scripts.review", "--estimate")
    assert f"scores {CELLS} stored answers, free of charge" in free.stdout


def test_the_key_is_written_nowhere(finished: Project, server: JudgeServer) -> None:
    """Not in a result, a log, a run's record or the output, however the API fails."""
    server.fault = lambda path, n, body: (
        (500, {"x-should-retry": "false"}, "<html>")
        if n % 4 == 0
        else (200, {}, "{")
        if n % 5 == 0
        else None
    )
    done = finished.snakemake("results", *CLAUDE, **server.environment, ANTHROPIC_LOG="debug")
    server.fault = lambda path, n, body: (401, {}, '{"error": {"message": "invalid key"}}')
    finished.edit("benchmarks/prompts/v1/two.yaml", "criterion: says yes", "criterion: agrees")
    refused = finished.snakemake("results", *CLAUDE, **server.environment)
    assert refused.returncode != 0 and "check the key" in refused.stdout + refused.stderr
    for text in (done.stdout, done.stderr, refused.stdout, refused.stderr):
        assert CANARY_KEY not in text and "Traceback" not in text
    holders = [
        file
        for file in finished.folder.rglob("*")
        if file.is_file() and CANARY_KEY.encode() in file.read_bytes()
    ]
    assert not holders


def test_a_quarantined_batch_is_named_not_used_and_not_asked_again(
    finished: Project, server: JudgeServer
) -> None:
    server.grader = always_3
    judged(finished, server, "tabulate")
    found = rows(finished)
    assert all(row["score"] == "" and "is quarantined" in row["score_reason"] for row in found)
    assert (
        "batches_quarantined,1"
        in (finished.folder / "benchmarks/results/reviews/instrument.csv").read_text()
    )
    asked = server.counts[MESSAGES]
    judged(finished, server, "tabulate")
    assert server.counts[MESSAGES] == asked


@pytest.mark.parametrize("api", ["messages", "batches"])
def test_after_a_kill_the_next_run_goes_on(
    finished: Project, server: JudgeServer, api: str
) -> None:
    server.latency_s = 0.05
    config = (
        "--config",
        "judge={scorers: [claude], scope: all, batch_answers: 6, "
        f"claude: {{api: {api}, poll_s: 0.2, concurrency: 2}}}}",
    )
    environment = finished.environment(**server.environment)
    child = subprocess.Popen(
        ["snakemake", "-j8", "results", *NO_TABLES, *config],
        cwd=finished.folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    server.wait_for(MESSAGES if api == "messages" else BATCHES, 3 if api == "messages" else 1)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    done = finished.snakemake("results", *NO_TABLES, *config, **server.environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(row["score"] != "" for row in rows(finished))
    if api == "batches":
        stored = list((finished.folder / "benchmarks/results/reviews/verdicts").glob("*/??/*.json"))
        assert sum(len(batch.requests) for batch in server.batches.values()) == len(stored)


def test_results_so_far_asks_nobody(finished: Project, server: JudgeServer) -> None:
    done = finished.snakemake("results_so_far", *NO_TABLES, *CLAUDE, **server.environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert server.counts[MESSAGES] == 0
    assert {row["score_reason"] for row in rows(finished)} == {"unscored: not judged yet"}


def test_score_benchmarks_scores_rescores_and_compares(
    finished: Project, server: JudgeServer
) -> None:
    (run,) = (finished.folder / "benchmarks/results/runs").iterdir()
    (finished.folder / "all.yaml").write_text("judge: {scope: all}\n")
    everything = ("--judge", "claude", "--configfile", "all.yaml")
    command = ("scripts.score_benchmarks", "--run", run.name, *everything)
    done = finished.call(*command, **server.environment)
    assert done.returncode == 0 and "4  " in done.stdout, done.stderr
    assert all(row["claude_score"] != "" for row in rows(finished))
    asked = server.counts[MESSAGES]
    assert (
        finished.call(*command, **server.environment).returncode == 0
        and server.counts[MESSAGES] == asked
    )
    twice = finished.call(*command, "--rescore", **server.environment)
    assert twice.returncode == 0, twice.stderr
    assert server.counts[MESSAGES] > asked and "agreement_exact" in twice.stdout
    assert f"{answers(finished)} answers scored by both" in twice.stdout
    series = finished.call("scripts.judge", "series")
    names = [
        line.partition(":")[0] for line in series.stdout.splitlines() if line.startswith("claude-")
    ]
    assert len(names) == 2 and "worthless_failed" in series.stdout
    compared = finished.call("scripts.score_benchmarks", "--compare", names[0], "checks")
    assert compared.returncode == 0 and "against checks" in compared.stdout, compared.stderr
    wrong = finished.call("scripts.score_benchmarks", "--compare", names[0], "chekcs")
    assert wrong.returncode == 1 and "did you mean 'checks'?" in wrong.stderr
    nothing = finished.call("scripts.score_benchmarks", "--run", "2020-01-01_000000")
    assert nothing.returncode == 1 and "no such run" in nothing.stderr


def test_setups_are_compared_in_pairs_and_paid_once(finished: Project, server: JudgeServer) -> None:
    suites = load_suites(finished.folder / "benchmarks/prompts/v1").values()
    server.grader = by_checks([q for suite in suites for q in suite.questions])
    config = "judge: {scorers: [claude, checks], scope: pairs, pairs: [[tiny_a, tiny_b]]}\n"
    (finished.folder / "pairs.yaml").write_text(config)
    wait = finished.call("scripts.judge", "run", "--configfile", "pairs.yaml")
    assert wait.returncode == 0 and "next: set ANTHROPIC_API_KEY" in wait.stdout, wait.stderr
    command = ("scripts.judge", "pairs", "--configfile", "pairs.yaml")
    done = finished.call(*command, **server.environment)
    assert done.returncode == 0 and "tiny_a/baseline" in done.stdout, done.stdout + done.stderr
    asked = server.counts[MESSAGES]
    assert asked and set(server.judged.values()) == {1}
    again = finished.call(*command, **server.environment)
    assert server.counts[MESSAGES] == asked and "judged 0" in again.stdout
    wrong = config.replace("tiny_b", "tiny_c")
    (finished.folder / "wrong.yaml").write_text(wrong)
    refused = finished.call("scripts.judge", "pairs", "--configfile", "wrong.yaml")
    assert refused.returncode == 1 and "no setup 'tiny_c/baseline'" in refused.stderr
    made = finished.snakemake("results", "--configfile", "pairs.yaml", **server.environment)
    assert made.returncode == 0, made.stdout + made.stderr
    assert server.counts[MESSAGES] == asked
    (row,) = csv.DictReader((finished.folder / "benchmarks/results/reviews/pairs.csv").open())
    assert (row["kind"], row["first"]) == ("given", "tiny_a/baseline") and row["usd"]
    page = (finished.folder / "docs/reference/benchmarks/RESULTS.md").read_text()
    assert "### Pairs" in page and "`tiny_b/baseline`" in page


def test_compare_shows_both_reasons_side_by_side(finished: Project, server: JudgeServer) -> None:
    command = ("scripts.score_benchmarks", "--judge", "claude")
    (finished.folder / "all.yaml").write_text("judge: {scope: all}\n")
    finished.call(*command, "--configfile", "all.yaml", **server.environment)
    server.grader = always_3
    (finished.folder / "keep.yaml").write_text("judge: {use_failed_batches: true, scope: all}\n")
    finished.call(*command, "--configfile", "keep.yaml", **server.environment)
    names = sorted(
        folder.name
        for folder in (finished.folder / "benchmarks/results/reviews/verdicts").iterdir()
    )
    compared = finished.call("scripts.score_benchmarks", "--compare", *names)
    assert compared.returncode == 0 and "disagreements, the greatest first" in compared.stdout, (
        compared.stderr
    )
    assert "wrong about" in compared.stdout and "fine:" in compared.stdout


def test_bad_input_is_one_clear_message(project: Project) -> None:
    for edit, said in (
        (
            "judge: {scorers: [cluade]}",
            "judge.scorers: unknown value 'cluade'; did you mean 'claude'?",
        ),
        ("judge: {claude: {model: claude-sonnet-latest}}", "judge.claude.model"),
        (
            "judge: {claude: {max_us: 3}}",
            "judge.claude.max_us: unknown key; did you mean 'max_usd'?",
        ),
        ("judge: {scorers: [local], local: {model: tiny_c}}", "no weights found for 'tiny_c'"),
    ):
        (project.folder / "judge.yaml").write_text(f"{edit}\n")
        assert said in project.refusal("results", file="judge.yaml")


def test_a_killed_scheduler_leaves_no_judge_that_pays(
    finished: Project, server: JudgeServer
) -> None:
    server.latency_s = 0.3
    argv = ["snakemake", "-j8", "results_tiny_a", *CLAUDE]
    with subprocess.Popen(
        argv, cwd=finished.folder, env=finished.environment(**server.environment)
    ) as scheduler:
        server.wait_for(MESSAGES, 1)
        scheduler.send_signal(signal.SIGSTOP)
        started = psutil.Process(scheduler.pid).children(recursive=True)
        assert any("scripts.judge" in process.cmdline() for process in started)
        scheduler.kill()
    _, left = psutil.wait_procs(started, 2)
    assert not [process for process in left if process.status() != psutil.STATUS_ZOMBIE]
    asked = server.counts[MESSAGES]
    time.sleep(1.5)
    assert server.counts[MESSAGES] == asked
    server.latency_s = 0.0
    judged(finished, server, "results_tiny_a")
    assert all(row["score"] != "" for row in rows(finished, "tiny_a"))
