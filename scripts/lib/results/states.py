"""What is in the results tree, against what is asked for: valid, failed, damaged, new, stale (and why), orphaned.

Existence is validity, so most of it follows from file names; a stale cell's reason, a failure and
damage need a file's content.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

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
)
from scripts.lib.planning.modes import expand_modes
from scripts.lib.planning.plan import Cell, Plan, Planner, Shard, make_plan, seen_from_elsewhere
from scripts.lib.results.probe_outcomes import probe_file
from scripts.lib.results.review import drop_reviews, plan_review
from scripts.lib.settings.run_config import CONFIG_FILE, Config, merged, parse_config, read_layers

NOT_RUN_CONFIGURATIONS = ("config.yaml", "suites.yaml")
_ABSENT = "(not there)"
# A sample of so many is all of them.
EVERY_QUESTION = 10**6
# Of a long value so many characters are shown, and so many of them from before the first that
# differs.
SHOWN, SHOWN_BEFORE = 60, 20


class State(StrEnum):
    """`failed` is a kind of valid: the model's failure is a result until `retry_failed` drops it.

    `damaged`: a file is there that is not what was written. It counts as missing, and
    `retry_failed` drops it, too.
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
    """One planned cell. `file` is its own where it is there, else (stale) the one that another spec left behind."""

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
    """The newest cell of the same question, repeat and engine that was measured with another spec."""
    start, found = f"{cell.id.suite}/{cell.id.question}.", []
    for name in orphans:
        if name.startswith(start) and "." not in name.removeprefix(start).removesuffix(".json"):
            record = _record(Path(shard.folder) / name)
            if (
                record is not None
                and record.spec["engine"]["name"] == shard.engine
                and record.cell.repeat == cell.id.repeat
            ):
                found.append((record.started_utc, Path(shard.folder) / name))
    return max(found)[1] if found else None


def cell_states(plans: Iterable[Plan]) -> Iterator[CellState]:
    """The state of every planned cell, in plan order."""
    plans = tuple(plans)
    named: dict[str, set[str]] = {}
    for shard in (shard for plan in plans for shard in plan.shards):
        named.setdefault(shard.folder, set()).update(cell.file_name for cell in shard.cells)
    for shard in (shard for plan in plans for shard in plan.shards):
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
    """Two texts beside one another: of a long one what is around the first character that differs, … where it is cut."""
    pairs = enumerate(zip(old, new, strict=False))
    differs = next((place for place, (a, b) in pairs if a != b), min(len(old), len(new)))
    start = max(differs - SHOWN_BEFORE, 0)
    return _window(old, start), _window(new, start)


def _text(values: Mapping[str, Any], field: str) -> str:
    return json.dumps(values[field], ensure_ascii=False) if field in values else _ABSENT


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Change, ...]:
    """Which fields of a spec differ, from what to what, in the new spec's order."""
    before, after = dict(_flat(old)), dict(_flat(new))
    fields = [*after, *(field for field in before if field not in after)]
    return tuple(
        Change(field, *shown_apart(_text(before, field), _text(after, field)))
        for field in fields
        if before.get(field, _ABSENT) != after.get(field, _ABSENT)
    )


def why_stale(state: CellState) -> tuple[Change, ...]:
    """The changes that made a stale cell stale; none for another."""
    if state.state is not State.STALE or state.file is None:
        return ()
    return changes(read_cell(state.file).spec, state.cell.spec)


@dataclass(frozen=True, slots=True)
class MissingCells:
    """What a planned shard lacks: `new` cells never measured, `stale` ones of another spec, and which fields changed."""

    shard: Shard
    new: int
    stale: int
    changed: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        return self.new + self.stale


def missing_cells(plan: Plan) -> Iterator[MissingCells]:
    """The shards of a plan that lack cells. Reads no cell that is there and planned."""
    for shard in plan.shards:
        absent = pending(shard)
        left_behind = (
            existing_files(shard.folder) - {cell.file_name for cell in shard.cells}
            if absent
            else frozenset()
        )
        states = [(cell, _superseded(shard, cell, left_behind)) for cell in absent]
        stale = [
            CellState(shard, cell, State.STALE, old) for cell, old in states if old is not None
        ]
        if absent:
            changed = dict.fromkeys(change.field for state in stale for change in why_stale(state))
            yield MissingCells(shard, len(absent) - len(stale), len(stale), tuple(changed))


def drop_failed(plans: Iterable[Plan], really: bool = True) -> tuple[Path, ...]:
    """Delete the failed and damaged cells that can be run here, with the reviews that show them; gives them."""
    dropped = []
    for plan in plans:
        for state in cell_states([plan]):
            if state.state in DROPPED and state.shard.runnable and state.file is not None:
                dropped.append(state.file)
                if really:
                    drop_reviews(plan, state.shard)
                    drop_cell(state.file)
    return tuple(dropped)


# --- what nobody asks for --------------------------------------------------------------------------------------------


def _widened(config: Config, planner: Planner) -> Config:
    """The same measurement of every model (deprecated too) in every mode, on both engines; suites that are gone left out."""
    suites = tuple(
        p
        for p in config.suites
        if any(matches(name, (p.removeprefix("!"),)) for name in planner.suites)
    )
    decoding = replace(config.decoding, modes=("*",))
    models = tuple(planner.registry.models)
    return replace(
        config,
        models=models,
        suites=suites or ("*",),
        decoding=decoding,
        engines=("embedded", "server"),
    )


def _all_questions(config: Config) -> Config:
    """Also of every question, in the speed modes too: which of them are sampled is not part of a cell's spec."""
    decoding = replace(config.decoding, speed_sample=EVERY_QUESTION)
    return replace(config, suites=("*",), tiers=(1, 2, 3), questions=("*",), decoding=decoding)


def _configurations(active: Config, folder: Path = CONFIG_FILE.parent) -> Iterator[Config]:
    """The active configuration, the plain one, and each file of `config/` laid over it."""
    yield active
    yield parse_config(merged(plain := read_layers(())), sources=plain)
    for file in sorted(folder.glob("*.yaml")):
        if file.name not in NOT_RUN_CONFIGURATIONS:
            layers = read_layers((file,))
            yield parse_config(merged(layers), file=str(file), sources=layers)


def _planners(active: Config) -> Iterator[Planner]:
    """A planner per configuration, engine and profile: this machine's, and each named one with cells."""
    hardware = dict.fromkeys(
        (load_hardware(active.hardware).name, load_hardware("auto").name, *profile_names())
    )
    present = [name for name in hardware if (CELLS / name).is_dir()]
    widened: list[Config] = []
    for config in _configurations(active):
        planner = load_planner(config)
        planner = replace(planner, config=_widened(config, planner))
        # Widened, many are the same (config.yaml itself where nothing is laid over it): each is
        # planned once.
        if planner.config in widened:
            continue
        widened.append(planner.config)
        for engine in planners(hashed(planner)):
            for name in present:
                profile = (
                    load_hardware("auto") if name.startswith("local-") else load_hardware(name)
                )
                yield replace(engine, hardware=profile)


def _unplanned(planner: Planner) -> Iterator[tuple[str, str, str]]:
    """(profile, model, mode) of the registry whose cells cannot be told here, for want of their weights."""
    models = planner.registry.models
    for model in models.values():
        for mode in expand_modes(model, models).modes:
            if planner.lacks_weights(model, mode):
                yield planner.hardware.name, model.key, mode.name


def _configuration_of(path: Path) -> tuple[str, str, str] | None:
    """(profile, model, mode) of a cell's or a review's file; None of a probe's."""
    if path.is_relative_to(CELLS):
        profile, model, mode = path.relative_to(CELLS).parts[:3]
    elif path.is_relative_to(REVIEWS):
        profile, model, name = path.relative_to(REVIEWS).parts
        mode = name.rsplit(".", 2)[0]
    else:
        return None
    return profile, model, mode


def orphans(active: Config) -> tuple[Path, ...]:
    """Cells, reviews and probes' outcomes that no configuration names.

    Left alone: other machines' unnamed profiles, what is there of models and drafts whose weights
    this machine does not know, what an unfinished shard keeps of its cells, and what is behind a
    link.
    """
    cells, reviews, profiles = set[str](), set[str](), set[str]()
    unplanned = set[tuple[str, str, str]]()
    for planner in _planners(active):
        if planner.faulty_suites:
            lost = ", ".join(sorted(planner.faulty_suites))
            raise BenchError(
                f"orphans cannot be told while a suite cannot be read: {lost} (python -m scripts.prompts lint)"
            )
        if planner.registry.left_out:
            lost = ", ".join(planner.registry.left_out)
            raise BenchError(
                f"orphans cannot be told while an entry of the registry cannot be read: {lost} (python -m scripts.validate)"
            )
        profiles.add(planner.hardware.name)
        unplanned.update(_unplanned(planner))
        everything = make_plan(replace(planner, config=_all_questions(planner.config)))
        cells.update(file for shard in everything.shards for file in shard.cell_files)
        plan = make_plan(planner)
        for seen in (plan, seen_from_elsewhere(plan)):
            reviews.update(plan_review(seen, shard).file for shard in seen.shards)
    probes = {
        str(probe_file(quirk))
        for quirk in load_planner(active).registry.quirks
        if quirk.probe is not None
    }
    found = [*files_at(PROBES, 0, ".json")]
    for profile in sorted(profiles):
        cells_here = files_at(CELLS / profile, 3, ".json")
        found += (path for path in cells_here if not path.parent.name.startswith("."))
        found += files_at(Path(REVIEWS, profile), 1, ".csv")
    named = cells | reviews | probes
    return tuple(
        sorted(
            path
            for path in found
            if str(path) not in named and _configuration_of(path) not in unplanned
        )
    )
