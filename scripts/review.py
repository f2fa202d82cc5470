"""Score the stored cells of one shard into its review CSV, or tell what judging the stored answers would cost."""

from __future__ import annotations

if __name__ == "__main__" and not __package__:
    from _as_module import go_on

    go_on(__file__)

import argparse
import asyncio
from pathlib import Path

from scripts.lib.base.errors import BenchError, run_cli
from scripts.lib.base.process_lifetime import die_with_starter
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
    """Price what waits, judge by judge. Of Claude's requests a few are counted by the API where there is a key."""
    planner = load_planner(config)
    answers = list(
        stored_answers(seen_from_elsewhere(make_plan(engine)) for engine in planners(planner))
    )
    for scorer in planner.scorers:
        if scorer.series is None:
            print(f"{scorer.name}: scores {len(answers)} stored answers, free of charge")
            continue
        work, judge = sort_answers(VerdictStore(scorer.series), answers), config.judge
        print(
            f"{scorer.series.name}: {len(work.pending)} distinct answers wait, {len(work.judged)} have their verdict, "
            f"{work.quarantined} are of quarantined batches"
        )
        if scorer.name == CLAUDE:
            price = estimate(request_sizes(work.pending), judge.claude, mix_of(judge))
            print(
                f"  {price.requests} requests with canaries and retests: about ${price.expected_usd:.2f}, at most "
                f"${price.at_most_usd:.2f} by {judge.claude.api}; a run stops before it passes ${judge.claude.max_usd:g}"
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
    guessed = sum(prompt_tokens(characters) for characters, _ in request_sizes(items))
    print(
        f"  the API counts {counted / guessed:.2f} of the input tokens estimated here (n = {len(items)} requests)"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scripts.review", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--model", help="a key under roles: in the registry")
    what.add_argument(
        "--estimate",
        action="store_true",
        help="what judging with judge.scorers would cost; nobody is asked",
    )
    parser.add_argument("--hardware", help="a hardware profile; default: the configuration's")
    parser.add_argument(
        "--engine", choices=("embedded", "server"), help="default: the configuration's first"
    )
    parser.add_argument("--mode", default="baseline", help="a decoding mode")
    parser.add_argument(
        "--elsewhere",
        action="store_true",
        help="of another machine's profile: review the cells there are",
    )
    parser.add_argument(
        "--output", help="the file that Snakemake expects: an error where it would be another here"
    )
    parser.add_argument(
        "--configfile", action="append", default=[], type=Path, help="laid over config/config.yaml"
    )
    return parser.parse_args()


def main() -> int:
    die_with_starter()
    arguments = _arguments()
    config = load_config(tuple(arguments.configfile))
    if arguments.estimate:
        _estimate(config)
        return 0
    planner = for_model(
        load_planner(config, hardware=arguments.hardware), arguments.model, arguments.engine
    )
    plan = make_plan(planner)
    if arguments.elsewhere:
        plan = seen_from_elsewhere(plan)
    review = plan_review(plan, find_shard(plan, arguments.model, arguments.mode))
    if arguments.output not in (None, review.file):
        raise BenchError(
            f"{arguments.output}: expected to write this review, found that it is {review.file} here; sandbox for code: "
            f"{unavailable() or 'there is one'}. Snakemake and its jobs need the same sandbox"
        )
    check_libraries(review.scorers, (cell.question for cell in review.cells))
    write_atomic(Path(review.file), to_csv(review_shard(review)))
    return 0


if __name__ == "__main__":
    run_cli(main)
