"""A folder of the predecessor's files -> what they hold, and every file and place that could not be placed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from scripts.lib.legacy.attach import Finder, by_run, with_suites
from scripts.lib.legacy.reviews import LegacyReview, is_review, read_review
from scripts.lib.legacy.runs import LegacyRun, is_log, is_run, read_log, read_run
from scripts.lib.legacy.text import decode, read_json
from scripts.lib.legacy.unread import is_compilation, why_not_read
from scripts.lib.legacy.values import text

SUMMARY_NAME = "summary.csv"


class Kind(StrEnum):
    """What a file of the archive was taken for."""

    RUN = "run"
    LOG = "log of one answer"
    REVIEW = "review"
    SUMMARY = "summary"
    METADATA = "metadata of a run"
    DUPLICATE = "duplicate"
    SUPERSEDED = "older version"
    UNPLACED = "not placed"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of the archive, kept byte for byte: path below `sources/`, size, sha256, and what became of it."""

    path: str
    size_bytes: int
    sha256: str
    kind: Kind
    note: str = ""


@dataclass(frozen=True, slots=True)
class Unplaced:
    """A file, or a place in one, that is in no table, and why."""

    file: str
    place: str
    reason: str


@dataclass(frozen=True)
class History:
    """Everything that an archive holds. `summary` is its own copy of the master table (empty: it has none)."""

    sources: tuple[SourceFile, ...]
    runs: tuple[LegacyRun, ...]
    reviews: tuple[LegacyReview, ...]
    unplaced: tuple[Unplaced, ...]
    summary: str = ""


class _Reader:
    """Gathers what the files hold, one after the other."""

    def __init__(self) -> None:
        self.sources: list[SourceFile] = []
        self.runs: list[LegacyRun] = []
        self.logs: dict[tuple[str, str, str], LegacyRun] = {}
        self.reviews: list[LegacyReview] = []
        self.unplaced: list[Unplaced] = []
        self.summaries: list[tuple[int, str, str]] = []
        self._seen: dict[tuple[str, str], str] = {}

    def add(self, path: str, data: bytes) -> None:
        """Read one file. Every file gets a line among the sources, whatever it is."""
        sha256 = hashlib.sha256(data).hexdigest()
        # A run says itself what it is; whose a review or a log is only its name tells.
        content_of = sha256, "" if path.endswith(".json") else PurePosixPath(path).name
        if content_of in self._seen and data:
            kind, note = Kind.DUPLICATE, f"the same bytes as {self._seen[content_of]}"
        else:
            self._seen[content_of] = path
            content, note = decode(data)
            kind, reason = self._place(path, content)
            if kind is Kind.UNPLACED:
                self._miss(path, "", reason)
            note = "; ".join(part for part in (note, reason) if part)
        self.sources.append(SourceFile(path, len(data), sha256, kind, note))

    def _miss(self, file: str, place: str, reason: str) -> None:
        self.unplaced.append(Unplaced(file, place, reason))

    def _place(self, path: str, content: str) -> tuple[Kind, str]:
        """(kind, remark); of what is not placed the remark is the reason."""
        if not content.strip():
            return Kind.UNPLACED, "is empty"
        if path.endswith(".json"):
            return self._json(path, content)
        if is_review(path, content):
            review, odd = read_review(path, content)
            self.reviews.append(review)
            self._odd(path, odd)
            return Kind.REVIEW, f"{len(review.scores)} scores"
        if PurePosixPath(path).name == SUMMARY_NAME:
            self.summaries.append((path.count("/"), path, content))
            return Kind.SUMMARY, ""
        if is_log(path, content):
            return self._log(read_log(path, content))
        return Kind.UNPLACED, why_not_read(path, content)

    def _json(self, path: str, content: str) -> tuple[Kind, str]:
        value, damage, remark = read_json(content)
        if value is None:
            return Kind.UNPLACED, f"is not JSON: {damage or 'it holds nothing'}"
        if not is_run(value):
            if is_compilation(path):
                return Kind.UNPLACED, why_not_read(path, content)
            if isinstance(value, dict) and "run_id" in value and not damage:
                return Kind.METADATA, remark
            what = (
                f"is damaged ({damage}), and what stands before is no run"
                if damage
                else "is no run"
            )
            return Kind.UNPLACED, f"{what}: expected results by suite and question"
        run, odd = read_run(path, value, damage)
        self._odd(path, odd)
        if damage:
            self._miss(
                path,
                damage.partition(":")[0],
                f"is damaged here: {len(run.answers)} answers before it were read",
            )
        if not run.answers or run.mode is None:
            return (
                Kind.UNPLACED,
                "holds no answer" if not run.answers else f"unknown mode: '{run.config}'",
            )
        self.runs.append(run)
        return Kind.RUN, "; ".join(
            part for part in (f"{len(run.answers)} answers", remark, damage) if part
        )

    def _odd(self, path: str, odd: Iterable[tuple[str, str]]) -> None:
        for place, reason in odd:
            self._miss(path, place, reason)

    def _log(self, log: LegacyRun) -> tuple[Kind, str]:
        """Logs of one model and mode in one run are one run of several answers."""
        if log.mode is None:
            return Kind.UNPLACED, f"unknown mode: '{log.config}'"
        key = log.run_id, log.model_path, log.config
        known = self.logs.get(key)
        self.logs[key] = (
            log if known is None else replace(known, answers=known.answers + log.answers)
        )
        return Kind.LOG, ""

    def history(self) -> History:
        """What was read, each review beside its run; copies of a review in deeper folders do not count."""
        runs = (*self.runs, *self.logs.values())
        chosen: dict[tuple[str, bool], LegacyReview] = {}
        for review in sorted(self.reviews, key=lambda r: (r.source.count("/"), r.source)):
            first = chosen.setdefault((review.name, review.rescored), review)
            if first is not review:
                self._miss(review.source, "", f"another copy counts: {first.source}")
        reviews = self._beside_their_runs(tuple(chosen.values()), Finder(runs))
        counting = by_run(reviews)
        for review in (r for r in reviews if r.run and counting[r.run, r.rescored] is not r):
            self._miss(
                review.source,
                "",
                f"another review of its run counts: {counting[review.run, review.rescored].source}",
            )
        summary = min(self.summaries)[2] if self.summaries else ""
        unplaced = sorted(self.unplaced, key=lambda u: (u.file, u.place))
        return History(tuple(self.sources), runs, reviews, tuple(unplaced), summary)

    def _beside_their_runs(
        self, reviews: Sequence[LegacyReview], finder: Finder
    ) -> tuple[LegacyReview, ...]:
        """Each review with its run; one that is found by nothing of its own has the run of the other round's review."""
        found = [finder.find(review) for review in reviews]
        by_name = {
            review.name: run
            for review, (run, _) in zip(reviews, found, strict=True)
            if run is not None
        }
        beside = []
        for review, (run, remark) in zip(reviews, found, strict=True):
            other = by_name.get(review.name) if run is None else None
            beside.append(self._beside(review, run or other, "" if other is not None else remark))
        return tuple(beside)

    def _beside(self, review: LegacyReview, run: LegacyRun | None, remark: str) -> LegacyReview:
        if run is None:
            self._miss(review.source, "", f"scores without a run: {remark}")
            return review
        if remark:
            self._miss(
                review.source, "", f"only its name ties it to its run: {remark}: {run.source}"
            )
        beside, lost = with_suites(review, run)
        for question in lost:
            self._miss(
                review.source, question, f"names no suite, and its run tells none: {run.source}"
            )
        return replace(beside, run=run.source)


def _files(folder: Path) -> list[tuple[Path, str]]:
    """(file, its path below the folder as text that can be written), sorted."""
    return sorted(
        (path, text(path.relative_to(folder).as_posix()))
        for path in folder.rglob("*")
        if path.is_file()
    )


def read_history(folder: Path, superseded: Path, bar: bool = True) -> History:
    """Read every file below a folder; nothing in it makes this fail. Older versions of files (see `store`) are listed only."""
    reader = _Reader()
    for path, name in tqdm(
        _files(folder), desc="reading", unit="file", disable=None if bar else True
    ):
        reader.add(name, path.read_bytes())
    for path, name in _files(superseded):
        data = path.read_bytes()
        sha256 = hashlib.sha256(data).hexdigest()
        reader.sources.append(
            SourceFile(
                name, len(data), sha256, Kind.SUPERSEDED, "a later import has this file anew"
            )
        )
    return reader.history()
