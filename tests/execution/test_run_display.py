"""A shard's progress as its own process shows it: on a terminal, and without one."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import sys
import termios
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.lib.execution import run_display
from scripts.lib.execution.run_display import ShardDisplay
from scripts.lib.planning.cell_record import CellRecord
from tests.factories.cells import CELL
from tests.factories.engines import Recorder
from tests.factories.runs import run, shard

# The shard of the factory's cell, and another one of the same run.
SHARD = replace(shard("m", cells=5, missing=5), hardware="h")
OTHER = shard("other")
LOG = Path("logs/m.log")


def cell(number: int, **changes: object) -> CellRecord:
    made = replace(CELL, cell=replace(CELL.cell, question=f"q{number}"))
    return replace(made, **changes)  # type: ignore[arg-type]


FAILED = {"status": "error", "error": "out of memory", "measurement": None}


def drawn(master: int) -> str:
    """All that was written to the terminal."""
    os.set_blocking(master, False)
    parts = []
    with contextlib.suppress(BlockingIOError):
        while part := os.read(master, 100_000):
            parts.append(part)
    return b"".join(parts).decode()


def shown(records: list[CellRecord]) -> Recorder:
    recorder = Recorder()
    with ShardDisplay(recorder, run(SHARD, OTHER), SHARD, [], LOG) as display:
        for record in records:
            display.add(record)
    return recorder


def test_without_a_terminal_a_line_is_printed_at_most_every_30_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter([0.0, 0.0, 10.0, 31.0, 31.0, 40.0])
    monkeypatch.setattr(run_display.time, "monotonic", lambda: next(seconds))
    recorder = shown([cell(1), cell(2), cell(3), cell(4)])
    assert [record.cell.question for record in recorder.records] == ["q1", "q2", "q3", "q4"]
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(" cells")[0] for line in lines] == ["m baseline: 1/5", "m baseline: 3/5"]
    assert "total: 1/9 cells, 0.0 % failed" in lines[0]


def test_a_failure_is_printed_at_once_and_a_repeated_one_is_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown([cell(1, **FAILED), cell(2, **FAILED), cell(3, **FAILED), cell(4)])
    text = capsys.readouterr().err
    assert text.startswith("failed: h/m/baseline/embedded general/q1: out of memory\n  log: logs/")
    assert text.count("  log: ") == 1
    assert text.splitlines()[-1] == "the same error in 2 more cells: out of memory"


def test_on_a_terminal_two_lines_are_drawn_over_and_no_thread_is_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 120))
    before = set(threading.enumerate())
    with os.fdopen(slave, "w", encoding="utf-8") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with ShardDisplay(Recorder(), run(SHARD, OTHER), SHARD, [], LOG) as display:
            display.add(cell(1))
            display.add(cell(2, **FAILED))
            assert set(threading.enumerate()) == before
        terminal.flush()
        text = drawn(master)
    os.close(master)
    assert "m baseline: 2/5 cells, 100.0 t/s, guard: active, 1 failed" in text
    assert "2/9 cells, 50.0 % failed, about " in text
    assert "failed: h/m/baseline/embedded general/q2: out of memory" in text
    last = text.rpartition("left")[2]
    assert re.fullmatch(r"[\x1b\[A\r\n ]+", last), "the two lines are taken away"
