"""The lengths of prompts in tokens: counted and stored per vocabulary, else estimated.

`orchestration/prompt_lengths.json` maps a vocabulary (the digest of its token texts) and a question
(with its number of characters, so that another text is not mistaken for it) to tokens. So it does
for the prose that stands before questions at a depth (`PROSE`). It is written by `scripts.prompts
lengths --lock`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from scripts.lib.base.errors import BenchError, Problem
from scripts.lib.base.safe_files import write_atomic
from scripts.lib.prompts.contexts.generator import estimated_tokens
from scripts.lib.prompts.contexts.prose import CHARACTERS_PER_TOKEN, prose
from scripts.lib.prompts.types import Question

FILE = Path("orchestration/prompt_lengths.json")
# The most tokens that the chat template and the system text add; the count does not include them.
TEMPLATE_TOKENS = 64
# The most tokens that the template adds to one earlier message of a chat.
TURN_TOKENS = 16
# The lengths in characters at which the prose is counted, and their keys in the file. Between two
# of them it has nearly the same number of characters per token: its words are drawn at random.
PROSE = {f"prose@{1000 << step}": 1000 << step for step in range(10)}

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
    if question.depth is not None:
        return question.depth.tokens + prompt_tokens(question.without_depth, vocabulary, lengths)
    counted = lengths.get(vocabulary, {}).get(name_of(question))
    if counted is not None:
        return counted
    kind = question.context.kind if question.context is not None else "document"
    return estimated_tokens(_text(question), kind)


def how_counted(question: Question, vocabulary: str, lengths: Lengths) -> str:
    """What a message adds to a length: how to count it where it is estimated, else nothing."""
    counted = name_of(question.without_depth) in lengths.get(vocabulary, {})
    return "" if counted else ", by estimate (scripts.prompts lengths counts)"


def is_prose_counted(vocabulary: str, lengths: Lengths) -> bool:
    """True where the length of prose in tokens is known of this vocabulary, not estimated."""
    return lengths.get(vocabulary, {}).keys() >= PROSE.keys()


def prose_characters(tokens: int, vocabulary: str, lengths: Lengths) -> int:
    """How many characters of prose have so many tokens of this vocabulary."""
    if not is_prose_counted(vocabulary, lengths):
        return round(tokens * CHARACTERS_PER_TOKEN)
    below_tokens, below = 0, 0
    for name, characters in PROSE.items():
        here_tokens = lengths[vocabulary][name]
        if here_tokens >= tokens:
            share = (tokens - below_tokens) / max(here_tokens - below_tokens, 1)
            return round(below + share * (characters - below))
        below_tokens, below = here_tokens, characters
    return round(tokens * below / max(below_tokens, 1))


def count(weights: Path, questions: Iterable[Question]) -> Mapping[str, int]:
    """Question, and PROSE -> tokens by the model's own tokenizer.

    Raises BenchError where it cannot load.
    """
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
    texts = {name_of(q): _text(q) for q in questions}
    texts |= {name: prose(characters) for name, characters in PROSE.items()}
    return {
        name: len(model.tokenize(text.encode(), add_bos=False, special=True))
        for name, text in texts.items()
    }


def store(vocabulary: str, counted: Mapping[str, int], file: Path = FILE) -> None:
    """Add the counts of one vocabulary to the file, which is sorted; other counts are kept."""
    known = {name: dict(found) for name, found in read_lengths(file).items()}
    known[vocabulary] = {**known.get(vocabulary, {}), **counted}
    write_atomic(file, json.dumps(known, indent=1, sort_keys=True) + "\n")
