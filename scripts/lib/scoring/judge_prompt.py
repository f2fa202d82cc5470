"""The judge's question, and the score of its reply.

A judge sees the question, the reference, the criteria and the cleaned answer. It does not see which
model gave it, in which mode or how fast. It gives a verdict and a quotation per criterion; `rubric`
computes the score. A reply of the wrong form is `unscored`, never 0.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from scripts.lib.base.stored_json import digest
from scripts.lib.base.untrusted_text import valid_text, valid_texts
from scripts.lib.prompts.types import Question
from scripts.lib.scoring.answer.cleaning import clean
from scripts.lib.scoring.extract.json_values import parse_json
from scripts.lib.scoring.rubric import (
    MOST_SCORE,
    PASS_SCORE,
    TRUNCATED,
    CriterionScore,
    QuestionScore,
)

# Increase it if replies are scored differently: a new series of verdicts then begins.
SCORING_VERSION = 1
PAIR_DIGEST_CHARACTERS = 32
# A judge reads this much of an answer's beginning and end. More would be garbage, and cost money.
HEAD_CHARACTERS, TAIL_CHARACTERS = 15_000, 5_000
POINTS = {"met": 1.0, "partly": 0.5, "unmet": 0.0}
# At most this much of a reason is stored.
REASON_CHARACTERS = 600

# The judge's instructions, with three worked examples. They are long enough for the vendor's prompt
# cache.
SYSTEM = (Path(__file__).parent / "system.md").read_text(encoding="utf-8").strip()

SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["criteria", "attempt", "summary"],
    "properties": {
        "criteria": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["number", "evidence_quote", "reason", "verdict"],
                "properties": {
                    "number": {"type": "integer"},
                    "evidence_quote": {"type": "string"},
                    "reason": {"type": "string"},
                    "verdict": {"type": "string", "enum": list(POINTS)},
                },
            },
        },
        "attempt": {"type": "string", "enum": ["reasonable", "none"]},
        "summary": {"type": "string"},
    },
}

TEMPLATE = """\
<question-{mark}>
{question}
</question-{mark}>
<reference-{mark}>
{reference}
</reference-{mark}>
<criteria-{mark}>
{criteria}
</criteria-{mark}>
<answer-{mark}>
{answer}
</answer-{mark}>
{note}Grade the answer between the markers {mark}."""


@dataclass(frozen=True)
class Material:
    """The part of one answer that a judge sees.

    `criteria` are (text, weight); `answer` is cleaned and cut to the length that is read.
    """

    question: str
    reference: str
    criteria: tuple[tuple[str, int], ...]
    answer: str
    truncated: bool

    @cached_property
    def pair(self) -> str:
        """The digest of question and answer: equal for equal material from any model."""
        return digest(asdict(self), PAIR_DIGEST_CHARACTERS)


def prompt_identity() -> str:
    """Digest of the judge's instructions, template and schema: other texts are another judge."""
    return digest([SYSTEM, TEMPLATE, SCHEMA, HEAD_CHARACTERS, TAIL_CHARACTERS])


@lru_cache(maxsize=1024)
def _asked(question: Question) -> tuple[str, str, tuple[tuple[str, int], ...]]:
    parts = [f"Instructions given beforehand:\n{question.system}"] if question.system else []
    if question.context is not None:
        parts.append(
            "(A long text came before the question. It is left out here: the reference holds what "
            "it says.)"
        )
    if question.images:
        parts.append(
            "(An image came with the question. It is left out here: the reference holds what it "
            "shows.)"
        )
    references = dict.fromkeys(
        text.strip() for text in (question.expected, question.reference_answer) if text.strip()
    )
    criteria = tuple((c.criterion, c.weight) for c in question.scoring) or (
        ("agrees with the reference", 100),
    )
    return (
        "\n\n".join([*parts, question.with_turns(question.prompt.strip())]),
        "\n\n".join(references) or "(none)",
        criteria,
    )


def _cut(answer: str) -> str:
    left_out = len(answer) - HEAD_CHARACTERS - TAIL_CHARACTERS
    if left_out <= 0:
        return answer
    head, tail = answer[:HEAD_CHARACTERS], answer[-TAIL_CHARACTERS:]
    return f"{head}\n[... {left_out} characters left out ...]\n{tail}"


def material(question: Question, answer: str, finish_reason: str) -> Material:
    """The material for a judge, from an answer as the model gave it.

    Thinking, echo and chat markers are removed.
    """
    asked, reference, criteria = _asked(question)
    text = _cut(clean(answer, question.prompt_text()))
    return Material(asked, reference, criteria, text, finish_reason in TRUNCATED)


def user_prompt(shown: Material, verdict_digest: str) -> str:
    """The text of the request.

    The mark around its parts follows from the verdict's digest, which an answer cannot know.
    """
    return TEMPLATE.format(
        mark=sha256(f"marker {verdict_digest}".encode()).hexdigest()[:16],
        question=shown.question,
        reference=shown.reference,
        criteria="\n".join(
            f"{n}. ({weight} %) {text}" for n, (text, weight) in enumerate(shown.criteria, 1)
        ),
        answer=shown.answer,
        note="The answer was cut off at its length limit.\n" if shown.truncated else "",
    )


class Malformed(Exception):
    """The judge's reply does not have the form that was asked for; the message says why."""

    def __init__(self, why: str):
        super().__init__(valid_text(why))


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _criterion(item: dict[str, Any], criterion: tuple[str, int], answer: str) -> CriterionScore:
    points: float | None = POINTS[item["verdict"]]
    quote = item["evidence_quote"].strip()
    reason = " ".join(item["reason"].split())[:REASON_CHARACTERS]
    if points and not (quote and _plain(quote) in answer):
        points, reason = None, f"the evidence is not in the answer: {quote[:80]!r}"
    return CriterionScore(*criterion, points, reason, quote[:REASON_CHARACTERS])


def score_reply(shown: Material, content: str) -> QuestionScore:
    """The score of a judge's reply.

    Raises Malformed if it does not fit the schema, or is not about these criteria.
    """
    # Imported here: planning needs this module, but no check and no validator.
    from jsonschema import Draft202012Validator

    from scripts.lib.scoring.checks.json_schema import first_problem

    try:
        reply = valid_texts(parse_json(content))
    except (ValueError, RecursionError) as error:
        raise Malformed(f"not JSON: {str(error)[:120]}") from None
    problem = first_problem(Draft202012Validator(SCHEMA), reply)
    if problem is not None:
        place = ".".join(map(str, problem.absolute_path))
        raise Malformed(
            f"not of the schema: {place + ': ' if place else ''}{problem.message[:120]}"
        )
    numbers = [item["number"] for item in reply["criteria"]]
    if sorted(numbers) != list(range(1, len(shown.criteria) + 1)):
        raise Malformed(
            f"verdicts on criteria {numbers}, expected 1 to {len(shown.criteria)}, each once"
        )
    answer = _plain(shown.answer)
    items = sorted(reply["criteria"], key=lambda item: int(item["number"]))
    scores = tuple(_criterion(i, c, answer) for i, c in zip(items, shown.criteria, strict=True))
    summary = " ".join(reply["summary"].split())[:REASON_CHARACTERS]
    # One invented quotation is enough: if only the other criteria counted, it would be rewarded.
    invented = next((c.reason for c in scores if c.points is None), None)
    if invented is not None:
        return QuestionScore(scores, unscored=invented, summary=summary)
    return QuestionScore(
        scores,
        note="truncated" if shown.truncated else "",
        summary=summary,
        least=1 if reply["attempt"] == "reasonable" and shown.answer else 0,
        most=PASS_SCORE if shown.truncated else MOST_SCORE,
    )
