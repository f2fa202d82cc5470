"""Finds the files of a question's images, also if they were moved after the suite was written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from scripts.lib.base.yaml_fields import Fields
from scripts.lib.prompts.types import Suite, is_readable_file
from scripts.lib.settings.run_config import ANY, ImageRoots


def written_images(entry: Fields) -> tuple[str, ...]:
    """Image files: in the folder of the suite's file if they are there, else as written."""
    folder, made = Path(entry.file.file).parent, []
    # An empty path means that there is no image.
    single = entry.texts("image_path", empty=False) if entry.raw.get("image_path") != "" else ()
    for name in (*entry.texts("images", empty=False), *single):
        is_beside = os.access(folder / name, os.F_OK)
        made.append(name if not is_beside and os.access(name, os.F_OK) else str(folder / name))
    return tuple(made)


def _candidates(image: Path, roots: ImageRoots) -> Iterator[Path]:
    """The paths where the image may be now.

    For a prefix: the rest of the path, in the prefix's folder. For ANY: each end of the path in its
    folder, the longest one first.
    """
    for prefix, folder in roots:
        if prefix == ANY:
            parts = image.parts[1:] if image.is_absolute() else image.parts
            yield from (Path(folder, *parts[start:]) for start in range(len(parts)))
        elif image.is_relative_to(prefix):
            yield Path(folder, image.relative_to(prefix))


def found_image(image: str, roots: ImageRoots) -> str:
    """The image as written if it exists, else the first file that is found by the roots."""
    if is_readable_file(image):
        return image
    return next(
        (str(file) for file in _candidates(Path(image), roots) if is_readable_file(file)), image
    )


def with_found_images(suite: Suite, roots: ImageRoots) -> Suite:
    """The same suite, with images found by the roots."""
    questions = (
        replace(question, images=tuple(found_image(image, roots) for image in question.images))
        for question in suite.questions
    )
    return replace(suite, questions=tuple(questions))
