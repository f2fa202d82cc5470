"""Generated contexts: chunk by chunk, always the same; how suites ask for them."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from hashlib import sha256
from itertools import islice
from pathlib import Path

import pytest

from scripts.lib.prompts.contexts import chunk_phrases
from scripts.lib.prompts.contexts.dice import Dice
from scripts.lib.prompts.contexts.generator import (
    KINDS,
    MEASURES,
    ContextSpec,
    Needle,
    estimated_tokens,
    generate,
)
from scripts.lib.prompts.loader import Question, load_suite

NEEDLE = Needle("The needle.", 0.75)
# Of 1,500 tokens by seed 7, with one needle and one distractor.
DIGESTS = {
    "document": "cb017371f356d3b7",
    "log": "4ef1ab1f2d249ea6",
    "transcript": "a55c6b0b9589310b",
    "code": "e8ad5f3c0336a690",
    "code_files": "8e3c79e3a57e666c",
    "python_project": "5acc5c2602cebe92",
    "full_project": "778ae1d175f64572",
    "legal_doc": "196d9e762c9eab93",
    "structured_doc": "42bb15a6759e3073",
    "server_logs": "9b79bd4dc8824563",
    "business_docs": "08734e4c7d2be6b3",
    "technical_docs": "7b274b656fe12b1d",
    "investigation_docs": "aa45fd20f0881a47",
    "witness_statements": "c8a1743cf32430c6",
    "email_thread": "fa25a0f127ea3c15",
    "meeting_notes": "e0ef4401fd7f3b42",
}
OWN = ("document", "log", "transcript", "code")
TYPES = tuple(name for name in DIGESTS if name not in OWN)


def chunks_of(kind: str, count: int = 40, seed: str = "a test") -> list[str]:
    return list(islice(KINDS[kind].parts(Dice(seed)), count))


def question(tmp_path: Path, keys: str) -> tuple[Question, list[str], list[str]]:
    """The question that has these keys; its file's problems and notices."""
    file = tmp_path / "long_context.yaml"
    file.write_text(f"prompts:\n  q1:\n    prompt: Where is it?\n{keys}")
    suite, problems = load_suite(file)
    return suite.questions[0], list(map(str, problems)), list(map(str, suite.notices))


# --- texts ---


def test_every_kind_is_known_here() -> None:
    assert set(DIGESTS) == set(KINDS)


@pytest.mark.parametrize("kind", DIGESTS)
def test_a_seed_gives_the_same_text_for_ever_and_another_seed_another(kind: str) -> None:
    made = generate(ContextSpec(kind, 1500, 7, (NEEDLE,), ("A distractor.",)))
    assert sha256(made.encode()).hexdigest()[:16] == DIGESTS[kind]
    assert made != generate(ContextSpec(kind, 1500, 8, (NEEDLE,), ("A distractor.",)))


@pytest.mark.parametrize("kind", TYPES)
def test_chunks_are_added_until_a_quarter_of_the_characters_reaches_the_length(kind: str) -> None:
    made = generate(ContextSpec(kind, 6000, 1))
    last = max(map(len, chunks_of(kind, 200)))
    assert 6000 <= len(made) // 4 < 6000 + last // 4 + 10
    assert made == generate(ContextSpec(kind, 6000, 1, measure="characters"))


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("depth", [0.25, 0.5, 0.75, 0.85])
def test_the_needle_is_a_chunk_of_its_own_at_its_share_of_the_chunks(
    kind: str, depth: float
) -> None:
    spec = ContextSpec(kind, 20_000, 3)
    chunks: list[str] = []
    for chunk in KINDS[kind].parts(Dice(f"{kind}/3")):
        chunks.append(chunk)
        if len("\n\n".join(chunks)) >= 80_000:
            break
    assert generate(spec) == "\n\n".join(chunks)
    at = int(len(chunks) * depth)
    assert 1 <= at < len(chunks)
    hidden = generate(ContextSpec(kind, 20_000, 3, (Needle("The needle.", depth),)))
    assert hidden == "\n\n".join([*chunks[:at], "The needle.", *chunks[at:]])


@pytest.mark.parametrize(("depth", "at"), [(0.0, 1), (0.01, 1), (1.0, -2)])
def test_the_needle_is_neither_first_nor_last(depth: float, at: int) -> None:
    made = generate(ContextSpec("server_logs", 8000, 0, (Needle("The needle.", depth),))).split(
        "\n\n"
    )
    assert made[at] == "The needle."


def test_a_context_of_one_chunk_has_its_needle_behind_it() -> None:
    made = generate(ContextSpec("server_logs", 1, 0, (Needle("The needle.", 0.5),))).split("\n\n")
    assert len(made) == 2 and made[1] == "The needle."


def test_several_needles_and_distractors_each_have_their_place() -> None:
    needles = tuple(Needle(f"Needle {depth}.", depth) for depth in (0.75, 0.25))
    made = generate(ContextSpec("server_logs", 40_000, 0, needles, ("Straw a.", "Straw b."))).split(
        "\n\n"
    )
    places = {text: made.index(text) / len(made) for text in made if not text.startswith("[")}
    assert list(places) == ["Needle 0.25.", "Straw a.", "Needle 0.75.", "Straw b."]
    assert abs(places["Needle 0.25."] - 0.25) < 0.05 and abs(places["Needle 0.75."] - 0.75) < 0.05


@pytest.mark.parametrize("kind", TYPES)
def test_sixty_thousand_tokens_take_well_under_a_second_and_repeat_no_chunk(kind: str) -> None:
    start = time.process_time()
    generate(ContextSpec(kind, 60_000, 5))
    assert time.process_time() - start < 1
    chunks = chunks_of(kind, 240)
    assert len(set(chunks)) == len(chunks) and not any(
        "|" in chunk or "$" in chunk for chunk in chunks if "```" not in chunk
    )


def test_every_slot_of_the_phrases_is_known_and_used() -> None:
    texts = json.dumps(
        [value for name, value in vars(chunk_phrases).items() if name.isupper() and name != "SLOTS"]
    )
    named = set(re.findall(r"\|(\w+)\|", texts))
    assert named <= set(chunk_phrases.SLOTS)
    # These are picked by the generators themselves.
    assert set(chunk_phrases.SLOTS) - named <= {"aspect", "market", "task", "group", "year"}


# --- what a chunk is ---


@pytest.mark.parametrize("kind", ["code_files", "python_project", "full_project"])
def test_source_files_are_classes_or_configurations_in_a_fence(kind: str) -> None:
    languages: Counter[str] = Counter()
    for chunk in chunks_of(kind, 120):
        fenced = re.fullmatch(r"```(python|javascript|json)\n(.*)\n```", chunk, re.DOTALL)
        assert fenced is not None and chunk.count("```") == 2 and 900 <= len(chunk) <= 1500
        languages[fenced[1]] += 1
        if fenced[1] == "json":
            assert json.loads(fenced[2])["service"]
        else:
            assert re.search(r"^class \w+", fenced[2], re.MULTILINE)
        if fenced[1] == "python":
            compile(fenced[2], "chunk", "exec")
    assert min(languages.values()) > 20 and len(languages) == 3


@pytest.mark.parametrize("kind", ["legal_doc", "structured_doc"])
def test_law_is_numbered_sections_of_three_to_six_subsections(kind: str) -> None:
    chunks = chunks_of(kind)
    for number, chunk in enumerate(chunks, 1):
        head, *subsections = re.split(r"\n\n### ", chunk)
        assert head.startswith(f"## Section {number}. ") and 3 <= len(subsections) <= 6
        for place, subsection in enumerate(subsections, 1):
            assert (
                subsection.startswith(f"{number}.{place} ") and 2 <= subsection.count("\n\n") <= 4
            )
    assert re.search(r"EUR \d", "".join(chunks)) and re.search(r"\d+ March 20\d\d", "".join(chunks))


def test_logs_are_blocks_of_lines_with_levels_by_share() -> None:
    chunks = chunks_of("server_logs", 200)
    assert all(30 <= len(chunk.splitlines()) <= 50 for chunk in chunks)
    lines = [line for chunk in chunks for line in chunk.splitlines()]
    form = re.compile(r"\[(2024-03-1\d \d\d:\d\d:\d\d)\] (DEBUG|INFO|WARN|ERROR) \[[\w-]+\] \S.+")
    found = [form.fullmatch(line) for line in lines]
    assert all(found) and lines[0].startswith("[2024-03-15 00:")
    times = [match[1] for match in found if match]
    assert times == sorted(times)
    share = {
        level: count / len(lines)
        for level, count in Counter(match[2] for match in found if match).items()
    }
    for level, wanted in {"DEBUG": 0.1, "INFO": 0.6, "WARN": 0.2, "ERROR": 0.1}.items():
        assert abs(share[level] - wanted) < 0.02, level


def test_business_is_reports_analyses_and_assessments_with_figures() -> None:
    chunks = chunks_of("business_docs", 90)
    kinds = Counter(
        re.sub(r"(^# |: .*| Q\d.*|\n.*)", "", chunk.splitlines()[0]) for chunk in chunks
    )
    assert kinds["Market analysis"] > 15 and kinds["Competitor assessment"] > 15
    reports = [
        chunk for chunk in chunks if re.match(r"# .+: quarterly report Q[1-4] 20\d\d\n", chunk)
    ]
    assert (
        len(reports) > 15
        and len(reports) + kinds["Market analysis"] + kinds["Competitor assessment"] == 90
    )
    assert all(re.search(r"EUR [\d.]+ million", chunk) and "%" in chunk for chunk in reports)


@pytest.mark.parametrize(
    "kind", ["technical_docs", "investigation_docs", "witness_statements", "email_thread"]
)
def test_manuals_are_topics_of_four_subtopics(kind: str) -> None:
    for chunk in chunks_of(kind):
        head, *subtopics = chunk.split("\n\n## ")
        assert head.startswith("# The ") and len(subtopics) == 4
        assert all(3 <= subtopic.count("\n\n") <= 5 for subtopic in subtopics)


def test_minutes_have_attendees_points_decisions_and_action_items() -> None:
    for chunk in chunks_of("meeting_notes"):
        assert re.match(r"# .+\n\nAttendees: .+, .+\n\n## Points\n\n- .+", chunk)
        assert (
            chunk.count("\n\n## Decisions\n\n- ") == chunk.count("\n\n## Action items\n\n- ") == 1
        )


# --- how a question asks for it ---


def test_a_type_without_a_length_is_four_thousand_tokens_and_the_question_stands_behind_a_line(
    tmp_path: Path,
) -> None:
    asked, problems, notices = question(
        tmp_path, "    context_type: legal_doc\n    needle: The key is red.\n"
    )
    assert (problems, notices) == ([], [])
    assert asked.context == ContextSpec("legal_doc", 4000, 0, (Needle("The key is red.", 0.5),))
    text = asked.prompt_text()
    assert text == f"{generate(asked.context)}\n\n---\n\nWhere is it?"
    assert (
        4000 <= len(generate(asked.context)) // 4 < 6000
        and text.count("\n\nThe key is red.\n\n") == 1
    )


@pytest.mark.parametrize(
    ("word", "depth"),
    [
        *(("early", 0.25), ("middle", 0.5), ("deep", 0.75), ("very_deep", 0.85)),
        *(
            ("beginning", 0.1),
            ("start", 0.1),
            ("late", 0.75),
            ("end", 0.9),
            ("0.31", 0.31),
            ("1", 1.0),
        ),
    ],
)
def test_words_and_numbers_of_needle_position(tmp_path: Path, word: str, depth: float) -> None:
    keys = f"    context_type: server_logs\n    needle: It is here.\n    needle_position: {word}\n"
    asked, problems, notices = question(tmp_path, keys)
    assert (problems, notices) == ([], []) and asked.context is not None
    assert asked.context.needles == (Needle("It is here.", depth),)


def test_another_word_is_the_middle_and_said_a_slip_is_an_error(tmp_path: Path) -> None:
    keys = "    context_type: server_logs\n    needle: It is here.\n    needle_position: {}\n"
    asked, problems, notices = question(tmp_path, keys.format("somewhere"))
    assert problems == [] and asked.context is not None and asked.context.needles[0].position == 0.5
    assert (
        len(notices) == 1
        and "long_context.yaml:6: prompts.q1.needle_position: unknown word 'somewhere'"
        in notices[0]
    )
    _, problems, notices = question(tmp_path, keys.format("very_dep"))
    assert notices == [] and len(problems) == 1
    assert problems[0].endswith(
        ":6: prompts.q1.needle_position: unknown word 'very_dep'; did you mean 'very_deep'?"
    )


def test_a_key_says_which_measure_the_length_is_in(tmp_path: Path) -> None:
    assert set(MEASURES) == {"tokens", "characters"}
    sizes = {}
    for kind in ("server_logs", "log"):
        for measure in ("", *MEASURES):
            keys = f"    context_type: {kind}\n    context_tokens: 20000\n"
            keys += f"    context_measure: '{measure}'\n"
            asked, problems, _ = question(tmp_path, keys)
            assert problems == [] and asked.context is not None
            sizes[kind, measure] = len(generate(asked.context))
    # Their own: characters for the predecessor's, tokens (of 1.7 characters in a log) for the
    # project's.
    assert (
        sizes["server_logs", ""] == sizes["server_logs", "characters"]
        and 80_000 <= sizes["server_logs", ""] < 85_000
    )
    assert sizes["log", ""] == sizes["log", "tokens"] and abs(sizes["log", ""] - 34_000) < 200
    assert abs(sizes["log", "characters"] - 80_000) < 200
    assert (
        abs(estimated_tokens("x" * sizes["server_logs", "tokens"], "server_logs") - 20_000) < 3000
    )
    _, problems, _ = question(tmp_path, "    context_type: log\n    context_measure: token\n")
    assert problems[0].endswith("context_measure: unknown measure 'token'; did you mean 'tokens'?")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            "needle: It is here.",
            "needle: has no effect without context_tokens or context_type",
        ),
        (
            "context_type: sever_logs",
            "context_type: unknown kind 'sever_logs'; did you mean 'server_logs'?",
        ),
        (
            "context_tokens: many",
            "context_tokens: expected a whole number from 1 to 2000000, found 'many'",
        ),
        ("context_typ: server_logs", "context_typ: unknown key; did you mean 'context_type'?"),
    ],
)
def test_what_is_asked_in_the_wrong_form_is_told(tmp_path: Path, keys: str, message: str) -> None:
    asked, problems, _ = question(tmp_path, f"    {keys}\n")
    assert asked.context is None and len(problems) == 1 and message in problems[0]
