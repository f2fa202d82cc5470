"""Makes the engine of a given name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from scripts.lib.base.errors import BenchError
from scripts.lib.engines.protocol import Engine


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """An engine's log file; for llama-server also its binary, and how long loading may take."""

    binary: Path
    log: Path
    ready_timeout_s: float


def make_engine(name: str, settings: EngineSettings) -> Engine:
    """The engine of that name.

    Its module is imported only here, since llama.cpp's libraries may be loaded in a shard's own
    process only.
    """
    if name == "embedded":
        from scripts.lib.engines.embedded import EmbeddedEngine

        return EmbeddedEngine(settings.log)
    if name == "server":
        from scripts.lib.engines.server import ServerEngine

        return ServerEngine(settings.binary, settings.log, settings.ready_timeout_s)
    raise BenchError(f"engine: unknown engine '{name}'; known: embedded, server")
