"""The settings of a cell: the first source that sets a value counts, and can be shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from scripts.lib.base.errors import InputErrors
from scripts.lib.executor import request_of
from scripts.lib.planning.cell_spec import NOT_DISABLED, override_key, prompt_spec, thinking_spec
from scripts.lib.planning.plan import find_shard, make_plan
from scripts.lib.planning.runtime_values import (
    Setting,
    context_settings,
    context_tokens,
    flash_attention,
    max_tokens_of,
    temperature_of,
    timeout_of,
    without_effect,
)
from scripts.lib.prompts.loader import load_suite
from scripts.lib.prompts.types import InferenceParams, Question
from scripts.lib.registry.types import Acceleration, Model, Registry
from scripts.lib.registry_loader import load_registry
from scripts.lib.settings.run_config import Config
from scripts.lib.weights.chat_template import with_prefill
from tests.factories.plans import FULL, planner

REGISTRY = """
runtime_defaults:
  temperature: 0.7
  context_length: 1000
  server_defaults:
    {context_length: 65536, flash_attention: true, ubatch_size: 8192, request_timeout: 900,
     parallel_slots: 2}
  context_limits: {default: 500, qwen2: 2000, qwen2_5: 3000}
  timeouts: {cell: {default: 300}}
roles:
  m:
    tier: C
    model:
      {name: Qwen2.5-Coder-7B, path: m.gguf, quant: Q8_0, size_gb: 7, architecture: dense,
       max_context: 40000}
    constraints: {flash_attention: false, ubatch_size: 1024}
    temperature_overrides: {math: 0.4}
    generation_defaults: {temperature: 0.5, n_tokens: 99}
    paged_attention: {recommended: true, block_size: 64, reason: long prompts}
    thinking_quirks: {disable_suites: [math], disable_trick: "<think>\\n</think>\\n"}
    performance: {baseline_tps: 2}
"""
SILENT = replace(
    FULL,
    context=replace(
        FULL.context,
        **dict.fromkeys(
            ("length_tokens", "batch_tokens", "micro_batch_tokens", "flash_attention"), None
        ),  # type: ignore[arg-type]
    ),
    sampling=replace(FULL.sampling, temperature=None, max_tokens=None),
    cell_timeout_s=None,
)
TWO_MODELS = replace(FULL, models=("worker_math", "worker_summarize"))
INHERITED = InferenceParams(temperature=0.3, max_tokens=4096, timeout_s=100.0)
QUESTION = Question("math", "q", 1, "q", "1 + 1?", inherited=INHERITED)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    file = tmp_path / "registry.yaml"
    file.write_text(REGISTRY)
    return load_registry(file)


def without(model: Model, **fields: object) -> Model:
    return replace(model, **fields)  # type: ignore[arg-type]


def loading(config: Config, registry: Registry, model: Model) -> dict[str, object]:
    return {
        name: setting.value for name, setting in context_settings(config, registry, model).items()
    }


def test_the_registrys_values_are_those_of_the_server(registry: Registry) -> None:
    model = without(
        registry.models["m"], max_context=None, flash_attention=None, micro_batch_tokens=None
    )
    other = without(model, name="Phi-4")
    assert loading(SILENT, registry, other) == {
        "length_tokens": 65536,
        "batch_tokens": 8192,
        "micro_batch_tokens": 8192,
        "flash_attention": True,
        "kv_type_k": "f16",
        "kv_type_v": "f16",
    }


def test_an_entrys_own_values_are_stronger(registry: Registry) -> None:
    found = context_settings(SILENT, registry, registry.models["m"])
    assert {
        name: (s.value, s.source) for name, s in found.items() if name[:2] not in ("kv", "ba")
    } == {
        "length_tokens": (40000, "roles.m.model.max_context"),
        "micro_batch_tokens": (1024, "roles.m.constraints.ubatch_size"),
        "flash_attention": (False, "roles.m.constraints.flash_attention"),
    }
    assert found["batch_tokens"].value == 2048


@pytest.mark.parametrize("wish", [True, False, "auto"])
def test_flash_attention_is_auto_unless_somebody_says_otherwise(
    registry: Registry, wish: bool | str
) -> None:
    model = without(registry.models["m"], flash_attention=None)
    silent = replace(registry, defaults=replace(registry.defaults, flash_attention=None))
    assert flash_attention(SILENT, silent, model) == Setting("auto", "built in")
    assert flash_attention(SILENT, silent, without(model, flash_attention=wish)).value == wish
    config = replace(SILENT, context=replace(SILENT.context, flash_attention=wish))
    assert flash_attention(config, registry, registry.models["m"]).value == wish


def test_the_longest_family_in_the_name_gives_the_context(registry: Registry) -> None:
    model = without(registry.models["m"], max_context=None)
    families = {"Qwen2.5-Coder-7B": 3000, "qwen2-vl": 2000, "QWEN_2_5": 3000, "Phi-4": 65536}
    assert {
        name: context_tokens(SILENT, registry, without(model, name=name)).value for name in families
    } == families
    bare = replace(registry, defaults=replace(registry.defaults, server_context_tokens=None))
    assert (
        context_tokens(SILENT, bare, without(model, name="Phi-4")).source
        == "runtime_defaults.context_limits.default"
    )


def test_the_configuration_is_stronger_than_all_and_training_cuts(registry: Registry) -> None:
    model = registry.models["m"]
    config = replace(
        SILENT,
        context=replace(SILENT.context, length_tokens=123, flash_attention=True, batch_tokens=64),
    )
    found = context_settings(config, registry, model)
    assert [found[name].value for name in ("length_tokens", "flash_attention", "batch_tokens")] == [
        123,
        True,
        64,
    ]
    cut = context_tokens(SILENT, registry, model, trained=8192)
    assert (cut.value, cut.source) == (8192, "trained for (of 40000: roles.m.model.max_context)")


def test_the_suites_values_stand_between_the_overrides_and_the_entrys_defaults(
    registry: Registry,
) -> None:
    model, general = registry.models["m"], replace(QUESTION, suite="general")
    assert temperature_of(SILENT, registry, model, QUESTION).value == 0.4
    assert temperature_of(SILENT, registry, model, general).value == 0.3
    assert (
        temperature_of(SILENT, registry, model, replace(general, inherited=InferenceParams())).value
        == 0.5
    )
    assert temperature_of(SILENT, registry, model, replace(QUESTION, temperature=1.5)).value == 1.5
    assert max_tokens_of(SILENT, model, QUESTION).value == 4096
    assert max_tokens_of(SILENT, model, replace(QUESTION, max_tokens=7)).value == 7
    assert max_tokens_of(SILENT, model, replace(QUESTION, inherited=InferenceParams())).value == 99
    assert (
        max_tokens_of(
            replace(SILENT, sampling=replace(SILENT.sampling, max_tokens=5)), model, QUESTION
        ).value
        == 5
    )


def test_what_a_suite_asks_for_is_halved_until_it_fits_the_context_and_nothing_else_is(
    registry: Registry,
) -> None:
    model = registry.models["m"]
    asked = max_tokens_of(SILENT, model, QUESTION)
    assert max_tokens_of(SILENT, model, QUESTION, room=4096) == asked
    halved = max_tokens_of(SILENT, model, QUESTION, room=4000)
    assert halved.value == 2048 and halved.source.endswith(
        ": inference_params.max_tokens (4096), halved to fit the context"
    )
    fitting = [max_tokens_of(SILENT, model, QUESTION, room).value for room in (1024, 512, 511, -5)]
    assert fitting == [1024, 512, 512, 512]
    own = replace(QUESTION, max_tokens=4096)
    assert max_tokens_of(SILENT, model, own, room=100).value == 4096


def test_times_are_longer_for_a_slow_model_and_for_one_without_a_speed(registry: Registry) -> None:
    model, bare = registry.models["m"], replace(QUESTION, inherited=InferenceParams())
    fast, unknown = without(model, performance={"baseline_tps": 40}), without(model, performance={})
    assert [timeout_of(SILENT, registry, m, QUESTION).value for m in (model, fast, unknown)] == [
        1000.0,
        100.0,
        200.0,
    ]
    assert timeout_of(SILENT, registry, fast, bare).value == 300.0
    asked = replace(registry, defaults=replace(registry.defaults, cell_timeout_s=None))
    assert timeout_of(SILENT, asked, fast, bare).value == 900.0
    nobody = replace(asked, defaults=replace(asked.defaults, request_timeout_s=None))
    assert timeout_of(SILENT, nobody, fast, bare).value == 600.0
    assert timeout_of(SILENT, registry, model, replace(QUESTION, timeout_s=9.0)).value == 9.0
    assert timeout_of(replace(SILENT, cell_timeout_s=5.0), registry, model, QUESTION).value == 5.0


def test_what_this_llama_cpp_cannot_do_is_said(registry: Registry) -> None:
    assert list(without_effect(registry, registry.models["m"])) == [
        "paged attention (blocks of 64 tokens): this llama.cpp has none",
        "server_defaults.parallel_slots 2: one stream is measured",
    ]


def test_a_plan_says_once_what_is_wanted_of_many_models() -> None:
    made = planner(replace(TWO_MODELS, models=("frontdoor", *TWO_MODELS.models)))
    models = {
        key: replace(
            model, paged_attention_tokens=64 if key in ("frontdoor", "worker_math") else None
        )
        for key, model in made.registry.models.items()
    }
    warnings = make_plan(replace(made, registry=replace(made.registry, models=models))).warnings
    wanted = "paged attention (blocks of 64 tokens): this llama.cpp has none"
    wanted += " (wanted of frontdoor, worker_math)"
    assert [line for line in warnings if "paged" in line] == [wanted]


def thinking(model: Model, has_switch: bool, suite: str = "math") -> dict[str, object]:
    weights = planner(FULL).weights["worker_math"]
    assert weights.facts is not None
    facts = replace(weights.facts, header=replace(weights.facts.header, thinking_switch=has_switch))
    return thinking_spec(replace(QUESTION, suite=suite), model, replace(weights, facts=facts))


def test_thinking_is_off_by_the_trick_by_the_switch_or_honestly_not(registry: Registry) -> None:
    model = registry.models["m"]
    plain = without(model, thinking_disable_trick="")
    assert (
        thinking(model, True)
        == thinking(model, False)
        == {"thinking": False, "prefill": "<think>\n</think>\n"}
    )
    assert thinking(plain, True) == {"thinking": False}
    assert thinking(plain, False) == {"thinking": NOT_DISABLED}
    assert (
        thinking(model, True, "general") == thinking(plain, False, "general") == {"thinking": True}
    )


def test_the_trick_begins_the_answer_and_the_template_is_not_told_besides() -> None:
    made = planner(TWO_MODELS)
    model = replace(
        made.registry.models["worker_math"],
        thinking_disable_suites=frozenset({"math"}),
        thinking_disable_trick="<think>\n</think>\n",
    )
    made = replace(
        made, registry=replace(made.registry, models={**made.registry.models, model.key: model})
    )
    cell = next(
        c for c in find_shard(make_plan(made), model.key, "baseline").cells if c.id.suite == "math"
    )
    request = request_of(cell)
    assert (request.thinking, request.prefill) == (True, "<think>\n</think>\n")


def test_a_thought_that_the_template_opens_is_not_opened_twice() -> None:
    trick = "<think>\n</think>\n"
    assert (
        with_prefill("user: hi\nassistant: ", trick) == "user: hi\nassistant: <think>\n</think>\n"
    )
    assert (
        with_prefill("user: hi\nassistant: <think>\n", trick)
        == "user: hi\nassistant: <think>\n</think>\n"
    )
    assert with_prefill("user: hi\n", "") == "user: hi\n"


def test_a_model_that_cannot_be_kept_from_thinking_is_named() -> None:
    made = planner(TWO_MODELS)
    model = replace(
        made.registry.models["worker_math"], thinking_disable_suites=frozenset({"math"})
    )
    weights = made.weights[model.key]
    assert weights.facts is not None
    facts = replace(weights.facts, header=replace(weights.facts.header, thinking_switch=False))
    made = replace(
        made,
        registry=replace(made.registry, models={**made.registry.models, model.key: model}),
        weights={**made.weights, model.key: replace(weights, facts=facts)},
    )
    plan = make_plan(made)
    said = [line for line in plan.warnings if line.startswith("thinking could not be disabled")]
    assert said and all(f"wanted of {model.key}" in line for line in said)
    cell = next(c for c in find_shard(plan, model.key, "baseline").cells if c.id.suite == "math")
    assert cell.spec["prompt"]["thinking"] == NOT_DISABLED
    assert request_of(cell).thinking is True


def test_the_system_suffix_is_sent_where_the_configuration_says_so() -> None:
    weights = planner(FULL).weights["worker_math"]
    model = replace(planner(FULL).registry.models["worker_math"], system_prompt_suffix="Be brief.")
    assert prompt_spec(QUESTION, model, weights)["system"] == ""
    assert prompt_spec(QUESTION, model, weights, system_suffix=True)["system"] == "Be brief."


def test_the_override_key_without_a_file_is_the_predecessors() -> None:
    made = planner(FULL)
    weights = made.weights["frontdoor"]
    assert weights.facts is not None
    model = replace(made.registry.models["frontdoor"], acceleration=Acceleration())
    assumed = replace(weights, facts=replace(weights.facts, fingerprint="assumed"))
    header = replace(weights.facts.header, architecture="qwen3next")
    here = replace(weights, facts=replace(weights.facts, fingerprint="f", header=header))
    assert override_key(model, assumed) == "qwen3moe.expert_used_count"
    assert override_key(model, here) == "qwen3next.expert_used_count"


def suite(tmp_path: Path, params: str) -> Path:
    file = tmp_path / "math.yaml"
    file.write_text(
        f"version: 1\ninference_params: {params}\nprompts:\n  t1_q1:\n    tier: 1\n    prompt: x\n"
        "    scoring: [{criterion: a, weight: 100}]\n"
    )
    return file


def test_a_suites_inference_params_are_its_questions(tmp_path: Path) -> None:
    found, problems = load_suite(
        suite(tmp_path, "{temperature: 0.1, max_tokens: 4096, timeout: 3600, top_k: 3}")
    )
    assert not problems
    assert found.questions[0].inherited == InferenceParams(0.1, 4096, 3600.0)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            "{max_token: 4096}",
            "inference_params.max_token: unknown key; did you mean 'max_tokens'?",
        ),
        (
            "{max_tokens: many}",
            "inference_params.max_tokens: expected a whole number from 1 to 1000000, found 'many'",
        ),
        ("[1]", "inference_params: expected a mapping, found [1]"),
    ],
)
def test_mistakes_in_inference_params_are_told(tmp_path: Path, params: str, message: str) -> None:
    _, problems = load_suite(suite(tmp_path, params))
    with pytest.raises(InputErrors) as caught:
        raise InputErrors(problems)
    assert message in str(caught.value)
