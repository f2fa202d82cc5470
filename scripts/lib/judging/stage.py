"""The judging stage of a run: opens a judge, judges the answers, and notes what is unfinished."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from scripts.lib.base.errors import BenchError
from scripts.lib.base.layout import LOGS
from scripts.lib.base.locks import hold
from scripts.lib.base.results_tree import drop
from scripts.lib.engines.protocol import EngineFailure, LoadSettings
from scripts.lib.engines.server_flags import probe
from scripts.lib.engines.server_start import start_server
from scripts.lib.judging.answers import (
    Answer,
    Asked,
    Work,
    asked_answers,
    sort_asked,
    waiting_reviews,
    with_known_scores,
)
from scripts.lib.judging.batch import Batch, Known, calibration_batch, mix_of
from scripts.lib.judging.calibration import KnownAnswer
from scripts.lib.judging.cost import Budget, measured
from scripts.lib.judging.pair_checks import PAIR_CHECKS
from scripts.lib.judging.pairs import SetupPair, asked_pairs
from scripts.lib.judging.protocol import Judge, Stopped
from scripts.lib.judging.run import ANSWER_CHECKS, Checks, JudgeRun, batches_in_hand
from scripts.lib.judging.run_result import Counts, RunResult, in_a_word
from scripts.lib.llama_build.build import server_binary
from scripts.lib.machine.process import alone_on_machine
from scripts.lib.planning.disk import judge_weights
from scripts.lib.planning.modes import Mode
from scripts.lib.planning.plan import Planner
from scripts.lib.planning.runtime_values import DEFAULT_CONTEXT
from scripts.lib.scoring.series import Item, Role, Series
from scripts.lib.scoring.verdict_store import BatchRecord, VerdictStore
from scripts.lib.settings.judge_config import LOCAL
from scripts.lib.weights.facts import facts

SERVER_LOG = LOGS / "judge/server.log"
READY_TIMEOUT_S = 600.0


@contextlib.contextmanager
def _alone_in_series(store: VerdictStore) -> Iterator[None]:
    """Hold the lock of a series, so that no two processes pay for the same open batches.

    Raises Stopped if another process holds it.
    """
    handle = hold(
        store.lock_file,
        lambda holder: Stopped(f"process {holder} is judging in this series; wait for it to end"),
    )
    try:
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def open_judge(store: VerdictStore, planner: Planner, budget: Budget) -> Iterator[Judge]:
    """The judge of a series; a local judge's server runs until the block ends.

    Raises Stopped if the judge is not available.
    """
    config, series = planner.config.judge, store.series
    if series.scorer == LOCAL:
        with _local_server(planner) as (base_url, headers):
            from scripts.lib.judging.local import LocalJudge

            yield LocalJudge(series, config.local, base_url, headers)
        return
    # Imported here because the SDK takes most of a second to load.
    from scripts.lib.judging.claude import ClaudeJudge
    from scripts.lib.judging.claude_batches import ClaudeBatchesJudge

    made = ClaudeBatchesJudge if config.claude.batched else ClaudeJudge
    yield made(series, config.claude, budget, measured(store))


@contextlib.contextmanager
def _local_server(planner: Planner) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The address of the local judge's server, and the headers of its requests.

    The configuration may name a running server. Otherwise one is started, which has the machine to
    itself, like a timed shard.
    """
    config = planner.config.judge.local
    if config.url is not None:
        yield config.url, {}
        return
    known = planner.weights.get(config.model)
    path = known.path if known is not None else Path(config.model)
    if path is None or not path.is_file():
        raise Stopped(f"the local judge's weights are not on this machine: {path}")
    # A series has fixed settings: another attention kernel would change a reply here and there.
    fixed = {"flash_attention": False, "length_tokens": config.context_tokens}
    context = {**DEFAULT_CONTEXT, **fixed}
    settings = LoadSettings(path, None, Mode("baseline"), {}, context, planner.hardware)
    planned = judge_weights(planner.config.judge, planner.weights)
    with alone_on_machine(f"{Path.cwd().name}: judge {config.model}"):
        _check_weights(path, planned)
        try:
            server = start_server(probe(server_binary()), settings, SERVER_LOG, READY_TIMEOUT_S)
        except EngineFailure as failure:
            raise Stopped(f"the local judge did not start: {failure}") from failure
        with server:
            yield server.client.url, server.client.headers


def _check_weights(path: Path, planned: str) -> None:
    """Raise Stopped if the weights are not those that the series is named after."""
    try:
        found = facts(path).fingerprint
    except (BenchError, OSError) as error:
        raise Stopped(f"the local judge's weights cannot be read: {error}") from error
    if found != planned:
        raise Stopped(
            f"the local judge's weights were replaced during the run ({path}); run again to judge "
            "with the new ones"
        )


def _judge(
    store: VerdictStore,
    planner: Planner,
    total: int,
    bar: bool,
    work: Callable[[JudgeRun], Awaitable[RunResult]],
    budget: Budget | None = None,
    checks: Checks = ANSWER_CHECKS,
) -> RunResult:
    """Open the judge of a series and do the work with it, `total` answers. Raises Stopped."""
    config = planner.config.judge
    budget = budget or Budget(config.claude.max_usd)
    open_before_usd = budget.open_usd

    async def go(judge: Judge, progress: tqdm[NoReturn]) -> RunResult:
        def count(item: Item) -> None:
            progress.update(item.role in (Role.PAIR, Role.CALIBRATION))

        try:
            run = JudgeRun(judge, store, count, config.use_failed_batches, checks)
            return await work(run)
        finally:
            await judge.close()

    with (
        open_judge(store, planner, budget) as judge,
        _alone_in_series(store),
        tqdm(
            total=total, desc=store.series.name, unit="answer", disable=None if bar else True
        ) as progress,
    ):
        result = asyncio.run(go(judge, progress))
    result.open_usd = budget.open_usd - open_before_usd
    return result


def _calibration(store: VerdictStore, known: Sequence[KnownAnswer]) -> Batch:
    """The batch of these answers that an earlier call left open, else a new one."""
    new = calibration_batch(store.series, [(k.question, k.shown, k.score, k.kind) for k in known])
    wanted = {item.shown.pair for item in new.items}
    for old in batches_in_hand(store):
        if {i.shown.pair for i in old.items} == wanted and all(
            i.role is Role.CALIBRATION for i in old.items
        ):
            return old
    return new


def calibrate(
    series: Series, planner: Planner, known: Sequence[KnownAnswer], bar: bool = True
) -> BatchRecord:
    """Judge answers with known scores. Raises BenchError if the judge is not available."""
    store, names = VerdictStore(series), list[str]()

    async def work(run: JudgeRun) -> RunResult:
        batch = _calibration(store, known)
        names.append(batch.name)
        return await run.calibrate(batch)

    try:
        result = _judge(store, planner, len(known), bar, work)
    except Stopped as stopped:
        raise BenchError(f"judge {series.scorer}: {stopped}") from stopped
    if result.stopped:
        raise BenchError(f"judge {series.scorer}: {result.stopped}")
    return store.batches[names[0]]


def judge_answers(
    series: Series,
    planner: Planner,
    answers: Sequence[Answer],
    again: bool = False,
    bar: bool = True,
    beside: Sequence[Answer] = (),
    budget: Budget | None = None,
) -> RunResult:
    """Judge the answers that `judge.scope` asks for and that have no usable verdict in the series.

    If the judge is unavailable, the answers stay unscored; that is not an error. `again`: judge the
    answers of quarantined batches, too. `beside`: other answers of the same reviews, which are not
    judged now. `budget`: shared by several calls.
    """
    scope = planner.config.judge.scope
    asked = list(asked_answers(series, answers, scope))
    others = list(asked_answers(series, beside, scope))
    covered = {answer.review for answer in (*answers, *beside)}
    store = VerdictStore(series)
    # Those that are not asked about measure the judge, if the checks know their scores.
    stored = (*answers, *beside)
    result, changed = _judge_asked(store, planner, asked, again, bar, budget, ANSWER_CHECKS, stored)
    _note(store, result, changed, [*asked, *others], covered)
    return result


def judge_pairs(
    series: Series,
    planner: Planner,
    pairs: Sequence[SetupPair],
    again: bool = False,
    bar: bool = True,
    budget: Budget | None = None,
) -> RunResult:
    """Let the judge compare the setups, answer by answer; see `judge_answers`."""
    asked = list(asked_pairs(series, pairs))
    store = VerdictStore(series)
    result, changed = _judge_asked(store, planner, asked, again, bar, budget, PAIR_CHECKS)
    _note(store, result, changed, asked, {review for one in asked for review in one.reviews})
    return result


def _judge_asked(
    store: VerdictStore,
    planner: Planner,
    asked: Sequence[Asked],
    again: bool,
    bar: bool,
    budget: Budget | None,
    checks: Checks,
    stored: Sequence[Answer] = (),
) -> tuple[RunResult, set[str]]:
    """Judge what has no usable verdict. (what came of it, the pairs with a new verdict)."""
    todo = sort_asked(store, asked, again)
    mix, result = mix_of(planner.config.judge), RunResult()

    def work(run: JudgeRun) -> Awaitable[RunResult]:
        with_scores = with_known_scores(store.series, todo, stored)
        # Of all suites, so that the anchors do not depend on what is asked in this run.
        questions = tuple(q for suite in planner.suites.values() for q in suite.questions)
        known = Known(questions, with_scores.judged, with_scores.checked)
        return run.pairs(with_scores.pending, known, mix)

    if todo.pending or any(store.open_batches()):
        try:
            result = _judge(store, planner, len(todo.pending), bar, work, budget, checks)
        except Stopped as stopped:
            result.stopped = str(stopped)
    result.counts = _counts(store, todo)
    result.damaged = tuple(store.damaged.values())
    pending = {item.shown.pair for item in todo.pending}
    changed = {pair for pair in pending if store.usable(pair) or store.is_quarantined(pair)}
    changed |= {item.pair for record in result.closed for item in record.items} & pending
    return result, changed


def _counts(store: VerdictStore, todo: Work) -> Counts:
    """What became of the items, by their verdicts after the run."""
    unscored, quarantined = Counter[str](), Counter[str]()
    scored = later = 0
    items = (*todo.pending, *todo.judged, *todo.quarantined)
    for item in items:
        pair = item.shown.pair
        verdict = store.usable(pair)
        if verdict is not None and verdict.score is not None:
            scored += 1
            continue
        if store.is_quarantined(pair):
            quarantined[store.why_not(pair).partition(": ")[2][:80]] += 1
            continue
        later += verdict is None
        why = verdict.scored.unscored if verdict is not None else store.why_not(pair)
        unscored[in_a_word(why)] += 1
    new = sum(store.usable(item.shown.pair) is not None for item in todo.pending)
    return Counts(len(items), scored, new, later, unscored, quarantined)


def _note(
    store: VerdictStore,
    result: RunResult,
    changed: Container[str],
    asked: Sequence[Asked],
    covered: Iterable[str],
) -> None:
    """Note which reviews changed (in the result), and which ones still wait (in the store)."""
    result.reviews = tuple(
        sorted({review for a in asked if a.item.shown.pair in changed for review in a.reviews})
    )
    store.set_unfinished(result.stopped, waiting_reviews(store, asked), covered)


def drop_reviews(result: RunResult) -> None:
    """Delete the reviews with changed verdicts; the next `snakemake results` makes them again."""
    for file in result.reviews:
        drop(Path(file))
