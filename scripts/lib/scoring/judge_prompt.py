"""The judge's question, and the score of its reply.

A judge sees the question, the reference, the criteria and the cleaned answer. It does not see which
model gave it, in which mode or how fast. It gives a verdict and a quotation per criterion; `rubric`
computes the score. A reply of the wrong form is `unscored`, never 0.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

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
SCORING_VERSION = 2
PAIR_DIGEST_CHARACTERS = 32
# A judge reads this much of an answer's beginning and end. More would be garbage, and cost money.
HEAD_CHARACTERS, TAIL_CHARACTERS = 15_000, 5_000
POINTS = {"met": 1.0, "partly": 0.5, "unmet": 0.0}
# At most this much of a reason is stored.
REASON_CHARACTERS = 600
# A quotation with fewer letters and digits is evidence only as a whole word of the answer; a single
# one only as the whole answer.
LEAST_QUOTED = 4

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
class Asked:
    """What a judge sees of a question, with an answer or two. `criteria` are (text, weight)."""

    question: str
    reference: str
    criteria: tuple[tuple[str, int], ...]

    @cached_property
    def pair(self) -> str:
        """The digest of question and answers: equal for equal material from any setup."""
        return digest(asdict(self), PAIR_DIGEST_CHARACTERS)


@dataclass(frozen=True)
class Material(Asked):
    """The part of one answer that a judge sees.

    `answer` is cleaned and cut to the length that is read. `system` and `schema`: the instructions,
    and the form of the reply.
    """

    system: ClassVar[str] = SYSTEM
    schema: ClassVar[dict[str, Any]] = SCHEMA

    answer: str
    truncated: bool

    def user_prompt(self, verdict_digest: str) -> str:
        """The text of the request; see `user_prompt`."""
        return user_prompt(self, verdict_digest)

    def score(self, content: str) -> QuestionScore:
        """The score of a judge's reply; see `score_reply`."""
        return score_reply(self, content)


def prompt_identity() -> str:
    """Digest of the judge's instructions, template and schema: other texts are another judge."""
    return digest([SYSTEM, TEMPLATE, SCHEMA, HEAD_CHARACTERS, TAIL_CHARACTERS])


@lru_cache(maxsize=1024)
def as_asked(question: Question) -> tuple[str, str, tuple[tuple[str, int], ...]]:
    """(question, reference, criteria) as a judge sees them."""
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
    asked, reference, criteria = as_asked(question)
    text = _cut(clean(answer, question.prompt_text()))
    return Material(asked, reference, criteria, text, finish_reason in TRUNCATED)


def user_prompt(shown: Material, verdict_digest: str) -> str:
    """The text of the request.

    The mark around its parts follows from the verdict's digest, which an answer cannot know.
    """
    return TEMPLATE.format(
        mark=mark_of(verdict_digest),
        question=shown.question,
        reference=shown.reference,
        criteria=numbered(shown.criteria),
        answer=shown.answer,
        note="The answer was cut off at its length limit.\n" if shown.truncated else "",
    )


def mark_of(verdict_digest: str) -> str:
    """The mark around the parts of a request."""
    return sha256(f"marker {verdict_digest}".encode()).hexdigest()[:16]


def numbered(criteria: tuple[tuple[str, int], ...]) -> str:
    """The criteria as lines with numbers and weights."""
    return "\n".join(f"{n}. ({weight} %) {text}" for n, (text, weight) in enumerate(criteria, 1))


class Malformed(Exception):
    """The judge's reply does not have the form that was asked for; the message says why."""

    def __init__(self, why: str):
        super().__init__(valid_text(why))


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def is_evidence(quote: str, *answers: str) -> bool:
    """True if a quotation stands in one of the answers, and is long enough to mean something."""
    said = _plain(quote)
    size = sum(map(str.isalnum, said))
    texts = [text for text in map(_plain, answers) if said and said in text]
    if size < 2:
        return any(sum(map(str.isalnum, text)) == size for text in texts)
    # Languages that are written without spaces have no words to look for.
    if size >= LEAST_QUOTED or not said.isascii():
        return bool(texts)
    return any(re.search(rf"(?<!\w){re.escape(said)}(?!\w)", text) for text in texts)


def _criterion(item: dict[str, Any], criterion: tuple[str, int], answer: str) -> CriterionScore:
    points: float | None = POINTS[item["verdict"]]
    quote = item["evidence_quote"].strip()
    reason = " ".join(item["reason"].split())[:REASON_CHARACTERS]
    if points and not is_evidence(quote, answer):
        points, reason = None, no_evidence(quote, answer)
    return CriterionScore(*criterion, points, reason, quote[:REASON_CHARACTERS])


def no_evidence(quote: str, *answers: str) -> str:
    """Why a quotation is no evidence."""
    if quote and any(_plain(quote) in _plain(answer) for answer in answers):
        return f"the evidence is too short: {quote!r}"
    return f"the evidence is not in the answer: {quote[:80]!r}"


def read_reply(
    schema: dict[str, Any], criteria: tuple[tuple[str, int], ...], content: str
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """(the reply, its verdicts in the order of the criteria).

    Raises Malformed if it does not fit the schema, or is not about these criteria.
    """
    # Imported here: planning needs this module, but no check and no validator.
    from jsonschema import Draft202012Validator

    from scripts.lib.scoring.checks.json_schema import first_problem

    try:
        reply = valid_texts(parse_json(content))
    except (ValueError, RecursionError) as error:
        raise Malformed(f"not JSON: {str(error)[:120]}") from None
    problem = first_problem(Draft202012Validator(schema), reply)
    if problem is not None:
        place = ".".join(map(str, problem.absolute_path))
        raise Malformed(
            f"not of the schema: {place + ': ' if place else ''}{problem.message[:120]}"
        )
    numbers = [item["number"] for item in reply["criteria"]]
    if sorted(numbers) != list(range(1, len(criteria) + 1)):
        raise Malformed(f"verdicts on criteria {numbers}, expected 1 to {len(criteria)}, each once")
    return reply, sorted(reply["criteria"], key=lambda item: int(item["number"]))


def score_reply(shown: Material, content: str) -> QuestionScore:
    """The score of a judge's reply. Raises Malformed; see `read_reply`."""
    reply, items = read_reply(SCHEMA, shown.criteria, content)
    pairs = zip(items, shown.criteria, strict=True)
    scores = tuple(_criterion(item, criterion, shown.answer) for item, criterion in pairs)
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
