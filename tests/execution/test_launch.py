"""The printed command line is the shard's own, and safe to paste."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.lib.base.errors import BenchError
from scripts.lib.engines.protocol import LoadSettings
from scripts.lib.execution.launch_command import cli_line, server_line
from scripts.lib.executor import load_settings
from scripts.lib.llama_build.build import server_binary
from scripts.lib.planning.modes import Mode
from scripts.lib.planning.plan import Planner, Shard, find_shard, make_plan
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


DRAFT_FILE = Path("/weights/a draft.gguf")
# Mode, its spec, and the words that it adds to a command line.
EVERY_WAY = [
    (
        Mode("mtp_k4", mtp=True, k=4),
        {"mtp": {"k": 4}},
        "--spec-type draft-mtp --spec-draft-n-max 4 --spec-draft-n-min 0 --spec-draft-p-min 0.0 "
        "--spec-draft-threads 96 --spec-draft-threads-batch 96",
    ),
    (
        Mode("mtp_k2_p50_lookup", mtp=True, k=2, lookup_n=3, p_min=0.5),
        {"mtp": {"k": 2, "p_min": 0.5}, "lookup_n": 3, "lookup_draft_tokens": 16},
        "--spec-type ngram-simple,draft-mtp --spec-ngram-simple-size-n 3 "
        "--spec-ngram-simple-size-m 16 --spec-draft-n-max 2 --spec-draft-n-min 0 "
        "--spec-draft-p-min 0.5 --spec-draft-threads 96 --spec-draft-threads-batch 96",
    ),
    (
        Mode("moe6_ngram_mod", experts=6, ngram="ngram_mod"),
        {
            "experts": 6,
            "override_key": "qwen3moe.expert_used_count",
            "ngram_mod": {"n_match": 8, "n_min": 4, "n_max": 32},
        },
        "--override-kv qwen3moe.expert_used_count=int:6 --spec-type ngram-mod "
        "--spec-ngram-mod-n-match 8 --spec-ngram-mod-n-min 4 --spec-ngram-mod-n-max 32",
    ),
    (
        Mode("ngram_map_k", ngram="ngram_map_k"),
        {"ngram_map_k": {"size_n": 12, "size_m": 48, "min_hits": 1}},
        "--spec-type ngram-map-k --spec-ngram-map-k-size-n 12 --spec-ngram-map-k-size-m 48 "
        "--spec-ngram-map-k-min-hits 1",
    ),
    (
        Mode("ngram_map_k4v", ngram="ngram_map_k4v"),
        {"ngram_map_k4v": {"size_n": 8, "size_m": 8, "min_hits": 2}},
        "--spec-type ngram-map-k4v --spec-ngram-map-k4v-size-n 8 --spec-ngram-map-k4v-size-m 8 "
        "--spec-ngram-map-k4v-min-hits 2",
    ),
    (Mode("ngram_cache", ngram="ngram_cache"), {"ngram_cache": {}}, "--spec-type ngram-cache"),
    *(
        (
            Mode("spec_d_k8", draft="d", k=8),
            {"draft": "f", "k": 8, "draft_kind": kind},
            f"--spec-type {word} --spec-draft-model '{DRAFT_FILE}' --spec-draft-n-max 8 "
            "--spec-draft-n-min 0 --spec-draft-p-min 0.0 "
            "--spec-draft-threads 96 --spec-draft-threads-batch 96",
        )
        for kind, word in (
            ("eagle3", "draft-eagle3"),
            ("dflash", "draft-dflash"),
            ("dspark", "draft-dspark"),
            ("mtp_file", "draft-mtp"),
        )
    ),
]
NAMES = [f"{mode.name}-{spec.get('draft_kind', '')}" for mode, spec, _ in EVERY_WAY]


def in_mode(mode: Mode, spec: dict[str, object]) -> tuple[Planner, Shard, LoadSettings]:
    """The shard of a model in a mode that need not be planned for it."""
    made = planner()
    shard = replace(find_shard(make_plan(made), "worker_math", "baseline"), mode=mode)
    settings = replace(load_settings(shard, check=False), mode=mode, mode_spec=spec)
    return made, shard, replace(settings, draft=DRAFT_FILE if mode.draft else None)


@pytest.mark.parametrize(("mode", "spec", "words"), EVERY_WAY, ids=NAMES)
def test_every_speculator_has_its_words_in_both_lines(
    mode: Mode, spec: dict[str, object], words: str
) -> None:
    made, shard, settings = in_mode(mode, spec)
    wanted = shlex.split(words)
    for line in (
        server_line(settings, server_binary(), 8080),
        cli_line(made, shard, settings),
    ):
        assert shlex.split(line)[-len(wanted) :] == wanted


@pytest.mark.parametrize(
    ("mode", "spec"),
    [
        *((mode, spec) for mode, spec, _ in EVERY_WAY),
        (
            Mode("spec_d_k8_lookup", draft="d", k=8, lookup_n=3),
            {"draft": "f", "k": 8, "lookup_n": 3, "lookup_draft_tokens": 16},
        ),
        (
            Mode("spec_d_k8_p50", draft="d", k=8, p_min=0.5),
            {"draft": "f", "k": 8, "drafting": {"p_min": 0.5}},
        ),
        (
            Mode("moe4_lookup_n3", experts=4, lookup_n=3),
            {"experts": 4, "override_key": "k", "lookup_n": 3, "lookup_draft_tokens": 16},
        ),
    ],
)
def test_no_template_that_says_less_than_the_mode_is_taken(
    mode: Mode, spec: dict[str, object]
) -> None:
    made, shard, settings = in_mode(mode, spec)
    made = replace(made, registry=replace(made.registry, templates=OLD))
    with pytest.raises(BenchError) as caught:
        cli_line(made, shard, settings)
    assert f"no template 'any_mode', which mode {mode.name} needs" in str(caught.value)
    assert "a command line with {mode_flags}" in str(caught.value)


def test_all_experts_and_a_draft_are_no_more_than_a_draft() -> None:
    mode = Mode("moe8_spec_d_k8", experts=8, full_experts=True, draft="d", k=8)
    made, shard, settings = in_mode(mode, {"experts": 8, "override_key": "k", "draft": "f", "k": 8})
    made = replace(made, registry=replace(made.registry, templates=OLD))
    assert shlex.split(cli_line(made, shard, settings))[-4:-2] == ["--draft-max", "8"]


def test_an_unknown_mode_is_refused() -> None:
    done = call("scripts.launch", "--model", "frontdoor", "--mode", "lookup_n3")
    assert (
        done.returncode == 1
        and "no planned mode 'lookup_n3'" in done.stderr
        and "Traceback" not in done.stderr
    )
