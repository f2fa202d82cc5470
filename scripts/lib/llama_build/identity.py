"""The identity of an engine: name, version, and the sha256 of its source or of its binary."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.lib.base.captured import run_captured
from scripts.lib.base.errors import BenchError
from scripts.lib.base.file_hashing import sha256_of
from scripts.lib.base.stored_json import canonical_json
from scripts.lib.llama_build.variables import engine_environment

ENGINE_LOCK = Path("envs/engine.lock")
_ENGINE_LIBRARY = re.compile(r"lib(llama|ggml|mtmd)")
_PIN = re.compile(
    r"^llama-cpp-python==(?P<version>[^\s;\\]+).*?--hash=sha256:(?P<sha256>[0-9a-f]{64})",
    re.S | re.M,
)


@dataclass(frozen=True, slots=True)
class EngineIdentity:
    """Name (`embedded` or `server`), version, and the sha256 of the source.

    `binary`: the path of a binary that was not built here; the sha256 is then that of the binary.
    """

    name: str
    version: str
    source_sha256: str
    binary: Path | None = None

    def spec(self) -> dict[str, Any]:
        """The part of a cell's spec that pins the engine."""
        return {"name": self.name, "version": self.version, "source": self.source_sha256[:12]}


def engine_identity(name: str, lock: Path = ENGINE_LOCK) -> EngineIdentity:
    """The identity pinned in the lock file. It does not need a build."""
    found = _PIN.search(lock.read_text(encoding="utf-8"))
    if found is None:
        raise BenchError(
            f"{lock}: expected a line 'llama-cpp-python==VERSION --hash=sha256:…', found none"
        )
    return EngineIdentity(name, found["version"], found["sha256"])


def binary_identity(name: str, binary: Path) -> EngineIdentity:
    """The identity of a llama-server that was not built here: its version line and its sha256."""
    if not binary.is_file():
        raise BenchError(
            f"config: server_binary: no such binary: {binary}; "
            "build one: make engine, server_binary: built"
        )
    try:
        shown = run_captured([str(binary), "--version"], 60, engine_environment())
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchError(f"{binary}: cannot be asked for its --version: {error}") from error
    lines = (shown.stderr + shown.stdout).strip().splitlines()
    version = next(
        (line for line in lines if line.startswith("version")), lines[0] if lines else "unknown"
    )
    return EngineIdentity(name, version[:100], _binary_sha256(binary), binary)


def _binary_sha256(binary: Path) -> str:
    """The binary's sha256; if it loads llama.cpp as libraries, one over all these files."""
    libraries = _libraries(binary)
    if not libraries:
        return sha256_of(binary)
    parts = [(file.name, sha256_of(file)) for file in (binary, *libraries)]
    return hashlib.sha256(canonical_json(parts).encode()).hexdigest()


def _libraries(binary: Path) -> list[Path]:
    """llama.cpp's libraries of a binary: the linked ones, and the backends beside it."""
    shown = subprocess.run(
        ["ldd", str(binary)], env=engine_environment(), capture_output=True, timeout=60, check=False
    )
    linked = {Path(file) for file in re.findall(r"=> (/.*) \(0x", os.fsdecode(shown.stdout))}
    beside = set(binary.resolve().parent.glob("*.so*"))
    return sorted({file.resolve() for file in linked | beside if _ENGINE_LIBRARY.match(file.name)})
