"""The record of one fidelity cell: a model's divergence from its reference over one block."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scripts.lib.base.stored_json import SEAL, Damaged, digest, read_sealed, read_stored, sealed
from scripts.lib.fidelity.distributions import Divergence

SCHEMA_VERSION = 1
STATUSES = ("ok", "error")
# Digits of a stored divergence: far more than its sampling error is worth.
_DIGITS = 4


@dataclass(frozen=True, slots=True)
class FidelityId:
    """Which block of which configuration: profile, model key, mode, suite, question."""

    hardware: str
    model: str
    mode: str
    suite: str
    question: str

    def __str__(self) -> str:
        return "/".join((self.hardware, self.model, self.mode, self.suite, self.question))

    @property
    def folder(self) -> str:
        """The folder of the block's file below that of all fidelity cells."""
        return f"{self.hardware}/{self.model}/{self.mode}/{self.suite}"


@dataclass(frozen=True, slots=True)
class Measured:
    """What was found over one block of n places (a place: a token, the next one is predicted).

    `kl`: the divergence at each place, in nats. `same_first`: whether the most probable token is
    the same there. `answer_at`: the first place whose next token is the answer's. `coarse`,
    `missing`, `bound`: means of the parts of `kl`. `logprob`, `reference_logprob`: mean
    logarithm of the probability of the text's next token. `elapsed_s`: seconds of the evaluation.
    """

    kl: tuple[float, ...]
    same_first: tuple[bool, ...]
    answer_at: int
    coarse: float
    missing: float
    bound: float
    logprob: float
    reference_logprob: float
    elapsed_s: float

    @staticmethod
    def of(
        found: Divergence, reference_logprob: float, answer_at: int, elapsed_s: float
    ) -> Measured:
        """The record's part of a divergence."""
        return Measured(
            kl=tuple(float(f"{value:.{_DIGITS}g}") for value in found.kl),
            same_first=tuple(bool(same) for same in found.same_first),
            answer_at=answer_at,
            coarse=float(found.coarse.mean()),
            missing=float(found.missing.mean()),
            bound=float(found.bound.mean()),
            logprob=float(found.logprob.mean(dtype=np.float64)),
            reference_logprob=reference_logprob,
            elapsed_s=round(elapsed_s, 6),
        )


@dataclass(frozen=True, slots=True)
class FidelityRecord:
    """One fidelity cell as stored. `measured` is None for an `error`; `error` then says why."""

    cell: FidelityId
    digest: str
    spec: Mapping[str, Any]
    status: str
    error: str | None
    measured: Measured | None
    effective: Mapping[str, Any]
    environment: str
    started_utc: str
    run_id: str
    schema_version: int = SCHEMA_VERSION

    def to_json(self) -> str:
        """Readable, deterministic JSON; each list of numbers is one line."""
        flat = asdict(self)
        if self.measured is not None:
            measured = flat["measured"]
            measured["kl"] = " ".join(f"{value:.{_DIGITS}g}" for value in self.measured.kl)
            measured["same_first"] = "".join(str(int(same)) for same in self.measured.same_first)
        text = json.dumps(
            sealed(flat), sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False
        )
        return f"{text}\n"

    @property
    def place(self) -> str:
        """The path of the cell below the folder of all fidelity cells, made from its content."""
        return f"{self.cell.folder}/{self.cell.question}.{self.digest}.json"


def _measured(raw: Mapping[str, Any] | None) -> Measured | None:
    if raw is None:
        return None
    kl = tuple(float(value) for value in raw["kl"].split())
    flags = raw["same_first"]
    if set(flags) - {"0", "1"}:
        raise ValueError("same_first: expected 0 and 1")
    numbers = {
        name: float(raw[name])
        for name in ("coarse", "missing", "bound", "logprob", "reference_logprob", "elapsed_s")
    }
    return Measured(
        kl=kl,
        same_first=tuple(flag == "1" for flag in flags),
        answer_at=int(raw["answer_at"]),
        **numbers,
    )


def _implausible(found: Measured) -> str:
    """Why the figures of a block are impossible; else empty."""
    if not found.kl or len(found.kl) != len(found.same_first):
        return f"{len(found.kl)} divergences, {len(found.same_first)} first choices"
    if not 0 <= found.answer_at <= len(found.kl):
        return f"answer_at {found.answer_at} of {len(found.kl)} places"
    parts = (*found.kl, found.coarse, found.missing, found.bound, found.elapsed_s)
    if not all(0 <= value < math.inf for value in parts):
        return "expected divergences and times of at least 0"
    if not all(-math.inf < value <= 1e-6 for value in (found.logprob, found.reference_logprob)):
        return "expected logarithms of probabilities, at most 0"
    return ""


def parse_fidelity(text: str, origin: str) -> FidelityRecord:
    """Read a stored cell. Raises Damaged, which names `origin`, for content that was changed."""
    raw = read_sealed(text, origin)
    del raw[SEAL]
    version = raw.get("schema_version")
    if version != SCHEMA_VERSION:
        raise Damaged(origin, f"schema_version: expected {SCHEMA_VERSION}, found {version!r}")
    try:
        raw["cell"] = FidelityId(**raw["cell"])
        raw["measured"] = _measured(raw["measured"])
        record = FidelityRecord(**raw)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Damaged(origin, f"not a fidelity cell ({error})") from error
    if record.status not in STATUSES or (record.status == "ok") != (record.measured is not None):
        raise Damaged(origin, f"status: {record.status!r} does not fit what was measured")
    if digest(record.spec) != record.digest:
        raise Damaged(origin, f"its spec does not have the digest {record.digest}")
    wrong = _implausible(record.measured) if record.measured is not None else ""
    if wrong:
        raise Damaged(origin, wrong)
    return record


def read_fidelity(file: Path) -> FidelityRecord:
    """Read one file. Raises Damaged if it cannot be trusted, or FileNotFoundError."""
    record = parse_fidelity(read_stored(file), str(file))
    if not file.absolute().as_posix().endswith(f"/{record.place}"):
        raise Damaged(str(file), f"it holds the cell {record.place}: copied or renamed")
    return record
