"""The anthropic SDK over real sockets against a stand-in for the API, with all kinds of faults."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scripts.lib.base.errors import BenchError
from scripts.lib.judging.batch import LEAST_RETESTS, BatchFile, Mix
from scripts.lib.judging.canaries import canary_count
from scripts.lib.judging.claude import (
    RETRIES,
    ClaudeJudge,
    count_tokens,
    read_message,
    request_body,
)
from scripts.lib.judging.cost import Budget, at_most_usd, measured, size_of
from scripts.lib.judging.protocol import Stopped
from scripts.lib.judging.run import RunResult
from scripts.lib.scoring.judge_prompt import user_prompt
from scripts.lib.scoring.scorers import scorers_of
from scripts.lib.scoring.series import Item, Reply
from scripts.lib.scoring.verdict_store import MOST_TIMES, VerdictStore
from scripts.lib.settings.run_config import load_config
from tests.factories.judge_server import (
    BATCHES,
    CANARY_KEY,
    CUT,
    MESSAGES,
    MODEL,
    Fault,
    JudgeServer,
    honest,
)
from tests.factories.judging import (
    BATCHED,
    CONFIG,
    QUESTIONS,
    SERIES,
    items,
    run,
)
from tests.factories.judging import store as store

OVERLOADED = json.dumps(
    {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
)
REFUSED = json.dumps(
    {"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key"}}
)
TOO_LARGE = json.dumps(
    {"type": "error", "error": {"type": "request_too_large", "message": "too large"}}
)
NO_CREDIT = {
    "type": "invalid_request_error",
    "message": "Your credit balance is too low to access the API.",
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[JudgeServer]:
    with JudgeServer(honest(QUESTIONS)) as made:
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        yield made


def on(
    item: Item, fault: Fault, times: int = 10**9
) -> Callable[[str, int, dict[str, Any]], Fault | None]:
    """A fault on the first `times` requests for one item."""
    left = [times]

    def decide(path: str, n: int, body: dict[str, Any]) -> Fault | None:
        if (
            path == MESSAGES
            and user_prompt(item.shown, item.digest) == body["messages"][0]["content"]
            and left[0] > 0
        ):
            left[0] -= 1
            return fault
        return None

    return decide


# --- the Messages API -----------------------------------------------------------------------------


def test_every_item_is_asked_once_and_the_evidence_is_kept(
    server: JudgeServer, store: VerdictStore
) -> None:
    result = run(store, items(60))
    assert not result.stopped and len(result.closed) == 2
    asked = sum(len(record.items) for record in result.closed)
    assert server.counts[MESSAGES] == asked == result.replies and set(server.judged.values()) == {1}
    verdict = store.usable(items(1)[0].shown.pair)
    assert (
        verdict is not None
        and verdict.reply.request_id.startswith("req_")
        and verdict.reply.model == MODEL
    )
    assert "anthropic 2." in verdict.reply.client and re.search(
        r"API \d{4}-\d\d-\d\d$", verdict.reply.client
    )
    assert json.loads(verdict.reply.raw)["content"][0]["text"] == verdict.reply.content
    assert verdict.reply.usage.cache_read_tokens == 1000
    assert result.usd == pytest.approx(
        sum(v.reply.usd for v in map(store.read, _digests(result)) if v)
    )


def _digests(result: RunResult) -> list[str]:
    return [item.digest for record in result.closed for item in record.items]


def test_the_request_is_bound_to_the_schema_cached_and_without_temperature(
    server: JudgeServer, store: VerdictStore
) -> None:
    bodies: list[dict[str, Any]] = []
    server.fault = lambda path, n, body: bodies.append(body)  # type: ignore[func-returns-value]
    run(store, items(3))
    for body in bodies:
        assert set(body) == {"model", "max_tokens", "system", "messages", "output_config"}
        assert body["system"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
        assert body["output_config"]["format"]["type"] == "json_schema"
    assert all(
        CANARY_KEY in (h.get("authorization", "") + h.get("x-api-key", "")) for h in server.headers
    )


def test_no_more_requests_are_in_flight_than_allowed(
    server: JudgeServer, store: VerdictStore
) -> None:
    server.latency_s = 0.02
    run(store, items(60))
    assert server.most_in_flight == CONFIG.concurrency


def test_a_proxy_of_the_environment_is_used_and_limited(
    server: JudgeServer, store: VerdictStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test server is the proxy; the API's address does not exist."""
    server.latency_s = 0.02
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://judge.invalid")
    monkeypatch.setenv("http_proxy", server.url)
    result = run(store, items(30))
    assert not result.stopped and result.replies == sum(server.judged.values()) >= 30
    assert server.most_in_flight == CONFIG.concurrency


@pytest.fixture
def silent(server: JudgeServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The judge's port accepts connections and never starts TLS."""
    with socket.create_server(("127.0.0.1", 0)) as port:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", f"https://127.0.0.1:{port.getsockname()[1]}")
        yield


@pytest.mark.usefixtures("silent")
def test_the_deadline_covers_connecting(store: VerdictStore) -> None:
    begin = time.monotonic()
    run(store, items(1), replace(CONFIG, deadline_s=1.0), Mix(1, 0.0, 0.0))
    assert time.monotonic() - begin < 8
    # The run stops before the last items, whichever they are.
    verdicts = [store.read(file.stem) for file in store.folder.glob("[0-9a-f][0-9a-f]/*.json")]
    assert verdicts and all(v and v.scored.unscored.startswith("no answer") for v in verdicts)


@pytest.mark.parametrize("status", [429, 500, 503, 529])
def test_requests_that_fail_now_and_then_are_retried(
    server: JudgeServer, store: VerdictStore, status: int
) -> None:
    """Every third request fails and is sent again; each item gets one verdict."""
    server.fault = lambda path, n, body: (
        (status, {"retry-after-ms": "5"}, OVERLOADED) if n % 3 == 0 else None
    )
    result = run(store, items(20))
    assert not result.stopped and all(store.usable(item.shown.pair) for item in items(20))
    assert set(server.judged.values()) == {1} and sum(server.judged.values()) == result.replies
    assert server.counts[MESSAGES] > result.replies


@pytest.mark.parametrize(
    ("fault", "said", "requests"),
    [
        ((429, {"retry-after": "3600"}, OVERLOADED), "status 429", 1),
        (
            (200, {"content-type": "text/html"}, "<html><b>Sign in</b></html>"),
            "the body is not a message",
            1,
        ),
        ((200, {}, '{"id": "msg_1", "type": "mess'), "the body is not a message", 1),
        ((200, {}, "null"), "the body is not a message", 1),
        ((529, {"retry-after-ms": "1"}, OVERLOADED), "status 529|no answer within", RETRIES + 1),
        ((500, {"x-should-retry": "false"}, "<html>Internal</html>"), "status 500", 1),
    ],
    ids=["retry-after 3600", "html", "cut json", "null", "529 for ever", "500 without retry"],
)
def test_a_transient_fault_leaves_one_answer_unscored_until_the_next_run(
    server: JudgeServer, store: VerdictStore, fault: Fault, said: str, requests: int
) -> None:
    target, start = items(20)[3], time.monotonic()
    server.fault = on(target, fault)
    run(store, items(20), replace(CONFIG, deadline_s=0.5))
    assert time.monotonic() - start < 30
    verdict = store.read(target.digest)
    assert verdict is not None and verdict.transient and verdict.score is None
    assert re.search(said, verdict.scored.unscored), verdict.scored.unscored
    assert store.usable(target.shown.pair) is None
    assert sum(store.usable(item.shown.pair) is None for item in items(20)) == 1
    others = sum(server.judged.values())
    assert 1 <= server.counts[MESSAGES] - others <= requests
    server.fault = lambda path, n, body: None
    run(store, [target])
    assert store.usable(target.shown.pair) is not None


def _message(stop_reason: str = "end_turn", text: str = "{}", model: str = MODEL) -> str:
    content = [{"type": "text", "text": text}]
    return json.dumps(
        {"id": "m", "content": content, "stop_reason": stop_reason, "model": model, "usage": {}}
    )


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ((200, {}, _message("refusal")), "the judge refused"),
        ((200, {}, _message("max_tokens", '{"criteria": [')), "cut at max_tokens"),
        ((200, {}, _message(text="Score: 3")), "malformed reply: not JSON"),
        (
            (200, {}, _message(text='{"criteria": [], "attempt": "reasonable", "summary": ""}')),
            "malformed reply: verdicts",
        ),
        ((200, {}, _message(text='{"score": 7}')), "malformed reply: not of the schema"),
        ((413, {}, TOO_LARGE), "status 413"),
    ],
    ids=["refusal", "max_tokens", "prose", "no criteria", "out of range", "too large"],
)
def test_a_useless_reply_is_asked_for_again_by_two_more_runs(
    server: JudgeServer, store: VerdictStore, fault: Fault, said: str
) -> None:
    target = items(20)[3]
    server.fault = on(target, fault)
    for time_ in range(1, MOST_TIMES + 1):
        assert store.usable(target.shown.pair) is None
        run(store, items(20))
        verdict = store.read(target.digest)
        assert verdict is not None and verdict.score is None and said in verdict.scored.unscored
        assert verdict.times == time_
        assert time_ == MOST_TIMES or said in store.why_not(target.shown.pair)
    asked = server.counts[MESSAGES]
    assert store.usable(target.shown.pair) == verdict
    run(store, items(20))
    assert server.counts[MESSAGES] == asked


def test_a_useless_reply_that_is_mended_in_a_later_run_counts(
    server: JudgeServer, store: VerdictStore
) -> None:
    target = items(20)[3]
    server.fault = on(target, (200, {}, _message("refusal")), times=1)
    run(store, items(20))
    run(store, items(20))
    verdict = store.usable(target.shown.pair)
    assert verdict is not None and verdict.score is not None and verdict.times == 2


UNKNOWN_EFFORT = {"type": "invalid_request_error", "message": "output_config.effort: not for this"}


@pytest.mark.parametrize("api", ["messages", "batches", "results"])
def test_an_invalid_request_ends_the_run_at_once_with_the_apis_words(
    server: JudgeServer, store: VerdictStore, api: str
) -> None:
    """All requests have the same form, so all others would be refused, too."""
    refusal = json.dumps({"type": "error", "error": UNKNOWN_EFFORT})
    if api == "results":
        errored = {"type": "errored", "error": {"type": "error", "error": UNKNOWN_EFFORT}}
        server.lines = lambda lines: [
            json.dumps({"custom_id": json.loads(line)["custom_id"], "result": errored})
            for line in lines
        ]
    else:
        server.fault = lambda path, n, body: (400, {}, refusal)
    config = CONFIG if api == "messages" else BATCHED
    with pytest.raises(BenchError, match=r"output_config\.effort: not for this"):
        run(store, items(200), config)
    assert server.counts[MESSAGES] <= ClaudeJudge.batches_at_once * CONFIG.concurrency
    server.fault, server.lines = (lambda path, n, body: None), (lambda lines: lines)
    assert not run(store, items(200), config).stopped
    assert all(store.usable(item.shown.pair) for item in items(200))


def test_effort_and_thinking_are_in_the_request_and_name_another_series(
    server: JudgeServer, store: VerdictStore
) -> None:
    bodies: list[dict[str, Any]] = []
    server.fault = lambda path, n, body: bodies.append(body)  # type: ignore[func-returns-value]
    run(store, items(1), replace(CONFIG, max_tokens=4096, effort="low", thinking=2048))
    assert {body["output_config"]["effort"] for body in bodies} == {"low"}
    assert all(b["thinking"] == {"type": "enabled", "budget_tokens": 2048} for b in bodies)
    run(store, items(9), replace(CONFIG, thinking="adaptive"))
    assert bodies[-1]["thinking"] == {"type": "adaptive"}
    assert "effort" not in bodies[-1]["output_config"]
    judge = replace(load_config().judge, scorers=("claude",))
    options = ({}, {"effort": "low"}, {"effort": "high"}, {"thinking": 2048})
    names = set()
    for option in options:
        (scorer,) = scorers_of(replace(judge, claude=replace(judge.claude, **option)), "")
        assert scorer.series is not None and scorer.pairs is not None
        names |= {scorer.series.name, scorer.pairs.name}
    assert len(names) == 2 * len(options)


def test_thinking_blocks_are_not_part_of_the_verdict(
    server: JudgeServer, store: VerdictStore
) -> None:
    (item,) = items(1)
    message = server._message(request_body(item, MODEL, CONFIG))
    message["content"].insert(0, {"type": "thinking", "thinking": "hm", "signature": "s"})
    server.fault = on(item, (200, {}, json.dumps(message)))
    run(store, [item])
    verdict = store.usable(item.shown.pair)
    assert verdict is not None and verdict.score is not None


def test_an_outage_ends_the_run_and_the_next_one_continues(
    server: JudgeServer, store: VerdictStore
) -> None:
    server.fault = lambda path, n, body: (
        (503, {"x-should-retry": "false"}, OVERLOADED) if n > 12 else None
    )
    result = run(store, items(200))
    assert "in a row failed" in result.stopped and server.counts[MESSAGES] < 60
    answered = sum(server.judged.values())
    server.fault = lambda path, n, body: None
    result = run(store, items(200))
    assert not result.stopped and all(store.usable(item.shown.pair) for item in items(200))
    assert set(server.judged.values()) == {1} and answered == 12


def test_a_refused_key_is_one_clear_error(server: JudgeServer, store: VerdictStore) -> None:
    server.fault = lambda path, n, body: (401, {}, REFUSED)
    with pytest.raises(BenchError, match=r"status 401: .*check the key") as raised:
        run(store, items(20))
    assert CANARY_KEY not in str(raised.value)


def test_another_models_answer_is_one_clear_error(server: JudgeServer, store: VerdictStore) -> None:
    """For example an alias: all further answers would be paid for but useless."""
    server.fault = lambda path, n, body: (200, {}, _message(model="claude-other-20260101"))
    with pytest.raises(
        BenchError, match=r"answered by claude-other-20260101.*judge\.claude\.model"
    ):
        run(store, items(40))
    assert server.counts[MESSAGES] <= ClaudeJudge.batches_at_once * CONFIG.concurrency


def test_the_deadline_runs_from_when_a_request_is_sent(
    server: JudgeServer, store: VerdictStore
) -> None:
    """With one request at a time, the second one's deadline starts when it is sent."""
    server.latency_s = 0.3
    run(store, items(3), replace(CONFIG, concurrency=1, deadline_s=0.5))
    assert all(store.usable(item.shown.pair) for item in items(3))


def spent(
    faults: Sequence[Fault | None], server: JudgeServer, max_usd: float, deadline_s: float = 20.0
) -> float:
    """The cost of one item, in units of the most that a request can cost.

    The server's n-th answer has the n-th fault, or the last one.
    """
    server.fault = lambda path, n, body: faults[min(n, len(faults)) - 1]
    item = items(1)[0]
    settings = replace(CONFIG, deadline_s=deadline_s, concurrency=1)
    most = at_most_usd(size_of(item), settings)
    budget, told = Budget(max_usd * most), list[float]()
    judge = ClaudeJudge(SERIES, settings, budget)

    async def go() -> None:
        async def keep(item: Item, reply: Reply) -> None:
            told.append(reply.usd)

        try:
            await judge.ask([item], BatchFile(Path("unused")), keep)
        finally:
            await judge.close()
            # What is told of a reply includes the ones that were lost before it.
            assert sum(told) == pytest.approx(budget.spent_usd)

    asyncio.run(go())
    return budget.spent_usd / most


LOST: Fault = (200, {}, None)
NOT_JSON: Fault = (200, {}, "<html>")
REFUSED_FOR_NOW: Fault = (529, {"retry-after": "0.01"}, OVERLOADED)
REFUSED_FOR_GOOD: Fault = (529, {"x-should-retry": "false"}, OVERLOADED)


@pytest.mark.parametrize(
    ("faults", "times"),
    [
        ([NOT_JSON], 1),
        ([REFUSED_FOR_GOOD], 0),
        ([REFUSED_FOR_NOW, REFUSED_FOR_GOOD], 0),
        ([LOST, REFUSED_FOR_GOOD], 1),
        ([LOST, REFUSED_FOR_NOW, REFUSED_FOR_GOOD], 1),
        ([LOST, LOST, REFUSED_FOR_GOOD], 2),
        ([LOST, NOT_JSON], 2),
        ([(504, {"x-should-retry": "false"}, "<html>")], 1),
    ],
)
def test_a_reply_that_may_have_been_paid_counts_as_paid(
    server: JudgeServer, faults: list[Fault], times: int
) -> None:
    assert spent(faults, server, max_usd=10) == pytest.approx(times)
    assert server.counts[MESSAGES] == len(faults)


def test_a_lost_reply_counts_in_addition_to_the_one_that_came(server: JudgeServer) -> None:
    alone = spent([None], server, max_usd=10)
    server.counts.clear()
    assert 0 < alone < 1 and spent([LOST, None], server, max_usd=10) == pytest.approx(1 + alone)


def test_a_late_reply_counts_as_paid_and_a_pause_before_a_retry_does_not(
    server: JudgeServer,
) -> None:
    assert (
        spent([(429, {"retry-after": "3600"}, OVERLOADED)], server, max_usd=10, deadline_s=0.2) == 0
    )
    server.latency_s = 1.0
    assert spent([None], server, max_usd=10, deadline_s=0.2) == pytest.approx(1)
    server.wait_until_idle()


def test_the_deadline_covers_all_attempts_together(server: JudgeServer) -> None:
    """A second attempt near the deadline gets the time that is left, not all of it again."""
    start, refused = time.monotonic(), (529, {"retry-after": "1.6"}, OVERLOADED)
    threading.Timer(0.8, setattr, (server, "latency_s", 10.0)).start()
    assert spent([refused, None], server, max_usd=10, deadline_s=2.0) == pytest.approx(1)
    assert time.monotonic() - start < 3.2 and server.counts[MESSAGES] == 2


def test_a_lost_reply_is_asked_again_only_while_there_is_money(server: JudgeServer) -> None:
    with pytest.raises(Stopped, match="max_usd"):
        spent([LOST], server, max_usd=2.5, deadline_s=8.0)
    assert server.counts[MESSAGES] == 2


@pytest.mark.usefixtures("silent")
def test_a_request_that_never_reached_the_judge_costs_nothing(server: JudgeServer) -> None:
    assert spent([None], server, max_usd=10, deadline_s=0.5) == 0


def test_no_credit_stops_the_run(server: JudgeServer, store: VerdictStore) -> None:
    server.fault = lambda path, n, body: (
        400,
        {},
        json.dumps({"type": "error", "error": NO_CREDIT}),
    )
    assert "credit balance" in run(store, items(20)).stopped


def test_the_money_limit_is_never_exceeded(server: JudgeServer, store: VerdictStore) -> None:
    limit = 0.06
    result = run(store, items(40), replace(CONFIG, max_usd=limit))
    assert result.stopped.startswith("max_usd") and 0 < result.usd <= limit
    spent, asked = result.usd, server.counts[MESSAGES]
    for _ in range(40):
        result = run(store, items(40), replace(CONFIG, max_usd=limit))
        assert result.usd <= limit
        spent += result.usd
        if not result.stopped:
            break
    assert not result.stopped and all(store.usable(item.shown.pair) for item in items(40))
    assert asked < server.counts[MESSAGES] == sum(server.judged.values())
    assert set(server.judged.values()) == {1}


def test_a_limit_too_small_for_one_request_sends_none(
    server: JudgeServer, store: VerdictStore
) -> None:
    result = run(store, items(3), replace(CONFIG, max_usd=0.0))
    assert result.stopped.startswith("max_usd") and server.counts[MESSAGES] == 0


def test_without_a_key_no_socket_is_opened(
    store: VerdictStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    def refuse(*_: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(Stopped, match="no ANTHROPIC_API_KEY in the environment"):
        run(store, items(3))


def test_tokens_are_counted_by_the_api(server: JudgeServer) -> None:
    counted = asyncio.run(count_tokens(items(3), MODEL, CONFIG))
    assert len(counted) == 3 and all(count > 1000 for count in counted)
    assert server.counts["POST /v1/messages/count_tokens"] == 3 and server.counts[MESSAGES] == 0
    server.fault = lambda path, n, body: (529, {"x-should-retry": "false"}, OVERLOADED)
    with pytest.raises(Stopped, match="status 529"):
        asyncio.run(count_tokens(items(3), MODEL, CONFIG))


@pytest.mark.parametrize(
    "body", ["", "[]", "7", '{"content": 3}', '{"content": [{"type": "text"}]}', "\x00"]
)
def test_a_body_that_is_not_a_message_is_a_transient_failure(body: str) -> None:
    reply = read_message(body, MODEL)
    assert reply.content is None and reply.transient and "not a message" in reply.failure


# --- Message Batches ------------------------------------------------------------------------------


def test_batches_cost_half_and_come_in_any_order(server: JudgeServer, store: VerdictStore) -> None:
    result = run(store, items(60), BATCHED, Mix(20, 0.1, 0.05))
    assert len(result.closed) == 3 and server.counts[BATCHES] == 3 and server.counts[MESSAGES] == 0
    assert all(store.usable(item.shown.pair) for item in items(60))
    verdict = store.usable(items(1)[0].shown.pair)
    assert verdict is not None and "batch msgbatch_" in verdict.reply.client
    usage = verdict.reply.usage
    full = (usage.input_tokens * 2 + usage.output_tokens * 10 + usage.cache_read_tokens * 0.1) / 1e6
    assert verdict.reply.usd == pytest.approx(full / 2)


def _spoil(lines: list[str]) -> list[str]:
    """Missing, repeated, foreign, expired, errored and broken lines."""
    raw = [json.loads(line) for line in lines]
    first, second, third, fourth, *rest = raw
    foreign = {"custom_id": "f" * 32, "result": first["result"]}
    expired = {"custom_id": second["custom_id"], "result": {"type": "expired"}}
    errored = {
        "custom_id": third["custom_id"],
        "result": {
            "type": "errored",
            "error": {
                "type": "error",
                "error": {"type": "invalid_request_error", "message": "prompt is too long"},
            },
        },
    }
    again = {"custom_id": fourth["custom_id"], "result": {"type": "expired"}}
    kept = [foreign, expired, errored, fourth, again, *rest]
    return ["{not json", *map(json.dumps, kept), "", "[]"]


def test_missing_repeated_foreign_and_expired_results(
    server: JudgeServer, store: VerdictStore
) -> None:
    server.lines = _spoil
    run(store, items(30), BATCHED)
    (record,) = store.batches.values()
    by_reason = [item.unscored for item in record.items if item.unscored]
    assert len(by_reason) == 3
    assert sum("no result in message batch" in reason for reason in by_reason) == 1
    assert sum("expired" in reason for reason in by_reason) == 1
    assert sum("prompt is too long" in reason for reason in by_reason) == 1
    server.lines = lambda lines: lines
    waiting = [item for item in items(30) if store.usable(item.shown.pair) is None]
    run(store, waiting, BATCHED)
    assert all(store.usable(item.shown.pair) for item in items(30))


def test_equal_batches_whose_ids_were_lost_are_each_found_again(
    server: JudgeServer, store: VerdictStore
) -> None:
    """The API created them, but the replies were lost.

    They have the same number of requests, so only their results show which is which.
    """

    def lose(key: str, n: int, body: dict[str, Any]) -> Fault | None:
        if key != BATCHES:
            return None
        server._create(body)
        return 200, {}, None

    # The first batch of a series is larger than the others.
    run(store, items(15), BATCHED, Mix(15, 0.1, 0.05))
    server.fault = lose
    # All batches are open before the first reply is lost, which ends the run.
    server.latency_s = 0.5
    assert "no answer" in run(store, items(60), BATCHED, Mix(15, 0.1, 0.05)).stopped
    server.latency_s = 0.0
    _, *lost = server.batches.values()
    assert len(lost) == 3 and len({len(batch.requests) for batch in lost}) == 1
    server.fault = lambda path, n, body: None
    assert not run(store, items(60), BATCHED, Mix(15, 0.1, 0.05)).stopped
    assert len(server.batches) == 4 and all(store.usable(item.shown.pair) for item in items(60))


def test_results_of_another_batch_are_not_ours(server: JudgeServer, store: VerdictStore) -> None:
    server.lines = lambda lines: [
        line.replace('"custom_id": "', '"custom_id": "x') for line in lines
    ]
    damaged = server.lines
    server.lines = lambda lines: damaged(lines) if len(server.batches) < 2 else lines
    run(store, items(5), BATCHED)
    assert len(server.batches) == 2 and all(store.usable(item.shown.pair) for item in items(5))


PAGE = (200, {"content-type": "text/html"}, "<html>Sign in</html>")
CREATED = "POST /v1/messages/batches"
POLLED, FETCHED = "GET /v1/messages/batches/ID", "GET /v1/messages/batches/ID/results"
GONE = json.dumps(
    {"type": "error", "error": {"type": "not_found_error", "message": "no such batch"}}
)


@pytest.mark.parametrize(
    ("key", "fault"),
    [
        (FETCHED, PAGE),
        (FETCHED, (200, {}, "")),
        (FETCHED, (404, {}, GONE)),
        (POLLED, PAGE),
        (POLLED, (200, {"content-type": "application/json"}, '{"id": "msgb')),
        (POLLED, (404, {}, GONE)),
        (CREATED, PAGE),
    ],
    ids=[
        "page",
        "nothing",
        "gone",
        "page when polled",
        "cut when polled",
        "gone when polled",
        "page when created",
    ],
)
def test_a_batch_that_cannot_be_read_is_fetched_again_and_paid_once(
    server: JudgeServer, store: VerdictStore, key: str, fault: Fault
) -> None:
    server.fault = lambda path, n, body: fault if path == key else None
    assert "message batch" in run(store, items(10), BATCHED).stopped
    server.fault = lambda path, n, body: None
    assert not run(store, items(10), BATCHED).stopped
    assert len(server.batches) == 1 and all(store.usable(item.shown.pair) for item in items(10))


@pytest.mark.parametrize("kind", ["cut off", "half a line", "missing lines"])
def test_results_that_are_cut_are_fetched_again_and_paid_once(
    server: JudgeServer, store: VerdictStore, kind: str
) -> None:
    cut: Fault = (200, {CUT: "1000"}, '{"custom_id": "x"')
    if kind == "half a line":
        server.lines = lambda lines: [*lines[:-1], lines[-1][:50]]
    elif kind == "missing lines":
        server.lines = lambda lines: lines[: len(lines) // 2]
    else:
        server.fault = lambda path, n, body: cut if path == FETCHED else None
    stopped = run(store, items(10), BATCHED).stopped
    assert "the next run fetches them again" in stopped and len(list(store.open_batches())) == 1
    server.fault, server.lines = (lambda path, n, body: None), (lambda lines: lines)
    assert not run(store, items(10), BATCHED).stopped
    assert len(server.batches) == 1 and all(store.usable(item.shown.pair) for item in items(10))


def test_results_that_stay_incomplete_are_used_after_three_runs(
    server: JudgeServer, store: VerdictStore
) -> None:
    server.lines = lambda lines: lines[1:]
    for _ in range(2):
        assert "results could be read" in run(store, items(10), BATCHED).stopped
    assert not run(store, items(10), BATCHED).stopped
    assert len(server.batches) == 1
    (record,) = store.batches.values()
    assert sum("no result" in item.unscored for item in record.items) == 1


def requests(answers: int, first: bool = True) -> int:
    """The requests of a batch with this number of answers."""
    own = answers + min(answers, LEAST_RETESTS)
    return own + canary_count(first, own, 0.1)


def test_batches_run_side_by_side_as_far_as_the_money_goes(
    server: JudgeServer, store: VerdictStore
) -> None:
    """As soon as replies show how long the instructions are, batches reserve less."""
    batched = replace(BATCHED, poll_s=0.3)
    run(store, items(30), batched, Mix(30, 0.1, 0.05))
    known = measured(store)
    assert known is not None
    size = size_of(items(1)[0])
    assert at_most_usd(size, batched, known.least_input_tokens) < 0.7 * at_most_usd(size, batched)
    rest = items(90)[30:]
    most = requests(15, first=False) * at_most_usd(size, batched, known.least_input_tokens)
    server.polls_until_ended = 3
    seen: list[int] = []
    server.fault = lambda path, n, body: seen.append(  # type: ignore[func-returns-value]
        sum(batch.polls < 3 for batch in server.batches.values())
    )
    result = run(store, rest, replace(batched, max_usd=2.5 * most), Mix(15, 0.1, 0.05))
    assert not result.stopped and max(seen) >= 2


def test_a_batch_that_stays_open_binds_its_price(server: JudgeServer, store: VerdictStore) -> None:
    """It will be paid for, so no further batch may be created for the same money."""
    limit = 1.2 * requests(15) * at_most_usd(size_of(items(1)[0]), BATCHED)
    server.fault = lambda path, n, body: (404, {}, GONE) if path == FETCHED else None
    result = run(store, items(45), replace(BATCHED, max_usd=limit), Mix(15, 0.1, 0.05))
    assert result.stopped and len(server.batches) == 1


def test_batches_wait_for_each_others_money(server: JudgeServer, store: VerdictStore) -> None:
    """Each reserves most of the limit but costs little, so they are judged one after the other."""
    limit = 1.2 * requests(15) * at_most_usd(size_of(items(1)[0]), BATCHED)
    result = run(store, items(45), replace(BATCHED, max_usd=limit), Mix(15, 0.1, 0.05))
    assert not result.stopped and len(server.batches) == 3 and result.usd <= limit


def test_a_paid_batch_is_fetched_whatever_the_limit_is_now(
    server: JudgeServer, store: VerdictStore
) -> None:
    server.fault = lambda path, n, body: (
        (503, {"x-should-retry": "false"}, OVERLOADED) if path == FETCHED else None
    )
    assert "503" in run(store, items(10), BATCHED).stopped
    server.fault = lambda path, n, body: None
    assert not run(store, items(10), replace(BATCHED, max_usd=0.0)).stopped
    assert len(server.batches) == 1


# --- kill -9 --------------------------------------------------------------------------------------

CHILD = """
import sys
from pathlib import Path
from tests.factories.judging import BATCHED, CONFIG, SERIES, items, run
from scripts.lib.judging.batch import Mix
from scripts.lib.scoring.verdict_store import VerdictStore
config = BATCHED if sys.argv[2] == "batches" else CONFIG
run(VerdictStore(SERIES, Path(sys.argv[1])), items(40), config, Mix(15, 0.1, 0.05))
"""


def _start(store: VerdictStore, server: JudgeServer, api: str) -> subprocess.Popen[bytes]:
    import os

    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(store.folder.parent), api],
        env={**os.environ, **server.environment},
    )


@pytest.mark.parametrize("requests", [1, 9, 23, 51])
def test_killed_at_any_point_nothing_stored_is_asked_again(
    server: JudgeServer, store: VerdictStore, requests: int
) -> None:
    server.latency_s = 0.01
    child = _start(store, server, "messages")
    server.wait_for(MESSAGES, requests)
    child.kill()
    child.wait()
    server.wait_until_idle()
    stored = [
        verdict
        for file in store.folder.glob("??/*.json")
        if (verdict := store.read(file.stem)) is not None
    ]
    asked = set(server.judged)
    run(store, items(40), mix=Mix(15, 0.1, 0.05))
    assert all(store.usable(item.shown.pair) for item in items(40))
    again = sum(count - 1 for count in server.judged.values())
    # Only requests in flight, and replies not yet stored at the kill, may be sent again.
    assert again <= len(asked) - len(stored) <= ClaudeJudge.batches_at_once * CONFIG.concurrency
    assert sum(server.judged.values()) - again == sum(
        len(record.items) for record in store.batches.values()
    )


@pytest.mark.parametrize(
    "moment",
    ["at creation", "before the id is known", "polling", "results"],
    ids=lambda moment: moment.replace(" ", "_"),
)
def test_killed_at_any_point_no_batch_is_paid_twice(
    server: JudgeServer, store: VerdictStore, moment: str
) -> None:
    """A batch is created once, whenever the process dies.

    The restart finds it by its id or in the API's list.
    """
    release: list[float] = []
    path = {
        "at creation": BATCHES,
        "before the id is known": BATCHES,
        "polling": "GET /v1/messages/batches/ID",
        "results": "GET /v1/messages/batches/ID/results",
    }[moment]

    def hold(key: str, n: int, body: dict[str, Any]) -> Fault | None:
        if key == path and not release:
            if moment == "before the id is known":
                server._create(body)
            return 200, {}, None
        return None

    server.fault = hold
    child = _start(store, server, "batches")
    server.wait_for(path, 1)
    child.kill()
    child.wait()
    release.append(time.monotonic())
    result = run(store, items(40), BATCHED, Mix(15, 0.1, 0.05))
    assert not result.stopped and all(store.usable(item.shown.pair) for item in items(40))
    paid = sum(len(batch.requests) for batch in server.batches.values())
    assert paid == sum(len(record.items) for record in store.batches.values())
