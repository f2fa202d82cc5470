"""Two sets of results, however they are named, are paired by question, with what changed."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import pytest

from scripts.lib.base.errors import BenchError
from scripts.lib.compare.observations import (
    Observations,
    from_tree,
    latest,
    of_record,
    resolve,
    results_root,
    run_ids,
)
from scripts.lib.compare.pairing import pair
from scripts.lib.compare.rescoring import Rescorer
from scripts.lib.prompts.loader import load_suites
from scripts.lib.scoring.scorers import ONLY_CHECKS, Scoring
from tests.factories.checkout import ROOT
from tests.factories.commands import call
from tests.factories.results_trees import ENGINE, Tree, cell, cells
from tests.factories.results_trees import checkout as checkout

pytestmark = pytest.mark.slow

SPEEDS = [float(speed) for speed in range(50, 74)]


def compare(checkout: Tree, *arguments: str) -> subprocess.CompletedProcess[str]:
    with chdir(checkout.root.parents[1]):
        return call("scripts.compare", *arguments)


def git(checkout: Tree, *arguments: str) -> str:
    argv = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
    return subprocess.run(
        argv, cwd=checkout.root.parents[1], capture_output=True, text=True, check=True
    ).stdout.strip()


def observed(name: str, records: list) -> Observations:  # type: ignore[type-arg]
    return Observations(name, tuple(of_record(record) for record in records))


# --- what a name means ----------------------------------------------------------------------------


def test_runs_profiles_folders_engines_and_revisions_are_found(
    checkout: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(checkout.root.parents[1])
    old = checkout.run("2026-11-24_100000", cells([10.0, 20.0]))
    git(checkout, "init", "-q")
    git(checkout, "add", "benchmarks/results/cells")
    git(checkout, "commit", "-qm", "first")
    commit = git(checkout, "rev-parse", "HEAD")
    checkout.run(
        "2026-11-25_100000",
        cells([30.0], spec={"engine": ENGINE | {"version": "0.3.37"}}, hardware="other"),
    )
    before = git(checkout, "status", "--porcelain")

    def speeds(name: str) -> list[float]:
        found = resolve(name, Path("benchmarks/results")).items
        return sorted(i.measurement.decode_tokens_per_s for i in found if i.measurement is not None)  # type: ignore[type-var]

    assert (
        speeds("2026-11-24_100000")
        == speeds("box")
        == speeds("HEAD")
        == speeds(f"git:{commit[:9]}")
        == [10.0, 20.0]
    )
    assert (
        speeds("2026-11-25_100000")
        == speeds("hardware:other")
        == speeds("0.3.37")
        == speeds("engine:0.3.37")
        == [30.0]
    )
    assert (
        speeds(str(checkout.root))
        == speeds(f"folder:{checkout.root.parents[1]}")
        == [10.0, 20.0, 30.0]
    )
    assert git(checkout, "status", "--porcelain") == before and len(old) == 2
    for wrong, said in (
        ("2026-11-24_10000", "did you mean '2026-11-24_100000'"),
        ("--output=/tmp/x", "no results found for"),
        ("run:box", "no results found for 'run:box'"),
    ):
        with pytest.raises(BenchError, match=said):
            resolve(wrong, Path("benchmarks/results"))


def test_a_runs_record_is_enough_when_its_cells_are_gone(checkout: Tree) -> None:
    checkout.run("2026-11-24_100000", cells([10.0, None]), with_cells=False)
    first, second = resolve("2026-11-24_100000", checkout.root).items
    assert (
        first.measurement is not None
        and first.measurement.decode_tokens_per_s == 10.0
        and first.spec == {}
    )
    assert first.engine == "embedded" and second.status == "error" and second.measurement is None
    assert run_ids(checkout.root) == ("2026-11-24_100000",)


def test_a_folder_without_results_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="expected a results tree"):
        results_root(tmp_path)


def test_cells_under_way_are_not_read_and_the_latest_counts(checkout: Tree) -> None:
    checkout.run("2026-11-24_100000", cells([10.0], spec={"measurement_epoch": 1}))
    checkout.run("2026-11-24_110000", cells([12.0], spec={"measurement_epoch": 2}))
    partial = checkout.root / "cells/box/m/baseline/.partial-embedded"
    partial.mkdir()
    (partial / "half.json").write_text("{")
    (found,) = latest(from_tree("x", checkout.root).items)
    assert found.run_id == "2026-11-24_110000"


# --- pairing --------------------------------------------------------------------------------------


def test_pairs_are_the_same_questions_and_the_rest_is_counted() -> None:
    before = cells([10.0, 20.0, 30.0, 40.0])
    after = [cell(f"q{n}", speed) for n, speed in ((1, 22.0), (2, 33.0), (9, 99.0))]
    compared = pair(observed("a", before), observed("b", after))
    (row,) = compared.rows
    assert [a.cell.question for a, _ in row.pairing.pairs] == ["q1", "q2"] and compared.alone == (
        2,
        1,
    )
    assert compared.unpaired == ((), ())
    ratio = row.effects["decode_tokens_per_s"]
    assert (
        ratio is not None
        and ratio.estimate.value == pytest.approx(1.1)
        and ratio.estimate.low is None
    )


def test_two_machines_are_compared_and_two_of_each_are_kept_apart() -> None:
    here, there = cells([10.0], hardware="here"), cells([20.0], hardware="there")
    assert str(
        pair(observed("a", here), observed("b", there)).rows[0].key
    ) == "embedded/m/baseline".removeprefix("embedded/")
    both = pair(observed("a", [*here, *there]), observed("b", [*here, *there]))
    assert [str(row.key) for row in both.rows] == ["here/m/baseline", "there/m/baseline"]
    assert pair(observed("a", here), observed("b", [])).pairings == ()


def test_failures_are_no_speeds_and_repeats_are_one_question() -> None:
    before = [*cells([10.0, 20.0]), *cells([12.0, 22.0], repeat=1)]
    after = [*cells([11.0, None]), *cells([13.0, 23.0], repeat=1)]
    (row,) = pair(observed("a", before), observed("b", after)).rows
    assert row.pairing.failures() == (0, 1)
    before_values, after_values = row.pairing.values("decode_tokens_per_s")
    assert before_values == {"one/q0": [10.0, 12.0], "one/q1": [20.0, 22.0]}
    assert after_values == {"one/q0": [11.0, 13.0], "one/q1": [23.0]}


def test_both_sides_are_scored_by_todays_checks(checkout: Tree) -> None:
    scorer = Rescorer(
        load_suites(checkout.root.parents[1] / "benchmarks/prompts/v1"), Scoring(ONLY_CHECKS)
    )
    right, wrong, lost = (
        of_record(cell("q0", 9.0)),
        of_record(cell("q0", 9.0, answer="no")),
        of_record(cell("q0", None)),
    )
    other = of_record(cell("q0", 9.0, text="Another question?"))
    assert [scorer(item) for item in (right, wrong, lost, other)] == [1.0, 0.0, 0.0, None]
    before, after = (
        cells([9.0] * 20),
        [*cells([9.0] * 10), *(cell(f"q{n}", 9.0, answer="no") for n in range(10, 20))],
    )
    (row,) = pair(observed("a", before), observed("b", after), scorer).rows
    assert (
        row.passes == (1.0, 0.5)
        and (quality := row.effects["quality"]) is not None
        and quality.estimate.value == -0.5
    )
    assert quality.estimate.clusters == 20
    assert quality.p_value < 0.01 and row.adjusted["quality"] == quality.p_value


# --- the command ----------------------------------------------------------------------------------


def test_a_regression_is_shown_with_what_changed_and_trips_the_gate(checkout: Tree) -> None:
    before, after = checkout.environment(kernel="6.1"), checkout.environment(kernel="6.2")
    checkout.run("2026-11-24_100000", cells(SPEEDS, environment=before))
    slow = [0.8 * speed for speed in SPEEDS]
    spec = {"sampling": {"temperature": 0.5}, "measurement_epoch": 3}
    checkout.run("2026-11-25_100000", cells(slow, spec=spec, environment=after))
    gates = ["--gate", "decode_tokens_per_s -3%", "--gate", "quality -2pt"]
    names = ("2026-11-24_100000", "2026-11-25_100000")
    # A real process: its exit code is what a script looks at.
    done = subprocess.run(
        [sys.executable, "-m", "scripts.compare", *names, *gates],
        cwd=checkout.root.parents[1],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    for said in (
        "24 cells are in both; 0 only in A, 0 only in B",
        "61.5 -> 49.2",
        "-20.0 % (-20.0 to -20.0), n = 24*",
        "- sampling.temperature: 0.0 -> 0.5 (24 cells)",
        '- system.kernel: "6.1" -> "6.2" (24 cells)',
        "decode_tokens_per_s -3%: m/baseline: TRIPPED",
        "quality -2pt: m/baseline: passed",
    ):
        assert said in done.stdout, said
    assert "measurement_epoch" not in done.stdout and "gates: not calibrated on box" in done.stderr
    back = compare(checkout, *reversed(names), *gates)
    assert back.returncode == 0 and "+25.0 %" in back.stdout
    alone = compare(checkout, *names, "--no-quality", "--format", "csv")
    rows = list(csv.DictReader(alone.stdout.splitlines()))
    assert alone.returncode == 0 and {r["metric"] for r in rows} == {
        "decode_tokens_per_s",
        "prefill_tokens_per_s",
        "ttft_s",
    }
    assert float(rows[0]["effect"]) == pytest.approx(0.8) and rows[0]["n"] == "24"


def test_a_configuration_that_b_lacks_or_failed_is_no_pass(checkout: Tree) -> None:
    fine, slow = (
        cells(SPEEDS),
        cells([0.8 * speed for speed in SPEEDS], spec={"measurement_epoch": 1}),
    )
    other, failed = cells(SPEEDS, mode="lookup_n3"), cells([None] * 24, mode="lookup_n3")
    for day, records in enumerate(([*fine, *other], [*fine, *failed], fine, [*slow, *failed]), 1):
        checkout.run(f"2026-11-0{day}_100000", records)

    def gated(a: int, b: int, *arguments: str) -> subprocess.CompletedProcess[str]:
        gate = ("--no-quality", "--gate", "ttft_s +50%", "--gate", "decode_tokens_per_s -3%")
        return compare(checkout, f"2026-11-0{a}_100000", f"2026-11-0{b}_100000", *gate, *arguments)

    for lacking in (gated(1, 2), gated(1, 3)):
        assert (
            lacking.returncode == 1
            and "decode_tokens_per_s -3%: m/baseline: passed" in lacking.stdout
        )
        said = "m/lookup_n3: cannot be judged: no question was measured on both sides"
        assert said in lacking.stderr and "2 of 4 judgements could not be made" in lacking.stderr
    assert "only in A, so not compared: m/lookup_n3" in gated(1, 3).stdout
    assert gated(1, 3, "--mode", "baseline").returncode == 0
    more = gated(3, 1)
    assert more.returncode == 0 and "only in B, so not compared: m/lookup_n3" in more.stdout
    tripped = gated(1, 4)
    assert tripped.returncode == 3 and "m/lookup_n3: cannot be judged" in tripped.stderr


def test_a_calibration_is_used_where_there_is_one(checkout: Tree) -> None:
    checkout.run("2026-11-24_100000", cells(SPEEDS))
    checkout.run(
        "2026-11-25_100000", cells([0.9 * speed for speed in SPEEDS], spec={"measurement_epoch": 1})
    )
    names, gate = (
        ("2026-11-24_100000", "2026-11-25_100000"),
        ("--no-quality", "--gate", "decode_tokens_per_s -3%"),
    )
    assert compare(checkout, *names, *gate).returncode == 3
    folder = checkout.root / "calibration/box"
    folder.mkdir(parents=True)
    (folder / "gate.json").write_text(
        '{"noise": {"decode_tokens_per_s": {"run_sd": 0.05, "runs": 6}}}'
    )
    calm = compare(checkout, *names, *gate)
    assert (
        calm.returncode == 0
        and calm.stderr == ""
        and "passed: -10.0 % (-25.0 to +7.9), n = 24" in calm.stdout
    )


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (
            ("a", "b"),
            1,
            "no results found for 'a'",
        ),
        (("box", "box", "--gate", "speed -3%"), 1, "--gate 'speed -3%': no metric 'speed'"),
        (
            ("box", "box", "--gate", "quality -2pt", "--no-quality"),
            1,
            "a gate on quality needs scored answers",
        ),
        (
            ("box", "box", "--mode", "lookup_*"),
            1,
            "nothing to compare: no model, mode and question is in both",
        ),
        (
            ("box", "box", "--gate", "decode_tokens_per_s -3%"),
            1,
            "1 of 1 judgements could not be made: too few questions that both sides measured",
        ),
        (("box",), 2, "the following arguments are required: B"),
    ],
)
def test_mistakes_are_one_message(
    checkout: Tree, arguments: tuple[str, ...], code: int, said: str
) -> None:
    checkout.store(cells([10.0, 20.0]))
    done = compare(checkout, *arguments)
    assert done.returncode == code and said in done.stderr and "Traceback" not in done.stderr


def test_foreign_text_is_harmless(checkout: Tree) -> None:
    evil = "=1+1\n</details><script>\x1b[31m|*x*"
    checkout.run("2026-11-24_100000", cells([10.0], spec={"prompt": {"user": "a", "system": ""}}))
    checkout.run("2026-11-25_100000", cells([10.0], spec={"prompt": {"user": evil, "system": "="}}))
    for form in ("table", "markdown", "csv"):
        done = compare(checkout, "2026-11-24_100000", "2026-11-25_100000", "--format", form)
        assert done.returncode == 0 and "\x1b" not in done.stdout, done.stderr
        if form == "markdown":
            assert "<script>" not in done.stdout and "&lt;script&gt;" in done.stdout
