"""The first screen of report.html: advice for a role, the chart, its filters and its links."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from scripts.lib.base.errors import BenchError
from scripts.lib.base.untrusted_text import json_in_html
from scripts.lib.pages.first_screen import family
from scripts.lib.pages.vendored import SCRIPTS, SUMS, vendored_scripts
from tests.factories.browser import Page
from tests.factories.report_page import choose, column, open_link, settle, texts, type_into

pytestmark = pytest.mark.slow

VENDORED = Path("docs/templates/report/vendor")
# The elements of the chart's points; each has the place of its setup.
DRAWN = (
    "[...document.querySelectorAll('#choice-chart .mark-symbol path')]"
    ".filter((x) => x.__data__.datum && x.__data__.datum.at !== undefined)"
)


def data_of(file: Path) -> dict[str, Any]:
    """The report's data about its first part."""
    found = re.search(r'id="data">(.*?)</script>', file.read_text(encoding="utf-8"), re.S)
    assert found is not None
    part: dict[str, Any] = json.loads(found[1])["parts"][0]
    return part


def advice(page: Page) -> str:
    return texts(page, "#choice-advice")[0]


def fragment(page: Page) -> dict[str, list[str]]:
    return parse_qs(page.evaluate("location.hash.slice(1)"))


def point(page: Page, name: str) -> tuple[float, float]:
    """Where the chart has a setup's point, in pixels."""
    found = page.evaluate(
        f"(() => {{ const named = (x) => REPORT.nameOf(x) === {json.dumps(name)};"
        " const c = REPORT.shownPart().setups.findIndex(named);"
        f" const p = {DRAWN}.find((x) => x.__data__.datum.at === c); if (!p) return null;"
        " document.getElementById('choice-figure').scrollIntoView({block: 'center'});"
        " const r = p.getBoundingClientRect();"
        " return [r.left + r.width / 2, r.top + r.height / 2] })()"
    )
    assert found, f"{name} is not drawn"
    return found[0], found[1]


def drawn(page: Page) -> list[str]:
    names: list[str] = page.evaluate(
        f"{DRAWN}.map((x) => REPORT.nameOf(REPORT.shownPart().setups[x.__data__.datum.at]))"
    )
    return names


# --- the advice ---


def test_each_role_is_advised_the_setup_that_the_ranking_recommends(page: Page, file: Path) -> None:
    part = data_of(file)
    for role in part["roles"]:
        choose(page, "choice-role", role["role"])
        best = part["setups"][role["way"]]
        assert texts(page, "#choice-run") == [f"{best['model']} {best['mode']}"]
        assert texts(page, "#choice-advice pre") == [
            f"python -m scripts.launch --model {best['model']} --mode {best['mode']}"
        ]
        assert f"{round(100 * role['rate'][0])} %" in advice(page)
    choose(page, "choice-role", "all")
    assert advice(page) == "Choose a role to see what it should run."


def test_a_limit_on_speed_changes_the_advice_and_says_how_many_are_left(page: Page) -> None:
    choose(page, "choice-role", "general")
    before = texts(page, "#choice-run")
    type_into(page, "choice-least", "70")
    assert before == ["big_moe moe6"] and texts(page, "#choice-run") == ["small baseline"]
    assert "that fit the filters (of 5)" in advice(page) or "that fits" in advice(page)
    page.evaluate("document.getElementById('choice-least').value = ''")
    type_into(page, "choice-least", "9000")
    assert "none of its 5 candidates fits the filters" in advice(page)
    assert drawn(page) == [] and page.errors == []
    page.evaluate("document.getElementById('choice-reset').click()")
    choose(page, "choice-role", "general")
    assert texts(page, "#choice-run") == before


def test_a_workload_changes_the_speed_and_the_mode(page: Page) -> None:
    choose(page, "choice-role", "architect")
    whole, over_all = advice(page), texts(page, "#choice-run")
    choose(page, "choice-workload", "prose")
    assert texts(page, "#choice-run") == ["big_moe baseline"] != over_all
    assert "t/s on prose" in advice(page) and advice(page) != whole


def test_a_familys_name_ends_before_its_size() -> None:
    assert family("Qwen2.5-Coder-7B-Instruct") == "Qwen2.5-Coder"
    assert family("Qwen3-30B-A3B") == "Qwen3" and family("Mixtral-8x7B") == "Mixtral"
    assert family("SmolLM2-135M-Instruct") == "SmolLM2" and family("gpt oss 20b") == "gpt-oss"
    assert family("7B") == "7B" and family("Phi") == "Phi" and family("") == ""


# --- the chart ---


def test_filters_leave_the_points_and_rows_that_fit(page: Page) -> None:
    choose(page, "choice-role", "general")
    names = drawn(page)
    assert {name.split()[0] for name in names} == {"big_dense", "big_moe", "small"}
    assert "big_dense spec_little_draft_k16" not in names, "its speed is impossible"
    choose(page, "choice-family", "Other")
    assert {name.split()[0] for name in drawn(page)} == {"small"}
    assert {name.split()[0] for name in column(page, "choice-table", 1)} == {"small"}
    choose(page, "choice-quant", "Q4_K_M")
    assert drawn(page) == [] and column(page, "choice-table", 1) == []
    choose(page, "choice-family", "all")
    assert {name.split()[0] for name in drawn(page)} == {"big_dense", "big_moe"}
    assert page.errors == []


def test_a_point_tells_its_figures_and_a_click_selects_it(page: Page) -> None:
    choose(page, "choice-role", "general")
    settle(page)
    x, y = point(page, "small baseline")
    page.mouse("mouseMoved", x, y)
    settle(page)
    assert "small baseline" in texts(page, "#choice-tip")[0]
    assert page.evaluate("document.getElementById('choice-tip').hidden") is False
    page.press("Escape")
    assert page.evaluate("document.getElementById('choice-tip').hidden") is True
    page.click(x, y)
    settle(page)
    assert fragment(page)["pick"] == ["small/baseline"]
    assert column(page, "setup-table", 1) == ["small"] == column(page, "workload-table", 1)
    assert "selected in the chart" in texts(page, "#setups .narrowed")[0]
    assert texts(page, "#choice-table [aria-pressed=true]") == ["select"]
    page.evaluate("document.getElementById('choice-clear').click()")
    settle(page)
    assert texts(page, ".narrowed") == ["", ""]
    assert len(column(page, "setup-table", 1)) > 20 and "pick" not in fragment(page)
    assert page.errors == []


def test_a_box_selects_the_points_in_it_and_the_tables_show_them_alone(page: Page) -> None:
    choose(page, "choice-role", "coder")
    settle(page)
    (x, y), (base_x, base_y) = point(page, "big_moe moe6"), point(page, "big_moe baseline")
    page.mouse("mousePressed", min(x, base_x) - 20, base_y + 25)
    page.mouse("mouseMoved", x, y)
    page.mouse("mouseMoved", max(x, base_x) + 4, y - 4)
    page.mouse("mouseReleased", max(x, base_x) + 4, y - 4)
    settle(page)
    chosen = set(zip(column(page, "setup-table", 1), column(page, "setup-table", 3), strict=True))
    assert {("big_moe", "moe6"), ("big_moe", "baseline")} <= chosen
    assert len(chosen) == int(texts(page, "#choice-selection")[0].split()[0])
    link = page.evaluate("location.hash.slice(1)")
    open_link(page, **parse_qs(link))
    assert chosen == set(
        zip(column(page, "setup-table", 1), column(page, "setup-table", 3), strict=True)
    )
    assert page.errors == []


# --- links ---


def test_a_link_shows_the_same_view(page: Page) -> None:
    open_link(page, role="frontdoor", quant="Q8_0", workload="prose", pick=["small/baseline"])
    shown = [
        page.evaluate(f"document.getElementById('choice-{name}').value")
        for name in ("role", "family", "quant", "workload")
    ]
    assert shown == ["frontdoor", "", "Q8_0", "prose"]
    assert column(page, "setup-table", 1) == ["small"]
    assert fragment(page) == {
        "role": ["frontdoor"], "quant": ["Q8_0"], "workload": ["prose"], "pick": ["small/baseline"],
    }  # fmt: skip


def test_what_a_link_names_and_the_page_does_not_have_is_left_out(page: Page) -> None:
    open_link(
        page, part="<b>", role="no such", quant="<img src=x onerror=alert(1)>", least="-1",
        pick="gone/baseline", box="1,2,x,4", at="<svg>", other="ignored",
    )  # fmt: skip
    assert fragment(page) == {} and page.errors == []
    assert texts(page, "#choice-run") == ["big_moe moe6"]


def test_a_link_to_a_section_keeps_the_state(page: Page) -> None:
    choose(page, "choice-role", "architect")
    page.evaluate("document.querySelector('nav a[href=\"#setups\"]').click()")
    settle(page)
    assert fragment(page) == {"role": ["architect"], "at": ["setups"]}
    top = "document.getElementById('setups').getBoundingClientRect().top"
    assert abs(page.evaluate(top)) < 120
    open_link(page, role="architect", at="setups")
    assert abs(page.evaluate(top)) < 120
    assert page.evaluate("document.getElementById('choice-role').value") == "architect"


def changed(file: Path, folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of the page with changed data."""
    made = file.read_text(encoding="utf-8")
    found = re.search(r'id="data">(.*?)</script>', made, re.S)
    assert found is not None
    data = json.loads(found[1])
    change(data)
    copy = folder / "report.html"
    copy.write_text(made.replace(found[1], json_in_html(data)), encoding="utf-8")
    return copy


def test_a_link_chooses_the_hardware_and_its_command_names_it(
    page: Page, file: Path, tmp_path: Path
) -> None:
    def add_part(data: dict[str, Any]) -> None:
        other = json.loads(json.dumps(data["parts"][0]))
        other["name"] = "other, engine server"
        other["first"] |= {"slug": "other-server", "active": False, "hardware": "other"}
        data["parts"].append(other)

    page.open(changed(file, tmp_path, add_part))
    open_link(page, part="other-server", role="architect")
    assert page.evaluate("document.getElementById('part').value") == "1"
    assert "on other, engine server" in advice(page) and "hardware: other" in advice(page)
    choose(page, "part", "sample-96c, engine embedded")
    settle(page)
    assert fragment(page) == {} and "on sample-96c" in advice(page)


def test_hostile_names_in_the_registry_are_text(page: Page, file: Path, tmp_path: Path) -> None:
    hostile = "<img src=x onerror=document.title=1>\u202e'\"{{datum.at}}"

    def rename(data: dict[str, Any]) -> None:
        part = data["parts"][0]
        part["first"]["family"] = [hostile] * len(part["setups"])
        part["first"]["command"] = [hostile] * len(part["setups"])
        part["first"]["roles"][0]["role"] = hostile
        for setup in part["setups"]:
            setup |= {"roles": [hostile], "quant": hostile, "model": hostile + setup["model"]}

    page.open(changed(file, tmp_path, rename))
    open_link(page, role=hostile, family=hostile, setup=f"{hostile}big_moe/baseline")
    shown = hostile.replace("\u202e", "⟨U+202E⟩")
    assert texts(page, "#choice-run")[0].startswith(shown) and shown in advice(page)
    assert len(drawn(page)) > 3 and texts(page, "#setup-title")[0].startswith(f"Setup {shown}")
    count = "document.querySelectorAll('main img:not(.pictures img)').length"
    assert page.evaluate(count) == 0 and page.evaluate("document.title") == "Benchmark report"
    assert page.errors == []


# --- for everyone ---


def test_by_keyboard_alone_a_role_is_chosen_and_a_setup_selected(page: Page) -> None:
    for _ in range(40):
        page.press("Tab")
        if page.evaluate("document.activeElement.id") == "choice-role":
            break
    page.press("ArrowDown")
    settle(page)
    assert page.evaluate("document.getElementById('choice-role').value") == "general"
    for _ in range(40):
        page.press("Tab")
        label = page.evaluate("document.activeElement.getAttribute('aria-label')") or ""
        if label.startswith("select "):
            break
    page.press(" ")
    settle(page)
    assert page.evaluate("document.activeElement.getAttribute('aria-pressed')") == "true"
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == label
    assert [f"select {' '.join(pair)}" for pair in zip(
        column(page, "setup-table", 1), column(page, "setup-table", 3), strict=True
    )] == [label]  # fmt: skip


def test_the_chart_has_a_name_and_is_one_picture_for_a_screen_reader(page: Page) -> None:
    settle(page)
    images = [name for role, name in page.accessible() if role == "image"]
    assert any(re.match(r"Chart: pass rate against decode speed of \d+ setups", x) for x in images)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_the_narrowest_screen_all_fits_in_both_colour_schemes(page: Page, scheme: str) -> None:
    page.send(
        "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}]
    )
    size = {"width": 320, "height": 700, "deviceScaleFactor": 1, "mobile": False}
    page.send("Emulation.setDeviceMetricsOverride", **size)
    open_link(page, role="coder", setup="big_dense/spec_little_draft_k4")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert page.evaluate("document.querySelector('#choice-chart svg').clientWidth") <= 320
    ink = page.evaluate("document.querySelector('#choice-chart text').getAttribute('fill')")
    assert ink == {"light": "#1c1c1c", "dark": "#ececec"}[scheme] and page.errors == []


def test_without_its_script_the_advice_is_a_table(shared: Page, file: Path) -> None:
    shared.send("Emulation.setScriptExecutionDisabled", value=True)
    try:
        shared.open(file)
        names = [name for role, name in shared.accessible() if role == "cell"]
    finally:
        shared.send("Emulation.setScriptExecutionDisabled", value=False)
    part = data_of(file)
    for role in part["roles"]:
        best = part["setups"][role["way"]]
        assert f"{best['model']} {best['mode']}" in names
        assert part["first"]["command"][role["way"]] in names


# --- the library ---


def test_the_library_is_as_its_sums_say_and_a_changed_one_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "vendor"
    shutil.copytree(VENDORED, folder)
    assert [text[:1] for text in vendored_scripts(folder)] == ["!"] * len(SCRIPTS)
    changed = folder / SCRIPTS[1]
    changed.write_bytes(changed.read_bytes() + b"\n")
    with pytest.raises(BenchError, match=r"vega-lite\.min\.js: expected the sha256 in SHA256SUMS"):
        vendored_scripts(folder)
    (folder / SUMS).unlink()
    with pytest.raises(BenchError, match="SHA256SUMS: cannot be read"):
        vendored_scripts(folder)


def test_every_file_of_the_library_has_a_licence() -> None:
    for name in SCRIPTS:
        licence = VENDORED / name.replace(".min.js", ".LICENSE")
        assert "Redistribution and use" in licence.read_text(encoding="utf-8")
