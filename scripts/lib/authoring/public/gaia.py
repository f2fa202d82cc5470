"""GAIA: questions to an assistant, some with a file.

The model gets texts and pictures; it has no tools here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from scripts.lib.authoring.public.rows import Item, LeftOut, Row, identifier, json_lines, question

_SYSTEM = (
    'Think it through, and end with a last line "FINAL ANSWER: …": a number, or as few words as '
    "possible, or a list of them with commas between. In numbers write no commas, and no units or "
    "signs such as $ and % unless they are asked for. In texts write no articles and no "
    "abbreviations, and digits as digits, unless something else is asked for. In a list these "
    "rules hold for every item."
)
# The text of these files goes into the prompt; the pictures are sent as images.
TEXT_KINDS = frozenset(
    (".txt", ".csv", ".tsv", ".py", ".json", ".jsonl", ".jsonld", ".xml", ".html", ".md", ".pdb")
)
PICTURE_KINDS = frozenset((".png", ".jpg", ".jpeg"))


def _attached(row: Row) -> tuple[str, list[str]] | str:
    """(what comes before the question, images) of a question's file, or why it cannot be given."""
    name = row.raw.get("file_name") or ""
    if not isinstance(name, str) or (name and Path(name).name != name):
        raise row.problem("file_name", "the name of a file beside metadata.jsonl, or nothing")
    if not name:
        return "", []
    file, kind = row.file.parent / name, Path(name).suffix.lower()
    if kind not in TEXT_KINDS | PICTURE_KINDS:
        return f"models get no {kind or 'nameless'} files here"
    if not file.is_file():
        return "the attached file is not beside metadata.jsonl"
    if kind in PICTURE_KINDS:
        return "", [str(file.absolute())]
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        return "the attached text is not UTF-8"
    return f"The file {name}:\n\n{text.strip()}\n\n", []


def _item(row: Row) -> Item | LeftOut:
    task, answer = row.text("task_id"), str(row.value("Final answer")).strip()
    attached = _attached(row)
    if isinstance(attached, str):
        return LeftOut(f"{task} ({row.raw['file_name']})", attached)
    if answer in ("", "?"):
        return LeftOut(task, "the answer is not published")
    before, images = attached
    body = question(
        prompt=f"{before}{row.text('Question').strip()}",
        expected=answer,
        reference=f"FINAL ANSWER: {answer}",
        criterion="the final answer",
        check={"type": "gaia", "value": answer},
    )
    first = {"system": _SYSTEM, **({"images": images} if images else {})}
    return Item(identifier(task), row.place, row.number("Level", 1, 3), first | body)


def read_gaia(path: Path) -> Iterator[Item | LeftOut]:
    """The tier is the level. `file_name` is beside metadata.jsonl, or empty."""
    yield from map(_item, json_lines(path, "metadata.jsonl"))
