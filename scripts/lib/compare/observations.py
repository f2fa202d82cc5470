"""Measured cells from a results tree, a run's record, a git revision or another folder.

An observation holds the values of a cell that comparisons need. Nothing is checked out, and nothing
is run.
"""

from __future__ import annotations

import subprocess
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from scripts.lib.base.errors import BenchError, Problem, suggest
from scripts.lib.base.git import git
from scripts.lib.base.layout import CELLS, ENVIRONMENTS, FIDELITY, RESULTS, RUNS
from scripts.lib.base.stored_json import Damaged, believed, stored_text
from scripts.lib.compare.divergences import Divergence, of_fidelity
from scripts.lib.execution.run_record import FIGURES, OUTPUT, read_rows
from scripts.lib.fidelity.record import parse_fidelity, read_fidelity
from scripts.lib.machine.environment_record import environment_record, stored_environment
from scripts.lib.planning.cell_record import (
    CellId,
    CellRecord,
    Measurement,
    implausible,
    parse_named_cell,
    read_cell,
)

KINDS = ("run", "hardware", "folder", "git", "engine")


@dataclass(frozen=True, slots=True)
class Observation:
    """One measured cell; rates in tokens per second, times in seconds.

    `measurement` is None if nothing was measured. `spec` is empty if its cell file is gone;
    the digest still shows whether two specs are equal.
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
        """Suite, id and repeat: equal in two runs for the same question."""
        return f"{self.question_name}/{self.cell.repeat}"

    @property
    def question_name(self) -> str:
        """Suite and id: equal for all repeats of a question."""
        return f"{self.cell.suite}/{self.cell.question}"

    @property
    def engine_version(self) -> str:
        """The engine's version; empty without a spec."""
        return str(self.spec.get("engine", {}).get("version", ""))

    def value(self, metric: str) -> float | None:
        """A rate or time of an `ok` cell; None for another cell, and if it is 0."""
        if self.status != "ok" or self.measurement is None:
            return None
        return getattr(self.measurement, metric) or None


@dataclass(frozen=True)
class Observations:
    """A named set of observations, with their environment records, as far as these exist.

    `damaged`: stored records whose content is not what was written; they are left out.
    `divergences`: from references, of fidelity cells.
    """

    name: str
    items: tuple[Observation, ...]
    environments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    damaged: tuple[Problem, ...] = ()
    divergences: tuple[Divergence, ...] = ()


def of_record(record: CellRecord) -> Observation:
    """A stored cell as an observation, without the token ids."""
    measured = record.measurement
    if measured is not None:
        measured = replace(measured, token_ids=(), close_calls=())
    return Observation(
        cell=record.cell,
        engine=str(record.spec.get("engine", {}).get("name", "")),
        digest=record.digest,
        status=record.status,
        run_id=record.run_id,
        started_utc=record.started_utc,
        environment=record.environment,
        measurement=measured,
        load_s=record.load_s,
        peak_rss_bytes=record.peak_rss_bytes,
        spec=record.spec,
    )


def _is_cell(name: str) -> bool:
    """True for a finished cell: a running shard writes into `.partial-…/`."""
    return name.endswith(".json") and not any(part.startswith(".") for part in Path(name).parts)


def results_root(folder: Path) -> Path:
    """The folder that holds `cells/`: this one, or `benchmarks/results` below it.

    Raises BenchError if neither does.
    """
    for root in (folder, folder / RESULTS):
        if (root / "cells").is_dir():
            return root
    raise BenchError(
        f"{folder}: expected a results tree (cells/ or {RESULTS}/cells/ below it), found none"
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
    environments = read_environments(root / "environments", damaged)
    found = read_divergences(root, damaged, hardware)
    return Observations(name, items, environments, tuple(damaged), found)


def read_divergences(
    root: Path, damaged: list[Problem], hardware: str = "*"
) -> tuple[Divergence, ...]:
    """The divergences of a results tree, or of one hardware profile in it."""
    files = (
        file
        for file in sorted(root.glob(f"{FIDELITY.name}/{hardware}/*/*/*/*.json"))
        if _is_cell(str(file.relative_to(root)))
    )
    found = believed(files, lambda file: of_fidelity(read_fidelity(file)), damaged)
    return tuple(one for one in found if one is not None)


def git_commit(revision: str) -> str | None:
    """The commit of a git revision; None if git does not know it."""
    if revision.startswith("-"):
        return None
    return (git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}") or "").strip() or None


def from_git(name: str, commit: str) -> Observations:
    """The cells and environments of a commit, streamed from `git archive`.

    Raises BenchError for a commit without cells.
    """
    wanted = (str(CELLS), str(ENVIRONMENTS), str(FIDELITY))
    folders = git("ls-tree", "-d", "--name-only", commit, *wanted)
    listed = (folders or "").split()
    if str(CELLS) not in listed:
        raise BenchError(f"{name}: this revision has no cells ({CELLS})")
    items: list[Observation] = []
    environments: dict[str, Mapping[str, Any]] = {}
    damaged: list[Problem] = []
    divergences: list[Divergence | None] = []
    for path, content in _archived(commit, listed):
        try:
            if path.startswith(f"{ENVIRONMENTS}/"):
                environments[Path(path).stem] = environment_record(stored_text(content, path), path)
            elif path.startswith(f"{FIDELITY}/"):
                if _is_cell(path):
                    divergences.append(
                        of_fidelity(parse_fidelity(stored_text(content, path), path))
                    )
            elif _is_cell(path):
                items.append(of_record(parse_named_cell(stored_text(content, path), Path(path))))
        except Damaged as damage:
            damaged.append(replace(damage.problem, file=f"{name}:{path}"))
    known = tuple(one for one in divergences if one is not None)
    return Observations(name, tuple(items), environments, tuple(damaged), known)


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
    """A line of a run's output.jsonl. Raises Damaged for a line with missing or absurd values."""
    file = f"{RUNS}/{run_id}/{OUTPUT}"
    try:
        found = _observed(row, run_id)
    except (KeyError, TypeError, AttributeError) as error:
        raise Damaged(file, f"not a run's row ({error!r})") from error
    if found.measurement is not None and (wrong := implausible(found.measurement)):
        raise Damaged(file, wrong)
    return found


def _observed(row: Mapping[str, Any], run_id: str) -> Observation:
    """A row as an observation. It has no token ids; `from_run` adds the spec from a cell file."""
    cell = CellId(
        row["hardware"], row["model"], row["mode"], row["suite"], row["question_id"], row["repeat"]
    )
    engine = row.get("engine") or {}
    measured = None
    if "response" in row:
        measured = Measurement(
            answer=row["response"],
            prefill_s=0.0,
            decode_s=0.0,
            verify_steps=0,
            **{name: row[name] for name in FIGURES},
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
    """The observation with its spec, if the tree has a cell of that digest."""
    c = item.cell
    folder = results / "cells" / c.hardware / c.model / c.mode / c.suite
    try:
        spec = read_cell(folder / f"{c.question}.{item.digest}.json").spec
    except (FileNotFoundError, Damaged):
        return item
    return replace(item, spec=spec, engine=item.engine or spec["engine"]["name"])


def run_ids(results: Path) -> tuple[str, ...]:
    """The runs whose records are in a results tree, oldest first."""
    return tuple(sorted(file.parent.name for file in results.glob(f"{RUNS.name}/*/{OUTPUT}")))


def from_run(run_id: str, results: Path) -> Observations:
    """What one run measured, according to its record."""
    folder = results / RUNS.name / run_id
    found = read_rows(folder)
    damaged = list(found.damaged)
    items = tuple(believed(found.rows, lambda row: _of_row(row, run_id), damaged))
    items = tuple(_with_spec(item, results) for item in items)
    environments = read_environments(results / "environments", damaged)
    of_run = (one for one in read_divergences(results, damaged) if one.run_id == run_id)
    return Observations(run_id, items, environments, tuple(damaged), tuple(of_run))


def latest(items: Iterable[Observation]) -> tuple[Observation, ...]:
    """The last observation of each cell and engine."""
    found: dict[tuple[CellId, str], Observation] = {}
    for item in items:
        known = found.setdefault((item.cell, item.engine), item)
        if item.started_utc > known.started_utc:
            found[(item.cell, item.engine)] = item
    return tuple(found.values())


def from_engine(version: str, root: Path) -> Observations:
    """The cells of a results tree that were measured with this engine version."""
    tree = from_tree(version, root)
    return replace(
        tree,
        items=tuple(item for item in tree.items if item.engine_version == version),
        divergences=tuple(one for one in tree.divergences if one.engine_version == version),
    )


# --- a name that a user gives ---------------------------------------------------------------------


def resolve(name: str, root: Path) -> Observations:
    """The observations that a name stands for.

    It is looked up in this order: run, hardware profile, folder, git revision, engine version. A
    prefix (`run:`, `hardware:`, `folder:`, `git:`, `engine:`) selects one kind. Raises BenchError,
    with the known names, if nothing is found.
    """
    kind, _, rest = name.partition(":")
    kinds = [kind] if rest and kind in KINDS else KINDS
    wanted = rest if len(kinds) == 1 else name
    for kind in kinds:
        found = _read(kind, wanted, root)
        if found is not None and (found.items or found.divergences or found.damaged):
            return replace(found, name=name)
    raise BenchError(
        f"no results found for '{name}': expected a run, hardware profile, folder with results, "
        f"git revision or engine version{suggest(name, [*run_ids(root), *_profiles(root)])}"
    )


def _profiles(root: Path) -> list[str]:
    return [folder.name for folder in sorted(root.glob("cells/*")) if folder.is_dir()]


def _read(kind: str, name: str, root: Path) -> Observations | None:
    """The observations of one kind; None if there is nothing of that name."""
    if kind == "run":
        return from_run(name, root) if name in run_ids(root) else None
    if kind == "hardware":
        return from_tree(name, root, name) if name in _profiles(root) else None
    if kind == "folder":
        return from_tree(name, results_root(Path(name))) if Path(name).is_dir() else None
    if kind == "git":
        commit = git_commit(name)
        return from_git(name, commit) if commit is not None else None
    return from_engine(name, root)
