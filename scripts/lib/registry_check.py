"""An entry of the registry against the header of its weights: what agrees, what contradicts, what the entry does not say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from scripts.lib.gguf_header import Header
from scripts.lib.modes import MOE, RECURRENT, full_experts
from scripts.lib.registry_loader import Model
from scripts.lib.weights import WeightsFacts

# llama.cpp's names of architectures with recurrent layers: the registry calls all but qwen3next ssm_moe_hybrid.
HYBRID_HEADERS = frozenset(
    {"qwen3next", "mamba", "mamba2", "jamba", "lfm2", "falcon-h1", "granitehybrid", "nemotron_h", "plamo2"}
)
# The registry rounds sizes, and writes GB where a tool showed GiB.
SIZE_TOLERANCE = 0.1
_GIB_PER_GB = 2**30 / 1e9


class Verdict(StrEnum):
    AGREES = "agrees"
    CONTRADICTS = "contradicts"
    NOT_SAID = "not said"


@dataclass(frozen=True, slots=True)
class Finding:
    """One compared fact: what the registry says, what the file says."""

    fact: str
    registry: str
    file: str
    verdict: Verdict


def _compare(fact: str, said: object, found: object, agrees: bool | None = None) -> Finding:
    if said in (None, "") or found in (None, ""):
        verdict = Verdict.NOT_SAID
    else:
        same = said == found if agrees is None else agrees
        verdict = Verdict.AGREES if same else Verdict.CONTRADICTS
    return Finding(fact, "" if said is None else str(said), "" if found is None else str(found), verdict)


def _quant(name: str) -> str:
    """A quantisation's name without the marks that publishers add: `UD-Q4_K_XL` and `i1-Q4_K_M` are their base type."""
    return re.sub(r"^(UD|I1)[-_]", "", name.upper()).replace("-", "_")


def _same_quant(said: str, header: Header) -> bool:
    """True when the names agree, or the quantisation named is (with a size letter or without) the commonest tensor type."""
    wanted, named = _quant(said), _quant(header.quant)
    if wanted == named or (
        wanted in ("F16", "FP16", "BF16", "F32") and named.removeprefix("B") == wanted.replace("FP", "F")
    ):
        return True
    types = {part.partition(":")[0] for part in header.quant_mix.split()}
    base = re.sub(r"_(XXS|XS|S|M|L|XL|NL)$", "", wanted)
    return base in types


def _same_architecture(model: Model, header: Header) -> bool:
    """The registry speaks of families (dense, moe, ssm_moe_hybrid) or of llama.cpp's own names."""
    said, found, experts = model.architecture, header.architecture, header.expert_count or 0
    recurrent = found in HYBRID_HEADERS
    if said == found:
        return True
    if said == "dense":
        return experts == 0 and not recurrent
    if said == "ssm_moe_hybrid":
        return recurrent
    return said == "moe" and experts > 0 and not recurrent


def compare(model: Model, facts: WeightsFacts) -> Iterator[Finding]:
    """Every fact that both sides can state, in the order of the registry's keys."""
    header = facts.header
    size_gb = facts.size_bytes / 1e9
    fits = any(abs(size_gb / unit - model.size_gb) <= SIZE_TOLERANCE * model.size_gb for unit in (1.0, _GIB_PER_GB))
    experts = full_experts(model) if model.architecture in MOE | RECURRENT else None
    stated = model.baseline_experts or model.acceleration.baseline_experts or experts
    yield _compare("architecture", model.architecture, header.architecture, _same_architecture(model, header))
    yield _compare("quant", model.quant, header.quant, _same_quant(model.quant, header))
    yield _compare("size_gb", f"{model.size_gb:g}", f"{size_gb:.3g}", fits)
    yield _compare("max_context", model.max_context, header.context_length)
    yield _compare("baseline_experts", stated, header.expert_used_count)
    yield _compare("split_count", model.split_count, header.split_count)
    yield _compare("vocab_size", model.vocab_size, header.vocab_size)
    key = model.acceleration.override_key
    wanted = f"{header.architecture}.expert_used_count" if header.expert_count else None
    yield _compare("override_key", key, wanted)


def contradictions(model: Model, facts: WeightsFacts) -> tuple[Finding, ...]:
    """What the entry says and the file denies."""
    return tuple(finding for finding in compare(model, facts) if finding.verdict is Verdict.CONTRADICTS)
