"""GAIA: questions to an assistant, some with a file. The model gets texts and pictures; it has no tools here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scripts.lib.authoring.public.rows import (
    Benchmark,
    Item,
    LeftOut,
    Row,
    identifier,
    json_lines,
    one,
)

_SYSTEM = (
    'Think it through, and end with a last line "FINAL ANSWER: …": a number, or as few words as possible, or a list of them '
    "with commas between. In numbers write no commas, and no units or signs such as $ and % unless they are asked for. "
    "In texts write no articles and no abbreviations, and digits as digits, unless something else is asked for. "
    "In a list these rules hold for every item."
)
# Kinds of files whose text goes into the prompt, and those that are sent as pictures.
TEXT_KINDS = frozenset(
    (".txt", ".csv", ".tsv", ".py", ".json", ".jsonl", ".jsonld", ".xml", ".html", ".md", ".pdb")
)
PICTURE_KINDS = frozenset((".png", ".jpg", ".jpeg"))


def _attached(row: Row, folder: Path) -> dict[str, Any] | str:
    """What a question's file adds to its body (`prompt` is put before it); a text says why it cannot be given."""
    name = row.raw.get("file_name") or ""
    if not isinstance(name, str) or (name and Path(name).name != name):
        raise row.problem("file_name", "the name of a file beside metadata.jsonl, or nothing")
    if not name:
        return {}
    file, kind = folder / name, Path(name).suffix.lower()
    if kind not in TEXT_KINDS | PICTURE_KINDS:
        return f"a model here is given no {kind or 'nameless kind of'} files"
    if not file.is_file():
        return "the attached file is not beside metadata.jsonl"
    if kind in PICTURE_KINDS:
        return {"images": [str(file.absolute())]}
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        return "the attached text is not UTF-8"
    return {"prompt": f"The file {name}:\n\n{text.strip()}\n\n"}


def _question(row: Row) -> Item | LeftOut:
    task, answer = row.text("task_id"), str(row.value("Final answer")).strip()
    added = _attached(row, row.file.parent)
    if isinstance(added, str):
        return LeftOut(f"{task} ({row.raw['file_name']})", added)
    if answer in ("", "?"):
        return LeftOut(task, "the answer is not published")
    body = {
        "system": _SYSTEM,
        **added,
        "prompt": f"{added.get('prompt', '')}{row.text('Question').strip()}",
        "expected": answer,
        "reference_answer": f"FINAL ANSWER: {answer}",
        "scoring": one("the final answer", {"type": "gaia", "value": answer}),
    }
    return Item("gaia", identifier(task), row.place, row.number("Level", 1, 3), body)


def read_gaia(path: Path) -> Iterator[Item | LeftOut]:
    """`task_id`, `Question`, `Level` (the tier), `Final answer`, `file_name` (beside metadata.jsonl, or empty)."""
    yield from map(_question, json_lines(path, "metadata.jsonl"))


ROWS: Mapping[str, Benchmark] = {
    "gaia": Benchmark(
        "2023/validation with metadata.jsonl (task_id, Question, Level, Final answer, file_name) and the files it names",
        read_gaia,
        "GAIA, gated: not to be shared again",
    ),
}
