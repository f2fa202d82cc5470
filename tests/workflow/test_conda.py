"""`snakemake --sdm conda` with a real solver and installer (rattler) over local channels.

The channels hold this environment's packages by links, the wheels that pip installs are packed from
it, and llama.cpp comes from the cache of builds, or is a made-up engine that compiles in a second
(tests/factories/conda_channel.py, tests/factories/tiny_engine.py).
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.lib.base.file_hashing import sha256_of
from tests.factories.checkout import ROOT
from tests.factories.conda_channel import (
    Package,
    index_channel,
    write_channels,
    write_conda,
    write_wheel,
)
from tests.factories.once import made_once
from tests.factories.tiny_engine import write_source
from tests.factories.tiny_project import CELLS, Project, make_project

PIP_LOCK = "envs/conda-pip.lock"
BY_PIP = re.findall(r"^([\w-]+)==", (ROOT / PIP_LOCK).read_text(), re.M)
ACTIVATED = re.compile(r"^activated (\S+) PYTHONNOUSERSITE=(\S*)$", re.M)


@dataclass
class Conda:
    """A conda for tests: its program, channels, wheels for pip, and folder of environments."""

    folder: Path
    prefix: Path

    def prepare(self, project: Project) -> None:
        """Have the project's post-deploy scripts install the wheels that are here."""
        wheels = sorted((self.folder / "wheels").iterdir())
        pins = [
            f"{'=='.join(wheel.name.split('-')[:2])} --hash=sha256:{sha256_of(wheel)}\n"
            for wheel in wheels
        ]
        change(project, PIP_LOCK, "".join(pins))

    def variables(self, project: Project) -> dict[str, str]:
        pip = {
            "PIP_CONFIG_FILE": "/dev/null",
            "PIP_NO_INDEX": "1",
            "PIP_NO_COMPILE": "1",
            "PIP_FIND_LINKS": str(self.folder / "wheels"),
        }
        path = f"{self.folder / 'conda/bin'}:{project.environment()['PATH']}"
        return {**pip, "PATH": path, "TEST_CONDA_LOG": str(self.log(project))}

    def argv(self, *arguments: str) -> tuple[str, ...]:
        return (*arguments, "--sdm", "conda", "--conda-prefix", str(self.prefix))

    def snakemake(
        self, project: Project, *arguments: str, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        return project.snakemake(*self.argv(*arguments), **self.variables(project) | variables)

    def run(self, project: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
        return project.run(
            str(self.folder / "conda/bin/conda"), *arguments, **self.variables(project)
        )

    def create(self, project: Project, file: str) -> Path:
        """An environment of an environment file, without Snakemake."""
        prefix = project.folder / f"made-{len(self.created(project))}"
        done = self.run(
            project, "env", "create", "--file", f"envs/{file}.yaml", "--prefix", str(prefix)
        )
        assert done.returncode == 0, done.stderr
        return prefix

    @contextlib.contextmanager
    def newer_build(self, package: Package) -> Iterator[None]:
        """Meanwhile the channel has another package too."""
        channel = self.folder / "channels/conda-forge"
        archive = package.write(channel)
        index_channel(channel)
        yield
        archive.unlink()
        index_channel(channel)

    def log(self, project: Project) -> Path:
        return project.folder / "conda.log"

    def created(self, project: Project) -> list[str]:
        text = self.log(project).read_text() if self.log(project).exists() else ""
        return [line for line in text.splitlines() if re.match(r"conda (env )?create", line)]

    def environments(self, file: str) -> list[Path]:
        """The complete environments of an environment file, the newest last."""
        scripts = [
            copy
            for copy in self.prefix.glob("*.post-deploy.sh")
            if f"envs/{file}.post-deploy.sh" in copy.read_text()
        ]
        folders = [copy.with_name(copy.name.removesuffix(".post-deploy.sh")) for copy in scripts]
        made = [folder for folder in folders if folder.with_suffix(".env_setup_done").exists()]
        return sorted(made, key=lambda folder: folder.stat().st_mtime)

    def used(self, project: Project) -> set[str]:
        """The environment files of what was activated for jobs and post-deploy scripts."""
        names = {
            prefix: file
            for file in ("bench", "infer")
            for prefix in map(str, self.environments(file))
        }
        return {names[prefix] for prefix, _ in ACTIVATED.findall(self.log(project).read_text())}


def change(project: Project, file: str, text: str) -> None:
    """Write a file of envs/, and its checksum into the post-deploy scripts."""
    path = project.folder / file
    before = sha256_of(path)
    path.write_text(text)
    for script in path.parent.glob("*.post-deploy.sh"):
        script.write_text(script.read_text().replace(before, sha256_of(path)))


def make_conda(folder: Path) -> None:
    """Channels, wheels and, by Snakemake, the environments of a project."""
    folder.mkdir()
    write_channels(folder / "channels", BY_PIP)
    write_conda(folder / "conda", folder / "channels")
    (folder / "wheels").mkdir()
    for name in BY_PIP:
        write_wheel(name, folder / "wheels")
    project, made = make_project(folder / "project"), Conda(folder, folder / "environments")
    made.prepare(project)
    done = made.snakemake(project, "results", "--conda-create-envs-only")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def shared_conda(tmp_path_factory: pytest.TempPathFactory) -> Conda:
    """The same environments for all tests that do not change how they are made."""
    folder = made_once(tmp_path_factory, "conda", make_conda)
    return Conda(folder, folder / "environments")


@pytest.fixture
def own_conda(shared_conda: Conda, project: Project) -> Conda:
    """The same channels, and environments of the test's own."""
    made = Conda(shared_conda.folder, project.folder / "environments")
    made.prepare(project)
    return made


def pins(file: Path) -> set[str]:
    """The `name=version` of an environment file, without the ones that leave the version open."""
    found = re.findall(r"^  - (\S+)=(\S+)$", file.read_text(), re.M)
    return {f"{name}={version}" for name, version in found if name != "python"}


def installed(environment: Path) -> dict[str, str]:
    """Name -> `version build` of the packages that conda installed."""
    records = [json.loads(file.read_text()) for file in environment.glob("conda-meta/*.json")]
    return {record["name"]: f"{record['version']} {record['build']}" for record in records}


def test_every_job_runs_in_the_environment_of_its_stage(
    project: Project, shared_conda: Conda
) -> None:
    shared_conda.prepare(project)
    done = shared_conda.snakemake(project, "results")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(project.cells()) == CELLS
    activated = ACTIVATED.findall(shared_conda.log(project).read_text())
    jobs = 4 + 4 + 2  # shards, reviews, tables and pages
    assert len(activated) >= jobs and len({prefix for prefix, _ in activated}) == 2
    assert {user_site for _, user_site in activated} == {"1"}, (
        "no environment has packages of ~/.local"
    )
    for file in ("bench", "infer"):
        (environment,) = shared_conda.environments(file)
        has = installed(environment)
        assert pins(project.folder / f"envs/{file}.yaml") <= {
            f"{name}={text.split()[0]}" for name, text in has.items()
        }
        assert not set(BY_PIP) & set(has)
        code = (
            "import math_verify, importlib.metadata as m; "
            f"print([m.version(name) for name in {BY_PIP}])"
        )
        shown = project.run(str(environment / "bin/python"), "-c", code)
        assert shown.returncode == 0, shown.stderr
    (infer,), (bench,) = shared_conda.environments("infer"), shared_conda.environments("bench")
    assert list(infer.glob("engine-*.json")) and not list(bench.glob("engine-*.json"))


def test_what_looks_after_the_tree_needs_no_engine(finished: Project, shared_conda: Conda) -> None:
    shared_conda.prepare(finished)
    done = shared_conda.snakemake(finished, "preview", "orphans", "prune")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(ACTIVATED.findall(shared_conda.log(finished).read_text())) >= 3
    assert shared_conda.used(finished) == {"bench"}


def test_reproduce_runs_where_the_engine_is(finished: Project, shared_conda: Conda) -> None:
    shared_conda.prepare(finished)
    done = shared_conda.snakemake(finished, "reproduce", "--config", "sample=2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert shared_conda.used(finished) == {"infer"}
    (report,) = (finished.folder / "benchmarks/results/reproductions").glob("*/*/report.json")
    assert json.loads(report.read_text())["answers"]["exact"] == 2


LOCAL = (
    "judge={scorers: [local], scope: all, local: "
    "{model: tiny_a, context_tokens: 1024, max_tokens: 256, deadline_s: 20, url: %s}}"
)


@pytest.mark.parametrize(
    ("url", "environment"), [("null", "infer"), ("http://127.0.0.1:9", "bench")]
)
def test_only_a_local_judge_that_we_start_runs_where_the_engine_is(
    finished: Project, shared_conda: Conda, url: str, environment: str
) -> None:
    shared_conda.prepare(finished)
    done = shared_conda.snakemake(finished, "judge", "--config", LOCAL % url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert shared_conda.used(finished) == {environment}
    started = (finished.folder / "benchmarks/results/logs/judge/server.log").is_file()
    assert started == (environment == "infer")


# --- how environments are made --------------------------------------------------------------------


@pytest.fixture
def tiny_engine(project: Project, own_conda: Conda) -> dict[str, str]:
    """The project's engine is a made-up one; gives the variable that names its cache."""
    cache = project.folder / "cache"
    change(project, "envs/engine.lock", write_source(cache, "1.0.1"))
    return {"EPYC_BENCH_CACHE": str(cache)}


def engine_of(project: Project, environment: Path) -> str:
    """The engine that an environment would run, or the refusal."""
    code = "from scripts.lib.llama_build.build import installed_build as b; print(b().version)"
    shown = project.run(str(environment / "bin/python"), "-c", code)
    return shown.stdout.strip() or shown.stderr.strip().splitlines()[-1]


def on_a_terminal(
    project: Project, argv: tuple[str, ...], variables: dict[str, str]
) -> tuple[int, str]:
    """Exit code and what was seen of a command that has a terminal of its own."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(project.folder)
        os.execvpe(argv[0], argv, project.environment(**variables))
    shown = b""
    with contextlib.suppress(
        OSError
    ):  # how Linux tells that the last process on a terminal has ended
        while part := os.read(terminal, 4096):
            shown += part
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode("utf-8", "replace")


def test_a_new_engine_is_a_new_environment_and_its_compiling_is_seen(
    project: Project, own_conda: Conda, tiny_engine: dict[str, str]
) -> None:
    argv = own_conda.argv("results", "--conda-create-envs-only")
    code, shown = on_a_terminal(
        project, ("snakemake", "-j1", *argv), own_conda.variables(project) | tiny_engine
    )
    assert code == 0, shown
    assert re.search(r"compiling llama\.cpp: .*\d+/\d+", shown), shown
    (first,) = own_conda.environments("infer")
    assert engine_of(project, first) == "1.0.1"
    change(project, "envs/engine.lock", write_source(project.folder / "cache", "1.0.2"))
    assert "has 1.0.2" in engine_of(project, first), (
        "the old environment is not taken for the new engine's"
    )
    done = own_conda.snakemake(project, "results", "--conda-create-envs-only", **tiny_engine)
    assert done.returncode == 0, done.stdout + done.stderr
    before, second = own_conda.environments("infer")
    assert before == first and engine_of(project, second) == "1.0.2"
    assert len(own_conda.environments("bench")) == 1, (
        "scoring goes on in the environment that it had"
    )


def test_explicit_lock_files_are_used_where_they_are_there(
    project: Project, own_conda: Conda, tiny_engine: dict[str, str]
) -> None:
    """Made as in docs/reference/reproducibility.md; a newer build is not taken."""
    for file in ("bench", "infer"):
        environment = own_conda.create(project, file)
        shown = own_conda.run(
            project, "list", "--prefix", str(environment), "--explicit", "--sha256"
        )
        (project.folder / f"envs/{file}.linux-64.pin.txt").write_text(shown.stdout)
    with own_conda.newer_build(
        Package("tqdm", installed(environment)["tqdm"].split()[0], ["python"], build_number=1)
    ):
        assert installed(own_conda.create(project, "infer"))["tqdm"].endswith("_1")
        done = own_conda.snakemake(project, "results", "--conda-create-envs-only", **tiny_engine)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(".pin.txt" in line for line in own_conda.created(project)[-2:])
    for file in ("bench", "infer"):
        (environment,) = own_conda.environments(file)
        assert installed(environment)["tqdm"].endswith("_0")


def post_deploy(project: Project, conda: Conda, file: str, variables: dict[str, str]) -> str:
    """Run an environment's post-deploy script as Snakemake does; gives its output if it fails."""
    environment = conda.create(project, file)
    activate = conda.folder / "conda/bin/activate"
    command = f"source {activate} {environment}; bash envs/{file}.post-deploy.sh"
    done = project.run("bash", "-c", command, **conda.variables(project) | variables)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.parametrize("file", ["bench", "infer"])
def test_a_lock_whose_sum_is_not_in_a_script_makes_no_environment(
    project: Project, own_conda: Conda, tiny_engine: dict[str, str], file: str
) -> None:
    assert post_deploy(project, own_conda, file, tiny_engine) == ""
    lock = project.folder / (PIP_LOCK if file == "bench" else "envs/engine.lock")
    lock.write_text(lock.read_text() + "# another text\n")
    said = post_deploy(project, own_conda, file, tiny_engine)
    assert f"write what sha256sum says of these files into envs/{file}.post-deploy.sh" in said


def test_a_package_with_another_hash_is_not_installed(
    project: Project, own_conda: Conda, tiny_engine: dict[str, str]
) -> None:
    text = (project.folder / PIP_LOCK).read_text()
    change(project, PIP_LOCK, re.sub(r"sha256:\w{4}", "sha256:0000", text, count=1))
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in post_deploy(
        project, own_conda, "bench", tiny_engine
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "[conda-forge, bioconda]",
            "[conda-forge, bioconda, nodefaults]",
            "HTTP 404 NOT FOUND for channel nodefaults",
        ),
        ("[conda-forge, bioconda]", "[conda-forge]", "snakemake-minimal"),
        ("  - sympy=", "  - math-verify=0.9.0\n  - sympy=", "math-verify"),
        ("  - tenacity=", "  - tenacity=1.0.0 #", "tenacity"),
    ],
)
def test_what_no_channel_has_is_said_by_the_solver(
    project: Project, own_conda: Conda, old: str, new: str, said: str
) -> None:
    project.edit("envs/bench.yaml", old, new)
    prefix = project.folder / "made"
    done = own_conda.run(
        project, "env", "create", "--file", "envs/bench.yaml", "--prefix", str(prefix)
    )
    assert done.returncode == 1 and said in done.stderr
    assert not prefix.exists()
