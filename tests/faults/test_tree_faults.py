"""Damaged derived files, links, full disks and leftovers of killed processes in the results tree."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.lib.errors import BenchError
from scripts.lib.judging import Series
from scripts.lib.judging.store import VerdictStore
from scripts.lib.legacy.store import stage
from scripts.lib.plan_files import drop_cell
from scripts.lib.prediction import read_measured, table_damage
from scripts.lib.prompt_lengths import lengths_for_planning
from scripts.lib.tree import drop, drop_folder, files_at, linked_folders

# --- derived files that planning reads ---

COLUMNS = "hardware,engine,model,mode,decode_tokens_per_s_median,prefill_tokens_per_s_median,load_s"
ROW = "box,server,m,baseline,10,100,2"
SERIES = Series("claude", "model", {})


def table(text: str | bytes) -> Callable[[Path], object]:
    return lambda file: file.write_bytes(text if isinstance(text, bytes) else text.encode())


DAMAGE: dict[str, Callable[[Path], object]] = {
    "a merge conflict in the first line": table(
        f"<<<<<<< HEAD\n{COLUMNS}\n=======\n{COLUMNS}\n>>>>>>> theirs\n{ROW}\n"
    ),
    "a merge conflict in the rows": table(f"{COLUMNS}\n<<<<<<< HEAD\n{ROW}\n=======\n{ROW}\n>>>>>>> theirs\n"),
    "bytes that are no UTF-8": table(f"{COLUMNS}\n".encode() + b"b\xff,server,m,baseline,1,1,1\n"),
    "NaN": table(f"{COLUMNS}\nbox,server,m,baseline,nan,100,2\n"),
    "an infinite speed": table(f"{COLUMNS}\nbox,server,m,baseline,inf,100,2\n"),
    "a negative speed": table(f"{COLUMNS}\nbox,server,m,baseline,-3,100,2\n"),
    "a word for a speed": table(f"{COLUMNS}\nbox,server,m,baseline,fast,100,2\n"),
    "another table's columns": table("hardware,suite\nbox,math\n"),
    "a NUL byte and half a row": table(f"{COLUMNS}\nbox,\0server\n"),
    "an open quotation mark": table(f'{COLUMNS}\nbox,server,m,baseline,10,100,"2\n'),
    "a field of a megabyte": table(f"{COLUMNS}\n{'x' * 10**6},server,m,baseline,10,100,2\n"),
    "a folder at its name": lambda file: file.mkdir(),
    "a link to itself": lambda file: file.symlink_to(file.name),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_table_of_speeds_is_named_and_gives_none(damage: Callable[[Path], object], tmp_path: Path) -> None:
    file = tmp_path / "modes.csv"
    damage(file)
    assert read_measured(file) == {}
    (problem,) = table_damage(file)
    assert problem.file == str(file) and "damaged (" in problem.message and "made again" in problem.message
    assert len(str(problem).splitlines()) == 1


def test_a_table_of_speeds_that_is_whole_or_not_there_has_no_damage(tmp_path: Path) -> None:
    assert table_damage(tmp_path / "none.csv") == () and read_measured(tmp_path / "none.csv") == {}
    file = tmp_path / "modes.csv"
    file.write_text(f"{COLUMNS}\n{ROW}\nbox,server,m,lookup_n3,,,\nbox,server,m,moe4,0,0,0\n")
    assert table_damage(file) == () and len(read_measured(file)) == 1


LENGTHS_DAMAGE: dict[str, Callable[[Path], object]] = {
    "a merge conflict": table('<<<<<<< HEAD\n{"v": {"q": 1}}\n=======\n'),
    "a list": table("[1]"),
    "a list of questions": table('{"v": [1]}'),
    "NaN": table('{"v": {"q": NaN}}'),
    "a number as text": table('{"v": {"q": "7"}}'),
    "deep nesting": table("[" * 100_000),
    "bytes that are no UTF-8": table(b'{"v\xff": {}}'),
    "a folder at its name": lambda file: file.mkdir(),
}


@pytest.mark.parametrize("damage", LENGTHS_DAMAGE.values(), ids=LENGTHS_DAMAGE.keys())
def test_damaged_prompt_lengths_are_named_and_estimated(damage: Callable[[Path], object], tmp_path: Path) -> None:
    file = tmp_path / "lengths.json"
    damage(file)
    lengths, (problem,) = lengths_for_planning(file)
    assert lengths == {} and str(file) in str(problem) and "lengths are estimated" in str(problem)


@pytest.mark.parametrize(
    "damage",
    [
        table("<<<<<<< HEAD\n"),
        table("[1]"),
        table("7"),
        table('{"reason": "x", "reviews": [1]}'),
        table('{"reviews": []}'),
        table(b'{"reason": "\xff"}'),
        table("[" * 100_000),
        lambda file: file.mkdir(),
    ],
    ids=["conflict", "list", "number", "no file names", "no reason", "no UTF-8", "deep", "folder"],
)
def test_a_damaged_note_of_what_waits_for_a_judge_is_named(damage: Callable[[Path], object], tmp_path: Path) -> None:
    store = VerdictStore(SERIES, tmp_path)
    store.folder.mkdir()
    assert store.unfinished_damage() == () and store.unfinished() == {}
    damage(store.folder / "unfinished.json")
    (problem,) = store.unfinished_damage()
    assert problem.file == str(store.folder / "unfinished.json") and store.unfinished() == {} and store.stopped() == ""


# --- links ---


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A results tree in the working folder, and beside it a folder `outside` with a file that nobody may touch."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outside/suite").mkdir(parents=True)
    (tmp_path / "outside/suite/q.0123.json").write_text("precious")
    results = Path("benchmarks/results")
    (results / "cells/box/model").mkdir(parents=True)
    return results


def precious(results: Path) -> bool:
    return (results.absolute().parents[1] / "outside/suite/q.0123.json").read_text() == "precious"


def test_files_behind_a_link_are_not_found_and_the_link_is_named(tree: Path) -> None:
    cells = tree / "cells/box"
    (cells / "model/mode").symlink_to(Path("outside").absolute())
    (cells / "model/real/suite").mkdir(parents=True)
    (cells / "model/real/suite/a.json").write_text("a")
    (cells / "model/real/suite/link.json").symlink_to(Path("outside/suite/q.0123.json").absolute())
    (cells / "model/real/suite/folder.json").mkdir()
    found = [path.name for path in files_at(cells, 3, ".json")]
    assert found == ["a.json", "link.json"]
    assert list(linked_folders()) == [cells / "model/mode"]
    drop(cells / "model/real/suite/link.json")
    assert precious(tree) and [path.name for path in files_at(cells, 3, ".json")] == ["a.json"]


def test_a_whole_profile_behind_a_link_is_left_alone(tree: Path) -> None:
    (tree / "cells/other").symlink_to(Path("outside").absolute())
    assert list(files_at(tree / "cells/other", 1, ".json")) == []
    assert list(linked_folders()) == [tree / "cells/other"]


def test_nothing_is_dropped_behind_a_link(tree: Path) -> None:
    mode = tree / "cells/box/model/mode"
    mode.symlink_to(Path("outside").absolute())
    with pytest.raises(BenchError, match=r"model/mode is a link, and nothing is deleted behind one"):
        drop(mode / "suite/q.0123.json")
    with pytest.raises(BenchError, match="is a link"):
        drop_cell(mode / "suite/q.0123.json")
    drop(mode / "suite/absent.json")
    drop_folder(mode / "suite")
    drop_folder(mode)
    assert precious(tree) and mode.is_symlink()


def test_what_an_unfinished_shard_keeps_behind_a_link_stays(tree: Path) -> None:
    mode = tree / "cells/box/model/mode"
    (mode / "suite").mkdir(parents=True)
    (mode / "suite/q.json").write_text("{}")
    kept = Path("outside/suite__q.json").absolute()
    kept.write_text("another's")
    (mode / ".partial-embedded").symlink_to(kept.parent)
    with pytest.raises(BenchError, match=r"\.partial-embedded is a link"):
        drop_cell(mode / "suite/q.json")
    assert kept.read_text() == "another's"


def test_a_results_folder_that_is_a_link_itself_is_where_the_tree_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "disk/cells").mkdir(parents=True)
    (tmp_path / "disk/cells/a.json").write_text("{}")
    Path("benchmarks").mkdir()
    Path("benchmarks/results").symlink_to(tmp_path / "disk")
    (file,) = files_at(Path("benchmarks/results/cells"), 0, ".json")
    drop(file)
    assert list((tmp_path / "disk/cells").iterdir()) == []


def test_another_tree_has_its_own_root(tree: Path) -> None:
    beside = Path("beside")
    (beside / "benchmarks/results/cells").mkdir(parents=True)
    (beside / "benchmarks/results/cells/box").symlink_to(Path("outside").absolute())
    with pytest.raises(BenchError, match="is a link"):
        drop(beside / "benchmarks/results/cells/box/suite/q.0123.json", beside / "benchmarks/results")
    drop_folder(beside / "benchmarks/results/cells/box/suite", beside / "benchmarks/results")
    assert precious(tree)


@pytest.mark.parametrize("name", ["epyc", ".epyc.importing", ".epyc.old"])
def test_an_import_replaces_no_link(name: str, tree: Path) -> None:
    history = tree / "history/epyc"
    history.parent.mkdir()
    history.with_name(name).symlink_to(Path("outside").absolute())
    with pytest.raises(BenchError, match="is a link"):
        stage(history, None)
    assert precious(tree) and [path.name for path in Path("outside").iterdir()] == ["suite"]
