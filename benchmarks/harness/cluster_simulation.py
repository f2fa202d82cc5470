"""How long a registry takes on a cluster: free nodes get shards with predicted times.

    python -m benchmarks.harness.cluster_simulation [--cells 1000000] [--nodes 1 2 5 10 20]

The plan is the real registry's with config/full.yaml on epyc-9655, as if all weights were there.
Its questions are counted as often as needed to reach `--cells`. A node runs one shard at a time;
the next one starts `--start-s` later (queue, Snakemake's start on the node). Prints when the last
shard ends, and the earliest time that any schedule could reach.
"""

from __future__ import annotations

import argparse
import heapq
import random
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tabulate import tabulate

from scripts.lib.planning.disk import load_plans
from scripts.lib.planning.prediction import hours_text, shard_seconds
from scripts.lib.settings.run_config import load_config

# Planning grows linearly: seconds and MiB per cell from `benchmarks.harness.scale`, 168,000 cells.
PLANNING_S_PER_CELL, PLANNING_MIB_PER_CELL = 45.9 / 168_000, 1151 / 168_000


def makespan(seconds: Sequence[float], nodes: int, start_s: float) -> float:
    """When the last shard ends, if each shard in turn goes to the first free node."""
    free = [0.0] * nodes
    for duration in seconds:
        heapq.heappush(free, heapq.heappop(free) + start_s + duration)
    return max(free)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.harness.cluster_simulation", description=__doc__
    )
    parser.add_argument("--cells", type=int, default=1_000_000)
    parser.add_argument("--nodes", type=int, nargs="+", default=[1, 2, 5, 10, 20])
    parser.add_argument("--start-s", type=float, default=30.0)
    arguments = parser.parse_args()
    config = replace(
        load_config((Path("config/full.yaml"),)), hardware="epyc-9655", engines=("server",)
    )
    (plan,) = load_plans(config, assume_present=True)
    planned = sum(len(shard.cells) for shard in plan.shards)
    factor = arguments.cells / planned
    # A shard is loaded once, however many questions it has.
    seconds = [
        shard_seconds(s, [], {}) + factor * shard_seconds(s, s.cells, {}) for s in plan.shards
    ]
    total = sum(seconds)
    models = len({shard.model.key for shard in plan.shards})
    print(
        f"{models} models, {len(seconds)} shards, {planned} cells planned, "
        f"counted {factor:.1f} times: {arguments.cells}"
    )
    print(
        f"engine time: {hours_text(total)}; longest shard {hours_text(max(seconds))}; "
        f"shortest {hours_text(min(seconds))}"
    )
    rows = []
    for nodes in arguments.nodes:
        bound = max(total / nodes, *seconds)
        shuffled = random.Random(0).sample(seconds, len(seconds))
        orders = (seconds, shuffled, sorted(seconds, reverse=True))
        found = [makespan(order, nodes, arguments.start_s) for order in orders]
        rows.append(
            [nodes, hours_text(bound), *(f"{hours_text(f)} ({f / bound:.3f}x)" for f in found)]
        )
    print(
        tabulate(
            rows,
            ["nodes", "bound", "registry order", "any order", "longest first"],
            tablefmt="pipe",
        )
    )
    whole, one = arguments.cells, arguments.cells / models
    for name, cells in (("in one invocation", whole), ("a model at a time (results_MODEL)", one)):
        seconds_, mib = cells * PLANNING_S_PER_CELL, cells * PLANNING_MIB_PER_CELL
        print(f"planning {name}: {cells:.0f} cells, {hours_text(seconds_)}, {mib:.0f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
