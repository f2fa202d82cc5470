"""Documents: generated ones are fresh, commands explain themselves, links and paths exist."""

from __future__ import annotations

import argparse
import re
import shlex
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

GENERATED = {"commands.md", "registry.md"}
HAND_WRITTEN = [
    Path("README.md"),
    Path("CONTRIBUTING.md"),
    *(file for file in sorted(Path("docs/reference").glob("*.md")) if file.name not in GENERATED),
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
