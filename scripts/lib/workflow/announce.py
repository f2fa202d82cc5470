"""What is said before a run: the plan in a few lines, what judging can cost."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator

from scripts.lib.base.errors import tell_notices
from scripts.lib.judging.answers import estimate, most_characters, request_size
from scripts.lib.judging.batch import mix_of
from scripts.lib.planning.disk import pending
from scripts.lib.planning.left_out import MissingWeights
from scripts.lib.planning.plan import Plan
from scripts.lib.planning.prediction import hours_text, read_measured, shard_seconds
from scripts.lib.settings.judge_config import CLAUDE, NO_KEY, has_key
from scripts.lib.workflow.targets import Workflow

NAMED_WITHOUT_DRY_RUN = 3


def summary_lines(plan: Plan, with_names: bool) -> Iterator[str]:
    """The plan in a few lines, before Snakemake's own list; a dry run names every model that is left out."""
    todo = {shard.name: pending(shard) for shard in plan.runnable}
    cells = sum(len(shard.cells) for shard in plan.runnable)
    measured = read_measured()
    seconds = sum(shard_seconds(shard, todo[shard.name], measured) for shard in plan.runnable)
    time = f", at most {hours_text(seconds)}" if seconds else ""
    yield (
        f"plan: {len(plan.runnable)} shards, {cells} cells on {plan.hardware.name} by engine {plan.engine.name}; "
        f"{sum(map(len, todo.values()))} cells in {sum(map(bool, todo.values()))} shards are to be run{time}"
    )
    reasons: dict[str, list[str]] = {}
    for item in plan.left_out:
        if item.is_model:
            reasons.setdefault(item.weights or item.reason, []).append(item.model)
    elsewhere = Counter(shard.model.key for shard in plan.shards if not shard.runnable)
    if elsewhere:
        reasons.setdefault(MissingWeights.ABSENT, []).extend(elsewhere)
    for reason, models in sorted(reasons.items(), key=lambda pair: -len(pair[1])):
        shown = (
            ", ".join(models)
            if with_names or len(models) <= NAMED_WITHOUT_DRY_RUN
            else f"{len(models)} models"
        )
        yield f"left out ({reason}): {shown}"
    for warning in plan.warnings:
        yield f"warning: {warning}"


def judge_lines(workflow: Workflow) -> Iterator[str]:
    """What is to be judged, by whom, and what it can cost: the answers themselves are not looked at."""
    reviews, config = workflow.unreviewed if workflow.judges else [], workflow.planner.config.judge
    answers = sum(len(review.cells) for review in reviews)
    for series in workflow.judges if answers else ():
        said = f"judge {series.name}: at most {answers} answers in {len(reviews)} reviews"
        if series.scorer == CLAUDE:
            sizes = (
                request_size(cell.question, most_characters(cell))
                for r in reviews
                for cell in r.cells
            )
            price = estimate(sizes, config.claude, mix_of(config))
            said += f", at most ${price.at_most_usd:.2f} by {config.claude.api} (max_usd {config.claude.max_usd:g})"
            said += "" if has_key() else f"; {NO_KEY}: without a stored verdict they stay unscored"
        yield said


def announce(workflow: Workflow, dry_run: bool) -> None:
    """Print the plans' summary, once per invocation (not in the processes that Snakemake starts)."""
    if os.environ.setdefault("EPYC_BENCH_ANNOUNCED", str(os.getpid())) == str(os.getpid()):
        tell_notices(workflow.planner.notices)
        lines = [f"left out: {fault}" for fault in workflow.planner.faults]
        lines += [f"gone on without: {problem}" for problem in workflow.damaged]
        lines += [line for plan in workflow.active for line in summary_lines(plan, dry_run)]
        print("\n".join([*lines, *judge_lines(workflow)]), file=sys.stderr)
