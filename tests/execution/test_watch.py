"""`scripts.watch`: the view of a run that another process makes."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.lib.base.layout import RUNS
from scripts.lib.base.stored_json import sealed
from scripts.lib.execution.run_view import run_table, run_view, stored_cell
from tests.factories.commands import call
from tests.factories.runs import START_S, row, run, shard

A, B = shard("a"), shard("b", missing=2, cells=2)
FULL_ROW = {"repeat": 0, "digest": "0"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def stored(*rows: dict[str, object]) -> None:
    below = RUNS / "2026-11-29_120000"
    below.mkdir(parents=True)
    lines = (json.dumps(sealed(made | FULL_ROW)) + "\n" for made in rows)
    (below / "output.jsonl").write_text("".join(lines))


def test_a_run_is_shown_from_its_records(folder: Path) -> None:
    run(A, B).write()
    failed = {"status": "error", "error": "mode was not active", "failure": "guard"}
    stored(row(A, 1, 10), row(A, 2, 20, **failed))
    log = Path("benchmarks/results/logs/infer/h/b/baseline/embedded.log")
    log.parent.mkdir(parents=True)
    log.write_text("")
    os.utime(log, (START_S + 50, START_S + 50))
    shown = call("scripts.watch", "--once")
    lines = shown.stdout.splitlines()
    assert shown.returncode == 0 and lines[0].startswith("run 2026-11-29_120000 on ")
    assert lines[4].split()[:9] == [
        "running",
        "a",
        "baseline",
        "embedded",
        "4/6",
        "51.5",
        "–",
        "1",
        "not",
    ]
    assert lines[5].split()[:2] == ["loading", "b"]
    assert "total: 2/6 cells, 50.0 % failed" in shown.stdout
    assert "failed: h/a/baseline/embedded math/t1_q2: mode was not active" in shown.stdout
    assert "the run has ended" not in shown.stdout, "this process is its process"


def test_watching_ends_with_the_run(folder: Path) -> None:
    replace(run(A), process_start=0.0).write()
    stored(row(A, 1, 10))
    shown = call("scripts.watch")
    assert shown.returncode == 0 and shown.stdout.splitlines()[4].startswith("stopped  a")
    assert "the run has ended; its record: benchmarks/results/runs/2026-11-29_1200" in shown.stdout


def test_without_a_run_and_with_a_damaged_record_it_says_so(folder: Path) -> None:
    none = call("scripts.watch", "--once")
    assert none.returncode == 1 and "no run was started here" in none.stderr
    run(A).write()
    file = Path(".snakemake/run_plan.json")
    file.write_text(file.read_text().replace('"model":"a"', '"model":"c"'))
    damaged = call("scripts.watch", "--once")
    assert damaged.returncode == 1 and "damaged" in damaged.stderr
    assert "Traceback" not in damaged.stderr


def test_of_many_shards_those_that_matter_are_shown_and_the_others_counted() -> None:
    shards = [shard(f"m{n}") for n in range(20)]
    rows = [row(shards[7], n, 10 * n) for n in range(1, 5)] + [row(shards[9], 1, 100)]
    text = run_table(run_view(run(*shards), map(stored_cell, rows), START_S + 120), most_rows=3)
    body = text.splitlines()
    assert body[2].split()[:2] == ["running", "m9"] and "done" not in body[3]
    assert "… and 17 more shards: 16 waiting, 1 done" in text
