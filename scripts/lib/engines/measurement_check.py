"""Can an engine's figures for one answer be true? Counts that contradict each other and impossible times are refused."""

from __future__ import annotations

from dataclasses import asdict
from math import isfinite

from scripts.lib.planning.cell_record import Measurement

# What an answer may take beside its prompt's evaluation and its tokens: a loaded machine keeps its
# reader waiting.
UNTOLD_S, UNTOLD_SHARE = 0.5, 0.1


# Two clocks of one machine, and figures that are rounded: a part cannot take longer than the whole
# by more than this.
CLOCK_S, CLOCK_SHARE = 0.02, 0.01


# Nothing computes a token in less, at decoding and at reading a prompt in batches.
LEAST_DECODE_S, LEAST_PREFILL_S = 10e-6, 0.1e-6


# A character of at most four bytes, each a token of its own: llama-server names the last one only.
UNNAMED_TOKENS = 3


def _impossible_count(measured: Measurement) -> str:
    answered, named = measured.completion_tokens, len(measured.token_ids)
    if measured.accepted_tokens > measured.drafted_tokens:
        return f"{measured.accepted_tokens} tokens accepted of {measured.drafted_tokens} drafted"
    if measured.finish_reason != "timeout" and answered < 1:
        return f"an answer of {answered} tokens that ended by itself"
    characters = sum(not character.isascii() for character in measured.answer)
    if not named <= answered <= named + UNNAMED_TOKENS * (characters + 1):
        return f"{answered} tokens answered, {named} of them named"
    return ""


def _impossible_time(measured: Measurement, elapsed_s: float) -> str:
    told = measured.prefill_s + measured.decode_s
    if told > elapsed_s * (1 + CLOCK_SHARE) + CLOCK_S:
        return f"{told:.6g} s of prefill and decoding in an answer of {elapsed_s:.6g} s"
    if elapsed_s > told + UNTOLD_S + UNTOLD_SHARE * elapsed_s:
        return f"an answer of {elapsed_s:.6g} s, of which prefill and decoding took {told:.6g} s"
    steps = measured.completion_tokens - 1 - measured.accepted_tokens
    if measured.decode_s < steps * LEAST_DECODE_S:
        return f"{steps} tokens decoded one by one in {measured.decode_s:.6g} s"
    if measured.completion_tokens and measured.prefill_s < measured.prompt_tokens * LEAST_PREFILL_S:
        return (
            f"a prompt of {measured.prompt_tokens} tokens evaluated in {measured.prefill_s:.6g} s"
        )
    return ""


def check_measurement(measured: Measurement, elapsed_s: float) -> str:
    """Why an engine's figures for one answer cannot be (empty: they can). `elapsed_s`: of the whole answer, on our clock."""
    for name, value in asdict(measured).items():
        if isinstance(value, int | float) and not (isfinite(value) and value >= 0):
            return f"{name} is {value}"
    return _impossible_count(measured) or _impossible_time(measured, elapsed_s)
