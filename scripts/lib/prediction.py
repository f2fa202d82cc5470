"""How long cells will take: from measured speeds where there are any, else reported ones, else the memory's bandwidth."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from scripts.lib.hardware import Hardware
from scripts.lib.physics import bytes_per_token
from scripts.lib.plan import Cell, Shard
from scripts.lib.registry_loader import Model

MODES_TABLE = Path("benchmarks/results/tables/modes.csv")
# Assumptions where nothing was measured, each on the careful side: shares of the bandwidth reached in decoding, prompts
# evaluated this much faster than tokens are generated, weights read from disk at this rate, a prompt of this many characters
# a token.
BANDWIDTH_SHARE, ASSUMED_BANDWIDTH_GB_PER_S = 0.6, 40.0
PREFILL_FACTOR, LOAD_GB_PER_S, CHARACTERS_PER_TOKEN = 5.0, 1.0, 4.0
START_S = 1.0


class Basis(StrEnum):
    """Where a predicted speed comes from."""

    MEASURED = "measured"
    NEAREST = "measured in another mode"
    REPORTED = "reported in the registry"
    BANDWIDTH = "size and bandwidth"


@dataclass(frozen=True, slots=True)
class Speed:
    """A model's predicted speed in tokens per second, its load time in seconds, and what they rest on."""

    decode_tokens_per_s: float
    prefill_tokens_per_s: float
    load_s: float
    basis: Basis


Measured = Mapping[tuple[str, str, str], Speed]


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if value > 0 else None


def read_measured(file: Path = MODES_TABLE) -> Measured:
    """(hardware, model, mode) -> speed, out of the tidy table; nothing where it is not there."""
    if not file.is_file():
        return {}
    found: dict[tuple[str, str, str], Speed] = {}
    with file.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            decode, prefill = _number(row["decode_tokens_per_s_median"]), _number(row["prefill_tokens_per_s_median"])
            if decode and prefill:
                load = _number(row["load_s"]) or 0.0
                found[(row["hardware"], row["model"], row["mode"])] = Speed(decode, prefill, load, Basis.MEASURED)
    return found


def reported_tokens_per_s(model: Model) -> float | None:
    """`performance.baseline_tps` of the registry as a number; text such as `about 12` gives its number."""
    found = re.search(r"\d+(\.\d+)?", str(model.performance.get("baseline_tps", "")))
    return float(found[0]) if found and float(found[0]) > 0 else None


def _by_bandwidth(shard: Shard) -> float:
    header = shard.weights.facts.header if shard.weights.facts is not None else None
    experts = header.expert_count if header is not None else None
    used = shard.mode.experts or (header.expert_used_count if header is not None else None)
    bandwidth = (shard.hardware.bandwidth_gb_per_s or ASSUMED_BANDWIDTH_GB_PER_S) * 1e9
    read = bytes_per_token(int(max(shard.model.size_gb, 0.01) * 1e9), experts, used)
    return BANDWIDTH_SHARE * bandwidth / read


def predict(shard: Shard, measured: Measured) -> Speed:
    """The shard's speed: measured on this profile, else the model's slowest other mode, else reported, else computed."""
    hardware, model = shard.hardware.name, shard.model
    exact = measured.get((hardware, model.key, shard.mode.name))
    if exact is not None:
        return exact
    others = [s for (h, m, _), s in measured.items() if (h, m) == (hardware, model.key)]
    if others:
        near = min(others, key=lambda speed: speed.decode_tokens_per_s)
        return Speed(near.decode_tokens_per_s, near.prefill_tokens_per_s, near.load_s, Basis.NEAREST)
    reported = reported_tokens_per_s(model) if not _is_other_machine(shard.hardware) else None
    decode = reported or _by_bandwidth(shard)
    basis = Basis.REPORTED if reported else Basis.BANDWIDTH
    return Speed(decode, PREFILL_FACTOR * decode, model.size_gb / LOAD_GB_PER_S, basis)


def _is_other_machine(hardware: Hardware) -> bool:
    """Reported figures are the EPYC 9655's; on another profile they say nothing."""
    return hardware.name != "epyc-9655"


def cell_seconds(cell: Cell, speed: Speed) -> float:
    """Seconds of one cell, at most: a model that stops early takes less than its `max_tokens`."""
    spec = cell.spec["prompt"]
    characters = spec.get("user_characters") or len(spec.get("user", ""))
    prompt_tokens = (characters + len(spec["system"])) / CHARACTERS_PER_TOKEN
    return float(
        prompt_tokens / speed.prefill_tokens_per_s + cell.spec["sampling"]["max_tokens"] / speed.decode_tokens_per_s
    )


def shard_seconds(shard: Shard, cells: Iterable[Cell], measured: Measured) -> float:
    """Seconds that these cells of a shard take at most, its start and load included; 0 without cells."""
    wanted, speed = tuple(cells), predict(shard, measured)
    if not wanted:
        return 0.0
    return START_S + speed.load_s + sum(cell_seconds(cell, speed) for cell in wanted)


def hours_text(seconds: float) -> str:
    """A duration for people: `40 s`, `12 min`, `3.5 h`, `12 days`."""
    for unit, size, limit in (("s", 1.0, 90.0), ("min", 60.0, 90.0), ("h", 3600.0, 48.0)):
        if seconds / size < limit:
            return f"{seconds / size:.{1 if unit == 'h' else 0}f} {unit}"
    return f"{seconds / 86400:.1f} days"
