"""Prompt suites: `benchmarks/prompts/v1/*.yaml` read into frozen values.

There are two formats: `prompts: {id: …}`, the project's and the predecessor's, and
`questions: [{id, …}]`, in which every question has a deterministic check.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from scripts.lib.base.errors import BenchError, InputErrors, Problem, in_short, shown, suggest
from scripts.lib.base.yaml_fields import Fields, carried_notice
from scripts.lib.base.yaml_file import Source, read_yaml
from scripts.lib.base.yaml_sections import Section, carried, keys
from scripts.lib.prompts.auto_score import Ruled, with_rules
from scripts.lib.prompts.check_types import CHECK_PARAMETERS, mistakes
from scripts.lib.prompts.question_contexts import CONTEXT_KEYS, context_spec
from scripts.lib.prompts.question_images import with_found_images, written_images
from scripts.lib.prompts.question_list import (
    CARRIED_KEYS,
    SCORING_KEYS,
    file_defaults,
    listed_checks,
)
from scripts.lib.prompts.question_workloads import (
    WORKLOAD_KEYS,
    checked_min_tokens,
    turns_of,
    workload_of,
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
from scripts.lib.settings.run_config import ImageRoots

__all__ = [
    "Check",
    "Criterion",
    "Question",
    "Suite",
    "load_suite",
    "load_suites",
    "read_suites",
]

_SUITE = Section(
    "suite",
    "the file",
    "One suite.",
    (
        *keys("version", "domain", "description", "created", "updated", "note", "notes"),
        *keys("suite", "prompts", "questions", "scoring_default", "inference_params"),
        *keys(*SCORING_KEYS),
    ),
)
# Keys that a question may have in both formats.
_SHARED = (
    *keys("tier", "name", "prompt", "expected", "reference_answer", "system", "temperature"),
    *keys("context_tokens", *CONTEXT_KEYS, "image_path", "images", "max_tokens", "stop"),
    *keys("timeout_s", "description", "note", "notes", *WORKLOAD_KEYS),
)
_QUESTION = Section(
    "question",
    "prompts.<id>",
    "One question of the first format, scored by criteria.",
    (*_SHARED, *keys("scoring", "auto_score")),
)
_LISTED = Section(
    "listed",
    "questions[]",
    "One question of the second format, which has no criteria.",
    (*_SHARED, *keys("id", *SCORING_KEYS), *carried("of its source", *CARRIED_KEYS)),
)
_CRITERION = Section(
    "criterion",
    "prompts.<id>.scoring[]",
    "One weighted criterion.",
    keys("criterion", "weight", "checks"),
    closed=True,
)
_INFERENCE = Section(
    "inference_params",
    "inference_params",
    "How the suite's questions are asked.",
    keys("temperature", "max_tokens", "min_tokens", "timeout"),
)
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_ID_CHARACTERS = "letters, digits, '_', '.' and '-', at most 100 of them"


def _check(entry: Fields, path: str, raw: Any) -> Check | None:
    if not isinstance(raw, dict) or not isinstance(raw.get("type"), str):
        entry.problem(path, f"expected a mapping with a type, found {shown(raw)}")
        return None
    kind = raw["type"]
    if kind not in CHECK_PARAMETERS:
        entry.problem(f"{path}.type", f"unknown check '{kind}'{suggest(kind, CHECK_PARAMETERS)}")
        return None
    return _checked(entry, path, kind, {key: value for key, value in raw.items() if key != "type"})


def _checked(entry: Fields, path: str, kind: str, params: dict[str, Any]) -> Check:
    """A check of a known type; mistakes in its parameters are noted."""
    for name, said in mistakes(kind, params):
        entry.problem(f"{path}.{name}" if name else path, said)
    return Check(kind, MappingProxyType(params))


def _criterion(entry: Fields, place: str, raw: Any) -> Criterion | None:
    if not isinstance(raw, dict) or not isinstance(raw.get("criterion"), str):
        entry.problem(
            place, f"expected a mapping with a criterion and a weight, found {shown(raw)}"
        )
        return None
    part = Fields(entry.file, raw, entry.at(place), _CRITERION)
    weight = part.integer("weight", 1, 100)
    if raw.get("weight") is None:
        part.problem("weight", "is missing")
    checks = [
        _check(part, f"checks[{i}]", item) for i, item in enumerate(part.listed("checks", "checks"))
    ]
    return Criterion(
        raw["criterion"], weight or 0, tuple(check for check in checks if check is not None)
    )


def _criteria(entry: Fields) -> tuple[Criterion, ...]:
    listed = entry.listed("scoring", "criteria")
    found = [_criterion(entry, f"scoring[{index}]", raw) for index, raw in enumerate(listed)]
    made = tuple(criterion for criterion in found if criterion is not None)
    if made and all(criterion.weight for criterion in made):
        total = sum(criterion.weight for criterion in made)
        if total != 100:
            entry.problem("scoring", f"the weights add up to {total}, expected 100")
    return made


def _scoring(entry: Fields) -> Ruled:
    """The criteria with their checks, and the checks of the whole answer."""
    return with_rules(
        entry.scalar("auto_score"),
        _criteria(entry),
        make=partial(_checked, entry, "auto_score"),
        problem=partial(entry.problem, "auto_score"),
    )


def _entry(file: Source, path: str, raw: Any, section: Section) -> Fields | None:
    """The mapping of a question; None, and a problem, if it is not a mapping."""
    if isinstance(raw, dict):
        return Fields(file, raw, path, section)
    file.problems.append(file.problem(path, f"expected a mapping, found {shown(raw)}"))
    return None


def _question(entry: Fields, suite: str, qid: str, ruled: Ruled) -> Question:
    """A question with the keys that both formats share."""
    if not _ID.fullmatch(qid):
        entry.problem("", f"an id may hold {_ID_CHARACTERS}")
    return Question(
        suite=suite,
        id=qid,
        tier=entry.integer("tier", 1, 3) or 1,
        name=entry.scalar("name") or qid,
        prompt=entry.scalar("prompt", required=True).rstrip("\n"),
        expected=entry.scalar("expected"),
        reference_answer=entry.scalar("reference_answer").rstrip("\n"),
        scoring=ruled.criteria,
        whole=ruled.whole,
        all_must_pass=ruled.all_must_pass,
        system=entry.scalar("system") or None,
        max_tokens=entry.integer("max_tokens", 1, 1_000_000),
        min_tokens=checked_min_tokens(entry),
        turns=turns_of(entry),
        workload=workload_of(entry),
        stop=entry.texts("stop", empty=False),
        images=written_images(entry),
        temperature=entry.number("temperature", 0, 5),
        timeout_s=entry.number("timeout_s", 0.001, 1e7),
        context=context_spec(entry),
    )


def _by_id(suite: Fields, name: str, prompts: Mapping[str, Any]) -> list[Question]:
    """The first format: `prompts: {id: {tier, prompt, expected, scoring}}`."""
    made = []
    for qid, raw in prompts.items():
        entry = _entry(suite.file, f"prompts.{qid}", raw, _QUESTION)
        if entry is not None:
            made.append(_question(entry, name, qid, _scoring(entry)))
    return made


def _listed(suite: Fields, name: str, items: list[Any]) -> list[Question]:
    """The second format: `questions: [{id, prompt, expected, scoring_method, scoring_config}]`."""
    made: dict[str, Question] = {}
    file, defaults = suite.file, file_defaults(suite)
    for index, raw in enumerate(items):
        seen = len(file.carried)
        entry = _entry(file, f"questions[{index}]", raw, _LISTED)
        if entry is None:
            continue
        listed = listed_checks(entry, defaults)
        checks = tuple(_checked(entry, *each) for each in listed.checks)
        ruled = Ruled((Criterion(listed.criterion, 100, checks),))
        question = _question(entry, name, entry.scalar("id", required=True), ruled)
        if question.id in made:
            entry.problem("id", f"'{question.id}' is the id of another question")
        if listed.compares and not question.reference_answer:
            question = replace(question, reference_answer=question.expected)
        others = tuple(
            (item.path.removeprefix(f"{entry.path}."), str(item.value))
            for item in file.carried[seen:]
        )
        made[question.id] = replace(question, carried=others)
    return list(made.values())


def _questions(entry: Fields, suite: str) -> list[Question]:
    """The questions, of whichever format."""
    prompts, listed = entry.mapping("prompts"), entry.listed("questions", "questions")
    if prompts and listed:
        entry.problem("questions", "expected either prompts or questions, found both")
    if prompts:
        return _by_id(entry, suite, prompts)
    if listed:
        return _listed(entry, suite, listed)
    if not entry.raw.get("prompts") and not entry.raw.get("questions"):
        entry.problem("prompts", "expected at least one question")
    return []


def _inference_params(part: Fields) -> InferenceParams:
    return InferenceParams(
        temperature=part.number("temperature", 0, 5),
        max_tokens=part.integer("max_tokens", 1, 1_000_000),
        min_tokens=checked_min_tokens(part),
        timeout_s=part.number("timeout", 0.001, 1e7),
    )


def load_suite(path: Path) -> tuple[Suite, list[Problem]]:
    """Read one suite file; returns what could be read and every problem."""
    return _suite(path, read_yaml(path))


def _suite(path: Path, source: Source) -> tuple[Suite, list[Problem]]:
    entry = Fields(source, source.value, "", _SUITE)
    name = entry.scalar("suite") or path.stem
    if not _ID.fullmatch(name):
        entry.problem("suite", f"a suite's name may hold {_ID_CHARACTERS}, found {shown(name)}")
    inherited = _inference_params(entry.part("inference_params", _INFERENCE))
    questions = tuple(
        replace(question, inherited=inherited) for question in _questions(entry, name)
    )
    notices = list(source.warnings)
    if unused := carried_notice((item for item in source.carried if not item.known), most=12):
        notices.append(Problem(source.file, "", unused))
    suite = Suite(
        name,
        entry.scalar("version"),
        entry.scalar("domain"),
        entry.scalar("description"),
        questions,
        tuple(notices),
    )
    return suite, source.problems


@dataclass(frozen=True, slots=True)
class Suites:
    """The suites of a folder. `faults`: suite -> why it, or one of its questions, is left out.

    `notices`: what is not read or not used, but is no error.
    """

    sound: Mapping[str, Suite]
    faults: Mapping[str, tuple[Problem, ...]]
    notices: tuple[Problem, ...] = ()


def read_suites(folder: Path, image_roots: ImageRoots = ()) -> Suites:
    """Every suite of a folder, by name and sorted. Raises BenchError if there is none.

    A suite with a mistake is left out. `image_roots`: where images may have moved to.
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
            if foreign := foreign_keys(source.value, _SUITE.names):
                found = f"it has neither prompts nor questions, but {in_short(foreign)}"
                notices.append(Problem(str(file), "", f"not read: {found}"))
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
    """Every suite of a folder by name, sorted. Raises InputErrors with all files' problems."""
    return whole(read_suites(folder, image_roots))


def whole(found: Suites) -> Mapping[str, Suite]:
    """The suites, if none is left out. Raises InputErrors with the problems of all files."""
    if found.faults:
        raise InputErrors(problem for problems in found.faults.values() for problem in problems)
    return found.sound


def without_lost_images(found: Suites) -> Suites:
    """The suites without questions whose images cannot be read; these are faults of the suite."""
    sound, faults = dict(found.sound), dict(found.faults)
    for name, suite in found.sound.items():
        lost = {q.id: images for q in suite.questions if (images := lost_images(q))}
        if lost:
            kept = tuple(q for q in suite.questions if q.id not in lost)
            sound[name] = replace(suite, questions=kept)
            faults[name] = tuple(
                Problem(image, f"{name}/{question}", "no such image")
                for question, images in lost.items()
                for image in images
            )
    return replace(found, sound=MappingProxyType(sound), faults=MappingProxyType(faults))


def suite_names(folder: Path) -> frozenset[str]:
    """The names of the suites in a folder; nothing else is read or checked."""
    return frozenset(map(name_at_a_glance, suite_files(folder)))
