"""Judging a set of answers: batches are made, asked, stored reply by reply, checked whole, and accepted or quarantined.

Every verdict is on disk as it comes, and every batch is a file from before its first request until
it is closed: after a crash the next run goes on where this one ended and pays for nothing twice
that it got an answer for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from scripts.lib.base.errors import Problem
from scripts.lib.base.stored_json import believed, now_utc
from scripts.lib.judging.batch import Batch, BatchFile, Mix, make_batch
from scripts.lib.judging.instrument import findings
from scripts.lib.judging.protocol import Judge, Stopped
from scripts.lib.prompts.types import Question
from scripts.lib.scoring.judge_prompt import Malformed, score_reply
from scripts.lib.scoring.rubric import QuestionScore
from scripts.lib.scoring.series import Item, Reply, Role
from scripts.lib.scoring.verdict_store import (
    ACCEPTED,
    CALIBRATION,
    QUARANTINED,
    BatchRecord,
    ItemOutcome,
    JudgeVerdict,
    VerdictStore,
    outcome,
)

# A judge that failed so many batches in a row is not paid for another one.
MOST_QUARANTINED_IN_A_ROW = 2
# A batch is checked when so many of its canaries were answered; with fewer it stays open for the
# next run.
LEAST_CANARIES_ANSWERED = 0.5


@dataclass(slots=True)
class RunResult:
    """What a run did: replies received, what they cost, the batches it closed, and why it stopped early (empty: it did not).

    `reviews`: the files of which it changed an answer's verdict. `damaged`: stored records that
    were left out.
    """

    replies: int = 0
    usd: float = 0.0
    closed: list[BatchRecord] = field(default_factory=list)
    stopped: str = ""
    reviews: tuple[str, ...] = ()
    damaged: tuple[Problem, ...] = ()


def _scored(item: Item, reply: Reply) -> QuestionScore:
    if reply.content is None:
        return QuestionScore((), unscored=reply.failure)
    try:
        return score_reply(item.shown, reply.content)
    except Malformed as error:
        return QuestionScore((), unscored=f"malformed reply: {error}")


def _mine(store: VerdictStore, batch: Batch, item: Item) -> JudgeVerdict | None:
    """The verdict that this batch has for an item; one that another batch left behind does not count."""
    verdict = store.read(item.digest)
    return verdict if verdict is not None and verdict.batch == batch.name else None


def _outcomes(
    store: VerdictStore, batch: Batch, verdicts: Mapping[str, JudgeVerdict]
) -> Iterator[ItemOutcome]:
    own = {item.shown.pair: item.digest for item in batch.items if item.role is Role.PAIR}
    for item in batch.items:
        first = None
        if item.role is Role.RETEST:
            pair = item.shown.pair
            earlier = verdicts.get(own[pair]) if pair in own else store.usable(pair)
            first = earlier.score if earlier is not None else None
        yield outcome(item, verdicts.get(item.digest), first)


def _is_ripe(outcomes: Sequence[ItemOutcome]) -> bool:
    canaries = [item for item in outcomes if item.role is Role.CANARY]
    answered = sum(item.answered for item in canaries)
    return answered >= LEAST_CANARIES_ANSWERED * len(canaries)


def batches_in_hand(store: VerdictStore) -> list[Batch]:
    """The batches that an earlier run left open, the oldest first. The answers of a damaged one are asked anew."""
    damaged: list[Problem] = []
    found = list(
        believed(
            store.open_batches(), lambda name: BatchFile(store.open_file(name)).load(), damaged
        )
    )
    store.damaged |= {problem.file: problem for problem in damaged}
    return found


class JudgeRun:
    """One run of one judge over its store. `told` is called with every item that got its reply (for a progress bar).

    `use_failed`: batches that fail the instrument checks are accepted all the same; their findings
    are recorded.
    """

    def __init__(
        self,
        judge: Judge,
        store: VerdictStore,
        told: Callable[[Item], object] = lambda item: None,
        use_failed: bool = False,
    ):
        self._judge, self._store, self._told, self._use_failed = judge, store, told, use_failed
        self.result = RunResult()

    async def pairs(
        self,
        pairs: Sequence[Item],
        judged: Sequence[Item],
        questions: Mapping[str, Question],
        mix: Mix,
    ) -> RunResult:
        """Judge `pairs` (none of which has a usable verdict), after the batches that an earlier run left open.

        `judged`: answers with a verdict, to draw retests from; `questions`: label -> question.
        """
        left_open = batches_in_hand(self._store)
        in_hand = {
            item.digest for batch in left_open for item in batch.items if item.role is Role.PAIR
        }
        todo = [item for item in pairs if item.digest not in in_hand]
        new = (
            make_batch(
                self._judge.series, part, judged, [questions[item.label] for item in part], mix
            )
            for part in (
                todo[start : start + mix.pairs] for start in range(0, len(todo), mix.pairs)
            )
        )
        await self._all([*left_open], new)
        return self.result

    async def calibrate(self, batch: Batch) -> RunResult:
        """Judge a batch of answers with known scores; it is recorded as a calibration, its verdicts score nothing."""
        await self._all([], iter([batch]))
        return self.result

    async def _all(self, left_open: list[Batch], new: Iterator[Batch]) -> None:
        """Keep as many batches in hand as the judge wants; the first reason to stop ends the run after those in hand."""
        waiting = iter(left_open)
        slots = asyncio.Semaphore(self._judge.batches_at_once)

        async def complete(batch: Batch) -> None:
            try:
                await self._complete(batch)
            except Stopped as stopped:
                self.result.stopped = self.result.stopped or str(stopped)
            finally:
                slots.release()

        try:
            async with asyncio.TaskGroup() as group:
                while not self.result.stopped:
                    await slots.acquire()
                    # Beside the loop: canaries and their checks take tens of milliseconds, in which
                    # replies come in.
                    batch = next(waiting, None) or await asyncio.to_thread(next, new, None)
                    if batch is None or self.result.stopped:
                        break
                    group.create_task(complete(batch))
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def _complete(self, batch: Batch) -> None:
        """Ask what is not answered yet, then check and close the batch. Raises Stopped and leaves it open."""
        closed = self._store.batches.get(batch.name)
        if closed is not None:
            # A crash while it was being closed: the record stands, the rest of the closing is done
            # now.
            await asyncio.to_thread(self._store.write_closed, closed)
            return
        verdicts = {
            i.digest: found
            for i in batch.items
            if (found := _mine(self._store, batch, i)) is not None
        }
        todo = [i for i in batch.items if i.digest not in verdicts or verdicts[i.digest].transient]
        file = BatchFile(self._store.open_file(batch.name))
        if not file.exists():
            await asyncio.to_thread(file.create, batch)

        async def keep(item: Item, reply: Reply) -> None:
            verdict = self._verdict(batch, item, reply)
            # Syncing a file to disk takes milliseconds in which other replies can come in.
            await asyncio.to_thread(self._store.write, verdict)
            verdicts[item.digest] = verdict
            self.result.replies += 1
            self.result.usd += reply.usd
            self._told(item)

        if todo:
            await self._judge.ask(todo, file, keep)
        await self._close(batch, verdicts)

    def _verdict(self, batch: Batch, item: Item, reply: Reply) -> JudgeVerdict:
        return JudgeVerdict(
            digest=item.digest,
            series=self._judge.series.name,
            pair=item.shown.pair,
            batch=batch.name,
            role=item.role,
            label=item.label,
            scored=_scored(item, reply),
            transient=reply.transient,
            reply=reply,
            judged_utc=now_utc(),
        )

    async def _close(self, batch: Batch, verdicts: Mapping[str, JudgeVerdict]) -> None:
        outcomes = tuple(_outcomes(self._store, batch, verdicts))
        if not _is_ripe(outcomes):
            raise Stopped("too few of a batch's canaries were answered to check it; it stays open")
        problems = findings(outcomes, verdicts)
        status = QUARANTINED if problems and not self._use_failed else ACCEPTED
        if all(item.role is Role.CALIBRATION for item in batch.items):
            status = CALIBRATION
        usd = sum(verdict.reply.usd for verdict in verdicts.values())
        record = BatchRecord(
            batch=batch.name,
            series=self._judge.series.name,
            status=status,
            findings=problems,
            items=outcomes,
            usd=round(usd, 6),
            opened_utc=batch.opened_utc,
            closed_utc=now_utc(),
        )
        await asyncio.to_thread(self._store.write_closed, record)
        self._store.remember(record)
        self.result.closed.append(record)
        last = self.result.closed[-MOST_QUARANTINED_IN_A_ROW:]
        if len(last) == MOST_QUARANTINED_IN_A_ROW and all(
            record.status == QUARANTINED for record in last
        ):
            raise Stopped(
                f"{len(last)} batches in a row failed the instrument checks: {problems[0]}"
            )
