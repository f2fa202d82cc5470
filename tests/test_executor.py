"""Only a checked engine measures a cell, also after it was started again."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from scripts.lib import executor
from scripts.lib.engines.factory import EngineSettings, make_engine
from scripts.lib.engines.protocol import Loaded, NotActive
from scripts.lib.executor import Job, run
from scripts.lib.llama_build.build import server_binary
from scripts.lib.machine.memory_nodes import Pages, Placement
from scripts.lib.machine.pinning import Thread, read_threads
from scripts.lib.planning.cell_record import CellRecord, Count, Failure
from scripts.lib.planning.plan import Shard
from scripts.lib.planning.weights_guard import WeightsGuard
from tests.factories.engines import GUARDS, PROOF, Fragile, Recorder, kill
from tests.factories.engines import shard as shard

pytestmark = pytest.mark.serial

CRASH = "llama-server ended with signal SIGKILL: "


@pytest.fixture
def crashing(tmp_path: Path, shard: Shard, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Run the shard with an engine that dies at those calls; gives the engine and the cells."""

    def make(**deaths: tuple[int, ...]) -> tuple[Fragile, list[CellRecord]]:
        engine = Fragile(
            make_engine("server", EngineSettings(server_binary(), tmp_path / "log", 60.0)), deaths
        )
        for name in GUARDS:
            guard = getattr(executor, name)

            def noted(*arguments: Any, name: str = name, guard: Callable[..., Any] = guard) -> Any:
                engine.calls.append(name)
                return guard(*arguments)

            monkeypatch.setattr(executor, name, noted)
        recorder = Recorder()
        job = Job(
            shard,
            tmp_path / "root",
            "run",
            lambda loaded: str(round(loaded.load_s, 6)),
            recorder,
            WeightsGuard(shard),
        )
        failed = run(job, engine, shard.cells)  # type: ignore[arg-type]
        assert failed == sum(record.status != "ok" for record in recorder.records)
        return engine, recorder.records

    return make


def test_an_engine_that_crashed_is_proven_again_before_the_cell_is_run_again(crashing) -> None:  # type: ignore[no-untyped-def]
    engine, records = crashing(generate=(2,))
    assert engine.steps == [*PROOF, "generate", "generate", *PROOF, "generate", "generate"]
    assert [record.status for record in records] == ["ok"] * 3
    first, second, third = records
    assert first.load_s != second.load_s == third.load_s and first.warm_up_s != second.warm_up_s
    assert [record.environment for record in records] == [str(record.load_s) for record in records]
    assert second.effective["pinning"]["threads"] == 2
    assert second.measurement is not None and second.measurement.completion_tokens > 0


def test_a_second_crash_is_the_cells_error_in_the_engines_last_words(crashing) -> None:  # type: ignore[no-untyped-def]
    engine, records = crashing(generate=(2, 4))
    assert engine.steps.count("load") == 2
    assert [record.status for record in records] == ["ok", "ok", "error"]
    assert records[2].measurement is None and records[2].failure is Failure.ENGINE
    assert str(records[2].error).startswith(CRASH)


def test_a_restarted_engine_that_does_not_prove_its_mode_measures_nothing(
    crashing, monkeypatch: pytest.MonkeyPatch
) -> None:  # type: ignore[no-untyped-def]
    drafted = iter([{"lookup": Count(3, 1, 5)}, {"lookup": Count(3)}])
    warm_up = executor.guard_warm_up
    monkeypatch.setattr(executor, "guard_warm_up", lambda shard, _: warm_up(shard, next(drafted)))
    engine, records = crashing(generate=(2,))
    assert engine.steps == [*PROOF, "generate", "generate", *PROOF[:-2]]
    assert [record.status for record in records] == ["ok", "error", "error"]
    assert [record.failure for record in records] == [None, Failure.GUARD, Failure.GUARD]
    assert {record.error for record in records[1:]} == {
        "mode lookup_n3 was not active: nothing was drafted in the warm-up"
    }


@pytest.mark.parametrize("wish", [True, False, "auto"])
@pytest.mark.parametrize("became", [True, False, None])
def test_flash_attention_that_the_engine_did_not_follow_is_an_error(
    shard: Shard, wish: bool | str, became: bool | None
) -> None:
    given = shard.cells[0].spec
    spec = {**given, "context": {**given["context"], "flash_attention": wish}}
    asking = replace(shard, cells=(replace(shard.cells[0], spec=spec),))
    loaded = Loaded(0.0, {} if became is None else {"flash_attention": became})
    if wish != "auto" and became is not None and became != wish:
        words = f"flash_attention {str(wish).lower()} was not active: the engine made it "
        with pytest.raises(NotActive, match=words + str(became).lower()):
            executor.guard_load(asking, loaded)
    else:
        executor.guard_load(asking, loaded)


def test_pages_on_another_node_than_the_profiles_are_an_error(
    crashing, shard: Shard, monkeypatch: pytest.MonkeyPatch
) -> None:  # type: ignore[no-untyped-def]
    """The kernel's numa_maps is that of a machine of two nodes; the engine is real."""
    gib = 1 << 30
    found = Placement(Pages({0: 9 * gib, 1: gib}), Pages({0: gib, 1: gib}))
    monkeypatch.setattr(executor, "read_placement", lambda pid, files: found)
    monkeypatch.setattr(executor, "usable_nodes", lambda pid: frozenset({0, 1}))
    _, records = crashing()
    assert [record.status for record in records] == ["ok"] * 3, "the profile asks for no policy"
    assert records[0].effective["memory_nodes"]["weights_files"]["shares"] == {"0": 0.9, "1": 0.1}
    interleaved = replace(shard.hardware, numa="interleave=all")
    loaded = Loaded(0.0)
    engine = SimpleNamespace(pid=os.getpid, check_alive=lambda: None)
    with pytest.raises(NotActive, match=r"the pages of plain\.gguf: 90 % on node 0, 10 % on"):
        executor.guard_memory(replace(shard, hardware=interleaved), engine, loaded)  # type: ignore[arg-type]


def test_a_crash_in_the_warm_up_counts_as_the_one(crashing) -> None:  # type: ignore[no-untyped-def]
    engine, records = crashing(warm_up=(1,))
    assert engine.steps == ["load", "guard_load", "warm_up", *PROOF, *["generate"] * 3]
    assert [record.status for record in records] == ["ok"] * 3
    engine, records = crashing(warm_up=(1, 2))
    assert engine.steps.count("load") == 2 and "generate" not in engine.steps
    assert all(str(record.error).startswith(CRASH) for record in records)


def test_a_crash_while_the_pins_are_read_back_is_no_fault_of_theirs(
    crashing, monkeypatch: pytest.MonkeyPatch
) -> None:  # type: ignore[no-untyped-def]
    looks: list[int] = []

    def read(pid: int) -> Mapping[int, Thread]:
        looks.append(pid)
        if len(looks) == 2:
            kill(psutil.Process(pid))
        return read_threads(pid)

    monkeypatch.setattr(executor, "read_threads", read)
    monkeypatch.setattr(executor, "ran_enough", lambda *_: True)
    engine, records = crashing()
    assert engine.steps.count("load") == 2
    assert [record.status for record in records] == ["ok"] * 3


@pytest.mark.parametrize("kills", [1, 2])
def test_a_server_killed_while_it_loads_is_started_once_more(
    tmp_path: Path, shard: Shard, kills: int
) -> None:
    real, count = shlex.quote(str(server_binary())), tmp_path / "starts"
    binary = tmp_path / "llama-server"
    binary.write_text(
        f"#!/bin/sh\ncase $1 in --help) exec {real} --help;; esac\n"
        f"echo start >> {count}\necho loading\n"
        f'if [ $(wc -l < {count}) -le {kills} ]; then kill -9 $$; fi\nexec {real} "$@"\n'
    )
    binary.chmod(0o755)
    recorder = Recorder()
    job = Job(shard, tmp_path / "root", "run", lambda loaded: "", recorder, WeightsGuard(shard))
    engine = make_engine("server", EngineSettings(binary, tmp_path / "log", 60.0))
    run(job, engine, shard.cells)
    assert len(count.read_text().split()) == 2
    if kills == 1:
        assert [record.status for record in recorder.records] == ["ok"] * 3
    else:
        words = "llama-server ended with signal SIGKILL while loading: loading"
        assert {record.error for record in recorder.records} == {words}


def test_a_server_that_ends_by_itself_while_it_loads_is_not_started_again(
    tmp_path: Path, shard: Shard
) -> None:
    real, count = shlex.quote(str(server_binary())), tmp_path / "starts"
    binary = tmp_path / "llama-server"
    binary.write_text(
        f"#!/bin/sh\ncase $1 in --help) exec {real} --help;; esac\necho start >> {count}\nexit 3\n"
    )
    binary.chmod(0o755)
    recorder = Recorder()
    job = Job(shard, tmp_path / "root", "run", lambda loaded: "", recorder, WeightsGuard(shard))
    run(
        job,
        make_engine("server", EngineSettings(binary, tmp_path / "log", 60.0)),
        shard.cells,
    )
    assert count.read_text().split() == ["start"]
    assert all(
        str(record.error).startswith("llama-server ended with exit code 3")
        for record in recorder.records
    )
