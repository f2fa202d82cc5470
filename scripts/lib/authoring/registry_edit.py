"""Adds entries to the registry: proposed from a GGUF header; comments and order are kept."""

from __future__ import annotations

import difflib
import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError

from scripts.lib.base.errors import BenchError
from scripts.lib.base.part_names import without_part
from scripts.lib.planning.cell_spec import Weights
from scripts.lib.planning.modes import compatible_drafts
from scripts.lib.planning.reasons import vocabulary_mismatch
from scripts.lib.registry_loader import Model, Registry
from scripts.lib.settings.speculators import SIMPLE_DRAFT
from scripts.lib.weights.architectures import family
from scripts.lib.weights.facts import WeightsFacts
from scripts.lib.weights.quant_names import known_name

# A smaller model is proposed as a draft, a larger one as resident.
DRAFT_LIMIT_GB, RESIDENT_LIMIT_GB = 1.5, 60.0
_NOT_NAME = re.compile(r"[^a-z0-9]+")


def propose_key(path: Path, taken: Mapping[str, object]) -> str:
    """An entry's key from a file name, with a number if it is taken."""
    key = _NOT_NAME.sub("_", without_part(path.stem).lower()).strip("_")[:90] or "model"
    return next(
        name for name in (key, *(f"{key}_{n}" for n in range(2, 1000))) if name not in taken
    )


def architecture_of(facts: WeightsFacts) -> str:
    """The registry's word for a header's architecture, which decides the decoding modes."""
    return family(facts.header.architecture, facts.header.recurrent_key, facts.header.expert_count)


def _registry_path(registry: Registry, path: Path) -> str:
    """The path as the registry writes it: relative to the base folder if the file is in there.

    A link is not followed: in a Hugging Face cache its target is named by a hash, but the parts of
    a split model are found by name.
    """
    base = Path(registry.defaults.model_base_path) if registry.defaults.model_base_path else None
    named, real = path.absolute(), path.parent.resolve() / path.name
    if base is not None:
        for folder, file in ((base.absolute(), named), (base.resolve(), real)):
            if file.is_relative_to(folder):
                return str(file.relative_to(folder))
    return str(named)


def propose_entry(registry: Registry, path: Path, facts: WeightsFacts) -> dict[str, Any]:
    """An entry for these weights: the tier by size, other facts from the header."""
    header = facts.header
    size_gb = round(facts.size_bytes / 1e9, 2 if facts.size_bytes < 1e10 else 1)
    small = "D" if size_gb < DRAFT_LIMIT_GB else "C"
    tier = small if size_gb < RESIDENT_LIMIT_GB else "B"
    if header.draft_kind != SIMPLE_DRAFT:  # it is no model by itself
        tier = "D"
    quant = known_name(header, without_part(path.stem), header.name)
    model: dict[str, Any] = {
        "name": header.name or path.stem,
        "path": _registry_path(registry, path),
        "quant": quant,
        "size_gb": size_gb,
        "architecture": architecture_of(facts),
    }
    if header.split_count > 1:
        model["split_count"] = header.split_count
    if header.context_length:
        model["max_context"] = header.context_length
    if header.expert_count and header.expert_used_count:
        model["baseline_experts"] = header.expert_used_count
    if header.heads:
        model["nextn_predict_layers"] = header.heads
    roles = {"candidate_roles": ["general"]}
    if tier == "D":
        roles = {"candidate_roles": ["draft"], "compatible_targets": []}
    description = f"{model['name']}, {quant}"
    entry: dict[str, Any] = {"tier": tier, "description": description, **roles, "model": model}
    if header.expert_count:
        entry["acceleration"] = {
            "type": "moe_expert_reduction",
            "override_key": f"{header.architecture}.expert_used_count",
        }
    return entry


def fitting_drafts(
    registry: Registry, target: Weights, model: Model, weights: Mapping[str, Weights]
) -> Iterator[tuple[str, str]]:
    """(key, remark) of each tier-D entry that names this model or shares its vocabulary."""
    named = compatible_drafts(model, registry.models)
    for key, entry in registry.models.items():
        if entry.tier != "D" or entry.deprecated or key == model.key:
            continue
        known = target.facts is not None and weights[key].facts is not None
        mismatch = vocabulary_mismatch(target, weights[key], key)
        if key in named and not known:
            yield key, "fits by name; the vocabulary is unknown here"
        elif key in named:
            yield key, mismatch or "fits"
        elif known and not mismatch:
            yield key, "the vocabulary fits; its compatible_targets do not name this model"


def fitting_targets(
    registry: Registry, draft: Weights, weights: Mapping[str, Weights]
) -> Iterator[str]:
    """Keys of the entries that are known to share a draft's vocabulary; drafts are left out."""
    for key, entry in registry.models.items():
        known = draft.facts is not None and weights[key].facts is not None
        if (
            known
            and entry.tier != "D"
            and not entry.deprecated
            and not vocabulary_mismatch(weights[key], draft, "")
        ):
            yield key


def with_entry(file: Path, key: str, entry: Mapping[str, Any]) -> str:
    """The registry's text with the entry put at the end of `roles`.

    Raises BenchError if the key is taken, or the file has a key twice.
    """
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 1 << 20
    yaml.indent(mapping=2, sequence=4, offset=2)
    try:
        document = yaml.load(file.read_text(encoding="utf-8"))
    except DuplicateKeyError as error:
        # Loading takes the last of the two, and writing would silently drop the other.
        line = error.problem_mark.line + 1
        advice = "remove one of the two, then add the entry"
        raise BenchError(f"{file}:{line}: {error.problem}: {advice}") from None
    if key in document["roles"]:
        raise BenchError(f"{file}: roles.{key}: this entry exists already; choose another --key")
    document["roles"][key] = _commented(entry)
    out = io.StringIO()
    yaml.dump(document, out)
    return out.getvalue()


def _commented(value: Any) -> Any:
    """Plain values as ruamel's, with lists on one line as in the rest of the file."""
    if isinstance(value, Mapping):
        return CommentedMap((key, _commented(item)) for key, item in value.items())
    if isinstance(value, list):
        made = CommentedSeq(value)
        made.fa.set_flow_style()
        return made
    return value


def text_diff(file: Path, text: str) -> str:
    """The change as a unified diff."""
    old, new = file.read_text(encoding="utf-8").splitlines(True), text.splitlines(True)
    return "".join(difflib.unified_diff(old, new, str(file), str(file), n=2))
