"""What a call of Snakemake asks for, by Snakemake's own reading of its arguments: a Snakefile is run before it is told."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass

# Of Snakemake's options, those that show or tidy something in the place of running jobs.
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
    """The targets named; whether it is a dry run; whether it is one job of another invocation (on a cluster's node).

    `runs`: jobs are run. Only then may anything be deleted: to list the rules must leave the
    results tree as it is. `settings`: what `--config` gave, as `KEY=VALUE`, untouched.
    """

    targets: tuple[str, ...] = ()
    dry_run: bool = False
    is_job: bool = False
    runs: bool = False
    settings: tuple[str, ...] = ()


def read_invocation(arguments: Sequence[str]) -> Invocation:
    """The invocation with these arguments (without the program's name); one that runs nothing where they are unknown."""
    from snakemake.cli import (
        parse_args,
    )  # not where no Snakefile is read: it takes most of a second

    try:
        # It tells of the profile on stderr, which Snakemake itself has done already.
        with contextlib.redirect_stderr(io.StringIO()):
            _, asked = parse_args(list(arguments))
    except SystemExit:
        return Invocation()
    is_job = bool(asked.target_jobs)
    shows = (
        any(getattr(asked, name) not in (None, False) for name in SHOWN_INSTEAD)
        or asked.executor == "touch"
    )
    dry_run = asked.dryrun or asked.executor == "dryrun"
    runs = not (is_job or dry_run or shows)
    return Invocation(tuple(asked.targets), dry_run, is_job, runs, tuple(asked.config or ()))
