"""What the harness adds to an engine: milliseconds per cell, and memory beyond weights and cache.

    python -m benchmarks.harness.engine_overhead [--model KEY] [--engine embedded|server] [MODE ...]

Each mode of the embedded models runs in a process of its own, on the configuration's cells. Its
results are deleted.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from scripts.lib.base.errors import run_cli
from scripts.lib.engines.factory import EngineSettings, make_engine
from scripts.lib.execution.run_record import RunRecord
from scripts.lib.executor import Job, run
from scripts.lib.llama_build.build import server_binary
from scripts.lib.planning.cell_record import read_cell
from scripts.lib.planning.disk import for_model, hashed, load_planner
from scripts.lib.planning.memory import shard_bytes
from scripts.lib.planning.plan import Shard, find_shard, make_plan
from scripts.lib.planning.weights_guard import WeightsGuard
from scripts.lib.settings.run_config import load_config

# Memory of an embedded shard beyond weights and KV cache: Python, llama.cpp, and each model's
# compute buffers.
CONSTANT_MIB, LIMIT_MS = 256, 10.0


class Timed:
    """An engine that keeps the time spent inside it."""

    def __init__(self, engine: Any) -> None:
        self.engine, self.seconds = engine, 0.0

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> Any:
            start = time.perf_counter()
            try:
                return getattr(self.engine, name)(*arguments)
            finally:
                self.seconds += time.perf_counter() - start

        return call


def bound_mib(shard: Shard) -> float:
    """The most memory the shard may have resident, in MiB."""
    return shard_bytes(shard) / 2**20 + CONSTANT_MIB


def measure(model: str, mode: str, engine_name: str) -> bool:
    """Run one shard in a scratch folder, print its figures; True if both are within limits."""
    planner = for_model(load_planner(load_config()), model, engine_name)
    planner = hashed(replace(planner, config=planner.config.with_modes(("*",))))
    shard = find_shard(make_plan(planner), model, mode)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        engine = Timed(
            make_engine(engine_name, EngineSettings(server_binary(), folder / "engine.log", 600.0))
        )
        job = Job(
            shard,
            folder,
            "overhead",
            lambda loaded: "none",
            RunRecord(folder, "overhead", {}),
            WeightsGuard(shard),
        )
        start = time.perf_counter()
        run(job, engine, shard.cells, bar=False)  # type: ignore[arg-type]
        per_cell_ms = 1000 * (time.perf_counter() - start - engine.seconds) / len(shard.cells)
        peak = max(
            read_cell(file).peak_rss_bytes for file in (folder / shard.folder).glob("*/*.json")
        )
    bound = bound_mib(shard)
    print(
        f"{engine_name:9}{model} {mode}: {len(shard.cells)} cells; "
        f"harness {per_cell_ms:.1f} ms a cell (limit {LIMIT_MS:g}); "
        f"peak RSS {peak / 2**20:.0f} MiB (bound {bound:.0f})"
    )
    return per_cell_ms < LIMIT_MS and peak / 2**20 < bound


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.harness.engine_overhead", description=__doc__
    )
    parser.add_argument(
        "mode", nargs="*", default=["baseline", "lookup_n3", "spec_demo_draft_smollm2_q4_0_k8"]
    )
    parser.add_argument("--model", default="smollm2_135m_q8_0")
    parser.add_argument("--engine", default="embedded", choices=("embedded", "server"))
    arguments = parser.parse_args()
    if len(arguments.mode) == 1:
        return int(not measure(arguments.model, arguments.mode[0], arguments.engine))
    options = ["--model", arguments.model, "--engine", arguments.engine]
    # One process per mode, since peak memory never shrinks.
    codes = [
        subprocess.call([sys.executable, "-m", __spec__.name, mode, *options])
        for mode in arguments.mode
    ]
    return max(codes)


if __name__ == "__main__":
    run_cli(main)
