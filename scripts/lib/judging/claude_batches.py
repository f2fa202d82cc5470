"""Claude as judge through Message Batches: half the price, answers within a day.

A batch outlives this process. The intention to create one is written to the journal first, and its
id before the first poll, so that a restart polls the same batch. After a crash between the two
steps, the batch is found in the API's list by its number of requests and its time.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import anthropic
import httpx2

from scripts.lib.base.stored_json import now_utc
from scripts.lib.base.untrusted_text import valid_text, valid_texts
from scripts.lib.judging.claude import (
    check_model,
    check_refusal,
    client_version,
    make_client,
    read_error,
    read_message,
    request_body,
)
from scripts.lib.judging.cost import Budget, Measured, at_most_usd, least_input, size_of, usd_of
from scripts.lib.judging.protocol import Journal, Keep, Stopped
from scripts.lib.scoring.series import Item, Reply, Series
from scripts.lib.settings.judge_config import ClaudeConfig

# The API ends or expires a batch within 24 hours.
MOST_WAIT = timedelta(hours=25)
# The largest difference expected between the API's clock and this machine's.
CLOCK_SLACK = timedelta(minutes=2)
# How often incomplete results are fetched in a run, which is free.
RESULTS_TRIES = 3
# After this many runs with incomplete results the readable part is used.
RESULTS_RUNS = 3


def _read_results(body: bytes) -> dict[str, dict[str, Any]]:
    """The results by custom id, the first of each; unreadable lines are skipped."""
    found: dict[str, dict[str, Any]] = {}
    for line in body.split(b"\n"):
        try:
            raw = valid_texts(json.loads(line))
            found.setdefault(str(raw["custom_id"]), dict(raw["result"]))
        except (ValueError, TypeError, KeyError, RecursionError):
            continue
    return found


def _error_of(result: dict[str, Any]) -> dict[str, Any]:
    """The API's error in the result of one request; empty if it has none."""
    outer = result.get("error")
    error = outer.get("error") if isinstance(outer, dict) else None
    return error if isinstance(error, dict) else {}


class ClaudeBatchesJudge:
    """Asks the Message Batches API. Many batches are open at a time, since each takes hours."""

    batches_at_once = 100

    def __init__(
        self, series: Series, settings: ClaudeConfig, budget: Budget, known: Measured | None = None
    ):
        self.series, self._settings, self._budget = series, settings, budget
        self._least_input = known.least_input_tokens if known is not None else None
        self._client = make_client(settings)
        # One batch is created at a time, so that a crash loses the id of one batch at most.
        self._creating = asyncio.Lock()
        # Ids that certainly belong to one of this run's batches. A guessed id is not among them,
        # because another batch may be the one that is looking for it.
        self._owned: set[str] = set()

    async def ask(self, items: Sequence[Item], journal: Journal, keep: Keep) -> None:
        """Send the items as one batch and wait for it; see `Judge.ask`."""
        most = 0.0
        # A batch that exists is already paid for, whatever the limit is now.
        if not journal.read().get("id"):
            most = sum(at_most_usd(size_of(i), self._settings, self._least_input) for i in items)
        paid, replies, is_open = 0.0, list[Reply](), False
        await self._budget.reserve(most, "batch", ", or lower judge.batch_answers")
        try:
            batch_id, results = await self._fetched(items, journal)
            self._check_refusals(items, results, journal)
            for item in items:
                reply = self._reply(results.get(item.digest), batch_id)
                self._least_input = least_input(self._least_input, reply.usage)
                paid += reply.usd
                replies.append(reply)
                await keep(item, reply)
            journal.write({})
        except Stopped:
            # The batch may exist, and will then be paid for.
            is_open = bool(journal.read())
            raise
        finally:
            self._budget.settle(most, paid, most if is_open else 0.0)
        for reply in replies:
            check_model(reply, self.series)

    def _check_refusals(
        self, items: Sequence[Item], results: dict[str, dict[str, Any]], journal: Journal
    ) -> None:
        """Raise BenchError or Stopped if the API refused every request, which costs nothing.

        The next run then creates a new batch.
        """
        errors = [_error_of(results.get(item.digest, {})) for item in items]
        if all(error.get("type") == "invalid_request_error" for error in errors):
            journal.write({})
            check_refusal(valid_text(str(errors[0].get("message", ""))[:200]))

    async def _fetched(
        self, items: Sequence[Item], journal: Journal
    ) -> tuple[str, dict[str, dict[str, Any]]]:
        """The result of `_ended`. Any failure raises Stopped; the batch then stays open."""
        try:
            return await self._ended(items, journal)
        except anthropic.NotFoundError as error:
            raise Stopped(f"message batches: {self._unknown(journal, error)}") from error
        except anthropic.APIError as error:
            raise Stopped(f"message batches: {read_error(error).failure}") from error
        except (anthropic.AnthropicError, ValueError, TypeError, AttributeError) as error:
            # Invalid JSON, or a proxy's page with status 200, fails somewhere inside the SDK.
            raise Stopped(
                f"message batches: a reply could not be read ({type(error).__name__}: {error})"
            ) from error

    def _unknown(self, journal: Journal, error: anthropic.APIError) -> str:
        known = journal.read().get("id")
        if not known:
            return read_error(error).failure
        return (
            f"the API does not know {known}; perhaps it was created with another key. To judge its "
            f"answers again, delete the file in {self.series.name}/open that names it"
        )

    async def _ended(
        self, items: Sequence[Item], journal: Journal
    ) -> tuple[str, dict[str, dict[str, Any]]]:
        """(id, results by item) of the ended batch of these items.

        A batch that was found in the API's list, and has none of the items, is skipped.
        """
        wanted = {item.digest for item in items}
        while True:
            batch_id = await self._batch_id(items, journal)
            await self._wait(batch_id)
            results = await self._results(batch_id, len(items), journal)
            if wanted & results.keys():
                self._owned.add(batch_id)
                return batch_id, results
            known = journal.read()
            known["not_ours"] = [*known.get("not_ours", []), known.pop("id")]
            journal.write(known)

    async def _batch_id(self, items: Sequence[Item], journal: Journal) -> str:
        """The id of these items' batch, which is created if there is none yet."""
        known = journal.read()
        if known.get("id"):
            return str(known["id"])
        async with self._creating:
            found = await self._find(known) if known.get("intent_utc") else None
            if found is None:
                return await self._create(items, journal)
            journal.write(known | {"id": found})
            return found

    async def _create(self, items: Sequence[Item], journal: Journal) -> str:
        intent = {"intent_utc": now_utc(), "requests": len(items)}
        journal.write(intent)
        model, settings = self.series.model, self._settings
        requests = [
            {"custom_id": item.digest, "params": request_body(item, model, settings)}
            for item in items
        ]
        # No retries by the SDK: if only the reply was lost, a retry would create a second batch.
        created = await self._client.with_options(max_retries=0).messages.batches.create(
            requests=requests  # type: ignore[arg-type]
        )
        journal.write(intent | {"id": created.id})
        self._owned.add(created.id)
        return created.id

    async def _find(self, known: dict[str, Any]) -> str | None:
        """A batch of the same size, created after the intention was noted; None without one.

        It may be the one whose id was lost; its results will show.
        """
        since = datetime.fromisoformat(known["intent_utc"]) - CLOCK_SLACK
        taken = {*self._owned, *known.get("not_ours", ())}
        async for batch in self._client.messages.batches.list(limit=100):
            if batch.created_at < since:
                return None
            n = batch.request_counts
            requests = n.processing + n.succeeded + n.errored + n.canceled + n.expired
            if requests == known["requests"] and batch.id not in taken:
                return batch.id
        return None

    async def _wait(self, batch_id: str) -> None:
        batches = self._client.messages.batches
        try:
            async with asyncio.timeout(MOST_WAIT.total_seconds()):
                while (await batches.retrieve(batch_id)).processing_status != "ended":
                    await asyncio.sleep(self._settings.poll_s)
        except TimeoutError:
            raise Stopped(
                f"message batch {batch_id} did not end within {MOST_WAIT}; "
                "the next run checks it again"
            ) from None

    async def _results(
        self, batch_id: str, expected: int, journal: Journal
    ) -> dict[str, dict[str, Any]]:
        """The results by custom id, the first of each. Raises Stopped if some cannot be read.

        The results are paid for and stay at the API, so the next runs fetch them again. After
        RESULTS_RUNS runs the readable part is used.
        """
        found: dict[str, dict[str, Any]] = {}
        for attempt in range(RESULTS_TRIES):
            if attempt:
                await asyncio.sleep(self._settings.poll_s)
            try:
                stream = await self._client.messages.batches.results(batch_id)
                body = await stream.http_response.aread()
            except httpx2.HTTPError:  # the body was cut off
                continue
            found = _read_results(body) | found
            if len(found) >= expected:
                return found
        known = journal.read()
        runs = known.get("incomplete_runs", 0) + 1
        journal.write(known | {"incomplete_runs": runs})
        if not found or runs < RESULTS_RUNS:
            raise Stopped(
                f"message batch {batch_id} has ended, but {len(found)} of {expected} results could "
                "be read; the next run fetches them again, which is free"
            )
        return found

    def _reply(self, result: dict[str, Any] | None, batch_id: str) -> Reply:
        if result is None:
            return Reply(None, f"no result in message batch {batch_id}", transient=True)
        if result.get("type") == "succeeded":
            body = json.dumps(result.get("message"), ensure_ascii=False)
            reply = read_message(body, self.series.model)
            usd = usd_of(self._settings.usd_per_million_tokens, reply.usage, batched=True)
            client = f"{client_version(self._client)}, batch {batch_id}"
            return replace(reply, usd=usd, client=client)
        error = _error_of(result)
        said = f"{error.get('type', '')}: {error.get('message', '')}".strip(": ")[:200]
        failure = f"message batch {batch_id}: {result.get('type')}: {said}".removesuffix(": ")
        transient = error.get("type") != "invalid_request_error"
        return Reply(None, failure, transient, raw=json.dumps(result))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
