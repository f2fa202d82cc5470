"""Imported runs of the predecessor."""

from __future__ import annotations

from pathlib import Path

from scripts.lib.base.layout import LEGACY_TEMPLATE
from scripts.lib.base.templates import render
from scripts.lib.legacy import PROFILE
from scripts.lib.legacy.history import read_history
from scripts.lib.legacy.page import LegacyPage
from scripts.lib.legacy.rows import LegacyRow
from scripts.lib.legacy.tables import Imported
from scripts.lib.machine.profiles import load_hardware
from scripts.lib.registry_loader import load_registry

REGISTRY = load_registry(Path("orchestration/model_registry.yaml"))
HARDWARE = load_hardware(PROFILE)


def imported(folder: Path) -> Imported:
    assert HARDWARE.bandwidth_gb_per_s is not None
    return Imported(
        read_history(folder, folder / "none"), REGISTRY, HARDWARE.bandwidth_gb_per_s * 1e9
    )


def row(found: Imported, label: str) -> LegacyRow:
    return next(row for row in found.rows if row.label == label)


def unplaced(found: Imported) -> dict[str, str]:
    return {
        f"{item.file}: {item.place}" if item.place else item.file: item.reason
        for item in found.unplaced
    }


def page_of(found: Imported) -> str:
    return render(Path(LEGACY_TEMPLATE), pages=[LegacyPage(HARDWARE, found)])
