"""What a runtime variant changes reaches both engines, and is read back from their logs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from scripts.lib.engines.factory import EngineSettings, make_engine
from scripts.lib.engines.load_log import kv_types, unlike
from scripts.lib.engines.protocol import Loaded, LoadSettings, NotActive
from scripts.lib.executor import guard_load
from scripts.lib.llama_build.build import server_binary
from scripts.lib.planning.modes import Mode
from tests.factories.engines import BASELINE, CONTEXT, ENGINES, settings
from tests.factories.engines import models as models

pytestmark = pytest.mark.serial

F16 = CONTEXT | {"kv_type_k": "f16", "kv_type_v": "f16"}
Q8 = CONTEXT | {"kv_type_k": "q8_0", "kv_type_v": "q8_0"}
# The heads of a tiny model are smaller than a block of q8_0.
BF16 = CONTEXT | {"kv_type_k": "bf16", "kv_type_v": "bf16", "flash_attention": True}


def loaded(name: str, wanted: LoadSettings, folder: Path) -> dict[str, Any]:
    engine = make_engine(name, EngineSettings(server_binary(), folder / f"{name}.log", 60.0))
    try:
        return dict(engine.load(wanted).effective)
    finally:
        engine.unload()


@pytest.mark.parametrize("name", ENGINES)
def test_the_settings_of_a_variant_are_read_back(name: str, models: Path, tmp_path: Path) -> None:
    usual = settings(models, "dense", BASELINE, context=F16)
    found = loaded(name, usual, tmp_path)
    assert (found["kv_type_k"], found["kv_type_v"]) == ("f16", "f16")
    assert list(found["weights_buffers_mib"]) == ["CPU_Mapped"]
    changed = replace(usual, context=BF16, mmap=False, repack=False)
    found = loaded(name, changed, tmp_path)
    assert (found["kv_type_k"], found["kv_type_v"]) == ("bf16", "bf16")
    assert list(found["weights_buffers_mib"]) == ["CPU"]


def shard(context: dict[str, Any], **loading: bool) -> Any:
    spec = {"context": context, **({"loading": loading} if loading else {})}
    mode = Mode("baseline").in_variant("v")
    return SimpleNamespace(mode=mode, cells=[SimpleNamespace(spec=spec)])


@pytest.mark.parametrize(
    ("wanted", "effective", "message"),
    [
        (shard(Q8), {"kv_type_k": "q8_0", "kv_type_v": "f16"}, "kv_type_v q8_0 .* has f16"),
        (shard(F16), {"kv_type_k": "q8_0", "kv_type_v": "f16"}, "kv_type_k f16 .* has q8_0"),
        (shard(Q8), {}, "kv_type_k q8_0 .* has not named its type"),
        (
            shard(F16, repack=False),
            {"weights_buffers_mib": {"CPU_Mapped": 1.0, "CPU_REPACK": 2.0}},
            "repack false: the engine has CPU_REPACK",
        ),
        (
            shard(F16, mmap=False),
            {"weights_buffers_mib": {"CPU_Mapped": 1.0}},
            "variant v was not active: mmap false: the engine has CPU_Mapped",
        ),
        (shard(F16, mmap=False), {}, "the engine has not named its buffers"),
    ],
)
def test_a_setting_that_the_engine_did_not_take_is_an_error(
    wanted: Any, effective: dict[str, Any], message: str
) -> None:
    with pytest.raises(NotActive, match=message):
        guard_load(wanted, Loaded(0.0, effective))


def test_an_engine_that_is_as_asked_passes() -> None:
    guard_load(shard(F16), Loaded(0.0, {}))  # an older server names no types; f16 is the usual
    guard_load(shard(Q8), Loaded(0.0, {"kv_type_k": "q8_0", "kv_type_v": "q8_0"}))
    buffers = {"weights_buffers_mib": {"CPU": 3.0}}
    guard_load(shard(F16, mmap=False, repack=False), Loaded(0.0, buffers))


def test_the_first_context_of_a_log_counts() -> None:
    line = "llama_kv_cache: size = 1 MiB (512 cells, 2 layers, 1/1 seqs), K ({}): 1 MiB, V (f16): 1"
    assert kv_types(f"{line.format('q8_0')}\n{line.format('f16')}")["kv_type_k"] == "q8_0"
    assert kv_types("nothing of the kind") == {}
    assert unlike({}, {}) == ""
