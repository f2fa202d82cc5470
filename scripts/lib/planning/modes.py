"""Decoding modes: which ways of decoding a model are planned, and why the others are not.

The architecture decides which modes are generated. The rules come from llama.cpp's behaviour on
recurrent models (their state cannot be rolled back, so they never speculate) and from the
experience kept in the registry (fewer than 4 experts are unstable, and lookup pays off below 20 GB
only).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from scripts.lib.planning.left_out import LeftOut
from scripts.lib.registry.types import plain_name
from scripts.lib.registry_loader import Acceleration, Model
from scripts.lib.weights.architectures import HYBRID, RECURRENT_MOE, RECURRENT_NAMES

DENSE_DRAFT_K = (4, 8, 16, 24, 32, 48)
COMBINED_DRAFT_K = (8, 16, 24)
LOOKUP_N = (3, 4, 5)
COMBINED_LOOKUP_N = 3
LOOKUP_SIZE_LIMIT_GB = 20.0
SMALLEST_STABLE_EXPERTS = 4
DEFAULT_BASELINE_EXPERTS = 8

MOE = frozenset({"moe", "qwen3moe", "qwen3vlmoe", "mixtral", "deepseek2", "qwen35moe"})
# The catalogue gives some hybrids llama.cpp's name qwen35moe and a draft: it is followed.
RECURRENT = (RECURRENT_NAMES | {HYBRID}) - MOE
NOT_GENERATING = frozenset({"bert", "external_api"})

SPECULATION = "speculative_decoding"
LOOKUP = "prompt_lookup"
RECURRENT_REASON = (
    "recurrent state cannot be rolled back after a rejected draft: "
    "SSM and hybrid models never speculate"
)


@dataclass(frozen=True, slots=True)
class Mode:
    """One way of decoding.

    `experts`: override of the active experts (None: the file's own count). `draft`: a model key.
    `k`: the most tokens drafted per step. `lookup_n`: the length of the n-grams that prompt lookup
    matches (None: no lookup). `full_experts`: the override equals the file's own count.
    """

    name: str
    experts: int | None = None
    draft: str | None = None
    k: int | None = None
    lookup_n: int | None = None
    full_experts: bool = False

    @property
    def speculative(self) -> bool:
        """True for a mode that should not change the answer; its quality is `quality_row`'s."""
        return self.draft is not None or self.lookup_n is not None

    @property
    def drafting(self) -> str:
        """What drafts: the draft model, `lookup`, or both; empty where nothing does."""
        if self.draft is None:
            return "lookup" if self.lookup_n else ""
        return f"{self.draft} + lookup" if self.lookup_n else self.draft

    @property
    def quality_row(self) -> str:
        """The mode with the same answers: `baseline`, or `moeN` for a reduced expert count."""
        return "baseline" if self.experts is None or self.full_experts else f"moe{self.experts}"


@dataclass(frozen=True, slots=True)
class ModeSet:
    """The modes of one model in table order, those left out, warnings, and the recommended mode."""

    modes: tuple[Mode, ...]
    left_out: tuple[LeftOut, ...]
    warnings: tuple[str, ...] = ()
    recommended: str | None = None


@dataclass(frozen=True, slots=True)
class Permissions:
    """Why a model may not use a draft, or prompt lookup (an empty reason: it may)."""

    drafting: str
    lookup: str


def compatible_drafts(model: Model, models: Mapping[str, Model]) -> tuple[str, ...]:
    """Keys of the drafts (tier D, not deprecated) with a target that is part of the name."""
    name = plain_name(model.name)
    return tuple(
        key
        for key, entry in models.items()
        if entry.tier == "D"
        and not entry.deprecated
        and key != model.key
        and any(plain_name(target) in name for target in entry.compatible_targets)
    )


def permissions(model: Model) -> Permissions:
    """What the registry and the architecture forbid this model."""
    because = f" ({model.forbid_reason})" if model.forbid_reason else ""
    drafting = lookup = ""
    if model.tier == "D":
        drafting = "a tier-D model is a draft itself"
        lookup = "prompt lookup is not measured on tier-D models"
    if model.mmproj_path:
        drafting = "a vision model with an mmproj takes no text draft"
    if model.size_gb >= LOOKUP_SIZE_LIMIT_GB:
        limit = f"prompt lookup is planned below {LOOKUP_SIZE_LIMIT_GB:g} GB only"
        lookup = f"model of {model.size_gb:g} GB: {limit}"
    if SPECULATION in model.forbid:
        drafting = f"the registry forbids {SPECULATION}{because}"
    if LOOKUP in model.forbid:
        lookup = f"the registry forbids {LOOKUP}{because}"
    if model.architecture in RECURRENT:
        drafting = lookup = RECURRENT_REASON
    return Permissions(drafting, lookup)


def make_mode(
    experts: int | None = None,
    draft: str | None = None,
    k: int | None = None,
    lookup_n: int | None = None,
    full: int | None = None,
) -> Mode:
    """A mode with its name. `full`: the file's own expert count (None for dense models)."""
    parts = []
    if experts is not None:
        parts.append(f"moe{experts}")
    if draft is not None:
        parts.append(f"spec_{draft}_k{k}")
        if lookup_n is not None:
            parts.append("lookup")
    elif lookup_n is not None:
        parts.append(f"lookup_n{lookup_n}")
    has_all = experts is not None and experts == full
    return Mode("_".join(parts) or "baseline", experts, draft, k, lookup_n, has_all)


def is_speculative_name(name: str) -> bool:
    """True for the exact name (not a pattern) of a speculative mode, as `make_mode` builds it."""
    return re.fullmatch(r"(moe\d+_)?(spec_\w[\w.-]*_k\d+(_lookup)?|lookup_n\d+)", name) is not None


def reduced_expert_counts(baseline_experts: int) -> tuple[int, ...]:
    """4, 6, … up to two below the file's own count."""
    return tuple(range(SMALLEST_STABLE_EXPERTS, baseline_experts - 1, 2))


def full_experts(model: Model) -> int | None:
    """The experts that a token uses without an override; None for a model without experts."""
    if model.architecture not in MOE | RECURRENT:
        return None
    said = model.baseline_experts or model.acceleration.baseline_experts
    assumed = (
        DEFAULT_BASELINE_EXPERTS if model.architecture in MOE | RECURRENT_MOE | {HYBRID} else None
    )
    return said or assumed


def _dense(drafts: Iterable[str], allowed: Permissions) -> Iterator[Mode]:
    drafts = tuple(drafts) if not allowed.drafting else ()
    for draft in drafts:
        yield from (make_mode(draft=draft, k=k) for k in DENSE_DRAFT_K)
    if not allowed.lookup:
        yield from (make_mode(lookup_n=n) for n in LOOKUP_N)
        for draft in drafts:
            for k in COMBINED_DRAFT_K:
                yield make_mode(draft=draft, k=k, lookup_n=COMBINED_LOOKUP_N)


def _moe(full: int, drafts: Iterable[str], allowed: Permissions) -> Iterator[Mode]:
    drafts = tuple(drafts) if not allowed.drafting else ()
    reduced = reduced_expert_counts(full)
    yield from (make_mode(experts, full=full) for experts in reduced)
    for experts in (*reduced, full):
        for draft in drafts:
            yield from (make_mode(experts, draft, k, full=full) for k in COMBINED_DRAFT_K)
        if not allowed.lookup:
            for draft in drafts:
                for k in COMBINED_DRAFT_K:
                    yield make_mode(experts, draft, k, COMBINED_LOOKUP_N, full)
            yield from (make_mode(experts, lookup_n=n, full=full) for n in LOOKUP_N)


def _named_by(acceleration: Acceleration, model: Model, drafts: tuple[str, ...]) -> Iterator[Mode]:
    """The modes that an acceleration of the registry names, with its alternatives."""
    full = full_experts(model)
    experts = acceleration.experts if full is not None else None
    count = experts if experts is not None else full
    if acceleration.type == "moe_expert_reduction" and experts is not None and experts != full:
        yield make_mode(experts, full=full)
    # A lookup without a draft has its k for itself: it names no draft mode.
    if acceleration.k is not None and (acceleration.type != LOOKUP or acceleration.draft_role):
        named = (acceleration.draft_role,) if acceleration.draft_role else drafts
        for draft in named:
            yield make_mode(count, draft, acceleration.k, full=full)
            if acceleration.lookup:
                yield make_mode(count, draft, acceleration.k, COMBINED_LOOKUP_N, full)
    elif acceleration.type == LOOKUP or acceleration.lookup:
        sizes = (acceleration.ngram_min,) if acceleration.ngram_min else LOOKUP_N
        yield from (make_mode(count, lookup_n=n, full=full) for n in sizes)
    for alternative in acceleration.alternatives:
        yield from _named_by(alternative, model, drafts)


def _is_allowed(mode: Mode, model: Model, models: Mapping[str, Model], allowed: Permissions) -> str:
    """Why a mode that the registry names cannot be planned (empty: it can)."""
    if mode.draft is not None:
        if mode.draft not in models:
            return f"no entry '{mode.draft}' in the registry"
        if allowed.drafting:
            return allowed.drafting
    if (
        mode.lookup_n is not None
        and allowed.lookup
        and (LOOKUP in model.forbid or model.architecture in RECURRENT)
    ):
        return allowed.lookup
    return ""


def _why_not(
    model: Model, drafts: tuple[str, ...], allowed: Permissions
) -> Iterator[tuple[str, str]]:
    """(pattern of modes, why none of them is planned)."""
    prefix = "moe{E}_" if model.architecture in MOE else ""
    if allowed.drafting:
        yield f"{prefix}spec_*", allowed.drafting
    elif not drafts:
        reason = "no compatible draft: no tier-D entry names a target contained in the name"
        yield f"{prefix}spec_*", reason
    if allowed.lookup:
        yield f"{prefix}lookup_*", allowed.lookup
    full = full_experts(model)
    if full is None:
        yield "moe*", f"architecture '{model.architecture}' has no experts to reduce"
    elif not reduced_expert_counts(full):
        least = SMALLEST_STABLE_EXPERTS
        yield "moe*", f"{full} experts are active: no reduction of two or more stays at {least}"


def _warnings(modes: Iterable[Mode], models: Mapping[str, Model]) -> Iterator[str]:
    for mode in modes:
        if mode.experts is not None and mode.experts < SMALLEST_STABLE_EXPERTS:
            least = f"fewer than {SMALLEST_STABLE_EXPERTS} active experts"
            yield f"{mode.name}: {least} is unstable on most MoE models"
        if mode.draft is not None and models[mode.draft].deprecated:
            yield f"{mode.name}: the draft '{mode.draft}' is deprecated"


def _recommended(model: Model, modes: Iterable[Mode]) -> str | None:
    """For an architect, quality before speed: a draft and all experts, preferably a named one."""
    if "architect" not in model.candidate_roles:
        return None
    full = [
        mode
        for mode in modes
        if mode.draft is not None and mode.lookup_n is None and mode.quality_row == "baseline"
    ]
    for acceleration in (model.acceleration, *model.acceleration.alternatives):
        for mode in full:
            named = acceleration.draft_role in (None, mode.draft)
            if acceleration.k is not None and mode.k == acceleration.k and named:
                return mode.name
    return full[0].name if full else None


def _reason_for_none(model: Model) -> str:
    if model.backend_type != "local" or model.architecture == "external_api":
        return "answers through an API: nothing is run here"
    if model.architecture in NOT_GENERATING:
        return f"architecture '{model.architecture}' does not generate text"
    if not model.path:
        return "the registry gives no path to its weights"
    return ""


def expand_modes(model: Model, models: Mapping[str, Model]) -> ModeSet:
    """Every mode of `model`, and what is left out. `models` is the whole registry."""
    reason = _reason_for_none(model)
    if reason:
        return ModeSet((), (LeftOut(model.key, "*", reason),))
    allowed = permissions(model)
    drafts = compatible_drafts(model, models)
    full = full_experts(model)
    modes = [make_mode()]
    if model.architecture in RECURRENT:
        modes += [make_mode(count, full=full) for count in reduced_expert_counts(full or 0)]
    elif full is not None:
        modes += _moe(full, drafts, allowed)
    else:
        modes += _dense(drafts, allowed)
    excluded = list(_why_not(model, drafts, allowed))  # (mode or pattern, reason)
    for mode in _named_by(model.acceleration, model, drafts):
        why = _is_allowed(mode, model, models, allowed)
        if why:
            excluded.append((mode.name, why))
        else:
            modes.append(mode)
    unique = tuple(dict.fromkeys(modes))
    return ModeSet(
        unique,
        tuple(LeftOut(model.key, mode, reason) for mode, reason in excluded),
        tuple(_warnings(unique, models)),
        _recommended(model, unique),
    )
