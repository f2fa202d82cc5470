"""A stand-in for ik_llama.cpp's llama-server: `ik_llama_server.py [--idle TYPE] --model …`.

Its help is the fork's, and it refuses what the fork refuses: flags that its help does not list,
unknown types and keys of `--spec-type`, a draft stage without a draft. Its replies and its log have
the fork's form (examples/server/server-context.cpp): no token ids, `stopped_limit`,
`draft_by_depth`, and totals over the server's life, one line for each speculator. At every step one
stage after the other drafts two tokens, of which one is accepted. `--idle`: that one never drafts.
"""

from __future__ import annotations

import json
import re
import sys
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

HELP = Path(__file__).resolve().parents[1] / "data/ik_llama/help.txt"
KEYS = {
    "n_max", "n_min", "p_min", "heads", "cross_ctx", "ngram_size_n", "ngram_size_m",
    "ngram_min_hits", "suffix_min_match_len", "suffix_max_depth", "suffix_corpus",
}  # fmt: skip
TYPES = {
    "none", "draft", "dflash", "dspark", "mtp", "eagle3", "ngram_simple", "ngram_map_k",
    "ngram_map_k4v", "ngram_mod", "ngram_cache", "suffix",
}  # fmt: skip
STEP_S = 0.0005
TEXT = "abcdefghijklmnopqrstuvwxyz"


def refuse(message: str) -> None:
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(1)


@dataclass
class Stage:
    """One speculative stage with its totals."""

    name: str
    idle: bool
    begun: int = 0
    asked: int = 0
    verified: int = 0

    def line(self) -> str:
        return (
            f"statistics {self.name}: #calls(b,g,a) = {self.begun} {self.asked} {self.verified}, "
            f"#gen drafts = {self.verified}, #acc drafts = {self.verified}, "
            f"#gen tokens = {2 * self.verified}, #acc tokens = {self.verified}, "
            "dur(b,g,a) = 2.234, 1.427, 0.016 ms"
        )


def stage_of(value: str, argv: list[str], idle: str) -> Stage:
    """A stage as common_speculative_stage_from_arg reads it."""
    word, _, pairs = value.partition(":")
    name = word.replace("-", "_")
    if name not in TYPES:
        refuse(f"unknown speculative stage type: {word}")
    for pair in filter(None, pairs.split(",")):
        key, _, number = pair.partition("=")
        if key not in KEYS:
            refuse(f"unknown speculative stage parameter: {key}")
        float(number)
    if name in ("draft", "dflash", "dspark") and "--model-draft" not in argv:
        refuse(f"{name} speculative stage requires a draft model or draft params")
    return Stage(name, name == idle)


def stages_of(argv: list[str], idle: str) -> list[Stage]:
    """Check the command line, and read its stages."""
    listed = set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", HELP.read_text()))
    for word in argv:
        if re.match(r"--[a-z]", word) and word not in listed:
            refuse(f"unknown argument: {word}")
    values = [argv[i + 1] for i, word in enumerate(argv) if word == "--spec-type"]
    if argv[argv.index("--flash-attn") + 1] not in ("auto", "on", "off", "0", "1"):
        refuse("invalid parameter for argument: --flash-attn")
    return [stage_of(value, argv, idle) for value in values]


def experts(argv: list[str]) -> str:
    found = re.search(r"expert_used_count=int:(\d+)", " ".join(argv))
    return found[1] if found else "0"


def announce(argv: list[str]) -> None:
    """What it logs while it loads."""
    print(
        'INFO [                    main] system info | tid="1" timestamp=1 n_threads=1 '
        'n_threads_batch=1 total_threads=2 system_info="AVX = 1 | AVX2 = 1 | FMA = 1 | "'
    )
    for key, value in {
        "format": "GGUF V3 (latest)", "arch": "llama", "n_ctx_train": "2048", "n_expert": "0",
        "n_expert_used": experts(argv), "model type": "?B", "model ftype": "all F32",
    }.items():  # fmt: skip
        print(f"llm_load_print_meta: {key:<16} = {value}")
    sys.stdout.flush()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stages: list[Stage] = []  # noqa: RUF012

    def log_message(self, *_: object) -> None: ...

    def _whole(self, reply: dict[str, Any]) -> None:
        body = json.dumps(reply).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _event(self, reply: dict[str, Any]) -> None:
        data = f"data: {json.dumps(reply)}\n\n".encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def _decode(self, wanted: int, stream: bool) -> tuple[str, int]:
        """The text, and the batches that verified a draft."""
        answered, batches, step = 1, 0, 0
        for stage in self.stages:
            stage.begun += 1
        while answered < wanted:
            time.sleep(STEP_S)
            more = 1
            for index, stage in enumerate(self.stages):
                stage.asked += 1
                if not stage.idle and step % len(self.stages) == index:
                    stage.verified += 1
                    batches, more = batches + 1, 2
                    break
            if stream:
                part = "".join(TEXT[i % 26] for i in range(answered, min(answered + more, wanted)))
                self._event({"content": part, "stop": False, "id_slot": 0, "multimodal": False})
            answered, step = answered + more, step + 1
        return "".join(TEXT[i % 26] for i in range(1, wanted)), batches

    def _complete(self, body: dict[str, Any]) -> None:
        wanted, stream = body["n_predict"], body.get("stream", False)
        if stream:
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
        start = time.monotonic()
        time.sleep(STEP_S)
        read = time.monotonic()
        text, batches = self._decode(wanted, stream)
        timings: dict[str, Any] = {
            "prompt_n": len(body["prompt"]), "prompt_ms": 1000 * (read - start),
            "predicted_n": wanted, "predicted_ms": 1000 * (time.monotonic() - read),
        }  # fmt: skip
        if batches:
            timings |= {"draft_n": 2 * batches, "draft_n_accepted": batches}
            timings["draft_by_depth"] = [
                {"depth": 1, "draft_n": batches, "draft_n_accepted": batches},
                {"depth": 2, "draft_n": batches, "draft_n_accepted": 0},
            ]
        reply = {
            "content": "" if stream else text, "generated_text": text, "stop": True,
            "stopped_eos": False, "stopped_word": False, "stopped_limit": True, "timings": timings,
        }  # fmt: skip
        if body.get("n_probs"):
            best = [{"tok_str": "a", "prob": 0.5}, {"tok_str": "b", "prob": 0.4}]
            sure = [{"tok_str": "a", "prob": 1.0}, {"tok_str": "b", "prob": 0.0}]
            reply["completion_probabilities"] = [
                {"content": "a", "probs": best if i == 3 else sure} for i in range(wanted)
            ]
        if stream:
            self._event(reply)
            self.wfile.write(b"0\r\n\r\n")
            self.wfile.flush()
        else:
            self._whole(reply)
        self._log(batches)

    def _log(self, batches: int) -> None:
        """After the answer, as common_speculative_print_stats does."""
        if batches:
            print(
                f"draft acceptance rate = 0.50000 ({batches:5d} accepted / "
                f"{2 * batches:5d} generated)"
            )
        for stage in self.stages:
            print(stage.line())
        sys.stdout.flush()

    def _reply(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        if self.path == "/completion":
            self._complete(body)
        elif self.path == "/apply-template":
            self._whole({"prompt": "\n".join(m["content"] for m in body["messages"])})
        elif self.path == "/tokenize":
            # Two characters are one token: the answer's text has fewer than were generated.
            self._whole({"tokens": [ord(letter) for letter in body["content"][::2]]})
        else:
            self._whole({"status": "ok"})

    do_GET = do_POST = _reply


def main() -> None:
    argv = sys.argv[1:]
    idle = ""
    if argv[0] == "--idle":
        idle, argv = argv[1], argv[2:]
    if "--help" in argv:
        print(HELP.read_text(), end="")
        return
    Handler.stages = stages_of(argv, idle)
    announce(argv)
    port = int(argv[argv.index("--port") + 1])
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main()
