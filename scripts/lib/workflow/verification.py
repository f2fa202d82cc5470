"""Checks a results tree: whether records are undamaged and fit together, and who wrote them."""

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
from scripts.lib.fidelity.record import parse_fidelity
from scripts.lib.fidelity.store import read_reference
from scripts.lib.machine.environment_record import environment_record
from scripts.lib.planning.cell_record import parse_named_cell
from scripts.lib.results.probe_outcomes import parse_outcome
from scripts.lib.results.review_check import SeenCell
from scripts.lib.results.review_rows import read_review
from scripts.lib.scoring.verdict_store import parse_batch, parse_series, parse_verdict
from scripts.lib.weights.facts import WeightsLock

NOT_COMMITTED = "(not committed)"


@dataclass
class Tree:
    """The part of a results tree that was checked so far. `cells`: by the path that reviews use."""

    root: Path
    cells: dict[str, SeenCell | None] = field(default_factory=dict)
    environments: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of record: where its files are below the tree's root, and its check (raises Damaged).

    `indent`: that of its JSON, if the record can be sealed again. None if it is derived, or named
    by its content: such a record must be made again. `is_text`: False for a file whose check reads
    it itself.
    """

    name: str
    patterns: tuple[str, ...]
    check: Callable[[str, Path, Tree], object]
    indent: int | None = None
    is_text: bool = True


def _fidelity(text: str, file: Path, tree: Tree) -> None:
    tree.environments[parse_fidelity(text, str(file)).environment] += 1


def _reference(text: str, file: Path, tree: Tree) -> None:
    tree.environments[read_reference(file).environment] += 1


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
            raise Damaged(str(file), "the cell is not the one that was reviewed", row.cell_file)
        if row.cell_file not in tree.cells:
            raise Damaged(str(file), "the cell that was reviewed is missing", row.cell_file)


def _run(text: str, file: Path, tree: Tree) -> None:
    damaged = read_rows(file.parent).damaged
    if damaged:
        more = f" (and {len(damaged) - 1} more lines)" if len(damaged) > 1 else ""
        message = damaged[0].message.removeprefix("damaged: ") + more
        raise Damaged(str(file), message, damaged[0].place)


# The order matters: reviews are checked against the cells that were read before.
KINDS = (
    Kind("cells", ("cells/*/*/*/*/*.json",), _cell, indent=2),
    Kind("fidelity", ("fidelity/*/*/*/*/*.json",), _fidelity, indent=2),
    Kind("references", ("fidelity/*/*/*/*/*.ref",), _reference, is_text=False),
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
    """One file that was checked; `problem` is None if it is undamaged."""

    kind: Kind
    file: Path
    problem: Problem | None


def files_of(kind: Kind, root: Path) -> list[Path]:
    """The files of a kind, without those of an unfinished shard."""
    found = (file for pattern in kind.patterns for file in root.glob(pattern))
    return sorted(file for file in found if not file.parent.name.startswith("."))


def results_trees(root: Path) -> Iterator[Path]:
    """A results tree, and the trees of its reproductions."""
    yield root
    yield from sorted(root.glob(f"reproductions/*/*/{root}"))


def check_tree(root: Path) -> Iterator[Checked]:
    """Check every record of a tree, kind by kind. Damage is returned, not raised."""
    tree = Tree(root)
    for kind in KINDS:
        for file in files_of(kind, root):
            try:
                kind.check(read_stored(file) if kind.is_text else "", file, tree)
            except Damaged as damage:
                yield Checked(kind, file, damage.problem)
            else:
                yield Checked(kind, file, None)
    for name, cells in sorted(tree.environments.items()):
        file = root / "environments" / f"{name}.json"
        if not file.is_file():
            problem = Problem(str(file), "", f"missing, and {cells} cells refer to it")
            yield Checked(BY_NAME["environments"], file, problem)


def check_lock(file: Path) -> Iterator[Checked]:
    """Check the weights' lock, entry by entry, if there is one."""
    try:
        problems: Sequence[Problem | None] = WeightsLock.load(file).problems
    except BenchError as error:
        problems = [error.problem if isinstance(error, Damaged) else Problem("", "", str(error))]
    if file.is_file():
        yield from (Checked(LOCK, file, problem) for problem in problems or [None])


def sign(kind: Kind, file: Path) -> bool:
    """Seal a record again. False if its content is not valid, or if it must be made again."""
    try:
        if kind is LOCK:
            lock = WeightsLock.load(file).signed()
            lock.save()
            return not lock.damaged
        if kind.name == "runs":
            lines = []
            for line in read_stored(file).split("\n")[:-1]:
                record = sealed(strict_json(line, str(file)))
                lines.append(json.dumps(record, ensure_ascii=False) + "\n")
            write_atomic(file, "".join(lines))
            return True
        if kind.indent is None:
            return False
        raw = strict_json(read_stored(file), str(file))
        text = json.dumps(sealed(raw), sort_keys=True, indent=kind.indent, ensure_ascii=False)
        text += "\n"
        kind.check(text, file, Tree(file))
    except BenchError:
        return False
    write_atomic(file, text)
    return True


def authors(files: Iterable[Path]) -> Mapping[Path, str]:
    """File -> who last wrote it, by git (author, address), or NOT_COMMITTED. Empty without git."""
    wanted = {str(file): file for file in files}
    try:
        changed = git("status", "--porcelain", "-z", "--untracked-files=all", "--", ".")
        log = git("log", "--format=%x01%an <%ae>", "--name-only", "-z", "--", ".")
    except BenchError:
        return {}
    if changed is None or log is None:
        return {}
    found = {}
    for entry in changed.split("\0"):
        if entry[3:] in wanted:
            found[wanted[entry[3:]]] = NOT_COMMITTED
    author = ""
    for entry in log.replace("\n", "\0").split("\0"):
        if entry.startswith("\x01"):
            author = entry[1:]
        elif entry in wanted:
            found.setdefault(wanted[entry], author)
    return found
