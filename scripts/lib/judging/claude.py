"""Claude as judge, through the anthropic SDK: one request per answer, bound to a JSON schema.

Failures that may be temporary (429, 500, 529, lost connections) are retried until the deadline,
after the pause that the API asks for or a growing one. This module retries, not the SDK, because
each attempt may have to be paid for. Bodies are read as text and parsed here, so that a proxy's
HTML page with status 200 is a failure like any other.
"""

from __future__ import annotations

import asyncio
import json
import time
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
from scripts.lib.judging.cost import Budget, Measured, at_most_usd, least_input, size_of, usd_of
from scripts.lib.judging.protocol import Journal, Keep, Stopped
from scripts.lib.scoring.series import Item, Reply, Series, Usage
from scripts.lib.settings.judge_config import NO_KEY, ClaudeConfig, has_key

# About a minute, with pauses that double from 0.5 s to 8 s; usually the deadline comes first.
RETRIES = 10
# The longest wait for a connection. Without a connection nothing was sent, so nothing is paid.
CONNECT_S = 10.0
# After this many failed requests in a row the judge counts as out of reach.
LEAST_FAILURES_IN_A_ROW = 10
# A proxy gave up waiting; the API may have answered, so the reply may have to be paid for.
GAVE_UP_WAITING = frozenset({408, 502, 504, *range(520, 528)})
# Reasons for which a reply ended without a usable verdict.
FAILURES = {
    "refusal": "the judge refused",
    "max_tokens": "the judge's reply was cut at max_tokens",
}
# With these errors nothing has left this machine.
NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


def make_client(settings: ClaudeConfig, retries: int = RETRIES) -> anthropic.AsyncAnthropic:
    """The SDK's client. Key and address come from the environment; raises Stopped without a key."""
    if not has_key():
        raise Stopped(NO_KEY)
    timeout = httpx2.Timeout(settings.deadline_s, connect=min(CONNECT_S, settings.deadline_s / 2))
    return anthropic.AsyncAnthropic(max_retries=retries, timeout=timeout)


def client_version(client: anthropic.AsyncAnthropic) -> str:
    """The versions of SDK and API, as they are stored with each verdict."""
    return f"anthropic {anthropic.__version__}, API {client.default_headers['anthropic-version']}"


def request_body(item: Item, model: str, settings: ClaudeConfig) -> dict[str, Any]:
    """The request for one item. The system prompt may be cached.

    There is no temperature, because current models refuse it.
    """
    system = {"type": "text", "text": item.shown.system}
    output: dict[str, Any] = {"format": {"type": "json_schema", "schema": item.shown.schema}}
    if settings.effort is not None:
        output["effort"] = settings.effort
    body = {
        "model": model,
        "max_tokens": settings.max_tokens,
        "system": [system | {"cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        "messages": [{"role": "user", "content": item.shown.user_prompt(item.digest)}],
        "output_config": output,
    }
    if isinstance(settings.thinking, int):
        body["thinking"] = {"type": "enabled", "budget_tokens": settings.thinking}
    elif settings.thinking is not None:
        body["thinking"] = {"type": settings.thinking}
    return body


def _usage(raw: dict[str, Any]) -> Usage:
    return Usage(
        input_tokens=int(raw.get("input_tokens") or 0),
        output_tokens=int(raw.get("output_tokens") or 0),
        cache_write_tokens=int(raw.get("cache_creation_input_tokens") or 0),
        cache_read_tokens=int(raw.get("cache_read_input_tokens") or 0),
    )


def read_message(body: str, model: str) -> Reply:
    """Read a reply's body.

    A refusal, a reply cut at max_tokens, another model's answer, or a body that is not a message is
    a failure.
    """
    try:
        raw = valid_texts(json.loads(body))
        content = "".join(block["text"] for block in raw["content"] if block["type"] == "text")
        usage = _usage(raw["usage"])
        stop_reason, answered = str(raw["stop_reason"]), str(raw["model"])
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError):
        failure = f"the body is not a message: {' '.join(body.split())[:80]!r}"
        return Reply(None, failure, transient=True, raw=body)
    failure = FAILURES.get(stop_reason, "")
    if answered != model:
        failure = f"answered by {answered}, not by {model}"
    return Reply(
        None if failure else content,
        failure,
        raw=body,
        request_id=str(raw.get("id", "")),
        model=answered,
        stop_reason=stop_reason,
        usage=usage,
    )


def read_error(error: anthropic.APIError) -> Reply:
    """An error of the API as a Reply.

    Raises BenchError (a refused key, model or setting) or Stopped (no credit) if all other requests
    would fail, too.
    """
    if not isinstance(error, anthropic.APIStatusError):
        return Reply(None, f"no answer: {type(error).__name__}", transient=True)
    said = valid_text(" ".join(str(error.message).split())[:200])
    failure = f"status {error.status_code}: {said}"
    if error.status_code in (401, 403, 404):
        raise BenchError(f"judge claude: {failure}; check the key and judge.claude.model")
    if error.status_code == 400:
        check_refusal(said)
    return Reply(
        None,
        failure,
        transient=_is_transient(error.status_code),
        raw=error.response.text[:2000],
        request_id=error.request_id or "",
    )


def check_refusal(said: str) -> None:
    """Raise for an invalid request that all other requests would repeat; `said`: the API's words.

    Stopped without credit, else BenchError. A prompt that is too long concerns one answer alone.
    """
    if "credit balance" in said.lower():
        raise Stopped(f"the API reports: {said}")
    if "too long" not in said.lower():
        raise BenchError(
            f"judge claude: the API refused the request (status 400): {said}; "
            "check model, max_tokens, effort and thinking in judge.claude"
        )


def _is_transient(status: int) -> bool:
    return status in (408, 409, 429) or status >= 500


async def count_tokens(items: Sequence[Item], model: str, settings: ClaudeConfig) -> list[int]:
    """Input tokens of each item's request, counted by the API, which is free.

    Raises Stopped or BenchError if the API cannot be asked.
    """
    client = make_client(settings)
    try:
        found = []
        for item in items:
            body = request_body(item, model, settings)
            del body["max_tokens"]
            counted = await client.messages.count_tokens(**body)
            found.append(counted.input_tokens)
        return found
    except anthropic.APIError as error:
        raise Stopped(read_error(error).failure) from error
    finally:
        await client.close()


def check_model(reply: Reply, series: Series) -> None:
    """Raise BenchError for another model's reply: all further ones would be paid but useless."""
    if reply.model and reply.model != series.model:
        raise BenchError(
            f"judge claude: {reply.failure}: set judge.claude.model to the id that answered"
        )


class Breaker:
    """Counts transient failures in a row, and stops the run if the judge is out of reach."""

    def __init__(self, concurrency: int):
        self._most = max(LEAST_FAILURES_IN_A_ROW, 2 * concurrency)
        self._in_a_row = 0

    def note(self, reply: Reply) -> None:
        """Count a reply. Raises Stopped after too many failures in a row."""
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
        return _is_transient(error.status_code)
    return isinstance(error, anthropic.APIConnectionError)


_GROWING_PAUSE = wait_exponential_jitter(multiplier=0.5, max=8.0, jitter=0.25)


def _pause_s(state: RetryCallState) -> float:
    """Seconds before the next attempt: what the API asks for, else a growing pause."""
    error = state.outcome.exception() if state.outcome is not None else None
    headers = error.response.headers if isinstance(error, anthropic.APIStatusError) else {}
    for name, seconds in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            return max(float(headers[name]) * seconds, 0.0)
        except (KeyError, ValueError):
            continue
    return _GROWING_PAUSE(state)


def _may_be_billed(error: BaseException) -> bool:
    """False for a request that never left this machine or was refused."""
    if isinstance(error, anthropic.APIStatusError):
        return error.status_code in GAVE_UP_WAITING
    return not isinstance(error.__cause__, NEVER_SENT)


class ClaudeJudge:
    """Asks the Messages API, item by item.

    Two batches are open at a time, so that requests go on while one batch is being closed.
    """

    batches_at_once = 2

    def __init__(
        self, series: Series, settings: ClaudeConfig, budget: Budget, known: Measured | None = None
    ):
        self.series, self._settings, self._budget = series, settings, budget
        self._client = make_client(settings, retries=0)
        self._version = client_version(self._client)
        self._breaker = Breaker(settings.concurrency)
        # Limits the concurrent requests of all batches together. An item keeps its place while it
        # waits for its next attempt, because the API is then busy.
        self._in_flight = asyncio.Semaphore(settings.concurrency)
        self._least_input = known.least_input_tokens if known is not None else None

    async def ask(self, items: Sequence[Item], journal: Journal, keep: Keep) -> None:
        """Ask for every item; see `Judge.ask`.

        On the first reason to stop, the requests in flight are finished, because they are paid for.
        """
        waiting, problems = iter(items), list[Exception]()

        async def work() -> None:
            for item in waiting:
                try:
                    async with self._in_flight:
                        reply, stopped = await self._ask(item)
                    await keep(item, reply)
                    if stopped is not None:
                        raise stopped
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

    async def _ask(self, item: Item) -> tuple[Reply, Stopped | None]:
        """(one item's reply or failure after retries, why to stop after it).

        The reply's cost includes attempts whose replies were lost. Raises Stopped if the budget is
        spent and nothing was sent.
        """
        start, deadline_s = time.monotonic(), self._settings.deadline_s
        attempts = AsyncRetrying(
            retry=retry_if_exception(_may_be_retried),
            wait=_pause_s,
            stop=stop_before_delay(deadline_s) | stop_after_attempt(RETRIES + 1),
            reraise=True,
        )
        bill, stop = list[float](), None
        try:
            async for attempt in attempts:
                with attempt:
                    left_s = deadline_s - (time.monotonic() - start)
                    reply = await self._send(item, left_s, bill)
        except TimeoutError:
            reply = Reply(None, f"no answer within {deadline_s:g} s", transient=True)
        except anthropic.APIError as error:
            reply = read_error(error)
        except Stopped as stopped:
            if not any(bill):
                raise
            reply, stop = Reply(None, f"the reply was lost; {stopped}", transient=True), stopped
        return replace(reply, usd=sum(bill), client=self._version), stop

    async def _send(self, item: Item, seconds: float, bill: list[float]) -> Reply:
        """Send a request once, and add its price to the bill.

        Before that, the most it can cost is reserved. This sum counts as paid, unless the price is
        known or there certainly was no answer.
        """
        body = request_body(item, self.series.model, self._settings)
        paid = most = at_most_usd(size_of(item), self._settings, self._least_input)
        await self._budget.reserve(most)
        try:
            async with asyncio.timeout(seconds):
                response = await self._client.messages.with_raw_response.create(**body)
            reply = read_message(response.http_response.text, self.series.model)
            if reply.transient:  # the unreadable body may be a paid reply
                return reply
            paid = usd_of(self._settings.usd_per_million_tokens, reply.usage)
            self._least_input = least_input(self._least_input, reply.usage)
            request_id = response.http_response.headers.get("request-id", reply.request_id)
            return replace(reply, request_id=request_id)
        except anthropic.APIError as error:
            if not _may_be_billed(error):
                paid = 0.0
            raise
        finally:
            self._budget.settle(most, paid)
            bill.append(paid)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
