"""Where a run is, from its plan and its rows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.lib.base.stored_json import Damaged
from scripts.lib.execution.run_plan import read_run_plan
from scripts.lib.execution.run_record import OUTPUT, RowReader
from scripts.lib.execution.run_view import (
    WORDS_SHOWN,
    Phase,
    failure_text,
    run_view,
    shard_text,
    stored_cell,
    total_text,
)
from tests.factories.runs import START_S, row, run, shard

A, B, C = shard("a"), shard("b"), shard("c", missing=2)


def at(plan, rows, seconds: float, loading: tuple[str, ...] = ()):  # type: ignore[no-untyped-def]
    return run_view(plan, map(stored_cell, rows), START_S + seconds, frozenset(loading))


def test_before_the_first_cell_the_rest_is_at_most_what_was_predicted() -> None:
    view = at(run(A, C), [], 3, (A.name,))
    assert [found.phase for found in view.shards] == [Phase.LOADING, Phase.WAITING]
    assert (view.cells, view.done, view.rest_s) == (6, 0, 10 + 80 + 10 + 40)
    assert total_text(view) == "total: 0/6 cells, 0 % failed, 3 s elapsed, at most 2 min left"
    assert shard_text(view.shards[0]) == "a baseline: 2/6 cells, loading"


def test_the_rest_is_scaled_by_how_long_the_stored_cells_took() -> None:
    """Two cells took 10 s each instead of 20: so do the others, in the other shards too."""
    view = at(run(A, C), [row(A, 1, 10), row(A, 2, 20)], 31)
    first, second = view.shards
    assert (first.phase, first.done, first.rest_s) == (Phase.RUNNING, 2, 20)
    assert second.rest_s == 25
    assert view.rest_s == 45 and view.is_measured
    assert first.elapsed_s == 31 - 5, "with the load before the first cell"
    assert shard_text(first) == (
        "a baseline: 4/6 cells, 51.5 t/s, guard: active, 26 s elapsed, about 20 s left"
    )


def test_cells_of_less_than_the_clocks_accuracy_scale_nothing() -> None:
    view = at(run(A, C), [row(A, 1, 10, took_s=1)], 12)
    assert view.shards[0].rest_s == 60 and not view.is_measured
    assert "at most 60 s left" in shard_text(view.shards[0])
    longer = at(run(A, C), [row(A, 1, 10, 4), row(C, 1, 20, 8)], 29)
    assert longer.is_measured and longer.shards[1].rest_s == 20 * 12 / 40


def test_failures_are_counted_and_a_guard_is_told_from_other_errors() -> None:
    failed = {"status": "error", "decode_tokens_per_s": None}
    rows = [
        row(A, 1, 10, error="mode x was not active", failure="guard", **failed),
        row(A, 2, 20, error="crashed", failure="engine", **failed),
        row(A, 3, 30),
    ]
    view = at(run(A), rows, 41)
    (found,) = view.shards
    assert (found.failed, found.not_active, found.guard) == (2, 1, "1 not active")
    assert "3/4 cells, 66.7 % failed" in total_text(view)
    only_failed = at(run(A), rows[1:2], 41).shards[0]
    assert only_failed.guard == "", "no answer proved the mode"
    assert only_failed.decode_tokens_per_s is None


def test_a_shard_that_ended_before_its_last_cell_has_stopped() -> None:
    rows = [row(A, 1, 10), row(B, 1, 100), row(B, 2, 110), row(B, 3, 120), row(B, 4, 130)]
    view = at(run(A, B, C), rows, 141)
    assert [found.phase for found in view.shards] == [Phase.STOPPED, Phase.DONE, Phase.WAITING]
    assert view.rest_s == view.shards[2].rest_s, "nothing more comes of the first one"
    assert view.shards[0].elapsed_s == 15, "its time ended with its last cell"
    on_cluster = at(run(A, B, C, is_local=False), rows, 141)
    assert on_cluster.shards[0].phase is Phase.RUNNING, "there, shards run side by side"


def test_rows_of_older_versions_have_no_end() -> None:
    rows = [{key: value for key, value in row(A, 1, 10).items() if key != "stored_utc"}]
    view = at(run(A), rows, 31)
    assert view.shards[0].done == 1 and view.rest_s == 60


def test_a_rows_form_is_checked() -> None:
    for change in ({"engine": "embedded"}, {"started_utc": "yesterday"}, {"load_s": "x"}):
        with pytest.raises(Damaged):
            stored_cell(row(A, 1, 10) | change)


def test_a_failure_shows_the_engines_words_and_its_log_and_cannot_control_the_terminal() -> None:
    cell = stored_cell(row(A, 1, 10, status="error", error="first\nsecond \x1b[2J" + "x" * 5000))
    shown = failure_text(cell, Path("logs/x.log"))
    assert shown.startswith("failed: h/a/baseline/embedded math/t1_q1: first\nsecond ")
    assert "\x1b" not in shown and shown.endswith("…\n  log: logs/x.log")
    assert len(shown) < WORDS_SHOWN + 100


def test_a_plan_is_read_back_and_a_changed_one_is_refused(tmp_path: Path) -> None:
    file, plan = tmp_path / "plan.json", run(A, C)
    plan.write(file)
    assert read_run_plan(file) == plan and plan.has_ended() is False
    file.write_text(file.read_text().replace('"cells":6', '"cells":7'))
    with pytest.raises(Damaged, match="sha256"):
        read_run_plan(file)
    with pytest.raises(FileNotFoundError):
        read_run_plan(tmp_path / "none.json")


def test_whether_a_run_goes_on_is_known_on_its_own_machine_only() -> None:
    plan = run(A)
    assert replace(plan, process_start=plan.process_start - 100).has_ended(), "another process"
    assert replace(plan, process=2**22 + 1).has_ended()
    assert replace(plan, machine="elsewhere").has_ended() is None


def test_rows_of_a_run_that_goes_on_are_read_once_and_only_when_they_are_whole(
    tmp_path: Path,
) -> None:
    from scripts.lib.execution.run_record import RunRecord
    from tests.factories.cells import CELL

    record = RunRecord(tmp_path, "run", {})
    reader = RowReader(record.folder)
    assert reader.new().rows == ()
    record.add(CELL)
    (first,) = reader.new().rows
    assert stored_cell(first).stored_s is not None and reader.new().rows == ()
    output = record.folder / OUTPUT
    whole = output.read_text()
    with output.open("a") as stream:
        stream.write(whole[:50])
    assert reader.new().rows == ()
    with output.open("a") as stream:
        stream.write(whole[50:] + json.dumps({"model": "m"}) + "\n")
    found = reader.new()
    assert len(found.rows) == 1 and found.damaged[0].place == "line 3"
