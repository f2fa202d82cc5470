"""Half a surrogate pair, wherever it comes from, stops no review and no page."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.lib.base.errors import InputErrors
from scripts.lib.base.safe_files import write_atomic
from scripts.lib.base.untrusted_text import valid_text, valid_texts
from scripts.lib.base.yaml_file import read_yaml
from scripts.lib.judging.claude import read_message
from scripts.lib.judging.claude_batches import _read_results
from scripts.lib.judging.local import read_completion
from scripts.lib.pages.all_pages import pages
from scripts.lib.planning.cell_record import read_cell
from scripts.lib.planning.disk import load_plans, registry_of
from scripts.lib.planning.plan import seen_from_elsewhere
from scripts.lib.prompts.types import Check, Criterion, Question
from scripts.lib.results.review import answer_of, plan_review, review_shard
from scripts.lib.results.review_rows import read_review, to_csv
from scripts.lib.scoring.judge_prompt import Malformed, Material, score_reply
from scripts.lib.scoring.rubric import QuestionScore
from scripts.lib.scoring.score import examine
from scripts.lib.settings.run_config import load_config
from scripts.lib.tables.load import load_parts
from tests.factories.sample_project import make_project, measure

HALF = "\ud83d"
# Any text, with more half pairs than chance would bring.
TEXTS = st.text(
    st.one_of(st.characters(), st.sampled_from("\ud800\udbff\udc00\udfff\ud83d\ude00 {}\"'[]:,")),
    max_size=60,
)
VALUES = st.recursive(
    TEXTS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
)
SCHEMA = {
    "type": "object",
    "required": ["a"],
    "properties": {"a": {"type": "integer"}},
    "additionalProperties": False,
}
CHECKS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("json_schema", {"schema": SCHEMA}),
    ("tool_call", {"name": "get", "arguments": {"city": "Oslo"}}),
    ("tool_call", {"none": True}),
    ("constraints", {"json": True, "words_max": 2}),
    *(
        (kind, {"value": "x"})
        for kind in ("exact", "normalized", "em", "f1", "gsm8k", "math500", "hotpot", "gaia")
    ),
    ("items", {"value": ["x", "y"]}),
    ("number", {"value": 4}),
    ("multiple_choice", {"value": "B", "choices": {"A": "silver", "B": "gold"}}),
    ("contains", {"any": ["x"]}),
)
QUESTION = Question(
    "s",
    "q",
    1,
    "n",
    "Answer.",
    scoring=tuple(
        Criterion(f"c{i}", 10, (Check(kind, params),)) for i, (kind, params) in enumerate(CHECKS)
    ),
)
SHOWN = Material("Who?", "Ann", (("names her", 100),), "It is Ann.", False)


def is_utf8(text: str) -> bool:
    return text.encode("utf-8").decode("utf-8") == text


def judged(content: str) -> QuestionScore:
    try:
        return score_reply(SHOWN, content)
    except Malformed as error:
        return QuestionScore((), unscored=str(error))


@given(TEXTS)
def test_valid_text_can_be_written_and_stays_what_it_is(text: str) -> None:
    made = valid_text(text)
    assert is_utf8(made) and valid_text(made) == made
    if not any("\ud800" <= character <= "\udfff" for character in text):
        assert made == text


def test_two_halves_are_one_character_and_a_lone_half_is_replaced() -> None:
    assert valid_text("\ud83d\ude00 \ud83d \ude00") == "\U0001f600 \ufffd \ufffd"
    assert valid_texts({HALF: [HALF, 1, None, {"a": HALF}]}) == {
        "\ufffd": ["\ufffd", 1, None, {"a": "\ufffd"}]
    }


@settings(max_examples=200, deadline=None)
@given(VALUES, TEXTS, st.booleans())
def test_what_checks_say_of_any_answer_can_be_written(
    value: Any, around: str, as_call: bool
) -> None:
    data = {"name": "get", "arguments": value} if as_call else value
    # JSON's own escapes: the answer is valid, what it holds is not.
    made = examine(QUESTION, valid_text(around) + json.dumps(data), "stop")
    for examined in made.criteria:
        for _, outcome in examined.outcomes:
            assert is_utf8(outcome.reason + outcome.extracted + outcome.evidence)
    assert is_utf8(made.score.reason)


def test_a_check_of_code_says_what_can_be_written() -> None:
    question = Question(
        "s", "q", 1, "n", "?", scoring=(Criterion("c", 100, (Check("code", {"tests": "f()"}),)),)
    )
    made = examine(question, "def f(): raise ValueError('\\ud83d')", "stop")
    assert made.score.score == 0 and is_utf8(made.score.reason)


@settings(max_examples=200, deadline=None)
@given(TEXTS, TEXTS, TEXTS, TEXTS)
def test_what_a_judge_says_can_be_written(
    reason: str, quote: str, summary: str, verdict: str
) -> None:
    one = {"number": 1, "evidence_quote": quote, "reason": reason, "verdict": "met"}
    for reply in (
        {"criteria": [one], "attempt": "none", "summary": summary},
        {"criteria": [{**one, "verdict": verdict}], "attempt": "none", "summary": summary},
        {summary: reason},
    ):
        body = {
            "content": [{"type": "text", "text": json.dumps(reply)}],
            "usage": {},
            "stop_reason": verdict,
        }
        message = read_message(json.dumps({**body, "model": summary, "id": quote}), "m")
        choice = {"message": {"content": json.dumps(reply)}, "finish_reason": verdict}
        used = {"prompt_tokens": 1, "completion_tokens": 1}
        completion = read_completion(
            json.dumps({"choices": [choice], "usage": used, "model": summary, "id": quote})
        )
        result = _read_results(
            json.dumps({"custom_id": quote, "result": {"type": summary}}).encode()
        )
        assert is_utf8(repr(message) + repr(completion) + json.dumps(result, ensure_ascii=False))
        score = judged(json.dumps(reply))
        assert is_utf8(score.reason + "".join(c.reason + c.evidence for c in score.criteria))


def test_a_judges_reply_may_be_anything() -> None:
    for body in (
        "[" * 100_000,
        '{"usage": {"input_tokens": Infinity}, "content": []}',
        "null",
        '{"content": null}',
        "",
    ):
        assert read_message(body, "m").content is None and read_completion(body).content is None
        assert _read_results(body.encode()) == {}
    for content in ("", "[" * 900 + "]" * 900, "[" * 100_000):
        assert judged(content).unscored.startswith("not ")


def test_yaml_with_half_a_pair_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "suite.yaml"
    for text in ('a: "\\ud800"\n', '"\\udfff": 1\n', "a: '\ud800'\n"):
        file.write_bytes(text.encode("utf-8", "surrogatepass"))
        with pytest.raises(InputErrors, match=r"suite\.yaml.*(invalid Unicode|not UTF-8)"):
            read_yaml(file)


def test_half_a_pair_in_a_call_comes_through_to_the_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EPYC_BENCH_SO_FAR", "1")
    measure()
    (plan,) = load_plans(load_config())
    plan = seen_from_elsewhere(plan)
    shard = next(
        shard
        for shard in plan.shards
        if shard.model.key == "small" and shard.mode.name == "baseline"
    )
    review = plan_review(plan, shard)
    cell = review.cells[0]
    file = Path(shard.folder) / cell.file_name
    record = read_cell(file)
    assert record.measurement is not None
    call = '{"name": "get", "arguments": {"city": "Oslo", "\\ud83d": 1}} \ud83d'
    record = replace(record, measurement=replace(record.measurement, answer=call))
    write_atomic(file, record.to_json().encode("utf-8", "backslashreplace").decode())
    assert valid_text(call) == (answer_of(read_cell(file)) or ("", ""))[0]
    check = Check("tool_call", {"name": "get", "arguments": {"city": "Oslo"}})
    asked = replace(cell.question, scoring=(Criterion(f"calls {HALF}", 100, (check,)),))
    made = replace(review, cells=(replace(cell, question=asked), *review.cells[1:]))
    write_atomic(Path(review.file), to_csv(review_shard(made)))
    assert "\ufffd" in read_review(Path(review.file))[0].score_reason
    config = load_config()
    for page in pages(registry_of(config), load_parts(config)).values():
        assert is_utf8(page())
