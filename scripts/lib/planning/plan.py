"""The plan: every cell that the registry, the prompts and the configuration ask for, with its digest.

Existence is validity: a cell's file name ends in the digest of its spec, so a cell whose spec
changed is a missing file. Pure: `plan_files` looks at the disk.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from math import inf
from typing import Any, Protocol, TypeVar

from scripts.lib.base.errors import BenchError, InputErrors, Problem, suggest
from scripts.lib.base.globs import matches
from scripts.lib.base.layout import CELLS
from scripts.lib.base.stored_json import digest
from scripts.lib.llama_build.identity import EngineIdentity
from scripts.lib.machine.profiles import Hardware
from scripts.lib.planning.cell_record import CellId
from scripts.lib.planning.cell_spec import (
    NOT_DISABLED,
    PROTOCOL,
    Weights,
    context_spec,
    loaded_projector,
    mode_spec,
    prompt_spec,
    thinking_spec,
    weights_spec,
)
from scripts.lib.planning.modes import (
    RECURRENT,
    RECURRENT_REASON,
    Exclusion,
    Mode,
    expand_modes,
    is_speculative_name,
)
from scripts.lib.planning.runtime_values import (
    Setting,
    context_tokens,
    max_tokens_of,
    temperature_of,
    timeout_of,
    without_effect,
)
from scripts.lib.prompts.lengths import TEMPLATE_TOKENS, Lengths, how_counted, prompt_tokens
from scripts.lib.prompts.loader import Question, Suite
from scripts.lib.registry.role_table import is_role_suite, suites_for_roles
from scripts.lib.registry_loader import Model, Registry
from scripts.lib.scoring.scorers import ONLY_CHECKS, Scorer
from scripts.lib.settings.judge_config import LOCAL
from scripts.lib.settings.run_config import Config
from scripts.lib.weights.facts import ASSUMED


@dataclass(frozen=True, slots=True)
class Cell:
    """One target: its identity, its question, and the spec whose digest is in its file name.

    `certifies`: speculative modes run this question too, so the answer's close calls are wanted as
    evidence. `timeout_s`: seconds after which the answer is cut off.
    """

    id: CellId
    question: Question
    spec: Mapping[str, Any]
    digest: str
    certifies: bool = False
    timeout_s: float = inf

    @property
    def file_name(self) -> str:
        return f"{self.id.suite}/{self.id.question}.{self.digest}.json"


@dataclass(frozen=True)
class Shard:
    """One engine load: hardware x model x mode. `runnable` is False where the weights are known only from the lock."""

    hardware: Hardware
    model: Model
    mode: Mode
    cells: tuple[Cell, ...]
    weights: Weights
    draft: Weights | None = None
    runnable: bool = True
    engine: str = "embedded"

    @cached_property
    def folder(self) -> str:
        return f"{CELLS}/{self.hardware.name}/{self.model.key}/{self.mode.name}"

    @property
    def name(self) -> str:
        return f"{self.hardware.name}/{self.model.key}/{self.mode.name}/{self.engine}"

    @property
    def rule_name(self) -> str:
        """The shard's name as part of a Snakemake rule's."""
        return self.name.replace("/", "_")

    @cached_property
    def cell_files(self) -> tuple[str, ...]:
        return tuple(f"{self.folder}/{cell.file_name}" for cell in self.cells)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A model, or some of its modes (a pattern), left out of the plan, and why."""

    model: str
    mode: str
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything one configuration asks for on one hardware profile, in registry order."""

    hardware: Hardware
    engine: EngineIdentity
    shards: tuple[Shard, ...]
    left_out: tuple[LeftOut, ...]
    warnings: tuple[str, ...] = ()
    recommended: Mapping[str, str] = field(default_factory=dict)
    scorers: tuple[Scorer, ...] = ONLY_CHECKS

    @property
    def runnable(self) -> tuple[Shard, ...]:
        return tuple(shard for shard in self.shards if shard.runnable)


class Tiered(Protocol):
    """What a sample over tiers needs to know of a question."""

    @property
    def suite(self) -> str: ...

    @property
    def id(self) -> str: ...

    @property
    def tier(self) -> int: ...


T = TypeVar("T", bound=Tiered)


def sample_questions(questions: tuple[T, ...], count: int, seed: int) -> tuple[T, ...]:
    """A seeded sample spread over the tiers: the order within a tier is by hash, the tiers take turns."""

    def order(question: T) -> str:
        return sha256(f"{seed}/{question.suite}/{question.id}".encode()).hexdigest()

    tiers = {question.tier: [] for question in questions}  # type: dict[int, list[T]]
    for question in sorted(questions, key=order):
        tiers[question.tier].append(question)
    chosen: list[T] = []
    for place in range(len(questions)):
        chosen += [group[place] for _, group in sorted(tiers.items()) if place < len(group)]
    names = {question.id for question in chosen[:count]}
    return tuple(question for question in questions if question.id in names)


@dataclass(frozen=True, slots=True)
class Planner:
    """The inputs of planning, and the pure functions over them. `lengths`: prompts' tokens as far as they were counted.

    `weights`: of every entry; hashed are those that the configuration needs (`plan_files.hashed`).
    `scorers`: who scores the answers, the leading one first. `faults`: what could not be read and
    is left out, file by file. `faulty_suites`: the suites that are left out, or have questions left
    out, for such a fault. `notices`: what is not read or not used, and stops nothing.
    """

    registry: Registry
    suites: Mapping[str, Suite]
    config: Config
    hardware: Hardware
    weights: Mapping[str, Weights]
    engine: EngineIdentity
    lengths: Lengths = field(default_factory=dict)
    scorers: tuple[Scorer, ...] = ONLY_CHECKS
    faults: tuple[Problem, ...] = ()
    faulty_suites: frozenset[str] = frozenset()
    notices: tuple[Problem, ...] = ()

    def selected(self, model: Model) -> tuple[Question, ...]:
        """The questions of the model's suites that the configuration selects, in suite order.

        A suite that no role has (a public benchmark) is asked where `config.suites` names it
        outright.
        """
        named = tuple(name for name in self.config.suites if not is_role_suite(name))
        wanted = (*suites_for_roles(model.candidate_roles, model.key), *named)
        return tuple(
            question
            for name in wanted
            if name in self.suites and matches(name, self.config.suites)
            for question in self.suites[name].questions
            if question.tier in self.config.tiers
            and matches(question.name_in_full, self.config.questions)
        )

    def unanswerable(self, model: Model, question: Question) -> str:
        """Why a question cannot be put to a model (empty: it can)."""
        if question.images and self.engine.name != "server":
            return "images are read by engine server only"
        if question.images and model.mmproj_path is None:
            return "the registry names no mmproj_path: the model reads no images"
        if question.images and loaded_projector(self.weights[model.key], self.engine.name) is None:
            return "its vision projector (mmproj_path) is not on this machine"
        if self.max_tokens(model, question).value > self._room(model, question):
            how = how_counted(question, self._vocabulary(model), self.lengths)
            return (
                f"longer, with its answer, than the context of {self._context(model)} tokens{how}"
            )
        return ""

    def _context(self, model: Model) -> int:
        facts = self.weights[model.key].facts
        trained = facts.header.context_length if facts is not None else None
        return context_tokens(self.config, self.registry, model, trained).value

    def _vocabulary(self, model: Model) -> str:
        facts = self.weights[model.key].facts
        return facts.header.tokens_digest if facts is not None else ""

    def _room(self, model: Model, question: Question) -> int:
        """Tokens that the prompt leaves for the answer."""
        prompt = prompt_tokens(question, self._vocabulary(model), self.lengths) + TEMPLATE_TOKENS
        return self._context(model) - prompt

    def max_tokens(self, model: Model, question: Question) -> Setting[int]:
        """The most new tokens of an answer, and who says so."""
        room = self._room(model, question) if question.inherited.max_tokens is not None else None
        return max_tokens_of(self.config, model, question, room)

    def questions(self, model: Model) -> tuple[Question, ...]:
        """The selected questions that can be put to the model."""
        return tuple(
            question for question in self.selected(model) if not self.unanswerable(model, question)
        )

    def _sampled(self, questions: tuple[Question, ...]) -> tuple[Question, ...]:
        by_suite: dict[str, list[Question]] = {}
        for question in questions:
            by_suite.setdefault(question.suite, []).append(question)
        count, seed = self.config.decoding.speed_sample, self.config.sampling.seed
        return tuple(
            q for group in by_suite.values() for q in sample_questions(tuple(group), count, seed)
        )

    def _cells(
        self, model: Model, mode: Mode, draft: Weights | None, questions: tuple[Question, ...]
    ) -> Iterator[Cell]:
        weights = self.weights[model.key]
        common = {
            "protocol": PROTOCOL,
            "engine": self.engine.spec(),
            "weights": weights_spec(model, weights, self.engine.name),
            "mode": mode_spec(
                mode, model, weights, draft, self.config.decoding.lookup_draft_tokens
            ),
            "context": context_spec(self.config, self.registry, model, weights),
            "hardware": self.hardware.spec(),
            "measurement_epoch": self.config.measurement_epoch,
        }
        sampled = self._sampled(questions)
        names = {(question.suite, question.id) for question in sampled}
        for question in sampled if mode.speculative else questions:
            sampling = {
                "temperature": temperature_of(self.config, self.registry, model, question).value,
                "top_p": self.config.sampling.top_p,
                "seed": self.config.sampling.seed,
                "max_tokens": self.max_tokens(model, question).value,
                "stop": list(question.stop),
            }
            timeout_s = timeout_of(self.config, self.registry, model, question).value
            for repeat in range(self.config.repeats):
                spec = common | {
                    "prompt": prompt_spec(
                        question, model, weights, self.config.system_prompt_suffix
                    ),
                    "sampling": sampling,
                    "repeat": repeat,
                }
                cell_id = CellId(
                    self.hardware.name, model.key, mode.name, question.suite, question.id, repeat
                )
                certifies = not mode.speculative and (question.suite, question.id) in names
                yield Cell(cell_id, question, spec, digest(spec), certifies, timeout_s)

    def shard(self, model: Model, mode: Mode, questions: tuple[Question, ...]) -> Shard | str:
        """The shard of one mode over the model's `questions`, or the reason why it cannot be planned."""
        weights, draft = self.weights[model.key], None
        if mode.experts is not None and _lacks_experts(weights):
            return f"no experts to reduce: the header of its weights ({model.path}) names none"
        if mode.draft is not None:
            draft = self.weights[mode.draft]
            if _lacks_draft(weights, draft):
                return f"the draft '{mode.draft}' has no weights on this machine"
            mismatch = vocabulary_mismatch(weights, draft, mode.draft)
            if mismatch:
                return mismatch
        cells = tuple(self._cells(model, mode, draft, questions))
        if not cells:
            return "no question that it can be asked is selected (suites, tiers)"
        runnable = weights.usable and (draft is None or draft.usable)
        return Shard(self.hardware, model, mode, cells, weights, draft, runnable, self.engine.name)

    def lacks_weights(self, model: Model, mode: Mode) -> bool:
        """True where a mode is not planned, or not as elsewhere, for want of weights: its model's, projector's or draft's."""
        weights = self.weights[model.key]
        if weights.facts is None or (
            weights.projector is not None and weights.projector.facts is None
        ):
            return True
        return mode.draft is not None and _lacks_draft(weights, self.weights[mode.draft])


def _lacks_experts(weights: Weights) -> bool:
    """True where the file itself is known, and has no experts: a hybrid need not have any."""
    facts = weights.facts
    return facts is not None and facts.fingerprint != ASSUMED and not facts.header.expert_count


def _lacks_draft(weights: Weights, draft: Weights) -> bool:
    """True where a draft is unknown, or known from the lock alone beside weights that are here: such a pair cannot be run."""
    return draft.facts is None or (weights.usable and not draft.usable)


def vocabulary_mismatch(target: Weights, draft: Weights, draft_key: str) -> str:
    """Why a draft's vocabulary does not fit (empty: it does), both values named. Read from the GGUF headers."""
    if target.facts is None or draft.facts is None:
        return ""
    a, b = target.facts.header, draft.facts.header
    for name, left, right in (
        ("vocabulary type", a.vocab_type, b.vocab_type),
        ("BOS token", a.bos_id, b.bos_id),
        ("EOS token", a.eos_id, b.eos_id),
        ("vocabulary size", a.vocab_size, b.vocab_size),
        ("token texts (digest)", a.tokens_digest, b.tokens_digest),
    ):
        if left != right:
            return f"the draft '{draft_key}' does not fit: {name} {left} in the target, {right} in the draft"
    return ""


def _not_selected(model: Model, config: Config) -> str:
    if not matches(model.key, config.models):
        return "not selected by config.models"
    if model.deprecated and model.key not in config.models:
        why = f": {model.deprecated_reason}" if model.deprecated_reason else ""
        return f"deprecated{why}"
    return ""


def _check_patterns(
    patterns: tuple[str, ...], known: Collection[str], place: str
) -> Iterator[Problem]:
    for pattern in (p for p in patterns if not p.startswith("!")):
        if not any(matches(name, (pattern,)) for name in known):
            yield Problem("config", place, f"'{pattern}' names nothing{suggest(pattern, known)}")


def _asks_of(pattern: str, suites: Iterable[str]) -> bool:
    """True when a pattern over questions, `SUITE/ID`, is one over these suites."""
    return any(matches(suite, (pattern.partition("/")[0],)) for suite in suites)


def _check_recurrent(config: Config, registry: Registry) -> Iterator[Problem]:
    """A speculative mode asked outright of a recurrent model asked for by name; a pattern only leaves it out."""
    for key in config.models:
        model = registry.models.get(key)
        if model is None or model.architecture not in RECURRENT:
            continue
        for mode in (name for name in config.decoding.modes if is_speculative_name(name)):
            advice = "take it out, or name the modes by pattern, as in 'lookup_*'"
            yield Problem(
                "config",
                "decoding.modes",
                f"'{mode}' is asked of {key}: {RECURRENT_REASON}; {advice}",
            )


def _lacks_weights(model: Model, weights: Weights) -> str:
    """Why nothing is known of a model's weights (empty: their facts are)."""
    if weights.facts is not None:
        return ""
    if weights.unreadable:
        return f"weights cannot be read: {weights.unreadable}"
    make = f"; make them: snakemake -j1 weights_{model.key}" if model.source is not None else ""
    return f"weights are not on this machine: {model.path}{make}"


def needed_weights(registry: Registry, config: Config) -> tuple[str, ...]:
    """Keys of the entries whose weights are in a plan's specs: the selected models', their drafts', the local judge's."""
    needed: list[str] = []
    for model in registry.models.values():
        if not _not_selected(model, config):
            modes = [
                m
                for m in expand_modes(model, registry.models).modes
                if matches(m.name, config.decoding.modes)
            ]
            needed += [model.key] if modes else []
            needed += [mode.draft for mode in modes if mode.draft is not None]
    if LOCAL in config.judge.scorers and config.judge.local.model in registry.models:
        needed.append(config.judge.local.model)
    return tuple(dict.fromkeys(needed))


def make_plan(planner: Planner) -> Plan:
    """Expand the whole plan. Raises InputErrors where the configuration names a model or suite that is not there."""
    registry, config = planner.registry, planner.config
    problems = [*_check_patterns(config.models, {**registry.models, **registry.left_out}, "models")]
    problems += _check_patterns(config.suites, {*planner.suites, *planner.faulty_suites}, "suites")
    questions = {
        question.name_in_full for suite in planner.suites.values() for question in suite.questions
    }
    # Of what is left out the fault tells, not the pattern that asks for it.
    asked = tuple(p for p in config.questions if not _asks_of(p, planner.faulty_suites))
    problems += _check_patterns(asked, questions, "questions")
    problems += _check_recurrent(config, registry)
    if problems:
        raise InputErrors(problems)
    shards: list[Shard] = []
    left_out: list[LeftOut] = []
    warnings: list[str] = []
    recommended: dict[str, str] = {}
    planned_models: list[Model] = []
    for model in registry.models.values():
        reason = _not_selected(model, config)
        if reason:
            left_out.append(LeftOut(model.key, "*", reason))
            continue
        expansion = expand_modes(model, registry.models)
        left_out += [LeftOut(model.key, item.mode, item.reason) for item in expansion.excluded]
        if not expansion.modes:
            continue
        reason = _lacks_weights(model, planner.weights[model.key])
        if reason:
            left_out.append(LeftOut(model.key, "*", reason))
            continue
        planned_models.append(model)
        # The same for all modes, and most of the work.
        selected = [
            (question, planner.unanswerable(model, question))
            for question in planner.selected(model)
        ]
        left_out += [
            LeftOut(model.key, f"* on {q.name_in_full}", reason) for q, reason in selected if reason
        ]
        answerable = tuple(question for question, reason in selected if not reason)
        warnings += [f"{model.key}: {warning}" for warning in expansion.warnings]
        if expansion.recommended:
            recommended[model.key] = expansion.recommended
        for planned in _plan_modes(planner, model, expansion.modes, answerable):
            if isinstance(planned, Shard):
                shards.append(planned)
            else:
                left_out.append(LeftOut(model.key, planned.mode, planned.reason))
    warnings += _not_done(planner, planned_models)
    return Plan(
        planner.hardware,
        planner.engine,
        tuple(shards),
        tuple(left_out),
        tuple(warnings),
        recommended,
        planner.scorers,
    )


def _not_done(planner: Planner, models: Iterable[Model]) -> Iterator[str]:
    """What the registry wants and a run does not do, each once, with the models that it is wanted of."""
    wanted: dict[str, list[str]] = {}
    for model in models:
        said = list(without_effect(planner.registry, model))
        thinking = (
            thinking_spec(q, model, planner.weights[model.key])["thinking"]
            for q in planner.selected(model)
        )
        if NOT_DISABLED in thinking:
            said.append(
                f"thinking {NOT_DISABLED}: no switch in the chat template, no thinking_quirks.disable_trick"
            )
        asked = (
            (planner.max_tokens(model, q), max_tokens_of(planner.config, model, q))
            for q in planner.selected(model)
        )
        if any(fits != whole for fits, whole in asked):
            said.append(
                "answers as long as the suites' inference_params allow: halved until they fit the context"
            )
        for text in said:
            wanted.setdefault(text, []).append(model.key)
    for text, keys in wanted.items():
        yield f"{text} (wanted of {', '.join(keys)})"


def _plan_modes(
    planner: Planner, model: Model, modes: tuple[Mode, ...], questions: tuple[Question, ...]
) -> Iterator[Shard | Exclusion]:
    for mode in modes:
        if not matches(mode.name, planner.config.decoding.modes):
            yield Exclusion(mode.name, "not selected by config.decoding.modes")
            continue
        planned = planner.shard(model, mode, questions)
        yield planned if isinstance(planned, Shard) else Exclusion(mode.name, planned)


def seen_from_elsewhere(plan: Plan) -> Plan:
    """The plan of another machine's profile: nothing of it can be run here, the cells in the tree are shown."""
    return replace(plan, shards=tuple(replace(shard, runnable=False) for shard in plan.shards))


def _leaves_out(pattern: str, mode: str) -> bool:
    """True when a left-out mode, or family of modes such as `moe{E}_spec_*`, has this mode in it."""
    family = pattern.removeprefix("moe{E}_")
    return mode == pattern or ("*" in pattern and matches(mode, (family, f"moe*_{family}")))


def find_shard(plan: Plan, model: str, mode: str) -> Shard:
    """The shard of that model and mode. Raises BenchError with the reason where it is left out."""
    for shard in plan.shards:
        if (shard.model.key, shard.mode.name) == (model, mode):
            return shard
    for item in plan.left_out:
        if item.model == model and _leaves_out(item.mode, mode):
            raise BenchError(f"{model} {mode}: left out of the plan: {item.reason}")
    modes = [shard.mode.name for shard in plan.shards if shard.model.key == model]
    raise BenchError(f"{model}: no planned mode '{mode}'{suggest(mode, modes)}")
