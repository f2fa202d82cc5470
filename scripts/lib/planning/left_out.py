"""What a plan leaves out: a model, some of its modes, or a question."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from scripts.lib.base.globs import matches


class MissingWeights(StrEnum):
    """Why a model's weights cannot be used, as a heading for several models."""

    ABSENT = "weights are not on this machine"
    UNREADABLE = "weights cannot be read"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """One thing left out, and the reason.

    `mode` is a mode or a pattern of modes (`*`: all of them). `question`: only that question is
    left out (None: the whole mode). `weights`: set if the model's weights are the reason.
    """

    model: str
    mode: str
    reason: str
    question: str | None = None
    weights: MissingWeights | None = None

    @property
    def is_model(self) -> bool:
        """True if the whole model is left out."""
        return self.mode == "*" and self.question is None

    @property
    def place(self) -> str:
        """The modes; if only a question is left out, with that: `* on math/t1_q1`."""
        return self.mode if self.question is None else f"{self.mode} on {self.question}"

    def covers(self, mode: str) -> bool:
        """True if this leaves out the mode. In `moe{E}_spec_*`, {E} stands for any count."""
        if self.question is not None or "*" not in self.mode:
            return self.question is None and self.mode == mode
        family = self.mode.removeprefix("moe{E}_")
        return matches(mode, (family, f"moe*_{family}"))
