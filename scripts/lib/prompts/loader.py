"""Prompt suites: `benchmarks/prompts/v1/*.yaml` read into frozen values, every mistake collected with its line.

Two formats load: the project's (and predecessor's) `prompts: {id: …}`, and the deterministic
`questions: [{id, …}]`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from scripts.lib.base.errors import BenchError, InputErrors, Problem, in_short, shown, suggest
from scripts.lib.base.yaml_file import Source, read_yaml
from scripts.lib.prompts.auto_score import Ruled, with_rules
from scripts.lib.prompts.check_types import CHECK_PARAMETERS, mistakes
from scripts.lib.prompts.entry import Entry
from scripts.lib.prompts.question_contexts import CONTEXT_KEYS, context_spec
from scripts.lib.prompts.question_images import with_found_images, written_images
from scripts.lib.prompts.question_list import (
    CARRIED_KEYS,
    SCORING_KEYS,
    Defaults,
    file_defaults,
    listed_checks,
)
from scripts.lib.prompts.suite_folder import foreign_keys, name_at_a_glance, not_read, suite_files
from scripts.lib.prompts.types import (
    Check,
    Criterion,
    InferenceParams,
    Question,
    Suite,
    lost_images,
)
from scripts.lib.registry.role_table import SUITES_FILE, role_table
from scripts.lib.settings.image_roots import ImageRoots

__all__ = [
    "Check",
    "Criterion",
    "Question",
    "Suite",
    "is_role_suite",
    "load_suite",
    "load_suites",
    "read_suites",
    "suites_for_roles",
]

SUITE_KEYS = (
    *(
        "version",
        "domain",
        "description",
        "created",
        "updated",
        "note",
        "notes",
        "prompts",
        "suite",
        "scoring_default",
    ),
    *("questions", "inference_params", *SCORING_KEYS),
)
QUESTION_KEYS = (
    *("tier", "name", "prompt", "expected", "reference_answer", "scoring", "auto_score"),
    *("context_tokens", *CONTEXT_KEYS, "image_path", "images", "max_tokens", "stop"),
    *("system", "temperature", "timeout_s", "description", "note", "notes"),
)
INFERENCE_KEYS = ("temperature", "max_tokens", "timeout")
CRITERION_KEYS = ("criterion", "weight", "checks")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_ID_CHARACTERS = "letters, digits, '_', '.' and '-', at most 100 of them"
# The second format has no criteria.
_ACTED_ON = (
    *(key for key in QUESTION_KEYS if key not in ("scoring", "auto_score")),
    "id",
    *SCORING_KEYS,
)
LISTED_KEYS = (*_ACTED_ON, *CARRIED_KEYS)


def _check(entry: Entry, path: str, raw: Any) -> Check | None:
    if not isinstance(raw, dict) or not isinstance(raw.get("type"), str):
        entry.problem(path, f"expected a mapping with a type, found {shown(raw)}")
        return None
    kind = raw["type"]
    if kind not in CHECK_PARAMETERS:
        entry.problem(f"{path}.type", f"unknown check '{kind}'{suggest(kind, CHECK_PARAMETERS)}")
        return None
    return _checked(entry, path, kind, {key: value for key, value in raw.items() if key != "type"})


def _checked(entry: Entry, path: str, kind: str, params: dict[str, Any]) -> Check:
    """A check of a known type; what is wrong with its parameters is told."""
    for name, said in mistakes(kind, params):
        entry.problem(f"{path}.{name}" if name else path, said)
    return Check(kind, MappingProxyType(params))


def _criterion(entry: Entry, place: str, raw: Any) -> Criterion | None:
    if not isinstance(raw, dict) or not isinstance(raw.get("criterion"), str):
        entry.problem(
            place, f"expected a mapping with a criterion and a weight, found {shown(raw)}"
        )
        return None
    part = Entry(entry.source, f"{entry.path}.{place}", raw)
    part.known(CRITERION_KEYS)
    weight = part.integer("weight", 1, 100)
    if raw.get("weight") is None:
        part.problem("weight", "is missing")
    checks = [
        _check(part, f"checks[{i}]", item) for i, item in enumerate(part.listed("checks", "checks"))
    ]
    return Criterion(
        raw["criterion"], weight or 0, tuple(check for check in checks if check is not None)
    )


def _criteria(entry: Entry) -> tuple[Criterion, ...]:
    listed = entry.listed("scoring", "criteria")
    found = [_criterion(entry, f"scoring[{index}]", raw) for index, raw in enumerate(listed)]
    made = tuple(criterion for criterion in found if criterion is not None)
    if made and all(criterion.weight for criterion in made):
        total = sum(criterion.weight for criterion in made)
        if total != 100:
            entry.problem("scoring", f"the weights add up to {total}, expected 100")
    return made


def _scoring(entry: Entry) -> Ruled:
    """The criteria with their checks, and the checks of the whole answer."""
    return with_rules(
        entry.text("auto_score"),
        _criteria(entry),
        make=partial(_checked, entry, "auto_score"),
        problem=partial(entry.problem, "auto_score"),
    )


def _question(source: Source, suite: str, qid: str, path: str, raw: Any) -> Question | None:
    if not isinstance(raw, dict):
        source.problems.append(source.problem(path, f"expected a mapping, found {shown(raw)}"))
        return None
    entry = Entry(source, path, raw)
    entry.no_slips(QUESTION_KEYS)
    if not _ID.fullmatch(qid):
        entry.problem("", f"an id may hold {_ID_CHARACTERS}")
    ruled = _scoring(entry)
    return Question(
        suite=suite,
        id=qid,
        tier=entry.integer("tier", 1, 3) or 1,
        name=entry.text("name") or qid,
        prompt=entry.text("prompt", required=True).rstrip("\n"),
        expected=entry.text("expected"),
        reference_answer=entry.text("reference_answer").rstrip("\n"),
        scoring=ruled.criteria,
        whole=ruled.whole,
        all_must_pass=ruled.all_must_pass,
        system=entry.text("system") or None,
        max_tokens=entry.integer("max_tokens", 1, 1_000_000),
        stop=entry.texts("stop"),
        images=written_images(entry),
        temperature=entry.number("temperature", 0, 5),
        timeout_s=entry.number("timeout_s", 0.001, 1e7),
        context=context_spec(entry),
    )


def _listed(source: Source, suite: str, raw: list[Any], defaults: Defaults) -> list[Question]:
    """The second format: `questions: [{id, tier, prompt, expected, scoring_method, scoring_config}]`."""
    made: dict[str, Question] = {}
    for index, item in enumerate(raw):
        path = f"questions[{index}]"
        if not isinstance(item, dict):
            source.problems.append(source.problem(path, f"expected a mapping, found {shown(item)}"))
            continue
        entry = Entry(source, path, item)
        entry.no_slips(LISTED_KEYS)
        plain = {
            key: value for key, value in item.items() if key in _ACTED_ON and key in QUESTION_KEYS
        }
        question = _question(source, suite, entry.text("id", required=True), path, plain)
        if question is None:
            continue
        if question.id in made:
            entry.problem("id", f"'{question.id}' is the id of another question")
        listed = listed_checks(entry, defaults)
        checks = tuple(_checked(entry, *each) for each in listed.checks)
        carried = tuple((key, str(value)) for key, value in item.items() if key not in _ACTED_ON)
        made[question.id] = replace(
            question,
            scoring=(Criterion(listed.criterion, 100, checks),),
            reference_answer=question.reference_answer
            or (question.expected if listed.compares else ""),
            carried=(*carried, *listed.carried),
        )
    return list(made.values())


def _questions(entry: Entry, suite: str) -> list[Question]:
    """The questions of either format."""
    source, prompts, questions = entry.source, entry.raw.get("prompts"), entry.raw.get("questions")
    if prompts and questions:
        entry.problem("questions", "stands beside prompts: a suite has one of them")
    if prompts is not None and not isinstance(prompts, dict):
        entry.problem("prompts", f"expected a mapping of questions, found {shown(prompts)}")
    elif prompts:
        made = [
            _question(source, suite, qid, f"prompts.{qid}", raw) for qid, raw in prompts.items()
        ]
        return [question for question in made if question is not None]
    elif listed := entry.listed("questions", "questions"):
        return _listed(source, suite, listed, file_defaults(entry))
    elif questions is None or isinstance(questions, list):
        entry.problem("prompts", "expected at least one question")
    return []


def _inference_params(entry: Entry) -> InferenceParams:
    raw = entry.raw.get("inference_params")
    if raw is not None and not isinstance(raw, dict):
        entry.problem("inference_params", f"expected a mapping, found {shown(raw)}")
    part = Entry(entry.source, "inference_params", raw if isinstance(raw, dict) else {})
    part.no_slips(INFERENCE_KEYS)
    return InferenceParams(
        temperature=part.number("temperature", 0, 5),
        max_tokens=part.integer("max_tokens", 1, 1_000_000),
        timeout_s=part.number("timeout", 0.001, 1e7),
    )


def load_suite(path: Path) -> tuple[Suite, list[Problem]]:
    """Read one suite file; gives what could be read and every problem."""
    return _suite(path, read_yaml(path))


def _suite(path: Path, source: Source) -> tuple[Suite, list[Problem]]:
    entry = Entry(source, "", source.value)
    entry.no_slips(SUITE_KEYS)
    name = entry.text("suite") or path.stem
    if not _ID.fullmatch(name):
        entry.problem("suite", f"a suite's name may hold {_ID_CHARACTERS}, found {shown(name)}")
    inherited = _inference_params(entry)
    questions = tuple(
        replace(question, inherited=inherited) for question in _questions(entry, name)
    )
    notices = (*source.warnings, *_unused_keys(source))
    suite = Suite(
        name,
        entry.text("version"),
        entry.text("domain"),
        entry.text("description"),
        questions,
        notices,
    )
    return suite, source.problems


def _unused_keys(source: Source) -> Iterator[Problem]:
    """One notice of the keys that nobody acts on, the suite's and its questions'."""
    prompts, questions = source.value.get("prompts"), source.value.get("questions")
    asked: list[tuple[Any, tuple[str, ...]]] = [
        (raw, QUESTION_KEYS) for raw in (prompts.values() if isinstance(prompts, dict) else ())
    ]
    asked += [(raw, LISTED_KEYS) for raw in (questions if isinstance(questions, list) else ())]
    unused = [key for key in source.value if key not in SUITE_KEYS]
    params = source.value.get("inference_params")
    unused += (
        [f"inference_params.{key}" for key in params if key not in INFERENCE_KEYS]
        if isinstance(params, dict)
        else []
    )
    unused += sorted(
        {key for raw, known in asked if isinstance(raw, dict) for key in raw if key not in known}
    )
    if unused:
        yield Problem(source.file, "", f"keys that are not used here: {in_short(unused)}")


@dataclass(frozen=True, slots=True)
class Suites:
    """What a folder of suites gives. `faults`: suite -> why it, or a question of it, is left out.

    `notices`: what is not read or not used, and stops nothing.
    """

    sound: Mapping[str, Suite]
    faults: Mapping[str, tuple[Problem, ...]]
    notices: tuple[Problem, ...] = ()


def read_suites(folder: Path, image_roots: ImageRoots = ()) -> Suites:
    """Every suite of a folder, by name and sorted; one with a mistake is left out. Raises BenchError where there is none.

    `image_roots`: where images are that are not where their question says.
    """
    files = suite_files(folder)
    if not files:
        raise BenchError(f"{folder}: expected suite files (*.yaml), found none")
    suites: dict[str, Suite] = {}
    faults: dict[str, tuple[Problem, ...]] = {}
    notices: list[Problem] = []
    for file in files:
        try:
            source = read_yaml(file)
            if foreign := foreign_keys(source.value, SUITE_KEYS):
                said = f"not read: no suite: it has neither prompts nor questions, but {in_short(foreign)}"
                notices.append(Problem(str(file), "", said))
                continue
            suite, problems = _suite(file, source)
            name = suite.name
        except InputErrors as error:
            problems, name = list(error.problems), name_at_a_glance(file)
        else:
            if name in suites:
                problems.append(
                    Problem(str(file), "suite", f"'{name}' is the name of another file's suite")
                )
            suites[name] = with_found_images(suite, image_roots)
            notices += suite.notices if not problems else ()
        if problems:
            faults[name] = (*faults.get(name, ()), *problems)
    notices += not_read(folder)
    if not suites and not faults:
        raise InputErrors([Problem(str(folder), "", "expected suites, found none"), *notices])
    sound = {name: suite for name, suite in sorted(suites.items()) if name not in faults}
    return Suites(MappingProxyType(sound), MappingProxyType(faults), tuple(notices))


def load_suites(folder: Path, image_roots: ImageRoots = ()) -> Mapping[str, Suite]:
    """Every suite of a folder by name, sorted. Raises InputErrors with all problems of all files."""
    return whole(read_suites(folder, image_roots))


def whole(found: Suites) -> Mapping[str, Suite]:
    """The suites, where none is left out. Raises InputErrors with all problems of all files."""
    if found.faults:
        raise InputErrors(problem for problems in found.faults.values() for problem in problems)
    return found.sound


def without_lost_images(found: Suites) -> Suites:
    """The same suites without the questions whose images cannot be read: each is a fault of its suite."""
    sound, faults = dict(found.sound), dict(found.faults)
    for name, suite in found.sound.items():
        lost = {
            question.id: lost_images(question)
            for question in suite.questions
            if lost_images(question)
        }
        if lost:
            sound[name] = replace(
                suite, questions=tuple(q for q in suite.questions if q.id not in lost)
            )
            faults[name] = tuple(
                Problem(image, f"{name}/{question}", "no such image")
                for question, images in lost.items()
                for image in images
            )
    return replace(found, sound=MappingProxyType(sound), faults=MappingProxyType(faults))


def suite_names(folder: Path) -> frozenset[str]:
    """The names of the suites in a folder, at a glance: nothing of them is checked."""
    return frozenset(map(name_at_a_glance, suite_files(folder)))


def is_role_suite(name: str, file: Path = SUITES_FILE) -> bool:
    """True when the table of roles speaks of the suite; another one is asked where the configuration names it."""
    return name in role_table(file).known_suites


def roles_of_suite(name: str, file: Path = SUITES_FILE) -> tuple[str, ...]:
    """The roles that answer a suite, those first whose business it is most: by its place in their lists."""
    table = role_table(file)
    roles = [
        (suites.index(name), role)
        for part in (table.only, table.roles)
        for role, suites in part.items()
        if name in suites
    ]
    return tuple(role for _, role in sorted(roles, key=lambda pair: pair[0]))


def suites_for_roles(
    candidate_roles: tuple[str, ...], key: str, file: Path = SUITES_FILE
) -> tuple[str, ...]:
    """The suites a model answers: the union over its roles, by the table in config/suites.yaml."""
    table = role_table(file)
    roles = candidate_roles or tuple(
        role for role in (*table.only, *table.roles) if key.startswith(f"{role}_")
    )
    for role in roles:
        if role in table.only:
            return table.only[role]
    found = [suite for role in roles for suite in table.roles.get(role, ())]
    return tuple(dict.fromkeys(found)) or ("general",)
