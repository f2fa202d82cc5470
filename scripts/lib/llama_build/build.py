"""The one build of llama.cpp that both engines use, checked whenever it is used.

`llama_build.compile` makes the build in the cache, with a record beside its binaries. A Python
environment has a file for each kind of CPU, which points to the build. This module checks the
build: it is the one of envs/engine.lock, it is for this CPU, and no file was changed since it was
compiled. So the engine that a cell names is the engine that ran.
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
    # No AMX: gcc 12 assumes that _tile_loadconfig reads only eight bytes of its argument. It drops
    # the rows and columns that llama.cpp writes after them, and the first tile instruction ends the
    # engine with SIGILL on an Intel CPU.
    *("-DCMAKE_C_FLAGS=-U__AMX_INT8__", "-DCMAKE_CXX_FLAGS=-U__AMX_INT8__"),
)
_FEATURES_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Build:
    """A finished build and its inputs. `files`: name -> sha256 of a file, or target of a link."""

    bin_dir: Path
    version: str
    source_sha256: str
    cpu: str
    compiler: str
    cmake_arguments: tuple[str, ...]
    files: Mapping[str, str]

    def facts(self) -> dict[str, str]:
        """The engine's part of an environment record."""
        return {
            "version": self.version,
            "source_sha256": self.source_sha256,
            "compiler": self.compiler,
            "cmake_arguments": " ".join(self.cmake_arguments),
            "binaries": digest(self.files),
        }


def cpu_features() -> str:
    """Feature flags and CPU model, one line each: they decide the native code."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    wanted = {
        line.split(":")[0].strip(): line
        for line in lines
        if line.startswith(("model name", "flags", "Features"))
    }
    return "\n".join(wanted[key].split(":", 1)[1].strip() for key in sorted(wanted))


# --- the record beside a build ---


def files_of(bin_dir: Path) -> dict[str, str]:
    """Name -> sha256 of every file of a build, for a link its target. Reads about 20 MB."""
    found = {}
    for file in sorted(bin_dir.iterdir()):
        if file.is_symlink():
            found[file.name] = f"-> {file.readlink()}"
        elif file.is_file() and file.name != RECORD:
            found[file.name] = sha256_of(file)
    return found


def write_record(build: Build) -> None:
    """Write the record beside the binaries. The folder is left out: a complete build is moved."""
    record = asdict(build)
    del record["bin_dir"]
    (build.bin_dir / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _read_json(file: Path) -> dict[str, Any]:
    return strict_json(file.read_text(encoding="utf-8"), str(file))


def _read_record(bin_dir: Path) -> Build | None:
    """The build of a record; None if it cannot be read or has another form."""
    try:
        raw = _read_json(bin_dir / RECORD)
        build = Build(bin_dir, **raw | {"cmake_arguments": tuple(raw["cmake_arguments"])})
    except (OSError, ValueError, BenchError, TypeError, KeyError):
        return None
    texts = (build.version, build.source_sha256, build.cpu, build.compiler)
    well_formed = isinstance(build.files, dict) and all(isinstance(text, str) for text in texts)
    return build if well_formed else None


def checked_build(bin_dir: Path, wanted: EngineIdentity) -> Build:
    """The build in a folder. Raises BenchError if it is not the wanted engine for this CPU."""
    if not bin_dir.is_dir():
        raise BenchError(f"{bin_dir}: the engine is missing (was the cache cleared?)")
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
            f"{bin_dir}: changed since it was compiled: {', '.join(changed)} (changed, removed or "
            "added)"
        )
    return build


def _not_the_locks(what: str, version: str, sha256: str, wanted: EngineIdentity) -> BenchError:
    return BenchError(
        f"{what} {PACKAGE} {version} (sha256 {sha256[:12]}), {ENGINE_LOCK} has {wanted.version} "
        f"(sha256 {wanted.source_sha256[:12]})"
    )


def _cpu_difference(made_for: str, here: str) -> str:
    (flags, _, model), (flags_here, _, model_here) = made_for.partition("\n"), here.partition("\n")
    text = f"{model} (this one: {model_here})" if model != model_here else model
    for word, differ in (
        ("without", set(flags.split()) - set(flags_here.split())),
        ("with", set(flags_here.split()) - set(flags.split())),
    ):
        if differ:
            shown = ", ".join(sorted(differ)[:_FEATURES_SHOWN])
            more = ", …" if len(differ) > _FEATURES_SHOWN else ""
            text += f"; this one is {word} {shown}{more}"
    return text


# --- the build of this environment ---


def pointer() -> Path:
    """The file that names the build for this CPU: nodes of a cluster may share an environment."""
    cpu = hashlib.sha256(cpu_features().encode()).hexdigest()[:12]
    return Path(sys.prefix) / f"engine-{cpu}.json"


def bindings() -> tuple[str, str]:
    """(version, sha256 of the source) of the installed llama-cpp-python; empty texts if none."""
    try:
        package = importlib.metadata.distribution(PACKAGE)
        # pip writes this file if a package was installed from a file.
        note = strict_json(package.read_text("direct_url.json") or "{}", "direct_url.json")
    except (importlib.metadata.PackageNotFoundError, BenchError):
        return "", ""
    archive = note.get("archive_info", {})
    # Older versions of pip write `hash` only.
    old = archive.get("hash", "").removeprefix("sha256=")
    return package.version, archive.get("hashes", {}).get("sha256") or old


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


def _remedy() -> str:
    """How to get the engine of the lock into this environment."""
    if not (Path(sys.prefix) / "conda-meta").is_dir():
        return "run on this machine: make engine"
    if sha256_of(ENGINE_LOCK) not in POST_DEPLOY.read_text(encoding="utf-8"):
        return (
            f"put the output of `sha256sum {ENGINE_LOCK}` into {POST_DEPLOY}: snakemake --sdm "
            "conda then makes a new environment"
        )
    return f"run on this machine: {sys.executable} -m scripts.build_engine"


def installed_build(wanted: EngineIdentity | None = None) -> Build:
    """The build that this environment uses.

    Raises BenchError, with the command to run, if it is not the wanted engine (None: that of the
    lock), was compiled for another CPU, or was changed since then.
    """
    try:
        return _located_build(wanted or engine_identity("embedded"))
    except BenchError as error:
        raise BenchError(f"{error}; {_remedy()}") from error


def activate() -> None:
    """Make llama-cpp-python load the build's libraries. Call it before importing `llama_cpp`."""
    os.environ[LIBRARY_VARIABLE] = str(installed_build().bin_dir)


def server_binary() -> Path:
    """The llama-server of the same build as the in-process engine."""
    return installed_build().bin_dir / "llama-server"


def bench_binary() -> Path:
    """The llama-bench of the same build."""
    return installed_build().bin_dir / "llama-bench"


def engine_facts(planned: EngineIdentity) -> dict[str, str]:
    """The facts of the planned engine, as it is on disk, for the environment record.

    Raises BenchError if it was changed since it was planned: a job may have waited for hours.
    """
    if planned.binary is None:
        return installed_build(planned).facts()
    if binary_identity(planned.name, planned.binary) != planned:
        raise BenchError(
            f"{planned.binary}: changed since this job was planned; run again: its cells then have "
            "other names"
        )
    return {}
