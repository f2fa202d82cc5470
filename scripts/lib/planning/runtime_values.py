"""The settings that a cell runs with, each with its source.

A setting is looked up in order: the configuration, the question, its suite, the model's entry, the
registry's defaults. The first one that sets it counts, else a built-in value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from scripts.lib.prompts.types import Question
from scripts.lib.registry.types import Model, Registry
from scripts.lib.settings.run_config import Config

# The built-in settings of the context.
DEFAULT_CONTEXT: Mapping[str, Any] = MappingProxyType(
    {
        "length_tokens": 4096,
        "batch_tokens": 2048,
        "micro_batch_tokens": 512,
        "flash_attention": "auto",
        "kv_type_k": "f16",
        "kv_type_v": "f16",
    }
)
DEFAULT_MAX_TOKENS = 512
DEFAULT_TIMEOUT_S = 600.0
# The predecessor's rule for slow models: timeouts are meant for 20 tokens per second, and doubled
# where no speed is reported.
TIMEOUT_TOKENS_PER_S = 20.0
UNKNOWN_SPEED_FACTOR = 2.0
# A text before a question is evaluated at this speed at least.
DEPTH_TOKENS_PER_S = 50.0
BUILT_IN = "built in"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Setting(Generic[T]):
    """A value and its source, such as `roles.frontdoor.model.max_context`."""

    value: T
    source: str


def _first_set(*choices: tuple[T | None, str]) -> Setting[T] | None:
    """The first choice that is not None; None where none is set."""
    return next((Setting(value, source) for value, source in choices if value is not None), None)


def _first(*choices: tuple[T | None, str], last: T) -> Setting[T]:
    return _first_set(*choices) or Setting(last, BUILT_IN)


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


@lru_cache(maxsize=4096)
def _family(name: str, families: tuple[str, ...]) -> str | None:
    """The longest family name that is part of a model's name."""
    found = [family for family in families if _bare(family) and _bare(family) in _bare(name)]
    return max(found, key=lambda family: len(_bare(family)), default=None)


def _family_limit(model: Model, registry: Registry) -> tuple[int | None, str]:
    """The tokens of `context_limits` for the model's family."""
    limits = registry.defaults.context_limits
    family = _family(model.name, tuple(limits))
    if family is None:
        return None, ""
    return limits[family], f"runtime_defaults.context_limits.{family}"


def context_tokens(
    config: Config, registry: Registry, model: Model, trained: int | None = None
) -> Setting[int]:
    """Tokens of context, at most what the model was `trained` for."""
    defaults = registry.defaults
    found = _first(
        (config.context.length_tokens, "config: context.length_tokens"),
        (model.max_context, f"roles.{model.key}.model.max_context"),
        _family_limit(model, registry),
        (defaults.server_context_tokens, "runtime_defaults.server_defaults.context_length"),
        (defaults.context_limits.get("default"), "runtime_defaults.context_limits.default"),
        (defaults.context_length, "runtime_defaults.context_length"),
        last=DEFAULT_CONTEXT["length_tokens"],
    )
    if trained and trained < found.value:
        return Setting(trained, f"trained for (of {found.value}: {found.source})")
    return found


def micro_batch_tokens(config: Config, registry: Registry, model: Model) -> Setting[int]:
    """Tokens that are evaluated at once (llama.cpp's ubatch)."""
    return _first(
        (config.context.micro_batch_tokens, "config: context.micro_batch_tokens"),
        (model.micro_batch_tokens, f"roles.{model.key}.constraints.ubatch_size"),
        (registry.defaults.micro_batch_tokens, "runtime_defaults.server_defaults.ubatch_size"),
        last=DEFAULT_CONTEXT["micro_batch_tokens"],
    )


def batch_tokens(config: Config, registry: Registry, model: Model) -> Setting[int]:
    """Tokens of a batch: at least a micro-batch, else llama.cpp would cut the micro-batch."""
    micro = micro_batch_tokens(config, registry, model)
    wider = micro.value if micro.value > DEFAULT_CONTEXT["batch_tokens"] else None
    return _first(
        (config.context.batch_tokens, "config: context.batch_tokens"),
        (wider, f"as a micro-batch ({micro.source})"),
        last=DEFAULT_CONTEXT["batch_tokens"],
    )


def flash_attention(config: Config, registry: Registry, model: Model) -> Setting[bool | str]:
    """Whether the attention kernel is llama.cpp's flash attention; `auto`: where it can be."""
    return _first(
        (config.context.flash_attention, "config: context.flash_attention"),
        (model.flash_attention, f"roles.{model.key}.constraints.flash_attention"),
        (registry.defaults.flash_attention, "runtime_defaults.server_defaults.flash_attention"),
        last=DEFAULT_CONTEXT["flash_attention"],
    )


def needs_flash_attention(kv_type_v: str) -> bool:
    """Whether a type of the V cache needs flash attention: llama.cpp's rule for quantised types."""
    return kv_type_v.startswith("q")


def context_settings(
    config: Config, registry: Registry, model: Model, trained: int | None = None
) -> dict[str, Setting[Any]]:
    """The settings of the context, by their names in the spec."""
    return {
        "length_tokens": context_tokens(config, registry, model, trained),
        "batch_tokens": batch_tokens(config, registry, model),
        "micro_batch_tokens": micro_batch_tokens(config, registry, model),
        "flash_attention": flash_attention(config, registry, model),
        "kv_type_k": _first(
            (config.context.kv_type_k, "config: context.kv_type_k"),
            last=DEFAULT_CONTEXT["kv_type_k"],
        ),
        "kv_type_v": _first(
            (config.context.kv_type_v, "config: context.kv_type_v"),
            last=DEFAULT_CONTEXT["kv_type_v"],
        ),
    }


def temperature_of(
    config: Config, registry: Registry, model: Model, question: Question
) -> Setting[float]:
    """The sampling temperature; 0 is greedy."""
    found = _first(
        (config.sampling.temperature, "config: sampling.temperature"),
        (question.temperature, f"{question.name_in_full}: temperature"),
        (
            model.temperature_overrides.get(question.suite),
            f"roles.{model.key}.temperature_overrides.{question.suite}",
        ),
        (question.inherited.temperature, f"{question.suite}: inference_params.temperature"),
        (model.temperature, f"roles.{model.key}.generation_defaults.temperature"),
        (registry.defaults.temperature, "runtime_defaults.temperature"),
        last=0.0,
    )
    # 1 and 1.0 are the same temperature, but would give two specs.
    return Setting(float(found.value), found.source)


def _fitting(tokens: int, room: int | None) -> int:
    """The tokens, halved until they fit `room`, but not below the default (None: not halved)."""
    while room is not None and tokens > room and tokens // 2 >= DEFAULT_MAX_TOKENS:
        tokens //= 2
    return tokens


def _inherited_max_tokens(question: Question, room: int | None) -> tuple[int | None, str]:
    asked, source = question.inherited.max_tokens, f"{question.suite}: inference_params.max_tokens"
    if asked is None:
        return None, source
    tokens = _fitting(asked, room)
    return tokens, source if tokens == asked else f"{source} ({asked}), halved to fit the context"


def max_tokens_of(
    config: Config, model: Model, question: Question, room: int | None = None
) -> Setting[int]:
    """The most new tokens of an answer.

    `room`: tokens of the context that the prompt leaves (None: ignored). A suite's own limit is
    halved until it fits: the predecessor's suites ask for 4,096 tokens of models whose context is
    no longer. A limit of the configuration, the question or the entry stays, but no answer is cut
    below the question's `min_tokens`.
    """
    found = _first(
        (config.sampling.max_tokens, "config: sampling.max_tokens"),
        (question.max_tokens, f"{question.name_in_full}: max_tokens"),
        _inherited_max_tokens(question, room),
        (model.n_tokens, f"roles.{model.key}.generation_defaults.n_tokens"),
        last=DEFAULT_MAX_TOKENS,
    )
    least = question.least_tokens or 0
    if found.value >= least:
        return found
    return Setting(least, f"{question.suite}: min_tokens (of {found.value}: {found.source})")


def _slowness(model: Model) -> tuple[float, str]:
    """How many times longer a model's answers may take, and why."""
    speed = model.baseline_tokens_per_s
    if speed is None:
        return UNKNOWN_SPEED_FACTOR, "no performance.baseline_tps"
    return max(1.0, TIMEOUT_TOKENS_PER_S / speed), f"baseline_tps {speed:g}"


def timeout_of(
    config: Config, registry: Registry, model: Model, question: Question
) -> Setting[float]:
    """Seconds after which an answer is cut off.

    Values of the suite and of the registry are raised for a slow model, and at a depth.
    """
    exact = _first_set(
        (config.cell_timeout_s, "config: timeouts.cell_s"),
        (question.timeout_s, f"{question.name_in_full}: timeout_s"),
    )
    if exact is not None:
        return exact
    defaults = registry.defaults
    found = _first(
        (question.inherited.timeout_s, f"{question.suite}: inference_params.timeout"),
        (defaults.cell_timeout_s, "runtime_defaults.timeouts"),
        (defaults.request_timeout_s, "runtime_defaults.server_defaults.request_timeout"),
        last=DEFAULT_TIMEOUT_S,
    )
    factor, why = _slowness(model)
    source = found.source + (f" x {factor:g} ({why})" if factor > 1 else "")
    more = question.depth_tokens / DEPTH_TOKENS_PER_S
    source += f" + {more:g} ({question.depth_tokens} tokens before it)" if more else ""
    return Setting(found.value * factor + more, source)


def without_effect(registry: Registry, model: Model) -> Iterator[str]:
    """Settings of the registry that this llama.cpp, or a run of one stream, does not apply."""
    block, slots = model.paged_attention_tokens, registry.defaults.parallel_slots
    if block is not None:
        yield f"paged attention (blocks of {block} tokens): this llama.cpp has none"
    if (slots or 1) > 1:
        yield f"server_defaults.parallel_slots {slots}: one stream is measured"
