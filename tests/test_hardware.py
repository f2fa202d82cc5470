"""Profiles are read whole or refused; this machine's own profile fits this machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scripts.lib.errors import BenchError, InputErrors
from scripts.lib.hardware import Hardware, load_hardware, local_profile, parse_cpus, profile_names
from scripts.lib.machine import pin


def test_every_shipped_profile_loads() -> None:
    assert {"epyc-9655", "reference-vm-2c"} <= set(profile_names())
    for name in profile_names():
        assert load_hardware(name).name == name
    assert load_hardware("epyc-9655").spec() == {
        "threads": 96, "batch_threads": 96, "cpus": "0-95", "numa": "interleave=all",
    }  # fmt: skip


def test_auto_is_this_machine() -> None:
    local = load_hardware("auto")
    assert local.name.startswith("local-") and f"-{local.threads}c-" in local.name
    assert 1 <= local.threads <= len(os.sched_getaffinity(0))
    assert load_hardware(local.name) == local == local_profile()


def test_an_unknown_profile_is_named_with_the_nearest() -> None:
    with pytest.raises(BenchError, match=r"no profile 'epyc-9654'.*did you mean 'epyc-9655'"):
        load_hardware("epyc-9654")


def test_a_bad_profile_has_all_its_mistakes_named(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("threads: 0\nbatch_threads: true\ncpus: a-b\nnuma: everywhere\nthread: 3\n")
    with pytest.raises(InputErrors) as caught:
        load_hardware("x", tmp_path)
    assert len(caught.value.problems) == 5
    assert "thread: unknown key; did you mean 'threads'?" in str(caught.value)


def test_cpu_lists() -> None:
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
