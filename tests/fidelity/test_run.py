"""Fidelity cells of tiny models in the real engine: measured, stored, restored, and failed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from scripts.lib.base.errors import BenchError
from scripts.lib.engines.embedded import EmbeddedEngine
from scripts.lib.engines.protocol import EngineFailure
from scripts.lib.executor import load_settings
from scripts.lib.fidelity.distributions import GRID
from scripts.lib.fidelity.plan import Configuration, FidelityPlan, Kind, fidelity_plan
from scripts.lib.fidelity.record import Measured, read_fidelity
from scripts.lib.fidelity.run import FidelityJob, restore, run, tokens_of
from scripts.lib.fidelity.store import read_reference, write_reference
from scripts.lib.fidelity.tree import drop_failed_cells, drop_fidelity, state_of
from scripts.lib.planning.cell_spec import Weights
from scripts.lib.planning.plan import Planner
from scripts.lib.planning.weights_guard import WeightsGuard
from scripts.lib.prompts.types import Question, Suite, Turn
from scripts.lib.registry.types import Acceleration, Registry, RuntimeDefaults
from scripts.lib.registry_loader import Model
from scripts.lib.results.states import State
from scripts.lib.weights.facts import facts
from tests.factories.engines import HARDWARE
from tests.factories.plans import FULL, model, planner
from tests.factories.tiny_models import write_model

QUESTIONS = (
    Question("math", "q1", 1, "", "What is one and one?", reference_answer="It is two, of course."),
    Question("math", "q2", 1, "", "Count to " + "ten, please. " * 20, reference_answer="1 2 3 4"),
    Question(
        "math", "q3", 1, "", "And then?", reference_answer="Nothing.", system="Be brief.",
        turns=(Turn("user", "What is there?"), Turn("assistant", "A cat.")),
    ),
)  # fmt: skip


def made_planner(
    models: Sequence[Model], questions: Sequence[Question] = QUESTIONS, **fidelity: object
) -> Planner:
    entries = {one.key: one for one in models}
    weights = {
        one.key: Weights(facts(Path(one.path)), Path(one.path), True, False) for one in models
    }
    # 64 tokens at once: every block is evaluated in several parts.
    context = replace(
        FULL.context, micro_batch_tokens=64, kv_type_k="f32", kv_type_v="f32", flash_attention=False
    )
    wanted = replace(FULL.fidelity, measure=True, **fidelity)  # type: ignore[arg-type]
    config = replace(FULL, models=("*",), context=context, fidelity=wanted)
    return planner(
        config,
        hardware=HARDWARE,
        registry=Registry(Path("r.yaml"), RuntimeDefaults(), MappingProxyType(entries)),
        weights=weights,
        suites={"math": Suite("math", "1", "", "", tuple(questions))},
    )


def entry(key: str, file: Path, size_gb: float = 1.0, **changes: object) -> Model:
    return model(key, name="Tiny-1B", path=str(file), size_gb=size_gb, **changes)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own, with the engine's lock and the profiles."""
    for name in ("envs", "config"):
        (tmp_path / name).symlink_to(Path(name).absolute())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def job_of(one: Configuration) -> FidelityJob:
    return FidelityJob(one, Path(), "run", lambda _: "e" * 12, WeightsGuard(one.shard))


def measure(plan: FidelityPlan, *keys: tuple[str, str]) -> int:
    """Measure what is missing of these configurations, or of all. Returns the failures."""
    failed = 0
    for one in plan.configurations:
        if not keys or one.key in keys:
            engine = EmbeddedEngine(Path("log.txt"), every_token=True)
            failed += run(job_of(one), engine, one.pending(), bar=False)
    return failed


def measured(one: Configuration) -> dict[str, Measured]:
    found = {}
    for cell in one.of_kind(Kind.COMPARISON):
        record = read_fidelity(Path(cell.file))
        assert record.measured is not None, record.error
        found[record.cell.question] = record.measured
    return found


def mean_kl(one: Configuration) -> float:
    return float(np.mean([value for block in measured(one).values() for value in block.kl]))


def two_models(here: Path, other: Callable[[Path], Path] | None = None) -> FidelityPlan:
    """The same weights twice, or the first compared with another file."""
    first = write_model(here / "a.gguf")
    second = (other or write_model)(here / "b.gguf")
    models = [entry("a", first), entry("b", second, fidelity_reference="a")]
    return fidelity_plan(made_planner(models))


def test_f32_compared_with_itself_is_exactly_0(here: Path) -> None:
    plan = two_models(here)
    assert measure(plan) == 0
    found = measured(plan.find("b", "baseline"))
    assert found.keys() == {"q1", "q2", "q3"}
    for block in found.values():
        assert set(block.kl) == {0.0} and all(block.same_first)
        assert block.coarse == block.missing == 0
        assert block.logprob == block.reference_logprob < 0
        assert 0 < block.answer_at < len(block.kl)


def test_another_model_diverges_as_the_whole_vocabulary_says(here: Path) -> None:
    plan = two_models(here, lambda path: write_model(path, seed=1, sharpness=4.0))
    assert measure(plan) == 0
    one = plan.find("b", "baseline")
    assert one.reference is not None
    logs = {}
    for which in (one.reference, one):
        engine = EmbeddedEngine(Path("log.txt"), every_token=True)
        engine.load(load_settings(which.shard))
        for cell in which.cells:
            ids = tokens_of(engine, cell.block).ids
            logits = np.concatenate([part.copy() for part in engine.evaluate(ids)])
            x = logits[:-1].astype(float)
            x -= x.max(1, keepdims=True)
            x -= np.log(np.exp(x).sum(1, keepdims=True))
            logs[which.key, cell.block.question.id] = (x, ids)
        engine.unload()
    for question, block in measured(one).items():
        p, ids = logs[one.reference.key, question]
        q, _ = logs[one.key, question]
        whole = (np.exp(p) * (p - q)).sum(1)
        assert len(block.kl) == len(whole) == len(ids) - 1
        difference = np.abs(np.array(block.kl) - whole).mean()
        assert whole.mean() > 0.01 and difference <= block.bound + 1e-4
        assert abs(block.coarse + block.missing - np.mean(block.kl)) < 1e-3
        own = q[np.arange(len(ids) - 1), ids[1:]].mean()
        assert block.logprob == pytest.approx(own, abs=1e-4)
        assert np.mean(block.same_first) == np.mean(p.argmax(1) == q.argmax(1))


def test_fewer_experts_diverge_from_the_model_s_own_baseline(here: Path) -> None:
    wanted = Acceleration(type="moe_expert_reduction", experts=2)
    mixture = entry("moe", write_model(here / "moe.gguf", "moe"), acceleration=wanted)
    plan = fidelity_plan(made_planner([mixture]))
    assert [one.key[1] for one in plan.configurations] == ["baseline", "moe2"]
    assert measure(plan) == 0
    assert mean_kl(plan.find("moe", "moe2")) > 0.001
    record = read_fidelity(Path(plan.find("moe", "moe2").cells[0].file))
    assert record.effective["n_expert_used"] == "2", "the guard of the mode has looked at it"


def test_a_finished_cell_of_a_run_that_was_cut_off_is_linked_back(here: Path) -> None:
    plan = two_models(here)
    measure(plan)
    one = plan.find("b", "baseline")
    first, second, _ = one.cells
    kept = Path(first.file).read_bytes()
    Path(first.file).unlink()
    Path(second.file).unlink()
    job = job_of(one)
    job.partial_file(second).write_text("{}")
    assert restore(job) == 1
    assert Path(first.file).read_bytes() == kept
    assert one.pending() == (second,) and not job.partial_file(second).exists()


def test_a_failing_engine_is_a_result_with_the_reason(here: Path) -> None:
    plan = two_models(here)
    reference = plan.find("a", "baseline")
    measure(plan, reference.key)

    class Failing(EmbeddedEngine):
        def evaluate(self, tokens: Sequence[int]):  # type: ignore[no-untyped-def]
            raise EngineFailure("llama_decode failed with status -3")

    one = plan.find("b", "baseline")
    engine = Failing(Path("log.txt"), every_token=True)
    assert run(job_of(one), engine, one.pending(), bar=False) == 3
    record = read_fidelity(Path(one.cells[0].file))
    assert (record.status, record.error) == ("error", "llama_decode failed with status -3")
    assert {state_of(cell) for cell in one.cells} == {State.FAILED}
    assert len(drop_failed_cells(plan)) == 3 and len(one.pending()) == 3


def test_a_failed_reference_is_the_reason_of_those_that_need_it(here: Path) -> None:
    plan = two_models(here)
    measure(plan, ("a", "baseline"))
    one = plan.find("b", "baseline")
    file = Path(one.cells[0].reference_file)
    stored = read_reference(file)
    file.unlink()
    write_reference(
        file, replace(stored, status="error", error="out of memory", distributions=None)
    )
    assert measure(plan, one.key) == 1
    record = read_fidelity(Path(one.cells[0].file))
    assert record.error == "its reference failed: out of memory"


def test_other_tokens_than_the_reference_s_are_not_compared(here: Path) -> None:
    plan = two_models(here)
    measure(plan, ("a", "baseline"))
    one = plan.find("b", "baseline")
    file = Path(one.cells[0].reference_file)
    stored = read_reference(file)
    file.unlink()
    write_reference(file, replace(stored, tokens_digest="another"))
    assert measure(plan, one.key) == 1
    error = read_fidelity(Path(one.cells[0].file)).error
    assert error == "its tokenizer or template gives other tokens than the reference's"


@pytest.mark.parametrize("what", ["missing", "damaged"])
def test_a_reference_that_cannot_be_read_stops_the_job(here: Path, what: str) -> None:
    plan = two_models(here)
    measure(plan, ("a", "baseline"))
    one = plan.find("b", "baseline")
    file = Path(one.cells[0].reference_file)
    content = file.read_bytes()
    file.unlink()
    if what == "damaged":
        file.write_bytes(content[:-1] + b"x")
    with pytest.raises(BenchError, match="missing" if what == "missing" else "damaged"):
        measure(plan, one.key)
    assert not list(Path(one.folder).glob("*/*.json"))


def test_a_block_that_the_context_does_not_hold_is_an_error_with_both_numbers(here: Path) -> None:
    # The estimate lets it through: it has no spaces, and each character is a token.
    long = replace(QUESTIONS[0], prompt="x" * 2500)
    file = write_model(here / "a.gguf")
    models = [entry("a", file), entry("b", file, fidelity_reference="a")]
    plan = fidelity_plan(made_planner(models, [long]))
    assert measure(plan, ("a", "baseline")) == 1
    stored = read_reference(Path(plan.find("a", "baseline").cells[0].file))
    assert stored.error is not None and "the context 2048" in stored.error


def test_the_stored_tail_is_the_rest_of_the_top(here: Path) -> None:
    plan = two_models(here)
    measure(plan, ("a", "baseline"))
    stored = read_reference(Path(plan.find("a", "baseline").cells[0].file)).distributions
    assert stored is not None
    mass = np.square(stored.roots / GRID).sum(1) + np.square(stored.tail / GRID)
    assert np.abs(mass - 1).max() < 1e-3


def test_a_cell_and_its_copy_are_deleted_together(here: Path) -> None:
    plan = two_models(here)
    measure(plan, ("a", "baseline"))
    one = plan.find("a", "baseline")
    job = job_of(one)
    drop_fidelity(Path(one.cells[0].file))
    assert restore(job) == 0 and one.pending() == one.cells[:1]
