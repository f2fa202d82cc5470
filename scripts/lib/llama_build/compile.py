"""Compiles llama.cpp from the pinned source package into a cache, and installs llama-cpp-python.

The key of the cache is the source's sha256, the CPU and the compiler: `-march=native` code of one
CPU must not run on another. A build gets its name when it is complete, so a killed one is never
used.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from functools import partial
from pathlib import Path
from typing import TextIO

from tqdm import tqdm

from scripts.lib.base.captured import run_captured
from scripts.lib.base.errors import BenchError
from scripts.lib.base.file_hashing import sha256_of
from scripts.lib.base.locks import locked
from scripts.lib.base.safe_files import write_atomic
from scripts.lib.llama_build.build import (
    CMAKE_ARGUMENTS,
    Build,
    bindings,
    checked_build,
    cpu_features,
    files_of,
    installed_build,
    pointer,
    write_record,
)
from scripts.lib.llama_build.identity import ENGINE_LOCK, EngineIdentity, engine_identity

CACHE_VARIABLE = "EPYC_BENCH_CACHE"
TARGETS = ("llama", "mtmd", "llama-server", "llama-bench")
BINDINGS_CMAKE_ARGUMENTS = "-DLLAMA_BUILD=OFF -DLLAVA_BUILD=OFF"
PIP = (sys.executable, "-m", "pip")
_STEP = re.compile(r"^\[(\d+)/(\d+)\]")


def cache_dir() -> Path:
    """Where builds are kept: EPYC_BENCH_CACHE, else ~/.cache/epyc-inference-bench."""
    return Path(os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "epyc-inference-bench")


def require_compilers() -> str:
    """The C++ compiler's version line. Raises BenchError naming what to install."""
    absent = [tool for tool in ("gcc", "g++") if shutil.which(tool) is None]
    if absent:
        tools = " and ".join(absent)
        raise BenchError(
            f"compiling llama.cpp needs {tools}: apt install gcc g++ (or your system's)"
        )
    return run_captured(["g++", "--version"]).stdout.splitlines()[0]


def build_dir(identity: EngineIdentity, compiler: str) -> Path:
    """The cache folder of this source on this CPU with this compiler."""
    cpu = hashlib.sha256(f"{cpu_features()}\n{compiler}".encode()).hexdigest()[:12]
    return cache_dir() / "llama.cpp" / f"{identity.source_sha256[:12]}-{cpu}"


def fetch_source(identity: EngineIdentity, progress: TextIO) -> Path:
    """The pinned source package, from the cache or through pip with its hash checked."""
    folder = cache_dir() / "sources"
    file = folder / f"llama_cpp_python-{identity.version}.tar.gz"
    if file.is_file() and sha256_of(file) == identity.source_sha256:
        return file
    folder.mkdir(parents=True, exist_ok=True)
    print(
        f"fetching llama-cpp-python {identity.version} (source, 77 MB)", file=progress, flush=True
    )
    argv = [*PIP, "download", "-qq", "--no-deps", "--no-binary", ":all:", "--no-build-isolation"]
    argv += ["--require-hashes", "-r", str(ENGINE_LOCK), "-d", str(folder)]
    _run(argv, "fetching the engine's source")
    found = sha256_of(file) if file.is_file() else "no file"
    if found != identity.source_sha256:
        raise BenchError(f"{file}: expected sha256 {identity.source_sha256}, found {found}")
    return file


def _environment() -> dict[str, str]:
    # cmake and ninja are packages of this environment, which may not be activated. pip must ignore
    # ~/.local.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": path, "PYTHONNOUSERSITE": "1"}


def _run(argv: list[str], what: str, extra: dict[str, str] | None = None) -> None:
    shown = run_captured(argv, env=_environment() | (extra or {}))
    if shown.returncode != 0:
        tail = "\n".join((shown.stdout + shown.stderr).strip().splitlines()[-20:])
        raise BenchError(f"{what} failed:\n{tail}")


def _compile(work: Path, log: Path, progress: TextIO) -> None:
    """Run ninja with a progress bar. Raises BenchError with the end of the log."""
    jobs = str(len(os.sched_getaffinity(0)))
    argv = ["cmake", "--build", str(work), "-j", jobs, "--target", *TARGETS]
    bar = tqdm(desc="compiling llama.cpp", unit="file", mininterval=2, file=progress)
    with log.open("w", encoding="utf-8") as sink, bar:
        process = subprocess.Popen(
            argv,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            env=_environment(),
        )
        assert process.stdout is not None
        for line in process.stdout:
            sink.write(line)
            sink.flush()  # without a terminal, only the log shows progress
            step = _STEP.match(line)
            if step:
                bar.total = int(step[2])
                bar.update(int(step[1]) - bar.n)
        code = process.wait()
    if code != 0:
        tail = "\n".join(log.read_text(encoding="utf-8").splitlines()[-20:])
        raise BenchError(f"compiling llama.cpp failed (whole log: {log}):\n{tail}")


def compile_engine(identity: EngineIdentity, compiler: str, target: Path, progress: TextIO) -> None:
    """Compile into a folder beside `target` and rename it into place when it is complete."""
    source = fetch_source(identity, progress)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".building-", dir=target.parent) as name:
        folder = Path(name)
        with tarfile.open(source) as archive:
            archive.extractall(folder, filter="data")
        tree = next(folder.glob("llama_cpp_python-*")) / "vendor" / "llama.cpp"
        work, done = folder / "build", folder / "done"
        _run(
            ["cmake", "-S", str(tree), "-B", str(work), "-G", "Ninja", *CMAKE_ARGUMENTS],
            "configuring llama.cpp",
        )
        _compile(work, target.with_suffix(".log"), progress)
        done.mkdir()
        bin_dir = (work / "bin").rename(done / "bin")
        made_from = (
            identity.version,
            identity.source_sha256,
            cpu_features(),
            compiler,
            CMAKE_ARGUMENTS,
        )
        write_record(Build(bin_dir, *made_from, files_of(bin_dir)))
        shutil.rmtree(target, ignore_errors=True)
        done.rename(target)


def _compile_if_needed(
    identity: EngineIdentity, compiler: str, target: Path, progress: TextIO
) -> None:
    if target.exists():
        try:
            checked_build(target / "bin", identity)
            return
        except BenchError as error:
            print(error, file=progress, flush=True)
    print(
        "compiling llama.cpp for this CPU: once, about ten minutes on two cores",
        file=progress,
        flush=True,
    )
    compile_engine(identity, compiler, target, progress)


def _install_bindings(identity: EngineIdentity, progress: TextIO) -> None:
    """Install llama-cpp-python without compiling llama.cpp again."""
    if bindings()[1] == identity.source_sha256:
        return
    print(f"installing llama-cpp-python {identity.version}", file=progress, flush=True)
    argv = [*PIP, "install", "-qq", "--no-deps", "--no-build-isolation", "--force-reinstall"]
    source = f"{fetch_source(identity, progress).as_uri()}#sha256={identity.source_sha256}"
    _run([*argv, source], "installing llama-cpp-python", {"CMAKE_ARGS": BINDINGS_CMAKE_ARGUMENTS})


def ensure_engine(progress: TextIO) -> Path:
    """Build and install what is missing. Returns the folder of the libraries and binaries."""
    identity = engine_identity("embedded")
    with contextlib.suppress(BenchError):
        return installed_build(identity).bin_dir
    compiler = require_compilers()
    target = build_dir(identity, compiler)
    waiting = partial(
        print, "waiting: another process is building the engine", file=progress, flush=True
    )
    with locked(target.with_suffix(".lock"), waiting):
        _compile_if_needed(identity, compiler, target, progress)
        _install_bindings(identity, progress)
        write_atomic(pointer(), json.dumps({"bin_dir": str(target / "bin")}) + "\n")
    return installed_build(identity).bin_dir
