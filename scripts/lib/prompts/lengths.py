"""The lengths of prompts in tokens: counted and stored per vocabulary, else estimated.

`orchestration/prompt_lengths.json` maps a vocabulary (the digest of its token texts) and a question
(with its number of characters, so that a changed text is counted again) to tokens. It is written by
`scripts.prompts lengths --lock`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from scripts.lib.base.errors import BenchError, Problem
from scripts.lib.base.safe_files import write_atomic
from scripts.lib.prompts.contexts.generator import estimated_tokens
from scripts.lib.prompts.types import Question

FILE = Path("orchestration/prompt_lengths.json")
# The most tokens that the chat template and the system text add; the count does not include them.
TEMPLATE_TOKENS = 64
# The most tokens that the template adds to one earlier message of a chat.
TURN_TOKENS = 16

Lengths = Mapping[str, Mapping[str, int]]


def name_of(question: Question) -> str:
    """The question's key in the file: `suite/id@characters`."""
    return f"{question.name_in_full}@{len(_text(question))}"


def _text(question: Question) -> str:
    return question.with_turns(question.prompt_text())


def template_tokens(question: Question) -> int:
    """The most tokens that the chat template adds to the count."""
    return TEMPLATE_TOKENS + TURN_TOKENS * len(question.turns)


def _tokens(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"expected a whole number of tokens, found {value!r}")
    return value


def read_lengths(file: Path = FILE) -> Lengths:
    """Vocabulary -> question -> tokens; empty without a file. Raises BenchError for damage."""
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        return {
            vocabulary: {q: _tokens(n) for q, n in found.items()}
            for vocabulary, found in raw.items()
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        said = error.strerror if isinstance(error, OSError) else error
        raise BenchError(
            f"{file}: expected {{vocabulary: {{question: tokens}}}} ({said}); restore it from git, "
            "or delete it and count again"
        ) from error


def lengths_for_planning(file: Path = FILE) -> tuple[Lengths, tuple[Problem, ...]]:
    """The counts, and what is wrong with their file. If it is damaged, lengths are estimated."""
    try:
        return read_lengths(file), ()
    except BenchError as error:
        return {}, (Problem("", "", f"{error}. Until then, lengths are estimated"),)


def prompt_tokens(question: Question, vocabulary: str, lengths: Lengths) -> int:
    """The prompt's length in tokens without the template: counted, else estimated."""
    counted = lengths.get(vocabulary, {}).get(name_of(question))
    if counted is not None:
        return counted
    kind = question.context.kind if question.context is not None else "document"
    return estimated_tokens(_text(question), kind)


def how_counted(question: Question, vocabulary: str, lengths: Lengths) -> str:
    """For messages: how to count the length if it is estimated; else empty."""
    counted = name_of(question) in lengths.get(vocabulary, {})
    return "" if counted else ", by estimate (scripts.prompts lengths counts)"


def count(weights: Path, questions: Iterable[Question]) -> Mapping[str, int]:
    """Question -> tokens by the model's own tokenizer. Raises BenchError if it cannot load."""
    from scripts.lib.llama_build.build import activate

    activate()
    from llama_cpp import Llama

    from scripts.lib.llama_build.log import EngineLog

    log = EngineLog()
    try:
        model = Llama(str(weights), vocab_only=True, verbose=False)
    except ValueError as error:
        raise BenchError(
            f"{weights}: its vocabulary cannot be loaded: {log.last_words()}"
        ) from error
    return {
        name_of(q): len(model.tokenize(_text(q).encode(), add_bos=False, special=True))
        for q in questions
    }


def store(vocabulary: str, counted: Mapping[str, int], file: Path = FILE) -> None:
    """Add the counts of one vocabulary to the file, which is sorted; other counts are kept."""
    known = {name: dict(found) for name, found in read_lengths(file).items()}
    known[vocabulary] = {**known.get(vocabulary, {}), **counted}
    write_atomic(file, json.dumps(known, indent=1, sort_keys=True) + "\n")
