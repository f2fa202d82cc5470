"""Frozen questions: `MANIFEST.yaml` beside the suites has each question's digest and provenance.

The digest covers what a model is sent: the prompt with its generated context, the system text, the
images. A description, an expected answer or a criterion may be corrected; a text that changes needs
a new id, or a new folder of suites.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from scripts.lib.base.errors import BenchError, InputErrors, Problem
from scripts.lib.base.file_hashing import sha256_of
from scripts.lib.base.safe_files import write_atomic
from scripts.lib.base.stored_json import digest
from scripts.lib.base.yaml_fields import Fields
from scripts.lib.base.yaml_file import read_yaml
from scripts.lib.base.yaml_sections import Key, Section
from scripts.lib.prompts.suite_folder import MANIFEST, lacks
from scripts.lib.prompts.types import Question, Suite, lost_images

NAME = MANIFEST
OWN = "written for this project"
_MANIFEST = Section(
    "manifest",
    "the manifest",
    "",
    (Key("questions", "mapping", "suite/id: its entry", required=True),),
    closed=True,
)
_ENTRY = Section(
    "frozen",
    "questions.<suite>/<id>",
    "One frozen question.",
    (
        Key("digest", "text", "of what a model is sent, 12 hex digits, quoted"),
        Key("since", "loose", "the day it was frozen"),
        Key("provenance", "text", "where it comes from"),
    ),
    closed=True,
)
_HEAD = (
    "# Frozen questions: suite/id -> digest of what a model is sent, first day, provenance. "
    "New ones are added by\n# `python -m scripts.prompts freeze`; the text behind a digest never "
    "changes (a better wording is a new id).\n"
)


@dataclass(frozen=True, slots=True)
class Frozen:
    """One question's entry. `since` is the day it was frozen."""

    digest: str
    since: str
    provenance: str = OWN


def question_digest(question: Question) -> str:
    """Digest of what a model is sent: prompt with context, system text, images, earlier turns."""
    images = [sha256_of(Path(image)) for image in question.images]
    text = sha256(question.prompt_text().encode()).hexdigest()
    sent: list[Any] = [text, question.system or "", images]
    if question.turns:
        sent.append([[turn.role, turn.content] for turn in question.turns])
    return digest(sent)


def read_manifest(folder: Path) -> Mapping[str, Frozen] | None:
    """`suite/id` -> entry; None if the folder has no manifest, or another project's.

    Raises InputErrors for a damaged one.
    """
    file = folder / NAME
    if not (file.exists() or file.is_symlink()):
        return None
    source = read_yaml(file)
    if lacks(source.value, ("questions",)):
        return None
    top = Fields(source, source.value, "", _MANIFEST)
    questions = top.part("questions", None)
    entries = {str(name): _frozen(questions.part(name, _ENTRY)) for name in questions.raw}
    if source.problems:
        raise InputErrors(source.problems)
    return entries


def _frozen(entry: Fields) -> Frozen:
    found = entry.required("digest")
    if found and not re.fullmatch(r"[0-9a-f]{12}", found):
        entry.problem("digest", f"expected 12 hex digits, found '{found}'")
    since = entry.loose_text("since")
    if not since:
        entry.problem("since", "is missing")
    return Frozen(found, since, entry.text("provenance", OWN))


def _asked(suites: Mapping[str, Suite]) -> dict[str, Question]:
    return {
        f"{suite.name}/{question.id}": question
        for suite in suites.values()
        for question in suite.questions
    }


def _broken(
    file: Path, frozen: Mapping[str, Frozen], asked: Mapping[str, Question]
) -> Iterator[Problem]:
    """Frozen questions whose text changed, or that are missing."""
    for name, entry in frozen.items():
        if name not in asked:
            yield Problem(str(file), name, "a frozen question is missing: restore it")
        elif lost := lost_images(asked[name]):
            yield Problem(str(file), name, f"cannot be compared: no image {', '.join(lost)}")
        elif question_digest(asked[name]) != entry.digest:
            advice = "restore it, or give the new text a new id"
            yield Problem(str(file), name, f"the text of a frozen question changed: {advice}")


def compare(folder: Path, suites: Mapping[str, Suite]) -> Iterator[Problem]:
    """Texts that changed, and questions that are missing or not frozen yet."""
    frozen, asked, file = read_manifest(folder), _asked(suites), folder / NAME
    if frozen is None:
        return
    yield from _broken(file, frozen, asked)
    for name in asked.keys() - frozen.keys():
        yield Problem(str(file), name, "not frozen yet: python -m scripts.prompts freeze")


def freeze(folder: Path, suites: Mapping[str, Suite], provenance: str = OWN) -> list[str]:
    """Add the questions that are not frozen yet, and return their names.

    Raises BenchError if a frozen text changed, or the manifest is another project's.
    """
    file, known, asked = folder / NAME, read_manifest(folder), _asked(suites)
    if known is None and file.exists():
        raise BenchError(f"{file}: not in the format of this project's manifest: move it away")
    entries = dict(known or {})
    if broken := list(_broken(file, entries, asked)):
        raise BenchError("\n".join(map(str, broken)))
    today = datetime.now(UTC).date().isoformat()
    added = [name for name in asked if name not in entries]
    for name in added:
        entries[name] = Frozen(question_digest(asked[name]), today, provenance)
    lines = (
        f"  {name}: {{digest: '{e.digest}', since: '{e.since}', provenance: {e.provenance}}}\n"
        for name, e in sorted(entries.items())
    )
    write_atomic(file, f"{_HEAD}questions:\n{''.join(lines)}")
    return added
