"""The KV cache's size out of a header, whatever way a model tells its heads."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.lib.weights.gguf_header import read_header
from tests.factories.tiny_models import EMBEDDING, HEAD, HEADS, LAYERS, write_model


@pytest.mark.parametrize(
    ("kind", "elements"),
    [
        ("dense", LAYERS * HEADS * 2 * HEAD),
        ("moe", LAYERS * HEADS * 2 * HEAD),
        (
            "lfm2",
            LAYERS // 2 * HEADS * 2 * HEAD,
        ),  # every second layer attends: the heads are a list
        ("mamba2", 0),
    ],
)
def test_kv_elements_per_token(tmp_path: Path, kind: str, elements: int) -> None:
    assert HEADS * HEAD == EMBEDDING
    assert read_header(write_model(tmp_path / "m.gguf", kind)).kv_elements == elements
