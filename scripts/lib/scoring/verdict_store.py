"""The verdict store: one sealed file per judgement, named by its digest, verified on every read.

verdicts/{series}/{aa}/{digest}.json    a verdict; it counts when its batch was accepted
verdicts/{series}/batches/{batch}.json  a closed batch: its items, and the findings of its checks
verdicts/{series}/open/{batch}.json     an open batch; a restart continues it
verdicts/{series}/quarantine/{batch}/   the verdicts of a batch that failed its checks: never used
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

from scripts.lib.base.errors import Problem
from scripts.lib.base.layout import VERDICTS
from scripts.lib.base.safe_files import write_atomic
from scripts.lib.base.stored_json import (
    SEAL,
    Damaged,
    read_sealed,
    read_stored,
    sealed,
    strict_json,
)
from scripts.lib.base.untrusted_text import one_line
from scripts.lib.scoring.rubric import CriterionScore, QuestionScore
from scripts.lib.scoring.series import Item, Reply, Role, Series, Usage, verdict_digest

SCHEMA_VERSION = 1
T = TypeVar("T")
# A reply that gives no score (malformed, cut off, refused) is asked for again by later runs, until
# there were this many.
MOST_TIMES = 3
ACCEPTED, QUARANTINED, CALIBRATION = "accepted", "quarantined", "calibration"


def _sealed_text(record: Any, **more: Any) -> str:
    """A record as readable JSON, sealed."""
    body = sealed(asdict(record) | more)
    return json.dumps(body, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


@dataclass(frozen=True, slots=True)
class JudgeVerdict:
    """One stored judgement. `label` is the question first judged with this material.

    `times`: the replies to it so far, over all runs; a transient failure is none.
    """

    digest: str
    series: str
    pair: str
    batch: str
    role: Role
    label: str
    scored: QuestionScore
    transient: bool
    reply: Reply
    judged_utc: str
    times: int = 1

    @property
    def is_final(self) -> bool:
        """True if the judge is not asked again: it gave a score, or none in MOST_TIMES replies."""
        return not self.transient and (self.score is not None or self.times >= MOST_TIMES)

    @property
    def score(self) -> int | None:
        """The score from 0 to 3; None if it is unscored."""
        return self.scored.score

    def to_json(self) -> str:
        """Readable JSON with the seal of all other fields."""
        return _sealed_text(self, score=self.score, schema_version=SCHEMA_VERSION)


def parse_verdict(text: str, origin: str) -> JudgeVerdict:
    """Read a stored verdict. Raises Damaged, which names `origin`, if it was changed."""
    raw = read_sealed(text, origin)
    version = raw.get("schema_version")
    if version != SCHEMA_VERSION:
        raise Damaged(origin, f"schema_version: expected {SCHEMA_VERSION}, found {version!r}")
    try:
        del raw["schema_version"], raw["score"], raw[SEAL]
        criteria = tuple(CriterionScore(**item) for item in raw["scored"].pop("criteria"))
        raw["scored"] = QuestionScore(criteria, **raw["scored"])
        raw["reply"] = Reply(**raw["reply"] | {"usage": Usage(**raw["reply"]["usage"])})
        return JudgeVerdict(**raw | {"role": Role(raw["role"])})
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Damaged(origin, f"not a verdict ({error})") from error


@dataclass(frozen=True, slots=True)
class ItemOutcome:
    """An item of a closed batch. `first`: the score of the verdict that a retest repeats.

    `kind`, `expected` and `source`: see `Item`.
    """

    digest: str
    pair: str
    role: Role
    label: str
    kind: str
    expected: int | None
    score: int | None
    unscored: str
    answered: bool
    first: int | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """A closed batch: accepted, or quarantined with the findings. Money in US dollars.

    `stops`: why nothing more is judged in the series after it; empty if it goes on.
    """

    batch: str
    series: str
    status: str
    findings: tuple[str, ...]
    items: tuple[ItemOutcome, ...]
    usd: float
    opened_utc: str
    closed_utc: str
    stops: str = ""

    def to_json(self) -> str:
        """Readable JSON with the seal of all other fields."""
        return _sealed_text(self)


def parse_batch(text: str, origin: str) -> BatchRecord:
    """Read a closed batch. Raises Damaged, which names `origin`, if it was changed."""
    raw = read_sealed(text, origin)
    try:
        del raw[SEAL]
        items = tuple(
            ItemOutcome(**item | {"role": Role(item["role"])}) for item in raw.pop("items")
        )
        return BatchRecord(**raw | {"findings": tuple(raw["findings"])}, items=items)
    except (ValueError, TypeError, KeyError) as error:
        raise Damaged(origin, f"not a batch record ({error})") from error


def _quarantined_pairs(record: BatchRecord) -> dict[str, str]:
    failed = record.status == QUARANTINED
    return {item.pair: record.batch for item in record.items if failed and item.role is Role.PAIR}


def parse_series(text: str, file: Path) -> Series:
    """Read a series' description. Raises Damaged if its folder has another series' name."""
    raw = strict_json(text, str(file))
    try:
        found = Series(raw.pop("scorer"), raw.pop("model"), raw)
    except KeyError as error:
        raise Damaged(str(file), f"not a series: expected {error}") from error
    if found.name != file.parent.name:
        raise Damaged(str(file), f"it describes the series {found.name}")
    return found


def all_series(root: Path = VERDICTS) -> tuple[Series, ...]:
    """Every series in the tree, by name, without those whose series.json is damaged."""
    found = []
    for file in sorted(root.glob("*/series.json")):
        with contextlib.suppress(Damaged):
            found.append(parse_series(read_stored(file), file))
    return tuple(found)


class VerdictStore:
    """The verdicts of one series.

    `damaged`: the records that were changed after they were written. They count as missing.
    """

    def __init__(self, series: Series, root: Path = VERDICTS):
        self.damaged: dict[str, Problem] = {}
        self.series = series
        self.folder = root / series.name

    def all(self) -> Iterator[JudgeVerdict]:
        """Every usable verdict on an answer, in the order of the digests."""
        for file in sorted(self.folder.glob("[0-9a-f][0-9a-f]/*.json")):
            verdict = self.read(file.stem)
            if verdict and verdict.role is Role.PAIR and self.usable(verdict.pair):
                yield verdict

    def sample(self) -> Iterator[JudgeVerdict]:
        """Verdicts of every role and batch in the order of their digests, so a random sample."""
        for file in sorted(self.folder.glob("[0-9a-f][0-9a-f]/*.json")):
            verdict = self.read(file.stem)
            if verdict is not None:
                yield verdict

    def path(self, digest: str) -> Path:
        """The file of a verdict."""
        return self.folder / digest[:2] / f"{digest}.json"

    def read(self, digest: str) -> JudgeVerdict | None:
        """The verdict of that name, of any batch; None if it is missing or damaged."""
        path = self.path(digest)
        return self._believed(path, lambda text: self._own(parse_verdict(text, str(path)), digest))

    def _own(self, verdict: JudgeVerdict, digest: str) -> JudgeVerdict:
        if (verdict.digest, verdict.series) != (digest, self.series.name):
            raise Damaged(
                str(self.path(digest)),
                f"it contains the verdict {verdict.digest} of {verdict.series}",
            )
        return verdict

    def _believed(self, path: Path, parse: Callable[[str], T]) -> T | None:
        try:
            return parse(read_stored(path))
        except FileNotFoundError:
            return None
        except Damaged as damage:
            self.damaged[str(path)] = damage.problem
            return None

    def write(self, verdict: JudgeVerdict) -> None:
        """Store a verdict; the first one also stores the description of the series."""
        about = self.folder / "series.json"
        if not about.exists():
            write_atomic(about, json.dumps(self.series.to_json(), indent=1, sort_keys=True) + "\n")
        write_atomic(self.path(verdict.digest), verdict.to_json())

    @cached_property
    def batches(self) -> dict[str, BatchRecord]:
        """The closed batches by name: those of the tree at the first use, and those since."""
        files = sorted((self.folder / "batches").glob("*.json"))
        parsed = (self._believed(file, partial(parse_batch, origin=str(file))) for file in files)
        return {record.batch: record for record in parsed if record is not None}

    @property
    def in_order(self) -> list[BatchRecord]:
        """The closed batches, the oldest first."""
        return sorted(self.batches.values(), key=lambda record: record.closed_utc)

    @property
    def stop(self) -> str:
        """Why nothing more is judged in this series; empty if it may go on."""
        return next((record.stops for record in self.in_order if record.stops), "")

    @property
    def accepted(self) -> list[BatchRecord]:
        """The accepted batches, the oldest first."""
        return [record for record in self.in_order if record.status == ACCEPTED]

    @property
    def standing(self) -> str:
        """Why the scores of this series are not ranked; empty for a judge that is proved.

        It was stopped, or its newest calibration failed, or there is none.
        """
        if self.stop:
            return f"the judge was stopped: {self.stop}"
        calibrations = [r for r in self.in_order if r.status == CALIBRATION]
        if not calibrations:
            return "the judge is not calibrated"
        failed = calibrations[-1].findings
        return f"the judge failed its calibration: {failed[0]}" if failed else ""

    @cached_property
    def _quarantined(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for record in self.batches.values():
            found |= _quarantined_pairs(record)
        return found

    def usable(self, pair: str) -> JudgeVerdict | None:
        """The verdict that counts for a pair; None if there is none.

        Its batch was accepted, and it is final: scored, or unscored for good.
        """
        verdict = self.read(verdict_digest(self.series, pair))
        if verdict is None or not verdict.is_final or verdict.batch not in self.batches:
            return None
        return verdict if self.batches[verdict.batch].status == ACCEPTED else None

    def why_not(self, pair: str) -> str:
        """Why a pair has no usable verdict."""
        digest = verdict_digest(self.series, pair)
        verdict, file = self.read(digest), str(self.path(digest))
        if file in self.damaged:
            return str(self.damaged[file])
        if verdict is not None and not verdict.is_final and verdict.score is None:
            return verdict.scored.unscored
        if verdict is not None and verdict.batch not in self.batches:
            return f"batch {verdict.batch} of the judge is not finished"
        if self.is_quarantined(pair):
            record = self.batches[self._quarantined[pair]]
            return f"batch {record.batch} is quarantined: {record.findings[0]}"
        return self.stopped() or "not judged yet"

    def is_quarantined(self, pair: str) -> bool:
        """True if a failed batch had the pair and no later verdict has replaced it."""
        return pair in self._quarantined and self.read(verdict_digest(self.series, pair)) is None

    def write_closed(self, record: BatchRecord) -> None:
        """Write a batch's record, move a failed batch's verdicts away, and delete the open batch.

        The record decides. After a crash in between, verdicts do not count, and the next run closes
        the batch again. This only touches files, so it may run in a thread.
        """
        write_atomic(self.folder / "batches" / f"{record.batch}.json", record.to_json())
        if record.status == QUARANTINED:
            for item in record.items:
                self._move_away(item.digest, record.batch)
        self.open_file(record.batch).unlink(missing_ok=True)

    def remember(self, record: BatchRecord) -> None:
        """Count a batch as closed from now on."""
        self.batches[record.batch] = record
        self._quarantined.update(_quarantined_pairs(record))

    def _move_away(self, digest: str, batch: str) -> None:
        source = self.path(digest)
        if source.exists():
            target = self.folder / "quarantine" / batch / source.name
            target.parent.mkdir(parents=True, exist_ok=True)
            source.replace(target)

    def open_file(self, batch: str) -> Path:
        """The file of an open batch."""
        return self.folder / "open" / f"{batch}.json"

    @property
    def lock_file(self) -> Path:
        """The lock of the process that works on the open batches."""
        return self.folder / "open" / "lock"

    def open_batches(self) -> Iterator[str]:
        """The open batches, by name: the oldest first."""
        yield from sorted(file.stem for file in (self.folder / "open").glob("*.json"))

    # Unfinished work is stored: reviews show it, and the next run continues there.

    @property
    def _unfinished(self) -> Path:
        return self.folder / "unfinished.json"

    def _read_unfinished(self) -> tuple[dict[str, Any], tuple[Problem, ...]]:
        try:
            found = json.loads(self._unfinished.read_text(encoding="utf-8"))
            if all(isinstance(text, str) for text in (found["reason"], *found["reviews"])):
                return found, ()
            reason = "expected a reason and a list of reviews"
        except FileNotFoundError:
            return {}, ()
        except OSError as error:
            reason = str(error.strerror)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            reason = one_line(error)
        message = f"damaged ({reason}): it is unknown which reviews wait"
        return {}, (Problem(str(self._unfinished), "", message),)

    def unfinished(self) -> dict[str, Any]:
        """`reason` and `reviews` (files with unjudged answers); empty without a valid note."""
        return self._read_unfinished()[0]

    def unfinished_damage(self) -> tuple[Problem, ...]:
        """The damage of the note on unfinished work: any review may then have unjudged answers."""
        return self._read_unfinished()[1]

    def set_unfinished(self, reason: str, reviews: Iterable[str], covered: Iterable[str]) -> None:
        """Note which reviews wait, and why. Reviews that a run did not cover keep waiting."""
        others = set(self.unfinished().get("reviews", ())) - set(covered)
        waiting = sorted({*others, *reviews})
        if waiting:
            note = {"reason": reason, "reviews": waiting}
            write_atomic(self._unfinished, json.dumps(note, indent=1) + "\n")
        else:
            self._unfinished.unlink(missing_ok=True)

    def stopped(self) -> str:
        """Why the last run left answers unjudged; empty if it did not."""
        return str(self.unfinished().get("reason", ""))


def outcome(item: Item, verdict: JudgeVerdict | None, first: int | None = None) -> ItemOutcome:
    """An item and its result. A transient failure is not an answer."""
    return ItemOutcome(
        digest=item.digest,
        pair=item.shown.pair,
        role=item.role,
        label=item.label,
        kind=item.kind,
        expected=item.expected,
        score=verdict.score if verdict is not None else None,
        unscored=verdict.scored.unscored if verdict is not None else "not answered",
        answered=verdict is not None and not verdict.transient,
        first=first,
        source=item.source,
    )
