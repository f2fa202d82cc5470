"""The pinned environments agree: imports are required, requirements locked, conda pins equal."""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import re
import sys
from collections.abc import Mapping
from functools import cache
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
LOCK = {
    normal(p.name): str(p.specifier)[2:] for p in _PINS if p.marker is None or p.marker.evaluate()
}
ASKED = {
    normal(n)
    for n in re.findall(
        r"^([A-Za-z0-9._-]+)", Path("envs/requirements.in").read_text("utf-8"), re.M
    )
}


def imported(folder: str) -> set[str]:
    """Top-level modules that the Python files below a folder import, wherever the import stands."""
    found: set[str] = set()
    for file in Path(folder).rglob("*.py"):
        if file.parent.name == "peers":
            # Other harnesses' scorers have an environment of their own, with a lock beside them.
            continue
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - OWN - ENGINE_BUILD


@cache
def distributions() -> Mapping[str, list[str]]:
    """Top-level module -> the installed packages that have it."""
    return importlib.metadata.packages_distributions()


@pytest.mark.parametrize("folder", ["scripts", "tests", "benchmarks/harness"])
def test_every_import_is_asked_for_by_name(folder: str) -> None:
    packages = distributions()
    for module in imported(folder):
        names = {normal(name) for name in packages.get(module, [module])}
        assert names & ASKED, (
            f"{module} is imported below {folder}/ and not named in envs/requirements.in"
        )


def test_everything_asked_for_is_locked_with_hashes() -> None:
    assert {normal(pin.name) for pin in _PINS} >= ASKED
    locked = entries("requirements.lock")
    assert len(locked) == len(_PINS) and all("--hash=sha256:" in entry for entry in locked)


def entries(file: str) -> list[str]:
    """The pinned packages of a lock, each with its hashes."""
    text = re.sub(r"^#.*\n", "", Path(f"envs/{file}").read_text("utf-8"), flags=re.M)
    return [entry.rstrip("\n") for entry in re.split(r"\n(?=\S)", text) if "==" in entry]


# What conda's channels do not have: the post-deploy scripts install it into both environments.
BY_PIP = {
    normal(name): version
    for name, version in (e.split()[0].split("==") for e in entries("conda-pip.lock"))
}


def conda_pins(file: str) -> dict[str, str]:
    """Package -> version in an environment's file, by the names that requirements.lock has."""
    pins = [str(p) for p in yaml.safe_load(Path(f"envs/{file}").read_text("utf-8"))["dependencies"]]
    versions = {normal(name): version for name, _, version in (pin.partition("=") for pin in pins)}
    assert versions.pop("python") == "3.11"
    versions.pop("pip", None)
    for conda, name in (("snakemake-minimal", "snakemake"), ("matplotlib-base", "matplotlib")):
        if conda in versions:
            versions[name] = versions.pop(conda)
    return versions


def environment_pins(file: str) -> dict[str, str]:
    """The same, with what pip installs after it."""
    return conda_pins(file) | BY_PIP


class _RunTime(ast.NodeTransformer):
    """Leaves out what only type checkers import."""

    def visit_If(self, node: ast.If) -> ast.AST | None:
        return None if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING" else node


@cache
def run_time_imports(file: Path) -> list[str]:
    """What a file imports when it runs: modules, and names that may be modules."""
    found: list[str] = []
    for node in ast.walk(_RunTime().visit(ast.parse(file.read_text("utf-8")))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return found


def needed(module: str, seen: set[str]) -> set[str]:
    """Third-party modules that a script imports, through everything of ours that it imports."""
    file = source_of(module)
    if module in seen or not file.is_file():
        return set()
    seen.add(module)
    found: set[str] = set()
    for name in run_time_imports(file):
        found |= needed(name, seen) if name.startswith("scripts") else {name.partition(".")[0]}
    return found - set(sys.stdlib_module_names) - OWN - ENGINE_BUILD


# What a rule may name -> the files that it can mean.
ENVIRONMENTS = {
    "ENVIRONMENT": ("bench.yaml",),
    "ENGINE_ENVIRONMENT": ("infer.yaml",),
    "JUDGE_ENVIRONMENT": ("bench.yaml", "infer.yaml"),
}
FILES = ("bench.yaml", "infer.yaml")
RULES = [
    rule
    for file in sorted(Path("rules").glob("*.smk"))
    for rule in re.split(r"^ *rule\b", file.read_text("utf-8"), flags=re.M)
]
SHELLS = [rule for rule in RULES if re.search(r"^ +shell:", rule, re.M)]


def test_every_rule_that_runs_something_names_an_environment() -> None:
    assert len(SHELLS) >= 10
    for rule in SHELLS:
        conda = re.search(r"conda:\n +(\w+)\n", rule)
        assert conda and conda[1] in ENVIRONMENTS, rule


def environment_and_script(rule: str) -> tuple[str, str]:
    """What a rule names as its environment, and the module that it runs."""
    conda, script = (
        re.search(r"conda:\n +(\w+)", rule),
        re.search(r"python -m (scripts\.\w+)", rule),
    )
    assert conda and script
    return conda[1], script[1]


@pytest.mark.parametrize("rule", SHELLS, ids=lambda rule: re.search(r"scripts\.\w+", rule)[0])
def test_an_environment_has_what_its_rules_script_imports(rule: str) -> None:
    environment, script = environment_and_script(rule)
    packages = distributions()
    for file in ENVIRONMENTS[environment]:
        pins = environment_pins(file)
        for module in needed(script, set()):
            assert {normal(name) for name in packages[module]} & set(pins), (
                f"{script} imports {module}: {file} has it not"
            )


def source_of(module: str) -> Path:
    file = Path(f"{module.replace('.', '/')}.py")
    return file if file.is_file() else file.with_suffix("") / "__init__.py"


@cache
def top_level(module: str) -> dict[str, ast.stmt | tuple[str, str]]:
    """Name -> its definition in a module, or (module, name) if imported from another module."""
    found: dict[str, ast.stmt | tuple[str, str]] = {}
    for node in ast.parse(source_of(module).read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found[node.name] = node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            names = [
                n
                for n in ast.walk(node)
                if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
            ]
            found |= dict.fromkeys((name.id for name in names), node)
        elif isinstance(node, ast.ImportFrom):
            found |= imported_names(node)
    return found


def imported_names(node: ast.ImportFrom) -> dict[str, tuple[str, str]]:
    if not (node.module or "").startswith("scripts"):
        return {}
    return {alias.asname or alias.name: (str(node.module), alias.name) for alias in node.names}


def reach(module: str, name: str, seen: set[tuple[str, str]]) -> None:
    """Add to `seen` what a definition may use: names in its body, and scripts that it starts."""
    if (module, name) in seen:
        return
    seen.add((module, name))
    found = top_level(module).get(name)
    if found is None:
        return
    if isinstance(found, tuple):
        reach(*found, seen)
        return
    for node in ast.walk(found):
        if isinstance(node, ast.Name):
            reach(module, node.id, seen)
        elif isinstance(node, ast.ImportFrom):
            for target in imported_names(node).values():
                reach(*target, seen)
        elif isinstance(node, ast.Constant) and re.fullmatch(r"scripts\.\w+", str(node.value)):
            reach(str(node.value), "main", seen)


@pytest.mark.parametrize("rule", SHELLS, ids=lambda rule: re.search(r"scripts\.\w+", rule)[0])
def test_the_rules_that_need_the_engine_and_no_other_run_where_it_is(rule: str) -> None:
    environment, script = environment_and_script(rule)
    seen: set[tuple[str, str]] = set()
    for name in ("main", "parser"):
        reach(script, name, seen)
    needs_engine = ("scripts.lib.llama_build.build", "installed_build") in seen
    assert needs_engine == ("infer.yaml" in ENVIRONMENTS[environment]), (
        f"{script} runs in {environment}"
    )


@pytest.mark.parametrize("file", FILES)
def test_condas_pins_are_those_of_the_lock(file: str) -> None:
    versions = conda_pins(file)
    assert versions == {name: LOCK[name] for name in versions}


@pytest.mark.parametrize("file", FILES)
def test_what_pip_installs_is_the_locks_and_not_condas_and_needs_nothing_else(file: str) -> None:
    assert set(entries("conda-pip.lock")) <= set(entries("requirements.lock"))
    assert not set(BY_PIP) & set(conda_pins(file))
    for name in BY_PIP:
        for needed_by_it in map(Requirement, importlib.metadata.requires(name) or []):
            if needed_by_it.marker is None or needed_by_it.marker.evaluate({"extra": ""}):
                assert normal(needed_by_it.name) in environment_pins(file), (
                    f"{name} needs {needed_by_it}"
                )


@pytest.mark.parametrize(
    ("script", "locks"),
    [("bench", ("conda-pip.lock",)), ("infer", ("engine.lock", "conda-pip.lock"))],
)
def test_a_post_deploy_script_has_the_sums_of_its_locks(
    script: str, locks: tuple[str, ...]
) -> None:
    text = Path(f"envs/{script}.post-deploy.sh").read_text("utf-8")
    for lock in locks:
        line = f"{hashlib.sha256(Path(f'envs/{lock}').read_bytes()).hexdigest()}  envs/{lock}"
        assert line in text.splitlines(), f"envs/{script}.post-deploy.sh needs the line: {line}"
    assert (
        "pip install --quiet --no-deps --require-hashes --requirement envs/conda-pip.lock" in text
    )


def test_the_environment_of_all_but_the_engine_has_everything() -> None:
    packages = distributions()
    runtime = {normal(name) for module in imported("scripts") for name in packages[module]}
    assert runtime & ASKED <= set(environment_pins("bench.yaml"))


def test_the_engines_build_tools_are_in_its_environment() -> None:
    assert {"cmake", "ninja", "scikit-build-core"} <= set(conda_pins("infer.yaml"))
    assert "scripts.build_engine" in Path("envs/infer.post-deploy.sh").read_text("utf-8")


def test_slurms_lock_holds_only_what_the_other_does_not() -> None:
    locked = entries("slurm.lock")
    names = {normal(entry.partition("==")[0]) for entry in locked}
    assert "snakemake-executor-plugin-slurm" in names and not names & set(LOCK)
    assert all("--hash=sha256:" in entry for entry in locked)


def test_no_lock_names_a_registry() -> None:
    for file in Path("envs").iterdir():
        assert not re.search(
            r"https?://|index-url", file.read_text("utf-8").replace("--no-emit-index-url", "")
        ), file
