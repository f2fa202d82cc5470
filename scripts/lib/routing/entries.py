"""Chooses a sample: the frontdoor, specialist and architect of each suite, and the questions.

The choice follows the entries' `candidate_roles` and the suites of these roles
(config/suites.yaml). A sample's cells are ordinary cells. The pipeline runs them, entry by entry,
with a configuration that selects the questions of the sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from scripts.lib.base.errors import BenchError, suggest
from scripts.lib.base.stored_json import digest
from scripts.lib.planning.plan import Planner
from scripts.lib.planning.sampling import sample_questions
from scripts.lib.prompts.loader import Question
from scripts.lib.registry.role_table import is_role_suite, roles_of_suite, suites_for_roles
from scripts.lib.registry_loader import Model
from scripts.lib.settings.run_config import merge

FRONTDOOR, SPECIALIST, ARCHITECT = ACTIONS = ("frontdoor", "specialist", "architect")
EVERY_SUITE = "*"
MODE = "baseline"
# Roles that do not make an entry a specialist.
NO_SPECIALITY = (FRONTDOOR, ARCHITECT, "draft")
HOW_TO_CHOOSE = (
    "choose entries yourself: --frontdoor KEY --specialist KEY (or SUITE=KEY) --architect KEY"
)

# Action -> suite (or EVERY_SUITE) -> the key of the entry that the user names.
Overrides = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Absent:
    """An action that no entry can take in a suite, and why."""

    action: str
    suite: str
    reason: str


@dataclass(frozen=True, slots=True)
class Narrowing:
    """The user's restrictions of a sample; empty means all.

    `entries`: actions are chosen among these. `questions`: `ID` or `SUITE/ID`. `modes`: names or
    patterns of the decoding modes in which each entry is asked.
    """

    entries: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    modes: tuple[str, ...] = (MODE,)

    def names(self, question: Question) -> bool:
        """True for a question that may be asked."""
        names = {question.id, question.name_in_full}
        return not self.questions or not names.isdisjoint(self.questions)


EVERYTHING = Narrowing()


@dataclass(frozen=True)
class Sample:
    """For each suite: the entry of each action, and the questions that all of them are asked."""

    seed: int
    routes: Mapping[str, Mapping[str, Model]]
    questions: Mapping[str, tuple[Question, ...]]
    absent: tuple[Absent, ...]
    modes: tuple[str, ...] = (MODE,)

    @cached_property
    def by_entry(self) -> Mapping[str, tuple[str, ...]]:
        """Entry -> the full names of its questions, for all its actions."""
        asked: dict[str, dict[str, None]] = {}
        for suite, actions in self.routes.items():
            names = dict.fromkeys(q.name_in_full for q in self.questions[suite])
            for model in actions.values():
                asked.setdefault(model.key, {}).update(names)
        return {key: tuple(names) for key, names in asked.items()}

    @property
    def name(self) -> str:
        """The name of the sample's folder; the same entries and questions have the same name."""
        routes = {
            suite: {action: model.key for action, model in found.items()}
            for suite, found in self.routes.items()
        }
        size = max((len(questions) for questions in self.questions.values()), default=0)
        asked = [routes, self.by_entry, *([self.modes] if self.modes != (MODE,) else [])]
        return f"n{size}-seed{self.seed}-{digest(asked)[:8]}"


def _answers(planner: Planner, model: Model, suite: str) -> bool:
    known = suites_for_roles(model.candidate_roles, model.key)
    return suite in known and any(question.suite == suite for question in planner.questions(model))


def _rank(action: str, suite: str, model: Model) -> tuple[Any, ...] | None:
    """The rank of a model for an action in a suite, the smallest first; None if it cannot."""
    specialities = [role for role in roles_of_suite(suite) if role not in NO_SPECIALITY]
    own = [
        (specialities.index(role), place)
        for place, role in enumerate(model.candidate_roles)
        if role in specialities
    ]
    nearest = min(own, default=(len(specialities), 0))
    if action == SPECIALIST:
        general = [role in model.candidate_roles for role in (ARCHITECT, FRONTDOOR)]
        return (*nearest, *general, model.tier) if own else None
    if action not in model.candidate_roles:
        return None
    return (model.key != action, model.tier, *nearest)


def _chosen(planner: Planner, action: str, suite: str, key: str) -> Model | Absent:
    """The entry that the user names; Absent if it cannot be asked."""
    model = planner.registry.entry(key)
    if not planner.weights[key].usable:
        return Absent(action, suite, f"{key}: its weights are not on this machine: {model.path}")
    if not _answers(planner, model, suite):
        suites = ", ".join(suites_for_roles(model.candidate_roles, key))
        return Absent(
            action, suite, f"{key} cannot be asked: its candidate_roles have the suites {suites}"
        )
    return model


def _found(
    planner: Planner, action: str, suite: str, taken: Sequence[Model], entries: Sequence[str]
) -> Model | Absent:
    """The best entry whose weights are here; if `entries` are named, the best of those."""
    ranked = []
    for model in planner.registry.models.values():
        rank = _rank(action, suite, model)
        if rank is None or model.deprecated or model.tier == "D" or model in taken:
            continue
        if entries and model.key not in entries:
            continue
        suites = suites_for_roles(model.candidate_roles, model.key)
        if suite in suites and planner.modes(model).modes:
            ranked.append((rank, model))
    ranked.sort(key=lambda item: item[0])
    for _, model in ranked:
        if planner.weights[model.key].usable and _answers(planner, model, suite):
            return model
    if not ranked:
        return Absent(action, suite, "no entry has fitting candidate_roles")
    first = ranked[0][1]
    why = f"none of the {len(ranked)} fitting entries can be asked on this machine; the first is "
    return Absent(action, suite, f"{why}{first.key} ({first.path})")


def _routes(
    planner: Planner, suite: str, overrides: Overrides, entries: Sequence[str]
) -> Mapping[str, Model | Absent]:
    """The entry of each action in a suite.

    Named `entries` whose roles fit no action take the remaining actions, in order. Raises
    BenchError for an entry that is named for two actions.
    """
    found: dict[str, Model | Absent] = {}
    # The specialist comes last, because a good architect is often a specialist, too.
    for action in (FRONTDOOR, ARCHITECT, SPECIALIST):
        named = overrides.get(action, {})
        key = named.get(suite) or named.get(EVERY_SUITE)
        taken = _models(found)
        if not key:
            found[action] = _found(planner, action, suite, taken, entries)
            continue
        found[action] = item = _chosen(planner, action, suite, key)
        if item in taken:
            raise BenchError(f"{suite}: '{key}' is named twice; each action needs its own entry")
    for key in entries:
        left = [action for action in ACTIONS if isinstance(found[action], Absent)]
        if left and key not in [model.key for model in _models(found)]:
            model = _chosen(planner, left[0], suite, key)
            if isinstance(model, Model):
                found[left[0]] = model
    return found


def _models(found: Mapping[str, Model | Absent]) -> list[Model]:
    return [item for item in found.values() if isinstance(item, Model)]


def wanted_suites(planner: Planner, named: Sequence[str]) -> tuple[str, ...]:
    """The named suites; `all` means those of any role. Raises BenchError for an unknown one."""
    if list(named) == ["all"]:
        return tuple(filter(is_role_suite, planner.suites)) or tuple(planner.suites)
    for name in named:
        if name not in planner.suites:
            raise BenchError(
                f"--suites: no suite '{name}'{suggest(name, (*planner.suites, 'all'))}"
            )
    return tuple(dict.fromkeys(named))


def named_suites(
    planner: Planner, suites: Sequence[str], questions: Sequence[str]
) -> tuple[str, ...]:
    """The suites that have any of the named questions.

    Raises BenchError for a question that none of them has.
    """
    known = {
        suite: {name for q in planner.suites[suite].questions for name in (q.id, q.name_in_full)}
        for suite in suites
    }
    every = set().union(*known.values())
    for name in questions:
        if name not in every:
            raise BenchError(
                f"--question-ids: no question '{name}' in the suites {', '.join(suites)}"
                f"{suggest(name, every)}"
            )
    return tuple(suite for suite, names in known.items() if not names.isdisjoint(questions))


def draw_sample(
    planner: Planner,
    suites: Sequence[str],
    size: int,
    seed: int,
    overrides: Overrides,
    narrowing: Narrowing = EVERYTHING,
) -> Sample:
    """Choose entries and draw `size` questions per suite, spread over the tiers.

    If questions are named, all of them are asked instead. A suite with fewer than two actions is
    left out. Raises BenchError if no suite is left.
    """
    for key in narrowing.entries:
        planner.registry.entry(key)
    routes: dict[str, dict[str, Model]] = {}
    questions: dict[str, tuple[Question, ...]] = {}
    absent: list[Absent] = []
    for suite in suites:
        found = _routes(planner, suite, overrides, narrowing.entries)
        absent += [item for item in found.values() if isinstance(item, Absent)]
        able = {a: model for a in ACTIONS if isinstance(model := found[a], Model)}
        common = tuple(filter(narrowing.names, _common(planner, suite, tuple(able.values()))))
        if narrowing.questions:
            named = filter(narrowing.names, planner.suites[suite].questions)
            absent += [
                Absent(f"question {q.id}", suite, "not every entry can be asked this question")
                for q in named
                if q not in common
            ]
        else:
            common = sample_questions(common, size, seed)
        if len(able) > 1 and common:
            routes[suite], questions[suite] = able, common
    absent += _without_action(planner, routes, suites, narrowing.entries)
    if not routes:
        reasons = "\n".join(f"  {item.suite}: {item.action}: {item.reason}" for item in absent)
        raise BenchError(
            f"no suite has two entries to compare on this machine; {HOW_TO_CHOOSE}\n{reasons}"
        )
    return Sample(seed, routes, questions, tuple(absent), narrowing.modes)


def _without_action(
    planner: Planner,
    routes: Mapping[str, Mapping[str, Model]],
    suites: Sequence[str],
    entries: Sequence[str],
) -> Iterator[Absent]:
    """The named entries without any action, each with the reason."""
    asked = {model.key for actions in routes.values() for model in actions.values()}
    for key in (key for key in entries if key not in asked):
        why = [_chosen(planner, SPECIALIST, suite, key) for suite in suites]
        reasons = [item.reason for item in why if isinstance(item, Absent)]
        if len(reasons) < len(why):
            reasons = ["other entries have all actions, or its suites have no second entry"]
        yield Absent(f"action for {key}", "--roles", reasons[0])


def _common(planner: Planner, suite: str, models: Sequence[Model]) -> tuple[Question, ...]:
    """The questions of a suite that all models can be asked."""
    asked = [tuple(q for q in planner.questions(model) if q.suite == suite) for model in models]
    return tuple(q for q in asked[0] if all(q in others for others in asked[1:])) if asked else ()


def entry_settings(
    raw: Mapping[str, Any], sample: Sample, key: str, modes: Sequence[str] = (MODE,)
) -> dict[str, Any]:
    """The run configuration of one entry's part of a sample, as plain values merged into `raw`."""
    names = sample.by_entry[key]
    engine = raw["engine"] if isinstance(raw["engine"], str) else raw["engine"][0]
    suites = list(dict.fromkeys(name.partition("/")[0] for name in names))
    narrowed = {
        "models": [key],
        "suites": suites,
        "tiers": [1, 2, 3],
        "questions": list(names),
        "engine": engine,
    }
    decoding: dict[str, Any] = {"modes": list(modes)}
    if tuple(modes) != (MODE,):
        # Usually, modes for speed are asked only a few questions of some suites; here all.
        decoding["speed_suites"] = suites
        decoding["speed_sample"] = max(len(names), raw["decoding"]["speed_sample"])
    return merge(raw, narrowed | {"decoding": decoding, "repeats": 1})
