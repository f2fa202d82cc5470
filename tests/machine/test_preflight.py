"""A noisy machine is found; what the machine does not show is no finding."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from scripts.lib.base.errors import BenchError
from scripts.lib.base.speed_limits import bandwidth_efficiency
from scripts.lib.machine import bandwidth, preflight
from scripts.lib.machine.preflight import (
    Facts,
    Preflight,
    PreflightFinding,
    enforce,
    findings,
    look,
    once_an_invocation,
)
from scripts.lib.machine.profiles import Hardware
from scripts.lib.planning.memory import page_cache

QUIET = Facts(0.3, 0.05, (), 0.0, 96, None, None, None, None, 1, 1 << 40)
HARDWARE = Hardware("x", 1, 1, None, None)


def test_a_virtual_machine_that_tells_nothing_is_quiet() -> None:
    assert tuple(findings(QUIET)) == ()
    assert Preflight().outcome == "quiet" and Preflight(looked=False).outcome == "off"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"others_cpus": 1.5, "others": ("make of ann 1.50",)}, "other processes use the CPU"),
        ({"load_average": 98.0}, "the load average is above the CPUs"),
        ({"steal_share": 0.02}, "the hypervisor takes CPU time away (steal)"),
        ({"governor": "powersave"}, "the CPU governor is powersave, not performance"),
        ({"boost": "0"}, "the CPU's boost is off"),
        (
            {"numa_balancing": "1", "numa_nodes": 2},
            "NUMA balancing is on: the kernel moves pages while they are read",
        ),
    ],
)
def test_each_disturbance_is_a_finding_whose_text_has_no_figures(
    changes: dict[str, object], text: str
) -> None:
    (found,) = findings(replace(QUIET, **changes))  # type: ignore[arg-type]
    assert found.text == text
    made = Preflight((found,), 500.0)
    assert made.record() == {"outcome": "noisy", "findings": [text], "bandwidth_gb_per_s": 500.0}
    with pytest.raises(
        BenchError, match=r"preflight: this machine is not quiet enough.*preflight=tag"
    ):
        enforce(made, "refuse")
    enforce(made, "tag")


def test_numa_balancing_and_performance_on_one_node_are_fine() -> None:
    fine = replace(QUIET, numa_balancing="1", governor="performance", boost="1")
    assert tuple(findings(fine)) == ()


def test_memory_that_does_not_do_is_a_finding() -> None:
    assert Preflight().with_memory(5 << 30, 6 << 30).outcome == "quiet"
    short = Preflight().with_memory(7 << 30, 6 << 30)
    assert str(short.findings[0]).endswith("(7.0 GiB are needed, 6.0 GiB are free)")


@contextmanager
def stranger(tmp_path: Path, does: str) -> Iterator[None]:
    """A process that is no child of this one, as another user's job is."""
    pid_file = tmp_path / f"pid of {does}".replace(" ", "_")
    code = (
        f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid()))\nwhile True: {does}"
    )
    subprocess.run(["setsid", "--fork", sys.executable, "-c", code], check=True)
    while not pid_file.exists() or not pid_file.read_text():
        pass
    try:
        yield
    finally:
        psutil.Process(int(pid_file.read_text())).kill()


@pytest.mark.serial
def test_a_busy_neighbour_is_seen(tmp_path: Path) -> None:
    with stranger(tmp_path, "pass"):
        facts = look(0.5)
        assert facts.others_cpus > 0.25 and any(
            finding.text.startswith("other processes") for finding in findings(facts)
        )


@pytest.mark.serial
def test_an_idle_process_of_the_same_name_hides_no_busy_one(tmp_path: Path) -> None:
    with stranger(tmp_path, "pass"), stranger(tmp_path, "time.sleep(1)"):
        assert look(0.5).others_cpus > 0.25


@pytest.mark.serial
def test_processes_that_live_for_less_than_the_look_are_seen(tmp_path: Path) -> None:
    with stranger(tmp_path, "os.fork() or (sum(range(10**6)), os._exit(0)); os.wait()"):
        facts = look()
    assert facts.others_cpus > 0.25 and "processes gone within the second" in facts.others[0]


@pytest.mark.serial
def test_a_long_look_at_many_processes_hides_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds_of = preflight._process_seconds

    def long() -> dict[int, tuple[float, str, str]]:
        found, end = seconds_of(), time.process_time() + 0.5
        while time.process_time() < end:
            pass
        return found

    monkeypatch.setattr(preflight, "_process_seconds", long)
    with stranger(tmp_path, "os.fork() or (sum(range(10**6)), os._exit(0)); os.wait()"):
        assert look(0.5).others_cpus > 0.25


def test_it_is_looked_once_an_invocation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    looked: list[int] = []

    def noted(*_: object) -> Facts:
        looked.append(1)
        return replace(QUIET, steal_share=0.5)

    monkeypatch.setattr(preflight, "look", noted)
    monkeypatch.setattr(bandwidth, "of_profile", lambda _: bandwidth.Bandwidth(101.0, 123.4, 1))
    first = once_an_invocation("run1", HARDWARE, "tag")
    assert first.bandwidth_gb_per_s == 120.0 and first.outcome == "noisy"
    assert once_an_invocation("run1", HARDWARE, "tag") == first and len(looked) == 1
    once_an_invocation("run2", HARDWARE, "tag")
    assert len(looked) == 2
    assert (
        once_an_invocation("run3", HARDWARE, "off") == Preflight(looked=False) and len(looked) == 2
    )


@pytest.mark.serial
def test_the_bandwidth_is_measured_once_a_day_and_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = bandwidth.of_profile(HARDWARE)
    assert (
        found.processes == 1
        and 0.5 < found.read_gb_per_s < 2000
        and 0.5 < found.triad_gb_per_s < 2000
    )
    monkeypatch.setattr(
        bandwidth, "measure", lambda _: pytest.fail("measured again within the day")
    )
    assert bandwidth.of_profile(HARDWARE) == found
    (file,) = (tmp_path / ".cache/bandwidth").iterdir()
    raw = json.loads(file.read_text())
    file.write_text(
        json.dumps(raw | {"measured_utc": (datetime.now(UTC) - timedelta(hours=25)).isoformat()})
    )
    again = bandwidth.Bandwidth(1.0, 2.0, 1)
    monkeypatch.setattr(bandwidth, "measure", lambda _: again)
    assert bandwidth.of_profile(HARDWARE) == again
    assert bandwidth.of_profile(replace(HARDWARE, nice=1)) == again, (
        "another profile is measured for itself"
    )


def test_the_probe_takes_the_memory_that_is_asked_for_it_or_less(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Asked for: of a cluster's scheduler. A quarter of the free memory is the most."""
    assert bandwidth.probe_bytes(96) == 96 * 96_000_000
    monkeypatch.setattr(
        bandwidth, "_work", lambda cpu, elements, barrier, results: results.put([[1e-3], [1e-3]])
    )
    moved = []
    for available in (1 << 40, 400_000):
        monkeypatch.setattr(
            psutil, "virtual_memory", lambda free=available: SimpleNamespace(available=free)
        )
        moved.append(bandwidth.measure([0]).read_gb_per_s * 1e6)  # bytes in that millisecond
    assert moved == [bandwidth.probe_bytes(1), 100_000]


def test_two_digits() -> None:
    assert [bandwidth.two_digits(value) for value in (537.6, 53.76, 5.376, 0.0)] == [
        540.0,
        54.0,
        5.4,
        0.0,
    ]


def test_the_page_cache_is_looked_at(tmp_path: Path) -> None:
    file = tmp_path / "weights.gguf"
    file.write_bytes(os.urandom(1 << 20))
    with file.open("rb") as stream:
        os.fsync(stream.fileno())
        assert page_cache([file]) == "warm"
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        assert page_cache([file]) == "cold"
    assert page_cache([]) is None


def test_the_rooflines_share() -> None:
    assert bandwidth_efficiency(50.0, 8e9, 500e9) == pytest.approx(0.8)
    assert (
        bandwidth_efficiency(None, 8e9, 500e9) is None
        and bandwidth_efficiency(50.0, 8e9, None) is None
    )


def test_finding_shows_its_figures() -> None:
    assert (
        str(PreflightFinding("x", "1 of 2")) == "x (1 of 2)" and str(PreflightFinding("x")) == "x"
    )
