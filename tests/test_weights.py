"""GGUF headers are read without loading; damaged files are named; fingerprints and the lock are stable."""

from __future__ import annotations

import hashlib
import struct
import time
from pathlib import Path
from random import Random

import pytest

from scripts.lib.errors import BenchError
from scripts.lib.gguf_header import read_header
from scripts.lib.weights import WeightsLock, facts, fingerprint, split_files
from tests.tiny_models import EXPERTS, EXPERTS_USED, write_model


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
    assert (dense.vocab_size, dense.context_length, dense.block_count, dense.split_count) == (356, 2048, 4, 1)
    assert (moe.architecture, moe.expert_count, moe.expert_used_count) == ("qwen3moe", EXPERTS, EXPERTS_USED)
    assert dense.chat_template_digest is not None and dense.expert_count is None


def test_vocabularies_are_told_apart(folder: Path) -> None:
    digests = {kind: read_header(folder / f"{kind}.gguf").tokens_digest for kind in ("dense", "draft", "other_vocab")}
    assert digests["dense"] == digests["draft"] != digests["other_vocab"]


def test_equal_models_have_equal_bytes(tmp_path: Path) -> None:
    a, b = write_model(tmp_path / "a.gguf", seed=3), write_model(tmp_path / "b.gguf", seed=3)
    assert a.read_bytes() == b.read_bytes()
    assert fingerprint((a,)) == fingerprint((b,))
    assert fingerprint((a,)) != fingerprint((write_model(tmp_path / "c.gguf", seed=4),))


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
    first = tmp_path / "m-00001-of-00002.gguf"
    write_model(first)
    with pytest.raises(BenchError, match="1 of its 2 split files are not there: m-00002-of-00002"):
        split_files(first)
    write_model(tmp_path / "m-00002-of-00002.gguf", seed=1)
    assert facts(first, tmp_path / "cache.json").size_bytes == 2 * first.stat().st_size


def test_facts_are_cached_by_size_and_time(folder: Path, tmp_path: Path) -> None:
    cache, model = tmp_path / "cache.json", write_model(tmp_path / "m.gguf", seed=5)
    first = facts(model, cache)
    assert facts(model, cache) == first and cache.is_file()
    model.write_bytes((folder / "moe.gguf").read_bytes())
    assert facts(model, cache).header.architecture == "qwen3moe"
    cache.write_text("{broken")
    assert facts(model, cache).header.architecture == "qwen3moe"


def test_the_lock_is_sorted_and_refuses_damage(folder: Path, tmp_path: Path) -> None:
    file, found = tmp_path / "lock.json", facts(folder / "dense.gguf", tmp_path / "c.json")
    WeightsLock.load(file).updated("b.gguf", found).updated("a.gguf", found).save()
    text = file.read_text()
    assert text.index('"a.gguf"') < text.index('"b.gguf"')
    assert WeightsLock.load(file).get("a.gguf") == found
    file.write_text("{}")
    with pytest.raises(BenchError, match="not a weights lock"):
        WeightsLock.load(file)


def text(data: bytes) -> bytes:
    return struct.pack("<Q", len(data)) + data


def texts(key: bytes, values: list[bytes]) -> bytes:
    return text(key) + struct.pack("<IIQ", 9, 8, len(values)) + b"".join(map(text, values))


def crafted(path: Path, *values: bytes, tensors: int = 0, after: bytes = b"") -> Path:
    """A GGUF with architecture llama, these metadata values (key, type, value as bytes) and what comes after them."""
    head = b"GGUF" + struct.pack("<IQQ", 3, tensors, len(values) + 1)
    path.write_bytes(
        head + text(b"general.architecture") + struct.pack("<I", 8) + text(b"llama") + b"".join(values) + after
    )
    return path


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (text(b"a") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 5000, "arrays nested more than 8 deep"),
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
        (text(b"split.count") + struct.pack("<I", 8) + text(b"x"), "split.count: expected a whole number, found 'x'"),
        (text(b"llama.expert_count") + struct.pack("<IIQI", 9, 4, 1, 1), "llama.expert_count: expected a whole number"),
        (text(b"general.alignment") + struct.pack("<II", 4, 0), "general.alignment is 0"),
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


@pytest.mark.parametrize("seed", range(12))
def test_texts_of_any_length_are_passed_over_exactly(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    longest = random.choice([3, 30, 48, 49, 70, 400])
    tokens = [random.randbytes(random.randint(0 if seed % 2 else 1, longest)) for _ in range(random.randint(200, 900))]
    after = text(b"general.name") + struct.pack("<I", 8) + text(b"after")
    header = read_header(crafted(tmp_path / "m.gguf", texts(b"tokenizer.ggml.tokens", tokens), after))
    assert (header.vocab_size, header.name) == (len(tokens), "after")
    assert header.tokens_digest == hashlib.sha256(b"".join(map(text, tokens))).hexdigest()[:12]


def test_headers_with_large_vocabularies_are_read_fast(tmp_path: Path) -> None:
    tokens, merges = ([b"%s%d" % (word, i) for i in range(150_000)] for word in (b"token", b"mer ge"))
    values = texts(b"tokenizer.ggml.tokens", tokens), texts(b"tokenizer.ggml.merges", merges)
    model = crafted(tmp_path / "m.gguf", *values)
    seconds = []
    for _ in range(5):
        start = time.process_time()
        assert read_header(model).vocab_size == 150_000
        seconds.append(time.process_time() - start)
    # Meant to be 20 ms; the limit leaves room for a slow machine, not for reading the texts one by one into objects.
    assert min(seconds) < 0.08
