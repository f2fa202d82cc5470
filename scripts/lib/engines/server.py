"""Engine `server`: a real llama-server, started once per shard; answers are streamed.

The server renders and tokenises the prompt, so its own template handling is measured. The answer
comes from `/completion` with token ids, so it can be compared with the other engine's token by
token. ik_llama.cpp's server gives only text; it is then asked for the token ids of this text.
"""

from __future__ import annotations

import base64
import contextlib
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from scripts.lib.base.errors import BenchError
from scripts.lib.base.untrusted_text import one_line, valid_text
from scripts.lib.engines.load_log import (
    effective_settings,
    flash_attention,
    kv_types,
    model_logs,
    weights_buffers,
)
from scripts.lib.engines.measurement_check import check_measurement
from scripts.lib.engines.protocol import (
    EngineDied,
    EngineFailure,
    GenerationTimeout,
    Loaded,
    LoadSettings,
    NotActive,
    Request,
)
from scripts.lib.engines.server_flags import CURRENT, IK, ServerFlags, probe, shown_argv
from scripts.lib.engines.server_process import NoReply, ServerProcess
from scripts.lib.engines.server_reply import (
    accepted_by_depth,
    count,
    log_probabilities,
    number,
    objects,
    text,
    tokens,
)
from scripts.lib.engines.server_start import start_server
from scripts.lib.engines.speculation_log import NoStatistics, SpeculationLog, Spoken, given_up
from scripts.lib.engines.warm_up import warm_up
from scripts.lib.machine.kernel_files import kernel_text
from scripts.lib.planning.cell_record import CLOSE_CALL_LOGITS, Counts, Measurement
from scripts.lib.weights.chat_template import date_variables, with_prefill

# ik_llama.cpp: `INFO [ main] system info | … system_info="AVX = 1 | …" …`.
_SYSTEM_INFO = re.compile(r"system_info(?:: .*?\|\s*|=\")(.+?)\s*(?:\"|$)", re.M)

# Rendering a prompt and counting its tokens take milliseconds, unless the server is stuck.
PROMPT_TIMEOUT_S = 60.0
_COMPLETION = "/completion"
# The limit of an answer's text: about a million tokens. The rest is dropped.
MOST_ANSWER_CHARACTERS = 4 << 20
_FINISH_REASONS = {"eos": "stop", "word": "stop", "limit": "length"}


@dataclass(slots=True)
class _Stream:
    """A growing streamed answer. Times are of the monotonic clock."""

    start: float
    first: float | None = None
    end: float = 0.0
    text: list[str] = field(default_factory=list)
    characters: int = 0
    tokens: list[int] = field(default_factory=list)
    timings: Mapping[str, Any] = field(default_factory=dict)
    stop_type: str = ""

    def add(self, text: str, tokens: list[int]) -> None:
        if (text or tokens) and self.first is None:
            self.first = time.monotonic()
        self.text.append(text[: max(MOST_ANSWER_CHARACTERS - self.characters, 0)])
        self.characters += len(text)
        self.tokens += tokens

    def finish_reason(self) -> str:
        """Why the answer ended; `length` also if it was cut off here."""
        if self.characters > MOST_ANSWER_CHARACTERS:
            return "length"
        return _FINISH_REASONS.get(self.stop_type, one_line(self.stop_type)[:40])


@dataclass(frozen=True, slots=True)
class _Prompt:
    """The prompt for /completion (token ids, or text with images), and the tokens of its text."""

    sent: Any
    text_tokens: int
    has_images: bool

    def guard(self, evaluated: int) -> None:
        """Raise EngineFailure if the cache was not cold, or if images were not read."""
        tokens = self.text_tokens
        if self.has_images and evaluated <= tokens:
            raise EngineFailure(
                f"the image was not read: the text has {tokens} tokens, {evaluated} were evaluated"
            )
        if not self.has_images and evaluated != tokens:
            raise EngineFailure(
                f"the prompt's cache was not cold: {tokens} tokens sent, {evaluated} evaluated"
            )


def _speculation_log(flags: ServerFlags, settings: LoadSettings, log: Path) -> SpeculationLog:
    """The reader of the log, with the server's word for each of the mode's speculators."""
    rows = [speculation.speculator for speculation in settings.speculations]
    if flags.dialect not in (CURRENT, IK):
        return SpeculationLog(log, None if rows else {})
    words = {row.ik_type if flags.dialect == IK else row.type: row.name for row in rows}
    return SpeculationLog(log, words)


class ServerEngine:
    """A llama-server for one shard. A dead server raises EngineDied; `load` then starts another.

    `_unsettled`: an answer was cut off at its deadline, and the server may still be computing it.
    """

    def __init__(self, binary: Path, log: Path, ready_timeout_s: float):
        self._binary, self._log, self._ready_timeout_s = binary, log, ready_timeout_s
        self._server: ServerProcess | None = None
        self._settings: LoadSettings | None = None
        self._unsettled = False
        self._flags: ServerFlags | None = None
        self._speculation = SpeculationLog(log, {})

    def load(self, settings: LoadSettings) -> Loaded:
        """Start the server and wait until it is ready.

        Raises EngineFailure with its last lines, BenchError for a bad binary.
        """
        self.unload()
        start = time.perf_counter()
        self._settings, self._unsettled = settings, False
        self._flags = flags = probe(self._binary)
        server = self._start()
        load_s = time.perf_counter() - start
        log = server.log_text()
        models = [effective_settings(part) for part in model_logs(log)]
        effective: dict[str, Any] = dict(models[0]) if models else {}
        if len(models) > 1:
            effective["draft_arch"] = models[-1].get("arch")
        effective["weights_buffers_mib"] = weights_buffers(log)
        effective |= kv_types(log)
        effective["flash_attention"] = flash_attention(log)
        info = _SYSTEM_INFO.search(log)
        effective |= {"system_info": info[1] if info else "", "dialect": flags.dialect}
        if not self._names_tokens:
            effective["token_ids"] = "of the answer's text"
        effective["argv"] = shown_argv(server.argv)
        return Loaded(load_s, effective)

    @property
    def _names_tokens(self) -> bool:
        """True if the server gives an answer's token ids."""
        return self._flags is None or self._flags.dialect != IK

    def _start(self) -> ServerProcess:
        assert self._flags is not None and self._settings is not None
        server = start_server(self._flags, self._settings, self._log, self._ready_timeout_s)
        self._server = server
        self._speculation = _speculation_log(self._flags, self._settings, self._log)
        words = given_up(server.log_text())
        if words and self._settings.mode.speculative:
            raise NotActive(f"mode {self._settings.mode.name}", f"llama-server: {words}")
        return server

    def warm_up(self) -> Counts:
        """Run the whole path once, untimed. Returns what each speculator did."""
        return warm_up(self.generate, self._speculation.speculators)

    def renew(self) -> None:
        """Start another server, in which the speculators have seen no text.

        One token warms its threads and memory; the speculators would learn from a longer answer.
        """
        assert self._server is not None and self._settings is not None
        self._server.stop()
        self._unsettled = False
        self._start()
        self._prime(PROMPT_TIMEOUT_S)

    def _ask(
        self, path: str, body: Mapping[str, Any] | None = None, timeout_s: float | None = None
    ) -> Mapping[str, Any]:
        """A short request. If there is no reply, the server is stopped. Raises EngineDied."""
        assert self._server is not None
        try:
            return self._server.call(path, body, timeout_s or PROMPT_TIMEOUT_S)
        except NoReply as stuck:
            self._server.stop()
            raise EngineDied(str(stuck)) from stuck

    def _render(self, request: Request) -> _Prompt:
        images = [
            base64.b64encode(Path(image).read_bytes()).decode("ascii") for image in request.images
        ]
        messages = request.messages
        if images:
            # The bytes are sent with the prompt; the template only counts the images.
            parts = [
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
                for data in images
            ]
            messages[-1]["content"] = [*parts, {"type": "text", "text": request.user}]
        # Without this, the server would give today's date to the template.
        variables = date_variables() | ({} if request.thinking else {"enable_thinking": False})
        body = {"messages": messages, "chat_template_kwargs": variables}
        rendered = text(self._ask("/apply-template", body), "prompt", "/apply-template")
        prompt = plain = with_prefill(rendered, request.prefill)
        if images:
            plain = prompt.replace(text(self._ask("/props"), "media_marker", "/props"), "")
        ids = self._tokenize(plain, add_special=True)
        sent = {"prompt_string": prompt, "multimodal_data": images} if images else ids
        return _Prompt(sent, len(ids), bool(images))

    def _tokenize(self, content: str, *, add_special: bool) -> list[int]:
        body = {"content": content, "add_special": add_special, "parse_special": True}
        return tokens(self._ask("/tokenize", body), "/tokenize")

    def _body(self, request: Request, prompt: _Prompt) -> dict[str, Any]:
        # Greedy is top-1: the whole chain of samplers would sort the vocabulary at every token,
        # which slows down a small model.
        greedy = {"samplers": ["top_k"], "top_k": 1}
        sampled = {
            "samplers": ["top_p", "temperature"],
            "top_k": 0,
            "min_p": 0.0,
            "top_p": request.top_p,
        }
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
            **({"grammar": f'root ::= "{request.forced}"'} if request.forced else {}),
        }

    def generate(self, request: Request) -> Measurement:
        """Answer one prompt. Raises EngineDied with the last lines of a server that has ended."""
        assert self._server is not None and self._settings is not None
        self._settle(request.timeout_s)
        prompt = self._render(request)
        context = self._settings.context["length_tokens"]
        if prompt.text_tokens >= context:
            raise EngineFailure(
                f"the prompt has {prompt.text_tokens} tokens and the context {context}: "
                "no room for an answer"
            )
        stream = _Stream(time.monotonic())
        log_position = self._speculation.position()
        timed_out = False
        try:
            self._receive(stream, request, self._body(request, prompt))
        except TimeoutError:
            timed_out = self._unsettled = True
        stream.end = time.monotonic()
        if not self._names_tokens:
            stream.tokens = self._tokenize(valid_text("".join(stream.text)), add_special=False)
        measured = self._measure(stream, prompt, log_position)
        if timed_out:
            measured = replace(measured, finish_reason="timeout")
        wrong = check_measurement(measured, stream.end - stream.start, self._names_tokens)
        if wrong:
            raise EngineFailure(f"llama-server's figures cannot be true: {wrong}")
        if timed_out:
            raise GenerationTimeout(measured)
        if measured.completion_tokens > request.max_tokens:
            raise EngineFailure(
                f"{request.max_tokens} tokens asked for, {measured.completion_tokens} answered"
            )
        prompt.guard(measured.prompt_tokens)
        return measured

    def _settle(self, timeout_s: float) -> None:
        """Wait until the server has given up an answer that was cut off: it would delay the next.

        If a speculator keeps the end of the request before, send a request that is always the same.
        """
        assert self._settings is not None
        speculations = self._settings.speculations
        if self._unsettled or any(part.speculator.keeps_last for part in speculations):
            self._unsettled = False
            self._prime(timeout_s)

    def _prime(self, timeout_s: float) -> None:
        """Generate one token, untimed. The log's totals then include everything before it."""
        position = self._speculation.position()
        body = {"prompt": "a", "n_predict": 1, "cache_prompt": False}
        self._ask(_COMPLETION, body, timeout_s)
        with self._statistics():
            self._speculation.catch_up(position)

    @contextlib.contextmanager
    def _statistics(self) -> Iterator[None]:
        """Raises NotActive, or EngineDied, if the log has no statistics of a speculator."""
        try:
            yield
        except NoStatistics as missing:
            assert self._settings is not None
            self.check_alive()
            raise NotActive(f"mode {self._settings.mode.name}", str(missing)) from missing

    def _receive(self, stream: _Stream, request: Request, body: dict[str, Any]) -> None:
        assert self._server is not None
        for event in self._server.stream(_COMPLETION, body, stream.start + request.timeout_s):
            # The last event has the timings, and no new tokens.
            stream.add(event.text, [] if event.last else event.tokens)
            stream.timings, stream.stop_type = event.timings, event.stop_type
        if not stream.timings:
            raise EngineFailure(f"llama-server: {_COMPLETION}: the answer ended without timings")

    def _measure(self, stream: _Stream, prompt: _Prompt, log_position: int) -> Measurement:
        timings, place = stream.timings, f"{_COMPLETION}: timings"
        first = stream.first or stream.end
        answered = count(timings, "predicted_n", place, len(stream.tokens))
        decode_s = number(timings, "predicted_ms", place, 1000 * (stream.end - first)) / 1000
        prefill_s = number(timings, "prompt_ms", place, 1000 * (first - stream.start)) / 1000
        prompt_tokens = count(timings, "prompt_n", place, prompt.text_tokens)
        accepted = count(timings, "draft_n_accepted", place)
        drafted = count(timings, "draft_n", place)
        spoken = Spoken()
        if stream.timings:  # the log has no statistics yet of an answer that was cut off
            with self._statistics():
                spoken = self._speculation.answer(log_position, drafted, accepted, answered)
        return Measurement(
            answer=valid_text("".join(stream.text)),
            finish_reason=stream.finish_reason(),
            prompt_tokens=prompt_tokens,
            completion_tokens=answered,
            ttft_s=round(first - stream.start, 6),
            prefill_s=round(prefill_s, 6),
            prefill_tokens_per_s=round(prompt_tokens / prefill_s, 3) if prefill_s > 0 else None,
            decode_s=round(decode_s, 6),
            # llama-server's clock starts at the first token: n tokens take n - 1 intervals.
            decode_tokens_per_s=round((answered - 1) / decode_s, 3)
            if answered > 1 and decode_s > 0
            else None,
            drafted_tokens=drafted,
            accepted_tokens=accepted,
            verify_steps=spoken.verify_steps,
            token_ids=tuple(stream.tokens),
            accepted_by_position=spoken.by_position or accepted_by_depth(timings, place),
            speculators=spoken.counts,
        )

    def margins(self, request: Request) -> tuple[tuple[int, float], ...]:
        """The greedy answer's close calls, by an untimed second run with the two best tokens."""
        assert self._server is not None
        body = self._body(request, self._render(request)) | {"stream": False, "n_probs": 2}
        try:
            answer = self._server.call(_COMPLETION, body, request.timeout_s)
        except NoReply:
            self._unsettled = True
            raise
        calls = []
        for index, step in enumerate(objects(answer, "completion_probabilities", _COMPLETION)):
            best = log_probabilities(step, _COMPLETION)[:2]
            if len(best) == 2 and best[0] - best[1] < CLOSE_CALL_LOGITS:
                calls.append((index, round(best[0] - best[1], 4)))
        return tuple(calls)

    def pid(self) -> int:
        """The process number of the server."""
        assert self._server is not None
        return self._server.pid

    def check_alive(self) -> None:
        """Raises EngineDied with the server's last lines if it has ended, or ends in a second."""
        assert self._server is not None
        if self._server.gone():
            raise self._server.died()

    def peak_rss_bytes(self) -> int:
        """The most memory the server had resident (VmHWM)."""
        if self._server is None or not self._server.alive():
            return 0
        return _peak_rss_bytes(self._server.pid)

    def unload(self) -> None:
        """Stop the server."""
        if self._server is not None:
            self._server.stop()


def _peak_rss_bytes(pid: int) -> int:
    status = kernel_text(f"/proc/{pid}/status")
    if status is None:
        return 0  # it has just ended
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.M)
    if found is None:
        raise BenchError(f"/proc/{pid}/status: no VmHWM line")
    return int(found[1]) * 1024
