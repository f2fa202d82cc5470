"""The run configuration: read, merged, checked against the closed schema, and handed on as frozen values."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from scripts.lib.errors import BenchError, InputErrors, Problem, suggest
from scripts.lib.judge_config import JudgeConfig, parse_judge
from scripts.lib.yaml_source import plain_value

CONFIG_FILE = Path("config/config.yaml")
SCHEMA_FILE = Path("config/config.schema.yaml")
CONFIG_VARIABLE = "EPYC_BENCH_CONFIG"


@dataclass(frozen=True, slots=True)
class Decoding:
    """Which modes are planned: patterns over mode names; questions per suite in speed modes; lookup's draft length."""

    modes: tuple[str, ...]
    speed_sample: int
    lookup_draft_tokens: int


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampling settings; None leaves the choice to the registry or the question."""

    temperature: float | None
    top_p: float
    seed: int
    max_tokens: int | None


@dataclass(frozen=True, slots=True)
class Context:
    """Context and batch sizes in tokens, attention kernel, and the KV cache's types."""

    length_tokens: int
    batch_tokens: int
    micro_batch_tokens: int
    flash_attention: bool
    kv_type_k: str
    kv_type_v: str


@dataclass(frozen=True, slots=True)
class Config:
    """A whole run configuration. Times in seconds."""

    registry: Path
    prompts: Path
    hardware: str
    engines: tuple[str, ...]
    server_binary: str
    models: tuple[str, ...]
    suites: tuple[str, ...]
    tiers: tuple[int, ...]
    questions: tuple[str, ...]
    decoding: Decoding
    sampling: Sampling
    context: Context
    repeats: int
    measurement_epoch: int
    cell_timeout_s: float
    judge: JudgeConfig
    preflight: str
    sample: int

    def with_modes(self, modes: tuple[str, ...]) -> Config:
        """The same configuration with other mode patterns."""
        return replace(self, decoding=replace(self.decoding, modes=modes))

    def to_json(self) -> dict[str, Any]:
        """The settings as plain JSON values, for the run record."""
        return {key: str(value) if isinstance(value, Path) else value for key, value in asdict(self).items()}


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    """True when a shell-style pattern fits the whole name, and none that begins with `!` does."""
    if any(fnmatchcase(name, pattern[1:]) for pattern in patterns if pattern.startswith("!")):
        return False
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _known_keys(schema: Mapping[str, Any], path: list[str | int]) -> list[str]:
    for part in path:
        schema = schema.get("properties", {}).get(part, {})
    return list(schema.get("properties", {}))


def _explain(error: ValidationError, schema: Mapping[str, Any], file: str) -> Iterator[Problem]:
    place = ".".join(str(part) for part in error.absolute_path)
    if error.validator == "additionalProperties":
        known = _known_keys(schema, list(error.absolute_path))
        found: Mapping[str, Any] = dict(error.instance)  # type: ignore[arg-type]
        for key in sorted(set(found) - set(known), key=str):
            where = f"{place}.{key}" if place else str(key)
            yield Problem(file, where, f"unknown key{suggest(key, known)}")
    elif error.validator == "oneOf":
        known = ["embedded", "server"]
        yield Problem(file, place, f"unknown value {error.instance!r}{suggest(error.instance, known)}")
    elif error.validator == "enum":
        known = [str(value) for value in error.validator_value]  # type: ignore[union-attr]
        yield Problem(file, place, f"unknown value {error.instance!r}{suggest(error.instance, known)}")
    elif error.validator == "required":
        yield Problem(file, place, error.message.replace("is a required property", "is missing"))
    else:
        yield Problem(file, place, f"expected {_expected(error)}, found {error.instance!r}")


def _expected(error: ValidationError) -> str:
    words = {
        "type": "a value of type",
        "minimum": "a number of at least",
        "maximum": "a number of at most",
        "exclusiveMinimum": "a number above",
        "minItems": "a list of at least this many entries:",
        "pattern": "a name that fits",
    }
    kind = str(error.validator)
    value = error.validator_value
    shown = " or ".join(value) if isinstance(value, list) else value
    return f"{words.get(kind, kind)} {shown}"


def parse_config(raw: Mapping[str, Any], file: str = str(CONFIG_FILE), schema_file: Path = SCHEMA_FILE) -> Config:
    """Check a merged configuration and make it typed. Raises InputErrors with every problem found."""
    schema = yaml.safe_load(schema_file.read_text(encoding="utf-8"))
    errors = sorted(Draft202012Validator(schema).iter_errors(raw), key=lambda e: [str(p) for p in e.absolute_path])
    problems = [problem for error in errors for problem in _explain(error, schema, file)]
    if problems:
        raise InputErrors(problems)
    return Config(
        registry=Path(raw["registry"]),
        prompts=Path(raw["prompts"]),
        hardware=raw["hardware"],
        engines=(raw["engine"],) if isinstance(raw["engine"], str) else tuple(raw["engine"]),
        server_binary=raw["server_binary"],
        models=tuple(raw["models"]),
        suites=tuple(raw["suites"]),
        tiers=tuple(sorted(raw["tiers"])),
        questions=tuple(raw["questions"]),
        decoding=Decoding(**{**raw["decoding"], "modes": tuple(raw["decoding"]["modes"])}),
        sampling=Sampling(**raw["sampling"]),
        context=Context(**raw["context"]),
        repeats=raw["repeats"],
        measurement_epoch=raw["measurement_epoch"],
        cell_timeout_s=float(raw["timeouts"]["cell_s"]),
        judge=parse_judge(raw["judge"]),
        preflight=raw["preflight"],
        sample=raw["sample"],
    )


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` laid on `base`, mapping by mapping (the way Snakemake joins several config files)."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def typed_like(base: Any, value: Any) -> Any:
    """`value` with texts read as scalars where `base` has none: Snakemake gives the inside of `--config x={…}` as texts."""
    if isinstance(value, Mapping):
        inner = base if isinstance(base, Mapping) else {}
        return {key: typed_like(inner.get(key), part) for key, part in value.items()}
    if isinstance(value, list):
        like = base[0] if isinstance(base, list) and base else ""
        return [typed_like(like, part) for part in value]
    return plain_value(value) if isinstance(value, str) and not isinstance(base, str) else value


def read_config_file(path: Path) -> dict[str, Any]:
    """One configuration file as plain values. Raises BenchError where it is no mapping."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise BenchError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        raise BenchError(f"{path}: expected a mapping of settings, found {type(raw).__name__}")
    return raw


def load_config(files: tuple[Path, ...] = (), variable: str = CONFIG_VARIABLE) -> Config:
    """The configuration of a command: what Snakemake handed down in the environment, else config.yaml and `files`."""
    handed_down = os.environ.get(variable)
    if handed_down and not files:
        return parse_config(json.loads(handed_down))
    raw = read_config_file(CONFIG_FILE)
    for file in files:
        raw = merge(raw, read_config_file(file))
    return parse_config(raw, file=str(files[-1]) if files else str(CONFIG_FILE))
