"""report.html in a real browser: it loads nothing, runs nothing foreign, sorts and filters."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from scripts.lib.base.layout import PICTURE_NAMES
from scripts.lib.base.untrusted_text import json_in_html
from scripts.lib.pages.compact import packed, unpacked
from scripts.lib.pages.report import ANSWER_LIMIT, SCRIPTS, Pool, _cut
from tests.factories import browser as browsers
from tests.factories.browser import BrowserError, Page
from tests.factories.hostile import HOSTILE, MARKER
from tests.factories.report_page import choose, column, texts, type_into, wait_for_answers

pytestmark = pytest.mark.slow

OWN_SCRIPTS = [Path("docs/templates/report", name).read_text(encoding="utf-8") for name in SCRIPTS]


# --- what the file is ---


def test_the_policy_allows_this_script_and_style_and_nothing_else(file: Path) -> None:
    made = file.read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', made)
    assert policy is not None
    for name, count in (("script", 7), ("style", 1)):
        inline = re.findall(rf"<{name}>(.*?)</{name}>", made, re.S)
        digests = (hashlib.sha256(found.encode()).digest() for found in inline)
        named = {f"'sha256-{base64.b64encode(found).decode()}'" for found in digests}
        (allowed,) = re.findall(rf"{name}-src ([^;]+);", policy[1])
        assert len(named) == count and set(allowed.split()) == named
    assert (
        policy[1].startswith("default-src 'none'; ")
        and "unsafe" not in policy[1]
        and "*" not in policy[1]
    )
    assert not re.search(
        r"<[^>]+\s(on\w+|style)=", re.sub(r"<script.*?</script>", "", made, flags=re.S)
    )
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", made)


def test_the_pages_own_scripts_write_no_markup() -> None:
    for way in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Function(",
        "srcdoc",
        "createContextualFragment",
    ):
        assert not any(way in script for script in OWN_SCRIPTS)


def test_it_loads_nothing_and_complains_of_nothing(page: Page, file: Path) -> None:
    assert page.errors == []
    assert [url for url in page.requests if not url.startswith("data:")] == [
        file.resolve().as_uri()
    ]
    loaded = page.evaluate(
        "[...document.images].map((x) => x.complete && x.naturalWidth > 100 && x.alt.length > 20)"
    )
    assert loaded == [True] * len(set(PICTURE_NAMES) - {"depth", "fidelity"}), (
        "no question was asked at a depth"
    )


def test_without_its_script_the_page_says_where_the_tables_are(shared: Page, file: Path) -> None:
    shared.send("Emulation.setScriptExecutionDisabled", value=True)
    try:
        shared.open(file)
        assert any(
            role == "paragraph" or "RESULTS.md has them, too" in name
            for role, name in shared.accessible()
        )
        assert any("need JavaScript" in name for _, name in shared.accessible())
    finally:
        shared.send("Emulation.setScriptExecutionDisabled", value=False)


def test_without_a_browser_the_test_fails_and_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(browsers.shutil, "which", lambda name: None)
    with pytest.raises(BrowserError, match="apt-get install chromium"):
        browsers.find_browser()


# --- hostile answers ---


def test_hostile_answers_are_shown_as_text_and_run_nothing(page: Page) -> None:
    elements = "document.querySelectorAll('script, iframe, img, object, embed, link, meta, form, base, style').length"
    before = page.evaluate(elements)
    choose(page, "a-setup", "hostile baseline")
    shown: list[dict[str, Any]] = page.evaluate(
        "(async () => { const found = []; const select = document.getElementById('a-cell');"
        " for (const option of [...select.options]) { select.value = option.value; select.dispatchEvent(new Event('change'));"
        " await new Promise((next) => setTimeout(next));"
        " found.push({text: document.getElementById('a-text').textContent,"
        " facts: document.getElementById('a-facts').textContent,"
        " children: [...document.querySelectorAll('#a-text *, #a-facts dd *')].map((x) => x.localName + '.' + x.className)}) }"
        " return found })()"
    )
    assert len(shown) == 47
    kinds = {child for cell in shown for child in cell["children"]}
    assert kinds <= {"span.invisible", "mark.", "a.code"}
    whole = "\n".join(cell["text"] + cell["facts"] for cell in shown)
    assert "<script>document.title=" in whole or "onerror=" in whole or "<svg/onload" in whole
    assert "U+001B" in whole or "U+202E" in whole or "U+0000" in whole
    assert not re.search("[\x00-\x08\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", whole)
    assert page.evaluate("document.title") == "Benchmark report" and MARKER not in page.evaluate(
        "document.title"
    )
    assert page.evaluate(elements) == before and page.evaluate("({}).polluted") is None
    assert page.errors == [] and [url for url in page.requests if url.startswith("http")] == []


def test_every_hostile_text_survives_the_way_into_the_page(
    tmp_path: Path, file: Path, shared: Page
) -> None:
    """The corpus in place of the answers to one question: the page holds and shows each exactly."""
    made = file.read_text(encoding="utf-8")
    pool = unpacked(re.search(r'id="answers-0">(.*?)</script>', made)[1])  # type: ignore[index]
    hostile = [[text, text, text, text, {"checks_score": 0}] for text in HOSTILE.values()]
    replaced = packed((hostile * (len(pool) // len(hostile) + 1))[: max(len(pool), len(hostile))])
    page_file = tmp_path / "report.html"
    page_file.write_text(
        re.sub(
            r'(id="answers-0">).*?(</script>)', lambda m: m[1] + replaced + m[2], made, flags=re.S
        )
    )
    shared.errors.clear()
    shared.open(page_file)
    wait_for_answers(shared)
    held = shared.evaluate("REPORT.answersTo(0).map((x) => [...x[0]].map((c) => c.codePointAt(0)))")
    assert ["".join(map(chr, points)) for points in held[: len(hostile)]] == list(HOSTILE.values())
    assert shared.evaluate("document.title") == "Benchmark report" and shared.errors == []


# --- tables ---


def test_headers_sort_by_keyboard_and_say_so(page: Page) -> None:
    header = "[...document.querySelectorAll('#setup-table thead th')].find((x) => x.textContent === 'decode t/s')"
    assert page.evaluate(f"{header}.getAttribute('aria-sort')") == "none"
    page.evaluate(f"{header}.querySelector('button').focus()")
    for direction in ("descending", "ascending"):
        page.press("Enter")
        assert page.evaluate(f"{header}.getAttribute('aria-sort')") == direction
        speeds = [
            float(cell.split(" ")[0]) for cell in column(page, "setup-table", 7) if cell != "–"
        ]
        assert speeds == sorted(speeds, reverse=direction == "descending") and len(speeds) == 31
        assert column(page, "setup-table", 7)[-1] == "–"
    assert (
        sum(
            found != "none"
            for found in page.evaluate(
                "[...document.querySelectorAll('#setup-table th[aria-sort]')].map((x) => x.getAttribute('aria-sort'))"
            )
        )
        == 1
    )


def test_filters_narrow_the_setups(page: Page) -> None:
    type_into(page, "setup-filter", "MOE lookup_n")
    assert column(page, "setup-table", 3) == [
        "moe8_lookup_n3",
        "moe8_lookup_n4",
        "moe8_lookup_n5",
    ]
    assert "rows 1 to 3 of 3" in texts(page, "#setup-table [role=status]")
    page.evaluate("document.getElementById('setup-filter').value = ''")
    choose(page, "role-filter", "architect")
    choose(page, "kind-filter", "not speculative")
    assert sorted(column(page, "setup-table", 3)) == ["baseline", "moe4", "moe6"]
    type_into(page, "setup-filter", "no such thing")
    assert texts(page, "#setup-table [role=status]") == ["no rows"]


def test_impossible_and_lossy_configurations_are_marked(page: Page) -> None:
    struck = texts(page, "#setup-table .struck")
    assert any(text.startswith("390") for text in struck) and any("47." in text for text in struck)
    assert any("impossible: " in note for note in column(page, "setup-table", 13))
    assert any("have no score" in note for note in column(page, "setup-table", 13))


def test_acceptance_by_position_is_shown_where_the_cells_say_it(page: Page) -> None:
    header = texts(page, "#setup-table thead th:nth-child(12)")
    assert header == ["accepted at position 1 / 2 / 4 / 8 / 16, %"]
    shown = dict(
        zip(
            zip(column(page, "setup-table", 1), column(page, "setup-table", 3), strict=True),
            column(page, "setup-table", 12),
            strict=True,
        )
    )
    assert shown[("big_dense", "spec_little_draft_k4")] == "90 / 69 / 20 / – / –"
    assert shown[("hostile", "lookup_n3")] == "–" and shown[("big_moe", "baseline")] == "–"


def test_a_mode_by_leave_is_marked_and_a_sampled_answer_that_differs_has_no_gap(
    tmp_path: Path, file: Path, shared: Page
) -> None:
    made = file.read_text(encoding="utf-8")
    data = json.loads(re.search(r'id="data">(.*?)</script>', made, re.S)[1])  # type: ignore[index]
    setups = {(c["model"], c["mode"]): c for c in data["parts"][0]["setups"]}
    changed = setups[("big_dense", "spec_little_draft_k4")]
    changed |= {"certificate": "differs", "leave": "tried <b>once</b>"}
    changed["cells"] |= {"certificate": "differs", "token": 7, "gap": None}
    page_file = tmp_path / "report.html"
    page_file.write_text(
        re.sub(
            r'(id="data">).*?(</script>)', lambda m: m[1] + json_in_html(data) + m[2], made,
            count=1, flags=re.S,
        )
    )  # fmt: skip
    shared.open(page_file)
    wait_for_answers(shared)
    type_into(shared, "setup-filter", "big_dense spec_little_draft_k4")
    assert column(shared, "setup-table", 3) == ["spec_little_draft_k4†"]
    (note,) = column(shared, "setup-table", 13)
    assert note.endswith("speculates because the registry allows it: tried <b>once</b>")
    assert texts(shared, "#setup-table td .bad") == ["differs"]
    facts = texts(shared, "#b-facts")[0]
    assert "differs: token 7 differs from the base's" in facts and "gap" not in facts
    assert shared.errors == []


def test_speeds_are_shown_by_workload(page: Page) -> None:
    heads = texts(page, "#workload-table thead th")
    assert heads == [
        "model",
        "mode",
        "all workloads",
        "code editing",
        "prose",
        "chat",
        "ended early",
    ]
    names = zip(column(page, "workload-table", 1), column(page, "workload-table", 2), strict=True)
    places = {name: place for place, name in enumerate(names)}
    edits, chat, early = (column(page, "workload-table", number) for number in (4, 6, 7))
    way, base = places["big_dense", "spec_little_draft_k4"], places["big_dense", "baseline"]
    assert re.fullmatch(r"\d\.\d\dx \(\d\.\d\d–\d\.\d\d\)", edits[way])
    assert edits[base].endswith(") t/s") and chat[way].endswith("x (n=1)")
    assert int(early[base]) > 0
    assert any(cell.startswith("59.") for cell in texts(page, "#workload-table .struck"))


def test_answers_are_paged_and_filtered(page: Page) -> None:
    status = "#answer-table [role=status]"
    (whole,) = texts(page, status)
    total = int(whole.split()[-1])
    assert whole.startswith("rows 1 to 50 of ") and total > 400
    page.evaluate(
        "[...document.querySelectorAll('#answer-table .pager button')].find((x) => x.textContent === 'Next rows').focus()"
    )
    page.press("Enter")
    assert texts(page, status) == [f"rows 51 to 100 of {total}"]
    assert page.evaluate("document.activeElement.textContent") == "Next rows"
    choose(page, "answer-setup", "small lookup_n4")
    choose(page, "answer-state", "error")
    choose(page, "answer-suite", "math")
    assert column(page, "answer-table", 2) == ["lookup_n4"] * 5
    type_into(page, "answer-filter", "q0")
    assert all("math/q0" in name for name in column(page, "answer-table", 3))


def test_a_configurations_answers_are_one_button_away(page: Page) -> None:
    label = "show answers of big_dense spec_little_draft_k8"
    page.evaluate(f"document.querySelector('button[aria-label={json.dumps(label)}]').focus()")
    page.press(" ")
    assert set(column(page, "answer-table", 2)) == {"spec_little_draft_k8"}
    assert page.evaluate("document.activeElement.id") == "answer-setup"


# --- side by side ---


def test_two_answers_stand_side_by_side_with_the_first_difference_marked(page: Page) -> None:
    choose(page, "a-setup", "big_moe baseline")
    choose(page, "b-setup", "big_moe moe8_lookup_n3")
    words = page.evaluate("document.getElementById('difference').textContent")
    left, right = texts(page, "#a-text")[0], texts(page, "#b-text")[0]
    if left == right:
        assert words == "The answers are the same, character by character."
    seen = set()
    for _ in range(47):
        page.evaluate("document.getElementById('next-question').click()")
        words = page.evaluate("document.getElementById('difference').textContent")
        left, right = texts(page, "#a-text")[0], texts(page, "#b-text")[0]
        marks = texts(page, "#compare mark")
        found = re.search(r"differ at character (\d+), line 1", words)
        if found and not words.startswith("These are answers to two different"):
            at = int(found[1]) - 1
            assert left[:at] == right[:at] and left[at] != right[at]
            assert (
                len(marks) == 2
                and left[at:].startswith(marks[0])
                and right[at:].startswith(marks[1])
            )
            assert any("numeric tie: token 5 differs" in fact for fact in texts(page, "#b-facts"))
            seen.add("different")
        elif not found:
            assert marks == [] and left == right
            seen.add("same")
    assert seen == {"different", "same"}


def test_any_two_cells_can_be_compared_and_are_linked(page: Page, sample: Path) -> None:
    choose(page, "a-setup", "small baseline")
    choose(page, "a-cell", "math/q03")
    choose(page, "b-setup", "hostile lookup_n5")
    assert "two different questions" in page.evaluate(
        "document.getElementById('difference').textContent"
    )
    before = texts(page, "#a-text"), texts(page, "#b-text")
    page.evaluate("document.getElementById('swap').click()")
    assert (texts(page, "#b-text"), texts(page, "#a-text")) == before
    for href in page.evaluate(
        "[...document.querySelectorAll('#compare dd a')].map((x) => x.getAttribute('href'))"
    ):
        cell = (sample / "docs/reference/benchmarks" / href).resolve()
        assert cell.is_file() and cell.is_relative_to(sample / "benchmarks/results/cells")
    facts = texts(page, "#b-facts")[0]
    assert all(name in facts for name in ("score", "status", "speed", "cell"))


def test_the_answer_tables_buttons_put_an_answer_on_a_side(page: Page) -> None:
    button = "document.querySelector('#answer-table tbody tr:nth-child(7) td:last-child button:last-child')"
    page.evaluate(f"{button}.focus()")
    page.press("Enter")
    assert page.evaluate(f"{button}.getAttribute('aria-pressed')") == "true"
    assert page.evaluate(f"document.activeElement === {button}"), "the focus stays where it was"
    assert page.evaluate(
        "document.getElementById('b-setup').selectedOptions[0].textContent"
    ) == " ".join(column(page, "answer-table", number)[6] for number in (1, 2))
    assert len(texts(page, "#answer-table [aria-pressed=true]")) <= 2


# --- for everyone ---


def test_a_screen_reader_finds_a_name_for_everything(page: Page) -> None:
    found = page.accessible()
    for role in (
        "button",
        "combobox",
        "searchbox",
        "table",
        "columnheader",
        "image",
        "link",
        "region",
    ):
        names = [name for what, name in found if what == role]
        assert names and all(name.strip() for name in names), role
    headings = [name for what, name in found if what == "heading"]
    assert headings[:3] == [
        "Benchmark report",
        "What should I run?",
        "Which setup should a role run?",
    ]
    levels = page.evaluate(
        "[...document.querySelectorAll('h1,h2,h3')].map((x) => Number(x.localName[1]))"
    )
    assert levels[0] == 1 and all(after - before <= 1 for before, after in pairwise(levels))
    assert {"main", "banner", "navigation"} <= {what for what, _ in found}
    assert page.evaluate("document.documentElement.lang") == "en"


def test_everything_is_reached_by_tab_and_the_focus_is_seen(page: Page) -> None:
    page.evaluate("document.body.focus()")
    page.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    reached, seen = set(), []
    for _ in range(200):
        page.press("Tab")
        name, outline = page.evaluate(
            "(() => { const x = document.activeElement; const s = getComputedStyle(x);"
            " return [x.id || x.localName, s.outlineStyle + ' ' + s.outlineWidth] })()"
        )
        reached.add(name)
        seen.append(outline)
    assert {"part", "setup-filter", "role-filter", "kind-filter", "button", "a"} <= reached
    assert set(seen) == {"solid 3px"}


def _luminance(colour: str) -> float:
    parts = [int(found) / 255 for found in re.findall(r"\d+", colour)[:3]]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(page: Page, scheme: str) -> None:
    page.send(
        "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}]
    )
    pairs = page.evaluate(
        "[...document.querySelectorAll('p, td, th, a, button, select, input, dt, dd, mark, pre, h2, .bad, .struck')]"
        ".filter((x) => !x.disabled).map((x) => { let ground = x;"
        " while (ground && getComputedStyle(ground).backgroundColor === 'rgba(0, 0, 0, 0)') ground = ground.parentElement;"
        " return [getComputedStyle(x).color, ground ? getComputedStyle(ground).backgroundColor : 'rgb(255, 255, 255)'] })"
    )
    assert len(pairs) > 500
    for colour, ground in {tuple(pair) for pair in pairs}:
        low, high = sorted((_luminance(colour), _luminance(ground)))
        assert (high + 0.05) / (low + 0.05) >= 4.5, f"{colour} on {ground}"


def test_on_a_narrow_screen_the_page_itself_does_not_scroll_sideways(page: Page) -> None:
    page.send(
        "Emulation.setDeviceMetricsOverride",
        width=400,
        height=800,
        deviceScaleFactor=1,
        mobile=False,
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= 400


# --- what it is made of ---


def test_equal_answers_are_stored_once(sample: Path, file: Path) -> None:
    made = file.read_text(encoding="utf-8")
    data = json.loads(re.search(r'id="data">(.*?)</script>', made, re.S)[1])  # type: ignore[index]
    cells = sum(c["cells"]["count"] for c in data["parts"][0]["setups"])
    pools = [unpacked(found) for found in re.findall(r'id="answers-\d+">(.*?)</script>', made)]
    assert len(pools) == len(data["questions"]) == 47
    assert cells > 400 and sum(map(len, pools)) < 0.75 * cells
    for pool in pools:
        assert len({json.dumps(answer) for answer in pool}) == len(pool)


def test_long_answers_are_cut_and_say_so() -> None:
    assert (
        _cut("x" * (ANSWER_LIMIT + 5), ANSWER_LIMIT)
        == "x" * ANSWER_LIMIT + "\n… cut: 5 characters more"
    )
    assert _cut("x" * ANSWER_LIMIT, ANSWER_LIMIT) == "x" * ANSWER_LIMIT
    pool = Pool()
    assert [
        pool.question("s", "q", None),
        pool.question("s", "r", None),
        pool.question("s", "q", None),
    ] == [0, 1, 0]
    assert [
        pool.answer(0, ["a"]),
        pool.answer(0, ["b"]),
        pool.answer(0, ["a"]),
        pool.answer(1, ["a"]),
    ] == [0, 1, 0, 0]


def test_chromium_is_where_ci_installs_it() -> None:
    assert "chromium:chromium" in Path(".ci/run").read_text(encoding="utf-8") and shutil.which(
        "chromium"
    )
