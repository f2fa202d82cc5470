"""Which entry answers which suite as frontdoor, specialist or architect, and which questions are put to all of them.

The entries follow their `candidate_roles` and the suites that these roles answer
(config/suites.yaml). A sample's cells are ordinary cells: the pipeline runs them, once per entry,
with a configuration narrowed to the questions of the sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from scripts.lib.base.errors import BenchError, suggest
from scripts.lib.base.stored_json import digest
from scripts.lib.planning.modes import expand_modes
from scripts.lib.planning.plan import Planner
from scripts.lib.planning.sampling import sample_questions
from scripts.lib.prompts.loader import Question, roles_of_suite, suites_for_roles
from scripts.lib.registry_loader import Model
from scripts.lib.settings.run_config import merge

FRONTDOOR, SPECIALIST, ARCHITECT = ACTIONS = ("frontdoor", "specialist", "architect")
EVERY_SUITE = "*"
MODE = "baseline"
# A specialist is not one for the roles that everything has, nor a draft.
NO_SPECIALITY = (FRONTDOOR, ARCHITECT, "draft")
HOW_TO_CHOOSE = (
    "choose entries yourself: --frontdoor KEY --specialist KEY (or SUITE=KEY) --architect KEY"
)

# Action -> suite (or EVERY_SUITE) -> the key of the entry asked for.
Overrides = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Absent:
    """An action that no entry can take on a suite, and why."""

    action: str
    suite: str
    reason: str


@dataclass(frozen=True, slots=True)
class Narrowing:
    """What a sample is narrowed to: entries (the first choice of each action among them), questions (`ID` or `SUITE/ID`), and
    the decoding modes, names or patterns, that every entry is asked in. Empty: all.
    """

    entries: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    modes: tuple[str, ...] = (MODE,)

    def names(self, question: Question) -> bool:
        return (
            not self.questions
            or question.id in self.questions
            or question.name_in_full in self.questions
        )


EVERYTHING = Narrowing()


@dataclass(frozen=True)
class Sample:
    """What is asked: per suite the entry of each action, and the questions that all of them can be asked."""

    seed: int
    routes: Mapping[str, Mapping[str, Model]]
    questions: Mapping[str, tuple[Question, ...]]
    absent: tuple[Absent, ...]
    modes: tuple[str, ...] = (MODE,)

    @cached_property
    def by_entry(self) -> Mapping[str, tuple[str, ...]]:
        """Entry -> the full names of the questions it is asked, whichever action it is."""
        asked: dict[str, list[str]] = {}
        for suite, actions in self.routes.items():
            for model in actions.values():
                asked.setdefault(model.key, []).extend(
                    q.name_in_full for q in self.questions[suite]
                )
        return {key: tuple(dict.fromkeys(names)) for key, names in asked.items()}

    @property
    def name(self) -> str:
        """A name for the sample's folder: equal questions put to equal entries have one."""
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
    """The place of a model among those that could take an action on a suite, the smallest first; None: it could not."""
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
    model = planner.registry.entry(key)
    if not planner.weights[key].usable:
        return Absent(action, suite, f"{key}: its weights are not on this machine: {model.path}")
    if not _answers(planner, model, suite):
        suites = ", ".join(suites_for_roles(model.candidate_roles, key))
        return Absent(
            action, suite, f"{key} cannot be asked: its candidate_roles give the suites {suites}"
        )
    return model


def _found(
    planner: Planner, action: str, suite: str, taken: Sequence[Model], entries: Sequence[str]
) -> Model | Absent:
    """The first entry by rank whose weights are here, of `entries` where any are named."""
    ranked = []
    for place, model in enumerate(planner.registry.models.values()):
        rank = _rank(action, suite, model)
        if rank is None or model.deprecated or model.tier == "D" or model in taken:
            continue
        if entries and model.key not in entries:
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


def _routes(
    planner: Planner, suite: str, overrides: Overrides, entries: Sequence[str]
) -> Mapping[str, Model | Absent]:
    """The entry of each action on a suite. Of `entries` those that have no role of an action take what is left, in order."""
    found: dict[str, Model | Absent] = {}
    # The architect before the specialist: what is left over is special.
    for action in (FRONTDOOR, ARCHITECT, SPECIALIST):
        asked = overrides.get(action, {})
        key = asked.get(suite) or asked.get(EVERY_SUITE)
        taken = [item for item in found.values() if isinstance(item, Model)]
        item = (
            _chosen(planner, action, suite, key)
            if key
            else _found(planner, action, suite, taken, entries)
        )
        if item in taken and isinstance(item, Model):
            raise BenchError(
                f"{suite}: '{item.key}' is asked for twice: an action is compared with other entries"
            )
        found[action] = item
    for key in entries:
        left = [action for action in ACTIONS if isinstance(found[action], Absent)]
        known = [item.key for item in found.values() if isinstance(item, Model)]
        if (
            left
            and key not in known
            and isinstance(model := _chosen(planner, left[0], suite, key), Model)
        ):
            found[left[0]] = model
    return found


def wanted_suites(planner: Planner, named: Sequence[str]) -> tuple[str, ...]:
    """The suites asked for; `all` means every one. Raises BenchError for an unknown one."""
    if list(named) == ["all"]:
        return tuple(planner.suites)
    for name in named:
        if name not in planner.suites:
            raise BenchError(
                f"--suites: no suite '{name}'{suggest(name, (*planner.suites, 'all'))}"
            )
    return tuple(dict.fromkeys(named))


def named_suites(
    planner: Planner, suites: Sequence[str], questions: Sequence[str]
) -> tuple[str, ...]:
    """Those of the suites that have any of the named questions. Raises BenchError for a question that none of them has."""
    known = {
        suite: {name for q in planner.suites[suite].questions for name in (q.id, q.name_in_full)}
        for suite in suites
    }
    every = set().union(*known.values())
    for name in questions:
        if name not in every:
            raise BenchError(
                f"--question-ids: no question '{name}' in the suites {', '.join(suites)}{suggest(name, every)}"
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
    """Choose entries and draw `size` questions per suite, spread over the tiers; named questions are asked, all of them.

    A suite for which fewer than two actions are left is left out. Raises BenchError where none is
    left.
    """
    for key in narrowing.entries:
        planner.registry.entry(key)
    routes: dict[str, dict[str, Model]] = {}
    questions: dict[str, tuple[Question, ...]] = {}
    absent: list[Absent] = []
    for suite in suites:
        found = _routes(planner, suite, overrides, narrowing.entries)
        absent += [item for item in found.values() if isinstance(item, Absent)]
        models = {action: found[action] for action in ACTIONS}
        able = {action: model for action, model in models.items() if isinstance(model, Model)}
        common = tuple(filter(narrowing.names, _common(planner, suite, tuple(able.values()))))
        lost = [
            q
            for q in planner.suites[suite].questions
            if narrowing.questions and narrowing.names(q) and q not in common
        ]
        absent += [
            Absent(f"question {q.id}", suite, "not every entry can be asked it") for q in lost
        ]
        if len(able) > 1 and common:
            routes[suite] = able
            questions[suite] = (
                common if narrowing.questions else sample_questions(common, size, seed)
            )
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
    """The named entries that are asked nothing, each with the reason."""
    asked = {model.key for actions in routes.values() for model in actions.values()}
    for key in (key for key in entries if key not in asked):
        why = [_chosen(planner, SPECIALIST, suite, key) for suite in suites]
        reasons = [item.reason for item in why if isinstance(item, Absent)]
        reason = (
            reasons[0]
            if len(reasons) == len(why)
            else "other entries have all actions, or it is alone on its suites"
        )
        yield Absent(f"action for {key}", "--roles", reason)


def _common(planner: Planner, suite: str, models: Sequence[Model]) -> tuple[Question, ...]:
    """The questions of a suite that every one of the models can be asked: outcomes are compared question by question."""
    asked = [tuple(q for q in planner.questions(model) if q.suite == suite) for model in models]
    return tuple(q for q in asked[0] if all(q in others for others in asked[1:])) if asked else ()


def entry_settings(
    raw: Mapping[str, Any], sample: Sample, key: str, modes: Sequence[str] = (MODE,)
) -> dict[str, Any]:
    """The run configuration (plain values, laid on `raw`) under which the pipeline runs one entry's part of a sample."""
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
        # A mode of speed is asked a few questions of a suite elsewhere; here the same ones as every
        # other.
        decoding["speed_sample"] = max(len(names), raw["decoding"]["speed_sample"])
    return merge(raw, narrowed | {"decoding": decoding, "repeats": 1})
