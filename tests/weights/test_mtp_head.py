"""A head for multi-token prediction that a rule adds: the model drafts, and answers as before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader

from scripts.lib.base.errors import BenchError
from scripts.lib.base.file_hashing import sha256_of
from scripts.lib.planning.modes import make_mode
from scripts.lib.registry_loader import Source, load_registry
from scripts.lib.weights.gguf_header import Header, read_header
from scripts.lib.weights.mtp_head import add_head, halves
from scripts.lib.weights.requantize import requantize
from scripts.lib.weights.sources import make_weights
from tests.factories.engines import (
    BASELINE,
    ENGINES,
    REQUEST,
    Start,
    engine_mode_spec,
    settings,
)
from tests.factories.engines import models as models
from tests.factories.engines import start as start

pytestmark = pytest.mark.slow

MTP = make_mode(k=2, mtp=True)


def expect_head(header: Header) -> None:
    assert (header.architecture, header.heads, header.draft_kind) == ("mimo2", 1, "draft")


def test_the_rows_of_neighbours_become_halves() -> None:
    assert halves(2, 6).tolist() == [0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11]


def test_it_answers_like_its_original_and_drafts(
    models: Path, start: Start, tmp_path: Path
) -> None:
    made = tmp_path / "made.gguf"
    add_head(models / "dense.gguf", made)
    expect_head(read_header(made))
    wanted = settings(models, "dense", BASELINE)
    plain = start("server", wanted).generate(REQUEST)
    for name in ENGINES:
        found = start(name, replace(wanted, weights=made)).generate(REQUEST)
        assert found.token_ids == plain.token_ids
    mode = replace(wanted, weights=made, mode=MTP, mode_spec=engine_mode_spec(MTP))
    measured = start("server", mode).generate(REQUEST)
    assert measured.token_ids == plain.token_ids
    assert measured.drafted_tokens > measured.accepted_tokens > 0


def test_equal_originals_give_equal_bytes(models: Path, tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.gguf" for number in range(2)]
    for file in files:
        add_head(models / "dense.gguf", file)
    assert sha256_of(files[0]) == sha256_of(files[1])


@pytest.mark.parametrize(
    ("quant", "fused"), [("Q8_0", {"Q8_0"}), ("Q4_K_S", {"F16"})], ids=["one-type", "mixed-types"]
)
def test_quantised_rows_are_moved_whole(
    models: Path, start: Start, tmp_path: Path, quant: str, fused: set[str]
) -> None:
    """Q4_K_S gives V another type than Q and K: then the head's fused tensor has their values."""
    original, made = tmp_path / "original.gguf", tmp_path / "made.gguf"
    requantize(models / "dense.gguf", original, quant)
    add_head(original, made)
    before, after = (
        {tensor.name: tensor for tensor in GGUFReader(file).tensors} for file in (original, made)
    )
    kinds = {before[f"blk.0.attn_{part}.weight"].tensor_type for part in "qkv"}
    assert (len(kinds) == 1) == (fused != {"F16"})
    assert {after["blk.4.attn_qkv.weight"].tensor_type.name} == fused
    for name in ("blk.1.attn_k.weight", "blk.1.attn_v.weight", "blk.3.ffn_down.weight"):
        assert after[name].tensor_type == before[name].tensor_type
        rows = [np.sort(tensors[name].data, axis=0) for tensors in (before, after)]
        assert np.array_equal(*rows)
    measured = start("server", replace(
        settings(models, "dense", MTP), weights=made, mode_spec=engine_mode_spec(MTP)
    )).generate(REQUEST)  # fmt: skip
    plain = start("server", settings(models, "dense", BASELINE, weights=original))
    assert measured.token_ids == plain.generate(REQUEST).token_ids


@pytest.mark.parametrize("kind", ["moe", "lfm2"])
def test_only_dense_llamas_get_a_head(models: Path, tmp_path: Path, kind: str) -> None:
    message = "adding a head expects a dense model of architecture llama, found '"
    with pytest.raises(BenchError, match=message):
        add_head(models / f"{kind}.gguf", tmp_path / "x.gguf")


def test_the_demo_model_is_made_of_its_original(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = load_registry(Path("orchestration/model_registry.yaml"))
    demo = registry.models["demo_smollm2_135m_mtp"]
    original = registry.models["smollm2_135m_q4_1"]
    assert demo.source == Source("mtp_head", from_model=original.key)
    assert demo.nextn_predict_layers == 1
    monkeypatch.setenv("EPYC_BENCH_MODELS", str(tmp_path))
    with pytest.raises(BenchError, match=f"is made of {original.key}, whose weights are missing"):
        make_weights(registry, demo)
    (tmp_path / original.path).write_bytes((models / "dense.gguf").read_bytes())
    expect_head(read_header(make_weights(registry, demo)))
