"""Compare the preflight's bandwidth probe (numpy in processes) with compiled loops (C, OpenMP).

python -m benchmarks.harness.bandwidth [--cpus 2]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tabulate import tabulate

from scripts.lib.machine.bandwidth import ARRAY_ELEMENTS, measure

SOURCE = r"""
#include <stdio.h>
#include <stdlib.h>
#include <omp.h>
int main(int argc, char **argv) {
  long n = atol(argv[1]);
  double *a = malloc(n*8), *b = malloc(n*8), *c = malloc(n*8), triad = 1e9, reading = 1e9;
  #pragma omp parallel for
  for (long i = 0; i < n; i++) { a[i] = 0; b[i] = 1; c[i] = 2; }
  for (int r = 0; r < 11; r++) {
    double t = omp_get_wtime(), sum = 0;
    #pragma omp parallel for
    for (long i = 0; i < n; i++) a[i] = b[i] + 3.0 * c[i];
    t = omp_get_wtime() - t; if (t < triad) triad = t;
    t = omp_get_wtime();
    #pragma omp parallel for reduction(+:sum)
    for (long i = 0; i < n; i++) sum += a[i] + b[i] + c[i];
    t = omp_get_wtime() - t; if (t < reading) reading = t;
    if (sum == 1) puts("");
  }
  printf("%.2f %.2f\n", 24.0*n/triad/1e9, 24.0*n/reading/1e9);
}
"""


def compiled(cpus: int) -> tuple[float, float]:
    """(triad, read) in GB/s of the C program with a thread per CPU."""
    with tempfile.TemporaryDirectory() as name:
        source, binary = Path(name) / "stream.c", Path(name) / "stream"
        source.write_text(SOURCE)
        subprocess.run(
            [
                "gcc",
                "-O3",
                "-march=native",
                "-ffast-math",
                "-fopenmp",
                str(source),
                "-o",
                str(binary),
            ],
            check=True,
        )
        environment = {**os.environ, "OMP_NUM_THREADS": str(cpus), "OMP_PROC_BIND": "true"}
        argv = [str(binary), str(ARRAY_ELEMENTS * cpus)]
        shown = subprocess.run(
            argv, env=environment, capture_output=True, text=True, check=True
        ).stdout.split()
    return float(shown[0]), float(shown[1])


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.harness.bandwidth", description=__doc__
    )
    parser.add_argument("--cpus", type=int, default=len(os.sched_getaffinity(0)))
    cpus = parser.parse_args().cpus
    rows = []
    for turn in range(3):
        found, (triad, reading) = measure(sorted(os.sched_getaffinity(0))[:cpus]), compiled(cpus)
        rows.append([turn, found.triad_gb_per_s, triad, found.read_gb_per_s, reading])
    headers = ["turn", "triad, numpy", "triad, C", "read, numpy", "read, C (GB/s)"]
    print(tabulate(rows, headers, tablefmt="pipe"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
