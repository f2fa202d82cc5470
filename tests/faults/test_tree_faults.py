"""Damaged derived files, links, full disks and leftovers of killed processes."""

from __future__ import annotations

import errno
import fcntl
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.lib.base.errors import BenchError
from scripts.lib.base.locks import LOCK_VARIABLE, locked
from scripts.lib.base.markdown import table
from scripts.lib.base.results_tree import drop, drop_folder, files_at, linked_folders, sweep
from scripts.lib.base.safe_files import TEMPORARY, link_into_place, naming, write_atomic
from scripts.lib.legacy.store import stage
from scripts.lib.machine.process import alone_in_checkout, alone_on_machine
from scripts.lib.planning.disk import drop_cell
from scripts.lib.planning.prediction import read_measured, table_damage
from scripts.lib.prompts.lengths import lengths_for_planning
from scripts.lib.scoring.series import Series
from scripts.lib.scoring.verdict_store import VerdictStore
from scripts.lib.workflow.targets import check_checkout

ROOT = Path(__file__).parents[2]


def run_python(code: str, folder: Path, option: str = "-c") -> subprocess.CompletedProcess[str]:
    """A process of its own in that folder, with this checkout's modules."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"}
    argv = [sys.executable, option, code]
    return subprocess.run(
        argv, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


# --- derived files that planning reads ---

COLUMNS = "hardware,engine,model,mode,decode_tokens_per_s_median,prefill_tokens_per_s_median,load_s"
ROW = "box,server,m,baseline,10,100,2"
SERIES = Series("claude", "model", {})


def content(text: str | bytes) -> Callable[[Path], object]:
    return lambda file: file.write_bytes(text if isinstance(text, bytes) else text.encode())


DAMAGE: dict[str, Callable[[Path], object]] = {
    "a merge conflict in the first line": content(
        f"<<<<<<< HEAD\n{COLUMNS}\n=======\n{COLUMNS}\n>>>>>>> theirs\n{ROW}\n"
    ),
    "a merge conflict in the rows": content(
        f"{COLUMNS}\n<<<<<<< HEAD\n{ROW}\n=======\n{ROW}\n>>>>>>> theirs\n"
    ),
    "bytes that are no UTF-8": content(
        f"{COLUMNS}\n".encode() + b"b\xff,server,m,baseline,1,1,1\n"
    ),
    "NaN": content(f"{COLUMNS}\nbox,server,m,baseline,nan,100,2\n"),
    "an infinite speed": content(f"{COLUMNS}\nbox,server,m,baseline,inf,100,2\n"),
    "a negative speed": content(f"{COLUMNS}\nbox,server,m,baseline,-3,100,2\n"),
    "a word for a speed": content(f"{COLUMNS}\nbox,server,m,baseline,fast,100,2\n"),
    "another table's columns": content("hardware,suite\nbox,math\n"),
    "a NUL byte and half a row": content(f"{COLUMNS}\nbox,\0server\n"),
    "an open quotation mark": content(f'{COLUMNS}\nbox,server,m,baseline,10,100,"2\n'),
    "a field of a megabyte": content(f"{COLUMNS}\n{'x' * 10**6},server,m,baseline,10,100,2\n"),
    "a folder at its name": lambda file: file.mkdir(),
    "a link to itself": lambda file: file.symlink_to(file.name),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_table_of_speeds_is_named_and_gives_none(
    damage: Callable[[Path], object], tmp_path: Path
) -> None:
    file = tmp_path / "modes.csv"
    damage(file)
    assert read_measured(file) == {}
    (problem,) = table_damage(file)
    assert (
        problem.file == str(file)
        and "damaged (" in problem.message
        and "made again" in problem.message
    )
    assert len(str(problem).splitlines()) == 1


def test_a_table_of_speeds_that_is_whole_or_not_there_has_no_damage(tmp_path: Path) -> None:
    assert table_damage(tmp_path / "none.csv") == () and read_measured(tmp_path / "none.csv") == {}
    file = tmp_path / "modes.csv"
    file.write_text(f"{COLUMNS}\n{ROW}\nbox,server,m,lookup_n3,,,\nbox,server,m,moe4,0,0,0\n")
    assert table_damage(file) == () and len(read_measured(file)) == 1


LENGTHS_DAMAGE: dict[str, Callable[[Path], object]] = {
    "a merge conflict": content('<<<<<<< HEAD\n{"v": {"q": 1}}\n=======\n'),
    "a list": content("[1]"),
    "a list of questions": content('{"v": [1]}'),
    "NaN": content('{"v": {"q": NaN}}'),
    "a number as text": content('{"v": {"q": "7"}}'),
    "deep nesting": content("[" * 100_000),
    "bytes that are no UTF-8": content(b'{"v\xff": {}}'),
    "a folder at its name": lambda file: file.mkdir(),
}


@pytest.mark.parametrize("damage", LENGTHS_DAMAGE.values(), ids=LENGTHS_DAMAGE.keys())
def test_damaged_prompt_lengths_are_named_and_estimated(
    damage: Callable[[Path], object], tmp_path: Path
) -> None:
    file = tmp_path / "lengths.json"
    damage(file)
    lengths, (problem,) = lengths_for_planning(file)
    assert lengths == {} and str(file) in str(problem) and "lengths are estimated" in str(problem)


@pytest.mark.parametrize(
    "damage",
    [
        content("<<<<<<< HEAD\n"),
        content("[1]"),
        content("7"),
        content('{"reason": "x", "reviews": [1]}'),
        content('{"reviews": []}'),
        content(b'{"reason": "\xff"}'),
        content("[" * 100_000),
        lambda file: file.mkdir(),
    ],
    ids=["conflict", "list", "number", "no file names", "no reason", "no UTF-8", "deep", "folder"],
)
def test_a_damaged_note_of_what_waits_for_a_judge_is_named(
    damage: Callable[[Path], object], tmp_path: Path
) -> None:
    store = VerdictStore(SERIES, tmp_path)
    store.folder.mkdir()
    assert store.unfinished_damage() == () and store.unfinished() == {}
    damage(store.folder / "unfinished.json")
    (problem,) = store.unfinished_damage()
    assert (
        problem.file == str(store.folder / "unfinished.json")
        and store.unfinished() == {}
        and store.stopped() == ""
    )


# --- links ---


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A results tree in the working folder, and a folder `outside` that must not change."""
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
    with pytest.raises(
        BenchError, match=r"model/mode is a link, and nothing behind a link is deleted"
    ):
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
        drop(
            beside / "benchmarks/results/cells/box/suite/q.0123.json", beside / "benchmarks/results"
        )
    drop_folder(beside / "benchmarks/results/cells/box/suite", beside / "benchmarks/results")
    assert precious(tree)


def test_a_folder_at_a_files_name_is_not_dropped(tree: Path) -> None:
    (tree / "cells/box/model/q.json").mkdir()
    with pytest.raises(BenchError, match="expected a file, found a folder"):
        drop(tree / "cells/box/model/q.json")
    assert (tree / "cells/box/model/q.json").is_dir()


@pytest.mark.parametrize("name", ["epyc", ".epyc.importing", ".epyc.old"])
def test_an_import_replaces_no_link(name: str, tree: Path) -> None:
    history = tree / "history/epyc"
    history.parent.mkdir()
    history.with_name(name).symlink_to(Path("outside").absolute())
    with pytest.raises(BenchError, match="is a link"):
        stage(history, None)
    assert precious(tree) and [path.name for path in Path("outside").iterdir()] == ["suite"]


# --- files that are written ---

WRITE_TOO_MUCH = """
import resource, signal
from pathlib import Path
from scripts.lib.base.errors import run_cli
from scripts.lib.base.safe_files import write_atomic
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
run_cli(lambda: write_atomic(Path("folder/cell.json"), "x" * 100_000))
"""


def test_a_file_that_cannot_be_written_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    done = run_python(WRITE_TOO_MUCH, tmp_path)
    assert done.returncode == 1 and done.stderr == "error: folder/cell.json: File too large\n"
    assert list((tmp_path / "folder").iterdir()) == []


def test_the_last_line_of_a_run_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/output.jsonl").symlink_to("/dev/full")
    with (
        pytest.raises(OSError, match="No space left on device") as error,
        naming(tmp_path / "runs/output.jsonl"),
        (tmp_path / "runs/output.jsonl").open("w") as stream,
    ):
        stream.write("x")
    assert (
        error.value.filename == str(tmp_path / "runs/output.jsonl")
        and error.value.errno == errno.ENOSPC
    )


@pytest.mark.parametrize("name", ["a $HOME b", "it's", 'say "so"', "a{b}c", "a\nb"])
def test_odd_names_are_written_like_any_other(name: str, tmp_path: Path) -> None:
    file = tmp_path / name / f"{name}.json"
    write_atomic(file, "whole")
    link_into_place(file, tmp_path / name / "second.json")
    assert sorted(path.read_text() for path in (tmp_path / name).iterdir()) == ["whole", "whole"]


def test_a_folder_at_a_files_name_is_told(tmp_path: Path) -> None:
    cell, source = tmp_path / "cell.json", tmp_path / "source.json"
    cell.mkdir()
    source.write_text("{}")
    for write in (lambda: write_atomic(cell, "{}"), lambda: link_into_place(source, cell)):
        with pytest.raises(IsADirectoryError) as error:
            write()
        assert error.value.filename == str(cell)
    assert {path.name for path in tmp_path.iterdir()} == {"cell.json", "source.json"}


# --- what killed processes leave ---

KILLED_WHILE_WRITING = """
import os, signal
from pathlib import Path
os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)
from scripts.lib.base.safe_files import write_atomic
write_atomic(Path("benchmarks/results/cells/cell.json"), "{}")
"""


def temporary(folder: Path) -> list[Path]:
    return sorted(folder.rglob(f"{TEMPORARY}*"))


def test_the_temporary_file_of_a_killed_process_is_swept_and_a_living_ones_stays(
    tmp_path: Path,
) -> None:
    done = run_python(KILLED_WHILE_WRITING, tmp_path)
    assert done.returncode == -signal.SIGKILL and len(temporary(tmp_path)) == 1
    mine = tmp_path / f"benchmarks/results/{TEMPORARY}{platform.node()}-{os.getpid()}-abc"
    others = mine.with_name(f"{TEMPORARY}another-machine-{2**22}-abc")
    old = mine.with_name(f"{TEMPORARY}another-machine-{2**22}-def")
    for file in (mine, others, old):
        file.write_text("")
    os.utime(old, (0, 0))
    assert sweep([tmp_path / "benchmarks", tmp_path / "absent"]) == 2
    assert temporary(tmp_path) == sorted([mine, others])


def test_nothing_is_swept_behind_a_link(tree: Path) -> None:
    Path("outside", f"{TEMPORARY}{platform.node()}-{2**22 + 1}-abc").write_text("another's")
    (tree / "link").symlink_to(Path("outside").absolute())
    assert sweep([tree]) == 0 and len(temporary(Path("outside"))) == 1


def test_git_ignores_temporary_files() -> None:
    ignored = ROOT / ".gitignore"
    assert f"{TEMPORARY}*" in ignored.read_text().splitlines()


# --- locks and signals ---


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_told(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(handle: int, flags: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    monkeypatch.setenv(LOCK_VARIABLE, str(tmp_path / "machine.lock"))
    with pytest.raises(BenchError, match="its file system has no locks"):
        alone_in_checkout(tmp_path / "run.lock")
    with (
        pytest.raises(BenchError, match="its file system has no locks"),
        locked(tmp_path / "moment.lock"),
    ):
        pass
    with pytest.raises(BenchError, match=f"{LOCK_VARIABLE}"), alone_on_machine("me"):
        pass


# As Snakemake does: its handler of SIGTERM takes the lock that the main thread may hold.
WAITS_FOR_ITSELF = """
import os, signal, threading, time
from scripts.lib.machine.process import stop_gently
lock, stopped = threading.Lock(), threading.Event()
def gracefully(*_):
    with lock:
        stopped.set()
signal.signal(signal.SIGTERM, gracefully)
stop_gently(is_local=True)
with lock:
    os.kill(os.getpid(), signal.SIG)
    time.sleep(0.2)
    assert not stopped.is_set()
assert stopped.wait(10)
print("stopped")
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_while_snakemake_holds_its_own_lock_stops_it_and_does_not_hang_it(
    name: str, tmp_path: Path
) -> None:
    done = run_python(WAITS_FOR_ITSELF.replace("signal.SIG)", f"signal.{name})"), tmp_path)
    assert (done.returncode, done.stdout) == (0, "stopped\n"), done.stderr


THREE = """
import os, signal, sys, time
from scripts import end_at_interrupt
from scripts.lib.machine.process import StopRequest, stop_gently
signal.signal(signal.SIGINT, signal.default_int_handler)
def press(times=1):
    for _ in range(times):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)
"""


@pytest.mark.parametrize(
    ("rest", "code", "shown"),
    [
        ("end_at_interrupt(); press()", -signal.SIGINT, ""),
        (
            "signal.signal(15, lambda *_: None); stop_gently(True); press(2); "
            "print('goes on', file=sys.stderr)",
            0,
            "goes on\n",
        ),
        ("signal.signal(15, lambda *_: None); stop_gently(True); press(3)", -signal.SIGINT, ""),
        (
            "with StopRequest():\n    press()\n"
            "    try:\n        press()\n    except KeyboardInterrupt:\n        press()",
            -signal.SIGINT,
            "\nstopping after the current cell; press Ctrl-C again to stop at once\n",
        ),
    ],
    ids=[
        "while planning",
        "two are the jobs'",
        "the third ends snakemake",
        "the third ends a shard",
    ],
)
def test_ctrl_c_ends_without_a_traceback(rest: str, code: int, shown: str, tmp_path: Path) -> None:
    done = run_python(THREE + rest, tmp_path)
    assert (done.returncode, done.stderr) == (code, shown)


PRESSED_WHILE_LOADING = """
import os, signal, sys
def strike(event, arguments):
    if event == "import" and arguments[0] == "scripts.lib.settings.run_config":
        os.kill(os.getpid(), signal.SIGINT)
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.addaudithook(strike)
"""


def test_ctrl_c_while_modules_are_loaded_is_silent(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(PRESSED_WHILE_LOADING)
    done = run_python("scripts.cells", tmp_path, "-m")
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")
    asked = (
        "import signal, scripts; "
        "print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    )
    assert run_python(asked, tmp_path).stdout == "True\n", (
        "a program that imports `scripts` keeps Python's way"
    )


def test_ctrl_c_after_main_is_silent(tmp_path: Path) -> None:
    code = "import atexit, os, signal\nfrom scripts.lib.base.errors import run_cli\n"
    code += "atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))\nrun_cli(lambda: 0)"
    done = run_python(code, tmp_path)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")


# --- pages ---


def test_dashes_in_a_tables_cell_stay() -> None:
    made = table([["a----b", "x"], ["-----", "y"]], ["name", "c---d"])
    assert made == "| name | c---d |\n|:---|:---|\n| a----b | x |\n| ----- | y |"


@pytest.mark.parametrize("path", ["/tmp/a{b}c/checkout", "/tmp/a{b", "/tmp/}"])
def test_a_checkout_whose_path_snakemake_cannot_take_is_told(path: str) -> None:
    with pytest.raises(BenchError, match="braces in a path"):
        check_checkout(Path(path))
    check_checkout(Path("/tmp/a $b 'c' \"d\"\ne/[f]*"))
