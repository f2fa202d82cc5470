"""Hardware profiles: threads, CPU set and NUMA policy of the machine that is measured."""

from __future__ import annotations

import hashlib
import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml

from scripts.lib.errors import BenchError, InputErrors, Problem, suggest

PROFILES = Path("config/hardware")
AUTO = "auto"
LOCAL_PREFIX = "local-"
REQUIRED = ("threads", "batch_threads", "cpus", "numa")
KEYS = (*REQUIRED, "bandwidth_gb_per_s")
NUMA_POLICY = re.compile(r"(interleave|membind|cpunodebind|preferred)=[0-9a-z,-]+")
CPU_LIST = re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*")


@dataclass(frozen=True, slots=True)
class Hardware:
    """A named profile. `cpus` is a CPU list such as `0-95` (None: not pinned); `numa` a numactl policy (None: none).

    `bandwidth_gb_per_s` is the memory's, for the physics gate (10^9 bytes; None: unknown, the gate lets speeds pass).
    """

    name: str
    threads: int
    batch_threads: int
    cpus: str | None
    numa: str | None
    bandwidth_gb_per_s: float | None = None

    def spec(self) -> dict[str, Any]:
        """The part of a cell's spec that pins the machine's use; the name is in the cell's path."""
        return {key: getattr(self, key) for key in REQUIRED}


def cpu_model() -> str:
    """The CPU's marketing name, as the kernel gives it."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _machine_id() -> str:
    for file in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        try:
            text = Path(file).read_text(encoding="utf-8").strip()
        except OSError:
            continue
        if text:
            return text
    return platform.node()


def local_profile() -> Hardware:
    """A profile of this machine: one thread per physical core that this process may use."""
    usable = len(os.sched_getaffinity(0))
    cores = min(psutil.cpu_count(logical=False) or usable, usable)
    slug = re.sub(r"[^a-z0-9]+", "-", cpu_model().lower()).strip("-")[:40]
    tag = hashlib.sha256(_machine_id().encode()).hexdigest()[:6]
    return Hardware(f"{LOCAL_PREFIX}{slug}-{cores}c-{tag}", cores, cores, None, None)


def profile_names(folder: Path = PROFILES) -> tuple[str, ...]:
    """Names of the profiles in `config/hardware/`."""
    return tuple(sorted(path.stem for path in folder.glob("*.yaml")))


def parse_cpus(text: str) -> frozenset[int]:
    """The CPUs of a list such as `0-3,8`. Raises BenchError when it is no such list."""
    if not CPU_LIST.fullmatch(text):
        raise BenchError(f"CPU list: expected ranges such as 0-3,8, found {text!r}")
    cpus: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        cpus.update(range(int(first), int(last or first) + 1))
    return frozenset(cpus)


def _check(raw: object, file: str) -> list[Problem]:
    if not isinstance(raw, dict):
        return [Problem(file, "", f"expected a mapping, found {type(raw).__name__}")]
    problems = [Problem(file, str(key), f"unknown key{suggest(key, KEYS)}") for key in raw if key not in KEYS]
    problems += [Problem(file, key, "is missing") for key in REQUIRED if key not in raw]
    for key in ("threads", "batch_threads"):
        value = raw.get(key)
        if key in raw and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            problems.append(Problem(file, key, f"expected a number of threads of at least 1, found {value!r}"))
    for key, form, example in (("cpus", CPU_LIST, "0-95"), ("numa", NUMA_POLICY, "interleave=all")):
        value = raw.get(key)
        if value is not None and not form.fullmatch(str(value)):
            problems.append(Problem(file, key, f"expected null or such as {example}, found {value!r}"))
    bandwidth = raw.get("bandwidth_gb_per_s")
    if bandwidth is not None and (
        isinstance(bandwidth, bool) or not isinstance(bandwidth, (int, float)) or bandwidth <= 0
    ):
        problems.append(Problem(file, "bandwidth_gb_per_s", f"expected GB/s above 0, found {bandwidth!r}"))
    return problems


def load_hardware(name: str, folder: Path = PROFILES) -> Hardware:
    """The profile of that name, or this machine's for `auto` and for its own local name."""
    if name == AUTO:
        return local_profile()
    file = folder / f"{name}.yaml"
    if not file.is_file():
        local = local_profile()
        if name == local.name:
            return local
        raise BenchError(f"hardware: no profile '{name}' in {folder}/{suggest(name, (*profile_names(folder), AUTO))}")
    try:
        raw = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise BenchError(f"{file}: not YAML: {' '.join(str(error).split())}") from error
    problems = _check(raw, str(file))
    if problems:
        raise InputErrors(problems)
    cpus = None if raw["cpus"] is None else str(raw["cpus"])
    bandwidth = raw.get("bandwidth_gb_per_s")
    return Hardware(name, raw["threads"], raw["batch_threads"], cpus, raw["numa"], bandwidth)
