"""A folder like the predecessor's: nine suites load, other files are named, damage stays local."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from scripts.lib.authoring.prompt_manifest import compare, freeze, question_digest, read_manifest
from scripts.lib.base.errors import BenchError, InputErrors
from scripts.lib.base.yaml_file import read_whole
from scripts.lib.prompts.loader import load_suite, load_suites, read_suites, without_lost_images
from scripts.lib.prompts.question_images import found_image
from scripts.lib.prompts.suite_folder import MOST_COUNTED
from scripts.lib.settings.run_config import CONFIG_FILE, load_config, ordered_roots, parse_config
from tests.factories.commands import call

THEIRS = Path("tests/data/predecessor/prompts")
PREFIX = "/mnt/raid0/llm/claude"
NINE = {
    *(
        "thinking",
        "coder",
        "math",
        "general",
        "agentic",
        "instruction_precision",
        "long_context",
        "vl",
    ),
    "tool_compliance",
}
TEN_IMAGES = (
    "chart",
    "clock",
    "diagram",
    "form",
    "graph",
    "invoice",
    "map",
    "photo",
    "receipt",
    "table",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(THEIRS, tmp_path / "prompts"))


def notices(folder: Path) -> list[str]:
    return [str(notice).replace(str(folder), "…") for notice in read_suites(folder).notices]


# --- what is in the folder ---


def test_all_nine_load_and_the_rest_is_named_once() -> None:
    found = read_suites(THEIRS)
    assert set(found.sound) == NINE and found.faults == {}
    assert (
        len(found.sound["long_context"].questions) == 9 and len(found.sound["vl"].questions) == 12
    )
    others = "feature_validation/ (1 file), formalizer/ (3 files), orchestrator/ (2 files)"
    others = f"{others}, speed_test.txt"
    foreign = "benchmark_type, routing, planning, escalation, judge_prompts"
    assert notices(THEIRS) == [
        "…/orchestrator_planning.yaml: not read: it has neither prompts nor questions, "
        f"but {foreign}",
        "…/MANIFEST.yaml: not read: not a manifest of this project, which would have `questions:`",
        "…/debug: not read: 2 suites in a folder of their own; use them with `prompts: …/debug`",
        f"…: not read, since no suites: {others}",
    ]


def test_the_sub_folder_of_suites_is_asked_by_naming_it() -> None:
    assert set(load_suites(THEIRS / "debug")) == {"math", "general"}


def test_the_shipped_folder_has_nothing_to_tell() -> None:
    assert read_suites(Path("benchmarks/prompts/v1")).notices == ()


def test_hidden_files_and_images_are_passed_over(folder: Path) -> None:
    before = notices(folder)
    (folder / ".DS_Store").write_text("x")
    (folder / "pictures/deep").mkdir(parents=True)
    (folder / "pictures/deep/a.PNG").write_bytes(b"x")
    assert notices(folder) == before
    (folder / "more.yml").write_text("prompts: {}")
    assert notices(folder)[-1].endswith(
        "formalizer/ (3 files), more.yml, orchestrator/ (2 files), speed_test.txt"
    )


def test_a_large_sub_folder_is_not_counted_to_its_end(folder: Path) -> None:
    for number in range(MOST_COUNTED + 5):
        (folder / "formalizer" / f"{number}.txt").touch()
    assert f"formalizer/ ({MOST_COUNTED} files or more)" in notices(folder)[-1]


def test_two_bad_suites_of_nine_leave_seven(folder: Path) -> None:
    (folder / "math.yaml").write_text("prompts: {")
    (folder / "coder.yaml").write_text(
        (folder / "coder.yaml").read_text().replace("tier: 1", "tier: 9")
    )
    found = read_suites(folder)
    assert set(found.sound) == NINE - {"math", "coder"} and set(found.faults) == {"math", "coder"}


def test_the_plan_goes_on_with_the_seven_and_ends_with_1(folder: Path) -> None:
    (folder / "math.yaml").write_text("prompts: {")
    (folder / "coder.yaml").write_text(
        (folder / "coder.yaml").read_text().replace("tier: 1", "teir: 1")
    )
    done = call("scripts.plan", "--prompts", folder, "--assume-present", "--format", "json")
    assert done.returncode == 1 and sum(row["cells"] for row in json.loads(done.stdout)) > 0
    told = done.stderr.splitlines()
    assert sum(line.startswith("notice: ") for line in told) == 4
    left_out = [line for line in told if line.startswith("left out: ")]
    assert [line for line in left_out if f"{folder}/math.yaml:" in line]
    assert [
        line
        for line in left_out
        if f"{folder}/coder.yaml:13: prompts.t1_q1_coder.teir: unknown key" in line
    ]
    assert (
        f"left out: {PREFIX}/benchmarks/images/vl/chart.png: vl/t1_q1_chart: no such image"
        in left_out
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "prompst: {a: {prompt: x}}\nrouting: {}\n",
            "prompst: unknown key; did you mean 'prompts'?",
        ),
        ("version: 1\ndomain: x\n", "expected at least one question"),
        ("version: 1\ndescriptoin: x\n", "descriptoin: unknown key; did you mean 'description'?"),
        ("prompts: {}\nrouting: {}\n", "expected at least one question"),
    ],
)
def test_a_suite_with_a_mistake_is_no_other_format(folder: Path, text: str, message: str) -> None:
    (folder / "orchestrator_planning.yaml").write_text(text)
    found = read_suites(folder)
    assert any(message in str(problem) for problem in found.faults["orchestrator_planning"])
    assert set(found.sound) == NINE


def test_a_folder_without_any_suite_is_an_error_that_says_what_is_there(folder: Path) -> None:
    for name in NINE:
        (folder / f"{name}.yaml").unlink()
    with pytest.raises(
        InputErrors, match=r"expected suites, found none\n.*orchestrator_planning.yaml: not read"
    ):
        read_suites(folder)


def test_keys_that_nobody_acts_on_are_carried_and_named_once(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(
        "author: me\nprompts:\n  a: {prompt: '?', rubric_file: x}\n"
        "  b: {prompt: '?', rubric_file: y, hint: z}\n"
    )
    suite, problems = load_suite(file)
    assert problems == [] and len(suite.questions) == 2
    assert list(map(str, suite.notices)) == [
        f"{file}: keys that are not used here: author (line 1), "
        "prompts.<id>.rubric_file (2 times, first line 3), prompts.<id>.hint (line 4)"
    ]
    file.write_text(file.read_text().replace("hint", "teir"))
    assert [str(problem) for problem in load_suite(file)[1]] == [
        f"{file}:4: prompts.b.teir: unknown key; did you mean 'tier'?"
    ]


# --- another project's manifest ---


def test_another_projects_manifest_freezes_nothing_and_is_not_written_over(folder: Path) -> None:
    before = (folder / "MANIFEST.yaml").read_text()
    assert read_manifest(folder) is None and list(compare(folder, load_suites(folder))) == []
    with pytest.raises(
        BenchError,
        match=r"MANIFEST.yaml: not in the format of this project's manifest",
    ):
        freeze(folder, load_suites(folder))
    assert (folder / "MANIFEST.yaml").read_text() == before


# --- images that moved ---


@pytest.fixture
def moved(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Their images in `benchmarks/images`, where the shipped configuration looks for them."""
    images = folder.parent / "benchmarks/images/vl"
    images.mkdir(parents=True)
    for name in TEN_IMAGES:
        (images / f"{name}.png").write_bytes(name.encode())
    monkeypatch.chdir(folder.parent)
    return images


SHIPPED_ROOTS = load_config().image_roots


def test_ten_of_twelve_are_found_without_a_setting_and_two_leave_their_questions_out(
    folder: Path, moved: Path
) -> None:
    assert SHIPPED_ROOTS == (("*", "benchmarks/images"),)
    found = without_lost_images(read_suites(folder, SHIPPED_ROOTS))
    assert [question.images for question in found.sound["vl"].questions] == [
        (f"benchmarks/images/vl/{name}.png",) for name in TEN_IMAGES
    ]
    assert list(map(str, found.faults["vl"])) == [
        f"{PREFIX}/tmp/twyne_pages/page_003.png: vl/t3_q3_page_003: no such image",
        f"{PREFIX}/tmp/twyne_pages/page_006.png: vl/t3_q4_page_006: no such image",
    ]
    assert set(found.sound) == NINE


def test_a_prefix_says_where_its_images_are_and_links_are_followed(
    folder: Path, moved: Path
) -> None:
    twyne = moved.parent / "twyne"
    twyne.mkdir()
    (twyne / "page_003.png").symlink_to(moved / "map.png")
    (twyne / "page_006.png").symlink_to(folder / "nowhere.png")
    roots = ordered_roots(
        {"*": "benchmarks/images", f"{PREFIX}/tmp/twyne_pages/": "benchmarks/images/twyne"}
    )
    found = without_lost_images(read_suites(folder, roots))
    assert found.sound["vl"].questions[-1].images == ("benchmarks/images/twyne/page_003.png",)
    assert [problem.place for problem in found.faults["vl"]] == ["vl/t3_q4_page_006"]


def test_the_longest_prefix_is_tried_first_and_any_path_last(moved: Path) -> None:
    roots = ordered_roots({"*": "c", "/old": "a", "/old/vl": "b"})
    assert roots == (("/old/vl", "b"), ("/old", "a"), ("*", "c"))
    for folder in ("c/old/vl", "a/vl", "b"):
        file = Path(folder, "x.png")
        file.parent.mkdir(parents=True)
        file.write_bytes(b"x")
        assert found_image("/old/vl/x.png", roots) == str(file)
    assert found_image("/older/vl/x.png", roots) == "/older/vl/x.png"


def test_the_longest_end_of_a_path_that_is_there_counts(moved: Path) -> None:
    assert found_image("/a/b/map.png", SHIPPED_ROOTS) == "/a/b/map.png"
    (moved.parent / "map.png").write_bytes(b"short")
    assert found_image("/a/b/map.png", SHIPPED_ROOTS) == "benchmarks/images/map.png"
    assert found_image("/a/vl/map.png", SHIPPED_ROOTS) == "benchmarks/images/vl/map.png"
    assert found_image("somewhere/vl/map.png", SHIPPED_ROOTS) == "benchmarks/images/vl/map.png"


def test_an_image_where_it_says_is_not_looked_for(moved: Path) -> None:
    file = moved.parents[2] / "vl/map.png"
    file.parent.mkdir()
    file.write_bytes(b"another")
    assert found_image(str(file), SHIPPED_ROOTS) == str(file)


def test_the_content_of_an_image_counts_and_not_its_place(folder: Path, moved: Path) -> None:
    first = read_suites(folder, SHIPPED_ROOTS).sound["vl"].questions[0]
    before = question_digest(first)
    moved.rename(moved.parent / "elsewhere")
    roots = ordered_roots({f"{PREFIX}/benchmarks/images/vl": "benchmarks/images/elsewhere"})
    again = read_suites(folder, roots).sound["vl"].questions[0]
    assert again.images != first.images and question_digest(again) == before


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"/old": 5}, "image_roots./old: expected text, found 5"),
        ({"/old": ""}, "image_roots./old: is missing"),
        (
            "benchmarks/images",
            "image_roots: expected a mapping, found 'benchmarks/images'",
        ),
    ],
)
def test_the_setting_is_held_to_its_form(value: object, message: str) -> None:
    raw = {**read_whole(CONFIG_FILE).value, "image_roots": value}
    with pytest.raises(InputErrors) as caught:
        parse_config(raw)
    assert message in str(caught.value)
