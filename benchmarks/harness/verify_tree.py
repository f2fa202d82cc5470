"""How long `scripts.verify` takes for a tree of 42,000 cells, committed to git. Prints one line.

    python -m benchmarks.harness.verify_tree [--models 60]

Every cell has a real one's content, with another name, spec, digest and seal.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from benchmarks.harness.checkout import ROOT
from benchmarks.harness.packing import MODES, QUESTIONS, SUITES, git
from scripts.lib.base.layout import CELLS
from scripts.lib.base.stored_json import digest
from scripts.lib.planning.cell_record import CellId, CellRecord, read_cell


def write_tree(folder: Path, models: int) -> int:
    """Write the cells below `folder`, and return their number."""
    source = next((ROOT / CELLS).glob("*/*/baseline/*/*.json"))
    whole, count = read_cell(source), 0
    for model in range(models):
        for mode in range(MODES):
            for cell in range(SUITES * QUESTIONS):
                record = _renamed(
                    whole,
                    f"model_{model}",
                    f"lookup_n{mode}",
                    f"suite_{cell // QUESTIONS}",
                    f"q{cell % QUESTIONS}",
                )
                file = folder / CELLS / record.place
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(record.to_json(), encoding="utf-8")
                count += 1
    return count


def _renamed(whole: CellRecord, model: str, mode: str, suite: str, question: str) -> CellRecord:
    spec = {
        **whole.spec,
        "weights": {**whole.spec["weights"], "fingerprint": f"{model}/{mode}/{suite}/{question}"},
    }
    cell = CellId(whole.cell.hardware, model, mode, suite, question)
    return replace(whole, cell=cell, spec=spec, digest=digest(spec))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", type=int, default=60)
    models = parser.parse_args().models
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        count = write_tree(folder, models)
        environments = folder / "benchmarks/results/environments"
        environments.mkdir()
        for file in (ROOT / "benchmarks/results/environments").glob("*.json"):
            (environments / file.name).write_bytes(file.read_bytes())
        git(folder, "init", "-q")
        git(folder, "add", "-A")
        git(folder, "commit", "-qm", "measured")
        begin = time.perf_counter()
        argv = [sys.executable, "-m", "scripts", "verify"]
        done = subprocess.run(
            argv,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - begin
        print(
            f"{count} cells: {seconds:.1f} s, exit code {done.returncode}: "
            f"{done.stdout.splitlines()[0]}"
        )


if __name__ == "__main__":
    main()
