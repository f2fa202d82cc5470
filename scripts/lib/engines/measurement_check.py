"""Checks that an engine's figures for one answer can be true: counts and times must agree."""

from __future__ import annotations

from scripts.lib.planning.cell_record import Measurement, implausible

# The most time of an answer that is neither prompt evaluation nor decoding. (On a loaded machine,
# the reader of the answer has to wait.)
OTHER_S, OTHER_SHARE = 0.5, 0.1
# Two clocks and rounded figures: a part may seem to be longer than the whole by this much.
CLOCK_S, CLOCK_SHARE = 0.02, 0.01
# No machine computes a token faster, in decoding and in reading a prompt in batches.
LEAST_DECODE_S, LEAST_PREFILL_S = 10e-6, 0.1e-6
# A character has up to four bytes, each may be a token, and llama-server names only the last one.
UNNAMED_TOKENS = 3


def _impossible_count(measured: Measurement, by_server: bool) -> str:
    answered, named = measured.completion_tokens, len(measured.token_ids)
    if measured.finish_reason != "timeout" and answered < 1:
        return f"an answer that ended by itself has {answered} tokens"
    characters = sum(not character.isascii() for character in measured.answer)
    if by_server and not named <= answered <= named + UNNAMED_TOKENS * (characters + 1):
        return f"{answered} tokens answered, {named} of them named"
    return ""


def _impossible_time(measured: Measurement, elapsed_s: float) -> str:
    computed = measured.prefill_s + measured.decode_s
    if computed > elapsed_s * (1 + CLOCK_SHARE) + CLOCK_S:
        return f"{computed:.6g} s of prefill and decoding in an answer of {elapsed_s:.6g} s"
    if elapsed_s > computed + OTHER_S + OTHER_SHARE * elapsed_s:
        return (
            f"an answer of {elapsed_s:.6g} s, of which prefill and decoding took {computed:.6g} s"
        )
    steps = measured.completion_tokens - 1 - measured.accepted_tokens
    if measured.decode_s < steps * LEAST_DECODE_S:
        return f"{steps} tokens decoded one by one in {measured.decode_s:.6g} s"
    if measured.completion_tokens and measured.prefill_s < measured.prompt_tokens * LEAST_PREFILL_S:
        return (
            f"a prompt of {measured.prompt_tokens} tokens evaluated in {measured.prefill_s:.6g} s"
        )
    return ""


def check_measurement(measured: Measurement, elapsed_s: float, by_server: bool = True) -> str:
    """Why an engine's figures for one answer cannot be true; empty if they can.

    `elapsed_s`: seconds of the whole answer, by this process's clock. `by_server`: the engine named
    the answer's tokens; else they are those of its text.
    """
    return (
        implausible(measured)
        or _impossible_count(measured, by_server)
        or _impossible_time(measured, elapsed_s)
    )
