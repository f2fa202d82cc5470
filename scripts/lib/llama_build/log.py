"""llama.cpp's log. Importing this module loads its libraries: first call `build.activate()`."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import llama_cpp

_listening: list[Any] = []


def listen(take: Callable[[str], None]) -> None:
    """From now on, pass everything that llama.cpp logs in this process to `take`."""
    callback = llama_cpp.llama_log_callback(
        lambda _level, text, _data: take(text.decode("utf-8", "replace"))
    )
    llama_cpp.llama_log_set(callback, ctypes.c_void_p(0))
    # llama.cpp keeps only a pointer: the callback must exist until another one replaces it.
    _listening[:] = [callback]


class EngineLog:
    """Collects the log of a loading model: it shows what was really loaded, or what failed."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        listen(self.lines.append)

    def text(self) -> str:
        """The whole log since the last `clear`."""
        return "".join(self.lines)

    def clear(self) -> None:
        """Forget what was logged so far."""
        self.lines.clear()

    def last_words(self, count: int = 6) -> str:
        """The last lines that are not empty or dots: shown when loading fails."""
        lines = [line.strip() for line in self.text().splitlines() if line.strip(" .\n")]
        return " | ".join(lines[-count:])
