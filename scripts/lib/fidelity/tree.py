"""The fidelity cells in the results tree: their states, failed ones, orphans."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from scripts.lib.base.layout import FIDELITY
from scripts.lib.base.results_tree import drop, files_at
from scripts.lib.base.stored_json import Damaged
from scripts.lib.fidelity.plan import Configuration, FidelityCell, FidelityPlan, Kind, fidelity_plan
from scripts.lib.fidelity.record import read_fidelity
from scripts.lib.fidelity.store import read_reference
from scripts.lib.planning.disk import PARTIAL
from scripts.lib.planning.plan import Planner
from scripts.lib.results.states import EVERY_QUESTION, State, every_planner
from scripts.lib.settings.run_config import Config

LONGEST_BLOCK = 10**9


def state_of(cell: FidelityCell) -> State:
    """The state of a cell: new, valid, failed or damaged. Its file is read."""
    file = Path(cell.file)
    try:
        stored = read_reference(file) if cell.kind is Kind.REFERENCE else read_fidelity(file)
    except FileNotFoundError:
        return State.NEW
    except Damaged:
        return State.DAMAGED
    return State.VALID if stored.status == "ok" else State.FAILED


def states_by_configuration(plan: FidelityPlan) -> Iterator[tuple[Configuration, Counter[State]]]:
    """The number of cells in each state, configuration by configuration."""
    for one in plan.configurations:
        yield one, Counter(map(state_of, one.cells))


def drop_failed_cells(plan: FidelityPlan, really: bool = True) -> tuple[Path, ...]:
    """Delete the failed and damaged cells that can be run here. Returns them."""
    dropped = []
    for one in plan.runnable:
        for cell in one.cells:
            if state_of(cell) in (State.FAILED, State.DAMAGED):
                dropped.append(Path(cell.file))
                if really:
                    drop_fidelity(Path(cell.file))
    return tuple(dropped)


def drop_fidelity(file: Path) -> None:
    """Delete a fidelity cell, but first its copy, which a restart would link back."""
    folder = file.parent.parent
    for kept in folder.glob(f"{PARTIAL}*"):
        drop(kept / f"{file.parent.name}__{file.name}")
    drop(file)


def _everything(planner: Planner) -> Planner:
    """The planner, for every block that a configuration could ask for."""
    wanted = replace(
        planner.config.fidelity,
        measure=True,
        suites=("*",),
        sample=EVERY_QUESTION,
        workload_sample=EVERY_QUESTION,
        block_tokens=LONGEST_BLOCK,
    )
    return replace(planner, config=replace(planner.config, fidelity=wanted))


def _with_all_weights(planner: Planner) -> Planner:
    """The planner, as if all known weights were here: another entry may then be the reference."""
    weights = {key: replace(found, present=True) for key, found in planner.weights.items()}
    return replace(planner, weights=weights)


def orphaned(active: Config) -> tuple[Path, ...]:
    """The fidelity cells that no configuration plans; references in use are planned.

    Not listed: files of other machines' `local-…` profiles, of models whose weights are unknown on
    this machine, and everything behind a link.
    """
    if not FIDELITY.is_dir():
        return ()
    planned, profiles, unknown = set[str](), set[str](), set[tuple[str, str]]()
    for planner in every_planner(active, FIDELITY):
        profile = planner.hardware.name
        profiles.add(profile)
        unknown |= {(profile, key) for key, w in planner.weights.items() if w.facts is None}
        for seen in (planner, _with_all_weights(planner)):
            plan = fidelity_plan(_everything(seen))
            planned.update(cell.file for one in plan.configurations for cell in one.cells)
    return tuple(sorted(_unplanned(profiles, planned, unknown)))


def _unplanned(
    profiles: Iterable[str], planned: set[str], unknown: set[tuple[str, str]]
) -> Iterator[Path]:
    for profile in profiles:
        for suffix in (f".{kind.value}" for kind in Kind):
            for path in files_at(FIDELITY / profile, 3, suffix):
                model = path.relative_to(FIDELITY).parts[1]
                is_kept = path.parent.name.startswith(".") or (profile, model) in unknown
                if not is_kept and str(path) not in planned:
                    yield path
