"""A stand-in for the vendor's API on loopback: messages, count_tokens and batches, with faults."""

from __future__ import annotations

import asyncio
import json
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Self
from urllib.parse import urlsplit

from scripts.lib.judging.canaries import score_by_checks
from scripts.lib.prompts.types import Question
from scripts.lib.scoring.rubric import PASS_SCORE
from scripts.lib.scoring.score import score_answer

Grader = Callable[["Prompt"], str]
# The answer to a request: (status, headers, body). A body of None closes the connection; with the
# header CUT it is closed that many bytes before the announced end.
Fault = tuple[int, dict[str, str], str | None]
CUT = "cut-bytes"
MODEL = "claude-sonnet-5-5"
TICK_S = 0.001
_PART = r"<{name}-([0-9a-f]{{16}})>\n(.*)\n</{name}-\1>"


@dataclass(frozen=True)
class Prompt:
    """The parts of a judge's prompt. `second`: of a pair, the answer that is shown second."""

    question: str
    reference: str
    criteria: int
    answer: str
    second: str | None = None


def take_apart(user: str) -> Prompt:
    parts = {}
    for name in ("question", "reference", "criteria", "answer", "first-answer", "second-answer"):
        found = re.search(_PART.format(name=name), user, re.S)
        if found is not None:
            parts[name] = found[2]
    answer = parts.get("answer", parts.get("first-answer"))
    assert answer is not None and "question" in parts, "not a judge's prompt"
    count = parts["criteria"].count(" %) ")
    return Prompt(parts["question"], parts["reference"], count, answer, parts.get("second-answer"))


def verdicts(
    prompt: Prompt,
    verdict: str,
    summary: str,
    quote: str | None = None,
    attempt: str = "reasonable",
) -> str:
    """A reply that fits the schema, with the same verdict for all criteria."""
    evidence = (
        "" if verdict == "unmet" else (prompt.answer.strip()[:40] if quote is None else quote)
    )
    one = {"evidence_quote": evidence, "reason": f"because of {summary}", "verdict": verdict}
    criteria = [{"number": n, **one} for n in range(1, prompt.criteria + 1)]
    return json.dumps({"criteria": criteria, "attempt": attempt, "summary": summary})


def plain(text: str) -> str:
    return " ".join(text.split())


def honest(questions: Iterable[Question]) -> Grader:
    """Knows what the checks know, and the references.

    Where the checks decide everything, it passes what they pass. Else a whole reference is right, a
    part of it half right, all else wrong.
    """
    known = {question.prompt.strip(): question for question in questions}

    def grade(prompt: Prompt) -> str:
        question = next((q for text, q in known.items() if prompt.question.endswith(text)), None)
        reference = plain(question.reference_answer) if question is not None else ""
        score = score_by_checks(question, prompt.answer) if question is not None else None
        answer = plain(prompt.answer)
        note = f"about {answer[:30]!r} on {prompt.question[-30:]!r}"
        is_right = reference and reference in answer if score is None else score >= PASS_SCORE
        if is_right and answer:
            return verdicts(prompt, "met", f"right {note}")
        if len(answer) >= 60 and answer in reference:
            return verdicts(prompt, "partly", f"half {note}")
        return verdicts(
            prompt, "unmet", f"wrong {note}", attempt="reasonable" if len(answer) > 20 else "none"
        )

    return grade


def better(prompt: Prompt, which: str, summary: str) -> str:
    """A reply on a pair: `first`, `second` or `equal` for all criteria."""
    assert prompt.second is not None
    sides = {"first": (prompt.answer, prompt.second), "second": (prompt.second, prompt.answer)}
    quotes = [text.strip()[:40] for text in sides.get(which, ()) if text.strip()]
    one = {"evidence_quote": (quotes or [""])[0], "reason": f"because {summary}", "better": which}
    criteria = [{"number": n, **one} for n in range(1, prompt.criteria + 1)]
    return json.dumps({"criteria": criteria, "summary": summary})


def by_checks(questions: Iterable[Question], right: float = 1.0, seed: int = 0) -> Grader:
    """Compares two answers by the machine checks, and is right in this share of its replies."""
    known = {question.prompt.strip(): question for question in questions}
    chance = random.Random(seed)

    @cache
    def points(text: str, answer: str) -> float:
        found = next((q for prompt, q in known.items() if text.endswith(prompt)), None)
        assert found is not None, text
        if plain(answer) == plain(found.reference_answer):
            return 1.0
        return score_answer(found, answer, "stop").fraction or 0.0

    def grade(prompt: Prompt) -> str:
        assert prompt.second is not None
        one, other = (points(prompt.question, text) for text in (prompt.answer, prompt.second))
        verdict = "equal" if one == other else "first" if one > other else "second"
        if chance.random() >= right:
            verdict = chance.choice([w for w in ("first", "second", "equal") if w != verdict])
        return better(prompt, verdict, f"{one:g} against {other:g} on {prompt.question[-30:]!r}")

    return grade


def always_3(prompt: Prompt) -> str:
    return verdicts(prompt, "met", f"fine: {prompt.answer[:20]}")


def at_random(seed: int) -> Grader:
    chance = random.Random(seed)
    return lambda prompt: verdicts(
        prompt, chance.choice(["met", "partly", "unmet"]), f"a guess {chance.random()}"
    )


def copies_the_claim(prompt: Prompt) -> str:
    """Marks an answer as right if it claims to be right."""
    claims = re.search(
        r"criterion is met|criteria as met|score: 3|give this a 3|correct|verified|reference",
        prompt.answer,
        re.I,
    )
    return verdicts(prompt, "met" if claims else "unmet", f"as claimed: {prompt.answer[:30]}")


@dataclass
class Batch:
    id: str
    requests: list[dict[str, Any]]
    created: datetime
    polls: int = 0


@dataclass
class JudgeServer:
    """The server; it runs in a thread.

    `fault` may answer the n-th request (from 1) of a path. `lines` may damage a batch's results.
    """

    grader: Grader
    latency_s: float = 0.0
    fault: Callable[[str, int, dict[str, Any]], Fault | None] = lambda path, n, body: None
    lines: Callable[[list[str]], list[str]] = lambda lines: lines
    polls_until_ended: int = 2
    counts: Counter[str] = field(default_factory=Counter)
    judged: Counter[str] = field(default_factory=Counter)
    headers: list[dict[str, str]] = field(default_factory=list)
    batches: dict[str, Batch] = field(default_factory=dict)
    in_flight: int = 0
    most_in_flight: int = 0
    connections: int = 0

    def __enter__(self) -> Self:
        started = threading.Event()
        self._loop = asyncio.new_event_loop()

        def run() -> None:
            asyncio.set_event_loop(self._loop)
            self._server = self._loop.run_until_complete(
                asyncio.start_server(self._serve, "127.0.0.1", 0)
            )
            started.set()
            self._loop.run_forever()

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        started.wait(10)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    async def _end(self) -> None:
        """Drop the connections that are still open."""
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that make the SDK talk to this server only."""
        return {"ANTHROPIC_BASE_URL": self.url, "ANTHROPIC_API_KEY": CANARY_KEY}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                start, *rows = head.decode().split("\r\n")
                headers = {k.lower(): v for k, _, v in (row.partition(": ") for row in rows if row)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                method, address, _ = start.split(" ")
                path = urlsplit(address).path  # of a request to a proxy it is the whole address
                self.in_flight += 1
                self.most_in_flight = max(self.most_in_flight, self.in_flight)
                arrived = self._loop.time()
                try:
                    status, more, text = await self._answer(method, path, headers, body)
                    # The time to make the answer is part of the latency. The loop's clock has
                    # ticks of a millisecond, rounded up.
                    await asyncio.sleep(self.latency_s - (self._loop.time() - arrived) - TICK_S / 2)
                finally:
                    self.in_flight -= 1
                if text is None:
                    return
                data = text.encode()
                more = {
                    "content-type": "application/json",
                    "request-id": f"req_{sum(self.counts.values())}",
                } | more
                cut = int(more.pop(CUT, 0))
                lines = "".join(f"{k}: {v}\r\n" for k, v in more.items())
                length = f"content-length: {len(data) + cut}"
                writer.write(f"HTTP/1.1 {status} X\r\n{lines}{length}\r\n\r\n".encode() + data)
                await writer.drain()
                if cut:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.connections -= 1
            writer.close()

    async def _answer(self, method: str, path: str, headers: dict[str, str], data: bytes) -> Fault:
        place = re.sub(r"/batches/[^/]+", "/batches/ID", path)
        key = f"{method} {place}"
        self.counts[key] += 1
        number = self.counts[key]
        self.headers.append(headers)
        body = json.loads(data) if data else {}
        if method == "CONNECT":  # as a proxy whose tunnels lead nowhere
            return 200, {}, ""
        fault = self.fault(key, number, body)
        if fault is not None:
            return fault
        if path == "/v1/messages":
            return 200, {}, json.dumps(self._message(body))
        if path == "/v1/messages/count_tokens":
            return 200, {}, json.dumps({"input_tokens": len(json.dumps(body)) // 4})
        if path == "/v1/messages/batches":
            return 200, {}, json.dumps(self._create(body) if method == "POST" else self._list())
        batch = self.batches[path.split("/")[4]]
        if path.endswith("/results"):
            lines = "\n".join(self.lines(self._results(batch))) + "\n"
            return 200, {"content-type": "application/x-jsonl"}, lines
        batch.polls += 1
        return 200, {}, json.dumps(self._about(batch))

    def _message(self, body: dict[str, Any]) -> dict[str, Any]:
        user = body["messages"][0]["content"]
        self.judged[user] += 1
        return {
            "id": f"msg_{sum(self.judged.values())}",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": [{"type": "text", "text": self.grader(take_apart(user))}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {
                "input_tokens": len(user) // 4,
                "output_tokens": 120,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 1000,
            },
        }

    def _create(self, body: dict[str, Any]) -> dict[str, Any]:
        batch = Batch(f"msgbatch_{len(self.batches) + 1}", body["requests"], datetime.now(UTC))
        self.batches[batch.id] = batch
        return self._about(batch)

    def _list(self) -> dict[str, Any]:
        newest = sorted(self.batches.values(), key=lambda batch: batch.created, reverse=True)
        data = [self._about(batch) for batch in newest]
        return {"data": data, "has_more": False, "first_id": None, "last_id": None}

    def _about(self, batch: Batch) -> dict[str, Any]:
        ended = batch.polls >= self.polls_until_ended
        counts = dict.fromkeys(("canceled", "errored", "expired", "processing", "succeeded"), 0)
        counts["succeeded" if ended else "processing"] = len(batch.requests)
        return {
            "id": batch.id,
            "type": "message_batch",
            "processing_status": "ended" if ended else "in_progress",
            "request_counts": counts,
            "created_at": batch.created.isoformat(),
            "expires_at": (batch.created + timedelta(hours=24)).isoformat(),
            "ended_at": None,
            "cancel_initiated_at": None,
            "archived_at": None,
            "results_url": f"{self.url}/v1/messages/batches/{batch.id}/results" if ended else None,
        }

    def _results(self, batch: Batch) -> list[str]:
        """The lines of the results, out of order."""
        lines = []
        for request in batch.requests:
            result = {"type": "succeeded", "message": self._message(request["params"])}
            lines.append(json.dumps({"custom_id": request["custom_id"], "result": result}))
        random.Random(batch.id).shuffle(lines)
        return lines

    def wait_for(self, key: str, count: int, timeout_s: float = 60.0) -> None:
        """Wait until a path was requested `count` times."""
        end = time.monotonic() + timeout_s
        while self.counts[key] < count:
            assert time.monotonic() < end, f"{key}: {self.counts[key]} requests, expected {count}"
            time.sleep(0.005)

    def wait_until_idle(self) -> None:
        """Wait until all requests that a client left behind are answered."""
        asyncio.run_coroutine_threadsafe(self._idle(), self._loop).result(60)

    async def _idle(self) -> None:
        while self.connections:
            await asyncio.sleep(0.005)


# Looks like a key and must not appear in any file.
CANARY_KEY = "sk-ant-canary-0123456789abcdef-never-to-be-written-down"
MESSAGES, BATCHES = "POST /v1/messages", "POST /v1/messages/batches"
