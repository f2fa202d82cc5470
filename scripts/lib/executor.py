"""Runs the missing cells of one shard with one engine load, and stores each before the next begins.

A failure of the model becomes a cell with `status: error`. A failure of the machine (disk full,
weights gone) is raised and leaves every finished cell in place. Snakemake deletes the declared
outputs of a job that fails. So a cell is written under `.partial-…/` beside the shard's suites and
linked to its name; the next start links back what it finds there.
"""

from __future__ import annotations

if __name__ == "__main__":  # the predecessor's path of a command
    raise SystemExit(
        "error: scripts/lib/executor.py is not a command any more. "
        "Run what is missing: snakemake -j8 results; one model in one mode: python -m "
        "scripts.infer --model MODEL --mode MODE; its command line: python -m scripts.launch "
        "--model MODEL"
    )

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from tqdm import tqdm

from scripts.lib.base.errors import BenchError
from scripts.lib.base.layout import RESULTS
from scripts.lib.base.results_tree import drop, drop_folder
from scripts.lib.base.safe_files import link_into_place, write_atomic
from scripts.lib.base.stored_json import Damaged, now_utc, read_stored
from scripts.lib.engines.load_log import copied_bytes, unlike
from scripts.lib.engines.protocol import (
    Engine,
    EngineDied,
    EngineFailure,
    GenerationTimeout,
    Loaded,
    LoadSettings,
    NotActive,
    Request,
)
from scripts.lib.machine.energy import EnergyMeter
from scripts.lib.machine.memory_nodes import misplaced, read_placement, usable_nodes
from scripts.lib.machine.pinning import (
    Thread,
    compute_threads,
    has_huge_pages,
    memory_policy,
    ran_enough,
    read_threads,
    shown,
    violations,
)
from scripts.lib.machine.process import StopRequest
from scripts.lib.planning.cell_record import (
    CellRecord,
    Counts,
    Failure,
    Measurement,
    parse_cell,
)
from scripts.lib.planning.cell_spec import loaded_projector
from scripts.lib.planning.disk import existing_files, partial_folder, partial_name
from scripts.lib.planning.memory import page_cache
from scripts.lib.planning.plan import Cell, Shard
from scripts.lib.planning.runtime_values import DEFAULT_CONTEXT
from scripts.lib.planning.weights_guard import WeightsGuard
from scripts.lib.weights.facts import split_files

# A small model is warmed up at most this often, until its threads have run long enough for a check.
MOST_WARM_UPS = 100
KV_TYPE_KEYS = ("kv_type_k", "kv_type_v")


class Recorder(Protocol):
    """Gets every stored cell (the run record)."""

    def add(self, record: CellRecord) -> None:
        """Called when the cell is stored."""
        ...


@dataclass(frozen=True, slots=True)
class Job:
    """One shard to run, where its cells are stored, and who gets the records."""

    shard: Shard
    root: Path
    run_id: str
    describe_environment: Callable[[Loaded], str]
    recorder: Recorder
    guard: WeightsGuard


def _partial(job: Job) -> Path:
    return partial_folder(job.root / job.shard.folder, job.shard.engine)


def _target(job: Job, cell: Cell) -> Path:
    return job.root / job.shard.folder / cell.file_name


def _partial_file(job: Job, cell: Cell) -> Path:
    return _partial(job) / partial_name(cell.file_name)


def _is_of(leftover: Path, cell: Cell) -> bool:
    """True if a file that another run left is this cell, undamaged."""
    try:
        record = parse_cell(read_stored(leftover), str(leftover))
    except Damaged:
        return False
    return (record.cell, record.digest) == (cell.id, cell.digest)


def restore(job: Job) -> int:
    """Link back the finished cells of a run that was cut off, and count them.

    Damaged files are deleted.
    """
    restored = 0
    for cell in missing(job):
        leftover = _partial_file(job, cell)
        if not leftover.is_file():
            continue
        if not _is_of(leftover, cell):
            drop(leftover, job.root / RESULTS)
            continue
        link_into_place(leftover, _target(job, cell))
        restored += 1
    return restored


def missing(job: Job, only: frozenset[str] = frozenset()) -> tuple[Cell, ...]:
    """The cells without a file, in plan order. `only`: names `suite/question`, or digests."""
    existing = existing_files(str(job.root / job.shard.folder))
    return tuple(
        c
        for c in job.shard.cells
        if c.file_name not in existing
        and (not only or not only.isdisjoint((f"{c.id.suite}/{c.id.question}", c.digest)))
    )


def store(job: Job, cell: Cell, record: CellRecord) -> None:
    """Write one finished cell under .partial, and link it to its own name."""
    partial = _partial_file(job, cell)
    write_atomic(partial, record.to_json())
    link_into_place(partial, _target(job, cell))
    job.recorder.add(record)


def load_settings(shard: Shard, check: bool = True) -> LoadSettings:
    """The engine's settings, from the shard's plan. Raises BenchError for missing weights."""
    if not shard.cells:
        raise BenchError(f"{shard.name}: the plan has no cell for it")
    spec = shard.cells[0].spec
    projector = loaded_projector(shard.weights, shard.engine)
    for weights, what in (
        (shard.weights, "weights"),
        (shard.draft, "draft weights"),
        (projector, "vision projector"),
    ):
        if check and weights is not None and (weights.path is None or not weights.path.is_file()):
            raise BenchError(
                f"{shard.name}: {what}: no file {weights.path}; put it back and run again"
            )
    assert shard.weights.path is not None
    return LoadSettings(
        weights=shard.weights.path,
        draft=shard.draft.path if shard.draft is not None else None,
        mode=shard.mode,
        mode_spec=spec["mode"],
        context=spec["context"],
        hardware=shard.hardware,
        projector=projector.path if projector is not None else None,
        **spec.get("loading", {}),
    )


def request_of(cell: Cell) -> Request:
    """The request that a cell's spec describes."""
    prompt, sampling = cell.spec["prompt"], cell.spec["sampling"]
    system = prompt["system"]
    said = [(turn.role, turn.content) for turn in cell.question.turns]
    said.append(("user", cell.question.prompt_text()))
    if prompt.get("system_merged"):
        # llama-server does this for a template without a system role; so both engines get the same
        # messages.
        said[0], system = ("user", f"{system}\n{said[0][1]}"), ""
    return Request(
        user=said[-1][1],
        system=system,
        turns=tuple(said[:-1]),
        # With a trick (`prefill`) the template's switch, if it has one, is not needed.
        thinking=prompt["thinking"] is not False or "prefill" in prompt,
        temperature=sampling["temperature"],
        top_p=sampling["top_p"],
        # Repeats of a sampled answer differ by seed; a greedy answer ignores it.
        seed=sampling["seed"] + cell.id.repeat,
        max_tokens=sampling["max_tokens"],
        stop=tuple(sampling["stop"]),
        timeout_s=cell.timeout_s,
        images=cell.question.images,
        prefill=prompt.get("prefill", ""),
    )


def _mode_not_active(shard: Shard, found: str) -> NotActive:
    return NotActive(f"mode {shard.mode.name}", found)


def guard_load(shard: Shard, loaded: Loaded) -> None:
    """Check the settings that the engine says it has. Raises NotActive naming both values."""
    wanted, found = shard.mode.experts, loaded.effective.get("n_expert_used")
    if wanted is not None and str(found) != str(wanted):
        raise _mode_not_active(shard, f"{wanted} experts asked for, the engine loaded {found}")
    spec = shard.cells[0].spec
    for key in KV_TYPE_KEYS:
        asked, has = spec["context"][key], loaded.effective.get(key)
        if asked != (has or DEFAULT_CONTEXT[key]):
            raise NotActive(f"{key} {asked}", f"the engine has {has or 'not named its type'}")
    wrong = unlike(spec.get("loading", {}), loaded.effective.get("weights_buffers_mib", {}))
    if wrong:
        raise NotActive(f"variant {shard.mode.variant}", wrong)
    wish, became = spec["context"]["flash_attention"], loaded.effective.get("flash_attention")
    if wish != "auto" and became not in (wish, None):
        asked, has = (str(value).lower() for value in (wish, became))
        raise NotActive(f"flash_attention {asked}", f"the engine made it {has}")


def guard_warm_up(shard: Shard, counts: Counts) -> None:
    """Raise NotActive if a speculator drafted nothing in the warm-up's texts."""
    idle = [name for name, count in counts.items() if not count.drafted_tokens]
    if shard.mode.speculative and len(idle) == len(counts):
        raise _mode_not_active(shard, "nothing was drafted in the warm-up")
    if idle:
        raise _mode_not_active(shard, f"{' and '.join(idle)} drafted nothing in the warm-up")


def guard_cell(shard: Shard, measured: Measurement) -> None:
    """Raise NotActive for an answer of more than two tokens with a speculator that was not asked.

    The first one is asked at every step, the second one where the first one gave no draft. Asked,
    n-grams may find nothing to draft in a short answer. A draft model drafts always.
    """
    answered, mode = measured.completion_tokens, shard.mode
    if answered <= 2:
        return
    undrafted: int | None = None
    for name, count in measured.speculators.items():
        if not count.asked and undrafted != 0:
            raise _mode_not_active(shard, f"{answered} tokens, {name} was not asked")
        undrafted = count.asked - count.drafts
    drafts_always = (mode.draft is not None or mode.mtp) and not mode.p_min
    if drafts_always and measured.drafted_tokens == 0:
        raise _mode_not_active(shard, f"{answered} tokens, none drafted")


def guard_pins(shard: Shard, engine: Engine, before: Mapping[int, Thread]) -> Mapping[str, Any]:
    """Read back how the engine's threads ran since `before`.

    Raises NotActive where that differs from the profile, EngineDied where the engine is gone. After
    a short warm-up of a small model the threads may only seem wrong: then it is warmed up again.
    """
    for _ in range(MOST_WARM_UPS):
        pid = engine.pid()
        after, policy = read_threads(pid), memory_policy(pid)
        computing = compute_threads(before, after)
        wrong = list(
            violations(shard.hardware, after.values(), computing, policy, has_huge_pages(pid))
        )
        if not wrong:
            return shown(computing, policy)
        if ran_enough(before, after):
            break
        engine.warm_up()
    engine.check_alive()  # the threads of a dead engine prove nothing
    raise NotActive(f"hardware {shard.hardware.name}", "; ".join(wrong))


def weights_files(shard: Shard) -> tuple[Path, ...]:
    """The files of the model and its draft, with all parts of a split one."""
    files = (weights.path for weights in (shard.weights, shard.draft) if weights is not None)
    return tuple(part for file in files if file is not None for part in split_files(file))


def guard_memory(shard: Shard, engine: Engine, loaded: Loaded) -> Mapping[str, Any]:
    """Read back on which memory nodes the engine's pages lie.

    Raises NotActive where the profile's policy wants them elsewhere, EngineDied where the engine is
    gone.
    """
    pid, files = engine.pid(), weights_files(shard)
    found = read_placement(pid, files)
    copied = copied_bytes(loaded.effective.get("weights_buffers_mib", {}))
    wrong = misplaced(shard.hardware.numa, usable_nodes(pid), found, files, copied)
    if wrong:
        engine.check_alive()
        raise NotActive(f"hardware {shard.hardware.name}", wrong)
    return found.record()


def _say(text: str) -> None:
    """Print a message above the lines of progress, if there are any."""
    tqdm.write(text, file=sys.stderr)
    sys.stderr.flush()


@dataclass(frozen=True, slots=True)
class Start:
    """A loaded and checked engine, or the failure of loading or checking it."""

    loaded: Loaded
    warm_up_s: float = 0.0
    failure: EngineFailure | None = None


def start(shard: Shard, engine: Engine) -> Start:
    """Load the engine, warm it up, and check that mode and profile are active.

    A failure of the engine is in what is returned. Raises BenchError for missing weights.
    """
    loaded, settings = Loaded(0.0), load_settings(shard)
    cached = page_cache(weights_files(shard))
    try:
        loaded = engine.load(settings)
        guard_load(shard, loaded)
        threads = read_threads(engine.pid())
        begin = time.perf_counter()
        drafted = engine.warm_up()
        warm_up_s = time.perf_counter() - begin
        guard_warm_up(shard, drafted)
        pinned = guard_pins(shard, engine, threads)
        shown_back = {
            "pinning": pinned,
            "memory_nodes": guard_memory(shard, engine, loaded),
            "page_cache": cached,
        }
        loaded = replace(loaded, effective={**loaded.effective, **shown_back})
    except EngineFailure as failure:
        return Start(loaded, failure=failure)
    return Start(loaded, warm_up_s)


class _Running:
    """A shard's engine. It measures only after it was loaded, warmed up and checked by `start`.

    Once per shard, an engine whose process dies is started again, and the cell is run again.
    """

    def __init__(self, job: Job, engine: Engine, meter: EnergyMeter):
        self._job, self._engine, self._meter = job, engine, meter
        # Before the load, while nothing is computed. Without counters, nothing is waited for.
        self._idle_w = meter.idle_w()
        self._restarted = False
        self._begin()

    def _begin(self) -> None:
        self._job.guard.check()
        self._start = start(self._job.shard, self._engine)
        self._environment = self._job.describe_environment(self._start.loaded)

    def _measure(self, cell: Cell) -> Measurement:
        if self._start.failure is not None:
            # It is raised for every cell: without this each would lengthen its traceback.
            raise self._start.failure.with_traceback(None)
        request, shard = request_of(cell), self._job.shard
        if shard.mode.keeps_state:
            # What its speculators learnt from one answer would change the drafts of the next one.
            self._engine.renew()
            threads = read_threads(self._engine.pid())
        measured = self._generate(request)
        guard_cell(shard, measured)
        if shard.mode.keeps_state:
            guard_pins(shard, self._engine, threads)
            guard_memory(shard, self._engine, self._start.loaded)
        if cell.certifies and request.temperature == 0 and not measured.close_calls:
            measured = replace(measured, close_calls=self._engine.margins(request))
        return measured

    def _generate(self, request: Request) -> Measurement:
        """One answer, with the energy that it took where the machine counts that."""
        before = self._meter.read()
        measured = self._engine.generate(request)
        after = self._meter.read()
        joules = self._meter.joules(before, after)
        if joules is None:
            return measured
        return replace(measured, energy_j=joules, energy_s=round(after.at_s - before.at_s, 6))

    def _effective(self) -> Mapping[str, Any]:
        effective = self._start.loaded.effective
        if self._idle_w is None:
            return effective
        counters = [counter.name for counter in self._meter.counters]
        return {**effective, "energy": {"idle_w": round(self._idle_w, 3), "counters": counters}}

    def _measure_or_restart(self, cell: Cell) -> Measurement:
        try:
            return self._measure(cell)
        except EngineDied as death:
            if self._restarted:
                raise
            _say(f"{self._job.shard.name}: {death}; started again")
        self._restarted = True
        self._begin()
        return self._measure(cell)

    def record(self, cell: Cell) -> CellRecord:
        """Run one cell. Load and warm-up times are those of the start that came before it."""
        started = now_utc()
        status, error, failure, measured = "ok", None, None, None
        try:
            measured = self._measure_or_restart(cell)
        except GenerationTimeout as timeout:
            status, error = "timeout", f"no end within {cell.timeout_s:g} s"
            measured = timeout.partial
        except EngineFailure as raised:
            status, error = "error", str(raised)
            failure = Failure.GUARD if isinstance(raised, NotActive) else Failure.ENGINE
        return CellRecord(
            cell=cell.id,
            digest=cell.digest,
            spec=cell.spec,
            status=status,
            error=error,
            failure=failure,
            measurement=measured,
            load_s=round(self._start.loaded.load_s, 6),
            warm_up_s=round(self._start.warm_up_s, 6),
            peak_rss_bytes=self._engine.peak_rss_bytes(),
            effective=self._effective(),
            environment=self._environment,
            started_utc=started,
            run_id=self._job.run_id,
        )


def run(job: Job, engine: Engine, cells: Sequence[Cell], meter: EnergyMeter | None = None) -> int:
    """Run `cells` and store each. Returns the number of cells whose status is not `ok`.

    `meter`: this machine's energy counters, unless others are given.

    Raises KeyboardInterrupt on Ctrl-C: after the cell in flight, or at once for a second one.
    Raises BenchError where the weights are not the planned ones; the cell at hand is not stored.
    """
    running = _Running(job, engine, meter or EnergyMeter())
    failed = 0
    with StopRequest(_say) as stop:
        for cell in cells:
            record = running.record(cell)
            # A failed cell, too: it may have failed with another file than the planned one.
            job.guard.check()
            failed += record.status != "ok"
            store(job, cell, record)
            if stop.asked:
                break
    engine.unload()
    if stop.asked:
        raise KeyboardInterrupt
    return failed


def finish(job: Job) -> None:
    """Delete the .partial folder of a complete shard."""
    drop_folder(_partial(job), job.root / RESULTS)
