"""Measured cells from wherever they are kept: a results tree, a run's record, a git revision, another folder.

An observation is a cell's evidence in the few values that comparing needs. Nothing is checked out
and nothing is run.
"""

from __future__ import annotations

import subprocess
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from scripts.lib.base.errors import BenchError, Problem, suggest
from scripts.lib.base.layout import CELLS, ENVIRONMENTS, RESULTS, RUNS
from scripts.lib.base.stored_json import Damaged, believed, stored_text
from scripts.lib.execution.run_record import OUTPUT, read_rows
from scripts.lib.machine.environment_record import environment_record, stored_environment
from scripts.lib.planning.cell_record import (
    CellId,
    CellRecord,
    Measurement,
    implausible,
    parse_named_cell,
    read_cell,
)


@dataclass(frozen=True, slots=True)
class Observation:
    """One measured cell. Rates in tokens per second, times in seconds; None where nothing was measured.

    `spec` is empty where no file holds it any more: the digest still tells whether two specs are
    equal.
    """

    cell: CellId
    engine: str
    digest: str
    status: str
    run_id: str
    started_utc: str
    environment: str
    measurement: Measurement | None
    load_s: float
    peak_rss_bytes: int
    spec: Mapping[str, Any] = field(default_factory=dict)

    @property
    def question(self) -> str:
        """What is the same question of two runs: suite, id, repeat."""
        return f"{self.cell.suite}/{self.cell.question}/{self.cell.repeat}"

    @property
    def engine_version(self) -> str:
        return str(self.spec.get("engine", {}).get("version", "")) if self.spec else ""


@dataclass(frozen=True)
class Observations:
    """A named set of observations, with the environment records that it refers to, as far as they are there.

    `damaged`: stored records that are not what was written, and are left out.
    """

    name: str
    items: tuple[Observation, ...]
    environments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    damaged: tuple[Problem, ...] = ()


def of_record(record: CellRecord) -> Observation:
    """A stored cell as an observation; the token ids stay in the cell."""
    measured = record.measurement
    return Observation(
        cell=record.cell,
        engine=str(record.spec.get("engine", {}).get("name", "")),
        digest=record.digest,
        status=record.status,
        run_id=record.run_id,
        started_utc=record.started_utc,
        environment=record.environment,
        measurement=replace(measured, token_ids=(), close_calls=())
        if measured is not None
        else None,
        load_s=record.load_s,
        peak_rss_bytes=record.peak_rss_bytes,
        spec=record.spec,
    )


def _is_cell(name: str) -> bool:
    """True for `…/cells/{hardware}/{model}/{mode}/{suite}/{file}.json`, but for what a shard has under way."""
    return name.endswith(".json") and not any(part.startswith(".") for part in Path(name).parts)


def results_root(folder: Path) -> Path:
    """The folder with `cells/` in it: the one named, or `benchmarks/results` below it. Raises BenchError without one."""
    inner = RESULTS
    for root in (folder, folder / inner):
        if (root / "cells").is_dir():
            return root
    raise BenchError(
        f"{folder}: expected a results tree (cells/, or {inner}/cells/ below it), found none"
    )


def read_environments(folder: Path, damaged: list[Problem]) -> dict[str, Mapping[str, Any]]:
    """The environment records of a results tree, by digest."""
    files = sorted(folder.glob("*.json"))
    return dict(
        believed(files, lambda file: (file.stem, stored_environment(file.stem, folder)), damaged)
    )


def from_tree(name: str, root: Path, hardware: str = "*") -> Observations:
    """Every cell of a results tree (see `results_root`), or of one hardware profile in it."""
    files = (
        file
        for file in sorted(root.glob(f"cells/{hardware}/*/*/*/*.json"))
        if _is_cell(str(file.relative_to(root)))
    )
    damaged: list[Problem] = []
    items = tuple(believed(files, lambda file: of_record(read_cell(file)), damaged))
    return Observations(
        name, items, read_environments(root / "environments", damaged), tuple(damaged)
    )


def _git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["git", *arguments], capture_output=True, check=False)
    except FileNotFoundError as error:
        raise BenchError("git is not installed: a revision cannot be read") from error


def git_commit(revision: str) -> str | None:
    """The commit that a revision means here; None where it means none."""
    if revision.startswith("-"):
        return None
    shown = _git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    return shown.stdout.decode().strip() or None


def from_git(name: str, commit: str) -> Observations:
    """The cells and environments that a commit holds, streamed out of git's archive of it. Raises BenchError without any."""
    listed = (
        _git("ls-tree", "-d", "--name-only", commit, str(CELLS), str(ENVIRONMENTS))
        .stdout.decode()
        .split()
    )
    if str(CELLS) not in listed:
        raise BenchError(f"{name}: this revision has no cells ({CELLS})")
    items: list[Observation] = []
    environments: dict[str, Mapping[str, Any]] = {}
    damaged: list[Problem] = []
    for path, content in _archived(commit, listed):
        try:
            if path.startswith(f"{ENVIRONMENTS}/"):
                environments[Path(path).stem] = environment_record(stored_text(content, path), path)
            elif _is_cell(path):
                items.append(of_record(parse_named_cell(stored_text(content, path), Path(path))))
        except Damaged as damage:
            damaged.append(replace(damage.problem, file=f"{name}:{path}"))
    return Observations(name, tuple(items), environments, tuple(damaged))


def _archived(commit: str, folders: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """(path, content) of each file of a commit below the folders."""
    argv = ["git", "archive", "--format=tar", commit, *folders]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        with tarfile.open(fileobj=process.stdout, mode="r|") as tar:
            for member in tar:
                stream = tar.extractfile(member) if member.isfile() else None
                if stream is not None:
                    yield member.name, stream.read()


def _of_row(row: Mapping[str, Any], run_id: str) -> Observation:
    """A line of a run's output.jsonl. Raises Damaged for one that is no such row."""
    try:
        found = _observed(row, run_id)
    except (KeyError, TypeError, AttributeError) as error:
        raise Damaged(f"{RUNS}/{run_id}/{OUTPUT}", f"not a run's row ({error!r})") from error
    wrong = implausible(found.measurement) if found.measurement is not None else ""
    if wrong:
        raise Damaged(f"{RUNS}/{run_id}/{OUTPUT}", wrong)
    return found


def _observed(row: Mapping[str, Any], run_id: str) -> Observation:
    """It holds no token ids; `from_run` adds the spec where a cell file has it."""
    cell = CellId(
        row["hardware"], row["model"], row["mode"], row["suite"], row["question_id"], row["repeat"]
    )
    engine = row.get("engine") or {}
    measured = None
    if "response" in row:
        measured = Measurement(
            answer=row["response"],
            finish_reason=row["finish_reason"],
            prompt_tokens=row["prompt_tokens"],
            completion_tokens=row["completion_tokens"],
            ttft_s=row["ttft_s"],
            prefill_s=0.0,
            prefill_tokens_per_s=row["prefill_tokens_per_s"],
            decode_s=0.0,
            decode_tokens_per_s=row["decode_tokens_per_s"],
            drafted_tokens=row["drafted_tokens"],
            accepted_tokens=row["accepted_tokens"],
            verify_steps=0,
        )
    return Observation(
        cell=cell,
        engine=str(engine.get("name", "")),
        digest=row["digest"],
        status=row["status"],
        run_id=run_id,
        started_utc=row["started_utc"],
        environment=row["environment"],
        measurement=measured,
        load_s=row["load_s"],
        peak_rss_bytes=row["peak_rss_bytes"],
    )


def _with_spec(item: Observation, results: Path) -> Observation:
    """The observation with its spec, where a cell of that digest is in the tree: whichever run left it there."""
    c = item.cell
    file = (
        results
        / "cells"
        / c.hardware
        / c.model
        / c.mode
        / c.suite
        / f"{c.question}.{item.digest}.json"
    )
    try:
        spec = read_cell(file).spec
    except (FileNotFoundError, Damaged):
        return item
    return replace(item, spec=spec, engine=item.engine or spec["engine"]["name"])


def run_ids(results: Path) -> tuple[str, ...]:
    """The runs whose records are in a results tree, oldest first."""
    return tuple(sorted(file.parent.name for file in results.glob(f"{RUNS.name}/*/output.jsonl")))


def from_run(run_id: str, results: Path) -> Observations:
    """What one run measured, out of its record."""
    folder = results / RUNS.name / run_id
    found = read_rows(folder)
    damaged = list(found.damaged)
    items = tuple(believed(found.rows, lambda row: _of_row(row, run_id), damaged))
    items = tuple(_with_spec(item, results) for item in items)
    return Observations(
        run_id, items, read_environments(results / "environments", damaged), tuple(damaged)
    )


def latest(items: Iterable[Observation]) -> tuple[Observation, ...]:
    """Of each cell, per engine, the observation that was made last."""
    found: dict[tuple[CellId, str], Observation] = {}
    for item in items:
        known = found.get((item.cell, item.engine))
        if known is None or item.started_utc > known.started_utc:
            found[(item.cell, item.engine)] = item
    return tuple(found.values())


def from_engine(version: str, root: Path) -> Observations:
    """Every cell of a results tree that this engine version measured."""
    tree = from_tree(version, root)
    return replace(tree, items=tuple(item for item in tree.items if item.engine_version == version))


# --- a name that a user gives ------------------------------------------------------------------------------------------


def resolve(name: str, root: Path) -> Observations:
    """What a name means, in this order: a run, a hardware profile, a folder, a git revision, an engine version.

    A prefix (`run:`, `hardware:`, `folder:`, `engine:`, `git:`) says which. Raises BenchError
    naming what there is.
    """
    kind, _, rest = name.partition(":")
    readers: dict[str, Callable[[str], Observations | None]] = {
        "run": lambda wanted: _run(wanted, root),
        "hardware": lambda wanted: _hardware(wanted, root),
        "folder": _folder,
        "git": _revision,
        "engine": lambda wanted: from_engine(wanted, root),
    }
    asked = {kind: rest} if rest and kind in readers else dict.fromkeys(readers, name)
    for kind, wanted in asked.items():
        found = readers[kind](wanted)
        if found is not None and (found.items or found.damaged):
            return replace(found, name=name)
    raise BenchError(
        f"'{name}' is no run, hardware profile, folder with results, engine version or git revision{_known(name, root)}"
    )


def _known(name: str, root: Path) -> str:
    profiles = [folder.name for folder in sorted(root.glob("cells/*")) if folder.is_dir()]
    return suggest(name, [*run_ids(root), *profiles])


def _run(name: str, root: Path) -> Observations | None:
    return from_run(name, root) if name in run_ids(root) else None


def _hardware(name: str, root: Path) -> Observations | None:
    known = [folder.name for folder in root.glob("cells/*")]
    return from_tree(name, root, name) if name in known else None


def _folder(name: str) -> Observations | None:
    return from_tree(name, results_root(Path(name))) if Path(name).is_dir() else None


def _revision(name: str) -> Observations | None:
    commit = git_commit(name)
    return from_git(name, commit) if commit is not None else None
