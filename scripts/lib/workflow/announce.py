"""The notices before a run: the plan in a few lines, and the most that judging can cost."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence

from scripts.lib.base.errors import tell_notices
from scripts.lib.fidelity.plan import seconds
from scripts.lib.planning.left_out import MissingWeights
from scripts.lib.planning.modes import BASELINE
from scripts.lib.planning.plan import Plan
from scripts.lib.planning.prediction import hours_text
from scripts.lib.settings.judge_config import CLAUDE, NO_KEY, PAIRS, has_key
from scripts.lib.workflow.targets import Workflow

# The most models that are named for one reason: in a run, and in a dry run.
NAMED, NAMED_IN_DRY_RUN = 3, 20


def _named(names: Sequence[str], with_names: bool, many: str) -> str:
    """A few names, or `many` in place of more. A dry run (`with_names`) names more of them."""
    few = len(names) <= (NAMED_IN_DRY_RUN if with_names else NAMED)
    return ", ".join(names) if few else many


def summary_lines(workflow: Workflow, plan: Plan, with_names: bool) -> Iterator[str]:
    """The plan in a few lines. `with_names`: name up to 20 models left out for one reason."""
    todo = {shard.name: workflow.missing[shard.name] for shard in plan.runnable}
    cells = sum(len(shard.cells) for shard in plan.runnable)
    seconds = sum(workflow.times[shard.name].total_s for shard in plan.runnable)
    time = f", at most {hours_text(seconds)}" if seconds else ""
    missing, shards = sum(map(len, todo.values())), sum(map(bool, todo.values()))
    where = f"on {plan.hardware.name} by engine {plan.engine.name}"
    yield (
        f"plan: {len(plan.runnable)} shards, {cells} cells {where}; "
        f"{missing} cells in {shards} shards are to be run{time}"
    )
    reasons: dict[str, list[str]] = {}
    for item in plan.left_out:
        if item.is_model:
            reasons.setdefault(item.weights or item.reason, []).append(item.model)
    elsewhere = Counter(shard.model.key for shard in plan.shards if not shard.runnable)
    if elsewhere:
        reasons.setdefault(MissingWeights.ABSENT, []).extend(elsewhere)
    for reason, models in sorted(reasons.items(), key=lambda pair: -len(pair[1])):
        hint = " (python -m scripts.plan lists them)" if with_names else ""
        many = f"{len(models)} models{hint}"
        yield f"left out ({reason}): {_named(models, with_names, many)}"
    for warning in plan.warnings:
        yield f"warning: {warning}"


def fidelity_lines(workflow: Workflow, with_names: bool) -> Iterator[str]:
    """The comparisons of distributions in a line, and what is left out of them."""
    plan = workflow.fidelity
    if not workflow.planner.config.fidelity.measure or workflow.made.so_far:
        return
    todo = {one.name: one.pending() for one in workflow.fidelities}
    measured = workflow.measured
    total_s = sum(seconds(one, todo[one.name], measured) for one in workflow.fidelities)
    time = f", at most {hours_text(total_s)}" if total_s else ""
    cells = sum(len(one.cells) for one in workflow.fidelities)
    missing, jobs = sum(map(len, todo.values())), sum(map(bool, todo.values()))
    yield (
        f"fidelity: {len(workflow.fidelities)} configurations, {cells} blocks of text; "
        f"{missing} blocks in {jobs} configurations are to be evaluated{time}"
    )
    reasons: dict[str, list[str]] = {}
    for item in plan.left_out:
        place = item.model if item.mode == BASELINE else f"{item.model} {item.mode}"
        reasons.setdefault(item.reason, []).append(place)
    for reason, places in reasons.items():
        words = _named(places, with_names, f"{len(places)} configurations")
        yield f"no fidelity ({reason}): {words}"


def judge_lines(workflow: Workflow) -> Iterator[str]:
    """For each judge: how much it has to judge, and the most it can cost. No answer is read."""
    reviews, config = workflow.unreviewed, workflow.planner.config.judge
    if not workflow.judges or not reviews:
        return
    # Imported here: they load every check, and most runs have no judge.
    from scripts.lib.judging.answers import (
        Beside,
        beside_answers,
        estimate,
        most_characters,
        request_size,
    )
    from scripts.lib.judging.batch import mix_of
    from scripts.lib.judging.pair_checks import pair_canary_count
    from scripts.lib.judging.pairs import most_compared, setup_pairs
    from scripts.lib.scoring.scorers import is_asked

    if config.scope == PAIRS:
        pairs = setup_pairs(workflow.active)
        asked = [cell for pair in pairs for cell in most_compared(pair)]
        sizes = [request_size(cell.question, most_characters(cell), 2) for cell in asked] * 2
        what = f"at most {len(asked)} comparisons (pairs of setups: {len(pairs)}), in both orders"
        beside = Beside(pair_canary_count, judged=len(sizes))
    else:
        cells = [cell for review in reviews for cell in review.cells]
        asked = [cell for cell in cells if is_asked(config.scope, cell.question)]
        sizes = [request_size(cell.question, most_characters(cell)) for cell in asked]
        # The most that batches can have: no answer is known to be judged, or to be stored twice.
        others = (cell.question for cell in cells if not is_asked(config.scope, cell.question))
        questions = (cell.question for cell in asked)
        beside = beside_answers(questions, others, first=True, judged=len(asked))
        what = f"at most {len(asked)} answers in {len(reviews)} reviews"
        if not asked:
            what = f"nothing to ask: the checks score all {len(cells)} answers fully (judge.scope)"
        elif len(asked) < len(cells):
            what += f" (the checks score the other {len(cells) - len(asked)} answers fully)"
    for series in workflow.judges:
        line = f"judge {series.name}: {what}"
        if series.scorer == CLAUDE and asked:
            price = estimate(sizes, config.claude, mix_of(config), None, beside).at_most_usd
            limit = f"(max_usd {config.claude.max_usd:g})"
            line += f", at most ${price:.2f} by {config.claude.api} {limit}"
            if not has_key():
                line += f"; {NO_KEY}: answers without a stored verdict stay unscored"
        yield line


def announce(workflow: Workflow, dry_run: bool) -> None:
    """Print the plans' summary, once per invocation: not in the processes that Snakemake starts."""
    if os.environ.setdefault("EPYC_BENCH_ANNOUNCED", str(os.getpid())) == str(os.getpid()):
        tell_notices(workflow.planner.notices)
        lines = [f"left out: {fault}" for fault in workflow.planner.faults]
        lines += [f"continuing without: {problem}" for problem in workflow.damaged]
        lines += [
            line for plan in workflow.active for line in summary_lines(workflow, plan, dry_run)
        ]
        lines += fidelity_lines(workflow, dry_run)
        print("\n".join([*lines, *judge_lines(workflow)]), file=sys.stderr)
