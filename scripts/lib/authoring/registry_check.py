"""Compares an entry of the registry with the header of its weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from scripts.lib.planning.traits import by_registry
from scripts.lib.registry_loader import Model
from scripts.lib.weights.architectures import HYBRID, family, says_recurrent
from scripts.lib.weights.facts import WeightsFacts
from scripts.lib.weights.gguf_header import Header
from scripts.lib.weights.quant_names import bears_out, plain, tensor_kinds, tensor_types

# The registry rounds sizes, and writes GB where a tool showed GiB.
SIZE_TOLERANCE = 0.1
_GIB_PER_GB = 2**30 / 1e9
BY_FILE = "if the file is known, the modes follow it, else the entry"


class HeaderVerdict(StrEnum):
    """The result of comparing one fact."""

    AGREES = "agrees"
    CONTRADICTS = "contradicts"
    NOT_SAID = "not said"


@dataclass(frozen=True, slots=True)
class RegistryFinding:
    """One compared fact: what the registry says, what the file says.

    `remedy`: what to do if they contradict each other about how the model is decoded.
    """

    fact: str
    registry: str
    file: str
    verdict: HeaderVerdict
    remedy: str = ""


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
    """True if the names agree, or the file has tensors of the named type, with any size letter."""
    wanted, named = plain(said), plain(header.quant)
    if wanted == named or (wanted in ("F16", "BF16", "F32") and named.removeprefix("B") == wanted):
        return True
    return bool(tensor_kinds(wanted) & set(tensor_types(header))) or bears_out(header, said)


def _same_architecture(said: str, header: Header) -> bool:
    """The registry names a family (dense, moe, ssm_moe_hybrid) or uses llama.cpp's own name."""
    word = family(header.architecture, header.recurrent_key, header.expert_count)
    if says_recurrent(word):
        return said == HYBRID or (said == header.architecture and says_recurrent(said))
    return said in (word, header.architecture)


def _described(header: Header) -> str:
    """An architecture, with a remark on recurrent layers: its name may not show them."""
    word = family(header.architecture, header.recurrent_key, header.expert_count)
    if not says_recurrent(word):
        return header.architecture
    key = f": {header.recurrent_key}" if header.recurrent_key else ""
    return f"{header.architecture} (recurrent{key})"


def _advised(finding: RegistryFinding, right: object) -> RegistryFinding:
    """The finding with what to do; `right` is what the entry should say (empty: nothing)."""
    if finding.verdict is not HeaderVerdict.CONTRADICTS:
        return finding
    todo = f"write {finding.fact}: {right}" if right else f"take {finding.fact} out"
    return replace(finding, remedy=f"{todo}; {BY_FILE}")


def _experts(model: Model, header: Header) -> RegistryFinding:
    named = model.baseline_experts or model.acceleration.baseline_experts
    stated = named or by_registry(model).experts_used
    found: object = header.expert_used_count if header.expert_count else None
    if named and header.architecture and not header.expert_count:
        found = "no experts"
    right = header.expert_used_count if header.expert_count else ""
    return _advised(_compare("baseline_experts", stated, found), right)


def _heads(model: Model, header: Header) -> RegistryFinding:
    """A head that only the metadata has cannot draft: quantised files often lack its tensors."""
    said = model.nextn_predict_layers
    if header.nextn_layers is None:
        return _compare("nextn_predict_layers", said, None)
    missing = header.nextn_layers and not header.nextn_tensors
    found = f"0 (its metadata names {header.nextn_layers}, it has no tensors of them)"
    agrees = said == header.heads
    finding = _compare("nextn_predict_layers", said, found if missing else header.heads, agrees)
    return _advised(finding, header.heads or "")


def compare(model: Model, facts: WeightsFacts) -> Iterator[RegistryFinding]:
    """Every fact that entry and file can both state, in the order of the registry's keys."""
    header = facts.header
    size_gb = facts.size_bytes / 1e9
    fits = any(
        abs(size_gb / unit - model.size_gb) <= SIZE_TOLERANCE * model.size_gb
        for unit in (1.0, _GIB_PER_GB)
    )
    same = not header.architecture or _same_architecture(model.architecture, header)
    found = _described(header) if header.architecture else ""
    yield _advised(
        _compare("architecture", model.architecture, found, same),
        family(header.architecture, header.recurrent_key, header.expert_count),
    )
    yield _compare("quant", model.quant, header.quant, _same_quant(model.quant, header))
    yield _compare("size_gb", f"{model.size_gb:g}", f"{size_gb:.3g}", fits)
    yield _compare("max_context", model.max_context, header.context_length)
    yield _experts(model, header)
    yield _compare("split_count", model.split_count, header.split_count)
    yield _compare("vocab_size", model.vocab_size, header.vocab_size)
    yield _heads(model, header)
    key = model.acceleration.override_key
    wanted = f"{header.architecture}.expert_used_count" if header.expert_count else None
    yield _compare("override_key", key, wanted)
    yield _compare(
        "sha256", model.source.sha256 if model.source is not None else None, ", ".join(facts.sha256)
    )


def contradictions(model: Model, facts: WeightsFacts) -> tuple[RegistryFinding, ...]:
    """The facts that the file contradicts."""
    return tuple(
        finding for finding in compare(model, facts) if finding.verdict is HeaderVerdict.CONTRADICTS
    )
