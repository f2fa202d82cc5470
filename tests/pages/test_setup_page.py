"""A setup's part of report.html: commands, record and answers; two answers, word by word."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from scripts.lib.base.errors import BenchError
from scripts.lib.pages.setup_record import VARIES, LinePool, read_cell_file, setup_record
from scripts.lib.planning.modes import Mode
from scripts.lib.results.symptoms import Symptom
from scripts.lib.tables.setups import Setup
from tests.factories.browser import Page
from tests.factories.plans import model
from tests.factories.report_page import choose, column, open_link, settle, texts
from tests.factories.table_rows import ROW

pytestmark = pytest.mark.slow


def diff(page: Page, left: str, right: str) -> list[tuple[str, str]] | None:
    found = page.evaluate(f"wordDiff({json.dumps(left)}, {json.dumps(right)})")
    return None if found is None else [(kind, text) for kind, text in found]


def lines_of(page: Page, section: str) -> dict[str, str]:
    names, values = (texts(page, f"#setup-{section} {cell}") for cell in ("th", "td"))
    return dict(zip(names, values, strict=True))


# --- the record ---


def test_a_setups_link_shows_its_commands_record_and_answers(page: Page, sample: Path) -> None:
    open_link(page, setup="big_dense/spec_little_draft_k4")
    assert texts(page, "#setup-title") == ["Setup big_dense spec_little_draft_k4"]
    assert texts(page, "#setup-commands pre") == [
        "python -m scripts.launch --model big_dense --mode spec_little_draft_k4",
        "snakemake -j8 results_big_dense",
    ]
    cell = next(
        (sample / "benchmarks/results/cells").rglob("big_dense/spec_little_draft_k4/*/*.json")
    )
    spec = json.loads(cell.read_text(encoding="utf-8"))["spec"]
    settings = lines_of(page, "settings")
    assert settings["context.length_tokens"] == str(spec["context"]["length_tokens"])
    assert settings["mode.draft"] == spec["mode"]["draft"] and settings["mode.k"] == "4"
    assert not any(name.startswith(("prompt", "repeat")) for name in settings)
    guards = lines_of(page, "guards")
    assert guards["the engine ran as mode and profile ask"] == "yes, in all of 25 cells"
    assert guards["its answers against its base's"] == "numeric tie"
    assert len(column(page, "setup-answers", 1)) == 10 and page.errors == []


def test_impossible_and_failed_setups_say_so_among_their_guards(page: Page) -> None:
    open_link(page, setup="big_dense/spec_little_draft_k16")
    assert lines_of(page, "guards")["the speed is possible"].startswith("no: ")
    open_link(page, setup="small/lookup_n4")
    assert lines_of(page, "guards")["errors of the engine"] == "25 of 25 cells"


def test_a_setup_is_opened_from_a_table_selected_and_closed_by_keyboard(page: Page) -> None:
    page.evaluate(
        "document.querySelector('#choice-table a[aria-label=\"setup big_moe baseline\"]').focus()"
    )
    page.press("Enter")
    settle(page)
    assert page.evaluate("document.activeElement.id") == "setup-title"
    assert parse_qs(page.evaluate("location.hash.slice(1)")) == {"setup": ["big_moe/baseline"]}
    for words in ("Close this setup", "Select it"):
        page.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == words
    page.press("Enter")
    settle(page)
    assert column(page, "setup-table", 3) == ["baseline"]
    page.evaluate("document.getElementById('setup-close').focus()")
    page.press("Enter")
    settle(page)
    assert page.evaluate("document.getElementById('setup').hidden") is True
    assert page.evaluate("document.activeElement.id") == "choose-title"


def test_what_differs_between_a_setups_cells_is_named_so() -> None:
    c = Setup("h", "embedded", model("m"), Mode("baseline"), (ROW,), 1)
    cells = [
        {
            "spec": {"prompt": {"user": "?"}, "a": {"b": 1, "c": n}, "only": {}},
            "effective": {"x": n},
        }
        for n in (1, 2)
    ]
    cells[1]["effective"] = {}
    pool = LinePool()
    found = setup_record(c, cells, pool)
    assert [pool.lines[at] for at in found["settings"]] == [
        ["a.b", "1"], ["a.c", VARIES], ["only", "{}"],
    ]  # fmt: skip
    assert [pool.lines[at] for at in found["effective"]] == [["x", VARIES]]
    assert setup_record(c, cells, pool) == found, "equal lines are stored once"


def test_a_cell_that_failed_a_guard_is_shown_with_its_error() -> None:
    failed = replace(ROW, symptoms=(Symptom.GUARD,), error="2 threads of 4", status="error")
    c = Setup("h", "embedded", model("m"), Mode("baseline"), (ROW, failed), 2)
    pool = LinePool()
    record = setup_record(c, [], pool)
    assert (
        dict(pool.lines[at] for at in record["guards"])["the engine ran as mode and profile ask"]
        == "no, in 1 of 2 cells: 2 threads of 4"
    )


@pytest.mark.parametrize(
    "content",
    ["{", "[]", "{}", '{"measurement": {}, "spec": {}, "effective": {}}',
     '{"measurement": null, "spec": [], "effective": {}}'],
)  # fmt: skip
def test_a_cell_that_cannot_be_read_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / "cell.json"
    file.write_text(content)
    with pytest.raises(BenchError, match=r"cell\.json: cannot be read"):
        read_cell_file(str(file))


# --- two answers ---


def test_the_word_diff_gives_both_texts_back(page: Page) -> None:
    assert diff(page, "one two three", "one 2 three") == [
        ("same", "one "), ("removed", "two"), ("added", "2"), ("same", " three"),
    ]  # fmt: skip
    pairs = [
        ("", ""), ("", "new"), ("old", ""), ("a b c d e", "a c d x e"), ("a\n\nb", "a\n b"),
        ("same", "same"), ("x y", "y x"), ("<b>\u202e", "<b> \u202e"), ("w " * 300, "v " * 200),
    ]  # fmt: skip
    for left, right in pairs:
        pieces = diff(page, left, right)
        assert pieces is not None
        assert "".join(text for kind, text in pieces if kind != "added") == left
        assert "".join(text for kind, text in pieces if kind != "removed") == right
    moved = diff(page, "a b c d e", "a c d x e")
    assert moved is not None and [text.strip() for kind, text in moved if kind != "same"] == [
        "b",
        "x",
    ]


def test_texts_that_are_too_different_are_not_compared(page: Page) -> None:
    assert diff(page, "a " * 2000, "b " * 2000) is None
    same = diff(page, "a " * 2000 + "x", "a " * 2000 + "y")
    assert same is not None and len(same) == 3


def test_a_link_shows_two_answers_and_the_words_that_differ(page: Page) -> None:
    choose(page, "a-setup", "big_dense baseline")
    choose(page, "b-setup", "big_dense spec_little_draft_k8")
    for _ in range(47):
        page.evaluate("document.getElementById('next-question').click()")
        if texts(page, "#difference")[0].startswith("The answers first differ"):
            break
    left, right = texts(page, "#a-text")[0], texts(page, "#b-text")[0]
    link = parse_qs(page.evaluate("location.hash.slice(1)"))
    assert link["a"][0].startswith("big_dense/baseline ") and set(link) == {"a", "b"}
    open_link(page, **link)
    assert (texts(page, "#a-text")[0], texts(page, "#b-text")[0]) == (left, right)
    added = texts(page, "#word-diff ins")
    assert "instead" in added and len(texts(page, "#word-diff del")) >= 1
    same = page.evaluate(
        "[...document.querySelectorAll('#word-diff :not(ins)')].map((x) => x.textContent).join('')"
    )
    assert same == left and page.errors == []


def test_two_different_questions_are_not_compared_word_by_word(page: Page) -> None:
    choose(page, "a-setup", "small baseline")
    choose(page, "a-cell", "math/q03")
    choose(page, "b-setup", "hostile lookup_n5")
    assert "Two different answers to one question" in texts(page, "#word-diff")[0]


def test_a_hostile_setup_runs_nothing(page: Page) -> None:
    open_link(page, setup="hostile/baseline")
    assert texts(page, "#setup-title") == ["Setup hostile baseline"]
    assert page.evaluate("document.querySelectorAll('#setup script, #setup img').length") == 0
    assert page.evaluate("document.title") == "Benchmark report" and page.errors == []
