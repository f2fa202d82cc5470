"""Compare the speed-ups of engine `server` with those of llama-server asked directly.

    python -m benchmarks.harness.speculators [--model KEY] [--rounds 60] [--tokens 128] [MODE ...]

Both have the same command line, prompt and sampling. The direct client only uses the standard
library. Each round asks both, mode by mode, one right after the other; the first one alternates. A
mode whose speculator keeps a state gets a new server for each answer, on both sides. A speed-up is
the mode's speed divided by the baseline's in the same round. In each round, the ratio of the two
speed-ups is taken; the median ratio may differ from 1 by at most 3 %, and is shown with its 95 %
interval. Answers are many and short, since a virtual machine's speed changes within seconds. Run it
on a quiet machine.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tabulate import tabulate

from scripts.lib.base.errors import run_cli
from scripts.lib.base.estimates import median
from scripts.lib.base.process_lifetime import die_with_parent
from scripts.lib.engines.factory import EngineSettings, make_engine
from scripts.lib.engines.protocol import Engine, LoadSettings, Request
from scripts.lib.engines.server_flags import probe, server_argv
from scripts.lib.executor import load_settings
from scripts.lib.llama_build.build import server_binary
from scripts.lib.planning.disk import for_model, load_planner
from scripts.lib.planning.plan import find_shard, make_plan
from scripts.lib.settings.run_config import load_config

LIMIT = 0.03
LEAST_ROUNDS = 6
BASELINE = "baseline"
MODES = ("lookup_n3", "ngram_map_k", "ngram_mod")
READY_S, ANSWER_S = 120.0, 600.0
_SHAPES = ("square", "rectangle", "circle", "triangle", "trapezoid", "ellipse")
# A text that the model repeats, so that n-grams have something to copy.
PROMPT = "Give this code back, unchanged:\n\n" + "\n".join(
    f"def area_of_{shape}(first: float, second: float) -> float:\n"
    f'    """The area of a {shape} in square metres."""\n'
    f"    check_lengths(first, second)\n    return factor_of['{shape}'] * first * second\n"
    for shape in _SHAPES
)


@dataclass(frozen=True, slots=True)
class Answer:
    """Tokens per second after the first token, and the tokens that were drafted and accepted."""

    tokens_per_s: float
    drafted: int
    accepted: int


def engine_asks(engine: Engine, tokens: int, renewed: bool) -> Callable[[], Answer]:
    """A function that asks a loaded and warm engine once."""
    request = Request(PROMPT, "", True, 0.0, 1.0, 0, tokens, (), ANSWER_S)

    def ask() -> Answer:
        if renewed:
            engine.renew()
        found = engine.generate(request)
        speed = found.decode_tokens_per_s or 0.0
        return Answer(speed, found.drafted_tokens, found.accepted_tokens)

    return ask


class Direct:
    """A llama-server of its own, and a client that knows nothing of this project."""

    def __init__(self, settings: LoadSettings, log: Path):
        self._settings, self._log = settings, log
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    def start(self) -> None:
        """Start another server, and wait until it is ready and has computed a token."""
        self.stop()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        argv = server_argv(probe(server_binary()), self._settings, self._port)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                argv,
                stdout=log,
                stderr=log,
                preexec_fn=partial(die_with_parent, os.getpid()),  # noqa: PLW1509
            )
        deadline = time.monotonic() + READY_S
        while not self._healthy():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"llama-server did not start: {self._log.read_text()[-2000:]}")
            time.sleep(0.05)
        self._post("/completion", {"prompt": "a", "n_predict": 1, "cache_prompt": False})

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    def _healthy(self) -> bool:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except OSError:
            return False

    def _post(self, path: str, body: dict[str, Any]) -> list[str]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_S)
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        return connection.getresponse().read().decode().splitlines()

    def ask(self, tokens: int) -> Answer:
        (rendered,) = self._post(
            "/apply-template", {"messages": [{"role": "user", "content": PROMPT}]}
        )
        body = {
            "prompt": json.loads(rendered)["prompt"], "n_predict": tokens, "stream": True,
            "temperature": 0, "samplers": ["top_k"], "top_k": 1, "cache_prompt": False,
            "return_tokens": True,
        }  # fmt: skip
        lines = [line for line in self._post("/completion", body) if line.startswith("data: ")]
        timings = json.loads(lines[-1][6:])["timings"]
        return Answer(
            1000 * (timings["predicted_n"] - 1) / timings["predicted_ms"],
            timings.get("draft_n", 0),
            timings.get("draft_n_accepted", 0),
        )


def direct_asks(direct: Direct, tokens: int, renewed: bool) -> Callable[[], Answer]:
    """A function that asks a started llama-server once."""

    def ask() -> Answer:
        if renewed:
            direct.start()
        return direct.ask(tokens)

    return ask


Ways = dict[str, dict[str, Callable[[], Answer]]]


def prepared(model: str, modes: list[str], tokens: int, folder: Path, stack: ExitStack) -> Ways:
    """For each mode, how each way asks; everything is started and warm."""
    planner = for_model(load_planner(load_config().with_modes(("*",))), model, "server")
    plan = make_plan(planner)
    ways: Ways = {}
    for mode in modes:
        shard = find_shard(plan, model, mode)
        settings = load_settings(shard)
        log = folder / f"engine-{mode}.log"
        engine = make_engine("server", EngineSettings(server_binary(), log, READY_S))
        engine.load(settings)
        stack.callback(engine.unload)
        engine.warm_up()
        direct = Direct(settings, folder / f"direct-{mode}.log")
        stack.callback(direct.stop)
        direct.start()
        renewed = shard.mode.keeps_state
        ways[mode] = {
            "engine": engine_asks(engine, tokens, renewed),
            "direct": direct_asks(direct, tokens, renewed),
        }
        for ask in ways[mode].values():
            ask()  # not timed: the first answer reads the weights from disk
    return ways


def ratio_of(asked: dict[str, dict[str, Answer]], mode: str) -> float:
    """The engine's speed-up divided by the direct one, in one round."""
    speed_up = {
        way: asked[mode][way].tokens_per_s / asked[BASELINE][way].tokens_per_s
        for way in ("engine", "direct")
    }
    return speed_up["engine"] / speed_up["direct"]


def report(rounds: list[dict[str, dict[str, Answer]]], modes: list[str]) -> bool:
    """Print the table; True if every speed-up agrees."""
    table, agree = [], True
    for mode in modes:
        speed, speed_up = {}, {}
        for way in ("engine", "direct"):
            speed[way] = statistics.median(r[mode][way].tokens_per_s for r in rounds)
            speed_up[way] = statistics.median(
                r[mode][way].tokens_per_s / r[BASELINE][way].tokens_per_s for r in rounds
            )
        ratio = median({number: [ratio_of(r, mode)] for number, r in enumerate(rounds)})
        assert ratio is not None, "no round"
        agree = agree and abs(ratio.value - 1) <= LIMIT
        drafts = {
            way: {(r[mode][way].accepted, r[mode][way].drafted) for r in rounds} for way in speed
        }
        same = "equal" if drafts["engine"] == drafts["direct"] else "DIFFERENT"
        accepted, drafted = min(drafts["engine"])
        table.append(
            [mode, *(f"{v:.1f}" for v in speed.values()), *(f"{v:.3f}" for v in speed_up.values()),
             f"{ratio.value:.3f} ({ratio.low:.3f} to {ratio.high:.3f})",
             f"{accepted} of {drafted}, {same}"]
        )  # fmt: skip
    headers = ["mode", "engine t/s", "direct t/s", "engine x", "direct x", "ratio", "accepted"]
    print(tabulate(table, headers, disable_numparse=True))
    print(f"x: speed-up over {BASELINE}; the ratio of the two may differ from 1 by {LIMIT:g}")
    return agree


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.harness.speculators", description=__doc__
    )
    parser.add_argument("mode", nargs="*", default=list(MODES))
    parser.add_argument("--model", default="smollm2_135m_q8_0")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--tokens", type=int, default=128)
    arguments = parser.parse_args()
    if arguments.rounds < LEAST_ROUNDS:
        parser.error(f"--rounds: at least {LEAST_ROUNDS}, for an interval of the median")
    modes = [BASELINE, *arguments.mode]
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        ways = prepared(arguments.model, modes, arguments.tokens, Path(name), stack)
        rounds = []
        for number in range(arguments.rounds):
            order = ("engine", "direct") if number % 2 else ("direct", "engine")
            rounds.append({mode: {way: ways[mode][way]() for way in order} for mode in modes})
    print(f"{arguments.model}, {arguments.tokens} tokens, {arguments.rounds} rounds")
    return int(not report(rounds, modes))


if __name__ == "__main__":
    run_cli(main)
