"""The machine-wide lock: one file for all users and shells; no other file is written."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts.lib.base.errors import BenchError
from scripts.lib.base.locks import LOCK_VARIABLE
from scripts.lib.machine.process import LOCK_FILE, alone_on_machine, lock_file

pytestmark = pytest.mark.slow

NOBODY = 65534
FORK = multiprocessing.get_context("fork")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user")


@pytest.fixture
def lock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The lock in a sticky folder for everybody, as /tmp."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o1777)
    monkeypatch.setenv(LOCK_VARIABLE, str(folder / "lock"))
    yield folder / "lock"
    shutil.rmtree(folder)


def in_child(does: Callable[[], object]) -> int | None:
    """The exit code of a process without root's rights (another user, where this one is root)."""

    def run() -> None:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        does()

    child = FORK.Process(target=run)
    child.start()
    child.join(20)
    child.kill()
    return child.exitcode


def is_held(lock: Path) -> bool:
    with lock.open() as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def hold_once() -> None:
    with alone_on_machine("other"):
        pass


def test_its_name_does_not_hang_on_the_shells_tmpdir(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(LOCK_VARIABLE, raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    assert lock_file() == LOCK_FILE == Path("/tmp/epyc-inference-bench.lock")
    monkeypatch.setenv(LOCK_VARIABLE, "/elsewhere")
    assert lock_file() == Path("/elsewhere")


def test_it_is_open_to_all_users_whatever_the_umask_and_names_its_holder(lock: Path) -> None:
    before = os.umask(0o077)
    try:
        with alone_on_machine("project: shard"):
            assert lock.read_text() == f"project: shard (pid {os.getpid()})\n" and is_held(lock)
    finally:
        os.umask(before)
    assert lock.stat().st_mode & 0o777 == 0o666 and lock.read_text() == "" and not is_held(lock)


@as_root
def test_a_second_user_waits_for_the_first_and_then_holds_it(lock: Path) -> None:
    def hold() -> None:
        with alone_on_machine("nobody's"):
            assert lock.read_text().startswith("nobody's (pid ")

    with alone_on_machine("root's"):
        child = FORK.Process(target=in_child, args=(hold,))
        child.start()
        time.sleep(0.5)
        assert child.is_alive() and lock.read_text().startswith("root's")
    child.join(20)
    assert child.exitcode == 0 and lock.stat().st_uid == 0


@as_root
def test_root_uses_a_file_that_another_user_made(lock: Path) -> None:
    assert in_child(hold_once) == 0 and lock.stat().st_uid == NOBODY
    with alone_on_machine("root's"):
        assert lock.read_text().startswith("root's") and is_held(lock)


def test_a_file_that_may_only_be_read_is_locked_all_the_same(lock: Path) -> None:
    """An earlier version made it under another umask: only the holder's name is not written."""
    lock.write_text("")
    lock.chmod(0o444)

    def hold() -> None:
        with alone_on_machine("other"):
            assert is_held(lock) and lock.read_text() == ""

    assert in_child(hold) == 0


def test_it_is_not_opened_for_creation_where_it_is_there(
    lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With fs.protected_regular the kernel refuses O_CREAT for others' files in sticky folders."""
    real = os.open

    def protected(path: Path, flags: int, *mode: int, **more: int) -> int:
        if flags & os.O_CREAT and not flags & os.O_EXCL and Path(path).exists():
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, flags, *mode, **more)

    monkeypatch.setattr(os, "open", protected)
    hold_once()
    hold_once()


def test_another_process_may_make_it_in_the_same_moment(
    lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def slower(path: Path, flags: int, *mode: int, **more: int) -> int:
        if flags & os.O_CREAT:
            os.close(real(path, os.O_RDWR | os.O_CREAT))
        return real(path, flags, *mode, **more)

    monkeypatch.setattr(os, "open", slower)
    with alone_on_machine("second"):
        assert lock.read_text().startswith("second") and is_held(lock)


@pytest.mark.parametrize("make", [os.symlink, os.link])
def test_a_link_that_somebody_laid_there_is_refused_and_its_target_untouched(
    lock: Path, make: Callable[[Path, Path], None]
) -> None:
    target = lock.with_name("precious")
    target.write_text("text")
    make(target, lock)
    with pytest.raises(BenchError, match=f"lock {lock}: .*{LOCK_VARIABLE}"):
        hold_once()
    assert target.read_text() == "text"


def test_a_link_to_nothing_makes_nothing(lock: Path) -> None:
    lock.symlink_to(lock.with_name("made"))
    with pytest.raises(BenchError, match=f"lock {lock}: "):
        hold_once()
    assert not lock.with_name("made").exists()


def test_a_folder_that_is_not_there_is_one_clear_error(
    lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LOCK_VARIABLE, "/nowhere/lock")
    with pytest.raises(
        BenchError, match="lock /nowhere/lock: No such file or directory; EPYC_BENCH_LOCK names"
    ):
        hold_once()


def test_a_file_that_was_removed_while_it_was_waited_for_is_made_again(lock: Path) -> None:
    held, done = threading.Event(), threading.Event()

    def wait() -> None:
        with alone_on_machine("second"):
            held.set()
            done.wait(20)

    with alone_on_machine("first"):
        second = threading.Thread(target=wait)
        second.start()
        time.sleep(0.5)
        lock.unlink()
    assert held.wait(20)
    assert is_held(lock), "a third would make a file of its own and measure beside the second"
    done.set()
    second.join()


def test_many_that_begin_at_once_hold_it_one_after_the_other(lock: Path) -> None:
    count = lock.with_name("count")
    count.write_text("0")

    def add() -> None:
        with alone_on_machine("one of many"):
            seen = int(count.read_text())
            time.sleep(0.02)
            count.write_text(str(seen + 1))

    children = [FORK.Process(target=add) for _ in range(6)]
    for child in children:
        child.start()
    for child in children:
        child.join(20)
    assert count.read_text() == "6"
