"""What an entry resolves to, row by row: a value, and who says it. Pure: rows over what planning knows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from scripts.lib.base.errors import shown
from scripts.lib.planning.cell_spec import Weights, override_key
from scripts.lib.planning.modes import full_experts
from scripts.lib.planning.plan import Planner
from scripts.lib.planning.runtime_values import (
    context_settings,
    temperature_of,
    timeout_of,
    without_effect,
)
from scripts.lib.registry.quirks import applies_to, entries_of
from scripts.lib.registry.types import MODEL_BASE_VARIABLE, Acceleration, Model, Registry
from scripts.lib.weights.facts import WeightsFacts


@dataclass(frozen=True, slots=True)
class Row:
    """One value as text, and its source: a key of the registry or of config.yaml, a file, or `built in`."""

    name: str
    value: str
    source: str


def _weights(registry: Registry, model: Model) -> Iterator[Row]:
    base = f"runtime_defaults.model_base_path or {MODEL_BASE_VARIABLE}"
    below = "models/ or EPYC_BENCH_MODELS, as it is made" if model.source is not None else base
    for name, path, key in (
        ("weights", registry.weights_path(model), "path"),
        ("vision projector", registry.projector_path(model), "mmproj_path"),
    ):
        if path is not None:
            yield Row(name, str(path), f"roles.{model.key}.model.{key}, below {below}")


def _draft(model: Model, acceleration: Acceleration, place: str) -> Iterator[Row]:
    if acceleration.draft_role is not None:
        found = acceleration.draft_path or acceleration.draft_model
        how = f", found by {found}" if found else ""
        yield Row("draft", acceleration.draft_role, f"{place}{how}")
    if acceleration.k is not None:
        yield Row("tokens drafted a step", str(acceleration.k), f"{place}.k")


def _decoding(model: Model, weights: Weights) -> Iterator[Row]:
    place = f"roles.{model.key}.acceleration"
    for acceleration in (model.acceleration, *model.acceleration.alternatives):
        yield from _draft(model, acceleration, place)
    full = full_experts(model)
    if full is not None:
        said = model.baseline_experts or model.acceleration.baseline_experts
        yield Row(
            "experts of a token", str(full), "baseline_experts of the entry" if said else "built in"
        )
        if model.acceleration.override_key is not None:
            yield Row("override key", model.acceleration.override_key, f"{place}.override_key")
        else:
            known = (
                weights
                if weights.facts is not None
                else replace(weights, facts=WeightsFacts.assumed(model))
            )
            source = (
                "the weights' header"
                if weights.facts is not None
                else "as the predecessor had it: no weights here"
            )
            yield Row("override key", override_key(model, known), source)


def _notes(registry: Registry, model: Model) -> Iterator[Row]:
    place = f"roles.{model.key}"
    if model.thinking_disable_suites:
        yield Row(
            "thinking off in",
            ", ".join(sorted(model.thinking_disable_suites)),
            f"{place}.thinking_quirks",
        )
    if model.thinking_disable_trick:
        yield Row(
            "answers begin with",
            repr(model.thinking_disable_trick),
            f"{place}.thinking_quirks.disable_trick",
        )
    for name, value in model.launch_quirks.items():
        yield Row(name, shown(value), f"{place}.launch_quirks")
    for name, text, key in (
        ("published as", model.huggingface_id, "model.huggingface_id"),
        ("notes", model.notes, "notes"),
        ("figures of", model.benchmark_date, "benchmark_date"),
    ):
        if text:
            yield Row(name, " ".join(text.split()), f"{place}.{key}")
    named = {
        group for group in registry.quirk_groups if model.key in entries_of(group, registry.models)
    }
    for quirk in registry.quirks:
        if applies_to(quirk, model) or (not quirk.applies_to and quirk.group in named):
            yield Row("known quirk", quirk.id, f"runtime_quirks.{quirk.group}")


def _loading(planner: Planner, model: Model) -> Iterator[Row]:
    facts = planner.weights[model.key].facts
    trained = facts.header.context_length if facts is not None else model.max_context
    for name, setting in context_settings(planner.config, planner.registry, model, trained).items():
        yield Row(name, str(setting.value), setting.source)


def _asking(planner: Planner, model: Model) -> Iterator[Row]:
    """What differs from question to question, each value once with the suites that it is of."""
    config, registry = planner.config, planner.registry
    found: dict[tuple[str, str, str], dict[str, None]] = {}
    for question in planner.selected(model):
        for name, setting in (
            ("temperature", temperature_of(config, registry, model, question)),
            ("new tokens", planner.max_tokens(model, question)),
            ("seconds of an answer", timeout_of(config, registry, model, question)),
        ):
            found.setdefault((name, f"{setting.value:g}", setting.source), {})[question.suite] = (
                None
            )
    everywhere = {question.suite for question in planner.selected(model)}
    for (name, value, source), suites in sorted(found.items(), key=lambda item: item[0][0]):
        yield Row(
            name if set(suites) == everywhere else f"{name}: {', '.join(suites)}", value, source
        )


def _without_effect(registry: Registry, model: Model) -> Iterator[Row]:
    for text in without_effect(registry, model):
        yield Row("without effect", text, "the registry")


def resolved(planner: Planner, model: Model) -> Iterator[Row]:
    """Every value of the entry that has a source worth telling, in the order in which a run needs them."""
    yield from _weights(planner.registry, model)
    yield from _loading(planner, model)
    yield from _decoding(model, planner.weights[model.key])
    yield from _asking(planner, model)
    yield from _without_effect(planner.registry, model)
    yield from _notes(planner.registry, model)


def carried(registry: Registry, model: Model) -> Iterator[Row]:
    """The entry's keys that nothing here acts on, with their values as they stand there."""
    start = f"roles.{model.key}."
    for item in registry.carried:
        if item.path.startswith(start):
            yield Row(item.path.removeprefix(start), shown(item.value), f"line {item.line}")
