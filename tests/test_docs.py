"""Documents: generated ones are fresh, commands explain themselves, links and paths exist."""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts import docs
from scripts.__main__ import commands
from scripts.lib.base.command import Parser
from scripts.lib.base.errors import EXIT_CODES, INTERRUPTED_EXIT
from scripts.lib.compare.gates import TRIPPED_EXIT_CODE
from scripts.lib.settings.speculators import SPECULATORS
from tests.factories.checkout import copy_checkout
from tests.factories.tiny_project import Project

GENERATED = {"commands.md", "registry.md"}
HAND_WRITTEN = [
    Path("README.md"),
    Path("CONTRIBUTING.md"),
    *(file for file in sorted(Path("docs/reference").glob("*.md")) if file.name not in GENERATED),
    *sorted(Path("docs/reference/howto").glob("*.md")),
]
MOST_COLUMNS = 110


@pytest.fixture(scope="module")
def parsers() -> dict[str, Parser]:
    return docs.parsers()


def test_the_page_of_commands_is_fresh() -> None:
    assert docs.commands_page() == docs.COMMANDS_FILE.read_text(), "run: python -m scripts.docs"


def test_the_list_of_modules_is_fresh() -> None:
    assert docs.architecture_page() == docs.MODULES_FILE.read_text(), "run: python -m scripts.docs"


def test_the_table_of_speculators_is_fresh_and_has_each() -> None:
    assert docs.decoding_page() == docs.SPECULATORS_FILE.read_text(), "run: python -m scripts.docs"
    table = docs.speculators_table().splitlines()
    assert len(table) == len(SPECULATORS) + 2
    assert len({line.count("|") for line in table}) == 1


def test_every_setting_of_a_speculator_has_its_flag_and_key_on_the_page() -> None:
    """The page explains the settings in words: none may be new there."""
    text = docs.SPECULATORS_FILE.read_text()
    settings = {name for row in SPECULATORS for name in (*row.named, *row.knobs)}
    assert [name for name in settings if f"`{name}`" not in text] == []


def test_every_package_and_module_says_in_one_line_what_it_is() -> None:
    assert not re.findall(r"\*\*(\w+)\*\*: +\(|\*\*(\w+)\*\*: *$", docs.modules_list())


def test_every_command_shows_how_it_is_called(parsers: dict[str, Parser]) -> None:
    silent = [n for n, p in parsers.items() if f"  python -m scripts.{n}" not in str(p.description)]
    assert parsers and silent == []


def test_every_subcommand_shows_how_it_is_called(parsers: dict[str, Parser]) -> None:
    below = [(n, w, p) for n, parser in parsers.items() for w, p in parser.subcommands.items()]
    assert len(below) > 10 and [(n, w) for n, w, p in below if not p.examples] == []


def test_every_example_is_a_command_line_that_its_command_takes(
    parsers: dict[str, Parser], capsys: pytest.CaptureFixture[str]
) -> None:
    """An example may have a remark, three spaces after it, and send its output to a file."""
    refused, seen = [], 0
    for name, parser in parsers.items():
        for line in parser.examples:
            call = re.split(r"   +| > ", line.strip())[0]
            start, module, *arguments = shlex.split(call.removeprefix("python "))
            assert (start, module) == ("-m", f"scripts.{name}"), line
            seen += 1
            try:
                parser.parse_args(arguments)
            except SystemExit:
                refused.append((line, capsys.readouterr().err))
    assert seen > 40 and refused == []


def test_the_exit_codes_are_on_the_page_once() -> None:
    page = docs.COMMANDS_FILE.read_text()
    assert page.count("## Exit codes") == 1
    assert all(f"\n| {code} | " in page for code in EXIT_CODES)
    assert {TRIPPED_EXIT_CODE, INTERRUPTED_EXIT} < EXIT_CODES.keys()


def test_every_option_of_every_command_has_help(monkeypatch: pytest.MonkeyPatch) -> None:
    lacking, seen = [], []
    parser = argparse.ArgumentParser()

    def checked(add: Callable[..., Any]) -> Callable[..., Any]:
        def add_argument(self: Any, *names: str, **options: Any) -> Any:
            seen.append(names)
            if not options.get("help"):
                lacking.append(names)
            return add(self, *names, **options)

        return add_argument

    group, exclusive = parser.add_argument_group(), parser.add_mutually_exclusive_group()
    for owner in (argparse.ArgumentParser, type(group), type(exclusive)):
        monkeypatch.setattr(owner, "add_argument", checked(owner.add_argument))
    docs.parsers()
    assert len(seen) > 100 and lacking == []


def test_the_list_of_commands_has_one_line_for_each() -> None:
    argv = [sys.executable, "-m", "scripts"]
    listed = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
    rows = [line.split(maxsplit=1) for line in listed if line.startswith("  ")]
    assert dict(rows) == commands()
    assert max(map(len, listed)) <= MOST_COLUMNS


def _prose(file: Path) -> Iterator[str]:
    """The lines of a document that can be wrapped: no table, nothing inside a block of code."""
    code = False
    for line in file.read_text().splitlines():
        if line.startswith("```"):
            code = not code
        elif not code and not line.startswith("|"):
            yield line


@pytest.mark.parametrize("file", HAND_WRITTEN, ids=str)
def test_a_document_fits_a_page(file: Path) -> None:
    assert [line for line in _prose(file) if len(line) > MOST_COLUMNS] == []


def test_the_readme_is_short_and_narrow() -> None:
    lines = Path("README.md").read_text().splitlines()
    assert len(lines) < 130 and max(map(len, lines)) <= MOST_COLUMNS


@pytest.mark.parametrize("file", HAND_WRITTEN, ids=str)
def test_links_and_paths_of_a_document_lead_somewhere(file: Path) -> None:
    text = file.read_text()
    links = (link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text))
    linked = [file.parent / link for link in links if link and "://" not in link]
    named = map(Path, re.findall(r"\b(?:scripts|tests|config|rules)/[\w/.-]+\.\w+", text))
    modules = re.findall(r"python -m ((?:scripts|tests|benchmarks)(?:\.\w+)*)", text)
    called = [Path(*name.split(".")) for name in modules]
    if file.name == "predecessor.md":
        named = map(Path, ())  # its paths are the predecessor's
    missing = [path for path in [*linked, *named] if not path.exists() and path.stem != "NAME"]
    assert missing == []
    assert [p for p in called if not (p.with_suffix(".py").exists() or p.is_dir())] == []


def _commands_in(file: Path) -> Iterator[list[str]]:
    """The words of each call of a command of ours in the blocks of code of a document."""
    for block in re.findall(r"^ *```(?:sh|bash)\n(.*?)^ *```", file.read_text(), re.M | re.S):
        for line in block.splitlines():
            words = shlex.split(line, comments=True)
            if words[:2] == ["python", "-m"] and words[2].startswith("scripts."):
                yield words[2:]


@pytest.mark.parametrize("file", HAND_WRITTEN, ids=str)
def test_commands_of_a_document_are_understood(file: Path, parsers: dict[str, Parser]) -> None:
    for name, *arguments in _commands_in(file):
        if "--help" not in arguments:
            parsers[name.removeprefix("scripts.")].parse_args(arguments)


def _site(source: Path | str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Sphinx as in `make docs`: a warning is an error. The site is made in `folder`/site."""
    argv = ["sphinx-build", "-q", "-W", "--keep-going", "-n", "-b", "html"]
    places = ["-d", f"{folder}/trees", str(source), f"{folder}/site"]
    return subprocess.run([*argv, *places], capture_output=True, text=True, check=False)


def test_the_documents_are_a_site_without_dead_links_or_orphans(tmp_path: Path) -> None:
    built = _site("docs/reference", tmp_path)
    assert built.returncode == 0, built.stderr
    page = (tmp_path / "site/howto/sweep_threads.html").read_text()
    assert "threads.yaml" in page and 'href="../variants.html"' in page
    # The site has no file of another folder.
    assert "config/threads.yaml" not in page


def test_a_dead_link_and_an_orphan_are_found(tmp_path: Path) -> None:
    shutil.copy("docs/reference/conf.py", tmp_path)
    (tmp_path / "index.md").write_text("# Start\n\n[there](nowhere.md)\n")
    (tmp_path / "alone.md").write_text("# Alone\n")
    built = _site(tmp_path, tmp_path)
    assert built.returncode == 1
    assert "nowhere.md" in built.stderr and "alone.md" in built.stderr


@pytest.mark.serial
def test_the_tutorial_is_followed_from_its_first_command_to_its_last(tmp_path: Path) -> None:
    """On the real model, as a newcomer would. The blocks marked `bash` install what is here."""
    text = Path("docs/reference/tutorial.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)
    assert len(blocks) >= 5
    copy_checkout(tmp_path)
    for part in ("orchestration", "benchmarks/prompts"):
        shutil.copytree(part, tmp_path / part)
    (tmp_path / "models").mkdir()
    for weights in Path("models").glob("*.gguf"):
        (tmp_path / "models" / weights.name).hardlink_to(weights)
    project = Project(tmp_path)
    shown = [project.run("bash", "-euc", block) for block in blocks]
    assert [done.stderr for done in shown if done.returncode] == []
    page = (tmp_path / "docs/reference/benchmarks/RESULTS.md").read_text()
    assert "one_thread" in page and "lookup_n3" in page
    assert "llama-server" in shown[-1].stdout
