"""Engine `server`: a real llama-server, one start per shard, answers streamed over loopback.

The prompt is rendered and tokenised by the server, so its own template handling is what is measured; the answer comes from
`/completion` as token ids, so that it can be compared token by token with the other engine's.
"""

from __future__ import annotations

import base64
import contextlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil

from scripts.lib.engines import EngineDied, EngineFailure, GenerationTimeout, Loaded, LoadSettings, Request
from scripts.lib.engines.server_flags import ServerFlags, probe, server_argv, shown_argv
from scripts.lib.engines.server_process import ServerProcess
from scripts.lib.engines.server_start import start_server
from scripts.lib.engines.warm_up import warm_up
from scripts.lib.errors import BenchError
from scripts.lib.records import CLOSE_CALL_LOGITS, Measurement

_EFFECTIVE = re.compile(r"print_info: (n_expert_used|n_expert|arch|file type|n_ctx_train)\s*=\s*(.+?)\s*$", re.M)
_SYSTEM_INFO = re.compile(r"system_info: .*?\|\s*(.+?)\s*$", re.M)
_DRAFT_STATS = re.compile(r"draft acceptance = .*?mean len =\s*([0-9.]+)")

LOG_POLLS, LOG_POLL_S = 20, 0.002


@dataclass(slots=True)
class _Stream:
    """A streamed answer as it grows. Times are of the monotonic clock."""

    start: float
    first: float | None = None
    end: float = 0.0
    text: list[str] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    timings: dict[str, Any] = field(default_factory=dict)
    stop_type: str = ""


@dataclass(frozen=True, slots=True)
class _Prompt:
    """What /completion is sent (token ids, or text with images), and how many tokens its text has."""

    sent: Any
    text_tokens: int
    has_images: bool

    def guard(self, evaluated: int) -> None:
        """Prove that the cache was cold and that images were read. Raises EngineFailure naming both numbers."""
        if self.has_images and evaluated <= self.text_tokens:
            raise EngineFailure(
                f"the image was not read: the text has {self.text_tokens} tokens, {evaluated} were evaluated"
            )
        if not self.has_images and evaluated != self.text_tokens:
            raise EngineFailure(
                f"the prompt's cache was not cold: {self.text_tokens} tokens sent, {evaluated} evaluated"
            )


class ServerEngine:
    """A llama-server for one shard; what finds it dead raises EngineDied, and `load` starts another."""

    def __init__(self, binary: Path, log: Path, ready_timeout_s: float):
        self._binary, self._log, self._ready_timeout_s = binary, log, ready_timeout_s
        self._server: ServerProcess | None = None
        self._settings: LoadSettings | None = None
        self._flags: ServerFlags | None = None

    @property
    def _speculative(self) -> bool:
        return self._settings is not None and self._settings.mode.speculative

    def load(self, settings: LoadSettings) -> Loaded:
        """Start the server and wait for it. Raises EngineFailure with its last lines, BenchError for a bad binary."""
        self.unload()
        start = time.perf_counter()
        self._settings, self._flags = settings, probe(self._binary)
        self._server = start_server(self._flags, settings, self._log, self._ready_timeout_s)
        load_s = time.perf_counter() - start
        log = self._server.log_text()
        models = [dict(_EFFECTIVE.findall(part)) for part in log.split("print_info: file format")[1:]]
        effective: dict[str, Any] = {key.replace(" ", "_"): value for key, value in (models or [{}])[0].items()}
        if len(models) > 1:
            effective["draft_arch"] = models[-1].get("arch")
        info = _SYSTEM_INFO.search(log)
        effective |= {"system_info": info[1] if info else "", "dialect": self._flags.dialect}
        effective["argv"] = shown_argv(server_argv(self._flags, settings, 0))
        return Loaded(load_s, effective)

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        """What fails since the server died is EngineDied, with the same words."""
        try:
            yield
        except EngineFailure as failure:
            if self._server is None or self._server.alive():
                raise
            raise EngineDied(str(failure)) from failure

    def warm_up(self) -> int:
        return warm_up(self.generate, self._speculative)

    def _render(self, request: Request) -> _Prompt:
        assert self._server is not None
        images = [base64.b64encode(Path(image).read_bytes()).decode("ascii") for image in request.images]
        content: Any = request.user
        if images:
            # The bytes travel with the prompt; the template only counts the images, whatever their type is called.
            parts = [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}} for data in images]
            content = [*parts, {"type": "text", "text": request.user}]
        messages: list[dict[str, Any]] = [{"role": "system", "content": request.system}] if request.system else []
        body: dict[str, Any] = {"messages": [*messages, {"role": "user", "content": content}]}
        if not request.thinking:
            body["chat_template_kwargs"] = {"enable_thinking": False}
        text = self._server.call("/apply-template", body)["prompt"]
        plain = text.replace(self._server.call("/props")["media_marker"], "") if images else text
        tokens = self._server.call("/tokenize", {"content": plain, "add_special": True, "parse_special": True})[
            "tokens"
        ]
        sent = {"prompt_string": text, "multimodal_data": images} if images else tokens
        return _Prompt(sent, len(tokens), bool(images))

    def _body(self, request: Request, prompt: _Prompt) -> dict[str, Any]:
        # Greedy as top-1: the whole chain would sort the vocabulary at every token, which a small model feels.
        greedy = {"samplers": ["top_k"], "top_k": 1}
        sampled = {"samplers": ["top_p", "temperature"], "top_k": 0, "min_p": 0.0, "top_p": request.top_p}
        return {
            "prompt": prompt.sent,
            "stream": True,
            "n_predict": request.max_tokens,
            "temperature": request.temperature,
            **(sampled if request.temperature > 0 else greedy),
            "seed": request.seed,
            "stop": list(request.stop),
            "cache_prompt": False,
            "return_tokens": True,
        }

    def generate(self, request: Request) -> Measurement:
        """Answer one prompt. Raises EngineDied with the last words of a server that is gone."""
        with self._watched():
            return self._generate(request)

    def _generate(self, request: Request) -> Measurement:
        assert self._server is not None and self._settings is not None
        prompt = self._render(request)
        context = self._settings.context["length_tokens"]
        if prompt.text_tokens >= context:
            raise EngineFailure(
                f"the prompt has {prompt.text_tokens} tokens and the context {context}: no room for an answer"
            )
        stream = _Stream(time.monotonic())
        log_position = self._log.stat().st_size
        timed_out = False
        try:
            self._receive(stream, request, self._body(request, prompt))
        except TimeoutError:
            timed_out = True
            stream.end = time.monotonic()
        measured = self._measure(stream, prompt, log_position)
        if timed_out:
            raise GenerationTimeout(replace(measured, finish_reason="timeout"))
        prompt.guard(measured.prompt_tokens)
        return measured

    def _receive(self, stream: _Stream, request: Request, body: dict[str, Any]) -> None:
        assert self._server is not None
        for event in self._server.stream("/completion", body, stream.start + request.timeout_s):
            if "error" in event:
                raise EngineFailure(f"llama-server: {event['error'].get('message', event['error'])}")
            content, tokens = event.get("content", ""), event.get("tokens", [])
            if (content or tokens) and stream.first is None:
                stream.first = time.monotonic()
            stream.text.append(content)
            # With speculation the last event repeats no tokens; it carries the timings.
            if not event.get("stop"):
                stream.tokens += tokens
            else:
                stream.timings, stream.stop_type = event.get("timings", {}), event.get("stop_type", "")
        stream.end = time.monotonic()
        if not stream.timings:
            raise EngineFailure(self._server.died() if self._server.gone() else "the stream ended without timings")

    def _measure(self, stream: _Stream, prompt: _Prompt, log_position: int) -> Measurement:
        timings, first = stream.timings, stream.first or stream.end
        count = int(timings.get("predicted_n", len(stream.tokens)))
        decode_s = timings.get("predicted_ms", 1000 * (stream.end - first)) / 1000
        prefill_s = timings.get("prompt_ms", 1000 * (first - stream.start)) / 1000
        prompt_tokens = int(timings.get("prompt_n", prompt.text_tokens))
        accepted = int(timings.get("draft_n_accepted", 0))
        return Measurement(
            answer="".join(stream.text),
            finish_reason={"eos": "stop", "word": "stop", "limit": "length"}.get(stream.stop_type, stream.stop_type),
            prompt_tokens=prompt_tokens,
            completion_tokens=count,
            ttft_s=round(first - stream.start, 6),
            prefill_s=round(prefill_s, 6),
            prefill_tokens_per_s=round(prompt_tokens / prefill_s, 3) if prefill_s > 0 else None,
            decode_s=round(decode_s, 6),
            # llama-server's clock starts with the first token, so the intervals are one fewer than the tokens.
            decode_tokens_per_s=round((count - 1) / decode_s, 3) if count > 1 and decode_s > 0 else None,
            drafted_tokens=int(timings.get("draft_n", 0)),
            accepted_tokens=accepted,
            verify_steps=self._verify_steps(accepted, count, int(timings.get("draft_n", 0)), log_position),
            token_ids=tuple(stream.tokens),
        )

    def _verify_steps(self, accepted: int, count: int, drafted: int, log_position: int) -> int:
        """Batches that verified a draft: out of the log's mean accepted length, else every step after the first token."""
        if not drafted:
            return 0
        found: list[str] = []
        for _ in range(LOG_POLLS):
            with self._log.open("rb") as log:
                log.seek(log_position)
                found = _DRAFT_STATS.findall(log.read().decode("utf-8", "replace"))
            if found:
                break
            # The line is written just after the stream's last event.
            time.sleep(LOG_POLL_S)
        mean = float(found[-1]) if found else 0.0
        return round(accepted / (mean - 1)) if mean > 1 else max(count - 1 - accepted, 1)

    def margins(self, request: Request) -> tuple[tuple[int, float], ...]:
        """Close calls of the greedy answer, by an untimed second run with the two best tokens of each step."""
        assert self._server is not None
        with self._watched():
            body = self._body(request, self._render(request)) | {"stream": False, "n_probs": 2}
            answer = self._server.call("/completion", body, request.timeout_s)
        calls = []
        for index, step in enumerate(answer.get("completion_probabilities", [])):
            best = [float(top["logprob"]) for top in step.get("top_logprobs", [])[:2]]
            if len(best) == 2 and best[0] - best[1] < CLOSE_CALL_LOGITS:
                calls.append((index, round(best[0] - best[1], 4)))
        return tuple(calls)

    def pid(self) -> int:
        """The server's process."""
        assert self._server is not None
        return self._server.pid

    def check_alive(self) -> None:
        """Raises EngineDied with the last words of a server that is gone, or goes within a second."""
        assert self._server is not None
        if self._server.gone():
            raise EngineDied(self._server.died())

    def peak_rss_bytes(self) -> int:
        """The most memory the server had resident (VmHWM)."""
        if self._server is None or not self._server.alive():
            return 0
        return _peak_rss_bytes(self._server.pid)

    def unload(self) -> None:
        if self._server is not None:
            self._server.stop()


def _peak_rss_bytes(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return int(psutil.Process(pid).memory_info().rss) if psutil.pid_exists(pid) else 0
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.M)
    if found is None:
        raise BenchError(f"/proc/{pid}/status: no VmHWM line")
    return int(found[1]) * 1024
