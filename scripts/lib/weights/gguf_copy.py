"""What the makers of demo models share: a dense llama as the original, and its metadata."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scripts.lib.base.errors import BenchError

DENSE_LLAMA = "llama"


def open_dense_llama(original: Path, purpose: str) -> Any:
    """A GGUFReader of the file. Raises BenchError for any model but a dense llama."""
    from gguf import GGUFReader

    reader = GGUFReader(original)
    arch = reader.fields["general.architecture"].contents()
    if arch != DENSE_LLAMA or f"{DENSE_LLAMA}.expert_count" in reader.fields:
        raise BenchError(
            f"{original}: {purpose} expects a dense model of architecture llama, found '{arch}'"
        )
    return reader


def copy_metadata(reader: Any, writer: Any, architecture: str, left_out: tuple[str, ...]) -> None:
    """Copy the keys; those of the architecture get the new architecture's name.

    `left_out`: keys of the architecture (such as `block_count`) that the caller writes.
    """
    from gguf.constants import GGUFValueType, Keys

    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name == Keys.General.ARCHITECTURE:
            continue
        name = field.name
        if name.startswith(f"{DENSE_LLAMA}."):
            key = name.removeprefix(f"{DENSE_LLAMA}.")
            if key in left_out:
                continue
            name = f"{architecture}.{key}"
        kind = field.types[0]
        inner = field.types[-1] if kind == GGUFValueType.ARRAY else None
        writer.add_key_value(name, field.contents(), kind, sub_type=inner)


def write(writer: Any) -> None:
    """Write the file whose keys and tensors were added."""
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
