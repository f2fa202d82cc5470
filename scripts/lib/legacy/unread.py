"""Names the kind of a file that holds neither a run nor a run's scores."""

from __future__ import annotations

import json
import re
from pathlib import PurePosixPath

from scripts.lib.legacy.reviews import FORMS, QUESTION, columns_of

# What coreutils' timeout, or the shell, writes instead of a program's output.
_NOT_STARTED = re.compile(
    r"^(?:timeout|env|nohup|numactl|bash|sh): .*(?:failed to run|not found|No such file)", re.M
)
_SHORT_LOG = 1000
# A column or a row named like a question: t2_q1_multistep.
_QUESTION_NAME = re.compile(r"t\d_q\d+(?:_\w+)?")


def _named(path: str, pattern: str) -> bool:
    return PurePosixPath(path.lower()).match(pattern)


def is_compilation(path: str) -> bool:
    """True if the file's name says that it holds answers of several runs."""
    return _named(path, "*_responses*.json")


def _json_lines(content: str) -> str:
    lines = [line for line in content.splitlines() if line.strip()]
    try:
        first = json.loads(lines[0])
        keys = ", ".join(map(str, first)) if isinstance(first, dict) else "none"
    except (ValueError, RecursionError):
        keys = "the first line is not JSON"
    return f"{len(lines)} lines, keys {keys[:100]}"


def _why_not_a_review(path: str, content: str) -> str:
    columns, shown = columns_of(content), f"columns {content.splitlines()[0][:100]}"
    scores = sum("score" in name for name in columns)
    if _named(path, "orchestrator_*.csv"):
        return f"scores of the orchestrator, which is not a model in a decoding mode: {shown}"
    if "model" in columns:
        return f"a table of several models, not the scores of one run: {shown}"
    if any(map(_QUESTION_NAME.fullmatch, columns)) or (QUESTION in columns and scores > 1):
        return f"a wide table, not one score per line: {shown}"
    expected = f"{','.join(FORMS[0])} or question_id,score,reason"
    return f"not a review: {shown}; expected {expected}"


def why_not_read(path: str, content: str) -> str:
    """The reason why a file was not read: it holds no run, no review and no log of an answer."""
    is_log = not path.endswith(".json") and len(content) <= _SHORT_LOG
    if is_log and _NOT_STARTED.search(content):
        return f"log of a command that did not start, without an answer: {content.strip()[:120]}"
    if _named(path, "*.jsonl"):
        if "feature_validation" in path.lower():
            what = "tests of the orchestrator's features, not of a model in a decoding mode"
        else:
            what = "JSON lines; a run is one JSON object per file"
        return f"{what}: {_json_lines(content)}"
    if is_compilation(path):
        return "answers collected from several runs, which are read from their own files"
    if path.endswith(".csv"):
        return _why_not_a_review(path, content)
    return "unknown format"
