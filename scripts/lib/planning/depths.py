"""Questions at a depth: the same ones, after so many tokens of prose.

A question at a depth is a question like any other, with an id of its own (`t1_q1_edit@d4096`), so
that nothing after planning has to know of depths.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from scripts.lib.planning.sampling import sample_by_workload
from scripts.lib.prompts.types import Depth, Question
from scripts.lib.settings.run_config import Config

# The text has as many tokens as the depth says, within this share of it, or within the other one
# where the model's vocabulary was not counted.
COUNTED_SHARE, ESTIMATED_SHARE = 0.02, 0.25
# A depth that is cut to the context is a multiple of this: models of about the same context then
# have the same depths.
STEP_TOKENS = 256


@dataclass(frozen=True, slots=True)
class CutDepth:
    """A depth that does not fit the context. `tokens`: the one planned instead (0: none)."""

    suite: str
    wanted_tokens: int
    tokens: int
    room_tokens: int

    @property
    def place(self) -> str:
        """The questions that are left out."""
        return f"{self.suite} at depth {self.wanted_tokens}"

    @property
    def reason(self) -> str:
        """Why they are left out."""
        instead = f"asked at {self.tokens} instead" if self.tokens else "no depth fits"
        return f"the context has room for {self.room_tokens} tokens before a question: {instead}"


@dataclass(frozen=True, slots=True)
class DeepQuestions:
    """Questions at the depths above 0, the least depth first, and the depths that were cut."""

    questions: tuple[Question, ...] = ()
    cut: tuple[CutDepth, ...] = ()


def sample_of_workloads(
    questions: Iterable[Question], count: int, seed: int
) -> tuple[Question, ...]:
    """`count` questions of each workload of each suite.

    Left out are those without a workload, and those that come after another text or with an image.
    """
    fitting = (q for q in questions if q.workload and q.context is None and not q.images)
    return sample_by_workload(fitting, count, seed)


def _fitted(
    suite: str, depths: Iterable[int], room_tokens: int, share: float
) -> Iterator[int | CutDepth]:
    """Each depth above 0 that fits, or what becomes of it."""
    most = max(int(room_tokens / (1 + share)), 0)
    for depth in filter(None, depths):
        if depth <= most:
            yield depth
        else:
            cut = most // STEP_TOKENS * STEP_TOKENS
            yield CutDepth(suite, depth, cut, max(room_tokens, 0))


def at_depths(
    questions: Sequence[Question],
    depths: Sequence[int],
    room_tokens: Mapping[str, int],
    characters_of: Callable[[int], int],
    is_counted: bool,
) -> DeepQuestions:
    """The questions at each depth that fits; one that does not is cut to the largest that does.

    `room_tokens`: by suite, what each of its questions with its answer leaves of the context.
    `characters_of`: the characters of so many tokens of prose, which were counted or are estimated.
    """
    made: list[Question] = []
    cut: list[CutDepth] = []
    share = COUNTED_SHARE if is_counted else ESTIMATED_SHARE
    for suite in dict.fromkeys(question.suite for question in questions):
        found = list(_fitted(suite, depths, room_tokens[suite], share))
        cut += (depth for depth in found if isinstance(depth, CutDepth))
        fitting = {depth if isinstance(depth, int) else depth.tokens for depth in found}
        made += (
            question.at_depth(Depth(tokens, characters_of(tokens)))
            for tokens in fitting - {0}
            for question in questions
            if question.suite == suite
        )
    return DeepQuestions(tuple(sorted(made, key=lambda q: q.depth_tokens)), tuple(cut))


def depths_in_vain(config: Config, found: Iterable[DeepQuestions]) -> Iterator[str]:
    """What to do where depths are asked for and no selected question has a workload."""
    if any(config.depths) and not any(deep.questions or deep.cut for deep in found):
        yield (
            "config: depths: no selected question has a workload, so nothing is asked at a depth; "
            "name a suite that has some, as in suites: [workload]"
        )
