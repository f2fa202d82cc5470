"""Find which route a suite should take, on one sample of questions.

A frontdoor, a specialist and an architect answer the same questions. The questions are drawn per
suite and spread over the tiers; the same seed draws the same ones. Snakemake measures what is
missing, one entry after the other; a finished sample is not measured again. Results are written to
benchmarks/results/routing/HARDWARE/SAMPLE/: success per question and action, P(success | action,
suite) with its interval, the cost-aware reward, and the recommended route per suite.

for example:
  python -m scripts.benchmark.seed_specialist_routing --3way --suites all --sample-size 10
  python -m scripts.benchmark.seed_specialist_routing --3way --suites math coder --dry-run
  python -m scripts.benchmark.seed_specialist_routing --suites coder --modes baseline "moe*"
  python -m scripts.benchmark.seed_specialist_routing --resume
  python -m scripts.benchmark.seed_specialist_routing --stats
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from scripts.lib.base.command import Parser
from scripts.lib.base.errors import INTERRUPTED_EXIT, BenchError, run_cli
from scripts.lib.base.layout import ROUTING
from scripts.lib.machine.preflight import Preflight, enforce, findings, look
from scripts.lib.machine.process import StopRequest
from scripts.lib.machine.profiles import load_hardware
from scripts.lib.planning.disk import load_planner
from scripts.lib.planning.memory import shard_bytes
from scripts.lib.planning.plan import Planner
from scripts.lib.planning.prediction import hours_text, read_measured, shard_seconds
from scripts.lib.routing.entries import (
    ACTIONS,
    HOW_TO_CHOOSE,
    Absent,
    Sample,
    draw_sample,
    named_suites,
    wanted_suites,
)
from scripts.lib.routing.options import (
    Asked,
    asked_of,
    replaced_options,
    resumed,
    store,
    unknown_option,
)
from scripts.lib.routing.output import Found, check_output, write_output
from scripts.lib.routing.report import outcome_lines, routes_of, routes_table
from scripts.lib.routing.rewards import ModelOutcome
from scripts.lib.routing.session import Part, joined, outcomes_of, parts_of, read_outcomes, run_part
from scripts.lib.settings.run_config import Config, merge, merged, parse_config, read_layers

# More than any suite has: the sample is all questions.
EVERY_QUESTION = 10**9
# Stop after this many seeds in a row whose samples have no new question.
MOST_BARREN_SEEDS = 200


def _tell(absent: Sequence[Absent]) -> None:
    for item in absent:
        print(f"{item.suite}: no {item.action}: {item.reason}", file=sys.stderr)
    if any(item.action in ACTIONS for item in absent):
        print(HOW_TO_CHOOSE, file=sys.stderr)


def _print_sample(sample: Sample) -> None:
    for suite, actions in sample.routes.items():
        entries = ", ".join(f"{action} {model.key}" for action, model in actions.items())
        print(f"{suite}: {len(sample.questions[suite])} questions: {entries}")
        print("  " + " ".join(f"{q.id} (tier {q.tier})" for q in sample.questions[suite]))
    _tell(sample.absent)


def _dry_run(parts: Sequence[Part], verbose: bool) -> int:
    """Print what the pipeline would run, entry by entry, and the time limit."""
    measured = read_measured()
    for part in parts:
        todo = part.pending()
        time = f", at most {hours_text(shard_seconds(part.shard, todo, measured))}" if todo else ""
        print(f"{part.name}: {len(todo)} of {len(part.shard.cells)} cells to run{time}")
        if verbose:
            with tempfile.TemporaryDirectory() as scratch:
                run_part(part, Path(scratch), dry_run=True, verbose=True)
    return 0


def _preflight(parts: Sequence[Part], config: Config, then: str) -> None:
    """Check whether the machine is fit for the run. Raises BenchError if the config refuses it."""
    _dry_run(parts, verbose=False)
    waiting = [part for part in parts if part.pending()]
    seen, free = Preflight(tuple(findings(look()))), psutil.virtual_memory().available
    for part in waiting:
        seen = seen.with_memory(shard_bytes(part.shard), free)
    for finding in seen.findings:
        print(f"preflight: {finding}", file=sys.stderr)
    if waiting:
        enforce(seen, config.preflight)
    print(f"preflight: {seen.outcome}{then}")


@dataclass(frozen=True)
class Session:
    """One call of this command: the questions, the entries, and the options of the run."""

    raw: Mapping[str, Any]
    asked: Asked
    planner: Planner
    suites: tuple[str, ...]
    arguments: argparse.Namespace

    def draw(self, seed: int, size: int) -> Sample:
        """The sample of a seed with `size` questions per suite."""
        return draw_sample(
            self.planner, self.suites, size, seed, self.asked.overrides, self.asked.narrowing
        )

    def rounds(self) -> Iterator[Sample]:
        """The sample; with --continuous also those of further seeds, if they have new questions."""
        left = {name for names in self.draw(0, EVERY_QUESTION).by_entry.values() for name in names}
        seed, last_new = self.asked.seed, self.asked.seed
        while seed - last_new <= MOST_BARREN_SEEDS:
            sample = self.draw(seed, self.asked.sample_size)
            names = {name for names in sample.by_entry.values() for name in names}
            if names & left:
                last_new = seed
                yield sample
            left -= names
            if not (left and self.arguments.continuous):
                break
            seed += 1
        if self.arguments.continuous:
            rest = f"no sample has the questions {', '.join(sorted(left))}"
            print(rest if left else "every question has been asked")

    def folder(self, sample: Sample) -> Path:
        """The folder of a sample's results."""
        return ROUTING / self.planner.hardware.name / sample.name


def _rest(seconds: float, stop: StopRequest) -> None:
    """Let the machine cool down, until a stop is requested."""
    end = time.monotonic() + seconds
    while not stop.asked and (left := end - time.monotonic()) > 0:
        time.sleep(min(left, 0.2))


def _run_parts(
    session: Session, parts: Sequence[Part], folder: Path, ran_before: bool, stop: StopRequest
) -> list[Part]:
    """Run what is missing, part by part. Returns the parts that are still incomplete."""
    unfinished = []
    for part in parts:
        waiting = bool(part.pending())
        if waiting and ran_before:
            _rest(session.arguments.cooldown, stop)
        if stop.asked or not run_part(part, folder, dry_run=False, verbose=session.arguments.debug):
            unfinished.append(part)
        ran_before = ran_before or waiting
    return unfinished


def _report(found: Found, folder: Path, debug: bool) -> None:
    write_output(folder, found)
    if debug:
        print("\n".join(outcome_lines(found.outcomes)))
    print(routes_table(routes_of(found.outcomes)))
    print(f"written: {folder}")


def _run(session: Session) -> int:
    """Run one sample after the other; a requested stop ends this after the current cell."""
    hardware, output = session.planner.hardware.name, session.arguments.output
    code, gathered = 0, list[Sequence[ModelOutcome]]()
    with StopRequest() as stop:
        for number, sample in enumerate(session.rounds()):
            if number:
                _print_sample(sample)
            folder, (parts, _) = session.folder(sample), parts_of(sample, session.raw)
            store(replace(session.asked, seed=sample.seed), folder)
            unfinished = _run_parts(session, parts, folder, number > 0, stop)
            for part in unfinished:
                print(
                    f"{part.name}: incomplete; missing cells give no reward",
                    file=sys.stderr,
                )
            gathered.append(outcomes_of(sample, parts))
            _report(Found(sample.name, hardware, gathered[-1]), folder, session.arguments.debug)
            if output is not None:
                write_output(output, Found(sample.name, hardware, joined(gathered)))
                print(f"written: {output}")
            code = 1 if unfinished else code
            if stop.asked:
                print(f"interrupted: continue with --resume {sample.name}", file=sys.stderr)
                return INTERRUPTED_EXIT
    return code


def _session(arguments: argparse.Namespace) -> int:
    given = vars(arguments)
    name, asked = (
        ("", asked_of(given))
        if arguments.resume is None
        else resumed(ROUTING, arguments.resume, given)
    )
    if arguments.output is not None:
        check_output(arguments.output)
    layers = read_layers(map(Path, asked.configfile))
    raw = merged(layers)
    parse_config(raw, sources=layers)
    raw |= {"hardware": asked.hardware} if asked.hardware else {}
    raw = merge(raw, {"timeouts": {"cell_s": asked.timeout}} if asked.timeout is not None else {})
    config = parse_config(raw)
    planner = load_planner(replace(config, tiers=(1, 2, 3), suites=("*",), questions=("*",)))
    suites = wanted_suites(planner, asked.suites)
    suites = named_suites(planner, suites, asked.question_ids) if asked.question_ids else suites
    session = Session(raw, asked, planner, suites, arguments)
    sample = session.draw(asked.seed, asked.sample_size)
    if name not in ("", sample.name):
        raise BenchError(
            "--resume: registry, suites or configuration have changed: "
            f"'{name}' would be {sample.name} now"
        )
    _print_sample(sample)
    parts, lacking = parts_of(sample, raw)
    _tell(lacking)
    if arguments.preflight:
        runs = (
            arguments.three_way or arguments.continuous or arguments.resume is not None
        ) and not arguments.dry_run
        _preflight(parts, config, "" if runs else "; nothing was run")
        if not runs:
            return 0
    return _dry_run(parts, arguments.debug) if arguments.dry_run else _run(session)


def _stats(arguments: argparse.Namespace) -> None:
    """Print the routes of all samples of the profile, separately for each frontdoor of a suite."""
    layers = read_layers(map(Path, arguments.configfile or ()))
    hardware = load_hardware(
        arguments.hardware or parse_config(merged(layers), sources=layers).hardware
    ).name
    groups = read_outcomes(ROUTING / hardware)
    if not groups:
        raise BenchError(
            f"{ROUTING / hardware}: no sample was run on this profile yet; "
            "run one: --3way --suites … --sample-size …"
        )
    print(routes_table(route for outcomes in groups for route in routes_of(outcomes)))


def parser() -> Parser:
    """The command line."""
    parser = Parser(
        "scripts.benchmark.seed_specialist_routing",
        __doc__,
        allow_abbrev=False,
        epilog=f"options of the predecessor, and what replaces them:\n{replaced_options()}",
    )
    what = parser.add_argument_group("what to do")
    what.add_argument(
        "--3way",
        dest="three_way",
        action="store_true",
        help="run a sample: compare frontdoor, specialist and architect; "
        "implied by --roles, --modes and --question-ids",
    )
    what.add_argument(
        "--dry-run", action="store_true", help="show the sample and what would run; run nothing"
    )
    what.add_argument(
        "--preflight",
        action="store_true",
        help="first check whether the machine is fit; "
        "without --3way, --continuous or --resume only check",
    )
    what.add_argument(
        "--resume",
        nargs="?",
        const="",
        metavar="SAMPLE",
        help="continue the sample of this folder name, with its options (default: the latest)",
    )
    what.add_argument(
        "--continuous",
        action="store_true",
        help="run the samples of further seeds, until Ctrl-C or until every question was asked",
    )
    what.add_argument(
        "--stats",
        action="store_true",
        help="show the routes of all samples together; runs nothing by itself",
    )
    asked = parser.add_argument_group("questions and entries")
    asked.add_argument("--suites", nargs="+", metavar="S", help="suites, or all (the default)")
    asked.add_argument(
        "--sample-size", type=int, metavar="N", help="questions per suite (default: 10)"
    )
    asked.add_argument("--seed", type=int, metavar="N", help="seed of the sample (default: 0)")
    asked.add_argument(
        "--question-ids",
        nargs="+",
        metavar="ID",
        help="exactly these questions: ID, or SUITE/ID",
    )
    asked.add_argument(
        "--roles",
        nargs="+",
        metavar="KEY",
        help="only these entries of the registry; each action takes the best fitting one",
    )
    asked.add_argument(
        "--modes",
        nargs="+",
        metavar="MODE",
        help="decoding modes of every entry, or patterns of them (moe*) (default: baseline)",
    )
    for action in ACTIONS:
        words = f"the {action}: KEY, or SUITE=KEY; repeatable (default: by candidate_roles)"
        asked.add_argument(f"--{action}", action="append", metavar="KEY", help=words)
    how = parser.add_argument_group("how")
    how.add_argument(
        "--timeout", type=float, metavar="S", help="seconds per question (default: timeouts.cell_s)"
    )
    how.add_argument(
        "--cooldown",
        type=float,
        default=0.0,
        metavar="S",
        help="seconds to wait before the next entry is loaded",
    )
    how.add_argument(
        "--output",
        type=Path,
        metavar="PATH",
        help="also write the outcomes here: a folder, or a .csv, .json, .jsonl or .md file",
    )
    how.add_argument(
        "--debug", action="store_true", help="show every outcome, and all output of Snakemake"
    )
    how.add_argument("--hardware", help="a hardware profile (default: the configured one)")
    how.add_argument(
        "--configfile",
        action="append",
        metavar="FILE",
        help="overrides config/config.yaml; repeatable",
    )
    return parser


def _arguments() -> argparse.Namespace:
    options = parser()
    arguments, unknown = options.parse_known_args()
    if unknown:
        raise unknown_option(unknown[0], re.findall(r"--[\w-]+", options.format_usage()))
    return arguments


def main() -> int:
    """Run a sample, or show the routes of all samples."""
    arguments = _arguments()
    if not 0 <= arguments.cooldown < float("inf"):
        raise BenchError(f"--cooldown: expected seconds, 0 or more, found {arguments.cooldown:g}")
    asks = (
        arguments.three_way,
        arguments.roles,
        arguments.modes,
        arguments.question_ids,
        arguments.preflight,
        arguments.continuous,
    )
    runs = any(asks) or arguments.resume is not None
    if not (runs or arguments.stats):
        raise BenchError("choose --3way (run a sample) or --stats (show the routes of all samples)")
    code = _session(arguments) if runs else 0
    if arguments.stats and not (arguments.dry_run or arguments.preflight):
        _stats(arguments)
    return code


if __name__ == "__main__":
    run_cli(main)
