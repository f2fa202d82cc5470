"""The printed command line is the shard's own, and safe to paste."""

from __future__ import annotations

import shlex
import subprocess
import sys
from dataclasses import replace

import pytest

from scripts.lib.errors import BenchError
from scripts.lib.executor import load_settings
from scripts.lib.launch import cli_line
from scripts.lib.plan import find_shard, make_plan
from tests.test_plan import planner


def launch(*arguments: str) -> list[str]:
    argv = [sys.executable, "-m", "scripts.launch", *arguments]
    return shlex.split(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)


def test_the_server_line_is_what_the_shard_runs() -> None:
    argv = launch("--model", "smollm2_135m_q4_1", "--mode", "spec_demo_draft_smollm2_q4_0_k8_lookup", "--port", "9000")
    assert argv[0].endswith("/llama-server")
    for flag, value in (
        ("--port", "9000"),
        ("--spec-type", "ngram-simple,draft-simple"),
        ("--spec-draft-n-max", "8"),
        ("--spec-ngram-simple-size-n", "3"),
        ("--host", "127.0.0.1"),
    ):
        assert argv[argv.index(flag) + 1] == value


def test_experts_are_overridden_by_the_registrys_key() -> None:
    argv = launch("--model", "frontdoor", "--mode", "moe6")
    assert argv[argv.index("--override-kv") + 1] == "qwen3moe.expert_used_count=int:6"


def test_the_cli_line_is_the_registrys_template_with_the_profiles_pinning() -> None:
    made = planner()
    shard = find_shard(make_plan(made), "coder_escalation", "spec_draft_qwen2_5_coder_0_5b_k24")
    argv = shlex.split(cli_line(made, shard, load_settings(shard, check=False)))
    assert argv[:4] == ["numactl", "--interleave=all", "taskset", "--cpu-list"]
    assert argv[argv.index("--spec-draft-n-max") + 1] == "24"
    assert argv[argv.index("--threads") + 1] == "96"


def test_paths_are_quoted_and_unknown_fields_named() -> None:
    made = planner()
    shard = find_shard(make_plan(made), "coder_escalation", "baseline")
    settings = load_settings(shard, check=False)
    hostile = replace(settings, weights=settings.weights.with_name("x; rm -rf $(HOME).gguf"))
    assert any(part.endswith("x; rm -rf $(HOME).gguf") for part in shlex.split(cli_line(made, shard, hostile)))
    wrong = replace(made, registry=replace(made.registry, templates={"baseline": "{cli} {modle}"}))
    with pytest.raises(BenchError, match="unknown field 'modle'; did you mean 'model'"):
        cli_line(wrong, shard, settings)


def test_an_unknown_mode_is_refused() -> None:
    argv = [sys.executable, "-m", "scripts.launch", "--model", "frontdoor", "--mode", "lookup_n3"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "no planned mode 'lookup_n3'" in done.stderr and "Traceback" not in done.stderr
