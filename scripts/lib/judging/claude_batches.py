"""Claude as judge through Message Batches: half the price, answers within a day, and a batch that outlives this process.

The intention is written down before a batch is created and its id before the first poll, so a
restart polls that one batch. After a crash between the two, the batch is found again among the
API's own list by its number of requests and its time.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import anthropic

from scripts.lib.base.stored_json import now_utc
from scripts.lib.base.untrusted_text import valid_texts
from scripts.lib.judging.claude import (
    check_model,
    client_version,
    make_client,
    read_error,
    read_message,
    request_body,
)
from scripts.lib.judging.cost import Budget, at_most_usd, usd_of
from scripts.lib.judging.protocol import Journal, Keep, Stopped
from scripts.lib.scoring.series import Item, Reply, Series
from scripts.lib.settings.judge_config import ClaudeConfig

# A batch is processed or expired within 24 hours.
MOST_WAIT = timedelta(hours=25)
# The API's clock and ours may differ by so much.
CLOCK_SLACK = timedelta(minutes=2)
# Results that cannot be read whole are fetched so many times, which costs nothing; then what could
# be read has to do.
RESULTS_TRIES = 3


def _read_results(body: bytes) -> dict[str, dict[str, Any]]:
    """The results by custom id, the first of each; a line that is no result is passed over."""
    found: dict[str, dict[str, Any]] = {}
    for line in body.split(b"\n"):
        try:
            raw = valid_texts(json.loads(line))
            found.setdefault(str(raw["custom_id"]), dict(raw["result"]))
        except (ValueError, TypeError, KeyError, RecursionError):
            continue
    return found


class ClaudeBatchesJudge:
    """The Message Batches API. Many batches in hand: each waits for hours, and they wait together."""

    batches_at_once = 100

    def __init__(self, series: Series, settings: ClaudeConfig, budget: Budget):
        self.series, self._settings, self._budget = series, settings, budget
        self._client: anthropic.AsyncAnthropic | None = None
        # One batch is created at a time: after a crash at most one of them is without its id.
        self._creating = asyncio.Lock()
        # Ids whose owner is sure. One that is only guessed is not among them: its true owner may be
        # looking for it too.
        self._owned: set[str] = set()

    async def ask(self, items: Sequence[Item], journal: Journal, keep: Keep) -> None:
        if self._client is None:
            self._client = make_client(self._settings)
        # A batch that was created is paid for, whatever the limit is today.
        most = 0.0 if journal.read().get("id") else sum(self._most_usd(item) for item in items)
        paid, replies = 0.0, list[Reply]()
        await self._budget.reserve(most)
        try:
            batch_id, results = await self._fetched(items, journal)
            for item in items:
                replies.append(self._reply(results.get(item.digest), batch_id))
                paid += replies[-1].usd
                await keep(item, replies[-1])
            journal.write({})
        finally:
            self._budget.settle(most, paid)
        for reply in replies:
            check_model(reply, self.series)

    async def _fetched(
        self, items: Sequence[Item], journal: Journal
    ) -> tuple[str, dict[str, dict[str, Any]]]:
        """What `_ended` gives. Raises Stopped for everything that goes wrong on the way, the batch then stays in hand."""
        try:
            return await self._ended(items, journal)
        except anthropic.NotFoundError as error:
            raise Stopped(f"message batches: {self._unknown(journal, error)}") from error
        except anthropic.APIError as error:
            raise Stopped(f"message batches: {read_error(error).failure}") from error
        except (anthropic.AnthropicError, ValueError, TypeError, AttributeError) as error:
            # What is no JSON, or a proxy's page with status 200, fails somewhere inside of the SDK.
            raise Stopped(
                f"message batches: a reply could not be read ({type(error).__name__}: {error})"
            ) from error

    def _unknown(self, journal: Journal, error: anthropic.APIError) -> str:
        known = journal.read().get("id")
        if not known:
            return read_error(error).failure
        where = f"the file in {self.series.name}/open that names it"
        return f"the API does not know {known}: another key's? To have its answers judged anew, delete {where}"

    async def _ended(
        self, items: Sequence[Item], journal: Journal
    ) -> tuple[str, dict[str, dict[str, Any]]]:
        """The ended batch of these items with its results by item; one that was found in the list may prove not to be ours."""
        wanted = {item.digest for item in items}
        while True:
            batch_id = await self._batch_id(items, journal)
            await self._wait(batch_id)
            results = await self._results(batch_id, len(items))
            if wanted & results.keys():
                self._owned.add(batch_id)
                return batch_id, results
            known = journal.read()
            known["not_ours"] = [*known.get("not_ours", []), known.pop("id")]
            journal.write(known)

    def _most_usd(self, item: Item) -> float:
        body = request_body(item, self.series.model, self._settings.max_tokens)
        text = body["messages"][0]["content"]
        return at_most_usd(
            self._settings.usd_per_million_tokens, text, self._settings.max_tokens, batched=True
        )

    async def _batch_id(self, items: Sequence[Item], journal: Journal) -> str:
        """The id of the batch that these items were, or are now, sent in."""
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
        assert self._client is not None
        intent = {"intent_utc": now_utc(), "requests": len(items)}
        journal.write(intent)
        requests = [
            {
                "custom_id": item.digest,
                "params": request_body(item, self.series.model, self._settings.max_tokens),
            }
            for item in items
        ]
        # Not retried by the SDK: a batch that was created while its answer got lost would be
        # created twice.
        created = await self._client.with_options(max_retries=0).messages.batches.create(
            requests=requests  # type: ignore[arg-type]
        )
        journal.write(intent | {"id": created.id})
        self._owned.add(created.id)
        return created.id

    async def _find(self, known: dict[str, Any]) -> str | None:
        """A batch with as many requests, created after the intention to: may be ours, whose id was lost. Its results tell."""
        assert self._client is not None
        since = datetime.fromisoformat(known["intent_utc"]) - CLOCK_SLACK
        taken = {*self._owned, *known.get("not_ours", ())}
        async for batch in self._client.messages.batches.list(limit=100):
            if batch.created_at < since:
                return None
            counts = batch.request_counts
            total = (
                counts.processing
                + counts.succeeded
                + counts.errored
                + counts.canceled
                + counts.expired
            )
            if total == known["requests"] and batch.id not in taken:
                return batch.id
        return None

    async def _wait(self, batch_id: str) -> None:
        assert self._client is not None
        try:
            async with asyncio.timeout(MOST_WAIT.total_seconds()):
                while (
                    await self._client.messages.batches.retrieve(batch_id)
                ).processing_status != "ended":
                    await asyncio.sleep(self._settings.poll_s)
        except TimeoutError:
            raise Stopped(
                f"message batch {batch_id} did not end within {MOST_WAIT}; run again to look again"
            ) from None

    async def _results(self, batch_id: str, expected: int) -> dict[str, dict[str, Any]]:
        """The results by custom id, the first of each. Raises Stopped where there is none: it is paid for and kept there."""
        assert self._client is not None
        found: dict[str, dict[str, Any]] = {}
        for attempt in range(RESULTS_TRIES):
            if attempt:
                await asyncio.sleep(self._settings.poll_s)
            stream = await self._client.messages.batches.results(batch_id)
            found = _read_results(await stream.http_response.aread()) | found
            if len(found) >= expected:
                break
        if not found:
            raise Stopped(
                f"message batch {batch_id} has ended, but its results cannot be read; run again to look again"
            )
        return found

    def _reply(self, result: dict[str, Any] | None, batch_id: str) -> Reply:
        assert self._client is not None
        if result is None:
            return Reply(None, f"no result in message batch {batch_id}", transient=True)
        if result.get("type") == "succeeded":
            reply = read_message(
                json.dumps(result.get("message"), ensure_ascii=False), self.series.model
            )
            usd = usd_of(self._settings.usd_per_million_tokens, reply.usage, batched=True)
            return replace(
                reply, usd=usd, client=f"{client_version(self._client)}, batch {batch_id}"
            )
        error = (result.get("error") or {}).get("error") or {}
        said = f"{error.get('type', '')}: {error.get('message', '')}".strip(": ")[:200]
        failure = f"message batch {batch_id}: {result.get('type')}{f': {said}' if said else ''}"
        return Reply(
            None,
            failure,
            transient=error.get("type") != "invalid_request_error",
            raw=json.dumps(result),
        )

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()
