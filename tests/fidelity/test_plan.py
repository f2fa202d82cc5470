"""Which configurations are compared with which reference, over which blocks, under which names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from scripts.lib.base.errors import BenchError
from scripts.lib.fidelity.plan import (
    Configuration,
    FidelityPlan,
    Kind,
    fidelity_plan,
    reference_key,
    seconds,
)
from scripts.lib.llama_build.identity import EngineIdentity
from scripts.lib.planning.cell_spec import Weights
from scripts.lib.planning.plan import Planner
from scripts.lib.prompts.types import Question, Suite
from scripts.lib.registry.types import Registry, RuntimeDefaults, Source
from scripts.lib.registry_loader import Model
from scripts.lib.settings.run_config import Config
from scripts.lib.settings.variants import Variant
from scripts.lib.weights.facts import WeightsFacts
from tests.factories.plans import FULL, model, planner

SIZES = {"f16": 16.0, "q8": 8.0, "q4": 4.0}


def family(**changes: dict[str, Any]) -> list[Model]:
    """Three quantisations of one model, whose names differ as publishers' do."""
    names = {"f16": "Big-7B-FP16", "q8": "Big-7B-UD-Q8_0", "q4": "Big-7B.Q4_K_M"}
    return [
        model(key, name=names[key], size_gb=size, **changes.get(key, {}))
        for key, size in SIZES.items()
    ]


def weights_of(one: Model, **header: object) -> Weights:
    facts = WeightsFacts.assumed(one)
    made = replace(facts.header, tokens_digest="v", chat_template_digest="t", **header)  # type: ignore[arg-type]
    return Weights(replace(facts, header=made, fingerprint=one.key), Path(one.path), True, False)


def asked(suite: str, count: int, **changes: object) -> tuple[Question, ...]:
    return tuple(
        replace(
            Question(suite, f"q{n}", 1 + n % 3, "", f"Prompt {n}", reference_answer=f"Answer {n}"),
            **changes,  # type: ignore[arg-type]
        )
        for n in range(count)
    )


SUITES = {
    "math": asked("math", 4),
    "work": asked("work", 3, workload="prose"),
    "pictures": asked("pictures", 2, images=("a.png",)),
}


def config(**changes: object) -> Config:
    wanted = replace(FULL.fidelity, measure=True, **changes)  # type: ignore[arg-type]
    return replace(FULL, models=("*",), fidelity=wanted)


def made(
    models: list[Model],
    of: Config | None = None,
    suites: dict[str, tuple[Question, ...]] | None = None,
    **weights: Weights,
) -> Planner:
    entries = {one.key: one for one in models}
    known = {key: weights.get(key, weights_of(one)) for key, one in entries.items()}
    found = suites or SUITES
    return planner(
        of or config(),
        registry=Registry(Path("r.yaml"), RuntimeDefaults(), MappingProxyType(entries)),
        weights=known,
        suites={name: Suite(name, "1", "", "", questions) for name, questions in found.items()},
    )


def of(plan: FidelityPlan, key: str, mode: str = "baseline") -> Configuration:
    return plan.find(key, mode)


def reasons(plan: FidelityPlan) -> dict[tuple[str, str], str]:
    return {(item.model, item.mode): item.reason for item in plan.left_out}


def digests(plan: FidelityPlan) -> dict[str, str]:
    """Configuration, kind and question -> digest."""
    return {
        f"{'/'.join(one.key)} {cell.kind.name} {cell.block.question.name_in_full}": cell.cell.digest
        for one in plan.configurations
        for cell in one.cells
    }


def test_nothing_is_planned_unless_it_is_asked_for() -> None:
    assert not FULL.fidelity.measure, "off by default"
    assert fidelity_plan(made(family(), FULL)) == FidelityPlan()


def test_a_family_is_compared_with_its_largest_file() -> None:
    plan = fidelity_plan(made(family()))
    assert [one.key for one in plan.configurations] == [
        ("f16", "baseline"), ("q8", "baseline"), ("q4", "baseline")
    ]  # fmt: skip
    f16 = of(plan, "f16")
    assert f16.reference is None and {c.kind for c in f16.cells} == {Kind.REFERENCE}
    for key in ("q8", "q4"):
        one = of(plan, key)
        assert one.reference is not None and one.reference.key == f16.key
        assert {cell.kind for cell in one.cells} == {Kind.COMPARISON}
        assert [c.reference_file for c in one.cells] == [c.file for c in f16.cells]
    assert not plan.left_out, "the reference itself has a row of its own"


def test_a_model_alone_has_no_reference() -> None:
    plan = fidelity_plan(made(family()[2:]))
    assert not plan.configurations
    assert "no entry of the same model has larger weights" in reasons(plan)["q4", "baseline"]


def test_the_registry_can_name_another_reference() -> None:
    found = made(family(q4={"fidelity_reference": "q8"}))
    plan = fidelity_plan(found)
    chain = of(plan, "q4").reference
    assert chain is not None and chain.key == ("q8", "baseline")
    assert {c.kind for c in of(plan, "q8").cells} == {Kind.REFERENCE, Kind.COMPARISON}


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"tokens_digest": "w"}, "another vocabulary (v, not w)"),
        ({"chat_template_digest": "u"}, "another chat template (t, not u)"),
    ],
)
def test_another_vocabulary_or_template_is_left_out(header: dict[str, str], message: str) -> None:
    models = family()
    facts = weights_of(models[2]).facts
    assert facts is not None
    other = replace(facts, header=replace(facts.header, **header))  # type: ignore[arg-type]
    plan = fidelity_plan(made(models, q4=replace(weights_of(models[2]), facts=other)))
    assert message in reasons(plan)["q4", "baseline"]
    with pytest.raises(BenchError, match="no fidelity: its reference 'f16' has another"):
        plan.find("q4", "baseline")


def test_a_reference_that_is_not_in_the_registry_is_named() -> None:
    plan = fidelity_plan(made(family(q4={"fidelity_reference": "f23"})))
    assert "'f23' is not in the registry" in reasons(plan)["q4", "baseline"]


def test_weights_that_are_here_come_before_larger_ones_elsewhere() -> None:
    models = family()
    absent = replace(weights_of(models[0]), present=False)
    found = made(models, f16=absent)
    assert reference_key(models[2], found) == ("q8", "")


def test_a_copy_is_compared_with_its_source_and_never_the_other_way_round() -> None:
    copy = {"source": Source("requantize", from_model="q4")}
    models = family(q8=copy)[1:]
    plan = fidelity_plan(made(models))
    above = of(plan, "q8").reference
    assert above is not None and above.key == ("q4", "baseline")
    assert of(plan, "q4").reference is None


def test_fewer_experts_and_variants_of_the_kv_cache_are_compared_with_the_own_baseline() -> None:
    mixture = model("moe", architecture="moe", baseline_experts=8)
    kv = Variant("kv", ("baseline",), ("*",), {"kv_type_k": "q8_0"}, {}, {})
    threads = Variant("t2", ("baseline",), ("*",), {}, {"threads": 2}, {})
    wanted = replace(config(), variants=(kv, threads))
    header = {"expert_count": 64, "expert_used_count": 8}
    plan = fidelity_plan(made([mixture], wanted, moe=weights_of(mixture, **header)))
    keys = {one.key[1]: one for one in plan.configurations}
    assert {"baseline", "moe4", "baseline@kv"} <= keys.keys()
    assert not any("t2" in name or "lookup" in name for name in keys), "these change no answer"
    for name, one in keys.items():
        if name != "baseline":
            assert one.reference is not None and one.reference.key == ("moe", "baseline"), name
    assert {c.kind for c in keys["baseline"].cells} == {Kind.REFERENCE}


def test_an_edited_question_is_measured_again_and_nothing_else() -> None:
    before = digests(fidelity_plan(made(family())))
    first, *others = SUITES["math"]
    for change in ({"prompt": "Edited"}, {"reference_answer": "Edited, and longer than it was"}):
        edited = {**SUITES, "math": (replace(first, **change), *others)}  # type: ignore[arg-type]
        after = digests(fidelity_plan(made(family(), suites=edited)))
        assert before.keys() == after.keys()
        assert {name for name in before if before[name] != after[name]} == {
            "f16/baseline REFERENCE math/q0",
            "q8/baseline COMPARISON math/q0",
            "q4/baseline COMPARISON math/q0",
        }


def test_settings_that_change_no_distribution_measure_nothing_again() -> None:
    before = digests(fidelity_plan(made(family())))
    usual = config()
    context = replace(usual.context, length_tokens=1024, batch_tokens=256)
    for other in (
        replace(usual, context=context),
        replace(usual, sampling=replace(usual.sampling, temperature=0.7, max_tokens=3)),
        replace(usual, repeats=3, tiers=(1,)),
        replace(usual, engines=("server",)),
    ):
        assert digests(fidelity_plan(made(family(), other))) == before
    kv = replace(usual, context=replace(usual.context, kv_type_k="q8_0"))
    assert not set(digests(fidelity_plan(made(family(), kv))).values()) & set(before.values())


def test_blocks_are_a_sample_of_the_suites_with_text() -> None:
    def names(**changes: object) -> list[str]:
        plan = fidelity_plan(made(family(), config(**changes)))
        return [cell.block.question.name_in_full for cell in of(plan, "f16").cells]

    assert len(names()) == 4 + 2, "two of the workload, none with pictures"
    assert set(names(sample=2)) < set(names(sample=3)) < set(names(sample=4))
    assert not any(name.startswith("math") for name in names(suites=("work",)))
    assert not fidelity_plan(made(family(), config(block_tokens=2))).configurations


def test_another_server_binary_alone_is_left_out_with_the_reason() -> None:
    other = replace(config(), engines=("server",), server_binary="/opt/ik/llama-server")
    plan = fidelity_plan(made(family(), other))
    assert not plan.configurations
    assert "server_binary is another engine" in reasons(plan)["q8", "*"]
    assert fidelity_plan(
        made(family(), replace(other, engines=("embedded", "server")))
    ).configurations


def test_one_model_alone_is_planned_with_its_reference_under_the_same_names() -> None:
    whole, alone = (
        fidelity_plan(made(family(), replace(config(), models=models)))
        for models in (("*",), ("q4",))
    )
    assert [one.key[0] for one in alone.configurations] == ["f16", "q4"]
    assert digests(alone).items() <= digests(whole).items()


def test_what_cannot_be_compared_here_is_not_run() -> None:
    models = family(q4={"fidelity_reference": "f16"})
    elsewhere = replace(weights_of(models[0]), present=False)
    plan = fidelity_plan(made(models, f16=elsewhere))
    assert [one.key[0] for one in plan.runnable] == ["q8"]


def test_the_engine_is_this_project_s_own_in_process() -> None:
    found = replace(made(family()), engine=EngineIdentity("server", "other", "0" * 64))
    (cell, *_) = of(fidelity_plan(found), "q8").cells
    assert cell.cell.spec["engine"]["name"] == "embedded"
    assert cell.cell.spec["engine"]["version"] != "other"


def test_time_is_predicted_for_what_is_missing() -> None:
    one = of(fidelity_plan(made(family())), "q8")
    assert seconds(one, (), {}) == 0
    assert 0 < seconds(one, one.cells[:1], {}) < seconds(one, one.cells, {})
