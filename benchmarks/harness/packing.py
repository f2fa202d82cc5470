"""Compare 42,000 small files with one JSONL per shard: git, listing, reading. Prints a table.

    python -m benchmarks.harness.packing [--models 60]

Every file has a real cell's text with another digest, in a new git repository on the temporary
folder's disk.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tabulate import tabulate

from benchmarks.harness.checkout import ROOT

MODES, SUITES, QUESTIONS = 10, 7, 10


def texts(models: int) -> Iterator[tuple[str, str, str]]:
    """(shard, file name, text) of every cell; token ids differ, as real ones do."""
    source = next((ROOT / "benchmarks/results/cells").glob("*/*/baseline/*/*.json"))
    whole = json.loads(source.read_text(encoding="utf-8"))
    count = max(len(whole["measurement"]["token_ids"].split()), 64)
    for model in range(models):
        for mode in range(MODES):
            for cell in range(SUITES * QUESTIONS):
                name = hashlib.sha256(f"{model}/{mode}/{cell}".encode()).hexdigest()
                whole["digest"] = name[:12]
                draws = (
                    hashlib.sha256(f"{name}{i}".encode()).digest() for i in range(count // 16 + 1)
                )
                ids = [b * 191 % 49152 for block in draws for b in block[:16]][:count]
                whole["measurement"]["token_ids"] = " ".join(map(str, ids))
                file = f"suite_{cell // QUESTIONS}/q{cell % QUESTIONS}.{name[:12]}.json"
                yield (
                    f"model_{model}/mode_{mode}",
                    file,
                    json.dumps(whole, sort_keys=True, indent=2) + "\n",
                )


def write_files(folder: Path, models: int) -> None:
    for shard, file, text in texts(models):
        path = folder / "cells" / shard / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def write_packs(folder: Path, models: int) -> None:
    """Write one JSONL per shard, with an index of byte offsets beside it."""
    packs: dict[str, list[tuple[str, str]]] = {}
    for shard, file, text in texts(models):
        packs.setdefault(shard, []).append(
            (file, json.dumps(json.loads(text), sort_keys=True) + "\n")
        )
    for shard, cells in packs.items():
        path, at, index = folder / "cells" / f"{shard}.jsonl", 0, {}
        path.parent.mkdir(parents=True, exist_ok=True)
        for file, line in cells:
            index[file] = at
            at += len(line.encode())
        path.write_text("".join(line for _, line in cells), encoding="utf-8")
        path.with_suffix(".index.json").write_text(json.dumps(index), encoding="utf-8")


def timed(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def git(folder: Path, *argv: str) -> str:
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "gc.auto=0"]
    return subprocess.run(
        ["git", *identity, *argv], cwd=folder, check=True, capture_output=True, text=True
    ).stdout


def read_all(folder: Path) -> int:
    """Parse every cell, and return their number."""
    count = 0
    for path in folder.glob("cells/**/*.json*"):
        if not path.name.endswith(".index.json"):
            text = path.read_text("utf-8")
            count += len(
                [
                    json.loads(line)
                    for line in (text.splitlines() if path.suffix == ".jsonl" else [text])
                ]
            )
    return count


def change_one(folder: Path) -> None:
    """Change one cell, as a new measurement does: write its file, or its shard's JSONL, again."""
    path = next(
        p for p in sorted(folder.glob("cells/**/*.json*")) if not p.name.endswith(".index.json")
    )
    if path.suffix == ".jsonl":
        lines = path.read_text("utf-8").splitlines(keepends=True)
        path.write_text(
            "".join([lines[0].replace('"ok"', '"timeout"', 1), *lines[1:]]), encoding="utf-8"
        )
    else:
        path.with_name(f"again.{path.name}").write_text(
            path.read_text("utf-8").replace('"ok"', '"timeout"', 1), "utf-8"
        )


def measure(write: Callable[[Path, int], None], models: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="packing-") as name:
        folder = Path(name)
        git(folder, "init", "-q")
        made: dict[str, float] = {"write s": timed(lambda: write(folder, models))}
        made["git add s"] = timed(lambda: git(folder, "add", "-A"))
        made["git commit s"] = timed(lambda: git(folder, "commit", "-qm", "all"))
        made["git status s"] = timed(lambda: git(folder, "status", "--short"))
        made["git clone s"] = timed(
            lambda: git(folder, "clone", "-q", "--no-local", ".", f"{name}.clone")
        )
        subprocess.run(["rm", "-rf", f"{name}.clone"], check=True)
        made["find s"] = timed(
            lambda: subprocess.run(
                ["find", "cells"], cwd=folder, check=True, stdout=subprocess.DEVNULL
            )
        )
        made["ls of one shard s"] = timed(
            lambda: subprocess.run(
                ["ls", "-lR", "cells/model_1"], cwd=folder, check=True, stdout=subprocess.DEVNULL
            )
        )
        made["read all s"] = timed(lambda: read_all(folder))
        files = [f for f in folder.glob("cells/**/*") if f.is_file()]
        made["files"] = len(files)
        made["on disk MiB"] = sum(f.stat().st_blocks * 512 for f in files) / 2**20
        git(folder, "gc", "-q")
        made["git, packed by git, MiB"] = (
            float(git(folder, "count-objects", "-v").split("size-pack: ")[1].split()[0]) / 1024
        )
        change_one(folder)
        made["one cell again: add and commit s"] = timed(
            lambda: (git(folder, "add", "-A"), git(folder, "commit", "-qm", "one"))
        )
        made["one cell again: KiB in git"] = float(
            git(folder, "count-objects").split(", ")[1].split()[0]
        )
    return made


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.harness.packing", description=__doc__
    )
    parser.add_argument("--models", type=int, default=60)
    models = parser.parse_args().models
    files, packs = measure(write_files, models), measure(write_packs, models)
    rows = [[key, f"{files[key]:.2f}", f"{packs[key]:.2f}"] for key in files]
    print(f"{models * MODES * SUITES * QUESTIONS} cells")
    print(
        tabulate(
            rows,
            ["", "one file a cell", "one JSONL a shard"],
            tablefmt="pipe",
            disable_numparse=True,
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
