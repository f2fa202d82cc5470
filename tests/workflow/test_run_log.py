"""What a run and a dry run show instead of Snakemake's messages."""

from __future__ import annotations

import importlib
import io
import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from scripts.lib.base.layout import RUN_PLAN, RUNS
from scripts.lib.execution.run_plan import read_run_plan
from scripts.lib.execution.run_record import RunEnd, RunRecord, summarise
from scripts.lib.settings.run_config import load_config
from scripts.lib.workflow.dry_run import DryRun, other_steps, table
from scripts.lib.workflow.run_log import (
    HIDDEN_EVENTS,
    LAST_LINES,
    TAKEN,
    RunLog,
    attach,
    last_words,
    plan_of_run,
)
from scripts.lib.workflow.targets import infer_rule, make_workflow
from tests.factories.cells import CELL
from tests.factories.runs import run, shard
from tests.factories.tiny_project import PLUGINS, SHARD, Project

ON = {"verbose": False, "printshellcmds": False, "debug_dag": False, "quiet": None}


def record(message: object, event: str | None = None, **fields: Any) -> logging.LogRecord:
    level = logging.ERROR if event == "job_error" else logging.INFO
    made = logging.LogRecord("snakemake", level, "", 0, message, (), None)
    for name, value in {"event": event, **fields}.items():
        setattr(made, name, value)
    return made


def own(made: logging.LogRecord) -> str:
    return str(made.msg)


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(PLUGINS))
    return importlib.import_module("snakemake_logger_plugin_bench")


def handler(plugin: ModuleType, **settings: object) -> Any:
    common = SimpleNamespace(**ON | {"nocolor": True, "stdout": False} | settings)
    made = plugin.LogHandler(common, None)
    made.setFormatter(logging.Formatter("%(message)s"))
    return made


def test_the_events_have_the_names_that_snakemake_gives_them() -> None:
    known = importlib.import_module("snakemake_interface_logger_plugins.common").LogEvent
    assert {*TAKEN, *HIDDEN_EVENTS} < {event.value for event in known}


class Broken:
    def take(self, record: logging.LogRecord, formatted: object) -> None:
        raise ValueError("broken")

    def close(self) -> None:
        raise ValueError("broken")


def test_the_plugin_shows_snakemakes_own_text_until_a_display_is_attached(
    plugin: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    made = handler(plugin)
    made.emit(record("before"))
    taken: list[object] = []
    display = SimpleNamespace(take=lambda r, formatted: taken.append(r.msg), close=lambda: None)
    attach([object(), made], display)
    made.emit(record("after"))
    made.close()
    assert capsys.readouterr().err == "before\n" and taken == ["after"]


def test_a_display_that_fails_hides_nothing_and_stops_nothing(
    plugin: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    made = handler(plugin)
    attach([made], Broken())
    made.emit(record("one"))
    made.emit(record("two"))
    made.close()
    err = capsys.readouterr().err
    assert "one\n" in err and err.endswith("two\n")


@pytest.mark.parametrize("setting", ["verbose", "printshellcmds", "debug_dag", "quiet"])
def test_snakemakes_own_output_is_there_for_the_asking(
    plugin: ModuleType, setting: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = handler(plugin, **{setting: True})
    assert not made.writes_to_stream, "Snakemake then has its own handler"
    attach([made], Broken())
    made.emit(record("text"))
    assert capsys.readouterr().err == ""


def test_a_run_shows_finished_shards_failed_jobs_and_no_chatter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.log").write_text("\n".join(f"line {n}\x1b[2J" for n in range(30)))
    a = shard("a")
    log = RunLog("2026-11-29_120000", {"infer_a": a.name})
    log.begin(run(a))
    for text in (
        "Will exit after…",
        "Building DAG of jobs...",
        "Select jobs to execute...",
        "Complete log(s): x",
    ):
        log.take(record(text), own)
    log.take(record("stats", "run_info", stats={}), own)
    log.take(record("job", "job_info", jobid=3, rule_name="infer_a"), own)
    log.take(record("done", "job_finished", job_id=3), own)
    fields = {"jobid": 4, "rule_name": "render", "log": ["x.log", "none.log"]}
    log.take(record("error", "job_error", **fields), own)
    log.take(record("Will exit after…"), own)
    log.take(record("Removing output files of failed job"), own)
    log.close()
    lines = capsys.readouterr().err.splitlines()
    assert lines.pop(0) == "Will exit after…", "once"
    assert lines[0] == "done: a baseline: 2/6 cells, loading"
    assert lines[1:3] == ["failed: rule render", "  log: x.log"]
    assert lines[3] == "  | line 20�[2J" and lines[3 + LAST_LINES] == "  log: none.log"
    assert lines[4 + LAST_LINES] == "Removing output files of failed job"
    assert lines[5 + LAST_LINES].startswith("1 step done; total: 0/4 cells")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_messages_wait_while_a_shard_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stderr", shown := Terminal())
    a = shard("a")
    log = RunLog("2026-11-29_120000", {"infer_a": a.name})
    log.begin(run(a))
    log.take(record("job", "job_info", jobid=1, rule_name="infer_a"), own)
    log.take(record("Will exit after…"), own)
    assert shown.getvalue() == ""
    log.take(record("done", "job_finished", job_id=1), own)
    log.take(record(None, "progress", done=1, total=9), own)
    assert shown.getvalue() == "Will exit after…\ndone: a baseline: 2/6 cells, loading\n"
    log.take(record("job", "job_info", jobid=2, rule_name="review_a"), own)
    log.take(record("done", "job_finished", job_id=2), own)
    log.take(record(None, "progress", done=2, total=9), own)
    assert "2/9 steps |" in shown.getvalue()


def test_a_shard_that_ctrl_c_ended_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    a = shard("a")
    log = RunLog("run", {"infer_a": a.name})
    RunRecord(tmp_path, "run", {}).add(CELL)
    summarise(RUNS / "run", RunEnd.INTERRUPTED)
    log.take(record("error", "job_error", jobid=1, rule_name="infer_a", log=["x"]), own)
    assert capsys.readouterr().err == (
        "stopped: shard h/a/baseline/embedded; its finished cells are kept\n"
    )


def test_the_end_of_a_log_is_read_and_not_the_whole(tmp_path: Path) -> None:
    log = tmp_path / "long.log"
    log.write_bytes(b"\xff" * 200_000 + b"\nlast\n\n")
    assert last_words(log)[-1] == "last" and last_words(tmp_path / "none") == []


def rows(text: str) -> dict[str, list[str]]:
    """First two words of a row -> the rest of its words."""
    found = (line.split() for line in text.splitlines() if line and not line.startswith("-"))
    return {" ".join(words[:2]): words[2:] for words in found}


def test_a_dry_run_is_a_table_of_shards_that_says_why_they_run(project: Project) -> None:
    with project.inside():
        workflow = make_workflow(load_config())
        rules = [infer_rule(shard) for shard in workflow.shards]
        new = table(workflow, [*rules, "render"])
        one = table(workflow, rules[:1])
        for file in workflow.shards[0].cell_files:
            Path(file).parent.mkdir(parents=True, exist_ok=True)
            Path(file).write_text("{}")
        made = make_workflow(load_config())
        failed = [Path(file) for file in made.shards[0].cell_files[:3]]
        with_failed = table(made, rules, failed)
        nothing = table(made, rules[:1])
        complete = table(made, [], failed)
    assert new.splitlines()[0].split() == ["model", "mode", "missing", "why", "at", "most"]
    assert rows(new)["tiny_a baseline"][:5] == ["4", "of", "4", "4", "new"]
    assert rows(new)["total 16"] and len(new.splitlines()) == 2 + 4 + 1
    assert rows(one)["total 4"] and "lookup_n3" not in one
    assert rows(with_failed)["tiny_a baseline"][:5] == ["3", "of", "4", "3", "failed"]
    assert nothing == ""
    assert rows(complete).keys() == {"model mode", "tiny_a baseline", "total 3"}


def test_a_dry_run_names_the_changed_fields(finished: Project) -> None:
    old = "    description: first\n"
    finished.edit(finished.registry, old, f"{old}    generation_defaults: {{temperature: 0.7}}\n")
    with finished.inside():
        workflow = make_workflow(load_config())
        text = table(workflow, [infer_rule(shard) for shard in workflow.shards])
    assert "4 changed: sampling.temperature" in text
    assert rows(text).keys() >= {"tiny_a baseline", "tiny_a lookup_n3", "total 8"}
    assert "tiny_b" not in text


def test_a_dry_run_prints_its_table_once_and_hides_the_jobs(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    with project.inside():
        workflow = make_workflow(load_config())
        stats: Mapping[str, int] = {SHARD: 1, "review_x": 1, "review_y": 1, "render": 1, "total": 4}
        shown = DryRun(workflow)
        for _ in range(2):
            shown.take(record("Job stats", "run_info", stats=stats), own)
        shown.take(record("Nothing to be done (all…)"), own)
        shown.take(record("job", "job_info", jobid=1, rule_name=SHARD), own)
        shown.take(record("Reasons: …"), own)
    out = capsys.readouterr().out
    assert out.count("tiny_a") == 1 and out.count("dry run") == 1
    assert "then: 2 reviews, render\n" in out and "Nothing to be done" in out
    assert "Reasons" not in out and "\njob\n" not in out


def test_steps_that_are_no_shards_are_named_and_reviews_are_counted() -> None:
    rules = {"infer_a": 1, "results": 1, "results_tiny": 1, "review_a": 2, "judge": 1, "total": 6}
    assert other_steps(rules, frozenset(["infer_a"])) == "2 reviews, judge"


def test_a_runs_plan_has_its_shards_and_leaves_out_cells_that_are_kept(project: Project) -> None:
    with project.inside():
        workflow = make_workflow(load_config())
        first, second = workflow.shards[:2]
        kept = Path(first.folder) / ".partial-embedded"
        kept.mkdir(parents=True)
        (kept / first.cells[1].file_name.replace("/", "__")).write_text("{}")
        rules = {infer_rule(first), "render"}
        plan = plan_of_run(workflow, "2026-11-29_120000", rules, is_local=True)
        plan.write()
        assert read_run_plan(RUN_PLAN) == plan
    (found,) = plan.shards
    assert (found.name, found.cells, found.missing) == (first.name, 4, 3)
    assert second.name not in {shard.name for shard in plan.shards}


@pytest.mark.slow
def test_snakemake_finds_the_plugin_by_the_profile_and_shows_the_table(project: Project) -> None:
    with_plugin = project.snakemake("-n", "results")
    assert with_plugin.returncode == 0, with_plugin.stderr
    assert rows(with_plugin.stdout)["tiny_a baseline"][:3] == ["4", "of", "4"]
    assert "rule infer_" not in with_plugin.stdout
    assert len(with_plugin.stdout.splitlines()) < 15
    asked = project.snakemake("-n", "results", "--verbose")
    assert f"rule {SHARD}:" in asked.stdout
    without = project.snakemake("-n", "results", "--workflow-profile", "none")
    assert without.returncode == 0 and f"rule {SHARD}:" in without.stdout
