"""Decoding modes: which ways of decoding a model are planned, and why the others are not.

A model's traits decide which modes are generated. The rules come from llama.cpp's behaviour on
recurrent models, from the user's rule that SSM models never speculate, and from the experience kept
in the registry (fewer than 4 experts are unstable, and lookup pays off below 20 GB only).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from scripts.lib.planning.left_out import LeftOut
from scripts.lib.planning.traits import Traits, by_registry, may_have_experts
from scripts.lib.registry.types import plain_name
from scripts.lib.registry_loader import Acceleration, Model
from scripts.lib.settings.speculators import BY_NAME, LOOKUP, MTP, NGRAMS, SIMPLE_DRAFT
from scripts.lib.weights.architectures import HYBRID, Recurrence

DENSE_DRAFT_K = (4, 8, 16, 24, 32, 48)
MOE_DRAFT_K = (2, 4, 8, 16, 24)
COMBINED_DRAFT_K = (8, 16, 24)
MTP_K = (2, 4, 8)
LOOKUP_N = (3, 4, 5)
COMBINED_LOOKUP_N = 3
# The n-gram speculator that is combined with a head, and with fewer experts.
COMBINED_NGRAM = "ngram_mod"
LOOKUP_SIZE_LIMIT_GB = 20.0
SMALLEST_STABLE_EXPERTS = 4
BASELINE = "baseline"
VARIANT_MARK = "@"
NOT_GENERATING = frozenset({"bert", "external_api"})

SPECULATION = "speculative_decoding"
PROMPT_LOOKUP = "prompt_lookup"
NEVER_REASON = (
    "recurrent state cannot be rolled back after a rejected draft, only saved and restored whole: "
    f"SSM models never speculate, unless the entry has constraints.allow: [{SPECULATION}]"
)
SERVER_ONLY = "engine server only"


@dataclass(frozen=True, slots=True)
class Mode:
    """One way of decoding.

    `experts`: override of the active experts (None: the file's own count). `draft`: a model key.
    `k`: the most tokens drafted per step. `lookup_n`: the length of the n-grams that prompt lookup
    matches (None: no lookup). `full_experts`: the override equals the file's own count. `mtp`: the
    model's own head drafts. `ngram`: another n-gram speculator (empty: none). `p_min`: a draft
    model or head stops at a token that it finds less probable. `variant`: the runtime variant of
    config.yaml that it runs in (empty: none); the name is then `MODE@VARIANT`.
    """

    name: str
    experts: int | None = None
    draft: str | None = None
    k: int | None = None
    lookup_n: int | None = None
    full_experts: bool = False
    mtp: bool = False
    ngram: str = ""
    p_min: float = 0.0
    variant: str = ""

    def in_variant(self, variant: str) -> Mode:
        """The same mode in a runtime variant."""
        return replace(self, name=f"{self.name}{VARIANT_MARK}{variant}", variant=variant)

    @property
    def plain_name(self) -> str:
        """The name without the variant."""
        return self.name.partition(VARIANT_MARK)[0]

    @property
    def speculative(self) -> bool:
        """True for a mode that should not change the answer; its quality is `quality_row`'s."""
        # A predecessor's run may not say which draft it had: that name is empty.
        return self.draft is not None or bool(self.drafting)

    @property
    def drafting(self) -> str:
        """What drafts, such as `lookup`, `mtp + ngram_mod` or a draft's key; empty: nothing."""
        return " + ".join(filter(None, (self.drafter, self.matcher)))

    @property
    def drafter(self) -> str:
        """The draft's key, or `mtp` where the model's own head drafts; empty: neither does."""
        return self.draft or (MTP if self.mtp else "")

    @property
    def matcher(self) -> str:
        """The n-gram speculator: `lookup`, or another one's name; empty: none."""
        return self.ngram or (LOOKUP if self.lookup_n is not None else "")

    @property
    def keeps_state(self) -> bool:
        """True where the drafts of an answer would depend on the answers before it."""
        return bool(self.ngram) and BY_NAME[self.ngram].keeps_state

    @property
    def quality_row(self) -> str:
        """The mode with the same answers: `baseline`, or `moeN` for a reduced expert count.

        It is in the same variant.
        """
        whole = self.experts is None or self.full_experts
        row = BASELINE if whole else f"moe{self.experts}"
        return f"{row}{VARIANT_MARK}{self.variant}" if self.variant else row


@dataclass(frozen=True, slots=True)
class ModeSet:
    """The modes of one model in table order, those left out, warnings, and the recommended mode."""

    modes: tuple[Mode, ...]
    left_out: tuple[LeftOut, ...]
    warnings: tuple[str, ...] = ()
    recommended: str | None = None


@dataclass(frozen=True, slots=True)
class Permissions:
    """Why a model may not use a draft, n-grams, or its own head (an empty reason: it may).

    `never`: why it may not speculate at all, whatever the registry names.
    """

    drafting: str
    lookup: str
    mtp: str
    never: str = ""


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


def _needs_leave(model: Model, traits: Traits) -> bool:
    """True for a recurrent model that may speculate only where its entry says so."""
    return traits.recurrence is Recurrence.CHECKPOINTS or (
        model.architecture == HYBRID and traits.recurrence is not Recurrence.NONE
    )


def never_speculates(model: Model, traits: Traits) -> str:
    """Why a recurrent model may not speculate (empty: it may)."""
    return NEVER_REASON if _needs_leave(model, traits) and SPECULATION not in model.allow else ""


def speculates_by_leave(model: Model, traits: Traits) -> str:
    """Why the registry lets a recurrent model speculate (empty: the model needs no leave)."""
    if SPECULATION not in model.allow or not _needs_leave(model, traits):
        return ""
    return model.constraint_reason or "no reason given"


def _no_head(traits: Traits) -> str:
    if traits.heads:
        return ""
    if traits.from_header:
        return "its file has no head for multi-token prediction (nextn_predict_layers)"
    return "its file is not known here, and the entry has no model.nextn_predict_layers"


def permissions(model: Model, traits: Traits) -> Permissions:
    """What the registry and the architecture forbid this model."""
    because = f" ({model.constraint_reason})" if model.constraint_reason else ""
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
    if PROMPT_LOOKUP in model.forbid:
        lookup = f"the registry forbids {PROMPT_LOOKUP}{because}"
    never = never_speculates(model, traits)
    return Permissions(
        never or drafting, never or lookup, never or drafting or _no_head(traits), never
    )


def make_mode(
    experts: int | None = None,
    draft: str | None = None,
    k: int | None = None,
    lookup_n: int | None = None,
    full: int | None = None,
    *,
    mtp: bool = False,
    ngram: str = "",
    p_min: float = 0.0,
) -> Mode:
    """A mode with its name. `full`: the file's own expert count (None for dense models)."""
    drafts = draft is not None or mtp
    parts = [f"moe{experts}"] if experts is not None else []
    if drafts:
        parts.append(f"{MTP if mtp else f'spec_{draft}'}_k{k}")
        if p_min:
            parts.append(f"p{100 * p_min:g}")
    if lookup_n is not None:
        parts.append("lookup" if drafts else f"lookup_n{lookup_n}")
    if ngram:
        parts.append(ngram)
    return Mode(
        "_".join(parts) or BASELINE,
        experts,
        draft,
        k,
        lookup_n,
        experts is not None and experts == full,
        mtp,
        ngram,
        p_min if drafts else 0.0,
    )


_NGRAM = "|".join(NGRAMS)
_DRAFTED = rf"(spec_\w[\w.-]*|{MTP})_k\d+(_p[\d.]+)?(_lookup|_({_NGRAM}))?"
_SPECULATIVE = re.compile(rf"(moe\d+_)?({_DRAFTED}|lookup_n\d+|{_NGRAM})")


def is_speculative_name(name: str) -> bool:
    """True for the exact name (not a pattern) of a speculative mode, as `make_mode` builds it."""
    return _SPECULATIVE.fullmatch(name) is not None


def reduced_expert_counts(baseline_experts: int) -> tuple[int, ...]:
    """4, 6, … up to two below the file's own count."""
    return tuple(range(SMALLEST_STABLE_EXPERTS, baseline_experts - 1, 2))


def _dense(drafts: tuple[str, ...], allowed: Permissions, p_min: float) -> Iterator[Mode]:
    for draft in drafts:
        yield from (make_mode(draft=draft, k=k, p_min=p_min) for k in DENSE_DRAFT_K)
    if not allowed.lookup:
        yield from (make_mode(lookup_n=n) for n in LOOKUP_N)
        for draft in drafts:
            for k in COMBINED_DRAFT_K:
                yield make_mode(draft=draft, k=k, lookup_n=COMBINED_LOOKUP_N, p_min=p_min)
        yield from (make_mode(ngram=ngram) for ngram in NGRAMS)
    yield from _with_head(None, None, allowed, p_min)


def _moe(full: int, drafts: tuple[str, ...], allowed: Permissions, p_min: float) -> Iterator[Mode]:
    reduced = reduced_expert_counts(full)
    yield from (make_mode(experts, full=full) for experts in reduced)
    for experts in (*reduced, full):
        for draft in drafts:
            yield from (make_mode(experts, draft, k, full=full, p_min=p_min) for k in MOE_DRAFT_K)
        if not allowed.lookup:
            for draft in drafts:
                for k in COMBINED_DRAFT_K:
                    yield make_mode(experts, draft, k, COMBINED_LOOKUP_N, full, p_min=p_min)
            yield from (make_mode(experts, lookup_n=n, full=full) for n in LOOKUP_N)
            ngrams = NGRAMS if experts == full else (COMBINED_NGRAM,)
            yield from (make_mode(experts, full=full, ngram=ngram) for ngram in ngrams)
        yield from _with_head(experts, full, allowed, p_min)


def _with_head(
    experts: int | None, full: int | None, allowed: Permissions, p_min: float
) -> Iterator[Mode]:
    """The modes in which the model's own head drafts."""
    if allowed.mtp:
        return
    yield from (make_mode(experts, k=k, full=full, mtp=True, p_min=p_min) for k in MTP_K)
    if not allowed.lookup and experts == full:
        for k in MTP_K:
            for lookup_n, ngram in ((COMBINED_LOOKUP_N, ""), (None, COMBINED_NGRAM)):
                yield make_mode(
                    experts, None, k, lookup_n, full, mtp=True, ngram=ngram, p_min=p_min
                )


def _named_by(
    acceleration: Acceleration, full: int | None, drafts: tuple[str, ...], p_min: float
) -> Iterator[Mode]:
    """The modes that an acceleration of the registry names, with its alternatives."""
    experts = acceleration.experts if full is not None else None
    count = experts if experts is not None else full
    if acceleration.type == "moe_expert_reduction" and experts is not None and experts != full:
        yield make_mode(experts, full=full)
    # A lookup without a draft has its k for itself: it names no draft mode.
    k = acceleration.k
    if acceleration.type == MTP:
        for most in (k,) if k is not None else MTP_K:
            yield make_mode(count, k=most, full=full, mtp=True, p_min=p_min)
    elif k is not None and (acceleration.type != PROMPT_LOOKUP or acceleration.draft_role):
        named = (acceleration.draft_role,) if acceleration.draft_role else drafts
        for draft in named:
            yield make_mode(count, draft, k, full=full, p_min=p_min)
            if acceleration.lookup:
                yield make_mode(count, draft, k, COMBINED_LOOKUP_N, full, p_min=p_min)
    elif acceleration.type == PROMPT_LOOKUP or acceleration.lookup:
        sizes = (acceleration.ngram_min,) if acceleration.ngram_min else LOOKUP_N
        yield from (make_mode(count, lookup_n=n, full=full) for n in sizes)
    for alternative in acceleration.alternatives:
        yield from _named_by(alternative, full, drafts, p_min)


def _is_allowed(mode: Mode, model: Model, models: Mapping[str, Model], allowed: Permissions) -> str:
    """Why a mode that the registry names cannot be planned (empty: it can)."""
    if mode.draft is not None:
        if mode.draft not in models:
            return f"no entry '{mode.draft}' in the registry"
        if allowed.drafting:
            return allowed.drafting
    if mode.mtp and allowed.mtp:
        return allowed.mtp
    # The registry may name a lookup for a large model.
    if mode.lookup_n is not None and (PROMPT_LOOKUP in model.forbid or allowed.never):
        return allowed.lookup
    return ""


def _why_not(
    model: Model, full: int | None, drafts: tuple[str, ...], allowed: Permissions
) -> Iterator[tuple[str, str]]:
    """(pattern of modes, why none of them is planned)."""
    prefix = "moe{E}_" if full is not None and not allowed.never else ""
    no_draft = "no compatible draft: no tier-D entry names a target contained in the name"
    reasons = {
        "spec_*": allowed.drafting or ("" if drafts else no_draft),
        "lookup_*": allowed.lookup,
        "ngram_*": allowed.lookup,
        "mtp_*": allowed.mtp,
    }
    yield from ((f"{prefix}{modes}", reason) for modes, reason in reasons.items() if reason)
    if full is None and not may_have_experts(model):
        yield "moe*", f"architecture '{model.architecture}' has no experts to reduce"
    elif full is None:
        yield "moe*", "its file has no experts to reduce"
    elif not reduced_expert_counts(full):
        least = SMALLEST_STABLE_EXPERTS
        yield "moe*", f"{full} experts are active: no reduction of two or more stays at {least}"


def _warnings(
    model: Model, traits: Traits, modes: Iterable[Mode], models: Mapping[str, Model]
) -> Iterator[str]:
    leave = speculates_by_leave(model, traits)
    if leave:
        yield f"speculates though it is recurrent: the registry allows it ({leave})"
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
        if mode.draft is not None and mode.lookup_n is None and mode.quality_row == BASELINE
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


def expand_modes(
    model: Model,
    models: Mapping[str, Model],
    traits: Traits | None = None,
    p_min: float = 0.0,
) -> ModeSet:
    """Every mode of `model`, and what is left out. `models` is the whole registry.

    `traits`: by the registry's words where none are given. `p_min`: of the modes that draft.
    """
    reason = _reason_for_none(model)
    if reason:
        return ModeSet((), (LeftOut(model.key, "*", reason),))
    traits = traits or by_registry(model)
    allowed, full = permissions(model, traits), traits.experts_used
    compatible = compatible_drafts(model, models)
    drafts = () if allowed.drafting else compatible
    modes = [make_mode()]
    modes += _dense(drafts, allowed, p_min) if full is None else _moe(full, drafts, allowed, p_min)
    excluded = list(_why_not(model, full, compatible, allowed))  # (mode or pattern, reason)
    for mode in _named_by(model.acceleration, full, compatible, p_min):
        why = _is_allowed(mode, model, models, allowed)
        if why:
            excluded.append((mode.name, why))
        else:
            modes.append(mode)
    unique = tuple(dict.fromkeys(modes))
    return ModeSet(
        unique,
        tuple(LeftOut(model.key, mode, reason) for mode, reason in excluded),
        tuple(_warnings(model, traits, unique, models)),
        _recommended(model, unique),
    )


def needs_server(mode: Mode, traits: Traits, draft_kind: str = SIMPLE_DRAFT) -> str:
    """Why only engine `server` can run a mode (empty: both can). `draft_kind`: of its draft."""
    if mode.speculative and traits.recurrence is not Recurrence.NONE:
        return f"recurrent state cannot be rolled back in process: {SERVER_ONLY}"
    special = (MTP if mode.mtp else "", mode.ngram, draft_kind if mode.draft else "")
    for name in special:
        if name not in ("", SIMPLE_DRAFT):
            return f"speculator {name}: {SERVER_ONLY}"
    return f"p_min above 0: {SERVER_ONLY}" if mode.p_min else ""
