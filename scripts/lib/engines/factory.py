"""The engine of a name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from scripts.lib.base.errors import BenchError
from scripts.lib.engines.protocol import Engine


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Where an engine keeps its log; for llama-server also its binary, and how long loading may take."""

    binary: Path
    log: Path
    ready_timeout_s: float


def make_engine(name: str, settings: EngineSettings) -> Engine:
    """The engine of that name. Imports it only now: llama.cpp's libraries load in the shard's own process."""
    if name == "embedded":
        from scripts.lib.engines.embedded import EmbeddedEngine

        return EmbeddedEngine(settings.log)
    if name == "server":
        from scripts.lib.engines.server import ServerEngine

        return ServerEngine(settings.binary, settings.log, settings.ready_timeout_s)
    raise BenchError(f"engine: unknown engine '{name}'; known: embedded, server")
