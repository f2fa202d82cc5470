"""The one build of llama.cpp that both engines use: what it was made from, and the proof that it is still that.

A build stands in the cache with a record beside its binaries (engine_compile makes both); an
environment has a file that points to it, one for each kind of CPU that runs in it. Whoever uses the
build gets it from here, checked: it is the lock's, for this CPU, and every file of it is as it was
compiled. So what a cell says of its engine is what ran.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scripts.lib.base.errors import BenchError
from scripts.lib.base.file_hashing import sha256_of
from scripts.lib.base.stored_json import digest, strict_json
from scripts.lib.llama_build.identity import (
    ENGINE_LOCK,
    EngineIdentity,
    binary_identity,
    engine_identity,
)
from scripts.lib.llama_build.variables import LIBRARY_VARIABLE

PACKAGE = "llama-cpp-python"
RECORD = "build.json"
POST_DEPLOY = Path("envs/infer.post-deploy.sh")
CMAKE_ARGUMENTS = (
    *(
        "-DCMAKE_BUILD_TYPE=Release",
        "-DBUILD_SHARED_LIBS=ON",
        "-DGGML_NATIVE=ON",
        "-DGGML_CCACHE=OFF",
    ),
    *(
        "-DLLAMA_CURL=OFF",
        "-DLLAMA_OPENSSL=OFF",
        "-DLLAMA_BUILD_TESTS=OFF",
        "-DLLAMA_BUILD_EXAMPLES=OFF",
    ),
    *("-DLLAMA_BUILD_UI=OFF", "-DCMAKE_BUILD_RPATH=$ORIGIN", "-DCMAKE_BUILD_RPATH_USE_ORIGIN=ON"),
    # No AMX: as far as gcc 12 knows, _tile_loadconfig reads eight bytes of its argument. The rows
    # and columns that llama.cpp writes behind them are then left out, and an Intel CPU ends the
    # engine with SIGILL at the first tile instruction.
    *("-DCMAKE_C_FLAGS=-U__AMX_INT8__", "-DCMAKE_CXX_FLAGS=-U__AMX_INT8__"),
)
_FEATURES_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Build:
    """A finished build, and what it was made from. `files`: name -> sha256 of a file, target of a link."""

    bin_dir: Path
    version: str
    source_sha256: str
    cpu: str
    compiler: str
    cmake_arguments: tuple[str, ...]
    files: Mapping[str, str]

    def facts(self) -> dict[str, str]:
        """What an environment's record says of the engine that ran."""
        return {
            "version": self.version,
            "source_sha256": self.source_sha256,
            "compiler": self.compiler,
            "cmake_arguments": " ".join(self.cmake_arguments),
            "binaries": digest(self.files),
        }


def cpu_features() -> str:
    """Feature flags and CPU model, the part of /proc/cpuinfo that decides native code: a line each."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    wanted = {
        line.split(":")[0].strip(): line
        for line in lines
        if line.startswith(("model name", "flags", "Features"))
    }
    return "\n".join(wanted[key].split(":", 1)[1].strip() for key in sorted(wanted))


# --- the record beside a build ---


def files_of(bin_dir: Path) -> dict[str, str]:
    """Name -> sha256 of every file of a build, for a link its target. Some 20 MB: a few hundredths of a second."""
    found = {}
    for file in sorted(bin_dir.iterdir()):
        if file.is_symlink():
            found[file.name] = f"-> {file.readlink()}"
        elif file.is_file() and file.name != RECORD:
            found[file.name] = sha256_of(file)
    return found


def write_record(build: Build) -> None:
    """Write it beside its binaries, without the folder: the build is moved to its place when it is complete."""
    record = asdict(build)
    del record["bin_dir"]
    (build.bin_dir / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _read_json(file: Path) -> dict[str, Any]:
    return strict_json(file.read_text(encoding="utf-8"), str(file))


def _read_record(bin_dir: Path) -> Build | None:
    """None where it cannot be read, or is not of this form."""
    try:
        raw = _read_json(bin_dir / RECORD)
        build = Build(bin_dir, **raw | {"cmake_arguments": tuple(raw["cmake_arguments"])})
    except (OSError, ValueError, BenchError, TypeError, KeyError):
        return None
    texts = (build.version, build.source_sha256, build.cpu, build.compiler)
    well_formed = isinstance(build.files, dict) and all(isinstance(text, str) for text in texts)
    return build if well_formed else None


def checked_build(bin_dir: Path, wanted: EngineIdentity) -> Build:
    """The build in a folder, where it may be used as the wanted engine on this CPU. Raises BenchError with the reason."""
    if not bin_dir.is_dir():
        raise BenchError(f"{bin_dir}: the engine is not there any more (was the cache cleared?)")
    build = _read_record(bin_dir)
    if build is None:
        raise BenchError(f"{bin_dir / RECORD}: no record of what the engine was made from")
    if build.source_sha256 != wanted.source_sha256:
        raise _not_the_locks(
            f"{bin_dir}: the engine here is", build.version, build.source_sha256, wanted
        )
    if build.cpu != cpu_features():
        raise BenchError(
            f"{bin_dir}: compiled for another CPU: {_cpu_difference(build.cpu, cpu_features())}"
        )
    if build.cmake_arguments != CMAKE_ARGUMENTS:
        differ = sorted(set(build.cmake_arguments) ^ set(CMAKE_ARGUMENTS))
        raise BenchError(
            f"{bin_dir}: compiled with other arguments than this checkout's: {' '.join(differ)}"
        )
    files = files_of(bin_dir)
    changed = sorted(
        name for name in {*files, *build.files} if files.get(name) != build.files.get(name)
    )
    if changed:
        raise BenchError(
            f"{bin_dir}: not as it was compiled: {', '.join(changed)} changed, gone or added"
        )
    return build


def _not_the_locks(what: str, version: str, sha256: str, wanted: EngineIdentity) -> BenchError:
    return BenchError(
        f"{what} {PACKAGE} {version} (sha256 {sha256[:12]}), {ENGINE_LOCK} has {wanted.version} "
        f"(sha256 {wanted.source_sha256[:12]})"
    )


def _cpu_difference(made_for: str, here: str) -> str:
    (flags, _, model), (flags_here, _, model_here) = made_for.partition("\n"), here.partition("\n")
    said = f"{model} (this one: {model_here})" if model != model_here else model
    for word, differ in (
        ("without", set(flags.split()) - set(flags_here.split())),
        ("with", set(flags_here.split()) - set(flags.split())),
    ):
        if differ:
            shown = ", ".join(sorted(differ)[:_FEATURES_SHOWN])
            said += f"; this one is {word} {shown}" + (
                ", …" if len(differ) > _FEATURES_SHOWN else ""
            )
    return said


# --- the build of this environment ---


def pointer() -> Path:
    """The file that names this environment's build for this CPU: nodes of two kinds may share one environment."""
    return (
        Path(sys.prefix) / f"engine-{hashlib.sha256(cpu_features().encode()).hexdigest()[:12]}.json"
    )


def bindings() -> tuple[str, str]:
    """(version, sha256 of the source) of the llama-cpp-python that this environment has; empty where it has none."""
    try:
        package = importlib.metadata.distribution(PACKAGE)
        # What pip notes of a package that was installed from a file: older ones as one text, newer
        # ones also by kind.
        archive = strict_json(package.read_text("direct_url.json") or "{}", "direct_url.json").get(
            "archive_info", {}
        )
    except (importlib.metadata.PackageNotFoundError, BenchError):
        return "", ""
    return package.version, archive.get("hashes", {}).get("sha256") or archive.get(
        "hash", ""
    ).removeprefix("sha256=")


def _located_build(wanted: EngineIdentity) -> Build:
    try:
        bin_dir = Path(_read_json(pointer())["bin_dir"])
    except (OSError, ValueError, BenchError, TypeError, KeyError):
        raise BenchError("llama.cpp is not built in this environment for this CPU yet") from None
    build = checked_build(bin_dir, wanted)
    version, sha256 = bindings()
    if sha256 != wanted.source_sha256:
        raise _not_the_locks(
            "the bindings installed here are", version or "(none)", sha256 or "unknown", wanted
        )
    return build


def _mend() -> str:
    """The command that makes this environment's engine the lock's."""
    if not (Path(sys.prefix) / "conda-meta").is_dir():
        return "run on this machine: make engine"
    if sha256_of(ENGINE_LOCK) not in POST_DEPLOY.read_text(encoding="utf-8"):
        return (
            f"put what `sha256sum {ENGINE_LOCK}` prints into {POST_DEPLOY}: snakemake --sdm conda then makes the "
            "environment anew"
        )
    return f"run on this machine: {sys.executable} -m scripts.build_engine"


def installed_build(wanted: EngineIdentity | None = None) -> Build:
    """The build that this environment uses.

    Raises BenchError, with the command that mends it, where it is not the wanted engine (None: what
    the lock has now), was compiled for another CPU, or was changed since.
    """
    try:
        return _located_build(wanted or engine_identity("embedded"))
    except BenchError as error:
        raise BenchError(f"{error}; {_mend()}") from error


def activate() -> None:
    """Make llama-cpp-python load the build's libraries. To be called before `llama_cpp` is imported."""
    os.environ[LIBRARY_VARIABLE] = str(installed_build().bin_dir)


def server_binary() -> Path:
    """The llama-server of the same build as the in-process engine."""
    return installed_build().bin_dir / "llama-server"


def bench_binary() -> Path:
    """The llama-bench of the same build."""
    return installed_build().bin_dir / "llama-bench"


def engine_facts(planned: EngineIdentity) -> dict[str, str]:
    """What is on disk of the planned engine, as an environment's record has it.

    Raises BenchError where that is another engine than the one the cells were planned with: a job
    may have waited for hours.
    """
    if planned.binary is None:
        return installed_build(planned).facts()
    if binary_identity(planned.name, planned.binary) != planned:
        raise BenchError(
            f"{planned.binary}: changed since this job was planned: run it again, its cells get other names"
        )
    return {}
