"""The environment record that cells refer to: the machine and the software of a measurement."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from scripts.lib.base.captured import run_captured
from scripts.lib.base.errors import BenchError, suggest
from scripts.lib.base.layout import ENVIRONMENTS
from scripts.lib.base.safe_files import write_atomic
from scripts.lib.base.stored_json import Damaged, canonical_json, digest, read_stored, strict_json
from scripts.lib.llama_build.identity import EngineIdentity
from scripts.lib.machine.kernel_files import kernel_text
from scripts.lib.machine.profiles import NODES, OPENMP_NAME, Hardware, cpu_model, numa_nodes

MEMORY_BLOCKS = Path("/sys/devices/system/memory")


def _first_line(argv: list[str]) -> str | None:
    try:
        shown = run_captured(argv, 10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return (shown.stdout or shown.stderr).strip().split("\n", 1)[0] or None


def environment(
    hardware: Hardware,
    engine: EngineIdentity,
    engine_facts: Mapping[str, str],
    preflight: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The state of machine and software; None where this machine does not show it.

    `preflight`: the outcome of the checks before timing (`Preflight.record`). The record contains
    nothing that changes from minute to minute, so that equal conditions have one digest. It has no
    path and no host name.
    """
    frequency = "/sys/devices/system/cpu/cpu0/cpufreq"
    return {
        "engine": engine.spec() | {"source_sha256": engine.source_sha256} | dict(engine_facts),
        "hardware": hardware.spec() | {"name": hardware.name},
        "cpu": {
            "model": cpu_model(),
            "physical_cores": psutil.cpu_count(logical=False),
            "logical_cpus": psutil.cpu_count(),
            "microcode": _line("/proc/cpuinfo", "microcode"),
            "smt": kernel_text("/sys/devices/system/cpu/smt/active"),
            "governor": kernel_text(f"{frequency}/scaling_governor"),
            "boost": kernel_text("/sys/devices/system/cpu/cpufreq/boost"),
            "numa_nodes": kernel_text("/sys/devices/system/node/online"),
            "cpuset": _line("/proc/self/status", "Cpus_allowed_list"),
        },
        "memory": {
            "total_bytes": psutil.virtual_memory().total,
            "transparent_hugepage": kernel_text("/sys/kernel/mm/transparent_hugepage/enabled"),
            "nr_hugepages": kernel_text("/proc/sys/vm/nr_hugepages"),
            "numa_balancing": kernel_text("/proc/sys/kernel/numa_balancing"),
            "numa_topology": _numa_topology(),
        },
        "system": {
            "kernel": platform.release(),
            "libc": " ".join(platform.libc_ver()),
            "python": platform.python_version(),
            "compiler": _first_line(["gcc", "--version"]),
            "openmp": {
                key: value
                for key, value in sorted(os.environ.items())
                if OPENMP_NAME.fullmatch(key)
            },
        },
        "preflight": dict(preflight) if preflight is not None else None,
    }


def _node_memory(folder: Path) -> str | None:
    """The memory of a node, from its blocks (`MemTotal` shrinks while a host takes memory back)."""
    block_bytes = kernel_text(MEMORY_BLOCKS / "block_size_bytes")
    blocks = sum(1 for entry in folder.glob("memory[0-9]*"))
    return f"{int(block_bytes, 16) * blocks >> 30} GiB" if block_bytes and blocks else None


def _numa_topology() -> dict[str, dict[str, str | None]]:
    """CPUs, size and distances of each memory node, as in `numactl -H`, without free memory."""
    return {
        str(number): {
            "cpus": kernel_text(NODES / f"node{number}/cpulist"),
            "memory": _node_memory(NODES / f"node{number}"),
            "distances": kernel_text(NODES / f"node{number}/distance"),
        }
        for number in numa_nodes()
    }


def _line(file: str, key: str) -> str | None:
    """The first word of a `key: value` line."""
    found = re.search(rf"^{key}\s*:\s*(\S+)", kernel_text(file) or "", re.M)
    return found[1] if found else None


# The values that readers of an environment use.
_SECTIONS = {
    "cpu": ("model", "physical_cores", "logical_cpus"),
    "memory": ("total_bytes",),
    "system": ("kernel", "compiler"),
}


def environment_record(text: str, file: str) -> dict[str, Any]:
    """The record of an environment's text. Raises Damaged if name or sections do not fit."""
    record = strict_json(text, file)
    if digest(record) != Path(file).stem:
        raise Damaged(
            file, f"its content has the digest {digest(record)}: changed since it was written"
        )
    for section, keys in _SECTIONS.items():
        found = record.get(section)
        absent = [key for key in keys if not isinstance(found, dict) or key not in found]
        if absent:
            raise Damaged(file, f"expected {section}.{absent[0]}, found none")
    return record


def stored_environment(name: str, folder: Path = ENVIRONMENTS) -> dict[str, Any]:
    """The record of that digest. Raises Damaged, or FileNotFoundError if there is none."""
    file = folder / f"{name}.json"
    return environment_record(read_stored(file), str(file))


def read_environment(name: str, folder: Path = ENVIRONMENTS) -> tuple[str, dict[str, Any]]:
    """(digest, record), from a digest, the beginning of one, or a file. Raises BenchError."""
    file, known = Path(name), sorted(path.stem for path in folder.glob("*.json"))
    if not file.is_file():
        fitting = [digest for digest in known if digest.startswith(name)]
        if not fitting:
            raise BenchError(
                f"{folder}: no environment '{name}' and no such file{suggest(name, known)}"
            )
        if len(fitting) > 1:
            raise BenchError(
                f"{folder}: '{name}' is the beginning of {len(fitting)}: {', '.join(fitting)}"
            )
        file = folder / f"{fitting[0]}.json"
    return file.stem, environment_record(read_stored(file), str(file))


def store_environment(record: Mapping[str, Any], folder: Path = ENVIRONMENTS) -> str:
    """Write the record, named by its digest, if it is not stored yet. Returns the digest."""
    name = digest(record)
    path = folder / f"{name}.json"
    if not path.exists():
        write_atomic(path, canonical_json(record) + "\n")
    return name
