"""Damaged, incomplete, replaced or linked weights: no cell names another file's fingerprint."""

from __future__ import annotations

import csv
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from scripts.lib.base.errors import BenchError
from scripts.lib.base.file_hashing import hash_files
from scripts.lib.base.locks import LOCK_VARIABLE
from scripts.lib.engines.factory import EngineSettings, make_engine
from scripts.lib.executor import Job, run
from scripts.lib.judging.cost import Budget
from scripts.lib.judging.protocol import Stopped
from scripts.lib.judging.stage import open_judge
from scripts.lib.llama_build.build import server_binary
from scripts.lib.planning.cell_spec import Weights
from scripts.lib.planning.disk import for_model, judge_weights, load_planner, locate_weights
from scripts.lib.planning.plan import Shard
from scripts.lib.planning.weights_guard import WeightsGuard
from scripts.lib.registry.role_table import role_table
from scripts.lib.registry_loader import load_registry
from scripts.lib.scoring.series import make_series
from scripts.lib.scoring.verdict_store import VerdictStore
from scripts.lib.settings.run_config import load_config
from scripts.lib.weights.facts import ASSUMED, WeightsLock, WeightsReader, facts
from tests.factories.commands import call
from tests.factories.engines import Fragile, Recorder
from tests.factories.engines import shard as shard
from tests.factories.plans import tiny_planner
from tests.factories.tiny_models import write_model, write_projector
from tests.factories.tiny_project import BASELINE, FAULTS, NO_TABLES, Project
from tests.workflow.conftest import project as project

ONE_SHARD = "models: [tiny_a]\ndecoding: {modes: [baseline]}\n"
REPLACED = "is not the file that was planned"


def with_same_times(path: Path, data: bytes) -> None:
    """Write over a file and set its modification time back, as `rsync --times` does."""
    before = path.stat()
    assert before.st_size == len(data)
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


# --- the fingerprint is of every byte ---


def test_a_bit_flipped_anywhere_in_a_file_of_several_mb_is_noticed(tmp_path: Path) -> None:
    random, path, cache = Random(16), write_model(tmp_path / "m.gguf", "moe"), tmp_path / "cache"
    with path.open("ab") as stream:
        stream.write(random.randbytes(3 << 20))
    data, whole = path.read_bytes(), facts(path, cache)
    for place in random.sample(range(len(data)), 200):
        flipped = bytearray(data)
        flipped[place] ^= 1 << random.randrange(8)
        with_same_times(path, bytes(flipped))
        try:
            assert facts(path, cache).fingerprint != whole.fingerprint, place
        except BenchError:
            assert place < 20_000, "only in a header can a flipped bit be seen as damage"
    with_same_times(path, data)
    assert facts(path, cache) == whole


def test_a_file_of_the_same_size_and_time_is_another_file(tmp_path: Path) -> None:
    path, other, cache = (
        write_model(tmp_path / "m.gguf", seed=1),
        write_model(tmp_path / "o.gguf", seed=2),
        tmp_path / "c",
    )
    first, before = facts(path, cache), path.stat()
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert facts(path, cache).fingerprint != first.fingerprint


def test_missing_chunks_behind_a_whole_header_are_noticed(tmp_path: Path) -> None:
    path, cache = write_model(tmp_path / "m.gguf", "moe"), tmp_path / "cache"
    seen, size = {facts(path, cache).fingerprint}, path.stat().st_size
    data = path.read_bytes()
    for place in range(size // 2, size - 4096, size // 14):
        with_same_times(path, data[:place] + bytes(4096) + data[place + 4096 :])
        seen.add(facts(path, cache).fingerprint)
    assert len(seen) == 1 + len(range(size // 2, size - 4096, size // 14))


def test_a_file_that_is_still_written_to_has_no_fingerprint(tmp_path: Path) -> None:
    path, done = tmp_path / "growing", threading.Event()
    with path.open("wb") as stream:
        stream.truncate(100 << 20)

    def download() -> None:
        with path.open("ab") as stream:
            while not done.is_set():
                stream.write(b"more")
                stream.flush()
                time.sleep(0.001)

    thread = threading.Thread(target=download)
    thread.start()
    try:
        ((_, found),) = hash_files([path])
    finally:
        done.set()
        thread.join()
    assert isinstance(found, BenchError) and "changed while it was read" in str(found)


def hashed(cache: Path) -> list[str]:
    """The entries of a cache that hold a sha256."""
    return [text for file in cache.glob("*.json") if '"sha256"' in (text := file.read_text())]


def test_ctrl_c_while_hashing_ends_at_once_and_keeps_what_was_hashed(tmp_path: Path) -> None:
    small, large = write_model(tmp_path / "a.gguf"), write_model(tmp_path / "b.gguf", seed=1)
    with large.open("r+b") as stream:
        stream.truncate(200 << 30)
    code = (
        "import sys; from pathlib import Path; "
        "from scripts.lib.weights.facts import WeightsReader; "
        "WeightsReader(Path(sys.argv[1])).hash_ahead(map(Path, sys.argv[2:]))"
    )
    signal.signal(signal.SIGINT, signal.default_int_handler)
    argv = [sys.executable, "-c", code, str(tmp_path / "cache"), str(small), str(large)]
    process = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, process_group=0)
    deadline = time.monotonic() + 60
    while not hashed(tmp_path / "cache"):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert "hashing 214.7 GB of weights" in said and "KeyboardInterrupt" in said
    (kept,) = hashed(tmp_path / "cache")
    assert facts(small, tmp_path / "other").sha256[0] in kept


def test_ctrl_c_while_a_plan_is_made_ends_it_without_a_traceback(project: Project) -> None:
    with (project.folder / "weights/b.gguf").open("r+b") as stream:
        stream.truncate(200 << 30)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    argv, log = ["snakemake", "-n", "results"], project.folder / "out.txt"
    with log.open("w") as out:
        process = subprocess.Popen(
            argv,
            cwd=project.folder,
            env=project.environment(),
            stdout=out,
            stderr=out,
            process_group=0,
        )
    deadline = time.monotonic() + 60
    while "hashing 214.7 GB" not in log.read_text():
        assert time.monotonic() < deadline and process.poll() is None, log.read_text()
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=30) == -signal.SIGINT
    assert "Traceback" not in log.read_text()


# --- a file that cannot be read leaves its entries out ---


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:400_000])


def measured(project: Project) -> set[str]:
    return {name.split("/")[1] for name in project.cells()}


def shown(project: Project) -> set[str]:
    """The models in the table that RESULTS.md is made of."""
    with (project.folder / "benchmarks/results/tables/modes.csv").open() as table:
        return {row["model"] for row in csv.DictReader(table)}


def test_a_half_downloaded_file_leaves_out_its_own_entry_and_nothing_else(project: Project) -> None:
    cut(project.folder / "weights/a.gguf")
    done = project.snakemake("tabulate", "--config", BASELINE)
    output = done.stdout + done.stderr
    assert done.returncode == 1 and "Traceback" not in output
    assert "left out: orchestration/model_registry.yaml: roles.tiny_a.model: " in output
    assert "a.gguf: truncated GGUF: expected at least" in output
    assert measured(project) == shown(project) == {"tiny_b"} and len(project.cells()) == 4
    alone = project.snakemake("results_tiny_b", "--config", BASELINE)
    assert alone.returncode == 0 and "truncated" not in alone.stdout + alone.stderr, (
        "nobody selected it"
    )
    by_hand = project.call("scripts.infer", "--model", "tiny_a")
    assert (
        by_hand.returncode == 1
        and "weights cannot be read: " in by_hand.stderr
        and "truncated" in by_hand.stderr
    )


def test_cells_measured_before_the_damage_are_still_shown(project: Project) -> None:
    project.results(*NO_TABLES, "--config", BASELINE)
    before = project.cells()
    cut(project.folder / "weights/a.gguf")
    done = project.snakemake("results_so_far", "--omit-from", "render", "--config", BASELINE)
    output = done.stdout + done.stderr
    assert done.returncode == 1 and "left out: " in output and "Traceback" not in output
    assert project.cells() == before and shown(project) == {"tiny_a", "tiny_b"}
    by_hand = project.call("scripts.infer", "--model", "tiny_a", "--mode", "lookup_n3")
    assert by_hand.returncode == 1 and "truncated GGUF" in by_hand.stderr, (
        "not measured under the lock's fingerprint"
    )
    pruned = project.run("python", "-m", "scripts.cells", "prune", "--yes")
    assert pruned.returncode == 0 and project.cells() == before


@pytest.fixture
def inside(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """The project as the working directory of this process."""
    monkeypatch.chdir(project.folder)
    role_table.cache_clear()
    yield project
    role_table.cache_clear()


def test_weights_that_nobody_selected_are_not_hashed(inside: Project) -> None:
    planner = load_planner(replace(load_config(), models=("tiny_b",)))
    known = {key: planner.weights[key].facts for key in ("tiny_a", "tiny_b")}
    assert known["tiny_a"] is not None and known["tiny_a"].fingerprint == ""
    assert known["tiny_b"] is not None and known["tiny_b"].fingerprint
    cache = inside.folder / ".cache/weights"
    assert len(hashed(cache)) == 1 and len(list(cache.iterdir())) == 2, "of two headers"
    asked = for_model(planner, "tiny_a").weights["tiny_a"].facts
    assert asked == facts(inside.folder / "weights/a.gguf") and asked.fingerprint


def test_a_projector_that_is_only_assumed_stays_so(inside: Project) -> None:
    inside.edit(
        inside.registry, "name: Tiny-A,", f"name: Tiny-A, mmproj_path: {inside.folder}/absent.gguf,"
    )
    planned = load_planner(load_config(), assume_present=True).weights["tiny_a"]
    assert planned.facts == facts(inside.folder / "weights/a.gguf")
    assert planned.projector is not None and planned.projector.facts is not None
    assert planned.projector.facts.fingerprint == ASSUMED


def registry(folder: Path, model: str) -> Path:
    file = folder / "registry.yaml"
    about = "tier: C, description: x, candidate_roles: [general]"
    entry = f"{{{about}, model: {{name: N, quant: F32, {model}}}}}"
    file.write_text(f"roles:\n  one: {entry}\n")
    return file


def test_a_projector_that_cannot_be_read_leaves_its_model_out(tmp_path: Path) -> None:
    files = f"path: {tmp_path}/m.gguf, mmproj_path: {tmp_path}/p.gguf"
    files += ", size_gb: 0.001, architecture: dense"
    write_model(tmp_path / "m.gguf")
    write_projector(tmp_path / "p.gguf")
    read = load_registry(registry(tmp_path, files))
    lock, reader = WeightsLock(tmp_path / "lock", {}), WeightsReader(tmp_path / "cache")
    assert locate_weights(read, read.models["one"], lock, reader.facts).usable
    (tmp_path / "p.gguf").write_bytes(b"GGUF")
    found = locate_weights(read, read.models["one"], lock, reader.facts)
    assert not found.usable and found.unreadable.endswith(
        "p.gguf: expected a GGUF file, found 4 bytes"
    )


# --- the files of a shard are those of its plan ---


@pytest.fixture
def held(project: Project) -> Iterator[int]:
    """The machine's lock, held by somebody else."""
    handle = os.open(project.folder / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(handle, fcntl.LOCK_EX)
    yield handle
    os.close(handle)


def shard_started(project: Project, **extra: str) -> subprocess.Popen[str]:
    (project.folder / "mine.yaml").write_text(ONE_SHARD)
    argv = [sys.executable, "-m", "scripts.infer", "--model", "tiny_a", "--configfile", "mine.yaml"]
    environment = project.environment(**extra)
    return subprocess.Popen(
        argv, cwd=project.folder, env=environment, stderr=subprocess.PIPE, text=True
    )


def test_weights_replaced_while_a_job_waits_for_the_machine_are_not_measured(
    project: Project, held: int
) -> None:
    weights = project.folder / "weights"
    process = shard_started(project)
    assert process.stderr is not None and "waiting: " in process.stderr.readline()
    with_same_times(weights / "a.gguf", (weights / "b.gguf").read_bytes())
    fcntl.flock(held, fcntl.LOCK_UN)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 1 and "a.gguf: " + REPLACED in said and "Traceback" not in said
    assert (
        project.cells() == {} and not (project.folder / "orchestration/weights.lock.json").exists()
    )


def test_weights_written_over_during_a_run_give_no_cell_under_the_first_ones_name(
    project: Project,
) -> None:
    """The pause strikes where the second cell is linked to its name."""
    weights = project.folder / "weights"
    process = shard_started(project, EPYC_TEST_FAULT="pause:2", PYTHONPATH=str(FAULTS))
    deadline = time.monotonic() + 120
    below = project.folder / "benchmarks/results/cells"
    while len(list(below.rglob(".partial-*/*.json"))) < 2:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    with_same_times(weights / "a.gguf", (weights / "b.gguf").read_bytes())
    _, said = process.communicate(timeout=120)
    assert process.returncode == 1 and "a.gguf: " + REPLACED in said and "Traceback" not in said
    stand = project.cells()
    assert len(stand) == 2, "measured, and looked at again, before the change"
    again = shard_started(project)
    assert again.wait(timeout=120) == 0
    new = project.cells()
    assert len(new) == 6 and {name: new[name] for name in stand} == stand
    assert len({text.split('"fingerprint": "')[1][:16] for text in new.values()}) == 2


class Swapped(Fragile):
    """Dies at the second answer, and another file has then its weights' name."""

    def __init__(self, log: Path, path: Path, other: Path):
        super().__init__(
            make_engine("server", EngineSettings(server_binary(), log, 60.0)), {"generate": (2,)}
        )
        self.path, self.other = path, other

    def __getattr__(self, name: str):  # type: ignore[no-untyped-def]
        if name == "generate" and self.calls.count("generate") == 1:
            self.other.replace(self.path)
        return super().__getattr__(name)


def test_an_engine_that_crashed_is_not_started_again_on_other_weights(
    tmp_path: Path, shard: Shard
) -> None:
    assert shard.weights.path is not None
    engine = Swapped(
        tmp_path / "log", shard.weights.path, write_model(tmp_path / "other.gguf", seed=9)
    )
    recorder = Recorder()
    job = Job(shard, tmp_path / "root", "run", lambda _: "", recorder, WeightsGuard(shard))
    with pytest.raises(BenchError, match=REPLACED):
        run(job, engine, shard.cells)  # type: ignore[arg-type]
    assert [record.status for record in recorder.records] == ["ok"] and engine.steps.count(
        "load"
    ) == 1
    engine.engine.unload()


def test_a_draft_a_part_and_a_projector_are_looked_at_too(tmp_path: Path, shard: Shard) -> None:
    draft = write_model(tmp_path / "d-00001-of-00002.gguf", "draft", split=(0, 2))
    part = write_model(tmp_path / "d-00002-of-00002.gguf", "draft", 1, split=(1, 2))
    projector = write_projector(tmp_path / "p.gguf")
    found = {path: Weights(facts(path), path, True, False) for path in (draft, projector)}
    weights = replace(shard.weights, projector=found[projector])
    guard = WeightsGuard(replace(shard, engine="server", weights=weights, draft=found[draft]))
    guard.check()
    for path in (part, projector):
        data = path.read_bytes()
        with_same_times(path, data[:-1] + bytes([data[-1] ^ 1]))
        with pytest.raises(BenchError, match=REPLACED):
            guard.check()
        with_same_times(path, data)
        guard.check()
    projector.unlink()
    with pytest.raises(BenchError, match=r"p.gguf: No such file or directory; put it back"):
        guard.check()


def test_a_touched_file_of_the_same_bytes_is_the_same_file(shard: Shard) -> None:
    guard = WeightsGuard(shard)
    guard.check()
    assert shard.weights.path is not None
    shard.weights.path.touch()
    shard.weights.path.chmod(0o600)
    guard.check()


def test_a_judges_weights_replaced_since_the_plan_judge_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LOCK_VARIABLE, str(tmp_path / "lock"))
    planner = tiny_planner(tmp_path / "models")
    judge = planner.config.judge
    judge = replace(judge, scorers=("local",), local=replace(judge.local, model="plain", url=None))
    planner = replace(planner, config=replace(planner.config, judge=judge))
    series = make_series("local", "plain", 100, 0, weights=judge_weights(judge, planner.weights))
    write_model(tmp_path / "models/plain.gguf", seed=9)
    with (
        pytest.raises(Stopped, match="weights were replaced"),
        open_judge(VerdictStore(series), planner, Budget(0.0)),
    ):
        pytest.fail("a judge was started")


# --- names and links ---


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    """A Hugging Face cache: blobs named by hashes, and links with the names of a split model."""
    cache = tmp_path / "hub/models--x--Big-GGUF"
    (cache / "snapshots/abc").mkdir(parents=True)
    for number in range(3):
        write_model(cache / f"blobs/{number}f00", seed=number, split=(number, 3))
        (cache / f"snapshots/abc/Big-Q8_0-{number + 1:05d}-of-00003.gguf").symlink_to(
            f"../../blobs/{number}f00"
        )
    return cache


def add(
    tmp_path: Path, weights: str | Path, base: Path | None = None
) -> subprocess.CompletedProcess[str]:
    model = "{name: N, path: n.gguf, quant: F32, size_gb: 1, architecture: dense}"
    entry = f"tier: C, description: x, model: {model}"
    defaults = f"runtime_defaults: {{model_base_path: {base}}}\n" if base else ""
    (tmp_path / "registry.yaml").write_text(f"{defaults}roles:\n  other: {{{entry}}}\n")
    (tmp_path / "mine.yaml").write_text(f"registry: {tmp_path}/registry.yaml\n")
    return call("scripts.registry", "--configfile", tmp_path / "mine.yaml", "add", weights, "--yes")


@pytest.mark.parametrize("number", [1, 2])
def test_a_split_model_by_links_is_added_whole_by_the_name_of_its_first_part(
    tmp_path: Path, snapshot: Path, number: int
) -> None:
    first = snapshot / "snapshots/abc/Big-Q8_0-00001-of-00003.gguf"
    done = add(tmp_path, first.with_name(f"Big-Q8_0-{number:05d}-of-00003.gguf"))
    assert done.returncode == 0, done.stderr
    assert ("is a part of a split model; the entry names its first part" in done.stderr) == (
        number == 2
    )
    made = load_registry(tmp_path / "registry.yaml").models["big_q8_0"]
    assert (made.path, made.split_count) == (str(first), 3)
    assert facts(first).size_bytes == sum(
        file.stat().st_size for file in (snapshot / "blobs").iterdir()
    )


def test_a_linked_model_below_the_base_folder_is_added_by_its_name_there(
    tmp_path: Path, snapshot: Path
) -> None:
    base = tmp_path / "base"
    base.symlink_to(tmp_path / "hub")
    done = add(
        tmp_path,
        base / "models--x--Big-GGUF/snapshots/abc/Big-Q8_0-00001-of-00003.gguf",
        tmp_path / "hub",
    )
    made = load_registry(tmp_path / "registry.yaml").models["big_q8_0"]
    assert done.returncode == 0
    assert made.path == "models--x--Big-GGUF/snapshots/abc/Big-Q8_0-00001-of-00003.gguf"


def test_a_blob_of_a_split_model_is_refused_by_its_header(tmp_path: Path, snapshot: Path) -> None:
    done = add(tmp_path, snapshot / "blobs/0f00")
    assert done.returncode == 1 and "its header says 3 split files, its name 1" in done.stderr


def test_a_registry_that_names_another_part_is_told_so(tmp_path: Path) -> None:
    file = registry(tmp_path, "path: big-00002-of-00003.gguf, size_gb: 1, architecture: dense")
    (warning,) = load_registry(file).warnings
    assert (
        "roles.one.model.path: names a part that is not the first: expected big-00001-of-00003.gguf"
        in str(warning)
    )


# --- the weights' lock ---


def test_a_lock_of_an_earlier_version_stops_no_plan(project: Project) -> None:
    (project.folder / "orchestration/weights.lock.json").write_text('{"schema": 1, "weights": {}}')
    done = project.snakemake("-n", "results")
    output = done.stdout + done.stderr
    assert done.returncode == 0 and "tiny_a" in output
    assert "left out: orchestration/weights.lock.json: schema: expected 2, found 1" in output
