"""The load generator against a server with known delays, slots and faults."""

from __future__ import annotations

import statistics
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from scripts.lib.base.errors import BenchError
from scripts.lib.base.stored_json import read_sealed, read_stored
from scripts.lib.load.figures import figures
from scripts.lib.load.generator import Arrivals, Generator, LoadRequest
from tests.factories.commands import call
from tests.factories.streaming_server import StreamingServer

# The stand-in sleeps by the clock, and this machine may be busy.
pytestmark = pytest.mark.serial


def requests(count: int) -> list[LoadRequest]:
    return [LoadRequest(f"s/q{i % 8}", {"messages": []}) for i in range(count)]


def test_times_and_counts_are_the_servers() -> None:
    with StreamingServer(tokens=11, first_s=0.4, between_s=0.02).running() as server:
        found = Generator(server.url).run(requests(24), Arrivals(concurrency=4))
    assert [one.error for one in found.served] == [""] * 24
    assert {(one.tokens, one.prompt_tokens, len(one.token_s)) for one in found.served} == {
        (11, 7, 11)
    }
    shown = figures(found)
    ttft, between = shown.ttft_s[0], shown.inter_token_s[0]
    assert ttft is not None and ttft.value == pytest.approx(0.4, rel=0.1)
    assert between is not None and between.value == pytest.approx(0.02, rel=0.02)
    # Four answers of 0.6 s at a time.
    assert shown.output_tokens_per_s == pytest.approx(4 * 11 / 0.6, rel=0.1)
    assert shown.overlap is not None and shown.overlap > 0.9
    assert all(body["stream"] and body["stream_options"] for body in server.bodies)


def test_a_closed_loop_never_sends_more_than_asked() -> None:
    with StreamingServer().running() as server:
        found = Generator(server.url).run(requests(12), Arrivals(concurrency=3))
    for one in found.served:
        flying = [o for o in found.served if o.sent_s < one.end_s and one.sent_s < o.end_s]
        assert sum(o.sent_s <= one.sent_s < o.end_s for o in flying) <= 3


def test_a_slow_server_makes_poisson_latencies_longer_and_is_not_waited_for() -> None:
    """No coordinated omission: with one slot, requests queue up, and the figures show it."""
    with StreamingServer(tokens=1, first_s=0.05, slots=1).running() as server:
        found = Generator(server.url).run(requests(20), Arrivals(requests_per_s=100.0), seed=3)
    due = Arrivals(requests_per_s=100.0).due_s(20, 3)
    assert [one.due_s for one in found.served] == due
    assert max(one.sent_s - one.due_s for one in found.served) < 0.1
    waits = sorted(one.ttft_s or 0.0 for one in found.served)
    # Twenty requests of 50 ms, one after the other; they were due within about 0.2 s.
    assert waits[-1] == pytest.approx(1.0 - (due[-1] or 0.0), abs=0.15)


def test_arrivals_are_a_poisson_process_that_a_seed_repeats() -> None:
    times = [t or 0.0 for t in Arrivals(requests_per_s=4.0).due_s(4001, 1)]
    gaps = [b - a for a, b in pairwise(times)]
    # Exponential: mean and standard deviation are both 1 / rate.
    assert statistics.mean(gaps) == pytest.approx(0.25, rel=0.05)
    assert statistics.stdev(gaps) == pytest.approx(0.25, rel=0.07)
    assert Arrivals(requests_per_s=4.0).due_s(9, 1) == times[:9]
    assert Arrivals(requests_per_s=4.0).due_s(9, 2) != times[:9]


def test_what_goes_wrong_with_one_request_is_told_and_the_others_go_on() -> None:
    def fault(number: int) -> tuple[int, str] | None:
        return {2: (500, '{"error": "no slot"}'), 3: (200, "<html>")}.get(number)

    with StreamingServer(fault=fault, cut=4).running() as server:
        found = Generator(server.url).run(requests(6), Arrivals(concurrency=1))
    errors = [one.error for one in found.served]
    assert [bool(error) for error in errors] == [False, True, True, True, False, False]
    assert errors[1] == 'status 500: {"error": "no slot"}'
    assert "broke off" in errors[2]
    assert "RemoteProtocolError" in errors[3] or "ReadError" in errors[3]


def test_a_request_without_an_end_is_given_up() -> None:
    with StreamingServer(tokens=2, first_s=0.01, between_s=30.0).running() as server:
        found = Generator(server.url, timeout_s=0.3).run(requests(1), Arrivals(concurrency=1))
    assert found.served[0].error == "no end of the answer within 0.3 s"


def test_no_server_is_one_message() -> None:
    with pytest.raises(BenchError, match=r"http://127.0.0.1:9: no answer of a server there"):
        Generator("http://127.0.0.1:9").model()


def test_the_command_shows_levels_and_stores_each_request(tmp_path: Path) -> None:
    file = tmp_path / "load.json"
    with StreamingServer().running() as server:
        argv = ["--url", server.url, "--concurrency", "1", "2", "--requests", "10"]
        shown = call("scripts.load", *argv, "--slo-ttft-s", "5", "--output", str(file))
    assert shown.returncode == 0, shown.stderr
    assert "2 in flight" in shown.stdout and "10/10" in shown.stdout
    assert "100 %" in shown.stdout and "Never ranked" in shown.stdout
    stored: dict[str, Any] = read_sealed(read_stored(file), str(file))
    assert (stored["model"], stored["proved"]) == ("stand-in", False)
    assert [len(one["served"]) for one in stored["levels"]] == [10, 10]
    first = stored["levels"][0]["served"][0]
    assert len(first["token_deltas_us"]) == 5 and first["question"].startswith("workload/")
    # The questions with all their messages are sent, in an order that the seed repeats.
    sent = [[m["role"] for m in body["messages"]] for body in server.bodies]
    assert sent[:10] == sent[10:] and all(roles[-1] == "user" for roles in sent)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--suite", "workloads"], "no suite 'workloads'; did you mean 'workload'?"),
        (["--concurrency", "0"], "expected a number above 0, found 0"),
        (["--rate", "nan"], "expected a number above 0, found nan"),
    ],
)
def test_bad_input_is_one_message(argv: list[str], said: str) -> None:
    shown = call("scripts.load", "--url", "http://127.0.0.1:9", *argv)
    assert shown.returncode in (1, 2) and said in shown.stderr
    assert "Traceback" not in shown.stderr
