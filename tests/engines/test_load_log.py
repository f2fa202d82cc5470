"""What llama.cpp's log says of a loaded model: buffers of weights, flash attention."""

from __future__ import annotations

import pytest

from scripts.lib.engines.load_log import copied_bytes, flash_attention, weights_buffers

BUFFERS = """
load_tensors: loading model tensors, this can take a while... (mmap = true)
load_tensors:   CPU_Mapped model buffer size =   136.73 MiB
load_tensors:   CPU_REPACK model buffer size =    90.00 MiB
0.00.214.511 I load_tensors:   CPU_Mapped model buffer size =    10.00 MiB
load_tensors:          CPU model buffer size =     1.50 MiB
llama_context:        CPU  output buffer size =     0.19 MiB
"""


def test_the_buffers_of_all_models_are_added_by_kind() -> None:
    found = weights_buffers(BUFFERS)
    assert found == {"CPU_Mapped": 146.73, "CPU_REPACK": 90.0, "CPU": 1.5}
    assert copied_bytes(found) == int(91.5 * (1 << 20))
    assert weights_buffers("nothing of it") == {} and copied_bytes({}) == 0


@pytest.mark.parametrize(
    ("log", "found"),
    [
        ("llama_context: flash_attn            = enabled\n", True),
        ("llama_context: flash_attn            = disabled\n", False),
        (
            "llama_context: flash_attn            = auto\n"
            "sched_reserve: reserving ...\n"
            "resolve_fused_ops: Flash Attention enabled\n"
            "resolve_fused_ops: fused Gated Delta Net (chunked) enabled\n",
            True,
        ),
        (
            "llama_context: flash_attn            = auto\n"
            "resolve_fused_ops: layer 0 is assigned to device CPU but Flash Attention is assigned "
            "to device none (usually due to missing support)\n"
            "resolve_fused_ops: Flash Attention not supported, set to disabled\n",
            False,
        ),
        (
            "llama_context: flash_attn    = auto\n"
            "llama_context: Flash Attention was auto, set to enabled\n",
            True,
        ),
        (
            "llama_init_from_model: flash_attn is not compatible with Grok - forcing off\n"
            "llama_context: flash_attn            = disabled\n",
            False,
        ),
        ("llama_new_context_with_model: flash_attn    = 1\n", True),
        ("llama_context: flash_attn            = auto\nit ended here\n", None),
        ("llama_context: n_ctx = 512\n", None),
        (
            "llama_context: flash_attn            = auto\n"
            "resolve_fused_ops: Flash Attention enabled\n"
            "llama_context: flash_attn            = auto\n"
            "resolve_fused_ops: Flash Attention not supported, set to disabled\n",
            True,  # of the model; the second context is its draft's
        ),
    ],
)
def test_what_became_of_flash_attention(log: str, found: bool | None) -> None:
    assert flash_attention(log) is found
