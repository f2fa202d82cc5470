"""A cell's engine is the one that ran: a build of another lock or CPU, or changed, never runs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from scripts.lib.base.errors import BenchError
from scripts.lib.base.file_hashing import sha256_of
from scripts.lib.llama_build import build as build_module
from scripts.lib.llama_build.build import (
    CMAKE_ARGUMENTS,
    Build,
    cpu_features,
    engine_facts,
    files_of,
    installed_build,
    pointer,
    server_binary,
    write_record,
)
from scripts.lib.llama_build.identity import EngineIdentity, binary_identity
from tests.factories.tiny_engine import lock_text, make_environment, write_source

SHA256 = "a" * 64
WANTED = EngineIdentity("server", "1.2.3", SHA256)


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Build:
    """A whole build in an environment of its own, as the lock wants it."""
    bin_dir, prefix = tmp_path / "bin", tmp_path / "prefix"
    bin_dir.mkdir()
    prefix.mkdir()
    (bin_dir / "llama-server").write_text("binary")
    (bin_dir / "libllama.so.0").write_text("library")
    (bin_dir / "libllama.so").symlink_to("libllama.so.0")
    made = Build(
        bin_dir, "1.2.3", SHA256, cpu_features(), "g++ 12", CMAKE_ARGUMENTS, files_of(bin_dir)
    )
    write_record(made)
    monkeypatch.setattr(sys, "prefix", str(prefix))
    monkeypatch.setattr(build_module, "bindings", lambda: ("1.2.3", SHA256))
    pointer().write_text(f'{{"bin_dir": "{bin_dir}"}}')
    return made


def refusal(wanted: EngineIdentity = WANTED) -> str:
    with pytest.raises(BenchError) as error:
        engine_facts(wanted)
    return str(error.value)


def test_a_whole_build_of_the_locks_is_what_a_cells_environment_tells_of(build: Build) -> None:
    facts = engine_facts(WANTED)
    assert installed_build(WANTED) == build
    assert (facts["version"], facts["source_sha256"], facts["compiler"]) == (
        "1.2.3",
        SHA256,
        "g++ 12",
    )
    (build.bin_dir / "libllama.so.0").write_text("compiled again")
    write_record(replace(build, files=files_of(build.bin_dir)))
    assert engine_facts(WANTED)["binaries"] != facts["binaries"]


def test_a_build_of_another_source_than_the_locks_is_refused_with_the_command_that_mends_it(
    build: Build,
) -> None:
    # A source may also differ where the version does not.
    for version in ("1.2.4", "1.2.3"):
        said = refusal(EngineIdentity("embedded", version, "b" * 64))
        assert "llama-cpp-python 1.2.3 (sha256 aaaaaaaaaaaa)" in said
        assert f"envs/engine.lock has {version} (sha256 bbbbbbbbbbbb)" in said
        assert said.endswith("run on this machine: make engine")


def test_bindings_of_another_source_than_the_locks_are_refused(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_module, "bindings", lambda: ("1.2.2", "c" * 64))
    assert (
        "the bindings installed here are llama-cpp-python 1.2.2 (sha256 cccccccccccc)" in refusal()
    )


def test_a_build_for_another_cpu_is_refused_by_model_and_features(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    for made_for, here, said in (
        (
            "avx2 avx512f\nEPYC 9655",
            "avx2\nEPYC 7763",
            "EPYC 9655 (this one: EPYC 7763); this one is without avx512f",
        ),
        ("avx2\nEPYC", "avx2 avx512f\nEPYC", "EPYC; this one is with avx512f"),
    ):
        write_record(replace(build, cpu=made_for))
        monkeypatch.setattr(build_module, "cpu_features", lambda here=here: here)
        pointer().write_text(f'{{"bin_dir": "{build.bin_dir}"}}')
        assert f"compiled for another CPU: {said}; run on this machine: make engine" in refusal()


def test_an_environment_that_was_made_on_another_machine_has_no_engine_here(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_module, "cpu_features", lambda: "avx2\nthe CPU of another node")
    assert refusal().startswith(
        "llama.cpp is not built in this environment for this CPU yet; run on this machine"
    )


def test_a_build_with_other_arguments_than_this_checkouts_is_refused(build: Build) -> None:
    write_record(replace(build, cmake_arguments=(*CMAKE_ARGUMENTS, "-DGGML_AVX512=OFF")))
    assert "compiled with other arguments than this checkout's: -DGGML_AVX512=OFF" in refusal()


def damage(bin_dir: Path, how: str) -> str:
    if how == "changed":
        (bin_dir / "llama-server").write_text("another")
        return "llama-server"
    if how == "gone":
        (bin_dir / "libllama.so.0").unlink()
        return "libllama.so.0"
    if how == "added":
        (bin_dir / "libggml-cpu-zen5.so").write_text("a backend that ggml would open")
        return "libggml-cpu-zen5.so"
    (bin_dir / "libllama.so").unlink()
    (bin_dir / "libllama.so").symlink_to("/usr/lib/libllama.so.0")
    return "libllama.so"


@pytest.mark.parametrize("how", ["changed", "gone", "added", "linked elsewhere"])
def test_a_build_that_is_not_as_it_was_compiled_is_refused_by_the_files_name(
    build: Build, how: str
) -> None:
    name = damage(build.bin_dir, how)
    assert (
        f"changed since it was compiled: {name} (changed, removed or added); "
        "run on this machine: make engine" in refusal()
    )


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 1}', "\x00", "[" * 9999])
def test_a_build_without_a_readable_record_is_refused(build: Build, text: str) -> None:
    (build.bin_dir / "build.json").write_text(text)
    assert "no record of what the engine was made from" in refusal()


def test_a_build_that_is_gone_is_said_to_be_gone(build: Build) -> None:
    shutil.rmtree(build.bin_dir)
    assert (
        "the engine is missing (was the cache cleared?); run on this machine: make engine"
        in refusal()
    )


def test_a_record_of_wrong_types_is_no_record(build: Build) -> None:
    for wrong in (replace(build, cpu=1), replace(build, files=[])):  # type: ignore[arg-type]
        write_record(wrong)
        assert "no record of what the engine was made from" in refusal()


def test_in_a_conda_environment_the_command_is_condas(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "prefix/conda-meta").mkdir()
    (tmp_path / "envs").mkdir()
    monkeypatch.chdir(tmp_path)
    (build.bin_dir / "llama-server").write_text("another")
    Path("envs/engine.lock").write_text(lock_text("1.2.3", SHA256))
    script = Path("envs/infer.post-deploy.sh")
    script.write_text(f"{sha256_of(Path('envs/engine.lock'))}  envs/engine.lock\n")
    assert refusal().endswith(f"run on this machine: {sys.executable} -m scripts.build_engine")
    script.write_text("the sum of another lock")
    assert (
        "put the output of `sha256sum envs/engine.lock` into envs/infer.post-deploy.sh" in refusal()
    )
    assert refusal().endswith("snakemake --sdm conda then makes a new environment")


def test_a_llama_server_of_others_is_told_by_its_libraries_too(tmp_path: Path) -> None:
    shutil.copytree(server_binary().parent, tmp_path / "bin", symlinks=True)
    binary = tmp_path / "bin/llama-server"
    planned = binary_identity("server", binary)
    assert engine_facts(planned) == {}
    library = next((tmp_path / "bin").glob("libllama-server-impl.so"))
    library.write_bytes(library.read_bytes() + b"\0")
    assert binary_identity("server", binary).source_sha256 != planned.source_sha256
    with pytest.raises(BenchError, match="changed since this job was planned"):
        engine_facts(planned)


# --- made anew, with a made-up engine that compiles in a second ---


@dataclass
class Made:
    """A checkout's worth of an environment: a Python, a cache and a lock of its own."""

    folder: Path
    python: Path

    def build(self, **variables: str) -> subprocess.CompletedProcess[str]:
        return self.run("-m", "scripts.build_engine", **variables)

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
        # A session of its own has no terminal: what would be shown there is then in stderr.
        return subprocess.run(
            [str(self.python), *arguments],
            cwd=self.folder,
            env={"PATH": path, "EPYC_BENCH_CACHE": str(self.cache), **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            start_new_session=True,
        )

    def engine(self) -> str:
        """The version of the engine that may run, or the refusal."""
        done = self.run(
            "-c",
            "from scripts.lib.llama_build.build import installed_build as b; print(b().version)",
        )
        return done.stdout.strip() or done.stderr.strip().splitlines()[-1]

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def lock(self) -> Path:
        return self.folder / "envs/engine.lock"


@pytest.fixture
def made(tmp_path: Path) -> Made:
    (tmp_path / "scripts").symlink_to(Path("scripts").resolve())
    (tmp_path / "envs").mkdir()
    return Made(tmp_path, make_environment(tmp_path / "venv"))


def test_another_lock_is_refused_until_its_engine_is_made_and_so_is_the_first_one_again(
    made: Made,
) -> None:
    first, second = (write_source(made.cache, version) for version in ("1.0.1", "1.0.2"))
    for lock, version, before in (
        (first, "1.0.1", "not built"),
        (second, "1.0.2", "1.0.1"),
        (first, "1.0.1", "1.0.2"),
    ):
        made.lock.write_text(lock)
        assert before in made.engine() and "make engine" in made.engine()
        done = made.build()
        assert done.returncode == 0, done.stderr
        assert made.engine() == version
    assert "compiling" not in done.stderr, "the first engine's build was still in the cache"
    again = made.build()
    assert again.returncode == 0 and not again.stderr, "what is whole is not made again"


def test_a_damaged_build_is_made_again(made: Made) -> None:
    made.lock.write_text(write_source(made.cache, "1.0.1"))
    assert made.build().returncode == 0
    (server,) = made.cache.glob("llama.cpp/*/bin/llama-server")
    server.write_text("#!/bin/sh\n")
    assert "changed since it was compiled: llama-server" in made.engine()
    done = made.build()
    assert done.returncode == 0 and "changed since it was compiled: llama-server" in done.stderr
    assert made.engine() == "1.0.1"


def test_a_source_that_does_not_compile_is_one_clear_error_and_no_build(made: Made) -> None:
    made.lock.write_text(write_source(made.cache, "1.0.1"))
    done = made.build(CC="false")
    assert (
        done.returncode == 1
        and "configuring llama.cpp failed" in done.stderr
        and "Traceback" not in done.stderr
    )
    assert "not built in this environment" in made.engine()
