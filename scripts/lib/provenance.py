"""Where numbers come from: the engine's pinned identity, and the environment record that cells refer to."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from scripts.lib.engine_environment import engine_environment
from scripts.lib.errors import BenchError, suggest
from scripts.lib.hardware import NODES, OPENMP_NAME, Hardware, cpu_model, numa_nodes
from scripts.lib.hashing import sha256_of
from scripts.lib.records import Damaged, canonical_json, digest, read_stored, strict_json, write_atomic

ENGINE_LOCK = Path("envs/engine.lock")
ENVIRONMENTS = Path("benchmarks/results/environments")
MEMORY_BLOCKS = Path("/sys/devices/system/memory")
_ENGINE_LIBRARY = re.compile(r"lib(llama|ggml|mtmd)")
_PIN = re.compile(r"^llama-cpp-python==(?P<version>[^\s;\\]+).*?--hash=sha256:(?P<sha256>[0-9a-f]{64})", re.S | re.M)


@dataclass(frozen=True, slots=True)
class EngineIdentity:
    """Name (`embedded` or `server`), version, and the sha256 of the source (or of a binary that was not built here).

    `binary` is that binary's path; None for the build of this project.
    """

    name: str
    version: str
    source_sha256: str
    binary: Path | None = None

    def spec(self) -> dict[str, Any]:
        return {"name": self.name, "version": self.version, "source": self.source_sha256[:12]}


def engine_identity(name: str, lock: Path = ENGINE_LOCK) -> EngineIdentity:
    """The identity pinned in the lock file: known before, and without, any build."""
    found = _PIN.search(lock.read_text(encoding="utf-8"))
    if found is None:
        raise BenchError(f"{lock}: expected a line 'llama-cpp-python==VERSION --hash=sha256:…', found none")
    return EngineIdentity(name, found["version"], found["sha256"])


def binary_identity(name: str, binary: Path) -> EngineIdentity:
    """The identity of a llama-server that was not built here: what it says of itself, and the sha256 of what it is made of."""
    if not binary.is_file():
        raise BenchError(
            f"config: server_binary: no such binary: {binary}; build one: make engine, server_binary: built"
        )
    variables = engine_environment(os.environ)
    try:
        shown = subprocess.run(
            [str(binary), "--version"],
            env=variables,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchError(f"{binary}: cannot be asked for its --version: {error}") from error
    lines = (shown.stderr + shown.stdout).strip().splitlines()
    version = next((line for line in lines if line.startswith("version")), lines[0] if lines else "unknown")
    return EngineIdentity(name, version[:100], _binary_sha256(binary), binary)


def _binary_sha256(binary: Path) -> str:
    """Of a binary alone its sha256; of one that loads llama.cpp as libraries (all its code is there) one of all together."""
    libraries = _libraries(binary)
    if not libraries:
        return sha256_of(binary)
    parts = [(file.name, sha256_of(file)) for file in (binary, *libraries)]
    return hashlib.sha256(canonical_json(parts).encode()).hexdigest()


def _libraries(binary: Path) -> list[Path]:
    """llama.cpp's libraries of a binary: those that the loader finds, and the backends beside it that it opens itself."""
    variables = engine_environment(os.environ)
    shown = subprocess.run(["ldd", str(binary)], env=variables, capture_output=True, timeout=60, check=False)
    linked = {Path(file) for file in re.findall(r"=> (/.*) \(0x", os.fsdecode(shown.stdout))}
    beside = set(binary.resolve().parent.glob("*.so*"))
    return sorted({file.resolve() for file in linked | beside if _ENGINE_LIBRARY.match(file.name)})


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return None


def _first_line(argv: list[str]) -> str | None:
    try:
        shown = subprocess.run(argv, capture_output=True, encoding="utf-8", errors="replace", timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return (shown.stdout or shown.stderr).strip().split("\n", 1)[0] or None


def environment(
    hardware: Hardware,
    engine: EngineIdentity,
    engine_facts: Mapping[str, str],
    preflight: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What the machine and the software were, as far as they can be read (null: not to be had here).

    `preflight`: how fit the machine was to be timed (`Preflight.record`). Holds nothing that changes from minute to
    minute, so that equal conditions have one digest, and no path or host name.
    """
    frequency = "/sys/devices/system/cpu/cpu0/cpufreq"
    return {
        "engine": engine.spec() | {"source_sha256": engine.source_sha256} | dict(engine_facts),
        "hardware": hardware.spec() | {"name": hardware.name},
        "cpu": {
            "model": cpu_model(),
            "physical_cores": psutil.cpu_count(logical=False),
            "logical_cpus": psutil.cpu_count(),
            "microcode": _microcode(),
            "smt": _read("/sys/devices/system/cpu/smt/active"),
            "governor": _read(f"{frequency}/scaling_governor"),
            "boost": _read("/sys/devices/system/cpu/cpufreq/boost"),
            "numa_nodes": _read("/sys/devices/system/node/online"),
            "cpuset": _status("Cpus_allowed_list"),
        },
        "memory": {
            "total_bytes": psutil.virtual_memory().total,
            "transparent_hugepage": _read("/sys/kernel/mm/transparent_hugepage/enabled"),
            "nr_hugepages": _read("/proc/sys/vm/nr_hugepages"),
            "numa_balancing": _read("/proc/sys/kernel/numa_balancing"),
            "numa_topology": _numa_topology(),
        },
        "system": {
            "kernel": platform.release(),
            "libc": " ".join(platform.libc_ver()),
            "python": platform.python_version(),
            "compiler": _first_line(["gcc", "--version"]),
            "openmp": {key: value for key, value in sorted(os.environ.items()) if OPENMP_NAME.fullmatch(key)},
        },
        "preflight": dict(preflight) if preflight is not None else None,
    }


def _status(key: str) -> str | None:
    found = re.search(rf"^{key}:\s*(\S+)", _read("/proc/self/status") or "", re.M)
    return found[1] if found else None


def _node_memory(folder: Path) -> str | None:
    """The memory of a node, from its blocks: `MemTotal` of its meminfo shrinks while a host takes memory back from a VM."""
    block_bytes = _read(str(MEMORY_BLOCKS / "block_size_bytes"))
    blocks = sum(1 for entry in folder.glob("memory[0-9]*"))
    return f"{int(block_bytes, 16) * blocks >> 30} GiB" if block_bytes and blocks else None


def _numa_topology() -> dict[str, dict[str, str | None]]:
    """CPUs, size and distances of each memory node: what `numactl -H` prints, without what is free at the moment."""
    return {
        str(number): {
            "cpus": _read(str(NODES / f"node{number}/cpulist")),
            "memory": _node_memory(NODES / f"node{number}"),
            "distances": _read(str(NODES / f"node{number}/distance")),
        }
        for number in numa_nodes()
    }


def _microcode() -> str | None:
    found = re.search(r"^microcode\s*:\s*(\S+)", _read("/proc/cpuinfo") or "", re.M)
    return found[1] if found else None


# What readers of an environment look at.
_SECTIONS = {
    "cpu": ("model", "physical_cores", "logical_cpus"),
    "memory": ("total_bytes",),
    "system": ("kernel", "compiler"),
}


def environment_record(text: str, file: str) -> dict[str, Any]:
    """The record of an environment's text. Raises Damaged where its name, or the sections that readers look at, do not fit."""
    record = strict_json(text, file)
    if digest(record) != Path(file).stem:
        raise Damaged(file, f"its content has the digest {digest(record)}: changed since it was written")
    for section, keys in _SECTIONS.items():
        found = record.get(section)
        absent = [key for key in keys if not isinstance(found, dict) or key not in found]
        if absent:
            raise Damaged(file, f"expected {section}.{absent[0]}, found none")
    return record


def stored_environment(name: str, folder: Path = ENVIRONMENTS) -> dict[str, Any]:
    """The record of that digest. Raises Damaged, or FileNotFoundError where it is not in the tree."""
    file = folder / f"{name}.json"
    return environment_record(read_stored(file), str(file))


def read_environment(name: str, folder: Path = ENVIRONMENTS) -> tuple[str, dict[str, Any]]:
    """(digest, record) of a digest, the beginning of one, or an environment's file. Raises BenchError."""
    file, known = Path(name), sorted(path.stem for path in folder.glob("*.json"))
    if not file.is_file():
        fitting = [digest for digest in known if digest.startswith(name)]
        if not fitting:
            raise BenchError(f"{folder}: no environment '{name}' and no such file{suggest(name, known)}")
        if len(fitting) > 1:
            raise BenchError(f"{folder}: '{name}' is the beginning of {len(fitting)}: {', '.join(fitting)}")
        file = folder / f"{fitting[0]}.json"
    return file.stem, environment_record(read_stored(file), str(file))


def store_environment(record: Mapping[str, Any], folder: Path = ENVIRONMENTS) -> str:
    """Write the record under its digest (once) and give the digest back."""
    name = digest(record)
    path = folder / f"{name}.json"
    if not path.exists():
        write_atomic(path, canonical_json(record) + "\n")
    return name
