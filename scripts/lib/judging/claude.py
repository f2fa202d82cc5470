"""Claude as judge, through the anthropic SDK: one request an answer, schema-bound, with a limit of requests in flight.

Failures that may pass (429, 500, 529, lost connections) are retried until the deadline, after
`retry-after` or a growing pause. This module retries, not the SDK, because each time that a request
goes out may have to be paid for. Bodies are read as text and parsed here: a proxy's HTML with
status 200 is a failure like any other.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import anthropic
import httpx2
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    stop_before_delay,
)
from tenacity.wait import wait_exponential_jitter

from scripts.lib.base.errors import BenchError
from scripts.lib.base.untrusted_text import valid_text, valid_texts
from scripts.lib.judging.cost import Budget, at_most_usd, usd_of
from scripts.lib.judging.protocol import Journal, Keep, Stopped
from scripts.lib.scoring.judge_prompt import SCHEMA, SYSTEM, user_prompt
from scripts.lib.scoring.series import Item, Reply, Series, Usage
from scripts.lib.settings.judge_config import NO_KEY, ClaudeConfig, has_key

# With pauses of 0.5 s, doubled up to 8 s, about a minute; the deadline usually ends it before.
RETRIES = 10
# Of the deadline, at most; who cannot be reached by then was sent nothing.
CONNECT_S = 10.0
# So many failures in a row, with none answered in between, and the judge is taken to be out of
# reach.
LEAST_FAILURES_IN_A_ROW = 10
# Whoever sits in between gave up waiting: the vendor may have answered.
GAVE_UP_WAITING = frozenset({408, 502, 504, *range(520, 528)})
# With these nothing has left this machine.
NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


def make_client(settings: ClaudeConfig, retries: int = RETRIES) -> anthropic.AsyncAnthropic:
    """The SDK's client; key and address come from the environment alone. Raises Stopped without a key."""
    if not has_key():
        raise Stopped(NO_KEY)
    timeout = httpx2.Timeout(settings.deadline_s, connect=min(CONNECT_S, settings.deadline_s / 2))
    return anthropic.AsyncAnthropic(max_retries=retries, timeout=timeout)


def client_version(client: anthropic.AsyncAnthropic) -> str:
    return f"anthropic {anthropic.__version__}, API {client.default_headers['anthropic-version']}"


def request_body(item: Item, model: str, max_tokens: int) -> dict[str, Any]:
    """The request of one item. No temperature (current models refuse it), no tools; the system prompt may be cached."""
    return {
        "model": model,
        "max_tokens": max_tokens,
        "system": [
            {"type": "text", "text": SYSTEM, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
        ],
        "messages": [{"role": "user", "content": user_prompt(item.shown, item.digest)}],
        "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
    }


def _usage(raw: dict[str, Any]) -> Usage:
    names = (
        "input_tokens",
        "output_tokens",
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
    )
    return Usage(*(int(raw.get(name) or 0) for name in names))


def read_message(body: str, model: str) -> Reply:
    """A reply's body as a Reply: refusals, cut replies, another model's answers and what is no message are failures."""
    try:
        raw = valid_texts(json.loads(body))
        content = "".join(block["text"] for block in raw["content"] if block["type"] == "text")
        usage, stop_reason, answered = (
            _usage(raw["usage"]),
            str(raw["stop_reason"]),
            str(raw["model"]),
        )
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError):
        return Reply(
            None,
            f"the body is no message: {' '.join(body.split())[:80]!r}",
            transient=True,
            raw=body,
        )
    failure = {
        "refusal": "the judge refused",
        "max_tokens": "the judge's reply was cut at max_tokens",
    }.get(stop_reason)
    if answered != model:
        failure = f"answered by {answered}, asked was {model}"
    request_id = str(raw.get("id", ""))
    return Reply(
        None if failure else content,
        failure or "",
        False,
        body,
        request_id,
        answered,
        stop_reason,
        usage,
    )


def read_error(error: anthropic.APIError) -> Reply:
    """An error of the API as a Reply. Raises BenchError or Stopped for what no other request will fare better with."""
    if not isinstance(error, anthropic.APIStatusError):
        return Reply(None, f"no answer: {type(error).__name__}", transient=True)
    said = valid_text(" ".join(str(error.message).split())[:200])
    if error.status_code in (401, 403, 404):
        raise BenchError(
            f"judge claude: status {error.status_code}: {said}; check the key and judge.claude.model"
        )
    if error.status_code == 400 and "credit balance" in said.lower():
        raise Stopped(f"the API says: {said}")
    transient = error.status_code in (408, 409, 429) or error.status_code >= 500
    body = error.response.text[:2000]
    return Reply(
        None, f"status {error.status_code}: {said}", transient, body, error.request_id or ""
    )


async def count_tokens(items: Sequence[Item], model: str, settings: ClaudeConfig) -> list[int]:
    """Input tokens of each item's request, counted by the API (which costs nothing). Raises Stopped, BenchError."""
    client = make_client(settings)
    try:
        found = []
        for item in items:
            body = request_body(item, model, settings.max_tokens)
            counted = await client.messages.count_tokens(
                model=model,
                system=body["system"],
                messages=body["messages"],
                output_config=body["output_config"],
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
        raise BenchError(
            f"judge claude: {reply.failure}: write the id that answered into judge.claude.model"
        )


class Breaker:
    """Counts transient failures in a row; raises Stopped when the judge is plainly out of reach."""

    def __init__(self, concurrency: int):
        self._most = max(LEAST_FAILURES_IN_A_ROW, 2 * concurrency)
        self._in_a_row = 0

    def note(self, reply: Reply) -> None:
        self._in_a_row = self._in_a_row + 1 if reply.transient else 0
        if self._in_a_row >= self._most:
            raise Stopped(
                f"{self._in_a_row} requests in a row failed, the last one with: {reply.failure}"
            )


def _may_be_retried(error: BaseException) -> bool:
    if isinstance(error, anthropic.APIStatusError):
        asked = error.response.headers.get("x-should-retry")
        if asked is not None:
            return bool(asked == "true")
        return error.status_code in (408, 409, 429) or error.status_code >= 500
    return isinstance(error, anthropic.APIConnectionError)


_GROWING_PAUSE = wait_exponential_jitter(multiplier=0.5, max=8.0, jitter=0.25)


def _pause_s(state: RetryCallState) -> float:
    """Seconds before the next try: those that the API asks for, else growing ones."""
    error = state.outcome.exception() if state.outcome is not None else None
    headers = error.response.headers if isinstance(error, anthropic.APIStatusError) else {}
    for name, seconds in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            return max(float(headers[name]) * seconds, 0.0)
        except (KeyError, ValueError):
            continue
    return _GROWING_PAUSE(state)


def _may_be_billed(error: BaseException) -> bool:
    """False for a request that never left this machine, or that was refused."""
    if isinstance(error, anthropic.APIStatusError):
        return error.status_code in GAVE_UP_WAITING
    return not isinstance(error.__cause__, NEVER_SENT)


class ClaudeJudge:
    """The Messages API, item by item. Two batches in hand, so that something is asked while one of them ends."""

    batches_at_once = 2

    def __init__(self, series: Series, settings: ClaudeConfig, budget: Budget):
        self.series, self._settings, self._budget = series, settings, budget
        self._client: anthropic.AsyncAnthropic | None = None
        self._version = ""
        self._breaker = Breaker(settings.concurrency)
        # Of all batches together. An item that pauses before it is tried again keeps its place: the
        # API is busy.
        self._in_flight = asyncio.Semaphore(settings.concurrency)

    async def ask(self, items: Sequence[Item], journal: Journal, keep: Keep) -> None:
        if self._client is None:
            self._client = make_client(self._settings, retries=0)
            self._version = client_version(self._client)
        waiting, problems = iter(items), list[Exception]()

        async def work() -> None:
            # What is in flight when one worker meets a reason to stop is paid for: the others
            # finish theirs.
            for item in waiting:
                try:
                    async with self._in_flight:
                        reply = await self._ask(item)
                    await keep(item, reply)
                    check_model(reply, self.series)
                    self._breaker.note(reply)
                except (Stopped, BenchError) as problem:
                    problems.append(problem)
                if problems:
                    return

        async with asyncio.TaskGroup() as group:
            for _ in range(self._settings.concurrency):
                group.create_task(work())
        if problems:
            raise problems[0]

    async def _ask(self, item: Item) -> Reply:
        """One item's reply or failure, retries included. Raises Stopped where the money does not reach for a try."""
        deadline_s = self._settings.deadline_s
        tries = AsyncRetrying(
            retry=retry_if_exception(_may_be_retried),
            wait=_pause_s,
            stop=stop_before_delay(deadline_s) | stop_after_attempt(RETRIES + 1),
            reraise=True,
        )
        body = request_body(item, self.series.model, self._settings.max_tokens)
        try:
            async for attempt in tries:
                with attempt:
                    left_s = deadline_s - (attempt.retry_state.seconds_since_start or 0.0)
                    reply = await self._send(body, left_s)
        except TimeoutError:
            return Reply(None, f"no answer within {deadline_s:g} s", transient=True)
        except anthropic.APIError as error:
            return read_error(error)
        return reply

    async def _send(self, body: dict[str, Any], seconds: float) -> Reply:
        """Send a request once. Its money is set aside before, and is paid unless it is plain that nothing was answered."""
        assert self._client is not None
        prices, user = self._settings.usd_per_million_tokens, body["messages"][0]["content"]
        paid = most = at_most_usd(prices, user, self._settings.max_tokens, batched=False)
        await self._budget.reserve(most)
        try:
            async with asyncio.timeout(seconds):
                response = await self._client.messages.with_raw_response.create(**body)
            reply = read_message(response.http_response.text, self.series.model)
            if reply.transient:  # a body that cannot be read may have been a paid reply
                return replace(reply, client=self._version)
            paid = usd_of(prices, reply.usage)
            request_id = response.http_response.headers.get("request-id", reply.request_id)
            return replace(reply, request_id=request_id, usd=paid, client=self._version)
        except anthropic.APIError as error:
            if not _may_be_billed(error):
                paid = 0.0
            raise
        finally:
            self._budget.settle(most, paid)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()
