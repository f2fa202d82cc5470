"""Plans fidelity cells: which configurations are compared with which reference, over which blocks.

A block is a question's prompt with its reference answer. A configuration is a model in a mode, or
in a runtime variant, that can change what the model says. It has a cell for each block: a
comparison with its reference, and, if it is itself a reference, its distributions. A cell is valid
when its file exists, as everywhere: the digest of its spec is in the file's name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from scripts.lib.base.errors import BenchError
from scripts.lib.base.globs import matches
from scripts.lib.base.layout import FIDELITY
from scripts.lib.base.stored_json import digest
from scripts.lib.fidelity.distributions import SAMPLES, TOP
from scripts.lib.llama_build.identity import engine_identity
from scripts.lib.planning.cell_record import CellId
from scripts.lib.planning.cell_spec import Weights, mode_spec, weights_spec
from scripts.lib.planning.disk import existing_files, hashed
from scripts.lib.planning.left_out import LeftOut
from scripts.lib.planning.modes import BASELINE, Mode
from scripts.lib.planning.plan import Cell, Planner, Shard, variant_refused
from scripts.lib.planning.prediction import START_S, Measured, predict
from scripts.lib.planning.reasons import not_selected
from scripts.lib.planning.sampling import sample_by_workload
from scripts.lib.prompts.lengths import prompt_tokens, template_tokens
from scripts.lib.prompts.loader import Question
from scripts.lib.registry_loader import Model
from scripts.lib.settings.variants import Variant
from scripts.lib.weights.chat_template import DATE
from scripts.lib.weights.quant_names import base_name

# Raise it when what is measured changes: then every fidelity cell is measured again.
PROTOCOL = 1
# The context of every block, unless the model was trained for less. It does not depend on the
# configuration, so that another context length measures nothing again.
CONTEXT_TOKENS = 8192
CHARACTERS_PER_TOKEN = 4.0
# Prompts are evaluated slower if every token's logits are computed and looked at.
PREFILL_SHARE = 0.7
# Settings of a variant that can change what a model says. Threads and memory cannot.
CHANGES_ANSWERS = ("kv_type_k", "kv_type_v", "flash_attention", "repack")
EMBEDDED = "embedded"
NO_REFERENCE = "no entry of the same model has larger weights; fidelity.reference can name one"


class Kind(StrEnum):
    """What a fidelity cell holds."""

    REFERENCE = "ref"  # the distributions themselves, for others to be compared with
    COMPARISON = "json"  # the divergence from a reference


@dataclass(frozen=True, slots=True)
class Block:
    """A question with the answer that follows it. `tokens`: an estimate."""

    question: Question
    messages: tuple[tuple[str, str], ...]
    answer: str
    tokens: int

    def spec(self) -> dict[str, Any]:
        """The part of a spec: a digest over all texts, and their length."""
        texts = [list(message) for message in self.messages]
        characters = sum(len(text) for _, text in self.messages) + len(self.answer)
        return {"sha256": digest([texts, self.answer], 64), "characters": characters}


@dataclass(frozen=True, slots=True)
class FidelityCell:
    """One target. `reference_file`: the distributions that a comparison needs (empty: none)."""

    kind: Kind
    block: Block
    cell: Cell
    folder: str
    reference_file: str = ""

    @property
    def name(self) -> str:
        """The file's path below the configuration's folder."""
        return f"{self.cell.id.suite}/{self.cell.id.question}.{self.cell.digest}.{self.kind.value}"

    @property
    def file(self) -> str:
        """The file's path."""
        return f"{self.folder}/{self.name}"


@dataclass(frozen=True)
class Configuration:
    """A model in a mode, its reference (None: it has none) and its cells.

    The shard's cells are the fidelity cells, so that an engine is loaded and checked as for any
    shard.
    """

    shard: Shard
    reference: Configuration | None
    cells: tuple[FidelityCell, ...]

    @property
    def key(self) -> tuple[str, str]:
        """(model, mode)."""
        return self.shard.model.key, self.shard.mode.name

    @property
    def name(self) -> str:
        """The configuration in messages: `HARDWARE/MODEL/MODE`."""
        return f"{self.shard.hardware.name}/{self.shard.model.key}/{self.shard.mode.name}"

    @property
    def rule_name(self) -> str:
        """Its name as part of the name of a Snakemake rule."""
        return f"{self.shard.model.key}_{self.shard.mode.name}"

    @property
    def folder(self) -> str:
        """The folder of its files."""
        return f"{FIDELITY}/{self.name}"

    def of_kind(self, kind: Kind) -> tuple[FidelityCell, ...]:
        """Its cells of one kind."""
        return tuple(cell for cell in self.cells if cell.kind is kind)

    def pending(self) -> tuple[FidelityCell, ...]:
        """The cells that have no file yet."""
        existing = existing_files(self.folder)
        return tuple(cell for cell in self.cells if cell.name not in existing)


@dataclass(frozen=True)
class FidelityPlan:
    """The configurations of one hardware profile, references first, and what is left out."""

    configurations: tuple[Configuration, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    @property
    def runnable(self) -> tuple[Configuration, ...]:
        """The configurations that can be run here, with the cells that can be made here."""
        found = map(_runnable_part, self.configurations)
        return tuple(one for one in found if one.cells)

    def find(self, model: str, mode: str) -> Configuration:
        """The configuration of a model and mode. Raises BenchError, with the reason if known."""
        for one in self.configurations:
            if one.key == (model, mode):
                return one
        for item in self.left_out:
            if item.model == model and item.covers(mode):
                raise BenchError(f"{model} {mode}: no fidelity: {item.reason}")
        raise BenchError(f"{model} {mode}: no fidelity is planned (config: fidelity.measure)")


def _runnable_part(one: Configuration) -> Configuration:
    """The configuration with the cells that can be made on this machine.

    A comparison needs the reference's weights, or its stored distributions.
    """
    above = one.reference
    if not one.shard.runnable:
        return replace(one, cells=())
    if above is None or above.shard.runnable or _is_stored(above):
        return one
    return replace(one, cells=one.of_kind(Kind.REFERENCE))


def _is_stored(reference: Configuration) -> bool:
    wanted = {cell.name for cell in reference.of_kind(Kind.REFERENCE)}
    return wanted <= existing_files(reference.folder)


# --- references ---


def reference_key(model: Model, planner: Planner) -> tuple[str, str]:
    """(key of the entry that a model is compared with, why there is none): one of them is empty.

    The registry's `fidelity.reference`; else the entry of the same name with the largest weights.
    Entries whose weights are here come first. A file that was requantised is no reference: its
    source knows more.
    """
    if model.fidelity_reference:
        return _fitting(model, model.fidelity_reference, planner)
    family = [m for m in planner.registry.models.values() if _is_family(model, m, planner)]
    largest = max(family, key=lambda m: _rank(m, planner), default=None)
    if largest is None or largest.key == model.key:
        return "", NO_REFERENCE
    return _fitting(model, largest.key, planner)


def _is_family(model: Model, other: Model, planner: Planner) -> bool:
    if base_name(other.name) != base_name(model.name) or planner.weights[other.key].facts is None:
        return False
    if other.key == model.key:
        return True
    is_copy = other.source is not None and other.source.kind == "requantize"
    return not is_copy and not other.deprecated


def _rank(model: Model, planner: Planner) -> tuple[bool, bool, int]:
    """Larger is better; a requantised entry stands below all others, also below itself's source."""
    weights = planner.weights[model.key]
    assert weights.facts is not None
    is_copy = model.source is not None and model.source.kind == "requantize"
    return weights.usable, not is_copy, weights.facts.size_bytes


def _fitting(model: Model, key: str, planner: Planner) -> tuple[str, str]:
    """The reference, or why it does not fit the model."""
    if key == model.key:
        return "", "it is the reference itself"
    if key not in planner.registry.models:
        return "", f"its reference '{key}' is not in the registry"
    own, other = planner.weights[model.key].facts, planner.weights[key].facts
    if other is None:
        return "", f"its reference '{key}' has no weights on this machine"
    assert own is not None
    a, b = own.header, other.header
    for what, mine, its in (
        ("vocabulary", a.tokens_digest, b.tokens_digest),
        ("vocabulary", a.vocab_size, b.vocab_size),
        ("chat template", a.chat_template_digest, b.chat_template_digest),
    ):
        if mine != its:
            return "", f"its reference '{key}' has another {what} ({its}, not {mine})"
    return key, ""


# --- blocks ---


def blocks_of(planner: Planner, weights: Weights) -> tuple[Block, ...]:
    """The blocks of a model: a seeded sample of every suite, as far as they are not too long.

    A question's edit changes its own block only: the sample depends on the questions' names.
    """
    assert weights.facts is not None
    wanted, header = planner.config.fidelity, weights.facts.header
    texts = [
        question
        for name, suite in planner.suites.items()
        if matches(name, wanted.suites)
        for question in suite.questions
        if not question.images and question.reference_answer
    ]
    seed = planner.config.sampling.seed
    sampled = (
        *sample_by_workload((q for q in texts if not q.workload), wanted.sample, seed),
        *sample_by_workload((q for q in texts if q.workload), wanted.workload_sample, seed),
    )
    made = (_block(planner, q, header.tokens_digest, header.system_role) for q in sampled)
    return tuple(block for block in made if block.tokens <= wanted.block_tokens)


def _block(planner: Planner, question: Question, vocabulary: str, system_role: bool) -> Block:
    said = [(turn.role, turn.content) for turn in question.turns]
    said.append(("user", question.prompt_text()))
    if question.system and system_role:
        said.insert(0, ("system", question.system))
    elif question.system:
        said[0] = ("user", f"{question.system}\n{said[0][1]}")
    tokens = prompt_tokens(question, vocabulary, planner.lengths) + template_tokens(question)
    answer = question.reference_answer
    return Block(question, tuple(said), answer, tokens + int(len(answer) / CHARACTERS_PER_TOKEN))


# --- cells ---


class _Maker:
    """Makes the configurations of one hardware profile. Those that others need are made first."""

    def __init__(self, planner: Planner):
        self.planner = planner
        self.made: dict[tuple[str, str], Configuration] = {}
        self.left_out: list[LeftOut] = []
        self._blocks: dict[str, tuple[Block, ...]] = {}

    def add(
        self, model: Model, mode: Mode, reference: Configuration | None, variant: Variant | None
    ) -> Configuration:
        """The configuration of a model and mode, compared with a reference."""
        planner = self.planner if variant is None else self.planner.in_variant(variant)
        weights = planner.weights[model.key]
        if model.key not in self._blocks:
            self._blocks[model.key] = blocks_of(planner, weights)
        shard = Shard(
            planner.hardware, model, mode, (), weights, engine=EMBEDDED, variant=variant
        )  # fmt: skip
        shard = replace(shard, runnable=shard.has_weights)
        made = Configuration(shard, reference, ())
        common = _common_spec(planner, model, mode)
        stored = reference.of_kind(Kind.REFERENCE) if reference is not None else ()
        above = {cell.block.question.name_in_full: cell for cell in stored}
        cells = []
        for block in self._blocks[model.key]:
            its = above.get(block.question.name_in_full)
            if its is not None:
                more = {"block": block.spec(), "reference": its.cell.digest}
                cells.append(_cell(made, Kind.COMPARISON, block, common | more, its.file))
        return self._keep(made, cells)

    def as_reference(self, one: Configuration) -> Configuration:
        """The same configuration, whose distributions are stored as well."""
        if one.of_kind(Kind.REFERENCE):
            return one
        common = _common_spec(self.planner, one.shard.model, one.shard.mode)
        more = {"distributions": {"top": TOP, "samples": SAMPLES}}
        cells = [
            _cell(one, Kind.REFERENCE, block, common | more | {"block": block.spec()})
            for block in self._blocks[one.shard.model.key]
        ]
        return self._keep(one, [*cells, *one.cells])

    def _keep(self, one: Configuration, cells: Iterable[FidelityCell]) -> Configuration:
        all_cells = tuple(cells)
        shard = replace(one.shard, cells=tuple(cell.cell for cell in all_cells))
        made = Configuration(shard, one.reference, all_cells)
        self.made[made.key] = made
        return made

    def baseline(self, model: Model) -> Configuration:
        """The model's baseline, with its own reference above it."""
        known = self.made.get((model.key, BASELINE))
        if known is not None:
            return known
        key, why = reference_key(model, self.planner)
        if why:
            self.left_out.append(LeftOut(model.key, BASELINE, why))
            return self.add(model, Mode(BASELINE), None, None)
        above = self.baseline(self.planner.registry.models[key])
        return self.add(model, Mode(BASELINE), self.as_reference(above), None)


def _common_spec(planner: Planner, model: Model, mode: Mode) -> dict[str, Any]:
    """The part of a spec that all blocks share: all that can change a distribution."""
    weights = planner.weights[model.key]
    assert weights.facts is not None
    runtime = planner.runtime_spec(model)
    del runtime["hardware"]
    context = runtime["context"]
    trained = weights.facts.header.context_length or CONTEXT_TOKENS
    runtime["context"] = context | {
        "length_tokens": min(CONTEXT_TOKENS, trained),
        "batch_tokens": context["micro_batch_tokens"],
    }
    spec = {
        "protocol": PROTOCOL,
        "engine": planner.engine.spec(),
        "weights": weights_spec(model, weights, EMBEDDED),
        "mode": mode_spec(mode, model, weights, None, planner.config.decoding),
        **runtime,
        "measurement_epoch": planner.config.measurement_epoch,
    }
    if weights.facts.header.template_date:
        spec["date"] = DATE.date().isoformat()
    return spec


def _cell(
    one: Configuration, kind: Kind, block: Block, spec: Mapping[str, Any], reference: str = ""
) -> FidelityCell:
    shard, question = one.shard, block.question
    cell_id = CellId(
        shard.hardware.name, shard.model.key, shard.mode.name, question.suite, question.id
    )
    cell = Cell(cell_id, question, spec, digest(spec))
    return FidelityCell(kind, block, cell, one.folder, reference)


def _in_process(planner: Planner) -> Planner:
    """The planner with this project's own engine, and with the fingerprints that are needed."""
    config, registry = planner.config, planner.registry
    keys = [m.key for m in _selected(planner)]
    for key in keys:
        # References have references: the list grows while it is read.
        above, _ = reference_key(registry.models[key], planner)
        if above and above not in keys:
            keys.append(above)
    only = replace(
        config.with_modes((BASELINE,)), models=tuple(keys) or ("!*",), variants=()
    )  # fmt: skip
    engine = engine_identity(EMBEDDED)
    return replace(hashed(replace(planner, config=only)), engine=engine, config=config)


def _selected(planner: Planner) -> tuple[Model, ...]:
    """The selected models that generate text and whose weights are known."""
    return tuple(
        model
        for model in planner.registry.models.values()
        if not not_selected(model, planner.config)
        and planner.weights[model.key].facts is not None
        and planner.modes(model).modes
    )


def fidelity_plan(planner: Planner) -> FidelityPlan:
    """The fidelity cells of a configuration on its profile; none if it does not ask for them."""
    config = planner.config
    if not config.fidelity.measure:
        return FidelityPlan()
    if EMBEDDED not in config.engines and config.server_binary != "built":
        why = "distributions are compared in process, and config.server_binary is another engine"
        return FidelityPlan(left_out=tuple(LeftOut(m.key, "*", why) for m in _selected(planner)))
    planner = _in_process(planner)
    maker = _Maker(planner)
    for model in _selected(planner):
        if any(matches(mode.name, config.decoding.modes) for mode in _plain(planner, model)):
            maker.baseline(model)
            _add_changes(maker, model)
    kept = {one.key: one for one in maker.made.values() if one.cells}
    # A reference is not left out: it has a row of its own.
    left_out = (
        o for o in maker.left_out if o.reason != NO_REFERENCE or (o.model, o.mode) not in kept
    )
    return FidelityPlan(tuple(kept.values()), tuple(left_out))


def _plain(planner: Planner, model: Model) -> Iterator[Mode]:
    """The model's modes that decide what it says."""
    for mode in planner.modes(model).modes:
        if not mode.speculative and mode.quality_row == mode.name:
            yield mode


def _add_changes(maker: _Maker, model: Model) -> None:
    """The model's own changes: fewer experts, variants. They are compared with its baseline."""
    planner, config = maker.planner, maker.planner.config
    wanted: list[tuple[Mode, Variant | None]] = [
        (mode, None)
        for mode in _plain(planner, model)
        if mode.name != BASELINE and matches(mode.name, config.decoding.modes)
    ]
    for variant in config.variants:
        if not set(variant.changes) & set(CHANGES_ANSWERS) or not matches(
            model.key, variant.models
        ):
            continue
        if refused := variant_refused(planner, model, variant):
            maker.left_out.append(LeftOut(model.key, f"*@{variant.name}", refused))
            continue
        wanted += [
            (mode.in_variant(variant.name), variant)
            for mode in _plain(planner, model)
            if matches(mode.name, variant.modes)
        ]
    for mode, of_variant in wanted:
        base = maker.as_reference(maker.baseline(model))
        maker.add(model, mode, base, of_variant)


# --- prediction ---


def seconds(one: Configuration, cells: Iterable[FidelityCell], measured: Measured) -> float:
    """Seconds of these cells with one load; 0 without cells. A block is evaluated once."""
    tokens = {cell.block.question.name_in_full: cell.block.tokens for cell in cells}
    if not tokens:
        return 0.0
    speed = predict(one.shard, measured)
    per_second = PREFILL_SHARE * speed.prefill_tokens_per_s
    return START_S + speed.load_s + sum(tokens.values()) / per_second
