"""Runs untrusted Python against tests inside bubblewrap: no network, read-only system, memory and time limits, killed whole.

A verdict counts only when the harness itself says so: the tests run in a parent process that hands the answer's code to a
child, and a random token that the code never sees marks success. Without bubblewrap nothing is run.
"""

from __future__ import annotations

import secrets
import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

MEMORY_BYTES = 1 << 30
OUTPUT_BYTES = 1 << 16
# -I -S: no environment, no user site, so that the code finds the standard library only.
_HARNESS = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_AS, ({memory}, {memory}))
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
resource.setrlimit(resource.RLIMIT_CPU, ({cpu}, {cpu}))
resource.setrlimit(resource.RLIMIT_NPROC, (64, 64))
read, write = os.pipe()
sys.setrecursionlimit(10000)
payload = sys.stdin.read()
sys.stdin = open(os.devnull)
token, code, tests = payload.split("\\0")
child = os.fork()
if child == 0:
    os.close(read)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1); os.dup2(null, 2)
    space = {{"__name__": "answer"}}
    try:
        exec(compile(code, "answer.py", "exec"), space)
    except BaseException as error:
        os.write(write, b"code: " + type(error).__name__.encode()); os._exit(1)
    try:
        exec(compile(tests, "tests.py", "exec"), space)
    except BaseException as error:
        os.write(write, b"tests: " + (type(error).__name__ + " " + str(error)[:80]).encode("utf-8", "replace")); os._exit(1)
    os.write(write, b"passed " + token.encode())
    os._exit(0)
os.close(write)
said = os.read(read, 4096)
_, status = os.waitpid(child, 0)
if status == 0 and said == b"passed " + token.encode():
    os.write(1, b"PASS " + token.encode())
else:
    os.write(1, b"FAIL " + (said or b"ended before the tests"))
"""


@lru_cache(maxsize=1)
def unavailable() -> str:
    """Why no sandbox can be used here (empty: it can)."""
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        return "no sandbox: bubblewrap is not installed (apt install bubblewrap)"
    probe = subprocess.run([*_bwrap(bwrap), "/bin/true"], capture_output=True, text=True, check=False)
    return "" if probe.returncode == 0 else f"no sandbox: bubblewrap does not work here: {probe.stderr.strip()[:100]}"


def _bwrap(binary: str) -> list[str]:
    argv = [binary, "--unshare-all", "--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL"]
    # Only what Python needs to run: homes, the project and its keys are not in the sandbox at all.
    for folder in ("/usr", "/lib", "/lib64", "/bin", "/etc/alternatives"):
        argv += ["--ro-bind-try", folder, folder]
    prefix = str(Path(sys.base_prefix).resolve())
    if not prefix.startswith("/usr"):
        argv += ["--ro-bind", prefix, prefix]
    return [
        *argv,
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "--size",
        str(1 << 24),
        "--tmpfs",
        "/tmp",
        "--chdir",
        "/tmp",
        "--remount-ro",
        "/",
    ]


def run_tests(code: str, tests: str, timeout_s: float) -> tuple[bool | None, str]:
    """(passed, reason); passed is None where the sandbox cannot run. Raises nothing for whatever the code does."""
    reason = unavailable()
    if reason:
        return None, reason
    if "\0" in code:
        return False, "code holds NUL"
    token = secrets.token_hex(16)
    python = str(Path(sys.base_prefix).resolve() / "bin" / f"python3.{sys.version_info.minor}")
    harness = _HARNESS.format(memory=MEMORY_BYTES, cpu=int(timeout_s) + 1)
    argv = [*_bwrap(shutil.which("bwrap") or "bwrap"), python, "-I", "-S", "-c", harness]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            said, _ = process.communicate("\0".join((token, code, tests)).encode("utf-8", "replace"), timeout=timeout_s)
        except subprocess.TimeoutExpired:
            # Killing bubblewrap ends its PID namespace, and with it every process of the code's.
            process.kill()
            process.communicate()
            return False, f"no end within {timeout_s:g} s"
    text = said[:OUTPUT_BYTES].decode("utf-8", "replace")
    if text == f"PASS {token}":
        return True, "tests pass"
    return False, text.removeprefix("FAIL ")[:120] or "the sandboxed process died"
