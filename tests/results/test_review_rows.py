"""A review's CSV file: rows are read back as written, and a spreadsheet runs no text."""

from __future__ import annotations

import csv
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scripts.lib.base.stored_json import Damaged
from scripts.lib.base.untrusted_text import csv_value, formula_quoted, formula_unquoted, one_line
from scripts.lib.engines.speculation_log import ALL
from scripts.lib.planning.cell_record import Count
from scripts.lib.results.review_rows import COLUMNS, ReviewRow, read_review, to_csv
from scripts.lib.results.symptoms import Symptom
from scripts.lib.settings.speculators import BY_NAME
from tests.factories.checkout import ROOT
from tests.factories.results_trees import review_row

MARKS = "=+-@＝＋－＠\t"
# Texts with more quotes and marks at their beginning than chance would bring.
TEXTS = st.builds(
    str.__add__,
    st.text(st.sampled_from(f"'{MARKS}"), max_size=3),
    st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"])),
)
COUNTS = st.dictionaries(
    st.sampled_from([*BY_NAME, ALL]),
    st.builds(Count, *[st.integers(min_value=0)] * 4),
)
BY_TYPE: dict[str, st.SearchStrategy[Any]] = {
    "str": TEXTS,
    "int": st.integers(),
    "int | None": st.none() | st.integers(),
    "float": st.floats(allow_nan=False),
    "float | None": st.none() | st.floats(allow_nan=False),
    "bool | None": st.none() | st.booleans(),
    "tuple[int, ...]": st.lists(st.integers(min_value=0)).map(tuple),
    "Counts": COUNTS,
    "tuple[Symptom, ...]": st.lists(st.sampled_from(Symptom), unique=True).map(tuple),
}
ROWS = st.builds(ReviewRow, **{field.name: BY_TYPE[str(field.type)] for field in fields(ReviewRow)})
COMMITTED = sorted((ROOT / "benchmarks/results/reviews").glob("*/*/*.csv"))


def read_back(rows: list[ReviewRow], folder: Path) -> list[ReviewRow]:
    file = folder / "review.csv"
    file.write_text(to_csv(rows), encoding="utf-8", newline="")
    return list(read_review(file))


def test_every_field_has_a_column() -> None:
    assert list(COLUMNS) == [field.name for field in fields(ReviewRow)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(ROWS, max_size=3))
def test_rows_are_read_back_as_they_were(tmp_path: Path, rows: list[ReviewRow]) -> None:
    assert read_back(rows, tmp_path) == rows


@pytest.mark.parametrize(
    "text",
    ["", "'", "-", "'-", "'text'", *(f"{mark}1" for mark in MARKS), "'=1", "''=1", 'a,b\n"c"\t'],
)
def test_a_text_is_read_back_whatever_it_begins_with(text: str, tmp_path: Path) -> None:
    row = review_row(score_reason=text, error=text)
    assert read_back([row], tmp_path) == [row]


@given(TEXTS)
def test_the_quote_before_a_formula_is_taken_off_again(text: str) -> None:
    assert formula_unquoted(formula_quoted(text)) == text
    assert csv_value(text) == formula_quoted(one_line(text)), "tables quote in the same way"


@given(TEXTS)
def test_no_field_is_run_as_a_formula(text: str) -> None:
    (_, line) = csv.reader(to_csv([review_row(score_reason=text)]).splitlines())
    shown = line[list(COLUMNS).index("score_reason")]
    assert len(shown) < 2 or shown[0] not in MARKS


@pytest.mark.parametrize("file", COMMITTED, ids=lambda file: f"{file.parent.name}-{file.name}")
def test_committed_reviews_are_read_and_written_as_they_are(file: Path) -> None:
    assert to_csv(read_review(file)) == file.read_text(encoding="utf-8")


def test_a_quote_of_before_is_taken_off_too() -> None:
    """Until now a lone mark was quoted as well."""
    assert [formula_unquoted(text) for text in ("'-", "'=1", "'word'")] == ["-", "=1", "'word'"]


def test_other_columns_are_named(tmp_path: Path) -> None:
    file = tmp_path / "review.csv"
    file.write_text("suite,question_id\nx,y\n")
    with pytest.raises(Damaged, match="column 3: expected tokens_per_second"):
        read_review(file)


def test_what_a_cell_says_of_its_speculators_is_in_its_row(tmp_path: Path) -> None:
    counts = {"lookup": Count(40, 12, 180, 66), "mtp": Count(28, 28, 112, 70)}
    row = review_row(accepted_by_position=(30, 12, 1), speculators=counts)
    text = to_csv([row])
    assert ",30 12 1,lookup 40/12/180/66; mtp 28/28/112/70," in text
    (found,) = read_back([row], tmp_path)
    assert found == row and list(found.speculators) == ["lookup", "mtp"]


@pytest.mark.parametrize(
    "text",
    ["lookup 1/2/3", "lookup 1/2/3/4/5", "1/2/3/4", "mtp a/b/c/d", "mtp 1/1/1/1; mtp 1/1/1/1"],
)
def test_counts_that_nobody_wrote_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"a name and 4 counts|invalid literal"):
        COLUMNS["speculators"].read(text)
