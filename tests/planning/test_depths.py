"""Questions at depths: which, how deep, and that nothing else in the plan changes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scripts.lib.planning.depths import at_depths, sample_of_workloads
from scripts.lib.planning.plan import Plan, Shard, make_plan
from scripts.lib.prompts.contexts.prose import CHARACTERS_PER_TOKEN, JOINT, prose
from scripts.lib.prompts.lengths import PROSE, prose_characters
from scripts.lib.prompts.types import Depth, depth_of
from scripts.lib.settings.run_config import Config
from tests.factories.plans import FULL, planner

SUITES = planner().suites
WORKLOADS = SUITES["workload"].questions
# Four characters per token, but two in what comes after the first thousand characters.
COUNTED = {"": {name: (n - 500) // 2 for name, n in PROSE.items()}}
ONE = replace(FULL, models=("worker_math",), suites=("workload",)).with_modes(
    ("baseline", "lookup_n3")
)


def deep(length_tokens: int, *depths: int, **changes: object) -> Config:
    context = replace(FULL.context, length_tokens=length_tokens)
    return replace(ONE, context=context, depths=(0, *depths), **changes)  # type: ignore[arg-type]


def planned(config: Config, **changes: object) -> Plan:
    return make_plan(planner(config, **{"lengths": COUNTED, **changes}))  # type: ignore[arg-type]


def shard(plan: Plan, mode: str = "baseline") -> Shard:
    return next(shard for shard in plan.shards if shard.mode.name == mode)


def test_one_question_of_each_workload_is_asked_at_each_depth_the_least_first() -> None:
    cells = shard(planned(deep(32768, 1024, 8192))).cells
    found = [cell.question for cell in cells]
    assert [q.depth_tokens for q in found] == [0] * 32 + [1024] * 8 + [8192] * 8
    assert len({q.workload for q in found[32:40]}) == 8
    assert [depth_of(q.id) for q in found[40:]] == [(depth_of(q.id)[0], 8192) for q in found[32:40]]
    assert {q.without_depth for q in found} == set(WORKLOADS)


def test_the_text_has_the_depths_tokens_by_the_vocabulary_and_precedes_the_question() -> None:
    cells = shard(planned(deep(32768, 4096))).cells
    question = cells[-1].question
    assert question.depth == Depth(4096, 4096 * 2 + 500)
    assert question.prompt_text() == f"{prose(4096 * 2 + 500)}{JOINT}{question.prompt}"
    spec = cells[-1].spec["prompt"]
    assert spec["user_characters"] == len(question.prompt_text())
    assert cells[-1].file_name.startswith(f"workload/{question.without_depth.id}@d4096.")


def test_without_depths_and_at_depth_0_every_digest_is_the_same() -> None:
    plain, more = shard(planned(deep(32768))), shard(planned(deep(32768, 4096)))
    assert [c.digest for c in plain.cells] == [c.digest for c in more.cells[:32]]


def test_a_speculative_mode_is_asked_the_questions_of_its_sample_at_each_depth() -> None:
    plan = planned(deep(32768, 1024, 4096, decoding=replace(ONE.decoding, speed_sample=1)))
    baseline, lookup = shard(plan), shard(plan, "lookup_n3")
    asked = {cell.id.question for cell in lookup.cells}
    assert len(asked) == 24 and asked <= {cell.id.question for cell in baseline.cells}
    shallow = {name for name in asked if not depth_of(name)[1]}
    assert {depth_of(name)[0] for name in asked} == shallow
    certified = {cell.id.question for cell in baseline.cells if cell.certifies}
    assert certified == asked


def test_the_sample_is_the_beginning_of_a_larger_one() -> None:
    one, two = (sample_of_workloads(WORKLOADS, count, 0) for count in (1, 2))
    assert len(one) == 8 and len(two) == 16 and set(one) < set(two)
    assert sample_of_workloads(SUITES["math"].questions, 1, 0) == ()


def test_depths_beyond_the_context_are_cut_to_the_largest_that_fits_once() -> None:
    plan = planned(deep(8192, 1024, 16384, 65536))
    depths = sorted({cell.question.depth_tokens for cell in shard(plan).cells})
    assert depths[:2] == [0, 1024] and len(depths) == 3 and depths[2] % 256 == 0
    # The longest question with its answer: 2,050 and 1,024 tokens.
    assert 4096 <= depths[2] < 8192 - 1024 - 300
    left_out = {item.place: item.reason for item in plan.left_out}
    for wanted in (16384, 65536):
        reason = left_out[f"* on workload at depth {wanted}"]
        assert reason.endswith(f"tokens before a question: asked at {depths[2]} instead")
    for cell in shard(plan).cells:
        room = 8192 - cell.question.depth_tokens * 1.02
        assert cell.spec["sampling"]["max_tokens"] < room


def test_a_cut_depth_does_not_depend_on_which_questions_are_asked() -> None:
    every = planned(deep(8192, 65536))
    some = planned(deep(8192, 65536, questions=("workload/t1_q2[1-4]*",), depth_sample=9))
    cut = {cell.question.depth_tokens for cell in shard(every).cells}
    assert {cell.question.depth_tokens for cell in shard(some).cells} == cut
    by_digest = {cell.id.question: cell.digest for cell in shard(every).cells}
    shared = [cell for cell in shard(some).cells if cell.id.question in by_digest]
    assert len(shared) == 5 and all(by_digest[c.id.question] == c.digest for c in shared)


def test_an_answer_may_be_as_long_at_every_depth() -> None:
    cells = shard(planned(deep(8192, 65536))).cells
    most = {cell.id.question: cell.spec["sampling"]["max_tokens"] for cell in cells}
    for name, tokens in most.items():
        assert tokens == most[depth_of(name)[0]]


def test_where_no_depth_fits_nothing_is_asked_at_one() -> None:
    plan = planned(deep(2800, 1024))
    assert {cell.question.depth_tokens for cell in shard(plan).cells} == {0}
    assert any(
        item.place == "* on workload at depth 1024" and item.reason.endswith("no depth fits")
        for item in plan.left_out
    )


def test_a_vocabulary_that_was_not_counted_is_estimated_and_the_plan_says_so() -> None:
    plan = planned(deep(32768, 4096), lengths={})
    assert shard(plan).cells[-1].question.depth == Depth(4096, round(4096 * CHARACTERS_PER_TOKEN))
    assert any("scripts.prompts lengths --model KEY --lock" in said for said in plan.warnings)
    assert not any("scripts.prompts lengths" in said for said in planned(deep(32768, 64)).warnings)


def test_depths_that_no_question_can_be_asked_at_are_a_warning() -> None:
    plan = planned(deep(32768, 4096, suites=("math",)))
    assert "config: depths: no selected question has a workload, so nothing" in plan.warnings[-1]


def test_a_deep_question_has_more_time_where_its_limit_is_not_given_exactly() -> None:
    cells = shard(planned(deep(32768, 10_000))).cells
    limits = {cell.id.question: cell.timeout_s for cell in cells}
    name = cells[-1].id.question
    assert limits[name] == pytest.approx(limits[depth_of(name)[0]] + 200)
    exact = shard(planned(deep(32768, 10_000, cell_timeout_s=60.0))).cells
    assert {cell.timeout_s for cell in exact} == {60.0}


def test_only_questions_that_fit_their_suites_room_are_made() -> None:
    question = WORKLOADS[0]
    made = at_depths(
        (question,), (0, 100, 300), {"workload": 310}, lambda n: 4 * n, is_counted=True
    )
    assert [q.id for q in made.questions] == [f"{question.id}@d100", f"{question.id}@d300"]
    assert made.cut == ()
    tight = at_depths(
        (question,), (0, 100, 300), {"workload": 304}, lambda n: 4 * n, is_counted=True
    )
    assert [q.depth_tokens for q in tight.questions] == [100, 256]
    assert [(cut.wanted_tokens, cut.tokens) for cut in tight.cut] == [(300, 256)]


@pytest.mark.parametrize(
    ("tokens", "characters"), [(0, 0), (125, 500), (250, 1000), (300, 1100), (400_000, 800_782)]
)
def test_characters_are_counted_at_some_lengths_and_between_them_by_proportion(
    tokens: int, characters: int
) -> None:
    assert prose_characters(tokens, "", COUNTED) == characters
    assert prose_characters(tokens, "another", COUNTED) == round(tokens * CHARACTERS_PER_TOKEN)
