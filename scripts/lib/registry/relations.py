"""Checks relations between the registry's entries: drafts, sources, roles and suites."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from scripts.lib.base.errors import Problem, suggest
from scripts.lib.base.part_names import part_name
from scripts.lib.base.speed_limits import speed_up_violation
from scripts.lib.base.yaml_fields import is_misspelt
from scripts.lib.base.yaml_file import Source as YamlFile
from scripts.lib.registry.role_table import SUITES_FILE, role_table
from scripts.lib.registry.types import Acceleration, Model, Registry, plain_name

_SPEED_UP = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*x\s*")


def without_sources(
    file: YamlFile, models: Mapping[str, Model], left_out: Mapping[str, tuple[Problem, ...]]
) -> tuple[dict[str, Model], dict[str, tuple[Problem, ...]]]:
    """The same (entries, what is left out), without entries whose source entry is missing."""
    kept, lost = dict(models), dict(left_out)
    while gone := {key: model for key, model in kept.items() if _lacks_source(model, kept)}:
        for key, model in gone.items():
            assert model.source is not None
            wanted = model.source.from_model or ""
            why = (
                f"'{wanted}' is left out"
                if wanted in {*lost, *gone}
                else f"no entry '{wanted}'{suggest(wanted, kept)}"
            )
            lost[key] = (file.problem(f"roles.{key}.model.source.{model.source.kind}", why),)
            del kept[key]
    return kept, lost


def _lacks_source(model: Model, models: Mapping[str, Model]) -> bool:
    source = model.source
    return source is not None and bool(source.from_model) and source.from_model not in models


def _with_file(path: str, entries: Iterable[Model], registry: Registry) -> Model | None:
    """The entry with that file, else the first one with a file of the same name."""
    wanted = os.path.normpath(registry.below_base(path))
    same_name = None
    for entry in entries:
        file = registry.weights_path(entry)
        if file is not None and os.path.normpath(file) == wanted:
            return entry
        if file is not None and same_name is None and file.name == Path(wanted).name:
            same_name = entry
    return same_name


def _of_model(name: str, entries: Iterable[Model]) -> Model | None:
    """The entry with that model name, else with a file of that name, else with that key."""
    wanted = plain_name(name)
    fitting = [
        (rank, entry)
        for entry in entries
        for rank, own in enumerate((entry.name, PurePosixPath(entry.path).stem, entry.key))
        if plain_name(own) == wanted
    ]
    return min(fitting, key=lambda pair: pair[0])[1] if fitting else None


def _with_draft(
    file: YamlFile, place: str, key: str, acceleration: Acceleration, registry: Registry
) -> Acceleration:
    """The acceleration with its draft's key, also if it names the draft only by file or model.

    Its alternatives are resolved, too.
    """
    nested = tuple(
        _with_draft(file, place, key, inner, registry) for inner in acceleration.alternatives
    )
    acceleration = replace(acceleration, alternatives=nested)
    path, name = acceleration.draft_path, acceleration.draft_model
    if acceleration.draft_role is not None or not (path or name):
        return acceleration
    # If several entries have the file: first one that is not deprecated, and that is a draft.
    entries = sorted(
        (entry for entry in registry.models.values() if entry.key != key),
        key=lambda e: (e.deprecated, e.tier != "D"),
    )
    by_file = _with_file(path, entries, registry) if path else None
    found = by_file or (_of_model(name, entries) if name else None)
    if path and by_file is None:
        instead = f"; the draft is '{found.key}', by draft_model" if found else ", so no draft"
        message = f"no entry has the file '{path}'{instead}"
        file.warnings.append(file.problem(f"{place}.draft_path", message))
    elif found is None:
        message = f"no entry of a model '{name}', so no draft"
        file.warnings.append(file.problem(f"{place}.draft_model", message))
    return replace(acceleration, draft_role=found.key if found is not None else None)


def with_drafts(file: YamlFile, registry: Registry) -> dict[str, Model]:
    """The entries, with the key of each draft that is named by `draft_path` or `draft_model`.

    If no entry fits, there is a warning.
    """
    return {
        key: replace(
            model,
            acceleration=_with_draft(
                file, f"roles.{key}.acceleration", key, model.acceleration, registry
            ),
        )
        for key, model in registry.models.items()
    }


def _check_names(
    file: YamlFile, place: str, what: str, names: Iterable[str], known: frozenset[str]
) -> None:
    """Check names of roles or suites: misspelt ones are errors, other unknown ones warnings."""
    for name in names:
        if known and name not in known:
            problem = file.problem(place, f"unknown {what} '{name}'{suggest(name, known)}")
            (file.problems if is_misspelt(name, known) else file.warnings).append(problem)


def check_roles_and_suites(
    file: YamlFile, models: Mapping[str, Model], suites: Iterable[str]
) -> None:
    """Check the entries against the table of roles, if there is one, and the known suites."""
    table = role_table() if SUITES_FILE.is_file() else None
    roles = table.known_roles if table is not None else frozenset[str]()
    known = frozenset(suites) | (table.known_suites if table is not None else frozenset[str]())
    for key, model in models.items():
        place = f"roles.{key}"
        _check_names(file, f"{place}.candidate_roles", "role", model.candidate_roles, roles)
        for suite in model.temperature_overrides:
            _check_names(file, f"{place}.temperature_overrides.{suite}", "suite", (suite,), known)
        _check_names(
            file, f"{place}.thinking_quirks", "suite", sorted(model.thinking_disable_suites), known
        )


def _warn_acceleration(
    file: YamlFile, key: str, model: Model, registry: Registry
) -> Iterator[Problem]:
    place = f"roles.{key}.acceleration"
    for acceleration in (model.acceleration, *model.acceleration.alternatives):
        draft = acceleration.draft_role
        if draft is not None and draft not in registry.models:
            lost = draft in registry.left_out
            why = (
                f"'{draft}' is left out"
                if lost
                else f"no entry '{draft}'{suggest(draft, registry.models)}"
            )
            yield file.problem(f"{place}.draft_role", why)
        override = acceleration.override_key
        family = (override or "").partition(".")[0]
        if override and model.architecture not in ("moe", "ssm_moe_hybrid", family):
            message = f"'{override}' does not fit the architecture '{model.architecture}'"
            yield file.problem(f"{place}.override_key", message)
        if acceleration.experts is not None and acceleration.experts < 4:
            count = acceleration.experts
            message = f"{count} active experts: fewer than 4 is unstable on most MoE models"
            yield file.problem(f"{place}.experts", message)


def reported_violation(model: Model) -> str:
    """Why the reported speed-up is impossible; empty if it is possible, or not reported."""
    found = _SPEED_UP.fullmatch(str(model.performance.get("speedup", "")))
    return speed_up_violation(float(found[1]), model.acceleration.k) if found else ""


def _warn_part(file: YamlFile, key: str, model: Model) -> Iterator[Problem]:
    """Warn if a path names another part of a split model than the first, which is loaded."""
    path = PurePosixPath(model.path)
    first = part_name(path, 1)
    if first != path:
        yield file.problem(
            f"roles.{key}.model.path", f"names a part that is not the first: expected {first.name}"
        )


def _warn_reference(
    file: YamlFile, key: str, model: Model, registry: Registry
) -> Iterator[Problem]:
    wanted = model.fidelity_reference
    if wanted and wanted not in registry.models:
        why = f"no entry '{wanted}'{suggest(wanted, registry.models)}"
        if wanted in registry.left_out:
            why = f"'{wanted}' is left out"
        yield file.problem(f"roles.{key}.fidelity.reference", why)


def warnings_between(file: YamlFile, registry: Registry) -> Iterator[Problem]:
    """Warnings about entries that stay usable."""
    for key, model in registry.models.items():
        yield from _warn_acceleration(file, key, model, registry)
        yield from _warn_part(file, key, model)
        yield from _warn_reference(file, key, model, registry)
        impossible = reported_violation(model)
        if impossible:
            yield file.problem(f"roles.{key}.performance.speedup", f"is impossible: {impossible}")
