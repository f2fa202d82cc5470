"""A project of two tiny models and two suites of two questions, with this checkout's code."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import psutil
import pytest
import yaml

from scripts.lib.base.errors import BenchError
from scripts.lib.registry.role_table import role_table
from scripts.lib.settings.run_config import merged
from scripts.lib.workflow.invocation import read_invocation
from scripts.lib.workflow.targets import configuration_layers, for_targets, load_workflow
from tests.factories.checkout import ROOT, copy_checkout
from tests.factories.commands import call
from tests.factories.tiny_models import write_model

FAULTS = ROOT / "tests/workflow/faults"
PLUGINS = ROOT / "plugins"
CELLS = 16

REGISTRY = """\
runtime_defaults:
  temperature: 0.0
roles:
  tiny_a:
    tier: C
    description: first
    candidate_roles: [alpha]
    model: {{name: Tiny-A, path: {models}/a.gguf, quant: F32, size_gb: 0.001, architecture: dense}}
  tiny_b:
    tier: C
    description: second
    candidate_roles: [alpha]
    model: {{name: Tiny-B, path: {models}/b.gguf, quant: F32, size_gb: 0.001, architecture: dense}}
  elsewhere:
    tier: C
    description: weights that no test machine has
    candidate_roles: [alpha]
    model: {{name: Absent-7B, path: {models}/absent.gguf, quant: Q4_K_M, size_gb: 4.0,
            architecture: dense}}
"""


def question(prompt: str, tier: int = 1) -> dict[str, Any]:
    return {
        "tier": tier,
        "name": prompt[:20],
        "prompt": prompt,
        "reference_answer": "yes",
        "scoring": [
            {
                "criterion": "says yes",
                "weight": 100,
                "checks": [{"type": "contains", "any": ["yes"]}],
            }
        ],
    }


SUITES = {
    "one": {"q1": question("Is water wet?"), "q2": question("Is the sky blue today?")},
    "two": {"q1": question("Count: a b c a b c a b c a b"), "q2": question("Say yes.")},
}


@dataclass
class Project:
    """A project folder and the ways tests drive it."""

    folder: Path

    def environment(self, **extra: str) -> dict[str, str]:
        kept = {
            k: v for k, v in os.environ.items() if not k.startswith(("EPYC_BENCH", "PYTHONPATH"))
        }
        path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
        # With the display, also where `make env` has not installed it.
        modules = filter(None, (extra.get("PYTHONPATH"), str(PLUGINS)))
        extra["PYTHONPATH"] = os.pathsep.join(modules)
        return {**kept, "PATH": path, "EPYC_BENCH_LOCK": str(self.folder / "lock"), **extra}

    def run(self, *argv: str, fault: str = "", **extra: str) -> subprocess.CompletedProcess[str]:
        if fault:
            extra |= {"EPYC_TEST_FAULT": fault, "PYTHONPATH": str(FAULTS)}
        return subprocess.run(
            argv,
            cwd=self.folder,
            env=self.environment(**extra),
            capture_output=True,
            text=True,
            timeout=600,  # against hanging; a busy machine is many times slower
            check=False,
        )

    def snakemake(
        self, *arguments: str, fault: str = "", **extra: str
    ) -> subprocess.CompletedProcess[str]:
        return self.run("snakemake", "-j8", *arguments, fault=fault, **extra)

    def made(self, *targets: str) -> None:
        """Snakemake makes these targets. Each asks for no more than its test looks at."""
        done = self.snakemake(*targets)
        assert done.returncode == 0, done.stdout + done.stderr

    def results(self, *arguments: str) -> None:
        self.made("results", *arguments)

    @contextlib.contextmanager
    def inside(self, **extra: str) -> Iterator[None]:
        """Meanwhile this process has the project's folder and environment."""
        variables = self.environment(**extra)
        role_table.cache_clear()  # its file is another folder's
        with contextlib.chdir(self.folder), mock.patch.dict(os.environ, variables, clear=True):
            try:
                yield
            finally:
                role_table.cache_clear()

    def call(self, module: str, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
        """`python -m module arguments…` in this process: for what neither locks nor measures."""
        with self.inside(**extra):
            return call(module, *arguments)

    def refusal(self, target: str, *settings: str, file: str = "") -> str:
        """Why the Snakefile refuses that target with these settings, without Snakemake."""
        options = ["--config", *settings] if settings else []
        with self.inside(), pytest.raises(BenchError) as refused:
            asked = read_invocation(["-n", target, *options])
            files = [Path.cwd() / file] if file else []
            names = dict.fromkeys(setting.partition("=")[0] for setting in settings)
            layers = configuration_layers(asked, files, names)
            load_workflow(for_targets(merged(layers), asked), layers)
        return str(refused.value)

    def cells(self) -> dict[str, str]:
        """Cell file -> its text: a cell that was run again has other timings."""
        below = self.folder / "benchmarks/results/cells"
        files = [
            f
            for f in below.glob("*/*/*/*/*.json")
            if not any(part.startswith(".partial") for part in f.parts)
        ]
        return {str(f.relative_to(below)): f.read_text() for f in files}

    def pending(self) -> dict[tuple[str, str], int]:
        """(model, mode) -> cells that the plan would run, where there are any."""
        shown = self.call("scripts.plan", "--format", "json")
        assert shown.returncode == 0, shown.stderr
        return {
            (r["model"], r["mode"]): r["pending"] for r in json.loads(shown.stdout) if r["pending"]
        }

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.folder / file
        text = path.read_text()
        assert old in text, f"{old!r} is not in {file}"
        path.write_text(text.replace(old, new, 1))

    @property
    def registry(self) -> str:
        return "orchestration/model_registry.yaml"

    @property
    def report(self) -> str:
        return (self.folder / "docs/reference/benchmarks/RESULTS.md").read_text()


def make_project(folder: Path) -> Project:
    copy_checkout(folder)
    models = folder / "weights"
    write_model(models / "a.gguf", "dense", 1)
    write_model(models / "b.gguf", "dense", 2)
    (folder / "orchestration").mkdir()
    (folder / "orchestration/model_registry.yaml").write_text(REGISTRY.format(models=models))
    prompts = folder / "benchmarks/prompts/v1"
    prompts.mkdir(parents=True)
    for name, questions in SUITES.items():
        (prompts / f"{name}.yaml").write_text(
            yaml.safe_dump({"version": "1", "domain": name, "prompts": questions})
        )
    (folder / "config/suites.yaml").write_text("only: {}\nroles: {alpha: [one, two]}\n")
    config = yaml.safe_load((folder / "config/config.yaml").read_text())
    config["decoding"]["modes"] = ["baseline", "lookup_n3"]
    config["sampling"]["max_tokens"] = 24
    # One thread: two of these projects can run side by side on two cores, and none spins.
    (folder / "config/hardware/tiny.yaml").write_text("threads: 1\n")
    config["hardware"] = "tiny"
    config["preflight"] = "off"  # a second of watching each run; test_preflight turns it on
    config["context"] |= {"length_tokens": 512, "batch_tokens": 256, "micro_batch_tokens": 128}
    (folder / "config/config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    return Project(folder)


BASELINE = 'decoding={"modes":["baseline"]}'
# Tables and pages take half of the time of `results`: the four cells of one shard; these cells and
# their review; everything but tables and pages.
SHARD = "infer_embedded_tiny_a_baseline"
ONE_SHARD = ("results_tiny_a", "--config", BASELINE)
NO_TABLES = ("--omit-from", "tabulate")


def partial_cells(project: Project) -> list[Path]:
    return list((project.folder / "benchmarks/results/cells").rglob(".partial-*/*.json"))


def records(project: Project) -> list[dict[str, object]]:
    return [json.loads(text) for text in project.cells().values()]


def started(project: Project, *argv: str, **extra: str) -> subprocess.Popen[str]:
    """A command in its own process group, as a shell starts one; SIGINT is not ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    log = (project.folder / "out.txt").open("w")
    return subprocess.Popen(
        argv,
        cwd=project.folder,
        env=project.environment(**extra),
        stdout=log,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
    )


def output(project: Project) -> str:
    return (project.folder / "out.txt").read_text()


def wait_for_cells(project: Project, process: subprocess.Popen[str], count: int) -> None:
    deadline = time.monotonic() + 90
    while len(partial_cells(project)) < count:
        assert time.monotonic() < deadline and process.poll() is None, output(project)
        time.sleep(0.02)


def engines_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    below = psutil.Process(process.pid).children(recursive=True)
    return [p for p in below if "scripts.infer" in p.cmdline() or "llama-server" in p.name()]
