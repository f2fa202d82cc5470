"""Claude as judge through Message Batches: half the price, answers within a day, and a batch that outlives this process.

The intention is written down before a batch is created and its id before the first poll, so a restart polls that one batch.
After a crash between the two, the batch is found again among the API's own list by its number of requests and its time.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import anthropic

from scripts.lib.judge_config import ClaudeConfig
from scripts.lib.judging import Item, Journal, Reply, Series, Stopped
from scripts.lib.judging.batch import now_utc
from scripts.lib.judging.claude import client_version, make_client, read_error, read_message, request_body
from scripts.lib.judging.cost import Budget, at_most_usd, usd_of

# A batch is processed or expired within 24 hours.
MOST_WAIT = timedelta(hours=25)
# The API's clock and ours may differ by so much.
CLOCK_SLACK = timedelta(minutes=2)


class ClaudeBatchesJudge:
    """The Message Batches API. Many batches in hand: each waits for hours, and they wait together."""

    batches_at_once = 100

    def __init__(self, series: Series, settings: ClaudeConfig, budget: Budget):
        self.series, self._settings, self._budget = series, settings, budget
        self._client: anthropic.AsyncAnthropic | None = None
        # One batch is created at a time: after a crash at most one of them is without its id.
        self._creating = asyncio.Lock()
        self._known: set[str] = set()

    async def replies(self, items: Sequence[Item], journal: Journal) -> AsyncIterator[tuple[Item, Reply]]:
        if self._client is None:
            self._client = make_client(self._settings)
        most = sum(self._most_usd(item) for item in items)
        self._budget.reserve(most)
        paid = 0.0
        try:
            batch_id = await self._batch_id(items, journal)
            await self._wait(batch_id)
            left = {item.digest: item for item in items}
            foreign = 0
            async for raw in self._results(batch_id):
                # Foreign and repeated ids are the API's mistakes: an item has the first result that came for it.
                item = left.pop(str(raw.get("custom_id")), None)
                foreign += item is None
                if item is not None:
                    reply = self._reply(raw.get("result") or {}, batch_id)
                    paid += reply.usd
                    yield item, reply
            journal.write({})
            if foreign and len(left) == len(items):
                raise Stopped(f"message batch {batch_id} holds none of the answers asked for; run again")
            for item in left.values():
                yield item, Reply(None, f"no result in message batch {batch_id}", transient=True)
        except TimeoutError:
            raise Stopped(
                f"message batch {batch_id} did not end within {MOST_WAIT}; run again to look once more"
            ) from None
        except anthropic.APIError as error:
            raise Stopped(f"message batches: {read_error(error).failure}") from error
        finally:
            self._budget.settle(most, paid)

    def _most_usd(self, item: Item) -> float:
        body = request_body(item, self.series.model, self._settings.max_tokens)
        text = body["messages"][0]["content"]
        return at_most_usd(self._settings.usd_per_million_tokens, text, self._settings.max_tokens, batched=True)

    async def _batch_id(self, items: Sequence[Item], journal: Journal) -> str:
        """The id of the batch that these items were, or are now, sent in."""
        assert self._client is not None
        known = journal.read()
        if known.get("id"):
            self._known.add(known["id"])
            return str(known["id"])
        async with self._creating:
            if known.get("intent_utc"):
                found = await self._find(datetime.fromisoformat(known["intent_utc"]), int(known["requests"]))
                if found:
                    journal.write(known | {"id": found})
                    return found
            return await self._create(items, journal)

    async def _create(self, items: Sequence[Item], journal: Journal) -> str:
        assert self._client is not None
        intent = {"intent_utc": now_utc(), "requests": len(items)}
        journal.write(intent)
        requests = [
            {"custom_id": item.digest, "params": request_body(item, self.series.model, self._settings.max_tokens)}
            for item in items
        ]
        # Not retried by the SDK: a batch that was created while its answer got lost would be created twice.
        created = await self._client.with_options(max_retries=0).messages.batches.create(requests=requests)  # type: ignore[arg-type]
        journal.write(intent | {"id": created.id})
        self._known.add(created.id)
        return created.id

    async def _find(self, since: datetime, requests: int) -> str | None:
        """A batch that was created after the intention to, with as many requests: ours, whose id was lost in a crash."""
        assert self._client is not None
        async for batch in self._client.messages.batches.list(limit=100):
            if batch.created_at < since - CLOCK_SLACK:
                return None
            counts = batch.request_counts
            total = counts.processing + counts.succeeded + counts.errored + counts.canceled + counts.expired
            if total == requests and batch.id not in self._known:
                self._known.add(batch.id)
                return batch.id
        return None

    async def _wait(self, batch_id: str) -> None:
        assert self._client is not None
        async with asyncio.timeout(MOST_WAIT.total_seconds()):
            while (await self._client.messages.batches.retrieve(batch_id)).processing_status != "ended":
                await asyncio.sleep(self._settings.poll_s)

    async def _results(self, batch_id: str) -> AsyncIterator[dict[str, Any]]:
        """The results line by line as they are; a line that is no JSON object is passed over."""
        assert self._client is not None
        stream = await self._client.messages.batches.results(batch_id)
        for line in (await stream.http_response.aread()).split(b"\n"):
            try:
                raw = json.loads(line) if line.strip() else None
            except ValueError:
                continue
            if isinstance(raw, dict):
                yield raw

    def _reply(self, result: dict[str, Any], batch_id: str) -> Reply:
        assert self._client is not None
        kind = result.get("type")
        if kind == "succeeded":
            reply = read_message(json.dumps(result.get("message"), ensure_ascii=False), self.series.model)
            usd = usd_of(self._settings.usd_per_million_tokens, reply.usage, batched=True)
            return replace(reply, usd=usd, client=f"{client_version(self._client)}, batch {batch_id}")
        error = (result.get("error") or {}).get("error") or {}
        said = f"{error.get('type', '')}: {error.get('message', '')}".strip(": ")[:200]
        failure = f"message batch {batch_id}: {kind}{f': {said}' if said else ''}"
        return Reply(None, failure, transient=error.get("type") != "invalid_request_error", raw=json.dumps(result))

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()
