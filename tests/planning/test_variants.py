"""Planning of variants: only their cells are new, and what cannot run is left out with a reason."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scripts.lib.machine.profiles import load_hardware
from scripts.lib.planning.plan import Plan, Planner, find_shard, make_plan
from scripts.lib.planning.variant_checks import variant_problems
from scripts.lib.settings.variants import Variant
from tests.factories.plans import FULL, planner

SMALL = replace(FULL, models=("worker_math",), suites=("math",)).with_modes(("baseline",))


def variant(name: str, **changes: object) -> Variant:
    parts = {"modes": ("baseline",), "models": ("*",), "context": {}, "hardware": {}, "loading": {}}
    return Variant(name, **parts | changes)  # type: ignore[arg-type]


KV = variant("kv", context={"kv_type_k": "q8_0"})
HALF = variant("half", hardware={"threads": 48})


def with_variants(*variants: Variant, profile: str = "epyc-9655") -> Planner:
    return planner(replace(SMALL, variants=variants), hardware=load_hardware(profile))


def digests(plan: Plan) -> dict[str, set[str]]:
    return {shard.mode.name: {cell.digest for cell in shard.cells} for shard in plan.shards}


def reasons(made: Planner) -> dict[str, str]:
    return {x.mode: x.reason for x in make_plan(made).left_out if x.model == "worker_math"}


def test_a_variant_adds_its_cells_and_leaves_all_others_as_they_are() -> None:
    before, after = (digests(make_plan(with_variants(*v))) for v in ((), (KV, HALF)))
    assert after.keys() == {"baseline", "baseline@kv", "baseline@half"}
    assert after["baseline"] == before["baseline"]
    assert len(set.union(*after.values())) == 3 * len(before["baseline"])


def test_the_spec_differs_in_what_the_variant_changes_only() -> None:
    plan = make_plan(with_variants(KV, HALF, variant("plain", loading={"repack": False})))

    def spec(mode: str) -> dict[str, object]:
        return dict(find_shard(plan, "worker_math", mode).cells[0].spec)

    usual = spec("baseline")
    assert spec("baseline@kv") == usual | {"context": usual["context"] | {"kv_type_k": "q8_0"}}  # type: ignore[operator]
    changed = usual["hardware"] | {"threads": 48, "batch_threads": 48}  # type: ignore[operator]
    assert spec("baseline@half") == usual | {"hardware": changed}
    assert spec("baseline@plain") == usual | {"loading": {"repack": False}}
    assert find_shard(plan, "worker_math", "baseline@half").hardware.threads == 48


def test_a_variant_has_its_own_base_and_is_asked_the_same_questions() -> None:
    both = variant("kv", context={"kv_type_k": "q8_0"}, modes=("baseline", "lookup_n3"))
    config = replace(SMALL, variants=(both,)).with_modes(("baseline", "lookup_n3"))
    plan = make_plan(planner(config))
    way = find_shard(plan, "worker_math", "lookup_n3@kv")
    assert (way.mode.quality_row, way.mode.plain_name) == ("baseline@kv", "lookup_n3")
    usual = find_shard(plan, "worker_math", "lookup_n3")
    assert [c.question for c in way.cells] == [c.question for c in usual.cells]


def test_modes_of_a_variant_need_not_be_among_the_usual_modes() -> None:
    plan = make_plan(with_variants(replace(KV, modes=("lookup_n3",))))
    assert digests(plan).keys() == {"baseline", "lookup_n3@kv"}


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (variant("x", hardware={"threads": 97}), "97 threads on 96 CPUs"),
        (variant("x", hardware={"threads": 0}), "expected a number of threads from 1"),
        (variant("x", hardware={"cpus": "0-47"}), "96 threads on 48 CPUs"),
        (variant("x", hardware={"numa": "everywhere"}), "numa: expected null or a policy such as"),
        (variant("x", hardware={"threads": 96}), "threads 96: the same as without the variant"),
        (variant("x", context={"kv_type_k": "f16"}), "the same as without the variant"),
        (
            variant("x", context={"kv_type_v": "q8_0", "flash_attention": False}),
            "a V cache of q8_0 needs flash attention, which is false",
        ),
        (
            variant("x", context={"kv_type_k": "q8_0"}, modes=("lokup*",)),
            "the model has no mode lokup*",
        ),
    ],
)
def test_a_variant_that_no_model_can_run_in_is_refused(changed: Variant, reason: str) -> None:
    made = with_variants(changed)
    (problem,) = variant_problems(made)
    assert problem.place == "variants.x" and reason in problem.message
    assert reason in reasons(made)["*@x"]
    assert digests(make_plan(made)).keys() == {"baseline"}


def test_a_variant_of_a_model_that_is_not_selected_is_refused() -> None:
    (problem,) = variant_problems(with_variants(replace(KV, models=("worker_mth",))))
    assert "no selected model is called worker_mth; did you mean 'worker_math'?" in str(problem)


def test_numbers_of_a_list_that_do_not_fit_are_left_out_only() -> None:
    lists = [
        variant(f"t{n}", hardware={"threads": n}, sweep="t", swept="threads") for n in (1, 96, 512)
    ]
    made = with_variants(*lists)
    assert not list(variant_problems(made))
    assert digests(make_plan(made)).keys() == {"baseline", "baseline@t1"}
    assert reasons(made).keys() >= {"*@t96", "*@t512"}


def test_a_variant_of_the_context_fits_a_profile_of_any_machine() -> None:
    profile = replace(load_hardware("reference-vm-2c"), threads=60_000, batch_threads=60_000)
    made = planner(replace(SMALL, variants=(KV,)), hardware=profile)
    assert not list(variant_problems(made))
    assert digests(make_plan(made)).keys() == {"baseline", "baseline@kv"}


def test_without_cpus_this_machine_limits_the_threads() -> None:
    made = with_variants(variant("x", hardware={"threads": 60_000}), profile="reference-vm-2c")
    assert "60000 threads on" in str(*variant_problems(made))
