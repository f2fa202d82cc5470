"""Runtime variants: named sets of settings that are measured beside the usual ones.

    variants:
      kv_q8: {context: {kv_type_k: q8_0, kv_type_v: q8_0}}
      t: {threads: [1, 2, 4, 8]}

Each variant runs the modes that it names (baseline, unless it says otherwise) as `MODE@VARIANT`.
A list makes one variant of each number: `t1`, `t2`, `t4`, `t8`. A variant changes what it lists;
all else is as without it. Variants are not combined with each other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from scripts.lib.base.errors import shown
from scripts.lib.base.yaml_fields import Fields, closed_part
from scripts.lib.base.yaml_sections import keys

# It is part of a file's name.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
# The keys of a hardware profile that a variant may change. The profile's reader checks the values.
HARDWARE = ("threads", "batch_threads", "cpus", "numa")
# How llama.cpp reads the weights. Only False is a change.
LOADING = ("repack", "mmap")
SWEEPS = ("threads", "batch_threads")
_KEYS = keys("modes", "models", "context", *HARDWARE, *LOADING)

ReadContext = Callable[[Fields], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Variant:
    """The changed settings, and the modes and models (patterns) that run with them.

    `context`, `hardware`: the changed keys. `loading`: those of `LOADING` that are False. Of a
    variant that is one number of a list, `sweep` is the list's name and `swept` its key.
    """

    name: str
    modes: tuple[str, ...]
    models: tuple[str, ...]
    context: Mapping[str, Any]
    hardware: Mapping[str, Any]
    loading: Mapping[str, bool]
    sweep: str = ""
    swept: str = ""

    @property
    def changes(self) -> Mapping[str, Any]:
        """Every changed setting by its key."""
        return {**self.context, **self.hardware, **self.loading}

    @property
    def shown_changes(self) -> str:
        """The changes as text, such as `threads 8`."""
        return ", ".join(f"{key} {shown_value(value)}" for key, value in self.changes.items())


def shown_value(value: Any) -> str:
    """A setting's value as YAML has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def parse_variants(top: Fields, read_context: ReadContext) -> tuple[Variant, ...]:
    """The variants of a configuration, lists written out. Mistakes go to the file's list.

    `read_context` gives the changed settings of a variant's `context`.
    """
    section, found = top.part("variants"), dict[str, Variant]()
    for name in section.raw:
        if not _NAME.fullmatch(name):
            message = f"expected letters, digits, '_', '.' and '-', found {shown(name)}"
            section.problem(name, message)
            continue
        for variant in _variants(name, closed_part(section, name, _KEYS), read_context):
            if variant.name in found:
                section.problem(name, f"gives a second variant '{variant.name}'")
            found[variant.name] = variant
    return tuple(found.values())


def _variants(name: str, part: Fields, read_context: ReadContext) -> Iterator[Variant]:
    flags = {key: part.optional_flag(key) for key in LOADING}
    variant = Variant(
        name,
        part.texts("modes", empty=False) or ("baseline",),
        part.texts("models", empty=False) or ("*",),
        read_context(part),
        {key: part.raw[key] for key in HARDWARE if part.raw.get(key) is not None},
        {key: False for key, value in flags.items() if value is False},
    )
    lists = [key for key in SWEEPS if isinstance(variant.hardware.get(key), list)]
    if not variant.changes:
        part.problem("", "changes nothing; see config.yaml for what a variant may change")
    elif not lists:
        yield variant
    elif len(lists) > 1:
        part.problem("", f"expected one list, found {' and '.join(lists)}")
    else:
        values = variant.hardware[lists[0]]
        if not values or any(type(value) is not int for value in values):
            part.problem(lists[0], f"expected whole numbers, found {shown(values)}")
            return
        for value in values:
            hardware = {**variant.hardware, lists[0]: value}
            changed = replace(variant, name=f"{name}{value}", hardware=hardware)
            yield replace(changed, sweep=name, swept=lists[0])
