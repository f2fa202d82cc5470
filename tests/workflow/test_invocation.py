"""Snakemake's command line: only a call that runs jobs may delete anything."""

from __future__ import annotations

import pytest

from scripts.lib.workflow.invocation import read_invocation


@pytest.mark.parametrize(
    "arguments",
    [
        ["-n"],
        ["-np"],
        ["-nj1"],
        ["-nc4", "results"],
        ["--dry-run"],
        ["--dryrun", "-j8"],
        ["-j8", "-n", "retry_failed"],
        ["-e", "dryrun", "-j1"],
    ],
)
def test_a_dry_run_is_known_however_it_is_written(arguments: list[str]) -> None:
    asked = read_invocation(arguments)
    assert asked.dry_run and not asked.runs


@pytest.mark.parametrize(
    "arguments",
    [
        ["--list"],
        ["--list-target-rules"],
        ["--summary"],
        ["--unlock"],
        ["--lint"],
        ["--dag"],
        ["--rulegraph"],
        ["--touch", "-j1"],
        ["--delete-all-output", "-j1"],
        ["--list-changes", "input"],
        ["--report", "x.html"],
        ["--no-such-option"],
        ["-e", "touch", "-j1"],
        ["--export-cwl", "x.cwl"],
    ],
)
def test_what_only_shows_runs_nothing(arguments: list[str]) -> None:
    asked = read_invocation(arguments)
    assert not asked.runs and not asked.dry_run


def test_a_run_and_its_targets() -> None:
    asked = read_invocation(
        ["-j8", "retry_failed", "docs/x.md", "--config", "results_a=1", "suites=[1]"]
    )
    assert asked.runs and asked.targets == ("retry_failed", "docs/x.md") and not asked.is_job
    assert read_invocation(["-c1"]).runs and read_invocation(["-c1"]).targets == ()


def test_a_job_of_another_invocation_runs_nothing_of_its_own() -> None:
    asked = read_invocation(["-j1", "--mode", "remote", "--target-jobs", "judge:"])
    assert asked.is_job and not asked.runs
