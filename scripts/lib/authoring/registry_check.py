"""An entry of the registry against the header of its weights: what agrees, what contradicts, what the entry does not say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from scripts.lib.planning.modes import MOE, RECURRENT, full_experts
from scripts.lib.registry_loader import Model
from scripts.lib.weights.architectures import HYBRID, family, says_recurrent
from scripts.lib.weights.facts import WeightsFacts
from scripts.lib.weights.gguf_header import Header
from scripts.lib.weights.quant_names import bears_out, plain, tensor_kinds, tensor_types

# The registry rounds sizes, and writes GB where a tool showed GiB.
SIZE_TOLERANCE = 0.1
_GIB_PER_GB = 2**30 / 1e9


class HeaderVerdict(StrEnum):
    AGREES = "agrees"
    CONTRADICTS = "contradicts"
    NOT_SAID = "not said"


@dataclass(frozen=True, slots=True)
class RegistryFinding:
    """One compared fact: what the registry says, what the file says."""

    fact: str
    registry: str
    file: str
    verdict: HeaderVerdict


def _compare(fact: str, said: object, found: object, agrees: bool | None = None) -> RegistryFinding:
    if said in (None, "") or found in (None, ""):
        verdict = HeaderVerdict.NOT_SAID
    else:
        same = said == found if agrees is None else agrees
        verdict = HeaderVerdict.AGREES if same else HeaderVerdict.CONTRADICTS
    return RegistryFinding(
        fact, "" if said is None else str(said), "" if found is None else str(found), verdict
    )


def _same_quant(said: str, header: Header) -> bool:
    """True when the names agree, or the quantisation named is (with a size letter or without) a tensor type of the file."""
    wanted, named = plain(said), plain(header.quant)
    if wanted == named or (wanted in ("F16", "BF16", "F32") and named.removeprefix("B") == wanted):
        return True
    return bool(tensor_kinds(wanted) & set(tensor_types(header))) or bears_out(header, said)


def _same_architecture(said: str, header: Header) -> bool:
    """The registry speaks of families (dense, moe, ssm_moe_hybrid) or of llama.cpp's own names."""
    word = family(header.architecture, header.recurrent_key, header.expert_count)
    if says_recurrent(word):
        return said == HYBRID or (said == header.architecture and says_recurrent(said))
    return said in (word, header.architecture)


def _described(header: Header) -> str:
    """An architecture with the layers that its name may not tell of."""
    word = family(header.architecture, header.recurrent_key, header.expert_count)
    if not says_recurrent(word):
        return header.architecture
    return f"{header.architecture} (recurrent{f': {header.recurrent_key}' if header.recurrent_key else ''})"


def compare(model: Model, facts: WeightsFacts) -> Iterator[RegistryFinding]:
    """Every fact that both sides can state, in the order of the registry's keys."""
    header = facts.header
    size_gb = facts.size_bytes / 1e9
    fits = any(
        abs(size_gb / unit - model.size_gb) <= SIZE_TOLERANCE * model.size_gb
        for unit in (1.0, _GIB_PER_GB)
    )
    experts = full_experts(model) if model.architecture in MOE | RECURRENT else None
    stated = model.baseline_experts or model.acceleration.baseline_experts or experts
    same = not header.architecture or _same_architecture(model.architecture, header)
    yield _compare(
        "architecture", model.architecture, _described(header) if header.architecture else "", same
    )
    yield _compare("quant", model.quant, header.quant, _same_quant(model.quant, header))
    yield _compare("size_gb", f"{model.size_gb:g}", f"{size_gb:.3g}", fits)
    yield _compare("max_context", model.max_context, header.context_length)
    yield _compare("baseline_experts", stated, header.expert_used_count)
    yield _compare("split_count", model.split_count, header.split_count)
    yield _compare("vocab_size", model.vocab_size, header.vocab_size)
    key = model.acceleration.override_key
    wanted = f"{header.architecture}.expert_used_count" if header.expert_count else None
    yield _compare("override_key", key, wanted)
    yield _compare(
        "sha256", model.source.sha256 if model.source is not None else None, ", ".join(facts.sha256)
    )


def contradictions(model: Model, facts: WeightsFacts) -> tuple[RegistryFinding, ...]:
    """What the entry says and the file denies."""
    return tuple(
        finding for finding in compare(model, facts) if finding.verdict is HeaderVerdict.CONTRADICTS
    )
