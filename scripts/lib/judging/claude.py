"""Claude as judge, through the anthropic SDK: one request an answer, schema-bound, with a limit of requests in flight.

The SDK retries what may be retried (429, 500, 529, lost connections) and obeys `retry-after`; the deadline around it bounds
what that may take. Bodies are read as text and parsed here: a proxy's HTML with status 200 is a failure like any other.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import anthropic

from scripts.lib.errors import BenchError
from scripts.lib.foreign_text import valid_text, valid_texts
from scripts.lib.judge import SCHEMA, SYSTEM, user_prompt
from scripts.lib.judge_config import NO_KEY, ClaudeConfig, has_key
from scripts.lib.judging import Item, Journal, Keep, Reply, Series, Stopped, Usage
from scripts.lib.judging.cost import Budget, at_most_usd, usd_of
from scripts.lib.judging.slots import SENDING, Sending, limit

# With the SDK's own pauses (0.5 s doubled up to 8 s) about a minute; the deadline usually ends it before.
RETRIES = 10
# So many failures in a row, with none answered in between, and the judge is taken to be out of reach.
LEAST_FAILURES_IN_A_ROW = 10
# More workers than requests in flight: while one waits for the network, another prepares its request or stores its reply.
WORKERS_PER_SLOT = 2


def make_client(settings: ClaudeConfig) -> anthropic.AsyncAnthropic:
    """The SDK's client; key and address come from the environment alone. Raises Stopped without a key."""
    if not has_key():
        raise Stopped(NO_KEY)
    http = anthropic.DefaultAsyncHttpxClient()
    limit(http, settings.concurrency)
    return anthropic.AsyncAnthropic(max_retries=RETRIES, timeout=settings.deadline_s, http_client=http)


def client_version(client: anthropic.AsyncAnthropic) -> str:
    return f"anthropic {anthropic.__version__}, API {client.default_headers['anthropic-version']}"


def request_body(item: Item, model: str, max_tokens: int) -> dict[str, Any]:
    """The request of one item. No temperature (current models refuse it), no tools; the system prompt may be cached."""
    return {
        "model": model,
        "max_tokens": max_tokens,
        "system": [{"type": "text", "text": SYSTEM, "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        "messages": [{"role": "user", "content": user_prompt(item.shown, item.digest)}],
        "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
    }


def _usage(raw: dict[str, Any]) -> Usage:
    names = ("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    return Usage(*(int(raw.get(name) or 0) for name in names))


def read_message(body: str, model: str) -> Reply:
    """A reply's body as a Reply: refusals, cut replies, another model's answers and what is no message are failures."""
    try:
        raw = valid_texts(json.loads(body))
        content = "".join(block["text"] for block in raw["content"] if block["type"] == "text")
        usage, stop_reason, answered = _usage(raw["usage"]), str(raw["stop_reason"]), str(raw["model"])
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError):
        return Reply(None, f"the body is no message: {' '.join(body.split())[:80]!r}", transient=True, raw=body)
    failure = {"refusal": "the judge refused", "max_tokens": "the judge's reply was cut at max_tokens"}.get(stop_reason)
    if answered != model:
        failure = f"answered by {answered}, asked was {model}"
    request_id = str(raw.get("id", ""))
    return Reply(None if failure else content, failure or "", False, body, request_id, answered, stop_reason, usage)


def read_error(error: anthropic.APIError) -> Reply:
    """An error of the API as a Reply. Raises BenchError or Stopped for what no other request will fare better with."""
    if not isinstance(error, anthropic.APIStatusError):
        return Reply(None, f"no answer: {type(error).__name__}", transient=True)
    said = valid_text(" ".join(str(error.message).split())[:200])
    if error.status_code in (401, 403, 404):
        raise BenchError(f"judge claude: status {error.status_code}: {said}; check the key and judge.claude.model")
    if error.status_code == 400 and "credit balance" in said.lower():
        raise Stopped(f"the API says: {said}")
    transient = error.status_code in (408, 409, 429) or error.status_code >= 500
    body = error.response.text[:2000]
    return Reply(None, f"status {error.status_code}: {said}", transient, body, error.request_id or "")


async def count_tokens(items: Sequence[Item], model: str, settings: ClaudeConfig) -> list[int]:
    """Input tokens of each item's request, counted by the API (which costs nothing). Raises Stopped, BenchError."""
    client = make_client(settings)
    try:
        found = []
        for item in items:
            body = request_body(item, model, settings.max_tokens)
            counted = await client.messages.count_tokens(
                model=model, system=body["system"], messages=body["messages"], output_config=body["output_config"]
            )
            found.append(counted.input_tokens)
        return found
    except anthropic.APIError as error:
        raise Stopped(read_error(error).failure) from error
    finally:
        await client.close()


def check_model(reply: Reply, series: Series) -> None:
    """Raises BenchError for a reply by another model: every further one would be paid for and worth nothing."""
    if reply.model and reply.model != series.model:
        raise BenchError(f"judge claude: {reply.failure}: write the id that answered into judge.claude.model")


class Breaker:
    """Counts transient failures in a row; raises Stopped when the judge is plainly out of reach."""

    def __init__(self, concurrency: int):
        self._most = max(LEAST_FAILURES_IN_A_ROW, 2 * concurrency)
        self._in_a_row = 0

    def note(self, reply: Reply) -> None:
        self._in_a_row = self._in_a_row + 1 if reply.transient else 0
        if self._in_a_row >= self._most:
            raise Stopped(f"{self._in_a_row} requests in a row failed, the last one with: {reply.failure}")


class ClaudeJudge:
    """The Messages API, item by item. Two batches in hand, so that no slot idles at the end of one."""

    batches_at_once = 2

    def __init__(self, series: Series, settings: ClaudeConfig, budget: Budget):
        self.series, self._settings, self._budget = series, settings, budget
        self._client: anthropic.AsyncAnthropic | None = None
        self._version = ""
        self._breaker = Breaker(settings.concurrency)
        self._workers = WORKERS_PER_SLOT * settings.concurrency
        # Of all batches together: so many requests are asked again after a crash at most.
        self._working = asyncio.Semaphore(self._workers)

    async def ask(self, items: Sequence[Item], journal: Journal, keep: Keep) -> None:
        if self._client is None:
            self._client = make_client(self._settings)
            self._version = client_version(self._client)
        waiting, problems = iter(items), list[Exception]()

        async def work() -> None:
            # What is in flight when one worker meets a reason to stop is paid for: the others finish theirs.
            for item in waiting:
                try:
                    async with self._working:
                        reply = await self._ask(item)
                        await keep(item, reply)
                    check_model(reply, self.series)
                    self._breaker.note(reply)
                except (Stopped, BenchError) as problem:
                    problems.append(problem)
                if problems:
                    return

        async with asyncio.TaskGroup() as group:
            for _ in range(self._workers):
                group.create_task(work())
        if problems:
            raise problems[0]

    async def _ask(self, item: Item) -> Reply:
        assert self._client is not None
        settings, body = self._settings, request_body(item, self.series.model, self._settings.max_tokens)
        most = at_most_usd(
            settings.usd_per_million_tokens, body["messages"][0]["content"], settings.max_tokens, batched=False
        )
        await self._budget.reserve(most)
        usd = 0.0
        sending = Sending(settings.deadline_s, lambda: self._budget.reserve_more(most))
        SENDING.set(sending)
        try:
            async with sending.timeout:
                response = await self._client.messages.with_raw_response.create(**body)
            reply = read_message(response.http_response.text, self.series.model)
            if not reply.transient:  # a body that cannot be read may have been a paid reply
                usd = usd_of(settings.usd_per_million_tokens, reply.usage)
                sending.may_be_billed -= 1
            request_id = response.http_response.headers.get("request-id", reply.request_id)
            return replace(reply, request_id=request_id, usd=usd, client=self._version)
        except TimeoutError:
            return Reply(None, f"no answer within {settings.deadline_s:g} s", transient=True)
        except anthropic.APIError as error:
            return read_error(error)
        finally:
            self._budget.settle(most * sending.set_aside, usd + most * sending.may_be_billed)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()
