"""The run configuration: read, merged, checked, and handed on as frozen values.

Every key must be there, and no other may be. What each setting means is in config.yaml.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any

from scripts.lib.base.command import ENGINES
from scripts.lib.base.errors import BenchError, InputErrors, Problem, shown
from scripts.lib.base.yaml_fields import Fields, closed_part
from scripts.lib.base.yaml_file import Source, plain_value, read_argument, read_whole
from scripts.lib.base.yaml_sections import Section, keys
from scripts.lib.settings.judge_config import JudgeConfig, parse_judge
from scripts.lib.settings.speculators import DRAFTING, SETTINGS, Knob
from scripts.lib.settings.variants import Variant, parse_variants

CONFIG_FILE = Path("config/config.yaml")
CONFIG_VARIABLE = "EPYC_BENCH_CONFIG"
COMMAND_LINE = "--config"
KV_TYPES = ("f32", "f16", "bf16", "q8_0", "q4_0")
# The longest context that a model is trained for.
MOST_DEPTH_TOKENS = 10_000_000
# (old prefix of an image's path, folder that holds it now), in the order in which they are tried.
ImageRoots = tuple[tuple[str, str], ...]
# The prefix that fits every path.
ANY = "*"
_PROFILE_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_TOP = (
    *keys("registry", "prompts", "hardware", "engine", "server_binary", required=True),
    *keys("models", "suites", "tiers", "questions", "image_roots", required=True),
    *keys("decoding", "sampling", "context", "variants", "timeouts", "judge", required=True),
    *keys("repeats", "measurement_epoch", "preflight", "sample", required=True),
    *keys("system_prompt_suffix", "depths", "depth_sample", "fidelity", required=True),
)
_DECODING = (
    *keys("modes", "speed_suites", "speed_sample", required=True),
    *keys("lookup_draft_tokens", "speculators", required=True),
)
_SAMPLING = (
    *keys("top_p", "seed", required=True),
    *keys("temperature", "max_tokens", nullable=True),
)
_CONTEXT = (
    *keys("length_tokens", "batch_tokens", "micro_batch_tokens", nullable=True),
    *keys("flash_attention", "kv_type_k", "kv_type_v", nullable=True),
)
_TIMEOUTS = keys("cell_s", nullable=True)
_FIDELITY = keys("measure", "suites", "sample", "workload_sample", "block_tokens", required=True)


@dataclass(frozen=True, slots=True)
class Decoding:
    """Which modes are planned: `modes` are patterns over their names.

    `speed_suites`: patterns over the suites that speed modes are asked; `speed_sample`: questions
    of each, or of each of its workloads; `lookup_draft_tokens`: prompt lookup's most.
    `speculators`: the settings of the others, section by section (see settings/speculators).
    """

    modes: tuple[str, ...]
    speed_suites: tuple[str, ...]
    speed_sample: int
    lookup_draft_tokens: int
    speculators: Mapping[str, Mapping[str, int | float]]

    @property
    def p_min(self) -> float:
        """The least probability of a drafted token; 0: all are taken."""
        return self.speculators[DRAFTING]["p_min"]


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampling settings; None leaves the choice to the registry or the question."""

    temperature: float | None
    top_p: float
    seed: int
    max_tokens: int | None


@dataclass(frozen=True, slots=True)
class Context:
    """Context and batch sizes in tokens, flash attention (true, false or auto), KV cache types.

    None leaves the choice to the registry, or to a default.
    """

    length_tokens: int | None
    batch_tokens: int | None
    micro_batch_tokens: int | None
    flash_attention: bool | str | None
    kv_type_k: str | None
    kv_type_v: str | None


@dataclass(frozen=True, slots=True)
class FidelityConfig:
    """Whether and over which blocks next-token distributions are compared.

    `suites`: patterns; `sample`: questions of each suite; `workload_sample`: of each workload;
    `block_tokens`: a longer block (by estimate) is left out.
    """

    measure: bool
    suites: tuple[str, ...]
    sample: int
    workload_sample: int
    block_tokens: int


@dataclass(frozen=True, slots=True)
class Config:
    """A whole run configuration. Times in seconds.

    `depths`: tokens of text before the questions that have a workload, ascending from 0.
    `depth_sample`: questions of each workload that are asked at depths above 0.
    """

    registry: Path
    prompts: Path
    hardware: str
    engines: tuple[str, ...]
    server_binary: str
    models: tuple[str, ...]
    suites: tuple[str, ...]
    tiers: tuple[int, ...]
    questions: tuple[str, ...]
    depths: tuple[int, ...]
    depth_sample: int
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
    fidelity: FidelityConfig
    image_roots: ImageRoots = ()
    variants: tuple[Variant, ...] = ()

    def with_modes(self, modes: tuple[str, ...]) -> Config:
        """The same configuration with other mode patterns."""
        return replace(self, decoding=replace(self.decoding, modes=modes))

    def to_json(self) -> dict[str, Any]:
        """The settings as plain JSON values, for the run record."""
        return {
            key: str(value) if isinstance(value, Path) else value
            for key, value in asdict(self).items()
        }


@dataclass
class _Layers(Source):
    """Several sources as one: a problem is placed where the setting was given last."""

    layers: Sequence[Source] = ()

    def problem(self, path: str, message: str) -> Problem:
        """A problem at a key path, with the file and line of the layer that gives it."""
        return Problem(_where(self.layers, path) or self.file, path, message)


def parse_config(
    raw: Mapping[str, Any], file: str = str(CONFIG_FILE), sources: Sequence[Source] = ()
) -> Config:
    """Check a merged configuration and make it typed. Raises InputErrors with every problem found.

    `sources`: what was merged, in order, to place a problem; `file` is named where none of them
    has the setting.
    """
    source = _Layers(file, dict(raw), layers=sources)
    top = Fields(source, source.value, "", Section("config", "the file", "", _TOP, closed=True))
    config = _typed(top)
    if source.problems:
        raise InputErrors(source.problems)
    return config


def _typed(top: Fields) -> Config:
    """The settings. A default for a missing or wrong value is never used."""
    hardware = top.text("hardware")
    if hardware and not _PROFILE_NAME.fullmatch(hardware):
        top.problem(
            "hardware", f"expected letters, digits, '_', '.' and '-', found {shown(hardware)}"
        )
    return Config(
        registry=Path(top.text("registry")),
        prompts=Path(top.text("prompts")),
        hardware=hardware,
        engines=top.choices("engine", ENGINES, once=True),
        server_binary=top.text("server_binary"),
        models=_patterns(top, "models"),
        suites=_patterns(top, "suites"),
        tiers=_tiers(top),
        questions=_patterns(top, "questions"),
        depths=_depths(top),
        depth_sample=top.integer("depth_sample", 1) or 1,
        decoding=_decoding(closed_part(top, "decoding", _DECODING)),
        sampling=_sampling(closed_part(top, "sampling", _SAMPLING)),
        context=_context(closed_part(top, "context", _CONTEXT)),
        repeats=top.integer("repeats", 1, 1000) or 0,
        measurement_epoch=top.integer("measurement_epoch", 0) or 0,
        cell_timeout_s=closed_part(top, "timeouts", _TIMEOUTS).number("cell_s", above=True),
        system_prompt_suffix=top.flag("system_prompt_suffix"),
        judge=parse_judge(top),
        preflight=top.choice("preflight", ("refuse", "tag", "off"), "off"),
        sample=top.integer("sample") or 0,
        fidelity=_fidelity(closed_part(top, "fidelity", _FIDELITY)),
        image_roots=ordered_roots(_image_roots(top.part("image_roots"))),
        variants=parse_variants(top, _changed_context),
    )


def _patterns(fields: Fields, key: str) -> tuple[str, ...]:
    return fields.texts(key, empty=False, single=False)


def _tiers(top: Fields) -> tuple[int, ...]:
    found = top.listed("tiers", "question tiers")
    if any(type(tier) is not int or tier not in (1, 2, 3) for tier in found):
        top.problem("tiers", f"expected a list of tiers from 1 to 3, found {shown(found)}")
        return ()
    if len(set(found)) < len(found):
        top.problem("tiers", f"expected each tier once, found {shown(found)}")
    return tuple(sorted(found))


def _depths(top: Fields) -> tuple[int, ...]:
    found = top.listed("depths", "depths in tokens")
    if any(type(depth) is not int or not 0 <= depth <= MOST_DEPTH_TOKENS for depth in found):
        top.problem(
            "depths",
            f"expected a list of tokens from 0 to {MOST_DEPTH_TOKENS:,}, found {shown(found)}",
        )
        return (0,)
    if 0 not in found:
        top.problem("depths", f"expected 0 among them, to compare with, found {shown(found)}")
    if len(set(found)) < len(found):
        top.problem("depths", f"expected each depth once, found {shown(found)}")
    return tuple(sorted(found))


def _image_roots(part: Fields) -> dict[str, str]:
    return {name: part.required(name) for name in part.raw}


def _decoding(part: Fields) -> Decoding:
    return Decoding(
        modes=_patterns(part, "modes"),
        speed_suites=_patterns(part, "speed_suites"),
        speed_sample=part.integer("speed_sample") or 0,
        lookup_draft_tokens=part.integer("lookup_draft_tokens", 1, 512) or 0,
        speculators=_speculators(part),
    )


def _speculators(part: Fields) -> dict[str, dict[str, int | float]]:
    """The settings of each speculator, checked against their ranges."""
    names = tuple(SETTINGS)
    sections = closed_part(part, "speculators", keys(*names, required=True))
    found: dict[str, dict[str, int | float]] = {}
    for name, knobs in SETTINGS.items():
        section = closed_part(sections, name, keys(*knobs, required=True))
        found[name] = {key: _knob(section, key, knob) for key, knob in knobs.items()}
    return found


def _knob(section: Fields, key: str, knob: Knob) -> int | float:
    if isinstance(knob.default, int):
        value: float | None = section.integer(key, int(knob.least), int(knob.most))
    else:
        value = section.number(key, knob.least, knob.most)
    return knob.default if value is None else value


def _fidelity(part: Fields) -> FidelityConfig:
    return FidelityConfig(
        measure=part.flag("measure"),
        suites=_patterns(part, "suites"),
        sample=part.integer("sample", 0) or 0,
        workload_sample=part.integer("workload_sample", 0) or 0,
        block_tokens=part.integer("block_tokens", 2, 8192) or 0,
    )


def _sampling(part: Fields) -> Sampling:
    return Sampling(
        temperature=part.number("temperature", 0, 5),
        top_p=part.number("top_p", 0, 1, above=True) or 0.0,
        seed=part.integer("seed", 0, 2**32 - 2) or 0,
        max_tokens=part.integer("max_tokens"),
    )


def _context(part: Fields) -> Context:
    return Context(
        length_tokens=part.integer("length_tokens", 64),
        batch_tokens=part.integer("batch_tokens"),
        micro_batch_tokens=part.integer("micro_batch_tokens"),
        flash_attention=part.flag_or_auto("flash_attention"),
        kv_type_k=part.choice("kv_type_k", KV_TYPES, "") or None,
        kv_type_v=part.choice("kv_type_v", KV_TYPES, "") or None,
    )


def _changed_context(variant: Fields) -> dict[str, Any]:
    """The settings of the context that a variant changes."""
    optional = keys(*(key.name for key in _CONTEXT))
    found = asdict(_context(closed_part(variant, "context", optional)))
    return {key: value for key, value in found.items() if value is not None}


def ordered_roots(raw: Mapping[str, str]) -> ImageRoots:
    """The longest prefix first, ANY last."""
    return tuple(sorted(raw.items(), key=lambda root: (root[0] == ANY, -len(root[0]))))


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
    """`value` with texts read as scalars where `base` has none.

    Snakemake gives the inside of `--config x={…}` as texts.
    """
    if isinstance(value, Mapping):
        inner = base if isinstance(base, Mapping) else {}
        return {key: typed_like(inner.get(key), part) for key, part in value.items()}
    if isinstance(value, list):
        like = base[0] if isinstance(base, list) and base else ""
        return [typed_like(like, part) for part in value]
    return plain_value(value) if isinstance(value, str) and not isinstance(base, str) else value


def _where(sources: Sequence[Source], place: str) -> str:
    """`file:line` where a setting, or the nearest one above it, was given last; empty for none."""
    while place:
        for source in reversed(sources):
            if place in source.lines:
                line = source.lines[place]
                return f"{source.file}:{line}" if line else source.file
        place = place.rpartition(".")[0]
    return ""


def read_layers(files: Iterable[Path], settings: Iterable[str] = ()) -> tuple[Source, ...]:
    """config.yaml, the files laid over it, and `KEY=VALUE` settings. Raises InputErrors.

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
    """The configuration that Snakemake hands down to a job. Raises BenchError for a damaged one."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BenchError(
            f"{variable} (in the environment): expected a configuration as JSON: {error}"
        ) from None
    if not isinstance(found, dict):
        raise BenchError(
            f"{variable} (in the environment): expected a configuration as JSON, "
            f"found {shown(found)}"
        )
    return found


def load_config(files: tuple[Path, ...] = (), variable: str = CONFIG_VARIABLE) -> Config:
    """A command's configuration: handed down in the environment, else config.yaml and `files`."""
    handed_down = os.environ.get(variable)
    if handed_down and not files:
        return parse_config(from_environment(variable, handed_down))
    layers = read_layers(files)
    return parse_config(merged(layers), file=layers[-1].file, sources=layers)
