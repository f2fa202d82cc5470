"""Sends requests to an OpenAI-compatible server, and keeps the time of every token.

One asyncio process. Times are read when a piece of the stream arrives. Under Poisson arrivals a
request's time counts from when it should have been sent, so that a generator which falls behind
makes latencies longer and not shorter (no coordinated omission).
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import httpx2

from scripts.lib.base.errors import BenchError
from scripts.lib.base.untrusted_text import one_line

PATH, MODELS_PATH = "/v1/chat/completions", "/v1/models"
# Of an error's text, this much is shown.
MOST_SHOWN = 300


@dataclass(frozen=True, slots=True)
class Arrivals:
    """How the requests of a level arrive; one of the two is set.

    `concurrency`: so many are in flight; one is sent as soon as another one is done (closed loop).
    `requests_per_s`: each is sent at its own random time of a Poisson process, whether or not
    earlier ones are done (open loop).
    """

    concurrency: int | None = None
    requests_per_s: float | None = None

    def due_s(self, count: int, seed: int) -> Sequence[float | None]:
        """When each request is due, in seconds from the start; None: when a place gets free."""
        if self.requests_per_s is None:
            return [None] * count
        chance, now, times = random.Random(f"arrivals {seed}"), 0.0, []
        for _ in range(count):
            times.append(now)
            now += chance.expovariate(self.requests_per_s)
        return times

    def __str__(self) -> str:
        if self.requests_per_s is None:
            return f"{self.concurrency} in flight"
        return f"{self.requests_per_s:g} per s"


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """A request: the question's name, and the body that is sent (without `stream`)."""

    question: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Served:
    """What became of one request. All times are in seconds from the level's start.

    `due_s`: when it should have been sent; `sent_s`: when it was. `token_s`: the arrival of each
    piece of the answer, most often one token. `tokens`: as the server counts them (None: it did
    not). `error`: why there is no answer; such a request has no figures.
    """

    question: str
    due_s: float
    sent_s: float
    end_s: float
    token_s: tuple[float, ...] = ()
    tokens: int | None = None
    prompt_tokens: int | None = None
    error: str = ""

    @property
    def ttft_s(self) -> float | None:
        """From the time when it was due to the first piece."""
        return self.token_s[0] - self.due_s if self.token_s else None

    @property
    def inter_token_s(self) -> tuple[float, ...]:
        """The times between two pieces."""
        return tuple(b - a for a, b in pairwise(self.token_s))

    @property
    def completion_tokens(self) -> int:
        """The server's count, else the number of pieces."""
        return len(self.token_s) if self.tokens is None else self.tokens

    @property
    def decode_tokens_per_s(self) -> float | None:
        """Tokens after the first one over the time that they took; None with fewer than two."""
        took = self.token_s[-1] - self.token_s[0] if self.token_s else 0.0
        return (self.completion_tokens - 1) / took if took > 0 else None

    def to_json(self) -> dict[str, Any]:
        """As it is stored: pieces as differences in microseconds, the first one from `sent_s`."""
        deltas = [round(1e6 * (b - a)) for a, b in pairwise((self.sent_s, *self.token_s))]
        return {
            "question": self.question,
            "due_s": round(self.due_s, 6),
            "sent_s": round(self.sent_s, 6),
            "end_s": round(self.end_s, 6),
            "token_deltas_us": deltas,
            "completion_tokens": self.tokens,
            "prompt_tokens": self.prompt_tokens,
            "error": self.error,
        }


@dataclass(frozen=True, slots=True)
class Level:
    """The requests of one level of load. `client_cpu`: CPU seconds of this process per second."""

    arrivals: Arrivals
    served: tuple[Served, ...]
    client_cpu: float

    @property
    def answered(self) -> tuple[Served, ...]:
        """The requests with an answer."""
        return tuple(one for one in self.served if not one.error)


@dataclass(slots=True)
class _Stream:
    """The growing answer of one request."""

    token_s: list[float]
    tokens: int | None = None
    prompt_tokens: int | None = None

    def take(self, line: str, now: float) -> bool:
        """Read one line of the stream; True at its end. Raises ValueError for what it cannot be."""
        if not line.startswith("data:"):
            return False
        data = line[5:].strip()
        if data == "[DONE]":
            return True
        event = json.loads(data)
        if not isinstance(event, dict):
            raise ValueError("an event of the stream is not an object")
        if "error" in event:
            raise ValueError(one_line(json.dumps(event["error"]))[:MOST_SHOWN])
        choices = event.get("choices") or [{}]
        delta = choices[0].get("delta") or {}
        if delta.get("content") or delta.get("reasoning_content"):
            self.token_s.append(now)
        usage = event.get("usage")
        if isinstance(usage, dict):
            self.tokens = usage.get("completion_tokens")
            self.prompt_tokens = usage.get("prompt_tokens")
        return False


class Generator:
    """Loads one server. `key`: sent as a bearer token if it is not empty."""

    def __init__(self, url: str, key: str = "", timeout_s: float = 600.0):
        self._base = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._timeout_s = timeout_s

    def model(self) -> str:
        """The name of the server's first model. Raises BenchError if the server does not answer."""
        try:
            reply = httpx2.get(
                self._base + MODELS_PATH, headers=self._headers, timeout=10.0, trust_env=False
            )
            reply.raise_for_status()
            name = reply.json()["data"][0]["id"]
        except (httpx2.HTTPError, httpx2.InvalidURL) as failure:
            said = one_line(str(failure))[:MOST_SHOWN]
            raise BenchError(f"{self._base}: no answer of a server there: {said}") from failure
        except (ValueError, KeyError, IndexError, TypeError) as failure:
            raise BenchError(f"{self._base}{MODELS_PATH}: expected a list of models") from failure
        return str(name)

    def run(
        self,
        requests: Sequence[LoadRequest],
        arrivals: Arrivals,
        seed: int = 0,
        progress: Callable[[], object] = lambda: None,
    ) -> Level:
        """Send the requests of one level; returns when the last one is done.

        `progress` is called after each request, `seed` is that of random arrivals.
        """
        return asyncio.run(self._run(requests, arrivals, seed, progress))

    async def _run(
        self,
        requests: Sequence[LoadRequest],
        arrivals: Arrivals,
        seed: int,
        progress: Callable[[], object],
    ) -> Level:
        wanted = arrivals.concurrency or len(requests)
        limits = httpx2.Limits(max_connections=wanted, max_keepalive_connections=wanted)
        timeout = httpx2.Timeout(self._timeout_s)
        async with httpx2.AsyncClient(
            limits=limits, timeout=timeout, headers=self._headers, trust_env=False
        ) as client:
            places = asyncio.Semaphore(wanted)
            start, cpu = time.perf_counter(), time.process_time()

            async def one(request: LoadRequest, due_s: float) -> Served:
                try:
                    served = await self._ask(client, request, start, due_s)
                finally:
                    places.release()
                progress()
                return served

            tasks = []
            async with asyncio.TaskGroup() as group:
                for request, due in zip(requests, arrivals.due_s(len(requests), seed), strict=True):
                    if due is not None:
                        await asyncio.sleep(max(0.0, due - (time.perf_counter() - start)))
                    await places.acquire()
                    due_s = time.perf_counter() - start if due is None else due
                    tasks.append(group.create_task(one(request, due_s)))
            took = time.perf_counter() - start
            share = (time.process_time() - cpu) / took
        return Level(arrivals, tuple(task.result() for task in tasks), share)

    async def _ask(
        self, client: httpx2.AsyncClient, request: LoadRequest, start: float, due_s: float
    ) -> Served:
        """One request. What goes wrong is in the result, since the others go on."""
        body = {**request.body, "stream": True, "stream_options": {"include_usage": True}}
        stream, error = _Stream([]), ""
        sent_s = time.perf_counter() - start
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                client.stream("POST", self._base + PATH, json=body) as response,
            ):
                if response.status_code != 200:
                    said = (await response.aread()).decode("utf-8", "replace")
                    error = f"status {response.status_code}: {one_line(said)[:MOST_SHOWN]}"
                else:
                    error = await _read(response, stream, start)
        except TimeoutError:
            error = f"no end of the answer within {self._timeout_s:g} s"
        except httpx2.HTTPError as failure:
            error = f"{type(failure).__name__}: {one_line(str(failure))[:MOST_SHOWN]}"
        except (ValueError, TypeError, AttributeError, KeyError, IndexError) as failure:
            error = f"the stream cannot be read: {one_line(str(failure))[:MOST_SHOWN]}"
        end_s = time.perf_counter() - start
        return Served(
            request.question,
            due_s,
            sent_s,
            end_s,
            tuple(stream.token_s),
            stream.tokens,
            stream.prompt_tokens,
            error or ("" if stream.token_s else "the answer is empty"),
        )


async def _read(response: httpx2.Response, stream: _Stream, start: float) -> str:
    """Read an answer to its end; returns what is wrong with it, or an empty text."""
    async for line in response.aiter_lines():
        if stream.take(line, time.perf_counter() - start):
            return ""
    return "the stream broke off before its end"
