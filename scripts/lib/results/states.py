"""The state of each planned cell (valid, failed, damaged, new, stale and why), and orphaned files.

Existence is validity, so most of this follows from file names. Only failures, damage, and why a
cell is stale need a file's content.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from scripts.lib.base.command import ENGINES
from scripts.lib.base.errors import BenchError
from scripts.lib.base.globs import matches
from scripts.lib.base.layout import CELLS, PROBES, REVIEWS
from scripts.lib.base.results_tree import files_at
from scripts.lib.base.stored_json import Damaged
from scripts.lib.machine.profiles import load_hardware, profile_names
from scripts.lib.planning.cell_record import CellRecord, read_cell
from scripts.lib.planning.disk import (
    drop_cell,
    existing_files,
    hashed,
    load_planner,
    pending,
    planners,
    registry_of,
)
from scripts.lib.planning.plan import Cell, Plan, Planner, Shard, make_plan, seen_from_elsewhere
from scripts.lib.results.probe_outcomes import probe_file
from scripts.lib.results.review import drop_reviews, plan_review
from scripts.lib.settings.run_config import CONFIG_FILE, Config, merged, parse_config, read_layers

NOT_RUN_CONFIGURATIONS = ("config.yaml", "suites.yaml")
_ABSENT = "(not there)"
# A sample of this size has every question.
EVERY_QUESTION = 10**6
# More than any plan has.
EVERY_CELL = 10**9
# Shown characters of a long value, and how many of them come before the first difference.
SHOWN, SHOWN_BEFORE = 60, 20


class State(StrEnum):
    """The state of a planned cell.

    `failed` is a kind of valid: a model's failure is a result until `retry_failed` deletes it.
    `damaged`: the file was changed after it was written. It counts as missing; `retry_failed`
    deletes it, too.
    """

    VALID = "valid"
    FAILED = "failed"
    DAMAGED = "damaged"
    NEW = "new"
    STALE = "stale"


# What `retry_failed` measures again.
DROPPED = (State.FAILED, State.DAMAGED)


@dataclass(frozen=True, slots=True)
class CellState:
    """A planned cell. `file` is its own file; of a stale cell, the file with another spec."""

    shard: Shard
    cell: Cell
    state: State
    file: Path | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One field of a spec that differs, as texts."""

    field: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.field}: {self.old} -> {self.new}"


def _record(file: Path) -> CellRecord | None:
    """The record of a cell; None for a damaged one."""
    try:
        return read_cell(file)
    except Damaged:
        return None


def _state_of(file: Path) -> State:
    record = _record(file)
    if record is None:
        return State.DAMAGED
    return State.VALID if record.status == "ok" else State.FAILED


def _superseded(shard: Shard, cell: Cell, orphans: Iterable[str]) -> Path | None:
    """The newest cell of the same question, repeat and engine that has another spec."""
    start, found = f"{cell.id.suite}/{cell.id.question}.", []
    for name in orphans:
        if not name.startswith(start) or "." in name.removeprefix(start).removesuffix(".json"):
            continue
        file = Path(shard.folder) / name
        record = _record(file)
        if record is None or record.spec["engine"]["name"] != shard.engine:
            continue
        if record.cell.repeat == cell.id.repeat:
            found.append((record.started_utc, file))
    return max(found)[1] if found else None


def cell_states(plans: Iterable[Plan]) -> Iterator[CellState]:
    """The state of every planned cell, in plan order."""
    shards = [shard for plan in plans for shard in plan.shards]
    named: dict[str, set[str]] = {}
    for shard in shards:
        named.setdefault(shard.folder, set()).update(cell.file_name for cell in shard.cells)
    for shard in shards:
        existing = existing_files(shard.folder)
        left_behind = existing - named[shard.folder]
        for cell in shard.cells:
            file = Path(shard.folder) / cell.file_name
            if cell.file_name in existing:
                yield CellState(shard, cell, _state_of(file), file)
            else:
                old = _superseded(shard, cell, left_behind)
                yield CellState(shard, cell, State.NEW if old is None else State.STALE, old)


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{path}.{key}" if path else str(key))
    else:
        yield path, value


def _window(text: str, start: int) -> str:
    if len(text) <= SHOWN:
        return text
    end = start + SHOWN
    return f"{'…' if start else ''}{text[start:end]}{'…' if end < len(text) else ''}"


def shown_apart(old: str, new: str) -> tuple[str, str]:
    """Two texts to compare; of a long one, the part around the first difference, with … ."""
    pairs = enumerate(zip(old, new, strict=False))
    differs = next((place for place, (a, b) in pairs if a != b), min(len(old), len(new)))
    start = max(differs - SHOWN_BEFORE, 0)
    return _window(old, start), _window(new, start)


def _text(values: Mapping[str, Any], field: str) -> str:
    return json.dumps(values[field], ensure_ascii=False) if field in values else _ABSENT


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Change, ...]:
    """The fields of a spec that differ, in the new spec's order, each with old and new value."""
    before, after = dict(_flat(old)), dict(_flat(new))
    fields = [*after, *(field for field in before if field not in after)]
    return tuple(
        Change(field, *shown_apart(_text(before, field), _text(after, field)))
        for field in fields
        if before.get(field, _ABSENT) != after.get(field, _ABSENT)
    )


def why_stale(state: CellState) -> tuple[Change, ...]:
    """The changes that made a cell stale; none if it is not stale."""
    if state.state is not State.STALE or state.file is None:
        return ()
    return changes(read_cell(state.file).spec, state.cell.spec)


@dataclass(frozen=True, slots=True)
class MissingCells:
    """The missing cells of a planned shard: how many are new or stale, and the changed fields.

    `unread`: cells whose question has a file with another spec that was not read.
    """

    shard: Shard
    new: int
    stale: int
    changed: tuple[str, ...] = ()
    unread: int = 0

    @property
    def count(self) -> int:
        """All missing cells."""
        return self.new + self.stale + self.unread


def missing_cells(plan: Plan) -> Iterator[MissingCells]:
    """The shards of a plan with missing cells. Planned cells that exist are not read."""
    return why_missing(plan.shards, {shard.name: pending(shard) for shard in plan.shards})


def why_missing(
    shards: Sequence[Shard], missing: Mapping[str, Sequence[Cell]], most_read: int = EVERY_CELL
) -> Iterator[MissingCells]:
    """Why cells are missing, for each of the shards that has any.

    `missing`: shard name -> its missing cells. At most `most_read` cells are looked up.
    """
    named: dict[str, set[str]] = {}
    for shard in shards:
        named.setdefault(shard.folder, set()).update(cell.file_name for cell in shard.cells)
    for shard in shards:
        absent = missing[shard.name]
        if not absent:
            continue
        left_behind: dict[str, list[str]] = {}
        for name in existing_files(shard.folder) - named[shard.folder]:
            left_behind.setdefault(name.removesuffix(".json").rpartition(".")[0], []).append(name)
        older = [c for c in absent if f"{c.id.suite}/{c.id.question}" in left_behind]
        read, stale, changed = older[:most_read], 0, dict[str, None]()
        most_read -= len(read)
        for cell in read:
            old = _superseded(shard, cell, left_behind[f"{cell.id.suite}/{cell.id.question}"])
            if old is not None:
                stale += 1
                for change in why_stale(CellState(shard, cell, State.STALE, old)):
                    changed[change.field] = None
        unread = len(older) - len(read)
        yield MissingCells(shard, len(absent) - stale - unread, stale, tuple(changed), unread)


def drop_failed(plans: Iterable[Plan], really: bool = True) -> tuple[Path, ...]:
    """Delete the failed and damaged cells that can be run here, with their reviews. Returns them.

    Without `really`, nothing is deleted.
    """
    dropped = []
    for plan in plans:
        for state in cell_states([plan]):
            if state.state in DROPPED and state.shard.runnable and state.file is not None:
                dropped.append(state.file)
                if really:
                    drop_reviews(plan, state.shard)
                    drop_cell(state.file)
    return tuple(dropped)


# --- orphans ---


def _of_some(patterns: Iterable[str], names: Collection[str]) -> tuple[str, ...]:
    """The patterns that match one of the names; `*` if none does."""
    found = [
        pattern
        for pattern in patterns
        if any(matches(name, (pattern.removeprefix("!"),)) for name in names)
    ]
    return tuple(found) or ("*",)


def _widened(config: Config, planner: Planner) -> Config:
    """The same configuration for every model (also deprecated), every mode, and both engines.

    Patterns that match no suite or question of this project are left out.
    """
    suites = planner.suites
    questions = [question.name_in_full for suite in suites.values() for question in suite.questions]
    speed_suites = _of_some(config.decoding.speed_suites, suites)
    return replace(
        config,
        models=tuple(planner.registry.models),
        suites=_of_some(config.suites, suites),
        questions=_of_some(config.questions, questions),
        decoding=replace(config.decoding, modes=("*",), speed_suites=speed_suites),
        engines=ENGINES,
    )


def _all_questions(planner: Planner) -> Config:
    """The same for every question, also in the speed modes: the sample is not part of a spec.

    Suites without a role are named, too, since they are used only if they are named.
    """
    config = planner.config
    decoding = replace(config.decoding, speed_suites=("*",), speed_sample=EVERY_QUESTION)
    suites = ("*", *planner.suites)
    return replace(
        config,
        suites=suites,
        tiers=(1, 2, 3),
        questions=("*",),
        depth_sample=EVERY_QUESTION,
        decoding=decoding,
    )


def _configurations(active: Config, folder: Path = CONFIG_FILE.parent) -> Iterator[Config]:
    """The active configuration, config.yaml alone, and each file of `config/` on top of it."""
    yield active
    yield parse_config(merged(plain := read_layers(())), sources=plain)
    for file in sorted(folder.glob("*.yaml")):
        if file.name not in NOT_RUN_CONFIGURATIONS:
            layers = read_layers((file,))
            yield parse_config(merged(layers), file=str(file), sources=layers)


def every_planner(active: Config, tree: Path = CELLS) -> Iterator[Planner]:
    """A planner per configuration, engine and profile with cells (this machine's or named).

    Each selects every model, mode and engine. `tree`: the folder that has the profiles' cells.
    """
    here = [load_hardware(active.hardware).name, load_hardware("auto").name]
    names = dict.fromkeys([*here, *profile_names()])
    profiles = [load_hardware(name) for name in names if (tree / name).is_dir()]
    widened: list[Config] = []
    for config in _configurations(active):
        planner = load_planner(config)
        planner = replace(planner, config=_widened(config, planner))
        # Many configurations are equal when widened: each is planned once.
        if planner.config in widened:
            continue
        widened.append(planner.config)
        for engine in planners(hashed(planner)):
            for profile in profiles:
                yield replace(engine, hardware=profile)


def _unplanned(planner: Planner) -> Iterator[tuple[str, str, str]]:
    """(profile, model, mode) whose cells have no known names, since weights are missing."""
    for model in planner.registry.models.values():
        for mode in planner.modes(model).modes:
            if planner.lacks_weights(model, mode):
                yield planner.hardware.name, model.key, mode.name


def _configuration_of(path: Path) -> tuple[str, str, str] | None:
    """(profile, model, mode) of a cell's or a review's file; None for a probe's."""
    if path.is_relative_to(CELLS):
        profile, model, mode = path.relative_to(CELLS).parts[:3]
    elif path.is_relative_to(REVIEWS):
        profile, model, name = path.relative_to(REVIEWS).parts
        mode = name.rsplit(".", 2)[0]
    else:
        return None
    return profile, model, mode


def _check_readable(what: str, unreadable: Iterable[str], command: str) -> None:
    lost = ", ".join(unreadable)
    if lost:
        raise BenchError(
            f"cannot list orphans: unreadable {what}: {lost} (see python -m {command})"
        )


def orphans(active: Config) -> tuple[Path, ...]:
    """Cells, reviews and probes' outcomes that no configuration plans.

    Not listed: files of other machines' `local-…` profiles, files of models whose weights are
    unknown on this machine, the cells that an unfinished shard keeps, and everything behind a link.
    Raises BenchError if a suite or an entry of the registry cannot be read.
    """
    cells, reviews, profiles = set[str](), set[str](), set[str]()
    unplanned = set[tuple[str, str, str]]()
    for planner in every_planner(active):
        _check_readable("suites", sorted(planner.faulty_suites), "scripts.prompts lint")
        _check_readable("registry entries", planner.registry.left_out, "scripts.validate")
        profiles.add(planner.hardware.name)
        unplanned.update(_unplanned(planner))
        everything = make_plan(replace(planner, config=_all_questions(planner)))
        cells.update(file for shard in everything.shards for file in shard.cell_files)
        plan = make_plan(planner)
        for seen in (plan, seen_from_elsewhere(plan)):
            reviews.update(plan_review(seen, shard).file for shard in seen.shards)
    quirks = registry_of(active).quirks
    probes = {str(probe_file(quirk)) for quirk in quirks if quirk.probe is not None}
    found = [*files_at(PROBES, 0, ".json")]
    for profile in profiles:
        cells_here = files_at(CELLS / profile, 3, ".json")
        found += (path for path in cells_here if not path.parent.name.startswith("."))
        found += files_at(Path(REVIEWS, profile), 1, ".csv")
    named = cells | reviews | probes
    unnamed = (path for path in found if str(path) not in named)
    return tuple(sorted(path for path in unnamed if _configuration_of(path) not in unplanned))
