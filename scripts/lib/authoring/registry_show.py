"""Every value that an entry resolves to, with its source. Pure: rows made of planning's values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from scripts.lib.base.errors import shown
from scripts.lib.planning.cell_spec import Weights, override_key
from scripts.lib.planning.plan import Planner
from scripts.lib.planning.runtime_values import (
    context_settings,
    temperature_of,
    timeout_of,
    without_effect,
)
from scripts.lib.planning.traits import traits_of
from scripts.lib.registry.quirks import applies_to, entries_of
from scripts.lib.registry.types import MODEL_BASE_VARIABLE, Model, Registry
from scripts.lib.weights.facts import WeightsFacts


@dataclass(frozen=True, slots=True)
class Row:
    """One value as text, and its source: a key of the registry or config, a file, or `built in`."""

    name: str
    value: str
    source: str


def _known(*rows: tuple[str, object, str]) -> Iterator[Row]:
    """The rows that have a value."""
    return (Row(name, str(value), source) for name, value, source in rows if value or value == 0)


def _weights(registry: Registry, model: Model) -> Iterator[Row]:
    base = f"runtime_defaults.model_base_path or {MODEL_BASE_VARIABLE}"
    below = "models/ or EPYC_BENCH_MODELS, as it is made" if model.source is not None else base
    place = f"roles.{model.key}.model"
    yield from _known(
        ("weights", registry.weights_path(model), f"{place}.path, below {below}"),
        ("vision projector", registry.projector_path(model), f"{place}.mmproj_path, below {below}"),
    )


def _decoding(model: Model, weights: Weights) -> Iterator[Row]:
    place = f"roles.{model.key}.acceleration"
    for acceleration in (model.acceleration, *model.acceleration.alternatives):
        found = acceleration.draft_path or acceleration.draft_model
        source = f"{place}, found by {found}" if found else place
        yield from _known(
            ("draft", acceleration.draft_role, source),
            ("tokens drafted per step", acceleration.k, f"{place}.k"),
        )
    full = traits_of(model, weights.facts).experts_used
    if full is None:
        return
    said = model.baseline_experts or model.acceleration.baseline_experts
    yield Row(
        "experts per token", str(full), "baseline_experts of the entry" if said else "built in"
    )
    key, source = model.acceleration.override_key, f"{place}.override_key"
    if key is None and weights.facts is not None:
        key, source = override_key(model, weights), "the weights' header"
    elif key is None:
        key = override_key(model, replace(weights, facts=WeightsFacts.assumed(model)))
        source = "as the predecessor had it: the weights are not here"
    yield Row("override key", key, source)


def _notes(registry: Registry, model: Model) -> Iterator[Row]:
    place, trick = f"roles.{model.key}", model.thinking_disable_trick
    suites = ", ".join(sorted(model.thinking_disable_suites))
    yield from _known(
        ("thinking off in", suites, f"{place}.thinking_quirks"),
        ("answers begin with", trick and repr(trick), f"{place}.thinking_quirks.disable_trick"),
    )
    for name, value in model.launch_quirks.items():
        yield Row(name, shown(value), f"{place}.launch_quirks")
    for name, text, key in (
        ("published as", model.huggingface_id, "model.huggingface_id"),
        ("notes", model.notes, "notes"),
        ("figures of", model.benchmark_date, "benchmark_date"),
    ):
        yield from _known((name, " ".join((text or "").split()), f"{place}.{key}"))
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
    """The values that depend on the question, each once with its suites."""
    config, registry = planner.config, planner.registry
    found: dict[tuple[str, str, str], list[str]] = {}
    everywhere: set[str] = set()
    for question in planner.selected(model):
        everywhere.add(question.suite)
        for name, setting in (
            ("temperature", temperature_of(config, registry, model, question)),
            ("new tokens", planner.max_tokens(model, question)),
            ("seconds of an answer", timeout_of(config, registry, model, question)),
        ):
            suites = found.setdefault((name, f"{setting.value:g}", setting.source), [])
            suites.append(question.suite)
    for (name, value, source), suites in sorted(found.items(), key=lambda item: item[0][0]):
        label = name if set(suites) == everywhere else f"{name}: {', '.join(dict.fromkeys(suites))}"
        yield Row(label, value, source)


def resolved(planner: Planner, model: Model) -> Iterator[Row]:
    """Every value of the entry that has a source, in the order in which a run needs them."""
    registry = planner.registry
    yield from _weights(registry, model)
    yield from _loading(planner, model)
    yield from _decoding(model, planner.weights[model.key])
    yield from _asking(planner, model)
    for text in without_effect(registry, model):
        yield Row("without effect", text, "the registry")
    yield from _notes(registry, model)


def carried(registry: Registry, model: Model) -> Iterator[Row]:
    """The entry's keys without effect here, with their values as written."""
    start = f"roles.{model.key}."
    for item in registry.carried:
        if item.path.startswith(start):
            yield Row(item.path.removeprefix(start), shown(item.value), f"line {item.line}")
