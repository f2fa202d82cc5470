"""A scratch copy of this checkout: the tracked files, no cells, shared weights and environment."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DERIVED = tuple(
    f"benchmarks/results/{part}/" for part in ("cells", "environments", "reviews", "tables")
)


@contextlib.contextmanager
def scratch_checkout() -> Iterator[Path]:
    """Copy the tracked and the new files to a temporary folder, without cells and results.

    The outcomes of probes stay: a clone has them until the engine's version changes.
    """
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    with tempfile.TemporaryDirectory(prefix="epyc-bench-") as name:
        folder = Path(name)
        for file in filter(None, names.split("\0")):
            source = ROOT / file
            if source.is_file() and not file.startswith(DERIVED):
                target = folder / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
        os.environ.setdefault("EPYC_BENCH_MODELS", str(ROOT / "models"))
        yield folder
