"""Weights as planning knows them: header facts, a fingerprint that is fast at any size, a cache, and the lock of both."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from scripts.lib.errors import BenchError
from scripts.lib.gguf_header import Header, mix_text, read_header
from scripts.lib.records import canonical_json, write_atomic
from scripts.lib.registry_loader import Model

CACHE_FILE = Path(".cache/weights.json")
CACHE_SCHEMA = 5
LOCK_SCHEMA = 1
SAMPLED_BLOCKS = 64
BLOCK_BYTES = 1 << 16
ASSUMED = "assumed"
_SPLIT = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")
_PART = re.compile(r"-\d{5}-of-\d{5}$")


@dataclass(frozen=True, slots=True)
class WeightsFacts:
    """One model's weights: fingerprint (16 hex), sha256 where it is known, size of all splits in bytes, header."""

    fingerprint: str
    sha256: str | None
    size_bytes: int
    header: Header

    @classmethod
    def assumed(cls, model: Model) -> WeightsFacts:
        """Stand-in facts of weights that are not here, for planning as if they were."""
        header = Header(
            architecture=model.architecture, name=model.name, quant=model.quant, vocab_type="", vocab_size=0,
            bos_id=None, eos_id=None, tokens_digest="", chat_template_digest=None, expert_count=None,
            expert_used_count=model.baseline_experts, context_length=model.max_context, block_count=None,
            split_count=model.split_count or 1,
        )  # fmt: skip
        return cls(ASSUMED, None, int(model.size_gb * 1e9), header)


def without_part(stem: str) -> str:
    """A weights file's name (without its suffix), of a split model without the part's number."""
    return _PART.sub("", stem)


def split_files(path: Path) -> tuple[Path, ...]:
    """All files of a split model in order, or the file itself. Raises BenchError when one is not there."""
    found = _SPLIT.search(path.name)
    if not found:
        return (path,)
    stem, count = path.name[: found.start()], int(found[2])
    files = tuple(path.with_name(f"{stem}-{i:05d}-of-{count:05d}.gguf") for i in range(1, count + 1))
    absent = [file.name for file in files if not file.is_file()]
    if absent:
        raise BenchError(f"{path}: {len(absent)} of its {count} split files are not there: {', '.join(absent[:5])}")
    return files


def _sampled(file: Path) -> Iterator[bytes]:
    size = file.stat().st_size
    yield str(size).encode()
    with file.open("rb") as stream:
        step = max((size - BLOCK_BYTES) // (SAMPLED_BLOCKS - 1), BLOCK_BYTES)
        for start in range(0, size, step):
            stream.seek(start)
            yield stream.read(BLOCK_BYTES)
        stream.seek(max(size - BLOCK_BYTES, 0))
        yield stream.read(BLOCK_BYTES)


def fingerprint(files: tuple[Path, ...]) -> str:
    """16 hex over each file's size and 64 blocks spread over it: about 4 MB are read of a file of any size."""
    total = hashlib.sha256()
    for file in files:
        for part in _sampled(file):
            total.update(part)
    return total.hexdigest()[:16]


def sha256_of(path: Path) -> str:
    """The whole file's sha256 (slow for large files)."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _facts_from_json(raw: Mapping[str, Any]) -> WeightsFacts:
    return WeightsFacts(raw["fingerprint"], raw["sha256"], raw["size_bytes"], Header(**raw["header"]))


@dataclass
class _Cache:
    """Facts by path, size and modification time, so that planning does not read a header twice."""

    file: Path
    entries: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, file: Path) -> _Cache:
        try:
            raw = json.loads(file.read_text(encoding="utf-8"))
            return cls(file, raw["entries"] if raw["schema"] == CACHE_SCHEMA else {})
        except (OSError, ValueError, KeyError, TypeError):
            return cls(file)

    @staticmethod
    def key(files: tuple[Path, ...]) -> str:
        stats = [(str(f.resolve()), s.st_size, s.st_mtime_ns) for f in files for s in (f.stat(),)]
        return canonical_json(stats)

    def put(self, key: str, entry: Any) -> None:
        # Another process may have added entries meanwhile: the last write wins, a lost entry is only read again.
        self.entries[key] = entry
        self.entries = dict(list(self.entries.items())[-1000:])
        write_atomic(self.file, json.dumps({"schema": CACHE_SCHEMA, "entries": self.entries}))


def _joined_mix(headers: Iterable[Header]) -> str:
    """The mix of all splits: each file's header tells of its own tensors only."""
    total = Counter[str]()
    for header in headers:
        for part in header.quant_mix.split():
            name, _, count = part.partition(":")
            total[name] += int(count)
    return mix_text(total)


def with_sha256(path: Path, found: WeightsFacts, cache_file: Path = CACHE_FILE) -> WeightsFacts:
    """The facts with the sha256 of the (first) file; computed once per path, size and modification time."""
    cache, key = _Cache.load(cache_file), _Cache.key(split_files(path)) + "sha256"
    digest = cache.entries.get(key)
    if not isinstance(digest, str):
        digest = sha256_of(path)
        with contextlib.suppress(OSError):
            cache.put(key, digest)
    return replace(found, sha256=digest)


def facts(path: Path, cache_file: Path = CACHE_FILE) -> WeightsFacts:
    """Header and fingerprint of the weights at `path`. Raises BenchError when they are damaged or a split is missing."""
    files = split_files(path)
    cache, key = _Cache.load(cache_file), _Cache.key(files)
    if key in cache.entries:
        return _facts_from_json(cache.entries[key])
    headers = [read_header(file) for file in files]
    header = replace(headers[0], quant_mix=_joined_mix(headers))
    size = sum(file.stat().st_size for file in files)
    found = WeightsFacts(fingerprint(files), None, size, header)
    with contextlib.suppress(OSError):
        cache.put(key, asdict(found))  # a read-only or full disk only costs the next reading
    return found


@dataclass(frozen=True, slots=True)
class WeightsLock:
    """`orchestration/weights.lock.json`: facts of weights seen, by the registry's `model.path`."""

    file: Path
    entries: Mapping[str, WeightsFacts]

    @classmethod
    def load(cls, file: Path) -> WeightsLock:
        """Read the lock; a file that is not there is an empty lock. Raises BenchError when it is damaged."""
        if not file.is_file():
            return cls(file, {})
        try:
            raw = json.loads(file.read_text(encoding="utf-8"))
            if raw["schema"] != LOCK_SCHEMA:
                raise BenchError(f"{file}: schema: expected {LOCK_SCHEMA}, found {raw['schema']}")
            return cls(file, {key: _facts_from_json(value) for key, value in raw["weights"].items()})
        except (ValueError, KeyError, TypeError) as error:
            raise BenchError(f"{file}: not a weights lock ({error}); restore it from git") from error

    def get(self, path: str) -> WeightsFacts | None:
        return self.entries.get(path)

    def updated(self, path: str, found: WeightsFacts) -> WeightsLock:
        """The lock with this entry; a sha256 known before stays while the fingerprint is the same."""
        old = self.entries.get(path)
        if old is not None and found.sha256 is None and old.fingerprint == found.fingerprint:
            found = replace(found, sha256=old.sha256)
        return replace(self, entries={**self.entries, path: found})

    def save(self) -> None:
        """Write it, sorted, if it differs from what is stored."""
        weights = {key: asdict(value) for key, value in sorted(self.entries.items())}
        text = json.dumps({"schema": LOCK_SCHEMA, "weights": weights}, indent=2, sort_keys=True) + "\n"
        if not self.file.is_file() or self.file.read_text(encoding="utf-8") != text:
            write_atomic(self.file, text)
