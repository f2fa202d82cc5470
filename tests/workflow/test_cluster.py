"""What a shard asks of a cluster, and what a job on a node knows (tests/cluster has a real one)."""

from __future__ import annotations

import json
import os
from math import ceil
from typing import Any

import pytest

from scripts.lib.base.errors import BenchError
from scripts.lib.settings.run_config import CONFIG_VARIABLE, load_config
from scripts.lib.workflow.invocation import Invocation, read_invocation
from scripts.lib.workflow.targets import for_targets, make_workflow
from tests.factories.tiny_project import Project


def asked_for(project: Project) -> dict[str, dict[str, Any]]:
    with project.inside():
        asked = make_workflow(load_config()).cluster
    return {name: dict(resources) for name, resources in asked.items()}


def test_each_shard_asks_for_a_node_cpus_memory_and_time(project: Project) -> None:
    (project.folder / "config/hardware/node.yaml").write_text(
        "threads: 2\ncpus: 0-5\npartition: turin\n"
    )
    project.edit("config/config.yaml", "hardware: tiny", "hardware: node")
    project.edit(project.registry, "size_gb: 0.001", "size_gb: 15")
    os.truncate(
        project.folder / "weights/b.gguf", 400_000_000
    )  # sparse: more than the probe's arrays
    asked = asked_for(project)
    assert len(asked) == 4
    small, large = asked["node/tiny_b/baseline/embedded"], asked["node/tiny_a/baseline/embedded"]
    assert small == {
        "cpus_per_task": 6,
        "mem_mb": small["mem_mb"],
        "runtime": 11,
        "slurm_extra": "--exclusive",
        "slurm_partition": "turin",
    }
    weights = (project.folder / "weights/b.gguf").stat().st_size
    kv_cache = (
        4 * 4 * 2 * 16 * 2 * 512
    )  # layers x heads x (K and V) x width x bytes of f16 x context
    assert (
        2048 + 1.1 * (weights + kv_cache) / 1e6
        <= small["mem_mb"]
        <= 2050 + 1.1 * (weights + kv_cache) / 1e6
    )
    assert large["mem_mb"] == 2048 + ceil(1.1 * 2 * 96), (
        "its weights are smaller than the bandwidth probe on two CPUs"
    )
    assert large["runtime"] > small["runtime"], "predicted by its size: there is no measurement yet"

    project.edit("config/hardware/node.yaml", "cpus: 0-5", "cpus: 0-5\nnode_cpus: 12")
    assert {shard["cpus_per_task"] for shard in asked_for(project).values()} == {12}
    project.edit("config/hardware/node.yaml", "node_cpus: 12", "node_cpus: 4")
    with pytest.raises(BenchError, match=r"a node of 4 CPUs has no CPU 5 \(cpus: 0-5\)"):
        asked_for(project)


def test_a_job_on_a_node_has_what_the_submitting_process_settled(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    config = {"models": ["*"], "suites": ["*"]}
    assert for_targets(config, Invocation(("results_suite_math",))) == {
        "models": ["*"],
        "suites": ["math"],
    }
    assert for_targets(config, Invocation(("results_a", "results_b"))) == {
        "models": ["a", "b"],
        "suites": ["*"],
    }
    for whole in (
        ["results_a", "results_suite_math"],
        ["results", "results_a"],
        ["results_a", "docs/x.md"],
    ):
        assert for_targets(config, Invocation(tuple(whole))) == config
    monkeypatch.setenv(CONFIG_VARIABLE, json.dumps({"models": ["a"]}))
    node = read_invocation(["--mode", "remote", "--target-jobs", "infer_embedded_a_baseline:"])
    assert for_targets(config, node) == {"models": ["a"]} and node.is_job and not node.runs
