"""Tools for people who edit the registry and the suites: check, propose, import, freeze."""
