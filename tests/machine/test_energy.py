"""Energy counters, by files like those of /sys."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from scripts.lib.base.stored_json import Damaged
from scripts.lib.machine import energy
from scripts.lib.machine.energy import Counter, EnergyMeter, Reading
from scripts.lib.planning.cell_record import joules_per_token, parse_cell
from tests.factories.cells import CELL, MEASURED

RANGE_UJ = 65_532_610_987


def zone(folder: Path, number: str, name: str, uj: str = "1000000") -> None:
    made = folder / f"intel-rapl:{number}"
    made.mkdir(parents=True)
    (made / "name").write_text(f"{name}\n")
    (made / "energy_uj").write_text(f"{uj}\n")
    (made / "max_energy_range_uj").write_text(f"{RANGE_UJ}\n")


def chip(folder: Path, number: int, name: str, **labels: int) -> None:
    made = folder / f"hwmon{number}"
    made.mkdir(parents=True)
    (made / "name").write_text(f"{name}\n")
    for place, (label, uj) in enumerate(labels.items(), start=1):
        (made / f"energy{place}_label").write_text(f"{label}\n")
        (made / f"energy{place}_input").write_text(f"{uj}\n")


def test_sockets_and_memory_are_counted_and_no_part_twice(tmp_path: Path) -> None:
    for number, name in (("0", "package-0"), ("0:0", "core"), ("0:1", "dram"), ("1", "psys")):
        zone(tmp_path / "powercap", number, name)
    chip(tmp_path / "hwmon", 0, "amd_energy", Esocket0=1)
    meter = EnergyMeter(tmp_path / "powercap", tmp_path / "hwmon")
    names = [counter.name for counter in meter.counters]
    assert names == ["intel-rapl:0 package-0", "intel-rapl:0:1 dram"]


def test_hwmon_is_used_where_rapl_cannot_be_read(tmp_path: Path) -> None:
    zone(tmp_path / "powercap", "0", "package-0", uj="")
    chip(tmp_path / "hwmon", 0, "k10temp", Esocket0=5)
    chip(tmp_path / "hwmon", 1, "amd_energy", Ecore000=1, Esocket0=2, Esocket1=3)
    meter = EnergyMeter(tmp_path / "powercap", tmp_path / "hwmon")
    assert meter.read().uj == (2, 3)


def test_a_machine_without_counters_has_no_figures(tmp_path: Path) -> None:
    meter = EnergyMeter(tmp_path, tmp_path / "none")
    assert meter.counters == () and meter.idle_w() is None
    assert meter.joules(meter.read(), meter.read()) is None


@pytest.fixture
def meter(tmp_path: Path) -> EnergyMeter:
    zone(tmp_path, "0", "package-0")
    return EnergyMeter(tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("start", "end", "seconds", "joules"),
    [
        (1_000_000, 5_000_000, 2, 4.0),
        (RANGE_UJ - 1_000_000, 2_000_000, 2, 3.0),  # it began again at 0
        (1_000_000, 5_000_000, 70, None),  # it may have begun again twice
        (1_000_000, 1_000_000, 2, None),  # it stands still
        (None, 1_000_000, 2, None),
        (1_000_000, None, 2, None),
    ],
)
def test_joules_between_two_readings(
    meter: EnergyMeter, start: int | None, end: int | None, seconds: float, joules: float | None
) -> None:
    assert meter.joules(Reading(10.0, (start,)), Reading(10.0 + seconds, (end,))) == joules


def test_a_counter_without_a_range_must_not_go_back(tmp_path: Path) -> None:
    chip(tmp_path, 0, "amd_energy", Esocket0=2)
    meter = EnergyMeter(tmp_path / "none", tmp_path)
    assert meter.joules(Reading(0.0, (10,)), Reading(1.0, (5,))) is None
    assert meter.joules(Reading(0.0, (0,)), Reading(1e6, (5_000_000,))) == 5.0


WITH = replace(MEASURED, energy_j=100.0, energy_s=2.0)
WITH_ENERGY = replace(CELL, measurement=WITH, effective={"energy": {"idle_w": 20.0}})


def test_idle_power_is_subtracted() -> None:
    assert joules_per_token(WITH_ENERGY) == (100 - 2 * 20) / 3
    unknown = replace(WITH_ENERGY, effective={})
    assert joules_per_token(unknown) is None, "100 J would be another quantity"
    busy = replace(WITH_ENERGY, effective={"energy": {"idle_w": 60.0}})
    assert joules_per_token(busy) is None, "less than idle is no measurement"


def test_a_cell_keeps_its_energy_and_one_without_has_no_trace_of_it() -> None:
    assert parse_cell(WITH_ENERGY.to_json(), "x").measurement == WITH
    assert "energy" not in CELL.to_json()
    wrong = replace(WITH_ENERGY, measurement=replace(WITH, energy_j=-1.0))
    with pytest.raises(Damaged, match="energy_j: expected 0 or more"):
        parse_cell(wrong.to_json(), "x")


def test_the_idle_machine_is_watched(meter: EnergyMeter, monkeypatch: pytest.MonkeyPatch) -> None:
    readings = iter([Reading(0.0, (0,)), Reading(2.0, (50_000_000,))])
    monkeypatch.setattr(EnergyMeter, "read", lambda self: next(readings))
    monkeypatch.setattr(energy.time, "sleep", lambda seconds: None)
    assert meter.idle_w() == 25.0


def test_a_file_with_another_text_is_no_counter(tmp_path: Path) -> None:
    file = tmp_path / "energy_uj"
    for text in ("", "-5", "1.5", "²", "none"):
        file.write_text(text)
        assert Counter("x", file).read_uj() is None
