"""Canonical JSON, digests, cells that are read back whole or refused, and the record of a run."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.lib.base.layout import RUNS
from scripts.lib.base.safe_files import link_into_place, write_atomic
from scripts.lib.base.stored_json import Damaged, canonical_json, digest, sealed
from scripts.lib.execution.run_record import (
    RunEnd,
    RunRecord,
    RunRows,
    output_line,
    read_rows,
    summarise,
    summarise_failed,
)
from scripts.lib.planning.cell_record import (
    CellRecord,
    Failure,
    parse_cell,
    read_cell,
)
from tests.factories.cells import CELL
from tests.factories.hostile import HOSTILE, MARKER
from tests.factories.markdown_reader import read_markdown
from tests.factories.results_trees import cell, cells, tree

RUN = "2026-11-24_100000"


def test_canonical_json_is_one_text_per_value() -> None:
    assert canonical_json({"b": [1, 2.5], "a": "ü"}) == '{"a":"ü","b":[1,2.5]}'
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest({"a": 1}) != digest({"a": 1.5})
    assert len(digest({})) == 12


def test_nan_has_no_digest() -> None:
    with pytest.raises(ValueError):
        canonical_json({"x": float("nan")})


def test_a_cell_is_read_back_as_it_was() -> None:
    assert parse_cell(CELL.to_json(), "cell") == CELL
    failed = replace(CELL, status="error", error="out of memory", measurement=None)
    for failure in Failure:
        stored = replace(failed, failure=failure)
        assert parse_cell(stored.to_json(), "cell") == stored


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        ("mode lookup_n3 was not active: nothing was drafted in the warm-up", Failure.GUARD),
        ("out of memory", Failure.ENGINE),
        (None, Failure.ENGINE),
    ],
)
def test_a_failed_cell_from_before_its_kind_was_stored_is_read_by_its_error(
    error: str | None, failure: Failure
) -> None:
    old = replace(CELL, status="error", error=error, measurement=None)
    assert '"failure"' not in old.to_json() + CELL.to_json()
    assert parse_cell(old.to_json(), "cell") == replace(old, failure=failure)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda raw: raw | {"schema_version": 99}, "schema_version: expected 1, found 99"),
        (lambda raw: raw | {"status": "maybe"}, "status: expected one of ok, error, timeout"),
        (lambda raw: raw | {"spec": {"protocol": 2}}, "does not have the digest"),
        (lambda raw: {k: v for k, v in raw.items() if k != "load_s"}, "not a cell record"),
        (lambda raw: raw | {"measurement": {"answer": "x"}}, "not a cell record"),
        (lambda raw: raw | {"status": "error", "failure": "bad luck"}, "not a cell record"),
    ],
)
def test_a_cell_that_is_none_is_refused_by_name_though_its_seal_is_right(damage, message) -> None:  # type: ignore[no-untyped-def]
    text = json.dumps(sealed(damage(json.loads(CELL.to_json()))))
    with pytest.raises(Damaged, match=message) as caught:
        parse_cell(text, "cells/x.json")
    assert str(caught.value).startswith("cells/x.json")


def test_half_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cell.json"
    path.write_text(CELL.to_json()[:200])
    with pytest.raises(Damaged, match="expected JSON"):
        read_cell(path)


def test_write_atomic_leaves_the_old_file_when_writing_fails(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "a" / "cell.json"
    write_atomic(path, "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in path.parent.iterdir()] == ["cell.json"]


def test_linking_never_replaces(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a", "first")
    write_atomic(tmp_path / "b", "second")
    link_into_place(tmp_path / "a", tmp_path / "sub" / "t")
    link_into_place(tmp_path / "b", tmp_path / "sub" / "t")
    assert (tmp_path / "sub" / "t").read_text() == "first"


# --- the record of a run ---


def hostile_run(folder: Path) -> list[CellRecord]:
    """A run whose answers are hostile, and then one failure in each hostile text's words."""
    answered = [cell(f"a{n}", 10.0, answer=text) for n, text in enumerate(HOSTILE.values())]
    failed = [cell(f"f{n}", None, error=text) for n, text in enumerate(HOSTILE.values())]
    return tree(folder).run(RUN, [*answered, *failed], with_cells=False)


def test_hostile_answers_and_errors_are_read_back_as_they_were(tmp_path: Path) -> None:
    stored = hostile_run(tmp_path)
    assert read_rows(tmp_path / RUNS / RUN) == RunRows(
        tuple(output_line(record) for record in stored), ()
    )
    assert read_rows(tmp_path / RUNS / "another") == RunRows((), ())


def test_a_line_cut_off_by_a_crash_is_left_out_and_any_other_is_named(tmp_path: Path) -> None:
    first, second = tree(tmp_path).run(RUN, cells([10.0, 20.0]), with_cells=False)
    file = tmp_path / RUNS / RUN / "output.jsonl"
    whole = file.read_bytes()
    # Cut within the two bytes of a letter, as a kill -9 may do.
    file.write_bytes(whole + '{"response": "ü'.encode()[:-1])
    assert read_rows(file.parent) == RunRows((output_line(first), output_line(second)), ())
    RunRecord(tmp_path, RUN, {}).add(second)
    assert read_rows(file.parent).rows == (
        output_line(first),
        output_line(second),
        output_line(second),
    )
    file.write_bytes(b'{"half\n' + whole.replace(b'"status": "ok"', b'"status": "OK"', 1))
    found = read_rows(file.parent)
    assert found.rows == (output_line(second),)
    assert [(p.file, p.place) for p in found.damaged] == [
        (str(file), "line 1"),
        (str(file), "line 2"),
    ]
    assert "expected JSON" in found.damaged[0].message and "sha256" in found.damaged[1].message
    summarise(file.parent, RunEnd.FINISHED)
    assert "## Damaged lines" in (file.parent / "summary.md").read_text()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (RunEnd.INTERRUPTED, "Outcome: interrupted; its finished cells are kept."),
        (RunEnd.FINISHED, "Outcome: failed; its finished cells are kept."),
        (None, "Outcome: failed; its finished cells are kept."),
    ],
)
def test_a_run_is_interrupted_where_its_last_shard_was(
    before: RunEnd | None, after: str, tmp_path: Path
) -> None:
    RunRecord(tmp_path, RUN, {}).add(CELL)
    if before is not None:
        summarise(tmp_path / RUNS / RUN, before)
    summarise_failed(tmp_path / RUNS / RUN)
    assert after in (tmp_path / RUNS / RUN / "summary.md").read_text()


def test_a_runs_summary_shows_where_the_memory_lay(tmp_path: Path) -> None:
    pages = {"mib": 8144, "shares": {"0": 0.5, "1": 0.5}}
    lying = {"weights_files": pages, "other_memory": {"mib": 90, "shares": {"1": 1.0}}}
    RunRecord(tmp_path, RUN, {}).add(replace(CELL, effective={"memory_nodes": lying}))
    summarise(tmp_path / RUNS / RUN, RunEnd.FINISHED)
    words = "files 0: 50 % 1: 50 %, other 1: 100 %"
    assert read_rows(tmp_path / RUNS / RUN).rows[0]["memory_nodes"] == words
    assert f"| {words} |" in (tmp_path / RUNS / RUN / "summary.md").read_text()


def test_a_runs_summary_holds_hostile_errors(tmp_path: Path) -> None:
    hostile_run(tmp_path)
    summarise(tmp_path / RUNS / RUN, RunEnd.FINISHED)
    made = (tmp_path / RUNS / RUN / "summary.md").read_text(encoding="utf-8")
    page = read_markdown(made)
    assert (
        page.headings == 2
        and page.tables == [(1, 5)]
        and page.html == []
        and page.links == []
        and page.emphasis == 0
    )
    assert (
        MARKER in made
        and made.replace("\n", "").isprintable()
        and made.count("\n- ") == len(HOSTILE)
    )


def test_a_runs_record_loads_no_statistics() -> None:
    """Every shard's process and every dry run imports it."""
    heavy = "print(*{'numpy', 'scipy', 'statsmodels'} & set(sys.modules))"
    heavy = f"import sys, scripts.lib.execution.run_record; {heavy}"
    done = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
