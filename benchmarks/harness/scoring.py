"""Sensitivity and specificity of the checks, compared with other harnesses' scorers.

Sensitivity is the share of right answers that pass, specificity the share of wrong answers that do
not. An unscored answer does not pass; a column of its own counts these answers. Prints Markdown
tables:
python -m benchmarks.harness.scoring [--corpus DIR]
The scorers of lm-evaluation-harness, inspect_ai and math-verify need an environment of their own:
python3 -m venv DIR
DIR/bin/pip install --no-deps --require-hashes -r benchmarks/harness/peers/requirements.lock
python -m benchmarks.harness.scoring --peers DIR/bin/python
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tabulate import tabulate
from tqdm import tqdm

from benchmarks.harness.answers_corpus import (
    BUILT_IN,
    FOLDER,
    RIGHT,
    UNDECIDABLE,
    WRONG,
    Labelled,
    answers,
    kinds,
    questions,
    verdict,
)
from scripts.lib.authoring.prompt_lint import uses_code
from scripts.lib.base.errors import BenchError, run_cli
from scripts.lib.base.estimates import pass_rate

PEERS = Path("benchmarks/harness/peers/score.py")
OURS = "ours"
# An answer's id -> passed: True, False, or None (unscored).
Verdicts = Mapping[str, bool | None]


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Agreement of a scorer with labels. `stopped_wrong`: wrong answers that did not pass."""

    passed_right: int
    right: int
    stopped_wrong: int
    wrong: int
    unscored: int

    @property
    def balanced(self) -> float:
        """The mean of sensitivity and specificity, 0 to 1."""
        return (
            self.passed_right / max(self.right, 1) + self.stopped_wrong / max(self.wrong, 1)
        ) / 2

    def cells(self) -> list[str]:
        """Sensitivity and specificity with 95 % intervals and counts, and the unscored."""
        sensitivity = _share(self.passed_right, self.right)
        specificity = _share(self.stopped_wrong, self.wrong)
        return [sensitivity, specificity, str(self.unscored)]


def _share(count: int, total: int) -> str:
    """A share in per cent with its 95 % interval and counts; a dash for a total of 0."""
    if not total:
        return "–"
    rate = pass_rate({i: [float(i < count)] for i in range(total)})
    assert rate is not None and rate.low is not None and rate.high is not None
    return f"{100 * rate.value:.1f} % ({100 * rate.low:.1f}–{100 * rate.high:.1f}, {count}/{total})"


def accuracy(items: Iterable[Labelled], passed: Verdicts) -> Accuracy:
    """How a scorer's verdicts agree with the labels.

    Answers that are labelled undecidable are left out.
    """
    known = [item for item in items if item.verdict != UNDECIDABLE]
    right = [passed.get(item.id) for item in known if item.verdict == RIGHT]
    wrong = [passed.get(item.id) for item in known if item.verdict == WRONG]
    return Accuracy(
        passed_right=right.count(True),
        right=len(right),
        stopped_wrong=len(wrong) - wrong.count(True),
        wrong=len(wrong),
        unscored=right.count(None) + wrong.count(None),
    )


def ours(items: Sequence[Labelled], folder: Path) -> Verdicts:
    """The project's own verdicts."""
    passed = {RIGHT: True, WRONG: False, UNDECIDABLE: None}
    shown = tqdm(items, desc="ours", unit="answer", disable=None)
    return {item.id: passed[verdict(item, folder)] for item in shown}


def peers(
    python: Path, items: Sequence[Labelled], folder: Path
) -> dict[str, dict[str, bool | None]]:
    """Other harnesses' verdicts: scorer -> id -> passed.

    Raises BenchError if their environment does not work.
    """
    rows = []
    for item in items:
        criteria = questions(folder)[item.question].scoring
        checks = [check for criterion in criteria for check in criterion.checks]
        if len(checks) == 1:
            params = dict(checks[0].params)
            rows.append(
                {"id": item.id, "type": checks[0].type, "params": params, "answer": item.answer}
            )
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    print(
        f"other harnesses score {len(rows)} answers, in a minute or two per thousand",
        file=sys.stderr,
    )
    made = subprocess.run(
        [python, PEERS], input=text, stdout=subprocess.PIPE, text=True, check=False
    )
    if made.returncode:
        raise BenchError(
            f"{python}: {PEERS} ended with {made.returncode}; install its lock as `--help` says"
        )
    found: dict[str, dict[str, bool | None]] = defaultdict(dict)
    for line in made.stdout.splitlines():
        row = json.loads(line)
        found[row["scorer"]][row["id"]] = row["passed"]
    return found


def _best(
    tool: str,
    items: Sequence[Labelled],
    verdicts: Mapping[str, Verdicts],
) -> tuple[str, Accuracy] | None:
    """A tool's best scorer for these answers, by the mean of sensitivity and specificity."""
    ids = {item.id for item in items}
    scored = [
        (name, accuracy(items, passed))
        for name, passed in verdicts.items()
        if name.startswith(tool) and ids & set(passed)
    ]
    return max(scored, key=lambda pair: pair[1].balanced, default=None)


def _table(found: Mapping[str, Sequence[Labelled]], own: Verdicts) -> str:
    """The table of our accuracy by check type, and of all types together."""
    rows = [[kind, *accuracy(items, own).cells()] for kind, items in found.items()]
    together = [item for items in found.values() for item in items]
    rows.append(["**all**", *accuracy(together, own).cells()])
    return _markdown(rows, ["check", "sensitivity", "specificity", "unscored"])


def _markdown(rows: list[list[str]], headers: list[str]) -> str:
    return tabulate(rows, headers, tablefmt="pipe", disable_numparse=True)


def _comparison(
    found: Mapping[str, Sequence[Labelled]], own: Verdicts, others: Mapping[str, Verdicts]
) -> str:
    """The table of our accuracy and that of each tool's best scorer, by check type."""
    rows = []
    for kind, items in found.items():
        mine = accuracy(items, own)
        rows.append([kind, OURS, *mine.cells()[:2]])
        for tool in ("lm-eval", "inspect_ai", "math-verify"):
            best = _best(tool, items, others)
            if best is not None:
                rows.append(["", best[0], *best[1].cells()[:2]])
    return _markdown(rows, ["check", "scorer", "sensitivity", "specificity"])


def _print_disagreements(items: Iterable[Labelled], own: Verdicts) -> None:
    """Print every answer whose score differs from its label."""
    verdicts = {True: RIGHT, False: WRONG, None: UNDECIDABLE}
    for item in items:
        scored = verdicts[own[item.id]]
        if scored != item.verdict:
            labels = f"labelled {item.verdict}, scored {scored}"
            print(f"{item.id} {item.question}: {labels}: {item.answer[-120:]!r}")


def _padded(items: Sequence[Labelled], characters: int) -> Iterator[Labelled]:
    """The answers again and again, each made longer by other answers before it."""
    # The other answers have no marks of thinking or chat: these would cut the answer short.
    filler = "\n\n".join(
        item.answer for item in items if "<" not in item.answer and "|" not in item.answer
    )
    repeated = filler * (characters // max(len(filler), 1) + 1)
    while True:
        for item in items:
            before = repeated[: max(characters - len(item.answer) - 2, 0)]
            yield replace(item, answer=f"{before}\n\n{item.answer}")


def speed(items: Sequence[Labelled], folder: Path, count: int, characters: int) -> float:
    """Seconds to score a number of answers of a length.

    Checks of code are left out, since they run programs.
    """
    timed = [item for item in items if not uses_code(questions(folder)[item.question])]
    work = list(itertools.islice(_padded(timed, characters), count))
    # Import modules and start workers before the clock starts.
    for item in timed[:50]:
        verdict(item, folder)
    start = time.perf_counter()
    for item in tqdm(work, desc="timed", unit="answer", disable=None):
        verdict(item, folder)
    return time.perf_counter() - start


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.harness.scoring",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--corpus", type=Path, default=FOLDER, help=f"labelled answers (default: {FOLDER})"
    )
    parser.add_argument(
        "--peers",
        type=Path,
        metavar="PYTHON",
        help="the Python of the other harnesses' environment",
    )
    parser.add_argument("--only", nargs="+", metavar="CHECK", help="only these check types")
    parser.add_argument(
        "--show",
        action="store_true",
        help="list every answer whose score differs from its label",
    )
    parser.add_argument(
        "--speed",
        type=int,
        metavar="N",
        help="only time the scoring of N answers of 20,000 characters",
    )
    arguments = parser.parse_args()
    wanted = arguments.only or kinds(arguments.corpus)
    found = {kind: list(answers(kind, arguments.corpus)) for kind in wanted}
    items = [item for group in found.values() for item in group]
    if arguments.speed:
        seconds = speed(items, arguments.corpus, arguments.speed, 20_000)
        print(f"{arguments.speed} answers of 20,000 characters: {seconds:.1f} s")
        return 0
    own = ours(items, arguments.corpus)
    print(_table(found, own))
    if arguments.show:
        print()
        _print_disagreements(items, own)
    if arguments.peers:
        compared = {kind: group for kind, group in found.items() if kind != BUILT_IN}
        others = peers(
            arguments.peers, [i for group in compared.values() for i in group], arguments.corpus
        )
        print(f"\n{_comparison(compared, own, others)}")
    return 0


if __name__ == "__main__":
    run_cli(main)
