"""GGUF headers are read without loading; damaged files are named; fingerprints are stable."""

from __future__ import annotations

import contextlib
import hashlib
import json
import struct
import time
from dataclasses import asdict
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scripts.lib.base.errors import BenchError
from scripts.lib.base.file_hashing import sha256_of
from scripts.lib.weights.facts import (
    WeightsLock,
    WeightsReader,
    facts,
    fingerprint,
    header_from_json,
    split_files,
)
from scripts.lib.weights.gguf_header import read_header
from tests.factories.tiny_models import EXPERTS, EXPERTS_USED, write_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    for kind in ("dense", "draft", "other_vocab", "moe"):
        write_model(folder / f"{kind}.gguf", kind)
    return folder


def test_header_facts(folder: Path) -> None:
    dense, moe = read_header(folder / "dense.gguf"), read_header(folder / "moe.gguf")
    assert (dense.architecture, dense.quant, dense.vocab_type, dense.bos_id, dense.eos_id) == (
        "llama",
        "F32",
        "llama",
        1,
        2,
    )
    assert (dense.vocab_size, dense.context_length, dense.block_count, dense.split_count) == (
        356,
        2048,
        4,
        1,
    )
    assert (moe.architecture, moe.expert_count, moe.expert_used_count) == (
        "qwen3moe",
        EXPERTS,
        EXPERTS_USED,
    )
    assert dense.chat_template_digest is not None and dense.expert_count is None


def test_vocabularies_are_told_apart(folder: Path) -> None:
    digests = {
        kind: read_header(folder / f"{kind}.gguf").tokens_digest
        for kind in ("dense", "draft", "other_vocab")
    }
    assert digests["dense"] == digests["draft"] != digests["other_vocab"]


def test_equal_models_have_equal_bytes(tmp_path: Path) -> None:
    a, b = write_model(tmp_path / "a.gguf", seed=3), write_model(tmp_path / "b.gguf", seed=3)
    assert a.read_bytes() == b.read_bytes()
    c, cache = write_model(tmp_path / "c.gguf", seed=4), tmp_path / "cache"
    assert facts(a, cache) == facts(b, cache)
    assert facts(a, cache).fingerprint != facts(c, cache).fingerprint


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: b"", "found 0 bytes"),
        (lambda data: b"<!DOCTYPE html>" * 9, "first bytes 'GGUF'"),
        (lambda data: data[:5000], "damaged GGUF: expected"),
        (lambda data: data[:-1000], "truncated GGUF: expected at least"),
        (lambda data: b"GGUF" + struct.pack("<I", 1) + data[8:], "found GGUF version 1"),
        (lambda data: b"GGUF" + struct.pack(">I", 3) + data[8:], "found a big-endian GGUF"),
        (lambda data: data[:8] + struct.pack("<Q", 1 << 60) + data[16:], "it claims"),
        (lambda data: data[:24] + struct.pack("<Q", 1 << 62) + data[32:], "a text of"),
    ],
)
def test_damaged_files_are_named(folder: Path, tmp_path: Path, damage, message: str) -> None:  # type: ignore[no-untyped-def]
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(damage((folder / "dense.gguf").read_bytes()))
    with pytest.raises(BenchError, match=message) as caught:
        read_header(bad)
    assert "bad.gguf" in str(caught.value)


def test_a_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="found a folder"):
        read_header(tmp_path)


def test_split_models_need_all_their_files(tmp_path: Path) -> None:
    first, second = tmp_path / "m-00001-of-00002.gguf", tmp_path / "m-00002-of-00002.gguf"
    write_model(first, split=(0, 2))
    with pytest.raises(BenchError, match="1 of its 2 split files are missing: m-00002-of-00002"):
        split_files(first)
    write_model(second, seed=1, split=(1, 2))
    found = facts(first, tmp_path / "cache")
    assert found.size_bytes == first.stat().st_size + second.stat().st_size
    assert found.sha256 == (
        sha256_of(first),
        sha256_of(second),
    ) and found.fingerprint == fingerprint(found.sha256)
    write_model(second, seed=2, split=(1, 2))
    assert facts(first, tmp_path / "cache").fingerprint != found.fingerprint


def test_a_split_model_is_named_by_its_first_file(tmp_path: Path) -> None:
    for number in range(3):
        write_model(tmp_path / f"m-{number + 1:05d}-of-00003.gguf", split=(number, 3))
    with pytest.raises(BenchError, match=r"part 2 of 3: .* name m-00001-of-00003.gguf"):
        facts(tmp_path / "m-00002-of-00003.gguf", tmp_path / "cache")
    alone = tmp_path / "first.gguf"
    alone.write_bytes((tmp_path / "m-00001-of-00003.gguf").read_bytes())
    with pytest.raises(BenchError, match="its header says 3 split files, its name 1"):
        facts(alone, tmp_path / "cache")


def test_a_file_is_read_again_only_when_it_was_touched(folder: Path, tmp_path: Path) -> None:
    cache, model = tmp_path / "cache", write_model(tmp_path / "m.gguf", seed=5)
    first = facts(model, cache)
    (kept,) = cache.iterdir()
    entry = json.loads(kept.read_text())
    kept.write_text(json.dumps(entry | {"sha256": "0" * 64}))
    assert facts(model, cache).sha256 == ("0" * 64,), "out of the cache"
    model.touch()
    assert facts(model, cache) == first and len(list(cache.iterdir())) == 2
    model.write_bytes((folder / "moe.gguf").read_bytes())
    assert facts(model, cache).header.architecture == "qwen3moe"


@pytest.mark.parametrize(
    "text", ["{broken", "[]", '{"schema": 4}', '{"schema": 5, "header": {"name": 1}}', "\udcff"]
)
def test_a_damaged_cache_is_no_cache(folder: Path, tmp_path: Path, text: str) -> None:
    cache, model = tmp_path / "cache", folder / "dense.gguf"
    first = facts(model, cache)
    for kept in cache.iterdir():
        kept.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert facts(model, cache) == first


def test_a_cache_that_cannot_be_written_costs_only_time(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert facts(folder / "dense.gguf", tmp_path / "cache").fingerprint


def test_only_the_header_is_read_where_no_fingerprint_is_wanted(
    folder: Path, tmp_path: Path
) -> None:
    reader = WeightsReader(tmp_path / "cache")
    known, whole = reader.header_facts(folder / "dense.gguf"), reader.facts(folder / "dense.gguf")
    assert (known.fingerprint, known.sha256) == ("", ()) and known.header == whole.header
    assert known.size_bytes == whole.size_bytes == (folder / "dense.gguf").stat().st_size


def test_the_lock_is_sorted_and_refuses_damage(folder: Path, tmp_path: Path) -> None:
    file, found = tmp_path / "lock.json", facts(folder / "dense.gguf", tmp_path / "c.json")
    WeightsLock.load(file).updated("b.gguf", found).updated("a.gguf", found).save()
    text = file.read_text()
    assert text.index('"a.gguf"') < text.index('"b.gguf"')
    assert WeightsLock.load(file).get("a.gguf") == found
    file.write_text("{}")
    with pytest.raises(BenchError, match="schema: expected 2, found None"):
        WeightsLock.load(file)
    file.write_text('{"schema": 1, "weights": {}}')
    with pytest.raises(
        BenchError, match=r"expected 2, found 1: .* python -m scripts.validate --lock"
    ):
        WeightsLock.load(file)


def text(data: bytes) -> bytes:
    return struct.pack("<Q", len(data)) + data


def texts(key: bytes, values: list[bytes]) -> bytes:
    return text(key) + struct.pack("<IIQ", 9, 8, len(values)) + b"".join(map(text, values))


def crafted(path: Path, *values: bytes, tensors: int = 0, after: bytes = b"") -> Path:
    """A llama GGUF with these metadata values (key, type, value as bytes) and the rest."""
    head = b"GGUF" + struct.pack("<IQQ", 3, tensors, len(values) + 1)
    path.write_bytes(
        head
        + text(b"general.architecture")
        + struct.pack("<I", 8)
        + text(b"llama")
        + b"".join(values)
        + after
    )
    return path


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            text(b"a") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 5000,
            "arrays nested more than 8 deep",
        ),
        (text(b"a") + struct.pack("<IIQ", 9, 4, 1 << 62), "an array of 4611686018427387904 values"),
        (text(b"a") + struct.pack("<IIQ", 9, 8, 1 << 62), "an array of 4611686018427387904 texts"),
        (text(b"a") + struct.pack("<I", 77), "unknown value type 77"),
        (
            text(b"tokenizer.ggml.tokens") + struct.pack("<II", 4, 7),
            "tokenizer.ggml.tokens: expected an array, found 7",
        ),
        (
            text(b"tokenizer.ggml.bos_token_id") + struct.pack("<I", 8) + text(b"x"),
            "expected a whole number, found 'x'",
        ),
        (
            text(b"split.count") + struct.pack("<I", 8) + text(b"x"),
            "split.count: expected a whole number, found 'x'",
        ),
        (
            text(b"llama.expert_count") + struct.pack("<IIQI", 9, 4, 1, 1),
            "llama.expert_count: expected a whole number",
        ),
        (text(b"general.alignment") + struct.pack("<II", 4, 0), "general.alignment is 0"),
        (
            text(b"llama.block_count") + struct.pack("<Ii", 5, -1),
            "llama.block_count: expected a number of at least 0",
        ),
        (
            text(b"llama.context_length") + struct.pack("<If", 6, float("nan")),
            "expected a whole number, found nan",
        ),
        (
            text(b"tokenizer.ggml.tokens") + struct.pack("<IIQI", 9, 4, 1, 7),
            "expected an array of texts, found one of",
        ),
        (
            text(b"general.name") + struct.pack("<I", 8) + text(b"n" * 1001),
            "general.name: a name of 1001 characters",
        ),
        (text(b"k" * (1 << 16)) + struct.pack("<II", 4, 7), "a key of 65536 bytes"),
    ],
)
def test_lying_metadata_is_one_error(tmp_path: Path, value: bytes, message: str) -> None:
    bad = crafted(tmp_path / "bad.gguf", value)
    with pytest.raises(BenchError, match=message) as caught:
        read_header(bad)
    assert str(bad) in str(caught.value)


def test_a_tensor_of_too_many_dimensions_is_refused(tmp_path: Path) -> None:
    after = text(b"w") + struct.pack("<I", 0xFFFFFFFF) + bytes(100)
    with pytest.raises(BenchError, match="tensor 'w' claims 4294967295 dimensions"):
        read_header(crafted(tmp_path / "bad.gguf", tensors=1, after=after))


def test_a_header_ends_within_its_bounds_however_large_the_file_is(tmp_path: Path) -> None:
    """Zeros are empty texts: after one flipped bit the rest of a file would be read as such."""
    endless = text(b"tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 1 << 33)
    bad = crafted(tmp_path / "bad.gguf", endless)
    with bad.open("r+b") as stream:
        stream.truncate(1 << 37)
    with pytest.raises(
        BenchError,
        match=r"an array of 8589934592 texts at byte \d+, found the end of the longest header",
    ):
        read_header(bad)


def test_a_large_header_is_read_whole(tmp_path: Path) -> None:
    tokens = [b"%01000000d" % number for number in range(40)]
    model = crafted(tmp_path / "m.gguf", texts(b"tokenizer.ggml.tokens", tokens))
    assert model.stat().st_size > 32 << 20 and read_header(model).vocab_size == 40


WILD = st.sampled_from([0, 1, 8, 9, 255, 1 << 16, 1 << 31, 1 << 32, 1 << 62, (1 << 64) - 1])
EDITS = st.lists(
    st.tuples(st.integers(0, 12_000), st.one_of(st.binary(min_size=1, max_size=8), WILD)),
    min_size=1,
    max_size=6,
)


@settings(
    max_examples=300, deadline=5000, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(edits=EDITS, cut=st.one_of(st.none(), st.integers(0, 20_000)))
def test_whatever_bytes_a_header_has_it_is_read_or_refused(
    folder: Path, tmp_path: Path, edits: list[tuple[int, bytes | int]], cut: int | None
) -> None:
    data = bytearray((folder / "moe.gguf").read_bytes())
    for place, new in edits:
        written = struct.pack("<Q", new) if isinstance(new, int) else new
        data[place : place + len(written)] = written
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(data[:cut])
    with contextlib.suppress(BenchError):
        header = read_header(bad)
        assert header_from_json(json.loads(json.dumps(asdict(header), allow_nan=False))) == header


@pytest.mark.parametrize("seed", range(12))
def test_texts_of_any_length_are_passed_over_exactly(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    longest = random.choice([3, 30, 48, 49, 70, 400])
    tokens = [
        random.randbytes(random.randint(0 if seed % 2 else 1, longest))
        for _ in range(random.randint(200, 900))
    ]
    after = text(b"general.name") + struct.pack("<I", 8) + text(b"after")
    header = read_header(
        crafted(tmp_path / "m.gguf", texts(b"tokenizer.ggml.tokens", tokens), after)
    )
    assert (header.vocab_size, header.name) == (len(tokens), "after")
    assert header.tokens_digest == hashlib.sha256(b"".join(map(text, tokens))).hexdigest()[:12]


@pytest.mark.serial
def test_headers_with_large_vocabularies_are_read_fast(tmp_path: Path) -> None:
    tokens, merges = (
        [b"%s%d" % (word, i) for i in range(150_000)] for word in (b"token", b"mer ge")
    )
    values = texts(b"tokenizer.ggml.tokens", tokens), texts(b"tokenizer.ggml.merges", merges)
    model = crafted(tmp_path / "m.gguf", *values)
    seconds = []
    for _ in range(5):
        start = time.process_time()
        assert read_header(model).vocab_size == 150_000
        seconds.append(time.process_time() - start)
    # Meant to be 20 ms; the limit leaves room for a slow machine, not for reading the texts one by
    # one into objects.
    assert min(seconds) < 0.08
