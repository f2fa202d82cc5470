"""Engine `embedded`: llama.cpp in this process, with one decode loop for all modes.

A step evaluates the last token and the draft after it, and keeps drafted tokens as long as sampling
gives the same ones. For the baseline the draft is empty. So the modes differ only in the draft, and
every drafted and accepted token is counted exactly.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scripts.lib.base.safe_files import write_atomic
from scripts.lib.engines.drafting import (
    Drafter,
    FirstOf,
    LookupDrafter,
    SpeculationCount,
)
from scripts.lib.engines.load_log import flash_attention, kv_types, weights_buffers
from scripts.lib.engines.measurement_check import check_measurement
from scripts.lib.engines.protocol import (
    EngineFailure,
    GenerationTimeout,
    Loaded,
    LoadSettings,
    Request,
)
from scripts.lib.engines.thread_pool import ThreadPool
from scripts.lib.engines.warm_up import warm_up
from scripts.lib.llama_build.build import activate
from scripts.lib.planning.cell_record import CLOSE_CALL_LOGITS, Counts, Measurement
from scripts.lib.settings.speculators import LOOKUP, SIMPLE_DRAFT
from scripts.lib.weights.chat_template import with_prefill

activate()

from scripts.lib.engines.llama_api import LlamaContext, LlamaModel, Sampler, system_info  # noqa: E402
from scripts.lib.llama_build.log import EngineLog  # noqa: E402


class ModelDrafter:
    """Drafts greedily with a second, smaller model whose cache follows the text."""

    def __init__(self, context: LlamaContext, k: int):
        self.context = context
        self.k = k
        self._cached: list[int] = []
        self._greedy = Sampler(0.0, 1.0, 0)

    def reset(self) -> None:
        """Empty the draft's cache."""
        self.context.reset()
        self._cached = []

    def _follow(self, history: Sequence[int]) -> None:
        """Bring the cache to exactly `history`, and evaluate at least its last token."""
        shared = 0
        for cached, token in zip(self._cached, history[:-1], strict=False):
            if cached != token:
                break
            shared += 1
        self.context.forget_after(shared)
        size = self.context.batch_tokens
        for start in range(shared, len(history), size):
            self.context.decode(history[start : start + size], outputs=1)
        self._cached = list(history)

    def propose(self, history: Sequence[int], limit: int) -> list[int]:
        """The draft model's greedy tokens, up to the end of the answer."""
        count = min(self.k, limit, self.context.length - len(history))
        if count < 1:
            return []
        self._follow(history)
        draft: list[int] = []
        while True:
            token, _ = self._greedy.pick(self.context, -1)
            draft.append(token)
            if len(draft) == count or self.context.model.ends_answer(token):
                return draft
            self.context.decode([token], outputs=1)
            self._cached.append(token)


@dataclass(slots=True)
class _Answer:
    """The growing answer. `history` is the prompt and the answer's tokens, for the drafters."""

    prompt_tokens: int
    history: list[int]
    tokens: list[int] = field(default_factory=list)
    text: bytearray = field(default_factory=bytearray)
    close_calls: list[tuple[int, float]] = field(default_factory=list)
    counts: SpeculationCount = field(default_factory=SpeculationCount)
    finish_reason: str = ""


class EmbeddedEngine:
    """llama.cpp in this process: one engine for one shard.

    `every_token`: the context has room for the logits of a whole micro-batch, for `evaluate`.
    """

    def __init__(self, log_file: Path, every_token: bool = False) -> None:
        self._log_file = log_file
        self._every_token = every_token
        self._log = EngineLog()
        self._model: LlamaModel | None = None
        self._context: LlamaContext | None = None
        self._draft: ModelDrafter | None = None
        self._draft_model: LlamaModel | None = None
        self._drafter = FirstOf({})
        self._pool: ThreadPool | None = None

    def load(self, settings: LoadSettings) -> Loaded:
        """Load the weights (and the draft's). Raises EngineFailure in llama.cpp's own words."""
        start = time.perf_counter()
        mode, hardware = settings.mode, settings.hardware
        override = None
        if mode.experts is not None and settings.override_key is not None:
            override = (settings.override_key, mode.experts)
        load = partial(LlamaModel, log=self._log, repack=settings.repack, mmap=settings.mmap)
        self._model = load(settings.weights, override=override)
        effective: dict[str, Any] = dict(self._model.effective)
        most_drafted = max(mode.k or 0, settings.lookup_draft_tokens if mode.lookup_n else 0)
        threads = (hardware.threads, hardware.batch_threads)
        outputs = settings.context["micro_batch_tokens"] if self._every_token else most_drafted + 1
        self._context = LlamaContext(self._model, settings.context, *threads, outputs)
        effective |= kv_types(self._log.text())
        effective["flash_attention"] = flash_attention(self._log.text())
        if hardware.strict:
            self._pool = ThreadPool(hardware)
            self._pool.attach(self._context.handle)
        drafters: dict[str, Drafter] = {}
        if mode.lookup_n is not None:
            drafters[LOOKUP] = LookupDrafter(mode.lookup_n, settings.lookup_draft_tokens)
        if settings.draft is not None and mode.k is not None:
            self._draft_model = load(settings.draft)
            context = LlamaContext(self._draft_model, settings.context, *threads, 1)
            if self._pool is not None:
                self._pool.attach(context.handle)
            self._draft = ModelDrafter(context, mode.k)
            drafters[SIMPLE_DRAFT] = self._draft
            effective["draft_arch"] = self._draft_model.effective.get("arch")
        self._drafter = FirstOf(drafters)
        models = [model for model in (self._model, self._draft_model) if model is not None]
        load_logs = "".join(model.load_log for model in models)
        effective["weights_buffers_mib"] = weights_buffers(load_logs)
        effective["system_info"] = system_info()
        write_atomic(self._log_file, self._log.text())
        return Loaded(time.perf_counter() - start, effective)

    def warm_up(self) -> Counts:
        """Run the whole path once, untimed. Returns what each speculator did."""
        return warm_up(self.generate, self._drafter.drafters)

    def renew(self) -> None:
        """Do nothing: every answer resets the drafters."""

    def prompt_tokens(self, request: Request) -> list[int]:
        """The prompt's token ids as sent: template applied, special tokens parsed."""
        assert self._model is not None
        text, add_special = self._model.render(request.messages, request.thinking)
        return self._model.tokenize(with_prefill(text, request.prefill), add_special)

    def generate(self, request: Request) -> Measurement:
        """Answer one prompt with a cold cache. Raises GenerationTimeout with the partial answer."""
        assert self._model is not None and self._context is not None
        start = time.perf_counter()
        deadline = start + request.timeout_s
        prompt = self.prompt_tokens(request)
        room = self._context.length - len(prompt)
        if room < 1:
            raise EngineFailure(
                f"the prompt has {len(prompt)} tokens and the context {self._context.length}: "
                "no room for an answer"
            )
        self._context.reset()
        self._drafter.reset()
        sampler = Sampler(request.temperature, request.top_p, request.seed)
        answer = _Answer(len(prompt), list(prompt))
        try:
            prefill_start = time.perf_counter()
            in_time = self._prefill(prompt, deadline)
            if in_time:
                self._take(answer, sampler, -1, request)
            first = time.perf_counter()
            if in_time:
                self._decode(answer, sampler, request, min(request.max_tokens, room), deadline)
            end = time.perf_counter()
        finally:
            sampler.close()
        measured = _measure(answer, request, start, prefill_start, first, end)
        # Rendering is not included: the first one starts a process, which takes time.
        wrong = check_measurement(measured, end - prefill_start)
        if wrong:
            raise EngineFailure(f"the measured figures cannot be true: {wrong}")
        if measured.finish_reason == "timeout":
            raise GenerationTimeout(measured)
        return measured

    def _prefill(self, prompt: list[int], deadline: float) -> bool:
        assert self._context is not None
        size = self._context.batch_tokens
        for start in range(0, len(prompt), size):
            if time.perf_counter() > deadline:
                return False
            self._context.decode(prompt[start : start + size], outputs=1)
        return True

    def _take(self, answer: _Answer, sampler: Sampler, row: int, request: Request) -> int:
        """Sample output `row` into the answer; sets `finish_reason` when it ends there."""
        assert self._model is not None and self._context is not None
        token, gap = sampler.pick(self._context, row)
        if gap is not None and gap < CLOSE_CALL_LOGITS:
            answer.close_calls.append((len(answer.tokens), gap))
        answer.tokens.append(token)
        answer.history.append(token)
        if self._model.ends_answer(token):
            answer.finish_reason = "stop"
        else:
            answer.text += self._model.piece(token)
            if request.stop and _stop_position(answer.text, request.stop) is not None:
                answer.finish_reason = "stop"
        return token

    def _decode(
        self, answer: _Answer, sampler: Sampler, request: Request, most: int, deadline: float
    ) -> None:
        assert self._context is not None
        while not answer.finish_reason:
            left = most - len(answer.tokens)
            if left <= 0:
                answer.finish_reason = "length"
            elif time.perf_counter() > deadline:
                answer.finish_reason = "timeout"
            else:
                # The step samples one token more than it drafts.
                draft = (
                    self._drafter.propose(answer.history, left - 1, answer.counts)
                    if left > 1
                    else []
                )
                self._step(answer, sampler, draft, request)

    def _step(self, answer: _Answer, sampler: Sampler, draft: list[int], request: Request) -> None:
        """Evaluate the last token and a draft. Keep what sampling confirms, roll back the rest."""
        assert self._context is not None
        before = self._context.position
        self._context.decode([answer.tokens[-1], *draft], outputs=len(draft) + 1)
        accepted = 0
        for row in range(len(draft) + 1):
            token = self._take(answer, sampler, row, request)
            if row == len(draft) or token != draft[row]:
                break
            accepted += 1
            if answer.finish_reason:
                break
        if draft:
            answer.counts.verified(accepted)
        self._context.forget_after(before + 1 + accepted)

    def evaluate(self, tokens: Sequence[int]) -> Iterator[npt.NDArray[np.float32]]:
        """The logits after each token of a text, from a cold cache (an engine with `every_token`).

        Yields a micro-batch at a time, shape (tokens, vocabulary): a view that the next one
        overwrites. Raises EngineFailure, also for a text that the context does not hold.
        """
        assert self._context is not None and self._every_token
        if len(tokens) > self._context.length:
            raise EngineFailure(
                f"the text has {len(tokens)} tokens and the context {self._context.length}"
            )
        self._context.reset()
        size = self._context.micro_batch_tokens
        for start in range(0, len(tokens), size):
            part = tokens[start : start + size]
            self._context.decode(part, outputs=len(part))
            yield self._context.all_logits(len(part))

    def tokens(self, text: str) -> list[int]:
        """The token ids of a plain text, after BOS if the model begins with it."""
        assert self._model is not None
        return self._model.tokenize(text, True)

    @property
    def vocabulary(self) -> int:
        """The number of tokens of the loaded model's vocabulary."""
        assert self._model is not None
        return self._model.vocab_size

    def margins(self, request: Request) -> tuple[tuple[int, float], ...]:
        """Nothing to add: the decode loop has seen every logit gap."""
        return ()

    def pid(self) -> int:
        """The number of this process: its threads compute."""
        return os.getpid()

    def check_alive(self) -> None:
        """Do nothing: the engine is this process."""

    def peak_rss_bytes(self) -> int:
        """The most memory that this process had resident so far (Linux gives KiB)."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    def unload(self) -> None:
        """Free both models and their caches."""
        if self._draft is not None:
            self._draft.context.close()
        for part in (self._context, self._pool, self._draft_model, self._model):
            if part is not None:
                part.close()


def _stop_position(text: bytes | bytearray, stop: tuple[str, ...]) -> int | None:
    places = [place for place in (text.find(word.encode()) for word in stop) if place >= 0]
    return min(places) if places else None


def _measure(
    answer: _Answer, request: Request, start: float, prefill_start: float, first: float, end: float
) -> Measurement:
    text = bytes(answer.text)
    cut = _stop_position(text, request.stop)
    prefill_s, decode_s = first - prefill_start, end - first
    decoded = len(answer.tokens) - 1
    return Measurement(
        answer=text[:cut].decode("utf-8", "replace"),
        finish_reason=answer.finish_reason or "timeout",
        prompt_tokens=answer.prompt_tokens,
        completion_tokens=len(answer.tokens),
        ttft_s=round(first - start, 6),
        prefill_s=round(prefill_s, 6),
        prefill_tokens_per_s=round(answer.prompt_tokens / prefill_s, 3),
        decode_s=round(decode_s, 6),
        decode_tokens_per_s=round(decoded / decode_s, 3) if decoded > 0 else None,
        drafted_tokens=answer.counts.drafted,
        accepted_tokens=answer.counts.accepted,
        verify_steps=answer.counts.verify_steps,
        accepted_by_position=tuple(answer.counts.by_position),
        speculators=answer.counts.drafters,
        token_ids=tuple(answer.tokens),
        close_calls=tuple((index, round(gap, 4)) for index, gap in answer.close_calls),
    )
