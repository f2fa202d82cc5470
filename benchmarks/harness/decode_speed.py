"""Compare the decode speed of `baseline` in one run: our engines, llama-cpp-python, llama-bench.

    python -m benchmarks.harness.decode_speed [--model KEY] [--rounds 5] [--tokens 128]

All four use the same weights, threads, context and prompt, and take turns. Prints medians of the
ratios per round. A server sends tokens from a thread of its own; with as many inference threads as
cores, no core is left for it. `--threads N` overrides the hardware profile. Run it on a quiet
machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from scripts.lib.base.errors import run_cli
from scripts.lib.engines.factory import EngineSettings, make_engine
from scripts.lib.engines.protocol import Engine, LoadSettings, Request
from scripts.lib.engines.server_flags import FLASH_WORD
from scripts.lib.executor import load_settings
from scripts.lib.llama_build.build import activate, bench_binary, server_binary
from scripts.lib.planning.disk import for_model, load_planner
from scripts.lib.planning.plan import find_shard, make_plan
from scripts.lib.settings.run_config import load_config

PROMPT = "Write a long story about a lighthouse keeper who finds a map. Do not stop early."


def own_engine(
    name: str, settings: LoadSettings, tokens: int, folder: Path
) -> tuple[Engine, Callable[[], float]]:
    """An engine, loaded and warm, and a function that measures one answer's tokens/s."""
    engine = make_engine(name, EngineSettings(server_binary(), folder / f"{name}.log", 600.0))
    engine.load(settings)
    engine.warm_up()
    request = Request(PROMPT, "", True, 0.0, 1.0, 0, tokens, (), 600.0)
    return engine, lambda: engine.generate(request).decode_tokens_per_s or 0.0


def bindings_loop(settings: LoadSettings, tokens: int) -> Callable[[], float]:
    """llama-cpp-python's own high-level loop (Llama.generate) on the same prompt."""
    activate()
    from llama_cpp import Llama

    llama = Llama(
        str(settings.weights),
        n_ctx=settings.context["length_tokens"],
        n_batch=settings.context["batch_tokens"],
        n_ubatch=settings.context["micro_batch_tokens"],
        n_threads=settings.hardware.threads,
        n_threads_batch=settings.hardware.batch_threads,
        flash_attn=settings.context["flash_attention"] is not False,  # it has no auto
        verbose=False,
    )

    def measure() -> float:
        llama.reset()
        prompt = llama.tokenize(
            f"<|im_start|>user\n{PROMPT}<|im_end|>\n<|im_start|>assistant\n".encode(), special=True
        )
        stamps = []
        for _ in llama.generate(prompt, temp=0.0, reset=False):
            stamps.append(time.perf_counter())
            if len(stamps) == tokens:
                break
        return (len(stamps) - 1) / (stamps[-1] - stamps[0])

    measure()
    return measure


def llama_bench(settings: LoadSettings, tokens: int) -> Callable[[], float]:
    """llama-bench's generation test at the same threads."""
    argv = [
        str(bench_binary()),
        "-m",
        str(settings.weights),
        "-t",
        str(settings.hardware.threads),
        "-p",
        "0",
    ]
    flash_attention = FLASH_WORD[settings.context["flash_attention"]]
    argv += ["-n", str(tokens), "-r", "1", "-fa", flash_attention, "-o", "json"]

    def measure() -> float:
        shown = subprocess.run(argv, capture_output=True, text=True, check=True)
        return float(json.loads(shown.stdout)[0]["avg_ts"])

    return measure


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.harness.decode_speed", description=__doc__
    )
    parser.add_argument("--model", default="smollm2_135m_q4_1")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--threads", type=int, help="instead of the hardware profile's")
    arguments = parser.parse_args()
    planner = for_model(load_planner(load_config()), arguments.model)
    settings = load_settings(find_shard(make_plan(planner), arguments.model, "baseline"))
    if arguments.threads:
        hardware = replace(
            settings.hardware, threads=arguments.threads, batch_threads=arguments.threads
        )
        settings = replace(settings, hardware=hardware)
    with tempfile.TemporaryDirectory() as name:
        embedded, embedded_speed = own_engine("embedded", settings, arguments.tokens, Path(name))
        server, server_speed = own_engine("server", settings, arguments.tokens, Path(name))
        ways = {
            "embedded": embedded_speed,
            "server": server_speed,
            "llama-cpp-python": bindings_loop(settings, arguments.tokens),
            "llama-bench": llama_bench(settings, arguments.tokens),
        }
        rounds = [
            {way: measure() for way, measure in ways.items()} for _ in range(arguments.rounds)
        ]
        embedded.unload()
        server.unload()
    print(
        f"{arguments.model}, {settings.hardware.threads} threads, {arguments.tokens} tokens, "
        f"{arguments.rounds} rounds"
    )
    for way in ways:
        speed = statistics.median(r[way] for r in rounds)
        print(f"{way:17} {speed:7.1f} t/s (median of {arguments.rounds})")
    for way in ("embedded", "server"):
        for other in ("llama-cpp-python", "llama-bench"):
            print(f"{way} / {other} = {statistics.median(r[way] / r[other] for r in rounds):.3f}")
    return 0


if __name__ == "__main__":
    run_cli(main)
