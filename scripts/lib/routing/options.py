"""The options of a sample, stored for --resume, and the replacements of other tools' options."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from scripts.lib.base.errors import BenchError, suggest
from scripts.lib.base.safe_files import write_atomic
from scripts.lib.base.stored_json import now_utc
from scripts.lib.routing.entries import ACTIONS, EVERY_SUITE, MODE, Narrowing, Overrides

SAMPLE = "sample.json"


@dataclass(frozen=True, slots=True)
class Asked:
    """The options that define a sample, by command-line name. `timeout`: seconds per question."""

    suites: tuple[str, ...] = ("all",)
    sample_size: int = 10
    seed: int = 0
    question_ids: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    modes: tuple[str, ...] = (MODE,)
    frontdoor: tuple[str, ...] = ()
    specialist: tuple[str, ...] = ()
    architect: tuple[str, ...] = ()
    timeout: float | None = None
    hardware: str | None = None
    configfile: tuple[str, ...] = ()

    @property
    def narrowing(self) -> Narrowing:
        """The entries, questions and modes to which the sample is restricted."""
        return Narrowing(self.roles, self.question_ids, self.modes)

    @property
    def overrides(self) -> Overrides:
        """Action -> suite -> KEY, from each action's `KEY` or `SUITE=KEY`."""
        found: dict[str, dict[str, str]] = {}
        for action in ACTIONS:
            for text in getattr(self, action):
                suite, _, key = text.rpartition("=")
                found.setdefault(action, {})[suite or EVERY_SUITE] = key
        return found


def option(name: str) -> str:
    """The command-line option of a field of Asked."""
    return f"--{name.replace('_', '-')}"


def asked_of(given: Mapping[str, Any]) -> Asked:
    """The options of a command line; None means the default. Raises BenchError."""
    values: dict[str, Any] = {
        name: tuple(given[name]) if isinstance(given[name], list) else given[name]
        for name in _given(given)
    }
    asked = Asked(**values)
    if asked.sample_size < 1:
        raise BenchError(
            f"--sample-size: expected at least 1 question per suite, found {asked.sample_size}"
        )
    if asked.timeout is not None and not 0 < asked.timeout < float("inf"):
        raise BenchError(f"--timeout: expected seconds above 0, found {asked.timeout:g}")
    if asked.question_ids and "sample_size" in values:
        raise BenchError(
            "--question-ids names all questions to ask, so --sample-size must be left out"
        )
    return asked


def _given(given: Mapping[str, Any]) -> list[str]:
    """The fields of Asked for which the command line gives a value."""
    return [f.name for f in fields(Asked) if given.get(f.name) is not None]


def store(asked: Asked, folder: Path) -> None:
    """Store the options in a sample's folder."""
    content = {"asked": asdict(asked), "started_utc": now_utc()}
    write_atomic(folder / SAMPLE, json.dumps(content, indent=1) + "\n")


def _read(file: Path) -> tuple[str, Asked]:
    """(when a sample was started, its options)."""
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        asked = raw["asked"] | ({"sample_size": None} if raw["asked"]["question_ids"] else {})
        for f in fields(Asked):
            _check(asked[f.name], f.default)
        return str(raw["started_utc"]), asked_of(asked)
    except (OSError, ValueError, KeyError, TypeError, BenchError) as error:
        raise BenchError(
            f"{file}: cannot read the options of the sample ({error!r}); start a new one, without "
            "--resume"
        ) from error


def _check(value: object, default: object) -> None:
    """Raise ValueError for a stored value that a command line cannot give."""
    if isinstance(default, tuple):
        fits = isinstance(value, list) and all(isinstance(text, str) for text in value)
    elif isinstance(default, int):
        fits = value is None or type(value) is int
    else:
        fits = value is None or type(value) in (str, int, float)
    if not fits:
        raise ValueError(f"found {value!r}")


def resumed(routing: Path, name: str, given: Mapping[str, Any]) -> tuple[str, Asked]:
    """(name, options) of a sample below the routing folder (`HARDWARE/SAMPLE/`).

    An empty name means the one started last. Raises BenchError for an unknown name, options that
    cannot be read, and options given beside --resume.
    """
    if beside := _given(given):
        raise BenchError(
            "--resume continues a sample with its own options, so "
            f"{option(beside[0])} must be left out"
        )
    files = {file.parent.name: file for file in routing.glob(f"*/*/{SAMPLE}")}
    if not files:
        raise BenchError(f"--resume: there is no sample below {routing} yet; start one with --3way")
    if not name:
        name = max(files, key=lambda sample: _read(files[sample])[0])
    if name not in files:
        raise BenchError(f"--resume: no sample '{name}' below {routing}{suggest(name, files)}")
    return name, _read(files[name])[1]


# Options of programs that ask a running orchestrator, separated by spaces -> their replacement.
REPLACED: Mapping[str, str] = {
    "--model --models --role": "--roles KEY …, or --frontdoor, --specialist, --architect KEY",
    "--mode": "--modes MODE …",
    "--suite": "--suites SUITE …",
    "--questions --question-id": "--question-ids ID …",
    "--limit --num-questions --n --samples": "--sample-size N",
    "--output-dir --out --results-dir": "--output FOLDER",
    "--url --api-url --base-url --host --port --server --api-key": (
        "nothing: no server is asked; the pipeline loads each entry itself (`engine` of "
        "config/config.yaml)"
    ),
    "--cache --no-cache --rebuild-cache --skip-cache --dedup --no-dedup --force --overwrite": (
        "nothing: a stored answer is asked for again only if its configuration has changed"
    ),
    "--workers --parallel --concurrency --batch-size --jobs": (
        "nothing: a timed entry has the machine to itself; for several machines: profiles/slurm"
    ),
    "--retries --retry --max-retries": (
        "snakemake retry_failed; until then, a failed answer is kept"
    ),
    "--temperature --max-tokens --top-p --context --context-length --repeats --engine": (
        "--configfile FILE with that key of config/config.yaml"
    ),
    "--judge --scorer --rescore": (
        "judge.scorers of the configuration; python -m scripts.score_benchmarks"
    ),
    "--registry --prompts": "--configfile FILE with that key",
    "--profile": "--timeout S and --cooldown S; for another machine: --hardware PROFILE",
    "--continuous-interval": "--cooldown S: a pause before each entry, also between samples",
    "--verbose --tui": "--debug",
    "--pool --no-pool --rebuild-pool": (
        "python -m scripts.prompts import NAME; public benchmarks are suites here"
    ),
    "--debug-batch-size --debug-threshold --debug-auto-commit --debug-dry-run --debug-replay "
    "--evolve --no-escalation-chains --prior-strength --conformal-margin --cost-lambda "
    "--confidence-threshold --confidence-estimator --confidence-trim-ratio "
    "--confidence-min-neighbors --calibrated-confidence-threshold --warm-probability-hit "
    "--warm-probability-miss --warm-cost-fallback-s --cold-cost-fallback-s --risk-control-enabled "
    "--risk-budget-id --risk-gate-min-samples --risk-abstain-target-role "
    "--risk-gate-rollout-ratio --risk-gate-kill-switch --risk-budget-guardrail-min-events "
    "--risk-budget-guardrail-max-abstain-rate": (
        "nothing: they set the orchestrator's own router, which is not part of this project "
        "(rewards: docs/reference/methods.md)"
    ),
    "--report --summary --analyze": "--stats",
}


def unknown_option(word: str, known: Sequence[str]) -> BenchError:
    """The error for an option, or for another word, that this command does not have."""
    name = word.partition("=")[0]
    for options, by in REPLACED.items():
        if name in options.split():
            return BenchError(f"no option '{name}'; use instead: {by}")
    return BenchError(
        f"no option '{name}'{suggest(name, known)}\n"
        "--help lists what replaces the options of other tools"
    )


def replaced_options() -> str:
    """The table of replaced options, for --help."""
    return "\n".join(
        f"  {', '.join(options.split())}\n      {by}" for options, by in REPLACED.items()
    )
