"""What the Snakefile wires: the active profile's plan, the other profiles found in the tree, and the files they mean."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from scripts.lib.base.errors import BenchError, Problem, fail
from scripts.lib.base.layout import (
    INSTRUMENT,
    PAGES,
    PICTURE_NAMES,
    REPORT,
    REVIEWS,
    SUMMARY,
    TABLE_NAMES,
    TABLES,
    TEMPLATES,
    picture_file,
)
from scripts.lib.base.results_tree import drop
from scripts.lib.base.stored_json import digest
from scripts.lib.base.yaml_file import Source
from scripts.lib.execution.probes import planned_probes
from scripts.lib.planning.disk import EveryPlan, every_plan, pending
from scripts.lib.planning.plan import Cell, Plan, Planner, Shard
from scripts.lib.planning.prediction import read_measured, table_damage
from scripts.lib.registry_loader import Quirk
from scripts.lib.results.review import Review, plan_review
from scripts.lib.scoring.series import Series
from scripts.lib.scoring.verdict_store import VerdictStore
from scripts.lib.settings.judge_config import CLAUDE, LOCAL, has_key
from scripts.lib.settings.run_config import (
    CONFIG_VARIABLE,
    Config,
    from_environment,
    parse_config,
    read_layers,
    typed_like,
)
from scripts.lib.workflow.cluster import cluster_resources
from scripts.lib.workflow.invocation import Invocation

# A timed shard takes the whole machine; every other job of ours takes one part, so none runs beside
# it.
MACHINE_PARTS = 100

SO_FAR = "results_so_far"

T = TypeVar("T")


def or_exit(make: Callable[[], T]) -> T:
    """Run `make` for the Snakefile: our errors are printed as they are, and Snakemake ends with 1 (no traceback)."""
    try:
        return make()
    except (BenchError, OSError) as error:
        fail(error)
    except KeyboardInterrupt:
        # Planning may hash weights for minutes; what was hashed is kept.
        print("interrupted", file=sys.stderr)
        raise SystemExit(130) from None


@dataclass(frozen=True)
class Workflow:
    """The plans of one invocation: the active hardware profile's (one per engine), then those of profiles in the tree."""

    made: EveryPlan

    @property
    def planner(self) -> Planner:
        """What the plans are made from."""
        return self.made.planner

    @property
    def active(self) -> tuple[Plan, ...]:
        """The active hardware profile's plans, one per engine."""
        return self.made.active

    @property
    def plans(self) -> tuple[Plan, ...]:
        """All plans, the active ones first."""
        return self.made.all

    @cached_property
    def shards(self) -> tuple[Shard, ...]:
        """The shards that can be run here."""
        return tuple(shard for plan in self.active for shard in plan.runnable)

    @cached_property
    def reviews(self) -> Mapping[str, Review]:
        """Review file -> review, for every shard that has, or will have, cells."""
        planned = (plan_review(plan, shard) for plan in self.plans for shard in plan.shards)
        return {review.file: review for review in planned if review.cells}

    def is_elsewhere(self, shard: Shard) -> bool:
        """True when the shard is only looked at: of another profile, or everything is (`results_so_far`)."""
        return shard.hardware != self.planner.hardware or self.made.so_far

    @cached_property
    def missing(self) -> Mapping[str, tuple[Cell, ...]]:
        """Shard name -> its cells that have no file yet: one look at the disk for everything that asks."""
        return {shard.name: pending(shard) for shard in self.shards}

    @cached_property
    def shard_targets(self) -> Mapping[str, str]:
        """Shard name -> one of its cells: a missing one where any is, so that asking for it runs the shard's job.

        One edge a shard and not one a cell: at 42,000 cells Snakemake needs half the time and
        memory.
        """
        found = {}
        for shard in self.shards:
            missing = self.missing[shard.name]
            found[shard.name] = (
                f"{shard.folder}/{missing[0].file_name}" if missing else shard.cell_files[0]
            )
        return found

    @cached_property
    def cluster(self) -> Mapping[str, Mapping[str, Any]]:
        """Shard name -> what its job asks of a cluster's scheduler."""
        measured = read_measured()
        return {
            shard.name: cluster_resources(shard, self.missing[shard.name], measured)
            for shard in self.shards
        }

    @cached_property
    def damaged(self) -> tuple[Problem, ...]:
        """Derived files that planning went on without; they are made again."""
        notes = (
            problem
            for series in self.judges
            for problem in VerdictStore(series).unfinished_damage()
        )
        return (*table_damage(), *notes)

    @cached_property
    def suites(self) -> tuple[str, ...]:
        """The suites that planned cells are of."""
        return tuple(dict.fromkeys(cell.id.suite for shard in self.shards for cell in shard.cells))

    def suite_cells(self, suite: str) -> Iterator[str]:
        """Of each shard with cells of that suite, a missing one where any is: one edge a shard (see `shard_targets`)."""
        for shard in self.shards:
            both = (*self.missing[shard.name], *shard.cells)
            first = next((cell for cell in both if cell.id.suite == suite), None)
            if first is not None:
                yield f"{shard.folder}/{first.file_name}"

    def weights_of(self, key: str) -> str:
        """Where a model's weights are, or will be made."""
        return str(self.planner.weights[key].path)

    @cached_property
    def made_weights(self) -> list[str]:
        """The weights of planned shards that a rule makes."""
        used = (
            weights
            for shard in self.shards
            for weights in (shard.weights, shard.draft)
            if weights is not None
        )
        return sorted({str(weights.path) for weights in used if weights.fetchable})

    @cached_property
    def probes(self) -> Mapping[str, Quirk]:
        """Outcome file -> quirk, of the probes that this machine can run."""
        return planned_probes(self.planner)

    @cached_property
    def probed_weights(self) -> list[str]:
        """The weights that probes load and a rule makes."""
        keys = {quirk.probe_argument for quirk in self.probes.values()} & set(self.planner.weights)
        return sorted(
            self.weights_of(key) for key in keys if key and self.planner.weights[key].fetchable
        )

    @cached_property
    def identity(self) -> str:
        """Digest of all that the tables show besides the reviews' contents."""
        models = [
            [
                model.key,
                model.name,
                model.quant,
                model.size_gb,
                model.tier,
                model.path,
                model.candidate_roles,
            ]
            for model in self.planner.registry.models.values()
        ]
        plans = [
            [
                p.hardware.name,
                p.hardware.bandwidth_gb_per_s,
                p.engine.spec(),
                [[x.model, x.place, x.reason] for x in p.left_out],
                list(p.warnings),
                p.recommended,
            ]
            for p in self.plans
        ]
        cells = {
            shard.name: [cell.digest for cell in shard.cells]
            for plan in self.plans
            for shard in plan.shards
        }
        return digest(
            [models, plans, cells, sorted(self.reviews), list(map(str, self.planner.faults))]
        )

    @cached_property
    def judges(self) -> tuple[Series, ...]:
        """The judges among the scorers; none where nothing is run, since stored verdicts are all that counts then."""
        if self.made.so_far:
            return ()
        return tuple(scorer.series for scorer in self.planner.scorers if scorer.series is not None)

    @cached_property
    def judged_stamp(self) -> str:
        """The file that says that the active plans' answers were put to the judges; empty without a judge."""
        if not self.judges:
            return ""
        files = sorted(
            file for file, review in self.reviews.items() if not self.is_elsewhere(review.shard)
        )
        return f"{REVIEWS}/judged.{digest(files)}.json"

    @property
    def judge_parts(self) -> int:
        """What a judge takes of the machine: a local one all of it, like a timed shard."""
        is_local = any(series.scorer == LOCAL for series in self.judges)
        return MACHINE_PARTS if is_local and self.planner.config.judge.local.url is None else 1

    @cached_property
    def judge_weights(self) -> list[str]:
        """The local judge's weights, where a rule makes them."""
        known = self.planner.weights.get(self.planner.config.judge.local.model)
        wanted = self.judge_parts == MACHINE_PARTS and known is not None and known.fetchable
        return [str(known.path)] if wanted and known is not None else []

    @property
    def unreviewed(self) -> list[Review]:
        """The active plans' reviews that are still to be written, with those whose answers wait for a verdict."""
        waiting = {file for series in self.judges for file in self.waiting_for(series)}
        here = (
            (file, review)
            for file, review in self.reviews.items()
            if not self.is_elsewhere(review.shard)
        )
        return [review for file, review in here if file in waiting or not Path(file).is_file()]

    def waiting_for(self, series: Series) -> Sequence[str]:
        """The reviews with answers that wait for a judge's verdict; any may, where the note of them is damaged."""
        store = VerdictStore(series)
        if store.unfinished_damage():
            return [
                file for file, review in self.reviews.items() if not self.is_elsewhere(review.shard)
            ]
        waiting: Sequence[str] = store.unfinished().get("reviews", ())
        return waiting

    @property
    def pictures(self) -> list[str]:
        """The pictures of every profile and engine that has, or will have, cells."""
        parts = dict.fromkeys(
            f"{r.shard.hardware.name}-{r.shard.engine}" for r in self.reviews.values()
        )
        return [picture_file(part, name) for part in parts for name in PICTURE_NAMES]

    @property
    def pages(self) -> list[str]:
        """The pages, the report and the pictures."""
        return [*PAGES, REPORT, *self.pictures]

    @property
    def tables(self) -> list[str]:
        """The predecessor's summary and the tidy tables."""
        return [str(SUMMARY), str(INSTRUMENT), *(f"{TABLES}/{name}.csv" for name in TABLE_NAMES)]

    @property
    def derived(self) -> list[str]:
        """Everything that is made of cells: reviews, tables and pages."""
        return [*self.pages, *self.tables, self.stamp, *self.reviews]

    @property
    def stamp(self) -> str:
        """A file whose name is the plan's digest: missing when the plan changed, so the tables are rebuilt."""
        return f"{TABLES}/plan.{self.identity}.json"


def make_workflow(config: Config) -> Workflow:
    """Read everything the configuration names and plan it for every engine and profile."""
    return Workflow(every_plan(config))


def handed_down(invocation: Invocation) -> Mapping[str, Any] | None:
    """The configuration that a job has of the submitting process; None where the invocation is no job, or has none."""
    text = os.environ.get(CONFIG_VARIABLE)
    if not invocation.is_job or not text:
        return None
    return from_environment(CONFIG_VARIABLE, text)


def configuration_layers(
    invocation: Invocation, files: Iterable[Path], settings: Mapping[str, Any]
) -> tuple[Source, ...]:
    """What an invocation's configuration is made of, read by ourselves.

    Snakemake reads its `--configfile`s (`files`) and its `--config` (`settings`) before us, by YAML
    1.1: there `010` is 8, `10:00` is 600, `off` is false, and of a key that stands there twice the
    second wins. So the files are read once more, and the settings as they were written. Where the
    command line is not ours to read (Snakemake driven by a program), its settings are taken as
    Snakemake has them.
    """
    if handed_down(invocation) is not None:
        return ()
    near = [
        file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
        for file in map(Path, files)
    ]
    if {setting.partition("=")[0] for setting in invocation.settings} == set(settings):
        return read_layers(near, invocation.settings)
    layers = read_layers(near)
    return (
        *layers,
        Source("config", typed_like(layers[0].value, settings), dict.fromkeys(settings, 0)),
    )


def load_workflow(config: Mapping[str, Any], layers: Sequence[Source] = ()) -> Workflow:
    """The workflow of a whole configuration, made of these layers; it is handed down to the jobs' processes."""
    parsed = parse_config(config, sources=layers)
    os.environ[CONFIG_VARIABLE] = json.dumps(config)
    return make_workflow(parsed)


def take_up_unfinished(workflow: Workflow) -> None:
    """Drop the reviews whose answers wait for a verdict that can be had now, so that they are judged and made again."""
    for series in workflow.judges:
        if series.scorer == CLAUDE and not has_key():
            continue
        for file in workflow.waiting_for(series):
            if file in workflow.reviews:
                drop(Path(file))
                drop(Path(workflow.judged_stamp))


def date_back(workflow: Workflow) -> None:
    """Date the jobs' inputs now that are from the future, by a wrong clock or an archive.

    Snakemake fails the job whose output is older than its input, and would run it again and again.
    """
    made = map(Path, (*workflow.shard_targets.values(), *workflow.probes, *workflow.derived))
    sources = (
        *Path(TEMPLATES).rglob("*"),
        *Path("scripts").rglob("*.py"),
        workflow.planner.registry.path,
    )
    now = time.time()
    for file in (*made, *sources):
        # Not there yet, or another user's: Snakemake tells, where it matters.
        with contextlib.suppress(OSError):
            if file.stat().st_mtime > now:
                os.utime(file)


# The packages of scripts/lib that tables are made by. Planning, scoring and reviews are in them:
# tables show their words.
TABLE_PACKAGES = (
    "base",
    "settings",
    "llama_build",
    "registry",
    "registry_loader.py",
    "machine",
    "prompts",
    "weights",
    "scoring",
    "planning",
    "results",
    "tables",
    "judging",
)


def code_of(script: str, *packages: str) -> list[str]:
    """The source files of a script and of packages of scripts/lib: an edit of one makes what the script makes again."""
    folders = [Path("scripts/lib") / package for package in packages]
    return [
        script,
        *sorted(
            str(file)
            for folder in folders
            for file in (folder.rglob("*.py") if folder.is_dir() else [folder])
        ),
    ]


def check_checkout(folder: Path) -> None:
    """Raise BenchError where Snakemake would take a part of the checkout's path for a wildcard."""
    if set(str(folder)) & set("{}"):
        raise BenchError(
            f"{folder}: Snakemake reads braces in a path as wildcards: move the checkout to a path without them"
        )


PER_MODEL, PER_SUITE = "results_", "results_suite_"


def for_targets(config: Mapping[str, Any], invocation: Invocation) -> Mapping[str, Any]:
    """The configuration of one invocation: only what its targets need is planned.

    `results_MODEL` narrows the models, `results_suite_SUITE` the suites; where a whole target, or
    targets of both kinds, are asked for, nothing is narrowed. A job on a cluster's node has what
    the submitting process settled.
    """
    settled = handed_down(invocation)
    if settled is not None:
        return settled
    asked = invocation.targets
    suites = [a.removeprefix(PER_SUITE) for a in asked if a.startswith(PER_SUITE)]
    models = [a.removeprefix(PER_MODEL) for a in asked if a.startswith(PER_MODEL) and a != SO_FAR]
    if suites and len(suites) == len(asked):
        return {**config, "suites": suites}
    if models and not suites and len(models) == len(asked):
        return {**config, "models": models}
    return config


def check_for_cluster(workflow: Workflow) -> None:
    """Raise BenchError where jobs go to other machines and the profile is made of this one."""
    name = workflow.planner.hardware.name
    if workflow.planner.hardware.is_local:
        raise BenchError(
            f"hardware {name} is made of this machine, and the jobs run on others: name the nodes' profile in "
            "config/hardware/ (--config hardware=epyc-9655)"
        )
