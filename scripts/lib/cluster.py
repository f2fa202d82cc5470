"""What a shard asks of a cluster's scheduler: a node of its own, CPUs, memory from its weights and KV cache, predicted time."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil
from typing import Any

from scripts.lib.hardware import parse_cpus
from scripts.lib.memory import shard_bytes
from scripts.lib.plan import Cell, Shard
from scripts.lib.prediction import Measured, shard_seconds

# Room for compute buffers and Python beside weights and KV cache; for a prediction that is too short, and the job's start.
MEMORY_FACTOR, MEMORY_EXTRA_MB = 1.1, 2048
TIME_FACTOR, TIME_EXTRA_MIN = 1.5, 10


def cluster_resources(shard: Shard, cells: Iterable[Cell], measured: Measured) -> dict[str, Any]:
    """Snakemake resources of the shard's job for these missing cells, by the names that its cluster executors know.

    A local run only shows them. `runtime` is in minutes, `mem_mb` in 10^6 bytes, as Snakemake counts them.
    """
    hardware = shard.hardware
    cpus = len(parse_cpus(hardware.cpus)) if hardware.cpus else max(hardware.threads, hardware.batch_threads)
    wanted: dict[str, Any] = {
        "cpus_per_task": cpus,
        "mem_mb": ceil(shard_bytes(shard) / 1e6 * MEMORY_FACTOR) + MEMORY_EXTRA_MB,
        "runtime": ceil(shard_seconds(shard, cells, measured) / 60 * TIME_FACTOR) + TIME_EXTRA_MIN,
        "slurm_extra": "--exclusive",
    }
    return wanted | ({"slurm_partition": hardware.partition} if hardware.partition else {})
