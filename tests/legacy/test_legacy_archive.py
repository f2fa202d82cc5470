"""The predecessor's archive as it is: its kinds of files, its reviews' runs, its rounding."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from scripts.lib.legacy.history import Kind
from scripts.lib.legacy.runs import LegacyRun
from scripts.lib.legacy.tables import Imported, history_tables
from scripts.lib.legacy.values import half_up, speed
from scripts.lib.planning.modes import Mode
from tests.factories.legacy_archive import (
    CODER,
    NOT_STARTED,
    RUN_ID,
    SPEEDS,
    Archive,
    answer,
    put_every_shape,
    run_file,
)
from tests.factories.legacy_runs import imported, page_of, row, unplaced

LABEL = "Qwen2.5-Coder-32B-Instruct-Q4_K_M"
OTHER = CODER.replace("32B", "7B")


def beside(found: Imported) -> dict[str, str]:
    """Review file -> the stem of the run file that it was put beside."""
    return {Path(r.source).stem: Path(r.run).stem for r in found.history.reviews}


def changed(speeds: Sequence[float], places: int) -> list[float]:
    """The same speeds, the first ones measured again."""
    return [s + 5 if n < places else s for n, s in enumerate(speeds)]


# --- every shape ----------------------------------------------------------------------------------


def test_every_shape_is_imported_or_named_with_the_reason(archive: Archive) -> None:
    expected = put_every_shape(archive)
    found = imported(archive.folder)
    said = {source.file: (source.kind.value, source.note) for source in found.history.sources}
    assert said.keys() == expected.keys()
    for path, (kind, beginning) in expected.items():
        assert said[path][0] == kind and said[path][1].startswith(beginning), (path, said[path])
        assert kind != Kind.UNPLACED.value or unplaced(found)[path] == said[path][1]
    assert len(NOT_STARTED.encode()) == 82
    assert page_of(found) and all(text.encode() for text in history_tables(found).values())


def test_a_review_of_questions_alone_takes_the_suites_from_its_run(archive: Archive) -> None:
    put_every_shape(archive)
    found = imported(archive.folder)
    scores = row(found, "Short").review.scores  # type: ignore[union-attr]
    assert (
        list(scores) == [("math", "t1_q0_x")]
        and scores["math", "t1_q0_x"].reason == "right, but long"
    )
    assert unplaced(found)["reviews/vl_short_baseline.csv: t9_q9_gone"].startswith(
        "the suite is neither in the review nor clear from its run"
    )


# --- whose scores they are ------------------------------------------------------------------------


def test_a_review_of_another_name_finds_its_run_by_its_speeds(archive: Archive) -> None:
    put_every_shape(archive)
    found = imported(archive.folder)
    assert beside(found)["qwen_coder_32b_with_4_experts_rescored"] == "coder_escalation_moe4"
    assert row(found, f"{LABEL}_moe4").passes == {"math": (12, 12)}
    assert "qwen_coder_32b" not in str(unplaced(found))
    scored = [
        r
        for r in csv.DictReader(history_tables(found)["answers.csv"].splitlines())
        if r["mode"] == "moe4"
    ]
    assert [r["claude_score_rescored"] for r in scored] == ["3"] * 12 and {
        r["claude_score_first"] for r in scored
    } == {""}


@pytest.mark.parametrize(
    ("printed", "why"),
    [
        (SPEEDS, ""),
        ([f"{s:.1f}" for s in SPEEDS], ""),
        ([f"{s:.2f} t/s" for s in SPEEDS], ""),
        (changed(SPEEDS, 1), ""),
        ([*SPEEDS[:10], 0, 0], ""),
        ([*SPEEDS[:10], "", "nan"], ""),
        (changed(SPEEDS, 2), "and no run has its speeds: at most 10 of 12 are equal, in "),
        (
            [*SPEEDS[:9], 0, 0, 0],
            "and 9 speeds above 0 are too few to find its run by: at least 10, or 3",
        ),
        ([0] * 12, "and 0 speeds above 0 are too few to find its run by: at least 10, or 3"),
        ([1] * 12, "and no run has its speeds"),
    ],
    ids=[
        "all",
        "one digit",
        "with unit",
        "11 of 12",
        "ten and zeros",
        "ten and nothing",
        "10 of 12",
        "nine",
        "zeros",
        "none",
    ],
)
def test_nine_of_ten_speeds_of_at_least_ten_are_asked_for(
    archive: Archive, printed: list[Any], why: str
) -> None:
    archive.measured(SPEEDS)
    archive.measured([s + 1 for s in SPEEDS], "other_baseline", model_path=OTHER)
    archive.scored("by_hand", printed)
    found = imported(archive.folder)
    assert beside(found) == {"by_hand": "" if why else "coder_escalation_baseline"}
    reason = unplaced(found).get("reviews/by_hand.csv", "")
    assert (
        reason.startswith(f"scores of an unknown run: there is no by_hand.json, {why}")
        if why
        else reason == ""
    )


@pytest.mark.parametrize(
    ("name", "speeds", "run"),
    [
        (
            "vision_qwen3_235b_baseline_rescored",
            (3.52, 3.9, 3.79, "", ""),
            "vision_qwen3_235b_a22b_baseline",
        ),
        ("vision_qwen3_235b_baseline_rescored", (3.52, 3.9, 0), ""),
        ("vision_qwen3_235b_baseline_rescored", (3.52, 3.9, 3.78), ""),
        ("vision_qwen3_30b_baseline_rescored", (3.52, 3.9, 3.79), ""),
    ],
)
def test_few_speeds_tell_where_all_are_equal_and_the_names_are_alike(
    archive: Archive, name: str, speeds: Sequence[Any], run: str
) -> None:
    archive.measured([3.52, 3.9, 3.79, 0, 0], "vision_qwen3_235b_a22b_baseline")
    archive.measured([4.58, 5.17, 5.41, 5.65], "vision_qwen3_235b_a22b_moe6")
    archive.scored(name, speeds)
    assert beside(imported(archive.folder)) == {name: run}


def test_speeds_of_whole_tens_are_no_license_for_any_run(archive: Archive) -> None:
    archive.measured(SPEEDS)
    archive.scored("by_hand", [10] * 12)
    # As whole numbers 9.8, 9.74 and 9.81 are 10, 9.46 and 9.45 are not.
    assert "at most 3 of 12 are equal" in unplaced(imported(archive.folder))["reviews/by_hand.csv"]


def test_speeds_of_two_models_leave_a_review_alone_and_name_both(archive: Archive) -> None:
    archive.measured(SPEEDS)
    archive.measured(SPEEDS, "other_baseline", model_path=OTHER)
    archive.scored("by_hand", SPEEDS)
    found = imported(archive.folder)
    runs = f"runs/{RUN_ID}/coder_escalation_baseline.json, runs/{RUN_ID}/other_baseline.json"
    assert unplaced(found)["reviews/by_hand.csv"].endswith(f"and 2 runs have its speeds: {runs}")
    assert beside(found) == {"by_hand": ""} and row(found, LABEL).review is None


def test_all_speeds_equal_is_more_than_nine_of_ten(archive: Archive) -> None:
    archive.measured(changed(SPEEDS, 1))
    archive.measured(SPEEDS, "other_baseline", model_path=OTHER)
    archive.scored("by_hand", SPEEDS)
    assert beside(imported(archive.folder)) == {"by_hand": "other_baseline"}


def test_runs_of_one_model_and_mode_do_not_compete(archive: Archive) -> None:
    for stem, run_id in (
        ("a_baseline", "20251201_000000"),
        ("b_baseline", "2025-12-24_000000"),
        ("c_baseline", "copy_9"),
    ):
        archive.measured(SPEEDS, stem, run_id=run_id, timestamp="2025-12-01T00:00:00")
    archive.scored("by_hand", SPEEDS)
    assert beside(imported(archive.folder)) == {"by_hand": "b_baseline"}


def test_a_role_that_two_models_had_gives_its_review_to_the_one_with_the_speeds(
    archive: Archive,
) -> None:
    archive.measured(SPEEDS, run_id="20251101_000000", model_path=OTHER)
    archive.measured([s + 1 for s in SPEEDS], run_id="20251201_000000")
    archive.scored("coder_escalation_baseline", SPEEDS)
    found = imported(archive.folder)
    assert row(found, LABEL).review is None
    assert row(found, LABEL.replace("32B", "7B")).passes == {"math": (12, 12)}


def test_speeds_of_another_run_are_stronger_than_the_name(archive: Archive) -> None:
    archive.measured([s + 1 for s in SPEEDS])
    archive.measured(SPEEDS, "old_coder_baseline", model_path=OTHER)
    archive.scored("coder_escalation_baseline", SPEEDS)
    assert beside(imported(archive.folder)) == {"coder_escalation_baseline": "old_coder_baseline"}


def test_a_match_by_name_alone_is_listed(archive: Archive) -> None:
    archive.measured(SPEEDS)
    archive.scored("coder_escalation_baseline", changed(SPEEDS, 6))
    found = imported(archive.folder)
    assert row(found, LABEL).passes == {"math": (12, 12)}
    said = unplaced(found)["reviews/coder_escalation_baseline.csv"]
    assert said.startswith(
        "matched to its run by its name only: at most 6 of 12 speeds are equal: runs/"
    )


def test_the_other_rounds_review_tells_where_the_speeds_are_missing(archive: Archive) -> None:
    archive.measured(SPEEDS)
    archive.scored("by_hand", SPEEDS, 3)
    archive.scored("by_hand_rescored", [""] * 12, 1)
    found = imported(archive.folder)
    assert set(beside(found).values()) == {"coder_escalation_baseline"} and unplaced(found) == {}
    assert row(found, LABEL).passes == {"math": (0, 12)}


def test_two_reviews_of_one_run_and_round_are_listed(archive: Archive) -> None:
    archive.measured(SPEEDS)
    archive.scored("coder_escalation_baseline", SPEEDS, 3)
    archive.scored("a_copy_by_hand", SPEEDS, 1)
    found = imported(archive.folder)
    assert row(found, LABEL).passes == {"math": (12, 12)}
    assert unplaced(found) == {
        "reviews/a_copy_by_hand.csv": "another review of its run is used: "
        "reviews/coder_escalation_baseline.csv"
    }


def test_scores_of_an_older_run_stand_in_the_row_with_a_mark(archive: Archive) -> None:
    archive.measured(SPEEDS, "old_coder_baseline", run_id="20251101_000000")
    archive.measured([s + 1 for s in SPEEDS], run_id="20251201_000000")
    archive.scored("old_coder_baseline_rescored", SPEEDS)
    found = imported(archive.folder)
    assert row(found, LABEL).passes == {"math": (12, 12)} and "†‡" in page_of(found)
    assert found.summary.splitlines()[1].split(",")[9:11] == ["100%†", "9.3"]


# --- figures --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [
        *(
            (9.35, 1, "9.4"),
            ((9.3 + 9.4) / 2, 1, "9.4"),
            (9.349, 1, "9.3"),
            (0.25, 1, "0.3"),
            (1.005, 2, "1.01"),
        ),
        *(
            (62.5, 0, "63"),
            (0.5, 0, "1"),
            (100 * 1 / 3, 0, "33"),
            (9.349999999999999, 1, "9.4"),
            (10.0, 1, "10.0"),
        ),
    ],
)
def test_halves_are_rounded_up(value: float, digits: int, shown: str) -> None:
    assert half_up(value, digits) == shown


def test_medians_and_percentages_round_halves_up_and_stated_means_as_python_does(
    archive: Archive,
) -> None:
    archive.measured([9.35] * 8)
    archive.run("spec_draft_a_k8", 14.25)
    archive.run("lookup_n3", 9.95)
    archive.run("lookup_n4", 10.75)
    archive.review(
        "coder_escalation_baseline_rescored",
        *(f"math,t1_q{n}_x,9.25,{3 if n < 5 else 1},y" for n in range(8)),
    )
    (line,) = csv.reader(imported(archive.folder).summary.splitlines()[1:])
    assert line[8:] == [
        "5/8",
        "63%†",
        "9.3",
        "a",
        "14.2",
        "k8:14.2",
        "10.8",
        "n3:9.9,n4:10.8",
        "",
        "",
    ]


def test_a_mean_that_a_run_states_is_printed_as_python_does(archive: Archive) -> None:
    archive.measured([9.0, 11.0], summary={"avg_tokens_per_second": 9.95})
    assert base_speed(imported(archive.folder)) == "9.9"


def base_speed(found: Imported) -> str:
    (line,) = csv.reader(found.summary.splitlines()[1:])
    return line[10]


@pytest.mark.parametrize(
    ("stated", "shown"), [({}, "10.0"), ({"avg_tokens_per_second": 9.7}, "9.7")]
)
def test_a_speed_of_0_is_a_timeout_and_in_no_mean_and_no_median(
    archive: Archive, stated: Any, shown: str
) -> None:
    archive.measured([9.0, 10.0, 11.0, 0], summary=stated)
    found = imported(archive.folder)
    assert base_speed(found) == shown
    runs = list(csv.DictReader(history_tables(found)["runs.csv"].splitlines()))
    assert runs[0]["tokens_per_second_median"] == "10.0"
    archive.scored("coder_escalation_baseline_rescored", [9.0, 10.0, 12.0, 0, 0, 0])
    assert base_speed(imported(archive.folder)) == "10.0"


def test_a_mode_that_timed_out_has_no_speed_in_the_sweep(archive: Archive) -> None:
    archive.run(speed=10.0)
    archive.run("spec_draft_a_k4", 0)
    archive.run("spec_draft_a_k8", 12.0)
    archive.run("lookup_n3", 0)
    assert imported(archive.folder).summary.splitlines()[1].endswith(",10.0,a,12.0,k8:12.0,,,,")


@pytest.mark.parametrize(
    ("value", "read"),
    [
        *(
            ("12.3 t/s", 12.3),
            ("~12 tok/s", 12.0),
            ("12.3 tokens/s", 12.3),
            (" 12.3", 12.3),
            (12, 12.0),
            ("0", 0.0),
        ),
        *(
            (None, None),
            ("", None),
            ("nan", None),
            ("inf", None),
            (-1, None),
            (True, None),
            ("fast", None),
            ([1], None),
        ),
    ],
)
def test_speeds_are_read_as_they_were_written(value: Any, read: float | None) -> None:
    assert speed(value) == read


def test_spellings_marks_and_line_ends_change_nothing(archive: Archive) -> None:
    results = {
        "Instruction Precision": {"t1_q1_x": answer(9.5)},
        "long-context": {"t1_q1_y": {"tokens_per_second": "9.5 t/s"}},
    }
    archive.run(results=results, summary=None)
    lines = (
        "Suite, Question_ID, tokens_per_second, claude_score, score_reason",
        *(
            "instruction-precision,t1_q1_x,9.5,3,a",
            "Long Context,t1_q1_y,9.5,1,b",
            "Long Context,t1_q1_y,9.5,1,b",
        ),
    )
    archive.put(
        "reviews/coder_escalation_baseline.csv", b"\xef\xbb\xbf" + "\r\n".join(lines).encode()
    )
    found = imported(archive.folder)
    assert row(found, LABEL).passes == {"instruction_precision": (1, 1), "long_context": (0, 1)}
    assert unplaced(found) == {
        "reviews/coder_escalation_baseline.csv: line 4": "appears twice: long_context/t1_q1_y"
    }


@pytest.mark.parametrize(
    "folders",
    [
        ("20251220_214317", "20251221_000000"),
        ("20251220_214317", "2025-12-21_000000"),
        ("2025-12-20_21-43-17", "20251220_214318"),
        ("qwen3_20251220_214317", "20251221"),
        ("test_9", "20251220_214317"),
        ("20251220_214317", "2025-12-20_214317_again"),
    ],
)
def test_folders_are_in_the_order_of_their_dates(folders: tuple[str, str]) -> None:
    older, newer = (
        LegacyRun("x.json", name, str(n), "", "", "", Mode("baseline"), ())
        for n, name in enumerate(folders)
    )
    assert older.order < newer.order


def test_a_run_without_a_weights_file_has_its_roles_name(archive: Archive) -> None:
    for role in ("a", "b"):
        archive.run(model_path=None, model_role=role)
    assert [r.label for r in imported(archive.folder).rows] == ["a", "b"]


# --- what remains different -----------------------------------------------------------------------


def test_differences_name_their_columns_and_what_ours_rest_on(archive: Archive) -> None:
    put_every_shape(archive)
    archive.run("spec_draft_a_k4", 99.0)
    head, *lines = imported(archive.folder).summary.splitlines()
    theirs = [head]
    for line in lines:
        changes = {
            f"{LABEL},": ("9.3,a,20.0,k8:20.0", '9.2,a,99.0,"k4:99.0,k8:20.0"'),
            f"{LABEL}_moe4,": ("12/12", "11/12"),
        }
        old, new = next(
            (change for label, change in changes.items() if line.startswith(label)), ("", "")
        )
        assert old in line
        theirs.append(line.replace(old, new))
    theirs = [*(line for line in theirs if not line.startswith("Short,")), "ORCHESTRATOR,1/1"]
    archive.put("reviews/summary.csv", "\r\n".join(theirs) + "\r\n")
    found = imported(archive.folder)
    table = {
        r["model"]: r
        for r in csv.DictReader(history_tables(found)["summary_differences.csv"].splitlines())
    }
    assert table.keys() == {LABEL, f"{LABEL}_moe4", "Short", "ORCHESTRATOR"}
    assert table[LABEL]["columns"] == "avg_tps, spec_best_tps, spec_k_results"
    evidence = table[LABEL]["evidence"]
    assert evidence.startswith(
        f"speed: runs/{RUN_ID}/coder_escalation_baseline.json; "
        "modes: spec_draft_a_k4 is struck out ("
    )
    assert table[f"{LABEL}_moe4"]["columns"] == "math, total"
    assert (
        table[f"{LABEL}_moe4"]["evidence"]
        == "scores: reviews/qwen_coder_32b_with_4_experts_rescored.csv"
    )
    assert table["Short"]["evidence"] == "the archive's summary has no such row"
    assert table["ORCHESTRATOR"]["evidence"] == "no run in the archive has that name"


@pytest.mark.parametrize("remark", ["", "truncated, mostly"])
def test_a_remark_behind_the_last_column_is_listed(archive: Archive, remark: str) -> None:
    archive.measured([9.0, 11.0])
    head, line = imported(archive.folder).summary.splitlines()
    fields = [*next(csv.reader([line])), remark]
    fields.insert(8, "")
    archive.put("reviews/summary.csv", f'{head}\r\n{",".join(fields[:-1])},"{remark}"\r\n')
    (row,) = csv.DictReader(
        history_tables(imported(archive.folder))["summary_differences.csv"].splitlines()
    )
    assert row["columns"] == "remark" and row["evidence"].startswith(
        "remark: the archive's line has more fields"
    )


def test_a_summary_that_is_not_csv_stops_nothing(archive: Archive) -> None:
    archive.run()
    archive.put("reviews/summary.csv", f'model\r\n{LABEL},"{"x" * 200_000}\r\n"""\r\n')
    assert [d.model for d in imported(archive.folder).differences] == [LABEL, '"""']


# --- a thousand slightly different files ----------------------------------------------------------

ODD = (
    None,
    "",
    "12.3 t/s",
    float("nan"),
    float("inf"),
    -1,
    0,
    [],
    {},
    True,
    1e308,
    "\ud800",
    "=1+1",
    ["a"],
    {"a": {"b": None}},
)


def _altered(value: Any, dice: random.Random) -> Iterator[tuple[str, Any]]:
    """The same mapping with keys missing, misspelt and of other types, here and there."""
    for key, inner in value.items():
        chance = dice.random()
        if chance < 0.05:
            continue
        shown = key.upper() if chance < 0.08 else key
        if chance > 0.95:
            yield shown, dice.choice(ODD)
        else:
            yield shown, dict(_altered(inner, dice)) if isinstance(inner, dict) else inner


def test_no_variation_of_a_file_stops_the_others(archive: Archive) -> None:
    dice = random.Random(0)
    archive.measured(SPEEDS)
    archive.scored("by_hand_rescored", SPEEDS)
    for n in range(300):
        mode = dice.choice(["baseline", "moe4", "spec_draft_a_k8", "weird"])
        content = dict(
            _altered(run_file(mode, model_role=f"role_{n}", model_path=f"/m/M{n}.gguf"), dice)
        )
        data = json.dumps(content).encode()
        data = dice.choice([data, data, b"\xef\xbb\xbf" + data, data[: dice.randrange(len(data))]])
        archive.put(
            f"runs/{dice.choice([RUN_ID, '2025-12-20_214317', 'test_9'])}/role_{n}.json", data
        )
        fields = [
            str(dice.choice(["math", "t1_q1", "3", "12.3", "", "nan", '"open', "-1"]))
            for _ in range(30)
        ]
        header = dice.choice(
            [
                "suite,question_id,tokens_per_second,claude_score,score_reason",
                "question_id,score,reason",
                "x",
            ]
        )
        archive.put(
            f"reviews/role_{n}.csv",
            "\n".join([header, *(",".join(fields[i : i + 5]) for i in range(0, 30, 5))]),
        )
    found = imported(archive.folder)
    assert len(found.history.sources) == 602 and row(found, LABEL).passes == {"math": (12, 12)}
    assert page_of(found).encode() and all(text.encode() for text in history_tables(found).values())
    listed = {item.file for item in found.unplaced}
    assert all(s.file in listed for s in found.history.sources if s.kind is Kind.UNPLACED)
