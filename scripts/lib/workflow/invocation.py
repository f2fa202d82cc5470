"""Parses Snakemake's command line with Snakemake's parser: a Snakefile cannot see its targets."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass

# Options with which Snakemake shows or cleans up something instead of running jobs.
SHOWN_INSTEAD = (
    *(
        "lint",
        "list_target_rules",
        "list_rules",
        "print_compilation",
        "deploy_sources",
        "containerize",
        "report",
    ),
    *(
        "generate_unit_tests",
        "dag",
        "rulegraph",
        "filegraph",
        "d3dag",
        "unlock",
        "cleanup_metadata",
        "cleanup_shadow",
    ),
    *(
        "conda_cleanup_envs",
        "conda_create_envs_only",
        "list_conda_envs",
        "container_cleanup_images",
        "touch",
    ),
    *(
        "list_changes",
        "list_input_changes",
        "list_params_changes",
        "list_untracked",
        "summary",
        "detailed_summary",
    ),
    *("archive", "export_cwl", "delete_all_output", "delete_temp_output"),
)


@dataclass(frozen=True, slots=True)
class Invocation:
    """The request of a Snakemake call. `is_job`: it is one job of another call, on a cluster.

    `runs`: jobs are run. Only then may anything be deleted: listing the rules must not change the
    results tree. `settings`: the values of `--config`, as `KEY=VALUE`, unchanged.
    """

    targets: tuple[str, ...] = ()
    dry_run: bool = False
    is_job: bool = False
    runs: bool = False
    settings: tuple[str, ...] = ()


def read_invocation(arguments: Sequence[str]) -> Invocation:
    """Parse arguments (without the program's name). With unknown ones, nothing `runs`."""
    # Imported here because it takes most of a second.
    from snakemake.cli import parse_args

    try:
        # The parser prints the profile to stderr, as Snakemake has already done.
        with contextlib.redirect_stderr(io.StringIO()):
            _, asked = parse_args(list(arguments))
    except SystemExit:
        return Invocation()
    is_job = bool(asked.target_jobs)
    shows = asked.executor == "touch"
    shows = shows or any(getattr(asked, name) not in (None, False) for name in SHOWN_INSTEAD)
    dry_run = asked.dryrun or asked.executor == "dryrun"
    runs = not (is_job or dry_run or shows)
    return Invocation(tuple(asked.targets), dry_run, is_job, runs, tuple(asked.config or ()))
