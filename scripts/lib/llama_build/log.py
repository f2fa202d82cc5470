"""What llama.cpp says while it loads. Importing this module loads its libraries: `engine_build.activate()` comes before."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import llama_cpp

_listening: list[Any] = []


def listen(take: Callable[[str], None]) -> None:
    """Hand everything that llama.cpp says, in this process and from now on, to `take`."""
    callback = llama_cpp.llama_log_callback(
        lambda _level, text, _data: take(text.decode("utf-8", "replace"))
    )
    llama_cpp.llama_log_set(callback, ctypes.c_void_p(0))
    # llama.cpp keeps the bare pointer: the callback has to live until another one has taken its
    # place.
    _listening[:] = [callback]


class EngineLog:
    """Collects what llama.cpp says while a model loads: the proof of what was really loaded, and of what failed."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        listen(self.lines.append)

    def text(self) -> str:
        return "".join(self.lines)

    def clear(self) -> None:
        self.lines.clear()

    def last_words(self, count: int = 6) -> str:
        """The last lines that say something: what a user is shown when loading fails."""
        lines = [line.strip() for line in self.text().splitlines() if line.strip(" .\n")]
        return " | ".join(lines[-count:])
