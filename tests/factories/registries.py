"""A registry of a few entries, and the commands that edit one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def run(module: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", module, *map(str, arguments)]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


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
