"""The plan: every cell that the registry, the prompts and the configuration ask for.

A cell is valid when its file exists: the file name ends in the digest of the cell's spec, so a
cell whose spec changed is a missing file. Nothing here reads the disk; `planning.disk` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import inf
from typing import Any

from scripts.lib.base.errors import BenchError, InputErrors, Problem, suggest
from scripts.lib.base.globs import matches
from scripts.lib.base.layout import CELLS
from scripts.lib.base.stored_json import digest
from scripts.lib.llama_build.identity import EngineIdentity
from scripts.lib.machine.profiles import Hardware, changed_profile
from scripts.lib.planning.cell_record import CellId
from scripts.lib.planning.cell_spec import (
    NOT_DISABLED,
    PROTOCOL,
    Weights,
    context_spec,
    draft_kind,
    loaded_projector,
    mode_spec,
    prompt_spec,
    thinking_spec,
    weights_spec,
)
from scripts.lib.planning.checks import asked_in_vain, config_problems
from scripts.lib.planning.depths import (
    DeepQuestions,
    at_depths,
    depths_in_vain,
    sample_of_workloads,
)
from scripts.lib.planning.left_out import LeftOut
from scripts.lib.planning.modes import VARIANT_MARK, Mode, ModeSet, expand_modes, needs_server
from scripts.lib.planning.reasons import (
    lacks_draft,
    not_selected,
    vocabulary_mismatch,
    without_weights,
)
from scripts.lib.planning.runtime_values import (
    Setting,
    context_tokens,
    max_tokens_of,
    needs_flash_attention,
    temperature_of,
    timeout_of,
    without_effect,
)
from scripts.lib.planning.sampling import sample_by_workload
from scripts.lib.planning.traits import Traits, traits_of
from scripts.lib.prompts.lengths import (
    Lengths,
    how_counted,
    is_prose_counted,
    prompt_tokens,
    prose_characters,
    template_tokens,
)
from scripts.lib.prompts.loader import Question, Suite
from scripts.lib.registry.role_table import is_role_suite, suites_for_roles
from scripts.lib.registry_loader import Model, Registry
from scripts.lib.scoring.scorers import ONLY_CHECKS, Scorer
from scripts.lib.settings.judge_config import LOCAL
from scripts.lib.settings.run_config import Config
from scripts.lib.settings.speculators import SIMPLE_DRAFT
from scripts.lib.settings.variants import Variant


@dataclass(frozen=True, slots=True)
class Cell:
    """One target: its identity, its question, and the spec whose digest is in its file name.

    `certifies`: speculative modes run this question too, so the close calls of this answer are
    recorded as evidence. `timeout_s`: seconds after which the answer is cut off.
    """

    id: CellId
    question: Question
    spec: Mapping[str, Any]
    digest: str
    certifies: bool = False
    timeout_s: float = inf

    @property
    def file_name(self) -> str:
        """The file's path below the shard's folder."""
        return f"{self.id.suite}/{self.id.question}.{self.digest}.json"


@dataclass(frozen=True)
class Shard:
    """One engine load: hardware x model x mode.

    `runnable` is False where the weights are known from the lock only. `hardware` is the profile
    as the shard's variant changes it.
    """

    hardware: Hardware
    model: Model
    mode: Mode
    cells: tuple[Cell, ...]
    weights: Weights
    draft: Weights | None = None
    runnable: bool = True
    engine: str = "embedded"
    variant: Variant | None = None

    @cached_property
    def folder(self) -> str:
        """The folder of the shard's cells."""
        return f"{CELLS}/{self.hardware.name}/{self.model.key}/{self.mode.name}"

    @property
    def name(self) -> str:
        """The shard in messages: `HARDWARE/MODEL/MODE/ENGINE`."""
        return f"{self.hardware.name}/{self.model.key}/{self.mode.name}/{self.engine}"

    @property
    def has_weights(self) -> bool:
        """True if the weights and the draft are on this machine, or a rule can make them."""
        return self.weights.usable and (self.draft is None or self.draft.usable)

    @property
    def rule_name(self) -> str:
        """The shard's name as part of the name of a Snakemake rule."""
        return self.name.replace("/", "_")

    @cached_property
    def cell_files(self) -> tuple[str, ...]:
        """The paths of all cells, in plan order."""
        return tuple(f"{self.folder}/{cell.file_name}" for cell in self.cells)


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that one configuration asks for on one hardware profile, in registry order.

    `recommended`: model -> the mode that the registry recommends. `compared`: the setups (each as
    KEY/MODE) that judges compare in pairs; None: the default ones.
    """

    hardware: Hardware
    engine: EngineIdentity
    shards: tuple[Shard, ...]
    left_out: tuple[LeftOut, ...]
    warnings: tuple[str, ...] = ()
    recommended: Mapping[str, str] = field(default_factory=dict)
    scorers: tuple[Scorer, ...] = ONLY_CHECKS
    compared: tuple[tuple[str, str], ...] | None = None

    @property
    def runnable(self) -> tuple[Shard, ...]:
        """The shards that can be run on this machine."""
        return tuple(shard for shard in self.shards if shard.runnable)


@dataclass(frozen=True, slots=True)
class Planner:
    """The inputs of planning, and the pure functions over them.

    `weights`: of every entry; `disk.hashed` adds the fingerprints that the configuration needs.
    `lengths`: the prompts' tokens, as far as they were counted. `scorers`: the leading one first.
    `faults`: what could not be read and is left out, file by file. `faulty_suites`: suites that
    are left out, or have questions left out, for such a fault. `notices`: what is not read or not
    used, and stops nothing.
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
    variant: Variant | None = None

    def in_variant(self, variant: Variant) -> Planner:
        """The planner with a variant's settings. Raises BenchError where the profile forbids it."""
        context = replace(self.config.context, **variant.context)
        hardware = changed_profile(self.hardware, variant.hardware)
        config = replace(self.config, context=context)
        return replace(self, config=config, hardware=hardware, variant=variant)

    def runtime_spec(self, model: Model) -> dict[str, Any]:
        """The part of a spec that says how the engine runs: all that a variant may change."""
        spec = {
            "context": context_spec(self.config, self.registry, model, self.weights[model.key]),
            "hardware": self.hardware.spec(),
        }
        loading = self.variant.loading if self.variant is not None else {}
        return spec | ({"loading": dict(loading)} if loading else {})

    def traits(self, model: Model) -> Traits:
        """What decides the model's modes."""
        return traits_of(model, self.weights[model.key].facts)

    def modes(self, model: Model) -> ModeSet:
        """Every mode of the model, and what is left out."""
        models, p_min = self.registry.models, self.config.decoding.p_min
        return expand_modes(model, models, self.traits(model), p_min)

    def selected(self, model: Model) -> tuple[Question, ...]:
        """The questions of the model's suites that the configuration selects, in suite order.

        Those at a depth come last, the deepest at the end: peaks of memory only grow.
        """
        return (*self._of_suites(model), *self.deep(model).questions)

    def deep(self, model: Model) -> DeepQuestions:
        """The questions at the configured depths, cut to the model's context."""
        config, vocabulary = self.config, self._vocabulary(model)
        if not any(config.depths):
            return DeepQuestions()
        asked = [
            q for q in self._of_suites(model) if q.workload and not self.unanswerable(model, q)
        ]
        sample = sample_of_workloads(asked, config.depth_sample, config.sampling.seed)
        return at_depths(
            sample,
            config.depths,
            {name: self._room_for_depth(model, name) for name in {q.suite for q in sample}},
            lambda tokens: prose_characters(tokens, vocabulary, self.lengths),
            is_prose_counted(vocabulary, self.lengths),
        )

    def _room_for_depth(self, model: Model, suite: str) -> int:
        """Tokens that every question of a suite's workloads leaves, with its answer.

        Of all that fit the context, not only of those that are selected: a depth that is cut would
        else depend on them.
        """
        return min(
            self._room(model, question) - self.max_tokens(model, question).value
            for question in self.suites[suite].questions
            if question.workload and not self.unanswerable(model, question)
        )

    def _of_suites(self, model: Model) -> tuple[Question, ...]:
        """The selected questions as the suites have them.

        A suite that belongs to no role (the workloads, a public benchmark) must be named exactly in
        `config.suites`.
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
        """Why a model cannot be asked a question (empty: it can)."""
        if question.images and self.engine.name != "server":
            return "images are read by engine server only"
        if question.images and model.mmproj_path is None:
            return "the registry names no mmproj_path: the model reads no images"
        if question.images and loaded_projector(self.weights[model.key], self.engine.name) is None:
            return "its vision projector (mmproj_path) is not on this machine"
        if self.max_tokens(model, question).value > self._room(model, question):
            limit = f"the context of {self._context(model)} tokens"
            how = how_counted(question, self._vocabulary(model), self.lengths)
            return f"longer, with its answer, than {limit}{how}"
        return ""

    def is_depth_estimated(self, model: Model, questions: Iterable[Question]) -> bool:
        """True for questions at a depth whose text was not counted in the model's vocabulary."""
        return any(q.depth for q in questions) and not is_prose_counted(
            self._vocabulary(model), self.lengths
        )

    def _context(self, model: Model) -> int:
        facts = self.weights[model.key].facts
        trained = facts.header.context_length if facts is not None else None
        return context_tokens(self.config, self.registry, model, trained).value

    def _vocabulary(self, model: Model) -> str:
        facts = self.weights[model.key].facts
        return facts.header.tokens_digest if facts is not None else ""

    def _room(self, model: Model, question: Question) -> int:
        """Tokens of the context that the prompt leaves for the answer."""
        prompt = prompt_tokens(question, self._vocabulary(model), self.lengths)
        return self._context(model) - prompt - template_tokens(question)

    def max_tokens(self, model: Model, question: Question) -> Setting[int]:
        """The most new tokens of an answer, and where that is set."""
        room = None
        if question.inherited.max_tokens is not None:
            # At every depth an answer may be as long as without one.
            room = self._room(model, question.without_depth)
        return max_tokens_of(self.config, model, question, room)

    def questions(self, model: Model) -> tuple[Question, ...]:
        """The selected questions that the model can be asked."""
        return tuple(
            question for question in self.selected(model) if not self.unanswerable(model, question)
        )

    def _sampled(self, questions: tuple[Question, ...]) -> tuple[Question, ...]:
        """`speed_sample` questions of each suite; of a suite with workloads, of each workload.

        With each of them, the same question at its depths.
        """
        decoding = self.config.decoding
        asked = (q for q in questions if not q.depth and matches(q.suite, decoding.speed_suites))
        sampled = sample_by_workload(asked, decoding.speed_sample, self.config.sampling.seed)
        names = {question.name_in_full for question in sampled}
        deep = (q for q in questions if q.depth and q.without_depth.name_in_full in names)
        return (*sampled, *deep)

    def _cells(
        self, model: Model, mode: Mode, draft: Weights | None, questions: tuple[Question, ...]
    ) -> Iterator[Cell]:
        weights = self.weights[model.key]
        common = {
            "protocol": PROTOCOL,
            "engine": self.engine.spec(),
            "weights": weights_spec(model, weights, self.engine.name),
            "mode": mode_spec(mode, model, weights, draft, self.config.decoding),
            **self.runtime_spec(model),
            "measurement_epoch": self.config.measurement_epoch,
        }
        sampled = self._sampled(questions)
        names = {(question.suite, question.id) for question in sampled}
        for question in sampled if mode.speculative else questions:
            sampling: dict[str, Any] = {
                "temperature": temperature_of(self.config, self.registry, model, question).value,
                "top_p": self.config.sampling.top_p,
                "seed": self.config.sampling.seed,
                "max_tokens": self.max_tokens(model, question).value,
                "stop": list(question.stop),
            }
            if question.least_tokens is not None:
                sampling["min_tokens"] = question.least_tokens
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
        """The shard of one mode over `questions`, or the reason why it cannot be planned."""
        weights, draft = self.weights[model.key], None
        if mode.draft is not None:
            draft = self.weights[mode.draft]
            if lacks_draft(weights, draft):
                return f"the draft '{mode.draft}' has no weights on this machine"
            if mismatch := vocabulary_mismatch(weights, draft, mode.draft):
                return mismatch
        kind = draft_kind(draft) if draft is not None else SIMPLE_DRAFT
        server_only = needs_server(mode, self.traits(model), kind)
        if server_only and self.engine.name != "server":
            return server_only
        cells = tuple(self._cells(model, mode, draft, questions))
        if not cells:
            return "no question that it can be asked is selected (suites, tiers)"
        shard = Shard(
            self.hardware,
            model,
            mode,
            cells,
            weights,
            draft,
            engine=self.engine.name,
            variant=self.variant,
        )
        return replace(shard, runnable=shard.has_weights)

    def lacks_weights(self, model: Model, mode: Mode) -> bool:
        """True where missing weights (model, projector, draft) keep a mode from its usual plan."""
        weights = self.weights[model.key]
        if weights.facts is None or (
            weights.projector is not None and weights.projector.facts is None
        ):
            return True
        return mode.draft is not None and lacks_draft(weights, self.weights[mode.draft])


def needed_weights(planner: Planner) -> tuple[str, ...]:
    """Keys of the entries whose weights a plan's specs name: models, drafts, the local judge."""
    registry, config = planner.registry, planner.config
    needed: list[str] = []
    for model in registry.models.values():
        if not not_selected(model, config):
            wanted = [config.decoding.modes]
            wanted += [v.modes for v in config.variants if matches(model.key, v.models)]
            modes = [
                mode
                for mode in planner.modes(model).modes
                if any(matches(mode.name, patterns) for patterns in wanted)
            ]
            needed += [model.key] if modes else []
            needed += [mode.draft for mode in modes if mode.draft is not None]
    if LOCAL in config.judge.scorers and config.judge.local.model in registry.models:
        needed.append(config.judge.local.model)
    return tuple(dict.fromkeys(needed))


def make_plan(planner: Planner) -> Plan:
    """Expand the whole plan. Raises InputErrors for names in the settings that do not exist."""
    registry, config = planner.registry, planner.config
    problems = tuple(
        config_problems(config, registry, planner.suites, planner.faulty_suites, planner.traits)
    )
    if problems:
        raise InputErrors(problems)
    shards: list[Shard] = []
    left_out: list[LeftOut] = []
    warnings: list[str] = []
    recommended: dict[str, str] = {}
    planned_models: list[Model] = []
    for model in registry.models.values():
        if reason := not_selected(model, config):
            left_out.append(LeftOut(model.key, "*", reason))
            continue
        expansion = planner.modes(model)
        left_out += expansion.left_out
        if not expansion.modes:
            continue
        if without := without_weights(model, planner.weights[model.key]):
            left_out.append(without)
            continue
        planned_models.append(model)
        warnings += [f"{model.key}: {warning}" for warning in expansion.warnings]
        if expansion.recommended:
            recommended[model.key] = expansion.recommended
        for planned in _plan_model(planner, model, expansion.modes):
            if isinstance(planned, Shard):
                shards.append(planned)
            else:
                left_out.append(planned)
    warnings += _not_done(planner, planned_models)
    warnings += asked_in_vain(config, registry, planner.modes)
    warnings += depths_in_vain(config, map(planner.deep, planned_models))
    return Plan(
        planner.hardware,
        planner.engine,
        tuple(shards),
        tuple(left_out),
        tuple(warnings),
        recommended,
        planner.scorers,
        planner.config.judge.pairs,
    )


def _plan_model(
    planner: Planner, model: Model, modes: tuple[Mode, ...]
) -> Iterator[Shard | LeftOut]:
    """The questions left out, then each mode and variant as a shard or as left out."""
    # The questions are the same for all modes, and most of the work.
    answerable, unanswerable = _sorted_questions(planner, model)
    yield from unanswerable
    for mode in modes:
        if matches(mode.name, planner.config.decoding.modes):
            yield _shard_or_reason(planner, model, mode, answerable)
        else:
            yield LeftOut(model.key, mode.name, "not selected by config.decoding.modes")
    for variant in planner.config.variants:
        if matches(model.key, variant.models):
            yield from _plan_variant(planner, model, modes, variant, answerable)


def _sorted_questions(
    planner: Planner, model: Model, mode: str = "*"
) -> tuple[tuple[Question, ...], tuple[LeftOut, ...]]:
    """The selected questions that the model can be asked in `mode`, and those left out."""
    cut = planner.deep(model).cut
    left_out = [LeftOut(model.key, mode, each.reason, question=each.place) for each in cut]
    answerable = list[Question]()
    for question in planner.selected(model):
        if reason := planner.unanswerable(model, question):
            left_out.append(LeftOut(model.key, mode, reason, question=question.name_in_full))
        else:
            answerable.append(question)
    return tuple(answerable), tuple(left_out)


def _shard_or_reason(
    planner: Planner, model: Model, mode: Mode, questions: tuple[Question, ...]
) -> Shard | LeftOut:
    planned = planner.shard(model, mode, questions)
    return LeftOut(model.key, mode.name, planned) if isinstance(planned, str) else planned


def _plan_variant(
    planner: Planner,
    model: Model,
    modes: tuple[Mode, ...],
    variant: Variant,
    answerable: tuple[Question, ...],
) -> Iterator[Shard | LeftOut]:
    """The model's modes in a variant. `answerable`: its questions without the variant."""
    every = f"*{VARIANT_MARK}{variant.name}"
    if reason := variant_refused(planner, model, variant):
        yield LeftOut(model.key, every, f"{variant.shown_changes}: {reason}")
        return
    changed = planner.in_variant(variant)
    if "length_tokens" in variant.context:
        answerable, unanswerable = _sorted_questions(changed, model, every)
        yield from unanswerable
    for mode in modes:
        if matches(mode.name, variant.modes):
            yield _shard_or_reason(changed, model, mode.in_variant(variant.name), answerable)


def variant_refused(planner: Planner, model: Model, variant: Variant) -> str:
    """Why a model cannot run in a variant (empty: it can)."""
    try:
        changed = planner.in_variant(variant)
    except BenchError as error:
        return str(error)
    spec = changed.runtime_spec(model)
    if spec == planner.runtime_spec(model):
        return "the same as without the variant"
    context = spec["context"]
    if context["flash_attention"] is False and needs_flash_attention(context["kv_type_v"]):
        return f"a V cache of {context['kv_type_v']} needs flash attention, which is false"
    modes = planner.modes(model).modes
    if not any(matches(mode.name, variant.modes) for mode in modes):
        return f"the model has no mode {', '.join(variant.modes)}"
    return ""


def _not_done(planner: Planner, models: Iterable[Model]) -> Iterator[str]:
    """What the registry asks for and a run does not do: each once, with the models concerned."""
    wanted: dict[str, list[str]] = {}
    for model in models:
        notes = list(without_effect(planner.registry, model))
        questions, weights = planner.selected(model), planner.weights[model.key]
        if any(thinking_spec(q, model, weights)["thinking"] == NOT_DISABLED for q in questions):
            notes.append(
                f"thinking {NOT_DISABLED}: no switch in the chat template, "
                "no thinking_quirks.disable_trick"
            )
        if planner.is_depth_estimated(model, questions):
            notes.append(
                "the text before questions at a depth is measured by estimate: "
                "scripts.prompts lengths --model KEY --lock counts it"
            )
        if any(
            planner.max_tokens(model, q) != max_tokens_of(planner.config, model, q)
            for q in questions
        ):
            notes.append(
                "answers as long as the suites' inference_params allow: "
                "halved until they fit the context"
            )
        for note in notes:
            wanted.setdefault(note, []).append(model.key)
    for note, keys in wanted.items():
        yield f"{note} (wanted of {', '.join(keys)})"


def seen_from_elsewhere(plan: Plan) -> Plan:
    """The same plan with nothing to run: only the cells in the tree are shown."""
    return replace(plan, shards=tuple(replace(shard, runnable=False) for shard in plan.shards))


def find_shard(plan: Plan, model: str, mode: str) -> Shard:
    """The shard of a model and mode. Raises BenchError, with the reason, if it is left out."""
    for shard in plan.shards:
        if (shard.model.key, shard.mode.name) == (model, mode):
            return shard
    for item in plan.left_out:
        if item.model == model and item.covers(mode):
            raise BenchError(f"{model} {mode}: left out of the plan: {item.reason}")
    modes = [shard.mode.name for shard in plan.shards if shard.model.key == model]
    raise BenchError(f"{model}: no planned mode '{mode}'{suggest(mode, modes)}")
