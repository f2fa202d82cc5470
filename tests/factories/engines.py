"""Tiny models in real engines, and engines that die when a test says so."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from scripts.lib.engines.factory import EngineSettings, make_engine
from scripts.lib.engines.protocol import Engine, LoadSettings, Request
from scripts.lib.llama_build.build import server_binary
from scripts.lib.machine.profiles import Hardware
from scripts.lib.planning.cell_record import CellRecord
from scripts.lib.planning.modes import Mode
from scripts.lib.planning.plan import Shard, find_shard, make_plan
from tests.factories.plans import tiny_planner
from tests.factories.tiny_models import write_model

CONTEXT = {
    "length_tokens": 512, "batch_tokens": 256, "micro_batch_tokens": 64,
    "flash_attention": False, "kv_type_k": "f32", "kv_type_v": "f32",
}  # fmt: skip
# One thread: a busy neighbour cannot make it spin.
HARDWARE = Hardware("test", 1, 1, None, None)
REQUEST = Request("Tell me: a b c a b c a b c a b", "", True, 0.0, 1.0, 0, 60, (), 60.0)
ENGINES = ("embedded", "server")
EXPERT_KEY = "qwen3moe.expert_used_count"
BASELINE = Mode("baseline")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for kind in ("dense", "draft", "moe", "mamba2", "lfm2"):
        write_model(folder / f"{kind}.gguf", kind)
    return folder


def engine_mode_spec(
    mode: Mode, override_key: str | None = None, lookup_draft_tokens: int = 16, **knobs: Any
) -> dict[str, Any]:
    """The `mode` of a spec, as far as an engine reads it. `knobs`: of an n-gram speculator."""
    spec: dict[str, Any] = {}
    if mode.experts is not None:
        spec["override_key"] = override_key
    if mode.lookup_n is not None:
        spec |= {"lookup_n": mode.lookup_n, "lookup_draft_tokens": lookup_draft_tokens}
    if mode.draft is not None:
        spec |= {"draft": "", "k": mode.k}
    if mode.mtp:
        spec["mtp"] = {"k": mode.k}
    if mode.ngram:
        spec[mode.ngram] = knobs
    return spec


def settings(models: Path, kind: str, mode: Mode, **changes: object) -> LoadSettings:
    draft = models / "draft.gguf" if mode.draft else None
    spec = engine_mode_spec(mode, lookup_draft_tokens=8, override_key=EXPERT_KEY)
    made = LoadSettings(models / f"{kind}.gguf", draft, mode, spec, CONTEXT, HARDWARE)
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.fixture
def start(tmp_path: Path):  # type: ignore[no-untyped-def]
    """Load an engine; it is unloaded after the test."""
    engines: list[Engine] = []

    def make(name: str, wanted: LoadSettings, binary: Path | None = None) -> Engine:
        engine = make_engine(
            name, EngineSettings(binary or server_binary(), tmp_path / f"{name}.log", 60.0)
        )
        engines.append(engine)
        engine.load(wanted)
        return engine

    yield make
    for engine in engines:
        engine.unload()


Start = Callable[..., Engine]


GUARDS = ("guard_load", "guard_warm_up", "guard_pins", "guard_memory")
PROOF = ["load", "guard_load", "warm_up", "guard_warm_up", "guard_pins", "guard_memory"]


def kill(process: psutil.Process) -> None:
    """Kill a child and wait until only its exit status is left, for its parent to ask for."""
    process.kill()
    while (
        process.status() != psutil.STATUS_ZOMBIE
        or len(list(Path(f"/proc/{process.pid}/task").iterdir())) > 1
    ):
        time.sleep(0.001)


class Fragile:
    """A real engine whose process is killed before the named calls; it records all calls."""

    def __init__(self, engine: Engine, deaths: dict[str, tuple[int, ...]]):
        self.engine, self.deaths = engine, deaths
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            self.calls.append(name)
            if self.calls.count(name) in self.deaths.get(name, ()):
                kill(psutil.Process(self.engine.pid()))
            return getattr(self.engine, name)(*arguments)

        return call

    @property
    def steps(self) -> list[str]:
        return [name for name in self.calls if name in (*PROOF, "generate")]


class Recorder:
    def __init__(self) -> None:
        self.records: list[CellRecord] = []

    def add(self, record: CellRecord) -> None:
        self.records.append(record)

    def summarise(self, outcome: str) -> None: ...


@pytest.fixture
def shard(tmp_path: Path) -> Shard:
    """Three cells of a tiny model in a mode that must draft."""
    planner = tiny_planner(tmp_path / "models")
    config = planner.config.with_modes(("lookup_n3",))
    config = replace(config, sampling=replace(config.sampling, max_tokens=8))
    two_threads = replace(HARDWARE, threads=2, batch_threads=2)
    planner = replace(planner, config=config, hardware=two_threads)
    made = find_shard(make_plan(planner), "plain", "lookup_n3")
    return replace(made, cells=made.cells[:3])
