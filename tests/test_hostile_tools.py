"""The hostile corpus in comparison, history, routing and import: it stays text everywhere."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.lib.base.layout import LEGACY_TEMPLATE
from scripts.lib.base.stored_json import now_utc
from scripts.lib.base.templates import render
from scripts.lib.compare.gates import parse_gate
from scripts.lib.compare.observations import Observations, of_record
from scripts.lib.compare.pairing import Key, pair
from scripts.lib.compare.report import report, report_csv
from scripts.lib.compare.trend_report import change_lines, every_run, overview, trends_csv
from scripts.lib.compare.trends import trends
from scripts.lib.legacy import PROFILE
from scripts.lib.legacy.history import read_history
from scripts.lib.legacy.page import LegacyPage
from scripts.lib.legacy.tables import Imported, history_tables
from scripts.lib.machine.profiles import load_hardware
from scripts.lib.routing.report import (
    outcome_lines,
    routes_csv,
    routes_of,
    routes_table,
    summary_page,
)
from scripts.lib.routing.rewards import ModelOutcome
from scripts.lib.routing.session import outcomes_csv
from tests.factories.hostile import HOSTILE
from tests.factories.legacy_archive import Archive, answer
from tests.factories.plans import REGISTRY
from tests.factories.results_trees import cells

FORMULA = re.compile(r"[=+\-@＝＋－＠].")
NUMBER = re.compile(r"[+-]?[\d.]+(e[+-]?\d+)?")


def assert_terminal(shown: str) -> None:
    """Nothing but printable characters, in lines of ours."""
    assert all(c.isprintable() for c in shown.replace("\n", ""))


def assert_markdown(page: str) -> None:
    """Outside of code there is no HTML that we did not write, and no line that the text began."""
    assert_terminal(page)
    plain = re.sub("`[^`\n]*`", "", page)
    tags = set(re.findall(r"<[^ >]+", plain)) - {"<details", "</details", "<summary", "</summary"}
    assert not tags, tags
    assert not re.search(r"(?<!\\)\]\((?!\.\./|RESULTS\.md)", plain), "a link that is not ours"


def assert_no_formula(text: str) -> list[list[str]]:
    """No field is a formula; the file is UTF-8."""
    rows = list(csv.reader(io.StringIO(text.encode().decode(), newline="")))
    fields = [field for row in rows for field in row]
    assert not [f for f in fields if FORMULA.match(f) and not NUMBER.fullmatch(f)]
    return rows


def assert_csv(text: str) -> list[list[str]]:
    """No formula, and every row has as many fields."""
    rows = assert_no_formula(text)
    assert len({len(row) for row in rows}) == 1
    return rows


@pytest.mark.parametrize("name", HOSTILE)
def test_an_archive_full_of_it(name: str, tmp_path: Path) -> None:
    evil, archive = HOSTILE[name], Archive(tmp_path)
    asked = {
        evil: {evil: answer(response=evil, prompt=evil, score_reason=evil)},
        "math": {"t1_q1": answer(response=evil)},
    }
    archive.run(
        results=asked, model_path=f"/m/{evil}.gguf", model_role=evil, timestamp=evil, name="evil"
    )
    archive.run("spec_draft_a_k4", 500.0, model_path=f"/m/{evil}.gguf", name="fast")
    archive.run(evil, name="mode")
    archive.review(
        "evil",
        f"math,t1_q1,1,3,{evil}".encode("utf-8", "replace")
        .decode()
        .replace("\n", " ")
        .replace("\r", " "),
    )
    archive.put("runs/x/notes.txt", evil.encode("utf-8", "surrogatepass"))
    found = Imported(read_history(tmp_path, tmp_path / "none"), REGISTRY, 1e12)
    for file, text in history_tables(found).items():
        # The predecessor's own form: its rows may be a field short.
        (assert_no_formula if file == "summary.csv" else assert_csv)(text)
    assert_markdown(
        render(Path(LEGACY_TEMPLATE), pages=[LegacyPage(load_hardware(PROFILE), found)])
    )


@pytest.mark.parametrize("name", HOSTILE)
def test_specs_and_names_full_of_it(name: str) -> None:
    evil = HOSTILE[name]
    before = [of_record(record) for record in cells([10.0] * 8)]
    after = [
        replace(of_record(record), environment=evil)
        for record in cells(
            [5.0] * 8,
            spec={"prompt": {"user": evil.encode("utf-8", "replace").decode(), "system": ""}},
        )
    ]
    environments = {"env1": {"cpu": {"model": "a"}}, evil: {"cpu": {"model": evil}}}
    compared = pair(
        Observations(evil, tuple(before), environments),
        Observations(evil, tuple(after), environments),
    )
    assert_terminal(report(compared, markdown=False))
    assert_markdown(report(compared, markdown=True))
    assert_csv(report_csv(compared))
    gate = parse_gate("decode_tokens_per_s -3%")
    points = trends({"a": before, "b": after}, gate, {}, environments)
    points = tuple(replace(p, key=Key("h", "e", evil, "m"), run_id=evil) for p in points)
    for markdown, check in ((False, assert_terminal), (True, assert_markdown)):
        lines = change_lines(points, gate, markdown)
        check(
            "\n".join([overview(points, gate, markdown), every_run(points, gate, markdown), *lines])
        )
    assert_csv(trends_csv(points, gate))


@pytest.mark.parametrize("name", HOSTILE)
def test_outcomes_full_of_it(name: str) -> None:
    evil = HOSTILE[name]
    outcomes = [
        ModelOutcome(evil, evil, 1, action, evil, None, infrastructure=True, why=evil)
        for action in ("frontdoor", "architect")
    ]
    routes = routes_of(outcomes)
    assert_terminal(routes_table(routes))
    for line in outcome_lines(outcomes):
        assert_terminal(line)
        assert "\n" not in line
    assert_markdown(summary_page(evil, evil, routes))
    assert (
        len(assert_csv(outcomes_csv(outcomes, now_utc("microseconds"))))
        == len(assert_csv(routes_csv(routes)))
        == 3
    )
