"""Applies a hardware profile to this process and its children, and reads back what the kernel did.

A server inherits CPUs, memory policy, priority, OpenMP variables and huge pages. So both engines
are pinned in the same way.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.lib.base.errors import BenchError
from scripts.lib.llama_build.variables import engine_environment
from scripts.lib.machine.kernel_files import kernel_text
from scripts.lib.machine.profiles import NODES, OPENMP_NAME, Hardware, cpu_list, parse_cpus

PR_SET_THP_DISABLE = 41
NUMA_VARIABLE = "EPYC_BENCH_NUMA"
THP = Path("/sys/kernel/mm/transparent_hugepage/enabled")
# Compute threads wait for each other after every operation, so each runs about as long as the
# busiest one (0.6 to 1.0 of it, for tiny models). Threads that serve requests or write a log run
# for about 3 ms in a warm-up; beside a tiny model on one thread that was up to a quarter.
COMPUTE_SHARE, SERVING_NS = 0.4, 4_000_000
# The kernel counts a thread's time in ticks of at most 4 ms: shares of fewer than about 25 ticks
# prove nothing.
ENOUGH_NS = 100_000_000
# numactl's memory policies -> their names in the kernel's numa_maps.
_KERNEL_POLICY = {"interleave": "interleave", "membind": "bind", "preferred": "prefer"}


def pin(hardware: Hardware) -> None:
    """Apply the profile's CPUs, memory policy, priority and OpenMP settings to this process.

    llama.cpp's own variables are removed. Call it before threads start and before any library of
    the engine is loaded: OpenMP reads its variables once. Raises BenchError for a setting that this
    machine or user does not allow.
    """
    _set_openmp(hardware)
    # llama-cpp-python loads numpy, whose OpenBLAS starts a thread per CPU. They spin for about
    # 0.1 s, beside the engine's first warm-up, and then look like threads that compute.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    _drop_engine_variables()
    _set_huge_pages(hardware)
    if hardware.numa and os.environ.get(NUMA_VARIABLE) != hardware.numa:
        numactl = shutil.which("numactl")
        if numactl is None:
            raise BenchError(
                f"hardware {hardware.name}: numa {hardware.numa} needs numactl: apt install numactl"
            )
        os.environ[NUMA_VARIABLE] = hardware.numa
        sys.stdout.flush()
        os.execv(numactl, [numactl, f"--{hardware.numa}", sys.executable, *sys.orig_argv[1:]])
    _set_nice(hardware)
    if hardware.cpus:
        wanted = parse_cpus(hardware.cpus)
        absent = wanted - os.sched_getaffinity(0)
        if absent:
            raise BenchError(
                f"hardware {hardware.name}: cpus {hardware.cpus}: "
                f"this machine or container has no CPU {min(absent)}"
            )
        os.sched_setaffinity(0, wanted)
    usable = len(os.sched_getaffinity(0))
    most = max(hardware.threads, hardware.batch_threads)
    if most > usable:
        raise BenchError(
            f"hardware {hardware.name}: {most} threads on {usable} usable CPUs: oversubscribed "
            "threads run many times slower; choose a profile of this machine (hardware: auto)"
        )


def _set_openmp(hardware: Hardware) -> None:
    """Set the profile's variables and no others: the shell's would change timings unseen."""
    for name in [name for name in os.environ if OPENMP_NAME.fullmatch(name)]:
        del os.environ[name]
    os.environ.update(hardware.openmp)


def _drop_engine_variables() -> None:
    for name in os.environ.keys() - engine_environment().keys():
        del os.environ[name]


def huge_pages_mode() -> str | None:
    """The machine's mode of transparent huge pages: always, madvise or never."""
    found = re.search(r"\[(\w+)\]", kernel_text(THP) or "")
    return found[1] if found else None


def _set_huge_pages(hardware: Hardware) -> None:
    wanted, found = hardware.huge_pages, huge_pages_mode()
    if wanted == "never":
        # The machine's own setting stays: this process and its children do without.
        ctypes.CDLL(None).prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0)
    elif wanted is not None and found != wanted:
        raise BenchError(
            f"hardware {hardware.name}: huge_pages {wanted}: on this machine they are "
            f"{found or 'not available'}; as root: echo {wanted} > {THP}"
        )


def _set_nice(hardware: Hardware) -> None:
    now = os.getpriority(os.PRIO_PROCESS, 0)
    if now == hardware.nice:
        return
    try:
        os.setpriority(os.PRIO_PROCESS, 0, hardware.nice)
    except PermissionError:
        raise BenchError(
            f"hardware {hardware.name}: nice {hardware.nice}: not allowed from nice {now}; "
            "start it with that priority, as root or with CAP_SYS_NICE"
        ) from None


# --- read back ---


@dataclass(frozen=True, slots=True)
class Thread:
    """One thread: the CPUs it may use, its priority, its time on a CPU (None: not known)."""

    tid: int
    cpus: frozenset[int]
    nice: int
    ran_ns: int | None


def read_threads(pid: int) -> Mapping[int, Thread]:
    """The threads of a process, from /proc/PID/task."""
    found = {}
    for folder in Path(f"/proc/{pid}/task").iterdir():
        try:
            status = (folder / "status").read_text(encoding="utf-8")
            stat = (folder / "stat").read_text(encoding="utf-8")
        except OSError:
            continue  # it ended while the others were read
        allowed = re.search(r"^Cpus_allowed_list:\s*(\S+)", status, re.M)
        # Field 19 of proc(5), counted from the parenthesis after the name.
        nice = int(stat.rpartition(")")[2].split()[16])
        cpus = parse_cpus(allowed[1]) if allowed else frozenset[int]()
        found[int(folder.name)] = Thread(int(folder.name), cpus, nice, _ran_ns(folder))
    return found


def _ran_ns(folder: Path) -> int | None:
    try:
        return int((kernel_text(folder / "schedstat") or "").split()[0])
    except (ValueError, IndexError):
        return None


def ran_ns(before: Mapping[int, Thread], after: Mapping[int, Thread]) -> Mapping[int, int] | None:
    """Thread id -> nanoseconds on a CPU between two readings; None where they are not known."""
    ran: dict[int, int] = {}
    for tid, thread in after.items():
        if thread.ran_ns is None:
            return None
        known = before.get(tid)
        ran[tid] = thread.ran_ns - (known.ran_ns or 0 if known is not None else 0)
    return ran


def compute_threads(
    before: Mapping[int, Thread], after: Mapping[int, Thread]
) -> tuple[Thread, ...]:
    """The threads that computed between two readings; all threads where times are not known."""
    ran = ran_ns(before, after)
    if ran is None:
        return tuple(after.values())
    busiest = max(ran.values(), default=0)
    least = max(COMPUTE_SHARE * busiest, min(SERVING_NS, busiest / 2))
    return tuple(thread for tid, thread in sorted(after.items()) if ran[tid] >= least)


def ran_enough(before: Mapping[int, Thread], after: Mapping[int, Thread]) -> bool:
    """Whether the busiest thread ran long enough to see which threads computed."""
    ran = ran_ns(before, after)
    return ran is None or max(ran.values(), default=0) >= ENOUGH_NS


def memory_policy(pid: int) -> str | None:
    """The policy of most mappings of a process, such as `interleave:0-1`; None: not known."""
    lines = (kernel_text(f"/proc/{pid}/numa_maps") or "").splitlines()
    policies = [line.split()[1] for line in lines if len(line.split()) > 1]
    return max(set(policies), key=policies.count) if policies else None


def has_huge_pages(pid: int) -> bool | None:
    """Whether a process may have transparent huge pages; None: not known."""
    status = kernel_text(f"/proc/{pid}/status") or ""
    found = re.search(r"^THP_enabled:\s*(\d)", status, re.M)
    return found[1] == "1" if found else None


def _nodes_cpus(nodes: str) -> frozenset[int]:
    """The CPUs of memory nodes such as `0,1` or `all`."""
    names = (
        [p.name for p in NODES.glob("node[0-9]*")]
        if nodes == "all"
        else [f"node{n}" for n in parse_cpus(nodes)]
    )
    return frozenset(
        c
        for name in names
        for c in parse_cpus((NODES / name / "cpulist").read_text("utf-8").strip())
    )


def _allowed(hardware: Hardware) -> frozenset[int] | None:
    kind, _, nodes = (hardware.numa or "").partition("=")
    if hardware.cpus:
        return parse_cpus(hardware.cpus)
    return _nodes_cpus(nodes) if kind == "cpunodebind" else None


def violations(
    hardware: Hardware,
    threads: Iterable[Thread],
    computing: tuple[Thread, ...],
    policy: str | None,
    huge_pages: bool | None = None,
) -> Iterator[str]:
    """Where the kernel's state differs from the profile, each with both values. Pure."""
    if len(computing) < hardware.threads:
        yield f"{hardware.threads} threads asked for, {len(computing)} computed"
    allowed = _allowed(hardware)
    for thread in threads:
        if allowed is not None and not thread.cpus <= allowed:
            found = cpu_list(thread.cpus)
            yield f"a thread may run on CPUs {found}, outside of {cpu_list(allowed)}"
            break
    wrong = {thread.nice for thread in threads} - {hardware.nice}
    if wrong:
        yield f"nice {hardware.nice} asked for, a thread has {min(wrong)}"
    if hardware.strict:
        own = {thread.cpus for thread in computing if len(thread.cpus) == 1}
        if len(own) < hardware.threads:
            found = " ".join(sorted(cpu_list(thread.cpus) for thread in computing))
            wanted = f"{hardware.threads} threads on CPUs of their own"
            yield f"strict: {wanted} asked for, found {found}"
    kind = _KERNEL_POLICY.get((hardware.numa or "").partition("=")[0])
    if kind is not None and policy is not None and not policy.startswith(kind):
        yield f"memory policy {hardware.numa} asked for, found {policy}"
    if hardware.huge_pages == "never" and huge_pages:
        yield "huge_pages never asked for, the process may have them"


def shown(computing: tuple[Thread, ...], policy: str | None) -> dict[str, Any]:
    """What was read back, for the cell."""
    cpus = frozenset(cpu for thread in computing for cpu in thread.cpus)
    return {
        "threads": len(computing),
        "cpus": cpu_list(cpus),
        "own_cpu_each": all(len(thread.cpus) == 1 for thread in computing),
        "nice": sorted({thread.nice for thread in computing}),
        "memory_policy": policy,
    }
