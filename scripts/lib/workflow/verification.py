"""A whole results tree checked: is every stored record what was written, do they fit one another, and who wrote them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from scripts.lib.base.errors import BenchError, Problem
from scripts.lib.base.git import git
from scripts.lib.base.safe_files import write_atomic
from scripts.lib.base.stored_json import Damaged, read_sealed, read_stored, sealed, strict_json
from scripts.lib.execution.run_record import OUTPUT, read_rows
from scripts.lib.machine.environment_record import environment_record
from scripts.lib.planning.cell_record import parse_named_cell
from scripts.lib.results.probe_outcomes import parse_outcome
from scripts.lib.results.review import read_review
from scripts.lib.results.review_check import SeenCell
from scripts.lib.scoring.verdict_store import parse_batch, parse_series, parse_verdict
from scripts.lib.weights.facts import WeightsLock

NOT_COMMITTED = "(not committed)"


@dataclass
class Tree:
    """What was seen of one results tree while it was checked. `cells`: by the name that reviews have for them."""

    root: Path
    cells: dict[str, SeenCell | None] = field(default_factory=dict)
    environments: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of record: where its files are below the tree's root, and what checks one (raises Damaged).

    `indent`: of the JSON of a record that can be sealed anew where its content is right; None for
    what is derived, or named by its content, and is made again instead.
    """

    name: str
    patterns: tuple[str, ...]
    check: Callable[[str, Path, Tree], object]
    indent: int | None = None


def _cell(text: str, file: Path, tree: Tree) -> None:
    name = str(file)
    tree.cells[name] = None
    record = parse_named_cell(text, file)
    tree.cells[name] = SeenCell(record.sha256, record.warm_up_s)
    tree.environments[record.environment] += 1


def _review(text: str, file: Path, tree: Tree) -> None:
    for row in read_review(file):
        seen = tree.cells.get(row.cell_file)
        if seen is not None and seen.sha256 != row.cell_sha256:
            raise Damaged(str(file), "the cell is another than was reviewed", row.cell_file)
        if row.cell_file not in tree.cells:
            raise Damaged(str(file), "the cell that was reviewed is not there", row.cell_file)


def _run(text: str, file: Path, tree: Tree) -> None:
    damaged = read_rows(file.parent).damaged
    if damaged:
        more = f" (and {len(damaged) - 1} more lines)" if len(damaged) > 1 else ""
        raise Damaged(
            str(file), damaged[0].message.removeprefix("damaged: ") + more, damaged[0].place
        )


# In this order: reviews are held against the cells that were seen.
KINDS = (
    Kind("cells", ("cells/*/*/*/*/*.json",), _cell, indent=2),
    Kind("reviews", ("reviews/*/*/*.csv",), _review),
    Kind(
        "verdicts",
        ("reviews/verdicts/*/[0-9a-f][0-9a-f]/*.json", "reviews/verdicts/*/quarantine/*/*.json"),
        lambda text, file, tree: parse_verdict(text, str(file)),
        indent=1,
    ),
    Kind(
        "batches",
        ("reviews/verdicts/*/batches/*.json",),
        lambda text, file, tree: parse_batch(text, str(file)),
        indent=1,
    ),
    Kind(
        "series",
        ("reviews/verdicts/*/series.json",),
        lambda text, file, tree: parse_series(text, file),
    ),
    Kind(
        "environments",
        ("environments/*.json",),
        lambda text, file, tree: environment_record(text, str(file)),
    ),
    Kind("probes", ("probes/*.json",), lambda text, file, tree: parse_outcome(text, str(file))),
    Kind("runs", (f"runs/*/{OUTPUT}",), _run),
    Kind(
        "run configurations",
        ("runs/*/config.json",),
        lambda text, file, tree: read_sealed(text, str(file)),
        indent=2,
    ),
)
BY_NAME: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in KINDS})


LOCK = Kind("weights locks", (), lambda text, file, tree: None)


@dataclass(frozen=True, slots=True)
class Checked:
    """One file that was looked at; `problem` is None where it is what was written."""

    kind: Kind
    file: Path
    problem: Problem | None


def files_of(kind: Kind, root: Path) -> list[Path]:
    """The files of a kind; what a shard has under way is none of them."""
    found = (file for pattern in kind.patterns for file in root.glob(pattern))
    return sorted(file for file in found if not file.parent.name.startswith("."))


def results_trees(root: Path) -> Iterator[Path]:
    """A results tree and those that were measured beside it."""
    yield root
    yield from sorted(root.glob(f"reproductions/*/*/{root}"))


def check_tree(root: Path) -> Iterator[Checked]:
    """Check every record of a tree, kind by kind. Nothing is raised for a damaged one."""
    tree = Tree(root)
    for kind in KINDS:
        for file in files_of(kind, root):
            try:
                kind.check(read_stored(file), file, tree)
            except Damaged as damage:
                yield Checked(kind, file, damage.problem)
            else:
                yield Checked(kind, file, None)
    for name, cells in sorted(tree.environments.items()):
        file = root / "environments" / f"{name}.json"
        if not file.is_file():
            yield Checked(
                BY_NAME["environments"],
                file,
                Problem(str(file), "", f"not there, and {cells} cells refer to it"),
            )


def check_lock(file: Path) -> Iterator[Checked]:
    """Check the weights' lock, entry by entry; nothing where there is none."""
    try:
        problems: Sequence[Problem | None] = WeightsLock.load(file).problems
    except BenchError as error:
        problems = [error.problem if isinstance(error, Damaged) else Problem("", "", str(error))]
    if file.is_file():
        yield from (Checked(LOCK, file, problem) for problem in problems or [None])


def sign(kind: Kind, file: Path) -> bool:
    """Seal a record anew, where its content is a record of its kind. False where it is not, or is made again instead."""
    try:
        if kind is LOCK:
            lock = WeightsLock.load(file).signed()
            lock.save()
            return not lock.damaged
        if kind.name == "runs":
            lines = [
                json.dumps(sealed(strict_json(line, str(file))), ensure_ascii=False)
                for line in _lines(file)
            ]
            write_atomic(file, "".join(f"{line}\n" for line in lines))
            return True
        if kind.indent is None:
            return False
        raw = strict_json(read_stored(file), str(file))
        text = (
            json.dumps(sealed(raw), sort_keys=True, indent=kind.indent, ensure_ascii=False) + "\n"
        )
        kind.check(text, file, Tree(file))
    except BenchError:
        return False
    write_atomic(file, text)
    return True


def _lines(file: Path) -> list[str]:
    return read_stored(file).split("\n")[:-1]


def authors(files: Iterable[Path]) -> Mapping[Path, str]:
    """Who last wrote each file, by git: author and address, or that it is not committed. Empty where there is no git."""
    wanted = {str(file): file for file in files}
    try:
        changed = git("status", "--porcelain", "-z", "--untracked-files=all", "--", ".")
        log = git("log", "--format=%x01%an <%ae>", "--name-only", "-z", "--", ".")
    except BenchError:
        return {}
    if changed is None or log is None:
        return {}
    found = {
        file: NOT_COMMITTED
        for entry in changed.split("\0")
        if (file := wanted.get(entry[3:])) is not None
    }
    author = ""
    for entry in log.replace("\n", "\0").split("\0"):
        if entry.startswith("\x01"):
            author = entry[1:]
        elif entry in wanted:
            found.setdefault(wanted[entry], author)
    return found
