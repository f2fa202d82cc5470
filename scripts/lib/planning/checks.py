"""Checks of a configuration against the registry and the suites, before anything is planned."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping

from scripts.lib.base.errors import Problem, suggest
from scripts.lib.base.globs import matches
from scripts.lib.planning.modes import ModeSet, is_speculative_name, never_speculates
from scripts.lib.planning.reasons import not_selected
from scripts.lib.planning.runtime_values import flash_attention, needs_flash_attention
from scripts.lib.planning.traits import Traits
from scripts.lib.prompts.loader import Suite
from scripts.lib.registry_loader import Model, Registry
from scripts.lib.settings.run_config import Config

SHOWN_MODELS = 5


def config_problems(
    config: Config,
    registry: Registry,
    suites: Mapping[str, Suite],
    faulty: frozenset[str],
    traits: Callable[[Model], Traits],
) -> Iterator[Problem]:
    """Names in the configuration that do not exist, and modes that its models cannot run.

    `faulty`: suites that exist but have a fault, which is reported elsewhere. `traits`: the facts
    that decide a model's modes.
    """
    yield from _unknown(config.models, {**registry.models, **registry.left_out}, "models")
    yield from _unknown(config.suites, {*suites, *faulty}, "suites")
    yield from _unknown(config.decoding.speed_suites, {*suites, *faulty}, "decoding.speed_suites")
    yield from _unknown(config.fidelity.suites, {*suites, *faulty}, "fidelity.suites")
    questions = {q.name_in_full for suite in suites.values() for q in suite.questions}
    asked = tuple(
        pattern
        for pattern in config.questions
        if not any(matches(suite, (pattern.partition("/")[0],)) for suite in faulty)
    )
    yield from _unknown(asked, questions, "questions")
    yield from _speculative_recurrent(config, registry, traits)
    yield from _quantised_v_cache(config, registry)


def _unknown(patterns: tuple[str, ...], known: Collection[str], key: str) -> Iterator[Problem]:
    for pattern in (p for p in patterns if not p.startswith("!")):
        if not any(matches(name, (pattern,)) for name in known):
            yield Problem("config", key, f"'{pattern}' names nothing{suggest(pattern, known)}")


def _speculative_recurrent(
    config: Config, registry: Registry, traits: Callable[[Model], Traits]
) -> Iterator[Problem]:
    """Nothing but exact speculative modes, asked of a recurrent model that is named exactly.

    Where other modes or patterns are asked, too, the speculative ones are left out, with a warning.
    A job of one model names it exactly, and has the modes of all models.
    """
    if not all(map(is_speculative_name, config.decoding.modes)):
        return
    for key in config.models:
        model = registry.models.get(key)
        never = never_speculates(model, traits(model)) if model is not None else ""
        if not never:
            continue
        for mode in filter(is_speculative_name, config.decoding.modes):
            advice = "remove it, or name the modes by a pattern such as 'lookup_*'"
            message = f"'{mode}' is asked of {key}: {never}; {advice}"
            yield Problem("config", "decoding.modes", message)


def _quantised_v_cache(config: Config, registry: Registry) -> Iterator[Problem]:
    """A V cache that needs flash attention, for models whose flash attention is false."""
    kv_type = config.context.kv_type_v
    if kv_type is None or not needs_flash_attention(kv_type):
        return
    without: dict[str, list[str]] = {}
    for model in registry.models.values():
        wish = flash_attention(config, registry, model)
        if wish.value is False and not not_selected(model, config):
            without.setdefault(wish.source, []).append(model.key)
    for source, models in without.items():
        named = ", ".join(models[:SHOWN_MODELS]) + (", …" if len(models) > SHOWN_MODELS else "")
        message = (
            f"{kv_type} needs flash attention (llama.cpp does not load such a V cache without it), "
            f"which is false for {named} ({source}); make it auto or true, or take f16"
        )
        yield Problem("config", "context.kv_type_v", message)


def asked_in_vain(
    config: Config, registry: Registry, modes_of: Callable[[Model], ModeSet]
) -> Iterator[str]:
    """Exact names of speculative modes that no model has, if all models are named exactly.

    This is a warning, not an error: a job of one model has the configuration of all models.
    """
    models = [registry.models[key] for key in config.models if key in registry.models]
    wanted = tuple(filter(is_speculative_name, config.decoding.modes))
    if not wanted or not models or len(models) < len(config.models):
        return
    found = {model.key: modes_of(model) for model in models}
    for mode in wanted:
        if any(mode == each.name for modes in found.values() for each in modes.modes):
            continue
        for key, modes in found.items():
            yield f"config: decoding.modes: {_why_no_mode(key, mode, modes)}"


def _why_no_mode(key: str, mode: str, modes: ModeSet) -> str:
    asked = f"'{mode}' is asked of {key}"
    for item in modes.left_out:
        if item.covers(mode):
            return f"{asked}: {item.reason}"
    near = suggest(mode, [each.name for each in modes.modes])
    return f"{asked}, which has no such mode{near}"
