"""The record of one measured answer (a cell), and how a stored one is read and checked."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from scripts.lib.base.stored_json import SEAL, Damaged, digest, read_sealed, read_stored, sealed

SCHEMA_VERSION = 1
STATUSES = ("ok", "error", "timeout")


class Failure(StrEnum):
    """The kind of failure of a cell with status `error`."""

    GUARD = "guard"  # the engine did not do what the mode or the hardware profile asks for
    ENGINE = "engine"  # the engine itself failed


@dataclass(frozen=True, slots=True)
class CellId:
    """A cell's identity: profile, model key, decoding mode, suite, question, repeat (from 0)."""

    hardware: str
    model: str
    mode: str
    suite: str
    question: str
    repeat: int = 0

    def __str__(self) -> str:
        tail = f" (repeat {self.repeat})" if self.repeat else ""
        return f"{self.hardware}/{self.model}/{self.mode}/{self.suite}/{self.question}{tail}"


@dataclass(frozen=True, slots=True)
class Count:
    """What one speculator did for one answer.

    `asked`: how often it was asked for a draft; `drafts`: how often it gave one. If two speculators
    are combined, llama-server counts one accepted token too many for each draft after which it
    restored a recurrent model's whole state.
    """

    asked: int = 0
    drafts: int = 0
    drafted_tokens: int = 0
    accepted_tokens: int = 0

    def plus(self, other: Count) -> Count:
        """The sum of two counts."""
        return Count(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def since(self, earlier: Count) -> Count:
        """The difference to an earlier count of the same speculator."""
        return Count(*(a - b for a, b in zip(astuple(self), astuple(earlier), strict=True)))


# Speculator -> what it did.
Counts = Mapping[str, Count]


@dataclass(frozen=True, slots=True)
class Measurement:
    """One generation. Times in seconds (monotonic clock), rates in tokens per second.

    `ttft_s` runs from sending the prompt to the first sampled token. `prefill_*` is prompt
    evaluation alone. `decode_*` covers every token after the first, including the end-of-turn
    token. `close_calls` has (token index, logit gap between the two best tokens) of each greedy
    choice with a gap below `CLOSE_CALL_LOGITS`: evidence that a later divergence is a numeric tie.
    `verify_steps`: the number of batches that verified a draft; `accepted_by_position`: in how many
    of them the draft's first, second, … token was accepted. `speculators`: what each one did (empty
    if the engine does not say). `energy_j`: joules of the sockets over the whole answer, which took
    `energy_s` seconds by the same clock; None on a machine without readable counters.
    """

    answer: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    ttft_s: float
    prefill_s: float
    prefill_tokens_per_s: float | None
    decode_s: float
    decode_tokens_per_s: float | None
    drafted_tokens: int
    accepted_tokens: int
    verify_steps: int
    token_ids: tuple[int, ...] = ()
    close_calls: tuple[tuple[int, float], ...] = ()
    accepted_by_position: tuple[int, ...] = ()
    speculators: Counts = field(default_factory=dict, hash=False)
    energy_j: float | None = None
    energy_s: float | None = None


# The figures of a measurement that are compared as ratios.
TIMINGS = ("decode_tokens_per_s", "prefill_tokens_per_s", "ttft_s")
CLOSE_CALL_LOGITS = 1.0
# Left out of a record on a machine that has no counters.
ENERGY = ("energy_j", "energy_s")


@dataclass(frozen=True, slots=True)
class CellRecord:
    """One cell as stored.

    `measurement` is None if there is no answer. `error` then holds the engine's own words, and
    `failure` the kind of error (None: the status is not `error`). `sha256` is the seal of the
    stored record; it is empty for a record that was never stored.
    """

    cell: CellId
    digest: str
    spec: Mapping[str, Any]
    status: str
    error: str | None
    measurement: Measurement | None
    load_s: float
    warm_up_s: float
    peak_rss_bytes: int
    effective: Mapping[str, Any]
    environment: str
    started_utc: str
    run_id: str
    failure: Failure | None = None
    schema_version: int = SCHEMA_VERSION
    sha256: str = field(default="", compare=False)

    def to_json(self) -> str:
        """Readable, deterministic JSON (two-space indent, sorted keys, newline at the end)."""
        flat = asdict(self)
        del flat[SEAL]
        if self.failure is None:
            del flat["failure"]
        if self.measurement is not None:
            # Each long list of integers is one line, so that a diff of two cells stays readable.
            _drop_empty(flat["measurement"], "accepted_by_position", "speculators")
            for name in ENERGY:
                if flat["measurement"][name] is None:
                    del flat["measurement"][name]
            flat["measurement"]["token_ids"] = " ".join(map(str, self.measurement.token_ids))
            flat["measurement"]["close_calls"] = " ".join(
                f"{i}:{gap:.4f}" for i, gap in self.measurement.close_calls
            )
        return (
            json.dumps(sealed(flat), sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
            + "\n"
        )

    @property
    def place(self) -> str:
        """The path of the cell below the folder of all cells, made from its content."""
        c = self.cell
        return f"{c.hardware}/{c.model}/{c.mode}/{c.suite}/{c.question}.{self.digest}.json"


def joules_per_token(record: CellRecord) -> float | None:
    """Joules for each token of the answer, its prompt included, above what the idle machine takes.

    None without counters, and where the answer took no more than the idle machine.
    """
    measured, idle_w = record.measurement, record.effective.get("energy", {}).get("idle_w")
    if measured is None or measured.energy_j is None or measured.energy_s is None or idle_w is None:
        return None
    above_j = measured.energy_j - idle_w * measured.energy_s
    tokens = measured.completion_tokens
    return above_j / tokens if above_j > 0 and tokens else None


def _drop_empty(flat: dict[str, Any], *keys: str) -> None:
    """Leave out empty values, so that cells without speculation stay as they were; join lists."""
    for key in keys:
        if not flat[key]:
            del flat[key]
        elif not isinstance(flat[key], Mapping):
            flat[key] = " ".join(map(str, flat[key]))


def _close_call(text: str) -> tuple[int, float]:
    index, gap = text.split(":")
    return int(index), float(gap)


def _measurement(raw: dict[str, Any] | None) -> Measurement | None:
    if raw is None:
        return None
    ids = tuple(int(token) for token in raw.pop("token_ids").split())
    calls = tuple(_close_call(text) for text in raw.pop("close_calls").split())
    accepted = tuple(int(n) for n in raw.pop("accepted_by_position", "").split())
    counts = {name: Count(**count) for name, count in raw.pop("speculators", {}).items()}
    return Measurement(
        **raw,
        token_ids=ids,
        close_calls=calls,
        accepted_by_position=accepted,
        speculators=counts,
    )


def _failure(raw: Mapping[str, Any]) -> Failure | None:
    """The kind of a stored cell's error. Older cells lack the field; their text shows it."""
    if raw["status"] != "error":
        return None
    if "failure" in raw:
        return Failure(raw["failure"])
    return Failure.GUARD if "was not active" in (raw["error"] or "") else Failure.ENGINE


_COUNTS = (
    "prompt_tokens",
    "completion_tokens",
    "drafted_tokens",
    "accepted_tokens",
    "verify_steps",
)
_SECONDS = ("ttft_s", "prefill_s", "decode_s")
_RATES = ("prefill_tokens_per_s", "decode_tokens_per_s")


def implausible(measured: Measurement) -> str:
    """Why a measurement is impossible (wrong type, negative number, contradiction); else empty."""
    for name in (*_COUNTS, *_SECONDS, *_RATES, *ENERGY):
        value = getattr(measured, name)
        if value is None and name in (*_RATES, *ENERGY):
            continue
        wanted = int if name in _COUNTS else (int, float)
        if isinstance(value, bool) or not isinstance(value, wanted):
            return f"measurement.{name}: expected a number, found {value!r}"
        if not 0 <= value < math.inf:
            return f"measurement.{name}: expected 0 or more, found {value}"
    if measured.accepted_tokens > measured.drafted_tokens:
        accepted, drafted = measured.accepted_tokens, measured.drafted_tokens
        return f"measurement: {accepted} tokens accepted of {drafted} drafted"
    if not isinstance(measured.answer, str):
        return f"measurement.answer: expected a text, found {measured.answer!r}"
    return ""


def parse_cell(text: str, origin: str) -> CellRecord:
    """Read a stored cell.

    Raises Damaged, which names `origin`, for another schema and for content that was changed.
    """
    raw = read_sealed(text, origin)
    version = raw.get("schema_version")
    if version != SCHEMA_VERSION:
        raise Damaged(origin, f"schema_version: expected {SCHEMA_VERSION}, found {version!r}")
    try:
        raw["cell"] = CellId(**raw["cell"])
        raw["measurement"] = _measurement(raw["measurement"])
        record = CellRecord(**raw | {"failure": _failure(raw)})
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Damaged(origin, f"not a cell record ({error})") from error
    if record.status not in STATUSES:
        raise Damaged(
            origin, f"status: expected one of {', '.join(STATUSES)}, found {record.status!r}"
        )
    if digest(record.spec) != record.digest:
        raise Damaged(origin, f"its spec does not have the digest {record.digest}")
    for key in ("engine", "sampling"):
        if not isinstance(record.spec.get(key), dict):
            raise Damaged(origin, f"spec.{key}: expected a mapping, found {record.spec.get(key)!r}")
    wrong = implausible(record.measurement) if record.measurement is not None else ""
    if wrong:
        raise Damaged(origin, wrong)
    return record


def parse_named_cell(text: str, path: Path) -> CellRecord:
    """Read the cell that is stored as `path`. Raises Damaged if name and content disagree."""
    record = parse_cell(text, str(path))
    if not path.absolute().as_posix().endswith(f"/{record.place}"):
        raise Damaged(str(path), f"it holds the cell {record.place}: copied or renamed")
    return record


def read_cell(path: Path) -> CellRecord:
    """Read one cell file. Raises Damaged if it cannot be trusted, or FileNotFoundError."""
    return parse_named_cell(read_stored(path), path)
