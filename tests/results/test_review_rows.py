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
from scripts.lib.results.review_rows import COLUMNS, ReviewRow, read_review, to_csv
from scripts.lib.results.symptoms import Symptom
from tests.factories.checkout import ROOT
from tests.factories.results_trees import review_row

MARKS = "=+-@＝＋－＠\t"
# Texts with more quotes and marks at their beginning than chance would bring.
TEXTS = st.builds(
    str.__add__,
    st.text(st.sampled_from(f"'{MARKS}"), max_size=3),
    st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"])),
)
BY_TYPE: dict[str, st.SearchStrategy[Any]] = {
    "str": TEXTS,
    "int": st.integers(),
    "int | None": st.none() | st.integers(),
    "float": st.floats(allow_nan=False),
    "float | None": st.none() | st.floats(allow_nan=False),
    "bool | None": st.none() | st.booleans(),
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
