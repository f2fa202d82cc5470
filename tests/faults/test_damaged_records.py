"""Stored records that were changed: each is named, counts as missing, and enters no table."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.lib.base.safe_files import write_atomic
from scripts.lib.base.stored_json import SEAL, Damaged, sealed
from scripts.lib.planning.cell_record import parse_cell, read_cell
from scripts.lib.planning.disk import LOCK_FILE, load_planner, load_plans
from scripts.lib.planning.plan import Plan, make_plan, seen_from_elsewhere
from scripts.lib.results.review import Review, plan_review, review_shard
from scripts.lib.results.review_check import StoredCells, check_review
from scripts.lib.results.review_rows import to_csv
from scripts.lib.results.states import State, cell_states
from scripts.lib.settings.run_config import load_config
from scripts.lib.tables.load import load_part
from scripts.lib.tables.tidy import tidy_csv
from scripts.lib.weights.facts import WeightsFacts, WeightsLock
from scripts.lib.workflow.damage import damaged_reviews
from tests.factories.sample_project import make_project, measure

DEEP = "[" * 100_000


def resealed(text: str, **changes: object) -> str:
    """The cell with other figures and a seal that fits them."""
    raw = json.loads(text)
    raw["measurement"] |= changes
    return json.dumps(sealed(raw), sort_keys=True, indent=2) + "\n"


# What was done to a cell's text -> the new text, and what is said of it.
EDITS: dict[str, tuple[Callable[[str], str | bytes], str]] = {
    "answer": (
        lambda t: t.replace('"answer": "', '"answer": "Yes. ', 1),
        "does not have its sha256",
    ),
    "a nine before the speed": (
        lambda t: t.replace('"decode_tokens_per_s": ', '"decode_tokens_per_s": 9', 1),
        "does not have its sha256",
    ),
    "tokens": (
        lambda t: t.replace('"token_ids": "', '"token_ids": "7 ', 1),
        "does not have its sha256",
    ),
    "seal": (lambda t: t.replace(f'"{SEAL}": "', f'"{SEAL}": "0', 1), "does not have its sha256"),
    "no seal": (
        lambda t: "".join(x for x in t.splitlines(True) if f'"{SEAL}"' not in x),
        "no sha256",
    ),
    "a key twice": (
        lambda t: t.replace('"status": ', '"status": "ok", "status": ', 1),
        "'status' is there twice",
    ),
    "NaN": (lambda t: t.replace('"load_s": ', '"load_s": NaN, "x": ', 1), "NaN is not JSON"),
    "merge conflict": (lambda t: f"<<<<<<< HEAD\n{t}=======\n{t}>>>>>>> theirs\n", "expected JSON"),
    "a list": (lambda t: f"[{t}]", "expected a JSON object, found list"),
    "deep": (lambda t: DEEP, "expected JSON"),
    "half": (lambda t: t[: len(t) // 2], "expected JSON"),
    "empty": (lambda t: "", "expected JSON"),
    "not UTF-8": (lambda t: t.encode("utf-16"), "can't decode"),
    "a negative rate, sealed": (
        lambda t: resealed(t, decode_tokens_per_s=-1.0),
        "expected 0 or more, found -1.0",
    ),
    "a rate of a wrong type, sealed": (
        lambda t: resealed(t, ttft_s="fast"),
        "expected a number, found 'fast'",
    ),
    "more accepted than drafted, sealed": (
        lambda t: resealed(t, accepted_tokens=99, drafted_tokens=0),
        "99 tokens accepted of 0 drafted",
    ),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = make_project(tmp_path_factory.mktemp("damage") / "project")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        measure()
        yield folder


@pytest.fixture
def plan(project: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.chdir(project)
    (plan,) = load_plans(load_config())
    return seen_from_elsewhere(plan)


def reviewed(plan: Plan, model: str, mode: str = "baseline") -> Review:
    shard = next(s for s in plan.shards if (s.model.key, s.mode.name) == (model, mode))
    return plan_review(plan, shard)


@pytest.fixture
def cell_file(plan: Plan) -> Iterator[Path]:
    """A cell of a baseline, put back after the test."""
    review = reviewed(plan, "big_dense")
    file = Path(review.shard.folder) / review.cells[3].file_name
    kept = file.read_bytes()
    yield file
    if file.is_dir():
        shutil.rmtree(file)
    file.write_bytes(kept)


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_cell_is_named_counts_as_missing_and_enters_no_table(
    edit: str, plan: Plan, cell_file: Path
) -> None:
    change, said = EDITS[edit]
    changed = change(cell_file.read_text(encoding="utf-8"))
    cell_file.write_bytes(changed if isinstance(changed, bytes) else changed.encode())
    part = load_part(plan, is_active=True)
    problems = {damage.problem for damage in part.damaged}
    assert {problem.file for problem in problems} == {str(cell_file)}
    assert all(
        problem.message.startswith("damaged: ") and said in problem.message for problem in problems
    )
    assert str(cell_file) not in tidy_csv("cells", [part]) and str(cell_file) in tidy_csv(
        "damaged", [part]
    )
    whole = next(c for c in part.setups if (c.model.key, c.mode.name) == ("big_dense", "baseline"))
    assert len(whole.rows) == whole.planned - 1
    (state,) = (s for s in cell_states([plan]) if s.file == cell_file)
    assert state.state is State.DAMAGED


def test_a_cell_under_another_models_name_is_damaged(plan: Plan, cell_file: Path) -> None:
    other = reviewed(plan, "small")
    (twin,) = (
        c
        for c in other.cells
        if str(cell_file).split(".")[0].endswith(f"{c.id.suite}/{c.id.question}")
    )
    shutil.copyfile(Path(other.shard.folder) / twin.file_name, cell_file)
    with pytest.raises(Damaged, match=r"it holds the cell .*/small/baseline/.*: copied or renamed"):
        read_cell(cell_file)


def test_a_folder_under_a_cells_name_is_damaged(plan: Plan, cell_file: Path) -> None:
    cell_file.unlink()
    cell_file.mkdir()
    with pytest.raises(Damaged, match="Is a directory"):
        read_cell(cell_file)


def test_a_cell_that_was_measured_anew_does_not_pass_under_the_old_review(
    plan: Plan, cell_file: Path
) -> None:
    record = parse_cell(cell_file.read_text(), "cell")
    write_atomic(cell_file, replace(record, load_s=record.load_s + 1).to_json())
    checked = check_review(reviewed(plan, "big_dense"), StoredCells())
    (damage,) = checked.damaged
    assert (
        "not the one that was reviewed" in damage.problem.message
        and damage.problem.place == str(cell_file)
    )
    assert str(cell_file) not in {row.cell_file for row in checked.rows}
    # The review made again, of the cell of today, is whole.
    review = reviewed(plan, "big_dense")
    kept = Path(review.file).read_text()
    write_atomic(Path(review.file), to_csv(review_shard(review)))
    again = check_review(review, StoredCells())
    assert again.damaged == () and len(again.rows) == len(review.cells)
    write_atomic(Path(review.file), kept)


def test_a_speculative_answer_is_not_shown_beside_another_base_than_it_was_certified_by(
    plan: Plan,
) -> None:
    review = reviewed(plan, "big_dense", "spec_little_draft_k8")
    assert review.base is not None
    file = Path(review.base.folder) / review.base_cells[0].file_name
    kept = file.read_text()
    try:
        write_atomic(file, replace(parse_cell(kept, "cell"), warm_up_s=9.0).to_json())
        checked = check_review(review, StoredCells())
        assert [damage.problem.place for damage in checked.damaged] == [str(file)]
        assert len(checked.rows) == len(review.cells) - 1
    finally:
        file.write_text(kept)


ROW_EDITS: dict[str, tuple[Callable[[list[str]], list[str]], str]] = {
    "another score": (
        lambda lines: [
            lines[0],
            lines[1].replace(",0,", ",3,", 1).replace(",False,", ",True,"),
            *lines[2:],
        ],
        "line",
    ),
    "a row less": (lambda lines: lines[:-1], "has no row"),
    "a row twice": (lambda lines: [*lines, lines[-1]], "has two rows"),
    "columns of before": (
        lambda lines: [line.rpartition(",")[0] for line in lines],
        "expected row_digest, found 'none'",
    ),
    "a merge conflict": (lambda lines: [lines[0], "<<<<<<< HEAD", *lines[1:]], "row_digest"),
    "nothing": (lambda lines: [], "expected suite, found 'none'"),
}


@pytest.mark.parametrize("edit", ROW_EDITS)
def test_an_edited_review_is_named_and_made_again(edit: str, plan: Plan) -> None:
    review = reviewed(plan, "small")
    file = Path(review.file)
    kept, (change, said) = file.read_text(), ROW_EDITS[edit]
    try:
        changed = change(kept.splitlines())
        assert changed != kept.splitlines()
        file.write_text("".join(f"{line}\n" for line in changed))
        checked = check_review(review, StoredCells())
        assert checked.damaged and all(
            d.problem.file == str(file) and d.review == str(file) for d in checked.damaged
        )
        assert said in str(checked.damaged[0].problem)
        assert damaged_reviews({review.file: review}) == [review.file]
        write_atomic(file, to_csv(review_shard(review)))
        assert check_review(review, StoredCells()).damaged == ()
    finally:
        file.write_text(kept)


def test_a_review_is_looked_at_only_when_its_files_changed(
    plan: Plan, cell_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reviews = {
        review.file: review for review in (reviewed(plan, "big_dense"), reviewed(plan, "small"))
    }
    damaged_reviews(reviews)
    looked = list[str]()

    def note(review: Review, cells: StoredCells) -> object:
        looked.append(review.file)
        return check_review(review, cells)

    monkeypatch.setattr("scripts.lib.workflow.damage.check_review", note)
    assert damaged_reviews(reviews) == [] and looked == []
    cell_file.write_text(cell_file.read_text().replace("tokens", "Tokens", 1))
    dense = reviewed(plan, "big_dense").file
    assert damaged_reviews(reviews) == [dense] and looked == [dense]
    # As long as it is damaged it is looked at again.
    assert damaged_reviews(reviews) == [dense]


def test_a_damaged_environment_is_named_and_left_out(plan: Plan) -> None:
    (file,) = Path("benchmarks/results/environments").glob("*.json")
    kept = file.read_text()
    try:
        file.write_text(kept.replace("192", "384"))
        part = load_part(plan, is_active=True)
        assert part.environments == {} and part.setups
        assert [d.problem.file for d in part.damaged] == [str(file)]
    finally:
        file.write_text(kept)


def test_a_damaged_entry_of_the_weights_lock_leaves_itself_out_and_is_kept_in_the_file(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "weights.lock.json"
    raw = json.loads((project / LOCK_FILE).read_text())
    raw["weights"]["small.gguf"]["facts"]["size_bytes"] += 1
    raw["weights"]["big_moe.gguf"] = raw["weights"]["big_dense.gguf"]
    file.write_text(json.dumps(raw))
    lock = WeightsLock.load(file)
    assert [problem.place for problem in lock.problems] == [
        "weights.big_moe.gguf",
        "weights.small.gguf",
    ]
    assert lock.get("small.gguf") is None and lock.get("big_dense.gguf") is not None
    monkeypatch.chdir(project)
    planner = load_planner(load_config(), lock_file=file)
    assert planner.faults == lock.problems
    assert {shard.model.key for shard in make_plan(planner).shards} & {
        "small",
        "big_moe",
        "big_dense",
    } == {"big_dense"}
    # Another entry is written: what stands there for the damaged ones stays, for git to mend.
    lock.updated("new.gguf", WeightsFacts.assumed(planner.registry.models["small"])).save()
    again = WeightsLock.load(file)
    assert again.damaged == lock.damaged and again.get("new.gguf") is not None
    assert set(again.signed().damaged) == {"big_moe.gguf"}, (
        "an entry under another's name is not signed"
    )


# --- the command ---


def verify(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "scripts", "verify", *arguments]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)


def git(folder: Path, *arguments: str, author: str = "Ada") -> None:
    who = ["-c", f"user.name={author}", "-c", f"user.email={author.lower()}@example.org"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def test_verify_names_what_is_damaged_who_wrote_it_and_signs_what_is_right(
    project: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "project"
    shutil.copytree(project, folder)
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "measured")
    clean = verify(folder)
    assert (
        clean.returncode == 0
        and ": 0 damaged" in clean.stdout
        and "Ada <ada@example.org>" in clean.stdout
    )
    first, second, third, *_ = sorted(
        (folder / "benchmarks/results/cells").glob("*/small/baseline/*/*.json")
    )
    first.write_text(first.read_text().replace('"answer": "', '"answer": "Yes. ', 1))
    git(folder, "commit", "-qam", "mended", author="Bob")
    second.write_text(second.read_text()[:-100])
    third.write_text(third.read_text().replace('"load_s": ', '"load_s": 1', 1))
    review = next((folder / "benchmarks/results/reviews").glob("*/big_moe/*.csv"))
    review.write_text(review.read_text().replace("Sample", "sample").replace("stop", "halt", 1))
    found = verify(folder)
    assert found.returncode == 1 and ": 4 damaged" in found.stdout
    for file in (first, second, third, review):
        assert f"{file.relative_to(folder)}: " in found.stderr
    assert "Bob <bob@example.org>" in found.stdout and "(not committed)" in found.stdout
    signed = verify(folder, "--sign")
    assert signed.returncode == 1 and signed.stdout.count("signed: ") == 2
    again = verify(folder)
    # The signed cells are others than were reviewed; half a cell and a review's edited row cannot
    # be signed.
    assert (
        str(second.relative_to(folder)) in again.stderr
        and "not the one that was reviewed" in again.stderr
    )
    assert ": 3 damaged" in again.stdout
    assert read_cell(first).measurement is not None and read_cell(third).load_s > 10
