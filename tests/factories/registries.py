"""Registries of a few entries."""

from __future__ import annotations

from pathlib import Path

SHIPPED = Path("orchestration/model_registry.yaml")
GOOD = """\
runtime_defaults: {model_base_path: /models, temperature: 0.2}
roles:
  a:
    tier: B
    description: first
    candidate_roles: [coder]
    model: {name: A-7B, path: a.gguf, quant: Q4_K_M, size_gb: 4, architecture: dense}
    acceleration: {type: speculative_decoding, draft_role: d, k: 16}
    generation_defaults: {temperature: 0.3}
  d:
    tier: D
    description: draft
    compatible_targets: [a-7b]
    model: {name: D-1B, path: /elsewhere/d.gguf, quant: Q8_0, size_gb: 1.0, architecture: dense}
server_mode: {anything: [the, orchestrator, wants]}
"""
