"""The file of a reference's distributions over one block: a line of sealed JSON, then the numbers.

The first line has the spec, its digest, and the sha256 of what follows: the arrays of
`Distributions`, each split into planes of bytes and compressed. Everything is checked when it is
read. A reference that failed has a file, too: its status is `error`, and it has no numbers.
"""

from __future__ import annotations

import hashlib
import json
import lzma
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scripts.lib.base.safe_files import write_atomic_bytes
from scripts.lib.base.stored_json import (
    Damaged,
    digest,
    read_sealed,
    sealed,
    stored_bytes,
    stored_text,
)
from scripts.lib.fidelity.distributions import SAMPLES, TOP, Distributions

SCHEMA_VERSION = 1
# No block is longer: a damaged length must not ask for all memory.
MOST_PLACES = 1 << 20
# Neither the place nor the byte before tells anything about one of a plane: no context is kept.
_FILTERS = ({"id": lzma.FILTER_LZMA2, "preset": 6, "lc": 0, "lp": 0, "pb": 0},)


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference's distributions over a block, as stored.

    `tokens_digest`: of the block's token ids, which every model of the family must give.
    `answer_at`: how many of the places are before the first token of the answer. `distributions`
    is None if the reference failed; `error` says how.
    """

    cell: str
    digest: str
    spec: Mapping[str, Any]
    status: str
    error: str | None
    tokens_digest: str
    answer_at: int
    vocabulary: int
    distributions: Distributions | None
    environment: str = ""
    started_utc: str = ""
    run_id: str = ""


def _planes(values: npt.NDArray[Any]) -> bytes:
    """The bytes of an array: all first bytes, then all second bytes, …: equal ones lie together."""
    raw = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<"), copy=False)
    return raw.reshape(-1, 1).view(np.uint8).T.tobytes()


def _unplaned(content: bytes, dtype: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    kind = np.dtype(dtype).newbyteorder("<")
    raw = np.frombuffer(content, np.uint8).reshape(kind.itemsize, -1).T
    return np.ascontiguousarray(raw).view(kind).reshape(shape).astype(dtype)


def _layout(places: int, top: int) -> tuple[tuple[str, str, tuple[int, ...]], ...]:
    """(name, type, shape) of the arrays, in the order in which they are stored."""
    return (
        ("tokens", "uint32", (places, top)),
        ("roots", "uint16", (places, top)),
        ("tail", "uint16", (places,)),
        ("first", "uint32", (places,)),
        ("logprob", "float32", (places,)),
        ("samples", "uint32", (places, SAMPLES)),
        ("sample_logprob", "float32", (places, SAMPLES)),
    )


def _packed(found: Distributions) -> bytes:
    parts = []
    for name, _, _ in _layout(len(found), found.tokens.shape[1]):
        values = getattr(found, name)
        if name == "tokens":
            # Ascending: the differences are small.
            values = np.diff(values, axis=1, prepend=np.uint32(0)).astype(np.uint32)
        parts.append(lzma.compress(_planes(values), lzma.FORMAT_RAW, filters=_FILTERS))
    sizes = np.array([len(part) for part in parts], "<u4").tobytes()
    return sizes + b"".join(parts)


def _unpacked(content: bytes, places: int, top: int, vocabulary: int, file: str) -> Distributions:
    layout = _layout(places, top)
    head = 4 * len(layout)
    sizes = [int(size) for size in np.frombuffer(content[:head], "<u4")]
    if len(sizes) != len(layout) or head + sum(sizes) != len(content):
        raise Damaged(file, "its numbers do not have the length that the first line tells")
    found, start = {}, head
    for (name, dtype, shape), size in zip(layout, sizes, strict=True):
        wanted = int(np.prod(shape)) * np.dtype(dtype).itemsize
        unpacker = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_FILTERS)
        try:
            raw = unpacker.decompress(content[start : start + size], wanted + 1)
        except lzma.LZMAError as error:
            raise Damaged(file, f"{name}: {error}") from error
        if len(raw) != wanted:
            raise Damaged(file, f"{name}: expected {wanted} bytes, found {len(raw)} or more")
        found[name] = _unplaned(raw, dtype, shape)
        start += size
    steps = found["tokens"].astype(np.int64)
    tokens = np.cumsum(steps, axis=1)
    if (places and int(tokens.max()) >= vocabulary) or (steps[:, 1:] == 0).any():
        raise Damaged(file, f"tokens: expected ascending numbers below {vocabulary}")
    found["tokens"] = tokens.astype(np.uint32)
    for name in ("first", "samples"):
        if places and int(found[name].max()) >= vocabulary:
            raise Damaged(file, f"{name}: expected numbers below {vocabulary}")
    for name in ("logprob", "sample_logprob"):
        if not np.isfinite(found[name]).all():
            raise Damaged(file, f"{name}: expected finite numbers")
    return Distributions(**found)


def reference_bytes(reference: Reference) -> bytes:
    """The file's content."""
    found = reference.distributions
    payload = _packed(found) if found is not None else b""
    head = {
        "schema_version": SCHEMA_VERSION,
        "cell": reference.cell,
        "digest": reference.digest,
        "spec": reference.spec,
        "status": reference.status,
        "error": reference.error,
        "tokens_digest": reference.tokens_digest,
        "answer_at": reference.answer_at,
        "vocabulary": reference.vocabulary,
        "places": len(found) if found is not None else 0,
        "top": found.tokens.shape[1] if found is not None else 0,
        "payload_sha256": hashlib.sha256(payload).hexdigest(),
        "environment": reference.environment,
        "started_utc": reference.started_utc,
        "run_id": reference.run_id,
    }
    line = json.dumps(sealed(head), sort_keys=True, ensure_ascii=True, allow_nan=False)
    return line.encode() + b"\n" + payload


def write_reference(file: Path, reference: Reference) -> None:
    """Write the file, whole or not at all."""
    write_atomic_bytes(file, reference_bytes(reference))


def parse_reference(content: bytes, file: str) -> Reference:
    """A reference from its file's content. Raises Damaged if it is not what was written."""
    line, _, payload = content.partition(b"\n")
    head = read_sealed(stored_text(line, file), file)
    if head.get("schema_version") != SCHEMA_VERSION:
        found = head.get("schema_version")
        raise Damaged(file, f"schema_version: expected {SCHEMA_VERSION}, found {found!r}")
    try:
        places, top, vocabulary = (int(head[name]) for name in ("places", "top", "vocabulary"))
        reference = Reference(
            cell=head["cell"],
            digest=head["digest"],
            spec=head["spec"],
            status=head["status"],
            error=head["error"],
            tokens_digest=head["tokens_digest"],
            answer_at=int(head["answer_at"]),
            vocabulary=vocabulary,
            distributions=None,
            environment=head["environment"],
            started_utc=head["started_utc"],
            run_id=head["run_id"],
        )
        wanted = head["payload_sha256"]
    except (KeyError, TypeError, ValueError) as error:
        raise Damaged(file, f"not a reference ({error!r})") from error
    if digest(reference.spec) != reference.digest:
        raise Damaged(file, f"its spec does not have the digest {reference.digest}")
    if hashlib.sha256(payload).hexdigest() != wanted:
        raise Damaged(file, "its numbers do not have their sha256: changed since it was written")
    if reference.status == "error":
        return reference
    if not (0 < places <= MOST_PLACES and 0 < top <= TOP and 0 <= reference.answer_at <= places):
        raise Damaged(file, f"places {places}, top {top}, answer_at {reference.answer_at}")
    return replace(reference, distributions=_unpacked(payload, places, top, vocabulary, file))


def read_reference(file: Path) -> Reference:
    """Read one file. Raises Damaged if it cannot be trusted, or FileNotFoundError."""
    return parse_reference(stored_bytes(file), str(file))
