"""Predicts run times from measured speeds, else from reported ones, else from the bandwidth."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from scripts.lib.base.errors import Problem
from scripts.lib.base.layout import MODES_TABLE
from scripts.lib.base.speed_limits import bytes_per_token
from scripts.lib.base.untrusted_text import one_line
from scripts.lib.planning.plan import Cell, Shard
from scripts.lib.registry_loader import Model

# Careful assumptions if nothing was measured: the share of the bandwidth that decoding reaches, how
# much faster prompts are evaluated than tokens are generated, the speed of reading weights from
# disk, and the characters per token of a prompt.
BANDWIDTH_SHARE, ASSUMED_BANDWIDTH_GB_PER_S = 0.6, 40.0
PREFILL_FACTOR, LOAD_GB_PER_S, CHARACTERS_PER_TOKEN = 5.0, 1.0, 4.0
START_S = 1.0
# The profile on which the registry's reported speeds were measured.
REPORTED_ON = "epyc-9655"


class Basis(StrEnum):
    """Where a predicted speed comes from."""

    MEASURED = "measured"
    NEAREST = "measured in another mode"
    OTHER_ENGINE = "measured by the other engine"
    REPORTED = "reported in the registry"
    BANDWIDTH = "size and bandwidth"


@dataclass(frozen=True, slots=True)
class Speed:
    """Predicted speeds in tokens per second, load time in seconds, and where they come from."""

    decode_tokens_per_s: float
    prefill_tokens_per_s: float
    load_s: float
    basis: Basis


# (hardware, engine, model, mode) -> its speed.
Measured = Mapping[tuple[str, str, str, str], Speed]


def _number(text: str) -> float | None:
    """A field's number; None if it is empty or 0. Raises ValueError for any other text."""
    if not text:
        return None
    value = float(text)
    if not 0 <= value < math.inf:
        raise ValueError(f"expected a number of at least 0, found {text}")
    return value or None


def _rows(file: Path) -> Iterator[tuple[tuple[str, str, str, str], Speed]]:
    with file.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream, strict=True):
            if None in row or None in row.values():
                raise ValueError("a row is longer or shorter than the first")
            decode = _number(row["decode_tokens_per_s_median"])
            prefill = _number(row["prefill_tokens_per_s_median"])
            load_s = _number(row["load_s"]) or 0.0
            if decode and prefill:
                key = (row["hardware"], row["engine"], row["model"], row["mode"])
                yield key, Speed(decode, prefill, load_s, Basis.MEASURED)


def _read(file: Path) -> tuple[Measured, tuple[Problem, ...]]:
    try:
        return dict(_rows(file)), ()
    except FileNotFoundError:
        return {}, ()
    except KeyError as error:
        reason = f"no column {error}"
    except OSError as error:
        reason = str(error.strerror)
    except (ValueError, csv.Error) as error:
        reason = one_line(error)
    message = f"damaged ({reason}): its speeds are not used; it is made again with the tables"
    return {}, (Problem(str(file), "", message),)


def read_measured(file: Path = MODES_TABLE) -> Measured:
    """The speeds of the tidy table; none if it is missing or damaged: it will be made again."""
    return _read(file)[0]


def table_damage(file: Path = MODES_TABLE) -> tuple[Problem, ...]:
    """What is wrong with the tidy table (such as a merge conflict); nothing if it is missing."""
    return _read(file)[1]


def reported_tokens_per_s(model: Model) -> float | None:
    """The number in the registry's `performance.baseline_tps`; it may be text: `about 12`."""
    found = re.search(r"\d+(\.\d+)?", str(model.performance.get("baseline_tps", "")))
    return (float(found[0]) or None) if found else None


def _weights_read(shard: Shard) -> float:
    """Bytes of weights that are read for one token."""
    header = shard.weights.facts.header if shard.weights.facts is not None else None
    experts = header.expert_count if header is not None else None
    used = shard.mode.experts or (header.expert_used_count if header is not None else None)
    return bytes_per_token(int(max(shard.model.size_gb, 0.01) * 1e9), experts, used)


def _by_bandwidth(shard: Shard) -> float:
    bandwidth = (shard.hardware.bandwidth_gb_per_s or ASSUMED_BANDWIDTH_GB_PER_S) * 1e9
    return BANDWIDTH_SHARE * bandwidth / _weights_read(shard)


def _slow_down(shard: Shard, cell: Cell) -> float:
    """How many times longer a token takes at the cell's depth, by the bytes that are read for it.

    Measured speeds are those of depth 0.
    """
    kv = shard.weights.facts.header.kv if shard.weights.facts is not None else None
    if kv is None or not cell.question.depth_tokens:
        return 1.0
    context = cell.spec["context"]
    types = context["kv_type_k"], context["kv_type_v"]
    return 1 + kv.bytes_read(cell.question.depth_tokens, *types) / _weights_read(shard)


def _nearest(shard: Shard, measured: Measured) -> Speed | None:
    """The model's slowest measured speed on this profile, by this engine, else by the other."""
    wanted = (shard.hardware.name, shard.model.key)
    here = [
        (engine, speed)
        for (hardware, engine, model, _), speed in measured.items()
        if (hardware, model) == wanted
    ]
    own = [speed for engine, speed in here if engine == shard.engine]
    near = own or [speed for _, speed in here]
    if not near:
        return None
    slowest = min(near, key=lambda speed: speed.decode_tokens_per_s)
    return replace(slowest, basis=Basis.NEAREST if own else Basis.OTHER_ENGINE)


def predict(shard: Shard, measured: Measured) -> Speed:
    """The shard's speed: measured, else from another measured mode, else reported or computed."""
    model = shard.model
    exact = measured.get((shard.hardware.name, shard.engine, model.key, shard.mode.name))
    known = exact or _nearest(shard, measured)
    if known is not None:
        return known
    reported = reported_tokens_per_s(model) if shard.hardware.name == REPORTED_ON else None
    decode = reported or _by_bandwidth(shard)
    basis = Basis.REPORTED if reported else Basis.BANDWIDTH
    return Speed(decode, PREFILL_FACTOR * decode, model.size_gb / LOAD_GB_PER_S, basis)


def _is_answered_twice(shard: Shard, cell: Cell) -> bool:
    """True if engine `server` answers again, untimed, to find the close calls."""
    return shard.engine == "server" and cell.certifies and cell.spec["sampling"]["temperature"] == 0


def cell_seconds(shard: Shard, cell: Cell, speed: Speed) -> float:
    """Seconds of one cell at most: an answer of full length, or until it is cut off."""
    spec = cell.spec["prompt"]
    characters = spec.get("user_characters") or len(spec.get("user", ""))
    characters += sum(len(turn.content) for turn in cell.question.turns)
    prompt_tokens = (characters + len(spec["system"])) / CHARACTERS_PER_TOKEN
    max_tokens = cell.spec["sampling"]["max_tokens"]
    decode_s = max_tokens / speed.decode_tokens_per_s * _slow_down(shard, cell)
    once = prompt_tokens / speed.prefill_tokens_per_s + decode_s
    return (2 if _is_answered_twice(shard, cell) else 1) * float(min(once, cell.timeout_s))


@dataclass(frozen=True, slots=True)
class Times:
    """Predicted seconds of some cells of a shard, at most: start with load, and each cell."""

    start_s: float
    cell_s: tuple[float, ...]

    @property
    def total_s(self) -> float:
        """All of it; 0 without cells, since then nothing is loaded."""
        return self.start_s + sum(self.cell_s) if self.cell_s else 0.0


def shard_times(shard: Shard, cells: Iterable[Cell], measured: Measured) -> Times:
    """The predicted seconds of these cells, in their order."""
    speed = predict(shard, measured)
    # If speculators keep a state, each answer gets a new server.
    again_s = speed.load_s if shard.mode.keeps_state else 0.0
    answers = (again_s + cell_seconds(shard, cell, speed) for cell in cells)
    return Times(START_S + speed.load_s, tuple(answers))


def shard_seconds(shard: Shard, cells: Iterable[Cell], measured: Measured) -> float:
    """Seconds of these cells at most, with the shard's start and load; 0 without cells."""
    return shard_times(shard, cells, measured).total_s


def hours_text(seconds: float) -> str:
    """A duration for people: `40 s`, `12 min`, `3.5 h`, `12 days`."""
    for unit, size, limit in (("s", 1.0, 90.0), ("min", 60.0, 90.0), ("h", 3600.0, 48.0)):
        if seconds / size < limit:
            return f"{seconds / size:.{1 if unit == 'h' else 0}f} {unit}"
    return f"{seconds / 86400:.1f} days"
