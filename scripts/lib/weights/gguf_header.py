"""Reads the header of a GGUF file, without tensors. Nothing in it is trusted.

The file is read, not mapped: if the disk fails or the file is truncated meanwhile, a map would end
the process. The layout is that of ggml's docs/gguf.md (versions 2 and 3).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import struct
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from scripts.lib.base.errors import BenchError
from scripts.lib.weights.architectures import recurrent_keys
from scripts.lib.weights.chat_template import THINKING_SWITCH, knows_system_role, uses_date
from scripts.lib.weights.kv_cache import KvCache, kv_cache

_SCALARS = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q",
    12: "<d",
}  # fmt: skip
_STRING, _ARRAY = 8, 9
_TEMPLATE = "tokenizer.chat_template"
_WHOLE_NUMBERS, _TRUTH = (0, 1, 2, 3, 4, 5, 10, 11), 7
# A header has some MB and some thousand values; a file with much more is damaged or hostile.
# Everything read in a loop takes bytes, so the limit of bytes also limits the time.
_USUAL_BYTES, _MOST_BYTES = 32 << 20, 128 << 20
_MOST_VALUES, _MOST_TENSORS = 100_000, 200_000
_MOST_KEY_BYTES = (1 << 16) - 1  # by the format
_MOST_CHARACTERS = 1000  # of a name
_MOST_DIMENSIONS = 4  # GGML_MAX_DIMS
_MOST_NESTING = 8
# A vocabulary has hundreds of thousands of short texts. Skipping them one by one takes most of the
# time of a header. This pattern matches a batch of texts of 1 to 48 bytes (length, then the bytes)
# at once, which is twice as fast.
_BATCH = 256
_SHORT_TEXTS = re.compile(
    b"(?s:(?:"
    + b"|".join(re.escape(bytes([n])) + b"\\x00{7}.{%d}" % n for n in range(1, 49))
    + b"){%d}+)" % _BATCH
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Header:
    """A model's properties for planning. Sizes in tokens or counts; digests are 12 hex characters.

    `quant_mix`: tensors per type, most first, such as `Q4_1:210 F32:61`. `kv_elements`: elements of
    the KV cache per token over all layers, at most (a sliding window needs fewer; 0: not known).
    `kv`: the same in parts (None: not looked for, as in facts of before there were parts).
    `recurrent_key`: the metadata key of recurrent layers (empty: there is none). `system_role`: the
    chat template uses a system message. `template_date`: it may print the date. `thinking_switch`:
    it has a switch against thinking. `nextn_layers`: layers for multi-token prediction by the
    metadata (None: they were not looked for); `nextn_tensors`: the file has their tensors.
    `draft_kind`: the speculator that this file can be the draft of (see settings/speculators).
    """

    architecture: str
    name: str
    quant: str
    vocab_type: str
    vocab_size: int
    bos_id: int | None
    eos_id: int | None
    tokens_digest: str
    chat_template_digest: str | None
    expert_count: int | None
    expert_used_count: int | None
    context_length: int | None
    block_count: int | None
    split_count: int
    quant_mix: str = ""
    kv_elements: int = 0
    recurrent_key: str = ""
    system_role: bool = True
    template_date: bool = False
    thinking_switch: bool = True
    nextn_layers: int | None = None
    nextn_tensors: bool = False
    draft_kind: str = "draft"
    kv: KvCache | None = None

    @property
    def heads(self) -> int:
        """The heads for multi-token prediction that the file really has."""
        return self.nextn_layers or 0 if self.nextn_tensors else 0


class _CutOff(BenchError):
    """The header does not end within the bytes that were read."""


@dataclass(frozen=True, slots=True)
class _Array:
    """An array of the metadata: type and number of its elements, and the place of their bytes."""

    kind: int
    count: int
    start: int
    end: int


class _Cursor:
    """Reads a file's first bytes with checked bounds: a false length is an error."""

    def __init__(self, view: bytes, size: int, path: Path):
        self.view, self.size, self.path, self.at, self.end = view, size, path, 0, len(view)

    def fail(self, expected: str) -> _CutOff:
        what = "the file" if self.end == self.size else "the longest header"
        return _CutOff(
            f"{self.path}: damaged GGUF: expected {expected} at byte {self.at}, "
            f"found the end of {what} ({self.end} bytes): fetch or copy it again"
        )

    def damaged(self, found: str) -> BenchError:
        return BenchError(f"{self.path}: damaged GGUF: {found}: fetch or copy it again")

    def scalar(self, form: str) -> Any:
        size = struct.calcsize(form)
        if self.at + size > self.end:
            raise self.fail(f"a value of {size} bytes")
        value = struct.unpack_from(form, self.view, self.at)[0]
        self.at += size
        return value

    def raw(self) -> bytes:
        length = self.scalar("<Q")
        if length > self.end - self.at:
            raise self.fail(f"a text of {length} bytes")
        self.at += length
        return self.view[self.at - length : self.at]

    def key(self) -> str:
        """A key, or a tensor's name."""
        found = self.raw()
        if len(found) > _MOST_KEY_BYTES:
            raise self.damaged(f"a key of {len(found)} bytes before byte {self.at}")
        return found.decode("utf-8", "replace")

    def skip_array(self, depth: int = 0) -> _Array:
        """Skip an array."""
        if depth > _MOST_NESTING:
            raise self.damaged(f"arrays nested more than {_MOST_NESTING} deep at byte {self.at}")
        kind, count = self.scalar("<I"), self.scalar("<Q")
        start = self.at
        if kind in _SCALARS:
            size = count * struct.calcsize(_SCALARS[kind])
            if size > self.end - self.at:
                raise self.fail(f"an array of {count} values")
            self.at += size
        elif kind == _STRING:
            self._skip_texts(count)
        elif kind == _ARRAY and count <= _MOST_VALUES:
            for _ in range(count):
                self.skip_array(depth + 1)
        else:
            raise self.damaged(f"unknown array type {kind} at byte {start}")
        return _Array(kind, count, start, self.at)

    def _skip_texts(self, count: int) -> None:
        if count * 8 > self.end - self.at:
            raise self.fail(f"an array of {count} texts")
        view, at, unpack, end = self.view, self.at, struct.Struct("<Q").unpack_from, self.end - 8
        left = count
        while left:
            batch = min(left, _BATCH)
            left -= batch
            if batch == _BATCH and (short := _SHORT_TEXTS.match(view, at)):
                at = short.end()
                continue
            for _ in range(batch):
                if at > end:
                    self.at = at
                    raise self.fail("a text's length")
                at += 8 + unpack(view, at)[0]
        self.at = at
        if at > self.end:
            raise self.fail("the end of a text")


def _value(cursor: _Cursor, kind: int) -> Any:
    if kind in _SCALARS:
        return cursor.scalar(_SCALARS[kind])
    if kind == _STRING:
        return cursor.raw()
    if kind == _ARRAY:
        return cursor.skip_array()
    raise cursor.damaged(f"unknown value type {kind} at byte {cursor.at}")


def _open_header(cursor: _Cursor) -> tuple[int, int]:
    """Check magic and version. Returns the numbers of tensors and metadata values."""
    path, magic = cursor.path, bytes(cursor.view[:4])
    if magic != b"GGUF":
        raise BenchError(f"{path}: expected a GGUF file (first bytes 'GGUF'), found {magic!r}")
    cursor.at = 4
    version = cursor.scalar("<I")
    if version not in (2, 3):
        swapped = struct.unpack("<I", struct.pack(">I", version))[0]
        kind = "a big-endian GGUF" if swapped in (2, 3) else f"GGUF version {version}"
        raise BenchError(f"{path}: expected GGUF version 2 or 3 (little-endian), found {kind}")
    tensors, values = cursor.scalar("<Q"), cursor.scalar("<Q")
    if tensors > _MOST_TENSORS or values > _MOST_VALUES:
        raise cursor.damaged(f"it claims {tensors} tensors and {values} metadata values")
    return tensors, values


# The tensors whose presence is a fact of the header.
_HEAD_TENSOR = re.compile(r"blk\.\d+\.nextn\.eh_proj\.weight")
_TRUNK_TENSOR, _DSPARK_TENSOR = "blk.0.attn_norm.weight", "markov_w1.weight"
DSPARK = "dspark"


def _check_tensors(
    cursor: _Cursor, tensors: int, alignment: int
) -> tuple[Counter[str], frozenset[str]]:
    """Tensors per type, and the tensors that tell what the file is (see `_draft_kind`).

    Raises BenchError if a tensor ends after the end of the file: the file is truncated.
    """
    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

    last, mix, seen = 0, Counter[str](), set[str]()
    for _ in range(tensors):
        name = cursor.key()
        if name in (_TRUNK_TENSOR, _DSPARK_TENSOR):
            seen.add(name)
        elif _HEAD_TENSOR.fullmatch(name):
            seen.add("nextn")
        rank = cursor.scalar("<I")
        if rank > _MOST_DIMENSIONS:
            raise cursor.damaged(
                f"tensor '{name:.60}' claims {rank} dimensions, at most {_MOST_DIMENSIONS} exist"
            )
        dimensions = [cursor.scalar("<Q") for _ in range(rank)]
        kind, offset = cursor.scalar("<I"), cursor.scalar("<Q")
        elements = 1
        for dimension in dimensions:
            elements *= dimension
        try:
            block, size = GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
            mix[GGMLQuantizationType(kind).name] += 1
        except (ValueError, KeyError):
            mix[f"type{kind}"] += 1
            continue  # a type newer than the gguf package: llama.cpp decides
        last = max(last, offset + elements // block * size)
        if elements == 0:
            raise cursor.damaged(f"tensor '{name:.60}' has no elements")
    start = -(-cursor.at // alignment) * alignment
    if tensors and start + last > cursor.size:
        raise BenchError(
            f"{cursor.path}: truncated GGUF: expected at least {start + last} bytes by its header, "
            f"found {cursor.size}: fetch or copy it again"
        )
    return mix, frozenset(seen)


def _draft_kind(architecture: str, seen: frozenset[str], is_part: bool) -> str:
    """The speculator that a file can be the draft of, from its architecture and tensors."""
    if architecture == "dflash":
        return DSPARK if _DSPARK_TENSOR in seen else "dflash"
    # A head in a file of its own has no trunk. (A part of a split model need not have one.)
    if "nextn" in seen and _TRUNK_TENSOR not in seen and not is_part:
        return "mtp_file"
    return "eagle3" if architecture == "eagle3" else "draft"


def _file_type_name(number: int | None) -> str:
    from gguf.constants import LlamaFileType

    if number is None:
        return ""
    try:
        return LlamaFileType(number).name.removeprefix("MOSTLY_").removeprefix("ALL_")
    except ValueError:
        return f"file type {number}"


@dataclass(frozen=True, slots=True)
class _Values:
    """Metadata values by key. Each must have the format's type."""

    cursor: _Cursor
    raw: Mapping[str, Any]

    def _typed(self, key: str, kind: type, what: str) -> Any:
        value = self.raw.get(key)
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
            shown = value[:60].decode("utf-8", "replace") if isinstance(value, bytes) else value
            raise self.cursor.damaged(f"{key}: expected {what}, found {shown!r:.60}")
        return value

    def number(self, key: str) -> int | None:
        found: int | None = self._typed(key, int, "a whole number")
        return found

    def count(self, key: str) -> int | None:
        found = self.number(key)
        if found is not None and found < 0:
            raise self.cursor.damaged(f"{key}: expected a number of at least 0, found {found}")
        return found

    def text(self, key: str) -> str | None:
        found: bytes | None = self._typed(key, bytes, "a text")
        return None if found is None else found.decode("utf-8", "replace")

    def name(self, key: str) -> str:
        """A short text; empty if there is none."""
        found = self.text(key) or ""
        if len(found) > _MOST_CHARACTERS:
            raise self.cursor.damaged(f"{key}: a name of {len(found)} characters")
        return found

    def texts(self, key: str) -> _Array:
        """An array of texts; empty if there is none."""
        found: _Array = self._typed(key, _Array, "an array") or _Array(_STRING, 0, 0, 0)
        if found.kind != _STRING:
            raise self.cursor.damaged(
                f"{key}: expected an array of texts, found one of type {found.kind}"
            )
        return found

    def single(self, key: str) -> int:
        """A whole number of at least 0; 0 where there is none."""
        found = self.raw.get(key)
        return max(found, 0) if isinstance(found, int) else 0

    def listed(self, key: str) -> tuple[int, ...]:
        """An array of whole numbers or truth values; empty where there is none."""
        found = self.raw.get(key)
        if not isinstance(found, _Array) or found.count > _MOST_VALUES:
            return ()
        if found.kind not in (*_WHOLE_NUMBERS, _TRUTH):
            return ()
        form = f"<{found.count}{_SCALARS[found.kind][1]}"
        values = struct.unpack(form, self.cursor.view[found.start : found.end])
        return tuple(max(int(value), 0) for value in values)


def _short(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]


def _make_header(values: _Values) -> Header:
    arch = values.name("general.architecture")
    tokens = values.texts("tokenizer.ggml.tokens")
    template = values.text(_TEMPLATE)
    kv, kv_heads = kv_cache(arch, values), values.listed(f"{arch}.attention.head_count_kv")
    return Header(
        architecture=arch,
        name=values.name("general.name"),
        quant=_file_type_name(values.number("general.file_type")),
        vocab_type=values.name("tokenizer.ggml.model"),
        vocab_size=tokens.count,
        bos_id=values.number("tokenizer.ggml.bos_token_id"),
        eos_id=values.number("tokenizer.ggml.eos_token_id"),
        tokens_digest=_short(values.cursor.view[tokens.start : tokens.end]) if tokens.count else "",
        chat_template_digest=_short(template.encode()) if template is not None else None,
        expert_count=values.count(f"{arch}.expert_count"),
        expert_used_count=values.count(f"{arch}.expert_used_count"),
        context_length=values.count(f"{arch}.context_length"),
        block_count=values.count(f"{arch}.block_count"),
        split_count=values.count("split.count") or 1,
        kv_elements=kv.elements,
        kv=kv,
        recurrent_key=next(recurrent_keys(arch, values.raw, kv_heads), ""),
        system_role=template is None or knows_system_role(template),
        template_date=template is not None and uses_date(template),
        thinking_switch=template is not None and THINKING_SWITCH in template,
        nextn_layers=values.count(f"{arch}.nextn_predict_layers") or 0,
    )


def read_header(path: Path) -> Header:
    """Read one file's header. Raises BenchError if it is not a complete GGUF."""
    return _read(path, _parse)


def read_chat_template(path: Path) -> str:
    """The chat template of a file (empty: none). Raises BenchError for a damaged header."""
    return _read(path, lambda cursor: _metadata(cursor)[1].text(_TEMPLATE) or "")


def _read(path: Path, parse: Callable[[_Cursor], T]) -> T:
    if path.is_dir():
        raise BenchError(f"{path}: expected a GGUF file, found a folder")
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        if size < 24:
            raise BenchError(f"{path}: expected a GGUF file, found {size} bytes")
        if size > _USUAL_BYTES:
            with contextlib.suppress(_CutOff):
                return parse(_Cursor(stream.read(_USUAL_BYTES), size, path))
        stream.seek(0)
        return parse(_Cursor(stream.read(_MOST_BYTES), size, path))


def _metadata(cursor: _Cursor) -> tuple[int, _Values]:
    """The number of tensors, and the metadata values."""
    tensors, count = _open_header(cursor)
    raw: dict[str, Any] = {}
    for _ in range(count):
        key = cursor.key()
        raw[key] = _value(cursor, cursor.scalar("<I"))
    return tensors, _Values(cursor, raw)


def _parse(cursor: _Cursor) -> Header:
    tensors, values = _metadata(cursor)
    alignment = values.number("general.alignment")
    alignment = 32 if alignment is None else alignment
    if not 0 < alignment <= 1 << 20:
        raise cursor.damaged(f"general.alignment is {alignment}")
    mix, seen = _check_tensors(cursor, tensors, alignment)
    header = _make_header(values)
    return replace(
        header,
        quant_mix=mix_text(mix),
        nextn_tensors="nextn" in seen,
        draft_kind=_draft_kind(header.architecture, seen, header.split_count > 1),
    )


def mix_text(mix: Counter[str]) -> str:
    """Tensors per type as text, the most common first: `Q4_1:210 F32:61`."""
    return " ".join(
        f"{name}:{count}"
        for name, count in sorted(mix.items(), key=lambda item: (-item[1], item[0]))
    )
