"""Preflight: checks once per invocation, before the first timed shard, if the machine is quiet.

The outcome is kept with every cell. The text of a finding is part of the environment record; it has
no figures, so that equal conditions have one digest. The figures are printed, and kept in the run's
record.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from scripts.lib.base.errors import BenchError
from scripts.lib.base.safe_files import write_atomic
from scripts.lib.machine import bandwidth
from scripts.lib.machine.kernel_files import kernel_text
from scripts.lib.machine.pinning import huge_pages_mode
from scripts.lib.machine.profiles import CPUS, Hardware, numa_nodes

STATE = Path(".cache/preflight")
REFUSE, TAG, OFF = "refuse", "tag", "off"
QUIET, NOISY = "quiet", "noisy"
INTERVAL_S = 1.0
# More work of other processes than this disturbs a measurement. It is given in CPUs, and as a share
# of all CPUs, since a machine with more CPUs has more background work. The larger limit counts.
OTHERS_CPUS, OTHERS_SHARE = 0.25, 0.005
STEAL_SHARE = 0.01
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Facts:
    """The machine during `INTERVAL_S`. None: this machine does not show it, like many VMs."""

    load_average: float
    others_cpus: float
    others: tuple[str, ...]
    steal_share: float
    usable_cpus: int
    governor: str | None
    boost: str | None
    huge_pages: str | None
    numa_balancing: str | None
    numa_nodes: int
    available_bytes: int


@dataclass(frozen=True, slots=True)
class PreflightFinding:
    """A reason to doubt numbers that are measured now, with its figures."""

    text: str
    figures: str = ""

    def __str__(self) -> str:
        return f"{self.text} ({self.figures})" if self.figures else self.text


@dataclass(frozen=True, slots=True)
class Preflight:
    """The outcome of one check: `quiet`, `noisy` (with findings) or `off`."""

    findings: tuple[PreflightFinding, ...] = ()
    bandwidth_gb_per_s: float | None = None
    looked: bool = True

    @property
    def outcome(self) -> str:
        """`quiet`, `noisy` or `off`."""
        return OFF if not self.looked else NOISY if self.findings else QUIET

    def record(self) -> dict[str, Any]:
        """The part of the environment record."""
        return {
            "outcome": self.outcome,
            "findings": [finding.text for finding in self.findings],
            "bandwidth_gb_per_s": self.bandwidth_gb_per_s,
        }

    def figures(self) -> dict[str, Any]:
        """The part of the run's record: with figures."""
        return self.record() | {"findings": [str(finding) for finding in self.findings]}

    def with_memory(self, needed_bytes: int, available_bytes: int) -> Preflight:
        """The same, with a finding if a shard needs more memory than is free."""
        if not self.looked or needed_bytes <= available_bytes:
            return self
        figures = (
            f"{needed_bytes / GIB:.1f} GiB are needed, {available_bytes / GIB:.1f} GiB are free"
        )
        finding = PreflightFinding("weights and KV cache are larger than the free memory", figures)
        return replace(self, findings=(*self.findings, finding))


def _own_tree() -> set[int]:
    """The process itself, its parents and its children: Snakemake and its jobs are not "others"."""
    me = psutil.Process()
    family = {me.pid, *(parent.pid for parent in me.parents())}
    return family | {child.pid for child in me.children(recursive=True)}


def _process_seconds() -> dict[int, tuple[float, str, str]]:
    """Process -> seconds on a CPU so far, name, user."""
    found = {}
    for process in psutil.process_iter(["name", "cpu_times", "username"]):
        times = process.info["cpu_times"]
        if times is not None:
            found[process.pid] = (
                times.user + times.system,
                process.info["name"],
                process.info["username"] or "?",
            )
    return found


def _used(
    after: Mapping[int, tuple[float, str, str]], before: Mapping[int, tuple[float, str, str]]
) -> dict[str, float]:
    """CPU seconds between two readings, summed by name and user."""
    used: dict[str, float] = defaultdict(float)
    for pid, (seconds, name, user) in after.items():
        if pid in before:
            used[f"{name} of {user}"] += seconds - before[pid][0]
    return used


def _busy_seconds(times: Any) -> float:
    """Busy seconds of all CPUs. User time includes guests; steal is checked on its own."""
    return float(times.user + times.nice + times.system + times.irq + times.softirq)


def _others(seen: Mapping[str, float], busy_s: float, own_s: float) -> Mapping[str, float]:
    """The seconds of other processes by name, and those of processes that no list shows.

    Such processes are too short-lived, or belong to another container.
    """
    unseen = busy_s - own_s - sum(seen.values())
    return {**seen, "processes gone within the second": unseen} if unseen > 0 else seen


def look(interval_s: float = INTERVAL_S) -> Facts:
    """Watch the machine for a moment, while this process sleeps."""
    own, me = _own_tree(), os.getpid()
    # Reading thousands of processes takes long, so the seconds of this process are read together
    # with the machine's.
    before, spent, whole = _process_seconds(), time.process_time(), psutil.cpu_times()
    start = time.perf_counter()
    time.sleep(interval_s)
    passed, end, spent = (
        time.perf_counter() - start,
        psutil.cpu_times(),
        time.process_time() - spent,
    )
    after = _process_seconds()
    strangers = _used({pid: seen for pid, seen in after.items() if pid not in own}, before)
    ours = _used({pid: seen for pid, seen in after.items() if pid in own and pid != me}, before)
    used = _others(strangers, _busy_seconds(end) - _busy_seconds(whole), sum(ours.values()) + spent)
    busiest = sorted(used, key=lambda name: -used[name])[:3]
    usable = len(os.sched_getaffinity(0))
    return Facts(
        load_average=os.getloadavg()[0],
        others_cpus=round(sum(used.values()) / passed, 2),
        others=tuple(f"{name} {used[name] / passed:.2f}" for name in busiest if used[name] > 0),
        steal_share=round((end.steal - whole.steal) / passed / (psutil.cpu_count() or 1), 4),
        usable_cpus=usable,
        governor=kernel_text(CPUS / "cpu0/cpufreq/scaling_governor"),
        boost=kernel_text(CPUS / "cpufreq/boost"),
        huge_pages=huge_pages_mode(),
        numa_balancing=kernel_text("/proc/sys/kernel/numa_balancing"),
        numa_nodes=len(numa_nodes()),
        available_bytes=psutil.virtual_memory().available,
    )


def findings(facts: Facts) -> Iterator[PreflightFinding]:
    """What makes times that are measured now doubtful. Pure."""
    if facts.others_cpus > max(OTHERS_CPUS, OTHERS_SHARE * facts.usable_cpus):
        figures = f"{facts.others_cpus:.2f} CPUs: {', '.join(facts.others)}"
        yield PreflightFinding("other processes use the CPU", figures)
    # The average still includes a run that has just ended. But if it is above the number of CPUs,
    # there are other processes, or processes that wait for a disk.
    if facts.load_average > facts.usable_cpus + 1:
        yield PreflightFinding(
            "the load average is above the CPUs", f"{facts.load_average:.1f} on {facts.usable_cpus}"
        )
    if facts.steal_share > STEAL_SHARE:
        yield PreflightFinding(
            "the hypervisor takes CPU time away (steal)", f"{facts.steal_share:.1%}"
        )
    if facts.governor is not None and facts.governor != "performance":
        yield PreflightFinding(f"the CPU governor is {facts.governor}, not performance")
    if facts.boost == "0":
        yield PreflightFinding("the CPU's boost is off")
    if facts.numa_balancing not in (None, "0") and facts.numa_nodes > 1:
        yield PreflightFinding("NUMA balancing is on: the kernel moves pages while they are read")


def once_an_invocation(run_id: str, hardware: Hardware, policy: str) -> Preflight:
    """Check the machine, or return what this run's first shard found.

    The caller holds the machine's lock.
    """
    if policy == OFF:
        return Preflight(looked=False)
    name = f"{run_id} {hardware.name}"
    state = STATE / f"{platform.node()}.json"  # a cluster's nodes share the folder
    try:
        raw = json.loads(state.read_text(encoding="utf-8"))
        if raw["run"] == name:
            return Preflight(
                tuple(PreflightFinding(**finding) for finding in raw["findings"]),
                raw["bandwidth_gb_per_s"],
            )
    except (OSError, ValueError, KeyError, TypeError):
        pass
    # Other processes first: the bandwidth probe would look like one of them.
    facts = look()
    made = Preflight(tuple(findings(facts)), bandwidth.of_profile(hardware).gb_per_s)
    stored: Mapping[str, Any] = {
        "run": name,
        "facts": asdict(facts),
        "findings": [asdict(finding) for finding in made.findings],
        "bandwidth_gb_per_s": made.bandwidth_gb_per_s,
    }
    write_atomic(state, json.dumps(stored, indent=2) + "\n")
    return made


def enforce(preflight: Preflight, policy: str) -> None:
    """Raise BenchError if the machine is noisy and the configuration refuses that."""
    if policy == REFUSE and preflight.outcome == NOISY:
        reasons = "; ".join(map(str, preflight.findings))
        raise BenchError(
            f"preflight: this machine is not quiet enough to measure times: {reasons}. Make it "
            "quiet and run again, or have the numbers marked: --config preflight=tag"
        )
