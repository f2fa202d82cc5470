"""Measures the missing fidelity cells of one configuration with one engine load.

Teacher forcing: a block is evaluated as it stands, as one prompt, and every token's prediction of
the next one is looked at. The logits are read a micro-batch at a time. A failure of the model
becomes a cell with status `error`; a failure of the machine is raised. Each finished block is
written under `.partial-…/` and linked to its name, as the cells of a shard are.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from scripts.lib.base.errors import BenchError
from scripts.lib.base.layout import RESULTS
from scripts.lib.base.results_tree import drop, drop_folder
from scripts.lib.base.safe_files import link_into_place, write_atomic_bytes
from scripts.lib.base.stored_json import Damaged, digest, now_utc, read_stored
from scripts.lib.engines.embedded import EmbeddedEngine
from scripts.lib.engines.protocol import EngineFailure, Loaded, Request
from scripts.lib.executor import Start, start
from scripts.lib.fidelity.distributions import (
    SAMPLES,
    Distributions,
    Divergence,
    NotFinite,
    compare,
    cut,
)
from scripts.lib.fidelity.plan import Block, Configuration, FidelityCell, Kind
from scripts.lib.fidelity.record import FidelityId, FidelityRecord, Measured, parse_fidelity
from scripts.lib.fidelity.store import (
    Reference,
    parse_reference,
    read_reference,
    reference_bytes,
)
from scripts.lib.machine.process import StopRequest
from scripts.lib.planning.disk import partial_folder, partial_name
from scripts.lib.planning.weights_guard import WeightsGuard

PARTIAL = "fidelity"


@dataclass(frozen=True, slots=True)
class FidelityJob:
    """One configuration to measure, and where its results are stored."""

    configuration: Configuration
    root: Path
    run_id: str
    describe_environment: Callable[[Loaded], str]
    guard: WeightsGuard

    @property
    def partial(self) -> Path:
        """The folder where finished cells are kept until all are there."""
        return partial_folder(self.root / self.configuration.folder, PARTIAL)

    def partial_file(self, cell: FidelityCell) -> Path:
        """The first name of a finished cell."""
        return self.partial / partial_name(cell.name)


@dataclass(frozen=True, slots=True)
class Tokens:
    """A block's token ids. `answer_at`: the first place whose next token is the answer's."""

    ids: tuple[int, ...]
    answer_at: int

    @property
    def digest(self) -> str:
        """A digest of the ids."""
        return digest(list(self.ids), 64)

    @property
    def following(self) -> npt.NDArray[np.uint32]:
        """The token after each place, shape (places,)."""
        return np.array(self.ids[1:], np.uint32)

    def draws(self) -> npt.NDArray[np.float64]:
        """The numbers that choose the tail's samples: the same for the same tokens."""
        return np.random.default_rng(int(self.digest, 16)).random((len(self.ids) - 1, SAMPLES))


def tokens_of(engine: EmbeddedEngine, block: Block) -> Tokens:
    """The block as the model reads it. Raises EngineFailure for a failing template or tokenizer."""
    messages = list(block.messages)
    system = messages.pop(0)[1] if messages[0][0] == "system" else ""

    def ids(prefill: str) -> list[int]:
        # An answer is given without a thought before it.
        return engine.prompt_tokens(
            Request(
                user=messages[-1][1], system=system, thinking=False, temperature=0.0, top_p=1.0,
                seed=0, max_tokens=1, stop=(), timeout_s=0.0, prefill=prefill,
                turns=tuple(messages[:-1]),
            )
        )  # fmt: skip

    prompt, whole = ids(""), ids(block.answer)
    shared = 0
    for a, b in zip(prompt, whole, strict=False):
        if a != b:
            break
        shared += 1
    if len(whole) < 2:
        raise EngineFailure(f"the block has {len(whole)} tokens: nothing is predicted")
    return Tokens(tuple(whole), min(max(shared - 1, 0), len(whole) - 1))


def evaluated(
    engine: EmbeddedEngine, tokens: Tokens, wanted: Iterable[Kind], reference: Reference | None
) -> tuple[Distributions | None, Divergence | None]:
    """One pass over a block: its distributions, and its divergence from the reference.

    Raises EngineFailure.
    """
    kinds, following, draws = frozenset(wanted), tokens.following, tokens.draws()
    cuts, compared, place = list[Distributions](), list[Divergence](), 0
    try:
        for logits in engine.evaluate(tokens.ids):
            # Nothing follows the last token.
            end = min(place + len(logits), len(following))
            rows, after = logits[: end - place], following[place:end]
            if Kind.REFERENCE in kinds:
                cuts.append(cut(rows, after, draws[place:end]))
            if reference is not None and reference.distributions is not None:
                part = reference.distributions.part(place, end)
                compared.append(compare(rows, after, part))
            place = end
    except NotFinite as error:
        raise EngineFailure(str(error)) from error
    return (
        Distributions.joined(cuts) if cuts else None,
        Divergence.joined(compared) if compared else None,
    )


def checked_reference(file: Path) -> Reference:
    """The distributions that a comparison needs. Raises BenchError if they cannot be used."""
    try:
        return read_reference(file)
    except FileNotFoundError:
        raise BenchError(
            f"{file}: the reference's distributions are missing: run the same target again"
        ) from None


def unlike(reference: Reference, tokens: Tokens, vocabulary: int) -> str:
    """Why a reference cannot be compared with this block (empty: it can)."""
    if reference.status != "ok":
        return f"its reference failed: {reference.error}"
    if reference.vocabulary != vocabulary:
        return f"its vocabulary has {vocabulary} tokens, the reference's {reference.vocabulary}"
    if reference.tokens_digest != tokens.digest:
        return "its tokenizer or template gives other tokens than the reference's"
    return ""


@dataclass(frozen=True, slots=True)
class _Stored:
    """A finished cell: its target, the content of its file, whether it failed."""

    cell: FidelityCell
    content: bytes
    failed: bool


@dataclass(frozen=True, slots=True)
class _Evaluated:
    """What one pass over a block gave. `error`: of the model; `unfit`: why it was not compared."""

    began_utc: str
    tokens: Tokens = Tokens((0, 0), 0)
    vocabulary: int = 0
    made: Distributions | None = None
    found: Divergence | None = None
    reference_logprob: float = 0.0
    elapsed_s: float = 0.0
    error: str | None = None
    unfit: str = ""


class _Running:
    """A configuration's engine, loaded and checked. Its failure becomes that of every cell."""

    def __init__(self, job: FidelityJob, engine: EmbeddedEngine):
        self._job, self._engine = job, engine
        job.guard.check()
        self._start: Start = start(job.configuration.shard, engine)
        self._environment = job.describe_environment(self._start.loaded)

    def measure(self, cells: Sequence[FidelityCell]) -> Iterator[_Stored]:
        """The cells of one block."""
        began = now_utc()
        needed = next((cell.reference_file for cell in cells if cell.reference_file), "")
        reference = checked_reference(self._job.root / needed) if needed else None
        try:
            if self._start.failure is not None:
                raise self._start.failure.with_traceback(None)
            got = self._evaluate(began, cells, reference)
        except EngineFailure as failure:
            got = _Evaluated(began, error=str(failure))
        for cell in cells:
            is_reference = cell.kind is Kind.REFERENCE
            yield self._reference(cell, got) if is_reference else self._comparison(cell, got)

    def _evaluate(
        self, began: str, cells: Sequence[FidelityCell], reference: Reference | None
    ) -> _Evaluated:
        tokens, vocabulary = tokens_of(self._engine, cells[0].block), self._engine.vocabulary
        got, kinds = _Evaluated(began, tokens, vocabulary), [cell.kind for cell in cells]
        if reference is not None and (unfit := unlike(reference, tokens, vocabulary)):
            got, reference = replace(got, unfit=unfit), None
            if Kind.REFERENCE not in kinds:
                return got
        clock = time.perf_counter()
        made, found = evaluated(self._engine, tokens, kinds, reference)
        elapsed, its = time.perf_counter() - clock, 0.0
        if reference is not None and reference.distributions is not None:
            its = float(reference.distributions.logprob.mean(dtype=np.float64))
        return replace(
            got, made=made, found=found, reference_logprob=its, elapsed_s=elapsed
        )  # fmt: skip

    def _reference(self, cell: FidelityCell, got: _Evaluated) -> _Stored:
        stored = Reference(
            cell=f"{cell.folder}/{cell.cell.id.suite}/{cell.cell.id.question}",
            digest=cell.cell.digest,
            spec=cell.cell.spec,
            status="ok" if got.made is not None else "error",
            error=got.error,
            tokens_digest=got.tokens.digest,
            answer_at=got.tokens.answer_at,
            vocabulary=got.vocabulary,
            distributions=got.made,
            environment=self._environment,
            started_utc=got.began_utc,
            run_id=self._job.run_id,
        )
        return _Stored(cell, reference_bytes(stored), got.made is None)

    def _comparison(self, cell: FidelityCell, got: _Evaluated) -> _Stored:
        measured, kept = None, cell.cell.id
        if got.found is not None:
            measured = Measured.of(
                got.found, got.reference_logprob, got.tokens.answer_at, got.elapsed_s
            )
        record = FidelityRecord(
            cell=FidelityId(kept.hardware, kept.model, kept.mode, kept.suite, kept.question),
            digest=cell.cell.digest,
            spec=cell.cell.spec,
            status="ok" if measured is not None else "error",
            error=None if measured is not None else got.error or got.unfit,
            measured=measured,
            effective=self._start.loaded.effective,
            environment=self._environment,
            started_utc=got.began_utc,
            run_id=self._job.run_id,
        )
        return _Stored(cell, record.to_json().encode(), measured is None)


def by_block(cells: Iterable[FidelityCell]) -> list[list[FidelityCell]]:
    """The cells of each block together: one evaluation serves both kinds."""
    found: dict[str, list[FidelityCell]] = {}
    for cell in cells:
        found.setdefault(cell.block.question.name_in_full, []).append(cell)
    return list(found.values())


def store(job: FidelityJob, cell: FidelityCell, content: bytes) -> None:
    """Write one finished cell under .partial, and link it to its own name."""
    partial = job.partial_file(cell)
    write_atomic_bytes(partial, content)
    link_into_place(partial, job.root / cell.file)


def _is_of(leftover: Path, cell: FidelityCell) -> bool:
    """True if a file that another run left is this cell, undamaged."""
    try:
        if cell.kind is Kind.REFERENCE:
            return parse_reference(leftover.read_bytes(), str(leftover)).digest == cell.cell.digest
        record = parse_fidelity(read_stored(leftover), str(leftover))
    except Damaged:
        return False
    return f"{record.cell.suite}/{record.cell.question}.{record.digest}.json" == cell.name


def restore(job: FidelityJob) -> int:
    """Link back the finished cells of a run that was cut off, and count them."""
    restored = 0
    for cell in job.configuration.pending():
        leftover = job.partial_file(cell)
        if leftover.is_file() and _is_of(leftover, cell):
            link_into_place(leftover, job.root / cell.file)
            restored += 1
        elif leftover.is_file():
            drop(leftover, job.root / RESULTS)
    return restored


def run(
    job: FidelityJob, engine: EmbeddedEngine, cells: Sequence[FidelityCell], bar: bool = True
) -> int:
    """Measure `cells` and store each. Returns the number of cells that failed.

    Raises KeyboardInterrupt on Ctrl-C: after the block in flight, or at once for a second one.
    Raises BenchError where the weights are not the planned ones, or the reference is unusable.
    """
    running, failed = _Running(job, engine), 0
    blocks = by_block(cells)
    with StopRequest() as stop:
        for of_block in tqdm(
            blocks,
            desc=f"fidelity {job.configuration.name}",
            unit="block",
            disable=None if bar else True,
            dynamic_ncols=True,
            mininterval=0.5,
        ):
            made = list(running.measure(of_block))
            job.guard.check()
            for one in made:
                store(job, one.cell, one.content)
                failed += one.failed
            if stop.asked:
                break
    engine.unload()
    if stop.asked:
        raise KeyboardInterrupt
    return failed


def finish(job: FidelityJob) -> None:
    """Delete the .partial folder of a complete configuration."""
    drop_folder(job.partial, job.root / RESULTS)


def report_failures(name: str, failed: int) -> None:
    """Say how many cells failed: each has the reason in its file."""
    if failed:
        print(f"{name}: {failed} fidelity cells failed; their files say why", file=sys.stderr)
