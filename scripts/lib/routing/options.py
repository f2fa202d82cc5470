"""What a sample is asked with, kept beside it so that it can be gone on with; and what became of options that are no more."""

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
    """The options that say what a sample is, under their names on the command line. `timeout`: seconds a question."""

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
        return Narrowing(self.roles, self.question_ids, self.modes)

    @property
    def overrides(self) -> Overrides:
        """KEY or SUITE=KEY of each action's option, by action and suite."""
        found: dict[str, dict[str, str]] = {}
        for action in ACTIONS:
            for text in getattr(self, action):
                suite, _, key = text.rpartition("=")
                found.setdefault(action, {})[suite or EVERY_SUITE] = key
        return found


def option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def asked_of(given: Mapping[str, Any]) -> Asked:
    """The options given on the command line, the defaults in the place of those that are None. Raises BenchError."""
    found = {f.name: given[f.name] for f in fields(Asked) if given.get(f.name) is not None}
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in found.items()
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
            "--question-ids names the questions, all of which are asked: leave out --sample-size"
        )
    return asked


def store(asked: Asked, folder: Path) -> None:
    """Keep the options in a sample's folder."""
    write_atomic(
        folder / SAMPLE,
        json.dumps({"asked": asdict(asked), "started_utc": now_utc()}, indent=1) + "\n",
    )


def _read(file: Path) -> tuple[str, Asked]:
    """(when a sample was begun, its options)."""
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        asked = raw["asked"] | ({"sample_size": None} if raw["asked"]["question_ids"] else {})
        for f in fields(Asked):
            _check(asked[f.name], f.default)
        return str(raw["started_utc"]), asked_of(asked)
    except (OSError, ValueError, KeyError, TypeError, BenchError) as error:
        raise BenchError(
            f"{file}: no options of a sample ({error!r}); ask for it anew, without --resume"
        ) from error


def _check(value: object, default: object) -> None:
    """Raise ValueError for a kept value that no command line gives."""
    texts = isinstance(value, list) and all(isinstance(text, str) for text in value)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    fits = (
        texts if isinstance(default, tuple) else value is None or (isinstance(value, str) or number)
    )
    if not fits or (isinstance(default, int) and isinstance(value, (str, float))):
        raise ValueError(f"found {value!r}")


def resumed(routing: Path, name: str, given: Mapping[str, Any]) -> tuple[str, Asked]:
    """(name, options) of a sample below the routing folder (`HARDWARE/SAMPLE/`); an empty name: the one begun last.

    Raises BenchError where there is none of that name, where what was kept cannot be read, and for
    options given beside it.
    """
    for beside in (f.name for f in fields(Asked) if given.get(f.name) is not None):
        raise BenchError(
            f"--resume goes on with a sample as it was asked for: leave out {option(beside)}"
        )
    files = {file.parent.name: file for file in routing.glob(f"*/*/{SAMPLE}")}
    if not files:
        raise BenchError(
            f"--resume: no sample was begun yet below {routing}: ask for one with --3way"
        )
    if not name:
        name = max(files, key=lambda sample: _read(files[sample])[0])
    if name not in files:
        raise BenchError(f"--resume: no sample '{name}' below {routing}{suggest(name, files)}")
    return name, _read(files[name])[1]


@dataclass(frozen=True, slots=True)
class Replaced:
    """Options of harnesses that ask a running orchestrator, and what does their work here."""

    options: tuple[str, ...]
    by: str


REPLACED = (
    Replaced(
        ("--model", "--models", "--role"),
        "--roles KEY …, or --frontdoor, --specialist, --architect KEY",
    ),
    Replaced(("--mode",), "--modes MODE …"),
    Replaced(("--suite",), "--suites SUITE …"),
    Replaced(("--questions", "--question-id"), "--question-ids ID …"),
    Replaced(("--limit", "--num-questions", "--n", "--samples"), "--sample-size N"),
    Replaced(("--output-dir", "--out", "--results-dir"), "--output FOLDER"),
    Replaced(
        ("--url", "--api-url", "--base-url", "--host", "--port", "--server", "--api-key"),
        "none is needed: no server of yours is asked, the pipeline loads each entry itself (`engine` of config/config.yaml)",
    ),
    Replaced(
        (
            "--cache",
            "--no-cache",
            "--rebuild-cache",
            "--skip-cache",
            "--dedup",
            "--no-dedup",
            "--force",
            "--overwrite",
        ),
        "none is needed: an answer that is there is not asked for again, and one whose configuration changed is",
    ),
    Replaced(
        ("--workers", "--parallel", "--concurrency", "--batch-size", "--jobs"),
        "none is needed: a timed entry has the machine for itself; several machines: profiles/slurm",
    ),
    Replaced(
        ("--retries", "--retry", "--max-retries"),
        "snakemake retry_failed: a failed answer is kept until then",
    ),
    Replaced(
        (
            "--temperature",
            "--max-tokens",
            "--top-p",
            "--context",
            "--context-length",
            "--repeats",
            "--engine",
        ),
        "--configfile FILE with that key of config/config.yaml",
    ),
    Replaced(
        ("--judge", "--scorer", "--rescore"),
        "judge.scorers of the configuration; python -m scripts.score_benchmarks",
    ),
    Replaced(("--registry", "--prompts"), "--configfile FILE with that key"),
    Replaced(("--profile",), "--timeout S and --cooldown S; another machine's: --hardware PROFILE"),
    Replaced(
        ("--continuous-interval",), "--cooldown S: rest before each entry, between the samples too"
    ),
    Replaced(("--verbose", "--tui"), "--debug"),
    Replaced(
        ("--pool", "--no-pool", "--rebuild-pool"),
        "python -m scripts.prompts import NAME: public benchmarks are suites here",
    ),
    Replaced(
        (
            *(
                "--debug-batch-size",
                "--debug-threshold",
                "--debug-auto-commit",
                "--debug-dry-run",
                "--debug-replay",
            ),
            *(
                "--evolve",
                "--no-escalation-chains",
                "--prior-strength",
                "--conformal-margin",
                "--cost-lambda",
            ),
            *("--confidence-threshold", "--confidence-estimator", "--confidence-trim-ratio"),
            *(
                "--confidence-min-neighbors",
                "--calibrated-confidence-threshold",
                "--warm-probability-hit",
            ),
            *(
                "--warm-probability-miss",
                "--warm-cost-fallback-s",
                "--cold-cost-fallback-s",
                "--risk-control-enabled",
            ),
            *(
                "--risk-budget-id",
                "--risk-gate-min-samples",
                "--risk-abstain-target-role",
                "--risk-gate-rollout-ratio",
            ),
            *("--risk-gate-kill-switch", "--risk-budget-guardrail-min-events"),
            "--risk-budget-guardrail-max-abstain-rate",
        ),
        "nothing: they set the orchestrator's own router, which is not here (rewards: docs/reference/methods.md)",
    ),
    Replaced(("--report", "--summary", "--analyze"), "--stats"),
)


def unknown_option(word: str, known: Sequence[str]) -> BenchError:
    """The error for an option, or a word, that this command does not have."""
    name = word.partition("=")[0]
    by = next((row.by for row in REPLACED if name in row.options), None)
    if by is not None:
        return BenchError(f"no option '{name}' here; what does its work: {by}")
    return BenchError(
        f"no option '{name}'{suggest(name, known)}\n--help lists what became of others"
    )


def replaced_options() -> str:
    """The table, for --help."""
    return "\n".join(f"  {', '.join(row.options)}\n      {row.by}" for row in REPLACED)
