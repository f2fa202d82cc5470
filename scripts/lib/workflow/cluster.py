"""The resources that a shard requests on a cluster: a node of its own, CPUs, memory, time."""

from __future__ import annotations

from math import ceil
from typing import Any

from scripts.lib.machine.bandwidth import probe_bytes
from scripts.lib.machine.profiles import parse_cpus
from scripts.lib.planning.memory import shard_bytes
from scripts.lib.planning.plan import Shard

# Memory for compute buffers and Python, in addition to weights and KV cache. Time for the job's
# start, and for a prediction that is too short.
MEMORY_FACTOR, MEMORY_EXTRA_MB = 1.1, 2048
TIME_FACTOR, TIME_EXTRA_MIN = 1.5, 10


def memory_mb(shard: Shard) -> int:
    """Memory of the shard's job in 10^6 bytes: weights and KV caches, or the bandwidth probe.

    The probe ends before anything is loaded. It uses a share of the node's free memory, whatever
    the job's limit is.
    """
    most = max(shard_bytes(shard), probe_bytes(shard.hardware.threads))
    return ceil(most / 1e6 * MEMORY_FACTOR) + MEMORY_EXTRA_MB


def job_resources(shard: Shard, seconds: float) -> dict[str, Any]:
    """The resources of a job that loads a shard's weights and takes so many seconds at most.

    `runtime` is in minutes and `mem_mb` in 10^6 bytes, as in Snakemake.
    """
    hardware = shard.hardware
    cpus = max(hardware.threads, hardware.batch_threads)
    if hardware.cpus:
        cpus = len(parse_cpus(hardware.cpus))
    wanted: dict[str, Any] = {
        "cpus_per_task": hardware.node_cpus or cpus,
        "mem_mb": memory_mb(shard),
        "runtime": ceil(seconds / 60 * TIME_FACTOR) + TIME_EXTRA_MIN,
        "slurm_extra": "--exclusive",
    }
    if hardware.partition:
        wanted["slurm_partition"] = hardware.partition
    return wanted
