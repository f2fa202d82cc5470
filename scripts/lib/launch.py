"""Launch commands: what a shard runs, as a line to copy and paste."""

from __future__ import annotations

import shlex
import string
from pathlib import Path

from scripts.lib.engines import LoadSettings
from scripts.lib.engines.server_flags import probe, server_argv
from scripts.lib.errors import BenchError, suggest
from scripts.lib.plan import Planner, Shard

FAMILIES = ("baseline", "moe_expert_reduction", "speculative_decoding", "prompt_lookup")


def pinning(settings: LoadSettings) -> list[str]:
    """numactl and taskset as the profile asks for them."""
    hardware = settings.hardware
    argv = ["numactl", f"--{hardware.numa}"] if hardware.numa else []
    return [*argv, "taskset", "--cpu-list", hardware.cpus] if hardware.cpus else argv


def server_line(settings: LoadSettings, binary: Path, port: int) -> str:
    """The llama-server command line of a shard; its flags are those that the binary's --help lists."""
    return shlex.join([*pinning(settings), *server_argv(probe(binary), settings, port)])


def family(shard: Shard) -> str:
    """The registry's template for this mode: the first of its accelerations."""
    mode = shard.mode
    if mode.draft is not None:
        return "speculative_decoding"
    if mode.lookup_n is not None:
        return "prompt_lookup"
    return "moe_expert_reduction" if mode.experts is not None else "baseline"


def cli_line(planner: Planner, shard: Shard, settings: LoadSettings) -> str:
    """The registry's `command_templates` line for this mode, filled in and quoted; llama-cli's own where it has none."""
    templates, binaries = planner.registry.templates, planner.registry.defaults.binaries
    base = Path(binaries.get("base_dir", ""))
    tools = {name: str(base / file) for name, file in binaries.items() if name != "base_dir"}
    values = {
        **{name: shlex.quote(path) for name, path in tools.items()},
        "numactl": shlex.join(pinning(settings)),
        "model": shlex.quote(str(settings.weights)),
        "draft": shlex.quote(str(settings.draft or "")),
        "threads": str(settings.hardware.threads),
        "context": str(settings.context["length_tokens"]),
        "experts": str(shard.mode.experts or ""),
        "override_key": shlex.quote(settings.override_key or ""),
        "k": str(shard.mode.k or ""),
        "n": str(shard.mode.lookup_n or ""),
        "m": str(settings.lookup_draft_tokens),
    }
    template = templates.get(family(shard)) or templates.get("baseline")
    if template is None:
        raise BenchError(f"{planner.registry.path}: command_templates: no template '{family(shard)}'")
    unknown = [name for _, name, _, _ in string.Formatter().parse(template) if name and name not in values]
    if unknown:
        raise BenchError(
            f"{planner.registry.path}: command_templates.{family(shard)}: unknown field '{unknown[0]}'"
            f"{suggest(unknown[0], values)}"
        )
    return template.format_map(values).strip()
