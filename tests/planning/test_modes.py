"""Mode expansion: architectures, permissions, named modes, and a reason for each one left out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scripts.lib.planning.modes import (
    Mode,
    compatible_drafts,
    expand_modes,
    is_speculative_name,
    needs_server,
    reduced_expert_counts,
    speculates_by_leave,
)
from scripts.lib.planning.traits import Traits
from scripts.lib.registry_loader import Acceleration, Model
from scripts.lib.settings.speculators import NGRAMS
from scripts.lib.weights.architectures import Recurrence
from tests.factories.plans import DRAFT, model

BIG = model()


def names(target: Model, *others: Model) -> list[str]:
    models = {entry.key: entry for entry in (target, *others)}
    return [mode.name for mode in expand_modes(target, models).modes]


def reasons(target: Model, *others: Model) -> dict[str, str]:
    models = {entry.key: entry for entry in (target, *others)}
    return {item.mode: item.reason for item in expand_modes(target, models).left_out}


def test_dense_with_a_draft() -> None:
    assert names(BIG, DRAFT) == [
        "baseline",
        *(f"spec_d_k{k}" for k in (4, 8, 16, 24, 32, 48)),
        *(f"lookup_n{n}" for n in (3, 4, 5)),
        *(f"spec_d_k{k}_lookup" for k in (8, 16, 24)),
        *NGRAMS,
    ]


def test_dense_without_a_draft() -> None:
    assert names(BIG) == ["baseline", "lookup_n3", "lookup_n4", "lookup_n5", *NGRAMS]
    assert "no compatible draft" in reasons(BIG)["spec_*"]
    assert "has no experts" in reasons(BIG)["moe*"]


@pytest.mark.parametrize(
    "architecture",
    ["moe", "qwen3moe", "qwen3vlmoe", "mixtral", "deepseek2", "qwen35moe", "glm4moe"],
)
def test_moe_with_a_draft(architecture: str) -> None:
    found = names(replace(BIG, architecture=architecture), DRAFT)
    expected = ["baseline", "moe4", "moe6"]
    for experts in (4, 6, 8):
        expected += [f"moe{experts}_spec_d_k{k}" for k in (2, 4, 8, 16, 24)]
        expected += [f"moe{experts}_spec_d_k{k}_lookup" for k in (8, 16, 24)]
        expected += [f"moe{experts}_lookup_n{n}" for n in (3, 4, 5)]
        ngrams = NGRAMS if experts == 8 else ("ngram_mod",)
        expected += [f"moe{experts}_{ngram}" for ngram in ngrams]
    assert found == expected


@pytest.mark.parametrize(
    ("baseline", "expected"), [(8, (4, 6)), (4, ()), (6, (4,)), (10, (4, 6, 8)), (2, ())]
)
def test_expert_counts(baseline: int, expected: tuple[int, ...]) -> None:
    assert reduced_expert_counts(baseline) == expected


@pytest.mark.parametrize("architecture", ["ssm_moe_hybrid", "qwen3next"])
def test_recurrent_models_never_speculate(architecture: str) -> None:
    hybrid = replace(
        BIG,
        architecture=architecture,
        acceleration=Acceleration(
            "speculative_decoding", draft_role="d", k=16, lookup=True, experts=4
        ),
    )
    found = names(hybrid, DRAFT)
    assert found == ["baseline", "moe4", "moe6"]
    why = reasons(hybrid, DRAFT)
    assert why["spec_*"] == why["lookup_*"] and "never speculate" in why["spec_*"]
    assert "never speculate" in why["moe4_spec_d_k16_lookup"]


@pytest.mark.parametrize(
    ("changes", "gone", "reason"),
    [
        (
            {"forbid": frozenset({"speculative_decoding"})},
            "spec_*",
            "the registry forbids speculative_decoding",
        ),
        (
            {"forbid": frozenset({"prompt_lookup"})},
            "lookup_*",
            "the registry forbids prompt_lookup",
        ),
        ({"size_gb": 20.0}, "lookup_*", "prompt lookup is planned below 20 GB only"),
        ({"tier": "D"}, "spec_*", "a tier-D model is a draft itself"),
        ({"tier": "D"}, "lookup_*", "not measured on tier-D models"),
        (
            {"mmproj_path": "mmproj.gguf"},
            "spec_*",
            "a vision model with an mmproj takes no text draft",
        ),
    ],
)
def test_permissions(changes: dict[str, object], gone: str, reason: str) -> None:
    target = replace(BIG, **changes)  # type: ignore[arg-type]
    assert reason in reasons(target, DRAFT)[gone]
    assert not [name for name in names(target, DRAFT) if name.startswith(gone.rstrip("*"))]


def test_combinations_need_both_permissions() -> None:
    found = names(replace(BIG, size_gb=25.0), DRAFT)
    assert found == ["baseline", *(f"spec_d_k{k}" for k in (4, 8, 16, 24, 32, 48))]


@pytest.mark.parametrize(
    "changes",
    [
        {"architecture": "bert"},
        {"architecture": "external_api"},
        {"path": ""},
        {"backend_type": "anthropic"},
    ],
)
def test_what_does_not_generate_here_has_no_modes(changes: dict[str, object]) -> None:
    target = replace(BIG, **changes)  # type: ignore[arg-type]
    assert names(target) == [] and reasons(target)["*"]


def test_named_accelerations_are_always_planned() -> None:
    named = replace(BIG, acceleration=Acceleration("speculative_decoding", draft_role="d", k=12))
    assert "spec_d_k12" in names(named, replace(DRAFT, compatible_targets=("another",)))
    few = replace(
        BIG, architecture="moe", acceleration=Acceleration("moe_expert_reduction", experts=3)
    )
    expansion = expand_modes(few, {"m": few})
    assert "moe3" in [mode.name for mode in expansion.modes]
    assert "moe3: fewer than 4 active experts is unstable on most MoE models" in expansion.warnings
    lookup = replace(BIG, size_gb=32.0, acceleration=Acceleration("prompt_lookup", ngram_min=2))
    assert names(lookup) == ["baseline", "lookup_n2"]
    # What a lookup drafts is no speculation with a draft model.
    drafting = replace(lookup, acceleration=Acceleration("prompt_lookup", k=8))
    assert names(drafting) == ["baseline", "lookup_n3", "lookup_n4", "lookup_n5"]
    nested = Acceleration(
        alternatives=(Acceleration("speculative_decoding", draft_role="d", k=40),)
    )
    assert "spec_d_k40" in names(replace(BIG, acceleration=nested), DRAFT)


def test_a_named_draft_that_is_not_there_is_left_out_with_the_reason() -> None:
    named = replace(BIG, acceleration=Acceleration("speculative_decoding", draft_role="gone", k=8))
    assert reasons(named)["spec_gone_k8"] == "no entry 'gone' in the registry"


def test_drafts_are_found_by_name() -> None:
    models = {
        "m": BIG,
        "d": DRAFT,
        "old": replace(DRAFT, key="old", deprecated=True),
        "c": replace(DRAFT, key="c", tier="C"),
        "x": replace(DRAFT, key="x", compatible_targets=("other",)),
    }
    assert compatible_drafts(BIG, models) == ("d",)
    assert compatible_drafts(replace(BIG, name="BIG_7B"), models) == ("d",)


def test_architects_are_recommended_full_experts_and_speculation() -> None:
    architect = replace(
        BIG,
        architecture="moe",
        candidate_roles=("architect",),
        acceleration=Acceleration("speculative_decoding", draft_role="d", k=16),
    )
    assert expand_modes(architect, {"m": architect, "d": DRAFT}).recommended == "moe8_spec_d_k16"


@pytest.mark.parametrize(
    ("mode", "row"),
    [
        (Mode("baseline"), "baseline"),
        (Mode("lookup_n3", lookup_n=3), "baseline"),
        (Mode("moe4", experts=4), "moe4"),
        (Mode("moe4_spec_d_k8", experts=4, draft="d", k=8), "moe4"),
        (Mode("moe8_spec_d_k8", experts=8, draft="d", k=8, full_experts=True), "baseline"),
    ],
)
def test_speculation_is_a_column_of_its_quality_row(mode: Mode, row: str) -> None:
    assert mode.quality_row == row
    assert mode.speculative == (mode.draft is not None or mode.lookup_n is not None)


HEAD = Traits(heads=1, from_header=True)


def planned(target: Model, traits: Traits, p_min: float = 0.0) -> dict[str, Mode]:
    found = expand_modes(target, {"m": target, "d": DRAFT}, traits, p_min)
    return {mode.name: mode for mode in found.modes}


def test_a_head_drafts_alone_and_after_n_grams() -> None:
    found = planned(BIG, HEAD)
    heads = [name for name in found if name.startswith("mtp")]
    assert heads == [
        *("mtp_k2", "mtp_k4", "mtp_k8", "mtp_k2_lookup", "mtp_k2_ngram_mod"),
        *("mtp_k4_lookup", "mtp_k4_ngram_mod", "mtp_k8_lookup", "mtp_k8_ngram_mod"),
    ]
    assert found["mtp_k4_ngram_mod"].drafting == "mtp + ngram_mod"
    assert found["mtp_k4_ngram_mod"].keeps_state and not found["mtp_k4_lookup"].keeps_state
    moe = planned(BIG, replace(HEAD, experts_used=8))
    assert "moe6_mtp_k4" in moe and "moe8_mtp_k2_ngram_mod" in moe
    assert not [name for name in planned(replace(BIG, tier="D"), HEAD) if "mtp" in name]


def test_without_a_head_the_reason_says_where_it_was_looked_for() -> None:
    assert "no model.nextn_predict_layers" in reasons(BIG)["mtp_*"]
    assert "mtp_k2" in names(replace(BIG, nextn_predict_layers=1))
    left_out = expand_modes(BIG, {"m": BIG}, Traits(from_header=True)).left_out
    assert "its file has no head" in {item.mode: item.reason for item in left_out}["mtp_*"]


def test_a_least_probability_is_in_the_name_of_what_drafts() -> None:
    found = planned(BIG, HEAD, 0.5)
    assert {"spec_d_k8_p50", "spec_d_k8_p50_lookup", "mtp_k4_p50_ngram_mod"} <= found.keys()
    assert "lookup_n3" in found and found["lookup_n3"].p_min == 0.0
    assert found["mtp_k4_p50"].p_min == 0.5


@pytest.mark.parametrize(
    "name", ["mtp_k4", "moe6_mtp_k4_p50_ngram_mod", "ngram_map_k4v", "spec_d_k8_p2.5_lookup"]
)
def test_names_of_speculative_modes_are_known(name: str) -> None:
    assert is_speculative_name(name)
    assert not is_speculative_name("moe6") and not is_speculative_name("ngram_map")


@pytest.mark.parametrize(
    ("word", "recurrence", "allow", "may"),
    [
        ("dense", Recurrence.ROLLBACK, (), True),
        ("qwen35moe", Recurrence.ROLLBACK, (), True),
        ("dense", Recurrence.CHECKPOINTS, (), False),
        ("ssm_moe_hybrid", Recurrence.ROLLBACK, (), False),
        ("ssm_moe_hybrid", Recurrence.NONE, (), True),
        ("qwen3next", Recurrence.CHECKPOINTS, ("speculative_decoding",), True),
    ],
)
def test_recurrent_models_speculate_where_they_roll_back_or_the_entry_allows_it(
    word: str, recurrence: Recurrence, allow: tuple[str, ...], may: bool
) -> None:
    target = replace(BIG, architecture=word, allow=frozenset(allow), constraint_reason="tried")
    traits = Traits(recurrence=recurrence, from_header=True)
    found = expand_modes(target, {"m": target, "d": DRAFT}, traits)
    drafted = [mode for mode in found.modes if mode.speculative]
    assert bool(drafted) is may
    recurrent = recurrence is not Recurrence.NONE
    assert all(
        bool(needs_server(mode, traits)) is recurrent
        for mode in drafted
        if mode.name.endswith("lookup_n3")
    )
    opened = ("speculates though it is recurrent: the registry allows it (tried)",)
    assert found.warnings == (opened if allow else ())


def test_what_only_the_server_has_is_left_to_it() -> None:
    found = planned(BIG, HEAD, 0.5)
    for name in ("mtp_k4_p50", "ngram_mod", "spec_d_k8_p50"):
        assert "engine server only" in needs_server(found[name], HEAD), name
    plain = planned(BIG, HEAD)
    assert not needs_server(plain["lookup_n3"], HEAD) and not needs_server(plain["spec_d_k8"], HEAD)
    assert (
        needs_server(plain["spec_d_k8"], HEAD, "eagle3") == "speculator eagle3: engine server only"
    )


def test_a_recurrent_models_leave_is_told_only_where_it_needs_one() -> None:
    opened = replace(BIG, allow=frozenset({"speculative_decoding"}), constraint_reason="tried")
    whole = Traits(recurrence=Recurrence.CHECKPOINTS)
    assert speculates_by_leave(opened, whole) == "tried"
    assert speculates_by_leave(replace(opened, constraint_reason=""), whole) == "no reason given"
    assert speculates_by_leave(opened, Traits(recurrence=Recurrence.ROLLBACK)) == ""
    assert speculates_by_leave(BIG, whole) == ""
