"""Reads what planning needs: registry, suites, profile, weights, their lock, existing cells."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from scripts.lib.base.errors import BenchError, InputErrors, Problem, suggest
from scripts.lib.base.globs import matches
from scripts.lib.base.layout import CELLS
from scripts.lib.base.results_tree import drop
from scripts.lib.llama_build.identity import EngineIdentity, binary_identity, engine_identity
from scripts.lib.machine.profiles import load_hardware, profile_names
from scripts.lib.planning.cell_spec import Weights
from scripts.lib.planning.plan import (
    Cell,
    Plan,
    Planner,
    Shard,
    make_plan,
    needed_weights,
    seen_from_elsewhere,
)
from scripts.lib.planning.variant_checks import variant_problems
from scripts.lib.prompts.lengths import lengths_for_planning
from scripts.lib.prompts.loader import read_suites, suite_names, without_lost_images
from scripts.lib.registry.role_table import check_suites
from scripts.lib.registry_loader import Model, Registry, load_registry
from scripts.lib.scoring.scorers import scorers_of
from scripts.lib.settings.judge_config import LOCAL, JudgeConfig
from scripts.lib.settings.run_config import Config
from scripts.lib.weights.facts import WeightsFacts, WeightsLock, WeightsReader, facts

LOCK_FILE = Path("orchestration/weights.lock.json")
PARTIAL = ".partial-"
Read = Callable[[Path], WeightsFacts]


def locate_weights(registry: Registry, model: Model, lock: WeightsLock, read: Read) -> Weights:
    """A model's weights, with the facts of the file (from `read`), else those of the lock."""
    path, projector = registry.weights_path(model), registry.projector_path(model)
    if path is None:
        return Weights(None, None, False, False)
    found = _found(path, lock.get(model.path), model.source is not None, read)
    if projector is None:
        return found
    return _with_projector(found, _found(projector, lock.get(model.mmproj_path or ""), False, read))


def _found(path: Path, known: WeightsFacts | None, fetchable: bool, read: Read) -> Weights:
    try:
        if path.is_file():
            return Weights(read(path), path, True, fetchable)
        return Weights(known, path, False, fetchable)
    except BenchError as error:
        reason = str(error)
    except OSError as error:
        reason = f"{error.filename or path}: {error.strerror or error}"
    return Weights(known, path, False, False, unreadable=reason)


def _with_projector(weights: Weights, projector: Weights) -> Weights:
    """Add the projector. If it cannot be read, the weights are unusable: specs contain it."""
    if not projector.unreadable:
        return replace(weights, projector=projector)
    unreadable = weights.unreadable or projector.unreadable
    return replace(
        weights, present=False, fetchable=False, projector=projector, unreadable=unreadable
    )


def hashed(planner: Planner, lock_file: Path = LOCK_FILE) -> Planner:
    """The planner with the fingerprints that its configuration needs.

    Other files are not hashed, since 100 GB take a minute. If a needed file cannot be read, that is
    a fault.
    """
    registry, weights = planner.registry, dict(planner.weights)
    needed = needed_weights(planner)
    todo = {key: paths for key in needed if (paths := _unhashed(weights[key]))}
    if todo:
        lock, reader = _read_lock(lock_file)[0], WeightsReader()
        reader.hash_ahead(path for paths in todo.values() for path in paths)
        weights |= {
            key: _hashed(registry.models[key], weights[key], lock, reader.facts) for key in todo
        }
    faults = [*planner.faults]
    for key in needed:
        if reason := weights[key].unreadable:
            faults.append(Problem(str(registry.path), f"roles.{key}.model", reason))
    return replace(planner, weights=weights, faults=tuple(dict.fromkeys(faults)))


def _unhashed(weights: Weights) -> list[Path]:
    """The files (also the projector's) of which only the header was read."""
    return [
        part.path
        for part in (weights, weights.projector)
        if part and part.path is not None and part.facts and not part.facts.fingerprint
    ]


def _hashed(model: Model, weights: Weights, lock: WeightsLock, read: Read) -> Weights:
    """The same weights; files of which only the header was read are read whole (by `read`)."""
    todo, projector = _unhashed(weights), weights.projector
    if weights.path in todo:
        weights = replace(
            _found(weights.path, lock.get(model.path), weights.fetchable, read), projector=projector
        )
    if projector is not None and projector.path in todo:
        projector = _found(projector.path, lock.get(model.mmproj_path or ""), False, read)
    return weights if projector is None else _with_projector(weights, projector)


def _read_lock(file: Path) -> tuple[WeightsLock, tuple[Problem, ...]]:
    """The undamaged part of the lock, and the problems of the damaged part."""
    try:
        lock = WeightsLock.load(file)
        return lock, lock.problems
    except BenchError as error:
        return WeightsLock(file, {}), (Problem("", "", str(error)),)


def registry_of(config: Config) -> Registry:
    """The registry that the configuration names, checked against its suites."""
    return load_registry(config.registry, suite_names(config.prompts))


def load_planner(
    config: Config,
    assume_present: bool = False,
    hardware: str | None = None,
    lock_file: Path = LOCK_FILE,
) -> Planner:
    """Read what `config` names: registry, suites, hardware profile and facts of the weights."""
    registry = registry_of(config)
    found = without_lost_images(read_suites(config.prompts, config.image_roots))
    check_suites({*found.sound, *found.faults})
    profile = load_hardware(hardware or config.hardware)
    (lock, faults), read = _read_lock(lock_file), WeightsReader().header_facts
    weights = {
        model.key: locate_weights(registry, model, lock, read) for model in registry.models.values()
    }
    if assume_present:
        weights = {key: _assumed(registry.models[key], entry) for key, entry in weights.items()}
    engine = engine_of(config, registry, config.engines[0])
    lengths, unread = lengths_for_planning()
    planner = Planner(
        registry,
        found.sound,
        config,
        profile,
        weights,
        engine,
        lengths,
        faults=(
            *_asked_for(registry.left_out, config.models),
            *faults,
            *unread,
            *_asked_for(found.faults, config.suites),
        ),
        faulty_suites=frozenset(found.faults),
        notices=found.notices,
    )
    planner = hashed(planner, lock_file)
    if problems := tuple(variant_problems(planner)):
        raise InputErrors(problems)
    return replace(
        planner, scorers=scorers_of(config.judge, judge_weights(config.judge, planner.weights))
    )


def _asked_for(
    faults: Mapping[str, tuple[Problem, ...]], wanted: tuple[str, ...]
) -> tuple[Problem, ...]:
    """The faults of the entries or suites that the configuration selects."""
    return tuple(
        problem for name, found in faults.items() if matches(name, wanted) for problem in found
    )


def judge_weights(judge: JudgeConfig, weights: Mapping[str, Weights]) -> str:
    """The fingerprint of the local judge's weights, or `by url` for a running server.

    Raises BenchError if the judge is among the scorers and its weights are not known.
    """
    if LOCAL not in judge.scorers or judge.local.url is not None:
        return "by url"
    path = Path(judge.local.model)
    entry = weights.get(judge.local.model)
    if entry is not None and entry.facts is None and entry.unreadable:
        raise BenchError(f"config: judge.local.model: {entry.unreadable}")
    known = entry.facts if entry is not None else None
    if known is None and path.suffix == ".gguf" and path.is_file():
        known = facts(path)
    if known is None:
        raise BenchError(
            f"config: judge.local.model: no weights found for '{judge.local.model}': expected a "
            "registry key whose file is on this machine, or a path to a GGUF file"
            f"{suggest(judge.local.model, weights)}"
        )
    return known.fingerprint


def engine_of(config: Config, registry: Registry, name: str) -> EngineIdentity:
    """The engine of that name: this project's build, or the configuration's llama-server."""
    if name != "server" or config.server_binary == "built":
        return engine_identity(name)
    if config.server_binary != "registry":
        return binary_identity(name, Path(config.server_binary))
    binaries = registry.defaults.binaries
    return binary_identity(
        name, Path(binaries.get("base_dir", "")) / binaries.get("server", "llama-server")
    )


def planners(planner: Planner) -> tuple[Planner, ...]:
    """One planner per engine of the configuration."""
    config, registry = planner.config, planner.registry
    return tuple(
        replace(planner, engine=engine_of(config, registry, name)) for name in config.engines
    )


def _assumed(model: Model, weights: Weights) -> Weights:
    if weights.projector is not None and weights.projector.facts is None:
        weights = replace(
            weights, projector=replace(weights.projector, facts=WeightsFacts.assumed(model))
        )
    if weights.facts is not None or weights.path is None:
        return replace(weights, present=weights.path is not None)
    return replace(weights, facts=WeightsFacts.assumed(model), present=True, fetchable=False)


# Set for the target `results_so_far` and inherited by its jobs: pages are made from the existing
# results, and nothing is run.
SO_FAR_VARIABLE = "EPYC_BENCH_SO_FAR"


@dataclass(frozen=True, slots=True)
class EveryPlan:
    """The plans of the active profile, one per engine, and of other profiles that have cells.

    Plans of other profiles cannot be run here. With `so_far`, the active ones are not run either.
    """

    planner: Planner
    active: tuple[Plan, ...]
    others: tuple[Plan, ...]
    so_far: bool

    @property
    def all(self) -> tuple[Plan, ...]:
        """The active plans first."""
        return (*self.active, *self.others)


def other_profiles(active: str) -> tuple[str, ...]:
    """The profiles of config/hardware/, without the active one, that have cells in the tree."""
    return tuple(name for name in profile_names() if name != active and (CELLS / name).is_dir())


def every_plan(config: Config) -> EveryPlan:
    """Read everything that the configuration names and plan it for every engine and profile."""
    planner, so_far = load_planner(config), bool(os.environ.get(SO_FAR_VARIABLE))
    engines = planners(planner)
    active = tuple(make_plan(engine) for engine in engines)
    if so_far:
        active = tuple(map(seen_from_elsewhere, active))
    profiles = [load_hardware(name) for name in other_profiles(planner.hardware.name)]
    others = (
        make_plan(replace(engine, hardware=profile)) for profile in profiles for engine in engines
    )
    return EveryPlan(planner, active, tuple(map(seen_from_elsewhere, others)), so_far)


def load_plans(config: Config, assume_present: bool = False) -> tuple[Plan, ...]:
    """The plan of a configuration for each of its engines."""
    return tuple(make_plan(planner) for planner in planners(load_planner(config, assume_present)))


def for_model(planner: Planner, key: str, engine: str | None = None) -> Planner:
    """The same planner for one model (its drafts stay) and one engine (None: the first one)."""
    planner.registry.entry(key)
    identity = engine_of(planner.config, planner.registry, engine or planner.config.engines[0])
    return hashed(replace(planner, config=replace(planner.config, models=(key,)), engine=identity))


def existing_files(folder: str) -> frozenset[str]:
    """The names below a shard's folder as `suite/file`.

    One directory listing per suite: a stat per cell is slow.
    """
    found: set[str] = set()
    try:
        suites = [
            entry
            for entry in os.scandir(folder)
            if entry.is_dir() and not entry.name.startswith(".")
        ]
    except FileNotFoundError:
        return frozenset()
    for suite in suites:
        found.update(f"{suite.name}/{name}" for name in os.listdir(suite.path))  # noqa: PTH208
    return frozenset(found)


def partial_folder(shard_folder: Path, engine: str) -> Path:
    """Where finished cells are kept until the shard is complete; Snakemake does not touch it."""
    return shard_folder / f"{PARTIAL}{engine}"


def partial_name(file_name: str) -> str:
    """The name of the cell `suite/file` in that folder."""
    return file_name.replace("/", "__")


def drop_cell(file: Path) -> None:
    """Delete a cell, but first its copy, which a restart of its shard would link back.

    Raises BenchError if one of them is behind a link.
    """
    folder, name = file.parent.parent, partial_name(f"{file.parent.name}/{file.name}")
    for kept in folder.glob(f"{PARTIAL}*"):
        drop(kept / name)
    drop(file)


def pending(shard: Shard) -> tuple[Cell, ...]:
    """The shard's cells that have no file yet."""
    existing = existing_files(shard.folder)
    return tuple(cell for cell in shard.cells if cell.file_name not in existing)
