"""Launch commands: the command line of a shard's engine, to copy and paste."""

from __future__ import annotations

import shlex
import string
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from scripts.lib.base.errors import BenchError, suggest
from scripts.lib.engines.protocol import LoadSettings
from scripts.lib.engines.server_flags import mode_argv, probe, server_argv
from scripts.lib.planning.plan import Planner, Shard
from scripts.lib.settings.speculators import DRAFTING, LOOKUP, SIMPLE_DRAFT

# The template for modes that no other template covers, and the placeholder that it must have.
ANY_MODE, MODE_FLAGS = "any_mode", "mode_flags"
_SIMPLE = (LOOKUP, SIMPLE_DRAFT)


def _is_special(shard: Shard, settings: LoadSettings) -> bool:
    """True for a mode that only `any_mode` covers.

    It combines several parts, has another speculator, or settings that are not at their defaults.
    """
    mode, speculators = shard.mode, [one.speculator.name for one in settings.speculations]
    reduced = mode.experts is not None and not mode.full_experts
    own_settings = bool(mode.p_min or settings.mode_spec.get(DRAFTING))
    return len(speculators) + reduced > 1 or own_settings or not set(speculators) <= set(_SIMPLE)


# The registry's template for a shard is the first one that fits.
PICKS: tuple[tuple[str, Callable[[Shard, LoadSettings], bool]], ...] = (
    (ANY_MODE, _is_special),
    ("speculative_decoding", lambda shard, settings: shard.mode.draft is not None),
    ("prompt_lookup", lambda shard, settings: shard.mode.lookup_n is not None),
    ("moe_expert_reduction", lambda shard, settings: shard.mode.experts is not None),
    ("vision", lambda shard, settings: settings.projector is not None),
    ("baseline", lambda shard, settings: True),
)
# A template that is missing -> a simpler one that starts the same model.
_STAND_INS: Mapping[str, str] = {"vision": "baseline"}


def pinning(settings: LoadSettings) -> list[str]:
    """The words of numactl and taskset that pin a command to the profile."""
    hardware = settings.hardware
    argv = ["numactl", f"--{hardware.numa}"] if hardware.numa else []
    return [*argv, "taskset", "--cpu-list", hardware.cpus] if hardware.cpus else argv


def server_line(settings: LoadSettings, binary: Path, port: int) -> str:
    """The llama-server command line of a shard, with flags that the binary's --help lists."""
    return shlex.join([*pinning(settings), *server_argv(probe(binary), settings, port)])


def template_name(templates: Mapping[str, str], shard: Shard, settings: LoadSettings) -> str:
    """The registry's template for this mode."""
    name = next(name for name, fits in PICKS if fits(shard, settings))
    return name if name in templates else _STAND_INS.get(name, name)


def _values(
    planner: Planner, shard: Shard, settings: LoadSettings, port: int
) -> dict[str, list[str]]:
    """Placeholder -> its words; an empty list if the shard has no value.

    The predecessor's placeholders are here, too.
    """
    model, defaults = shard.model, planner.registry.defaults
    base = Path(defaults.binaries.get("base_dir", ""))
    tools = {
        name: [str(base / file)] for name, file in defaults.binaries.items() if name != "base_dir"
    }
    temperature = next((t for t in (model.temperature, defaults.temperature) if t is not None), 0.0)
    draft, projector, experts = settings.draft, settings.projector, shard.mode.experts
    context = [str(settings.context["length_tokens"])]
    return {
        **tools,
        "numactl": pinning(settings),
        "model": [str(settings.weights)],
        "model_path": [str(settings.weights)],
        "draft": [str(draft)] if draft is not None else [],
        "draft_path": [str(draft)] if draft is not None else [],
        "mmproj_path": [str(projector)] if projector is not None else [],
        "threads": [str(settings.hardware.threads)],
        "context": context,
        "context_length": context,
        "temperature": [f"{temperature:g}"],
        "port": [str(port)],
        "experts": [str(experts)] if experts is not None else [],
        "override_key": [settings.override_key] if settings.override_key else [],
        "k": [str(shard.mode.k)] if shard.mode.k is not None else [],
        "n": [str(shard.mode.lookup_n)] if shard.mode.lookup_n is not None else [],
        "m": [str(settings.lookup_draft_tokens)] if shard.mode.lookup_n is not None else [],
        MODE_FLAGS: mode_argv(settings),
    }


def _quote_behind(text: str, quote: str) -> str:
    """The quotation mark that is open after `text`, which began inside `quote`."""
    escaped = False
    for character in text:
        if escaped:
            escaped = False
        elif character == "\\" and quote != "'":
            escaped = True
        elif character in ("'", '"') and quote in ("", character):
            quote = "" if quote else character
    return quote


def _filled(template: str, values: Mapping[str, list[str]]) -> Iterator[str]:
    """The pieces of a filled template. Each value stays one word of the shell, even in quotes."""
    quote = ""
    for literal, name, _, _ in string.Formatter().parse(template):
        yield literal
        quote = _quote_behind(literal, quote)
        if name is not None:
            words = shlex.join(values[name])
            yield (
                words if not quote or words == " ".join(values[name]) else f"{quote}{words}{quote}"
            )


def _placeholders(template: str, place: str, values: Mapping[str, list[str]]) -> set[str]:
    """The names in a template. Raises BenchError for an unknown one, or one with a format."""
    try:
        pieces = list(string.Formatter().parse(template))
    except ValueError as error:
        raise BenchError(
            f"{place}: not a template: {error} (write {{{{ and }}}} for braces)"
        ) from None
    for _, name, form, conversion in pieces:
        if name is not None and name not in values:
            raise BenchError(f"{place}: unknown placeholder '{{{name}}}'{suggest(name, values)}")
        if form or conversion:
            raise BenchError(f"{place}: expected a plain '{{{name}}}', found one with a format")
    return {name for _, name, _, _ in pieces if name is not None}


def cli_line(
    planner: Planner,
    shard: Shard,
    settings: LoadSettings,
    template: str | None = None,
    port: int = 8080,
) -> str:
    """A line of `command_templates`, filled and quoted: the named one, or that of the mode.

    Raises BenchError for an unknown template or placeholder, and for a placeholder that this shard
    has no value for.
    """
    registry = planner.registry
    name = template or template_name(registry.templates, shard, settings)
    if name not in registry.templates:
        near = suggest(name, registry.templates)
        if name == ANY_MODE and template is None:
            near = f", which mode {shard.mode.name} needs: a command line with {{{MODE_FLAGS}}}"
        raise BenchError(f"{registry.path}: command_templates: no template '{name}'{near}")
    line = registry.template_lines.get(name)
    place = f"{registry.path}{f':{line}' if line else ''}: command_templates.{name}"
    text, values = registry.templates[name], _values(planner, shard, settings, port)
    # These two may be empty: without pinning, and for a mode without flags.
    optional = ("numactl", MODE_FLAGS)
    lacking = sorted(
        n for n in _placeholders(text, place, values) if not values[n] and n not in optional
    )
    if lacking:
        wanted = ", ".join(f"{{{n}}}" for n in lacking)
        raise BenchError(
            f"{place}: needs {wanted}: {shard.model.key} has no value for it "
            f"in mode {shard.mode.name}"
        )
    return "".join(_filled(text, values)).strip()
