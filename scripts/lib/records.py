"""The stored vocabulary: canonical JSON, digests, and the cell record with its crash-safe reading and writing.

A cell is one JSON file of raw evidence; every table is derived from cells later. Nothing half-written is ever read:
files appear under their name only when complete (temporary file, fsync, hard link or rename).
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import platform
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scripts.lib.errors import BenchError

SCHEMA_VERSION = 1
DIGEST_CHARACTERS = 12
STATUSES = ("ok", "error", "timeout")


def now_utc(timespec: str = "seconds") -> str:
    """The time as records hold it: ISO 8601 in UTC, as fine as `timespec` of `datetime.isoformat` says."""
    return datetime.now(UTC).isoformat(timespec=timespec)


def canonical_json(value: object) -> str:
    """One text per value: sorted keys, no spaces, no NaN. The text that digests are taken over."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: object, characters: int = DIGEST_CHARACTERS) -> str:
    """First hex characters (12 unless told) of the sha256 of the canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:characters]


@dataclass(frozen=True, slots=True)
class CellId:
    """Which cell: hardware profile, model key, decoding mode, suite, question, repeat (0-based)."""

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
class Measurement:
    """What one generation was seen to do. Times in seconds (monotonic clock), rates in tokens per second.

    `ttft_s` runs from handing over the prompt to the first sampled token; `prefill_*` is prompt evaluation alone;
    `decode_*` covers every token after the first, the end-of-turn token included.
    `close_calls` holds [token index, logit gap between the two best tokens] wherever a greedy choice was won by less
    than `CLOSE_CALL_LOGITS`: the evidence that a later divergence is a numeric tie.
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


CLOSE_CALL_LOGITS = 1.0


@dataclass(frozen=True, slots=True)
class CellRecord:
    """One cell as stored. `measurement` is None when the model gave none; `error` is then the engine's own words."""

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
    schema_version: int = SCHEMA_VERSION

    def to_json(self) -> str:
        """Readable, deterministic JSON (two-space indent, sorted keys, newline at the end)."""
        flat = asdict(self)
        if self.measurement is not None:
            # Long integer lists on one line each: a diff of two cells stays readable.
            flat["measurement"]["token_ids"] = " ".join(map(str, self.measurement.token_ids))
            flat["measurement"]["close_calls"] = " ".join(f"{i}:{gap:.4f}" for i, gap in self.measurement.close_calls)
        return json.dumps(flat, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _close_call(text: str) -> tuple[int, float]:
    index, gap = text.split(":")
    return int(index), float(gap)


def _measurement(raw: dict[str, Any] | None) -> Measurement | None:
    if raw is None:
        return None
    ids = tuple(int(token) for token in raw.pop("token_ids").split())
    calls = tuple(_close_call(text) for text in raw.pop("close_calls").split())
    return Measurement(**raw, token_ids=ids, close_calls=calls)


def parse_cell(text: str, origin: str) -> CellRecord:
    """Read a stored cell; `origin` names it in the BenchError raised when it is damaged or of another schema."""
    try:
        raw = json.loads(text)
        version = raw.get("schema_version")
        if version != SCHEMA_VERSION:
            raise BenchError(f"{origin}: schema_version: expected {SCHEMA_VERSION}, found {version!r}")
        raw["cell"] = CellId(**raw["cell"])
        raw["measurement"] = _measurement(raw["measurement"])
        record = CellRecord(**raw)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BenchError(f"{origin}: not a cell record ({error}); delete it and run again") from error
    if record.status not in STATUSES:
        raise BenchError(f"{origin}: status: expected one of {', '.join(STATUSES)}, found {record.status!r}")
    if digest(record.spec) != record.digest:
        raise BenchError(f"{origin}: its spec does not have the digest {record.digest}; delete it and run again")
    return record


def read_cell(path: Path) -> CellRecord:
    """Read one cell file. Raises BenchError naming the file when it cannot be trusted."""
    return parse_cell(path.read_text(encoding="utf-8"), str(path))


# What a killed process leaves of a file: `.tmp-{machine}-{process}-{random}`, so that it is known whose it was.
TEMPORARY = ".tmp-"


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Have every error of the operating system name this file: one of a write (disk full) names none by itself."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


@contextlib.contextmanager
def _temporary(folder: Path, text: str) -> Iterator[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f"{TEMPORARY}{platform.node()}-{os.getpid()}-", dir=folder)
    path = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        # mkstemp makes files private; results are shared like any other file.
        umask = os.umask(0)
        os.umask(umask)
        path.chmod(0o666 & ~umask)
        yield path
    finally:
        path.unlink(missing_ok=True)


def write_atomic(path: Path, text: str) -> None:
    """Write `text` so that a reader sees the old file or the whole new one, whatever happens in between."""
    with naming(path), _temporary(path.parent, text) as temporary:
        temporary.replace(path)


def link_into_place(source: Path, target: Path) -> None:
    """Give a complete file a second name, replacing nothing half-way; a copy where links cannot be made."""
    with naming(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            target.hardlink_to(source)
        except FileExistsError:
            if target.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)) from None
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK):
                raise
            write_atomic(target, source.read_text(encoding="utf-8"))
