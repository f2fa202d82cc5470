"""The registry's format as a page and as a JSON Schema, both made from the table of keys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.lib.base.yaml_sections import Key, Section
from scripts.lib.registry.keys import SECTIONS

SCHEMA_FILE = Path("orchestration/model_registry.schema.json")
PAGE_FILE = Path("docs/reference/registry.md")
TEMPLATE = Path("docs/templates/registry.md.j2")

_KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "text": ("text", {"type": "string"}),
    "loose": ("text, number or date", {"type": ["string", "number", "boolean", "array"]}),
    "count": ("whole number from 1", {"type": "integer", "minimum": 1}),
    "number": ("number from 0", {"type": "number", "minimum": 0}),
    "flag": ("true or false", {"type": "boolean"}),
    "flag_or_auto": ("true, false or auto", {"enum": [True, False, "auto", None]}),
    "texts": ("list of texts", {"type": ["array", "string"], "items": {"type": "string"}}),
    "mapping": ("mapping", {"type": "object"}),
    "any": ("free form", {}),
}
_NESTED = {"acceleration": ("speculative_decoding", "alternative")}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A key without a value (null) counts as absent."""
    kinds = schema.get("type")
    if kinds is None:
        return schema
    return {**schema, "type": [*([kinds] if isinstance(kinds, str) else kinds), "null"]}


def _is_held_to_its_kind(section: Section, key: Key) -> bool:
    return not (section.lenient or key.lenient or key.carried or key.same_as)


def _key_schema(section: Section, key: Key) -> dict[str, Any]:
    said = {"description": key.meaning}
    if key.name in _NESTED.get(section.name, ()):
        return {
            **said,
            "anyOf": [{"$ref": f"#/$defs/{section.name}"}, {"type": ["null", "boolean"]}],
        }
    if key.kind in SECTIONS:
        reference = {"$ref": f"#/$defs/{key.kind}"}
        return {**said, **(reference if key.required else {"anyOf": [reference, {"type": "null"}]})}
    if not _is_held_to_its_kind(section, key):
        return said
    made = dict(_KINDS[key.kind][1])
    if key.unsaid is not None:
        made = {"anyOf": [{"const": key.unsaid}, _or_null(made)]}
    elif key.choices and key.kind == "text":
        words = [*key.choices, *(older for older, _ in key.synonyms)]
        made = {"enum": words if key.required else [*words, None]}
    elif key.choices:
        made["items"] = {"enum": list(key.choices)}
    return {**said, **(made if key.required else _or_null(made))}


def _section_schema(section: Section) -> dict[str, Any]:
    described = {
        "description": section.meaning,
        "properties": {key.name: _key_schema(section, key) for key in section.keys},
        "additionalProperties": _or_null(_KINDS[section.values][1])
        if section.values and not section.lenient
        else True,
    }
    if section.lenient:
        return described
    required = [key.name for key in section.keys if key.required]
    return {"type": "object", **described, "required": required}


def json_schema() -> str:
    """The JSON Schema (draft 2020-12) of the registry as text, for editors and other programs."""
    definitions = {
        name: _section_schema(section)
        for name, section in SECTIONS.items()
        if name not in ("registry", "quirk_group")
    }
    top = _section_schema(SECTIONS["registry"])
    top["properties"]["roles"] = {
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"pattern": "^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$"},
        "additionalProperties": {"$ref": "#/$defs/role"},
    }
    top["properties"]["runtime_quirks"] = {
        "type": ["object", "null"],
        "additionalProperties": {
            **_section_schema(SECTIONS["quirk_group"]),
            "properties": {
                "quirks": {"type": ["array", "null"], "items": {"$ref": "#/$defs/quirk"}}
            },
        },
    }
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Model registry",
        **top,
        "$defs": definitions,
    }
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def _kind_words(key: Key) -> str:
    if key.kind in SECTIONS:
        return "mapping, see below"
    words = _KINDS[key.kind][0]
    return (
        f"{words}: {', '.join(f'`{choice}`' for choice in key.choices)}" if key.choices else words
    )


def _meaning(section: Section, key: Key) -> str:
    if key.carried:
        return f"{key.meaning}; carried through"
    if key.same_as:
        return f"{key.meaning} of `{key.same_as}`"
    return key.meaning


def _page_lines() -> Iterator[str]:
    for section in SECTIONS.values():
        yield f"\n## `{section.place}`\n" if section.name != "registry" else "\n## The file\n"
        lenient = " A value of another kind is ignored, with a warning." if section.lenient else ""
        yield f"{section.meaning}{lenient}"
        if not section.keys:
            continue
        yield "\n| key | value | meaning |\n|---|---|---|"
        for key in section.keys:
            name = f"**`{key.name}`**" if key.required else f"`{key.name}`"
            yield f"| {name} | {_kind_words(key)} | {_meaning(section, key)} |"
    yield "\nKeys in bold are required."


def page() -> str:
    """`docs/reference/registry.md` as text."""
    head = TEMPLATE.read_text(encoding="utf-8")
    return head.replace("{{ sections }}", "\n".join(_page_lines()))
