"""Snakemake on tiny models: what is built, what an edit rebuilds, and what it does not."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections import Counter

from scripts.lib.base.layout import PAGES, PICTURE_NAMES, TABLE_NAMES
from tests.factories.tiny_project import CELLS, Project

BASELINE_A, LOOKUP_A = ("tiny_a", "baseline"), ("tiny_a", "lookup_n3")
BASELINE_B, LOOKUP_B = ("tiny_b", "baseline"), ("tiny_b", "lookup_n3")


def test_results_are_built_and_then_there_is_nothing_to_do(finished: Project) -> None:
    assert len(finished.cells()) == CELLS
    assert finished.pending() == {}
    again = finished.snakemake("results")
    assert "Nothing to be done" in again.stdout + again.stderr
    assert "left out (weights are not on this machine): elsewhere" in again.stderr
    assert not list((finished.folder / "benchmarks/results/cells").rglob(".partial*"))


def test_the_report_shows_models_modes_and_what_was_left_out(template: Project) -> None:
    report = template.report
    for text in (
        "`tiny_a`",
        "`tiny_b`",
        "`lookup_n3`",
        "cells: 16 of 16 planned",
        "weights are not on this machine",
    ):
        assert text in report
    left_out = report.split("### Stale, missing, left out")[1]
    assert "`elsewhere`" in left_out


def test_rebuilding_tables_and_report_gives_the_same_bytes(finished: Project) -> None:
    pages, results = finished.folder / "docs/reference", finished.folder / "benchmarks/results"
    files = [
        *pages.rglob("*.*"),
        *(results / "tables").glob("*.csv"),
        results / "reviews/summary.csv",
    ]
    kinds = Counter(file.suffix for file in files)
    pictures, tables = len(PICTURE_NAMES), len(TABLE_NAMES) + 1
    assert kinds == {".md": len(PAGES), ".html": 1, ".svg": pictures, ".csv": tables}
    before = [file.read_bytes() for file in files]
    for file in files:
        file.unlink()
    cells = finished.cells()
    finished.results()
    assert [file.read_bytes() for file in files] == before
    assert finished.cells() == cells


def test_the_report_shows_its_pictures_and_links_lead_somewhere(template: Project) -> None:
    folder = template.folder / "docs/reference/benchmarks"
    shown = re.findall(r"!\[[^]]+\]\(([^)]+)\)", template.report)
    assert len(shown) == 5 and all((folder / picture).is_file() for picture in shown)
    links = re.findall(r"\]\((\.\./[^)#]+)", template.report)
    made = [link for link in links if "/benchmarks/results/" in link]
    assert len(made) > 15 and all((folder / link).exists() for link in made)


def test_a_template_can_be_edited(finished: Project) -> None:
    finished.edit("docs/templates/results/models.md.j2", "### Models", "### All models")
    dry = finished.snakemake("-n", "results", "--verbose")
    assert re.search(r"^render +1$", dry.stdout, re.M) and "infer_" not in dry.stdout
    done = finished.call("scripts.render", "docs/reference/benchmarks/RESULTS.md")
    assert done.returncode == 0, done.stderr
    assert "### All models" in finished.report and "### Models" not in finished.report


def test_summary_has_the_predecessors_columns(template: Project) -> None:
    rows = list(csv.DictReader((template.folder / "benchmarks/results/reviews/summary.csv").open()))
    assert list(rows[0])[:11] == [
        *(
            "model",
            "thinking",
            "general",
            "math",
            "agentic",
            "coder",
            "instruction_precision",
            "long_context",
            "vl",
        ),
        *("total", "pct_str"),
    ]
    assert [row["model"] for row in rows] == ["a", "b"]
    assert all(row["lookup_n_results"].startswith("n3:") for row in rows)


def test_every_review_starts_with_the_predecessors_columns(template: Project) -> None:
    reviews = list((template.folder / "benchmarks/results/reviews").glob("*/*/*.csv"))
    assert len(reviews) == 4
    for review in reviews:
        header = review.read_text().splitlines()[0]
        assert header.startswith("suite,question_id,tokens_per_second,claude_score,score_reason,")


def test_a_run_leaves_its_record(template: Project) -> None:
    runs = list((template.folder / "benchmarks/results/runs").iterdir())
    assert len(runs) == 1
    rows = [json.loads(line) for line in (runs[0] / "output.jsonl").read_text().splitlines()]
    assert len(rows) == CELLS and {row["status"] for row in rows} == {"ok"}
    assert json.loads((runs[0] / "config.json").read_text())["engines"] == ["embedded"]
    assert f"Outcome: finished. Cells run: {CELLS}." in (runs[0] / "summary.md").read_text()


def test_one_models_temperature_reruns_its_cells_only(finished: Project) -> None:
    old = "    description: first\n"
    finished.edit(finished.registry, old, f"{old}    generation_defaults: {{temperature: 0.7}}\n")
    assert finished.pending() == {BASELINE_A: 4, LOOKUP_A: 4}
    dry = finished.snakemake("-n", "results", "--verbose")
    named = [
        line
        for line in dry.stdout.splitlines()
        if "Missing output files: benchmarks/results/cells" in line
    ]
    assert len(named) == 2 and all("/tiny_a/" in line and "/tiny_b/" not in line for line in named)


def test_one_prompts_text_reruns_that_question_only(finished: Project) -> None:
    finished.edit(
        "benchmarks/prompts/v1/one.yaml", "prompt: Is water wet?", "prompt: Is water very wet?"
    )
    assert finished.pending() == {BASELINE_A: 1, LOOKUP_A: 1, BASELINE_B: 1, LOOKUP_B: 1}
    before = finished.cells()
    finished.made("results_suite_one", "--config", 'models=["tiny_a"]')
    new = set(finished.cells()) - set(before)
    assert len(new) == 2 and all("/one/q1." in name for name in new)


def test_a_sampling_setting_reruns_all_and_reverting_none(finished: Project) -> None:
    finished.edit("config/config.yaml", "top_p: 1.0", "top_p: 0.9")
    assert sum(finished.pending().values()) == CELLS
    finished.edit("config/config.yaml", "top_p: 0.9", "top_p: 1.0")
    assert finished.pending() == {}


def test_comments_order_descriptions_and_criteria_rerun_no_inference(finished: Project) -> None:
    """Edited criteria are scored again."""
    folder = finished.folder / "benchmarks/results/reviews/tiny/tiny_a"
    before, cells = set(folder.iterdir()), finished.cells()
    assert len(before) == 2
    finished.edit(finished.registry, "roles:", "# a comment\nroles:")
    finished.edit(finished.registry, "description: first", "description: another text")
    finished.edit(
        finished.registry,
        "    tier: C\n    description: second\n",
        "    description: second\n    tier: C\n",
    )
    finished.edit("benchmarks/prompts/v1/one.yaml", "criterion: says yes", "criterion: agrees")
    finished.edit("benchmarks/prompts/v1/two.yaml", "- 'yes'", "- zebra")
    assert finished.pending() == {}
    finished.made("results_tiny_a")
    assert finished.cells() == cells
    assert len(set(folder.iterdir()) - before) == 2


def test_without_snakemakes_own_notes_nothing_reruns_and_nothing_is_hidden(
    finished: Project,
) -> None:
    shutil.rmtree(finished.folder / ".snakemake")
    before = finished.cells()
    finished.results()
    assert finished.cells() == before
    gone = sorted(before)[3]
    (finished.folder / "benchmarks/results/cells" / gone).unlink()
    shutil.rmtree(finished.folder / ".snakemake")
    dry = finished.snakemake("-n", "results", "--verbose")
    assert gone in dry.stdout
    finished.made("results_tiny_a")
    after = finished.cells()
    assert set(after) == set(before)
    assert {name for name in before if after[name] != before[name]} == {gone}


def test_a_removed_model_leaves_the_report(finished: Project) -> None:
    finished.edit("config/config.yaml", "models:\n- '*'", "models:\n- tiny_b")
    finished.results()
    assert "not selected by config.models: `tiny_a`" in finished.report
    assert "| `tiny_a`" not in finished.report
    finished.edit("config/config.yaml", "models:\n- tiny_b", "models:\n- '*'")
    again = finished.snakemake("-n", "results", "--verbose").stdout
    assert all(re.search(rf"^{rule} +1$", again, re.M) for rule in ("tabulate", "render"))


def test_plan_prints_shards_and_exclusions(template: Project) -> None:
    with_all = ("--format", "json", "--assume-present")
    shown = template.call("scripts.plan", *with_all)
    rows = json.loads(shown.stdout)
    assert all(
        list(row) == ["hardware", "model", "mode", "cells", "pending", "excluded"] for row in rows
    )
    planned = {(row["model"], row["mode"]): row["cells"] for row in rows if row["excluded"] is None}
    assert planned[("elsewhere", "baseline")] == 4
    reasons = {(row["model"], row["mode"]): row["excluded"] for row in rows if row["excluded"]}
    assert reasons[("tiny_a", "lookup_n4")] == "not selected by config.decoding.modes"
    assert "no compatible draft" in reasons[("tiny_a", "spec_*")]
