"""Facts of weights: header, a fingerprint over every byte, the cache of both, and their lock."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from scripts.lib.base.errors import BenchError, Problem
from scripts.lib.base.file_hashing import FileState, Hashed, hash_files, wait_for_tick
from scripts.lib.base.part_names import part_name, part_of
from scripts.lib.base.safe_files import write_atomic
from scripts.lib.base.stored_json import (
    SEAL,
    Damaged,
    digest,
    read_stored,
    seal_of,
    sealed,
    strict_json,
)
from scripts.lib.registry_loader import Model
from scripts.lib.weights.gguf_header import DSPARK, Header, mix_text, read_header
from scripts.lib.weights.kv_cache import KvCache

CACHE = Path(".cache/weights")
CACHE_SCHEMA = 8
LOCK_SCHEMA = 2
FINGERPRINT_CHARACTERS = 16
ASSUMED = "assumed"


@dataclass(frozen=True, slots=True)
class WeightsFacts:
    """One model's weights: fingerprint (16 hex digits over all files' sha256), sizes, header.

    Fingerprint and sha256 are empty if only the header was read.
    """

    fingerprint: str
    sha256: tuple[str, ...]
    size_bytes: int
    header: Header

    @classmethod
    def assumed(cls, model: Model) -> WeightsFacts:
        """Assumed facts, to plan as if missing weights were on this machine."""
        header = Header(
            architecture=model.architecture, name=model.name, quant=model.quant, vocab_type="",
            vocab_size=0, bos_id=None, eos_id=None, tokens_digest="", chat_template_digest=None,
            expert_count=None, expert_used_count=model.baseline_experts,
            context_length=model.max_context, block_count=None, split_count=model.split_count or 1,
        )  # fmt: skip
        return cls(ASSUMED, (), int(model.size_gb * 1e9), header)


def split_files(path: Path) -> tuple[Path, ...]:
    """All files of a split model in order, or the file itself.

    Raises BenchError if a file is missing, or the path is not the first one.
    """
    found = part_of(path)
    if found is None:
        return (path,)
    number, count = found
    if number != 1:
        raise BenchError(
            f"{path}: part {number} of {count}: a split model is loaded by its first part: "
            f"name {part_name(path, 1).name}"
        )
    files = tuple(part_name(path, i) for i in range(1, count + 1))
    absent = [file.name for file in files if not file.is_file()]
    if absent:
        raise BenchError(
            f"{path}: {len(absent)} of its {count} split files are missing: {', '.join(absent[:5])}"
        )
    return files


def fingerprint(sha256s: Iterable[str]) -> str:
    """16 hex digits over the sha256 of each of a model's files."""
    return digest(list(sha256s), FINGERPRINT_CHARACTERS)


def facts_from_json(raw: Mapping[str, Any]) -> WeightsFacts:
    """The facts from their JSON.

    Raises ValueError, TypeError, KeyError or AttributeError if it has another form.
    """
    return WeightsFacts(
        raw["fingerprint"], tuple(raw["sha256"]), raw["size_bytes"], header_from_json(raw["header"])
    )


def header_from_json(raw: Mapping[str, Any]) -> Header:
    """A header from its JSON; that of an older lock has no `kv`."""
    kv = raw.get("kv")
    return Header(**{**raw, "kv": KvCache(**kv) if kv is not None else None})


@dataclass
class WeightsReader:
    """Reads headers and hashes files, with a cache: a file that was touched is read again.

    `known`: a file's state -> its header and sha256, as far as they were needed. The cache folder
    may be missing or read-only.
    """

    cache: Path = CACHE
    known: dict[str, dict[str, Any]] = field(default_factory=dict)

    def _entry(self, state: FileState) -> dict[str, Any]:
        if state.key not in self.known:
            self.known[state.key] = _cached(self._file(state))
        return self.known[state.key]

    def _file(self, state: FileState) -> Path:
        return self.cache / f"{state.key}.json"

    def _keep(self, state: FileState, name: str, value: Any) -> None:
        entry = self._entry(state) | {"schema": CACHE_SCHEMA, name: value}
        self.known[state.key] = entry
        with contextlib.suppress(OSError):  # a read-only or full disk only costs the next reading
            write_atomic(self._file(state), json.dumps(entry))

    def _header(self, file: Path) -> Header:
        state = FileState.of(file)
        with contextlib.suppress(KeyError, TypeError):  # missing or damaged in the cache
            return header_from_json(self._entry(state)["header"])
        wait_for_tick(state)
        header = read_header(file)
        self._keep(state, "header", asdict(header))
        return header

    def _hash(self, files: Iterable[Path]) -> dict[Path, Exception]:
        """Hash the files that are not in the cache; returns the errors by file."""
        todo = [
            file for file in dict.fromkeys(files) if "sha256" not in self._entry(FileState.of(file))
        ]
        failed: dict[Path, Exception] = {}
        for file, found in hash_files(todo) if todo else ():
            if isinstance(found, Hashed):
                self._keep(found.state, "sha256", found.sha256)
            else:
                failed[file] = found
        return failed

    def hash_ahead(self, paths: Iterable[Path]) -> None:
        """Hash the files of several models together. `facts` later reports the errors of each."""
        files: list[Path] = []
        for path in paths:
            with contextlib.suppress(BenchError, OSError):
                self.header_facts(path)
                files += split_files(path)
        with contextlib.suppress(OSError):
            self._hash(files)

    def header_facts(self, path: Path) -> WeightsFacts:
        """The facts without a fingerprint. Raises BenchError for damaged and missing files."""
        files = split_files(path)
        headers = [self._header(file) for file in files]
        header = replace(
            headers[0],
            quant_mix=_joined_mix(headers),
            nextn_tensors=any(header.nextn_tensors for header in headers),
            draft_kind=_joined_kind(headers),
        )
        if header.split_count != len(files):
            raise BenchError(
                f"{path}: its header says {header.split_count} split files, its name {len(files)}: "
                f"rename it to its published name, …-00001-of-{header.split_count:05d}.gguf"
            )
        return WeightsFacts("", (), sum(file.stat().st_size for file in files), header)

    def facts(self, path: Path) -> WeightsFacts:
        """Header and fingerprint. Raises BenchError for files that are damaged or change."""
        files = split_files(path)
        before = [FileState.of(file) for file in files]
        found = self.header_facts(path)
        for error in self._hash(files).values():
            raise error
        if [FileState.of(file) for file in files] != before:
            raise BenchError(
                f"{path}: changed while it was read (a download?): run again when it is whole"
            )
        sha256s = tuple(self._entry(state)["sha256"] for state in before)
        return replace(found, fingerprint=fingerprint(sha256s), sha256=sha256s)


def _cached(file: Path) -> dict[str, Any]:
    """The content of a cache file; empty if it is damaged or has another schema."""
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return raw if isinstance(raw, dict) and raw.get("schema") == CACHE_SCHEMA else {}


def _joined_kind(headers: Sequence[Header]) -> str:
    """What the splits are a draft for: the tensor that tells it may be in any of them."""
    return next((h.draft_kind for h in headers if h.draft_kind == DSPARK), headers[0].draft_kind)


def _joined_mix(headers: Iterable[Header]) -> str:
    """The mix of all splits: each header has only the tensors of its own file."""
    total = Counter[str]()
    for header in headers:
        for part in header.quant_mix.split():
            name, _, count = part.partition(":")
            total[name] += int(count)
    return mix_text(total)


def facts(path: Path, cache: Path = CACHE) -> WeightsFacts:
    """Header and fingerprint of one model's weights (`WeightsReader.facts`)."""
    return WeightsReader(cache).facts(path)


@dataclass(frozen=True, slots=True)
class WeightsLock:
    """`orchestration/weights.lock.json`: facts by the registry's `model.path`, each with a seal.

    `damaged`: the raw entries that were changed. They are ignored, but kept in the file.
    """

    file: Path
    entries: Mapping[str, WeightsFacts]
    damaged: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, file: Path) -> WeightsLock:
        """Read the lock; a missing file is an empty lock. Raises BenchError for a damaged file."""
        try:
            raw = strict_json(read_stored(file), str(file))
        except FileNotFoundError:
            return cls(file, {})
        if raw.get("schema") != LOCK_SCHEMA:
            raise BenchError(
                f"{file}: schema: expected {LOCK_SCHEMA}, found {raw.get('schema')!r:.20}: "
                "the fingerprints of schema 1 are of parts of the files. Delete it, and run on the "
                "machine with the weights: python -m scripts.validate --lock"
            )
        stored = raw.get("weights")
        if not isinstance(stored, dict):
            raise Damaged(str(file), "weights: expected a mapping; restore it by git")
        read = {key: _entry(key, value) for key, value in stored.items()}
        entries = {key: facts for key, facts in read.items() if facts is not None}
        return cls(
            file, entries, {key: value for key, value in stored.items() if key not in entries}
        )

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The damaged entries, each with what to do."""
        what = (
            "damaged: its content does not have its sha256; restore it by git, "
            "or read the file: scripts.validate --lock"
        )
        return tuple(Problem(str(self.file), f"weights.{key}", what) for key in self.damaged)

    def signed(self) -> WeightsLock:
        """The lock with a new seal for every damaged entry that still has the right form."""
        lock = self
        for key, raw in self.damaged.items():
            again = _entry(key, sealed(raw)) if isinstance(raw, dict) else None
            if again is not None:
                lock = lock.updated(key, again)
        return lock

    def get(self, path: str) -> WeightsFacts | None:
        """The facts of a `model.path`, if they are known."""
        return self.entries.get(path)

    def updated(self, path: str, found: WeightsFacts) -> WeightsLock:
        """The lock with this entry."""
        damaged = {key: value for key, value in self.damaged.items() if key != path}
        return replace(self, entries={**self.entries, path: found}, damaged=damaged)

    def save(self) -> None:
        """Write it, sorted, if it differs from what is stored."""
        written = {
            key: sealed({"path": key, "facts": asdict(facts)})
            for key, facts in self.entries.items()
        }
        content = {"schema": LOCK_SCHEMA, "weights": {**self.damaged, **written}}
        text = json.dumps(content, indent=2, sort_keys=True) + "\n"
        if not self.file.is_file() or self.file.read_text(encoding="utf-8") != text:
            write_atomic(self.file, text)


def _entry(key: str, raw: Any) -> WeightsFacts | None:
    """An entry of the lock; None for one that was changed."""
    if not isinstance(raw, dict) or raw.get(SEAL) != seal_of(raw) or raw.get("path") != key:
        return None
    try:
        return facts_from_json(raw["facts"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
