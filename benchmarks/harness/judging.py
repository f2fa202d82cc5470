"""How fast answers are judged, and how long a review takes if all its verdicts are stored.

The judge is a process that behaves like the API and answers after 20 ms. The rate is compared with
the highest possible one (each concurrent request takes 20 ms), and with that of a minimal client,
which sends prepared bytes and reads the replies. Prints two tables:
    python -m benchmarks.harness.judging [--pairs 5000] [--concurrency 4] [--models 60]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.parse import urlsplit

from tabulate import tabulate

from benchmarks.harness.checkout import scratch_checkout
from benchmarks.harness.rebuild import FILL
from benchmarks.harness.scale import synthesise, timed

LATENCY_S = 0.02

# Stores verdicts on all distinct answers, in accepted batches, as a judge does.
_JUDGE = """
from pathlib import Path
from scripts.lib.settings.run_config import load_config
from scripts.lib.scoring.series import Reply, Role, make_series
from scripts.lib.judging.answers import pair_item, stored_answers
from scripts.lib.scoring.verdict_store import BatchRecord, JudgeVerdict, VerdictStore, outcome
from scripts.lib.planning.disk import load_plans
from scripts.lib.scoring.rubric import CriterionScore, QuestionScore
config = load_config()
claude = config.judge.claude
series = make_series("claude", claude.model, claude.max_tokens, config.judge.round)
store, answers = VerdictStore(series), {a.shown.pair: a for a in stored_answers(load_plans(config))}
items = [pair_item(series, a.label, a.shown) for a in answers.values()]
made = []
for n, item in enumerate(items):
    batch = f"{n // 100:016x}"
    criteria = tuple(CriterionScore(t, w, 1.0, "because", "yes") for t, w in item.shown.criteria)
    scored = QuestionScore(criteria, summary="s" * 200)
    reply = Reply("r" * 400, raw="r" * 900, usd=0.002)
    verdict = JudgeVerdict(item.digest, series.name, item.shown.pair, batch, Role.PAIR, item.label,
                      scored, False, reply, "2026-11-25T00:00:00+00:00")
    if not n:
        store.write(verdict)
    store.path(item.digest).parent.mkdir(parents=True, exist_ok=True)
    store.path(item.digest).write_text(verdict.to_json())
    made.append(outcome(item, verdict))
for start in range(0, len(items), 100):
    name, part = f"{start // 100:016x}", tuple(made[start:start + 100])
    store.write_closed(BatchRecord(name, series.name, "accepted", (), part, 0.2, "", ""))
print(len(items))
"""


def _serve(pipe: Connection) -> None:
    from tests.factories.judge_server import JudgeServer, honest
    from tests.factories.judging import QUESTIONS

    with JudgeServer(honest(QUESTIONS), latency_s=LATENCY_S) as server:
        pipe.send(server.environment)
        pipe.recv()
        pipe.send(sum(server.judged.values()))


async def _bare_client(bodies: Sequence[bytes], concurrency: int) -> float:
    """Seconds to send these bodies and to read the replies, with this number of connections."""
    address, waiting = urlsplit(os.environ["ANTHROPIC_BASE_URL"]), iter(bodies)

    async def work() -> None:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        for body in waiting:
            writer.write(
                b"POST /v1/messages HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % len(body) + body
            )
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(
                int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            )
        writer.close()

    start = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(work())
    return time.perf_counter() - start


def judging_rate(pairs: int, concurrency: int, folder: Path) -> list[object]:
    """Judge `pairs` answers.

    Returns [answers, requests, seconds, share of the highest possible rate, of a minimal client's,
    peak MiB].
    """
    from dataclasses import replace

    from scripts.lib.judging.batch import Mix
    from scripts.lib.judging.claude import request_body
    from scripts.lib.scoring.verdict_store import VerdictStore
    from tests.factories.judging import CONFIG, SERIES, items, run

    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,))
    server.start()
    os.environ.update(ours.recv())
    store, todo = VerdictStore(SERIES, folder), items(pairs)
    start = time.perf_counter()
    result = run(
        store, todo, replace(CONFIG, concurrency=concurrency, max_usd=1e6), Mix(100, 0.1, 0.05)
    )
    seconds = time.perf_counter() - start
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    bodies = [json.dumps(request_body(item, SERIES.model, CONFIG)).encode() for item in todo]
    bare_s = asyncio.run(_bare_client(bodies, concurrency)) / pairs * result.replies
    ours.send("end")
    requests = ours.recv() - pairs
    server.join()
    if result.stopped or requests != result.replies:
        sys.exit(f"stopped: {result.stopped!r}; {requests} requests, {result.replies} replies")
    ideal_s = requests * LATENCY_S / concurrency
    return [pairs, requests, seconds, ideal_s / seconds, bare_s / seconds, peak_mib]


def cached_review(models: int) -> list[object]:
    """[cells, distinct answers, seconds, peak MiB] of scoring cells with stored verdicts."""
    with scratch_checkout() as folder:
        synthesise(folder, models, variants=0)
        _, _, cells = timed([sys.executable, "-c", FILL], folder)
        _, _, judged = timed([sys.executable, "-c", _JUDGE], folder)
        (folder / "all.yaml").write_text("judge: {scope: all}\n")
        argv = [sys.executable, "-m", "scripts.score_benchmarks", "--judge", "claude"]
        argv += ["--configfile", "all.yaml"]
        seconds, mib, said = timed(argv, folder)
        if "judged 0 " not in said or "unscored 0," not in said:
            sys.exit(said)
        return [int(cells), int(judged), seconds, mib]


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.harness.judging", description=__doc__
    )
    parser.add_argument(
        "--pairs", type=int, default=5000, help="answers to be judged (default: %(default)s)"
    )
    parser.add_argument(
        "--concurrency", type=int, default=4, help="requests in flight (default: %(default)s)"
    )
    parser.add_argument(
        "--models",
        type=int,
        default=60,
        help="700 cells each, already judged (default: %(default)s)",
    )
    arguments = parser.parse_args()
    with scratch_checkout() as folder:
        row = judging_rate(arguments.pairs, arguments.concurrency, folder / "verdicts")
    headers = ["answers", "requests", "seconds", "of the highest possible rate"]
    headers += ["of a minimal client's", "peak MiB"]
    print(tabulate([row], headers, tablefmt="pipe", floatfmt=("", "", ".1f", ".2f", ".2f", ".0f")))
    print()
    row, headers = cached_review(arguments.models), ["cells", "verdicts", "seconds", "peak MiB"]
    print(tabulate([row], headers, tablefmt="pipe", floatfmt=("", "", ".1f", ".0f")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
