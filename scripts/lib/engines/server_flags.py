"""llama-server's command line: what a binary understands is read from its own --help, never assumed.

Two dialects are known: `current` (llama.cpp since speculation moved to `--spec-type`) and `older`
(builds and forks with `--draft-max` and `--lookup`). A flag that --help lists only to say that it
was removed does not count.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from scripts.lib.base.errors import BenchError
from scripts.lib.engines.protocol import LoadSettings
from scripts.lib.llama_build.variables import engine_environment
from scripts.lib.machine.profiles import Hardware, parse_cpus

HELP_TIMEOUT_S = 60
# Prints what was really loaded (active experts among it), which the default verbosity hides.
LOG_VERBOSITY = "4"
_FLAG = re.compile(r"(?<![\w-])(--?[A-Za-z][\w-]*)")


@dataclass(frozen=True, slots=True)
class ServerFlags:
    """The flags one binary lists in its --help."""

    binary: Path
    known: frozenset[str]

    def has(self, flag: str) -> bool:
        return flag in self.known

    def first(self, *flags: str) -> str | None:
        """The first of these that the binary knows."""
        return next((flag for flag in flags if flag in self.known), None)

    @property
    def dialect(self) -> str:
        if self.has("--spec-type"):
            return "current"
        return "older" if self.has("--draft-max") or self.has("--lookup") else "baseline only"


def parse_help(text: str) -> frozenset[str]:
    """The flags of a --help page: an entry starts in the first column and is described until the next one."""
    flags: set[str] = set()
    entry: list[str] = []
    for line in [*text.splitlines(), "-"]:
        if line.startswith("-") and entry:
            whole = " ".join(entry)
            if "argument has been removed" not in whole:
                # Flags stand before the description, which two or more spaces or a new line set
                # off.
                flags.update(_FLAG.findall(re.split(r"\s{2,}(?=[A-Za-z(])", entry[0])[0]))
            entry = []
        entry.append(line)
    return frozenset(flags)


@lru_cache(maxsize=8)
def probe(binary: Path) -> ServerFlags:
    """Ask the binary what it understands. Raises BenchError when it is missing, not runnable, or prints no known flag."""
    if not binary.is_file():
        raise BenchError(
            f"{binary}: no such binary; build it: make engine (or name one in runtime_defaults.binaries)"
        )
    try:
        shown = subprocess.run(
            [str(binary), "--help"],
            capture_output=True,
            encoding="utf-8",
            timeout=HELP_TIMEOUT_S,
            check=False,
            errors="replace",
            env=engine_environment(),
        )
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
            f"{binary}: its --help lists no --model and --port: not a llama-server that is known here"
        )
    return ServerFlags(binary, known)


def _speculation_current(settings: LoadSettings) -> list[str]:
    mode = settings.mode
    types, argv = [], []
    if mode.lookup_n is not None:
        types.append("ngram-simple")
        argv += ["--spec-ngram-simple-size-n", str(mode.lookup_n)]
        argv += ["--spec-ngram-simple-size-m", str(settings.lookup_draft_tokens)]
    if settings.draft is not None:
        types.append("draft-simple")
        argv += [
            "--spec-draft-model",
            str(settings.draft),
            "--spec-draft-n-max",
            str(mode.k),
            "--spec-draft-n-min",
            "0",
        ]
        argv += ["--spec-draft-p-min", "0", "--spec-draft-threads", str(settings.hardware.threads)]
        argv += ["--spec-draft-threads-batch", str(settings.hardware.batch_threads)]
    return ["--spec-type", ",".join(types), *argv]


def _speculation_older(flags: ServerFlags, settings: LoadSettings) -> list[str]:
    mode, argv = settings.mode, []
    if settings.draft is not None:
        if not flags.has("--draft-max"):
            raise BenchError(
                f"{flags.binary}: knows no --draft-max: it cannot run mode {mode.name}"
            )
        argv += [
            flags.first("--model-draft", "-md") or "-md",
            str(settings.draft),
            "--draft-max",
            str(mode.k),
        ]
        for flag in ("--draft-min", "--draft-p-min"):
            argv += [flag, "0"] if flags.has(flag) else []
    if mode.lookup_n is not None:
        if not flags.has("--lookup"):
            raise BenchError(
                f"{flags.binary}: knows neither --spec-type nor --lookup: it cannot run mode {mode.name}"
            )
        argv += ["--lookup"]
        if flags.has("--lookup-ngram-min"):
            argv += ["--lookup-ngram-min", str(mode.lookup_n)]
        if settings.draft is None and flags.has("--draft-max"):
            argv += ["--draft-max", str(settings.lookup_draft_tokens)]
    return argv


def speculation_flags(flags: ServerFlags, settings: LoadSettings) -> list[str]:
    """The flags that turn the mode's speculation on, in the binary's own dialect."""
    if not settings.mode.speculative:
        return []
    return (
        _speculation_current(settings)
        if flags.has("--spec-type")
        else _speculation_older(flags, settings)
    )


def _optional(flags: ServerFlags, wanted: Mapping[str, str | None]) -> list[str]:
    argv: list[str] = []
    for flag, value in wanted.items():
        if flags.has(flag):
            argv += [flag] if value is None else [flag, value]
    return argv


def _strict(flags: ServerFlags, hardware: Hardware) -> list[str]:
    """The i-th compute thread on the i-th CPU; what batches and drafts use follows from these."""
    if not (flags.has("--cpu-mask") and flags.has("--cpu-strict")):
        raise BenchError(
            f"{flags.binary}: knows no --cpu-mask and --cpu-strict: hardware {hardware.name} wants strict"
        )
    mask = sum(1 << cpu for cpu in parse_cpus(hardware.cpus or "0"))
    return ["--cpu-mask", f"{mask:#x}", "--cpu-strict", "1"]


def server_argv(flags: ServerFlags, settings: LoadSettings, port: int = 0) -> list[str]:
    """One shard's server on loopback (port 0: one that it chooses). Optional flags only where the binary lists them."""
    context, hardware, mode = settings.context, settings.hardware, settings.mode
    argv = [
        str(flags.binary),
        "--model",
        str(settings.weights),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    argv += [
        "--ctx-size",
        str(context["length_tokens"]),
        "--batch-size",
        str(context["batch_tokens"]),
    ]
    argv += [
        "--ubatch-size",
        str(context["micro_batch_tokens"]),
        "--threads",
        str(hardware.threads),
    ]
    argv += ["--threads-batch", str(hardware.batch_threads), "--parallel", "1"]
    if flags.has("--flash-attn"):
        # Older builds have a bare switch; the current ones want on or off.
        on = bool(context["flash_attention"])
        argv += (
            ["--flash-attn", "on" if on else "off"]
            if flags.has("--spec-type")
            else ["--flash-attn"]
            if on
            else []
        )
    argv += ["--cache-type-k", context["kv_type_k"], "--cache-type-v", context["kv_type_v"]]
    argv += _optional(
        flags,
        {"--no-ui": None, "--cache-ram": "0", "--log-verbosity": LOG_VERBOSITY, "--jinja": None},
    )
    if hardware.strict:
        argv += _strict(flags, hardware)
    if settings.projector is not None:
        if not flags.has("--mmproj"):
            raise BenchError(f"{flags.binary}: knows no --mmproj: it reads no images")
        argv += ["--mmproj", str(settings.projector)]
    if mode.experts is not None:
        argv += ["--override-kv", f"{settings.override_key}=int:{mode.experts}"]
    return argv + speculation_flags(flags, settings)


def shown_argv(argv: Sequence[str]) -> str:
    """A command line for the record: files by name (where they are says nothing), shell-quoted."""
    return shlex.join(Path(part).name if "/" in part else part for part in argv)
