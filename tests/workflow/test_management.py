"""Preview, explain, orphans, prune, retry_failed and results_so_far."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from tests.factories.tiny_project import CELLS, NO_TABLES, Project, records

TEMPERATURE = "    generation_defaults: {temperature: 0.5}\n    candidate_roles: [alpha]"


def shown(project: Project, *arguments: str) -> str:
    done = project.call("scripts.cells", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def explained(project: Project, *arguments: str) -> str:
    done = project.call("scripts.explain", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows(preview: str) -> dict[tuple[str, str], list[str]]:
    """(model, mode) -> the row's cells by state: valid, failed, damaged, new, stale, orphaned."""
    table = preview.partition("\n\n")[0].splitlines()
    columns = [match.span() for match in re.finditer("-+", table[1])]
    cells = [[line[start:end].strip() for start, end in columns] for line in table[2:]]
    return {(row[1], row[2]): row[3:9] for row in cells}


def test_the_preview_tells_states_hours_and_what_changed(finished: Project) -> None:
    assert f"{CELLS} valid, 0 failed, 0 damaged, 0 new, 0 stale; to run: at most 0 s" in shown(
        finished, "preview"
    )
    finished.edit(finished.registry, "    candidate_roles: [alpha]", TEMPERATURE)
    finished.edit("benchmarks/prompts/v1/one.yaml", "q2:", "q9:")
    preview = shown(finished, "preview")
    assert rows(preview)[("tiny_a", "baseline")] == ["", "", "", "1", "3", "4"]
    assert rows(preview)[("tiny_b", "lookup_n3")] == ["3", "", "", "1", "", "1"]
    assert "stale by sampling.temperature: 0.0 -> 0.5 (6 cells)" in preview
    assert "to run: at most" in preview and "measured" in preview
    line = next(
        text
        for text in finished.snakemake("-n", "results").stderr.splitlines()
        if text.startswith("plan:")
    )
    assert "10 cells in 4 shards are to be run, at most" in line
    by_target = finished.snakemake("preview", "--quiet", "all")
    assert by_target.returncode == 0 and "stale by sampling.temperature" in by_target.stdout


def test_the_preview_counts_orphaned_cells_of_models_that_are_gone_too(finished: Project) -> None:
    assert "orphaned files" not in shown(finished, "preview")
    finished.edit(finished.registry, "  tiny_b:", "  tiny_c:")
    finished.edit(
        "benchmarks/prompts/v1/one.yaml", "prompt: Is water wet?", "prompt: Is water dry?"
    )
    preview = shown(finished, "preview")
    assert rows(preview)[("tiny_a", "baseline")] == ["3", "", "", "", "1", "1"]
    assert rows(preview)[("tiny_c", "baseline")] == ["", "", "", "4", "", ""]
    assert (
        rows(preview)[("tiny_b", "baseline")]
        == rows(preview)[("tiny_b", "lookup_n3")]
        == ["", "", "", "", "", "4"]
    )
    files = shown(finished, "orphans").splitlines()
    assert (
        f"{len(files)} orphaned files (10 of them cells): snakemake orphans lists them" in preview
    )
    profile = next((finished.folder / "benchmarks/results/cells").iterdir()).name
    elsewhere = shown(finished, "--hardware", "epyc-9655", "preview")
    assert rows(elsewhere)[(f"tiny_b ({profile})", "baseline")] == ["", "", "", "", "", "4"]


def test_cells_whose_weights_are_not_mounted_any_more_are_kept(project: Project) -> None:
    """An interrupted shard locks its weights; without a lock, no cell of a model is an orphan."""
    infer = (sys.executable, "-m", "scripts.infer", "--model", "tiny_a")
    failed = project.run(*infer, fault="exit:2")
    assert failed.returncode == 1 and len(project.cells()) == 1, failed.stderr
    lock = project.folder / "orchestration/weights.lock.json"
    assert [Path(name).name for name in json.loads(lock.read_text())["weights"]] == ["a.gguf"]
    assert project.run(*infer).returncode == 0
    cells = project.cells()
    (project.folder / "weights/a.gguf").rename(project.folder / "unmounted.gguf")
    assert shown(project, "orphans") == ""
    lock.unlink()
    pruned = project.run(sys.executable, "-m", "scripts.cells", "prune", "--yes")
    assert pruned.returncode == 0, pruned.stderr
    assert project.cells() == cells
    project.edit(project.registry, "  tiny_a:", "  tiny_z:")
    assert len(
        [line for line in shown(project, "orphans").splitlines() if "/cells/" in line]
    ) == len(cells)


def test_one_cell_is_explained(finished: Project) -> None:
    valid = explained(finished, "tiny_a/baseline/one/q1")
    assert "(embedded): valid" in valid and "measured 20" in valid
    finished.edit(
        "benchmarks/prompts/v1/one.yaml", "prompt: Is water wet?", "prompt: Is water dry?"
    )
    stale = explained(finished, "tiny_a/*/one/*")
    assert stale.count(": stale") == 2 and stale.count(": valid") == 2
    assert (
        '  prompt.user: "Is water wet?" -> "Is water dry?"' in stale
        and "previous cell: benchmarks/" in stale
    )
    (finished.folder / "other.yaml").write_text("sampling: {top_p: 0.5}\n")
    options = ["--configfile", "other.yaml", "--hardware", "tiny"]
    for arguments in (
        [*options, "tiny_a/*/one/*"],
        ["tiny_a/*/one/*", *options],
        [*options[:2], "tiny_a/*/one/*"],
    ):
        assert explained(finished, *arguments).count("  sampling.top_p: 1.0 -> 0.5\n") == 4
    taught = finished.call("scripts.explain", "--help")
    assert (
        taught.returncode == 0 and "scripts.explain 'smollm2_135m_q4_1/*/math/*'" in taught.stdout
    )
    nothing = finished.call("scripts.explain", "tiny_z")
    assert nothing.returncode == 1 and "no planned cell matches 'tiny_z'" in nothing.stderr


def test_orphans_are_what_no_configuration_names_and_prune_deletes_them(finished: Project) -> None:
    assert shown(finished, "orphans") == ""
    finished.edit(
        "benchmarks/prompts/v1/one.yaml", "prompt: Is water wet?", "prompt: Is water dry?"
    )
    before = set(finished.cells())
    # Cells that another configuration asks for (other modes, models, suites) are no orphans.
    finished.made("results_suite_one", "--config", 'models=["tiny_a"]')
    lost = [line for line in shown(finished, "orphans").splitlines() if "/cells/" in line]
    assert len(lost) == 4 and all("/one/q1." in line for line in lost)
    assert "would delete: " in shown(finished, "prune") and set(finished.cells()) >= before
    done = finished.snakemake("prune")
    assert done.returncode == 0, done.stderr
    assert before - set(finished.cells()) == {
        line.removeprefix("benchmarks/results/cells/") for line in lost
    }
    finished.made("tabulate")
    assert shown(finished, "orphans") == "" and len(finished.cells()) == CELLS


def test_a_models_failure_is_a_result_that_is_shown_and_run_again_on_request_only(
    project: Project,
) -> None:
    """Weights that llama.cpp refuses (a missing tensor) fail in its own words; the others go on."""
    project.edit("config/config.yaml", "  - lookup_n3\n", "")
    broken = project.folder / "weights/a.gguf"
    broken.write_bytes(broken.read_bytes().replace(b"output_norm.weight", b"outlut_norm.weight"))
    project.results()
    failed = [cell for cell in records(project) if cell["status"] == "error"]
    assert len(failed) == 4 and all("output_norm" in str(cell["error"]) for cell in failed)
    assert project.report.count("| `tiny_a`") >= 4 and "output_norm" in project.report
    assert sum(cell["status"] == "ok" for cell in records(project)) == 4
    before = project.cells()
    assert "4 valid, 4 failed" in shown(project, "preview")
    assert "Nothing to be done" in project.snakemake("results").stderr
    looked = project.run("snakemake", "--summary", "retry_failed")
    assert "would drop 4 failed or damaged cells" in looked.stderr and project.cells() == before
    again = project.snakemake("retry_failed", *NO_TABLES)
    assert again.returncode == 0 and "dropped 4 failed or damaged cells" in again.stderr
    after = project.cells()
    changed = {name for name in after if after[name] != before[name]}
    assert (
        set(after) == set(before)
        and len(changed) == 4
        and all("/tiny_a/" in name for name in changed)
    )
    assert sum(cell["status"] == "error" for cell in records(project)) == 4


def test_a_failure_in_the_middle_of_a_shard_is_run_again_alone(project: Project) -> None:
    """The shard's first cell is there: asking for it would not run the job."""
    project.edit("benchmarks/prompts/v1/two.yaml", "prompt: Say yes.", f"prompt: {'wet ' * 300}")
    project.made("results_tiny_a")
    before = project.cells()
    again = project.snakemake("retry_failed", *NO_TABLES, "--config", 'models=["tiny_a"]')
    assert again.returncode == 0 and "dropped 2 failed or damaged cells" in again.stderr, (
        again.stderr
    )
    assert "2 cells in 2 shards are to be run" in again.stderr
    after = project.cells()
    changed = {name for name in after if after[name] != before[name]}
    assert (
        set(after) == set(before)
        and len(changed) == 2
        and all("/two/q2." in name for name in changed)
    )


def test_results_so_far_show_what_there_is_and_name_what_is_missing(finished: Project) -> None:
    for file in (finished.folder / "benchmarks/results/cells").glob(
        "*/tiny_a/baseline/one/q1.*.json"
    ):
        file.unlink()
    before = finished.cells()
    done = finished.snakemake("results_so_far")
    assert done.returncode == 0, done.stderr
    assert finished.cells() == before and len(before) == CELLS - 1
    assert f"cells: {CELLS - 1} of {CELLS} planned" in finished.report
    assert "| `tiny_a` | `baseline` | 1 of 4 | – | not measured yet |" in finished.report
    dry = finished.snakemake("-n", "results", "--verbose").stdout
    for rule in ("infer_embedded_tiny_a_baseline", "tabulate", "render"):
        assert re.search(rf"^{rule} +1$", dry, re.M), dry
