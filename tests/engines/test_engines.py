"""Both engines on tiny F32 models: every mode answers as the baseline, is active and counted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from scripts.lib.engines.factory import EngineSettings, make_engine
from scripts.lib.engines.protocol import (
    EngineDied,
    EngineFailure,
    GenerationTimeout,
    LoadSettings,
    Request,
)
from scripts.lib.engines.server_flags import probe
from scripts.lib.llama_build.build import server_binary
from scripts.lib.llama_build.identity import binary_identity
from scripts.lib.planning.cell_record import Measurement
from scripts.lib.planning.modes import Mode
from tests.factories.engines import (
    BASELINE,
    CONTEXT,
    ENGINES,
    HARDWARE,
    REQUEST,
    Start,
    settings,
)
from tests.factories.engines import models as models
from tests.factories.engines import start as start

pytestmark = pytest.mark.slow

WEIGHTS = Path("models/SmolLM2-135M-Instruct.Q8_0.gguf")


def answer(
    start: Start, name: str, wanted: LoadSettings, request: Request = REQUEST
) -> Measurement:
    return start(name, wanted).generate(request)


MODES = (
    BASELINE,
    Mode("lookup_n3", lookup_n=3),
    Mode("spec_draft_k4", draft="draft", k=4),
    Mode("spec_draft_k4_lookup", draft="draft", k=4, lookup_n=3),
)


@pytest.mark.serial  # two threads wait for each other
@pytest.mark.parametrize("kind", ["dense", "moe"])
def test_every_mode_of_both_engines_gives_the_same_tokens(
    start: Start, models: Path, kind: str
) -> None:
    experts = 6 if kind == "moe" else None
    two_threads = replace(HARDWARE, threads=2, batch_threads=2)
    found = {
        (name, mode.name): answer(
            start,
            name,
            settings(models, kind, replace(mode, experts=experts), hardware=two_threads),
        )
        for name in ENGINES
        for mode in MODES
    }
    reference = found[("embedded", "baseline")]
    assert reference.completion_tokens == 60 and reference.finish_reason == "length"
    for key, measured in found.items():
        assert measured.token_ids == reference.token_ids, key
        assert measured.answer == reference.answer or "�" in reference.answer, key
        assert measured.prompt_tokens == reference.prompt_tokens, key
        assert (measured.drafted_tokens > 0) == (key[1] != "baseline"), key
        assert 0 <= measured.accepted_tokens <= measured.drafted_tokens, key
        assert (measured.verify_steps > 0) == (key[1] != "baseline"), key


def test_both_engines_begin_an_answer_alike(start: Start, models: Path) -> None:
    """The prefill stands after the rendered prompt, whatever the template ends with."""
    wanted, begun = (
        settings(models, "dense", BASELINE),
        replace(REQUEST, prefill="<think>\n</think>\n"),
    )
    embedded, server = (answer(start, name, wanted, begun) for name in ENGINES)
    plain = answer(start, "embedded", wanted)
    assert embedded.prompt_tokens == server.prompt_tokens > plain.prompt_tokens
    assert embedded.token_ids == server.token_ids != plain.token_ids


@pytest.mark.parametrize("system", ["", "Be brief."])
def test_both_engines_render_the_turns_of_a_chat(start: Start, models: Path, system: str) -> None:
    wanted = settings(models, "dense", BASELINE)
    chat = replace(REQUEST, system=system, turns=(("user", "a b c"), ("assistant", "c d")))
    embedded, server = (answer(start, name, wanted, chat) for name in ENGINES)
    alone = answer(start, "embedded", wanted, replace(chat, turns=()))
    assert embedded.prompt_tokens == server.prompt_tokens > alone.prompt_tokens
    assert embedded.token_ids == server.token_ids != alone.token_ids


def test_both_engines_count_lookup_alike(start: Start, models: Path) -> None:
    wanted = settings(models, "dense", Mode("lookup_n3", lookup_n=3))
    counts = [answer(start, name, wanted) for name in ENGINES]
    assert counts[0].drafted_tokens == counts[1].drafted_tokens
    assert counts[0].accepted_tokens == counts[1].accepted_tokens


@pytest.mark.parametrize("name", ENGINES)
def test_experts_are_read_back_and_change_the_answer(start: Start, models: Path, name: str) -> None:
    answers = {}
    for experts in (1, 2, 8):
        engine = make_engine(name, EngineSettings(server_binary(), models / f"{name}.log", 60.0))
        loaded = engine.load(settings(models, "moe", Mode(f"moe{experts}", experts=experts)))
        assert loaded.effective["n_expert_used"] == str(experts)
        answers[experts] = engine.generate(REQUEST).token_ids
        engine.unload()
    assert len(set(answers.values())) == 3


@pytest.mark.parametrize("name", ENGINES)
def test_what_flash_attention_became_is_read_back(models: Path, tmp_path: Path, name: str) -> None:
    became = {}
    for wish in (True, False, "auto"):
        engine = make_engine(name, EngineSettings(server_binary(), tmp_path / "log", 60.0))
        wanted = settings(models, "dense", BASELINE, context={**CONTEXT, "flash_attention": wish})
        became[wish] = engine.load(wanted).effective["flash_attention"]
        assert engine.generate(REQUEST).completion_tokens > 5
        engine.unload()
    assert became == {True: True, False: False, "auto": True}


@pytest.mark.parametrize("name", ENGINES)
def test_a_quantised_v_cache_runs_with_auto_and_not_without(tmp_path: Path, name: str) -> None:
    """llama.cpp's rule, of which the plan knows."""
    assert WEIGHTS.is_file(), f"{WEIGHTS} is not here: make weights"
    for wish in ("auto", False):
        context = {**CONTEXT, "flash_attention": wish, "kv_type_k": "q8_0", "kv_type_v": "q8_0"}
        wanted = LoadSettings(WEIGHTS.resolve(), None, BASELINE, {}, context, HARDWARE)
        engine = make_engine(name, EngineSettings(server_binary(), tmp_path / "log", 60.0))
        if wish == "auto":
            assert engine.load(wanted).effective["flash_attention"] is True
            assert engine.generate(replace(REQUEST, max_tokens=5)).completion_tokens > 1
            engine.unload()
        else:
            with pytest.raises(EngineFailure):
                engine.load(wanted)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("kind", ["mamba2", "lfm2"])
def test_recurrent_models_run_as_baseline(start: Start, models: Path, name: str, kind: str) -> None:
    measured = answer(start, name, settings(models, kind, BASELINE))
    assert measured.completion_tokens > 5 and measured.drafted_tokens == 0


@pytest.mark.parametrize("name", ENGINES)
def test_an_answer_is_the_same_whatever_came_before(start: Start, models: Path, name: str) -> None:
    engine = start(
        name,
        settings(models, "dense", Mode("spec_draft_k4_lookup", draft="draft", k=4, lookup_n=3)),
    )
    first = engine.generate(REQUEST)
    engine.generate(replace(REQUEST, user="Something else entirely, and longer than before."))
    again = engine.generate(REQUEST)
    assert (again.token_ids, again.drafted_tokens, again.accepted_tokens) == (
        first.token_ids, first.drafted_tokens, first.accepted_tokens,
    )  # fmt: skip


@pytest.mark.parametrize("name", ENGINES)
def test_limits_and_stops(start: Start, models: Path, name: str) -> None:
    engine = start(name, settings(models, "dense", Mode("lookup_n3", lookup_n=3)))
    whole = engine.generate(REQUEST)
    for most in (1, 2, 7):
        short = engine.generate(replace(REQUEST, max_tokens=most))
        assert short.token_ids == whole.token_ids[:most] and short.finish_reason == "length"
    word = next(c for c in whole.answer[3:] if c.isascii() and c.isalnum())
    stopped = engine.generate(replace(REQUEST, stop=(word,)))
    assert stopped.finish_reason == "stop" and word not in stopped.answer
    assert whole.answer.startswith(stopped.answer)


@pytest.mark.parametrize("name", ENGINES)
def test_sampling_is_repeatable_by_seed(start: Start, models: Path, name: str) -> None:
    engine = start(name, settings(models, "dense", BASELINE))
    hot = replace(REQUEST, temperature=1.5, seed=7)
    assert engine.generate(hot).token_ids == engine.generate(hot).token_ids
    assert engine.generate(hot).token_ids != engine.generate(replace(hot, seed=8)).token_ids


@pytest.mark.parametrize("name", ENGINES)
def test_a_prompt_beyond_the_context_is_a_named_error(
    start: Start, models: Path, name: str
) -> None:
    engine = start(name, settings(models, "dense", BASELINE))
    with pytest.raises(
        EngineFailure, match=r"the prompt has \d+ tokens and the context 512: no room for an answer"
    ):
        engine.generate(replace(REQUEST, user="x " * 50_000))
    assert engine.generate(REQUEST).completion_tokens == 60


@pytest.mark.parametrize("name", ENGINES)
def test_a_timeout_keeps_the_part_that_was_generated(start: Start, models: Path, name: str) -> None:
    engine = start(name, settings(models, "dense", BASELINE))
    with pytest.raises(GenerationTimeout) as caught:
        engine.generate(replace(REQUEST, max_tokens=400, timeout_s=0.02))
    assert caught.value.partial.finish_reason == "timeout"
    assert caught.value.partial.completion_tokens < 400


@pytest.mark.parametrize("name", ENGINES)
def test_weights_that_do_not_load_fail_in_the_engines_own_words(
    start: Start, models: Path, name: str, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.gguf"
    bad.write_bytes((models / "dense.gguf").read_bytes()[:300_000])
    with pytest.raises(EngineFailure) as caught:
        start(name, settings(models, "dense", BASELINE, weights=bad))
    assert "llama" in str(caught.value) and len(str(caught.value)) > 40


def test_close_calls_are_seen_by_both_engines(start: Start, models: Path) -> None:
    engines = [start(name, settings(models, "dense", BASELINE)) for name in ENGINES]
    seen = dict(engines[0].generate(REQUEST).close_calls)
    asked = dict(engines[1].margins(REQUEST))
    assert seen and set(seen) == set(asked)
    assert all(abs(seen[token] - asked[token]) < 0.01 for token in seen)


def test_a_server_that_is_never_ready_is_named(models: Path, tmp_path: Path) -> None:
    script = tmp_path / "llama-server"
    flags = r"--model X  y\n--port P  z\n"
    script.write_text(
        f"#!/bin/sh\ncase $1 in --help) printf -- '{flags}';; "
        "*) echo loading; exec sleep 60;; esac\n"
    )
    script.chmod(0o755)
    engine = make_engine("server", EngineSettings(script, tmp_path / "log", 0.3))
    with pytest.raises(EngineFailure, match=r"was not ready within 0\.3 s: loading"):
        engine.load(settings(models, "dense", BASELINE))


def test_a_server_that_crashes_says_so_and_can_be_loaded_again(start: Start, models: Path) -> None:
    engine = start("server", settings(models, "dense", BASELINE))
    first = engine.generate(REQUEST)
    for asked in (engine.generate, engine.margins):
        psutil.Process(engine.pid()).kill()
        with pytest.raises(EngineDied, match=r"llama-server ended with signal SIGKILL: \S"):
            asked(REQUEST)
        engine.load(settings(models, "dense", BASELINE))
        assert engine.generate(REQUEST).token_ids == first.token_ids


def test_a_server_that_lives_on_has_not_died(start: Start, models: Path) -> None:
    engine = start("server", settings(models, "dense", BASELINE))
    with pytest.raises(EngineFailure) as caught:
        engine.generate(replace(REQUEST, user="x " * 50_000))
    assert not isinstance(caught.value, EngineDied)


def test_the_shells_llama_variables_do_not_reach_a_server(
    start: Start, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the key alone every request would be refused. The library's path is no setting."""
    monkeypatch.setenv("LLAMA_API_KEY", "secret")
    monkeypatch.setenv("LLAMA_ARG_N_PREDICT", "3")
    monkeypatch.setenv("GGML_SCHED_DEBUG", "2")
    monkeypatch.setenv("LLAMA_CPP_LIB_PATH", "here")
    engine = start("server", settings(models, "dense", BASELINE))
    assert engine.generate(REQUEST).completion_tokens == 60
    variables = Path(f"/proc/{engine.pid()}/environ").read_text().split("\0")
    names = [
        v
        for v in variables
        if v.startswith(("LLAMA_", "GGML_")) and not v.startswith("LLAMA_API_KEY=")
    ]
    assert names == ["LLAMA_CPP_LIB_PATH=here"] and "LLAMA_API_KEY=secret" not in variables
    assert "PATH=" + os.environ["PATH"] in variables


def test_the_shells_llama_variables_change_neither_a_binarys_flags_nor_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """llama-server refuses its --help and its --version, too, with a value that it cannot read."""
    monkeypatch.setenv("LLAMA_ARG_CTX_SIZE", "much")
    probe.cache_clear()
    assert probe(server_binary()).dialect == "current"
    assert binary_identity("server", server_binary()).version.startswith("version")


def test_a_server_dies_with_its_parent(models: Path, tmp_path: Path) -> None:
    script = f"""
import time
from pathlib import Path
from tests.factories.engines import *
log = Path({str(tmp_path / "s.log")!r})
engine = make_engine("server", EngineSettings(server_binary(), log, 60.0))
engine.load(settings(Path({str(models)!r}), "dense", BASELINE))
print(engine._server.pid, flush=True)
time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    server = psutil.Process(int(parent.stdout.readline()))
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    gone, alive = psutil.wait_procs([server], timeout=5)
    assert gone and not alive
