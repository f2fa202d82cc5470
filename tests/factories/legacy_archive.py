"""Makes archives in the predecessor's format, whole or damaged, for tests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RUN_ID = "20251220_214317"
CODER = "/models/Qwen2.5-Coder-32B-Instruct-Q4_K_M.gguf"
PROMPT = (
    "Explain the plan in full, step by step, and name every assumption that you make on the way. "
    * 3
)
LLAMA_LOG = """\
build: 7404 (52392291b) with GNU 13.3.0 for Linux x86_64
llama_model_loader: loaded meta data with 32 key-value pairs from \
/models/Qwen3-4B-Thinking-2507-Q8_0.gguf (version GGUF V3)
user
Which is better?
assistant
B, because it is simpler.
common_perf_print: prompt eval time =    3871.38 ms /    65 tokens \
(   59.56 ms per token,    16.79 tokens per second)
common_perf_print:        eval time =   24561.69 ms /   511 runs   \
(   48.07 ms per token,    20.80 tokens per second)
"""


def answer(
    speed: float | None = 10.0, response: str = "an answer", **changes: Any
) -> dict[str, Any]:
    """One answer as a run file holds it."""
    return {
        "prompt": PROMPT,
        "response": response,
        "tokens_per_second": speed,
        "prompt_tokens": 60,
        "completion_tokens": 100,
        "total_time_ms": 10_000.0,
        "algorithmic_score": 1,
        "score_reason": None,
        "acceptance_rate": None,
        **changes,
    }


def run_file(config: str = "baseline", speed: float = 10.0, **changes: Any) -> dict[str, Any]:
    """A run file's content: two answers in two suites, or one speed test of a speculative mode."""
    results: dict[str, Any] = {"math": {"t1_q1": answer(speed)}, "coder": {"t2_q1": answer(speed)}}
    if "lookup" in config or "spec" in config:
        results = {
            "speed_test": {
                "speed_measurement": answer(speed, "[speed test only - quality inherited]")
            }
        }
    return {
        "model_role": "coder_escalation",
        "model_path": CODER,
        "config_name": config,
        "run_id": RUN_ID,
        "timestamp": "2026-01-07T12:31:09.052552",
        "results": results,
        "summary": {"avg_tokens_per_second": speed, "questions_tested": 2},
        **changes,
    }


@dataclass(frozen=True)
class Archive:
    """A folder with runs/ and reviews/."""

    folder: Path

    def put(self, name: str, data: bytes | str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    def run(
        self, config: str = "baseline", speed: float = 10.0, name: str = "", **changes: Any
    ) -> Path:
        content = run_file(config, speed, **changes)
        stem = name or f"{content['model_role']}_{config}"
        return self.put(f"runs/{content['run_id']}/{stem}.json", json.dumps(content))

    def review(self, name: str, *rows: str) -> Path:
        header = "suite,question_id,tokens_per_second,claude_score,score_reason"
        return self.put(f"reviews/{name}.csv", "\n".join([header, *rows]) + "\n")

    def measured(
        self, speeds: Sequence[object], stem: str = "coder_escalation_baseline", **changes: Any
    ) -> Path:
        """A run of math questions (`t1_q0_x`, …) with these speeds, without a stated mean."""
        results = {
            "math": {
                f"t1_q{n}_x": {**answer(), "tokens_per_second": v} for n, v in enumerate(speeds)
            }
        }
        config = stem.rpartition("_")[2]
        return self.run(config, name=stem, **{"results": results, "summary": {}, **changes})

    def scored(self, name: str, speeds: Sequence[object], score: int = 3) -> Path:
        """A review of those questions with these speeds, as they are to be printed."""
        return self.review(name, *(f"math,t1_q{n}_x,{v},{score},why" for n, v in enumerate(speeds)))


# Speeds of twelve answers: no two runs have them alike.
SPEEDS = (8.64, 8.88, 9.06, 9.8, 9.46, 9.74, 9.45, 9.81, 9.08, 8.7, 8.82, 9.43)
NOT_STARTED = "timeout: failed to run command ‘/opt/cpp/llama-cli’: No such file or directory"


def put_every_shape(archive: Archive) -> dict[str, tuple[str, str]]:
    """Put files of every kind into an archive; file -> (kind, how its reason or remark begins)."""
    run = f"runs/{RUN_ID}/coder_escalation"
    archive.measured(SPEEDS)
    archive.measured([s + 1 for s in SPEEDS], "coder_escalation_moe4")
    archive.run("spec_draft_a_k8", 20.0)
    archive.scored("coder_escalation_baseline", [f"{s:.1f}" for s in SPEEDS])
    archive.scored("coder_escalation_baseline_rescored", SPEEDS, 1)
    archive.scored("qwen_coder_32b_with_4_experts_rescored", [s + 1 for s in SPEEDS])
    archive.put(
        "reviews/vl_short_baseline.csv",
        "question_id,score,reason\nt1_q0_x,3,right, but long\nt9_q9_gone,1,?\n",
    )
    archive.measured(SPEEDS[::-1], "vl_short_baseline", model_path="/m/Short.gguf")
    archive.put("reviews/by_model.csv", "model,suite,question_id,score\nA,math,t1_q0_x,3\n")
    archive.put("reviews/vl_wide.csv", "question_id,a_score,b_score\nt1_q0_x,3,2\n")
    archive.put("reviews/vl_wide_too.csv", "name,t1_q1_chart,t1_q2_table\nA,3,2\n")
    archive.put("reviews/orchestrator_baseline.csv", "question,route,ok\nt1,coder,1\n")
    archive.put("reviews/notes.csv", "a,b\n1,2\n")
    archive.put(
        "runs/feature_validation/20260110_kv.jsonl",
        '{"id": "kv1", "prompt": "x", "role": "frontdoor"}\n' * 2,
    )
    archive.put(f"runs/{RUN_ID}/output.jsonl", '{"cell": 1}\n')
    archive.put(f"runs/{RUN_ID}/math/Some-Model_t1_q1_x.txt", NOT_STARTED)
    archive.put(f"runs/{RUN_ID}/math/Qwen3-4B-Thinking-Q8_t1_q1_x.txt", LLAMA_LOG)
    archive.put(
        f"runs/{RUN_ID}/all_responses_math.json", '{"run_id": "x", "A": {"t1_q0_x": "an answer"}}'
    )
    archive.put(f"runs/{RUN_ID}/config.json", json.dumps({"run_id": RUN_ID, "models": []}))
    return {
        f"{run}_baseline.json": ("run", "12 answers"),
        f"{run}_moe4.json": ("run", "12 answers"),
        f"{run}_spec_draft_a_k8.json": ("run", "1 answers"),
        f"runs/{RUN_ID}/vl_short_baseline.json": ("run", "12 answers"),
        "reviews/coder_escalation_baseline.csv": ("review", "12 scores"),
        "reviews/coder_escalation_baseline_rescored.csv": ("review", "12 scores"),
        "reviews/qwen_coder_32b_with_4_experts_rescored.csv": ("review", "12 scores"),
        "reviews/vl_short_baseline.csv": ("review", "2 scores"),
        "reviews/by_model.csv": (
            "not placed",
            "a table of several models, not the scores of one run: columns model,suite",
        ),
        "reviews/vl_wide.csv": (
            "not placed",
            "a wide table, not one score per line: columns question_id",
        ),
        "reviews/vl_wide_too.csv": (
            "not placed",
            "a wide table, not one score per line: columns name",
        ),
        "reviews/orchestrator_baseline.csv": (
            "not placed",
            "scores of the orchestrator, which is not a model",
        ),
        "reviews/notes.csv": (
            "not placed",
            "not a review: columns a,b; expected suite,question_id,",
        ),
        "runs/feature_validation/20260110_kv.jsonl": (
            "not placed",
            "tests of the orchestrator's features, not of a model",
        ),
        f"runs/{RUN_ID}/output.jsonl": (
            "not placed",
            "JSON lines; a run is one JSON object per file: 1 lines, keys cell",
        ),
        f"runs/{RUN_ID}/math/Some-Model_t1_q1_x.txt": (
            "not placed",
            "log of a command that did not start, without an",
        ),
        f"runs/{RUN_ID}/math/Qwen3-4B-Thinking-Q8_t1_q1_x.txt": ("log of one answer", ""),
        f"runs/{RUN_ID}/all_responses_math.json": (
            "not placed",
            "answers collected from several runs",
        ),
        f"runs/{RUN_ID}/config.json": ("metadata of a run", ""),
    }
