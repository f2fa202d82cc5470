"""llama-server's command line. The flags of a binary are read from its own --help.

There are two dialects: `current` (llama.cpp since `--spec-type`) and `older` (builds and forks with
`--draft-max` and `--lookup`). A flag that --help lists as removed does not count.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from scripts.lib.base.captured import run_captured
from scripts.lib.base.errors import BenchError
from scripts.lib.engines.protocol import LoadSettings
from scripts.lib.llama_build.variables import engine_environment
from scripts.lib.machine.profiles import Hardware, parse_cpus

HELP_TIMEOUT_S = 60
# Prints what was really loaded, such as the active experts; the default verbosity does not.
LOG_VERBOSITY = "4"
_FLAG = re.compile(r"(?<![\w-])(--?[A-Za-z][\w-]*)")


@dataclass(frozen=True, slots=True)
class ServerFlags:
    """The flags that a binary lists in its --help."""

    binary: Path
    known: frozenset[str]

    def has(self, flag: str) -> bool:
        """True where the binary has the flag."""
        return flag in self.known

    def require(self, flag: str, consequence: str) -> None:
        """Raise BenchError where the binary does not have the flag."""
        if not self.has(flag):
            raise BenchError(f"{self.binary}: has no {flag}: {consequence}")

    def first(self, *flags: str) -> str | None:
        """The first of these flags that the binary has."""
        return next((flag for flag in flags if flag in self.known), None)

    @property
    def dialect(self) -> str:
        """How the binary is told to speculate: `current`, `older` or `baseline only`."""
        if self.has("--spec-type"):
            return "current"
        return "older" if self.has("--draft-max") or self.has("--lookup") else "baseline only"


def parse_help(text: str) -> frozenset[str]:
    """The flags of a --help page. An entry starts in the first column and ends at the next one."""
    flags: set[str] = set()
    entry: list[str] = []
    for line in [*text.splitlines(), "-"]:
        if line.startswith("-") and entry:
            whole = " ".join(entry)
            if "argument has been removed" not in whole:
                # Two or more spaces, or a new line, separate the flags from the description.
                flags.update(_FLAG.findall(re.split(r"\s{2,}(?=[A-Za-z(])", entry[0])[0]))
            entry = []
        entry.append(line)
    return frozenset(flags)


@lru_cache(maxsize=8)
def probe(binary: Path) -> ServerFlags:
    """The flags of a binary. Raises BenchError where it cannot be run or is not a llama-server."""
    if not binary.is_file():
        raise BenchError(
            f"{binary}: no such binary; build it: make engine "
            "(or name one in runtime_defaults.binaries)"
        )
    try:
        shown = run_captured([str(binary), "--help"], HELP_TIMEOUT_S, engine_environment())
    except PermissionError:
        raise BenchError(
            f"{binary}: is not executable: chmod +x it, or rebuild: make engine"
        ) from None
    except OSError as error:
        raise BenchError(f"{binary}: cannot be run: {error.strerror}") from error
    except subprocess.TimeoutExpired:
        raise BenchError(
            f"{binary}: printed no --help within {HELP_TIMEOUT_S} s: is it a llama-server?"
        ) from None
    known = parse_help(shown.stdout + "\n" + shown.stderr)
    if not {"--model", "--port"} <= known:
        raise BenchError(
            f"{binary}: its --help lists no --model and --port: it is not a known llama-server"
        )
    return ServerFlags(binary, known)


def _words(options: Mapping[str, object]) -> list[str]:
    return [word for flag, value in options.items() for word in (flag, str(value))]


def _speculation_current(settings: LoadSettings) -> list[str]:
    mode, hardware = settings.mode, settings.hardware
    types: list[str] = []
    options: dict[str, object] = {}
    if mode.lookup_n is not None:
        types.append("ngram-simple")
        options |= {
            "--spec-ngram-simple-size-n": mode.lookup_n,
            "--spec-ngram-simple-size-m": settings.lookup_draft_tokens,
        }
    if settings.draft is not None:
        types.append("draft-simple")
        options |= {
            "--spec-draft-model": settings.draft,
            "--spec-draft-n-max": mode.k,
            "--spec-draft-n-min": 0,
            "--spec-draft-p-min": 0,
            "--spec-draft-threads": hardware.threads,
            "--spec-draft-threads-batch": hardware.batch_threads,
        }
    return _words({"--spec-type": ",".join(types), **options})


def _speculation_older(flags: ServerFlags, settings: LoadSettings) -> list[str]:
    mode, argv = settings.mode, list[str]()
    consequence = f"it cannot run mode {mode.name}"
    if settings.draft is not None:
        flags.require("--draft-max", consequence)
        model = flags.first("--model-draft", "-md") or "-md"
        argv += _words({model: settings.draft, "--draft-max": mode.k})
        argv += _optional(flags, {"--draft-min": "0", "--draft-p-min": "0"})
    if mode.lookup_n is not None:
        flags.require("--lookup", consequence)
        argv += ["--lookup"]
        argv += _optional(flags, {"--lookup-ngram-min": str(mode.lookup_n)})
        if settings.draft is None:
            argv += _optional(flags, {"--draft-max": str(settings.lookup_draft_tokens)})
    return argv


def speculation_flags(flags: ServerFlags, settings: LoadSettings) -> list[str]:
    """The flags that turn the mode's speculation on, in the binary's dialect."""
    if not settings.mode.speculative:
        return []
    if flags.has("--spec-type"):
        return _speculation_current(settings)
    return _speculation_older(flags, settings)


def _optional(flags: ServerFlags, wanted: Mapping[str, str | None]) -> list[str]:
    argv: list[str] = []
    for flag, value in wanted.items():
        if flags.has(flag):
            argv += [flag] if value is None else [flag, value]
    return argv


def _strict(flags: ServerFlags, hardware: Hardware) -> list[str]:
    """The i-th compute thread on the i-th CPU; threads of batches and drafts follow it."""
    for flag in ("--cpu-mask", "--cpu-strict"):
        flags.require(flag, f"hardware {hardware.name} is strict")
    mask = sum(1 << cpu for cpu in parse_cpus(hardware.cpus or "0"))
    return _words({"--cpu-mask": f"{mask:#x}", "--cpu-strict": 1})


def _flash_attention(flags: ServerFlags, on: bool) -> list[str]:
    if not flags.has("--flash-attn"):
        return []
    if flags.has("--spec-type"):
        return ["--flash-attn", "on" if on else "off"]
    return ["--flash-attn"] if on else []  # a bare switch in older builds


def server_argv(flags: ServerFlags, settings: LoadSettings, port: int = 0) -> list[str]:
    """One shard's server on loopback (port 0: it chooses one), with flags that the binary has."""
    context, hardware, mode = settings.context, settings.hardware, settings.mode
    argv = [str(flags.binary)]
    argv += _words(
        {
            "--model": settings.weights,
            "--host": "127.0.0.1",
            "--port": port,
            "--ctx-size": context["length_tokens"],
            "--batch-size": context["batch_tokens"],
            "--ubatch-size": context["micro_batch_tokens"],
            "--threads": hardware.threads,
            "--threads-batch": hardware.batch_threads,
            "--parallel": 1,
        }
    )
    argv += _flash_attention(flags, context["flash_attention"])
    argv += _words({"--cache-type-k": context["kv_type_k"], "--cache-type-v": context["kv_type_v"]})
    argv += _optional(
        flags,
        {"--no-ui": None, "--cache-ram": "0", "--log-verbosity": LOG_VERBOSITY, "--jinja": None},
    )
    if hardware.strict:
        argv += _strict(flags, hardware)
    if settings.projector is not None:
        flags.require("--mmproj", "it cannot read images")
        argv += ["--mmproj", str(settings.projector)]
    if mode.experts is not None:
        argv += ["--override-kv", f"{settings.override_key}=int:{mode.experts}"]
    return argv + speculation_flags(flags, settings)


def shown_argv(argv: Sequence[str]) -> str:
    """A command line for the record: shell-quoted, files by name without their folder."""
    return shlex.join(Path(part).name if "/" in part else part for part in argv)
