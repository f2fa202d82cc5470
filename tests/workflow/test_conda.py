"""`snakemake --sdm conda` with a stand-in for conda: which environment files it is asked for, and that every rule runs in one.

conda's channels are not to be reached here, so the stand-in's environments are this one; everything around it is Snakemake's.
"""

from __future__ import annotations

import stat
from pathlib import Path

from tests.workflow.conftest import CELLS, Project

CONDA = """\
#!/usr/bin/env bash
echo "$*" >> {log}
case "$1 $2" in
  "info --json") echo '{{"conda_prefix": "{prefix}", "platform": "linux-64"}}' ;;
  "--version "*) echo "conda 25.9.1" ;;
  "config --get") echo '{{"get": {{"channel_priority": "strict"}}}}' ;;
  "env create"|"create "*) for a in "$@"; do case "$a" in --prefix=*) mkdir -p "${{a#--prefix=}}";; esac; done
    while [ $# -gt 0 ]; do if [ "$1" = --prefix ]; then mkdir -p "$2"; fi; shift; done ;;
esac
"""
ACTIVATE = 'echo "activated $1" >> {log}\n'


def stand_in(project: Project) -> tuple[Path, str]:
    """A `conda` on the PATH; gives its log and that PATH."""
    folder = project.folder / "conda"
    (folder / "bin").mkdir(parents=True)
    log = folder / "log.txt"
    for name, text in (("conda", CONDA), ("activate", ACTIVATE)):
        file = folder / "bin" / name
        file.write_text(text.format(log=log, prefix=folder))
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return log, f"{folder / 'bin'}:{project.environment()['PATH']}"


def test_every_job_runs_in_the_environment_of_its_stage(project: Project) -> None:
    log, path = stand_in(project)
    deployed = project.folder / "deployed.txt"
    (project.folder / "envs/infer.post-deploy.sh").write_text(f"echo engine >> {deployed}\n")
    done = project.snakemake("results", "--sdm", "conda", PATH=path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(project.cells()) == CELLS
    lines = log.read_text().splitlines()
    made = [line for line in lines if line.startswith("env create")]
    assert len(made) == 2, "one environment a stage: running llama.cpp, and everything else"
    folder = project.folder / ".snakemake/conda"
    copies = {file.read_text() for file in folder.glob("*.yaml")}
    assert copies == {(project.folder / "envs" / name).read_text() for name in ("bench.yaml", "infer.yaml")}
    assert deployed.read_text() == "engine\n", "the engine is built into its environment, once"
    activated = [line for line in lines if line.startswith("activated")]
    jobs = 4 + 4 + 2  # shards, reviews, tables and pages
    assert len(activated) >= jobs and len(set(activated)) == 2


def test_an_explicit_lock_file_is_used_where_it_is_there(project: Project) -> None:
    """What docs/reference/reproducibility.md tells to make: envs/NAME.linux-64.pin.txt."""
    log, path = stand_in(project)
    (project.folder / "envs/infer.post-deploy.sh").write_text("true\n")
    for name in ("bench", "infer"):
        (project.folder / f"envs/{name}.linux-64.pin.txt").write_text("@EXPLICIT\n")
    done = project.snakemake("results", "--sdm", "conda", "--conda-create-envs-only", PATH=path)
    assert done.returncode == 0, done.stdout + done.stderr
    created = [line for line in log.read_text().splitlines() if "create" in line.split()[:2]]
    assert len(created) == 2 and all(".pin.txt" in line for line in created)
