"""Checks of the variants of a configuration, before anything is planned."""

from __future__ import annotations

from collections.abc import Iterator

from scripts.lib.base.errors import Problem, suggest
from scripts.lib.base.globs import matches
from scripts.lib.planning.plan import Planner, variant_refused
from scripts.lib.planning.reasons import not_selected
from scripts.lib.settings.variants import Variant


def variant_problems(planner: Planner) -> Iterator[Problem]:
    """The variants that no selected model can run in, each with the reason.

    A number of a list is no problem: a list may be written for several machines.
    """
    for variant in planner.config.variants:
        reason = "" if variant.sweep else _refused_everywhere(planner, variant)
        if reason:
            message = f"{variant.shown_changes}: {reason}"
            yield Problem("config", f"variants.{variant.name}", message)


def _refused_everywhere(planner: Planner, variant: Variant) -> str:
    """Why none of the models can run in a variant (empty: one can, or none has weights)."""
    selected = [m for m in planner.registry.models.values() if not not_selected(m, planner.config)]
    models = [m for m in selected if matches(m.key, variant.models)]
    if selected and not models:
        known = [model.key for model in selected]
        wanted = ", ".join(variant.models)
        return f"no selected model is called {wanted}{suggest(variant.models[0], known)}"
    reasons = list[str]()
    for model in models:
        if planner.modes(model).modes and planner.weights[model.key].facts is not None:
            reasons.append(variant_refused(planner, model, variant))
    return reasons[0] if reasons and all(reasons) else ""
