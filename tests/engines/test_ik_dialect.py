"""ik_llama.cpp's llama-server: told by its help, its own `--spec-type`, its replies and its log."""

from __future__ import annotations

import math
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scripts.lib.base.errors import BenchError
from scripts.lib.engines.factory import EngineSettings, make_engine
from scripts.lib.engines.load_log import effective_settings, model_logs
from scripts.lib.engines.protocol import Engine, LoadSettings, NotActive
from scripts.lib.engines.server_flags import (
    CURRENT,
    IK,
    OLDER,
    probe,
    read_help,
    server_argv,
    speculation_flags,
)
from scripts.lib.engines.speculation_log import given_up, totals
from scripts.lib.executor import guard_load, guard_warm_up
from scripts.lib.llama_build.build import server_binary
from scripts.lib.planning.cell_record import Count
from scripts.lib.planning.modes import Mode
from scripts.lib.planning.plan import Shard
from scripts.lib.settings.speculators import SPECULATORS, Needs, Speculator
from tests.factories.engines import CONTEXT, HARDWARE, REQUEST, engine_mode_spec
from tests.factories.engines import shard as shard
from tests.factories.tiny_models import write_model

STAND_IN = Path(__file__).resolve().parents[1] / "factories/ik_llama_server.py"
HELP = (Path(__file__).resolve().parents[1] / "data/ik_llama/help.txt").read_text()
IK_FLAGS = read_help(Path("/bin/llama-server"), HELP)
DRAFT = Path("/w/draft.gguf")
# ik_llama.cpp's answer has an odd number of tokens here: every batch gives two.
TOKENS = 61
# llama.cpp when `--spec-type` was new, and ik_llama.cpp before its `TYPE:key=value`.
BETWEEN = """
-m,    --model FNAME                    model path
--port PORT                             port to listen (default: 8080)
-md,   --model-draft FNAME              draft model for speculative decoding
--draft-max, --draft, --draft-n N       number of tokens to draft
--spec-type [none|ngram-cache|ngram-simple|ngram-map-k|ngram-map-k4v|ngram-mod]
                                        type of speculative decoding without a draft model
--spec-ngram-size-n N                   ngram size N
"""
EXPECTED = {
    "lookup": "ngram-simple:ngram_size_n=3,ngram_size_m=16,n_max=16",
    "ngram_map_k": "ngram-map-k:ngram_size_n=12,ngram_size_m=48,n_max=48,ngram_min_hits=1",
    "ngram_map_k4v": "ngram-map-k4v:ngram_size_n=12,ngram_size_m=48,n_max=48,ngram_min_hits=1",
    "ngram_mod": "ngram-mod:ngram_size_n=24,n_min=48,n_max=64",
    "ngram_cache": "ngram-cache",
    "draft": "draft:n_max=8,n_min=0,p_min=0",
    "mtp": "mtp:n_max=8,n_min=0,p_min=0",
    "mtp_file": "mtp:n_max=8,n_min=0,p_min=0",
    "dflash": "dflash:n_max=8,n_min=0,p_min=0",
    "dspark": "dspark:n_max=8,n_min=0,p_min=0",
}


def mode_of(row: Speculator) -> tuple[Mode, dict[str, Any]]:
    """A mode with one speculator, and its spec."""
    if row.needs is Needs.DRAFT:
        return Mode("m", draft="d", k=8), {"draft": "", "k": 8, "draft_kind": row.name}
    if row.needs is Needs.HEAD:
        return Mode("m", mtp=True, k=8), {"mtp": {"k": 8}}
    if row.name == "lookup":
        return Mode("m", lookup_n=3), {"lookup_n": 3, "lookup_draft_tokens": 16}
    return Mode("m", ngram=row.name), {row.name: {}}


def load_settings(row: Speculator, **more: Any) -> LoadSettings:
    mode, spec = mode_of(row)
    draft = DRAFT if row.needs is Needs.DRAFT else None
    return LoadSettings(Path("/w/t.gguf"), draft, mode, spec | more, CONTEXT, HARDWARE)


ROWS = {row.name: row for row in SPECULATORS}


# --- the help ---


def test_its_help_is_its_own_dialect() -> None:
    assert IK_FLAGS.dialect == IK
    assert {"draft", "mtp", "dflash", "dspark", "suffix", "ngram-mod"} <= IK_FLAGS.spec_types
    assert "none" not in IK_FLAGS.spec_types and "eagle3" not in IK_FLAGS.spec_types
    assert {"n_max", "n_min", "p_min", "heads", "cross_ctx", "ngram_size_n"} <= IK_FLAGS.spec_keys
    # Options with and without a short form, at the widest indent, and those named in a description.
    assert {"-t", "--threads", "--jinja", "--swa-compress", "--spec-autotune"} <= IK_FLAGS.known
    assert not {"--recurrent-ckpt-mode", "--spec-stage", "--draft-max"} & IK_FLAGS.known


def test_the_built_llama_server_is_not_it_and_has_every_flag_of_the_table() -> None:
    built = probe(server_binary())
    assert (built.dialect, built.spec_keys) == (CURRENT, frozenset())
    assert {row.type for row in SPECULATORS} == built.spec_types
    for row in SPECULATORS:
        for knob in {**row.named, **row.knobs}.values():
            assert built.has(knob.flag), knob.flag


def test_what_had_spec_type_before_either_is_neither() -> None:
    flags = read_help(Path("/bin/x"), BETWEEN)
    assert flags.dialect == OLDER
    argv = speculation_flags(flags, load_settings(ROWS["draft"]))
    assert argv[:4] == ["--model-draft", str(DRAFT), "--draft-max", "8"]
    with pytest.raises(BenchError, match="has no --lookup: it cannot run mode m"):
        speculation_flags(flags, load_settings(ROWS["lookup"]))


# --- the command line ---


@pytest.mark.parametrize("name", EXPECTED)
def test_each_speculator_is_one_spec_type_with_its_keys(name: str) -> None:
    settings = load_settings(ROWS[name])
    argv = server_argv(IK_FLAGS, settings)
    assert argv[argv.index("--spec-type") + 1] == EXPECTED[name]
    assert ("--model-draft" in argv) == (ROWS[name].needs is Needs.DRAFT)
    assert {word for word in argv if word.startswith("--")} <= IK_FLAGS.known
    assert argv[argv.index("--flash-attn") + 1] == "off"
    assert argv[argv.index("--webui") + 1] == "none" and "--log-verbosity" not in argv
    # The same mode for llama.cpp has none of these words.
    built = probe(server_binary())
    current = server_argv(built, settings)
    assert current[current.index("--spec-type") + 1] == ROWS[name].type
    assert {word for word in current if word.startswith("--")} <= built.known
    assert "--webui" not in current and not any("=" in word for word in current)


def test_two_speculators_are_two_stages_the_ngrams_first() -> None:
    settings = load_settings(ROWS["mtp"], ngram_mod={"n_match": 8, "n_min": 2, "n_max": 32})
    assert speculation_flags(IK_FLAGS, settings) == [
        *("--spec-type", "ngram-mod:ngram_size_n=8,n_min=2,n_max=32"),
        *("--spec-type", "mtp:n_max=8,n_min=0,p_min=0"),
    ]


def test_what_a_binary_does_not_have_is_named() -> None:
    with pytest.raises(BenchError, match=r"--spec-type has no draft-eagle3 \(it has: dflash, dr"):
        speculation_flags(IK_FLAGS, load_settings(ROWS["eagle3"]))
    page = CURRENT_PAGE.replace("draft-mtp,", "")
    flags = read_help(Path("/bin/x"), page)
    with pytest.raises(BenchError, match=r"--spec-type has no draft-mtp \(it has: draft-dflash\)"):
        speculation_flags(flags, load_settings(ROWS["mtp_file"]))


CURRENT_PAGE = """
--spec-type none,draft-mtp,draft-dflash
                                        comma-separated list of types
--spec-draft-model, -md FNAME           draft model for speculative decoding
--spec-draft-n-max N                    number of tokens to draft
--spec-draft-p-min P                    minimum probability
"""


@pytest.mark.parametrize(
    ("page", "named"),
    [
        (CURRENT_PAGE, "/bin/x: has no --spec-draft-n-min: it is 2: it cannot run mode m"),
        (
            HELP.replace("n_max,n_min,p_min", "n_max,p_min"),
            r"/bin/x: --spec-type dflash has no key n_min \(it has: cross_ctx, .*\), and n_min is "
            "2: it cannot run mode m",
        ),
    ],
    ids=["llama.cpp", "ik_llama.cpp"],
)
def test_a_setting_that_a_binary_does_not_have_must_be_at_its_default(
    page: str, named: str
) -> None:
    flags = read_help(Path("/bin/x"), page)
    argv = " ".join(speculation_flags(flags, load_settings(ROWS["dflash"])))
    assert "p_min=0" in argv or "--spec-draft-p-min 0" in argv
    assert "n_min" not in argv and "n-min" not in argv
    with pytest.raises(BenchError, match=named):
        speculation_flags(flags, load_settings(ROWS["dflash"], drafting={"n_min": 2}))


# --- the log ---

DOCUMENTED = """
draft acceptance rate = 0.57576 (  171 accepted /   297 generated)
statistics ngram_map_k: #calls(b,g,a) = 6 1690 26, #gen drafts = 26, #acc drafts = 26, #gen tokens = 1248, #acc tokens = 968, dur(b,g,a) = 2.234, 1.427, 0.016 ms
statistics mtp: #calls(b,g,a) = 6 1664 1664, #gen drafts = 1664, #acc drafts = 1100, #gen tokens = 1664, #acc tokens = 1100, dur(b,g,a) = 0.1, 0.2, 0.3 ms
"""  # noqa: E501


def test_its_statistics_have_the_names_of_spec_type() -> None:
    found = totals(DOCUMENTED)
    assert found["ngram-map-k"].count == Count(1690, 26, 1248, 968)
    assert found["ngram-map-k"].verified == 26
    assert found["mtp"].count == Count(1664, 1664, 1664, 1100)


def test_its_own_words_for_going_on_without() -> None:
    words = "speculative decoding is not supported by multimodal, it will be disabled"
    assert given_up(f"WARN load_model: {words}\n") == words
    assert given_up("speculative decoding context initialized\n") == ""


# --- a running one ---


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "dense.gguf")


Start = Callable[..., Engine]


@pytest.fixture
def start(tmp_path: Path, weights: Path) -> Iterator[Start]:
    """Load engine `server` with the stand-in. `idle`: the type that never drafts."""
    engines: list[Engine] = []

    def make(mode: Mode, idle: str = "", **spec: Any) -> Engine:
        folder = tmp_path / str(len(engines))
        folder.mkdir()
        binary = folder / "llama-server"
        command = [sys.executable, str(STAND_IN), *(("--idle", idle) if idle else ())]
        binary.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
        binary.chmod(0o755)
        engine = make_engine("server", EngineSettings(binary, folder / "server.log", 30.0))
        engines.append(engine)
        draft = weights if mode.draft else None
        spec = engine_mode_spec(mode, override_key="llama.expert_used_count") | spec
        loaded = engine.load(LoadSettings(weights, draft, mode, spec, CONTEXT, HARDWARE))
        engine.loaded = loaded  # type: ignore[attr-defined]
        return engine

    yield make
    for engine in engines:
        engine.unload()


def of_mode(shard: Shard, mode: Mode) -> Shard:
    return replace(shard, mode=mode)


def asked(tokens: int = TOKENS) -> Any:
    return replace(REQUEST, max_tokens=tokens)


MTP_MOD = Mode("mtp_k4_ngram_mod", mtp=True, k=4, ngram="ngram_mod")


def test_one_speculator_is_counted_answer_by_answer(start: Start, shard: Shard) -> None:
    mode = Mode("lookup_n3", lookup_n=3)
    engine = start(mode)
    drafted = engine.warm_up()
    guard_warm_up(of_mode(shard, mode), drafted)
    for _ in range(2):  # totals are cumulative: the second answer counts as the first one
        measured = engine.generate(asked())
        assert measured.speculators == {"lookup": Count(30, 30, 60, 30)}
        assert (measured.drafted_tokens, measured.accepted_tokens) == (60, 30)
        assert (measured.verify_steps, measured.accepted_by_position) == (30, (30,))
        assert (measured.finish_reason, measured.completion_tokens) == ("length", TOKENS)
        assert len(measured.answer) == TOKENS - 1
        # The server names no tokens: these are the answer's text, tokenised.
        assert measured.token_ids == tuple(map(ord, measured.answer[::2]))


def test_two_speculators_are_counted_apart(start: Start, shard: Shard) -> None:
    engine = start(MTP_MOD)
    guard_warm_up(of_mode(shard, MTP_MOD), engine.warm_up())
    engine.renew()
    measured = engine.generate(asked())
    assert measured.speculators == {
        "ngram_mod": Count(30, 15, 30, 15),
        "mtp": Count(15, 15, 30, 15),
    }
    assert measured.verify_steps == 30


def test_one_of_two_that_never_drafts_is_found_in_the_warm_up(start: Start, shard: Shard) -> None:
    engine = start(MTP_MOD, idle="mtp")
    with pytest.raises(NotActive, match="mtp drafted nothing in the warm-up"):
        guard_warm_up(of_mode(shard, MTP_MOD), engine.warm_up())


def test_a_draft_model_and_fewer_experts(start: Start, shard: Shard) -> None:
    mode = Mode("moe4_spec_d_k8", experts=4, draft="d", k=8)
    engine = start(mode)
    loaded = engine.loaded  # type: ignore[attr-defined]
    assert loaded.effective["n_expert_used"] == "4"
    guard_load(of_mode(shard, mode), loaded)
    assert set(engine.warm_up()) == {"draft"}
    with pytest.raises(NotActive, match="6 experts asked for, the engine loaded 4"):
        guard_load(of_mode(shard, Mode("moe6", experts=6)), loaded)


def test_what_it_loaded_is_read_in_its_words(start: Start) -> None:
    effective = start(Mode("baseline")).loaded.effective  # type: ignore[attr-defined]
    assert effective["dialect"] == IK and effective["token_ids"] == "of the answer's text"
    assert (effective["arch"], effective["file_type"]) == ("llama", "all F32")
    assert effective["system_info"] == "AVX = 1 | AVX2 = 1 | FMA = 1 |"


def test_close_calls_are_read_from_its_probabilities(start: Start) -> None:
    engine = start(Mode("baseline"))
    assert engine.generate(asked()).speculators == {}
    assert engine.margins(asked(8)) == ((3, round(math.log(0.5 / 0.4), 4)),)


def test_the_stand_in_refuses_what_the_fork_refuses() -> None:
    """Or the tests above would show nothing."""
    words = {
        "ngram-mod:n_match=24": "unknown speculative stage parameter: n_match",
        "draft-mtp": "unknown speculative stage type: draft-mtp",
        "draft:n_max=8": "draft speculative stage requires a draft model",
    }
    for value, expected in words.items():
        argv = ["--model", "m", "--port", "0", "--flash-attn", "off", "--spec-type", value]
        run = subprocess.run(
            [sys.executable, STAND_IN, *argv],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert run.returncode == 1 and expected in run.stderr


def test_a_model_log_of_the_fork_is_split_by_model() -> None:
    log = (
        "llm_load_print_meta: format           = GGUF V3 (latest)\n"
        "llm_load_print_meta: arch             = qwen35moe\n"
        "llm_load_print_meta: n_expert_used    = 8\n"
        "llm_load_print_meta: model ftype      = Q4_K - Medium\n"
        "llm_load_print_meta: format           = GGUF V3 (latest)\n"
        "llm_load_print_meta: arch             = qwen3\n"
    )
    target, draft = map(effective_settings, model_logs(log))
    assert target == {"arch": "qwen35moe", "n_expert_used": "8", "file_type": "Q4_K - Medium"}
    assert draft == {"arch": "qwen3"}
