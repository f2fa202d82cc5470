"""Commands can be called by their files, as the predecessor's were, from any folder."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from scripts.__main__ import commands
from tests.factories.checkout import ROOT
from tests.factories.commands import call

pytestmark = pytest.mark.slow


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


def file_of(name: str) -> Path:
    return ROOT / "scripts" / f"{name.replace('.', '/')}.py"


@pytest.mark.parametrize("name", ["plan", "benchmark.import_legacy_runs"])
def test_a_command_is_called_by_its_file(name: str, tmp_path: Path) -> None:
    done = python(tmp_path, str(file_of(name)), "--help")
    assert done.returncode == 0 and done.stdout.startswith(f"usage: python -m scripts.{name} ")
    assert done.stderr == f"files are looked for from {ROOT}\n"


@pytest.mark.parametrize("name", commands())
def test_every_commands_file_starts_the_command(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first import of the project replaces the process; here the new command is noted."""
    started: list[list[str]] = []

    def execv(_: str, argv: list[str]) -> NoReturn:
        started.append(argv)
        raise SystemExit

    file = file_of(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "execv", execv)
    monkeypatch.setattr(sys, "argv", [str(file), "--help"])
    monkeypatch.syspath_prepend(file.parent)
    for module in [m for m in sys.modules if m.partition(".")[0] == "scripts"]:
        monkeypatch.delitem(sys.modules, module)
    with pytest.raises(SystemExit):
        runpy.run_path(str(file), run_name="__main__")
    assert started[0][-3:] == ["-m", f"scripts.{name}", "--help"] and Path.cwd() == ROOT


def test_the_scorer_by_its_file_is_the_scorer_by_its_name() -> None:
    arguments = ("--run", "2020-01-01_000000")
    by_file = python(ROOT, "scripts/score_benchmarks.py", *arguments)
    by_name = call("scripts.score_benchmarks", *arguments)
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
