"""The judge's question on two answers to one question, and the decision that its reply means.

For each criterion the judge says which answer meets it better, with a quotation. Code adds up the
weights, so the judge itself never names a winner. Each pair is shown in both orders.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from scripts.lib.base.stored_json import digest
from scripts.lib.scoring.judge_prompt import (
    HEAD_CHARACTERS,
    REASON_CHARACTERS,
    TAIL_CHARACTERS,
    Asked,
    Material,
    is_evidence,
    mark_of,
    no_evidence,
    numbered,
    read_reply,
)
from scripts.lib.scoring.rubric import CriterionScore, QuestionScore

# Increase it if replies are decided differently: a new series of verdicts then begins.
PAIR_SCORING_VERSION = 1
# A decision as a verdict's score: half points for the first answer.
FIRST_BETTER, TIE, SECOND_BETTER = 2, 1, 0
POINTS = {"first": 1.0, "equal": 0.5, "second": 0.0}

PAIR_SYSTEM = (Path(__file__).parent / "pair_system.md").read_text(encoding="utf-8").strip()

PAIR_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["criteria", "summary"],
    "properties": {
        "criteria": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["number", "evidence_quote", "reason", "better"],
                "properties": {
                    "number": {"type": "integer"},
                    "evidence_quote": {"type": "string"},
                    "reason": {"type": "string"},
                    "better": {"type": "string", "enum": list(POINTS)},
                },
            },
        },
        "summary": {"type": "string"},
    },
}

PAIR_TEMPLATE = """\
<question-{mark}>
{question}
</question-{mark}>
<reference-{mark}>
{reference}
</reference-{mark}>
<criteria-{mark}>
{criteria}
</criteria-{mark}>
<first-answer-{mark}>
{first}
</first-answer-{mark}>
<second-answer-{mark}>
{second}
</second-answer-{mark}>
{note}Compare the two answers between the markers {mark}."""


def pair_prompt_identity() -> str:
    """Digest of instructions, template and schema: other texts are another judge."""
    texts = [PAIR_SYSTEM, PAIR_TEMPLATE, PAIR_SCHEMA, HEAD_CHARACTERS, TAIL_CHARACTERS]
    return digest(texts)


@dataclass(frozen=True)
class AnswerPair(Asked):
    """Two answers to one question, in the order in which a judge sees them (see `Material`)."""

    system: ClassVar[str] = PAIR_SYSTEM
    schema: ClassVar[dict[str, Any]] = PAIR_SCHEMA

    first: str
    second: str
    first_truncated: bool
    second_truncated: bool

    def user_prompt(self, verdict_digest: str) -> str:
        """The text of the request; the mark follows from the verdict's digest."""
        cut = {"first": self.first_truncated, "second": self.second_truncated}
        return PAIR_TEMPLATE.format(
            mark=mark_of(verdict_digest),
            question=self.question,
            reference=self.reference,
            criteria=numbered(self.criteria),
            first=self.first,
            second=self.second,
            note="".join(
                f"The {name} answer was cut off at its length limit.\n"
                for name, is_cut in cut.items()
                if is_cut
            ),
        )

    def score(self, content: str) -> QuestionScore:
        """The decision of a reply as a score: FIRST_BETTER, TIE or SECOND_BETTER.

        Raises Malformed; see `read_reply`.
        """
        reply, items = read_reply(PAIR_SCHEMA, self.criteria, content)
        pairs = zip(items, self.criteria, strict=True)
        criteria = tuple(self._criterion(item, criterion) for item, criterion in pairs)
        summary = " ".join(reply["summary"].split())[:REASON_CHARACTERS]
        invented = next((c.reason for c in criteria if c.points is None), None)
        if invented is not None:
            return QuestionScore(criteria, unscored=invented, summary=summary)
        lead = sum(c.weight * ((c.points or 0.0) - 0.5) for c in criteria)
        decision = TIE if not lead else FIRST_BETTER if lead > 0 else SECOND_BETTER
        return QuestionScore(criteria, summary=summary, least=decision, most=decision)

    def _criterion(self, item: dict[str, Any], criterion: tuple[str, int]) -> CriterionScore:
        points: float | None = POINTS[item["better"]]
        quote = item["evidence_quote"].strip()
        reason = " ".join(item["reason"].split())[:REASON_CHARACTERS]
        answers = (self.first, self.second)
        if item["better"] != "equal" and not is_evidence(quote, *answers):
            points, reason = None, no_evidence(quote, *answers)
        return CriterionScore(*criterion, points, reason, quote[:REASON_CHARACTERS])


def answer_pair(first: Material, second: Material) -> AnswerPair:
    """Two answers to the same question, in this order."""
    return AnswerPair(
        question=first.question,
        reference=first.reference,
        criteria=first.criteria,
        first=first.answer,
        second=second.answer,
        first_truncated=first.truncated,
        second_truncated=second.truncated,
    )
