"""Flags come from a binary's --help: dialects, removed flags, and wrong binaries."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from scripts.lib.base.errors import BenchError
from scripts.lib.engines.protocol import LoadSettings
from scripts.lib.engines.server_flags import (
    ServerFlags,
    parse_help,
    probe,
    read_help,
    server_argv,
    speculation_flags,
)
from scripts.lib.machine.profiles import Hardware
from scripts.lib.planning.modes import Mode
from tests.factories.engines import engine_mode_spec

CONTEXT = {
    "length_tokens": 4096, "batch_tokens": 2048, "micro_batch_tokens": 512,
    "flash_attention": False, "kv_type_k": "f16", "kv_type_v": "q8_0",
}  # fmt: skip
CURRENT = """
-m,    --model FNAME                    model path
--port PORT                             port to listen (default: 8080)
-fa,   --flash-attn [on|off|auto]       set Flash Attention use
--spec-type none,draft-simple,ngram-simple
                                        comma-separated list of types
--spec-draft-model, -md, --model-draft FNAME
                                        draft model for speculative decoding
--spec-draft-n-max N                    number of tokens to draft
--spec-draft-n-min N                    minimum number of draft tokens
--spec-draft-p-min P                    minimum probability
--spec-ngram-simple-size-n N            n-gram
--spec-ngram-simple-size-m N            m-gram
--draft, --draft-n, --draft-max N       the argument has been removed. use --spec-draft-n-max or
                                        --spec-ngram-mod-n-max
--log-verbosity N                       see --verbose too
"""
OLDER = """
-m,    --model FNAME                    model path
--port PORT                             port to listen (default: 8080)
-md,   --model-draft FNAME              draft model for speculative decoding
--draft-max, --draft, --draft-n N       number of tokens to draft
--draft-min, --draft-n-min N            minimum number of draft tokens
--lookup                                use prompt lookup decoding
--lookup-ngram-min N                    smallest n-gram
"""


def settings(mode: Mode, draft: Path | None = None, override: str | None = None) -> LoadSettings:
    hardware = Hardware("x", 96, 48, None, None)
    spec = engine_mode_spec(mode, override_key=override)
    return LoadSettings(Path("/w/target.gguf"), draft, mode, spec, CONTEXT, hardware)


def flags(text: str) -> ServerFlags:
    return read_help(Path("/bin/llama-server"), text)


def test_removed_flags_do_not_count() -> None:
    known = parse_help(CURRENT)
    assert (
        "--draft-max" not in known
        and "--spec-ngram-mod-n-max" not in known
        and "--verbose" not in known
    )
    assert {"-m", "--model", "--spec-type", "-md", "--model-draft", "-fa", "--flash-attn"} <= known


def test_dialects() -> None:
    assert (flags(CURRENT).dialect, flags(OLDER).dialect) == ("current", "older")
    assert flags("--model X  y\n--port P  z").dialect == "baseline only"


def test_current_joins_lookup_before_the_draft() -> None:
    argv = speculation_flags(
        flags(CURRENT), settings(Mode("x", draft="d", k=8, lookup_n=3), Path("/w/d.gguf"))
    )
    assert argv[:2] == ["--spec-type", "ngram-simple,draft-simple"]
    assert argv[argv.index("--spec-draft-n-max") + 1] == "8"
    assert argv[argv.index("--spec-ngram-simple-size-n") + 1] == "3"
    assert argv[argv.index("--spec-ngram-simple-size-m") + 1] == "16"


def test_older_uses_its_own_names() -> None:
    argv = speculation_flags(flags(OLDER), settings(Mode("x", draft="d", k=8), Path("/w/d.gguf")))
    assert argv == ["--model-draft", "/w/d.gguf", "--draft-max", "8", "--draft-min", "0"]
    argv = speculation_flags(flags(OLDER), settings(Mode("x", lookup_n=4)))
    assert argv == ["--lookup", "--lookup-ngram-min", "4", "--draft-max", "16"]


def test_the_types_of_a_binary_are_read_and_a_missing_one_is_named() -> None:
    assert flags(CURRENT).spec_types == {"draft-simple", "ngram-simple"}
    with pytest.raises(BenchError, match=r"--spec-type has no draft-mtp \(it has: draft-simple, "):
        speculation_flags(flags(CURRENT), settings(Mode("mtp_k4", mtp=True, k=4)))


def test_baseline_has_no_speculation_flags() -> None:
    argv = server_argv(flags(CURRENT), settings(Mode("baseline")), 1234)
    assert "--spec-type" not in argv and "--override-kv" not in argv
    wanted = {
        "--host": "127.0.0.1", "--port": "1234", "--threads": "96", "--threads-batch": "48",
        "--parallel": "1", "--flash-attn": "off", "--cache-type-v": "q8_0",
    }  # fmt: skip
    for flag, value in wanted.items():
        assert argv[argv.index(flag) + 1] == value


SWITCH = (
    OLDER + "-fa,   --flash-attn                     enable Flash Attention (default: disabled)\n"
)
LATE_OLDER = OLDER + "-fa,   --flash-attn [on|off|auto]       set Flash Attention use\n"


@pytest.mark.parametrize(
    ("page", "wish", "words"),
    [
        (CURRENT, "auto", ["--flash-attn", "auto"]),
        (CURRENT, True, ["--flash-attn", "on"]),
        (LATE_OLDER, "auto", ["--flash-attn", "auto"]),
        (LATE_OLDER, False, ["--flash-attn", "off"]),
        (SWITCH, "auto", []),
        (SWITCH, True, ["--flash-attn"]),
        (SWITCH, False, []),
        (OLDER, "auto", []),
        (OLDER, False, []),
    ],
)
def test_flash_attention_is_said_as_the_binary_takes_it(
    page: str, wish: bool | str, words: list[str]
) -> None:
    wanted = settings(Mode("baseline"))
    argv = server_argv(
        flags(page), replace(wanted, context={**CONTEXT, "flash_attention": wish}), 1
    )
    assert argv[argv.index("--parallel") + 2 : argv.index("--cache-type-k")] == words


def test_flash_attention_that_a_binary_does_not_have_is_an_error() -> None:
    wanted = replace(settings(Mode("baseline")), context={**CONTEXT, "flash_attention": True})
    with pytest.raises(BenchError, match="has no --flash-attn: flash_attention is true"):
        server_argv(flags(OLDER), wanted)


def test_experts_are_overridden_by_key() -> None:
    mode = Mode("moe4", experts=4)
    argv = server_argv(flags(CURRENT), settings(mode, override="qwen3moe.expert_used_count"), 1)
    assert argv[argv.index("--override-kv") + 1] == "qwen3moe.expert_used_count=int:4"


def test_a_mode_the_binary_cannot_run_is_an_error() -> None:
    bare = flags("--model X  y\n--port P  z")
    with pytest.raises(BenchError, match="cannot run mode lookup_n3"):
        speculation_flags(bare, settings(Mode("lookup_n3", lookup_n=3)))
    with pytest.raises(BenchError, match="has no --draft-max"):
        speculation_flags(bare, settings(Mode("spec_d_k4", draft="d", k=4), Path("/w/d.gguf")))


def test_binaries_that_are_no_server(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="no such binary; build it: make engine"):
        probe(tmp_path / "absent")
    plain = tmp_path / "plain"
    plain.write_text("#!/bin/sh\necho hello\n")
    with pytest.raises(BenchError, match="is not executable"):
        probe(plain)
    plain.chmod(0o755)
    probe.cache_clear()
    with pytest.raises(BenchError, match="not a known llama-server"):
        probe(plain)
