"""What the Snakefile wires: the active profile's plan, the other profiles found in the tree, and the files they mean."""

from __future__ import annotations

import json
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from scripts.lib.config import CONFIG_FILE, CONFIG_VARIABLE, Config, merge, parse_config, read_config_file
from scripts.lib.errors import BenchError, fail
from scripts.lib.hardware import load_hardware, profile_names
from scripts.lib.judge_config import CLAUDE, LOCAL, NO_KEY, has_key
from scripts.lib.judging import Series
from scripts.lib.judging.answers import estimate, most_characters, request_size
from scripts.lib.judging.store import VerdictStore
from scripts.lib.plan import CELLS, Plan, Planner, Shard, make_plan, seen_from_elsewhere
from scripts.lib.plan_files import load_planner, pending, planners
from scripts.lib.prediction import hours_text, read_measured, shard_seconds
from scripts.lib.probes import planned_probes
from scripts.lib.records import digest
from scripts.lib.registry_loader import Quirk
from scripts.lib.review import REVIEWS, Review, plan_review

# A timed shard takes the whole machine; every other job of ours takes one part, so none runs beside it.
MACHINE_PARTS = 100

TABLES = "benchmarks/results/tables"
TABLE_NAMES = ("cells", "modes", "suites", "roles", "reductions")
RESULTS = "docs/reference/benchmarks/RESULTS.md"
REPORT = "docs/reference/benchmarks/report.html"
# Drawn for each hardware profile and engine, as `{profile}-{engine}-{picture}.svg` beside RESULTS.md.
PICTURE_NAMES = ("quality-speed", "speculation", "roofline", "suites")
SUMMARY = f"{REVIEWS}/summary.csv"
# What can be asked for besides single files, and `results_MODEL`.
TARGETS = (
    *("results", "results_so_far", "retry_failed", "weights", "probes", "tabulate", "render"),
    *("preview", "orphans", "prune"),
)
# Set where `results_so_far` is asked for, and handed down to the jobs: nothing is run, what there is gets shown.
SO_FAR_VARIABLE = "EPYC_BENCH_SO_FAR"
# Page -> the template it is made from.
PAGES: Mapping[str, str] = {
    RESULTS: "docs/templates/RESULTS.md.j2",
    "docs/reference/models/MODELS.md": "docs/templates/MODELS.md.j2",
    "docs/reference/models/QUIRKS.md": "docs/templates/QUIRKS.md.j2",
}

TEMPLATES = "docs/templates"
REPORT_TEMPLATE = f"{TEMPLATES}/report.html.j2"

T = TypeVar("T")


def picture_file(part: str, name: str) -> str:
    """Where a picture of a part (`{profile}-{engine}`) stands."""
    return f"{Path(RESULTS).parent}/{part}-{name}.svg"


def or_exit(make: Callable[[], T]) -> T:
    """Run `make` for the Snakefile: our errors are printed as they are, and Snakemake ends with 1 (no traceback)."""
    try:
        return make()
    except (BenchError, OSError) as error:
        fail(error)


@dataclass(frozen=True)
class Workflow:
    """The plans of one invocation: the active hardware profile's (one per engine), then those of profiles in the tree."""

    planner: Planner
    active: tuple[Plan, ...]
    others: tuple[Plan, ...]

    @cached_property
    def plans(self) -> tuple[Plan, ...]:
        return (*self.active, *self.others)

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
        return shard.hardware != self.planner.hardware or bool(os.environ.get(SO_FAR_VARIABLE))

    @cached_property
    def shard_targets(self) -> Mapping[str, str]:
        """Shard name -> one of its cells: a missing one where any is, so that asking for it runs the shard's job.

        One edge a shard and not one a cell: at 42,000 cells Snakemake needs half the time and memory.
        """
        found = {}
        for shard in self.shards:
            missing = pending(shard)
            found[shard.name] = f"{shard.folder}/{missing[0].file_name}" if missing else shard.cell_files[0]
        return found

    def weights_of(self, key: str) -> str:
        """Where a model's weights are, or will be made."""
        return str(self.planner.weights[key].path)

    @cached_property
    def made_weights(self) -> list[str]:
        """The weights of planned shards that a rule makes."""
        used = (weights for shard in self.shards for weights in (shard.weights, shard.draft) if weights is not None)
        return sorted({str(weights.path) for weights in used if weights.fetchable})

    @cached_property
    def probes(self) -> Mapping[str, Quirk]:
        """Outcome file -> quirk, of the probes that this machine can run."""
        return planned_probes(self.planner)

    @cached_property
    def probed_weights(self) -> list[str]:
        """The weights that probes load and a rule makes."""
        keys = {quirk.probe_argument for quirk in self.probes.values()} & set(self.planner.weights)
        return sorted(self.weights_of(key) for key in keys if key and self.planner.weights[key].fetchable)

    @cached_property
    def identity(self) -> str:
        """Digest of all that the tables show besides the reviews' contents."""
        models = [
            [model.key, model.name, model.quant, model.size_gb, model.tier, model.path, model.candidate_roles]
            for model in self.planner.registry.models.values()
        ]
        plans = [
            [
                p.hardware.name,
                p.hardware.bandwidth_gb_per_s,
                p.engine.spec(),
                [[x.model, x.mode, x.reason] for x in p.left_out],
                list(p.warnings),
                p.recommended,
            ]
            for p in self.plans
        ]
        cells = {shard.name: [cell.digest for cell in shard.cells] for plan in self.plans for shard in plan.shards}
        return digest([models, plans, cells, sorted(self.reviews)])

    @cached_property
    def judges(self) -> tuple[Series, ...]:
        """The judges among the scorers; none where nothing is run, since stored verdicts are all that counts then."""
        if os.environ.get(SO_FAR_VARIABLE):
            return ()
        return tuple(scorer.series for scorer in self.planner.scorers if scorer.series is not None)

    @cached_property
    def judged_stamp(self) -> str:
        """The file that says that the active plans' answers were put to the judges; empty without a judge."""
        if not self.judges:
            return ""
        files = sorted(file for file, review in self.reviews.items() if not self.is_elsewhere(review.shard))
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
    def pictures(self) -> list[str]:
        """The pictures of every profile and engine that has, or will have, cells."""
        parts = dict.fromkeys(f"{r.shard.hardware.name}-{r.shard.engine}" for r in self.reviews.values())
        return [picture_file(part, name) for part in parts for name in PICTURE_NAMES]

    @property
    def pages(self) -> list[str]:
        """The pages, the report and the pictures."""
        return [*PAGES, REPORT, *self.pictures]

    @property
    def tables(self) -> list[str]:
        """The predecessor's summary and the tidy tables."""
        return [SUMMARY, *(f"{TABLES}/{name}.csv" for name in TABLE_NAMES)]

    @property
    def derived(self) -> list[str]:
        """Everything that is made of cells: reviews, tables and pages."""
        return [*self.pages, *self.tables, self.stamp, *self.reviews]

    @property
    def stamp(self) -> str:
        """A file whose name is the plan's digest: missing when the plan changed, so the tables are rebuilt."""
        return f"{TABLES}/plan.{self.identity}.json"


NAMED_WITHOUT_DRY_RUN = 3


def other_profiles(active: str) -> tuple[str, ...]:
    """Named profiles, other than the active one, that have cells in the tree."""
    return tuple(name for name in profile_names() if name != active and (Path(CELLS) / name).is_dir())


def make_workflow(config: Config) -> Workflow:
    """Read everything the configuration names and plan it for every engine and profile."""
    planner = load_planner(config)
    engines = planners(planner)
    active = tuple(make_plan(engine) for engine in engines)
    if os.environ.get(SO_FAR_VARIABLE):
        active = tuple(map(seen_from_elsewhere, active))
    profiles = [load_hardware(name) for name in other_profiles(planner.hardware.name)]
    others = (make_plan(replace(engine, hardware=profile)) for profile in profiles for engine in engines)
    return Workflow(planner, active, tuple(seen_from_elsewhere(plan) for plan in others))


def load_workflow(config: Mapping[str, Any]) -> Workflow:
    """The workflow of Snakemake's configuration, which is handed down to the jobs' processes.

    `--config sampling={...}` replaces the whole mapping; laid on config.yaml once more, what it does not name stays.
    """
    whole = merge(read_config_file(CONFIG_FILE), config)
    parsed = parse_config(whole)
    os.environ[CONFIG_VARIABLE] = json.dumps(whole)
    return make_workflow(parsed)


def summary_lines(plan: Plan, with_names: bool) -> Iterator[str]:
    """The plan in a few lines, before Snakemake's own list; a dry run names every model that is left out."""
    todo = {shard.name: pending(shard) for shard in plan.runnable}
    cells = sum(len(shard.cells) for shard in plan.runnable)
    measured = read_measured()
    seconds = sum(shard_seconds(shard, todo[shard.name], measured) for shard in plan.runnable)
    time = f", at most {hours_text(seconds)}" if seconds else ""
    yield (
        f"plan: {len(plan.runnable)} shards, {cells} cells on {plan.hardware.name} by engine {plan.engine.name}; "
        f"{sum(map(len, todo.values()))} cells in {sum(map(bool, todo.values()))} shards are to be run{time}"
    )
    reasons: dict[str, list[str]] = {}
    for item in plan.left_out:
        if item.mode == "*":
            kind = "weights are not on this machine" if item.reason.startswith("weights are not") else item.reason
            reasons.setdefault(kind, []).append(item.model)
    elsewhere = Counter(shard.model.key for shard in plan.shards if not shard.runnable)
    if elsewhere:
        reasons.setdefault("weights are not on this machine", []).extend(elsewhere)
    for reason, models in sorted(reasons.items(), key=lambda pair: -len(pair[1])):
        shown = ", ".join(models) if with_names or len(models) <= NAMED_WITHOUT_DRY_RUN else f"{len(models)} models"
        yield f"left out ({reason}): {shown}"
    for warning in plan.warnings:
        yield f"warning: {warning}"


def _unreviewed(workflow: Workflow) -> Iterator[Review]:
    """The active plans' reviews that are still to be written, those included whose answers wait for a verdict."""
    waiting = {file for series in workflow.judges for file in VerdictStore(series).unfinished().get("reviews", ())}
    for file, review in workflow.reviews.items():
        if not workflow.is_elsewhere(review.shard) and (file in waiting or not Path(file).is_file()):
            yield review


def judge_lines(workflow: Workflow) -> Iterator[str]:
    """What is to be judged, by whom, and what it can cost: the answers themselves are not looked at."""
    reviews, config = list(_unreviewed(workflow)), workflow.planner.config.judge
    answers = sum(len(review.cells) for review in reviews)
    for series in workflow.judges if answers else ():
        said = f"judge {series.name}: at most {answers} answers in {len(reviews)} reviews"
        if series.scorer == CLAUDE:
            sizes = (request_size(cell.question, most_characters(cell)) for r in reviews for cell in r.cells)
            price = estimate(sizes, config.claude, config.canary_share, config.retest_share)
            said += f", at most ${price.at_most_usd:.2f} by {config.claude.api} (max_usd {config.claude.max_usd:g})"
            said += "" if has_key() else f"; {NO_KEY}: without a stored verdict they stay unscored"
        yield said


def take_up_unfinished(workflow: Workflow) -> int:
    """Drop the reviews whose answers wait for a verdict that can be had now, so that they are judged and made again."""
    dropped = 0
    for series in workflow.judges:
        if series.scorer == CLAUDE and not has_key():
            continue
        for file in VerdictStore(series).unfinished().get("reviews", ()):
            if file in workflow.reviews:
                Path(file).unlink(missing_ok=True)
                Path(workflow.judged_stamp).unlink(missing_ok=True)
                dropped += 1
    return dropped


PER_MODEL = "results_"


def for_targets(config: Mapping[str, Any], arguments: Sequence[str]) -> Mapping[str, Any]:
    """The configuration of one invocation: where only `results_MODEL` targets are asked for, only those models are planned."""
    whole = any(a in TARGETS or a.startswith(("docs/", "benchmarks/")) for a in arguments[1:])
    models = [a.removeprefix(PER_MODEL) for a in arguments[1:] if a.startswith(PER_MODEL)]
    return {**config, "models": models} if models and not whole else config


def asks_for_dry_run(arguments: Sequence[str]) -> bool:
    """True for `-n`, its long forms, and clusters such as `-np` (Snakemake itself knows only after the Snakefile)."""
    return any(a in ("--dry-run", "--dryrun") or re.fullmatch("-[nprqFk]*n[nprqFk]*", a) for a in arguments)


def announce(workflow: Workflow, dry_run: bool) -> None:
    """Print the plans' summary, once per invocation (not in the processes that Snakemake starts)."""
    if os.environ.setdefault("EPYC_BENCH_ANNOUNCED", str(os.getpid())) == str(os.getpid()):
        lines = [line for plan in workflow.active for line in summary_lines(plan, dry_run)]
        print("\n".join([*lines, *judge_lines(workflow)]), file=sys.stderr)
