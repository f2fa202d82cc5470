"""Run untrusted Python against tests in bubblewrap: no network, a read-only system, limits.

The answer runs in one sandbox and the tests in another (`harness.py`). The tests' process decides,
on plain values, and the answer cannot reach it. So an answer cannot pass by leaving early, printing
PASS, redefining or patching what the tests use, returning objects that equal everything, or
searching the harness. Each sandbox has process numbers, a user number, files and shared memory of
its own, so answers that run at the same time do not disturb each other. Without bubblewrap nothing
is run.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import psutil

from scripts.lib.base.captured import run_captured
from scripts.lib.scoring.harness import ANSWER, NOT_STARTED, TESTS

# For one process, and for all processes of an answer together.
MEMORY_BYTES = 1 << 29
# What may be written to /tmp, and to /dev/shm.
FOLDER_BYTES = 1 << 24
VERDICT_BYTES = 1 << 16
MOST_PROCESSES = 48
MOST_OPEN_FILES = 64
# Limits are of processor time, so a busy machine makes no difference. For code that waits, there is
# a clock limit of this many times the processor time.
CLOCK_FACTOR = 6
# For the tests' own computing, in addition to the answer's.
TESTS_SECONDS = 30.0
POLL_SECONDS = 0.2
# Faults of the machine may be temporary, and an undecided result is stored.
ATTEMPTS = 3
# systemd's range for dynamic users; containers with few user numbers have it, too.
_FIRST_USER, _USERS = 61184, 4336
_NOBODY = "65534"
_HARNESS = Path(__file__).with_name("harness.py").read_text(encoding="utf-8")
# States of a process that continues when the machine lets it.
_RUNNABLE = (psutil.STATUS_RUNNING, psutil.STATUS_DISK_SLEEP)


class CaseVerdict(NamedTuple):
    """Whether the answer passed, and the reason in a few words.

    `passed` is None if the sandbox cannot run, or the machine was too busy.
    """

    passed: bool | None
    reason: str


@dataclass(frozen=True, slots=True)
class CodeTests:
    """A question's tests: `setup` is code before the answer's, `entry` a name that it must define.

    `forbidden`: builtins and modules that the answer may not use. With `cases` (`stdin`, `stdout`)
    instead of `source` the answer is a program, and `compare` names the comparison of outputs.
    """

    source: str = ""
    setup: str = ""
    entry: str = ""
    forbidden: Sequence[str] = ()
    cases: Sequence[Mapping[str, str]] = ()
    compare: str = "stripped"


# --- the command lines ----------------------------------------------------------------------------


def _bwrap(binary: str, unprivileged: bool) -> list[str]:
    argv = [
        binary,
        "--die-with-parent",
        "--new-session",
        "--clearenv",
        "--hostname",
        "sandbox",
        "--unshare-uts",
    ]
    # Sets have the same order each time.
    argv += ["--setenv", "PYTHONHASHSEED", "0"]
    if unprivileged:
        # The kernel counts processes by user namespace (Linux 5.14 and later).
        argv += ["--unshare-all", "--uid", _NOBODY, "--gid", _NOBODY, "--cap-drop", "ALL"]
    else:
        # As root without a user namespace. The harness then takes a user number of its own: it has
        # no capabilities, and the process limit applies (to root it does not).
        argv += [
            "--unshare-ipc",
            "--unshare-pid",
            "--unshare-net",
            "--unshare-cgroup-try",
            "--cap-drop",
            "ALL",
        ]
        argv += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    # Only what Python needs to run: homes, the project and its keys are not in the sandbox at all.
    for folder in ("/usr", "/lib", "/lib64", "/bin", "/etc/alternatives"):
        argv += ["--ro-bind-try", folder, folder]
    prefix = Path(sys.base_prefix).resolve()
    if not prefix.is_relative_to("/usr"):
        # Bubblewrap would make the folders above it readable for root alone.
        for parent in [*prefix.parents][-2::-1]:
            argv += ["--perms", "0755", "--dir", str(parent)]
        argv += ["--ro-bind", str(prefix), str(prefix)]
    argv += ["--proc", "/proc", "--dev", "/dev"]
    for folder in ("/tmp", "/dev/shm"):
        argv += ["--perms", "1777", "--size", str(FOLDER_BYTES), "--tmpfs", folder]
    return [*argv, "--chdir", "/tmp", "--remount-ro", "/dev", "--remount-ro", "/"]


def _python() -> list[str]:
    # No user site, no site-packages, and the code's folder does not shadow the standard library.
    return [
        str(Path(sys.base_prefix).resolve() / "bin" / f"python3.{sys.version_info.minor}"),
        "-s",
        "-S",
        "-P",
    ]


@lru_cache(maxsize=1)
def _sandbox() -> tuple[tuple[str, ...], str]:
    """(the command that works here, why none does)."""
    binary = shutil.which("bwrap")
    if binary is None:
        return (), "no sandbox: bubblewrap is not installed (apt install bubblewrap)"
    said = ""
    for unprivileged in (False, True) if os.geteuid() == 0 else (True,):
        argv = _bwrap(binary, unprivileged)
        probe = run_captured([*argv, *_python(), "-c", "0"])
        said = probe.stderr.strip()[:100]
        if probe.returncode == 0:
            tried = _try(argv, "f = abs", CodeTests("assert f(-1) == 1"), 10.0)
            if tried.passed:
                return tuple(argv), ""
            said = tried.reason
    return (), f"no sandbox: bubblewrap does not work here: {said}"


def unavailable() -> str:
    """Why no sandbox can be used here (empty: it can)."""
    return _sandbox()[1]


# --- running --------------------------------------------------------------------------------------


def _start(
    sandbox: Sequence[str],
    side: str,
    payload: Mapping[str, object],
    cpu_s: float,
    channel: socket.socket,
) -> subprocess.Popen[bytes]:
    """One side in a sandbox of its own. The side of the tests prints its verdict."""
    limits = {
        "RLIMIT_AS": MEMORY_BYTES,
        "RLIMIT_FSIZE": 1 << 20,
        "RLIMIT_CPU": int(cpu_s) + 1,
        "RLIMIT_NPROC": MOST_PROCESSES,
        "RLIMIT_NOFILE": MOST_OPEN_FILES,
        "RLIMIT_CORE": 0,
    }
    clock_s = int(CLOCK_FACTOR * cpu_s) + 60
    user = _FIRST_USER + secrets.randbelow(_USERS)
    with tempfile.TemporaryFile() as given:
        given.write(
            json.dumps({**payload, "limits": limits, "user": user, "clock_s": clock_s}).encode()
        )
        given.seek(0)
        return subprocess.Popen(
            [*sandbox, *_python(), "-c", _HARNESS, side, str(channel.fileno())],
            stdin=given,
            stdout=subprocess.PIPE if side == TESTS else subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(channel.fileno(),),
            start_new_session=True,
        )


class _Usage(NamedTuple):
    cpu_s: float
    memory_bytes: int
    runnable: bool


def _usage(pid: int) -> _Usage:
    """The resources that a process and its descendants used, and whether one wants to compute."""
    cpu_s, memory, runnable = 0.0, 0, False
    try:
        found = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        found = []
    for process in found:
        try:
            with process.oneshot():
                times, held = process.cpu_times(), process.memory_info()
                runnable = runnable or process.status() in _RUNNABLE
        except psutil.Error:
            # It has ended.
            continue
        cpu_s += sum(times[:4])
        # Shared memory is mostly the interpreter's files.
        memory += held.rss - held.shared
    return _Usage(cpu_s, memory, runnable)


def _limit(tests: int, answer: int, timeout_s: float, clock_s: float) -> CaseVerdict | None:
    """The verdict on an answer that passed a limit; None if none is passed yet."""
    used, late = _usage(answer), f"no end within {timeout_s:g} s"
    if used.cpu_s > timeout_s:
        return CaseVerdict(False, late)
    if used.memory_bytes > MEMORY_BYTES:
        return CaseVerdict(False, f"used more than {MEMORY_BYTES >> 20} MiB of memory")
    judging = _usage(tests)
    if judging.cpu_s > timeout_s + TESTS_SECONDS:
        most_s = timeout_s + TESTS_SECONDS
        return CaseVerdict(None, f"the tests took more than {most_s:g} s of computing")
    if clock_s <= CLOCK_FACTOR * timeout_s:
        return None
    if used.runnable or judging.runnable:
        busy = f"{used.cpu_s:.1f} s of computing in {clock_s:.0f} s"
        return CaseVerdict(None, f"the machine was too busy: {busy}")
    return CaseVerdict(False, f"{late}: it waits")


def _verdict(
    tests: subprocess.Popen[bytes], answer: subprocess.Popen[bytes], timeout_s: float
) -> CaseVerdict:
    """The verdict of the tests, or of a limit that was passed first."""
    assert tests.stdout is not None
    said, begun = bytearray(), time.monotonic()
    with selectors.DefaultSelector() as selector:
        selector.register(tests.stdout, selectors.EVENT_READ)
        while len(said) < VERDICT_BYTES:
            if selector.select(POLL_SECONDS):
                data = os.read(tests.stdout.fileno(), VERDICT_BYTES)
                if not data:
                    break
                said += data
            elif passed := _limit(tests.pid, answer.pid, timeout_s, time.monotonic() - begun):
                return passed
    try:
        found = json.loads(said)
        return CaseVerdict(found["passed"], str(found["reason"]))
    except (ValueError, TypeError, KeyError):
        return CaseVerdict(None, "the tests' sandbox ended without a verdict")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill bubblewrap; this ends its PID namespace with every process in it."""
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _try(sandbox: Sequence[str], code: str, tests: CodeTests, timeout_s: float) -> CaseVerdict:
    ours, theirs = socket.socketpair()
    asked = {
        "tests": tests.source,
        "setup": tests.setup,
        "entry": tests.entry,
        "cases": [dict(case) for case in tests.cases],
        "compare": tests.compare,
    }
    case_cpu_s = math.ceil(timeout_s)
    given = {
        "code": code,
        "forbidden": list(tests.forbidden),
        "case_cpu_s": case_cpu_s,
        "case_clock_s": CLOCK_FACTOR * timeout_s,
    }
    if tests.cases:
        # The harness limits each case. This limit is for all of them, with a second for each start.
        timeout_s = float((case_cpu_s + 1) * len(tests.cases))
    started: list[subprocess.Popen[bytes]] = []
    try:
        with ours, theirs:
            started.append(_start(sandbox, TESTS, asked, timeout_s + TESTS_SECONDS, ours))
            started.append(_start(sandbox, ANSWER, given, timeout_s, theirs))
        judging, answering = started
        return _verdict(judging, answering, timeout_s)
    except OSError as error:
        return CaseVerdict(None, f"{NOT_STARTED}: {error.strerror}")
    finally:
        for process in started:
            _end(process)


def run_tests(code: str, tests: CodeTests, timeout_s: float) -> CaseVerdict:
    """Run code, then tests on it, within a limit of processor time (per case, if there are cases).

    Nothing that the code does raises here. `passed` is None if no sandbox works, or the machine
    kept the code from ending.
    """
    reason = unavailable()
    if reason:
        return CaseVerdict(None, reason)
    if "\0" in code:
        return CaseVerdict(False, "code holds NUL")
    for _ in range(ATTEMPTS):
        verdict = _try(_sandbox()[0], code.encode("utf-8", "replace").decode(), tests, timeout_s)
        if verdict.passed is not None:
            break
    return verdict
