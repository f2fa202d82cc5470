"""Load a server with several requests at once; show speeds and latencies.

Any OpenAI-compatible server will do: llama-server, vLLM, and others. The requests are the questions
of a suite, in seeded order. Each level of load is one number of requests in flight, or one rate at
which they arrive at random. What such a server does cannot be proved (mode, threads, machine), so
the figures stand alone and are never ranked.

for example:
  python -m scripts.load --url http://127.0.0.1:8080 --concurrency 1 2 4
  python -m scripts.load --url http://127.0.0.1:8080 --rate 0.5 1 --requests 48 --slo-ttft-s 2
"""

from __future__ import annotations

import argparse
import json
import os
import random
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from scripts.lib.base.command import Parser, positive, run_command
from scripts.lib.base.errors import BenchError, suggest
from scripts.lib.base.estimates import Estimate
from scripts.lib.base.output_forms import TERMINAL
from scripts.lib.base.safe_files import write_atomic
from scripts.lib.base.stored_json import now_utc, sealed
from scripts.lib.load.figures import PERCENTILES, Figures, Slo, figures
from scripts.lib.load.generator import Arrivals, Generator, Level, LoadRequest
from scripts.lib.prompts.loader import load_suites
from scripts.lib.prompts.types import Question
from scripts.lib.settings.run_config import load_config

KEY_VARIABLE = "EPYC_BENCH_LOAD_KEY"


def questions_of(suite: str, configfile: Sequence[Path]) -> tuple[Question, ...]:
    """The text questions of a suite. Raises BenchError, which names the nearest suite."""
    suites = load_suites(load_config(tuple(configfile)).prompts)
    if suite not in suites:
        raise BenchError(f"no suite '{suite}'{suggest(suite, suites)}")
    found = tuple(question for question in suites[suite].questions if not question.images)
    if not found:
        raise BenchError(f"suite '{suite}' has no question without an image")
    return found


def requests_of(
    questions: Sequence[Question], model: str, arguments: argparse.Namespace
) -> list[LoadRequest]:
    """As many requests as asked for: the questions in seeded order, again and again."""
    order = random.Random(f"load {arguments.seed}").sample(questions, len(questions))
    made = []
    for place in range(arguments.requests):
        question = order[place % len(order)]
        said = [("system", question.system)] if question.system else []
        said += [(turn.role, turn.content) for turn in question.turns]
        said.append(("user", question.prompt_text()))
        body = {
            "model": model,
            "messages": [{"role": role, "content": content} for role, content in said],
            "max_tokens": arguments.max_tokens,
            "temperature": 0,
            "seed": arguments.seed,
        }
        if arguments.cold:
            body["cache_prompt"] = False
        made.append(LoadRequest(question.name_in_full, body))
    return made


def _shown(found: Estimate | None, factor: float = 1.0) -> str:
    if found is None:
        return "–"
    scaled = found.scaled(factor)
    if scaled.low is None or scaled.high is None:
        return f"{scaled.value:.3g}"
    return f"{scaled.value:.3g} ({scaled.low:.3g}–{scaled.high:.3g})"


def _row(found: Figures, slo: Slo | None) -> list[object]:
    level = found.level
    row: list[object] = [
        level.arrivals,
        f"{len(level.answered)}/{len(level.served)}",
        f"{found.output_tokens_per_s:.1f}",
        _shown(found.decode_tokens_per_s),
        *map(_shown, found.ttft_s),
        *(_shown(one, 1000) for one in found.inter_token_s),
        "–" if found.overlap is None else f"{100 * found.overlap:.0f} %",
        f"{100 * level.client_cpu:.1f} %",
    ]
    if slo is not None:
        row.append(f"{100 * (found.slo_share or 0):.0f} %, {found.goodput_per_s:.2f}/s")
    return row


def _headers(slo: Slo | None) -> list[str]:
    heads = ["load", "answered", "total t/s", "t/s each (median)"]
    heads += [f"TTFT p{p} s" for p in PERCENTILES]
    heads += [f"between tokens p{p} ms" for p in PERCENTILES]
    heads += ["as many in flight", "client CPU"]
    return heads + (["meets the SLO"] if slo is not None else [])


def _slo(arguments: argparse.Namespace) -> Slo | None:
    if arguments.slo_ttft_s is None and arguments.slo_inter_token_s is None:
        return None
    return Slo(arguments.slo_ttft_s, arguments.slo_inter_token_s)


def _stored(level: Level) -> dict[str, object]:
    return {
        "concurrency": level.arrivals.concurrency,
        "requests_per_s": level.arrivals.requests_per_s,
        "client_cpu": round(level.client_cpu, 6),
        "served": [one.to_json() for one in level.served],
    }


def main(arguments: argparse.Namespace) -> int:
    """Load the server, level by level. The exit code is 1 if a request had no answer."""
    questions = questions_of(arguments.suite, arguments.configfile)
    generator = Generator(arguments.url, os.environ.get(KEY_VARIABLE, ""), arguments.timeout_s)
    model = arguments.model or generator.model()
    requests, slo = requests_of(questions, model, arguments), _slo(arguments)
    levels = [Arrivals(requests_per_s=rate) for rate in arguments.rate or ()]
    levels = levels or [Arrivals(concurrency=count) for count in arguments.concurrency]
    done, rows, wrong = [], [], 0
    for arrivals in levels:
        with tqdm(total=len(requests), desc=str(arrivals), unit="request") as bar:
            level = generator.run(requests, arrivals, arguments.seed, bar.update)
        done.append(_stored(level))
        if arguments.output is not None:
            # After each level, so that Ctrl-C loses none that is finished.
            record = {"url": arguments.url, "model": model, "proved": False, "utc": now_utc()}
            text = json.dumps(sealed({**record, "levels": done}), indent=1, ensure_ascii=False)
            write_atomic(arguments.output, text + "\n")
        errors = [one.error for one in level.served if one.error]
        wrong += len(errors)
        if errors:
            print(f"{arrivals}: {len(errors)} requests without an answer, the first: {errors[0]}")
        if level.answered:
            rows.append(_row(figures(level, slo), slo))
    print(TERMINAL.table(rows, _headers(slo)))
    print("Not proved: the server's mode, threads and machine are unknown. Never ranked.")
    return 1 if wrong else 0


def parser() -> Parser:
    """The command line."""
    parser = Parser("scripts.load", __doc__, main)
    words = "the server's address, without /v1; a key is read from " + KEY_VARIABLE
    parser.add_argument("--url", required=True, help=words)
    parser.add_argument("--model", metavar="NAME", help="its name there (default: the first one)")
    levels = parser.add_mutually_exclusive_group()
    words = "requests in flight, one level each (default: 1 2 4)"
    count, number = positive(int), positive(float)
    levels.add_argument(
        "--concurrency", type=count, nargs="+", default=[1, 2, 4], metavar="N", help=words
    )
    words = "requests per second that arrive at random (Poisson), one level each"
    levels.add_argument("--rate", type=number, nargs="+", metavar="R", help=words)
    words = "requests per level (default: 24)"
    parser.add_argument("--requests", type=count, default=24, metavar="N", help=words)
    words = "most tokens of an answer (default: 128)"
    parser.add_argument("--max-tokens", type=count, default=128, metavar="N", help=words)
    words = "the suite whose questions are sent (default: workload)"
    parser.add_argument("--suite", default="workload", metavar="NAME", help=words)
    parser.add_argument("--seed", type=int, default=0, help="of the order and the arrivals")
    words = "ask llama-server to evaluate every prompt anew (cache_prompt: false)"
    parser.add_argument("--cold", action="store_true", help=words)
    words = "seconds until a request is given up (default: 600)"
    parser.add_argument("--timeout-s", type=number, default=600.0, metavar="S", help=words)
    words = "a request meets the SLO with at most this time to its first token"
    parser.add_argument("--slo-ttft-s", type=number, metavar="S", help=words)
    words = "and with at most this mean time between tokens"
    parser.add_argument("--slo-inter-token-s", type=number, metavar="S", help=words)
    words = "also write every request with the time of each token, as JSON"
    parser.add_argument("--output", type=Path, metavar="FILE", help=words)
    parser.add_configfile()
    return parser


if __name__ == "__main__":
    run_command(parser())
