"""The stored vocabulary: canonical JSON, digests, seals, and the cell record with its crash-safe reading and writing.

A cell is one JSON file of raw evidence; every table is derived from cells later. Nothing half-written is ever read:
files appear under their name only when complete (temporary file, fsync, hard link or rename). Nothing that was changed
since is believed: every stored record carries a seal, the sha256 of its content, which is checked whenever it is read.
A seal is no signature, since whoever can write a file can seal it; who wrote it is told by git.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import platform
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from scripts.lib.errors import BenchError, Problem

SCHEMA_VERSION = 1
T = TypeVar("T")
R = TypeVar("R")
# The key of a record's seal.
SEAL = "sha256"
DIGEST_CHARACTERS = 12
STATUSES = ("ok", "error", "timeout")


def now_utc(timespec: str = "seconds") -> str:
    """The time as records hold it: ISO 8601 in UTC, as fine as `timespec` of `datetime.isoformat` says."""
    return datetime.now(UTC).isoformat(timespec=timespec)


def canonical_json(value: object) -> str:
    """One text per value: sorted keys, no spaces, no NaN. The text that digests are taken over."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _sha256(value: object) -> str:
    # What was read from a damaged file may hold half a surrogate pair, which is no UTF-8.
    return hashlib.sha256(canonical_json(value).encode("utf-8", "surrogatepass")).hexdigest()


def digest(value: object, characters: int = DIGEST_CHARACTERS) -> str:
    """First hex characters (12 unless told) of the sha256 of the canonical JSON."""
    return _sha256(value)[:characters]


class Damaged(BenchError):
    """A stored record that is not what was written. It counts as missing; `problem` names the file and what is wrong."""

    def __init__(self, file: str, message: str, place: str = ""):
        self.problem = Problem(file, place, f"damaged: {message}")
        super().__init__(str(self.problem))


def seal_of(body: Mapping[str, Any]) -> str:
    """The sha256 of a record's content, the seal itself left out."""
    return _sha256({key: value for key, value in body.items() if key != SEAL})


def sealed(body: Mapping[str, Any]) -> dict[str, Any]:
    """The record with its seal."""
    return {**body, SEAL: seal_of(body)}


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} stands there twice")
    return found


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text} is more than a number can hold")
    return value


def strict_json(text: str, file: str, place: str = "") -> dict[str, Any]:
    """A JSON object without NaN, infinite numbers, and keys that stand twice. Raises Damaged."""
    try:
        found = json.loads(text, object_pairs_hook=_no_key_twice, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise Damaged(file, f"expected JSON ({error})", place) from error
    if not isinstance(found, dict):
        raise Damaged(file, f"expected a JSON object, found {type(found).__name__}", place)
    return found


def read_sealed(text: str, file: str, place: str = "") -> dict[str, Any]:
    """A record with its seal, which was checked. Raises Damaged where the content is not what was sealed."""
    found = strict_json(text, file, place)
    if SEAL not in found:
        raise Damaged(file, f"no {SEAL}: it was written before records had one, or was edited", place)
    if seal_of(found) != found[SEAL]:
        raise Damaged(file, f"its content does not have its {SEAL}: changed since it was written", place)
    return found


def stored_text(content: bytes, file: str) -> str:
    """The text of a stored file's bytes. Raises Damaged where it is no UTF-8."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Damaged(file, str(error)) from error


def read_stored(file: Path) -> str:
    """The text of a stored file. Raises Damaged where it cannot be read as UTF-8, FileNotFoundError where it is not there."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Damaged(str(file), error.strerror or str(error)) from error
    return stored_text(content, str(file))


def believed(items: Iterable[T], read: Callable[[T], R], damaged: list[Problem]) -> Iterator[R]:
    """What `read` makes of each item; one that is damaged leaves itself out, and is added to `damaged`."""
    for item in items:
        try:
            yield read(item)
        except Damaged as damage:
            damaged.append(damage.problem)


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
    """One cell as stored. `measurement` is None when the model gave none; `error` is then the engine's own words.

    `sha256`: the seal it was read with; empty for one that was never stored.
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
    schema_version: int = SCHEMA_VERSION
    sha256: str = field(default="", compare=False)

    def to_json(self) -> str:
        """Readable, deterministic JSON (two-space indent, sorted keys, newline at the end)."""
        flat = asdict(self)
        del flat[SEAL]
        if self.measurement is not None:
            # Long integer lists on one line each: a diff of two cells stays readable.
            flat["measurement"]["token_ids"] = " ".join(map(str, self.measurement.token_ids))
            flat["measurement"]["close_calls"] = " ".join(f"{i}:{gap:.4f}" for i, gap in self.measurement.close_calls)
        return json.dumps(sealed(flat), sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @property
    def place(self) -> str:
        """Where the cell is stored, below the folder of all cells: what it holds and its name say the same."""
        c = self.cell
        return f"{c.hardware}/{c.model}/{c.mode}/{c.suite}/{c.question}.{self.digest}.json"


def _close_call(text: str) -> tuple[int, float]:
    index, gap = text.split(":")
    return int(index), float(gap)


def _measurement(raw: dict[str, Any] | None) -> Measurement | None:
    if raw is None:
        return None
    ids = tuple(int(token) for token in raw.pop("token_ids").split())
    calls = tuple(_close_call(text) for text in raw.pop("close_calls").split())
    return Measurement(**raw, token_ids=ids, close_calls=calls)


_COUNTS = ("prompt_tokens", "completion_tokens", "drafted_tokens", "accepted_tokens", "verify_steps")
_SECONDS = ("ttft_s", "prefill_s", "decode_s")
_RATES = ("prefill_tokens_per_s", "decode_tokens_per_s")


def implausible(measured: Measurement) -> str:
    """Why a measurement cannot be one (empty: it can): a figure of the wrong type, less than nothing, or against another."""
    for name in (*_COUNTS, *_SECONDS, *_RATES):
        value = getattr(measured, name)
        if value is None and name in _RATES:
            continue
        wanted = int if name in _COUNTS else (int, float)
        if isinstance(value, bool) or not isinstance(value, wanted):
            return f"measurement.{name}: expected a number, found {value!r}"
        if not 0 <= value < math.inf:
            return f"measurement.{name}: expected 0 or more, found {value}"
    if measured.accepted_tokens > measured.drafted_tokens:
        return f"measurement: {measured.accepted_tokens} tokens accepted of {measured.drafted_tokens} drafted"
    if not isinstance(measured.answer, str):
        return f"measurement.answer: expected a text, found {measured.answer!r}"
    return ""


def parse_cell(text: str, origin: str) -> CellRecord:
    """Read a stored cell. Raises Damaged naming `origin` where it is of another schema, or not what was written."""
    raw = read_sealed(text, origin)
    version = raw.get("schema_version")
    if version != SCHEMA_VERSION:
        raise Damaged(origin, f"schema_version: expected {SCHEMA_VERSION}, found {version!r}")
    try:
        raw["cell"] = CellId(**raw["cell"])
        raw["measurement"] = _measurement(raw["measurement"])
        record = CellRecord(**raw)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Damaged(origin, f"not a cell record ({error})") from error
    if record.status not in STATUSES:
        raise Damaged(origin, f"status: expected one of {', '.join(STATUSES)}, found {record.status!r}")
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
    """Read the cell that is stored as `path`. Raises Damaged where name and content do not say the same."""
    record = parse_cell(text, str(path))
    if not path.absolute().as_posix().endswith(f"/{record.place}"):
        raise Damaged(str(path), f"it holds the cell {record.place}: copied or renamed")
    return record


def read_cell(path: Path) -> CellRecord:
    """Read one cell file. Raises Damaged naming the file when it cannot be trusted, FileNotFoundError where there is none."""
    return parse_named_cell(read_stored(path), path)


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
