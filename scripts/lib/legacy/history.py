"""Reads a folder of the predecessor's files, and lists every file and place that is not used."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
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
    """What a file of the archive was read as."""

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
    """One file of the archive: path below `sources/`, size, sha256, and what it was read as."""

    file: str
    size_bytes: int
    sha256: str
    kind: Kind
    note: str = ""


@dataclass(frozen=True, slots=True)
class Unplaced:
    """A file, or a place in one, that is in no table, and the reason."""

    file: str
    place: str
    reason: str


@dataclass(frozen=True)
class History:
    """Everything that an archive holds. `summary`: its own copy of the master table, or empty."""

    sources: tuple[SourceFile, ...]
    runs: tuple[LegacyRun, ...]
    reviews: tuple[LegacyReview, ...]
    unplaced: tuple[Unplaced, ...]
    summary: str = ""


def _joined(*parts: str) -> str:
    return "; ".join(filter(None, parts))


class _Reader:
    """Collects what the files hold, one file after the other."""

    def __init__(self) -> None:
        self.sources: list[SourceFile] = []
        self.runs: list[LegacyRun] = []
        self.logs: dict[tuple[str, str, str], LegacyRun] = {}
        self.reviews: list[LegacyReview] = []
        self.unplaced: list[Unplaced] = []
        self.summaries: list[tuple[int, str, str]] = []
        self._seen: dict[tuple[str, str], str] = {}

    def add(self, path: str, data: bytes) -> None:
        """Read one file. Each file is listed among the sources, whatever it holds."""
        sha256 = hashlib.sha256(data).hexdigest()
        # A run names itself in its content; a review or a log is named by its file only.
        content_of = sha256, "" if path.endswith(".json") else PurePosixPath(path).name
        if content_of in self._seen and data:
            kind, note = Kind.DUPLICATE, f"the same bytes as {self._seen[content_of]}"
        else:
            self._seen[content_of] = path
            content, note = decode(data)
            kind, reason = self._place(path, content)
            if kind is Kind.UNPLACED:
                self._miss(path, ("", reason))
            note = _joined(note, reason)
        self.sources.append(SourceFile(path, len(data), sha256, kind, note))

    def _miss(self, file: str, *odd: tuple[str, str]) -> None:
        """List (place, reason) pairs of a file; the place is empty for the whole file."""
        self.unplaced += [Unplaced(file, place, reason) for place, reason in odd]

    def _place(self, path: str, content: str) -> tuple[Kind, str]:
        """(kind, remark); the remark on a file that is not placed is the reason."""
        if not content.strip():
            return Kind.UNPLACED, "empty file"
        if path.endswith(".json"):
            return self._json(path, content)
        if is_review(path, content):
            review, odd = read_review(path, content)
            self.reviews.append(review)
            self._miss(path, *odd)
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
            return Kind.UNPLACED, f"not JSON: {damage or 'it holds nothing'}"
        if not is_run(value):
            if is_compilation(path):
                return Kind.UNPLACED, why_not_read(path, content)
            if isinstance(value, dict) and "run_id" in value and not damage:
                return Kind.METADATA, remark
            what = f"damaged ({damage}), and not a run before that" if damage else "not a run"
            return Kind.UNPLACED, f"{what}: expected results by suite and question"
        run, odd = read_run(path, value, damage)
        self._miss(path, *odd)
        if isinstance(run, str):
            return Kind.UNPLACED, run
        self.runs.append(run)
        return Kind.RUN, _joined(f"{len(run.answers)} answers", remark, damage)

    def _log(self, log: LegacyRun | str) -> tuple[Kind, str]:
        """Join the logs of one model and mode in one run to a run of several answers."""
        if isinstance(log, str):
            return Kind.UNPLACED, log
        key = log.run_id, log.model_path, log.config
        first = self.logs.get(key, replace(log, answers=()))
        self.logs[key] = replace(first, answers=first.answers + log.answers)
        return Kind.LOG, ""

    def history(self) -> History:
        """What was read, each review with its run; copies in deeper folders are not used."""
        runs = (*self.runs, *self.logs.values())
        chosen: dict[tuple[str, bool], LegacyReview] = {}
        for review in sorted(self.reviews, key=lambda r: (r.source.count("/"), r.source)):
            first = chosen.setdefault((review.name, review.rescored), review)
            if first is not review:
                self._miss(review.source, ("", f"another copy is used: {first.source}"))
        reviews = self._with_runs(tuple(chosen.values()), Finder(runs))
        used = by_run(reviews)
        for review in (r for r in reviews if r.run and used[r.run, r.rescored] is not r):
            other = used[review.run, review.rescored].source
            self._miss(review.source, ("", f"another review of its run is used: {other}"))
        summary = min(self.summaries)[2] if self.summaries else ""
        return History(tuple(self.sources), runs, reviews, tuple(self.unplaced), summary)

    def _with_runs(
        self, reviews: Sequence[LegacyReview], finder: Finder
    ) -> tuple[LegacyReview, ...]:
        """Each review with its run; if none was found, with that of the other round's review."""
        found = [(review, *finder.find(review)) for review in reviews]
        by_name = {review.name: run for review, run, _ in found if run is not None}
        made = []
        for review, run, remark in found:
            if run is None and review.name in by_name:
                run, remark = by_name[review.name], ""
            made.append(self._with_run(review, run, remark))
        return tuple(made)

    def _with_run(self, review: LegacyReview, run: LegacyRun | None, remark: str) -> LegacyReview:
        if run is None:
            self._miss(review.source, ("", f"scores of an unknown run: {remark}"))
            return review
        if remark:
            reason = f"matched to its run by its name only: {remark}: {run.source}"
            self._miss(review.source, ("", reason))
        made, lost = with_suites(review, run)
        reason = f"the suite is neither in the review nor clear from its run: {run.source}"
        self._miss(review.source, *((question, reason) for question in lost))
        return replace(made, run=run.source)


def _files(folder: Path) -> list[tuple[Path, str]]:
    """(file, its path below the folder as text that UTF-8 can encode), sorted."""
    return sorted(
        (path, text(path.relative_to(folder).as_posix()))
        for path in folder.rglob("*")
        if path.is_file()
    )


def read_history(folder: Path, superseded: Path) -> History:
    """Read every file below a folder; no content makes it fail.

    The older versions of files in `superseded` (see `store`) are only listed.
    """
    reader = _Reader()
    for path, name in tqdm(_files(folder), desc="reading", unit="file", disable=None):
        reader.add(name, path.read_bytes())
    for path, name in _files(superseded):
        data = path.read_bytes()
        sha256, note = hashlib.sha256(data).hexdigest(), "a later import replaced this file"
        reader.sources.append(SourceFile(name, len(data), sha256, Kind.SUPERSEDED, note))
    return reader.history()
