"""Physical limits of speeds: impossible numbers are struck out with the reason, never ranked.

Decoding reads the active weights and the KV cache once per token, so speed times bytes cannot pass
the memory bandwidth. A step of speculation evaluates at least one batch, so a speed-up cannot pass
the accepted length plus one, nor K + 1. The field's own lesson: a published 51x at K = 16 was a
measuring mistake (the limit is 17x).
"""

from __future__ import annotations

# Measured speeds are noisy: a ratio of two of them may exceed a true limit by this factor.
NOISE = 1.05


def bandwidth_violation(
    decode_tokens_per_s: float | None,
    bytes_per_token: float | None,
    bandwidth_bytes_per_s: float | None,
) -> str:
    """Why a baseline speed is impossible on this machine's memory; empty if it is possible."""
    if not decode_tokens_per_s or not bytes_per_token or not bandwidth_bytes_per_s:
        return ""
    needed = decode_tokens_per_s * bytes_per_token
    if needed <= bandwidth_bytes_per_s * NOISE:
        return ""
    return (
        f"{decode_tokens_per_s:.1f} t/s x {bytes_per_token / 1e9:.2f} GB per token = "
        f"{needed / 1e9:.0f} GB/s, more than the memory's {bandwidth_bytes_per_s / 1e9:.0f} GB/s"
    )


def speed_up_violation(
    speed_up: float | None, k: int | None, accepted_length: float | None = None
) -> str:
    """Why a speculative speed-up is impossible; empty if it is possible.

    `accepted_length` is the mean number of drafted tokens accepted per batch.
    """
    if not speed_up:
        return ""
    if k is not None and speed_up > (k + 1) * NOISE:
        return f"{speed_up:.2f}x passes K + 1 = {k + 1}"
    if accepted_length is not None and speed_up > (accepted_length + 1) * NOISE:
        return f"{speed_up:.2f}x passes the accepted length + 1 = {accepted_length + 1:.2f}"
    return ""


def bytes_per_token(
    weights_bytes: int,
    experts: int | None,
    experts_used: int | None,
    shared: float = 0.0,
    cache_bytes: float = 0.0,
) -> float:
    """Bytes read per token: all weights of a dense model, a part of a mixture of experts.

    `shared` is the fraction of the weights outside the experts; unknown (0) it makes the gate more
    lenient, never stricter. `cache_bytes`: what is read of the KV cache.
    """
    if not experts or not experts_used:
        return weights_bytes + cache_bytes
    used = shared + (1 - shared) * min(experts_used / experts, 1.0)
    return weights_bytes * used + cache_bytes


def bandwidth_efficiency(
    decode_tokens_per_s: float | None,
    bytes_per_token: float | None,
    bandwidth_bytes_per_s: float | None,
) -> float | None:
    """Bytes read per second while decoding, as a share of the memory's bandwidth; None: unknown.

    Valid only without speculation, since a verified draft reads the weights once for several
    tokens.
    """
    if not decode_tokens_per_s or not bytes_per_token or not bandwidth_bytes_per_s:
        return None
    return decode_tokens_per_s * bytes_per_token / bandwidth_bytes_per_s
