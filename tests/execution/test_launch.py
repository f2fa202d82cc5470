"""The printed command line is the shard's own, and safe to paste."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.lib.base.errors import BenchError
from scripts.lib.execution.launch_command import cli_line
from scripts.lib.executor import load_settings
from scripts.lib.planning.plan import find_shard, make_plan
from tests.factories.commands import call
from tests.factories.plans import FULL, planner

CODER = replace(FULL, models=("coder_escalation",))


def launch(*arguments: str) -> list[str]:
    done = call("scripts.launch", *arguments)
    assert done.returncode == 0, done.stderr
    return shlex.split(done.stdout)


def test_the_server_line_is_what_the_shard_runs() -> None:
    argv = launch(
        "--model",
        "smollm2_135m_q4_1",
        "--mode",
        "spec_demo_draft_smollm2_q4_0_k8_lookup",
        "--port",
        "9000",
    )
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
    made = planner(CODER)
    shard = find_shard(make_plan(made), "coder_escalation", "spec_draft_qwen2_5_coder_0_5b_k24")
    argv = shlex.split(cli_line(made, shard, load_settings(shard, check=False)))
    assert argv[:4] == ["numactl", "--interleave=all", "taskset", "--cpu-list"]
    assert argv[argv.index("--spec-draft-n-max") + 1] == "24"
    assert argv[argv.index("--threads") + 1] == "96"


def test_paths_are_quoted_and_unknown_fields_named() -> None:
    made = planner(CODER)
    shard = find_shard(make_plan(made), "coder_escalation", "baseline")
    settings = load_settings(shard, check=False)
    hostile = replace(settings, weights=settings.weights.with_name("x; rm -rf $(HOME).gguf"))
    assert any(
        part.endswith("x; rm -rf $(HOME).gguf")
        for part in shlex.split(cli_line(made, shard, hostile))
    )
    wrong = replace(made, registry=replace(made.registry, templates={"baseline": "{cli} {modle}"}))
    with pytest.raises(
        BenchError,
        match=r"command_templates\.baseline: unknown placeholder '{modle}'; did you mean 'model'",
    ):
        cli_line(wrong, shard, settings)


OLD = {
    "baseline": "OMP_NUM_THREADS=1 numactl --interleave=all /opt/llama-cli -m {model_path} "
    "-t {threads} --temp {temperature}",
    "speculative_decoding": "/opt/llama-speculative -m {model_path} -md {draft_path} "
    "--draft-max {k} -t {threads}",
    "moe_expert_reduction": "/opt/llama-cli -m {model_path} "
    "--override-kv {override_key}=int:{experts} -t {threads}",
    "prompt_lookup": "/opt/llama-lookup -m {model_path} -t {threads} --temp {temperature}",
    "vision": "/opt/llama-mtmd-cli -m {model_path} --mmproj {mmproj_path} -t {threads}",
    "server_start": "/opt/llama-server -m {model_path} --port {port} "
    "-c {context_length} -t {threads}",
    "server_start_moe": "/opt/llama-server -m {model_path} --port {port} "
    "--override-kv {override_key}=int:{experts}",
}


def old_line(
    model: str,
    mode: str,
    template: str | None = None,
    templates: dict[str, str] = OLD,
    **changes: object,
) -> list[str]:
    made = planner(replace(FULL, models=(model,)))
    made = replace(
        made, registry=replace(made.registry, templates=templates, template_lines={"baseline": 12})
    )
    shard = find_shard(make_plan(made), model, mode)
    settings = replace(load_settings(shard, check=False), **changes)  # type: ignore[arg-type]
    return shlex.split(cli_line(made, shard, settings, template, 9000))


@pytest.mark.parametrize(
    ("model", "mode", "template", "words"),
    [
        ("worker_math", "baseline", None, ["--temp", "0"]),
        ("coder_escalation", "spec_draft_qwen2_5_coder_0_5b_k24", None, ["--draft-max", "24"]),
        ("frontdoor", "moe6", None, ["--override-kv", "qwen3moe.expert_used_count=int:6"]),
        ("worker_math", "lookup_n3", None, ["/opt/llama-lookup", "-m"]),
        ("frontdoor", "moe6", "server_start_moe", ["--port", "9000"]),
        ("worker_math", "baseline", "server_start", ["--port", "9000"]),
    ],
)
def test_the_predecessors_templates_render(
    model: str, mode: str, template: str | None, words: list[str]
) -> None:
    argv = old_line(model, mode, template)
    place = argv.index(words[0])
    assert argv[place : place + 2][: len(words)] == words
    assert argv[argv.index("-m") + 1].endswith(".gguf") and "{" not in "".join(argv)


def test_a_model_with_a_projector_has_its_template() -> None:
    argv = old_line("worker_math", "baseline", projector=Path("/weights/mmproj.gguf"))
    assert (
        argv[0] == "/opt/llama-mtmd-cli"
        and argv[argv.index("--mmproj") + 1] == "/weights/mmproj.gguf"
    )
    plain = {"baseline": OLD["baseline"]}
    assert (
        old_line("worker_math", "baseline", templates=plain, projector=Path("/mmproj.gguf"))[3]
        == "/opt/llama-cli"
    )


@pytest.mark.parametrize("quote", ["{}", '"{}"', "'{}'", 'a"b\\"{}"'])
def test_a_value_is_one_word_wherever_its_placeholder_stands(quote: str) -> None:
    hostile = Path('/w/x y\'; $(touch HERE) `id` "q".gguf')
    templates = {"baseline": "cli -m " + quote.format("{model_path}") + " -t {threads}"}
    argv = old_line("worker_math", "baseline", templates=templates, weights=hostile)
    assert argv[0] == "cli" and argv[-2:] == ["-t", "96"] and len(argv) == 5
    assert argv[2] == ('ab"' if quote.startswith("a") else "") + str(hostile)


@pytest.mark.parametrize(
    ("template", "mode", "message"),
    [
        (
            "x {model_pth}",
            "baseline",
            ":12: command_templates.baseline: unknown placeholder '{model_pth}'; did you mean",
        ),
        ("x {k.__class__}", "baseline", "unknown placeholder '{k.__class__}'"),
        ("x {}", "baseline", "unknown placeholder '{}'"),
        ("x {threads:>9}", "baseline", "expected a plain '{threads}', found one with a format"),
        (
            "x {threads",
            "baseline",
            "not a template: expected '}' before end of string (write {{ and }} for braces)",
        ),
        (
            "x {draft_path}",
            "baseline",
            "needs {draft_path}: worker_math has no value for it in mode baseline",
        ),
        (
            "x {override_key} {experts}",
            "baseline",
            "needs {experts}, {override_key}: worker_math has no value for it",
        ),
        ("x", "lookup_n3", "no template 'prompt_lookup'"),
    ],
)
def test_a_template_that_cannot_be_filled_is_named_with_its_place(
    template: str, mode: str, message: str
) -> None:
    with pytest.raises(BenchError) as caught:
        old_line("worker_math", mode, templates={"baseline": template})
    assert message in str(caught.value) and "model_registry.yaml" in str(caught.value)


def test_a_template_is_named_on_the_command_line() -> None:
    argv = launch("--model", "frontdoor", "--mode", "moe6", "--template", "baseline")
    assert argv[argv.index("--model") + 1].endswith(".gguf") and "--override-kv" not in argv
    done = call("scripts.launch", "--model", "frontdoor", "--template", "baselin")
    assert done.returncode == 1 and "no template 'baselin'; did you mean 'baseline'?" in done.stderr


def test_an_unknown_mode_is_refused() -> None:
    done = call("scripts.launch", "--model", "frontdoor", "--mode", "lookup_n3")
    assert (
        done.returncode == 1
        and "no planned mode 'lookup_n3'" in done.stderr
        and "Traceback" not in done.stderr
    )
