"""Energy by the machine's own counters: RAPL (powercap), else AMD's hwmon. Often there is none.

A virtual machine hides them, and since Linux 5.10 only root reads those of RAPL. Then there is no
figure. A counter is read right before and after an answer, so nothing wakes up beside it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts.lib.machine.kernel_files import kernel_text

POWERCAP, HWMON = Path("/sys/class/powercap"), Path("/sys/class/hwmon")
# No socket, with its memory, takes more. A counter that could have wrapped twice gives no figure.
MOST_W = 1000.0
# How long the idle machine is watched before the weights are loaded.
IDLE_S = 2.0


@dataclass(frozen=True, slots=True)
class Counter:
    """A counter of microjoules. `range_uj`: where it begins again at 0 (None: never)."""

    name: str
    file: Path
    range_uj: int | None = None

    def read_uj(self) -> int | None:
        """What it says now; None if it cannot be read."""
        return _whole(self.file)


@dataclass(frozen=True, slots=True)
class Reading:
    """What every counter said at a time (seconds of the monotonic clock)."""

    at_s: float
    uj: tuple[int | None, ...]


def _whole(file: Path) -> int | None:
    text = kernel_text(file)
    return int(text) if text is not None and text.isascii() and text.isdigit() else None


def _rapl(folder: Path) -> Iterator[Counter]:
    """The sockets, and their memory where it has a counter. Cores are part of their socket."""
    for zone in sorted(folder.glob("intel-rapl:*")):
        name = kernel_text(zone / "name") or ""
        if name.startswith("package-") or name == "dram":
            yield Counter(
                f"{zone.name} {name}", zone / "energy_uj", _whole(zone / "max_energy_range_uj")
            )


def _hwmon(folder: Path) -> Iterator[Counter]:
    for chip in sorted(folder.glob("hwmon*")):
        if kernel_text(chip / "name") != "amd_energy":
            continue
        for label in sorted(chip.glob("energy*_label")):
            name = kernel_text(label) or ""
            if name.startswith("Esocket"):
                file = label.with_name(label.name.replace("_label", "_input"))
                yield Counter(f"{chip.name} {name}", file)


class EnergyMeter:
    """The readable counters of this machine; none is the usual case."""

    def __init__(self, powercap: Path = POWERCAP, hwmon: Path = HWMON):
        found = [c for c in _rapl(powercap) if c.read_uj() is not None]
        self.counters = tuple(found or (c for c in _hwmon(hwmon) if c.read_uj() is not None))

    def read(self) -> Reading:
        """What the counters say now."""
        return Reading(time.monotonic(), tuple(counter.read_uj() for counter in self.counters))

    def joules(self, before: Reading, after: Reading) -> float | None:
        """The energy between two readings.

        None without counters, and if one could not be read, stood still, or may have begun again
        at 0 more than once.
        """
        elapsed_s, total_uj = after.at_s - before.at_s, 0
        for counter, start, end in zip(self.counters, before.uj, after.uj, strict=True):
            if start is None or end is None:
                return None
            used = end - start
            if counter.range_uj is not None:
                if elapsed_s * MOST_W * 1e6 >= counter.range_uj:
                    return None
                used += counter.range_uj if used < 0 else 0
            if used <= 0:
                return None
            total_uj += used
        return total_uj / 1e6 if self.counters else None

    def idle_w(self, seconds: float = IDLE_S) -> float | None:
        """The machine's power in watts while it waits so long; None without counters."""
        if not self.counters:
            return None
        before = self.read()
        time.sleep(seconds)
        after = self.read()
        used = self.joules(before, after)
        return used / (after.at_s - before.at_s) if used is not None else None
