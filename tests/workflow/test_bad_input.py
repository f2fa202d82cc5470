"""Bad input: one clear message that names the place, exit code 1, no traceback, nothing written."""

from __future__ import annotations

import re

from scripts.lib.settings.run_config import load_config
from scripts.lib.workflow.targets import make_workflow
from tests.factories.tiny_project import BASELINE, ONE_SHARD, Project


def refused(project: Project, *arguments: str) -> str:
    done = project.snakemake("-n", "results", *arguments)
    output = done.stdout + done.stderr
    assert done.returncode == 1, output
    assert "Traceback" not in output and 'File "' not in output
    assert len(output.splitlines()) < 25, "one screen at most"
    assert project.cells() == {}
    return output


def test_a_setting_of_the_command_line_that_cannot_be(project: Project) -> None:
    """The messages themselves: tests/settings/test_run_config.py."""
    repeated = project.refusal("results", "sampling={seed: 1, seed: 2}")
    assert "--config: sampling.seed: duplicate key" in repeated
    together = refused(
        project, "--config", "modles=[1]", "sample=1_000", "judge={claude: {max_usd: .nan}}"
    )
    for message in (
        "modles: unknown key; did you mean 'models'?",
        "--config: sample: expected a whole number of at least 1, found '1_000'",
        "--config: judge.claude.max_usd: expected a number of at least 0, found '.nan'",
    ):
        assert message in together
    for setting, message in (
        ('suites=["mathh"]', "suites: 'mathh' names nothing; known: one, two"),
        ('models=["tiny_c"]', "models: 'tiny_c' names nothing; did you mean 'tiny_b'?"),
        (
            "hardware=epyc-9654",
            "no profile 'epyc-9654' in config/hardware/; did you mean 'epyc-9655'?",
        ),
        ("registry=nowhere.yaml", "nowhere.yaml: no such file"),
    ):
        assert message in project.refusal("results", setting)


def test_a_config_file_that_snakemake_reads_otherwise(project: Project) -> None:
    file = project.folder / "mine.yaml"
    file.write_text("sampling: {seed: 1}\nsampling: {top_p: 0.5}\n")
    repeated = project.refusal("results", file="mine.yaml")
    assert "mine.yaml:2: sampling: duplicate key (first on line 1)" in repeated
    file.write_text(
        "sampling: {max_tokens: -5}\n"
        "timeouts: {cell_s: 10:00}\n"
        "judge: {claude: {max_usd: .nan}}\n"
        "preflight: no\n"
    )
    together = refused(project, "--configfile", "mine.yaml")
    for message in (
        "mine.yaml:1: sampling.max_tokens: expected a whole number of at least 1, found -5",
        "mine.yaml:2: timeouts.cell_s: expected a number above 0, found '10:00'",
        "mine.yaml:3: judge.claude.max_usd: expected a number of at least 0, found '.nan'",
        "mine.yaml:4: preflight: unknown value 'no'; known: off, refuse, tag",
    ):
        assert message in together


def test_the_projects_own_config_file_is_read_before_snakemake_reads_it(project: Project) -> None:
    file = project.folder / "config/config.yaml"
    text = file.read_text()
    for wrong, message in (
        ("repeats: 2\n", "config/config.yaml:"),
        ("sample: [1\n", "not YAML"),
    ):
        file.write_text(text + wrong)
        assert message in project.refusal("results")
    file.write_text(text + "when: 2026-13-45\n")
    assert "when: unknown key" in refused(project)
    file.write_bytes(b"sample: \xff\n")
    assert "config/config.yaml: not UTF-8" in project.refusal("results")


def test_leading_zeros_and_off_mean_the_same_in_a_file_and_on_the_command_line(
    project: Project,
) -> None:
    (project.folder / "mine.yaml").write_text("sampling: {seed: 010}\npreflight: off\n")
    by_file = project.snakemake("-n", "results", "--verbose", "--configfile", "mine.yaml")
    by_hand = project.snakemake(
        "-n", "results", "--verbose", "--config", "sampling={seed: 010}", "preflight=off"
    )
    found = []
    for done in (by_file, by_hand):
        assert done.returncode == 0, done.stderr
        found.append(set(re.findall(r"cells/(\S+?\.json)", done.stdout)))
    project.edit("config/config.yaml", "seed: ", "seed: 10 # ")
    with project.inside():
        plain = {
            f"{shard.folder}/{cell.file_name}".removeprefix("benchmarks/results/cells/")
            for shard in make_workflow(load_config()).shards
            for cell in shard.cells
        }
    assert found[0] == found[1] and found[0] <= plain and len(found[0]) >= 4


def test_a_misspelt_role_and_a_misspelt_suite(project: Project) -> None:
    project.edit(
        project.registry,
        "candidate_roles: [alpha]",
        "candidate_roles: [alpa]\n    temperature_overrides: {oen: 0.5}",
    )
    output = project.refusal("results")
    assert "roles.tiny_a.candidate_roles: unknown role 'alpa'; did you mean 'alpha'?" in output
    assert "roles.tiny_a.temperature_overrides.oen: unknown suite 'oen'; " in output


def test_a_role_said_twice(project: Project) -> None:
    (project.folder / "config/suites.yaml").write_text(
        "only: {}\nroles:\n  alpha: [one]\n  alpha: [two]\n"
    )
    said = project.refusal("results")
    assert "config/suites.yaml:4: roles.alpha: duplicate key (first on line 3)" in said


def test_a_registry_with_five_mistakes_has_all_five_named(project: Project) -> None:
    project.edit(
        project.registry,
        "    tier: C\n    description: first",
        "    teir: C\n    description: first",
    )
    project.edit(project.registry, "size_gb: 0.001", "size_gb: small")
    project.edit(
        project.registry,
        "    description: second",
        "    description: second\n    description: again",
    )
    project.edit(project.registry, "quant: Q4_K_M", "qaunt: Q4_K_M")
    output = project.refusal("results")
    for message in (
        "roles.tiny_a.teir: unknown key; did you mean 'tier'?",
        "roles.tiny_a.tier: is missing",
        "roles.tiny_a.model.size_gb: expected a number of at least 0, found 'small'",
        "roles.tiny_b.description: duplicate key",
        "roles.elsewhere.model.qaunt: unknown key; did you mean 'quant'?",
        "roles.elsewhere.model.quant: is missing",
    ):
        assert message in output


def test_weights_that_are_no_gguf_leave_their_entry_out(project: Project) -> None:
    (project.folder / "weights/a.gguf").write_bytes(b"<html>not found</html>" * 10)
    done = project.snakemake("-n", "results")
    output = done.stdout + done.stderr
    assert done.returncode == 0 and "Traceback" not in output
    assert "left out: orchestration/model_registry.yaml: roles.tiny_a.model: " in output
    assert "expected a GGUF file (first bytes 'GGUF'), found b'<htm'" in output
    assert "tiny_b   baseline" in done.stdout and "tiny_a" not in done.stdout


def test_a_broken_suite_is_left_out_and_the_other_one_is_measured(project: Project) -> None:
    project.edit("benchmarks/prompts/v1/one.yaml", "tier: 1", "tier: 9")
    done = project.snakemake("results", "--config", 'models=["tiny_a"]', BASELINE)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    told = (
        r"benchmarks/prompts/v1/one.yaml:\d+: prompts.q1.tier: "
        r"expected a whole number from 1 to 3, found 9"
    )
    assert re.search(f"^left out: {told}", done.stderr, re.M) and re.search(
        f"^error: {told}", done.stderr, re.M
    )
    cells = project.cells()
    assert len(cells) == 2 and all("/two/" in name for name in cells)
    assert "two" in project.report
    # Mended, the rest is measured, and nothing of what there is again.
    project.edit("benchmarks/prompts/v1/one.yaml", "tier: 9", "tier: 1")
    project.made(*ONE_SHARD)
    assert len(project.cells()) == 4 and cells.items() <= project.cells().items()


def test_an_unknown_model_by_hand(project: Project) -> None:
    for arguments, said in (
        (("tiny_x",), "no entry 'tiny_x'; did you mean 'tiny_"),
        (("tiny_a", "--mode", "lookup_n9"), "no planned mode 'lookup_n9'"),
        (("tiny_a", "--question", "one/q9"), "no question one/q9"),
        (("tiny_a", "--cell", "0123456789abcdef"), "no cell 0123456789abcdef in the plan"),
    ):
        done = project.call("scripts.infer", "--model", *arguments)
        assert done.returncode == 1 and said in done.stderr
        assert len(done.stderr.splitlines()) == 1 and project.cells() == {}
