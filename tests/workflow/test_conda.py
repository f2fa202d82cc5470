"""`snakemake --sdm conda` with a stand-in for conda: which environment files it is asked for, and that every rule runs in one.

conda's channels are not to be reached here, so the stand-in's environments have this one's packages, and no engine until the
post-deploy script gives them one; everything around it is Snakemake's.
"""

from __future__ import annotations

import json
import stat
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.workflow.conftest import CELLS, Project

CONDA = """\
#!/usr/bin/env bash
echo "$*" >> {log}
case "$1 $2" in
  "info --json") echo '{{"conda_prefix": "{prefix}", "platform": "linux-64"}}' ;;
  "--version "*) echo "conda 25.9.1" ;;
  "config --get") echo '{{"get": {{"channel_priority": "strict"}}}}' ;;
  "env create"|"create "*) while [ "$1" != --prefix ]; do shift; done
    {python} -m venv --without-pip "$2"
    echo "import site; site.addsitedir('{packages}')" > "$("$2/bin/python" -c '{own_packages}')/all.pth" ;;
esac
"""
OWN_PACKAGES = 'import sysconfig; print(sysconfig.get_path("purelib"))'
ACTIVATE = """\
echo "activated $1" >> {log}
export PATH="$1/bin:$PATH"
"""
# What scripts.build_engine leaves in the environment that it is run in; that this activated it says nothing of the jobs.
DEPLOY = """\
sed -i '$d' {log}
cp {marker} "$(python -c 'import sys; print(sys.prefix)')"
echo engine >> {deployed}
"""


def stand_in(project: Project) -> tuple[Path, str]:
    """A `conda` on the PATH, and an engine for the environment that asks for one; gives conda's log and that PATH."""
    folder = project.folder / "conda"
    (folder / "bin").mkdir(parents=True)
    log, packages = folder / "log.txt", sysconfig.get_path("purelib")
    values = {
        "log": log,
        "prefix": folder,
        "python": sys.executable,
        "packages": packages,
        "own_packages": OWN_PACKAGES,
    }
    for name, text in (("conda", CONDA), ("activate", ACTIVATE)):
        file = folder / "bin" / name
        file.write_text(text.format(**values))
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
    deploy = DEPLOY.format(log=log, marker=Path(sys.prefix) / "engine.json", deployed=folder / "deployed.txt")
    (project.folder / "envs/infer.post-deploy.sh").write_text(deploy)
    return log, f"{folder / 'bin'}:{project.environment()['PATH']}"


def environments_used(project: Project, log: Path) -> set[str]:
    """The files of the environments that were activated for jobs."""
    used = {line.removeprefix("activated ") for line in log.read_text().splitlines() if line.startswith("activated ")}
    texts = {(project.folder / "envs" / name).read_text(): name for name in ("bench.yaml", "infer.yaml")}
    return {texts[Path(f"{prefix}.yaml").read_text()] for prefix in used}


def test_every_job_runs_in_the_environment_of_its_stage(project: Project) -> None:
    log, path = stand_in(project)
    done = project.snakemake("results", "--sdm", "conda", PATH=path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(project.cells()) == CELLS
    lines = log.read_text().splitlines()
    made = [line for line in lines if line.startswith("env create")]
    assert len(made) == 2, "one environment a stage: running llama.cpp, and everything else"
    folder = project.folder / ".snakemake/conda"
    copies = {file.read_text() for file in folder.glob("*.yaml")}
    assert copies == {(project.folder / "envs" / name).read_text() for name in ("bench.yaml", "infer.yaml")}
    assert (log.parent / "deployed.txt").read_text() == "engine\n", "the engine is built into its environment, once"
    activated = [line for line in lines if line.startswith("activated")]
    jobs = 4 + 4 + 2  # shards, reviews, tables and pages
    assert len(activated) >= jobs and len(set(activated)) == 2


def test_an_explicit_lock_file_is_used_where_it_is_there(project: Project) -> None:
    """What docs/reference/reproducibility.md tells to make: envs/NAME.linux-64.pin.txt."""
    log, path = stand_in(project)
    for name in ("bench", "infer"):
        (project.folder / f"envs/{name}.linux-64.pin.txt").write_text("@EXPLICIT\n")
    done = project.snakemake("results", "--sdm", "conda", "--conda-create-envs-only", PATH=path)
    assert done.returncode == 0, done.stdout + done.stderr
    created = [line for line in log.read_text().splitlines() if "create" in line.split()[:2]]
    assert len(created) == 2 and all(".pin.txt" in line for line in created)


@pytest.mark.parametrize("target", ["preview", "orphans", "prune"])
def test_what_looks_after_the_tree_needs_no_engine(finished: Project, target: str) -> None:
    log, path = stand_in(finished)
    done = finished.snakemake(target, "--sdm", "conda", PATH=path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert environments_used(finished, log) == {"bench.yaml"}


def test_reproduce_runs_where_the_engine_is(finished: Project) -> None:
    log, path = stand_in(finished)
    done = finished.snakemake("reproduce", "--sdm", "conda", "--config", "sample=2", PATH=path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert environments_used(finished, log) == {"infer.yaml"}
    (report,) = (finished.folder / "benchmarks/results/reproductions").glob("*/*/report.json")
    assert json.loads(report.read_text())["answers"]["exact"] == 2


LOCAL = (
    "judge={scorers: [local], local: {model: tiny_a, context_tokens: 1024, max_tokens: 256, deadline_s: 20, url: %s}}"
)


@pytest.mark.parametrize(("url", "environment"), [("null", "infer.yaml"), ("http://127.0.0.1:9", "bench.yaml")])
def test_only_a_local_judge_that_we_start_runs_where_the_engine_is(
    finished: Project, url: str, environment: str
) -> None:
    log, path = stand_in(finished)
    done = finished.snakemake("judge", "--sdm", "conda", "--config", LOCAL % url, PATH=path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert environments_used(finished, log) == {environment}
    started = (finished.folder / "benchmarks/results/logs/judge/server.log").is_file()
    assert started == (environment == "infer.yaml")
