"""The parts of a suite as frozen values: checks, criteria, questions. The loader fills them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from scripts.lib.base.errors import Problem
from scripts.lib.prompts.contexts.generator import ContextSpec, before_question, generate
from scripts.lib.prompts.contexts.prose import with_prose

# Between a question's id and its depth, as in `t1_q1_edit@d4096`. No id in a file may hold it.
DEPTH_MARK = "@d"


def depth_of(question_id: str) -> tuple[str, int]:
    """The id of the question in its suite, and the tokens of its depth."""
    name, _, tokens = question_id.partition(DEPTH_MARK)
    return name, int(tokens or 0)


@dataclass(frozen=True, slots=True)
class Check:
    """One machine check: its type and parameters."""

    type: str
    params: Mapping[str, Any]

    def __hash__(self) -> int:
        return hash((self.type, repr(sorted(self.params.items()))))


@dataclass(frozen=True, slots=True)
class Criterion:
    """One weighted criterion; weights add up to 100. Without checks it is unscored."""

    criterion: str
    weight: int
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True, slots=True)
class InferenceParams:
    """A suite's values for all its questions: temperature, most and least new tokens, seconds."""

    temperature: float | None = None
    max_tokens: int | None = None
    timeout_s: float | None = None
    min_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """One earlier message of a chat. `role` is `user` or `assistant`."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Depth:
    """Text before a question: so many tokens, which are so many characters of prose.

    The characters depend on the vocabulary (see `lengths.prose_characters`).
    """

    tokens: int
    characters: int


@dataclass(frozen=True, slots=True)
class Question:
    """One question. `tier` is 1 to 3, `max_tokens` the most new tokens.

    `context` makes the text that goes before the prompt. `depth` does so, too, for a question that
    was made from one of a suite (`at_depth`); its id ends in the depth. `turns` are the messages
    before it, which end with one of the assistant. `workload` names what kind of text the answer
    is. An answer that ends with fewer than `min_tokens` ended early.

    `inherited`: the suite's values, for what the question does not set. `whole`: checks of the
    whole answer. An answer that fails one of them gets no points; one that passes them gets the
    points of criteria that nothing else decides. `all_must_pass`: an answer that fails any check
    does not pass, whatever points it has. `carried`: keys and values that nothing acts on.
    """

    suite: str
    id: str
    tier: int
    name: str
    prompt: str
    expected: str = ""
    reference_answer: str = ""
    scoring: tuple[Criterion, ...] = ()
    system: str | None = None
    max_tokens: int | None = None
    min_tokens: int | None = None
    stop: tuple[str, ...] = ()
    turns: tuple[Turn, ...] = ()
    workload: str = ""
    images: tuple[str, ...] = ()
    temperature: float | None = None
    timeout_s: float | None = None
    context: ContextSpec | None = None
    inherited: InferenceParams = InferenceParams()
    whole: tuple[Check, ...] = ()
    all_must_pass: bool = False
    carried: tuple[tuple[str, str], ...] = ()
    depth: Depth | None = None

    @property
    def checks(self) -> tuple[Check, ...]:
        """Every machine check: of the criteria and of the whole answer."""
        return (*(check for criterion in self.scoring for check in criterion.checks), *self.whole)

    @property
    def checked_weight(self) -> int:
        """The weight of the criteria with machine checks, 0 to 100; 100 if `whole` decides all."""
        if self.whole:
            return 100
        return sum(criterion.weight for criterion in self.scoring if criterion.checks)

    @property
    def fully_checked(self) -> bool:
        """True if the machine checks score an answer without a judge."""
        return self.checked_weight == 100

    @property
    def name_in_full(self) -> str:
        """Suite and id: `math/t1_q1_apples`."""
        return f"{self.suite}/{self.id}"

    @property
    def least_tokens(self) -> int | None:
        """An answer with fewer tokens ended early. The question's value, else its suite's."""
        return self.inherited.min_tokens if self.min_tokens is None else self.min_tokens

    def at_depth(self, depth: Depth) -> Question:
        """The same question after a text of that depth."""
        return replace(self, id=f"{self.id}{DEPTH_MARK}{depth.tokens}", depth=depth)

    @property
    def without_depth(self) -> Question:
        """The suite's question that this one was made from; itself if it has no depth."""
        if self.depth is None:
            return self
        return replace(self, id=depth_of(self.id)[0], depth=None)

    @property
    def depth_tokens(self) -> int:
        """The tokens of text before the question; 0 for one of a suite."""
        return self.depth.tokens if self.depth is not None else 0

    def prompt_text(self) -> str:
        """The prompt exactly as sent: generated context first, then the question."""
        if self.depth is not None:
            return with_prose(self.depth.characters, self.prompt)
        if self.context is None:
            return self.prompt
        return before_question(self.context, _context(self.context), self.prompt)

    def with_turns(self, prompt: str) -> str:
        """The earlier messages and a prompt as one text, for lengths and for readers."""
        if not self.turns:
            return prompt
        said = ((turn.role, turn.content) for turn in (*self.turns, Turn("user", prompt)))
        return "\n\n".join(f"{role}: {content}" for role, content in said)


def lost_images(question: Question) -> tuple[str, ...]:
    """The question's images that do not exist or cannot be read."""
    return tuple(image for image in question.images if not is_readable_file(image))


def is_readable_file(path: str | Path) -> bool:
    """True for a file, or a link that leads to one."""
    return os.access(path, os.R_OK) and Path(path).is_file()


@lru_cache(maxsize=64)
def _context(spec: ContextSpec) -> str:
    return generate(spec)


@dataclass(frozen=True, slots=True)
class Suite:
    """One file of questions. `notices`: what is odd in it, but is no error."""

    name: str
    version: str
    domain: str
    description: str
    questions: tuple[Question, ...]
    notices: tuple[Problem, ...] = ()
