"""The protocol of an engine, which runs a shard, and the types that go in and out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from scripts.lib.machine.profiles import Hardware
from scripts.lib.planning.cell_record import Counts, Measurement
from scripts.lib.planning.modes import Mode
from scripts.lib.settings.speculators import Speculation, speculations


class EngineFailure(Exception):
    """A failure of the model, in the engine's own words. It is recorded as the cell's error."""


class NotActive(EngineFailure):
    """The engine runs, but a guard found that it does not do what the mode or profile asks for."""

    def __init__(self, what: str, found: str):
        super().__init__(f"{what} was not active: {found}")


class EngineDied(EngineFailure):
    """The engine's process is gone. It may be loaded again, and must then be checked again."""


class GenerationTimeout(Exception):
    """The answer took longer than allowed. `partial` is what was generated until then."""

    def __init__(self, partial: Measurement):
        self.partial = partial
        super().__init__("timeout")


@dataclass(frozen=True, slots=True)
class LoadSettings:
    """The settings for loading a shard. `context` has sizes in tokens.

    `mode_spec`: the mode as the cells' spec has it. `projector`: the vision projector of a model
    that reads images. `repack`: False keeps the weights in the file's layout. `mmap`: False reads
    the file into memory instead of mapping it.
    """

    weights: Path
    draft: Path | None
    mode: Mode
    mode_spec: Mapping[str, Any]
    context: Mapping[str, Any]
    hardware: Hardware
    projector: Path | None = None
    repack: bool = True
    mmap: bool = True

    @property
    def override_key(self) -> str | None:
        """The metadata key of the active experts, if their number is overridden."""
        return self.mode_spec.get("override_key")

    @property
    def lookup_draft_tokens(self) -> int:
        """The most tokens that one match of prompt lookup drafts; 0 without lookup."""
        found: int = self.mode_spec.get("lookup_draft_tokens", 0)
        return found

    @property
    def speculations(self) -> tuple[Speculation, ...]:
        """The mode's speculators, in the order in which they are asked."""
        return speculations(self.mode_spec)


@dataclass(frozen=True, slots=True)
class Request:
    """One prompt with its sampling settings. Temperature 0 is greedy.

    `timeout_s` limits the whole answer. `prefill`: the beginning of the answer, put after the
    rendered prompt. `turns`: (role, text) of the messages between the system's and the user's.
    `forced`: a text of letters and spaces; an engine that can do so makes the answer follow this
    text.
    """

    user: str
    system: str
    thinking: bool
    temperature: float
    top_p: float
    seed: int
    max_tokens: int
    stop: tuple[str, ...]
    timeout_s: float
    images: tuple[str, ...] = ()
    prefill: str = ""
    turns: tuple[tuple[str, str], ...] = ()
    forced: str = ""

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages for the chat template: system, earlier turns, and the user's prompt."""
        system = (("system", self.system),) if self.system else ()
        said = (*system, *self.turns, ("user", self.user))
        return [{"role": role, "content": text} for role, text in said]


@dataclass(frozen=True, slots=True)
class Loaded:
    """The load time, and the settings that the engine says it loaded."""

    load_s: float
    effective: Mapping[str, Any] = field(default_factory=dict)


class Engine(Protocol):
    """Load, warm up, generate …, unload, in one process. After EngineDied it begins with `load`."""

    def load(self, settings: LoadSettings) -> Loaded:
        """Raises EngineFailure in the engine's own words."""
        ...

    def warm_up(self) -> Counts:
        """Run the whole path once, untimed. Returns what each speculator did."""
        ...

    def renew(self) -> None:
        """Make the speculators forget what they learnt. Only for modes whose speculators learn.

        Raises EngineFailure.
        """
        ...

    def generate(self, request: Request) -> Measurement:
        """Raises EngineFailure, or GenerationTimeout with the part that was generated."""
        ...

    def margins(self, request: Request) -> tuple[tuple[int, float], ...]:
        """The close calls of a greedy answer that `generate` could not see.

        The engine may run the request again, untimed.
        """
        ...

    def pid(self) -> int:
        """The process whose threads compute."""
        ...

    def check_alive(self) -> None:
        """Raises EngineDied if that process has ended, or ends within a second."""
        ...

    def peak_rss_bytes(self) -> int:
        """The most memory that the process had resident."""
        ...

    def unload(self) -> None:
        """Free everything."""
        ...
