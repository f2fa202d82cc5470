"""What a shard asks of a cluster's scheduler: a node of its own, CPUs, memory for the most it takes, predicted time."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil
from typing import Any

from scripts.lib.machine.bandwidth import probe_bytes
from scripts.lib.machine.profiles import parse_cpus
from scripts.lib.planning.memory import shard_bytes
from scripts.lib.planning.plan import Cell, Shard
from scripts.lib.planning.prediction import Measured, shard_seconds

# Room for compute buffers and Python beside weights and KV cache (or the probe's processes beside
# their arrays); for a prediction that is too short, and the job's start.
MEMORY_FACTOR, MEMORY_EXTRA_MB = 1.1, 2048
TIME_FACTOR, TIME_EXTRA_MIN = 1.5, 10


def memory_mb(shard: Shard) -> int:
    """Memory of the shard's job, in 10^6 bytes: weights and KV caches, or the bandwidth probe where that takes more.

    The probe ends before anything is loaded. It looks at the node's free memory and knows no limit
    of the job's.
    """
    most = max(shard_bytes(shard), probe_bytes(shard.hardware.threads))
    return ceil(most / 1e6 * MEMORY_FACTOR) + MEMORY_EXTRA_MB


def cluster_resources(shard: Shard, cells: Iterable[Cell], measured: Measured) -> dict[str, Any]:
    """Snakemake resources of the shard's job for these missing cells, by the names that its cluster executors know.

    A local run only shows them. `runtime` is in minutes, `mem_mb` in 10^6 bytes, as Snakemake
    counts them.
    """
    hardware = shard.hardware
    pinned = (
        len(parse_cpus(hardware.cpus))
        if hardware.cpus
        else max(hardware.threads, hardware.batch_threads)
    )
    wanted: dict[str, Any] = {
        "cpus_per_task": hardware.node_cpus or pinned,
        "mem_mb": memory_mb(shard),
        "runtime": ceil(shard_seconds(shard, cells, measured) / 60 * TIME_FACTOR) + TIME_EXTRA_MIN,
        "slurm_extra": "--exclusive",
    }
    return wanted | ({"slurm_partition": hardware.partition} if hardware.partition else {})
