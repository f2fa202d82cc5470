"""Why a model, a mode or a draft cannot be planned."""

from __future__ import annotations

from scripts.lib.base.globs import matches
from scripts.lib.planning.cell_spec import Weights
from scripts.lib.planning.left_out import LeftOut, MissingWeights
from scripts.lib.registry_loader import Model
from scripts.lib.settings.run_config import Config
from scripts.lib.settings.speculators import SIMPLE_DRAFT


def not_selected(model: Model, config: Config) -> str:
    """Why the configuration does not select a model (empty: it does)."""
    if not matches(model.key, config.models):
        return "not selected by config.models"
    if model.deprecated and model.key not in config.models:
        return f"deprecated: {model.deprecated_reason}" if model.deprecated_reason else "deprecated"
    return ""


def without_weights(model: Model, weights: Weights) -> LeftOut | None:
    """The model as left out, if nothing is known about its weights."""
    if weights.facts is not None:
        return None
    kind, detail = MissingWeights.UNREADABLE, weights.unreadable
    if not detail:
        kind, detail = MissingWeights.ABSENT, str(model.path)
        if model.source is not None:
            detail += f"; make them: snakemake -j1 weights_{model.key}"
    return LeftOut(model.key, "*", f"{kind}: {detail}", weights=kind)


def lacks_draft(weights: Weights, draft: Weights) -> bool:
    """True if the draft is unknown, or if only the target is on this machine."""
    return draft.facts is None or (weights.usable and not draft.usable)


def vocabulary_mismatch(target: Weights, draft: Weights, draft_key: str) -> str:
    """Why a draft's vocabulary does not fit, with both values; empty if it fits or is unknown.

    Head-only and block drafts may have no vocabulary: they use their target's.
    """
    if target.facts is None or draft.facts is None:
        return ""
    if draft.facts.header.draft_kind != SIMPLE_DRAFT and not draft.facts.header.tokens_digest:
        return ""
    a, b = target.facts.header, draft.facts.header
    for name, left, right in (
        ("vocabulary type", a.vocab_type, b.vocab_type),
        ("BOS token", a.bos_id, b.bos_id),
        ("EOS token", a.eos_id, b.eos_id),
        ("vocabulary size", a.vocab_size, b.vocab_size),
        ("token texts (digest)", a.tokens_digest, b.tokens_digest),
    ):
        if left != right:
            values = f"{name} {left} in the target, {right} in the draft"
            return f"the draft '{draft_key}' does not fit: {values}"
    return ""
