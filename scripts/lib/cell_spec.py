"""What a cell's spec holds: the weights, mode, prompt, sampling and context that can change its answer or its timing."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from scripts.lib.chat_template import DATE
from scripts.lib.config import Config
from scripts.lib.modes import Mode
from scripts.lib.prompt_loader import Question
from scripts.lib.registry_loader import Model, Registry
from scripts.lib.weights import WeightsFacts

# Raised by hand when what is measured changes (decode loop, definition of a timing): every cell is then measured again.
PROTOCOL = 1


DEFAULT_MAX_TOKENS = 512


# A longer prompt is held in the spec by its sha256: cells stay small, and the suite can give the text again.
PROMPT_IN_SPEC_CHARACTERS = 8000


@dataclass(frozen=True, slots=True)
class Weights:
    """What planning knows of one model's weights. `present`: the file is here; `fetchable`: a rule makes it.

    `projector`: those of its vision projector, for a model that reads images. `unreadable`: why a file that is there cannot
    be used; the facts are then the lock's, as for a file that is not there.
    """

    facts: WeightsFacts | None
    path: Path | None
    present: bool
    fetchable: bool
    projector: Weights | None = None
    unreadable: str = ""

    @property
    def usable(self) -> bool:
        """True when a shard with these weights can be planned and run on this machine."""
        return self.facts is not None and (self.present or self.fetchable)


def loaded_projector(weights: Weights, engine: str) -> Weights | None:
    """The vision projector that the engine loads beside these weights, where it is known."""
    known = weights.projector is not None and weights.projector.facts is not None
    return weights.projector if engine == "server" and known else None


def temperature_of(config: Config, model: Model, registry: Registry, question: Question) -> float:
    choices = (
        config.sampling.temperature,
        question.temperature,
        model.temperature_overrides.get(question.suite),
        model.temperature,
        registry.defaults.temperature,
    )
    return float(next((choice for choice in choices if choice is not None), 0.0))


def max_tokens_of(config: Config, model: Model, question: Question) -> int:
    return config.sampling.max_tokens or question.max_tokens or model.n_tokens or DEFAULT_MAX_TOKENS


def prompt_spec(question: Question, model: Model, weights: Weights) -> dict[str, Any]:
    """The prompt as sent: system and user text (a long text as sha256 and length), and whether thinking is off.

    `system_merged`: the system text goes before the user's, where the chat template knows no system role. `date`: the day that
    the chat template prints.
    """
    assert weights.facts is not None
    user = question.prompt_text()
    system = "\n".join(part for part in (question.system, model.system_prompt_suffix) if part)
    sent: dict[str, Any] = {"system": system, "thinking": question.suite not in model.thinking_disable_suites}
    if len(user) <= PROMPT_IN_SPEC_CHARACTERS:
        sent["user"] = user
    else:
        sent["user_sha256"] = sha256(user.encode()).hexdigest()
        sent["user_characters"] = len(user)
    if system and not weights.facts.header.system_role:
        sent["system_merged"] = True
    if weights.facts.header.template_date:
        sent["date"] = DATE.date().isoformat()
    if question.images:
        sent["images"] = [sha256(Path(image).read_bytes()).hexdigest() for image in question.images]
    return sent


def fingerprint_of(weights: Weights) -> str:
    """The fingerprint in a spec. Planning without one is a mistake in the code (`plan_files.hashed`), not in an input."""
    assert weights.facts is not None and weights.facts.fingerprint, f"{weights.path}: planned, but never hashed"
    return weights.facts.fingerprint


def weights_spec(model: Model, weights: Weights, engine: str) -> dict[str, Any]:
    assert weights.facts is not None
    header = weights.facts.header
    spec: dict[str, Any] = {
        "fingerprint": fingerprint_of(weights),
        "quant": model.quant,
        "architecture": header.architecture,
        "chat_template": header.chat_template_digest,
    }
    projector = loaded_projector(weights, engine)
    if projector is not None:
        spec["projector"] = fingerprint_of(projector)
    return spec


def mode_spec(
    mode: Mode, model: Model, weights: Weights, draft: Weights | None, lookup_draft_tokens: int
) -> dict[str, Any]:
    """The mode with its names resolved: the override's key and count, the draft's fingerprint, n-gram sizes."""
    assert weights.facts is not None
    spec: dict[str, Any] = {}
    if mode.experts is not None:
        key = model.acceleration.override_key or f"{weights.facts.header.architecture}.expert_used_count"
        spec |= {"experts": mode.experts, "override_key": key}
    if draft is not None:
        spec |= {"draft": fingerprint_of(draft), "k": mode.k}
    if mode.lookup_n is not None:
        spec |= {"lookup_n": mode.lookup_n, "lookup_draft_tokens": lookup_draft_tokens}
    return spec


def context_spec(config: Config, weights: Weights) -> dict[str, Any]:
    assert weights.facts is not None
    trained = weights.facts.header.context_length
    length = min(config.context.length_tokens, trained) if trained else config.context.length_tokens
    return {
        "length_tokens": length,
        "batch_tokens": config.context.batch_tokens,
        "micro_batch_tokens": config.context.micro_batch_tokens,
        "flash_attention": config.context.flash_attention,
        "kv_type_k": config.context.kv_type_k,
        "kv_type_v": config.context.kv_type_v,
    }
