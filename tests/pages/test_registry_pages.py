"""The registry's pages are up to date; impossible figures are struck out; quirks show a status."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
import yaml

from scripts.lib.authoring.registry_docs import PAGE_FILE, SCHEMA_FILE, json_schema, page
from scripts.lib.base.errors import InputErrors
from scripts.lib.base.templates import render
from scripts.lib.pages.model_pages import ModelsPage, QuirksPage, candidates, outcome_from_cells
from scripts.lib.planning.modes import Mode
from scripts.lib.planning.plan import Plan
from scripts.lib.registry.quirks import entries_of
from scripts.lib.registry.types import Registry
from scripts.lib.registry_loader import Quirk, load_registry
from scripts.lib.results.probe_outcomes import ProbeOutcome
from scripts.lib.results.symptoms import Symptom
from scripts.lib.tables.profile_part import ProfilePart
from scripts.lib.tables.setups import Setup
from tests.factories.plans import DRAFT, REGISTRY, model, planner
from tests.factories.table_rows import ROW

MOE_QUIRK = Quirk(
    "few_experts", "moe", "unstable", applies_to=("architecture:moe",), probe="output_not_degenerate", probe_argument="moe[123]"
)  # fmt: skip


def test_the_generated_page_and_schema_have_not_drifted() -> None:
    """`python -m scripts.registry docs` writes both."""
    assert PAGE_FILE.read_text(encoding="utf-8") == page()
    assert SCHEMA_FILE.read_text(encoding="utf-8") == json_schema()


def shipped() -> object:
    """The shipped registry as plain JSON values, its dates as text."""
    return json.loads(
        json.dumps(yaml.safe_load(REGISTRY.path.read_text(encoding="utf-8")), default=str)
    )


def test_the_schema_accepts_the_shipped_registry() -> None:
    schema = json.loads(json_schema())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(shipped(), schema)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("tier", "E"),
        ("teir", "A"),
        ("model", {"name": "x"}),
        ("acceleration", {"k": 0}),
        ("deprecated", "yes"),
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(
    tmp_path: Path, place: str, value: object
) -> None:
    raw = shipped()
    assert isinstance(raw, dict)
    raw["roles"] = {"frontdoor": {**raw["roles"]["frontdoor"], place: value}}
    file = tmp_path / "registry.yaml"
    file.write_text(yaml.safe_dump(raw))
    with pytest.raises(InputErrors, match=r"roles\.frontdoor"):
        load_registry(file)
    if (
        place != "teir"
    ):  # a misspelling is told from an orchestrator's key by its likeness: a schema cannot
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(raw, json.loads(json_schema()))


def test_the_catalogue_strikes_out_impossible_figures_and_folds_what_is_out_of_service() -> None:
    shown = render(Path("docs/templates/MODELS.md.j2"), models=ModelsPage(REGISTRY))
    assert "~~76.2x~~ (76.20x passes K + 1 = " in shown
    in_service, _, folded = shown.partition("<details>")
    for key, entry in REGISTRY.models.items():
        assert (f"`{key}`" in folded) is entry.deprecated and (
            f"`{key}`" in in_service
        ) is not entry.deprecated
    assert "recommended `moe8_spec_draft_" in in_service and "does not generate text" in in_service


def setup(symptoms: list[list[Symptom]], mode: str = "moe2", architecture: str = "moe") -> Setup:
    rows = tuple(
        replace(ROW, question_id=f"q{i}", cell_file=f"c{i}", symptoms=tuple(s))
        for i, s in enumerate(symptoms)
    )
    return Setup(
        "h", "embedded", model("m", architecture=architecture), Mode(mode), rows, len(rows)
    )


def test_symptoms_become_candidates_with_their_first_cell() -> None:
    (loop, echo) = candidates([setup([[], [Symptom.LOOP, Symptom.ECHO], [Symptom.LOOP]])])
    assert (loop.symptom, loop.cells, loop.asked, loop.first) == ("repetition loop", 2, 3, "c1")
    assert (echo.symptom, echo.cells) == ("prompt echo", 1)


def test_degenerate_answers_answer_the_quirk_that_speaks_of_their_mode() -> None:
    bad, good = setup([[Symptom.LOOP], [Symptom.ECHO]]), setup([[], []])
    found = outcome_from_cells(MOE_QUIRK, [bad])
    assert found is not None and found.holds and found.evidence.startswith("1 of 2 cells")
    clean = outcome_from_cells(MOE_QUIRK, [good])
    assert clean is not None and clean.holds is False
    assert outcome_from_cells(MOE_QUIRK, [replace(bad, mode=Mode("moe4"))]) is None
    assert outcome_from_cells(MOE_QUIRK, [setup([[]], architecture="dense")]) is None


def quirks_page(outcomes: dict[str, ProbeOutcome], *setups: Setup) -> str:
    quirks = (
        MOE_QUIRK,
        Quirk(
            "flag",
            "moe",
            "a | flag <b>",
            "use *another*",
            versions=">=1",
            probe="flag_absent",
            probe_argument="--x",
        ),
        Quirk("plain", "moe", "no probe"),
    )
    registry = Registry(
        Path("r.yaml"),
        REGISTRY.defaults,
        {},
        quirks=quirks,
        quirk_groups={"moe": "Experts", "none": ""},
    )
    plan_of = planner()
    part = ProfilePart(Plan(plan_of.hardware, plan_of.engine, (), (), (), {}), setups, {})
    return render(
        Path("docs/templates/QUIRKS.md.j2"), quirks=QuirksPage(registry, outcomes, [part])
    )


@pytest.mark.parametrize(
    ("holds", "words"),
    [(True, "**still there**"), (False, "**gone**"), (None, "unclear")],
)
def test_a_quirk_shows_its_probes_outcome(holds: bool | None, words: str) -> None:
    shown = quirks_page(
        {"flag": ProbeOutcome("flag", "flag_absent", "--x", "0.3.36", holds, "--help says")}
    )
    assert f"{words}" in shown and "with 0.3.36 (`flag_absent`: \\--help says)" in shown
    assert (
        "still there? not probed" in shown and "`output_not_degenerate` has not been run" in shown
    )
    assert "a \\| flag &lt;b&gt;" in shown and "use \\*another\\*" in shown
    assert shown.endswith("None.\n")


def test_a_quirk_without_patterns_speaks_of_the_entries_that_its_group_names() -> None:
    models = {
        key: model(key, name=name)
        for key, name in (
            ("frontdoor", "Qwen3-Coder-30B-A3B"),
            ("chat", "GLM-4.6"),
            ("coder_r1_distill", "DeepSeek-7B"),
        )
    }
    quirks = tuple(
        Quirk(f"{group}_1", group, "odd") for group in ("qwen3_coder", "glm4", "llama_server")
    )
    groups = {quirk.group: "" for quirk in quirks}
    page = QuirksPage(
        Registry(Path("r.yaml"), REGISTRY.defaults, models, quirks=quirks, quirk_groups=groups),
        {},
        [],
    )
    shown = [page.applies_to(quirk) for quirk in quirks]
    assert shown == [
        "`frontdoor`",
        "`chat`",
        "in general: no entry's name has all parts of `llama_server`",
    ]


@pytest.mark.parametrize(
    ("group", "names"),
    [
        ("qwen3", ["qwen3_8b", "next"]),
        ("qwen35", ["qwen35_2b"]),
        ("qwen3_5", ["qwen35_2b"]),
        ("qwen3_8b", ["qwen3_8b"]),
        ("qwen3_next", ["next"]),
        ("qwen2_5_coder", ["coder"]),
        ("gemma3", ["gemma"]),
        ("glm4", ["glm_46", "glm_47"]),
        ("glm_4_7", ["glm_47"]),
        ("deepseek_r1_distill", ["distill"]),
        ("deepseek_r1_0528", ["r1"]),
        ("speculative_decoding", []),
        ("__", []),
    ],
)
def test_a_groups_key_is_read_by_its_parts(group: str, names: list[str]) -> None:
    models = {
        key: model(key, name=name)
        for key, name in (
            ("qwen3_8b", "Qwen3-8B-Q8_0"), ("qwen35_2b", "Qwen3.5-2B"), ("coder", "Qwen2.5-Coder-32B-Instruct"),
            ("gemma", "gemma-3-12b-it-Q4_K_M"), ("glm_46", "GLM-4.6-Q4_K_S"), ("glm_47", "GLM-4.7-Flash"),
            ("distill", "DeepSeek-R1-Distill-Llama-8B"), ("r1", "DeepSeek-R1-0528"), ("next", "Qwen3-Next-80B-A3B"),
        )
    }  # fmt: skip
    assert list(entries_of(group, models)) == names


def test_details_are_folded_and_a_resolved_quirk_says_since_when(tmp_path: Path) -> None:
    file = tmp_path / "registry.yaml"
    file.write_text(
        "roles: {a: {tier: C, model: {name: A, path: a.gguf, quant: Q8_0, size_gb: 1, architecture: dense}}}\n"
        "runtime_quirks: {g: {quirks: [\n"
        "  {issue: one, details: 'first | line\n\n    second <b>', resolved: 2026-01-15, status: seen},\n"
        "  {issue: two, details: [x, 5], solution: upgrade}, {issue: three, details: {k: v}, resolved: true}]}}\n"
    )
    registry = load_registry(file)
    shown = render(Path("docs/templates/QUIRKS.md.j2"), quirks=QuirksPage(registry, {}, []))
    assert "- still there? **resolved**: 2026-01-15; seen\n" in shown
    assert "- still there? **resolved**: at an unknown date\n" in shown
    folded = "<details>\n<summary>Details</summary>\n\n- first \\| line\n- second &lt;b&gt;\n\n</details>\n"
    assert folded in shown and "- x\n- 5\n" in shown and "- k: v\n" in shown
    assert "what to do: upgrade" in shown


def test_candidates_name_the_quirk_that_knows_them() -> None:
    shown = quirks_page({}, setup([[Symptom.LOOP], [Symptom.ECHO]]))
    rows = [line for line in shown.splitlines() if line.startswith("| `m`")]
    assert (
        "repetition loop" in rows[0]
        and "`few_experts`" in rows[0]
        and "[cell](../../../c0)" in rows[0]
    )
    assert "prompt echo" in rows[1] and "few_experts" not in rows[1]


def test_a_mode_by_the_registrys_leave_is_marked_among_the_candidates_and_in_the_catalogue() -> (
    None
):
    looping = setup([[Symptom.LOOP]], mode="lookup_n3")
    marked = quirks_page({}, replace(looping, leave="tried *once*"), setup([[Symptom.LOOP]]))
    assert "| `m` | `lookup_n3`† |" in marked and "| `m` | `moe2` |" in marked
    assert marked.count("allows it. `m`: tried \\*once\\*") == 1
    assert "†" not in quirks_page({}, looping)
    hybrid = model(
        "hybrid",
        architecture="ssm_moe_hybrid",
        candidate_roles=("architect",),
        allow=frozenset({"speculative_decoding"}),
        constraint_reason="tried *once*",
    )
    models = {"hybrid": hybrid, DRAFT.key: DRAFT}
    catalogue = ModelsPage(replace(REGISTRY, models=models))
    (_, shown), _ = catalogue.tiers()
    assert "recommended `moe8_spec_d_k2` (recurrent; the registry allows it: tried \\*once\\*)" in (
        shown
    )
