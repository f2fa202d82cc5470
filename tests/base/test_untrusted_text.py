"""Hostile texts stay text in Markdown, CSV, JSON inside HTML, terminals; no browser runs them."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.lib.base.errors import fail
from scripts.lib.base.markdown import code, link, quoted, table, text
from scripts.lib.base.untrusted_text import csv_text, csv_value, json_in_html, one_line, printable
from scripts.lib.pages.pictures import draw
from scripts.lib.pages.sections import evidence, quality
from scripts.lib.planning.left_out import LeftOut
from scripts.lib.planning.plan import Plan
from scripts.lib.tables.profile_part import ProfilePart
from scripts.lib.tables.tidy import tidy_csv
from tests.factories.hostile import GROUPS, HOSTILE, MARKER
from tests.factories.markdown_reader import read_markdown
from tests.factories.plans import planner
from tests.factories.table_rows import row

CATEGORIES_OF_CONTROL = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def drives_a_terminal(shown: str) -> bool:
    return any(
        unicodedata.category(c) in CATEGORIES_OF_CONTROL
        for c in shown.replace("\n", "").replace("\t", "")
    )


def test_the_corpus_has_every_kind_and_no_doubles() -> None:
    assert all(len(texts) >= 5 for texts in GROUPS.values())
    assert len(HOSTILE) == sum(map(len, GROUPS.values())) and len(set(HOSTILE.values())) == len(
        HOSTILE
    )


@pytest.mark.parametrize("name", HOSTILE)
def test_foreign_text_is_one_harmless_line(name: str) -> None:
    hostile = HOSTILE[name]
    for shown in (one_line(hostile), text(hostile), code(hostile), quoted(hostile)):
        assert "\n" not in shown and not drives_a_terminal(shown)
        shown.encode("utf-8")
    assert not drives_a_terminal(printable(hostile, keep="\n\t"))
    assert len(quoted("x" * 5000)) < 220


@pytest.mark.parametrize("name", HOSTILE)
def test_in_markdown_it_is_neither_markup_nor_link_nor_another_cell(name: str) -> None:
    hostile = HOSTILE[name]
    rows = [
        [
            text(hostile),
            code(hostile),
            quoted(hostile),
            link(code(hostile), f"benchmarks/{hostile[:50]}".encode("utf-8", "replace").decode()),
        ]
    ]
    page = read_markdown(
        f"before\n\n{table(rows, ('a', 'b', 'c', 'd'))}\n\n"
        f"- {text(hostile)} and {quoted(hostile)}\n\nafter\n"
    )
    assert page.tables == [(1, 4)] and page.headings == 0 and page.html == [] and page.images == 0
    assert len(page.links) == 1 and page.links[0].startswith("../../../benchmarks/")
    assert page.emphasis == 0


@pytest.mark.parametrize("name", HOSTILE)
def test_in_csv_it_is_one_field_and_no_formula(name: str) -> None:
    made = csv_text(["a", "b", "c"], [[HOSTILE[name], 1.5, None], ["x", HOSTILE[name], True]])
    assert len(made.splitlines()) == 3 and not drives_a_terminal(made)
    rows = list(csv.reader(io.StringIO(made)))
    assert [len(found) for found in rows] == [3, 3, 3] and rows[1][1:] == ["1.5", ""]
    assert not re.match(r"\s*[=+\-@＝＋－＠].", rows[1][0])
    assert csv_value(-2.5) == "-2.5" and csv_value("-") == "-" and csv_value("-1") == "'-1"


@pytest.mark.parametrize("name", HOSTILE)
def test_in_a_pages_json_it_cannot_end_the_element(name: str) -> None:
    made = json_in_html({HOSTILE[name]: [HOSTILE[name], 1, None]})
    assert not set("<>&\u2028\u2029") & set(made) and not drives_a_terminal(
        re.sub("[\ue000\U000f0000\ufffe\uffff]", "", made)
    )
    made.encode("utf-8")
    assert json.loads(made) == {HOSTILE[name]: [HOSTILE[name], 1, None]}


@pytest.mark.parametrize("name", HOSTILE)
def test_an_error_message_drives_no_terminal(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        fail(f"file: key: {HOSTILE[name]}")
    said = capsys.readouterr().err
    assert said.startswith("error: file: key: ") and not drives_a_terminal(said)


def hostile_part() -> ProfilePart:
    """Failures, reasons, suites, questions, reasons for leaving out: all of them hostile."""
    base, plan_of = row("m", 30), planner()
    texts = list(HOSTILE.values())
    failed = [
        replace(base.rows[0], question_id=f"x{n}", status="error", error=t, score=None)
        for n, t in enumerate(texts)
    ]
    answered = [
        replace(base.rows[0], question_id=t, suite=t, score_reason=t, cell_file=f"c/{n}")
        for n, t in enumerate(texts)
    ]
    left_out = tuple(LeftOut(f"m{n}", "*", t) for n, t in enumerate(texts))
    everything = replace(base, rows=(*base.rows, *failed, *answered))
    return ProfilePart(
        Plan(plan_of.hardware, plan_of.engine, (), left_out, tuple(texts), {}),
        (everything,),
        {},
        True,
    )


def test_sections_of_the_page_hold_hostile_failures_suites_and_reasons() -> None:
    part = hostile_part()
    page = read_markdown(f"{evidence.failures(part)}\n\n{quality.suites_table(part)}\n")
    assert (
        [columns for _, columns in page.tables] == [5, 2 + len(part.suites)]
        and page.html == []
        and page.headings == 0
    )
    assert all(target.startswith("../../../") for target in page.links)


@pytest.mark.filterwarnings("ignore:Glyph", "ignore:constrained_layout")
def test_pictures_and_tables_hold_hostile_names() -> None:
    part = hostile_part()
    drawn = draw("suites", part)
    assert "<script" not in drawn and not drives_a_terminal(drawn)
    made = tidy_csv("cells", [part])
    assert len(list(csv.reader(io.StringIO(made)))) == 1 + part.measured and not drives_a_terminal(
        made
    )


def test_the_made_up_projects_pages_hold_hostile_answers(sample: Path) -> None:
    for file in (sample / "docs/reference").rglob("*.md"):
        page = read_markdown(file.read_text(encoding="utf-8"))
        assert {re.sub(r"\s.*", "", found) for found in page.html} <= {
            "<details>",
            "</details>",
            "<summary>",
        }, file
        assert all(not target.startswith(("http", "javascript")) for target in page.links), file
        assert MARKER not in "".join(page.html)
