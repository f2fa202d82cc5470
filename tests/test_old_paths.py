"""Commands can be called by their files, as the predecessor's were, from any folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
# Programs that are started by other modules, not by people, are in scripts/lib.
COMMANDS = sorted(
    str(file.relative_to(ROOT))
    for folder in ("scripts", "scripts/benchmark")
    for file in (ROOT / folder).glob("*.py")
    if not file.name.startswith("_") and file.name != "scripts.py"
)


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("file", COMMANDS)
def test_a_command_is_called_by_its_file(file: str, tmp_path: Path) -> None:
    done = python(tmp_path, str(ROOT / file), "--help")
    command = file.removesuffix(".py").replace("/", ".")
    assert done.returncode == 0 and done.stdout.startswith(f"usage: python -m {command} ")
    assert done.stderr == f"files are looked for from {ROOT}\n"


def test_the_scorer_by_its_file_is_the_scorer_by_its_name() -> None:
    arguments = ("--run", "2020-01-01_000000")
    by_file, by_name = (
        python(ROOT, *way, *arguments)
        for way in (("scripts/score_benchmarks.py",), ("-m", "scripts.score_benchmarks"))
    )
    assert by_file.returncode == by_name.returncode == 1 and by_file.stderr == by_name.stderr
    assert by_file.stderr.startswith(
        "error: benchmarks/results/runs/2020-01-01_000000: no such run"
    )


def test_pythons_own_options_and_arguments_with_blanks_are_kept() -> None:
    done = python(ROOT, "-W", "error", "-X", "utf8", "scripts/registry.py", "show", "no such entry")
    assert done.returncode == 1 and "no entry 'no such entry'" in done.stderr


def test_the_folder_of_commands_lists_them(tmp_path: Path) -> None:
    done = python(tmp_path, str(ROOT / "scripts"))
    listed = {line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")}
    assert done.returncode == 0 and {"score_benchmarks", "docs"} <= listed
    assert "scripts" not in listed


@pytest.mark.parametrize("way", ["file", "module"])
@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("executor", "snakemake -j8 results"),
        ("registry_loader", "python -m scripts.registry show MODEL"),
    ],
)
def test_a_module_that_is_no_command_any_more_names_the_one_that_is(
    name: str, instead: str, way: str
) -> None:
    called = (f"scripts/lib/{name}.py",) if way == "file" else ("-m", f"scripts.lib.{name}")
    done = python(ROOT, *called, "--list")
    assert done.returncode == 1 and done.stdout == ""
    told = f"error: scripts/lib/{name}.py is not a command any more. "
    assert done.stderr.startswith(told) and instead in done.stderr
