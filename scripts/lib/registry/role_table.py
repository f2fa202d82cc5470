"""config/suites.yaml: which suites a model answers, by its candidate_roles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from scripts.lib.base.errors import InputErrors, Problem, shown, suggest
from scripts.lib.base.yaml_fields import Fields, is_misspelt
from scripts.lib.base.yaml_file import read_yaml
from scripts.lib.base.yaml_sections import Key, Section

SUITES_FILE = Path("config/suites.yaml")
_TABLE = Section(
    "suites",
    "the table of roles",
    "Role: the suites that it asks for.",
    (
        Key("only", "mapping", "roles that override all other roles of a model", required=True),
        Key("roles", "mapping", "roles whose suites are combined", required=True),
    ),
    closed=True,
)


@dataclass(frozen=True, slots=True)
class RoleTable:
    """Role -> its suites, in order of importance. A role may have none."""

    only: Mapping[str, tuple[str, ...]]
    roles: Mapping[str, tuple[str, ...]]
    lines: Mapping[str, int]

    @property
    def known_roles(self) -> frozenset[str]:
        """Every role of the table."""
        return frozenset((*self.only, *self.roles))

    @property
    def known_suites(self) -> frozenset[str]:
        """Every suite that a role asks for."""
        return frozenset(
            suite
            for part in (self.only, self.roles)
            for suites in part.values()
            for suite in suites
        )


def _suites(part: Fields, role: str) -> tuple[str, ...]:
    if part.raw[role] is None:
        part.problem(role, "expected a list of suites, found nothing: [] is a role without suites")
    suites = part.texts(role)
    for suite in suites:
        if not suite.strip() or suites.count(suite) > 1:
            part.problem(role, f"expected the name of a suite, once, found {shown(suite)}")
    return suites


@lru_cache(maxsize=4)
def role_table(file: Path = SUITES_FILE) -> RoleTable:
    """Read the table. Raises InputErrors with every mistake and its line."""
    source = read_yaml(file)
    top = Fields(source, source.value, "", _TABLE)
    parts: dict[str, dict[str, tuple[str, ...]]] = {}
    for name in ("only", "roles"):
        part = top.part(name, None)
        parts[name] = {role: _suites(part, role) for role in part.raw}
    if source.problems:
        raise InputErrors(source.problems)
    return RoleTable(parts["only"], parts["roles"], source.lines)


def check_suites(suites: Iterable[str], file: Path = SUITES_FILE) -> None:
    """Raise InputErrors if the table misspells a known suite. Other suites may be unknown."""
    table, known = role_table(file), frozenset(suites)
    problems = [
        Problem(
            f"{file}:{table.lines.get(place, 0)}",
            place,
            f"unknown suite '{suite}'{suggest(suite, known)}",
        )
        for name, part in (("only", table.only), ("roles", table.roles))
        for role, named in part.items()
        for place in (f"{name}.{role}",)
        for suite in named
        if suite not in known and is_misspelt(suite, known)
    ]
    if problems:
        raise InputErrors(problems)


def is_role_suite(name: str, file: Path = SUITES_FILE) -> bool:
    """True if a role has the suite. Other suites run only if the configuration names them."""
    return name in role_table(file).known_suites


def roles_of_suite(name: str, file: Path = SUITES_FILE) -> tuple[str, ...]:
    """The roles that answer a suite, in the order of its place in their lists."""
    table = role_table(file)
    roles = [
        (suites.index(name), role)
        for part in (table.only, table.roles)
        for role, suites in part.items()
        if name in suites
    ]
    return tuple(role for _, role in sorted(roles, key=lambda pair: pair[0]))


def suites_for_roles(
    candidate_roles: tuple[str, ...], key: str, file: Path = SUITES_FILE
) -> tuple[str, ...]:
    """The suites that a model answers: the union over its roles, from config/suites.yaml."""
    table = role_table(file)
    roles = candidate_roles or tuple(
        role for role in (*table.only, *table.roles) if key.startswith(f"{role}_")
    )
    for role in roles:
        if role in table.only:
            return table.only[role]
    found = [suite for role in roles for suite in table.roles.get(role, ())]
    return tuple(dict.fromkeys(found)) or ("general",)
