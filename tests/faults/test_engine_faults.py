"""An engine's replies are checked: an impossible one is the cell's error and blocks no shard."""

from __future__ import annotations

import json
import os
import pty
import select
import shlex
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from scripts.lib.engines.factory import EngineSettings, make_engine
from scripts.lib.engines.protocol import (
    Engine,
    EngineDied,
    EngineFailure,
    GenerationTimeout,
    LoadSettings,
)
from scripts.lib.engines.server_process import listening_port
from scripts.lib.llama_build.build import server_binary
from scripts.lib.planning.modes import Mode
from tests.factories.engines import CONTEXT, HARDWARE, REQUEST
from tests.factories.tiny_models import write_model

FAKE = Path(__file__).resolve().parents[1] / "factories/fake_llama_server.py"
TOKENS = 10
TIMINGS = {"prompt_n": 3, "prompt_ms": 1.0, "predicted_n": TOKENS, "predicted_ms": 18.0}
Fake = Callable[..., Engine]


def event(**fields: object) -> str:
    return f"data: {json.dumps(fields)}"


def answer(count: int = TOKENS, **timings: object) -> list[str]:
    """The lines of a plain answer, with other timings where they are given."""
    parts = [event(content="ab", tokens=[index], stop=False) for index in range(count)]
    return [
        *parts,
        event(content="", tokens=[], stop=True, stop_type="limit", timings=TIMINGS | timings),
    ]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> LoadSettings:
    weights = write_model(tmp_path_factory.mktemp("models") / "dense.gguf")
    return LoadSettings(weights, None, Mode("baseline"), {}, CONTEXT, HARDWARE)


def fake_binary(folder: Path, scenario: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    binary, file = folder / "llama-server", folder / "scenario.json"
    file.write_text(json.dumps(scenario))
    command = shlex.join([sys.executable, str(FAKE), str(file)])
    binary.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    binary.chmod(0o755)
    return binary


@pytest.fixture
def fake(tmp_path: Path, settings: LoadSettings) -> Iterator[Fake]:
    """An engine whose llama-server is the fake one, loaded; it is unloaded after the test."""
    engines: list[Engine] = []

    def make(ready_s: float = 30.0, **scenario: Any) -> Engine:
        folder = tmp_path / str(len(engines))
        binary = fake_binary(folder, {"lines": answer()} | scenario)
        engine = make_engine("server", EngineSettings(binary, folder / "server.log", ready_s))
        engines.append(engine)
        engine.load(settings)
        return engine

    yield make
    for engine in engines:
        engine.unload()


# --- whose answers ---


def test_of_eight_servers_started_together_each_answers_for_itself(fake: Fake) -> None:
    lines = [event(content="{pid}", tokens=[0], stop=False), *answer(9)[:9], answer()[-1]]
    engines = [fake(lines=lines) for _ in range(8)]
    answers = [engine.generate(REQUEST).answer.removesuffix("ab" * 9) for engine in engines]
    assert answers == [str(engine.pid()) for engine in engines] and len(set(answers)) == 8


def test_another_server_that_took_the_port_of_a_dead_one_is_not_believed(
    fake: Fake, tmp_path: Path
) -> None:
    engine = fake()
    assert engine.generate(REQUEST).completion_tokens == TOKENS
    port = listening_port(engine.pid())
    psutil.Process(engine.pid()).kill()
    with pytest.raises(EngineDied):
        engine.generate(REQUEST)
    other = fake_binary(tmp_path / "other", {"lines": answer(), "port": port})
    process = subprocess.Popen([other, "--port", "0"], stdout=subprocess.DEVNULL)
    try:
        while listening_port(process.pid) != port:
            time.sleep(0.01)
        with pytest.raises(EngineDied, match="ended with signal SIGKILL"):
            engine.generate(REQUEST)
    finally:
        process.kill()
        process.wait()


def test_llama_server_answers_only_who_has_its_key_and_shows_it_to_nobody(
    tmp_path: Path, settings: LoadSettings
) -> None:
    from scripts.lib.engines.server_client import ServerClient
    from scripts.lib.engines.server_flags import probe
    from scripts.lib.engines.server_start import start_server

    with start_server(probe(server_binary()), settings, tmp_path / "log", 60.0) as server:
        port = listening_port(server.pid)
        assert port is not None and server.client.url.endswith(f":{port}")
        with pytest.raises(EngineFailure, match="/props: status 401: Invalid API Key"):
            ServerClient(port, "another").call("/props")
        assert server.call("/props")["total_slots"] == 1
        assert server.client.key not in Path(f"/proc/{server.pid}/cmdline").read_text()


# --- its clock and its counts ---

LIES: dict[str, tuple[dict[str, object], str]] = {
    "no time at all": ({"predicted_ms": 1e-300}, "9 tokens decoded one by one in 0 s"),
    "negative time": ({"predicted_ms": -5.0}, r"decode_s: expected 0 or more, found -0\.005"),
    "no number": ({"predicted_ms": float("nan")}, "decode_s: expected 0 or more, found nan"),
    "for ever": ({"predicted_ms": 1e300}, "1e.297 s of prefill and decoding in an answer of"),
    "longer than the answer": ({"prompt_ms": 5000.0}, "s of prefill and decoding in an answer of"),
    "more accepted than drafted": (
        {"draft_n": 0, "draft_n_accepted": 99},
        "99 tokens accepted of 0 drafted",
    ),
    "no token": ({"predicted_n": 0}, "has 0 tokens"),
    "tokens that it does not name": ({"predicted_n": 40}, "40 tokens answered, 10 of them named"),
    "fewer tokens than named": ({"predicted_n": 4}, "4 tokens answered, 10 of them named"),
    "half a token": ({"predicted_n": 2.5}, "timings: predicted_n: expected a count, found 2.5"),
    "a text": ({"prompt_ms": "soon"}, "timings: prompt_ms: expected a number, found 'soon'"),
    "a huge number": ({"prompt_ms": 10**400}, "timings: prompt_ms: expected a number"),
    "a negative count": ({"draft_n": -1}, "timings: draft_n: expected a count, found -1"),
}


@pytest.mark.parametrize("lie", LIES)
def test_figures_that_cannot_be_are_the_answers_error(fake: Fake, lie: str) -> None:
    changed, words = LIES[lie]
    with pytest.raises(EngineFailure, match=words):
        fake(lines=answer(**changed)).generate(REQUEST)


def test_a_long_answer_that_took_no_time_by_the_servers_clock_is_an_error(fake: Fake) -> None:
    with pytest.raises(
        EngineFailure, match=r"an answer of .* s, of which prefill and decoding took 0\.019 s"
    ):
        fake(pause_s=0.08).generate(REQUEST)


def test_more_tokens_than_were_asked_for_are_an_error(fake: Fake) -> None:
    with pytest.raises(EngineFailure, match="4 tokens asked for, 10 answered"):
        fake().generate(replace(REQUEST, max_tokens=4))


def test_figures_that_can_be_are_taken(fake: Fake) -> None:
    measured = fake(lines=answer(draft_n=8, draft_n_accepted=3)).generate(REQUEST)
    assert (measured.answer, measured.completion_tokens, measured.accepted_tokens) == (
        "ab" * TOKENS,
        TOKENS,
        3,
    )
    assert measured.finish_reason == "length" and measured.token_ids == tuple(range(TOKENS))


# --- replies of another shape ---

SHAPES: dict[str, tuple[dict[str, Any], str]] = {
    "bytes that are no UTF-8": (
        {"lines": ['data: {"content": "\xff"}']},
        "/completion: expected text in UTF-8",
    ),
    "no JSON": ({"lines": ["data: {"]}, "/completion: expected JSON, found"),
    "JSON as deep as it gets": (
        {"lines": ["data: " + "[" * 100_000]},
        "/completion: expected JSON, found",
    ),
    "a list": ({"lines": ["data: [1]"]}, r"/completion: expected an object, found \[1\]"),
    "no text": ({"lines": [event(content=None)]}, "content: expected a text, found None"),
    "no tokens": (
        {"lines": [event(content="a", tokens=None)]},
        "tokens: expected a list of token ids, found None",
    ),
    "words for tokens": ({"lines": [event(tokens=["a"])]}, "tokens: expected a list of token ids"),
    "timings in a list": ({"lines": [event(stop=True, timings=[])]}, "timings: expected an object"),
    "a last event without timings": (
        {"lines": [event(stop=True)]},
        "the answer ended without timings",
    ),
    "a number for a reason": (
        {"lines": [event(stop=True, stop_type=7)]},
        "stop_type: expected a text, found 7",
    ),
    "no last event": ({"lines": answer()[:-1]}, "the answer broke off before its last event"),
    "nothing": ({"lines": []}, "the answer broke off before its last event"),
    "a cut": ({"lines": answer()[:4], "cut": True}, "the answer broke off before its last event"),
    "an error of its own": (
        {"lines": [event(error={"message": "no\x1b[2J room"})]},
        "llama-server: no.* room",
    ),
    "an error in a list": ({"lines": [event(error=[1])]}, "llama-server: "),
    "a prompt that is none": (
        {"replies": {"/apply-template": "{}"}},
        "prompt: expected a text, found None",
    ),
    "tokens that are none": (
        {"replies": {"/tokenize": '{"tokens": 3}'}},
        "tokens: expected a list of token ids",
    ),
    "a reply that is none": ({"replies": {"/tokenize": "[]"}}, "/tokenize: expected an object"),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_reply_of_another_shape_is_the_answers_error(fake: Fake, shape: str) -> None:
    scenario, words = SHAPES[shape]
    engine = fake(**scenario)
    with pytest.raises(EngineFailure, match=words) as caught:
        engine.generate(REQUEST)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 500
    assert not isinstance(caught.value, EngineDied) and psutil.pid_exists(engine.pid())


@pytest.mark.parametrize(
    "reply",
    [
        "[]",
        "{",
        '{"completion_probabilities": [3]}',
        '{"completion_probabilities": [{"top_logprobs": [{}, {}]}]}',
    ],
)
def test_close_calls_of_another_shape_are_an_error(fake: Fake, reply: str) -> None:
    with pytest.raises(EngineFailure, match="/completion"):
        fake(replies={"/completion": reply}).margins(REQUEST)


def test_half_a_surrogate_pair_is_replaced_and_two_halves_are_joined(fake: Fake) -> None:
    lines = answer()
    lines[0:3] = [
        r'data: {"content": "\ud83d", "tokens": [0]}',
        r'data: {"content": "\ude00", "tokens": [1]}',
        r'data: {"content": "\ud800", "tokens": [2]}',
    ]
    assert fake(lines=lines).generate(REQUEST).answer == "\U0001f600�" + "ab" * 7


# --- bytes without end ---


@pytest.mark.serial
@pytest.mark.parametrize("how", ["drip", "drip_header"])
def test_a_server_that_drips_bytes_is_left_at_the_answers_deadline(fake: Fake, how: str) -> None:
    engine = fake(**{how: "/completion"})
    begin = time.monotonic()
    with pytest.raises(GenerationTimeout) as caught:
        engine.generate(replace(REQUEST, timeout_s=0.5))
    assert time.monotonic() - begin < 3 and caught.value.partial.completion_tokens == 0


@pytest.mark.serial
def test_a_server_that_drips_bytes_does_not_hold_off_an_interrupt(fake: Fake) -> None:
    engine = fake(drip="/completion")
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        begin = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            engine.generate(REQUEST)
        assert time.monotonic() - begin < 3
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_server_that_does_not_reply_about_a_prompt_is_ended(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scripts.lib.engines import server

    monkeypatch.setattr(server, "PROMPT_TIMEOUT_S", 0.3)
    engine = fake(drip="/tokenize")
    with pytest.raises(EngineDied, match=r"/tokenize: no whole reply within 0\.3 s"):
        engine.generate(REQUEST)
    with pytest.raises(EngineDied):
        engine.check_alive()


def test_an_answer_of_more_than_four_mebibytes_is_cut(fake: Fake) -> None:
    lines = answer()
    lines[3] = event(content="x" * 5_000_000, tokens=[3], stop=False)
    measured = fake(lines=lines).generate(REQUEST)
    assert len(measured.answer) == 4 << 20 and measured.finish_reason == "length"
    assert measured.completion_tokens == TOKENS


# --- loading ---


def test_a_server_that_never_gets_ready_ends_at_its_time_and_says_so_at_once_on_a_terminal(
    tmp_path: Path, settings: LoadSettings
) -> None:
    binary = fake_binary(tmp_path, {"lines": [], "sick": True})
    script = f"""
from pathlib import Path
from tests.faults.test_engine_faults import *
weights, binary = Path({str(settings.weights)!r}), Path({str(binary)!r})
settings = LoadSettings(weights, None, Mode("baseline"), {{}}, CONTEXT, HARDWARE)
log = Path({str(tmp_path / "log")!r})
engine = make_engine("server", EngineSettings(binary, log, 3.0))
try:
    engine.load(settings)
except EngineFailure as failure:
    print(failure)
"""
    terminal, inside = pty.openpty()
    termios.tcsetwinsize(inside, (24, 100))
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=inside, text=True
    )
    shown = b""
    while b"llama-server loads its model" not in shown:
        assert select.select([terminal], [], [], 60)[0], shown
        shown += os.read(terminal, 1000)
    assert process.poll() is None
    said = process.communicate()[0]
    os.close(inside)
    os.close(terminal)
    assert said.startswith("llama-server was not ready within 3 s: fake llama-server")
