"""The pinned environments agree: what is imported is asked for, what is asked for is locked, conda's pins are the lock's."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

OWN = {"scripts", "tests", "benchmarks"}
# Installed apart, against the engine's own build (envs/engine.lock).
ENGINE_BUILD = {"llama_cpp"}


def normal(name: str) -> str:
    """A package's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


_PINS = [
    Requirement(line.rstrip(" \\"))
    for line in Path("envs/requirements.lock").read_text("utf-8").splitlines()
    if re.match(r"[A-Za-z0-9]", line)
]
# For this Python: a package may be pinned twice, each with its marker.
LOCK = {normal(p.name): str(p.specifier)[2:] for p in _PINS if p.marker is None or p.marker.evaluate()}
ASKED = {normal(n) for n in re.findall(r"^([A-Za-z0-9._-]+)", Path("envs/requirements.in").read_text("utf-8"), re.M)}


def imported(folder: str) -> set[str]:
    """Top-level modules that the Python files below a folder import, wherever the import stands."""
    found: set[str] = set()
    for file in Path(folder).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - OWN - ENGINE_BUILD


@pytest.mark.parametrize("folder", ["scripts", "tests", "benchmarks/harness"])
def test_every_import_is_asked_for_by_name(folder: str) -> None:
    packages = importlib.metadata.packages_distributions()
    for module in imported(folder):
        names = {normal(name) for name in packages.get(module, [module])}
        assert names & ASKED, f"{module} is imported below {folder}/ and not named in envs/requirements.in"


def test_everything_asked_for_is_locked_with_hashes() -> None:
    assert {normal(pin.name) for pin in _PINS} >= ASKED
    text = Path("envs/requirements.lock").read_text("utf-8")
    entries = [entry for entry in re.split(r"\n(?=\S)", text) if "==" in entry]
    assert len(entries) == len(_PINS) and all("--hash=sha256:" in entry for entry in entries)


def test_condas_pins_are_those_of_the_lock() -> None:
    pins = [str(p) for p in yaml.safe_load(Path("envs/bench.yaml").read_text("utf-8"))["dependencies"]]
    versions = {normal(name): version for name, _, version in (pin.partition("=") for pin in pins)}
    assert versions.pop("python") == "3.11"
    versions["snakemake"] = versions.pop("snakemake-minimal")
    assert versions == {name: LOCK[name] for name in versions}
    packages = importlib.metadata.packages_distributions()
    runtime = {normal(name) for module in imported("scripts") for name in packages[module]}
    assert runtime & ASKED <= set(versions)


def test_no_lock_names_a_registry() -> None:
    for file in Path("envs").iterdir():
        assert not re.search(r"https?://|index-url", file.read_text("utf-8").replace("--no-emit-index-url", "")), file
