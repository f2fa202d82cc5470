"""Outcomes of the probes of known quirks: one small sealed record per quirk and engine version."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from scripts.lib.base.layout import PROBES
from scripts.lib.base.safe_files import write_atomic
from scripts.lib.base.stored_json import SEAL, Damaged, digest, read_sealed, read_stored, sealed
from scripts.lib.llama_build.identity import EngineIdentity, engine_identity
from scripts.lib.registry_loader import Quirk, Registry
from scripts.lib.results.symptoms import DEGENERATE, Symptom

# Raise this when a probe changes: every probe is then run again.
PROBE_VERSION = 1


@dataclass(frozen=True, slots=True)
class ProbeOutcome:
    """A probe's outcome. `holds`: the quirk is still there; None: the probe could not decide."""

    quirk: str
    probe: str
    argument: str | None
    engine_version: str
    holds: bool | None
    evidence: str


def engine() -> EngineIdentity:
    """The engine that probes use: this project's build, as a server."""
    return engine_identity("server")


def probe_file(quirk: Quirk) -> Path:
    """The outcome's file; its name ends in a digest of the probe, its argument and the engine."""
    identity = [PROBE_VERSION, quirk.probe, quirk.probe_argument, quirk.applies_to, engine().spec()]
    return PROBES / f"{quirk.id}.{digest(identity)}.json"


def store_outcome(file: Path, outcome: ProbeOutcome) -> None:
    """Write an outcome, sealed, sorted and atomically."""
    text = json.dumps(sealed(asdict(outcome)), indent=2, sort_keys=True, ensure_ascii=False)
    write_atomic(file, f"{text}\n")


def parse_outcome(text: str, file: str) -> ProbeOutcome:
    """A stored outcome. Raises Damaged if it was changed after it was written."""
    raw = read_sealed(text, file)
    del raw[SEAL]
    try:
        return ProbeOutcome(**raw)
    except TypeError as error:
        raise Damaged(file, f"not a probe's outcome ({error})") from error


def read_outcome(file: Path) -> ProbeOutcome | None:
    """A stored outcome; None if it is missing or damaged: the probe counts as never run."""
    try:
        return parse_outcome(read_stored(file), str(file))
    except (FileNotFoundError, Damaged):
        return None


def read_outcomes(registry: Registry) -> Mapping[str, ProbeOutcome]:
    """Quirk id -> stored outcome for the engine version of this checkout, if there is one."""
    found = {}
    for quirk in registry.quirks:
        outcome = read_outcome(probe_file(quirk)) if quirk.probe is not None else None
        if outcome is not None:
            found[quirk.id] = outcome
    return found


# Probes whose outcome follows from the symptoms of stored cells, when the page is made. All other
# probes check the engine.
FROM_CELLS: Mapping[str, tuple[Symptom, ...]] = {
    "output_not_degenerate": DEGENERATE,
    "speculation_active": (Symptom.GUARD,),
}
