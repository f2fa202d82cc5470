"""Judges a set of answers, batch by batch; each batch is then accepted or quarantined as a whole.

Each verdict is stored as it comes in. A batch has a file from before its first request until it is
closed. After a crash, the next run continues from there; no stored verdict is asked for again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from scripts.lib.base.errors import Problem
from scripts.lib.base.stored_json import believed, now_utc
from scripts.lib.judging.batch import (
    Batch,
    BatchFile,
    Known,
    MakeCanaries,
    Mix,
    answer_canaries,
    make_batch,
)
from scripts.lib.judging.calibration import calibration_findings
from scripts.lib.judging.instrument import findings, gate_findings, items_of, series_findings
from scripts.lib.judging.protocol import Judge, Stopped
from scripts.lib.judging.run_result import RunResult
from scripts.lib.scoring.judge_prompt import Malformed
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

# The run stops after this many failed batches in a row, so that no more of them are paid for.
MOST_QUARANTINED_IN_A_ROW = 2
# With a smaller share of answered canaries a batch cannot be checked; it stays open for the next
# run.
LEAST_CANARIES_ANSWERED = 0.5


class Found(NamedTuple):
    """What is wrong with a batch, and why its series ends with it (empty: it does not)."""

    findings: tuple[str, ...]
    stops: str = ""


class Findings(Protocol):
    """The checks of a batch."""

    def __call__(
        self,
        items: Sequence[ItemOutcome],
        verdicts: Mapping[str, JudgeVerdict],
        failed: Sequence[BatchRecord],
        accepted: Sequence[BatchRecord],
    ) -> Found:
        """What they found. `failed`: the run's failed batches; `accepted`: those of the series."""
        ...


@dataclass(frozen=True, slots=True)
class Checks:
    """How a kind of question to the judge is checked: its canaries, and the checks of a batch."""

    canaries: MakeCanaries
    findings: Findings


def answer_findings(
    items: Sequence[ItemOutcome],
    verdicts: Mapping[str, JudgeVerdict],
    failed: Sequence[BatchRecord],
    accepted: Sequence[BatchRecord],
) -> Found:
    """The checks of a batch of answers, and those of its series.

    A first batch that fails by itself is not the end: there is nothing to compare it with.
    """
    own = findings(items, verdicts)
    # A judge that failed just now is not proved by a single batch that goes well.
    if failed and not own:
        own = tuple(
            f"with the failed batches of this run: {said}"
            for said in gate_findings([*items_of(failed), *items])
        )
    earlier = items_of(accepted)
    whole = series_findings(earlier, items) if earlier or not own else ()
    return Found((*own, *whole), whole[0] if whole else "")


ANSWER_CHECKS = Checks(answer_canaries, answer_findings)


def _scored(item: Item, reply: Reply) -> QuestionScore:
    if reply.content is None:
        return QuestionScore((), unscored=reply.failure)
    try:
        return item.shown.score(reply.content)
    except Malformed as error:
        return QuestionScore((), unscored=f"malformed reply: {error}")


def _mine(store: VerdictStore, batch: Batch, item: Item) -> JudgeVerdict | None:
    """The verdict of this batch on an item; that of another batch does not count."""
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
    """The batches that an earlier run left open. Answers of a damaged one are pending again."""
    damaged: list[Problem] = []
    found = list(
        believed(
            store.open_batches(), lambda name: BatchFile(store.open_file(name)).load(), damaged
        )
    )
    store.damaged |= {problem.file: problem for problem in damaged}
    return found


class JudgeRun:
    """One run of one judge over its store. `progress` is called with each item that has a reply.

    `use_failed`: batches that fail the checks are accepted, too; their findings are recorded.
    `checks`: how the judge is checked.
    """

    def __init__(
        self,
        judge: Judge,
        store: VerdictStore,
        progress: Callable[[Item], object] = lambda item: None,
        use_failed: bool = False,
        checks: Checks = ANSWER_CHECKS,
    ):
        self._judge, self._store, self._checks = judge, store, checks
        self._progress, self._use_failed = progress, use_failed
        self.result = RunResult()

    async def pairs(self, pairs: Sequence[Item], known: Known, mix: Mix) -> RunResult:
        """Judge `pairs`, which have no usable verdict, after the batches that are still open."""
        self._check_stop()
        left_open = batches_in_hand(self._store)
        open_items = {item.digest for batch in left_open for item in batch.items}
        todo = [item for item in pairs if item.digest not in open_items]

        def batches() -> Iterator[Batch]:
            yield from left_open
            for start in range(0, len(todo), mix.pairs):
                part = todo[start : start + mix.pairs]
                # A batch has to prove the judge if none is accepted or could still be.
                hopes = left_open or (start and not self.result.closed)
                first = not hopes and not self._store.accepted
                canaries = self._checks.canaries
                yield make_batch(self._judge.series, part, known, mix, first, canaries)

        await self._all(batches())
        return self.result

    def _check_stop(self) -> None:
        """Raise Stopped if the series was stopped: no more is paid for."""
        if self._store.stop and not self._use_failed:
            raise Stopped(
                f"the series was stopped ({self._store.stop}); a greater judge.round starts a new "
                "one, whose calibration shows whether the judge can be used"
            )

    async def calibrate(self, batch: Batch) -> RunResult:
        """Judge answers with known scores. The verdicts measure the judge and score no answer."""
        await self._all(iter([batch]))
        return self.result

    async def _all(self, batches: Iterator[Batch]) -> None:
        """Complete the batches, as many at a time as the judge allows.

        After the first reason to stop, only the batches that have been started are completed.
        """
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
                    # In a thread, because making canaries takes tens of milliseconds, and replies
                    # come in meanwhile.
                    batch = await asyncio.to_thread(next, batches, None)
                    if batch is None or self.result.stopped:
                        break
                    group.create_task(complete(batch))
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def _complete(self, batch: Batch) -> None:
        """Ask for what is not answered yet, then close the batch. Stopped leaves it open."""
        closed = self._store.batches.get(batch.name)
        if closed is not None:
            # A run crashed while it closed this batch. Its record is valid, so only the rest of
            # the closing is done.
            await asyncio.to_thread(self._store.write_closed, closed)
            return
        stored = (_mine(self._store, batch, item) for item in batch.items)
        verdicts = {verdict.digest: verdict for verdict in stored if verdict is not None}
        todo = [i for i in batch.items if i.digest not in verdicts or verdicts[i.digest].transient]
        file = BatchFile(self._store.open_file(batch.name))
        if not file.exists():
            await asyncio.to_thread(file.create, batch)

        async def keep(item: Item, reply: Reply) -> None:
            verdict = self._verdict(batch, item, reply, verdicts.get(item.digest))
            # In a thread, because syncing a file takes milliseconds, and replies come in meanwhile.
            await asyncio.to_thread(self._store.write, verdict)
            verdicts[item.digest] = verdict
            self.result.replies += 1
            self.result.usd += reply.usd
            self._progress(item)

        if todo:
            await self._judge.ask(todo, file, keep)
        await self._close(batch, verdicts)

    def _verdict(
        self, batch: Batch, item: Item, reply: Reply, before: JudgeVerdict | None
    ) -> JudgeVerdict:
        """The verdict of a reply.

        `before`: that of an earlier run in the same batch, which failed but may have been paid for.
        """
        if before is not None:
            reply = replace(reply, usd=reply.usd + before.reply.usd)
        last = self._store.read(item.digest)
        times = (last.times if last is not None else 0) + (not reply.transient)
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
            times=times,
        )

    async def _close(self, batch: Batch, verdicts: Mapping[str, JudgeVerdict]) -> None:
        outcomes = tuple(_outcomes(self._store, batch, verdicts))
        is_calibration = all(item.role is Role.CALIBRATION for item in batch.items)
        if is_calibration:
            status, problems, stops = CALIBRATION, tuple(calibration_findings(outcomes)), ""
        elif not _is_ripe(outcomes):
            raise Stopped("too few canaries of a batch were answered to check it; it stays open")
        else:
            problems, stops = self._findings(outcomes, verdicts)
            status = QUARANTINED if problems and not self._use_failed else ACCEPTED
        usd = sum(verdict.reply.usd for verdict in verdicts.values())
        record = BatchRecord(
            batch=batch.name,
            series=self._judge.series.name,
            status=status,
            findings=problems,
            items=outcomes,
            usd=round(usd, 6),
            opened_utc=batch.opened_utc,
            # The order of the batches counts, and several may be closed within a second.
            closed_utc=now_utc("microseconds"),
            stops=stops,
        )
        await asyncio.to_thread(self._store.write_closed, record)
        self._store.remember(record)
        self.result.closed.append(record)
        self._check_stop()
        last = self.result.closed[-MOST_QUARANTINED_IN_A_ROW:]
        if len(last) == MOST_QUARANTINED_IN_A_ROW and all(
            record.status == QUARANTINED for record in last
        ):
            raise Stopped(
                f"{len(last)} batches in a row failed the instrument checks: {problems[0]}"
            )

    def _findings(
        self, outcomes: Sequence[ItemOutcome], verdicts: Mapping[str, JudgeVerdict]
    ) -> Found:
        failed = [record for record in self.result.closed if record.status == QUARANTINED]
        return self._checks.findings(outcomes, verdicts, failed, self._store.accepted)
