"""What a plan leaves out: a model, some of its modes, or a question."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from scripts.lib.base.globs import matches


class MissingWeights(StrEnum):
    """Why the weights of a model cannot be planned with, as a heading for several models."""

    ABSENT = "weights are not on this machine"
    UNREADABLE = "weights cannot be read"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """One thing left out, and the reason.

    `mode` is a mode or a pattern of modes (`*`: all of them). `question`: only that question is
    left out (None: the whole mode). `weights`: set where the model's weights are the reason.
    """

    model: str
    mode: str
    reason: str
    question: str | None = None
    weights: MissingWeights | None = None

    @property
    def is_model(self) -> bool:
        """True where the whole model is left out."""
        return self.mode == "*" and self.question is None

    @property
    def place(self) -> str:
        """The modes, with the question where only one is left out: `* on math/t1_q1`."""
        return self.mode if self.question is None else f"{self.mode} on {self.question}"

    def covers(self, mode: str) -> bool:
        """True where this leaves out the mode. The pattern `moe{E}_spec_*` stands for any count."""
        if self.question is not None or "*" not in self.mode:
            return self.question is None and self.mode == mode
        family = self.mode.removeprefix("moe{E}_")
        return matches(mode, (family, f"moe*_{family}"))
