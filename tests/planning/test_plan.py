"""Planning: what is in a digest, which drafts fit, which questions speed modes run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from scripts.lib.base.errors import BenchError, InputErrors
from scripts.lib.machine.profiles import load_hardware
from scripts.lib.planning.cell_spec import Weights, mode_spec
from scripts.lib.planning.modes import Mode
from scripts.lib.planning.plan import (
    Planner,
    find_shard,
    make_plan,
    needed_weights,
)
from scripts.lib.planning.reasons import vocabulary_mismatch
from scripts.lib.planning.sampling import sample_questions
from scripts.lib.prompts.types import InferenceParams
from scripts.lib.settings.run_config import Config
from scripts.lib.weights.facts import WeightsFacts
from scripts.lib.weights.gguf_header import read_header
from tests.factories.plans import FULL, REGISTRY, SUITES, planner
from tests.factories.tiny_models import write_model

COMMA = 300  # stands for Qwen3-Coder's comma as BOS


def cell_digest(
    made: Planner,
    model: str = "worker_math",
    mode: str = "baseline",
    question: str = "t1_q1_apples",
) -> str:
    shard = find_shard(make_plan(made), model, mode)
    return next(cell.digest for cell in shard.cells if cell.id.question == question)


def facts(path: Path) -> Weights:
    return Weights(WeightsFacts("f", (), 1, read_header(path)), path, True, False)


# Planning the whole catalogue takes a second.
SMALL = replace(FULL, models=("worker_math", "worker_summarize"), suites=("math", "general"))


@pytest.mark.parametrize(
    ("config", "changes_digest"),
    [
        (replace(SMALL, sampling=replace(SMALL.sampling, top_p=0.5)), True),
        (replace(SMALL, sampling=replace(SMALL.sampling, seed=1)), True),
        (replace(SMALL, sampling=replace(SMALL.sampling, max_tokens=77)), True),
        (replace(SMALL, context=replace(SMALL.context, batch_tokens=64)), True),
        (replace(SMALL, measurement_epoch=1), True),
        (replace(SMALL, cell_timeout_s=1.0), False),
        (replace(SMALL, models=("worker_math",)), False),
        (replace(SMALL, tiers=(1,)), False),
        (replace(SMALL, suites=("math",)), False),
        (replace(SMALL, decoding=replace(SMALL.decoding, speed_sample=9)), False),
        (replace(SMALL, repeats=2), False),
    ],
)
def test_what_is_in_the_digest(config: Config, changes_digest: bool) -> None:
    assert (cell_digest(planner(config)) != cell_digest(planner(SMALL))) == changes_digest


def test_another_machine_use_is_another_cell_and_another_name_is_not() -> None:
    hardware = load_hardware("epyc-9655")
    assert cell_digest(planner(SMALL, hardware=replace(hardware, name="other"))) == cell_digest(
        planner(SMALL)
    )
    assert cell_digest(planner(SMALL, hardware=replace(hardware, threads=48))) != cell_digest(
        planner(SMALL)
    )
    assert cell_digest(
        planner(SMALL, hardware=replace(hardware, bandwidth_gb_per_s=1.0))
    ) == cell_digest(planner(SMALL))


def test_a_draft_with_the_same_vocabulary_fits(tmp_path: Path) -> None:
    target, draft = write_model(tmp_path / "t.gguf"), write_model(tmp_path / "d.gguf", "draft")
    assert vocabulary_mismatch(facts(target), facts(draft), "d") == ""


@pytest.mark.parametrize(
    ("kind", "bos", "message"),
    [
        ("other_vocab", 1, "token texts"),
        ("draft", COMMA, f"BOS token 1 in the target, {COMMA} in the draft"),
    ],
)
def test_a_draft_that_does_not_fit_is_refused_with_both_values(
    tmp_path: Path, kind: str, bos: int, message: str
) -> None:
    target, draft = (
        write_model(tmp_path / "t.gguf"),
        write_model(tmp_path / "d.gguf", kind, bos=bos),
    )
    assert message in vocabulary_mismatch(facts(target), facts(draft), "d")


def test_the_comma_bos_of_qwen3_coder(tmp_path: Path) -> None:
    """The family's BOS is the comma: only a draft with that BOS fits."""
    coder = facts(write_model(tmp_path / "coder.gguf", "moe", bos=COMMA))
    ordinary = facts(write_model(tmp_path / "draft.gguf", "draft"))
    transplant = facts(write_model(tmp_path / "transplant.gguf", "draft", bos=COMMA))
    weights = {**planner().weights, "frontdoor": coder, "draft_qwen3_coder_0_75b": ordinary}
    config = replace(FULL, models=("frontdoor",))
    plan = make_plan(planner(config, weights=weights))
    assert not [shard for shard in plan.shards if shard.mode.draft]
    reasons = {item.reason for item in plan.left_out if item.mode.startswith("moe4_spec")}
    (reason,) = reasons
    assert "'draft_qwen3_coder_0_75b' does not fit" in reason
    assert f"BOS token {COMMA} in the target, 1 in the draft" in reason
    fitting = planner(config, weights=weights | {"draft_qwen3_coder_0_75b": transplant})
    assert [shard for shard in make_plan(fitting).shards if shard.mode.draft]


def test_speed_modes_run_a_stable_sample_over_the_tiers() -> None:
    questions = SUITES["math"].questions
    two = sample_questions(questions, 2, 0)
    assert len(two) == 2 and {question.tier for question in two} == {1, 2}
    assert two == sample_questions(questions[::-1], 2, 0)[::-1]
    assert sample_questions(questions, 99, 0) == questions


def test_baseline_runs_all_questions_and_certifies_the_sampled_ones() -> None:
    plan = make_plan(planner(SMALL))
    baseline, lookup = (
        find_shard(plan, "worker_math", "baseline"),
        find_shard(plan, "worker_math", "lookup_n3"),
    )
    sampled = {(cell.id.suite, cell.id.question) for cell in lookup.cells}
    assert sampled == {
        (cell.id.suite, cell.id.question) for cell in baseline.cells if cell.certifies
    }
    assert len(sampled) < len(baseline.cells)


def test_architects_recommended_mode_is_full_experts_with_a_draft() -> None:
    architects = replace(FULL, models=("architect_coding", "architect_general"))
    recommended = make_plan(planner(architects)).recommended
    assert recommended["architect_coding"] == "moe8_spec_draft_qwen3_coder_0_75b_k16"
    assert recommended["architect_general"] == "moe8_spec_draft_qwen3_0_6b_q8_0_k16"


def test_mode_specs_are_resolved() -> None:
    model = REGISTRY.models["frontdoor"]
    weights = Weights(WeightsFacts.assumed(model), None, True, False)
    spec = mode_spec(Mode("x", experts=6, lookup_n=4), model, weights, None, FULL.decoding)
    assert spec == {
        "experts": 6,
        "override_key": "qwen3moe.expert_used_count",
        "lookup_n": 4,
        "lookup_draft_tokens": 16,
    }


def test_the_whole_catalogue_is_planned() -> None:
    plan = make_plan(planner())
    assert len(plan.shards) > 1200
    assert len({shard.folder for shard in plan.shards}) == len(plan.shards)
    assert all(shard.cells for shard in plan.shards)
    hybrid = [shard.mode.name for shard in plan.shards if shard.model.key == "ingest_long_context"]
    assert hybrid == ["baseline", "moe4", "moe6"]


def test_unknown_names_are_all_reported() -> None:
    with pytest.raises(InputErrors) as caught:
        make_plan(planner(replace(FULL, models=("frontdor",), suites=("maths",))))
    assert "'frontdor' names nothing; did you mean 'frontdoor'?" in str(caught.value)
    assert "'maths' names nothing; did you mean 'math'?" in str(caught.value)


def test_a_v_cache_that_needs_flash_attention_is_refused_without_it() -> None:
    """llama.cpp would refuse to load: "quantized V cache requires flash_attn to be enabled"."""
    context = replace(FULL.context, kv_type_v="q8_0", flash_attention=False)
    with pytest.raises(InputErrors) as caught:
        make_plan(planner(replace(FULL, models=("worker_math",), context=context)))
    assert str(caught.value) == (
        "config: context.kv_type_v: q8_0 needs flash attention (llama.cpp does not load "
        "such a V cache without it), which is false for worker_math (config: "
        "context.flash_attention); make it auto or true, or take f16"
    )
    for wish, kv_type in (("auto", "q8_0"), (True, "q4_0"), (False, "bf16"), (None, "q4_0")):
        fine = replace(context, flash_attention=wish, kv_type_v=kv_type)
        spec = make_plan(planner(replace(FULL, models=("worker_math",), context=fine))).shards[0]
        assert spec.cells[0].spec["context"]["kv_type_v"] == kv_type


def test_the_entry_that_has_no_flash_attention_is_named_with_its_key() -> None:
    context = replace(FULL.context, kv_type_v="q8_0", flash_attention=None)
    entries = {**REGISTRY.models}
    entries["worker_math"] = replace(entries["worker_math"], flash_attention=False)
    made = planner(replace(FULL, context=context), registry=replace(REGISTRY, models=entries))
    with pytest.raises(
        InputErrors,
        match=r"is false for worker_math \(roles\.worker_math\.constraints\.flash_attention\)",
    ):
        make_plan(made)
    others = replace(made.config, models=("*", "!worker_math"))
    assert make_plan(replace(made, config=others)).shards


def test_speculation_asked_outright_of_a_recurrent_model_is_an_error_naming_the_rule() -> None:
    asked = replace(FULL, models=("ingest_long_context",))
    message = "'lookup_n3' is asked of ingest_long_context: recurrent state cannot be rolled back"
    with pytest.raises(InputErrors, match=message):
        make_plan(planner(asked.with_modes(("lookup_n3",))))
    # A job of one model has the modes of all: its baseline is planned.
    plan = make_plan(planner(asked.with_modes(("baseline", "lookup_n3"))))
    assert [shard.mode.name for shard in plan.shards] == ["baseline"]
    assert any(message in warning for warning in plan.warnings)
    for modes in (("baseline", "moe4"), ("lookup_*", "baseline")):
        plan = make_plan(planner(asked.with_modes(modes)))
        assert not any(
            s.mode.speculative for s in plan.shards if s.model.key == "ingest_long_context"
        )
    plan = make_plan(planner(asked.with_modes(("*",))))
    for mode in ("lookup_n3", "spec_draft_qwen3_1_7b_q8_0_k8", "moe4_lookup_n3"):
        with pytest.raises(BenchError, match="left out of the plan: recurrent state"):
            find_shard(plan, "ingest_long_context", mode)


@pytest.mark.parametrize(
    ("mode", "why"),
    [
        ("mtp_k4", "'mtp_k4' is asked of worker_math: its file is not known here, and the entry"),
        ("moe4_mtp_k4", "'moe4_mtp_k4' is asked of worker_math"),
        ("lookup_n33", "'lookup_n33' is asked of worker_math, which has no such mode; did you "),
        ("spec_nobody_k8", "'spec_nobody_k8' is asked of worker_math, which has no such mode"),
    ],
)
def test_a_speculative_mode_that_no_named_model_has_is_a_warning(mode: str, why: str) -> None:
    config = replace(FULL, models=("worker_math",))
    plan = make_plan(planner(config.with_modes(("baseline", mode))))
    (warning,) = (text for text in plan.warnings if "is asked of" in text)
    assert warning.startswith(f"config: decoding.modes: {why}")
    assert [shard.mode.name for shard in plan.shards] == ["baseline"]
    # One that is asked of several models is for those that have it; a pattern may fit nothing.
    head = replace(REGISTRY.models["worker_summarize"], nextn_predict_layers=1)
    registry = replace(REGISTRY, models={**REGISTRY.models, "worker_summarize": head})
    both = replace(config, models=("worker_math", "worker_summarize"), engines=("server",))
    plan = make_plan(planner(both.with_modes(("baseline", "mtp_k4")), registry=registry))
    assert [s.model.key for s in plan.shards if s.mode.mtp] == ["worker_summarize"]
    pattern = replace(config, models=("worker_m*",)).with_modes(("baseline", mode))
    assert not [text for text in make_plan(planner(pattern)).warnings if "is asked of" in text]


def test_a_head_that_is_asked_for_by_command_and_is_not_there_is_told() -> None:
    with pytest.raises(BenchError, match="worker_math mtp_k4: left out of the plan: its file"):
        find_shard(
            make_plan(planner(replace(FULL, models=("worker_math",)))), "worker_math", "mtp_k4"
        )


def test_a_suite_that_no_role_has_is_asked_where_it_is_named() -> None:
    shipped = planner().suites
    other = replace(shipped["math"], name="humaneval")
    suites = {**shipped, "humaneval": other}
    named = planner(replace(FULL, suites=("humaneval",)), suites=suites)
    assert len(named.questions(REGISTRY.models["worker_math"])) == len(other.questions)
    everything = planner(replace(FULL, suites=("*",)), suites=suites).questions(
        REGISTRY.models["worker_math"]
    )
    assert everything == planner().questions(REGISTRY.models["worker_math"])


def test_questions_that_cannot_be_asked_are_left_out_by_name() -> None:
    short = replace(
        FULL,
        context=replace(FULL.context, length_tokens=4096),
        models=("frontdoor", "worker_vision"),
    )
    left_out = {
        (item.model, item.place): item.reason for item in make_plan(planner(short)).left_out
    }
    reason = left_out[("frontdoor", "* on long_context/t3_q3_incident")]
    assert reason == (
        "longer, with its answer, than the context of 4096 tokens, "
        "by estimate (scripts.prompts lengths counts)"
    )
    assert ("frontdoor", "* on long_context/t1_q1_document_code") not in left_out
    assert "projector" in left_out[("worker_vision", "* on vl/t1_q1_bar_chart")]
    assert left_out[("worker_vision", "baseline")].startswith("no question that it can be asked")


def test_a_suite_that_asks_for_long_answers_is_put_to_a_model_of_short_context() -> None:
    math = planner().suites["math"]
    suites = {
        "math": replace(
            math,
            questions=tuple(
                replace(question, max_tokens=None, inherited=InferenceParams(max_tokens=4096))
                for question in math.questions
            ),
        )
    }
    short = replace(
        FULL, context=replace(FULL.context, length_tokens=4096), models=("worker_math",)
    )
    made = make_plan(planner(short, suites=suites))
    cells = [cell for shard in made.shards for cell in shard.cells if cell.id.suite == "math"]
    assert cells and {cell.spec["sampling"]["max_tokens"] for cell in cells} == {2048}
    assert any(
        "halved until they fit the context (wanted of worker_math)" in said
        for said in made.warnings
    )


def test_only_the_weights_that_a_configuration_needs_are_to_be_hashed() -> None:
    coder = replace(FULL, models=("frontdoor",))
    assert needed_weights(planner(coder.with_modes(("baseline", "moe6")))) == ("frontdoor",)
    with_drafts = needed_weights(planner(coder.with_modes(("*",))))
    assert with_drafts[0] == "frontdoor" and "draft_qwen3_coder_0_75b" in with_drafts
    assert all(REGISTRY.models[key].tier == "D" for key in with_drafts[1:])
    judge = replace(
        coder.judge,
        scorers=("checks", "local"),
        local=replace(coder.judge.local, model="worker_math"),
    )
    judged = replace(coder, judge=judge).with_modes(("baseline",))
    assert needed_weights(planner(judged)) == ("frontdoor", "worker_math")
    assert needed_weights(planner(replace(judged, models=("!*",)).with_modes(("*",)))) == (
        "worker_math",
    )
