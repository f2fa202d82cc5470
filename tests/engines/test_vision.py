"""Images through a real llama-server with a tiny vision projector: read, counted and checked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from scripts.lib.base.errors import BenchError
from scripts.lib.engines.factory import EngineSettings, make_engine
from scripts.lib.engines.protocol import EngineFailure, LoadSettings, Request
from scripts.lib.engines.server import _Prompt
from scripts.lib.executor import load_settings, request_of
from scripts.lib.llama_build.build import server_binary
from scripts.lib.llama_build.identity import engine_identity
from scripts.lib.machine.profiles import load_hardware
from scripts.lib.planning.cell_spec import Weights
from scripts.lib.planning.modes import Mode
from scripts.lib.planning.plan import Planner, find_shard, make_plan
from scripts.lib.registry.types import Registry, RuntimeDefaults
from scripts.lib.weights.facts import facts
from tests.factories.engines import BASELINE, REQUEST, settings
from tests.factories.plans import FULL, SUITES, model
from tests.factories.tiny_models import IMAGE_TOKENS, write_model, write_projector

pytestmark = pytest.mark.slow

IMAGES = Path("benchmarks/prompts/v1/images")
CLOCK, SHAPES = str(IMAGES / "clock.png"), str(IMAGES / "shapes.png")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_model(folder / "dense.gguf")
    write_projector(folder / "mmproj.gguf")
    return folder


def vision(models: Path, mode: Mode = BASELINE) -> LoadSettings:
    return replace(settings(models, "dense", mode), projector=models / "mmproj.gguf")


def test_images_are_read_and_change_the_answer(models: Path, tmp_path: Path) -> None:
    engine = make_engine("server", EngineSettings(server_binary(), tmp_path / "server.log", 60.0))
    engine.load(vision(models))
    try:
        wordless = engine.generate(REQUEST)
        clock, shapes, again, both = (
            engine.generate(replace(REQUEST, images=images))
            for images in ((CLOCK,), (SHAPES,), (CLOCK,), (CLOCK, SHAPES))
        )
    finally:
        engine.unload()
    assert clock.prompt_tokens - wordless.prompt_tokens >= IMAGE_TOKENS
    assert both.prompt_tokens - clock.prompt_tokens == clock.prompt_tokens - wordless.prompt_tokens
    assert (
        len({m.token_ids for m in (wordless, clock, shapes, both)}) == 4
        and again.token_ids == clock.token_ids
    )
    assert clock.completion_tokens == len(clock.token_ids) == REQUEST.max_tokens


def test_a_server_without_a_projector_refuses_images(models: Path, tmp_path: Path) -> None:
    engine = make_engine("server", EngineSettings(server_binary(), tmp_path / "server.log", 60.0))
    engine.load(settings(models, "dense", BASELINE))
    try:
        with pytest.raises(EngineFailure, match="image input is not supported"):
            engine.generate(replace(REQUEST, images=(CLOCK,)))
    finally:
        engine.unload()


def test_an_image_that_was_not_evaluated_is_an_error() -> None:
    _Prompt([], 20, True).guard(36)
    with pytest.raises(
        EngineFailure, match="the image was not read: the text has 20 tokens, 20 were evaluated"
    ):
        _Prompt([], 20, True).guard(20)
    with pytest.raises(EngineFailure, match="cache was not cold"):
        _Prompt([], 20, False).guard(3)


def planner(models: Path, engine: str, projector: Path | None) -> Planner:
    seeing = model(
        "seer",
        path=str(models / "dense.gguf"),
        candidate_roles=("vision",),
        tier="C",
        mmproj_path="x/mmproj.gguf",
    )
    known = (
        Weights(facts(projector), projector, True, False)
        if projector
        else Weights(None, Path("x"), False, False)
    )
    weights = Weights(facts(models / "dense.gguf"), models / "dense.gguf", True, False, known)
    registry = Registry(models / "r.yaml", RuntimeDefaults(), {"seer": seeing})
    hardware = replace(load_hardware("epyc-9655"), threads=2, batch_threads=2, cpus=None, numa=None)
    config = replace(FULL, models=("seer",), suites=("vl",)).with_modes(("baseline",))
    return Planner(registry, SUITES, config, hardware, {"seer": weights}, engine_identity(engine))


def test_the_shard_loads_the_projector_and_sends_the_images(models: Path) -> None:
    shard = find_shard(
        make_plan(planner(models, "server", models / "mmproj.gguf")), "seer", "baseline"
    )
    assert len(shard.cells) == 10 and load_settings(shard).projector == models / "mmproj.gguf"
    spec = shard.cells[0].spec
    assert (
        spec["weights"]["projector"] == facts(models / "mmproj.gguf").fingerprint
        and len(spec["prompt"]["images"]) == 1
    )
    request: Request = request_of(shard.cells[0])
    assert Path(request.images[0]).is_file()


@pytest.mark.parametrize(
    ("engine", "present", "reason"),
    [
        ("embedded", True, "images are read by engine server only"),
        ("server", False, "its vision projector (mmproj_path) is not on this machine"),
    ],
)
def test_what_cannot_read_images_is_left_out_with_the_reason(
    models: Path, engine: str, present: bool, reason: str
) -> None:
    plan = make_plan(planner(models, engine, models / "mmproj.gguf" if present else None))
    reasons = {item.reason for item in plan.left_out if (item.question or "").startswith("vl/")}
    assert plan.shards == () and reasons == {reason}


def test_a_projector_that_vanished_fails_the_job(models: Path, tmp_path: Path) -> None:
    gone = write_projector(tmp_path / "gone.gguf")
    shard = find_shard(make_plan(planner(models, "server", gone)), "seer", "baseline")
    gone.unlink()
    with pytest.raises(BenchError, match=r"vision projector: no file .*"):
        load_settings(shard)
