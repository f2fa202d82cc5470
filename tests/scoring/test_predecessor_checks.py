"""The predecessor's suites: rules of `auto_score` and methods of `questions:`, on made answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.lib.authoring.prompt_lint import checked_weight, lint
from scripts.lib.prompts.check_types import PLAIN_RULES
from scripts.lib.prompts.loader import Question, load_suite
from scripts.lib.prompts.question_list import CARRIED_KEYS, PREAMBLE, VERIFIERS
from scripts.lib.results.review import scoring_identity
from scripts.lib.scoring.judge_prompt import material
from scripts.lib.scoring.score import examine
from scripts.lib.scoring.trial import as_json

DATA = Path("tests/data/predecessor")
VERDICTS: dict[str, bool | None] = {"passed": True, "failed": False, "unscored": None}
# (question, criterion or '', answer, verdict, why)
Case = tuple[str, str, str, str, str]


@cache
def questions() -> dict[str, Question]:
    found = {}
    for file in sorted((DATA / "suites").rglob("*.yaml")):
        suite, problems = load_suite(file)
        assert not problems, problems
        found |= {question.name_in_full: question for question in suite.questions}
    return found


def answers() -> Iterator[Case]:
    for item in yaml.safe_load((DATA / "answers.yaml").read_text(encoding="utf-8")):
        parts: list[dict[str, Any]] = [item, *item.get("criteria", ())]
        for part in parts:
            for verdict in VERDICTS:
                for answer, why in part.get(verdict, ()):
                    yield item["question"], part.get("criterion", ""), answer, verdict, why


ANSWERS = list(answers())


def test_there_are_enough_answers_and_every_question_has_some() -> None:
    assert len(ANSWERS) >= 200 and len(set(ANSWERS)) == len(ANSWERS)
    assert {case[0] for case in ANSWERS} == set(questions())


@pytest.mark.parametrize(
    "case", ANSWERS, ids=[f"{n}-{case[0]}-{case[3]}" for n, case in enumerate(ANSWERS)]
)
def test_an_answer_is_decided_as_the_predecessor_decided_it(case: Case) -> None:
    name, criterion, answer, verdict, why = case
    found = examine(questions()[name], answer, "stop")
    if criterion:
        points = next(
            each.score.points for each in found.criteria if each.criterion.criterion == criterion
        )
        passed = None if points is None else points == 1.0
    else:
        passed = found.score.passed
    assert passed is VERDICTS[verdict], f"{answer!r} ({why}): {found.score.reason}"


# --- auto_score: how rules are read ---------------------------------------------------------------

CRITERIA = (
    *(
        "Avoids every forbidden word",
        "Between 3 and 9 words",
        "The exact answer",
        "Exactly five items",
        "Valid JSON",
    ),
    *(
        "Each line has the format",
        "Every label in order",
        "Alphabetical order",
        "No punctuation",
        "Starts well",
    ),
    *("Ends well", "Calls FINAL()"),
)


def suite_with(tmp_path: Path, auto_score: str, *criteria: str) -> tuple[Question, list[str]]:
    """A question with this auto_score and criteria of equal weight, and the notes on its file."""
    weights = [100 // len(criteria)] * len(criteria) if criteria else []
    if criteria:
        weights[0] += 100 - sum(weights)
    scoring = [
        {"criterion": text, "weight": weight}
        for text, weight in zip(criteria, weights, strict=True)
    ]
    question = {"tier": 1, "prompt": "Do it.", "auto_score": auto_score, "scoring": scoring}
    file = tmp_path / "s.yaml"
    file.write_text(
        yaml.safe_dump({"prompts": {"q": question}}, allow_unicode=True), encoding="utf-8"
    )
    suite, problems = load_suite(file)
    return suite.questions[0], list(map(str, problems))


@pytest.mark.parametrize(
    ("rule", "criterion", "params"),
    [
        ("forbidden_words:a, b", 0, {"forbidden_words": ["a", "b"], "may_be_empty": True}),
        ("word_count:3:9", 1, {"words_min": 3, "words_max": 9}),
        ("exact_match:Yes,No", 2, {"one_of": ["Yes", "No"]}),
        ("count_items:5", 3, {"items": 5}),
        ("json_only", 4, {"json_object": True}),
        ("format_pattern:^a{1,2}: .*;$", 5, {"line_pattern": "^a{1,2}: .*;$"}),
        ("format_lines:A:,B:", 6, {"labels": ["A:", "B:"]}),
        ("alphabetical", 7, {"alphabetical": True}),
        ("no_punctuation", 8, {"no_punctuation": True}),
        ("starts_with:An", 9, {"starts_with": "An"}),
        ("ends_with:data", 10, {"ends_with": "data"}),
        ("contains_pattern:a|FINAL: x;y,", None, {"required": "a|FINAL: x;y,"}),
        ("forbidden_pattern:import ", None, {"forbidden": "import "}),
    ],
)
def test_each_rule_is_a_check_of_the_criterion_that_it_tests(
    tmp_path: Path, rule: str, criterion: int | None, params: dict[str, Any]
) -> None:
    question, told = suite_with(tmp_path, rule, *CRITERIA)
    assert told == [] and len(question.checks) == 1
    tested = [place for place, each in enumerate(question.scoring) if each.checks]
    assert tested == ([] if criterion is None else [criterion]), [
        question.scoring[place] for place in tested
    ]
    assert {
        k: v for k, v in question.checks[0].params.items() if k not in ("first_lines", "skip_lines")
    } == params
    # The same inside of multi: every rule but patterns was used there.
    inside, told = suite_with(tmp_path, f"multi:{rule}", *CRITERIA)
    assert told == [] and inside.scoring == question.scoring and inside.whole == question.whole


@pytest.mark.parametrize(
    ("rule", "criteria", "tested"),
    [
        ("count_items:5", ("All are real countries", "Five of them"), 1),
        ("no_punctuation", ("Elements of the periodic table", "No punctuation marks"), 1),
        ("no_punctuation", ("Uses the command form", "Free of commas"), 1),
        ("ends_with:now", ("Speaks of endangered animals", "Ends with now"), 1),
        ("json_only", ("Objective tone", "Is parseable"), 1),
        ("alphabetical", ("Orderly thought", "Sorted A to Z"), 1),
        ("format_lines:Name:,Age:", ("Is plausible", "Has the fields Name and Age"), 1),
        ("no_punctuation", ("Commanding tone", "Unpunctuated"), 1),
    ],
)
def test_a_criterion_with_another_word_of_the_same_beginning_is_not_meant(
    tmp_path: Path, rule: str, criteria: tuple[str, ...], tested: int
) -> None:
    question, told = suite_with(tmp_path, rule, *criteria)
    assert told == [] and [place for place, each in enumerate(question.scoring) if each.checks] == [
        tested
    ]


def test_a_bare_word_that_is_no_rule_goes_on_with_the_list_before_it(tmp_path: Path) -> None:
    question, told = suite_with(
        tmp_path, "multi:forbidden_words:store,storage,json_only,exact_match:a,b"
    )
    kept = [{**check.params} for check in question.checks]
    assert told == [] and [each.get("forbidden_words") for each in kept] == [
        ["store", "storage"],
        None,
        None,
    ]
    assert kept[1]["json_object"] is True and kept[2]["one_of"] == ["a", "b"]


def test_rules_of_which_no_criterion_speaks_decide_on_the_whole_and_without_criteria_on_everything(
    tmp_path: Path,
) -> None:
    question, _ = suite_with(tmp_path, "word_count:1:3", "Is wise")
    assert [check.params["words_max"] for check in question.whole] == [3] and not question.scoring[
        0
    ].checks
    bare, _ = suite_with(tmp_path, "word_count:1:3")
    assert not bare.whole and [(c.weight, len(c.checks)) for c in bare.scoring] == [(100, 1)]


def test_a_criterion_with_checks_of_its_own_keeps_these_alone(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(
        "prompts:\n  q:\n    tier: 1\n    prompt: x\n    auto_score: word_count:1:3\n    scoring:\n"
        "      - {criterion: At most 3 words, weight: 50, checks: [{type: exact, value: a}]}\n"
        "      - {criterion: Length, weight: 50}\n"
    )
    suite, problems = load_suite(file)
    assert not problems
    assert [[check.type for check in each.checks] for each in suite.questions[0].scoring] == [
        ["exact"],
        ["plain_text"],
    ]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("forbiden_words:a", "unknown rule 'forbiden_words'; did you mean 'forbidden_words'?"),
        (
            "contains_pattern:a;forbiden_pattern:b",
            "unknown rule 'forbiden_pattern'; did you mean 'forbidden_pattern'?",
        ),
        (
            "multi:count_items:5,alphabeticl",
            "unknown rule 'alphabeticl'; did you mean 'alphabetical'?",
        ),
        ("multi:count_items:5,sorted", "unknown rule 'sorted'; known: "),
        ("word_count:5", "word_count: expected MIN:MAX, found '5'"),
        ("word_count:9:5", "word_count: expected MIN:MAX with MIN not above MAX, found '9:5'"),
        ("count_items:five", "count_items: expected a whole number from 0, found 'five'"),
        (
            "forbidden_words:a,,b",
            "forbidden_words: expected a list separated by commas, found 'a,,b'",
        ),
        ("starts_with:", "starts_with: expected a text after the colon, found nothing"),
        ("json_only:true", "json_only: has no parameters, found 'true'"),
        ("format_pattern:(", "auto_score.line_pattern: not a regular expression"),
        ("contains_pattern:(;forbidden_pattern:x", "auto_score.required: not a regular expression"),
        ("contains_pattern:", "auto_score.required: expected a regular expression, found ''"),
        ("manual;word_count:1:2", "'manual' means that no check decides"),
    ],
)
def test_a_rule_that_cannot_be_read_is_told_with_its_line(
    tmp_path: Path, rule: str, message: str
) -> None:
    _, told = suite_with(tmp_path, rule, "Is wise")
    assert any(message in text and "s.yaml:3: prompts.q.auto_score" in text for text in told), told


def test_a_whole_answer_that_cannot_be_decided_is_unscored(tmp_path: Path) -> None:
    question, _ = suite_with(tmp_path, "contains_pattern:((a|aa)+)$;forbidden_pattern:b", "Is wise")
    slow = "a" * 60 + "!"
    found = examine(question, slow, "stop").score
    assert found.passed is None and found.coverage == 0 and "gave up on a pattern" in found.reason
    # What fails for sure decides.
    assert examine(question, slow + "b", "stop").score.score == 0


def test_a_rule_that_fails_costs_its_criterion_a_pattern_everything_and_of_several_one_is_no_pass(
    tmp_path: Path,
) -> None:
    question, _ = suite_with(
        tmp_path,
        "word_count:1:3;contains_pattern:yes",
        "At most 3 words",
        "Is wise",
        "Is kind",
        "Is short",
    )
    scores = [examine(question, answer, "stop").score for answer in ("yes", "yes and so on", "no")]
    assert [score.score for score in scores] == [3, 1, 0]
    assert [score.fraction for score in scores] == [1.0, 0.75, 0.0]
    assert [score.coverage for score in scores] == [1.0] * 3
    one, _ = suite_with(tmp_path, "word_count:1:3", "At most 3 words", "Is wise")
    assert not one.all_must_pass and question.all_must_pass
    assert scoring_identity(question) != scoring_identity(replace(question, all_must_pass=False))


def test_what_decides_on_the_whole_is_part_of_the_scoring_identity_and_not_of_what_a_judge_is_shown(
    tmp_path: Path,
) -> None:
    with_pattern, _ = suite_with(tmp_path, "contains_pattern:yes", "Is wise")
    another, _ = suite_with(tmp_path, "contains_pattern:no", "Is wise")
    without, _ = suite_with(tmp_path, "manual", "Is wise")
    assert len({scoring_identity(each) for each in (with_pattern, another, without)}) == 3
    assert material(with_pattern, "x", "stop") == material(without, "x", "stop")
    assert checked_weight(with_pattern) == 100 and checked_weight(without) == 0


# --- questions: how they are read -----------------------------------------------------------------


def listed(tmp_path: Path, question: str, head: str = "") -> tuple[Question, list[str]]:
    file = tmp_path / "s.yaml"
    file.write_text(
        f"suite: s\n{head}questions:\n  - {{id: a, prompt: '?', {question}}}\n", encoding="utf-8"
    )
    suite, problems = load_suite(file)
    return suite.questions[0], list(map(str, problems))


@pytest.mark.parametrize(
    ("question", "kind", "params"),
    [
        ("expected: 42", "extracted", {"value": "42"}),
        (
            "expected: x, scoring_method: exact_match, scoring_config: {extract_pattern: 'A "
            "(.)', normalize: false}",
            "extracted",
            {"value": "x", "pattern": "A (.)", "normalize": False},
        ),
        (
            "expected: B, scoring_method: multiple_choice",
            "multiple_choice",
            {"value": "B", "last": True},
        ),
        (
            "expected: x, scoring_method: substring, scoring_config: {case_sensitive: true, "
            "substring: y}",
            "substring",
            {"text": "x", "case_sensitive": True},
        ),
        (
            "expected: '', scoring_method: substring, scoring_config: {substring: y}",
            "substring",
            {"text": "y"},
        ),
        (
            "expected: x, scoring_method: f1, scoring_config: {threshold: 0.7, extract_pattern: "
            "'A (.)'}",
            "word_overlap",
            {"value": "x", "least": 0.7, "pattern": "A (.)"},
        ),
        (
            "scoring_method: code_execution, scoring_config: {test_code: f(), timeout: 30}",
            "code",
            {"tests": "f()", "timeout_s": 30, "block": "first", "setup": PREAMBLE},
        ),
        (
            "scoring_method: code_execution, scoring_config: {test_code: 'TEST_CASES = [(1, "
            "2)]', entry_point: f}",
            "code",
            {"cases": [{"stdin": "1", "stdout": "2"}], "block": "first", "setup": PREAMBLE},
        ),
        (
            "scoring_method: code_execution, scoring_config: "
            '{test_code: "TEST_CASES = [((1, 2), 3)]\\nfor a, w in TEST_CASES:\\n    assert '
            'f(*a) == w"}',
            "code",
            {
                "tests": "TEST_CASES = [((1, 2), 3)]\nfor a, w in TEST_CASES:\n"
                "    assert f(*a) == w",
                **{"block": "first", "setup": PREAMBLE},
            },
        ),
        (
            "scoring_method: programmatic, scoring_config: {verifiers: {word_count_max: 5}}",
            "plain_text",
            {"words_max": 5},
        ),
    ],
)
def test_each_method_is_a_check_with_its_parameters(
    tmp_path: Path, question: str, kind: str, params: dict[str, Any]
) -> None:
    found, told = listed(tmp_path, question)
    assert told == [] and [(check.type, dict(check.params)) for check in found.checks] == [
        (kind, params)
    ]
    assert [criterion.weight for criterion in found.scoring] == [100] and not found.whole


@pytest.mark.parametrize(
    "config",
    [
        "{verifier: word_count_range, min_val: 2, max_val: 3}",
        "{type: word_count_range, min_val: 2, max_val: 3}",
        "{verifiers: [{verifier: word_count_range, min_val: 2, max_val: 3}]}",
        "{verifiers: [{name: word_count_range, params: {min_val: 2, max_val: 3}}]}",
        "{verifiers: [{word_count_range: {min_val: 2, max_val: 3}}]}",
        "{verifiers: {word_count_range: {min_val: 2, max_val: 3}}}",
        "{verifiers: {type: word_count_range, min_val: 2, max_val: 3}}",
        "{word_count_range: {min_val: 2, max_val: 3}}",
    ],
)
def test_a_verifier_may_be_named_in_several_ways(tmp_path: Path, config: str) -> None:
    question, told = listed(tmp_path, f"scoring_method: programmatic, scoring_config: {config}")
    assert told == [] and [dict(check.params) for check in question.checks] == [
        {"words_min": 2, "words_max": 3}
    ]


def test_a_range_may_be_without_its_bounds(tmp_path: Path) -> None:
    config = "{verifier: word_count_range, min_val: 2, max_val: 6, inclusive: false}"
    question, told = listed(tmp_path, f"scoring_method: programmatic, scoring_config: {config}")
    assert told == [] and [dict(check.params) for check in question.checks] == [
        {"words_min": 3, "words_max": 5}
    ]


def test_every_verifier_makes_parameters_that_plain_text_knows() -> None:
    assert {ours for parameters in VERIFIERS.values() for ours in parameters.values()} <= set(
        PLAIN_RULES
    )
    assert {_flag_of(name) for name, parameters in VERIFIERS.items() if not parameters} <= set(
        PLAIN_RULES
    )


def _flag_of(verifier: str) -> str:
    return "holds_json" if verifier == "json_valid" else verifier


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (
            "scoring_method: exact_mach, expected: x",
            "unknown method 'exact_mach'; did you mean 'exact_match'?",
        ),
        (
            "expected: x, scoring_config: {extract_patern: a}",
            "unknown key; did you mean 'extract_pattern'?",
        ),
        (
            "expected: x, scoring_config: {extract_pattern: '('}",
            "expected.pattern: not a regular expression",
        ),
        (
            "expected: x, scoring_method: f1, scoring_config: {threshold: 2}",
            "expected a number from 0 to 1, found 2",
        ),
        (
            "expected: x, scoring_method: substring, scoring_config: {case_sensitive: 1}",
            "expected true or false",
        ),
        (
            "scoring_method: code_execution, scoring_config: {test_code: f(, timeout: 1}",
            "not Python",
        ),
        (
            "scoring_method: code_execution, scoring_config: {test_code: f(), timeout: 0}",
            "expected a number above 0",
        ),
        (
            "scoring_method: code_execution, scoring_config: {test_code: 'TEST_CASES = [1]'}",
            "scoring_config.test_code: expected TEST_CASES = [(stdin, stdout), …]",
        ),
        (
            "scoring_method: code_execution, scoring_config: {test_code: 'TEST_CASES = read()'}",
            "scoring_config.test_code: expected TEST_CASES = [(stdin, stdout), …]",
        ),
        (
            "scoring_method: programmatic",
            "a programmatic question needs 'verifiers'; known: word_count_range, ",
        ),
        (
            "scoring_method: programmatic, scoring_config: {verifers: [json_valid]}",
            "a programmatic question needs 'verifiers'; did you mean 'verifiers'?",
        ),
        (
            "scoring_method: programmatic, scoring_config: {verifier: word_count_minimum}",
            "unknown verifier 'word_count_minimum'; did you mean 'word_count_min'?",
        ),
        (
            "scoring_method: programmatic, scoring_config: {verifiers: [{verifier: "
            "word_count_min, treshold: 5}]}",
            "unknown parameter 'treshold' of word_count_min; did you mean 'threshold'?",
        ),
        (
            "scoring_method: programmatic, scoring_config: {verifier: starts_with}",
            "starts_with needs text",
        ),
        (
            "scoring_method: programmatic, scoring_config: {verifier: word_count_min, threshold: "
            "many}",
            "expected a whole number from 0, found 'many'",
        ),
    ],
)
def test_a_method_that_cannot_be_read_is_told_with_its_line(
    tmp_path: Path, question: str, message: str
) -> None:
    _, told = listed(tmp_path, question)
    assert any(message in text and "s.yaml:3: questions[0]" in text for text in told), told


@pytest.mark.parametrize(
    ("head", "question", "kind", "params"),
    [
        ("", "", "extracted", {}),
        ("scoring_default: substring\n", "", "substring", {}),
        (
            "scoring_default: {method: f1, config: {threshold: 0.9}}\n",
            "",
            "word_overlap",
            {"least": 0.9},
        ),
        (
            "scoring_method: f1\nscoring_config: {threshold: 0.9}\n",
            "",
            "word_overlap",
            {"least": 0.9},
        ),
        (
            "scoring_method: f1\nscoring_config: {threshold: 0.9}\n",
            "scoring_config: {}",
            "word_overlap",
            {},
        ),
        ("scoring_method: f1\n", "scoring_method: substring", "substring", {}),
        (
            "scoring_default: {method: f1, config: {extract_pattern: 'A (.)'}}\n",
            "scoring_method: exact_match",
            "extracted",
            {"pattern": "A (.)"},
        ),
    ],
)
def test_the_files_method_is_for_questions_without_their_own(
    tmp_path: Path, head: str, question: str, kind: str, params: dict[str, Any]
) -> None:
    found, told = listed(tmp_path, f"expected: x, {question}", head)
    assert told == [] and found.checks[0].type == kind
    assert {k: v for k, v in found.checks[0].params.items() if k not in ("value", "text")} == params


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (
            "scoring_default: exact_mach\n",
            "2: scoring_default: unknown method 'exact_mach'; did you mean 'exact_match'?",
        ),
        ("scoring_default: {method: g1}\n", "2: scoring_default: unknown method 'g1'; "),
        ("scoring_method: g1\n", "2: scoring_method: unknown method 'g1'; "),
        ("scoring_config: [1]\n", "2: scoring_config: expected a mapping, found [1]"),
        (
            "scoring_default: {method: f1, config: 5}\n",
            "2: scoring_default.config: expected a mapping, found 5",
        ),
        (
            "scoring_default: {method: f1, config: {treshold: 1}}\n",
            "2: scoring_default.config.treshold: unknown key; did you mean 'threshold'?",
        ),
    ],
)
def test_a_mistake_in_the_files_method_is_told_once(
    tmp_path: Path, head: str, message: str
) -> None:
    file = tmp_path / "s.yaml"
    asked = "".join(f"  - {{id: {name}, prompt: '?', expected: x}}\n" for name in "abc")
    file.write_text(f"suite: s\n{head}questions:\n{asked}", encoding="utf-8")
    told = list(map(str, load_suite(file)[1]))
    assert len(told) == 1 and message in told[0], told


def test_the_second_format_has_no_criteria(tmp_path: Path) -> None:
    question, told = listed(tmp_path, "expected: x, auto_score: json_only, scoring: []")
    assert told == [] and [check.type for check in question.checks] == ["extracted"]
    assert {key for key, _ in question.carried} == {"auto_score", "scoring"}


def test_a_misspelt_key_of_the_files_default_is_told(tmp_path: Path) -> None:
    _, told = listed(tmp_path, "expected: x", "scoring_default: {metod: f1}\n")
    assert (
        len(told) == 1
        and "s.yaml:2: scoring_default.metod: unknown key; did you mean 'method'?" in told[0]
    )
    _, told = listed(tmp_path, "expected: x", "scoring_metod: f1\n")
    assert (
        len(told) == 1 and "scoring_metod: unknown key; did you mean 'scoring_method'?" in told[0]
    )


def test_keys_that_nothing_acts_on_are_carried_and_told_once_a_suite(tmp_path: Path) -> None:
    keys = (
        "alt_answers: [a, b], mode_advantage: react, skill: s, domain: d, category: c, "
        "source_dataset: gsm8k, "
        "source_index: 7, image_path: a/b.png, tier: 3, own_key: 1, scoring_config: {language: "
        "python}"
    )
    question, told = listed(tmp_path, f"expected: x, {keys}")
    carried = dict(question.carried)
    assert (
        told == []
        and carried.pop("own_key") == "1"
        and carried.pop("scoring_config.language") == "python"
    )
    assert set(carried) == set(CARRIED_KEYS) and carried["alt_answers"] == "['a', 'b']"
    assert question.tier == 3 and [Path(image).name for image in question.images] == ["b.png"]
    assert dict(as_json(question, examine(question, "x", "stop"))["carried"]) == dict(
        question.carried
    )
    found = [
        str(each.problem) for each in lint(tmp_path, {"s": load_suite(tmp_path / "s.yaml")[0]})
    ]
    assert sum("keys without effect: alt_answers, " in text for text in found) == 1


def test_a_question_that_any_answer_passes_is_warned_of(tmp_path: Path) -> None:
    question, told = listed(tmp_path, "scoring_method: substring")
    assert told == [] and examine(question, "anything", "stop").score.passed
    found = [
        str(each.problem) for each in lint(tmp_path, {"s": load_suite(tmp_path / "s.yaml")[0]})
    ]
    assert any("looks for an empty text: any answer passes" in text for text in found)


def test_an_endless_pattern_leaves_an_answer_unscored(tmp_path: Path) -> None:
    for method in ("exact_match", "f1"):
        question, told = listed(
            tmp_path,
            f"expected: x, scoring_method: {method}, "
            "scoring_config: {extract_pattern: '((a|aa)+)$'}",
        )
        assert told == []
        found = examine(question, "a" * 60 + "!", "stop").score
        assert found.passed is None and "gave up on a pattern" in found.reason


def test_the_mark_is_found_at_the_end_of_a_very_long_answer(tmp_path: Path) -> None:
    question, _ = listed(tmp_path, "expected: 42")
    assert examine(question, "so it goes on\n" * 5000 + "#### 42\nDone.", "stop").score.passed


@pytest.mark.parametrize(
    ("answer", "chosen"),
    [
        ("The answer is B.\n\nThe answer is C.", "C"),
        ("Option: A\nOption: C", "C"),
        ("A\nB\nC", "C"),
        ("Consider A. Consider B. Consider C.\n\nOverall B", "B"),
        ("Neither fits, so none.", None),
    ],
)
def test_of_several_letters_the_predecessor_took_the_last(
    tmp_path: Path, answer: str, chosen: str | None
) -> None:
    for letter in "ABC":
        question, told = listed(tmp_path, f"expected: {letter}, scoring_method: multiple_choice")
        assert told == [] and examine(question, answer, "stop").score.passed is (
            letter == chosen
        ), (answer, letter)


def test_what_stands_beside_the_sampling_of_a_suite_is_named(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(
        "inference_params: {temperature: 0.1, top_p: 0.9}\nprompts:\n  q: {tier: 1, prompt: x}\n"
    )
    suite, problems = load_suite(file)
    assert not problems and [str(each) for each in suite.notices] == [
        f"{file}: keys that are not used here: inference_params.top_p (line 1)"
    ]


def test_an_empty_path_is_no_image(tmp_path: Path) -> None:
    question, told = listed(tmp_path, "expected: x, image_path: ''")
    assert told == [] and question.images == ()
