"""Score stored answers without Snakemake, or compare two scorings.

Scores the answers of one run or of all runs, with the configured scorers or with others, and writes
the reviews. The predecessor had a command of this name.

for example:
  python -m scripts.score_benchmarks --run 2026-11-25_101500 --judge claude
  python -m scripts.score_benchmarks --judge claude --rescore
  python -m scripts.score_benchmarks --compare checks SERIES
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tabulate import tabulate

from scripts.lib.base.command import Parser, run_command
from scripts.lib.base.errors import BenchError, suggest, tell_left_out
from scripts.lib.base.layout import RUNS
from scripts.lib.base.safe_files import write_atomic
from scripts.lib.base.untrusted_text import one_line as shown
from scripts.lib.execution.run_record import read_rows
from scripts.lib.judging.answers import Answer, every_cell, stored_answers
from scripts.lib.judging.compare import Comparison, compare, scores_of
from scripts.lib.judging.cost import Budget
from scripts.lib.judging.instrument import figures
from scripts.lib.judging.run_result import summary_line
from scripts.lib.judging.stage import drop_reviews, judge_answers
from scripts.lib.planning.disk import load_planner, planners
from scripts.lib.planning.plan import Cell, Plan, Planner, make_plan, seen_from_elsewhere
from scripts.lib.results.review import plan_review, review_shard
from scripts.lib.results.review_rows import ReviewRow, to_csv
from scripts.lib.settings.judge_config import CHECKS, CLAUDE, LOCAL
from scripts.lib.settings.run_config import Config, load_config

MOST_DISAGREEMENTS = 20


def _of_run(run: str | None) -> Callable[[Cell], bool]:
    """Select the cells that a run measured, or all. Raises BenchError for an unknown run."""
    if run is None:
        return every_cell
    rows = read_rows(RUNS / run).rows
    if not rows:
        known = sorted(folder.name for folder in RUNS.iterdir()) if RUNS.is_dir() else []
        near = suggest(run, known)
        raise BenchError(f"{RUNS / run}: no such run, or it stored no cell{near}")
    digests = {row["digest"] for row in rows}
    return lambda cell: cell.digest in digests


def _judge(
    planner: Planner, answers: list[Answer], beside: list[Answer], again: bool, budget: Budget
) -> Iterator[str]:
    """Let each judge judge what is pending. Yields the line that sums up each one's run."""
    for scorer in planner.scorers:
        if scorer.series is not None:
            result = judge_answers(
                scorer.series, planner, answers, again, beside=beside, budget=budget
            )
            drop_reviews(result)
            tell_left_out(result.damaged)
            yield shown(summary_line(scorer.series.name, result))


def _summary(file: str, rows: tuple[ReviewRow, ...]) -> list[object]:
    scored = [row for row in rows if row.score is not None]
    passed = sum(row.passed is True for row in scored)
    return [file, len(rows), len(scored), passed, len(rows) - len(scored)]


def _write_reviews(plans: list[Plan], wanted: Callable[[Cell], bool]) -> None:
    """Write the reviews of the shards that hold a wanted cell, from the stored cells."""
    table = []
    for plan in plans:
        for shard in plan.shards:
            review = plan_review(plan, shard)
            if any(map(wanted, review.cells)):
                rows = review_shard(review)
                write_atomic(Path(review.file), to_csv(rows))
                table.append(_summary(review.file, rows))
    if not table:
        raise BenchError("no stored cell to score: snakemake -j8 results measures them")
    print(tabulate(table, ["review", "answers", "scored", "passed", "unscored"]))


def _rescore(
    config: Config, planner: Planner, answers: list[Answer], budget: Budget
) -> Sequence[str]:
    """Judge once more, as a new series (the next round), and show how far the rounds agree.

    Returns the lines that sum up the runs.
    """
    later = load_planner(replace(config, judge=replace(config.judge, round=config.judge.round + 1)))
    pairs = [(a.series, b.series) for a, b in zip(planner.scorers, later.scorers, strict=True)]
    judges = [(a, b) for a, b in pairs if a is not None and b is not None]
    if not judges:
        raise BenchError(
            "--rescore asks a judge once more, but no judge is configured: add --judge claude"
        )
    lines = list(_judge(later, answers, [], again=False, budget=budget))
    for first, second in judges:
        rounds = (scores_of(series.name, answers) for series in (first, second))
        _show(first.name, second.name, compare(*rounds))
    number = config.judge.round
    print(f"the pages still use round {number}; judge.round in config.yaml chooses the round")
    return lines


def _show(first: str, second: str, found: Comparison) -> None:
    print(
        f"\n{first} (first) against {second} (second): {found.both} answers scored by both, "
        f"{found.only_first} only by the first, {found.only_second} only by the second"
    )
    print(figures(found.measures))
    if not found.disagreements:
        return
    rows = []
    for item in found.disagreements[:MOST_DISAGREEMENTS]:
        reasons = [shown(side.reason)[:300] for side in (item.first, item.second)]
        rows.append([item.first.label, item.first.score, item.second.score, *reasons])
    headers = ["question", "first", "second", "the first's reason", "the second's reason"]
    widths = [28, 5, 6, 45, 45]
    print(f"\n{len(found.disagreements)} disagreements, the greatest first:")
    print(tabulate(rows, headers, tablefmt="grid", maxcolwidths=widths))


def main(arguments: argparse.Namespace) -> None:
    """Score and write the reviews, or only compare two scorings."""
    config = load_config(tuple(arguments.configfile))
    if arguments.judge:
        scorers = tuple(dict.fromkeys(arguments.judge))
        config = replace(config, judge=replace(config.judge, scorers=scorers))
    planner, wanted = load_planner(config), _of_run(arguments.run)
    plans = [seen_from_elsewhere(make_plan(engine)) for engine in planners(planner)]
    answers = list(stored_answers(plans, wanted))
    if arguments.compare:
        first, second = arguments.compare
        _show(first, second, compare(scores_of(first, answers), scores_of(second, answers)))
        return
    beside = list(stored_answers(plans, lambda cell: not wanted(cell))) if arguments.run else []
    budget = Budget(config.judge.claude.max_usd)
    lines = list(_judge(planner, answers, beside, arguments.again, budget))
    if arguments.rescore:
        lines += _rescore(config, planner, answers, budget)
    _write_reviews(plans, wanted)
    print("\n".join(lines or [f"{CHECKS}: scored the answers above, spent $0; next: nothing"]))


def parser() -> Parser:
    """The command line."""
    parser = Parser("scripts.score_benchmarks", __doc__, main)
    words = f"only the cells that this run measured; the name of a folder in {RUNS}"
    parser.add_argument("--run", metavar="RUN", help=words)
    words = (
        "score with this scorer; repeatable, pages use the first one's scores "
        "(default: judge.scorers)"
    )
    scorers = (CHECKS, CLAUDE, LOCAL)
    parser.add_argument("--judge", action="append", choices=scorers, help=words)
    words = "also judge the answers of quarantined batches again"
    parser.add_argument("--again", action="store_true", help=words)
    words = "judge once more, as a new series, and compare both"
    parser.add_argument("--rescore", action="store_true", help=words)
    words = "compare two series (python -m scripts.judge series lists them), or a series and checks"
    parser.add_argument("--compare", nargs=2, metavar="SERIES", help=words)
    parser.add_configfile()
    return parser


if __name__ == "__main__":
    run_command(parser())
