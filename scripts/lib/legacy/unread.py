"""Files of the archive that hold no run and no run's scores: what they are, and so why they are not read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

from scripts.lib.legacy.reviews import FORMS, QUESTION, columns_of

# What coreutils' timeout, or the shell, writes in the place of a program's output.
_NOT_STARTED = re.compile(
    r"^(?:timeout|env|nohup|numactl|bash|sh): .*(?:failed to run|not found|No such file)", re.M
)
_SHORT_LOG = 1000
# A column or a row's name of a question: t2_q1_multistep.
_QUESTION_NAME = re.compile(r"t\d_q\d+(?:_\w+)?")


@dataclass(frozen=True, slots=True)
class Form:
    """A known form: whether a file (path below the archive, content) has it, and the reason that is told of it."""

    fits: Callable[[str, str], bool]
    reason: Callable[[str], str]


def _named(path: str, pattern: str) -> bool:
    return PurePosixPath(path.lower()).match(pattern)


def is_compilation(path: str) -> bool:
    """True for a file that holds answers of several runs, by its name."""
    return _named(path, "*_responses*.json")


def _not_started(path: str, content: str) -> bool:
    return (
        not path.endswith(".json")
        and len(content) <= _SHORT_LOG
        and _NOT_STARTED.search(content) is not None
    )


def _json_lines(content: str) -> str:
    lines = [line for line in content.splitlines() if line.strip()]
    try:
        first = json.loads(lines[0])
        keys = ", ".join(map(str, first)) if isinstance(first, dict) else "none"
    except (ValueError, RecursionError):
        keys = "the first line is no JSON"
    return f"{len(lines)} lines, keys {keys[:100]}"


def _columns(content: str) -> str:
    return content.splitlines()[0][:100]


def _is_wide(content: str) -> bool:
    """True where questions are columns, or several columns are scores."""
    columns = columns_of(content)
    questions = sum(_QUESTION_NAME.fullmatch(name) is not None for name in columns)
    return questions > 0 or (QUESTION in columns and sum("score" in name for name in columns) > 1)


FORMS_NOT_READ = (
    Form(
        _not_started,
        lambda content: (
            f"log of a command that did not start, without an answer: {content.strip()[:120]}"
        ),
    ),
    Form(
        lambda path, _: _named(path, "*.jsonl") and "feature_validation" in path.lower(),
        lambda content: (
            f"tests of the orchestrator's features, not of a model in a decoding mode: {_json_lines(content)}"
        ),
    ),
    Form(
        lambda path, _: _named(path, "*.jsonl"),
        lambda content: f"JSON lines, where a run is one JSON file: {_json_lines(content)}",
    ),
    Form(
        lambda path, _: is_compilation(path),
        lambda _: (
            "answers compiled out of several runs, which are read themselves: it is no run of one model and mode"
        ),
    ),
    Form(
        lambda path, _: _named(path, "orchestrator_*.csv"),
        lambda content: (
            f"scores of the orchestrator, which is no model in a decoding mode: columns {_columns(content)}"
        ),
    ),
    Form(
        lambda path, content: path.endswith(".csv") and "model" in columns_of(content),
        lambda content: (
            f"a table over several models, not one run's scores: columns {_columns(content)}"
        ),
    ),
    Form(
        lambda path, content: path.endswith(".csv") and _is_wide(content),
        lambda content: (
            f"a wide table, not one run's scores line by line: columns {_columns(content)}"
        ),
    ),
    Form(
        lambda path, _: path.endswith(".csv"),
        lambda content: (
            f"is no review: columns {_columns(content)}; expected {','.join(FORMS[0])} or question_id,score,reason"
        ),
    ),
)


def why_not_read(path: str, content: str) -> str:
    """The reason for a file that neither a run nor a review nor a log of an answer was found in."""
    known = next((form for form in FORMS_NOT_READ if form.fits(path, content)), None)
    return known.reason(content) if known is not None else "has no form that is known here"
