"""Time outside the engines: wall time of `snakemake -j8 results` divided by the engines' time.

    python -m benchmarks.harness.overhead

The engines' time is the shards' load, warm-up and generation. Run it on a quiet machine, after
`make results`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from pathlib import Path

from benchmarks.harness.checkout import scratch_checkout

LIMIT = 1.25


def engine_seconds(cells: Path) -> tuple[int, float, float]:
    """(cells, seconds of load and generation, seconds of warm-up) of all cells below a folder."""
    shards: dict[Path, tuple[float, float]] = {}
    count, generation = 0, 0.0
    for file in cells.glob("*/*/*/*/*.json"):
        raw = json.loads(file.read_text(encoding="utf-8"))
        measured = raw["measurement"] or {"ttft_s": 0.0, "decode_s": 0.0}
        count += 1
        generation += measured["ttft_s"] + measured["decode_s"]
        shards[file.parents[1]] = (raw["load_s"], raw["warm_up_s"])
    load, warm_up = (sum(part) for part in zip(*shards.values(), strict=True))
    return count, generation + load, warm_up


def main() -> None:
    argparse.ArgumentParser(
        prog="python -m benchmarks.harness.overhead", description=__doc__
    ).parse_args()
    with scratch_checkout() as folder:
        start = time.perf_counter()
        subprocess.run(["snakemake", "-j8", "results", "--quiet", "all"], cwd=folder, check=True)
        wall = time.perf_counter() - start
        count, engine, warm_up = engine_seconds(folder / "benchmarks/results/cells")
    print(
        f"{count} cells; wall {wall:.1f} s; load + generation {engine:.1f} s; "
        f"warm-up {warm_up:.1f} s"
    )
    print(f"wall / (load + generation)           = {wall / engine:.3f} (limit {LIMIT})")
    print(f"wall / (load + warm-up + generation) = {wall / (engine + warm_up):.3f}")


if __name__ == "__main__":
    main()
