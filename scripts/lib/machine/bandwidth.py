"""Measures the memory's bandwidth: a triad as in STREAM, and a read, on each of a profile's CPUs.

numpy runs in processes, not in threads. Its inner loops use all of a core's share of the memory,
but between two loops a thread needs the interpreter's lock: 96 threads would wait for it. The
higher one of the two results counts. (The triad's is lower than what the memory moves: like STREAM
it counts three words per element, but the memory also reads the line that is overwritten. Decoding
only reads.)
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import platform
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import psutil

from scripts.lib.base.errors import BenchError
from scripts.lib.base.process_lifetime import die_with_parent
from scripts.lib.base.safe_files import write_atomic
from scripts.lib.base.stored_json import digest
from scripts.lib.machine.profiles import Hardware, parse_cpus

CACHE = Path(".cache/bandwidth")
KEPT = timedelta(days=1)
# The arrays of a process are much larger than the caches (EPYC 9655: 4 MB of L3 per core). The
# blocks fit into its L2.
ARRAY_ELEMENTS, BLOCK_ELEMENTS, ARRAYS, WORD_BYTES = 4_000_000, 16_384, 3, 8
REPETITIONS = 10
MOST_OF_FREE_MEMORY = 0.25
TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """Bandwidth in 10^9 bytes per second: the best repetition, as STREAM reports it."""

    triad_gb_per_s: float
    read_gb_per_s: float
    processes: int

    @property
    def gb_per_s(self) -> float:
        """The higher one, rounded to two digits, so that equal conditions give equal numbers."""
        return two_digits(max(self.triad_gb_per_s, self.read_gb_per_s))


def two_digits(value: float) -> float:
    """The value rounded to two significant digits."""
    return value if value <= 0 else round(value, 1 - math.floor(math.log10(value)))


def _triad(a: Any, b: Any, c: Any) -> None:
    import numpy as np

    for start in range(0, len(a), BLOCK_ELEMENTS):
        part = slice(start, start + BLOCK_ELEMENTS)
        np.multiply(c[part], 3.0, out=a[part])
        np.add(a[part], b[part], out=a[part])


def _work(cpu: int, elements: int, barrier: Barrier, results: Any) -> None:
    """The work of one CPU. Takes the time of each repetition, from the common start to the end."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    os.sched_setaffinity(0, {cpu})
    import numpy as np

    a, b, c = (np.full(elements, value) for value in (0.0, 1.0, 2.0))
    seconds: list[list[float]] = []
    for step in (lambda: _triad(a, b, c), lambda: (a.max(), b.max(), c.max())):
        times = []
        for _ in range(REPETITIONS + 1):
            barrier.wait(TIMEOUT_S)
            start = time.perf_counter()
            step()
            barrier.wait(TIMEOUT_S)
            times.append(time.perf_counter() - start)
        seconds.append(times[1:])  # the first one warms up
    results.put(seconds)


def probe_bytes(processes: int, elements: int = ARRAY_ELEMENTS) -> int:
    """Bytes of all arrays of these processes; by default, the most that `measure` allocates."""
    return ARRAYS * WORD_BYTES * elements * processes


def measure(cpus: Sequence[int]) -> Bandwidth:
    """Measure on these CPUs together, in about a second, in at most a quarter of free memory."""
    import numpy as np  # loaded before the processes are forked, not by each of them

    room = int(MOST_OF_FREE_MEMORY * psutil.virtual_memory().available)
    elements = min(ARRAY_ELEMENTS, room // probe_bytes(len(cpus), 1))
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(len(cpus)), context.Queue()
    processes = [
        context.Process(target=_work, args=(cpu, elements, barrier, results), daemon=True)
        for cpu in cpus
    ]
    for process in processes:
        process.start()
    try:
        seconds = np.array([results.get(timeout=TIMEOUT_S) for _ in processes])
    except Exception as error:
        raise BenchError(
            f"the bandwidth probe did not finish within {TIMEOUT_S:g} s ({error!r})"
        ) from error
    finally:
        for process in processes:
            process.join(1) if process.exitcode is not None else process.kill()
    moved = probe_bytes(len(cpus), elements)
    triad, read = (moved / best / 1e9 for best in seconds.max(axis=0).min(axis=1))
    return Bandwidth(round(float(triad), 2), round(float(read), 2), len(cpus))


def _cache_file(hardware: Hardware) -> Path:
    machine = digest([hardware.spec(), platform.node()])  # a cluster's nodes share the folder
    return CACHE / f"{hardware.name}.{machine}.json"


def _cached(file: Path, now: datetime) -> Bandwidth | None:
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        fresh = now - datetime.fromisoformat(raw.pop("measured_utc")) < KEPT
        return Bandwidth(**raw) if fresh else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def of_profile(hardware: Hardware) -> Bandwidth:
    """The profile's bandwidth, measured at most once a day.

    The caller holds the machine's lock and has applied the profile.
    """
    now, file = datetime.now(UTC), _cache_file(hardware)
    known = _cached(file, now)
    if known is not None:
        return known
    usable = sorted(parse_cpus(hardware.cpus) if hardware.cpus else os.sched_getaffinity(0))
    found = measure(usable[: hardware.threads])
    shown = {key: getattr(found, key) for key in ("triad_gb_per_s", "read_gb_per_s", "processes")}
    write_atomic(file, json.dumps({**shown, "measured_utc": now.isoformat()}) + "\n")
    return found
