"""Make the pages and tables of the made-up project (factories/sample_project.py) in tests/golden/.

After a change that is meant to change them, write them anew and look at the difference:
    python -m tests.golden && git diff tests/golden
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from scripts.lib.pages.compact import unpacked
from scripts.lib.pages.vendored import SCRIPTS, vendored_scripts
from tests.factories.checkout import ROOT
from tests.factories.sample_project import make_project

STORED = ROOT / "tests/golden"
VENDORED = ROOT / "docs/templates/report/vendor"
REPORT = "docs/reference/benchmarks/report.html"
FILES = (
    "docs/reference/benchmarks/RESULTS.md",
    REPORT,
    "benchmarks/results/reviews/summary.csv",
    *(
        f"benchmarks/results/tables/{name}.csv"
        for name in (
            *("modes", "workloads", "acceptance", "speculators", "suites", "roles"),
            "reductions",
        )
    ),
)
_ANSWERS = re.compile(r'(id="answers-\d+">)([A-Za-z0-9+/=]+)')
_PICTURE = re.compile(r"(data:image/svg\+xml;base64),[A-Za-z0-9+/=]+")


def run(folder: Path, *argv: str) -> None:
    """Run a Python command in the project; what it says is shown where it fails."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("EPYC_BENCH")}
    environment = {**kept, "PYTHONPATH": str(ROOT), "EPYC_BENCH_SO_FAR": "1"}
    done = subprocess.run(
        [sys.executable, *argv],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(argv)}:\n{done.stdout}{done.stderr}")


def build(folder: Path) -> None:
    """The whole project: inputs, cells, reviews, tables, pages."""
    make_project(folder)
    run(folder, "-c", "from tests.factories.sample_project import measure; measure()")
    run(folder, "-m", "scripts.tabulate")
    run(folder, "-m", "scripts.render")


def comparable(folder: Path, file: str) -> str:
    """A file's text; the report without its pictures, whose bytes depend on the drawing library.

    Answers, whose packed bytes depend on the version of zlib, are unpacked. The charting library
    that the report carries is left out.
    """
    text = (folder / file).read_text(encoding="utf-8")
    if file != REPORT:
        return text
    for name, script in zip(SCRIPTS, vendored_scripts(VENDORED), strict=True):
        text = text.replace(script, f"/* {name} */")
    text = _ANSWERS.sub(lambda found: found[1] + json.dumps(unpacked(found[2])), text)
    return _PICTURE.sub(r"\1,", text)


def stored(file: str) -> Path:
    return STORED / Path(file).name


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        build(Path(name))
        STORED.mkdir(exist_ok=True)
        for file in FILES:
            stored(file).write_text(comparable(Path(name), file), encoding="utf-8")
            print(stored(file).relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
