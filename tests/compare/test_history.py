"""Trends over runs: a change is marked at its run, with what else changed; noise is not marked."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
from contextlib import chdir
from dataclasses import replace

import numpy as np
import pytest

from scripts.lib.compare.gates import Noise, parse_gate
from scripts.lib.compare.observations import Observation, from_run, from_tree, of_record
from scripts.lib.compare.pairing import Key
from scripts.lib.compare.trend_picture import picture
from scripts.lib.compare.trend_report import (
    change_lines,
    every_run,
    overview,
    sparkline,
    trends_csv,
)
from scripts.lib.compare.trends import Mark, Point, gather, trends
from scripts.lib.planning.cell_record import CellRecord
from tests.factories.checkout import ROOT
from tests.factories.commands import call
from tests.factories.results_trees import ENGINE, Tree, cell, cells
from tests.factories.results_trees import checkout as checkout

pytestmark = pytest.mark.slow

SPEED = parse_gate("decode_tokens_per_s -3%")
BASE = [float(speed) for speed in range(50, 74)]


def run(number: int, records: list[CellRecord]) -> tuple[str, list[Observation]]:
    name = f"2026-11-{number:02}_100000"
    return name, [of_record(replace(record, run_id=name)) for record in records]


def points(*runs: tuple[str, list[Observation]], noise: Noise | None = None) -> list[Point]:
    return list(trends(dict(runs), SPEED, {SPEED.metric: noise} if noise else {}, {}))


def scaled(share: float, rng: np.random.Generator | None = None) -> list[float]:
    return [
        share * speed * float(np.exp(rng.normal(0, 0.02)) if rng is not None else 1.0)
        for speed in BASE
    ]


def test_a_regression_is_marked_at_the_run_that_brought_it_and_not_after_it() -> None:
    rng = np.random.default_rng(5)
    shares = (1.0, 1.0, 1.0, 0.85, 0.85, 0.85, 1.0)
    found = points(*(run(n, cells(scaled(share, rng))) for n, share in enumerate(shares, 1)))
    assert [p.mark for p in found] == [
        Mark.FIRST, Mark.STEADY, Mark.STEADY, Mark.REGRESSION, Mark.STEADY, Mark.STEADY,
        Mark.IMPROVEMENT,
    ]  # fmt: skip
    assert found[3].effect is not None and found[3].effect.value == pytest.approx(0.85, abs=0.02)
    assert [p.run_id[8:10] for p in found] == [f"0{n}" for n in range(1, 8)]


def test_noise_marks_nothing_over_many_runs() -> None:
    """Sixty runs of one setup with run-to-run noise: with a calibration, marks are rare."""
    rng = np.random.default_rng(6)
    runs = [run(n, cells(scaled(float(np.exp(rng.normal(0, 0.02))), rng))) for n in range(1, 61)]
    marks = [p.mark for p in points(*runs, noise=Noise(0.02, 6))]
    bare = [p.mark for p in points(*runs)]
    wrong = (Mark.REGRESSION, Mark.IMPROVEMENT)
    assert sum(m in wrong for m in marks) <= 1 < sum(m in wrong for m in bare)


def test_a_slow_creep_is_found_against_the_runs_since_the_last_change() -> None:
    found = points(*(run(n, cells(scaled(0.985**n))) for n in range(8)))
    assert any(p.mark is Mark.REGRESSION for p in found)


def test_a_mark_lists_what_changed_in_the_run() -> None:
    newer = {"engine": ENGINE | {"version": "0.3.37"}, "measurement_epoch": 1}
    found = points(run(1, cells(BASE)), run(2, cells(scaled(0.8), spec=newer)))
    assert found[1].changed == (('engine.version: "0.3.36" -> "0.3.37"', 24),)
    lines = change_lines(found, SPEED, markdown=False)
    by, where = (
        "decode_tokens_per_s -20.0 % (-20.0 to -20.0), n = 24",
        "box/embedded/m/baseline in run 2026-11-02_100000",
    )
    assert lines[0] == f"- REGRESSION: {where}: {by}"
    assert lines[1] == '  - engine.version: "0.3.36" -> "0.3.37" (24 cells)'
    unchanged = points(
        run(1, cells(BASE)), run(2, cells(scaled(0.8), spec={"measurement_epoch": 1}))
    )
    assert (
        change_lines(unchanged, SPEED, markdown=False)[1] == "  - no change in spec or environment"
    )
    assert change_lines(unchanged[:1], SPEED, markdown=False) == ["- none"]


def test_environments_are_compared_where_their_records_are_there() -> None:
    runs = dict(
        [
            run(1, cells(BASE)),
            run(2, cells(BASE, environment="env2", spec={"measurement_epoch": 1})),
        ]
    )
    known = {"env1": {"cpu": {"boost": "1"}}, "env2": {"cpu": {"boost": "0"}}}
    assert trends(runs, SPEED, {}, known)[1].changed == (('cpu.boost: "1" -> "0"', 24),)
    assert trends(runs, SPEED, {}, {})[1].changed == (
        ("environment env1 -> env2 (a record is missing)", 24),
    )


def test_configurations_and_new_questions_are_apart() -> None:
    other = [cell(f"q{n}", 9.0) for n in range(30, 40)]
    found = points(
        run(1, cells(BASE)),
        run(2, cells(BASE, mode="lookup_n3")),
        run(3, other),
        run(4, cells(BASE[:3])),
    )
    marks = {(p.key.mode, p.run_id[8:10]): p.mark for p in found}
    assert marks == {
        ("baseline", "01"): Mark.FIRST, ("lookup_n3", "02"): Mark.FIRST,
        ("baseline", "03"): Mark.FIRST,
        ("baseline", "04"): Mark.UNKNOWN,
    }  # fmt: skip


def test_cells_whose_run_left_no_record_are_runs_too(checkout: Tree) -> None:
    checkout.run("2026-11-24_100000", cells([10.0]))
    lost = cells([20.0], hardware="other")
    checkout.store([replace(record, run_id="2026-11-20_100000") for record in lost])
    runs = gather([from_run("2026-11-24_100000", checkout.root)], from_tree("tree", checkout.root))
    assert {name: len(items) for name, items in runs.items()} == {
        "2026-11-20_100000": 1,
        "2026-11-24_100000": 1,
    }


def test_lines_of_a_sparkline() -> None:
    assert (
        sparkline([1.0, 2.0, 3.0]) == "▁▅█"
        and sparkline([2.0, 2.0]) == "▅▅"
        and sparkline([5.0]) == "▅"
    )


def test_foreign_text_is_harmless() -> None:
    evil = "=1|<script>\x1b[31m$x$"
    found = points(run(1, cells(BASE)), run(2, cells(scaled(0.5), spec={"note": evil})))
    found = [replace(p, key=Key("h", "e", evil, "m")) for p in found]
    for markdown in (False, True):
        shown = "\n".join(
            [
                overview(found, SPEED, markdown),
                every_run(found, SPEED, markdown),
                *change_lines(found, SPEED, markdown),
            ]
        )
        assert "\x1b" not in shown
    rows = list(csv.DictReader(io.StringIO(trends_csv(found, SPEED))))
    assert rows[0]["model"].startswith("'=") and rows[1]["mark"] == "REGRESSION"
    drawn = picture(found, SPEED)
    assert drawn == picture(found, SPEED) and "<script>" not in drawn and "\x1b" not in drawn


def history(checkout: Tree, *arguments: str) -> subprocess.CompletedProcess[str]:
    with chdir(checkout.root.parents[1]):
        return call("scripts.history", *arguments)


def test_the_command_shows_tables_csv_and_a_figure(checkout: Tree) -> None:
    checkout.run("2026-11-24_100000", cells(BASE))
    checkout.run(
        "2026-11-25_100000",
        cells(scaled(0.9), spec={"measurement_epoch": 1, "sampling": {"temperature": 1.0}}),
    )
    shown = subprocess.run(
        [sys.executable, "-m", "scripts.history"],
        cwd=checkout.root.parents[1],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    assert "61.5 -> 55.4" in shown.stdout and "█▁" in shown.stdout
    where = "box/embedded/m/baseline in run 2026-11-25_100000"
    assert f"- REGRESSION: {where}: decode_tokens_per_s -10.0 %" in shown.stdout
    assert "  - sampling.temperature: 0.0 -> 1.0 (24 cells)" in shown.stdout
    rows = list(
        csv.DictReader(
            history(checkout, "--format", "csv", "--metric", "ttft_s").stdout.splitlines()
        )
    )
    assert [r["mark"] for r in rows] == ["first", "REGRESSION"] and float(
        rows[1]["effect"]
    ) == pytest.approx(1 / 0.9)
    every = history(
        checkout, "--all", "--format", "markdown", "--threshold", "15", "--figure", "out/h.svg"
    )
    assert "against the runs before" in every.stdout and "- none" in every.stdout
    assert (checkout.root.parents[1] / "out/h.svg").read_text().count("<svg") == 1
    quality = history(checkout, "--metric", "quality")
    assert "100 % -> 100 %" in quality.stdout and "- none" in quality.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("--metric", "decode_tokens"),
            "--metric: no metric 'decode_tokens'; did you mean 'decode_tokens_per_s'",
        ),
        (("--threshold", "-1"), "--threshold: expected 0 or more and less than 100, found -1"),
        (("--figure", "h.pdf"), "--figure: expected a name that ends in .svg"),
        (("--model", "x*"), "no run measured decode_tokens_per_s of the setups asked for"),
    ],
)
def test_mistakes_are_one_message(checkout: Tree, arguments: tuple[str, ...], said: str) -> None:
    checkout.run("2026-11-24_100000", cells([10.0]))
    done = history(checkout, *arguments)
    assert done.returncode == 1 and said in done.stderr and "Traceback" not in done.stderr
