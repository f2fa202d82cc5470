"""The name of a quantisation: the publisher's, where the file does not contradict it."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.lib.authoring.registry_check import contradictions
from scripts.lib.authoring.registry_edit import propose_entry
from scripts.lib.weights.facts import WeightsFacts
from scripts.lib.weights.gguf_header import Header
from scripts.lib.weights.quant_names import bears_out, known_name, named_in
from tests.factories.plans import REGISTRY, model


def header(file_type: str, mix: str, name: str = "") -> Header:
    return Header(
        architecture="llama", name=name, quant=file_type, vocab_type="", vocab_size=0, bos_id=None,
        eos_id=None, tokens_digest="", chat_template_digest=None, expert_count=None,
        expert_used_count=None, context_length=None, block_count=None, split_count=1, quant_mix=mix,
    )  # fmt: skip


# File type, tensors, file's name, what the quantisation is called.
CASES = [
    ("Q4_K_M", "Q4_K:100 Q5_K:40 F32:60 Q8_0:3", "M-UD-Q4_K_XL", "UD-Q4_K_XL"),
    ("Q4_K_M", "Q4_K:100 F32:1", "M-Q4_K_XL", "Q4_K_XL"),
    ("Q4_K_M", "Q5_0:10 Q8_0:5 F32:30", "gpt-UD-Q4_K_XL", "UD-Q4_K_XL"),
    ("IQ2_XXS", "Q5_K:100 IQ2_XXS:50 F32:1", "M-UD-IQ2_XXS", "UD-IQ2_XXS"),
    ("IQ1_S", "Q4_K:22 IQ1_S:10", "M-UD-TQ1_0", "UD-TQ1_0"),
    ("Q8_0", "Q8_0:10 F16:4 F32:3", "M-UD-Q8_K_XL", "UD-Q8_K_XL"),
    ("Q4_K_M", "Q4_K:10", "M.i1-Q4_K_M", "i1-Q4_K_M"),
    ("Q6_K", "Q6_K:10 Q8_0:2", "M-Q6_K_L", "Q6_K_L"),
    ("IQ4_NL", "IQ4_NL:10", "m-iq4_nl", "IQ4_NL"),
    ("Q4_0", "IQ4_NL:10 F32:30", "M-IQ4_NL", "IQ4_NL"),
    ("MXFP4_MOE", "Q8_0:20 MXFP4:10", "gpt-oss-mxfp4", "MXFP4"),
    ("MXFP4_MOE", "Q8_0:20 MXFP4:10", "gpt-oss", "MXFP4_MOE"),
    ("Q3_K_L", "Q3_K:10 Q5_K:20", "M-Q3_K_L", "Q3_K_L"),
    ("BF16", "BF16:10 F32:3", "m-bf16", "BF16"),
    ("F16", "BF16:10 F32:3", "m-bf16", "BF16"),
    ("file type 147", "type152:10 F32:30", "M-IQ4_KSS", "IQ4_KSS"),
    ("GUESSED", "Q4_K:10 F32:30", "M-UD-Q4_K_XL", "UD-Q4_K_XL"),
    ("", "Q4_K:10 F32:30", "M-Q4_K_M", "Q4_K_M"),
    # What the file denies, or says as precisely, is not taken from its name.
    ("Q4_K_M", "Q4_K:10 F32:3", "M-Q8_0", "Q4_K_M"),
    ("Q4_K_M", "Q4_K:10 F32:30", "M-F32", "Q4_K_M"),
    ("Q4_K_M", "Q4_K:10 F32:30", "M-Q4_K_S", "Q4_K_M"),
    ("Q4_K_M", "Q4_K:10 F32:30", "M-q4_k", "Q4_K_M"),
    ("F16", "F16:10 F32:3", "m-bf16", "F16"),
    # Nothing but what is known.
    ("Q4_K_M", "Q4_K:10 F32:30", "Qwen2.5-Q4-1B", "Q4_K_M"),
    ("", "F32:30 Q4_K:10", "M", "Q4_K"),
    ("file type 147", "type152:10", "M", "file type 147"),
    ("", "", "M", "unknown"),
]


@pytest.mark.parametrize(("file_type", "mix", "name", "called"), CASES)
def test_a_file_is_called_what_its_publisher_calls_it_and_it_is(
    file_type: str, mix: str, name: str, called: str
) -> None:
    assert known_name(header(file_type, mix), name) == called
    found = WeightsFacts("f", (), 10**9, header(file_type, mix))
    entry = propose_entry(REGISTRY, Path(f"/w/{name}.gguf"), found)
    assert entry["model"]["quant"] == called and entry["description"].endswith(f", {called}")


@pytest.mark.parametrize(("file_type", "mix", "name", "called"), CASES[:18])
def test_validate_agrees_with_what_add_proposed(
    file_type: str, mix: str, name: str, called: str
) -> None:
    found = WeightsFacts("f", (), 10**9, header(file_type, mix))
    said = model("m", quant=called, size_gb=1.0)
    assert "quant" not in [finding.fact for finding in contradictions(said, found)]


def test_the_more_precise_of_the_files_and_the_models_name_is_taken() -> None:
    mix = header("Q4_K_M", "Q4_K:9", "Qwen3.5-35B-A3B-UD-Q4_K_M")
    assert known_name(mix, "model", mix.name) == "UD-Q4_K_M"
    assert known_name(mix, "qwen-Q4_K_M", mix.name) == "UD-Q4_K_M"
    split = propose_entry(
        REGISTRY, Path("/w/M-UD-Q4_K_XL-00001-of-00003.gguf"), WeightsFacts("f", (), 10**9, mix)
    )
    assert split["model"]["quant"] == "UD-Q4_K_XL"


def test_names_are_found_whole_and_the_last_first() -> None:
    assert list(named_in("a-F16-to-Q6_K_L.v2")) == ["Q6_K_L", "F16"]
    assert list(named_in("llama-P32-3B q4-k-m")) == ["Q4_K_M"]
    assert not bears_out(header("Q4_K_M", "Q4_K:9"), "UD-Q2_K_XL")
