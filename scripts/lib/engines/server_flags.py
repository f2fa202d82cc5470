"""llama-server's command line. The flags of a binary are read from its own --help.

There are three dialects: `current` (llama.cpp since it has `--spec-draft-n-max`), `ik`
(ik_llama.cpp, which takes one `--spec-type TYPE:key=value,…` for each speculator) and `older`
(builds and forks with `--draft-max` or `--lookup`). A flag that --help lists as removed does not
count. Source of `ik`: ik_llama.cpp's common/common.cpp (gpt_params_print_usage,
common_speculative_stage_apply_kv).
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from scripts.lib.base.captured import run_captured
from scripts.lib.base.errors import BenchError
from scripts.lib.engines.protocol import LoadSettings
from scripts.lib.llama_build.variables import engine_environment
from scripts.lib.machine.profiles import Hardware, parse_cpus
from scripts.lib.settings.speculators import LOOKUP, SIMPLE_DRAFT, Speculation

HELP_TIMEOUT_S = 60
# With this verbosity the log says what was really loaded, such as the active experts.
LOG_VERBOSITY = "4"
CURRENT, IK, OLDER = "current", "ik", "older"
# ik_llama.cpp indents options without a short form by up to 10 columns; a description begins in
# column 34 (ik_llama.cpp) or 40.
_ENTRY = re.compile(r" {0,15}--?[A-Za-z]")
_FLAG = re.compile(r"(?<![\w-])(--?[A-Za-z][\w-]*)")


@dataclass(frozen=True, slots=True)
class ServerFlags:
    """The flags that a binary lists in its --help.

    `spec_types`: the values of `--spec-type`. `spec_keys`: the keys in ik_llama.cpp's
    `--spec-type TYPE:key=value`; llama.cpp has none. `flash_words`: the values of
    `--flash-attn`; a bare switch, as in older builds, has none.
    """

    binary: Path
    known: frozenset[str]
    spec_types: frozenset[str] = frozenset()
    spec_keys: frozenset[str] = frozenset()
    flash_words: frozenset[str] = frozenset()

    def has(self, flag: str) -> bool:
        """True if the binary has the flag."""
        return flag in self.known

    def require(self, flag: str, consequence: str) -> None:
        """Raise BenchError if the binary does not have the flag."""
        if not self.has(flag):
            raise BenchError(f"{self.binary}: has no {flag}: {consequence}")

    def require_type(self, speculator: str, consequence: str) -> None:
        """Raise BenchError if the binary does not have this type of speculation."""
        if speculator not in self.spec_types:
            known = ", ".join(sorted(self.spec_types)) or "none"
            raise BenchError(
                f"{self.binary}: --spec-type has no {speculator} (it has: {known}): {consequence}"
            )

    def first(self, *flags: str) -> str | None:
        """The first of these flags that the binary has."""
        return next((flag for flag in flags if flag in self.known), None)

    @property
    def dialect(self) -> str:
        """The dialect of its flags for speculation: `current`, `ik`, `older`, `baseline only`."""
        if self.has("--spec-type") and self.spec_keys:
            return IK
        if self.has("--spec-type") and self.has("--spec-draft-n-max"):
            return CURRENT
        return OLDER if self.has("--draft-max") or self.has("--lookup") else "baseline only"


def _entries(text: str) -> Iterator[tuple[frozenset[str], str]]:
    """(flags, whole text) of each entry of a --help page.

    An entry starts in one of the first columns and ends where the next one starts; its description
    is far to the right. Flags that were removed are left out.
    """
    entry: list[str] = []
    for line in [*text.splitlines(), "-h"]:
        if _ENTRY.match(line) and entry:
            whole = " ".join(entry)
            if "argument has been removed" not in whole:
                # Two or more spaces, or a new line, separate the flags from the description.
                head = re.split(r"\s{2,}(?=[A-Za-z(])", entry[0])[0]
                yield frozenset(_FLAG.findall(head)), whole
            entry = []
        entry.append(line)


def parse_help(text: str) -> frozenset[str]:
    """The flags of a --help page."""
    return frozenset(flag for flags, _ in _entries(text) for flag in flags)


# ik_llama.cpp's description of `--spec-type`, and llama.cpp's word for its value.
_IK_TYPES = re.compile(r"types: ((?:[a-z0-9-]+, )*[a-z0-9-]+)")
_IK_KEYS = re.compile(r"canonical keys: ([a-z_,]+)")
_CURRENT_TYPES = re.compile(r"--spec-type\s+(\S+)")


def parse_spec_types(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """The types of speculation that a --help page lists for `--spec-type`, and ik's keys."""
    for flags, whole in _entries(text):
        if "--spec-type" not in flags:
            continue
        keys = _IK_KEYS.search(whole)
        types = (_IK_TYPES if keys else _CURRENT_TYPES).search(whole)
        words = re.findall(r"[a-z][a-z0-9-]*", types[1] if types else "")
        return frozenset(words) - {"none"}, frozenset(keys[1].split(",") if keys else ())
    return frozenset(), frozenset()


_FLASH_WORDS = re.compile(r"--flash-attn\s+[\[(]([a-z0-9|]+)[\])]")


def parse_flash_words(text: str) -> frozenset[str]:
    """The values that a --help page lists for `--flash-attn`."""
    for flags, whole in _entries(text):
        found = _FLASH_WORDS.search(whole)
        if "--flash-attn" in flags and found is not None:
            return frozenset(found[1].split("|"))
    return frozenset()


def read_help(binary: Path, page: str) -> ServerFlags:
    """The flags of a binary with this --help page."""
    return ServerFlags(
        binary, parse_help(page), *parse_spec_types(page), flash_words=parse_flash_words(page)
    )


@lru_cache(maxsize=8)
def probe(binary: Path) -> ServerFlags:
    """The flags of a binary. Raises BenchError if it cannot be run or is not a llama-server."""
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
    flags = read_help(binary, shown.stdout + "\n" + shown.stderr)
    if not {"--model", "--port"} <= flags.known:
        raise BenchError(
            f"{binary}: its --help lists no --model and --port: it is not a known llama-server"
        )
    return flags


def _words(options: Mapping[str, object]) -> list[str]:
    return [word for flag, value in options.items() for word in (flag, str(value))]


def _speculation_current(flags: ServerFlags, settings: LoadSettings) -> list[str]:
    consequence = f"it cannot run mode {settings.mode.name}"
    unknown = set[str]()
    for speculation in settings.speculations:
        flags.require_type(speculation.speculator.type, consequence)
        for knob, value in speculation.options():
            if value != knob.default:
                flags.require(knob.flag, f"it is {value:g}: {consequence}")
            if not flags.has(knob.flag):
                unknown.add(knob.flag)
    return _current_words(settings, unknown)


def _current_words(settings: LoadSettings, unknown: Set[str] = frozenset()) -> list[str]:
    """The arguments for llama.cpp. `unknown`: flags that the binary does not have."""
    hardware = settings.hardware
    options: dict[str, object] = {}
    if settings.draft is not None:
        options["--spec-draft-model"] = settings.draft
    for speculation in settings.speculations:
        for knob, value in speculation.options():
            if knob.flag not in unknown:
                options[knob.flag] = value
        if not speculation.speculator.is_ngram:
            options["--spec-draft-threads"] = hardware.threads
            options["--spec-draft-threads-batch"] = hardware.batch_threads
    types = ",".join(speculation.speculator.type for speculation in settings.speculations)
    return _words({"--spec-type": types, **options})


def _speculation_ik(flags: ServerFlags, settings: LoadSettings) -> list[str]:
    """ik_llama.cpp: one `--spec-type TYPE:key=value,…` for each speculator."""
    consequence = f"it cannot run mode {settings.mode.name}"
    hardware, argv = settings.hardware, list[str]()
    if settings.draft is not None:
        argv += _words({"--model-draft": settings.draft})
        threads = {"--threads-draft": hardware.threads}
        argv += _words(threads | {"--threads-batch-draft": hardware.batch_threads})
    for speculation in settings.speculations:
        row = speculation.speculator
        flags.require_type(row.ik_type or row.type, consequence)
        values = ",".join(_ik_values(flags, speculation, consequence))
        argv += ["--spec-type", f"{row.ik_type}:{values}" if values else row.ik_type]
    return argv


def _ik_values(flags: ServerFlags, speculation: Speculation, consequence: str) -> Iterator[str]:
    """`key=value` for each setting. If the binary lacks a key, it must be at its default."""
    for knob, value in speculation.options():
        if flags.spec_keys.issuperset(knob.ik_keys):
            yield from (f"{key}={value:g}" for key in knob.ik_keys)
        elif value != knob.default:
            known = ", ".join(sorted(flags.spec_keys))
            raise BenchError(
                f"{flags.binary}: --spec-type {speculation.speculator.ik_type} has no key "
                f"{knob.ik_key} (it has: {known}), and {knob.ik_key} is {value:g}: {consequence}"
            )


def _speculation_older(flags: ServerFlags, settings: LoadSettings) -> list[str]:
    mode, argv = settings.mode, list[str]()
    consequence = f"it cannot run mode {mode.name}"
    for speculation in settings.speculations:
        if speculation.speculator.name not in (LOOKUP, SIMPLE_DRAFT):
            flags.require("--spec-type", consequence)
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
    if flags.dialect == IK:
        return _speculation_ik(flags, settings)
    if flags.dialect == CURRENT:
        return _speculation_current(flags, settings)
    return _speculation_older(flags, settings)


def _optional(flags: ServerFlags, wanted: Mapping[str, str | None]) -> list[str]:
    argv: list[str] = []
    for flag, value in wanted.items():
        if flags.has(flag):
            argv += [flag] if value is None else [flag, value]
    return argv


def _strict(flags: ServerFlags, hardware: Hardware) -> list[str]:
    """The i-th compute thread on the i-th CPU, also for batches and drafts."""
    for flag in ("--cpu-mask", "--cpu-strict"):
        flags.require(flag, f"hardware {hardware.name} is strict")
    mask = sum(1 << cpu for cpu in parse_cpus(hardware.cpus or "0"))
    return _words({"--cpu-mask": f"{mask:#x}", "--cpu-strict": 1})


# llama.cpp's words for `flash_attention`; those of llama-bench, too.
FLASH_WORD = {True: "on", False: "off", "auto": "auto"}


def _flash_attention(flags: ServerFlags, wish: bool | str) -> list[str]:
    """`wish`: true, false or `auto`. A build without `auto` has its own default for it: off."""
    if FLASH_WORD[wish] in flags.flash_words:
        return ["--flash-attn", FLASH_WORD[wish]]
    if wish is not True:
        return []
    flags.require("--flash-attn", "flash_attention is true")
    return ["--flash-attn"]


def _loading(flags: ServerFlags, settings: LoadSettings) -> list[str]:
    argv = list[str]()
    if not settings.repack:
        flags.require("--no-repack", "it cannot keep the weights as they are in the file")
        argv.append("--no-repack")
    if not settings.mmap and flags.has("--load-mode"):
        argv += ["--load-mode", "none"]
    elif not settings.mmap:
        flags.require("--no-mmap", "it cannot do without mapping the file")
        argv.append("--no-mmap")
    return argv


def server_argv(flags: ServerFlags, settings: LoadSettings, port: int = 0) -> list[str]:
    """The command line of a shard's server, with flags that it has. Port 0: it chooses one."""
    context, hardware = settings.context, settings.hardware
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
    argv += _loading(flags, settings)
    if flags.dialect == IK:
        argv += _optional(flags, {"--webui": "none"})
    if hardware.strict:
        argv += _strict(flags, hardware)
    if settings.projector is not None:
        flags.require("--mmproj", "it cannot read images")
        argv += ["--mmproj", str(settings.projector)]
    return argv + _override(settings) + speculation_flags(flags, settings)


def _override(settings: LoadSettings) -> list[str]:
    experts = settings.mode.experts
    return [] if experts is None else ["--override-kv", f"{settings.override_key}=int:{experts}"]


def mode_argv(settings: LoadSettings) -> list[str]:
    """The arguments that the mode adds to a llama.cpp command line; none for the baseline."""
    speculative = settings.mode.speculative
    return _override(settings) + (_current_words(settings) if speculative else [])


def shown_argv(argv: Sequence[str]) -> str:
    """A command line for the record: shell-quoted, with file names instead of paths."""
    return shlex.join(Path(part).name if "/" in part else part for part in argv)
