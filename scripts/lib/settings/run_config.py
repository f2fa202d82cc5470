"""The run configuration: read, merged, checked against the closed schema, and handed on as frozen values."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any

import referencing.exceptions
from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import SchemaError, ValidationError

from scripts.lib.base.errors import BenchError, InputErrors, Problem, shown, suggest
from scripts.lib.base.yaml_file import Source, plain_value, read_argument, read_whole
from scripts.lib.settings.image_roots import ImageRoots, ordered_roots
from scripts.lib.settings.judge_config import JudgeConfig, parse_judge

CONFIG_FILE = Path("config/config.yaml")
SCHEMA_FILE = Path("config/config.schema.yaml")
CONFIG_VARIABLE = "EPYC_BENCH_CONFIG"
COMMAND_LINE = "--config"


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
    """Context and batch sizes in tokens, attention kernel, and the KV cache's types; None is the registry's, or a default."""

    length_tokens: int | None
    batch_tokens: int | None
    micro_batch_tokens: int | None
    flash_attention: bool | None
    kv_type_k: str | None
    kv_type_v: str | None


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
    cell_timeout_s: float | None
    system_prompt_suffix: bool
    judge: JudgeConfig
    preflight: str
    sample: int
    image_roots: ImageRoots = ()

    def with_modes(self, modes: tuple[str, ...]) -> Config:
        """The same configuration with other mode patterns."""
        return replace(self, decoding=replace(self.decoding, modes=modes))

    def to_json(self) -> dict[str, Any]:
        """The settings as plain JSON values, for the run record."""
        return {
            key: str(value) if isinstance(value, Path) else value
            for key, value in asdict(self).items()
        }


def _known_keys(schema: Mapping[str, Any], path: list[str | int]) -> list[str]:
    for part in path:
        schema = schema.get("properties", {}).get(part, {})
    return list(schema.get("properties", {}))


def _explain(
    error: ValidationError, schema: Mapping[str, Any], where: Callable[[str], str]
) -> Iterator[Problem]:
    place = _place(error.absolute_path)
    if error.validator == "additionalProperties":
        known = _known_keys(schema, list(error.absolute_path))
        found: Mapping[str, Any] = dict(error.instance)  # type: ignore[arg-type]
        for key in sorted(set(found) - set(known), key=str):
            unknown = f"{place}.{key}" if place else str(key)
            yield Problem(where(unknown), unknown, f"unknown key{suggest(key, known)}")
    elif error.validator == "oneOf":
        known = ["embedded", "server"]
        yield Problem(
            where(place),
            place,
            f"unknown value {shown(error.instance)}{suggest(error.instance, known)}",
        )
    elif error.validator == "enum":
        known = [str(value) for value in error.validator_value if value is not None]  # type: ignore[union-attr]
        yield Problem(
            where(place),
            place,
            f"unknown value {shown(error.instance)}{suggest(error.instance, known)}",
        )
    elif error.validator == "required":
        yield Problem(
            where(place), place, error.message.replace("is a required property", "is missing")
        )
    else:
        yield Problem(
            where(place), place, f"expected {_expected(error)}, found {shown(error.instance)}"
        )


def _place(path: Iterable[str | int]) -> str:
    return ".".join(str(part) for part in path)


def _not_finite(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str, float]]:
    """Place and value of every number that is none, or has no end: NaN passes every limit, an infinity lifts it."""
    if isinstance(value, float) and not math.isfinite(value):
        yield _place(path), value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _not_finite(part, (*path, key))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _not_finite(part, (*path, index))


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
    if kind == "type" and "boolean" in value:  # type: ignore[operator]
        return "true or false"
    # That null is a value, too, is no news to who wrote something else.
    shown = " or ".join(one for one in value if one != "null") if isinstance(value, list) else value
    return f"{words.get(kind, kind)} {shown}"


def _is_whole(_: object, value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


# JSON Schema takes 2.0 for an integer. Here it is none, as in the registry and the suites: it would
# be another spec than 2.
_Validator = validators.extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_whole),
)


def _problems(
    raw: Mapping[str, Any], schema_file: Path, where: Callable[[str], str]
) -> Iterator[Problem]:
    schema = read_whole(schema_file).value
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as damage:
        raise InputErrors(
            [
                Problem(
                    str(schema_file), damage.json_path, f"no JSON schema: {shown(damage.message)}"
                )
            ]
        ) from None
    numbers = dict(_not_finite(raw))
    for place, number in numbers.items():
        yield Problem(where(place), place, f"expected a finite number, found {number}")
    errors = sorted(
        _Validator(schema).iter_errors(raw), key=lambda e: [str(p) for p in e.absolute_path]
    )
    for error in errors:
        if _place(error.absolute_path) not in numbers:
            yield from _explain(error, schema, where)


def parse_config(
    raw: Mapping[str, Any],
    file: str = str(CONFIG_FILE),
    schema_file: Path = SCHEMA_FILE,
    sources: Sequence[Source] = (),
) -> Config:
    """Check a merged configuration and make it typed. Raises InputErrors with every problem found.

    `sources`: what was merged, in order, for the file and line of a problem; where none of them
    says it, `file` is named.
    """
    try:
        problems = list(_problems(raw, schema_file, lambda place: _where(sources, place) or file))
    except (referencing.exceptions.Unresolvable, RecursionError) as error:
        raise BenchError(f"{schema_file}: its references cannot be followed: {error}") from None
    if problems:
        raise InputErrors(problems)
    try:
        return _typed(raw)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        # Nothing that the shipped schema lets through ends here.
        raise BenchError(
            f"{schema_file}: damaged: it lets through a configuration that cannot be used ({error!r})"
        ) from None


def _typed(raw: Mapping[str, Any]) -> Config:
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
        sampling=Sampling(**{**raw["sampling"], "top_p": float(raw["sampling"]["top_p"])}),
        context=Context(**raw["context"]),
        repeats=raw["repeats"],
        measurement_epoch=raw["measurement_epoch"],
        cell_timeout_s=None
        if raw["timeouts"]["cell_s"] is None
        else float(raw["timeouts"]["cell_s"]),
        system_prompt_suffix=raw["system_prompt_suffix"],
        judge=parse_judge(raw["judge"]),
        preflight=raw["preflight"],
        sample=raw["sample"],
        image_roots=ordered_roots(raw["image_roots"]),
    )


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` laid on `base`, mapping by mapping (the way Snakemake joins several config files)."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = (
            merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
        )
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


def _where(sources: Sequence[Source], place: str) -> str:
    """`file:line` of a setting, or of the nearest one above it: where it was said last. Empty where nobody says it."""
    while place:
        for source in reversed(sources):
            if place in source.lines:
                line = source.lines[place]
                return f"{source.file}:{line}" if line else source.file
        place = place.rpartition(".")[0]
    return ""


def read_layers(files: Iterable[Path], settings: Iterable[str] = ()) -> tuple[Source, ...]:
    """config.yaml, the files laid over it, and the `KEY=VALUE` settings of a command line. Raises InputErrors.

    A setting's scalars are read as those of a file, by YAML 1.2, save where config.yaml has a text:
    there they are text.
    """
    layers = [read_whole(file) for file in (CONFIG_FILE, *files)]
    for setting in settings:
        name, _, text = setting.partition("=")
        # Snakemake takes the quotes off, too.
        given = read_argument(name, text.strip("'\""), COMMAND_LINE)
        if given.problems:
            raise InputErrors(given.problems)
        layers.append(replace(given, value=typed_like(layers[0].value, given.value)))
    return tuple(layers)


def merged(layers: Iterable[Source]) -> dict[str, Any]:
    """The layers laid on one another."""
    return reduce(merge, (layer.value for layer in layers), {})


def from_environment(variable: str, text: str) -> dict[str, Any]:
    """The configuration that a job has of the process that submitted it. Raises BenchError where the variable is damaged."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BenchError(
            f"{variable} (in the environment): expected a configuration as JSON: {error}"
        ) from None
    if not isinstance(found, dict):
        raise BenchError(
            f"{variable} (in the environment): expected a configuration as JSON, found {shown(found)}"
        )
    return found


def load_config(files: tuple[Path, ...] = (), variable: str = CONFIG_VARIABLE) -> Config:
    """The configuration of a command: what Snakemake handed down in the environment, else config.yaml and `files`."""
    handed_down = os.environ.get(variable)
    if handed_down and not files:
        return parse_config(from_environment(variable, handed_down))
    layers = read_layers(files)
    return parse_config(merged(layers), file=layers[-1].file, sources=layers)
