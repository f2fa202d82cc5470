"""Roles and suites are known names: a misspelt one is reported with the nearest."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.lib.base.errors import InputErrors
from scripts.lib.prompts.loader import suite_names
from scripts.lib.registry.role_table import SUITES_FILE, check_suites, role_table, suites_for_roles
from scripts.lib.registry_loader import Registry, load_registry
from tests.factories.commands import call
from tests.factories.registries import GOOD, SHIPPED


def load(tmp_path: Path, old: str, new: str, *suites: str) -> Registry:
    assert old in GOOD
    file = tmp_path / "registry.yaml"
    file.write_text(GOOD.replace(old, new, 1))
    return load_registry(file, suites)


ROLES = "candidate_roles: [coder]"
MORE = "generation_defaults: {temperature: 0.3}"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (ROLES, "candidate_roles: [codr]",
         ":6: roles.a.candidate_roles: unknown role 'codr'; did you mean 'coder'?"),
        (ROLES, "candidate_roles: [coder, mth]",
         ":6: roles.a.candidate_roles: unknown role 'mth'; did you mean 'math'?"),
        (ROLES, "candidate_roles: cder",
         ":6: roles.a.candidate_roles: unknown role 'cder'; did you mean 'coder'?"),
        (
            MORE,
            "temperature_overrides: {coder: 0.1, maths: 0.2}",
            ":9: roles.a.temperature_overrides.maths: unknown suite 'maths'; did you mean 'math'?",
        ),
        (
            MORE,
            "thinking_quirks: {disable_thinking_suites: [agentc]}",
            ":9: roles.a.thinking_quirks: unknown suite 'agentc'; did you mean 'agentic'?",
        ),
    ],
)  # fmt: skip
def test_a_misspelt_role_or_suite_is_an_error(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    with pytest.raises(InputErrors) as caught:
        load(tmp_path, old, new)
    assert str(caught.value) == f"{tmp_path}/registry.yaml{message}"


def test_another_unknown_one_is_a_warning(tmp_path: Path) -> None:
    registry = load(
        tmp_path,
        ROLES,
        "candidate_roles: [coder, night_watch]\n    temperature_overrides: {humaneval: 0.5}",
    )
    told = [str(warning).partition("registry.yaml")[2] for warning in registry.warnings]
    assert told[0].startswith(
        ":6: roles.a.candidate_roles: unknown role 'night_watch'; known: agentic, "
    )
    assert told[1].startswith(
        ":7: roles.a.temperature_overrides.humaneval: unknown suite 'humaneval'; known: agentic, "
    )
    assert len(told) == 2 and registry.models["a"].temperature_overrides == {"humaneval": 0.5}


def test_a_suite_of_the_prompts_folder_is_known_too(tmp_path: Path) -> None:
    assert load(tmp_path, MORE, "temperature_overrides: {maths: 0.2}", "maths").warnings == ()
    (tmp_path / "registry.yaml").unlink()
    (tmp_path / "a.yaml").write_text("# a suite\nsuite: 'maths'\nprompts: {}\n")
    (tmp_path / "humaneval.yaml").write_text("prompts: {}\n")
    (tmp_path / "MANIFEST.yaml").write_text("questions: {}\n")
    assert suite_names(tmp_path) == {"maths", "humaneval"}


def test_the_shipped_catalogue_has_no_unknown_role_or_suite() -> None:
    told = [str(warning) for warning in load_registry(SHIPPED).warnings]
    assert not [text for text in told if "unknown" in text]
    table = role_table()
    assert {"embedder", "benchmark"} <= table.known_roles
    assert (
        suites_for_roles(("draft", "benchmark"), "x")
        == suites_for_roles(("draft",), "x")
        == ("general", "thinking")
    )
    assert suites_for_roles(("embedder",), "x") == ("general",)
    check_suites(suite_names(Path("benchmarks/prompts/v1")))


def test_validate_ends_with_one_message(tmp_path: Path) -> None:
    file = tmp_path / "registry.yaml"
    file.write_text(GOOD.replace(ROLES, "candidate_roles: [codr]"))
    done = call("scripts.validate", "--registry", file)
    assert done.returncode == 1
    assert (
        done.stderr
        == f"error: {file}:6: roles.a.candidate_roles: unknown role 'codr'; did you mean 'coder'?\n"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "only: {}\nroles:\n  a: [x]\n  b: [y]\n  a: [z]\n",
            ":5: roles.a: duplicate key (first on line 3)",
        ),
        (
            "only: {}\nroles: {a: [x]}\nonly: {a: [y]}\n",
            ":3: only: duplicate key (first on line 1)",
        ),
        ("only: {}\nrole: {a: [x]}\n", ":2: role: unknown key; did you mean 'roles'?"),
        ("only: {}\nroles: {a: [1]}\n", ":2: roles.a: expected a list of texts, found [1]"),
        ("only: {}\nroles: [a]\n", ":2: roles: expected a mapping, found ['a']"),
        ("roles: {a: [x]}\n", ": only: is missing"),
        ("- a\n", ": expected a mapping at the top, found list"),
    ],
)
def test_mistakes_in_the_table_are_named(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "suites.yaml"
    file.write_text(text)
    with pytest.raises(InputErrors) as caught:
        role_table(file)
    assert f"{file}{message}" in str(caught.value).splitlines()


def test_a_suite_misspelt_in_the_table_is_an_error_and_one_that_is_not_here_none(
    tmp_path: Path,
) -> None:
    file = tmp_path / "suites.yaml"
    file.write_text("only: {}\nroles:\n  coder: [codr, elsewhere]\n")
    with pytest.raises(InputErrors) as caught:
        check_suites(["coder", "math"], file)
    assert (
        str(caught.value) == f"{file}:3: roles.coder: unknown suite 'codr'; did you mean 'coder'?"
    )
    check_suites(["general"], SUITES_FILE)
