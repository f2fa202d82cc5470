"""Which entry answers which suite as frontdoor, specialist or architect, and which questions are put to all of them.

The entries follow their `candidate_roles` and the suites that these roles answer (config/suites.yaml). A sample's cells are
ordinary cells: the pipeline runs them, once per entry, with a configuration narrowed to the questions of the sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from scripts.lib.config import merge
from scripts.lib.errors import BenchError, suggest
from scripts.lib.modes import expand_modes
from scripts.lib.plan import Planner, sample_questions
from scripts.lib.prompt_loader import Question, roles_of_suite, suites_for_roles
from scripts.lib.records import digest
from scripts.lib.registry_loader import Model

FRONTDOOR, SPECIALIST, ARCHITECT = ACTIONS = ("frontdoor", "specialist", "architect")
EVERY_SUITE = "*"
MODE = "baseline"
# A specialist is not one for the roles that everything has, nor a draft.
NO_SPECIALITY = (FRONTDOOR, ARCHITECT, "draft")
HOW_TO_CHOOSE = "choose entries yourself: --frontdoor KEY --specialist KEY (or SUITE=KEY) --architect KEY"

# Action -> suite (or EVERY_SUITE) -> the key of the entry asked for.
Overrides = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Absent:
    """An action that no entry can take on a suite, and why."""

    action: str
    suite: str
    reason: str


@dataclass(frozen=True)
class Sample:
    """What is asked: per suite the entry of each action, and the questions that all of them can be asked."""

    seed: int
    routes: Mapping[str, Mapping[str, Model]]
    questions: Mapping[str, tuple[Question, ...]]
    absent: tuple[Absent, ...]

    @cached_property
    def by_entry(self) -> Mapping[str, tuple[str, ...]]:
        """Entry -> the full names of the questions it is asked, whichever action it is."""
        asked: dict[str, list[str]] = {}
        for suite, actions in self.routes.items():
            for model in actions.values():
                asked.setdefault(model.key, []).extend(q.name_in_full for q in self.questions[suite])
        return {key: tuple(dict.fromkeys(names)) for key, names in asked.items()}

    @property
    def name(self) -> str:
        """A name for the sample's folder: equal questions put to equal entries have one."""
        routes = {suite: {action: model.key for action, model in found.items()} for suite, found in self.routes.items()}
        size = max((len(questions) for questions in self.questions.values()), default=0)
        return f"n{size}-seed{self.seed}-{digest([routes, self.by_entry])[:8]}"


def _answers(planner: Planner, model: Model, suite: str) -> bool:
    known = suites_for_roles(model.candidate_roles, model.key)
    return suite in known and any(question.suite == suite for question in planner.questions(model))


def _rank(action: str, suite: str, model: Model) -> tuple[Any, ...] | None:
    """The place of a model among those that could take an action on a suite, the smallest first; None: it could not."""
    specialities = [role for role in roles_of_suite(suite) if role not in NO_SPECIALITY]
    own = [
        (specialities.index(role), place) for place, role in enumerate(model.candidate_roles) if role in specialities
    ]
    nearest = min(own, default=(len(specialities), 0))
    if action == SPECIALIST:
        general = [role in model.candidate_roles for role in (ARCHITECT, FRONTDOOR)]
        return (*nearest, *general, model.tier) if own else None
    if action not in model.candidate_roles:
        return None
    return (model.key != action, model.tier, *nearest)


def _chosen(planner: Planner, action: str, suite: str, key: str) -> Model | Absent:
    model = planner.registry.entry(key)
    if not planner.weights[key].usable:
        return Absent(action, suite, f"{key}: its weights are not on this machine: {model.path}")
    if not _answers(planner, model, suite):
        suites = ", ".join(suites_for_roles(model.candidate_roles, key))
        return Absent(action, suite, f"{key} cannot be asked: its candidate_roles give the suites {suites}")
    return model


def _found(planner: Planner, action: str, suite: str, taken: Sequence[Model]) -> Model | Absent:
    """The first entry by rank whose weights are here."""
    ranked = []
    for place, model in enumerate(planner.registry.models.values()):
        rank = _rank(action, suite, model)
        if rank is None or model.deprecated or model.tier == "D" or model in taken:
            continue
        if expand_modes(model, planner.registry.models).modes and suite in suites_for_roles(
            model.candidate_roles, model.key
        ):
            ranked.append((rank, place, model))
    ranked.sort(key=lambda item: item[:2])
    for _, _, model in ranked:
        if planner.weights[model.key].usable and _answers(planner, model, suite):
            return model
    if not ranked:
        return Absent(action, suite, "no entry's candidate_roles fit")
    first = ranked[0][2]
    why = f"none of the {len(ranked)} entries that fit can be asked here, the first: {first.key} ({first.path})"
    return Absent(action, suite, why)


def _routes(planner: Planner, suite: str, overrides: Overrides) -> Iterator[tuple[str, Model | Absent]]:
    taken: list[Model] = []
    # The architect before the specialist: what is left over is special.
    for action in (FRONTDOOR, ARCHITECT, SPECIALIST):
        asked = overrides.get(action, {})
        key = asked.get(suite) or asked.get(EVERY_SUITE)
        found = _chosen(planner, action, suite, key) if key else _found(planner, action, suite, taken)
        if isinstance(found, Model):
            if found in taken:
                raise BenchError(f"{suite}: '{found.key}' is asked for twice: an action is compared with other entries")
            taken.append(found)
        yield action, found


def wanted_suites(planner: Planner, named: Sequence[str]) -> tuple[str, ...]:
    """The suites asked for; `all` means every one. Raises BenchError for an unknown one."""
    if list(named) == ["all"]:
        return tuple(planner.suites)
    for name in named:
        if name not in planner.suites:
            raise BenchError(f"--suites: no suite '{name}'{suggest(name, (*planner.suites, 'all'))}")
    return tuple(dict.fromkeys(named))


def draw_sample(planner: Planner, suites: Sequence[str], size: int, seed: int, overrides: Overrides) -> Sample:
    """Choose entries and draw `size` questions per suite, spread over the tiers.

    A suite for which fewer than two actions are left is left out. Raises BenchError where none is left.
    """
    routes: dict[str, dict[str, Model]] = {}
    questions: dict[str, tuple[Question, ...]] = {}
    absent: list[Absent] = []
    for suite in suites:
        found = dict(_routes(planner, suite, overrides))
        absent += [item for item in found.values() if isinstance(item, Absent)]
        models = {action: found[action] for action in ACTIONS}
        able = {action: model for action, model in models.items() if isinstance(model, Model)}
        common = _common(planner, suite, tuple(able.values()))
        if len(able) > 1 and common:
            routes[suite] = able
            questions[suite] = sample_questions(common, size, seed)
    if not routes:
        reasons = "\n".join(f"  {item.suite}: {item.action}: {item.reason}" for item in absent)
        raise BenchError(f"no suite has two entries to compare on this machine; {HOW_TO_CHOOSE}\n{reasons}")
    return Sample(seed, routes, questions, tuple(absent))


def _common(planner: Planner, suite: str, models: Sequence[Model]) -> tuple[Question, ...]:
    """The questions of a suite that every one of the models can be asked: outcomes are compared question by question."""
    asked = [tuple(q for q in planner.questions(model) if q.suite == suite) for model in models]
    return tuple(q for q in asked[0] if all(q in others for others in asked[1:])) if asked else ()


def entry_settings(raw: Mapping[str, Any], sample: Sample, key: str) -> dict[str, Any]:
    """The run configuration (plain values, laid on `raw`) under which the pipeline runs one entry's part of a sample."""
    names = sample.by_entry[key]
    engine = raw["engine"] if isinstance(raw["engine"], str) else raw["engine"][0]
    suites = list(dict.fromkeys(name.partition("/")[0] for name in names))
    narrowed = {"models": [key], "suites": suites, "tiers": [1, 2, 3], "questions": list(names), "engine": engine}
    return merge(raw, narrowed | {"decoding": {"modes": [MODE]}, "repeats": 1})
