"""Profiles are read whole or refused; this machine's own profile fits this machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scripts.lib.base.errors import BenchError, InputErrors
from scripts.lib.machine import profiles
from scripts.lib.machine.pinning import pin
from scripts.lib.machine.profiles import (
    Hardware,
    cpu_list,
    load_hardware,
    local_profile,
    parse_cpus,
    profile_names,
)


def test_every_shipped_profile_loads() -> None:
    assert {"epyc-9655", "epyc-9655-2s", "reference-vm-2c"} <= set(profile_names())
    for name in profile_names():
        assert load_hardware(name).name == name
    assert load_hardware("epyc-9655").spec() == {
        "threads": 96,
        "batch_threads": 96,
        "cpus": "0-95",
        "numa": "interleave=all",
        "strict": True,
    }
    assert load_hardware("epyc-9655-2s").batch_threads == 192


def test_a_simple_profile_is_simple_and_defaults_make_nothing_stale(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("threads: 4\n")
    assert load_hardware("x", tmp_path).spec() == {
        "threads": 4,
        "batch_threads": 4,
        "cpus": None,
        "numa": None,
    }
    (tmp_path / "y.yaml").write_text(
        "threads: 2\ncpus: 0-3\nstrict: true\nnice: -5\n"
        "openmp: {OMP_PROC_BIND: true, GOMP_SPINCOUNT: 7}\n"
        "huge_pages: never\npartition: turin\n"
    )
    assert load_hardware("y", tmp_path).spec() == {
        "threads": 2, "batch_threads": 2, "cpus": "0-3", "numa": None, "strict": True, "nice": -5,
        "openmp": {"GOMP_SPINCOUNT": "7", "OMP_PROC_BIND": "true"}, "huge_pages": "never",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("strict: true", "strict: needs cpus"),
        ("cpus: 0-2", "cpus: 4 threads on 3 CPUs: oversubscribed"),
        ("strict: 1", "strict: expected true or false, found 1"),
        ("nice: 20", "nice: expected a whole number from -20"),
        ("openmp: {PATH: /bin}", "openmp: expected a mapping of OMP_"),
        ("huge_pages: some", "huge_pages: expected null or one of always, madvise, never"),
        ("partition: 3", "partition: expected null or a partition's name"),
    ],
)
def test_each_pin_is_checked(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x.yaml").write_text(f"threads: 4\n{text}\n")
    with pytest.raises(InputErrors, match=message):
        load_hardware("x", tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("threads: 4\nnice: 1\nthreads: 8\n", "x.yaml:3: threads: duplicate key (first on line 1)"),
        (
            "threads: 4\nopenmp:\n  OMP_A: 1\n  OMP_A: 2\n",
            "x.yaml:4: openmp.OMP_A: duplicate key (first on line 3)",
        ),
        (
            "threads: 1:30\n",
            "x.yaml:1: threads: expected a number of threads from 1 to 65536, found '1:30'",
        ),
        ("threads: 4\nstrict: off\n", "x.yaml:2: strict: expected true or false, found 'off'"),
        (
            "threads: 4\nbandwidth_gb_per_s: .inf\n",
            "x.yaml:2: bandwidth_gb_per_s: expected GB/s above 0, found '.inf'",
        ),
        (
            "threads: 4\nbandwidth_gb_per_s: .nan\n",
            "x.yaml:2: bandwidth_gb_per_s: expected GB/s above 0, found '.nan'",
        ),
        (
            "threads: 4\nbandwidth_gb_per_s: 1e999\n",
            "x.yaml:2: bandwidth_gb_per_s: expected GB/s above 0, found inf",
        ),
        ("- 4\n", "x.yaml: expected a mapping at the top, found list"),
        ("threads: [4\n", "not YAML"),
    ],
)
def test_a_profile_is_yaml_1_2_and_says_nothing_twice(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(InputErrors) as caught:
        load_hardware("x", tmp_path)
    assert message in str(caught.value)


def test_a_number_with_a_leading_zero_is_decimal(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("threads: 010\n")
    assert load_hardware("x", tmp_path).threads == 10


def test_auto_takes_one_cpu_of_each_core_and_all_memory_nodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        pytest.fail("this test wants two CPUs")
    for cpu in usable:
        topology = tmp_path / f"cpu{cpu}/topology"
        topology.mkdir(parents=True)
        (topology / "thread_siblings_list").write_text(
            f"{cpu_list(usable[:2])}\n" if cpu in usable[:2] else f"{cpu}\n"
        )
    (tmp_path / "online").write_text("0-1\n")
    monkeypatch.setattr(profiles, "CPUS", tmp_path)
    monkeypatch.setattr(profiles, "NODES", tmp_path)
    local = local_profile()
    assert local.threads == len(usable) - 1 and local.numa == "interleave=all"
    assert local.cpus is not None and parse_cpus(local.cpus) == {usable[0], *usable[2:]}


def test_auto_is_this_machine() -> None:
    local = load_hardware("auto")
    assert local.name.startswith("local-") and f"-{local.threads}c-" in local.name
    assert 1 <= local.threads <= len(os.sched_getaffinity(0))
    assert load_hardware(local.name) == local == local_profile()


def test_an_unknown_profile_is_named_with_the_nearest() -> None:
    with pytest.raises(BenchError, match=r"no profile 'epyc-9654'.*did you mean 'epyc-9655'"):
        load_hardware("epyc-9654")


def test_a_bad_profile_has_all_its_mistakes_named(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(
        "threads: 0\nbatch_threads: true\ncpus: a-b\nnuma: everywhere\nthread: 3\n"
    )
    with pytest.raises(InputErrors) as caught:
        load_hardware("x", tmp_path)
    assert len(caught.value.problems) == 5
    assert "thread: unknown key; did you mean 'threads'?" in str(caught.value)


def test_cpu_lists() -> None:
    assert cpu_list([8, 0, 1, 2, 3]) == "0-3,8"
    assert parse_cpus("0-3,8") == {0, 1, 2, 3, 8}
    with pytest.raises(BenchError, match="CPU list"):
        parse_cpus("0-")


def test_oversubscription_is_refused() -> None:
    usable = len(os.sched_getaffinity(0))
    with pytest.raises(BenchError, match="oversubscribed"):
        pin(Hardware("x", usable + 1, 1, None, None))


def test_a_cpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(BenchError, match="has no CPU"):
        pin(Hardware("x", 1, 1, "4000-4001", None))
