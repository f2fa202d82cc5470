"""Both engines through Snakemake: every mode, certificates, guards, failures as results."""

from __future__ import annotations

import json
import re
import sys

from tests.factories.tiny_models import write_model
from tests.factories.tiny_project import BASELINE, Project, records

DRAFT = """\
  draft_tiny:
    tier: D
    description: draft of tiny_a
    compatible_targets: [tiny-a]
    model: {{name: Tiny-Draft, path: {models}/d.gguf, quant: F32, size_gb: 0.001,
            architecture: dense}}
  tiny_moe:
    tier: C
    description: mixture
    candidate_roles: [alpha]
    model: {{name: Tiny-MoE, path: {models}/moe.gguf, quant: F32, size_gb: 0.002,
            architecture: qwen3moe}}
    acceleration: {{type: moe_expert_reduction, experts: 2,
                   override_key: qwen3moe.expert_used_count}}
"""
MODES = ["baseline", "lookup_n3", "spec_*_k8", "spec_*_k8_lookup", "moe2"]


def with_draft(project: Project) -> None:
    models = project.folder / "weights"
    write_model(models / "d.gguf", "draft", 1)
    write_model(models / "moe.gguf", "moe", 1)
    registry = project.folder / project.registry
    registry.write_text(registry.read_text() + DRAFT.format(models=models))
    (project.folder / "modes.yaml").write_text(
        json.dumps(
            {
                "engine": ["embedded", "server"],
                "models": ["tiny_a", "tiny_moe"],
                "decoding": {"modes": MODES},
            }
        )
    )


def memory_of_speculation_is_bounded(project: Project) -> None:
    """At most both models, both KV caches and 160 MiB (Python, numpy, llama.cpp, its buffers)."""
    models = sum(
        (project.folder / "weights" / name).stat().st_size for name in ("a.gguf", "d.gguf")
    )
    # positions x layers of both x (K and V) x width x bytes of f16
    kv_cache = 512 * (4 + 2) * 2 * 64 * 2
    peaks = [
        c["peak_rss_bytes"]
        for c in records(project)
        if "spec" in c["cell"]["mode"] and c["spec"]["engine"]["name"] == "embedded"  # type: ignore[index]
    ]
    assert len(peaks) == 8 and max(peaks) < models + kv_cache + (160 << 20)  # type: ignore[operator,type-var]


def test_every_mode_on_both_engines_is_exact(project: Project) -> None:
    with_draft(project)
    project.results("--configfile", "modes.yaml")
    found = records(project)
    assert len(found) == 2 * (4 + 2) * 4 and {cell["status"] for cell in found} == {"ok"}, {
        (c["cell"]["mode"], c["error"]) for c in found if c["status"] != "ok"  # type: ignore[index]
    }  # fmt: skip
    report = project.report
    assert (
        "engine embedded (active profile)" in report and "engine server (active profile)" in report
    )
    speculative = re.findall(
        r"^\| `tiny_a` \| \[`(?:lookup|spec)[^|]*\|[^|]*\|[^|]*\|[^|]*\| (\w+)", report, re.M
    )
    assert speculative == ["exact"] * 6
    used = {
        c["cell"]["mode"]: c["effective"]["n_expert_used"]
        for c in found
        if c["cell"]["model"] == "tiny_moe"
    }  # type: ignore[index]
    assert used == {"baseline": "4", "moe2": "2"}
    again = project.snakemake("results", "--configfile", "modes.yaml")
    assert "Nothing to be done" in again.stdout + again.stderr
    memory_of_speculation_is_bounded(project)


def test_an_override_key_of_another_architecture_is_an_error_cell(project: Project) -> None:
    with_draft(project)
    project.edit(
        project.registry, "override_key: qwen3moe.expert", "override_key: qwen35moe.expert"
    )
    (project.folder / "modes.yaml").write_text(
        json.dumps(
            {
                "engine": ["embedded", "server"],
                "models": ["tiny_moe"],
                "decoding": {"modes": ["moe2"]},
            }
        )
    )
    project.made("results_tiny_moe", "--configfile", "modes.yaml")
    errors = {str(cell["error"]) for cell in records(project)}
    assert errors == {"mode moe2 was not active: 2 experts asked for, the engine loaded 4"}


def test_a_prompt_beyond_the_context_is_left_out_or_an_error_cell_and_the_rest_goes_on(
    project: Project,
) -> None:
    """A clearly too long prompt is not planned; one that the engine finds too long is an error."""
    project.edit(
        "benchmarks/prompts/v1/one.yaml", "prompt: Is water wet?", f"prompt: {'wet ' * 300}"
    )
    project.edit("benchmarks/prompts/v1/two.yaml", "prompt: Say yes.", f"prompt: {'yes ' * 1000}")
    engines = 'engine=["embedded","server"]'
    project.results("--config", 'models=["tiny_a"]', BASELINE, engines)
    found = records(project)
    failed = [cell for cell in found if cell["status"] == "error"]
    assert len(found) == 6 and len(failed) == 2
    assert all(
        "and the context 512: no room for an answer" in str(cell["error"]) for cell in failed
    )
    assert "longer, with its answer, than the context of 512 tokens" in project.report


def test_a_missing_server_binary_is_one_clear_error(project: Project) -> None:
    done = project.snakemake(
        "-n", "results", "--config", "engine=server", "server_binary=/nowhere/llama-server"
    )
    output = done.stdout + done.stderr
    assert done.returncode == 1 and "Traceback" not in output
    assert "server_binary: no such binary: /nowhere/llama-server; build one: make engine" in output


def test_a_binary_that_prints_no_known_flags_fails_the_job_and_writes_no_cell(
    project: Project,
) -> None:
    fake = project.folder / "fake-server"
    fake.write_text("#!/bin/sh\necho 'usage: fake [-x]'\n")
    fake.chmod(0o755)
    server = ("--config", "engine=server", f"server_binary={fake}")
    done = project.snakemake("infer_server_tiny_a_baseline", *server)
    output = done.stdout + done.stderr
    assert done.returncode == 1 and "Traceback" not in output and project.cells() == {}
    assert "its --help lists no --model and --port: it is not a known llama-server" in output


def test_a_draft_that_vanishes_between_plan_and_run_fails_the_job_only(project: Project) -> None:
    with_draft(project)
    assert project.run(sys.executable, "-m", "scripts.infer", "--model", "tiny_a").returncode == 0
    before = project.cells()
    script = (
        "rm weights/d.gguf; exec python -m scripts.infer"
        " --model tiny_a --mode spec_draft_tiny_k8 --configfile modes.yaml"
    )
    done = project.run("sh", "-c", script, EPYC_BENCH_CONFIG="")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "the draft 'draft_tiny' has no weights on this machine" in done.stderr
    assert before and project.cells() == before
