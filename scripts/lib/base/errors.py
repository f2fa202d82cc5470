"""User-facing errors: file, place, what was expected and found, and the nearest known value."""

from __future__ import annotations

import difflib
import io
import os
import signal
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NoReturn

from scripts.lib.base.untrusted_text import TERMINAL_KEEPS, printable


@dataclass(frozen=True, slots=True)
class Problem:
    """One defect of one input: `file: place: message` (the place may be empty)."""

    file: str
    place: str
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.file, self.place, self.message) if part)


class BenchError(Exception):
    """An error the user can act on. Entry points print it without a traceback and exit with 1."""


MOST_PROBLEMS_SHOWN = 200
# A shell's exit code for a command that Ctrl-C has ended.
INTERRUPTED_EXIT = 130


# The exit codes of all commands. Snakemake's are 0 and 1.
EXIT_CODES = {
    0: "done",
    1: (
        "an error, told by one message on stderr; or something does not hold: a record is damaged, "
        "a document is stale, a faulty input was left out, a gate could not be judged"
    ),
    2: "the command line was not understood",
    3: "`scripts.compare` only: a gate tripped",
    INTERRUPTED_EXIT: "ended by Ctrl-C; what was finished is stored",
}


class InputErrors(BenchError):
    """Every problem found in an input. `advice` is printed after them."""

    def __init__(self, problems: Iterable[Problem], advice: str = ""):
        self.problems = tuple(problems)
        lines = [str(problem) for problem in self.problems[:MOST_PROBLEMS_SHOWN]]
        more = len(self.problems) - len(lines)
        tail = [f"… and {more} more problems"] if more else []
        super().__init__("\n".join([*lines, *tail, *([advice] if advice else [])]))


def suggest(word: object, known: Iterable[str]) -> str:
    """The end of an error about an unknown word: the nearest known value, else all known ones."""
    names = sorted(set(known))
    near = difflib.get_close_matches(str(word), names, n=1, cutoff=0.6)
    if near:
        return f"; did you mean '{near[0]}'?"
    if not names:
        return ""
    return f"; known: {in_short(names)}"


def in_short(names: Iterable[str], most: int = 12) -> str:
    """The names in one line; if there are more than `most`, the first ones and an ellipsis."""
    listed = list(names)
    return ", ".join(listed[:most]) + (", …" if len(listed) > most else "")


def tell_left_out(problems: Iterable[Problem]) -> int:
    """Print what was left out to stderr. Returns the exit code: 1 if anything was, else 0."""
    found = dict.fromkeys(problems)
    for problem in found:
        print(f"left out: {printable(str(problem), keep=TERMINAL_KEEPS)}", file=sys.stderr)
    return 1 if found else 0


def tell_notices(notices: Iterable[Problem]) -> None:
    """Print each notice once to stderr. Notices name what is not used, but is no error."""
    for notice in dict.fromkeys(notices):
        print(f"notice: {printable(str(notice), keep=TERMINAL_KEEPS)}", file=sys.stderr)


def shown(value: object) -> str:
    """A value for a message: as Python would write it, at most 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def fail(message: object) -> NoReturn:
    """Print `error: message` to stderr, safe for a terminal, and exit with 1."""
    print(f"error: {printable(message, keep=TERMINAL_KEEPS)}", file=sys.stderr)
    raise SystemExit(1)


def print_anything() -> None:
    """Print characters that the terminal's encoding lacks as escapes, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def run_cli(main: Callable[[], int | None]) -> NoReturn:
    """Run an entry point: BenchError and OSError become one message and exit code 1, Ctrl-C 130.

    Before and after `main` (while modules are loaded, and while the process ends), Ctrl-C ends it
    silently.
    """
    print_anything()
    heeded = signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
    if heeded:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        code = main() or 0
        sys.stdout.flush()
    except BenchError as error:
        fail(error)
    except BrokenPipeError:
        # The reader (head, less) has ended, which is no error. Without this, Python would print
        # one at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:
        fail(f"{error.filename or 'input/output'}: {error.strerror or error}")
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        print("interrupted", file=sys.stderr)
        code = INTERRUPTED_EXIT
    if heeded:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    raise SystemExit(code)
