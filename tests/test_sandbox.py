"""Hostile code neither passes nor escapes: no process, no file, no network, no environment."""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path

import psutil
import pytest

from scripts.lib.scoring.sandbox import run_tests, unavailable

TESTS = "assert f() == 1"
HOSTILE = {
    "infinite loop": "def f():\n    while True: pass",
    "leaves early": "import os\nos._exit(0)",
    "leaves early by exit": "import sys\nsys.exit(0)",
    "prints PASS": "print('PASS')\nprint('passed')\ndef f(): return 0",
    "raises": "raise KeyboardInterrupt",
    "kills its parent": "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\ndef f(): return 1",
    "eats memory": "x = bytearray(8 << 30)\ndef f(): return 1",
    "closes everything": "import os\nos.closerange(0, 100)\nos._exit(0)",
    "no return": "def f(): pass",
}


def test_the_sandbox_is_here() -> None:
    assert unavailable() == "", "install bubblewrap: apt install bubblewrap"


def test_honest_code_passes() -> None:
    assert run_tests("def f(): return 1", TESTS, 10) == (True, "tests pass")
    assert run_tests("import math, json, collections\ndef f(): return 1", TESTS, 10)[0] is True


@pytest.mark.parametrize("code", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_code_does_not_pass(code: str) -> None:
    passed, reason = run_tests(code, TESTS, 2)
    assert passed is False and reason


def sandboxed(before: set[int]) -> list[psutil.Process]:
    """Processes newer than `before` that are the sandbox, or run what it was given."""
    found = [p for p in psutil.process_iter(["cmdline"]) if p.pid not in before]
    return [
        p for p in found if any(mark in " ".join(p.info["cmdline"] or ()) for mark in ("bwrap", "report = os.dup(1)"))
    ]


def test_a_fork_bomb_leaves_no_process() -> None:
    before = {p.pid for p in psutil.process_iter()}
    forks = "for _ in range(20):\n    try:\n        os.fork()\n    except OSError:\n        pass\n"
    code = f"import os, time\n{forks}time.sleep(100)"
    seen: list[int] = []
    watcher = threading.Timer(1.0, lambda: seen.append(len(sandboxed(before))))
    watcher.start()
    assert run_tests(code, TESTS, 3)[0] is False
    watcher.join()
    assert seen[0] > 2, "the bomb was there while it ran"
    deadline = time.monotonic() + 5
    while left := sandboxed(before):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def test_the_sandbox_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    code = "open('/tmp/left_by_the_answer', 'w').write('x')\ndef f(): return 1"
    assert run_tests(code, TESTS, 10)[0] is True
    assert list(tmp_path.iterdir()) == [] and not Path("/tmp/left_by_the_answer").exists()


def test_nothing_of_the_machine_is_in_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "canary-key")
    secret = tmp_path / "secret"
    secret.write_text("canary")
    code = f"""
import os, socket
def f():
    assert "ANTHROPIC_API_KEY" not in os.environ, "environment"
    assert not os.path.exists({str(secret)!r}), "files"
    assert not os.path.exists({str(Path.cwd())!r}), "project"
    for place in ("/usr/x", "/etc/x", {str(tmp_path)!r} + "/x"):
        try:
            open(place, "w")
        except OSError:
            continue
        raise AssertionError("wrote " + place)
    try:
        socket.create_connection(("127.0.0.1", 22), timeout=1)
    except OSError:
        pass
    else:
        raise AssertionError("network")
    assert os.listdir("/sys/class/net") == ["lo"] if os.path.exists("/sys/class/net") else True
    return 1
"""
    assert run_tests(code, TESTS, 10) == (True, "tests pass")
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]
