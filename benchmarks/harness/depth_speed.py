"""Compare decode speed at depth: our embedded engine, llama-bench `-d`, and what the KV bytes say.

    python -m benchmarks.harness.depth_speed [--model KEY] [--depths 0 2048 4096 7424] [--rounds 5]

Both decode the same number of tokens after the same number of tokens in the cache, and take turns.
Shown are medians of the ratios per round: to llama-bench at that depth, and to the same engine at
depth 0. The KV ratio is what follows if decoding takes as long as reading weights and KV cache.
Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

from tabulate import tabulate

from benchmarks.harness.decode_speed import own_engine
from scripts.lib.base.errors import run_cli
from scripts.lib.engines.protocol import Engine, LoadSettings, Request
from scripts.lib.engines.server_flags import FLASH_WORD
from scripts.lib.executor import load_settings
from scripts.lib.llama_build.build import bench_binary
from scripts.lib.planning.cell_record import Measurement
from scripts.lib.planning.disk import for_model, load_planner
from scripts.lib.planning.plan import find_shard, make_plan
from scripts.lib.prompts.contexts.prose import CHARACTERS_PER_TOKEN, prose
from scripts.lib.settings.run_config import load_config

CONTEXT_TOKENS = 8192


def answer_at(engine: Engine, depth: int, tokens: int) -> Measurement:
    """One answer after about `depth` tokens of prose."""
    text = prose(int(depth * CHARACTERS_PER_TOKEN)) if depth else ""
    prompt = f"{text}\n\nWrite a long story about a lighthouse keeper. Do not stop early."
    return engine.generate(Request(prompt, "", True, 0.0, 1.0, 0, tokens, (), 600.0))


def bench_at(settings: LoadSettings, cached: int, tokens: int) -> float:
    """llama-bench's tokens/s for `tokens` tokens after `cached` ones."""
    argv = [str(bench_binary()), "-m", str(settings.weights), "-t", str(settings.hardware.threads)]
    argv += ["-p", "0", "-n", str(tokens), "-d", str(cached), "-r", "1", "-o", "json"]
    argv += ["-fa", FLASH_WORD[settings.context["flash_attention"]]]
    shown = subprocess.run(argv, capture_output=True, text=True, check=True)
    return float(json.loads(shown.stdout)[0]["avg_ts"])


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.harness.depth_speed", description=__doc__
    )
    parser.add_argument("--model", default="smollm2_135m_q8_0")
    parser.add_argument("--depths", type=int, nargs="+", default=[0, 2048, 4096, 7424])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=64)
    arguments = parser.parse_args()
    planner = for_model(load_planner(load_config()), arguments.model)
    shard = find_shard(make_plan(planner), arguments.model, "baseline")
    settings, facts = load_settings(shard), shard.weights.facts
    settings = replace(settings, context={**settings.context, "length_tokens": CONTEXT_TOKENS})
    assert facts is not None and facts.header.kv is not None
    weights_bytes, kv = facts.size_bytes, facts.header.kv
    ours: dict[int, list[float]] = {depth: [] for depth in arguments.depths}
    theirs: dict[int, list[float]] = {depth: [] for depth in arguments.depths}
    cached: dict[int, int] = {}
    with tempfile.TemporaryDirectory() as name:
        engine, _ = own_engine("embedded", settings, arguments.tokens, Path(name))
        for _ in range(arguments.rounds):
            for depth in arguments.depths:
                found = answer_at(engine, depth, arguments.tokens)
                cached[depth] = found.prompt_tokens
                ours[depth].append(found.decode_tokens_per_s or 0.0)
                theirs[depth].append(bench_at(settings, cached[depth], arguments.tokens))
        engine.unload()
    types = (settings.context["kv_type_k"], settings.context["kv_type_v"])

    def bytes_read(depth: int) -> float:
        return weights_bytes + kv.bytes_read(cached[depth] + arguments.tokens / 2, *types)

    first, rows = arguments.depths[0], []
    for depth in arguments.depths:
        to_bench = [a / b for a, b in zip(ours[depth], theirs[depth], strict=True)]
        fall = [a / b for a, b in zip(ours[depth], ours[first], strict=True)]
        bench_fall = [a / b for a, b in zip(theirs[depth], theirs[first], strict=True)]
        rows.append(
            [
                cached[depth],
                statistics.median(ours[depth]),
                statistics.median(to_bench),
                statistics.median(fall),
                statistics.median(bench_fall),
                bytes_read(first) / bytes_read(depth),
            ]
        )
    head = ["tokens cached", "t/s", "ours / llama-bench", "ours / depth 0"]
    head += ["llama-bench / depth 0", "KV bytes say"]
    print(f"{arguments.model}, {settings.hardware.threads} threads, {arguments.rounds} rounds")
    print(tabulate(rows, head, floatfmt=".3f"))
    return 0


if __name__ == "__main__":
    run_cli(main)
