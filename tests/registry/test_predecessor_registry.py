"""The predecessor's registries: every shape that they have loads, and means what it meant there."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from scripts.lib.authoring.registry_docs import json_schema
from scripts.lib.authoring.registry_edit import with_entry
from scripts.lib.base.errors import BenchError, InputErrors
from scripts.lib.base.templates import render
from scripts.lib.base.yaml_fields import carried_notice
from scripts.lib.base.yaml_file import read_yaml
from scripts.lib.execution.launch_command import cli_line
from scripts.lib.executor import load_settings
from scripts.lib.pages.model_pages import ModelsPage, QuirksPage
from scripts.lib.planning.disk import for_model, load_planner
from scripts.lib.planning.modes import expand_modes
from scripts.lib.planning.plan import Planner, find_shard, make_plan
from scripts.lib.registry.types import Registry
from scripts.lib.registry_loader import load_registry
from scripts.lib.results.states import orphans
from scripts.lib.settings.run_config import load_config
from tests.factories.commands import call

pytestmark = pytest.mark.slow

DATA = Path("tests/data/predecessor/registry")
EVERY, TWICE, NAMES = DATA / "every_shape.yaml", DATA / "said_twice.yaml", DATA / "names_only.yaml"


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry(EVERY)


@pytest.fixture(scope="module")
def planner() -> Planner:
    config = replace(load_config((Path("config/full.yaml"),)), registry=EVERY, engines=("server",))
    return load_planner(config, assume_present=True, hardware="epyc-9655")


def recommended(registry: Registry, key: str) -> str | None:
    return expand_modes(registry.models[key], registry.models).recommended


MEANT: dict[str, Callable[[Registry], bool]] = {
    "n_tokens: -1 is no limit, so not said": lambda r: r.models["frontdoor"].n_tokens is None,
    "what stands beside n_tokens counts": lambda r: r.models["frontdoor"].temperature == 0.3,
    "a nested alternative": lambda r: (
        r.models["worker_summarize"].acceleration.alternatives[0].k == 8
    ),
    "draft_max is k": lambda r: r.models["architect_by_name"].acceleration.k == 24,
    "ngram_lookup is prompt_lookup": lambda r: (
        r.models["worker_summarize"].acceleration.type == "prompt_lookup"
    ),
    "context_length is max_context": lambda r: r.models["frontdoor"].max_context == 131072,
    "mmproj is mmproj_path": lambda r: (
        r.projector_path(r.models["vision"]) == Path("/srv/weights/below/../vl/mmproj.gguf")
    ),
    "baseline_experts: 0 is not said": lambda r: (
        r.models["architect_by_name"].baseline_experts is None
    ),
    "nor of an acceleration": lambda r: (
        r.models["worker_summarize"].acceleration.baseline_experts is None
    ),
    "a path leads out of the base folder": lambda r: (
        r.weights_path(r.models["architect"])
        == Path("/srv/weights/below/../../other/Stub-70B-Q4_K_M.gguf")
    ),
    "a missing architecture is dense": lambda r: r.models["reasoner"].architecture == "dense",
    "tier X is deprecated": lambda r: (
        r.models["gone"].deprecated and "deleted" in r.models["gone"].deprecated_reason
    ),
    "draft_path finds the entry with that file": lambda r: (
        r.models["architect"].acceleration.draft_role == "draft_stub"
    ),
    "its k is the recommended one": lambda r: recommended(r, "architect") == "spec_draft_stub_k16",
    "draft_model finds the entry of that model": lambda r: (
        r.models["architect_by_name"].acceleration.draft_role == "draft_stub"
    ),
    "and its k is recommended": lambda r: (
        recommended(r, "architect_by_name") == "spec_draft_stub_k24"
    ),
    "without the draft's entry, k still is": lambda r: (
        recommended(r, "architect_without_its_draft") == "spec_draft_stub_q8_k16"
    ),
    "override_key: null is not said": lambda r: (
        r.models["frontdoor"].acceleration.override_key is None
    ),
    "disable_suites": lambda r: (
        r.models["reasoner"].thinking_disable_suites
        == frozenset({"agentic", "instruction_precision"})
    ),
    "a temperature of a suite": lambda r: (
        r.models["reasoner"].temperature_overrides == {"math": 0.1}
    ),
    "launch_quirks are kept as they are": lambda r: (
        r.models["frontdoor"].launch_quirks["thinking_tags"] == "<think>"
    ),
    "the server's startup time": lambda r: r.defaults.server_startup_timeout_s == 600,
    "a reported figure that is text": lambda r: (
        r.models["frontdoor"].performance["acceptance_rate"] == "0.42-0.81"
    ),
    "a quirk's details": lambda r: len(r.quirks[0].details) == 2,
    "a quirk that is resolved": lambda r: r.quirks[1].resolved == "2026-01-15",
    "solution is workaround": lambda r: r.quirks[0].workaround == "use the transplanted draft",
}


@pytest.mark.parametrize("shape", MEANT)
def test_a_shape_means_what_it_meant(registry: Registry, shape: str) -> None:
    assert MEANT[shape](registry)


CARRIED = {
    "roles.<key>.acceleration.optimized_tps": 172.4,
    "roles.<key>.acceleration.best_for": ["summaries"],
    "roles.<key>.acceleration.p_split": 0.3,
    "roles.<key>.acceleration.temperature": 0.7,
    "roles.<key>.acceleration.spec_type": "draft",
    "roles.<key>.acceleration.ngram_result": "no gain: 0.98x",
    "roles.<key>.model.previous_model": "Stub2-Coder-32B",
    "roles.<key>.model.total_experts": 128,
    "roles.<key>.model.active_params": "3.3B",
    "roles.<key>.model.total_params": "30B",
    "roles.<key>.model.effective_params": {"dense": 9.5, "note": "geometric mean"},
    "roles.<key>.model.modalities": ["text", "code"],
    "roles.<key>.a_key_of_tomorrow": {"x": 1},
    "roles.<key>.thinking_quirks.reason": "it thinks too long",
    "runtime_defaults.server_defaults.port": 8200,
    "runtime_defaults.timeouts.server_start": "about ten minutes",
    "runtime_defaults.paged_attention": {"block_size": 64, "enabled": True},
    "runtime_quirks.<group>.severity": "high",
    "runtime_quirks.<group>.quirks[].reported_by": ["a", "b"],
    "the file.made_up_by_somebody": 1,
}


@pytest.mark.parametrize("place", CARRIED)
def test_what_nobody_acts_on_is_carried_through_untouched(registry: Registry, place: str) -> None:
    (found,) = [item for item in registry.carried if f"{item.section}.{item.key}" == place]
    assert found.value == CARRIED[place]
    assert EVERY.read_text().splitlines()[(found.line or 0) - 1].count(found.key) == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("spec_type: draft", "draft_min: 2"),  # two edits from draft_max, and a key of its own
        ("spec_type: draft", "ngram_max: 4"),
        ("reason: measured once", "batch_size: 4096"),
        ("modalities: [text, code]", "license: apache"),
        ("port: 8200", "batch_size: 2048"),
    ],
)
def test_a_known_key_is_no_misspelling_however_near(tmp_path: Path, old: str, new: str) -> None:
    assert old in EVERY.read_text()
    file = tmp_path / "registry.yaml"
    file.write_text(EVERY.read_text().replace(old, new, 1))
    assert any(item.key == new.partition(":")[0] for item in load_registry(file).carried)


def test_it_is_named_in_one_line(registry: Registry) -> None:
    notice = carried_notice(registry.carried)
    assert "\n" not in notice and "roles.<key>.model.total_experts (line 41)" in notice
    assert notice.count("memory") == 1 and carried_notice(()) == ""
    assert not any("carried" in str(warning) for warning in registry.warnings)


def test_every_shape_loads_with_warnings_only(registry: Registry) -> None:
    assert not registry.left_out
    told = [
        str(warning).partition("every_shape.yaml:")[2].partition(": ")[2]
        for warning in registry.warnings
    ]
    for message in (
        "roles.reasoner.model.architecture: is missing: dense is assumed",
        "roles.architect_without_its_draft.acceleration.draft_path: no entry has the file "
        "'drafts/nowhere.gguf', so no draft",
    ):
        assert message in told
    lenient = ("context_limits", "constraints", "paged_attention", "server_defaults", "timeouts")
    assert not [text for text in told if "draft_path" not in text and "architecture" not in text
                and not any(part in text for part in lenient)]  # fmt: skip


def test_the_schema_accepts_what_loads() -> None:
    value = json.loads(json.dumps(read_yaml(EVERY).value, default=str))
    jsonschema.validate(value, json.loads(json_schema()))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "draft_max: 24",
            "draft_mx: 24",
            "every_shape.yaml:82: roles.architect_by_name.acceleration.draft_mx: unknown key",
        ),
        (
            "disable_trick:",
            "disable_trik:",
            "roles.reasoner.thinking_quirks.disable_trik: unknown key; did you mean",
        ),
        (
            "block_size: 64, reason",
            "block_sise: 64, reason",
            "roles.frontdoor.paged_attention.block_sise: unknown key",
        ),
        (
            "ubatch_size: 8192",
            "ubatchsize: 8192",
            "server_defaults.ubatchsize: unknown key; did you mean 'ubatch_size'?",
        ),
        (
            "n_tokens: -1",
            "n_token: -1",
            "generation_defaults.n_token: unknown key; did you mean 'n_tokens'?",
        ),
        (
            "ubatch_size: many",
            "ubatc_size: 1",
            "constraints.ubatc_size: unknown key; did you mean 'ubatch_size'?",
        ),
        (
            "quirks:\n      - issue: BOS",
            "quirk:\n      - issue: BOS",
            "runtime_quirks.stub3_coder.quirk: unknown key",
        ),
    ],
)
def test_a_misspelt_key_that_is_acted_on_is_an_error(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    text = EVERY.read_text()
    assert text.count(old) == 1
    file = tmp_path / "every_shape.yaml"
    file.write_text(text.replace(old, new))
    with pytest.raises(InputErrors) as caught:
        load_registry(file)
    assert message in str(caught.value)


def test_two_names_of_one_key_that_differ_are_told(tmp_path: Path) -> None:
    file = tmp_path / "registry.yaml"
    file.write_text(
        EVERY.read_text().replace(
            "context_length: 131072", "context_length: 131072\n      max_context: 4096"
        )
    )
    registry = load_registry(file)
    assert registry.models["frontdoor"].max_context == 4096
    assert any(
        "model.context_length: is ignored: max_context is given too" in str(w)
        for w in registry.warnings
    )


def test_an_older_name_with_a_value_of_another_kind_is_told_and_leaves_the_entry(
    tmp_path: Path,
) -> None:
    file = tmp_path / "registry.yaml"
    file.write_text(EVERY.read_text().replace("context_length: 131072", "context_length: 128K"))
    registry = load_registry(file)
    assert registry.models["frontdoor"].max_context is None
    said = "registry.yaml:39: roles.frontdoor.model.context_length: expected a whole number "
    said = f"{said}of at least 1, found '128K'"
    assert any(said in str(warning) for warning in registry.warnings)


def test_of_two_entries_of_one_key_the_last_counts() -> None:
    registry = load_registry(TWICE)
    small = registry.models["small"]
    assert (small.tier, small.path, small.line, list(registry.models)) == (
        "B",
        "last.gguf",
        13,
        ["small", "other"],
    )
    assert (
        f"{TWICE}:13: roles.small: is there twice, on lines 3 and 13: the last one counts"
        in map(str, registry.warnings)
    )
    with pytest.raises(BenchError, match=r"said_twice\.yaml:13: found duplicate key \"small\""):
        with_entry(TWICE, "new", {})


def test_a_key_twice_elsewhere_stays_an_error(tmp_path: Path) -> None:
    file = tmp_path / "registry.yaml"
    file.write_text(
        TWICE.read_text().replace(
            "    description: last", "    description: last\n    description: again"
        )
    )
    with pytest.raises(
        InputErrors, match=r":16: roles\.small\.description: duplicate key \(first on line 15\)"
    ):
        load_registry(file)


def test_an_entry_without_a_model_is_left_out_by_name() -> None:
    registry = load_registry(TWICE)
    ((problem,),) = registry.left_out.values()
    assert (
        str(problem) == f"{TWICE}:12: roles.named_only: has no `model`, so nothing to run "
        "(it has model_role, tier)"
    )


def test_a_registry_of_names_only_says_that_nothing_is_left() -> None:
    with pytest.raises(InputErrors) as caught:
        load_registry(NAMES)
    lines = str(caught.value).splitlines()
    assert len(lines) == 4 and lines[0].startswith(
        f"{NAMES}:2: roles: none of the 3 entries can be used"
    )


def test_the_tools_name_what_is_left_out_and_go_on(tmp_path: Path) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text(f"registry: {Path(TWICE).resolve()}\n")
    checked = call("scripts.validate", "--registry", TWICE)
    assert (
        checked.returncode == 1
        and "left out: " in checked.stderr
        and "2 entries (1 left out)" in checked.stdout
    )
    assert (
        "notice: keys that are not used here: "
        in call("scripts.validate", "--registry", EVERY).stderr
    )
    planned = call(
        "scripts.plan", "--registry", TWICE, "--assume-present", "--hardware", "epyc-9655"
    )
    assert (
        planned.returncode == 1
        and "roles.named_only: has no `model`" in planned.stderr
        and "small" in planned.stdout
    )
    for done in (
        call("scripts.registry", "--configfile", config, "show", "named_only"),
        call("scripts.validate", "--registry", NAMES),
    ):
        assert (
            done.returncode == 1
            and "has no `model`" in done.stderr
            and "Traceback" not in done.stderr
        )


def test_show_tells_values_with_their_sources_and_what_is_carried_through(tmp_path: Path) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text(f"registry: {EVERY.resolve()}\n")
    told = call("scripts.registry", "--configfile", config, "show", "architect").stdout
    assert "draft_stub" in told and "found by /mnt/elsewhere/drafts/Stub-1B-Q4_0.gguf" in told
    assert "recommended: spec_draft_stub_k16" in told
    told = call("scripts.registry", "--configfile", config, "show", "frontdoor").stdout
    assert (
        "model.total_experts" in told
        and "line 41" in told
        and "stub3_coder_1" in told
        and "jinja_required" in told
    )
    told = call("scripts.registry", "--configfile", config, "show", "reasoner").stdout
    assert "warning: " in told and "dense is assumed" in told


def test_show_tells_who_says_the_runtime_values(tmp_path: Path) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text(f"registry: {EVERY.resolve()}\n")
    shown = call(
        "scripts.registry", "--configfile", config, "show", "frontdoor"
    ).stdout.splitlines()
    told = {line.split("  ")[0]: line for line in shown}
    assert (
        "131072" in told["length_tokens"]
        and "roles.frontdoor.model.max_context" in told["length_tokens"]
    )
    assert (
        "8192" in told["micro_batch_tokens"]
        and "runtime_defaults.server_defaults.ubatch_size" in told["micro_batch_tokens"]
    )
    assert (
        "True" in told["flash_attention"]
        and "server_defaults.flash_attention" in told["flash_attention"]
    )
    assert "0.3" in told["temperature"] and "generation_defaults.temperature" in told["temperature"]
    assert (
        "qwen3moe.expert_used_count" in told["override key"]
        and "as the predecessor had it" in told["override key"]
    )


@pytest.mark.parametrize(
    "message",
    [
        "roles.frontdoor.constraints.flash_attention: expected true, false or auto, found "
        "'sometimes': it is ignored",
        "roles.frontdoor.constraints.ubatch_size: expected a whole number of at least 1, "
        "found 'many': it is ignored",
        "runtime_defaults.context_limits.old: expected a whole number of at least 1, "
        "found 'plenty': it is ignored",
    ],
)
def test_a_shared_value_of_another_kind_is_told_and_refuses_nothing(
    registry: Registry, message: str
) -> None:
    assert any(message in str(warning) for warning in registry.warnings)


def test_runtime_values_are_read(registry: Registry) -> None:
    defaults, frontdoor = registry.defaults, registry.models["frontdoor"]
    assert (
        defaults.flash_attention,
        defaults.micro_batch_tokens,
        defaults.server_context_tokens,
    ) == (
        True,
        8192,
        65536,
    )
    assert (defaults.context_limits, defaults.cell_timeout_s) == (
        {"default": 8192, "stub3": 40960},
        180,
    )
    assert (frontdoor.paged_attention_tokens, frontdoor.baseline_tokens_per_s) == (64, 29.28)
    assert registry.models["reasoner"].thinking_disable_trick == "<think>\n</think>\n"


def test_an_override_key_without_a_file_is_the_predecessors(planner: Planner) -> None:
    made = for_model(planner, "architect_moe", "server")
    shard = find_shard(make_plan(made), "architect_moe", "moe6")
    assert load_settings(shard, check=False).override_key == "qwen3moe.expert_used_count"


def test_an_entry_that_is_left_out_may_be_asked_for_and_hides_no_orphans(tmp_path: Path) -> None:
    config = replace(load_config(), registry=TWICE)
    asked = load_planner(replace(config, models=("named_only", "small")), assume_present=True)
    assert [fault.place for fault in asked.faults] == ["roles.named_only"]
    assert {shard.model.key for shard in make_plan(asked).shards} == {"small"}
    assert not load_planner(replace(config, models=("small",)), assume_present=True).faults
    with pytest.raises(BenchError, match=r"cannot list orphans: .*: named_only"):
        orphans(config)


def test_the_pages_are_made_of_it(registry: Registry) -> None:
    quirks = render(Path("docs/templates/QUIRKS.md.j2"), quirks=QuirksPage(registry, {}, []))
    assert "- applies to: `frontdoor`\n" in quirks and "**resolved**: 2026-01-15" in quirks
    assert (
        "in general: no entry's name has all parts of `llama_server`" in quirks
        and "- The first token is a comma.\n" in quirks
    )
    models = render(Path("docs/templates/MODELS.md.j2"), models=ModelsPage(registry))
    assert (
        "`gone`" in models.partition("<details>")[2]
        and "recommended `spec_draft_stub_k16`" in models
    )


@pytest.mark.parametrize(
    ("template", "model", "mode", "words"),
    [
        ("baseline", "architect", "baseline", "/srv/bin/llama-cli -m"),
        ("speculative_decoding", "architect", "spec_draft_stub_k16", "--draft-max 16 -t 96"),
        ("moe_expert_reduction", "frontdoor", "moe6", "expert_used_count=int:6"),
        ("prompt_lookup", "worker_summarize", "lookup_n3", "/srv/bin/llama-lookup -m"),
        ("vision", "vision", "baseline", "--mmproj /srv/weights/below/../vl/mmproj.gguf"),
        ("server_start", "architect", "baseline", "--port 9000 -c "),
        ("server_start_moe", "frontdoor", "moe6", "--port 9000 --override-kv "),
    ],
)
def test_each_of_the_old_templates_renders(
    planner: Planner, template: str, model: str, mode: str, words: str
) -> None:
    made = for_model(planner, model, "server")
    shard = find_shard(make_plan(made), model, mode)
    settings = load_settings(shard, check=False)
    line = cli_line(made, shard, settings, template, 9000)
    assert words in " ".join(shlex.split(line.replace("\\\n", " "))) and "{" not in line
    if not template.startswith("server"):
        assert line == cli_line(made, shard, settings, None, 9000)
