"""A header tells what a file can draft with, and for: heads, drafts of each kind, parts of both."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import gguf
import numpy as np
import pytest

from scripts.lib.authoring.registry_check import contradictions
from scripts.lib.authoring.registry_edit import propose_entry
from scripts.lib.base.stored_json import sealed
from scripts.lib.planning.cell_spec import Weights, draft_kind
from scripts.lib.planning.modes import expand_modes
from scripts.lib.planning.traits import traits_of
from scripts.lib.registry_loader import load_registry
from scripts.lib.settings.speculators import BY_NAME
from scripts.lib.weights import gguf_copy
from scripts.lib.weights.facts import WeightsFacts, WeightsLock, facts
from scripts.lib.weights.gguf_header import read_header
from tests.factories.commands import call
from tests.factories.plans import REGISTRY, model

TRUNK = ("token_embd.weight", "blk.0.attn_norm.weight", "blk.1.attn_norm.weight")
HEAD = ("blk.2.nextn.eh_proj.weight", "blk.2.nextn.enorm.weight")


def write(
    path: Path, arch: str, tensors: Iterable[str], nextn: int | None = None, **keys: int
) -> Path:
    """A file with these tensors, each of one row. `nextn`: its nextn_predict_layers."""
    writer = gguf.GGUFWriter(path, arch)
    writer.add_name(f"Some {arch}")
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    if nextn is not None:
        writer.add_nextn_predict_layers(nextn)
    for key, value in keys.items():
        writer.add_uint32(f"{arch}.{key}", value)
    _finish(writer, tensors)
    return path


def _finish(writer: gguf.GGUFWriter, tensors: Iterable[str]) -> None:
    for name in tensors:
        writer.add_tensor(name, np.zeros((1, 4), dtype=np.float32))
    gguf_copy.write(writer)


@pytest.mark.parametrize(
    ("tensors", "nextn", "heads"),
    [
        ((*TRUNK, *HEAD), 1, 1),
        ((*TRUNK, *HEAD), 2, 2),
        # Some conversions keep the key and drop the tensors; others do the opposite.
        (TRUNK, 1, 0),
        ((*TRUNK, HEAD[1]), 1, 0),
        ((*TRUNK, *HEAD), None, 0),
        (TRUNK, None, 0),
    ],
)
def test_a_head_needs_the_key_and_its_tensor(
    tmp_path: Path, tensors: tuple[str, ...], nextn: int | None, heads: int
) -> None:
    header = read_header(write(tmp_path / "m.gguf", "qwen35", tensors, nextn))
    assert (header.heads, header.nextn_layers) == (heads, nextn or 0)
    assert header.draft_kind == "draft"


@pytest.mark.parametrize(
    ("arch", "tensors", "kind"),
    [
        ("llama", TRUNK, "draft"),
        ("qwen35", (TRUNK[0], *HEAD), "mtp_file"),
        ("eagle3", ("fc.weight",), "eagle3"),
        ("dflash", ("fc.weight",), "dflash"),
        ("dflash", ("fc.weight", "markov_w1.weight"), "dspark"),
        # The tensor of another architecture says nothing.
        ("llama", (*TRUNK, "markov_w1.weight"), "draft"),
    ],
)
def test_what_a_file_drafts_for(
    tmp_path: Path, arch: str, tensors: tuple[str, ...], kind: str
) -> None:
    path = write(tmp_path / "d.gguf", arch, tensors, nextn=1)
    assert read_header(path).draft_kind == kind and kind in BY_NAME
    found = facts(path, tmp_path / "cache")
    assert draft_kind(Weights(found, path, True, False)) == kind
    # Whatever its size, it is an entry of drafts: it answers nothing by itself.
    large = WeightsFacts(found.fingerprint, found.sha256, 70 << 30, found.header)
    assert (propose_entry(REGISTRY, path, large)["tier"] == "D") is (kind != "draft")


def split(folder: Path, arch: str, parts: list[tuple[str, ...]], nextn: int) -> Path:
    """A model in parts: only the first has the metadata, each has its own tensors."""
    for number, tensors in enumerate(parts, 1):
        path = folder / f"m-{number:05d}-of-{len(parts):05d}.gguf"
        writer = gguf.GGUFWriter(path, arch)
        if number == 1:
            writer.add_nextn_predict_layers(nextn)
        writer.add_uint16("split.count", len(parts))
        writer.add_uint16("split.no", number - 1)
        _finish(writer, tensors)
    return folder / f"m-00001-of-{len(parts):05d}.gguf"


def test_of_a_split_model_all_parts_are_looked_at(tmp_path: Path) -> None:
    made = {}
    for name, arch, parts in (
        ("head", "qwen35", [TRUNK, HEAD]),
        ("first", "qwen35", [HEAD, TRUNK]),
        ("none", "qwen35", [TRUNK, ("output.weight",)]),
        ("dspark", "dflash", [("fc.weight",), ("markov_w1.weight",)]),
    ):
        (tmp_path / name).mkdir()
        header = facts(split(tmp_path / name, arch, parts, 1), tmp_path / "cache").header
        made[name] = (header.heads, header.draft_kind)
    # The part with the head and without the trunk is no file of heads.
    assert made == {
        "head": (1, "draft"),
        "first": (1, "draft"),
        "none": (0, "draft"),
        "dspark": (0, "dspark"),
    }


def test_the_lock_keeps_them_and_an_older_one_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "m.gguf", "qwen35", (*TRUNK, *HEAD), nextn=2)
    lock, found = tmp_path / "lock.json", facts(path, tmp_path / "cache")
    WeightsLock.load(lock).updated("m.gguf", found).save()
    assert WeightsLock.load(lock).get("m.gguf") == found
    assert found.header.heads == 2

    raw = json.loads(lock.read_text())
    entry = raw["weights"]["m.gguf"]
    for key in ("nextn_layers", "nextn_tensors", "draft_kind"):
        del entry["facts"]["header"][key]
    raw["weights"]["m.gguf"] = sealed({"path": "m.gguf", "facts": entry["facts"]})
    lock.write_text(json.dumps(raw))
    older = WeightsLock.load(lock).get("m.gguf")
    assert older is not None and older.fingerprint == found.fingerprint
    assert older.header.nextn_layers is None and older.header.heads == 0
    # It does not know of heads: the entry's word stands, as without a file.
    says = model(architecture="qwen35", nextn_predict_layers=1)
    for entry_heads, known, heads in ((says, older, 1), (says, found, 2), (model(), older, 0)):
        assert traits_of(entry_heads, known).heads == heads
    left = {i.mode: i.reason for i in expand_modes(model(), {}, traits_of(model(), older)).left_out}
    assert "no model.nextn_predict_layers" in left["mtp_*"]


def test_the_files_heads_are_planned_whatever_the_entry_says(tmp_path: Path) -> None:
    path = write(tmp_path / "m.gguf", "qwen35", (*TRUNK, *HEAD), nextn=1)
    with_head = facts(path, tmp_path / "cache")
    without = facts(write(tmp_path / "n.gguf", "qwen35", TRUNK, nextn=1), tmp_path / "cache")
    for said in (None, 1, 3):
        entry = model(architecture="qwen35", nextn_predict_layers=said)
        names = {m.name for m in expand_modes(entry, {}, traits_of(entry, with_head)).modes}
        assert {"mtp_k2", "mtp_k4_ngram_mod"} <= names
        names = {m.name for m in expand_modes(entry, {}, traits_of(entry, without)).modes}
        assert not [name for name in names if "mtp" in name] and "lookup_n3" in names


# --- what the entry says, against the file ---

FILE_DECIDES = "; if the file is known, the modes follow it, else the entry"


@pytest.mark.parametrize(
    ("said", "fact", "shown", "remedy"),
    [
        ({"nextn_predict_layers": 3}, "nextn_predict_layers", "1", "write nextn_predict_layers: 1"),
        ({"baseline_experts": 4}, "baseline_experts", "8", "write baseline_experts: 8"),
        ({"architecture": "moe"}, "architecture", "qwen35moe (recurrent)", "write architecture: "
         "qwen35moe"),
        ({"architecture": "dense"}, "architecture", "qwen35moe (recurrent)", "write architecture: "
         "qwen35moe"),
    ],
)  # fmt: skip
def test_a_contradiction_says_what_to_do(
    tmp_path: Path, said: dict[str, object], fact: str, shown: str, remedy: str
) -> None:
    path = write(
        tmp_path / "m.gguf", "qwen35moe", (*TRUNK, *HEAD), 1, expert_count=64, expert_used_count=8
    )
    found = facts(path, tmp_path / "cache")
    agreed = {"architecture": "qwen35moe", "quant": "F32", "baseline_experts": 8}
    agreed |= {"nextn_predict_layers": 1, "size_gb": found.size_bytes / 1e9}
    assert not contradictions(model(**agreed), found)
    (finding,) = contradictions(model(**{**agreed, **said}), found)
    assert (finding.fact, finding.file) == (fact, shown)
    assert finding.remedy == remedy + FILE_DECIDES


def test_what_the_file_does_not_have_is_to_be_taken_out(tmp_path: Path) -> None:
    found = facts(write(tmp_path / "m.gguf", "llama", TRUNK, nextn=1), tmp_path / "cache")
    entry = model(
        quant="F32", size_gb=found.size_bytes / 1e9, baseline_experts=8, nextn_predict_layers=1
    )
    told = {f.fact: (f.file, f.remedy) for f in contradictions(entry, found)}
    assert told == {
        "baseline_experts": ("no experts", "take baseline_experts out" + FILE_DECIDES),
        "nextn_predict_layers": (
            "0 (its metadata names 1, it has no tensors of them)",
            "take nextn_predict_layers out" + FILE_DECIDES,
        ),
    }


def test_add_proposes_and_validate_warns(tmp_path: Path) -> None:
    path = write(
        tmp_path / "m.gguf", "qwen35moe", (*TRUNK, *HEAD), 1, expert_count=64, expert_used_count=8
    )
    registry, config = tmp_path / "registry.yaml", tmp_path / "mine.yaml"
    registry.write_text(
        "roles:\n  said:\n    tier: C\n    description: x\n    candidate_roles: [general]\n"
        f"    model: {{name: Q, path: {path}, quant: F32, size_gb: 0.000001, architecture: dense, "
        "nextn_predict_layers: 2}\n"
    )
    config.write_text(f"registry: {registry}\n")
    added = call("scripts.registry", "--configfile", config, "add", path, "--key", "new", "--yes")
    assert added.returncode == 0, added.stderr
    new = load_registry(registry).models["new"]
    assert (new.architecture, new.nextn_predict_layers, new.baseline_experts) == ("qwen35moe", 1, 8)
    done = call("scripts.validate", "--registry", registry, "--model", "said")
    assert done.returncode == 0
    for told in ("architecture: qwen35moe", "nextn_predict_layers: 1"):
        assert f"warning: roles.said: write {told}{FILE_DECIDES}" in done.stderr
    agreed = call("scripts.validate", "--registry", registry, "--model", "new", "--strict")
    assert "warning: roles.new" not in agreed.stderr
