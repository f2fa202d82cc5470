"""Divergences from references as stored: what the gate `kl` judges."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean

from scripts.lib.fidelity.record import FidelityRecord


@dataclass(frozen=True, slots=True)
class Divergence:
    """The mean divergence over one block of one configuration, in nats per token."""

    hardware: str
    model: str
    mode: str
    question: str
    kl: float
    started_utc: str
    run_id: str
    engine_version: str


def of_fidelity(record: FidelityRecord) -> Divergence | None:
    """A stored fidelity cell; None for a failed one."""
    if record.measured is None:
        return None
    cell = record.cell
    return Divergence(
        cell.hardware,
        cell.model,
        cell.mode,
        f"{cell.suite}/{cell.question}",
        fmean(record.measured.kl),
        record.started_utc,
        record.run_id,
        str(record.spec.get("engine", {}).get("version", "")),
    )
