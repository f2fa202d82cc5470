"""A thin, typed layer over llama.cpp's C interface: load, decode, sample, convert text.

Importing this module loads llama.cpp's libraries. Only an engine's own process imports it, after
`llama_build.build.activate()`; so this engine, llama-server and llama-bench use the same build.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
import numpy.typing as npt

from scripts.lib.engines.load_log import effective_settings
from scripts.lib.engines.protocol import EngineFailure
from scripts.lib.llama_build.log import EngineLog
from scripts.lib.weights.chat_template import Renderer, TemplateError

FLASH_ATTENTION = {
    True: llama_cpp.LLAMA_FLASH_ATTN_TYPE_ENABLED,
    False: llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED,
    "auto": llama_cpp.LLAMA_FLASH_ATTN_TYPE_AUTO,
}
KV_TYPES = {"f32": 0, "f16": 1, "q4_0": 2, "q8_0": 8, "bf16": 30}


class LlamaModel:
    """Loaded weights with their vocabulary. Raises EngineFailure with llama.cpp's own words.

    `repack`: False keeps the weights in the file's layout. `mmap`: False reads the file into memory
    instead of mapping it.
    """

    def __init__(
        self,
        path: Path,
        log: EngineLog,
        override: tuple[str, int] | None = None,
        *,
        repack: bool = True,
        mmap: bool = True,
    ):
        params = llama_cpp.llama_model_default_params()
        params.n_gpu_layers = 0
        params.use_extra_bufts = repack
        if not mmap:
            params.load_mode = llama_cpp.LLAMA_LOAD_MODE_NONE
        overrides = (llama_cpp.llama_model_kv_override * 2)()
        if override is not None:
            overrides[0].key = override[0].encode()
            overrides[0].tag = llama_cpp.LLAMA_KV_OVERRIDE_TYPE_INT
            overrides[0].value.val_i64 = override[1]  # type: ignore[union-attr]
            params.kv_overrides = overrides
        log.clear()
        self.handle = llama_cpp.llama_model_load_from_file(str(path).encode(), params)
        if not self.handle:
            raise EngineFailure(f"llama.cpp could not load the weights: {log.last_words()}")
        self.load_log = log.text()
        self.effective = effective_settings(self.load_log)
        self.vocab = llama_cpp.llama_model_get_vocab(self.handle)
        self.vocab_size: int = llama_cpp.llama_vocab_n_tokens(self.vocab)
        self._pieces: dict[int, bytes] = {}
        self._renderer = Renderer()

    def meta(self, key: str) -> str | None:
        """A metadata value of the GGUF as text, or None."""
        size = 1 << 17
        buffer = ctypes.create_string_buffer(size)
        length = llama_cpp.llama_model_meta_val_str(self.handle, key.encode(), buffer, size)
        return None if length < 0 else buffer.value.decode("utf-8", "replace")

    def _special(self, token: int) -> str:
        return "" if token < 0 else self.piece(token, special=True).decode("utf-8", "replace")

    def render(self, messages: Sequence[Mapping[str, str]], thinking: bool) -> tuple[str, bool]:
        """The prompt text, and whether the tokenizer must still add BOS.

        Without a template, the messages' plain text. Raises EngineFailure with the template's own
        message.
        """
        template = self.meta("tokenizer.chat_template")
        if not template:
            return "\n\n".join(message["content"] for message in messages), True
        bos = self._special(llama_cpp.llama_vocab_bos(self.vocab))
        eos = self._special(llama_cpp.llama_vocab_eos(self.vocab))
        variables: dict[str, Any] = {"bos_token": bos, "eos_token": eos}
        if not thinking:
            variables["enable_thinking"] = False
        try:
            text = self._renderer.render(template, messages, variables)
        except TemplateError as error:
            raise EngineFailure(f"the chat template: {error}") from error
        # A template that already prints BOS must not get a second one from the tokenizer.
        return text, not (bos and text.startswith(bos))

    def tokenize(self, text: str, add_special: bool) -> list[int]:
        """The token ids of a text in which special tokens are parsed."""
        data = text.encode("utf-8")
        room = len(data) + 8
        tokens = (llama_cpp.llama_token * room)()
        count = llama_cpp.llama_tokenize(
            self.vocab, data, len(data), tokens, room, add_special, True
        )
        if count < 0:
            raise EngineFailure(
                f"the tokenizer refused the prompt (needs room for {-count} tokens)"
            )
        return list(tokens[:count])

    def piece(self, token: int, special: bool = False) -> bytes:
        """The bytes of one token (a character may be split over several tokens)."""
        if not special and token in self._pieces:
            return self._pieces[token]
        buffer = ctypes.create_string_buffer(256)
        length = llama_cpp.llama_token_to_piece(self.vocab, token, buffer, 256, 0, special)
        data = buffer.raw[: max(length, 0)]
        if not special:
            self._pieces[token] = data
        return data

    def ends_answer(self, token: int) -> bool:
        """True for the tokens that end a generation."""
        return bool(llama_cpp.llama_vocab_is_eog(self.vocab, token))

    def close(self) -> None:
        """Free the weights."""
        self._renderer.close()
        if self.handle:
            llama_cpp.llama_model_free(self.handle)
            self.handle = None


class LlamaContext:
    """The KV cache of one sequence. `decode` appends tokens, `forget_after` rolls back."""

    def __init__(
        self,
        model: LlamaModel,
        settings: Mapping[str, Any],
        threads: int,
        batch_threads: int,
        most_outputs: int,
    ):
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = settings["length_tokens"]
        params.n_batch = min(settings["batch_tokens"], settings["length_tokens"])
        params.n_ubatch = min(settings["micro_batch_tokens"], params.n_batch)
        params.n_seq_max = 1
        # Only the tokens to be verified need logits; those of a whole batch take hundreds of MB.
        params.n_outputs_max = most_outputs
        params.n_threads, params.n_threads_batch = threads, batch_threads
        params.flash_attn_type = FLASH_ATTENTION[settings["flash_attention"]]
        params.type_k = KV_TYPES[settings["kv_type_k"]]
        params.type_v = KV_TYPES[settings["kv_type_v"]]
        params.no_perf = True
        self.model = model
        self.handle = llama_cpp.llama_init_from_model(model.handle, params)
        if not self.handle:
            raise EngineFailure(
                "llama.cpp could not make a context (out of memory, or unsupported settings)"
            )
        self.memory = llama_cpp.llama_get_memory(self.handle)
        self.length: int = settings["length_tokens"]
        self.batch_tokens: int = params.n_batch
        self.micro_batch_tokens: int = params.n_ubatch
        self.position = 0
        self._batch = llama_cpp.llama_batch_init(self.batch_tokens, 0, 1)
        self._logits_type = ctypes.c_float * model.vocab_size

    def reset(self) -> None:
        """Empty the cache: the next prompt is evaluated cold."""
        llama_cpp.llama_memory_clear(self.memory, True)
        self.position = 0

    def forget_after(self, position: int) -> None:
        """Drop every cached token from `position` on."""
        if position < self.position:
            if not llama_cpp.llama_memory_seq_rm(self.memory, 0, position, -1):
                raise EngineFailure(
                    "llama.cpp cannot roll back this model's state, so it cannot speculate"
                )
            self.position = position

    def decode(self, tokens: Sequence[int], outputs: int) -> None:
        """Append and evaluate `tokens`, at most one batch. The last `outputs` tokens get logits."""
        batch, count = self._batch, len(tokens)
        for i, token in enumerate(tokens):
            batch.token[i] = token
            batch.pos[i] = self.position + i
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = 0
            batch.logits[i] = i >= count - outputs
        batch.n_tokens = count
        status = llama_cpp.llama_decode(self.handle, batch)
        if status != 0:
            raise EngineFailure(
                f"llama_decode failed with status {status} at position {self.position}"
            )
        self.position += count

    def logits(self, row: int) -> npt.NDArray[np.float32]:
        """A view of the logits of output `row` (negative: from the end), shape (vocab_size,)."""
        pointer = llama_cpp.llama_get_logits_ith(self.handle, row)
        address = ctypes.addressof(pointer.contents)
        view: Any = self._logits_type.from_address(address)
        return np.frombuffer(view, dtype=np.float32)

    def all_logits(self, count: int) -> npt.NDArray[np.float32]:
        """A view of the logits of all `count` outputs, in order, shape (count, vocab_size)."""
        pointer = llama_cpp.llama_get_logits(self.handle)
        address = ctypes.addressof(pointer.contents)
        view: Any = (self._logits_type * count).from_address(address)
        return np.frombuffer(view, dtype=np.float32).reshape(count, -1)

    def close(self) -> None:
        """Free batch and cache."""
        if self.handle:
            llama_cpp.llama_batch_free(self._batch)
            llama_cpp.llama_free(self.handle)
            self.handle = None


class Sampler:
    """Picks the next token: if greedy, here, to see the margin; else by llama.cpp's samplers."""

    def __init__(self, temperature: float, top_p: float, seed: int):
        self._chain = None
        if temperature > 0:
            self._chain = llama_cpp.llama_sampler_chain_init(
                llama_cpp.llama_sampler_chain_default_params()
            )
            for step in (
                llama_cpp.llama_sampler_init_top_p(top_p, 1),
                llama_cpp.llama_sampler_init_temp(temperature),
                llama_cpp.llama_sampler_init_dist(seed),
            ):
                llama_cpp.llama_sampler_chain_add(self._chain, step)

    def pick(self, context: LlamaContext, row: int) -> tuple[int, float | None]:
        """The token for output `row`, and (greedy only) the logit gap to the second best."""
        if self._chain is not None:
            return llama_cpp.llama_sampler_sample(self._chain, context.handle, row), None
        logits = context.logits(row)
        best = int(logits.argmax())
        top = float(logits[best])
        if not np.isfinite(top):
            raise EngineFailure(
                f"the model's logits are not numbers (best is {top}): damaged weights or overflow"
            )
        # llama.cpp's buffer is writable: masking the best logit for a moment saves a copy.
        logits[best] = -np.inf
        gap = top - float(logits.max())
        logits[best] = top
        return best, gap

    def close(self) -> None:
        """Free the sampler chain."""
        if self._chain is not None:
            llama_cpp.llama_sampler_free(self._chain)
            self._chain = None


def system_info() -> str:
    """llama.cpp's own line on the CPU features that it uses."""
    return str(llama_cpp.llama_print_system_info().decode("utf-8", "replace").strip())
