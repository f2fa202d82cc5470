"""Preflight through Snakemake: once before the first shard, recorded, and refused if configured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.factories.tiny_project import Project, records

pytestmark = pytest.mark.serial


@pytest.fixture
def neighbour(tmp_path: Path):  # type: ignore[no-untyped-def]
    """A stranger that keeps a CPU busy."""
    pid_file = tmp_path / "pid"
    loop = f"import os; open({str(pid_file)!r}, 'w').write(str(os.getpid()))\nwhile True: pass"
    subprocess.run(["setsid", "--fork", sys.executable, "-c", loop], check=True)
    while not pid_file.exists() or not pid_file.read_text():
        pass
    yield
    psutil.Process(int(pid_file.read_text())).kill()


def test_a_noisy_machine_is_tagged_or_refused(project: Project, neighbour: None) -> None:
    done = project.snakemake("results_tiny_a", "--config", "preflight=refuse")
    output = done.stdout + done.stderr
    assert done.returncode == 1 and project.cells() == {} and "Traceback" not in output
    expected = "preflight: this machine is not quiet enough to measure times: other processes use"
    assert f"{expected} the CPU" in output
    project.made("results_tiny_a", "--config", "preflight=tag")
    environments = {str(cell["environment"]) for cell in records(project)}
    assert len(environments) == 1, "both shards of the run have what its first one saw"
    folder = project.folder / "benchmarks/results/environments"
    record = json.loads((folder / f"{environments.pop()}.json").read_text())
    assert record["preflight"]["outcome"] == "noisy"
    assert "other processes use the CPU" in record["preflight"]["findings"]
    assert record["preflight"]["bandwidth_gb_per_s"] > 0
    runs = [
        json.loads(f.read_text())
        for f in (project.folder / "benchmarks/results/runs").glob("*/config.json")
    ]
    assert any("CPUs: python" in text for run in runs for text in run["preflight"]["findings"])


def test_environments_are_shown_and_compared(project: Project) -> None:
    project.edit("config/config.yaml", "hardware: tiny", "hardware: auto")
    one = project.run(sys.executable, "-m", "scripts.infer", "--model", "tiny_a")
    (project.folder / "config/hardware/single.yaml").write_text("threads: 1\n")
    script = "EPYC_BENCH_CONFIG= python -m scripts.infer --model tiny_a --configfile single.yaml"
    (project.folder / "single.yaml").write_text("hardware: single\n")
    two = project.run("sh", "-c", script)
    assert one.returncode == two.returncode == 0, one.stderr + two.stderr
    names = sorted(f.stem for f in (project.folder / "benchmarks/results/environments").iterdir())
    assert len(names) == 2
    orphans = project.call("scripts.cells", "orphans")
    assert orphans.returncode == 0 and orphans.stdout == "", "this machine's own profile is known"
    listed = project.call("scripts.environment", "show").stdout
    assert all(name in listed for name in names) and "single" in listed
    shown = json.loads(project.call("scripts.environment", "show", names[0][:6]).stdout)
    assert (
        shown["system"]["kernel"]
        and len(shown["engine"]["source_sha256"]) == 64
        and shown["memory"]["numa_topology"]
    )
    differ = project.call("scripts.environment", "diff", *names)
    assert (
        differ.returncode == 1
        and "hardware.threads: " in differ.stdout
        and "system.kernel" not in differ.stdout
    )
    same = project.call("scripts.environment", "diff", names[0], names[0])
    assert same.returncode == 0 and "0 fields differ" in same.stdout
    unknown = project.call("scripts.environment", "show", "zzz")
    assert unknown.returncode == 1 and "no environment 'zzz' and no such file" in unknown.stderr
