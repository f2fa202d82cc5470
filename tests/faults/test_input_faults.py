"""Damaged and misshapen input files: each is told in one message with its place, leaves itself out, and stops nobody else."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from scripts.lib.config import load_config
from scripts.lib.errors import BenchError, InputErrors
from scripts.lib.plan import Plan, make_plan
from scripts.lib.plan_files import load_planner, planners
from scripts.lib.prompt_loader import load_suites, read_suites
from scripts.lib.role_table import role_table
from tests.sample_project import make_project

SHIPPED = Path("benchmarks/prompts/v1").absolute()
PROMPTS = Path("benchmarks/prompts/v1")
# What damages a suite of the sample project, and what is said of it.
DAMAGE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "not UTF-8": (lambda data: data + b"\xff", "not UTF-8"),
    "UTF-16": (lambda data: data.decode().encode("utf-16"), "it looks like UTF-16"),
    "cut off": (lambda data: data[: len(data) // 2] + b'"', "not YAML"),
    "empty": (lambda data: b"", "expected at least one question"),
    "another type": (lambda data: b"prompts: [1]\n", "expected a mapping of questions, found [1]"),
    "two mistakes": (lambda data: data.replace(b"tier: 1", b"tier: 9", 1).replace(b"tier: 2", b"teir: 2", 1), "teir"),
    "NUL": (lambda data: data + b'description: "a\\0b"\n', "NUL"),
}


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("inputs") / "project")


@pytest.fixture
def project(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the sample project (suites general, coder, math), as the working directory."""
    folder = tmp_path / "project"
    shutil.copytree(template, folder)
    monkeypatch.chdir(folder)
    role_table.cache_clear()
    yield folder
    role_table.cache_clear()


def planned(**changes: object) -> tuple[Plan, tuple[str, ...]]:
    """The plan of the working directory's first engine, and its faults."""
    planner = load_planner(replace(load_config(), **changes))
    return make_plan(planners(planner)[0]), tuple(map(str, planner.faults))


def suites_of(plan: Plan) -> set[str]:
    return {cell.id.suite for shard in plan.shards for cell in shard.cells}


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments], capture_output=True, encoding="utf-8", check=False, timeout=120
    )


# --- one bad suite, one lost image ---


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_bad_suite_leaves_itself_out_by_name_and_the_others_are_planned(project: Path, damage: str) -> None:
    file = PROMPTS / "math.yaml"
    change, said = DAMAGE[damage]
    before, _ = planned()
    file.write_bytes(change(file.read_bytes()))
    after, faults = planned()
    assert suites_of(before) == {"general", "coder", "math"} and suites_of(after) == {"general", "coder"}
    assert all(fault.startswith("benchmarks/prompts/v1/math.yaml") for fault in faults)
    assert any(said in fault for fault in faults)
    # Cells of the other suites are the very same.
    kept = {cell.digest for shard in before.shards for cell in shard.cells if cell.id.suite != "math"}
    assert {cell.digest for shard in after.shards for cell in shard.cells} == kept


def test_every_problem_of_every_bad_suite_is_named(project: Path) -> None:
    for name in ("math", "coder"):
        file = PROMPTS / f"{name}.yaml"
        text = file.read_text().replace("tier: 1", "tier: 9", 1).replace("weight: 100", "wieght: 100", 1)
        file.write_text(text)
    plan, faults = planned()
    assert suites_of(plan) == {"general"} and len(faults) == 6
    with pytest.raises(InputErrors) as caught:
        load_suites(PROMPTS)
    assert tuple(map(str, caught.value.problems)) == faults


def test_a_bad_suite_named_outright_is_a_fault_and_stops_nothing(project: Path) -> None:
    (PROMPTS / "math.yaml").write_text("prompts: {")
    plan, faults = planned(suites=("math", "coder"), questions=("math/q01", "coder/*"))
    assert suites_of(plan) == {"coder"} and len(faults) == 1 and "math.yaml" in faults[0]
    with pytest.raises(InputErrors, match="'mth' names nothing; did you mean 'math'"):
        planned(suites=("mth",))


def test_a_bad_suite_that_is_not_asked_for_is_no_fault_of_this_run(project: Path) -> None:
    (PROMPTS / "math.yaml").write_text("prompts: {")
    assert planned(suites=("coder",)) == (planned(suites=("*", "!math", "!general"))[0], ())


def test_two_suites_of_one_name_are_both_left_out(project: Path) -> None:
    shutil.copy(PROMPTS / "math.yaml", PROMPTS / "zzz.yaml")
    (PROMPTS / "zzz.yaml").write_text("suite: math\n" + (PROMPTS / "zzz.yaml").read_text())
    plan, faults = planned()
    assert suites_of(plan) == {"general", "coder"}
    assert faults == ("benchmarks/prompts/v1/zzz.yaml: suite: 'math' is the name of another file's suite",)


def test_all_suites_bad_is_an_empty_plan_with_every_fault(project: Path) -> None:
    for file in PROMPTS.glob("*.yaml"):
        file.write_text("prompts: 5")
    plan, faults = planned()
    assert plan.shards == () and len(faults) == 3


def test_a_lost_image_leaves_its_question_out(project: Path) -> None:
    shutil.copy(SHIPPED / "vl.yaml", PROMPTS / "vl.yaml")
    shutil.copytree(SHIPPED / "images", PROMPTS / "images")
    whole = read_suites(PROMPTS).sound["vl"].questions
    lost = PROMPTS / "images/clock.png"
    lost.unlink()
    asked = [question for question in whole if str(lost) in question.images]
    planner = load_planner(load_config())
    assert [f"{lost}: {q.name_in_full}: no such image" for q in asked] == list(map(str, planner.faults))
    assert {q.id for q in planner.suites["vl"].questions} == {q.id for q in whole if q not in asked}
    # Asked for by name, it is a fault all the same, and nothing else stops.
    plan, faults = planned(questions=(asked[0].name_in_full, "coder/*"))
    assert suites_of(plan) == {"coder"} and len(faults) == len(asked)
    (PROMPTS / "images/clock.png").mkdir()
    assert load_planner(load_config()).faults == planner.faults


def test_the_plan_and_lint_tell_all_of_it_and_end_with_1(project: Path) -> None:
    (PROMPTS / "math.yaml").write_text("prompts: {q1: {teir: 1}}\n")
    shown = run("scripts.plan", "--format", "json")
    assert shown.returncode == 1 and {row["model"] for row in json.loads(shown.stdout) if row["cells"]}
    told = [line for line in shown.stderr.splitlines() if line.startswith("left out: ")]
    assert len(told) == 2 and "math.yaml:1: prompts.q1.teir: unknown key; did you mean 'tier'?" in told[0]
    lint = run("scripts.prompts", "lint")
    assert lint.returncode == 1 and "did you mean 'tier'" in lint.stderr and "prompt: is missing" in lint.stderr


def test_lint_tells_of_every_lost_image(project: Path) -> None:
    shutil.copytree(SHIPPED, PROMPTS, dirs_exist_ok=True)
    for image in (PROMPTS / "images").glob("*.png"):
        image.unlink()
    lint = run("scripts.prompts", "lint", "--no-code")
    assert lint.returncode == 1 and lint.stderr.count(": no image benchmarks/") >= 10
    freeze = run("scripts.prompts", "freeze")
    assert freeze.returncode == 1 and "no image benchmarks/" in freeze.stderr and "Traceback" not in freeze.stderr


def test_what_an_orphan_is_cannot_be_told_while_a_suite_cannot_be_read(project: Path) -> None:
    Path("benchmarks/results/cells/sample-96c").mkdir(parents=True)
    (PROMPTS / "math.yaml").write_text("prompts: {")
    told = run("scripts.cells", "orphans")
    assert told.returncode == 1 and told.stderr.startswith("error: orphans cannot be told") and "math" in told.stderr
