"""The facts that decide a model's decoding modes: its experts, heads and recurrent layers.

They come from the header of its file; if the file is not known, from the registry.
"""

from __future__ import annotations

from dataclasses import dataclass

from scripts.lib.registry_loader import Model
from scripts.lib.weights.architectures import (
    HYBRID,
    RECURRENT_MOE,
    RECURRENT_NAMES,
    Recurrence,
    architecture_by_name,
    recurrence,
    says_moe,
)
from scripts.lib.weights.facts import ASSUMED, WeightsFacts

DEFAULT_BASELINE_EXPERTS = 8


@dataclass(frozen=True, slots=True)
class Traits:
    """`experts_used`: the experts that a token uses without an override (None: no experts).

    `heads`: layers that predict further tokens (multi-token prediction). `from_header`: the file's
    header is known, and says so.
    """

    experts_used: int | None = None
    heads: int = 0
    recurrence: Recurrence = Recurrence.NONE
    from_header: bool = False


def may_have_experts(model: Model) -> bool:
    """True if the entry's `architecture` allows experts."""
    word = model.architecture
    return word == HYBRID or says_moe(word) or word.lower() in RECURRENT_NAMES


def _experts_by_registry(model: Model) -> int | None:
    if not may_have_experts(model):
        return None
    word = model.architecture
    said = model.baseline_experts or model.acceleration.baseline_experts
    has_some = word == HYBRID or says_moe(word) or word.lower() in RECURRENT_MOE
    return said or (DEFAULT_BASELINE_EXPERTS if has_some else None)


def _recurrence_by_registry(model: Model) -> Recurrence:
    if model.architecture == HYBRID:
        return Recurrence.CHECKPOINTS
    return recurrence(architecture_by_name(model.name, model.architecture))


def by_registry(model: Model) -> Traits:
    """The traits according to the registry."""
    return Traits(
        _experts_by_registry(model), model.nextn_predict_layers or 0, _recurrence_by_registry(model)
    )


def traits_of(model: Model, facts: WeightsFacts | None) -> Traits:
    """A model's traits: from its header if that is known, else from the registry."""
    if facts is None or facts.fingerprint == ASSUMED:
        return by_registry(model)
    header = facts.header
    # A header may leave the number of active experts to the architecture.
    used = header.expert_used_count or _experts_by_registry(model) or DEFAULT_BASELINE_EXPERTS
    # An older weights lock has no number of heads.
    looked_for = header.nextn_layers is not None
    return Traits(
        used if header.expert_count else None,
        header.heads if looked_for else model.nextn_predict_layers or 0,
        recurrence(header.architecture, header.recurrent_key),
        from_header=looked_for,
    )
