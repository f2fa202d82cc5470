"""The one build of llama.cpp: compiled from the pinned source package into a cache, used by both engines.

The cache is keyed by the source's sha256 and the CPU: `-march=native` code of one CPU must not run on another. A build
appears under its name only when it is complete, so a killed one is never used.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from tqdm import tqdm

from scripts.lib.engine_environment import LIBRARY_VARIABLE
from scripts.lib.errors import BenchError
from scripts.lib.provenance import ENGINE_LOCK, EngineIdentity, engine_identity
from scripts.lib.records import write_atomic

CACHE_VARIABLE = "EPYC_BENCH_CACHE"
TARGETS = ("llama", "mtmd", "llama-server", "llama-bench")
CMAKE_ARGUMENTS = (
    *("-DCMAKE_BUILD_TYPE=Release", "-DBUILD_SHARED_LIBS=ON", "-DGGML_NATIVE=ON", "-DGGML_CCACHE=OFF"),
    *("-DLLAMA_CURL=OFF", "-DLLAMA_OPENSSL=OFF", "-DLLAMA_BUILD_TESTS=OFF", "-DLLAMA_BUILD_EXAMPLES=OFF"),
    *("-DLLAMA_BUILD_UI=OFF", "-DCMAKE_BUILD_RPATH=$ORIGIN", "-DCMAKE_BUILD_RPATH_USE_ORIGIN=ON"),
)
BINDINGS_CMAKE_ARGUMENTS = "-DLLAMA_BUILD=OFF -DLLAVA_BUILD=OFF"
_STEP = re.compile(r"^\[(\d+)/(\d+)\]")


@dataclass(frozen=True, slots=True)
class Build:
    """A finished build: the folder with its libraries and binaries, and what it was made from."""

    bin_dir: str
    source_sha256: str
    cpu: str
    compiler: str
    cmake_arguments: tuple[str, ...]


def cache_dir() -> Path:
    """Where builds are kept: EPYC_BENCH_CACHE, else ~/.cache/epyc-inference-bench."""
    return Path(os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "epyc-inference-bench")


def _marker() -> Path:
    return Path(sys.prefix) / "engine.json"


def installed_build() -> Build:
    """The build this environment uses. Raises BenchError where none was made yet."""
    try:
        raw = json.loads(_marker().read_text(encoding="utf-8"))
        build = Build(**{**raw, "cmake_arguments": tuple(raw["cmake_arguments"])})
    except (OSError, ValueError, TypeError, KeyError):
        raise BenchError("llama.cpp is not built in this environment yet: run: make engine") from None
    if not (Path(build.bin_dir) / "libllama.so").exists():
        raise BenchError(f"{build.bin_dir}: the engine's libraries are gone (was the cache cleared?): run: make engine")
    return build


def activate() -> None:
    """Make llama-cpp-python load the cached build's libraries. To be called before `llama_cpp` is imported."""
    os.environ[LIBRARY_VARIABLE] = installed_build().bin_dir


def server_binary() -> Path:
    """The llama-server of the same build as the in-process engine."""
    return Path(installed_build().bin_dir) / "llama-server"


def bench_binary() -> Path:
    """The llama-bench of the same build."""
    return Path(installed_build().bin_dir) / "llama-bench"


def cpu_features() -> str:
    """CPU model and feature flags, as compiled-for: the part of /proc/cpuinfo that decides native code."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    wanted = {
        line.split(":")[0].strip(): line for line in lines if line.startswith(("model name", "flags", "Features"))
    }
    return "\n".join(wanted[key].split(":", 1)[1].strip() for key in sorted(wanted))


def require_compilers() -> str:
    """The C++ compiler's version line. Raises BenchError naming what to install."""
    absent = [tool for tool in ("gcc", "g++") if shutil.which(tool) is None]
    if absent:
        raise BenchError(f"compiling llama.cpp needs {' and '.join(absent)}: apt install gcc g++ (or your system's)")
    shown = subprocess.run(["g++", "--version"], capture_output=True, encoding="utf-8", errors="replace", check=True)
    return shown.stdout.splitlines()[0]


def build_dir(identity: EngineIdentity, compiler: str) -> Path:
    """The cache folder of this source on this CPU with this compiler."""
    cpu = hashlib.sha256(f"{cpu_features()}\n{compiler}".encode()).hexdigest()[:12]
    return cache_dir() / "llama.cpp" / f"{identity.source_sha256[:12]}-{cpu}"


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("waiting: another process is building the engine", flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def fetch_source(identity: EngineIdentity) -> Path:
    """The pinned source package, from the cache or through pip with its hash checked."""
    folder = cache_dir() / "sources"
    file = folder / f"llama_cpp_python-{identity.version}.tar.gz"
    if file.is_file() and _sha256(file) == identity.source_sha256:
        return file
    folder.mkdir(parents=True, exist_ok=True)
    print(f"fetching llama-cpp-python {identity.version} (source, 77 MB)", flush=True)
    argv = [sys.executable, "-m", "pip", "download", "-qq", "--no-deps", "--no-binary", ":all:", "--no-build-isolation"]
    _run([*argv, "--require-hashes", "-r", str(ENGINE_LOCK), "-d", str(folder)], "fetching the engine's source")
    if not file.is_file() or _sha256(file) != identity.source_sha256:
        raise BenchError(f"{file}: expected sha256 {identity.source_sha256}, found {_sha256(file)}")
    return file


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _environment() -> dict[str, str]:
    # cmake and ninja come from the environment's own packages, whether it is activated or not.
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def _run(argv: list[str], what: str, extra: dict[str, str] | None = None) -> None:
    shown = subprocess.run(
        argv, capture_output=True, encoding="utf-8", errors="replace", check=False, env=_environment() | (extra or {})
    )
    if shown.returncode != 0:
        tail = "\n".join((shown.stdout + shown.stderr).strip().splitlines()[-20:])
        raise BenchError(f"{what} failed:\n{tail}")


def _compile(work: Path, log: Path) -> None:
    """Run ninja with a progress bar. Raises BenchError with the end of the log."""
    jobs = str(len(os.sched_getaffinity(0)))
    argv = ["cmake", "--build", str(work), "-j", jobs, "--target", *TARGETS]
    with log.open("w", encoding="utf-8") as sink, tqdm(desc="compiling llama.cpp", unit="file", mininterval=2) as bar:
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
            step = _STEP.match(line)
            if step:
                bar.total = int(step[2])
                bar.update(int(step[1]) - bar.n)
        if process.wait() != 0:
            tail = "\n".join(log.read_text(encoding="utf-8").splitlines()[-20:])
            raise BenchError(f"compiling llama.cpp failed (whole log: {log}):\n{tail}")


def compile_engine(identity: EngineIdentity, compiler: str, target: Path) -> None:
    """Compile into a folder beside `target` and rename it into place when it is complete."""
    source = fetch_source(identity)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".building-", dir=target.parent) as name:
        folder = Path(name)
        with tarfile.open(source) as archive:
            archive.extractall(folder, filter="data")
        tree = next(folder.glob("llama_cpp_python-*")) / "vendor" / "llama.cpp"
        work = folder / "build"
        log = target.with_suffix(".log")
        _run(["cmake", "-S", str(tree), "-B", str(work), "-G", "Ninja", *CMAKE_ARGUMENTS], "configuring llama.cpp")
        _compile(work, log)
        build = Build(str(target / "bin"), identity.source_sha256, cpu_features(), compiler, CMAKE_ARGUMENTS)
        (work / "bin" / "build.json").write_text(json.dumps(asdict(build), indent=2) + "\n", encoding="utf-8")
        staged = folder / "done"
        staged.mkdir()
        (work / "bin").rename(staged / "bin")
        shutil.rmtree(target, ignore_errors=True)
        staged.rename(target)


def _install_bindings(identity: EngineIdentity) -> None:
    """Install llama-cpp-python without compiling llama.cpp again."""
    stamp = Path(sys.prefix) / f"bindings-{identity.source_sha256[:12]}"
    if stamp.exists():
        return
    print(f"installing llama-cpp-python {identity.version}", flush=True)
    argv = [sys.executable, "-m", "pip", "install", "-qq", "--no-deps", "--no-build-isolation", "--force-reinstall"]
    _run([*argv, str(fetch_source(identity))], "installing llama-cpp-python", {"CMAKE_ARGS": BINDINGS_CMAKE_ARGUMENTS})
    stamp.touch()


def ensure_engine() -> Path:
    """Build and install what is missing; gives the folder of the libraries and binaries. Cheap when all is there."""
    identity, compiler = engine_identity("embedded"), require_compilers()
    target = build_dir(identity, compiler)
    with _locked(target.with_suffix(".lock")):
        if not (target / "bin" / "build.json").is_file():
            print("compiling llama.cpp for this CPU: once, about ten minutes on two cores", flush=True)
            compile_engine(identity, compiler, target)
        _install_bindings(identity)
    build = Build(str(target / "bin"), identity.source_sha256, cpu_features(), compiler, CMAKE_ARGUMENTS)
    write_atomic(_marker(), json.dumps(asdict(build), indent=2) + "\n")
    return target / "bin"
