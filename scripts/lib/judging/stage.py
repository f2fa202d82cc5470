"""The judging stage of a run: a judge is opened, the plans' answers are judged, and what had to wait is written down."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from scripts.lib.base.errors import BenchError
from scripts.lib.base.layout import LOGS
from scripts.lib.base.locks import hold
from scripts.lib.base.results_tree import drop
from scripts.lib.engines.protocol import EngineFailure, LoadSettings
from scripts.lib.engines.server_flags import probe
from scripts.lib.engines.server_start import start_server
from scripts.lib.judging.answers import Answer, Work, sort_answers, waiting_reviews
from scripts.lib.judging.batch import Batch, calibration_batch, mix_of
from scripts.lib.judging.calibration import KnownAnswer
from scripts.lib.judging.cost import Budget
from scripts.lib.judging.protocol import Judge, Stopped
from scripts.lib.judging.run import JudgeRun, RunResult, batches_in_hand
from scripts.lib.llama_build.build import server_binary
from scripts.lib.machine.process import alone_on_machine
from scripts.lib.planning.disk import judge_weights
from scripts.lib.planning.modes import Mode
from scripts.lib.planning.plan import Planner
from scripts.lib.planning.runtime_values import DEFAULT_CONTEXT
from scripts.lib.scoring.series import Item, Role, Series
from scripts.lib.scoring.verdict_store import BatchRecord, VerdictStore
from scripts.lib.settings.judge_config import LOCAL, NO_KEY, has_key
from scripts.lib.settings.run_config import Config
from scripts.lib.weights.facts import facts

SERVER_LOG = LOGS / "judge/server.log"
READY_TIMEOUT_S = 600.0


@contextlib.contextmanager
def _alone_in_series(store: VerdictStore) -> Iterator[None]:
    """Two processes would both finish the batches in hand, and pay twice. Raises Stopped where another is at it."""
    handle = hold(
        store.lock_file,
        lambda holder: Stopped(f"process {holder} is judging in this series: wait for it"),
    )
    try:
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def open_judge(series: Series, planner: Planner, budget: Budget) -> Iterator[Judge]:
    """The judge of a series; a local one's server runs as long. Raises Stopped where there is no such judge now."""
    config = planner.config.judge
    if series.scorer == LOCAL:
        with _local_server(planner) as (base_url, headers):
            from scripts.lib.judging.local import LocalJudge

            yield LocalJudge(series, config.local, base_url, headers)
        return
    # The SDK takes most of a second to import: only where it is wanted.
    from scripts.lib.judging.claude import ClaudeJudge
    from scripts.lib.judging.claude_batches import ClaudeBatchesJudge

    if not has_key():
        raise Stopped(NO_KEY)
    made = ClaudeBatchesJudge if config.claude.batched else ClaudeJudge
    yield made(series, config.claude, budget)


@contextlib.contextmanager
def _local_server(planner: Planner) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The address of the local judge's server and the headers it wants.

    A running one, else one of ours, alone on the machine like a timed shard.
    """
    config = planner.config.judge.local
    if config.url is not None:
        yield config.url, {}
        return
    known = planner.weights.get(config.model)
    path = known.path if known is not None else Path(config.model)
    if path is None or not path.is_file():
        raise Stopped(f"the local judge's weights are not on this machine: {path}")
    context = {**DEFAULT_CONTEXT, "length_tokens": config.context_tokens}
    settings = LoadSettings(path, None, Mode("baseline"), None, 0, context, planner.hardware)
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
    """Raises Stopped where another file is there than the one that the series is named for."""
    try:
        found = facts(path).fingerprint
    except (BenchError, OSError) as error:
        raise Stopped(f"the local judge's weights cannot be read: {error}") from error
    if found != planned:
        raise Stopped(
            f"the local judge's weights were replaced meanwhile ({path}): run again, as another judge"
        )


async def _judge(
    judge: Judge, store: VerdictStore, config: Config, work: Work, bar: bool
) -> RunResult:
    with tqdm(
        total=len(work.pending),
        desc=store.series.name,
        unit="answer",
        disable=None if bar else True,
    ) as progress:

        def told(item: Item) -> None:
            progress.update(item.role is Role.PAIR)

        run = JudgeRun(judge, store, told, config.judge.use_failed_batches)
        try:
            return await run.pairs(work.pending, work.judged, work.questions, mix_of(config.judge))
        finally:
            await judge.close()


def _calibration(store: VerdictStore, known: Sequence[KnownAnswer]) -> Batch:
    """The batch of these answers that an earlier call left open, else a new one."""
    new = calibration_batch(store.series, [(k.question, k.shown, k.score) for k in known])
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
    """Judge answers with known scores. Raises BenchError where the judge is not to be had."""
    store = VerdictStore(series)

    async def go(judge: Judge, batch: Batch) -> RunResult:
        with tqdm(
            total=len(batch.items), desc=series.name, unit="answer", disable=None if bar else True
        ) as progress:
            try:
                return await JudgeRun(judge, store, lambda item: progress.update()).calibrate(batch)
            finally:
                await judge.close()

    try:
        budget = Budget(planner.config.judge.claude.max_usd)
        with open_judge(series, planner, budget) as judge, _alone_in_series(store):
            batch = _calibration(store, known)
            result = asyncio.run(go(judge, batch))
    except Stopped as stopped:
        raise BenchError(f"judge {series.scorer}: {stopped}") from stopped
    if result.stopped:
        raise BenchError(f"judge {series.scorer}: {result.stopped}")
    return store.batches[batch.name]


def judge_answers(
    series: Series,
    planner: Planner,
    answers: Sequence[Answer],
    again: bool = False,
    bar: bool = True,
    beside: Sequence[Answer] = (),
    budget: Budget | None = None,
) -> RunResult:
    """Judge what has no usable verdict in the series; gives what was done. Never raises for a judge that is not to be had.

    `again`: answers of quarantined batches, too. `beside`: the other answers of the reviews, which
    are not to be judged now. `budget`: what several calls share.
    """
    store = VerdictStore(series)
    work = sort_answers(store, answers, again)
    result = RunResult()
    if work.pending or any(store.open_batches()):
        try:
            budget = budget or Budget(planner.config.judge.claude.max_usd)
            with open_judge(series, planner, budget) as judge, _alone_in_series(store):
                result = asyncio.run(_judge(judge, store, planner.config, work, bar))
        except Stopped as stopped:
            result.stopped = str(stopped)
    every = [*answers, *beside]
    settled = {
        i.shown.pair
        for i in work.pending
        if store.usable(i.shown.pair) or store.is_quarantined(i.shown.pair)
    }
    result.reviews = tuple(
        sorted({answer.review for answer in every if answer.shown.pair in settled})
    )
    result.damaged = tuple(store.damaged.values())
    store.set_unfinished(
        result.stopped, waiting_reviews(store, every), {answer.review for answer in every}
    )
    return result


def drop_reviews(result: RunResult) -> None:
    """Drop the reviews that a run outside of Snakemake made out of date: the next `snakemake results` makes them again."""
    for file in result.reviews:
        drop(Path(file))
