"""Score a shard's cells and write its review, or estimate judging costs.

Snakemake runs this command for every shard. An estimate asks no judge.

for example:
  python -m scripts.review --model smollm2_135m_q4_1 --mode lookup_n3
  python -m scripts.review --estimate --configfile judge.yaml
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from scripts.lib.base.command import Parser, run_job
from scripts.lib.base.errors import BenchError
from scripts.lib.base.safe_files import write_atomic
from scripts.lib.judging.answers import estimate, request_sizes, sort_answers, stored_answers
from scripts.lib.judging.batch import mix_of
from scripts.lib.judging.cost import prompt_tokens
from scripts.lib.judging.protocol import Stopped
from scripts.lib.planning.disk import for_model, load_planner, planners
from scripts.lib.planning.plan import find_shard, make_plan, seen_from_elsewhere
from scripts.lib.results.review import plan_review, review_shard
from scripts.lib.results.review_rows import to_csv
from scripts.lib.scoring.sandbox import unavailable
from scripts.lib.scoring.scorers import check_libraries
from scripts.lib.scoring.series import Item, Series
from scripts.lib.scoring.verdict_store import VerdictStore
from scripts.lib.settings.judge_config import CLAUDE, has_key
from scripts.lib.settings.run_config import Config, load_config

MOST_COUNTED = 20


def _estimate(config: Config) -> None:
    """Print what the pending answers cost, judge by judge.

    If there is an API key, Claude's API counts the tokens of a few requests.
    """
    planner, judge = load_planner(config), config.judge
    plans = (seen_from_elsewhere(make_plan(engine)) for engine in planners(planner))
    answers = list(stored_answers(plans))
    for scorer in planner.scorers:
        if scorer.series is None:
            print(f"{scorer.name}: scores {len(answers)} stored answers, free of charge")
            continue
        work = sort_answers(VerdictStore(scorer.series), answers)
        print(
            f"{scorer.series.name}: {len(work.pending)} distinct answers are pending, "
            f"{len(work.judged)} have a verdict, {work.quarantined} are in quarantined batches"
        )
        if scorer.name == CLAUDE:
            price = estimate(request_sizes(work.pending), judge.claude, mix_of(judge))
            print(
                f"  {price.requests} requests with canaries and retests: about "
                f"${price.expected_usd:.2f}, at most ${price.at_most_usd:.2f} with api: "
                f"{judge.claude.api}; a run stops before it exceeds ${judge.claude.max_usd:g}"
            )
            if work.pending and has_key():
                _count(scorer.series, list(work.pending[:MOST_COUNTED]), config)


def _count(series: Series, items: list[Item], config: Config) -> None:
    from scripts.lib.judging.claude import count_tokens

    try:
        counted = sum(asyncio.run(count_tokens(items, series.model, config.judge.claude)))
    except Stopped as stopped:
        print(f"  the API did not count: {stopped}")
        return
    estimated = sum(prompt_tokens(characters) for characters, _ in request_sizes(items))
    print(
        f"  the API counts {counted / estimated:.2f} times the input tokens estimated here "
        f"(n = {len(items)} requests)"
    )


def main(arguments: argparse.Namespace) -> None:
    """Write the review. Raises BenchError if it is not the file that --output names."""
    config = load_config(tuple(arguments.configfile))
    if arguments.estimate:
        _estimate(config)
        return
    planner = load_planner(config, hardware=arguments.hardware)
    plan = make_plan(for_model(planner, arguments.model, arguments.engine))
    if arguments.elsewhere:
        plan = seen_from_elsewhere(plan)
    review = plan_review(plan, find_shard(plan, arguments.model, arguments.mode))
    if arguments.output not in (None, review.file):
        raise BenchError(
            f"{arguments.output}: expected to write this review, but here it is {review.file}; "
            f"sandbox for code: {unavailable() or 'available'}. "
            "Snakemake and its jobs need the same sandbox"
        )
    check_libraries(review.scorers, (cell.question for cell in review.cells))
    write_atomic(Path(review.file), to_csv(review_shard(review)))


def parser() -> Parser:
    """The command line."""
    parser = Parser("scripts.review", __doc__, main)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--model", metavar="KEY", help="a key under roles: in the registry")
    words = "print what judging with judge.scorers would cost"
    what.add_argument("--estimate", action="store_true", help=words)
    parser.add_argument("--mode", default="baseline", help="a decoding mode (default: baseline)")
    parser.add_engine()
    words = "a hardware profile (default: the configuration's)"
    parser.add_argument("--hardware", metavar="NAME", help=words)
    words = "review the stored cells of another machine's profile"
    parser.add_argument("--elsewhere", action="store_true", help=words)
    words = "the file that Snakemake expects; if the review is another file, it is an error"
    parser.add_argument("--output", metavar="FILE", help=words)
    parser.add_configfile()
    return parser


if __name__ == "__main__":
    run_job(parser())
