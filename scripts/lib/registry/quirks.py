"""Reads the registry's known quirks, and finds the entries to which they apply."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from scripts.lib.base.errors import shown
from scripts.lib.base.globs import matches
from scripts.lib.base.yaml_fields import Fields
from scripts.lib.base.yaml_file import Source as YamlFile
from scripts.lib.registry.keys import PROBES, SECTIONS
from scripts.lib.registry.types import NAME, Model, Quirk

# In a key, 2.5 is written as 2_5 or 25.
_POINT_IN_KEY = re.compile(r"(?<=[0-9])_(?=[0-9])")
_RUN = re.compile(r"[a-z]+|[0-9]+(?:\.[0-9]+)*")


def _details(value: Any) -> tuple[str, ...]:
    """A free form as lines: those of a text, the items of a list, `key: value` of a mapping."""
    if value is None:
        return ()
    if isinstance(value, dict):
        return tuple(f"{key}: {item}" for key, item in value.items())
    if isinstance(value, list):
        return tuple(map(str, value))
    return tuple(line for line in str(value).splitlines() if line.strip())


def _resolved(value: Any) -> str:
    """Since when it is gone; empty if it is not."""
    if value is True:
        return "at an unknown date"
    return "" if value in (None, False) else str(value)


def _quirk(file: YamlFile, group: str, number: int, raw: Any) -> Quirk:
    fields = Fields(file, raw, f"runtime_quirks.{group}.quirks[{number}]", SECTIONS["quirk"])
    name = fields.text("id") or f"{group}_{number + 1}"
    if not NAME.fullmatch(name):
        fields.problem("id", "may hold letters, digits, '_', '.' and '-', at most 100 of them")
    versions = fields.text("versions")
    try:
        SpecifierSet(versions)
    except InvalidSpecifier:
        fields.problem(
            "versions", f"expected a version range such as '>=0.3.30,<0.4', found '{versions}'"
        )
    return Quirk(
        id=name,
        group=group,
        issue=" ".join(fields.loose_text("issue").split()),
        workaround=" ".join(fields.loose_text("workaround").split()),
        applies_to=fields.texts("applies_to"),
        versions=versions,
        evidence=" ".join(fields.loose_text("evidence").split()),
        discovered=fields.loose_text("discovered"),
        updated=fields.loose_text("updated"),
        status=fields.loose_text("status"),
        explanation=" ".join(fields.loose_text("explanation").split()),
        details=_details(fields.raw.get("details")),
        resolved=_resolved(fields.raw.get("resolved")),
        probe=fields.choice("probe", PROBES, "") or None,
        probe_argument=fields.text("probe_argument") or None,
        line=file.line(fields.path) or 0,
    )


def read_quirks(file: YamlFile, top: Fields) -> tuple[dict[str, str], tuple[Quirk, ...]]:
    """(description of each group, every quirk in file order). Two quirks with one id are an error.

    What is not a quirk is left out with a warning. A quirk may be just the text of its issue.
    """
    groups: dict[str, str] = {}
    quirks: dict[str, Quirk] = {}
    for group, about in top.mapping("runtime_quirks").items():
        if about is not None and not isinstance(about, dict):
            message = f"expected a mapping, found {shown(about)}: not a group of quirks"
            top.warn(f"runtime_quirks.{group}", message)
            continue
        part = Fields(file, about, f"runtime_quirks.{group}", SECTIONS["quirk_group"])
        groups[group] = part.loose_text("description")
        listed = part.raw.get("quirks")
        if listed is not None and not isinstance(listed, list):
            part.warn("quirks", f"expected a list, found {shown(listed)}: it is ignored")
            continue
        for number, raw in enumerate(listed or []):
            item = {"issue": raw} if isinstance(raw, str) else raw
            if not isinstance(item, dict) or item.get("issue") in (None, ""):
                message = f"expected a mapping with an issue, found {shown(raw)}: it is left out"
                part.warn(f"quirks[{number}]", message)
                continue
            quirk = _quirk(file, group, number, item)
            if quirk.id in quirks:
                part.problem(f"quirks[{number}].id", f"'{quirk.id}' is the id of another quirk")
            quirks[quirk.id] = quirk
    return groups, tuple(quirks.values())


def _runs(text: str) -> list[str]:
    """Runs of letters and versions: `Qwen2.5-Coder` is qwen, 2.5, coder."""
    return _RUN.findall(text.lower())


def _same(wanted: str, found: str, by_major: bool) -> bool:
    """True for equal words. A group's key has no points: 46 is 4.6; `by_major`: 4 is 4.6, too."""
    return wanted == (found.partition(".")[0] if by_major else found.replace(".", ""))


def _stands_in(part: list[str], name: list[str], by_major: bool) -> bool:
    """True if the runs of `part` are in the name, one directly after the other."""
    places = range(len(name) - len(part) + 1)
    return any(
        all(_same(a, b, by_major) for a, b in zip(part, name[at:], strict=False)) for at in places
    )


def _speaks_of(group: str, model: Model, by_major: bool) -> bool:
    names = [_runs(model.name), _runs(_POINT_IN_KEY.sub(".", model.key))]
    # `qwen3_8b` has two numbers, `qwen2_5` has one: both readings are tried.
    for reading in (group, _POINT_IN_KEY.sub("", group)):
        parts = [runs for part in reading.split("_") if (runs := _runs(part))]
        if parts and all(any(_stands_in(part, name, by_major) for name in names) for part in parts):
            return True
    return False


def entries_of(group: str, models: Mapping[str, Model]) -> tuple[str, ...]:
    """Keys of the entries to which a group's key applies.

    All parts of the key, split at `_`, occur in the model's name or in the entry's key. A number is
    a version. If no entry has that version, it is a version's first number: `glm4` then applies to
    GLM-4.6.
    """
    for by_major in (False, True):
        found = tuple(key for key, model in models.items() if _speaks_of(group, model, by_major))
        if found:
            return found
    return ()


def applies_to(quirk: Quirk, model: Model) -> bool:
    """True if one of the quirk's patterns matches the entry's key, model or architecture."""
    names = (model.key, model.name, f"architecture:{model.architecture}")
    return any(matches(name, quirk.applies_to) for name in names)
