"""Score a shard's cells and write its review, or estimate judging costs.

Snakemake runs this command for every shard. An estimate asks no judge.

for example:
  python -m scripts.review --model smollm2_135m_q4_1 --mode lookup_n3
  python -m scripts.review --estimate --configfile judge.yaml
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path

from scripts.lib.base.command import Parser, run_job
from scripts.lib.base.errors import BenchError
from scripts.lib.base.output_forms import TERMINAL
from scripts.lib.base.safe_files import write_atomic
from scripts.lib.judging.answers import (
    Answer,
    Beside,
    Work,
    asked_answers,
    beside_answers,
    estimate,
    sort_asked,
    stored_answers,
)
from scripts.lib.judging.batch import mix_of
from scripts.lib.judging.cost import Measured, measured, prompt_tokens, size_of
from scripts.lib.judging.pair_checks import pair_canary_count
from scripts.lib.judging.pairs import asked_pairs, setup_pairs
from scripts.lib.judging.protocol import Stopped
from scripts.lib.planning.disk import for_model, load_planner, planners
from scripts.lib.planning.plan import find_shard, make_plan, seen_from_elsewhere
from scripts.lib.results.review import plan_review, review_shard
from scripts.lib.results.review_rows import to_csv
from scripts.lib.scoring.sandbox import unavailable
from scripts.lib.scoring.scorers import check_libraries
from scripts.lib.scoring.series import Item, Series
from scripts.lib.scoring.verdict_store import VerdictStore
from scripts.lib.settings.judge_config import ALL, CLAUDE, PAIRS, UNCHECKED, has_key
from scripts.lib.settings.run_config import Config, load_config

MOST_COUNTED = 20


def _estimate(config: Config) -> None:
    """Print what each scope of judging costs, judge by judge.

    If there is an API key, Claude's API counts the tokens of a few requests.
    """
    planner, judge = load_planner(config), config.judge
    plans = [seen_from_elsewhere(make_plan(engine)) for engine in planners(planner)]
    answers = list(stored_answers(plans))
    pairs = setup_pairs(plans)
    for scorer in planner.scorers:
        if scorer.series is None or scorer.pairs is None:
            print(f"{scorer.name}: scores {len(answers)} stored answers, free of charge")
            continue
        store = VerdictStore(scorer.series)
        asked = {
            scope: sort_asked(store, asked_answers(scorer.series, answers, scope))
            for scope in (UNCHECKED, ALL)
        }
        beside = {scope: _beside(store, work, answers) for scope, work in asked.items()}
        of_pairs = VerdictStore(scorer.pairs)
        asked[PAIRS] = sort_asked(of_pairs, asked_pairs(scorer.pairs, pairs))
        beside[PAIRS] = Beside(pair_canary_count, not of_pairs.accepted, len(asked[PAIRS].judged))
        known = {scope: measured(store) for scope in asked}
        known[PAIRS] = measured(of_pairs)
        print(f"{scorer.name}: {scorer.series.model}; judge.scope is {judge.scope}")
        rows = [
            [scope, *_price(work, config, known[scope], beside[scope])]
            for scope, work in asked.items()
        ]
        headers = [
            "scope",
            "pending",
            "with a verdict",
            "quarantined",
            "requests",
            "about",
            "at most",
        ]
        columns = len(headers) if scorer.name == CLAUDE else 5
        print(TERMINAL.table([row[:columns] for row in rows], headers[:columns]))
        if scorer.name == CLAUDE:
            now = judge.scope
            _remarks(asked[now], config, known[now], beside[now], scorer.series)


def _beside(store: VerdictStore, work: Work, answers: Sequence[Answer]) -> Beside:
    """What the batches of this work have beside its answers."""
    pending = {item.shown.pair for item in work.pending}
    distinct = {answer.shown.pair: answer.question for answer in answers}
    asked = (question for pair, question in distinct.items() if pair in pending)
    others = (question for pair, question in distinct.items() if pair not in pending)
    return beside_answers(asked, others, not store.accepted, len(work.judged))


def _price(work: Work, config: Config, known: Measured | None, beside: Beside) -> list[object]:
    """What one scope asks, and its price."""
    judge = config.judge
    found = estimate(map(size_of, work.pending), judge.claude, mix_of(judge), known, beside)
    counts = [len(work.pending), len(work.judged), len(work.quarantined), found.requests]
    return [*counts, f"${found.expected_usd:.2f}", f"${found.at_most_usd:.2f}"]


def _remarks(
    work: Work, config: Config, known: Measured | None, beside: Beside, series: Series
) -> None:
    """What the prices rest on, and what `max_usd` allows."""
    claude, mix = config.judge.claude, mix_of(config.judge)
    source = (
        f"medians of {known.replies} stored replies of this series"
        if known is not None
        else "the length of the texts, since too few replies are stored to measure"
    )
    print(f"  requests include canaries, checked answers and retests; 'about' rests on {source}")
    if known is None and claude.options:
        print("  effort and adaptive thinking change the tokens of a reply: 'about' may be too low")
    print(f"  a run stops before it exceeds max_usd ({claude.max_usd:g}), with api: {claude.api}")
    full = estimate(map(size_of, work.pending[: mix.pairs]), claude, mix, known, beside)
    if claude.batched and full.at_most_usd:
        at_once = int(claude.max_usd / full.at_most_usd)
        batches = -(-len(work.pending) // mix.pairs)
        print(
            f"  {batches} message batches reserve up to ${full.at_most_usd:.2f} each: max_usd lets "
            f"{min(at_once, batches)} run side by side; ${batches * full.at_most_usd:.2f} lets all"
        )
    if work.pending and has_key():
        _count(series, list(work.pending[:MOST_COUNTED]), config)


def _count(series: Series, items: list[Item], config: Config) -> None:
    from scripts.lib.judging.claude import count_tokens

    try:
        counted = sum(asyncio.run(count_tokens(items, series.model, config.judge.claude)))
    except Stopped as stopped:
        print(f"  the API did not count: {stopped}")
        return
    estimated = sum(prompt_tokens(size_of(item)) for item in items)
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
