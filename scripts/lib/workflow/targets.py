"""Everything for the Snakefile: the plans of the active and the other profiles, and their files."""

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

from scripts.lib.base.errors import INTERRUPTED_EXIT, BenchError, Problem, fail
from scripts.lib.base.layout import (
    INSTRUMENT,
    PAGES,
    PAIRS_TABLE,
    PICTURE_NAMES,
    REPORT,
    REVIEWS,
    SUMMARY,
    TABLE_NAMES,
    TABLES,
    TEMPLATES,
    part_slug,
    picture_file,
)
from scripts.lib.base.results_tree import drop
from scripts.lib.base.stored_json import digest
from scripts.lib.base.yaml_file import Source
from scripts.lib.execution.probes import planned_probes
from scripts.lib.fidelity.plan import Configuration, FidelityPlan, fidelity_plan, seconds
from scripts.lib.planning.disk import EveryPlan, every_plan, pending
from scripts.lib.planning.plan import Cell, Plan, Planner, Shard
from scripts.lib.planning.prediction import (
    Measured,
    Times,
    read_measured,
    shard_times,
    table_damage,
)
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
from scripts.lib.workflow.cluster import job_resources
from scripts.lib.workflow.invocation import Invocation

# A timed shard takes all parts of the machine and any other job one, so none runs beside a shard.
MACHINE_PARTS = 100

SO_FAR = "results_so_far"
_OWN_CONFIGURATION = ("threads", "workloads", "fidelity")
# Targets with a configuration of their own, which lies between config.yaml and the user's.
SHIPPED = {f"results_{name}": Path(f"config/{name}.yaml") for name in _OWN_CONFIGURATION}

T = TypeVar("T")


def or_exit(make: Callable[[], T]) -> T:
    """Run `make` for the Snakefile: an expected error is printed without traceback, then exit 1."""
    try:
        return make()
    except (BenchError, OSError) as error:
        fail(error)
    except KeyboardInterrupt:
        # Planning may hash weights for minutes; finished hashes are kept.
        print("interrupted", file=sys.stderr)
        raise SystemExit(INTERRUPTED_EXIT) from None


def infer_rule(shard: Shard) -> str:
    """The name of the rule that runs a shard."""
    return f"infer_{shard.engine}_{shard.model.key}_{shard.mode.name}"


@dataclass(frozen=True)
class Workflow:
    """The plans of one invocation: the active profile's (one per engine), then the others'."""

    made: EveryPlan

    @property
    def planner(self) -> Planner:
        """The registry, prompts, configuration and weights that the plans are made from."""
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
        """True if the shard is not run here: another profile's, or in `results_so_far`."""
        return shard.hardware.name != self.planner.hardware.name or self.made.so_far

    @cached_property
    def missing(self) -> Mapping[str, tuple[Cell, ...]]:
        """Shard name -> its cells without a file; the disk is read once."""
        return {shard.name: pending(shard) for shard in self.shards}

    @cached_property
    def shard_targets(self) -> Mapping[str, str]:
        """Shard name -> one of its cells: a missing one if any is, so that the shard's job runs.

        There is one edge per shard, not one per cell: at 42,000 cells Snakemake then needs half the
        time and memory.
        """
        found = {}
        for shard in self.shards:
            first = (*self.missing[shard.name], *shard.cells)[0]
            found[shard.name] = f"{shard.folder}/{first.file_name}"
        return found

    @cached_property
    def fidelity(self) -> FidelityPlan:
        """The comparisons of distributions on the active profile; none unless asked for."""
        return fidelity_plan(self.planner)

    @cached_property
    def fidelities(self) -> tuple[Configuration, ...]:
        """The configurations whose distributions are compared here, references first."""
        return () if self.made.so_far else self.fidelity.runnable

    @cached_property
    def fidelity_targets(self) -> Mapping[str, str]:
        """Configuration -> one of its fidelity cells, a missing one if there is any."""
        return {one.name: (*one.pending(), *one.cells)[0].file for one in self.fidelities}

    def fidelity_inputs(self, one: Configuration) -> list[str]:
        """The reference's distributions that a configuration is compared with, if made here."""
        above = one.reference
        if above is None or above.name not in self.fidelity_targets:
            return []
        return [cell.reference_file for cell in one.cells if cell.reference_file]

    @cached_property
    def fidelity_cluster(self) -> Mapping[str, Mapping[str, Any]]:
        """Configuration -> the cluster resources of its job."""
        return {
            one.name: job_resources(one.shard, seconds(one, one.pending(), self.measured))
            for one in self.fidelities
        }

    @property
    def measured_targets(self) -> list[str]:
        """One file of every shard and every comparison: all that has to be measured."""
        return [*self.shard_targets.values(), *self.fidelity_targets.values()]

    @cached_property
    def measured(self) -> Measured:
        """The measured speeds, from which the time of missing cells is predicted."""
        return read_measured()

    @cached_property
    def times(self) -> Mapping[str, Times]:
        """Shard name -> the predicted seconds of its missing cells."""
        return {
            shard.name: shard_times(shard, self.missing[shard.name], self.measured)
            for shard in self.shards
        }

    @cached_property
    def cluster(self) -> Mapping[str, Mapping[str, Any]]:
        """Shard name -> the cluster resources of its job."""
        return {
            shard.name: job_resources(shard, self.times[shard.name].total_s)
            for shard in self.shards
        }

    @cached_property
    def damaged(self) -> tuple[Problem, ...]:
        """Damaged derived files that were not used for planning; they are made again."""
        found = list(table_damage())
        for series in self.judges:
            found += VerdictStore(series).unfinished_damage()
        return tuple(found)

    @cached_property
    def suites(self) -> tuple[str, ...]:
        """The suites of the planned cells."""
        return tuple(dict.fromkeys(cell.id.suite for shard in self.shards for cell in shard.cells))

    def suite_cells(self, suite: str) -> Iterator[str]:
        """One cell of that suite per shard, a missing one if there is any (see `shard_targets`)."""
        for shard in self.shards:
            both = (*self.missing[shard.name], *shard.cells)
            first = next((cell for cell in both if cell.id.suite == suite), None)
            if first is not None:
                yield f"{shard.folder}/{first.file_name}"

    def weights_of(self, key: str) -> str:
        """The file of a model's weights, which a rule may still have to make."""
        return str(self.planner.weights[key].path)

    @cached_property
    def made_weights(self) -> list[str]:
        """The weights of planned shards that a rule can make."""
        found = set()
        for shard in self.shards:
            for weights in (shard.weights, shard.draft):
                if weights is not None and weights.fetchable:
                    found.add(str(weights.path))
        found.update(str(w.path) for one in self.fidelities if (w := one.shard.weights).fetchable)
        return sorted(found)

    @cached_property
    def probes(self) -> Mapping[str, Quirk]:
        """Outcome file -> quirk, for the probes that this machine can run."""
        return planned_probes(self.planner)

    @cached_property
    def probed_weights(self) -> list[str]:
        """The weights that probes load and a rule can make."""
        keys = {quirk.probe_argument for quirk in self.probes.values()} & set(self.planner.weights)
        fetchable = [key for key in keys if key and self.planner.weights[key].fetchable]
        return sorted(map(self.weights_of, fetchable))

    @cached_property
    def identity(self) -> str:
        """Digest of everything that the tables show, except the contents of reviews."""
        models = [
            [m.key, m.name, m.quant, m.size_gb, m.tier, m.path, m.candidate_roles]
            for m in self.planner.registry.models.values()
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
        parts = [models, plans, cells, sorted(self.reviews), list(map(str, self.planner.faults))]
        if self.planner.config.fidelity.measure:
            parts.append([[one.name, [c.name for c in one.cells]] for one in self._compared])
        return digest(parts)

    @property
    def _compared(self) -> tuple[Configuration, ...]:
        """The comparisons that the tables show, whether or not they can be run here."""
        return self.fidelity.configurations

    @cached_property
    def judges(self) -> tuple[Series, ...]:
        """The judges among the scorers. If nothing is run, none: only stored verdicts count."""
        if self.made.so_far:
            return ()
        return tuple(scorer.active for scorer in self.planner.scorers if scorer.active is not None)

    @cached_property
    def judged_stamp(self) -> str:
        """The file that is written when all active answers are judged; empty without a judge."""
        if not self.judges:
            return ""
        return f"{REVIEWS}/judged.{digest(sorted(self._reviews_here))}.json"

    @cached_property
    def _reviews_here(self) -> Mapping[str, Review]:
        """The reviews of shards that are run here."""
        found = self.reviews.items()
        return {file: review for file, review in found if not self.is_elsewhere(review.shard)}

    @property
    def judge_parts(self) -> int:
        """The part of the machine that judging takes; a local judge takes all of it."""
        is_local = any(series.scorer == LOCAL for series in self.judges)
        return MACHINE_PARTS if is_local and self.planner.config.judge.local.url is None else 1

    @cached_property
    def judge_weights(self) -> list[str]:
        """The local judge's weights, if a rule can make them."""
        weights = self.planner.weights.get(self.planner.config.judge.local.model)
        if self.judge_parts != MACHINE_PARTS or weights is None or not weights.fetchable:
            return []
        return [str(weights.path)]

    @property
    def unreviewed(self) -> list[Review]:
        """The active plans' reviews that are missing, or have answers that wait for a verdict."""
        waiting = {file for series in self.judges for file in self.waiting_for(series)}
        here = self._reviews_here.items()
        return [review for file, review in here if file in waiting or not Path(file).is_file()]

    def waiting_for(self, series: Series) -> Sequence[str]:
        """The reviews with answers that wait for a verdict; all, if their list is damaged."""
        store = VerdictStore(series)
        if store.unfinished_damage():
            return list(self._reviews_here)
        waiting: Sequence[str] = store.unfinished().get("reviews", ())
        return waiting

    @property
    def pictures(self) -> list[str]:
        """The pictures of every profile and engine with reviews."""
        shards = [review.shard for review in self.reviews.values()]
        parts = dict.fromkeys(part_slug(shard.hardware.name, shard.engine) for shard in shards)
        return [picture_file(part, name) for part in parts for name in PICTURE_NAMES]

    @property
    def pages(self) -> list[str]:
        """The pages, the report and the pictures."""
        return [*PAGES, REPORT, *self.pictures]

    @property
    def tables(self) -> list[str]:
        """The predecessor's summary and the tidy tables."""
        derived = [str(SUMMARY), str(INSTRUMENT), str(PAIRS_TABLE)]
        return [*derived, *(f"{TABLES}/{name}.csv" for name in TABLE_NAMES)]

    @property
    def derived(self) -> list[str]:
        """Everything that is made from cells: reviews, tables and pages."""
        return [*self.pages, *self.tables, self.stamp, *self.reviews]

    @property
    def stamp(self) -> str:
        """A file named by the plan's digest. A changed plan has none, so tables are made again."""
        return f"{TABLES}/plan.{self.identity}.json"


def make_workflow(config: Config) -> Workflow:
    """Read everything that the configuration names, and plan it for every engine and profile."""
    return Workflow(every_plan(config))


def handed_down(invocation: Invocation) -> Mapping[str, Any] | None:
    """The configuration of the submitting process, for its job; None if this is not a job."""
    text = os.environ.get(CONFIG_VARIABLE)
    if not invocation.is_job or not text:
        return None
    return from_environment(CONFIG_VARIABLE, text)


def configuration_layers(
    invocation: Invocation, files: Iterable[Path], settings: Mapping[str, Any]
) -> tuple[Source, ...]:
    """The layers of an invocation's configuration, read as YAML 1.2.

    Snakemake has read its `--configfile`s (`files`) and its `--config` (`settings`) as YAML 1.1:
    there `010` is 8, `10:00` is 600, `off` is false, and the last of two equal keys wins. So the
    files are read again, and the settings are taken from the command line. If a program drives
    Snakemake, there is no command line: the settings are then used as Snakemake has them. A target
    of `SHIPPED` brings its file.
    """
    if handed_down(invocation) is not None:
        return ()
    here, near = Path.cwd(), [SHIPPED[name] for name in invocation.targets if name in SHIPPED]
    for file in map(Path, files):
        near.append(file.relative_to(here) if file.is_relative_to(here) else file)
    if {setting.partition("=")[0] for setting in invocation.settings} == set(settings):
        return read_layers(near, invocation.settings)
    layers = read_layers(near)
    typed = typed_like(layers[0].value, settings)
    return (*layers, Source("config", typed, dict.fromkeys(settings, 0)))


def load_workflow(config: Mapping[str, Any], layers: Sequence[Source] = ()) -> Workflow:
    """The workflow of a configuration with these layers. Jobs inherit the configuration."""
    parsed = parse_config(config, sources=layers)
    os.environ[CONFIG_VARIABLE] = json.dumps(config)
    return make_workflow(parsed)


def take_up_unfinished(workflow: Workflow) -> None:
    """Delete reviews with answers that can now be judged: this run judges and makes them again."""
    for series in workflow.judges:
        if series.scorer == CLAUDE and not has_key():
            continue
        for file in workflow.waiting_for(series):
            if file in workflow.reviews:
                drop(Path(file))
                drop(Path(workflow.judged_stamp))


def date_back(workflow: Workflow) -> None:
    """If inputs of jobs have times in the future, set these times to now.

    A wrong clock or an archive can cause such times. Snakemake would fail a job whose output is
    older than its input, and run it again and again.
    """
    made = map(Path, (*workflow.measured_targets, *workflow.probes, *workflow.derived))
    sources = (
        *Path(TEMPLATES).rglob("*"),
        *Path("scripts").rglob("*.py"),
        workflow.planner.registry.path,
    )
    now = time.time()
    for file in (*made, *sources):
        # Missing, or another user's: if it matters, Snakemake reports it.
        with contextlib.suppress(OSError):
            if file.stat().st_mtime > now:
                os.utime(file)


# The packages of scripts/lib that make the tables. Planning, scoring and reviews are among them,
# since tables show their texts.
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
    "fidelity",
    "tables",
    "judging",
    "authoring",
)


def code_of(script: str, *packages: str) -> list[str]:
    """The source files of a script and of packages of scripts/lib, as input of a rule."""
    files = list[Path]()
    for package in (Path("scripts/lib") / name for name in packages):
        files += package.rglob("*.py") if package.is_dir() else [package]
    return [script, *sorted(map(str, files))]


def check_checkout(folder: Path) -> None:
    """Raise BenchError if the checkout's path has braces, which Snakemake reads as wildcards."""
    if set(str(folder)) & set("{}"):
        advice = "move the checkout to a path without braces"
        raise BenchError(f"{folder}: Snakemake reads braces in a path as wildcards: {advice}")


PER_MODEL, PER_SUITE = "results_", "results_suite_"


def for_targets(config: Mapping[str, Any], invocation: Invocation) -> Mapping[str, Any]:
    """The configuration of one invocation, so that only what its targets need is planned.

    `results_MODEL` restricts the models, `results_suite_SUITE` the suites. With any other target,
    or targets of both kinds, nothing is restricted. A job on a cluster's node uses the submitting
    process's configuration.
    """
    settled = handed_down(invocation)
    if settled is not None:
        return settled
    asked = invocation.targets
    suites = [a.removeprefix(PER_SUITE) for a in asked if a.startswith(PER_SUITE)]
    own = {SO_FAR, *SHIPPED}
    models = [a.removeprefix(PER_MODEL) for a in asked if a.startswith(PER_MODEL) and a not in own]
    if suites and len(suites) == len(asked):
        return {**config, "suites": suites}
    if models and not suites and len(models) == len(asked):
        return {**config, "models": models}
    return config


def check_for_cluster(workflow: Workflow) -> None:
    """Raise BenchError if jobs run on other machines but the profile was made from this one."""
    name = workflow.planner.hardware.name
    if workflow.planner.hardware.is_local:
        raise BenchError(
            f"hardware {name} was made from this machine, but the jobs run on others: choose a "
            "profile of config/hardware/ for the nodes (--config hardware=epyc-9655)"
        )
