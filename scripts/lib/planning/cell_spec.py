"""A cell's spec: everything that can change its answer or its timing."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from scripts.lib.base.file_hashing import sha256_of
from scripts.lib.planning.modes import Mode
from scripts.lib.planning.runtime_values import context_settings
from scripts.lib.prompts.loader import Question
from scripts.lib.registry_loader import Model, Registry
from scripts.lib.settings.run_config import Config, Decoding
from scripts.lib.settings.speculators import BY_NAME, DRAFTING, MTP, SIMPLE_DRAFT, knobs_of
from scripts.lib.weights.chat_template import DATE
from scripts.lib.weights.facts import ASSUMED, WeightsFacts

# Raise it when what is measured changes (decode loop, definition of a timing): then every cell is
# measured again.
PROTOCOL = 1
# `thinking` in a spec where the registry wants it off, but neither the template nor the entry has a
# way to do so.
NOT_DISABLED = "could not be disabled"
# The predecessor used this architecture in the key of every MoE model whose entry names no key.
PREDECESSORS_MOE = "qwen3moe"
# The spec holds the sha256 of a longer prompt: cells stay small, and the suite has the text.
PROMPT_IN_SPEC_CHARACTERS = 8000


@dataclass(frozen=True, slots=True)
class Weights:
    """One model's weights, as planning knows them.

    `present`: the file is on this machine. `fetchable`: a rule makes it. `projector`: the weights
    of the vision projector. `unreadable`: why a file on this machine cannot be used; `facts` are
    then those of the lock, as for a file that is not here.
    """

    facts: WeightsFacts | None
    path: Path | None
    present: bool
    fetchable: bool
    projector: Weights | None = None
    unreadable: str = ""

    @property
    def usable(self) -> bool:
        """True where a shard with these weights can be planned and run on this machine."""
        return self.facts is not None and (self.present or self.fetchable)


def loaded_projector(weights: Weights, engine: str) -> Weights | None:
    """The vision projector that the engine loads with these weights, where it is known."""
    known = weights.projector is not None and weights.projector.facts is not None
    return weights.projector if engine == "server" and known else None


def thinking_spec(question: Question, model: Model, weights: Weights) -> dict[str, Any]:
    """Whether the model may think before it answers, and how the registry's wish is enforced.

    By the entry's trick (`prefill`: the beginning of the answer), else by the switch of the chat
    template, else not at all.
    """
    assert weights.facts is not None
    if question.suite not in model.thinking_disable_suites:
        return {"thinking": True}
    if model.thinking_disable_trick:
        return {"thinking": False, "prefill": model.thinking_disable_trick}
    return {"thinking": False if weights.facts.header.thinking_switch else NOT_DISABLED}


def _sent_text(name: str, text: str) -> dict[str, Any]:
    """A text, or the sha256 and the length of a long one."""
    if len(text) <= PROMPT_IN_SPEC_CHARACTERS:
        return {name: text}
    return {f"{name}_sha256": sha256(text.encode()).hexdigest(), f"{name}_characters": len(text)}


def turns_spec(question: Question) -> list[dict[str, Any]]:
    """The messages before the prompt, each by its role, as the prompt itself is by `user`."""
    return [_sent_text(turn.role, turn.content) for turn in question.turns]


def prompt_spec(
    question: Question, model: Model, weights: Weights, system_suffix: bool = False
) -> dict[str, Any]:
    """The prompt as sent: system and user text (a long text as sha256 and length), and thinking.

    `turns` are the messages before it. `system_suffix`: add the entry's `system_prompt_suffix`. In
    the spec, `system_merged` means that the system text is put before the user's first one, as the
    chat template has no system role. `date` is the day that the chat template prints.
    """
    assert weights.facts is not None
    user = question.prompt_text()
    suffix = model.system_prompt_suffix if system_suffix else ""
    system = "\n".join(part for part in (question.system, suffix) if part)
    sent: dict[str, Any] = {"system": system, **thinking_spec(question, model, weights)}
    sent |= _sent_text("user", user)
    if question.turns:
        sent["turns"] = turns_spec(question)
    if system and not weights.facts.header.system_role:
        sent["system_merged"] = True
    if weights.facts.header.template_date:
        sent["date"] = DATE.date().isoformat()
    if question.images:
        sent["images"] = [sha256_of(Path(image)) for image in question.images]
    return sent


def fingerprint_of(weights: Weights) -> str:
    """The fingerprint for a spec. A missing one is a fault of the code (see `disk.hashed`)."""
    assert weights.facts is not None and weights.facts.fingerprint, (
        f"{weights.path}: planned, but never hashed"
    )
    return weights.facts.fingerprint


def weights_spec(model: Model, weights: Weights, engine: str) -> dict[str, Any]:
    """The weights by fingerprint, with their quantisation, architecture, template and projector."""
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


def override_key(model: Model, weights: Weights) -> str:
    """The metadata key of the active experts: the registry's, else the file's own.

    Without a file, the predecessor's.
    """
    assert weights.facts is not None
    if model.acceleration.override_key is not None:
        return model.acceleration.override_key
    assumed = weights.facts.fingerprint == ASSUMED
    return f"{PREDECESSORS_MOE if assumed else weights.facts.header.architecture}.expert_used_count"


def draft_kind(draft: Weights) -> str:
    """The speculator that a draft's file is made for."""
    return draft.facts.header.draft_kind if draft.facts is not None else SIMPLE_DRAFT


def _changed(name: str, decoding: Decoding) -> dict[str, Any]:
    """The settings of a draft or head that are not at their defaults."""
    knobs = BY_NAME[name].knobs
    found = knobs_of(name, decoding.speculators)
    return {key: value for key, value in found.items() if value != knobs[key].default}


def mode_spec(
    mode: Mode, model: Model, weights: Weights, draft: Weights | None, decoding: Decoding
) -> dict[str, Any]:
    """The mode, resolved: key and count of the override, the draft's fingerprint, n-gram sizes.

    A draft's settings are in it where they are not at their defaults, and so is its kind.
    """
    assert weights.facts is not None
    spec: dict[str, Any] = {}
    if mode.experts is not None:
        spec |= {"experts": mode.experts, "override_key": override_key(model, weights)}
    if draft is not None:
        kind = draft_kind(draft)
        spec |= {"draft": fingerprint_of(draft), "k": mode.k}
        spec |= {"draft_kind": kind} if kind != SIMPLE_DRAFT else {}
        changed = _changed(kind, decoding)
        spec |= {DRAFTING: changed} if changed else {}
    if mode.mtp:
        spec[MTP] = {"k": mode.k, **_changed(MTP, decoding)}
    if mode.lookup_n is not None:
        spec |= {"lookup_n": mode.lookup_n, "lookup_draft_tokens": decoding.lookup_draft_tokens}
    if mode.ngram:
        spec[mode.ngram] = knobs_of(mode.ngram, decoding.speculators)
    return spec


def context_spec(
    config: Config, registry: Registry, model: Model, weights: Weights
) -> dict[str, Any]:
    """The settings of the context: sizes in tokens, attention kernel, types of the KV cache."""
    assert weights.facts is not None
    settings = context_settings(config, registry, model, weights.facts.header.context_length)
    return {name: setting.value for name, setting in settings.items()}
