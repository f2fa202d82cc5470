"""Makes archives in the predecessor's format, whole or damaged, for tests."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RUN_ID = "20251220_214317"
GEMMA = "/mnt/raid0/llm/lmstudio/models/lmstudio-community/gemma-3-12b-it-GGUF/gemma-3-12b-it-Q4_K_M.gguf"
CODER = "/models/Qwen2.5-Coder-32B-Instruct-Q4_K_M.gguf"
PROMPT = "Explain the plan in full, step by step, and name every assumption that you make on the way. " * 3
LLAMA_LOG = """\
build: 7404 (52392291b) with GNU 13.3.0 for Linux x86_64
llama_model_loader: loaded meta data with 32 key-value pairs from /models/Qwen3-4B-Thinking-2507-Q8_0.gguf (version GGUF V3)
user
Which is better?
assistant
B, because it is simpler.
common_perf_print: prompt eval time =    3871.38 ms /    65 tokens (   59.56 ms per token,    16.79 tokens per second)
common_perf_print:        eval time =   24561.69 ms /   511 runs   (   48.07 ms per token,    20.80 tokens per second)
"""


def answer(speed: float | None = 10.0, response: str = "an answer", **changes: Any) -> dict[str, Any]:
    """One answer as a run file holds it."""
    return {
        "prompt": PROMPT, "response": response, "tokens_per_second": speed, "prompt_tokens": 60, "completion_tokens": 100,
        "total_time_ms": 10_000.0, "algorithmic_score": 1, "score_reason": None, "acceptance_rate": None, **changes,
    }  # fmt: skip


def run_file(config: str = "baseline", speed: float = 10.0, **changes: Any) -> dict[str, Any]:
    """A run file's content: two answers in two suites, or the one of a speed test for a speculative mode."""
    results: dict[str, Any] = {"math": {"t1_q1": answer(speed)}, "coder": {"t2_q1": answer(speed)}}
    if "lookup" in config or "spec" in config:
        results = {"speed_test": {"speed_measurement": answer(speed, "[speed test only - quality inherited]")}}
    return {
        "model_role": "coder_escalation", "model_path": CODER, "config_name": config, "run_id": RUN_ID,
        "timestamp": "2026-01-07T12:31:09.052552", "results": results,
        "summary": {"avg_tokens_per_second": speed, "questions_tested": 2}, **changes,
    }  # fmt: skip


@dataclass(frozen=True)
class Archive:
    """A folder with runs/ and reviews/."""

    folder: Path

    def put(self, name: str, data: bytes | str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    def run(self, config: str = "baseline", speed: float = 10.0, name: str = "", **changes: Any) -> Path:
        content = run_file(config, speed, **changes)
        stem = name or f"{content['model_role']}_{config}"
        return self.put(f"runs/{content['run_id']}/{stem}.json", json.dumps(content))

    def review(self, name: str, *rows: str) -> Path:
        header = "suite,question_id,tokens_per_second,claude_score,score_reason"
        return self.put(f"reviews/{name}.csv", "\n".join([header, *rows]) + "\n")
