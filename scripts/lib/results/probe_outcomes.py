"""What probes of known quirks saw: one small sealed record per quirk and engine version."""

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
from scripts.lib.results.symptoms import DEGENERATE, GUARD

# Raised by hand when what a probe does changes: every probe is then run again.
PROBE_VERSION = 1


@dataclass(frozen=True, slots=True)
class ProbeOutcome:
    """What a probe saw. `holds`: the quirk is still there; None: it could not be told."""

    quirk: str
    probe: str
    argument: str | None
    engine_version: str
    holds: bool | None
    evidence: str


def engine() -> EngineIdentity:
    """The engine that probes look at: this project's build, as a server."""
    return engine_identity("server")


def probe_file(quirk: Quirk) -> Path:
    """Where the outcome is kept: its name holds the probe, its argument and the engine's identity."""
    identity = [PROBE_VERSION, quirk.probe, quirk.probe_argument, quirk.applies_to, engine().spec()]
    return PROBES / f"{quirk.id}.{digest(identity)}.json"


def store_outcome(file: Path, outcome: ProbeOutcome) -> None:
    """Write an outcome, sealed, sorted and atomically."""
    write_atomic(
        file,
        json.dumps(sealed(asdict(outcome)), indent=2, sort_keys=True, ensure_ascii=False) + "\n",
    )


def parse_outcome(text: str, file: str) -> ProbeOutcome:
    """A stored outcome. Raises Damaged where it is not what was written."""
    raw = read_sealed(text, file)
    del raw[SEAL]
    try:
        return ProbeOutcome(**raw)
    except TypeError as error:
        raise Damaged(file, f"not a probe's outcome ({error})") from error


def read_outcome(file: Path) -> ProbeOutcome | None:
    """A stored outcome; None for one that is not there or damaged: the probe counts as never run."""
    try:
        return parse_outcome(read_stored(file), str(file))
    except (FileNotFoundError, Damaged):
        return None


def read_outcomes(registry: Registry) -> Mapping[str, ProbeOutcome]:
    """Quirk id -> outcome for the engine version of this checkout, as far as there is one in the tree."""
    asked = (quirk for quirk in registry.quirks if quirk.probe is not None)
    found = ((quirk.id, read_outcome(probe_file(quirk))) for quirk in asked)
    return {name: outcome for name, outcome in found if outcome is not None}


# Probes that look at stored cells are answered where the page is made, by the symptoms seen; the
# others look at the engine.
FROM_CELLS: Mapping[str, tuple[str, ...]] = {
    "output_not_degenerate": DEGENERATE,
    "speculation_active": (GUARD,),
}
