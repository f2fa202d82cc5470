"""Hardware profiles: threads, the CPUs they run on, memory policy, priority, OpenMP variables."""

from __future__ import annotations

import hashlib
import math
import os
import platform
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.lib.base.errors import BenchError, InputErrors, shown, suggest
from scripts.lib.base.yaml_file import read_whole
from scripts.lib.machine.kernel_files import kernel_text

PROFILES = Path("config/hardware")
NODES, CPUS = Path("/sys/devices/system/node"), Path("/sys/devices/system/cpu")
AUTO = "auto"
LOCAL_PREFIX = "local-"
REQUIRED = ("threads",)
NUMA_POLICY = re.compile(r"(interleave|membind|cpunodebind|preferred)=[0-9a-z,-]+")
CPU_LIST = re.compile(r"[0-9]{1,6}(-[0-9]{1,6})?(,[0-9]{1,6}(-[0-9]{1,6})?)*")
OPENMP_NAME = re.compile(r"(OMP|GOMP|KMP)_[A-Z_]+")
HUGE_PAGES = ("always", "madvise", "never")
MOST_NICE, LEAST_NICE = -20, 19
# More than any machine has: a typo is an error instead of a request for that many threads.
MOST_CPUS = 65_536


@dataclass(frozen=True, slots=True)
class Hardware:
    """A named profile.

    `cpus`: a CPU list such as `0-95` (None: not pinned). `numa`: a numactl policy (None: none).
    `strict`: the i-th compute thread runs on the i-th CPU of `cpus` only. `nice`: the priority of
    the process. `openmp`: the OMP_* variables; none are inherited. `huge_pages`: transparent huge
    pages (None: the machine's setting). `bandwidth_gb_per_s`: of the memory, in 10^9 bytes, to find
    impossible speeds (None: not known, no check). `partition`: the cluster's partition for jobs of
    this profile. `node_cpus`: how many CPUs a node has for the cluster (None: those of `cpus`).
    """

    name: str
    threads: int
    batch_threads: int
    cpus: str | None
    numa: str | None
    bandwidth_gb_per_s: float | None = None
    strict: bool = False
    nice: int = 0
    openmp: tuple[tuple[str, str], ...] = ()
    huge_pages: str | None = None
    partition: str | None = None
    node_cpus: int | None = None

    def spec(self) -> dict[str, Any]:
        """The part of a cell's spec that says how the machine is used, without the name.

        Defaults are left out, so that a new key makes no measurement stale.
        """
        spec: dict[str, Any] = {
            key: getattr(self, key) for key in ("threads", "batch_threads", "cpus", "numa")
        }
        optional = {
            "strict": self.strict,
            "nice": self.nice,
            "openmp": dict(self.openmp),
            "huge_pages": self.huge_pages,
        }
        return spec | {key: value for key, value in optional.items() if value}

    @property
    def is_local(self) -> bool:
        """True for a profile that was made from this machine and is valid only there."""
        return self.name.startswith(LOCAL_PREFIX)


def cpu_model() -> str:
    """The CPU's name, as the kernel gives it."""
    found = re.search(r"^model name.*?:(.*)", kernel_text("/proc/cpuinfo") or "", re.M)
    return found[1].strip() if found else platform.processor() or platform.machine()


def _machine_id() -> str:
    known = kernel_text("/etc/machine-id") or kernel_text("/var/lib/dbus/machine-id")
    return known or platform.node()


def _one_per_core(usable: frozenset[int]) -> frozenset[int]:
    """The first usable CPU of every core (all CPUs if the kernel does not list siblings)."""
    chosen, taken = set[int](), set[int]()
    for cpu in sorted(usable):
        if cpu in taken:
            continue
        chosen.add(cpu)
        siblings = kernel_text(CPUS / f"cpu{cpu}/topology/thread_siblings_list")
        with suppress(BenchError):
            taken |= parse_cpus(siblings or "")
    return frozenset(chosen)


def numa_nodes() -> tuple[int, ...]:
    """The machine's memory nodes (only 0 if the kernel does not list them)."""
    try:
        return tuple(sorted(parse_cpus(kernel_text(NODES / "online") or "")))
    except BenchError:
        return (0,)


def local_profile() -> Hardware:
    """A profile of this machine: one thread per usable physical core, memory over all nodes.

    CPUs are listed only if threads could otherwise share a core.
    """
    usable = frozenset(os.sched_getaffinity(0))
    cores = _one_per_core(usable)
    slug = re.sub(r"[^a-z0-9]+", "-", cpu_model().lower()).strip("-")[:40]
    tag = hashlib.sha256(_machine_id().encode()).hexdigest()[:6]
    cpus = None if cores == usable else cpu_list(cores)
    numa = "interleave=all" if len(numa_nodes()) > 1 else None
    return Hardware(f"{LOCAL_PREFIX}{slug}-{len(cores)}c-{tag}", len(cores), len(cores), cpus, numa)


def profile_names(folder: Path = PROFILES) -> tuple[str, ...]:
    """Names of the profiles in `config/hardware/`."""
    return tuple(sorted(path.stem for path in folder.glob("*.yaml")))


def parse_cpus(text: str) -> frozenset[int]:
    """The CPUs of a list such as `0-3,8`. Raises BenchError for any other text."""
    if not CPU_LIST.fullmatch(text):
        raise BenchError(f"CPU list: expected ranges such as 0-3,8, found {text!r}")
    cpus: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if not int(first) <= int(last or first) < MOST_CPUS:
            raise BenchError(
                f"CPU list: expected rising ranges such as 0-3, below {MOST_CPUS}, found {part!r}"
            )
        cpus.update(range(int(first), int(last or first) + 1))
    return frozenset(cpus)


def cpu_list(cpus: Iterable[int]) -> str:
    """CPUs as a list such as `0-3,8`: what `parse_cpus` reads."""
    ranges: list[list[int]] = []
    for cpu in sorted(cpus):
        if ranges and cpu == ranges[-1][1] + 1:
            ranges[-1][1] = cpu
        else:
            ranges.append([cpu, cpu])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


def _whole(least: int, most: float = float("inf")) -> Callable[[object], bool]:
    return lambda value: (
        isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
    )


def _is_cpu_list(value: object) -> bool:
    if value is None:
        return True
    try:
        return not isinstance(value, bool) and bool(parse_cpus(str(value)))
    except BenchError:
        return False


def _is_numa(value: object) -> bool:
    return value is None or (isinstance(value, str) and NUMA_POLICY.fullmatch(value) is not None)


def _is_bandwidth(value: object) -> bool:
    return value is None or (
        isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < math.inf
    )


def _is_openmp(value: object) -> bool:
    return isinstance(value, dict) and all(
        OPENMP_NAME.fullmatch(str(name)) and isinstance(text, (str, int))
        for name, text in value.items()
    )


OVERSUBSCRIBED = "oversubscribed threads run many times slower"

# Key -> whether a value fits, and what is expected.
_FORMS: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "threads": (_whole(1, MOST_CPUS), f"a number of threads from 1 to {MOST_CPUS}"),
    "batch_threads": (_whole(1, MOST_CPUS), f"a number of threads from 1 to {MOST_CPUS}"),
    "cpus": (_is_cpu_list, "null or rising ranges such as 0-95"),
    "numa": (_is_numa, "null or a policy such as interleave=all"),
    "strict": (lambda value: isinstance(value, bool), "true or false"),
    "nice": (
        _whole(MOST_NICE, LEAST_NICE),
        f"a whole number from {MOST_NICE} (first) to {LEAST_NICE} (last)",
    ),
    "openmp": (_is_openmp, "a mapping of OMP_… variables to texts or numbers"),
    "huge_pages": (
        lambda value: value is None or value in HUGE_PAGES,
        f"null or one of {', '.join(HUGE_PAGES)}",
    ),
    "bandwidth_gb_per_s": (_is_bandwidth, "GB/s above 0"),
    "partition": (
        lambda value: value is None or isinstance(value, str),
        "null or a partition's name",
    ),
    "node_cpus": (
        lambda value: value is None or _whole(1, MOST_CPUS)(value),
        f"null or a number of CPUs from 1 to {MOST_CPUS}",
    ),
}


def _mistakes(raw: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(key, what is wrong with it)."""
    for key in raw:
        if key not in _FORMS:
            yield key, f"unknown key{suggest(key, _FORMS)}"
    for key in REQUIRED:
        if key not in raw:
            yield key, "is missing"
    for key, (fits, expected) in _FORMS.items():
        if key in raw and not fits(raw[key]):
            yield key, f"expected {expected}, found {shown(raw[key])}"


def _mistakes_together(raw: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if raw.get("cpus") is None:
        if raw.get("strict"):
            yield "strict", "needs cpus: they decide which thread runs on which CPU"
        return
    cpus = parse_cpus(str(raw["cpus"]))
    node_cpus = raw.get("node_cpus")
    if node_cpus is not None and node_cpus <= max(cpus):
        message = f"a node of {node_cpus} CPUs has no CPU {max(cpus)} (cpus: {raw['cpus']})"
        yield "node_cpus", message
    count, most = len(cpus), max(raw["threads"], raw.get("batch_threads", 0))
    if most > count:
        message = f"{most} threads on {count} CPUs: {OVERSUBSCRIBED}"
        yield "cpus", message


def _profile(name: str, raw: Mapping[str, Any]) -> Hardware:
    def openmp_text(value: object) -> str:
        return str(value).lower() if isinstance(value, bool) else str(value)

    return Hardware(
        name=name,
        threads=raw["threads"],
        batch_threads=raw.get("batch_threads", raw["threads"]),
        cpus=None if raw.get("cpus") is None else str(raw["cpus"]),
        numa=raw.get("numa"),
        bandwidth_gb_per_s=raw.get("bandwidth_gb_per_s"),
        strict=raw.get("strict", False),
        nice=raw.get("nice", 0),
        openmp=tuple(
            sorted((key, openmp_text(value)) for key, value in raw.get("openmp", {}).items())
        ),
        huge_pages=raw.get("huge_pages"),
        partition=raw.get("partition"),
        node_cpus=raw.get("node_cpus"),
    )


def changed_profile(profile: Hardware, changes: Mapping[str, Any]) -> Hardware:
    """The profile with other values for some of its keys, checked as a file of profiles is.

    Without changes it is the same profile. `batch_threads` follow `threads`, as in a file. Without
    `cpus`, the threads must not be more than this machine's CPUs. Raises BenchError with everything
    that is wrong.
    """
    if not changes:
        return profile
    if "threads" in changes and profile.batch_threads == profile.threads:
        changes = {"batch_threads": changes["threads"], **changes}
    raw = {key: getattr(profile, key) for key in _FORMS} | {"openmp": dict(profile.openmp)}
    raw |= changes
    wrong = list(_mistakes(raw)) or list(_mistakes_together(raw)) or list(_too_many(raw))
    if wrong:
        raise BenchError("; ".join(f"{key}: {message}" for key, message in wrong))
    return _profile(profile.name, raw)


def _too_many(raw: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    count = raw["node_cpus"] or len(os.sched_getaffinity(0))
    for key in ("threads", "batch_threads"):
        if raw["cpus"] is None and raw[key] > count:
            yield key, f"{raw[key]} threads on {count} CPUs: {OVERSUBSCRIBED}"


def load_hardware(name: str, folder: Path = PROFILES) -> Hardware:
    """The profile of that name, or this machine's for `auto` and for its own local name."""
    if name == AUTO:
        return local_profile()
    file = folder / f"{name}.yaml"
    if not file.is_file():
        local = local_profile()
        if name == local.name:
            return local
        known = (*profile_names(folder), AUTO)
        raise BenchError(f"hardware: no profile '{name}' in {folder}/{suggest(name, known)}")
    source = read_whole(file)
    found = list(_mistakes(source.value)) or list(_mistakes_together(source.value))
    if found:
        raise InputErrors(source.problem(key, message) for key, message in found)
    return _profile(name, source.value)
